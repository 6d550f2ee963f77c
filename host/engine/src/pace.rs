//! The time of one scene: which step comes when, and what the scene is told of it.
//!
//! A ticking scene has a grid of slots, slot k at `start + k / tick rate`, and runs at most one step in a slot. Ticks are
//! numbered without gaps, so slots pass unused in two cases, and only one of them is time to the scene's timers:
//! - overload: the slot went by before the step could run. Ticks slow down, timers with them.
//! - sleep: nobody was inside. Ticks stand still, timers run on.
//!
//! At tick rate 0 there is no grid: a step runs when something happened, and time is the caller's.

use crate::{bindings::Moment, journal::Kept, presence::Presence, timers::Timers};

const NS_PER_S: u64 = 1_000_000_000;
const NS_PER_MS: u64 = 1_000_000;
/// At tick rate 0, timers make no more than 120 steps a second, the highest tick rate.
const TIMER_STEP_DISTANCE_NS: u64 = NS_PER_S / 120;

#[derive(Debug)]
pub struct Pace {
    tick_rate_hz: u64,
    start_ns: u64,
    /// The number of the next step.
    tick: u64,
    /// The slot in which the next step runs, or would have run if the scene did not sleep.
    slot: u64,
    slept_slots: u64,
    asleep: bool,
    /// The last moment. At tick rate 0 the next may not precede it.
    elapsed_ms: u64,
    /// At tick rate 0: the time of the scene at its start here, if it goes on from before.
    before_ms: u64,
}

impl Pace {
    pub fn new(tick_rate_hz: u32, start_ns: u64) -> Pace {
        Pace {
            tick_rate_hz: u64::from(tick_rate_hz),
            start_ns,
            tick: 0,
            slot: 0,
            slept_slots: 0,
            asleep: true,
            elapsed_ms: 0,
            before_ms: 0,
        }
    }

    /// The time of a scene that goes on at `start_ns`. The time since its last step has not passed for it.
    pub fn going_on(tick_rate_hz: u32, start_ns: u64, kept: &Kept) -> Pace {
        let before_ms = if tick_rate_hz == 0 { kept.elapsed_ms } else { 0 };
        Pace {
            tick: kept.next_tick,
            slept_slots: kept.slept_slots,
            elapsed_ms: kept.elapsed_ms,
            before_ms,
            ..Pace::new(tick_rate_hz, start_ns)
        }
    }

    /// What it has come to, for a scene with these timers and players.
    pub fn keep(&self, timers: &Timers, seats: &[(u32, Presence)], finished: bool) -> Kept {
        Kept {
            next_tick: self.tick,
            elapsed_ms: self.elapsed_ms,
            slept_slots: self.slept_slots,
            timers: timers.alarms().to_vec(),
            seats: seats.to_vec(),
            finished,
        }
    }

    /// How many slots it has slept through.
    pub fn slept_slots(&self) -> u64 {
        self.slept_slots
    }

    fn is_ticking(&self) -> bool {
        self.tick_rate_hz > 0
    }

    /// When the next step runs if the scene is awake at `now_ns`.
    pub fn due_awake_ns(&self, now_ns: u64) -> u64 {
        if self.is_ticking() {
            let slot = self.slot_from(now_ns).max(self.slot);
            self.slot_ns(slot)
        } else {
            now_ns
        }
    }

    /// When a scene that has nothing else to wait for is stepped for a timer that is due at `timer_ms` of
    /// [`Pace::timer_now_ms`]; later than `horizon_ns`, up to which this run has come.
    pub fn due_timer_ns(&self, timer_ms: u64, horizon_ns: u64) -> u64 {
        if self.is_ticking() {
            let ticks = (timer_ms * self.tick_rate_hz).div_ceil(1_000);
            let slots = ticks.saturating_sub(self.tick + self.slept_slots);
            self.slot_ns((self.slot + slots).max(self.slot_from(horizon_ns + 1)))
        } else {
            let at_ns = |ms: u64| self.start_ns + ms.saturating_sub(self.before_ms) * NS_PER_MS;
            let earliest_ns = at_ns(self.elapsed_ms) + TIMER_STEP_DISTANCE_NS;
            let due_ns = at_ns(timer_ms);
            due_ns.max(earliest_ns).max(horizon_ns + 1)
        }
    }

    /// Begins the step that was due at `due_ns`.
    pub fn begin(&mut self, due_ns: u64, now_ns: u64) -> Moment {
        if self.is_ticking() {
            if self.asleep {
                let slot = self.slot_from(due_ns);
                self.slept_slots += slot.saturating_sub(self.slot);
                self.slot = slot;
                self.asleep = false;
            }
            self.elapsed_ms = self.tick * 1_000 / self.tick_rate_hz;
        } else {
            let since_ns = now_ns.max(due_ns).saturating_sub(self.start_ns);
            self.elapsed_ms = self.elapsed_ms.max(self.before_ms + since_ns / NS_PER_MS);
        }
        Moment { tick: self.tick, elapsed_ms: self.elapsed_ms }
    }

    /// The time by which timers are due, during a step.
    pub fn timer_now_ms(&self) -> u64 {
        if self.is_ticking() { (self.tick + self.slept_slots) * 1_000 / self.tick_rate_hz } else { self.elapsed_ms }
    }

    /// Ends a step of a scene that stays awake: the next is due in the next slot after `horizon_ns`, up to which this
    /// run has come. At tick rate 0 it is due when something happens.
    pub fn end_awake(&mut self, horizon_ns: u64) -> Option<u64> {
        self.tick += 1;
        if !self.is_ticking() {
            return None;
        }
        self.slot = (self.slot + 1).max(self.slot_from(horizon_ns + 1));
        Some(self.slot_ns(self.slot))
    }

    /// Ends a step of a scene that falls asleep.
    pub fn end_asleep(&mut self) {
        self.tick += 1;
        self.slot += 1;
        self.asleep = true;
    }

    fn slot_ns(&self, slot: u64) -> u64 {
        self.start_ns + slot * NS_PER_S / self.tick_rate_hz
    }

    /// The first slot at `ns` or later.
    fn slot_from(&self, ns: u64) -> u64 {
        (ns.saturating_sub(self.start_ns) * self.tick_rate_hz).div_ceil(NS_PER_S)
    }
}
