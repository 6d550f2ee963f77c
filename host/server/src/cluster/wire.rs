//! What nodes say to each other, as bytes: MessagePack with the names of fields.
//!
//! Two versions of the binary talk while a cluster is being upgraded. So a field that is new has a default, a field that
//! is not known is passed over, and a message that is not known is refused, and counted, where it comes in: its sender
//! has a deadline.

use bytes::Bytes;
use scenehost_core::Message;
use scenehost_core::scene_master::Offer;
use serde::{Deserialize, Serialize};

use super::unit::{Role, Unit};

/// Raised when a node of the version before could not go on with what this one says.
pub const VERSION: u32 = 1;

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// See [`VERSION`].
    pub version: u32,
    /// Of the binary, for operators.
    pub release: String,
    pub roles: Vec<Role>,
    /// The units that it runs.
    pub holds: Vec<Held>,
    /// What it offers to SceneMaster, if it runs scenes.
    pub offer: Option<Offer>,
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
    /// What the message says. A unit takes it in this epoch only; 0: it is for no unit.
    Service { epoch: u64, message: Box<Message> },
    /// The node: operators have changed what is in the store of this kind.
    Changed(Changed),
}

/// What operators change on one node, and all have to read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Changed {
    Fleets,
    Domains,
    Plugins,
}

/// Bytes that are no message of this version.
#[derive(Debug, thiserror::Error)]
#[error("{what} of another version, or damaged: {cause}")]
pub struct Unreadable {
    what: &'static str,
    cause: rmp_serde::decode::Error,
}

impl Hello {
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// # Errors
    /// Bytes that are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        rmp_serde::from_slice(bytes).map_err(|cause| Unreadable { what: "what a node says of itself", cause })
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
        rmp_serde::from_slice(bytes).map_err(|cause| Unreadable { what: "a message between nodes", cause })
    }
}

fn encode(plain: &impl Serialize) -> Bytes {
    rmp_serde::to_vec_named(plain).expect("plain data can always be written").into()
}
