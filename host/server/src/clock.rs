//! The one place that reads the time. Steady: it never goes back, whatever is done to the system's
//! clock; a moment is the system's time at start plus what has passed since.

#![expect(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use scenehost_core::Time;

/// How much the calling thread has worked, which is less than the time that has passed for it.
pub fn worked() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    start_ms: u64,
}

impl Clock {
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), start_ms: since_epoch.as_millis() as u64 }
    }

    /// Since the start of the host.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub fn now(&self) -> Time {
        self.at(self.elapsed())
    }

    /// The moment at which so much had passed since the start.
    pub fn at(&self, elapsed: Duration) -> Time {
        Time(self.start_ms + elapsed.as_millis() as u64)
    }

    /// How long it is until a moment; zero if it has come.
    pub fn until(&self, time: Time) -> Duration {
        (Duration::from_millis(time.0.saturating_sub(self.start_ms))).saturating_sub(self.elapsed())
    }
}
