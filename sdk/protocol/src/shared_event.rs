//! An event that goes to many connections, whose frames differ in their number only.
//!
//! Invariant: a frame is, decoded, the one that [`Encoding::encode_server`] would write.
//! In protobuf the fields of a message may come in any order and simply follow each other, and in
//! JSON the number is put in after the opening brace; so the encoded event is copied, not encoded
//! again.

use std::io::Write;
use std::sync::OnceLock;

use bytes::{BufMut, Bytes};
use prost::Message;
use prost::encoding::{encode_varint, encoded_len_varint};

use crate::v1::{ServerFrame, server_frame};
use crate::{Encoding, Payload};

/// The key of `ServerFrame.seq`: field 1, varint.
const SEQ_KEY: u8 = 1 << 3;

/// A server's event, encoded at most once per encoding however many connections it goes to.
#[derive(Debug)]
pub struct SharedEvent {
    frame: ServerFrame,
    proto: OnceLock<Vec<u8>>,
    /// Without the opening brace.
    json: OnceLock<Vec<u8>>,
}

impl SharedEvent {
    /// An event, which is nobody's answer.
    pub fn new(body: server_frame::Body) -> Self {
        Self {
            frame: ServerFrame { seq: 0, request: 0, body: Some(body) },
            proto: OnceLock::new(),
            json: OnceLock::new(),
        }
    }

    /// The event itself.
    pub fn body(&self) -> &server_frame::Body {
        self.frame.body.as_ref().expect("set by new")
    }

    /// How many bytes [`Self::put`] writes, as a WebSocket message's header must tell first.
    pub fn frame_bytes(&self, encoding: Encoding, seq: u32) -> usize {
        let seq_bytes = match encoding {
            Encoding::Proto => 1 + encoded_len_varint(seq.into()),
            Encoding::Json => r#"{"seq":,"#.len() + 1 + seq.checked_ilog10().unwrap_or(0) as usize,
        };
        seq_bytes + self.encoded(encoding).len()
    }

    /// Writes the event as a connection's frame number `seq`.
    ///
    /// # Panics
    /// If `out` is of a fixed size and has less room than [`Self::frame_bytes`].
    pub fn put(&self, encoding: Encoding, seq: u32, out: &mut impl BufMut) {
        match encoding {
            Encoding::Proto => {
                out.put_u8(SEQ_KEY);
                encode_varint(seq.into(), out);
            }
            Encoding::Json => {
                write!(out.writer(), r#"{{"seq":{seq},"#).expect("the caller's buffer has room");
            }
        }
        out.put_slice(self.encoded(encoding));
    }

    /// The event as a connection's frame number `seq`.
    pub fn payload(&self, encoding: Encoding, seq: u32) -> Payload {
        let mut out = Vec::with_capacity(self.frame_bytes(encoding, seq));
        self.put(encoding, seq, &mut out);
        match encoding {
            Encoding::Proto => Payload::Binary(Bytes::from(out)),
            Encoding::Json => Payload::Text(String::from_utf8(out).expect("JSON is UTF-8")),
        }
    }

    fn encoded(&self, encoding: Encoding) -> &[u8] {
        match encoding {
            Encoding::Proto => self.proto.get_or_init(|| self.frame.encode_to_vec()),
            Encoding::Json => self.json.get_or_init(|| {
                let Payload::Text(text) = Encoding::Json.encode_server(&self.frame) else {
                    unreachable!("JSON is text");
                };
                text.into_bytes().split_off(1)
            }),
        }
    }
}
