//! Presence: what friends are told of each other, and how often.

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use scenehost_core::auth::account::Tokens;
use scenehost_core::auth::{Credential, Identity, Request};
use scenehost_core::db::{self, Answer, Asker, Entered, News};
use scenehost_core::friends::{self, Act, Change, Person, Which};
use scenehost_core::guild;
use scenehost_core::lobby::{CHANGES_PER_MINUTE, Event, Lobby, PRESENCE_DELAY_MS, PRESENCE_MS_MIN, Presence};
use scenehost_core::matching::domain::Domain;
use scenehost_core::message::{EndReason, Entry, Notice, SceneEnded, ToUser};
use scenehost_core::profile::Profile;
use scenehost_core::record::UserRecord;
use scenehost_core::token::Secret;
use scenehost_core::{ConnectionId, DomainName, GuildId, Message, Refusal, SceneId, SessionId, Time, UserId};

use crate::world::World;

const ADA: UserId = UserId(1);
const BOB: UserId = UserId(2);
const CY: UserId = UserId(3);
const GRACE_MS: u64 = 30_000;

fn domain() -> DomainName {
    DomainName::from("gomoku")
}

fn connection(user: UserId) -> ConnectionId {
    ConnectionId(user.0)
}

fn sign_in(world: &mut World<Lobby>, user: UserId, over: ConnectionId, resume: Option<u32>, friends: &[UserId]) {
    let credential = Credential::Session("token".to_owned());
    let sign_in = Box::new(Request::SignIn { credential, name: String::new(), device: String::new() });
    world.tell(Event::Opened { connection: over });
    world.tell(Event::ReqSignIn { connection: over, request: 1, sign_in, resume });
    let record = UserRecord { name: "Ada".to_owned(), created: Time(1) };
    let token = || "token".to_owned();
    let tokens = Tokens { session: token(), session_expires: Time(9), refresh: token(), refresh_expires: Time(99) };
    let identity = Identity { user, record, session: SessionId(user.0), tokens, created: false };
    world.tell(Event::ResSignIn { connection: over, result: Ok(Box::new(identity)) });
    let profile = Profile { name: "Ada".to_owned(), ..Profile::default() };
    let friends = friends.iter().copied().collect();
    let entered = Entered { profile, friends, ..Entered::default() };
    world.tell(Event::ResEnter { user, connection: Some(over), result: Ok(Box::new(entered)) });
}

/// Ada and Bob are friends and both here; Ada knows that.
fn ada_and_bob() -> World<Lobby> {
    let mut world = World::new(Lobby::new(BTreeMap::from([(domain(), Domain::new("gomoku".into(), 2, 2))]), GRACE_MS));
    sign_in(&mut world, ADA, connection(ADA), None, &[BOB]);
    sign_in(&mut world, BOB, connection(BOB), None, &[ADA]);
    assert_eq!(hears(&mut world), [(BOB, Presence::Online)]);
    world
}

/// What a connection was told of others, frame by frame.
fn frames(messages: &[Message], over: ConnectionId) -> Vec<Vec<(UserId, Presence)>> {
    let frames = messages.iter().filter_map(|message| match message {
        Message::User(ToUser { connection, notice: Notice::SynPresence(told), .. }) if *connection == over => {
            Some(told.clone())
        }
        _ => None,
    });
    frames.collect()
}

/// What Ada hears in the next seconds.
fn hears(world: &mut World<Lobby>) -> Vec<(UserId, Presence)> {
    frames(&world.pass_ms(PRESENCE_DELAY_MS + PRESENCE_MS_MIN), connection(ADA)).concat()
}

fn news(user: UserId, other: UserId, change: Change) -> Event {
    let news = friends::News::Changed { user: other, name: String::new(), change };
    Event::SynNews { user, news: Box::new(News::Friends(news)) }
}

fn search(world: &mut World<Lobby>) {
    world.tell(Event::ReqMatch { connection: connection(BOB), request: 2, domain: domain(), wish: None });
}

#[test]
fn friends_hear_of_a_search_a_game_a_drop_and_the_end() {
    let mut world = ada_and_bob();
    search(&mut world);
    assert_eq!(hears(&mut world), [(BOB, Presence::Searching)]);
    let secret = Secret::draw(&mut ChaCha20Rng::seed_from_u64(1));
    let entry = Entry {
        scene: SceneId(5),
        allocation: None,
        domain: domain(),
        url: String::new(),
        secret,
        expires_in_ms: 30_000,
    };
    world.tell(Event::ResMatch { user: BOB, ticket: 1, result: Ok(entry) });
    assert_eq!(hears(&mut world), [(BOB, Presence::InGame(domain()))]);
    world.tell(Event::Closed { connection: connection(BOB), left: false });
    assert_eq!(hears(&mut world), [], "still in the game");
    let ended = SceneEnded { scene: SceneId(5), reason: EndReason::Finished, results: Vec::new() };
    world.tell(Event::SynSceneEnded { user: BOB, allocation: None, ended });
    assert_eq!(hears(&mut world), [(BOB, Presence::Away)]);
    let told = world.pass_ms(GRACE_MS + PRESENCE_DELAY_MS);
    assert_eq!(frames(&told, connection(ADA)), [[(BOB, Presence::Offline)]]);
    sign_in(&mut world, BOB, ConnectionId(10), None, &[ADA]);
    assert_eq!(hears(&mut world), [(BOB, Presence::Online)]);
}

#[test]
fn a_friend_whose_connection_comes_and_goes_costs_a_frame_a_second_at_most() {
    let mut world = ada_and_bob();
    let mut told = Vec::new();
    let mut over = connection(BOB);
    let begun = world.now;
    for round in 0..100 {
        world.tell(Event::Closed { connection: over, left: true });
        told.extend(world.pass_ms(30 + round * 53 % 170));
        over = ConnectionId(100 + round);
        sign_in(&mut world, BOB, over, None, &[ADA]);
        told.extend(world.pass_ms(30 + round * 31 % 170));
    }
    let (frames_told, seconds) = (frames(&told, connection(ADA)).len() as u64, world.now.ms_since(begun) / 1_000);
    assert!((5..=seconds + 1).contains(&frames_told), "{frames_told} in {seconds} s");
    hears(&mut world);
    world.tell(Event::Closed { connection: over, left: true });
    assert_eq!(hears(&mut world), [(BOB, Presence::Offline)], "the last word is true");
}

#[test]
fn only_friends_hear_and_a_block_counts_at_once() {
    let mut world = ada_and_bob();
    sign_in(&mut world, CY, connection(CY), None, &[]);
    search(&mut world);
    let told = world.pass_ms(2_000);
    assert_eq!(frames(&told, connection(CY)), [] as [Vec<(UserId, Presence)>; 0]);
    // Bob blocks Ada; until she has heard that he is no friend any more, he looks offline.
    world.tell(news(BOB, ADA, Change::Blocked));
    world.tell(Event::ReqCancelMatch { connection: connection(BOB), request: 3 });
    world.tell(Event::ResCancelMatch { user: BOB, ticket: 1, result: Ok(()) });
    assert_eq!(hears(&mut world), []);
    world.tell(news(ADA, BOB, Change::Removed));
    search(&mut world);
    assert_eq!(hears(&mut world), []);
    // A friendship that begins shows what the friend is doing.
    world.tell(news(BOB, ADA, Change::Unblocked));
    world.tell(news(ADA, BOB, Change::Friends));
    world.tell(news(BOB, ADA, Change::Friends));
    assert_eq!(hears(&mut world), [(BOB, Presence::Searching)]);
}

#[test]
fn who_appears_offline_looks_like_it_until_they_do_not() {
    let mut world = ada_and_bob();
    let appear =
        |offline| Event::SynNews { user: BOB, news: Box::new(News::Friends(friends::News::AppearsOffline(offline))) };
    world.tell(appear(true));
    assert_eq!(hears(&mut world), [(BOB, Presence::Offline)]);
    search(&mut world);
    assert_eq!(hears(&mut world), []);
    world.tell(appear(false));
    assert_eq!(hears(&mut world), [(BOB, Presence::Searching)]);
}

#[test]
fn what_changes_during_a_drop_is_told_on_return_as_it_is_then() {
    let mut world = ada_and_bob();
    world.tell(Event::Closed { connection: connection(ADA), left: false });
    search(&mut world);
    world.pass_ms(5_000);
    world.tell(Event::ReqCancelMatch { connection: connection(BOB), request: 3 });
    world.tell(Event::ResCancelMatch { user: BOB, ticket: 1, result: Ok(()) });
    search(&mut world);
    world.pass_ms(5_000);
    let over = ConnectionId(10);
    sign_in(&mut world, ADA, over, Some(1), &[BOB]);
    assert_eq!(frames(&world.pass_ms(2_000), over), [[(BOB, Presence::Searching)]]);
}

#[test]
fn the_list_of_friends_says_what_they_do_and_changes_are_told_from_then_on() {
    let mut world = ada_and_bob();
    search(&mut world);
    let over = ConnectionId(10);
    sign_in(&mut world, ADA, over, None, &[BOB, CY]);
    let what = Box::new(db::Request::Friends(friends::Request::List(Which::Friends)));
    let told = world.tell(Event::ReqDb { connection: over, request: 2, what });
    let number = told.iter().find_map(|message| match message {
        Message::Db(db::Event::Req { asker: Asker::User { number, .. }, .. }) => Some(*number),
        _ => None,
    });
    let person = |user| Person { user, name: String::new(), since: Time(1), presence: None };
    let listed =
        friends::Answer { which: Which::Friends, people: vec![person(BOB), person(CY)], appears_offline: false };
    let result = Ok(Box::new(Answer::Friends(listed)));
    let told = world.tell(Event::ResDb { user: ADA, number: number.unwrap(), result });
    let [Message::User(ToUser { notice: Notice::Answer(answer), .. })] = &told[..] else { panic!("{told:?}") };
    let Answer::Friends(listed) = &**answer else { panic!("{answer:?}") };
    let presences: Vec<_> = listed.people.iter().map(|person| person.presence.clone().unwrap()).collect();
    assert_eq!(presences, [Presence::Searching, Presence::Offline]);
    assert_eq!(frames(&world.pass_ms(2_000), over), [] as [Vec<(UserId, Presence)>; 0], "the client knows it");
    world.tell(Event::Closed { connection: connection(BOB), left: false });
    assert_eq!(frames(&world.pass_ms(2_000), over), [[(BOB, Presence::Away)]]);
}

#[test]
fn nobody_fills_the_lines_of_others_by_asking_and_taking_back_again_and_again() {
    let mut world = ada_and_bob();
    let ask = |world: &mut World<Lobby>, user, what| {
        let told = world.tell(Event::ReqDb { connection: connection(user), request: 5, what: Box::new(what) });
        match &told[..] {
            [Message::Db(db::Event::Req { asker: Asker::User { number, .. }, .. })] => {
                world.tell(Event::ResDb { user, number: *number, result: Ok(Box::new(Answer::Done)) });
                None
            }
            [Message::User(ToUser { notice: Notice::Refused(refusal), .. })] => Some(refusal.clone()),
            told => panic!("{told:?}"),
        }
    };
    let friends = |act| db::Request::Friends(friends::Request::Do(act, CY));
    let guild = |what: fn(GuildId) -> guild::Request| db::Request::Guild(what(GuildId(1)));
    let changes = [
        friends(Act::Ask),
        friends(Act::Withdraw),
        guild(guild::Request::Ask),
        guild(guild::Request::Withdraw),
        db::Request::Friends(friends::Request::AppearOffline(true)),
    ];
    for change in changes.iter().cycle().take(CHANGES_PER_MINUTE as usize) {
        assert_eq!(ask(&mut world, ADA, change.clone()), None);
    }
    for change in changes.clone() {
        let refusal = ask(&mut world, ADA, change);
        assert!(matches!(refusal, Some(Refusal::TooOften { ms: 2_000, .. })), "{refusal:?}");
    }
    for look in [db::Request::Friends(friends::Request::List(Which::Friends)), db::Request::Guild(guild::Request::Mine)]
    {
        assert_eq!(ask(&mut world, ADA, look), None, "who only looks tells nobody");
    }
    assert_eq!(ask(&mut world, BOB, friends(Act::Ask)), None, "others have not asked");
    world.pass_ms(2_000);
    assert_eq!(ask(&mut world, ADA, friends(Act::Ask)), None);
    assert!(ask(&mut world, ADA, friends(Act::Withdraw)).is_some());
}
