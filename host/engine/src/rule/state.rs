//! The host's side of one call of a rule: its log and its account of memory.

use wasmtime::{ResourceLimiter, StoreContextMut};

use crate::{bindings::Level, log::Logbook};

use super::Limits;

/// What a line costs in fuel, beside one for each byte, so that writing lines without end ends as anything else does.
const LINE_FUEL: u64 = 500;

pub struct State {
    pub log: Logbook,
    memory_bytes_max: usize,
    memory_refused: bool,
}

impl State {
    pub fn new(limits: &Limits) -> State {
        State {
            log: Logbook::new(limits.log_bytes_max),
            memory_bytes_max: limits.memory_bytes_max,
            memory_refused: false,
        }
    }

    pub fn memory_refused(&self) -> bool {
        self.memory_refused
    }
}

/// The function `log` of `diagnostics`.
pub fn log(mut store: StoreContextMut<'_, State>, (level, text): (Level, String)) -> wasmtime::Result<()> {
    let left = store.get_fuel()?;
    store.set_fuel(left.saturating_sub(LINE_FUEL + text.len() as u64))?;
    store.data_mut().log.write(level, text);
    Ok(())
}

impl ResourceLimiter for State {
    fn memory_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let granted = desired <= self.memory_bytes_max && maximum.is_none_or(|max| desired <= max);
        self.memory_refused |= !granted;
        Ok(granted)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        // The pool bounds tables.
        Ok(maximum.is_none_or(|max| desired <= max))
    }
}
