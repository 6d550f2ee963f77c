//! The lobby: connections, searches, scenes, and services that go down.

use std::collections::BTreeMap;

use scenehost_core::auth::account::Tokens;
use scenehost_core::auth::{Credential, Identity, Request};
use scenehost_core::lobby::{ANSWER_MS_MAX, Event, FIRST_FRAME_MS_MAX, Lobby};
use scenehost_core::message::{EndReason, Entry, MatchState, SceneEnded, Searching};
use scenehost_core::record::UserRecord;
use scenehost_core::token::Secret;
use scenehost_core::{ConnectionId, DomainName, Refusal, SceneId, ServiceName, SessionId, Time, UserId};

use crate::table::{self, short};
use crate::world::World;

const CONNECTION: ConnectionId = ConnectionId(1);
const USER: UserId = UserId(10);
const SESSION: SessionId = SessionId(50);
const SCENE: SceneId = SceneId(100);

fn domain() -> DomainName {
    DomainName::from("gomoku")
}

fn lobby() -> World<Lobby> {
    World::new(Lobby::new(BTreeMap::from([(domain(), 60_000)])))
}

fn sign_in(connection: ConnectionId) -> Event {
    let credential = Credential::Session("token".to_owned());
    let sign_in = Box::new(Request::SignIn { credential, name: String::new(), device: String::new() });
    Event::ReqSignIn { connection, request: 1, sign_in }
}

fn identity(user: UserId) -> Box<Identity> {
    let record = UserRecord { name: "Ada".to_owned(), created: Time(1), ratings: BTreeMap::new() };
    let token = || "token".to_owned();
    let tokens = Tokens { session: token(), session_expires: Time(9), refresh: token(), refresh_expires: Time(99) };
    Box::new(Identity { user, record, session: SESSION, tokens, created: false })
}

fn signed_in_on(world: &mut World<Lobby>, connection: ConnectionId, user: UserId) {
    world.tell(Event::Opened { connection });
    world.tell(sign_in(connection));
    world.tell(Event::ResSignIn { connection, result: Ok(identity(user)) });
}

fn req_match() -> Event {
    Event::ReqMatch { connection: CONNECTION, request: 2, domain: domain() }
}

fn entry(world_seed: u64) -> Entry {
    use rand_chacha::rand_core::SeedableRng;
    let secret = Secret::draw(&mut rand_chacha::ChaCha20Rng::seed_from_u64(world_seed));
    Entry { scene: SCENE, domain: domain(), url: "/v1/scene/x".to_owned(), secret, expires_in_ms: 30_000 }
}

fn ended() -> Event {
    let ended = SceneEnded { scene: SCENE, reason: EndReason::Finished, results: Vec::new() };
    Event::SynSceneEnded { user: USER, ended }
}

fn idle() -> World<Lobby> {
    let mut world = lobby();
    signed_in_on(&mut world, CONNECTION, USER);
    world
}

fn searching() -> World<Lobby> {
    let mut world = idle();
    world.tell(req_match());
    world
}

fn in_scene() -> World<Lobby> {
    let mut world = searching();
    world.tell(Event::ResMatch { user: USER, ticket: 1, result: Ok(entry(1)) });
    world
}

fn shorts(messages: &[scenehost_core::Message]) -> Vec<String> {
    messages.iter().map(short).collect()
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
    assert_eq!(shorts(&world.tell(Event::Closed { connection: CONNECTION })), [] as [&str; 0]);
    assert_eq!(world.service.phase_name(USER), "Searching");
    let told = world.tell(Event::ResMatch { user: USER, ticket: 1, result: Ok(entry(1)) });
    assert!(matches!(&told[..], [scenehost_core::Message::User(to)] if to.connection == newer));
}

#[test]
fn leaving_while_searching_takes_the_search_back() {
    let mut world = searching();
    assert_eq!(
        shorts(&world.tell(Event::Closed { connection: CONNECTION })),
        ["Auth SynOnline", "Match ReqCancelMatch"]
    );
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
fn a_sign_out_asks_auth_to_end_the_session() {
    let mut world = idle();
    assert_eq!(shorts(&world.tell(Event::ReqSignOut { connection: CONNECTION, request: 3 })), ["Auth Req"]);
}

#[test]
fn a_user_who_returns_hears_of_the_scene_and_finds_the_way_back() {
    let mut world = in_scene();
    world.tell(Event::Closed { connection: CONNECTION });
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
fn an_answer_to_an_older_search_changes_nothing() {
    let mut world = searching();
    world.tell(Event::ResMatch { user: USER, ticket: 1, result: Err(Refusal::NoMatch) });
    world.tell(req_match());
    assert!(world.tell(Event::ResMatch { user: USER, ticket: 1, result: Ok(entry(1)) }).is_empty());
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
    let away = {
        let mut world = in_scene();
        world.tell(Event::Closed { connection: CONNECTION });
        world
    };
    let leaving = {
        let mut world = searching();
        world.tell(Event::Closed { connection: CONNECTION });
        world
    };
    let refused = || Err(Refusal::NotFound("x".to_owned()));
    let state =
        Searching { domain: domain(), waited_ms: 0, rating_range: 100, waiting: 1, players_min: 2, players_max: 2 };
    let service = |service, up| Event::Service { service, up };
    table::check(
        "lobby",
        &[
            ("(no connection)", lobby()),
            ("Fresh", fresh),
            ("SigningIn", signing_in),
            ("Idle", idle()),
            ("Searching", searching()),
            ("Cancelling", cancelling),
            ("Cancelling, away", leaving),
            ("InScene", in_scene()),
            ("Rejoining", rejoining),
            ("InScene, away", away),
        ],
        &[
            ("Opened", Event::Opened { connection: ConnectionId(2) }),
            ("Closed", Event::Closed { connection: CONNECTION }),
            ("ReqSignIn", sign_in(CONNECTION)),
            ("ReqSignOut", Event::ReqSignOut { connection: CONNECTION, request: 2 }),
            (
                "SynSessionsEnded",
                Event::SynSessionsEnded { user: USER, sessions: vec![SESSION], refusal: Refusal::SessionEnded },
            ),
            ("SynAccountClosed", Event::SynAccountClosed { user: USER, refusal: Refusal::SessionEnded }),
            ("ResSignIn", Event::ResSignIn { connection: CONNECTION, result: Ok(identity(USER)) }),
            ("ResSignIn, refused", Event::ResSignIn { connection: CONNECTION, result: refused() }),
            ("ReqMatch", req_match()),
            (
                "ReqMatch, unknown domain",
                Event::ReqMatch { connection: CONNECTION, request: 2, domain: "chess".into() },
            ),
            ("ReqCancelMatch", Event::ReqCancelMatch { connection: CONNECTION, request: 3 }),
            ("ReqRejoin", Event::ReqRejoin { connection: CONNECTION, request: 4 }),
            ("SynMatchState", Event::SynMatchState { user: USER, ticket: 1, state: MatchState::Searching(state) }),
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
            let state = match (world.service.phase_name(USER), world.service.connection_name(CONNECTION)) {
                ("absent", connection) => connection,
                (phase, _) => phase,
            };
            table::cell(state, &effects)
        },
    );
}
