//! The measured load, against each contender in turn: as many rooms as it holds, its cost at a
//! number of rooms that all are asked to carry, and its rooms without players.
//!
//! Invariant: each step has a server of its own, and steps, rooms and time are limited.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::contender::{self, Contender, Idle, Name, Paths};
use crate::generator::{Generator, PLAYERS_PER_ROOM, Step, Timing};
use crate::ramp::{Plan, Ramp};
use crate::report::{self, Report};

/// How many rooms come in together, so that a server's costs per batch show as they would.
const ROOMS_PER_BATCH: u32 = 16;
/// A player and the player's lobby connection.
const FILES_PER_ROOM: u64 = 2 * PLAYERS_PER_ROOM as u64;
const FILES_RESERVED: u64 = 200;

/// What is measured and how thoroughly.
pub struct Settings {
    pub contenders: Vec<Name>,
    pub timing: Timing,
    pub plan: Plan,
    /// At this number the contenders' processor time is compared, whether they hold it or not.
    pub reference_rooms: Option<u32>,
    /// How many rooms without players; 0: none.
    pub idle_rooms: u32,
    pub idle_window: Duration,
    /// After this, a contender's search ends with what it has.
    pub duration_max: Duration,
    pub files_max: u64,
}

/// What a contender showed in all.
#[derive(Serialize)]
pub struct Row {
    pub contender: &'static str,
    pub version: String,
    pub rooms_held: u32,
    /// The generator was at its limit before the server was.
    pub generator_saturated: bool,
    /// The last step at the most rooms held.
    pub at_limit: Option<Step>,
    /// The last step at the number of rooms that all are compared at.
    pub at_reference: Option<Step>,
    pub idle: Vec<IdleRow>,
    pub steps: Vec<Step>,
}

/// What rooms without players cost.
#[derive(Clone, Serialize)]
pub struct IdleRow {
    pub contender: &'static str,
    /// Whether they tick while nobody is in.
    pub ticking: bool,
    pub rooms: u32,
    pub kb_per_room: f64,
    pub create_us_per_room: f64,
    pub cpu_percent: f64,
}

/// Measures everything and writes the report.
pub fn run(settings: &Settings, paths: &Paths) -> Result<Report> {
    report::print_machine();
    let contenders: Vec<_> =
        settings.contenders.iter().map(|name| contender::prepare(*name, paths)).collect::<Result<_>>()?;
    let mut rows = Vec::new();
    for contender in &contenders {
        rows.push(row(contender.as_ref(), settings)?);
    }
    Report::new(settings, rows)
}

fn row(contender: &dyn Contender, settings: &Settings) -> Result<Row> {
    let version = contender.version()?;
    println!("\n{}: {version}", contender.name());
    let started = Instant::now();
    let rooms_max = (settings.files_max.saturating_sub(FILES_RESERVED) / FILES_PER_ROOM) as u32;
    let mut plan = settings.plan.clone();
    plan.coarse.retain(|rooms| *rooms <= rooms_max);
    let mut ramp = Ramp::new(plan);
    let mut steps: Vec<Step> = Vec::new();
    let mut generator_saturated = false;
    while let Some(rooms) = ramp.next() {
        let step = step(contender, rooms, settings.timing)?;
        ramp.record(rooms, step.held);
        generator_saturated |= !step.held && step.generator_saturated();
        steps.push(step);
        if started.elapsed() > settings.duration_max {
            println!("  the time is up: the search ends here");
            break;
        }
    }
    if let Some(rooms) = settings.reference_rooms
        && steps.iter().all(|step| step.rooms != rooms)
    {
        steps.push(step(contender, rooms, settings.timing)?);
    }
    let mut idle = Vec::new();
    for kind in contender.idle_kinds().iter().filter(|_| settings.idle_rooms > 0) {
        idle.push(measure_idle(contender, *kind, settings)?);
    }
    let rooms_held = ramp.held();
    let last_at = |rooms| steps.iter().rfind(|step| step.rooms == rooms).cloned();
    Ok(Row {
        contender: contender.name(),
        version,
        rooms_held,
        generator_saturated,
        at_limit: last_at(rooms_held),
        at_reference: settings.reference_rooms.and_then(last_at),
        idle,
        steps,
    })
}

/// One step: a fresh server, its rooms filled, the load for the window.
fn step(contender: &dyn Contender, rooms: u32, timing: Timing) -> Result<Step> {
    let server = contender.start()?;
    let seated_and_measured = || -> Result<Step> {
        let mut generator = Generator::new(contender)?;
        let mut seated = 0;
        while seated < rooms {
            let batch = ROOMS_PER_BATCH.min(rooms - seated);
            let connections = contender.seat(batch)?;
            for player in connections.players {
                generator.add_player(player)?;
            }
            for bystander in connections.bystanders {
                generator.add_bystander(bystander)?;
            }
            generator.serve()?;
            seated += batch;
        }
        generator.measure(rooms, timing, &server)
    };
    let step = seated_and_measured()
        .with_context(|| format!("{} with {rooms} rooms; its last words:\n{}", contender.name(), server.log_tail()))?;
    report::print_step(&step);
    Ok(step)
}

fn measure_idle(contender: &dyn Contender, kind: Idle, settings: &Settings) -> Result<IdleRow> {
    const SETTLE: Duration = Duration::from_secs(2);
    let rooms = settings.idle_rooms;
    let server = contender.start()?;
    sleep(SETTLE);
    let before_kb = server.resident_kb()?;
    let started = Instant::now();
    contender
        .make_idle_rooms(kind, rooms)
        .with_context(|| format!("{}; its last words:\n{}", contender.name(), server.log_tail()))?;
    let created = started.elapsed();
    sleep(SETTLE);
    let (cpu_before, began) = (server.cpu()?, Instant::now());
    sleep(settings.idle_window);
    let cpu = (server.cpu()? - cpu_before).div_duration_f64(began.elapsed());
    let held_kb = server.resident_kb()?.saturating_sub(before_kb);
    let row = IdleRow {
        contender: contender.name(),
        ticking: kind == Idle::Ticking,
        rooms,
        kb_per_room: held_kb as f64 / f64::from(rooms),
        create_us_per_room: created.as_secs_f64() * 1e6 / f64::from(rooms),
        cpu_percent: cpu * 100.0,
    };
    report::print_idle(&row);
    Ok(row)
}
