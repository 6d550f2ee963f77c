//! One scene without a schedule.

use scenehost_engine::{Command, Engine, Event, Failure, Instance, Level, Limits, Log, LogLine, Moment, Options};

use crate::support::{GUEST, PLUGIN, answer, component, init, player, say, sent};

fn started() -> Instance {
    let mut instance = Instance::new(&PLUGIN, Limits::default()).unwrap();
    instance.start(&init(20)).unwrap();
    instance
}

fn at(tick: u64) -> Moment {
    Moment { tick, elapsed_ms: tick * 50 }
}

#[test]
fn events_go_in_and_commands_come_out_in_order() {
    let mut instance = started();
    let commands = instance.step(at(0), &[Event::Joined(player(3)), say(b"e hello"), say(b"e again")]).unwrap();
    assert_eq!(commands, [answer(0, 3), sent(b"e hello"), sent(b"e again")]);
    assert_eq!(instance.step(at(1), &[]).unwrap(), []);
}

#[test]
fn the_game_decides_who_enters() {
    let mut instance = started();
    assert_eq!(instance.admit(&player(1)).unwrap(), Ok(()));
    let refusal = instance.admit(&player(7)).unwrap();
    assert_eq!(refusal, Err("nobody may sit on seat 7".to_owned()));
}

#[test]
fn the_same_events_give_the_same_commands() {
    let play = |seed| {
        let mut instance = Instance::new(&PLUGIN, Limits::default()).unwrap();
        let mut init = init(20);
        init.seed = seed;
        instance.start(&init).unwrap();
        (0..50).flat_map(|tick| instance.step(at(tick), &[say(b"d"), say(b"e")]).unwrap()).collect::<Vec<Command>>()
    };
    assert_eq!(play(1), play(1));
    assert_ne!(play(1), play(2));
}

#[test]
fn a_loaded_scene_goes_on_where_it_was_saved() {
    let mut first = started();
    first.step(at(0), &[say(b"d")]).unwrap();
    let snapshot = first.save().unwrap().unwrap();
    let mut second = Instance::new(&PLUGIN, Limits::default()).unwrap();
    second.load(&init(20), &snapshot).unwrap();
    let next = first.step(at(1), &[say(b"d")]).unwrap();
    assert_eq!(next, second.step(at(1), &[say(b"d")]).unwrap());

    let mut third = Instance::new(&PLUGIN, Limits::default()).unwrap();
    let refused = third.load(&init(20), b"not a snapshot").unwrap_err();
    assert_eq!(refused, Failure::GameError("the board is broken".to_owned()));
}

#[test]
fn a_snapshot_has_a_largest_size() {
    let mut instance = started();
    instance.step(at(0), &[say(b"S")]).unwrap();
    assert_eq!(instance.save().unwrap_err(), Failure::SnapshotTooLarge { limit_bytes: 4 << 20 });
}

#[test]
fn logged_lines_are_bounded_and_counted() {
    let mut instance = started();
    assert_eq!(instance.take_log(), None);
    instance.step(at(0), &[say(b"x\x40")]).unwrap();
    let log = instance.take_log().unwrap();
    let line = LogLine { level: Level::Info, text: "a line for the designer".to_owned() };
    assert_eq!(log.lines[0], line);
    assert_eq!(log.lines.len() + log.dropped as usize, 4_096);
    assert!(log.lines.len() * line.text.len() <= Limits::default().log_bytes_per_step_max);
    // The next call has its own room.
    instance.step(at(1), &[say(b"x\x01")]).unwrap();
    let Log { lines, dropped } = instance.take_log().unwrap();
    assert_eq!((lines.len(), dropped), (64, 0));
}

#[test]
fn a_game_may_be_refused_memory_and_carry_on() {
    let mut instance = started();
    let commands = instance.step(at(0), &[say(b"h"), say(b"e")]).unwrap();
    assert_eq!(commands, [sent(b"e")]);
}

/// Traps unless its memory is as the component says, then changes a byte of each page, so far apart.
fn finds_and_leaves_marks(apart: u32) -> String {
    let start = format!(
        r#"(func $marks (local $at i32)
             (if (i32.ne (i32.load8_u (i32.const 64)) (i32.const 112)) (then unreachable))
             (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
             (local.set $at (i32.const {apart}))
             (loop $next
               (if (i32.load8_u (local.get $at)) (then unreachable))
               (i32.store8 (local.get $at) (i32.const 255))
               (local.set $at (i32.add (local.get $at) (i32.const {apart})))
               (br_if $next (i32.lt_u (local.get $at) (i32.const 327680))))
             (i32.store8 (i32.const 64) (i32.const 0)))
           (start $marks)
           (func $panic"#
    );
    GUEST.replace("(func $panic", &start)
}

#[test]
fn a_slot_that_is_used_again_has_nothing_of_the_scene_before() {
    let engine = Engine::new(Options { scenes_max: 16, ..Options::default() }).unwrap();
    // Fewer changes than a slot keeps of its memory, and more.
    for apart in [65_536, 4_096] {
        let plugin = engine.compile(&component(&finds_and_leaves_marks(apart))).unwrap();
        for _ in 0..3 {
            let all: Vec<_> = (0..16).map(|_| Instance::new(&plugin, Limits::default())).collect();
            assert!(all.iter().all(Result::is_ok), "{:?}", all.iter().find_map(|one| one.as_ref().err()));
        }
    }
}
