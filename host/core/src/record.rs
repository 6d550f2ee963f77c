//! The stored records: their keys and their JSON. Versions of a record differ only by fields with
//! defaults; a record that cannot be read is an error with its key, never a panic.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::ids::{
    AllocationId, Build, DomainName, Epoch, FleetName, Incarnation, MatchId, NodeId, SceneId, Time, UserId,
};
use crate::message::{Arranged, EndReason, Player, PlayerResult};
use crate::scene_master::Asked;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// The display name.
    pub name: String,
    /// When the user signed in for the first time.
    pub created: Time,
}

/// The rating of a newcomer, and of who has not played in a domain.
pub const RATING_START: i32 = 1500;

/// A scene, as SceneMaster has decided it: all that a fresh SceneMaster needs to go on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SceneRecord {
    /// Which incarnation.
    pub epoch: Epoch,
    /// How it runs.
    pub fleet: FleetName,
    /// Where it runs.
    pub node: NodeId,
    /// The state's name, as in the table of SceneMaster.
    pub state: String,
    /// When the state ends by itself, if it does.
    pub deadline: Option<Time>,
    /// The users with seats.
    pub users: Vec<UserId>,
    /// What it is made of.
    #[serde(default)]
    pub build: Build,
    /// When its session began.
    #[serde(default)]
    pub born: Time,
    /// Whether it has a slot of its node.
    #[serde(default)]
    pub holds_slot: bool,
    /// How many sessions it has had.
    #[serde(default)]
    pub sessions: u32,
    /// Who waits for it, until it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocation: Option<AllocationId>,
    /// The domain it was matched in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<DomainName>,
    /// The match that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_id: Option<MatchId>,
    /// What matching has arranged for it.
    #[serde(default)]
    pub arranged: Arranged,
    /// How often it has had a lease of its search for players.
    #[serde(default)]
    pub seeks: u32,
    /// The matches of sessions before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past_matches: Vec<MatchId>,
    /// Its seats, by number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seats: Vec<SeatRecord>,
    /// When it has failed, as long as that counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crashes: Vec<Time>,
    /// When it has lost its machine, as long as that counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub falls: Vec<Time>,
    /// The node that has a slot for it while its own is to let it go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<NodeId>,
    /// When it has misbehaved, as long as that counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strikes: Vec<Time>,
    /// Why it stops, once it does, and how it was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<(EndReason, Vec<PlayerResult>)>,
    /// Only its session ends: its instance is for the next one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_kept: bool,
}

/// A node that is being drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainRecord {
    /// Its process ends when nothing is left on it.
    pub exits: bool,
}

/// A seat of a scene. Who has come in since is told by the scene itself; who has given it up is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatRecord {
    /// Whose it is.
    pub player: Player,
    /// How it is with it.
    pub state: SeatState,
    /// The game knows of it: from the beginning, or since its user came in.
    #[serde(default = "known")]
    pub is_known: bool,
    /// Why the scene has to take the user out, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove: Option<EndReason>,
}

fn known() -> bool {
    true
}

/// How it is with a seat, by SceneMaster's books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeatState {
    /// Its user is on the way in.
    Expected,
    /// Its user is inside, or dropped and within the grace period, which the scene keeps.
    Held,
    /// It was given up.
    Gone,
}

/// How long most keys are at most, in bytes.
const KEY_BYTES: usize = 64;

/// A key whose text has room from the beginning, for there are several in each request to Db.
pub(crate) fn key(text: fmt::Arguments<'_>) -> String {
    let mut key = String::with_capacity(KEY_BYTES);
    key.write_fmt(text).expect("a string takes all text");
    key
}

/// The key of a user's record.
pub fn user_key(user: UserId) -> String {
    format!("user/{user}")
}

/// The key of an account's record.
pub fn account_key(user: UserId) -> String {
    format!("account/{user}")
}

/// Where the index of expiry begins: its keys name accounts by the hour in which they have to be looked at.
pub const EXPIRY_PREFIX: &str = "expiry/";

/// Where an hour of the index of expiry begins. Ten digits reach further than anybody counts.
pub fn expiry_hour_key(hour: u64) -> String {
    format!("{EXPIRY_PREFIX}{hour:010}/")
}

/// The key that has an account looked at in this hour.
pub fn expiry_key(hour: u64, user: UserId) -> String {
    format!("{}{user}", expiry_hour_key(hour))
}

/// The account that a key of the index of expiry names.
pub fn expiry_user(key: &str) -> Option<UserId> {
    key.rsplit('/').next().filter(|user| user.len() == 16)?.parse().ok()
}

/// Where the orders begin to remove what is kept of users whose accounts are deleted.
pub const FORGET_PREFIX: &str = "forget/";

/// The key of the order to remove all that is kept of a user.
pub fn forget_key(user: UserId) -> String {
    format!("{FORGET_PREFIX}{user}")
}

/// Where the records of scenes begin.
pub const SCENE_PREFIX: &str = "scene/";

/// The key of a scene's record.
pub fn scene_key(scene: SceneId) -> String {
    format!("{SCENE_PREFIX}{scene}")
}

/// The keys of the copies of running games' journals begin with this, then the incarnation and the part.
pub const LIVE_JOURNAL_PREFIX: &str = "live-journal/";

/// Of which game's journal this is a part.
pub fn live_journal_of(key: &str) -> Option<Incarnation> {
    key.strip_prefix(LIVE_JOURNAL_PREFIX)?.split_once('/')?.0.parse().ok()
}

/// Where the fleets begin that operators have set.
pub const FLEET_PREFIX: &str = "fleet/";

/// The key of a fleet that operators have set.
pub fn fleet_key(fleet: &FleetName) -> String {
    format!("{FLEET_PREFIX}{fleet}")
}

/// Where the domains begin that operators have set.
pub const DOMAIN_PREFIX: &str = "domain/";

/// The key of a domain that operators have set.
pub fn domain_key(domain: &DomainName) -> String {
    format!("{DOMAIN_PREFIX}{domain}")
}

/// Where the plugins begin that were uploaded.
pub const PLUGIN_PREFIX: &str = "plugin/";

/// The key of a plugin's versions.
pub fn plugin_key(plugin: &str) -> String {
    format!("{PLUGIN_PREFIX}{plugin}")
}

/// Where the records begin of nodes that are being drained.
pub const DRAIN_PREFIX: &str = "drain/";

/// The key that says that a node is being drained.
pub fn drain_key(node: NodeId) -> String {
    format!("{DRAIN_PREFIX}{node}")
}

/// Where the results of games begin that Db has not recorded yet.
pub const FINISHED_PREFIX: &str = "finished/";

/// The key of a game's results, until Db has recorded them.
pub fn finished_key(allocation: AllocationId) -> String {
    format!("{FINISHED_PREFIX}{allocation}")
}

/// A stored record that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the stored record {key} cannot be read ({cause}); restore it from a backup or delete it")]
pub struct Unreadable {
    /// Which record.
    pub key: String,
    /// Why.
    pub cause: serde_json::Error,
}

/// A record as bytes.
pub fn encode<T: Serialize>(record: &T) -> Vec<u8> {
    serde_json::to_vec(record).expect("records are plain data, which JSON can always hold")
}

/// A record from bytes.
pub fn decode<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(bytes).map_err(|cause| Unreadable { key: key.to_owned(), cause })
}

/// Bytes in a record's JSON, as text of base64.
pub mod base64 {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    /// Writes bytes.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    /// Reads bytes.
    ///
    /// # Errors
    /// The deserializer's, and for text that is not base64.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        BASE64_STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
