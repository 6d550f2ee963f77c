//! The lock of a data folder. Whoever holds it is the only one who opens the store there to write, backs it
//! up by hand, or puts another in its place.
//!
//! Invariant: the system takes it back when its holder ends, however that ends.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// The file in the data folder that is locked. It stays there: only the lock on it says something.
const FILE: &str = "lock";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "the store in {folder} is in use: is another scenehost using it, or is it being restored or backed up? \
         Only one can at a time"
    )]
    Held { folder: PathBuf },
    #[error("the lock {file} of the data folder cannot be taken ({cause})")]
    Io { file: PathBuf, cause: std::io::Error },
}

/// Held until it is dropped.
pub struct DataLock(#[expect(dead_code, reason = "held, not read")] File);

impl DataLock {
    /// Takes the lock of this folder, or says at once why that cannot be.
    pub fn take(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(FILE);
        let failed = |cause| Error::Io { file: path.clone(), cause };
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(Error::Held { folder: folder.to_owned() }),
            Err(TryLockError::Error(cause)) => Err(failed(cause)),
        }
    }
}
