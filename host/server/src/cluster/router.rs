//! Brings messages to other nodes, and what comes from them to the bus of this one.
//!
//! Invariants: a message reaches the unit it is for only in the epoch that its sender had heard of, and counts only if
//! its sender's unit is of the highest epoch that was heard of here. What cannot be sent is dropped and counted, as a
//! message to a full inbox is: whoever waits for an answer has a deadline, and hears Down.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use metrics::counter;
use scenehost_bus::Peers;
use scenehost_bus::peers::SendError;
use scenehost_core::message::{ToUser, ToUsers};
use scenehost_core::{ConnectionId, Message, Partition, lobby};

use super::grant::Grant;
use super::unit::{Role, Unit};
use super::view::{Holder, View};
use super::wire::{Changed, Envelope, To};

/// How many bits of the number of a connection or a question are its node's.
const NODE_BITS: u32 = 16;

/// A number that begins with that of its node, so that an answer finds its way.
pub fn numbered(node: u16, number: u64) -> u64 {
    u64::from(node) << (u64::BITS - NODE_BITS) | number & (u64::MAX >> NODE_BITS)
}

/// The node whose number that is.
pub fn node_of(number: u64) -> u16 {
    (number >> (u64::BITS - NODE_BITS)) as u16
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// It stays in its process.
    Here,
    Unit(Unit),
    /// The SceneMasters that have some of these shards.
    SceneMasters(Partition),
    Node(u16),
    /// This node and all others.
    Everywhere,
    /// To users at several nodes.
    Users,
}

/// Where a message goes.
pub fn place(message: &Message) -> Place {
    match message {
        Message::Auth(_) => Place::Unit(Unit::Auth),
        Message::Db(_) => Place::Unit(Unit::Db),
        Message::Lobby(_) => Place::Unit(Unit::Lobby),
        Message::Match(domain, _) => Place::Unit(Unit::Match(domain.clone())),
        Message::SceneMaster(event) => Place::SceneMasters(event.to()),
        Message::SceneService(node, _) | Message::NodeIdle(node) | Message::NodeDrained(node) => {
            u16::try_from(node.0).map_or(Place::Here, Place::Node)
        }
        Message::EverySceneService(_) => Place::Everywhere,
        Message::User(ToUser { connection, .. }) => Place::Node(node_of(connection.0)),
        Message::Users(_) => Place::Users,
        Message::Door(number, _) | Message::DbDoor(number, _) | Message::Operator(number, _) => {
            Place::Node(node_of(*number))
        }
        Message::Load(_)
        | Message::Scan(_)
        | Message::Check(_)
        | Message::LoadForDb(_)
        | Message::ScanForDb(_)
        | Message::ScanForMaster(_)
        | Message::Service(..)
        | Message::OwnSceneService(_)
        | Message::Scene(..)
        | Message::Moderate(_) => Place::Here,
    }
}

/// The way to other nodes. Cheap to clone.
#[derive(Clone)]
pub struct Router(Arc<Parts>);

struct Parts {
    me: u16,
    peers: Peers,
    view: Mutex<View>,
    grant: Grant,
    /// The users' connections at other nodes, as far as the Lobby here has heard of them.
    edges: Mutex<BTreeMap<u16, BTreeSet<ConnectionId>>>,
}

/// What was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsent {
    /// Nobody runs it now.
    Down,
    /// Too much waits for its node.
    Full,
}

impl Router {
    pub fn new(me: u16, peers: Peers, view: View, grant: Grant) -> Self {
        Self(Arc::new(Parts { me, peers, view: Mutex::new(view), grant, edges: Mutex::default() }))
    }

    /// This node's number.
    pub fn me(&self) -> u16 {
        self.0.me
    }

    /// Until when what runs here may be heard.
    pub fn grant(&self) -> &Grant {
        &self.0.grant
    }

    pub fn view(&self) -> MutexGuard<'_, View> {
        self.0.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The nodes that this one hears: itself, too, if the bus brings back what it says.
    pub fn hears(&self) -> BTreeSet<u16> {
        let others = self.view().others().into_iter().map(|(node, _)| node);
        others.chain(self.0.peers.hears_itself().then_some(self.0.me)).collect()
    }

    /// Tells the others what this node runs now.
    pub fn announce(&self) {
        // The view is held meanwhile: what is said last is how it is.
        let view = self.view();
        if let Err(error) = self.0.peers.announce(view.hello().encode()) {
            tracing::error!(%error, "the other nodes are not told what this one runs");
        }
    }

    /// Whether a unit runs here.
    pub fn is_here(&self, unit: &Unit) -> bool {
        self.view().epoch_here(unit).is_some()
    }

    /// A unit here serves, or does not for now; the other nodes are told.
    pub fn serves(&self, unit: &Unit, serves: bool) {
        self.view().serves(unit, serves);
        self.announce();
    }

    /// Sends a message to a unit on another node.
    ///
    /// # Errors
    /// See [`Unsent`].
    pub fn to_unit(&self, unit: &Unit, from: Option<&(Unit, u64)>, message: Message) -> Result<(), Unsent> {
        let Some(Holder::There { node, link, epoch }) = self.view().holder(unit) else { return Err(Unsent::Down) };
        let to = To::Unit { unit: unit.clone(), epoch, message: Box::new(message) };
        self.send(node, link, &Envelope { from: from.cloned(), to })
    }

    /// Sends a message to another node itself.
    pub fn to_node(&self, node: u16, from: Option<&(Unit, u64)>, message: Message) {
        let link = self.view().link(node);
        let to = To::Node { message: Box::new(message) };
        let sent =
            link.ok_or(Unsent::Down).and_then(|link| self.send(node, link, &Envelope { from: from.cloned(), to }));
        if let Err(why) = sent {
            lost("node", why);
        }
    }

    /// Sends a message to all other nodes with a role.
    pub fn to_role(&self, role: Role, from: Option<&(Unit, u64)>, message: &Message) {
        let to = To::Node { message: Box::new(message.clone()) };
        self.to_all(self.view().with_role(role), &Envelope { from: from.cloned(), to });
    }

    /// Tells all other nodes that operators have changed something here.
    pub fn changed(&self, what: Changed) {
        self.to_all(self.view().others(), &Envelope { from: None, to: To::Changed(what) });
    }

    fn to_all(&self, nodes: Vec<(u16, u64)>, envelope: &Envelope) {
        for (node, link) in nodes {
            if let Err(why) = self.send(node, link, envelope) {
                lost("node", why);
            }
        }
    }

    fn send(&self, node: u16, link: u64, envelope: &Envelope) -> Result<(), Unsent> {
        let Some(bytes) = envelope.encode() else {
            tracing::error!(?envelope, "a message that stays in its process was to leave it");
            return Ok(());
        };
        self.0.peers.send_on(node, link, bytes).map_err(|error| match error {
            SendError::Full => Unsent::Full,
            SendError::TooLarge { bytes, max } => {
                tracing::error!(bytes, max, "a message is too large for another node");
                Unsent::Full
            }
            SendError::Down | SendError::Closed => Unsent::Down,
        })
    }

    /// What has come from another node, if it counts.
    pub fn received(&self, node: u16, bytes: &Bytes) -> Option<To> {
        let envelope = match Envelope::decode(bytes) {
            Ok(envelope) => envelope,
            Err(error) => {
                tracing::error!(node, %error, "passed over");
                refused("unreadable");
                return None;
            }
        };
        let mut view = self.view();
        if let Some((unit, epoch)) = &envelope.from
            && !view.counts(unit, *epoch)
        {
            tracing::warn!(node, %unit, epoch, "a message of a unit's earlier owner is refused");
            refused("stale-sender");
            return None;
        }
        if let To::Unit { unit, epoch, message } = &envelope.to {
            if view.epoch_here(unit) != Some(*epoch) {
                tracing::debug!(node, %unit, epoch, "a message for a unit that is not here any more is passed over");
                refused("stale-receiver");
                return None;
            }
            drop(view);
            self.note_edge(node, message);
        }
        Some(envelope.to)
    }

    /// Remembers which users are at which node, for when the node is lost.
    fn note_edge(&self, node: u16, message: &Message) {
        let mut edges = self.0.edges.lock().unwrap_or_else(PoisonError::into_inner);
        match message {
            Message::Lobby(lobby::Event::Opened { connection }) => {
                edges.entry(node).or_default().insert(*connection);
            }
            Message::Lobby(lobby::Event::Closed { connection, .. }) => {
                edges.entry(node).or_default().remove(connection);
            }
            _ => {}
        }
    }

    /// The users' connections at a node that was lost.
    pub fn take_edge(&self, node: u16) -> BTreeSet<ConnectionId> {
        self.0.edges.lock().unwrap_or_else(PoisonError::into_inner).remove(&node).unwrap_or_default()
    }

    /// The Lobby does not run here any more.
    pub fn forget_edges(&self) {
        self.0.edges.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Splits what is for many users by their nodes.
pub fn by_node(ToUsers { connections, notice }: ToUsers) -> Vec<(u16, ToUsers)> {
    let mut by_node: BTreeMap<u16, Vec<ConnectionId>> = BTreeMap::new();
    for connection in connections {
        by_node.entry(node_of(connection.0)).or_default().push(connection);
    }
    by_node.into_iter().map(|(node, connections)| (node, ToUsers { connections, notice: notice.clone() })).collect()
}

/// Counts a message that was not sent.
pub fn lost(to: &'static str, why: Unsent) {
    let why = match why {
        Unsent::Down => "down",
        Unsent::Full => "full",
    };
    counter!("scenehost_cluster_lost_messages_total", "to" => to, "why" => why).increment(1);
}

fn refused(why: &'static str) {
    counter!("scenehost_cluster_refused_messages_total", "why" => why).increment(1);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use metrics_exporter_prometheus::PrometheusBuilder;
    use scenehost_bus::driver::local::LocalBus;
    use scenehost_bus::peers::Settings;
    use scenehost_core::message::{Notice, ToUsers};
    use scenehost_core::{NodeId, ServiceName, db, scene_master};

    use super::*;
    use crate::clock::Clock;

    #[test]
    fn what_this_version_does_not_know_is_passed_over_and_counted() {
        #[derive(serde::Serialize)]
        struct Later {
            from: (),
            to: BTreeMap<&'static str, u8>,
        }
        let (prefix, hello) = ("test".to_owned(), Bytes::new());
        let settings = Settings { prefix, node: 1, incarnation: 1, process: 1, hello };
        let (peers, ..) = Peers::new(Arc::new(LocalBus::default().node()), settings).expect("the settings are good");
        let grant = Grant::new(Clock::start(), Duration::ZERO);
        let router = Router::new(1, peers, View::new(1, 1, BTreeSet::new(), None, []), grant);
        let later = Later { from: (), to: [("of-later", 7)].into() };
        let bytes = Bytes::from(rmp_serde::to_vec_named(&later).expect("plain data"));

        let recorder = PrometheusBuilder::new().build_recorder();
        let heard = metrics::with_local_recorder(&recorder, || router.received(2, &bytes));
        assert!(heard.is_none());
        let counted = "scenehost_cluster_refused_messages_total{why=\"unreadable\"} 1";
        assert!(recorder.handle().render().contains(counted), "{}", recorder.handle().render());
    }

    #[test]
    fn a_number_tells_its_node_and_messages_find_it() {
        assert_eq!(node_of(numbered(65_535, u64::MAX)), 65_535);
        assert_eq!(numbered(0, 17), 17, "a host that is all there is has the numbers as they are");
        let answer = |number| Message::Operator(number, Ok(Box::new(scene_master::Answer::Done)));
        assert_eq!(place(&answer(numbered(3, 9))), Place::Node(3));
        assert_eq!(place(&db::Event::Service { service: ServiceName::Match, up: true }.into()), Place::Unit(Unit::Db));
        assert_eq!(place(&Message::NodeIdle(NodeId(70_000))), Place::Here, "no node has that number");
    }

    #[test]
    fn what_is_for_many_users_goes_to_each_node_once() {
        let connections = [(2, 1), (1, 1), (2, 2)].map(|(node, number)| ConnectionId(numbered(node, number)));
        let notice = Notice::SynService(ServiceName::Db, true);
        let split = by_node(ToUsers { connections: connections.to_vec(), notice });
        let numbers: Vec<(u16, usize)> = split.iter().map(|(node, users)| (*node, users.connections.len())).collect();
        assert_eq!(numbers, [(1, 1), (2, 2)]);
    }
}
