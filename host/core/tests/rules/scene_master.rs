//! SceneMaster: the life and death of scenes.

use std::collections::BTreeMap;

use scenehost_core::config::Fleet;
use scenehost_core::message::{EndReason, PlayerResult};
use scenehost_core::record::{self, SceneRecord};
use scenehost_core::results::Finished;
use scenehost_core::scene_master::{
    Answer, Ask, Capacity, Event, Matched, Misbehaviour, Offer, Order, PLACE_MS_MAX, RECORD_AGAIN_MS,
    RECORD_AGAIN_MS_MAX, RECORDING_MAX, RESTART_MS, STOP_MS_MAX, SceneMaster, TOMBSTONE_MS,
};
use scenehost_core::scene_service::{self, Life, Report, Reported, Round, SeatNow};
use scenehost_core::{
    AllocationId, Build, Effects, Epoch, FleetName, MatchId, Message, Meter, NodeId, Refusal, SceneId, Service,
    ServiceName, Time, UserId, Write,
};
use scenehost_core::{db, matching};

use crate::table::{self, short};
use crate::world::World;

const NODE: NodeId = NodeId(1);
const EPOCH: Epoch = Epoch(1);
const MATCH: MatchId = MatchId(50);

fn master(slots: u32) -> World<SceneMaster> {
    let fleet = Fleet { join_in_progress: true, seats_max: 4, spectators_max: 10, ..Fleet::default() };
    let fleets = BTreeMap::from([(FleetName::from("gomoku"), fleet)]);
    let mut world = World::new(SceneMaster::new(fleets));
    world.tell(Event::NodeUp {
        node: NODE,
        url: "/v1/scene".to_owned(),
        capacity: Capacity::scenes(slots),
        idle: None,
        region: None,
    });
    world
}

fn req_create(match_id: MatchId, users: [u64; 2]) -> Event {
    let player =
        |user| Matched { user: UserId(user), name: "Ada".to_owned(), rating: 1500, team: 0, role: None, party: 0 };
    Event::ReqCreateScene {
        match_id,
        domain: "gomoku".into(),
        fleet: "gomoku".into(),
        players: users.map(player).to_vec(),
        choices: Vec::new(),
        region: None,
        bots: 0,
    }
}

/// The scene that a step placed.
fn placed(messages: &[Message]) -> SceneId {
    let scene = messages.iter().find_map(|message| match message {
        Message::SceneService(_, scene_service::Event::ReqCreateScene { scene, .. }) => Some(*scene),
        _ => None,
    });
    scene.expect("a scene was placed")
}

fn created(scene: SceneId, result: Result<(), Refusal>) -> Event {
    Event::ResCreateScene { scene, epoch: EPOCH, result }
}

fn joined(scene: SceneId, seat: u32) -> Event {
    Event::SynUserJoined { scene, epoch: EPOCH, seat }
}

fn left(scene: SceneId, seat: u32) -> Event {
    Event::SynUserLeft { scene, epoch: EPOCH, seat, reason: EndReason::Left }
}

fn ask(scene: SceneId, ask: Ask) -> Event {
    Event::ReqAskDestroyScene { scene, epoch: EPOCH, ask }
}

fn misbehaved(scene: SceneId) -> Event {
    Event::SynMisbehaved { scene, epoch: EPOCH, kind: Misbehaviour::Slow }
}

/// All that the node runs.
fn report(round: u64, scenes: Vec<Reported>) -> Event {
    let (from, to) = (SceneId(0), SceneId(u64::MAX));
    Event::SynReport(Box::new(Report {
        node: NODE,
        offer: Offer { url: "/v1/scene".to_owned(), capacity: Capacity::scenes(10), idle: None, region: None },
        asked: 0,
        round: Round { since: Time(1), number: round },
        from,
        to,
        load: BTreeMap::new(),
        scenes,
    }))
}

fn destroyed(scene: SceneId) -> Event {
    Event::ResDestroyScene { scene, epoch: EPOCH, kept: false }
}

fn placing() -> (World<SceneMaster>, SceneId) {
    let mut world = master(10);
    let scene = placed(&world.tell(req_create(MATCH, [10, 11])));
    (world, scene)
}

fn allocated() -> (World<SceneMaster>, SceneId) {
    let (mut world, scene) = placing();
    world.tell(created(scene, Ok(())));
    (world, scene)
}

fn running() -> (World<SceneMaster>, SceneId) {
    let (mut world, scene) = allocated();
    world.tell(joined(scene, 0));
    (world, scene)
}

fn shorts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(short).collect()
}

#[test]
fn a_match_is_answered_only_when_its_scene_exists_and_each_user_gets_a_token_of_its_own() {
    let (mut world, scene) = placing();
    let answer = world.tell(created(scene, Ok(())));
    let Message::Match(_, matching::Event::ResCreateScene { result: Ok(entries), .. }) = &answer[0] else {
        panic!("{answer:?}")
    };
    assert_eq!(entries.iter().map(|(user, _)| user.0).collect::<Vec<_>>(), [10, 11]);
    assert_ne!(entries[0].1.secret, entries[1].1.secret);
    assert_eq!(entries[0].1.url, format!("/v1/scene/{scene}"));
}

#[test]
fn who_has_lost_the_seat_before_the_match_is_answered_gets_no_way_in() {
    let (mut world, scene) = placing();
    world.tell(left(scene, 0));
    let answer = world.tell(created(scene, Ok(())));
    let Message::Match(_, matching::Event::ResCreateScene { result: Ok(entries), .. }) = &answer[0] else {
        panic!("{answer:?}")
    };
    assert_eq!(entries.iter().map(|(user, _)| user.0).collect::<Vec<_>>(), [11]);
}

#[test]
fn creating_is_idempotent_by_the_match() {
    let (mut world, _) = allocated();
    let again = world.tell(req_create(MATCH, [10, 11]));
    assert_eq!(shorts(&again), ["Match ResCreateScene"]);
    assert_eq!(world.service.slots(NODE), Some((1, 10)));
}

#[test]
fn a_user_on_the_way_blocks_the_end_of_an_empty_scene_but_not_of_a_finished_one() {
    let (mut world, scene) = running();
    world.tell(left(scene, 0));
    assert_eq!(shorts(&world.tell(ask(scene, Ask::Empty))), [] as [&str; 0], "seat 1 is on its way");
    assert_eq!(world.service.state_name(scene), "Running");
    world.tell(left(scene, 1));
    assert_eq!(shorts(&world.tell(ask(scene, Ask::Empty))), ["SceneService ReqDestroyScene"]);

    let (mut world, scene) = running();
    assert_eq!(shorts(&world.tell(ask(scene, Ask::Finished(Vec::new())))), ["SceneService ReqDestroyScene"]);
    let told = world.tell(destroyed(scene));
    assert_eq!(shorts(&told), ["Lobby SynSceneEnded", "Lobby SynSceneEnded"]);
}

#[test]
fn slots_are_taken_and_given_back() {
    let mut world = master(1);
    let scene = placed(&world.tell(req_create(MATCH, [10, 11])));
    let refused = world.tell(req_create(MatchId(51), [12, 13]));
    assert_eq!(shorts(&refused), ["Match ResCreateScene ✗Overloaded"]);
    world.tell(created(scene, Err(Refusal::Overloaded("x".into()))));
    assert_eq!(world.service.slots(NODE), Some((0, 1)));
    let scene = placed(&world.tell(req_create(MatchId(52), [10, 11])));
    world.tell(created(scene, Ok(())));
    world.tell(ask(scene, Ask::Crashed("trap".to_owned())));
    world.tell(destroyed(scene));
    world.tell(destroyed(scene));
    assert_eq!(world.service.slots(NODE), Some((0, 1)));
}

#[test]
fn while_the_store_is_down_no_scene_begins_and_those_that_run_end_as_ever() {
    let db = |up| Event::Service { service: ServiceName::Db, up };
    let (mut world, scene) = running();
    assert_eq!(world.tell(db(false)), []);
    let refused = world.tell(req_create(MatchId(51), [12, 13]));
    assert_eq!(shorts(&refused), ["Match ResCreateScene ✗ServiceDown"]);
    let by_hand = world.tell(Event::ReqCreateByHand { number: 4, fleet: "gomoku".into(), count: 1 });
    assert_eq!(by_hand, [Message::Operator(4, Err(Refusal::ServiceDown(ServiceName::Db)))]);
    world.tell(ask(scene, Ask::Finished(Vec::new())));
    let effects = world.step(destroyed(scene));
    assert!(table::cell("", &effects).contains("delete scene"), "the end is written, when that can be");
    assert_eq!(shorts(&effects.messages), ["Lobby SynSceneEnded", "Lobby SynSceneEnded"]);
    world.tell(db(true));
    placed(&world.tell(req_create(MatchId(51), [12, 13])));
}

#[test]
fn while_the_store_is_down_no_node_is_given_up_for_what_it_cannot_have_heard() {
    let db = |up| Event::Service { service: ServiceName::Db, up };
    let (mut world, scene) = running();
    world.tell(ask(scene, Ask::Finished(Vec::new())));
    world.tell(db(false));
    let told = world.pass_ms(60_000);
    assert!(!shorts(&told).contains(&"Lobby SynSceneEnded".to_owned()), "{told:?}");
    assert_eq!(world.service.state_name(scene), "Stopping");
    world.tell(db(true));
    world.pass_ms(STOP_MS_MAX);
    assert_eq!(world.service.state_name(scene), "Stopping", "the node has its whole time");
    world.pass_ms(STOP_MS_MAX);
    assert_eq!(world.service.state_name(scene), "Stopped");

    let (mut world, scene) = placing();
    world.tell(db(false));
    world.pass_ms(60_000);
    world.tell(db(true));
    world.pass_ms(PLACE_MS_MAX - 1);
    assert_eq!(world.service.state_name(scene), "Placing");
    assert_eq!(shorts(&world.tell(created(scene, Ok(())))), ["Match ResCreateScene"]);
}

#[test]
fn who_is_matched_while_holding_a_seat_gives_that_up() {
    let (mut world, scene) = running();
    // The lobby asks only for users who are in no game by its books: user 11 does not know of that seat.
    let told = world.tell(req_create(MatchId(51), [11, 12]));
    assert_eq!(shorts(&told), ["SceneService ReqRemoveUser", "Lobby SynSceneEnded", "SceneService ReqCreateScene"]);
    assert_ne!(placed(&told), scene);
    assert_eq!(world.service.state_name(scene), "Running", "the other one plays on");
}

#[test]
fn a_seat_that_was_given_up_before_its_scene_could_not_be_made_takes_no_other_seat_along() {
    let (mut world, scene) = placing();
    let next = placed(&world.tell(req_create(MatchId(51), [10, 11])));
    world.tell(created(next, Ok(())));
    world.tell(created(scene, Err(Refusal::Overloaded("scenes".into()))));
    assert_eq!(world.service.state_name(scene), "Stopped");
    assert_eq!(shorts(&world.tell(Event::ReqRejoin { user: UserId(10), scene })), ["SceneService ReqAddToken"]);
}

#[test]
fn each_state_ends_by_its_deadline() {
    let (mut world, scene) = placing();
    let told = world.pass_ms(PLACE_MS_MAX);
    assert_eq!(shorts(&told), ["SceneService ReqDestroyScene", "Match ResCreateScene ✗TimedOut"]);
    assert_eq!(world.service.state_name(scene), "Stopped");

    let (mut world, scene) = allocated();
    assert_eq!(
        shorts(&world.pass_ms(60_000))[..3],
        ["SceneService ReqDestroyScene", "Lobby SynSceneEnded", "Lobby SynSceneEnded"]
    );
    assert_eq!(world.service.state_name(scene), "Stopped", "also without an answer of the node");

    let (mut world, scene) = running();
    let life_ms = Fleet::default().life_ms_max;
    assert_eq!(shorts(&world.pass_ms(life_ms)), ["SceneService ReqDestroyScene"]);
    world.pass_ms(STOP_MS_MAX + 10_000);
    assert_eq!(world.service.state_name(scene), "Stopped");
    world.pass_ms(TOMBSTONE_MS);
    assert_eq!(world.service.state_name(scene), "unknown");
}

#[test]
fn a_record_is_written_before_its_effects_and_removed_at_the_end() {
    let mut world = master(10);
    let effects = world.step(req_create(MATCH, [10, 11]));
    assert!(table::cell("", &effects).contains("put scene"));
    let scene = placed(&effects.messages);
    world.tell(created(scene, Ok(())));
    world.tell(ask(scene, Ask::Finished(Vec::new())));
    let effects = world.step(destroyed(scene));
    assert!(table::cell("", &effects).contains("delete scene"));
}

#[test]
fn scenes_by_hand_are_answered_once_with_all_that_were_made() {
    let mut world = master(3);
    let messages = world.tell(Event::ReqCreateByHand { number: 4, fleet: "gomoku".into(), count: 5 });
    let scenes: Vec<SceneId> = messages.iter().map(|message| placed(std::slice::from_ref(message))).collect();
    assert_eq!(scenes.len(), 3, "as many as there are slots");
    for scene in &scenes[..2] {
        assert_eq!(shorts(&world.tell(created(*scene, Ok(())))), [] as [&str; 0]);
    }
    let answer = world.tell(created(scenes[2], Ok(())));
    assert_eq!(answer, [Message::Operator(4, Ok(Box::new(Answer::Scenes(scenes))))]);
    let unknown = world.tell(Event::ReqCreateByHand { number: 5, fleet: "chess".into(), count: 1 });
    assert!(matches!(&unknown[..], [Message::Operator(5, Err(Refusal::NotFound(_)))]));
}

#[test]
fn a_game_that_is_told_to_stop_and_comes_to_a_result_has_it_told() {
    let (mut world, scene) = running();
    world.tell(Event::Stopping);
    let result = scenehost_core::PlayerResult { seat: 0, place: 1, score: 3 };
    world.tell(ask(scene, Ask::Finished(vec![result.clone()])));
    let told = world.tell(destroyed(scene));
    let Message::Lobby(scenehost_core::lobby::Event::SynSceneEnded { ended, .. }) = &told[0] else {
        panic!("{told:?}")
    };
    assert_eq!((&ended.reason, &ended.results), (&EndReason::Stopped, &vec![result]));
}

fn results() -> Vec<PlayerResult> {
    vec![PlayerResult { seat: 0, place: 1, score: 3 }, PlayerResult { seat: 1, place: 2, score: 1 }]
}

fn recorded(allocation: AllocationId, result: Result<(), Refusal>) -> Event {
    Event::ResRecord { allocation, result }
}

/// The results that these effects write, and whose they are.
fn written(effects: &Effects) -> Option<(AllocationId, Finished)> {
    effects.writes.iter().rev().find_map(|write| match write {
        Write::Put { key, value } => {
            let id = key.strip_prefix(record::FINISHED_PREFIX)?.parse().expect("an id");
            Some((id, record::decode(key, value).expect("it is written whole")))
        }
        Write::Delete { .. } => None,
    })
}

/// A running game of which these are the results from now on.
fn decided() -> (World<SceneMaster>, SceneId, AllocationId) {
    let (mut world, scene) = running();
    let (allocation, _) = written(&world.step(ask(scene, Ask::Finished(results())))).expect("they are written");
    (world, scene, allocation)
}

#[test]
fn results_are_written_before_anything_is_said_and_kept_until_they_are_recorded() {
    let (mut world, scene) = running();
    let effects = world.step(ask(scene, Ask::Finished(results())));
    assert_eq!(shorts(&effects.messages), ["Db Req", "SceneService ReqDestroyScene"]);
    let (allocation, finished) = written(&effects).expect("they are written");
    assert_eq!(finished.scene, scene);
    assert_eq!((&finished.results, finished.domain.as_str(), finished.ended), (&results(), "gomoku", world.now));
    assert_eq!(finished.players.iter().map(|it| (it.seat, it.user.0)).collect::<Vec<_>>(), [(0, 10), (1, 11)]);
    assert_eq!(shorts(&world.tell(ask(scene, Ask::Finished(results())))), [] as [&str; 0], "it asks again");

    // Users hear of the end whether they are recorded or not.
    let effects = world.step(destroyed(scene));
    assert_eq!(shorts(&effects.messages), ["Lobby SynSceneEnded", "Lobby SynSceneEnded"]);
    assert!(table::cell("", &effects).starts_with(": delete scene, "), "the scene has ended, its results are kept");
    assert_eq!(table::cell("", &world.step(recorded(allocation, Ok(())))), ": delete finished");
    assert_eq!(world.service.unrecorded(), 0);
}

#[test]
fn players_of_a_decided_game_hear_its_results_also_if_its_machine_is_gone() {
    let (mut world, scene) = running();
    world.tell(ask(scene, Ask::Finished(results())));
    let told = world.tell(Event::NodeDown { node: NODE });
    let Message::Lobby(scenehost_core::lobby::Event::SynSceneEnded { ended, .. }) = &told[0] else {
        panic!("{told:?}")
    };
    assert_eq!((&ended.reason, &ended.results), (&EndReason::Finished, &results()));
}

#[test]
fn a_scene_that_ends_after_its_results_were_recorded_leaves_nothing() {
    let (mut world, scene, allocation) = decided();
    assert_eq!(table::cell("", &world.step(recorded(allocation, Ok(())))), ": delete finished");
    let ended = world.step(destroyed(scene));
    assert!(table::cell("", &ended).starts_with(": delete scene"), "{ended:?}");
    assert_eq!(table::cell("", &world.step(recorded(allocation, Ok(())))), ": –", "an answer that comes twice");
}

#[test]
fn a_game_that_was_told_to_stop_and_is_decided_is_recorded_once() {
    let (mut world, scene) = running();
    world.tell(Event::Stopping);
    let before = world.service.deadline();
    let effects = world.step(ask(scene, Ask::Finished(results())));
    assert_eq!(shorts(&effects.messages), ["Db Req"]);
    assert_eq!((world.service.state_name(scene), world.deadline()), ("Stopping", before), "its deadline stays");
    assert_eq!(written(&effects).map(|(_, finished)| finished.results), Some(results()));
    let other = vec![PlayerResult { seat: 1, place: 1, score: 9 }];
    assert_eq!(shorts(&world.tell(ask(scene, Ask::Finished(other)))), [] as [&str; 0], "the first ones count");
}

#[test]
fn a_game_that_was_not_decided_or_has_no_players_is_not_recorded() {
    let (mut world, scene) = running();
    assert_eq!(shorts(&world.tell(ask(scene, Ask::Finished(Vec::new())))), ["SceneService ReqDestroyScene"]);
    let mut world = master(3);
    let scene = placed(&world.tell(Event::ReqCreateByHand { number: 4, fleet: "gomoku".into(), count: 1 }));
    world.tell(created(scene, Ok(())));
    assert_eq!(shorts(&world.tell(ask(scene, Ask::Finished(results())))), ["SceneService ReqDestroyScene"]);
}

#[test]
fn db_is_asked_again_with_longer_and_longer_waits_and_at_once_when_it_is_up() {
    let (mut world, scene, allocation) = decided();
    world.tell(destroyed(scene));
    let down = Refusal::ServiceDown(ServiceName::Db);
    assert_eq!(shorts(&world.tell(recorded(allocation, Err(down)))), [] as [&str; 0]);
    let told = world.pass_ms(RECORD_AGAIN_MS);
    assert_eq!(shorts(&told), ["Db Req"], "also if nothing was answered");
    assert_eq!(shorts(&world.pass_ms(RECORD_AGAIN_MS)), [] as [&str; 0]);
    assert_eq!(shorts(&world.pass_ms(RECORD_AGAIN_MS)), ["Db Req"]);

    world.tell(Event::Service { service: ServiceName::Db, up: false });
    assert_eq!(shorts(&world.pass_ms(TOMBSTONE_MS)), [] as [&str; 0], "in vain, so it is not asked");
    assert_eq!(world.service.state_name(scene), "unknown", "it is forgotten, its results are not");
    assert_eq!(shorts(&world.tell(Event::Service { service: ServiceName::Db, up: true })), ["Db Req"]);
    for _ in 0..20 {
        world.pass_ms(RECORD_AGAIN_MS_MAX);
    }
    assert_eq!(shorts(&world.pass_ms(RECORD_AGAIN_MS_MAX)), ["Db Req"], "it is never given up");
    assert_eq!(table::cell("", &world.step(recorded(allocation, Ok(())))), ": delete finished");
    assert_eq!(world.deadline(), None);
}

/// The games whose results Db is asked to record.
fn asked_to_record(messages: &[Message]) -> Vec<AllocationId> {
    let of = |message: &Message| match message {
        Message::Db(db::Event::Req { asker: db::Asker::SceneMaster { allocation }, .. }) => *allocation,
        other => panic!("{other:?}"),
    };
    messages.iter().map(of).collect()
}

#[test]
fn after_an_outage_results_are_recorded_a_few_at_a_time_and_each_answer_makes_room() {
    let count = 3 * RECORDING_MAX + 1;
    let (mut of_one, scene) = running();
    let (_, decided) = written(&of_one.step(ask(scene, Ask::Finished(results())))).expect("it is written");
    let mut world = master(10);
    let db = |up| Event::Service { service: ServiceName::Db, up };
    world.tell(db(false));
    let finished = (1..=count as u64).map(|id| (AllocationId(id), decided.clone())).collect();
    assert_eq!(world.tell(Event::Recovered { scenes: Vec::new(), finished }), []);
    world.pass_ms(RECORD_AGAIN_MS_MAX);
    let mut waiting = asked_to_record(&world.tell(db(true)));
    assert_eq!(waiting.len(), RECORDING_MAX);

    // Whatever the answer is, the next one is asked for.
    for result in [Ok(()), Err(Refusal::Overloaded("x".into())), Err(Refusal::Invalid("x".to_owned()))] {
        let game = waiting.remove(0);
        let next = asked_to_record(&world.tell(recorded(game, result)));
        assert!(next.len() == 1 && next[0] != game, "{next:?}");
        waiting.extend(next);
    }
    // Those that are not answered at all make room at their deadline, and come back behind the others.
    let overdue = asked_to_record(&world.pass_ms(RECORD_AGAIN_MS));
    assert_eq!(overdue.len(), RECORDING_MAX);
    assert!(overdue.iter().all(|game| !waiting.contains(game)), "{overdue:?}");

    // Another outage: they are asked again, and no more of them than before.
    world.tell(db(false));
    let mut waiting = asked_to_record(&world.tell(db(true)));
    assert_eq!(waiting.len(), RECORDING_MAX);
    let mut asked = 0;
    while let Some(game) = waiting.pop() {
        asked += 1;
        waiting.extend(asked_to_record(&world.tell(recorded(game, Ok(())))));
    }
    assert_eq!((asked, world.service.unrecorded()), (count - 2, 0), "each once");
    assert_eq!(world.deadline(), None);
}

#[test]
fn results_that_no_game_can_have_are_told_to_operators_and_not_kept() {
    let (mut world, scene, allocation) = decided();
    world.tell(destroyed(scene));
    let effects = world.step(recorded(allocation, Err(Refusal::Invalid("no such seat".to_owned()))));
    assert_eq!(table::cell("", &effects), ": delete finished, fault");
    assert!(effects.faults[0].contains(&scene.to_string()) && effects.faults[0].contains("no such seat"));
}

#[test]
fn what_a_run_before_has_not_recorded_is_recorded_by_the_next_one() {
    let (mut world, scene) = running();
    let effects = world.step(ask(scene, Ask::Finished(results())));
    let (allocation, finished) = written(&effects).expect("they are written");
    let record = effects.writes.iter().find_map(|write| match write {
        Write::Put { key, value } if *key == record::scene_key(scene) => record::decode::<SceneRecord>(key, value).ok(),
        _ => None,
    });
    let scenes = vec![(scene, record.expect("its state is written"))];
    let mut world = master(10);
    let effects = world.step(Event::Recovered { scenes, finished: vec![(allocation, finished)] });
    assert_eq!(table::cell("", &effects), ": delete scene, Db Req");
    assert_eq!(table::cell("", &world.step(recorded(allocation, Ok(())))), ": delete finished");
}

#[test]
fn operators_see_how_scenes_went_how_long_they_took_and_why_they_ended() {
    let (mut world, scene) = placing();
    world.now = world.now.plus_ms(30);
    world.tell(created(scene, Ok(())));
    world.tell(joined(scene, 0));
    world.tell(ask(scene, Ask::Finished(Vec::new())));
    world.tell(destroyed(scene));
    let meters = world.service.meters();
    for expected in [
        Meter::total("scenehost_scenes_begun_total", 1),
        Meter::total("scenehost_scene_transitions_total", 1).of("from", "Allocated").of("to", "Running"),
        Meter::total("scenehost_scenes_ended_total", 1).of("reason", "Finished"),
        Meter::total("scenehost_allocation_milliseconds_bucket", 0).of("le", "20"),
        Meter::total("scenehost_allocation_milliseconds_bucket", 1).of("le", "100"),
        Meter::total("scenehost_allocation_milliseconds_bucket", 1).of("le", "+Inf"),
        Meter::total("scenehost_allocation_milliseconds_count", 1),
        Meter::total("scenehost_allocation_milliseconds_sum", 30),
        Meter::now("scenehost_scenes_by_state", 0).of("state", "Running"),
        Meter::now("scenehost_scenes_by_state", 1).of("state", "Stopped"),
    ] {
        assert!(meters.contains(&expected), "{expected:?} in {meters:?}");
    }
}

fn order(order: Order) -> Event {
    Event::ReqOperator { number: 1, order }
}

/// The scene that is reserved is given to a user.
fn allocate(scene: SceneId) -> Event {
    let players =
        vec![Matched { user: UserId(12), name: "Eve".to_owned(), rating: 1500, team: 0, role: None, party: 0 }];
    order(Order::Allocate { fleet: "gomoku".into(), scene: Some(scene), domain: None, players })
}

fn another_build() -> Event {
    Event::Fleets { fleets: BTreeMap::from([("gomoku".into(), (Build(9).into(), Fleet::default()))]) }
}

#[test]
fn every_state_and_event() {
    let empty = {
        let (mut world, scene) = running();
        world.tell(left(scene, 0));
        world.tell(left(scene, 1));
        world
    };
    let stopping = {
        let (mut world, scene) = running();
        world.tell(ask(scene, Ask::Finished(Vec::new())));
        world
    };
    let (stopped, scene) = {
        let (mut world, scene) = running();
        world.tell(ask(scene, Ask::Finished(Vec::new())));
        world.tell(destroyed(scene));
        (world, scene)
    };
    let reserve = order(Order::Reserve { fleet: "gomoku".into(), for_ms: None });
    let reserved = {
        let mut world = master(10);
        assert_eq!(placed(&world.tell(reserve.clone())), scene);
        world.tell(created(scene, Ok(())));
        world
    };
    let ready = {
        let mut world = reserved.clone();
        world.tell(order(Order::Release { scene }));
        world
    };
    let drain = order(Order::DrainNode { node: NODE, exits: true });
    let draining = {
        let (mut world, _) = running();
        world.tell(drain.clone());
        world
    };
    let (decided, scene_decided, allocation) = decided();
    assert_eq!(scene_decided, scene, "the same events lead to the same scene");
    let stopped_decided = {
        let mut world = decided.clone();
        world.tell(destroyed(scene));
        world
    };
    let restarting = {
        let (mut world, scene) = running();
        world.tell(ask(scene, Ask::Crashed("trap".to_owned())));
        world
    };
    let placing_anew = {
        let mut world = restarting.clone();
        world.pass_ms(RESTART_MS * 2);
        world
    };
    let suspect = {
        let (mut world, scene) = running();
        world.tell(misbehaved(scene));
        world
    };
    let seats = Some(vec![SeatNow::Held, SeatNow::Gone(EndReason::NeverJoined)]);
    let reported = |life, seats| Reported { scene, epoch: EPOCH, build: Build(0), life, seats };
    let add_token = |result| Event::ResAddToken { scene, epoch: EPOCH, seat: 1, result };
    table::check(
        "scene-master",
        &[
            ("(none)", master(10)),
            ("Placing", placing().0),
            ("Ready", ready),
            ("Reserved", reserved),
            ("Allocated", allocated().0),
            ("Running", running().0),
            ("Suspect", suspect),
            ("Empty", empty),
            ("Draining", draining),
            ("Releasing", crate::moving::releasing().0),
            ("Restarting", restarting),
            ("Placing, anew", placing_anew),
            ("Stopping", stopping),
            ("Stopped", stopped),
            ("Stopping, unrecorded", decided),
            ("Stopped, unrecorded", stopped_decided),
        ],
        &[
            ("ReqCreateScene, same match", req_create(MATCH, [10, 11])),
            ("ReqCreateScene, other match", req_create(MatchId(51), [12, 13])),
            ("ResCreateScene", created(scene, Ok(()))),
            ("ResCreateScene, refused", created(scene, Err(Refusal::Overloaded("x".into())))),
            ("ResCreateScene, other epoch", Event::ResCreateScene { scene, epoch: Epoch(2), result: Ok(()) }),
            ("SynUserJoined", joined(scene, 0)),
            ("SynUserJoined, unknown seat", joined(scene, 9)),
            ("SynUserLeft", left(scene, 0)),
            ("ReqAskDestroyScene Finished", ask(scene, Ask::Finished(Vec::new()))),
            ("ReqAskDestroyScene Finished, decided", ask(scene, Ask::Finished(results()))),
            ("ResRecord", recorded(allocation, Ok(()))),
            ("ResRecord, refused", recorded(allocation, Err(Refusal::Invalid("x".to_owned())))),
            ("ResRecord, later", recorded(allocation, Err(Refusal::ServiceDown(ServiceName::Db)))),
            ("ReqAskDestroyScene Crashed", ask(scene, Ask::Crashed("trap".to_owned()))),
            ("ReqAskDestroyScene Empty", ask(scene, Ask::Empty)),
            ("ResDestroyScene", destroyed(scene)),
            ("ResDestroyScene, other epoch", Event::ResDestroyScene { scene, epoch: Epoch(2), kept: false }),
            ("ResDestroyScene, kept", Event::ResDestroyScene { scene, epoch: EPOCH, kept: true }),
            ("ReqRejoin", Event::ReqRejoin { user: UserId(11), scene }),
            ("ReqRemoveUser", Event::ReqRemoveUser { user: UserId(11) }),
            ("ResAddToken", add_token(Ok(()))),
            ("ResAddToken, refused", add_token(Err(Refusal::SceneEnded))),
            ("ReqJoinInProgress", crate::joining::req_join(scene, 20)),
            ("ResAddSeat, unknown", Event::ResAddSeat { scene, epoch: EPOCH, seat: 9, result: Ok(()) }),
            ("ReqWatch", Event::ReqWatch { user: UserId(20), number: 1, scene }),
            ("ReqWatch, by who plays", Event::ReqWatch { user: UserId(11), number: 1, scene }),
            ("ReqCancelScene", Event::ReqCancelScene { match_id: MATCH }),
            ("ReqGiveUpSeat", Event::ReqGiveUpSeat { user: UserId(11), scene }),
            ("SynMisbehaved", misbehaved(scene)),
            ("SynReport, running", report(1, vec![reported(Life::Running, seats)])),
            ("SynReport, other epoch", report(1, vec![Reported { epoch: Epoch(9), ..reported(Life::Running, None) }])),
            ("SynReport, without it", report(1, Vec::new())),
            ("ReqOperator Reserve", reserve),
            ("ReqOperator Release", order(Order::Release { scene })),
            ("ReqOperator Allocate", allocate(scene)),
            ("ReqOperator Stop", order(Order::Stop { scene })),
            ("ReqOperator Move", order(Order::Move { scene, to: None })),
            ("ResReleaseScene", Event::ResReleaseScene { scene, epoch: EPOCH, result: Ok(()) }),
            (
                "ResReleaseScene, refused",
                Event::ResReleaseScene { scene, epoch: EPOCH, result: Err(Refusal::Invalid("x".to_owned())) },
            ),
            ("ReqSeat", Event::ReqSeat { user: UserId(11), number: 1 }),
            ("ReqOperator DrainNode", drain),
            ("Fleets, another build", another_build()),
            ("NodeDown", Event::NodeDown { node: NODE }),
            ("Db down", Event::Service { service: ServiceName::Db, up: false }),
            ("Db up", Event::Service { service: ServiceName::Db, up: true }),
            ("Lobby down", Event::Service { service: ServiceName::Lobby, up: false }),
            ("Handler down", Event::Handler { domain: "gomoku".into(), up: false }),
            ("Stopping", Event::Stopping),
            ("Tick at the deadline", Event::Tick),
        ],
        |state, event| {
            let mut world = state.clone();
            if *event == Event::Tick {
                world.now = scenehost_core::Service::deadline(&world.service).unwrap_or(world.now);
            }
            let effects = world.step(event.clone());
            table::cell(world.service.state_name(scene), &effects)
        },
    );
}
