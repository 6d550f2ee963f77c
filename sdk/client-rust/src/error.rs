//! Why something did not work.

use scenehost_protocol::{DecodeError, FRAME_BYTES_MAX, v1};
use thiserror::Error;
use tokio_tungstenite::tungstenite;

/// Why a request, a message or a connection failed.
#[derive(Debug, Error)]
pub enum Error {
    #[error("`{0}` is not an address: give one like ws://example.org:7350")]
    Url(String),
    #[error("cannot connect to {url}; is the server running there?")]
    Connect { url: String, source: Box<tungstenite::Error> },
    /// The server said no; nothing was changed.
    #[error("refused ({}): {}", .0.code().as_str_name(), .0.text)]
    Refused(v1::Refused),
    /// The server closed the connection and told why.
    #[error("the server closed the connection ({}): {}", .0.code().as_str_name(), .0.text)]
    Closing(v1::SynClosing),
    #[error("the connection is closed")]
    Closed,
    #[error("the connection broke")]
    Broken(#[from] Box<tungstenite::Error>),
    /// The search ended because it was taken back.
    #[error("the search for a match was cancelled")]
    Cancelled,
    #[error("no answer within {waited_ms} ms; whether the request had an effect is unknown")]
    TimedOut { waited_ms: u64 },
    #[error("the frame would have {0} bytes, and {FRAME_BYTES_MAX} are allowed: send less at once")]
    TooLarge(usize),
    #[error("{requests_max} requests wait for an answer already: wait for one of them")]
    TooManyRequests { requests_max: usize },
    #[error("the server sent something that is not a frame")]
    Malformed(#[from] DecodeError),
    #[error("frame {expected} was expected and frame {got} came: frames were lost")]
    FrameLost { expected: u32, got: u32 },
    /// A server of another version, or not a Scenehost.
    #[error("the server answered with something that does not belong here")]
    Unexpected,
}
