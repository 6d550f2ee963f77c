//! What players do between games: one part a file, each with figures of its own.

pub mod chat;
pub mod leaderboard;
mod purchases;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use crate::report::{self, Machine};

/// How long each part over connections is measured.
pub struct Settings {
    pub warm_up: Duration,
    pub window: Duration,
}

/// What one part has found: its rows, and its figures.
struct Part {
    rows: Value,
    figures: BTreeMap<&'static str, f64>,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    purchases: Value,
    figures: BTreeMap<&'static str, f64>,
}

/// Measures all parts, prints them and writes `lobby.json`.
pub fn run(quick: bool, program: &Path, out: &Path) -> Result<PathBuf> {
    report::print_machine();
    let machine = report::machine()?;
    let (entries, requests) = if quick { (10_000, 2_000) } else { (1_000_000, 200_000) };
    let mut figures = leaderboard::run(&leaderboard::Settings { entries, requests })?;
    let (warm_up, window) = if quick { (1, 2) } else { (3, 15) };
    let settings = Settings { warm_up: Duration::from_secs(warm_up), window: Duration::from_secs(window) };
    figures.extend(chat(&settings, program, out)?);
    let Part { rows, figures: of_purchases } = purchases::run(&settings, program, out)?;
    figures.extend(of_purchases);
    let report = Report { machine, purchases: rows, figures };
    for (name, value) in &report.figures {
        println!("  {name:28} {value:10.2}");
    }
    let file = out.join("lobby.json");
    report::write(&report, &file)?;
    Ok(file)
}

fn chat(settings: &Settings, program: &Path, out: &Path) -> Result<[(&'static str, f64); 3]> {
    let fanout = chat::chat_fanout(settings, program, out)?;
    println!(
        "  chat: {} messages to {} connections, {} receipts, at most {:.1} ms; host {:.0} %, generator {:.0} % of a core",
        fanout.messages,
        fanout.connections,
        fanout.receipts,
        fanout.max_ms,
        fanout.server_cpu_percent,
        fanout.generator_cpu_percent
    );
    Ok([
        ("chat_fanout_p50_ms", fanout.p50_ms),
        ("chat_fanout_p99_ms", fanout.p99_ms),
        ("chat_host_us_per_receipt", fanout.host_us_per_receipt),
    ])
}
