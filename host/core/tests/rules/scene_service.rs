//! SceneService: obeys, and answers every order.

use std::collections::BTreeMap;

use scenehost_core::config::Fleet;
use scenehost_core::message::EndReason;
use scenehost_core::scene_master::{self, Capacity, Offer};
use scenehost_core::scene_service::{END_MS_MAX, Event, START_MS_MAX, SceneService, SeatGrant, ToScene};
use scenehost_core::token::SecretHash;
use scenehost_core::{Build, Epoch, FleetName, Message, NodeId, Player, Refusal, SceneId, Time, UserId};

use crate::table::{self, short};
use crate::world::{World, req_create_scene};

const SCENE: SceneId = SceneId(100);
const EPOCH: Epoch = Epoch(1);

fn service(slots: u32) -> World<SceneService> {
    let fleets = BTreeMap::from([(FleetName::from("gomoku"), Fleet { scenes_max: 2, ..Fleet::default() })]);
    let offer = Offer { url: "/v1/scene".to_owned(), capacity: Capacity::scenes(slots), idle: None, region: None };
    let mut world = World::new(SceneService::new(NodeId(1), offer, fleets));
    assert_eq!(shorts(&world.tell(Event::Tick)), ["SceneMaster SynReport"], "it tells of itself at once");
    world
}

fn create(scene: SceneId, epoch: Epoch) -> Event {
    req_create_scene((scene, epoch), "gomoku", Build(1))
}

/// The same scene again, for its next session.
fn next_session(epoch: Epoch) -> Event {
    let mut order = create(SCENE, epoch);
    if let Event::ReqCreateScene { reuse, .. } = &mut order {
        *reuse = true;
    }
    order
}

fn destroy(epoch: Epoch) -> Event {
    end(epoch, false)
}

fn end(epoch: Epoch, keep: bool) -> Event {
    Event::ReqDestroyScene { scene: SCENE, epoch, reason: EndReason::Stopped, results: Vec::new(), keep }
}

fn started(result: Result<(), Refusal>) -> Event {
    Event::ResStart { scene: SCENE, epoch: EPOCH, result }
}

fn shorts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(short).collect()
}

#[test]
fn a_scene_begins_and_ends_by_order() {
    let mut world = service(10);
    assert_eq!(shorts(&world.tell(create(SCENE, EPOCH))), ["Scene Start"]);
    assert_eq!(shorts(&world.tell(started(Ok(())))), ["SceneMaster ResCreateScene"]);
    assert_eq!(shorts(&world.tell(destroy(EPOCH))), ["Scene End"]);
    let ended = Event::ResEnd { scene: SCENE, epoch: EPOCH, kept: false };
    assert_eq!(shorts(&world.tell(ended)), ["SceneMaster ResDestroyScene"]);
    assert_eq!(world.service.state_name(SCENE), "none");
}

#[test]
fn there_are_no_more_scenes_than_slots_and_than_the_fleet_may_have() {
    for (slots, most) in [(1, 1), (10, 2)] {
        let mut world = service(slots);
        for scene in 0..most {
            assert_eq!(shorts(&world.tell(create(SceneId(scene), EPOCH))), ["Scene Start"]);
        }
        let refused = world.tell(create(SceneId(most), EPOCH));
        assert_eq!(shorts(&refused), ["SceneMaster ResCreateScene ✗Overloaded"]);
    }
}

#[test]
fn a_place_is_free_again_after_a_start_that_failed() {
    let mut world = service(1);
    world.tell(create(SCENE, EPOCH));
    world.tell(started(Err(Refusal::Internal("x".into()))));
    assert_eq!(shorts(&world.tell(create(SceneId(5), EPOCH))), ["Scene Start"]);
}

#[test]
fn a_scene_that_starts_after_it_was_given_up_is_ended() {
    let mut world = service(1);
    world.tell(create(SCENE, EPOCH));
    let told = world.pass_ms(START_MS_MAX);
    assert_eq!(shorts(&told), ["Scene End", "SceneMaster ResCreateScene ✗TimedOut"]);
    assert_eq!(shorts(&world.tell(started(Ok(())))), ["Scene End"]);
}

#[test]
fn one_that_starts_too_late_is_ended_also_if_the_next_incarnation_is_ordered_already() {
    let mut world = service(1);
    world.tell(create(SCENE, EPOCH));
    world.pass_ms(START_MS_MAX);
    world.tell(create(SCENE, Epoch(2)));
    let told = world.tell(started(Ok(())));
    let [Message::Scene(SCENE, ToScene::End { epoch: EPOCH, .. })] = told[..] else { panic!("{told:?}") };
    assert_eq!(world.service.state_name(SCENE), "Starting", "the next one goes on");
    let told = world.tell(destroy(EPOCH));
    assert_eq!(shorts(&told), ["Scene End", "SceneMaster ResDestroyScene"], "also one that is not known");
}

/// A scene whose session is over, and whose instance waits for the next one.
fn kept() -> World<SceneService> {
    let mut world = service(1);
    world.tell(create(SCENE, EPOCH));
    world.tell(started(Ok(())));
    world.tell(end(EPOCH, true));
    let told = world.tell(Event::ResEnd { scene: SCENE, epoch: EPOCH, kept: true });
    let [Message::SceneMaster(scene_master::Event::ResDestroyScene { kept: true, .. })] = told[..] else {
        panic!("{told:?}")
    };
    world
}

#[test]
fn the_next_session_takes_the_place_of_one_whose_instance_is_kept() {
    let mut world = kept();
    let told = world.tell(create(SCENE, Epoch(2)));
    assert_eq!(shorts(&told), ["SceneMaster ResCreateScene ✗Busy"], "only if that is meant");
    let told = world.tell(next_session(Epoch(2)));
    let [Message::Scene(SCENE, ToScene::Start(start))] = &told[..] else { panic!("{told:?}") };
    assert!(start.reuse && start.epoch == Epoch(2));
    assert_eq!(shorts(&world.tell(create(SceneId(9), EPOCH))), ["SceneMaster ResCreateScene ✗Overloaded"]);
}

#[test]
fn an_instance_that_is_kept_ends_when_that_is_ordered() {
    let mut world = kept();
    let told = world.tell(end(EPOCH, true));
    let [Message::SceneMaster(scene_master::Event::ResDestroyScene { kept: true, .. })] = told[..] else {
        panic!("the same again: {told:?}")
    };
    assert_eq!(shorts(&world.tell(end(EPOCH, false))), ["Scene End"]);
    assert!(world.tell(end(EPOCH, true)).is_empty(), "an order from before does not bring it back");
    let told = world.tell(Event::ResEnd { scene: SCENE, epoch: EPOCH, kept: true });
    assert!(told.is_empty(), "an answer to the order before: {told:?}");
    world.tell(Event::ResEnd { scene: SCENE, epoch: EPOCH, kept: false });
    assert_eq!(shorts(&world.tell(create(SceneId(9), EPOCH))), ["Scene Start"], "its slot is free");
}

#[test]
fn an_instance_that_is_kept_too_late_is_ended() {
    let mut world = service(2);
    world.tell(create(SCENE, EPOCH));
    world.tell(started(Ok(())));
    world.tell(end(EPOCH, true));
    let late = world.pass_ms(10_000 + END_MS_MAX);
    assert!(shorts(&late).contains(&"SceneMaster ResDestroyScene".to_owned()), "it did not answer: {late:?}");
    let told = world.tell(Event::ResEnd { scene: SCENE, epoch: EPOCH, kept: true });
    let [Message::Scene(SCENE, ToScene::End { keep: false, .. })] = told[..] else {
        panic!("SceneMaster does not know it any more, so it is to end: {told:?}")
    };
}

#[test]
fn the_end_of_an_incarnation_is_that_of_those_before_it_too() {
    let mut world = service(1);
    world.tell(create(SCENE, EPOCH));
    world.tell(started(Ok(())));
    let told = world.tell(end(Epoch(3), true));
    let [Message::Scene(SCENE, ToScene::End { epoch: EPOCH, keep: false, .. })] = told[..] else { panic!("{told:?}") };
    assert!(world.tell(end(Epoch(3), true)).is_empty(), "the answer is on its way");
    let told = world.tell(Event::ResEnd { scene: SCENE, epoch: EPOCH, kept: false });
    let [Message::SceneMaster(scene_master::Event::ResDestroyScene { epoch: Epoch(3), kept: false, .. })] = told[..]
    else {
        panic!("{told:?}")
    };
}

#[test]
fn the_game_is_told_that_its_node_is_drained() {
    let mut world = service(1);
    world.tell(create(SCENE, EPOCH));
    let drain = |epoch| Event::ReqDrainScene { scene: SCENE, epoch, grace_ms: 5 };
    assert_eq!(world.tell(drain(EPOCH)), [Message::Scene(SCENE, ToScene::Drain { epoch: EPOCH, grace_ms: 5 })]);
    assert!(world.tell(drain(Epoch(2))).is_empty(), "another incarnation");
}

#[test]
fn an_order_that_comes_again_after_the_end_begins_nothing_and_the_next_incarnation_begins() {
    let mut world = service(2);
    world.tell(create(SCENE, EPOCH));
    world.tell(started(Ok(())));
    world.tell(destroy(EPOCH));
    world.tell(Event::ResEnd { scene: SCENE, epoch: EPOCH, kept: false });
    assert_eq!(shorts(&world.tell(create(SCENE, EPOCH))), ["SceneMaster ResCreateScene ✗SceneEnded"]);
    assert_eq!(shorts(&world.tell(create(SCENE, Epoch(2)))), ["Scene Start"]);
}

#[test]
fn an_order_that_was_refused_begins_nothing_when_it_comes_again() {
    let mut world = service(1);
    world.tell(create(SCENE, EPOCH));
    let full = world.tell(create(SceneId(5), EPOCH));
    assert_eq!(shorts(&full), ["SceneMaster ResCreateScene ✗Overloaded"]);
    world.tell(destroy(EPOCH));
    world.tell(Event::ResEnd { scene: SCENE, epoch: EPOCH, kept: false });
    let again = world.tell(create(SceneId(5), EPOCH));
    assert_eq!(shorts(&again), ["SceneMaster ResCreateScene ✗SceneEnded"], "it may live elsewhere");
    assert_eq!(shorts(&world.tell(create(SceneId(5), Epoch(2)))), ["Scene Start"]);
}

#[test]
fn an_order_that_the_end_has_overtaken_begins_nothing() {
    let mut world = service(2);
    world.tell(destroy(Epoch(2)));
    for late in [EPOCH, Epoch(2)] {
        assert_eq!(shorts(&world.tell(create(SCENE, late))), ["SceneMaster ResCreateScene ✗SceneEnded"]);
    }
    assert_eq!(shorts(&world.tell(create(SCENE, Epoch(3)))), ["Scene Start"]);
}

#[test]
fn every_state_and_event() {
    let none = service(10);
    let mut starting = none.clone();
    starting.tell(create(SCENE, EPOCH));
    let mut running = starting.clone();
    running.tell(started(Ok(())));
    let mut ending = running.clone();
    ending.tell(destroy(EPOCH));
    let add_seats = |epoch| {
        let player =
            Player { seat: 2, user: UserId(5), name: "Eve".to_owned(), rating: 1500, team: 0, role: None, party: 0 };
        let grant = SeatGrant { player, token: SecretHash::of("x"), until: Time(9) };
        Event::ReqAddSeats { scene: SCENE, epoch, seats: vec![grant] }
    };
    let add_spectator = |epoch| Event::ReqAddSpectator {
        scene: SCENE,
        epoch,
        user: UserId(5),
        token: SecretHash::of("x"),
        until: Time(9),
    };
    let token = |epoch| Event::ReqAddToken { scene: SCENE, epoch, seat: 0, token: SecretHash::of("x"), until: Time(9) };
    table::check(
        "scene-service",
        &[("none", none), ("Starting", starting), ("Running", running), ("Ending", ending), ("Kept", kept())],
        &[
            ("ReqCreateScene", create(SCENE, EPOCH)),
            ("ReqCreateScene, other epoch", create(SCENE, Epoch(2))),
            ("ReqCreateScene, next session", next_session(Epoch(2))),
            ("ResStart", started(Ok(()))),
            ("ResStart, refused", started(Err(Refusal::Internal("x".into())))),
            ("ReqDestroyScene", destroy(EPOCH)),
            ("ReqDestroyScene, kept", end(EPOCH, true)),
            ("ReqDestroyScene, other epoch", destroy(Epoch(2))),
            ("ResEnd", Event::ResEnd { scene: SCENE, epoch: EPOCH, kept: false }),
            ("ResEnd, kept", Event::ResEnd { scene: SCENE, epoch: EPOCH, kept: true }),
            ("ReqDrainScene", Event::ReqDrainScene { scene: SCENE, epoch: EPOCH, grace_ms: 5 }),
            ("ReqReleaseScene", Event::ReqReleaseScene { scene: SCENE, epoch: EPOCH }),
            ("ReqReleaseScene, other epoch", Event::ReqReleaseScene { scene: SCENE, epoch: Epoch(2) }),
            ("ResRelease", Event::ResRelease { scene: SCENE, epoch: EPOCH, result: Ok(()) }),
            (
                "ResRelease, refused",
                Event::ResRelease { scene: SCENE, epoch: EPOCH, result: Err(Refusal::Invalid("x".to_owned())) },
            ),
            ("ReqAddToken", token(EPOCH)),
            ("ReqAddToken, other epoch", token(Epoch(2))),
            (
                "ReqRemoveUser",
                Event::ReqRemoveUser { scene: SCENE, epoch: EPOCH, seat: 0, reason: EndReason::AccountClosed },
            ),
            ("ReqAddSeats", add_seats(EPOCH)),
            ("ReqAddSeats, other epoch", add_seats(Epoch(2))),
            ("ReqAddSpectator", add_spectator(EPOCH)),
            ("ReqAddSpectator, other epoch", add_spectator(Epoch(2))),
            (
                "ReqRemoveSpectator",
                Event::ReqRemoveSpectator { scene: SCENE, epoch: EPOCH, user: UserId(5), reason: EndReason::Left },
            ),
            ("ReqReport", Event::ReqReport { number: 5, from: SceneId(0), to: SceneId(u64::MAX) }),
            ("ResReport", Event::ResReport { scene: SCENE, epoch: EPOCH, build: Build(1), seats: Vec::new() }),
            ("Tick at the deadline", Event::Tick),
        ],
        |state, event| {
            let mut world = state.clone();
            if *event == Event::Tick {
                world.now = world.now.plus_ms(START_MS_MAX.max(END_MS_MAX) + 10_000);
            }
            let effects = world.step(event.clone());
            table::cell(world.service.state_name(SCENE), &effects)
        },
    );
}
