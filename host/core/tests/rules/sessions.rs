//! Sessions: their tokens, how they end, how many there are.

use scenehost_core::auth::{Action, Answer, Event, SWEEP_MS};
use scenehost_core::config::Sessions;
use scenehost_core::{Refusal, SessionId, lobby};

use crate::auth::{DEVICE, HOUR_MS, Host, guest, is_bad_token};

#[test]
fn a_session_token_signs_in_until_it_expires_and_is_refreshed() {
    let mut host = Host::new();
    let ada = host.sign_in(guest(DEVICE)).unwrap();
    let again = host.resume(&ada.tokens.session).unwrap();
    assert_eq!((again.user, again.session), (ada.user, ada.session));
    assert_eq!(again.tokens.session, ada.tokens.session);
    host.pass_ms(24 * HOUR_MS);
    assert!(is_bad_token(&host.resume(&ada.tokens.session)), "after a day");
    let next = host.refresh(&ada.tokens.refresh).unwrap();
    assert_eq!(next.session, ada.session, "it is the same session");
    assert!(host.resume(&next.tokens.session).is_ok());
    for wrong in ["", "guess", &ada.tokens.refresh, &format!("{}0", ada.tokens.session)] {
        assert!(is_bad_token(&host.resume(wrong)), "{wrong}");
    }
    assert!(is_bad_token(&host.refresh(&next.tokens.session)), "a session token refreshes nothing");
}

#[test]
fn an_answer_to_a_refresh_that_is_lost_signs_nobody_out() {
    let mut host = Host::new();
    let ada = host.sign_in(guest(DEVICE)).unwrap();
    host.refresh(&ada.tokens.refresh).unwrap(); // Lost on its way.
    assert!(host.resume(&ada.tokens.session).is_ok(), "the old pair is good until the new one is used");
    let next = host.refresh(&ada.tokens.refresh).unwrap();
    assert!(host.resume(&next.tokens.session).is_ok());
    assert!(is_bad_token(&host.resume(&ada.tokens.session)), "now the old pair is void");
}

#[test]
fn a_refresh_token_that_is_used_again_ends_the_session() {
    for thief_is_first in [false, true] {
        let mut host = Host::new();
        let ada = host.sign_in(guest(DEVICE)).unwrap();
        let other = host.sign_in(guest(DEVICE)).unwrap();
        let stolen = ada.tokens.refresh.clone();
        let first = host.refresh(&ada.tokens.refresh).unwrap();
        if thief_is_first {
            // The copy gets a pair of its own, and the owner's pair is void with it.
            let thief = host.refresh(&stolen).unwrap();
            host.resume(&thief.tokens.session).unwrap();
            assert!(is_bad_token(&host.refresh(&first.tokens.refresh)));
            assert!(is_bad_token(&host.resume(&thief.tokens.session)), "both are out");
        } else {
            host.resume(&first.tokens.session).unwrap();
            assert!(is_bad_token(&host.refresh(&stolen)));
            assert!(is_bad_token(&host.refresh(&first.tokens.refresh)), "both are out");
        }
        let ended = |event: &lobby::Event| matches!(event, lobby::Event::SynSessionsEnded { sessions, .. } if *sessions == [ada.session]);
        assert!(host.told.iter().any(ended), "the lobby hears of it");
        assert!(host.resume(&other.tokens.session).is_ok(), "other sessions go on");
        host.restart();
        assert!(is_bad_token(&host.refresh(&first.tokens.refresh)), "also after a restart");
    }
}

#[test]
fn sessions_are_listed_and_ended_one_by_one_and_all_at_once() {
    let mut host = Host::new();
    let one = host.sign_in(guest(DEVICE)).unwrap();
    let two = host.sign_in(guest(DEVICE)).unwrap();
    let three = host.sign_in(guest(DEVICE)).unwrap();
    let Ok(Answer::Account { sessions, .. }) = host.own(&one, Action::Show) else { panic!("the account") };
    let listed: Vec<(SessionId, bool)> = sessions.iter().map(|session| (session.id, session.own)).collect();
    assert_eq!(listed, [(one.session, true), (two.session, false), (three.session, false)]);
    assert_eq!(sessions[0].device, "a test");

    assert_eq!(host.own(&one, Action::EndSession(two.session)), Ok(Answer::Done));
    assert!(is_bad_token(&host.resume(&two.tokens.session)));
    assert!(matches!(host.own(&one, Action::EndSession(two.session)), Err(Refusal::NotFound(_))));
    assert_eq!(host.own(&one, Action::SignOut), Ok(Answer::Done));
    assert!(is_bad_token(&host.resume(&one.tokens.session)));
    assert!(is_bad_token(&host.refresh(&one.tokens.refresh)));
    let four = host.sign_in(guest(DEVICE)).unwrap();
    assert_eq!(host.own(&four, Action::SignOutEverywhere), Ok(Answer::Done));
    host.restart();
    for token in [&three.tokens.session, &four.tokens.session] {
        assert!(is_bad_token(&host.resume(token)), "what was revoked stays revoked");
    }
}

#[test]
fn the_policy_says_how_many_sessions_there_are() {
    let mut newest = Host::sessions(Sessions::Newest);
    let old = newest.sign_in(guest(DEVICE)).unwrap();
    let new = newest.sign_in(guest(DEVICE)).unwrap();
    assert!(is_bad_token(&newest.resume(&old.tokens.session)));
    assert!(is_bad_token(&newest.refresh(&old.tokens.refresh)));
    assert!(newest.resume(&new.tokens.session).is_ok());
    let ended =
        lobby::Event::SynSessionsEnded { user: old.user, sessions: vec![old.session], refusal: Refusal::TakenOver };
    assert_eq!(newest.told, [ended]);

    let mut refuse = Host::sessions(Sessions::Refuse);
    let first = refuse.sign_in(guest(DEVICE)).unwrap();
    let online = |session| Event::SynOnline { user: first.user, session };
    refuse.auth.step(online(Some(first.session)));
    assert!(matches!(refuse.sign_in(guest(DEVICE)), Err(Refusal::Busy(_))), "while the first one is here");
    assert!(refuse.resume(&first.tokens.session).is_ok(), "its own session comes back");
    refuse.auth.step(online(None));
    assert!(refuse.sign_in(guest(DEVICE)).is_ok());
    assert!(is_bad_token(&refuse.resume(&first.tokens.session)));

    let mut two = Host::sessions(Sessions::Most(2));
    let one = two.sign_in(guest(DEVICE)).unwrap();
    let used = two.sign_in(guest(DEVICE)).unwrap();
    two.pass_ms(2 * HOUR_MS);
    two.resume(&one.tokens.session).unwrap();
    two.sign_in(guest(DEVICE)).unwrap();
    assert!(two.resume(&one.tokens.session).is_ok(), "it was used later");
    assert!(is_bad_token(&two.resume(&used.tokens.session)));
}

#[test]
fn expired_sessions_are_swept_by_the_index_of_their_hours() {
    let mut host = Host::new();
    let refresh_days = 60;
    for n in 0..700 {
        host.sign_in(guest(&format!("a device of the {n:04}th"))).unwrap();
    }
    let ada = host.sign_in(guest(DEVICE)).unwrap();
    host.pass_ms(30 * 24 * HOUR_MS);
    let next = host.refresh(&ada.tokens.refresh).unwrap();
    host.pass_ms((refresh_days - 30) * 24 * HOUR_MS + 2 * HOUR_MS);
    let expiry: Vec<&String> = host.store.keys().filter(|key| key.starts_with("expiry/")).collect();
    assert_eq!(expiry.len(), 1, "Ada's alone, at her new hour: {expiry:?}");
    let with_sessions = host.store.values().filter(|value| String::from_utf8_lossy(value).contains("family")).count();
    assert_eq!(with_sessions, 1, "expired sessions are not kept");
    assert!(host.refresh(&next.tokens.refresh).is_ok());
    host.pass_ms(SWEEP_MS);
    assert_eq!(host.faults, 0);
}
