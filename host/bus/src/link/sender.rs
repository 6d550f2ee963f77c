//! The sending half of a link: what waits to be sent, and what waits to be acknowledged.
//!
//! Invariant: a frame stays here until it is acknowledged, and the number of each never changes.

use std::collections::VecDeque;

use bytes::Bytes;

use super::frame::{DATA_OVERHEAD, FRAME_OVERHEAD, Frame};
use super::{
    BUFFER_BYTES_MAX, BUFFER_FRAMES_MAX, Counters, FRAME_BYTES_MAX, MESSAGE_BYTES_MAX, PushError, RESEND_MS_MAX,
    RESEND_MS_MIN, STALL_MS_MAX, WINDOW_BYTES_MAX, WINDOW_FRAMES_MAX,
};
use crate::driver::PAYLOAD_BYTES_MAX;

#[derive(Debug)]
pub(super) struct Sender {
    /// All frames that are not acknowledged.
    frames: VecDeque<Frame>,
    bytes: usize,
    /// How many of the first of them have been sent, and their bytes.
    sent: usize,
    sent_bytes: usize,
    /// The number of the first of them.
    first: u64,
    /// How many frames the receiver takes beyond those it has acknowledged.
    room: u32,
    /// When the last thing was acknowledged, or the first came to wait.
    progress_ms: u64,
    /// When frames are sent again, and how long after that once more.
    resend_ms: u64,
    backoff_ms: u64,
    /// After a loss, frames before this number are sent again as soon as those before them are
    /// acknowledged, without another wait.
    recover: u64,
}

impl Sender {
    pub(super) fn new(now_ms: u64) -> Sender {
        Sender {
            frames: VecDeque::new(),
            bytes: 0,
            sent: 0,
            sent_bytes: 0,
            first: 1,
            room: WINDOW_FRAMES_MAX as u32,
            progress_ms: now_ms,
            resend_ms: u64::MAX,
            backoff_ms: RESEND_MS_MIN,
            recover: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(super) fn push(&mut self, message: &Bytes, now_ms: u64) -> Result<(), PushError> {
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(PushError::TooLarge { bytes: message.len(), max: MESSAGE_BYTES_MAX });
        }
        let frames = message.len().div_ceil(FRAME_BYTES_MAX).max(1);
        if self.frames.len() + frames > BUFFER_FRAMES_MAX || self.bytes + message.len() > BUFFER_BYTES_MAX {
            return Err(PushError::Full);
        }
        if self.frames.is_empty() {
            self.progress_ms = now_ms;
        }
        for index in 0..frames {
            let from = index * FRAME_BYTES_MAX;
            let to = message.len().min(from + FRAME_BYTES_MAX);
            let (is_first, is_last) = (index == 0, index + 1 == frames);
            self.frames.push_back(Frame { is_first, is_last, bytes: message.slice(from..to) });
        }
        self.bytes += message.len();
        Ok(())
    }

    /// The receiver has all frames up to the number `ack`, and room for so many more.
    pub(super) fn acknowledge(&mut self, ack: u64, room: u32, now_ms: u64) {
        let sent_up_to = self.first + self.sent as u64 - 1;
        if ack < self.first - 1 || ack > sent_up_to {
            return;
        }
        self.room = room;
        if ack < self.first {
            return;
        }
        while self.first <= ack {
            let Some(frame) = self.frames.pop_front() else { break };
            self.bytes -= frame.bytes.len();
            self.sent -= 1;
            self.sent_bytes -= frame.bytes.len();
            self.first += 1;
        }
        self.progress_ms = now_ms;
        self.backoff_ms = RESEND_MS_MIN;
        self.resend_ms = match self.sent {
            0 => u64::MAX,
            _ if self.first < self.recover => now_ms,
            _ => now_ms + RESEND_MS_MIN,
        };
    }

    /// What to put into the next packet: the number of its first frame, and its frames.
    pub(super) fn transmit(&mut self, now_ms: u64, counters: &mut Counters) -> (u64, Vec<Frame>) {
        if self.sent > 0 && self.room > 0 && now_ms >= self.resend_ms {
            return self.resend(now_ms, counters);
        }
        let mut batch = Batch::default();
        let first = self.first + self.sent as u64;
        let window = WINDOW_FRAMES_MAX.min(self.room as usize);
        while self.sent < window && self.sent_bytes < WINDOW_BYTES_MAX {
            let Some(frame) = self.frames.get(self.sent) else { break };
            if !batch.add(frame) {
                break;
            }
            self.sent += 1;
            self.sent_bytes += frame.bytes.len();
        }
        if !batch.frames.is_empty() && self.resend_ms == u64::MAX {
            self.resend_ms = now_ms + self.backoff_ms;
        }
        (first, batch.frames)
    }

    fn resend(&mut self, now_ms: u64, counters: &mut Counters) -> (u64, Vec<Frame>) {
        let mut batch = Batch::default();
        for frame in self.frames.iter().take(self.sent) {
            if !batch.add(frame) {
                break;
            }
        }
        counters.retransmitted += batch.frames.len() as u64;
        if self.first >= self.recover {
            self.recover = self.first + self.sent as u64;
        }
        self.resend_ms = now_ms + self.backoff_ms;
        self.backoff_ms = (2 * self.backoff_ms).min(RESEND_MS_MAX);
        (self.first, batch.frames)
    }

    /// When the link is to be given up for want of an acknowledgement.
    pub(super) fn stalls_ms(&self) -> Option<u64> {
        (!self.frames.is_empty()).then_some(self.progress_ms + STALL_MS_MAX)
    }

    /// When [`Sender::transmit`] has something.
    pub(super) fn wake_ms(&self) -> u64 {
        let window = WINDOW_FRAMES_MAX.min(self.room as usize);
        let may_send = self.sent < self.frames.len() && self.sent < window && self.sent_bytes < WINDOW_BYTES_MAX;
        match (may_send, self.room) {
            (true, _) => 0,
            (false, 0) => u64::MAX,
            (false, _) => self.resend_ms,
        }
    }
}

/// Frames of one packet.
#[derive(Default)]
struct Batch {
    frames: Vec<Frame>,
    bytes: usize,
}

impl Batch {
    fn add(&mut self, frame: &Frame) -> bool {
        let bytes = self.bytes + FRAME_OVERHEAD + frame.bytes.len();
        if DATA_OVERHEAD + bytes > PAYLOAD_BYTES_MAX {
            return false;
        }
        self.bytes = bytes;
        self.frames.push(frame.clone());
        true
    }
}
