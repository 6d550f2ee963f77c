//! What users have and want: properties, opponents, regions; and who they met.

use std::collections::{BTreeMap, BTreeSet};

use scenehost_core::config::Domain;
use scenehost_core::matching::domain::{Ping, Property, Recent};
use scenehost_core::matching::{Event, Seeker, Wish};
use scenehost_core::message::MatchState;
use scenehost_core::{Refusal, UserId};

use crate::matchmaker::{Matchmaker, asked, domain, ended, seeker, told};

fn property(name: &str, values: &[&str]) -> Property {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    Property { name: name.to_owned(), values, common: false, relax_ms: None }
}

fn list(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn has(name: &str, values: &[&str]) -> Wish {
    Wish { has: BTreeMap::from([(name.to_owned(), list(values))]), ..Wish::default() }
}

fn wants(name: &str, values: &[&str]) -> Wish {
    Wish { wants: BTreeMap::from([(name.to_owned(), list(values))]), ..Wish::default() }
}

fn both(has: Wish, wants: Wish) -> Wish {
    Wish { has: has.has, wants: wants.wants, ..Wish::default() }
}

fn languages() -> Domain {
    Domain { properties: vec![property("language", &["en", "ko", "de"])], ..domain(2, 2) }
}

#[test]
fn what_one_wants_the_other_has_to_have_both_ways() {
    let mut matching = Matchmaker::new(languages());
    let korean = both(has("language", &["ko"]), wants("language", &["ko"]));
    assert!(matching.wishes(1, 1500, korean.clone()).is_empty());
    assert!(matching.wishes(2, 1500, has("language", &["en"])).is_empty(), "1 wants Korean");
    let picky = both(has("language", &["ko", "en"]), wants("language", &["de"]));
    assert!(matching.wishes(3, 1500, picky).is_empty(), "it would do for 1 and 2, but they are not what 3 wants");
    let both_languages = both(has("language", &["ko", "en"]), wants("language", &["ko"]));
    assert_eq!(matching.wishes(4, 1500, both_languages)[0].users(), [1, 4]);
    assert_eq!(matching.asks(5, 1500)[0].users().len(), 2, "who says nothing has any of it");
}

#[test]
fn what_is_wanted_is_relaxed_where_the_domain_says_so_and_users_are_told() {
    let relaxing = Property { relax_ms: Some(10_000), ..property("language", &["en", "ko"]) };
    let mut matching = Matchmaker::new(Domain { properties: vec![relaxing], ..domain(2, 2) });
    matching.wishes(1, 1500, both(has("language", &["ko"]), wants("language", &["ko"])));
    assert!(matching.wishes(2, 1500, has("language", &["en"])).is_empty());
    assert!(matching.pass(9_000).is_empty());
    let messages = matching.world.pass_ms(3_000);
    assert_eq!(asked(&messages)[0].users(), [1, 2]);
    let mut alone = Matchmaker::new(Domain {
        properties: vec![Property { relax_ms: Some(1_000), ..property("language", &["en", "ko"]) }],
        ..domain(2, 2)
    });
    alone.wishes(1, 1500, wants("language", &["ko"]));
    let Some(MatchState::Searching(searching)) = told(&alone.world.pass_ms(4_000), 1) else { panic!() };
    assert_eq!(searching.relaxed, ["language"]);
}

#[test]
fn a_common_property_is_one_that_all_want_and_the_game_is_told() {
    let maps = Property { common: true, ..property("map", &["dust", "ice", "wood"]) };
    let mut matching = Matchmaker::new(Domain { properties: vec![maps], ..domain(3, 3) });
    assert!(matching.wishes(1, 1500, wants("map", &["dust", "ice"])).is_empty());
    assert!(matching.wishes(2, 1500, wants("map", &["ice", "wood"])).is_empty());
    assert!(matching.wishes(3, 1500, wants("map", &["dust", "wood"])).is_empty(), "each two agree, but not all three");
    let made = &matching.wishes(4, 1500, wants("map", &["ice"]))[0];
    assert_eq!(made.users(), [1, 2, 4]);
    assert_eq!(made.choices, [("map".to_owned(), "ice".to_owned())]);
}

#[test]
fn a_party_has_what_all_of_it_have_or_is_told_that_it_has_nothing_in_common() {
    let mut matching = Matchmaker::new(Domain { players_min: 3, players_max: 3, ..languages() });
    let of = |user, wish| Seeker { wish, ..seeker(user, 1500) };
    let refused = matching.ask(vec![of(1, has("language", &["ko"])), of(2, has("language", &["en"]))]);
    assert!(matches!(ended(&refused)[&2], Err(Refusal::Invalid(ref text)) if text.contains("language in common")));
    matching.ask(vec![of(1, has("language", &["ko", "en"])), of(2, has("language", &["en"]))]);
    assert!(matching.wishes(3, 1500, wants("language", &["ko"])).is_empty());
    assert_eq!(matching.wishes(4, 1500, wants("language", &["en"]))[0].users(), [1, 2, 4]);
}

#[test]
fn what_the_domain_does_not_know_is_refused_and_says_what_it_knows() {
    let mut matching = Matchmaker::new(languages());
    let why =
        |matching: &mut Matchmaker, wish: Wish| match ended(&matching.ask(vec![Seeker { wish, ..seeker(1, 1500) }]))
            .remove(&1)
        {
            Some(Err(Refusal::Invalid(text))) => text,
            other => panic!("{other:?}"),
        };
    assert!(why(&mut matching, has("map", &["ice"])).contains("the domain has language"));
    assert!(why(&mut matching, has("language", &["fr"])).contains("one of en, ko, de"));
    let opponents = Wish { opponents: BTreeSet::from([UserId(2)]), ..Wish::default() };
    assert!(why(&mut matching, opponents).contains("opponents cannot be named"));
    assert!(why(&mut matching, Wish { roles: list(&["tank"]), ..Wish::default() }).contains("no roles"));
    let many = (0..65).map(|i| (format!("region {i}"), 1)).collect();
    assert!(why(&mut matching, Wish { round_trips: many, ..Wish::default() }).contains("at most 64"));
    assert_eq!(matching.world.service.waiting(), 0);
}

#[test]
fn who_names_an_opponent_plays_with_nobody_else() {
    let mut matching = Matchmaker::new(Domain { opponents: true, ..domain(2, 2) });
    let against = |user| Wish { opponents: BTreeSet::from([UserId(user)]), ..Wish::default() };
    assert!(matching.wishes(1, 1500, against(2)).is_empty());
    assert!(matching.asks(3, 1500).is_empty());
    assert_eq!(matching.asks(4, 1500)[0].users(), [3, 4]);
    let made = [matching.asks(2, 1500), matching.pass(500)].concat();
    assert_eq!(made[0].users(), [1, 2], "however many others there are");
    // Ranges hold for named opponents, too.
    matching.wishes(5, 1500, against(6));
    assert!(matching.asks(6, 2900).is_empty());
}

fn regions() -> Domain {
    let ping = Ping { regions: list(&["eu", "us", "asia"]), ms: 60, after_ms: Some(10_000), ms_per_s: 10, ms_max: 200 };
    Domain { ping: Some(ping), ..domain(2, 2) }
}

fn from(eu: u16, us: u16, asia: u16) -> Wish {
    let trips = [("eu", eu), ("us", us), ("asia", asia)];
    Wish { round_trips: trips.map(|(region, ms)| (region.to_owned(), ms)).into(), ..Wish::default() }
}

#[test]
fn a_match_is_where_it_is_near_enough_for_all_and_nearest_for_the_farthest() {
    let mut matching = Matchmaker::new(regions());
    matching.wishes(1, 1500, from(20, 55, 300));
    assert!(matching.wishes(2, 1500, from(300, 250, 20)).is_empty(), "no region is near to both");
    let made = &matching.wishes(3, 1500, from(50, 40, 300))[0];
    assert_eq!((made.users(), made.region.as_deref()), (vec![1, 3], Some("eu")), "50 at worst, and 55 in us");
}

#[test]
fn distance_is_relaxed_after_its_time_and_the_nearest_region_is_there_in_the_end() {
    let mut matching = Matchmaker::new(regions());
    matching.wishes(1, 1500, from(20, 300, 300));
    matching.wishes(2, 1500, from(90, 20, 300));
    assert!(matching.pass(10_000).is_empty());
    let made = matching.pass(6_000).remove(0);
    assert_eq!((made.users(), made.region.as_deref()), (vec![1, 2], Some("eu")));
    matching.made(&made);
    // From everywhere far away: the nearest region is allowed when the limit has grown to its end.
    matching.wishes(3, 1500, from(900, 950, 999));
    matching.wishes(4, 1500, from(20, 20, 20));
    assert!(matching.pass(20_000).is_empty());
    assert_eq!(matching.pass(10_000)[0].region.as_deref(), Some("eu"));
}

#[test]
fn who_met_lately_do_not_meet_again_while_there_are_others_and_it_is_relaxed() {
    let recent = Recent { opponents: 2, ms: 300_000, relax_ms: 20_000 };
    let mut matching = Matchmaker::new(Domain { recent, ..domain(2, 2) });
    matching.asks(1, 1500);
    let first = matching.asks(2, 1500).remove(0);
    matching.made(&first);
    matching.asks(1, 1500);
    assert!(matching.asks(2, 1500).is_empty(), "they have just met");
    assert_eq!(matching.asks(3, 1500).len(), 1, "with anybody else at once");
    let mut again = Matchmaker::new(Domain { recent, ..domain(2, 2) });
    again.asks(1, 1500);
    let first = again.asks(2, 1500).remove(0);
    again.made(&first);
    again.asks(1, 1500);
    again.asks(2, 1500);
    assert!(again.pass(19_000).is_empty());
    assert_eq!(again.pass(2_000)[0].users(), [1, 2], "rather the same than nobody");
}

#[test]
fn a_user_who_is_away_is_in_no_match_and_keeps_the_age() {
    let mut matching = Matchmaker::new(domain(2, 2));
    matching.asks(1, 1500);
    let here = |user, here| Event::SynHere { user: UserId(user), ticket: user, here };
    matching.world.tell(here(1, false));
    assert_eq!(matching.state(1), "Away");
    assert!(matching.asks(2, 1500).is_empty());
    assert!(matching.pass(5_000).is_empty());
    assert_eq!(asked(&matching.world.tell(here(1, true)))[0].users(), [1, 2]);
    // Who does not come back has not waited for ever.
    matching.asks(3, 1500);
    matching.world.tell(here(3, false));
    let messages = matching.world.pass_ms(61_000);
    assert_eq!(ended(&messages)[&3], Err(Refusal::NoMatch));
    assert_eq!(matching.state(3), "none");
}
