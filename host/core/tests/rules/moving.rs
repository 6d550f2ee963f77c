//! Scenes that go on on another node while they are played.

use std::collections::BTreeMap;

use scenehost_core::config::{Fleet, Journal, Keep, OnCrash, OnDrain};
use scenehost_core::message::EndReason;
use scenehost_core::record::{self, SceneRecord};
use scenehost_core::scene_master::{
    Answer, Ask, Capacity, Event, GO_ON_MS, MOVES_MAX, Matched, Order, RELEASE_MS_MAX, RELEASES_MAX, ROOM_MS_MAX,
    SceneMaster,
};
use scenehost_core::{
    Effects, Epoch, FleetName, MatchId, Message, NodeId, Refusal, SceneId, UserId, Write, lobby, scene_service,
};

use crate::table::short;
use crate::world::World;

const NODES: [NodeId; 2] = [NodeId(1), NodeId(2)];

fn fleet() -> Fleet {
    let journal = Journal { keep: Keep::Recovery, ..Journal::default() };
    Fleet { journal, on_drain: OnDrain::Move, join_in_progress: true, seats_max: 4, ..Fleet::default() }
}

fn up(node: NodeId, slots: u32) -> Event {
    let (url, capacity) = (format!("node/{}", node.0), Capacity::scenes(slots));
    Event::NodeUp { node, url, capacity, idle: None, region: None }
}

fn req_create(match_id: u64, users: [u64; 2]) -> Event {
    let player =
        |user| Matched { user: UserId(user), name: "Ada".to_owned(), rating: 1500, team: 0, role: None, party: 0 };
    Event::ReqCreateScene {
        match_id: MatchId(match_id),
        domain: "gomoku".into(),
        fleet: "gomoku".into(),
        players: users.map(player).to_vec(),
        choices: Vec::new(),
        region: None,
        bots: 0,
    }
}

/// A scene of users 10 and 11 that runs on the first of two nodes, user 10 inside.
fn running_with(fleet: Fleet, slots: u32) -> (World<SceneMaster>, SceneId) {
    let mut world = World::new(SceneMaster::new(BTreeMap::from([(FleetName::from("gomoku"), fleet)])));
    world.tell(up(NODES[0], slots));
    let (_, scene, epoch) = placed(&world.tell(req_create(50, [10, 11]))).expect("there is a slot");
    world.tell(up(NODES[1], slots));
    world.tell(Event::ResCreateScene { scene, epoch, result: Ok(()) });
    world.tell(Event::SynUserJoined { scene, epoch, seat: 0 });
    (world, scene)
}

fn running() -> (World<SceneMaster>, SceneId) {
    running_with(fleet(), 10)
}

/// The same, and its node is to let it go, for the operator's order 7.
pub fn releasing() -> (World<SceneMaster>, SceneId) {
    let (mut world, scene) = running();
    world.tell(order(7, Order::Move { scene, to: None }));
    (world, scene)
}

fn order(number: u64, order: Order) -> Event {
    Event::ReqOperator { number, order }
}

fn placed(messages: &[Message]) -> Option<(NodeId, SceneId, Epoch)> {
    messages.iter().rev().find_map(|message| match message {
        Message::SceneService(node, scene_service::Event::ReqCreateScene { scene, epoch, .. }) => {
            Some((*node, *scene, *epoch))
        }
        _ => None,
    })
}

/// What operators are answered.
fn answers(messages: &[Message]) -> Vec<(u64, Result<Answer, Refusal>)> {
    let answers = messages.iter().filter_map(|message| match message {
        Message::Operator(number, result) => Some((*number, result.clone().map(|answer| *answer))),
        _ => None,
    });
    answers.collect()
}

fn let_go(scene: SceneId, epoch: u64) -> Event {
    Event::ResReleaseScene { scene, epoch: Epoch(epoch), result: Ok(()) }
}

fn kept(scene: SceneId) -> Event {
    let result = Err(Refusal::Invalid("no journal".to_owned()));
    Event::ResReleaseScene { scene, epoch: Epoch(1), result }
}

fn shorts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(short).collect()
}

fn slots(world: &World<SceneMaster>) -> [u32; 2] {
    NODES.map(|node| world.service.slots(node).map_or(0, |(used, _)| used))
}

fn record_of(effects: &Effects) -> SceneRecord {
    let mut puts = effects.writes.iter().filter_map(|write| match write {
        Write::Put { key, value } => Some(record::decode(key, value).expect("it was just written")),
        Write::Delete { .. } => None,
    });
    puts.next_back().expect("the scene's record was written")
}

#[test]
fn a_scene_moves_to_a_node_that_has_a_place_for_it_and_its_users_are_told_the_way() {
    let (mut world, scene) = running();
    let effects = world.step(order(7, Order::Move { scene, to: Some(NODES[1]) }));
    assert_eq!(shorts(&effects.messages), ["SceneService ReqReleaseScene"], "the operator waits until it is there");
    let record = record_of(&effects);
    assert_eq!((record.state.as_str(), record.node, record.to), ("Releasing", NODES[0], Some(NODES[1])));
    assert_eq!(slots(&world), [1, 1], "there is a place before it is let go");

    let told = world.tell(let_go(scene, 1));
    assert_eq!(told, [], "nobody is told that anything is over");
    assert_eq!((world.service.state_name(scene), slots(&world)), ("Restarting", [0, 1]));
    let told = world.pass_ms(0);
    assert_eq!(placed(&told), Some((NODES[1], scene, Epoch(2))));
    assert_eq!(slots(&world), [0, 1]);

    let told = world.tell(Event::ResCreateScene { scene, epoch: Epoch(2), result: Ok(()) });
    assert_eq!(answers(&told), [(7, Ok(Answer::Moved { scene, node: NODES[1] }))]);
    let ways: Vec<(u64, String)> = told
        .iter()
        .filter_map(|message| match message {
            Message::Lobby(lobby::Event::SynSceneRestarted { user, entry }) => Some((user.0, entry.url.clone())),
            _ => None,
        })
        .collect();
    let url = format!("node/2/{scene}");
    assert_eq!(ways, [(10, url.clone()), (11, url)]);
}

#[test]
fn a_scene_that_is_not_let_go_plays_on_and_the_operator_hears_why() {
    let (mut world, scene) = releasing();
    let told = world.tell(kept(scene));
    assert_eq!(answers(&told), [(7, Err(Refusal::Invalid("no journal".to_owned())))]);
    assert_eq!((world.service.state_name(scene), slots(&world)), ("Running", [1, 0]));
    assert_eq!(world.tell(kept(scene)), [], "it is said once");

    // Before anybody has come in it waits for its users as before.
    let (mut world, scene) = running();
    world.tell(Event::SynUserLeft { scene, epoch: Epoch(1), seat: 0, reason: EndReason::Left });
    world.tell(order(7, Order::Move { scene, to: None }));
    world.tell(kept(scene));
    assert_eq!(world.service.state_name(scene), "Allocated");
    // And when all are gone meanwhile it is empty.
    let (mut world, scene) = releasing();
    for seat in 0..2 {
        world.tell(Event::SynUserLeft { scene, epoch: Epoch(1), seat, reason: EndReason::Left });
    }
    world.tell(kept(scene));
    assert_eq!(world.service.state_name(scene), "Empty");
}

#[test]
fn a_node_that_says_nothing_is_asked_a_few_times_and_what_it_has_let_go_all_the_same_goes_on() {
    let (mut world, scene) = releasing();
    for _ in 1..RELEASES_MAX {
        assert_eq!(shorts(&world.pass_ms(RELEASE_MS_MAX)), ["SceneService ReqReleaseScene"]);
    }
    let told = world.pass_ms(RELEASE_MS_MAX);
    assert_eq!(answers(&told), [(7, Err(Refusal::TimedOut("letting the game go".into())))]);
    assert_eq!((world.service.state_name(scene), slots(&world)), ("Running", [1, 0]));

    world.tell(let_go(scene, 1));
    let told = world.pass_ms(0);
    assert_eq!(placed(&told).map(|(_, _, epoch)| epoch), Some(Epoch(2)), "that incarnation is no more");
    assert_eq!(world.tell(let_go(scene, 1)), [], "it is of before");
}

#[test]
fn when_its_node_falls_while_it_is_to_let_it_go_it_goes_on_where_it_was_to_go() {
    let (mut world, scene) = releasing();
    assert_eq!(answers(&world.tell(Event::NodeDown { node: NODES[0] })), []);
    let told = world.pass_ms(GO_ON_MS);
    assert_eq!(placed(&told), Some((NODES[1], scene, Epoch(2))));
    assert_eq!(slots(&world), [0, 1]);
    let told = world.tell(Event::ResCreateScene { scene, epoch: Epoch(2), result: Ok(()) });
    assert_eq!(answers(&told), [(7, Ok(Answer::Moved { scene, node: NODES[1] }))]);
}

#[test]
fn when_the_node_falls_that_it_was_to_go_to_it_goes_on_at_its_own() {
    let (mut world, scene) = releasing();
    world.tell(Event::NodeDown { node: NODES[1] });
    assert_eq!(world.service.state_name(scene), "Releasing", "it may be on its way already");
    world.tell(let_go(scene, 1));
    assert_eq!(placed(&world.pass_ms(0)), Some((NODES[0], scene, Epoch(2))));
    assert_eq!(slots(&world), [1, 0]);
}

#[test]
fn a_scene_that_is_over_meanwhile_is_not_moved() {
    let (mut world, scene) = releasing();
    let finished = Event::ReqAskDestroyScene { scene, epoch: Epoch(1), ask: Ask::Finished(Vec::new()) };
    let told = world.tell(finished);
    assert_eq!(answers(&told), [(7, Err(Refusal::SceneEnded))]);
    assert_eq!(slots(&world), [1, 0]);
    world.tell(let_go(scene, 1));
    assert_eq!((world.service.state_name(scene), slots(&world)), ("Stopped", [0, 0]));
}

#[test]
fn a_game_that_fails_meanwhile_begins_anew_later_as_ever() {
    let (mut world, scene) = releasing();
    let crashed = Event::ReqAskDestroyScene { scene, epoch: Epoch(1), ask: Ask::Crashed("trap".to_owned()) };
    world.tell(crashed);
    assert_eq!((world.service.state_name(scene), slots(&world)), ("Restarting", [0, 0]));
}

#[test]
fn what_cannot_be_moved_is_refused_with_the_reason() {
    let (mut world, scene) = running_with(fleet(), 1);
    let mut refused = |scene, to| match &answers(&world.tell(order(7, Order::Move { scene, to })))[..] {
        [(7, Err(refusal))] => refusal.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(SceneId(5), None), "there is no scene 0000000000000005");
    assert!(refused(scene, Some(NodeId(9))).contains("no node 0000000000000009"));
    assert!(refused(scene, Some(NODES[0])).contains("already"));
    world.tell(order(1, Order::DrainNode { node: NODES[1], exits: false }));
    let mut refused = |scene, to| match &answers(&world.tell(order(7, Order::Move { scene, to })))[..] {
        [(7, Err(refusal))] => refusal.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(scene, Some(NODES[1])), Refusal::Busy("this node is being drained: it gets no scenes".into()));
    assert_eq!(refused(scene, None), Refusal::Overloaded("scenes".into()));
    world.tell(order(1, Order::UndrainNode { node: NODES[1] }));
    world.tell(req_create(51, [12, 13]));
    let told = world.tell(order(7, Order::Move { scene, to: Some(NODES[1]) }));
    assert_eq!(answers(&told), [(7, Err(Refusal::Overloaded("scenes on this node".into())))]);

    let (mut world, scene) = releasing();
    let told = world.tell(order(8, Order::Move { scene, to: None }));
    assert!(matches!(&answers(&told)[..], [(8, Err(Refusal::Busy(_)))]), "{told:?}");
    for fleet in [Fleet { journal: Journal::default(), ..fleet() }, Fleet { on_crash: OnCrash::End, ..fleet() }] {
        let (mut world, scene) = running_with(fleet, 10);
        let told = world.tell(order(7, Order::Move { scene, to: None }));
        assert!(matches!(&answers(&told)[..], [(7, Err(Refusal::Invalid(_)))]), "{told:?}");
    }
}

#[test]
fn the_games_of_a_drained_node_go_on_elsewhere_a_few_at_a_time_and_without_room_they_end() {
    let slots_each = MOVES_MAX as u32 + 10;
    let mut world = World::new(SceneMaster::new(BTreeMap::from([(FleetName::from("gomoku"), fleet())])));
    world.tell(up(NODES[0], slots_each));
    for number in 0..u64::from(slots_each) {
        let users = [1_000 + 2 * number, 1_001 + 2 * number];
        let (_, scene, epoch) = placed(&world.tell(req_create(100 + number, users))).expect("there is a slot");
        world.tell(Event::ResCreateScene { scene, epoch, result: Ok(()) });
    }
    // One place is missing.
    world.tell(up(NODES[1], slots_each - 1));
    let told = world.tell(order(1, Order::DrainNode { node: NODES[0], exits: true }));
    let released = |told: &[Message]| -> Vec<SceneId> {
        let of = told.iter().filter_map(|message| match message {
            Message::SceneService(_, scene_service::Event::ReqReleaseScene { scene, .. }) => Some(*scene),
            _ => None,
        });
        of.collect()
    };
    let mut asked = released(&told);
    assert_eq!(asked.len(), MOVES_MAX);
    let mut drained = Vec::new();
    let mut moved = 0;
    while let Some(scene) = asked.pop() {
        world.tell(let_go(scene, 1));
        let placed = placed(&world.pass_ms(0)).expect("it goes on");
        assert_eq!(placed, (NODES[1], scene, Epoch(2)));
        let told = world.tell(Event::ResCreateScene { scene, epoch: Epoch(2), result: Ok(()) });
        asked.extend(released(&told));
        drained.extend(told.iter().map(short).filter(|told| told == "SceneService ReqDrainScene"));
        moved += 1;
    }
    assert_eq!((moved, drained.len()), (slots_each - 1, 1));
}

#[test]
fn a_scene_that_is_not_let_go_by_a_drained_node_ends_in_its_time() {
    let (mut world, scene) = running();
    let told = world.tell(order(1, Order::DrainNode { node: NODES[0], exits: false }));
    assert!(shorts(&told).contains(&"SceneService ReqReleaseScene".to_owned()), "{told:?}");
    let told = world.tell(kept(scene));
    assert_eq!(shorts(&told), ["SceneService ReqDrainScene"]);
    assert_eq!(world.service.state_name(scene), "Draining");
}

#[test]
fn on_drain_move_needs_a_journal() {
    assert_eq!(fleet().check(), Ok(()));
    for fleet in [Fleet { journal: Journal::default(), ..fleet() }, Fleet { on_crash: OnCrash::End, ..fleet() }] {
        assert!(fleet.check().expect_err("it cannot move").contains("on_drain"));
    }
}

#[test]
fn a_game_whose_machine_is_gone_goes_on_at_once_waits_for_room_and_not_for_ever() {
    let (mut world, scene) = running_with(fleet(), 1);
    world.tell(Event::NodeDown { node: NODES[1] });
    let effects = world.step(Event::NodeDown { node: NODES[0] });
    let record = record_of(&effects);
    assert_eq!((record.crashes.len(), record.falls.len()), (0, 1), "it is not the game that has failed");
    assert_eq!(record.deadline, Some(world.now.plus_ms(GO_ON_MS)));
    // Nobody has room for a while.
    assert_eq!(placed(&world.pass_ms(ROOM_MS_MAX / 2)), None);
    world.tell(up(NODES[1], 1));
    assert_eq!(placed(&world.pass_ms(2_000)), Some((NODES[1], scene, Epoch(2))));

    let (mut world, scene) = running_with(fleet(), 1);
    NODES.into_iter().for_each(|node| _ = world.tell(Event::NodeDown { node }));
    let told = world.pass_ms(ROOM_MS_MAX + 120_000);
    assert!(shorts(&told).contains(&"Lobby SynSceneEnded".to_owned()), "{:?}", world.service.state_name(scene));
}

#[test]
fn machines_that_fall_again_and_again_count_as_failures_of_the_game() {
    let (mut world, _) = running();
    let mut falls = 0;
    for turn in 0..100 {
        let node = NODES[turn % 2];
        let told = world.tell(Event::NodeDown { node });
        if shorts(&told).contains(&"Lobby SynSceneEnded".to_owned()) {
            break;
        }
        falls += 1;
        let (_, scene, epoch) =
            (0..600).find_map(|_| placed(&world.pass_ms(100))).expect("it goes on, later and later");
        world.tell(Event::ResCreateScene { scene, epoch, result: Ok(()) });
        world.tell(Event::SynUserJoined { scene, epoch, seat: 0 });
        world.tell(up(node, 10));
    }
    assert!((8..=16).contains(&falls), "{falls}");
}
