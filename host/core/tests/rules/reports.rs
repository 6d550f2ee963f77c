//! Reports: what users show to the operators, how much of it is kept, and whose.

use std::sync::Arc;

use scenehost_core::chat::{Answer, ChatMessage, REPORTS_MAX, REPORTS_PER_USER_MAX, Request, To};
use scenehost_core::db::{self, Caller};
use scenehost_core::guild::{self, Entry};
use scenehost_core::{Refusal, Time, UserId};

use crate::chat::{chat, db_history, db_say, desk, in_order, room, texts};
use crate::desk::Desk;
use crate::table::variant;

#[test]
fn reports_are_kept_until_an_operator_has_looked() {
    let mut desk = desk();
    db_say(&mut desk, 1, To::Direct(UserId(2)), "rude").unwrap();
    let report =
        |of, id, reason: &str| db::Request::Chat(Request::Report { of, id, message: None, reason: reason.to_owned() });
    let of_first = || To::Direct(UserId(1));
    desk.ask_as(2, report(of_first(), 1, "so rude")).unwrap();
    for (user, request, expected) in [
        (2, report(of_first(), 2, ""), "NotFound"),
        (2, report(of_first(), 0, ""), "NotFound"),
        (2, report(of_first(), 1, &"x".repeat(201)), "Invalid"),
        (2, report(room("lobby"), 1, ""), "NotFound"),
        (2, report(To::Guild, 1, ""), "NotFound"),
        (1, report(To::Direct(UserId(2)), 1, ""), "Invalid"),
        (3, report(of_first(), 1, ""), "NotFound"),
        (2, db::Request::Chat(Request::Reports(0)), "Forbidden"),
        (2, db::Request::Chat(Request::RemoveReport(1)), "Forbidden"),
    ] {
        let refused = desk.ask_as(user, request.clone()).expect_err("it should have been refused");
        assert_eq!(variant(&refused), expected, "{user}: {request:?}");
    }
    desk.crash();
    let reports =
        |desk: &mut Desk, after| match chat(desk.ask(Caller::Operator, db::Request::Chat(Request::Reports(after)))) {
            Ok(Answer::Reports(reports)) => reports,
            other => panic!("{other:?}"),
        };
    let shown = reports(&mut desk, 0);
    let [(1, report_shown)] = &shown[..] else { panic!("{shown:?}") };
    assert_eq!((report_shown.by, report_shown.message.text.as_str()), (UserId(2), "rude"));
    assert_eq!(reports(&mut desk, 1), []);
    in_order(&desk);
    for id in 2..=REPORTS_PER_USER_MAX as u64 + 1 {
        db_say(&mut desk, 1, To::Direct(UserId(2)), "rude again").unwrap();
        let answer = desk.ask_as(2, report(of_first(), id, ""));
        assert_eq!(answer.is_ok(), id <= REPORTS_PER_USER_MAX as u64, "{answer:?}");
    }
    let remove = |desk: &mut Desk| desk.ask(Caller::Operator, db::Request::Chat(Request::RemoveReport(1)));
    remove(&mut desk).unwrap();
    assert!(matches!(remove(&mut desk), Err(Refusal::NotFound(_))));
    assert_eq!(reports(&mut desk, 0)[0].0, 2);
    desk.ask_as(2, report(of_first(), 1, "")).unwrap();
    in_order(&desk);
}

/// What a user said in a room.
fn in_room(desk: &mut Desk, by: u64, from: u64, id: u64) -> Result<Answer, Refusal> {
    let (name, text, sent) = (format!("user {from}"), "rude".to_owned(), Time(5));
    let message = Some(Arc::new(ChatMessage { id, from: UserId(from), name, text, sent }));
    let report = Request::Report { of: room("lobby"), id, message, reason: String::new() };
    desk.ask_as(by, db::Request::Chat(report)).map(|_| Answer::Reports(Vec::new()))
}

/// Who has shown which message first, and how many.
fn shown(desk: &mut Desk) -> Vec<(u64, u64, usize)> {
    let mut shown = Vec::new();
    let mut after = 0;
    loop {
        let page = chat(desk.ask(Caller::Operator, db::Request::Chat(Request::Reports(after))));
        let Ok(Answer::Reports(page)) = page else { panic!("{page:?}") };
        let Some((last, _)) = page.last() else { return shown };
        after = *last;
        shown.extend(page.iter().map(|(_, report)| (report.by.0, report.message.id, report.others.len() + 1)));
    }
}

#[test]
fn of_a_message_there_is_one_report_that_counts_who_has_shown_it() {
    let mut desk = desk();
    for user in [2, 3, 2, 4] {
        in_room(&mut desk, user, 1, 7).unwrap();
    }
    in_room(&mut desk, 3, 2, 7).unwrap();
    assert_eq!(shown(&mut desk), [(2, 7, 3), (3, 7, 1)], "another's message is another");
    in_order(&desk);
    assert!(matches!(in_room(&mut desk, 2, 99, 8), Err(Refusal::NotFound(_))), "who said it is gone");
}

#[test]
fn with_an_account_goes_what_its_user_has_said_in_the_guild_and_shown_to_the_operators() {
    let mut desk = desk();
    let request = |request| db::Request::Guild(request);
    let (name, tag, about) = ("Owls".to_owned(), String::new(), String::new());
    desk.ask_as(1, request(guild::Request::Create { name, tag, about, entry: Entry::Open })).unwrap();
    let id = desk.store.keys().find_map(|key| key.strip_prefix("guild/")?.parse().ok()).unwrap();
    for user in [2, 3] {
        desk.ask_as(user, request(guild::Request::Join(id))).unwrap();
    }
    for (user, text) in [(1, "hoot"), (2, "hello"), (1, "hoot again"), (3, "hi")] {
        db_say(&mut desk, user, To::Guild, text).unwrap();
    }
    // Who shows what of whom.
    for (by, from, message) in [(2, 3, 1), (2, 1, 2), (1, 2, 3), (1, 2, 4), (3, 2, 4), (4, 2, 5), (1, 2, 5)] {
        in_room(&mut desk, by, from, message).unwrap();
    }
    assert_eq!(shown(&mut desk), [(2, 1, 1), (2, 2, 1), (1, 3, 1), (1, 4, 2), (4, 5, 2)]);
    desk.ask(Caller::Host, db::Request::Forget(UserId(1))).unwrap();
    assert_eq!(texts(db_history(&mut desk, 2, To::Guild, 0)), ["hello", "hi"]);
    assert_eq!(shown(&mut desk), [(2, 1, 1), (3, 4, 1), (4, 5, 1)]);
    for (key, value) in desk.store.iter().filter(|(key, _)| key.starts_with("chat/") || key.starts_with("report")) {
        let value = String::from_utf8(value.clone()).unwrap();
        assert!(!value.contains("user 1") && !value.contains("hoot"), "{key}: {value}");
    }
    in_order(&desk);
    db_say(&mut desk, 2, To::Guild, "still here").unwrap();
    assert_eq!(texts(db_history(&mut desk, 3, To::Guild, 0)), ["hello", "hi", "still here"]);
}

#[test]
fn a_few_users_who_report_much_do_not_keep_out_others() {
    let mut desk = desk();
    let few = REPORTS_MAX as u64 / REPORTS_PER_USER_MAX as u64;
    let mut id = 0;
    for user in 100..100 + few {
        for _ in 0..REPORTS_PER_USER_MAX {
            id += 1;
            in_room(&mut desk, user, 1, id).unwrap();
        }
    }
    for user in 1_000..1_000 + few {
        id += 1;
        in_room(&mut desk, user, 1, id).unwrap();
    }
    let reports = shown(&mut desk);
    let of = |wanted: &dyn Fn(u64) -> bool| reports.iter().filter(|(by, ..)| wanted(*by)).count() as u64;
    assert_eq!((reports.len(), of(&|by| by >= 1_000)), (REPORTS_MAX, few));
    for user in 100..100 + few {
        assert_eq!(of(&|by| by == user), REPORTS_PER_USER_MAX as u64 - 1, "each of them has given one");
    }
    let greedy = in_room(&mut desk, 100, 1, id + 1);
    assert!(matches!(greedy, Err(Refusal::Overloaded(_))), "{greedy:?}");
    in_order(&desk);
}
