//! Seats of users of which the lobby does not know: one that takes over knows of none, and what a SceneMaster that has
//! failed was about to say is lost. SceneMaster is asked then.
//!
//! Invariants: of a user whose seat is not known nothing is begun that nobody with a seat may begin. An answer counts
//! only for the question that was asked last, and for none once the user's phase is another: what is known by then is
//! newer. At most [`SEATS_AT_ONCE`] are asked for at once; the others follow after a moment.

use std::collections::BTreeSet;

use super::{ANSWER_MS_MAX, Connection, Due, Lobby, Phase};
use crate::Context;
use crate::db::Entered;
use crate::ids::{ConnectionId, Time, UserId};
use crate::line::State;
use crate::message::{EndReason, Notice, SceneEnded, ServiceName};
use crate::refusal::Refusal;
use crate::scene_master::{self, Held};

/// For how many users SceneMaster is asked at once.
pub const SEATS_AT_ONCE: usize = 256;
/// How long the moment is before more are asked for.
const SEATS_MS: u64 = 100;
/// Why a game is over of which a fresh SceneMaster knows nothing.
const LOST: &str = "the service that knew of it has failed";

/// How long after an answer that told nothing SceneMaster is asked again at the earliest.
const ASK_AGAIN_MS: u64 = 3_000;

/// What the lobby knows of a user's seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seat {
    /// It is as the phase says.
    Known,
    /// It may be otherwise.
    Unknown,
    /// The same, and SceneMaster was asked with this number; before this time it is not asked again.
    Asked(u64, Time),
}

/// What was asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Seats {
    /// There was a lobby before this one.
    takes_over: bool,
    /// The number of the last question.
    number: u64,
    /// For whom SceneMaster is to be asked when it is up.
    unknown: BTreeSet<UserId>,
}

impl Lobby {
    /// One that takes over from one that has failed: its numbers begin after this one, so that no answer to the lobby
    /// before is taken for one to it, and it asks SceneMaster where each user who comes in has a seat.
    pub fn taking_over(mut self, last_number: u64) -> Self {
        (self.tickets, self.requests) = (last_number, last_number);
        self.scenes.number_after(last_number);
        self.seats = Seats { takes_over: true, number: last_number, unknown: BTreeSet::new() };
        self
    }

    fn master_is_down(&self) -> bool {
        self.services_down.contains(&ServiceName::SceneMaster)
    }

    /// What is known of the seat of a user who comes in, if SceneMaster has told nothing.
    pub(super) fn seat_of_newcomer(&self) -> Seat {
        if self.seats.takes_over { Seat::Unknown } else { Seat::Known }
    }

    /// Asks for the seat of a user who comes in and is not known here. Whether the connection has to wait for that.
    pub(super) fn ask_for_seat_of_newcomer(
        &mut self,
        connection: ConnectionId,
        entered: Option<&Entered>,
        cx: &mut Context<'_>,
    ) -> bool {
        if !self.seats.takes_over || self.master_is_down() {
            return false;
        }
        let Some(Connection::Entering { identity, seat: seat @ None, .. }) = self.connections.get_mut(&connection)
        else {
            return false;
        };
        let user = identity.user;
        if self.users.contains_key(&user) {
            return false;
        }
        self.seats.number += 1;
        let number = self.seats.number;
        *seat = Some((number, entered.cloned().map(Box::new)));
        self.deadlines.set(Due::Connection(connection), cx.now.plus_ms(ANSWER_MS_MAX));
        cx.send(scene_master::Event::ReqSeat { user, number });
        true
    }

    pub(super) fn res_seat(
        &mut self,
        id: UserId,
        number: u64,
        held: Result<Option<Held>, Refusal>,
        ended: Option<SceneEnded>,
        cx: &mut Context<'_>,
    ) {
        let asks =
            |state: &Connection| matches!(state, Connection::Entering { seat: Some((it, _)), .. } if *it == number);
        let of_user = self.entering.range((id, ConnectionId(0))..=(id, ConnectionId(u64::MAX)));
        let waiting = of_user.map(|(_, connection)| *connection).find(|it| self.connections.get(it).is_some_and(asks));
        let Some(connection) = waiting else { return self.seat_told(id, number, held, ended, cx) };
        if let Some(Connection::Entering { seat, .. }) = self.connections.get_mut(&connection) {
            let entered = seat.take().and_then(|(_, entered)| entered);
            self.entered(connection, entered, held.ok(), cx);
        }
        // It was over before the user came in here.
        ended.into_iter().for_each(|ended| self.tell(id, 0, Notice::SynSceneEnded(ended), cx));
    }

    /// The seat of a user who is here already.
    fn seat_told(
        &mut self,
        id: UserId,
        of_number: u64,
        held: Result<Option<Held>, Refusal>,
        ended: Option<SceneEnded>,
        cx: &mut Context<'_>,
    ) {
        let Some(user) = self.users.get_mut(&id) else { return };
        if !matches!(user.seat, Seat::Asked(number, _) if number == of_number) {
            return ended.into_iter().for_each(|ended| self.tell(id, 0, Notice::SynSceneEnded(ended), cx));
        }
        let Ok(held) = held else {
            user.seat = Seat::Asked(of_number, cx.now.plus_ms(ASK_AGAIN_MS));
            self.seats.unknown.insert(id);
            return;
        };
        user.seat = Seat::Known;
        match (&user.phase, held) {
            (Phase::InScene { scene, .. }, Some(held)) if *scene == held.scene => {}
            (Phase::Idle | Phase::InScene { .. }, Some(held)) => self.has_seat(id, held, cx),
            (Phase::InScene { scene, .. }, None) => {
                let scene = *scene;
                let lost = SceneEnded { scene, reason: EndReason::Crashed(LOST.to_owned()), results: Vec::new() };
                let ended = ended.filter(|ended| ended.scene == scene).unwrap_or(lost);
                self.syn_scene_ended(id, None, ended, cx);
            }
            (Phase::Idle | Phase::Searching { .. } | Phase::Joining { .. }, _) => {
                ended.into_iter().for_each(|ended| self.tell(id, 0, Notice::SynSceneEnded(ended), cx));
            }
        }
    }

    /// A user is in a scene of which the lobby did not know: the way in is told as soon as it is there.
    fn has_seat(&mut self, id: UserId, held: Held, cx: &mut Context<'_>) {
        let Some(user) = self.users.get(&id) else { return };
        let before = if let Phase::InScene { rejoin, .. } = user.phase { rejoin } else { None };
        let is_here = !matches!(user.line.state(), State::Closed(_));
        let rejoin = is_here.then_some(before.unwrap_or(0));
        self.set_phase(id, Phase::InScene { scene: held.scene, domain: held.domain, rejoin });
        if is_here {
            self.deadlines.set(Due::User(id), cx.now.plus_ms(ANSWER_MS_MAX));
            cx.send(scene_master::Event::ReqRejoin { user: id });
        }
    }

    /// With each sign of life of a user whose seat is not known SceneMaster is asked, unless it was not long ago.
    pub(super) fn look_for_seat(&mut self, id: UserId, cx: &mut Context<'_>) {
        let Some(user) = self.users.get_mut(&id) else { return };
        let is_due = match user.seat {
            Seat::Known => false,
            Seat::Unknown => true,
            Seat::Asked(_, until) => until <= cx.now,
        };
        if !is_due {
            return;
        }
        if self.services_down.contains(&ServiceName::SceneMaster) {
            self.seats.unknown.insert(id);
            return;
        }
        self.seats.number += 1;
        user.seat = Seat::Asked(self.seats.number, cx.now.plus_ms(ANSWER_MS_MAX));
        cx.send(scene_master::Event::ReqSeat { user: id, number: self.seats.number });
    }

    /// SceneMaster has failed: what it was about to say of the seats of users is lost, and so are the questions.
    pub(super) fn seats_unknown(&mut self) {
        let is_open = |user: &super::User| user.seat != Seat::Known || matches!(user.phase, Phase::InScene { .. });
        for id in self.users_where(is_open) {
            self.users.entry(id).and_modify(|user| user.seat = Seat::Unknown);
            self.seats.unknown.insert(id);
        }
    }

    /// SceneMaster is up: it is asked for those whose seats are not known, some at a time.
    pub(super) fn ask_for_seats(&mut self, cx: &mut Context<'_>) {
        if self.master_is_down() {
            return;
        }
        for _ in 0..SEATS_AT_ONCE {
            let Some(id) = self.seats.unknown.pop_first() else { return };
            // It is another SceneMaster than the one that could not tell.
            if let Some(user) = self.users.get_mut(&id).filter(|user| user.seat != Seat::Known) {
                user.seat = Seat::Unknown;
                self.look_for_seat(id, cx);
            }
        }
        self.deadlines.set(Due::Seats, cx.now.plus_ms(SEATS_MS));
    }

    /// Whether it is known of a user who does nothing that there is no seat.
    pub(super) fn has_no_seat(&self, id: UserId) -> Result<(), Refusal> {
        match self.users.get(&id).is_none_or(|user| user.seat == Seat::Known) {
            true => Ok(()),
            false => Err(Refusal::Busy("your last game is still being looked for: try again in a moment".into())),
        }
    }
}
