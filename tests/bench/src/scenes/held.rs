//! What scenes cost that live: memory, and processor time while they tick, few of them and many.
//!
//! Invariant: what the host costs without scenes is subtracted, so that few scenes do not seem dearer than they are.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use serde_json::json;

use super::{ARENA, Place, Report, Settings, TICKING};
use crate::process::Server;

/// How long a host is left alone before it is measured.
const SETTLE: Duration = Duration::from_secs(3);

pub fn run(settings: &Settings, place: &Place, report: &mut Report) -> Result<()> {
    let memory = memory(settings, place)?;
    let Memory { held_kb, resident_kb, page_tables_kb } = memory;
    println!(
        "  {} arena scenes hold {held_kb:.1} kB each, and {page_tables_kb:.1} kB of page tables ({resident_kb:.1} kB \
         if what they share is counted for each)",
        settings.many
    );
    let few = us_per_scene_and_s(settings, settings.few, place)?;
    let many = us_per_scene_and_s(settings, settings.many, place)?;
    let ratio = many / few;
    println!(
        "  a scene that ticks costs {few:.1} us a second among {}, {many:.1} us among {}",
        settings.few, settings.many
    );
    report.figures.extend([("kb_per_scene", held_kb), ("cost_ratio_10000_to_100", ratio)]);
    let costs = json!({ "scenes": [settings.few, settings.many], "us_per_scene_and_s": [few, many] });
    report.parts.insert("ticking", costs);
    report.parts.insert("memory", json!(memory));
    Ok(())
}

/// What a scene takes of the machine's memory.
#[derive(Clone, Copy, Serialize)]
struct Memory {
    /// Its own memory, and its part of what scenes share: the pages of the component that none of them has changed.
    held_kb: f64,
    /// The same, with those pages counted for each scene that has looked at them.
    resident_kb: f64,
    /// The kernel's.
    page_tables_kb: f64,
}

/// What the process holds more with many arena scenes than with few, by scenes. With none it would still hold what
/// compiling took, and give that back later.
fn memory(settings: &Settings, place: &Place) -> Result<Memory> {
    let server = super::start(place, "arena")?;
    let all = || Ok::<_, anyhow::Error>([server.held_kb()?, server.resident_kb()?, server.page_tables_kb()?]);
    super::make(ARENA, settings.few)?;
    sleep(SETTLE);
    let before = all()?;
    let more = settings.many - settings.few;
    super::make(ARENA, more)?;
    sleep(SETTLE);
    let after = all()?;
    let each = |of: usize| (after[of] as f64 - before[of] as f64) / f64::from(more);
    Ok(Memory { held_kb: each(0), resident_kb: each(1), page_tables_kb: each(2) })
}

/// The processor time that a scene takes in a second, in microseconds.
fn us_per_scene_and_s(settings: &Settings, scenes: u32, place: &Place) -> Result<f64> {
    let server = super::start(place, "ticking")?;
    sleep(SETTLE);
    let alone = us_per_s(&server, settings.window)?;
    super::make(TICKING, scenes)?;
    sleep(SETTLE);
    let with_scenes = us_per_s(&server, settings.window)?;
    Ok((with_scenes - alone) / f64::from(scenes))
}

/// The processor time that the host takes in a second, in microseconds.
fn us_per_s(server: &Server, window: Duration) -> Result<f64> {
    let (before, began) = (server.cpu_exact()?, Instant::now());
    sleep(window);
    let used = server.cpu_exact()?.saturating_sub(before);
    Ok(1e6 * used.div_duration_f64(began.elapsed()))
}
