//! Users who join a running game of their own accord: what SceneMaster gives, and what the scene makes of it.

use std::collections::{BTreeMap, BTreeSet};

use scenehost_core::config::{Fleet, PLAYERS_MAX};
use scenehost_core::message::{EndReason, Entry};
use scenehost_core::scene_master::{
    Ask, Capacity, Event, Joiner, LATE_MS, Matched, Order, RESTART_MS, SceneMaster, TOKEN_MS_MAX,
};
use scenehost_core::scene_service::{self, SeatGrant};
use scenehost_core::{Epoch, FleetName, MatchId, Message, NodeId, Refusal, SceneId, ServiceName, UserId, lobby};

use crate::table::short;
use crate::world::World;

const NODE: NodeId = NodeId(1);
const TOKEN_MS: u64 = 30_000;
/// The lobby's number of what user 20 asks for.
const NUMBER: u64 = 20;

fn fleet() -> Fleet {
    Fleet { join_in_progress: true, seats_max: 4, token_ms: TOKEN_MS, ..Fleet::default() }
}

/// A game of user 10 in team 0 and user 11 in team 1, both inside.
fn running(fleet: Fleet) -> (World<SceneMaster>, SceneId) {
    let mut world = World::new(SceneMaster::new(BTreeMap::from([(FleetName::from("arena"), fleet)])));
    let capacity = Capacity::scenes(10);
    world.tell(Event::NodeUp { node: NODE, url: "/v1/scene".to_owned(), capacity, idle: None, region: None });
    let player = |user| Matched {
        user: UserId(user),
        name: "Ada".to_owned(),
        rating: 1500,
        team: user as u32 - 10,
        role: None,
        party: 0,
    };
    let told = world.tell(Event::ReqCreateScene {
        match_id: MatchId(50),
        domain: "arena".into(),
        fleet: "arena".into(),
        players: [10, 11].map(player).to_vec(),
        choices: Vec::new(),
        region: None,
        bots: 0,
    });
    let scene = told.iter().find_map(|message| match message {
        Message::SceneService(_, scene_service::Event::ReqCreateScene { scene, .. }) => Some(*scene),
        _ => None,
    });
    let scene = scene.expect("there is room");
    world.tell(Event::ResCreateScene { scene, epoch: Epoch(1), result: Ok(()) });
    for seat in [0, 1] {
        world.tell(Event::SynUserJoined { scene, epoch: Epoch(1), seat });
    }
    (world, scene)
}

pub fn req_join(scene: SceneId, user: u64) -> Event {
    let joiner = Joiner {
        user: UserId(user),
        name: "Eve".to_owned(),
        ratings: BTreeMap::from([("arena".into(), 1700)]),
        blocked: BTreeSet::new(),
    };
    Event::ReqJoinInProgress { number: user, scene, joiner: Box::new(joiner) }
}

fn res_add(scene: SceneId, seat: u32, result: Result<(), Refusal>) -> Event {
    Event::ResAddSeat { scene, epoch: Epoch(1), seat, result }
}

fn left(scene: SceneId, seat: u32) -> Event {
    Event::SynUserLeft { scene, epoch: Epoch(1), seat, reason: EndReason::Left }
}

/// The seats that a scene is told to have.
fn added(told: &[Message]) -> Vec<SeatGrant> {
    let added = told.iter().find_map(|message| match message {
        Message::SceneService(NODE, scene_service::Event::ReqAddSeats { seats, .. }) => Some(seats.clone()),
        _ => None,
    });
    added.unwrap_or_default()
}

/// What the user is answered.
fn answer(told: &[Message], user: u64) -> Option<Result<Entry, Refusal>> {
    told.iter().find_map(|message| match message {
        Message::Lobby(lobby::Event::ResJoinInProgress { user: UserId(it), number, result })
            if *it == user && *number == user =>
        {
            Some(result.clone())
        }
        _ => None,
    })
}

fn shorts(told: &[Message]) -> Vec<String> {
    told.iter().map(short).collect()
}

/// The same, with user 20 on the way in.
fn with_newcomer() -> (World<SceneMaster>, SceneId) {
    let (mut world, scene) = running(fleet());
    world.tell(req_join(scene, 20));
    world.tell(res_add(scene, 2, Ok(())));
    (world, scene)
}

#[test]
fn a_user_gets_the_next_seat_and_the_way_in_once_the_scene_has_it() {
    let (mut world, scene) = running(fleet());
    let told = world.tell(req_join(scene, 20));
    let grants = added(&told);
    let [SeatGrant { player, token, until }] = &grants[..] else { panic!("{told:?}") };
    assert_eq!((player.seat, player.user, player.rating, player.team), (2, UserId(20), 1700, 0));
    assert_eq!(*until, world.now.plus_ms(TOKEN_MS_MAX + TOKEN_MS));
    assert_eq!(answer(&told, NUMBER), None, "not before the scene has the seat");
    let told = world.tell(res_add(scene, 2, Ok(())));
    let entry = answer(&told, NUMBER).unwrap().unwrap();
    assert_eq!((entry.scene, &*entry.url), (scene, &*format!("/v1/scene/{scene}")));
    assert_eq!(entry.secret.hash(), *token);
    assert_eq!(shorts(&world.tell(res_add(scene, 2, Ok(())))), [] as [&str; 0], "answered once");
    world.tell(Event::SynUserJoined { scene, epoch: Epoch(1), seat: 2 });
    assert_eq!(shorts(&world.pass_ms(TOKEN_MS_MAX + TOKEN_MS + LATE_MS)), [] as [&str; 0], "the seat is the user's");
}

#[test]
fn newcomers_go_where_the_fewest_are() {
    let (mut world, scene) = running(fleet());
    world.tell(left(scene, 0));
    let team = |told: &[Message]| added(told).last().map(|grant| grant.player.team);
    assert_eq!(team(&world.tell(req_join(scene, 20))), Some(0));
    assert_eq!(team(&world.tell(req_join(scene, 21))), Some(0));
    assert_eq!(team(&world.tell(req_join(scene, 22))), Some(1));
}

#[test]
fn who_may_not_join_is_told_why() {
    let check = |fleet: Fleet, arrange: fn(&mut World<SceneMaster>, SceneId), event: fn(SceneId) -> Event, expected| {
        let (mut world, scene) = running(fleet);
        arrange(&mut world, scene);
        let told = world.tell(event(scene));
        let refusal = answer(&told, NUMBER).expect("answered at once").unwrap_err();
        assert_eq!(crate::table::variant(&refusal), expected, "{refusal}");
        assert_eq!(added(&told), []);
    };
    let nothing = |_: &mut World<SceneMaster>, _| {};
    let join = |scene| req_join(scene, 20);
    check(Fleet { seats_max: 2, ..fleet() }, nothing, join, "SceneFull");
    check(Fleet::default(), nothing, join, "Forbidden");
    check(fleet(), nothing, |_| req_join(SceneId(1), 20), "NotFound");
    check(fleet(), |world, scene| _ = world.tell(req_join(scene, 20)), join, "Busy");
    check(fleet(), |world, _| _ = world.tell(Event::Stopping), join, "Stopping");
    let db_down = |world: &mut World<SceneMaster>, _| {
        world.tell(Event::Service { service: ServiceName::Db, up: false });
    };
    check(fleet(), db_down, join, "ServiceDown");
    let finish = |world: &mut World<SceneMaster>, scene| {
        world.tell(Event::ReqAskDestroyScene { scene, epoch: Epoch(1), ask: Ask::Finished(Vec::new()) });
    };
    check(fleet(), finish, join, "SceneEnded");
    let crash = |world: &mut World<SceneMaster>, scene| {
        world.tell(Event::ReqAskDestroyScene { scene, epoch: Epoch(1), ask: Ask::Crashed("trap".to_owned()) });
    };
    check(fleet(), crash, join, "Restarting");
    let drain = |world: &mut World<SceneMaster>, _| {
        world.tell(Event::ReqOperator { number: 1, order: Order::DrainNode { node: NODE, exits: false } });
    };
    check(fleet(), drain, join, "SceneEnded");
    let gave_up = |world: &mut World<SceneMaster>, scene| {
        world.tell(req_join(scene, 20));
        world.tell(res_add(scene, 2, Ok(())));
        world.tell(left(scene, 2));
    };
    check(fleet(), gave_up, join, "Forbidden");
    let blocks = |scene| {
        let joiner = Joiner {
            user: UserId(20),
            name: String::new(),
            ratings: BTreeMap::new(),
            blocked: BTreeSet::from([UserId(11)]),
        };
        Event::ReqJoinInProgress { number: NUMBER, scene, joiner: Box::new(joiner) }
    };
    check(fleet(), nothing, blocks, "Forbidden");
}

#[test]
fn a_seat_on_the_way_counts_and_blocks_the_end_of_a_game_that_is_only_empty() {
    let (mut world, scene) = running(Fleet { seats_max: 3, ..fleet() });
    world.tell(req_join(scene, 20));
    assert_eq!(answer(&world.tell(req_join(scene, 21)), 21).map(|it| it.is_err()), Some(true), "all are taken");
    world.tell(left(scene, 0));
    world.tell(left(scene, 1));
    let ask = Event::ReqAskDestroyScene { scene, epoch: Epoch(1), ask: Ask::Empty };
    assert_eq!(shorts(&world.tell(ask)), [] as [&str; 0]);
    assert_eq!(world.service.state_name(scene), "Running");
}

#[test]
fn a_seat_that_the_scene_refuses_is_taken_back_and_the_user_is_free() {
    let (mut world, scene) = running(fleet());
    world.tell(req_join(scene, 20));
    let told = world.tell(res_add(scene, 2, Err(Refusal::SceneEnded)));
    assert_eq!(answer(&told, NUMBER), Some(Err(Refusal::SceneEnded)));
    let other = world.tell(req_join(SceneId(1), 20));
    assert!(matches!(answer(&other, NUMBER), Some(Err(Refusal::NotFound(_)))), "not in a game any more");
}

#[test]
fn a_scene_that_says_nothing_is_told_to_forget_the_seat_and_names_it_again_with_the_next() {
    let (mut world, scene) = running(fleet());
    world.tell(req_join(scene, 20));
    let told = world.pass_ms(TOKEN_MS_MAX);
    assert_eq!(shorts(&told), ["SceneService ReqRemoveUser", "Lobby ResJoinInProgress ✗TimedOut"]);
    assert!(matches!(answer(&told, NUMBER), Some(Err(Refusal::TimedOut(_)))));
    // The scene may not have heard of seat 2. Its number stays taken, and nobody gets in by it.
    let grants = added(&world.tell(req_join(scene, 21)));
    assert_eq!(grants.iter().map(|grant| grant.player.seat).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(grants[0].until, world.now);
    world.tell(res_add(scene, 3, Ok(())));
    let grants = added(&world.tell(req_join(scene, 22)));
    assert_eq!(grants.iter().map(|grant| grant.player.seat).collect::<Vec<_>>(), [4], "both are known to be there");
}

#[test]
fn a_seat_whose_user_does_not_come_is_taken_back_also_if_the_scene_does_not_say_it() {
    let (mut world, scene) = with_newcomer();
    let told = world.pass_ms(TOKEN_MS_MAX + TOKEN_MS + LATE_MS);
    assert_eq!(shorts(&told), ["SceneService ReqRemoveUser", "Lobby SynSceneEnded"]);
    // Who comes in all the same has to go: the user may be elsewhere.
    let late = world.tell(Event::SynUserJoined { scene, epoch: Epoch(1), seat: 2 });
    assert_eq!(shorts(&late), ["SceneService ReqRemoveUser"]);
}

#[test]
fn a_newcomer_with_another_way_in_has_its_time() {
    let (mut world, scene) = with_newcomer();
    world.pass_ms(TOKEN_MS_MAX + TOKEN_MS - 1_000);
    world.tell(Event::ReqRejoin { user: UserId(20), scene });
    world.tell(Event::ResAddToken { scene, epoch: Epoch(1), seat: 2, result: Ok(()) });
    assert_eq!(shorts(&world.pass_ms(TOKEN_MS)), [] as [&str; 0]);
    assert_eq!(shorts(&world.pass_ms(LATE_MS)), ["SceneService ReqRemoveUser", "Lobby SynSceneEnded"]);
}

#[test]
fn a_game_that_ends_or_begins_anew_while_somebody_is_on_the_way_says_so() {
    for (ask, expected) in
        [(Ask::Finished(Vec::new()), Refusal::SceneEnded), (Ask::Crashed("trap".to_owned()), Refusal::Restarting)]
    {
        let (mut world, scene) = running(fleet());
        world.tell(req_join(scene, 20));
        let told = world.tell(Event::ReqAskDestroyScene { scene, epoch: Epoch(1), ask });
        assert_eq!(answer(&told, NUMBER), Some(Err(expected)));
        assert_eq!(shorts(&world.tell(res_add(scene, 2, Ok(())))), [] as [&str; 0]);
    }
}

#[test]
fn who_joined_in_progress_plays_on_when_the_game_begins_anew() {
    let (mut world, scene) = with_newcomer();
    world.tell(Event::SynUserJoined { scene, epoch: Epoch(1), seat: 2 });
    world.tell(Event::ReqAskDestroyScene { scene, epoch: Epoch(1), ask: Ask::Crashed("trap".to_owned()) });
    let told = world.pass_ms(2 * RESTART_MS);
    let seats = told.iter().find_map(|message| match message {
        Message::SceneService(_, scene_service::Event::ReqCreateScene { seats, .. }) => Some(seats.len()),
        _ => None,
    });
    assert_eq!(seats, Some(3));
    let told = world.tell(Event::ResCreateScene { scene, epoch: Epoch(2), result: Ok(()) });
    assert_eq!(shorts(&told), ["Lobby SynSceneRestarted"; 3]);
}

#[test]
fn an_operator_removes_a_user_from_the_game() {
    let (mut world, scene) = with_newcomer();
    let kick = |user| Order::Kick { scene, user: UserId(user), text: "a foul".to_owned() };
    let told = world.tell(Event::ReqOperator { number: 9, order: kick(20) });
    assert_eq!(shorts(&told), ["SceneService ReqRemoveUser", "Operator"]);
    let reason = EndReason::Kicked("a foul".to_owned());
    let removed = scene_service::Event::ReqRemoveUser { scene, epoch: Epoch(1), seat: 2, reason };
    assert_eq!(told[0], Message::SceneService(NODE, removed));
    let unknown = world.tell(Event::ReqOperator { number: 9, order: kick(21) });
    assert!(matches!(&unknown[..], [Message::Operator(9, Err(Refusal::NotFound(_)))]), "{unknown:?}");
}

#[test]
fn the_fleet_says_how_many_there_may_be() {
    let check = |fleet: Fleet, expected: &str| {
        let text = fleet.check().unwrap_err();
        assert!(text.contains(expected), "{text}");
    };
    check(Fleet { join_in_progress: true, ..Fleet::default() }, "seats_max");
    check(Fleet { seats_max: PLAYERS_MAX + 1, ..fleet() }, "seats_max");
    check(Fleet { seats_max: 3, ..Fleet::default() }, "join_in_progress");
    check(Fleet { spectators_max: 10_001, ..fleet() }, "spectators_max");
    check(Fleet { spectator_delay_ms: 600_001, ..fleet() }, "spectator_delay_ms");
    assert_eq!(fleet().check(), Ok(()));
}
