//! What the host keeps of a scene besides its instance, and has to have again when it goes on.

use serde::{Deserialize, Serialize};

use super::Step;
use crate::{
    bindings::{Command, Event},
    presence::Presence,
    timers::Timers,
};

/// The host's side of a scene between two steps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The number of the next step.
    pub next_tick: u64,
    /// The time of the last one.
    pub elapsed_ms: u64,
    pub slept_slots: u64,
    /// Timers that are set: when each is due, and its id.
    pub timers: Vec<(u64, u64)>,
    /// Where players are, by seat, as far as the game was told.
    pub seats: Vec<(u32, Presence)>,
    pub finished: bool,
}

impl Kept {
    /// A step was made: who is inside, which timers were due, and which are set now.
    pub(super) fn stepped(&mut self, step: &Step<'_>, tick_rate_hz: u32, commands: &[Command]) {
        self.next_tick = step.tick.saturating_add(1);
        self.elapsed_ms = step.elapsed_ms;
        self.slept_slots = step.slept_slots;
        let mut timers = Timers::restored(std::mem::take(&mut self.timers), u32::MAX);
        for event in step.events.iter() {
            Presence::note(&mut self.seats, event);
            if let Event::Timer(id) = event {
                timers.cancel(*id);
            }
        }
        let now_ms = timer_now_ms(step, tick_rate_hz);
        for command in commands {
            match command {
                Command::Timer(alarm) => {
                    timers.set(alarm.id, now_ms.saturating_add(u64::from(alarm.after_ms)));
                }
                Command::CancelTimer(id) => timers.cancel(*id),
                Command::Finish(_) => {
                    self.finished = true;
                    break;
                }
                _ => {}
            }
        }
        self.timers = timers.into_alarms();
    }
}

/// The time by which timers are due; as [`crate::pace::Pace::timer_now_ms`].
fn timer_now_ms(step: &Step<'_>, tick_rate_hz: u32) -> u64 {
    match u64::from(tick_rate_hz) {
        0 => step.elapsed_ms,
        rate => step.tick.saturating_add(step.slept_slots).saturating_mul(1_000) / rate,
    }
}
