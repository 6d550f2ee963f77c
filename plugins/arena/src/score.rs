//! The system that counts, and that ends the round: when its time is up, when nobody is left, or
//! when the host cannot wait for it.

use scenehost_sdk::prelude::*;

use crate::messages::{Input, Reply, Standing};
use crate::world::{Tally, World};

/// Has no state of its own; the tallies are for all to see.
#[derive(Default, Serialize, Deserialize)]
pub struct Score;

impl System<World, Input> for Score {
    fn joined(&mut self, world: &mut World, _: &mut Context, player: &Player) {
        world.tallies.entry(player.seat).or_default().name.clone_from(&player.name);
    }

    fn left(&mut self, world: &mut World, ctx: &mut Context, seat: Seat, _: LeaveReason) {
        if ctx.players().all(|player| player.seat == seat) {
            end_round(world, ctx);
        }
    }

    fn stopping(&mut self, world: &mut World, ctx: &mut Context, notice: StopNotice) {
        if world.left_ms(ctx.now_ms()) > notice.grace_ms.into() {
            end_round(world, ctx);
        }
    }

    fn tick(&mut self, world: &mut World, ctx: &mut Context) {
        for hit in world.hits.iter().filter(|hit| hit.killed) {
            if let Some(shooter) = world.tallies.get_mut(&hit.shooter) {
                shooter.kills += 1;
            }
            if let Some(target) = world.tallies.get_mut(&hit.target) {
                target.deaths += 1;
            }
        }
        if world.left_ms(ctx.now_ms()) == 0 {
            end_round(world, ctx);
        }
    }
}

fn end_round(world: &World, ctx: &mut Context) {
    let standings = standings(world);
    let result =
        |standing: &Standing| PlayerResult { seat: standing.seat, place: standing.place, score: standing.kills.into() };
    let results = standings.iter().map(result).collect();
    if let Some(prize) = &world.prize {
        let amount = |seat| Amount { seat, name: prize.name.clone(), count: prize.count };
        let winners = standings.iter().filter(|standing| standing.place == 1);
        let grants: Vec<_> = winners.map(|winner| SaveOperation::Grant(amount(winner.seat))).collect();
        if !grants.is_empty() {
            ctx.save(grants);
        }
    }
    let over = Reply::Over { standings };
    ctx.show(&over);
    ctx.send(Target::All, &over);
    ctx.finish(results);
}

/// More kills are better, then fewer deaths. Who left is still counted.
fn standings(world: &World) -> Vec<Standing> {
    let merit = |tally: &Tally| (tally.kills, std::cmp::Reverse(tally.deaths));
    let better_than = |tally: &Tally| world.tallies.values().filter(|other| merit(other) > merit(tally)).count();
    let standing = |(&seat, tally): (&Seat, &Tally)| Standing {
        seat,
        name: tally.name.clone(),
        place: better_than(tally) as u32 + 1,
        kills: tally.kills,
        deaths: tally.deaths,
    };
    let mut standings: Vec<_> = world.tallies.iter().map(standing).collect();
    standings.sort_by_key(|standing| standing.place);
    standings
}
