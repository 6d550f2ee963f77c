//! What this machine gives to scenes: as configured, or found out from the system.

use scenehost_core::scene_master::{Capacity, Idle};

use crate::config::{Node, OnIdle};

/// Of the machine's memory, scenes get this much if it is not configured: the rest is for the store, for connections
/// and for the system.
const MEMORY_PERCENT: u64 = 75;
const US_PER_S: f64 = 1_000_000.0;

/// What the node gives, and what becomes of it when it is idle.
pub fn of(node: &Node, scenes: u32) -> (Capacity, Option<Idle>) {
    let cores =
        node.cores.unwrap_or_else(|| std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64));
    let memory_kib =
        node.memory_mib.map_or_else(|| memory_kib() / 100 * MEMORY_PERCENT, |mib| mib.saturating_mul(1_024));
    let capacity = Capacity { scenes, cpu_us_per_s: (cores * US_PER_S) as u64, memory_kib };
    let idle = (node.idle_ms > 0).then_some(Idle { after_ms: node.idle_ms, exits: node.on_idle == OnIdle::Exit });
    (capacity, idle)
}

/// The memory that this process may use: the machine's, or less if its control group has less.
fn memory_kib() -> u64 {
    let of_machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_kib(&text));
    let of_group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    // Without a limit it says "max", which is no number.
    let of_group = of_group.and_then(|text| text.trim().parse::<u64>().ok()).map(|bytes| bytes / 1_024);
    // Where neither is told, memory is not what limits.
    of_machine.into_iter().chain(of_group).min().unwrap_or(u64::MAX)
}

fn total_kib(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_counts_and_the_rest_is_found_out() {
        let node = Node { cores: Some(1.5), memory_mib: Some(2), idle_ms: 5, on_idle: OnIdle::Exit, region: None };
        let (capacity, idle) = of(&node, 7);
        assert_eq!(capacity, Capacity { scenes: 7, cpu_us_per_s: 1_500_000, memory_kib: 2_048 });
        assert_eq!(idle, Some(Idle { after_ms: 5, exits: true }));
        let (capacity, idle) = of(&Node::default(), 7);
        assert!(capacity.cpu_us_per_s >= 1_000_000 && capacity.memory_kib > 1_024, "{capacity:?}");
        assert_eq!(idle, None);
        assert_eq!(total_kib("MemFree: 1 kB\nMemTotal:       24624044 kB\n"), Some(24_624_044));
    }
}
