//! The system that gives ships: to who comes in, and back to who was destroyed.

use glam::Vec2;
use scenehost_sdk::prelude::*;

use crate::messages::Input;
use crate::world::{HP_FULL, Ship, World};

/// Where ships appear; none is near a wall.
pub const POINTS: [Vec2; 8] = [
    Vec2::new(80.0, 80.0),
    Vec2::new(800.0, 80.0),
    Vec2::new(1520.0, 80.0),
    Vec2::new(80.0, 450.0),
    Vec2::new(1520.0, 450.0),
    Vec2::new(80.0, 820.0),
    Vec2::new(800.0, 820.0),
    Vec2::new(1520.0, 820.0),
];

/// Among so many of the points that are farthest from all enemies chance decides.
const CHOICES: usize = 3;

/// Has no state of its own.
#[derive(Default, Serialize, Deserialize)]
pub struct Spawn;

impl System<World, Input> for Spawn {
    /// The round begins with the first player; who comes later spawns at once.
    fn joined(&mut self, world: &mut World, ctx: &mut Context, player: &Player) {
        world.ends_ms.get_or_insert(ctx.now_ms() + world.round_ms);
        let position = choose_point(world, ctx.random());
        let ship = Ship { position, aim: 0.0, hp: HP_FULL, respawns_ms: 0 };
        world.ships.insert(player.seat, ship);
    }

    fn left(&mut self, world: &mut World, _: &mut Context, seat: Seat, _: LeaveReason) {
        world.ships.remove(&seat);
    }

    fn tick(&mut self, world: &mut World, ctx: &mut Context) {
        let now_ms = ctx.now_ms();
        let is_due = |ship: &Ship| !ship.is_alive() && ship.respawns_ms <= now_ms;
        while let Some(seat) = world.ships.iter().find_map(|(&seat, ship)| is_due(ship).then_some(seat)) {
            let position = choose_point(world, ctx.random());
            if let Some(ship) = world.ships.get_mut(&seat) {
                ship.position = position;
                ship.hp = HP_FULL;
            }
        }
    }
}

fn choose_point(world: &World, random: &mut Random) -> Vec2 {
    let living = || world.ships.values().filter(|ship| ship.is_alive());
    let distance = |point: Vec2| {
        let distances = living().map(|ship| ship.position.distance_squared(point));
        distances.fold(f32::INFINITY, f32::min)
    };
    let mut points = POINTS;
    points.sort_by(|&one, &other| distance(other).total_cmp(&distance(one)));
    let choices = if living().next().is_none() { POINTS.len() } else { CHOICES };
    points[random.random_range(0..choices)]
}
