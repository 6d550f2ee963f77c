//! What users bring to a search and want of it, how a match is accepted, and who is away while it is looked for.

use std::collections::{BTreeMap, BTreeSet};

use scenehost_core::lobby::{DOMAINS_BYTES_MAX, Event, Lobby, MATCHING_ASKS_PER_10_S, MatchingAsk, WISH_NAMES_MAX};
use scenehost_core::matching::Wish;
use scenehost_core::matching::domain::{Decline, Domain, NAME_BYTES_MAX, Property, VALUES_MAX};
use scenehost_core::matching::teams::{Layout, Team};
use scenehost_core::message::{Found, MatchState, Notice, Searching};
use scenehost_core::party::Limits;
use scenehost_core::{ConnectionId, DomainName, Refusal, UserId};

use crate::club::{ADA, BOB, CY, Club, DAN, GRACE_MS, domain};

const ACCEPT_MS: u64 = 10_000;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Two play; they may say which pace they want and have, and are asked whether they accept if `accept_ms` says so.
fn duel(accept_ms: u64) -> Domain {
    let pace = Property { name: "pace".to_owned(), values: names(&["slow", "fast"]), common: false, relax_ms: None };
    Domain { accept_ms, properties: vec![pace], wait_ms_max: 60_000, ..Domain::new("duel".into(), 2, 2) }
}

fn club(users: &[u64], rules: Domain) -> Club {
    let mut club = Club::playing(rules, Limits::default());
    users.iter().for_each(|user| club.come(*user));
    club.forget_told();
    club
}

/// Has this pace, and wants it.
fn pace(value: &str) -> Wish {
    let pace = BTreeMap::from([("pace".to_owned(), names(&[value]))]);
    Wish { has: pace.clone(), wants: pace, ..Wish::default() }
}

fn say(club: &mut Club, user: u64, wish: Wish) -> Result<(), String> {
    match club.ask_matching(user, MatchingAsk::Wish(Box::new(wish))) {
        Some(Notice::Answer(_)) => Ok(()),
        Some(Notice::Refused(refusal)) => Err(refusal.to_string()),
        other => panic!("{other:?}"),
    }
}

/// How the search of a user stands, as it was told last.
fn state(club: &mut Club, user: u64) -> Option<MatchState> {
    let states = club.told(user).into_iter().filter_map(|notice| match notice {
        Notice::SynMatchState(state) => Some(state),
        _ => None,
    });
    states.last()
}

fn found(club: &mut Club, user: u64) -> Found {
    match state(club, user) {
        Some(MatchState::Found(found)) => found,
        other => panic!("no match waits for {user}: {other:?}"),
    }
}

/// Two have searched, and are asked whether they accept.
fn asked() -> Club {
    let mut club = club(&[ADA, BOB], duel(ACCEPT_MS));
    for user in [ADA, BOB] {
        club.search(user).unwrap();
    }
    assert_eq!(found(&mut club, ADA), found(&mut club, BOB));
    club
}

#[test]
fn a_wish_is_kept_for_the_session_and_the_next_one_takes_its_place() {
    let mut club = club(&[ADA, BOB, CY], duel(0));
    say(&mut club, ADA, pace("slow")).unwrap();
    club.search(ADA).unwrap();
    club.search_with(BOB, Some(pace("fast"))).unwrap();
    club.pass_ms(5_000);
    assert_eq!(club.scenes, [] as [Vec<u64>; 0]);
    club.search_with(CY, Some(pace("slow"))).unwrap();
    assert_eq!(club.scenes, [[ADA, CY]]);

    // Bob's wish is still what he has said with his first search; then he says another one.
    let mut club = self::club(&[ADA, BOB], duel(0));
    club.search_with(BOB, Some(pace("fast"))).unwrap();
    club.cancel(BOB);
    say(&mut club, ADA, pace("slow")).unwrap();
    club.search(ADA).unwrap();
    club.search(BOB).unwrap();
    assert_eq!(club.scenes, [] as [Vec<u64>; 0]);
    club.cancel(BOB);
    say(&mut club, BOB, Wish::default()).unwrap();
    club.search(BOB).unwrap();
    assert_eq!(club.scenes, [[ADA, BOB]]);
}

#[test]
fn each_member_of_a_party_brings_their_own() {
    let rules = Domain { players_min: 3, players_max: 3, ..duel(0) };
    let party = |wishes: [&str; 2]| {
        let mut club = club(&[ADA, BOB, CY, DAN], rules.clone());
        club.ask(ADA, scenehost_core::party::Ask::Create).unwrap();
        let code = club.code();
        club.change(BOB, scenehost_core::party::Request::Join(code)).unwrap();
        for (user, wish) in [ADA, BOB].into_iter().zip(wishes) {
            say(&mut club, user, pace(wish)).unwrap();
        }
        club.forget_told();
        club
    };
    let mut torn = party(["slow", "fast"]);
    torn.search(ADA).unwrap();
    for user in [ADA, BOB] {
        let Some(MatchState::Idle(Some(Refusal::Invalid(why)))) = state(&mut torn, user) else { panic!("no word") };
        assert!(why.contains("your party has no pace in common"), "{why}");
    }
    let mut fast = party(["fast", "fast"]);
    fast.search_with(CY, Some(pace("slow"))).unwrap();
    fast.search(ADA).unwrap();
    assert_eq!(fast.scenes, [] as [Vec<u64>; 0]);
    fast.search_with(DAN, Some(pace("fast"))).unwrap();
    assert_eq!(fast.scenes, [[ADA, BOB, DAN]]);
}

#[test]
fn what_is_said_for_another_domain_is_passed_over_but_not_with_the_search_itself() {
    let mut club = club(&[ADA, BOB], duel(0));
    let map = Wish { wants: BTreeMap::from([("map".to_owned(), names(&["desert"]))]), ..Wish::default() };
    let refused = club.search_with(ADA, Some(map.clone())).unwrap_err().to_string();
    assert!(refused.contains("there is no property \"map\" here: the domain has pace"), "{refused}");
    say(&mut club, ADA, map).unwrap();
    club.search(ADA).unwrap();
    club.search(BOB).unwrap();
    assert_eq!(club.scenes, [[ADA, BOB]]);
}

#[test]
fn roles_are_of_the_teams_of_the_domain() {
    let team = Team { roles: BTreeMap::from([("tank".into(), 1), ("healer".into(), 1)]), ..Team::of(2) };
    let rules = Domain { teams: Layout { teams: vec![team] }, ..duel(0) };
    let mut club = club(&[ADA, BOB, CY], rules);
    let plays = |role: &str| Wish { roles: names(&[role]), ..Wish::default() };
    let refused = club.search_with(ADA, Some(plays("scout"))).unwrap_err().to_string();
    assert!(refused.contains("there is no role \"scout\" here: the domain has healer, tank"), "{refused}");
    club.search_with(ADA, Some(plays("tank"))).unwrap();
    club.search_with(BOB, Some(plays("tank"))).unwrap();
    assert_eq!(club.scenes, [] as [Vec<u64>; 0]);
    // What is said for another game's teams counts for nothing here.
    say(&mut club, CY, plays("scout")).unwrap();
    club.search(CY).unwrap();
    assert_eq!(club.scenes, [[ADA, CY]]);
}

#[test]
fn everything_in_a_wish_has_a_limit() {
    let mut club = club(&[ADA], duel(0));
    let long = "x".repeat(NAME_BYTES_MAX + 1);
    let many: Vec<String> = (0..VALUES_MAX).map(|it| it.to_string()).collect();
    let wants = |name: &str, values: Vec<String>| Wish {
        wants: BTreeMap::from([(name.to_owned(), values)]),
        ..Wish::default()
    };
    let lists = (0..=WISH_NAMES_MAX / VALUES_MAX).map(|it| (it.to_string(), many.clone()));
    for (wish, why) in [
        (wants(&long, names(&["a"])), "has 1 to 32 bytes"),
        (wants("a", vec![long.clone()]), "has 1 to 32 bytes"),
        (wants("", names(&["a"])), "has 1 to 32 bytes"),
        (wants("pace", Vec::new()), "pace has no value in your wish"),
        (Wish { has: lists.collect(), ..Wish::default() }, "at most 256 names"),
        (Wish { roles: vec!["role".to_owned(); WISH_NAMES_MAX + 1], ..Wish::default() }, "at most 256 names"),
        (Wish { roles: vec![long.clone()], ..Wish::default() }, "has 1 to 32 bytes"),
        (Wish { round_trips: BTreeMap::from([(long, 5)]), ..Wish::default() }, "has 1 to 32 bytes"),
        (
            Wish { round_trips: (0..65).map(|it| (it.to_string(), 5)).collect(), ..Wish::default() },
            "at most 64 regions",
        ),
        (Wish { opponents: (100..117).map(UserId).collect(), ..Wish::default() }, "at most 16 opponents"),
        (Wish { opponents: BTreeSet::from([UserId(ADA)]), ..Wish::default() }, "nobody is an opponent of their own"),
    ] {
        let refused = say(&mut club, ADA, wish.clone()).unwrap_err();
        assert!(refused.contains(why), "{refused}");
        assert!(club.search_with(ADA, Some(wish)).is_err());
        club.pass_ms(2_000);
    }
    say(&mut club, ADA, wants("a", many)).unwrap();
}

#[test]
fn who_asks_too_often_is_told_when_to_try_again() {
    let mut club = club(&[ADA], duel(0));
    for _ in 0..MATCHING_ASKS_PER_10_S {
        say(&mut club, ADA, Wish::default()).unwrap();
    }
    let refused = say(&mut club, ADA, Wish::default()).unwrap_err();
    assert!(refused.contains("too many requests of yours about matching"), "{refused}");
    club.pass_ms(500);
    say(&mut club, ADA, Wish::default()).unwrap();
}

#[test]
fn a_match_is_made_when_all_have_accepted() {
    let mut club = asked();
    let Some(Notice::SynMatchState(MatchState::Found(own))) = club.ask_matching(ADA, MatchingAsk::Accept(true)) else {
        panic!("no answer");
    };
    assert_eq!((own.accepted, own.you_accepted), (1, true));
    assert!(!found(&mut club, BOB).you_accepted);
    // Said again it is answered with what is known, and nobody else hears of it.
    club.pass_ms(1_000);
    let Some(Notice::SynMatchState(MatchState::Found(again))) = club.ask_matching(ADA, MatchingAsk::Accept(true))
    else {
        panic!("no answer");
    };
    assert_eq!(again, Found { left_ms: own.left_ms - 1_000, ..own });
    assert_eq!(club.told(BOB), []);

    let answer = club.ask_matching(BOB, MatchingAsk::Accept(true));
    assert_eq!(answer, Some(Notice::SynMatchState(MatchState::Placing { domain: domain() })));
    assert_eq!(club.scenes, [[ADA, BOB]]);
}

#[test]
fn who_declines_waits_before_the_next_search_and_the_other_goes_on_as_old() {
    let mut club = asked();
    club.pass_ms(4_000);
    let answer = club.ask_matching(BOB, MatchingAsk::Accept(false));
    let Some(Notice::SynMatchState(MatchState::Idle(Some(Refusal::SearchStopped(why))))) = answer else {
        panic!("{answer:?}");
    };
    assert!(why.contains("you did not accept"), "{why}");
    let Some(MatchState::Searching(Searching { waited_ms: 4_000, .. })) = state(&mut club, ADA) else {
        panic!("not on")
    };
    club.search(BOB).unwrap();
    let Some(MatchState::Idle(Some(Refusal::TooOften { ms, .. }))) = state(&mut club, BOB) else { panic!("no wait") };
    assert_eq!(ms, Decline::default().ms);
}

#[test]
fn there_has_to_be_something_to_accept() {
    let mut club = club(&[ADA], duel(ACCEPT_MS));
    let refused = Some(Notice::Refused(Refusal::OutOfOrder("no match waits for your answer".into())));
    assert_eq!(club.ask_matching(ADA, MatchingAsk::Accept(true)), refused);
    club.search(ADA).unwrap();
    assert_eq!(club.ask_matching(ADA, MatchingAsk::Accept(true)), refused);
}

#[test]
fn who_has_lost_the_connection_is_in_no_match_and_is_no_younger_when_back() {
    let mut club = club(&[ADA, BOB], duel(0));
    club.search(ADA).unwrap();
    club.pass_ms(2_000);
    club.drop(ADA);
    club.search(BOB).unwrap();
    club.pass_ms(3_000);
    assert_eq!(club.scenes, [] as [Vec<u64>; 0]);
    club.come_over(ADA, ConnectionId(77), Some(0));
    assert_eq!(club.scenes, [[ADA, BOB]]);

    // At the end of the grace period the search is over.
    let mut club = self::club(&[ADA, BOB], duel(0));
    club.search(ADA).unwrap();
    club.drop(ADA);
    club.pass_ms(GRACE_MS);
    club.search(BOB).unwrap();
    club.come_over(ADA, ConnectionId(77), None);
    club.pass_ms(1_000);
    assert_eq!(club.scenes, [] as [Vec<u64>; 0]);
}

#[test]
fn who_is_away_when_a_match_comes_to_nothing_is_in_no_other() {
    // Ada has accepted and goes; Bob declines, so Ada's search goes on without her.
    let mut club = asked();
    club.come(CY);
    club.ask_matching(ADA, MatchingAsk::Accept(true)).unwrap();
    club.drop(ADA);
    club.ask_matching(BOB, MatchingAsk::Accept(false)).unwrap();
    club.search(CY).unwrap();
    assert!(matches!(state(&mut club, CY), Some(MatchState::Searching(_))));
    club.come_over(ADA, ConnectionId(77), Some(0));
    assert_eq!(found(&mut club, CY), found(&mut club, ADA));
}

#[test]
fn who_comes_back_is_told_how_long_there_is_still_to_accept() {
    let mut club = asked();
    club.drop(ADA);
    club.pass_ms(4_000);
    club.come_over(ADA, ConnectionId(77), Some(0));
    let told = club.told(ADA);
    let Some(Notice::ResSignIn(signed_in)) = told.first() else { panic!("{told:?}") };
    let Some(MatchState::Found(known)) = &signed_in.match_state else { panic!("{signed_in:?}") };
    assert_eq!(known.left_ms, ACCEPT_MS - 4_000);
    let Some(Notice::SynMatchState(MatchState::Found(last))) =
        told.iter().rfind(|notice| matches!(notice, Notice::SynMatchState(_)))
    else {
        panic!("{told:?}");
    };
    assert_eq!(last, known, "what was missed is older than this");
}

#[test]
fn a_search_outlasts_rounds_of_matches_that_nobody_accepts() {
    let rules = Domain { decline: Decline { ms: 0, ms_max: 0, ..Decline::default() }, ..duel(50_000) };
    let mut club = club(&[ADA, BOB], rules);
    club.search(ADA).unwrap();
    club.pass_ms(55_000);
    club.search(BOB).unwrap();
    club.ask_matching(ADA, MatchingAsk::Accept(true)).unwrap();
    // Without any accept step, the lobby would have given the search up by itself by then.
    club.pass_ms(40_000);
    found(&mut club, ADA);
    club.ask_matching(BOB, MatchingAsk::Accept(true)).unwrap();
    assert_eq!(club.scenes, [[ADA, BOB]]);
}

#[test]
fn the_domains_are_told_in_parts_in_the_order_of_their_names() {
    let long = |it: usize| format!("{it:02}{}", "x".repeat(NAME_BYTES_MAX - 2));
    let values: Vec<String> = (0..VALUES_MAX).map(long).collect();
    let property = |it: usize| Property { name: long(it), values: values.clone(), common: false, relax_ms: None };
    let big = Domain { properties: (0..8).map(property).collect(), ..Domain::new("big".into(), 2, 2) };
    let known: Vec<DomainName> = (0..5).map(|it| DomainName::from(format!("d{it}").as_str())).collect();
    let domains = known.iter().map(|name| (name.clone(), big.clone())).collect();
    let mut club = club(&[], duel(0));
    club.lobby.service = Lobby::new(domains, GRACE_MS);
    club.come(ADA);
    let (mut told, mut after) = (Vec::new(), DomainName::from(""));
    loop {
        let Some(Notice::ResDomains(page)) = club.ask_matching(ADA, MatchingAsk::Domains(after)) else {
            panic!("no answer");
        };
        assert!(page.bytes() <= DOMAINS_BYTES_MAX && !page.domains.is_empty());
        told.extend(page.domains.iter().map(|(name, _)| name.clone()));
        after = told.last().unwrap().clone();
        if !page.more {
            break;
        }
    }
    assert_eq!(told, known);
}

#[test]
fn a_search_is_by_the_rating_of_the_domain_whose_ratings_count() {
    use scenehost_core::results::{self, rating::Level};
    let rules = Domain { rating_of: Some("ranked".into()), ..duel(0) };
    let mut club = club(&[ADA], rules);
    let news = |domain: &str, rating| {
        let domain = DomainName::from(domain);
        let ended = scenehost_core::Time(9);
        let news = results::News { domain, rating, games: 3, change: 0, place: 1, ended };
        let news = Box::new(scenehost_core::db::News::Results(news));
        Event::SynNews { user: UserId(ADA), news }
    };
    club.tell(news("ranked", 1_800));
    club.tell(news("trio", 1_200));
    let told =
        club.lobby.tell(Event::ReqMatch { connection: ConnectionId(ADA), request: 99, domain: domain(), wish: None });
    let seekers = told.iter().find_map(|message| match message {
        scenehost_core::Message::Match(_, scenehost_core::matching::Event::ReqMatch { seekers, .. }) => Some(seekers),
        _ => None,
    });
    let seeker = &seekers.expect("asked")[0];
    assert_eq!(Level { rating: seeker.rating, games: seeker.games }, Level { rating: 1_800, games: 3 });
}
