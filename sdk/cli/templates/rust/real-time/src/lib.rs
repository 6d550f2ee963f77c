//! A race for coins for two to four players, in real time. Change it into your game.
//!
//! The host calls `tick` at the fleet's tick rate; everything that must survive a crash or an update is a field of
//! `Game`.

use std::collections::BTreeMap;

use scenehost_sdk::prelude::*;

/// The field is a square of this length.
const FIELD: f32 = 100.0;
/// How far a player runs in a second.
const SPEED: f32 = 30.0;
/// How near a player has to come to a coin.
const REACH: f32 = 4.0;
/// How many coins lie on the field.
const COINS: usize = 5;

/// The fleet's configuration of this game.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Configuration {
    round_s: u32,
}

impl Default for Configuration {
    fn default() -> Self {
        Configuration { round_s: 60 }
    }
}

/// What players send: where they want to run, each of -1, 0 and 1.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Input {
    Run { x: i8, y: i8 },
}

/// What players are told in each tick.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum News<'a> {
    Field { left_s: u64, runners: &'a BTreeMap<Seat, Runner>, coins: &'a [[f32; 2]] },
}

/// A player on the field.
#[derive(Serialize, Deserialize)]
struct Runner {
    at: [f32; 2],
    score: u32,
    #[serde(default)]
    towards: [i8; 2],
}

/// One round.
#[derive(Serialize, Deserialize)]
pub struct Game {
    runners: BTreeMap<Seat, Runner>,
    coins: Vec<[f32; 2]>,
    round_ms: u64,
}

impl Scene for Game {
    type Message = Input;

    fn start(init: &Init, random: &mut Random) -> Result<Self, Fault> {
        let Configuration { round_s } = init.configured()?;
        if init.tick_rate_hz == 0 {
            return Err("this game needs a tick rate: set the fleet's tick_rate_hz, 20 is meant".into());
        }
        let coins = (0..COINS).map(|_| anywhere(random)).collect();
        Ok(Game { runners: BTreeMap::new(), coins, round_ms: u64::from(round_s) * 1000 })
    }

    fn joined(&mut self, ctx: &mut Context, player: &Player) {
        let at = anywhere(ctx.random());
        self.runners.insert(player.seat, Runner { at, score: 0, towards: [0, 0] });
    }

    fn dropped(&mut self, _: &mut Context, seat: Seat) {
        if let Some(runner) = self.runners.get_mut(&seat) {
            runner.towards = [0, 0];
        }
    }

    fn left(&mut self, _: &mut Context, seat: Seat, _: LeaveReason) {
        self.runners.remove(&seat);
    }

    fn message(&mut self, _: &mut Context, from: Seat, message: Input) {
        let Input::Run { x, y } = message;
        if let Some(runner) = self.runners.get_mut(&from) {
            runner.towards = [x.signum(), y.signum()];
        }
    }

    fn tick(&mut self, ctx: &mut Context) {
        let step = SPEED * ctx.step_s();
        for runner in self.runners.values_mut() {
            for axis in 0..2 {
                let to = runner.at[axis] + f32::from(runner.towards[axis]) * step;
                runner.at[axis] = to.clamp(0.0, FIELD);
            }
            for coin in &mut self.coins {
                if distance(runner.at, *coin) <= REACH {
                    runner.score += 1;
                    *coin = anywhere(ctx.random());
                }
            }
        }
        let left_ms = self.round_ms.saturating_sub(ctx.now_ms());
        let (runners, coins) = (&self.runners, &self.coins[..]);
        ctx.send(Target::All, &News::Field { left_s: left_ms.div_ceil(1000), runners, coins });
        if left_ms == 0 {
            ctx.finish(self.results());
        }
    }
}

impl Game {
    /// Who has more coins is before who has fewer.
    fn results(&self) -> Vec<PlayerResult> {
        let better = |score| self.runners.values().filter(|other| other.score > score).count() as u32;
        let result = |(&seat, runner): (&Seat, &Runner)| PlayerResult {
            seat,
            place: 1 + better(runner.score),
            score: i64::from(runner.score),
        };
        self.runners.iter().map(result).collect()
    }
}

fn anywhere(random: &mut Random) -> [f32; 2] {
    [random.random_range(0.0..FIELD), random.random_range(0.0..FIELD)]
}

fn distance(one: [f32; 2], other: [f32; 2]) -> f32 {
    let [x, y] = [one[0] - other[0], one[1] - other[1]];
    (x * x + y * y).sqrt()
}

export_scene!(Game);
