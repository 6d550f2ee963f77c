//! A simulated host with its nodes and users: the services of `host/core` as they are, on a clock and a store that
//! are not real.
//!
//! Invariant: everything follows from the plan and its seed. What happens at the same time happens in the order in
//! which it was planned.
//!
//! Main type: [`Sim`]. [`crate::traffic`] brings messages to where they belong, [`crate::nodes`] runs scenes,
//! [`crate::faults`] is what goes wrong.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand_chacha::ChaCha8Rng;
use scenehost_core::config::{AfterSession, Domain, Fleet, Journal, Keep, OnCrash, OnDrain, StartOn, Strikes};
use scenehost_core::db::{Db, Rules};
use scenehost_core::lobby::{self, Lobby};
use scenehost_core::matching::Match;
use scenehost_core::matching::domain::{Decline, Recent};
use scenehost_core::message::ToUser;
use scenehost_core::record::{self, SceneRecord};
use scenehost_core::results::Finished;
use scenehost_core::scene_master::{self, Builds, Canary, SceneMaster};
use scenehost_core::{
    AllocationId, Build, ConnectionId, DomainName, Epoch, FleetName, Message, Partition, PartyId, SceneId, Seat,
    Service as _, Time, UserId, Write, party, results, scene,
};

use crate::deaths::Handing;
use crate::faults::Undo;
use crate::game::{MEMORY_KIB_MAX, STEP_MS_MAX};
use crate::invariants;
use crate::nodes::Node;
use crate::plan::{Action, BUSY_MS, DOMAINS, FLEETS, NODES, PLAYERS, Plan, Unit, Will, below, stream};
use crate::process::{Process, Store};
use crate::sabotage::Sabotage;
use crate::user::{Other, User};
use crate::watch::{Place, Row, Violation, Watch};

/// When simulations begin.
pub const START: Time = Time(1_000_000);
/// How long the simulation runs on in peace: longer than the longest life, tombstone and wait between two tries.
const PEACE_MS: u64 = 20 * 60_000;
/// How long a search may take.
pub const WAIT_MS_MAX: u64 = 60_000;
/// How long a scene may say nothing.
const SILENCE_MS: u64 = 5_000;
/// The most that a scene lives.
const LIFE_MS_MAX: u64 = 180_000;
/// How long the lobby keeps everything of a dropped user.
const GRACE_MS: u64 = 15_000;
/// The slots of a node: few, so that they run out.
pub const SLOTS: u32 = 3;
/// How many scenes of the fleet that is provisioned are ready, at least and at most.
pub const STANDBY_MIN: u32 = 1;
pub const STANDBY_MAX: u32 = 3;
/// The most players of a scene.
pub const PLAYERS_MAX: u32 = PLAYERS[1].1;

/// What is to happen.
#[derive(Debug)]
pub enum Due {
    /// A message comes to a service or a scene of this life of its host or node.
    Letter {
        to: Place,
        life: u32,
        message: Box<Message>,
    },
    /// A service has its turn.
    Wake(Place, u32),
    Sync,
    /// A frame comes to a user.
    Hears(usize, Box<ToUser>),
    SceneSays(usize, ConnectionId, Box<scene::Notice>),
    SceneLost(usize, ConnectionId),
    /// Something of a user comes to a scene.
    AtScene {
        node: usize,
        life: u32,
        scene: SceneId,
        event: Box<scene::Event>,
    },
    Play {
        node: usize,
        life: u32,
        scene: SceneId,
        connection: ConnectionId,
    },
    SceneTick {
        node: usize,
        life: u32,
        scene: SceneId,
    },
    GameTurn {
        node: usize,
        life: u32,
        scene: SceneId,
        epoch: u64,
    },
    /// The game of a scene has started at last.
    Started {
        node: usize,
        life: u32,
        scene: SceneId,
    },
    Act(Action),
    Accept(usize, PartyId),
    Undo(Undo),
    Peace,
    Second,
}

/// The services of the host's own process.
pub struct Host {
    /// Grows with every start.
    pub life: u32,
    pub lobby: Process<Lobby>,
    pub db: Process<Db>,
    pub matches: Vec<Process<Match>>,
    /// One of each partition.
    pub masters: Vec<Process<SceneMaster>>,
}

impl Host {
    fn new(seed: u64, life: u32) -> Self {
        let rng = |purpose: u64| stream(seed, 100 + u64::from(life) * 10 + purpose);
        let matches = (0..DOMAINS.len()).map(|it| Process::new(new_match(it), Place::Match(it), rng(4 + it as u64)));
        let masters = partitions(seed).into_iter().enumerate().map(|(it, partition)| {
            Process::new(SceneMaster::new(fleets()).of(partition), Place::Master(it), rng(6 + it as u64))
        });
        Self {
            life,
            lobby: Process::new(new_lobby(seed, u64::from(life) << 8), Place::Lobby, rng(1)),
            db: Process::new(new_db(u64::from(life) << 8), Place::Db, rng(2)),
            matches: matches.collect(),
            masters: masters.collect(),
        }
    }
}

pub struct Sim {
    pub seed: u64,
    pub now: Time,
    queue: BTreeMap<(Time, u64), Due>,
    planned: u64,
    pub host: Host,
    pub nodes: Vec<Node>,
    pub users: Vec<User>,
    pub store: Store,
    is_sync_planned: bool,
    /// Whose each connection is, by its number.
    pub owners: Vec<usize>,
    /// When the last message of each link comes, so that none overtakes another.
    pub links: BTreeMap<(Place, Place), Time>,
    pub net: ChaCha8Rng,
    pub watch: Watch,
    pub sabotage: Option<Sabotage>,
    /// Since when users search.
    pub searching: BTreeMap<UserId, Time>,
    /// Since when the lobby and SceneMaster disagree about users.
    pub disagreed: BTreeMap<UserId, Time>,
    /// Since when incarnations live on nodes that SceneMaster does not know.
    pub strays: BTreeMap<(usize, SceneId, Epoch), Time>,
    /// The scenes whose results are on the disk, or were: the domain, and who played.
    pub decided: BTreeMap<AllocationId, (DomainName, Vec<UserId>)>,
    /// Since when users of seats are away.
    pub dropped: BTreeMap<(SceneId, Epoch, Seat), Time>,
    /// Since when SceneMaster's books are wrong about scenes.
    pub wrong: BTreeMap<(&'static str, SceneId), Time>,
    pub is_stopping: bool,
    /// Nothing fails any more.
    pub is_peaceful: bool,
    /// The scenes that Match has asked for last.
    pub asked: VecDeque<(Place, Message)>,
    /// What scenes are made of.
    pub build: u64,
    /// Since when no scene of the fleet that is provisioned is ready, though there is room.
    pub unready: Option<Time>,
    /// How many fresh services there were.
    pub generations: u64,
    /// The services whose machines are gone, and whether the others have heard of it.
    pub dead: BTreeMap<Unit, bool>,
    /// How often each service has begun on another machine.
    pub moved: BTreeMap<Place, u32>,
    pub handing: BTreeMap<usize, Handing>,
}

/// What came of a simulation.
pub struct Outcome {
    pub violation: Option<Violation>,
    pub watch: Watch,
}

/// Runs a plan to its end, or to the first invariant that does not hold.
pub fn run(plan: &Plan, sabotage: Option<Sabotage>, is_traced: bool) -> Outcome {
    let mut sim = Sim::new(plan, sabotage);
    sim.watch.traced = is_traced.then(Default::default);
    sim.watch.overlooked = sabotage.and_then(Sabotage::overlooked);
    let end = START.plus_ms(BUSY_MS + PEACE_MS);
    let stepped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| sim.run_until(end)));
    if let Err(panic) = stepped {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        sim.watch.violated(invariants::NO_PANIC, text.unwrap_or_default());
    }
    if sim.watch.violation.is_none() {
        invariants::recorded_once(&mut sim, true);
        invariants::consistent(&mut sim);
        invariants::nothing_waits(&mut sim);
    }
    Outcome { violation: sim.watch.violation.take(), watch: sim.watch }
}

impl Sim {
    fn new(plan: &Plan, sabotage: Option<Sabotage>) -> Self {
        let seed = plan.seed;
        let users = (0..plan.users).map(|user| User::new(user, stream(seed, 1_000 + user as u64)));
        let mut sim = Self {
            seed,
            now: START,
            queue: BTreeMap::new(),
            planned: 0,
            host: Host::new(seed, 1),
            nodes: (0..NODES).map(|node| Node::new(seed, node, 1)).collect(),
            users: users.collect(),
            store: Store::default(),
            is_sync_planned: false,
            owners: Vec::new(),
            links: BTreeMap::new(),
            net: stream(seed, 2),
            watch: Watch::default(),
            sabotage,
            searching: BTreeMap::new(),
            disagreed: BTreeMap::new(),
            strays: BTreeMap::new(),
            dropped: BTreeMap::new(),
            wrong: BTreeMap::new(),
            decided: BTreeMap::new(),
            is_stopping: false,
            is_peaceful: false,
            asked: VecDeque::new(),
            build: 1,
            unready: None,
            generations: 0,
            dead: BTreeMap::new(),
            moved: BTreeMap::new(),
            handing: BTreeMap::new(),
        };
        for planned in &plan.actions {
            sim.after(planned.at_ms, Due::Act(planned.action));
        }
        sim.after(BUSY_MS, Due::Peace);
        sim.after(1_000, Due::Second);
        sim.begin();
        sim
    }

    /// A host begins with what the store has.
    pub fn start_host(&mut self) {
        self.dead.clear();
        self.handing.clear();
        self.watch.handed_over.clear();
        self.host = Host::new(self.seed, self.host.life + 1);
        self.is_stopping = false;
        self.is_sync_planned = false;
        self.begin();
    }

    fn begin(&mut self) {
        // As a host does that begins.
        self.store.synced.retain(|key, _| !key.starts_with(record::DRAIN_PREFIX));
        let parties = recovered(&self.store, party::PREFIX);
        let scenes: Vec<(SceneId, SceneRecord)> = recovered(&self.store, record::SCENE_PREFIX);
        self.send(Place::World, Place::Lobby, lobby::Event::Recovered { parties }.into());
        let finished = recovered(&self.store, record::FINISHED_PREFIX);
        self.tell_masters(scene_master::Event::Recovered { scenes, finished });
        self.tell_fleets();
        for node in 0..NODES {
            self.nodes[node].up = true;
            self.tell_up(node);
        }
    }

    /// SceneMaster hears what the fleets are made of.
    fn tell_fleets(&mut self) {
        self.tell_masters(scene_master::Event::Fleets { fleets: builds(self.build) });
    }

    fn run_until(&mut self, end: Time) {
        while let Some(((at, _), due)) = self.queue.pop_first() {
            if at > end || self.watch.violation.is_some() {
                return;
            }
            self.now = at;
            self.watch.now = at;
            self.happen(due);
        }
    }

    /// Plans something for later.
    pub fn after(&mut self, ms: u64, due: Due) {
        self.at(self.now.plus_ms(ms), due);
    }

    pub fn at(&mut self, at: Time, due: Due) {
        self.planned += 1;
        self.queue.insert((at, self.planned), due);
    }

    fn happen(&mut self, due: Due) {
        if due.node().is_some_and(|node| !self.nodes[node].up) {
            return;
        }
        if let Some(until) = due.node().and_then(|node| self.nodes[node].paused_until).filter(|it| *it > self.now) {
            return self.at(until, due);
        }
        match due {
            Due::Letter { to, life, message } => {
                if self.life_of(to) == life {
                    self.deliver(to, *message);
                }
            }
            Due::Wake(place, life) => {
                if self.life_of(place) == life {
                    self.wake(place);
                }
            }
            Due::Sync => self.sync(),
            Due::Hears(user, told) => {
                self.watch.trace(Place::User(user), &told);
                self.users[user].hears(*told, self.now);
                self.carry_out(user);
            }
            Due::SceneSays(user, connection, notice) => {
                self.watch.trace(Place::User(user), &notice);
                self.users[user].hears_scene(connection, &notice);
                self.carry_out(user);
            }
            Due::SceneLost(user, connection) => {
                self.users[user].scene_gone(connection);
                self.carry_out(user);
            }
            Due::AtScene { node, life, scene, event } => {
                if self.nodes[node].life == life {
                    self.scene_event(node, scene, *event);
                }
            }
            Due::Play { node, life, scene, connection } => {
                if self.nodes[node].life == life {
                    self.play(node, scene, connection);
                }
            }
            Due::SceneTick { node, life, scene } => self.scene_tick(node, life, scene),
            Due::GameTurn { node, life, scene, epoch } => self.game_turn(node, life, scene, epoch),
            Due::Started { node, life, scene } => {
                if self.nodes[node].life == life {
                    self.scene_event(node, scene, scene::Event::Started(Ok(())));
                }
            }
            Due::Act(Action::User(user, will)) => self.will(user, will),
            Due::Act(Action::Fault(fault)) => {
                self.watch.trace(Place::World, &fault);
                self.fault(fault);
            }
            Due::Accept(user, party) => {
                self.users[user].accept(party, self.now);
                self.carry_out(user);
            }
            Due::Undo(undo) => self.undo(undo),
            Due::Peace => self.peace(),
            Due::Second => {
                invariants::waits(self);
                invariants::agreed(self);
                invariants::known(self);
                invariants::lives(self);
                invariants::grace(self);
                invariants::standby(self);
                invariants::orders(self);
                self.after(1_000, Due::Second);
            }
        }
    }

    fn peace(&mut self) {
        self.is_peaceful = true;
        self.users.iter_mut().for_each(|user| user.is_tired = true);
        self.nodes.iter_mut().for_each(|node| node.link = None);
    }

    /// A user sets out to do something.
    fn will(&mut self, user: usize, will: Will) {
        self.watch.trace(Place::User(user), &will);
        let other = match will {
            Will::JoinParty(other) | Will::Invite(other) => &self.users[other],
            _ => &self.users[user],
        };
        // Now and then one that is not, or not any more, played.
        let playing: Vec<SceneId> = match self.owners.len() % 4 {
            0 => self.watch.scenes.keys().copied().collect(),
            _ => self.watch.playing().collect(),
        };
        // Who wants into a game that goes on wants into one that is just being moved, if there is one, for that is seldom.
        let is_moved = |(_, row): &(&SceneId, &Row)| will == Will::JoinGame && row.state == "Releasing";
        let moved = self.watch.scenes.iter().find(is_moved).map(|(id, _)| *id);
        let scene = moved.or_else(|| (!playing.is_empty()).then(|| playing[user % playing.len()]));
        let other = Other { user: other.id, code: other.code.clone(), scene };
        let connection = ConnectionId(self.owners.len() as u64);
        self.owners.push(user);
        self.users[user].will(will, connection, &other, self.now);
        self.carry_out(user);
    }

    // Services

    /// Gives a service its turn.
    fn wake(&mut self, place: Place) {
        if self.is_dead(place) {
            return;
        }
        let ahead_ms = self.ahead_ms(place);
        let clock = Time(self.now.0.saturating_add_signed(ahead_ms));
        let (now, store, watch) = (self.now, &mut self.store, &mut self.watch);
        macro_rules! turn {
            ($process:expr) => {{
                if $process.wake.is_none_or(|wake| wake > now) {
                    return; // It has had this turn.
                }
                $process.wake = None;
                $process.turn(clock, store, watch)
            }};
        }
        let said = match place {
            Place::Lobby => turn!(self.host.lobby),
            Place::Db => turn!(self.host.db),
            Place::Match(domain) => turn!(self.host.matches[domain]),
            Place::Master(partition) => turn!(self.host.masters[partition]),
            Place::Node(node) => turn!(self.nodes[node].service),
            Place::Scenes(_) | Place::User(_) | Place::World => return,
        };
        self.say(place, said);
        self.plan(place);
        self.plan_sync();
        if let Place::Match(domain) = place
            && self.host.matches[domain].service.is_over()
        {
            self.handed_over(domain);
        }
        if matches!(place, Place::Master(_) | Place::Node(_)) {
            invariants::one_epoch(self);
        }
    }

    /// Plans the next turn of a service.
    pub fn plan(&mut self, place: Place) {
        let ahead_ms = self.ahead_ms(place);
        let (now, store) = (self.now, &self.store);
        let has_clock = !matches!(
            (self.sabotage, place),
            (Some(Sabotage::MasterHasNoClock), Place::Master(_)) | (Some(Sabotage::LobbyHasNoClock), Place::Lobby)
        );
        macro_rules! next {
            ($process:expr) => {{
                let wants = $process.wants(now, ahead_ms, store).filter(|at| has_clock || *at <= now);
                let next = wants.filter(|at| $process.wake.is_none_or(|wake| *at < wake));
                $process.wake = next.or($process.wake);
                next
            }};
        }
        let next = match place {
            Place::Lobby => next!(self.host.lobby),
            Place::Db => next!(self.host.db),
            Place::Match(domain) => next!(self.host.matches[domain]),
            Place::Master(partition) => next!(self.host.masters[partition]),
            Place::Node(node) => next!(self.nodes[node].service),
            Place::Scenes(_) | Place::User(_) | Place::World => None,
        };
        if let Some(at) = next {
            self.at(at, Due::Wake(place, self.life_of(place)));
        }
    }

    pub fn plan_all(&mut self) {
        for place in self.host_places() {
            self.plan(place);
        }
    }

    pub fn plan_sync(&mut self) {
        if self.store.has_waiting() && !self.store.is_down && !self.is_sync_planned {
            self.is_sync_planned = true;
            let ms = 1 + below(&mut self.net, 4);
            self.after(ms, Due::Sync);
        }
    }

    fn sync(&mut self) {
        self.is_sync_planned = false;
        if self.store.is_down {
            return;
        }
        self.sync_now();
        let store = &self.store;
        let said: Vec<(Place, Vec<Message>)> = self
            .host_places()
            .into_iter()
            .map(|place| {
                let said = match place {
                    Place::Lobby => self.host.lobby.released(store),
                    Place::Db => self.host.db.released(store),
                    Place::Match(domain) => self.host.matches[domain].released(store),
                    Place::Master(partition) => self.host.masters[partition].released(store),
                    _ => Vec::new(),
                };
                (place, said)
            })
            .collect();
        for (place, said) in said {
            self.say(place, said);
            self.plan(place);
        }
    }

    /// What waits is on the disk.
    pub fn sync_now(&mut self) {
        let mut has_rated = false;
        for write in self.store.sync(self.sabotage == Some(Sabotage::StoreForgets)) {
            let Write::Put { key, value } = write else { continue };
            has_rated |= key.starts_with("rating/");
            let Some(id) = key.strip_prefix(record::FINISHED_PREFIX).and_then(|id| id.parse().ok()) else { continue };
            if let Ok(finished) = record::decode::<Finished>(&key, &value) {
                let counts = |seat| finished.results.iter().any(|result| result.seat == seat);
                let players = finished.players.iter().filter(|player| counts(player.seat));
                let users = players.map(|player| player.user).collect();
                self.decided.insert(id, (finished.domain, users));
            }
        }
        if has_rated {
            invariants::recorded_once(self, false);
        }
    }

    pub fn life_of(&self, place: Place) -> u32 {
        match place {
            Place::Node(node) | Place::Scenes(node) => self.nodes[node].life,
            // Each life of the host is one of all its services, and those have further ones.
            place => (self.host.life << 16) + self.moved.get(&place).copied().unwrap_or_default(),
        }
    }

    /// The services that the store concerns.
    fn host_places(&self) -> Vec<Place> {
        let matches = (0..DOMAINS.len()).map(Place::Match);
        let masters = (0..self.host.masters.len()).map(Place::Master);
        [Place::Lobby, Place::Db].into_iter().chain(masters).chain(matches).collect()
    }

    fn ahead_ms(&self, place: Place) -> i64 {
        match place {
            Place::Node(node) | Place::Scenes(node) => self.nodes[node].ahead_ms,
            _ => 0,
        }
    }
}

impl Due {
    /// The node that has to run for this.
    fn node(&self) -> Option<usize> {
        match self {
            Self::Letter { to: place, .. } | Self::Wake(place, _) => match place {
                Place::Node(node) | Place::Scenes(node) => Some(*node),
                _ => None,
            },
            Self::AtScene { node, .. }
            | Self::Play { node, .. }
            | Self::SceneTick { node, .. }
            | Self::Started { node, .. }
            | Self::GameTurn { node, .. } => Some(*node),
            _ => None,
        }
    }
}

/// In one of four simulations there is one SceneMaster; else one for each domain's fleet, and one that has none.
pub fn partitions(seed: u64) -> Vec<Partition> {
    Partition::split(if seed.is_multiple_of(4) { 1 } else { 3 })
}

/// The records whose keys are this and an id.
pub fn recovered<Id: std::str::FromStr, Record: serde::de::DeserializeOwned>(
    store: &Store,
    prefix: &str,
) -> Vec<(Id, Record)> {
    let records = store.synced.iter().filter_map(|(key, value)| {
        let id = key.strip_prefix(prefix)?.parse().ok()?;
        Some((id, record::decode(key, value).ok()?))
    });
    records.collect()
}

pub fn new_match(domain: usize) -> Match {
    let name = DomainName::from(DOMAINS[domain]);
    Match::new(name.clone(), domains()[&name].clone(), None)
}

/// A lobby with the numbers of this generation.
pub fn new_lobby(seed: u64, generation: u64) -> Lobby {
    let lobby = Lobby::new(domains().into_iter().collect(), GRACE_MS).with_partitions(partitions(seed));
    lobby.taking_over(generation << 32)
}

/// Db with the numbers of this generation.
pub fn new_db(generation: u64) -> Db {
    let rated = DOMAINS.map(|domain| (DomainName::from(domain), true)).into();
    let rules = Rules { results: results::Rules { rated, ..Default::default() }, ..Rules::default() };
    Db::new(rules).numbered_after(generation << 32)
}

/// How long users have to accept a match.
const ACCEPT_MS: u64 = 4_000;

pub fn domains() -> BTreeMap<DomainName, Domain> {
    let domain = |domain: usize, fill_ms| Domain {
        fill_ms,
        wait_ms_max: WAIT_MS_MAX,
        tickets_max: 100,
        // In one of them matches are accepted first.
        accept_ms: if domain == 0 { ACCEPT_MS } else { 0 },
        decline: Decline { ms: 500, ms_max: 5_000, forget_ms: 60_000 },
        // The few users there are meet again and again.
        recent: Recent { opponents: 0, ..Recent::default() },
        ..Domain::new(FLEETS[domain].into(), PLAYERS[domain].0, PLAYERS[domain].1)
    };
    BTreeMap::from([(DOMAINS[0].into(), domain(0, 0)), (DOMAINS[1].into(), domain(1, 5_000))])
}

pub fn fleets() -> BTreeMap<FleetName, Fleet> {
    let strikes =
        Strikes { max: 2, within_ms: 10_000, step_ms: STEP_MS_MAX, memory_kib: MEMORY_KIB_MAX, silence_ms: SILENCE_MS };
    let duel = Fleet {
        life_ms_max: LIFE_MS_MAX,
        scenes_max: 2,
        strikes,
        spectators_max: 1,
        journal: Journal { keep: Keep::Recovery, ..Journal::default() },
        on_drain: OnDrain::Move,
        ..Fleet::default()
    };
    let arena = Fleet {
        on_crash: OnCrash::End,
        on_drain: OnDrain::End,
        journal: Journal::default(),
        stop_grace_ms: 0,
        start: StartOn::Provision,
        standby_min: STANDBY_MIN,
        standby_max: STANDBY_MAX,
        standby_ms: 20_000,
        after_session: AfterSession::Reuse,
        sessions_max: 4,
        join_in_progress: true,
        seats_max: PLAYERS_MAX,
        spectators_max: 2,
        spectator_delay_ms: 3_000,
        ..duel.clone()
    };
    let manual = Fleet { start: StartOn::Hand, on_drain: OnDrain::End, journal: Journal::default(), ..duel.clone() };
    BTreeMap::from([(FLEETS[0].into(), duel), (FLEETS[1].into(), arena), (FLEETS[2].into(), manual)])
}

/// The same with what they are made of; every other time with a canary, which is what they are made of next.
pub fn builds(build: u64) -> BTreeMap<FleetName, (Builds, Fleet)> {
    let canary = (build % 2 == 1).then_some(Canary { build: Build(build + 1), percent: 30 });
    let builds = Builds { canary, ..Builds::from(Build(build)) };
    fleets().into_iter().map(|(name, fleet)| (name, (builds, fleet))).collect()
}

/// The users that a plan has anything for.
pub fn users_of(plan: &Plan) -> BTreeSet<usize> {
    let user = |action: &Action| match action {
        Action::User(user, _) => Some(*user),
        Action::Fault(_) => None,
    };
    plan.actions.iter().filter_map(|planned| user(&planned.action)).collect()
}
