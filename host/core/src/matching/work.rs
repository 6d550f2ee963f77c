//! How much is done in one step, counted, so that no step takes long however many wait: what is left is for the next
//! one, which comes at once.
//!
//! Invariant: counts are of work and not of time, so the same events give the same steps.

/// What is done in a step at most; about 2 ms of a million who wait, whose tickets are in no cache.
const WORK_MAX: u64 = 40_000;

/// What is left to be done in a step, in about as many candidates as could be looked at instead.
#[derive(Debug)]
pub(super) struct Work {
    left: u64,
}

impl Default for Work {
    fn default() -> Self {
        Self { left: WORK_MAX }
    }
}

impl Work {
    /// Of putting a ticket in its order of age, or an alarm among those that are due.
    pub const SORT: u64 = 5;
    /// Of taking a part of a pool apart, beside the tickets and the bins in it.
    pub const DISSOLVE: u64 = 500;
    /// Of giving the memory of a bin back.
    pub const BIN: u64 = 30;
    /// Of ending a ticket.
    pub const END: u64 = 40;
    /// Of putting a ticket into another pool, beside the candidates that are looked at for it.
    pub const REFILE: u64 = 80;
    /// Of letting a ticket look again, beside those.
    pub const WAKE: u64 = 30;
    /// Of a group whose deadline has come.
    pub const GROUP: u64 = 100;

    /// Notes what was done.
    pub fn done(&mut self, count: u64) {
        self.left = self.left.saturating_sub(count);
    }

    /// Whether more may be done in this step.
    pub fn goes_on(&self) -> bool {
        self.left > 0
    }

    /// Does something with one half of what is left, and keeps what that leaves of it.
    pub fn half(&mut self, with: impl FnOnce(&mut Self)) {
        let mut half = Self { left: self.left / 2 };
        self.left -= half.left;
        with(&mut half);
        self.left += half.left;
    }
}
