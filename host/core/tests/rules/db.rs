//! Db itself: loads, waits, limits, and that transactions are whole and serial. With stored records, the plainest
//! feature.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use proptest::prelude::*;
use scenehost_core::db::{Answer, Asker, Caller, Db, Event, REQUEST_MS_MAX, Request, Rules};
use scenehost_core::storage::{self, Change, Owner, Readers, Whose};
use scenehost_core::{
    Effects, GameName, Message, Meter, Refusal, Service, ServiceName, UserId, chat, consistency, friends, guild,
    profile, record,
};
use serde_json::json;

use crate::desk::Desk;
use crate::table::short;
use crate::world::World;

fn game() -> GameName {
    GameName::from("gomoku")
}

fn rules() -> Rules {
    Rules { games: BTreeSet::from([game()]), ..Rules::default() }
}

fn change(key: &str, value: Option<&[u8]>) -> Change {
    Change {
        whose: Whose::Own,
        key: key.to_owned(),
        value: value.map(<[u8]>::to_vec),
        readers: None,
        writers: None,
        if_version: None,
    }
}

fn write(changes: Vec<Change>) -> Request {
    Request::Storage(storage::Request::Write { game: game(), changes })
}

fn read(whose: Whose, key: &str) -> Request {
    Request::Storage(storage::Request::Read { game: game(), whose, keys: vec![key.to_owned()] })
}

fn value_of(answer: Result<Answer, Refusal>) -> Option<Vec<u8>> {
    match answer.unwrap() {
        Answer::Storage(storage::Answer::Records(records)) => records.into_iter().next().map(|(_, it)| it.value),
        other => panic!("{other:?}"),
    }
}

/// A Db that has looked for leaderboards and found none.
fn begun() -> World<Db> {
    let mut world = World::new(Db::new(rules()));
    let told = world.tell(Event::Tick);
    let [Message::ScanForDb(scan)] = &told[..] else { panic!("{told:?}") };
    assert_eq!(world.tell(Event::Scanned { job: scan.job, records: Ok(Vec::new()) }), []);
    world
}

#[test]
fn what_is_missing_is_loaded_together_and_once_for_all_who_wait() {
    let mut world = begun();
    let ask = |world: &mut World<Db>, number, key: &str| {
        let asker = Asker::Door(number);
        let request = Box::new(read(Whose::Of(Owner::User(UserId(1))), key));
        world.tell(Event::Req { caller: Caller::Host, asker, request })
    };
    let told = ask(&mut world, 1, "a");
    let [Message::LoadForDb(load)] = &told[..] else { panic!("{told:?}") };
    assert_eq!(load.keys, ["storage/gomoku/0000000000000001/a"]);
    assert_eq!(ask(&mut world, 2, "a"), [], "it is being loaded already");
    assert_eq!(world.service.meters()[0], Meter::now("scenehost_db_waiting_requests", 2));
    let told = world.tell(Event::Loaded { job: load.job, values: Ok(vec![None]) });
    assert_eq!(told.iter().map(short).collect::<Vec<_>>(), ["Door Storage", "Door Storage"]);
    let meters = world.service.meters();
    let expected = [Meter::now("scenehost_db_waiting_requests", 0), Meter::now("scenehost_db_cache_records", 1)];
    assert_eq!(meters[..2], expected);
    let told = ask(&mut world, 3, "a");
    assert_eq!(told.iter().map(short).collect::<Vec<_>>(), ["Door Storage"], "also that there is none is known");
}

#[test]
fn a_load_that_is_older_than_a_write_does_not_undo_it() {
    let mut desk = Desk::new(rules());
    desk.ask_as(1, write(vec![change("a", Some(b"old"))])).unwrap();
    // A Db that knows nothing yet: one request waits for its load, another writes meanwhile.
    desk.crash();
    let first = desk.begin(Caller::User(UserId(1)), read(Whose::Own, "a"));
    let second = desk.begin(Caller::User(UserId(1)), write(vec![change("a", Some(b"new"))]));
    desk.settle();
    assert_eq!(value_of(desk.answer(first).unwrap()).unwrap(), b"old");
    desk.answer(second).unwrap().unwrap();
    assert_eq!(value_of(desk.ask_as(1, read(Whose::Own, "a"))).unwrap(), b"new");
}

#[test]
fn who_waits_is_answered_when_the_store_fails_is_silent_or_goes_down() {
    let ask = |world: &mut World<Db>| {
        let asker = Asker::Door(1);
        let request = Box::new(read(Whose::Own, "a"));
        world.tell(Event::Req { caller: Caller::User(UserId(1)), asker, request })
    };
    let shorts = |told: &[Message]| told.iter().map(short).collect::<Vec<_>>();
    let mut world = begun();
    let told = ask(&mut world);
    let [Message::LoadForDb(load)] = &told[..] else { panic!("{told:?}") };
    let told = world.tell(Event::Loaded { job: load.job, values: Err(()) });
    assert_eq!(shorts(&told), ["Door ✗ServiceDown"]);

    assert_eq!(shorts(&ask(&mut world)), ["load"]);
    assert_eq!(shorts(&world.pass_ms(REQUEST_MS_MAX)), ["Door ✗TimedOut"]);
    assert_eq!(shorts(&ask(&mut world)), ["load"], "it is asked for again");

    let down = |up| Event::Service { service: ServiceName::Db, up };
    assert_eq!(shorts(&world.tell(down(false))), ["Door ✗ServiceDown"]);
    assert_eq!(shorts(&ask(&mut world)), ["Door ✗ServiceDown"]);
    assert_eq!(shorts(&world.tell(down(true))), [] as [&str; 0]);
    assert_eq!(shorts(&ask(&mut world)), ["load"]);
    assert!(world.deadline().is_some());
}

#[test]
fn word_of_a_sync_is_asked_for_only_where_it_waits_for_the_writes() {
    let mut world = begun();
    let ask = |world: &mut World<Db>, value: &[u8]| {
        let of_game = Change { whose: Whose::Of(Owner::Game), ..change("a", Some(value)) };
        let request = Box::new(write(vec![of_game]));
        world.tell(Event::Req { caller: Caller::Host, asker: Asker::Nobody, request })
    };
    let mut told = ask(&mut world, b"first");
    while let [Message::LoadForDb(load)] = &told[..] {
        told = world.tell(Event::Loaded { job: load.job, values: Ok(vec![None; load.keys.len()]) });
    }
    let [Message::Db(Event::Synced { number: 1 })] = told[..] else { panic!("{told:?}") };
    assert_eq!(ask(&mut world, b"second"), [], "word of it is asked for when that of the first is there");

    world.tell(Event::Service { service: ServiceName::Db, up: false });
    assert!(world.service.speaks_at_once());
    assert_eq!(world.tell(Event::Synced { number: 1 }), [], "the second waits still, and this would not");
    let told = world.tell(Event::Service { service: ServiceName::Db, up: true });
    assert!(matches!(told[..], [Message::Db(Event::Synced { number: 2 })]), "{told:?}");
    assert!(!world.service.speaks_at_once());
}

#[test]
fn word_of_a_sync_that_is_lost_is_asked_for_again_so_that_memory_stays_bounded() {
    let mut desk = Desk::new(rules());
    desk.world.service = Db::with_cache(rules(), 20_000);
    // What Db tells itself is dropped, as by an inbox that is full.
    let mut asked = 0;
    for number in 0..40 {
        desk.begin(Caller::User(UserId(1)), write(vec![change(&number.to_string(), Some(&[7; 4_000]))]));
        while let Some(effects) = desk.take_effects() {
            let lost = |message: &Message| matches!(message, Message::Db(Event::Synced { .. }));
            asked += effects.messages.iter().filter(|message| lost(message)).count();
            desk.carry_out(Effects {
                messages: effects.messages.iter().filter(|it| !lost(it)).cloned().collect(),
                ..effects
            });
        }
        desk.world.now = desk.world.now.plus_ms(10_000);
        desk.tell(Event::Tick);
    }
    assert!(asked >= 40, "asked {asked} times");
    desk.settle();
    let before = desk.loads;
    value_of(desk.ask_as(1, read(Whose::Own, "0"))).expect("it is stored");
    assert!(desk.loads > before, "the oldest was let go once the word came");
}

#[test]
fn a_record_that_cannot_be_read_is_told_to_operators_and_refused() {
    let mut desk = Desk::new(rules());
    desk.store.insert("storage/gomoku/0000000000000001/a".to_owned(), b"{".to_vec());
    desk.begin(Caller::Host, read(Whose::Of(Owner::User(UserId(1))), "a"));
    let told = desk.world.step(Event::Loaded { job: 2, values: Ok(vec![Some(b"{".to_vec())]) });
    assert_eq!(told.messages.iter().map(short).collect::<Vec<_>>(), ["Door ✗Internal"]);
    assert!(told.faults[0].contains("storage/gomoku/0000000000000001/a"), "{:?}", told.faults);
}

#[test]
fn changes_are_made_together_or_not_at_all() {
    let mut desk = Desk::new(rules());
    let mut second = change("b", Some(b"2"));
    second.if_version = Some(9);
    let refused = desk.ask_as(1, write(vec![change("a", Some(b"1")), second]));
    assert!(matches!(refused, Err(Refusal::Conflict(_))), "{refused:?}");
    assert_eq!(desk.kept(), [] as [&str; 0]);
}

#[test]
fn a_write_that_depends_on_a_version_never_undoes_another_also_over_a_removal() {
    let mut desk = Desk::new(rules());
    let version = |answer: Result<Answer, Refusal>| match answer.unwrap() {
        Answer::Storage(storage::Answer::Written(versions)) => versions[0],
        other => panic!("{other:?}"),
    };
    let with = |if_version, value: Option<&[u8]>| write(vec![Change { if_version, ..change("a", value) }]);
    let first = version(desk.ask_as(1, with(Some(0), Some(b"1"))));
    assert!(matches!(desk.ask_as(1, with(Some(0), Some(b"2"))), Err(Refusal::Conflict(_))));
    assert_eq!(version(desk.ask_as(1, with(Some(first), None))), 0);
    desk.world.pass_ms(1);
    let again = version(desk.ask_as(1, with(Some(0), Some(b"3"))));
    assert!(again > first);
    assert!(matches!(desk.ask_as(1, with(Some(first), Some(b"4"))), Err(Refusal::Conflict(_))));
}

#[test]
fn versions_grow_over_removals_within_one_moment_and_when_the_clock_is_set_back() {
    let mut desk = Desk::new(rules());
    let written = |desk: &mut Desk, changes| match desk.ask_as(1, write(changes)).unwrap() {
        Answer::Storage(storage::Answer::Written(versions)) => versions,
        other => panic!("{other:?}"),
    };
    let (put, gone) = (|| change("a", Some(b"1")), || change("a", None));
    let mut versions = written(&mut desk, vec![put(), put(), gone(), put()]);
    desk.world.now = scenehost_core::Time(desk.world.now.0 - 5_000);
    versions.extend(written(&mut desk, vec![gone()]));
    versions.extend(written(&mut desk, vec![put(), gone(), put()]));
    versions.retain(|version| *version != 0);
    assert!(versions.is_sorted_by(|one, next| one < next), "{versions:?}");
}

#[test]
fn a_record_shows_itself_to_those_it_says_and_only_the_game_writes_what_is_the_games() {
    let mut desk = Desk::new(rules());
    let own = Whose::Of(Owner::User(UserId(1)));
    for (readers, seen_by_others) in [(Readers::Owner, false), (Readers::All, true), (Readers::Game, false)] {
        desk.ask_as(1, write(vec![Change { readers: Some(readers), ..change("a", Some(b"1")) }])).unwrap();
        assert_eq!(value_of(desk.ask_as(1, read(own, "a"))).is_some(), readers != Readers::Game);
        assert_eq!(value_of(desk.ask_as(2, read(own, "a"))).is_some(), seen_by_others, "{readers:?}");
        assert!(value_of(desk.ask(Caller::Operator, read(own, "a"))).is_some());
    }
    let of_game = Change { writers: Some(storage::Writers::Game), whose: own, ..change("b", Some(b"1")) };
    desk.ask(Caller::Operator, write(vec![of_game])).unwrap();
    assert!(matches!(desk.ask_as(1, write(vec![change("b", None)])), Err(Refusal::Forbidden(_))));
    let foreign = Change { whose: Whose::Of(Owner::Game), ..change("c", Some(b"1")) };
    assert!(matches!(desk.ask_as(1, write(vec![foreign.clone()])), Err(Refusal::Forbidden(_))));
    desk.ask(Caller::Operator, write(vec![foreign])).unwrap();
    assert_eq!(desk.news.len(), 1, "the user hears of what others have changed: {:?}", desk.news);
}

#[test]
fn everything_of_a_user_is_exported_and_removed_and_what_is_left_fits_together() {
    let mut desk = Desk::new(rules());
    for user in [1, 2, 3] {
        desk.ask(Caller::Host, Request::Enter(UserId(user), "Ada".to_owned())).unwrap();
        desk.ask_as(user, write(vec![change("a", Some(b"1")), change("b", Some(b"2"))])).unwrap();
    }
    let say = |to| {
        Request::Chat(chat::Request::Say { to: chat::To::Direct(UserId(to)), name: "Ada".into(), text: "hi".into() })
    };
    for (user, to) in [(1, 2), (3, 1), (2, 3)] {
        desk.ask_as(user, say(to)).unwrap();
    }
    let act = |user, act| Request::Friends(friends::Request::Do(act, UserId(user)));
    for (user, request) in [
        (1, act(2, friends::Act::Ask)),
        (2, act(1, friends::Act::Accept)),
        (1, act(3, friends::Act::Block)),
        (3, act(1, friends::Act::Ask)),
    ] {
        desk.ask_as(user, request).unwrap();
    }
    let found_guild = guild::Request::Create {
        name: "Owls".into(),
        tag: String::new(),
        about: String::new(),
        entry: guild::Entry::Open,
    };
    let Ok(Answer::Guild(guild::Answer::Guild(view))) = desk.ask_as(1, Request::Guild(found_guild)) else {
        panic!("a guild")
    };
    desk.ask_as(2, Request::Guild(guild::Request::Join(view.id))).unwrap();

    let Ok(Answer::Export(kept)) = desk.ask(Caller::Host, Request::Export(UserId(1))) else { panic!("an export") };
    assert_eq!((&kept["profile"]["name"], &kept["records"]["gomoku"]["b"]["value"]), (&json!("Ada"), &json!("Mg==")));
    assert_eq!(kept["chat"]["talks"].as_object().map(serde_json::Map::len), Some(2));
    assert!(kept["guild"]["guild"].is_u64(), "{kept}");

    desk.store.insert(record::forget_key(UserId(1)), Vec::new());
    desk.ask(Caller::Host, Request::Forget(UserId(1))).unwrap();
    let of_first = UserId(1).to_string();
    assert!(desk.store.keys().all(|key| !key.contains(&of_first)), "{:?}", desk.store.keys());
    assert_eq!(found(&desk.store), [] as [&str; 0]);
    let Ok(Answer::Guild(guild::Answer::Guild(view))) =
        desk.ask_as(2, Request::Guild(guild::Request::Show(guild::Which::Own)))
    else {
        panic!("the guild goes on")
    };
    assert_eq!(view.members.len(), 1);
}

#[test]
fn what_comes_late_brings_nothing_of_a_deleted_user_back() {
    let mut desk = Desk::new(rules());
    desk.ask_as(1, write(vec![change("a", Some(b"1"))])).unwrap();
    desk.ask(Caller::Host, Request::Forget(UserId(1))).unwrap();
    let about = profile::Request::Change { status: None, avatar: None, about: Some("me".to_owned()) };
    let name = "Owls".to_owned();
    let found_guild =
        guild::Request::Create { name, tag: String::new(), about: String::new(), entry: guild::Entry::Open };
    let say = chat::Request::Say { to: chat::To::Direct(UserId(2)), name: "Ada".into(), text: "hi".into() };
    let late = [
        Request::Profile(about),
        write(vec![change("a", Some(b"2"))]),
        Request::Guild(found_guild),
        Request::Chat(say),
    ];
    for request in late {
        let refused = desk.ask_as(1, request);
        assert!(matches!(refused, Err(Refusal::NotFound(_))), "{refused:?}");
    }
    let of_nobody = Change { whose: Whose::Of(Owner::User(UserId(1))), ..change("a", Some(b"3")) };
    assert!(matches!(desk.ask(Caller::Operator, write(vec![of_nobody])), Err(Refusal::NotFound(_))));
    assert_eq!(desk.store, BTreeMap::new());
}

#[test]
fn who_was_still_coming_in_when_the_account_was_deleted_leaves_nothing_either() {
    let mut desk = Desk::new(rules());
    desk.ask_as(1, write(vec![change("a", Some(b"1"))])).unwrap();
    desk.take_over();
    // What is needed to remove the user is in memory or comes at once; something else that is needed to come in is late.
    desk.ask_as(1, Request::Friends(friends::Request::List(friends::Which::Friends))).unwrap();
    assert!(desk.ask_as(1, Request::Guild(guild::Request::Show(guild::Which::Own))).is_err(), "no guild");
    let entering = desk.begin(Caller::Host, Request::Enter(UserId(1), "Ada".to_owned()));
    let load = desk.take_effects().expect("it waits for records");
    desk.begin(Caller::Host, Request::Forget(UserId(1)));
    desk.settle();
    desk.carry_out(load);
    desk.settle();
    assert!(matches!(desk.answer(entering), Some(Ok(Answer::Entered(_)))));
    assert_eq!(desk.store, BTreeMap::new());
}

#[test]
fn operators_are_told_when_what_is_kept_of_a_deleted_user_cannot_be_removed() {
    let mut world = World::new(Db::new(rules()));
    let key = guild::place_key(UserId(1));
    let forget = || {
        let request = Box::new(Request::Forget(UserId(1)));
        Event::Req { caller: Caller::Host, asker: Asker::Nobody, request }
    };
    let mut effects = world.step(forget());
    while let Some(Message::LoadForDb(load)) = effects.messages.first() {
        let value = |it: &String| (*it == key).then(|| b"?".to_vec());
        let values = Ok(load.keys.iter().map(value).collect());
        effects = world.step(Event::Loaded { job: load.job, values });
    }
    let [unreadable, stays] = &effects.faults[..] else { panic!("{effects:?}") };
    assert!(unreadable.contains(&key) && stays.contains(&UserId(1).to_string()), "{stays}");
    assert_eq!(effects.writes, []);

    // What passes by itself is nothing to tell: it is tried again.
    world.tell(Event::Service { service: ServiceName::Db, up: false });
    assert_eq!(world.step(forget()), Effects::default());
}

/// What a check of the store finds.
fn found(store: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let records = store.iter().map(|(key, value)| Ok::<_, Infallible>((key.clone(), value.clone())));
    consistency::check(records, |key| Ok(store.get(key).cloned())).unwrap().problems
}

#[test]
fn stored_records_fit_together_and_damage_is_found() {
    let mut desk = Desk::new(rules());
    desk.ask_as(1, write(vec![change("a", Some(b"1")), change("b/c", Some(b"2"))])).unwrap();
    assert_eq!(found(&desk.store), [] as [&str; 0]);
    for key in desk.kept() {
        let mut missing = desk.store.clone();
        missing.remove(key);
        assert_ne!(found(&missing), [] as [&str; 0], "{key} is missing");
        let mut unreadable = desk.store.clone();
        unreadable.insert(key.to_owned(), b"?".to_vec());
        assert!(found(&unreadable).iter().any(|it| it.starts_with(key)), "{key}");
    }
}

#[test]
fn bad_requests_are_refused_and_change_nothing() {
    let many = |count: usize| (0..count).map(|it| change(&format!("k{it}"), Some(b"1"))).collect::<Vec<_>>();
    let keys = |count: usize| (0..count).map(|it| it.to_string()).collect::<Vec<_>>();
    let reading = |keys| Request::Storage(storage::Request::Read { game: game(), whose: Whose::Own, keys });
    let elsewhere = |game: &str| {
        Request::Storage(storage::Request::List { game: game.into(), whose: Whose::Own, after: String::new() })
    };
    let listing = |whose| Request::Storage(storage::Request::List { game: game(), whose, after: String::new() });
    let cases = [
        ("no change", write(Vec::new()), "Invalid"),
        ("too many changes", write(many(storage::AT_ONCE_MAX + 1)), "Invalid"),
        ("an empty key", write(vec![change("", Some(b"1"))]), "Invalid"),
        ("a long key", write(vec![change(&"k".repeat(129), Some(b"1"))]), "Invalid"),
        ("a key with a line break", write(vec![change("a\nb", Some(b"1"))]), "Invalid"),
        ("a large value", write(vec![change("a", Some(&[0; 16_385]))]), "Invalid"),
        ("no keys", reading(Vec::new()), "Invalid"),
        ("too many keys", reading(keys(33)), "Invalid"),
        ("an unknown game", elsewhere("chess"), "NotFound"),
        ("a game with a path", elsewhere("../user"), "NotFound"),
        ("a long game", elsewhere(&"g".repeat(10_000)), "NotFound"),
        ("another's list", listing(Whose::Of(Owner::User(UserId(2)))), "Forbidden"),
        ("the game's list", listing(Whose::Of(Owner::Game)), "Forbidden"),
    ];
    for (what, request, expected) in cases {
        let mut desk = Desk::new(rules());
        let refused = desk.ask_as(1, request).expect_err(what);
        assert!(format!("{refused:?}").starts_with(expected), "{what}: {refused:?}");
        assert!(refused.to_string().len() < 200, "{what}: {refused}");
        assert_eq!(desk.kept(), [] as [&str; 0], "{what}");
    }
    let mut desk = Desk::new(rules());
    for key in 0..100 {
        desk.ask_as(1, write(vec![change(&format!("{key:03}"), Some(b"1"))])).unwrap();
    }
    assert!(matches!(desk.ask_as(1, write(vec![change("one more", Some(b"1"))])), Err(Refusal::Invalid(_))));
    let listed = desk.ask_as(1, listing(Whose::Own)).unwrap();
    let Answer::Storage(storage::Answer::Keys(keys, true)) = listed else { panic!("{listed:?}") };
    assert_eq!((keys.len(), keys[0].as_str()), (storage::AT_ONCE_MAX, "000"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Against the plainest reference, a map, with a memory that holds next to nothing and power that fails: what
    /// was acknowledged is there, and what was not is there whole or not at all.
    #[test]
    fn acknowledged_writes_survive(
        steps in prop::collection::vec((1..3_u64, 0..4_usize, prop::option::of(0..9_u8), 0..12_u32), 1..60),
    ) {
        let mut desk = Desk::new(rules());
        desk.world.service = Db::with_cache(rules(), 900);
        let mut expected = BTreeMap::new();
        for (user, key, value, crash) in steps {
            let key = ["a", "b", "c", "d"][key];
            let request = write(vec![change(key, value.map(|it| vec![it]).as_deref())]);
            let number = desk.begin(Caller::User(UserId(user)), request);
            for _ in 0..crash {
                desk.sync_one();
            }
            if crash < 6 {
                desk.crash();
                desk.world.service = Db::with_cache(rules(), 900).numbered_after(desk.syncs << 32);
            } else {
                desk.settle();
            }
            let read_now = value_of(desk.ask_as(user, read(Whose::Own, key)));
            let before = expected.get(&(user, key)).cloned();
            let after = value.map(|it| vec![it]);
            match desk.answer(number) {
                Some(answer) => {
                    answer.unwrap();
                    prop_assert_eq!(&read_now, &after);
                }
                None => prop_assert!(read_now == before || read_now == after),
            }
            match read_now {
                Some(value) => _ = expected.insert((user, key), value),
                None => _ = expected.remove(&(user, key)),
            }
        }
    }
}
