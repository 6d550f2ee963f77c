//! The seats of a scene under connections, orders, the game and time in any order.
//!
//! A seat has at most one connection and a connection at most one seat; the game hears of a player as
//! `joined (dropped resumed)* left` and of nobody after the scene has asked for its end; the frames of
//! a line are numbered without gaps; every request is answered at once; who watches is shown things and has no seat;
//! and a scene that everybody has left asks for its end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use scenehost_core::config::Fleet;
use scenehost_core::message::{Arranged, EndReason};
use scenehost_core::scene::{Effect, Event, GameEvent, Notice, Scene};
use scenehost_core::scene_master::Event as ToMaster;
use scenehost_core::scene_service::{SeatGrant, Start, ToScene};
use scenehost_core::token::SecretHash;
use scenehost_core::{Build, ConnectionId, Epoch, Message, Player, PlayerResult, Refusal, SceneId, Seat, Time, UserId};

use crate::script::Script;

const STEPS_MAX: usize = 256;
const CONNECTIONS_MAX: usize = 64;
const SEATS: Seat = 3;
const TOKEN_MS: u64 = 30_000;
/// Tokens are granted by number; more than these are the first ones again.
const TOKENS: usize = 8;
/// How many may watch; one more wants to.
const SPECTATORS: u32 = 2;
const DELAY_MS: u64 = 1_000;

/// A script of events.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let mut world = World::new();
    for _ in 0..STEPS_MAX {
        if script.is_over() || world.is_gone {
            break;
        }
        world.next(&mut script);
    }
    world.settle();
}

/// The other end of a connection.
#[derive(Default)]
struct Peer {
    closed: bool,
    /// Once it is inside.
    seat: Option<Seat>,
    watches: bool,
    /// The number of the last frame.
    seq: u32,
    /// The requests that wait for their answer.
    asked: BTreeSet<u32>,
}

/// A player as the game knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Expected,
    Inside,
    Dropped,
    Left,
}

struct World {
    scene: Scene<u32>,
    now: Time,
    peers: BTreeMap<ConnectionId, Peer>,
    last_request: u32,
    /// What the game's answers to who wants in will be.
    admits: bool,
    /// The game fails when it is asked.
    fails: bool,
    players: [Known; SEATS as usize],
    has_asked: bool,
    is_gone: bool,
}

fn token(number: usize) -> SecretHash {
    SecretHash::of(&format!("token {number}"))
}

impl World {
    fn new() -> Self {
        let now = Time(1_000_000);
        let grant = |seat| SeatGrant {
            player: Player {
                seat,
                user: UserId(10 + u64::from(seat)),
                name: "Ada".to_owned(),
                rating: 1500,
                team: 0,
                role: None,
                party: 0,
            },
            token: token(seat as usize),
            until: now.plus_ms(TOKEN_MS),
        };
        let start = Start {
            epoch: Epoch(1),
            fleet: "gomoku".into(),
            build: Build(1),
            reuse: false,
            limits: Fleet { spectators_max: SPECTATORS, spectator_delay_ms: DELAY_MS, ..Fleet::default() },
            domain: Some("gomoku".into()),
            seed: 1,
            arranged: Arranged::default(),
            seats: (0..SEATS).map(grant).collect(),
        };
        Self {
            scene: Scene::start(SceneId(1), start),
            now,
            peers: BTreeMap::new(),
            last_request: 0,
            admits: true,
            fails: false,
            players: [Known::Expected; SEATS as usize],
            has_asked: false,
            is_gone: false,
        }
    }

    fn next(&mut self, script: &mut Script) {
        let connection = ConnectionId(script.below(self.peers.len().clamp(1, CONNECTIONS_MAX)) as u64);
        // One more than there are.
        let seat = script.below(SEATS as usize + 1) as Seat;
        match script.below(25) {
            0 => self.step(Event::Started(if script.below(8) > 0 { Ok(()) } else { Err(Refusal::Stopping) })),
            1..=4 => self.join_anew(script),
            5 => self.join(connection, script),
            6 => self.leave(connection),
            7 | 8 => self.close(connection),
            9 => self.step(Event::Kick { seat, reason: "a foul".to_owned() }),
            10 => self.step(Event::Order(order(seat, self.now, script))),
            11 => self.end(script),
            12..=14 => self.tell(seat, script),
            15 => self.scene.heard(self.now, seat, script.number()),
            16 => self.scene.count_message(seat),
            17 => self.now = self.now.plus_ms(script.span_ms()),
            18 => {
                self.now = self.now.plus_ms(script.span_ms());
                self.tick();
            }
            19 => self.step(Event::Order(of_spectator(self.now, script))),
            20 | 21 => self.watch_anew(script),
            22 => self.show(script),
            23 => self.step(Event::Label(format!(r#"{{"turn":{}}}"#, script.below(3)))),
            _ => (self.admits, self.fails) = (script.chance(), script.below(8) == 0),
        }
    }

    fn join_anew(&mut self, script: &mut Script) {
        if self.peers.len() < CONNECTIONS_MAX {
            let connection = ConnectionId(self.peers.len() as u64);
            self.peers.insert(connection, Peer::default());
            self.join(connection, script);
        }
    }

    fn watch_anew(&mut self, script: &mut Script) {
        if self.peers.len() < CONNECTIONS_MAX {
            let connection = ConnectionId(self.peers.len() as u64);
            self.peers.insert(connection, Peer::default());
            let Some(request) = self.request(connection, |_| true) else { return };
            self.step(Event::ReqWatchScene { connection, request, token: token(script.below(TOKENS)) });
        }
    }

    /// The game says something to those who watch.
    fn show(&mut self, script: &mut Script) {
        let (whole, bytes) = (script.chance(), script.number().min(400_000) as usize);
        let mut waiting = VecDeque::new();
        for effect in self.scene.say_to_spectators(self.now, whole, 0, bytes) {
            self.carry_out(effect, &mut waiting);
        }
        assert!(waiting.is_empty(), "nothing follows");
    }

    /// A connection that is in the scene already does not come so far.
    fn join(&mut self, connection: ConnectionId, script: &mut Script) {
        let Some(request) = self.request(connection, |peer| peer.seat.is_none() && !peer.watches) else { return };
        let token = token(script.below(TOKENS));
        let resume = script.chance().then(|| script.number());
        self.step(Event::ReqJoinScene { connection, request, token, resume });
    }

    fn leave(&mut self, connection: ConnectionId) {
        let Some(request) = self.request(connection, |_| true) else { return };
        self.step(Event::ReqLeaveScene { connection, request });
    }

    /// The number of a request that is about to be made by a peer that may.
    fn request(&mut self, connection: ConnectionId, may: impl Fn(&Peer) -> bool) -> Option<u32> {
        let peer = self.peers.get_mut(&connection).filter(|peer| !peer.closed && may(peer))?;
        self.last_request += 1;
        peer.asked.insert(self.last_request);
        Some(self.last_request)
    }

    fn close(&mut self, connection: ConnectionId) {
        if let Some(peer) = self.peers.get_mut(&connection) {
            peer.closed = true;
        }
        self.step(Event::Closed { connection });
    }

    /// The ways in which it is over.
    fn end(&mut self, script: &mut Script) {
        let results = vec![PlayerResult { seat: 0, place: 1, score: 3 }];
        let epoch = Epoch(script.below(3) as u64);
        self.step(match script.below(7) {
            0 => Event::Finish(results),
            1 => Event::Failed("it has failed".to_owned()),
            6 => Event::Order(ToScene::Drain { epoch, grace_ms: script.number().into() }),
            number => {
                let reasons = [EndReason::Stopped, EndReason::TimeLimit, EndReason::Finished, EndReason::Empty];
                let reason = reasons[number - 2].clone();
                Event::Order(ToScene::End { epoch, reason, results, keep: script.chance() })
            }
        });
    }

    /// The game says something, to one player or to all.
    fn tell(&mut self, seat: Seat, script: &mut Script) {
        let bytes = script.number().min(100_000) as usize;
        for _ in 0..=script.below(64) {
            let told = self.scene.tell(|it| seat == SEATS || it == seat, &0, bytes);
            for (connection, seq) in told {
                self.numbered(connection, seq);
            }
        }
    }

    fn tick(&mut self) {
        self.step(Event::Tick);
        assert!(self.scene.deadline().is_none_or(|deadline| deadline > self.now), "woken for what is done");
    }

    /// One event and all that follows, as a scene thread does it.
    fn step(&mut self, event: Event) {
        let mut waiting = VecDeque::from([event]);
        while let Some(event) = waiting.pop_front() {
            if self.is_gone {
                return;
            }
            for effect in self.scene.step(self.now, event) {
                assert!(!self.is_gone, "nothing follows the end");
                self.carry_out(effect, &mut waiting);
            }
        }
        self.check();
    }

    fn carry_out(&mut self, effect: Effect<u32>, waiting: &mut VecDeque<Event>) {
        match effect {
            Effect::Admit { player, connection, request } => {
                if self.fails {
                    waiting.push_back(Event::Failed("it has failed".to_owned()));
                }
                let result = if self.admits { Ok(()) } else { Err("only in a hat".to_owned()) };
                waiting.push_back(Event::Admitted { seat: player.seat, connection, request, result });
            }
            Effect::Game(event) => self.game(event),
            Effect::Tell { connection, request, notice } => self.told(connection, request, notice),
            Effect::Repeat { connection, seq, .. } => self.numbered(connection, seq),
            Effect::Show { connections, .. } => {
                for connection in connections {
                    assert!(self.peer(connection).watches, "{connection} is shown something");
                }
            }
            Effect::Complain(_) => {}
            Effect::Close(connection) => self.peer(connection).closed = true,
            Effect::Send(message) => {
                self.has_asked |= matches!(*message, Message::SceneMaster(ToMaster::ReqAskDestroyScene { .. }));
            }
            // From then on nothing reaches the game.
            Effect::Kept => self.has_asked = true,
            Effect::Gone | Effect::Released => self.is_gone = true,
        }
    }

    fn game(&mut self, event: GameEvent) {
        use Known::{Dropped, Expected, Inside, Left};
        assert!(!self.has_asked, "the scene has asked for its end, and tells the game {event:?}");
        let (seat, from, to): (Seat, &[Known], Known) = match &event {
            GameEvent::Joined(player) => (player.seat, &[Expected], Inside),
            GameEvent::Dropped(seat) => (*seat, &[Inside], Dropped),
            GameEvent::Resumed { seat, .. } => (*seat, &[Dropped], Inside),
            // Also of who never came.
            GameEvent::Left(seat, _) => (*seat, &[Expected, Inside, Dropped], Left),
            GameEvent::Stopping { .. } | GameEvent::Watched => return,
        };
        let known = &mut self.players[seat as usize];
        assert!(from.contains(known), "the game knows the player as {known:?}, and is told {event:?}");
        *known = to;
    }

    fn told(&mut self, connection: ConnectionId, request: u32, notice: Notice) {
        let peer = self.peer(connection);
        assert!(request == 0 || peer.asked.remove(&request), "request {request} is answered twice");
        match notice {
            Notice::Joined { seat, after_seq, .. } => (peer.seat, peer.seq) = (Some(seat), after_seq),
            Notice::Watching { .. } => peer.watches = true,
            Notice::Closing(_) => peer.closed = true,
            Notice::Refused(_) | Notice::Ended(_) => {}
        }
    }

    fn numbered(&mut self, connection: ConnectionId, seq: u32) {
        let peer = self.peer(connection);
        assert!(peer.seat.is_some(), "a line begins inside");
        let last = std::mem::replace(&mut peer.seq, seq);
        assert_eq!(seq, last.checked_add(1).unwrap_or(1), "after {last}");
    }

    /// Whom the scene has something to say to.
    fn peer(&mut self, connection: ConnectionId) -> &mut Peer {
        let peer = self.peers.get_mut(&connection).expect("only who has connected is told something");
        assert!(!peer.closed, "{connection} is closed");
        peer
    }

    fn check(&self) {
        let inside: BTreeMap<ConnectionId, Seat> = self.scene.connections().map(|(seat, it)| (it, seat)).collect();
        assert_eq!(inside.len(), self.scene.connections().count(), "a connection has one seat");
        for (connection, peer) in &self.peers {
            let seat = inside.get(connection).copied();
            match peer.closed {
                true => assert_eq!(seat.filter(|_| !self.is_gone), None, "{connection} is closed and has a seat"),
                false => {
                    assert_eq!(seat, peer.seat, "{connection} is in its seat");
                    assert_eq!(self.scene.seat_of(*connection), peer.seat);
                    assert_eq!(self.scene.is_watching(*connection), peer.watches);
                    assert!(peer.asked.is_empty(), "{connection} waits for the answers to {:?}", peer.asked);
                }
            }
        }
        if !self.has_asked && self.scene.is_open() {
            for (seat, known) in (0..).zip(self.players) {
                assert_eq!(known == Known::Inside, self.scene.connection(seat).is_some(), "seat {seat} is {known:?}");
            }
        }
    }

    /// Everybody goes, and time passes.
    fn settle(mut self) {
        for connection in self.peers.keys().copied().collect::<Vec<_>>() {
            self.close(connection);
        }
        for _ in 0..=2 * SEATS + SPECTATORS + 2 {
            let Some(deadline) = self.scene.deadline() else { break };
            self.now = self.now.max(deadline);
            self.tick();
        }
        let phase = self.scene.phase_name();
        assert!(["Starting", "Asked", "Kept", "Ended"].contains(&phase), "nobody is there, and the scene is {phase}");
    }
}

fn order(seat: Seat, now: Time, script: &mut Script) -> ToScene {
    let epoch = Epoch(script.below(3) as u64);
    match script.below(4) {
        0 => ToScene::RemoveUser { epoch, seat, reason: EndReason::AccountClosed },
        _ => {
            let token = token(script.below(TOKENS));
            ToScene::AddToken { epoch, seat, token, until: now.plus_ms(script.span_ms()) }
        }
    }
}

fn of_spectator(now: Time, script: &mut Script) -> ToScene {
    let epoch = Epoch(script.below(3) as u64);
    let user = UserId(20 + script.below(SPECTATORS as usize + 1) as u64);
    match script.below(4) {
        0 => ToScene::RemoveSpectator { epoch, user, reason: EndReason::AccountClosed },
        _ => {
            let token = token(script.below(TOKENS));
            ToScene::AddSpectator { epoch, user, token, until: now.plus_ms(script.span_ms()) }
        }
    }
}
