//! How messages come to where they belong: in one process none is lost and none overtakes another of the same way;
//! what goes between the host and another node may be lost, doubled and late while a fault is at work.
//!
//! A message is for one life of its receiver: what was sent to a node before it has crashed does not come to it after.

use scenehost_core::auth::account::Tokens;
use scenehost_core::auth::{self, Asker, Identity, Order, Request};
use scenehost_core::message::ServiceName;
use scenehost_core::read::ScanRecords;
use scenehost_core::record::UserRecord;
use scenehost_core::scene_master::{Capacity, Offer};
use scenehost_core::{Message, NodeId, Refusal, Time, db, lobby, matching, scene_master};

use crate::operators::idle_of;
use crate::plan::{ASKED_KEPT, Action, DOMAINS, LETTERS_KEPT, NODES, Unit, below, between, chance};
use crate::sabotage::Sabotage;
use crate::sim::{Due, SLOTS, START, Sim};
use crate::user::Deed;
use crate::watch::Place;

/// How long a message may be late on a bad link.
const LATE_MS_MAX: u64 = 4_000;

/// What a node's links do to messages: the chances in percent.
#[derive(Debug, Clone, Copy)]
pub struct LinkFault {
    pub lost: u64,
    pub doubled: u64,
    pub late: u64,
}

impl Sim {
    /// What a service has said.
    pub fn say(&mut self, from: Place, messages: Vec<Message>) {
        for message in messages {
            self.route(from, message);
        }
    }

    pub fn route(&mut self, from: Place, message: Message) {
        match message {
            Message::Lobby(event) => {
                if let lobby::Event::SynSceneEnded { user, ended, .. } = &event {
                    self.watch.told.insert((*user, ended.scene));
                }
                self.send(from, Place::Lobby, event.into());
            }
            Message::Match(domain, event) => {
                let to = DOMAINS.iter().position(|name| *name == domain.as_str()).unwrap_or_default();
                self.send(from, Place::Match(to), Message::Match(domain, event));
            }
            Message::SceneService(node, event) => {
                self.send(from, Place::Node(node.0 as usize), Message::SceneService(node, event));
            }
            Message::OwnSceneService(_) => self.send(from, own(from, Place::Node), message),
            Message::Scene(..) => self.send(from, own(from, Place::Scenes), message),
            Message::SceneMaster(event) => {
                for master in self.masters_of(&event) {
                    self.send(from, master, event.clone().into());
                }
            }
            Message::Db(_) => self.send(from, Place::Db, message),
            Message::LoadForDb(load) => {
                let values = load.keys.iter().map(|key| self.store.synced.get(key).cloned()).collect();
                let ms = self.read_ms();
                let loaded = db::Event::Loaded { job: load.job, values: Ok(values) };
                self.deliver_later(ms, Place::Db, loaded.into());
            }
            Message::ScanForDb(ScanRecords { job, from, to, limit }) => {
                let records = self.store.synced.range(from..to).take(limit);
                let records = records.map(|(key, value)| (key.clone(), value.clone())).collect();
                let ms = self.read_ms();
                self.deliver_later(ms, Place::Db, db::Event::Scanned { job, records: Ok(records) }.into());
            }
            Message::ScanForMaster(ScanRecords { job, from: first, to, limit }) => {
                let records = self.store.synced.range(first..to).take(limit);
                let records = records.map(|(key, value)| (key.clone(), value.clone())).collect();
                let ms = self.read_ms();
                self.deliver_later(ms, from, scene_master::Event::Scanned { job, records: Ok(records) }.into());
            }
            Message::EverySceneService(event) => {
                for node in 0..NODES {
                    let message = Message::SceneService(NodeId(node as u64), event.clone());
                    self.send(from, Place::Node(node), message);
                }
            }
            Message::Service(service, up) => match from {
                Place::Master(partition) => self.announce_master(partition, up),
                _ => self.announce(service, up),
            },
            Message::User(told) => {
                let user = self.owners[told.connection.0 as usize];
                let swallowed = self.sabotage == Some(Sabotage::AnswersAreLost) && told.request.is_multiple_of(7);
                if told.request == 0 || !swallowed {
                    let at = self.arrival(Place::Lobby, Place::User(user));
                    self.at(at, Due::Hears(user, Box::new(told)));
                }
            }
            Message::Auth(auth::Event::Req { asker, request }) => self.auth(asker, &request),
            Message::Operator(number, result) => self.operator_hears(number, &result),
            Message::NodeDrained(node) => self.node_drained(node.0 as usize),
            // Auth is not simulated beyond its answers, and nobody waits for the rest.
            Message::Auth(_)
            | Message::Users(_)
            | Message::NodeIdle(_)
            | Message::Load(_)
            | Message::Scan(_)
            | Message::Check(_)
            | Message::Door(..)
            | Message::DbDoor(..)
            | Message::Moderate(_) => {}
        }
    }

    /// How long the disk takes to read something: now and then rather long.
    fn read_ms(&mut self) -> u64 {
        match chance(&mut self.net, 10) {
            true => between(&mut self.net, 100, 3_000),
            false => between(&mut self.net, 0, 30),
        }
    }

    /// Sends a message on its way; what happens to it there, the link decides.
    pub fn send(&mut self, from: Place, to: Place, message: Message) {
        if self.sabotaged(to, &message) {
            return;
        }
        let life = self.life_of(to);
        let letter = |message| Due::Letter { to, life, message: Box::new(message) };
        let mut at = self.arrival(from, to);
        self.keep(from, to, &message);
        if let Some(link) = remote(from, to).and_then(|node| self.nodes[node].link) {
            if chance(&mut self.net, link.lost) {
                return self.watch.trace(Place::World, &("lost", to, &message));
            }
            if chance(&mut self.net, link.doubled) {
                let late_ms = below(&mut self.net, LATE_MS_MAX);
                self.after(late_ms, letter(message.clone()));
            }
            if chance(&mut self.net, link.late) {
                // It may overtake, and be overtaken.
                at = self.now.plus_ms(below(&mut self.net, LATE_MS_MAX));
            }
        }
        self.at(at, letter(message));
    }

    /// Keeps a message that may come once more.
    fn keep(&mut self, from: Place, to: Place, message: &Message) {
        let (kept, most) = match (remote(from, to), message) {
            (Some(node), _) => (&mut self.nodes[node].letters, LETTERS_KEPT),
            (None, Message::SceneMaster(scene_master::Event::ReqCreateScene { .. })) => (&mut self.asked, ASKED_KEPT),
            _ => return,
        };
        if kept.len() == most {
            kept.pop_front();
        }
        kept.push_back((to, message.clone()));
    }

    /// A message of before comes once more, to the same life of its receiver.
    pub fn again(&mut self, node: usize, letter: usize) {
        if let Some((to, message)) = self.nodes[node].letters.get(letter).cloned() {
            self.deliver_later(0, to, message);
        }
    }

    /// Sends a message past everything that may happen to it.
    pub fn deliver_later(&mut self, ms: u64, to: Place, message: Message) {
        let life = self.life_of(to);
        self.after(ms, Due::Letter { to, life, message: Box::new(message) });
    }

    /// When the next message of a way comes.
    pub fn arrival(&mut self, from: Place, to: Place) -> Time {
        let is_user = |place| matches!(place, Place::User(_));
        let ms = match (is_user(from) || is_user(to), remote(from, to)) {
            // What the host says to everybody is in all inboxes at once.
            _ if from == Place::World => 0,
            (true, _) => between(&mut self.net, 2, 80),
            (false, Some(_)) => between(&mut self.net, 1, 5),
            (false, None) => below(&mut self.net, 2),
        };
        let last = self.links.entry((from, to)).or_default();
        *last = self.now.plus_ms(ms).max(*last);
        *last
    }

    /// A message has come.
    pub fn deliver(&mut self, to: Place, message: Message) {
        if self.is_dead(to) {
            return;
        }
        match (to, message) {
            (Place::Lobby, Message::Lobby(event)) => self.host.lobby.put(event),
            (Place::Db, Message::Db(event)) => self.host.db.put(event),
            (Place::Match(domain), Message::Match(_, event)) => self.host.matches[domain].put(event),
            (Place::Master(partition), Message::SceneMaster(event)) => self.host.masters[partition].put(event),
            (Place::Node(node), Message::SceneService(_, event) | Message::OwnSceneService(event)) => {
                self.nodes[node].service.put(event);
            }
            (Place::Scenes(node), Message::Scene(scene, order)) => return self.order(node, scene, order),
            (to, message) => unreachable!("{message:?} came to {to:?}"),
        }
        self.plan(to);
    }

    /// What Auth would answer.
    fn auth(&mut self, asker: Asker, request: &Request) {
        if self.dead.contains_key(&Unit::Auth) {
            return;
        }
        let event = match (asker, request) {
            (Asker::Lobby(connection), _) => {
                let user = &self.users[self.owners[connection.0 as usize]];
                let tokens = Tokens {
                    session: String::new(),
                    session_expires: Time(u64::MAX),
                    refresh: String::new(),
                    refresh_expires: Time(u64::MAX),
                };
                let record = UserRecord { name: user.name.clone(), created: START };
                let identity = Identity { user: user.id, record, session: user.session, tokens, created: false };
                let result = match chance(&mut self.net, 2) {
                    true => Err(Refusal::Overloaded("requests to sign-in".into())),
                    false => Ok(Box::new(identity)),
                };
                lobby::Event::ResSignIn { connection, result }
            }
            (_, Request::Operator { user, order: Order::EndSession(session) }) => {
                let sessions = vec![*session];
                lobby::Event::SynSessionsEnded { user: *user, sessions, refusal: Refusal::SessionEnded }
            }
            _ => return,
        };
        self.send(Place::World, Place::Lobby, event.into());
    }

    /// Does what a user wants done.
    pub fn carry_out(&mut self, user: usize) {
        for deed in std::mem::take(&mut self.users[user].deeds) {
            match deed {
                Deed::Lobby(event) => {
                    let at = self.arrival(Place::User(user), Place::Lobby);
                    let (to, life) = (Place::Lobby, self.life_of(Place::Lobby));
                    self.at(at, Due::Letter { to, life, message: Box::new(event.into()) });
                }
                Deed::Scene(node, scene, event) => match self.door(user, node) {
                    Some((at, life)) => self.at(at, Due::AtScene { node, life, scene, event: Box::new(event) }),
                    None => self.scene_lost(user),
                },
                Deed::Watch(node, scene, event) => {
                    if let Some((at, life)) = self.door(user, node) {
                        self.at(at, Due::AtScene { node, life, scene, event: Box::new(event) });
                    }
                }
                Deed::Play(node, scene, connection) => {
                    if let Some((at, life)) = self.door(user, node) {
                        self.at(at, Due::Play { node, life, scene, connection });
                    }
                }
                Deed::Later(ms, will) => self.after(ms, Due::Act(Action::User(user, will))),
                Deed::Accept(ms, party) => self.after(ms, Due::Accept(user, party)),
            }
        }
    }

    /// When something of a user comes to a node, and to which life of it; `None`: nobody is there.
    fn door(&mut self, user: usize, node: usize) -> Option<(Time, u32)> {
        let at = self.arrival(Place::User(user), Place::Scenes(node));
        self.nodes[node].up.then_some((at, self.nodes[node].life))
    }

    /// A user finds out that the connection to a scene is gone.
    pub fn scene_lost(&mut self, user: usize) {
        let Some(connection) = self.users[user].at_scene.as_ref().map(|at| at.connection) else { return };
        let ms = between(&mut self.net, 5, 500);
        self.after(ms, Due::SceneLost(user, connection));
    }

    /// Says to everyone concerned that a service went up or down.
    pub fn announce(&mut self, service: ServiceName, up: bool) {
        self.send(Place::World, Place::Db, db::Event::Service { service, up }.into());
        self.send(Place::World, Place::Lobby, lobby::Event::Service { service, up }.into());
        self.tell_masters(scene_master::Event::Service { service, up });
        for (domain, name) in DOMAINS.iter().enumerate() {
            let message = Message::Match((*name).into(), matching::Event::Service { service, up });
            self.send(Place::World, Place::Match(domain), message);
        }
    }

    /// The same for the SceneMaster of a partition.
    pub fn announce_master(&mut self, index: usize, up: bool) {
        let partition = self.host.masters[index].service.partition();
        self.send(Place::World, Place::Lobby, lobby::Event::SceneMaster { partition, up }.into());
        for (domain, name) in DOMAINS.iter().enumerate() {
            let message = Message::Match((*name).into(), matching::Event::SceneMaster { partition, up });
            self.send(Place::World, Place::Match(domain), message);
        }
    }

    /// Says something to the SceneMasters that it is for.
    pub fn tell_masters(&mut self, event: scene_master::Event) {
        for master in self.masters_of(&event) {
            self.send(Place::World, master, event.clone().into());
        }
    }

    /// For which SceneMasters something is.
    pub fn masters_of(&self, event: &scene_master::Event) -> Vec<Place> {
        let masters = self.host.masters.iter().enumerate();
        let concerned = masters.filter(|(_, master)| master.service.partition().overlaps(event.to()));
        concerned.map(|(index, _)| Place::Master(index)).collect()
    }

    /// A node offers to run scenes, and its SceneService begins.
    pub fn tell_up(&mut self, node: usize) {
        let Offer { url, capacity, idle, region } = offer(self.seed, node);
        let event = scene_master::Event::NodeUp { node: NodeId(node as u64), url, capacity, idle, region };
        self.tell_masters(event);
        self.plan(Place::Node(node));
    }
}

/// What a node offers.
pub fn offer(seed: u64, node: usize) -> Offer {
    Offer { url: format!("node/{node}"), capacity: Capacity::scenes(SLOTS), idle: idle_of(seed, node), region: None }
}

fn own(from: Place, there: impl Fn(usize) -> Place) -> Place {
    match from {
        Place::Node(node) | Place::Scenes(node) => there(node),
        from => unreachable!("{from:?} is no node"),
    }
}

/// The node whose link a message passes, if it leaves the host's process.
fn remote(from: Place, to: Place) -> Option<usize> {
    let node = |place| match place {
        Place::Node(node) | Place::Scenes(node) => Some(node),
        _ => None,
    };
    let is_user = |place| matches!(place, Place::User(_));
    match (node(from), node(to)) {
        (Some(node), None) | (None, Some(node)) if !is_user(from) && !is_user(to) => {
            (1..NODES).contains(&node).then_some(node)
        }
        _ => None,
    }
}
