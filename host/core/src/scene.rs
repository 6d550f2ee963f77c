//! Scene: the seats of one game instance, and the door to them.
//!
//! Invariants: a seat belongs to one user for the scene's life and has at most one connection; a
//! token opens its seat once and before its deadline; the game hears of a player as
//! `joined (dropped resumed)* left`, each in its turn; after the scene has asked for its end nothing
//! more reaches the game.
//!
//! Main type: [`Scene`]. It does not know the game: the thread that owns the game's component
//! carries out the [`Effect`]s and reports what the game wants. Messages of the game do not pass
//! through `step`; the thread asks [`Scene::connections`] where they go.

use crate::config::Fleet;
use crate::ids::{ConnectionId, DomainName, Epoch, SceneId, Seat, Time};
use crate::message::{EndReason, Message, Player, PlayerResult, SceneEnded};
use crate::refusal::Refusal;
use crate::scene_master::{self, Ask};
use crate::scene_service::{self, SeatGrant, Start, ToScene};
use crate::token::SecretHash;

/// How long an asked-for end may be unanswered before the scene asks again.
pub const ASK_AGAIN_MS: u64 = 5_000;

/// What a scene can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An order of the SceneService other than to begin, which is [`Scene::start`].
    Order(ToScene),
    /// Whether the game's component has begun.
    Started(Result<(), Refusal>),
    /// A connection wants to enter.
    ReqJoinScene {
        /// Which connection.
        connection: ConnectionId,
        /// The client's number.
        request: u32,
        /// What it presents.
        token: SecretHash,
    },
    /// The game's answer to [`Effect::Admit`]; the text of a refusal is the game's.
    Admitted {
        /// Which seat.
        seat: Seat,
        /// Which connection.
        connection: ConnectionId,
        /// The client's number.
        request: u32,
        /// The game's own condition.
        result: Result<(), String>,
    },
    /// A user leaves for good.
    ReqLeaveScene {
        /// Which connection.
        connection: ConnectionId,
        /// The client's number.
        request: u32,
    },
    /// A connection is lost.
    Closed {
        /// Which.
        connection: ConnectionId,
    },
    /// The game removes a player.
    Kick {
        /// Which seat.
        seat: Seat,
        /// The game's text for the player.
        reason: String,
    },
    /// The game is over as intended.
    Finish(Vec<PlayerResult>),
    /// The game's logic failed or passed a limit, and its component is gone.
    Failed(String),
    /// Time has passed.
    Tick,
}

/// What a scene wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Ask the game whether it lets this player in; answered by [`Event::Admitted`].
    Admit {
        /// Who.
        player: Player,
        /// On which connection.
        connection: ConnectionId,
        /// The client's number.
        request: u32,
    },
    /// Tell the game.
    Game(GameEvent),
    /// Tell a connection.
    Tell {
        /// Which connection.
        connection: ConnectionId,
        /// The request that this answers; 0 if none.
        request: u32,
        /// What.
        notice: Notice,
    },
    /// Close a connection after what was told.
    Close(ConnectionId),
    /// Send to a service.
    Send(Box<Message>),
    /// The scene is over: drop it and its component.
    Gone,
}

/// What the game is told of its players and its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GameEvent {
    /// A player is inside.
    Joined(Player),
    /// A player's connection is lost; the seat is kept.
    Dropped(Seat),
    /// A dropped player is back.
    Resumed(Seat),
    /// A player is gone for good.
    Left(Seat, EndReason),
    /// The scene will end.
    Stopping {
        /// Why.
        reason: EndReason,
        /// How long it has.
        grace_ms: u32,
    },
}

/// What a scene connection is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The user is inside.
    Joined {
        /// The user's seat.
        seat: Seat,
        /// Everyone with a seat.
        players: Vec<Player>,
    },
    /// A request was refused.
    Refused(Refusal),
    /// The scene is over for the user.
    Ended(SceneEnded),
    /// The last thing told: the connection is closed for this reason.
    Closing(Refusal),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum SeatState {
    /// Reserved for a user who has not been inside.
    Expected,
    /// Inside.
    Inside(ConnectionId),
    /// The connection is lost; until when the seat is kept.
    Dropped(Time),
    Gone,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct SeatRow {
    player: Player,
    state: SeatState,
    /// The way in that is open, and until when.
    token: Option<(SecretHash, Time)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Starting,
    Running,
    /// It has asked for its end; when it asks again.
    Asked {
        ask: Ask,
        again: Time,
    },
    /// It is told to stop and the game has until then.
    Stopping {
        reason: EndReason,
        until: Time,
    },
    Ended,
}

/// The handler of one scene.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    id: SceneId,
    epoch: Epoch,
    limits: Fleet,
    domain: Option<DomainName>,
    seats: Vec<SeatRow>,
    phase: Phase,
    effects: Vec<Effect>,
}

impl Scene {
    /// A scene that is about to begin: its component is started next, and [`Event::Started`] tells
    /// how that went.
    pub fn start(id: SceneId, start: Start) -> Self {
        let seat = |grant: SeatGrant| SeatRow {
            player: grant.player,
            state: SeatState::Expected,
            token: Some((grant.token, grant.until)),
        };
        Self {
            id,
            epoch: start.epoch,
            limits: start.limits,
            domain: start.domain,
            seats: start.seats.into_iter().map(seat).collect(),
            phase: Phase::Starting,
            effects: Vec::new(),
        }
    }

    /// The scene's id.
    pub fn id(&self) -> SceneId {
        self.id
    }

    /// The domain it was matched in.
    pub fn domain(&self) -> Option<&DomainName> {
        self.domain.as_ref()
    }

    /// The fleet's limits.
    pub fn limits(&self) -> &Fleet {
        &self.limits
    }

    /// The seat whose user is inside on this connection.
    pub fn seat_of(&self, connection: ConnectionId) -> Option<Seat> {
        let inside = SeatState::Inside(connection);
        self.seats.iter().find(|row| row.state == inside).map(|row| row.player.seat)
    }

    /// The connection of a seat, if its user is inside.
    pub fn connection(&self, seat: Seat) -> Option<ConnectionId> {
        match self.seats.get(seat as usize)?.state {
            SeatState::Inside(connection) => Some(connection),
            _ => None,
        }
    }

    /// The seats whose users are inside, with their connections.
    pub fn connections(&self) -> impl Iterator<Item = (Seat, ConnectionId)> {
        self.seats.iter().filter_map(|row| match row.state {
            SeatState::Inside(connection) => Some((row.player.seat, connection)),
            _ => None,
        })
    }

    /// Whether messages of users still reach the game.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Stopping { .. })
    }

    /// When the scene wants its next [`Event::Tick`], if nothing else happens before.
    pub fn deadline(&self) -> Option<Time> {
        let phase = match self.phase {
            Phase::Asked { again, .. } => Some(again),
            Phase::Stopping { until, .. } => Some(until),
            Phase::Starting | Phase::Running | Phase::Ended => None,
        };
        if !self.is_open() {
            return phase;
        }
        let seats = self.seats.iter().filter_map(|row| match row.state {
            SeatState::Expected => row.token.map(|(_, until)| until),
            SeatState::Dropped(until) => Some(until),
            SeatState::Inside(_) | SeatState::Gone => None,
        });
        seats.chain(phase).min()
    }

    /// The state, for tables and logs.
    pub fn phase_name(&self) -> &'static str {
        match self.phase {
            Phase::Starting => "Starting",
            Phase::Running => "Running",
            Phase::Asked { .. } => "Asked",
            Phase::Stopping { .. } => "Stopping",
            Phase::Ended => "Ended",
        }
    }

    /// The state of a seat, for tables and logs.
    pub fn seat_name(&self, seat: Seat) -> &'static str {
        match self.seats.get(seat as usize).map(|row| &row.state) {
            None => "none",
            Some(SeatState::Expected) => "Expected",
            Some(SeatState::Inside(_)) => "Inside",
            Some(SeatState::Dropped(_)) => "Dropped",
            Some(SeatState::Gone) => "Gone",
        }
    }

    /// Takes one event; the effects are to be carried out in their order.
    pub fn step(&mut self, now: Time, event: Event) -> Vec<Effect> {
        match event {
            Event::Order(ToScene::Start(_)) => {} // A scene begins once; the service asks for no other.
            Event::Order(ToScene::AddToken { epoch, seat, token, until }) => self.add_token(epoch, seat, token, until),
            Event::Order(ToScene::RemoveUser { epoch, seat }) => {
                if epoch == self.epoch {
                    self.remove(now, seat, EndReason::AccountClosed);
                }
            }
            Event::Order(ToScene::End { epoch, reason, results }) if epoch == self.epoch => {
                self.end_ordered(now, reason, results)
            }
            Event::Order(ToScene::End { .. }) => {}
            Event::Started(result) => self.started(result),
            Event::ReqJoinScene { connection, request, token } => self.req_join_scene(now, connection, request, token),
            Event::Admitted { seat, connection, request, result } => self.admitted(seat, connection, request, result),
            Event::ReqLeaveScene { connection, request } => self.req_leave_scene(now, connection, request),
            Event::Closed { connection } => self.closed(now, connection),
            Event::Kick { seat, reason } => self.remove(now, seat, EndReason::Kicked(reason)),
            Event::Finish(results) => self.finish(now, results),
            Event::Failed(text) => {
                if self.phase != Phase::Ended {
                    self.ask(now, Ask::Crashed(text));
                }
            }
            Event::Tick => self.expire(now),
        }
        std::mem::take(&mut self.effects)
    }

    fn started(&mut self, result: Result<(), Refusal>) {
        if self.phase != Phase::Starting {
            return;
        }
        let failed = result.is_err();
        self.phase = if failed { Phase::Ended } else { Phase::Running };
        self.tell_service(scene_service::Event::ResStart { scene: self.id, epoch: self.epoch, result });
        if failed {
            self.effects.push(Effect::Gone);
        }
    }

    fn req_join_scene(&mut self, now: Time, connection: ConnectionId, request: u32, token: SecretHash) {
        let refusal = match self.phase {
            Phase::Starting => Some(Refusal::Overloaded("the scene is still starting")),
            Phase::Asked { .. } | Phase::Ended => Some(Refusal::SceneEnded),
            Phase::Running | Phase::Stopping { .. } => None,
        };
        let row = self.seats.iter_mut().find(|row| row.token.is_some_and(|(it, _)| it == token));
        let result = match (refusal, row) {
            (Some(refusal), _) => Err(refusal),
            (None, None) => Err(Refusal::BadToken(
                "this scene token is wrong or was used: ask the lobby for a new one with req_rejoin",
            )),
            (None, Some(row)) if row.token.is_some_and(|(_, until)| until <= now) => Err(Refusal::TokenExpired),
            (None, Some(row)) => {
                // Used up even if the game refuses: a token opens a seat once.
                row.token = None;
                Ok(row)
            }
        };
        match result {
            Err(refusal) => self.refuse(connection, request, refusal),
            // Inside before: the seat is the user's already, only the connection changes.
            Ok(SeatRow { player, state: SeatState::Inside(_) | SeatState::Dropped(_), .. }) => {
                let seat = player.seat;
                self.enter(seat, connection, request);
            }
            Ok(row) => {
                let player = row.player.clone();
                self.effects.push(Effect::Admit { player, connection, request });
            }
        }
    }

    fn admitted(&mut self, seat: Seat, connection: ConnectionId, request: u32, result: Result<(), String>) {
        if !self.is_open() {
            return self.refuse(connection, request, Refusal::SceneEnded);
        }
        match result {
            Ok(()) => self.enter(seat, connection, request),
            Err(text) => {
                self.refuse(connection, request, Refusal::NotAdmitted(text.clone()));
                self.leave(seat, EndReason::Kicked(text));
            }
        }
    }

    fn enter(&mut self, seat: Seat, connection: ConnectionId, request: u32) {
        let Some(row) = self.seats.get_mut(seat as usize) else { return };
        let before = std::mem::replace(&mut row.state, SeatState::Inside(connection));
        let player = row.player.clone();
        let players =
            self.seats.iter().filter(|row| row.state != SeatState::Gone).map(|row| row.player.clone()).collect();
        self.tell(connection, request, Notice::Joined { seat, players });
        match before {
            SeatState::Expected | SeatState::Gone => {
                self.effects.push(Effect::Game(GameEvent::Joined(player)));
                self.tell_master(scene_master::Event::SynUserJoined { scene: self.id, epoch: self.epoch, seat });
            }
            SeatState::Dropped(_) => self.effects.push(Effect::Game(GameEvent::Resumed(seat))),
            SeatState::Inside(older) => {
                self.tell(older, 0, Notice::Closing(Refusal::TakenOver));
                self.effects.push(Effect::Game(GameEvent::Dropped(seat)));
                self.effects.push(Effect::Game(GameEvent::Resumed(seat)));
            }
        }
    }

    fn req_leave_scene(&mut self, now: Time, connection: ConnectionId, request: u32) {
        let Some(seat) = self.seat_of(connection) else {
            return self.refuse(connection, request, Refusal::OutOfOrder("enter the scene first, with req_join_scene"));
        };
        let ended = SceneEnded { scene: self.id, reason: EndReason::Left, results: Vec::new() };
        self.tell(connection, request, Notice::Ended(ended));
        self.effects.push(Effect::Close(connection));
        self.leave(seat, EndReason::Left);
        self.ask_if_empty(now);
    }

    fn closed(&mut self, now: Time, connection: ConnectionId) {
        let Some(seat) = self.seat_of(connection) else { return };
        let grace_ms = self.limits.grace_ms;
        self.seats[seat as usize].state = SeatState::Dropped(now.plus_ms(grace_ms));
        if self.is_open() {
            self.effects.push(Effect::Game(GameEvent::Dropped(seat)));
        }
    }

    fn remove(&mut self, now: Time, seat: Seat, reason: EndReason) {
        if let Some(connection) = self.connection(seat) {
            let ended = SceneEnded { scene: self.id, reason: reason.clone(), results: Vec::new() };
            self.tell(connection, 0, Notice::Ended(ended));
            self.effects.push(Effect::Close(connection));
        }
        self.leave(seat, reason);
        self.ask_if_empty(now);
    }

    fn finish(&mut self, now: Time, results: Vec<PlayerResult>) {
        if !self.is_open() {
            return;
        }
        match &self.phase {
            // The order to end is there already; now the game has a result as well.
            Phase::Stopping { reason, .. } => {
                let reason = reason.clone();
                let ask = Ask::Finished(results.clone());
                self.tell_master(scene_master::Event::ReqAskDestroyScene { scene: self.id, epoch: self.epoch, ask });
                self.end(reason, results);
            }
            _ => self.ask(now, Ask::Finished(results)),
        }
    }

    fn add_token(&mut self, epoch: Epoch, seat: Seat, token: SecretHash, until: Time) {
        let open = self.is_open();
        let result = match self.seats.get_mut(seat as usize) {
            Some(row) if open && epoch == self.epoch && row.state != SeatState::Gone => {
                row.token = Some((token, until));
                Ok(())
            }
            _ if !open || epoch != self.epoch => Err(Refusal::SceneEnded),
            _ => Err(Refusal::NoSeat),
        };
        self.tell_master(scene_master::Event::ResAddToken { scene: self.id, epoch, seat, result });
    }

    fn end_ordered(&mut self, now: Time, reason: EndReason, results: Vec<PlayerResult>) {
        match (&self.phase, &reason) {
            (Phase::Ended, _) => {}
            // From outside, while the game is well: it may say its last words.
            (Phase::Running, EndReason::Stopped | EndReason::TimeLimit) if self.limits.stop_grace_ms > 0 => {
                let grace_ms = self.limits.stop_grace_ms;
                self.effects.push(Effect::Game(GameEvent::Stopping { reason: reason.clone(), grace_ms }));
                self.phase = Phase::Stopping { reason, until: now.plus_ms(u64::from(grace_ms)) };
            }
            (Phase::Stopping { .. }, _) => {} // Its deadline runs.
            _ => self.end(reason, results),
        }
    }

    /// The end: everyone inside is told, and the scene is gone.
    fn end(&mut self, reason: EndReason, results: Vec<PlayerResult>) {
        let inside: Vec<ConnectionId> = self.connections().map(|(_, connection)| connection).collect();
        for connection in inside {
            let ended = SceneEnded { scene: self.id, reason: reason.clone(), results: results.clone() };
            self.tell(connection, 0, Notice::Ended(ended));
            self.effects.push(Effect::Close(connection));
        }
        self.phase = Phase::Ended;
        self.tell_service(scene_service::Event::ResEnd { scene: self.id, epoch: self.epoch });
        self.effects.push(Effect::Gone);
    }

    fn expire(&mut self, now: Time) {
        match &self.phase {
            Phase::Asked { ask, again } if *again <= now => {
                let ask = ask.clone();
                return self.ask(now, ask);
            }
            Phase::Stopping { reason, until } if *until <= now => {
                let reason = reason.clone();
                return self.end(reason, Vec::new());
            }
            _ if !self.is_open() => return,
            _ => {}
        }
        for seat in 0..self.seats.len() as Seat {
            let row = &self.seats[seat as usize];
            match row.state {
                SeatState::Expected if row.token.is_none_or(|(_, until)| until <= now) => {
                    self.leave(seat, EndReason::NeverJoined);
                }
                SeatState::Dropped(until) if until <= now => self.leave(seat, EndReason::Expired),
                _ => {}
            }
        }
        self.ask_if_empty(now);
    }

    fn leave(&mut self, seat: Seat, reason: EndReason) {
        let Some(row) = self.seats.get_mut(seat as usize) else { return };
        if row.state == SeatState::Gone {
            return;
        }
        row.state = SeatState::Gone;
        row.token = None;
        if self.is_open() {
            self.effects.push(Effect::Game(GameEvent::Left(seat, reason.clone())));
        }
        self.tell_master(scene_master::Event::SynUserLeft { scene: self.id, epoch: self.epoch, seat, reason });
    }

    /// A scene whose seats are all given up has nobody to play for.
    fn ask_if_empty(&mut self, now: Time) {
        let nobody = !self.seats.is_empty() && self.seats.iter().all(|row| row.state == SeatState::Gone);
        if nobody && self.phase == Phase::Running {
            self.ask(now, Ask::Empty);
        }
    }

    fn ask(&mut self, now: Time, ask: Ask) {
        self.phase = Phase::Asked { ask: ask.clone(), again: now.plus_ms(ASK_AGAIN_MS) };
        self.tell_master(scene_master::Event::ReqAskDestroyScene { scene: self.id, epoch: self.epoch, ask });
    }

    fn tell_master(&mut self, event: scene_master::Event) {
        self.effects.push(Effect::Send(Box::new(Message::SceneMaster(event))));
    }

    fn tell_service(&mut self, event: scene_service::Event) {
        self.effects.push(Effect::Send(Box::new(Message::OwnSceneService(event))));
    }

    fn tell(&mut self, connection: ConnectionId, request: u32, notice: Notice) {
        self.effects.push(Effect::Tell { connection, request, notice });
    }

    fn refuse(&mut self, connection: ConnectionId, request: u32, refusal: Refusal) {
        self.tell(connection, request, Notice::Refused(refusal));
    }
}
