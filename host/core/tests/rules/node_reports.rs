//! What a node tells of its scenes, so that a SceneMaster can set its books right; what that does with it: [`crate::reconcile`].

use std::collections::BTreeMap;

use scenehost_core::config::Fleet;
use scenehost_core::message::EndReason;
use scenehost_core::scene_master::{self, Capacity, Offer};
use scenehost_core::scene_service::{
    Event, GATHER_MS_MAX, Life, REPORT_MS, Report, Reported, SceneService, SeatNow, ToScene,
};
use scenehost_core::{Build, Epoch, Message, NodeId, SceneId};

use crate::table::short;
use crate::world::{World, req_create_scene};

const NODE: NodeId = NodeId(1);
const FLEET: &str = "arena";
const BUILD: Build = Build(3);

fn node(scenes: u64) -> World<SceneService> {
    let fleet = Fleet { scenes_max: 10_000, ..Fleet::default() };
    let offer = Offer { url: "/v1/scene".to_owned(), capacity: Capacity::scenes(10_000), idle: None, region: None };
    let mut world = World::new(SceneService::new(NODE, offer, BTreeMap::from([(FLEET.into(), fleet)])));
    for scene in 1..=scenes {
        world.tell(created(SceneId(scene), Epoch(1)));
        world.tell(Event::ResStart { scene: SceneId(scene), epoch: Epoch(1), result: Ok(()) });
    }
    world
}

fn created(scene: SceneId, epoch: Epoch) -> Event {
    req_create_scene((scene, epoch), FLEET, BUILD)
}

fn reports(said: &[Message]) -> Vec<Report> {
    let report = |message: &Message| match message {
        Message::SceneMaster(scene_master::Event::SynReport(report)) => Some((**report).clone()),
        _ => None,
    };
    said.iter().filter_map(report).collect()
}

#[test]
fn a_node_reports_all_of_its_scenes_in_parts_without_a_gap() {
    const SCENES: u64 = 600;
    let mut world = node(SCENES);
    // Each scene says what it knows of its seats, as soon as it is asked.
    let mut told = Vec::new();
    let mut said = world.tell(Event::ReqReport { number: 9, from: SceneId(0), to: SceneId(u64::MAX) });
    for _ in 0..10 {
        let asked: Vec<SceneId> = said.iter().filter_map(asked_scene).collect();
        told.extend(reports(&said).into_iter().filter(|it| it.asked != 0));
        said = asked.iter().flat_map(|scene| world.tell(seats_of(*scene))).collect();
        said.extend(world.pass_ms(0));
    }
    let parts: Vec<(u64, u64, usize)> = told.iter().map(|it| (it.from.0, it.to.0, it.scenes.len())).collect();
    assert_eq!(parts, [(0, 256, 256), (257, 512, 256), (513, u64::MAX, 88)]);
    assert!(told.iter().all(|part| part.asked == 9 && part.round == told[0].round));
    let has_said = |it: &Reported| it.seats == Some(vec![SeatNow::Held]) && it.life == Life::Running;
    assert!(told.iter().flat_map(|part| &part.scenes).all(has_said));
    // From then on by itself, each scene once in the time of a round.
    let regular = reports(&world.pass_ms(REPORT_MS));
    assert!(regular.iter().all(|part| part.asked == 0 && part.round > told[0].round), "{regular:?}");
    assert!((2..=4).contains(&regular.len()), "{} parts", regular.len());
}

fn asked_scene(message: &Message) -> Option<SceneId> {
    match message {
        Message::Scene(scene, ToScene::Report { .. }) => Some(*scene),
        _ => None,
    }
}

fn seats_of(scene: SceneId) -> Event {
    Event::ResReport { scene, epoch: Epoch(1), build: BUILD, seats: vec![SeatNow::Held] }
}

#[test]
fn a_scene_that_says_nothing_does_not_hold_its_nodes_report_up() {
    let mut world = node(2);
    world.tell(Event::ReqReport { number: 9, from: SceneId(0), to: SceneId(u64::MAX) });
    world.tell(seats_of(SceneId(2)));
    let told = reports(&world.pass_ms(GATHER_MS_MAX));
    let seats: Vec<_> = told[0].scenes.iter().map(|it| (it.scene.0, it.seats.is_some())).collect();
    assert_eq!(seats, [(1, false), (2, true)]);
}

#[test]
fn an_order_that_comes_after_the_one_to_end_makes_nothing() {
    let mut world = node(0);
    let (scene, reason) = (SceneId(5), EndReason::Expired);
    world.tell(Event::ReqDestroyScene { scene, epoch: Epoch(2), reason, results: Vec::new(), keep: false });
    for epoch in [Epoch(1), Epoch(2)] {
        let said = world.tell(created(scene, epoch));
        assert_eq!(said.iter().map(short).collect::<Vec<_>>(), ["SceneMaster ResCreateScene ✗SceneEnded"]);
    }
    assert_eq!(world.tell(created(scene, Epoch(3))).iter().map(short).collect::<Vec<_>>(), ["Scene Start"]);
}

#[test]
fn a_scene_tells_its_label_and_who_watches_only_to_one_that_asks_anew() {
    let orders = |asked: Option<u64>| {
        let mut world = node(1);
        let told = match asked {
            Some(number) => world.tell(Event::ReqReport { number, from: SceneId(0), to: SceneId(u64::MAX) }),
            None => world.pass_ms(REPORT_MS),
        };
        let anew = told.iter().find_map(|message| match message {
            Message::Scene(_, ToScene::Report { anew, .. }) => Some(*anew),
            _ => None,
        });
        anew.expect("it is asked")
    };
    assert!(orders(Some(9)));
    assert!(!orders(None));
}
