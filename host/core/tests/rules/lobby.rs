//! The lobby: connections, searches, scenes, and services that go down.

use std::collections::BTreeMap;
use std::sync::Arc;

use scenehost_core::auth::account::Tokens;
use scenehost_core::auth::{Credential, Identity, Request};
use scenehost_core::chat::{self, ChatMessage};
use scenehost_core::chat::{Ask, To};
use scenehost_core::db::{self, Answer, Asker, Caller, Entered, News};
use scenehost_core::lobby::{ANSWER_MS_MAX, Event, FIRST_FRAME_MS_MAX, Lobby, MatchingAsk, REQUESTS_PER_USER_MAX};
use scenehost_core::matching::domain::Domain;
use scenehost_core::message::{EndReason, Entry, Found, MatchState, Notice, SceneEnded, Searching, ToUser};
use scenehost_core::party::{self, Party};
use scenehost_core::profile::{self, Profile};
use scenehost_core::record::UserRecord;
use scenehost_core::results;
use scenehost_core::results::rating::Level;
use scenehost_core::scene_list;
use scenehost_core::token::Secret;
use scenehost_core::{
    AllocationId, ConnectionId, DomainName, Message, PartyId, Refusal, SceneId, ServiceName, SessionId, Time, UserId,
};

use crate::table::{self, short};
use crate::world::World;

pub const CONNECTION: ConnectionId = ConnectionId(1);
pub const USER: UserId = UserId(10);
const SESSION: SessionId = SessionId(50);
pub const SCENE: SceneId = SceneId(100);
const ALLOCATION: AllocationId = AllocationId(200);
const GRACE_MS: u64 = 30_000;

fn domain() -> DomainName {
    DomainName::from("gomoku")
}

/// The rules of matching.
fn rules() -> Domain {
    Domain { wait_ms_max: 60_000, ..Domain::new("gomoku".into(), 2, 2) }
}

pub fn lobby() -> World<Lobby> {
    World::new(Lobby::new(BTreeMap::from([(domain(), rules())]), GRACE_MS))
}

fn sign_in(connection: ConnectionId) -> Event {
    sign_in_to_resume(connection, None)
}

fn sign_in_to_resume(connection: ConnectionId, resume: Option<u32>) -> Event {
    let credential = Credential::Session("token".to_owned());
    let sign_in = Box::new(Request::SignIn { credential, name: String::new(), device: String::new() });
    Event::ReqSignIn { connection, request: 1, sign_in, resume }
}

fn identity(user: UserId) -> Box<Identity> {
    let record = UserRecord { name: "Ada".to_owned(), created: Time(1) };
    let token = || "token".to_owned();
    let tokens = Tokens { session: token(), session_expires: Time(9), refresh: token(), refresh_expires: Time(99) };
    Box::new(Identity { user, record, session: SESSION, tokens, created: false })
}

fn entered() -> Box<Entered> {
    let profile = Profile { name: "Ada".to_owned(), ..Profile::default() };
    Box::new(Entered { profile, ..Entered::default() })
}

/// Db has told what the lobby has to know of the user who comes in.
fn res_enter(connection: ConnectionId, user: UserId) -> Event {
    Event::ResEnter { user, connection: Some(connection), result: Ok(entered()) }
}

fn signed_in_on(world: &mut World<Lobby>, connection: ConnectionId, user: UserId) {
    world.tell(Event::Opened { connection });
    world.tell(sign_in(connection));
    world.tell(Event::ResSignIn { connection, result: Ok(identity(user)) });
    world.tell(res_enter(connection, user));
}

pub fn lost() -> Event {
    Event::Closed { connection: CONNECTION, left: false }
}

pub fn left() -> Event {
    Event::Closed { connection: CONNECTION, left: true }
}

/// What a connection is told, with its numbers.
fn numbered(messages: &[Message], connection: ConnectionId) -> Vec<(u32, u32, String)> {
    let of_user = messages.iter().filter_map(|message| match message {
        Message::User(to_user) if to_user.connection == connection => {
            Some((to_user.seq, to_user.request, short(message)))
        }
        _ => None,
    });
    of_user.collect()
}

/// The user signs in on a second connection and wants to go on after the frame `seen`.
pub fn come_back(world: &mut World<Lobby>, connection: ConnectionId, seen: Option<u32>) -> Vec<Message> {
    world.tell(Event::Opened { connection });
    world.tell(sign_in_to_resume(connection, seen));
    let told = world.tell(Event::ResSignIn { connection, result: Ok(identity(USER)) });
    // A user whom the lobby knows is there at once.
    if shorts(&told) == ["Db Req"] { world.tell(res_enter(connection, USER)) } else { told }
}

fn is_resumed(told: &[Message]) -> bool {
    let resumed = |message: &Message| matches!(message, Message::User(ToUser { notice: Notice::ResSignIn(signed_in), .. }) if signed_in.resumed);
    told.iter().any(resumed)
}

fn req_match() -> Event {
    Event::ReqMatch { connection: CONNECTION, request: 2, domain: domain(), wish: None }
}

fn req_matching(ask: MatchingAsk) -> Event {
    Event::ReqMatching { connection: CONNECTION, request: 8, ask }
}

/// A match that waits to be accepted.
fn found() -> Found {
    Found { domain: domain(), players: 2, accepted: 0, you_accepted: false, left_ms: 10_000 }
}

/// A party of the user alone.
fn party() -> Party {
    let members = vec![party::Member { user: USER, name: "Ada".to_owned(), data: String::new() }];
    let invites = BTreeMap::new();
    let code = "BCDFGH".to_owned();
    Party { code, leader: USER, members, invites, data: String::new(), version: 1 }
}

fn syn_party() -> Event {
    let change = party::Change::Created;
    Event::SynParty { party: PartyId(5), now: Some(Box::new(party())), change, about: USER }
}

fn req_chat(ask: Ask) -> Event {
    Event::ReqChat { connection: CONNECTION, request: 6, ask }
}

pub fn entry(world_seed: u64) -> Entry {
    use rand_chacha::rand_core::SeedableRng;
    let secret = Secret::draw(&mut rand_chacha::ChaCha20Rng::seed_from_u64(world_seed));
    Entry {
        scene: SCENE,
        allocation: Some(ALLOCATION),
        domain: domain(),
        url: "/v1/scene/x".to_owned(),
        secret,
        expires_in_ms: 30_000,
    }
}

pub fn ended() -> Event {
    let ended = SceneEnded { scene: SCENE, reason: EndReason::Finished, results: Vec::new() };
    Event::SynSceneEnded { user: USER, allocation: Some(ALLOCATION), ended }
}

pub fn idle() -> World<Lobby> {
    let mut world = lobby();
    signed_in_on(&mut world, CONNECTION, USER);
    world
}

pub fn searching() -> World<Lobby> {
    let mut world = idle();
    world.tell(req_match());
    world
}

pub fn in_scene() -> World<Lobby> {
    let mut world = searching();
    world.tell(Event::ResMatch { user: USER, ticket: 1, result: Ok(entry(1)) });
    world
}

pub fn shorts(messages: &[scenehost_core::Message]) -> Vec<String> {
    messages.iter().map(short).collect()
}

fn req_db(request: u32) -> Event {
    let what = Box::new(db::Request::Profile(profile::Request::Show(vec![USER])));
    Event::ReqDb { connection: CONNECTION, request, what }
}

fn news() -> Box<News> {
    Box::new(News::Storage(scenehost_core::storage::News { game: "gomoku".into(), keys: vec!["best".to_owned()] }))
}

/// The lobby's number for what it has just asked of Db.
fn number_of(told: &[Message]) -> u64 {
    let number = told.iter().find_map(|message| match message {
        Message::Db(db::Event::Req { asker: Asker::User { user: USER, number }, caller, .. }) => {
            assert_eq!(*caller, Caller::User(USER));
            Some(*number)
        }
        _ => None,
    });
    number.unwrap_or_else(|| panic!("nothing is asked of Db: {told:?}"))
}

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
    let answer = |number| Event::ResDb { user: USER, number, result: Err(Refusal::Forbidden("x")) };
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
    assert_eq!(shorts(&told), ["User ResSignIn", "Auth SynOnline"]);
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
        assert_eq!(shorts(&world.tell(end)), ["User ResSignIn", "Auth SynOnline"]);
    }
}

#[test]
fn who_came_in_without_dbs_word_is_asked_for_until_it_comes_and_plays_and_hears_nothing_before() {
    let mut world = lobby();
    world.tell(Event::Opened { connection: CONNECTION });
    world.tell(sign_in(CONNECTION));
    world.tell(Event::ResSignIn { connection: CONNECTION, result: Ok(identity(USER)) });
    let refused = || Err(Refusal::TimedOut("the store"));
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

#[test]
fn a_connection_without_sign_in_is_closed() {
    let mut world = lobby();
    world.tell(Event::Opened { connection: CONNECTION });
    assert_eq!(shorts(&world.pass_ms(FIRST_FRAME_MS_MAX)), ["User SynClosing Unauthenticated"]);
    assert_eq!(world.service.connection_name(CONNECTION), "unknown");
}

#[test]
fn a_second_connection_takes_over_and_keeps_the_search() {
    let mut world = searching();
    let newer = ConnectionId(2);
    world.tell(Event::Opened { connection: newer });
    world.tell(sign_in(newer));
    let told = world.tell(Event::ResSignIn { connection: newer, result: Ok(identity(USER)) });
    assert_eq!(shorts(&told), ["User SynClosing TakenOver", "User ResSignIn", "Auth SynOnline"]);
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
    let told = |world: &mut World<Lobby>| shorts(&world.tell(Event::SynAllocated { user: USER, entry: entry(2) }));
    let mut world = idle();
    assert_eq!(told(&mut world), ["User ResMatch"]);
    assert_eq!(world.service.phase_name(USER), "InScene");
    for mut busy in [searching(), in_scene()] {
        let before = busy.service.phase_name(USER);
        assert!(told(&mut busy).is_empty());
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
    let Message::User(ToUser { notice: Notice::ResSignIn(signed_in), .. }) = &told[0] else { panic!("{told:?}") };
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

#[test]
fn a_search_whose_match_service_is_lost_ends_and_the_door_is_closed_until_it_is_back() {
    let mut world = searching();
    let told = world.tell(Event::Service { service: ServiceName::Match, up: false });
    assert_eq!(shorts(&told), ["User SynService", "User SynMatchState Idle"]);
    assert_eq!(shorts(&world.tell(req_match())), ["User Refused ServiceDown"]);
    let told = world.tell(Event::Service { service: ServiceName::Match, up: true });
    assert_eq!(shorts(&told), ["User SynService"]);
    assert_eq!(shorts(&world.tell(req_match())), ["Match ReqMatch"]);
}

#[test]
fn while_the_store_is_down_nobody_is_matched_or_signed_out_and_everybody_is_told_why() {
    let db = |up| Event::Service { service: ServiceName::Db, up };
    let mut world = idle();
    assert_eq!(shorts(&world.tell(db(false))), ["User SynService"]);
    let refused = [world.tell(req_match()), world.tell(Event::ReqSignOut { connection: CONNECTION, request: 3 })];
    for told in refused {
        let [Message::User(to_user)] = &told[..] else { panic!("{told:?}") };
        assert_eq!(to_user.notice, Notice::Refused(Refusal::ServiceDown(ServiceName::Db)));
    }
    assert_eq!(shorts(&world.tell(db(true))), ["User SynService"]);
    assert_eq!(shorts(&world.tell(req_match())), ["Match ReqMatch"]);
}

#[test]
fn a_search_that_ends_before_its_first_answer_answers_all_who_wait() {
    let cancelling = || {
        let mut world = searching();
        world.tell(Event::ReqCancelMatch { connection: CONNECTION, request: 3 });
        world
    };
    let answered = |told: Vec<Message>| {
        let told = numbered(&told, CONNECTION).into_iter();
        told.map(|(_, request, _)| request).filter(|request| *request != 0).collect::<Vec<_>>()
    };
    let down = Event::Service { service: ServiceName::Match, up: false };
    assert_eq!(answered(cancelling().tell(down)), [2, 3]);
    let made = Event::ResMatch { user: USER, ticket: 1, result: Ok(entry(1)) };
    assert_eq!(answered(cancelling().tell(made)), [3, 2], "the match is made");
    let taken_back = Event::ResCancelMatch { user: USER, ticket: 1, result: Ok(()) };
    assert_eq!(answered(cancelling().tell(taken_back)), [2, 3]);
}

#[test]
fn a_seat_that_was_given_up_before_its_match_was_told_is_not_taken() {
    let ended = |allocation: u64| {
        let ended = SceneEnded { scene: SCENE, reason: EndReason::AccountClosed, results: Vec::new() };
        Event::SynSceneEnded { user: USER, allocation: Some(AllocationId(allocation)), ended }
    };
    let made = Event::ResMatch { user: USER, ticket: 1, result: Ok(entry(1)) };

    let mut world = searching();
    assert!(world.tell(ended(ALLOCATION.0)).is_empty(), "the search is not over before Match says so");
    assert_eq!(world.service.phase_name(USER), "Searching");
    assert_eq!(shorts(&world.tell(made.clone())), ["User SynMatchState Idle", "User SynSceneEnded"]);
    assert_eq!(world.service.phase_name(USER), "Idle");

    let mut world = searching();
    world.tell(ended(ALLOCATION.0 + 1));
    assert_eq!(shorts(&world.tell(made)), ["User ResMatch"], "it was another session of the same scene that has ended");
    assert_eq!(world.service.phase_name(USER), "InScene");
}

#[test]
fn an_answer_to_an_older_search_changes_nothing() {
    let mut world = searching();
    world.tell(Event::ResMatch { user: USER, ticket: 1, result: Err(Refusal::NoMatch) });
    world.tell(req_match());
    assert!(world.tell(Event::ResMatch { user: USER, ticket: 1, result: Err(Refusal::NoMatch) }).is_empty());
    let told = world.tell(Event::ResMatch { user: USER, ticket: 1, result: Ok(entry(1)) });
    assert_eq!(shorts(&told), ["SceneMaster ReqGiveUpSeat"], "nobody will come into that scene");
    assert_eq!(world.service.phase_name(USER), "Searching");
}

#[test]
fn a_search_ends_even_if_match_never_answers() {
    let mut world = searching();
    let told = world.pass_ms(60_000 + 30_000);
    assert_eq!(shorts(&told), ["User SynMatchState Idle"]);
    assert_eq!(world.service.phase_name(USER), "Idle");
}

#[test]
fn word_of_a_search_that_is_being_taken_back_delays_nothing() {
    let mut world = searching();
    world.tell(left());
    world.tell(Event::SynMatchState { user: USER, ticket: 1, state: MatchState::Found(found()) });
    world.pass_ms(ANSWER_MS_MAX);
    assert_eq!(world.service.phase_name(USER), "absent");
}

#[test]
fn every_state_and_event() {
    let fresh = {
        let mut world = lobby();
        world.tell(Event::Opened { connection: CONNECTION });
        world
    };
    let signing_in = {
        let mut world = fresh.clone();
        world.tell(sign_in(CONNECTION));
        world
    };
    let entering = {
        let mut world = signing_in.clone();
        world.tell(Event::ResSignIn { connection: CONNECTION, result: Ok(identity(USER)) });
        world
    };
    let asking = {
        let mut world = idle();
        world.tell(req_db(9));
        world
    };
    let cancelling = {
        let mut world = searching();
        world.tell(Event::ReqCancelMatch { connection: CONNECTION, request: 3 });
        world
    };
    let rejoining = {
        let mut world = in_scene();
        world.tell(Event::ReqRejoin { connection: CONNECTION, request: 4 });
        world
    };
    let joining = {
        let mut world = idle();
        world.tell(crate::lobby_scenes::req(scene_list::Ask::Join(SCENE)));
        world
    };
    let after = |mut world: World<Lobby>, event: Event| {
        world.tell(event);
        world
    };
    let (away, leaving) = (after(in_scene(), left()), after(searching(), left()));
    let (idle_dropped, searching_dropped) = (after(idle(), lost()), after(searching(), lost()));
    let refused = || Err(Refusal::NotFound("x".to_owned()));
    let state = Searching {
        domain: domain(),
        waited_ms: 0,
        rating_range: 100,
        ping_ms: None,
        relaxed: Vec::new(),
        usual_wait_ms: None,
        waiting: 1,
        players_min: 2,
        players_max: 2,
    };
    let service = |service, up| Event::Service { service, up };
    table::check(
        "lobby",
        &[
            ("(no connection)", lobby()),
            ("Fresh", fresh),
            ("SigningIn", signing_in),
            ("Entering", entering),
            ("Idle", idle()),
            ("Idle, asking", asking),
            ("Searching", searching()),
            ("Cancelling", cancelling),
            ("Idle, dropped", idle_dropped),
            ("Searching, dropped", searching_dropped),
            ("Cancelling, away", leaving),
            ("Joining", joining),
            ("InScene", in_scene()),
            ("Rejoining", rejoining),
            ("InScene, away", away),
        ],
        &[
            ("Opened", Event::Opened { connection: ConnectionId(2) }),
            ("Closed: lost", lost()),
            ("Closed: left", left()),
            ("Heard", Event::Heard { connection: CONNECTION, seen: 1 }),
            ("ReqSignIn", sign_in(CONNECTION)),
            ("ReqSignOut", Event::ReqSignOut { connection: CONNECTION, request: 2 }),
            (
                "SynSessionsEnded",
                Event::SynSessionsEnded { user: USER, sessions: vec![SESSION], refusal: Refusal::SessionEnded },
            ),
            ("SynAccountClosed", Event::SynAccountClosed { user: USER, refusal: Refusal::SessionEnded }),
            ("SynAccountDeleted", Event::SynAccountDeleted { user: USER }),
            ("ResSignIn", Event::ResSignIn { connection: CONNECTION, result: Ok(identity(USER)) }),
            ("ResSignIn, refused", Event::ResSignIn { connection: CONNECTION, result: refused() }),
            ("ResEnter", res_enter(CONNECTION, USER)),
            (
                "ResEnter, refused",
                Event::ResEnter { user: USER, connection: Some(CONNECTION), result: Err(Refusal::TimedOut("x")) },
            ),
            ("ReqDb", req_db(5)),
            ("ResDb", Event::ResDb { user: USER, number: 1, result: Ok(Box::new(Answer::Done)) }),
            ("ResDb, refused", Event::ResDb { user: USER, number: 1, result: Err(Refusal::Forbidden("x")) }),
            ("SynNews", Event::SynNews { user: USER, news: news() }),
            ("ReqChat: join", req_chat(Ask::Join("lobby".into()))),
            ("ReqChat: say", req_chat(Ask::Say(To::Direct(UserId(11)), "hello".to_owned()))),
            ("ReqChat: history", req_chat(Ask::History(To::Guild, 0, 0))),
            ("Moderated", Event::Moderated { number: 1, verdict: None }),
            ("ReqParty: create", Event::ReqParty { connection: CONNECTION, request: 7, ask: party::Ask::Create }),
            ("ReqParty: ready", Event::ReqParty { connection: CONNECTION, request: 7, ask: party::Ask::Ready(true) }),
            ("SynParty", syn_party()),
            ("Recovered", Event::Recovered { parties: vec![(PartyId(5), party())] }),
            ("ReqMatch", req_match()),
            (
                "ReqMatch, unknown domain",
                Event::ReqMatch { connection: CONNECTION, request: 2, domain: "chess".into(), wish: None },
            ),
            ("ReqMatching: wish", req_matching(MatchingAsk::Wish(Box::default()))),
            ("ReqMatching: accept", req_matching(MatchingAsk::Accept(true))),
            ("ReqMatching: domains", req_matching(MatchingAsk::Domains("".into()))),
            ("ReqCancelMatch", Event::ReqCancelMatch { connection: CONNECTION, request: 3 }),
            ("ReqRejoin", Event::ReqRejoin { connection: CONNECTION, request: 4 }),
            ("SynMatchState", Event::SynMatchState { user: USER, ticket: 1, state: MatchState::Searching(state) }),
            ("SynMatchState, found", Event::SynMatchState { user: USER, ticket: 1, state: MatchState::Found(found()) }),
            ("ResMatch", Event::ResMatch { user: USER, ticket: 1, result: Ok(entry(1)) }),
            ("ResMatch, refused", Event::ResMatch { user: USER, ticket: 1, result: Err(Refusal::NoMatch) }),
            ("ResCancelMatch", Event::ResCancelMatch { user: USER, ticket: 1, result: Ok(()) }),
            (
                "ResCancelMatch, refused",
                Event::ResCancelMatch { user: USER, ticket: 1, result: Err(Refusal::Busy("made")) },
            ),
            ("ResRejoin", Event::ResRejoin { user: USER, result: Ok(entry(1)) }),
            ("ResRejoin, refused", Event::ResRejoin { user: USER, result: Err(Refusal::SceneEnded) }),
            ("SynSceneEnded", ended()),
            ("ReqScenes: find", crate::lobby_scenes::req(crate::lobby_scenes::find())),
            ("ReqScenes: join", crate::lobby_scenes::req(scene_list::Ask::Join(SCENE))),
            ("ReqScenes: watch", crate::lobby_scenes::req(scene_list::Ask::Watch(SCENE))),
            ("ResJoinInProgress", Event::ResJoinInProgress { user: USER, number: 1, result: Ok(entry(1)) }),
            (
                "ResJoinInProgress, refused",
                Event::ResJoinInProgress { user: USER, number: 1, result: Err(Refusal::SceneEnded) },
            ),
            ("Auth down", service(ServiceName::Auth, false)),
            ("Match down", service(ServiceName::Match, false)),
            ("SceneMaster down", service(ServiceName::SceneMaster, false)),
            ("SceneService down", service(ServiceName::SceneService, false)),
            ("Db down", service(ServiceName::Db, false)),
            ("up, was up", service(ServiceName::Match, true)),
            ("Stopping", Event::Stopping),
            ("Tick at the deadline", Event::Tick),
        ],
        |state, event| {
            let mut world = state.clone();
            if *event == Event::Tick {
                world.now = world.now.plus_ms(FIRST_FRAME_MS_MAX.max(ANSWER_MS_MAX) + 100_000);
            }
            let effects = world.step(event.clone());
            let state = match world.service.phase_name(USER).as_str() {
                "absent" => world.service.connection_name(CONNECTION).to_owned(),
                phase => phase.to_owned(),
            };
            table::cell(&state, &effects)
        },
    );
}

#[test]
fn a_name_that_no_domain_has_is_refused_and_a_long_one_is_not_said_again() {
    let mut world = idle();
    for (name, said) in [("chess".to_owned(), true), ("x".repeat(64), true), ("x".repeat(65), false)] {
        let told = world.tell(Event::ReqMatch {
            connection: CONNECTION,
            request: 5,
            domain: name.as_str().into(),
            wish: None,
        });
        let [Message::User(ToUser { notice: Notice::Refused(refusal), .. })] = &told[..] else { panic!("{told:?}") };
        assert_eq!(refusal.to_string().contains(&name), said, "{refusal}");
    }
}
