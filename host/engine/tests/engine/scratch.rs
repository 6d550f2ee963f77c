//! The scratch run of uploads: what is wrong with a game is found, and what games may do is no fault.

use std::time::Duration;

use scenehost_engine::rule;
use scenehost_engine::scratch::{Fault, Report, STEPS, Setting, try_plugin, try_rule};

use crate::support::{ENGINE, GUEST, component, rule_component};

const SAVE: &str = "(call $ok_list (i32.const 2048) (i32.const 8)))";
const LOAD: &str = "(global.set $random (i64.load align=1 (local.get $snapshot)))";
const START: &str = "(global.set $random (local.get $seed))";

/// A game that draws a random number for everything that happens, changed in some places.
fn game(changes: &[(&str, &str)]) -> String {
    let mut game = GUEST
        .replace("(i32.eq (local.get $case) (i32.const 4)) ;; message", "(i32.const 0)")
        .replace("(call $send_all (local.get $event) (i32.const 2))", "(call $send_random)");
    for (from, to) in changes {
        assert!(game.contains(from), "{from}");
        game = game.replace(from, to);
    }
    game
}

fn tried(changes: &[(&str, &str)], settings: &[Setting]) -> Result<Report, Fault> {
    let plugin = ENGINE.compile(&component(&game(changes))).unwrap();
    try_plugin(&plugin, settings, || Duration::ZERO)
}

fn check(changes: &[(&str, &str)], kind: &str, text: &str) {
    let fault = tried(changes, &[Setting::default()]).unwrap_err();
    assert_eq!(fault.kind(), kind, "{fault}");
    assert!(fault.to_string().contains(text), "`{fault}` does not say `{text}`");
}

#[test]
fn a_game_that_is_right_is_reported_and_the_report_is_the_same_each_time() {
    let report = tried(&[], &[Setting::default()]).unwrap();
    assert_eq!((report.steps, report.snapshot_bytes, report.refused.as_ref()), (STEPS, 8, None));
    assert_eq!(report.memory_bytes, 4 << 16);
    assert_eq!(tried(&[], &[Setting::default()]).unwrap(), report);
    let other = tried(&[("(i64.const 17)", "(i64.const 19)")], &[Setting::default()]).unwrap();
    assert_ne!(other.output_hash, report.output_hash);
    let at_will = Setting { tick_rate_hz: 0, ..Setting::default() };
    assert_eq!(tried(&[], &[at_will]).unwrap().steps, STEPS);
}

#[test]
fn the_time_of_steps_is_that_of_the_clock() {
    let plugin = ENGINE.compile(&component(&game(&[]))).unwrap();
    let now = std::cell::Cell::new(Duration::ZERO);
    let clock = || now.replace(now.get() + Duration::from_micros(7));
    assert_eq!(try_plugin(&plugin, &[Setting::default()], clock).unwrap().step_mean, Duration::from_micros(7));
}

#[test]
fn a_game_that_fails_is_found_with_the_step() {
    check(&[(START, "(call $panic)")], "scratch_failed", "failed in `start`: the game's code trapped: panicked");
    check(&[("(call $send_random)", "(call $panic)")], "scratch_failed", "failed in step 0");
    check(&[("(call $send_random)", "(call $forever)")], "scratch_failed", "took more than its 50 ms");
    check(&[("(i32.eq (local.get $seat) (i32.const 8))", "(i32.const 1)")], "scratch_failed", "failed in `admit`");
    check(&[("(call $send_random)", "(call $timers (i32.const 300))")], "scratch_failed", "more than 256 timers");
}

#[test]
fn a_state_that_cannot_be_had_or_is_not_all_is_found() {
    check(&[(SAVE, "(call $err (i32.const 0) (i32.const 19)))")], "save_failed", "before step 3: the board is broken");
    check(&[(SAVE, "(call $panic) (i32.const 0))")], "save_failed", "panicked");
    check(
        &[("(i32.ne (local.get $len) (i32.const 8))", "(i32.const 1)")],
        "load_failed",
        "of what `save` gave before step 3: the game ended with an error: the board is broken",
    );
    check(
        &[(LOAD, "")],
        "load_differs",
        "step 4 of the scratch run gave something else after `load` than without it: something that the game needs is not in what `save` gives before step 3",
    );
    // It forgets only what it does later: a second save finds that.
    let late = "(if (i64.lt_u (local.get $tick) (i64.const 40)) (then (call $send_random)) (else (call $send_starts)))";
    let step = "(param i64 i64) (param $event i32)";
    let starts = "(func $send_starts (i32.store8 (i32.const 2064) (global.get $starts))
                    (call $send_all (i32.const 2064) (i32.const 1)))
                  (func (export \"scenehost:scene/logic@0.3.0#start\")";
    check(
        &[
            ("(func (export \"scenehost:scene/logic@0.3.0#start\")", starts),
            (step, "(param $tick i64) (param i64) (param $event i32)"),
            ("(call $send_random)))\n        (local.set $event", &format!("{late}))\n        (local.set $event")),
        ],
        "load_differs",
        "step 40 of the scratch run gave something else after `load` than without it",
    );
}

#[test]
fn what_games_may_do_is_no_fault() {
    let finished = tried(&[("(call $send_random)", "(call $finish)")], &[Setting::default()]).unwrap();
    assert_eq!((finished.steps, finished.snapshot_bytes), (1, 0));
    let full = [("(i32.eq (local.get $seat) (i32.const 7))", "(i32.const 1)")];
    assert_eq!(tried(&full, &[Setting::default()]).unwrap().steps, STEPS, "it lets nobody in");
    // It refuses `{}`.
    let choosy = [(
        "(i32.eq (local.get $op) (i32.const 69)) ;; E\n      (then (return (call $err (i32.const 0) (i32.const 19))))",
        "(i32.eq (local.get $op) (i32.const 123))\n      (then (return (call $err (i32.const 0) (i32.const 19))))",
    )];
    let refused = tried(&choosy, &[Setting::default()]).unwrap();
    assert_eq!((refused.steps, refused.refused.as_deref()), (0, Some("the board is broken")));
    let known = Setting { configuration: "[]".to_owned(), ..Setting::default() };
    let report = tried(&choosy, &[Setting::default(), known]).unwrap();
    assert_eq!((report.steps, report.refused), (STEPS, None), "it knows the fleet's configuration");
}

#[test]
fn a_rule_is_asked_everything_that_it_answers() {
    let engine = rule::Engine::new(rule::Options::default()).unwrap();
    let component = engine.compile(&rule_component(include_str!("rule.wat"))).unwrap();
    let tried = |configurations: &[&str]| {
        let configurations: Vec<String> = configurations.iter().map(|it| (*it).to_owned()).collect();
        try_rule(&component, &configurations, || Duration::ZERO)
    };
    let report = tried(&["e"]).unwrap();
    // What it is, eight tickets, and one batch of matches: each twice.
    assert_eq!((report.steps, report.refused.as_deref()), (20, None));
    assert_eq!(tried(&["e"]).unwrap(), report);
    assert_eq!(tried(&["q"]).unwrap().refused.as_deref(), Some("no such setting"));
    assert_eq!(tried(&["q", "e"]).unwrap(), report);
    let fault = tried(&["l"]).unwrap_err();
    assert_eq!(fault.kind(), "rule_failed");
    assert!(fault.to_string().contains("failed in `describe`: a call used up its 2000000 of fuel"), "{fault}");
}
