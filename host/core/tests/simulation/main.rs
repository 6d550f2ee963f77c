//! A deterministic simulator of the services of `host/core`.
//!
//! The services are the real ones: SceneMaster, the SceneServices of some nodes, the scenes on these nodes with tiny
//! games behind them, Match, Lobby, Db. Their clock, randomness, store and network are not. Users and faults follow
//! from a seed, and after every step what always has to hold is checked; see [`invariants`].
//!
//! A seed that violates an invariant prints itself, the shortest plan that was found to do the same, and the last
//! steps of that. To replay a seed, set `SCENEHOST_SIM_SEED`; to run more of them, `SCENEHOST_SIM_HOURS` to the
//! simulated hours. Both go with `cargo test -p scenehost-core --test simulation`.

mod coverage;
mod deaths;
mod faults;
mod game;
mod invariants;
mod nodes;
mod operators;
mod plan;
mod process;
mod sabotage;
mod shrink;
mod sim;
mod traffic;
mod user;
mod watch;

use std::collections::BTreeMap;
use std::path::Path;

use coverage::Coverage;
use plan::{BUSY_MS, Plan};
use sabotage::Sabotage;
use sim::{Outcome, run};

/// How many seeds are run by default.
const SEEDS: u64 = 640;
/// With so many what was not reached is not reached.
const SEEDS_MAX: u64 = 1_920;
/// In so many seeds a sabotage has to be caught, at the latest.
const SABOTAGED_SEEDS_MAX: u64 = 4_000;
const HOUR_MS: u64 = 3_600_000;
/// From so many simulated hours on, everything has to have been reached.
const DEFAULT_HOURS: f64 = (SEEDS * BUSY_MS) as f64 / HOUR_MS as f64;

/// Tells what there is to know of a seed that violates an invariant.
fn failure(plan: &Plan, sabotage: Option<Sabotage>, outcome: &Outcome) -> String {
    let Some(violation) = &outcome.violation else { return String::new() };
    eprintln!("seed {} violates an invariant: {violation}; now for the shortest plan that does the same", plan.seed);
    let shortest = shrink::shrink(plan, violation.invariant, sabotage);
    let traced = run(&shortest, sabotage, true);
    let actions: Vec<String> =
        shortest.actions.iter().map(|it| format!("  {:>8} {:?}", sim::START.0 + it.at_ms, it.action)).collect();
    let steps: Vec<String> = traced.watch.traced.into_iter().flatten().collect();
    format!(
        "seed {} violates an invariant; replay it with SCENEHOST_SIM_SEED={}\n{violation}\n\nThe shortest plan that \
         does the same ({} of {} actions):\n{}\nits last steps:\n{}\n{}",
        plan.seed,
        plan.seed,
        shortest.actions.len(),
        plan.actions.len(),
        actions.join("\n"),
        steps.join("\n"),
        traced.violation.map(|violation| violation.to_string()).unwrap_or_default(),
    )
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, and not {text:?}")))
}

#[test]
fn every_invariant_holds_whatever_fails() {
    let one = number("SCENEHOST_SIM_SEED");
    let hours = number("SCENEHOST_SIM_HOURS");
    let (mut coverage, mut simulated_ms, mut steps, mut scenes) = (Coverage::default(), 0, 0, 0);
    let (mut told, mut kept) = (BTreeMap::new(), 0);
    for seed in one.map_or(1..u64::MAX, |seed| seed..seed + 1) {
        let plan = Plan::of_seed(seed);
        let outcome = run(&plan, None, false);
        assert!(outcome.violation.is_none(), "{}", failure(&plan, None, &outcome));
        coverage.add(&outcome.watch.coverage);
        simulated_ms += BUSY_MS; // The peace after it does not count.
        steps += outcome.watch.steps;
        scenes += outcome.watch.scenes_made;
        kept += outcome.watch.kept;
        for (text, count) in outcome.watch.faults {
            *told.entry(text).or_insert(0) += count;
        }
        // What is rare may take more seeds to come up.
        let enough = || seed >= SEEDS && (seed >= SEEDS_MAX || coverage.missing().is_empty());
        if hours.map_or_else(enough, |hours| simulated_ms >= hours * HOUR_MS) {
            break;
        }
    }
    let hours = simulated_ms as f64 / HOUR_MS as f64;
    println!(
        "{hours:.1} simulated hours with faults, {steps} steps, {scenes} scenes, {kept} searches that went on with \
         another handler; reached of the tables:\n{coverage}"
    );
    println!("what the operators were told:");
    told.iter().for_each(|(text, count)| println!("  {count} times: {text}"));
    if one.is_none() && hours >= DEFAULT_HOURS {
        let missing = coverage.missing();
        assert!(missing.is_empty(), "these are not reached:\n{}", missing.join("\n"));
        assert!(kept > 0, "domains were handed over while somebody searched");
    }
}

#[test]
fn what_is_reached_is_written() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tables/coverage.md");
    let text = coverage::written();
    if std::env::var_os("UPDATE_TABLES").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "{} is of before: run with UPDATE_TABLES=1", path.display());
}

#[test]
fn a_seed_replays() {
    let plan = Plan::of_seed(7);
    let steps = |outcome: Outcome| (outcome.watch.traced, outcome.watch.steps, outcome.watch.coverage);
    let (first, second) = (steps(run(&plan, None, true)), steps(run(&plan, None, true)));
    assert!(first.1 > 1_000, "something happens: {} steps", first.1);
    assert_eq!(first, second);
}

#[test]
fn a_violation_is_told_with_the_few_actions_that_it_needs_and_with_what_to_replay() {
    let sabotage = Some(Sabotage::MadeTwice);
    let plan = Plan::of_seed(1);
    let outcome = run(&plan, sabotage, false);
    let violation = outcome.violation.clone().expect("it is caught");
    let shortest = shrink::shrink(&plan, violation.invariant, sabotage);
    assert!(shortest.actions.len() <= 8 && plan.actions.len() > 100, "{:?}", shortest.actions);
    assert_eq!(run(&shortest, sabotage, false).violation.map(|it| it.invariant), Some(violation.invariant));
    let told = failure(&plan, sabotage, &outcome);
    let actions = shortest.actions.iter().map(|planned| format!("{:?}", planned.action));
    let parts = ["SCENEHOST_SIM_SEED=1", violation.invariant, "ReqCreateScene"].map(str::to_owned);
    for part in parts.into_iter().chain(actions) {
        assert!(told.contains(&part), "{told}");
    }
}

/// Seed after seed with a sabotage, until it is caught by the invariant that tells what is wrong.
#[track_caller]
fn check(sabotage: Sabotage, invariant: &'static str) {
    let mut outcomes = (1..=SABOTAGED_SEEDS_MAX).map(|seed| run(&Plan::of_seed(seed), Some(sabotage), false));
    let is_caught = outcomes.any(|outcome| outcome.violation.is_some_and(|violation| violation.invariant == invariant));
    assert!(is_caught, "{sabotage:?} violates {invariant} in none of {SABOTAGED_SEEDS_MAX} seeds");
}

#[test]
fn an_answer_that_is_swallowed_for_ever_is_caught() {
    check(Sabotage::EndsAreSwallowed, invariants::ENDS_WHEN_TOLD);
}

#[test]
fn an_order_that_is_swallowed_for_ever_is_caught() {
    check(Sabotage::OrdersAreSwallowed, invariants::ENDS_WHEN_TOLD);
}

#[test]
fn a_node_that_keeps_its_scenes_is_caught() {
    check(Sabotage::NodeKeepsScenes, invariants::KNOWN);
}

#[test]
fn results_that_are_recorded_twice_are_caught() {
    check(Sabotage::RecordedTwice, invariants::RECORDED_ONCE);
}

#[test]
fn results_that_are_never_recorded_are_caught() {
    check(Sabotage::NeverRecorded, invariants::RECORDED_ONCE);
}

#[test]
fn a_scene_that_is_made_on_two_nodes_is_caught() {
    check(Sabotage::MadeTwice, invariants::ONE_EPOCH);
}

#[test]
fn deadlines_that_never_come_are_caught() {
    check(Sabotage::MasterHasNoClock, invariants::NOTHING_WAITS);
}

#[test]
fn requests_that_are_never_answered_are_caught() {
    check(Sabotage::AnswersAreLost, invariants::ANSWERED);
}

#[test]
fn a_party_that_is_torn_is_caught() {
    check(Sabotage::PartiesAreTorn, invariants::ONE_TICKET);
}

#[test]
fn a_store_that_forgets_is_caught() {
    check(Sabotage::StoreForgets, invariants::CONSISTENT);
}

#[test]
fn matches_that_are_never_told_are_caught() {
    check(Sabotage::MatchesAreLost, invariants::AGREED);
}

#[test]
fn an_end_that_is_told_too_early_is_caught() {
    check(Sabotage::EndsAreToldTooEarly, invariants::DEAD_SEAT);
}

#[test]
fn a_player_who_is_left_out_is_caught() {
    check(Sabotage::PartnersAreLeftOut, invariants::TOGETHER);
}

#[test]
fn reports_that_are_never_heard_are_caught() {
    check(Sabotage::ReportsAreLost, invariants::KNOWN);
}

#[test]
fn searches_that_are_not_handed_over_are_caught() {
    check(Sabotage::HandOversAreLost, invariants::KEPT);
}

#[test]
fn searches_that_never_end_are_caught() {
    check(Sabotage::LobbyHasNoClock, invariants::SEARCH_ENDS);
}
