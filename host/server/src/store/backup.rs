//! Backups of the store: made while it is used, each whole, in one folder that keeps what they have in
//! common once (RocksDB's backup engine).
//!
//! Invariants: a backup holds everything that was acknowledged before it was asked for. A store that is
//! replaced by one is moved aside, never deleted.

use std::path::{Path, PathBuf};

use rocksdb::backup::{BackupEngine, BackupEngineInfo, BackupEngineOptions, RestoreOptions};
use rocksdb::{DB, Env};
use scenehost_core::Time;

/// A backup, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Backup {
    pub id: u32,
    /// When it was made, in milliseconds since 1970.
    pub made_ms: u64,
    pub bytes: u64,
    pub files: u32,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the backups in {folder} cannot be used ({cause}); is the disk full, or is another backup being made?")]
    Engine { folder: PathBuf, cause: rocksdb::Error },
    #[error("there is no backup{} in {folder}: `scenehost store list` shows those that are there", id.map_or_else(String::new, |id| format!(" {id}")))]
    None { folder: PathBuf, id: Option<u32> },
    #[error("the store {store} is in use: stop the host first")]
    InUse { store: PathBuf },
    #[error("the store {store} cannot be moved aside ({cause}); nothing was changed")]
    Aside { store: PathBuf, cause: std::io::Error },
    #[error("the backup could not be restored ({cause}); the store is as it was")]
    Restore { cause: rocksdb::Error },
}

impl std::fmt::Display for Backup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, made_ms, bytes, files } = self;
        write!(f, "backup {id} of {}: {} KiB in {files} files", Time(*made_ms).utc(), bytes.div_ceil(1_024))
    }
}

impl From<BackupEngineInfo> for Backup {
    fn from(info: BackupEngineInfo) -> Self {
        let made_ms = u64::try_from(info.timestamp).unwrap_or_default() * 1_000;
        Self { id: info.backup_id, made_ms, bytes: info.size, files: info.num_files }
    }
}

/// Makes a backup, and lets go of the oldest beyond `keep`.
pub fn make(db: &DB, folder: &Path, keep: usize) -> Result<Backup, Error> {
    let failed = |cause| Error::Engine { folder: folder.to_owned(), cause };
    let mut engine = open(folder)?;
    // What is in memory only is written to its own file first; the log is copied with it.
    let flush = true;
    engine.create_new_backup_flush(db, flush).map_err(failed)?;
    engine.purge_old_backups(keep.max(1)).map_err(failed)?;
    newest(&engine, folder)
}

/// The backups that are there, the oldest first.
pub fn list(folder: &Path) -> Result<Vec<Backup>, Error> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    Ok(open(folder)?.get_backup_info().into_iter().map(Backup::from).collect())
}

/// Puts a backup, the newest if none is named, in the place of a store that nobody uses. Tells where what was
/// there has gone.
pub fn restore(folder: &Path, id: Option<u32>, store: &Path) -> Result<(Backup, Option<PathBuf>), Error> {
    if !folder.is_dir() {
        return Err(Error::None { folder: folder.to_owned(), id });
    }
    let mut engine = open(folder)?;
    let backup = match id {
        None => newest(&engine, folder)?,
        Some(id) => {
            let found = engine.get_backup_info().into_iter().find(|info| info.backup_id == id);
            found.map(Backup::from).ok_or_else(|| Error::None { folder: folder.to_owned(), id: Some(id) })?
        }
    };
    engine.verify_backup(backup.id).map_err(|cause| Error::Engine { folder: folder.to_owned(), cause })?;
    if super::is_in_use(store) {
        return Err(Error::InUse { store: store.to_owned() });
    }
    let aside = move_aside(store).map_err(|cause| Error::Aside { store: store.to_owned(), cause })?;
    let restored = engine.restore_from_backup(store, store, &RestoreOptions::default(), backup.id);
    if let Err(cause) = restored {
        if let Some(aside) = &aside {
            let _ = std::fs::remove_dir_all(store); // What was restored in part.
            let _ = std::fs::rename(aside, store);
        }
        return Err(Error::Restore { cause });
    }
    Ok((backup, aside))
}

fn open(folder: &Path) -> Result<BackupEngine, Error> {
    let engine = BackupEngineOptions::new(folder).and_then(|mut options| {
        options.set_sync(true);
        BackupEngine::open(&options, &Env::new()?)
    });
    engine.map_err(|cause| Error::Engine { folder: folder.to_owned(), cause })
}

fn newest(engine: &BackupEngine, folder: &Path) -> Result<Backup, Error> {
    let newest = engine.get_backup_info().into_iter().max_by_key(|info| info.backup_id);
    newest.map(Backup::from).ok_or_else(|| Error::None { folder: folder.to_owned(), id: None })
}

/// Gives the store another name beside its own, if there is one.
fn move_aside(store: &Path) -> std::io::Result<Option<PathBuf>> {
    if !store.exists() {
        return Ok(None);
    }
    let name = store.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let names = (1_u32..).map(|number| store.with_file_name(format!("{name}.before-restore-{number}")));
    let aside = names.into_iter().find(|path| !path.exists()).expect("there are more numbers than folders");
    std::fs::rename(store, &aside)?;
    Ok(Some(aside))
}
