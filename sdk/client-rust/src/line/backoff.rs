//! When to try again: at once, then after random times of which the longest possible one doubles.
//!
//! Invariant: many clients that lose their connections together do not come back in step ("full jitter"), and those
//! that were told the same time to wait do not either.

use std::time::Duration;

/// Clients that were told the same time to wait spread over at least this much.
const TOLD_SPREAD_MIN: Duration = Duration::from_millis(100);

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
    /// after the time for which the server has asked. If it has asked for one (not zero), what is possible is never
    /// nothing, also for a first attempt: at least a quarter of that time, up to `longest`, and 100 ms.
    pub fn next(&mut self, random: f64, retry_after: Duration) -> Duration {
        let most = self.slot().max(self.told_spread(retry_after));
        self.attempts = self.attempts.saturating_add(1);
        retry_after.saturating_add(most.mul_f64(random.clamp(0.0, 1.0)))
    }

    /// The longest time before this attempt, if the server has said nothing.
    fn slot(&self) -> Duration {
        match self.attempts.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => {
                self.first.saturating_mul(2_u32.saturating_pow(doublings)).min(self.longest.max(self.first))
            }
        }
    }

    fn told_spread(&self, retry_after: Duration) -> Duration {
        match retry_after.is_zero() {
            true => Duration::ZERO,
            false => (retry_after / 4).min(self.longest).max(TOLD_SPREAD_MIN),
        }
    }

    /// A connection has stood: the next attempt is a first one.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}
