//! Recorded searches, and what comes of them when they are replayed.

use std::collections::BTreeMap;

use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use scenehost_core::config::Domain;
use scenehost_core::matching::domain::Ping;
use scenehost_core::matching::replay::{
    End, Error, Game, Group, Line, Measures, Member, Quantiles, REMATCH_MS, Report, Stream, compare, pseudonym, replay,
};
use scenehost_core::matching::{Event, Seeker, Wish};
use scenehost_core::{Refusal, Time, UserId};

fn duel() -> Domain {
    Domain { rating_range: 100, rating_range_per_s: 10, wait_ms_max: 60_000, ..Domain::new("duel".into(), 2, 2) }
}

/// A line of a search of one user, whose number is the search's, too.
fn enter(at_ms: u64, user: u64, rating: i32) -> String {
    party(at_ms, user, &[(user, rating)])
}

fn party(at_ms: u64, ticket: u64, users: &[(u64, i32)]) -> String {
    let seekers = users.iter().map(|(user, rating)| format!(r#"{{"user":"{:016x}","rating":{rating}}}"#, user));
    let seekers = seekers.collect::<Vec<_>>().join(",");
    format!(r#"{{"at_ms":{at_ms},"enter":{{"ticket":{ticket},"seekers":[{seekers}]}}}}"#)
}

fn cancel(at_ms: u64, user: u64) -> String {
    format!(r#"{{"at_ms":{at_ms},"cancel":{{"ticket":{user},"user":"{user:016x}"}}}}"#)
}

fn stream(lines: &[String]) -> Stream {
    let header = Stream::header(&"duel".into());
    Stream::parse([&header].into_iter().chain(lines).map(String::as_str)).expect("it is well-formed")
}

fn report(lines: &[String], domain: &Domain) -> Report {
    replay(&stream(lines), domain, None, &mut ChaCha20Rng::seed_from_u64(7), &mut |_| {}).expect("the domain is right")
}

/// Searches of many users, one every `ms`, with ratings from 1200 to 1799.
fn many(count: u64, ms: u64) -> Vec<String> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    (0..count).map(|user| enter(user * ms, user, rng.random_range(1_200..1_800))).collect()
}

#[test]
fn what_a_handler_is_told_is_recorded_without_names_and_read_again() {
    let wish = Wish {
        roles: vec!["tank".to_owned()],
        has: BTreeMap::from([("language".to_owned(), vec!["de".to_owned()])]),
        wants: BTreeMap::new(),
        round_trips: BTreeMap::from([("eu".to_owned(), 20)]),
        opponents: [UserId(9)].into(),
    };
    let ada =
        Seeker { user: UserId(1), name: "Ada".to_owned(), rating: 1_512, games: 40, blocked: [UserId(3)].into(), wish };
    let bob = Seeker { user: UserId(2), rating: 1_400, ..Seeker::default() };
    let events = [
        Event::ReqMatch { ticket: 7, seekers: vec![ada, bob], waited_ms: 0, away: <_>::default() },
        Event::SynHere { user: UserId(2), ticket: 7, here: false },
        Event::ReqCancelMatch { user: UserId(2), ticket: 7, others: Refusal::SearchStopped("Bob".to_owned()) },
    ];
    let someone_else = |user: UserId| UserId(user.0 + 0xa0);
    let lines: Vec<String> =
        events.iter().filter_map(|it| Line::of(it, Time(5), &someone_else)).map(|line| line.text()).collect();
    let expected = [
        r#"{"at_ms":5,"enter":{"ticket":7,"seekers":[{"user":"00000000000000a1","rating":1512,"blocked":["00000000000000a3"],"has":{"language":["de"]},"round_trips":{"eu":20},"roles":["tank"],"opponents":["00000000000000a9"],"games":40},{"user":"00000000000000a2","rating":1400,"games":0}]}}"#,
        r#"{"at_ms":5,"here":{"ticket":7,"user":"00000000000000a2","here":false}}"#,
        r#"{"at_ms":5,"cancel":{"ticket":7,"user":"00000000000000a2"}}"#,
    ];
    assert_eq!(lines, expected);

    let read = stream(&lines);
    assert_eq!((read.domain.as_str(), read.lines.len()), ("duel", 3));
    let Event::ReqMatch { ticket: 7, seekers, .. } = read.lines[0].happened.event() else { panic!("{read:?}") };
    let Event::ReqMatch { seekers: told, .. } = &events[0] else { panic!("the first one enters") };
    assert_eq!((seekers[0].user, seekers[0].name.as_str(), seekers[0].rating), (UserId(0xa1), "", 1_512));
    assert_eq!((&seekers[0].wish.has, &seekers[0].wish.round_trips), (&told[0].wish.has, &told[0].wish.round_trips));
    assert_eq!((&seekers[0].blocked, &seekers[0].wish.opponents), (&[UserId(0xa3)].into(), &[UserId(0xa9)].into()));
    assert_eq!(read.lines[1].happened.event(), Event::SynHere { user: UserId(0xa2), ticket: 7, here: false });
    let again: Vec<String> = read.lines.iter().map(Line::text).collect();
    assert_eq!(again, lines);
    assert_eq!(Line::of(&Event::Tick, Time(5), &someone_else), None, "what the host itself brings about");
}

#[test]
fn a_pseudonym_is_the_hmac_of_the_user_by_the_key() {
    let key = std::array::from_fn(|at| at as u8);
    // By another program: hmac.new(bytes(range(32)), (42).to_bytes(8, "big"), "sha256").
    assert_eq!(pseudonym(&key, UserId(42)), UserId(0x89b9_2f7b_010e_f759));
    assert_ne!(pseudonym(&key, UserId(43)), pseudonym(&key, UserId(42)));
    assert_ne!(pseudonym(&[0; 32], UserId(42)), pseudonym(&key, UserId(42)));
}

#[test]
fn a_stream_that_is_not_right_is_refused_with_its_line() {
    let refused = |text: &str| Stream::parse(text.lines()).expect_err("it is wrong");
    let header = r#"{"match_stream":1,"domain":"duel"}"#;
    assert_eq!(refused(""), Error::Empty);
    assert_eq!(refused("\n \n"), Error::Empty);
    assert_eq!(refused(&enter(1, 1, 1_500)), Error::NoStream);
    assert_eq!(refused(r#"{"match_stream":2,"domain":"duel"}"#), Error::Version(2));
    assert_eq!(refused(&format!("{header}\n{}\n{}", enter(9, 1, 1), enter(8, 2, 1))), Error::Backwards { line: 3 });
    let other = format!("{header}\n{}\n{}", enter(1, 1, 1), r#"{"match_stream":1,"domain":"arena"}"#);
    assert_eq!(refused(&other), Error::Mixed { line: 3, domain: "arena".into() });

    let wrong = |line: &str| match refused(&format!("{header}\n\n{line}")) {
        Error::Line { line: 3, what } => what,
        error => panic!("{line}: {error}"),
    };
    assert!(wrong("{").contains("EOF"));
    assert!(wrong(r#"{"at_ms":1}"#).contains("exactly one of enter, cancel and here"));
    assert!(wrong(r#"{"at_ms":1,"enter":{"ticket":1,"seekers":[]}}"#).contains("one of seekers at least"));
    assert!(wrong(&enter(1, 1, 1).replace("rating", "ratin")).contains("unknown field `ratin`"));
    assert!(wrong(&enter(1, 1, 1).replace("0001", "1")).contains("16 hexadecimal digits"));
    let both =
        cancel(1, 1).replace(r#""at_ms":1"#, r#""at_ms":1,"here":{"ticket":1,"user":"0000000000000001","here":true}"#);
    assert!(wrong(&both).contains("exactly one of"));
    let long = format!(r#"{{"at_ms":1,"note":"{}"}}"#, "x".repeat(1_024 * 1_024));
    assert!(wrong(&long).contains("longer than 1048576 bytes"));

    let none = Domain { players_min: 0, ..duel() };
    let refused = replay(&stream(&[]), &none, None, &mut ChaCha20Rng::seed_from_u64(1), &mut |_| {});
    assert!(matches!(&refused, Err(Error::Domain(what)) if what.contains("players_min is 0")), "{refused:?}");
}

#[test]
fn files_of_one_recording_are_one_stream() {
    let header = Stream::header(&"duel".into());
    let lines = [header.clone(), enter(1, 1, 1_500), header, enter(9, 2, 1_500)];
    let stream = Stream::parse(lines.iter().map(String::as_str)).expect("they follow each other");
    assert_eq!(stream.lines.len(), 2);

    let of = |domain: &str, lines: &[String]| {
        let header = Stream::header(&domain.into());
        Stream::parse([&header].into_iter().chain(lines).map(String::as_str)).expect("it is well-formed")
    };
    let mut whole = of("duel", &lines[1..2]);
    assert_eq!(whole.append(of("duel", &lines[3..])), Ok(()));
    assert_eq!(whole, stream);
    assert_eq!(whole.append(of("duel", &lines[1..2])), Err(Error::Backwards { line: 2 }));
    assert_eq!(whole.append(of("arena", &[])), Err(Error::Mixed { line: 1, domain: "arena".into() }));
    assert_eq!(whole, stream, "what is refused changes nothing");
}

#[test]
fn each_search_is_counted_once_by_how_it_ended() {
    let lines = [
        enter(0, 1, 1_500),
        enter(2_000, 2, 1_540), // Meets the first at once.
        enter(3_000, 3, 2_900), // Nobody is near.
        enter(3_000, 3, 2_900), // The same request again.
        enter(4_000, 4, 100),   // Is taken back.
        cancel(9_000, 4),
        cancel(9_500, 4),                                         // In vain.
        party(10_000, 5, &[(5, 1_000), (6, 1_200)]),              // Fills a match by itself.
        party(11_000, 8, &[(8, 1_000), (9, 1_000), (10, 1_000)]), // Is too large.
        enter(12_000, 11, 700),
        party(13_000, 12, &[(11, 700)]), // Takes the place of the one before, and starves.
    ];
    let report = report(&lines, &duel());
    let all = &report.all;
    assert_eq!((report.games, all.searches, all.matched), (2, 8, 3));
    assert_eq!((all.cancelled, all.starved, all.refused), (1, 2, 2));
    assert_eq!((all.wait_ms.max, all.wait_ms.p50, all.longest_wait_ms), (2_000.0, 0.0, 60_000));
    assert_eq!((all.spread.p50, all.spread.max, all.rematches), (40.0, 200.0, 0));
    assert_eq!(report.span_ms, 13_000);
    let of_party = |name: &str| report.groups.iter().find(|group| group.by == "party" && group.name == name);
    let sizes = ["alone", "party of 2", "party of 3"].map(|name| of_party(name).map(|it| it.measures.searches));
    assert_eq!(sizes, [Some(6), Some(1), Some(1)]);
    let mut by_rating = report.groups.iter().filter(|group| group.by == "rating");
    assert_eq!(by_rating.clone().map(|group| group.measures.searches).sum::<u64>(), 8);
    assert_eq!(by_rating.next_back().map(|group| group.name.as_str()), Some("2900 to 2900"));
    let ends = report.samples.iter().filter(|sample| matches!(sample.end, End::Starved));
    assert_eq!(ends.map(|sample| sample.rating).collect::<Vec<_>>(), [2_900, 700]);
}

#[test]
fn the_same_stream_configuration_and_randomness_give_the_same_report() {
    let lines = many(400, 150);
    let one = report(&lines, &duel());
    assert_eq!(one, report(&lines, &duel()));
    let other =
        replay(&stream(&lines), &duel(), None, &mut ChaCha20Rng::seed_from_u64(8), &mut |_| {}).expect("it is right");
    assert_ne!(one.samples, other.samples, "the choice is by chance");
    assert_eq!(one.all.searches, 400);
}

#[test]
fn a_narrower_range_makes_users_wait_longer_for_closer_games() {
    let lines = many(1_000, 200);
    let (wide, narrow) = (report(&lines, &duel()), report(&lines, &Domain { rating_range: 10, ..duel() }));
    assert!(narrow.all.spread.mean < wide.all.spread.mean / 2.0, "{:?} {:?}", narrow.all.spread, wide.all.spread);
    assert!(narrow.all.unfairness.mean < wide.all.unfairness.mean / 2.0);
    assert!(narrow.all.wait_ms.mean > wide.all.wait_ms.mean * 2.0, "{:?} {:?}", narrow.all.wait_ms, wide.all.wait_ms);
}

#[test]
fn who_meets_again_within_ten_minutes_is_counted() {
    let twice = |apart_ms: u64| {
        let lines = [
            enter(0, 1, 1_500),
            enter(0, 2, 1_500),
            party(apart_ms, 3, &[(1, 1_500)]),
            party(apart_ms, 4, &[(2, 1_500)]),
        ];
        report(&lines, &duel()).all
    };
    assert_eq!((twice(REMATCH_MS - 10_000).rematches, twice(REMATCH_MS).rematches), (2, 0));
    assert_eq!(twice(1_000).matched, 4);
}

#[test]
fn matches_are_accepted_and_the_way_to_their_region_is_measured() {
    let ping =
        Ping { regions: vec!["eu".to_owned(), "us".to_owned()], ms: 100, after_ms: None, ms_per_s: 0, ms_max: 150 };
    let domain = Domain { accept_ms: 10_000, ping: Some(ping), ..duel() };
    let near = |user: u64, eu: u16, us: u16| {
        enter(0, user, 1_500)
            .replace(r#""rating":1500"#, &format!(r#""rating":1500,"round_trips":{{"eu":{eu},"us":{us}}}"#))
    };
    let report = report(&[near(1, 20, 90), near(2, 130, 40)], &domain);
    assert_eq!((report.all.matched, report.all.wait_ms.max), (2, 0.0));
    assert_eq!((report.all.round_trip_ms.p50, report.all.round_trip_ms.max), (40.0, 90.0));
    let regions = report.groups.iter().filter(|group| group.by == "region");
    let regions: Vec<(&str, u64)> = regions.map(|group| (group.name.as_str(), group.measures.matched)).collect();
    assert_eq!(regions, [("eu", 1), ("us", 1)]);
}

/// A game of sides with these ratings.
fn game(sides: &[&[i32]]) -> Game {
    let members = sides.iter().zip(0..).flat_map(|(side, team)| side.iter().map(move |rating| (*rating, team)));
    let member = |((rating, team), user)| Member { user: UserId(user), rating, team };
    Game { members: members.zip(0..).map(member).collect() }
}

#[test]
fn a_game_is_as_fair_as_its_sides_are_even() {
    let of = |sides: &[&[i32]]| {
        let game = game(sides);
        (game.spread(), game.team_gap(), (game.unfairness() * 1e4).round() / 1e4)
    };
    assert_eq!(of(&[&[1_500], &[1_500]]), (0, 0.0, 0.0));
    // Elo gives the stronger 10/11 with 400 points more.
    assert_eq!(of(&[&[1_900], &[1_500]]), (400, 400.0, 0.4091));
    assert_eq!(of(&[&[1_500], &[1_900]]), (400, 400.0, 0.4091));
    // Four against four, each stronger by 200: twice the difference of one against one.
    assert_eq!(of(&[&[1_700; 4], &[1_500; 4]]), (200, 200.0, 0.4091));
    assert_eq!(of(&[&[1_900, 1_100], &[1_500, 1_500]]), (800, 0.0, 0.0));
    // Each for itself: the means of the pairs.
    let alone = Game { members: game(&[&[1_500, 1_500, 1_900]]).members };
    assert_eq!(((alone.unfairness() * 1e4).round() / 1e4, alone.team_gap()), (0.2727, 400.0));
    assert_eq!(game(&[&[1_500]]).unfairness(), 0.0, "nobody to compare with");
}

#[test]
fn quantiles_are_values_that_so_many_do_not_exceed() {
    let of_100 = Quantiles::of((1..=100).rev().map(f64::from).collect());
    assert_eq!(of_100, Quantiles { mean: 50.5, p50: 50.0, p95: 95.0, p99: 99.0, max: 100.0 });
    assert_eq!(Quantiles::of(vec![3.0]), Quantiles { mean: 3.0, p50: 3.0, p95: 3.0, p99: 3.0, max: 3.0 });
    assert_eq!(Quantiles::of(Vec::new()), Quantiles::default());
}

#[test]
fn two_reports_stand_side_by_side() {
    let lines = [enter(0, 1, 1_500), enter(2_000, 2, 1_540), enter(2_000, 3, 2_900)];
    let (now, then) = (report(&lines, &duel()), report(&lines, &Domain { rating_range: 10, ..duel() }));
    let text = compare(&[("now", &now), ("then", &then)]);
    let row =
        |what: &str| text.lines().find(|line| line.starts_with(what)).map(|it| it[28..].split_whitespace().collect());
    let is = |what: &str, cells: &[&str]| assert_eq!(row(what).unwrap_or(vec![]), cells, "{what} of\n{text}");
    is("games", &["1", "1"]);
    is("matched", &["2", "(66.7", "%)", "2", "(66.7", "%)"]);
    is("waited in vain", &["1", "(33.3", "%)", "1", "(33.3", "%)"]);
    is("rating gap, mean", &["40.0", "40.0"]);
    is("wait, p50", &["0.00", "s", "3.30", "s"]);
    is("round trip, p50", &["-", "-"]);
    assert!(text.lines().all(|line| line.len() <= 120), "{text}");
    assert_eq!(text.matches("alone now").count() + text.matches("alone then").count(), 2, "{text}");
    let nothing = Group { by: "party", name: String::new(), measures: Measures::default() };
    let empty = Report { groups: vec![nothing], ..report(&[], &duel()) };
    let text = compare(&[("", &empty)]);
    assert!(!text.contains("NaN") && text.lines().last().is_some_and(|line| line.ends_with("-        -")), "{text}");
}
