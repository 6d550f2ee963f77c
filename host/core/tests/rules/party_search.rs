//! A party in matching: it comes in as one, and reacts as one.

use scenehost_core::lobby::{CHECK_MS, Event};
use scenehost_core::message::{MatchState, Notice};
use scenehost_core::party::{Ask, Request};
use scenehost_core::{ConnectionId, Refusal, UserId};

use crate::club::{ADA, BOB, CY, Club, DAN, GRACE_MS, domain};
use crate::table::variant;

/// How a search stands or ended for a user, as told since the test looked last: the last word.
fn state(club: &mut Club, user: u64) -> String {
    let last = club.told(user).into_iter().filter_map(|notice| match notice {
        Notice::SynMatchState(MatchState::Idle(Some(Refusal::SearchStopped(why)))) => Some(why),
        Notice::SynMatchState(MatchState::Idle(Some(refusal))) => Some(variant(&refusal)),
        Notice::SynMatchState(state) => Some(variant(&state)),
        Notice::ResMatch(_) => Some("Match".to_owned()),
        _ => None,
    });
    last.last().unwrap_or_default()
}

fn states(club: &mut Club, users: &[u64]) -> Vec<String> {
    users.iter().map(|user| state(club, *user)).collect()
}

/// Ada and Bob are a party that looks for a match; two more are there.
fn searching() -> Club {
    let mut club = Club::party_of(&[ADA, BOB]);
    club.come(CY);
    club.come(DAN);
    club.forget_told();
    club.search(ADA).unwrap();
    assert_eq!(states(&mut club, &[ADA, BOB]), ["Searching", "Searching"]);
    club
}

#[test]
fn a_party_comes_into_one_game_together() {
    let mut club = searching();
    club.search(CY).unwrap();
    assert_eq!(club.scenes, [[ADA, BOB, CY]]);
    assert_eq!(states(&mut club, &[ADA, BOB, CY]), ["Match"; 3]);
    // The party is still one, and begins nothing while its members play.
    assert_eq!(club.search(ADA).map_err(|refusal| variant(&refusal)), Err("Busy".to_owned()));
}

#[test]
fn two_parties_that_are_too_many_together_do_not_meet() {
    let mut club = searching();
    club.ask(CY, Ask::Create).unwrap();
    let code = club.party(CY).unwrap().code;
    club.change(DAN, Request::Join(code)).unwrap();
    club.forget_told();
    club.search(CY).unwrap();
    club.pass_ms(20_000);
    assert!(club.scenes.is_empty(), "{:?}", club.scenes);
    club.come(5);
    club.search(5).unwrap();
    assert_eq!(club.scenes.len(), 1);
    assert!(club.scenes[0] == [ADA, BOB, 5] || club.scenes[0] == [CY, DAN, 5], "{:?}", club.scenes);
}

#[test]
fn only_the_leader_begins_and_only_if_all_can_play() {
    let mut club = Club::party_of(&[ADA, BOB]);
    let refused = |result: Result<(), Refusal>| result.map_err(|refusal| variant(&refusal));
    assert_eq!(refused(club.search(BOB)), Err("Forbidden".to_owned()));
    club.drop(BOB);
    assert_eq!(refused(club.search(ADA)), Err("Busy".to_owned()));
    club.come(BOB);
    club.forget_told();
    club.search(ADA).unwrap();
    club.forget_told();
    assert_eq!(refused(club.search(BOB)), Err("Busy".to_owned()), "it is looking already");
}

#[test]
fn any_member_stops_the_search_and_the_others_hear_who() {
    let mut club = searching();
    club.cancel(BOB);
    assert_eq!(states(&mut club, &[ADA, BOB]), ["Bob has stopped the search", "Idle"]);
    assert_eq!(club.matching.service.waiting(), 0);
    club.search(ADA).unwrap();
    club.forget_told();
    club.ask(BOB, Ask::Ready(false)).unwrap();
    assert_eq!(states(&mut club, &[ADA, BOB]), ["Bob is not ready", "Idle"]);
    club.search(ADA).unwrap();
    club.forget_told();
    club.cancel(ADA);
    assert_eq!(states(&mut club, &[ADA, BOB]), ["Idle", "Ada has stopped the search"]);
}

#[test]
fn who_leaves_or_is_removed_or_logs_out_ends_the_search_of_all() {
    let mut club = searching();
    club.change(BOB, Request::Leave).unwrap();
    let left = "Bob left the party: look for a match again";
    assert_eq!(states(&mut club, &[ADA, BOB]), [left, "Idle"]);

    let mut club = searching();
    club.ask(ADA, Ask::Kick(UserId(BOB))).unwrap();
    let removed = "Bob was removed from the party: look for a match again";
    assert_eq!(states(&mut club, &[ADA, BOB]), [removed, "Idle"]);

    let mut club = searching();
    club.log_out(ADA);
    assert_eq!(state(&mut club, BOB), "Ada is gone: look for a match again");
    assert_eq!(club.matching.service.waiting(), 0);
    // Who leads now begins anew.
    club.search(BOB).unwrap();
    assert_eq!(state(&mut club, BOB), "Searching");
}

#[test]
fn who_drops_keeps_the_ticket_for_the_grace_period() {
    let mut club = searching();
    club.drop(BOB);
    club.pass_ms(GRACE_MS - 1_000);
    assert_eq!(club.matching.service.waiting(), 1);
    club.search(CY).unwrap();
    assert_eq!(club.scenes, [] as [Vec<u64>; 0], "a party plays together or not at all");
    club.come_over(BOB, ConnectionId(77), Some(0));
    assert_eq!(club.scenes, [[ADA, BOB, CY]]);

    let mut club = searching();
    club.drop(BOB);
    club.pass_ms(GRACE_MS + 500);
    assert_eq!(state(&mut club, ADA), "Bob is gone: look for a match again");
    assert_eq!(club.matching.service.waiting(), 0);
}

#[test]
fn who_comes_in_meanwhile_is_not_part_of_the_search() {
    let mut club = searching();
    club.change(ADA, Request::Invite(UserId(DAN))).unwrap();
    let id = match &club.news(DAN)[..] {
        [scenehost_core::party::News::Invited(invitation)] => invitation.party,
        other => panic!("{other:?}"),
    };
    club.change(DAN, Request::Accept(id)).unwrap();
    club.search(CY).unwrap();
    assert_eq!(club.scenes, [[ADA, BOB, CY]]);
}

#[test]
fn a_party_that_is_too_large_for_the_game_hears_so() {
    let mut club = Club::party_of(&[ADA, BOB, CY, DAN]);
    let variant_of = |refused: Result<(), Refusal>| variant(&refused.unwrap_err());
    assert_eq!(variant_of(club.search(ADA)), "Invalid");
    assert_eq!(variant_of(club.ask(ADA, Ask::CheckReady(Some(domain())))), "Invalid", "before anybody is asked");
    club.change(DAN, Request::Leave).unwrap();
    club.forget_told();
    club.search(ADA).unwrap();
    assert_eq!(club.scenes, [[ADA, BOB, CY]], "a whole game by itself begins at once");
}

#[test]
fn a_blocked_user_does_not_meet_the_party() {
    let mut club = searching();
    club.block(CY, BOB);
    club.search(CY).unwrap();
    club.pass_ms(10_000);
    assert!(club.scenes.is_empty());
    club.search(DAN).unwrap();
    assert_eq!(club.scenes, [[ADA, BOB, DAN]]);
}

#[test]
fn when_all_are_ready_the_search_begins() {
    let mut club = Club::party_of(&[ADA, BOB, CY]);
    club.ask(ADA, Ask::CheckReady(Some(domain()))).unwrap();
    club.ask(BOB, Ask::Ready(true)).unwrap();
    assert!(club.scenes.is_empty());
    club.forget_told();
    club.ask(CY, Ask::Ready(true)).unwrap();
    assert_eq!(club.scenes, [[ADA, BOB, CY]]);
    assert_eq!(states(&mut club, &[ADA, BOB, CY]), ["Match"; 3]);

    // What stands in the way then, all hear.
    let mut club = Club::party_of(&[ADA, BOB]);
    club.ask(ADA, Ask::CheckReady(Some(domain()))).unwrap();
    club.store(false);
    club.forget_told();
    club.ask(BOB, Ask::Ready(true)).unwrap();
    assert_eq!(states(&mut club, &[ADA, BOB]), ["ServiceDown"; 2]);
    club.pass_ms(CHECK_MS);
}

#[test]
fn when_the_store_goes_down_all_are_told() {
    let mut club = searching();
    club.store(false);
    let messages = scenehost_core::matching::Event::Service { service: scenehost_core::ServiceName::Db, up: false };
    for message in club.matching.tell(messages) {
        if let scenehost_core::Message::Lobby(event) = message {
            club.tell(event);
        }
    }
    assert_eq!(states(&mut club, &[ADA, BOB]), ["ServiceDown"; 2]);
}

#[test]
fn a_search_that_begins_meanwhile_ends_the_question_who_is_ready() {
    let mut club = Club::party_of(&[ADA, BOB]);
    club.ask(ADA, Ask::CheckReady(Some(domain()))).unwrap();
    club.search(ADA).unwrap();
    assert!(club.party(BOB).unwrap().check.is_none());
    assert_eq!(club.ask(BOB, Ask::Ready(true)).map_err(|refusal| variant(&refusal)), Err("OutOfOrder".to_owned()));
    assert_eq!(states(&mut club, &[ADA, BOB]), ["Searching", ""], "nobody hears that it is over");
    club.ask(BOB, Ask::Ready(false)).unwrap();
    assert_eq!(state(&mut club, ADA), "Bob is not ready");
}

#[test]
fn a_match_that_is_being_made_is_not_stopped_and_nobody_hears_that_it_is() {
    let mut club = searching();
    club.making = Some(Vec::new());
    club.search(CY).unwrap();
    assert_eq!(states(&mut club, &[ADA, BOB]), ["Placing", "Placing"]);
    assert_eq!(club.ask(BOB, Ask::Ready(false)).map_err(|refusal| variant(&refusal)), Err("Busy".to_owned()));
    club.change(BOB, Request::Leave).unwrap();
    club.cancel(BOB);
    assert!(
        club.told(BOB)
            .iter()
            .any(|notice| *notice == Notice::Refused(Refusal::Busy("the match is already made".into())))
    );
    club.made();
    assert_eq!(states(&mut club, &[ADA, BOB, CY]), ["Match"; 3]);
}

#[test]
fn when_all_are_ready_and_nothing_comes_of_it_all_hear_why() {
    let mut club = Club::party_of(&[ADA, BOB, CY]);
    club.ask(ADA, Ask::CheckReady(Some(domain()))).unwrap();
    club.ask(BOB, Ask::Ready(true)).unwrap();
    club.drop(BOB);
    club.forget_told();
    club.ask(CY, Ask::Ready(true)).unwrap();
    assert_eq!(states(&mut club, &[ADA, CY]), ["Busy", "Busy"]);
    club.store(false);
    let refused = club.ask(ADA, Ask::CheckReady(Some(domain())));
    assert_eq!(refused.map_err(|refusal| variant(&refusal)), Err("ServiceDown".to_owned()), "before anybody is asked");
}

#[test]
fn who_comes_in_while_looking_for_a_match_alone_looks_for_it_no_more() {
    let mut club = Club::party_of(&[ADA]);
    club.come(BOB);
    let code = club.code();
    club.hold();
    let joins = club.begin(BOB, Ask::Change(Request::Join(code)));
    club.search(BOB).unwrap();
    club.let_go(&[0]);
    club.answer(BOB, joins).unwrap();
    assert_eq!(club.matching.service.waiting(), 0);
    club.search(ADA).unwrap();
}

/// A game has sent these users on to their next match.
fn sent_on(club: &mut Club, users: &[u64], together: bool) {
    club.forget_told();
    let users = users.iter().map(|user| UserId(*user)).collect();
    club.tell(Event::SynSearchAgain { users, domain: domain(), together });
}

#[test]
fn users_who_are_sent_on_look_for_a_match_each_alone_or_with_the_party_that_they_lead() {
    let mut club = Club::party_of(&[ADA, BOB]);
    club.come(CY);
    sent_on(&mut club, &[BOB, ADA, CY], false);
    assert_eq!(states(&mut club, &[ADA, BOB, CY]), ["Match"; 3]);
    assert_eq!(club.scenes, [[ADA, BOB, CY]]);

    let mut club = Club::party_of(&[ADA, BOB]);
    sent_on(&mut club, &[BOB], false);
    assert_eq!(states(&mut club, &[ADA, BOB]), ["", "Forbidden"], "who does not lead the party is told so");
}

#[test]
fn users_who_are_sent_on_together_have_one_ticket() {
    let mut club = Club::of(&[ADA, BOB, CY]);
    sent_on(&mut club, &[ADA, BOB], true);
    assert_eq!(states(&mut club, &[ADA, BOB]), ["Searching"; 2]);
    club.cancel(BOB);
    let why = state(&mut club, ADA);
    assert!(why.contains("stopped the search"), "{why}");
}

#[test]
fn who_is_sent_on_and_is_gone_or_does_something_else_is_passed_over() {
    let mut club = Club::of(&[ADA, BOB, CY]);
    club.drop(BOB);
    club.search(CY).unwrap();
    sent_on(&mut club, &[ADA, BOB, CY, 99], true);
    assert_eq!(states(&mut club, &[ADA, BOB, CY]), ["Searching", "", ""]);
    sent_on(&mut club, &[ADA], true);
    assert_eq!(state(&mut club, ADA), "", "one who looks already goes on to do so");
}

#[test]
fn why_a_user_who_is_sent_on_finds_nothing_is_told() {
    let mut club = Club::of(&[ADA, BOB]);
    let users = vec![UserId(ADA), UserId(BOB)];
    for together in [false, true] {
        club.forget_told();
        club.tell(Event::SynSearchAgain { users: users.clone(), domain: "chess".into(), together });
        assert_eq!(states(&mut club, &[ADA, BOB]), ["NotFound"; 2]);
    }
}
