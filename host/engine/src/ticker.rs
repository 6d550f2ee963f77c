//! The epoch ticker: the one thread that measures time, so that a call into a component can be ended at its deadline.
//!
//! It advances the engine's epoch every few milliseconds while calls are being made, and rests when there was none for longer
//! than any deadline. Invariant: while a call runs, the ticker ticks. A call either finds it `RESTING` and wakes it, or
//! finds it ticking, and then it goes on for at least `QUIET_TICKS_MAX`, within which the call has ended.
//!
//! Epochs count wake-ups of this thread, not the clock: when the whole machine stalls, a scene loses one epoch and not
//! its life.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::limits::DEADLINE_MS_MAX;

/// The distance of two epochs, at least. A wake-up costs 10 to 20 us, so that one a millisecond would take 1 to 2 % of a
/// core for a precision that deadlines do not need.
const TICK_MS: u32 = 5;
const QUIET_TICKS_MAX: u32 = DEADLINE_MS_MAX / TICK_MS + 200;

/// A call was made since the last tick.
const ACTIVE: u8 = 0;
/// None was; still ticking.
const QUIET: u8 = 1;
/// Not ticking until the next call.
const RESTING: u8 = 2;
const STOPPED: u8 = 3;

/// Owns the thread, which ends when this is dropped.
pub struct Ticker {
    state: Arc<AtomicU8>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub fn spawn(wasm: wasmtime::Engine) -> io::Result<Ticker> {
        Ticker::spawn_resting_after(QUIET_TICKS_MAX, wasm)
    }

    fn spawn_resting_after(quiet_ticks_max: u32, wasm: wasmtime::Engine) -> io::Result<Ticker> {
        let state = Arc::new(AtomicU8::new(RESTING));
        let thread = thread::Builder::new().name("scene-epochs".to_owned()).stack_size(64 << 10).spawn({
            let state = Arc::clone(&state);
            move || run(&state, quiet_ticks_max, &wasm)
        })?;
        Ok(Ticker { state, thread: Some(thread) })
    }

    /// The number of epochs to set as a deadline, so that a call has at least `limit_ms`.
    pub fn epochs(limit_ms: u32) -> u64 {
        // The first tick may come right after the call begins.
        u64::from(limit_ms.div_ceil(TICK_MS)) + 1
    }

    /// To be called before each call into a component. A plain load when calls are frequent.
    #[inline]
    pub fn touch(&self) {
        if self.state.load(Ordering::Relaxed) != ACTIVE
            && self.state.swap(ACTIVE, Ordering::AcqRel) == RESTING
            && let Some(thread) = &self.thread
        {
            thread.thread().unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.state.store(STOPPED, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The thread only counts; it cannot have panicked.
            let _ = thread.join();
        }
    }
}

const TICK: Duration = Duration::from_millis(TICK_MS as u64);

fn run(state: &AtomicU8, quiet_ticks_max: u32, wasm: &wasmtime::Engine) {
    let mut quiet_ticks: u32 = 0;
    loop {
        match state.load(Ordering::Acquire) {
            STOPPED => return,
            RESTING => {
                thread::park();
                continue;
            }
            _ => {}
        }
        thread::sleep(TICK);
        wasm.increment_epoch();
        let quiet = state.compare_exchange(ACTIVE, QUIET, Ordering::AcqRel, Ordering::Acquire) != Ok(ACTIVE);
        quiet_ticks = if quiet { quiet_ticks + 1 } else { 0 };
        if quiet_ticks > quiet_ticks_max {
            quiet_ticks = 0;
            // A call that comes in between makes this fail, and the ticking goes on.
            let _ = state.compare_exchange(QUIET, RESTING, Ordering::AcqRel, Ordering::Acquire);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_for(ticker: &Ticker, state: u8) {
        for _ in 0..10_000 {
            if ticker.state.load(Ordering::Acquire) == state {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
        panic!("the ticker did not come to state {state}");
    }

    #[test]
    fn it_rests_after_quiet_ticks_and_is_woken_by_a_call() {
        let ticker = Ticker::spawn_resting_after(5, wasmtime::Engine::default()).unwrap();
        for _ in 0..3 {
            // After a call it ticks again, and so it comes to rest again.
            wait_for(&ticker, RESTING);
            ticker.touch();
            assert_ne!(ticker.state.load(Ordering::Acquire), RESTING);
        }
    }
}
