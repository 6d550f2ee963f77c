//! What scenes use, as a worker counts it.

use scenehost_engine::{Group, GroupUsage, Limits, Usage};

use crate::support::{A, B, Table, ms};

const FIRST: Group = Group(1);
const SECOND: Group = Group(2);

fn usage(table: &Table, key: scenehost_engine::SceneKey) -> Usage {
    table.worker.usage(key).expect("it is there")
}

#[test]
fn steps_and_messages_count_for_the_scene_and_its_group() {
    let mut table = Table::new();
    for key in [A, B] {
        table.create_joined(key, 0);
        table.worker.set_group(key, FIRST);
    }
    table.run();
    let before = table.worker.take_used(FIRST);
    assert_eq!((before.sums.steps, before.sums.messages_in), (2, 0), "both were told who came in");
    assert!(before.memory_bytes > 0 && before.memory_bytes as u64 == 2 * usage(&table, A).memory_bytes, "{before:?}");

    table.say(A, b"e1234");
    table.say(A, b"e!");
    table.run();
    let used = usage(&table, A);
    assert_eq!((used.sums.steps, used.sums.messages_in, used.sums.bytes_in), (2, 2, 7));
    assert_eq!((used.sums.messages_out, used.sums.bytes_out), (3, 2 + 7), "an answer to who came in, and two echoes");
    let of_group = table.worker.take_used(FIRST);
    assert_eq!((of_group.sums.steps, of_group.sums.messages_in, of_group.sums.bytes_out), (1, 2, 7));
    assert_eq!(of_group.step_times.iter().sum::<u64>(), 1);
    assert_eq!(of_group.memory_bytes, 0, "it is as it was");
    assert_eq!(usage(&table, B).sums.messages_in, 0);
    assert_eq!(table.worker.take_used(FIRST), GroupUsage::default(), "it was asked");
}

#[test]
fn a_scene_takes_its_memory_along_and_leaves_what_it_has_used() {
    let mut table = Table::new();
    table.create_joined(A, 0);
    table.worker.set_group(A, FIRST);
    table.run();
    let bytes = usage(&table, A).memory_bytes as i64;
    table.worker.set_group(A, SECOND);
    let of_first = table.worker.take_used(FIRST);
    assert_eq!((of_first.memory_bytes, of_first.sums.steps), (0, 1));
    assert_eq!(table.worker.take_used(SECOND).memory_bytes, bytes);
    table.worker.remove(A);
    assert_eq!(table.worker.take_used(SECOND).memory_bytes, -bytes);
    assert_eq!(table.worker.usage(A), None);
}

#[test]
fn a_step_that_fails_counts_too_and_so_does_what_it_has_logged() {
    let mut table = Table::new();
    table.create_joined(A, 0);
    table.worker.set_group(A, FIRST);
    table.run();
    table.worker.take_used(FIRST);
    table.say(A, b"t");
    table.run();
    assert_eq!(table.said.failures.len(), 1);
    let used = table.worker.take_used(FIRST);
    assert_eq!((used.sums.steps, used.sums.messages_in, used.sums.messages_out), (1, 1, 0));
    assert_eq!(used.sums.log_bytes, "panicked: index out of bounds".len() as u64);
    assert!(used.memory_bytes < 0, "it has gone");
}

#[test]
fn snapshots_count_with_their_sizes() {
    let mut table = Table::new();
    table.create_joined(A, 0);
    table.worker.set_group(A, FIRST);
    table.run_for(ms(10));
    let plugin = crate::journals::other_version();
    table.worker.swap(A, &plugin, Limits::default(), &mut table.said).unwrap();
    let used = table.worker.take_used(FIRST);
    assert_eq!(used.sums.snapshots, 1);
    assert!(used.sums.snapshot_bytes > 0 && used.peaks.snapshot_bytes == used.sums.snapshot_bytes, "{used:?}");
}
