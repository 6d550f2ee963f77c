//! A scene's seats, its door, and its end.

use scenehost_core::config::{Fleet, OnCrash};
use scenehost_core::matching::backfill::Opening;
use scenehost_core::message::{Arranged, EndReason};
use scenehost_core::scene::{ASK_AGAIN_MS, Event, GameEvent, Notice, SEARCH_MS_MIN};
use scenehost_core::scene_service::{SeatGrant, Start, ToScene};
use scenehost_core::token::SecretHash;
use scenehost_core::{Build, ConnectionId, Epoch, Message, Player, PlayerResult, SceneId, Time, UserId, scene_master};

use crate::table;
use crate::world::START;

const EPOCH: Epoch = Epoch(1);
pub const ADA: ConnectionId = ConnectionId(1);
pub const BOB: ConnectionId = ConnectionId(2);
const TOKEN_MS: u64 = 30_000;

pub fn token(seat: u32) -> SecretHash {
    SecretHash::of(&format!("token {seat}"))
}

/// What the game says is a number here.
pub type Scene = scenehost_core::scene::Scene<u32>;
pub type Effect = scenehost_core::scene::Effect<u32>;

pub fn start() -> Start {
    let grant = |seat| SeatGrant {
        player: Player {
            seat,
            user: UserId(10 + u64::from(seat)),
            name: "Ada".to_owned(),
            rating: 1500,
            team: 0,
            role: None,
            party: 0,
        },
        token: token(seat),
        until: START.plus_ms(TOKEN_MS),
    };
    Start {
        build: Build(1),
        reuse: false,
        epoch: EPOCH,
        fleet: "gomoku".into(),
        limits: Fleet { spectators_max: 10, ..Fleet::default() },
        domain: Some("gomoku".into()),
        seed: 1,
        arranged: Arranged::default(),
        seats: vec![grant(0), grant(1)],
    }
}

fn starting() -> Scene {
    Scene::start(SceneId(100), start())
}

fn running() -> Scene {
    let mut scene = starting();
    scene.step(START, Event::Started(Ok(())));
    scene
}

/// A user enters; the game admits everybody.
pub fn enter(scene: &mut Scene, now: Time, connection: ConnectionId, seat: u32) -> Vec<Effect> {
    let mut effects = scene.step(now, join(connection, token(seat)));
    if let [Effect::Admit { .. }] = effects[..] {
        effects = scene.step(now, Event::Admitted { seat, connection, request: 1, result: Ok(()) });
    }
    effects
}

pub fn join(connection: ConnectionId, token: SecretHash) -> Event {
    Event::ReqJoinScene { connection, request: 1, token, resume: None }
}

/// The user of seat 0 goes on with the line, having seen so much.
pub fn resume(connection: ConnectionId, seen: u32) -> Event {
    Event::ReqJoinScene { connection, request: 1, token: token(0), resume: Some(seen) }
}

/// The game says these to everybody; what goes out now, over which connection and with which number.
fn says(scene: &mut Scene, frames: impl IntoIterator<Item = u32>) -> Vec<(ConnectionId, u32)> {
    frames.into_iter().flat_map(|frame| scene.tell(|_| true, &frame, 100)).collect()
}

fn inside() -> Scene {
    let mut scene = running();
    enter(&mut scene, START, ADA, 0);
    scene
}

/// The same, in a fleet whose games end when they fail.
fn ending_on_crash() -> Scene {
    let limits = Fleet { on_crash: OnCrash::End, ..Fleet::default() };
    let mut scene = Scene::start(SceneId(100), Start { limits, ..start() });
    scene.step(START, Event::Started(Ok(())));
    enter(&mut scene, START, ADA, 0);
    scene
}

pub fn add_token(seat: u32, text: &str) -> Event {
    Event::Order(ToScene::AddToken { epoch: EPOCH, seat, token: SecretHash::of(text), until: START.plus_ms(TOKEN_MS) })
}

fn end(reason: EndReason) -> Event {
    Event::Order(ToScene::End { epoch: EPOCH, reason, results: Vec::new(), keep: false })
}

pub fn short(effect: &Effect) -> String {
    match effect {
        Effect::Admit { .. } => "ask the game".to_owned(),
        Effect::Game(event) => format!("game {}", table::variant(event)),
        Effect::Tell { notice: Notice::Refused(refusal) | Notice::Closing(refusal), .. } => {
            format!("tell {}", table::variant(refusal))
        }
        Effect::Tell { notice: Notice::Ended(ended), .. } => format!("tell Ended {}", ended.reason.name()),
        Effect::Tell { notice, .. } => format!("tell {}", table::variant(notice)),
        Effect::Repeat { seq, frame, .. } => format!("repeat {seq}: {frame}"),
        Effect::Show { connections, frame } => format!("show {frame} to {}", connections.len()),
        Effect::Complain(text) => format!("complain: {text}"),
        Effect::Close(_) => "close".to_owned(),
        Effect::Send(message) => table::short(message),
        Effect::Kept => "kept".to_owned(),
        Effect::Gone => "gone".to_owned(),
    }
}

fn shorts(effects: &[Effect]) -> Vec<String> {
    effects.iter().map(short).collect()
}

#[test]
fn a_user_enters_with_the_token_and_the_master_hears_of_it() {
    let mut scene = running();
    assert_eq!(shorts(&scene.step(START, join(ADA, token(0)))), ["ask the game"]);
    let effects = scene.step(START, Event::Admitted { seat: 0, connection: ADA, request: 1, result: Ok(()) });
    assert_eq!(shorts(&effects), ["tell Joined", "game Joined", "SceneMaster SynUserJoined"]);
    assert_eq!(scene.seat_of(ADA), Some(0));
    assert_eq!(scene.connections().collect::<Vec<_>>(), [(0, ADA)]);
}

#[test]
fn a_token_opens_its_seat_once_and_in_time() {
    let mut scene = inside();
    assert_eq!(shorts(&scene.step(START, join(BOB, token(0)))), ["tell BadToken"], "used");
    assert_eq!(shorts(&scene.step(START, join(BOB, SecretHash::of("guess")))), ["tell BadToken"]);
    let late = START.plus_ms(TOKEN_MS);
    assert_eq!(shorts(&scene.step(late, join(BOB, token(1)))), ["tell TokenExpired"]);
}

#[test]
fn an_order_that_comes_again_does_not_make_a_used_token_good_again() {
    let mut scene = running();
    scene.step(START, add_token(0, "way back"));
    let entered = scene.step(START, join(ADA, SecretHash::of("way back")));
    assert_eq!(shorts(&entered), ["ask the game"]);
    assert_eq!(shorts(&scene.step(START, add_token(0, "way back"))), ["SceneMaster ResAddToken"]);
    assert_eq!(shorts(&scene.step(START, join(BOB, SecretHash::of("way back")))), ["tell BadToken"]);
}

#[test]
fn the_game_may_keep_a_user_out() {
    let mut scene = running();
    scene.step(START, join(ADA, token(0)));
    let result = Err("only in a hat".to_owned());
    let effects = scene.step(START, Event::Admitted { seat: 0, connection: ADA, request: 1, result });
    assert_eq!(shorts(&effects), ["tell NotAdmitted", "game Left", "SceneMaster SynUserLeft"]);
}

#[test]
fn a_scene_whose_last_user_is_kept_out_asks_for_its_end() {
    let mut scene = running();
    scene.step(START, Event::Kick { seat: 1, reason: "a foul".to_owned() });
    scene.step(START, join(ADA, token(0)));
    let result = Err("only in a hat".to_owned());
    let effects = scene.step(START, Event::Admitted { seat: 0, connection: ADA, request: 1, result });
    let asked = ["tell NotAdmitted", "game Left", "SceneMaster SynUserLeft", "SceneMaster ReqAskDestroyScene"];
    assert_eq!(shorts(&effects), asked);
}

#[test]
fn a_scene_whose_users_are_gone_before_it_has_begun_asks_for_its_end() {
    let mut scene = starting();
    for seat in [0, 1] {
        scene.step(START, Event::Order(ToScene::RemoveUser { epoch: EPOCH, seat, reason: EndReason::AccountClosed }));
    }
    let effects = scene.step(START, Event::Started(Ok(())));
    assert_eq!(shorts(&effects), ["SceneService ResStart", "SceneMaster ReqAskDestroyScene"]);
}

#[test]
fn a_dropped_user_returns_with_a_new_token_and_the_game_hears_resumed() {
    let mut scene = inside();
    assert_eq!(shorts(&scene.step(START, Event::Closed { connection: ADA })), ["game Dropped"]);
    assert_eq!(shorts(&scene.step(START, add_token(0, "new"))), ["SceneMaster ResAddToken"]);
    assert_eq!(shorts(&scene.step(START, join(BOB, SecretHash::of("new")))), ["tell Joined", "game Resumed"]);
    assert_eq!(scene.seat_of(BOB), Some(0));
}

#[test]
fn who_returns_with_the_last_number_gets_exactly_what_was_missed_and_the_game_hears_that_it_is_all() {
    let mut scene = inside();
    assert_eq!(says(&mut scene, [10, 20]), [(ADA, 1), (ADA, 2)]);
    scene.step(START, Event::Closed { connection: ADA });
    assert_eq!(says(&mut scene, [30, 40]), [], "nobody is there");
    let effects = scene.step(START, resume(BOB, 1));
    assert_eq!(shorts(&effects), ["tell Joined", "repeat 2: 20", "repeat 3: 30", "repeat 4: 40", "game Resumed"]);
    assert_eq!(effects[4], Effect::Game(GameEvent::Resumed { seat: 0, missed: false }));
    assert_eq!(says(&mut scene, [50]), [(BOB, 5)]);
}

#[test]
fn who_has_missed_more_than_is_kept_is_told_so_and_the_game_gives_its_whole_state() {
    let mut scene = inside();
    says(&mut scene, 0..1_000);
    let effects = scene.step(START, resume(BOB, 1));
    assert_eq!(shorts(&effects), ["tell Joined", "tell TakenOver", "game Dropped", "game Resumed"]);
    assert_eq!(effects[3], Effect::Game(GameEvent::Resumed { seat: 0, missed: true }));
    let after_seq = |effects: &[Effect]| match &effects[0] {
        Effect::Tell { notice: Notice::Joined { resumed, after_seq, .. }, .. } => (*resumed, *after_seq),
        other => panic!("{other:?}"),
    };
    let (resumed, after) = after_seq(&effects);
    assert!(!resumed && after > 1_000);
    assert_eq!(says(&mut scene, [7]), [(BOB, after + 1)]);
    // The answer was lost: who comes with the old number once more has still missed the state.
    for seen in [1, 1_000] {
        let (resumed, _) = after_seq(&scene.step(START, resume(ADA, seen)));
        assert!(!resumed, "{seen}");
    }
}

#[test]
fn a_stale_connection_gives_way_without_the_game_noticing() {
    let mut scene = inside();
    says(&mut scene, [10]);
    assert_eq!(shorts(&scene.step(START, resume(BOB, 0))), ["tell Joined", "repeat 1: 10", "tell TakenOver"]);
    assert_eq!(shorts(&scene.step(START, Event::Closed { connection: ADA })), [] as [&str; 0]);
    assert_eq!(scene.connections().collect::<Vec<_>>(), [(0, BOB)]);
}

#[test]
fn an_answer_that_was_lost_is_asked_for_again() {
    let mut scene = running();
    // The token was not used yet: it opens the seat, whatever the client says that it has seen.
    assert_eq!(shorts(&scene.step(START, resume(ADA, 0))), ["ask the game"]);
    scene.step(START, Event::Admitted { seat: 0, connection: ADA, request: 1, result: Ok(()) });
    scene.step(START, Event::Closed { connection: ADA });
    says(&mut scene, [10]);
    assert_eq!(shorts(&scene.step(START, resume(BOB, 0))), ["tell Joined", "repeat 1: 10", "game Resumed"]);
}

#[test]
fn what_was_seen_is_let_go_of() {
    let mut scene = inside();
    says(&mut scene, 0..200);
    scene.heard(START, 0, 150);
    says(&mut scene, 200..400);
    // 150 to 400 are within what is kept.
    let repeats = scene.clone().step(START, resume(BOB, 150));
    assert_eq!(repeats.iter().filter(|effect| matches!(effect, Effect::Repeat { .. })).count(), 250);
    assert!(!shorts(&scene.step(START, resume(BOB, 149))).iter().any(|it| it.starts_with("repeat")));
}

#[test]
fn messages_of_a_user_are_counted_over_the_whole_line() {
    let mut scene = inside();
    let received = |effects: &[Effect]| match &effects[0] {
        Effect::Tell { notice: Notice::Joined { received, .. }, .. } => *received,
        other => panic!("{other:?}"),
    };
    for _ in 0..3 {
        scene.count_message(0);
    }
    scene.step(START, Event::Closed { connection: ADA });
    assert_eq!(received(&scene.step(START, resume(BOB, 0))), 3);
    scene.count_message(0);
    assert_eq!(received(&scene.step(START, resume(ADA, 77))), 4, "also when frames begin anew");
    scene.step(START, add_token(0, "new"));
    assert_eq!(received(&scene.step(START, join(BOB, SecretHash::of("new")))), 0, "another client counts anew");
}

#[test]
fn who_comes_back_and_says_nothing_does_not_win_time() {
    let grace_ms = Fleet::default().grace_ms;
    let mut scene = inside();
    scene.step(START, Event::Closed { connection: ADA });
    let later = START.plus_ms(grace_ms - 1);
    scene.step(later, resume(BOB, 0));
    let mut silent = scene.clone();
    silent.step(later, Event::Closed { connection: BOB });
    assert_eq!(silent.deadline(), Some(START.plus_ms(grace_ms)));
    scene.heard(later, 0, 0);
    scene.step(later, Event::Closed { connection: BOB });
    assert_eq!(scene.seat_name(0), "Dropped");
    assert_eq!(shorts(&scene.step(START.plus_ms(grace_ms), resume(ADA, 0))), ["tell Joined", "game Resumed"]);
}

#[test]
fn after_the_grace_period_there_is_no_seat_to_come_back_to() {
    let mut scene = inside();
    scene.step(START, Event::Closed { connection: ADA });
    let late = START.plus_ms(Fleet::default().grace_ms);
    // The scene's own tick has not come yet.
    let expected = ["tell NoSeat", "game Left", "SceneMaster SynUserLeft"];
    assert_eq!(shorts(&scene.step(late, resume(ADA, 0))), expected);
    assert_eq!(shorts(&scene.step(late, resume(ADA, 0))), ["tell BadToken"]);
}

#[test]
fn a_used_token_goes_on_with_its_own_line_only() {
    let mut scene = inside();
    scene.step(START, add_token(0, "new"));
    scene.step(START, join(BOB, SecretHash::of("new")));
    assert_eq!(shorts(&scene.step(START, resume(ADA, 0))), ["tell BadToken"], "another client has the seat");
}

#[test]
fn a_newer_connection_takes_the_seat_over() {
    let mut scene = inside();
    scene.step(START, add_token(0, "new"));
    let effects = scene.step(START, join(BOB, SecretHash::of("new")));
    assert_eq!(shorts(&effects), ["tell Joined", "tell TakenOver", "game Dropped", "game Resumed"]);
    assert_eq!(shorts(&scene.step(START, Event::Closed { connection: ADA })), [] as [&str; 0]);
}

#[test]
fn seats_are_given_up_when_their_time_has_passed_and_an_empty_scene_asks_for_its_end() {
    let mut scene = inside();
    scene.step(START, Event::Closed { connection: ADA });
    let grace = START.plus_ms(Fleet::default().grace_ms);
    assert_eq!(scene.deadline(), Some(grace));
    assert_eq!(shorts(&scene.step(grace, Event::Tick)), ["game Left", "SceneMaster SynUserLeft"]);
    let late = START.plus_ms(TOKEN_MS);
    let effects = scene.step(late, Event::Tick);
    let expected = ["game Left", "SceneMaster SynUserLeft", "SceneMaster ReqAskDestroyScene"];
    assert_eq!(shorts(&effects), expected);
    assert_eq!(effects[0], Effect::Game(GameEvent::Left(1, EndReason::NeverJoined)));
    assert_eq!(shorts(&scene.step(late.plus_ms(ASK_AGAIN_MS), Event::Tick)), ["SceneMaster ReqAskDestroyScene"]);
}

#[test]
fn a_finished_scene_waits_for_the_order_and_then_tells_everyone() {
    let mut scene = inside();
    assert_eq!(shorts(&scene.step(START, Event::Finish(Vec::new()))), ["SceneMaster ReqAskDestroyScene"]);
    assert!(!scene.is_open());
    assert_eq!(shorts(&scene.step(START, join(BOB, token(1)))), ["tell SceneEnded"]);
    let effects = scene.step(START, end(EndReason::Finished));
    assert_eq!(shorts(&effects), ["tell Ended Finished", "close", "SceneService ResEnd", "gone"]);
}

#[test]
fn a_session_that_is_over_leaves_nobody_in_the_instance_that_is_kept() {
    let mut scene = inside();
    scene.step(START, Event::Finish(Vec::new()));
    let order = ToScene::End { epoch: EPOCH, reason: EndReason::Finished, results: Vec::new(), keep: true };
    let effects = scene.step(START, Event::Order(order));
    assert_eq!(shorts(&effects), ["tell Ended Finished", "close", "SceneService ResEnd", "kept"]);
    assert_eq!((scene.seat_of(ADA), scene.connections().count()), (None, 0));
    assert_eq!(shorts(&scene.step(START, join(BOB, token(1)))), ["tell SceneEnded"]);
    assert!(scene.step(START, Event::Closed { connection: ADA }).is_empty());
    assert_eq!(shorts(&scene.step(START, end(EndReason::Idle))), ["SceneService ResEnd", "gone"]);
}

/// A game that could not go on if it began anew ends, whatever its fleet says of crashes.
fn given_up(scene: &mut Scene) {
    let effects = scene.step(START, Event::GivenUp("nothing can be saved now".to_owned()));
    assert_eq!(shorts(&effects), ["tell Ended Crashed", "close", "SceneMaster ReqAskDestroyScene"]);
    assert_eq!(shorts(&scene.step(START, join(BOB, token(1)))), ["tell SceneEnded"]);
}

#[test]
fn who_plays_a_game_that_fails_is_told_at_once_and_once() {
    for mut scene in [inside(), ending_on_crash()] {
        given_up(&mut scene);
    }
    let mut scene = ending_on_crash();
    let failed = || Event::Failed("it has to save, and nothing can be saved now".to_owned());
    let effects = scene.step(START, failed());
    assert_eq!(shorts(&effects), ["tell Ended Crashed", "close", "SceneMaster ReqAskDestroyScene"]);
    for event in [failed(), Event::Finish(Vec::new()), Event::Closed { connection: ADA }] {
        assert_eq!(shorts(&scene.step(START, event)), [] as [&str; 0]);
    }
    // SceneMaster may hear of it late, and until then the scene is on its books.
    let again = scene.step(START.plus_ms(ASK_AGAIN_MS), Event::Tick);
    assert_eq!(shorts(&again), ["SceneMaster ReqAskDestroyScene"]);
    let reason = EndReason::Crashed("it has to save, and nothing can be saved now".to_owned());
    assert_eq!(shorts(&scene.step(START, end(reason))), ["SceneService ResEnd", "gone"]);
}

#[test]
fn who_plays_a_game_that_begins_anew_is_told_so_and_not_that_it_is_over() {
    let mut scene = inside();
    let effects = scene.step(START, Event::Failed("trap".to_owned()));
    assert_eq!(shorts(&effects), ["tell Restarting", "SceneMaster ReqAskDestroyScene"]);
    assert_eq!(shorts(&scene.step(START, join(BOB, token(1)))), ["tell Restarting"], "who comes meanwhile, too");
    let reason = EndReason::Crashed("trap".to_owned());
    assert_eq!(shorts(&scene.step(START, end(reason))), ["SceneService ResEnd", "gone"]);
}

#[test]
fn a_game_that_was_over_already_does_not_fail() {
    let mut finished = inside();
    finished.step(START, Event::Finish(Vec::new()));
    assert_eq!(shorts(&finished.step(START, Event::Failed("trap".to_owned()))), [] as [&str; 0]);
    let mut stopping = inside();
    stopping.step(START, end(EndReason::Stopped));
    let expected = ["tell Ended Stopped", "close", "SceneService ResEnd", "gone"];
    assert_eq!(shorts(&stopping.step(START, Event::Failed("trap".to_owned()))), expected, "as it was ordered");
}

#[test]
fn a_scene_stopped_from_outside_may_say_its_last_words() {
    let mut scene = inside();
    assert_eq!(shorts(&scene.step(START, end(EndReason::Stopped))), ["game Stopping"]);
    assert!(scene.is_open());
    let expected = ["tell Ended Stopped", "close", "SceneService ResEnd", "gone"];
    let finished = shorts(&scene.clone().step(START, Event::Finish(Vec::new())));
    assert_eq!(finished[0], "SceneMaster ReqAskDestroyScene", "the results are not lost");
    assert_eq!(finished[1..], expected);
    let grace = START.plus_ms(u64::from(Fleet::default().stop_grace_ms));
    assert_eq!(shorts(&scene.step(grace, Event::Tick)), expected);
}

#[test]
fn an_order_for_another_incarnation_is_passed_over() {
    let mut scene = inside();
    let order = ToScene::End { epoch: Epoch(2), reason: EndReason::Stopped, results: Vec::new(), keep: false };
    assert_eq!(shorts(&scene.step(START, Event::Order(order))), [] as [&str; 0]);
}

/// What SceneMaster hears of a game's searches: their numbers, and how many kinds of places.
fn searches(effects: &[Effect]) -> Vec<(u64, usize)> {
    let searches = effects.iter().filter_map(|effect| match effect {
        Effect::Send(message) => match &**message {
            Message::SceneMaster(scene_master::Event::SynSeekPlayers { number, openings, .. }) => {
                Some((*number, openings.len()))
            }
            _ => None,
        },
        _ => None,
    });
    searches.collect()
}

#[test]
fn a_game_may_change_its_search_once_a_second_and_end_it_at_once() {
    let seek = |places| {
        Event::SeekPlayers((0..places).map(|team| Opening { count: 1, team: Some(team), role: None }).collect())
    };
    let mut scene = inside();
    assert_eq!(searches(&scene.step(START, seek(0))), [], "it has sought nobody");
    assert_eq!(searches(&scene.step(START, seek(1))), [(1, 1)]);
    assert_eq!(searches(&scene.step(START, seek(2))), []);
    assert_eq!(searches(&scene.step(START, seek(3))), []);
    let next = START.plus_ms(SEARCH_MS_MIN);
    assert_eq!(scene.deadline(), Some(next));
    assert_eq!(searches(&scene.step(next, Event::Tick)), [(2, 3)], "the newest");
    assert_eq!(searches(&scene.step(next, seek(0))), [(3, 0)]);
    let report = |anew| Event::Order(ToScene::Report { epoch: EPOCH, anew });
    assert_eq!(searches(&scene.step(next, report(false))), [(3, 0)], "it may have been lost");
    assert_eq!(searches(&inside().step(START, report(true))), []);
}

#[test]
fn a_scene_that_was_not_made_by_a_match_neither_seeks_players_nor_knows_where_they_play_next() {
    let mut scene = Scene::start(SceneId(100), Start { domain: None, ..start() });
    scene.step(START, Event::Started(Ok(())));
    enter(&mut scene, START, ADA, 0);
    let seek = Event::SeekPlayers(vec![Opening { count: 1, team: None, role: None }]);
    let next =
        |domain: Option<&str>| Event::MatchAgain { seats: vec![0], domain: domain.map(<_>::from), together: false };
    for event in [seek, next(None)] {
        let effects = scene.step(START, event);
        assert!(matches!(&effects[..], [Effect::Complain(_)]), "{effects:?}");
    }
    let told = shorts(&scene.step(START, next(Some("gomoku"))));
    assert!(told.iter().any(|it| it.contains("SynMatchAgain")), "{told:?}");
}

#[test]
fn who_is_sent_on_leaves_and_the_results_count_all_the_same() {
    let mut scene = inside();
    enter(&mut scene, START, BOB, 1);
    let seats = vec![1, 1, 0, 7];
    let effects = scene.step(START, Event::MatchAgain { seats, domain: None, together: true });
    let game = effects.iter().filter(|effect| matches!(effect, Effect::Game(GameEvent::Left(_, EndReason::NextMatch))));
    assert_eq!(game.count(), 2);
    let sent = effects.iter().find_map(|effect| match effect {
        Effect::Send(message) => match &**message {
            Message::SceneMaster(scene_master::Event::SynMatchAgain { seats, domain, together, .. }) => {
                Some((seats.clone(), domain.as_str().to_owned(), *together))
            }
            _ => None,
        },
        _ => None,
    });
    assert_eq!(sent, Some((vec![1, 0], "gomoku".to_owned(), true)), "{:?}", shorts(&effects));
    let told = shorts(&effects);
    assert_eq!(told.iter().filter(|it| *it == "tell Ended NextMatch").count(), 2, "{told:?}");
    assert!(!told.iter().any(|it| it.contains("SynUserLeft")), "SceneMaster hears of it once: {told:?}");
    // The game is over in the same step, when nobody is left to play it.
    let result = PlayerResult { seat: 0, place: 1, score: 1 };
    let told = shorts(&scene.step(START, Event::Finish(vec![result])));
    assert!(told.iter().any(|it| it.contains("ReqAskDestroyScene")), "{told:?}");
}

#[test]
fn every_state_and_event() {
    let dropped = {
        let mut scene = inside();
        scene.step(START, Event::Closed { connection: ADA });
        scene
    };
    let resumed = {
        let mut scene = dropped.clone();
        scene.step(START, resume(ADA, 0));
        scene
    };
    let asked = {
        let mut scene = inside();
        scene.step(START, Event::Finish(Vec::new()));
        scene
    };
    let stopping = {
        let mut scene = inside();
        scene.step(START, end(EndReason::Stopped));
        scene
    };
    let ended = {
        let mut scene = asked.clone();
        scene.step(START, end(EndReason::Finished));
        scene
    };
    let keep = ToScene::End { epoch: EPOCH, reason: EndReason::Finished, results: Vec::new(), keep: true };
    let kept = {
        let mut scene = asked.clone();
        scene.step(START, Event::Order(keep.clone()));
        scene
    };
    let refused = || Err(scenehost_core::Refusal::Internal("x".into()));
    let newcomer = || {
        let player =
            Player { seat: 2, user: UserId(20), name: "Eve".to_owned(), rating: 1500, team: 0, role: None, party: 0 };
        SeatGrant { player, token: token(2), until: START.plus_ms(TOKEN_MS) }
    };
    let add_spectator = || {
        let (user, until) = (UserId(21), START.plus_ms(TOKEN_MS));
        Event::Order(ToScene::AddSpectator { epoch: EPOCH, user, token: token(9), until })
    };
    let watch = || Event::ReqWatchScene { connection: ConnectionId(3), request: 1, token: token(9) };
    let kick = || Event::Kick { seat: 0, reason: "afk".to_owned() };
    let remove = |epoch| Event::Order(ToScene::RemoveUser { epoch, seat: 0, reason: EndReason::AccountClosed });
    table::check(
        "scene",
        &[
            ("Starting", starting()),
            ("Running, seat 0 expected", running()),
            ("Running, seat 0 inside", inside()),
            ("Running, seat 0 dropped", dropped),
            ("Running, seat 0 resumed", resumed),
            ("Asked", asked),
            ("Stopping", stopping),
            ("Kept", kept),
            ("Ended", ended),
        ],
        &[
            ("Started", Event::Started(Ok(()))),
            ("Started, refused", Event::Started(refused())),
            ("ReqJoinScene, seat 0", join(ConnectionId(3), token(0))),
            ("ReqJoinScene, seat 0, after a frame", resume(ConnectionId(3), 0)),
            ("ReqJoinScene, seat 0, after a frame that is not known", resume(ConnectionId(3), 9)),
            ("ReqJoinScene, seat 1", join(BOB, token(1))),
            ("Admitted, seat 1", Event::Admitted { seat: 1, connection: BOB, request: 1, result: Ok(()) }),
            (
                "Admitted, refused",
                Event::Admitted { seat: 1, connection: BOB, request: 1, result: Err("no".to_owned()) },
            ),
            ("ReqLeaveScene", Event::ReqLeaveScene { connection: ADA, request: 2 }),
            ("Closed", Event::Closed { connection: ADA }),
            ("Closed, unknown", Event::Closed { connection: ConnectionId(9) }),
            ("Kick", kick()),
            ("Finish", Event::Finish(Vec::new())),
            ("Failed", Event::Failed("trap".to_owned())),
            ("RemoveUser", remove(EPOCH)),
            ("RemoveUser, other epoch", remove(Epoch(EPOCH.0 + 1))),
            ("Report", Event::Order(ToScene::Report { epoch: EPOCH, anew: true })),
            ("Report, other epoch", Event::Order(ToScene::Report { epoch: Epoch(EPOCH.0 + 1), anew: false })),
            ("AddToken", add_token(0, "new")),
            ("AddSeats", Event::Order(ToScene::AddSeats { epoch: EPOCH, seats: vec![newcomer()] })),
            ("AddSpectator", add_spectator()),
            ("ReqWatchScene", watch()),
            ("Label", Event::Label(r#"{"map":"ice"}"#.to_owned())),
            ("End Finished", end(EndReason::Finished)),
            ("End Finished, kept", Event::Order(keep)),
            ("End Stopped", end(EndReason::Stopped)),
            ("Drain", Event::Order(ToScene::Drain { epoch: EPOCH, grace_ms: 5 })),
            ("Tick, all deadlines passed", Event::Tick),
        ],
        |state, event| {
            let mut scene = state.clone();
            let now = if *event == Event::Tick { START.plus_ms(600_000) } else { START };
            let effects = scene.step(now, event.clone());
            let state = format!("{}/{}", scene.phase_name(), scene.seat_name(0));
            match effects.is_empty() {
                true => format!("{state}: –"),
                false => format!("{state}: {}", shorts(&effects).join(", ")),
            }
        },
    );
}

/// Whatever happens in whatever order: the game hears of each player as the contract says, and a
/// connection is in at most one seat.
#[test]
fn the_game_hears_of_players_in_turn() {
    use proptest::prelude::*;
    let event = prop_oneof![
        (1..5u64, 0..2u32).prop_map(|(connection, seat)| join(ConnectionId(connection), token(seat))),
        (1..5u64, 0..2u32)
            .prop_map(|(connection, seat)| join(ConnectionId(connection), SecretHash::of(&format!("new {seat}")))),
        (1..5u64, 0..3u32).prop_map(|(connection, seen)| resume(ConnectionId(connection), seen)),
        (1..5u64).prop_map(|connection| Event::Closed { connection: ConnectionId(connection) }),
        (1..5u64).prop_map(|connection| Event::ReqLeaveScene { connection: ConnectionId(connection), request: 1 }),
        (0..2u32).prop_map(|seat| add_token(seat, &format!("new {seat}"))),
        (0..3u32).prop_map(|seat| Event::Kick { seat, reason: String::new() }),
        Just(Event::Tick),
        Just(end(EndReason::Stopped)),
        Just(Event::Finish(Vec::new())),
    ];
    proptest!(|(events in prop::collection::vec((event, 0..20_000u64), 0..40))| {
        let mut scene = running();
        let mut now = START;
        let mut heard = [""; 2];
        for (event, wait_ms) in events {
            now = now.plus_ms(wait_ms);
            let mut waiting = vec![event];
            while let Some(event) = waiting.pop() {
                // A connection asks to enter once.
                if let Event::ReqJoinScene { connection, .. } = &event && scene.seat_of(*connection).is_some() {
                    continue;
                }
                for effect in scene.step(now, event) {
                    match effect {
                        Effect::Admit { player, connection, request } => {
                            waiting.push(Event::Admitted { seat: player.seat, connection, request, result: Ok(()) });
                        }
                        Effect::Game(event) => {
                            let (seat, next) = match &event {
                                GameEvent::Joined(player) => (player.seat, "inside"),
                                GameEvent::Dropped(seat) => (*seat, "dropped"),
                                GameEvent::Resumed { seat, .. } => (*seat, "inside again"),
                                GameEvent::Left(seat, _) => (*seat, "left"),
                                GameEvent::Stopping { .. } | GameEvent::Watched => continue,
                            };
                            let before = heard[seat as usize];
                            let allowed = match next {
                                "inside" => before.is_empty(),
                                "dropped" => before.starts_with("inside"),
                                "inside again" => before == "dropped",
                                _ => before != "left",
                            };
                            prop_assert!(allowed, "seat {} was {:?}, now {:?}", seat, before, next);
                            heard[seat as usize] = next;
                        }
                        Effect::Send(message) => {
                            let to_users = matches!(*message, Message::User(_));
                            prop_assert!(!to_users, "a scene tells its users by its own connections");
                        }
                        _ => {}
                    }
                }
            }
            let inside: Vec<_> = scene.connections().collect();
            let mut connections: Vec<_> = inside.iter().map(|(_, connection)| *connection).collect();
            connections.dedup();
            prop_assert_eq!(connections.len(), inside.len());
        }
    });
}
