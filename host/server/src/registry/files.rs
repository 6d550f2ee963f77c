//! The bytes of uploaded components: a file for each digest.
//!
//! Invariants: a file is there whole or not at all, also after a loss of power; what is read is what was uploaded, or a
//! damage that is named. Nothing that a client says is ever a part of a path.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use scenehost_engine::Digest;

use super::Error;

const ENDING: &str = "wasm";
/// A file that is being written. There is one at a time, for who writes holds the registry's turn.
const UNFINISHED: &str = "unfinished";

#[derive(Debug, Clone)]
pub struct Files {
    folder: PathBuf,
}

impl Files {
    /// Opens the folder, or makes it.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn open(folder: PathBuf) -> Result<Self, Error> {
        fs::create_dir_all(&folder).map_err(|cause| Error::Files { path: folder.clone(), cause })?;
        Ok(Self::at(folder))
    }

    /// A folder that is only read.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub fn path(&self, digest: Digest) -> PathBuf {
        self.folder.join(format!("{digest}.{ENDING}"))
    }

    /// Reads a component. Blocks.
    ///
    /// # Errors
    /// When its file is not there or is not what was written.
    pub fn read(&self, digest: Digest) -> Result<Vec<u8>, Error> {
        let path = self.path(digest);
        let damaged = |what: String| Error::Damaged { path: path.clone(), digest, what };
        let bytes = fs::read(&path).map_err(|error| damaged(error.to_string()))?;
        let found = Digest::of(&bytes);
        if found == digest { Ok(bytes) } else { Err(damaged(format!("its SHA-256 is {found}"))) }
    }

    /// Writes a component, unless it is there already and undamaged. Blocks until it survives a loss of power.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, digest: Digest, bytes: &[u8]) -> Result<(), Error> {
        if self.read(digest).is_ok() {
            return Ok(());
        }
        let unfinished = self.folder.join(UNFINISHED);
        let written = write_synced(&unfinished, bytes)
            .and_then(|()| fs::rename(&unfinished, self.path(digest)))
            .and_then(|()| sync_folder(&self.folder));
        written.map_err(|cause| {
            let _ = fs::remove_file(&unfinished); // The next one is written over it.
            Error::Files { path: self.folder.clone(), cause }
        })
    }

    /// Removes a component. Blocks.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn remove(&self, digest: Digest) -> Result<(), Error> {
        match fs::remove_file(self.path(digest)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                Err(Error::Files { path: self.path(digest), cause })
            }
            _ => Ok(()),
        }
    }

    /// Removes what belongs to no version: how many files.
    ///
    /// # Errors
    /// When the folder cannot be read, or not changed.
    pub fn remove_others(&self, known: &BTreeSet<Digest>) -> Result<usize, Error> {
        let removed = (|| {
            let mut removed = 0;
            for entry in fs::read_dir(&self.folder)? {
                let path = entry?.path();
                let is_ours = |ending| path.extension().is_some_and(|it| it == ending);
                let digest = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
                let is_orphan = is_ours(ENDING) && digest.is_some_and(|digest| !known.contains(&digest));
                if is_orphan || path.file_name().is_some_and(|name| name == UNFINISHED) {
                    fs::remove_file(&path)?;
                    removed += 1;
                }
            }
            Ok(removed)
        })();
        removed.map_err(|cause| Error::Files { path: self.folder.clone(), cause })
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The name of a new file survives a loss of power only with its folder.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_was_written_or_a_damage_that_is_named() {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        let files = Files::open(folder.path().join("plugins")).expect("it is writable");
        let digest = Digest::of(b"some bytes");
        assert_eq!(files.read(digest).expect_err("it is not there").kind(), "damaged");
        files.write(digest, b"some bytes").expect("it is writable");
        assert_eq!(files.read(digest).expect("it is there"), b"some bytes");
        fs::write(files.path(digest), b"Some bytes").expect("it is writable");
        let text = files.read(digest).expect_err("it is damaged").to_string();
        assert!(text.contains(&digest.to_string()) && text.contains("SHA-256"), "{text}");
        files.write(digest, b"some bytes").expect("it is writable");
        assert_eq!(files.read(digest).expect("it is mended"), b"some bytes");
    }

    #[test]
    fn what_belongs_to_no_version_is_removed_and_nothing_else() {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        let files = Files::open(folder.path().to_owned()).expect("it is writable");
        let (known, orphan) = (Digest::of(b"known"), Digest::of(b"orphan"));
        files.write(known, b"known").expect("it is writable");
        files.write(orphan, b"orphan").expect("it is writable");
        fs::write(folder.path().join(UNFINISHED), "half").expect("it is writable");
        fs::write(folder.path().join("notes.txt"), "of an operator").expect("it is writable");
        assert_eq!(files.remove_others(&BTreeSet::from([known])).expect("it is readable"), 2);
        assert!(files.read(known).is_ok() && files.read(orphan).is_err());
        assert!(folder.path().join("notes.txt").exists());
    }
}
