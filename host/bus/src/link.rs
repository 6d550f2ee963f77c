//! A link: messages from one node's process to another's and back, reliable, in order, exactly once.
//!
//! Both ends number their links, each for itself and always upwards; a link is the pair of both
//! numbers, so a pair never comes back. An end is *opening* until it has received a packet that
//! names its own number; then it is *up*, and takes messages only from the very number of the peer
//! that it was up with first. An end that gives up begins a new link with a new number, whose
//! opening packets tell the peer that the old one is over.
//!
//! Invariant: what an end takes from one link is a prefix of what the other has put into it, in
//! order, each once. The time is an argument, in milliseconds of any clock that never goes back.

pub mod frame;
mod receiver;
mod sender;

use bytes::Bytes;

use crate::driver::PAYLOAD_BYTES_MAX;
use frame::{Body, Data, End, Packet};
use receiver::Receiver;
use sender::Sender;

/// How many bytes one message may have.
pub const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How many bytes of a message are in one frame; four such frames fit into one payload.
pub const FRAME_BYTES_MAX: usize = (PAYLOAD_BYTES_MAX - 1_024) / 4;
/// How many frames may wait to be acknowledged, those not sent yet among them.
pub const BUFFER_FRAMES_MAX: usize = 16_384;
/// How many bytes may wait to be acknowledged, those not sent yet among them.
pub const BUFFER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How many frames may be on their way.
pub const WINDOW_FRAMES_MAX: usize = 1_024;
/// How many bytes may be on their way.
pub const WINDOW_BYTES_MAX: usize = 4 * 1024 * 1024;
/// With so many whole messages waiting to be taken, an end accepts no more.
pub const READY_LEN_MAX: usize = 1_024;
/// With so many bytes of whole messages waiting to be taken, an end accepts no more.
pub const READY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long an acknowledgement waits for a message to go with.
pub const ACK_MS_MAX: u64 = 20;
/// After this long without an acknowledgement, frames are sent again; then after twice that, and so on.
pub const RESEND_MS_MIN: u64 = 100;
/// And at least as often as this.
pub const RESEND_MS_MAX: u64 = 1_000;
/// An end that has nothing to say says so this often.
pub const KEEPALIVE_MS: u64 = 500;
/// A link on which nothing was heard for so long is given up.
pub const SILENCE_MS_MAX: u64 = 2_500;
/// A link on which nothing was acknowledged for so long, though something waits, is given up.
pub const STALL_MS_MAX: u64 = 10_000;
/// How often an opening end knocks.
const KNOCK_MS: u64 = 200;
/// And never more often than this, however often it is asked to.
const KNOCK_MS_MIN: u64 = 20;
/// An opening end that hears nothing for so long gives up.
const OPENING_MS_MAX: u64 = 10_000;

/// What has happened so far. All but `unacked` only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages put into links.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Messages taken from links.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Frames sent again.
    pub retransmitted: u64,
    /// Frames that had come before.
    pub duplicates: u64,
    /// What was refused: payloads that cannot be read, are for another link or incarnation, or
    /// meet a full queue, and messages that met a full buffer.
    pub refused: u64,
    /// Frames that wait to be acknowledged now.
    pub unacked: u64,
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The buffer is full.
    #[error("too much waits to be acknowledged; try again when some of it has been")]
    Full,
    /// The message is beyond the limit.
    #[error("the message has {bytes} bytes; at most {max} are allowed")]
    TooLarge {
        /// How many it has.
        bytes: usize,
        /// How many it may have.
        max: usize,
    },
}

/// Why a link is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Nothing was heard for [`SILENCE_MS_MAX`].
    #[error("nothing was heard for {SILENCE_MS_MAX} ms")]
    Silent,
    /// Nothing was acknowledged for [`STALL_MS_MAX`].
    #[error("nothing was acknowledged for {STALL_MS_MAX} ms")]
    Stalled,
    /// The peer has given the link up and begun another.
    #[error("the peer has given up the link")]
    Reset,
    /// The peer's process has ended and another has its number.
    #[error("the peer has been started anew")]
    Restarted,
    /// The peer has said goodbye.
    #[error("the peer has said goodbye")]
    Goodbye,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// It was taken.
    Taken,
    /// It was taken, and the link is up from now on.
    Opened,
    /// It is not of this link.
    Refused,
    /// It shows that the peer has begun a new link, so this one is over. The packet should be given
    /// to the new one.
    Over(Why),
}

/// One end of a link.
#[derive(Debug)]
pub struct Link {
    me: End,
    /// Its link's number is 0 until it is known.
    peer: End,
    heard_ms: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Opening { knock_ms: u64, knocked_ms: Option<u64> },
    Up(Box<Up>),
}

#[derive(Debug)]
struct Up {
    sender: Sender,
    receiver: Receiver,
    said_ms: u64,
}

/// What a packet shows of its link.
enum Match {
    /// It belongs to it.
    Ours,
    /// The peer does not know our number yet.
    Unaware,
    /// It is of a link that is over.
    Stale,
    /// The peer has begun a new link.
    Newer,
}

impl Link {
    /// Opens a link from `me` to the process `incarnation` of `node`. The number of `me` must be
    /// higher than those of all links before.
    pub fn open(me: End, node: u16, incarnation: u64, now_ms: u64) -> Link {
        let peer = End { node, incarnation, link: 0 };
        Link { me, peer, heard_ms: now_ms, state: State::Opening { knock_ms: now_ms, knocked_ms: None } }
    }

    /// Our end.
    pub fn me(&self) -> End {
        self.me
    }

    /// The other end; its link's number is 0 until it is known.
    pub fn peer(&self) -> End {
        self.peer
    }

    /// Whether messages can be put in.
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    /// Frames that wait to be acknowledged.
    pub fn unacked(&self) -> usize {
        if let State::Up(up) = &self.state { up.sender.len() } else { 0 }
    }

    /// A sign of life that came on another way. It keeps an opening link, and only that: a link
    /// that is up lives by what comes over it, which shows that both directions work.
    pub fn heard(&mut self, now_ms: u64) {
        if !self.is_up() {
            self.heard_ms = now_ms;
        }
    }

    /// Puts a message in; it goes with the next [`Link::transmit`].
    ///
    /// # Errors
    /// [`PushError`]. Nothing of the message has been taken then. An opening link takes nothing.
    pub fn push(&mut self, bytes: &Bytes, now_ms: u64) -> Result<(), PushError> {
        match &mut self.state {
            State::Opening { .. } => Err(PushError::Full),
            State::Up(up) => up.sender.push(bytes, now_ms),
        }
    }

    /// Takes the next message that has come whole.
    pub fn pop(&mut self, now_ms: u64, counters: &mut Counters) -> Option<Bytes> {
        if let State::Up(up) = &mut self.state { up.receiver.pop(now_ms, counters) } else { None }
    }

    /// Whether there is something to take.
    pub fn is_ready(&self) -> bool {
        matches!(&self.state, State::Up(up) if up.receiver.is_ready())
    }

    /// Takes a packet that has come from the peer's process to ours.
    pub fn receive(&mut self, packet: Packet, now_ms: u64, counters: &mut Counters) -> Receipt {
        match self.compare(&packet) {
            Match::Newer if self.is_up() => return Receipt::Over(Why::Reset),
            // Nothing has been taken with the number known until now: it makes no difference.
            Match::Newer => self.peer.link = packet.from.link,
            Match::Stale => {
                counters.refused += 1;
                return Receipt::Refused;
            }
            Match::Ours | Match::Unaware => {}
        }
        if packet.to.link == self.me.link {
            return self.take(packet.body, now_ms, counters);
        }
        if let State::Up(up) = &mut self.state {
            // The peer knocks and has not heard yet that we have opened.
            up.receiver.ack_by(now_ms);
        } else {
            self.heard_ms = now_ms;
            self.knock_soon(now_ms);
        }
        Receipt::Refused
    }

    fn compare(&self, packet: &Packet) -> Match {
        let theirs = packet.from.link;
        if theirs == 0 || theirs < self.peer.link {
            Match::Stale
        } else if theirs > self.peer.link {
            Match::Newer
        } else if packet.to.link == self.me.link {
            Match::Ours
        } else {
            Match::Unaware
        }
    }

    /// Takes what is of this very pair of numbers.
    fn take(&mut self, body: Body, now_ms: u64, counters: &mut Counters) -> Receipt {
        self.heard_ms = now_ms;
        let was_up = self.is_up();
        if !was_up {
            let (sender, receiver) = (Sender::new(now_ms), Receiver::new(now_ms));
            self.state = State::Up(Box::new(Up { sender, receiver, said_ms: now_ms }));
        }
        let State::Up(up) = &mut self.state else { return Receipt::Refused };
        match body {
            Body::Open { .. } => up.receiver.ack_by(now_ms),
            Body::Data(Data { ack, room, first, frames }) => {
                up.sender.acknowledge(ack, room, now_ms);
                up.receiver.receive(first, frames, now_ms, counters);
            }
        }
        if was_up { Receipt::Taken } else { Receipt::Opened }
    }

    /// Has an opening end knock at once, if it has not just done so.
    pub fn knock_soon(&mut self, now_ms: u64) {
        if let State::Opening { knock_ms, knocked_ms } = &mut self.state {
            let soonest_ms = knocked_ms.map_or(now_ms, |knocked_ms| knocked_ms + KNOCK_MS_MIN);
            *knock_ms = (*knock_ms).min(soonest_ms.max(now_ms));
        }
    }

    /// The next packet to send now, if there is one; to be called until there is none.
    /// `hello` goes with each knock.
    pub fn transmit(&mut self, now_ms: u64, hello: (u64, &Bytes), counters: &mut Counters) -> Option<Packet> {
        let body = match &mut self.state {
            State::Opening { knock_ms, knocked_ms } => {
                if now_ms < *knock_ms {
                    return None;
                }
                (*knock_ms, *knocked_ms) = (now_ms + KNOCK_MS, Some(now_ms));
                Body::Open { revision: hello.0, hello: hello.1.clone() }
            }
            State::Up(up) => Body::Data(up.transmit(now_ms, counters)?),
        };
        Some(Packet { from: self.me, to: self.peer, body })
    }

    /// Why the link is to be given up now, if it is.
    pub fn over(&self, now_ms: u64) -> Option<Why> {
        let silence_ms_max = if self.is_up() { SILENCE_MS_MAX } else { OPENING_MS_MAX };
        if now_ms >= self.heard_ms + silence_ms_max {
            return Some(Why::Silent);
        }
        let State::Up(up) = &self.state else { return None };
        up.sender.stalls_ms().is_some_and(|stalls_ms| now_ms >= stalls_ms).then_some(Why::Stalled)
    }

    /// When the time alone has something to do here.
    pub fn wake_ms(&self) -> u64 {
        match &self.state {
            State::Opening { knock_ms, .. } => (*knock_ms).min(self.heard_ms + OPENING_MS_MAX),
            State::Up(up) => {
                let silent_ms = self.heard_ms + SILENCE_MS_MAX;
                let stalled_ms = up.sender.stalls_ms().unwrap_or(u64::MAX);
                up.wake_ms().min(silent_ms).min(stalled_ms)
            }
        }
    }
}

impl Up {
    fn transmit(&mut self, now_ms: u64, counters: &mut Counters) -> Option<Data> {
        let (first, frames) = self.sender.transmit(now_ms, counters);
        let is_due = now_ms >= self.receiver.ack_ms() || now_ms >= self.said_ms + KEEPALIVE_MS;
        if frames.is_empty() && !is_due {
            return None;
        }
        self.said_ms = now_ms;
        let (ack, room) = self.receiver.acknowledge();
        Some(Data { ack, room, first, frames })
    }

    fn wake_ms(&self) -> u64 {
        let keepalive_ms = self.said_ms + KEEPALIVE_MS;
        self.sender.wake_ms().min(self.receiver.ack_ms()).min(keepalive_ms)
    }
}
