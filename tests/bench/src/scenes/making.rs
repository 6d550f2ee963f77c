//! How many scenes are made in a second, so many at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use anyhow::Result;
use hdrhistogram::Histogram;
use scenehost_server::bus::Bus;
use tokio::task::JoinSet;

use super::inside::{allocate, gone, histogram};
use super::{AT_ONCE, MADE, PASSING, Settings, Times};

/// Scenes that stay: in rounds, between which all of them end. The first round is not measured.
pub async fn in_rounds(bus: &Bus, settings: &Settings) -> Result<Times> {
    let mut rounds = Vec::new();
    for _ in 0..=settings.rounds {
        let (wanted, begun) = (settings.scenes, Arc::new(AtomicU32::new(0)));
        let began = Instant::now();
        let times = load(bus, MADE, move || begun.fetch_add(1, Ordering::Relaxed) < wanted).await?;
        rounds.push(Times::new(&times, began.elapsed()));
        gone(bus).await?;
    }
    Ok(Times::median(&rounds[1..]))
}

/// Scenes that end soon, so that as many end as are made.
pub async fn while_as_many_end(bus: &Bus, settings: &Settings) -> Result<Times> {
    let began = Instant::now();
    let until = began + settings.passing;
    let times = load(bus, PASSING, move || Instant::now() < until).await?;
    Ok(Times::new(&times, began.elapsed()))
}

/// So many tasks, each of which asks for a scene, waits for it, and asks for the next one.
async fn load(
    bus: &Bus,
    fleet: &'static str,
    goes_on: impl Fn() -> bool + Clone + Send + 'static,
) -> Result<Histogram<u64>> {
    let mut tasks = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (bus, goes_on) = (bus.clone(), goes_on.clone());
        tasks.spawn(async move {
            let mut times = histogram()?;
            while goes_on() {
                let (_, took) = allocate(&bus, fleet, &[]).await?;
                times.saturating_record(took.as_nanos() as u64);
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
