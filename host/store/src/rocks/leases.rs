//! Leases where there is one process: it is the only node, for as long as it has the lock of the folder.
//!
//! Invariant: only the process that has the store open changes these records, one call at a time.

use std::time::Duration;

use scenehost_core::Write;
use tokio::sync::Mutex;

use super::{Rocks, text};
use crate::batch::{Expected, Guard};
use crate::lease::{Error, Fence, Lease, Node, TTL_MAX, Unit};

/// The record with the incarnation of the last node.
const NODE: &str = "\0node";
/// What the records of units begin with: each has its epoch, while somebody holds it.
const UNIT: &str = "\0unit/";
/// The same for who has claimed it last, a number and an incarnation.
const HOLDER: &str = "\0holder/";
/// What follows the epoch of a unit that nobody holds.
const RELEASED: &str = " released";

/// The node that this process is, if it is one.
pub type Taken = Mutex<Option<Node>>;

impl Rocks {
    /// What has to be there for the batches of a handle with this fence.
    pub(super) fn guard_of(&self, fence: Fence) -> Guard {
        let value = Some(fence.epoch.to_string().into_bytes());
        Guard { record: Expected { key: format!("{UNIT}{}", fence.unit), value }, fence }
    }

    /// See [`crate::lease::Leases`], as for all below.
    pub async fn take_node(&self, preferred: Option<u16>, ttl: Duration) -> Result<Node, Error> {
        let mut taken = self.parts.taken.lock().await;
        if let Some(Node { number, .. }) = *taken {
            return Err(Error::Held { number, left: ttl });
        }
        let before = self.get(NODE)?.and_then(|value| text(&value).parse().ok()).unwrap_or(0_u64);
        let node = Node { number: preferred.unwrap_or(1), incarnation: before + 1 };
        self.put(vec![(NODE.to_owned(), node.incarnation.to_string())]).await?;
        *taken = Some(node);
        Ok(node)
    }

    pub async fn renew(&self, node: &Node) -> Result<(), Error> {
        match *self.parts.taken.lock().await == Some(*node) {
            true => Ok(()),
            false => Err(Error::Lost(*node)),
        }
    }

    pub async fn release_node(&self, node: &Node) -> Result<(), Error> {
        let mut taken = self.parts.taken.lock().await;
        if *taken == Some(*node) {
            *taken = None;
        }
        Ok(())
    }

    pub async fn claim_unit(&self, name: &str, node: &Node) -> Result<u64, Error> {
        let taken = self.parts.taken.lock().await;
        if *taken != Some(*node) {
            return Err(Error::Lost(*node));
        }
        // Who held it is this node or one before it, whose process has ended.
        let epoch = self.unit(name)?.map_or(0, |(epoch, _)| epoch) + 1;
        let holder = format!("{} {}", node.number, node.incarnation);
        self.put(vec![(format!("{UNIT}{name}"), epoch.to_string()), (format!("{HOLDER}{name}"), holder)]).await?;
        Ok(epoch)
    }

    pub async fn release_unit(&self, name: &str, node: &Node, epoch: u64) -> Result<(), Error> {
        let _one = self.parts.taken.lock().await;
        if self.unit(name)? == Some((epoch, true)) && self.holder(name)? == Some(*node) {
            self.put(vec![(format!("{UNIT}{name}"), format!("{epoch}{RELEASED}"))]).await?;
        }
        Ok(())
    }

    pub async fn units(&self) -> Result<Vec<Unit>, Error> {
        let taken = self.parts.taken.lock().await;
        let mut units = Vec::new();
        for (key, _) in self.scan_from(UNIT.as_bytes(), UNIT)? {
            let name = key.strip_prefix(UNIT).unwrap_or_default().to_owned();
            let Some((epoch, is_held)) = self.unit(&name)? else { continue };
            let holder = self.holder(&name)?.filter(|_| is_held);
            units.push(Unit { is_alive: holder.is_some() && holder == *taken, name, epoch, holder });
        }
        Ok(units)
    }

    pub async fn nodes(&self) -> Vec<Lease> {
        let node = *self.parts.taken.lock().await;
        node.map(|node| Lease { node, terms: None, hears: None, left: TTL_MAX }).into_iter().collect()
    }

    /// The epoch of a unit, and whether it was not released since.
    fn unit(&self, name: &str) -> Result<Option<(u64, bool)>, crate::Error> {
        let value = self.get(&format!("{UNIT}{name}"))?.map(|value| text(&value));
        Ok(value.and_then(|value| match value.strip_suffix(RELEASED) {
            Some(epoch) => Some((epoch.parse().ok()?, false)),
            None => Some((value.parse().ok()?, true)),
        }))
    }

    fn holder(&self, name: &str) -> Result<Option<Node>, crate::Error> {
        let value = self.get(&format!("{HOLDER}{name}"))?.map(|value| text(&value));
        Ok(value.and_then(|value| {
            let (number, incarnation) = value.split_once(' ')?;
            Some(Node { number: number.parse().ok()?, incarnation: incarnation.parse().ok()? })
        }))
    }

    async fn put(&self, records: Vec<(String, String)>) -> Result<(), crate::Error> {
        let writes = records.into_iter().map(|(key, value)| Write::Put { key, value: value.into_bytes() });
        self.make(writes.collect()).await.map(drop)
    }
}
