//! The driver of PostgreSQL: a pool of connections, a writer for each handle that has an order of its own.
//!
//! How a batch is made once whatever breaks: each writer has a row with the number of its last group, and a group is
//! one transaction that moves that number from the one before to its own. After a broken connection nobody knows
//! whether the transaction was made. It is tried again with the same number, on another connection: if the number is
//! there, it was made, and nothing is done again; if a transaction of a connection that seemed dead is still under
//! way, the row's lock makes one wait for the other, and only the first finds the number that it needs.
//!
//! Invariants: a connection on which anything has failed or taken too long is not used again. Everything that waits
//! for the database has a limit. Leases have connections of their own, so they wait neither for reads nor for commits.

mod connect;
mod error;
mod health;
mod leases;
mod schema;
mod settings;
mod snapshot;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::batch::Batch;
use crate::lease::Fence;
use crate::{BATCHES_MAX, Error as StoreError};
use connect::Pool;
use health::Health;
use writer::Writer;

pub use error::Error;
pub use settings::{Settings, Tls};
pub use snapshot::Snapshot;

/// How often what only reads is tried, each time on another connection.
const READ_TRIES: u32 = 3;
/// How long it is from one to the next.
const READ_RETRY: Duration = Duration::from_millis(50);
/// How many connections claims and the look at the database have together. Claims may wait for commits.
const CONTROL_CONNECTIONS: usize = 2;
/// How many the leases of nodes have, which are renewed in time whatever else waits.
const RENEWAL_CONNECTIONS: usize = 1;
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long an answer to that may take.
const LOOK_MAX: Duration = Duration::from_secs(2);

/// A handle. Cheap to clone; clones have one order.
#[derive(Clone)]
pub struct Postgres {
    shared: Arc<Shared>,
    ours: Arc<Ours>,
}

/// What all handles have together.
struct Shared {
    pool: Pool,
    control: Pool,
    renewals: Pool,
    health: Arc<Health>,
}

/// What the clones of a handle have.
struct Ours {
    commits: mpsc::Sender<Batch>,
    progress: Arc<Progress>,
}

/// How far a writer is.
#[derive(Default)]
struct Progress {
    /// How many batches were given and are not made.
    waiting: AtomicUsize,
    gives_up: watch::Sender<bool>,
}

impl Drop for Ours {
    fn drop(&mut self) {
        // What was given is tried once, but nobody waits for a database that is away.
        self.progress.gives_up.send_replace(true);
    }
}

impl Postgres {
    /// Connects, and brings the tables to what this version needs.
    pub async fn connect(settings: &Settings) -> Result<Self, Error> {
        let pool = Pool::new(settings, settings.connections)?;
        let control = Pool::new(settings, CONTROL_CONNECTIONS)?;
        let renewals = Pool::new(settings, RENEWAL_CONNECTIONS)?;
        schema::migrate(&control, settings).await?;
        let shared = Arc::new(Shared { pool, control, renewals, health: Arc::new(Health::new()) });
        Ok(Self { ours: Arc::new(Ours::new(&shared, None)), shared })
    }

    /// See [`crate::Store::fenced`].
    pub fn fenced(&self, fence: Fence) -> Self {
        Self { ours: Arc::new(Ours::new(&self.shared, Some(fence))), shared: Arc::clone(&self.shared) }
    }

    /// Whether a copy into this store has stopped in its middle.
    pub async fn is_half_copied(&self) -> Result<bool, StoreError> {
        let rows = self.read("SELECT half_copied FROM meta", &[]).await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    /// Says that a copy into this store begins, or has ended.
    pub async fn set_half_copied(&self, is_so: bool) -> Result<(), StoreError> {
        // Twice is as good as once, so it may be tried as reads are.
        self.read("UPDATE meta SET half_copied = $1", &[&is_so]).await.map(drop)
    }

    /// See [`crate::Store::begin`].
    pub async fn begin(&self, batch: Batch) -> Result<(), StoreError> {
        let place = self.ours.commits.reserve().await.map_err(|_| StoreError::Ended)?;
        self.ours.progress.waiting.fetch_add(1, Ordering::Relaxed);
        place.send(batch);
        Ok(())
    }

    pub fn up(&self) -> watch::Receiver<bool> {
        self.shared.health.up()
    }

    /// Looks whether the database answers, for ever.
    pub async fn watch(&self) {
        let party = self.shared.health.party();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let answer = tokio::time::timeout(LOOK_MAX, self.shared.control.query("SELECT 1", &[])).await;
            let cause = match answer {
                Ok(Ok(_)) => None,
                Ok(Err(failure)) => Some(failure.to_string()),
                Err(_) => Some(format!("no answer within {} ms", LOOK_MAX.as_millis())),
            };
            party.set(cause);
        }
    }

    pub async fn finish(&self, limit: Duration) -> Result<(), StoreError> {
        let progress = &self.ours.progress;
        let all_made = async {
            while progress.waiting.load(Ordering::Relaxed) > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = tokio::time::timeout(limit, all_made).await; // What is waiting then is told below.
        progress.gives_up.send_replace(true);
        match progress.waiting.load(Ordering::Relaxed) {
            0 => Ok(()),
            commits => {
                let cause = self.shared.health.cause().unwrap_or_else(|| "a commit hangs".to_owned());
                Err(StoreError::Unwritten { commits, cause })
            }
        }
    }

    /// Closes the connections.
    pub fn rest(&self) {
        self.shared.pool.close();
        self.shared.control.close();
        self.shared.renewals.close();
    }

    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let rows = self.read("SELECT value FROM records WHERE key = $1", &[&key.as_bytes()]).await?;
        Ok(rows.first().map(|row| row.get(0)))
    }

    pub async fn get_all(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let sql = "SELECT value FROM unnest($1::bytea[]) WITH ORDINALITY AS asked (key, place) \
                   LEFT JOIN records USING (key) ORDER BY place";
        let keys: Vec<&[u8]> = keys.iter().map(String::as_bytes).collect();
        Ok(self.read(sql, &[&keys]).await?.iter().map(|row| row.get(0)).collect())
    }

    pub async fn keys(&self, from: &str, to: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT key FROM records WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3";
        let rows = self.read(sql, &[&from.as_bytes(), &to.as_bytes(), &limit_of(limit)]).await?;
        Ok(rows.iter().map(key).collect())
    }

    pub async fn records(&self, from: &str, to: &str, limit: usize) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let sql = "SELECT key, value FROM records WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3";
        let rows = self.read(sql, &[&from.as_bytes(), &to.as_bytes(), &limit_of(limit)]).await?;
        Ok(rows.iter().map(record).collect())
    }

    pub async fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let rows = match after_all(prefix) {
            Some(to) => {
                let sql = "SELECT key, value FROM records WHERE key >= $1 AND key < $2 ORDER BY key";
                self.read(sql, &[&prefix.as_bytes(), &to]).await?
            }
            None => self.read("SELECT key, value FROM records ORDER BY key", &[]).await?,
        };
        Ok(rows.iter().map(record).collect())
    }

    /// Asks what may be asked twice.
    async fn read(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
        let mut tries = 1;
        loop {
            match self.shared.pool.query(sql, parameters).await {
                Ok(rows) => return Ok(rows),
                Err(failure) if failure.may_pass() && tries < READ_TRIES => tries += 1,
                Err(failure) => return Err(failure.into()),
            }
            tokio::time::sleep(READ_RETRY).await;
        }
    }
}

impl Ours {
    fn new(shared: &Shared, fence: Option<Fence>) -> Self {
        let progress = Arc::<Progress>::default();
        let (commits, given) = mpsc::channel(BATCHES_MAX);
        let writer = Writer::new(shared.pool.clone(), fence, shared.health.party(), Arc::clone(&progress));
        tokio::spawn(writer.run(given));
        Self { commits, progress }
    }
}

/// The first bytes after all that begin so; `None` if nothing is.
fn after_all(prefix: &str) -> Option<Vec<u8>> {
    let mut bytes = prefix.as_bytes().to_vec();
    // No text has the byte 255, so the last one can grow.
    *bytes.last_mut()? += 1;
    Some(bytes)
}

fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn key(row: &Row) -> String {
    String::from_utf8_lossy(row.get(0)).into_owned()
}

fn record(row: &Row) -> (String, Vec<u8>) {
    (key(row), row.get(1))
}
