//! Inboxes: what is posted, what has room, what expires.

use scenehost_core::db::{Answer, Caller, News, Request, Rules};
use scenehost_core::inbox::{self, BYTES_MAX, Kind, NOTIFICATIONS_MAX, Notification, Posted, USERS_AT_ONCE_MAX};
use scenehost_core::{Refusal, Time, UserId};

use crate::desk::Desk;

const ADA: u64 = 1;

fn notification(title: &str) -> Notification {
    let (title, body, data) = (title.to_owned(), String::new(), String::new());
    Notification { kind: Kind::Operator, from: None, title, body, data, expires: None }
}

fn post_to(users: Vec<UserId>, request_id: &str, notification: Notification) -> Request {
    let request_id = request_id.to_owned();
    Request::Inbox(inbox::Request::Post { users, request_id, notification: Box::new(notification) })
}

fn desk() -> Desk {
    let mut desk = Desk::new(Rules::default());
    desk.ask(Caller::Host, Request::Enter(UserId(ADA), "Ada".to_owned())).unwrap();
    desk
}

fn post(desk: &mut Desk, request_id: &str, notification: Notification) {
    let posted = desk.ask(Caller::Operator, post_to(vec![UserId(ADA)], request_id, notification));
    assert_eq!(posted, Ok(Answer::Inbox(inbox::Answer::Unknown(Vec::new()))));
}

fn ask(desk: &mut Desk, request: inbox::Request) -> (Vec<(u64, Posted)>, bool, u32) {
    match desk.ask_as(ADA, Request::Inbox(request)).unwrap() {
        Answer::Inbox(inbox::Answer::Inbox { posted, more, unread }) => (posted, more, unread),
        other => panic!("{other:?}"),
    }
}

fn list(desk: &mut Desk) -> (Vec<(u64, Posted)>, bool, u32) {
    ask(desk, inbox::Request::List { after: 0, limit: 0 })
}

fn ids(desk: &mut Desk) -> Vec<u64> {
    list(desk).0.into_iter().map(|(id, _)| id).collect()
}

#[test]
fn what_is_posted_waits_over_a_loss_of_power_and_who_is_here_hears_of_it() {
    let mut desk = desk();
    post(&mut desk, "a", notification("Hello"));
    let news = desk.news.pop().unwrap();
    let (UserId(ADA), News::Inbox(news)) = news else { panic!("{news:?}") };
    assert_eq!((news.id, news.unread, news.posted.notification.title.as_str()), (1, 1, "Hello"));
    desk.crash();
    let (posted, more, unread) = list(&mut desk);
    assert_eq!((posted.len(), posted[0].0, more, unread), (1, 1, false, 1));
    assert!(!posted[0].1.read);
}

#[test]
fn a_request_that_is_made_again_posts_nothing_twice_also_when_it_was_removed_meanwhile() {
    let mut desk = desk();
    post(&mut desk, "a", notification("Hello"));
    ask(&mut desk, inbox::Request::Remove(vec![1]));
    desk.crash();
    post(&mut desk, "a", notification("Hello"));
    assert_eq!(ids(&mut desk), [] as [u64; 0]);
    post(&mut desk, "b", notification("Hello"));
    assert_eq!(ids(&mut desk), [2]);
}

#[test]
fn notifications_are_read_and_removed_by_their_ids() {
    let mut desk = desk();
    for id in ["a", "b", "c", "d"] {
        post(&mut desk, id, notification(id));
    }
    assert_eq!(ask(&mut desk, inbox::Request::Read(vec![2, 99])).2, 3);
    assert_eq!(ask(&mut desk, inbox::Request::Remove(vec![1, 2, 99])).2, 2);
    assert_eq!(ids(&mut desk), [3, 4]);
    let syncs = desk.syncs;
    assert_eq!(ask(&mut desk, inbox::Request::Remove(vec![1, 2, 99])).2, 2);
    assert_eq!(ask(&mut desk, inbox::Request::Read(vec![99])).2, 2);
    assert_eq!(desk.syncs, syncs, "nothing has changed, so nothing is written");
    let (posted, more, _) = ask(&mut desk, inbox::Request::List { after: 2, limit: 1 });
    assert_eq!((posted[0].0, posted.len(), more), (3, 1, true));
    assert_eq!(ask(&mut desk, inbox::Request::Read(Vec::new())).2, 0, "all");
}

#[test]
fn what_has_expired_is_gone() {
    let mut desk = desk();
    let expires = Some(desk.world.now.plus_ms(1_000));
    post(&mut desk, "a", Notification { expires, ..notification("soon over") });
    post(&mut desk, "b", notification("stays"));
    desk.world.pass_ms(999);
    assert_eq!(ids(&mut desk), [1, 2]);
    desk.world.pass_ms(1);
    assert_eq!((ids(&mut desk), list(&mut desk).2), (vec![2], 1));
}

#[test]
fn a_full_inbox_lets_the_oldest_read_one_go_and_then_the_oldest() {
    let mut desk = desk();
    for number in 0..NOTIFICATIONS_MAX {
        post(&mut desk, &number.to_string(), notification("x"));
    }
    ask(&mut desk, inbox::Request::Read(vec![5]));
    post(&mut desk, "more", notification("x"));
    post(&mut desk, "and more", notification("x"));
    let ids = ids(&mut desk);
    assert_eq!(ids.len(), NOTIFICATIONS_MAX);
    assert_eq!(ids[..4], [2, 3, 4, 6], "5 was read, and 1 the oldest");

    let large = Notification { data: format!("\"{}\"", "x".repeat(2_000)), ..notification("x") };
    for number in 0..NOTIFICATIONS_MAX {
        post(&mut desk, &format!("large {number}"), large.clone());
    }
    assert!(desk.store[&inbox::key(UserId(ADA))].len() < BYTES_MAX * 3 / 2, "what JSON adds is less");
    let mut listed = 0;
    let mut after = 0;
    loop {
        let (posted, more, _) = ask(&mut desk, inbox::Request::List { after, limit: 0 });
        assert!(posted.len() <= 12, "an answer fits into a frame");
        listed += posted.len();
        after = posted.last().unwrap().0;
        if !more {
            break;
        }
    }
    assert_eq!(listed, 31, "what has room in 64 KiB");
}

#[test]
fn bad_requests_are_refused_and_change_nothing() {
    let with = |change: fn(&mut Notification)| {
        let mut it = notification("x");
        change(&mut it);
        post_to(vec![UserId(ADA)], "id", it)
    };
    let all = |count: u64| (0..count).map(UserId).collect::<Vec<_>>();
    let operators = [
        ("no title", with(|it| it.title = " ".to_owned()), "Invalid"),
        ("a long title", with(|it| it.title = "x".repeat(101)), "Invalid"),
        ("a control character", with(|it| it.title = "a\u{7}".to_owned()), "Invalid"),
        ("a long body", with(|it| it.body = "ä".repeat(1_001)), "Invalid"),
        ("much data", with(|it| it.data = format!("\"{}\"", "x".repeat(2_047))), "Invalid"),
        ("no JSON", with(|it| it.data = "{\"a\":".to_owned()), "Invalid"),
        ("expired", with(|it| it.expires = Some(Time(1))), "Invalid"),
        ("to nobody", post_to(Vec::new(), "id", notification("x")), "Invalid"),
        ("to too many", post_to(all(USERS_AT_ONCE_MAX as u64 + 1), "id", notification("x")), "Invalid"),
        ("no request id", post_to(all(1), "", notification("x")), "Invalid"),
        ("a long request id", post_to(all(1), &"x".repeat(65), notification("x")), "Invalid"),
        ("an operator's inbox", Request::Inbox(inbox::Request::List { after: 0, limit: 0 }), "OutOfOrder"),
    ];
    let users = [
        ("a user's post", post_to(all(1), "id", notification("x")), "Forbidden"),
        ("too many ids", Request::Inbox(inbox::Request::Read(vec![1; 101])), "Invalid"),
        ("nothing to remove", Request::Inbox(inbox::Request::Remove(Vec::new())), "Invalid"),
        ("too much to remove", Request::Inbox(inbox::Request::Remove(vec![1; 101])), "Invalid"),
    ];
    let cases = operators.into_iter().map(|it| (Caller::Operator, it));
    for (caller, (what, request, expected)) in cases.chain(users.into_iter().map(|it| (Caller::User(UserId(ADA)), it)))
    {
        let mut desk = desk();
        let before = desk.store.clone();
        let refused: Refusal = desk.ask(caller, request).expect_err(what);
        assert!(format!("{refused:?}").starts_with(expected), "{what}: {refused:?}");
        assert!(refused.to_string().len() < 200, "{what}: {refused}");
        assert_eq!(desk.store, before, "{what}");
    }
    let mut desk = desk();
    let posted = desk.ask(Caller::Operator, post_to(vec![UserId(ADA), UserId(9)], "id", notification("x"))).unwrap();
    assert_eq!(posted, Answer::Inbox(inbox::Answer::Unknown(vec![UserId(9)])), "the others have it");
    assert_eq!(ids(&mut desk), [1]);
}
