//! The store: ordered records, atomic and durable batches, conditional commits. Two drivers keep the same promises:
//! RocksDB for a host that is one process, and PostgreSQL, which many nodes share.
//!
//! | module | |
//! |---|---|
//! | [`Store`] | the handle, the same for both drivers |
//! | [`lease`] | which node runs what: leases of nodes, units with epochs, and fences |
//! | [`postgres`] | how PostgreSQL is reached, and its driver |
//! | `rocks` | the driver of RocksDB |
//! | [`backup`], [`lock`] | backups of RocksDB's folder, and who may use it |
//! | [`read_only`] | all records as they are at one moment, for checks and copies |
//! | [`copy`] | all records from one store to another |
//!
//! Invariants: a batch that was acknowledged is durable, and is there whole. Those of one handle are made in the order
//! in which they were given. One that cannot be made waits until it can, and all after it; meanwhile the store is
//! down, which everyone hears by [`Store::up`]. Whatever breaks in the middle, each is made once.

pub mod backup;
mod batch;
pub mod copy;
pub mod lease;
pub mod lock;
pub mod postgres;
pub mod read_only;
mod rocks;

use std::path::Path;
use std::time::Duration;

use scenehost_core::Write;
use tokio::sync::{oneshot, watch};

pub use batch::{Expected, Outcome};
pub use read_only::ReadOnly;

use batch::Batch;
use lease::{Fence, Leases};
use lock::DataLock;
use postgres::Postgres;
use rocks::Rocks;

/// The longest key in bytes. PostgreSQL's indexes take about 2,700.
pub const KEY_BYTES_MAX: usize = 1_024;
/// The largest value in bytes.
pub const VALUE_BYTES_MAX: usize = 16 << 20;
/// The most that the keys and values of a batch have together, in bytes. PostgreSQL's messages take 1 GiB.
pub const BATCH_BYTES_MAX: usize = 256 << 20;
/// How many batches may wait for a writer; a commit beyond that waits in its service.
const BATCHES_MAX: usize = 4_096;
/// How many batches go into one sync.
const GROUP_MAX: usize = 1_024;

/// Why the store does not do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// RocksDB refuses.
    #[error("the store at {path} cannot be opened ({cause}); is another scenehost using it, or is the disk full?")]
    Open {
        /// Where it should be.
        path: String,
        /// What RocksDB says.
        cause: rocksdb::Error,
    },
    /// A restore has stopped in its middle.
    #[error(
        "there is no store at {path}, but {left} stands beside it, from a restore that was interrupted: run \
         `scenehost store restore` again, or rename the newest {path}.before-restore-N to {path}. \
         For a host without anything that was, move these away"
    )]
    Interrupted {
        /// Where it should be.
        path: String,
        /// What is there in its place.
        left: String,
    },
    /// A copy into it has stopped in its middle.
    #[error(
        "the store at {place} has a part of what was being copied into it: run `scenehost store copy` again, with --force"
    )]
    HalfCopied {
        /// The folder or the schema.
        place: String,
    },
    /// RocksDB cannot read.
    #[error("the store cannot be read ({0})")]
    Read(rocksdb::Error),
    /// PostgreSQL refuses what it was asked.
    #[error("PostgreSQL does not do what it was asked: {0}")]
    Database(String),
    /// Nobody can read it now.
    #[error("the store cannot be read while it cannot be opened or reached; the log says why")]
    Down,
    /// The store has ended before the batch was made.
    #[error("the store has ended, and what was to be written was not")]
    Ended,
    /// Left over at the end.
    #[error(
        "commits that were never written nor acknowledged: {commits}, for the store could not be written ({cause})"
    )]
    Unwritten {
        /// How many.
        commits: usize,
        /// Why the last try failed.
        cause: String,
    },
    /// The unit belongs to somebody else by now: nothing of the batch was made, nor will be anything after it.
    #[error("{unit} is not this node's any more (it was with epoch {epoch}): nothing more is written for it")]
    Fenced {
        /// Whose batch it was.
        unit: String,
        /// What that unit's epoch was when this handle was made.
        epoch: u64,
    },
    /// A key that no driver takes.
    #[error("a key has {bytes} bytes, and may have 1 to {KEY_BYTES_MAX}: shorten what it is made of")]
    KeyLength {
        /// Of how many bytes it is.
        bytes: usize,
    },
    /// A key with a character that no driver takes.
    #[error("the key {key:?} has a NUL character, which no key may have")]
    KeyNul {
        /// The key.
        key: String,
    },
    /// A value, or a batch, that is too large.
    #[error("{what} has {bytes} bytes, and may have {bytes_max}: save less at once")]
    TooLarge {
        /// The key of the value, or the batch.
        what: String,
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The settings or the database are not as they have to be.
    #[error(transparent)]
    Postgres(#[from] postgres::Error),
}

/// A handle to the store. Cheap to clone; the store closes with the last one.
#[derive(Clone)]
pub struct Store(Driver);

#[derive(Clone)]
enum Driver {
    Rocks(Rocks),
    Postgres(Postgres),
}

/// A batch that is on its way to the disk.
pub struct Commit(oneshot::Receiver<Result<Outcome, Error>>);

impl Commit {
    /// Waits until the batch is durable, however long that takes. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When it never will be: the store has ended, or the unit of this handle is somebody else's.
    pub async fn synced(&mut self) -> Result<(), Error> {
        self.outcome().await.map(drop)
    }

    async fn outcome(&mut self) -> Result<Outcome, Error> {
        (&mut self.0).await.map_err(|_| Error::Ended)?
    }
}

impl Store {
    /// Opens RocksDB's store in this folder, or makes a new one; not where an interrupted restore has left none.
    /// Whoever does so holds the lock of the folder around it, which is given back when the store is closed.
    ///
    /// # Errors
    /// When it cannot be opened, or is not whole.
    pub fn open(path: &Path, lock: DataLock) -> Result<Self, Error> {
        let rocks = Rocks::open(path, lock)?;
        match rocks.is_half_copied()? {
            true => Err(Error::HalfCopied { place: path.display().to_string() }),
            false => Ok(Self(Driver::Rocks(rocks))),
        }
    }

    /// Connects with PostgreSQL, and brings its tables to what this version needs. Has to be called in a runtime, in
    /// which it goes on working.
    ///
    /// # Errors
    /// When the database cannot be reached, is none that this can use, or is not whole.
    pub async fn connect(settings: &postgres::Settings) -> Result<Self, Error> {
        let postgres = Postgres::connect(settings).await?;
        match postgres.is_half_copied().await? {
            true => Err(Error::HalfCopied { place: settings.place() }),
            false => Ok(Self(Driver::Postgres(postgres))),
        }
    }

    /// The leases of nodes and units that are kept here.
    pub fn leases(&self) -> Leases {
        match &self.0 {
            Driver::Rocks(rocks) => Leases::of_rocks(rocks.clone()),
            Driver::Postgres(postgres) => Leases::of_postgres(postgres.clone()),
        }
    }

    /// The same store for the owner of a unit: batches are made only while the unit has this epoch and has not been
    /// released, which is looked at in the same transaction. From the first one on that finds it otherwise, all are
    /// refused as [`Error::Fenced`]. Batches of this handle have an order of their own. Reads are not fenced.
    pub fn fenced(&self, unit: &str, epoch: u64) -> Self {
        let fence = Fence { unit: unit.to_owned(), epoch };
        Self(match &self.0 {
            Driver::Rocks(rocks) => Driver::Rocks(rocks.fenced(fence)),
            Driver::Postgres(postgres) => Driver::Postgres(postgres.fenced(fence)),
        })
    }

    /// Gives a batch to the writer: it is made whole or not at all, after those that were given to this handle
    /// before it. Waits only while too many do; dropped before it is ready, nothing was given.
    ///
    /// # Errors
    /// A key or value that no driver takes, of which nothing is made; a store that has ended.
    pub async fn begin(&self, writes: Vec<Write>) -> Result<Commit, Error> {
        self.give(Vec::new(), writes).await
    }

    /// Makes a batch if each of these records is as expected at that moment, and waits until it is durable, or it is
    /// certain that it was not made. Its place in the order is that of [`Store::begin`].
    ///
    /// # Errors
    /// Those of `begin` and of [`Commit::synced`].
    pub async fn commit_if(&self, expected: Vec<Expected>, writes: Vec<Write>) -> Result<Outcome, Error> {
        self.give(expected, writes).await?.outcome().await
    }

    async fn give(&self, expected: Vec<Expected>, writes: Vec<Write>) -> Result<Commit, Error> {
        let (done, answer) = oneshot::channel();
        let batch = Batch { writes, expected, guard: None, done };
        batch.check()?;
        match &self.0 {
            Driver::Rocks(rocks) => rocks.begin(batch).await?,
            Driver::Postgres(postgres) => postgres.begin(batch).await?,
        }
        Ok(Commit(answer))
    }

    /// Whether it can be written, now and later.
    pub fn up(&self) -> watch::Receiver<bool> {
        match &self.0 {
            Driver::Rocks(rocks) => rocks.up(),
            Driver::Postgres(postgres) => postgres.up(),
        }
    }

    /// Looks for writes that hang and for a database that is away, for ever: then the store is down, too.
    pub async fn watch(self) {
        match self.0 {
            Driver::Rocks(rocks) => rocks.watch().await,
            Driver::Postgres(postgres) => postgres.watch().await,
        }
    }

    /// Waits until everything of this handle is written, at most so long; then it is given up.
    ///
    /// # Errors
    /// How much was not.
    pub async fn finish(&self, limit: Duration) -> Result<(), Error> {
        match &self.0 {
            Driver::Rocks(rocks) => rocks.finish(limit).await,
            Driver::Postgres(postgres) => postgres.finish(limit).await,
        }
    }

    /// Opens RocksDB's store in this folder to read it, as it is now; a host may be using it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn read_only(path: &Path) -> Result<ReadOnly, Error> {
        ReadOnly::of_rocks(path)
    }

    /// Makes a backup while everything goes on. Blocks as long as copying takes.
    ///
    /// # Errors
    /// When it cannot be made; one of PostgreSQL is made by its own tools.
    pub fn backup(&self, folder: &Path, keep: usize) -> Result<backup::Backup, backup::Error> {
        match &self.0 {
            Driver::Rocks(rocks) => rocks.backup(folder, keep),
            Driver::Postgres(_) => Err(backup::Error::Elsewhere),
        }
    }

    /// Ends the database's own work, if that takes no longer than this. A process may end with a store that is
    /// open still, held by a thread that reads, but not while RocksDB works.
    pub async fn rest(&self, limit: Duration) {
        match &self.0 {
            Driver::Rocks(rocks) => rocks.rest(limit).await,
            Driver::Postgres(postgres) => postgres.rest(),
        }
    }

    /// Reads records without the disk and without a wait; `None` if that cannot be done, as always with PostgreSQL.
    pub fn get_from_memory(&self, keys: &[String]) -> Option<Vec<Option<Vec<u8>>>> {
        match &self.0 {
            Driver::Rocks(rocks) => rocks.get_from_memory(keys),
            Driver::Postgres(_) => None,
        }
    }

    /// Reads a record. With RocksDB it is ready at the first poll, which blocks for a disk read, and while the
    /// database is opened again.
    ///
    /// # Errors
    /// When the store cannot be read now.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        match &self.0 {
            Driver::Rocks(rocks) => rocks.get(key),
            Driver::Postgres(postgres) => postgres.get(key).await,
        }
    }

    /// Reads records, in the order of the keys asked for; else as [`Store::get`].
    ///
    /// # Errors
    /// When the store cannot be read now.
    pub async fn get_all(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        match &self.0 {
            Driver::Rocks(rocks) => keys.iter().map(|key| rocks.get(key)).collect(),
            Driver::Postgres(postgres) => postgres.get_all(keys).await,
        }
    }

    /// The keys from the first one on, before the other one, in their order, which is that of their bytes; at most
    /// so many. Waits as [`Store::get`] does.
    ///
    /// # Errors
    /// When the store cannot be read now.
    pub async fn keys(&self, from: &str, to: &str, limit: usize) -> Result<Vec<String>, Error> {
        match &self.0 {
            Driver::Rocks(rocks) => rocks.keys(from, to, limit),
            Driver::Postgres(postgres) => postgres.keys(from, to, limit).await,
        }
    }

    /// The records of those keys.
    ///
    /// # Errors
    /// When the store cannot be read now.
    pub async fn records(&self, from: &str, to: &str, limit: usize) -> Result<Vec<(String, Vec<u8>)>, Error> {
        match &self.0 {
            Driver::Rocks(rocks) => rocks.records(from, to, limit),
            Driver::Postgres(postgres) => postgres.records(from, to, limit).await,
        }
    }

    /// The records whose keys begin so, in the order of keys, as they are at one moment.
    ///
    /// # Errors
    /// When the store cannot be read now.
    pub async fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, Error> {
        match &self.0 {
            Driver::Rocks(rocks) => rocks.scan(prefix),
            Driver::Postgres(postgres) => postgres.scan(prefix).await,
        }
    }
}
