//! What nodes say to each other, as bytes: MessagePack with the names of fields.
//!
//! Two versions of the binary talk while a cluster is being upgraded. So a field that is new has a default, a field that
//! is not known is passed over, and a message that is not known is refused, and counted, where it comes in: its sender
//! has a deadline. `wire/frozen` has messages as they are now, which later versions have to understand. Where that is not
//! possible [`SPEAKS`] is raised, and nodes of both kinds do not work together; see [`super::node`].

use bytes::Bytes;
use scenehost_core::Message;
use scenehost_core::scene_master::Offer;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};

use super::unit::{Role, Unit};
use crate::store::lease::Speaks;

/// What this version of the binary says, and the oldest version that it can work with. Raised when a node of the version
/// before could not go on with what this one says.
pub const SPEAKS: Speaks = Speaks { version: 1, oldest: 1 };

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// What it says; see [`SPEAKS`].
    pub version: u32,
    /// The oldest version that it can work with.
    #[serde(default = "first")]
    pub oldest: u32,
    /// Of the binary, for operators.
    pub release: String,
    /// Those that this version knows.
    #[serde(deserialize_with = "known")]
    pub roles: Vec<Role>,
    /// The units that it runs; those that this version knows.
    #[serde(deserialize_with = "known")]
    pub holds: Vec<Held>,
    /// What it offers to SceneMaster, if it runs scenes.
    pub offer: Option<Offer>,
    /// It reaches the store. One of a version that does not say so is not counted on.
    #[serde(default)]
    pub reaches_store: bool,
}

/// A unit that a node runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub unit: Unit,
    pub epoch: u64,
    /// It serves; else it is still finding out what there is.
    pub serves: bool,
}

/// A message from one node to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Which unit says it, in which epoch; `None`: an edge, a scene, a SceneService or an operator.
    pub from: Option<(Unit, u64)>,
    /// For whom.
    pub to: To,
}

/// For whom something is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum To {
    /// A unit, which takes it in this epoch only.
    Unit { unit: Unit, epoch: u64, message: Box<Message> },
    /// What the message says, on the node itself.
    Node { message: Box<Message> },
    /// The node: operators have changed what is in the store of this kind.
    Changed(Changed),
}

/// What operators change on one node, and all have to read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Changed {
    Fleets,
    Domains,
    Plugins,
    /// The plugins, and running scenes of this one change to what their fleets are then.
    Swap(String),
}

/// Those of a list that can be read: a node of a later version may have roles and units that this one does not know.
fn known<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Vec<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Entry<T> {
        Known(T),
        Unknown(IgnoredAny),
    }
    let entries = Vec::<Entry<T>>::deserialize(from)?;
    let known = entries.into_iter().filter_map(|entry| match entry {
        Entry::Known(known) => Some(known),
        Entry::Unknown(IgnoredAny) => None,
    });
    Ok(known.collect())
}

/// The version of those that do not say what they can work with.
fn first() -> u32 {
    1
}

/// Bytes that are no message of this version.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("{what} of another version, or damaged: {cause}")]
    Bytes { what: &'static str, cause: rmp_serde::decode::Error },
    #[error("it {0}, and this node {SPEAKS}: they cannot work together")]
    Foreign(Speaks),
}

impl Changed {
    /// All that there is to read.
    pub const ALL: [Self; 3] = [Self::Plugins, Self::Fleets, Self::Domains];
}

impl Hello {
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// # Errors
    /// Bytes that are none, or a node that this one cannot work with.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        struct Versions {
            version: u32,
            #[serde(default = "first")]
            oldest: u32,
        }
        // Alone, for the rest may not be readable then.
        let Versions { version, oldest } = decode("what a node says of itself", bytes)?;
        let speaks = Speaks { version, oldest };
        if !SPEAKS.works_with(speaks) {
            return Err(Unreadable::Foreign(speaks));
        }
        decode("what a node says of itself", bytes)
    }
}

impl Envelope {
    /// `None`: it has a message that stays in its process.
    pub fn encode(&self) -> Option<Bytes> {
        rmp_serde::to_vec_named(self).ok().map(Bytes::from)
    }

    /// # Errors
    /// Bytes that are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        decode("a message between nodes", bytes)
    }
}

fn decode<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, Unreadable> {
    rmp_serde::from_slice(bytes).map_err(|cause| Unreadable::Bytes { what, cause })
}

fn encode(plain: &impl Serialize) -> Bytes {
    rmp_serde::to_vec_named(plain).expect("plain data can always be written").into()
}

#[cfg(test)]
mod frozen;
#[cfg(test)]
mod tests;
