//! All records as they are at one moment: a transaction that only reads and sees nothing of what comes later.

use super::connect::{Client, Pool, QUERY_MAX, within};
use super::error::Failure;
use super::schema;
use super::{Error, Settings, record};
use crate::Error as StoreError;

/// The records of one moment.
pub struct Snapshot {
    client: Client,
    /// Nobody else needs a connection of it.
    _pool: Pool,
}

impl Snapshot {
    /// Connects and stops the time.
    ///
    /// # Errors
    /// When the database cannot be reached, or is none that this can use.
    pub async fn open(settings: &Settings) -> Result<Self, Error> {
        let pool = Pool::new(settings, 1)?;
        schema::check(&pool, settings).await?;
        let begun = within(QUERY_MAX, async {
            let client = pool.client().await?;
            // The reader may take its time from one page to the next.
            client.execute("SET idle_in_transaction_session_timeout TO 0").await?;
            // The moment is that of the first look.
            client.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1 FROM meta").await?;
            Ok(client)
        });
        let connect = |failure: Failure| Error::Connect { place: settings.place(), cause: failure.to_string() };
        Ok(Self { client: begun.await.map_err(connect)?, _pool: pool })
    }

    /// The next records after this key, in their order; none at the end.
    pub(crate) async fn page(&self, after: &str, limit: usize) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let sql = "SELECT key, value FROM records WHERE key > $1 ORDER BY key LIMIT $2";
        let limit = super::limit_of(limit);
        let rows = within(QUERY_MAX, self.client.query(sql, &[&after.as_bytes(), &limit])).await?;
        Ok(rows.iter().map(record).collect())
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT value FROM records WHERE key = $1";
        let rows = within(QUERY_MAX, self.client.query(sql, &[&key.as_bytes()])).await?;
        Ok(rows.first().map(|row| row.get(0)))
    }
}
