//! Builds guest crates into scene components: one cargo run for all of them, for
//! `wasm32-unknown-unknown`, so that nothing of WASI comes along; then each module is encoded as a
//! component. Invariant: the output folder holds only whole components, and a component that did not
//! change is not touched.
//!
//! [`Toolchain::find`] finds a way to build on this machine or says what to install; [`build`] goes
//! it.

#![warn(missing_docs)]

mod cargo;
mod toolchain;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use wit_component::ComponentEncoder;

pub use toolchain::{Missing, Remedy, Toolchain, Way};

/// What to build, and where.
#[derive(Clone, Debug)]
pub struct Request {
    /// The folder of the guests' Cargo.toml: a workspace's, or a single crate's.
    pub workspace_dir: PathBuf,
    /// The guests' package names. Each must have a `cdylib`.
    pub packages: Vec<String>,
    /// Where cargo keeps its work. May be shared with other builds.
    pub target_dir: PathBuf,
    /// Where the components go, as `<package>.wasm`.
    pub out_dir: PathBuf,
    /// A shorter build for who is waiting to see a change, of a component that is larger and slower.
    pub quick: bool,
}

/// A component that was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// The guest's package name.
    pub package: String,
    /// The component's file.
    pub path: PathBuf,
    /// The file's length.
    pub len_bytes: usize,
    /// Whether the file is new or differs from the one that was there.
    pub changed: bool,
}

/// Why there are no components.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing on this machine to build guests with.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// A program could not be run at all.
    #[error("`{program}` could not be run; is it installed and on the PATH?")]
    Run {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program that tells about the toolchain has failed.
    #[error("`{command}` failed: {stderr}")]
    Probe {
        /// The command line.
        command: String,
        /// What it said.
        stderr: String,
    },
    /// The guests do not compile. Cargo has written why to the terminal.
    #[error("cargo could not build the guests; its errors are above")]
    Cargo,
    /// A package has no module among its results.
    #[error(
        "package `{package}` gives no component; its Cargo.toml needs \
         [lib] crate-type = [\"cdylib\", \"rlib\"]"
    )]
    NoModule {
        /// The package.
        package: String,
    },
    /// The module cannot become a component.
    #[error("package `{package}` cannot be made a component; is `export_scene!` there? {reason}")]
    Encode {
        /// The package.
        package: String,
        /// What the encoder said.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Builds the guests and returns their components in the order asked for. Cargo's progress and
/// errors go to the terminal.
pub fn build(toolchain: &Toolchain, request: &Request) -> Result<Vec<Component>, Error> {
    let modules = cargo::build_modules(toolchain, request)?;
    fs::create_dir_all(&request.out_dir).map_err(at(&request.out_dir))?;
    let component = |(package, module): (&String, PathBuf)| {
        let module = fs::read(&module).map_err(at(&module))?;
        let bytes = encode(&module).map_err(|reason| Error::Encode { package: package.clone(), reason })?;
        let path = request.out_dir.join(format!("{package}.wasm"));
        let changed = write_if_changed(&path, &bytes)?;
        Ok(Component { package: package.clone(), path, len_bytes: bytes.len(), changed })
    };
    request.packages.iter().zip(modules).map(component).collect()
}

/// Makes a component of a core module that carries its world, as the SDK's modules do.
fn encode(module: &[u8]) -> Result<Vec<u8>, String> {
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| format!("{error:#}"))
}

/// Writes a file whole or not at all; returns whether its content is new.
fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<bool, Error> {
    match fs::read(path) {
        Ok(old) if old == bytes => return Ok(false),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(at(path)(error)),
    }
    let unfinished = path.with_extension(format!("wasm.{}", std::process::id()));
    fs::write(&unfinished, bytes).map_err(at(&unfinished))?;
    fs::rename(&unfinished, path).map_err(at(path))?;
    Ok(true)
}

fn at(path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_once_for_the_same_content() {
        let dir = std::env::temp_dir().join(format!("scenehost-write-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("game.wasm");
        assert!(write_if_changed(&path, b"one").unwrap());
        assert!(!write_if_changed(&path, b"one").unwrap());
        assert!(write_if_changed(&path, b"two").unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "nothing unfinished");
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn bytes_that_are_no_module_are_refused() {
        assert!(encode(b"no module").is_err());
    }
}
