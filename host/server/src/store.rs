//! The store: ordered keys, atomic batches, RocksDB.
//!
//! Invariant: a commit that was acknowledged has been synced to disk. One that cannot be written waits until
//! it can, and everything after it ([`writer`]); meanwhile the store is down, which everyone hears by
//! [`Store::up`], and what is in it can be read.

pub mod backup;
pub mod command;
pub mod lock;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rocksdb::{BlockBasedOptions, DB, Direction, IteratorMode, Options, ReadOptions, ReadTier};
use scenehost_core::Write;
use tokio::sync::{oneshot, watch};

use lock::DataLock;
use writer::{Batch, Shared};

/// How many batches may wait for the writer; a commit beyond that waits in its service.
const BATCHES_MAX: usize = 4_096;
/// How long the writer has to end when nobody needs the store any more.
const WRITER_MAX: Duration = Duration::from_secs(5);

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
    #[error("the store cannot be read while it cannot be opened; the log says why")]
    Down,
    #[error("the store has ended, and what was to be written was not")]
    Ended,
    #[error(
        "commits that were never written nor acknowledged: {commits}, for the store could not be written ({cause})"
    )]
    Unwritten { commits: usize, cause: String },
}

/// A handle to the store. Cheap to clone; the store closes with the last one.
#[derive(Clone)]
pub struct Store(Arc<Parts>);

struct Parts {
    shared: Arc<Shared>,
    writer: Writer,
}

/// The way to the writer thread, which ends with it. Whoever drops the last handle waits for that,
/// since RocksDB aborts a process that ends while a database is open; but not for a disk that hangs.
struct Writer {
    commits: Option<SyncSender<Batch>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.commits.take());
        self.shared.give_up();
        let Some(thread) = self.thread.take() else { return };
        let step = Duration::from_millis(5);
        for _ in 0..WRITER_MAX.as_millis() / step.as_millis() {
            if thread.is_finished() {
                let _ = thread.join(); // If it panicked, its commits have failed already.
                return;
            }
            std::thread::sleep(step);
        }
    }
}

/// A batch that is on its way to the disk.
pub struct Commit(oneshot::Receiver<()>);

impl Commit {
    /// Waits until the batch is synced, however long that takes. Dropping the future loses nothing.
    pub async fn synced(&mut self) -> Result<(), Error> {
        (&mut self.0).await.map_err(|_| Error::Ended)
    }
}

impl Store {
    /// Opens the store in this folder, or makes a new one; not where an interrupted restore has left none.
    /// Whoever does so holds the lock of the folder around it, which is given back when the store is closed.
    pub fn open(path: &Path, lock: DataLock) -> Result<Self, Error> {
        if !path.exists()
            && let Some(left) = backup::interrupted(path)
        {
            return Err(Error::Interrupted { path: path.display().to_string(), left: left.display().to_string() });
        }
        let opened = DB::open(&options(), path);
        let db = opened.map_err(|cause| Error::Open { path: path.display().to_string(), cause })?;
        let shared = Arc::new(Shared::new(path, db, lock));
        let (writer, commits) = sync_channel(BATCHES_MAX);
        let of_writer = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer::run(&of_writer, &commits))
            .expect("a thread can be spawned at start-up");
        let writer = Writer { commits: Some(writer), thread: Some(thread), shared: Arc::clone(&shared) };
        Ok(Self(Arc::new(Parts { shared, writer })))
    }

    /// Gives a batch to the writer: it is written whole or not at all, after those that were given
    /// before it. Waits only while too many do.
    pub async fn begin(&self, writes: Vec<Write>) -> Result<Commit, Error> {
        let (done, answer) = oneshot::channel();
        let mut batch = Batch { writes, done };
        let Some(commits) = &self.0.writer.commits else { return Err(Error::Ended) };
        loop {
            self.0.shared.given();
            match commits.try_send(batch) {
                Ok(()) => return Ok(Commit(answer)),
                Err(TrySendError::Full(back)) => batch = back,
                Err(TrySendError::Disconnected(_)) => return Err(Error::Ended),
            }
            self.0.shared.not_given();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Whether it can be written, now and later.
    pub fn up(&self) -> watch::Receiver<bool> {
        self.0.shared.up()
    }

    /// Looks for writes that hang, for ever: then the store is down, too.
    pub async fn watch(self) {
        self.0.shared.watch().await;
    }

    /// Waits until everything is written, at most so long; then it is given up.
    pub async fn finish(&self, limit: Duration) -> Result<(), Error> {
        let all_written = async {
            while self.0.shared.waiting().0 > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = tokio::time::timeout(limit, all_written).await; // What is waiting then is told below.
        self.0.shared.give_up();
        match self.0.shared.waiting() {
            (0, _) => Ok(()),
            (commits, cause) => {
                Err(Error::Unwritten { commits, cause: cause.unwrap_or_else(|| "a write hangs".to_owned()) })
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
        let db = self.0.shared.db().ok_or(backup::Error::Read { cause: Error::Down })?.kept();
        backup::make(&db, folder, keep)
    }

    /// Ends the database's own work, if that takes no longer than this. A process may end with a store that is
    /// open still, held by a thread that reads, but not while the database works.
    pub async fn rest(&self, limit: Duration) {
        let store = self.clone();
        let rest = tokio::task::spawn_blocking(move || {
            if let Some(db) = store.0.shared.db_now() {
                db.cancel_all_background_work(true);
            }
        });
        if tokio::time::timeout(limit, rest).await.is_err() {
            tracing::error!("the store cannot be closed: its disk hangs");
        }
    }

    /// Reads records without the disk and without a wait; `None` if that cannot be done.
    pub fn get_from_memory(&self, keys: &[String]) -> Option<Vec<Option<Vec<u8>>>> {
        let db = self.0.shared.db_now()?;
        let mut options = ReadOptions::default();
        options.set_read_tier(ReadTier::BlockCache);
        // What only the disk has is an error here; an error of the disk shows when it is read.
        keys.iter().map(|key| db.get_opt(key, &options).ok()).collect()
    }

    /// Reads a record. Blocks for a disk read, and while the database is opened again.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.0.shared.db().ok_or(Error::Down)?.get(key).map_err(Error::Read)
    }

    /// The keys from the first one on, before the other one, in their order.
    pub fn keys(&self, from: &str, to: &str, limit: usize) -> Result<Vec<String>, Error> {
        Ok(self.records(from, to, limit)?.into_iter().map(|(key, _)| key).collect())
    }

    /// The records of those keys.
    pub fn records(&self, from: &str, to: &str, limit: usize) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let db = self.0.shared.db().ok_or(Error::Down)?;
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(to);
        let records = db.iterator_opt(IteratorMode::From(from.as_bytes(), Direction::Forward), options);
        let text = |(key, value): (Box<[u8]>, Box<[u8]>)| (String::from_utf8_lossy(&key).into_owned(), value.into());
        records.take(limit).map(|record| record.map(text)).collect::<Result<_, _>>().map_err(Error::Read)
    }

    /// The records whose keys begin so, in the order of keys.
    pub fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let db = self.0.shared.db().ok_or(Error::Down)?;
        let mut records = Vec::new();
        for record in db.iterator(IteratorMode::From(prefix.as_bytes(), Direction::Forward)) {
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
