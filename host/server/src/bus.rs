//! The bus: brings each message to the inbox of its receiver, in this process or, in a cluster, on another node.
//!
//! Invariant: every inbox has a limit, and sending never waits, or two services could wait for
//! each other. A message that meets a full inbox is dropped, counted and logged; the deadline of
//! its sender ends the wait for an answer. Users' requests are refused at the door instead.
//!
//! - `bus/asking.rs`: questions from outside of the services. `bus/users.rs`: frames for the users who are connected here.

mod asking;
mod orders;
mod users;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use scenehost_core::chat::Moderate;
use scenehost_core::message::ToUser;
use scenehost_core::read::{Load, Scan, ScanRecords};
use scenehost_core::{ConnectionId, DomainName, Message, Partition, Refusal, ServiceName};
use scenehost_core::{auth, db, lobby, matching, scene_master};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};

use crate::cluster::router::{self, Place, Router, Unsent};
use crate::cluster::unit::{Role, Unit};
use crate::edge::SharedFrame;
use crate::in_place::InPlace;
use crate::scene_thread::SceneThreads;
use crate::store::Store;
use asking::Waiting;

/// How many events may wait for a service.
pub const INBOX_LEN_MAX: usize = 65_536;
/// How many frames may wait for one lobby connection before it is closed as too slow.
pub const USER_FRAMES_MAX: usize = 256;

/// How many messages may wait to be moderated; the lobby has a limit below that.
const MODERATED_LEN_MAX: usize = 2 * lobby::MODERATED_AT_ONCE_MAX;

/// How long what the lobby of another node must hear waits for room before it is tried again.
const RETRY: Duration = Duration::from_millis(20);

/// The receiving ends, one for each service that has a loop.
pub struct Inboxes {
    pub auth: mpsc::Receiver<auth::Event>,
    pub db: mpsc::Receiver<db::Event>,
    pub lobby: mpsc::Receiver<lobby::Event>,
    pub scene_masters: BTreeMap<Partition, mpsc::Receiver<scene_master::Event>>,
}

/// The receiving ends of what services ask of the host itself.
pub struct ToHost {
    pub questions: mpsc::Receiver<Question>,
    pub checks: mpsc::Receiver<auth::Check>,
    pub moderated: mpsc::Receiver<Moderate>,
}

/// A frame for a lobby connection.
#[expect(clippy::large_enum_variant, reason = "most frames are for one")]
pub enum Frame {
    /// For this one.
    One(ToUser),
    /// For many.
    Shared(Arc<SharedFrame>),
}

/// Sends to every service. Cheap to clone.
#[derive(Clone)]
pub struct Bus {
    senders: Arc<Senders>,
    /// Which unit sends with this handle, and in a cluster in which epoch.
    from: Option<Arc<(Unit, u64)>>,
}

struct Senders {
    store: Store,
    /// The way to other nodes, in a cluster.
    router: Option<Router>,
    auth: Inbox<auth::Event>,
    questions: mpsc::Sender<Question>,
    checks: mpsc::Sender<auth::Check>,
    moderated: mpsc::Sender<Moderate>,
    db: Inbox<db::Event>,
    lobby: Inbox<lobby::Event>,
    matches: RwLock<BTreeMap<DomainName, mpsc::Sender<matching::Event>>>,
    scene_masters: BTreeMap<Partition, Inbox<scene_master::Event>>,
    scene_service: InPlace,
    scene_threads: SceneThreads,
    orders: orders::Orders,
    runtime: Handle,
    users: Mutex<HashMap<ConnectionId, mpsc::Sender<Frame>>>,
    operators: Mutex<Waiting<scene_master::Answer>>,
    /// Who waits for this node to be drained.
    drained: Notify,
    doors: Mutex<Waiting<auth::Answer>>,
    db_doors: Mutex<Waiting<db::Answer>>,
}

/// The way to a service, while it runs in this process.
struct Inbox<T>(RwLock<Option<mpsc::Sender<T>>>);

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self(RwLock::new(None))
    }
}

impl<T> Inbox<T> {
    fn open(&self) -> mpsc::Receiver<T> {
        let (sender, inbox) = mpsc::channel(INBOX_LEN_MAX);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        inbox
    }

    fn close(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn sender(&self) -> Option<mpsc::Sender<T>> {
        lock_to_read(&self.0).clone()
    }

    /// Says something to the service; what is for one that does not run here is passed over.
    fn put(&self, event: T, service: &'static str) {
        if let Some(sender) = &*lock_to_read(&self.0) {
            put(sender, event, service);
        }
    }

    /// The same for who wants to know; false: it is full, or does not run here.
    fn offer(&self, event: T) -> bool {
        lock_to_read(&self.0).as_ref().is_some_and(|sender| sender.try_send(event).is_ok())
    }
}

/// What Auth, Db and SceneMaster ask of the store.
pub enum Question {
    Load(Load),
    Scan(Scan),
    LoadForDb(Load),
    ScanForDb(ScanRecords),
    ScanForMaster(ScanRecords),
}

impl Bus {
    /// A bus without services: [`Bus::open`] or the cluster's node opens the ways to them. Has to be called in a runtime.
    pub fn new(
        scene_threads: SceneThreads,
        store: Store,
        router: Option<Router>,
        partitions: impl IntoIterator<Item = Partition>,
    ) -> (Self, ToHost) {
        let (questions, questions_inbox) = mpsc::channel(INBOX_LEN_MAX);
        let (checks, checks_inbox) = mpsc::channel(INBOX_LEN_MAX);
        let (moderated, moderated_inbox) = mpsc::channel(MODERATED_LEN_MAX);
        let senders = Senders {
            store,
            router,
            auth: Inbox::default(),
            questions,
            checks,
            moderated,
            db: Inbox::default(),
            lobby: Inbox::default(),
            matches: RwLock::default(),
            scene_masters: partitions.into_iter().map(|partition| (partition, Inbox::default())).collect(),
            scene_service: InPlace::new(),
            scene_threads,
            orders: orders::Orders::default(),
            runtime: Handle::current(),
            users: Mutex::default(),
            operators: Mutex::default(),
            drained: Notify::new(),
            doors: Mutex::default(),
            db_doors: Mutex::default(),
        };
        let to_host = ToHost { questions: questions_inbox, checks: checks_inbox, moderated: moderated_inbox };
        (Self { senders: Arc::new(senders), from: None }, to_host)
    }

    /// Opens the ways to all services that are there whatever the domains.
    pub fn open(&self) -> Inboxes {
        let Senders { auth, db, lobby, scene_masters, .. } = &*self.senders;
        let scene_masters = scene_masters.iter().map(|(partition, inbox)| (*partition, inbox.open())).collect();
        Inboxes { auth: auth.open(), db: db.open(), lobby: lobby.open(), scene_masters }
    }

    pub fn open_auth(&self) -> mpsc::Receiver<auth::Event> {
        self.senders.auth.open()
    }

    pub fn open_db(&self) -> mpsc::Receiver<db::Event> {
        self.senders.db.open()
    }

    pub fn open_lobby(&self) -> mpsc::Receiver<lobby::Event> {
        self.senders.lobby.open()
    }

    /// `None`: there is no such partition here.
    pub fn open_scene_master(&self, partition: Partition) -> Option<mpsc::Receiver<scene_master::Event>> {
        self.senders.scene_masters.get(&partition).map(Inbox::open)
    }

    /// A unit does not run here any more.
    pub fn close_unit(&self, unit: &Unit) {
        let senders = &*self.senders;
        match unit {
            Unit::Auth => senders.auth.close(),
            Unit::Db => senders.db.close(),
            Unit::Lobby => senders.lobby.close(),
            Unit::SceneMaster(partition) => senders.scene_masters.get(partition).into_iter().for_each(Inbox::close),
            Unit::Match(domain) => {
                senders.matches.write().unwrap_or_else(PoisonError::into_inner).remove(domain);
            }
        }
    }

    /// The same bus for what a unit says in an epoch.
    pub fn of_unit(&self, unit: Unit, epoch: u64) -> Self {
        Self { senders: Arc::clone(&self.senders), from: Some(Arc::new((unit, epoch))) }
    }

    /// The way to other nodes, in a cluster.
    pub fn router(&self) -> Option<&Router> {
        self.senders.router.as_ref()
    }

    /// Sends a message to wherever it belongs.
    pub fn send(&self, message: Message) {
        let Some(router) = &self.senders.router else { return self.deliver(message) };
        let from = self.from.as_deref();
        match router::place(&message) {
            Place::Here => self.deliver(message),
            Place::Unit(unit) if router.is_here(&unit) => self.deliver(message),
            Place::Unit(unit) => {
                if let Err(why) = router.to_unit(&unit, from, message) {
                    router::lost("unit", why);
                }
            }
            Place::SceneMasters(shards) => {
                for partition in self.partitions_of(shards) {
                    let unit = Unit::SceneMaster(partition);
                    if router.is_here(&unit) {
                        self.deliver_to(&unit, message.clone());
                    } else if let Err(why) = router.to_unit(&unit, from, message.clone()) {
                        router::lost("unit", why);
                    }
                }
            }
            Place::Node(node) if node == router.me() => self.deliver(message),
            Place::Node(node) => router.to_node(node, from, message),
            Place::Everywhere => {
                router.to_role(Role::SceneService, from, &message);
                self.deliver(message);
            }
            Place::Users => {
                let Message::Users(to_users) = message else { return };
                for (node, to_users) in router::by_node(to_users) {
                    match node == router.me() {
                        true => self.to_users(to_users),
                        false => router.to_node(node, from, Message::Users(to_users)),
                    }
                }
            }
        }
    }

    /// The partitions that have some of these shards.
    fn partitions_of(&self, shards: Partition) -> impl Iterator<Item = Partition> {
        self.senders.scene_masters.keys().copied().filter(move |partition| partition.overlaps(shards))
    }

    /// The same for a unit in this process, and no other one.
    pub fn deliver_to(&self, unit: &Unit, message: Message) {
        match (unit, message) {
            (Unit::SceneMaster(partition), Message::SceneMaster(event)) => {
                if let Some(inbox) = self.senders.scene_masters.get(partition) {
                    inbox.put(event, "scene-master");
                }
            }
            (_, message) => self.deliver(message),
        }
    }

    /// Says something to those SceneMasters in this process that it is for.
    fn to_scene_masters(&self, event: scene_master::Event) {
        for partition in self.partitions_of(event.to()) {
            self.deliver_to(&Unit::SceneMaster(partition), event.clone().into());
        }
    }

    /// Gives a message to whom it is for in this process; nothing happens if that one is not here.
    pub fn deliver(&self, message: Message) {
        let senders = &*self.senders;
        match message {
            Message::Auth(event) => senders.auth.put(event, "auth"),
            // What is in memory is there at once; for the disk there is a thread that may wait.
            Message::Load(load) => match senders.store.get_from_memory(&load.keys) {
                Some(values) => senders.auth.put(auth::Event::Loaded { job: load.job, values: Ok(values) }, "auth"),
                None => put(&senders.questions, Question::Load(load), "store"),
            },
            Message::Scan(scan) => put(&senders.questions, Question::Scan(scan), "store"),
            Message::LoadForDb(load) => match senders.store.get_from_memory(&load.keys) {
                Some(values) => senders.db.put(db::Event::Loaded { job: load.job, values: Ok(values) }, "db"),
                None => put(&senders.questions, Question::LoadForDb(load), "store"),
            },
            Message::ScanForDb(scan) => put(&senders.questions, Question::ScanForDb(scan), "store"),
            Message::ScanForMaster(scan) => put(&senders.questions, Question::ScanForMaster(scan), "store"),
            Message::Db(event) => senders.db.put(event, "db"),
            Message::DbDoor(number, result) => lock(&senders.db_doors).answer(number, result.map(|answer| *answer)),
            Message::Check(check) => put(&senders.checks, check, "checks"),
            Message::Lobby(event) => senders.lobby.put(event, "lobby"),
            Message::Match(domain, event) => match lock_to_read(&senders.matches).get(&domain) {
                Some(inbox) => put(inbox, event, "match"),
                // In a cluster it is another node's.
                None if senders.router.is_some() => {}
                None => tracing::error!(%domain, "a message for a domain that is not configured"),
            },
            Message::SceneMaster(event) => self.to_scene_masters(event),
            Message::SceneService(_, event) | Message::OwnSceneService(event) | Message::EverySceneService(event) => {
                if !senders.scene_service.say(event, self) {
                    dropped("scene-service");
                }
            }
            Message::Service(service, up) => self.announce(service, up),
            Message::Scene(scene, order) => self.order_scene(scene, order),
            Message::User(to_user) => self.to_user(to_user),
            Message::Users(to_users) => self.to_users(to_users),
            Message::Moderate(message) => put(&senders.moderated, message, "moderation"),
            Message::Operator(number, result) => lock(&senders.operators).answer(number, result.map(|answer| *answer)),
            Message::NodeIdle(node) => {
                metrics::counter!("scenehost_node_idle_total").increment(1);
                tracing::info!(%node, "no scene of this node was used for its time to live: the machine may be taken away");
            }
            Message::NodeDrained(_) => senders.drained.notify_one(),
            Message::Door(number, result) => lock(&senders.doors).answer(number, result.map(|answer| *answer)),
        }
    }

    /// The service of this node's scenes.
    pub fn scene_service(&self) -> &InPlace {
        &self.senders.scene_service
    }

    /// Tells the lobby about a connection, so that the edge can refuse.
    ///
    /// # Errors
    /// There is no lobby now, or its inbox is full.
    pub fn to_lobby(&self, event: lobby::Event) -> Result<(), Refusal> {
        let full = || Refusal::Overloaded("requests to the lobby".into());
        match &self.senders.router {
            Some(router) if !router.is_here(&Unit::Lobby) => {
                router.to_unit(&Unit::Lobby, None, event.into()).map_err(|why| match why {
                    Unsent::Down => Refusal::ServiceDown(ServiceName::Lobby),
                    Unsent::Full => full(),
                })
            }
            _ => self.senders.lobby.offer(event).then_some(()).ok_or_else(full),
        }
    }

    /// Tells the lobby what it must hear, as soon as its inbox has room. A lobby that is not there any more needs no news.
    pub async fn tell_lobby(&self, event: lobby::Event) {
        if let Some(lobby) = self.senders.lobby.sender() {
            let _ = lobby.send(event).await;
        } else if let Some(router) = &self.senders.router {
            while router.to_unit(&Unit::Lobby, None, event.clone().into()) == Err(Unsent::Full) {
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// A service here went up or down: everyone concerned hears of it.
    pub fn announce(&self, service: ServiceName, up: bool) {
        match (&self.senders.router, self.from.as_deref()) {
            // The cluster's node tells it, here and on the others.
            (Some(router), Some((unit, _))) => router.serves(unit, up),
            (None, Some((unit, _))) => self.tell_unit(unit, up),
            (_, None) => self.tell_service(service, up),
        }
    }

    /// Tells the services here that a unit, here or on another node, went up or down.
    pub fn tell_unit(&self, unit: &Unit, up: bool) {
        let lobby = &self.senders.lobby;
        match unit {
            Unit::Match(domain) => {
                self.to_scene_masters(scene_master::Event::Handler { domain: domain.clone(), up });
                lobby.put(lobby::Event::Handler { domain: domain.clone(), up }, "lobby");
            }
            Unit::SceneMaster(partition) => {
                let partition = *partition;
                lobby.put(lobby::Event::SceneMaster { partition, up }, "lobby");
                for inbox in lock_to_read(&self.senders.matches).values() {
                    put(inbox, matching::Event::SceneMaster { partition, up }, "match");
                }
            }
            Unit::Auth | Unit::Db | Unit::Lobby => self.tell_service(unit.service(), up),
        }
    }

    fn tell_service(&self, service: ServiceName, up: bool) {
        let senders = &*self.senders;
        senders.db.put(db::Event::Service { service, up }, "db");
        senders.auth.put(auth::Event::Service { service, up }, "auth");
        self.to_scene_masters(scene_master::Event::Service { service, up });
        senders.lobby.put(lobby::Event::Service { service, up }, "lobby");
        for inbox in lock_to_read(&senders.matches).values() {
            put(inbox, matching::Event::Service { service, up }, "match");
        }
    }

    /// Opens the way to the handler of a domain; `None` if it is open.
    pub fn open_match(&self, domain: &DomainName) -> Option<mpsc::Receiver<matching::Event>> {
        let mut matches = self.senders.matches.write().unwrap_or_else(PoisonError::into_inner);
        if matches.contains_key(domain) {
            return None;
        }
        let (sender, inbox) = mpsc::channel(INBOX_LEN_MAX);
        matches.insert(domain.clone(), sender);
        Some(inbox)
    }

    /// Waits until this node is drained and may exit.
    pub async fn drained(&self) {
        self.senders.drained.notified().await;
    }

    pub fn scene_threads(&self) -> &SceneThreads {
        &self.senders.scene_threads
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
fn lock_to_read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
