//! The system that moves ships as their players steer, and keeps them out of walls.

use std::collections::BTreeMap;

use glam::Vec2;
use scenehost_sdk::prelude::*;

use crate::geometry::Rect;
use crate::messages::Input;
use crate::world::{SHIP_RADIUS, SIZE, WALLS, World};

/// Units per second of a ship at full speed.
pub const SPEED: f32 = 260.0;

/// A ship is moved in pieces of at most this length, so that its centre cannot pass into a wall.
const PIECE: f32 = SHIP_RADIUS / 2.0;

/// Where a ship may be so close to a wall that it touches it.
const NEAR_WALLS: [Rect; WALLS.len()] = {
    let mut near = WALLS;
    let mut wall = 0;
    while wall < near.len() {
        near[wall] = near[wall].grown(SHIP_RADIUS);
        wall += 1;
    }
    near
};

/// Where each player steers; at most of length 1.
#[derive(Default, Serialize, Deserialize)]
pub struct Movement {
    steering: BTreeMap<Seat, Vec2>,
}

impl System<World, Input> for Movement {
    fn message(&mut self, world: &mut World, _: &mut Context, from: Seat, input: &Input) {
        let direction = Vec2::from(input.direction);
        let direction = if direction.is_finite() { direction } else { Vec2::ZERO };
        self.steering.insert(from, direction.clamp_length_max(1.0));
        if let Some(ship) = world.ships.get_mut(&from).filter(|_| input.aim.is_finite()) {
            ship.aim = input.aim.rem_euclid(std::f32::consts::TAU);
        }
    }

    /// Nobody steers a dropped player's ship.
    fn dropped(&mut self, _: &mut World, _: &mut Context, seat: Seat) {
        self.steering.remove(&seat);
    }

    fn left(&mut self, _: &mut World, _: &mut Context, seat: Seat, _: LeaveReason) {
        self.steering.remove(&seat);
    }

    fn tick(&mut self, world: &mut World, ctx: &mut Context) {
        for (seat, &direction) in &self.steering {
            if let Some(ship) = world.ships.get_mut(seat).filter(|ship| ship.is_alive()) {
                ship.position = moved(ship.position, direction * SPEED * ctx.step_s());
            }
        }
    }
}

/// Where a ship comes to lie; along a wall or the world's edge it slides.
fn moved(mut position: Vec2, path: Vec2) -> Vec2 {
    let pieces = (path.length() / PIECE).ceil();
    for _ in 0..pieces as u32 {
        position += path / pieces;
        for (wall, near) in WALLS.iter().zip(&NEAR_WALLS) {
            if near.has(position) {
                position = wall.push_out(position, SHIP_RADIUS);
            }
        }
        position = position.clamp(Vec2::splat(SHIP_RADIUS), SIZE - SHIP_RADIUS);
    }
    position
}
