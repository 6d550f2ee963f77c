//! Without a plan the scene is harmless, and a plan waits for its moment.

use hostile::Hostile;
use scenehost_sdk::testing::{SceneTest, players};
use scenehost_sdk::{Init, SaveError};

fn scene(configuration: &str) -> Result<SceneTest<Hostile>, String> {
    let configuration = configuration.to_owned();
    SceneTest::try_start(Init { configuration, ..players(2) })
}

#[test]
fn without_a_plan_it_echoes_to_the_sender() {
    let mut scene = scene("{}").unwrap();
    scene.join(0);
    scene.join(1);
    scene.send_bytes(1, "hello");
    assert_eq!(scene.received_bytes(1), [b"hello"]);
    assert!(scene.received_bytes(0).is_empty());
}

#[test]
fn what_is_granted_is_saved_and_the_answer_is_told() {
    let mut scene = scene(r#"{"grants":"coin"}"#).unwrap();
    scene.join(0);
    for outcome in [Ok(()), Err(SaveError::Unavailable)] {
        scene.send_bytes(0, "a word");
        let id = scene.saves().last().expect("it is to be saved").id;
        scene.answer_save(id, outcome);
    }
    assert_eq!(scene.received_bytes(0), [&b"granted 1"[..], b"not granted 2: SaveError::Unavailable"]);
}

#[test]
fn a_plan_waits_for_its_moment() {
    let mut scene = scene(r#"{"misbehave":"giant","when":"message"}"#).unwrap();
    scene.join(0);
    assert!(scene.received_bytes(0).is_empty());
    scene.send_bytes(0, "now");
    assert_eq!(scene.received_bytes(0)[0].len(), 8 * 1024 * 1024);
}

#[test]
fn a_plan_can_be_to_fail_at_the_start() {
    assert!(scene(r#"{"misbehave":"fail","when":"start"}"#).is_err());
    assert!(scene(r#"{"misbehave":"nothing"}"#).is_err());
}

#[test]
#[should_panic = "traps as it was told to"]
fn a_trap_is_a_panic() {
    let mut scene = scene(r#"{"misbehave":"trap","when":"join"}"#).unwrap();
    scene.join(0);
}

#[test]
fn a_storm_begins_at_a_step_that_the_seed_draws() {
    let begins = |seed: u64| {
        let configuration = r#"{"misbehave":"giant","when":"tick","after_ticks":5,"within_ticks":20}"#.to_owned();
        let mut scene = SceneTest::<Hostile>::start(Init { seed, tick_rate_hz: 20, configuration, ..players(1) });
        scene.join(0);
        (0..30).find(|_| {
            scene.ticks(1);
            !scene.received_bytes(0).is_empty()
        })
    };
    let all: Vec<u32> = (1..=20).map(|seed| begins(seed).expect("within 25 steps")).collect();
    assert!(all.iter().all(|tick| (5..25).contains(tick)), "{all:?}");
    assert!(all.iter().any(|tick| *tick != all[0]), "{all:?}");
    assert_eq!(begins(3), begins(3));
}
