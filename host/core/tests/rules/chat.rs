//! Chat: rooms of the lobby with what drops out of them, direct messages and guilds as they are kept, who may speak,
//! and the operator's moderation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use scenehost_core::auth::account::Tokens;
use scenehost_core::auth::{Credential, Identity, Request as SignIn};
use scenehost_core::chat::{
    Answer, Ask, Channel, ChatMessage, KEPT_MAX, Limits, Moderation, News, OnFailure, ROOM_KEPT_MAX, Request,
    TALKS_MAX, To, Verdict,
};
use scenehost_core::consistency;
use scenehost_core::db::{self, Caller, Entered, Rules};
use scenehost_core::guild::{self, Entry, Membership, Role};
use scenehost_core::lobby::{Event, Lobby, MODERATED_AT_ONCE_MAX};
use scenehost_core::message::Notice;
use scenehost_core::record::UserRecord;
use scenehost_core::{ConnectionId, GuildId, Message, Refusal, RoomName, SessionId, Time, UserId};

use crate::desk::Desk;
use crate::table::{short, variant};
use crate::world::World;

const GRACE_MS: u64 = 30_000;

fn limits() -> Limits {
    let rooms = ["lobby", "trade", "a", "b", "c"].map(RoomName::from);
    Limits { rooms: BTreeSet::from(rooms), ..Limits::default() }
}

fn moderated(on_failure: OnFailure) -> Limits {
    let url = "http://127.0.0.1:1/".to_owned();
    Limits { moderation: Some(Moderation { url, timeout_ms: 1_000, on_failure }), ..limits() }
}

pub fn room(name: &str) -> To {
    To::Room(name.into())
}

/// What the lobby knows of a user.
fn entered() -> Entered {
    Entered::default()
}

/// A lobby with users 1 to `count`, each on the connection of the same number, and in the room "lobby".
fn lobby(limits: Limits, count: u64) -> World<Lobby> {
    let mut world = World::new(Lobby::new(BTreeMap::new(), GRACE_MS).with_chat(limits));
    for user in 1..=count {
        sign_in(&mut world, user, user, None, entered());
        ask(&mut world, user, Ask::Join("lobby".into()));
    }
    world
}

fn sign_in(
    world: &mut World<Lobby>,
    user: u64,
    connection: u64,
    resume: Option<u32>,
    entered: Entered,
) -> Vec<Message> {
    let connection = ConnectionId(connection);
    world.tell(Event::Opened { connection });
    let credential = Credential::Session("token".to_owned());
    let sign_in = Box::new(SignIn::SignIn { credential, name: String::new(), device: String::new() });
    world.tell(Event::ReqSignIn { connection, request: 1, sign_in, resume });
    let record = UserRecord { name: String::new(), created: Time(1) };
    let token = || "token".to_owned();
    let tokens = Tokens { session: token(), session_expires: Time(9), refresh: token(), refresh_expires: Time(99) };
    let identity = Identity { user: UserId(user), record, session: SessionId(user), tokens, created: false };
    let told = world.tell(Event::ResSignIn { connection, result: Ok(Box::new(identity)) });
    let entered = Event::ResEnter { user: UserId(user), connection: Some(connection), result: Ok(Box::new(entered)) };
    told.into_iter().chain(world.tell(entered)).collect()
}

/// Asks over the connection of the user's own number.
fn ask(world: &mut World<Lobby>, user: u64, ask: Ask) -> Vec<Message> {
    world.tell(Event::ReqChat { connection: ConnectionId(user), request: 7, ask })
}

fn say(world: &mut World<Lobby>, user: u64, to: To, text: &str) -> Vec<Message> {
    // Slowly enough for everybody's rate.
    world.pass_ms(1_000);
    ask(world, user, Ask::Say(to, text.to_owned()))
}

/// The answer of the lobby.
fn answer(told: &[Message]) -> Result<Answer, Refusal> {
    let of_user = |message: &Message| match message {
        Message::User(to_user) if to_user.request == 7 => Some(to_user.notice.clone()),
        _ => None,
    };
    match told.iter().find_map(of_user) {
        Some(Notice::Answer(answer)) => match Arc::unwrap_or_clone(answer) {
            db::Answer::Chat(answer) => Ok(answer),
            other => panic!("{other:?}"),
        },
        Some(Notice::Refused(refusal)) => Err(refusal),
        other => panic!("{other:?}: {told:?}"),
    }
}

fn refused(told: &[Message]) -> String {
    variant(&answer(told).expect_err("it should have been refused"))
}

/// Who hears something said in a room, and what.
fn heard(told: &[Message]) -> (Vec<u64>, Option<Arc<ChatMessage>>) {
    let to_users = told.iter().find_map(|message| match message {
        Message::Users(to_users) => Some(to_users),
        _ => None,
    });
    let Some(to_users) = to_users else { return (Vec::new(), None) };
    let Notice::News(news) = &to_users.notice else { panic!("{to_users:?}") };
    let db::News::Chat(News::Said(Channel::Room(_), message)) = &**news else { panic!("{news:?}") };
    (to_users.connections.iter().map(|it| it.0).collect(), Some(Arc::clone(message)))
}

pub fn texts(answer: Result<Answer, Refusal>) -> Vec<String> {
    match answer {
        Ok(Answer::Messages(_, messages)) => messages.iter().map(|message| message.text.clone()).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_said_in_a_room_goes_to_all_who_are_in_it_and_answers_who_said_it() {
    let mut world = lobby(limits(), 4);
    ask(&mut world, 4, Ask::Leave("lobby".into()));
    let told = say(&mut world, 1, room("lobby"), "  hello ");
    let (who, message) = heard(&told);
    assert_eq!(who, [2, 3]);
    let message = message.unwrap();
    assert_eq!((message.id, message.from, message.text.as_str()), (1, UserId(1), "hello"));
    assert_eq!(answer(&told), Ok(Answer::Said(Channel::Room("lobby".into()), message)));
    let joined = answer(&ask(&mut world, 4, Ask::Join("lobby".into())));
    assert_eq!(joined, Ok(Answer::Joined { room: "lobby".into(), last_id: 1, members: 4 }));
    assert_eq!(refused(&say(&mut world, 1, room("trade"), "hello")), "OutOfOrder", "not in it");
}

#[test]
fn a_room_keeps_its_last_messages_and_shows_them_in_pages() {
    let mut world = lobby(limits(), 2);
    for number in 1..=60 {
        say(&mut world, 1, room("lobby"), &number.to_string());
    }
    let mut history = |before, limit| texts(answer(&ask(&mut world, 2, Ask::History(room("lobby"), before, limit))));
    let numbers = |range: std::ops::RangeInclusive<u64>| range.map(|it| it.to_string()).collect::<Vec<_>>();
    assert_eq!(history(0, 3), numbers(58..=60));
    assert_eq!(history(58, 3), numbers(55..=57));
    assert_eq!(history(0, 0), numbers(29..=60));
    assert_eq!(history(61 - ROOM_KEPT_MAX as u64 + 2, 32), numbers(11..=12), "the older ones are gone");
    assert_eq!(history(1, 32), [] as [&str; 0]);
    let told = ask(&mut world, 2, Ask::History(room("lobby"), 0, 33));
    assert_eq!(refused(&told), "Invalid");
}

#[test]
fn who_has_dropped_misses_the_room_and_is_told_how_far_it_is() {
    let mut world = lobby(limits(), 2);
    say(&mut world, 2, room("lobby"), "one");
    world.tell(Event::Closed { connection: ConnectionId(1), left: false });
    for _ in 0..3 {
        assert_eq!(heard(&say(&mut world, 2, room("lobby"), "more")).0, [] as [u64; 0]);
    }
    let told = sign_in(&mut world, 1, 11, Some(1), entered());
    let rooms = told.iter().find_map(|message| match message {
        Message::User(to_user) => match &to_user.notice {
            Notice::News(news) => Some((to_user.seq, (**news).clone())),
            _ => None,
        },
        _ => None,
    });
    let Some((2, db::News::Chat(News::Rooms(rooms)))) = rooms else { panic!("{told:?}") };
    assert_eq!(rooms, [("lobby".into(), 4)]);
    assert_eq!(heard(&say(&mut world, 2, room("lobby"), "again")).0, [11]);
}

#[test]
fn chatter_does_not_push_out_what_must_not_be_missed() {
    let mut world = lobby(limits(), 2);
    let news = guild::News {
        guild: GuildId(1),
        name: "Owls".to_owned(),
        version: 1,
        what: guild::What::Invited,
        about: UserId(1),
        role: None,
    };
    world.tell(Event::SynNews { user: UserId(1), news: Box::new(db::News::Guild(news)) });
    // Nothing of it is acknowledged.
    for _ in 0..200 {
        say(&mut world, 2, room("lobby"), "chatter");
    }
    world.tell(Event::Closed { connection: ConnectionId(1), left: false });
    let told = sign_in(&mut world, 1, 11, Some(1), entered());
    assert!(told.iter().any(|message| short(message) == "User News"), "it comes again: {told:?}");
    let resumed = |message: &Message| format!("{message:?}").contains("resumed: true");
    assert!(told.iter().any(resumed));
}

#[test]
fn who_leaves_or_begins_anew_is_in_no_room() {
    for resume in [None, Some(500)] {
        let mut world = lobby(limits(), 2);
        world.tell(Event::Closed { connection: ConnectionId(1), left: false });
        sign_in(&mut world, 1, 11, resume, entered());
        assert_eq!(heard(&say(&mut world, 2, room("lobby"), "hello")).0, [] as [u64; 0]);
    }
    let mut world = lobby(limits(), 2);
    world.tell(Event::Closed { connection: ConnectionId(1), left: true });
    let joined = answer(&ask(&mut world, 2, Ask::Join("lobby".into())));
    assert!(matches!(joined, Ok(Answer::Joined { members: 1, .. })), "the place is free at once: {joined:?}");
}

#[test]
fn rooms_and_their_users_have_limits() {
    let mut world = lobby(Limits { room_members: 2, ..limits() }, 3);
    assert_eq!(refused(&ask(&mut world, 3, Ask::Join("lobby".into()))), "Overloaded", "two are in it");
    for name in ["trade", "a", "b"] {
        assert!(answer(&ask(&mut world, 1, Ask::Join(name.into()))).is_ok());
    }
    assert_eq!(refused(&ask(&mut world, 1, Ask::Join("c".into()))), "Busy");
    assert!(answer(&ask(&mut world, 1, Ask::Join("lobby".into()))).is_ok(), "being there twice is once");
    ask(&mut world, 1, Ask::Leave("a".into()));
    assert!(answer(&ask(&mut world, 1, Ask::Join("c".into()))).is_ok());
}

#[test]
fn nobody_says_more_than_the_rate_allows() {
    let mut world = lobby(limits(), 1);
    let said = |world: &mut World<Lobby>| answer(&ask(world, 1, Ask::Say(room("lobby"), "hello".to_owned())));
    for _ in 0..5 {
        assert!(said(&mut world).is_ok());
    }
    assert_eq!(said(&mut world), Err(Refusal::TooOften { what: "messages from you".into(), ms: 1_000 }));
    world.pass_ms(1_000);
    assert!(said(&mut world).is_ok());
    assert!(said(&mut world).is_err());
}

#[test]
fn bad_requests_are_refused_and_nobody_hears_of_them() {
    let long_name = "x".repeat(100_000);
    let cases = [
        (Ask::Say(room("lobby"), String::new()), "Invalid"),
        (Ask::Say(room("lobby"), " \t ".to_owned()), "Invalid"),
        (Ask::Say(room("lobby"), "x".repeat(501)), "Invalid"),
        (Ask::Say(room("lobby"), "x".repeat(1_000_000)), "Invalid"),
        (Ask::Say(room("lobby"), "a\nb".to_owned()), "Invalid"),
        (Ask::Say(room("lobby"), "a\u{1b}[2J".to_owned()), "Invalid"),
        (Ask::Say(room("nowhere"), "hello".to_owned()), "NotFound"),
        (Ask::Say(room(&long_name), "hello".to_owned()), "NotFound"),
        (Ask::Say(To::Direct(UserId(1)), "hello".to_owned()), "Invalid"),
        (Ask::Say(To::Guild, "hello".to_owned()), "NotFound"),
        (Ask::Join("nowhere".into()), "NotFound"),
        (Ask::Join(long_name.as_str().into()), "NotFound"),
        (Ask::Leave("nowhere".into()), "NotFound"),
        (Ask::History(room("trade"), 0, 1), "OutOfOrder"),
        (Ask::History(room("lobby"), 0, usize::MAX), "Invalid"),
        (Ask::Report(room("lobby"), 1, String::new()), "NotFound"),
        (Ask::Report(room("trade"), 1, String::new()), "OutOfOrder"),
    ];
    let mut world = lobby(limits(), 2);
    for (wrong, expected) in cases {
        let what = format!("{wrong:.99?}");
        let told = ask(&mut world, 1, wrong);
        assert_eq!(told.len(), 1, "{what}");
        let refusal = answer(&told).expect_err(&what);
        assert_eq!(variant(&refusal), expected, "{what}");
        assert!(refusal.to_string().len() < 200, "{what}");
    }
}

#[test]
fn who_is_muted_or_unknown_says_nothing() {
    let mut world = lobby(limits(), 2);
    let until = world.now.plus_ms(60_000);
    let muted = |until| Event::SynNews { user: UserId(1), news: Box::new(db::News::Chat(News::Muted(until))) };
    world.tell(muted(Some(until)));
    assert_eq!(refused(&say(&mut world, 1, room("lobby"), "hello")), "Forbidden");
    world.tell(muted(None));
    assert!(answer(&say(&mut world, 1, room("lobby"), "hello")).is_ok());
    world.tell(muted(Some(until)));
    world.pass_ms(60_000);
    assert!(answer(&say(&mut world, 1, room("lobby"), "hello")).is_ok(), "it is over");

    let of_old = Entered { muted_until: Some(world.now.plus_ms(10_000)), ..entered() };
    sign_in(&mut world, 3, 3, None, of_old);
    ask(&mut world, 3, Ask::Join("lobby".into()));
    assert_eq!(refused(&say(&mut world, 3, room("lobby"), "hello")), "Forbidden", "muted before");
}

#[test]
fn who_is_blocked_is_not_heard_and_does_not_notice() {
    let mut world = lobby(limits(), 2);
    let blocks = Entered { blocked: BTreeSet::from([UserId(1)]), ..entered() };
    sign_in(&mut world, 3, 3, None, blocks);
    ask(&mut world, 3, Ask::Join("lobby".into()));
    let told = say(&mut world, 1, room("lobby"), "hello");
    assert!(answer(&told).is_ok());
    assert_eq!(heard(&told).0, [2]);
    assert_eq!(texts(answer(&ask(&mut world, 2, Ask::History(room("lobby"), 0, 0)))), ["hello"]);
    assert_eq!(texts(answer(&ask(&mut world, 3, Ask::History(room("lobby"), 0, 0)))), [] as [&str; 0]);
    assert_eq!(refused(&say(&mut world, 3, To::Direct(UserId(1)), "hello")), "Forbidden", "unblock first");

    let message = ChatMessage { id: 1, from: UserId(1), name: String::new(), text: "psst".to_owned(), sent: Time(0) };
    let direct = || db::News::Chat(News::Said(Channel::Direct(UserId(1)), Arc::new(message.clone())));
    let told = |world: &mut World<Lobby>, user| {
        world.tell(Event::SynNews { user: UserId(user), news: Box::new(direct()) }).len()
    };
    assert_eq!((told(&mut world, 2), told(&mut world, 3)), (1, 0));

    ask(&mut world, 3, Ask::History(To::Direct(UserId(1)), 0, 0));
    let history = db::Answer::Chat(Answer::Messages(Channel::Direct(UserId(1)), vec![Arc::new(message.clone())]));
    let told = world.tell(Event::ResDb { user: UserId(3), number: 1, result: Ok(Box::new(history)) });
    assert_eq!(texts(answer(&told)), [] as [&str; 0]);
}

#[test]
fn what_is_kept_is_asked_of_db_in_the_users_name() {
    let in_guild = Entered { guild: Some(Membership { guild: GuildId(5), role: Role::Member }), ..entered() };
    let mut world = lobby(limits(), 1);
    sign_in(&mut world, 2, 2, None, in_guild);
    for to in [To::Direct(UserId(1)), To::Guild] {
        let told = say(&mut world, 2, to.clone(), "hello");
        let [Message::Db(db::Event::Req { caller: Caller::User(UserId(2)), request, .. })] = &told[..] else {
            panic!("{told:?}")
        };
        let expected = Request::Say { to, name: String::new(), text: "hello".to_owned() };
        assert_eq!(**request, db::Request::Chat(expected));
    }
}

/// The number with which the moderation is asked.
fn asked(told: &[Message]) -> u64 {
    match told {
        [Message::Moderate(moderate)] => moderate.number,
        told => panic!("{told:?}"),
    }
}

#[test]
fn the_moderation_lets_through_refuses_or_replaces() {
    let mut world = lobby(moderated(OnFailure::Refuse), 2);
    let mut verdict = |verdict: Verdict| {
        let number = asked(&say(&mut world, 1, room("lobby"), "hello"));
        let told = world.tell(Event::Moderated { number, verdict: Some(verdict.clone()) });
        assert_eq!(world.tell(Event::Moderated { number, verdict: Some(verdict) }), [], "once");
        let text = heard(&told).1.map(|message| message.text.clone());
        (text, answer(&told).err().map(|refusal| refusal.to_string()))
    };
    let allow = Verdict { allow: true, ..Verdict::default() };
    assert_eq!(verdict(allow.clone()), (Some("hello".to_owned()), None));
    let replaced = Verdict { text: Some("h***o".to_owned()), ..allow.clone() };
    assert_eq!(verdict(replaced), (Some("h***o".to_owned()), None));
    let because = |reason: &str| Verdict { reason: reason.to_owned(), ..Verdict::default() };
    let not_allowed = |reason: &str| (None, Some(format!("this message is not allowed{reason}")));
    assert_eq!(verdict(because("no links")), not_allowed(": no links"));
    assert_eq!(verdict(because("")), not_allowed(""));
    assert_eq!(verdict(because(&"x".repeat(201))), not_allowed(""), "what cannot be shown is not");
}

#[test]
fn who_is_muted_or_leaves_while_the_moderation_looks_says_nothing() {
    let allow = || Some(Verdict { allow: true, ..Verdict::default() });
    let mut world = lobby(moderated(OnFailure::Refuse), 2);
    let number = asked(&say(&mut world, 1, room("lobby"), "hello"));
    let news = Box::new(db::News::Chat(News::Muted(Some(world.now.plus_ms(60_000)))));
    world.tell(Event::SynNews { user: UserId(1), news });
    let told = world.tell(Event::Moderated { number, verdict: allow() });
    assert_eq!((refused(&told).as_str(), heard(&told).1), ("Forbidden", None));

    let number = asked(&say(&mut world, 2, room("lobby"), "hello"));
    ask(&mut world, 2, Ask::Leave("lobby".into()));
    let told = world.tell(Event::Moderated { number, verdict: allow() });
    assert_eq!((refused(&told).as_str(), heard(&told).1), ("OutOfOrder", None));
}

#[test]
fn what_the_moderation_says_in_a_messages_place_is_looked_at_too() {
    let mut world = lobby(moderated(OnFailure::Allow), 2);
    let number = asked(&say(&mut world, 1, room("lobby"), "hello"));
    let text = Some("x".repeat(501));
    let verdict = Some(Verdict { allow: true, text, reason: String::new() });
    let effects = world.step(Event::Moderated { number, verdict });
    assert_eq!(refused(&effects.messages), "Internal");
    assert_eq!(effects.faults.len(), 1, "operators hear of it");
}

#[test]
fn a_moderation_that_says_nothing_is_answered_for() {
    for (on_failure, is_said) in [(OnFailure::Allow, true), (OnFailure::Refuse, false)] {
        let mut world = lobby(moderated(on_failure), 2);
        let number = asked(&say(&mut world, 1, room("lobby"), "hello"));
        let told = world.tell(Event::Moderated { number, verdict: None });
        assert_eq!((answer(&told).is_ok(), heard(&told).1.is_some()), (is_said, is_said), "it has failed");
        let told = say(&mut world, 1, room("lobby"), "hello");
        let [Message::Moderate(moderate)] = &told[..] else { panic!("{told:?}") };
        assert_eq!(moderate.ask_until, world.now.plus_ms(1_000));
        assert_eq!(world.pass_ms(1_000 + 1_000), [], "asked at the last moment, it may take its time");
        let told = world.pass_ms(500);
        assert_eq!((answer(&told).is_ok(), heard(&told).1.is_some()), (is_said, is_said), "it is silent");
    }
}

#[test]
fn no_more_messages_wait_for_the_moderation_than_may() {
    let users = MODERATED_AT_ONCE_MAX as u64 / 4 + 1;
    let limits = Limits { messages: 10, ..moderated(OnFailure::Refuse) };
    let mut world = lobby(limits, users);
    for message in 0..MODERATED_AT_ONCE_MAX as u64 {
        asked(&ask(&mut world, message / 4 + 1, Ask::Say(room("lobby"), "hello".to_owned())));
    }
    let told = ask(&mut world, users, Ask::Say(room("lobby"), "hello".to_owned()));
    assert_eq!(refused(&told), "Overloaded");
}

#[test]
fn a_message_whose_user_is_gone_or_has_begun_anew_is_not_said() {
    let verdict = || Some(Verdict { allow: true, ..Verdict::default() });
    let mut world = lobby(moderated(OnFailure::Allow), 2);
    let number = asked(&say(&mut world, 1, room("lobby"), "hello"));
    world.tell(Event::Closed { connection: ConnectionId(1), left: true });
    assert_eq!(world.tell(Event::Moderated { number, verdict: verdict() }), []);

    let number = asked(&say(&mut world, 2, room("lobby"), "hello"));
    sign_in(&mut world, 2, 12, None, entered());
    assert_eq!(world.tell(Event::Moderated { number, verdict: verdict() }), []);

    let mut world = lobby(moderated(OnFailure::Allow), 2);
    let number = asked(&say(&mut world, 1, room("lobby"), "hello"));
    ask(&mut world, 1, Ask::Leave("lobby".into()));
    let told = world.tell(Event::Moderated { number, verdict: verdict() });
    assert_eq!((told.len(), refused(&told).as_str()), (1, "OutOfOrder"), "no longer in the room");
}

#[test]
fn a_report_takes_the_message_of_a_room_along_and_counts_as_one() {
    let mut world = lobby(limits(), 2);
    let (_, message) = heard(&say(&mut world, 1, room("lobby"), "rude"));
    for _ in 0..5 {
        let told = ask(&mut world, 2, Ask::Report(room("lobby"), 1, "so rude".to_owned()));
        let [Message::Db(db::Event::Req { caller: Caller::User(UserId(2)), request, .. })] = &told[..] else {
            panic!("{told:?}")
        };
        let (of, message, reason) = (room("lobby"), message.clone(), "so rude".to_owned());
        assert_eq!(**request, db::Request::Chat(Request::Report { of, id: 1, message, reason }));
    }
    assert_eq!(refused(&ask(&mut world, 2, Ask::Report(room("lobby"), 1, String::new()))), "TooOften");
}

// What Db keeps.

pub fn desk() -> Desk {
    let mut desk = Desk::new(Rules::default());
    for user in 1..5 {
        desk.ask(Caller::Host, db::Request::Enter(UserId(user), format!("user {user}"))).unwrap();
    }
    desk
}

pub fn db_say(desk: &mut Desk, user: u64, to: To, text: &str) -> Result<Answer, Refusal> {
    let say = Request::Say { to, name: format!("user {user}"), text: text.to_owned() };
    chat(desk.ask_as(user, db::Request::Chat(say)))
}

pub fn db_history(desk: &mut Desk, user: u64, of: To, before: u64) -> Result<Answer, Refusal> {
    chat(desk.ask_as(user, db::Request::Chat(Request::History { of, before, limit: 0 })))
}

pub fn chat(answer: Result<db::Answer, Refusal>) -> Result<Answer, Refusal> {
    answer.map(|answer| match answer {
        db::Answer::Chat(answer) => answer,
        other => panic!("{other:?}"),
    })
}

pub fn in_order(desk: &Desk) {
    let all = desk.store.iter().map(|(key, value)| Ok::<_, ()>((key.clone(), value.clone())));
    let report = consistency::check(all, |key| Ok(desk.store.get(key).cloned())).unwrap();
    assert_eq!(report.problems, [] as [&str; 0]);
}

#[test]
fn a_direct_message_is_kept_for_both_and_each_sees_it_as_with_the_other() {
    let mut desk = desk();
    let said = db_say(&mut desk, 1, To::Direct(UserId(2)), "hello").unwrap();
    let Answer::Said(Channel::Direct(UserId(2)), message) = said else { panic!("{said:?}") };
    let news = db::News::Chat(News::Said(Channel::Direct(UserId(1)), Arc::clone(&message)));
    assert_eq!(desk.news, [(UserId(2), news)]);
    desk.crash();
    db_say(&mut desk, 2, To::Direct(UserId(1)), "hi").unwrap();
    for (user, other) in [(1, 2), (2, 1)] {
        let history = db_history(&mut desk, user, To::Direct(UserId(other)), 0);
        assert!(matches!(&history, Ok(Answer::Messages(Channel::Direct(of), _)) if of.0 == other));
        assert_eq!(texts(history), ["hello", "hi"]);
    }
    assert_eq!(texts(db_history(&mut desk, 3, To::Direct(UserId(1)), 0)), [] as [&str; 0]);
    assert!(matches!(db_say(&mut desk, 1, To::Direct(UserId(99)), "hello"), Err(Refusal::NotFound(_))));
    in_order(&desk);
}

#[test]
fn strangers_who_write_push_out_each_other_and_no_talk_in_which_the_user_takes_part() {
    let mut desk = desk();
    let strangers = 1_000..1_000 + TALKS_MAX as u64;
    db_say(&mut desk, 2, To::Direct(UserId(1)), "hello").unwrap();
    db_say(&mut desk, 1, To::Direct(UserId(2)), "hi").unwrap();
    for stranger in strangers {
        desk.world.pass_ms(1_000);
        db_say(&mut desk, stranger, To::Direct(UserId(1)), "buy this").unwrap();
    }
    assert_eq!(texts(db_history(&mut desk, 1, To::Direct(UserId(2)), 0)), ["hello", "hi"]);
    assert_eq!(texts(db_history(&mut desk, 1, To::Direct(UserId(1_000)), 0)), [] as [&str; 0], "the first of them");
    assert_eq!(texts(db_history(&mut desk, 1, To::Direct(UserId(1_001)), 0)), ["buy this"]);
    in_order(&desk);
}

#[test]
fn of_talks_in_which_the_user_takes_part_the_one_that_rests_for_the_longest_time_goes() {
    let mut desk = desk();
    let others = 1_000..1_000 + TALKS_MAX as u64;
    for other in others {
        desk.ask(Caller::Host, db::Request::Enter(UserId(other), String::new())).unwrap();
        desk.world.pass_ms(1_000);
        db_say(&mut desk, 1, To::Direct(UserId(other)), "hello").unwrap();
    }
    desk.world.pass_ms(3_600_000);
    db_say(&mut desk, 1, To::Direct(UserId(1_000)), "again").unwrap();
    db_say(&mut desk, 1, To::Direct(UserId(2)), "one more").unwrap();
    assert_eq!(texts(db_history(&mut desk, 1, To::Direct(UserId(1_000)), 0)), ["hello", "again"]);
    assert_eq!(texts(db_history(&mut desk, 1, To::Direct(UserId(1_001)), 0)), [] as [&str; 0]);
    in_order(&desk);
}

#[test]
fn a_channel_keeps_its_newest_messages_only_in_pages() {
    let mut desk = desk();
    for number in 1..=100 {
        db_say(&mut desk, 1, To::Direct(UserId(2)), &number.to_string()).unwrap();
    }
    let records = desk.store.keys().filter(|key| key.starts_with("chat/")).count() as u64;
    assert_eq!(records, KEPT_MAX + 1);
    desk.crash();
    let mut all = Vec::new();
    let mut before = 0;
    loop {
        let Ok(Answer::Messages(_, page)) = db_history(&mut desk, 2, To::Direct(UserId(1)), before) else { panic!() };
        let Some(first) = page.first() else { break };
        before = first.id;
        all.splice(0..0, page.iter().map(|message| message.id));
    }
    assert_eq!(all, (101 - KEPT_MAX..=100).collect::<Vec<_>>());
    let far = db_history(&mut desk, 2, To::Direct(UserId(1)), u64::MAX);
    assert_eq!(texts(far).len(), 32);
    in_order(&desk);
}

#[test]
fn what_is_said_in_a_guild_is_its_members_and_goes_with_it() {
    let mut desk = desk();
    let request = |request| db::Request::Guild(request);
    let (name, tag, about) = ("Owls".to_owned(), String::new(), String::new());
    desk.ask_as(1, request(guild::Request::Create { name, tag, about, entry: Entry::Open })).unwrap();
    let id = desk.store.keys().find_map(|key| key.strip_prefix("guild/")?.parse().ok()).unwrap();
    desk.ask_as(2, request(guild::Request::Join(id))).unwrap();
    desk.news.clear();
    db_say(&mut desk, 1, To::Guild, "hoot").unwrap();
    assert_eq!(desk.news.iter().map(|(user, _)| user.0).collect::<Vec<_>>(), [2]);
    assert_eq!(texts(db_history(&mut desk, 2, To::Guild, 0)), ["hoot"]);
    for answer in [db_say(&mut desk, 3, To::Guild, "hello"), db_history(&mut desk, 3, To::Guild, 0)] {
        assert!(matches!(answer, Err(Refusal::NotFound(_))), "{answer:?}");
    }
    in_order(&desk);
    desk.ask_as(1, request(guild::Request::Dissolve)).unwrap();
    assert!(!desk.store.keys().any(|key| key.starts_with("chat/")), "{:?}", desk.store.keys());
}

#[test]
fn operators_mute_until_a_time_and_users_do_not() {
    let mut desk = desk();
    let until = desk.world.now.plus_ms(60_000);
    let mute = |user| db::Request::Chat(Request::Mute(UserId(user), until));
    desk.ask(Caller::Operator, mute(1)).unwrap();
    assert_eq!(desk.news.last(), Some(&(UserId(1), db::News::Chat(News::Muted(Some(until))))));
    assert!(matches!(desk.ask(Caller::Operator, mute(99)), Err(Refusal::NotFound(_))));
    assert!(matches!(desk.ask_as(2, mute(1)), Err(Refusal::Forbidden(_))));
    let unmute = || db::Request::Chat(Request::Unmute(UserId(1)));
    assert!(matches!(desk.ask_as(1, unmute()), Err(Refusal::Forbidden(_))));

    let enter = |desk: &mut Desk| match desk.ask(Caller::Host, db::Request::Enter(UserId(1), "user 1".to_owned())) {
        Ok(db::Answer::Entered(entered)) => entered.muted_until,
        other => panic!("{other:?}"),
    };
    desk.crash();
    assert_eq!(enter(&mut desk), Some(until));
    in_order(&desk);
    desk.world.pass_ms(60_000);
    assert_eq!(enter(&mut desk), None);
    assert!(!desk.store.keys().any(|key| key.starts_with("muted/")), "what is over is not kept");
    desk.ask(Caller::Operator, mute(1)).unwrap();
    desk.ask(Caller::Operator, unmute()).unwrap();
    assert_eq!(enter(&mut desk), None);
}

#[test]
fn what_a_user_has_said_in_rooms_goes_with_the_account() {
    let mut world = lobby(limits(), 2);
    say(&mut world, 1, room("lobby"), "hello");
    say(&mut world, 2, room("lobby"), "hi");
    world.tell(Event::SynAccountClosed { user: UserId(1), refusal: Refusal::SessionEnded });
    assert_eq!(texts(answer(&ask(&mut world, 2, Ask::History(room("lobby"), 0, 0)))), ["hi"]);
}
