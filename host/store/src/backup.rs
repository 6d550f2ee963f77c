//! Backups of the store: made while it is used, each whole, in one folder that keeps what they have in
//! common once (RocksDB's backup engine).
//!
//! Invariants: a backup holds everything that was acknowledged before it was asked for. A store that is
//! replaced by one is moved aside, never deleted, and only when what takes its place has been read through:
//! whenever a restore is interrupted, the store is in its place, or it is not and [`interrupted`] tells.

use std::path::{Path, PathBuf};

use rocksdb::backup::{BackupEngine, BackupEngineInfo, BackupEngineOptions, RestoreOptions};
use rocksdb::{DB, Env};
use scenehost_core::Time;

use crate::ReadOnly;
use crate::lock::DataLock;

/// What a restored store is called, after the store's name, until it takes its place.
const RESTORING: &str = ".restoring";
/// What the stores are called, after the store's name and with a number, that others have replaced.
const BEFORE_RESTORE: &str = ".before-restore-";

/// A backup, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Backup {
    pub id: u32,
    /// When it was made, in milliseconds since 1970.
    pub made_ms: u64,
    pub bytes: u64,
    pub files: u32,
}

/// The backups of a folder, the oldest first.
#[derive(Debug)]
pub struct Listed {
    pub whole: Vec<Backup>,
    /// The numbers of those whose files are not all there, or are not what they were.
    pub damaged: Vec<u32>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "the store is in PostgreSQL, which is backed up by its own tools: pg_dump, or a base backup with its log \
         (https://www.postgresql.org/docs/current/backup.html)"
    )]
    Elsewhere,
    #[error("the backups in {folder} cannot be used ({cause}); is the disk full, or is another backup being made?")]
    Engine { folder: PathBuf, cause: rocksdb::Error },
    #[error("the backups in {folder} cannot be listed ({cause})")]
    List { folder: PathBuf, cause: std::io::Error },
    #[error("there is no backup{} in {folder}: `scenehost store list` shows those that are there", id.map_or_else(String::new, |id| format!(" {id}")))]
    None { folder: PathBuf, id: Option<u32> },
    #[error("backup {id} in {folder} is damaged: `scenehost store list` shows those that are whole")]
    Damaged { folder: PathBuf, id: u32 },
    #[error(
        "backup {id}, the newest in {folder}, is damaged; if an older one will do, say which by --backup: \
         `scenehost store list` shows them"
    )]
    NewestDamaged { folder: PathBuf, id: u32 },
    #[error("what an interrupted restore has left in {left} cannot be removed ({cause}); nothing was changed")]
    Left { left: PathBuf, cause: std::io::Error },
    #[error("the backup could not be restored ({cause}); the store is as it was")]
    Restore { cause: rocksdb::Error },
    #[error("what was restored cannot be read ({cause}); the store is as it was")]
    Read { cause: crate::Error },
    #[error("the store {store} cannot be moved aside ({cause}); it is as it was")]
    Aside { store: PathBuf, cause: std::io::Error },
    #[error("what was restored cannot be put in its place, {store} ({cause}); the store is as it was")]
    Place { store: PathBuf, cause: std::io::Error },
    #[error(
        "what was restored cannot be put in its place ({cause}), nor the store back ({back}): \
         rename {aside} to {store} before a host starts"
    )]
    Back { store: PathBuf, aside: PathBuf, cause: std::io::Error, back: std::io::Error },
    #[error("the store {store} was restored, but a power failure now might undo that ({cause})")]
    Sync { store: PathBuf, cause: std::io::Error },
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
    let newest = engine.get_backup_info().into_iter().max_by_key(|info| info.backup_id);
    newest.map(Backup::from).ok_or_else(|| Error::None { folder: folder.to_owned(), id: None })
}

/// The backups that are there.
pub fn list(folder: &Path) -> Result<Listed, Error> {
    match folder.is_dir() {
        true => listed(&open(folder)?, folder),
        false => Ok(Listed { whole: Vec::new(), damaged: Vec::new() }),
    }
}

/// Puts a backup, the newest if none is named, in the place of a store that nobody uses, as its lock says.
/// Tells where what was there has gone.
pub fn restore(folder: &Path, id: Option<u32>, store: &Path, _: &DataLock) -> Result<(Backup, Option<PathBuf>), Error> {
    if !folder.is_dir() {
        return Err(Error::None { folder: folder.to_owned(), id });
    }
    let mut engine = open(folder)?;
    let backup = choose(listed(&engine, folder)?, folder, id)?;
    engine.verify_backup(backup.id).map_err(|cause| Error::Engine { folder: folder.to_owned(), cause })?;

    let restoring = beside(store, RESTORING);
    if restoring.exists() {
        std::fs::remove_dir_all(&restoring).map_err(|cause| Error::Left { left: restoring.clone(), cause })?;
    }
    let restored = engine.restore_from_backup(&restoring, &restoring, &RestoreOptions::default(), backup.id);
    let whole = restored.map_err(|cause| Error::Restore { cause }).and_then(|()| read_through(&restoring));
    if let Err(error) = whole {
        let _ = std::fs::remove_dir_all(&restoring); // It is of no use; the next restore tries again.
        return Err(error);
    }
    let aside = replace(store, &restoring)?;
    let parent = store.parent().unwrap_or(Path::new("."));
    let synced = std::fs::File::open(parent).and_then(|parent| parent.sync_all());
    synced.map_err(|cause| Error::Sync { store: store.to_owned(), cause })?;
    Ok((backup, aside))
}

/// What stands beside the place of a store that is not there, if that is a restore's.
pub fn interrupted(store: &Path) -> Option<PathBuf> {
    let name = store.file_name()?.to_string_lossy().into_owned();
    let is_of_restore = |path: &PathBuf| {
        let rest = path.file_name().and_then(|other| other.to_str()).and_then(|other| other.strip_prefix(&name));
        rest.is_some_and(|rest| rest == RESTORING || rest.starts_with(BEFORE_RESTORE))
    };
    // Where the folder cannot be read, no store can be made either.
    let entries = std::fs::read_dir(store.parent()?).ok()?;
    entries.filter_map(|entry| Some(entry.ok()?.path())).find(is_of_restore)
}

fn open(folder: &Path) -> Result<BackupEngine, Error> {
    let engine = BackupEngineOptions::new(folder).and_then(|mut options| {
        // Backups are synced when they are made, and what is restored from them, too.
        options.set_sync(true);
        BackupEngine::open(&options, &Env::new()?)
    });
    engine.map_err(|cause| Error::Engine { folder: folder.to_owned(), cause })
}

/// The engine passes over what is damaged. Each backup has a file in the folder `meta`, with its number for
/// a name, so what is there and not the engine's is that.
fn listed(engine: &BackupEngine, folder: &Path) -> Result<Listed, Error> {
    let whole: Vec<Backup> = engine.get_backup_info().into_iter().map(Backup::from).collect();
    let failed = |cause| Error::List { folder: folder.to_owned(), cause };
    let mut damaged = Vec::new();
    for entry in std::fs::read_dir(folder.join("meta")).map_err(failed)? {
        // One that is being made has another kind of name.
        let name = entry.map_err(failed)?.file_name();
        let id = name.to_str().and_then(|name| name.parse::<u32>().ok());
        damaged.extend(id.filter(|id| whole.iter().all(|backup| backup.id != *id)));
    }
    damaged.sort_unstable();
    Ok(Listed { whole, damaged })
}

/// The backup of this number, or the newest: an older one only if it is named.
fn choose(Listed { whole, damaged }: Listed, folder: &Path, id: Option<u32>) -> Result<Backup, Error> {
    let folder = || folder.to_owned();
    match id {
        Some(id) if damaged.contains(&id) => Err(Error::Damaged { folder: folder(), id }),
        Some(id) => {
            let found = whole.into_iter().find(|backup| backup.id == id);
            found.ok_or_else(|| Error::None { folder: folder(), id: Some(id) })
        }
        None => {
            let newest = whole.into_iter().max_by_key(|backup| backup.id);
            match damaged.last() {
                Some(&id) if newest.as_ref().is_none_or(|newest| newest.id < id) => {
                    Err(Error::NewestDamaged { folder: folder(), id })
                }
                _ => newest.ok_or_else(|| Error::None { folder: folder(), id: None }),
            }
        }
    }
}

/// Reads every record once, and with it the checksum of every block.
fn read_through(store: &Path) -> Result<(), Error> {
    let read = ReadOnly::read_through(store);
    read.map_err(|cause| Error::Read { cause })
}

/// Puts one folder in the place of another, if there is one: where that has gone. On an error it is in its
/// place again.
fn replace(store: &Path, restored: &Path) -> Result<Option<PathBuf>, Error> {
    let aside = move_aside(store).map_err(|cause| Error::Aside { store: store.to_owned(), cause })?;
    let Err(cause) = std::fs::rename(restored, store) else { return Ok(aside) };
    let store = store.to_owned();
    match aside {
        Some(aside) => match std::fs::rename(&aside, &store) {
            Ok(()) => Err(Error::Place { store, cause }),
            Err(back) => Err(Error::Back { store, aside, cause, back }),
        },
        None => Err(Error::Place { store, cause }),
    }
}

/// Gives the store another name beside its own, if there is one.
fn move_aside(store: &Path) -> std::io::Result<Option<PathBuf>> {
    if !store.exists() {
        return Ok(None);
    }
    let names = (1_u32..).map(|number| beside(store, &format!("{BEFORE_RESTORE}{number}")));
    let aside = names.into_iter().find(|path| !path.exists()).expect("there are more numbers than folders");
    std::fs::rename(store, &aside)?;
    Ok(Some(aside))
}

fn beside(store: &Path, end: &str) -> PathBuf {
    let name = store.file_name().unwrap_or_default().to_string_lossy().into_owned();
    store.with_file_name(name + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_cannot_be_replaced_is_in_its_place_again() {
        let folder = std::env::temp_dir().join(format!("scenehost-replace-{}", std::process::id()));
        let store = folder.join("store");
        std::fs::create_dir_all(&store).expect("a temporary folder is writable");
        std::fs::write(store.join("record"), "kept").expect("it is writable");
        let failed = replace(&store, &folder.join("store.restoring")).expect_err("there is no such folder");
        assert!(matches!(failed, Error::Place { .. }), "{failed}");
        assert_eq!(std::fs::read_to_string(store.join("record")).expect("it is back"), "kept");
        assert_eq!(interrupted(&store), None, "nothing else is left");
        std::fs::remove_dir_all(&folder).expect("nobody else uses it");
    }
}
