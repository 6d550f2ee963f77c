//! Why something was not done. The only error that crosses a service's boundary; its text is for
//! people and says what to do.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::ids::Time;
use crate::message::ServiceName;

/// Why a request was refused, or why something ended that was promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The frame could not be read.
    #[error("this frame could not be read: {0}")]
    Malformed(String),
    /// Not allowed in this state.
    #[error("{0}")]
    OutOfOrder(Cow<'static, str>),
    /// No sign-in yet.
    #[error("sign in first: send req_sign_in as the first frame")]
    Unauthenticated,
    /// A field has a value that is not allowed.
    #[error("{0}")]
    Invalid(String),
    /// No such thing.
    #[error("there is no {0}")]
    NotFound(String),
    /// A token that is wrong, used or ended.
    #[error("{0}")]
    BadToken(Cow<'static, str>),
    /// A name or password that is wrong; which of them is not told.
    #[error("the name or the password is wrong")]
    WrongPassword,
    /// Wrong passwords for this name, too many of them.
    #[error("too many wrong passwords: try again in {} s", ms.div_ceil(1_000))]
    TriedTooOften {
        /// How long the next try has to wait.
        ms: u64,
    },
    /// A credential that its provider did not make, or not for this server.
    #[error("{0}")]
    BadCredential(String),
    /// The keys of a sign-in provider cannot be had.
    #[error("the sign-in provider cannot be asked now: try again in a moment, or sign in another way")]
    ProviderDown,
    /// The caller may not do this.
    #[error("{0}")]
    Forbidden(Cow<'static, str>),
    /// What it depends on has changed meanwhile.
    #[error("{0}")]
    Conflict(Cow<'static, str>),
    /// Somebody else's already.
    #[error("{0}")]
    Taken(Cow<'static, str>),
    /// The account is shut.
    #[error("this account is closed{}: {reason}", until_text(*until))]
    Banned {
        /// For the user to read.
        reason: String,
        /// The end of it, if it has one.
        until: Option<Time>,
    },
    /// The session was ended, by its user or by somebody who may.
    #[error("your session was ended: sign in again")]
    SessionEnded,
    /// A scene token after its deadline.
    #[error("the scene token has expired: ask the lobby for a new one with req_rejoin")]
    TokenExpired,
    /// No seat for this user.
    #[error("you have no seat in a scene: ask for a match")]
    NoSeat,
    /// The game's own condition.
    #[error("{0}")]
    NotAdmitted(String),
    /// The scene is over.
    #[error("this scene has ended")]
    SceneEnded,
    /// No free seat, or no room for one more who watches.
    #[error("{0}")]
    SceneFull(Cow<'static, str>),
    /// The version of the game has failed too often, and no other one is there.
    #[error("this game has failed too often and begins no new matches until its operators have looked after it")]
    Quarantined,
    /// The scene has failed and begins anew.
    #[error("the game has failed and starts again: the lobby tells the way in as soon as it is there")]
    Restarting,
    /// A limit of the host.
    #[error("the server is at its limit ({0}): try again in a moment")]
    Overloaded(Cow<'static, str>),
    /// The sender's own limit.
    #[error("too many messages: at most {per_second} a second")]
    RateLimited {
        /// How many are allowed.
        per_second: u32,
    },
    /// Too much of something in too short a time, from one address or with one session.
    #[error("too many {what}: try again in {} s", ms.div_ceil(1_000))]
    TooOften {
        /// What there was too much of, and from where.
        what: Cow<'static, str>,
        /// How long the next one has to wait.
        ms: u64,
    },
    /// A service that this needs is down.
    #[error("{0} is not available now; you will be told when it is back")]
    ServiceDown(ServiceName),
    /// The deadline passed.
    #[error("{0} took too long; whether it was done is unknown")]
    TimedOut(Cow<'static, str>),
    /// The user is in the middle of something else.
    #[error("{0}")]
    Busy(Cow<'static, str>),
    /// No match was found by the domain's limit of waiting.
    #[error("no match was found in time: ask again when more players are here")]
    NoMatch,
    /// Searches are taken only at some hours.
    #[error("matching is closed here until {}", opens.utc())]
    Closed {
        /// When it opens.
        opens: Time,
    },
    /// The search of a party, ended by one of its members.
    #[error("{0}")]
    SearchStopped(String),
    /// The host is stopping.
    #[error("the server is stopping: connect again in a minute")]
    Stopping,
    /// A fault of the host.
    #[error("the server made a mistake ({0}); it is in its log")]
    Internal(Cow<'static, str>),
    /// Another connection of the same user.
    #[error("you signed in on another connection, and this one gives way")]
    TakenOver,
}

impl Refusal {
    /// Whether it says nothing against the request itself, which may well be done a moment later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::ServiceDown(_) | Self::Overloaded(_) | Self::TimedOut(_))
    }

    /// When to try the same again, in milliseconds; 0 if that does not help.
    pub fn retry_after_ms(&self) -> u32 {
        match self {
            Self::Overloaded(_) | Self::TimedOut(_) | Self::Restarting => 1_000,
            Self::RateLimited { .. } => 1_000,
            Self::TriedTooOften { ms } | Self::TooOften { ms, .. } => u32::try_from(*ms).unwrap_or(u32::MAX),
            Self::ServiceDown(_) | Self::ProviderDown => 5_000,
            Self::Stopping => 60_000,
            _ => 0,
        }
    }
}

fn until_text(until: Option<Time>) -> String {
    until.map_or_else(String::new, |until| format!(" until {}", until.utc()))
}
