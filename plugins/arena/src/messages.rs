//! What players and the scene say to each other: JSON, told apart by `type`. What goes out in every
//! tick is in tuples, whose order is documented here, since it is most of the traffic.

use scenehost_sdk::Seat;
use serde::{Deserialize, Serialize};

/// What a player sends, whenever it changes: the state of the controls. It holds until the next one. There is no other
/// message, so this is a plain struct, which is read in one go; an enum with a tag is read twice, once to find the tag.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Input {
    /// What this is.
    #[serde(rename = "type")]
    pub kind: InputKind,
    /// The client's counter; snapshots give the last one back.
    pub n: u32,
    /// The direction to move in; longer than 1 is shortened to 1.
    #[serde(rename = "move")]
    pub direction: [f32; 2],
    /// Where the ship points, in radians, clockwise from the right.
    pub aim: f32,
    /// Whether the trigger is held.
    pub fire: bool,
}

/// The `type` of an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// `"input"`.
    #[default]
    Input,
}

/// What the scene sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Reply {
    /// To a player who came in or is back.
    Welcome {
        /// The player's seat.
        seat: Seat,
        /// Width and height.
        world: [f32; 2],
        /// The length of a round.
        round_s: u32,
        /// Left, top, width and height of each.
        walls: Vec<[f32; 4]>,
        /// Everybody who is here.
        players: Vec<Here>,
    },
    /// To those who watch: all that `Welcome` tells, and the world.
    Watching {
        /// Width and height.
        world: [f32; 2],
        /// The length of a round.
        round_s: u32,
        /// Left, top, width and height of each.
        walls: Vec<[f32; 4]>,
        /// Everybody who is here.
        players: Vec<Here>,
        /// As in the step before.
        snapshot: Snapshot,
    },
    /// Everybody who is here, when that has changed.
    Players {
        /// By seat.
        players: Vec<Here>,
    },
    /// The world, in every tick.
    Snapshot(Snapshot),
    /// The round is over.
    Over {
        /// Best first.
        standings: Vec<Standing>,
    },
}

/// A player who is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Here {
    /// The player's seat.
    pub seat: Seat,
    /// The display name.
    pub name: String,
    /// Whether they are connected.
    pub present: bool,
}

/// The world in one tick. Positions and speeds are whole tenths, angles whole thousandths: to write and to read a number
/// with a fraction takes several times as long, most of all in WebAssembly, and this is nearly all that a game of this kind
/// has to write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The number of the step.
    pub tick: u64,
    /// What is left of the round.
    pub left_ms: u64,
    /// Every ship.
    pub ships: Vec<ShipRow>,
    /// Every shot in flight.
    pub shots: Vec<ShotRow>,
    /// What was hit in this tick.
    pub hits: Vec<HitRow>,
}

/// Seat; x and y in tenths of a unit; aim in thousandths of a radian; hp; milliseconds to respawn (0: alive); kills; deaths;
/// `n` of the last input.
pub type ShipRow = (Seat, i32, i32, i32, u32, u64, u32, u32, u32);

/// Id; seat of the shooter; x and y in tenths of a unit; the speed in x and y in tenths of a unit per second.
pub type ShotRow = (u32, Seat, i32, i32, i32, i32);

/// Seat of the shooter; seat of the target; x and y in tenths of a unit; whether it killed.
pub type HitRow = (Seat, Seat, i32, i32, bool);

/// How the list of games describes a round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The length of the round.
    pub round_s: u32,
    /// How many are here.
    pub players: usize,
    /// Who has destroyed the most ships, once somebody has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// How many that are.
    pub kills: u32,
}

/// How a player ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The player's seat.
    pub seat: Seat,
    /// The display name.
    pub name: String,
    /// 1 is best; equals share a place.
    pub place: u32,
    /// Ships destroyed.
    pub kills: u32,
    /// Ships lost.
    pub deaths: u32,
}
