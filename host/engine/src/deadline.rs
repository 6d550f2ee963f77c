//! The deadline of one call into a component.
//!
//! A deadline is wall-clock time, but a thread that shares its core with others may not have had the processor for it,
//! and then an honest scene must not die. So the deadline is met in two halves: after the first the thread's processor
//! time is noted, after the second it is compared. A call that had less than half of its limit on the processor goes
//! on, `EXTENSIONS_MAX` times at most.

use std::{fs, time::Duration};

use crate::ticker::Ticker;

const EXTENSIONS_MAX: u32 = 16;

#[derive(Debug, Default)]
pub struct Deadline {
    limit_ms: u32,
    checks: u32,
    /// The thread's processor time at the first check.
    processor_time: Option<Duration>,
}

impl Deadline {
    /// For a call that begins now; and the epochs until its first check.
    pub fn begin(limit_ms: u32) -> (Deadline, u64) {
        let deadline = Deadline { limit_ms, checks: 0, processor_time: None };
        let epochs = Ticker::epochs(deadline.half_ms());
        (deadline, epochs)
    }

    pub fn limit_ms(&self) -> u32 {
        self.limit_ms
    }

    /// At a check: the epochs until the next one, or `None` when the call's time is over.
    pub fn check(&mut self) -> Option<u64> {
        self.checks += 1;
        let now = thread_processor_time();
        if self.checks == 1 {
            self.processor_time = now;
            return Some(Ticker::epochs(self.half_ms()));
        }
        let half = Duration::from_millis(u64::from(self.half_ms()));
        // Without the thread's own clock the wall clock has to do.
        let used = match (self.processor_time, now) {
            (Some(then), Some(now)) => now.saturating_sub(then),
            _ => half,
        };
        let missing_ms = half.saturating_sub(used).as_millis();
        if missing_ms == 0 || self.checks > EXTENSIONS_MAX {
            return None;
        }
        u32::try_from(missing_ms).ok().map(Ticker::epochs)
    }

    fn half_ms(&self) -> u32 {
        self.limit_ms.div_ceil(2)
    }
}

/// How long this thread has run on a processor, to a tick of the scheduler. Read only when a call is about to be ended.
fn thread_processor_time() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let ns = text.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(ns))
}
