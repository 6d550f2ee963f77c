//! Calls of slow scenes, which another thread makes: nobody waits for them, and nothing else is different.

use std::{cell::Cell, time::Duration};

use scenehost_engine::{CallError, DeliverError, Event, Failure, Group, Limits, SceneSpec, SwapError, journal};

use crate::journals::{replay, spec, whole};
use crate::support::{A, B, PLUGIN, Table, ms, player, say};

/// Runs once, each step for so long.
fn run_taking(table: &mut Table, took: Duration) {
    let now = Cell::new(table.now);
    let clock = || {
        now.set(now.get() + took);
        now.get()
    };
    table.worker.run_due(clock, &mut table.said);
}

/// Makes the calls that wait, each of so much work, and gives them back.
fn make(table: &mut Table, took: Duration) {
    for mut call in table.said.lane.replace(Vec::new()).unwrap_or_default() {
        let worked = Cell::new(Duration::ZERO);
        let now = table.now;
        call.run(|| now, || worked.replace(worked.get() + took));
        table.worker.back(call, &mut table.said);
    }
}

fn waiting(table: &Table) -> usize {
    table.said.lane.as_ref().map_or(0, Vec::len)
}

/// A and B, with somebody inside, and A has made a slow step.
fn slow_beside_quick(spec: &SceneSpec) -> Table {
    let mut table = Table::new();
    table.said.lane = Some(Vec::new());
    for key in [A, B] {
        table.try_create(key, spec).unwrap();
    }
    table.deliver(A, Event::Joined(player(0)));
    run_taking(&mut table, ms(3));
    table.deliver(B, Event::Joined(player(0)));
    table.run();
    assert_eq!((table.worker.is_slow(A), table.worker.is_slow(B)), (true, false));
    table.take_steps(A);
    table.take_steps(B);
    table
}

#[test]
fn who_is_slow_is_stepped_elsewhere_and_the_others_do_not_wait() {
    let mut table = slow_beside_quick(&spec(0, 100));
    table.say(A, b"ehello");
    table.say(B, b"ehello");
    table.run();
    assert_eq!((table.take_steps(A).len(), table.take_steps(B).len()), (0, 1));
    assert_eq!(waiting(&table), 1);

    // Nothing can be done with it meanwhile.
    assert_eq!(table.try_deliver(A, say(b"e")), Err(DeliverError::NoScene));
    assert!(!table.worker.is_slow(A));
    let swap = table.worker.swap(A, &PLUGIN, Limits::default(), &mut table.said);
    assert_eq!(swap, Err(SwapError::NoScene));
    table.run_for(ms(1_000));
    assert_eq!(waiting(&table), 1);

    make(&mut table, ms(1));
    let steps = table.take_steps(A);
    assert_eq!(steps.len(), 1);
    assert_eq!((steps[0].1.tick, steps[0].1.took, steps[0].1.commands.len()), (1, ms(1), 1));
}

#[test]
fn what_is_told_and_written_is_the_same() {
    let play = |lane: Option<Vec<_>>| {
        let mut table = Table::new();
        table.try_create(A, &spec(20, 5)).unwrap();
        table.deliver(A, Event::Joined(player(0)));
        run_taking(&mut table, ms(3));
        table.said.lane = lane;
        for round in 0..40_u8 {
            table.now += ms(50);
            table.say(A, &[b'e', round]);
            if round % 4 == 0 {
                table.say(A, &[b'T', 1, 20]);
            }
            table.run();
            make(&mut table, Duration::ZERO);
        }
        table
    };
    let (here, elsewhere) = (play(None), play(Some(Vec::new())));
    assert_eq!(here.said.journals, elsewhere.said.journals);
    assert_eq!(here.said.order, elsewhere.said.order);
    let commands = |table: &Table| table.said.steps.iter().map(|(_, _, it)| it.commands.clone()).collect::<Vec<_>>();
    assert_eq!(commands(&here), commands(&elsewhere));
    assert!(here.said.steps.len() > 40);
    assert!(replay(whole(&elsewhere)).is_ok_and(|report| report.ended == journal::Ended::Open));
}

#[test]
fn who_makes_good_steps_is_stepped_with_the_others_again() {
    let mut table = slow_beside_quick(&spec(0, 1_000));
    for _ in 0..64 {
        assert!(table.worker.is_slow(A));
        table.say(A, b"e");
        table.run();
        assert_eq!(waiting(&table), 1);
        make(&mut table, ms(1));
    }
    assert!(!table.worker.is_slow(A));
    table.say(A, b"e");
    table.run();
    assert_eq!(waiting(&table), 0);
}

#[test]
fn who_fails_elsewhere_is_removed() {
    let mut table = slow_beside_quick(&spec(0, 100));
    table.say(A, b"t");
    table.run();
    make(&mut table, ms(1));
    assert!(matches!(table.said.failures[..], [(A, Failure::Trap { .. })]));
    assert!(!table.worker.contains(A));
    assert!(matches!(replay(whole(&table)).unwrap().ended, journal::Ended::Failed { .. }));
}

#[test]
fn who_is_removed_meanwhile_does_not_come_back() {
    let mut table = slow_beside_quick(&spec(0, 100));
    table.say(A, b"e");
    table.run();
    assert!(!table.worker.remove(A), "nothing was here to be removed, but its place");
    table.try_create(A, &spec(0, 100)).unwrap();
    make(&mut table, ms(1));
    assert!(table.take_steps(A).is_empty());
    table.deliver(A, Event::Joined(player(0)));
    table.run();
    make(&mut table, ms(1));
    assert_eq!(
        table.take_ticks(A).iter().map(|(tick, _)| *tick).collect::<Vec<_>>(),
        [0],
        "the new scene is another one"
    );
}

#[test]
fn a_step_that_was_not_made_is_still_due() {
    let mut table = slow_beside_quick(&spec(0, 100));
    table.say(A, b"ehello");
    table.run();
    let call = table.said.lane.as_mut().unwrap().pop().unwrap();
    table.worker.back(call, &mut table.said);
    assert!(table.take_steps(A).is_empty());
    assert!(table.worker.next_due().is_some_and(|due| due <= table.now));
    table.run();
    make(&mut table, ms(1));
    assert_eq!(table.take_commands(A).len(), 1);
}

#[test]
fn a_scene_of_a_group_that_has_shown_nothing_yet_begins_elsewhere() {
    let mut table = Table::new();
    table.said.lane = Some(Vec::new());
    let spec = SceneSpec { group: Group(1), ..spec(20, 100) };
    let begin = |table: &mut Table, key| {
        assert!(table.worker.begins_slowly(&spec));
        table.worker.begin_aside(key, &PLUGIN, spec.clone(), || table.now, &mut table.said).unwrap();
        assert!(table.worker.contains(key));
        assert_eq!(table.try_deliver(key, say(b"e")), Err(DeliverError::NoScene));
    };
    begin(&mut table, A);
    make(&mut table, ms(3));
    assert_eq!(table.said.created, [(A, Ok(()))]);
    begin(&mut table, B);
    make(&mut table, ms(1));
    assert!(!table.worker.begins_slowly(&spec), "the last one was quick");
    table.deliver(A, Event::Joined(player(0)));
    table.run();
    assert_eq!(table.take_steps(A).len(), 1);
    assert!(replay(whole(&table)).is_ok());

    table.worker.reset_group(Group(1));
    assert!(table.worker.begins_slowly(&spec));
}

#[test]
fn a_scene_that_does_not_begin_elsewhere_is_not_there() {
    let mut table = Table::new();
    table.said.lane = Some(Vec::new());
    let mut spec = spec(0, 100);
    spec.init.configuration = "t".to_owned();
    table.worker.begin_aside(A, &PLUGIN, spec.clone(), || table.now, &mut table.said).unwrap();
    make(&mut table, ms(1));
    assert!(matches!(table.said.created[..], [(A, Err(_))]));
    assert!(!table.worker.contains(A));

    // Nor one whose thread has ended before.
    table.worker.begin_aside(A, &PLUGIN, spec, || table.now, &mut table.said).unwrap();
    let call = table.said.lane.as_mut().unwrap().pop().unwrap();
    table.worker.back(call, &mut table.said);
    assert!(table.said.created[1].1.is_err());
    assert!(!table.worker.contains(A));
}

#[test]
fn a_slow_game_is_asked_elsewhere_who_may_enter() {
    let mut table = slow_beside_quick(&spec(0, 100));
    for seat in [1, 7, 8] {
        table.worker.admit_aside(A, player(seat), || table.now, &mut table.said).unwrap();
        let again = table.worker.admit_aside(A, player(seat), || table.now, &mut table.said);
        assert_eq!(again, Err(CallError::NoScene));
        make(&mut table, ms(1));
    }
    let [(A, Ok(Ok(()))), (A, Ok(Err(refusal))), (A, Err(CallError::Failed(failure)))] = &table.said.admitted[..]
    else {
        panic!("{:?}", table.said.admitted);
    };
    assert_eq!((refusal.as_str(), failure.kind()), ("nobody may sit on seat 7", "trap"));
    assert!(!table.worker.contains(A));
    assert!(replay(whole(&table)).is_ok());
}

#[test]
fn where_there_is_no_other_thread_everybody_waits() {
    let mut table = slow_beside_quick(&spec(0, 100));
    table.said.lane = None;
    table.say(A, b"ehello");
    table.run();
    assert_eq!(table.take_commands(A).len(), 1);
}

#[test]
fn where_too_many_calls_wait_steps_of_slow_scenes_come_later_and_none_is_left_out() {
    let mut table = slow_beside_quick(&spec(0, 100));
    table.said.lane_is_full = true;
    table.say(A, b"ehello");
    table.say(B, b"ehello");
    table.run_for(ms(100));
    assert_eq!((table.take_steps(A).len(), table.take_steps(B).len(), waiting(&table)), (0, 1, 0));
    // It is here, not away: what is said to it meanwhile comes with the same step.
    table.say(A, b"eagain");
    table.said.lane_is_full = false;
    table.run_for(ms(5));
    assert_eq!(waiting(&table), 1);
    make(&mut table, ms(1));
    let steps = table.take_steps(A);
    assert_eq!(steps.len(), 1);
    assert_eq!((steps[0].1.tick, steps[0].1.commands.len()), (1, 2));
}

#[test]
fn who_had_to_wait_for_the_processor_is_not_slow() {
    let mut table = Table::new();
    table.said.worked = Some(ms(7));
    table.create_joined(A, 0);
    run_taking(&mut table, ms(100));
    assert_eq!(table.take_steps(A)[0].1.took, ms(100));
    assert!(!table.worker.is_slow(A));
}
