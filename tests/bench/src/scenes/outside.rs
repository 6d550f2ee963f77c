//! Scenes made over HTTP, one a request, as servers for rooms are measured: the generator has a core of its own.
//!
//! Invariant: every answer is looked at, and each is one scene that is there, its component started.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use serde_json::json;

use super::{AT_ONCE, MADE, NANOSECONDS_MAX, OPS, Place, Settings, TOKEN, Times};
use crate::http::Client;

/// How long the scenes of a round are kept ready, and some more.
const GONE: Duration = Duration::from_secs(6);

pub fn measure(settings: &Settings, place: &Place) -> Result<Times> {
    let _server = super::start(place, "outside")?;
    let mut rounds = Vec::new();
    for _ in 0..=settings.rounds {
        let began = Instant::now();
        let times = round_of(settings.scenes)?;
        rounds.push(Times::new(&times, began.elapsed()));
        thread::sleep(GONE);
    }
    Ok(Times::median(&rounds[1..]))
}

fn round_of(scenes: u32) -> Result<Histogram<u64>> {
    let begun = AtomicU32::new(0);
    let one = || -> Result<Histogram<u64>> {
        let mut client = Client::connect(OPS)?;
        let mut times = Histogram::new_with_bounds(1, NANOSECONDS_MAX, 3)?;
        let request = json!({ "fleet": MADE, "count": 1 });
        while begun.fetch_add(1, Ordering::Relaxed) < scenes {
            let sent = Instant::now();
            let answer = client.post("/v1/scenes", Some(TOKEN), &request)?;
            times.saturating_record(sent.elapsed().as_nanos() as u64);
            ensure!(answer["created"] == 1, "no scene was made: {answer}");
        }
        Ok(times)
    };
    let mut all = Histogram::new_with_bounds(1, NANOSECONDS_MAX, 3)?;
    thread::scope(|scope| -> Result<()> {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(one)).collect();
        for thread in threads {
            all.add(thread.join().expect("it does not panic")?)?;
        }
        Ok(())
    })?;
    Ok(all)
}
