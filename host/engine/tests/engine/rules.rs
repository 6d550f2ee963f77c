//! Rules of matching: their answers, that they cannot remember, and how they fail.

use std::sync::LazyLock;

use scenehost_engine::rule::{
    Called, Class, Component, Engine, Fault, Limits, Options, Player, Proposal, Region, Rule, Ticket, Verdict,
};
use scenehost_engine::{Level, Rejected};

use crate::support::{ENGINE, GUEST, component, rule_component};

const RULE: &str = include_str!("rule.wat");

static RULES: LazyLock<Engine> = LazyLock::new(|| Engine::new(Options::default()).unwrap());
static COMPONENT: LazyLock<Component> = LazyLock::new(|| RULES.compile(&rule_component(RULE)).unwrap());

/// The first letter of the configuration is what the rule does; `rule.wat` lists them.
fn rule(configuration: &str) -> Rule {
    Rule::new(&COMPONENT, configuration, Limits::default())
}

fn player(user: u64) -> Player {
    Player { user, rating: 1_500, games: 3, roles: vec![0], properties: vec![] }
}

fn ticket(number: u64) -> Ticket {
    let regions = vec![Region { name: 1, rtt_ms: 20 }];
    Ticket { number, waited_ms: 7_000, players: vec![player(number)], regions }
}

fn words() -> Vec<String> {
    ["tank", "eu"].map(str::to_owned).to_vec()
}

fn classify(rule: &Rule) -> Called<Result<Class, String>> {
    rule.classify(&words(), &ticket(1))
}

fn judge(rule: &Rule) -> Called<Vec<Verdict>> {
    let proposal = Proposal { tickets: vec![0, 1], teams: vec![0, 1], region: Some(1) };
    rule.judge(&words(), &[ticket(1), ticket(2)], &[proposal.clone(), proposal])
}

#[test]
fn questions_go_in_and_answers_come_out() {
    let description = rule("e").describe().answer.unwrap().unwrap();
    assert_eq!(description.name, "e");
    let answers = description.answers;
    assert_eq!((answers.classify, answers.judge, answers.score_teams), (true, true, false));
    assert!(description.facts.games && !description.facts.roles);

    let class = classify(&rule("e")).answer.unwrap();
    assert_eq!(class, Ok(Class { rating: Some(1), bracket: "e".to_owned(), bracket_ms: Some(7_000) }));
    assert_eq!(classify(&rule("n")).answer.unwrap(), Err("you are too good".to_owned()));
    assert_eq!(judge(&rule("e")).answer, Ok(vec![Verdict::Score(2); 2]));
    let teams = [vec![player(1), player(2)], vec![], vec![player(3)]];
    assert_eq!(rule("e").score_teams(&words(), &teams).answer, Ok(vec![2, 0, 1]));
    assert_eq!(rule("q").describe().answer.unwrap(), Err("no such setting".to_owned()));
}

#[test]
fn the_same_call_gives_the_same_and_uses_the_same_fuel() {
    let rule = rule("i");
    let first = classify(&rule);
    assert_eq!(first, classify(&rule));
    assert!(first.fuel > 0 && first.fuel < 10_000, "{}", first.fuel);
    let other = Rule::new(
        &Engine::new(Options::default()).unwrap().compile(&rule_component(RULE)).unwrap(),
        "i",
        Limits::default(),
    );
    assert_eq!(first, classify(&other));
    assert_eq!(judge(&rule), judge(&rule));
}

#[test]
fn a_rule_cannot_remember() {
    let rule = rule("e");
    // Whatever was called before, it is its first call.
    for _ in 0..3 {
        rule.describe();
        judge(&rule);
        assert_eq!(classify(&rule).answer.unwrap().unwrap().rating, Some(1));
    }
}

#[test]
fn calls_of_several_threads_do_not_meet() {
    let rule = rule("e");
    std::thread::scope(|scope| {
        for number in 0..8 {
            let rule = &rule;
            scope.spawn(move || {
                for _ in 0..200 {
                    let class = rule.classify(&words(), &ticket(number)).answer.unwrap().unwrap();
                    assert_eq!(class.rating, Some(1));
                }
            });
        }
    });
}

/// Every function fails so.
fn fails(configuration: &str, part: &str) -> Fault {
    let rule = rule(configuration);
    let faults = [
        rule.describe().answer.unwrap_err(),
        classify(&rule).answer.unwrap_err(),
        judge(&rule).answer.unwrap_err(),
        rule.score_teams(&words(), &[vec![player(1)]]).answer.unwrap_err(),
    ];
    for fault in &faults {
        assert_eq!(std::mem::discriminant(fault), std::mem::discriminant(&faults[0]));
        assert!(fault.to_string().contains(part), "`{fault}` does not say `{part}`");
    }
    // The next call is as good as any.
    assert!(classify(&self::rule("e")).answer.is_ok());
    faults.into_iter().next().unwrap()
}

#[test]
fn what_takes_too_long_runs_out_of_fuel() {
    assert_eq!(fails("l", "2000000 of fuel"), Fault::OutOfFuel { fuel: 2_000_000 });
    // Work that one instruction does counts by its size.
    let begun = std::time::Instant::now();
    assert_eq!(fails("f", "fuel"), Fault::OutOfFuel { fuel: 2_000_000 });
    assert!(begun.elapsed().as_millis() < 1_000);
    let little = Limits { fuel: 10, ..Limits::default() };
    let called = classify(&Rule::new(&COMPONENT, "e", little));
    assert_eq!((called.answer, called.fuel), (Err(Fault::OutOfFuel { fuel: 10 }), 10));
}

#[test]
fn a_trap_brings_its_panic_message_and_its_frames() {
    let Fault::Trap { reason, panic, frames } = fails("t", "no such role") else {
        panic!("not a trap");
    };
    assert_eq!(panic.as_deref(), Some("panicked: no such role"));
    assert!(reason.contains("unreachable"), "{reason}");
    assert!(frames.contains(&"obey".to_owned()), "{frames:?}");
}

#[test]
fn memory_and_stack_are_limited() {
    assert_eq!(fails("m", "4194304 bytes"), Fault::OutOfMemory { limit_bytes: 4 << 20 });
    assert!(matches!(fails("r", "recurse"), Fault::StackOverflow { .. }));
    // A rule has no more than the engine.
    let limits = Limits { memory_bytes_max: 1 << 30, ..Limits::default() };
    let greedy = Rule::new(&COMPONENT, "m", limits);
    assert_eq!(classify(&greedy).answer, Err(Fault::OutOfMemory { limit_bytes: 16 << 20 }));
    let tiny = Rule::new(&COMPONENT, "e", Limits { memory_bytes_max: 64 << 10, ..Limits::default() });
    assert_eq!(classify(&tiny).answer, Err(Fault::OutOfMemory { limit_bytes: 64 << 10 }));
}

#[test]
fn malformed_answers_are_refused() {
    let check = |configuration: &str, part: &str| {
        let fault = classify(&rule(configuration)).answer.unwrap_err();
        assert!(fault.to_string().contains(part), "`{fault}` does not say `{part}`");
    };
    check("g", "more than 16384 bytes");
    check("u", "utf-8");
    check("o", "out of bounds");
    let fault = judge(&rule("k")).answer.unwrap_err();
    assert!(matches!(fault, Fault::BadAnswer { .. }), "{fault}");
    // How many answers are right is for the one to check who asks.
    assert_eq!(judge(&rule("n")).answer.unwrap().len(), 3);
}

#[test]
fn a_log_is_bounded_and_costs_fuel() {
    let log = classify(&rule("i")).log.unwrap();
    assert_eq!((log.lines.len(), log.dropped), (1, 0));
    assert_eq!((log.lines[0].level, log.lines[0].text.as_str()), (Level::Info, "a line for the designer"));
    assert!(matches!(fails("x", "fuel"), Fault::OutOfFuel { .. }));
    let log = classify(&rule("x")).log.unwrap();
    assert_eq!(log.lines.len(), 105, "4 KiB of lines of 39 bytes");
    assert!(log.dropped > 100 && log.dropped < 10_000, "{}", log.dropped);
}

#[test]
fn a_call_that_finds_no_instance_is_told() {
    let engine = Engine::new(Options { instances_max: 1, ..Options::default() }).unwrap();
    let component = engine.compile(&rule_component(RULE)).unwrap();
    let slow = Rule::new(&component, "l", Limits { fuel: 1_000_000_000, ..Limits::default() });
    let quick = Rule::new(&component, "e", Limits::default());
    let is_busy = |answer: Result<_, Fault>| answer == Err(Fault::Busy { instances_max: 1 });
    std::thread::scope(|scope| {
        // Until it gets the instance, in which it stays for long.
        let slow = scope.spawn(|| while is_busy(classify(&slow).answer) {});
        let mut found_none = false;
        while !slow.is_finished() {
            found_none |= is_busy(classify(&quick).answer);
            std::thread::yield_now();
        }
        assert!(found_none);
    });
    assert!(classify(&quick).answer.is_ok());
}

fn refused(bytes: &[u8], kind: &str, hint: &str) {
    let rejected = RULES.compile(bytes).unwrap_err();
    assert_eq!(rejected.kind(), kind, "{rejected}");
    assert!(rejected.to_string().contains(hint), "`{rejected}` does not say `{hint}`");
}

#[test]
fn a_scene_is_no_rule_and_a_rule_is_no_scene() {
    refused(&component(GUEST), "is_scene", "a fleet's `plugin`");
    let rejected = ENGINE.compile(&rule_component(RULE)).unwrap_err();
    assert_eq!(rejected, Rejected::IsRule);
    assert!(rejected.to_string().contains("a domain's `rule`"));
}

#[test]
fn uploads_of_rules_are_checked_as_those_of_scenes() {
    let text = |text: &str| wat::parse_str(text).unwrap();
    refused(b"PK\x03\x04 an archive", "not_webassembly", "scenectl build");
    refused(&text(RULE), "core_module", "scenectl build");
    refused(&text("(component)"), "no_rule", "export_rule!");
    refused(
        &text(r#"(component (import "wasi:clocks/monotonic-clock@0.2.0" (instance)))"#),
        "undeclared_import",
        "monotonic-clock",
    );
    let exported = |version: &str| {
        text(&format!(r#"(component (instance $i) (export "scenehost:match-rule/rule@{version}" (instance $i)))"#))
    };
    refused(&exported("0.2.0"), "wrong_version", "this host serves 0.1.0");
    refused(&exported("0.1.0"), "missing_function", "`describe`");
    let memory = RULE.replace(r#"(memory (export "memory") 4)"#, r#"(memory (export "memory") 400)"#);
    refused(&rule_component(&memory), "resources", "memory");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let refused = |options| Engine::new(options).err().unwrap().to_string();
    assert!(refused(Options { instances_max: 0, ..Options::default() }).contains("instances_max"));
    assert!(refused(Options { memory_bytes_max: 1, ..Options::default() }).contains("memory_bytes_max"));
    assert!(refused(Options { component_bytes_max: 0, ..Options::default() }).contains("component_bytes_max"));
}
