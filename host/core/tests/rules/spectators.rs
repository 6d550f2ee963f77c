//! Users who watch a game: what SceneMaster lets them, and what the scene shows them, and when.

use std::collections::BTreeMap;

use scenehost_core::config::{Fleet, OnCrash};
use scenehost_core::message::{Arranged, EndReason, PlayerResult};
use scenehost_core::scene::{
    Effect, Event, GameEvent, LABEL_MS_MIN, Notice, PENDING_FRAMES_MAX, SHOWN_FRAMES_MAX, Scene, WATCHED_MS_MIN,
};
use scenehost_core::scene_list::Query;
use scenehost_core::scene_master::{self, Ask, Capacity, Matched, Order, SceneMaster, TOKEN_MS_MAX};
use scenehost_core::scene_service::{self, SeatGrant, Start, ToScene};
use scenehost_core::token::SecretHash;
use scenehost_core::{
    Build, ConnectionId, Epoch, FleetName, MatchId, Message, NodeId, Player, Refusal, SceneId, Time, UserId, lobby,
};

use crate::table::{self, short};
use crate::world::{START, World};

const NODE: NodeId = NodeId(1);
const SCENE: SceneId = SceneId(100);
const EPOCH: Epoch = Epoch(1);
const DELAY_MS: u64 = 3_000;
const TOKEN_MS: u64 = 30_000;
const VIC: UserId = UserId(20);
const FIRST: ConnectionId = ConnectionId(1);
const SECOND: ConnectionId = ConnectionId(2);

fn watched(spectators_max: u32, spectator_delay_ms: u64) -> Fleet {
    Fleet { spectators_max, spectator_delay_ms, ..Fleet::default() }
}

/// A running game of one player whose frames are numbers.
fn running(limits: Fleet) -> Scene<u32> {
    let player =
        Player { seat: 0, user: UserId(10), name: "Ada".to_owned(), rating: 1500, team: 0, role: None, party: 0 };
    let start = Start {
        build: Build(1),
        reuse: false,
        epoch: EPOCH,
        fleet: "gomoku".into(),
        limits,
        domain: Some("gomoku".into()),
        seed: 1,
        arranged: Arranged::default(),
        seats: vec![SeatGrant { player, token: SecretHash::of("seat"), until: START.plus_ms(600_000) }],
    };
    let mut scene = Scene::start(SCENE, start);
    scene.step(START, Event::Started(Ok(())));
    scene
}

fn add(user: UserId) -> Event {
    let token = SecretHash::of(&format!("watch {user}"));
    Event::Order(ToScene::AddSpectator { epoch: EPOCH, user, token, until: START.plus_ms(TOKEN_MS) })
}

fn watch(connection: ConnectionId, user: UserId) -> Event {
    Event::ReqWatchScene { connection, request: 1, token: SecretHash::of(&format!("watch {user}")) }
}

/// A user comes to watch; what is done.
fn come(scene: &mut Scene<u32>, now: Time, connection: ConnectionId, user: UserId) -> Vec<Effect<u32>> {
    let mut effects = scene.step(now, add(user));
    effects.extend(scene.step(now, watch(connection, user)));
    effects
}

/// What is shown to a connection.
fn shown(effects: &[Effect<u32>], connection: ConnectionId) -> Vec<u32> {
    let shown = effects.iter().filter_map(|effect| match effect {
        Effect::Show { connections, frame } if connections.contains(&connection) => Some(*frame),
        _ => None,
    });
    shown.collect()
}

fn is_asked(effects: &[Effect<u32>]) -> bool {
    effects.contains(&Effect::Game(GameEvent::Watched))
}

/// What is said to a connection, but for what is shown.
fn told(effects: &[Effect<u32>], of: ConnectionId) -> Vec<String> {
    let told = effects.iter().filter_map(|effect| match effect {
        Effect::Tell { connection, notice: Notice::Refused(refusal) | Notice::Closing(refusal), .. }
            if *connection == of =>
        {
            Some(table::variant(refusal))
        }
        Effect::Tell { connection, notice: Notice::Ended(ended), .. } if *connection == of => {
            Some(format!("Ended {}", ended.reason.name()))
        }
        Effect::Tell { connection, notice, .. } if *connection == of => Some(table::variant(notice)),
        Effect::Close(connection) if *connection == of => Some("close".to_owned()),
        _ => None,
    });
    told.collect()
}

fn to_master(effects: &[Effect<u32>]) -> Vec<String> {
    let sent = effects.iter().filter_map(|effect| match effect {
        Effect::Send(message) => Some(short(message)),
        _ => None,
    });
    sent.collect()
}

#[test]
fn who_watches_sees_what_the_game_has_said_so_much_later_and_nothing_before() {
    let mut scene = running(watched(10, DELAY_MS));
    scene.say_to_spectators(START, true, 1, 10);
    scene.say_to_spectators(START.plus_ms(500), false, 2, 10);
    let effects = come(&mut scene, START.plus_ms(1_000), FIRST, VIC);
    assert_eq!(told(&effects, FIRST), ["Watching"]);
    assert_eq!(shown(&effects, FIRST), [] as [u32; 0]);
    let due = scene.deadline().unwrap();
    assert_eq!(due, START.plus_ms(DELAY_MS));
    assert_eq!(shown(&scene.step(Time(due.0 - 1), Event::Tick), FIRST), [] as [u32; 0]);
    assert_eq!(shown(&scene.step(due, Event::Tick), FIRST), [1]);
    assert_eq!(shown(&scene.step(due.plus_ms(500), Event::Tick), FIRST), [2]);
}

#[test]
fn who_comes_later_is_shown_the_last_whole_view_and_every_change_since() {
    let mut scene = running(watched(10, DELAY_MS));
    for (frame, whole) in [(1, true), (2, false), (3, true), (4, false), (5, false)] {
        scene.say_to_spectators(START.plus_ms(u64::from(frame) * 100), whole, frame, 10);
    }
    let now = START.plus_ms(DELAY_MS + 400);
    let effects = come(&mut scene, now, FIRST, VIC);
    assert_eq!(shown(&effects, FIRST), [3, 4], "5 is not due");
    assert!(!is_asked(&effects), "the view that there is is enough");
    assert_eq!(shown(&scene.step(now.plus_ms(100), Event::Tick), FIRST), [5]);
}

#[test]
fn without_a_delay_nothing_is_kept_for_nobody_and_the_game_is_asked_when_somebody_comes() {
    let mut scene = running(watched(10, 0));
    scene.say_to_spectators(START, true, 1, 10);
    let effects = come(&mut scene, START, FIRST, VIC);
    assert!(is_asked(&effects), "{effects:?}");
    assert_eq!(shown(&effects, FIRST), [] as [u32; 0]);
    assert_eq!(shown(&scene.say_to_spectators(START, false, 2, 10), FIRST), [] as [u32; 0], "a change of nothing");
    assert_eq!(shown(&scene.say_to_spectators(START, true, 3, 10), FIRST), [3]);
    assert_eq!(shown(&scene.say_to_spectators(START, false, 4, 10), FIRST), [4]);
    // For the next one what there is suffices.
    let effects = come(&mut scene, START, SECOND, UserId(21));
    assert_eq!((shown(&effects, SECOND), is_asked(&effects)), (vec![3, 4], false));
}

#[test]
fn a_game_that_nobody_may_watch_is_never_asked_and_nothing_of_it_is_kept() {
    let mut scene = running(Fleet::default());
    assert!(!is_asked(&scene.say_to_spectators(START, true, 1, 10)));
    let effects = scene.step(START, add(VIC));
    assert_eq!(to_master(&effects), ["SceneMaster ResAddSpectator ✗SceneFull"]);
}

#[test]
fn what_is_kept_is_bounded_and_goes_on_with_the_next_whole_view() {
    let mut scene = running(watched(10, DELAY_MS));
    // It was asked when it began.
    let now = START.plus_ms(WATCHED_MS_MIN);
    scene.say_to_spectators(now, true, 0, 10);
    let mut asked = 0;
    for frame in 1..=PENDING_FRAMES_MAX as u32 {
        asked += usize::from(is_asked(&scene.say_to_spectators(now, false, frame, 10)));
    }
    assert_eq!(asked, 1, "once, when the last view gets old, as long as there is room for another");
    // The last one had no room, and so none after it means anything.
    let late = now.plus_ms(DELAY_MS);
    let effects = come(&mut scene, late, FIRST, VIC);
    assert!(is_asked(&effects), "now there is room again");
    scene.say_to_spectators(late, false, 77, 10);
    scene.say_to_spectators(late, true, 78, 10);
    scene.say_to_spectators(late, false, 79, 10);
    assert_eq!(shown(&scene.step(late.plus_ms(DELAY_MS), Event::Tick), FIRST), [78, 79]);
}

#[test]
fn a_view_that_gets_old_is_asked_for_anew_and_not_too_often() {
    let mut scene = running(watched(10, 0));
    come(&mut scene, START, FIRST, VIC);
    scene.say_to_spectators(START, true, 0, 10);
    let now = START.plus_ms(WATCHED_MS_MIN);
    let mut asked = 0;
    for frame in 1..=4 * SHOWN_FRAMES_MAX as u32 {
        asked += usize::from(is_asked(&scene.say_to_spectators(now, false, frame, 10)));
    }
    assert_eq!(asked, 1);
    let effects = come(&mut scene, now, SECOND, UserId(21));
    assert_eq!(shown(&effects, SECOND), [] as [u32; 0], "too much has changed since the last whole view");
    assert_eq!(shown(&scene.say_to_spectators(now, false, 7, 10), SECOND), [] as [u32; 0]);
    let at_once = scene.say_to_spectators(now, true, 8, 10);
    assert_eq!((shown(&at_once, FIRST), shown(&at_once, SECOND)), (vec![8], vec![8]));
}

#[test]
fn as_many_watch_as_may_and_those_on_the_way_count() {
    let mut scene = running(watched(1, 0));
    scene.step(START, add(VIC));
    assert_eq!(to_master(&scene.step(START, add(UserId(21)))), ["SceneMaster ResAddSpectator ✗SceneFull"]);
    assert_eq!(to_master(&scene.step(START, add(VIC))), ["SceneMaster ResAddSpectator"], "the same one again");
    scene.step(START, watch(FIRST, VIC));
    assert_eq!(to_master(&scene.step(START, add(UserId(21)))), ["SceneMaster ResAddSpectator ✗SceneFull"]);
    let effects = scene.step(START, Event::Closed { connection: FIRST });
    assert_eq!(to_master(&effects), ["SceneMaster SynSpectatorLeft"]);
    assert_eq!(to_master(&scene.step(START, add(UserId(21)))), ["SceneMaster ResAddSpectator"]);
}

#[test]
fn a_watch_token_lets_its_user_in_once_and_in_time() {
    let mut scene = running(watched(10, 0));
    assert_eq!(told(&scene.step(START, watch(FIRST, VIC)), FIRST), ["BadToken"], "nobody has one");
    scene.step(START, add(VIC));
    assert_eq!(told(&scene.step(START, watch(FIRST, VIC)), FIRST), ["Watching"]);
    assert_eq!(told(&scene.step(START, watch(SECOND, VIC)), SECOND), ["BadToken"], "it was used");
    scene.step(START, add(UserId(21)));
    let late = START.plus_ms(TOKEN_MS);
    assert_eq!(told(&scene.step(late, watch(SECOND, UserId(21))), SECOND), ["TokenExpired"]);
    let effects = scene.step(late, Event::Tick);
    assert_eq!(to_master(&effects), ["SceneMaster SynSpectatorLeft"], "there is room for somebody else");
    // It is no scene token, either.
    scene.step(START, add(UserId(22)));
    let token = SecretHash::of(&format!("watch {}", UserId(22)));
    let join = Event::ReqJoinScene { connection: SECOND, request: 1, token, resume: None };
    assert_eq!(told(&scene.step(START, join), SECOND), ["BadToken"]);
}

#[test]
fn a_user_watches_over_one_connection() {
    let mut scene = running(watched(10, 0));
    come(&mut scene, START, FIRST, VIC);
    let effects = come(&mut scene, START, SECOND, VIC);
    assert_eq!(told(&effects, FIRST), ["TakenOver"]);
    assert_eq!(told(&effects, SECOND), ["Watching"]);
    assert_eq!(shown(&scene.say_to_spectators(START, true, 1, 10), FIRST), [] as [u32; 0]);
    assert_eq!(to_master(&scene.step(START, Event::Closed { connection: FIRST })), [] as [&str; 0]);
    assert!(scene.is_watching(SECOND));
}

#[test]
fn who_watches_has_no_seat_and_neither_keeps_the_game_alive_nor_ends_it() {
    let mut scene = running(watched(10, 0));
    come(&mut scene, START, FIRST, VIC);
    assert_eq!(scene.seat_of(FIRST), None);
    assert_eq!(scene.tell(|_| true, &7, 10), [], "what the game says to players is not for them");
    let effects = scene.step(START, Event::Kick { seat: 0, reason: "afk".to_owned() });
    assert_eq!(to_master(&effects), ["SceneMaster SynUserLeft", "SceneMaster ReqAskDestroyScene"]);
}

#[test]
fn who_gets_a_seat_watches_no_more() {
    let mut scene = running(watched(10, 0));
    come(&mut scene, START, FIRST, VIC);
    let player = Player { seat: 1, user: VIC, name: "Vic".to_owned(), rating: 1500, team: 0, role: None, party: 0 };
    let grant = SeatGrant { player, token: SecretHash::of("new"), until: START.plus_ms(TOKEN_MS) };
    let effects = scene.step(START, Event::Order(ToScene::AddSeats { epoch: EPOCH, seats: vec![grant] }));
    assert_eq!(told(&effects, FIRST), ["Ended Left", "close"]);
    assert_eq!(to_master(&effects), ["SceneMaster SynSpectatorLeft", "SceneMaster ResAddSeat"]);
    let effects = scene.step(START, add(VIC));
    assert_eq!(to_master(&effects), ["SceneMaster ResAddSpectator ✗Busy"]);
}

#[test]
fn who_leaves_or_is_removed_is_told_and_the_connection_closed() {
    let mut scene = running(watched(10, 0));
    come(&mut scene, START, FIRST, VIC);
    let effects = scene.step(START, Event::ReqLeaveScene { connection: FIRST, request: 3 });
    assert_eq!(told(&effects, FIRST), ["Ended Left", "close"]);
    assert_eq!(to_master(&effects), ["SceneMaster SynSpectatorLeft"]);
    come(&mut scene, START, SECOND, VIC);
    let remove = |epoch| {
        let reason = EndReason::Kicked("a foul".to_owned());
        Event::Order(ToScene::RemoveSpectator { epoch, user: VIC, reason })
    };
    assert_eq!(told(&scene.step(START, remove(Epoch(2))), SECOND), [] as [&str; 0], "another incarnation's");
    assert_eq!(told(&scene.step(START, remove(EPOCH)), SECOND), ["Ended Kicked", "close"]);
}

#[test]
fn at_the_end_those_who_watch_see_the_rest_at_once() {
    let mut scene = running(watched(10, DELAY_MS));
    scene.say_to_spectators(START, true, 1, 10);
    come(&mut scene, START, FIRST, VIC);
    scene.say_to_spectators(START, false, 2, 10);
    let results = vec![PlayerResult { seat: 0, place: 1, score: 3 }];
    scene.step(START, Event::Finish(results.clone()));
    let order = ToScene::End { epoch: EPOCH, reason: EndReason::Finished, results: results.clone(), keep: false };
    let effects = scene.step(START, Event::Order(order));
    assert_eq!(shown(&effects, FIRST), [1, 2]);
    assert_eq!(told(&effects, FIRST), ["Ended Finished", "close"]);
    let with_results = effects.iter().any(|effect| {
        matches!(effect, Effect::Tell { connection: FIRST, notice: Notice::Ended(ended), .. } if ended.results == results)
    });
    assert!(with_results);
}

#[test]
fn a_game_that_fails_is_not_watched_on() {
    let mut scene = running(watched(10, DELAY_MS));
    scene.say_to_spectators(START, true, 1, 10);
    come(&mut scene, START, FIRST, VIC);
    let effects = scene.step(START, Event::Failed("trap".to_owned()));
    assert_eq!((told(&effects, FIRST), shown(&effects, FIRST)), (vec!["Restarting".to_owned()], vec![]));
    let mut scene = running(Fleet { on_crash: OnCrash::End, ..watched(10, DELAY_MS) });
    come(&mut scene, START, FIRST, VIC);
    let effects = scene.step(START, Event::Failed("trap".to_owned()));
    assert_eq!(told(&effects, FIRST), ["Ended Crashed", "close"]);
}

#[test]
fn what_scene_master_knows_by_the_scenes_word_is_said_again_when_it_asks_anew() {
    let mut scene = running(watched(10, 0));
    scene.step(START, Event::Label(r#"{"map":"ice"}"#.to_owned()));
    come(&mut scene, START, FIRST, VIC);
    scene.step(START, add(UserId(21)));
    let report = |anew| Event::Order(ToScene::Report { epoch: EPOCH, anew });
    assert_eq!(to_master(&scene.step(START, report(false))), ["SceneService ResReport"]);
    let effects = scene.step(START, report(true));
    assert_eq!(to_master(&effects), ["SceneMaster SynLabel", "SceneMaster SynSpectators", "SceneService ResReport"]);
    let users = effects.iter().find_map(|effect| match effect {
        Effect::Send(message) => match &**message {
            Message::SceneMaster(scene_master::Event::SynSpectators { users, .. }) => Some(users.clone()),
            _ => None,
        },
        _ => None,
    });
    assert_eq!(users, Some(vec![VIC, UserId(21)]));
}

#[test]
fn a_label_is_told_once_in_a_while_and_only_if_it_is_new() {
    let mut scene = running(Fleet::default());
    let label = |text: &str| Event::Label(text.to_owned());
    assert_eq!(to_master(&scene.step(START, label(r#"{"round":1}"#))), ["SceneMaster SynLabel"]);
    for round in 2..5 {
        let effects = scene.step(START, label(&format!(r#"{{"round":{round}}}"#)));
        assert_eq!(to_master(&effects), [] as [&str; 0]);
    }
    let next = START.plus_ms(LABEL_MS_MIN);
    assert_eq!(scene.deadline(), Some(next));
    let effects = scene.step(next, Event::Tick);
    assert!(
        matches!(&effects[..], [Effect::Send(message)] if matches!(&**message,
            Message::SceneMaster(scene_master::Event::SynLabel { label, .. }) if label.text() == r#"{"round":4}"#)),
        "{effects:?}"
    );
    let later = next.plus_ms(LABEL_MS_MIN);
    assert_eq!(scene.step(later, label(r#"{"round":4}"#)), []);
    let effects = scene.step(later.plus_ms(LABEL_MS_MIN), label("no JSON"));
    assert!(matches!(&effects[..], [Effect::Complain(text)] if text.contains("no JSON")), "{effects:?}");
}

/// SceneMaster with a game of users 10 and 11.
fn master(fleet: Fleet) -> (World<SceneMaster>, SceneId) {
    let mut world = World::new(SceneMaster::new(BTreeMap::from([(FleetName::from("gomoku"), fleet)])));
    let capacity = Capacity::scenes(10);
    world.tell(scene_master::Event::NodeUp {
        node: NODE,
        url: "/v1/scene".to_owned(),
        capacity,
        idle: None,
        region: None,
    });
    let scene = another_game(&mut world, 50);
    (world, scene)
}

fn another_game(world: &mut World<SceneMaster>, number: u64) -> SceneId {
    let player =
        |user| Matched { user: UserId(user), name: "Ada".to_owned(), rating: 1500, team: 0, role: None, party: 0 };
    let told = world.tell(scene_master::Event::ReqCreateScene {
        match_id: MatchId(number),
        domain: "gomoku".into(),
        fleet: "gomoku".into(),
        players: [number - 40, number - 39].map(player).to_vec(),
        choices: Vec::new(),
        region: None,
        bots: 0,
    });
    let scene = told.iter().find_map(|message| match message {
        Message::SceneService(_, scene_service::Event::ReqCreateScene { scene, .. }) => Some(*scene),
        _ => None,
    });
    let scene = scene.expect("there is room");
    world.tell(scene_master::Event::ResCreateScene { scene, epoch: EPOCH, result: Ok(()) });
    world.tell(scene_master::Event::SynUserJoined { scene, epoch: EPOCH, seat: 0 });
    scene
}

fn req_watch(scene: SceneId, user: u64) -> scene_master::Event {
    scene_master::Event::ReqWatch { user: UserId(user), number: user, scene }
}

fn res_add(scene: SceneId, user: u64, result: Result<(), Refusal>) -> scene_master::Event {
    scene_master::Event::ResAddSpectator { scene, epoch: EPOCH, user: UserId(user), result }
}

fn shorts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(short).collect()
}

fn count(world: &mut World<SceneMaster>, scene: SceneId) -> u32 {
    let query = Box::new(Query { limit: 50, ..Query::default() });
    let told = world.tell(scene_master::Event::ReqFindScenes { user: UserId(1), number: 1, query });
    let [Message::Lobby(lobby::Event::ResFindScenes { result: Ok(page), .. })] = &told[..] else { panic!("{told:?}") };
    page.scenes.iter().find(|found| found.scene == scene).map_or(0, |found| found.spectators)
}

#[test]
fn a_user_is_told_the_way_to_watch_once_the_scene_has_noted_it() {
    let (mut world, scene) = master(watched(10, DELAY_MS));
    let told = world.tell(req_watch(scene, 20));
    let [Message::SceneService(NODE, scene_service::Event::ReqAddSpectator { token, until, .. })] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(*until, world.now.plus_ms(TOKEN_MS_MAX + Fleet::default().token_ms));
    let answer = world.tell(res_add(scene, 20, Ok(())));
    let [Message::Lobby(lobby::Event::ResWatch { user: VIC, number: 20, result: Ok((entry, DELAY_MS)) })] = &answer[..]
    else {
        panic!("{answer:?}")
    };
    assert_eq!((entry.scene, entry.secret.hash()), (scene, *token));
    assert_eq!(count(&mut world, scene), 1);
    assert_eq!(shorts(&world.tell(res_add(scene, 20, Ok(())))), [] as [&str; 0], "answered once");
    world.tell(scene_master::Event::SynSpectatorLeft { scene, epoch: EPOCH, user: VIC });
    assert_eq!(count(&mut world, scene), 0);
}

#[test]
fn who_may_not_watch_is_told_why() {
    let check = |fleet: Fleet, user: u64, arrange: fn(&mut World<SceneMaster>, SceneId), expected: &str| {
        let (mut world, scene) = master(fleet);
        arrange(&mut world, scene);
        assert_eq!(shorts(&world.tell(req_watch(scene, user))), [format!("Lobby ResWatch ✗{expected}")]);
    };
    check(Fleet::default(), 20, |_, _| {}, "Forbidden");
    check(watched(10, 0), 11, |_, _| {}, "Busy");
    check(watched(10, 0), 20, |world, scene| _ = world.tell(req_watch(scene, 20)), "Busy");
    let finish = |world: &mut World<SceneMaster>, scene| {
        let ask = Ask::Finished(Vec::new());
        world.tell(scene_master::Event::ReqAskDestroyScene { scene, epoch: EPOCH, ask });
    };
    check(watched(10, 0), 20, finish, "SceneEnded");
}

#[test]
fn a_scene_that_refuses_or_is_silent_leaves_nobody_counted() {
    let (mut world, scene) = master(watched(10, 0));
    world.tell(req_watch(scene, 20));
    let told = world.tell(res_add(scene, 20, Err(Refusal::SceneFull("x".into()))));
    assert_eq!(shorts(&told), ["Lobby ResWatch ✗SceneFull"]);
    world.tell(req_watch(scene, 20));
    assert_eq!(shorts(&world.pass_ms(TOKEN_MS_MAX)), ["Lobby ResWatch ✗TimedOut"]);
    assert_eq!(count(&mut world, scene), 0);
}

#[test]
fn a_user_watches_one_game_at_a_time() {
    let (mut world, first) = master(watched(10, 0));
    let second = another_game(&mut world, 60);
    world.tell(req_watch(first, 30));
    world.tell(res_add(first, 30, Ok(())));
    let told = world.tell(req_watch(second, 30));
    assert_eq!(shorts(&told), ["SceneService ReqRemoveSpectator", "SceneService ReqAddSpectator"]);
    world.tell(res_add(second, 30, Ok(())));
    assert_eq!((count(&mut world, first), count(&mut world, second)), (0, 1));
}

#[test]
fn a_game_that_is_over_is_watched_by_nobody_and_who_was_on_the_way_is_told() {
    let (mut world, scene) = master(watched(10, 0));
    world.tell(req_watch(scene, 20));
    world.tell(res_add(scene, 20, Ok(())));
    world.tell(req_watch(scene, 21));
    let told = world.tell(scene_master::Event::ReqAskDestroyScene {
        scene,
        epoch: EPOCH,
        ask: Ask::Crashed("trap".to_owned()),
    });
    assert!(shorts(&told).contains(&"Lobby ResWatch ✗Restarting".to_owned()), "{told:?}");
    world.pass_ms(1_000);
    world.tell(scene_master::Event::ResCreateScene { scene, epoch: Epoch(2), result: Ok(()) });
    assert_eq!(count(&mut world, scene), 0);
    assert_eq!(shorts(&world.tell(res_add(scene, 21, Ok(())))), [] as [&str; 0], "of the incarnation before");
}

#[test]
fn an_operator_and_a_closed_account_end_the_watching() {
    let (mut world, scene) = master(watched(10, 0));
    world.tell(req_watch(scene, 20));
    world.tell(res_add(scene, 20, Ok(())));
    let kick = || Order::Kick { scene, user: VIC, text: "a foul".to_owned() };
    let told = world.tell(scene_master::Event::ReqOperator { number: 1, order: kick() });
    assert_eq!(shorts(&told), ["SceneService ReqRemoveSpectator", "Operator"]);
    world.tell(req_watch(scene, 20));
    let told = world.tell(scene_master::Event::ReqRemoveUser { user: VIC });
    assert_eq!(shorts(&told), ["Lobby ResWatch ✗Forbidden", "SceneService ReqRemoveSpectator"]);
    assert_eq!(count(&mut world, scene), 0);
}
