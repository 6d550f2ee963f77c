//! The lobby and Db: what users ask of it, what the lobby has to know of who comes in, and what happens while it is down.

use std::collections::BTreeMap;
use std::sync::Arc;

use scenehost_core::chat::{self, ChatMessage};
use scenehost_core::db::{self, Answer, Entered, News};
use scenehost_core::lobby::{ANSWER_MS_MAX, Event, REQUESTS_PER_USER_MAX};
use scenehost_core::profile;
use scenehost_core::results::rating::Level;
use scenehost_core::{ConnectionId, Message, Refusal, ServiceName, SessionId, Time, UserId, results};

use crate::one_user::{
    CONNECTION, SESSION, USER, come_back, domain, entered, identity, idle, lobby, number_of, numbered, req_db,
    req_match, res_enter, shorts, sign_in,
};

fn level(rating: i32) -> Level {
    Level { rating, games: 7 }
}

#[test]
fn users_are_matched_by_the_rating_that_db_has_told_last() {
    let rating_of = |told: Vec<Message>| match &told[..] {
        [Message::Match(_, scenehost_core::matching::Event::ReqMatch { seekers, .. })] => seekers[0].rating,
        other => panic!("{other:?}"),
    };
    assert_eq!(rating_of(idle().tell(req_match())), 1500, "who has not played there");

    let mut world = lobby();
    world.tell(Event::Opened { connection: CONNECTION });
    world.tell(sign_in(CONNECTION));
    world.tell(Event::ResSignIn { connection: CONNECTION, result: Ok(identity(USER)) });
    let known =
        Entered { levels: BTreeMap::from([(domain(), level(1710)), ("chess".into(), level(900))]), ..*entered() };
    world.tell(Event::ResEnter { user: USER, connection: Some(CONNECTION), result: Ok(Box::new(known)) });
    assert_eq!(rating_of(world.clone().tell(req_match())), 1710);

    let news = results::News { domain: domain(), rating: 1690, games: 8, change: -20, place: 2, ended: Time(9) };
    let told = world.tell(Event::SynNews { user: USER, news: Box::new(News::Results(news)) });
    assert_eq!(shorts(&told), ["User News"]);
    assert_eq!(rating_of(world.tell(req_match())), 1690);
}

#[test]
fn what_is_asked_of_db_is_answered_once_to_the_client_that_asked() {
    let mut world = idle();
    let number = number_of(&world.tell(req_db(7)));
    let done = || Event::ResDb { user: USER, number, result: Ok(Box::new(Answer::Done)) };
    assert_eq!(numbered(&world.tell(done()), CONNECTION), [(1, 7, "User Answer".to_owned())]);
    assert_eq!(shorts(&world.tell(done())), [] as [&str; 0]);

    // Another client of the user begins anew with the same number; the answer to the first one is not for it.
    let late = number_of(&world.tell(req_db(8)));
    come_back(&mut world, ConnectionId(2), None);
    let own = number_of(&world.tell(Event::ReqDb {
        connection: ConnectionId(2),
        request: 8,
        what: Box::new(db::Request::Profile(profile::Request::Show(vec![USER]))),
    }));
    let answer = |number| Event::ResDb { user: USER, number, result: Err(Refusal::Forbidden("x".into())) };
    assert_eq!(shorts(&world.tell(answer(late))), [] as [&str; 0]);
    assert_eq!(shorts(&world.tell(answer(own))), ["User Refused Forbidden"]);
}

#[test]
fn who_waits_for_db_hears_when_it_goes_down_and_the_door_is_closed_until_it_is_back() {
    let mut world = idle();
    world.tell(req_db(7));
    let told = world.tell(Event::Service { service: ServiceName::Db, up: false });
    assert_eq!(shorts(&told), ["User SynService", "User Refused ServiceDown"]);
    assert_eq!(shorts(&world.tell(req_db(8))), ["User Refused ServiceDown"]);
    world.tell(Event::Service { service: ServiceName::Db, up: true });
    assert_eq!(shorts(&world.tell(req_db(9))), ["Db Req"]);
}

#[test]
fn a_user_comes_in_without_db_and_is_made_known_when_it_is_back() {
    let mut world = lobby();
    world.tell(Event::Service { service: ServiceName::Db, up: false });
    world.tell(Event::Opened { connection: CONNECTION });
    world.tell(sign_in(CONNECTION));
    let told = world.tell(Event::ResSignIn { connection: CONNECTION, result: Ok(identity(USER)) });
    assert_eq!(shorts(&told), ["Auth SynOnline", "User ResSignIn"]);
    let told = world.tell(Event::Service { service: ServiceName::Db, up: true });
    assert_eq!(shorts(&told), ["User SynService", "Db Req"]);
    world.tell(Event::ResEnter { user: USER, connection: None, result: Ok(entered()) });

    // One who is on the way in when Db goes down comes in, too, and so does one of whom Db never says anything.
    for end in [Event::Service { service: ServiceName::Db, up: false }, Event::Tick] {
        let mut world = lobby();
        world.tell(Event::Opened { connection: CONNECTION });
        world.tell(sign_in(CONNECTION));
        let told = world.tell(Event::ResSignIn { connection: CONNECTION, result: Ok(identity(USER)) });
        assert_eq!(shorts(&told), ["Db Req"]);
        world.now = world.now.plus_ms(ANSWER_MS_MAX);
        assert_eq!(shorts(&world.tell(end)), ["Auth SynOnline", "User ResSignIn"]);
    }
}

#[test]
fn who_came_in_without_dbs_word_is_asked_for_until_it_comes_and_plays_and_hears_nothing_before() {
    let mut world = lobby();
    world.tell(Event::Opened { connection: CONNECTION });
    world.tell(sign_in(CONNECTION));
    world.tell(Event::ResSignIn { connection: CONNECTION, result: Ok(identity(USER)) });
    let refused = || Err(Refusal::TimedOut("the store".into()));
    world.tell(Event::ResEnter { user: USER, connection: Some(CONNECTION), result: refused() });

    assert_eq!(shorts(&world.tell(req_match())), ["Db Req", "User Refused ServiceDown"], "blocks are not known");
    let message = ChatMessage { id: 1, from: UserId(11), name: String::new(), text: "hi".to_owned(), sent: Time(1) };
    let said = News::Chat(chat::News::Said(chat::Channel::Direct(UserId(11)), Arc::new(message)));
    assert_eq!(shorts(&world.tell(Event::SynNews { user: USER, news: Box::new(said) })), [] as [&str; 0]);
    let heard = || Event::Heard { connection: CONNECTION, seen: 0 };
    for _ in 0..3 {
        assert_eq!(shorts(&world.tell(heard())), [] as [&str; 0], "not all the time");
        world.pass_ms(3_000);
        assert_eq!(shorts(&world.tell(heard())), ["Db Req"]);
        assert_eq!(
            shorts(&world.tell(Event::ResEnter { user: USER, connection: None, result: refused() })),
            [] as [&str; 0]
        );
    }
    world.tell(Event::ResEnter { user: USER, connection: None, result: Ok(entered()) });
    world.pass_ms(10_000);
    assert_eq!(shorts(&world.tell(heard())), [] as [&str; 0], "it is known now");
    assert_eq!(shorts(&world.tell(req_match())), ["Match ReqMatch"]);
}

#[test]
fn a_session_or_an_account_that_ends_on_the_way_in_does_not_come_in() {
    let refusal = || Refusal::Banned { reason: "shouting".to_owned(), until: None };
    let ended = Event::SynSessionsEnded { user: USER, sessions: vec![SESSION], refusal: refusal() };
    for end in [ended, Event::SynAccountClosed { user: USER, refusal: refusal() }] {
        let mut world = lobby();
        world.tell(Event::Opened { connection: CONNECTION });
        world.tell(sign_in(CONNECTION));
        world.tell(Event::ResSignIn { connection: CONNECTION, result: Ok(identity(USER)) });
        let other = Event::SynSessionsEnded { user: USER, sessions: vec![SessionId(51)], refusal: refusal() };
        assert_eq!(shorts(&world.tell(other)), [] as [&str; 0], "another session of the user's");
        assert_eq!(shorts(&world.tell(end))[0], "User SynClosing Banned");
        assert_eq!(shorts(&world.tell(res_enter(CONNECTION, USER))), [] as [&str; 0]);
        assert_eq!((world.service.connection_name(CONNECTION), world.service.users_connected()), ("unknown", 0));
    }
}

#[test]
fn what_is_kept_of_a_deleted_user_is_removed_after_all_that_was_asked_for_them_to_come_in() {
    let mut world = lobby();
    world.tell(Event::Opened { connection: CONNECTION });
    world.tell(sign_in(CONNECTION));
    let asked = world.tell(Event::ResSignIn { connection: CONNECTION, result: Ok(identity(USER)) });
    assert!(matches!(db_request(&asked), db::Request::Enter(USER, _)), "{asked:?}");
    let told = world.tell(Event::SynAccountDeleted { user: USER });
    assert_eq!(shorts(&told), ["User SynClosing SessionEnded", "SceneMaster ReqRemoveUser", "Db Req"]);
    assert_eq!(db_request(&told), &db::Request::Forget(USER));

    // Nothing asks for the user any more.
    for up in [false, true] {
        assert_eq!(world.tell(Event::Service { service: ServiceName::Db, up }), []);
    }
    assert_eq!(shorts(&world.tell(res_enter(CONNECTION, USER))), [] as [&str; 0]);
    let told = world.tell(Event::ResEnter { user: USER, connection: None, result: Ok(entered()) });
    assert_eq!((shorts(&told), world.service.phase_name(USER)), (Vec::new(), "absent".to_owned()));
}

/// What Db is asked for by the last of these messages.
fn db_request(messages: &[Message]) -> &db::Request {
    match messages.last() {
        Some(Message::Db(db::Event::Req { request, .. })) => request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn requests_to_db_have_a_limit_and_a_deadline() {
    let mut world = idle();
    let asked = (1..=REQUESTS_PER_USER_MAX as u32).map(|it| number_of(&world.tell(req_db(it)))).count();
    assert_eq!(asked, REQUESTS_PER_USER_MAX);
    assert_eq!(shorts(&world.tell(req_db(100))), ["User Refused Overloaded"]);
    let told = world.pass_ms(db::REQUEST_MS_MAX + 2_000);
    assert_eq!(shorts(&told), vec!["User Refused TimedOut"; REQUESTS_PER_USER_MAX]);
    assert_eq!(shorts(&world.tell(req_db(101))), ["Db Req"]);
}
