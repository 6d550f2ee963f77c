//! Journals: everything that has gone into one scene, in its order, so that the scene can be made again.
//!
//! A scene is a function of its inputs. A journal holds these: how the scene began, the events of every step, who asked
//! to enter, and at intervals its whole state. Of what came out it holds a hash that grows with every step, so that a
//! replay can tell where it comes to something else.
//!
//! - `Recorder` (inside of a [`crate::Worker`]) writes one, as bytes that the owner of the scenes keeps.
//! - [`Reader`] reads it back and finds damage.
//! - [`export`] tells it in JSON.
//! - [`replay`] runs it again, bit for bit; [`verify`] runs it on another version of the game.
//! - [`crate::Worker::recover`] goes on from its end.
//!
//! The bytes: a [`MAGIC`], then frames. A frame is the length of its payload, the same with every bit inverted, so
//! that a damaged length is no end, and a CRC-32 of length and payload, each 4 bytes in little-endian order; then the
//! payload, which is an [`Entry`] as the crate `postcard` writes it. The first one is [`Entry::Begin`].
//!
//! Invariant: a journal says what was done with an instance, call by call, and nothing that a replay would have to guess.

mod entry;
pub mod export;
mod kept;
mod reader;
mod recorder;
mod replay;
mod tail;

pub use entry::{About, During, Entry, FRAME_BYTES_MAX, Header, MAGIC, Step};
pub use kept::Kept;
pub use reader::{Damage, Reader, Unreadable};
pub(crate) use recorder::{Recorder, step};
pub(crate) use replay::{Compare, Replayer};
pub use replay::{Divergence, Ended, Error, Nobody, Observer, Report, Stepped, replay, verify};
pub use tail::tail;

/// How a scene's journal is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalSpec {
    /// What is said of the scene at its beginning.
    pub about: About,
    /// After so many steps the scene's whole state is put in. The fewer, the sooner a scene is back after a crash, and
    /// the more its journal takes.
    pub snapshot_steps: u32,
}

/// What is to be put behind a scene's journal, before anything that its step has sent goes out.
#[derive(Clone, Copy, Debug)]
pub enum Journaled<'a> {
    /// It begins with this.
    Begun(&'a [u8]),
    /// It goes on.
    Added(&'a [u8]),
    /// It goes on with the scene's whole state. `head` and this together are a journal of their own that goes on from
    /// here: what was before is needed for a replay from the beginning, and not for going on.
    Snapshot { head: &'a [u8], bytes: &'a [u8] },
}
