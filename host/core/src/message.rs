//! What services tell each other and their users. The names are the seed's: Req asks and is
//! answered by Res; Syn tells.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::chat::Moderate;
use crate::ids::{AllocationId, ConnectionId, DomainName, NodeId, SceneId, Seat, SessionId, UserId};
use crate::read::{Load, Scan, ScanRecords};
use crate::refusal::Refusal;
use crate::scene_list::Page;
use crate::token::Secret;
use crate::{auth, db, lobby, matching, scene_master, scene_service};

/// A message with its address. There is one kind for each kind of receiver, so a message cannot
/// reach a service that does not know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// To Auth.
    Auth(auth::Event),
    /// To the host's store: asks for records, answered to Auth.
    #[serde(skip)]
    Load(Load),
    /// To the host's store: asks for keys, answered to Auth.
    #[serde(skip)]
    Scan(Scan),
    /// To the host: asks for work that takes long or needs the world, answered to Auth.
    #[serde(skip)]
    Check(auth::Check),
    /// To whoever asked over HTTP; the number is theirs.
    Door(u64, Result<Box<auth::Answer>, Refusal>),
    /// To Db.
    Db(db::Event),
    /// To the host's store: asks for records, answered to Db.
    #[serde(skip)]
    LoadForDb(Load),
    /// To the host's store: asks for records that follow each other, answered to Db.
    #[serde(skip)]
    ScanForDb(ScanRecords),
    /// To the host's store: asks for records that follow each other, answered to SceneMaster.
    #[serde(skip)]
    ScanForMaster(ScanRecords),
    /// To whoever asked Db over HTTP; the number is theirs.
    DbDoor(u64, Result<Box<db::Answer>, Refusal>),
    /// To the lobby of this node.
    Lobby(lobby::Event),
    /// To the match handler of a domain.
    Match(DomainName, matching::Event),
    /// To SceneMaster.
    SceneMaster(scene_master::Event),
    /// To the SceneService of a node.
    SceneService(NodeId, scene_service::Event),
    /// To the SceneServices of all nodes.
    EverySceneService(scene_service::Event),
    /// To everyone concerned: a service went up or down, as the service itself says.
    Service(ServiceName, bool),
    /// To the SceneService of the node that sends this.
    #[serde(skip)]
    OwnSceneService(scene_service::Event),
    /// To the handler of a scene, on this node.
    #[serde(skip)]
    Scene(SceneId, scene_service::ToScene),
    /// To a user's lobby connection.
    User(ToUser),
    /// To many users' lobby connections, the same.
    Users(ToUsers),
    /// To the host: asks the operator's moderation about a message, answered to the lobby.
    #[serde(skip)]
    Moderate(Moderate),
    /// To the operator who asked SceneMaster; the number is theirs.
    Operator(u64, Result<Box<scene_master::Answer>, Refusal>),
    /// To the process of a node: no scene on it was allocated for its time to live.
    NodeIdle(NodeId),
    /// To the process of a node: it is drained, and may exit.
    NodeDrained(NodeId),
}

impl From<auth::Event> for Message {
    fn from(event: auth::Event) -> Self {
        Self::Auth(event)
    }
}

impl From<Load> for Message {
    fn from(load: Load) -> Self {
        Self::Load(load)
    }
}

impl From<Scan> for Message {
    fn from(scan: Scan) -> Self {
        Self::Scan(scan)
    }
}

impl From<auth::Check> for Message {
    fn from(check: auth::Check) -> Self {
        Self::Check(check)
    }
}

impl From<db::Event> for Message {
    fn from(event: db::Event) -> Self {
        Self::Db(event)
    }
}

impl From<lobby::Event> for Message {
    fn from(event: lobby::Event) -> Self {
        Self::Lobby(event)
    }
}

impl From<scene_master::Event> for Message {
    fn from(event: scene_master::Event) -> Self {
        Self::SceneMaster(event)
    }
}

impl From<ToUser> for Message {
    fn from(to_user: ToUser) -> Self {
        Self::User(to_user)
    }
}

/// The services, as users and operators hear of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceName {
    /// Sign-in.
    Auth,
    /// The lobby.
    Lobby,
    /// Matching.
    Match,
    /// The authority over scenes.
    SceneMaster,
    /// A node's scenes.
    SceneService,
    /// The store.
    Db,
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auth => "sign-in",
            Self::Lobby => "the lobby",
            Self::Match => "matching",
            Self::SceneMaster => "making scenes",
            Self::SceneService => "running scenes",
            Self::Db => "saving",
        })
    }
}

/// One frame for a lobby connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToUser {
    /// Which connection.
    pub connection: ConnectionId,
    /// Its number on the user's line; 0 if it is about this connection only.
    pub seq: u32,
    /// The request that this answers; 0 if it answers none.
    pub request: u32,
    /// What is told.
    pub notice: Notice,
}

/// One frame for many lobby connections, outside of their lines. It may be left out where a connection has much to
/// read already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToUsers {
    /// Which connections.
    pub connections: Vec<ConnectionId>,
    /// What is told.
    pub notice: Notice,
}

/// What a lobby connection is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// The user is signed in.
    ResSignIn(SignedIn),
    /// A request was refused.
    Refused(Refusal),
    /// How the search stands.
    SynMatchState(MatchState),
    /// The match is made, or the way back to the seat is open.
    ResMatch(Entry),
    /// A part of the list of domains.
    ResDomains(Arc<lobby::Domains>),
    /// A part of the list of scenes.
    ResFindScenes(Arc<Page>),
    /// The way to watch a scene, and how much later than the players the user will see it, in milliseconds.
    ResWatch(Entry, u64),
    /// A service went up or down.
    SynService(ServiceName, bool),
    /// Matching in a domain went up or down, of which the user has heard or is to hear.
    SynHandler {
        /// Where.
        domain: DomainName,
        /// Whether it is up now.
        up: bool,
    },
    /// For a domain scenes can be made again, or can not, and users cannot come back to those that there are: its
    /// SceneMaster, which is not that of all domains, went up or down.
    SynScenes {
        /// Which.
        domain: DomainName,
        /// Whether it is up now.
        up: bool,
    },
    /// The user's scene is over for the user.
    SynSceneEnded(SceneEnded),
    /// Db has done what was asked. Shared by the frame that leaves and the one that is kept for a return.
    Answer(Arc<db::Answer>),
    /// Something has changed for the user.
    News(Arc<db::News>),
    /// What friends of the user's are doing now.
    SynPresence(Vec<(UserId, lobby::Presence)>),
    /// The connection will be closed after this.
    SynClosing(Refusal),
}

impl Notice {
    /// About how many bytes it takes where it is kept for a user's return.
    pub fn bytes(&self) -> usize {
        const NOTICE_BYTES: usize = 256;
        NOTICE_BYTES
            + match self {
                Self::Answer(answer) => answer.bytes(),
                Self::News(news) => news.bytes(),
                Self::ResDomains(domains) => domains.bytes(),
                Self::ResFindScenes(page) => page.bytes(),
                Self::SynPresence(told) => size_of_val(&told[..]),
                Self::SynSceneEnded(ended) => ended.results.len() * size_of::<PlayerResult>(),
                _ => 0,
            }
    }
}

/// A user who is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIn {
    /// Who it is.
    pub user: UserId,
    /// The display name.
    pub name: String,
    /// Which session.
    pub session: SessionId,
    /// The session's tokens.
    pub tokens: auth::account::Tokens,
    /// Whether the account was made just now.
    pub created: bool,
    /// The line goes on: what was missed follows. Else everything begins anew.
    pub resumed: bool,
    /// The number after which frames go on.
    pub after_seq: u32,
    /// How long everything is kept after a drop.
    pub grace_ms: u64,
    /// The highest number of a request that has come over this line.
    pub last_request: u32,
    /// How the search stands that the user is in.
    pub match_state: Option<MatchState>,
    /// The scene in which the user still has a seat.
    pub scene: Option<SceneId>,
    /// The services that are down.
    pub services_down: Vec<ServiceName>,
    /// The domains without matching, or whose SceneMaster is down.
    #[serde(default)]
    pub domains_down: Vec<DomainName>,
}

/// How a search for a match stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MatchState {
    /// No search; and why it ended, if it ended by itself.
    Idle(Option<Refusal>),
    /// Waiting for others.
    Searching(Searching),
    /// The players are found, and each is asked to accept.
    Found(Found),
    /// The players are found, the scene is being made.
    Placing {
        /// Where.
        domain: DomainName,
    },
}

/// A match that waits to be accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Where.
    pub domain: DomainName,
    /// How many users it has.
    pub players: u32,
    /// How many of them have accepted.
    pub accepted: u32,
    /// Whether this user has.
    pub you_accepted: bool,
    /// How long there is still to accept, in milliseconds.
    pub left_ms: u64,
}

/// A waiting ticket, as its user may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Searching {
    /// Where.
    pub domain: DomainName,
    /// For how long, in milliseconds.
    pub waited_ms: u64,
    /// How far apart ratings may be now.
    pub rating_range: u32,
    /// How long a round trip may take now, in milliseconds, where that counts.
    pub ping_ms: Option<u16>,
    /// What was wanted of the others and counts no longer: the names of properties.
    pub relaxed: Vec<String>,
    /// Within how long three of four tickets of such a rating have found their match lately, in milliseconds since
    /// they asked; `None`: too few have.
    pub usual_wait_ms: Option<u64>,
    /// How many tickets wait in the domain.
    pub waiting: u32,
    /// The fewest players of a match, after so much waiting.
    pub players_min: u32,
    /// The most.
    pub players_max: u32,
}

/// The way into a scene for one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Which scene.
    pub scene: SceneId,
    /// For what it was given: a scene can be used again.
    pub allocation: Option<AllocationId>,
    /// The domain it belongs to.
    pub domain: DomainName,
    /// Where its connections go: a URL, or a path on the lobby's own host.
    pub url: String,
    /// The secret of the seat.
    pub secret: Secret,
    /// How long the secret is good for, in milliseconds.
    pub expires_in_ms: u64,
}

/// A player of a scene.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Player {
    /// The seat.
    pub seat: Seat,
    /// Who it is.
    pub user: UserId,
    /// The display name.
    pub name: String,
    /// The rating in the scene's domain.
    pub rating: i32,
    /// The team, from 0.
    pub team: u32,
    /// The role in the team, in domains with roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Those of a scene who share this number have come together.
    #[serde(default)]
    pub party: u32,
}

/// What matching has arranged for a game, beside its players.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arranged {
    /// Where the game shall run; `None`: anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// What the players have agreed on, such as the map: names and values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<(String, String)>,
    /// How many places the game shall fill with bots.
    #[serde(default)]
    pub bots: u32,
}

/// How one player ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlayerResult {
    /// The seat.
    pub seat: Seat,
    /// 1 is best; equal places are a draw.
    pub place: u32,
    /// The game's own points.
    pub score: i64,
}

/// That a scene is over, for one user or for all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SceneEnded {
    /// Which scene.
    pub scene: SceneId,
    /// Why.
    pub reason: EndReason,
    /// The results, if the game was decided.
    pub results: Vec<PlayerResult>,
}

/// Why a scene is over, for one user or for all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// The game is over as intended.
    Finished,
    /// The game's logic failed or passed a limit.
    Crashed(String),
    /// The game misbehaved too often and was stopped from outside.
    Misbehaved(String),
    /// The user left.
    Left,
    /// The game, or an operator, removed the user.
    Kicked(String),
    /// The user's account was closed.
    AccountClosed,
    /// The host is stopping, or an operator stopped the scene.
    Stopped,
    /// The game has sent the user on to the next match.
    NextMatch,
    /// The user's time to come back has passed, or nobody came at all.
    Expired,
    /// The user's time to enter has passed.
    NeverJoined,
    /// The scene came to its maximum of time.
    TimeLimit,
    /// Nobody was left.
    Empty,
    /// The machine that ran it is taken out of service.
    Drained,
    /// Nobody needed it.
    Idle,
    /// It was ready, and its fleet has changed.
    Replaced,
}

impl EndReason {
    /// What users are told, beyond the reason itself.
    pub fn text(&self) -> String {
        match self {
            Self::Finished => "the game is over".to_owned(),
            Self::Crashed(text) => format!("the game ended because of a fault in it: {text}"),
            Self::Misbehaved(text) => format!("the game was stopped because {text}"),
            Self::Left => "you left the game".to_owned(),
            Self::Kicked(text) => format!("you were removed from the game: {text}"),
            Self::AccountClosed => "your account was closed".to_owned(),
            Self::Stopped => "the game was stopped by its operators".to_owned(),
            Self::NextMatch => "the game looks for your next match".to_owned(),
            Self::Expired => "your seat was given up because you were away for too long".to_owned(),
            Self::NeverJoined => "your seat was given up because you did not enter in time".to_owned(),
            Self::TimeLimit => "the game reached its time limit".to_owned(),
            Self::Empty => "nobody was left in the game".to_owned(),
            Self::Drained => "the game had to end because its machine is taken out of service".to_owned(),
            Self::Idle => "nobody needed the game".to_owned(),
            Self::Replaced => "the game has a newer version".to_owned(),
        }
    }

    /// The reason without its text, for tables and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Finished => "Finished",
            Self::Crashed(_) => "Crashed",
            Self::Misbehaved(_) => "Misbehaved",
            Self::Left => "Left",
            Self::Kicked(_) => "Kicked",
            Self::AccountClosed => "AccountClosed",
            Self::Stopped => "Stopped",
            Self::NextMatch => "NextMatch",
            Self::Expired => "Expired",
            Self::NeverJoined => "NeverJoined",
            Self::TimeLimit => "TimeLimit",
            Self::Empty => "Empty",
            Self::Drained => "Drained",
            Self::Idle => "Idle",
            Self::Replaced => "Replaced",
        }
    }
}
