//! The identities that services speak of, and time. Plain values without behaviour.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A moment: milliseconds since 1970, so that a deadline in a stored record stays true after a
/// restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time(pub u64);

impl Time {
    /// The moment `ms` milliseconds later.
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// The moment for people, to the minute: `2026-11-22 01:30 UTC`.
    pub fn utc(self) -> String {
        let timestamp = i64::try_from(self.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        timestamp.unwrap_or(jiff::Timestamp::MAX).strftime("%Y-%m-%d %H:%M UTC").to_string()
    }

    /// Milliseconds from `earlier` to this moment; 0 if it is not earlier.
    pub fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A text that is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id has 16 hexadecimal digits")]
pub struct NoId;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u64);

        /// 16 hexadecimal digits.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NoId;

            fn from_str(text: &str) -> Result<Self, NoId> {
                // Checked here, for `from_str_radix` would take a sign, and fewer digits, as well.
                let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
                digits.then(|| u64::from_str_radix(text, 16).ok().map(Self)).flatten().ok_or(NoId)
            }
        }
    };
}

number! {
    /// A user, the same at every sign-in.
    UserId
}
number! {
    /// One game instance.
    SceneId
}
number! {
    /// A scene given to a match, or to users whom an operator put together: the same through crashes of the game, and
    /// another one for each session of a scene that is used again.
    AllocationId
}
number! {
    /// What the scenes of a fleet are made of: the plugin and all settings. Another build is another number.
    Build
}
number! {
    /// A group of tickets that became a match; makes the scene's creation idempotent.
    MatchId
}
number! {
    /// A lobby or scene connection of this host process.
    ConnectionId
}
number! {
    /// A session of a user. It names a session and opens nothing.
    SessionId
}
number! {
    /// A machine's host process.
    NodeId
}
number! {
    /// A guild.
    GuildId
}
number! {
    /// A party.
    PartyId
}

/// Tells today's incarnation of a scene from yesterday's. Receivers refuse a lower one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The one after it.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// One life of a scene: where its game fails it begins anew with the next epoch, and so does each session of a scene
/// that is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation {
    /// Which scene.
    pub scene: SceneId,
    /// Which life of it.
    pub epoch: Epoch,
}

/// The scene's id, and after a dash the epoch in 16 hexadecimal digits.
impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}", self.scene, self.epoch.0)
    }
}

impl std::str::FromStr for Incarnation {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Self, NoId> {
        let (scene, epoch) = text.split_once('-').ok_or(NoId)?;
        // An epoch is written as ids are.
        Ok(Self { scene: scene.parse()?, epoch: Epoch(epoch.parse::<SceneId>()?.0) })
    }
}

/// A place in a scene, numbered from 0.
pub type Seat = u32;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// The widest range within which users can be matched.
    DomainName
}
name! {
    /// A game: the name of the plugin that runs its scenes.
    GameName
}
name! {
    /// A room of the lobby.
    RoomName
}
name! {
    /// How scenes of one plugin version and configuration run.
    FleetName
}
name! {
    /// A role that a player of a team can have, as "healer".
    RoleName
}
