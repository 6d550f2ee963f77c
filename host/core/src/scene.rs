//! Scene: the seats of one game instance, and the door to them.
//!
//! Invariants: a seat belongs to one user for the scene's life and has at most one connection; a
//! token opens its seat once and before its deadline, and after that only goes on with the line that
//! it began; the game hears of a player as `joined (dropped resumed)* left`, each in its turn; after the
//! scene has asked for its end nothing more reaches the game.
//!
//! Main type: [`Scene`]. It does not know the game: the thread that owns the game's component
//! carries out the [`Effect`]s and reports what the game wants. Messages of the game do not pass
//! through `step`: [`Scene::tell`] numbers and keeps those to users, [`Scene::received`] counts those
//! of users. What they look like is the thread's business; here they are of any type `F`.

mod event;
mod held;
mod label;
mod newcomers;
mod seat;
mod seeking;
mod spectators;

use crate::config::{Fleet, Keep, OnCrash, Strikes};
use crate::ids::{Build, ConnectionId, DomainName, Epoch, Incarnation, SceneId, Seat, Time, UserId};
use crate::line::{self, Outcome};
use crate::message::{EndReason, Message, PlayerResult, SceneEnded};
use crate::refusal::Refusal;
use crate::scene_master::{self, Ask, Misbehaviour};
use crate::scene_service::{self, Start, ToScene};
use crate::token::SecretHash;
pub use event::{Effect, Event, GameEvent, Notice};
pub use held::{HeldLine, Whereabouts};
pub use label::LABEL_MS_MIN;
use label::Labelling;
use seat::{SeatRow, SeatState};
pub use seeking::SEARCH_MS_MIN;
use seeking::Seeking;
use spectators::Spectators;
pub use spectators::{PENDING_BYTES_MAX, PENDING_FRAMES_MAX, SHOWN_BYTES_MAX, SHOWN_FRAMES_MAX, WATCHED_MS_MIN};

/// How long an asked-for end may be unanswered before the scene asks again.
pub const ASK_AGAIN_MS: u64 = 5_000;
/// How long it is at least from one strike of a kind to the next.
pub const STRIKE_MS_MIN: u64 = 1_000;

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
    /// Its session is over; the game's instance waits for the next one.
    Kept,
    Ended,
}

/// The handler of one scene.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene<F> {
    id: SceneId,
    epoch: Epoch,
    build: Build,
    limits: Fleet,
    domain: Option<DomainName>,
    seats: Vec<SeatRow<F>>,
    spectators: Spectators<F>,
    label: Labelling,
    seeking: Seeking,
    phase: Phase,
    /// When SceneMaster was told last that it was slow, and that it used much memory.
    struck_at: [Option<Time>; 2],
    effects: Vec<Effect<F>>,
}

/// Whether it is long enough since the strike before.
fn may_strike(before: Option<Time>, now: Time) -> bool {
    before.is_none_or(|before| now.ms_since(before) >= STRIKE_MS_MIN)
}

impl<F: Clone> Scene<F> {
    /// A scene that is about to begin: its component is started next, and [`Event::Started`] tells
    /// how that went.
    pub fn start(id: SceneId, start: Start) -> Self {
        Self {
            id,
            epoch: start.epoch,
            build: start.build,
            spectators: Spectators::new(&start.limits),
            label: Labelling::default(),
            seeking: Seeking::default(),
            limits: start.limits,
            domain: start.domain,
            seats: start.seats.into_iter().map(SeatRow::expected).collect(),
            phase: Phase::Starting,
            struck_at: [None; 2],
            effects: Vec::new(),
        }
    }

    /// The scene's id.
    pub fn id(&self) -> SceneId {
        self.id
    }

    /// Which life of it this is.
    pub fn incarnation(&self) -> Incarnation {
        Incarnation { scene: self.id, epoch: self.epoch }
    }

    /// The domain it was matched in.
    pub fn domain(&self) -> Option<&DomainName> {
        self.domain.as_ref()
    }

    /// The fleet's limits.
    pub fn limits(&self) -> &Fleet {
        &self.limits
    }

    /// The user whose seat it is, inside or not.
    pub fn user_of(&self, seat: Seat) -> Option<UserId> {
        self.seats.get(seat as usize).map(|row| row.player.user)
    }

    /// The seat whose user is inside on this connection.
    pub fn seat_of(&self, connection: ConnectionId) -> Option<Seat> {
        self.connections().find(|(_, it)| *it == connection).map(|(seat, _)| seat)
    }

    /// The connection of a seat, if its user is inside.
    pub fn connection(&self, seat: Seat) -> Option<ConnectionId> {
        self.seats.get(seat as usize)?.connection()
    }

    /// The seats whose users are inside, with their connections.
    pub fn connections(&self) -> impl Iterator<Item = (Seat, ConnectionId)> {
        self.seats.iter().filter_map(|row| Some((row.player.seat, row.connection()?)))
    }

    /// A frame of this size for every seat that is meant: numbered in each one's line, and kept for who
    /// is dropped or may drop before it has arrived. Tells over which connections it goes now, with its
    /// number on each.
    pub fn tell(&mut self, is_meant: impl Fn(Seat) -> bool, frame: &F, bytes: usize) -> Vec<(ConnectionId, u32)> {
        let meant = self.seats.iter_mut().filter(|row| is_meant(row.player.seat));
        meant.filter_map(|row| row.tell(frame, bytes)).collect()
    }

    /// Something came from the user of a seat, who has seen the frames up to this number; 0: not said.
    pub fn heard(&mut self, now: Time, seat: Seat, seen: u32) {
        if let Some(present) = self.seats.get_mut(seat as usize).and_then(SeatRow::present) {
            present.heard(now, seen);
        }
    }

    /// Counts a message of a seat's user to the game.
    pub fn count_message(&mut self, seat: Seat) {
        let has_journal = self.limits.journal.keep != Keep::Off;
        if let Some(present) = self.seats.get_mut(seat as usize).and_then(SeatRow::present) {
            present.count_message(has_journal);
        }
    }

    /// How many messages of a seat's user to the game came over the line, and are safe: where there is a journal, they are
    /// in it.
    pub fn received(&self, seat: Seat) -> u32 {
        match self.seats.get(seat as usize).map(|row| &row.state) {
            Some(SeatState::Present(present)) => present.received,
            _ => 0,
        }
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
            Phase::Starting | Phase::Running | Phase::Kept | Phase::Ended => None,
        };
        if !self.is_open() {
            return phase;
        }
        let others = [phase, self.spectators.deadline(), self.label.deadline(), self.seeking.deadline()];
        self.seats.iter().filter_map(SeatRow::deadline).chain(others.into_iter().flatten()).min()
    }

    /// The state, for tables and logs.
    pub fn phase_name(&self) -> &'static str {
        match self.phase {
            Phase::Starting => "Starting",
            Phase::Running => "Running",
            Phase::Asked { .. } => "Asked",
            Phase::Stopping { .. } => "Stopping",
            Phase::Kept => "Kept",
            Phase::Ended => "Ended",
        }
    }

    /// The state of a seat, for tables and logs.
    pub fn seat_name(&self, seat: Seat) -> &'static str {
        self.seats.get(seat as usize).map_or("none", SeatRow::name)
    }

    /// Takes one event; the effects are to be carried out in their order.
    pub fn step(&mut self, now: Time, event: Event) -> Vec<Effect<F>> {
        match event {
            Event::Order(ToScene::Start(_)) => {} // A scene begins once; the service asks for no other.
            Event::Order(ToScene::AddToken { epoch, seat, token, until }) => self.add_token(epoch, seat, token, until),
            Event::Order(ToScene::AddSeats { epoch, seats }) => self.add_seats(now, epoch, seats),
            Event::Order(ToScene::AddSpectator { epoch, user, token, until }) => {
                self.add_spectator(epoch, user, token, until)
            }
            Event::Order(ToScene::RemoveSpectator { epoch, user, reason }) => {
                if epoch == self.epoch {
                    self.remove_spectator(user, reason);
                }
            }
            Event::Order(ToScene::RemoveUser { epoch, seat, reason }) => {
                if epoch == self.epoch {
                    self.remove(now, seat, reason);
                }
            }
            Event::Order(ToScene::Report { epoch, anew }) => self.report(epoch, anew),
            Event::Order(ToScene::End { epoch, reason, results, keep }) if epoch == self.epoch => {
                self.end_ordered(now, reason, results, keep)
            }
            Event::Order(ToScene::End { .. }) => {}
            Event::Order(ToScene::Drain { epoch, grace_ms }) => self.drain(epoch, grace_ms),
            Event::Started(result) => self.started(now, result),
            Event::ReqJoinScene { connection, request, token, resume } => {
                self.req_join_scene(now, connection, request, token, resume)
            }
            Event::Admitted { seat, connection, request, result } => {
                self.admitted(now, seat, connection, request, result)
            }
            Event::ReqWatchScene { connection, request, token } => {
                self.req_watch_scene(now, connection, request, token)
            }
            Event::Label(text) if self.is_open() => {
                self.label.set(text);
                self.tell_label(now);
            }
            Event::Label(_) => {}
            Event::SeekPlayers(openings) => self.seek_players(now, openings),
            Event::MatchAgain { seats, domain, together } => self.match_again(now, seats, domain, together),
            Event::ReqLeaveScene { connection, request } => self.req_leave_scene(now, connection, request),
            Event::Closed { connection } => self.closed(now, connection),
            Event::Kick { seat, reason } => self.remove(now, seat, EndReason::Kicked(reason)),
            Event::Finish(results) => self.finish(now, results),
            Event::Failed(text) => self.failed(now, Ask::Crashed(text)),
            Event::GivenUp(text) => self.failed(now, Ask::GivenUp(text)),
            Event::Tick => self.expire(now),
        }
        std::mem::take(&mut self.effects)
    }

    /// Says what it knows of its seats.
    fn report(&mut self, epoch: Epoch, anew: bool) {
        if epoch == self.epoch && !matches!(self.phase, Phase::Starting | Phase::Kept | Phase::Ended) {
            if anew {
                self.tell_anew();
            }
            self.repeat_search();
            self.tell_service(self.report_now());
        }
    }

    fn report_now(&self) -> scene_service::Event {
        let seats = self.seats.iter().map(SeatRow::now).collect();
        scene_service::Event::ResReport { scene: self.id, epoch: self.epoch, build: self.build, seats }
    }

    /// The game goes on as another build, or has begun as another one than was ordered. What is to be sent, if it runs.
    pub fn made_of(&mut self, build: Build) -> Option<Message> {
        self.build = build;
        let is_running = !matches!(self.phase, Phase::Starting | Phase::Kept | Phase::Ended);
        is_running.then(|| Message::OwnSceneService(self.report_now()))
    }

    /// The game has made a step that took so long, and uses so much memory now. What is to be sent if it misbehaves
    /// with that: at most one message of a kind in [`STRIKE_MS_MIN`], so that a game cannot flood SceneMaster.
    pub fn measured(&mut self, now: Time, step_us: u64, memory_bytes: u64) -> Option<Message> {
        let Strikes { step_ms, memory_kib, .. } = self.limits.strikes;
        let is_slow = step_ms > 0 && step_us > step_ms.saturating_mul(1_000);
        let is_large = memory_kib > 0 && memory_bytes > memory_kib.saturating_mul(1_024);
        let [slow_at, large_at] = &mut self.struck_at;
        let (kind, at) = match (is_slow, is_large) {
            (true, _) if may_strike(*slow_at, now) => (Misbehaviour::Slow, slow_at),
            (_, true) if may_strike(*large_at, now) => (Misbehaviour::Memory, large_at),
            _ => return None,
        };
        *at = Some(now);
        let event = scene_master::Event::SynMisbehaved { scene: self.id, epoch: self.epoch, kind };
        self.is_open().then(|| event.into())
    }

    fn started(&mut self, now: Time, result: Result<(), Refusal>) {
        if self.phase != Phase::Starting {
            return;
        }
        let failed = result.is_err();
        self.phase = if failed { Phase::Ended } else { Phase::Running };
        self.tell_service(scene_service::Event::ResStart { scene: self.id, epoch: self.epoch, result });
        if failed {
            self.effects.push(Effect::Gone);
        }
        self.tell_held();
        // All its users may be gone before it has begun.
        self.ask_if_empty(now);
        if self.is_open() {
            self.ask_game(now);
        }
    }

    fn req_join_scene(
        &mut self,
        now: Time,
        connection: ConnectionId,
        request: u32,
        token: SecretHash,
        resume: Option<u32>,
    ) {
        match self.phase {
            Phase::Starting => {
                return self.refuse(connection, request, Refusal::Overloaded("the scene is still starting".into()));
            }
            Phase::Asked { .. } | Phase::Kept | Phase::Ended => return self.refuse(connection, request, self.over()),
            Phase::Running | Phase::Stopping { .. } => {}
        }
        if let Some(row) = self.seats.iter_mut().find(|row| row.is_opened_by(token)) {
            match row.open(now) {
                Err(refusal) => self.refuse(connection, request, refusal),
                Ok(()) => {
                    let player = row.player.clone();
                    match row.state {
                        SeatState::Expected | SeatState::Gone => {
                            self.effects.push(Effect::Admit { player, connection, request });
                        }
                        // Inside before: the seat is the user's already, only the client changes.
                        SeatState::Present(_) => self.come_back(now, player.seat, connection, request, None),
                    }
                }
            }
            return;
        }
        let line = self.seats.iter().find(|row| row.is_gone_on_with_by(token)).map(|row| row.player.seat);
        match (line, resume) {
            (Some(seat), Some(seen)) => self.come_back(now, seat, connection, request, Some(seen)),
            (Some(_), None) | (None, _) => {
                let text = "this scene token is wrong or was used: ask the lobby for a new one with req_rejoin";
                self.refuse(connection, request, Refusal::BadToken(text.into()));
            }
        }
    }

    fn admitted(&mut self, now: Time, seat: Seat, connection: ConnectionId, request: u32, result: Result<(), String>) {
        if !self.is_open() {
            return self.refuse(connection, request, self.over());
        }
        if let Err(text) = result {
            self.refuse(connection, request, Refusal::NotAdmitted(text.clone()));
            self.leave(seat, EndReason::Kicked(text));
            return self.ask_if_empty(now);
        }
        let grace_ms = self.limits.grace_ms;
        let Some(row) = self.seats.get_mut(seat as usize) else { return };
        if row.present().is_some() {
            return self.come_back(now, seat, connection, request, None);
        }
        row.enter(connection, grace_ms);
        let player = row.player.clone();
        self.tell_joined(seat, connection, request, false, 0);
        self.effects.push(Effect::Game(GameEvent::Joined(player)));
        self.tell_master(scene_master::Event::SynUserJoined { scene: self.id, epoch: self.epoch, seat });
    }

    /// A user who was inside is here on another connection: with the number of the last frame that came,
    /// to go on with the line; without, as a client that begins anew.
    fn come_back(&mut self, now: Time, seat: Seat, connection: ConnectionId, request: u32, seen: Option<u32>) {
        let Some(present) = self.seats.get_mut(seat as usize).and_then(SeatRow::present) else { return };
        let taken_over = match present.line.step(now, line::Event::Returned(connection)) {
            Outcome::Back { taken_over } => taken_over,
            // The grace period is over; the tick has not come yet.
            _ => {
                self.refuse(connection, request, Refusal::NoSeat);
                self.leave(seat, EndReason::Expired);
                return self.ask_if_empty(now);
            }
        };
        let missed = seen.and_then(|seen| present.since(seen));
        let resumed = missed.is_some();
        let after_seq = match seen {
            None => {
                present.begin_anew();
                0
            }
            Some(seen) if resumed => seen,
            Some(seen) => present.begin_after(seen),
        };
        self.tell_joined(seat, connection, request, resumed, after_seq);
        for (seq, frame) in missed.into_iter().flatten() {
            self.effects.push(Effect::Repeat { connection, seq, frame });
        }
        match taken_over {
            None => self.effects.push(Effect::Game(GameEvent::Resumed { seat, missed: !resumed })),
            Some(older) => {
                self.notify(older, 0, Notice::Closing(Refusal::TakenOver));
                // The game has not noticed anything, and if nothing was missed there is nothing to notice.
                if !resumed {
                    self.effects.push(Effect::Game(GameEvent::Dropped(seat)));
                    self.effects.push(Effect::Game(GameEvent::Resumed { seat, missed: true }));
                }
            }
        }
    }

    fn tell_joined(&mut self, seat: Seat, connection: ConnectionId, request: u32, resumed: bool, after_seq: u32) {
        let with_seat = self.seats.iter().filter(|row| !matches!(row.state, SeatState::Gone));
        let players = with_seat.map(|row| row.player.clone()).collect();
        // Also what waits for the game: with this notice it is written down.
        let present = self.seats.get_mut(seat as usize).and_then(SeatRow::present);
        let received = present.map_or(0, |present| present.arrived);
        self.notify(connection, request, Notice::Joined { seat, players, resumed, after_seq, received });
    }

    fn req_leave_scene(&mut self, now: Time, connection: ConnectionId, request: u32) {
        let seat = self.seat_of(connection);
        if seat.is_none() && !self.stop_watching(connection) {
            return self.refuse(
                connection,
                request,
                Refusal::OutOfOrder("enter the scene first, with req_join_scene".into()),
            );
        }
        let ended = SceneEnded { scene: self.id, reason: EndReason::Left, results: Vec::new() };
        self.notify(connection, request, Notice::Ended(ended));
        self.effects.push(Effect::Close(connection));
        if let Some(seat) = seat {
            self.leave(seat, EndReason::Left);
            self.ask_if_empty(now);
        }
    }

    fn closed(&mut self, now: Time, connection: ConnectionId) {
        let Some(seat) = self.seat_of(connection) else {
            self.stop_watching(connection);
            return;
        };
        let Some(present) = self.seats[seat as usize].present() else { return };
        let outcome = present.line.step(now, line::Event::Lost(connection));
        if outcome == Outcome::Away && self.is_open() {
            self.effects.push(Effect::Game(GameEvent::Dropped(seat)));
        }
    }

    fn remove(&mut self, now: Time, seat: Seat, reason: EndReason) {
        if let Some(connection) = self.connection(seat) {
            let ended = SceneEnded { scene: self.id, reason: reason.clone(), results: Vec::new() };
            self.notify(connection, 0, Notice::Ended(ended));
            self.effects.push(Effect::Close(connection));
        }
        self.leave(seat, reason);
        self.ask_if_empty(now);
    }

    fn finish(&mut self, now: Time, results: Vec<PlayerResult>) {
        match &self.phase {
            // In the same step it has sent its last players away: the results count all the same.
            Phase::Asked { ask: Ask::Empty, .. } => {
                self.ask(now, Ask::Finished(results));
            }
            _ if !self.is_open() => {}
            // The order to end is there already; now the game has a result as well.
            Phase::Stopping { reason, .. } => {
                let reason = reason.clone();
                let ask = Ask::Finished(results.clone());
                self.tell_master(scene_master::Event::ReqAskDestroyScene { scene: self.id, epoch: self.epoch, ask });
                self.end(reason, results, false);
            }
            _ => self.ask(now, Ask::Finished(results)),
        }
    }

    /// The game is no more. Its users need not wait for the word of SceneMaster, which may not be able to write.
    fn failed(&mut self, now: Time, ask: Ask) {
        match &self.phase {
            Phase::Starting | Phase::Running | Phase::Asked { ask: Ask::Empty, .. } => {
                let told = match (&ask, self.limits.on_crash) {
                    (Ask::Crashed(text), OnCrash::End) | (Ask::GivenUp(text), _) => {
                        let reason = EndReason::Crashed(text.clone());
                        self.end_for_spectators(&reason, &[]);
                        self.tell_end(&reason, &[])
                    }
                    _ => {
                        self.restart_for_spectators();
                        self.tell_restart()
                    }
                };
                self.ask(now, ask);
                told.into_iter().for_each(|connection| self.closed(now, connection));
            }
            // The order to end is there already.
            Phase::Stopping { reason, .. } => self.end(reason.clone(), Vec::new(), false),
            // It was over before, or has failed already.
            Phase::Asked { .. } | Phase::Kept | Phase::Ended => {}
        }
    }

    fn add_token(&mut self, epoch: Epoch, seat: Seat, token: SecretHash, until: Time) {
        let open = self.is_open();
        let result = match self.seats.get_mut(seat as usize) {
            Some(row) if open && epoch == self.epoch && !matches!(row.state, SeatState::Gone) => {
                row.grant(token, until);
                Ok(())
            }
            _ if !open || epoch != self.epoch => Err(Refusal::SceneEnded),
            _ => Err(Refusal::NoSeat),
        };
        self.tell_master(scene_master::Event::ResAddToken { scene: self.id, epoch, seat, result });
    }

    /// The game may know early that it has to end: what it makes of that is its own affair.
    fn drain(&mut self, epoch: Epoch, grace_ms: u64) {
        if epoch == self.epoch && self.phase == Phase::Running {
            let grace_ms = u32::try_from(grace_ms).unwrap_or(u32::MAX);
            self.effects.push(Effect::Game(GameEvent::Stopping { reason: EndReason::Drained, grace_ms }));
        }
    }

    fn end_ordered(&mut self, now: Time, reason: EndReason, results: Vec<PlayerResult>, keep: bool) {
        match (&self.phase, &reason) {
            (Phase::Ended, _) => {}
            // From outside, while the game is well: it may say its last words.
            (Phase::Running, EndReason::Stopped | EndReason::TimeLimit | EndReason::Drained)
                if self.limits.stop_grace_ms > 0 =>
            {
                let grace_ms = self.limits.stop_grace_ms;
                self.effects.push(Effect::Game(GameEvent::Stopping { reason: reason.clone(), grace_ms }));
                self.phase = Phase::Stopping { reason, until: now.plus_ms(u64::from(grace_ms)) };
            }
            (Phase::Stopping { .. }, _) => {} // Its deadline runs.
            _ => self.end(reason, results, keep),
        }
    }

    /// The end: everyone inside is told, and the scene is gone; or only its session, and the game's instance waits.
    fn end(&mut self, reason: EndReason, results: Vec<PlayerResult>, keep: bool) {
        self.tell_end(&reason, &results);
        self.end_for_spectators(&reason, &results);
        if keep {
            self.seats.clear();
        }
        self.phase = if keep { Phase::Kept } else { Phase::Ended };
        self.tell_service(scene_service::Event::ResEnd { scene: self.id, epoch: self.epoch, kept: keep });
        self.effects.push(if keep { Effect::Kept } else { Effect::Gone });
    }

    /// Tells everyone inside that it is over, and closes their connections, which are returned.
    fn tell_end(&mut self, reason: &EndReason, results: &[PlayerResult]) -> Vec<ConnectionId> {
        let inside: Vec<ConnectionId> = self.connections().map(|(_, connection)| connection).collect();
        for connection in &inside {
            let ended = SceneEnded { scene: self.id, reason: reason.clone(), results: results.to_vec() };
            self.notify(*connection, 0, Notice::Ended(ended));
            self.effects.push(Effect::Close(*connection));
        }
        inside
    }

    /// Tells everyone inside that the game begins anew, and closes their connections, which are returned.
    fn tell_restart(&mut self) -> Vec<ConnectionId> {
        let inside: Vec<ConnectionId> = self.connections().map(|(_, connection)| connection).collect();
        for connection in &inside {
            self.notify(*connection, 0, Notice::Closing(Refusal::Restarting));
        }
        inside
    }

    fn expire(&mut self, now: Time) {
        match &self.phase {
            Phase::Asked { ask, again } if *again <= now => {
                let ask = ask.clone();
                return self.ask(now, ask);
            }
            Phase::Stopping { reason, until } if *until <= now => {
                let reason = reason.clone();
                return self.end(reason, Vec::new(), false);
            }
            _ if !self.is_open() => return,
            _ => {}
        }
        self.expire_spectators(now);
        self.tell_label(now);
        self.tell_search(now);
        for seat in 0..self.seats.len() as Seat {
            if let Some(reason) = self.seats[seat as usize].expire(now) {
                self.leave(seat, reason);
            }
        }
        self.ask_if_empty(now);
    }

    fn leave(&mut self, seat: Seat, reason: EndReason) {
        let Some(row) = self.seats.get_mut(seat as usize) else { return };
        if !row.leave(&reason) {
            return;
        }
        if row.is_known && self.is_open() {
            self.effects.push(Effect::Game(GameEvent::Left(seat, reason.clone())));
        }
        self.tell_master(scene_master::Event::SynUserLeft { scene: self.id, epoch: self.epoch, seat, reason });
    }

    /// A scene whose seats are all given up has nobody to play for.
    fn ask_if_empty(&mut self, now: Time) {
        let nobody = !self.seats.is_empty() && self.seats.iter().all(|row| matches!(row.state, SeatState::Gone));
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

    fn notify(&mut self, connection: ConnectionId, request: u32, notice: Notice) {
        self.effects.push(Effect::Tell { connection, request, notice });
    }

    fn refuse(&mut self, connection: ConnectionId, request: u32, refusal: Refusal) {
        self.notify(connection, request, Notice::Refused(refusal));
    }
}
