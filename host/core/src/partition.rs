//! How SceneMaster's work is split: fleets are hashed onto [`SHARDS`] shards, and each partition has a range of these.
//!
//! Invariant: a fleet, its scenes, their allocations and the matches that are made for it are of one shard for ever,
//! whatever the number of partitions is, for the ids of scenes, allocations and matches begin with their shard. So each
//! message finds its partition by what it is about, and what a partition has in the store follows each other there.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::ids::{FleetName, SceneId};

/// How many shards there are.
pub const SHARDS: u16 = 256;
/// How many bits of an id are those of its shard.
const SHARD_BITS: u32 = 8;

/// A part of all fleets that is not divided further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Shard(pub u8);

impl Shard {
    /// That of a fleet.
    pub fn of_fleet(fleet: &FleetName) -> Self {
        Self(Sha256::digest(fleet.as_str())[0])
    }

    /// That of a scene, an allocation or a match, by its id.
    pub fn of_id(id: u64) -> Self {
        Self((id >> (u64::BITS - SHARD_BITS)) as u8)
    }

    /// An id of this shard, made of a number that was drawn.
    pub fn id(self, drawn: u64) -> u64 {
        u64::from(self.0) << (u64::BITS - SHARD_BITS) | drawn >> SHARD_BITS
    }
}

/// A range of shards, which one SceneMaster has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Partition {
    first: Shard,
    last: Shard,
}

impl From<Shard> for Partition {
    fn from(shard: Shard) -> Self {
        Self { first: shard, last: shard }
    }
}

impl Partition {
    /// That of the only SceneMaster.
    pub const WHOLE: Self = Self { first: Shard(0), last: Shard(u8::MAX) };

    /// All shards in so many partitions, 1 to [`SHARDS`], as equal as they can be.
    pub fn split(count: u16) -> Vec<Self> {
        let count = count.clamp(1, SHARDS);
        let begin = |index: u16| u32::from(index) * u32::from(SHARDS) / u32::from(count);
        let of = |index| Self { first: Shard(begin(index) as u8), last: Shard((begin(index + 1) - 1) as u8) };
        (0..count).map(of).collect()
    }

    /// The shards of all scenes whose ids are within these.
    pub fn of_scenes(from: SceneId, to: SceneId) -> Self {
        Self { first: Shard::of_id(from.0), last: Shard::of_id(to.0) }
    }

    /// Whether a shard is one of its.
    pub fn has(self, shard: Shard) -> bool {
        (self.first..=self.last).contains(&shard)
    }

    /// Whether they have a shard in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// Its first shard.
    pub fn first(self) -> Shard {
        self.first
    }

    /// The first and the last id that its scenes can have.
    pub fn scenes(self) -> (SceneId, SceneId) {
        (SceneId(self.first.id(0)), SceneId(self.last.id(u64::MAX)))
    }
}

/// The partitions whose SceneMasters are down, as one knows who was told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Down(BTreeSet<Partition>);

impl Down {
    /// A SceneMaster went up or down. Whether that is news.
    pub fn note(&mut self, partition: Partition, up: bool) -> bool {
        let before = self.0.len();
        match up {
            true => self.0.retain(|down| !down.overlaps(partition)),
            false => _ = self.0.insert(partition),
        }
        self.0.len() != before
    }

    /// Whether that of a shard is down.
    pub fn has(&self, shard: Shard) -> bool {
        self.0.iter().any(|down| down.has(shard))
    }
}

/// The first and the last of its shards, in two hexadecimal digits each, with a dash between them.
impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}-{:02x}", self.first.0, self.last.0)
    }
}

/// A text that is no partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a partition is a range of shards such as 00-7f")]
pub struct NoPartition;

impl FromStr for Partition {
    type Err = NoPartition;

    fn from_str(text: &str) -> Result<Self, NoPartition> {
        let shard = |digits: &str| {
            let is_shard = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            is_shard.then(|| u8::from_str_radix(digits, 16).ok().map(Shard)).flatten().ok_or(NoPartition)
        };
        let (first, last) = text.split_once('-').ok_or(NoPartition)?;
        let (first, last) = (shard(first)?, shard(last)?);
        if first <= last { Ok(Self { first, last }) } else { Err(NoPartition) }
    }
}

impl From<Partition> for String {
    fn from(partition: Partition) -> Self {
        partition.to_string()
    }
}

impl TryFrom<String> for Partition {
    type Error = NoPartition;

    fn try_from(text: String) -> Result<Self, NoPartition> {
        text.parse()
    }
}
