//! The system of shots: firing, flight, and what they hit.

use std::collections::BTreeMap;

use glam::Vec2;
use scenehost_sdk::prelude::*;

use crate::geometry::{Rect, circle_entered_by, lesser};
use crate::messages::Input;
use crate::world::{Hit, SHIP_RADIUS, SIZE, Shot, WALLS, World};

/// Units per second of a shot.
pub const SHOT_SPEED: f32 = 700.0;
/// How long a shot flies.
pub const SHOT_LIFE_MS: u64 = 1200;
/// The shortest time between two shots of a ship.
pub const COOLDOWN_MS: u64 = 250;
/// What a hit takes.
pub const DAMAGE: u32 = 25;
/// How long a destroyed ship waits.
pub const RESPAWN_MS: u64 = 2000;

/// Who holds the trigger, and when they may fire again.
#[derive(Default, Serialize, Deserialize)]
pub struct Combat {
    triggers: BTreeMap<Seat, Trigger>,
    shot_id_next: u32,
}

#[derive(Default, Serialize, Deserialize)]
struct Trigger {
    held: bool,
    ready_ms: u64,
}

impl System<World, Input> for Combat {
    fn message(&mut self, _: &mut World, _: &mut Context, from: Seat, input: &Input) {
        self.triggers.entry(from).or_default().held = input.fire;
    }

    fn dropped(&mut self, _: &mut World, _: &mut Context, seat: Seat) {
        self.triggers.remove(&seat);
    }

    fn left(&mut self, world: &mut World, _: &mut Context, seat: Seat, _: LeaveReason) {
        self.triggers.remove(&seat);
        world.shots.retain(|shot| shot.seat != seat);
    }

    fn tick(&mut self, world: &mut World, ctx: &mut Context) {
        self.fire(world, ctx.now_ms());
        let shots = std::mem::take(&mut world.shots);
        let fly = |shot| fly(world, shot, ctx.now_ms(), ctx.step_s());
        world.shots = shots.into_iter().filter_map(fly).collect();
    }
}

impl Combat {
    fn fire(&mut self, world: &mut World, now_ms: u64) {
        for (&seat, trigger) in &mut self.triggers {
            let Some(ship) = world.ships.get(&seat) else {
                continue;
            };
            if !trigger.held || now_ms < trigger.ready_ms || !ship.is_alive() {
                continue;
            }
            trigger.ready_ms = now_ms + COOLDOWN_MS;
            let id = self.shot_id_next;
            self.shot_id_next = id.wrapping_add(1);
            world.shots.push(Shot {
                id,
                seat,
                position: ship.position,
                velocity: Vec2::from_angle(ship.aim) * SHOT_SPEED,
                fades_ms: now_ms + SHOT_LIFE_MS,
            });
        }
    }
}

/// The shot one step later, if it still flies. What it meets first stops it.
fn fly(world: &mut World, shot: Shot, now_ms: u64, step_s: f32) -> Option<Shot> {
    if shot.fades_ms <= now_ms {
        return None;
    }
    let (from, path) = (shot.position, shot.velocity * step_s);
    let way = Rect::around(from, from + path);
    let walls = WALLS.iter().filter(|wall| wall.meets(&way));
    let wall = walls.filter_map(|wall| wall.entered_by(from, path)).fold(f32::INFINITY, lesser);
    let near = way.grown(SHIP_RADIUS);
    let enemies = world.ships.iter().filter(|(seat, ship)| **seat != shot.seat && ship.is_alive());
    let target = enemies
        .filter(|(_, ship)| near.has(ship.position))
        .filter_map(|(&seat, ship)| Some((circle_entered_by(ship.position, SHIP_RADIUS, from, path)?, seat)))
        .min_by(|one, other| one.0.total_cmp(&other.0));
    if let Some((at, target)) = target.filter(|&(at, _)| at < wall) {
        hit(world, &shot, target, from + path * at, now_ms);
        return None;
    }
    let position = from + path;
    let is_inside = position.cmpge(Vec2::ZERO).all() && position.cmple(SIZE).all();
    (wall.is_infinite() && is_inside).then_some(Shot { position, ..shot })
}

fn hit(world: &mut World, shot: &Shot, target: Seat, position: Vec2, now_ms: u64) {
    let Some(ship) = world.ships.get_mut(&target) else {
        return;
    };
    ship.hp = ship.hp.saturating_sub(DAMAGE);
    let killed = !ship.is_alive();
    if killed {
        ship.respawns_ms = now_ms + RESPAWN_MS;
    }
    world.hits.push(Hit { shooter: shot.seat, target, position, killed });
}
