//! How soon users have a scene of those that are kept ready, one group after the other, while the ones that were used
//! are made anew.

use std::time::Instant;

use anyhow::Result;
use scenehost_core::UserId;
use scenehost_server::bus::Bus;

use super::inside::{allocate, histogram};
use super::{STANDBY, Settings, Times};

/// As many as the fleet keeps ready.
pub const READY: u32 = 64;
/// Users whose ids begin here are in no other measurement.
const FIRST_USER: u64 = 1 << 40;

pub async fn measure(bus: &Bus, settings: &Settings) -> Result<Times> {
    let mut rounds = Vec::new();
    let mut groups = (0..).map(|group| [FIRST_USER + 2 * group, FIRST_USER + 2 * group + 1].map(UserId));
    for _ in 0..=settings.rounds {
        let mut times = histogram()?;
        let began = Instant::now();
        for users in groups.by_ref().take(settings.given as usize) {
            let (_, took) = allocate(bus, STANDBY, &users).await?;
            times.saturating_record(took.as_nanos() as u64);
            tokio::time::sleep(settings.given_every).await;
        }
        rounds.push(Times::new(&times, began.elapsed()));
    }
    Ok(Times::median(&rounds[1..]))
}
