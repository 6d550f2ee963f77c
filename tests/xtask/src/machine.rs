//! What the machine needs: looked for first, installed by apt where that is allowed, else said.

use std::path::Path;
use std::process::Command;

use anyhow::bail;
use scenehost_component::Toolchain;

use crate::shell::{self, Folders};

/// Something that has to be on the machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// What RocksDB is built with.
    Store,
    /// What the pages, and games in TypeScript, are built with.
    Node,
    /// What the browser tests run in.
    Browser,
    /// What the tests of stores that nodes share start.
    Postgres,
    /// What the tests of messages between nodes start.
    Nats,
}

impl Need {
    fn is_met(self) -> bool {
        match self {
            Self::Store => has("clang") && has("c++") && has_libclang(),
            Self::Node => has("npm") && node_is_new_enough(),
            Self::Browser => std::env::var_os("CHROMIUM").is_some() || has("chromium"),
            Self::Postgres => has("initdb") || has_postgres(),
            // Debian has it where only root looks for programs.
            Self::Nats => has("nats-server") || Path::new("/usr/sbin/nats-server").is_file(),
        }
    }

    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Store => &["clang", "libclang-dev", "g++"],
            Self::Node => &["nodejs", "npm"],
            Self::Browser => &["chromium"],
            Self::Postgres => &["postgresql"],
            Self::Nats => &["nats-server"],
        }
    }

    fn purpose(self) -> &'static str {
        match self {
            Self::Store => "clang, libclang and a C++ compiler, to build RocksDB",
            Self::Node => {
                "Node.js 20.19 or newer with npm, to build the pages and games in TypeScript (where the system's own is \
                 older, as on Debian 12, take it from nodejs.org or NodeSource)"
            }
            Self::Browser => "Chromium, for the browser tests (or set CHROMIUM to its program)",
            Self::Postgres => "PostgreSQL 13 or newer with initdb and pg_ctl, for the tests of stores that nodes share",
            Self::Nats => "nats-server, for the tests of messages between nodes",
        }
    }
}

/// Sees to it that the machine has what is needed, or says exactly what to install.
pub fn set_up(needs: &[Need]) -> anyhow::Result<()> {
    let missing: Vec<Need> = needs.iter().copied().filter(|need| !need.is_met()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages()).copied().collect();
    install(&packages)?;
    for need in missing {
        if !need.is_met() {
            bail!("still missing after the installation: {}", need.purpose());
        }
    }
    Ok(())
}

/// A way to build guests: the one that is there, else the target by rustup, else Debian's packages.
pub fn guest_toolchain(folders: &Folders) -> anyhow::Result<Toolchain> {
    let missing = match Toolchain::find(&folders.workspace, None) {
        Ok(toolchain) => return Ok(toolchain),
        Err(scenehost_component::Error::Missing(missing)) => missing,
        Err(error) => return Err(error.into()),
    };
    shell::step("installing the guests' target wasm32-unknown-unknown");
    let mut rustup = Command::new("rustup");
    rustup.current_dir(&folders.workspace).args(["target", "add", "wasm32-unknown-unknown"]);
    if has("rustup") && shell::run(rustup).is_ok() {
        return Ok(Toolchain::find(&folders.workspace, None)?);
    }
    println!("the target cannot be had from rustup; taking Debian's compiler and library sources");
    if !can_install() {
        return Err(missing.into());
    }
    install(&["rustc-web", "rust-web-src"])?;
    Ok(Toolchain::find(&folders.workspace, None)?)
}

fn install(packages: &[&str]) -> anyhow::Result<()> {
    if !can_install() {
        bail!("please install these packages (Debian's names), then run this again:\n  {}", packages.join(" "));
    }
    shell::step(&format!("installing {}", packages.join(", ")));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
        shell::run(command)
    };
    apt(&["update", "--quiet"])?;
    let arguments: Vec<&str> = ["install", "--yes", "--quiet", "--no-install-recommends"]
        .into_iter()
        .chain(packages.iter().copied())
        .collect();
    apt(&arguments)
}

fn can_install() -> bool {
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0");
    root && has("apt-get")
}

/// Whether a program is on the PATH.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// What Vite asks for.
const NODE_MIN: (u32, u32) = (20, 19);

fn node_is_new_enough() -> bool {
    let output = Command::new("node").arg("--version").output();
    let version = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let mut numbers = version.trim().trim_start_matches('v').split('.').map_while(|number| number.parse().ok());
    matches!((numbers.next(), numbers.next()), (Some(major), Some(minor)) if (major, minor) >= NODE_MIN)
}

/// Debian keeps the programs of each version in a folder of its own.
fn has_postgres() -> bool {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.map(|version| version.path().join("bin/initdb")).any(|program| program.is_file())
}

/// Where bindgen looks for it: in LLVM's folders and among the system's libraries.
fn has_libclang() -> bool {
    if std::env::var_os("LIBCLANG_PATH").is_some() {
        return true;
    }
    let is_libclang = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("libclang");
    let holds = |folder: &Path| std::fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(is_libclang));
    let llvm = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let llvm = llvm.filter(|entry| entry.file_name().to_string_lossy().starts_with("llvm"));
    llvm.map(|entry| entry.path().join("lib"))
        .chain(["/usr/lib64".into(), "/usr/local/lib".into()])
        .any(|folder| holds(&folder))
}
