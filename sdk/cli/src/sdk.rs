//! Scenehost's sources, to which projects refer: where they are, and the browser's client bundled from them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::failure::{Done, Failure};
use crate::guest;
use crate::say::Say;

/// The folder of Scenehost's sources.
pub struct Sdk {
    root: PathBuf,
}

impl Sdk {
    /// The one that was named, or whose folder `sdk` was; else the one that this tool was built from.
    ///
    /// # Errors
    /// When it is not there.
    pub fn find(named: Option<&Path>) -> Done<Sdk> {
        let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let folder = named.unwrap_or(&built_from);
        let is_root = |root: &Path| root.join("sdk/rust/Cargo.toml").is_file();
        // The folder `sdk` in it is meant, too, by whoever reads the option's name.
        let found = folder.canonicalize().ok().and_then(|folder| match folder.parent() {
            _ if is_root(&folder) => Some(folder),
            Some(parent) if folder.ends_with("sdk") && is_root(parent) => Some(parent.to_owned()),
            _ => None,
        });
        found.map(|root| Sdk { root }).ok_or_else(|| {
            let text = format!("{} is not the folder of Scenehost's sources", folder.display());
            Failure::usage(text).hint("name the folder that has sdk/rust in it, or that sdk, by --sdk or SCENEHOST_SDK")
        })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The versions that everything here is tested with, if it says so.
    pub fn lock(&self) -> Option<Vec<u8>> {
        std::fs::read(self.root.join("Cargo.lock")).ok()
    }

    /// The client for browsers as one module, bundled anew if its sources are newer than the last bundle.
    ///
    /// # Errors
    /// When npm is not there, or fails.
    pub fn browser_client(&self, say: Say) -> Done<Vec<u8>> {
        let package = self.root.join("sdk/client-ts");
        let bundle = package.join("dist/scenehost-client.js");
        let sources = [package.join("src"), self.root.join("sdk/protocol/proto")];
        if !is_newer(&bundle, &sources) {
            let node = |failure: Failure| Failure {
                hint: failure.hint.map(|hint| format!("{hint}; or take --no-page")),
                ..failure
            };
            guest::npm_install(&package, say).map_err(node)?;
            say.step("bundling", "the browser's client");
            let mut npm = Command::new("npm");
            npm.current_dir(&package).args(["run", "--silent", "bundle"]);
            guest::run_tool(npm, "npm", "the bundling").map_err(node)?;
        }
        std::fs::read(&bundle).map_err(Failure::file(&bundle))
    }
}

/// Whether a file is there and newer than all in these folders.
fn is_newer(file: &Path, folders: &[PathBuf]) -> bool {
    let changed = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
    match (changed(file), newest(folders)) {
        (Some(made), Some(newest)) => made >= newest,
        _ => false,
    }
}

/// When anything in these files and folders was changed last; generated code is not looked at.
pub fn newest(paths: &[PathBuf]) -> Option<SystemTime> {
    let mut left = paths.to_vec();
    let mut newest = None;
    while let Some(path) = left.pop() {
        let Ok(data) = path.metadata() else { continue };
        if data.is_dir() {
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path());
            left.extend(entries.filter(|path| !path.ends_with("gen")));
        } else {
            newest = newest.max(data.modified().ok());
        }
    }
    newest
}
