//! The last frames of a line, by their numbers, so that a user who comes back gets exactly what was
//! missed.
//!
//! Invariants: frames are numbered from 1, without gaps but where it begins anew; what is held is always the newest, within the
//! limits. Who has missed more than that cannot be served from here and is told so.

use std::collections::VecDeque;

/// The newest frames of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog<T> {
    frames: VecDeque<(T, usize)>,
    bytes: usize,
    /// The number of the newest frame; 0: there was none.
    last: u32,
    frames_max: usize,
    bytes_max: usize,
}

impl<T> Backlog<T> {
    /// An empty backlog that holds at most so much.
    pub fn new(frames_max: usize, bytes_max: usize) -> Self {
        Self { frames: VecDeque::new(), bytes: 0, last: 0, frames_max, bytes_max }
    }

    /// Adds a frame of this size, lets go of the oldest that no longer fit, and tells the frame's
    /// number. After the last number there is comes 1, with nothing before it.
    pub fn push(&mut self, frame: T, bytes: usize) -> u32 {
        if self.last == u32::MAX {
            self.clear();
            self.last = 0;
        }
        self.last += 1;
        self.frames.push_back((frame, bytes));
        self.bytes += bytes;
        while self.frames.len() > self.frames_max || self.bytes > self.bytes_max {
            self.let_go();
        }
        self.last
    }

    /// The number of the newest frame; 0 if there was none.
    pub fn last(&self) -> u32 {
        self.last
    }

    /// The frames after number `seen`, with their numbers, if all of them are still held. `None` also
    /// for a number that was never given.
    pub fn since(&self, seen: u32) -> Option<impl Iterator<Item = (u32, &T)>> {
        let missed = self.last.checked_sub(seen)? as usize;
        let held = self.frames.len();
        let skipped = held.checked_sub(missed)?;
        // The numbers end with the frames, so none passes the last number there is.
        let numbers = (0..missed as u32).map(move |after| seen + 1 + after);
        Some(numbers.zip(self.frames.iter().skip(skipped).map(|(frame, _)| frame)))
    }

    /// Lets go of the frames up to number `seen`, which have arrived.
    pub fn acknowledge(&mut self, seen: u32) {
        let Some(missed) = self.last.checked_sub(seen) else { return };
        while self.frames.len() > missed as usize {
            self.let_go();
        }
    }

    /// Begins anew for a client that has seen the frames up to number `seen`, and not all that followed:
    /// lets go of everything, and leaves a number out, so that nobody can go on from before it. Tells the
    /// number after which it goes on.
    pub fn begin_after(&mut self, seen: u32) -> u32 {
        self.clear();
        self.last = self.last.max(seen).checked_add(1).unwrap_or(0);
        self.last
    }

    /// Lets go of everything; the numbers go on.
    pub fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
    }

    fn let_go(&mut self) {
        if let Some((_, bytes)) = self.frames.pop_front() {
            self.bytes -= bytes;
        }
    }
}
