//! Results: recorded once, whatever is repeated or lost; ratings, leaderboards, seasons, histories.

use std::collections::BTreeMap;

use scenehost_core::db::{Answer, Asker, Caller, Entered, Event, News, Request, Rules};
use scenehost_core::profile::{self, Profile};
use scenehost_core::record::{SceneRecord, UserRecord};
use scenehost_core::results::board::{Board, Kind};
use scenehost_core::results::finished::{Finished, Ratings, ratings_key};
use scenehost_core::results::history::{self, KEPT_MAX, Match};
use scenehost_core::results::ranking::Order;
use scenehost_core::results::rating::{Level, Rating};
use scenehost_core::results::season::Reset;
use scenehost_core::results::standing::{Page, Row};
use scenehost_core::results::{self, Part};
use scenehost_core::{AllocationId, DomainName, Message, Player, PlayerResult, Refusal, SceneId, Time, UserId, record};
use serde_json::json;

use crate::consistency::found;
use crate::desk::Desk;

fn board(kind: Kind, order: Order, reset: Reset) -> Board {
    Board { domain: "gomoku".into(), kind, order, reset, entries_max: 1_000 }
}

/// Two rated domains, one that is not, and a leaderboard of each kind over the first.
pub fn rules() -> Rules {
    let boards = [
        ("rating", board(Kind::Rating, Order::Highest, Reset::Never)),
        ("best", board(Kind::ScoreBest, Order::Lowest, Reset::Never)),
        ("sum", board(Kind::ScoreSum, Order::Highest, Reset::Daily)),
        ("wins", board(Kind::Wins, Order::Highest, Reset::Weekly)),
        ("other", Board { domain: "casual".into(), ..board(Kind::ScoreSum, Order::Highest, Reset::Never) }),
    ];
    let rated = [("gomoku", true), ("chess", true), ("casual", false)];
    Rules {
        results: results::Rules {
            rated: rated.map(|(name, rated)| (DomainName::from(name), rated)).into(),
            boards: boards.map(|(name, board)| (name.to_owned(), board)).into(),
        },
        ..Rules::default()
    }
}

pub fn desk() -> Desk {
    desk_of(rules(), 1_200)
}

/// The users with the numbers below this one have been in the lobby.
pub fn desk_of(rules: Rules, users: u64) -> Desk {
    let mut desk = Desk::new(rules);
    for user in 0..users {
        let profile = Profile { name: format!("User {user}"), ..Profile::default() };
        desk.store.insert(profile::key(UserId(user)), record::encode(&profile));
    }
    desk
}

/// What is stored besides those profiles.
pub fn kept(desk: &Desk) -> BTreeMap<String, Vec<u8>> {
    let kept = desk.store.iter().filter(|(key, _)| !key.starts_with("profile/"));
    kept.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn player(seat: u32, user: u64, team: u32) -> Player {
    Player { seat, user: UserId(user), name: format!("User {user}"), rating: 1500, team, role: None, party: 0 }
}

/// A game of these users: who, in which team, at which place, with which score.
pub fn game_of(domain: &str, ended: Time, rows: &[(u64, u32, u32, i64)]) -> Finished {
    let seats = || (0..).zip(rows);
    let result = |(seat, (_, _, place, score)): (u32, &_)| PlayerResult { seat, place: *place, score: *score };
    Finished {
        scene: SceneId(7),
        domain: domain.into(),
        ended,
        players: seats().map(|(seat, (user, team, ..))| player(seat, *user, *team)).collect(),
        results: seats().map(result).collect(),
    }
}

/// The first user wins against the second.
pub fn duel(desk: &Desk, winner: u64, loser: u64) -> Finished {
    game_of("gomoku", desk.world.now, &[(winner, 0, 1, 10), (loser, 1, 2, 4)])
}

/// Each game has a scene with the number of its allocation.
pub fn record(desk: &mut Desk, number: u64, finished: Finished) {
    let (allocation, finished) = (AllocationId(number), Finished { scene: SceneId(number), ..finished });
    let request = Request::Results(results::Request::Record { allocation, finished });
    assert_eq!(desk.ask(Caller::Host, request), Ok(Answer::Done));
}

fn rating(desk: &Desk, user: u64, domain: &str) -> Option<Rating> {
    let key = ratings_key(UserId(user));
    let ratings: Ratings = record::decode(&key, desk.store.get(&key)?).unwrap();
    ratings.domains.get(&DomainName::from(domain)).copied()
}

pub fn page(desk: &mut Desk, board: &str, season: Option<&str>, part: Part) -> Result<Page, Refusal> {
    let season = season.map(str::to_owned);
    let request = results::Request::Page { board: board.to_owned(), season, part };
    match desk.ask_as(1, Request::Results(request))? {
        Answer::Results(results::Answer::Page(page)) => Ok(page),
        other => panic!("{other:?}"),
    }
}

/// All of a leaderboard: rank, user, score.
pub fn all(desk: &mut Desk, board: &str) -> Vec<(u32, u64, i64)> {
    let part = Part::From { rank: 1, limit: 100 };
    let request = results::Request::Page { board: board.to_owned(), season: None, part };
    let answer = desk.ask(Caller::Operator, Request::Results(request));
    let Ok(Answer::Results(results::Answer::Page(page))) = answer else { panic!("{answer:?}") };
    page.rows.iter().map(|Row { rank, user, score, .. }| (*rank, user.0, *score)).collect()
}

fn matches(desk: &mut Desk, user: u64, skip: u32, limit: u32) -> (Vec<Match>, u32) {
    match desk.ask_as(user, Request::Results(results::Request::History { user: None, skip, limit })).unwrap() {
        Answer::Results(results::Answer::History(matches, kept)) => (matches, kept),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_game_changes_ratings_leaderboards_and_histories_and_tells_its_players() {
    let mut desk = desk();
    let ended = desk.world.now;
    let game = duel(&desk, 1, 2);
    record(&mut desk, 7, game);
    let after = [1, 2].map(|user| rating(&desk, user, "gomoku").unwrap());
    assert_eq!((after[0].games, after[0].wins, after[1].losses), (1, 1, 1));
    assert!(after[0].rating > 1_600.0 && after[1].rating < 1_400.0, "{after:?}");
    let change = after[0].rounded() - 1_500;
    let told = |place, change: i32| {
        let (domain, rating) = ("gomoku".into(), 1_500 + change);
        News::Results(results::News { domain, rating, games: 1, change, place, ended })
    };
    assert_eq!(desk.news, [(UserId(1), told(1, change)), (UserId(2), told(2, -change))]);

    assert_eq!(all(&mut desk, "rating"), [(1, 1, i64::from(1_500 + change)), (2, 2, i64::from(1_500 - change))]);
    assert_eq!(all(&mut desk, "best"), [(1, 2, 4), (2, 1, 10)], "low scores are better there");
    assert_eq!(all(&mut desk, "sum"), [(1, 1, 10), (2, 2, 4)]);
    assert_eq!(all(&mut desk, "wins"), [(1, 1, 1)]);
    assert_eq!(all(&mut desk, "other"), []);

    let (of_loser, kept) = matches(&mut desk, 2, 0, 16);
    let [only] = &of_loser[..] else { panic!("{of_loser:?}") };
    assert_eq!((only.scene, only.ended, only.players_count, kept), (SceneId(7), ended, 2, 1));
    assert_eq!((only.own.place, only.own.score, only.own.change), (2, 4, -change));
    assert_eq!(only.players.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["User 1", "User 2"]);
}

#[test]
fn results_that_come_twice_change_nothing_the_second_time() {
    let mut desk = desk();
    let game = duel(&desk, 1, 2);
    record(&mut desk, 7, game.clone());
    let (store, told) = (desk.store.clone(), desk.news.len());
    desk.world.pass_ms(1_000);
    record(&mut desk, 7, game.clone());
    desk.crash();
    record(&mut desk, 7, game);
    assert_eq!((desk.store == store, desk.news.len()), (true, told));
    assert_eq!(all(&mut desk, "wins"), [(1, 1, 1)]);
}

#[test]
fn a_crash_between_any_two_steps_leaves_a_game_recorded_whole_or_not_at_all_and_once_in_the_end() {
    let whole = {
        let mut desk = desk();
        let game = duel(&desk, 1, 2);
        record(&mut desk, 7, game);
        kept(&desk)
    };
    for steps in 0..12 {
        let mut desk = desk();
        let finished = duel(&desk, 1, 2);
        let request =
            Request::Results(results::Request::Record { allocation: AllocationId(7), finished: finished.clone() });
        let number = desk.begin(Caller::Host, request);
        for _ in 0..steps {
            desk.sync_one();
        }
        desk.crash();
        if desk.answer(number).is_some() {
            assert_eq!(kept(&desk), whole, "after {steps} steps");
        }
        assert!(kept(&desk).is_empty() || kept(&desk) == whole, "after {steps} steps");
        // SceneMaster repeats it.
        record(&mut desk, 7, finished);
        assert_eq!(kept(&desk), whole, "after {steps} steps");
        assert_eq!(all(&mut desk, "sum"), [(1, 1, 10), (2, 2, 4)]);
    }
}

#[test]
fn scene_master_is_answered_and_asked_to_come_again_while_db_is_down() {
    let mut desk = desk();
    let ask = |desk: &mut Desk| {
        let finished = duel(desk, 1, 2);
        let request = Box::new(Request::Results(results::Request::Record { allocation: AllocationId(7), finished }));
        desk.tell(Event::Req {
            caller: Caller::Host,
            asker: Asker::SceneMaster { allocation: AllocationId(7) },
            request,
        });
        desk.settle();
        std::mem::take(&mut desk.said)
    };
    let service = |up| Event::Service { service: scenehost_core::ServiceName::Db, up };
    let answered = |result| {
        [Message::SceneMaster(scenehost_core::scene_master::Event::ResRecord { allocation: AllocationId(7), result })]
    };
    desk.tell(service(false));
    let down = Refusal::ServiceDown(scenehost_core::ServiceName::Db);
    assert_eq!(ask(&mut desk), answered(Err(down)));
    desk.tell(service(true));
    assert_eq!(ask(&mut desk), answered(Ok(())));
}

#[test]
fn records_of_older_versions_can_be_read() {
    let user = br#"{"name":"Ada","created":5,"ratings":{"gomoku":1600}}"#;
    let expected = UserRecord { name: "Ada".to_owned(), created: Time(5) };
    assert_eq!(record::decode::<UserRecord>("user/1", user).unwrap(), expected);
    let scene = br#"{"epoch":1,"fleet":"f","node":1,"state":"Running","deadline":null,"users":[1]}"#;
    assert_eq!(record::decode::<SceneRecord>("scene/1", scene).unwrap().users, [UserId(1)]);
}

#[test]
fn a_draw_is_nobodys_win_and_between_equals_changes_no_rating() {
    let mut desk = desk();
    let now = desk.world.now;
    record(&mut desk, 7, game_of("gomoku", now, &[(1, 0, 1, 0), (2, 1, 1, 0)]));
    let after = [1, 2].map(|user| rating(&desk, user, "gomoku").unwrap());
    assert_eq!(after.map(|it| (it.rounded(), it.draws)), [(1_500, 1), (1_500, 1)]);
    assert_eq!(all(&mut desk, "wins"), []);
}

#[test]
fn a_team_wins_as_one_and_in_a_free_for_all_each_plays_alone() {
    let mut desk = desk();
    let now = desk.world.now;
    // The second of the winning team has a bad place of its own.
    let teams = [(1, 0, 1, 0), (2, 0, 4, 0), (3, 1, 2, 0), (4, 1, 3, 0)];
    record(&mut desk, 7, game_of("gomoku", now, &teams));
    let after = [1, 2, 3, 4].map(|user| rating(&desk, user, "gomoku").unwrap());
    assert_eq!(after.map(|it| it.wins), [1, 1, 0, 0]);
    assert!(after[1].rating > 1_500.0 && after[2].rating < 1_500.0, "{after:?}");
    assert_eq!(all(&mut desk, "wins").iter().map(|(_, user, _)| *user).collect::<Vec<_>>(), [1, 2]);

    record(&mut desk, 8, game_of("gomoku", now, &[(5, 0, 2, 0), (6, 0, 1, 0), (7, 0, 3, 0)]));
    let after = [5, 6, 7].map(|user| rating(&desk, user, "gomoku").unwrap().rating);
    assert!(after[1] > after[0] && after[0] > after[2], "{after:?}");
}

#[test]
fn games_of_a_domain_that_is_not_rated_or_not_there_or_of_one_change_no_rating_and_are_remembered() {
    let mut desk = desk();
    let now = desk.world.now;
    let rows = [(1, 0, 1, 5), (2, 1, 2, 3)];
    record(&mut desk, 7, game_of("casual", now, &rows));
    record(&mut desk, 8, game_of("removed", now, &rows));
    record(&mut desk, 9, game_of("gomoku", now, &rows[..1]));
    assert!(!desk.store.keys().any(|key| key.starts_with("rating/")), "{:?}", desk.store.keys());
    assert_eq!(desk.news, []);
    assert_eq!(all(&mut desk, "other"), [(1, 1, 5), (2, 2, 3)]);
    assert_eq!(all(&mut desk, "wins"), [], "there was nobody to win against");
    let (matches, _) = matches(&mut desk, 1, 0, 16);
    assert_eq!(matches.iter().map(|it| it.scene.0).collect::<Vec<_>>(), [9, 8, 7], "the newest first");
    assert!(matches.iter().all(|it| it.own.rating.is_none()));
}

#[test]
fn players_without_a_result_do_not_count() {
    let mut desk = desk();
    let mut finished = game_of("gomoku", desk.world.now, &[(1, 0, 1, 0), (2, 1, 2, 0), (3, 2, 3, 0)]);
    finished.results.remove(1);
    record(&mut desk, 7, finished);
    assert_eq!(rating(&desk, 2, "gomoku"), None);
    assert!(rating(&desk, 3, "gomoku").is_some());
    assert_eq!(matches(&mut desk, 2, 0, 1), (Vec::new(), 0));
}

#[test]
fn the_lobby_gets_the_ratings_of_who_comes_in_and_the_games_they_come_from() {
    let mut desk = desk();
    let game = duel(&desk, 1, 2);
    record(&mut desk, 7, game);
    let entered = desk.ask(Caller::Host, Request::Enter(UserId(1), "Ada".to_owned())).unwrap();
    let Answer::Entered(entered) = entered else { panic!("{entered:?}") };
    let level = Level { rating: rating(&desk, 1, "gomoku").unwrap().rounded(), games: 1 };
    let expected = BTreeMap::from([("gomoku".into(), level)]);
    assert_eq!(*entered, Entered { levels: expected, ..(*entered).clone() });
    let asked = desk.ask_as(9, Request::Results(results::Request::Ratings(vec![UserId(2), UserId(3)])));
    let Ok(Answer::Results(results::Answer::Ratings(ratings))) = asked else { panic!("{asked:?}") };
    assert_eq!(ratings.iter().map(|(user, _)| user.0).collect::<Vec<_>>(), [2], "who has none is left out");
    let named = page(&mut desk, "rating", None, Part::From { rank: 1, limit: 1 }).unwrap();
    assert_eq!(named.rows[0].name, "Ada", "names are those of the profiles");
}

#[test]
fn the_last_matches_are_kept_and_a_match_as_long_as_one_of_its_players_has_it() {
    let mut desk = desk();
    let count = KEPT_MAX as u64 + 5;
    for scene in 1..=count {
        // The other one is somebody else each time, but for the first two.
        let game = duel(&desk, 1, 1_000 + scene.max(2));
        record(&mut desk, scene, game);
    }
    let stored = |desk: &Desk, scene: u64| desk.store.contains_key(&history::match_key(AllocationId(scene)));
    assert!(stored(&desk, 1), "its other player has it still");
    let (newest, kept) = matches(&mut desk, 1, 0, 2);
    assert_eq!((newest.iter().map(|it| it.scene.0).collect::<Vec<_>>(), kept), (vec![count, count - 1], 64));
    let (oldest, _) = matches(&mut desk, 1, 63, 16);
    assert_eq!(oldest.iter().map(|it| it.scene.0).collect::<Vec<_>>(), [6]);

    for scene in count + 1..=count + 64 {
        let game = duel(&desk, 1_002, 1);
        record(&mut desk, scene, game);
    }
    assert!(!stored(&desk, 1) && !stored(&desk, 2), "nobody has them any more");
    assert!(stored(&desk, 3), "another player of it has it");
}

#[test]
fn a_match_of_many_shows_the_first_of_them_and_the_own_row() {
    let mut desk = desk();
    let rows: Vec<_> = (1..=200).map(|user| (user, 0, user as u32, 0)).collect();
    let now = desk.world.now;
    record(&mut desk, 7, game_of("gomoku", now, &rows));
    let (shown, _) = matches(&mut desk, 150, 0, 16);
    assert_eq!((shown[0].players_count, shown[0].own.place), (200, 150));
    assert_eq!(shown[0].players.iter().map(|it| it.place).collect::<Vec<_>>(), (1..=16).collect::<Vec<_>>());
}

#[test]
fn a_user_who_is_forgotten_is_on_no_leaderboard_and_nameless_in_the_matches_of_others() {
    let mut desk = desk();
    let games = [duel(&desk, 1, 2), duel(&desk, 2, 3)];
    games.into_iter().zip(7..).for_each(|(game, scene)| record(&mut desk, scene, game));
    let exported = desk.ask(Caller::Host, Request::Export(UserId(1))).unwrap();
    let Answer::Export(exported) = exported else { panic!("{exported:?}") };
    let results = &exported["results"];
    assert_eq!((&results["ratings"]["gomoku"]["wins"], &results["matches"][0]["own"]["place"]), (&json!(1), &json!(1)));
    assert_eq!(results["leaderboards"].as_array().map(Vec::len), Some(4), "{results}");
    let forget = || Request::Forget(UserId(1));
    for _ in 0..2 {
        assert_eq!(desk.ask(Caller::Host, forget()), Ok(Answer::Done));
        let left: Vec<_> = desk.store.keys().filter(|key| key.ends_with(&UserId(1).to_string())).collect();
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(all(&mut desk, "wins"), [(1, 2, 1)]);
        let (of_other, _) = matches(&mut desk, 2, 0, 16);
        let names = of_other[1].players.iter().map(|it| it.name.as_str());
        assert_eq!(names.collect::<Vec<_>>(), ["", "User 2"]);
        assert_eq!(found(&desk.store).problems, [] as [&str; 0]);
    }
    // A game that was still to be recorded when the account was deleted.
    for (scene, other) in [(9, 2), (10, 1)] {
        let now = desk.world.now;
        let alone = [(1, 0, 1, 9), (other, 1, 2, 5)];
        let rows = if other == 1 { &alone[..1] } else { &alone[..] };
        record(&mut desk, scene, game_of("gomoku", now, rows));
        assert!(!desk.store.keys().any(|key| key.ends_with(&UserId(1).to_string())), "{:?}", kept(&desk));
        assert_eq!(found(&desk.store).problems, [] as [&str; 0]);
    }
    let (of_other, _) = matches(&mut desk, 2, 0, 1);
    assert_eq!((of_other[0].scene, of_other[0].players[0].name.as_str()), (SceneId(9), ""));
}

#[test]
fn a_user_who_is_forgotten_is_off_leaderboards_that_are_not_configured_any_more_too() {
    for is_retired in [|name: &str| name == "wins", |_: &str| true] {
        let mut desk = desk();
        let game = duel(&desk, 1, 2);
        record(&mut desk, 7, game);
        let before = desk.rules.clone();
        desk.rules.results.boards.retain(|name, _| !is_retired(name));
        desk.take_over();
        desk.ask(Caller::Host, Request::Forget(UserId(1))).unwrap();
        let left: Vec<_> = desk.store.keys().filter(|key| key.ends_with(&UserId(1).to_string())).collect();
        assert!(left.is_empty(), "{left:?}");
        desk.rules = before;
        desk.take_over();
        assert_eq!(all(&mut desk, "sum").len(), 1, "others have theirs when it is there again");
    }
}

#[test]
fn what_does_not_fit_together_is_found() {
    let mut desk = desk();
    let game = duel(&desk, 1, 2);
    record(&mut desk, 7, game);
    let report = found(&desk.store);
    assert_eq!(report.problems, [] as [&str; 0]);
    assert_eq!(["board", "history", "rating", "result"].map(|kind| report.records[kind]), [7, 2, 2, 1]);
    let keys: Vec<String> = kept(&desk).into_keys().collect();
    for key in keys {
        let mut unreadable = desk.store.clone();
        unreadable.insert(key.clone(), b"?".to_vec());
        let problems = found(&unreadable).problems;
        assert!(problems.iter().any(|it| it.starts_with(&key) && it.contains("cannot be read")), "{problems:?}");
        let mut renamed = desk.store.clone();
        let value = renamed.remove(&key).unwrap();
        renamed.insert(format!("{key}-"), value);
        assert!(found(&renamed).problems_count > 0, "{key}");
    }
    let match_key = history::match_key(AllocationId(7));
    for key in [match_key, history::key(UserId(2))] {
        let mut missing = desk.store.clone();
        missing.remove(&key);
        assert!(found(&missing).problems_count > 0, "{key} is missing");
    }
}

#[test]
fn bad_requests_are_refused_and_change_nothing() {
    let game = |change: fn(&mut Finished)| {
        let mut finished = game_of("gomoku", Time(1), &[(1, 0, 1, 0), (2, 1, 2, 0)]);
        change(&mut finished);
        results::Request::Record { allocation: AllocationId(7), finished }
    };
    let page = |board: &str, season: Option<&str>, part| {
        let season = season.map(str::to_owned);
        results::Request::Page { board: board.to_owned(), season, part }
    };
    let first = |limit| Part::From { rank: 1, limit };
    let users = |count: u64| (0..count).map(UserId).collect::<Vec<_>>();
    let long = "b".repeat(10_000);
    let own = |limit| results::Request::History { user: None, skip: 0, limit };
    let (user, host, operator) = (Caller::User(UserId(1)), Caller::Host, Caller::Operator);
    let set = |board: &str| results::Request::Set { board: board.to_owned(), user: UserId(1), score: Some(1) };
    let cases = [
        ("a user's own results", &user, game(|_| ()), "Forbidden"),
        ("an operator's results", &operator, game(|_| ()), "Forbidden"),
        ("no results", &host, game(|it| it.results.clear()), "Invalid"),
        ("no players", &host, game(|it| it.players.clear()), "Invalid"),
        ("a seat that is not there", &host, game(|it| it.results[0].seat = 9), "Invalid"),
        ("a seat twice", &host, game(|it| it.results[0].seat = 1), "Invalid"),
        ("a user twice", &host, game(|it| it.players[0].user = UserId(2)), "Invalid"),
        ("the place 0", &host, game(|it| it.results[0].place = 0), "Invalid"),
        ("a user's score", &user, set("sum"), "Forbidden"),
        ("a score nowhere", &operator, set("nothing"), "NotFound"),
        ("an unknown leaderboard", &user, page("nothing", None, first(1)), "NotFound"),
        ("a long name", &user, page(&long, None, first(1)), "NotFound"),
        (
            "a season to come",
            &user,
            page("sum", Some(&Reset::Daily.season(Time(2 * 86_400_000)).name), first(1)),
            "NotFound",
        ),
        ("a long season", &user, page("sum", Some(&long), first(1)), "NotFound"),
        ("nothing of it", &user, page("sum", None, first(0)), "Invalid"),
        ("too much of it", &user, page("sum", None, first(101)), "Invalid"),
        ("too wide", &user, page("sum", None, Part::Around { user: None, neighbours: 26 }), "Invalid"),
        ("around nobody", &operator, page("sum", None, Part::Around { user: None, neighbours: 1 }), "Invalid"),
        ("no users", &user, page("sum", None, Part::Of(Vec::new())), "Invalid"),
        ("too many users", &user, page("sum", None, Part::Of(users(65))), "Invalid"),
        ("ratings of nobody", &user, results::Request::Ratings(Vec::new()), "Invalid"),
        ("ratings of too many", &user, results::Request::Ratings(users(65)), "Invalid"),
        ("no matches", &user, own(0), "Invalid"),
        ("too many matches", &user, own(17), "Invalid"),
        ("nobody's matches", &operator, own(1), "Invalid"),
        (
            "another's matches",
            &user,
            results::Request::History { user: Some(UserId(2)), skip: 0, limit: 1 },
            "Forbidden",
        ),
    ];
    for (what, caller, request, expected) in cases {
        let mut desk = desk();
        let refused = desk.ask(caller.clone(), Request::Results(request)).expect_err(what);
        assert!(format!("{refused:?}").starts_with(expected), "{what}: {refused:?}");
        assert!(refused.to_string().len() < 200, "{what}: {refused}");
        assert!(kept(&desk).is_empty(), "{what}");
        desk.crash();
        assert_eq!(all(&mut desk, "sum"), [], "{what}");
    }
}
