//! One user at a lobby, in each state that there is, and what is told to the user.

use std::collections::BTreeMap;

use scenehost_core::auth::account::Tokens;
use scenehost_core::auth::{Credential, Identity, Request};
use scenehost_core::chat::Ask;
use scenehost_core::db::{self, Asker, Caller, Entered, News};
use scenehost_core::lobby::{Event, Lobby, MatchingAsk};
use scenehost_core::matching::domain::Domain;
use scenehost_core::message::{EndReason, Entry, Found, Notice, SceneEnded, ToUser};
use scenehost_core::party::{self, Party};
use scenehost_core::profile::{self, Profile};
use scenehost_core::record::UserRecord;
use scenehost_core::token::Secret;
use scenehost_core::{AllocationId, ConnectionId, DomainName, Message, PartyId, SceneId, SessionId, Time, UserId};

use crate::table::short;
use crate::world::World;

pub const CONNECTION: ConnectionId = ConnectionId(1);
pub const USER: UserId = UserId(10);
pub const SESSION: SessionId = SessionId(50);
pub const SCENE: SceneId = SceneId(100);
pub const ALLOCATION: AllocationId = AllocationId(200);
pub const GRACE_MS: u64 = 30_000;

pub fn domain() -> DomainName {
    DomainName::from("gomoku")
}

/// The rules of matching.
pub fn rules() -> Domain {
    Domain { wait_ms_max: 60_000, ..Domain::new("gomoku".into(), 2, 2) }
}

pub fn lobby() -> World<Lobby> {
    World::new(Lobby::new(BTreeMap::from([(domain(), rules())]), GRACE_MS))
}

pub fn sign_in(connection: ConnectionId) -> Event {
    sign_in_to_resume(connection, None)
}

pub fn sign_in_to_resume(connection: ConnectionId, resume: Option<u32>) -> Event {
    let credential = Credential::Session("token".to_owned());
    let sign_in = Box::new(Request::SignIn { credential, name: String::new(), device: String::new() });
    Event::ReqSignIn { connection, request: 1, sign_in, resume }
}

pub fn identity(user: UserId) -> Box<Identity> {
    let record = UserRecord { name: "Ada".to_owned(), created: Time(1) };
    let token = || "token".to_owned();
    let tokens = Tokens { session: token(), session_expires: Time(9), refresh: token(), refresh_expires: Time(99) };
    Box::new(Identity { user, record, session: SESSION, tokens, created: false })
}

pub fn entered() -> Box<Entered> {
    let profile = Profile { name: "Ada".to_owned(), ..Profile::default() };
    Box::new(Entered { profile, ..Entered::default() })
}

/// Db has told what the lobby has to know of the user who comes in.
pub fn res_enter(connection: ConnectionId, user: UserId) -> Event {
    Event::ResEnter { user, connection: Some(connection), result: Ok(entered()) }
}

pub fn signed_in_on(world: &mut World<Lobby>, connection: ConnectionId, user: UserId) {
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
pub fn numbered(messages: &[Message], connection: ConnectionId) -> Vec<(u32, u32, String)> {
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

pub fn is_resumed(told: &[Message]) -> bool {
    let resumed = |message: &Message| matches!(message, Message::User(ToUser { notice: Notice::ResSignIn(signed_in), .. }) if signed_in.resumed);
    told.iter().any(resumed)
}

pub fn req_match() -> Event {
    Event::ReqMatch { connection: CONNECTION, request: 2, domain: domain(), wish: None }
}

pub fn req_matching(ask: MatchingAsk) -> Event {
    Event::ReqMatching { connection: CONNECTION, request: 8, ask }
}

/// A match that waits to be accepted.
pub fn found() -> Found {
    Found { domain: domain(), players: 2, accepted: 0, you_accepted: false, left_ms: 10_000 }
}

/// A party of the user alone.
pub fn party() -> Party {
    let members = vec![party::Member { user: USER, name: "Ada".to_owned(), data: String::new() }];
    let invites = BTreeMap::new();
    let code = "BCDFGH".to_owned();
    Party { code, leader: USER, members, invites, data: String::new(), version: 1 }
}

pub fn syn_party() -> Event {
    let change = party::Change::Created;
    Event::SynParty { party: PartyId(5), now: Some(Box::new(party())), change, about: USER }
}

pub fn req_chat(ask: Ask) -> Event {
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

pub fn req_db(request: u32) -> Event {
    let what = Box::new(db::Request::Profile(profile::Request::Show(vec![USER])));
    Event::ReqDb { connection: CONNECTION, request, what }
}

pub fn news() -> Box<News> {
    Box::new(News::Storage(scenehost_core::storage::News { game: "gomoku".into(), keys: vec!["best".to_owned()] }))
}

/// The lobby's number for what it has just asked of Db.
pub fn number_of(told: &[Message]) -> u64 {
    let number = told.iter().find_map(|message| match message {
        Message::Db(db::Event::Req { asker: Asker::User { user: USER, number }, caller, .. }) => {
            assert_eq!(*caller, Caller::User(USER));
            Some(*number)
        }
        _ => None,
    });
    number.unwrap_or_else(|| panic!("nothing is asked of Db: {told:?}"))
}
