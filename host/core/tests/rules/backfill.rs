//! Running games that look for players: the lease with Match, the seats that Match fills, and users who are sent on to
//! their next match.

use std::collections::BTreeMap;

use scenehost_core::config::Fleet;
use scenehost_core::matching::backfill::{FILL_MS_MAX, HEARTBEAT_MS, Lease, Opening};
use scenehost_core::message::{EndReason, Entry};
use scenehost_core::scene_master::{Ask, Capacity, Event, LATE_MS, Matched, Misbehaviour, Order, SceneMaster};
use scenehost_core::scene_service::{self, SeatGrant};
use scenehost_core::{
    Epoch, FleetName, MatchId, Message, NodeId, Reading, Refusal, SceneId, Service, ServiceName, Time, UserId, lobby,
    matching,
};

use crate::table::variant;
use crate::world::World;

const NODE: NodeId = NodeId(1);
const TOKEN_MS: u64 = 30_000;
const EPOCH: Epoch = Epoch(1);
const MATCH: MatchId = MatchId(60);

type Answer = Result<Vec<(UserId, Entry)>, Refusal>;

fn player(user: u64, team: u32, party: u32) -> Matched {
    Matched { user: UserId(user), name: "Eve".to_owned(), rating: 1_600, team, role: None, party }
}

/// A game of user 10 in team 0 and user 11 in team 1, both inside.
fn running(fleet: Fleet) -> (World<SceneMaster>, SceneId) {
    let mut world = World::new(SceneMaster::new(BTreeMap::from([(FleetName::from("arena"), fleet)])));
    let (url, capacity, region) = ("/v1/scene".to_owned(), Capacity::scenes(10), Some("eu".to_owned()));
    world.tell(Event::NodeUp { node: NODE, url, capacity, idle: None, region });
    let told = world.tell(Event::ReqCreateScene {
        match_id: MatchId(50),
        domain: "arena".into(),
        fleet: "arena".into(),
        players: vec![player(10, 0, 4), player(11, 1, 5)],
        choices: Vec::new(),
        region: None,
        bots: 0,
    });
    let scene = told.iter().find_map(|message| match message {
        Message::SceneService(_, scene_service::Event::ReqCreateScene { scene, .. }) => Some(*scene),
        _ => None,
    });
    let scene = scene.expect("there is room");
    world.tell(Event::ResCreateScene { scene, epoch: EPOCH, result: Ok(()) });
    for seat in [0, 1] {
        world.tell(Event::SynUserJoined { scene, epoch: EPOCH, seat });
    }
    (world, scene)
}

fn fleet() -> Fleet {
    Fleet { token_ms: TOKEN_MS, ..Fleet::default() }
}

fn any(count: u32) -> Opening {
    Opening { count, team: None, role: None }
}

fn of_team(count: u32, team: u32) -> Opening {
    Opening { team: Some(team), ..any(count) }
}

fn seek(scene: SceneId, number: u64, openings: &[Opening]) -> Event {
    Event::SynSeekPlayers { scene, epoch: EPOCH, number, openings: openings.to_vec() }
}

/// What Match is told of a search: the lease, what is open, for whom nobody may come who is blocked, and since when.
fn sought(told: &[Message]) -> Option<(Lease, Vec<Opening>, Vec<u64>, Time)> {
    told.iter().rev().find_map(|message| match message {
        Message::Match(domain, matching::Event::ReqBackfill { lease, openings, region, players, since, .. }) => {
            assert_eq!((domain.as_str(), region.as_deref()), ("arena", Some("eu")));
            Some((*lease, openings.clone(), players.iter().map(|user| user.0).collect(), *since))
        }
        _ => None,
    })
}

fn ended(told: &[Message]) -> Option<Lease> {
    told.iter().find_map(|message| match message {
        Message::Match(_, matching::Event::SynBackfillEnded { lease }) => Some(*lease),
        _ => None,
    })
}

/// A game that seeks these, and its lease.
fn seeking(fleet: Fleet, openings: &[Opening]) -> (World<SceneMaster>, SceneId, Lease) {
    let (mut world, scene) = running(fleet);
    let (lease, ..) = sought(&world.tell(seek(scene, 1, openings))).expect("Match hears of it");
    (world, scene, lease)
}

fn fill(lease: Lease, players: Vec<Matched>) -> Event {
    Event::ReqFillSeats { match_id: MATCH, domain: "arena".into(), lease, players }
}

fn added(told: &[Message]) -> Vec<SeatGrant> {
    let added = told.iter().find_map(|message| match message {
        Message::SceneService(NODE, scene_service::Event::ReqAddSeats { seats, .. }) => Some(seats.clone()),
        _ => None,
    });
    added.unwrap_or_default()
}

fn res_add(scene: SceneId, seat: u32) -> Event {
    Event::ResAddSeat { scene, epoch: EPOCH, seat, result: Ok(()) }
}

fn answer(told: &[Message]) -> Option<Answer> {
    told.iter().find_map(|message| match message {
        Message::Match(_, matching::Event::ResCreateScene { match_id: MATCH, result }) => Some(result.clone()),
        _ => None,
    })
}

fn removed(told: &[Message]) -> Vec<u32> {
    let removed = told.iter().filter_map(|message| match message {
        Message::SceneService(_, scene_service::Event::ReqRemoveUser { seat, .. }) => Some(*seat),
        _ => None,
    });
    removed.collect()
}

fn meter(world: &World<SceneMaster>, name: &str) -> u64 {
    let meters = world.service.meters();
    let meter = meters.iter().find(|meter| meter.name == name).expect(name);
    match meter.value {
        Reading::Now(value) | Reading::Total(value) => value,
    }
}

#[test]
fn a_search_is_said_to_match_again_and_again_until_it_ends() {
    let (mut world, scene) = running(fleet());
    let effects = world.step(seek(scene, 1, &[any(2)]));
    assert!(!effects.writes.is_empty(), "the generation is written before Match hears of it");
    let (lease, openings, players, since) = sought(&effects.messages).unwrap();
    assert_eq!((lease.generation, &openings[..], &players[..], since), (1, &[any(2)][..], &[10, 11][..], world.now));
    assert_eq!(sought(&world.pass_ms(HEARTBEAT_MS)), Some((lease, openings, players, since)));
    assert_eq!(world.tell(seek(scene, 1, &[any(2)])), [], "it was said before");
    assert_eq!(meter(&world, "scenehost_backfill_leases"), 1);
    assert_eq!(ended(&world.tell(seek(scene, 2, &[]))), Some(lease));
    assert_eq!(world.pass_ms(2 * HEARTBEAT_MS), []);
    assert_eq!(meter(&world, "scenehost_backfill_leases"), 0);
}

#[test]
fn the_next_handler_of_a_domain_hears_of_its_searches_at_once() {
    let (mut world, _, lease) = seeking(fleet(), &[any(2)]);
    let handler = |domain: &str, up| Event::Handler { domain: domain.into(), up };
    assert_eq!(world.tell(handler("duel", true)), [], "they are none of its");
    assert_eq!(world.tell(handler("arena", false)), []);
    let (again, openings, ..) = sought(&world.tell(handler("arena", true))).expect("it hears of them");
    assert_eq!((again, openings), (lease, vec![any(2)]));
}

#[test]
fn a_new_search_takes_the_place_of_the_one_before_and_keeps_its_age() {
    let (mut world, scene, lease) = seeking(fleet(), &[any(2)]);
    let since = world.now;
    world.pass_ms(500);
    let told = world.tell(seek(scene, 2, &[of_team(1, 1)]));
    let (newer, openings, _, begun) = sought(&told).unwrap();
    assert_eq!((newer, openings, begun), (Lease { generation: 2, ..lease }, vec![of_team(1, 1)], since));
    assert_eq!(ended(&told), None, "the newer one says it");
    let told = world.tell(fill(lease, vec![player(20, 1, 0)]));
    assert_eq!(
        answer(&told).unwrap().unwrap_err(),
        Refusal::Conflict("this game looks for no players any more, or for others".into())
    );
}

#[test]
fn match_fills_the_seats_and_is_answered_once_the_scene_has_them() {
    let (mut world, scene, lease) = seeking(fleet(), &[of_team(1, 1), any(2)]);
    world.pass_ms(1_500);
    let effects = world.step(fill(lease, vec![player(20, 1, 7), player(21, 9, 8), player(22, 9, 8)]));
    assert!(!effects.writes.is_empty(), "the seats are written before anybody hears of them");
    let grants = added(&effects.messages);
    let seats: Vec<_> =
        grants.iter().map(|it| (it.player.seat, it.player.user.0, it.player.team, it.player.party)).collect();
    // Who says no team gets the smallest one, with the party; parties are told apart from those that are there.
    assert_eq!(seats, [(2, 20, 1, 6), (3, 21, 0, 7), (4, 22, 0, 7)]);
    assert_eq!(answer(&effects.messages), None, "not before the scene has the seats");
    assert_eq!(ended(&effects.messages), Some(lease), "all places are taken");
    let entries = answer(&world.tell(res_add(scene, 4))).unwrap().unwrap();
    let secrets: Vec<_> = entries.iter().map(|(user, entry)| (user.0, entry.secret.hash())).collect();
    assert_eq!(secrets, [(20, grants[0].token), (21, grants[1].token), (22, grants[2].token)]);
    assert_eq!(meter(&world, "scenehost_backfill_seats_filled_total"), 3);
    assert_eq!(meter(&world, "scenehost_backfill_milliseconds_sum"), 4_500);
    world.tell(Event::SynUserJoined { scene, epoch: EPOCH, seat: 2 });
    assert_eq!(world.tell(res_add(scene, 4)), [], "answered once");
}

#[test]
fn match_hears_what_is_open_once_it_is_answered() {
    let (mut world, scene, lease) = seeking(fleet(), &[any(3)]);
    let told = world.tell(fill(lease, vec![player(20, 0, 0)]));
    assert_eq!(sought(&told).map(|(same, openings, ..)| (same, openings)), Some((lease, vec![any(2)])));
    let told = world.tell(res_add(scene, 2));
    let [Message::Match(_, matching::Event::ResCreateScene { .. }), Message::Match(_, wanted)] = &told[..] else {
        panic!("{told:?}")
    };
    assert!(matches!(wanted, matching::Event::ReqBackfill { .. }), "{wanted:?}");
}

#[test]
fn a_request_that_comes_again_seats_nobody_again() {
    let (mut world, scene, lease) = seeking(fleet(), &[any(3)]);
    let request = || fill(lease, vec![player(20, 0, 0)]);
    world.tell(request());
    assert_eq!(world.tell(request()), [], "the answer is on its way");
    let first = answer(&world.tell(res_add(scene, 2))).unwrap().unwrap();
    let told = world.tell(request());
    assert_eq!(answer(&told), Some(Ok(first)));
    assert_eq!(added(&told), []);
    world.tell(Event::SynUserJoined { scene, epoch: EPOCH, seat: 2 });
    world.tell(Event::SynUserLeft { scene, epoch: EPOCH, seat: 2, reason: EndReason::Left });
    assert_eq!(answer(&world.tell(request())), Some(Ok(Vec::new())), "who has left is not seated again");
    let other =
        Event::ReqFillSeats { match_id: MatchId(61), domain: "arena".into(), lease, players: vec![player(20, 0, 0)] };
    assert_eq!(added(&world.tell(other)), [], "nor by another match");
}

#[test]
fn who_does_not_fit_is_refused_with_all_of_the_match() {
    let check =
        |openings: &[Opening], change: fn(&mut World<SceneMaster>, SceneId), players: Vec<Matched>, expected| {
            let (mut world, scene, lease) = seeking(fleet(), openings);
            change(&mut world, scene);
            let told = world.tell(fill(lease, players));
            assert_eq!(variant(&answer(&told).expect("answered at once").unwrap_err()), expected);
            assert_eq!(added(&told), []);
            assert_eq!(meter(&world, "scenehost_backfill_refused_total"), 1);
        };
    let nothing = |_: &mut World<SceneMaster>, _| {};
    check(&[any(1)], nothing, vec![player(20, 0, 0), player(21, 0, 0)], "SceneFull");
    check(&[of_team(2, 1)], nothing, vec![player(20, 1, 0), player(21, 0, 0)], "SceneFull");
    check(&[Opening { role: Some("tank".to_owned()), ..any(1) }], nothing, vec![player(20, 0, 0)], "SceneFull");
    check(&[any(2)], nothing, vec![player(20, 0, 0), player(20, 0, 0)], "Invalid");
    check(&[any(2)], nothing, Vec::new(), "Invalid");
    check(&[any(2)], nothing, vec![player(20, 0, 0), player(11, 0, 0)], "Forbidden");
    check(&[any(2)], |world, _| _ = world.tell(Event::Stopping), vec![player(20, 0, 0)], "Stopping");
    let db_down = |world: &mut World<SceneMaster>, _| {
        world.tell(Event::Service { service: ServiceName::Db, up: false });
    };
    check(&[any(2)], db_down, vec![player(20, 0, 0)], "ServiceDown");
    check(&[any(2)], |world, scene| _ = world.tell(seek(scene, 2, &[])), vec![player(20, 0, 0)], "Conflict");
}

#[test]
fn there_is_no_more_room_than_the_fleet_has_seats() {
    let with_seats = Fleet { join_in_progress: true, seats_max: 3, ..fleet() };
    let (mut world, scene) = running(with_seats);
    let (lease, openings, ..) = sought(&world.tell(seek(scene, 1, &[any(4)]))).unwrap();
    assert_eq!(openings, [any(1)]);
    // Who joins of their own accord takes the place.
    assert_eq!(ended(&world.tell(crate::joining::req_join(scene, 30))), Some(lease));
    world.tell(Event::ResAddSeat { scene, epoch: EPOCH, seat: 2, result: Ok(()) });
    world.tell(Event::SynUserJoined { scene, epoch: EPOCH, seat: 2 });
    let told = world.tell(Event::SynUserLeft { scene, epoch: EPOCH, seat: 0, reason: EndReason::Left });
    let (newer, openings, players, _) = sought(&told).expect("there is room again");
    assert_eq!((newer.generation, openings, players), (2, vec![any(1)], vec![10, 11, 30]));
}

#[test]
fn a_place_whose_user_does_not_come_is_open_again() {
    let (mut world, scene, lease) = seeking(fleet(), &[any(1)]);
    world.tell(fill(lease, vec![player(20, 0, 0)]));
    world.tell(res_add(scene, 2));
    // A search that is said meanwhile does not count who is on the way twice.
    assert_eq!(sought(&world.tell(seek(scene, 2, &[any(1)]))), None);
    let told = world.pass_ms(FILL_MS_MAX + TOKEN_MS + LATE_MS);
    let (again, openings, players, _) = sought(&told).expect("the place is open again");
    assert_eq!((again.generation, openings, players), (2, vec![any(1)], vec![10, 11]));
    assert_eq!(answer(&world.tell(fill(again, vec![player(21, 0, 0)]))), Some(Ok(Vec::new())), "that match is over");
    let told = world.tell(Event::ReqFillSeats {
        match_id: MatchId(61),
        domain: "arena".into(),
        lease: again,
        players: vec![player(20, 0, 0)],
    });
    assert_eq!(added(&told).last().map(|grant| grant.player.seat), Some(3), "who was never inside may try again");
}

#[test]
fn a_match_that_is_cancelled_or_that_the_scene_does_not_take_gives_its_seats_back() {
    let check = |end: fn(&mut World<SceneMaster>, SceneId) -> Vec<Message>, refused: Option<&str>| {
        let (mut world, scene, lease) = seeking(fleet(), &[any(2)]);
        world.tell(fill(lease, vec![player(20, 0, 0), player(21, 0, 0)]));
        let told = end(&mut world, scene);
        let refusal = answer(&told).map(|result| variant(&result.unwrap_err()));
        assert_eq!(refusal.as_deref(), refused);
        assert_eq!(removed(&told), [2, 3], "the scene may have them");
        assert_eq!(sought(&told).map(|(_, openings, ..)| openings), Some(vec![any(2)]));
        let not_told = |message: &Message| !matches!(message, Message::Lobby(_));
        assert!(told.iter().all(not_told), "nobody was told of the seats: {told:?}");
        let told = world.tell(Event::ReqRejoin { user: UserId(20), scene });
        assert!(matches!(&told[..], [Message::Lobby(lobby::Event::ResRejoin { result: Err(Refusal::NoSeat), .. })]));
    };
    check(|world, _| world.tell(Event::ReqCancelScene { match_id: MATCH }), None);
    check(|world, _| world.pass_ms(FILL_MS_MAX), Some("TimedOut"));
    let refuse = |world: &mut World<SceneMaster>, scene| {
        world.tell(Event::ResAddSeat { scene, epoch: EPOCH, seat: 3, result: Err(Refusal::SceneEnded) })
    };
    check(refuse, Some("SceneEnded"));
    let late = |world: &mut World<SceneMaster>, scene| {
        world.tell(res_add(scene, 3));
        world.tell(Event::ReqCancelScene { match_id: MATCH })
    };
    check(late, None);
}

#[test]
fn who_is_removed_before_the_match_is_answered_has_no_way_in() {
    let (mut world, scene, lease) = seeking(fleet(), &[any(2)]);
    world.tell(fill(lease, vec![player(20, 0, 0), player(21, 0, 0)]));
    world.tell(Event::ReqRemoveUser { user: UserId(20) });
    let reason = EndReason::AccountClosed;
    let told = world.tell(Event::SynUserLeft { scene, epoch: EPOCH, seat: 2, reason });
    assert_eq!(sought(&told).map(|(_, openings, ..)| openings), Some(vec![any(1)]), "the place is open again");
    let entries = answer(&world.tell(res_add(scene, 3))).unwrap().unwrap();
    assert_eq!(entries.iter().map(|(user, _)| user.0).collect::<Vec<_>>(), [21]);
}

#[test]
fn who_has_come_in_stays_when_the_match_is_cancelled() {
    let (mut world, scene, lease) = seeking(fleet(), &[any(2)]);
    world.tell(fill(lease, vec![player(20, 0, 0), player(21, 0, 0)]));
    world.tell(res_add(scene, 3));
    world.tell(Event::SynUserJoined { scene, epoch: EPOCH, seat: 2 });
    assert_eq!(removed(&world.tell(Event::ReqCancelScene { match_id: MATCH })), [3]);
}

#[test]
fn a_scene_that_ends_fails_is_drained_or_misbehaves_seeks_nobody() {
    let check = |event: fn(SceneId) -> Event| {
        let (mut world, scene, lease) = seeking(fleet(), &[any(2)]);
        let open = world.tell(fill(lease, vec![player(20, 0, 0)]));
        assert_eq!(answer(&open), None);
        let told = world.tell(event(scene));
        assert_eq!(ended(&told), Some(lease), "{told:?}");
        told
    };
    let refused = |told: &[Message]| answer(told).map(|result| variant(&result.unwrap_err()));
    let finish: fn(SceneId) -> Event =
        |scene| Event::ReqAskDestroyScene { scene, epoch: EPOCH, ask: Ask::Finished(Vec::new()) };
    assert_eq!(refused(&check(finish)).as_deref(), Some("SceneEnded"));
    let crash: fn(SceneId) -> Event =
        |scene| Event::ReqAskDestroyScene { scene, epoch: EPOCH, ask: Ask::Crashed("trap".to_owned()) };
    assert_eq!(refused(&check(crash)).as_deref(), Some("Restarting"));
    let drain: fn(SceneId) -> Event =
        |_| Event::ReqOperator { number: 1, order: Order::DrainNode { node: NODE, exits: false } };
    assert_eq!(refused(&check(drain)).as_deref(), Some("SceneEnded"));
    assert_eq!(refused(&check(|_| Event::NodeDown { node: NODE })).as_deref(), Some("Restarting"));
    let (mut world, scene, lease) = seeking(fleet(), &[any(2)]);
    let misbehaves = Event::SynMisbehaved { scene, epoch: EPOCH, kind: Misbehaviour::Slow };
    assert_eq!(ended(&world.tell(misbehaves)), Some(lease));
    let (again, ..) = sought(&world.pass_ms(60_000)).expect("it is well again");
    assert_eq!(again.generation, 2);
}

#[test]
fn without_the_store_nobody_is_sought() {
    let (mut world, _, lease) = seeking(fleet(), &[any(2)]);
    assert_eq!(ended(&world.tell(Event::Service { service: ServiceName::Db, up: false })), Some(lease));
    assert_eq!(sought(&world.pass_ms(HEARTBEAT_MS)), None);
    let (again, ..) = sought(&world.tell(Event::Service { service: ServiceName::Db, up: true })).unwrap();
    assert_eq!(again.generation, 2);
}

#[test]
fn the_scene_hears_of_seats_again_that_it_has_not_confirmed() {
    let (mut world, scene, lease) = seeking(fleet(), &[any(2)]);
    world.tell(fill(lease, vec![player(20, 0, 0)]));
    let second =
        Event::ReqFillSeats { match_id: MatchId(61), domain: "arena".into(), lease, players: vec![player(21, 0, 0)] };
    let seats: Vec<_> = added(&world.tell(second)).iter().map(|grant| grant.player.seat).collect();
    assert_eq!(seats, [2, 3]);
    let told = world.tell(res_add(scene, 3));
    assert!(answer(&told).is_some_and(|result| result.is_ok()), "who has the last seat has those before: {told:?}");
}

#[test]
fn users_who_are_sent_on_leave_and_look_for_their_next_match() {
    let (mut world, scene) = running(fleet());
    let (domain, together) = ("duel".into(), true);
    let told = world.tell(Event::SynMatchAgain { scene, epoch: EPOCH, seats: vec![1, 0, 7], domain, together });
    let to_lobby: Vec<_> = told
        .iter()
        .filter_map(|message| match message {
            Message::Lobby(lobby::Event::SynSceneEnded { user, ended, .. }) => {
                assert_eq!(ended.reason, EndReason::NextMatch);
                Some(vec![*user])
            }
            Message::Lobby(lobby::Event::SynSearchAgain { users, domain, together: true }) => {
                assert_eq!(domain.as_str(), "duel");
                Some(users.clone())
            }
            _ => None,
        })
        .collect();
    let (ada, bob) = (UserId(10), UserId(11));
    assert_eq!(to_lobby, [vec![bob], vec![ada], vec![bob, ada]], "first that they are free, then the search");
    assert_eq!(world.service.state_name(scene), "Empty");
    let again = Event::SynMatchAgain { scene, epoch: EPOCH, seats: vec![0, 1], domain: "duel".into(), together };
    assert_eq!(world.tell(again), [], "once");
}
