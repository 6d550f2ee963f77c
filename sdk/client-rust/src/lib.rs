#![doc = include_str!("../README.md")]
//!
//! # Map
//! - [`Lobby`]: the connection that a user keeps while signed in. A task of its own serves it, so
//!   that it stays alive while the user plays.
//! - [`Scene`]: the second connection, straight to the scene of a match. It is served by its owner
//!   in [`Scene::next`].
//! - [`Error`]: why something did not work, with what to do.
//!
//! Invariant: every queue and every wait has a limit, which [`Options`] sets.

mod error;
mod lobby;
mod scene;
mod socket;

use std::time::Duration;

pub use error::Error;
pub use lobby::{Credential, Lobby, LobbyEvent, Match};
pub use scene::{Scene, SceneEvent};
pub use scenehost_protocol::{Encoding, v1};

/// How a client connects and how long it waits.
#[derive(Clone, Debug)]
pub struct Options {
    /// The subprotocol to speak.
    pub encoding: Encoding,
    /// What the user shall see of this device among the sessions; may be empty.
    pub device: String,
    /// Until the connection stands and the first frame is answered.
    pub connect_timeout: Duration,
    /// Until a request is answered, and until a message is taken over by the system.
    pub request_timeout: Duration,
    /// Until a search for a match ends, in [`Lobby::find_match`].
    pub match_timeout: Duration,
    /// How many events of the lobby are kept for [`Lobby::next`]; with more, the oldest are let go
    /// and [`LobbyEvent::Missed`] tells how many.
    pub events_len_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            encoding: Encoding::Proto,
            device: String::new(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
            match_timeout: Duration::from_secs(300),
            events_len_max: 64,
        }
    }
}
