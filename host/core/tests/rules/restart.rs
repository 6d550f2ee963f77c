//! Scenes whose game fails: they begin anew with the same users, later each time, and not for ever.

use std::collections::BTreeMap;

use scenehost_core::config::{CRASHES_WITHIN_MS, Fleet, Journal, Keep, OnCrash};
use scenehost_core::message::{EndReason, Entry};
use scenehost_core::record::{self, SceneRecord};
use scenehost_core::scene_master::{Ask, Capacity, Event, GO_ON_MS, Matched, RESTART_MS, RESTART_MS_MAX, SceneMaster};
use scenehost_core::scene_service::{self, SeatGrant};
use scenehost_core::{
    Effects, Epoch, FleetName, MatchId, Message, NodeId, Refusal, SceneId, ServiceName, UserId, Write, lobby,
};

use crate::table::short;
use crate::world::World;

const NODES: [NodeId; 2] = [NodeId(1), NodeId(2)];

fn fleet() -> Fleet {
    Fleet { crashes_max: 3, ..Fleet::default() }
}

/// A scene of users 10 and 11 that runs on the first node, user 10 inside.
fn running(fleet: Fleet) -> (World<SceneMaster>, SceneId) {
    let (mut world, scene) = allocated(fleet);
    world.tell(Event::SynUserJoined { scene, epoch: Epoch(1), seat: 0 });
    (world, scene)
}

/// The same before anybody is inside.
fn allocated(fleet: Fleet) -> (World<SceneMaster>, SceneId) {
    let mut world = World::new(SceneMaster::new(BTreeMap::from([(FleetName::from("gomoku"), fleet)])));
    world.tell(Event::NodeUp {
        node: NODES[0],
        url: "/v1/scene".to_owned(),
        capacity: Capacity::scenes(2),
        idle: None,
        region: None,
    });
    let player =
        |user| Matched { user: UserId(user), name: "Ada".to_owned(), rating: 1500, team: 0, role: None, party: 0 };
    let told = world.tell(Event::ReqCreateScene {
        match_id: MatchId(50),
        domain: "gomoku".into(),
        fleet: "gomoku".into(),
        players: [10, 11].map(player).to_vec(),
        choices: Vec::new(),
        region: None,
        bots: 0,
    });
    let (_, scene, epoch, _) = placed(&told).expect("there is a slot");
    world.tell(Event::ResCreateScene { scene, epoch, result: Ok(()) });
    (world, scene)
}

/// A life of a scene: where, which, and for whom.
type Placed = (NodeId, SceneId, Epoch, Vec<SeatGrant>);

/// The one that was placed last.
fn placed(messages: &[Message]) -> Option<Placed> {
    messages.iter().rev().find_map(|message| match message {
        Message::SceneService(node, scene_service::Event::ReqCreateScene { scene, epoch, seats, .. }) => {
            Some((*node, *scene, *epoch, seats.clone()))
        }
        _ => None,
    })
}

fn crashed(scene: SceneId, epoch: u64) -> Event {
    Event::ReqAskDestroyScene { scene, epoch: Epoch(epoch), ask: Ask::Crashed("trap".to_owned()) }
}

/// Lets the time pass until the scene is placed again; how long that took.
fn anew(world: &mut World<SceneMaster>) -> (u64, Option<Placed>) {
    let begun = world.now;
    for _ in 0..100 {
        let Some(deadline) = world.deadline() else { break };
        let told = world.pass_ms(deadline.ms_since(world.now));
        if let Some(placed) = placed(&told) {
            return (world.now.ms_since(begun), Some(placed));
        }
    }
    (world.now.ms_since(begun), None)
}

fn entries(messages: &[Message]) -> Vec<(u64, Entry)> {
    let entries = messages.iter().filter_map(|message| match message {
        Message::Lobby(lobby::Event::SynSceneRestarted { user, entry }) => Some((user.0, entry.clone())),
        _ => None,
    });
    entries.collect()
}

fn shorts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(short).collect()
}

fn record_of(effects: &Effects) -> SceneRecord {
    let mut puts = effects.writes.iter().filter_map(|write| match write {
        Write::Put { key, value } => Some(record::decode(key, value).expect("it was just written")),
        Write::Delete { .. } => None,
    });
    puts.next_back().expect("the scene's record was written")
}

#[test]
fn a_game_that_fails_begins_anew_with_the_same_users_in_the_same_seats() {
    let (mut world, scene) = running(fleet());
    let effects = world.step(crashed(scene, 1));
    assert_eq!(shorts(&effects.messages), ["SceneService ReqDestroyScene"], "nobody is told that it is over");
    let record = record_of(&effects);
    assert_eq!((record.state.as_str(), record.epoch), ("Restarting", Epoch(2)));
    assert_eq!(record.deadline, world.deadline(), "the next life is written before it begins");
    assert_eq!(world.service.slots(NODES[0]), Some((0, 2)));

    let (after_ms, placed) = anew(&mut world);
    assert!((RESTART_MS..=RESTART_MS * 3 / 2).contains(&after_ms), "{after_ms}");
    let (node, same, epoch, seats) = placed.expect("it begins anew");
    assert_eq!((node, same, epoch), (NODES[0], scene, Epoch(2)));
    assert_eq!(seats.iter().map(|seat| seat.player.user.0).collect::<Vec<_>>(), [10, 11]);
    assert_eq!(world.service.slots(NODES[0]), Some((1, 2)));

    let told = world.tell(Event::ResCreateScene { scene, epoch, result: Ok(()) });
    let ways = entries(&told);
    assert_eq!(ways.iter().map(|(user, _)| *user).collect::<Vec<_>>(), [10, 11]);
    for ((_, entry), seat) in ways.iter().zip(&seats) {
        assert_eq!((entry.scene, entry.secret.hash()), (scene, seat.token), "each has the way to the own seat");
    }
    assert_eq!(told.len(), 2, "the match is not answered twice: {told:?}");
    world.tell(Event::SynUserJoined { scene, epoch, seat: 1 });
    assert_eq!(world.service.state_name(scene), "Running");
}

#[test]
fn what_the_incarnation_before_says_does_not_count() {
    let (mut world, scene) = running(fleet());
    world.tell(crashed(scene, 1));
    for event in [
        crashed(scene, 1),
        Event::ResDestroyScene { scene, epoch: Epoch(1), kept: false },
        Event::SynUserLeft { scene, epoch: Epoch(1), seat: 0, reason: EndReason::Left },
        Event::SynUserJoined { scene, epoch: Epoch(1), seat: 1 },
        Event::ResCreateScene { scene, epoch: Epoch(1), result: Ok(()) },
        Event::ReqAskDestroyScene { scene, epoch: Epoch(1), ask: Ask::Finished(Vec::new()) },
    ] {
        let told = shorts(&world.tell(event.clone()));
        // Where it goes on although it should not, it is ended.
        assert!(told.iter().all(|it| it == "SceneService ReqDestroyScene"), "{event:?}: {told:?}");
        assert_eq!(world.service.state_name(scene), "Restarting", "{event:?}");
    }
}

#[test]
fn it_begins_later_each_time_and_ends_when_it_has_failed_too_often() {
    let (mut world, scene) = running(Fleet { crashes_max: 9, ..fleet() });
    let mut expected_ms = RESTART_MS;
    for epoch in 1..=9 {
        world.tell(crashed(scene, epoch));
        let (after_ms, placed) = anew(&mut world);
        assert!((expected_ms..=expected_ms * 3 / 2).contains(&after_ms), "{after_ms} after {epoch}");
        expected_ms = (expected_ms * 2).min(RESTART_MS_MAX);
        let (_, _, next, _) = placed.expect("it begins anew");
        assert_eq!(next, Epoch(epoch + 1));
        world.tell(Event::ResCreateScene { scene, epoch: next, result: Ok(()) });
    }
    let told = world.tell(crashed(scene, 10));
    assert_eq!(shorts(&told), ["SceneService ReqDestroyScene"]);
    let told = world.tell(Event::ResDestroyScene { scene, epoch: Epoch(10), kept: false });
    assert_eq!(shorts(&told), ["Lobby SynSceneEnded", "Lobby SynSceneEnded"], "now its users are told");
}

#[test]
fn failures_that_are_long_ago_do_not_count() {
    let (mut world, scene) = running(Fleet { crashes_max: 1, ..fleet() });
    for epoch in 1..=3 {
        world.tell(crashed(scene, epoch));
        let (_, placed) = anew(&mut world);
        let (_, _, next, _) = placed.expect("it begins anew");
        world.tell(Event::ResCreateScene { scene, epoch: next, result: Ok(()) });
        world.tell(Event::SynUserJoined { scene, epoch: next, seat: 0 });
        world.pass_ms(CRASHES_WITHIN_MS);
    }
    world.tell(crashed(scene, 4));
    anew(&mut world);
    assert_eq!(world.service.state_name(scene), "Placing");
    world.tell(crashed(scene, 5));
    assert_eq!(world.service.state_name(scene), "Stopping");
}

#[test]
fn a_fleet_may_want_that_it_ends() {
    let (mut world, scene) = running(Fleet { on_crash: OnCrash::End, ..fleet() });
    world.tell(crashed(scene, 1));
    assert_eq!(world.service.state_name(scene), "Stopping");
}

#[test]
fn what_runs_on_a_node_that_is_gone_begins_anew_on_another() {
    let (mut world, scene) = running(fleet());
    world.tell(Event::NodeUp {
        node: NODES[1],
        url: "/v1/other".to_owned(),
        capacity: Capacity::scenes(2),
        idle: None,
        region: None,
    });
    world.tell(Event::NodeDown { node: NODES[0] });
    let (_, placed) = anew(&mut world);
    let (node, _, epoch, _) = placed.expect("there is another node");
    assert_eq!(node, NODES[1]);
    let told = world.tell(Event::ResCreateScene { scene, epoch, result: Ok(()) });
    assert!(entries(&told).iter().all(|(_, entry)| entry.url == format!("/v1/other/{scene}")), "{told:?}");
}

#[test]
fn without_a_node_it_is_tried_again_and_then_given_up() {
    let (mut world, scene) = running(fleet());
    world.tell(Event::NodeDown { node: NODES[0] });
    world.pass_ms(60_000);
    assert_eq!(world.service.state_name(scene), "Stopped");
    assert_eq!(world.service.scenes_live(), 0);
}

#[test]
fn a_next_life_that_does_not_come_is_one_more_failure() {
    let (mut world, scene) = running(fleet());
    world.tell(crashed(scene, 1));
    let (_, placed) = anew(&mut world);
    let (_, _, epoch, _) = placed.expect("it begins anew");
    world.tell(Event::ResCreateScene { scene, epoch, result: Err(Refusal::Overloaded("scenes".into())) });
    assert_eq!(world.service.state_name(scene), "Restarting");
    let (_, placed) = anew(&mut world);
    assert_eq!(placed.map(|(_, _, epoch, _)| epoch), Some(Epoch(3)));
    // The node is silent.
    anew(&mut world);
    assert_eq!(world.service.state_name(scene), "Placing");
    world.pass_ms(120_000);
    assert_eq!(world.service.state_name(scene), "Stopped");
    assert_eq!(world.service.slots(NODES[0]), Some((0, 2)));
}

#[test]
fn who_asks_for_the_way_back_meanwhile_hears_that_it_begins_anew() {
    let (mut world, scene) = running(fleet());
    world.tell(crashed(scene, 1));
    let rejoin = |world: &mut World<SceneMaster>| shorts(&world.tell(Event::ReqRejoin { user: UserId(10), scene }));
    assert_eq!(rejoin(&mut world), ["Lobby ResRejoin ✗Restarting"]);
    let (_, placed) = anew(&mut world);
    assert_eq!(rejoin(&mut world), ["Lobby ResRejoin ✗Restarting"]);
    let (_, _, epoch, _) = placed.expect("it begins anew");
    world.tell(Event::ResCreateScene { scene, epoch, result: Ok(()) });
    assert_eq!(rejoin(&mut world), ["SceneService ReqAddToken"]);
}

#[test]
fn who_has_left_or_may_not_play_any_more_has_no_way_into_the_next_life() {
    let (mut world, scene) = running(fleet());
    world.tell(Event::SynUserLeft { scene, epoch: Epoch(1), seat: 0, reason: EndReason::Left });
    world.tell(crashed(scene, 1));
    let (_, placed) = anew(&mut world);
    let (_, _, epoch, seats) = placed.expect("one is still there");
    assert_eq!(seats[0].until, world.now, "the seat of who has left is given up at once");
    let told = world.tell(Event::ResCreateScene { scene, epoch, result: Ok(()) });
    assert_eq!(entries(&told).iter().map(|(user, _)| *user).collect::<Vec<_>>(), [11]);

    world.tell(crashed(scene, 2));
    let told = world.tell(Event::ReqRemoveUser { user: UserId(11) });
    assert_eq!(shorts(&told), ["Lobby SynSceneEnded"]);
    let told = world.pass_ms(60_000);
    assert_eq!(placed_at_all(&told), 0, "there is nobody to begin for");
    assert_eq!(world.service.state_name(scene), "Stopped");
}

fn placed_at_all(messages: &[Message]) -> usize {
    messages.iter().filter(|message| placed(std::slice::from_ref(*message)).is_some()).count()
}

#[test]
fn a_host_that_stops_begins_nothing_anew() {
    let (mut world, scene) = running(fleet());
    world.tell(crashed(scene, 1));
    world.tell(Event::Stopping);
    assert_eq!(world.service.state_name(scene), "Stopping");
    let told = world.tell(Event::ResDestroyScene { scene, epoch: Epoch(2), kept: false });
    assert_eq!(shorts(&told), ["Lobby SynSceneEnded", "Lobby SynSceneEnded"]);
    assert_eq!(world.service.slots(NODES[0]), Some((0, 2)), "a slot that it did not have is not given back");
}

#[test]
fn while_nothing_can_be_written_the_next_life_waits() {
    let (mut world, scene) = running(fleet());
    world.tell(crashed(scene, 1));
    world.tell(Event::Service { service: ServiceName::Db, up: false });
    world.pass_ms(1_000);
    assert_eq!(world.service.state_name(scene), "Restarting");
    world.tell(Event::Service { service: ServiceName::Db, up: true });
    let (_, placed) = anew(&mut world);
    assert!(placed.is_some());
}

/// The SceneMaster of the host's next run, which finds the scene's record, and its node.
fn after_a_restart_of_the_host(fleet: Fleet) -> (World<SceneMaster>, SceneId, Effects) {
    let (mut world, scene) = allocated(fleet.clone());
    let record = record_of(&world.step(Event::SynUserJoined { scene, epoch: Epoch(1), seat: 0 }));
    let mut next = World::new(SceneMaster::new(BTreeMap::from([(FleetName::from("gomoku"), fleet)])));
    let effects = next.step(Event::Recovered { scenes: vec![(scene, record)], finished: Vec::new() });
    next.tell(Event::NodeUp {
        node: NODES[0],
        url: "/v1/scene".to_owned(),
        capacity: Capacity::scenes(2),
        idle: None,
        region: None,
    });
    (next, scene, effects)
}

#[test]
fn a_scene_with_a_journal_goes_on_at_the_next_start_of_its_host() {
    for keep in [Keep::Recovery, Keep::Full] {
        let fleet = Fleet { journal: Journal { keep, ..Journal::default() }, ..fleet() };
        let (mut world, scene, effects) = after_a_restart_of_the_host(fleet);
        let record = record_of(&effects);
        assert_eq!((record.state.as_str(), record.epoch), ("Restarting", Epoch(2)));
        let (after_ms, placed) = anew(&mut world);
        assert!(after_ms <= GO_ON_MS, "its game has not failed, so it does not wait: {after_ms}");
        let (node, same, epoch, seats) = placed.expect("it is placed");
        assert_eq!((node, same, epoch), (NODES[0], scene, Epoch(2)));
        assert_eq!(seats.iter().map(|seat| seat.player.user.0).collect::<Vec<_>>(), [10, 11]);
        assert_eq!(world.service.slots(NODES[0]), Some((1, 2)));
        let told = world.tell(Event::ResCreateScene { scene, epoch, result: Ok(()) });
        assert_eq!(entries(&told).len(), 2, "each is told a way in");
    }
}

#[test]
fn a_scene_without_a_journal_is_no_more_at_the_next_start_of_its_host() {
    let with_end =
        Fleet { on_crash: OnCrash::End, journal: Journal { keep: Keep::Full, ..Journal::default() }, ..fleet() };
    for fleet in [fleet(), with_end] {
        let (mut world, scene, effects) = after_a_restart_of_the_host(fleet);
        assert_eq!(effects.writes, [Write::Delete { key: record::scene_key(scene) }]);
        assert_eq!(anew(&mut world).1, None);
    }
}
