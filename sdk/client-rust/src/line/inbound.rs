//! What comes over a line: the numbers of the frames, and how long nothing came.
//!
//! Invariant: frames are taken in order and without a gap, or not at all; so the number of the last one
//! says exactly what is missed during a drop.

use std::time::Duration;

use tokio::time::Instant;

/// After so many frames the server is told that they came, at the latest. It keeps a few times as many.
const UNSAID_MAX: u32 = 64;

/// The receiving end of a line.
#[derive(Clone, Debug)]
pub struct Inbound {
    last: u32,
    /// How many frames came since the server was told of the last one.
    unsaid: u32,
    heard: Instant,
    asked: Option<Instant>,
    ping_after: Duration,
    pong_timeout: Duration,
}

/// Frames are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The number that should have come.
    pub expected: u32,
    /// The one that came.
    pub got: u32,
}

/// What a line wants now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing before this moment.
    Nothing {
        /// When to look again.
        until: Instant,
    },
    /// A ping: to say what came, or to find out whether the server is there.
    Ping,
    /// The server does not answer: the connection is to be given up.
    GiveUp {
        /// How long nothing came.
        silent: Duration,
    },
}

impl Inbound {
    /// A line that begins. After `ping_after` without a frame the server is asked whether it is there, and has
    /// `pong_timeout` to answer.
    pub fn new(now: Instant, ping_after: Duration, pong_timeout: Duration) -> Self {
        Self { last: 0, unsaid: 0, heard: now, asked: None, ping_after, pong_timeout }
    }

    /// The number of the last frame that came; 0 if none did.
    pub fn seen(&self) -> u32 {
        self.last
    }

    /// A frame came. Number 0 is outside of the count.
    ///
    /// # Errors
    /// [`Lost`] if it is not the next one.
    pub fn came(&mut self, seq: u32, now: Instant) -> Result<(), Lost> {
        self.heard = now;
        self.asked = None;
        if seq == 0 {
            return Ok(());
        }
        // After the last number comes 1.
        let expected = self.last.checked_add(1).unwrap_or(1);
        if seq != expected {
            return Err(Lost { expected, got: seq });
        }
        self.last = seq;
        self.unsaid += 1;
        Ok(())
    }

    /// A frame left, and said what has come so far.
    pub fn said(&mut self) {
        self.unsaid = 0;
    }

    /// The line is up again on another connection, and the next frame has the number after this one.
    pub fn returned(&mut self, after_seq: u32, now: Instant) {
        self.last = after_seq;
        self.unsaid = 0;
        self.not_listening(now);
    }

    /// Nothing is read now, so that silence means nothing.
    pub fn not_listening(&mut self, now: Instant) {
        self.heard = now;
        self.asked = None;
    }

    /// What is due. Whoever gets [`Due::Ping`] sends one.
    pub fn due(&mut self, now: Instant) -> Due {
        if let Some(asked) = self.asked {
            let until = asked + self.pong_timeout;
            return match now < until {
                true => Due::Nothing { until },
                false => Due::GiveUp { silent: now - self.heard },
            };
        }
        let until = self.heard + self.ping_after;
        if now >= until {
            self.asked = Some(now);
            return Due::Ping;
        }
        match self.unsaid >= UNSAID_MAX {
            true => Due::Ping,
            false => Due::Nothing { until },
        }
    }
}
