//! Whether this node is cut off while others are not: it ends then, so that what it runs is had at another.
//!
//! Invariant: what is away for all ends nobody. Only a node that reaches neither the store nor all the others cannot tell,
//! and ends. So there is always somebody who takes over, or there was nobody who could.

use std::collections::{BTreeMap, BTreeSet};

use super::{READ_MS_MAX, View};

/// How long after a renewal was sent that was granted a node goes on without another. Less than a lease, for clocks run
/// at different speeds and a last act takes time.
pub const HOLD_MS: u64 = 4_000;
/// How old the last renewal of a node may be that says that it reaches the store.
pub const REACHES_MS: u64 = 2_000;
/// How long others have to reach what this node does not before it ends. Longer than nodes reach the store or the bus one
/// after the other that was away for all of them; each tries again within 4 s.
pub const OTHERS_MS: u64 = 5_000;

/// From what a node is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutOff {
    /// It does not reach the store and does not hear all the others.
    Both,
    /// It does not reach the store, and this node does.
    Store { reached_by: u16 },
    /// It is not heard by nodes that are to go on without it.
    Nodes,
}

impl View {
    /// From what this node is cut off, if it is to end for that. `without_ms`: how long ago the last renewal was sent that
    /// was granted.
    pub fn cut_off(&self, without_ms: u64, now_ms: u64) -> Option<CutOff> {
        if without_ms <= HOLD_MS {
            return self.is_outside_for_good(now_ms).then_some(CutOff::Nodes);
        }
        if !self.hears_all() {
            return Some(CutOff::Both);
        }
        let is_late = without_ms > HOLD_MS + OTHERS_MS;
        let reaches = |since: u64| now_ms.saturating_sub(since) >= OTHERS_MS;
        let by = self.up().find(|(_, peer)| is_late && peer.reaches_store_since_ms.is_some_and(reaches));
        by.map(|(reached_by, _)| CutOff::Store { reached_by })
    }

    /// Whether this node hears all others that were there when it could read the store last: then it is the store that
    /// is away, and not this node that is cut off from both.
    pub fn hears_all(&self) -> bool {
        let others = self.nodes.values().filter(|row| row.is_alive && row.node != self.me);
        others.into_iter().all(|row| {
            let peer = self.peers.get(&row.node);
            peer.is_some_and(|peer| peer.is_up && peer.incarnation == row.incarnation)
        })
    }

    /// Whether this node has been outside whenever it has read the store, for long enough.
    fn is_outside_for_good(&self, now_ms: u64) -> bool {
        let reads = self.read_at_ms.is_some_and(|at_ms| now_ms.saturating_sub(at_ms) <= READ_MS_MAX);
        let is_long = |since: u64| now_ms.saturating_sub(since) >= OTHERS_MS;
        // It may hear the others again, and they not have said so yet.
        reads && self.outside_since_ms.is_some_and(is_long) && !self.hears_all()
    }

    /// The store was read: whom the nodes hear may be another.
    pub(super) fn look_whether_outside(&mut self, read_before_ms: Option<u64>, now_ms: u64) {
        let has_watched = read_before_ms.is_some_and(|at_ms| now_ms.saturating_sub(at_ms) <= READ_MS_MAX);
        let since_ms = self.outside_since_ms.filter(|_| has_watched);
        self.outside_since_ms = self.is_outside().then(|| since_ms.unwrap_or(now_ms));
    }

    /// Whether there are nodes that go on without this one, as all of them know by the same rows: the larger group of
    /// those that hear each other goes on, of two that are as large the one with the lowest number. A node that does not
    /// even hear itself reaches no bus and is no group; where all are so the bus is away, and all go on.
    fn is_outside(&self) -> bool {
        let alive = self.nodes.values().filter(|row| row.is_alive);
        // One that is only starting has not said anything yet, and one of a version that does not say never does.
        let heard: BTreeMap<u16, &BTreeSet<u16>> =
            alive.filter_map(|row| Some((row.node, row.hears.as_ref()?))).collect();
        if !heard.contains_key(&self.me) {
            return false;
        }
        let own = Group::of(self.me, &heard);
        heard.keys().any(|node| !own.nodes.contains(node) && Group::of(*node, &heard).goes_on_before(&own))
    }
}

/// Nodes of which each hears another of them that hears it.
struct Group {
    nodes: BTreeSet<u16>,
    /// How many there are that reach the bus.
    size: usize,
}

impl Group {
    /// That of a node, by whom each hears.
    fn of(node: u16, heard: &BTreeMap<u16, &BTreeSet<u16>>) -> Self {
        let hears = |one: u16, other: u16| heard.get(&one).is_some_and(|hears| hears.contains(&other));
        let (mut nodes, mut next) = (BTreeSet::from([node]), vec![node]);
        while let Some(one) = next.pop() {
            let others = heard.keys().filter(|other| hears(one, **other) && hears(**other, one));
            next.extend(others.filter(|other| nodes.insert(**other)));
        }
        let is_silent = nodes.len() == 1 && !hears(node, node);
        Self { size: if is_silent { 0 } else { nodes.len() }, nodes }
    }

    fn goes_on_before(&self, other: &Self) -> bool {
        self.size > other.size || (self.size > 0 && self.size == other.size && self.nodes.first() < other.nodes.first())
    }
}
