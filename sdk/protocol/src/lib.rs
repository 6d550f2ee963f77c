//! The protocol between a client and Scenehost: the schema's types in [`v1`] and their two
//! encodings, one per WebSocket subprotocol.
//!
//! - [`Encoding`]: turns frames into WebSocket messages and back.
//! - [`SharedEvent`]: an event for many connections, encoded once.
//!
//! Invariant: no input makes a decoder panic, and no frame longer than its side's
//! limit is read.

mod closing;
mod encoding;
mod shared_event;

pub use closing::close_code;
pub use encoding::{DecodeError, Encoding, Payload, PayloadRef, SUBPROTOCOLS};
pub use shared_event::SharedEvent;

/// The types of `proto/scenehost/v1/client.proto`.
#[allow(clippy::doc_markdown)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/scenehost.v1.rs"));
    include!(concat!(env!("OUT_DIR"), "/scenehost.v1.serde.rs"));
}

/// The longest frame of a client, in bytes of the WebSocket message; a longer one is refused unread.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

/// The longest frame of a server: a game's longest message, 64 KiB, in JSON's base64 and its envelope.
pub const SERVER_FRAME_BYTES_MAX: usize = 128 * 1024;
