//! How fast matches are found: the index by itself, against a sorted list in the same run, and the whole handler, with
//! up to a million who wait; and what clients of a host see of it.
//!
//! - `match_speed/index.rs`: the index. `match_speed/sorted_list.rs`: what it is measured against.
//! - `match_speed/handler.rs`: the handler. `match_speed/crowd.rs`: who searches there. `match_speed/stand_in.rs`: a rule.
//! - `match_speed/population.rs`: ratings and parties. `match_speed/sockets.rs`: clients of a host.
//!
//! Invariant: what has no sockets runs on one thread, and its times are that thread's processor time, so that other work
//! on the machine adds nothing to them but what it takes from the caches.

mod crowd;
mod handler;
mod index;
mod population;
mod sockets;
mod sorted_list;
mod stand_in;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use scenehost_core::config::Domain;
use serde::Serialize;
use serde_json::{Value, json};

use crate::report::{self, Machine};
use crowd::Game;
use handler::World;
use population::Kind;

/// How much is measured.
pub struct Settings {
    window: Duration,
    /// How many wait.
    sizes: &'static [usize],
    /// How many searches are timed one by one.
    timed: usize,
    clients: sockets::Settings,
}

impl Settings {
    pub fn of(quick: bool) -> Self {
        match quick {
            true => Self {
                window: Duration::from_millis(50),
                sizes: &[1_000, 10_000],
                timed: 2_000,
                clients: sockets::Settings { at_once: 200, arrivals: 200 },
            },
            false => Self {
                window: Duration::from_secs(1),
                sizes: &[1_000, 10_000, 100_000, 1_000_000],
                timed: 100_000,
                clients: sockets::Settings { at_once: 5_000, arrivals: 3_000 },
            },
        }
    }
}

/// What can be measured by itself.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// The index.
    Index,
    /// The handler.
    Handler,
    /// Clients of a host.
    Sockets,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    parts: BTreeMap<&'static str, Value>,
    figures: BTreeMap<String, f64>,
}

/// Measures all parts or one, prints them and writes `match.json`.
pub fn run(quick: bool, only: Option<Part>, program: &Path, plugins: &Path, out: &Path) -> Result<PathBuf> {
    report::print_machine();
    let settings = Settings::of(quick);
    let mut report = Report { machine: report::machine()?, parts: BTreeMap::new(), figures: BTreeMap::new() };
    let is_wanted = |part| only.is_none_or(|only| only == part);
    if is_wanted(Part::Handler) {
        memory(&settings, &mut report)?;
    }
    if is_wanted(Part::Index) {
        on_index(&settings, &mut report)?;
    }
    if is_wanted(Part::Handler) {
        in_handler(&settings, &mut report)?;
    }
    if is_wanted(Part::Sockets) {
        let found = sockets::measure(&settings.clients, program, plugins, out)?;
        report.figures.extend(found.figures());
        report.parts.insert("sockets", json!(found));
    }
    for (name, value) in &report.figures {
        println!("  {name:32} {value:12.2}");
    }
    let file = out.join("match.json");
    report::write(&report, &file)?;
    Ok(file)
}

/// Holds what the pool says that it takes against what the process takes for it: for the most who wait, and before
/// anything else has taken memory that could be used again.
fn memory(settings: &Settings, report: &mut Report) -> Result<()> {
    let size = settings.sizes.iter().copied().max().unwrap_or_default();
    let (told, taken) = index::bytes_per_ticket(&crowd::domain(), size)?;
    println!("  the pool says that it takes {told:.0} bytes for each of {size}; the process grows by {taken:.0}");
    report.parts.insert("memory", json!({ "waiting": size, "told": told, "taken": taken }));
    Ok(())
}

/// A size as it is part of a figure's name.
fn short(size: usize) -> String {
    match size {
        1_000_000.. => format!("{}m", size / 1_000_000),
        _ => format!("{}k", size / 1_000),
    }
}

fn on_index(settings: &Settings, report: &mut Report) -> Result<()> {
    println!("  pairs a second on the index, range +-50, against a sorted list:");
    let mut rows = Vec::new();
    let mut costs = Vec::new();
    for kind in Kind::ALL {
        for &size in settings.sizes {
            let per_s = index::pairs_per_s(kind, size, settings.window)?;
            let list_per_s = index::sorted_list_pairs_per_s(kind, size, settings.window)?;
            let ratio = per_s / list_per_s;
            println!("  {:10} {size:9} {per_s:11.0}   sorted list {list_per_s:10.0}   x {ratio:6.1}", kind.name());
            rows.push(json!({ "ratings": kind.name(), "waiting": size, "per_s": per_s, "list_per_s": list_per_s }));
            if kind == Kind::Normal {
                report.figures.insert(format!("pairs_per_s_{}", short(size)), per_s);
                report.figures.insert(format!("pairs_ratio_{}", short(size)), ratio);
                costs.push((size, 1.0 / per_s));
            }
        }
    }
    report.figures.insert("slope_pairs".to_owned(), slope(&costs));
    report.parts.insert("pairs", json!(rows));
    let mut teams = BTreeMap::new();
    for &size in settings.sizes.iter().filter(|size| **size <= 100_000) {
        let per_s = index::teams_per_s(size, settings.window)?;
        println!("  five against five {size:9} {per_s:11.0} a second");
        report.figures.insert("teams_5v5_per_s".to_owned(), per_s);
        teams.insert(size, per_s);
    }
    report.parts.insert("teams", json!(teams));
    Ok(())
}

fn in_handler(settings: &Settings, report: &mut Report) -> Result<()> {
    println!("  tickets a second through the handler, all native rules, while so many wait in vain:");
    let mut rows = Vec::new();
    let mut costs = Vec::new();
    for &size in settings.sizes {
        let mut world = World::new(Game::Duels, None, Kind::Normal, size)?;
        let rate = world.rate(settings.window / 2, settings.window)?;
        let bytes = world.index_bytes_per_ticket();
        let steps = world.steps(settings.timed, Domain { rating_range: 120, ..crowd::domain() })?;
        let longest = steps.max_ms.values().fold(0.0, |longest: f64, ms| longest.max(*ms));
        println!(
            "  {size:9} {:9.0} a second   a search p50 {:6.2} p99 {:6.2} us   longest step {longest:7.3} ms   {bytes:5.0} bytes",
            rate.tickets_per_s, steps.enqueue_p50_us, steps.enqueue_p99_us
        );
        for (what, ms) in &steps.max_ms {
            println!("            longest, {what:18} {ms:8.3} ms");
        }
        costs.push((size, 1.0 / rate.tickets_per_s));
        let figures = &mut report.figures;
        figures.insert(format!("tickets_per_s_{}", short(size)), rate.tickets_per_s);
        // The last of them with at most 100,000.
        if size <= 100_000 {
            figures.insert("enqueue_p99_us".to_owned(), steps.enqueue_p99_us);
            figures.insert("step_max_ms".to_owned(), longest);
            figures.insert("bytes_per_ticket".to_owned(), bytes);
        }
        figures.insert(format!("bytes_per_ticket_{}", short(size)), bytes);
        rows.push(json!({ "waiting": size, "rate": rate, "steps": steps, "index_bytes_per_ticket": bytes }));
    }
    report.figures.insert("slope".to_owned(), slope(&costs));
    report.parts.insert("handler", json!(rows));
    with_more(settings, report)?;
    let mut equal = World::new(Game::Duels, None, Kind::Equal, settings.sizes[settings.sizes.len().min(3) - 1])?;
    let steps = equal.steps(settings.timed / 10, Domain { rating_range: 120, ..crowd::domain() })?;
    println!("  all ratings equal: {steps:?}");
    report.parts.insert("all_equal", json!(steps));
    Ok(())
}

/// The same with parties and teams, with a rule, and with both.
fn with_more(settings: &Settings, report: &mut Report) -> Result<()> {
    let mut rows = Vec::new();
    for (name, game, has_rule) in
        [("parties", Game::Parties, false), ("rule", Game::Duels, true), ("rule_parties", Game::Parties, true)]
    {
        for &size in settings.sizes {
            let rule = has_rule.then(stand_in::rule).transpose()?;
            let rate = World::new(game, rule, Kind::Normal, size)?.rate(settings.window / 2, settings.window)?;
            println!("  {size:9} {:9.0} a second   with {}", rate.tickets_per_s, name.replace('_', " and "));
            report.figures.insert(format!("tickets_per_s_{name}_{}", short(size)), rate.tickets_per_s);
            rows.push(json!({ "with": name, "waiting": size, "rate": rate }));
        }
    }
    report.parts.insert("with_more", json!(rows));
    Ok(())
}

/// How the logarithm of a cost grows with that of a size: the slope of the line with the least squares.
fn slope(costs: &[(usize, f64)]) -> f64 {
    let points: Vec<(f64, f64)> = costs.iter().map(|(size, cost)| ((*size as f64).ln(), cost.ln())).collect();
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
    let (x, y) = (mean(|it| it.0), mean(|it| it.1));
    let (over, under) = points
        .iter()
        .fold((0.0, 0.0), |(over, under), it| (over + (it.0 - x) * (it.1 - y), under + (it.0 - x) * (it.0 - x)));
    over / under
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_the_exponent() {
        let costs = [10, 100, 1_000].map(|size| (size, 3.0 * f64::from(size as u32).powf(0.4)));
        assert!((slope(&costs) - 0.4).abs() < 1e-9);
    }
}
