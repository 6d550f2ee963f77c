//! A domain goes from one handler to the next, as planned or not: whose searches go on, and that nobody is matched twice.

use std::collections::BTreeMap;

use scenehost_core::config;
use scenehost_core::lobby::{Event, Lobby, MatchingAsk, NEXT_HANDLER_MS_MAX};
use scenehost_core::matching::{self, HAND_OVER_MS_MAX, HEARD_MS_MAX, Match, Seeker};
use scenehost_core::message::{MatchState, Notice, SignedIn, ToUser};
use scenehost_core::party::Limits;
use scenehost_core::scene_master::{self, Matched};
use scenehost_core::{ConnectionId, DomainName, Epoch, MatchId, Message, Refusal, Service as _, UserId, scene_service};

use crate::club::{ADA, BOB, CY, Club, DAN, domain};
use crate::one_user::{self, CONNECTION, GRACE_MS, USER, numbered, req_match, rules, signed_in_on};
use crate::services_down::master;
use crate::table::{short, variant};
use crate::world::World;

fn shorts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(short).collect()
}

/// What a user was told of matching since this was asked last.
fn told(club: &mut Club, user: u64) -> Vec<String> {
    let notices = club.told(user).into_iter().filter_map(|notice| match notice {
        Notice::SynMatchState(MatchState::Idle(Some(refusal))) => Some(variant(&refusal)),
        Notice::SynMatchState(state) => Some(variant(&state)),
        Notice::ResMatch(_) => Some("Match".to_owned()),
        Notice::Refused(refusal) => Some(format!("refused {}", variant(&refusal))),
        Notice::SynHandler { up, .. } => Some(if up { "up" } else { "down" }.to_owned()),
        _ => None,
    });
    notices.collect()
}

/// All three of a match look for it, and its scene takes long.
fn placing() -> Club {
    let mut club = Club::of(&[ADA, BOB, CY, DAN]);
    club.making = Some(Vec::new());
    [ADA, BOB, CY].into_iter().for_each(|user| club.search(user).unwrap());
    club.forget_told();
    club
}

#[test]
fn searches_go_on_with_the_next_handler_as_old_as_they_are_and_nobody_notices() {
    let mut club = Club::of(&[ADA, BOB, CY]);
    [ADA, BOB].into_iter().for_each(|user| club.search(user).unwrap());
    club.pass_ms(7_500);
    club.forget_told();
    club.hand_over();
    for user in [ADA, BOB] {
        let [Notice::SynMatchState(MatchState::Searching(state))] = &club.told(user)[..] else { panic!("of {user}") };
        assert_eq!(state.waited_ms, 7_500, "it is as old as it is, and so is its range");
        assert_eq!(state.rating_range, 50 + 375);
    }
    club.search(CY).unwrap();
    assert_eq!(club.scenes, [[ADA, BOB, CY]]);
    assert_eq!(told(&mut club, ADA), ["Placing", "Match"]);
}

#[test]
fn a_domain_can_be_handed_over_again_and_again_and_a_search_ends_at_its_limit() {
    let mut club = Club::of(&[ADA]);
    club.search(ADA).unwrap();
    for _ in 0..7 {
        club.pass_ms(8_000);
        club.hand_over();
    }
    club.forget_told();
    club.pass_ms(3_000);
    assert_eq!(told(&mut club, ADA), [] as [&str; 0]);
    club.pass_ms(2_000);
    assert_eq!(told(&mut club, ADA).last().map(String::as_str), Some("NoMatch"));
}

#[test]
fn a_match_that_is_being_made_gets_its_scene_before_its_domain_is_handed_over_and_no_other_is_begun() {
    let mut club = placing();
    club.begin_hand_over();
    [5, 6].into_iter().for_each(|user| club.come(user));
    [DAN, 5, 6].into_iter().for_each(|user| club.search(user).unwrap());
    assert!(!club.matching.service.is_over());
    assert_eq!(club.scenes, [[ADA, BOB, CY]], "no other match is begun");
    club.made();
    assert_eq!([ADA, BOB, CY].map(|user| told(&mut club, user)), [["Match"]; 3]);
    club.next_handler();
    assert_eq!(club.scenes, [[ADA, BOB, CY], [DAN, 5, 6]]);
    assert_eq!((told(&mut club, DAN).last().unwrap().as_str(), club.called_off), ("Match", 0));
}

#[test]
fn a_match_whose_scene_takes_too_long_is_called_off_and_its_users_are_matched_once() {
    let mut club = placing();
    club.begin_hand_over();
    club.pass_ms(HAND_OVER_MS_MAX - 500);
    assert_eq!(club.called_off, 0);
    club.pass_ms(500);
    assert_eq!(club.called_off, 1, "before its users are put to the next handler");
    let late = std::mem::take(&mut club.making).unwrap();
    for event in late.clone() {
        assert_eq!(club.matching.tell(event), [], "it says nothing more of its searches");
    }
    club.next_handler();
    assert_eq!(club.scenes, [[ADA, BOB, CY], [ADA, BOB, CY]]);
    assert_eq!([ADA, BOB, CY].map(|user| told(&mut club, user)), [["Searching", "Placing", "Match"]; 3]);
    // What SceneMaster says of the match that was called off finds a handler that knows nothing of it.
    for event in late {
        assert_eq!(shorts(&club.matching.tell(event)), ["SceneMaster ReqCancelScene"]);
    }
}

#[test]
fn users_who_were_asked_to_accept_a_match_look_for_one_again_and_nobody_is_punished() {
    let trio = config::Domain { accept_ms: 4_000, ..config::Domain::new("trio".into(), 3, 3) };
    let mut club = Club::playing(trio, Limits::default());
    [ADA, BOB, CY].into_iter().for_each(|user| {
        club.come(user);
        club.search(user).unwrap();
    });
    club.begin_hand_over();
    club.forget_told();
    assert_eq!(club.ask_matching(ADA, MatchingAsk::Accept(true)), None, "the next handler answers");
    club.next_handler();
    assert_eq!(club.scenes, [] as [Vec<u64>; 0]);
    assert_eq!(told(&mut club, BOB).last().unwrap(), "Found", "it finds the same");
    for user in [ADA, BOB, CY] {
        club.ask_matching(user, MatchingAsk::Accept(true));
    }
    assert_eq!(club.scenes, [[ADA, BOB, CY]]);
}

#[test]
fn what_users_want_while_there_is_no_handler_is_done_by_the_lobby_or_waits_for_the_next_one() {
    let mut club = Club::party_of(&[ADA, BOB]);
    [DAN, 5].into_iter().for_each(|user| club.come(user));
    club.search(ADA).unwrap();
    club.begin_hand_over();
    club.forget_told();
    club.search(DAN).unwrap();
    club.search(5).unwrap();
    assert_eq!(told(&mut club, DAN), [] as [&str; 0], "it waits");
    // Who takes the search back has it back at once, and takes the party along.
    club.cancel(BOB);
    assert_eq!([ADA, BOB].map(|user| told(&mut club, user)), [["SearchStopped"], ["Idle"]]);
    // One who logs out is gone.
    club.log_out(5);
    assert_eq!(club.lobby.service.phase_name(UserId(5)), "absent");
    club.next_handler();
    assert_eq!(club.matching.service.waiting(), 1);
    assert_eq!(told(&mut club, DAN), ["Searching"]);
}

#[test]
fn who_is_away_when_the_next_handler_comes_is_in_no_match_until_back() {
    let mut club = Club::of(&[ADA, BOB, CY]);
    [ADA, BOB].into_iter().for_each(|user| club.search(user).unwrap());
    club.drop(ADA);
    club.begin_hand_over();
    club.drop(BOB);
    club.next_handler();
    assert_eq!([ADA, BOB].map(|user| club.matching.service.ticket_name(UserId(user))), ["Away"; 2]);
    club.search(CY).unwrap();
    assert!(club.scenes.is_empty());
    club.come_over(ADA, ConnectionId(11), Some(0));
    club.come_over(BOB, ConnectionId(12), Some(0));
    assert_eq!(club.scenes, [[ADA, BOB, CY]]);
}

#[test]
fn a_search_that_was_being_taken_back_when_its_domain_was_handed_over_is_taken_back() {
    let mut world = one_user::searching();
    assert_eq!(
        shorts(&world.tell(Event::ReqCancelMatch { connection: CONNECTION, request: 3 })),
        ["Match ReqCancelMatch"]
    );
    let told = world.tell(Event::ReqHandOver { domain: one_user::domain() });
    let answers: Vec<u32> = numbered(&told, CONNECTION).into_iter().map(|(_, request, _)| request).collect();
    assert_eq!((answers, world.service.phase_name(USER).as_str()), (vec![2, 3], "Idle"));
    assert_eq!(world.tell(Event::Handler { domain: one_user::domain(), up: true }), [], "nothing is put again");
}

#[test]
fn without_a_next_handler_searches_end_and_users_are_told_when_there_is_one() {
    let mut world = one_user::searching();
    let domain = one_user::domain;
    assert_eq!(shorts(&world.tell(Event::ReqHandOver { domain: domain() })), ["Match ResHandOver"]);
    assert_eq!(world.tell(Event::Handler { domain: domain(), up: false }), [], "it is to go");
    assert_eq!(world.pass_ms(NEXT_HANDLER_MS_MAX - 1), []);
    let told = world.pass_ms(1);
    assert_eq!(shorts(&told), ["User SynHandler", "User SynMatchState Idle"]);
    assert_eq!(shorts(&world.tell(req_match())), ["User Refused ServiceDown"]);
    assert_eq!(shorts(&world.tell(Event::Handler { domain: domain(), up: true })), ["User SynHandler"]);
    assert_eq!(shorts(&world.tell(req_match())), ["Match ReqMatch"]);
}

#[test]
fn a_domain_that_is_removed_while_it_is_handed_over_is_no_more() {
    let mut world = one_user::searching();
    world.tell(Event::ReqHandOver { domain: one_user::domain() });
    let told = world.tell(Event::Domains(BTreeMap::new()));
    assert_eq!(shorts(&told), ["User SynMatchState Idle"]);
    assert_eq!(world.pass_ms(NEXT_HANDLER_MS_MAX), []);
}

/// A lobby with two domains, in each of which a user searches, and one who does nothing.
fn two_domains() -> World<Lobby> {
    let domains = ["gomoku", "chess"].map(|name| (DomainName::from(name), rules()));
    let mut world = World::new(Lobby::new(BTreeMap::from(domains), GRACE_MS));
    for user in 1..=3 {
        signed_in_on(&mut world, ConnectionId(user), UserId(user));
    }
    world.tell(asks(1, "gomoku"));
    world.tell(asks(2, "chess"));
    world
}

fn asks(user: u64, domain: &str) -> Event {
    Event::ReqMatch { connection: ConnectionId(user), request: 7, domain: domain.into(), wish: None }
}

/// What is told to each user.
fn to_users(messages: &[Message]) -> Vec<(u64, String)> {
    let told = messages.iter().filter_map(|message| match message {
        Message::User(to_user) => Some((to_user.connection.0, short(message))),
        _ => None,
    });
    told.collect()
}

#[test]
fn a_handler_that_is_down_ends_the_searches_in_its_domain_and_those_who_were_told_hear_when_it_is_back() {
    let mut world = two_domains();
    let chess = |up| Event::Handler { domain: "chess".into(), up };
    let told = world.tell(chess(false));
    let down = |user, what: &str| (user, format!("User {what}"));
    assert_eq!(to_users(&told), [down(2, "SynHandler"), down(2, "SynMatchState Idle")]);
    assert_eq!([1, 2].map(|user| world.service.phase_name(UserId(user))), ["Searching", "Idle"]);
    assert_eq!(world.tell(chess(false)), [], "that is known");
    assert_eq!(to_users(&world.tell(asks(3, "chess"))), [down(3, "Refused ServiceDown")]);
    // The other domain is as it was.
    assert_eq!(shorts(&world.tell(asks(2, "gomoku"))), ["Match ReqMatch"]);
    // Who comes in is told with the answer.
    signed_in_on(&mut world, ConnectionId(4), UserId(4));
    let told = one_user::come_back(&mut world, ConnectionId(5), None);
    let known = told.iter().find_map(|message| match message {
        Message::User(ToUser { notice: Notice::ResSignIn(SignedIn { domains_down, services_down, .. }), .. }) => {
            Some((domains_down.clone(), services_down.clone()))
        }
        _ => None,
    });
    assert_eq!(known, Some((vec!["chess".into()], Vec::new())));
    let told: Vec<u64> = to_users(&world.tell(chess(true))).into_iter().map(|(user, _)| user).collect();
    assert_eq!(told, [2, 3, 4, 5], "all who were told, and nobody else");
    assert_eq!(shorts(&world.tell(asks(3, "chess"))), ["Match ReqMatch"]);
}

#[test]
fn when_matching_as_a_whole_is_down_all_handlers_are() {
    let mut world = two_domains();
    let service = scenehost_core::ServiceName::Match;
    let told = to_users(&world.tell(Event::Service { service, up: false }));
    assert_eq!(told.iter().map(|(user, _)| *user).collect::<Vec<_>>(), [2, 2, 1, 1]);
    assert_eq!(to_users(&world.tell(Event::Service { service, up: true })).len(), 2);
}

fn seeker(user: u64) -> Seeker {
    Seeker { user: UserId(user), rating: 1_500, ..Seeker::default() }
}

fn ask(user: u64, waited_ms: u64) -> matching::Event {
    let (ticket, seekers) = (user, vec![seeker(user)]);
    matching::Event::ReqMatch { ticket, seekers, waited_ms, away: <_>::default() }
}

#[test]
fn a_handler_whose_lobby_does_not_answer_ends_all_the_same() {
    let mut world = World::new(Match::new(domain(), rules(), None));
    world.tell(ask(1, 0));
    assert_eq!(shorts(&world.tell(matching::Event::HandOver)), ["Lobby ReqHandOver"]);
    assert_eq!(world.tell(ask(2, 0)), [], "that is the next one's");
    assert_eq!(world.pass_ms(HEARD_MS_MAX - 1), []);
    assert!(!world.service.is_over());
    assert_eq!(world.pass_ms(1), []);
    assert!(world.service.is_over() && world.deadline().is_none());
}

#[test]
fn who_asked_while_the_domain_was_open_may_wait_with_the_next_handler_when_it_is_closed() {
    // Tests begin 40 s after that.
    let open = serde_json::from_str(r#"{"from": "00:10", "to": "00:16"}"#).unwrap();
    let mut world = World::new(Match::new(domain(), config::Domain { open: vec![open], ..rules() }, None));
    assert_eq!(shorts(&world.tell(ask(1, 41_000))), ["Lobby SynMatchState"]);
    assert_eq!(shorts(&world.tell(ask(2, 39_000))), ["Lobby ResMatch ✗Closed"]);
}

#[test]
fn a_search_that_a_lobby_of_the_version_before_puts_begins_now() {
    let said = serde_json::from_str(r#"{"ReqMatch": {"ticket": 1, "seekers": []}}"#);
    let (ticket, seekers) = (1, Vec::new());
    let heard = matching::Event::ReqMatch { ticket, seekers, waited_ms: 0, away: <_>::default() };
    assert_eq!(said.map_err(|error| error.to_string()), Ok(heard));
}

/// SceneMaster is asked for a scene for these; the scene, if one is made.
fn create(world: &mut World<scenehost_core::scene_master::SceneMaster>, match_id: u64, users: &[u64]) -> Vec<Message> {
    let player = |user: &u64| Matched {
        user: UserId(*user),
        name: "Ada".to_owned(),
        rating: 1_500,
        team: 0,
        role: None,
        party: 0,
    };
    world.tell(scene_master::Event::ReqCreateScene {
        match_id: MatchId(match_id),
        domain: "gomoku".into(),
        fleet: "gomoku".into(),
        players: users.iter().map(player).collect(),
        choices: Vec::new(),
        region: None,
        bots: 0,
    })
}

fn scene_of(told: &[Message]) -> scenehost_core::SceneId {
    let scene = told.iter().find_map(|message| match message {
        Message::SceneService(_, scene_service::Event::ReqCreateScene { scene, .. }) => Some(*scene),
        _ => None,
    });
    scene.expect("there is a slot")
}

/// Whatever of the old handler's words is lost, or comes late: a user has one seat.
#[test]
fn a_user_whom_the_next_handler_matches_has_the_seat_of_that_match_and_no_other() {
    // The old handler had its match, and was cut off before anybody was told.
    for (is_made, is_called_off) in [(false, false), (true, false), (true, true), (false, true)] {
        let mut world = master();
        let old = scene_of(&create(&mut world, 50, &[10, 11]));
        let made = |scene| scene_master::Event::ResCreateScene { scene, epoch: Epoch(1), result: Ok(()) };
        if is_made {
            world.tell(made(old));
        }
        if is_called_off {
            world.tell(scene_master::Event::ReqCancelScene { match_id: MatchId(50) });
        }
        world.tell(scene_master::Event::Handler { domain: "gomoku".into(), up: false });
        world.tell(scene_master::Event::Handler { domain: "gomoku".into(), up: true });
        let next = scene_of(&create(&mut world, 60, &[10, 12]));
        // The old one's answer is late.
        world.tell(made(old));
        let told = world.tell(made(next));
        let answered: Vec<(MatchId, usize)> = told
            .iter()
            .filter_map(|message| match message {
                Message::Match(_, matching::Event::ResCreateScene { match_id, result: Ok(entries) }) => {
                    Some((*match_id, entries.len()))
                }
                _ => None,
            })
            .collect();
        assert_eq!(answered, [(MatchId(60), 2)]);
        let seat = |world: &mut World<_>, user| match &world
            .tell(scene_master::Event::ReqSeat { user: UserId(user), number: 1 })[..]
        {
            [Message::Lobby(Event::ResSeat { held: Ok(held), .. })] => held.as_ref().map(|held| held.scene),
            other => panic!("{other:?}"),
        };
        assert_eq!([10, 12].map(|user| seat(&mut world, user)), [Some(next); 2], "{is_made} {is_called_off}");
        // The same match again is the same scene.
        assert_eq!(shorts(&create(&mut world, 60, &[10, 12])), ["Match ResCreateScene"]);
    }
}

#[test]
fn users_of_a_search_hear_nothing_of_a_handler_that_has_nothing_to_do_with_it() {
    let mut club = Club::of(&[ADA]);
    club.search(ADA).unwrap();
    club.forget_told();
    club.tell(Event::Handler { domain: "chess".into(), up: false });
    assert_eq!(told(&mut club, ADA), [] as [&str; 0]);
    assert_eq!(club.search(BOB), Ok(()));
    let refused = Refusal::ServiceDown(scenehost_core::ServiceName::Match);
    club.tell(Event::Handler { domain: domain(), up: false });
    assert_eq!(told(&mut club, ADA), ["down", "ServiceDown"]);
    assert_eq!(club.search(ADA), Err(refused));
}
