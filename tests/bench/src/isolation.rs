//! What hostile scenes do to a neighbour on their thread: a game of the arena is played by itself, beside scenes of the
//! same number that do no harm, and beside hostile ones that fail, and are begun anew as their fleets say. All three in
//! turn on one host with one scene thread, so that whatever else the machine does falls on all.
//!
//! Invariant: hostile scenes are at work in every round, or the bench fails.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::arena_player::{ArenaPlayer, Met, gather};
use crate::http::Client;
use crate::process::Server;
use crate::report::{self, Machine};

const CLIENTS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7492);
const OPS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7493);
const OPS_TOKEN: &str = "the-bench-is-the-operator";
const DOMAIN: &str = "neighbour";
const PLAYERS: usize = 4;
const TICK_MS: f64 = 50.0;
/// What hostile scenes do, at the end of a step, half a second after they have begun, for who fails before that is not given
/// to anybody; each is a fleet with the usual limits, but without quarantine: they are one component, whose quarantine would
/// end all of them.
const MISDEEDS: [&str; 8] = ["loop", "trap", "memory", "flood", "giant", "recursion", "log", "fail"];
/// The limit of a scene's memory, which is the usual one.
const MEMORY_MB_PER_SCENE: f64 = 16.0;
const CONFIG: &str = r#"[server]
scenes_max = 64
scene_threads = 1

[server.per_address]
connections = 20_000
sign_ins_per_minute = 60_000_000

[fleets.neighbour]
plugin = "arena"
configuration = { round_s = 86_400 }
scene = { tick_rate_hz = 20 }

[domains.neighbour]
fleet = "neighbour"
players_min = 4
players_max = 4

[fleets.harmless]
plugin = "hostile"
tick_when_empty = true
scene = { tick_rate_hz = 20, token_ms = 600_000, stop_grace_ms = 0 }
"#;
/// How long the scenes beside the neighbour are there before it is looked at, and without them until it is again.
const SETTLE: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Until scenes that are told to end have ended.
const ENDED_MAX: Duration = Duration::from_secs(30);
const MICROSECONDS_MAX: u64 = 60_000_000;
const FAILED: &str = "scenehost_scenes_failed_total";

/// How much is measured.
pub struct Settings {
    rounds: u32,
    window: Duration,
}

impl Settings {
    pub fn of(quick: bool) -> Self {
        let (rounds, seconds) = if quick { (1, 3) } else { (10, 6) };
        Self { rounds, window: Duration::from_secs(seconds) }
    }
}

/// Who is beside the neighbour.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nobody,
    Harmless,
    Hostile,
}

const ALL: [(Beside, &str); 3] =
    [(Beside::Nobody, "nobody"), (Beside::Harmless, "harmless scenes"), (Beside::Hostile, "hostile scenes")];

/// The time from one tick to the next, as the neighbour's players are told them, in milliseconds.
#[derive(Serialize)]
struct Row {
    beside: &'static str,
    ticks: u64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    /// The most that the host had in memory.
    resident_mb: f64,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    misdeeds: [&'static str; MISDEEDS.len()],
    failures: u64,
    rows: Vec<Row>,
    figures: BTreeMap<&'static str, f64>,
}

/// What is found beside one kind.
struct Found {
    gaps: Histogram<u64>,
    resident_kb: u64,
}

/// Measures, prints, and writes `isolation.json`.
pub fn run(settings: &Settings, program: &Path, plugins: &Path, out: &Path) -> Result<PathBuf> {
    report::print_machine();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(measure(settings, &start(program, plugins, out)?))?;
    for (name, value) in &report.figures {
        println!("  {name:34} {value:10.2}");
    }
    let file = out.join("isolation.json");
    report::write(&report, &file)?;
    Ok(file)
}

async fn measure(settings: &Settings, server: &Server) -> Result<Report> {
    let (told, mut hearing) = unbounded_channel();
    for player in gather(&format!("ws://{CLIENTS}"), DOMAIN, PLAYERS).await? {
        tokio::spawn(play(player, told.clone()));
    }
    let found = |_| -> Result<Found> {
        Ok(Found { gaps: Histogram::new_with_bounds(1, MICROSECONDS_MAX, 3)?, resident_kb: 0 })
    };
    let mut all: Vec<Found> = ALL.iter().map(found).collect::<Result<_>>()?;
    let mut failures = 0;
    for round in 0..settings.rounds {
        for ((beside, _), found) in ALL.iter().zip(&mut all) {
            let before = failed()?;
            let scenes = begin(*beside, round)?;
            let settled = Found { gaps: Histogram::new_with_bounds(1, MICROSECONDS_MAX, 3)?, resident_kb: 0 };
            look(server, &mut hearing, SETTLE, &mut { settled }).await?;
            look(server, &mut hearing, settings.window, found).await?;
            let new = failed()? - before;
            ensure!((new > 0) == (*beside == Beside::Hostile), "{new} scenes have failed");
            failures += new;
            end(&scenes).await?;
        }
    }
    let row = |((_, beside), found): (&(Beside, &'static str), &Found)| Row {
        beside,
        ticks: found.gaps.len(),
        p50_ms: found.gaps.value_at_quantile(0.5) as f64 / 1e3,
        p99_ms: found.gaps.value_at_quantile(0.99) as f64 / 1e3,
        max_ms: found.gaps.max() as f64 / 1e3,
        resident_mb: found.resident_kb as f64 / 1024.0,
    };
    let rows: Vec<Row> = ALL.iter().zip(&all).map(row).collect();
    print_rows(&rows, failures);
    Ok(Report { machine: report::machine()?, misdeeds: MISDEEDS, failures, figures: figures(&rows), rows })
}

fn figures(rows: &[Row]) -> BTreeMap<&'static str, f64> {
    let [alone, harmless, hostile] = rows else { return BTreeMap::new() };
    BTreeMap::from([
        ("neighbour_tick_p99_ratio", hostile.p99_ms / alone.p99_ms),
        ("neighbour_tick_p99_ratio_harmless", harmless.p99_ms / alone.p99_ms),
        ("neighbour_tick_max_ms", hostile.max_ms),
        ("hostile_memory_mb_max", hostile.resident_mb - harmless.resident_mb),
        ("hostile_memory_mb_allowed", MEMORY_MB_PER_SCENE * MISDEEDS.len() as f64),
    ])
}

fn print_rows(rows: &[Row], failures: u64) {
    println!("  a tick of {TICK_MS} ms beside    ticks      p50      p99      max ms   host, MB");
    for it in rows {
        println!(
            "  {:26} {:8} {:8.1} {:8.1} {:8.1} {:12.1}",
            it.beside, it.ticks, it.p50_ms, it.p99_ms, it.max_ms, it.resident_mb
        );
    }
    println!("  hostile scenes have failed {failures} times");
}

/// The times from one tick to the next for so long, and the most that the host has in memory meanwhile.
async fn look(
    server: &Server,
    hearing: &mut UnboundedReceiver<Result<Duration>>,
    time: Duration,
    found: &mut Found,
) -> Result<()> {
    let until = Instant::now() + time;
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while Instant::now() < until {
        tokio::select! {
            gap = hearing.recv() => {
                let gap = gap.context("nobody plays any more")??;
                found.gaps.saturating_record(gap.as_micros() as u64);
            }
            _ = looks.tick() => found.resident_kb = found.resident_kb.max(server.resident_kb()?),
        }
    }
    Ok(())
}

/// Plays until nobody wants to know any more, and tells the time from each tick to the next.
async fn play(mut player: ArenaPlayer, told: UnboundedSender<Result<Duration>>) {
    let mut last: Option<(u64, Instant)> = None;
    loop {
        let gap = match player.next().await {
            Ok(Met::Tick(tick, at)) => match last.replace((tick, at)) {
                Some((before, _)) if tick != before + 1 => Err(anyhow::anyhow!("tick {tick} came after {before}")),
                Some((_, before)) => Ok(at - before),
                None => continue,
            },
            Ok(Met::Dropped | Met::Back { .. }) => Err(anyhow::anyhow!("a connection was lost")),
            Err(error) => Err(error),
        };
        let is_over = gap.is_err();
        if told.send(gap).is_err() || is_over {
            return;
        }
    }
}

/// Begins scenes, of each misdeed one; their ids. They are given to users who never come, as scenes are that begin anew.
fn begin(beside: Beside, round: u32) -> Result<Vec<String>> {
    let mut client = Client::connect(OPS)?;
    let mut scenes = Vec::new();
    for (number, misdeed) in MISDEEDS.iter().enumerate() {
        let fleet = match beside {
            Beside::Nobody => return Ok(scenes),
            Beside::Harmless => "harmless",
            Beside::Hostile => misdeed,
        };
        let user = 1 + number + MISDEEDS.len() * (2 * round as usize + usize::from(beside == Beside::Hostile));
        let users = [json!({ "user": format!("{user:016x}"), "name": "Nobody" })];
        let answer = client.post("/v1/allocations", Some(OPS_TOKEN), &json!({ "fleet": fleet, "users": users }))?;
        let scene = answer["scene"].as_str().with_context(|| format!("no scene in {answer}"))?;
        scenes.push(scene.to_owned());
    }
    Ok(scenes)
}

/// Ends scenes, of which some are over already, and waits until all are.
async fn end(scenes: &[String]) -> Result<()> {
    let until = Instant::now() + ENDED_MAX;
    for scene in scenes {
        // That it is not there is what is said of one that has ended.
        while Client::connect(OPS)?.delete(&format!("/v1/scenes/{scene}"), OPS_TOKEN).is_ok() {
            ensure!(Instant::now() < until, "the scene {scene} does not end");
            sleep(LOOK_EVERY).await;
        }
    }
    Ok(())
}

/// How many scenes have failed so far.
fn failed() -> Result<u64> {
    let metrics = Client::connect(OPS)?.get("/metrics", None)?;
    let lines = metrics.lines().filter(|line| line.starts_with(FAILED));
    Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64)
}

/// Starts the host with an empty store.
fn start(program: &Path, plugins: &Path, out: &Path) -> Result<Server> {
    let data = out.join("isolation-data");
    if data.exists() {
        fs::remove_dir_all(&data).context("the data of the last run cannot be removed")?;
    }
    let fleet = |misdeed: &&str| {
        format!(
            "\n[fleets.{misdeed}]\nplugin = \"hostile\"\ntick_when_empty = true\n\
             configuration = {{ misbehave = \"{misdeed}\", when = \"tick\", after_ticks = 10 }}\n\
             scene = {{ tick_rate_hz = 20, token_ms = 600_000, stop_grace_ms = 0, quarantine = {{ scenes = 0 }} }}\n"
        )
    };
    let config = out.join("isolation.toml");
    fs::write(&config, CONFIG.to_owned() + &MISDEEDS.iter().map(fleet).collect::<String>())?;
    let program = fs::canonicalize(program).with_context(|| format!("{} is not there", program.display()))?;
    let configure = |command: &mut Command| {
        command.args(["serve", "--config"]).arg(&config).arg("--data-dir").arg(&data);
        command.arg("--plugins-dir").arg(plugins);
        command.args(["--listen", &CLIENTS.to_string(), "--ops-listen", &OPS.to_string()]);
        command.args(["--ops-token", OPS_TOKEN]);
    };
    let mut server = Server::start(&program, configure, &out.join("isolation.log"))?;
    server.wait_until_ready(OPS, "/health")?;
    Ok(server)
}
