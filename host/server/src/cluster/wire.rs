//! What nodes say to each other, as bytes: MessagePack with the names of fields.
//!
//! Two versions of the binary talk while a cluster is being upgraded. So a field that is new has a default, a field that
//! is not known is passed over, and a message that is not known is refused, and counted, where it comes in: its sender
//! has a deadline.

use bytes::Bytes;
use scenehost_core::Message;
use scenehost_core::scene_master::Offer;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};

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
    /// What the message says. A unit takes it in this epoch only; 0: it is for no unit.
    Service { epoch: u64, message: Box<Message> },
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

/// Bytes that are no message of this version.
#[derive(Debug, thiserror::Error)]
#[error("{what} of another version, or damaged: {cause}")]
pub struct Unreadable {
    what: &'static str,
    cause: rmp_serde::decode::Error,
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

#[cfg(test)]
mod tests {
    use scenehost_core::message::{EndReason, Notice, SceneEnded, ToUser};
    use scenehost_core::scene_master::Capacity;
    use scenehost_core::{ConnectionId, Epoch, Message, NodeId, Refusal, SceneId, ServiceName, scene_service};
    use serde::Serialize;

    use super::*;

    fn to_service(message: Message) -> Envelope {
        Envelope { from: Some((Unit::SceneMaster, 3)), to: To::Service { epoch: 7, message: Box::new(message) } }
    }

    fn end(reason: EndReason) -> Message {
        let (scene, epoch) = (SceneId(u64::MAX), Epoch(2));
        let event = scene_service::Event::ReqDestroyScene { scene, epoch, reason, results: Vec::new(), keep: false };
        Message::SceneService(NodeId(4), event)
    }

    #[test]
    fn what_is_said_is_heard() {
        let ended = SceneEnded { scene: SceneId(1), reason: EndReason::Finished, results: Vec::new() };
        let notices = [
            Notice::SynSceneEnded(ended),
            Notice::Refused(Refusal::Busy("one at a time".into())),
            Notice::Refused(Refusal::TooOften { what: "tries".into(), ms: 5 }),
            Notice::SynService(ServiceName::SceneMaster, false),
            Notice::SynHandler { domain: "duel".into(), up: false },
        ];
        let to_users =
            notices.map(|notice| Message::User(ToUser { connection: ConnectionId(9), seq: 1, request: 2, notice }));
        let others =
            [end(EndReason::Crashed("a fault".to_owned())), end(EndReason::Left), Message::NodeDrained(NodeId(1))];
        for message in to_users.into_iter().chain(others) {
            let said = to_service(message);
            let bytes = said.encode().expect("it may leave its process");
            assert_eq!(Envelope::decode(&bytes).expect("it is whole"), said);
        }
        let said = Envelope { from: None, to: To::Changed(Changed::Domains) };
        assert_eq!(Envelope::decode(&said.encode().expect("it may leave")).expect("it is whole"), said);
    }

    #[test]
    fn what_stays_in_its_process_is_not_written() {
        let load = scenehost_core::read::Load { job: 1, keys: Vec::new() };
        assert_eq!(to_service(Message::Load(load)).encode(), None);
    }

    #[test]
    fn bytes_that_are_damaged_cut_or_of_no_message_are_refused() {
        let bytes = to_service(end(EndReason::Idle)).encode().expect("it may leave its process");
        for length in 0..bytes.len() {
            assert!(Envelope::decode(&bytes[..length]).is_err(), "{length}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 0xc1;
            let _ = Envelope::decode(&damaged); // Refused, or another message; nothing panics.
        }
    }

    #[test]
    fn a_node_of_a_later_version_may_say_more_of_itself() {
        #[derive(Serialize)]
        struct Later {
            mood: &'static str,
            version: u32,
            release: &'static str,
            roles: Vec<&'static str>,
            holds: Vec<Held>,
            offer: Option<Offer>,
        }
        let held = Held { unit: Unit::Match("duel".into()), epoch: 5, serves: true };
        let offer = Offer { url: "ws://a".to_owned(), capacity: Capacity::scenes(3), idle: None, region: None };
        let later = Later {
            mood: "well",
            version: VERSION,
            release: "9",
            roles: vec!["match", "oracle"],
            holds: vec![held.clone()],
            offer: Some(offer.clone()),
        };
        let heard = Hello::decode(&rmp_serde::to_vec_named(&later).expect("plain data")).expect("it can be read");
        assert_eq!((heard.roles, heard.holds, heard.offer), (vec![Role::Match], vec![held], Some(offer)));
        assert!(!heard.reaches_store, "it has not said so");
    }
}
