//! What operators may watch of scenes: how they went from state to state, how long allocations took, why they ended.

use std::collections::BTreeMap;

use super::State;
use crate::Meter;

/// The upper ends of the classes of allocations, in milliseconds, as Prometheus names them.
const LE: [(u64, &str); 8] =
    [(1, "1"), (5, "5"), (20, "20"), (100, "100"), (500, "500"), (1_000, "1000"), (5_000, "5000"), (u64::MAX, "+Inf")];

#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    begun: u64,
    went: BTreeMap<(&'static str, &'static str), u64>,
    ended: BTreeMap<&'static str, u64>,
    struck: BTreeMap<&'static str, u64>,
    reconciled: BTreeMap<&'static str, u64>,
    /// How many allocations took at most so long, for each of [`LE`].
    allocated: [u64; LE.len()],
    allocated_ms: u64,
}

impl Counts {
    /// A scene was placed for the first time.
    pub fn begun(&mut self) {
        self.begun += 1;
    }

    pub fn went(&mut self, from: State, to: State) {
        if from != to {
            *self.went.entry((from.name(), to.name())).or_default() += 1;
        }
    }

    pub fn ended(&mut self, reason: &'static str) {
        *self.ended.entry(reason).or_default() += 1;
    }

    /// A scene has misbehaved.
    pub fn struck(&mut self, kind: &'static str) {
        *self.struck.entry(kind).or_default() += 1;
    }

    /// A report told otherwise than the books.
    pub fn reconciled(&mut self, kind: &'static str) {
        *self.reconciled.entry(kind).or_default() += 1;
    }

    /// A scene that was asked for is there, after so long.
    pub fn allocated(&mut self, ms: u64) {
        for (count, (le, _)) in self.allocated.iter_mut().zip(LE) {
            *count += u64::from(ms <= le);
        }
        self.allocated_ms += ms;
    }

    pub fn meters(&self) -> Vec<Meter> {
        let mut meters = vec![Meter::total("scenehost_scenes_begun_total", self.begun)];
        for ((from, to), count) in &self.went {
            let meter = Meter::total("scenehost_scene_transitions_total", *count);
            meters.push(meter.of("from", *from).of("to", *to));
        }
        for (reason, count) in &self.ended {
            meters.push(Meter::total("scenehost_scenes_ended_total", *count).of("reason", *reason));
        }
        for (kind, count) in &self.struck {
            meters.push(Meter::total("scenehost_scene_strikes_total", *count).of("kind", *kind));
        }
        for (kind, count) in &self.reconciled {
            meters.push(Meter::total("scenehost_scenes_reconciled_total", *count).of("kind", *kind));
        }
        for (count, (_, le)) in self.allocated.iter().zip(LE) {
            meters.push(Meter::total("scenehost_allocation_milliseconds_bucket", *count).of("le", le));
        }
        let all = self.allocated.last().copied().unwrap_or_default();
        meters.push(Meter::total("scenehost_allocation_milliseconds_count", all));
        meters.push(Meter::total("scenehost_allocation_milliseconds_sum", self.allocated_ms));
        meters
    }
}
