//! The lives of scenes: how many are made in a second, what they cost in memory and time, how little one that fails is
//! felt by the others, and that nothing of them is left when they have ended.
//!
//! - `scenes/inside.rs`: scenes made by requests on the bus of a host. `scenes/outside.rs`: by requests over HTTP.
//! - `scenes/held.rs`: the memory and the processor time of scenes that live.
//!
//! Invariant: each part has a host of its own, with a store of its own that is synced as always.

mod held;
pub mod inside;
mod outside;

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::http::Client;
use crate::process::Server;
use crate::report::{self, Machine};

const CLIENTS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7470);
const OPS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7471);
const TOKEN: &str = "a-token-of-the-bench";
const CONFIG: &str = include_str!("scenes.toml");
/// The fleets of that.
const MADE: &str = "made";
const PASSING: &str = "passing";
const ARENA: &str = "arena";
const TICKING: &str = "ticking";
/// How many requests for scenes are under way at once.
const AT_ONCE: u32 = 16;
/// As many as the host has slots.
const SCENES_MAX: u32 = 10_000;
const NANOSECONDS_MAX: u64 = 60_000_000_000;

/// How much is measured.
pub struct Settings {
    /// Scenes made in a round, and how many rounds there are.
    pub scenes: u32,
    pub rounds: u32,
    /// For how long scenes are made while others end.
    pub passing: Duration,
    /// Few and many scenes, whose costs are compared.
    pub few: u32,
    pub many: u32,
    /// For how long the processor time of scenes is counted.
    pub window: Duration,
}

impl Settings {
    pub fn full() -> Self {
        let seconds = Duration::from_secs;
        Self { scenes: 9_000, rounds: 5, passing: seconds(10), few: 100, many: SCENES_MAX, window: seconds(20) }
    }

    pub fn quick() -> Self {
        let seconds = Duration::from_secs;
        Self { scenes: 500, rounds: 1, passing: seconds(2), few: 20, many: 400, window: seconds(2) }
    }
}

/// Where the host and its parts lie.
pub struct Place {
    pub program: PathBuf,
    pub plugins: PathBuf,
    pub out: PathBuf,
}

/// How fast scenes were made.
#[derive(Serialize, Deserialize)]
pub struct Times {
    count: u64,
    per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

impl Times {
    fn new(times: &Histogram<u64>, took: Duration) -> Self {
        let ms = |quantile| times.value_at_quantile(quantile) as f64 / 1e6;
        let per_s = times.len() as f64 / took.as_secs_f64();
        Self { count: times.len(), per_s, p50_ms: ms(0.5), p99_ms: ms(0.99), max_ms: times.max() as f64 / 1e6 }
    }

    fn print(&self, what: &str) {
        let Self { per_s, p50_ms, p99_ms, max_ms, .. } = self;
        println!("  {what:44} {per_s:8.0} a second   p50 {p50_ms:6.3}  p99 {p99_ms:6.3}  max {max_ms:7.2} ms");
    }
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    load: Value,
    parts: BTreeMap<&'static str, Value>,
    figures: BTreeMap<&'static str, f64>,
}

/// Measures all parts, prints them and writes `scenes.json`.
pub fn run(settings: &Settings, place: &Place) -> Result<PathBuf> {
    report::print_machine();
    let mut report = Report {
        machine: report::machine()?,
        load: json!({ "at_once": AT_ONCE, "scenes_per_round": settings.scenes, "rounds": settings.rounds }),
        parts: BTreeMap::new(),
        figures: BTreeMap::new(),
    };
    made(settings, place, &mut report)?;
    held::run(settings, place, &mut report)?;
    for (name, value) in &report.figures {
        println!("  {name:28} {value:10.2}");
    }
    let file = place.out.join("scenes.json");
    report::write(&report, &file)?;
    Ok(file)
}

/// How many scenes are made in a second.
fn made(settings: &Settings, place: &Place, report: &mut Report) -> Result<()> {
    println!("  scenes made, {AT_ONCE} at once, each durable and its component started before it is answered:");
    for (name, pinned) in [("made_on_one_core", true), ("made", false)] {
        let arguments = inside::Arguments {
            config: config(place, name)?,
            at_once: AT_ONCE,
            rounds: settings.rounds,
            scenes: settings.scenes,
            passing_s: settings.passing.as_secs(),
        };
        let found = inside::start(&arguments, pinned, &place.out.join("scenes.log"))?;
        let where_ = if pinned { "one core" } else { "all cores" };
        found.made.print(&format!("requests on the bus, {where_}"));
        found.passing.print(&format!("the same while as many end, {where_}"));
        if pinned {
            report.figures.extend([
                ("created_on_one_core_per_s", found.made.per_s),
                ("created_on_one_core_p99_ms", found.made.p99_ms),
            ]);
        } else {
            report.figures.extend([
                ("created_per_s", found.made.per_s),
                ("create_p99_ms", found.made.p99_ms),
                ("created_while_as_many_end_per_s", found.passing.per_s),
            ]);
        }
        report.parts.insert(name, json!(found));
    }
    let over_http = outside::measure(settings, place)?;
    over_http.print("requests over HTTP, one core");
    report.figures.extend([("created_over_http_per_s", over_http.per_s), ("create_over_http_p99_ms", over_http.p99_ms)]);
    report.parts.insert("made_over_http", json!(over_http));
    Ok(())
}

/// Writes the configuration of a host with an empty store, and says where it is.
fn config(place: &Place, name: &str) -> Result<PathBuf> {
    let data = place.out.join("scenes-data");
    if data.exists() {
        fs::remove_dir_all(&data).context("the data of the last run cannot be removed")?;
    }
    let text = format!(
        "[server]\nlisten = \"{CLIENTS}\"\nscenes_max = {SCENES_MAX}\ndrain_ms = 0\ndata_dir = {data:?}\n\
         plugins_dir = {:?}\n\n[server.per_address]\nconnections = 20000\nsign_ins_per_minute = 60000000\n\n\
         [ops]\nlisten = \"{OPS}\"\ntoken = \"{TOKEN}\"\n\n{CONFIG}",
        place.plugins
    );
    let file = place.out.join(format!("scenes-{name}.toml"));
    fs::write(&file, text)?;
    Ok(file)
}

/// Starts the host as a process of its own, on the server's core.
fn start(place: &Place, name: &str) -> Result<Server> {
    let config = config(place, name)?;
    let configure = |command: &mut Command| _ = command.args(["serve", "--config"]).arg(&config);
    let mut server = Server::start(&place.program, configure, &place.out.join(format!("scenes-{name}.log")))?;
    server.wait_until_ready(OPS, "/health")?;
    Ok(server)
}

/// Makes so many scenes of a fleet.
fn make(fleet: &str, scenes: u32) -> Result<()> {
    let request = json!({ "fleet": fleet, "count": scenes });
    let answer = Client::connect(OPS)?.post("/v1/scenes", Some(TOKEN), &request)?;
    anyhow::ensure!(answer["created"] == scenes, "{scenes} scenes were asked for, and the answer was {answer}");
    Ok(())
}
