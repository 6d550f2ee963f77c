//! A host in a process of its own with the load inside it: each request for a scene is put on the host's bus and goes
//! through its services, its store and its scene threads, as the bus brings it; the answer comes the same way back. So
//! what is measured is the making of scenes, without a client's protocol.
//!
//! Invariant: every answer is looked at, and each is one scene that is there, its component started.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use hdrhistogram::Histogram;
use scenehost_core::SceneId;
use scenehost_core::UserId;
use scenehost_core::scene_master::{Answer, Event, Matched, NodeView, Order};
use scenehost_server::bus::Bus;
use scenehost_server::config::Config;
use scenehost_server::host;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::leaks::{self, Leaks};
use super::{NANOSECONDS_MAX, Settings, Times, making, standby};

/// How long the scenes of a round may take to be gone.
const GONE_MAX: Duration = Duration::from_secs(60);
const GONE_POLL: Duration = Duration::from_millis(1);

/// What the process is to do.
#[derive(clap::Args)]
pub struct Arguments {
    pub config: PathBuf,
    /// Small and short.
    #[arg(long)]
    pub quick: bool,
    /// Also whether something is left of scenes that have ended.
    #[arg(long)]
    pub leaks: bool,
}

/// What it has found.
#[derive(Serialize, Deserialize)]
pub struct Found {
    /// Scenes that are made and stay.
    pub made: Times,
    /// Scenes that are made while as many end.
    pub passing: Times,
    /// Scenes that are ready and are given to users.
    pub standby: Times,
    pub leaks: Option<Leaks>,
}

/// Runs the host and the load, and prints what was found.
pub fn run(arguments: &Arguments) -> Result<()> {
    let config = Config::read(&arguments.config)?;
    config.check()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let found = runtime.block_on(async {
        let (stop, stopped) = mpsc::channel(1);
        let (serving, bus) = oneshot::channel();
        let serve = |bus: &Bus| _ = serving.send(bus.clone());
        let host = tokio::spawn(host::run(config, arguments.config.clone(), stopped, serve));
        let Ok(bus) = bus.await else {
            host.await??;
            bail!("the host has ended before it served");
        };
        // On the threads of the runtime, as what asks for scenes in a host is.
        let (settings, with_leaks) = (Settings::of(arguments.quick), arguments.leaks);
        let found = tokio::spawn(async move { measure(&bus, &settings, with_leaks).await }).await??;
        stop.send(()).await.context("the host has ended by itself")?;
        host.await??;
        anyhow::Ok(found)
    })?;
    println!("{}", serde_json::to_string(&found)?);
    Ok(())
}

async fn measure(bus: &Bus, settings: &Settings, with_leaks: bool) -> Result<Found> {
    let made = making::in_rounds(bus, settings).await?;
    let passing = making::while_as_many_end(bus, settings).await?;
    gone(bus).await?;
    let standby = standby::measure(bus, settings).await?;
    let leaks = if with_leaks { Some(leaks::measure(bus, settings).await?) } else { None };
    Ok(Found { made, passing, standby, leaks })
}

/// Asks for a scene of a fleet, as a match does, and says when it was there.
pub async fn allocate(bus: &Bus, fleet: &str, users: &[UserId]) -> Result<(SceneId, Duration)> {
    let player = |user: &UserId| Matched {
        user: *user,
        name: "Nobody".to_owned(),
        rating: 1_500,
        team: 0,
        role: None,
        party: 0,
    };
    let players = users.iter().map(player).collect();
    let order = Order::Allocate { fleet: fleet.into(), scene: None, domain: None, players };
    let asked = Instant::now();
    let answer = ask(bus, order).await?;
    let took = asked.elapsed();
    match answer {
        Answer::Allocated { scene, entries, .. } if entries.len() == users.len() => Ok((scene, took)),
        other => bail!("a scene was asked for, and the answer was {other:?}"),
    }
}

pub async fn ask(bus: &Bus, order: Order) -> Result<Answer> {
    let what = format!("{order:?}");
    let answer = bus.ask_scene_master(|number| Event::ReqOperator { number, order }).await;
    answer.map_err(|refusal| anyhow::anyhow!("{what} was refused: {refusal}"))
}

/// The node, as SceneMaster sees it.
pub async fn node(bus: &Bus) -> Result<NodeView> {
    match ask(bus, Order::Nodes).await? {
        Answer::Nodes(mut nodes) if nodes.len() == 1 => Ok(nodes.remove(0)),
        other => bail!("one node is there, and the answer was {other:?}"),
    }
}

/// Waits until SceneMaster and the scene threads have no scene left, but for those that are always ready.
pub async fn gone(bus: &Bus) -> Result<()> {
    let until = Instant::now() + GONE_MAX;
    loop {
        let node = node(bus).await?;
        if node.allocated == 0
            && node.used.scenes == standby::READY
            && bus.scene_threads().scenes() == node.used.scenes as usize
        {
            return Ok(());
        }
        ensure!(Instant::now() < until, "scenes did not end by themselves: {node:?}");
        tokio::time::sleep(GONE_POLL).await;
    }
}

pub fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, NANOSECONDS_MAX, 3)?)
}

/// Starts it on the server's core, or on all, and gives what it has found.
pub fn start(arguments: &Arguments, pinned: bool, log: &Path) -> Result<Found> {
    let mut words = vec!["scenes-inside".to_owned(), arguments.config.display().to_string()];
    words.extend(arguments.quick.then(|| "--quick".to_owned()));
    words.extend(arguments.leaks.then(|| "--leaks".to_owned()));
    let said = crate::process::output(&words, pinned, log)?;
    serde_json::from_str(&said).with_context(|| format!("the host with its load said {said:?}; see {}", log.display()))
}
