//! A host in a process of its own with the load inside it: each request for a scene is put on the host's bus and goes
//! through its services, its store and its scene threads, as the bus brings it; the answer comes the same way back. So
//! what is measured is the making of scenes, without a client's protocol.
//!
//! Invariant: every answer is looked at, and each is one scene that is there, its component started.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use hdrhistogram::Histogram;
use scenehost_core::scene_master::{Answer, Event, Order};
use scenehost_server::bus::Bus;
use scenehost_server::config::Config;
use scenehost_server::host;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::{MADE, NANOSECONDS_MAX, PASSING, Times};

/// How long the scenes of a round may take to be gone.
const GONE_MAX: Duration = Duration::from_secs(60);

/// What the process is to do.
#[derive(clap::Args)]
pub struct Arguments {
    pub config: PathBuf,
    /// How many requests are under way at once.
    pub at_once: u32,
    /// How many rounds are measured, after one that is not.
    pub rounds: u32,
    /// How many scenes a round makes; then the round waits until they are gone.
    pub scenes: u32,
    /// For how long scenes are made while those before them end.
    pub passing_s: u64,
}

/// What it has found.
#[derive(Serialize, Deserialize)]
pub struct Found {
    /// Scenes that are made and stay.
    pub made: Times,
    /// Scenes that are made while as many end.
    pub passing: Times,
}

/// Runs the host and the load, and prints what was found.
pub fn run(arguments: &Arguments) -> Result<()> {
    let config = Config::read(&arguments.config)?;
    config.check()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let found = runtime.block_on(async {
        let (stop, stopped) = mpsc::channel(1);
        let (serving, bus) = oneshot::channel();
        let host = tokio::spawn(host::run(config, arguments.config.clone(), stopped, |bus| _ = serving.send(bus.clone())));
        let Ok(bus) = bus.await else {
            host.await??;
            bail!("the host has ended before it served");
        };
        let found = measure(&bus, arguments).await?;
        drop(stop.send(()).await);
        host.await??;
        Ok(found)
    })?;
    println!("{}", serde_json::to_string(&found)?);
    Ok(())
}

async fn measure(bus: &Bus, arguments: &Arguments) -> Result<Found> {
    let mut all = histogram()?;
    let mut took = Duration::ZERO;
    for round in 0..=arguments.rounds {
        let (times, lasted) = round_of(bus, arguments).await?;
        if round > 0 {
            all.add(times)?;
            took += lasted;
        }
        gone(bus).await?;
    }
    let made = Times::new(&all, took);
    let until = Instant::now() + Duration::from_secs(arguments.passing_s);
    let began = Instant::now();
    let times = load(bus, arguments.at_once, PASSING, move || Instant::now() < until).await?;
    Ok(Found { made, passing: Times::new(&times, began.elapsed()) })
}

async fn round_of(bus: &Bus, arguments: &Arguments) -> Result<(Histogram<u64>, Duration)> {
    let (wanted, begun) = (arguments.scenes, Arc::new(AtomicU32::new(0)));
    let began = Instant::now();
    let times = load(bus, arguments.at_once, MADE, move || begun.fetch_add(1, Ordering::Relaxed) < wanted).await?;
    Ok((times, began.elapsed()))
}

/// So many tasks, each of which asks for a scene, waits for it, and asks for the next one.
async fn load(
    bus: &Bus,
    at_once: u32,
    fleet: &'static str,
    goes_on: impl Fn() -> bool + Clone + Send + 'static,
) -> Result<Histogram<u64>> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..at_once {
        let (bus, goes_on) = (bus.clone(), goes_on.clone());
        tasks.spawn(async move {
            let mut times = histogram()?;
            while goes_on() {
                let asked = Instant::now();
                let made = bus.ask_scene_master(|number| Event::ReqOperator { number, order: wanted(fleet) }).await;
                times.saturating_record(asked.elapsed().as_nanos() as u64);
                ensure!(matches!(made, Ok(Answer::Allocated { .. })), "no scene was made: {made:?}");
            }
            anyhow::Ok(times)
        });
    }
    let mut all = histogram()?;
    while let Some(times) = tasks.join_next().await {
        all.add(times??)?;
    }
    Ok(all)
}

/// A scene for nobody in particular: its making and its life are those of a match's.
fn wanted(fleet: &str) -> Order {
    Order::Allocate { fleet: fleet.into(), scene: None, domain: None, players: Vec::new() }
}

/// Waits until no scene is left.
async fn gone(bus: &Bus) -> Result<()> {
    let until = Instant::now() + GONE_MAX;
    while bus.scene_threads().scenes() > 0 {
        ensure!(Instant::now() < until, "scenes did not end by themselves");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // SceneMaster hears of the last ends.
    tokio::time::sleep(Duration::from_millis(200)).await;
    Ok(())
}

fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, NANOSECONDS_MAX, 3)?)
}

/// Starts it on the server's core, or on all, and gives what it has found.
pub fn start(arguments: &Arguments, pinned: bool, log: &Path) -> Result<Found> {
    let mut words = vec!["scenes-inside".to_owned(), arguments.config.display().to_string()];
    words.extend([arguments.at_once, arguments.rounds, arguments.scenes].map(|number| number.to_string()));
    words.push(arguments.passing_s.to_string());
    let said = crate::process::output(&words, pinned, log)?;
    serde_json::from_str(&said).with_context(|| format!("the host with its load said {said:?}; see {}", log.display()))
}
