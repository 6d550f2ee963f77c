//! Users who join a running game of their own accord.
//!
//! Invariants: a user has one seat at most, and a seat one user for the scene's whole life: a seat that was given up is
//! not given again, a newcomer gets the next number. A seat that is given is the user's from the moment of the decision,
//! and is taken back when the scene does not confirm it, or its user does not come, in time.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{holders, is_open};
use super::{Due, Scene, SceneMaster, SeatRow, SeatState, State, TOKEN_MS_MAX};
use crate::Context;
use crate::config::PLAYERS_MAX;
use crate::ids::{DomainName, Epoch, SceneId, Seat, Time, UserId};
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
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// Seats that were given to running scenes.
#[derive(Debug, Clone, Default)]
pub(super) struct Newcomers {
    /// Those that are not confirmed yet: the lobby's number, and until when the way in is open.
    asked: BTreeMap<(SceneId, Seat), (u64, Time)>,
    /// Those of which it is not known whether the scene has them. They are named again with the next one.
    unconfirmed: BTreeSet<(SceneId, Seat)>,
}

impl SceneMaster {
    pub(super) fn req_join_in_progress(&mut self, number: u64, id: SceneId, joiner: Joiner, cx: &mut Context<'_>) {
        let user = joiner.user;
        if let Err(refusal) = self.may_join(id, &joiner) {
            return cx.send(lobby::Event::ResJoinInProgress { user, number, result: Err(refusal) });
        }
        let scene = self.scenes.get_mut(&id).expect("looked at by may_join");
        let token_ms = scene.rules.token_ms;
        let seat = scene.seats.len() as Seat;
        let rating = scene.domain.as_ref().and_then(|domain| joiner.ratings.get(domain).copied());
        let team = smallest_team(&scene.seats);
        let player = Player {
            seat,
            user,
            name: joiner.name,
            rating: rating.unwrap_or(RATING_START),
            team,
            role: None,
            party: 0,
        };
        let entry = Some(Secret::draw(cx.rng));
        scene.seats.push(SeatRow { player, state: SeatState::Expected, entry, asked: None, remove: None });
        self.by_user.insert(user, (id, seat));
        let until = cx.now.plus_ms(TOKEN_MS_MAX + token_ms);
        self.newcomers.asked.insert((id, seat), (number, until));
        self.newcomers.unconfirmed.insert((id, seat));
        self.deadlines.set(Due::Seat(id, seat), cx.now.plus_ms(TOKEN_MS_MAX));
        self.keep(id, cx);
        self.order_seats(id, cx);
    }

    fn may_join(&self, id: SceneId, joiner: &Joiner) -> Result<(), Refusal> {
        if self.by_user.contains_key(&joiner.user) {
            return Err(Refusal::Busy("you are in a game: go back with req_rejoin, or leave it first"));
        }
        let scene = self.open_scene(id)?;
        self.has_free_seat(scene)?;
        if scene.seats.iter().any(|row| row.player.user == joiner.user) {
            return Err(Refusal::Forbidden("you were in this game and have given your seat up: choose another one"));
        }
        let is_inside = |row: &&SeatRow| row.state != SeatState::Gone;
        if scene.seats.iter().filter(is_inside).any(|row| joiner.blocked.contains(&row.player.user)) {
            return Err(Refusal::Forbidden("somebody whom you have blocked is in this game: choose another one"));
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
            return Err(Refusal::Forbidden("this game takes nobody in who was not matched: ask for a match"));
        }
        if scene.state == State::Suspect {
            return Err(Refusal::Busy("this game is not well now: choose another one, or try again later"));
        }
        let is_full = holders(scene) >= fleet.seats_max || scene.seats.len() >= SEATS_EVER_MAX;
        match is_full || !is_open(scene) {
            true => Err(Refusal::SceneFull("all seats of this game are taken: choose another one, or try again later")),
            false => Ok(()),
        }
    }

    /// Orders the scene to have its newest seats, those again that it may not have heard of.
    fn order_seats(&mut self, id: SceneId, cx: &mut Context<'_>) {
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
        // Answered before, or given up meanwhile: then the scene was told to remove it.
        let Some((number, until)) = self.newcomers.asked.remove(&(id, seat)) else { return };
        self.deadlines.set(Due::Seat(id, seat), until.plus_ms(LATE_MS));
        let scene = &self.scenes[&id];
        let row = &scene.seats[seat as usize];
        let user = row.player.user;
        let result = match row.entry.clone() {
            Some(secret) => Ok(self.entry(id, scene, secret)),
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
        self.ask_to_remove(id, seat, EndReason::NeverJoined, cx);
        match self.newcomers.asked.contains_key(&(id, seat)) {
            true => self.take_seat_back(id, seat, Refusal::TimedOut("opening the way in"), cx),
            false => self.syn_user_left(id, self.scenes[&id].epoch, seat, EndReason::NeverJoined, cx),
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
        let Some((number, _)) = self.newcomers.asked.remove(&(id, seat)) else { return };
        self.deadlines.clear(&Due::Seat(id, seat));
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        let row = &mut scene.seats[seat as usize];
        (row.state, row.entry) = (SeatState::Gone, None);
        let user = row.player.user;
        self.by_user.remove(&user);
        cx.send(lobby::Event::ResJoinInProgress { user, number, result: Err(refusal) });
        self.end_if_nobody(id, cx);
    }

    /// A SceneMaster before may have given seats of which the scene has not heard, and those who asked for them are
    /// told nothing any more: who does not come in time has none.
    pub(super) fn restore_seats(&mut self, id: SceneId, now: Time) {
        let Some(scene) = self.scenes.get(&id).filter(|scene| scene.rules.join_in_progress && is_open(scene)) else {
            return;
        };
        let until = now.plus_ms(TOKEN_MS_MAX + scene.rules.token_ms + LATE_MS);
        for (seat, row) in (0..).zip(&scene.seats) {
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

/// The team with the fewest players, of those that there are.
fn smallest_team(seats: &[SeatRow]) -> u32 {
    let mut players: BTreeMap<u32, usize> = BTreeMap::new();
    for row in seats {
        *players.entry(row.player.team).or_default() += usize::from(row.state != SeatState::Gone);
    }
    players.into_iter().min_by_key(|(team, count)| (*count, *team)).map_or(0, |(team, _)| team)
}
