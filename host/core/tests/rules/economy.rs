//! The economy: catalogue, shop, ledger, and that nothing is lost, made from nothing, or done twice.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use proptest::prelude::*;
use scenehost_core::db::{Answer as DbAnswer, Caller, Event, News, Request as DbRequest, Rules};
use scenehost_core::economy::catalogue::{AMOUNT_MAX, Amounts, Catalogue, Offer, Period};
use scenehost_core::economy::offers::{View, Why};
use scenehost_core::economy::wallet::{Account, By, Entry, Kind, Wallet};
use scenehost_core::economy::{self, Answer, COUNT_AT_ONCE_MAX, HISTORY_MAX, Limits, Order, Request};
use scenehost_core::save::{self, Amount, OPERATIONS_MAX, Operation, SAVES_PER_SCENE_MAX};
use scenehost_core::storage::{self, Owner, Whose};
use scenehost_core::{Epoch, GameName, Incarnation, Refusal, SceneId, Time, UserId, consistency, record};
use serde_json::{Value, json};

use crate::desk::Desk;

fn catalogue() -> Value {
    json!({
        "currencies": { "coin": { "max": 1_000 }, "gem": {} },
        "items": { "hat": { "max": 1 }, "potion": { "max": 5 } },
        "offers": {
            "hat": { "title": "A hat", "price": { "coin": 10 }, "gives": { "hat": 1 }, "stock": 1 },
            "potion": { "title": "A potion", "price": { "coin": 3 }, "gives": { "potion": 1 }, "per_user": 4, "stock": 6 },
            "daily": { "title": "Every day", "gives": { "coin": 20 }, "per_period": { "count": 1, "period": "day" } },
            "gem": { "title": "A gem", "price": { "coin": 7, "potion": 1 }, "gives": { "gem": 2 } },
        },
    })
}

fn read(catalogue: Value) -> Result<Catalogue, String> {
    let catalogue: Catalogue = serde_json::from_value(catalogue).map_err(|error| error.to_string())?;
    catalogue.check().map_err(|error| error.to_string())?;
    Ok(catalogue)
}

fn rules() -> Rules {
    let catalogue = Arc::new(read(catalogue()).expect("it is right"));
    let economy = economy::Rules { catalogue, limits: Limits::default() };
    Rules { games: [game()].into(), economy, ..Rules::default() }
}

/// A desk at which the users 1 to 3 are known.
fn desk(rules: Rules) -> Desk {
    let mut desk = Desk::new(rules);
    for user in 1..=3 {
        desk.ask(Caller::Host, DbRequest::Enter(UserId(user), "Ada".to_owned())).expect("it is no request of a user's");
    }
    desk
}

/// The keys of all records but the profiles.
fn economy_of(desk: &Desk) -> Vec<&str> {
    desk.store.keys().map(String::as_str).filter(|key| !key.starts_with("profile/")).collect()
}

fn game() -> GameName {
    GameName::from("arena")
}

fn amount(user: u64, name: &str, count: u64) -> Amount {
    Amount { user: UserId(user), name: name.to_owned(), count }
}

/// A life of the scene that saves.
fn life(epoch: u64) -> Incarnation {
    Incarnation { scene: SceneId(7), epoch: Epoch(epoch) }
}

fn scene_saves(id: u64, operations: Vec<Operation>) -> DbRequest {
    DbRequest::Save(save::Request::Save { scene: life(1), id, game: game(), operations })
}

fn put(user: u64, if_version: Option<u64>) -> Operation {
    Operation::Put { owner: Owner::User(UserId(user)), key: "wins".to_owned(), value: vec![1], if_version }
}

fn buy(offer: &str, count: u64, request: &str) -> DbRequest {
    DbRequest::Economy(Request::Buy { offer: offer.to_owned(), count, request: request.to_owned() })
}

fn amounts(amounts: &[(&str, u64)]) -> Amounts {
    amounts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn order(user: u64, of: &[(&str, u64)], request: &str) -> Order {
    Order { user: UserId(user), amounts: amounts(of), note: "a test".to_owned(), request: request.to_owned() }
}

fn grant(user: u64, of: &[(&str, u64)], request: &str) -> DbRequest {
    DbRequest::Economy(Request::Grant(order(user, of, request)))
}

fn spend(user: u64, of: &[(&str, u64)], request: &str) -> DbRequest {
    DbRequest::Economy(Request::Spend(order(user, of, request)))
}

fn refund(user: u64, entry: u64, request: &str) -> DbRequest {
    DbRequest::Economy(Request::Refund { user: UserId(user), entry, request: request.to_owned() })
}

fn economy(answer: Result<DbAnswer, Refusal>) -> Result<Answer, Refusal> {
    answer.map(|answer| match answer {
        DbAnswer::Economy(answer) => answer,
        other => panic!("{other:?}"),
    })
}

/// The number of the entry that was made, and the balances after it.
fn done(answer: Result<DbAnswer, Refusal>) -> (u64, Amounts) {
    match economy(answer).expect("it is allowed") {
        Answer::Changed { number, balances, .. } => (number, balances),
        other => panic!("{other:?}"),
    }
}

fn conflict(answer: Result<DbAnswer, Refusal>, expected: &str) {
    match answer {
        Err(Refusal::Conflict(text)) => assert!(text.contains(expected), "{text}"),
        other => panic!("{other:?}"),
    }
}

fn offers(desk: &mut Desk, user: u64) -> BTreeMap<String, View> {
    match economy(desk.ask_as(user, DbRequest::Economy(Request::Offers(String::new())))).unwrap() {
        Answer::Offers(views, false) => views.into_iter().map(|view| (view.name.clone(), view)).collect(),
        other => panic!("{other:?}"),
    }
}

fn fits_together(desk: &Desk) {
    let records = desk.store.iter().map(|(key, value)| Ok::<_, Infallible>((key.clone(), value.clone())));
    let Ok(report) = consistency::check(records, |key| Ok(desk.store.get(key).cloned()));
    assert_eq!(report.problems, [] as [&str; 0]);
}

#[test]
fn a_catalogue_that_cannot_work_is_refused_with_its_place() {
    let changed = |pointer: &str, value: Value| {
        let mut all = catalogue();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        all.pointer_mut(parent).unwrap()[field] = value;
        read(all)
    };
    for (pointer, value, expected) in [
        ("/currencies/coin/max", json!(0), "[currencies.coin]: max needs"),
        ("/currencies/coin/max", json!(u64::MAX), "[currencies.coin]: max needs"),
        ("/currencies/co in", json!({}), "[currencies.co in]: a name has"),
        ("/items/coin", json!({}), "[items.coin]: a currency has this name"),
        ("/offers/hat/title", json!(" "), "[offers.hat]: title needs"),
        ("/offers/hat/title", json!("x".repeat(81)), "[offers.hat]: title needs"),
        ("/offers/hat/gives", json!({}), "[offers.hat]: gives needs"),
        ("/offers/hat/gives", json!({ "cape": 1 }), "[offers.hat]: gives: there is no currency or item \"cape\""),
        ("/offers/hat/gives", json!({ "hat": 2 }), "[offers.hat]: gives more of hat"),
        ("/offers/hat/gives", json!({ "coin": 2 }), "[offers.hat]: coin is in the price and"),
        ("/offers/hat/price", json!({ "coin": 0 }), "[offers.hat]: price: an amount needs"),
        ("/offers/hat/price", json!({ "gem": AMOUNT_MAX + 1 }), "[offers.hat]: price: an amount needs"),
        ("/offers/hat/stock", json!(0), "[offers.hat]: per_user, per_period.count and stock need"),
        ("/offers/hat/from", json!("tomorrow"), "a moment is written as"),
        ("/offers/daily/per_period/period", json!("year"), "unknown variant `year`"),
    ] {
        let told = changed(pointer, value).expect_err(pointer);
        assert!(told.contains(expected), "{told}");
    }
    let mut all = catalogue();
    all["offers"]["hat"]["from"] = json!("2026-12-24T18:00:00Z");
    all["offers"]["hat"]["until"] = json!("2026-12-24T18:00:00Z");
    assert!(read(all).unwrap_err().contains("until is not after from"));
}

#[test]
fn an_offer_is_to_other_nodes_what_it_is_here() {
    for moments in [json!({}), json!({"from": "2026-12-01T00:00:00Z", "until": "2026-12-24T18:00:00.5Z"})] {
        let mut all = json!({"items": {"hat": {}}, "offers": {"hat": {"title": "A hat", "gives": {"hat": 1}}}});
        all["offers"]["hat"].as_object_mut().unwrap().extend(moments.as_object().unwrap().clone());
        let offer = read(all).unwrap().offers.remove("hat").unwrap();
        let said = serde_json::to_string(&offer).unwrap();
        assert_eq!(serde_json::from_str::<Offer>(&said).unwrap(), offer, "{said}");
    }
}

#[test]
fn what_is_bought_is_paid_for_and_stands_in_the_ledger() {
    let mut desk = desk(rules());
    done(desk.ask(Caller::Operator, grant(1, &[("coin", 20)], "a")));
    let Some((UserId(1), News::Economy(news))) = desk.news.pop() else { panic!("the user is told") };
    assert_eq!((news.number, news.balances), (1, amounts(&[("coin", 20)])));
    let (number, balances) = done(desk.ask_as(1, buy("hat", 1, "b")));
    assert_eq!((number, balances), (2, amounts(&[("coin", 10), ("hat", 1)])));
    assert_eq!(desk.news, [], "the user has asked for it");

    let history = Request::History { user: None, before: 0, limit: 1 };
    let Answer::History(entries, true) = economy(desk.ask_as(1, DbRequest::Economy(history))).unwrap() else {
        panic!("there is an older one")
    };
    let posted: Vec<String> =
        entries[0].1.postings.iter().map(|it| format!("{:?} {} {}", it.account, it.asset, it.amount)).collect();
    assert_eq!(posted, ["User coin -10", "Shop coin 10", "User hat 1", "Shop hat -1"]);
    let history = Request::History { user: Some(UserId(1)), before: 2, limit: 0 };
    let Answer::History(entries, false) = economy(desk.ask(Caller::Operator, DbRequest::Economy(history))).unwrap()
    else {
        panic!("there is one")
    };
    assert_eq!(entries[0].1.postings[1].account, Account::Issue);
    fits_together(&desk);
}

#[test]
fn an_offer_tells_what_a_user_may_buy_and_why_not() {
    let mut desk = desk(rules());
    let may = |desk: &mut Desk, name: &str| {
        let view = offers(desk, 1).remove(name).unwrap();
        (view.may_buy, view.why)
    };
    assert_eq!(may(&mut desk, "potion"), (0, Some(Why::CannotPay)));
    conflict(desk.ask_as(1, buy("potion", 1, "a")), "not enough in your wallet");
    assert_eq!(may(&mut desk, "daily"), (1, None));
    done(desk.ask_as(1, buy("daily", 1, "b")));
    assert_eq!(may(&mut desk, "daily"), (0, Some(Why::PeriodLimit)));
    conflict(desk.ask_as(1, buy("daily", 1, "c")), "for now");
    let resets = offers(&mut desk, 1)["daily"].resets.unwrap();
    desk.world.now = resets;
    assert_eq!(may(&mut desk, "daily"), (1, None), "on the next day again");

    assert_eq!(may(&mut desk, "potion"), (4, None));
    conflict(desk.ask_as(1, buy("potion", 5, "d")), "fewer than that");
    done(desk.ask_as(1, buy("potion", 4, "d")));
    assert_eq!(may(&mut desk, "potion"), (0, Some(Why::Limit)));
    done(desk.ask(Caller::Operator, grant(1, &[("hat", 1), ("coin", 10)], "e")));
    assert_eq!(may(&mut desk, "hat"), (0, Some(Why::NoRoom)));
    done(desk.ask(Caller::Operator, grant(2, &[("coin", 10)], "e")));
    done(desk.ask_as(2, buy("hat", 1, "f")));
    assert_eq!(may(&mut desk, "hat"), (0, Some(Why::SoldOut)));

    let mut other = catalogue();
    other["offers"]["hat"]["from"] = json!("2100-01-01T00:00:00Z");
    other["offers"]["gem"]["until"] = json!("1970-01-02T00:00:00Z");
    desk.tell(Event::Catalogue(Arc::new(read(other).unwrap())));
    assert_eq!(may(&mut desk, "hat"), (0, Some(Why::NotYet)));
    assert_eq!(may(&mut desk, "gem"), (0, Some(Why::Over)));
    fits_together(&desk);
}

#[test]
fn days_begin_at_midnight_and_weeks_on_monday() {
    let at = |days: u64| Time(days * 86_400_000);
    // 1970-01-01 was a Thursday, so the fourth day was a Sunday.
    let sunday = Time(at(4).0 - 1);
    assert_eq!((Period::Day.end(sunday), Period::Week.end(sunday)), (at(4), at(4)));
    assert_eq!((Period::Day.end(at(4)), Period::Week.end(at(4))), (at(5), at(11)));
    assert_eq!(Period::Week.number(sunday) + 1, Period::Week.number(at(4)));
}

#[test]
fn two_users_and_the_last_of_an_offer() {
    let mut desk = desk(rules());
    for user in [1, 2] {
        done(desk.ask(Caller::Operator, grant(user, &[("coin", 10)], "a")));
    }
    desk.crash(); // So that both wait for the same records.
    let both = [1, 2].map(|user| desk.begin(Caller::User(UserId(user)), buy("hat", 1, "b")));
    desk.settle();
    let mut answers = both.map(|number| desk.answer(number).unwrap()).to_vec();
    answers.sort_by_key(Result::is_err);
    done(answers.remove(0));
    conflict(answers.remove(0), "sold out");
    fits_together(&desk);
}

#[test]
fn a_request_that_is_sent_twice_is_done_once_also_across_a_crash() {
    for syncs in 0..12 {
        let mut desk = desk(rules());
        done(desk.ask(Caller::Operator, grant(1, &[("coin", 10)], "a")));
        desk.crash();
        let twice = [0, 1].map(|_| desk.begin(Caller::User(UserId(1)), buy("potion", 1, "b")));
        for _ in 0..syncs {
            desk.sync_one();
        }
        desk.crash();
        let expected = (2, amounts(&[("coin", 7), ("potion", 1)]));
        for answer in twice.map(|number| desk.answer(number)).into_iter().flatten() {
            assert_eq!(done(answer), expected);
        }
        assert_eq!(done(desk.ask_as(1, buy("potion", 1, "b"))), expected);
        conflict(desk.ask_as(1, buy("potion", 2, "b")), "used for something else");
        conflict(desk.ask(Caller::Operator, spend(1, &[("coin", 10)], "a")), "used for something else");
        fits_together(&desk);
    }
}

#[test]
fn a_refund_undoes_an_entry_once_and_only_if_it_is_still_there() {
    let mut desk = desk(rules());
    done(desk.ask(Caller::Operator, grant(1, &[("coin", 10)], "a")));
    let (bought, _) = done(desk.ask_as(1, buy("hat", 1, "b")));
    done(desk.ask(Caller::Operator, spend(1, &[("hat", 1)], "c")));
    conflict(desk.ask(Caller::Operator, refund(1, bought, "d")), "not enough");
    done(desk.ask(Caller::Operator, grant(1, &[("hat", 1)], "e")));
    let refunded = done(desk.ask(Caller::Operator, refund(1, bought, "d")));
    assert_eq!(refunded, (5, amounts(&[("coin", 10)])));
    assert_eq!(done(desk.ask(Caller::Operator, refund(1, bought, "d"))), refunded);
    conflict(desk.ask(Caller::Operator, refund(1, bought, "f")), "already");
    let again = desk.ask(Caller::Operator, refund(1, 5, "g"));
    assert!(matches!(again, Err(Refusal::Invalid(_))), "{again:?}");
    done(desk.ask_as(1, buy("hat", 1, "h"))); // It is for sale again.
    fits_together(&desk);
}

#[test]
fn the_oldest_entries_are_carried_forward() {
    let mut rules = rules();
    rules.economy.limits.entries_per_user = 3;
    let mut desk = desk(rules);
    for number in 0..9_u64 {
        done(desk.ask(Caller::Operator, grant(1, &[("coin", 1)], &format!("grant-{number}"))));
        fits_together(&desk);
    }
    let kept = |prefix: &str| desk.store.keys().filter(|key| key.starts_with(prefix)).count();
    assert_eq!((kept("ledger/"), kept("request/")), (3, 3));
    let gone = desk.ask(Caller::Operator, refund(1, 6, "a"));
    assert!(matches!(gone, Err(Refusal::NotFound(_))), "{gone:?}");
    let (_, balances) = done(desk.ask(Caller::Operator, refund(1, 7, "a")));
    assert_eq!(balances, amounts(&[("coin", 8)]));
    fits_together(&desk);
    desk.ask(Caller::Host, DbRequest::Forget(UserId(1))).unwrap();
    assert_eq!(economy_of(&desk), [] as [&str; 0], "all of it goes with the account");
}

#[test]
fn bad_input_is_refused_and_changes_nothing() {
    let mut desk = desk(rules());
    done(desk.ask(Caller::Operator, grant(1, &[("coin", 100)], "a")));
    let before = desk.store.clone();
    let (user, operator) = (Caller::User(UserId(1)), Caller::Operator);
    let long = "x".repeat(10_000);
    let history = |user: Option<u64>, before, limit| {
        DbRequest::Economy(Request::History { user: user.map(UserId), before, limit })
    };
    let noted = |note: &str| {
        DbRequest::Economy(Request::Grant(Order { note: note.to_owned(), ..order(1, &[("coin", 1)], "n") }))
    };
    for (caller, request, expected) in [
        (&user, buy("hat", 0, "b"), "Invalid"),
        (&user, buy("hat", COUNT_AT_ONCE_MAX + 1, "b"), "Invalid"),
        (&user, buy("hat", u64::MAX, "b"), "Invalid"),
        (&user, buy("hat", 1, ""), "Invalid"),
        (&user, buy("hat", 1, "a/b"), "Invalid"),
        (&user, buy("hat", 1, &long), "Invalid"),
        (&user, buy("nothing", 1, "b"), "NotFound"),
        (&user, buy(&long, 1, "b"), "NotFound"),
        (&user, buy("\n", 1, "b"), "NotFound"),
        (&operator, buy("hat", 1, "b"), "Invalid"),
        (&user, grant(1, &[("coin", 1)], "b"), "Forbidden"),
        (&user, spend(1, &[("coin", 1)], "b"), "Forbidden"),
        (&user, refund(1, 1, "b"), "Forbidden"),
        (&user, DbRequest::Economy(Request::Wallet(Some(UserId(2)))), "Forbidden"),
        (&operator, DbRequest::Economy(Request::Wallet(None)), "Invalid"),
        (&user, history(Some(2), 0, 1), "Forbidden"),
        (&user, history(None, 0, HISTORY_MAX + 1), "Invalid"),
        (&operator, grant(1, &[], "b"), "Invalid"),
        (&operator, grant(1, &[("coin", 0)], "b"), "Invalid"),
        (&operator, grant(1, &[("coin", u64::MAX)], "b"), "Invalid"),
        (&operator, grant(1, &[("coin", 901)], "b"), "Conflict"),
        (&operator, grant(1, &[("crown", 1)], "b"), "Invalid"),
        (&operator, grant(1, &[("coin", 1)], "b c"), "Invalid"),
        (&operator, spend(1, &[("coin", 101)], "b"), "Conflict"),
        (&operator, noted("a\0b"), "Invalid"),
        (&operator, noted(&long), "Invalid"),
        (&operator, refund(1, 0, "b"), "NotFound"),
        (&operator, refund(1, u64::MAX, "b"), "NotFound"),
    ] {
        let told = desk.ask(caller.clone(), request.clone()).expect_err("it is refused");
        assert!(format!("{told:?}").starts_with(expected), "{request:?} {told:?}");
        assert!(told.to_string().len() < 300, "{told}");
        assert_eq!(desk.store, before);
    }
    for before in [0, 1, 2, u64::MAX] {
        economy(desk.ask_as(1, history(None, before, 0))).expect("any place is one");
    }
}

#[test]
fn a_scene_saves_all_of_it_or_nothing_and_once() {
    let mut desk = desk(rules());
    let coins =
        |count| vec![put(1, None), Operation::Grant(amount(1, "coin", count)), Operation::Spend(amount(2, "coin", 5))];
    conflict(desk.ask(Caller::Host, scene_saves(1, coins(9))), "not enough");
    assert_eq!(economy_of(&desk), [] as [&str; 0], "the second user has none");
    done(desk.ask(Caller::Operator, grant(2, &[("coin", 5)], "a")));
    for _ in 0..2 {
        desk.ask(Caller::Host, scene_saves(1, coins(9))).unwrap();
        desk.crash();
    }
    let wallet = |desk: &mut Desk, user| economy(desk.ask_as(user, DbRequest::Economy(Request::Wallet(None)))).unwrap();
    assert_eq!(wallet(&mut desk, 1), Answer::Wallet(amounts(&[("coin", 9)])));
    assert_eq!(wallet(&mut desk, 2), Answer::Wallet(Amounts::new()));
    let read = storage::Request::Read { game: game(), whose: Whose::Own, keys: vec!["wins".to_owned()] };
    let Ok(DbAnswer::Storage(storage::Answer::Records(records))) = desk.ask_as(1, DbRequest::Storage(read)) else {
        panic!("it may be read")
    };
    assert_eq!(records[0].1.value, [1]);
    conflict(
        desk.ask(Caller::Host, scene_saves(2, vec![put(1, Some(0)), Operation::Grant(amount(1, "coin", 1))])),
        "changed",
    );
    assert_eq!(wallet(&mut desk, 1), Answer::Wallet(amounts(&[("coin", 9)])), "the record was not as expected");
    fits_together(&desk);
    // A scene that begins anew saves anew, by the same numbers; what its life before has saved late is once, too.
    let again = |epoch| {
        let operations = vec![Operation::Grant(amount(1, "coin", 2))];
        DbRequest::Save(save::Request::Save { scene: life(epoch), id: 1, game: game(), operations })
    };
    for epoch in [2, 1, 2] {
        desk.ask(Caller::Host, again(epoch)).unwrap();
    }
    assert_eq!(wallet(&mut desk, 1), Answer::Wallet(amounts(&[("coin", 11)])));
    for epoch in [1, 2] {
        desk.ask(Caller::Host, DbRequest::Save(save::Request::Ended(life(epoch)))).unwrap();
    }
    assert!(!desk.store.keys().any(|key| key.starts_with(save::SAVED_PREFIX)));
}

#[test]
fn nobody_gives_to_who_is_not_known_or_known_no_more() {
    let mut desk = desk(rules());
    desk.ask(Caller::Host, DbRequest::Forget(UserId(2))).unwrap();
    for user in [2, 9] {
        let order =
            Order { user: UserId(user), amounts: amounts(&[("coin", 1)]), note: String::new(), request: "r".into() };
        let granted = desk.ask(Caller::Operator, DbRequest::Economy(Request::Grant(order)));
        assert!(matches!(granted, Err(Refusal::NotFound(_))), "{granted:?}");
        let saved = desk.ask(Caller::Host, scene_saves(1, vec![Operation::Grant(amount(user, "coin", 1))]));
        assert!(matches!(saved, Err(Refusal::NotFound(_))), "{saved:?}");
    }
    assert_eq!(economy_of(&desk), [] as [&str; 0]);
}

#[test]
fn saves_that_cannot_be_are_refused() {
    let mut desk = desk(rules());
    let many = |count| vec![Operation::Grant(amount(1, "coin", 1)); count];
    for (caller, request, expected) in [
        (Caller::User(UserId(1)), scene_saves(1, many(1)), "Forbidden"),
        (Caller::Operator, scene_saves(1, many(1)), "Forbidden"),
        (Caller::User(UserId(1)), DbRequest::Save(save::Request::Ended(life(1))), "Forbidden"),
        (Caller::Host, scene_saves(1, many(0)), "Invalid"),
        (Caller::Host, scene_saves(1, many(OPERATIONS_MAX + 1)), "Invalid"),
        (Caller::Host, scene_saves(1, vec![Operation::Grant(amount(1, "crown", 1))]), "Invalid"),
        (Caller::Host, scene_saves(1, vec![Operation::Grant(amount(1, "coin", 0))]), "Invalid"),
        (Caller::Host, scene_saves(1, vec![Operation::Spend(amount(1, "gem", u64::MAX)); 2]), "Invalid"),
    ] {
        let told = desk.ask(caller, request.clone()).expect_err("it is refused");
        assert!(format!("{told:?}").starts_with(expected), "{request:?} {told:?}");
        assert_eq!(economy_of(&desk), [] as [&str; 0]);
    }
    for id in 0..=SAVES_PER_SCENE_MAX as u64 {
        let result = desk.ask(Caller::Host, scene_saves(id, vec![put(1, None)]));
        assert_eq!(result.is_ok(), id < SAVES_PER_SCENE_MAX as u64, "{result:?}");
    }
}

/// One request of a random history, and what happens right after it.
#[derive(Debug, Clone)]
struct Step {
    user: u64,
    what: usize,
    /// Small, so that ids are used again, rightly and wrongly.
    id: u64,
    count: u64,
    syncs: usize,
    crash: bool,
}

fn step() -> impl Strategy<Value = Step> {
    (1..4_u64, 0..9_usize, 0..4_u64, 1..4_u64, 0..5_usize, prop::bool::weighted(0.2))
        .prop_map(|(user, what, id, count, syncs, crash)| Step { user, what, id, count, syncs, crash })
}

fn request(step: &Step) -> (Caller, DbRequest) {
    let Step { user, what, count, .. } = *step;
    let id = format!("{}", step.id);
    match what {
        0 => (Caller::User(UserId(user)), buy("hat", 1, &id)),
        1 => (Caller::User(UserId(user)), buy("potion", count, &id)),
        2 => (Caller::User(UserId(user)), buy("daily", 1, &id)),
        3 => (Caller::User(UserId(user)), buy("gem", count, &id)),
        4 => (Caller::Operator, grant(user, &[("coin", 10 * count)], &id)),
        5 => (Caller::Operator, spend(user, &[("coin", 5 * count)], &id)),
        6 => {
            let given = Operation::Grant(amount(user, "coin", 4 * count));
            let taken = Operation::Spend(amount(user % 3 + 1, "potion", 1));
            (Caller::Host, scene_saves(step.id, vec![given, taken]))
        }
        _ => (Caller::Operator, refund(user, count, &id)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn nothing_is_lost_made_from_nothing_or_done_twice(steps in prop::collection::vec(step(), 1..16)) {
        let mut desk = desk(rules());
        let mut asked = Vec::new();
        for step in &steps {
            let (caller, what) = request(step);
            asked.push((step.user, desk.begin(caller, what)));
            for _ in 0..step.syncs {
                desk.sync_one();
            }
            if step.crash {
                desk.crash();
            }
        }
        desk.settle();
        fits_together(&desk);
        let entries = ledger(&desk);
        // No acknowledged change is lost.
        for (user, number) in asked {
            if let Some(Ok(DbAnswer::Economy(Answer::Changed { number, entry, .. }))) = desk.answer(number) {
                let kept = &entries[&(user, number)];
                prop_assert_eq!((&kept.kind, &kept.by, &kept.postings), (&entry.kind, &entry.by, &entry.postings));
            }
        }
        // No request has its effect twice.
        let mut done = BTreeSet::new();
        for ((user, _), entry) in &entries {
            prop_assert!(done.insert((*user, format!("{:?}", entry.by))), "{:?} twice", entry);
        }
        conserved(&desk, &entries);
        not_oversold(&entries);
    }
}

fn ledger(desk: &Desk) -> BTreeMap<(u64, u64), Entry> {
    let of = |(key, value): (&String, &Vec<u8>)| {
        let (user, number) = key.strip_prefix("ledger/")?.split_once('/')?;
        let number = u64::from_str_radix(number, 16).unwrap();
        Some(((user.parse::<UserId>().unwrap().0, number), record::decode::<Entry>(key, value).unwrap()))
    };
    desk.store.iter().filter_map(of).collect()
}

/// What all wallets have and what all counter accounts have is nothing in sum.
fn conserved(desk: &Desk, entries: &BTreeMap<(u64, u64), Entry>) {
    let mut all: BTreeMap<String, i64> = BTreeMap::new();
    for (key, value) in desk.store.iter().filter(|(key, _)| key.starts_with("wallet/")) {
        for (asset, count) in record::decode::<Wallet>(key, value).unwrap().balances {
            *all.entry(asset).or_default() += i64::try_from(count).unwrap();
        }
    }
    for posting in entries.values().flat_map(|entry| &entry.postings) {
        if posting.account != Account::User {
            *all.entry(posting.asset.clone()).or_default() += posting.amount;
        }
    }
    assert!(all.values().all(|sum| *sum == 0), "{all:?}");
}

fn not_oversold(entries: &BTreeMap<(u64, u64), Entry>) {
    let mut sold: BTreeMap<&str, u64> = BTreeMap::new();
    for entry in entries.values().filter(|entry| entry.refunded_by.is_none()) {
        if let Kind::Purchase { offer, count } = &entry.kind {
            assert!(matches!(entry.by, By::User(_)));
            *sold.entry(offer).or_default() += count;
        }
    }
    assert!(sold.get("hat").is_none_or(|sold| *sold <= 1), "{sold:?}");
    assert!(sold.get("potion").is_none_or(|sold| *sold <= 6), "{sold:?}");
}
