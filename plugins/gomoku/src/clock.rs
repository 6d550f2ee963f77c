//! The two clocks. At most one runs; what it has used since it was started is taken off when it
//! stops, so that no step is needed while a player thinks.

use serde::{Deserialize, Serialize};

/// Milliseconds left to each seat.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Clock {
    left_ms: [u64; 2],
    /// Whose clock runs, and since when.
    running: Option<(usize, u64)>,
}

impl Clock {
    /// Both clocks full and stopped.
    pub fn full(main_ms: u64) -> Clock {
        Clock { left_ms: [main_ms; 2], running: None }
    }

    /// Starts a seat's clock; the other must have been stopped.
    pub fn start(&mut self, seat: usize, now_ms: u64) {
        self.running = Some((seat, now_ms));
    }

    /// Stops the clock that runs.
    pub fn stop(&mut self, now_ms: u64) {
        self.left_ms = self.at(now_ms);
        self.running = None;
    }

    /// Gives a seat more time.
    pub fn add(&mut self, seat: usize, ms: u64) {
        self.left_ms[seat] = self.left_ms[seat].saturating_add(ms);
    }

    /// What is left to each seat at a moment.
    pub fn at(&self, now_ms: u64) -> [u64; 2] {
        let mut left_ms = self.left_ms;
        if let Some((seat, since_ms)) = self.running {
            let used_ms = now_ms.saturating_sub(since_ms);
            left_ms[seat] = left_ms[seat].saturating_sub(used_ms);
        }
        left_ms
    }
}
