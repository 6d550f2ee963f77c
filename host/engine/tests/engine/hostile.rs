//! What bad games do, and that it ends their own scene and nothing else.

use std::time::Instant;

use scenehost_engine::{CallError, CreateError, Engine, Event, Failure, Instance, Limits, Options, SceneSpec};

use crate::support::{A, B, GUEST, Table, component, init, ms, player, sent};

/// Limits with a short deadline, so that tests are fast.
fn limits() -> Limits {
    Limits { step_ms_max: 20, start_ms_max: 20, ..Limits::default() }
}

fn spec(configuration: &str) -> SceneSpec {
    let mut init = init(20);
    init.configuration = configuration.to_owned();
    SceneSpec { limits: limits(), ..SceneSpec::new(init) }
}

/// Has scene A do what `bodies` ask in its third step while scene B ticks beside it, and returns how A failed.
fn fails(bodies: &[&[u8]]) -> Failure {
    let mut table = Table::new();
    table.try_create(A, &spec("{}")).unwrap();
    table.deliver(A, Event::Joined(player(0)));
    table.create_joined(B, 20);
    table.run_for(ms(100));
    for body in bodies {
        table.say(A, body);
    }
    table.say(B, b"e still here");
    table.run_for(ms(900));

    let (key, failure) = table.said.failures.pop().expect("the scene failed");
    assert_eq!(key, A);
    assert_eq!(table.said.failures, []);
    assert!(!table.worker.contains(A) && table.worker.contains(B));
    assert_eq!(table.take_ticks(A).len(), 2);

    let steps = table.take_steps(B);
    let ticks: Vec<u64> = steps.iter().map(|(_, step)| step.tick).collect();
    assert_eq!(ticks, Vec::from_iter(0..20));
    assert_eq!(steps[2].1.commands, [sent(b"e still here")]);
    failure
}

fn check(body: &[u8], kind: &str, text: &str) {
    check_all(&[body], kind, text);
}

fn check_all(bodies: &[&[u8]], kind: &str, text: &str) {
    let failure = fails(bodies);
    assert_eq!(failure.kind(), kind, "{failure}");
    assert!(failure.to_string().contains(text), "`{failure}` does not say `{text}`");
    assert!(failure.public_text().starts_with("The game"));
}

#[test]
fn an_endless_loop_ends_at_its_deadline() {
    let begun = Instant::now();
    check(b"l", "deadline", "20 ms");
    let took = begun.elapsed();
    assert!(took >= ms(20) && took < ms(5_000), "{took:?}");
}

#[test]
fn a_trap_brings_its_panic_message_and_its_frames() {
    let Failure::Trap { reason, panic, frames } = fails(&[b"t"]) else {
        panic!("not a trap");
    };
    assert_eq!(panic.as_deref(), Some("panicked: index out of bounds"));
    assert!(reason.contains("unreachable"), "{reason}");
    assert!(frames.contains(&"obey".to_owned()), "{frames:?}");
}

#[test]
fn a_memory_bomb_is_told_from_a_trap() {
    check(b"m", "out_of_memory", "16777216 bytes");
}

#[test]
fn deep_recursion_ends_the_scene_and_not_the_process() {
    check(b"r", "stack_overflow", "recurse");
}

#[test]
fn output_is_bounded_in_messages_and_bytes() {
    check(b"f\x41", "too_many_messages", "1040 messages");
    check(b"f\xff", "too_many_commands", "4080 commands");
    check(b"g\x02", "message_too_large", "131072 bytes");
    check(b"g\x64", "output_too_large", "1048576 bytes");
    // Messages of the largest size, but too many of them.
    check_all(&[b"g\x01".as_slice(); 17], "output_too_large", "1048576 bytes");
}

#[test]
fn malformed_output_is_refused() {
    check(b"o", "bad_output", "out of bounds");
    check(b"k", "bad_output", "discriminant");
    check(b"u", "bad_output", "utf-8");
    check(b"b\x21", "bad_command", "label");
}

#[test]
fn timers_are_bounded() {
    check(b"N\x11", "too_many_timers", "256 timers");
}

#[test]
fn a_game_can_say_that_it_cannot_go_on() {
    check(b"E", "game_error", "the board is broken");
}

#[test]
fn a_log_flood_costs_only_its_lines() {
    let mut table = Table::new();
    table.create_joined(A, 20);
    table.say(A, b"x\xff");
    table.run_for(ms(100));
    assert_eq!(table.said.failures, []);
    let dropped: u32 = table.said.logs.iter().map(|(_, log)| log.dropped).sum();
    assert!(dropped > 16_000, "{dropped}");
}

#[test]
fn a_scene_that_fails_to_start_does_not_exist() {
    let mut table = Table::new();
    let mut check = |configuration, kind| {
        let error = table.try_create(A, &spec(configuration)).unwrap_err();
        let CreateError::Failed(failure) = error else {
            panic!("{error}");
        };
        assert_eq!(failure.kind(), kind);
        assert!(table.worker.is_empty());
    };
    check("l", "deadline");
    check("t", "trap");
    check("E", "game_error");
    let (_, log) = table.said.logs.pop().expect("the panic was logged");
    assert_eq!(log.lines[0].text, "panicked: index out of bounds");
}

#[test]
fn a_scene_that_fails_to_admit_is_removed() {
    let mut table = Table::new();
    table.create_joined(A, 20);
    let refusal = table.worker.admit(A, &player(7), || table.now, &mut table.said).unwrap();
    assert_eq!(refusal, Err("nobody may sit on seat 7".to_owned()));
    let error = table.worker.admit(A, &player(8), || table.now, &mut table.said).unwrap_err();
    assert!(matches!(error, CallError::Failed(Failure::Trap { .. })), "{error}");
    let error = table.worker.admit(A, &player(0), || table.now, &mut table.said).unwrap_err();
    assert_eq!(error, CallError::NoScene);
}

#[test]
fn a_component_that_loops_or_grows_while_it_is_instantiated_is_ended() {
    let engine = small_engine();
    let started = |start: &str| {
        let text = GUEST.replace("(func $panic", &format!("{start} (func $panic"));
        let plugin = engine.compile(&component(&text)).unwrap();
        Instance::new(&plugin, limits()).err().unwrap().kind()
    };
    assert_eq!(started("(func $s (call $forever)) (start $s)"), "deadline");
    assert_eq!(started("(func $s unreachable) (start $s)"), "trap");
    let text = GUEST.replace(r#"(memory (export "memory") 4)"#, r#"(memory (export "memory") 300)"#);
    let plugin = engine.compile(&component(&text)).unwrap();
    let failure = Instance::new(&plugin, limits()).err().unwrap();
    assert_eq!(failure.kind(), "out_of_memory", "{failure}");
}

#[test]
fn a_full_pool_refuses_and_a_removed_scene_makes_room() {
    let engine = small_engine();
    let plugin = engine.compile(&component(GUEST)).unwrap();
    let mut instances: Vec<Instance> =
        (0..engine.scenes_max()).map(|_| Instance::new(&plugin, limits()).unwrap()).collect();
    let full = Instance::new(&plugin, limits()).err().unwrap();
    assert_eq!(full, Failure::PoolFull { scenes_max: 16 });
    instances.pop();
    Instance::new(&plugin, limits()).unwrap();
}

fn small_engine() -> Engine {
    Engine::new(Options { scenes_max: 16, ..Options::default() }).unwrap()
}
