//! What scene threads and services count. Plain numbers on the hot path; once a second they go to the
//! metrics that `/metrics` shows.

use std::time::Duration;

use hdrhistogram::Histogram;
use metrics::{counter, gauge};
use scenehost_core::{Meter, Reading};

/// How often what a service says of itself goes to the metrics.
const SERVICE_EVERY: Duration = Duration::from_secs(1);

/// When a service's meters go to the metrics: at the start, and within a second after it has done something.
pub struct ServiceMeters {
    due: Option<Duration>,
}

impl ServiceMeters {
    pub fn new() -> Self {
        Self { due: Some(Duration::ZERO) }
    }

    /// When they are due, by the host's clock; `None`: they are as they were reported.
    pub fn due(&self) -> Option<Duration> {
        self.due
    }

    /// The service has done something, at this time.
    pub fn stepped(&mut self, now: Duration) {
        self.due.get_or_insert(now + SERVICE_EVERY);
    }

    pub fn report(&mut self, meters: Vec<Meter>) {
        self.due = None;
        for Meter { name, labels, value } in meters {
            match value {
                Reading::Now(value) => gauge!(name, &labels).set(value as f64),
                Reading::Total(value) => counter!(name, &labels).absolute(value),
            }
        }
    }
}

/// The longest lateness of a step that is told from longer ones.
const LATE_MICROSECONDS_MAX: u64 = 60_000_000;

pub struct SceneMeters {
    thread: String,
    pub messages_in: u64,
    pub messages_out: u64,
    pub refused_messages: u64,
    pub refused_connections: u64,
    pub slow_connections: u64,
    steps: u64,
    step_time: Duration,
    /// How late the steps since the last report were, in microseconds.
    late: Histogram<u32>,
}

impl SceneMeters {
    pub fn new(thread: usize) -> Self {
        Self {
            thread: thread.to_string(),
            messages_in: 0,
            messages_out: 0,
            refused_messages: 0,
            refused_connections: 0,
            slow_connections: 0,
            steps: 0,
            step_time: Duration::ZERO,
            late: Histogram::new_with_max(LATE_MICROSECONDS_MAX, 2).expect("these bounds are right"),
        }
    }

    pub fn stepped(&mut self, late_by: Duration, took: Duration) {
        self.steps += 1;
        self.step_time += took;
        self.late.saturating_record(late_by.as_micros() as u64);
    }

    pub fn started(&self, took: Duration) {
        counter!("scenehost_scenes_started_total").increment(1);
        counter!("scenehost_scene_start_microseconds_total").increment(took.as_micros() as u64);
    }

    pub fn swapped(&self, plugin: &str, outcome: &'static str) {
        counter!("scenehost_swaps_total", "plugin" => plugin.to_owned(), "outcome" => outcome).increment(1);
    }

    pub fn failed(&self, kind: &'static str) {
        counter!("scenehost_scenes_failed_total", "kind" => kind).increment(1);
    }

    /// Hands over what was counted since the last time.
    pub fn report(&mut self, scenes: usize, connections: usize) {
        let thread = std::mem::take(&mut self.thread);
        let label = || thread.clone();
        gauge!("scenehost_scenes", "thread" => label()).set(scenes as f64);
        gauge!("scenehost_scene_connections", "thread" => label()).set(connections as f64);
        let late = |microseconds| Duration::from_micros(microseconds).as_secs_f64();
        gauge!("scenehost_step_late_seconds_max", "thread" => label()).set(late(self.late.max()));
        gauge!("scenehost_step_late_seconds_p99", "thread" => label()).set(late(self.late.value_at_quantile(0.99)));
        counter!("scenehost_steps_total", "thread" => label()).increment(self.steps);
        counter!("scenehost_step_microseconds_total", "thread" => label()).increment(self.step_time.as_micros() as u64);
        counter!("scenehost_messages_in_total", "thread" => label()).increment(self.messages_in);
        counter!("scenehost_messages_out_total", "thread" => label()).increment(self.messages_out);
        counter!("scenehost_messages_refused_total", "thread" => label()).increment(self.refused_messages);
        counter!("scenehost_slow_connections_total", "kind" => "scene").increment(self.slow_connections);
        counter!("scenehost_connections_refused_total", "kind" => "scene").increment(self.refused_connections);
        self.late.reset();
        let late = self.late.clone();
        *self = Self { thread, late, ..Self::new(0) };
    }
}
