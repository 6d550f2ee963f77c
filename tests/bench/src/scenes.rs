//! The lives of scenes: how many are made in a second, what they cost in memory and time, how little one that fails is
//! felt by the others, and that nothing of them is left when they have ended.
//!
//! - `scenes/inside.rs`: a host with the load inside, on its bus: `scenes/making.rs`, scenes made; `scenes/standby.rs`,
//!   scenes that were ready; `scenes/leaks.rs`, what is left of scenes that have ended.
//! - `scenes/outside.rs`: scenes made by requests over HTTP.
//! - `scenes/held.rs`: the memory and the processor time of scenes that live. `scenes/storm.rs`: scenes that fail.
//!
//! Invariant: each part has a host of its own, with a store of its own that is synced as always.

mod held;
pub mod inside;
mod leaks;
mod making;
mod outside;
mod standby;
mod storm;

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
const STANDBY: &str = "standby";
const ENDED: &str = "ended";
const CALM: &str = "calm";
const STILL: &str = "still";
const STORM: &str = "storm";
/// How many requests for scenes are under way at once.
const AT_ONCE: u32 = 16;
/// As many as the host has slots, besides those of the scenes that are always ready.
const SCENES_MAX: u32 = 10_000;
const NANOSECONDS_MAX: u64 = 60_000_000_000;

/// How much is measured.
pub struct Settings {
    quick: bool,
    /// Scenes made in a round, and how many rounds there are.
    scenes: u32,
    rounds: u32,
    /// For how long scenes are made while others end.
    passing: Duration,
    /// How many scenes that are ready are given to users in a round, and how long it is from one to the next.
    given: u32,
    given_every: Duration,
    /// How many scenes are made and ended, and how many before that.
    ended: u32,
    remembered: u32,
    /// Few and many scenes, whose costs are compared.
    few: u32,
    many: u32,
    /// For how long the processor time of scenes is counted.
    window: Duration,
    /// Among how many scenes a tenth fails, how often that is compared, and for how many seconds each.
    stormed: u32,
    storms: u32,
    storm_looks: u32,
}

impl Settings {
    pub fn of(quick: bool) -> Self {
        if quick { Self::quick() } else { Self::full() }
    }

    fn full() -> Self {
        Self {
            quick: false,
            scenes: 9_000,
            rounds: 9,
            passing: Duration::from_secs(10),
            given: 250,
            given_every: Duration::from_millis(20),
            ended: 300_000,
            remembered: 30_000,
            few: 100,
            many: SCENES_MAX,
            window: Duration::from_secs(20),
            stormed: 1_000,
            storms: 8,
            storm_looks: 8,
        }
    }

    fn quick() -> Self {
        Self {
            quick: true,
            scenes: 500,
            rounds: 1,
            passing: Duration::from_secs(1),
            given: 50,
            given_every: Duration::from_millis(20),
            ended: 3_000,
            remembered: 1_000,
            few: 20,
            many: 400,
            window: Duration::from_secs(2),
            stormed: 100,
            storms: 1,
            storm_looks: 4,
        }
    }
}

/// What can be measured by itself.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Scenes that are made, given to users, and gone.
    Made,
    /// Scenes that live.
    Held,
    /// Scenes that fail.
    Storm,
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

    /// The middle one of each figure of many rounds, and the longest time of all.
    fn median(rounds: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(rounds.iter().map(figure).collect());
        Self {
            count: rounds.iter().map(|round| round.count).sum(),
            per_s: of(|round| round.per_s),
            p50_ms: of(|round| round.p50_ms),
            p99_ms: of(|round| round.p99_ms),
            max_ms: rounds.iter().map(|round| round.max_ms).fold(0.0, f64::max),
        }
    }

    fn print(&self, what: &str) {
        let Self { per_s, p50_ms, p99_ms, max_ms, .. } = self;
        println!("  {what:44} {per_s:8.0} a second   p50 {p50_ms:6.3}  p99 {p99_ms:6.3}  max {max_ms:7.2} ms");
    }
}

/// The middle one of some figures; of none it is 0.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    load: Value,
    parts: BTreeMap<&'static str, Value>,
    figures: BTreeMap<&'static str, f64>,
}

/// Measures all parts or one, prints them and writes `scenes.json`.
pub fn run(settings: &Settings, only: Option<Part>, place: &Place) -> Result<PathBuf> {
    report::print_machine();
    let mut report = Report {
        machine: report::machine()?,
        load: json!({ "at_once": AT_ONCE, "scenes_per_round": settings.scenes, "rounds": settings.rounds }),
        parts: BTreeMap::new(),
        figures: BTreeMap::new(),
    };
    let parts = [(Part::Made, made as fn(&_, &_, &mut _) -> _), (Part::Held, held::run), (Part::Storm, storm::run)];
    for (part, measure) in parts {
        if only.is_none_or(|only| only == part) {
            measure(settings, place, &mut report)?;
        }
    }
    for (name, value) in &report.figures {
        println!("  {name:28} {value:10.2}");
    }
    let file = place.out.join("scenes.json");
    report::write(&report, &file)?;
    Ok(file)
}

/// What others were measured to do with a room per request over HTTP, for the figure of the same here.
fn others() {
    println!("  rooms made over HTTP elsewhere: Nakama 8,649 a second, p99 9 ms (Go), 1,382 (Lua), 847 (JavaScript);");
    println!("  Colyseus 1,393 a second, p99 39 ms");
}

/// How fast scenes are made and given, and what is left of them.
fn made(settings: &Settings, place: &Place, report: &mut Report) -> Result<()> {
    println!("  scenes made, {AT_ONCE} at once, each durable and its component started before it is answered:");
    for (name, pinned) in [("made_on_one_core", true), ("made", false)] {
        let arguments = inside::Arguments { config: config(place, name)?, quick: settings.quick, leaks: !pinned };
        let found = inside::start(&arguments, pinned, &place.out.join("scenes.log"))?;
        let cores = if pinned { "one core" } else { "all cores" };
        found.made.print(&format!("requests on the bus, {cores}"));
        found.passing.print(&format!("the same while as many end, {cores}"));
        found.standby.print(&format!("one that was ready, now and then, {cores}"));
        let figures = &mut report.figures;
        if pinned {
            figures.insert("created_on_one_core_per_s", found.made.per_s);
            figures.insert("created_on_one_core_p99_ms", found.made.p99_ms);
            figures.insert("standby_on_one_core_p99_us", found.standby.p99_ms * 1e3);
        } else {
            figures.insert("created_per_s", found.made.per_s);
            figures.insert("create_p99_ms", found.made.p99_ms);
            figures.insert("created_while_as_many_end_per_s", found.passing.per_s);
            figures.insert("standby_p99_us", found.standby.p99_ms * 1e3);
        }
        if let Some(leaks) = &found.leaks {
            leaks.print();
            figures.insert("leak_bytes_per_round", leaks.bytes_per_round);
        }
        report.parts.insert(name, json!(found));
    }
    let over_http = outside::measure(settings, place)?;
    over_http.print("requests over HTTP, one core");
    report
        .figures
        .extend([("created_over_http_per_s", over_http.per_s), ("create_over_http_p99_ms", over_http.p99_ms)]);
    report.parts.insert("made_over_http", json!(over_http));
    others();
    Ok(())
}

/// Writes the configuration of a host with an empty store, and says where it is.
fn config(place: &Place, name: &str) -> Result<PathBuf> {
    let data = place.out.join("scenes-data");
    if data.exists() {
        fs::remove_dir_all(&data).context("the data of the last run cannot be removed")?;
    }
    let text = format!(
        "[server]\nlisten = \"{CLIENTS}\"\nscenes_max = {}\ndrain_ms = 0\ndata_dir = {data:?}\n\
         plugins_dir = {:?}\n\n[server.per_address]\nconnections = 20000\nsign_ins_per_minute = 60000000\n\n\
         [ops]\nlisten = \"{OPS}\"\ntoken = \"{TOKEN}\"\n\n{CONFIG}",
        SCENES_MAX + standby::READY,
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
