//! The lane of a scene thread: a thread of its own that makes the calls of slow scenes, one after the other, while the
//! scene thread goes on with the others.
//!
//! It has less of a claim to the processor than those who play and are not slow. At most one call of a scene is in it, and
//! at most [`CALLS_MAX`] altogether; where there is no room steps come later, and the scene thread makes other calls itself.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::nice;
use scenehost_engine::{Aside, NotTaken};

use super::{Order, Running, SceneThreads};
use crate::clock::{self, Clock};

/// How many calls may wait. Each may take as long as the limits of its fleet allow, and nobody is to be away for so long
/// that it is taken for hung.
const CALLS_MAX: usize = 64;
/// How much nicer it is than its scene thread, which so gets the processor first. Not so much that games that are slow for a
/// while would starve where the processor is short.
const NICER: i32 = 4;
/// How long it waits for room in the inbox of its scene thread, again and again.
const AGAIN: Duration = Duration::from_millis(1);

/// Where a scene thread puts calls. When it is dropped the call at hand is made to its end, and those that wait are not.
pub struct Lane {
    calls: Option<SyncSender<Box<Aside>>>,
    waiting: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Lane {
    /// The lane of the scene thread of this number, with a stack for guests.
    pub fn spawn(index: usize, stack_bytes: usize, threads: SceneThreads, clock: Clock) -> io::Result<Self> {
        let (calls, receiver) = sync_channel(CALLS_MAX);
        let (over, waiting) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let builder = std::thread::Builder::new().name(format!("slow-{index}")).stack_size(stack_bytes);
        let thread = builder.spawn({
            let (over, waiting) = (Arc::clone(&over), Arc::clone(&waiting));
            move || {
                let _running = Running { threads: threads.clone(), index };
                run(&receiver, &waiting, index, &threads, clock, &over);
            }
        })?;
        Ok(Self { calls: Some(calls), waiting, over, thread: Some(thread) })
    }

    /// Whether there is room for a call.
    pub fn has_room(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) < CALLS_MAX
    }

    /// Puts a call behind those that wait, if there is room.
    pub fn put(&self, call: Box<Aside>) -> Result<(), NotTaken> {
        let Some(calls) = &self.calls else { return Err(NotTaken::Nobody(call)) };
        // Counted before: the other side may be quicker.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let counted = || metrics::counter!("scenehost_slow_calls_total").increment(1);
        calls.try_send(call).map(|()| counted()).map_err(|error| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(call) => {
                    metrics::counter!("scenehost_slow_calls_put_off_total").increment(1);
                    NotTaken::Full(call)
                }
                TrySendError::Disconnected(call) => NotTaken::Nobody(call),
            }
        })
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        self.calls = None;
        if let Some(thread) = self.thread.take() {
            // If it has panicked, that was reported there.
            let _ = thread.join();
        }
    }
}

fn run(
    calls: &Receiver<Box<Aside>>,
    waiting: &AtomicUsize,
    index: usize,
    threads: &SceneThreads,
    clock: Clock,
    over: &AtomicBool,
) {
    if let Err(error) = nice(NICER) {
        tracing::warn!(%error, "calls of slow scenes have as much of a claim to the processor as others");
    }
    while let Ok(mut call) = calls.recv() {
        waiting.fetch_sub(1, Ordering::Relaxed);
        if over.load(Ordering::Acquire) {
            return;
        }
        call.run(|| clock.elapsed(), clock::worked);
        let mut order = Order::Back(call);
        while let Err(back) = threads.0[index].put(order) {
            if over.load(Ordering::Acquire) {
                return;
            }
            order = back;
            std::thread::sleep(AGAIN);
        }
    }
}
