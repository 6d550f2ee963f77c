//! Whether a project's sources have changed.
//!
//! They are looked at again and again, which works on every file system, also on those of containers and other machines,
//! and costs a fraction of a millisecond for a project's few files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::project::Project;

/// More files than a project has; what comes after them is not looked at.
const FILES_MAX: usize = 10_000;
/// What is no source: results, tools, and what is not built.
const NO_SOURCES: [&str; 7] = ["target", "node_modules", "build", "dist", "scripts", "test", "tests"];

/// What is a source wherever it lies; in `src` everything is. Cargo.lock is none, for cargo itself writes it, and for the
/// same reason npm's is not.
const SOURCES: [&str; 13] = ["css", "html", "js", "json", "jsx", "mjs", "mts", "rs", "svg", "toml", "ts", "tsx", "wit"];

const LOCK_OF_NPM: &str = "package-lock.json";

/// The files of a project, as they were last seen.
pub struct Sources {
    root: PathBuf,
    /// A page that is not built, which the host reads itself.
    page: Option<PathBuf>,
    seen: BTreeMap<PathBuf, (Option<SystemTime>, u64)>,
}

impl Sources {
    pub fn of(project: &Project) -> Sources {
        let page = project.settings.page.is_none().then(|| project.page_dir());
        Sources { root: project.root.clone(), seen: look(&project.root, page.as_deref()), page }
    }

    /// Whether they have, since the last time.
    pub fn have_changed(&mut self) -> bool {
        let now = look(&self.root, self.page.as_deref());
        let changed = now != self.seen;
        self.seen = now;
        changed
    }
}

fn look(root: &Path, page: Option<&Path>) -> BTreeMap<PathBuf, (Option<SystemTime>, u64)> {
    let mut seen = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            let Ok(data) = entry.metadata() else { continue };
            let is_left_out = folder == root && (NO_SOURCES.contains(&&*name) || Some(&*path) == page);
            if name.starts_with('.') || is_left_out || seen.len() >= FILES_MAX {
                continue;
            }
            if data.is_dir() {
                folders.push(path);
            } else if is_source(root, &path) {
                seen.insert(path, (data.modified().ok(), data.len()));
            }
        }
    }
    seen
}

fn is_source(root: &Path, path: &Path) -> bool {
    let end = path.extension().unwrap_or_default().to_string_lossy();
    if path.file_name().is_some_and(|name| name == LOCK_OF_NPM) {
        return false;
    }
    // Not the backups of editors.
    SOURCES.contains(&&*end) || (path.starts_with(root.join("src")) && !end.ends_with('~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_what_is_built() {
        let root = Path::new("/game");
        for source in ["src/lib.rs", "Cargo.toml", "src/map.png", "rules/src/board.rs", "page/main.ts"] {
            assert!(is_source(root, &root.join(source)), "{source}");
        }
        for other in ["Cargo.lock", "package-lock.json", "dev.log", "src/lib.rs~", "notes.md"] {
            assert!(!is_source(root, &root.join(other)), "{other}");
        }
    }
}
