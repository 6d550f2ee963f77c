//! One scene after another in the same instance.

use scenehost_engine::{Command, CreateError, Event, Plugin, SceneSpec};

use crate::support::{A, B, ENGINE, GUEST, PLUGIN, Table, component, init, ms, player};

fn spec() -> SceneSpec {
    SceneSpec::new(init(20))
}

/// A scene, started once.
fn scene() -> Table {
    let mut table = Table::new();
    table.create(A, 20);
    assert_eq!(starts(&mut table), 1);
    table
}

/// How often the scene's instance was started.
fn starts(table: &mut Table) -> u8 {
    table.take_steps(A);
    table.say(A, b"n");
    table.run_for(ms(100));
    match &table.take_commands(A)[..] {
        [Command::Send(outgoing)] => outgoing.body[0],
        other => panic!("{other:?}"),
    }
}

/// How often the instance of the next session was started.
fn starts_after(table: &mut Table, plugin: &Plugin, spec: &SceneSpec) -> u8 {
    table.worker.restart(A, plugin, spec, || table.now, &mut table.said).unwrap();
    starts(table)
}

#[test]
fn a_scene_that_is_parked_does_nothing() {
    let mut table = Table::new();
    table.create_joined(A, 20);
    table.say(A, &[b'T', 1, 5]);
    table.run_for(ms(100));
    table.take_ticks(A);
    assert!(table.worker.park(A));
    assert_eq!(table.worker.next_due(), None);
    table.run_for(ms(1_000));
    assert!(table.take_steps(A).is_empty(), "no tick, and no timer");
    assert!(!table.worker.park(B), "there is none");
}

#[test]
fn the_next_session_begins_at_its_first_tick_with_nothing_of_the_one_before() {
    let mut table = Table::new();
    table.create_joined(A, 20);
    table.say(A, &[b'T', 1, 20]);
    table.run_for(ms(100));
    table.take_steps(A);
    table.worker.park(A);
    table.run_for(ms(30));
    table.worker.restart(A, &PLUGIN, &spec(), || table.now, &mut table.said).unwrap();
    assert_eq!(table.worker.next_due(), None, "nobody is inside");
    table.deliver(A, Event::Joined(player(1)));
    table.run_for(ms(300));
    let steps = table.take_ticks(A);
    assert_eq!(steps.iter().map(|(tick, _)| *tick).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(steps[0].1, 130, "at once");
}

#[test]
fn a_session_draws_its_numbers_from_its_own_seed() {
    let draws = |seed, table: &mut Table| {
        let mut spec = spec();
        spec.init.seed = seed;
        table.worker.restart(A, &PLUGIN, &spec, || table.now, &mut table.said).unwrap();
        table.say(A, b"d");
        table.run();
        table.take_commands(A)
    };
    let mut table = Table::new();
    let (first, second, third) = (draws(1, &mut table), draws(2, &mut table), draws(1, &mut table));
    assert_eq!(first, third);
    assert_ne!(first, second);
}

#[test]
fn the_instance_is_used_again_only_if_it_is_of_the_same_plugin_and_limits_and_has_not_failed() {
    assert_eq!(starts_after(&mut scene(), &PLUGIN, &spec()), 2, "the same one");

    let other = ENGINE.compile(&component(&GUEST.replace("the board is broken", "the board is shaken"))).unwrap();
    assert_eq!(starts_after(&mut scene(), &other, &spec()), 1, "another plugin");

    let mut less = spec();
    less.limits.step_ms_max -= 1;
    assert_eq!(starts_after(&mut scene(), &PLUGIN, &less), 1, "other limits");

    let mut table = scene();
    table.say(A, b"t");
    table.run_for(ms(100));
    assert_eq!(starts_after(&mut table, &PLUGIN, &spec()), 1, "it has trapped");
}

#[test]
fn a_session_that_does_not_start_leaves_no_scene() {
    let mut table = scene();
    let mut broken = spec();
    "E".clone_into(&mut broken.init.configuration);
    let error = table.worker.restart(A, &PLUGIN, &broken, || table.now, &mut table.said).unwrap_err();
    assert!(matches!(error, CreateError::Failed(_)), "{error}");
    assert!(!table.worker.contains(A));
    table.create(A, 20);
}
