//! Seats of users of which the lobby does not know: one that takes over knows of none, and what a SceneMaster that has
//! failed was about to say is lost. The SceneMasters are asked then.
//!
//! Invariants: of a user whose seat is not known nothing is begun that nobody with a seat may begin. It is known when one
//! of them has it, or all have said that they have none; one that is down says so when it is up again. An answer counts
//! only for the question that was asked last, and for none once the user's phase is another: what is known by then is
//! newer. At most [`SEATS_AT_ONCE`] are asked for at once; the others follow after a moment.

use std::collections::BTreeSet;

use super::{ANSWER_MS_MAX, Connection, Due, Lobby, Phase};
use crate::Context;
use crate::db::Entered;
use crate::ids::{ConnectionId, Time, UserId};
use crate::line::State;
use crate::message::{EndReason, Notice, SceneEnded};
use crate::partition::{Partition, Shard};
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seat {
    /// Those that have not said yet whether they have one; none: it is as the phase says.
    open: BTreeSet<Partition>,
    /// They were asked with this number, and are not asked again before this time.
    asked: Option<(u64, Time)>,
}

impl Seat {
    fn is_known(&self) -> bool {
        self.open.is_empty()
    }
}

/// What is asked for a user who comes in, and what was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sought {
    number: u64,
    /// Those that are still to answer, and those that may have the seat.
    awaited: BTreeSet<Partition>,
    open: BTreeSet<Partition>,
    /// What Db has told before.
    entered: Option<Box<Entered>>,
    ended: Vec<SceneEnded>,
}

/// What was asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Seats {
    /// There was a lobby before this one.
    takes_over: bool,
    /// The number of the last question.
    number: u64,
    /// Who is to be asked, when it is up, and for whom.
    unknown: BTreeSet<(Partition, UserId)>,
}

impl Lobby {
    /// One that takes over from one that has failed: its numbers begin after this one, so that no answer to the lobby
    /// before is taken for one to it, and it asks the SceneMasters where each user who comes in has a seat.
    pub fn taking_over(mut self, last_number: u64) -> Self {
        (self.tickets, self.requests) = (last_number, last_number);
        self.scenes.number_after(last_number);
        self.seats = Seats { takes_over: true, number: last_number, unknown: BTreeSet::new() };
        self
    }

    /// What is known of the seat of a user who comes in, if no SceneMaster has told anything.
    pub(super) fn seat_of_newcomer(&self, connection: ConnectionId) -> Seat {
        let may_have = self.seats.takes_over && !self.is_new(connection);
        let open = if may_have { self.masters.all() } else { BTreeSet::new() };
        Seat { open, asked: None }
    }

    /// Whether it is of a user whose account was made with this sign-in, who has a seat nowhere.
    fn is_new(&self, connection: ConnectionId) -> bool {
        let connection = self.connections.get(&connection);
        matches!(connection, Some(Connection::Entering { identity, .. }) if identity.created)
    }

    /// Asks for the seat of a user who comes in and is not known here. Whether the connection has to wait for that.
    pub(super) fn ask_for_seat_of_newcomer(
        &mut self,
        connection: ConnectionId,
        entered: Option<&Entered>,
        cx: &mut Context<'_>,
    ) -> bool {
        let awaited = self.masters.up_of(Partition::WHOLE);
        if !self.seats.takes_over || awaited.is_empty() || self.is_new(connection) {
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
        let (number, open) = (self.seats.number, self.masters.all());
        let entered = entered.cloned().map(Box::new);
        *seat = Some(Box::new(Sought { number, awaited, open, entered, ended: Vec::new() }));
        self.deadlines.set(Due::Connection(connection), cx.now.plus_ms(ANSWER_MS_MAX));
        cx.send(scene_master::Event::ReqSeat { user, number });
        true
    }

    pub(super) fn res_seat(
        &mut self,
        id: UserId,
        of: (u64, Partition),
        held: Result<Option<Held>, Refusal>,
        ended: Option<SceneEnded>,
        cx: &mut Context<'_>,
    ) {
        let (number, partition) = of;
        let of_user = self.entering.range((id, ConnectionId(0))..=(id, ConnectionId(u64::MAX)));
        let of_user: Vec<ConnectionId> = of_user.map(|(_, connection)| *connection).collect();
        for connection in of_user {
            let Some(Connection::Entering { seat: Some(sought), .. }) = self.connections.get_mut(&connection) else {
                continue;
            };
            if sought.number != number {
                continue;
            }
            sought.ended.extend(ended);
            sought.awaited.remove(&partition);
            match held {
                Ok(Some(held)) => {
                    sought.open.clear();
                    self.enters(connection, Some(held), cx);
                }
                Ok(None) => {
                    sought.open.remove(&partition);
                    self.enters_if_known(connection, cx);
                }
                Err(_) => self.enters_if_known(connection, cx),
            }
            return;
        }
        self.seat_told(id, of, held, ended, cx);
    }

    fn enters_if_known(&mut self, connection: ConnectionId, cx: &mut Context<'_>) {
        if let Some(Connection::Entering { seat: Some(sought), .. }) = self.connections.get(&connection)
            && sought.awaited.is_empty()
        {
            self.enters(connection, None, cx);
        }
    }

    /// A user comes in for whom SceneMasters were asked, with what they have told.
    pub(super) fn enters(&mut self, connection: ConnectionId, held: Option<Held>, cx: &mut Context<'_>) {
        let Some(Connection::Entering { seat, identity, .. }) = self.connections.get_mut(&connection) else { return };
        let (Some(sought), id) = (seat.take(), identity.user) else { return };
        let Sought { open, entered, ended, .. } = *sought;
        self.entered(connection, entered, (held, Seat { open, asked: None }), cx);
        // It was over before the user came in here.
        ended.into_iter().for_each(|ended| self.tell(id, 0, Notice::SynSceneEnded(ended), cx));
    }

    /// The seat of a user who is here already.
    fn seat_told(
        &mut self,
        id: UserId,
        (of_number, partition): (u64, Partition),
        held: Result<Option<Held>, Refusal>,
        ended: Option<SceneEnded>,
        cx: &mut Context<'_>,
    ) {
        let Some(user) = self.users.get_mut(&id) else { return };
        let is_asked = user.seat.asked.is_some_and(|(number, _)| number == of_number);
        if !is_asked || !user.seat.open.contains(&partition) {
            return ended.into_iter().for_each(|ended| self.tell(id, 0, Notice::SynSceneEnded(ended), cx));
        }
        let Ok(held) = held else {
            user.seat.asked = Some((of_number, cx.now.plus_ms(ASK_AGAIN_MS)));
            self.seats.unknown.insert((partition, id));
            return;
        };
        user.seat.open.remove(&partition);
        match (&user.phase, held) {
            (Phase::InScene { scene, .. }, Some(held)) if *scene == held.scene => user.seat = Seat::default(),
            (Phase::InScene { scene, .. }, Some(held)) if !partition.has(Shard::of_id(scene.0)) => {
                // Where the user plays is known, and newer.
                cx.send(scene_master::Event::ReqGiveUpSeat { user: id, scene: held.scene });
            }
            (Phase::Idle | Phase::InScene { .. }, Some(held)) => self.has_seat(id, held, cx),
            (Phase::InScene { scene, .. }, None) if partition.has(Shard::of_id(scene.0)) => {
                let scene = *scene;
                let lost = SceneEnded { scene, reason: EndReason::Crashed(LOST.to_owned()), results: Vec::new() };
                let ended = ended.filter(|ended| ended.scene == scene).unwrap_or(lost);
                self.syn_scene_ended(id, None, ended, cx);
            }
            (Phase::Idle | Phase::Searching { .. } | Phase::Joining { .. } | Phase::InScene { .. }, _) => {
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
            cx.send(scene_master::Event::ReqRejoin { user: id, scene: held.scene });
        }
    }

    /// With each sign of life of a user whose seat is not known those are asked that may have it, unless it was not long
    /// ago.
    pub(super) fn look_for_seat(&mut self, id: UserId, cx: &mut Context<'_>) {
        let Some(user) = self.users.get_mut(&id) else { return };
        let is_due = user.seat.asked.is_none_or(|(_, until)| until <= cx.now);
        if user.seat.is_known() || !is_due {
            return;
        }
        let down = user.seat.open.iter().filter(|partition| self.masters.is_down(**partition));
        let down: Vec<Partition> = down.copied().collect();
        self.seats.unknown.extend(down.iter().map(|partition| (*partition, id)));
        if down.len() == user.seat.open.len() {
            return;
        }
        self.seats.number += 1;
        user.seat.asked = Some((self.seats.number, cx.now.plus_ms(ANSWER_MS_MAX)));
        cx.send(scene_master::Event::ReqSeat { user: id, number: self.seats.number });
    }

    /// A SceneMaster has failed: what it was about to say of the seats of users is lost, and so are the questions.
    pub(super) fn seats_unknown(&mut self, partition: Partition, cx: &mut Context<'_>) {
        let has_seat = |user: &super::User| matches!(&user.phase, Phase::InScene { scene, .. } if partition.has(Shard::of_id(scene.0)));
        for id in self.users_where(|user| user.seat.open.contains(&partition) || has_seat(user)) {
            let Some(user) = self.users.get_mut(&id) else { continue };
            user.seat.open.insert(partition);
            user.seat.asked = None;
            self.seats.unknown.insert((partition, id));
        }
        let waiting: Vec<ConnectionId> = self.entering.iter().map(|(_, connection)| *connection).collect();
        for connection in waiting {
            if let Some(Connection::Entering { seat: Some(sought), .. }) = self.connections.get_mut(&connection)
                && sought.awaited.remove(&partition)
            {
                self.enters_if_known(connection, cx);
            }
        }
    }

    /// A SceneMaster is up: those that are up are asked for users whose seats are not known, some at a time.
    pub(super) fn ask_for_seats(&mut self, cx: &mut Context<'_>) {
        let up = self.masters.up_of(Partition::WHOLE);
        for _ in 0..SEATS_AT_ONCE {
            let first = |partition: &Partition| {
                let of_partition = (*partition, UserId(0))..=(*partition, UserId(u64::MAX));
                self.seats.unknown.range(of_partition).next().copied()
            };
            let Some((partition, id)) = up.iter().find_map(first) else { return };
            self.seats.unknown.remove(&(partition, id));
            // It is another SceneMaster than the one that could not tell.
            if let Some(user) = self.users.get_mut(&id).filter(|user| user.seat.open.contains(&partition)) {
                user.seat.asked = None;
                self.look_for_seat(id, cx);
            }
        }
        self.deadlines.set(Due::Seats, cx.now.plus_ms(SEATS_MS));
    }

    /// Whether it is known of a user who does nothing that there is no seat.
    pub(super) fn has_no_seat(&self, id: UserId) -> Result<(), Refusal> {
        match self.users.get(&id).is_none_or(|user| user.seat.is_known()) {
            true => Ok(()),
            false => Err(Refusal::Busy("your last game is still being looked for: try again in a moment".into())),
        }
    }
}
