//! When scenes are stepped, with which events, and when they sleep.

use std::time::Duration;

use scenehost_engine::{
    CONTROL_EVENTS_MAX, CallError, Comeback, Command, CreateError, DeliverError, Departure, Event, LeaveReason, Limits,
    SceneKey, SceneSpec, StopNotice, StopReason, WorkerOptions,
};

use crate::support::{A, B, JOINED, TIMER, Table, answer, init, ms, player, say, sent};

const SEAT_0: u8 = 0;

fn left(seat: u32) -> Event {
    Event::Left(Departure { seat, reason: LeaveReason::Left })
}

#[test]
fn a_ticking_scene_steps_on_its_grid_without_gaps() {
    let mut table = Table::new();
    table.create_joined(A, 20);
    table.run_for(ms(300));
    assert_eq!(table.take_ticks(A), [(0, 0), (1, 50), (2, 100), (3, 150), (4, 200), (5, 250)]);
    // A rate that does not divide a second stays exact over time.
    table.create_joined(B, 30);
    let start = table.now - ms(1_000);
    table.run_for(ms(100_000));
    let ticks = table.take_ticks(B);
    assert_eq!(ticks.len(), 3_000);
    let (last, at_ms) = ticks[2_999];
    assert_eq!((last, at_ms - start.as_millis()), (2_999, 99_966));
}

#[test]
fn scenes_keep_the_phase_of_their_start() {
    let mut table = Table::new();
    table.create_joined(A, 20);
    table.run_for(ms(20));
    table.create_joined(B, 20);
    table.run_for(ms(100));
    assert_eq!(table.take_ticks(A), [(0, 0), (1, 50), (2, 100)]);
    assert_eq!(table.take_ticks(B), [(0, 20), (1, 70)]);
}

#[test]
fn under_overload_ticks_slow_down_and_none_is_left_out() {
    let mut table = Table::new();
    table.create_joined(A, 20);
    table.run_for(ms(100));
    table.now += ms(170);
    assert_eq!(table.run(), 1, "no burst");
    assert_eq!(table.run(), 0);
    table.run_for(ms(100));
    let steps = table.take_steps(A);
    let late: Vec<_> = steps.iter().map(|(_, step)| (step.tick, step.late_by)).collect();
    assert_eq!(late, [(0, ms(0)), (1, ms(0)), (2, ms(170)), (3, ms(0)), (4, ms(0))]);
    assert_eq!(steps[3].0, ms(1_300));
}

#[test]
fn a_scene_sleeps_while_nobody_is_inside() {
    let mut table = Table::new();
    table.create(A, 20);
    table.run_for(ms(1_000));
    assert_eq!(table.take_ticks(A), []);
    assert_eq!(table.worker.next_due(), None);

    table.now += ms(5);
    table.deliver(A, Event::Joined(player(0)));
    table.run_for(ms(145));
    // The next slot of its grid, and the first tick.
    assert_eq!(table.take_ticks(A), [(0, 1_050), (1, 1_100)]);

    table.deliver(A, Event::Dropped(0));
    table.run_for(ms(1_000));
    // One step more, to be told; then sleep.
    assert_eq!(table.take_ticks(A), [(2, 1_150)]);
    assert_eq!(table.worker.next_due(), None);

    table.deliver(A, left(0));
    table.deliver(A, Event::Joined(player(1)));
    table.run_for(ms(100));
    assert_eq!(table.take_ticks(A), [(3, 2_150), (4, 2_200)]);
}

#[test]
fn any_event_wakes_a_sleeping_scene_for_a_step() {
    let mut table = Table::new();
    table.create(A, 20);
    table.deliver(A, Event::Stopping(StopNotice { reason: StopReason::Drain, grace_ms: 100 }));
    table.run_for(ms(500));
    assert_eq!(table.take_ticks(A), [(0, 0)]);
}

#[test]
fn presence_is_counted_by_seats() {
    let mut table = Table::new();
    table.create_joined(A, 20);
    // One who never came, and one who was lost before leaving.
    table.deliver(A, left(5));
    table.deliver(A, Event::Joined(player(1)));
    table.deliver(A, Event::Dropped(1));
    table.deliver(A, left(1));
    table.run_for(ms(500));
    assert_eq!(table.take_ticks(A).len(), 10);
    table.deliver(A, Event::Dropped(0));
    table.deliver(A, Event::Resumed(Comeback { seat: 0, missed: true }));
    table.run_for(ms(500));
    assert_eq!(table.take_ticks(A).len(), 10);
}

#[test]
fn a_scene_can_be_told_to_tick_when_empty() {
    let mut table = Table::new();
    let spec = SceneSpec { tick_when_empty: true, ..SceneSpec::new(init(10)) };
    table.try_create(A, &spec).unwrap();
    table.run_for(ms(1_000));
    assert_eq!(table.take_ticks(A).len(), 10);
}

#[test]
fn at_tick_rate_0_a_step_comes_only_when_something_happened() {
    let mut table = Table::new();
    table.create_joined(A, 0);
    table.say(A, b"e one");
    assert_eq!(table.run(), 1);
    assert_eq!(table.take_commands(A), [answer(JOINED, SEAT_0), sent(b"e one")]);
    table.run_for(ms(10_000));
    assert_eq!(table.take_ticks(A), []);
    table.say(A, b"e two");
    table.run();
    assert_eq!(table.take_ticks(A), [(1, 10_000)]);
}

#[test]
fn timers_come_first_and_by_their_time() {
    let mut table = Table::new();
    table.create_joined(A, 20);
    for timer in [b"T\x01\x0c", b"T\x02\x0a", b"T\x03\x0a"] {
        table.say(A, timer);
    }
    table.run_for(ms(110));
    table.say(A, b"e a message");
    table.run_for(ms(50));
    let steps = table.take_steps(A);
    assert_eq!(steps[2].1.commands, [answer(TIMER, 2), answer(TIMER, 3)]);
    assert_eq!(steps[3].1.commands, [answer(TIMER, 1), sent(b"e a message")]);
}

#[test]
fn a_timer_is_replaced_by_its_id_and_can_be_cleared() {
    let mut table = Table::new();
    table.create_joined(A, 0);
    table.say(A, b"T\x01\x0a");
    table.say(A, b"T\x02\x14");
    table.run();
    table.say(A, b"T\x01\x1e");
    table.say(A, b"C\x02");
    table.say(A, b"C\x09");
    table.run();
    table.take_steps(A);
    table.run_for(ms(1_000));
    assert_eq!(table.take_ticks(A), [(2, 300)]);
}

#[test]
fn timers_are_counted_in_ticks_and_go_on_in_sleep() {
    let mut table = Table::new();
    table.create_joined(A, 20);
    table.say(A, b"T\x01\x14");
    table.say(A, b"T\x02\x50");
    table.run_for(ms(300));
    let steps = table.take_steps(A);
    assert_eq!(steps[4].1.commands, [answer(TIMER, 1)]);

    table.deliver(A, Event::Dropped(0));
    table.run_for(ms(1_000));
    // Asleep since 300 ms; woken at 800 for the timer, with the next tick, and asleep again.
    assert_eq!(table.take_ticks(A), [(6, 300), (7, 800)]);
    assert_eq!(table.worker.next_due(), None);
}

#[test]
fn timers_without_delay_cannot_take_the_core_at_tick_rate_0() {
    let mut table = Table::new();
    table.create_joined(A, 0);
    table.run();
    table.say(A, b"T\x01\x00");
    table.run();
    table.take_steps(A);
    table.run();
    assert_eq!(table.take_ticks(A), []);
    table.run_for(ms(100));
    assert_eq!(table.take_ticks(A), [(2, 8)]);
}

#[test]
fn many_messages_do_not_pile_up_entries_for_a_distant_timer() {
    let mut table = Table::new();
    table.create_joined(A, 0);
    table.say(A, b"T\x01\xff");
    for _ in 0..20_000 {
        table.say(A, b"e");
        assert_eq!(table.run(), 1);
        table.said.steps.clear();
    }
    table.run_for(ms(3_000));
    assert_eq!(table.take_commands(A), [answer(TIMER, 1)]);
    assert_eq!(table.worker.next_due(), None);
}

#[test]
fn a_flood_of_messages_is_refused_and_control_events_are_not() {
    let mut table = Table::new();
    let spec = SceneSpec {
        inbox_events_max: 10,
        inbox_bytes_max: 100,
        limits: Limits { messages_per_step_max: 2_048, ..Limits::default() },
        ..SceneSpec::new(init(20))
    };
    table.try_create(A, &spec).unwrap();
    for _ in 0..10 {
        table.say(A, b"e");
    }
    assert_eq!(table.try_deliver(A, say(b"e")), Err(DeliverError::InboxFull));
    for _ in 0..CONTROL_EVENTS_MAX {
        table.deliver(A, Event::Joined(player(0)));
    }
    let full = table.try_deliver(A, Event::Dropped(0));
    assert_eq!(full, Err(DeliverError::InboxFull));
    table.run_for(ms(50));
    assert_eq!(table.take_commands(A).len(), 10 + CONTROL_EVENTS_MAX as usize);

    table.say(A, &[b'e'; 60]);
    assert_eq!(table.try_deliver(A, say(&[b'e'; 60])), Err(DeliverError::InboxFull));
    table.say(A, &[b'e'; 40]);
    table.run_for(ms(50));
    assert_eq!(table.take_commands(A).len(), 2);
}

#[test]
fn after_finish_nothing_follows() {
    let mut table = Table::new();
    table.create_joined(A, 20);
    for order in [b"e last words".as_slice(), b"F", b"e too late", b"T\x01\x01"] {
        table.say(A, order);
    }
    table.run_for(ms(1_000));
    let commands = table.take_commands(A);
    assert_eq!(commands.len(), 3);
    assert_eq!(commands[1], sent(b"e last words"));
    assert!(matches!(commands[2], Command::Finish(_)));
    assert_eq!(table.try_deliver(A, say(b"e")), Err(DeliverError::Finished));
    let admitted = table.worker.admit(A, &player(1), || table.now, &mut table.said);
    assert_eq!(admitted, Err(CallError::Finished));
    assert_eq!(table.worker.next_due(), None);
    assert!(table.worker.remove(A));
    assert!(!table.worker.remove(A));
    assert_eq!(table.try_deliver(A, say(b"e")), Err(DeliverError::NoScene));
}

#[test]
fn a_removed_scene_is_not_stepped_and_its_place_is_used_again() {
    let mut table = Table::new();
    table.create_joined(A, 20);
    table.run_for(ms(60));
    table.worker.remove(A);
    table.take_steps(A);
    table.create_joined(B, 20);
    table.run_for(ms(200));
    assert_eq!(table.take_ticks(A), []);
    assert_eq!(table.take_ticks(B), [(0, 60), (1, 110), (2, 160), (3, 210)]);
    assert_eq!(table.worker.len(), 1);
}

#[test]
fn a_scene_needs_a_free_key_and_a_sane_rate() {
    let mut table = Table::new();
    table.create(A, 20);
    let spec = SceneSpec::new(init(20));
    assert_eq!(table.try_create(A, &spec), Err(CreateError::Exists));
    let spec = SceneSpec::new(init(121));
    let refused = table.try_create(B, &spec);
    assert_eq!(refused, Err(CreateError::TickRate { tick_rate_hz: 121 }));
}

#[test]
fn one_run_makes_a_bounded_number_of_steps() {
    let mut table = Table::with(WorkerOptions { steps_per_run_max: 8, ..WorkerOptions::default() });
    for key in 0..20 {
        table.create_joined(SceneKey(key), 20);
    }
    assert_eq!(table.run(), 8);
    assert_eq!(table.worker.next_due(), Some(table.now));
    assert_eq!((table.run(), table.run(), table.run()), (8, 4, 0));
}

#[test]
fn scenes_that_are_due_within_the_quantum_share_a_run() {
    let mut table = Table::with(WorkerOptions { quantum: Duration::from_micros(300), ..WorkerOptions::default() });
    table.create_joined(A, 20);
    table.now += Duration::from_micros(200);
    table.create_joined(B, 20);
    table.now = ms(1_000);
    assert_eq!(table.run(), 2);
    table.now = ms(1_050);
    assert_eq!(table.run(), 2);
    assert_eq!(table.take_steps(B)[1].1.late_by, Duration::ZERO);
}
