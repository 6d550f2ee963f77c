//! Why something did not work.

use std::sync::Arc;
use std::time::Duration;

use scenehost_protocol::v1::{self, Code};
use scenehost_protocol::{DecodeError, FRAME_BYTES_MAX};
use thiserror::Error;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::http::header::{HeaderMap, RETRY_AFTER};

/// The longest wait that an HTTP answer may ask for. It may come from something in front of the server, which knows
/// nothing of the grace period.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Why a request, a message or a connection failed.
#[derive(Debug, Error)]
pub enum Error {
    #[error("`{0}` is not an address: give one like ws://example.org:7350")]
    Url(String),
    /// One of [`Options::root_certificates`](crate::Options::root_certificates).
    #[error("root certificate {index} cannot be used: give X.509 certificates in DER")]
    RootCertificate { index: usize, source: rustls::Error },
    #[error("this system offers no TLS: {0}")]
    Tls(rustls::Error),
    #[error("cannot connect to {url}; is the server running there?")]
    Connect { url: String, source: Box<tungstenite::Error> },
    /// The session's tokens could not be refreshed; they are as good as before. `retry_after`: so long the answer asks
    /// to wait, at most a minute; zero if it says nothing of it.
    #[error("cannot refresh the session at {url}")]
    Refresh { url: String, retry_after: Duration, source: Box<reqwest::Error> },
    /// The server said no; nothing was changed.
    #[error("refused ({}): {}", .0.code().as_str_name(), .0.text)]
    Refused(v1::Refused),
    /// The server closed the connection and told why.
    #[error("the server closed the connection ({}): {}", .0.code().as_str_name(), .0.text)]
    Closing(v1::SynClosing),
    /// The connection was closed, by this side or by the other.
    #[error("the connection is closed")]
    Closed,
    #[error("the connection broke")]
    Broken(#[from] Box<tungstenite::Error>),
    /// The server is not there any more, though the connection seems to stand.
    #[error("the server has said nothing for {silent_ms} ms, and does not answer")]
    Silent { silent_ms: u64 },
    /// The server could not be reached for as long as it may have kept anything for this user.
    #[error("not back within {away_ms} ms, so what the server kept is gone; at last: {last}")]
    TooLong { away_ms: u64, last: Arc<Error> },
    /// The search ended because it was taken back.
    #[error("the search for a match was cancelled")]
    Cancelled,
    #[error("no answer within {waited_ms} ms; whether the request had an effect is unknown")]
    TimedOut { waited_ms: u64 },
    /// The connection was lost before the answer came, and the server could not go on with it.
    #[error("the connection was lost before an answer came; whether the request had an effect is unknown")]
    OutcomeUnknown,
    #[error("the frame would have {0} bytes, and {FRAME_BYTES_MAX} are allowed: send less at once")]
    TooLarge(usize),
    /// So much waits to be sent that no more is kept. This message was not sent.
    #[error("{messages_max} messages or {bytes_max} bytes wait for the server: send less until it is back")]
    TooManyKept { messages_max: usize, bytes_max: usize },
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

/// Whether it makes sense to connect again after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Again {
        /// Not before this time, if the server has said so.
        after: Duration,
    },
    Never,
}

impl Error {
    pub(crate) fn verdict(&self) -> Verdict {
        let again = Verdict::Again { after: Duration::ZERO };
        match self {
            Self::Closed | Self::Silent { .. } | Self::TimedOut { .. } | Self::FrameLost { .. } => again,
            Self::Refresh { retry_after, .. } => Verdict::Again { after: *retry_after },
            Self::Broken(source) | Self::Connect { source, .. } => connection_verdict(source),
            Self::Refused(refused) if refused.code() == Code::RateLimited || code_passes(refused.code()) => {
                Verdict::Again { after: Duration::from_millis(refused.retry_after_ms.into()) }
            }
            // The sign-in or the entry took too long.
            Self::Closing(closing) if closing.code() == Code::Unauthenticated || code_passes(closing.code()) => again,
            Self::Url(_)
            | Self::RootCertificate { .. }
            | Self::Tls(_)
            | Self::Refused(_)
            | Self::Closing(_)
            | Self::TooLong { .. }
            | Self::Cancelled
            | Self::OutcomeUnknown
            | Self::TooLarge(_)
            | Self::TooManyKept { .. }
            | Self::TooManyRequests { .. }
            | Self::Malformed(_)
            | Self::Unexpected => Verdict::Never,
        }
    }
}

/// What is said of the server's state of the moment, and not of this user or this client.
fn code_passes(code: Code) -> bool {
    matches!(code, Code::Stopping | Code::Overloaded | Code::ServiceDown | Code::TimedOut | Code::Internal)
}

fn connection_verdict(error: &tungstenite::Error) -> Verdict {
    match error {
        tungstenite::Error::Http(answer) if status_passes(answer.status()) => {
            Verdict::Again { after: retry_after(answer.headers()) }
        }
        tungstenite::Error::Http(_)
        | tungstenite::Error::Url(_)
        | tungstenite::Error::HttpFormat(_)
        | tungstenite::Error::Capacity(_)
        | tungstenite::Error::Utf8(_) => Verdict::Never,
        _ => Verdict::Again { after: Duration::ZERO },
    }
}

fn status_passes(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT
}

/// For how long an HTTP answer asks to wait. Only seconds count: a date would need the server's clock.
pub(crate) fn retry_after(headers: &HeaderMap) -> Duration {
    let value = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let seconds = value.and_then(|value| value.trim().parse().ok());
    seconds.map_or(Duration::ZERO, Duration::from_secs).min(RETRY_AFTER_MAX)
}
