//! `Timer`, a name for one of a scene's timers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a timer. Set it with [`Context::set_timer`](crate::Context::set_timer); when it is
/// due, [`Scene::timer`](crate::Scene::timer) gets the same value back:
///
/// ```
/// use scenehost_sdk::prelude::*;
///
/// const ROUND: Timer = Timer::named("round");
/// const RESPAWN: Timer = Timer::named("respawn"); // one for each seat
///
/// let due = RESPAWN.at(3);
/// assert!(matches!(due.family(), RESPAWN) && due.index() == 3);
/// assert_ne!(ROUND, RESPAWN);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timer(u64);

impl Timer {
    const INDEX: u64 = u32::MAX as u64;

    /// A timer by name, for a constant. Two names of one game practically never meet: 32 bits of
    /// their FNV-1a hash tell them apart.
    pub const fn named(name: &str) -> Timer {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut at = 0;
        while at < name.len() {
            hash = (hash ^ name.as_bytes()[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
            at += 1;
        }
        Timer(hash & !Timer::INDEX)
    }

    /// One of a family of timers, such as one for each seat. The named timer itself has index 0.
    pub const fn at(self, index: u32) -> Timer {
        Timer(self.0 & !Timer::INDEX | index as u64)
    }

    /// The named timer that this one is an index of; match on it.
    pub const fn family(self) -> Timer {
        self.at(0)
    }

    /// The index within the family.
    pub const fn index(self) -> u32 {
        (self.0 & Timer::INDEX) as u32
    }

    /// The timer with this number in the contract.
    pub const fn from_id(id: u64) -> Timer {
        Timer(id)
    }

    /// The number in the contract.
    pub const fn id(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timer({:#010x} at {})", self.0 >> 32, self.index())
    }
}
