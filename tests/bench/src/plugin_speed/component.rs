//! The same logic as a component: by itself, and as a worker has it, with a journal or without.

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Error, Result, bail};
use scenehost_core::config::{Journal, Keep};
use scenehost_core::{Epoch, Incarnation, SceneId};
use scenehost_engine::journal::{About, JournalSpec, Journaled};
use scenehost_engine::{
    Engine, Failure, Instance, Limits, Log, Plugin, SceneKey, SceneSpec, Sink, Stepped, Worker, WorkerOptions,
};
use scenehost_server::journals::{Journals, Writer};

use super::load::{Game, Input, given_in};
use super::{Contender, thread_time};

given_in!(scenehost_engine);

/// Instances without a schedule, stepped in turn.
pub struct Bare {
    game: Game,
    scenes: Vec<Instance>,
    steps: u64,
}

impl Bare {
    pub fn new(game: Game, plugin: &Plugin, scenes: u64) -> Result<Self> {
        let begin = |seed| -> Result<Instance> {
            let mut instance = Instance::new(plugin, Limits::default())?;
            instance.start(&init(&game, seed))?;
            Ok(instance)
        };
        Ok(Self { game, scenes: (0..scenes).map(begin).collect::<Result<_>>()?, steps: 0 })
    }

    /// How long the lives of the first take: with the state that it has come to, so many times.
    pub fn lives(&mut self, plugin: &Plugin, times: usize) -> Result<Vec<Life>> {
        let init = init(&self.game, 0);
        let mut lives = Vec::new();
        for _ in 0..times {
            let (made, instantiate) = timed(|| Instance::new(plugin, Limits::default()));
            let mut made = made?;
            let (started, start) = timed(|| made.start(&init));
            started?;
            drop(made);
            let (state, snapshot) = timed(|| self.scenes[0].save());
            let state = state?.map_err(Error::msg)?;
            let (restored, restore) = timed(|| {
                let mut instance = Instance::new(plugin, Limits::default())?;
                instance.load(&init, &state).map(|()| instance)
            });
            drop(restored?);
            lives.push(Life { instantiate, start, snapshot, restore, snapshot_bytes: state.len() });
        }
        Ok(lives)
    }
}

/// What it takes to begin a scene, to save it, and to go on from that in another instance.
pub struct Life {
    pub instantiate: Duration,
    pub start: Duration,
    pub snapshot: Duration,
    pub restore: Duration,
    pub snapshot_bytes: usize,
}

fn timed<T>(call: impl FnOnce() -> T) -> (T, Duration) {
    let begun = thread_time();
    let result = call();
    (result, thread_time() - begun)
}

impl Contender for Bare {
    fn steps(&mut self, inputs: &[Input]) -> Result<Duration> {
        let count = self.scenes.len();
        let given = given(&self.game, inputs, self.steps, count);
        self.steps += inputs.len() as u64;
        let begun = thread_time();
        for (number, (at, events)) in given.into_iter().enumerate() {
            black_box(self.scenes[number % count].step(at, &events)?);
        }
        Ok(thread_time() - begun)
    }
}

/// Scenes of a worker, whose events are delivered and which are stepped when they are due: all that a host does with a
/// step but for its sockets.
pub struct Hosted {
    game: Game,
    worker: Worker,
    scenes: u64,
    steps: u64,
    said: Said,
}

impl Hosted {
    /// With `journals` every scene has one, as a fleet's `keep = "full"` asks for it.
    pub fn new(game: Game, plugin: &Plugin, scenes: u64, journals: Option<Journals>) -> Result<Self> {
        let rules = Journal { keep: Keep::Full, ..Journal::default() };
        let writer = journals.map(Writer::new);
        let mut hosted = Self {
            game,
            worker: Worker::new(WorkerOptions::default()),
            scenes,
            steps: 0,
            said: Said { writer, steps: 0, failure: None, swapped: None },
        };
        for scene in 0..scenes {
            let journal = hosted.said.writer.as_mut().map(|writer| {
                writer.expect(Incarnation { scene: SceneId(scene), epoch: Epoch(1) }, rules);
                JournalSpec { about: About { scene, ..About::default() }, snapshot_steps: rules.snapshot_steps }
            });
            let spec = SceneSpec { journal, ..SceneSpec::new(init(&game, scene)) };
            hosted.worker.create(SceneKey(scene), plugin, &spec, || Duration::ZERO, &mut hosted.said)?;
        }
        Ok(hosted)
    }

    /// Changes the first scene to this component, which makes the next step; the time of both.
    pub fn swap(&mut self, plugin: &Plugin) -> Result<Duration> {
        let input = self.game.inputs(self.steps, 1);
        let (changed, swap) = timed(|| self.worker.swap(SceneKey(0), plugin, Limits::default(), &mut self.said));
        changed?;
        let step = self.steps(&input)?;
        match self.said.swapped.take() {
            Some(Ok(())) => Ok(swap + step),
            Some(Err(reason)) => bail!("the version before stays: {reason}"),
            None => bail!("the other version has made no step"),
        }
    }

    /// Goes on for a few steps.
    pub fn steps_more(&mut self, count: u64) -> Result<()> {
        let inputs = self.game.inputs(self.steps, count);
        self.steps(&inputs).map(drop)
    }

    /// Delivers what was said in a step, and makes it.
    fn step(&mut self, events: Vec<Vec<Event>>) -> Result<()> {
        let now = Duration::from_millis(self.game.elapsed_ms(self.steps));
        for (scene, events) in events.into_iter().enumerate() {
            for event in events {
                self.worker.deliver(SceneKey(scene as u64), event, now)?;
            }
        }
        self.said.steps = 0;
        while self.said.steps < self.scenes {
            if self.worker.run_due(|| now, &mut self.said) == 0 {
                bail!("{} of {} scenes were stepped", self.said.steps, self.scenes);
            }
        }
        self.steps += 1;
        self.said.failure.take().map_or(Ok(()), |failure| Err(failure).context("a scene has failed"))
    }
}

impl Contender for Hosted {
    fn steps(&mut self, inputs: &[Input]) -> Result<Duration> {
        let all = |input| (0..self.scenes).map(|_| events(&self.game, input)).collect();
        let given: Vec<Vec<Vec<Event>>> = inputs.iter().map(all).collect();
        let begun = thread_time();
        for events in given {
            self.step(events)?;
        }
        Ok(thread_time() - begun)
    }
}

/// Takes what a worker says; journals go into their files.
struct Said {
    writer: Option<Writer>,
    steps: u64,
    failure: Option<Failure>,
    swapped: Option<Result<(), String>>,
}

impl Sink for Said {
    fn stepped(&mut self, _: SceneKey, stepped: Stepped) {
        self.steps += 1;
        black_box(stepped);
    }

    fn failed(&mut self, _: SceneKey, failure: Failure) {
        self.steps += 1;
        self.failure.get_or_insert(failure);
    }

    fn logged(&mut self, _: SceneKey, log: Log) {
        black_box(log);
    }

    fn journaled(&mut self, key: SceneKey, part: Journaled<'_>) {
        if let Some(writer) = &mut self.writer {
            writer.write(SceneId(key.0), part);
        }
    }

    fn swapped(&mut self, _: SceneKey, result: Result<(), String>) {
        self.swapped = Some(result);
    }
}

/// The folder for journals, empty.
pub fn journals(out: &Path, engine: &Engine) -> Result<Journals> {
    let folder = out.join("plugin-data");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(Journals::open(&folder, engine)?)
}
