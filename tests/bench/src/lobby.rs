//! What users do in the lobby, over real connections.
//!
//! - `purchases.rs`: durable purchases, one user at a time and many at once.

mod purchases;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use serde_json::{Value, json};

use crate::report::{self, Machine};

/// How long each part is measured.
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
    load: Value,
    parts: BTreeMap<&'static str, Value>,
    figures: BTreeMap<&'static str, f64>,
}

/// Measures all parts, prints the tables and writes `lobby.json`.
pub fn run(settings: &Settings, program: &Path, out: &Path) -> Result<PathBuf> {
    report::print_machine();
    let machine = report::machine()?;
    let mut parts = BTreeMap::new();
    let mut figures = BTreeMap::new();
    let purchases = purchases::run(settings, program, out)?;
    parts.insert("purchases", purchases.rows);
    figures.extend(purchases.figures);
    for (name, value) in &figures {
        println!("  {name:28} {value:10.2}");
    }
    let load = json!({
        "warm_up_s": settings.warm_up.as_secs_f64(),
        "window_s": settings.window.as_secs_f64(),
        "cores": "server on core 0, generator on core 1",
    });
    let file = out.join("lobby.json");
    fs::create_dir_all(out)?;
    report::write(&Report { machine, load, parts, figures }, &file)?;
    Ok(file)
}
