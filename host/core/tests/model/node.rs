//! A node of the model: the real SceneService with its real scenes, behind a gate that takes no order of an owner
//! before the newest one that it has heard of.
//!
//! What a SceneService and its scenes tell each other passes no network, so it is one step with what it follows from;
//! that they wait for each other, and give up, is the affair of the simulator. Scenes end without last words.
//!
//! Invariant: two nodes of which everything is equal but moments of time are the same state of the model: the model
//! lets deadlines come when it likes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use scenehost_core::config::{Fleet, OnCrash};
use scenehost_core::message::{Arranged, EndReason};
use scenehost_core::scene::{self, Effect, Notice, Scene};
use scenehost_core::scene_master::{self, Ask, Capacity, Offer};
use scenehost_core::scene_service::{self, SceneService, SeatGrant, ToScene};
use scenehost_core::token::SecretHash;
use scenehost_core::{
    Build, ConnectionId, Context, Effects, Epoch, Message, NodeId, Player, SceneId, Service, Time, UserId,
};

use crate::letter::{Inc, Letter, Order, Report, SceneNo, Token, USERS, Way, What, Why};
use crate::life;
use crate::state::{Broken, Stage, State};

const FLEET: &str = "duel";
/// The time of everything but deadlines.
const NOW: Time = Time(0);
/// Until when tokens open a seat.
const UNTIL: Time = Time(30_000);

#[derive(Debug, Clone)]
pub struct Node {
    pub is_alive: bool,
    /// The newest owner that it has heard of; it is written down.
    pub highest: u8,
    /// Which it is.
    id: u64,
    service: Arc<SceneService>,
    scenes: BTreeMap<SceneNo, Arc<Scene<()>>>,
    /// The incarnations that have ended, or were told to: what the service may remember.
    ended: BTreeSet<(SceneNo, Inc)>,
    /// What its scenes are, without moments.
    digest: u64,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        let parts = |it: &Self| (it.is_alive, it.highest, it.digest);
        parts(self) == parts(other) && self.ended == other.ended
    }
}

impl Eq for Node {}

impl Hash for Node {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.is_alive, self.highest, self.digest, &self.ended).hash(state);
    }
}

/// What is said, without moments.
fn digest(of: &impl std::fmt::Debug) -> u64 {
    let text = format!("{of:?}");
    let mut hasher = DefaultHasher::new();
    for (index, part) in text.split("Time(").enumerate() {
        let rest = if index == 0 { part } else { part.trim_start_matches(|sign: char| sign.is_ascii_digit()) };
        rest.hash(&mut hasher);
    }
    hasher.finish()
}

fn id(scene: SceneNo) -> SceneId {
    SceneId(u64::from(scene))
}

fn epoch(inc: Inc) -> Epoch {
    Epoch(u64::from(inc))
}

fn hash_of(token: Token) -> SecretHash {
    SecretHash::of(&token.to_string())
}

fn grant((seat, token): (usize, Token)) -> SeatGrant {
    let user = UserId(seat as u64);
    let player = Player { seat: seat as u32, user, name: String::new(), rating: 0, team: 0, role: None, party: 0 };
    SeatGrant { player, token: hash_of(token), until: UNTIL }
}

/// A user has one connection at a time.
fn connection_of(user: usize) -> ConnectionId {
    ConnectionId(user as u64)
}

impl Node {
    pub fn new(id: u64) -> Self {
        let fleet = Fleet { stop_grace_ms: 0, on_crash: OnCrash::Restart, ..Fleet::default() };
        let offer = Offer { url: String::new(), capacity: Capacity::scenes(2), idle: None, region: None };
        let service = SceneService::new(NodeId(id), offer, BTreeMap::from([(FLEET.into(), fleet)]));
        Self {
            is_alive: true,
            highest: 0,
            id,
            service: Arc::new(service),
            scenes: BTreeMap::new(),
            ended: BTreeSet::new(),
            digest: 0,
        }
    }

    /// The scenes on it whose games go on.
    pub fn open(&self) -> impl Iterator<Item = SceneNo> {
        self.scenes.iter().filter(|(_, scene)| scene.is_open()).map(|(scene, _)| *scene)
    }

    /// The scenes on it that wait for a deadline.
    pub fn waiting(&self) -> impl Iterator<Item = SceneNo> {
        self.scenes.iter().filter(|(_, scene)| scene.deadline().is_some()).map(|(scene, _)| *scene)
    }

    pub fn has(&self, scene: SceneNo) -> bool {
        self.scenes.contains_key(&scene)
    }

    /// Nothing is on it, and its service knows that.
    pub fn is_empty(&self) -> bool {
        self.scenes.is_empty() && (0..4).all(|scene| self.service.state_name(id(scene)) == "none")
    }

    /// The users who are inside a scene on it.
    pub fn inside(&self) -> impl Iterator<Item = usize> {
        let seats = self.scenes.values().flat_map(|scene| scene.connections());
        seats.map(|(seat, _)| seat as usize)
    }
}

/// What waits to be done on a node.
enum Todo {
    Service(scene_service::Event),
    Scene(SceneNo, scene::Event),
}

impl State {
    /// An order has come to a node that is there.
    pub fn take_order(&mut self, n: usize, owner: u8, order: Order, broken: Option<Broken>) {
        let node = &mut self.nodes[n];
        if owner < node.highest {
            if broken != Some(Broken::NodesTakeStale) {
                return;
            }
            self.violated(life::STALE);
        }
        let node = &mut self.nodes[n];
        node.highest = node.highest.max(owner);
        let event = match order {
            Order::Create { scene, inc, tokens } => scene_service::Event::ReqCreateScene {
                scene: id(scene),
                epoch: epoch(inc),
                fleet: FLEET.into(),
                build: Build(1),
                reuse: false,
                domain: None,
                seed: 0,
                arranged: Arranged::default(),
                seats: (0..).zip(tokens).map(grant).collect(),
            },
            Order::Destroy { scene, inc } => {
                node.ended.insert((scene, inc));
                scene_service::Event::ReqDestroyScene {
                    scene: id(scene),
                    epoch: epoch(inc),
                    reason: EndReason::Stopped,
                    results: Vec::new(),
                    keep: false,
                }
            }
            Order::AddToken { scene, inc, seat, token } => scene_service::Event::ReqAddToken {
                scene: id(scene),
                epoch: epoch(inc),
                seat: seat as u32,
                token: hash_of(token),
                until: UNTIL,
            },
        };
        self.run(n, Todo::Service(event), NOW, None, broken);
    }

    /// A user is at the door of a scene with a way in; to go on with the line of before, or anew.
    pub fn enter(&mut self, user: usize, way: Way, goes_on: bool, broken: Option<Broken>) {
        let (connection, token) = (connection_of(user), hash_of(way.token));
        let resume = goes_on.then_some(0);
        let event = scene::Event::ReqJoinScene { connection, request: 1, token, resume };
        self.run(way.node, Todo::Scene(way.scene, event), NOW, Some((user, way, goes_on)), broken);
        if broken == Some(Broken::TokenOfTwoSeats) {
            let (epoch, seat) = (epoch(way.inc), ((user + 1) % USERS) as u32);
            let again = scene::Event::Order(ToScene::AddToken { epoch, seat, token, until: UNTIL });
            self.run(way.node, Todo::Scene(way.scene, again), NOW, None, broken);
        }
    }

    /// A user leaves the scene for good.
    pub fn leave(&mut self, user: usize, broken: Option<Broken>) {
        let Some(way) = self.users[user].used else { return };
        let event = scene::Event::ReqLeaveScene { connection: connection_of(user), request: 2 };
        self.run(way.node, Todo::Scene(way.scene, event), NOW, None, broken);
    }

    /// The connection of a user to the scene is lost.
    pub fn lose(&mut self, user: usize, broken: Option<Broken>) {
        let Some(way) = self.users[user].used else { return };
        self.users[user].is_inside = false;
        let event = scene::Event::Closed { connection: connection_of(user) };
        self.run(way.node, Todo::Scene(way.scene, event), NOW, None, broken);
    }

    /// The game of a scene is over, or has failed.
    pub fn game_over(&mut self, n: usize, scene: SceneNo, has_failed: bool, broken: Option<Broken>) {
        let event = match has_failed {
            true => scene::Event::Failed(String::new()),
            false => scene::Event::Finish(Vec::new()),
        };
        self.run(n, Todo::Scene(scene, event), NOW, None, broken);
    }

    /// The next deadline of a scene has come.
    pub fn scene_tick(&mut self, n: usize, scene: SceneNo, broken: Option<Broken>) {
        let Some(now) = self.nodes[n].scenes.get(&scene).and_then(|it| it.deadline()) else { return };
        self.run(n, Todo::Scene(scene, scene::Event::Tick), now, None, broken);
    }

    /// A node is gone with all that was on it, and with what was on the way to it.
    pub fn crash(&mut self, n: usize) {
        self.nodes[n] = Node { is_alive: false, highest: self.nodes[n].highest, ..Node::new(self.nodes[n].id) };
        self.net.retain(|letter| !matches!(letter, Letter::Order { node, .. } if *node == n));
        for user in &mut self.users {
            if user.used.is_some_and(|way| way.node == n) {
                user.is_inside = false;
                user.used = None;
            }
        }
    }

    /// Does something on a node, and what follows from it there. `joins`: who is at the door.
    fn run(&mut self, n: usize, todo: Todo, now: Time, joins: Option<(usize, Way, bool)>, broken: Option<Broken>) {
        let mut todo = VecDeque::from([todo]);
        while let Some(next) = todo.pop_front() {
            match next {
                Todo::Service(event) => self.run_service(n, event, now, &mut todo, broken),
                Todo::Scene(scene, event) => {
                    let Some(of_node) = self.nodes[n].scenes.get_mut(&scene) else { continue };
                    for effect in Arc::make_mut(of_node).step(now, event) {
                        self.scene_effect(n, scene, effect, joins, &mut todo, broken);
                    }
                }
            }
        }
        self.nodes[n].digest = digest(&self.nodes[n].scenes);
    }

    fn run_service(
        &mut self,
        n: usize,
        event: scene_service::Event,
        now: Time,
        todo: &mut VecDeque<Todo>,
        broken: Option<Broken>,
    ) {
        let mut out = Effects::default();
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut cx = Context { now, rng: &mut rng, out: &mut out };
        Arc::make_mut(&mut self.nodes[n].service).step(event, &mut cx);
        for message in out.messages {
            match message {
                Message::SceneMaster(event) => self.report_of(n, &event),
                Message::Scene(scene, ToScene::Start(start)) => {
                    let scene = scene.0 as SceneNo;
                    self.begins(scene, start.epoch.0 as Inc);
                    self.nodes[n].scenes.insert(scene, Arc::new(Scene::start(id(scene), *start)));
                    todo.push_back(Todo::Scene(scene, scene::Event::Started(Ok(()))));
                }
                Message::Scene(scene, order) => {
                    todo.push_back(Todo::Scene(scene.0 as SceneNo, scene::Event::Order(order)));
                }
                message => unreachable!("a SceneService says {message:?}"),
            }
        }
        if broken == Some(Broken::EndedForgotten) && self.nodes[n].is_empty() {
            self.nodes[n].service = Node::new(self.nodes[n].id).service;
            self.nodes[n].ended.clear();
        }
    }

    fn scene_effect(
        &mut self,
        n: usize,
        scene: SceneNo,
        effect: Effect<()>,
        joins: Option<(usize, Way, bool)>,
        todo: &mut VecDeque<Todo>,
        broken: Option<Broken>,
    ) {
        match effect {
            Effect::Admit { player, connection, request } => {
                let event = scene::Event::Admitted { seat: player.seat, connection, request, result: Ok(()) };
                todo.push_back(Todo::Scene(scene, event));
            }
            Effect::Tell { connection, notice, .. } => {
                let user = connection.0 as usize;
                match (notice, joins) {
                    (Notice::Joined { .. }, Some((_, way, goes_on))) => self.lets_in(user, n, way, goes_on),
                    (Notice::Ended(_) | Notice::Closing(_), _) if broken != Some(Broken::EndsUntold) => {
                        self.users[user].is_inside = false;
                        self.users[user].used = None;
                    }
                    _ => {}
                }
            }
            Effect::Send(message) => match *message {
                Message::OwnSceneService(event) => todo.push_back(Todo::Service(event)),
                Message::SceneMaster(scene_master::Event::ReqAskDestroyScene {
                    epoch, ask: Ask::Finished(_), ..
                }) if broken == Some(Broken::EndsUnasked) => {
                    let end = ToScene::End { epoch, reason: EndReason::Finished, results: Vec::new(), keep: false };
                    todo.push_back(Todo::Scene(scene, scene::Event::Order(end)));
                }
                Message::SceneMaster(event) => self.report_of(n, &event),
                message => unreachable!("a scene says {message:?}"),
            },
            Effect::Gone | Effect::Released => {
                if let Some(gone) = self.nodes[n].scenes.remove(&scene) {
                    let inc = gone.incarnation().epoch.0 as Inc;
                    self.nodes[n].ended.insert((scene, inc));
                    self.ends(scene, inc);
                }
            }
            // Nobody watches.
            Effect::Show { .. } | Effect::Complain(_) => {}
            Effect::Game(_) | Effect::Kept | Effect::Repeat { .. } | Effect::Close(_) => {}
        }
    }

    /// An incarnation begins.
    fn begins(&mut self, scene: SceneNo, inc: Inc) {
        let is_new = self.past.begun.insert((scene, inc));
        self.check(life::ONCE, is_new);
        let is_written = self.record(scene).is_some_and(|record| record.inc >= inc);
        self.check(life::WRITTEN, is_written);
    }

    /// An incarnation has ended.
    fn ends(&mut self, scene: SceneNo, inc: Inc) {
        let is_over = |stage| matches!(stage, Stage::Stopping | Stage::Stopped);
        let is_written = self.record(scene).is_none_or(|record| record.inc > inc || is_over(record.stage));
        self.check(life::WRITTEN, is_written);
    }

    /// A join is acknowledged.
    fn lets_in(&mut self, user: usize, n: usize, way: Way, goes_on: bool) {
        let Some(inc) = self.nodes[n].scenes.get(&way.scene).map(|it| it.incarnation().epoch.0 as Inc) else { return };
        let lives = self.record(way.scene).is_some_and(|it| it.stage != Stage::Stopped && it.inc == inc);
        self.check(life::ALIVE, lives);
        if !goes_on {
            let is_new = self.past.opened.insert(way.token);
            self.check(life::ONCE, is_new);
        }
        self.users[user].is_inside = true;
        self.users[user].used = Some(way);
    }

    /// What a node tells SceneMaster.
    fn report_of(&mut self, node: usize, event: &scene_master::Event) {
        use scene_master::Event;
        let (scene, epoch, what) = match event {
            Event::ResCreateScene { scene, epoch, result } => (scene, epoch, What::Created(result.is_ok())),
            Event::SynUserJoined { scene, epoch, seat } => (scene, epoch, What::Joined(*seat as usize)),
            Event::SynUserLeft { scene, epoch, seat, .. } => (scene, epoch, What::Left(*seat as usize)),
            Event::ReqAskDestroyScene { scene, epoch, ask } => {
                let why = match ask {
                    Ask::Finished(_) => Why::Finished,
                    Ask::Crashed(_) | Ask::GivenUp(_) => Why::Crashed,
                    Ask::Empty => Why::Empty,
                };
                (scene, epoch, What::Asks(why))
            }
            Event::ResDestroyScene { scene, epoch, .. } => (scene, epoch, What::Destroyed),
            Event::ResAddToken { scene, epoch, seat, result } => {
                (scene, epoch, What::TokenAdded(*seat as usize, result.is_ok()))
            }
            event => unreachable!("a node says {event:?}"),
        };
        self.send(Letter::Report(Report { node, scene: scene.0 as SceneNo, inc: epoch.0 as Inc, what }));
    }
}

/// Whoever is inside a scene by the users is so by the scenes, and the other way round.
pub fn agree(state: &State) -> bool {
    let by_scenes: BTreeSet<usize> = state.nodes.iter().flat_map(Node::inside).collect();
    (0..USERS).all(|user| state.users[user].is_inside == by_scenes.contains(&user))
}
