//! A host that is all there is, on a database that another could use, too: it has the lease of a node and the one unit
//! [`UNIT`], and writes only while that is its own.
//!
//! Invariant: two such hosts never write at once. One that starts while another runs refuses; one that was away for so
//! long that another has started in its place writes nothing more, and stops. A database that is away for longer than
//! the lease lasts takes nothing from a host in whose place nobody has started.

use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinHandle;

use crate::store::Store;
use crate::store::lease::{Error, Leases, Node};
use crate::store::lock::DataLock;

/// What a host that is all there is holds: everything.
const UNIT: &str = "host";
const NUMBER: u16 = 1;
/// How long the lease lasts, and how often it is renewed.
const TTL: Duration = Duration::from_secs(5);
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// How long it is from one look at a lease that somebody has to the next.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long the end may take to be told.
const RELEASE_MAX: Duration = Duration::from_secs(2);

/// The lease of this host, which is renewed until it is given back.
pub struct Sole {
    leases: Leases,
    node: Node,
    epoch: u64,
    keeps: JoinHandle<()>,
    /// Held, not read.
    _lock: DataLock,
}

impl Sole {
    /// Takes the lease, once one of a host that was killed has run out, and gives the store to write by. The lock of
    /// the data folder is held as long as the lease, for what is there besides the store.
    pub async fn take(store: &Store, lock: DataLock) -> anyhow::Result<(Store, Self)> {
        let leases = store.leases();
        let node = take_number(&leases).await.context("another host uses this database")?;
        let claimed = leases.claim_unit(UNIT, &node).await?;
        let epoch = claimed.context("another host uses this database, as another node: stop it first")?;
        let keeps = tokio::spawn(keep(leases.clone(), node));
        Ok((store.fenced(UNIT, epoch), Self { leases, node, epoch, keeps, _lock: lock }))
    }

    /// Gives everything back, so that the next host need not wait.
    pub async fn release(self) {
        self.keeps.abort();
        let release = async {
            self.leases.release_unit(UNIT, &self.node, self.epoch).await?;
            self.leases.release_node(&self.node).await
        };
        match tokio::time::timeout(RELEASE_MAX, release).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the lease of this host could not be given back: it runs out"),
            Err(_) => tracing::warn!("the lease of this host could not be given back in time: it runs out"),
        }
    }
}

/// The number, as soon as nobody has it, if that is within the time of a lease that is not renewed.
async fn take_number(leases: &Leases) -> Result<Node, Error> {
    let looks = 2 + TTL.as_millis() / LOOK_EVERY.as_millis();
    let mut said = false;
    for _ in 0..looks {
        match leases.take_node(Some(NUMBER), TTL).await {
            Err(Error::Held { left, .. }) if !said => {
                said = true;
                tracing::info!(left_ms = left.as_millis(), "waiting until the lease of the host before has run out");
            }
            Err(Error::Held { .. }) => {}
            taken => return taken,
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    leases.take_node(Some(NUMBER), TTL).await
}

/// Renews the lease, and takes it again if the database was away for longer than it lasts. That nobody has written
/// meanwhile is what the fence tells.
async fn keep(leases: Leases, mut node: Node) {
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        match leases.renew(&node, TTL).await {
            Err(Error::Lost(_)) => match leases.take_node(Some(NUMBER), TTL).await {
                Ok(again) => node = again,
                Err(error) => tracing::warn!(%error, "the lease of this host has run out"),
            },
            Err(error) => tracing::debug!(%error, "the lease of this host could not be renewed"),
            Ok(()) => {}
        }
    }
}
