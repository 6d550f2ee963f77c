//! Which node runs what: leases of nodes, and units that nodes hold, each with an epoch.
//!
//! A node takes a number and renews its lease. One that has run out can still be renewed, as after a time without the
//! database, until it is ended or its number is taken again with the next incarnation. A unit is held by one node; it can
//! be claimed when nobody holds it or the lease of who does has run out, and each claim raises its epoch. What is written for a unit goes through
//! [`crate::Store::fenced`], which looks at the epoch in the same transaction.
//!
//! Invariants: all times are the database's. A lease that was ended stays so: renewing it fails from then on. Of
//! two who claim a unit at once one gets it. After a claim has been answered, nothing with an earlier epoch is written:
//! what was under way then is waited for. So an owner that was paused, or that the database cannot tell from a dead
//! one, can do nothing to what its successor has.
//!
//! RocksDB belongs to one process, which the lock of its folder sees to. There the process is the only node, its lease
//! lasts until it ends, and its incarnation grows with every start.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::postgres::Postgres;
use crate::rocks::Rocks;

/// The highest number of a node; the lowest is 1.
pub const NODE_NUMBER_MAX: u16 = u16::MAX;
/// The longest name of a unit in bytes.
pub const UNIT_BYTES_MAX: usize = 256;
/// The longest lease.
pub const TTL_MAX: Duration = Duration::from_secs(3_600);

/// A node that has a lease, or had one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// Its number, from 1.
    pub number: u16,
    /// How many leases of this number there have been; it tells this node from those before it.
    pub incarnation: u64,
}

impl std::fmt::Display for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (incarnation {})", self.number, self.incarnation)
    }
}

/// Which version of what nodes say to each other a node speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speaks {
    /// What it says.
    pub version: u32,
    /// The oldest version that it can work with.
    pub oldest: u32,
}

impl Speaks {
    /// Whether both can work together: each as the other, or as one of the versions that the other knows.
    pub fn works_with(self, other: Self) -> bool {
        self.version >= other.oldest && other.version >= self.oldest
    }
}

impl std::fmt::Display for Speaks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "speaks version {} and works with {} and later", self.version, self.oldest)
    }
}

/// What a node says of itself so that others know whether they can work with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// What it speaks.
    pub speaks: Speaks,
    /// In how many partitions the work of SceneMaster is split for it: where others have it split otherwise, two would
    /// have the same scenes.
    pub partitions: u16,
}

/// The lease of a node, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Whose it is.
    pub node: Node,
    /// What it has said of itself, if it has.
    pub terms: Option<Terms>,
    /// Which nodes it heard when it was renewed last, as its node has said; `None`: it has not said.
    pub hears: Option<BTreeSet<u16>>,
    /// For how much longer; nothing if it has run out or was given back.
    pub left: Duration,
}

/// A unit, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its name.
    pub name: String,
    /// How often it has been claimed.
    pub epoch: u64,
    /// Who has claimed it last and has not released it.
    pub holder: Option<Node>,
    /// Whether its holder's lease lasts.
    pub is_alive: bool,
}

/// Why a lease or a unit cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody has it.
    #[error("node {number} has a lease for {} ms more: wait until it has run out, or choose another number", left.as_millis())]
    Held {
        /// The number that was asked for.
        number: u16,
        /// For how much longer, if it is not renewed.
        left: Duration,
    },
    /// Everybody has one.
    #[error("all numbers of nodes, 1 to {NODE_NUMBER_MAX}, have leases")]
    NoneFree,
    /// The lease was ended or given back, or its number is another's.
    #[error("node {0} has lost its lease: what it held may be another's by now")]
    Lost(Node),
    /// What was asked for cannot be.
    #[error("{0}")]
    Wrong(&'static str),
    /// Whether it was done is not known.
    #[error(transparent)]
    Store(#[from] crate::Error),
}

/// The unit and the epoch that a handle writes for.
#[derive(Debug, Clone)]
pub struct Fence {
    pub unit: String,
    pub epoch: u64,
}

impl Fence {
    /// What everything is answered once it does not hold any more.
    pub fn error(&self) -> crate::Error {
        crate::Error::Fenced { unit: self.unit.clone(), epoch: self.epoch }
    }
}

/// The leases of a store. Cheap to clone.
#[derive(Clone)]
pub struct Leases(Driver);

#[derive(Clone)]
enum Driver {
    Rocks(Rocks),
    Postgres(Postgres),
}

impl Leases {
    pub(crate) fn of_rocks(rocks: Rocks) -> Self {
        Self(Driver::Rocks(rocks))
    }

    pub(crate) fn of_postgres(postgres: Postgres) -> Self {
        Self(Driver::Postgres(postgres))
    }

    /// Takes a number, this one or the lowest that is free, for so long.
    ///
    /// # Errors
    /// Somebody has it; a number or a time that cannot be; a database that does not answer, after which the number may
    /// be taken until that time is over.
    pub async fn take_node(&self, preferred: Option<u16>, ttl: Duration) -> Result<Node, Error> {
        check_ttl(ttl)?;
        if preferred == Some(0) {
            return Err(Error::Wrong("the number of a node is 1 to 65535"));
        }
        match &self.0 {
            Driver::Rocks(rocks) => rocks.take_node(preferred, ttl).await,
            Driver::Postgres(postgres) => postgres.take_node(preferred, ttl).await,
        }
    }

    /// Makes the lease last for so long from now.
    ///
    /// # Errors
    /// [`Error::Lost`] if it was ended or given back, or somebody else has taken the number, and then it stays so; a
    /// database that does not answer. What was claimed meanwhile by others is theirs.
    pub async fn renew(&self, node: &Node, ttl: Duration) -> Result<(), Error> {
        self.renew_saying(node, ttl, None).await
    }

    /// The same, and notes for the others which nodes this one hears; `None`: it does not say.
    ///
    /// # Errors
    /// As of [`Leases::renew`].
    pub async fn renew_saying(&self, node: &Node, ttl: Duration, hears: Option<&BTreeSet<u16>>) -> Result<(), Error> {
        check_ttl(ttl)?;
        match &self.0 {
            // It has nobody to hear.
            Driver::Rocks(rocks) => rocks.renew(node).await,
            Driver::Postgres(postgres) => postgres.renew(node, ttl, hears).await,
        }
    }

    /// Notes what the node says of itself, for others to know before they work with it.
    ///
    /// # Errors
    /// As of [`Leases::renew`].
    pub async fn note_terms(&self, node: &Node, terms: Terms) -> Result<(), Error> {
        match &self.0 {
            // It has nobody to work with.
            Driver::Rocks(rocks) => rocks.renew(node).await,
            Driver::Postgres(postgres) => postgres.note_terms(node, terms).await,
        }
    }

    /// Gives a lease back; all units of the node are free from then on. One that is lost already is no error.
    ///
    /// # Errors
    /// A database that does not answer.
    pub async fn release_node(&self, node: &Node) -> Result<(), Error> {
        match &self.0 {
            Driver::Rocks(rocks) => rocks.release_node(node).await,
            Driver::Postgres(postgres) => postgres.release_node(node).await,
        }
    }

    /// Ends a lease that has run out, so that it cannot be renewed any more; whether it is ended now. A lease that lasts,
    /// or a number that was taken again, is left alone.
    ///
    /// # Errors
    /// A database that does not answer.
    pub async fn end_node(&self, node: &Node) -> Result<bool, Error> {
        match &self.0 {
            // Its only node is this process.
            Driver::Rocks(_) => Ok(false),
            Driver::Postgres(postgres) => postgres.end_node(node).await,
        }
    }

    /// Makes the unit this node's if it is free or this node's already, and tells its new epoch; `None` if another
    /// node has it. A claim of a node that has it raises the epoch, too: handles with the one before are fenced.
    ///
    /// # Errors
    /// [`Error::Lost`] if this node's own lease has run out; a name that cannot be; a database that does not answer,
    /// after which the unit may be this node's: claim it again.
    pub async fn claim_unit(&self, name: &str, node: &Node) -> Result<Option<u64>, Error> {
        if name.is_empty() || name.len() > UNIT_BYTES_MAX || name.contains('\0') {
            return Err(Error::Wrong("the name of a unit has 1 to 256 bytes, and no NUL"));
        }
        match &self.0 {
            Driver::Rocks(rocks) => rocks.claim_unit(name, node).await.map(Some),
            Driver::Postgres(postgres) => postgres.claim_unit(name, node).await,
        }
    }

    /// Gives a unit back that this node has with this epoch, and waits for what is being written for it; nothing more
    /// is written with that epoch. One that is somebody else's by now is no error.
    ///
    /// # Errors
    /// A database that does not answer.
    pub async fn release_unit(&self, name: &str, node: &Node, epoch: u64) -> Result<(), Error> {
        match &self.0 {
            Driver::Rocks(rocks) => rocks.release_unit(name, node, epoch).await,
            Driver::Postgres(postgres) => postgres.release_unit(name, node, epoch).await,
        }
    }

    /// All units that have ever been claimed, by name.
    ///
    /// # Errors
    /// A database that does not answer.
    pub async fn units(&self) -> Result<Vec<Unit>, Error> {
        match &self.0 {
            Driver::Rocks(rocks) => rocks.units().await,
            Driver::Postgres(postgres) => postgres.units().await,
        }
    }

    /// The last lease of each number that was ever taken, by number.
    ///
    /// # Errors
    /// A database that does not answer.
    pub async fn nodes(&self) -> Result<Vec<Lease>, Error> {
        match &self.0 {
            Driver::Rocks(rocks) => Ok(rocks.nodes().await),
            Driver::Postgres(postgres) => postgres.nodes().await,
        }
    }
}

fn check_ttl(ttl: Duration) -> Result<(), Error> {
    match (Duration::from_millis(1)..=TTL_MAX).contains(&ttl) {
        true => Ok(()),
        false => Err(Error::Wrong("a lease lasts 1 ms to 1 hour")),
    }
}
