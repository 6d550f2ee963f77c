//! What a journal is made of, and how it is written.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Kept;
use crate::{
    bindings::{Command, Event, Init, Moment, Player},
    limits::Limits,
    upload::Digest,
};

/// What a journal begins with. The last byte is the version of the format.
pub const MAGIC: &[u8; 8] = b"SHJRNL\0\x01";
/// No payload is longer. Snapshots are the longest, and a fleet's limit for them is far below.
pub const FRAME_BYTES_MAX: usize = 256 << 20;
/// Length, the same inverted, and checksum.
pub(super) const FRAME_HEAD_BYTES: usize = 12;

/// What a scene began with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the contract, in whose types the entries are.
    pub contract: String,
    /// The component.
    pub digest: Digest,
    pub limits: Limits,
    pub tick_when_empty: bool,
    pub init: Init,
    pub about: About,
}

/// What the host says of a scene, for people and for itself. A replay does not depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    pub scene: u64,
    pub epoch: u64,
    pub fleet: String,
    pub plugin: String,
    /// Milliseconds since 1970.
    pub started_ms: u64,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step<'a> {
    pub tick: u64,
    pub elapsed_ms: u64,
    /// The slots of the tick grid that the scene has slept through, which are time to its timers.
    pub slept_slots: u64,
    pub events: Cow<'a, [Event]>,
}

impl Step<'_> {
    pub fn moment(&self) -> Moment {
        Moment { tick: self.tick, elapsed_ms: self.elapsed_ms }
    }
}

/// A call in which a scene has failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum During<'a> {
    Step(Step<'a>),
    Admit(Cow<'a, Player>),
    Save,
}

/// One thing that was done with a scene, in the order in which it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Entry<'a> {
    /// `start` was called, or `load` with the state of the [`Entry::Snapshot`] that follows.
    Begin(Cow<'a, Header>),
    /// `admit` was called, and this was the answer.
    Admit { player: Cow<'a, Player>, answer: Result<(), Cow<'a, str>> },
    /// `step` was called. `chain` is the hash of everything that the scene has returned up to here.
    Step { step: Step<'a>, chain: u64 },
    /// So many steps of a ticking scene were made one after the other, without events and without commands.
    Quiet { steps: u32 },
    /// The scene has failed in this call.
    Failed { during: During<'a>, kind: Cow<'a, str>, text: Cow<'a, str> },
    /// `save` was called, and this is the state with which the scene goes on.
    Snapshot {
        #[serde(with = "bytes")]
        state: Cow<'a, [u8]>,
        kept: Cow<'a, Kept>,
        chain: u64,
    },
    /// `save` was called, and the game said that it cannot be saved.
    Unsaved { text: Cow<'a, str> },
    /// `save` was called for another version of the game, which could not go on from it. The scene stays as it is.
    NotSwapped { reason: Cow<'a, str> },
    /// `save` was called, and a new instance, of another version of the game, has loaded the state.
    Swapped { digest: Digest, limits: Limits },
    /// The other version has failed before it had made a step: the instance before goes on as if nothing had been.
    SwappedBack { reason: Cow<'a, str> },
    /// Something of the host's own, which means nothing to the scene.
    Host(#[serde(with = "bytes")] Cow<'a, [u8]>),
    /// The scene was ended, and why.
    End { reason: Cow<'a, str> },
}

impl Entry<'_> {
    /// Puts the frame of this entry behind what is there.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend([0; FRAME_HEAD_BYTES]);
        let mut frame = postcard::to_extend(self, std::mem::take(out)).expect("entries are plain data");
        let len = u32::try_from(frame.len() - begin - FRAME_HEAD_BYTES).unwrap_or(u32::MAX).to_le_bytes();
        let crc = checksum(len, &frame[begin + FRAME_HEAD_BYTES..]).to_le_bytes();
        frame[begin..begin + 4].copy_from_slice(&len);
        frame[begin + 4..begin + 8].copy_from_slice(&len.map(|byte| !byte));
        frame[begin + 8..begin + FRAME_HEAD_BYTES].copy_from_slice(&crc);
        *out = frame;
    }
}

pub(super) fn checksum(len: [u8; 4], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&len);
    hasher.update(payload);
    hasher.finalize()
}

/// The hash of what a scene has returned, one step further: the first 8 bytes of a SHA-256. A step that returns nothing
/// leaves it as it is.
pub(super) fn chained(chain: u64, commands: &[Command], scratch: &mut Vec<u8>) -> u64 {
    if commands.is_empty() {
        return chain;
    }
    scratch.clear();
    scratch.extend(chain.to_le_bytes());
    *scratch = postcard::to_extend(commands, std::mem::take(scratch)).expect("commands are plain data");
    let digest = Sha256::digest(&*scratch);
    u64::from_le_bytes(digest[..8].try_into().expect("a SHA-256 has 32 bytes"))
}

/// Bytes as one piece, and not one by one.
mod bytes {
    use std::borrow::Cow;

    use serde::{Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'static, [u8]>, D::Error> {
        struct Whole;

        impl de::Visitor<'_> for Whole {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
        }

        deserializer.deserialize_bytes(Whole).map(Cow::Owned)
    }
}
