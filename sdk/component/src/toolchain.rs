//! Which compiler and which standard library guests are built with. The decision is a function of
//! what is on disk; nothing is installed from here.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;

/// The target guests are built for.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// The oldest compiler that guests are built with, `major.minor`.
const RUST_VERSION_MIN: &str = env!("CARGO_PKG_RUST_VERSION");

/// Debian's packages: its compiler, and the standard library's sources.
const DEBIAN_PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// How guests are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The toolchain in use has the target installed, as after `rustup target add`.
    Rustup,
    /// Debian's compiler builds the standard library from Debian's sources.
    Debian,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Way::Rustup => "the installed target",
            Way::Debian => "Debian's rustc and standard library sources",
        })
    }
}

/// Everything a build of guests runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// The way found.
    pub way: Way,
    /// For Debian's way: its compiler.
    pub(crate) rustc: Option<PathBuf>,
    /// For Debian's way: the linker, rust-lld of the toolchain in use.
    pub(crate) linker: Option<PathBuf>,
}

/// There is no way to build guests here; [`remedies`](Missing::remedies) are what to run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "guests cannot be built here. Run `rustup target add wasm32-unknown-unknown` (the toolchain in \
     {sysroot} has not got it), or where that is refused `apt-get install rustc-web rust-web-src` \
     as root (missing: {})", .debian.join(", ")
)]
pub struct Missing {
    /// The toolchain in use.
    pub sysroot: PathBuf,
    /// What Debian's way wants.
    pub debian: Vec<String>,
}

/// A command that gives this machine a way to build guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// The program and its arguments.
    pub command: &'static [&'static str],
    /// Whether it has to run as root.
    pub as_root: bool,
}

impl Missing {
    /// The commands, the better one first. One that succeeds is enough.
    pub fn remedies(&self) -> [Remedy; 2] {
        [
            Remedy { command: &["rustup", "target", "add", TARGET], as_root: false },
            Remedy { command: &["apt-get", "install", "--yes", DEBIAN_PACKAGES[0], DEBIAN_PACKAGES[1]], as_root: true },
        ]
    }
}

impl Toolchain {
    /// Finds the way for guests in a folder, whose `rust-toolchain.toml` counts: the installed
    /// target if it is there, else Debian's packages. `only` leaves just one way to be found.
    pub fn find(workspace_dir: &Path, only: Option<Way>) -> Result<Toolchain, Error> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let sysroot = ask(&rustc, &["--print", "sysroot"], workspace_dir)?;
        let about = ask(&rustc, &["-vV"], workspace_dir)?;
        let host = about.lines().find_map(|line| line.strip_prefix("host: "));
        let debian_rustc = Path::new("/usr/bin/rustc");
        let debian_version = match debian_rustc.exists() {
            true => Some(ask(debian_rustc.as_os_str(), &["--version"], workspace_dir)?),
            false => None,
        };
        let found = Installed {
            sysroot: Path::new(sysroot.trim()),
            host: host.unwrap_or_default().trim(),
            debian_root: Path::new("/"),
            debian_version: debian_version.as_deref(),
        };
        Ok(found.decide(only)?)
    }
}

/// What the decision is made from.
struct Installed<'a> {
    sysroot: &'a Path,
    /// The triple of this machine.
    host: &'a str,
    debian_root: &'a Path,
    /// What Debian's `rustc --version` says, if it is there.
    debian_version: Option<&'a str>,
}

impl Installed<'_> {
    fn decide(&self, only: Option<Way>) -> Result<Toolchain, Missing> {
        if only != Some(Way::Debian) && self.has_target() {
            return Ok(Toolchain { way: Way::Rustup, rustc: None, linker: None });
        }
        let rustlib = self.sysroot.join("lib/rustlib");
        let linker = rustlib.join(self.host).join("bin/rust-lld");
        let std_source = "usr/lib/rustlib/src/rust/library/std/Cargo.toml";

        let mut debian = Vec::new();
        if !self.debian_version.is_some_and(is_new_enough) {
            let package = DEBIAN_PACKAGES[0];
            debian.push(format!("{package} {RUST_VERSION_MIN} or newer"));
        }
        if !self.debian_root.join(std_source).exists() {
            debian.push(DEBIAN_PACKAGES[1].to_owned());
        }
        if !linker.exists() {
            debian.push(format!("the linker {}", linker.display()));
        }
        if debian.is_empty() && only != Some(Way::Rustup) {
            return Ok(Toolchain {
                way: Way::Debian,
                rustc: Some(self.debian_root.join("usr/bin/rustc")),
                linker: Some(linker),
            });
        }
        Err(Missing { sysroot: self.sysroot.to_owned(), debian })
    }

    /// The target's folder may be left over and empty; its standard library decides.
    fn has_target(&self) -> bool {
        let lib = self.sysroot.join("lib/rustlib").join(TARGET).join("lib");
        let is_std = |name: &OsStr| name.to_string_lossy().starts_with("libstd-");
        fs::read_dir(lib).is_ok_and(|mut files| files.any(|file| file.is_ok_and(|file| is_std(&file.file_name()))))
    }
}

/// Whether `rustc 1.96.0 (...)` is at least the oldest version supported.
fn is_new_enough(version: &str) -> bool {
    let number = version.split_whitespace().nth(1).unwrap_or_default();
    match (minor_version(number), minor_version(RUST_VERSION_MIN)) {
        (Some(has), Some(needs)) => has >= needs,
        _ => false,
    }
}

fn minor_version(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

fn ask(program: &OsStr, arguments: &[&str], dir: &Path) -> Result<String, Error> {
    let name = program.to_string_lossy();
    let output = Command::new(program)
        .args(arguments)
        .current_dir(dir)
        .output()
        .map_err(|source| Error::Run { program: name.to_string(), source })?;
    if !output.status.success() {
        return Err(Error::Probe {
            command: format!("{name} {}", arguments.join(" ")),
            stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    const TARGET_STD: &str = "sysroot/lib/rustlib/wasm32-unknown-unknown/lib/libstd-1.rlib";
    const LINKER: &str = "sysroot/lib/rustlib/host/bin/rust-lld";
    const SOURCE: &str = "usr/lib/rustlib/src/rust/library/std/Cargo.toml";

    /// Decides on a machine with just these files.
    fn check(files: &[&str], version: Option<&str>, only: Option<Way>) -> Result<Way, Vec<String>> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("scenehost-toolchain-{}-{number}", std::process::id());
        let root = std::env::temp_dir().join(name);
        for file in files {
            let file = root.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        let installed =
            Installed { sysroot: &root.join("sysroot"), host: "host", debian_root: &root, debian_version: version };
        let decision = installed.decide(only);
        let _ = fs::remove_dir_all(&root);
        decision.map(|toolchain| toolchain.way).map_err(|missing| missing.debian)
    }

    #[test]
    fn the_installed_target_is_preferred() {
        let everything = [TARGET_STD, LINKER, SOURCE];
        let version = Some("rustc 1.96.0 (Debian)");
        assert_eq!(check(&[TARGET_STD], None, None), Ok(Way::Rustup));
        assert_eq!(check(&everything, version, None), Ok(Way::Rustup));
        let debian = check(&everything, version, Some(Way::Debian));
        assert_eq!(debian, Ok(Way::Debian));
    }

    #[test]
    fn debian_builds_where_the_target_is_missing() {
        let version = Some("rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)");
        let left_over = "sysroot/lib/rustlib/wasm32-unknown-unknown/lib/README";
        let files = [left_over, LINKER, SOURCE];
        assert_eq!(check(&files, version, None), Ok(Way::Debian));
        assert_eq!(check(&files, version, Some(Way::Rustup)), Err(vec![]));
    }

    #[test]
    fn what_is_missing_is_told() {
        let old = check(&[LINKER, SOURCE], Some("rustc 1.63.0"), None);
        assert_eq!(old, Err(vec!["rustc-web 1.95 or newer".to_owned()]));
        let no_source = check(&[LINKER], Some("rustc 2.0.0"), None);
        assert_eq!(no_source, Err(vec!["rust-web-src".to_owned()]));
        let nothing = check(&[], None, None).unwrap_err();
        assert_eq!(nothing.len(), 3);
        assert!(nothing[2].contains("rust-lld"));
    }

    #[test]
    fn the_remedy_is_in_the_text() {
        let missing = Missing { sysroot: "toolchain".into(), debian: vec!["rust-web-src".to_owned()] };
        let text = missing.to_string();
        for remedy in missing.remedies() {
            assert!(text.contains(remedy.command[remedy.command.len() - 1]), "{text}");
        }
    }
}
