//! The two encodings of a frame: protobuf in a binary message, protobuf's JSON in a text message.
//!
//! Invariant: a frame that decodes has a body.

use bytes::Bytes;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::v1::{ClientFrame, ServerFrame};
use crate::{FRAME_BYTES_MAX, SERVER_FRAME_BYTES_MAX};

/// How the frames of one connection are written, chosen by its WebSocket subprotocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// `scenehost.v1.proto`: one binary message per frame.
    Proto,
    /// `scenehost.v1.json`: one text message per frame.
    Json,
}

/// The names of the subprotocols, the preferred one first.
pub const SUBPROTOCOLS: [&str; 2] = [Encoding::Proto.subprotocol(), Encoding::Json.subprotocol()];

/// What goes into one WebSocket message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    Binary(Bytes),
    Text(String),
}

/// What came in one WebSocket message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadRef<'a> {
    Binary(&'a [u8]),
    Text(&'a str),
}

/// Why a WebSocket message is not a frame.
#[derive(Debug, Error)]
pub enum DecodeError {
    #[error("the subprotocol {} takes {} messages only", .0.subprotocol(), .0.message_kind())]
    WrongKind(Encoding),
    #[error("a frame has at most {bytes_max} bytes, this one has {bytes}")]
    TooLarge {
        /// The frame's length.
        bytes: usize,
        /// The longest that is read.
        bytes_max: usize,
    },
    #[error("the message is not a frame in protobuf: {0}")]
    Proto(#[from] prost::DecodeError),
    #[error("the message is not a frame in JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the frame has no body, or one that this version of the protocol does not know")]
    MissingBody,
}

impl Encoding {
    /// The encoding that a subprotocol's name stands for.
    pub fn from_subprotocol(name: &str) -> Option<Self> {
        [Self::Proto, Self::Json].into_iter().find(|encoding| encoding.subprotocol() == name)
    }

    /// The name of the WebSocket subprotocol.
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::Proto => "scenehost.v1.proto",
            Self::Json => "scenehost.v1.json",
        }
    }

    const fn message_kind(self) -> &'static str {
        match self {
            Self::Proto => "binary",
            Self::Json => "text",
        }
    }

    /// Reads a client's frame.
    pub fn decode_client<'a>(self, payload: impl Into<PayloadRef<'a>>) -> Result<ClientFrame, DecodeError> {
        let frame: ClientFrame = self.decode(payload.into(), FRAME_BYTES_MAX)?;
        match frame.body {
            Some(_) => Ok(frame),
            None => Err(DecodeError::MissingBody),
        }
    }

    /// Reads a server's frame. One without a body comes from a newer server and is to be passed over.
    pub fn decode_server<'a>(self, payload: impl Into<PayloadRef<'a>>) -> Result<ServerFrame, DecodeError> {
        self.decode(payload.into(), SERVER_FRAME_BYTES_MAX)
    }

    /// Writes a client's frame.
    pub fn encode_client(self, frame: &ClientFrame) -> Payload {
        self.encode(frame)
    }

    /// Writes a server's frame.
    ///
    /// # Panics
    /// In JSON, if an enum field holds a number that the schema does not name.
    pub fn encode_server(self, frame: &ServerFrame) -> Payload {
        self.encode(frame)
    }

    fn decode<M>(self, payload: PayloadRef<'_>, bytes_max: usize) -> Result<M, DecodeError>
    where
        M: Message + Default + DeserializeOwned,
    {
        let payload_bytes = payload.as_bytes().len();
        if payload_bytes > bytes_max {
            return Err(DecodeError::TooLarge { bytes: payload_bytes, bytes_max });
        }
        match (self, payload) {
            (Self::Proto, PayloadRef::Binary(bytes)) => Ok(M::decode(bytes)?),
            (Self::Json, PayloadRef::Text(text)) => Ok(serde_json::from_str(text)?),
            (Self::Proto, PayloadRef::Text(_)) | (Self::Json, PayloadRef::Binary(_)) => {
                Err(DecodeError::WrongKind(self))
            }
        }
    }

    fn encode<M: Message + Serialize>(self, frame: &M) -> Payload {
        match self {
            Self::Proto => Payload::Binary(frame.encode_to_vec().into()),
            Self::Json => Payload::Text(serde_json::to_string(frame).expect("every enum number comes from the schema")),
        }
    }
}

impl Payload {
    /// The message's bytes, of whichever kind.
    pub fn as_bytes(&self) -> &[u8] {
        PayloadRef::from(self).as_bytes()
    }
}

impl<'a> PayloadRef<'a> {
    /// The message's bytes, of whichever kind.
    pub fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::Binary(bytes) => bytes,
            Self::Text(text) => text.as_bytes(),
        }
    }
}

impl<'a> From<&'a Payload> for PayloadRef<'a> {
    fn from(payload: &'a Payload) -> Self {
        match payload {
            Payload::Binary(bytes) => Self::Binary(bytes),
            Payload::Text(text) => Self::Text(text),
        }
    }
}

impl<'a> From<&'a [u8]> for PayloadRef<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a> From<&'a str> for PayloadRef<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}
