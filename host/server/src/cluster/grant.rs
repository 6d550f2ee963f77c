//! Until when what runs on this node may be heard outside: its lease, by its own steady clock.
//!
//! Invariant: a process that was stopped in its tracks and goes on (SIGSTOP, a virtual machine that was moved) finds that its
//! lease is over before it says anything to the users of its games, whichever of its threads is the first to run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Clock;

/// How often it is looked at by who waits for it.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Grant(Arc<Parts>);

struct Parts {
    clock: Clock,
    until_ms: AtomicU64,
    is_over: AtomicBool,
}

impl Grant {
    /// One that lasts until then, by this clock.
    pub fn new(clock: Clock, until: Duration) -> Self {
        let until_ms = AtomicU64::new(until.as_millis() as u64);
        Self(Arc::new(Parts { clock, until_ms, is_over: AtomicBool::new(false) }))
    }

    /// It lasts at least until then.
    pub fn extend(&self, until: Duration) {
        self.0.until_ms.fetch_max(until.as_millis() as u64, Ordering::Relaxed);
    }

    /// It is not extended any more.
    pub fn end(&self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }

    pub fn lasts(&self) -> bool {
        (self.0.clock.elapsed().as_millis() as u64) < self.0.until_ms.load(Ordering::Relaxed)
    }

    /// Has the thread wait until it lasts; false: it does not, and never will.
    pub fn wait(&self) -> bool {
        while !self.lasts() {
            if self.0.is_over.load(Ordering::Relaxed) {
                return false;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_goes_on_when_it_is_extended_and_not_when_it_is_over() {
        let clock = Clock::start();
        let grant = Grant::new(clock, Duration::ZERO);
        assert!(!grant.lasts());
        let waits = |grant: &Grant| {
            let grant = grant.clone();
            std::thread::spawn(move || grant.wait())
        };
        let waiting = waits(&grant);
        grant.extend(clock.elapsed() + Duration::from_secs(60));
        grant.extend(Duration::ZERO);
        assert!(waiting.join().expect("it does not panic") && grant.lasts(), "what was granted is not taken back");
        grant.end();
        assert!(grant.wait(), "it lasts as long as it was granted");
        let over = Grant::new(clock, Duration::ZERO);
        let waiting = waits(&over);
        over.end();
        assert!(!waiting.join().expect("it does not panic"));
    }
}
