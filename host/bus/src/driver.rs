//! What carries single payloads from one node to others, at most once.
//!
//! Invariant: all drivers have the same limits and the same errors, and none ever waits to hand on
//! a payload: a queue that is full drops, counts, and tells who asks. `tests/bus/conformance.rs`
//! runs the same checks against each.

pub mod local;
pub mod nats;
mod queue;
pub mod sim;

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

pub use queue::{Delivery, Reply, Subscription};

/// How many bytes one payload may have. Half of what NATS allows unless told otherwise.
pub const PAYLOAD_BYTES_MAX: usize = 512 * 1024;
/// How many bytes a subject may have.
pub const SUBJECT_LEN_MAX: usize = 128;
/// How many deliveries may wait in a subscription before further ones are dropped.
pub const QUEUE_LEN_MAX: usize = 4_096;
/// How many bytes may wait in a subscription before further deliveries are dropped.
pub const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A future that a driver returns.
pub type Wait<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Carries payloads by subject. Every node has one of its own.
pub trait Driver: Send + Sync {
    /// Sends a payload to all who have subscribed to the subject, this node among them. Never
    /// waits, and `Ok` does not mean that it has arrived, or will.
    ///
    /// # Errors
    /// [`Error::BadSubject`], [`Error::TooLarge`], [`Error::Overloaded`] where too much waits to be
    /// sent, [`Error::Down`] without a connection, [`Error::Closed`].
    fn publish(&self, subject: &str, bytes: Bytes) -> Result<(), Error>;

    /// Sends a payload and waits for the first answer.
    ///
    /// # Errors
    /// Those of [`Driver::publish`], [`Error::NoResponder`] where nobody has subscribed,
    /// [`Error::Overloaded`] also where the subscriber's queue is full, and [`Error::TimedOut`]
    /// after `limit`: then it is unknown what became of the request.
    fn request<'a>(&'a self, subject: &'a str, bytes: Bytes, limit: Duration) -> Wait<'a, Result<Bytes, Error>>;

    /// Receives what is sent to a subject from when this returns. Ends when it is dropped.
    ///
    /// # Errors
    /// [`Error::BadSubject`], [`Error::Down`], [`Error::Closed`], [`Error::Overloaded`].
    fn subscribe<'a>(&'a self, subject: &'a str) -> Wait<'a, Result<Subscription, Error>>;

    /// Ends this node's part: its subscriptions end, its requests that wait are answered by
    /// [`Error::Closed`], and so is everything after. A second time does nothing.
    fn close(&self) -> Wait<'_, ()>;
}

/// Why a driver did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody has subscribed to the subject.
    #[error("nobody listens on the subject")]
    NoResponder,
    /// A queue on the way is full.
    #[error("a queue on the way is full; try again later")]
    Overloaded,
    /// The payload is beyond the limit.
    #[error("the payload has {bytes} bytes; at most {max} are allowed")]
    TooLarge {
        /// How many it has.
        bytes: usize,
        /// How many it may have.
        max: usize,
    },
    /// No answer came in time. It is unknown what became of the request.
    #[error("no answer in time; what became of the request is unknown")]
    TimedOut,
    /// The driver has been closed.
    #[error("the bus is closed")]
    Closed,
    /// The subject breaks the rules.
    #[error("a subject is words of A-Z, a-z, 0-9, _ and - joined by dots, of at most {SUBJECT_LEN_MAX} bytes")]
    BadSubject,
    /// There is no connection to what carries the payloads.
    #[error("no connection: {0}")]
    Down(String),
}

/// Whether payloads may be sent to the subject: words of `A-Z`, `a-z`, `0-9`, `_` and `-` joined by
/// dots. There are no wildcards.
///
/// # Errors
/// [`Error::BadSubject`].
pub fn check_subject(subject: &str) -> Result<(), Error> {
    let word_is_good =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if subject.len() > SUBJECT_LEN_MAX || !subject.split('.').all(word_is_good) {
        return Err(Error::BadSubject);
    }
    Ok(())
}

/// Checks what all drivers refuse alike.
fn check(subject: &str, bytes: &Bytes) -> Result<(), Error> {
    check_subject(subject)?;
    check_size(bytes)
}

fn check_size(bytes: &Bytes) -> Result<(), Error> {
    if bytes.len() > PAYLOAD_BYTES_MAX {
        return Err(Error::TooLarge { bytes: bytes.len(), max: PAYLOAD_BYTES_MAX });
    }
    Ok(())
}
