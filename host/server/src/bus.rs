//! The bus in one process: brings each message to the inbox of its receiver.
//!
//! Invariant: every inbox has a limit, and sending never waits, or two services could wait for
//! each other. A message that meets a full inbox is dropped, counted and logged; the deadline of
//! its sender ends the wait for an answer. Users' requests are refused at the door instead.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use scenehost_core::chat::Moderate;
use scenehost_core::message::{ToUser, ToUsers};
use scenehost_core::read::{Load, Scan, ScanRecords};
use scenehost_core::{ConnectionId, DomainName, Message, Refusal, ServiceName};
use scenehost_core::{auth, db, lobby, matching, scene_master};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::edge::SharedFrame;
use crate::in_place::InPlace;
use crate::scene_thread::SceneThreads;
use crate::store::Store;

/// How many events may wait for a service.
pub const INBOX_LEN_MAX: usize = 65_536;
/// How many frames may wait for one lobby connection before it is closed as too slow.
pub const USER_FRAMES_MAX: usize = 256;

/// With so many frames waiting, what is for many is left out.
const USER_FRAMES_BUSY: usize = USER_FRAMES_MAX / 2;
/// How many messages may wait to be moderated; the lobby has a limit below that.
const MODERATED_LEN_MAX: usize = 2 * lobby::MODERATED_AT_ONCE_MAX;

/// With so many askers waiting, those who have hung up are looked for.
const WAITING_SWEPT: usize = 4_096;
/// How long Auth may take in any case; its own deadline is shorter.
const AUTH_MAX: Duration = Duration::from_millis(auth::REQUEST_MS_MAX + 1_000);

/// How long what an operator orders of SceneMaster may take; many scenes at once take that long.
const OPERATOR_MAX: Duration = Duration::from_secs(30);

/// How long Db may take in any case; its own deadline is shorter.
const DB_MAX: Duration = Duration::from_millis(db::REQUEST_MS_MAX + 1_000);

/// The receiving ends, one for each service that has a loop.
pub struct Inboxes {
    pub auth: mpsc::Receiver<auth::Event>,
    pub db: mpsc::Receiver<db::Event>,
    pub lobby: mpsc::Receiver<lobby::Event>,
    pub scene_master: mpsc::Receiver<scene_master::Event>,
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

/// Sends to every service of this process. Cheap to clone.
#[derive(Clone)]
pub struct Bus(Arc<Senders>);

struct Senders {
    store: Store,
    auth: mpsc::Sender<auth::Event>,
    questions: mpsc::Sender<Question>,
    checks: mpsc::Sender<auth::Check>,
    moderated: mpsc::Sender<Moderate>,
    db: mpsc::Sender<db::Event>,
    lobby: mpsc::Sender<lobby::Event>,
    matches: RwLock<BTreeMap<DomainName, mpsc::Sender<matching::Event>>>,
    scene_master: mpsc::Sender<scene_master::Event>,
    scene_service: InPlace,
    scene_threads: SceneThreads,
    users: Mutex<HashMap<ConnectionId, mpsc::Sender<Frame>>>,
    operators: Mutex<Waiting<scene_master::Answer>>,
    /// Who waits for this node to be drained.
    drained: Notify,
    doors: Mutex<Waiting<auth::Answer>>,
    db_doors: Mutex<Waiting<db::Answer>>,
}

/// What Auth, Db and SceneMaster ask of the store.
pub enum Question {
    Load(Load),
    Scan(Scan),
    LoadForDb(Load),
    ScanForDb(ScanRecords),
    ScanForMaster(ScanRecords),
}

/// Those outside of the services who wait for an answer, by number.
struct Waiting<T> {
    last: u64,
    waiting: HashMap<u64, oneshot::Sender<Result<T, Refusal>>>,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { last: 0, waiting: HashMap::new() }
    }
}

impl<T> Waiting<T> {
    fn add(&mut self) -> (u64, oneshot::Receiver<Result<T, Refusal>>) {
        // Who has hung up is forgotten now and then, in case its answer was lost.
        if self.waiting.len() >= WAITING_SWEPT && self.last.is_multiple_of(1_024) {
            self.waiting.retain(|_, answer| !answer.is_closed());
        }
        let (answer, receiver) = oneshot::channel();
        self.last += 1;
        self.waiting.insert(self.last, answer);
        (self.last, receiver)
    }

    fn answer(&mut self, number: u64, result: Result<T, Refusal>) {
        if let Some(asker) = self.waiting.remove(&number) {
            let _ = asker.send(result); // The asker has hung up: fine.
        }
    }
}

impl Bus {
    pub fn new(scene_threads: SceneThreads, store: Store) -> (Self, Inboxes, ToHost) {
        let (auth, auth_inbox) = mpsc::channel(INBOX_LEN_MAX);
        let (questions, questions_inbox) = mpsc::channel(INBOX_LEN_MAX);
        let (checks, checks_inbox) = mpsc::channel(INBOX_LEN_MAX);
        let (moderated, moderated_inbox) = mpsc::channel(MODERATED_LEN_MAX);
        let (db, db_inbox) = mpsc::channel(INBOX_LEN_MAX);
        let (lobby, lobby_inbox) = mpsc::channel(INBOX_LEN_MAX);
        let (scene_master, scene_master_inbox) = mpsc::channel(INBOX_LEN_MAX);
        let senders = Senders {
            store,
            auth,
            questions,
            checks,
            moderated,
            db,
            lobby,
            matches: RwLock::default(),
            scene_master,
            scene_service: InPlace::new(),
            scene_threads,
            users: Mutex::default(),
            operators: Mutex::default(),
            drained: Notify::new(),
            doors: Mutex::default(),
            db_doors: Mutex::default(),
        };
        let inboxes = Inboxes { auth: auth_inbox, db: db_inbox, lobby: lobby_inbox, scene_master: scene_master_inbox };
        let to_host = ToHost { questions: questions_inbox, checks: checks_inbox, moderated: moderated_inbox };
        (Self(Arc::new(senders)), inboxes, to_host)
    }

    /// Sends a message to wherever it belongs.
    pub fn send(&self, message: Message) {
        let senders = &*self.0;
        match message {
            Message::Auth(event) => put(&senders.auth, event, "auth"),
            // What is in memory is there at once; for the disk there is a thread that may wait.
            Message::Load(load) => match senders.store.get_from_memory(&load.keys) {
                Some(values) => put(&senders.auth, auth::Event::Loaded { job: load.job, values: Ok(values) }, "auth"),
                None => put(&senders.questions, Question::Load(load), "store"),
            },
            Message::Scan(scan) => put(&senders.questions, Question::Scan(scan), "store"),
            Message::LoadForDb(load) => match senders.store.get_from_memory(&load.keys) {
                Some(values) => put(&senders.db, db::Event::Loaded { job: load.job, values: Ok(values) }, "db"),
                None => put(&senders.questions, Question::LoadForDb(load), "store"),
            },
            Message::ScanForDb(scan) => put(&senders.questions, Question::ScanForDb(scan), "store"),
            Message::ScanForMaster(scan) => put(&senders.questions, Question::ScanForMaster(scan), "store"),
            Message::Db(event) => put(&senders.db, event, "db"),
            Message::DbDoor(number, result) => lock(&senders.db_doors).answer(number, result.map(|answer| *answer)),
            Message::Check(check) => put(&senders.checks, check, "checks"),
            Message::Lobby(event) => put(&senders.lobby, event, "lobby"),
            Message::Match(domain, event) => match lock_to_read(&senders.matches).get(&domain) {
                Some(inbox) => put(inbox, event, "match"),
                None => tracing::error!(%domain, "a message for a domain that is not configured"),
            },
            Message::SceneMaster(event) => put(&senders.scene_master, event, "scene-master"),
            Message::SceneService(_, event) | Message::OwnSceneService(event) | Message::EverySceneService(event) => {
                if !senders.scene_service.say(event, self) {
                    dropped("scene-service");
                }
            }
            Message::Service(service, up) => self.announce(service, up),
            Message::Scene(scene, order) => {
                if !senders.scene_threads.order(scene, order) {
                    dropped("scene thread");
                }
            }
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
        &self.0.scene_service
    }

    /// Tells the lobby about a connection; false if its inbox is full, so that the edge can refuse.
    pub fn to_lobby(&self, event: lobby::Event) -> bool {
        self.0.lobby.try_send(event).is_ok()
    }

    /// Tells the lobby what it must hear, as soon as its inbox has room.
    pub async fn tell_lobby(&self, event: lobby::Event) {
        let _ = self.0.lobby.send(event).await; // A lobby that has ended needs no news.
    }

    /// Says to everyone concerned that a service went up or down.
    pub fn announce(&self, service: ServiceName, up: bool) {
        self.send(db::Event::Service { service, up }.into());
        self.send(lobby::Event::Service { service, up }.into());
        for inbox in lock_to_read(&self.0.matches).values() {
            put(inbox, matching::Event::Service { service, up }, "match");
        }
    }

    /// Opens the way to the handler of a domain; `None` if it is open.
    pub fn open_match(&self, domain: &DomainName) -> Option<mpsc::Receiver<matching::Event>> {
        let mut matches = self.0.matches.write().unwrap_or_else(PoisonError::into_inner);
        if matches.contains_key(domain) {
            return None;
        }
        let (sender, inbox) = mpsc::channel(INBOX_LEN_MAX);
        matches.insert(domain.clone(), sender);
        Some(inbox)
    }

    /// Opens the way for frames to a lobby connection.
    pub fn open_user(&self, connection: ConnectionId) -> mpsc::Receiver<Frame> {
        let (sender, frames) = mpsc::channel(USER_FRAMES_MAX);
        lock(&self.0.users).insert(connection, sender);
        frames
    }

    pub fn close_user(&self, connection: ConnectionId) {
        lock(&self.0.users).remove(&connection);
    }

    /// Asks SceneMaster for an operator: what, with the number of the question. Refused at once if its inbox is full.
    ///
    /// # Errors
    /// As SceneMaster says; [`Refusal::TimedOut`] after [`OPERATOR_MAX`].
    pub async fn ask_scene_master(
        &self,
        what: impl FnOnce(u64) -> scene_master::Event,
    ) -> Result<scene_master::Answer, Refusal> {
        let (number, answer) = lock(&self.0.operators).add();
        if self.0.scene_master.try_send(what(number)).is_err() {
            lock(&self.0.operators).waiting.remove(&number);
            return Err(Refusal::Overloaded("requests to make scenes".into()));
        }
        match tokio::time::timeout(OPERATOR_MAX, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => {
                lock(&self.0.operators).waiting.remove(&number);
                Err(Refusal::TimedOut("making scenes".into()))
            }
        }
    }

    /// Waits until this node is drained and may exit.
    pub async fn drained(&self) {
        self.0.drained.notified().await;
    }

    /// Asks Auth; refused at once if its inbox is full.
    pub async fn ask_auth(&self, request: auth::Request) -> Result<auth::Answer, Refusal> {
        let (number, answer) = lock(&self.0.doors).add();
        let event = auth::Event::Req { asker: auth::Asker::Door(number), request: Box::new(request) };
        if self.0.auth.try_send(event).is_err() {
            lock(&self.0.doors).waiting.remove(&number);
            return Err(Refusal::Overloaded("requests to sign-in".into()));
        }
        match tokio::time::timeout(AUTH_MAX, answer).await {
            Ok(Ok(result)) => result,
            // Auth has its own deadline, so it has failed.
            Ok(Err(_)) | Err(_) => {
                lock(&self.0.doors).waiting.remove(&number);
                Err(Refusal::TimedOut("signing in".into()))
            }
        }
    }

    /// Asks Db; refused at once if its inbox is full.
    pub async fn ask_db(&self, caller: db::Caller, request: db::Request) -> Result<db::Answer, Refusal> {
        let (number, answer) = lock(&self.0.db_doors).add();
        let event = db::Event::Req { caller, asker: db::Asker::Door(number), request: Box::new(request) };
        if self.0.db.try_send(event).is_err() {
            lock(&self.0.db_doors).waiting.remove(&number);
            return Err(Refusal::Overloaded("requests to the store".into()));
        }
        match tokio::time::timeout(DB_MAX, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => {
                lock(&self.0.db_doors).waiting.remove(&number);
                Err(Refusal::TimedOut("the store".into()))
            }
        }
    }

    pub fn scene_threads(&self) -> &SceneThreads {
        &self.0.scene_threads
    }

    fn to_user(&self, to_user: ToUser) {
        let mut users = lock(&self.0.users);
        let connection = to_user.connection;
        let Some(sender) = users.get(&connection) else { return }; // Gone meanwhile.
        if sender.try_send(Frame::One(to_user)).is_err() {
            // Its end of the queue closes with this, and the connection with it.
            users.remove(&connection);
            metrics::counter!("scenehost_slow_connections_total", "kind" => "lobby").increment(1);
        }
    }

    /// The same frame to many; left out where much waits already, for it is nothing that must not be missed.
    fn to_users(&self, ToUsers { connections, notice }: ToUsers) {
        let frame = Arc::new(SharedFrame::new(notice));
        let mut left_out = 0;
        let users = lock(&self.0.users);
        for connection in connections {
            let Some(sender) = users.get(&connection) else { continue }; // Gone meanwhile.
            left_out += u64::from(!offer(sender, &frame));
        }
        drop(users);
        if left_out > 0 {
            metrics::counter!("scenehost_left_out_frames_total").increment(left_out);
        }
    }
}

/// Whether a connection takes a frame that may be left out: it has to leave room for what may not.
fn offer(sender: &mpsc::Sender<Frame>, frame: &Arc<SharedFrame>) -> bool {
    sender.capacity() > USER_FRAMES_BUSY && sender.try_send(Frame::Shared(Arc::clone(frame))).is_ok()
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

#[cfg(test)]
mod tests {
    use scenehost_core::message::Notice;

    use super::*;

    #[test]
    fn what_may_be_left_out_leaves_room_for_what_may_not() {
        let (sender, mut frames) = mpsc::channel(USER_FRAMES_MAX);
        let shared = Arc::new(SharedFrame::new(Notice::SynService(ServiceName::Db, true)));
        let taken = (0..2 * USER_FRAMES_MAX).filter(|_| offer(&sender, &shared)).count();
        assert_eq!(taken, USER_FRAMES_MAX - USER_FRAMES_BUSY);
        let notice = Notice::SynService(ServiceName::Db, true);
        let own = ToUser { connection: ConnectionId(1), seq: 1, request: 0, notice };
        assert!((0..USER_FRAMES_BUSY).all(|_| sender.try_send(Frame::One(own.clone())).is_ok()));
        frames.try_recv().expect("it is read");
        assert!(!offer(&sender, &shared), "still busy");
    }
}
