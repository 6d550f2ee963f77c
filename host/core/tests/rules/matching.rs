//! Matching: who plays with whom, and that every search ends.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use scenehost_core::config::Domain;
use scenehost_core::matching::domain::Recent;
use scenehost_core::matching::{Event, LATE_MS_MAX, Match, PLACE_ATTEMPTS_MAX, PLACE_MS_MAX, ROUND_MS, Seeker, Wish};
use scenehost_core::message::Entry;
use scenehost_core::token::Secret;
use scenehost_core::{MatchId, Message, Refusal, SceneId, ServiceName, UserId, lobby, scene_master};

use crate::table::{self, short};
use crate::world::World;

fn domain(players_min: u32, players_max: u32) -> Domain {
    Domain {
        fill_ms: 4_000,
        rating_range: 100,
        rating_range_per_s: 50,
        wait_ms_max: 60_000,
        tickets_max: 1_000,
        ..Domain::new("gomoku".into(), players_min, players_max)
    }
}

fn pairs() -> World<Match> {
    World::new(Match::new("gomoku".into(), domain(2, 2), None))
}

fn ask(user: u64, rating: i32) -> Event {
    ask_without(user, rating, &[])
}

/// The same, by a user who will not play with these.
fn ask_without(user: u64, rating: i32, blocked: &[u64]) -> Event {
    Event::ReqMatch { ticket: user, seekers: vec![seeker(user, rating, blocked)], waited_ms: 0, away: <_>::default() }
}

fn seeker(user: u64, rating: i32, blocked: &[u64]) -> Seeker {
    let blocked = blocked.iter().map(|user| UserId(*user)).collect();
    Seeker { user: UserId(user), name: format!("user {user}"), rating, games: 0, blocked, wish: Wish::default() }
}

/// The groups that were sent to SceneMaster.
fn groups(messages: &[Message]) -> Vec<(MatchId, Vec<u64>)> {
    let group = |message: &Message| match message {
        Message::SceneMaster(scene_master::Event::ReqCreateScene { match_id, players, .. }) => {
            let mut users: Vec<u64> = players.iter().map(|player| player.user.0).collect();
            users.sort();
            Some((*match_id, users))
        }
        _ => None,
    };
    messages.iter().filter_map(group).collect()
}

fn entry() -> Entry {
    use rand_chacha::rand_core::SeedableRng;
    let secret = Secret::draw(&mut rand_chacha::ChaCha20Rng::seed_from_u64(3));
    Entry { scene: SceneId(1), allocation: None, domain: "gomoku".into(), url: String::new(), secret, expires_in_ms: 1 }
}

fn shorts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(short).collect()
}

#[test]
fn who_has_no_place_in_a_match_that_was_made_is_told_so() {
    let mut world = pairs();
    world.tell(ask(1, 1500));
    let (match_id, _) = groups(&world.tell(ask(2, 1500)))[0].clone();
    let told = world.tell(Event::ResCreateScene { match_id, result: Ok(vec![(UserId(2), entry())]) });
    assert_eq!(shorts(&told), ["Lobby ResMatch", "Lobby ResMatch ✗NoSeat"]);
    assert_eq!((world.service.ticket_name(UserId(1)), world.service.ticket_name(UserId(2))), ("none", "none"));
}

/// A party of these, with their ratings; its ticket is the first one's.
fn ask_as_party(users: &[(u64, i32)]) -> Event {
    let seekers = users.iter().map(|(user, rating)| seeker(*user, *rating, &[])).collect();
    Event::ReqMatch { ticket: users[0].0, seekers, waited_ms: 0, away: <_>::default() }
}

#[test]
fn a_party_comes_in_whole_or_not_at_all_and_counts_as_its_users() {
    let mut world = World::new(Match::new("arena".into(), domain(3, 4), None));
    world.tell(ask_as_party(&[(1, 1500), (2, 1500), (3, 1500)]));
    assert!(groups(&world.tell(ask_as_party(&[(4, 1500), (5, 1500)]))).is_empty(), "five are too many");
    assert_eq!(groups(&world.tell(ask(6, 1500)))[0].1, [1, 2, 3, 6]);
    // Three users are enough after the time for more, whoever they belong to.
    world.tell(ask(7, 1500));
    assert_eq!(groups(&world.pass_ms(5_000))[0].1, [4, 5, 7]);
    assert_eq!(world.service.waiting(), 0);
}

#[test]
fn a_party_that_fills_a_game_begins_at_once_and_a_larger_one_never() {
    let mut world = pairs();
    assert_eq!(groups(&world.tell(ask_as_party(&[(1, 1100), (2, 1900)])))[0].1, [1, 2]);
    let told = world.tell(ask_as_party(&[(3, 1500), (4, 1500), (5, 1500)]));
    assert_eq!(shorts(&told), ["Lobby ResMatch ✗Invalid"; 3]);
}

#[test]
fn a_partys_rating_is_the_mean_and_each_plays_with_the_own() {
    let mut world = World::new(Match::new("arena".into(), domain(3, 3), None));
    world.tell(ask_as_party(&[(1, 1000), (2, 1400)]));
    assert!(groups(&world.tell(ask(3, 1400))).is_empty(), "too far from 1200");
    let told = world.tell(ask(4, 1200));
    assert_eq!(groups(&told)[0].1, [1, 2, 4]);
    let Some(Message::SceneMaster(scene_master::Event::ReqCreateScene { players, .. })) = told.last() else {
        panic!("{told:?}")
    };
    let mut ratings: Vec<(u64, i32)> = players.iter().map(|player| (player.user.0, player.rating)).collect();
    ratings.sort();
    assert_eq!(ratings, [(1, 1000), (2, 1400), (4, 1200)]);
}

#[test]
fn a_block_of_one_is_a_block_of_the_party_but_not_within_it() {
    let mut world = World::new(Match::new("arena".into(), domain(3, 3), None));
    let seekers = vec![seeker(1, 1500, &[2]), seeker(2, 1500, &[3])];
    world.tell(Event::ReqMatch { ticket: 1, seekers, waited_ms: 0, away: <_>::default() });
    assert!(groups(&world.tell(ask(3, 1500))).is_empty());
    assert!(groups(&world.tell(ask_without(4, 1500, &[1, 3]))).is_empty());
    assert_eq!(groups(&world.tell(ask(5, 1500)))[0].1, [1, 2, 5]);
}

#[test]
fn one_member_takes_the_search_back_for_all_and_a_newer_one_ends_it() {
    let mut world = World::new(Match::new("arena".into(), domain(3, 3), None));
    world.tell(ask_as_party(&[(1, 1500), (2, 1500)]));
    let others = Refusal::SearchStopped("Bob has stopped the search".to_owned());
    let stranger = Event::ReqCancelMatch { user: UserId(9), ticket: 1, others: others.clone() };
    world.tell(stranger);
    assert_eq!(world.service.waiting(), 1, "who is not in it does not end it");
    let told = world.tell(Event::ReqCancelMatch { user: UserId(2), ticket: 1, others: others.clone() });
    let ended = lobby::Event::ResMatch { user: UserId(1), ticket: 1, result: Err(others) };
    assert_eq!(told[0], Message::Lobby(ended));
    assert_eq!(shorts(&told), ["Lobby ResMatch ✗SearchStopped", "Lobby ResCancelMatch"]);

    world.tell(ask_as_party(&[(1, 1500), (2, 1500)]));
    let told = world.tell(Event::ReqMatch {
        ticket: 7,
        seekers: vec![seeker(2, 1500, &[])],
        waited_ms: 0,
        away: <_>::default(),
    });
    assert_eq!(shorts(&told)[..2], ["Lobby ResMatch ✗Busy", "Lobby ResMatch ✗Busy"]);
    assert_eq!(world.service.waiting(), 1);
}

#[test]
fn who_has_blocked_the_other_is_not_matched_with_them_whoever_came_first() {
    for (first, second) in [(ask_without(1, 1500, &[2]), ask(2, 1500)), (ask(1, 1500), ask_without(2, 1500, &[1]))] {
        let mut world = pairs();
        world.tell(first);
        assert!(groups(&world.tell(second)).is_empty());
        assert!(groups(&world.pass_ms(10_000)).is_empty());
        let third = groups(&world.tell(ask(3, 1500)));
        assert_eq!(third.len(), 1, "a third is matched with one of them");
        assert!(third[0].1.contains(&3));
    }
}

#[test]
fn a_group_has_no_two_of_whom_one_has_blocked_the_other() {
    let mut world = World::new(Match::new("arena".into(), domain(3, 3), None));
    world.tell(ask_without(1, 1500, &[2]));
    world.tell(ask(2, 1500));
    assert!(groups(&world.tell(ask(3, 1500))).is_empty(), "1 and 2 are the only ones for 3");
    let made = groups(&world.tell(ask(4, 1500)));
    assert_eq!(made.len(), 1);
    assert!(made[0].1 == [1, 3, 4] || made[0].1 == [2, 3, 4], "{made:?}");
}

#[test]
fn two_in_range_are_matched_at_once_and_two_out_of_range_are_not() {
    let mut world = pairs();
    assert_eq!(shorts(&world.tell(ask(1, 1500))), ["Lobby SynMatchState"]);
    assert!(groups(&world.tell(ask(2, 1601))).is_empty());
    assert_eq!(groups(&world.tell(ask(3, 1600)))[0].1.len(), 2);
}

#[test]
fn equal_ratings_match() {
    let mut world = pairs();
    world.tell(ask(1, 1500));
    assert_eq!(groups(&world.tell(ask(2, 1500)))[0].1, [1, 2]);
}

#[test]
fn ranges_widen_with_waiting_and_both_have_to_accept() {
    let mut world = pairs();
    world.tell(ask(1, 1500));
    world.pass_ms(10_000);
    // The first would play with anyone up to 600 away by now, the second only up to 100.
    assert!(groups(&world.tell(ask(2, 1700))).is_empty());
    assert!(groups(&world.pass_ms(1_500)).is_empty());
    assert_eq!(groups(&world.pass_ms(1_000 + ROUND_MS))[0].1, [1, 2]);
}

#[test]
fn the_choice_among_those_in_range_is_random_and_fair() {
    let mut chosen = BTreeMap::<u64, u32>::new();
    for seed in 0..400 {
        let mut world = World::seeded(Match::new("gomoku".into(), domain(2, 2), None), seed);
        world.tell(ask(1, 1400));
        world.tell(ask(2, 1600));
        let group = &groups(&world.tell(ask(3, 1500)))[0].1;
        *chosen.entry(group[0]).or_default() += 1;
    }
    // 400 draws of one of two: 200 each; five standard deviations are 50.
    assert!((150..=250).contains(&chosen[&1]), "{chosen:?}");
    assert_eq!(chosen[&1] + chosen[&2], 400);
}

/// Pearson's test, with 15 degrees of freedom (16 candidates): chance alone exceeds 37.70 once in a thousand times, and
/// a choice that one in twenty times took the first or the nearest would come to thousands.
#[test]
fn a_hundred_thousand_choices_are_uniform_over_those_in_range() {
    const CHOICES: u32 = 100_000;
    // Equal ratings, both ends of the range, and uneven gaps between; then two who are just out of it.
    const RATINGS: [i32; 18] = [
        1_400, 1_400, 1_400, 1_401, 1_440, 1_499, 1_500, 1_500, 1_500, 1_501, 1_502, 1_550, 1_551, 1_599, 1_600, 1_600,
        1_399, 1_601,
    ];
    // They will not play with each other, so that all of them wait; and nobody is avoided for having met before.
    let recent = Recent { opponents: 0, ..Recent::default() };
    let mut world = World::new(Match::new("gomoku".into(), Domain { recent, ..domain(2, 2) }, None));
    let others: Vec<u64> = (0..RATINGS.len() as u64).collect();
    let wait = |world: &mut World<Match>, user: u64, ticket: u64| {
        let seekers = vec![seeker(user, RATINGS[user as usize], &others)];
        assert!(
            groups(&world.tell(Event::ReqMatch { ticket, seekers, waited_ms: 0, away: <_>::default() })).is_empty()
        );
    };
    others.iter().for_each(|user| wait(&mut world, *user, *user));
    let mut chosen = [0_u32; RATINGS.len()];
    for choice in 0..CHOICES {
        let number = 1_000 + 2 * u64::from(choice);
        let made = groups(&world.tell(ask(number, 1_500)));
        let [(match_id, users)] = made.as_slice() else { panic!("one match: {made:?}") };
        let entries = users.iter().map(|user| (UserId(*user), entry())).collect();
        world.tell(Event::ResCreateScene { match_id: *match_id, result: Ok(entries) });
        chosen[users[0] as usize] += 1;
        wait(&mut world, users[0], number + 1);
    }
    assert_eq!(chosen[16..], [0, 0], "they are out of range");
    let expected = f64::from(CHOICES) / 16.0;
    let chi_square: f64 = chosen[..16].iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
    assert!(chi_square < 37.70, "{chi_square}: {chosen:?}");
}

#[test]
fn a_group_waits_to_fill_but_not_for_ever() {
    let mut world = World::new(Match::new("arena".into(), domain(2, 8), None));
    for user in 1..=3 {
        assert!(groups(&world.tell(ask(user, 1500))).is_empty(), "two would do, eight are better");
    }
    let messages = world.pass_ms(4_000 + ROUND_MS);
    assert_eq!(groups(&messages)[0].1, [1, 2, 3]);
    for user in 11..=17 {
        assert!(groups(&world.tell(ask(user, 1500))).is_empty());
    }
    assert_eq!(groups(&world.tell(ask(18, 1500)))[0].1.len(), 8, "a full group does not wait");
}

#[test]
fn a_search_can_be_taken_back_until_the_match_is_made() {
    let mut world = pairs();
    world.tell(ask(1, 1500));
    let cancel = |user| Event::ReqCancelMatch { user: UserId(user), ticket: user, others: Refusal::Stopping };
    assert_eq!(shorts(&world.tell(cancel(1))), ["Lobby ResCancelMatch"]);
    assert!(groups(&world.tell(ask(2, 1500))).is_empty());
    world.tell(ask(1, 1500));
    assert_eq!(shorts(&world.tell(cancel(1))), ["Lobby ResCancelMatch ✗Busy"]);
}

#[test]
fn a_search_without_a_match_ends_at_the_limit_and_hears_of_itself_before() {
    let mut world = pairs();
    world.tell(ask(1, 1500));
    let messages = world.pass_ms(60_000 + ROUND_MS);
    assert_eq!(shorts(&messages).last().unwrap(), "Lobby ResMatch ✗NoMatch");
    let updates = shorts(&messages).iter().filter(|it| *it == "Lobby SynMatchState").count();
    assert!((8..=12).contains(&updates), "{updates} updates in a minute");
    assert_eq!(world.service.waiting(), 0);
}

#[test]
fn users_hear_of_a_scene_that_cannot_be_made_only_after_several_attempts() {
    let mut world = pairs();
    world.tell(ask(1, 1500));
    let mut group = groups(&world.tell(ask(2, 1500)))[0].0;
    for _ in 1..PLACE_ATTEMPTS_MAX {
        let result = Err(Refusal::Overloaded("scenes".into()));
        group = groups(&world.tell(Event::ResCreateScene { match_id: group, result }))[0].0;
    }
    let told = world.pass_ms(PLACE_MS_MAX);
    assert_eq!(shorts(&told), ["Lobby ResMatch ✗TimedOut", "Lobby ResMatch ✗TimedOut"]);
    assert!(world.service.waiting() == 0 && world.service.ticket_name(UserId(1)) == "none");
}

#[test]
fn users_hear_at_once_of_a_game_that_is_in_quarantine() {
    let mut world = pairs();
    world.tell(ask(1, 1500));
    let group = groups(&world.tell(ask(2, 1500)))[0].0;
    let told = world.tell(Event::ResCreateScene { match_id: group, result: Err(Refusal::Quarantined) });
    assert_eq!(shorts(&told), ["Lobby ResMatch ✗Quarantined"; 2]);
    assert_eq!(world.service.waiting(), 0);
}

#[test]
fn searches_wait_while_scene_master_is_down() {
    let scene_master = |up| Event::Service { service: ServiceName::SceneMaster, up };
    let mut world = pairs();
    world.tell(ask(1, 1500));
    assert_eq!(shorts(&world.tell(scene_master(false))), [] as [&str; 0]);
    assert_eq!(shorts(&world.tell(ask(2, 1500))), ["Lobby ResMatch ✗ServiceDown"]);
    assert!(groups(&world.pass_ms(ROUND_MS * 10)).is_empty(), "nobody could make a scene");
    world.tell(scene_master(true));
    assert_eq!(groups(&world.tell(ask(2, 1500)))[0].1, [1, 2]);
}

#[test]
fn a_group_asks_a_fresh_scene_master_again_and_not_for_ever() {
    let scene_master = |up| Event::Service { service: ServiceName::SceneMaster, up };
    let mut world = pairs();
    world.tell(ask(1, 1500));
    let group = groups(&world.tell(ask(2, 1500)));
    let down = Err(Refusal::ServiceDown(ServiceName::SceneMaster));
    for _ in 1..PLACE_ATTEMPTS_MAX {
        world.tell(scene_master(false));
        assert!(world.pass_ms(PLACE_MS_MAX * 2).is_empty(), "it is given time to come up");
        assert_eq!(groups(&world.tell(scene_master(true))), group);
    }
    // It was up again before this group heard of it.
    assert!(groups(&world.tell(Event::ResCreateScene { match_id: group[0].0, result: down })).is_empty());
    assert_eq!(groups(&world.pass_ms(1_000)), group, "it asks for the same");
    world.tell(scene_master(false));
    let told = world.tell(scene_master(true));
    assert_eq!(shorts(&told), ["Lobby ResMatch ✗ServiceDown"; 2], "perhaps it is this group that brings it down");
}

#[test]
fn a_scene_that_was_made_for_a_group_that_is_over_is_called_off() {
    let mut world = pairs();
    let late = Event::ResCreateScene { match_id: MatchId(77), result: Ok(vec![(UserId(9), entry())]) };
    assert_eq!(shorts(&world.tell(late)), ["SceneMaster ReqCancelScene"]);
    world.tell(ask(1, 1500));
    let (match_id, _) = groups(&world.tell(ask(2, 1500)))[0].clone();
    let made = Event::ResCreateScene { match_id, result: Ok(vec![(UserId(1), entry()), (UserId(2), entry())]) };
    assert_eq!(shorts(&world.tell(made.clone())), ["Lobby ResMatch"; 2]);
    assert!(world.tell(made).is_empty(), "told twice: its users are on their way in");
}

#[test]
fn while_the_store_is_down_searches_end_and_a_match_that_is_being_made_is_waited_for_for_a_while() {
    let db = |up| Event::Service { service: ServiceName::Db, up };
    let mut world = pairs();
    world.tell(ask(1, 1500));
    let group = groups(&world.tell(ask(2, 1500)))[0].0;
    world.tell(ask(3, 1500));
    let told = world.tell(db(false));
    assert_eq!(shorts(&told), ["Lobby ResMatch ✗ServiceDown"], "only the third has no match yet");
    let mut late = world.clone();
    let entries = vec![(UserId(1), entry()), (UserId(2), entry())];
    let told = world.tell(Event::ResCreateScene { match_id: group, result: Ok(entries) });
    assert_eq!(shorts(&told), ["Lobby ResMatch", "Lobby ResMatch"], "its record was written in time");
    assert!(late.pass_ms(LATE_MS_MAX - 1).is_empty());
    let told = late.pass_ms(1);
    assert_eq!(shorts(&told), ["Lobby ResMatch ✗ServiceDown", "Lobby ResMatch ✗ServiceDown"], "it was not");
    assert_eq!(shorts(&late.tell(ask(1, 1500))), ["Lobby ResMatch ✗ServiceDown"]);
    late.tell(db(true));
    assert_eq!(shorts(&late.tell(ask(1, 1500))), ["Lobby SynMatchState"]);
}

#[test]
fn however_often_the_store_goes_down_nobody_waits_longer_for_a_match_that_was_being_made_when_it_did() {
    let service = |service, up| Event::Service { service, up };
    let db = |up| service(ServiceName::Db, up);
    let mut world = pairs();
    world.tell(ask(1, 1500));
    world.tell(ask(2, 1500));
    world.tell(db(false));
    world.pass_ms(1_000);
    world.tell(db(true));
    world.tell(ask(3, 1500));
    world.tell(ask(4, 1500));
    assert_eq!(shorts(&world.tell(ask(5, 1500))), ["Lobby SynMatchState"]);
    world.pass_ms(1_000);
    assert_eq!(shorts(&world.tell(db(false))), ["Lobby ResMatch ✗ServiceDown"], "who waits ends at once, again");
    // SceneMaster, which is waited for else, has nothing to say without the store either.
    world.tell(service(ServiceName::SceneMaster, false));
    assert_eq!(shorts(&world.pass_ms(LATE_MS_MAX - 2_000)), ["Lobby ResMatch ✗ServiceDown"; 2], "since the first time");
    assert_eq!(shorts(&world.pass_ms(2_000)), ["Lobby ResMatch ✗ServiceDown"; 2], "since the second");
    assert_eq!(world.service.ticket_name(UserId(3)), "none");
}

proptest! {
    /// Whatever users ask for in whatever order: nobody is in two groups, groups have the domain's
    /// size and no two of whom one has blocked the other, ratings are within the widest range, and every search ends exactly once.
    #[test]
    fn every_search_ends_exactly_once(
        asks in prop::collection::vec((0..2_000u64, 1_000..2_000i32, any::<bool>(), 1..9u64), 1..60),
        players_min in 1..4u32,
        players_more in 0..4u32,
    ) {
        let config = domain(players_min, players_min + players_more);
        let mut world = World::new(Match::new("gomoku".into(), config.clone(), None));
        let mut asked = BTreeMap::new();
        let mut grouped = BTreeSet::new();
        let mut messages = Vec::new();
        // Every scene is made at once.
        let mut settle = |world: &mut World<Match>, told: Vec<Message>, asked: &BTreeMap<u64, (i32, u64)>| -> Result<(), TestCaseError> {
            for (match_id, users) in groups(&told) {
                prop_assert!((config.players_min as usize..=config.players_max as usize).contains(&users.len()));
                for user in &users {
                    prop_assert!(grouped.insert(*user), "user {} is in two groups", user);
                }
                let blocks = |one: &u64, other: &u64| other.checked_sub(asked[one].1) == Some(*one);
                let enemies = users.iter().any(|one| users.iter().any(|other| blocks(one, other)));
                prop_assert!(!enemies, "{:?}", users);
                let ratings = users.iter().map(|user| asked[user].0);
                let spread = ratings.clone().max().unwrap().abs_diff(ratings.min().unwrap());
                prop_assert!(spread <= 2 * config.rating_range_max);
                let entries = users.iter().map(|user| (UserId(*user), entry())).collect();
                messages.extend(world.tell(Event::ResCreateScene { match_id, result: Ok(entries) }));
            }
            messages.extend(told);
            Ok(())
        };
        for (number, (wait_ms, rating, cancels, blocks)) in asks.into_iter().enumerate() {
            let user = number as u64;
            // Each will not play with the one who comes so many after.
            asked.insert(user, (rating, blocks));
            let told = world.pass_ms(wait_ms);
            settle(&mut world, told, &asked)?;
            let told = world.tell(ask_without(user, rating, &[user + blocks]));
            settle(&mut world, told, &asked)?;
            if cancels {
                let told = world.tell(Event::ReqCancelMatch {
                    user: UserId(user / 2),
                    ticket: user / 2,
                    others: Refusal::Stopping,
                });
                settle(&mut world, told, &asked)?;
            }
        }
        for _ in 0..=config.wait_ms_max / 1_000 {
            let told = world.pass_ms(1_000);
            settle(&mut world, told, &asked)?;
        }
        let mut ended = BTreeMap::<u64, u32>::new();
        for message in &messages {
            match message {
                Message::Lobby(lobby::Event::ResMatch { user, .. }) => *ended.entry(user.0).or_default() += 1,
                // A search that is not there any more has been answered before.
                Message::Lobby(lobby::Event::ResCancelMatch { user, result: Ok(()), .. }) => {
                    ended.entry(user.0).or_insert(1);
                }
                _ => {}
            }
        }
        for user in asked.keys() {
            prop_assert_eq!(ended.get(user), Some(&1), "user {}", user);
        }
    }
}

#[test]
fn every_state_and_event() {
    let waiting = {
        let mut world = pairs();
        world.tell(ask(1, 1500));
        world
    };
    let (placing, group) = {
        let mut world = waiting.clone();
        let group = groups(&world.tell(ask(2, 1500)))[0].0;
        (world, group)
    };
    let accepting = {
        let mut world = World::new(Match::new("gomoku".into(), Domain { accept_ms: 5_000, ..domain(2, 2) }, None));
        world.tell(ask(1, 1500));
        world.tell(ask(2, 1500));
        world
    };
    let here = |here| Event::SynHere { user: UserId(1), ticket: 1, here };
    let away = {
        let mut world = waiting.clone();
        world.tell(here(false));
        world
    };
    let accepts = |accepts| Event::ReqAcceptMatch { user: UserId(1), ticket: 1, accepts };
    let after = |mut world: World<Match>, event: Event| {
        world.tell(event);
        world
    };
    let (handing_over, handed_over) =
        (after(placing.clone(), Event::HandOver), after(waiting.clone(), Event::HandOver));
    let cancel = |ticket| Event::ReqCancelMatch { user: UserId(1), ticket, others: Refusal::Stopping };
    let entries = || vec![(UserId(1), entry()), (UserId(2), entry())];
    table::check(
        "match",
        &[
            ("none", pairs()),
            ("Waiting", waiting),
            ("Away", away),
            ("Accepting", accepting),
            ("Placing", placing),
            ("Placing, handing over", handing_over),
            ("Waiting, handed over", handed_over),
        ],
        &[
            ("ReqMatch, the same", ask(1, 1500)),
            (
                "ReqMatch, a newer one",
                Event::ReqMatch { ticket: 9, seekers: vec![seeker(1, 1500, &[])], waited_ms: 0, away: <_>::default() },
            ),
            ("ReqMatch of another", ask(5, 1500)),
            ("ReqCancelMatch", cancel(1)),
            ("ReqCancelMatch, an older one", cancel(0)),
            ("ReqAcceptMatch", accepts(true)),
            ("ReqAcceptMatch, declined", accepts(false)),
            ("SynHere, gone", here(false)),
            ("SynHere, back", here(true)),
            ("Domain", Event::Domain { domain: Box::new(domain(2, 3)), rule: None }),
            ("Removed", Event::Removed),
            ("ResCreateScene", Event::ResCreateScene { match_id: group, result: Ok(entries()) }),
            (
                "ResCreateScene, refused",
                Event::ResCreateScene { match_id: group, result: Err(Refusal::Overloaded("x".into())) },
            ),
            ("ResCreateScene, unknown", Event::ResCreateScene { match_id: MatchId(1), result: Ok(entries()) }),
            ("SceneMaster down", Event::Service { service: ServiceName::SceneMaster, up: false }),
            ("SceneMaster up", Event::Service { service: ServiceName::SceneMaster, up: true }),
            ("Db down", Event::Service { service: ServiceName::Db, up: false }),
            ("HandOver", Event::HandOver),
            ("ResHandOver, not asked for", Event::ResHandOver),
            ("Lobby down", Event::Service { service: ServiceName::Lobby, up: false }),
            ("Tick at the limit of waiting", Event::Tick),
        ],
        |state, event| {
            let mut world = state.clone();
            if *event == Event::Tick {
                world.now = world.now.plus_ms(60_000);
            }
            let effects = world.step(event.clone());
            table::cell(world.service.ticket_name(UserId(1)), &effects)
        },
    );
}
