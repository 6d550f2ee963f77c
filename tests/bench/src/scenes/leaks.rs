//! Whether anything is left of scenes that have ended: slots, seats, threads, files, memory.
//!
//! What the store has written and not yet moved to its files grows and is given back again, and more so than anything
//! that could leak. So the memory that counts is the least that was held during the first third of the rounds, and
//! during the last.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use scenehost_core::UserId;
use scenehost_core::scene_master::{Answer, Event, Order};
use scenehost_server::bus::Bus;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::inside::{allocate, ask, gone};
use super::{AT_ONCE, ENDED, SCENES_MAX, Settings, standby};

/// How many scenes are made and ended by each of the tasks before all of them wait for the last to be gone.
const IN_A_BATCH: u32 = 16;
const THIRDS: usize = 3;

/// What was left.
#[derive(Serialize, Deserialize)]
pub struct Leaks {
    /// How many scenes were made and ended.
    pub rounds: u32,
    /// The resident memory, before and after.
    pub resident_kb: [u64; 2],
    pub bytes_per_round: f64,
    /// How many more there were at the end than before.
    pub threads: i64,
    pub files: i64,
}

impl Leaks {
    pub fn print(&self) {
        let Self { rounds, resident_kb: [first, last], bytes_per_round, threads, files } = self;
        println!(
            "  {rounds} scenes made and ended: {first} kB held at first, {last} kB at last, {bytes_per_round:.1} bytes \
             a scene; {threads} threads and {files} files more"
        );
    }
}

pub async fn measure(bus: &Bus, settings: &Settings) -> Result<Leaks> {
    // So many ended scenes are remembered; after that nothing more may be held.
    batches(bus, settings.remembered).await?;
    let (threads, files) = (count("task")?, count("fd")?);
    let mut resident_kb = Vec::new();
    for _ in 0..THIRDS {
        resident_kb.push(batches(bus, settings.ended / THIRDS as u32).await?);
    }
    let (first, last) = (resident_kb[0], resident_kb[THIRDS - 1]);
    let between = f64::from(settings.ended) * (THIRDS - 1) as f64 / THIRDS as f64;
    let leaks = Leaks {
        rounds: settings.ended,
        resident_kb: [first, last],
        bytes_per_round: (last as f64 - first as f64) * 1_024.0 / between,
        threads: count("task")? - threads,
        files: count("fd")? - files,
    };
    all_slots_are_free(bus).await?;
    Ok(leaks)
}

/// Makes and ends scenes, whose users are always the same: a seat that is not free again shows as a refusal. The least
/// memory that was held between batches.
async fn batches(bus: &Bus, scenes: u32) -> Result<u64> {
    let mut least_kb = u64::MAX;
    for _ in 0..scenes.div_ceil(AT_ONCE * IN_A_BATCH) {
        let mut tasks = JoinSet::new();
        for task in 0..AT_ONCE {
            tasks.spawn(batch(bus.clone(), task));
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        gone(bus).await?;
        least_kb = least_kb.min(resident_kb()?);
    }
    Ok(least_kb)
}

async fn batch(bus: Bus, task: u32) -> Result<()> {
    for scene in 0..IN_A_BATCH {
        let first = u64::from(task * IN_A_BATCH + scene) * 2;
        let (scene, _) = allocate(&bus, ENDED, &[first + 1, first + 2].map(UserId)).await?;
        ensure!(ask(&bus, Order::Stop { scene }).await? == Answer::Done, "the scene was not ended");
    }
    Ok(())
}

/// Every slot can be taken, at once.
async fn all_slots_are_free(bus: &Bus) -> Result<()> {
    let count = SCENES_MAX - standby::READY;
    let answer = bus.ask_scene_master(|number| Event::ReqCreateByHand { number, fleet: ENDED.into(), count }).await;
    let made = match &answer {
        Ok(Answer::Scenes(scenes)) => scenes.len(),
        _ => 0,
    };
    ensure!(made == count as usize, "{count} slots are free, and {made} could be taken: {:?}", answer.err());
    Ok(())
}

fn count(of: &str) -> Result<i64> {
    Ok(fs::read_dir(format!("/proc/self/{of}"))?.count() as i64)
}

fn resident_kb() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS in status")?;
    Ok(resident.trim().trim_end_matches("kB").trim().parse()?)
}
