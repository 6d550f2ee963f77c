//! The system that shows the world to the players, and to those who watch. It comes last, so that it shows what the
//! others have done in this step.

use std::collections::BTreeMap;

use glam::Vec2;
use scenehost_sdk::prelude::*;

use crate::messages::{Here, HitRow, Input, Label, Reply, ShipRow, ShotRow, Snapshot};
use crate::world::{Hit, SIZE, Ship, Shot, WALLS, World};

/// What is kept to show the world.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// The number of each player's last input, so that a client knows which ones a snapshot includes.
    inputs: BTreeMap<Seat, u32>,
    /// Nobody could watch so far: nothing is shown.
    is_watched: bool,
    /// Those who watch are to be shown everything at the end of this step.
    whole: bool,
    label: Label,
}

impl System<World, Input> for View {
    fn joined(&mut self, world: &mut World, ctx: &mut Context, player: &Player) {
        self.came(world, ctx, player.seat);
    }

    fn resumed(&mut self, world: &mut World, ctx: &mut Context, seat: Seat, missed: bool) {
        if missed {
            return self.came(world, ctx, seat);
        }
        self.tell_players(ctx, None);
    }

    fn dropped(&mut self, _: &mut World, ctx: &mut Context, _: Seat) {
        self.tell_players(ctx, None);
    }

    fn left(&mut self, _: &mut World, ctx: &mut Context, seat: Seat, _: LeaveReason) {
        self.inputs.remove(&seat);
        self.tell_players(ctx, Some(seat));
    }

    fn watched(&mut self, _: &mut World, _: &mut Context) {
        (self.is_watched, self.whole) = (true, true);
    }

    fn message(&mut self, _: &mut World, _: &mut Context, from: Seat, input: &Input) {
        self.inputs.insert(from, input.n);
    }

    fn tick(&mut self, world: &mut World, ctx: &mut Context) {
        let hits = std::mem::take(&mut world.hits);
        let now_ms = ctx.now_ms();
        let snapshot = Snapshot {
            tick: ctx.tick(),
            left_ms: world.left_ms(now_ms),
            ships: world.ships.iter().map(|(&seat, ship)| self.ship_row(world, seat, ship, now_ms)).collect(),
            shots: world.shots.iter().map(shot_row).collect(),
            hits: hits.iter().map(hit_row).collect(),
        };
        self.tell_label(world, ctx);
        if std::mem::take(&mut self.whole) {
            ctx.show_whole(&Reply::Watching {
                world: SIZE.into(),
                round_s: round_s(world),
                walls: walls(),
                players: everybody_here(ctx, None),
                snapshot: snapshot.clone(),
            });
        } else if self.is_watched {
            ctx.show(&Reply::Snapshot(snapshot.clone()));
        }
        ctx.send(Target::All, &Reply::Snapshot(snapshot));
    }
}

impl View {
    /// Welcomes a player, and tells the others of them.
    fn came(&self, world: &World, ctx: &mut Context, seat: Seat) {
        let players = everybody_here(ctx, None);
        let welcome = Reply::Welcome {
            seat,
            world: SIZE.into(),
            round_s: round_s(world),
            walls: walls(),
            players: players.clone(),
        };
        ctx.send(seat, &welcome);
        self.show_players(ctx, &players);
        ctx.send(Target::AllBut(seat), &Reply::Players { players });
    }

    fn tell_players(&self, ctx: &mut Context, leaver: Option<Seat>) {
        let players = everybody_here(ctx, leaver);
        self.show_players(ctx, &players);
        ctx.send(Target::All, &Reply::Players { players });
    }

    fn show_players(&self, ctx: &mut Context, players: &[Here]) {
        if self.is_watched {
            ctx.show(&Reply::Players { players: players.to_vec() });
        }
    }

    /// Describes the round for the list of games, when that has changed.
    fn tell_label(&mut self, world: &World, ctx: &mut Context) {
        let best = world.tallies.values().filter(|tally| tally.kills > 0).max_by_key(|tally| tally.kills);
        let label = Label {
            round_s: round_s(world),
            players: world.ships.len(),
            leader: best.map(|tally| tally.name.clone()),
            kills: best.map_or(0, |tally| tally.kills),
        };
        if label != self.label {
            ctx.label(&label);
            self.label = label;
        }
    }

    fn ship_row(&self, world: &World, seat: Seat, ship: &Ship, now_ms: u64) -> ShipRow {
        let (x, y) = tenths(ship.position);
        let aim = whole(ship.aim * 1000.0);
        let respawn_ms = match ship.is_alive() {
            true => 0,
            false => ship.respawns_ms.saturating_sub(now_ms),
        };
        let (kills, deaths) = world.tallies.get(&seat).map_or((0, 0), |tally| (tally.kills, tally.deaths));
        let input = self.inputs.get(&seat).copied().unwrap_or(0);
        (seat, x, y, aim, ship.hp, respawn_ms, kills, deaths, input)
    }
}

fn shot_row(shot: &Shot) -> ShotRow {
    let ((x, y), (vx, vy)) = (tenths(shot.position), tenths(shot.velocity));
    (shot.id, shot.seat, x, y, vx, vy)
}

fn hit_row(hit: &Hit) -> HitRow {
    let (x, y) = tenths(hit.position);
    (hit.shooter, hit.target, x, y, hit.killed)
}

fn tenths(value: Vec2) -> (i32, i32) {
    (whole(value.x * 10.0), whole(value.y * 10.0))
}

/// The nearest whole number.
fn whole(value: f32) -> i32 {
    (value + 0.5_f32.copysign(value)) as i32
}

fn round_s(world: &World) -> u32 {
    (world.round_ms / 1000) as u32
}

fn walls() -> Vec<[f32; 4]> {
    WALLS.iter().map(|wall| wall.sides()).collect()
}

/// Who has come in and not left, but for one who is leaving.
fn everybody_here(ctx: &Context, leaver: Option<Seat>) -> Vec<Here> {
    ctx.players()
        .filter(|player| !ctx.is_expected(player.seat) && Some(player.seat) != leaver)
        .map(|player| Here { seat: player.seat, name: player.name.clone(), present: ctx.is_present(player.seat) })
        .collect()
}
