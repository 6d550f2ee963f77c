//! What a line is made of: the client's side of one connection to the server, though sockets come and go.
//!
//! | | |
//! |---|---|
//! | [`Inbound`] | numbers of the frames that came, and silence |
//! | [`Outbox`] | a scene's messages until the server has them |
//! | [`Requests`] | the lobby's requests until they are answered |
//! | [`Backoff`] | when to try again |
//!
//! Invariant: pure. The clock and randomness are arguments, and nothing here waits or sends.

mod backoff;
mod inbound;
mod outbox;
mod requests;

pub use backoff::Backoff;
pub use inbound::{Due, Inbound, Lost};
pub use outbox::{Next, Outbox, OutboxLimits, Overflow, WrongCount};
pub use requests::Requests;
