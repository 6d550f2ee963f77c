//! A line: what is one connection to its user, though sockets come and go.
//!
//! Invariants: a line has at most one connection; a drop ends in exactly one of two ways, the return
//! within the grace period or the end of it, and whoever owns the line hears of that end once.
//! A client that comes back and says nothing does not win time: its next drop has the same end.
//!
//! Main type: [`Line`]. It holds no frames; [`crate::backlog`] does.

use crate::ids::{ConnectionId, Time};

/// The state of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There is a connection that has not said whose it is, and until when it may.
    Connecting {
        /// Which.
        connection: ConnectionId,
        /// The deadline.
        until: Time,
    },
    /// The user is there.
    Connected {
        /// On which connection.
        connection: ConnectionId,
    },
    /// The connection is lost, and until when the user may come back.
    Dropped {
        /// The deadline.
        until: Time,
    },
    /// The user is back, and has not said anything yet.
    Resumed {
        /// On which connection.
        connection: ConnectionId,
        /// When a drop before the first word ends.
        until: Time,
    },
    /// There will be no connection any more.
    Closed(Reason),
}

/// Why a line is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The connection has not said in time whose it is.
    Silent,
    /// The connection was lost before it had said whose it is.
    Gone,
    /// The user did not come back within the grace period.
    GraceOver,
    /// The user left.
    Left,
    /// Its owner ended it.
    Ended,
}

/// What can happen to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The connection has said whose it is, and that was right.
    Accepted,
    /// The user is here on another connection.
    Returned(ConnectionId),
    /// Something came over a connection.
    Heard(ConnectionId),
    /// A connection is lost.
    Lost(ConnectionId),
    /// The user leaves on this connection.
    Left(ConnectionId),
    /// The owner ends the line.
    End,
    /// Time has passed.
    Tick,
}

/// What follows for the line's owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing.
    Nothing,
    /// The user is away; the grace period runs.
    Away,
    /// The user is back; a connection that was still there is to be closed as taken over.
    Back {
        /// The older connection.
        taken_over: Option<ConnectionId>,
    },
    /// The line is closed; a connection that was still there is to be closed.
    Closed {
        /// Why.
        reason: Reason,
        /// The last connection.
        connection: Option<ConnectionId>,
    },
    /// The line is closed already: the connection has nothing to come back to.
    TooLate,
}

/// A user's line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    state: State,
    grace_ms: u64,
}

impl Line {
    /// A new connection that has until then to say whose it is.
    pub fn connecting(connection: ConnectionId, until: Time, grace_ms: u64) -> Self {
        Self { state: State::Connecting { connection, until }, grace_ms }
    }

    /// A user who is there.
    pub fn connected(connection: ConnectionId, grace_ms: u64) -> Self {
        Self { state: State::Connected { connection }, grace_ms }
    }

    /// A user who is away, and may come back until then.
    pub fn dropped(until: Time, grace_ms: u64) -> Self {
        Self { state: State::Dropped { until }, grace_ms }
    }

    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// The state's name, for tables and logs.
    pub fn name(&self) -> &'static str {
        match self.state {
            State::Connecting { .. } => "Connecting",
            State::Connected { .. } => "Connected",
            State::Dropped { .. } => "Dropped",
            State::Resumed { .. } => "Resumed",
            State::Closed(_) => "Closed",
        }
    }

    /// The connection over which the user can be told something.
    pub fn connection(&self) -> Option<ConnectionId> {
        match self.state {
            State::Connected { connection } | State::Resumed { connection, .. } => Some(connection),
            State::Connecting { .. } | State::Dropped { .. } | State::Closed(_) => None,
        }
    }

    /// When the line wants its next [`Event::Tick`].
    pub fn deadline(&self) -> Option<Time> {
        match self.state {
            State::Connecting { until, .. } | State::Dropped { until } => Some(until),
            State::Connected { .. } | State::Resumed { .. } | State::Closed(_) => None,
        }
    }

    /// Takes one event. Total: what does not belong to the state, or is about a connection that is not
    /// the line's any more, changes nothing.
    pub fn step(&mut self, now: Time, event: Event) -> Outcome {
        use State::{Closed, Connected, Connecting, Dropped, Resumed};
        let grace = now.plus_ms(self.grace_ms);
        match (self.state, event) {
            (Connecting { connection, .. }, Event::Accepted) => self.go(Connected { connection }, Outcome::Nothing),
            (Connecting { connection, until }, Event::Tick) if until <= now => {
                self.close(Reason::Silent, Some(connection))
            }
            (Connecting { connection, .. }, Event::Lost(lost) | Event::Left(lost)) if lost == connection => {
                self.close(Reason::Gone, None)
            }
            (Connecting { connection, .. }, Event::End) => self.close(Reason::Ended, Some(connection)),

            (Connected { connection: older }, Event::Returned(connection)) => {
                self.go(Resumed { connection, until: grace }, Outcome::Back { taken_over: Some(older) })
            }
            (Resumed { connection: older, until }, Event::Returned(connection)) => {
                self.go(Resumed { connection, until }, Outcome::Back { taken_over: Some(older) })
            }
            (Dropped { until }, Event::Returned(_)) if until <= now => self.close(Reason::GraceOver, None),
            (Dropped { until }, Event::Returned(connection)) => {
                self.go(Resumed { connection, until }, Outcome::Back { taken_over: None })
            }
            (Closed(_), Event::Returned(_)) => Outcome::TooLate,

            (Resumed { connection, .. }, Event::Heard(heard)) if heard == connection => {
                self.go(Connected { connection }, Outcome::Nothing)
            }
            (Connected { connection }, Event::Lost(lost)) if lost == connection => {
                self.go(Dropped { until: grace }, Outcome::Away)
            }
            (Resumed { connection, until }, Event::Lost(lost)) if lost == connection => {
                self.go(Dropped { until }, Outcome::Away)
            }
            (Connected { connection } | Resumed { connection, .. }, Event::Left(left)) if left == connection => {
                self.close(Reason::Left, None)
            }
            (Connected { connection } | Resumed { connection, .. }, Event::End) => {
                self.close(Reason::Ended, Some(connection))
            }
            (Dropped { until }, Event::Tick) if until <= now => self.close(Reason::GraceOver, None),
            (Dropped { .. }, Event::End) => self.close(Reason::Ended, None),

            (
                Connecting { .. },
                Event::Returned(_) | Event::Heard(_) | Event::Lost(_) | Event::Left(_) | Event::Tick,
            )
            | (
                Connected { .. } | Resumed { .. },
                Event::Accepted | Event::Heard(_) | Event::Lost(_) | Event::Left(_) | Event::Tick,
            )
            | (Dropped { .. }, Event::Accepted | Event::Heard(_) | Event::Lost(_) | Event::Left(_) | Event::Tick)
            | (
                Closed(_),
                Event::Accepted | Event::Heard(_) | Event::Lost(_) | Event::Left(_) | Event::End | Event::Tick,
            ) => Outcome::Nothing,
        }
    }

    fn go(&mut self, state: State, outcome: Outcome) -> Outcome {
        self.state = state;
        outcome
    }

    fn close(&mut self, reason: Reason, connection: Option<ConnectionId>) -> Outcome {
        self.state = State::Closed(reason);
        Outcome::Closed { reason, connection }
    }
}
