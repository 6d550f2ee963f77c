//! What a SceneService can be told, and what it tells the handlers of its scenes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::report::SeatNow;
use crate::config::Fleet;
use crate::ids::{Build, DomainName, Epoch, FleetName, SceneId, Seat, Time, UserId};
use crate::message::{Arranged, EndReason, Player, PlayerResult};
use crate::partition::Partition;
use crate::refusal::Refusal;
use crate::token::SecretHash;

/// A seat in a new scene: who may enter it, with what, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatGrant {
    /// Whose seat it is.
    pub player: Player,
    /// The hash of the scene token.
    pub token: SecretHash,
    /// Until when the token lets its holder in.
    pub until: Time,
}

/// What a SceneService can be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// What fleets are from now on.
    Fleets {
        /// All of them.
        fleets: BTreeMap<FleetName, Fleet>,
    },
    /// SceneMaster orders a scene; idempotent by scene and epoch.
    ReqCreateScene {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// How it runs.
        fleet: FleetName,
        /// What it is made of.
        build: Build,
        /// It may take the place of an incarnation before, and its instance if that is of the same build.
        reuse: bool,
        /// The domain it was matched in.
        domain: Option<DomainName>,
        /// The seed of its randomness.
        seed: u64,
        /// What matching has arranged for it.
        arranged: Arranged,
        /// Its seats, by number.
        seats: Vec<SeatGrant>,
    },
    /// A scene has begun, or could not.
    ResStart {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// Whether it runs.
        result: Result<(), Refusal>,
    },
    /// SceneMaster orders a scene's end.
    ReqDestroyScene {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// Why.
        reason: EndReason,
        /// The results, if the game was decided.
        results: Vec<PlayerResult>,
        /// Only its session ends: its instance waits for the next one.
        keep: bool,
    },
    /// The node of a scene is drained: its game is told how long it has.
    ReqDrainScene {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// How long it has, in milliseconds.
        grace_ms: u64,
    },
    /// SceneMaster wants a scene to go on elsewhere: its incarnation ends here without its game being told, with its
    /// journal complete; answered by [`crate::scene_master::Event::ResReleaseScene`]. Idempotent by scene and epoch.
    ReqReleaseScene {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
    },
    /// A scene is let go, or cannot be.
    ResRelease {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// `Ok`: it lives no more, and its journal is complete. Else why it plays on.
        result: Result<(), Refusal>,
    },
    /// A scene has ended, or its session has.
    ResEnd {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// Only the session has.
        kept: bool,
    },
    /// SceneMaster opens a new way to a seat; answered by the scene itself.
    ReqAddToken {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// Which seat.
        seat: Seat,
        /// The hash of the new token.
        token: SecretHash,
        /// Until when it lets its holder in.
        until: Time,
    },
    /// SceneMaster takes a user's seat away.
    ReqRemoveUser {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// Which seat.
        seat: Seat,
        /// Why.
        reason: EndReason,
    },
    /// SceneMaster gives a running scene seats; answered by the scene itself. Idempotent by the seats' numbers.
    ReqAddSeats {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// The seats, by number, from the first on that the scene has not confirmed.
        seats: Vec<SeatGrant>,
    },
    /// SceneMaster lets a user watch; answered by the scene itself.
    ReqAddSpectator {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// Who.
        user: UserId,
        /// The hash of the watch token.
        token: SecretHash,
        /// Until when it lets its holder in.
        until: Time,
    },
    /// A user may not watch any more.
    ReqRemoveSpectator {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// Who.
        user: UserId,
        /// Why.
        reason: EndReason,
    },
    /// A SceneMaster wants to know which scenes of its partition there are, from this id on; answered by
    /// [`crate::scene_master::Event::SynReport`], in parts.
    ReqReport {
        /// SceneMaster's number for this, not 0.
        number: u64,
        /// The first id.
        from: SceneId,
        /// The last one.
        to: SceneId,
    },
    /// A SceneMaster has no scenes on this node any more and gives it none, for it is drained and may exit then; or it
    /// does again.
    SynDrained {
        /// Which one.
        partition: Partition,
        /// Whether that is so.
        drained: bool,
    },
    /// What a scene knows of its seats; also said when it is made of something else than before.
    ResReport {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// What it is made of.
        build: Build,
        /// Its seats, by number.
        seats: Vec<SeatNow>,
    },
    /// Time has passed.
    Tick,
}

/// What the handler of a scene can be told by its SceneService.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToScene {
    /// Begin; answered by [`Event::ResStart`].
    Start(Box<Start>),
    /// A new way to a seat; answered by [`crate::scene_master::Event::ResAddToken`].
    AddToken {
        /// Which incarnation.
        epoch: Epoch,
        /// Which seat.
        seat: Seat,
        /// The hash of the token.
        token: SecretHash,
        /// Until when it lets its holder in.
        until: Time,
    },
    /// The user of a seat may not play any more.
    RemoveUser {
        /// Which incarnation.
        epoch: Epoch,
        /// Which seat.
        seat: Seat,
        /// Why.
        reason: EndReason,
    },
    /// More seats; answered by [`crate::scene_master::Event::ResAddSeat`] for the last of them.
    AddSeats {
        /// Which incarnation.
        epoch: Epoch,
        /// The seats, by number; those that the scene has already stay as they are.
        seats: Vec<SeatGrant>,
    },
    /// A way in for a user who watches; answered by [`crate::scene_master::Event::ResAddSpectator`].
    AddSpectator {
        /// Which incarnation.
        epoch: Epoch,
        /// Who.
        user: UserId,
        /// The hash of the watch token.
        token: SecretHash,
        /// Until when it lets its holder in.
        until: Time,
    },
    /// A user may not watch any more.
    RemoveSpectator {
        /// Which incarnation.
        epoch: Epoch,
        /// Who.
        user: UserId,
        /// Why.
        reason: EndReason,
    },
    /// Say what is known of the seats; answered by [`Event::ResReport`].
    Report {
        /// Which incarnation.
        epoch: Epoch,
        /// A SceneMaster asks that may know nothing: say its label again, and who watches.
        anew: bool,
    },
    /// End; answered by [`Event::ResEnd`].
    End {
        /// Which incarnation.
        epoch: Epoch,
        /// Why.
        reason: EndReason,
        /// The results, if the game was decided.
        results: Vec<PlayerResult>,
        /// Only the session ends.
        keep: bool,
    },
    /// End without a word to the game, which goes on elsewhere from the journal; answered by [`Event::ResRelease`], as
    /// soon as the journal is complete and can be read there.
    Release {
        /// Which incarnation.
        epoch: Epoch,
    },
    /// The game is to be told that it has to end.
    Drain {
        /// Which incarnation.
        epoch: Epoch,
        /// How long it has, in milliseconds.
        grace_ms: u64,
    },
}

/// Everything that a scene begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Which incarnation.
    pub epoch: Epoch,
    /// The fleet's name.
    pub fleet: FleetName,
    /// What it is made of.
    pub build: Build,
    /// It may take the place of an incarnation before, and its instance if that is of the same build.
    pub reuse: bool,
    /// The fleet's limits.
    pub limits: Fleet,
    /// The domain it was matched in.
    pub domain: Option<DomainName>,
    /// The seed of its randomness.
    pub seed: u64,
    /// What matching has arranged for it.
    pub arranged: Arranged,
    /// Its seats, by number.
    pub seats: Vec<SeatGrant>,
}
