//! The receiving half of a link: puts frames into their order and messages together.
//!
//! Invariant: a frame is acknowledged only after all before it have been taken, and none is taken
//! twice. Who does not take messages stops the acknowledgements, and with them the sender.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};

use super::frame::Frame;
use super::{
    ACK_MS_MAX, Counters, MESSAGE_BYTES_MAX, READY_BYTES_MAX, READY_LEN_MAX, WINDOW_BYTES_MAX, WINDOW_FRAMES_MAX,
};

/// So many frames are acknowledged without a wait.
const ACK_FRAMES: usize = 64;
/// So many bytes are acknowledged without a wait.
const ACK_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Receiver {
    /// The number of the next frame in order.
    next: u64,
    /// Frames that came before others that are missing, or that met a full queue.
    early: BTreeMap<u64, Frame>,
    early_bytes: usize,
    /// The frames so far of the message that is being put together.
    parts: Option<Vec<Bytes>>,
    parts_bytes: usize,
    ready: VecDeque<Bytes>,
    ready_bytes: usize,
    /// When an acknowledgement is due, and what it would be of.
    ack_ms: u64,
    unacked: usize,
    unacked_bytes: usize,
    /// Whether so much is ready that nothing more is taken.
    is_full: bool,
}

impl Receiver {
    pub(super) fn new(now_ms: u64) -> Receiver {
        Receiver {
            next: 1,
            early: BTreeMap::new(),
            early_bytes: 0,
            parts: None,
            parts_bytes: 0,
            ready: VecDeque::new(),
            ready_bytes: 0,
            ack_ms: now_ms,
            unacked: 0,
            unacked_bytes: 0,
            is_full: false,
        }
    }

    /// Takes frames, the first of which has the number `first`.
    pub(super) fn receive(&mut self, first: u64, frames: Vec<Frame>, now_ms: u64, counters: &mut Counters) {
        for (number, frame) in (first..=u64::MAX).zip(frames) {
            let ack_ms = self.put(number, frame, now_ms, counters);
            self.ack_by(ack_ms);
        }
        self.advance(counters);
        if self.unacked >= ACK_FRAMES || self.unacked_bytes >= ACK_BYTES {
            self.ack_by(now_ms);
        }
    }

    /// Keeps a frame until its turn; by when the sender is to hear of it.
    fn put(&mut self, number: u64, frame: Frame, now_ms: u64, counters: &mut Counters) -> u64 {
        if number < self.next || self.early.contains_key(&number) {
            counters.duplicates += 1;
            return now_ms;
        }
        let is_in_order = number == self.next + self.early.len() as u64;
        let fits = number - self.next < WINDOW_FRAMES_MAX as u64
            && (self.early_bytes < WINDOW_BYTES_MAX || number == self.next);
        if !fits {
            counters.refused += 1;
            return now_ms;
        }
        self.early_bytes += frame.bytes.len();
        self.early.insert(number, frame);
        if is_in_order { now_ms + ACK_MS_MAX } else { now_ms }
    }

    /// Takes all frames whose turn it is, while there is room for what they complete.
    fn advance(&mut self, counters: &mut Counters) {
        while !self.is_full {
            let Some(frame) = self.early.remove(&self.next) else { break };
            self.next += 1;
            self.early_bytes -= frame.bytes.len();
            self.unacked += 1;
            self.unacked_bytes += frame.bytes.len();
            self.join(frame, counters);
        }
    }

    fn join(&mut self, frame: Frame, counters: &mut Counters) {
        if frame.is_first {
            self.parts = Some(Vec::new());
            self.parts_bytes = 0;
        }
        self.parts_bytes += frame.bytes.len();
        // Only a peer that breaks the rules sends more than a message may have, or the rest of none.
        if self.parts.is_none() || self.parts_bytes > MESSAGE_BYTES_MAX {
            self.parts = None;
            counters.refused += 1;
            return;
        }
        let parts = self.parts.get_or_insert_default();
        parts.push(frame.bytes);
        if frame.is_last {
            let message = joined(parts, self.parts_bytes);
            self.parts = None;
            self.ready_bytes += message.len();
            self.is_full |= self.ready.len() + 1 >= READY_LEN_MAX || self.ready_bytes >= READY_BYTES_MAX;
            self.ready.push_back(message);
        }
    }

    /// Takes the next whole message. With half of them taken there is room again.
    pub(super) fn pop(&mut self, now_ms: u64, counters: &mut Counters) -> Option<Bytes> {
        let message = self.ready.pop_front()?;
        self.ready_bytes -= message.len();
        counters.received += 1;
        counters.received_bytes += message.len() as u64;
        if self.is_full && self.ready.len() <= READY_LEN_MAX / 2 && self.ready_bytes <= READY_BYTES_MAX / 2 {
            self.is_full = false;
            self.advance(counters);
            self.ack_by(now_ms);
        }
        Some(message)
    }

    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Has an acknowledgement go by then at the latest.
    pub(super) fn ack_by(&mut self, ms: u64) {
        self.ack_ms = self.ack_ms.min(ms);
    }

    /// When an acknowledgement is due.
    pub(super) fn ack_ms(&self) -> u64 {
        self.ack_ms
    }

    /// The acknowledgement of now: the last frame taken, and room for how many more there is.
    pub(super) fn acknowledge(&mut self) -> (u64, u32) {
        self.ack_ms = u64::MAX;
        self.unacked = 0;
        self.unacked_bytes = 0;
        (self.next - 1, if self.is_full { 0 } else { WINDOW_FRAMES_MAX as u32 })
    }
}

fn joined(parts: &mut Vec<Bytes>, bytes: usize) -> Bytes {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    let mut message = BytesMut::with_capacity(bytes);
    for part in parts {
        message.extend_from_slice(part);
    }
    message.freeze()
}
