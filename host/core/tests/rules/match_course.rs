//! The course of a search: accepting, hours, a domain that changes, bots, teams, and running scenes that want players.

use std::collections::BTreeMap;

use scenehost_core::config::Domain;
use scenehost_core::matching::backfill::{FILL_MS_MAX, LEASE_MS, Lease, Opening};
use scenehost_core::matching::domain::{Bots, Decline, Point};
use scenehost_core::matching::hours::Hours;
use scenehost_core::matching::teams::{Layout, Team};
use scenehost_core::matching::{Event, Seeker, Wish};
use scenehost_core::message::{MatchState, ServiceName};
use scenehost_core::scene_master::Matched;
use scenehost_core::{
    AllocationId, MatchId, Message, Reading, Refusal, Service as _, Time, UserId, lobby, scene_master,
};

use crate::matchmaker::{Asked, Matchmaker, asked, domain, ended, entry, seeker, told};

fn accepts(user: u64, accepts: bool) -> Event {
    Event::ReqAcceptMatch { user: UserId(user), ticket: user, accepts }
}

fn asking() -> Matchmaker {
    Matchmaker::new(Domain { accept_ms: 10_000, ..domain(2, 2) })
}

#[test]
fn a_match_is_made_when_all_have_accepted() {
    let mut matching = asking();
    matching.asks(1, 1500);
    let messages = matching.ask(vec![seeker(2, 1500)]);
    assert!(asked(&messages).is_empty());
    let Some(MatchState::Found(found)) = told(&messages, 1) else { panic!("{messages:?}") };
    assert_eq!((found.players, found.accepted, found.you_accepted, found.left_ms), (2, 0, false, 10_000));
    let messages = matching.world.tell(accepts(1, true));
    let Some(MatchState::Found(found)) = told(&messages, 2) else { panic!("{messages:?}") };
    assert_eq!((found.accepted, found.you_accepted), (1, false));
    assert!(matching.world.tell(accepts(3, true)).is_empty(), "whom nobody asked");
    let made = asked(&matching.world.tell(accepts(2, true)));
    assert_eq!(made[0].users(), [1, 2]);
    assert_eq!(ended(&matching.made(&made[0])), BTreeMap::from([(1, Ok(())), (2, Ok(()))]));
}

#[test]
fn who_declines_pays_alone_and_longer_each_time() {
    let mut matching = asking();
    let mut cool_downs = Vec::new();
    for _ in 0..3 {
        matching.asks(1, 1500);
        matching.asks(2, 1500);
        let since = matching.world.now;
        let messages = matching.world.tell(accepts(1, false));
        assert_eq!(ended(&messages).keys().copied().collect::<Vec<_>>(), [1]);
        assert_eq!(matching.state(2), "Waiting", "who has accepted, or not yet, waits on");
        let Some(MatchState::Searching(searching)) = told(&messages, 2) else { panic!("{messages:?}") };
        assert_eq!(searching.waited_ms, matching.world.now.ms_since(since));
        let Some(Err(Refusal::TooOften { ms, .. })) = ended(&matching.ask(vec![seeker(1, 1500)])).remove(&1) else {
            panic!("no cool-down")
        };
        cool_downs.push(ms);
        matching.world.pass_ms(ms);
        let cancel = Event::ReqCancelMatch { user: UserId(2), ticket: 2, others: Refusal::Stopping };
        matching.world.tell(cancel);
    }
    assert_eq!(cool_downs, [10_000, 20_000, 40_000]);
    let decline = Decline { ms: 10_000, ms_max: 15_000, forget_ms: 60_000 };
    let mut forgiving = Matchmaker::new(Domain { accept_ms: 10_000, decline, ..domain(2, 2) });
    for expected in [10_000, 15_000] {
        forgiving.asks(1, 1500);
        forgiving.asks(2, 1500);
        forgiving.world.tell(accepts(1, false));
        let Some(Err(Refusal::TooOften { ms, .. })) = ended(&forgiving.ask(vec![seeker(1, 1500)])).remove(&1) else {
            panic!("no cool-down")
        };
        assert_eq!(ms, expected);
        forgiving.world.pass_ms(ms);
    }
}

#[test]
fn who_does_not_answer_in_time_has_declined_and_a_cancel_then_is_one() {
    let mut matching = asking();
    matching.asks(1, 1500);
    matching.asks(2, 1500);
    matching.world.tell(accepts(2, true));
    let messages = matching.world.pass_ms(10_000);
    assert!(matches!(ended(&messages)[&1], Err(Refusal::SearchStopped(_))));
    assert_eq!((matching.state(1), matching.state(2)), ("none", "Waiting"));
    matching.asks(3, 1500);
    let cancel = Event::ReqCancelMatch { user: UserId(3), ticket: 3, others: Refusal::Stopping };
    matching.world.tell(cancel);
    assert_eq!((matching.state(3), matching.state(2)), ("none", "Waiting"));
    assert!(matches!(ended(&matching.ask(vec![seeker(3, 1500)]))[&3], Err(Refusal::TooOften { .. })));
}

#[test]
fn outside_of_its_hours_a_domain_takes_no_searches_and_says_when_it_does() {
    let evening: Hours = serde_json::from_str(r#"{"from":"18:00","to":"23:00"}"#).unwrap();
    let mut matching = Matchmaker::new(Domain { open: vec![evening], ..domain(2, 2) });
    let day = 86_400_000;
    matching.world.now = Time(20_000 * day + 17 * 3_600_000);
    let opens = Time(20_000 * day + 18 * 3_600_000);
    assert_eq!(ended(&matching.ask(vec![seeker(1, 1500)]))[&1], Err(Refusal::Closed { opens }));
    matching.world.now = opens;
    assert!(ended(&matching.ask(vec![seeker(1, 1500)])).is_empty());
    assert_eq!(matching.asks(2, 1500).len(), 1);
}

#[test]
fn a_changed_domain_keeps_who_waits_with_the_age_or_says_why_not() {
    let mut matching = Matchmaker::new(domain(5, 5));
    matching.asks(1, 1500);
    matching.pass(5_000);
    matching.ask(vec![seeker(2, 1500), seeker(3, 1500), seeker(5, 1500)]);
    let messages = matching.world.tell(Event::Domain { domain: Box::new(domain(2, 2)), rule: None });
    let refused = ended(&messages);
    assert_eq!(refused.keys().copied().collect::<Vec<_>>(), [2, 3, 5]);
    assert!(matches!(&refused[&2], Err(Refusal::Invalid(text)) if text.contains("too large")));
    let messages = matching.ask(vec![seeker(6, 1500)]);
    assert_eq!(asked(&messages)[0].users(), [1, 6], "by the new rules");
    // Nothing changes, nothing happens.
    let mut same = Matchmaker::new(domain(3, 3));
    same.asks(1, 1500);
    assert!(same.world.tell(Event::Domain { domain: Box::new(domain(3, 3)), rule: None }).is_empty());
    assert_eq!(same.state(1), "Waiting");
}

#[test]
fn many_who_wait_are_gone_through_in_parts_when_the_domain_changes() {
    let mut matching = Matchmaker::new(Domain { rating_range: 0, rating_range_max: 0, ..domain(2, 2) });
    for user in 0..3_000 {
        matching.asks(user, user as i32);
    }
    let wider = Domain { rating_range: 10, rating_range_max: 10, ..domain(2, 2) };
    let mut made = asked(&matching.world.tell(Event::Domain { domain: Box::new(wider), rule: None }));
    assert!((1..=500).contains(&made.len()), "{} of 1,500 in the first step", made.len());
    assert!(matching.world.service.waiting() >= 2_000, "nobody is lost");
    made.extend(matching.pass(1_000));
    assert!(made.len() > 1_300, "{}", made.len());
    assert_eq!(matching.world.service.waiting() + 2 * made.len(), 3_000);
}

/// 3,000 of whom no two can meet, the first the oldest.
fn many() -> Matchmaker {
    let mut matching = Matchmaker::new(Domain { rating_range: 0, rating_range_max: 0, ..domain(2, 2) });
    for user in 0..3_000 {
        matching.asks(user, user as i32);
        matching.world.now = matching.world.now.plus_ms(1);
    }
    matching
}

/// Who is told that the search is over, in this order, in the first step and in all others.
fn ended_in_parts(matching: &mut Matchmaker, event: Event) -> (Vec<u64>, Vec<u64>) {
    let users = |messages: &[Message]| -> Vec<u64> {
        let user = |message: &Message| match message {
            Message::Lobby(lobby::Event::ResMatch { user, result: Err(_), .. }) => Some(user.0),
            _ => None,
        };
        messages.iter().filter_map(user).collect()
    };
    let first = users(&matching.world.tell(event));
    let others = users(&matching.world.pass_ms(100));
    (first, others)
}

#[test]
fn many_who_wait_are_told_in_parts_that_it_is_over_the_oldest_first() {
    let down = Event::Service { service: ServiceName::Db, up: false };
    for event in [Event::Removed, down] {
        let mut matching = many();
        let (mut told, others) = ended_in_parts(&mut matching, event);
        assert!((1..=1_500).contains(&told.len()), "{} of 3,000 in the first step", told.len());
        told.extend(others);
        assert_eq!(told, (0..3_000).collect::<Vec<_>>(), "each once");
        assert_eq!(matching.world.service.waiting(), 0);
    }
}

#[test]
fn who_asks_anew_while_the_others_are_told_that_it_is_over_waits_on() {
    let mut matching = many();
    for up in [false, true] {
        let told = matching.world.tell(Event::Service { service: ServiceName::Lobby, up });
        assert!(!ended(&told).contains_key(&2_999), "not in the first step");
    }
    // The lobby has ended all searches by itself: for it this is a new one.
    let again =
        Event::ReqMatch { ticket: 5_000, seekers: vec![seeker(2_999, 2_999)], waited_ms: 0, away: <_>::default() };
    matching.world.tell(again);
    matching.world.pass_ms(100);
    assert_eq!((matching.state(2_999), matching.world.service.waiting()), ("Waiting", 1));
    assert_eq!(matching.asks(6_000, 2_999)[0].users(), [2_999, 6_000]);
}

#[test]
fn ranges_widen_along_the_points_of_the_operator() {
    let point = |after_ms, range| Point { after_ms, range };
    let widening = vec![point(2_000, 50), point(10_000, 250), point(20_000, 1_000)];
    let domain = Domain { widening, ..domain(2, 2) };
    for (waited_ms, range) in [(0, 50), (2_000, 50), (6_000, 150), (10_000, 250), (15_000, 625), (99_000, 1_000)] {
        assert_eq!(domain.range_after(waited_ms), range, "after {waited_ms} ms");
    }
    let shrinking = Domain { widening: vec![point(0, 50), point(1, 49)], ..domain.clone() };
    assert!(shrinking.check().unwrap_err().contains("do not shrink"));
}

#[test]
fn ranges_of_operators_who_say_nothing_begin_narrow_and_widen_evenly_to_an_end() {
    let domain = Domain::new("fleet".into(), 2, 2);
    for (waited_ms, range) in [(0, 50), (500, 55), (10_000, 150), (94_900, 999), (95_000, 1_000), (300_000, 1_000)] {
        assert_eq!(domain.range_after(waited_ms), range, "after {waited_ms} ms");
    }
}

#[test]
fn in_the_end_bots_fill_what_nobody_has_come_for() {
    let bots = Some(Bots { after_ms: 20_000, players_min: 1 });
    let mut matching = Matchmaker::new(Domain { bots, fill_ms: 5_000, ..domain(3, 4) });
    matching.asks(1, 1500);
    matching.asks(2, 1500);
    assert!(matching.pass(19_000).is_empty());
    let made = matching.pass(3_000);
    assert_eq!((made[0].users(), made[0].bots), (vec![1, 2], 2));
    matching.made(&made[0]);
    let bots = matching.world.service.meters().into_iter().find(|meter| meter.name == "scenehost_match_bots_total");
    assert_eq!(bots.expect("it is counted").value, Reading::Total(2));
    for user in 3..6 {
        matching.asks(user, 1500);
    }
    let made = matching.pass(6_000);
    assert_eq!((made[0].users(), made[0].bots), (vec![3, 4, 5], 0), "as few as the domain has without bots");
}

fn fives() -> Domain {
    let teams = Layout { teams: vec![Team { count: 2, ..Team::of(5) }] };
    Domain { teams, ..domain(10, 10) }
}

#[test]
fn parties_stay_together_and_teams_are_even() {
    let mut matching = Matchmaker::new(fives());
    matching.ask(vec![seeker(1, 1500), seeker(2, 1520), seeker(3, 1540)]);
    matching.ask(vec![seeker(4, 1500), seeker(5, 1500), seeker(6, 1500)]);
    assert!(matching.ask(vec![seeker(7, 1500), seeker(8, 1500), seeker(9, 1500)]).len() == 3, "it waits");
    for user in 10..13 {
        assert!(matching.asks(user, 1500 + user as i32).is_empty());
    }
    let made = matching.asks(13, 1500).remove(0);
    let teams = made.teams();
    assert_eq!((teams[&0].len(), teams[&1].len()), (5, 5));
    for party in [[1, 2, 3], [4, 5, 6], [7, 8, 9]] {
        let there: Vec<u64> = party.into_iter().filter(|user| made.users().contains(user)).collect();
        let together = teams.values().any(|team| there.iter().all(|user| team.contains(user)));
        assert!(there.is_empty() || (there.len() == 3 && together), "{teams:?}");
    }
    let refused = matching.ask((20..26).map(|user| seeker(user, 1500)).collect());
    assert!(matches!(&ended(&refused)[&20], Err(Refusal::Invalid(text)) if text.contains("takes 5")), "a team has 5");
}

#[test]
fn every_role_of_a_team_is_played_by_one_who_will() {
    let roles = BTreeMap::from([("healer".into(), 1), ("tank".into(), 1)]);
    let teams = Layout { teams: vec![Team { count: 2, roles, ..Team::of(2) }] };
    let mut matching = Matchmaker::new(Domain { teams, ..domain(4, 4) });
    let plays = |roles: &[&str]| Wish { roles: roles.iter().map(|it| (*it).to_owned()).collect(), ..Wish::default() };
    for user in 1..=3 {
        assert!(matching.wishes(user, 1500, plays(&["tank"])).is_empty());
    }
    assert!(matching.wishes(4, 1500, plays(&["tank", "healer"])).is_empty(), "one healer is not enough");
    let made = matching.asks(5, 1500).remove(0);
    let role = |player: &Matched| (player.team, player.role.clone().unwrap());
    let mut places: Vec<(u32, String)> = made.players.iter().map(role).collect();
    places.sort();
    let expected = [(0, "healer"), (0, "tank"), (1, "healer"), (1, "tank")];
    assert_eq!(places, expected.map(|(team, role)| (team, role.to_owned())));
    let healer = |user| made.players.iter().find(|player| player.user.0 == user).unwrap().role.clone().unwrap();
    assert_eq!((healer(4), healer(5)), ("healer".to_owned(), "healer".to_owned()));
    let unknown = matching.ask(vec![Seeker { wish: plays(&["bard"]), ..seeker(9, 1500) }]);
    assert!(matches!(&ended(&unknown)[&9], Err(Refusal::Invalid(text)) if text.contains("healer, tank")));
}

/// What was sent to a running scene.
fn sent(messages: &[Message]) -> Vec<(MatchId, Lease, Vec<Matched>)> {
    let sent = |message: &Message| match message {
        Message::SceneMaster(scene_master::Event::ReqFillSeats { match_id, lease, players, .. }) => {
            Some((*match_id, *lease, players.clone()))
        }
        _ => None,
    };
    messages.iter().filter_map(sent).collect()
}

fn lease(generation: u32) -> Lease {
    Lease { allocation: AllocationId(7), generation }
}

fn wants(generation: u32, openings: &[(u32, Option<u32>)]) -> Event {
    let opening = |(count, team): &(u32, Option<u32>)| Opening { count: *count, team: *team, role: None };
    Event::ReqBackfill {
        lease: lease(generation),
        openings: openings.iter().map(opening).collect(),
        region: None,
        players: vec![UserId(100)],
        rating: Some(1500),
        since: Time(0),
    }
}

#[test]
fn a_running_scene_gets_players_before_new_matches_are_made() {
    let mut matching = Matchmaker::new(domain(2, 2));
    assert!(matching.world.tell(wants(1, &[(2, Some(1))])).is_empty());
    let messages = matching.ask(vec![seeker(1, 1550)]);
    let (match_id, to, players) = sent(&messages).remove(0);
    assert_eq!((to, players[0].user, players[0].team), (lease(1), UserId(1), 1));
    assert!(asked(&matching.ask(vec![seeker(2, 1500)])).is_empty());
    assert_eq!(matching.state(2), "Waiting", "one group at a time");
    let told = matching.world.tell(Event::ResCreateScene { match_id, result: Ok(vec![(UserId(1), entry(5))]) });
    assert_eq!(ended(&told), BTreeMap::from([(1, Ok(()))]));
    // The scene says what is open still.
    assert_eq!(sent(&matching.world.tell(wants(1, &[(1, Some(1))]))).len(), 1);
    assert_eq!(matching.state(2), "Placing");
}

#[test]
fn those_whom_the_scene_does_not_take_wait_again_with_their_age() {
    let mut matching = Matchmaker::new(domain(2, 2));
    matching.asks(1, 1500);
    matching.pass(3_000);
    let messages = matching.world.tell(wants(1, &[(1, None)]));
    let (match_id, ..) = sent(&messages).remove(0);
    let refused = Event::ResCreateScene { match_id, result: Err(Refusal::SceneFull("no seat is free".into())) };
    let Some(MatchState::Searching(searching)) = told(&matching.world.tell(refused), 1) else { panic!() };
    assert_eq!(searching.waited_ms, 3_000);
    // No answer: the seats are given back, and they wait.
    matching.world.tell(wants(1, &[(1, None)]));
    let messages = matching.world.pass_ms(FILL_MS_MAX);
    let cancels =
        |message: &Message| matches!(message, Message::SceneMaster(scene_master::Event::ReqCancelScene { .. }));
    assert!(messages.iter().any(cancels), "{messages:?}");
    assert_eq!(matching.state(1), "Waiting");
    // They may have another match at once, and SceneMaster hears of that last.
    matching.world.tell(wants(1, &[(1, None)]));
    assert!(asked(&matching.ask(vec![seeker(2, 1500)])).is_empty());
    let messages = matching.world.pass_ms(FILL_MS_MAX);
    let cancelled = messages.iter().position(cancels).expect("the seat is given back");
    let creates = |message: &Message| !asked(std::slice::from_ref(message)).is_empty();
    assert!(messages.iter().position(creates).is_some_and(|created| created > cancelled), "{messages:?}");
}

#[test]
fn a_request_ends_when_it_is_not_said_again_or_a_newer_one_comes() {
    let mut matching = Matchmaker::new(domain(2, 2));
    matching.world.tell(wants(1, &[(1, None)]));
    matching.pass(LEASE_MS + 100);
    assert!(sent(&matching.ask(vec![seeker(1, 1500)])).is_empty());
    let mut matching = Matchmaker::new(domain(2, 2));
    matching.world.tell(wants(3, &[(1, Some(9))]));
    assert!(matching.world.tell(wants(2, &[(5, None)])).is_empty(), "an older one");
    matching.world.tell(Event::SynBackfillEnded { lease: lease(2) });
    let (_, to, players) = sent(&matching.ask(vec![seeker(1, 1500)])).remove(0);
    assert_eq!((to, players[0].team), (lease(3), 9));
    let mut matching = Matchmaker::new(domain(2, 2));
    matching.world.tell(wants(3, &[(1, None)]));
    matching.world.tell(Event::SynBackfillEnded { lease: lease(3) });
    assert!(sent(&matching.ask(vec![seeker(1, 1500)])).is_empty());
}

#[test]
fn nobody_is_sent_whom_ratings_or_blocks_forbid_and_parties_go_whole() {
    let mut matching = Matchmaker::new(domain(3, 3));
    matching.world.tell(wants(1, &[(1, Some(0)), (2, Some(1))]));
    assert!(sent(&matching.ask(vec![seeker(1, 1700)])).is_empty(), "too far from the scene's players");
    let blocking = Seeker { blocked: [UserId(100)].into(), ..seeker(2, 1500) };
    assert!(sent(&matching.ask(vec![blocking])).is_empty());
    assert!(sent(&matching.ask(vec![seeker(100, 1500)])).is_empty(), "who was in that game does not come again");
    let party = vec![seeker(3, 1500), seeker(4, 1500)];
    let (.., players) = sent(&matching.ask(party)).remove(0);
    assert!(players.iter().all(|player| player.team == 1), "both in the team with two places: {players:?}");
}

#[test]
fn usual_waits_are_told_once_there_have_been_some() {
    let mut matching = Matchmaker::new(domain(2, 2));
    let mut made: Vec<Asked> = Vec::new();
    for pair in 0..10 {
        matching.asks(2 * pair, 1500);
        matching.pass(2_000);
        made.extend(matching.asks(2 * pair + 1, 1500));
        let last = made.last().unwrap().clone();
        matching.made(&last);
    }
    let messages = matching.ask(vec![seeker(100, 1500)]);
    let Some(MatchState::Searching(searching)) = told(&messages, 100) else { panic!("{messages:?}") };
    assert_eq!(searching.usual_wait_ms, Some(2_000), "one of each two has waited for 2 s");
    let Some(MatchState::Searching(searching)) = told(&matching.ask(vec![seeker(101, 3000)]), 101) else { panic!() };
    assert_eq!(searching.usual_wait_ms, None, "of others nothing is known");
}
