//! Many nodes on one machine: what a call over each bus and a commit to each store take, and how long it is from the asking
//! for a match to the way into it, through one process and through four.
//!
//! - `cluster/calls.rs`: the drivers of the bus, and links between nodes. `cluster/commits.rs`: the stores.
//! - `cluster/hosts.rs`: hosts and clusters of them. `cluster/matches.rs`: matches through them.
//! - `cluster/spread.rs`: domains over one, two and four processes.
//!
//! Invariant: nothing is pinned, for there are more processes than cores: hosts, NATS, PostgreSQL and the clients share all
//! of them. What is compared takes turns, so that other work on the machine slows all of it down.

mod calls;
mod commits;
mod hosts;
mod matches;
mod spread;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use crate::report::{self, Machine};
use hosts::Ground;

/// How much is measured.
pub struct Settings {
    /// For each kind of call and of commit.
    window: Duration,
    rounds: usize,
    /// How many ask one after the other, in each round.
    arrivals: usize,
    /// How many ask at once, in each round.
    crowd: usize,
}

impl Settings {
    pub fn of(quick: bool) -> Self {
        match quick {
            true => Self { window: Duration::from_millis(200), rounds: 1, arrivals: 100, crowd: 200 },
            false => Self { window: Duration::from_secs(5), rounds: 5, arrivals: 400, crowd: 2_000 },
        }
    }
}

/// What can be measured by itself.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Requests over the bus.
    Calls,
    /// Commits to the stores.
    Commits,
    /// Matches through one process and through four roles.
    Matches,
    /// Domains over one, two and four processes.
    Spread,
}

type Figures = BTreeMap<String, f64>;

#[derive(Serialize)]
struct Report {
    machine: Machine,
    parts: BTreeMap<&'static str, Value>,
    figures: Figures,
}

/// Measures all parts or one, prints them and writes `cluster.json`.
pub fn run(settings: &Settings, only: Option<Part>, (program, plugins, out): (&Path, &Path, &Path)) -> Result<PathBuf> {
    report::print_machine();
    let mut report = Report { machine: report::machine()?, parts: BTreeMap::new(), figures: Figures::new() };
    println!("  hosts, NATS, PostgreSQL and the clients share all cores: more nodes are more work, not more machine");
    let is_wanted = |part| only.is_none_or(|only| only == part);
    let mut ground = Ground::new(program, plugins, out)?;
    if is_wanted(Part::Calls) {
        report.parts.insert("calls", calls::measure(settings, &ground.nats, &mut report.figures)?);
    }
    if is_wanted(Part::Commits) {
        report.parts.insert("commits", commits::measure(settings, &ground, &mut report.figures)?);
    }
    if is_wanted(Part::Matches) {
        report.parts.insert("matches", matches::measure(settings, &mut ground, &mut report.figures)?);
    }
    if is_wanted(Part::Spread) {
        report.parts.insert("spread", spread::measure(settings, &mut ground, &mut report.figures)?);
    }
    for (name, value) in &report.figures {
        println!("  {name:36} {value:12.2}");
    }
    let file = out.join("cluster.json");
    report::write(&report, &file)?;
    Ok(file)
}

/// The middle one.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
