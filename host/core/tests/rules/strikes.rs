//! Strikes: scenes that misbehave without failing are stopped from outside, and those that become well again are not.

use std::collections::BTreeMap;

use scenehost_core::config::{Fleet, STRIKES_MAX, Strikes};
use scenehost_core::message::{Arranged, EndReason};
use scenehost_core::scene::{Event as ToScene, STRIKE_MS_MIN, Scene};
use scenehost_core::scene_master::{Ask, Capacity, Event, Matched, Misbehaviour, Offer, SceneMaster};
use scenehost_core::scene_service::{self, Event as ToNode, SceneService, Start};
use scenehost_core::{Build, Epoch, FleetName, MatchId, Message, Meter, NodeId, SceneId, Service, UserId, lobby};

use crate::table::short;
use crate::world::{START, World};

const EPOCH: Epoch = Epoch(1);

fn fleet(strikes: Strikes) -> Fleet {
    Fleet { life_ms_max: 600_000, strikes, ..Fleet::default() }
}

/// A scene of user 10, who is inside.
fn running(strikes: Strikes) -> (World<SceneMaster>, SceneId) {
    let mut world = World::new(SceneMaster::new(BTreeMap::from([(FleetName::from("duel"), fleet(strikes))])));
    let (url, capacity) = ("/v1/scene".to_owned(), Capacity::scenes(2));
    world.tell(Event::NodeUp { node: NodeId(1), url, capacity, idle: None, region: None });
    let players =
        vec![Matched { user: UserId(10), name: "Ada".to_owned(), rating: 1_500, team: 0, role: None, party: 0 }];
    let (domain, fleet) = ("duel".into(), "duel".into());
    let told = world.tell(Event::ReqCreateScene {
        match_id: MatchId(1),
        domain,
        fleet,
        players,
        choices: Vec::new(),
        region: None,
        bots: 0,
    });
    let [Message::SceneService(_, ToNode::ReqCreateScene { scene, .. })] = told[..] else { panic!("{told:?}") };
    world.tell(Event::ResCreateScene { scene, epoch: EPOCH, result: Ok(()) });
    world.tell(Event::SynUserJoined { scene, epoch: EPOCH, seat: 0 });
    (world, scene)
}

fn strike(scene: SceneId, kind: Misbehaviour) -> Event {
    Event::SynMisbehaved { scene, epoch: EPOCH, kind }
}

/// Strikes come at these milliseconds; the state after each.
#[track_caller]
fn check(strikes: Strikes, at_ms: &[u64], expected: &[&str]) {
    let (mut world, scene) = running(strikes);
    let states = at_ms.iter().map(|at_ms| {
        world.pass_ms(START.plus_ms(*at_ms).ms_since(world.now));
        world.tell(strike(scene, Misbehaviour::Slow));
        world.service.state_name(scene)
    });
    assert_eq!(states.collect::<Vec<_>>(), expected);
}

#[test]
fn too_many_strikes_within_the_window_end_a_scene_and_fewer_do_not() {
    let strikes = Strikes { max: 3, within_ms: 10_000, ..Strikes::default() };
    check(strikes.clone(), &[0, 1_000, 2_000], &["Suspect", "Suspect", "Stopping"]);
    check(strikes.clone(), &[0, 9_999, 10_000, 19_998], &["Suspect", "Suspect", "Suspect", "Stopping"]);
    check(strikes.clone(), &[0, 10_000, 20_000, 30_000, 40_000], &["Suspect"; 5]);
    check(Strikes { max: 1, ..strikes.clone() }, &[0], &["Stopping"]);
    check(Strikes { max: 0, ..strikes }, &[0, 1, 2, 3, 4], &["Running"; 5]);
}

#[test]
fn users_are_told_why_it_was_stopped() {
    for (kind, text) in [
        (Misbehaviour::Slow, "the game was stopped because its steps took too long"),
        (Misbehaviour::Memory, "the game was stopped because it used too much memory"),
        (Misbehaviour::Silence, "the game was stopped because it did not answer"),
    ] {
        let (mut world, scene) = running(Strikes { max: 1, ..Strikes::default() });
        let told = world.tell(strike(scene, kind));
        assert_eq!(told.iter().map(short).collect::<Vec<_>>(), ["SceneService ReqDestroyScene"]);
        let told = world.tell(Event::ResDestroyScene { scene, epoch: EPOCH, kept: false });
        let Message::Lobby(lobby::Event::SynSceneEnded { ended, .. }) = &told[0] else { panic!("{told:?}") };
        assert_eq!(ended.reason.text(), text);
        let meters = world.service.meters();
        for expected in [
            Meter::total("scenehost_scene_strikes_total", 1).of("kind", kind.name()),
            Meter::total("scenehost_scenes_ended_total", 1).of("reason", "Misbehaved"),
        ] {
            assert!(meters.contains(&expected), "{expected:?} in {meters:?}");
        }
    }
}

#[test]
fn a_scene_that_becomes_well_again_runs_on_for_the_rest_of_its_life() {
    let (mut world, scene) = running(Strikes { max: 2, within_ms: 10_000, ..Strikes::default() });
    world.pass_ms(5_000);
    world.tell(strike(scene, Misbehaviour::Memory));
    world.pass_ms(9_999);
    assert_eq!(world.service.state_name(scene), "Suspect");
    world.pass_ms(1);
    assert_eq!(world.service.state_name(scene), "Running");
    world.pass_ms(600_000 - 15_000 - 1_000);
    world.tell(strike(scene, Misbehaviour::Memory));
    world.pass_ms(999);
    assert_eq!(world.service.state_name(scene), "Suspect");
    let told = world.pass_ms(1);
    let [Message::SceneService(_, ToNode::ReqDestroyScene { reason, .. })] = &told[..] else { panic!("{told:?}") };
    assert_eq!(*reason, EndReason::TimeLimit);
}

#[test]
fn strikes_are_of_an_incarnation() {
    let (mut world, scene) = running(Strikes { max: 2, ..Strikes::default() });
    world.tell(strike(scene, Misbehaviour::Slow));
    world.tell(Event::SynMisbehaved { scene, epoch: Epoch(9), kind: Misbehaviour::Slow });
    assert_eq!(world.service.state_name(scene), "Suspect", "that one was of another");
    world.tell(Event::ReqAskDestroyScene { scene, epoch: EPOCH, ask: Ask::Crashed("trap".to_owned()) });
    world.pass_ms(1_000);
    let epoch = Epoch(2);
    world.tell(Event::ResCreateScene { scene, epoch, result: Ok(()) });
    world.tell(Event::SynUserJoined { scene, epoch, seat: 0 });
    world.tell(Event::SynMisbehaved { scene, epoch, kind: Misbehaviour::Slow });
    assert_eq!(world.service.state_name(scene), "Suspect", "it has one, and not two");
}

#[test]
fn limits_that_cannot_be_are_refused() {
    for (strikes, text) in [
        (Strikes { max: STRIKES_MAX + 1, ..Strikes::default() }, "strikes.max is 101: use 0 to 100"),
        (Strikes { within_ms: 999, ..Strikes::default() }, "strikes.within_ms is 999: use 1000 to 3600000"),
        (Strikes { silence_ms: 99, ..Strikes::default() }, "strikes.silence_ms is 99: use 0, or 100 or more"),
    ] {
        assert_eq!(fleet(strikes).check(), Err(text.to_owned()));
    }
}

// How they come about.

fn scene(strikes: Strikes) -> Scene<u32> {
    let start = Start {
        build: Build(1),
        reuse: false,
        epoch: EPOCH,
        fleet: "duel".into(),
        limits: fleet(strikes),
        domain: None,
        seed: 1,
        arranged: Arranged::default(),
        seats: Vec::new(),
    };
    let mut scene = Scene::start(SceneId(100), start);
    scene.step(START, ToScene::Started(Ok(())));
    scene
}

fn kind(said: Option<Message>) -> Option<&'static str> {
    match said {
        Some(Message::SceneMaster(Event::SynMisbehaved { kind, .. })) => Some(kind.name()),
        None => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_step_that_is_too_long_and_too_much_memory_are_strikes_and_not_too_many_of_them() {
    let mut both = scene(Strikes { step_ms: 10, memory_kib: 64, ..Strikes::default() });
    let mut at = |ms: u64, step_us, bytes| kind(both.measured(START.plus_ms(ms), step_us, bytes));
    assert_eq!(at(0, 10_000, 65_536), None, "these are allowed");
    assert_eq!(at(1, 10_001, 65_537), Some("slow"));
    assert_eq!(at(2, 10_001, 65_537), Some("memory"));
    assert_eq!(at(3, 10_001, 65_537), None);
    assert_eq!(at(1 + STRIKE_MS_MIN, 10_001, 0), Some("slow"));
    let mut neither = scene(Strikes::default());
    assert_eq!(kind(neither.measured(START, u64::MAX, u64::MAX)), None, "without limits none is");
}

#[test]
fn a_scene_that_is_silent_has_a_strike_each_time_and_one_that_answers_has_none() {
    let silence_ms = 2_000;
    let fleets = BTreeMap::from([("duel".into(), fleet(Strikes { silence_ms, ..Strikes::default() }))]);
    let offer = Offer { url: "/v1/scene".to_owned(), capacity: Capacity::scenes(2), idle: None, region: None };
    let mut world = World::new(SceneService::new(NodeId(1), offer, fleets));
    let scene = SceneId(100);
    let (fleet, build, seats) = ("duel".into(), Build(1), Vec::new());
    let reuse = false;
    world.tell(ToNode::ReqCreateScene {
        scene,
        epoch: EPOCH,
        fleet,
        build,
        reuse,
        domain: None,
        seed: 1,
        arranged: Arranged::default(),
        seats,
    });
    world.tell(ToNode::ResStart { scene, epoch: EPOCH, result: Ok(()) });
    let strikes = |said: &[Message]| {
        let is_strike = |message: &&Message| {
            matches!(message, Message::SceneMaster(Event::SynMisbehaved { kind: Misbehaviour::Silence, .. }))
        };
        said.iter().filter(is_strike).count()
    };
    let answer = || ToNode::ResReport { scene, epoch: EPOCH, build: Build(1), seats: Vec::new() };
    let mut said = world.pass_ms(0);
    for _ in 0..5 {
        assert!(said.iter().any(|it| matches!(it, Message::Scene(_, scene_service::ToScene::Report { .. }))));
        world.tell(answer());
        // It is asked as often as it may be silent.
        said = world.pass_ms(silence_ms);
        assert_eq!(strikes(&said), 0);
    }
    // It was asked at the end of that.
    assert_eq!(strikes(&world.pass_ms(silence_ms - 1)), 0);
    assert_eq!(strikes(&world.pass_ms(1)), 1);
    assert_eq!(strikes(&world.pass_ms(3 * silence_ms)), 3);
    world.tell(answer());
    assert_eq!(strikes(&world.pass_ms(silence_ms)), 0, "it has answered");
}
