//! How little scenes that fail are felt by others: many scenes tick, and of some of them the games trap at random steps
//! and begin anew, or do neither. Both in turn on one host, so that whatever else the machine does falls on both.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use serde_json::json;

use super::{CALM, OPS, Place, Report, STILL, STORM, Settings, TOKEN};
use crate::http::Client;

/// How long scenes tick before they are looked at.
const SETTLE: Duration = Duration::from_secs(2);
/// The host says so often how late its steps were.
const LOOK: Duration = Duration::from_secs(1);
const LATE: &str = "scenehost_step_late_seconds_p99";
const TRAPS: &str = "scenehost_scenes_failed_total{kind=\"trap\"}";
const STEPS: &str = "scenehost_steps_total";

#[derive(Serialize)]
struct Storm {
    /// Scenes that do not fail, and those that may.
    scenes: [u32; 2],
    /// The p99 of how late steps were, in microseconds: the median of all seconds without failures, and with them.
    late_p99_us: [f64; 2],
    ratio: f64,
    steps: u64,
    traps: u64,
}

/// What one look at the host's metrics gave.
struct Look {
    late_p99_us: f64,
    steps: u64,
    traps: u64,
}

pub fn run(settings: &Settings, place: &Place, report: &mut Report) -> Result<()> {
    let failing = settings.stormed / 10;
    let calm = settings.stormed - failing;
    let _server = super::start(place, "storm")?;
    super::make(CALM, calm)?;
    let (mut late_us, mut storm_steps, mut traps) = ([Vec::new(), Vec::new()], 0, 0);
    let mut first_user = 1;
    for _ in 0..settings.storms {
        for (of, fleet) in [STILL, STORM].into_iter().enumerate() {
            let scenes = allocate(fleet, failing, first_user)?;
            first_user += u64::from(failing);
            sleep(SETTLE);
            let begin = look()?;
            for _ in 0..settings.storm_looks {
                sleep(LOOK);
                late_us[of].push(look()?.late_p99_us);
            }
            let end = look()?;
            let failed = end.traps - begin.traps;
            ensure!((failed > 0) == (fleet == STORM), "{failed} scenes of {fleet} have failed");
            (storm_steps, traps) = (storm_steps + end.steps - begin.steps, traps + failed);
            stop(&scenes)?;
        }
    }
    let late_p99_us = late_us.map(super::median);
    // Both may be too little to be told from none.
    let ratio = (late_p99_us[1] + 1.0) / (late_p99_us[0] + 1.0);
    let storm = Storm { scenes: [calm, failing], late_p99_us, ratio, steps: storm_steps, traps };
    println!(
        "  of {} scenes {failing} trap, {traps} times in all: steps are late by {:.0} us (p99), without that by {:.0} us",
        settings.stormed, late_p99_us[1], late_p99_us[0]
    );
    report.figures.insert("storm_lateness_ratio", ratio);
    report.parts.insert("storm", json!(storm));
    Ok(())
}

/// Gives scenes to users, who never come; their ids, so that they can be ended.
fn allocate(fleet: &str, scenes: u32, first_user: u64) -> Result<Vec<String>> {
    let mut client = Client::connect(OPS)?;
    let users = first_user..first_user + u64::from(scenes);
    users
        .map(|user| {
            let users = [json!({ "user": format!("{user:016x}"), "name": "Nobody" })];
            let answer = client.post("/v1/allocations", Some(TOKEN), &json!({ "fleet": fleet, "users": users }))?;
            let scene = answer["scene"].as_str().with_context(|| format!("no scene in {answer}"))?;
            Ok(scene.to_owned())
        })
        .collect()
}

fn stop(scenes: &[String]) -> Result<()> {
    let mut client = Client::connect(OPS)?;
    scenes.iter().try_for_each(|scene| client.delete(&format!("/v1/scenes/{scene}"), TOKEN))
}

fn look() -> Result<Look> {
    let metrics = Client::connect(OPS)?.get("/metrics", None)?;
    let values = |name: &'static str| {
        let lines = metrics.lines().filter(move |line| line.starts_with(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
    };
    let late_s = values(LATE).reduce(f64::max).context("the host does not say how late its steps are")?;
    let total = |name| values(name).sum::<f64>() as u64;
    Ok(Look { late_p99_us: late_s * 1e6, steps: total(STEPS), traps: total(TRAPS) })
}
