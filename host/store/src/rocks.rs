//! The driver of RocksDB: one writer thread, reads where they are asked for.
//!
//! Invariant: a commit that was acknowledged has been synced to disk. One that cannot be written waits until
//! it can, and everything after it ([`writer`]). Records of the driver itself have keys that begin with NUL, which
//! nobody else's do, and are in no answer.

mod leases;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rocksdb::{BlockBasedOptions, DB, Direction, IteratorMode, Options, ReadOptions, ReadTier};
use scenehost_core::Write;
use tokio::sync::{oneshot, watch};

use crate::backup;
use crate::batch::{Batch, Guard, Outcome};
use crate::lease::Fence;
use crate::lock::DataLock;
use crate::{BATCHES_MAX, Error};
use leases::Taken;
use writer::Shared;

/// The first key that is not the driver's own.
pub const FIRST_KEY: &[u8] = &[1];
/// Is there while another store is copied into this one.
const HALF_COPIED: &str = "\0half-copied";
/// How long the writer has to end when nobody needs the store any more.
const WRITER_MAX: Duration = Duration::from_secs(5);

/// A handle to the store. Cheap to clone; the store closes with the last one.
#[derive(Clone)]
pub struct Rocks {
    parts: Arc<Parts>,
    /// What has to be so for batches of this handle.
    guard: Option<Arc<Guard>>,
}

struct Parts {
    shared: Arc<Shared>,
    writer: Writer,
    /// The node that this process is, if it is one.
    taken: Taken,
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

impl Rocks {
    /// See [`crate::Store::open`].
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
        Ok(Self { parts: Arc::new(Parts { shared, writer, taken: Taken::default() }), guard: None })
    }

    /// See [`crate::Store::fenced`].
    pub fn fenced(&self, fence: Fence) -> Self {
        let guard = self.guard_of(fence);
        Self { parts: Arc::clone(&self.parts), guard: Some(Arc::new(guard)) }
    }

    /// Whether a copy into this store has stopped in its middle.
    pub fn is_half_copied(&self) -> Result<bool, Error> {
        Ok(self.get(HALF_COPIED)?.is_some())
    }

    /// Says that a copy into this store begins, or has ended.
    pub async fn set_half_copied(&self, is_so: bool) -> Result<(), Error> {
        let key = HALF_COPIED.to_owned();
        let write = if is_so { Write::Put { key, value: Vec::new() } } else { Write::Delete { key } };
        self.make(vec![write]).await.map(drop)
    }

    /// Makes a batch of the driver's own, which nothing guards.
    async fn make(&self, writes: Vec<Write>) -> Result<Outcome, Error> {
        let (done, answer) = oneshot::channel();
        let bare = Self { parts: Arc::clone(&self.parts), guard: None };
        bare.begin(Batch { writes, expected: Vec::new(), guard: None, done }).await?;
        answer.await.map_err(|_| Error::Ended)?
    }

    /// Gives a batch to the writer: it is written whole or not at all, after those that were given
    /// before it. Waits only while too many do.
    pub async fn begin(&self, mut batch: Batch) -> Result<(), Error> {
        batch.guard.clone_from(&self.guard);
        let Some(commits) = &self.parts.writer.commits else { return Err(Error::Ended) };
        loop {
            self.parts.shared.given();
            match commits.try_send(batch) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(back)) => batch = back,
                Err(TrySendError::Disconnected(_)) => return Err(Error::Ended),
            }
            self.parts.shared.not_given();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Whether it can be written, now and later.
    pub fn up(&self) -> watch::Receiver<bool> {
        self.parts.shared.up()
    }

    /// Looks for writes that hang, for ever: then the store is down, too.
    pub async fn watch(&self) {
        self.parts.shared.watch().await;
    }

    /// Waits until everything is written, at most so long; then it is given up.
    pub async fn finish(&self, limit: Duration) -> Result<(), Error> {
        let all_written = async {
            while self.parts.shared.waiting().0 > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = tokio::time::timeout(limit, all_written).await; // What is waiting then is told below.
        self.parts.shared.give_up();
        match self.parts.shared.waiting() {
            (0, _) => Ok(()),
            (commits, cause) => {
                Err(Error::Unwritten { commits, cause: cause.unwrap_or_else(|| "a write hangs".to_owned()) })
            }
        }
    }

    /// Makes a backup while everything goes on. Blocks as long as copying takes.
    pub fn backup(&self, folder: &Path, keep: usize) -> Result<backup::Backup, backup::Error> {
        let db = self.parts.shared.db().ok_or(backup::Error::Read { cause: Error::Down })?.kept();
        backup::make(&db, folder, keep)
    }

    /// Ends the database's own work, if that takes no longer than this. A process may end with a store that is
    /// open still, held by a thread that reads, but not while the database works.
    pub async fn rest(&self, limit: Duration) {
        let rocks = self.clone();
        let rest = tokio::task::spawn_blocking(move || {
            if let Some(db) = rocks.parts.shared.db_now() {
                db.cancel_all_background_work(true);
            }
        });
        if tokio::time::timeout(limit, rest).await.is_err() {
            tracing::error!("the store cannot be closed: its disk hangs");
        }
    }

    /// Reads records without the disk and without a wait; `None` if that cannot be done.
    pub fn get_from_memory(&self, keys: &[String]) -> Option<Vec<Option<Vec<u8>>>> {
        let db = self.parts.shared.db_now()?;
        let mut options = ReadOptions::default();
        options.set_read_tier(ReadTier::BlockCache);
        // What only the disk has is an error here; an error of the disk shows when it is read.
        keys.iter().map(|key| db.get_opt(key, &options).ok()).collect()
    }

    /// Reads a record. Blocks for a disk read, and while the database is opened again.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.parts.shared.db().ok_or(Error::Down)?.get(key).map_err(Error::Read)
    }

    /// The keys from the first one on, before the other one, in their order.
    pub fn keys(&self, from: &str, to: &str, limit: usize) -> Result<Vec<String>, Error> {
        Ok(self.records(from, to, limit)?.into_iter().map(|(key, _)| key).collect())
    }

    /// The records of those keys.
    pub fn records(&self, from: &str, to: &str, limit: usize) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let db = self.parts.shared.db().ok_or(Error::Down)?;
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(to);
        let from = from.as_bytes().max(FIRST_KEY);
        let records = db.iterator_opt(IteratorMode::From(from, Direction::Forward), options);
        let record = |(key, value): (Box<[u8]>, Box<[u8]>)| (text(&key), value.into());
        records.take(limit).map(|it| it.map(record)).collect::<Result<_, _>>().map_err(Error::Read)
    }

    /// The records whose keys begin so, in the order of keys.
    pub fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, Error> {
        self.scan_from(prefix.as_bytes().max(FIRST_KEY), prefix)
    }

    fn scan_from(&self, from: &[u8], prefix: &str) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let db = self.parts.shared.db().ok_or(Error::Down)?;
        let mut records = Vec::new();
        for record in db.iterator(IteratorMode::From(from, Direction::Forward)) {
            let (key, value) = record.map_err(Error::Read)?;
            if !key.starts_with(prefix.as_bytes()) {
                break;
            }
            records.push((text(&key), value.into_vec()));
        }
        Ok(records)
    }
}

/// The bytes of a key. Those that are written are texts.
pub fn text(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
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
