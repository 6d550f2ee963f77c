//! The writer of a handle: takes all batches that wait and makes them in one transaction (group commit).
//!
//! Invariants: groups are made one after the other, in the order in which they were given, each once: see
//! `postgres.rs` for how. None is passed over: what cannot be made is tried again until it is, or is given up, and
//! then nothing after it is made either. The transaction of a fenced handle holds the row of its unit, so that a claim
//! waits for it; from the first that finds the unit's epoch another one on, nothing is made any more.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::TryRng as _;
use tokio::sync::mpsc;
use tokio_postgres::types::ToSql;

use super::Progress;
use super::connect::{Client, Pool, QUERY_MAX, within};
use super::error::Failure;
use super::health::Party;
use crate::GROUP_MAX;
use crate::batch::{Batch, Changes, Decision, changes, decide};
use crate::lease::Fence;

/// A group with so many bytes takes no further batch.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// How long it is from a failure to the next try, after the first, which is tried again at once; doubles up to the
/// maximum.
const RETRY: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// A transaction that has not ended by then hangs, and the store is down until it has.
const HANGS: Duration = Duration::from_secs(2);
/// How long the note about this writer may take to be removed when nobody needs it any more.
const FORGET_MAX: Duration = Duration::from_secs(2);

/// Removes and sets records, as part of a statement after `mine`, whose one row lets it happen.
const CHANGES: &str = "
    gone AS (DELETE FROM records USING mine WHERE key = ANY($3::bytea[])),
    made AS (
        INSERT INTO records (key, value)
        SELECT key, value FROM mine, unnest($4::bytea[], $5::bytea[]) AS put (key, value) ORDER BY key
        ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value
    )";
/// Moves the number of the writer $1 to $2, if it is the one before that.
const MINE: &str = "UPDATE writers SET number = $2::bigint, at = clock_timestamp() \
    WHERE id = $1::bigint AND number = $2::bigint - 1";

pub struct Writer {
    pool: Pool,
    fence: Option<Fence>,
    party: Party,
    progress: Arc<Progress>,
    sql: Statements,
    id: i64,
    /// The number of the next group.
    number: i64,
    /// Set once the fence was found broken.
    is_fenced: bool,
}

/// What a writer says to the database, with its fence in it.
struct Statements {
    /// A group without conditions, whole.
    all: String,
    /// The beginning of one with conditions.
    begin: String,
    /// Its changes.
    change: String,
}

/// How a try has ended that did not fail.
enum Tried {
    Made,
    Fenced,
    /// The note about this writer was not there, and is now, so the next one goes well.
    Noted,
}

impl Writer {
    pub fn new(pool: Pool, fence: Option<Fence>, party: Party, progress: Arc<Progress>) -> Self {
        let mut bytes = [0; 8];
        // Without randomness from the system no host starts, so this has it.
        rand::rngs::SysRng.try_fill_bytes(&mut bytes).expect("the operating system gives randomness");
        let sql = Statements::new(fence.is_some());
        Self { pool, fence, party, progress, sql, id: i64::from_le_bytes(bytes), number: 1, is_fenced: false }
    }

    /// Makes what is given until nobody can give anything any more, or it is given up.
    pub async fn run(mut self, mut given: mpsc::Receiver<Batch>) {
        while let Some(group) = next_group(&mut given).await {
            let Some(decisions) = self.make(&group).await else { return };
            self.progress.waiting.fetch_sub(group.len(), Ordering::Relaxed);
            for (batch, decision) in group.into_iter().zip(decisions) {
                match (decision, &self.fence) {
                    (Decision::Fenced, Some(fence)) => _ = batch.done.send(Err(fence.error())),
                    _ => batch.answer(decision),
                }
            }
        }
        let forget = async { self.pool.query("DELETE FROM writers WHERE id = $1", &[&self.id]).await };
        let _ = tokio::time::timeout(FORGET_MAX, forget).await; // Else a later start removes it.
    }

    /// Makes a group, whatever it takes, and tells what has become of its batches; `None` if it was given up.
    async fn make(&mut self, group: &[Batch]) -> Option<Vec<Decision>> {
        let (mut tries, mut wait, mut is_noted) = (0, RETRY, false);
        // What was decided in the last try. If that was made, it stays so.
        let mut decided = None;
        while !self.is_fenced {
            let tried = within(QUERY_MAX, self.try_once(group, &mut decided));
            match self.told_if_it_hangs(tried).await {
                Ok(Tried::Made) => {
                    self.number += 1;
                    self.party.set(None);
                    metrics::counter!("scenehost_store_syncs_total").increment(1);
                    metrics::counter!("scenehost_store_commits_total").increment(group.len() as u64);
                    return Some(decided.unwrap_or_else(|| vec![Decision::Made; group.len()]));
                }
                Ok(Tried::Fenced) => {
                    self.is_fenced = true;
                    self.party.set(None);
                }
                Ok(Tried::Noted) if !is_noted => is_noted = true,
                Ok(Tried::Noted) => return None, // Somebody removes it, whose database this is not any more.
                Err(failure) => {
                    tracing::warn!(%failure, tries, "a commit of the store failed");
                    // A connection that was lost is replaced without a word; what fails again is more than that.
                    if tries > 0 || !failure.may_pass() {
                        self.party.set(Some(failure.to_string()));
                        if self.given_up_within(wait).await {
                            return None;
                        }
                        wait = (wait * 2).min(RETRY_MAX);
                    }
                    tries += 1;
                }
            }
        }
        Some(vec![Decision::Fenced; group.len()])
    }

    /// Waits, and says meanwhile if that takes too long.
    async fn told_if_it_hangs<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(HANGS) => self.party.set(Some("a commit hangs".to_owned())),
        }
        work.await
    }

    /// Waits so long; whether it was given up.
    async fn given_up_within(&self, wait: Duration) -> bool {
        let mut gives_up = self.progress.gives_up.subscribe();
        tokio::time::timeout(wait, gives_up.wait_for(|gives_up| *gives_up)).await.is_ok()
    }

    async fn try_once(&self, group: &[Batch], decided: &mut Option<Vec<Decision>>) -> Result<Tried, Failure> {
        let client = self.pool.client().await?;
        let has_conditions = group.iter().any(|batch| !batch.expected.is_empty());
        let is_mine = match has_conditions {
            false => self.all_at_once(&client, group).await?,
            true => {
                // It may have been made by the try before this one, and then that one's decisions count.
                if let Some(tried) = self.made_before(&client, decided.is_some()).await? {
                    client.give_back();
                    return Ok(tried);
                }
                self.with_conditions(&client, group, decided).await?
            }
        };
        let tried = match is_mine {
            true => Tried::Made,
            false => self.why_not(&client).await?,
        };
        client.give_back();
        Ok(tried)
    }

    /// Makes a group without conditions in one statement; whether it was this one's turn and the fence holds.
    async fn all_at_once(&self, client: &Client, group: &[Batch]) -> Result<bool, Failure> {
        let changes = changes(group, &vec![Decision::Made; group.len()]);
        let rows = self.say(client, &self.sql.all, Some(&changes), true).await?;
        Ok(rows > 0)
    }

    /// Makes a group with conditions; whether it was this one's turn and the fence holds. All records of conditions
    /// are held before they are read, those that are not there by putting an empty one in their place, so that nobody
    /// else changes them until the transaction ends.
    async fn with_conditions(
        &self,
        client: &Client,
        group: &[Batch],
        decided: &mut Option<Vec<Decision>>,
    ) -> Result<bool, Failure> {
        client.execute("BEGIN").await?;
        if self.say(client, &self.sql.begin, None, true).await? == 0 {
            client.execute("ROLLBACK").await?;
            return Ok(false);
        }
        let conditions = group.iter().flat_map(|batch| &batch.expected);
        let keys: Vec<&[u8]> = conditions.map(|expected| expected.key.as_bytes()).collect();
        let hold = "INSERT INTO records (key, value) SELECT DISTINCT key, ''::bytea FROM unnest($1::bytea[]) AS held (key) \
                    ORDER BY key ON CONFLICT (key) DO NOTHING RETURNING key";
        let absent = client.query(hold, &[&keys]).await?;
        let absent: Vec<Vec<u8>> = absent.iter().map(|row| row.get(0)).collect();
        let read = "SELECT key, value FROM records WHERE key = ANY($1) AND key <> ALL($2) ORDER BY key FOR UPDATE";
        let present = client.query(read, &[&keys, &absent]).await?;
        let mut stored: BTreeMap<Vec<u8>, Option<Vec<u8>>> = absent.iter().map(|key| (key.clone(), None)).collect();
        stored.extend(present.iter().map(|row| (row.get(0), Some(row.get(1)))));

        let of_key = |key: &str| match stored.get(key.as_bytes()) {
            Some(value) => Ok(value.clone()),
            // Somebody has removed it between the two statements.
            None => Err(Failure::Away("a record of a condition was removed meanwhile".to_owned())),
        };
        let (decisions, mut changes) = decide(group, of_key)?;
        // What was put there to hold a place goes, unless it is written.
        for key in &absent {
            changes.entry(std::str::from_utf8(key).unwrap_or_default()).or_insert(None);
        }
        self.say(client, &self.sql.change, Some(&changes), false).await?;
        // From here on it may be made.
        *decided = Some(decisions);
        client.execute("COMMIT").await?;
        Ok(true)
    }

    /// Says a statement of this writer, which may have changes and the fence in it; how many rows come back.
    async fn say(
        &self,
        client: &Client,
        sql: &str,
        changes: Option<&Changes<'_>>,
        has_fence: bool,
    ) -> Result<usize, Failure> {
        let (mut gone, mut keys, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (key, value) in changes.into_iter().flatten() {
            match value {
                Some(value) => {
                    keys.push(key.as_bytes());
                    values.push(*value);
                }
                None => gone.push(key.as_bytes()),
            }
        }
        let fence = self.fence.as_ref().filter(|_| has_fence);
        let unit = fence.map(|fence| (&fence.unit, i64::try_from(fence.epoch).unwrap_or(i64::MAX)));
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&self.id, &self.number];
        if changes.is_some() {
            parameters.extend([&gone as &(dyn ToSql + Sync), &keys, &values]);
        }
        if let Some((unit, epoch)) = &unit {
            parameters.extend([*unit as &(dyn ToSql + Sync), epoch]);
        }
        Ok(client.query(sql, &parameters).await?.len())
    }

    /// Whether the try before this one was made after all.
    async fn made_before(&self, client: &Client, was_tried: bool) -> Result<Option<Tried>, Failure> {
        if !was_tried {
            return Ok(None);
        }
        Ok((self.last_made(client).await? == Some(self.number)).then_some(Tried::Made))
    }

    /// Why nothing was made.
    async fn why_not(&self, client: &Client) -> Result<Tried, Failure> {
        match self.last_made(client).await? {
            Some(last) if last == self.number => Ok(Tried::Made),
            Some(_) if self.fence.is_some() && !self.holds(client).await? => Ok(Tried::Fenced),
            Some(_) => Err(Failure::Away("it is another transaction's turn".to_owned())),
            None => {
                // The first group, or nothing has been written for so long that the note was removed.
                let begin = "INSERT INTO writers (id, number) VALUES ($1, $2) ON CONFLICT DO NOTHING";
                client.query(begin, &[&self.id, &(self.number - 1)]).await?;
                Ok(Tried::Noted)
            }
        }
    }

    /// The number of the last group that was made.
    async fn last_made(&self, client: &Client) -> Result<Option<i64>, Failure> {
        // The lock waits for a transaction of a connection that is broken for us, but not yet for the server.
        let rows = client.query("SELECT number FROM writers WHERE id = $1 FOR UPDATE", &[&self.id]).await?;
        Ok(rows.first().map(|row| row.get(0)))
    }

    async fn holds(&self, client: &Client) -> Result<bool, Failure> {
        let Some(Fence { unit, epoch }) = &self.fence else { return Ok(true) };
        let sql = "SELECT 1 FROM units WHERE name = $1 AND epoch = $2 AND node IS NOT NULL FOR SHARE";
        let epoch = i64::try_from(*epoch).unwrap_or(i64::MAX);
        Ok(!client.query(sql, &[unit, &epoch]).await?.is_empty())
    }
}

impl Statements {
    fn new(is_fenced: bool) -> Self {
        // Of a unit that is released or claimed meanwhile, PostgreSQL looks at the new row when it has the lock.
        let unit = |unit: &str, epoch: &str| match is_fenced {
            true => format!(
                "unit AS MATERIALIZED (SELECT 1 FROM units WHERE name = {unit} AND epoch = {epoch} \
                 AND node IS NOT NULL FOR SHARE), "
            ),
            false => String::new(),
        };
        let mine = if is_fenced { format!("{MINE} AND EXISTS (SELECT 1 FROM unit)") } else { MINE.to_owned() };
        Self {
            all: format!(
                "WITH {}mine AS ({mine} RETURNING 1), {CHANGES} SELECT 1 FROM mine",
                unit("$6::text", "$7::bigint")
            ),
            begin: format!("WITH {}mine AS ({mine} RETURNING 1) SELECT 1 FROM mine", unit("$3::text", "$4::bigint")),
            // The turn and the fence were looked at by `begin`, and are held.
            change: format!(
                "WITH mine AS (SELECT 1 FROM writers WHERE id = $1 AND number = $2), {CHANGES} \
                 SELECT 1 FROM mine"
            ),
        }
    }
}

/// What waits, up to the limits; `None` when nobody can give anything any more.
async fn next_group(given: &mut mpsc::Receiver<Batch>) -> Option<Vec<Batch>> {
    let first = given.recv().await?;
    let mut bytes = first.bytes();
    let mut group = vec![first];
    while group.len() < GROUP_MAX
        && bytes < GROUP_BYTES_MAX
        && let Ok(next) = given.try_recv()
    {
        bytes += next.bytes();
        group.push(next);
    }
    Some(group)
}
