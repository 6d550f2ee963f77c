//! Leaderboards: what counts on them, seasons that turn, and that what is in memory is what is stored.

use std::collections::BTreeMap;

use proptest::prelude::*;
use scenehost_core::db::{Answer, Asker, Caller, Event, Request};
use scenehost_core::results::boards::{PAGE_LEN, Place, SWEEP_LEN, SWEEP_MS, Stored};
use scenehost_core::results::finished::Ratings;
use scenehost_core::results::history::{History, MatchRecord};
use scenehost_core::results::season::Reset;
use scenehost_core::results::{self, Part};
use scenehost_core::{AllocationId, Message, Refusal, ServiceName, Time, UserId, record};

use crate::consistency::found;
use crate::desk::Desk;
use crate::results::{all, desk, desk_of, duel, game_of, kept, page, record, rules};

const DAY_MS: u64 = 86_400_000;

#[test]
fn a_score_counts_as_the_leaderboard_says() {
    let mut desk = desk();
    for (scene, scores) in (1..).zip([[10, 4], [3, 8], [7, 7]]) {
        let now = desk.world.now;
        record(&mut desk, scene, game_of("gomoku", now, &[(1, 0, 1, scores[0]), (2, 1, 2, scores[1])]));
        desk.world.pass_ms(1);
    }
    assert_eq!(all(&mut desk, "best"), [(1, 1, 3), (2, 2, 4)]);
    assert_eq!(all(&mut desk, "sum"), [(1, 1, 20), (2, 2, 19)]);
    assert_eq!(all(&mut desk, "wins"), [(1, 1, 3)]);
    let now = desk.world.now;
    record(&mut desk, 9, game_of("gomoku", now, &[(3, 0, 1, 3), (1, 1, 2, i64::MAX)]));
    assert_eq!(all(&mut desk, "best")[..2], [(1, 1, 3), (2, 3, 3)], "of equal scores the earlier is better");
    assert_eq!(all(&mut desk, "sum")[0], (1, 1, i64::MAX));
}

#[test]
fn parts_of_a_leaderboard_have_the_ranks_among_all() {
    let mut desk = desk();
    for user in 1..=60 {
        let set = results::Request::Set { board: "sum".to_owned(), user: UserId(user), score: Some(user as i64) };
        assert_eq!(desk.ask(Caller::Operator, Request::Results(set)), Ok(Answer::Done));
    }
    let mut rows = |part| {
        let page = page(&mut desk, "sum", None, part).unwrap();
        assert_eq!(page.entries, 60);
        page.rows.iter().map(|row| (row.rank, row.user.0)).collect::<Vec<_>>()
    };
    assert_eq!(rows(Part::From { rank: 59, limit: 100 }), [(59, 2), (60, 1)]);
    assert_eq!(rows(Part::From { rank: 0, limit: 2 }), [(1, 60), (2, 59)]);
    assert_eq!(rows(Part::From { rank: 61, limit: 2 }), []);
    assert_eq!(rows(Part::Around { user: None, neighbours: 1 }), [(59, 2), (60, 1)], "of who asks");
    assert_eq!(rows(Part::Around { user: Some(UserId(30)), neighbours: 1 }), [(30, 31), (31, 30), (32, 29)]);
    assert_eq!(rows(Part::Around { user: Some(UserId(99)), neighbours: 25 }), [], "not on it");
    let of = Part::Of(vec![UserId(1), UserId(99), UserId(60), UserId(1)]);
    assert_eq!(rows(of), [(1, 60), (60, 1)], "the best first, each once");
}

#[test]
fn operators_set_and_remove_scores_and_saying_it_twice_changes_nothing() {
    let mut desk = desk();
    let set =
        |user, score| Request::Results(results::Request::Set { board: "sum".to_owned(), user: UserId(user), score });
    assert_eq!(desk.ask(Caller::Operator, set(1, Some(5))), Ok(Answer::Done));
    let store = desk.store.clone();
    desk.world.pass_ms(5);
    assert_eq!(desk.ask(Caller::Operator, set(1, Some(5))), Ok(Answer::Done));
    assert_eq!(desk.store, store, "since when it is so stays");
    assert_eq!(desk.ask(Caller::Operator, set(1, None)), Ok(Answer::Done));
    assert_eq!(desk.ask(Caller::Operator, set(1, None)), Ok(Answer::Done));
    assert_eq!((kept(&desk).is_empty(), all(&mut desk, "sum")), (true, Vec::new()));
}

#[test]
fn a_full_leaderboard_takes_nobody_new_also_not_two_of_one_game() {
    let mut rules = rules();
    rules.results.boards.get_mut("sum").unwrap().entries_max = 3;
    let mut desk = desk_of(rules, 10);
    let now = desk.world.now;
    record(&mut desk, 1, game_of("gomoku", now, &[(1, 0, 1, 1), (2, 1, 2, 2)]));
    record(&mut desk, 2, game_of("gomoku", now, &[(3, 0, 1, 3), (4, 1, 2, 4), (1, 2, 3, 5)]));
    assert_eq!(all(&mut desk, "sum"), [(1, 1, 6), (2, 3, 3), (3, 2, 2)]);
    let set = results::Request::Set { board: "sum".to_owned(), user: UserId(9), score: Some(1) };
    let refused = desk.ask(Caller::Operator, Request::Results(set));
    assert!(matches!(&refused, Err(Refusal::Invalid(text)) if text.contains("entries_max")), "{refused:?}");
    desk.crash();
    assert_eq!(all(&mut desk, "sum"), [(1, 1, 6), (2, 3, 3), (3, 2, 2)]);
}

/// The days' names, from the test's first one on.
fn day(days: u64) -> String {
    Reset::Daily.season(Time(days * DAY_MS)).name
}

#[test]
fn a_season_that_turns_can_be_read_for_one_more_and_is_removed_then() {
    let mut desk = desk();
    desk.world.now = Time(DAY_MS - 1);
    let game = duel(&desk, 1, 2);
    record(&mut desk, 1, game.clone());
    assert_eq!(all(&mut desk, "sum"), [(1, 1, 10), (2, 2, 4)]);

    desk.world.now = Time(DAY_MS);
    assert_eq!(all(&mut desk, "sum"), [], "a new day");
    // It ended yesterday, and Db was down since.
    record(&mut desk, 2, game.clone());
    let first_day = |desk: &mut Desk| page(desk, "sum", Some(&day(0)), Part::From { rank: 1, limit: 10 });
    let before = first_day(&mut desk).unwrap();
    assert_eq!((before.rows[0].score, before.ends), (20, Some(Time(DAY_MS))), "it counts where it belongs");
    let listed = desk.ask_as(1, Request::Results(results::Request::Boards)).unwrap();
    let Answer::Results(results::Answer::Boards(boards)) = listed else { panic!("{listed:?}") };
    let sum = boards.iter().find(|info| info.name == "sum").unwrap();
    let seasons: Vec<_> = sum.seasons.iter().map(|it| (it.season.name.clone(), it.entries)).collect();
    assert_eq!(seasons, [(day(1), 0), (day(0), 2)]);

    let stored = |desk: &Desk| desk.store.keys().filter(|key| key.starts_with("board/sum/")).count();
    desk.world.now = Time(2 * DAY_MS);
    assert!(matches!(first_day(&mut desk), Err(Refusal::NotFound(_))));
    desk.tell(Event::Tick);
    desk.settle();
    assert_eq!(stored(&desk), 0);
    record(&mut desk, 3, game);
    assert_eq!(stored(&desk), 0, "it is too late for that day");
    assert_eq!(all(&mut desk, "wins"), [(1, 1, 3)], "its week goes on");
}

#[test]
fn old_entries_are_removed_a_few_at_a_time_also_after_a_crash() {
    let mut desk = desk();
    desk.world.now = Time(DAY_MS);
    let count = 2 * SWEEP_LEN + 10;
    for user in 1..=count {
        let place = Place { board: "sum".to_owned(), season: day(0), user: UserId(user as u64) };
        desk.store.insert(place.key(), record::encode(&Stored { score: 1, since: 5 }));
    }
    assert_eq!(page(&mut desk, "sum", Some(&day(0)), Part::From { rank: 1, limit: 1 }).unwrap().entries, count as u32);
    desk.world.now = Time(2 * DAY_MS);
    let mut sizes = Vec::new();
    for crash in [false, true, false, false] {
        let at = desk.world.deadline().unwrap().max(desk.world.now);
        desk.world.now = at;
        desk.tell(Event::Tick);
        desk.settle();
        sizes.push(kept(&desk).len());
        if crash {
            desk.crash();
            all(&mut desk, "sum");
            desk.settle();
            sizes.push(kept(&desk).len());
        }
    }
    assert_eq!(sizes[0], count - SWEEP_LEN);
    assert_eq!(kept(&desk).len(), 0, "{sizes:?}");
    assert!(sizes.windows(2).all(|pair| pair[0] - pair[1] <= SWEEP_LEN), "{sizes:?}");
    assert!(desk.world.deadline().unwrap() > desk.world.now.plus_ms(SWEEP_MS), "nothing is left to do before midnight");
}

#[test]
fn leaderboards_of_many_pages_are_loaded_before_anybody_sees_them() {
    let mut desk = desk();
    let count = 2 * PAGE_LEN + 3;
    for user in 0..count as u64 {
        let place = Place { board: "rating".to_owned(), season: "all".to_owned(), user: UserId(user) };
        desk.store.insert(place.key(), record::encode(&Stored { score: user as i64, since: 5 }));
    }
    // One that is not configured any more stays where it is.
    desk.store.insert("board/gone/all/0000000000000001".to_owned(), b"{}".to_vec());
    let rows = page(&mut desk, "rating", None, Part::From { rank: 1, limit: 2 }).unwrap();
    assert_eq!((rows.entries, rows.rows[0].user.0), (count as u32, count as u64 - 1));
    assert_eq!(kept(&desk).len(), count + 1);
}

#[test]
fn a_db_that_takes_over_knows_what_the_one_before_has_written_and_not_synced_yet() {
    let games = |desk: &Desk| desk.store.keys().filter(|key| key.starts_with("result/")).count();
    let mut written_before_it_was_synced = 0;
    for steps in 0..12 {
        let mut desk = desk();
        let game = |desk: &Desk, scene| {
            Request::Results(results::Request::Record { allocation: AllocationId(scene), finished: duel(desk, 1, 2) })
        };
        let first = game(&desk, 1);
        desk.begin(Caller::Host, first);
        (0..steps).for_each(|_| _ = desk.sync_one());
        desk.take_over();
        let synced = games(&desk);
        let second = game(&desk, 2);
        desk.ask(Caller::Host, second).unwrap();
        desk.settle();
        // The first one was recorded, or was lost with the Db that had it.
        let wins = all(&mut desk, "wins");
        let games = games(&desk);
        assert_eq!(wins, [(1, 1, games as i64)], "after {steps} steps");
        written_before_it_was_synced += usize::from(games == 2 && synced == 0);
    }
    assert!(written_before_it_was_synced > 0, "this is about that case");
}

#[test]
fn a_page_that_the_store_cannot_give_or_that_is_lost_is_asked_for_again() {
    let mut desk = desk();
    let scan = |told: &[Message]| match told {
        [Message::ScanForDb(scan)] => scan.job,
        other => panic!("{other:?}"),
    };
    let job = scan(&desk.world.tell(Event::Tick));
    assert_eq!(desk.world.tell(Event::Scanned { job, records: Err(()) }), []);
    let again = scan(&desk.world.pass_ms(1_000));
    let late = desk.world.tell(Event::Scanned { job, records: Ok(Vec::new()) });
    assert_eq!(late, [], "an answer to the question before is none");
    let third = scan(&desk.world.pass_ms(10_000));
    assert!(third > again && again > job);
    desk.tell(Event::Scanned { job: third, records: Ok(Vec::new()) });
    assert_eq!(all(&mut desk, "sum"), []);
    let next = desk.world.deadline().unwrap();
    assert_eq!(next, Time(DAY_MS), "then nothing is to be done until a season turns");
}

#[test]
fn while_the_store_is_down_no_page_is_asked_for_since_what_is_said_then_waits_for_no_write() {
    let mut desk = desk();
    let service = |up| Event::Service { service: ServiceName::Db, up };
    let job = match &desk.world.tell(Event::Tick)[..] {
        [Message::ScanForDb(scan)] => scan.job,
        other => panic!("{other:?}"),
    };
    assert_eq!(desk.world.tell(service(false)), []);
    assert_eq!(desk.world.tell(Event::Scanned { job, records: Err(()) }), []);
    assert_eq!(desk.world.pass_ms(60_000), []);
    assert!(matches!(desk.world.tell(service(true))[..], [Message::ScanForDb(_)]));
}

#[test]
fn who_waits_for_leaderboards_that_do_not_come_is_answered_in_time() {
    let mut desk = desk();
    let request = Box::new(Request::Results(results::Request::Boards));
    desk.world.tell(Event::Req { caller: Caller::User(UserId(1)), asker: Asker::Door(1), request });
    let told = desk.world.pass_ms(scenehost_core::db::REQUEST_MS_MAX);
    assert!(matches!(told[..], [Message::DbDoor(1, Err(Refusal::TimedOut(_)))]), "{told:?}");
}

#[test]
fn an_entry_that_cannot_be_read_is_told_to_operators_and_left_out() {
    let mut desk = desk();
    let told = desk.world.tell(Event::Tick);
    let [Message::ScanForDb(scan)] = &told[..] else { panic!("{told:?}") };
    let key = |user: u64| Place { board: "sum".to_owned(), season: day(0), user: UserId(user) }.key();
    let good = record::encode(&Stored { score: 1, since: 5 });
    let records = vec![(key(1), b"{".to_vec()), (key(2), good.clone()), ("board/sum/nobody".to_owned(), good)];
    let effects = desk.world.step(Event::Scanned { job: scan.job, records: Ok(records) });
    assert_eq!(effects.faults.len(), 2, "{:?}", effects.faults);
    assert!(effects.faults[0].contains(&key(1)), "{:?}", effects.faults);
    assert_eq!(all(&mut desk, "sum"), [(1, 2, 1)]);
}

/// What a history can have.
#[derive(Debug, Clone)]
enum Step {
    Game { scene: u64, domain: usize, rows: Vec<(u64, u32, i64)> },
    Set { user: u64, score: Option<i64> },
    Pass { hours: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let row = (1..9_u64, 1..4_u32, -5..20_i64);
    prop_oneof![
        6 => (0..30_u64, 0..3_usize, prop::collection::vec(row, 1..5))
            .prop_map(|(scene, domain, rows)| Step::Game { scene, domain, rows }),
        1 => (1..9_u64, prop::option::of(-5..20_i64)).prop_map(|(user, score)| Step::Set { user, score }),
        1 => (1..30_u64).prop_map(|hours| Step::Pass { hours }),
    ]
}

type Shown = BTreeMap<(String, String), Vec<(u32, u64, i64)>>;

/// What all leaderboards say.
fn shown(desk: &mut Desk) -> Shown {
    let mut shown = BTreeMap::new();
    for (name, board) in rules().results.boards {
        let (current, before) = board.seasons(desk.world.now);
        for season in [Some(current), before].into_iter().flatten() {
            let page = page(desk, &name, Some(&season.name), Part::From { rank: 1, limit: 100 }).unwrap();
            let rows = page.rows.iter().map(|row| (row.rank, row.user.0, row.score)).collect();
            shown.insert((name.clone(), season.name), rows);
        }
    }
    shown
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// With power that fails at any sync, and requests that are repeated: what is in memory is what the records say,
    /// each game counts once, and histories and matches lead to each other.
    #[test]
    fn leaderboards_are_what_their_records_say(steps in prop::collection::vec((step(), 0..14_u32), 1..40)) {
        let mut desk = desk_of(rules(), 9);
        let mut ended: BTreeMap<u64, Time> = BTreeMap::new();
        for (step, crash) in steps {
            let request = match step {
                Step::Pass { hours } => {
                    desk.world.now = desk.world.now.plus_ms(hours * 3_600_000);
                    desk.tell(Event::Tick);
                    None
                }
                Step::Set { user, score } => {
                    let set = results::Request::Set { board: "sum".to_owned(), user: UserId(user), score };
                    Some((Caller::Operator, set))
                }
                Step::Game { scene, domain, rows } => {
                    let rows: BTreeMap<u64, (u32, i64)> = rows.iter().map(|(user, place, score)| (*user, (*place, *score))).collect();
                    let rows: Vec<_> = rows.into_iter().map(|(user, (place, score))| (user, user as u32 % 3, place, score)).collect();
                    let at = *ended.entry(scene).or_insert(desk.world.now);
                    let finished = game_of(["gomoku", "chess", "casual"][domain], at, &rows);
                    Some((Caller::Host, results::Request::Record { allocation: AllocationId(scene), finished }))
                }
            };
            if let Some((caller, request)) = request {
                desk.begin(caller.clone(), Request::Results(request.clone()));
                (0..crash).for_each(|_| _ = desk.sync_one());
                match crash {
                    0..4 => desk.crash(),
                    4..7 => desk.take_over(),
                    _ => {}
                }
                desk.settle();
                let repeats = matches!(request, results::Request::Record { .. });
                if repeats {
                    desk.ask(caller, Request::Results(request)).unwrap();
                }
            }
            desk.settle();
        }
        prop_assert_eq!(found(&desk.store).problems, Vec::<String>::new());
        let in_memory = shown(&mut desk);
        desk.crash();
        prop_assert_eq!(in_memory, shown(&mut desk));

        let records = |prefix: &str| {
            let prefix = prefix.to_owned();
            desk.store.iter().filter(move |(key, _)| key.starts_with(&prefix))
        };
        let mut led_to: BTreeMap<AllocationId, u32> = BTreeMap::new();
        for (key, value) in records("history/") {
            let history: History = record::decode(key, value).unwrap();
            history.allocations.iter().for_each(|game| *led_to.entry(*game).or_default() += 1);
        }
        let mut games: BTreeMap<UserId, u32> = BTreeMap::new();
        for (key, value) in records("result/") {
            let record: MatchRecord = record::decode(key, value).unwrap();
            let scene = key.trim_start_matches("result/").parse().unwrap();
            prop_assert_eq!(led_to.remove(&scene), Some(record.kept));
            for player in record.players.iter().filter(|it| it.rating.is_some()) {
                *games.entry(player.user).or_default() += 1;
            }
        }
        prop_assert!(led_to.is_empty(), "{:?}", led_to);
        for (key, value) in records("rating/") {
            let ratings: Ratings = record::decode(key, value).unwrap();
            let user = key.trim_start_matches("rating/").parse().unwrap();
            let rated: u32 = ratings.domains.values().map(|rating| rating.games).sum();
            prop_assert_eq!(games.remove(&user), Some(rated), "each game counts once");
        }
    }
}
