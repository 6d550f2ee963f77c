//! What one node knows of its cluster: who is there, who runs which unit, and what is to be done about it.
//!
//! A pure state machine: time is an argument, in milliseconds since the node began to listen. The store's leases are the truth;
//! this is what a node does with the last that it has read of them, and with what the bus tells.
//!
//! Invariants: a unit is at the node that says so with the highest epoch that was ever heard of it, or nowhere. A unit is
//! claimed only if its node is not heard any more, and has not been for [`CLAIM_AFTER_MS`]: so nodes that have lost the
//! store, but not each other, go on. Whoever has lost a node with which there were messages under way hears Down of the
//! services on it, even if it is back at once.
//!
//! - [`cut_off`]: when this node is the one that nobody reaches.

use std::collections::{BTreeMap, BTreeSet};

use scenehost_core::scene_master::Offer;
use scenehost_core::{DomainName, NodeId, Partition};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::unit::{Role, Unit};
use super::wire::{Held, Hello};

pub mod cut_off;

/// How long a node has not been heard before what it had is claimed. Longer than the time in which it notices itself that
/// it hears nobody.
pub const CLAIM_AFTER_MS: u64 = 3_000;
/// How long a unit that is free is left to the node that it falls to.
pub const LEAVE_MS: u64 = 2_000;
/// How long a node has to be there before it is given domains that fall to it. As long as a lease lasts: by then it has
/// renewed its own several times, and one that fails as soon as it has begun, again and again, gets none.
pub const STAYS_MS: u64 = 5_000;
/// How long ago the store may have been read last for a domain to be handed over: twice as long as it is from one read to
/// the next. Without the store nobody could take it.
pub const READ_MS_MAX: u64 = 2_000;
/// How long the next domain waits for the one that is being handed over to serve elsewhere. Longer than a handler takes
/// for it, and a node that it falls to leaves it free.
pub const HANDED_MS_MAX: u64 = 10_000;

/// Where a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// Here.
    Here { epoch: u64 },
    /// On another node, over this link to it.
    There { node: u16, link: u64, epoch: u64 },
}

impl Holder {
    pub fn epoch(self) -> u64 {
        match self {
            Self::Here { epoch } | Self::There { epoch, .. } => epoch,
        }
    }
}

/// What the store says of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub unit: Unit,
    pub epoch: u64,
    /// The node that has it, and that node's incarnation; `None`: it was released.
    pub holder: Option<(u16, u64)>,
}

/// What the store says of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    pub node: u16,
    pub incarnation: u64,
    /// Its lease holds.
    pub is_alive: bool,
    /// Which nodes it hears, if it has said: itself, too, if the bus brings back what it says.
    pub hears: Option<BTreeSet<u16>>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Ask the store for a unit.
    Claim(Unit),
    /// Stop running a unit: somebody else has it, or there is no such domain any more.
    Stop(Unit),
    /// Have a unit end as soon as what it has begun is done: it falls to another node.
    HandOver(Unit),
    /// Tell the units here that one is up or down.
    Tell(Unit, bool),
    /// Tell SceneMaster, which is here, of a node that runs scenes.
    NodeUp(u16, Offer),
    /// Tell SceneMaster, which is here, that what ran on a node is gone.
    NodeDown(u16),
    /// Have the store end a node's lease, which has run out, so that it cannot be renewed; then tell SceneMaster.
    End(u16, u64),
    /// Tell the Lobby, which is here, that the users at that node are cut off.
    EdgeLost(u16),
    /// The Lobby is another one: cut the users here off, so that they come back.
    LobbyLost,
}

/// What a node knows of its cluster.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    node: u16,
    incarnation: u64,
    roles: Vec<Role>,
    units: Vec<UnitStatus>,
    others: Vec<NodeStatus>,
    /// The units that do not serve.
    down: Vec<Unit>,
}

#[derive(Debug, Clone, Serialize)]
struct UnitStatus {
    unit: Unit,
    /// Who runs it.
    node: Option<u16>,
    epoch: Option<u64>,
    here: bool,
    serves: bool,
}

#[derive(Debug, Clone, Serialize)]
struct NodeStatus {
    node: u16,
    incarnation: u64,
    up: bool,
    roles: Vec<Role>,
    release: String,
}

struct Peer {
    incarnation: u64,
    link: u64,
    is_up: bool,
    /// Since when it is so.
    since_ms: u64,
    /// Since when it has said that it reaches the store.
    reaches_store_since_ms: Option<u64>,
    hello: Hello,
}

struct Own {
    epoch: u64,
    serves: bool,
}

/// The state.
pub struct View {
    me: u16,
    incarnation: u64,
    roles: BTreeSet<Role>,
    offer: Option<Offer>,
    reaches_store: bool,
    /// What the cluster has besides domains, and all that it has.
    lasting: BTreeSet<Unit>,
    units: BTreeSet<Unit>,
    own: BTreeMap<Unit, Own>,
    peers: BTreeMap<u16, Peer>,
    rows: BTreeMap<Unit, Row>,
    nodes: BTreeMap<u16, NodeRow>,
    /// When the store was read last.
    read_at_ms: Option<u64>,
    /// Since when others go on without this node, by all that was read since.
    outside_since_ms: Option<u64>,
    /// The highest epoch of each unit that was heard of, and whether there was a higher one since the last look.
    highest: BTreeMap<Unit, u64>,
    has_heard_higher: bool,
    /// Since when each unit could be claimed.
    free_since: BTreeMap<Unit, u64>,
    /// What the units here know of each unit: at whom it serves. Of one that is not here they think that it does.
    told: BTreeMap<Unit, Option<Holder>>,
    /// The domain that is handed over, and since when; and the node, with its incarnation, that each was given to: a
    /// node that does not take what it is given is not given it again.
    handing: Option<(Unit, u64)>,
    given: BTreeMap<Unit, (u16, u64)>,
    /// What the SceneMasters here know of nodes.
    told_nodes: BTreeMap<u16, u64>,
    /// Nodes of which it knows that they are gone, by incarnation.
    told_gone: BTreeMap<u16, u64>,
    lobby: Option<Holder>,
    acts: Vec<Act>,
}

impl View {
    /// A node that has nothing yet, with what the cluster has besides domains.
    pub fn new(
        me: u16,
        incarnation: u64,
        roles: BTreeSet<Role>,
        offer: Option<Offer>,
        partitions: impl IntoIterator<Item = Partition>,
    ) -> Self {
        let partitions = partitions.into_iter().map(Unit::SceneMaster);
        let lasting: BTreeSet<Unit> = Unit::SOLE.into_iter().chain(partitions).collect();
        Self {
            me,
            incarnation,
            roles,
            offer,
            reaches_store: true,
            units: lasting.clone(),
            own: BTreeMap::new(),
            peers: BTreeMap::new(),
            rows: BTreeMap::new(),
            nodes: BTreeMap::new(),
            read_at_ms: None,
            outside_since_ms: None,
            highest: BTreeMap::new(),
            has_heard_higher: false,
            free_since: BTreeMap::new(),
            told: lasting.iter().map(|unit| (unit.clone(), None)).collect(),
            lasting,
            handing: None,
            given: BTreeMap::new(),
            told_nodes: BTreeMap::new(),
            told_gone: BTreeMap::new(),
            lobby: None,
            acts: Vec::new(),
        }
    }

    /// What this node says of itself.
    pub fn hello(&self) -> Hello {
        let held = |(unit, own): (&Unit, &Own)| Held { unit: unit.clone(), epoch: own.epoch, serves: own.serves };
        Hello {
            version: super::wire::SPEAKS.version,
            oldest: super::wire::SPEAKS.oldest,
            release: env!("CARGO_PKG_VERSION").to_owned(),
            roles: self.roles.iter().copied().collect(),
            holds: self.own.iter().map(held).collect(),
            offer: self.offer.clone(),
            reaches_store: self.reaches_store,
        }
    }

    /// Notes whether this node reaches the store; whether that is news.
    pub fn set_reaches_store(&mut self, reaches: bool) -> bool {
        std::mem::replace(&mut self.reaches_store, reaches) != reaches
    }

    /// The domains that the cluster has.
    pub fn set_domains(&mut self, domains: impl IntoIterator<Item = DomainName>) {
        self.units = self.lasting.iter().cloned().chain(domains.into_iter().map(Unit::Match)).collect();
        self.told.retain(|unit, _| self.units.contains(unit));
        let gone: Vec<Unit> = self.own.keys().filter(|unit| !self.units.contains(*unit)).cloned().collect();
        self.acts.extend(gone.into_iter().map(Act::Stop));
    }

    /// This node is going to end: it may run no units any more. Its scenes still do, and SceneMaster asks for them.
    pub fn claim_nothing(&mut self) {
        self.roles.retain(|role| *role == Role::SceneService);
    }

    pub fn peer_up(&mut self, node: u16, (incarnation, link): (u64, u64), hello: Hello, now_ms: u64) {
        self.hear_epochs(&hello);
        let reaches_store_since_ms = hello.reaches_store.then_some(now_ms);
        let peer = Peer { incarnation, link, is_up: true, since_ms: now_ms, reaches_store_since_ms, hello };
        self.peers.insert(node, peer);
    }

    pub fn peer_hello(&mut self, node: u16, hello: Hello, now_ms: u64) {
        self.hear_epochs(&hello);
        if let Some(peer) = self.peers.get_mut(&node) {
            let since_ms = peer.reaches_store_since_ms.unwrap_or(now_ms);
            peer.reaches_store_since_ms = hello.reaches_store.then_some(since_ms);
            peer.hello = hello;
        }
    }

    pub fn peer_down(&mut self, node: u16, now_ms: u64) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        (peer.is_up, peer.since_ms) = (false, now_ms);
        if self.own.contains_key(&Unit::Lobby) {
            self.acts.push(Act::EdgeLost(node));
        }
    }

    /// What the store says.
    pub fn read(&mut self, rows: Vec<Row>, nodes: Vec<NodeRow>, now_ms: u64) {
        let read_before_ms = self.read_at_ms.replace(now_ms);
        for row in &rows {
            self.hear_epoch(&row.unit, row.epoch);
            let is_mine = row.holder == Some((self.me, self.incarnation));
            if self.own.get(&row.unit).is_some_and(|own| row.epoch > own.epoch || (row.epoch == own.epoch && !is_mine))
            {
                self.acts.push(Act::Stop(row.unit.clone()));
            }
        }
        self.rows = rows.into_iter().map(|row| (row.unit.clone(), row)).collect();
        self.nodes = nodes.into_iter().map(|row| (row.node, row)).collect();
        self.look_whether_outside(read_before_ms, now_ms);
    }

    /// The store has given a unit to this node.
    pub fn claimed(&mut self, unit: Unit, epoch: u64) {
        self.hear_epoch(&unit, epoch);
        self.free_since.remove(&unit);
        if matches!(unit, Unit::SceneMaster(_)) {
            // It has not heard of those that are gone, whatever others here have.
            self.told_gone.clear();
        }
        self.own.insert(unit, Own { epoch, serves: false });
    }

    /// A unit here serves, or does not for now.
    pub fn serves(&mut self, unit: &Unit, serves: bool) {
        if let Some(own) = self.own.get_mut(unit) {
            own.serves = serves;
        }
    }

    /// A unit does not run here any more.
    pub fn stopped(&mut self, unit: &Unit) {
        self.own.remove(unit);
        if !self.has_scene_master() {
            self.told_nodes.clear();
            self.told_gone.clear();
        }
    }

    /// The units that run here, and in which epochs.
    pub fn own(&self) -> Vec<(Unit, u64)> {
        self.own.iter().map(|(unit, own)| (unit.clone(), own.epoch)).collect()
    }

    /// The epoch in which a unit runs here.
    pub fn epoch_here(&self, unit: &Unit) -> Option<u64> {
        self.own.get(unit).map(|own| own.epoch)
    }

    /// Whether a message of a unit counts; one of a lower epoch than was heard of does not.
    pub fn counts(&mut self, unit: &Unit, epoch: u64) -> bool {
        self.hear_epoch(unit, epoch);
        self.highest.get(unit) == Some(&epoch)
    }

    /// Whether a unit is another one than at the last look: what is to be told of that comes before what it says.
    pub fn has_heard_higher(&self) -> bool {
        self.has_heard_higher
    }

    /// Where a unit is.
    pub fn holder(&self, unit: &Unit) -> Option<Holder> {
        let here = self.own.get(unit).map(|own| Holder::Here { epoch: own.epoch });
        let there = self.up().flat_map(|(node, peer)| {
            let held = peer.hello.holds.iter().find(|held| held.unit == *unit);
            held.map(|held| Holder::There { node, link: peer.link, epoch: held.epoch })
        });
        let newest = here.into_iter().chain(there).max_by_key(|holder| holder.epoch())?;
        (self.highest.get(unit).is_none_or(|highest| *highest <= newest.epoch())).then_some(newest)
    }

    /// The link to a node that is up.
    pub fn link(&self, node: u16) -> Option<u64> {
        self.peers.get(&node).filter(|peer| peer.is_up).map(|peer| peer.link)
    }

    /// The other nodes that are up and have a role.
    pub fn with_role(&self, role: Role) -> Vec<(u16, u64)> {
        let with_role = self.up().filter(|(_, peer)| peer.hello.roles.contains(&role));
        with_role.map(|(node, peer)| (node, peer.link)).collect()
    }

    /// The nodes that are up and run scenes, this one among them if it does.
    pub fn scene_nodes(&self) -> Vec<NodeId> {
        let own = self.offer.as_ref().map(|_| self.me);
        let others = self.up().filter(|(_, peer)| peer.hello.offer.is_some()).map(|(node, _)| node);
        own.into_iter().chain(others).map(|node| NodeId(node.into())).collect()
    }

    /// All other nodes that are up.
    pub fn others(&self) -> Vec<(u16, u64)> {
        self.up().map(|(node, peer)| (node, peer.link)).collect()
    }

    /// The units that do not serve, as the others here were told.
    pub fn down(&self) -> Vec<Unit> {
        self.told.iter().filter(|(_, holder)| holder.is_none()).map(|(unit, _)| unit.clone()).collect()
    }

    /// For operators.
    pub fn status(&self) -> Status {
        let unit = |unit: &Unit| {
            let holder = self.holder(unit);
            let node = holder.map(|holder| match holder {
                Holder::Here { .. } => self.me,
                Holder::There { node, .. } => node,
            });
            let here = self.own.contains_key(unit);
            let epoch = holder.map(Holder::epoch);
            UnitStatus { unit: unit.clone(), node, epoch, here, serves: self.serving(unit).is_some() }
        };
        let peer = |(node, peer): (&u16, &Peer)| NodeStatus {
            node: *node,
            incarnation: peer.incarnation,
            up: peer.is_up,
            roles: peer.hello.roles.clone(),
            release: peer.hello.release.clone(),
        };
        Status {
            node: self.me,
            incarnation: self.incarnation,
            roles: self.roles.iter().copied().collect(),
            units: self.units.iter().map(unit).collect(),
            others: self.peers.iter().map(peer).collect(),
            down: self.down(),
        }
    }

    /// What is to be done now.
    pub fn acts(&mut self, now_ms: u64) -> Vec<Act> {
        let mut acts = std::mem::take(&mut self.acts);
        self.has_heard_higher = false;
        self.look_at_units(&mut acts);
        self.look_at_lobby(&mut acts);
        self.look_at_nodes(now_ms, &mut acts);
        self.look_for_free(now_ms, &mut acts);
        self.look_for_newcomers(now_ms, &mut acts);
        acts
    }

    fn up(&self) -> impl Iterator<Item = (u16, &Peer)> {
        self.peers.iter().filter(|(_, peer)| peer.is_up).map(|(node, peer)| (*node, peer))
    }

    fn hear_epochs(&mut self, hello: &Hello) {
        for held in &hello.holds {
            self.hear_epoch(&held.unit, held.epoch);
        }
    }

    fn hear_epoch(&mut self, unit: &Unit, epoch: u64) {
        let highest = self.highest.get(unit);
        if highest.is_none_or(|highest| epoch > *highest) {
            self.highest.insert(unit.clone(), epoch);
            self.has_heard_higher = true;
        }
    }

    /// Where a unit is, if it serves.
    fn serving(&self, unit: &Unit) -> Option<Holder> {
        let holder = self.holder(unit)?;
        let serves = match holder {
            Holder::Here { .. } => self.own.get(unit).is_some_and(|own| own.serves),
            Holder::There { node, .. } => {
                let peer = self.peers.get(&node)?;
                peer.hello.holds.iter().any(|held| held.unit == *unit && held.serves)
            }
        };
        serves.then_some(holder)
    }

    fn look_at_units(&mut self, acts: &mut Vec<Act>) {
        let all: Vec<Unit> = self.units.iter().cloned().collect();
        for unit in all {
            let now = self.serving(&unit);
            let (goes, comes) = match self.told.insert(unit.clone(), now) {
                Some(before) if before == now => (false, false),
                None if now.is_some() => (false, false),
                // Whatever was said to one that is another now may be lost.
                before => (before != Some(None), now.is_some()),
            };
            if goes {
                acts.push(Act::Tell(unit.clone(), false));
            }
            if comes {
                acts.push(Act::Tell(unit, true));
            }
        }
    }

    fn look_at_lobby(&mut self, acts: &mut Vec<Act>) {
        let now = self.holder(&Unit::Lobby);
        if self.lobby != now && self.lobby.is_some() {
            acts.push(Act::LobbyLost);
        }
        self.lobby = now;
    }

    fn has_scene_master(&self) -> bool {
        self.own.keys().any(|unit| matches!(unit, Unit::SceneMaster(_)))
    }

    /// Nodes of scenes, for the SceneMasters that are here.
    fn look_at_nodes(&mut self, now_ms: u64, acts: &mut Vec<Act>) {
        if !self.has_scene_master() {
            return;
        }
        let own = self.offer.clone().map(|offer| (self.me, self.incarnation, offer));
        let others = self.up().filter_map(|(node, peer)| Some((node, peer.incarnation, peer.hello.offer.clone()?)));
        let there: Vec<(u16, u64, Offer)> = own.into_iter().chain(others).collect();
        for (node, incarnation, offer) in there {
            match self.told_nodes.insert(node, incarnation) {
                Some(before) if before == incarnation => {}
                before => {
                    // What ran in the process before is gone with it.
                    acts.extend(before.map(|_| Act::NodeDown(node)));
                    acts.push(Act::NodeUp(node, offer));
                }
            }
        }
        // What has another's number by now cannot come back, also if the other one never gets as far as being heard.
        let is_before = |row: &&NodeRow| self.told_nodes.get(&row.node).is_some_and(|told| *told < row.incarnation);
        let replaced = self.nodes.values().filter(is_before).filter(|row| self.is_silent(row.node, now_ms));
        for node in replaced.map(|row| row.node).collect::<Vec<_>>() {
            self.told_nodes.remove(&node);
            acts.push(Act::NodeDown(node));
        }
        let of_store = self.nodes.values().filter(|row| self.is_gone(row, now_ms));
        let untold = of_store.filter(|row| self.told_gone.get(&row.node) != Some(&row.incarnation));
        acts.extend(untold.map(|row| Act::End(row.node, row.incarnation)));
    }

    /// The store has ended a node's lease, and SceneMaster is told.
    pub fn ended(&mut self, node: u16) {
        self.told_nodes.remove(&node);
        if let Some(row) = self.nodes.get(&node) {
            self.told_gone.insert(node, row.incarnation);
        }
    }

    /// Whether a node runs nothing any more, by the store's word and the bus's silence.
    fn is_gone(&self, row: &NodeRow, now_ms: u64) -> bool {
        row.node != self.me && !row.is_alive && self.is_silent(row.node, now_ms)
    }

    /// Whether a node has not been heard for so long that it has noticed, if it still runs.
    fn is_silent(&self, node: u16, now_ms: u64) -> bool {
        match self.peers.get(&node) {
            Some(peer) => !peer.is_up && now_ms.saturating_sub(peer.since_ms) >= CLAIM_AFTER_MS,
            // This node listens since 0.
            None => now_ms >= CLAIM_AFTER_MS,
        }
    }

    fn look_for_free(&mut self, now_ms: u64, acts: &mut Vec<Act>) {
        if self.read_at_ms.is_none() {
            return;
        }
        let wanted: Vec<Unit> = self.units.iter().filter(|unit| !self.own.contains_key(*unit)).cloned().collect();
        for unit in wanted {
            if !self.is_free(&unit, now_ms) {
                self.free_since.remove(&unit);
                continue;
            }
            let since = *self.free_since.entry(unit.clone()).or_insert(now_ms);
            let waited = now_ms.saturating_sub(since) >= LEAVE_MS;
            if self.roles.contains(&unit.role()) && (waited || self.falls_to(&unit) == Some(self.me)) {
                acts.push(Act::Claim(unit));
            }
        }
    }

    fn is_free(&self, unit: &Unit, now_ms: u64) -> bool {
        let Some((node, incarnation)) = self.rows.get(unit).and_then(|row| row.holder) else { return true };
        if (node, incarnation) == (self.me, self.incarnation) {
            return true; // It was given to this node, which has not heard that, or is about to give it back.
        }
        let row = self.nodes.get(&node);
        if row.is_some_and(|row| row.is_alive && row.incarnation == incarnation) {
            return false;
        }
        let is_another = row.is_some_and(|row| row.incarnation > incarnation);
        is_another || node == self.me || self.is_silent(node, now_ms)
    }

    /// A domain or a partition here that falls to a node which has come later is given to it, one after the other.
    fn look_for_newcomers(&mut self, now_ms: u64, acts: &mut Vec<Act>) {
        if let Some((unit, since)) = &self.handing {
            let is_there = !self.own.contains_key(unit) && self.serving(unit).is_some();
            if !is_there && now_ms.saturating_sub(*since) < HANDED_MS_MAX {
                return;
            }
        }
        self.handing = None;
        if self.read_at_ms.is_none_or(|at| now_ms.saturating_sub(at) > READ_MS_MAX) {
            return;
        }
        let moves = |unit: &Unit| matches!(unit, Unit::Match(_) | Unit::SceneMaster(_));
        let next = self.own.iter().filter(|(unit, own)| moves(unit) && own.serves).find_map(|(unit, _)| {
            let settled: BTreeMap<u16, u64> = self
                .up()
                .filter(|(_, peer)| peer.hello.roles.contains(&unit.role()))
                .filter(|(_, peer)| now_ms.saturating_sub(peer.since_ms) >= STAYS_MS)
                .map(|(node, peer)| (node, peer.incarnation))
                .collect();
            let here = self.roles.contains(&unit.role()).then_some(self.me);
            let to = heaviest(unit, here.into_iter().chain(settled.keys().copied()))?;
            let to = (to, *settled.get(&to)?);
            (self.given.get(unit) != Some(&to)).then(|| (unit.clone(), to))
        });
        if let Some((unit, to)) = next {
            self.given.insert(unit.clone(), to);
            self.handing = Some((unit.clone(), now_ms));
            acts.push(Act::HandOver(unit));
        }
    }

    /// The node that a free unit falls to, of those that are there and may run it.
    fn falls_to(&self, unit: &Unit) -> Option<u16> {
        let here = self.roles.contains(&unit.role()).then_some(self.me);
        let there = self.with_role(unit.role()).into_iter().map(|(node, _)| node);
        heaviest(unit, here.into_iter().chain(there))
    }
}

/// The node that a unit falls to: by rendezvous hashing, so that few units move when nodes come and go (Thaler and
/// Ravishankar, 1998).
fn heaviest(unit: &Unit, nodes: impl Iterator<Item = u16>) -> Option<u16> {
    nodes.max_by_key(|node| Sha256::digest(format!("{unit} {node}")))
}

#[cfg(test)]
mod tests;
