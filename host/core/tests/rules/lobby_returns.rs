//! The lobby: connections that take over, leave, are lost and come back, and sessions that end.

use scenehost_core::lobby::{ANSWER_MS_MAX, Event, Lobby};
use scenehost_core::message::{Entry, MatchState, Notice, ToUser};
use scenehost_core::{ConnectionId, Message, Refusal, SceneId, ServiceName, SessionId};

use crate::one_user::{
    CONNECTION, GRACE_MS, SESSION, USER, come_back, domain, entry, identity, idle, in_scene, is_resumed, left, lost,
    numbered, searching, shorts, sign_in,
};
use crate::world::World;

#[test]
fn a_second_connection_takes_over_and_keeps_the_search() {
    let mut world = searching();
    let newer = ConnectionId(2);
    world.tell(Event::Opened { connection: newer });
    world.tell(sign_in(newer));
    let told = world.tell(Event::ResSignIn { connection: newer, result: Ok(identity(USER)) });
    assert_eq!(shorts(&told), ["User SynClosing TakenOver", "Auth SynOnline", "User ResSignIn"]);
    let state = MatchState::Placing { domain: domain() };
    let told = world.tell(Event::SynMatchState { user: USER, ticket: 1, state });
    assert!(matches!(&told[..], [scenehost_core::Message::User(to)] if to.request == 0), "not its request: {told:?}");
    assert_eq!(shorts(&world.tell(lost())), [] as [&str; 0]);
    assert_eq!(world.service.phase_name(USER), "Searching");
    let told = world.tell(Event::ResMatch { user: USER, ticket: 1, result: Ok(entry(1)) });
    assert!(matches!(&told[..], [scenehost_core::Message::User(to)] if to.connection == newer));
}

#[test]
fn leaving_while_searching_takes_the_search_back() {
    let mut world = searching();
    assert_eq!(shorts(&world.tell(left())), ["Auth SynOnline", "Match ReqCancelMatch"]);
    assert_eq!(world.service.phase_name(USER), "Cancelling, away");
    assert!(world.tell(Event::ResCancelMatch { user: USER, ticket: 1, result: Ok(()) }).is_empty());
    assert_eq!(world.service.phase_name(USER), "absent");
}

#[test]
fn a_session_that_ends_takes_its_connection_and_the_search_along() {
    let ended =
        |session| Event::SynSessionsEnded { user: USER, sessions: vec![session], refusal: Refusal::SessionEnded };
    let mut world = searching();
    assert_eq!(world.tell(ended(SessionId(51))), [], "another session of the same user");
    let told = shorts(&world.tell(ended(SESSION)));
    assert_eq!(told, ["User SynClosing SessionEnded", "Auth SynOnline", "Match ReqCancelMatch"]);
    assert_eq!(world.service.connection_name(CONNECTION), "unknown");
}

#[test]
fn a_fresh_auth_hears_who_is_here() {
    let mut world = idle();
    world.tell(Event::Service { service: ServiceName::Auth, up: false });
    let told = shorts(&world.tell(Event::Service { service: ServiceName::Auth, up: true }));
    assert_eq!(told, ["User SynService", "Auth SynOnline"]);
}

#[test]
fn a_sign_out_asks_auth_to_end_the_session() {
    let mut world = idle();
    assert_eq!(shorts(&world.tell(Event::ReqSignOut { connection: CONNECTION, request: 3 })), ["Auth Req"]);
}

#[test]
fn a_sign_out_that_auth_does_not_carry_out_is_refused() {
    let sign_out = |request| Event::ReqSignOut { connection: CONNECTION, request };
    let refused = |request, why: &str| (0, request, format!("User Refused {why}"));
    let without_seq = |told: Vec<(u32, u32, String)>| told.into_iter().map(|(_, request, text)| (0, request, text));
    let of_user = |told: &[Message]| without_seq(numbered(told, CONNECTION)).collect::<Vec<_>>();

    let mut world = idle();
    world.tell(sign_out(3));
    assert_eq!(of_user(&world.tell(sign_out(4))), [refused(4, "Busy")]);
    assert_eq!(of_user(&world.pass_ms(ANSWER_MS_MAX)), [refused(3, "TimedOut")], "Auth has said nothing");

    world.tell(sign_out(5));
    let told = world.tell(Event::Service { service: ServiceName::Auth, up: false });
    assert_eq!(of_user(&told), [(0, 0, "User SynService".to_owned()), refused(5, "ServiceDown")]);
    assert_eq!(of_user(&world.tell(sign_out(6))), [refused(6, "ServiceDown")]);
    assert!(world.pass_ms(ANSWER_MS_MAX).is_empty(), "each was answered once");
}

#[test]
fn a_user_who_returns_hears_of_the_scene_and_finds_the_way_back() {
    let mut world = in_scene();
    world.tell(left());
    assert_eq!(world.service.phase_name(USER), "InScene, away");
    world.tell(Event::Opened { connection: CONNECTION });
    world.tell(sign_in(CONNECTION));
    let told = world.tell(Event::ResSignIn { connection: CONNECTION, result: Ok(identity(USER)) });
    assert!(format!("{told:?}").contains("scene: Some(SceneId(100))"));
    assert_eq!(shorts(&world.tell(Event::ReqRejoin { connection: CONNECTION, request: 5 })), ["SceneMaster ReqRejoin"]);
    let told = world.tell(Event::ResRejoin { user: USER, result: Ok(entry(2)) });
    assert_eq!(shorts(&told), ["User ResMatch"]);
}

#[test]
fn who_finds_the_scene_ended_is_in_it_until_its_end_is_told_for_it_may_begin_anew() {
    let mut world = in_scene();
    let rejoin = |world: &mut World<Lobby>, refusal| {
        world.tell(Event::ReqRejoin { connection: CONNECTION, request: 5 });
        shorts(&world.tell(Event::ResRejoin { user: USER, result: Err(refusal) }))
    };
    assert_eq!(rejoin(&mut world, Refusal::SceneEnded), ["User Refused SceneEnded"]);
    assert_eq!(world.service.phase_name(USER), "InScene");
    let told = world.tell(Event::SynSceneRestarted { user: USER, entry: entry(2) });
    assert_eq!(shorts(&told), ["User ResMatch"], "the way into the next life is told");
    assert_eq!(rejoin(&mut world, Refusal::NoSeat), ["User Refused NoSeat"]);
    assert_eq!(world.service.phase_name(USER), "Idle");
}

#[test]
fn who_is_given_a_seat_by_an_operator_is_told_unless_busy_with_something_else() {
    let told = |world: &mut World<Lobby>| {
        let entry = Entry { scene: SceneId(3), ..entry(2) };
        shorts(&world.tell(Event::SynAllocated { user: USER, entry }))
    };
    let mut world = idle();
    assert_eq!(told(&mut world), ["User ResMatch"]);
    assert_eq!(world.service.phase_name(USER), "InScene");
    assert!(told(&mut world).is_empty(), "it is known");
    // Who plays elsewhere has a seat in another partition of SceneMaster.
    for (mut busy, said) in [(searching(), vec![]), (in_scene(), vec!["SceneMaster ReqGiveUpSeat"])] {
        let before = busy.service.phase_name(USER);
        assert_eq!(told(&mut busy), said);
        assert_eq!(busy.service.phase_name(USER), before);
    }
}

#[test]
fn a_dropped_user_keeps_the_search_and_gets_exactly_what_was_missed() {
    let mut world = searching();
    let state = |domain| MatchState::Placing { domain };
    world.tell(Event::SynMatchState { user: USER, ticket: 1, state: state(domain()) });
    assert_eq!(shorts(&world.tell(lost())), ["Match SynHere"], "nothing is given up");
    assert_eq!(world.service.phase_name(USER), "Searching, dropped");
    let told = world.tell(Event::SynMatchState { user: USER, ticket: 1, state: state(domain()) });
    assert_eq!(told, [], "nobody is there to hear it");
    world.tell(Event::ResMatch { user: USER, ticket: 1, result: Ok(entry(1)) });
    world.now = world.now.plus_ms(GRACE_MS - 1);

    let told = come_back(&mut world, ConnectionId(2), Some(1));
    assert!(is_resumed(&told));
    let missed = [
        (0, 1, "User ResSignIn".to_owned()),
        (2, 0, "User SynMatchState Placing".to_owned()),
        (3, 0, "User ResMatch".to_owned()),
    ];
    assert_eq!(numbered(&told, ConnectionId(2)), missed);
    let told = world.tell(Event::ReqMatch { connection: ConnectionId(2), request: 9, domain: domain(), wish: None });
    assert_eq!(numbered(&told, ConnectionId(2)), [(4, 9, "User Refused Busy".to_owned())], "the numbers go on");
}

#[test]
fn an_answer_that_was_lost_with_the_connection_comes_again() {
    let mut world = idle();
    let told = world.tell(Event::ReqCancelMatch { connection: CONNECTION, request: 5 });
    assert_eq!(numbered(&told, CONNECTION), [(1, 5, "User SynMatchState Idle".to_owned())]);
    world.tell(lost()); // And the answer with it.
    let told = come_back(&mut world, ConnectionId(2), Some(0));
    assert_eq!(numbered(&told, ConnectionId(2))[1], (1, 5, "User SynMatchState Idle".to_owned()));
    let Message::User(ToUser { notice: Notice::ResSignIn(signed_in), .. }) = &told[1] else { panic!("{told:?}") };
    assert_eq!(signed_in.last_request, 5, "so that the client does not ask again");
}

#[test]
fn who_has_missed_too_much_or_comes_from_elsewhere_begins_anew_with_the_whole_state() {
    let mut world = searching();
    world.tell(lost());
    for _ in 0..100 {
        let state = MatchState::Placing { domain: domain() };
        world.tell(Event::SynMatchState { user: USER, ticket: 1, state });
    }
    for (number, seen) in [(2, Some(0)), (3, Some(500)), (4, None)] {
        let connection = ConnectionId(number);
        let told = come_back(&mut world, connection, seen);
        assert!(!is_resumed(&told));
        assert_eq!(numbered(&told, connection), [(0, 1, "User ResSignIn".to_owned())]);
        assert!(format!("{told:?}").contains("match_state: Some(Placing"), "{told:?}");
        assert_eq!(world.service.phase_name(USER), "Searching", "the search goes on");
        world.tell(Event::Closed { connection, left: false });
    }
    let told = world.tell(Event::ResMatch { user: USER, ticket: 1, result: Ok(entry(1)) });
    assert_eq!(told, []);
    let told = come_back(&mut world, ConnectionId(5), Some(0));
    assert_eq!(numbered(&told, ConnectionId(5))[1], (1, 0, "User ResMatch".to_owned()), "numbers began at 1 again");
}

#[test]
fn the_end_of_the_grace_period_is_a_log_out() {
    let mut world = searching();
    world.tell(lost());
    assert_eq!(shorts(&world.pass_ms(GRACE_MS - 1)), [] as [&str; 0]);
    assert_eq!(shorts(&world.pass_ms(1)), ["Auth SynOnline", "Match ReqCancelMatch"]);
    assert_eq!(world.service.phase_name(USER), "Cancelling, away");
    world.tell(Event::ResCancelMatch { user: USER, ticket: 1, result: Ok(()) });
    assert_eq!(world.service.phase_name(USER), "absent");

    let mut world = idle();
    world.tell(lost());
    assert_eq!(world.service.phase_name(USER), "Idle, dropped");
    assert_eq!(shorts(&world.pass_ms(GRACE_MS)), ["Auth SynOnline"]);
    assert_eq!(world.service.phase_name(USER), "absent");
    assert!(!is_resumed(&come_back(&mut world, ConnectionId(2), Some(0))), "nothing is left to go on with");
}
