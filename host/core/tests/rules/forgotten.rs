//! A user whose account is deleted: what is kept of the user goes part by part, so that nobody waits for it, and from
//! the first part on nobody sees the user.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use scenehost_core::db::{Answer, Caller, Request, Rules};
use scenehost_core::economy::{self, Order};
use scenehost_core::friends::{self, Act, Which};
use scenehost_core::storage::{self, Change, Owner, Readers, Whose};
use scenehost_core::{GameName, GuildId, Refusal, UserId, chat, guild, inbox, profile, record};
use serde_json::json;

use crate::consistency::found;
use crate::desk::Desk;

const ADA: u64 = 1;
const BOB: u64 = 2;
/// How many records one transaction may change; the rest is for the next.
const WRITES_MAX: usize = 600;

fn game() -> GameName {
    GameName::from("gomoku")
}

fn rules() -> Rules {
    let catalogue = json!({ "currencies": { "coin": {} }, "items": {}, "offers": {} });
    let catalogue = Arc::new(serde_json::from_value(catalogue).expect("it is right"));
    let economy = economy::Rules { catalogue, limits: economy::Limits::default() };
    let storage = storage::Limits { per_user: 1_000, ..storage::Limits::default() };
    Rules { games: BTreeSet::from([game()]), economy, storage, ..Rules::default() }
}

fn act(act: Act, other: u64) -> Request {
    Request::Friends(friends::Request::Do(act, UserId(other)))
}

fn say(to: u64) -> Request {
    let to = chat::To::Direct(UserId(to));
    Request::Chat(chat::Request::Say { to, name: "Ada".to_owned(), text: "hello".to_owned() })
}

fn change(key: String) -> Change {
    let (value, readers) = (Some(b"1".to_vec()), Some(Readers::All));
    Change { whose: Whose::Own, key, value, readers, writers: None, if_version: None }
}

fn forget() -> Request {
    Request::Forget(UserId(ADA))
}

/// Users 1 to 120, of whom the first has much of everything.
fn desk() -> Desk {
    let mut desk = Desk::new(rules());
    for user in 1..=120 {
        desk.ask(Caller::Host, Request::Enter(UserId(user), format!("user {user}"))).unwrap();
    }
    let found_guild = guild::Request::Create {
        name: "Owls".to_owned(),
        tag: String::new(),
        about: String::new(),
        entry: guild::Entry::Open,
    };
    desk.ask_as(ADA, Request::Guild(found_guild)).unwrap();
    let guild = desk.store.keys().find_map(|key| key.strip_prefix("guild/")?.parse::<GuildId>().ok()).unwrap();
    desk.ask_as(BOB, Request::Guild(guild::Request::Join(guild))).unwrap();
    for other in 2..=101 {
        desk.ask_as(other, act(Act::Ask, ADA)).unwrap();
        desk.ask_as(ADA, act(Act::Accept, other)).unwrap();
    }
    desk.ask_as(110, act(Act::Ask, ADA)).unwrap();
    desk.ask_as(ADA, act(Act::Ask, 111)).unwrap();
    desk.ask_as(ADA, act(Act::Block, 112)).unwrap();
    desk.ask_as(112, act(Act::Ask, ADA)).unwrap();
    for other in 2..=20 {
        desk.ask_as(ADA, say(other)).unwrap();
        desk.ask_as(other, say(ADA)).unwrap();
    }
    for keys in (0..300).collect::<Vec<u32>>().chunks(storage::AT_ONCE_MAX) {
        let changes = keys.iter().map(|key| change(format!("key {key}"))).collect();
        desk.ask_as(ADA, Request::Storage(storage::Request::Write { game: game(), changes })).unwrap();
    }
    for number in 0..300 {
        let amounts = BTreeMap::from([("coin".to_owned(), 1)]);
        let order = Order { user: UserId(ADA), amounts, request: number.to_string(), note: String::new() };
        desk.ask(Caller::Operator, Request::Economy(economy::Request::Grant(order))).unwrap();
    }
    desk.store.insert(record::forget_key(UserId(ADA)), Vec::new());
    desk.news.clear();
    desk
}

/// Whether any record is the user's.
fn is_left(desk: &Desk) -> bool {
    let of_ada = UserId(ADA).to_string();
    desk.store.keys().any(|key| key.contains(&of_ada))
}

/// Asks without carrying out more of what is under way than the answer needs.
fn ask_meanwhile(desk: &Desk, caller: Caller, request: Request) -> Result<Answer, Refusal> {
    let mut desk = desk.clone();
    let number = desk.begin(caller, request);
    loop {
        if let Some(answer) = desk.answer(number) {
            return answer;
        }
        assert!(desk.sync_one(), "every request is answered");
    }
}

/// Ada is nobody to anybody.
fn is_nobody(desk: &Desk) {
    let as_bob = |request| ask_meanwhile(desk, Caller::User(UserId(BOB)), request);
    for request in [say(ADA), act(Act::Ask, ADA), act(Act::Accept, ADA)] {
        let refused = as_bob(request);
        assert!(matches!(refused, Err(Refusal::NotFound(_))), "{refused:?}");
    }
    let late = ask_meanwhile(desk, Caller::User(UserId(ADA)), say(BOB));
    assert!(matches!(late, Err(Refusal::NotFound(_))), "{late:?}");
    for request in [Request::Enter(UserId(ADA), "user 1".to_owned()), Request::Export(UserId(ADA))] {
        let refused = ask_meanwhile(desk, Caller::Host, request);
        assert!(matches!(refused, Err(Refusal::NotFound(_))), "{refused:?}");
    }
    let shown = as_bob(Request::Profile(profile::Request::Show(vec![UserId(ADA)])));
    assert_eq!(shown, Ok(Answer::Profile(profile::Answer(Vec::new()))));
    let whose = Whose::Of(Owner::User(UserId(ADA)));
    let read = storage::Request::Read { game: game(), whose, keys: vec!["key 299".to_owned()] };
    assert_eq!(as_bob(Request::Storage(read)), Ok(Answer::Storage(storage::Answer::Records(Vec::new()))));
    let Ok(Answer::Friends(friends)) = as_bob(Request::Friends(friends::Request::List(Which::Friends))) else {
        panic!("a list")
    };
    assert!(friends.people.iter().all(|person| person.user != UserId(ADA)));
    let Ok(Answer::Guild(guild::Answer::Guild(view))) = as_bob(Request::Guild(guild::Request::Show(guild::Which::Own)))
    else {
        panic!("a guild")
    };
    assert_eq!(view.members.len(), 1);
    let wallet = economy::Request::Wallet(Some(UserId(ADA)));
    let wallet = ask_meanwhile(desk, Caller::Operator, Request::Economy(wallet));
    assert_eq!(wallet, Ok(Answer::Economy(economy::Answer::Wallet(BTreeMap::new()))));
}

#[test]
fn much_is_removed_in_parts_between_which_others_go_on_and_see_nothing_of_the_user() {
    let mut desk = desk();
    let wallet = format!("wallet/{}", UserId(ADA));
    desk.begin(Caller::Host, forget());
    let mut parts = 0;
    while let Some(effects) = desk.take_effects() {
        assert!(effects.writes.len() <= WRITES_MAX, "{} at once", effects.writes.len());
        let is_part = !effects.writes.is_empty();
        desk.carry_out(effects);
        if is_part {
            parts += 1;
            assert_eq!(found(&desk.store).problems, [] as [&str; 0], "after part {parts}");
            // The wallet goes last, and Db is a part ahead of its store.
            if desk.store.contains_key(&wallet) {
                is_nobody(&desk);
            }
        }
    }
    assert!(parts > 8, "{parts}");
    assert!(!is_left(&desk), "{:?}", desk.store.keys());
    let removed = |(to, news): &&(UserId, scenehost_core::db::News)| match news {
        scenehost_core::db::News::Friends(friends::News::Changed { user, name, change }) => {
            (*user, name.as_str(), change) == (UserId(ADA), "user 1", &friends::Change::Removed) && *to != UserId(ADA)
        }
        _ => false,
    };
    assert_eq!(desk.news.iter().filter(removed).count(), 100, "all friends are told, and of whom");
}

#[test]
fn a_removal_that_was_cut_off_anywhere_goes_on_when_it_is_asked_for_again() {
    let mut desk = desk();
    desk.begin(Caller::Host, forget());
    let mut is_under_way = true;
    while is_under_way {
        let mut cut_off = desk.clone();
        cut_off.crash();
        let is_ordered = cut_off.store.contains_key(&record::forget_key(UserId(ADA)));
        assert!(is_ordered || !is_left(&cut_off), "the order stays until the last part");
        if is_ordered {
            // As Auth's sweep does.
            cut_off.ask(Caller::Host, forget()).unwrap();
        }
        assert!(!is_left(&cut_off), "{:?}", cut_off.store.keys());
        assert_eq!(found(&cut_off.store).problems, [] as [&str; 0]);
        is_under_way = desk.sync_one();
    }
}

#[test]
fn asked_for_twice_at_once_it_is_done_once_and_nothing_is_left() {
    let mut desk = desk();
    for _ in 0..2 {
        desk.begin(Caller::Host, forget());
    }
    desk.settle();
    assert!(!is_left(&desk), "{:?}", desk.store.keys());
    assert_eq!(found(&desk.store).problems, [] as [&str; 0]);
    let list = Request::Inbox(inbox::Request::List { after: 0, limit: 0 });
    assert!(desk.ask_as(BOB, list).is_ok());
}
