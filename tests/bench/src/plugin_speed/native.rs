//! A game's logic as part of this program: what there would be without components.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Error, Result};
use scenehost_sdk::__private::Runtime;
use scenehost_sdk::Scene;

use super::load::{Game, Input, given_in};
use super::{Contender, thread_time};

given_in!(scenehost_sdk);

/// So many scenes, stepped in turn.
pub struct Native<S> {
    game: Game,
    scenes: Vec<Runtime<S>>,
    steps: u64,
}

impl<S: Scene> Native<S> {
    pub fn new(game: Game, scenes: u64) -> Result<Self> {
        let begin = |seed| Runtime::start(init(&game, seed)).map_err(Error::msg);
        Ok(Self { game, scenes: (0..scenes).map(begin).collect::<Result<_>>()?, steps: 0 })
    }
}

impl<S: Scene> Contender for Native<S> {
    fn steps(&mut self, inputs: &[Input]) -> Result<Duration> {
        let count = self.scenes.len();
        let given = given(&self.game, inputs, self.steps, count);
        self.steps += inputs.len() as u64;
        let begun = thread_time();
        for (number, (at, events)) in given.into_iter().enumerate() {
            black_box(self.scenes[number % count].step(at, events).map_err(Error::msg)?);
        }
        Ok(thread_time() - begun)
    }
}
