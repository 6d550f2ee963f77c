//! When a version of a game has failed too often; and fleets whose build has.

use scenehost_core::config::{Fleet, Quarantine};
use scenehost_core::quarantine::Failures;
use scenehost_core::scene_master::{Builds, Order};
use scenehost_core::{Build, Refusal, SceneId, Time};

use crate::farm::{Farm, on_standby};

const RULES: Quarantine = Quarantine { scenes: 3, within_ms: 10_000 };

/// Which of these failures, scenes and times, is one too many.
fn too_often(rules: &Quarantine, failures: &[(u64, u64)]) -> Vec<bool> {
    let mut failed = Failures::default();
    failures.iter().map(|(scene, ms)| failed.failed(SceneId(*scene), Time(*ms), rules)).collect()
}

#[test]
fn as_many_scenes_as_the_fleet_says_are_one_too_many() {
    assert_eq!(too_often(&RULES, &[(1, 0), (2, 0), (3, 0)]), [false, false, true]);
    assert_eq!(too_often(&Quarantine { scenes: 1, ..RULES }, &[(1, 0)]), [true]);
    assert_eq!(too_often(&Quarantine { scenes: 0, ..RULES }, &[(1, 0), (2, 0), (3, 0)]), [false; 3], "never");
}

#[test]
fn one_scene_counts_once_however_often_it_fails() {
    let often = [(1, 0), (1, 1), (1, 2), (1, 3), (2, 4), (1, 5), (3, 6)];
    assert_eq!(too_often(&RULES, &often), [false, false, false, false, false, false, true]);
}

#[test]
fn a_failure_counts_until_its_time_is_over() {
    assert_eq!(too_often(&RULES, &[(1, 0), (2, 5_000), (3, 9_999)]), [false, false, true]);
    assert_eq!(too_often(&RULES, &[(1, 0), (2, 5_000), (3, 10_000), (4, 14_999)]), [false, false, false, true]);
    assert_eq!(too_often(&RULES, &[(1, 0), (2, 5_000), (1, 9_000), (3, 14_000)]), [false, false, false, true]);
}

#[test]
fn the_count_begins_anew_after_one_too_many_and_when_it_is_forgotten() {
    let twice = [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0)];
    assert_eq!(too_often(&RULES, &twice), [false, false, true, false, false, true]);
    let mut failed = Failures::default();
    for scene in [1, 2] {
        assert!(!failed.failed(SceneId(scene), Time(0), &RULES));
    }
    failed.forget();
    assert!(!failed.failed(SceneId(3), Time(0), &RULES));
}

#[test]
fn settings_that_mean_nothing_are_refused() {
    for (scenes, within_ms) in [(1_001, 10_000), (3, 999), (3, 86_400_001)] {
        let fleet = Fleet { quarantine: Quarantine { scenes, within_ms }, ..Fleet::default() };
        assert!(fleet.check().is_err_and(|text| text.contains("quarantine.")), "{scenes} {within_ms}");
    }
    assert_eq!(Fleet::default().check(), Ok(()));
}

fn set(farm: &mut Farm, in_quarantine: bool) {
    farm.set_builds(Builds { in_quarantine, ..Builds::from(Build(7)) }, on_standby(2));
}

#[test]
fn a_fleet_whose_build_is_in_quarantine_gets_no_new_scenes_and_keeps_those_in_use() {
    let mut farm = Farm::new(on_standby(2));
    set(&mut farm, false);
    farm.matched(1, &[10, 11]);
    assert_eq!(farm.states(), [("Allocated", 1), ("Ready", 2)]);
    set(&mut farm, true);
    assert_eq!(farm.states(), [("Allocated", 1)], "what is in use goes on, and nothing is made ready");
    assert_eq!(farm.allocate(None, &[20]), Err(Refusal::Quarantined));
    assert_eq!(farm.reserve(), Err(Refusal::Quarantined));
    farm.pass_ms(5_000);
    assert_eq!(farm.states(), [("Allocated", 1)]);
    set(&mut farm, false);
    assert_eq!(farm.states(), [("Allocated", 1), ("Ready", 2)]);
    assert!(farm.allocate(None, &[20]).is_ok());
}

#[test]
fn a_scene_that_is_held_for_somebody_is_not_given_out_any_more() {
    let mut farm = Farm::new(on_standby(2));
    set(&mut farm, false);
    let held = farm.reserve().unwrap();
    set(&mut farm, true);
    assert_eq!(farm.allocate(Some(held), &[20]), Err(Refusal::Quarantined));
    farm.order(Order::Release { scene: held }).unwrap();
    assert_eq!(farm.states(), [], "it is not kept");
}
