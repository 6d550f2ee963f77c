//! What scenes use, by the version that they run: for operators, and for Prometheus.
//!
//! Invariant: what is told is of builds that the host knows now, at most [`VERSIONS_SHOWN_MAX`] of a fleet for Prometheus,
//! so series come and go with the versions and there is a bound on them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use scenehost_engine::{Digest, GroupUsage, Peaks, Sums, Usage, step_time_us_max};
use serde::Serialize;

use super::record::hex;
use super::{Error, Plugins};

/// How many versions of a fleet have series: what new scenes are made of, the canary, and the newest before.
const VERSIONS_SHOWN_MAX: usize = 8;
/// The name of a component of `plugins_dir` among versions.
const FILE: &str = "file";

/// What a version's scenes have used in a fleet.
#[derive(Serialize)]
pub struct VersionUse {
    fleet: String,
    #[serde(skip)]
    plugin: String,
    /// Nothing of a component of `plugins_dir`.
    version: Option<u32>,
    #[serde(with = "hex")]
    digest: Digest,
    /// How many scenes run with it now.
    scenes: usize,
    #[serde(flatten)]
    used: ShownUse,
    step_us_p50: f64,
    step_us_p99: f64,
    /// How many steps took up to 1 µs, 2 µs, 4 µs and so on to 16,384 µs, and longer.
    step_times: Vec<u64>,
    #[serde(skip)]
    of_all: GroupUsage,
}

/// What was used, as operators see it.
#[derive(Serialize)]
pub struct ShownUse {
    steps: u64,
    step_ms: f64,
    step_us_mean: f64,
    step_us_max: f64,
    memory_bytes: u64,
    memory_bytes_max: u64,
    messages_in: u64,
    bytes_in: u64,
    messages_out: u64,
    bytes_out: u64,
    log_bytes: u64,
    snapshots: u64,
    snapshot_bytes: u64,
    snapshot_bytes_max: u64,
}

impl From<Usage> for ShownUse {
    fn from(Usage { sums, peaks, memory_bytes }: Usage) -> Self {
        shown(&sums, &peaks, memory_bytes)
    }
}

fn shown(sums: &Sums, peaks: &Peaks, memory_bytes: u64) -> ShownUse {
    ShownUse {
        steps: sums.steps,
        step_ms: sums.step_ns as f64 / 1e6,
        step_us_mean: tenths(sums.step_ns as f64 / 1e3 / sums.steps.max(1) as f64),
        step_us_max: tenths(peaks.step_ns as f64 / 1e3),
        memory_bytes,
        memory_bytes_max: peaks.memory_bytes,
        messages_in: sums.messages_in,
        bytes_in: sums.bytes_in,
        messages_out: sums.messages_out,
        bytes_out: sums.bytes_out,
        log_bytes: sums.log_bytes,
        snapshots: sums.snapshots,
        snapshot_bytes: sums.snapshot_bytes,
        snapshot_bytes_max: peaks.snapshot_bytes,
    }
}

fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

impl VersionUse {
    fn new(plugin: &str, fleet: &str, version: Option<u32>, digest: Digest) -> Self {
        Self {
            fleet: fleet.to_owned(),
            plugin: plugin.to_owned(),
            version,
            digest,
            scenes: 0,
            used: Usage::default().into(),
            step_us_p50: 0.0,
            step_us_p99: 0.0,
            step_times: Vec::new(),
            of_all: GroupUsage::default(),
        }
    }

    fn add(&mut self, scenes: usize, used: &GroupUsage) {
        self.scenes += scenes;
        self.of_all.add(used);
        let all = &self.of_all;
        // It is a sum of changes, which threads tell at different times.
        self.used = shown(&all.sums, &all.peaks, u64::try_from(all.memory_bytes).unwrap_or(0));
        let us = |share| tenths(all.step_quantile(share).as_secs_f64() * 1e6);
        (self.step_us_p50, self.step_us_p99) = (us(0.5), us(0.99));
        self.step_times = all.step_times.to_vec();
    }
}

impl Plugins {
    /// What the scenes of a plugin have used, by fleet and version.
    ///
    /// # Errors
    /// When no fleet has scenes of such a plugin, and there is none of this name in the registry.
    pub fn usage(&self, name: &str) -> Result<Vec<VersionUse>, Error> {
        let used: Vec<VersionUse> = self.used(usize::MAX).into_iter().filter(|it| it.plugin == name).collect();
        if used.is_empty() {
            self.registry().plugin(name)?;
        }
        Ok(used)
    }

    /// Builds of one version with different settings are one; of a fleet at most so many versions are told.
    fn used(&self, versions_max: usize) -> Vec<VersionUse> {
        let mut all: BTreeMap<String, Vec<VersionUse>> = BTreeMap::new();
        for run in self.fleets().known_runs() {
            let (fleet, plugin, digest) = (run.fleet.as_str(), run.game.as_str(), run.plugin.digest());
            let version = self.registry().version_of(plugin, digest);
            let of_fleet = all.entry(fleet.to_owned()).or_default();
            let known = of_fleet.iter().position(|it| it.version == version && it.plugin == plugin);
            let index = match known {
                Some(index) => index,
                None if of_fleet.len() >= versions_max => continue,
                None => {
                    of_fleet.push(VersionUse::new(plugin, fleet, version, digest));
                    of_fleet.len() - 1
                }
            };
            let used = run.used.lock().unwrap_or_else(PoisonError::into_inner);
            of_fleet[index].add(run.scenes.load(Ordering::Relaxed), &used);
        }
        all.into_values().flatten().collect()
    }

    /// The same in Prometheus' text format (version 0.0.4), with the labels `plugin`, `fleet` and `version`.
    pub fn usage_metrics(&self) -> String {
        let used = self.used(VERSIONS_SHOWN_MAX);
        let mut text = String::new();
        for (name, kind, value) in SERIES {
            text.push_str(&format!("# TYPE {name} {kind}\n"));
            for of in &used {
                let _ = writeln!(text, "{}{{{}}} {}", name, labels(of), value(of)); // A string takes all.
            }
        }
        text.push_str("# TYPE scenehost_version_step_seconds histogram\n");
        used.iter().for_each(|of| step_seconds(of, &mut text));
        text
    }
}

type Series = (&'static str, &'static str, fn(&VersionUse) -> u64);

const SERIES: [Series; 11] = [
    ("scenehost_version_scenes", "gauge", |of| of.scenes as u64),
    ("scenehost_version_memory_bytes", "gauge", |of| of.used.memory_bytes),
    ("scenehost_version_scene_memory_bytes_max", "gauge", |of| of.used.memory_bytes_max),
    ("scenehost_version_messages_in_total", "counter", |of| of.used.messages_in),
    ("scenehost_version_message_bytes_in_total", "counter", |of| of.used.bytes_in),
    ("scenehost_version_messages_out_total", "counter", |of| of.used.messages_out),
    ("scenehost_version_message_bytes_out_total", "counter", |of| of.used.bytes_out),
    ("scenehost_version_log_bytes_total", "counter", |of| of.used.log_bytes),
    ("scenehost_version_snapshots_total", "counter", |of| of.used.snapshots),
    ("scenehost_version_snapshot_bytes_total", "counter", |of| of.used.snapshot_bytes),
    ("scenehost_version_snapshot_bytes_max", "gauge", |of| of.used.snapshot_bytes_max),
];

fn labels(of: &VersionUse) -> String {
    let version = of.version.map_or_else(|| FILE.to_owned(), |version| version.to_string());
    format!("plugin=\"{}\",fleet=\"{}\",version=\"{version}\"", escaped(&of.plugin), escaped(&of.fleet))
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

fn step_seconds(of: &VersionUse, text: &mut String) {
    let (labels, mut steps) = (labels(of), 0);
    for (range, count) in of.of_all.step_times.iter().enumerate() {
        steps += count;
        let up_to = step_time_us_max(range).map_or_else(|| "+Inf".to_owned(), |us| (us as f64 / 1e6).to_string());
        let _ = writeln!(text, "scenehost_version_step_seconds_bucket{{{labels},le=\"{up_to}\"}} {steps}");
    }
    let seconds = of.of_all.sums.step_ns as f64 / 1e9;
    let _ = writeln!(text, "scenehost_version_step_seconds_sum{{{labels}}} {seconds}");
    let _ = writeln!(text, "scenehost_version_step_seconds_count{{{labels}}} {steps}");
}
