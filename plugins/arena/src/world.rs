//! The world that all systems share: what players see of the arena. Invariant: a ship is outside of
//! every wall and inside of the world.

use std::collections::BTreeMap;

use glam::Vec2;
use scenehost_sdk::Seat;
use serde::{Deserialize, Serialize};

use crate::Prize;
use crate::geometry::Rect;

/// The arena, in units; the origin is top left, y points down.
pub const SIZE: Vec2 = Vec2::new(1600.0, 900.0);

/// Block ships and shots.
pub const WALLS: [Rect; 7] = [
    Rect::new(740.0, 390.0, 120.0, 120.0),
    Rect::new(300.0, 180.0, 220.0, 30.0),
    Rect::new(1080.0, 180.0, 220.0, 30.0),
    Rect::new(300.0, 690.0, 220.0, 30.0),
    Rect::new(1080.0, 690.0, 220.0, 30.0),
    Rect::new(180.0, 360.0, 30.0, 180.0),
    Rect::new(1390.0, 360.0, 30.0, 180.0),
];

/// A ship is a circle of this radius.
pub const SHIP_RADIUS: f32 = 18.0;

/// A whole ship.
pub const HP_FULL: u32 = 100;

/// What everybody sees.
#[derive(Default, Serialize, Deserialize)]
pub struct World {
    /// The ships of all who are here, living or waiting.
    pub ships: BTreeMap<Seat, Ship>,
    /// The shots in flight, oldest first.
    pub shots: Vec<Shot>,
    /// What was hit in this step; taken by the view at its end.
    pub hits: Vec<Hit>,
    /// Everybody who ever came in, also after leaving.
    pub tallies: BTreeMap<Seat, Tally>,
    /// The length of the round.
    pub round_ms: u64,
    /// When it ends; it begins with the first player.
    pub ends_ms: Option<u64>,
    /// What the winners get.
    pub prize: Option<Prize>,
}

/// A player's ship.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ship {
    /// Its centre.
    pub position: Vec2,
    /// Where it points, in radians.
    pub aim: f32,
    /// What it can still take; 0 while it waits to respawn.
    pub hp: u32,
    /// When a destroyed ship is back.
    pub respawns_ms: u64,
}

/// A shot in flight.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shot {
    /// Different for each shot of a round.
    pub id: u32,
    /// Who fired it.
    pub seat: Seat,
    /// Where it is.
    pub position: Vec2,
    /// Units per second.
    pub velocity: Vec2,
    /// When it fades.
    pub fades_ms: u64,
}

/// A ship was hit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hit {
    /// Who fired.
    pub shooter: Seat,
    /// Whose ship it is.
    pub target: Seat,
    /// Where.
    pub position: Vec2,
    /// Whether it was the ship's last.
    pub killed: bool,
}

/// A player's score.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// The display name.
    pub name: String,
    /// Ships destroyed.
    pub kills: u32,
    /// Ships lost.
    pub deaths: u32,
}

impl Ship {
    /// Whether it is in play.
    pub fn is_alive(&self) -> bool {
        self.hp > 0
    }
}

impl World {
    /// What is left of the round; all of it before it has begun.
    pub fn left_ms(&self, now_ms: u64) -> u64 {
        match self.ends_ms {
            Some(ends_ms) => ends_ms.saturating_sub(now_ms),
            None => self.round_ms,
        }
    }
}
