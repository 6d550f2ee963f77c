//! The scratch run: an upload is tried before anybody plays it.
//!
//! A game is started with a fixed seed, players come in, say sensible and senseless things, drop, come back and leave;
//! its state is saved twice on the way, and each time a second instance loads it and has to do the same from there on.
//! All of that is done twice and has to give the same. That finds games that fail on sight, that do not keep what
//! they need, and whose outputs do not follow from their inputs alone; it does not find what needs cleverer players.
//!
//! A game may do what games do: finish, kick players, let nobody in, or refuse a configuration that it does not know.
//!
//! Invariant: what is asked of a game follows from nothing but the setting and its own answers, so a fault can be had
//! again. There are at most [`STEPS`] steps in each of two runs, each under the game's limits.

mod course;
mod rule;

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::{
    bindings::{Command, Init, Moment, Player},
    failure::Failure,
    instance::Instance,
    limits::Limits,
    plugin::Plugin,
};
use course::Course;
pub use rule::try_rule;

/// How many steps a run has, if the game does not finish before.
pub const STEPS: u32 = 64;
/// Before which steps the state is saved, and loaded by a second instance: early, for short games, and late.
const SAVED_BEFORE: [u32; 2] = [3, 32];
/// With how many players a game is tried: the first number that it does not refuse counts.
const PLAYERS: [u32; 3] = [2, 4, 1];
const SEED: u64 = 0x5eed;
/// At tick rate 0, so much time passes between two steps.
const STEP_MS: u64 = 250;

/// How a game may be run.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Its configuration, JSON text.
    pub configuration: String,
    /// Steps per second; 0: only when something happened.
    pub tick_rate_hz: u32,
    /// What it may use.
    pub limits: Limits,
}

impl Default for Setting {
    fn default() -> Setting {
        // What it needs of memory is reported, and a fleet may give it as much as the engine does.
        let limits = Limits { memory_bytes_max: usize::MAX, ..Limits::default() };
        Setting { configuration: "{}".to_owned(), tick_rate_hz: 20, limits }
    }
}

/// What a scratch run has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How many steps a game has made in one run, or how often a rule was asked.
    pub steps: u32,
    /// The largest snapshot; 0: there was none.
    pub snapshot_bytes: usize,
    /// The most linear memory.
    pub memory_bytes: usize,
    /// How long a step takes on average, or one answer of a rule.
    pub step_mean: Duration,
    /// The hash of everything that it returned, the same on any host.
    pub output_hash: [u8; 32],
    /// It has refused every configuration there was to try; its own text for one of them.
    pub refused: Option<String>,
}

/// What is wrong with an upload that can be instantiated. The texts are for its designer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It cannot begin.
    #[error("the scratch run failed in `start`: {0}")]
    Start(Failure),
    /// It cannot say whether a player may enter.
    #[error("the scratch run failed in `admit` before step {step}: {failure}")]
    Admit { step: u32, failure: Failure },
    /// It cannot go on.
    #[error("the scratch run failed in step {step}: {failure}")]
    Step { step: u32, failure: Failure },
    /// Its state cannot be had.
    #[error(
        "the scratch run failed in `save` before step {step}: {reason}; a state that cannot be saved cannot survive a \
         crash, nor a change of the game's version"
    )]
    Save { step: u32, reason: String },
    /// Its own state is not good enough for it.
    #[error("the scratch run failed in `load` of what `save` gave before step {step}: {failure}")]
    Load { step: u32, failure: Failure },
    /// A second instance that was loaded does something else.
    #[error(
        "step {step} of the scratch run gave something else after `load` than without it: something that the game \
         needs is not in what `save` gives before step {saved_before}, its random numbers perhaps"
    )]
    LoadDiffers { step: u32, saved_before: u32 },
    /// The same inputs give other outputs.
    #[error(
        "the same scratch run gave other outputs the second time, in step {step}: a game's outputs may follow only from \
         its inputs. Look for what depends on addresses or on the order of a hash map"
    )]
    NotDeterministic { step: u32 },
    /// A rule's call failed.
    #[error("the scratch run failed in `{call}`: {fault}")]
    Rule { call: &'static str, fault: crate::rule::Fault },
    /// A rule gives as many answers as it was asked for.
    #[error("`{call}` was asked about {asked} and answered about {answered}")]
    Count { call: &'static str, asked: usize, answered: usize },
    /// The same question gives another answer.
    #[error("`{call}` gave another answer to the same question: a rule's answers may follow only from the question")]
    RuleDiffers { call: &'static str },
    /// The host has no room for another scene now.
    #[error("the scratch run needs two slots for scenes, and there are none now: {0}")]
    Busy(Failure),
}

impl Fault {
    /// A short name for metrics and clients.
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Start(_) | Fault::Admit { .. } | Fault::Step { .. } => "scratch_failed",
            Fault::Save { .. } => "save_failed",
            Fault::Load { .. } => "load_failed",
            Fault::LoadDiffers { .. } => "load_differs",
            Fault::NotDeterministic { .. } | Fault::RuleDiffers { .. } => "not_deterministic",
            Fault::Rule { .. } | Fault::Count { .. } => "rule_failed",
            Fault::Busy(_) => "busy",
        }
    }
}

/// Tries a game in the first of these settings that it does not refuse. The clock is read around each step.
///
/// # Errors
///
/// What is wrong with it.
pub fn try_plugin(plugin: &Plugin, settings: &[Setting], clock: impl Fn() -> Duration) -> Result<Report, Fault> {
    let mut refused = None;
    for setting in settings {
        for players in PLAYERS {
            let first = match Run::new(plugin, setting, players).play(&clock)? {
                Played::Refused(text) => {
                    refused.get_or_insert(text);
                    continue;
                }
                Played::Whole(outputs) => outputs,
            };
            let second = Run::new(plugin, setting, players).play(&clock)?;
            return first.report(&second);
        }
    }
    Ok(Report {
        steps: 0,
        snapshot_bytes: 0,
        memory_bytes: 0,
        step_mean: Duration::ZERO,
        output_hash: Sha256::digest([]).into(),
        refused,
    })
}

enum Played {
    /// It does not take the configuration, or so many players.
    Refused(String),
    Whole(Outputs),
}

/// What one run has given.
#[derive(Default)]
struct Outputs {
    /// The hash of all outputs up to each step.
    chain: Vec<[u8; 32]>,
    snapshot_bytes: usize,
    memory_bytes: usize,
    took: Duration,
}

impl Outputs {
    fn add(&mut self, commands: &[Command]) {
        let before: &[u8] = self.chain.last().map_or(&[], |hash| hash);
        let bytes = postcard::to_extend(commands, before.to_vec()).expect("commands are plain data");
        self.chain.push(Sha256::digest(bytes).into());
    }

    fn report(self, second: &Played) -> Result<Report, Fault> {
        let Played::Whole(second) = second else { return Err(Fault::NotDeterministic { step: 0 }) };
        let longest = self.chain.len().max(second.chain.len());
        if let Some(step) = (0..longest).find(|step| self.chain.get(*step) != second.chain.get(*step)) {
            return Err(Fault::NotDeterministic { step: step as u32 });
        }
        let steps = self.chain.len() as u32;
        Ok(Report {
            steps,
            snapshot_bytes: self.snapshot_bytes,
            memory_bytes: self.memory_bytes,
            step_mean: (self.took + second.took) / (2 * steps).max(1),
            output_hash: self.chain.last().copied().unwrap_or_else(|| Sha256::digest([]).into()),
            refused: None,
        })
    }
}

/// One run of a game.
struct Run<'a> {
    plugin: &'a Plugin,
    setting: &'a Setting,
    init: Init,
    /// What has loaded a snapshot of the game and goes on beside it, and from when it is.
    second: Option<(Instance, u32)>,
    outputs: Outputs,
}

impl<'a> Run<'a> {
    fn new(plugin: &'a Plugin, setting: &'a Setting, players: u32) -> Run<'a> {
        let init = Init {
            seed: SEED,
            tick_rate_hz: setting.tick_rate_hz,
            configuration: setting.configuration.clone(),
            players: (0..players).map(player).collect(),
            region: None,
            chosen: Vec::new(),
            bots: 0,
        };
        Run { plugin, setting, init, second: None, outputs: Outputs::default() }
    }

    fn play(mut self, clock: &impl Fn() -> Duration) -> Result<Played, Fault> {
        let mut game = self.instance(Fault::Start)?;
        match game.start(&self.init) {
            Ok(()) => {}
            Err(Failure::GameError(text)) => return Ok(Played::Refused(text)),
            Err(failure) => return Err(Fault::Start(failure)),
        }
        let mut course = Course::new(&self.init.players, &self.setting.limits);
        for step in 0..STEPS {
            if SAVED_BEFORE.contains(&step) {
                self.save(&mut game, step)?;
            }
            self.admit(&mut game, &mut course, step)?;
            let at = self.moment(step);
            let events = course.events(step, at);
            let begun = clock();
            let commands = game.step(at, &events).map_err(|failure| Fault::Step { step, failure })?;
            self.outputs.took += clock().saturating_sub(begun);
            self.outputs.memory_bytes = self.outputs.memory_bytes.max(game.memory_bytes());
            self.compare(at, &events, &commands, step)?;
            self.outputs.add(&commands);
            if !course.heed(&commands, at).map_err(|failure| Fault::Step { step, failure })? {
                break;
            }
        }
        Ok(Played::Whole(self.outputs))
    }

    fn instance(&self, fault: impl FnOnce(Failure) -> Fault) -> Result<Instance, Fault> {
        Instance::new(self.plugin, self.setting.limits).map_err(|failure| match failure {
            Failure::PoolFull { .. } | Failure::Host { .. } => Fault::Busy(failure),
            failure => fault(failure),
        })
    }

    fn moment(&self, step: u32) -> Moment {
        let tick = u64::from(step);
        let elapsed_ms = match u64::from(self.setting.tick_rate_hz) {
            0 => tick * STEP_MS,
            tick_rate_hz => tick * 1_000 / tick_rate_hz,
        };
        Moment { tick, elapsed_ms }
    }

    fn save(&mut self, game: &mut Instance, step: u32) -> Result<(), Fault> {
        let failed = |reason| Fault::Save { step, reason };
        let snapshot = game.save().map_err(|failure| failed(failure.to_string()))?.map_err(failed)?;
        self.outputs.snapshot_bytes = self.outputs.snapshot_bytes.max(snapshot.len());
        self.second = None; // Its slot is free before another one is taken.
        let mut second = self.instance(|failure| Fault::Load { step, failure })?;
        second.load(&self.init, &snapshot).map_err(|failure| Fault::Load { step, failure })?;
        self.second = Some((second, step));
        Ok(())
    }

    fn admit(&mut self, game: &mut Instance, course: &mut Course, step: u32) -> Result<(), Fault> {
        let Some(player) = course.comes() else { return Ok(()) };
        let answer = game.admit(&player).map_err(|failure| Fault::Admit { step, failure })?;
        if let Some((second, saved_before)) = &mut self.second
            && second.admit(&player).as_ref() != Ok(&answer)
        {
            return Err(Fault::LoadDiffers { step, saved_before: *saved_before });
        }
        if answer.is_ok() {
            course.let_in(player);
        }
        Ok(())
    }

    /// The second instance makes the same step.
    fn compare(
        &mut self,
        at: Moment,
        events: &[crate::bindings::Event],
        commands: &[Command],
        step: u32,
    ) -> Result<(), Fault> {
        let Some((second, saved_before)) = &mut self.second else { return Ok(()) };
        match second.step(at, events) {
            Ok(others) if others == commands => Ok(()),
            _ => Err(Fault::LoadDiffers { step, saved_before: *saved_before }),
        }
    }
}

fn player(seat: u32) -> Player {
    Player {
        seat,
        user: 1_000 + u64::from(seat),
        name: format!("Player {}", seat + 1),
        rating: 1_500 + 10 * seat as i32,
        team: seat % 2,
        role: None,
        party: seat,
    }
}
