//! Another version of a game in a running scene.

use scenehost_engine::{
    Event, Limits, Plugin, SwapError,
    journal::{self, Ended, Nobody},
};

use crate::journals::{other_version, recorded, whole};
use crate::support::{A, B, PLUGIN, Table, ms, player, sent, version};

const STEP: &str = "(local $case i32) (local $body i32)\n    (global.set $count (i32.const 0))";

/// A version that traps in every step.
fn broken() -> Plugin {
    version(STEP, "(local $case i32) (local $body i32) (call $panic)")
}

fn swap(table: &mut Table, plugin: &Plugin) -> Result<(), SwapError> {
    table.worker.swap(A, plugin, Limits::default(), &mut table.said)
}

/// What an `e` is answered with.
fn echo(table: &mut Table) -> Vec<scenehost_engine::Command> {
    table.take_steps(A);
    table.say(A, b"e!");
    table.run_for(ms(100));
    table.take_commands(A)
}

/// The journal of the table's scene, run again with these versions at hand.
fn replayed(table: &Table, others: &[&Plugin]) -> journal::Report {
    let all: Vec<Plugin> = std::iter::once(&*PLUGIN).chain(others.iter().copied()).cloned().collect();
    journal::replay(whole(table), |digest| all.iter().find(|it| it.digest() == *digest).cloned(), &mut Nobody).unwrap()
}

#[test]
fn a_running_scene_changes_its_version_between_two_steps() {
    for tick_rate_hz in [20, 0] {
        let mut table = recorded(tick_rate_hz, 4);
        let other = other_version();
        assert_eq!(echo(&mut table).last(), Some(&sent(b"e!")));
        table.say(A, b"d");
        table.run_for(ms(100));
        swap(&mut table, &other).unwrap();
        assert!(table.said.swaps.is_empty(), "it has not made a step");
        assert_eq!(echo(&mut table), [sent(b"t")]);
        assert_eq!(table.said.swaps, [(A, Ok(()))]);
        assert_eq!(replayed(&table, &[&other]).swaps, 1);
    }
}

#[test]
fn the_state_and_the_timers_go_over() {
    let play = |swapped: bool| {
        let mut table = recorded(20, 1_000);
        table.say(A, b"d");
        table.say(A, &[b'T', 9, 50]);
        table.run_for(ms(200));
        if swapped {
            swap(&mut table, &other_version()).unwrap();
        }
        table.say(A, b"d");
        table.run_for(ms(600));
        table.take_commands(A)
    };
    assert_eq!(play(true), play(false));
}

#[test]
fn a_version_that_fails_in_its_first_step_is_as_if_it_had_not_been() {
    let mut table = recorded(20, 4);
    let broken = broken();
    table.run_for(ms(100));
    swap(&mut table, &broken).unwrap();
    assert_eq!(echo(&mut table), [sent(b"e!")], "the version before answers in the same step");
    let (_, result) = table.said.swaps.pop().unwrap();
    assert!(result.unwrap_err().contains("panicked"), "and it is said why");
    assert!(table.said.failures.is_empty());
    assert!(table.said.logs.iter().any(|(_, log)| log.lines.iter().any(|line| line.text.contains("panicked"))));
    assert_eq!(echo(&mut table), [sent(b"e!")]);
    assert_eq!(replayed(&table, &[&broken]).ended, Ended::Open);
}

#[test]
fn a_version_that_cannot_go_on_from_the_state_is_refused() {
    let mut table = recorded(20, 4);
    table.run_for(ms(100));
    let unloadable = version("(i32.ne (local.get $len) (i32.const 8))", "(i32.const 1)");
    let refused = swap(&mut table, &unloadable).unwrap_err();
    assert!(matches!(&refused, SwapError::Kept { reason } if reason.contains("the board is broken")), "{refused}");
    assert_eq!(echo(&mut table).last(), Some(&sent(b"e!")));
    assert!(table.said.swaps.is_empty());
    replayed(&table, &[]);
}

#[test]
fn a_version_that_fails_when_it_is_asked_to_let_somebody_in_is_left_too() {
    let mut table = recorded(20, 4);
    table.run_for(ms(100));
    let closed = version("(if (i32.eq (local.get $seat) (i32.const 8)) (then (call $panic)))", "(call $panic)");
    swap(&mut table, &closed).unwrap();
    assert_eq!(table.worker.admit(A, &player(1), || table.now, &mut table.said).unwrap(), Ok(()));
    assert!(table.said.swaps.pop().unwrap().1.is_err());
    table.deliver(A, Event::Joined(player(1)));
    assert_eq!(echo(&mut table).last(), Some(&sent(b"e!")));
    replayed(&table, &[&closed]);
}

#[test]
fn a_second_swap_before_the_first_step_falls_back_to_the_one_that_has_run() {
    let mut table = recorded(20, 4);
    let (other, broken) = (other_version(), broken());
    table.run_for(ms(100));
    swap(&mut table, &other).unwrap();
    swap(&mut table, &broken).unwrap();
    assert_eq!(echo(&mut table).last(), Some(&sent(b"e!")));
    replayed(&table, &[&other, &broken]);
}

#[test]
fn a_scene_that_is_not_there_or_is_over_is_not_swapped() {
    let mut table = recorded(20, 4);
    assert_eq!(table.worker.swap(B, &PLUGIN, Limits::default(), &mut table.said), Err(SwapError::NoScene));
    table.say(A, b"F");
    table.run_for(ms(100));
    assert_eq!(swap(&mut table, &PLUGIN), Err(SwapError::Finished));
}

#[test]
fn a_scene_that_fails_while_it_is_saved_is_gone() {
    let mut table = recorded(20, 1_000);
    table.say(A, b"S");
    table.run_for(ms(100));
    assert!(matches!(swap(&mut table, &PLUGIN), Err(SwapError::Failed(_))));
    assert!(!table.worker.contains(A));
}
