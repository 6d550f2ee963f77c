//! A scene's messages on their way to the game: kept until the server has said that they came.
//!
//! Invariants: messages leave in the order in which they were put in; each is counted once by the server,
//! however many connections it takes; what is kept has a limit.

use std::collections::VecDeque;
use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

/// Messages that the server is not known to have.
#[derive(Clone, Debug)]
pub struct Outbox<T> {
    kept: VecDeque<(T, usize)>,
    bytes: usize,
    /// How many of the kept ones have left over the connection that stands.
    sent: usize,
    /// How many messages the server is known to have; it counts with 32 bits.
    received: u32,
    /// The server was asked what it has, and has not answered.
    asked: bool,
    /// Messages kept during a drop leave one by one; when the next one may.
    catching_up: Option<Instant>,
    limits: OutboxLimits,
}

/// How much an [`Outbox`] keeps, and how fast it is emptied after a drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxLimits {
    pub messages_max: usize,
    /// A single message may have more.
    pub bytes_max: usize,
    /// The time between messages that were kept during a drop, so that the server does not refuse them
    /// as too many at once.
    pub pace: Duration,
}

/// Nothing more can be kept.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the outbox is full")]
pub struct Overflow;

/// The server says that it has a number of messages that cannot be.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the server has counted messages that were not sent")]
pub struct WrongCount;

/// What is to be sent next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<T> {
    /// This message, which counts as sent now.
    Message(T),
    /// Something, but not before this moment.
    At(Instant),
    Nothing,
}

impl<T: Clone> Outbox<T> {
    pub fn new(limits: OutboxLimits) -> Self {
        Self { kept: VecDeque::new(), bytes: 0, sent: 0, received: 0, asked: false, catching_up: None, limits }
    }

    /// Whether a message of this size can be kept.
    pub fn has_room(&self, bytes: usize) -> bool {
        let fits = self.kept.len() < self.limits.messages_max && self.bytes + bytes <= self.limits.bytes_max;
        fits || self.kept.is_empty()
    }

    /// Puts a message in.
    ///
    /// # Errors
    /// [`Overflow`] at the limits.
    pub fn push(&mut self, message: T, bytes: usize) -> Result<(), Overflow> {
        if !self.has_room(bytes) {
            return Err(Overflow);
        }
        self.kept.push_back((message, bytes));
        self.bytes += bytes;
        Ok(())
    }

    /// What leaves next over the connection that stands.
    pub fn next(&mut self, now: Instant) -> Next<T> {
        let Some((message, _)) = self.kept.get(self.sent) else {
            self.catching_up = None;
            return Next::Nothing;
        };
        match &mut self.catching_up {
            Some(at) if now < *at => return Next::At(*at),
            Some(at) => *at = now + self.limits.pace,
            None => {}
        }
        self.sent += 1;
        Next::Message(message.clone())
    }

    /// Whether everything has left over the connection that stands.
    pub fn all_sent(&self) -> bool {
        self.sent == self.kept.len()
    }

    /// Whether to ask the server now what it has: half of the limit is used. Says so once for each answer.
    pub fn ask(&mut self) -> bool {
        let many = 2 * self.sent >= self.limits.messages_max || 2 * self.bytes >= self.limits.bytes_max;
        let ask = many && self.sent > 0 && !self.asked;
        self.asked |= ask;
        ask
    }

    /// The server has so many messages of this line; they are not kept any longer.
    ///
    /// # Errors
    /// [`WrongCount`] if so many were not sent, or if there were more before.
    pub fn acknowledge(&mut self, received: u32) -> Result<(), WrongCount> {
        let new = received.wrapping_sub(self.received) as usize;
        if new > self.sent {
            return Err(WrongCount);
        }
        for (_, bytes) in self.kept.drain(..new) {
            self.bytes -= bytes;
        }
        self.sent -= new;
        self.received = received;
        self.asked = false;
        Ok(())
    }

    /// The line is up again on another connection, and the server has so many messages: those after them leave again,
    /// at the pace.
    ///
    /// # Errors
    /// As [`Self::acknowledge`].
    pub fn returned(&mut self, received: u32, now: Instant) -> Result<(), WrongCount> {
        self.acknowledge(received)?;
        self.sent = 0;
        self.catching_up = (!self.kept.is_empty()).then_some(now);
        Ok(())
    }
}
