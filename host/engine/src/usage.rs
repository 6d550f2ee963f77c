//! What scenes use: counted with each step, for the scene and for the group of scenes that it is in.
//!
//! Invariant: counting is a few additions to what is at hand anyway. It takes no memory, no lock, and no look at the clock
//! besides the two that a step has.

use std::time::Duration;

use crate::bindings::Command;

/// Into how many ranges the times of steps are sorted: up to 1 µs, 2 µs, 4 µs and so on, to 16,384 µs, and longer ones.
pub const STEP_TIMES: usize = 16;

/// A group of a worker's scenes, of which is counted together what they use. Its owner gives the numbers, from 1 on and
/// without gaps; scenes of which it says nothing are in group 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Group(pub u32);

/// What has come together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub steps: u64,
    /// By the clock, from a step's begin to its end.
    pub step_ns: u64,
    /// Messages of users that steps were given, and the bytes of their bodies.
    pub messages_in: u64,
    pub bytes_in: u64,
    /// Messages that steps sent, each once however many it is for, and the bytes of their bodies.
    pub messages_out: u64,
    pub bytes_out: u64,
    /// Of the texts of lines.
    pub log_bytes: u64,
    /// Whole states, for journals and changes of the version.
    pub snapshots: u64,
    pub snapshot_bytes: u64,
}

/// The most that there was at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peaks {
    pub step_ns: u64,
    /// Of one scene's linear memory.
    pub memory_bytes: u64,
    pub snapshot_bytes: u64,
}

/// What one scene has used since it began here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub sums: Sums,
    pub peaks: Peaks,
    /// Its linear memory now.
    pub memory_bytes: u64,
}

/// What a group of scenes has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupUsage {
    pub sums: Sums,
    pub peaks: Peaks,
    /// The linear memory of all of them now; of a part of the time, by how much that has changed.
    pub memory_bytes: i64,
    /// How many steps took up to 2^i µs and more than the range before; the last one has the longer ones.
    pub step_times: [u64; STEP_TIMES],
}

/// What one step has used.
pub struct StepUse {
    pub took: Duration,
    /// The scene's linear memory after it.
    pub memory_bytes: usize,
    pub messages_in: u32,
    pub bytes_in: usize,
}

impl Sums {
    fn add(&mut self, other: &Sums) {
        self.steps += other.steps;
        self.step_ns += other.step_ns;
        self.messages_in += other.messages_in;
        self.bytes_in += other.bytes_in;
        self.messages_out += other.messages_out;
        self.bytes_out += other.bytes_out;
        self.log_bytes += other.log_bytes;
        self.snapshots += other.snapshots;
        self.snapshot_bytes += other.snapshot_bytes;
    }
}

impl Peaks {
    fn raise(&mut self, other: &Peaks) {
        self.step_ns = self.step_ns.max(other.step_ns);
        self.memory_bytes = self.memory_bytes.max(other.memory_bytes);
        self.snapshot_bytes = self.snapshot_bytes.max(other.snapshot_bytes);
    }
}

impl Usage {
    /// A step was made, with these commands.
    pub(crate) fn stepped(&mut self, step: &StepUse, commands: &[Command], group: &mut GroupUsage) {
        let step_ns = step.took.as_nanos() as u64;
        let (messages_in, bytes_in) = (u64::from(step.messages_in), step.bytes_in as u64);
        let mut sums = Sums { steps: 1, step_ns, messages_in, bytes_in, ..Sums::default() };
        for command in commands {
            let body = match command {
                Command::Send(outgoing) => &outgoing.body,
                Command::Show(showing) => &showing.body,
                _ => continue,
            };
            sums.messages_out += 1;
            sums.bytes_out += body.len() as u64;
        }
        group.step_times[range_of(step_ns)] += 1;
        self.count(&sums, &Peaks { step_ns, ..Peaks::default() }, group);
        self.has(step.memory_bytes, group);
    }

    /// The scene's linear memory is this large.
    pub(crate) fn has(&mut self, memory_bytes: usize, group: &mut GroupUsage) {
        let memory_bytes = memory_bytes as u64;
        group.memory_bytes += memory_bytes as i64 - self.memory_bytes as i64;
        self.memory_bytes = memory_bytes;
        let peaks = Peaks { memory_bytes, ..Peaks::default() };
        self.peaks.raise(&peaks);
        group.peaks.raise(&peaks);
    }

    pub(crate) fn logged(&mut self, log_bytes: u64, group: &mut GroupUsage) {
        self.count(&Sums { log_bytes, ..Sums::default() }, &Peaks::default(), group);
    }

    pub(crate) fn saved(&mut self, bytes: usize, group: &mut GroupUsage) {
        let snapshot_bytes = bytes as u64;
        let sums = Sums { snapshots: 1, snapshot_bytes, ..Sums::default() };
        self.count(&sums, &Peaks { snapshot_bytes, ..Peaks::default() }, group);
    }

    fn count(&mut self, sums: &Sums, peaks: &Peaks, group: &mut GroupUsage) {
        self.sums.add(sums);
        self.peaks.raise(peaks);
        group.sums.add(sums);
        group.peaks.raise(peaks);
    }
}

impl GroupUsage {
    /// What came to it in another part of the time, or on another thread.
    pub fn add(&mut self, other: &GroupUsage) {
        self.sums.add(&other.sums);
        self.peaks.raise(&other.peaks);
        self.memory_bytes += other.memory_bytes;
        for (count, more) in self.step_times.iter_mut().zip(other.step_times) {
            *count += more;
        }
    }

    /// How long a step takes that is longer than this share of all, 0 to 1: read off the ranges as if the steps of each were
    /// spread evenly in it, as Prometheus' `histogram_quantile` does, and no more than the longest one took.
    pub fn step_quantile(&self, share: f64) -> Duration {
        let wanted = share * self.step_times.iter().sum::<u64>() as f64;
        let mut below = 0.0;
        for (range, count) in self.step_times.iter().enumerate().filter(|(_, count)| **count > 0) {
            let count = *count as f64;
            if below + count >= wanted {
                let from_us = if range == 0 { 0.0 } else { (1_u64 << (range - 1)) as f64 };
                let to_us = step_time_us_max(range).map_or(f64::MAX, |us| us as f64);
                let us = from_us + (to_us - from_us) * ((wanted - below) / count).clamp(0.0, 1.0);
                return Duration::from_nanos((us * 1e3).min(self.peaks.step_ns as f64) as u64);
            }
            below += count;
        }
        Duration::from_nanos(self.peaks.step_ns)
    }
}

/// The longest step of a range in microseconds; the last range has none.
pub fn step_time_us_max(range: usize) -> Option<u64> {
    (range + 1 < STEP_TIMES).then(|| 1 << range)
}

fn range_of(step_ns: u64) -> usize {
    let whole_us_below = step_ns.saturating_sub(1) / 1_000;
    ((u64::BITS - whole_us_below.leading_zeros()) as usize).min(STEP_TIMES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_in_the_first_range_that_is_long_enough() {
        for (ns, range) in [(0, 0), (1_000, 0), (1_001, 1), (2_000, 1), (2_001, 2), (4_000, 2), (16_384_000, 14)] {
            assert_eq!(range_of(ns), range, "{ns} ns");
        }
        assert_eq!((range_of(16_384_001), range_of(u64::MAX)), (15, 15));
        assert_eq!((step_time_us_max(0), step_time_us_max(14), step_time_us_max(15)), (Some(1), Some(16_384), None));
    }

    #[test]
    fn quantiles_are_read_off_the_ranges() {
        let mut usage = GroupUsage::default();
        assert_eq!(usage.step_quantile(0.5), Duration::ZERO);
        usage.step_times[3] = 90; // 4 to 8 µs
        usage.step_times[15] = 10;
        usage.peaks.step_ns = 20_000_000;
        assert_eq!(usage.step_quantile(0.45), Duration::from_micros(6));
        assert_eq!(usage.step_quantile(0.9), Duration::from_micros(8));
        assert_eq!(usage.step_quantile(0.99), Duration::from_millis(20), "no longer than the longest");
    }
}
