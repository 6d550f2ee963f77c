//! Commits to the stores, each durable before it counts: by one owner, one at a time; and by several owners, each with many
//! at once, which share what a sync costs.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;
use scenehost_core::Write;
use scenehost_store::lock::DataLock;
use scenehost_store::{Store, postgres};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::runtime;

use super::hosts::Ground;
use super::{Figures, Settings};

/// How many owners commit together: Auth, Db, Lobby, SceneMaster.
const OWNERS: usize = 4;
/// How many commits of each owner wait at once.
const AT_ONCE: usize = 64;
/// About what a record of a scene or of a user has.
const VALUE_BYTES: usize = 300;
/// How many records of each of those who commit are written again and again.
const RECORDS: usize = 1_000;
/// Longer than anything takes here.
const LEASE_MAX: Duration = Duration::from_secs(600);
const MICROSECONDS_MAX: u64 = 60_000_000;

#[derive(Serialize)]
struct Row {
    what: &'static str,
    alone_p50_us: f64,
    alone_p99_us: f64,
    together_per_s: f64,
    together_p50_us: f64,
    together_p99_us: f64,
}

pub fn measure(settings: &Settings, ground: &Ground, figures: &mut Figures) -> Result<Value> {
    println!("  durable commits, one at a time, and {OWNERS} owners with {AT_ONCE} at once each:");
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let folder = ground.folder("commits")?;
    let lock = DataLock::take(&folder).context("the folder of the store is in use")?;
    let rocks = Store::open(&folder.join("store"), lock)?;
    let of_postgres = postgres::Settings {
        url: Some(ground.postgres.url()),
        schema: "commits".to_owned(),
        ..postgres::Settings::default()
    };
    let window = settings.window;
    let rows = runtime.block_on(async move {
        let postgres = Store::connect(&of_postgres).await?;
        anyhow::Ok([row("rocksdb", &rocks, window).await?, row("postgres", &postgres, window).await?])
    })?;
    for row in &rows {
        let name = row.what;
        figures.insert(format!("{name}_commit_p50_us"), row.alone_p50_us);
        figures.insert(format!("{name}_commits_per_s"), row.together_per_s);
        println!(
            "  {name:11} p50 {:7.0}  p99 {:8.0} us   together {:9.0} a second  p50 {:8.0}  p99 {:8.0} us",
            row.alone_p50_us, row.alone_p99_us, row.together_per_s, row.together_p50_us, row.together_p99_us,
        );
    }
    fs::remove_dir_all(folder)?;
    Ok(json!(rows))
}

async fn row(what: &'static str, store: &Store, window: Duration) -> Result<Row> {
    let (alone, _) = commit(store, (1, 1), window).await?;
    let (together, took) = commit(store, (OWNERS, AT_ONCE), window).await?;
    let us = |times: &Histogram<u64>, quantile| times.value_at_quantile(quantile) as f64;
    Ok(Row {
        what,
        alone_p50_us: us(&alone, 0.5),
        alone_p99_us: us(&alone, 0.99),
        together_per_s: together.len() as f64 / took.as_secs_f64(),
        together_p50_us: us(&together, 0.5),
        together_p99_us: us(&together, 0.99),
    })
}

/// So many owners, each with so many commits at once; how long each took, in microseconds.
async fn commit(
    store: &Store,
    (owners, at_once): (usize, usize),
    window: Duration,
) -> Result<(Histogram<u64>, Duration)> {
    let leases = store.leases();
    let node = leases.take_node(None, LEASE_MAX).await?;
    let began = Instant::now();
    let mut committing = Vec::new();
    for owner in 0..owners {
        let unit = format!("owner-{owner}");
        let epoch = leases.claim_unit(&unit, &node).await?.context("nobody else claims it")?;
        // As units do it: every commit looks whether the unit still is this one's.
        let store = store.fenced(&unit, epoch);
        for number in 0..at_once {
            let store = store.clone();
            committing.push(tokio::spawn(again_and_again(store, format!("{unit}/{number}"), began + window)));
        }
    }
    let mut all = Histogram::new_with_bounds(1, MICROSECONDS_MAX, 3)?;
    for times in committing {
        all.add(times.await??)?;
    }
    let took = began.elapsed();
    leases.release_node(&node).await?;
    Ok((all, took))
}

async fn again_and_again(store: Store, prefix: String, until: Instant) -> Result<Histogram<u64>> {
    let mut times = Histogram::new_with_bounds(1, MICROSECONDS_MAX, 3)?;
    let mut record = 0;
    while Instant::now() < until {
        record = (record + 1) % RECORDS;
        let write = Write::Put { key: format!("{prefix}/{record:04}"), value: vec![record as u8; VALUE_BYTES] };
        let sent = Instant::now();
        store.begin(vec![write]).await?.synced().await?;
        times.saturating_record(sent.elapsed().as_micros() as u64);
    }
    Ok(times)
}
