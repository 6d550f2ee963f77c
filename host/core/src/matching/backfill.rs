//! What a running scene and Match agree on when the scene's empty seats are to be filled.
//!
//! Invariant: a scene has one lease at most. One with a higher generation takes the place of the one before, and what
//! comes for an earlier generation is passed over or refused.

use serde::{Deserialize, Serialize};

use crate::ids::AllocationId;

/// How often SceneMaster says again that a scene still wants players.
pub const HEARTBEAT_MS: u64 = 2_000;
/// How long Match remembers a lease that is not said again.
pub const LEASE_MS: u64 = 5_000;
/// How long Match waits for SceneMaster to fill seats; then its tickets wait again, with their age.
pub const FILL_MS_MAX: u64 = 1_000;
/// The most openings of one search.
pub const OPENINGS_MAX: usize = 16;
/// The longest name of a role, in bytes.
pub const ROLE_BYTES_MAX: usize = 64;

/// The right of a scene to get players from Match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lease {
    /// Whose: one session of a scene.
    pub allocation: AllocationId,
    /// Which of the allocation's searches, from 1.
    pub generation: u32,
}

/// Places of one kind that a scene wants filled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// How many, at least 1.
    pub count: u32,
    /// The team that they are in; `None`: any.
    pub team: Option<u32>,
    /// The role that they have; `None`: any.
    pub role: Option<String>,
}
