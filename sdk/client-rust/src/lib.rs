#![doc = include_str!("../README.md")]
//!
//! # Map
//! - [`Lobby`]: the connection that a user keeps while signed in.
//! - [`Scene`]: the second connection, straight to the scene of a match.
//! - [`Spectator`]: such a connection of a user who only watches.
//! - [`mod@line`]: what survives a lost connection: numbers, what is kept, when to try again. Pure.
//! - `keeper`: the task that serves either of them, and connects again.
//! - [`Error`]: why something did not work, with what to do.
//!
//! Invariant: every queue and every wait has a limit, which [`Options`] sets.

pub mod line;

mod address;
mod door;
mod error;
mod keeper;
mod lobby;
mod refresh;
mod scene;
mod socket;
mod spectator;
mod tokens;

use std::time::Duration;

pub use error::Error;
pub use lobby::{Channel, Credential, Lobby, LobbyEvent, Match, Owner};
pub use rustls::pki_types::CertificateDer;
pub use scene::{Scene, SceneEvent};
pub use scenehost_protocol::{Encoding, v1};
pub use spectator::{Spectator, SpectatorEvent, Watch};
pub use tokens::{OnTokens, Tokens};

/// How a client connects, how long it waits and how much it keeps.
#[derive(Clone, Debug)]
pub struct Options {
    /// The subprotocol to speak.
    pub encoding: Encoding,
    /// What the user shall see of this device among the sessions; may be empty.
    pub device: String,
    /// What TLS trusts beside the system's roots, for example a private deployment's root.
    pub root_certificates: Vec<CertificateDer<'static>>,
    /// Takes a session's refreshed tokens before they are used for the first time, on the way to a first connection as
    /// well as to a new one. With the first use the old ones are void, and a refresh by the old refresh token ends the
    /// session; so a program that stores tokens needs this, for [`Lobby::connect`] may still fail after that use.
    pub on_tokens: Option<OnTokens>,
    /// Until the connection stands and the first frame is answered.
    pub connect_timeout: Duration,
    /// Until a request is answered, until there is room for a message to a scene, and until the system has taken a
    /// frame over.
    pub request_timeout: Duration,
    /// Until a search for a match ends, in [`Lobby::find_match`].
    pub match_timeout: Duration,
    /// How many events are kept for [`Lobby::next`] and for [`Scene::next`]. With more, the lobby lets the oldest go
    /// and [`LobbyEvent::Missed`] tells how many; a scene does not read on.
    pub events_len_max: usize,
    /// Whether a lost connection is made again. Without it, every loss is the end.
    pub reconnect: bool,
    /// The first attempt comes at once, the second after at most this time, which doubles with each further one.
    pub backoff_first: Duration,
    /// The longest time between attempts, unless the server asks for more; then a random part of a quarter of what it
    /// asks for, or of this, whichever is shorter, comes on top.
    pub backoff_max: Duration,
    /// How much longer to try than the server says that it keeps everything: it may notice a loss later than this side.
    pub grace_margin: Duration,
    /// After so long without a word of the server it is asked whether it is there.
    pub ping_after: Duration,
    /// So long it has to answer; then the connection counts as lost.
    pub pong_timeout: Duration,
    /// How many messages to a scene are kept until the server has them, also while the connection is lost.
    pub kept_messages_max: usize,
    /// The same, in bytes.
    pub kept_bytes_max: usize,
    /// How many messages a second that were kept leave after the return. The server refuses messages that are too many
    /// at once: more than 60 in a second, unless it is configured otherwise.
    pub catch_up_per_second: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            encoding: Encoding::Proto,
            device: String::new(),
            root_certificates: Vec::new(),
            on_tokens: None,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
            match_timeout: Duration::from_secs(300),
            events_len_max: 64,
            reconnect: true,
            backoff_first: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
            grace_margin: Duration::from_secs(60),
            ping_after: Duration::from_secs(20),
            pong_timeout: Duration::from_secs(10),
            kept_messages_max: 256,
            kept_bytes_max: 256 * 1024,
            catch_up_per_second: 50,
        }
    }
}
