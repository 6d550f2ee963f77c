//! Orders to end a scene: none is forgotten because a message was lost.

use std::collections::BTreeMap;

use scenehost_core::config::{Fleet, OnCrash};
use scenehost_core::message::EndReason;
use scenehost_core::scene_master::{Ask, Capacity, Event, Matched, SceneMaster};
use scenehost_core::{Epoch, FleetName, MatchId, Message, NodeId, SceneId, UserId, scene_service};

use crate::table::short;
use crate::world::World;

const NODES: [NodeId; 2] = [NodeId(1), NodeId(2)];
const EPOCH: Epoch = Epoch(1);

/// A scene that runs on the first node.
fn running(on_crash: OnCrash) -> (World<SceneMaster>, SceneId) {
    let fleets = BTreeMap::from([(FleetName::from("gomoku"), Fleet { on_crash, ..Fleet::default() })]);
    let mut world = World::new(SceneMaster::new(fleets));
    for (node, slots) in [(NODES[0], 2), (NODES[1], 1)] {
        world.tell(Event::NodeUp {
            node,
            url: "/v1/scene".to_owned(),
            capacity: Capacity::scenes(slots),
            idle: None,
            region: None,
        });
    }
    let player = Matched { user: UserId(10), name: "Ada".to_owned(), rating: 1500, team: 0, role: None, party: 0 };
    let told = world.tell(Event::ReqCreateScene {
        match_id: MatchId(50),
        domain: "gomoku".into(),
        fleet: "gomoku".into(),
        players: vec![player],
        choices: Vec::new(),
        region: None,
        bots: 0,
    });
    let [Message::SceneService(node, scene_service::Event::ReqCreateScene { scene, .. })] = told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(node, NODES[0]);
    world.tell(Event::ResCreateScene { scene, epoch: EPOCH, result: Ok(()) });
    world.tell(Event::SynUserJoined { scene, epoch: EPOCH, seat: 0 });
    (world, scene)
}

fn ask(scene: SceneId, epoch: Epoch, ask: Ask) -> Event {
    Event::ReqAskDestroyScene { scene, epoch, ask }
}

/// The orders to end an incarnation: to which node, and which.
fn ends(messages: &[Message]) -> Vec<(NodeId, Epoch)> {
    let ends = messages.iter().filter_map(|message| match message {
        Message::SceneService(node, scene_service::Event::ReqDestroyScene { epoch, .. }) => Some((*node, *epoch)),
        _ => None,
    });
    ends.collect()
}

#[test]
fn an_order_is_repeated_until_it_is_answered() {
    let (mut world, scene) = running(OnCrash::End);
    assert_eq!(ends(&world.tell(ask(scene, EPOCH, Ask::Finished(Vec::new())))), [(NODES[0], EPOCH)]);
    let told = world.pass_ms(30_000);
    assert_eq!(world.service.state_name(scene), "Stopped", "its users do not wait for that");
    let orders = ends(&told);
    assert!(orders.len() >= 3 && orders.iter().all(|order| *order == (NODES[0], EPOCH)), "{told:?}");
    world.tell(Event::ResDestroyScene { scene, epoch: EPOCH, kept: false });
    assert_eq!(ends(&world.pass_ms(60_000)), []);
}

#[test]
fn the_incarnation_before_is_ended_for_certain_too() {
    let (mut world, scene) = running(OnCrash::Restart);
    world.tell(ask(scene, EPOCH, Ask::Crashed("trap".to_owned())));
    let told = world.pass_ms(10_000);
    assert!(ends(&told).contains(&(NODES[0], EPOCH)), "{told:?}");
    world.tell(Event::ResDestroyScene { scene, epoch: EPOCH, kept: false });
    assert!(!ends(&world.pass_ms(60_000)).contains(&(NODES[0], EPOCH)));
}

#[test]
fn a_node_that_is_gone_is_told_nothing_more() {
    let (mut world, scene) = running(OnCrash::End);
    world.tell(ask(scene, EPOCH, Ask::Finished(Vec::new())));
    world.tell(Event::NodeDown { node: NODES[0] });
    assert_eq!(ends(&world.pass_ms(60_000)), []);
}

#[test]
fn an_incarnation_that_should_not_be_is_ended_wherever_it_is() {
    let on_each = |epoch| NODES.map(|node| (node, epoch));
    let (mut world, scene) = running(OnCrash::End);
    let asks_twice = ask(scene, EPOCH, Ask::Empty);
    world.tell(ask(scene, EPOCH, Ask::Finished(Vec::new())));
    assert_eq!(ends(&world.tell(asks_twice.clone())), [], "its end is ordered, and that is repeated");
    world.tell(Event::ResDestroyScene { scene, epoch: EPOCH, kept: false });
    assert_eq!(ends(&world.tell(asks_twice)), on_each(EPOCH), "it goes on all the same");

    let created = |scene, epoch| Event::ResCreateScene { scene, epoch, result: Ok(()) };
    assert_eq!(ends(&world.tell(created(scene, EPOCH))), on_each(EPOCH), "it was made twice");
    let unknown = SceneId(77);
    assert_eq!(ends(&world.tell(created(unknown, Epoch(3)))), on_each(Epoch(3)));
    let told = world.tell(ask(unknown, Epoch(3), Ask::Crashed("trap".to_owned())));
    assert_eq!(ends(&told), on_each(Epoch(3)));
    assert!(told.iter().all(|message| short(message) == "SceneService ReqDestroyScene"), "{told:?}");
    let left = Event::SynUserLeft { scene: unknown, epoch: Epoch(3), seat: 0, reason: EndReason::Left };
    assert_eq!(world.tell(left), []);
}
