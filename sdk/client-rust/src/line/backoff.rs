//! When to try again: at once, then after random times of which the longest possible one doubles.
//!
//! Invariant: many clients that lose their connections together do not come back in step ("full jitter").

use std::time::Duration;

/// The time between attempts to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    attempts: u32,
}

impl Backoff {
    /// The second attempt comes after at most `first`; this doubles with each further one, up to `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, attempts: 0 }
    }

    /// How long to wait before the next attempt: a part of what is possible, which `random` (from 0 to 1) chooses,
    /// after the time for which the server has asked.
    pub fn next(&mut self, random: f64, retry_after: Duration) -> Duration {
        let most = match self.attempts.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => {
                self.first.saturating_mul(2_u32.saturating_pow(doublings)).min(self.longest.max(self.first))
            }
        };
        self.attempts = self.attempts.saturating_add(1);
        retry_after.saturating_add(most.mul_f64(random.clamp(0.0, 1.0)))
    }

    /// A connection has stood: the next attempt is a first one.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}
