//! The store: ordered keys, atomic batches, RocksDB.
//!
//! Invariant: a commit that was acknowledged has been synced to disk. One writer thread takes all
//! batches that wait and syncs them together (group commit), so a sync is paid once for many.

pub mod backup;
pub mod command;
pub mod lock;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use rocksdb::{
    BlockBasedOptions, DB, Direction, IteratorMode, Options, ReadOptions, ReadTier, WriteBatch, WriteOptions,
};
use scenehost_core::Write;
use tokio::sync::oneshot;

/// How many batches may wait for the writer; a commit beyond that waits in its service.
const BATCHES_MAX: usize = 4_096;
/// How many batches go into one sync.
const GROUP_MAX: usize = 1_024;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the store at {path} cannot be opened ({cause}); is another scenehost using it, or is the disk full?")]
    Open { path: String, cause: rocksdb::Error },
    #[error(
        "there is no store at {path}, but {left} stands beside it, from a restore that was interrupted: run \
         `scenehost store restore` again, or rename the newest {path}.before-restore-N to {path}. \
         For a host without anything that was, move these away"
    )]
    Interrupted { path: String, left: String },
    #[error("the store cannot be read ({0})")]
    Read(rocksdb::Error),
    #[error("the store cannot be written ({0}); nothing is acknowledged any more")]
    Write(String),
}

/// A handle to the store. Cheap to clone; the store closes with the last one.
#[derive(Clone)]
pub struct Store(Arc<Parts>);

struct Parts {
    db: Arc<DB>,
    writer: Writer,
}

/// The way to the writer thread, which ends with it. Whoever drops the last handle waits for that,
/// since RocksDB aborts a process that ends while a database is open.
struct Writer {
    commits: Option<SyncSender<Batch>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.commits.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // If it panicked, its commits have failed already.
        }
    }
}

struct Batch {
    writes: Vec<Write>,
    done: oneshot::Sender<Result<(), String>>,
}

/// A batch that is on its way to the disk.
pub struct Commit(oneshot::Receiver<Result<(), String>>);

impl Commit {
    /// Waits until the batch is synced. Dropping the future loses nothing.
    pub async fn synced(&mut self) -> Result<(), Error> {
        match (&mut self.0).await {
            Ok(result) => result.map_err(Error::Write),
            Err(_) => Err(Error::Write("the writer has ended".to_owned())),
        }
    }
}

impl Store {
    /// Opens the store in this folder, or makes a new one; not where an interrupted restore has left none.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if !path.exists()
            && let Some(left) = backup::interrupted(path)
        {
            return Err(Error::Interrupted { path: path.display().to_string(), left: left.display().to_string() });
        }
        let opened = DB::open(&options(), path);
        let db = Arc::new(opened.map_err(|cause| Error::Open { path: path.display().to_string(), cause })?);
        let (writer, commits) = sync_channel(BATCHES_MAX);
        let of_writer = Arc::clone(&db);
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || write_groups(&of_writer, &commits))
            .expect("a thread can be spawned at start-up");
        let writer = Writer { commits: Some(writer), thread: Some(thread) };
        Ok(Self(Arc::new(Parts { db, writer })))
    }

    /// Gives a batch to the writer: it is written whole or not at all, after those that were given
    /// before it. Waits only while too many do.
    pub async fn begin(&self, writes: Vec<Write>) -> Result<Commit, Error> {
        let (done, answer) = oneshot::channel();
        let mut batch = Batch { writes, done };
        let Some(commits) = &self.0.writer.commits else { return Err(Error::Write("the store is closing".to_owned())) };
        loop {
            match commits.try_send(batch) {
                Ok(()) => return Ok(Commit(answer)),
                Err(TrySendError::Full(back)) => {
                    batch = back;
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
                Err(TrySendError::Disconnected(_)) => return Err(Error::Write("the writer has ended".to_owned())),
            }
        }
    }

    /// Opens the store in this folder to read it, as it is now; a host may be using it.
    pub fn read_only(path: &Path) -> Result<ReadOnly, Error> {
        let opened = DB::open_for_read_only(&Options::default(), path, false);
        opened.map(ReadOnly).map_err(|cause| Error::Open { path: path.display().to_string(), cause })
    }

    /// Makes a backup while everything goes on. Blocks as long as copying takes.
    pub fn backup(&self, folder: &Path, keep: usize) -> Result<backup::Backup, backup::Error> {
        backup::make(&self.0.db, folder, keep)
    }

    /// Ends the database's own work. A process may end with a store that is open still, held by a thread
    /// that reads, but not while the database works.
    pub fn rest(&self) {
        self.0.db.cancel_all_background_work(true);
    }

    /// Reads records without the disk; `None` if that cannot be done.
    pub fn get_from_memory(&self, keys: &[String]) -> Option<Vec<Option<Vec<u8>>>> {
        let mut options = ReadOptions::default();
        options.set_read_tier(ReadTier::BlockCache);
        // What only the disk has is an error here; an error of the disk shows when it is read.
        keys.iter().map(|key| self.0.db.get_opt(key, &options).ok()).collect()
    }

    /// Reads a record. Blocks for a disk read at most.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.0.db.get(key).map_err(Error::Read)
    }

    /// The keys from the first one on, before the other one, in their order.
    pub fn keys(&self, from: &str, to: &str, limit: usize) -> Result<Vec<String>, Error> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(to);
        let records = self.0.db.iterator_opt(IteratorMode::From(from.as_bytes(), Direction::Forward), options);
        let key = |record: Result<(Box<[u8]>, _), _>| record.map(|(key, _)| String::from_utf8_lossy(&key).into_owned());
        records.take(limit).map(key).collect::<Result<_, _>>().map_err(Error::Read)
    }

    /// The records whose keys begin so, in the order of keys.
    pub fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut records = Vec::new();
        for record in self.0.db.iterator(IteratorMode::From(prefix.as_bytes(), Direction::Forward)) {
            let (key, value) = record.map_err(Error::Read)?;
            if !key.starts_with(prefix.as_bytes()) {
                break;
            }
            records.push((String::from_utf8_lossy(&key).into_owned(), value.into_vec()));
        }
        Ok(records)
    }
}

/// A store as it was when it was opened.
pub struct ReadOnly(DB);

impl ReadOnly {
    /// All records, in the order of keys.
    pub fn records(&self) -> impl Iterator<Item = Result<(String, Vec<u8>), Error>> {
        let text = |key: Box<[u8]>| String::from_utf8_lossy(&key).into_owned();
        let all = self.0.iterator(IteratorMode::Start);
        all.map(move |record| record.map(|(key, value)| (text(key), value.into_vec())).map_err(Error::Read))
    }

    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.0.get(key).map_err(Error::Read)
    }
}

fn options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_keep_log_file_num(4);
    // One thread writes.
    options.set_allow_concurrent_memtable_write(false);
    // A first sign-in asks for an identity that is not there: filters answer that without a search.
    let mut tables = BlockBasedOptions::default();
    tables.set_bloom_filter(10.0, false);
    options.set_block_based_table_factory(&tables);
    options.set_memtable_prefix_bloom_ratio(0.02);
    options.set_memtable_whole_key_filtering(true);
    options
}

fn write_groups(db: &DB, commits: &Receiver<Batch>) {
    let mut synced = WriteOptions::default();
    synced.set_sync(true);
    while let Ok(first) = commits.recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(next) = commits.try_recv()
        {
            group.push(next);
        }
        let mut all = WriteBatch::default();
        for write in group.iter().flat_map(|commit| &commit.writes) {
            match write {
                Write::Put { key, value } => all.put(key, value),
                Write::Delete { key } => all.delete(key),
            }
        }
        let result = db.write_opt(all, &synced).map_err(|cause| cause.to_string());
        metrics::counter!("scenehost_store_syncs_total").increment(1);
        metrics::counter!("scenehost_store_commits_total").increment(group.len() as u64);
        for commit in group {
            let _ = commit.done.send(result.clone()); // Nobody waits for it any more: fine.
        }
    }
}
