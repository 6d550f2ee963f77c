//! What it costs that games are components: the same logic as a component and as part of this program, step by step with
//! the same inputs; journals; and instances, states and swaps.
//!
//! - `plugin_speed/load.rs`: the games, and what their players do.
//! - `plugin_speed/native.rs`, `plugin_speed/component.rs`: who runs them.
//!
//! Invariant: everything runs on one thread, in rounds that take turns, and its times are that thread's processor time. A
//! ratio is of one round, and the figure is the middle one: other work on the machine slows both sides down.

mod component;
mod load;
mod native;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use arena_game::Arena;
use gomoku_game::Gomoku;
use rustix::time::{ClockId, clock_gettime};
use scenehost_engine::{Engine, Options, Plugin};
use serde::Serialize;

use crate::report::{self, Machine};
use component::{Bare, Hosted, journals};
use load::{Game, Input};
use native::Native;

/// How much is measured.
pub struct Settings {
    rounds: usize,
    /// Steps of a round with one scene.
    hot_steps: u64,
    /// Steps of each scene in a round with many.
    turn_steps: u64,
    scenes: u64,
    lives: usize,
}

impl Settings {
    pub fn of(quick: bool) -> Self {
        match quick {
            true => Self { rounds: 3, hot_steps: 100, turn_steps: 1, scenes: 50, lives: 10 },
            false => Self { rounds: 60, hot_steps: 500, turn_steps: 2, scenes: 1_000, lives: 1_000 },
        }
    }
}

/// Rounds before those that count.
const WARM_UP_ROUNDS: usize = 3;
/// One that brings a JavaScript engine along is of this size.
const COMPONENT_BYTES_MAX: usize = 64 << 20;

/// Who runs scenes.
trait Contender {
    /// Makes these steps, each with every scene; the time that the steps took.
    fn steps(&mut self, inputs: &[Input]) -> Result<Duration>;
}

/// The steps of one game, in microseconds: the middle ones of the rounds.
#[derive(Serialize)]
struct Row {
    game: &'static str,
    scenes: u64,
    native_us: Option<f64>,
    component_us: f64,
    /// By a worker, with delivering its events.
    worker_us: f64,
    /// The same with a journal.
    journal_us: f64,
    component_over_native: Option<f64>,
    component_over_native_beyond: Option<f64>,
    worker_over_native_beyond: Option<f64>,
    journal_over_none: f64,
}

/// What else there is to a game's component, in microseconds.
#[derive(Serialize)]
struct Lives {
    game: &'static str,
    component_bytes: usize,
    compile_ms: f64,
    instantiate_us: f64,
    start_us: f64,
    snapshot_bytes: usize,
    snapshot_us: f64,
    restore_us: f64,
    swap_p50_us: f64,
    swap_p99_us: f64,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    rows: Vec<Row>,
    lives: Vec<Lives>,
    figures: BTreeMap<&'static str, f64>,
}

/// Begins so many scenes.
type Begin = fn(Game, u64) -> Result<Box<dyn Contender>>;

/// A game, and who runs it natively, if anybody can.
struct Measured {
    game: Game,
    native: Option<Begin>,
}

const MEASURED: [Measured; 3] = [
    Measured { game: load::ARENA, native: Some(|game, scenes| Ok(Box::new(Native::<Arena>::new(game, scenes)?))) },
    Measured { game: load::GOMOKU, native: Some(|game, scenes| Ok(Box::new(Native::<Gomoku>::new(game, scenes)?))) },
    Measured { game: load::ROCK_PAPER_SCISSORS, native: None },
];

/// Measures, prints, and writes `plugin.json`.
pub fn run(settings: &Settings, plugins: &Path, out: &Path) -> Result<PathBuf> {
    report::print_machine();
    let mut report =
        Report { machine: report::machine()?, rows: Vec::new(), lives: Vec::new(), figures: BTreeMap::new() };
    // Three sides have instances at once, and a swap has two of a scene.
    let scenes_max = u32::try_from(3 * settings.scenes)? + 16;
    let options = Options { scenes_max, component_bytes_max: COMPONENT_BYTES_MAX, ..Options::default() };
    let engine = Engine::new(options)?;
    println!("{ROW_HEADER}");
    for measured in &MEASURED {
        let path = plugins.join(measured.game.name).with_extension("wasm");
        if !path.exists() && measured.native.is_none() {
            println!("  {} is not there: it is left out", path.display());
            continue;
        }
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        let begun = std::time::Instant::now();
        let plugin = engine.compile(&bytes)?;
        let compile = begun.elapsed();
        report.rows.push(steps(measured, &engine, &plugin, 1, settings, out)?);
        if measured.native.is_some() {
            report.rows.push(steps(measured, &engine, &plugin, settings.scenes, settings, out)?);
        }
        report.lives.push(lives(&measured.game, &plugin, compile, settings)?);
    }
    print_lives(&report.lives);
    report.figures = figures(&report);
    for (name, value) in &report.figures {
        println!("  {name:32} {value:10.3}");
    }
    let file = out.join("plugin.json");
    report::write(&report, &file)?;
    Ok(file)
}

/// Runs all sides in turn. What a component may add to a step is 1 us where one scene is stepped again and again, and 3 us
/// where many are, of which none is in the caches.
fn steps(
    measured: &Measured,
    engine: &Engine,
    plugin: &Plugin,
    scenes: u64,
    settings: &Settings,
    out: &Path,
) -> Result<Row> {
    let game = measured.game;
    let (count, beyond_us) = if scenes == 1 { (settings.hot_steps, 1.0) } else { (settings.turn_steps, 3.0) };
    let mut sides: Vec<Box<dyn Contender>> = vec![
        Box::new(Bare::new(game, plugin, scenes)?),
        Box::new(Hosted::new(game, plugin, scenes, None)?),
        Box::new(Hosted::new(game, plugin, scenes, Some(journals(out, engine)?))?),
    ];
    sides.extend(measured.native.map(|native| native(game, scenes)).transpose()?);
    let mut rounds: Vec<Vec<f64>> = Vec::new();
    for round in 0..WARM_UP_ROUNDS + settings.rounds {
        let inputs = game.inputs(round as u64 * count, count);
        let mut took = vec![0.0; sides.len()];
        // Who comes first finds other caches than who comes last.
        for turn in 0..sides.len() {
            let side = (turn + round) % sides.len();
            took[side] = sides[side].steps(&inputs)?.as_secs_f64() * 1e6 / (count * scenes) as f64;
        }
        rounds.push(took);
    }
    rounds.drain(..WARM_UP_ROUNDS);
    drop(sides);
    fs::remove_dir_all(out.join("plugin-data"))?;
    let middle = |of: &dyn Fn(&[f64]) -> f64| median(rounds.iter().map(|round| of(round)).collect());
    let of_native = |of: &dyn Fn(&[f64]) -> f64| measured.native.map(|_| middle(of));
    let row = Row {
        game: game.name,
        scenes,
        native_us: of_native(&|round| round[3]),
        component_us: middle(&|round| round[0]),
        worker_us: middle(&|round| round[1]),
        journal_us: middle(&|round| round[2]),
        component_over_native: of_native(&|round| round[0] / round[3]),
        component_over_native_beyond: of_native(&|round| (round[0] - beyond_us) / round[3]),
        worker_over_native_beyond: of_native(&|round| (round[1] - beyond_us) / round[3]),
        journal_over_none: middle(&|round| round[2] / round[1]),
    };
    print_row(&row);
    Ok(row)
}

fn lives(game: &Game, plugin: &Plugin, compile: Duration, settings: &Settings) -> Result<Lives> {
    // In the middle of a game.
    let begun = game.inputs(0, 150);
    let mut bare = Bare::new(*game, plugin, 1)?;
    bare.steps(&begun)?;
    let lives = bare.lives(plugin, settings.lives)?;
    let mut hosted = Hosted::new(*game, plugin, 1, None)?;
    hosted.steps(&begun)?;
    let mut swaps = Vec::new();
    for _ in 0..settings.lives {
        swaps.push(us(hosted.swap(plugin)?));
        hosted.steps_more(3)?;
    }
    let middle = |of: fn(&component::Life) -> Duration| median(lives.iter().map(|life| us(of(life))).collect());
    Ok(Lives {
        game: game.name,
        component_bytes: plugin.size_bytes(),
        compile_ms: us(compile) / 1e3,
        instantiate_us: middle(|life| life.instantiate),
        start_us: middle(|life| life.start),
        snapshot_bytes: lives.last().map_or(0, |life| life.snapshot_bytes),
        snapshot_us: middle(|life| life.snapshot),
        restore_us: middle(|life| life.restore),
        swap_p50_us: quantile(swaps.clone(), 0.5),
        swap_p99_us: quantile(swaps, 0.99),
    })
}

/// The plain numbers that later runs are compared by: those of the arena.
fn figures(report: &Report) -> BTreeMap<&'static str, f64> {
    let mut figures = BTreeMap::new();
    for row in report.rows.iter().filter(|row| row.game == load::ARENA.name) {
        let names = match row.scenes {
            1 => ["component_over_native_beyond_1us", "worker_over_native_beyond_1us", "journal_over_none"],
            _ => ["component_over_native_beyond_3us", "worker_over_native_beyond_3us", "journal_over_none_in_turn"],
        };
        let values = [row.component_over_native_beyond, row.worker_over_native_beyond, Some(row.journal_over_none)];
        figures.extend(names.into_iter().zip(values).filter_map(|(name, value)| Some((name, value?))));
    }
    if let Some(lives) = report.lives.iter().find(|lives| lives.game == load::ARENA.name) {
        figures.insert("instantiate_us", lives.instantiate_us);
        figures.insert("snapshot_us", lives.snapshot_us);
        figures.insert("restore_us", lives.restore_us);
        figures.insert("hot_swap_p99_ms", lives.swap_p99_us / 1e3);
    }
    figures
}

const ROW_HEADER: &str = "  a step, us            scenes   native  component   worker   with journal   component / native   \
                          beyond   worker beyond   journal / none";

fn print_row(row: &Row) {
    let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
    println!(
        "  {:20} {:7} {:>8} {:10.2} {:8.2} {:14.2} {:>20} {:>8} {:>15} {:16.2}",
        row.game,
        row.scenes,
        shown(row.native_us),
        row.component_us,
        row.worker_us,
        row.journal_us,
        shown(row.component_over_native),
        shown(row.component_over_native_beyond),
        shown(row.worker_over_native_beyond),
        row.journal_over_none,
    );
}

fn print_lives(all: &[Lives]) {
    println!(
        "  a component           kB   compile ms   instantiate us    start   snapshot us   bytes   restore us   swap p50 \
         us      p99"
    );
    for it in all {
        println!(
            "  {:18} {:6} {:12.0} {:16.1} {:8.1} {:13.1} {:7} {:12.1} {:13.1} {:8.1}",
            it.game,
            it.component_bytes / 1_000,
            it.compile_ms,
            it.instantiate_us,
            it.start_us,
            it.snapshot_us,
            it.snapshot_bytes,
            it.restore_us,
            it.swap_p50_us,
            it.swap_p99_us,
        );
    }
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn median(values: Vec<f64>) -> f64 {
    quantile(values, 0.5)
}

/// The least value that is not below this part of them.
fn quantile(mut values: Vec<f64>, part: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let place = (values.len() as f64 * part).ceil() as usize;
    values[place.clamp(1, values.len()) - 1]
}

/// The processor time of this thread.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
