//! Who comes to a running scene: users who get a seat in it, and users who watch it.
//!
//! Invariants: a seat that is added has the next number; who holds a seat does not watch; those who watch neither keep
//! a scene alive nor keep it from its end.

use super::spectators::Shown;
use super::{Effect, GameEvent, Notice, Phase, Scene, SeatRow, SeatState};
use crate::config::OnCrash;
use crate::ids::{ConnectionId, Epoch, Time, UserId};
use crate::message::{EndReason, PlayerResult, SceneEnded};
use crate::refusal::Refusal;
use crate::scene_master::{self, Ask};
use crate::scene_service::SeatGrant;
use crate::token::SecretHash;

impl<F: Clone> Scene<F> {
    /// SceneMaster gives the scene seats, from the first on of which it does not know that they are here.
    pub(super) fn add_seats(&mut self, now: Time, epoch: Epoch, seats: Vec<SeatGrant>) {
        let Some(last) = seats.last().map(|grant| grant.player.clone()) else { return };
        let is_current = epoch == self.epoch;
        if is_current && matches!(self.phase, Phase::Asked { ask: Ask::Empty, .. }) {
            // Somebody comes after all: SceneMaster passes the question over.
            self.phase = Phase::Running;
        }
        if is_current && self.phase == Phase::Running {
            for grant in seats {
                let (seat, user) = (grant.player.seat as usize, grant.player.user);
                if seat == self.seats.len() {
                    self.seats.push(SeatRow::added(grant, now));
                    self.remove_spectator(user, EndReason::Left);
                }
            }
        }
        let has_seat = |row: &SeatRow<F>| row.player.user == last.user && !matches!(row.state, SeatState::Gone);
        let result = match self.seats.get(last.seat as usize) {
            Some(row) if is_current && self.phase == Phase::Running && has_seat(row) => Ok(()),
            _ if is_current => Err(self.over()),
            _ => Err(Refusal::SceneEnded),
        };
        let event = scene_master::Event::ResAddSeat { scene: self.id, epoch, seat: last.seat, result };
        self.tell_master(event);
    }

    pub(super) fn add_spectator(&mut self, epoch: Epoch, user: UserId, token: SecretHash, until: Time) {
        let plays = self.seats.iter().any(|row| row.player.user == user && !matches!(row.state, SeatState::Gone));
        let result = match self.phase {
            _ if epoch != self.epoch => Err(Refusal::SceneEnded),
            Phase::Running if plays => Err(Refusal::Busy("you play in this game".into())),
            Phase::Running => self.spectators.expect(user, token, until),
            _ => Err(self.over()),
        };
        self.tell_master(scene_master::Event::ResAddSpectator { scene: self.id, epoch, user, result });
    }

    /// A user watches no more: the connection, if there is one, is told why and closed.
    pub(super) fn remove_spectator(&mut self, user: UserId, reason: EndReason) {
        let (connection, was_here) = self.spectators.remove(user);
        if let Some(connection) = connection {
            self.notify(connection, 0, Notice::Ended(self.ended_for_spectator(reason)));
            self.effects.push(Effect::Close(connection));
        }
        if was_here {
            self.tell_spectator_left(user);
        }
    }

    pub(super) fn req_watch_scene(&mut self, now: Time, connection: ConnectionId, request: u32, token: SecretHash) {
        match self.phase {
            Phase::Starting => {
                return self.refuse(connection, request, Refusal::Overloaded("the scene is still starting".into()));
            }
            Phase::Asked { .. } | Phase::Kept | Phase::Ended => return self.refuse(connection, request, self.over()),
            Phase::Running | Phase::Stopping { .. } => {}
        }
        let user = match self.spectators.open(now, token) {
            Some(Ok(user)) => user,
            Some(Err(refusal)) => return self.refuse(connection, request, refusal),
            None => {
                let text = "this watch token is wrong or was used: ask the lobby for a new one with req_watch";
                return self.refuse(connection, request, Refusal::BadToken(text.into()));
            }
        };
        // What was due while nobody watched.
        self.show(Some(now));
        if let Some(older) = self.spectators.enter(user, connection) {
            self.notify(older, 0, Notice::Closing(Refusal::TakenOver));
        }
        let with_seat = self.seats.iter().filter(|row| !matches!(row.state, SeatState::Gone));
        let players = with_seat.map(|row| row.player.clone()).collect();
        let delay_ms = self.spectators.delay_ms();
        self.notify(connection, request, Notice::Watching { players, delay_ms });
        for frame in self.spectators.shown().collect::<Vec<_>>() {
            self.effects.push(Effect::Show { connections: vec![connection], frame });
        }
        self.ask_game(now);
    }

    /// A connection that watches is lost, or its user wants no more. Whether it did.
    pub(super) fn stop_watching(&mut self, connection: ConnectionId) -> bool {
        let Some(user) = self.spectators.leave(connection) else { return false };
        // With a new way in on the way, the user has not left.
        if !self.spectators.is_expected(user) {
            self.tell_spectator_left(user);
        }
        true
    }

    /// Whether a connection watches.
    pub fn is_watching(&self, connection: ConnectionId) -> bool {
        self.spectators.is_watching(connection)
    }

    /// The game says something to those who watch: its whole view of what they may see, or a change of it. What is to
    /// be done now comes back.
    pub fn say_to_spectators(&mut self, now: Time, whole: bool, frame: F, bytes: usize) -> Vec<Effect<F>> {
        if self.is_open() {
            self.spectators.say(now, whole, frame, bytes);
            self.show(Some(now));
            self.ask_game(now);
        }
        std::mem::take(&mut self.effects)
    }

    pub(super) fn expire_spectators(&mut self, now: Time) {
        self.show(Some(now));
        for user in self.spectators.expire(now) {
            if self.spectators.connection_of(user).is_none() {
                self.tell_spectator_left(user);
            }
        }
        self.ask_game(now);
    }

    /// The game is over: what those who watch have not seen yet hides nothing any more.
    pub(super) fn end_for_spectators(&mut self, reason: &EndReason, results: &[PlayerResult]) {
        self.show(None);
        for connection in self.spectators.remove_all() {
            let results = results.to_vec();
            let ended = SceneEnded { results, ..self.ended_for_spectator(reason.clone()) };
            self.notify(connection, 0, Notice::Ended(ended));
            self.effects.push(Effect::Close(connection));
        }
    }

    /// The game begins anew, and there is nothing left to watch.
    pub(super) fn restart_for_spectators(&mut self) {
        for connection in self.spectators.remove_all() {
            self.notify(connection, 0, Notice::Closing(Refusal::Restarting));
        }
    }

    /// What the game wants to be found by, when its time has come.
    pub(super) fn tell_label(&mut self, now: Time) {
        match self.label.take(now) {
            Some(Ok(label)) => {
                self.tell_master(scene_master::Event::SynLabel { scene: self.id, epoch: self.epoch, label });
            }
            Some(Err(error)) => self.effects.push(Effect::Complain(format!("the label was not taken: {error}"))),
            None => {}
        }
    }

    /// What SceneMaster knows only by the scene's word.
    pub(super) fn tell_anew(&mut self) {
        if let Some(label) = self.label.told() {
            self.tell_master(scene_master::Event::SynLabel { scene: self.id, epoch: self.epoch, label });
        }
        let users = self.spectators.users();
        if !users.is_empty() {
            self.tell_master(scene_master::Event::SynSpectators { scene: self.id, epoch: self.epoch, users });
        }
    }

    /// Why nobody comes in any more.
    pub(super) fn over(&self) -> Refusal {
        match (&self.phase, self.limits.on_crash) {
            (Phase::Asked { ask: Ask::Crashed(_), .. }, OnCrash::Restart) => Refusal::Restarting,
            _ => Refusal::SceneEnded,
        }
    }

    pub(super) fn ask_game(&mut self, now: Time) {
        if self.spectators.ask(now) {
            self.effects.push(Effect::Game(GameEvent::Watched));
        }
    }

    fn show(&mut self, now: Option<Time>) {
        let shown = self.spectators.show(now);
        let show = |(connections, frame): Shown<F>| Effect::Show { connections, frame };
        self.effects.extend(shown.into_iter().map(show));
    }

    fn ended_for_spectator(&self, reason: EndReason) -> SceneEnded {
        SceneEnded { scene: self.id, reason, results: Vec::new() }
    }

    fn tell_spectator_left(&mut self, user: UserId) {
        self.tell_master(scene_master::Event::SynSpectatorLeft { scene: self.id, epoch: self.epoch, user });
    }
}
