//! Users who get a seat in a running game: who join it of their own accord, and whom Match has found for it.
//!
//! Invariants: a user has one seat at most, and a seat one user for the scene's whole life: a seat that was given up is
//! not given again, a newcomer gets the next number. A seat that is given is the user's from the moment of the decision,
//! and is taken back when the scene does not confirm it, or its user does not come, in time.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{holders, is_open};
use super::{Due, Scene, SceneMaster, SeatRow, SeatState, State, TOKEN_MS_MAX};
use serde::{Deserialize, Serialize};

use crate::Context;
use crate::config::PLAYERS_MAX;
use crate::ids::{DomainName, Epoch, MatchId, SceneId, Seat, Time, UserId};
use crate::lobby;
use crate::message::{EndReason, Message, Player, ServiceName};
use crate::record::RATING_START;
use crate::refusal::Refusal;
use crate::scene_service::{self, SeatGrant};
use crate::token::Secret;

/// How many seats a scene can give in its whole life, with those that were given up.
pub const SEATS_EVER_MAX: usize = 5 * PLAYERS_MAX as usize;
/// How much longer than the scene SceneMaster waits for a user who has not come.
pub const LATE_MS: u64 = 5_000;

/// A user who wants a seat in a running game.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joiner {
    /// Who.
    pub user: UserId,
    /// The display name.
    pub name: String,
    /// The ratings in the domains in which the user has played.
    pub ratings: BTreeMap<DomainName, i32>,
    /// Whom the user does not want to meet.
    pub blocked: BTreeSet<UserId>,
}

/// Who waits until a scene has a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// The lobby, for a user who joins, by its number.
    Lobby(u64),
    /// Match, for the users of a match.
    Match(MatchId),
}

/// Seats that were given to running scenes.
#[derive(Debug, Clone, Default)]
pub(super) struct Newcomers {
    /// Those that are not confirmed yet: who waits, and until when the way in is open.
    asked: BTreeMap<(SceneId, Seat), (Waiting, Time)>,
    /// Those of which it is not known whether the scene has them. They are named again with the next one.
    unconfirmed: BTreeSet<(SceneId, Seat)>,
}

impl Newcomers {
    /// Whether somebody waits until a scene has a seat.
    pub fn waits(&self, id: SceneId, seat: Seat) -> bool {
        self.asked.contains_key(&(id, seat))
    }

    /// Nobody waits any more.
    pub fn forget(&mut self, id: SceneId, seat: Seat) {
        self.asked.remove(&(id, seat));
    }
}

impl SceneMaster {
    pub(super) fn req_join_in_progress(&mut self, number: u64, id: SceneId, joiner: Joiner, cx: &mut Context<'_>) {
        let user = joiner.user;
        if let Err(refusal) = self.may_join(id, &joiner) {
            return cx.send(lobby::Event::ResJoinInProgress { user, number, result: Err(refusal) });
        }
        let scene = &self.scenes[&id];
        let seat = scene.seats.len() as Seat;
        let rating = scene.domain.as_ref().and_then(|domain| joiner.ratings.get(domain).copied());
        let (team, party) = (scene.smallest_team(), scene.next_party());
        let rating = rating.unwrap_or(RATING_START);
        let player = Player { seat, user, name: joiner.name, rating, team, role: None, party };
        self.add_newcomer(id, player, Waiting::Lobby(number), TOKEN_MS_MAX, cx);
        self.take_place(id, seat);
        self.keep(id, cx);
        self.order_seats(id, cx);
        self.seek_anew(id, cx);
    }

    /// A user has the next seat of a running scene, which is to be told of it.
    pub(super) fn add_newcomer(
        &mut self,
        id: SceneId,
        player: Player,
        waiting: Waiting,
        wait_ms: u64,
        cx: &mut Context<'_>,
    ) {
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        let (seat, user) = (player.seat, player.user);
        let until = cx.now.plus_ms(wait_ms + scene.rules.token_ms);
        let entry = Some(Secret::draw(cx.rng));
        let (state, is_known) = (SeatState::Expected, false);
        scene.seats.push(SeatRow { player, state, is_known, entry, asked: None, remove: None });
        self.by_user.insert(user, (id, seat));
        self.newcomers.asked.insert((id, seat), (waiting, until));
        self.newcomers.unconfirmed.insert((id, seat));
        self.deadlines.set(Due::Seat(id, seat), cx.now.plus_ms(wait_ms));
    }

    fn may_join(&self, id: SceneId, joiner: &Joiner) -> Result<(), Refusal> {
        if self.by_user.contains_key(&joiner.user) {
            return Err(Refusal::Busy("you are in a game: go back with req_rejoin, or leave it first".into()));
        }
        let scene = self.open_scene(id)?;
        self.has_free_seat(scene)?;
        if scene.seats.iter().any(|row| row.player.user == joiner.user) {
            return Err(Refusal::Forbidden(
                "you were in this game and have given your seat up: choose another one".into(),
            ));
        }
        let is_inside = |row: &&SeatRow| row.state != SeatState::Gone;
        if scene.seats.iter().filter(is_inside).any(|row| joiner.blocked.contains(&row.player.user)) {
            return Err(Refusal::Forbidden(
                "somebody whom you have blocked is in this game: choose another one".into(),
            ));
        }
        Ok(())
    }

    /// A scene that users can come to now.
    pub(super) fn open_scene(&self, id: SceneId) -> Result<&Scene, Refusal> {
        if self.stopping {
            return Err(Refusal::Stopping);
        }
        if !self.db_up {
            // It would wait for what is to be written before.
            return Err(Refusal::ServiceDown(ServiceName::Db));
        }
        let scene = self.scenes.get(&id).ok_or_else(|| Refusal::NotFound(format!("game with the id {id}")))?;
        match scene.state {
            _ if is_open(scene) => Ok(scene),
            _ if scene.begins_anew() => Err(Refusal::Restarting),
            State::Placing => Err(Refusal::NotFound(format!("game with the id {id}"))),
            _ => Err(Refusal::SceneEnded),
        }
    }

    /// Whether a scene gives somebody a seat who has none.
    pub(super) fn has_free_seat(&self, scene: &Scene) -> Result<(), Refusal> {
        let fleet = &scene.rules;
        if !fleet.join_in_progress {
            return Err(Refusal::Forbidden("this game takes nobody in who was not matched: ask for a match".into()));
        }
        if scene.state == State::Suspect {
            return Err(Refusal::Busy("this game is not well now: choose another one, or try again later".into()));
        }
        let is_full = holders(scene) >= fleet.seats_max || scene.seats.len() >= SEATS_EVER_MAX;
        match is_full || !is_open(scene) {
            true => Err(Refusal::SceneFull(
                "all seats of this game are taken: choose another one, or try again later".into(),
            )),
            false => Ok(()),
        }
    }

    /// Orders the scene to have its newest seats, those again that it may not have heard of.
    pub(super) fn order_seats(&mut self, id: SceneId, cx: &mut Context<'_>) {
        let first = self.newcomers.unconfirmed.range((id, 0)..=(id, Seat::MAX)).next().map(|(_, seat)| *seat);
        let (Some(first), Some(scene)) = (first, self.scenes.get(&id)) else { return };
        let (epoch, node) = (scene.epoch, scene.node);
        let mut seats = Vec::new();
        for row in &scene.seats[first as usize..] {
            let player = row.player.clone();
            let asked = self.newcomers.asked.get(&(id, player.seat));
            let grant = match (asked, &row.entry) {
                (Some((_, until)), Some(secret)) => SeatGrant { player, token: secret.hash(), until: *until },
                // It was given up; its number stays taken.
                _ => SeatGrant { player, token: Secret::draw(cx.rng).hash(), until: cx.now },
            };
            seats.push(grant);
        }
        cx.send(Message::SceneService(node, scene_service::Event::ReqAddSeats { scene: id, epoch, seats }));
    }

    pub(super) fn res_add_seat(
        &mut self,
        id: SceneId,
        epoch: Epoch,
        seat: Seat,
        result: Result<(), Refusal>,
        cx: &mut Context<'_>,
    ) {
        if self.live(id, epoch).is_none() {
            return;
        }
        if let Err(refusal) = result {
            return self.take_seat_back(id, seat, refusal, cx);
        }
        self.newcomers.unconfirmed.retain(|(of, it)| *of != id || *it > seat);
        let confirmed = self.newcomers.asked.range((id, 0)..=(id, seat));
        let confirmed: Vec<Seat> = confirmed.map(|((_, seat), _)| *seat).collect();
        for seat in confirmed {
            self.seat_confirmed(id, seat, cx);
        }
    }

    fn seat_confirmed(&mut self, id: SceneId, seat: Seat, cx: &mut Context<'_>) {
        let Some((waiting, until)) = self.newcomers.asked.remove(&(id, seat)) else { return };
        self.deadlines.set(Due::Seat(id, seat), until.plus_ms(LATE_MS));
        let number = match waiting {
            Waiting::Lobby(number) => number,
            Waiting::Match(match_id) => return self.fill_confirmed(match_id, cx),
        };
        let scene = &self.scenes[&id];
        let row = &scene.seats[seat as usize];
        let user = row.player.user;
        let result = match row.entry.clone() {
            Some(secret) => Ok(self.entry(id, scene, secret)),
            // It was given up meanwhile: then the scene was told to remove it.
            None => Err(Refusal::NoSeat),
        };
        cx.send(lobby::Event::ResJoinInProgress { user, number, result });
    }

    /// The scene has not confirmed the seat, or its user has not come.
    pub(super) fn seat_due(&mut self, id: SceneId, seat: Seat, cx: &mut Context<'_>) {
        let row = self.scenes.get(&id).and_then(|scene| scene.seats.get(seat as usize));
        if row.is_none_or(|row| row.state != SeatState::Expected) {
            return;
        }
        let late = Refusal::TimedOut("opening the way in".into());
        match self.newcomers.asked.get(&(id, seat)).map(|(waiting, _)| *waiting) {
            Some(Waiting::Match(match_id)) => self.fill_failed(match_id, late, cx),
            Some(Waiting::Lobby(_)) => {
                self.ask_to_remove(id, seat, EndReason::NeverJoined, cx);
                self.take_seat_back(id, seat, late, cx);
            }
            None => {
                self.ask_to_remove(id, seat, EndReason::NeverJoined, cx);
                self.syn_user_left(id, self.scenes[&id].epoch, seat, EndReason::NeverJoined, cx);
            }
        }
    }

    /// A user on the way to such a seat has another way in, which is open until then.
    pub(super) fn wait_longer(&mut self, id: SceneId, seat: Seat, until: Time) {
        if self.deadlines.get(&Due::Seat(id, seat)).is_some() {
            self.deadlines.set(Due::Seat(id, seat), until.plus_ms(LATE_MS));
        }
    }

    /// A seat that was asked for and comes to nothing.
    fn take_seat_back(&mut self, id: SceneId, seat: Seat, refusal: Refusal, cx: &mut Context<'_>) {
        let number = match self.newcomers.asked.get(&(id, seat)) {
            Some((Waiting::Lobby(number), _)) => *number,
            Some((Waiting::Match(match_id), _)) => {
                let match_id = *match_id;
                return self.fill_failed(match_id, refusal, cx);
            }
            None => return,
        };
        let Some(user) = self.untake(id, seat) else { return };
        cx.send(lobby::Event::ResJoinInProgress { user, number, result: Err(refusal) });
        self.seek_anew(id, cx);
        self.end_if_nobody(id, cx);
    }

    /// A seat of which its user was not told is nobody's any more. Whose it was.
    pub(super) fn untake(&mut self, id: SceneId, seat: Seat) -> Option<UserId> {
        self.newcomers.asked.remove(&(id, seat));
        self.deadlines.clear(&Due::Seat(id, seat));
        self.free_place(id, seat);
        let row = self.scenes.get_mut(&id)?.seats.get_mut(seat as usize)?;
        (row.state, row.entry) = (SeatState::Gone, None);
        let user = row.player.user;
        self.by_user.remove(&user);
        Some(user)
    }

    /// A SceneMaster before may have given seats of which the scene has not heard, and those who asked for them are
    /// told nothing any more: who does not come in time has none.
    pub(super) fn restore_seats(&mut self, id: SceneId, now: Time) {
        let Some(scene) = self.scenes.get(&id).filter(|scene| is_open(scene)) else { return };
        let until = now.plus_ms(TOKEN_MS_MAX + scene.rules.token_ms + LATE_MS);
        let given = (0..).zip(&scene.seats).filter(|(_, row)| scene.rules.join_in_progress || !row.is_known);
        for (seat, row) in given {
            self.newcomers.unconfirmed.insert((id, seat));
            if row.state == SeatState::Expected {
                self.deadlines.set(Due::Seat(id, seat), until);
            }
        }
    }

    /// A scene has entered a state. If it is one in which nobody comes in, who was on the way to a seat is told.
    pub(super) fn end_joining(&mut self, id: SceneId, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get(&id).filter(|scene| !is_open(scene)) else { return };
        let refusal = if scene.begins_anew() { Refusal::Restarting } else { Refusal::SceneEnded };
        let of_scene = self.newcomers.asked.range((id, 0)..=(id, Seat::MAX));
        let asked: Vec<Seat> = of_scene.map(|((_, seat), _)| *seat).collect();
        for seat in asked {
            self.take_seat_back(id, seat, refusal.clone(), cx);
        }
    }

    /// An incarnation, or a session, is over: the next one begins with all seats that it has.
    pub(super) fn forget_newcomers(&mut self, id: SceneId) {
        self.newcomers.unconfirmed.retain(|(of, _)| *of != id);
        let seats = self.scenes.get(&id).map_or(0, |scene| scene.seats.len() as Seat);
        for seat in 0..seats {
            self.deadlines.clear(&Due::Seat(id, seat));
        }
    }
}
