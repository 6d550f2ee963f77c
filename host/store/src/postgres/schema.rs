//! The tables, and how those of an older version become those of this one.
//!
//! Invariants: a version's step is made in one transaction with the note that it was, by one process at a time. Tables
//! of a newer version are left alone.

use super::connect::{Client, Pool, QUERY_MAX, within};
use super::error::Failure;
use super::{Error, Settings};

/// What each version adds to the one before it.
///
/// Keys are bytes, so their order is that of bytes whatever the database's collation is.
const STEPS: [&str; 3] = [
    "
    CREATE TABLE records (
        key bytea PRIMARY KEY,
        value bytea NOT NULL
    );
    -- The number of the last group that a writer has made; see postgres.rs.
    CREATE TABLE writers (
        id bigint PRIMARY KEY,
        number bigint NOT NULL,
        at timestamptz NOT NULL DEFAULT clock_timestamp()
    );
    CREATE TABLE nodes (
        number integer PRIMARY KEY CHECK (number BETWEEN 1 AND 65535),
        incarnation bigint NOT NULL,
        until timestamptz NOT NULL
    );
    CREATE TABLE units (
        name text PRIMARY KEY,
        epoch bigint NOT NULL,
        node integer,
        incarnation bigint
    );
",
    // What each node says so that others know whether they can work with it; see lease.rs.
    "ALTER TABLE nodes ADD COLUMN speaks bigint, ADD COLUMN speaks_oldest bigint, ADD COLUMN partitions integer;",
    // Which other nodes each one hears; see lease.rs.
    "ALTER TABLE nodes ADD COLUMN hears integer[];",
];
/// Which version of the tables this is.
#[expect(clippy::cast_possible_wrap, clippy::cast_possible_truncation, reason = "there are few")]
const VERSION: i32 = STEPS.len() as i32;
/// Asks for the version of the tables that are there.
const OF_META: &str = "SELECT version FROM meta";
/// How long what writers have left is kept. Longer than any host waits for its database.
const WRITERS_KEPT: &str = "30 days";

/// Makes what is missing, and refuses what is not known.
pub async fn migrate(pool: &Pool, settings: &Settings) -> Result<(), Error> {
    let connect = |failure: Failure| Error::Connect { place: settings.place(), cause: failure.to_string() };
    let migrated = within(QUERY_MAX, async {
        let client = pool.client().await?;
        client.execute("BEGIN").await?;
        let found = version(&client, &settings.schema).await?;
        if found <= VERSION {
            for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
                client.execute(step).await?;
            }
            client.query("UPDATE meta SET version = $1 WHERE version < $1", &[&VERSION]).await?;
            client.execute(&format!("DELETE FROM writers WHERE at < now() - interval '{WRITERS_KEPT}'")).await?;
        }
        client.execute("COMMIT").await?;
        client.give_back();
        Ok(found)
    });
    let found = migrated.await.map_err(connect)?;
    if found > VERSION {
        return Err(Error::Newer { place: settings.place(), found, known: VERSION });
    }
    if found < VERSION {
        tracing::info!(place = settings.place(), from = found, to = VERSION, "the store's tables were made");
    }
    warn_if_not_durable(pool).await.map_err(connect)
}

/// Refuses tables that are not of this version, and changes nothing.
pub async fn check(pool: &Pool, settings: &Settings) -> Result<(), Error> {
    let place = settings.place();
    let found = within(QUERY_MAX, async {
        let client = pool.client().await?;
        let found = match has_meta(&client, &settings.schema).await? {
            true => client.query(OF_META, &[]).await?.first().map_or(0, |row| row.get(0)),
            false => 0,
        };
        client.give_back();
        Ok(found)
    });
    match found.await {
        Ok(VERSION) => Ok(()),
        Ok(found) if found > VERSION => Err(Error::Newer { place, found, known: VERSION }),
        Ok(found) => Err(Error::Older { place, found, known: VERSION }),
        Err(failure) => Err(Error::Connect { place, cause: failure.to_string() }),
    }
}

async fn has_meta(client: &Client, schema: &str) -> Result<bool, Failure> {
    let sql = "SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = 'meta'";
    Ok(!client.query(sql, &[&schema]).await?.is_empty())
}

/// The version of the tables there, once nobody else is changing them; 0 if there are none.
async fn version(client: &Client, schema: &str) -> Result<i32, Failure> {
    // Others that come at the same time wait until this transaction ends.
    client.query("SELECT pg_advisory_xact_lock(hashtextextended('scenehost ' || $1, 0))", &[&schema]).await?;
    // A user who may not make a schema can use one that is there.
    let there = client.query("SELECT 1 FROM pg_namespace WHERE nspname = $1", &[&schema]).await?;
    if there.is_empty() {
        client.execute(&format!("CREATE SCHEMA \"{schema}\"")).await?;
    }
    if !has_meta(client, schema).await? {
        let meta = "CREATE TABLE meta (version integer NOT NULL, half_copied boolean NOT NULL DEFAULT false); \
                    INSERT INTO meta (version) VALUES (0)";
        client.execute(meta).await?;
    }
    let rows = client.query(OF_META, &[]).await?;
    Ok(rows.first().map_or(0, |row| row.get(0)))
}

async fn warn_if_not_durable(pool: &Pool) -> Result<(), Failure> {
    let rows = pool.query("SELECT current_setting('fsync') = 'off'", &[]).await?;
    if rows.first().is_some_and(|row| row.get(0)) {
        tracing::warn!("the database runs with fsync = off: what is acknowledged is lost if its machine fails");
    }
    Ok(())
}
