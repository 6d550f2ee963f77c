//! A seat: who it belongs to, the way in, and the line of the user who is in it.
//!
//! Invariants: at most one token opens a seat, and none opens it twice; the token that was used last is the
//! only one that goes on with its line.

use super::HeldLine;
use crate::backlog::Backlog;
use crate::ids::{ConnectionId, Time};
use crate::line::{self, Line, Outcome, State};
use crate::message::{EndReason, Player};
use crate::refusal::Refusal;
use crate::scene_service::{SeatGrant, SeatNow};
use crate::token::SecretHash;

/// How much is kept for a user who may have missed it; for more, the game tells its state anew. At 20
/// messages a second this is about 13 s.
const BACKLOG_FRAMES_MAX: usize = 256;
const BACKLOG_BYTES_MAX: usize = 64 * 1_024;
/// How many used tokens of a seat are remembered, so that an order that comes again does not make one good again.
const USED_MAX: usize = 4;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeatRow<F> {
    pub player: Player,
    pub state: SeatState<F>,
    /// The way in that is open, and until when.
    open: Option<(SecretHash, Time)>,
    /// The tokens that were used; the newest is the last.
    used: Vec<SecretHash>,
    /// The game knows of it: from the beginning, or since its user came in.
    pub is_known: bool,
    /// Why it was given up, once it was.
    left: Option<EndReason>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SeatState<F> {
    /// Reserved for a user who has not been inside.
    Expected,
    /// The user has been inside, and is or may come back.
    Present(Box<Present<F>>),
    Gone,
}

/// What is between a seat and its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Present<F> {
    pub line: Line,
    backlog: Backlog<F>,
    /// How many messages of the user came over the line.
    pub arrived: u32,
    /// How many of them the user may be told of: where there is a journal, those that are in it.
    pub received: u32,
    /// How many messages of the user, on this line or one before, wait for the game; only where there is a journal.
    waiting: u32,
}

impl<F: Clone> SeatRow<F> {
    pub fn expected(grant: SeatGrant) -> Self {
        let open = Some((grant.token, grant.until));
        Self { player: grant.player, state: SeatState::Expected, open, used: Vec::new(), is_known: true, left: None }
    }

    /// A seat that a running game gets. It hears of it when its user comes in. One that was given up before the scene
    /// has heard of it only keeps its number.
    pub fn added(grant: SeatGrant, now: Time) -> Self {
        let is_over = grant.until <= now;
        let mut row = Self { is_known: false, ..Self::expected(grant) };
        if is_over {
            row.leave(&EndReason::NeverJoined);
        }
        row
    }

    /// The seat's state in a word.
    pub fn name(&self) -> &'static str {
        match &self.state {
            SeatState::Expected => "Expected",
            SeatState::Present(present) => match present.line.state() {
                State::Connecting { .. } | State::Connected { .. } => "Inside",
                State::Resumed { .. } => "Resumed",
                State::Dropped { .. } | State::Closed(_) => "Dropped",
            },
            SeatState::Gone => "Gone",
        }
    }

    pub fn present(&mut self) -> Option<&mut Present<F>> {
        match &mut self.state {
            SeatState::Present(present) => Some(present),
            SeatState::Expected | SeatState::Gone => None,
        }
    }

    pub fn connection(&self) -> Option<ConnectionId> {
        match &self.state {
            SeatState::Present(present) => present.line.connection(),
            SeatState::Expected | SeatState::Gone => None,
        }
    }

    /// When the seat's state ends by itself.
    pub fn deadline(&self) -> Option<Time> {
        match &self.state {
            SeatState::Expected => self.open.map(|(_, until)| until),
            SeatState::Present(present) => present.line.deadline(),
            SeatState::Gone => None,
        }
    }

    /// Another way in; one that was not used is void. One that was used stays so.
    pub fn grant(&mut self, token: SecretHash, until: Time) {
        if self.used.contains(&token) {
            return;
        }
        self.open = Some((token, until));
    }

    pub fn is_opened_by(&self, token: SecretHash) -> bool {
        self.open.is_some_and(|(it, _)| it == token)
    }

    pub fn is_gone_on_with_by(&self, token: SecretHash) -> bool {
        self.used.last() == Some(&token) && matches!(self.state, SeatState::Present(_))
    }

    /// Uses the way in, before the game is asked: a token opens a seat once.
    pub fn open(&mut self, now: Time) -> Result<(), Refusal> {
        match self.open {
            Some((_, until)) if until <= now => Err(Refusal::TokenExpired),
            Some((token, _)) => {
                self.open = None;
                if self.used.len() == USED_MAX {
                    self.used.remove(0);
                }
                self.used.push(token);
                Ok(())
            }
            None => Err(Refusal::NoSeat),
        }
    }

    /// The user is inside for the first time.
    pub fn enter(&mut self, connection: ConnectionId, grace_ms: u64) {
        self.state = SeatState::Present(Box::new(Present::new(Line::connected(connection, grace_ms))));
        self.is_known = true;
    }

    /// A seat as it was when its host died, whose user was inside and may come back until then. A way in that SceneMaster
    /// has opened meanwhile is open, too.
    pub fn held(grant: SeatGrant, line: Option<&HeldLine>, until: Time, grace_ms: u64) -> Self {
        let mut present = Present::new(Line::dropped(until, grace_ms));
        let received = line.map_or(0, |line| line.received);
        (present.arrived, present.received) = (received, received);
        present.waiting = line.map_or(0, |line| line.waiting);
        let used = line.map(|line| line.token).into_iter().collect();
        Self { state: SeatState::Present(Box::new(present)), used, ..Self::expected(grant) }
    }

    /// A seat that was given up before its host died.
    pub fn gone(grant: SeatGrant) -> Self {
        let mut row = Self::expected(grant);
        row.leave(&EndReason::Left);
        row
    }

    /// What has to be known of it to go on when its host has died.
    pub fn to_hold(&self) -> Option<HeldLine> {
        let SeatState::Present(present) = &self.state else { return None };
        let token = *self.used.last()?;
        Some(HeldLine { seat: self.player.seat, token, received: present.arrived, waiting: present.waiting })
    }

    /// Numbers and keeps a frame; over which connection it goes now, if the user is there.
    pub fn tell(&mut self, frame: &F, bytes: usize) -> Option<(ConnectionId, u32)> {
        let present = self.present()?;
        let seq = present.backlog.push(frame.clone(), bytes);
        Some((present.line.connection()?, seq))
    }

    /// Why the seat is to be given up now, if its time has passed.
    pub fn expire(&mut self, now: Time) -> Option<EndReason> {
        match &mut self.state {
            SeatState::Expected if self.open.is_none_or(|(_, until)| until <= now) => Some(EndReason::NeverJoined),
            SeatState::Present(present) => match present.line.step(now, line::Event::Tick) {
                Outcome::Closed { .. } => Some(EndReason::Expired),
                _ => None,
            },
            SeatState::Expected | SeatState::Gone => None,
        }
    }

    /// As SceneMaster has to know it.
    pub fn now(&self) -> SeatNow {
        match &self.state {
            SeatState::Expected => SeatNow::Expected,
            SeatState::Present(_) => SeatNow::Held,
            SeatState::Gone => SeatNow::Gone(self.left.clone().unwrap_or(EndReason::Left)),
        }
    }

    /// Gives the seat up; false if it was already.
    pub fn leave(&mut self, reason: &EndReason) -> bool {
        if matches!(self.state, SeatState::Gone) {
            return false;
        }
        self.state = SeatState::Gone;
        self.left = Some(reason.clone());
        self.open = None;
        true
    }
}

impl<F> Present<F> {
    fn new(line: Line) -> Self {
        Self { line, backlog: new_backlog(), arrived: 0, received: 0, waiting: 0 }
    }
}

impl<F: Clone> Present<F> {
    /// A message of the user has come.
    pub fn count_message(&mut self, has_journal: bool) {
        self.arrived = self.arrived.wrapping_add(1);
        if !has_journal {
            self.received = self.arrived;
        }
    }

    /// It waits for the game.
    pub fn count_waiting(&mut self) {
        self.waiting = self.waiting.saturating_add(1);
    }

    /// The game has got all that came, and that is in its journal.
    pub fn settle(&mut self) {
        (self.received, self.waiting) = (self.arrived, 0);
    }

    /// What waits for the game is in its journal, too.
    pub fn noted(&mut self) {
        self.received = self.arrived;
    }

    /// Something came, from a user who has seen the frames up to this number.
    pub fn heard(&mut self, now: Time, seen: u32) {
        if let Some(connection) = self.line.connection() {
            self.line.step(now, line::Event::Heard(connection));
        }
        self.backlog.acknowledge(seen);
    }

    /// The frames after this number, if all of them are still here.
    pub fn since(&self, seen: u32) -> Option<Vec<(u32, F)>> {
        Some(self.backlog.since(seen)?.map(|(seq, frame)| (seq, frame.clone())).collect())
    }

    /// The user is back and has seen too little to go on from there: what is held is let go of. The user's
    /// messages are still counted. Tells after which number frames go on.
    pub fn begin_after(&mut self, seen: u32) -> u32 {
        self.backlog.begin_after(seen)
    }

    /// Another client: it has seen and sent nothing.
    pub fn begin_anew(&mut self) {
        self.backlog = new_backlog();
        (self.arrived, self.received) = (0, 0);
    }
}

fn new_backlog<F>() -> Backlog<F> {
    Backlog::new(BACKLOG_FRAMES_MAX, BACKLOG_BYTES_MAX)
}
