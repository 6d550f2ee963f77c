//! How often something may be done by each of many: a token bucket a key.
//!
//! Invariants: a bucket holds at most its span's worth, a minute's if nothing else is said, and never gives more than that and what has
//! flown in since. The table of buckets is bounded: a full bucket is as good as none and is forgotten,
//! and where there is no place for one more, the one that is full again soonest is. So a table too
//! small forgives those who have done the least.

use crate::deadlines::Deadlines;
use crate::ids::Time;

const MINUTE_US: u64 = 60_000_000;
/// How many forgotten buckets each use takes out of the table, so that it shrinks faster than it grows.
const FORGOTTEN_PER_TAKE: usize = 2;

/// The most that can be allowed in a minute.
pub const PER_MINUTE_MAX: u32 = MINUTE_US as u32;

/// The buckets, by key.
#[derive(Debug, Clone)]
pub struct Buckets<K> {
    /// When each bucket is full again, in microseconds; this alone says how much is in it.
    full_at: Deadlines<K, u64>,
    /// How long it takes until one more may be taken.
    interval_us: u64,
    /// How long an empty bucket takes to be full.
    span_us: u64,
    keys_max: usize,
}

impl<K: Ord + Clone> Buckets<K> {
    /// Buckets of `per_minute`, from 1 to [`PER_MINUTE_MAX`]: so many at once, and so many in each
    /// minute; at most `keys_max` of them.
    pub fn new(per_minute: u32, keys_max: usize) -> Self {
        Self::over(per_minute.min(PER_MINUTE_MAX), MINUTE_US / 1_000, keys_max)
    }

    /// Buckets of `count`, at least 1: so many at once, and so many in each span of `span_ms`; at most `keys_max` of
    /// them.
    pub fn over(count: u32, span_ms: u64, keys_max: usize) -> Self {
        let span_us = span_ms.saturating_mul(1_000);
        let interval_us = (span_us / u64::from(count.max(1))).max(1);
        Self { full_at: Deadlines::default(), interval_us, span_us, keys_max }
    }

    /// Takes one out of a key's bucket.
    ///
    /// # Errors
    /// How many milliseconds it is until there is one, if the bucket is empty. Asking takes nothing.
    pub fn take(&mut self, key: K, now: Time) -> Result<(), u64> {
        let now_us = now.0.saturating_mul(1_000);
        for _ in 0..FORGOTTEN_PER_TAKE {
            self.full_at.pop_due(now_us);
        }
        let full_after = self.full_after(&key, now_us)?;
        if self.full_at.get(&key).is_none() && self.full_at.len() >= self.keys_max {
            self.full_at.pop_first();
        }
        self.full_at.set(key, full_after);
        Ok(())
    }

    /// Whether [`Self::take`] would give one.
    ///
    /// # Errors
    /// As there.
    pub fn look(&self, key: &K, now: Time) -> Result<(), u64> {
        self.full_after(key, now.0.saturating_mul(1_000)).map(|_| ())
    }

    /// When a bucket is full again if one is taken out of it now, in microseconds; or how many milliseconds it is
    /// until that can be.
    fn full_after(&self, key: &K, now_us: u64) -> Result<u64, u64> {
        let full_at = self.full_at.get(key).map_or(now_us, |full_at| full_at.max(now_us));
        let full_after = full_at.saturating_add(self.interval_us);
        match full_after.saturating_sub(now_us.saturating_add(self.span_us)) {
            0 => Ok(full_after),
            wait_us => Err(wait_us.div_ceil(1_000)),
        }
    }

    /// How many buckets are not full, or not forgotten yet.
    pub fn len(&self) -> usize {
        self.full_at.len()
    }

    /// Whether every bucket is full and forgotten.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
