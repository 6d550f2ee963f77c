//! What players do between games: one part a file, each with figures of its own.

pub mod leaderboard;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

use crate::report::{self, Machine};

#[derive(Serialize)]
struct Report {
    machine: Machine,
    figures: BTreeMap<&'static str, f64>,
}

/// Measures all parts, prints them and writes `lobby.json`.
pub fn run(quick: bool, out: &Path) -> Result<PathBuf> {
    report::print_machine();
    let machine = report::machine()?;
    let (entries, requests) = if quick { (10_000, 2_000) } else { (1_000_000, 200_000) };
    let figures = leaderboard::run(&leaderboard::Settings { entries, requests })?;
    let report = Report { machine, figures };
    for (name, value) in &report.figures {
        println!("  {name:28} {value:10.2}");
    }
    let file = out.join("lobby.json");
    report::write(&report, &file)?;
    Ok(file)
}
