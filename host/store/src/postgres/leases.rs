//! Leases of nodes and units in PostgreSQL; see [`crate::lease`] for what they promise.
//!
//! Invariants: all times are `clock_timestamp()` of the database, asked for after the rows were locked that they are
//! compared with. A claim holds the rows of the unit, of its holder's lease and of its own, so a renewal that is under
//! way is waited for, and so is what is being written for the unit.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::Postgres;
use super::connect::{Client, Pool, within};
use super::error::Failure;
use crate::lease::{Error, Lease, Node, Speaks, Terms, Unit};

/// How long any of this may take, as leases are short.
const LEASE_MAX: Duration = Duration::from_secs(5);
/// How often another free number is looked for when somebody else was faster.
const TAKES_MAX: u32 = 64;

/// Takes the number $1 for $2 seconds, if nobody has it.
const TAKE: &str = "
    INSERT INTO nodes AS held (number, incarnation, until)
    VALUES ($1, 1, clock_timestamp() + make_interval(secs => $2))
    ON CONFLICT (number) DO UPDATE
    SET incarnation = held.incarnation + 1, until = clock_timestamp() + make_interval(secs => $2),
        speaks = NULL, speaks_oldest = NULL, partitions = NULL, hears = NULL
    WHERE held.until <= clock_timestamp()
    RETURNING incarnation";
/// The lowest number that nobody has. The first is 1; else one that has run out, or follows one that was ever taken.
const FREE: &str = "
    SELECT min(number) FROM (
        SELECT number FROM nodes WHERE until <= clock_timestamp()
        UNION ALL SELECT number + 1 FROM nodes AS one
        WHERE NOT EXISTS (SELECT 1 FROM nodes AS other WHERE other.number = one.number + 1)
        UNION ALL SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM nodes WHERE number = 1)
    ) AS free";
/// For how much longer leases last, in seconds.
const LEFT: &str = "greatest(extract(epoch FROM until - clock_timestamp()), 0)::float8";
/// Whether the lease of node $1 with incarnation $2 lasts. The lock waits for a renewal that is under way.
const LASTS: &str = "SELECT incarnation = $2 AND until > clock_timestamp() FROM nodes WHERE number = $1 FOR SHARE";

impl Postgres {
    pub async fn take_node(&self, preferred: Option<u16>, ttl: Duration) -> Result<Node, Error> {
        for _ in 0..TAKES_MAX {
            let number = match preferred {
                Some(number) => number,
                None => self.free_number().await?.ok_or(Error::NoneFree)?,
            };
            let rows = self.of_nodes(TAKE, &[&i32::from(number), &ttl.as_secs_f64()]).await?;
            if let Some(row) = rows.first() {
                return Ok(Node { number, incarnation: unsigned(row.get(0)) });
            }
            if preferred.is_some() {
                let sql = format!("SELECT {LEFT} FROM nodes WHERE number = $1");
                let rows = self.of_nodes(&sql, &[&i32::from(number)]).await?;
                let left = rows.first().map(|row| Duration::from_secs_f64(row.get(0))).unwrap_or_default();
                return Err(Error::Held { number, left });
            }
        }
        Err(Error::NoneFree)
    }

    async fn free_number(&self) -> Result<Option<u16>, Error> {
        let rows = self.of_nodes(FREE, &[]).await?;
        let number: Option<i32> = rows.first().and_then(|row| row.get(0));
        // One beyond the last is no number.
        Ok(number.and_then(|number| u16::try_from(number).ok()))
    }

    pub async fn renew(&self, node: &Node, ttl: Duration, hears: Option<&BTreeSet<u16>>) -> Result<(), Error> {
        // Zero is the mark of one that was ended or given back.
        let sql = "UPDATE nodes SET until = clock_timestamp() + make_interval(secs => $3), hears = $4 \
                   WHERE number = $1 AND incarnation = $2 AND until > to_timestamp(0) RETURNING 1";
        let (number, incarnation) = parts(node);
        let hears: Option<Vec<i32>> = hears.map(|hears| hears.iter().copied().map(i32::from).collect());
        match self.of_nodes(sql, &[&number, &incarnation, &ttl.as_secs_f64(), &hears]).await?.is_empty() {
            true => Err(Error::Lost(*node)),
            false => Ok(()),
        }
    }

    pub async fn note_terms(&self, node: &Node, terms: Terms) -> Result<(), Error> {
        let sql = "UPDATE nodes SET speaks = $3, speaks_oldest = $4, partitions = $5 \
                   WHERE number = $1 AND incarnation = $2 AND until > to_timestamp(0) RETURNING 1";
        let (number, incarnation) = parts(node);
        let Terms { speaks, partitions } = terms;
        let (version, oldest, partitions) =
            (i64::from(speaks.version), i64::from(speaks.oldest), i32::from(partitions));
        match self.of_nodes(sql, &[&number, &incarnation, &version, &oldest, &partitions]).await?.is_empty() {
            true => Err(Error::Lost(*node)),
            false => Ok(()),
        }
    }

    pub async fn release_node(&self, node: &Node) -> Result<(), Error> {
        let sql = "UPDATE nodes SET until = to_timestamp(0) WHERE number = $1 AND incarnation = $2";
        let (number, incarnation) = parts(node);
        self.of_nodes(sql, &[&number, &incarnation]).await.map(drop)
    }

    pub async fn end_node(&self, node: &Node) -> Result<bool, Error> {
        let sql = "UPDATE nodes SET until = to_timestamp(0) \
                   WHERE number = $1 AND incarnation = $2 AND until <= clock_timestamp() RETURNING 1";
        let (number, incarnation) = parts(node);
        Ok(!self.of_nodes(sql, &[&number, &incarnation]).await?.is_empty())
    }

    pub async fn claim_unit(&self, name: &str, node: &Node) -> Result<Option<u64>, Error> {
        let claimed = within(LEASE_MAX, async {
            let client = self.shared.control.client().await?;
            client.execute("BEGIN").await?;
            let claimed = claim(&client, name, node).await?;
            client.execute("COMMIT").await?;
            client.give_back();
            Ok(claimed)
        });
        match claimed.await {
            Ok(Claimed::Epoch(epoch)) => Ok(Some(epoch)),
            Ok(Claimed::Held) => Ok(None),
            Ok(Claimed::Lost) => Err(Error::Lost(*node)),
            Err(failure) => Err(Error::Store(failure.into())),
        }
    }

    pub async fn release_unit(&self, name: &str, node: &Node, epoch: u64) -> Result<(), Error> {
        let sql = "UPDATE units SET node = NULL, incarnation = NULL \
                   WHERE name = $1 AND node = $2 AND incarnation = $3 AND epoch = $4";
        let (number, incarnation) = parts(node);
        self.of_units(sql, &[&name, &number, &incarnation, &signed(epoch)]).await.map(drop)
    }

    pub async fn units(&self) -> Result<Vec<Unit>, Error> {
        let sql = "SELECT name, epoch, node, units.incarnation, \
                   coalesce(nodes.incarnation = units.incarnation AND until > clock_timestamp(), false) \
                   FROM units LEFT JOIN nodes ON number = node ORDER BY name COLLATE \"C\"";
        Ok(self.of_units(sql, &[]).await?.iter().map(unit).collect())
    }

    pub async fn nodes(&self) -> Result<Vec<Lease>, Error> {
        let sql = format!(
            "SELECT number, incarnation, {LEFT}, speaks, speaks_oldest, partitions, hears FROM nodes ORDER BY number"
        );
        let lease = |row: &Row| Lease {
            node: node(row.get(0), row.get(1)),
            left: Duration::from_secs_f64(row.get(2)),
            terms: terms(row.get(3), row.get(4), row.get(5)),
            hears: row.get::<_, Option<Vec<i32>>>(6).map(numbers),
        };
        Ok(self.of_nodes(&sql, &[]).await?.iter().map(lease).collect())
    }

    /// Asks for units; once, since the caller knows best how long it can wait.
    async fn of_units(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        ask(&self.shared.control, sql, parameters).await
    }

    /// Asks for the leases of nodes, by a connection that is for nothing else.
    async fn of_nodes(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        ask(&self.shared.renewals, sql, parameters).await
    }
}

async fn ask(pool: &Pool, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
    let asked = within(LEASE_MAX, pool.query(sql, parameters)).await;
    asked.map_err(|failure| Error::Store(failure.into()))
}

/// How a claim has ended.
enum Claimed {
    Epoch(u64),
    /// By another node whose lease lasts.
    Held,
    /// The lease of who claims.
    Lost,
}

/// Claims in a transaction. All claims take the row of the unit first, so they come one after the other.
async fn claim(client: &Client, name: &str, node: &Node) -> Result<Claimed, Failure> {
    let (number, incarnation) = parts(node);
    client.query("INSERT INTO units (name, epoch) VALUES ($1, 0) ON CONFLICT DO NOTHING", &[&name]).await?;
    let rows = client.query("SELECT node, incarnation FROM units WHERE name = $1 FOR UPDATE", &[&name]).await?;
    let holder = rows.first().and_then(|row| row.get::<_, Option<i32>>(0).zip(row.get::<_, Option<i64>>(1)));
    if let Some((other, of_other)) = holder
        && (other, of_other) != (number, incarnation)
        && lasts(client, other, of_other).await?
    {
        return Ok(Claimed::Held);
    }
    if !lasts(client, number, incarnation).await? {
        return Ok(Claimed::Lost);
    }
    let sql = "UPDATE units SET node = $2, incarnation = $3, epoch = epoch + 1 WHERE name = $1 RETURNING epoch";
    let rows = client.query(sql, &[&name, &number, &incarnation]).await?;
    Ok(rows.first().map_or(Claimed::Held, |row| Claimed::Epoch(unsigned(row.get(0)))))
}

async fn lasts(client: &Client, number: i32, incarnation: i64) -> Result<bool, Failure> {
    let rows = client.query(LASTS, &[&number, &incarnation]).await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

fn unit(row: &Row) -> Unit {
    let holder = row.get::<_, Option<i32>>(2).zip(row.get::<_, Option<i64>>(3));
    Unit {
        name: row.get(0),
        epoch: unsigned(row.get(1)),
        holder: holder.map(|(number, incarnation)| node(number, incarnation)),
        is_alive: row.get(4),
    }
}

fn node(number: i32, incarnation: i64) -> Node {
    Node { number: u16::try_from(number).unwrap_or_default(), incarnation: unsigned(incarnation) }
}

fn terms(version: Option<i64>, oldest: Option<i64>, partitions: Option<i32>) -> Option<Terms> {
    let number = |number| u32::try_from(number).unwrap_or_default();
    let speaks = Speaks { version: number(version?), oldest: number(oldest?) };
    Some(Terms { speaks, partitions: u16::try_from(partitions?).unwrap_or_default() })
}

/// Those that are numbers of nodes.
fn numbers(hears: Vec<i32>) -> BTreeSet<u16> {
    hears.into_iter().filter_map(|number| u16::try_from(number).ok()).collect()
}

fn parts(node: &Node) -> (i32, i64) {
    (i32::from(node.number), signed(node.incarnation))
}

/// Counters, which the database has as signed numbers that are never negative.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
