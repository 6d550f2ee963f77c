//! What is on the wire: heartbeats and the packets of links.
//!
//! A payload is a version, a kind, the length of a header, the header, and a body:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version: [`VERSION`] |
//! | 1 | kind: 1 heartbeat, 2 open, 3 data |
//! | 2 | length of the header |
//! | … | header: the kind's fields in their order, and what later binaries add behind them |
//! | … | body |
//!
//! Numbers are big-endian. A reader skips what a header has beyond the fields it knows, and drops
//! payloads of kinds it does not know; the version rises only when that is not enough.
//!
//! Invariant: any bytes give a value or a [`FrameError`].

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// The version this binary writes, and the only one it reads.
pub const VERSION: u8 = 1;

const HEARTBEAT: u8 = 1;
const OPEN: u8 = 2;
const DATA: u8 = 3;

const PREFIX_LEN: usize = 4;
const ENDS_LEN: usize = 2 * (2 + 8 + 8);
const DATA_HEADER_LEN: usize = ENDS_LEN + 8 + 4 + 8;

/// How many bytes a data packet has beside its frames.
pub(super) const DATA_OVERHEAD: usize = PREFIX_LEN + DATA_HEADER_LEN;
/// How many bytes a frame has beside its message's.
pub(super) const FRAME_OVERHEAD: usize = 1 + 4;

const FIRST: u8 = 1;
const LAST: u8 = 2;
const GOODBYE: u8 = 1;

/// Why bytes cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It ends too early.
    #[error("a payload ends in the middle of a field")]
    Short,
    /// Its version is another.
    #[error("a payload has version {0}; this binary reads version {VERSION}")]
    Version(u8),
    /// Its kind is not known.
    #[error("a payload has the unknown kind {0}")]
    Kind(u8),
}

/// One payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// A node tells all others that it is there.
    Heartbeat(Heartbeat),
    /// One end of a link tells the other something.
    Packet(Packet),
}

/// A node tells all others that it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The node's number.
    pub node: u16,
    /// Its incarnation.
    pub incarnation: u64,
    /// A number that tells processes apart that claim the same incarnation.
    pub process: u64,
    /// Whether it is going.
    pub is_goodbye: bool,
    /// How often it has changed what it says of itself.
    pub revision: u64,
    /// What it says of itself.
    pub hello: Bytes,
}

/// One end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The node's number.
    pub node: u16,
    /// Its incarnation.
    pub incarnation: u64,
    /// The number of the link, by this end's count; 0 is none.
    pub link: u64,
}

/// One end of a link tells the other something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The sender's end.
    pub from: End,
    /// The receiver's, as far as the sender knows it.
    pub to: End,
    /// What it says.
    pub body: Body,
}

/// What a packet says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The sender wants a link.
    Open {
        /// How often it has changed what it says of itself.
        revision: u64,
        /// What it says of itself.
        hello: Bytes,
    },
    /// The link is up.
    Data(Data),
}

/// What goes over a link that is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// All frames up to this number have come.
    pub ack: u64,
    /// So many frames beyond that have room.
    pub room: u32,
    /// The number of the first frame here; those of a link begin with 1.
    pub first: u64,
    /// The frames, which follow each other.
    pub frames: Vec<Frame>,
}

/// A message or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Whether a message begins here.
    pub is_first: bool,
    /// Whether it ends here.
    pub is_last: bool,
    /// Its bytes.
    pub bytes: Bytes,
}

impl Payload {
    /// Writes it.
    pub fn encode(&self) -> Bytes {
        match self {
            Payload::Heartbeat(heartbeat) => heartbeat.encode(),
            Payload::Packet(packet) => packet.encode(),
        }
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`FrameError`]. A caller drops the payload and counts it.
    pub fn decode(mut bytes: Bytes) -> Result<Payload, FrameError> {
        let bytes = &mut bytes;
        let version = bytes.try_get_u8().map_err(|_| FrameError::Short)?;
        if version != VERSION {
            return Err(FrameError::Version(version));
        }
        let kind = bytes.try_get_u8().map_err(|_| FrameError::Short)?;
        let header_len = usize::from(bytes.try_get_u16().map_err(|_| FrameError::Short)?);
        let header = &mut take(bytes, header_len)?;
        match kind {
            HEARTBEAT => Ok(Payload::Heartbeat(Heartbeat::decode(header, bytes)?)),
            OPEN => {
                let (from, to) = (end(header)?, end(header)?);
                let body = Body::Open { revision: number(header)?, hello: bytes.clone() };
                Ok(Payload::Packet(Packet { from, to, body }))
            }
            DATA => {
                let (from, to) = (end(header)?, end(header)?);
                let ack = number(header)?;
                let room = header.try_get_u32().map_err(|_| FrameError::Short)?;
                let first = number(header)?;
                let body = Body::Data(Data { ack, room, first, frames: frames(bytes)? });
                Ok(Payload::Packet(Packet { from, to, body }))
            }
            kind => Err(FrameError::Kind(kind)),
        }
    }
}

impl Heartbeat {
    fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(64 + self.hello.len());
        prefix(&mut out, HEARTBEAT, 2 + 8 + 8 + 1 + 8);
        out.put_u16(self.node);
        out.put_u64(self.incarnation);
        out.put_u64(self.process);
        out.put_u8(if self.is_goodbye { GOODBYE } else { 0 });
        out.put_u64(self.revision);
        out.extend_from_slice(&self.hello);
        out.freeze()
    }

    fn decode(header: &mut Bytes, body: &Bytes) -> Result<Heartbeat, FrameError> {
        let node = header.try_get_u16().map_err(|_| FrameError::Short)?;
        let incarnation = number(header)?;
        let process = number(header)?;
        let flags = header.try_get_u8().map_err(|_| FrameError::Short)?;
        let revision = number(header)?;
        let is_goodbye = flags & GOODBYE != 0;
        Ok(Heartbeat { node, incarnation, process, is_goodbye, revision, hello: body.clone() })
    }
}

impl Packet {
    fn encode(&self) -> Bytes {
        match &self.body {
            Body::Open { revision, hello } => {
                let mut out = BytesMut::with_capacity(PREFIX_LEN + ENDS_LEN + 8 + hello.len());
                prefix(&mut out, OPEN, ENDS_LEN + 8);
                self.put_ends(&mut out);
                out.put_u64(*revision);
                out.extend_from_slice(hello);
                out.freeze()
            }
            Body::Data(data) => {
                let bytes: usize = data.frames.iter().map(|frame| FRAME_OVERHEAD + frame.bytes.len()).sum();
                let mut out = BytesMut::with_capacity(DATA_OVERHEAD + bytes);
                prefix(&mut out, DATA, DATA_HEADER_LEN);
                self.put_ends(&mut out);
                out.put_u64(data.ack);
                out.put_u32(data.room);
                out.put_u64(data.first);
                for frame in &data.frames {
                    let first = if frame.is_first { FIRST } else { 0 };
                    let last = if frame.is_last { LAST } else { 0 };
                    out.put_u8(first | last);
                    out.put_u32(frame.bytes.len() as u32);
                    out.extend_from_slice(&frame.bytes);
                }
                out.freeze()
            }
        }
    }

    fn put_ends(&self, out: &mut BytesMut) {
        for end in [self.from, self.to] {
            out.put_u16(end.node);
            out.put_u64(end.incarnation);
            out.put_u64(end.link);
        }
    }
}

fn prefix(out: &mut BytesMut, kind: u8, header_len: usize) {
    out.put_u8(VERSION);
    out.put_u8(kind);
    out.put_u16(header_len as u16);
}

fn number(bytes: &mut Bytes) -> Result<u64, FrameError> {
    bytes.try_get_u64().map_err(|_| FrameError::Short)
}

fn end(bytes: &mut Bytes) -> Result<End, FrameError> {
    let node = bytes.try_get_u16().map_err(|_| FrameError::Short)?;
    Ok(End { node, incarnation: number(bytes)?, link: number(bytes)? })
}

fn frames(bytes: &mut Bytes) -> Result<Vec<Frame>, FrameError> {
    let mut frames = Vec::new();
    while bytes.has_remaining() {
        let flags = bytes.get_u8();
        let len = bytes.try_get_u32().map_err(|_| FrameError::Short)? as usize;
        let bytes = take(bytes, len)?;
        frames.push(Frame { is_first: flags & FIRST != 0, is_last: flags & LAST != 0, bytes });
    }
    Ok(frames)
}

fn take(bytes: &mut Bytes, len: usize) -> Result<Bytes, FrameError> {
    if bytes.len() < len {
        return Err(FrameError::Short);
    }
    Ok(bytes.split_to(len))
}
