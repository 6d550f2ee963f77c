//! Arena: ships that shoot at each other for a round, two to eight players, all decided here and
//! shown to the players in every tick.
//!
//! The scene is made of systems that share a `World`. In each step they hear of every event in this
//! order, and each does its part: `spawn` gives ships, `movement` moves them, `combat` fires and
//! hits, `score` counts and ends the round, `view` shows it all.

pub mod combat;
pub mod geometry;
pub mod messages;
pub mod movement;
pub mod score;
pub mod spawn;
pub mod view;
pub mod world;

use combat::Combat;
use messages::Input;
use movement::Movement;
use scenehost_sdk::prelude::*;
use score::Score;
use spawn::Spawn;
use view::View;
use world::World;

/// What a fleet can configure.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The length of a round, from a second to a day.
    pub round_s: u32,
    /// What the winners of a round get, if anything; of the deployment's catalogue.
    pub prize: Option<Prize>,
}

/// So much of a currency or item.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prize {
    /// Its name in the catalogue.
    pub name: String,
    /// How much.
    pub count: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config { round_s: 180, prize: None }
    }
}

/// One round.
#[derive(Serialize, Deserialize)]
pub struct Arena {
    world: World,
    spawn: Spawn,
    movement: Movement,
    combat: Combat,
    score: Score,
    view: View,
}

impl Arena {
    /// What everybody sees.
    pub fn world(&self) -> &World {
        &self.world
    }
}

impl Scene for Arena {
    type Message = Input;

    fn start(init: &Init, _: &mut Random) -> Result<Self, Fault> {
        let config: Config = init.configured()?;
        if init.tick_rate_hz == 0 {
            return Err("arena moves by ticks: set the fleet's tick rate, 20 Hz is meant".into());
        }
        if !(1..=24 * 60 * 60).contains(&config.round_s) {
            return Err("round_s must be from 1 to 86400".into());
        }
        let round_ms = u64::from(config.round_s) * 1000;
        let world = World { round_ms, prize: config.prize, ..World::default() };
        Ok(Arena {
            world,
            spawn: Spawn,
            movement: Movement::default(),
            combat: Combat::default(),
            score: Score,
            view: View::default(),
        })
    }

    systems!(world => spawn, movement, combat, score, view);
}

export_scene!(Arena);
