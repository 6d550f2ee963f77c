//! What SceneMaster can be told, and by whom.

use std::collections::BTreeMap;

use super::fleets::Builds;
use super::nodes::{Capacity, Idle, Load};
use super::operator::Order;
use serde::{Deserialize, Serialize};

use crate::config::Fleet;
use crate::ids::{AllocationId, DomainName, Epoch, FleetName, MatchId, NodeId, SceneId, Seat, UserId};
use crate::matching::backfill::{Lease, Opening};
use crate::message::{EndReason, PlayerResult, ServiceName};
use crate::partition::{Partition, Shard};
use crate::read::Scanned;
use crate::record::SceneRecord;
use crate::refusal::Refusal;
use crate::results::Finished;
use crate::scene_list::{Label, Query};
use crate::scene_service::Report;

use super::joining::Joiner;

/// A user whom Match put into a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matched {
    /// Who.
    pub user: UserId,
    /// The display name.
    pub name: String,
    /// The rating in the domain.
    pub rating: i32,
    /// The team, from 0.
    pub team: u32,
    /// The role in the team, in domains with roles.
    pub role: Option<String>,
    /// Those who share this number have come together.
    pub party: u32,
}

/// Why a scene asks for its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// The game is over as intended.
    Finished(Vec<PlayerResult>),
    /// The game's logic failed or passed a limit.
    Crashed(String),
    /// The game cannot go on, and could not if it began anew.
    GivenUp(String),
    /// Nobody holds a seat any more.
    Empty,
}

/// How a scene can misbehave without failing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Misbehaviour {
    /// A step took longer than its fleet's soft limit.
    Slow,
    /// It uses more memory than its fleet's soft limit.
    Memory,
    /// It does not answer its node.
    Silence,
}

impl Misbehaviour {
    /// What users and operators are told.
    pub fn text(self) -> &'static str {
        match self {
            Self::Slow => "its steps took too long",
            Self::Memory => "it used too much memory",
            Self::Silence => "it did not answer",
        }
    }

    /// Its name, for metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Memory => "memory",
            Self::Silence => "silence",
        }
    }
}

/// What SceneMaster can be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Match wants a scene for a group; idempotent by the match's id.
    ReqCreateScene {
        /// Which group.
        match_id: MatchId,
        /// Its domain.
        domain: DomainName,
        /// How the scene shall run.
        fleet: FleetName,
        /// Who gets a seat, in the order of seats.
        players: Vec<Matched>,
        /// What they have agreed on, such as the map: names and values, for the game.
        choices: Vec<(String, String)>,
        /// Where the scene shall run; `None`: anywhere.
        region: Option<String>,
        /// How many places the game shall fill with bots.
        bots: u32,
    },
    /// Match has users for a scene that wants some; answered by [`matching::Event::ResCreateScene`], with their ways
    /// in. Idempotent by the match's id.
    ReqFillSeats {
        /// Which group.
        match_id: MatchId,
        /// Its domain.
        domain: DomainName,
        /// By what right the scene gets them.
        lease: Lease,
        /// Who.
        players: Vec<Matched>,
    },
    /// What fleets are from now on.
    Fleets {
        /// All of them, with what their scenes are made of.
        fleets: BTreeMap<FleetName, (Builds, Fleet)>,
    },
    /// An operator wants something else; answered by [`Message::Operator`].
    ReqOperator {
        /// The operator's number for this.
        number: u64,
        /// What.
        order: Order,
    },
    /// An operator wants scenes without seats; answered by [`Message::Operator`].
    ReqCreateByHand {
        /// The operator's number for this.
        number: u64,
        /// How the scenes shall run.
        fleet: FleetName,
        /// How many.
        count: u32,
    },
    /// A SceneService's answer.
    ResCreateScene {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// Whether it runs.
        result: Result<(), Refusal>,
    },
    /// A user is inside.
    SynUserJoined {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// Which seat.
        seat: Seat,
    },
    /// A seat was given up, or the way to it was not taken in time.
    SynUserLeft {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// Which seat.
        seat: Seat,
        /// Why.
        reason: EndReason,
    },
    /// A scene wants to end.
    ReqAskDestroyScene {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// Why.
        ask: Ask,
    },
    /// A scene has ended, or its session has.
    ResDestroyScene {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// Its instance is kept for the next session.
        kept: bool,
    },
    /// Whether a node has let a scene go, which goes on elsewhere from its journal.
    ResReleaseScene {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// `Ok`: no such incarnation lives there any more. Else why it stays.
        result: Result<(), Refusal>,
    },
    /// A lobby that does not know of a user wants to know of the user's seat; answered by [`lobby::Event::ResSeat`].
    ReqSeat {
        /// Who.
        user: UserId,
        /// The lobby's number.
        number: u64,
    },
    /// A user wants back to the seat; answered by [`lobby::Event::ResRejoin`].
    ReqRejoin {
        /// Who.
        user: UserId,
        /// In which scene.
        scene: SceneId,
    },
    /// A user may not play any more.
    ReqRemoveUser {
        /// Who.
        user: UserId,
    },
    /// Whether a scene has noted a new token.
    ResAddToken {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// Whose.
        seat: Seat,
        /// Whether it will let the holder in.
        result: Result<(), Refusal>,
    },
    /// A user wants a part of the list of scenes; answered by [`lobby::Event::ResFindScenes`].
    ReqFindScenes {
        /// Who.
        user: UserId,
        /// The lobby's number.
        number: u64,
        /// Which part.
        query: Box<Query>,
    },
    /// How a game describes its scene.
    SynLabel {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// How.
        label: Label,
    },
    /// A game wants players from Match, or none any more. It is said again with each report of the scene.
    SynSeekPlayers {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// The scene's number of this search, from 1; what has a lower one than before is passed over.
        number: u64,
        /// What is open, as far as the game knows; empty: nothing.
        openings: Vec<Opening>,
    },
    /// A game has sent users on to their next match: they have left it.
    SynMatchAgain {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// Which seats.
        seats: Vec<Seat>,
        /// Where they look for a match.
        domain: DomainName,
        /// With one ticket for all of them.
        together: bool,
    },
    /// Who watches a scene, for a SceneMaster that has asked what there is.
    SynSpectators {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// Who.
        users: Vec<UserId>,
    },
    /// A user wants a seat in a running scene; answered by [`lobby::Event::ResJoinInProgress`].
    ReqJoinInProgress {
        /// The lobby's number.
        number: u64,
        /// Which scene.
        scene: SceneId,
        /// Who.
        joiner: Box<Joiner>,
    },
    /// Whether a scene has a seat that it was given.
    ResAddSeat {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// Which seat.
        seat: Seat,
        /// Whether it will let its user in.
        result: Result<(), Refusal>,
    },
    /// A user wants to watch a scene; answered by [`lobby::Event::ResWatch`].
    ReqWatch {
        /// Who.
        user: UserId,
        /// The lobby's number.
        number: u64,
        /// Which scene.
        scene: SceneId,
    },
    /// Whether a scene lets a user watch.
    ResAddSpectator {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// Who.
        user: UserId,
        /// Whether it has noted the way in.
        result: Result<(), Refusal>,
    },
    /// A user watches no more, or has not come to watch in time.
    SynSpectatorLeft {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// Who.
        user: UserId,
    },
    /// Match wants nothing of the scene for a group any more, or nothing of the seats that it had filled: nobody of it
    /// was told of the scene. Idempotent.
    ReqCancelScene {
        /// Which group.
        match_id: MatchId,
    },
    /// A user who was to come into a scene will not, for the lobby has given up that search. Idempotent.
    ReqGiveUpSeat {
        /// Who.
        user: UserId,
        /// Which scene.
        scene: SceneId,
    },
    /// A scene has misbehaved.
    SynMisbehaved {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// How.
        kind: Misbehaviour,
    },
    /// What a node tells of its scenes. A node that is not known offers to run scenes with that.
    SynReport(Box<Report>),
    /// What is taken of a node, by shard: it has changed, or somebody has thought that there is room.
    SynLoad {
        /// Which node.
        node: NodeId,
        /// Of each shard that has scenes there.
        load: BTreeMap<Shard, Load>,
    },
    /// The records that a fresh SceneMaster has asked for.
    Scanned {
        /// The number of the question.
        job: u64,
        /// The records.
        records: Scanned,
    },
    /// A node offers to run scenes.
    NodeUp {
        /// Which node.
        node: NodeId,
        /// Where its scene connections go: the beginning of a URL or path.
        url: String,
        /// What it gives to scenes.
        capacity: Capacity,
        /// What becomes of it when it is idle; `None`: nothing.
        idle: Option<Idle>,
        /// Where it stands; `None`: that is not said.
        region: Option<String>,
    },
    /// A node is gone.
    NodeDown {
        /// Which node.
        node: NodeId,
    },
    /// What the store knew of scenes when the host started.
    Recovered {
        /// The records of scenes that could be read.
        scenes: Vec<(SceneId, SceneRecord)>,
        /// The results that Db has not recorded.
        finished: Vec<(AllocationId, Finished)>,
    },
    /// Whether Db has recorded a game's results.
    ResRecord {
        /// Whose, by the allocation.
        allocation: AllocationId,
        /// [`Refusal::Invalid`]: it never will.
        result: Result<(), Refusal>,
    },
    /// The match handler of a domain went up, or down: it is another one then.
    Handler {
        /// Of which.
        domain: DomainName,
        /// Whether it is up now.
        up: bool,
    },
    /// A service went up or down.
    Service {
        /// Which.
        service: ServiceName,
        /// Whether it is up now.
        up: bool,
    },
    /// The host stops: no new scenes, and the running ones are told to end.
    Stopping,
    /// Time has passed.
    Tick,
}

impl Event {
    /// An operator's question with another number.
    #[must_use]
    pub fn numbered(&self, with: u64) -> Self {
        let mut event = self.clone();
        if let Self::ReqOperator { number, .. } | Self::ReqCreateByHand { number, .. } = &mut event {
            *number = with;
        }
        event
    }

    /// For whom it is: for those that have one of these shards.
    pub fn to(&self) -> Partition {
        match self {
            Self::ReqCreateScene { match_id, .. } | Self::ReqCancelScene { match_id } => of_id(match_id.0),
            Self::ReqFillSeats { lease, .. } => of_id(lease.allocation.0),
            Self::ReqCreateByHand { fleet, .. } => Shard::of_fleet(fleet).into(),
            Self::ReqOperator { order, .. } => order.to(),
            Self::ResCreateScene { scene, .. }
            | Self::SynUserJoined { scene, .. }
            | Self::SynUserLeft { scene, .. }
            | Self::ReqAskDestroyScene { scene, .. }
            | Self::ResDestroyScene { scene, .. }
            | Self::ResReleaseScene { scene, .. }
            | Self::ReqRejoin { scene, .. }
            | Self::ResAddToken { scene, .. }
            | Self::SynLabel { scene, .. }
            | Self::SynSeekPlayers { scene, .. }
            | Self::SynMatchAgain { scene, .. }
            | Self::SynSpectators { scene, .. }
            | Self::ReqJoinInProgress { scene, .. }
            | Self::ResAddSeat { scene, .. }
            | Self::ReqWatch { scene, .. }
            | Self::ResAddSpectator { scene, .. }
            | Self::SynSpectatorLeft { scene, .. }
            | Self::ReqGiveUpSeat { scene, .. }
            | Self::SynMisbehaved { scene, .. } => of_id(scene.0),
            Self::SynReport(report) => Partition::of_scenes(report.from, report.to),
            Self::Scanned { job, .. } => of_id(*job),
            Self::ResRecord { allocation, .. } => of_id(allocation.0),
            Self::ReqFindScenes { query, .. } => query.to(),
            Self::Fleets { .. }
            | Self::ReqSeat { .. }
            | Self::ReqRemoveUser { .. }
            | Self::SynLoad { .. }
            | Self::NodeUp { .. }
            | Self::NodeDown { .. }
            | Self::Recovered { .. }
            | Self::Handler { .. }
            | Self::Service { .. }
            | Self::Stopping
            | Self::Tick => Partition::WHOLE,
        }
    }
}

fn of_id(id: u64) -> Partition {
    Shard::of_id(id).into()
}
