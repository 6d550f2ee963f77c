//! A frame for many lobby connections, encoded at most once in each encoding.
//!
//! Invariant: it is not part of any line, so it is the same for all of them, to the byte.

use std::sync::OnceLock;

use axum::extract::ws::Message;
use scenehost_core::message::Notice;
use scenehost_protocol::v1::ServerFrame;
use scenehost_protocol::{Encoding, Payload};

use crate::wire;

pub struct SharedFrame {
    notice: Notice,
    proto: OnceLock<Message>,
    json: OnceLock<Message>,
}

impl SharedFrame {
    pub fn new(notice: Notice) -> Self {
        Self { notice, proto: OnceLock::new(), json: OnceLock::new() }
    }

    /// The frame as it is sent; a copy shares its bytes.
    pub fn message(&self, encoding: Encoding) -> Message {
        let encoded = match encoding {
            Encoding::Proto => &self.proto,
            Encoding::Json => &self.json,
        };
        let encode = || {
            let frame = ServerFrame { seq: 0, request: 0, body: Some(wire::lobby_notice(&self.notice)) };
            match encoding.encode_server(&frame) {
                Payload::Binary(bytes) => Message::Binary(bytes),
                Payload::Text(text) => Message::Text(text.into()),
            }
        };
        encoded.get_or_init(encode).clone()
    }
}
