//! The bus in one process: brings each message to the inbox of its receiver.
//!
//! Invariant: every inbox has a limit, and sending never waits, or two services could wait for
//! each other. A message that meets a full inbox is dropped, counted and logged; the deadline of
//! its sender ends the wait for an answer. Users' requests are refused at the door instead.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use scenehost_core::message::ToUser;
use scenehost_core::{ConnectionId, DomainName, Message, Refusal, SceneId, ServiceName};
use scenehost_core::{auth, lobby, matching, scene_master, scene_service};
use tokio::sync::{mpsc, oneshot};

use crate::scene_thread::SceneThreads;

/// How many events may wait for a service.
pub const INBOX_LEN_MAX: usize = 65_536;
/// How many frames may wait for one lobby connection before it is closed as too slow.
pub const USER_FRAMES_MAX: usize = 256;

/// The receiving ends, one for each service's loop.
pub struct Inboxes {
    pub auth: mpsc::Receiver<auth::Event>,
    pub loads: mpsc::Receiver<auth::Load>,
    pub lobby: mpsc::Receiver<lobby::Event>,
    pub matches: BTreeMap<DomainName, mpsc::Receiver<matching::Event>>,
    pub scene_master: mpsc::Receiver<scene_master::Event>,
    pub scene_service: mpsc::Receiver<scene_service::Event>,
}

/// Sends to every service of this process. Cheap to clone.
#[derive(Clone)]
pub struct Bus(Arc<Senders>);

struct Senders {
    auth: mpsc::Sender<auth::Event>,
    loads: mpsc::Sender<auth::Load>,
    lobby: mpsc::Sender<lobby::Event>,
    matches: BTreeMap<DomainName, mpsc::Sender<matching::Event>>,
    scene_master: mpsc::Sender<scene_master::Event>,
    scene_service: mpsc::Sender<scene_service::Event>,
    scene_threads: SceneThreads,
    users: Mutex<HashMap<ConnectionId, mpsc::Sender<ToUser>>>,
    operators: Mutex<Operators>,
}

#[derive(Default)]
struct Operators {
    last: u64,
    waiting: HashMap<u64, oneshot::Sender<Result<Vec<SceneId>, Refusal>>>,
}

impl Bus {
    pub fn new(domains: impl Iterator<Item = DomainName>, scene_threads: SceneThreads) -> (Self, Inboxes) {
        let (auth, auth_inbox) = mpsc::channel(INBOX_LEN_MAX);
        let (loads, loads_inbox) = mpsc::channel(INBOX_LEN_MAX);
        let (lobby, lobby_inbox) = mpsc::channel(INBOX_LEN_MAX);
        let (scene_master, scene_master_inbox) = mpsc::channel(INBOX_LEN_MAX);
        let (scene_service, scene_service_inbox) = mpsc::channel(INBOX_LEN_MAX);
        let mut matches = BTreeMap::new();
        let mut match_inboxes = BTreeMap::new();
        for domain in domains {
            let (sender, inbox) = mpsc::channel(INBOX_LEN_MAX);
            matches.insert(domain.clone(), sender);
            match_inboxes.insert(domain, inbox);
        }
        let senders = Senders {
            auth,
            loads,
            lobby,
            matches,
            scene_master,
            scene_service,
            scene_threads,
            users: Mutex::default(),
            operators: Mutex::default(),
        };
        let inboxes = Inboxes {
            auth: auth_inbox,
            loads: loads_inbox,
            lobby: lobby_inbox,
            matches: match_inboxes,
            scene_master: scene_master_inbox,
            scene_service: scene_service_inbox,
        };
        (Self(Arc::new(senders)), inboxes)
    }

    /// Sends a message to wherever it belongs.
    pub fn send(&self, message: Message) {
        let senders = &*self.0;
        match message {
            Message::Auth(event) => put(&senders.auth, event, "auth"),
            Message::Load(load) => put(&senders.loads, load, "store"),
            Message::Lobby(event) => put(&senders.lobby, event, "lobby"),
            Message::Match(domain, event) => match senders.matches.get(&domain) {
                Some(inbox) => put(inbox, event, "match"),
                None => tracing::error!(%domain, "a message for a domain that is not configured"),
            },
            Message::SceneMaster(event) => put(&senders.scene_master, event, "scene-master"),
            Message::SceneService(_, event) | Message::OwnSceneService(event) => {
                put(&senders.scene_service, event, "scene-service");
            }
            Message::Scene(scene, order) => {
                if !senders.scene_threads.order(scene, order) {
                    dropped("scene thread");
                }
            }
            Message::User(to_user) => self.to_user(to_user),
            Message::Operator(number, result) => {
                let waiting = lock(&senders.operators).waiting.remove(&number);
                if let Some(operator) = waiting {
                    let _ = operator.send(result); // The operator has hung up: fine.
                }
            }
        }
    }

    /// Tells the lobby about a connection; false if its inbox is full, so that the edge can refuse.
    pub fn to_lobby(&self, event: lobby::Event) -> bool {
        self.0.lobby.try_send(event).is_ok()
    }

    /// Says to everyone concerned that a service went up or down.
    pub fn announce(&self, service: ServiceName, up: bool) {
        self.send(lobby::Event::Service { service, up }.into());
        for domain in self.0.matches.keys() {
            self.send(Message::Match(domain.clone(), matching::Event::Service { service, up }));
        }
    }

    /// Opens the way for frames to a lobby connection.
    pub fn open_user(&self, connection: ConnectionId) -> mpsc::Receiver<ToUser> {
        let (sender, frames) = mpsc::channel(USER_FRAMES_MAX);
        lock(&self.0.users).insert(connection, sender);
        frames
    }

    pub fn close_user(&self, connection: ConnectionId) {
        lock(&self.0.users).remove(&connection);
    }

    /// Asks SceneMaster for scenes without seats.
    pub fn create_by_hand(
        &self,
        fleet: scenehost_core::FleetName,
        count: u32,
    ) -> oneshot::Receiver<Result<Vec<SceneId>, Refusal>> {
        let (answer, receiver) = oneshot::channel();
        let mut operators = lock(&self.0.operators);
        operators.last += 1;
        let number = operators.last;
        operators.waiting.insert(number, answer);
        drop(operators);
        self.send(scene_master::Event::ReqCreateByHand { number, fleet, count }.into());
        receiver
    }

    pub fn scene_threads(&self) -> &SceneThreads {
        &self.0.scene_threads
    }

    fn to_user(&self, to_user: ToUser) {
        let mut users = lock(&self.0.users);
        let connection = to_user.connection;
        let Some(sender) = users.get(&connection) else { return }; // Gone meanwhile.
        if sender.try_send(to_user).is_err() {
            // Its end of the queue closes with this, and the connection with it.
            users.remove(&connection);
            metrics::counter!("scenehost_slow_connections_total", "kind" => "lobby").increment(1);
        }
    }
}

fn put<T>(inbox: &mpsc::Sender<T>, event: T, service: &'static str) {
    if let Err(mpsc::error::TrySendError::Full(_)) = inbox.try_send(event) {
        dropped(service);
    }
}

fn dropped(service: &'static str) {
    metrics::counter!("scenehost_dropped_messages_total", "to" => service).increment(1);
    tracing::error!(to = service, "inbox full, message dropped");
}

/// A lock whose holder panicked still guards whole data here: nothing is changed in two steps.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
