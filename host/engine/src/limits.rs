//! What one scene may use. Every limit ends the scene that passes it, with a [`crate::Failure`] that names the limit.

use serde::{Deserialize, Serialize};

/// No deadline is longer than this, whatever a [`Limits`] says. The epoch ticker relies on it to know when it may rest.
pub const DEADLINE_MS_MAX: u32 = 10_000;

/// The limits of one scene. `Default` suits most games.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Linear memory, in bytes. Never more than the engine's ceiling.
    pub memory_bytes_max: usize,
    /// Time of one `step` or `admit`, to about 10 ms; counts as 1 to [`DEADLINE_MS_MAX`]. It is wall-clock time,
    /// but a call is ended only after at least half of it on the processor, so that a busy machine ends no honest scene.
    pub step_ms_max: u32,
    /// The same for `start`, `load` and `save`.
    pub start_ms_max: u32,
    /// The body of one message to clients, in bytes.
    pub message_bytes_max: usize,
    /// Messages to clients in one step.
    pub messages_per_step_max: u32,
    /// All that one step returns, in bytes.
    pub output_bytes_per_step_max: usize,
    /// Commands of any kind in one step.
    pub commands_per_step_max: u32,
    /// Log text of one call, in bytes. Lines past it are counted and dropped; they do not end the scene.
    pub log_bytes_per_step_max: usize,
    /// What `save` returns, in bytes.
    pub snapshot_bytes_max: usize,
    /// Timers that are set at the same time.
    pub timers_max: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory_bytes_max: 16 << 20,
            step_ms_max: 50,
            start_ms_max: 1_000,
            message_bytes_max: 64 << 10,
            messages_per_step_max: 1_024,
            output_bytes_per_step_max: 1 << 20,
            commands_per_step_max: 2_048,
            log_bytes_per_step_max: 4 << 10,
            snapshot_bytes_max: 4 << 20,
            timers_max: 256,
        }
    }
}

impl Limits {
    pub(crate) fn step_deadline_ms(&self) -> u32 {
        self.step_ms_max.clamp(1, DEADLINE_MS_MAX)
    }

    pub(crate) fn start_deadline_ms(&self) -> u32 {
        self.start_ms_max.clamp(1, DEADLINE_MS_MAX)
    }
}
