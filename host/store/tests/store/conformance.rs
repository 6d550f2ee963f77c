//! What both drivers promise: each test runs against RocksDB and against PostgreSQL.

use std::time::Duration;

use scenehost_core::Write;
use scenehost_store::{BATCH_BYTES_MAX, Error, Expected, KEY_BYTES_MAX, Outcome, Store, VALUE_BYTES_MAX};

use crate::place::{Place, commit, delete, put, text, within};

macro_rules! for_both {
    ($($test:ident)*) => {$(
        mod $test {
            use super::Place;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn rocks() {
                super::$test(Place::rocks()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$test(Place::postgres()).await;
            }
        }
    )*};
}

for_both! {
    what_was_acknowledged_is_there_when_it_is_opened_again
    records_are_in_the_order_of_bytes_and_ranges_and_prefixes_are_exact
    a_batch_is_made_whole_and_the_last_change_of_a_record_counts
    batches_of_one_handle_are_made_in_the_order_in_which_they_were_given
    a_condition_is_looked_at_when_its_turn_comes
    of_many_who_want_the_same_exactly_one_gets_it_each_time
    what_no_driver_takes_is_refused_and_nothing_of_it_is_made
    the_largest_value_and_the_longest_key_come_back_as_they_were
    a_store_that_ends_writes_what_was_given_and_refuses_what_comes_later
    a_read_only_store_shows_all_records_in_order_page_by_page
}

async fn what_was_acknowledged_is_there_when_it_is_opened_again(place: Place) {
    let store = place.open().await.expect("it opens");
    assert_eq!(store.get("a").await.expect("it can be read"), None);
    commit(&store, vec![put("a", "1"), put("b", "2")]).await.expect("it is up");
    commit(&store, vec![delete("b"), delete("never")]).await.expect("it is up");
    store.finish(Duration::from_secs(10)).await.expect("nothing is left");
    drop(store);
    let store = place.open().await.expect("it opens again");
    assert_eq!((text(&store, "a").await.as_deref(), text(&store, "b").await), (Some("1"), None));
    let keys = ["b", "a", "a", "c"].map(str::to_owned);
    let found = store.get_all(&keys).await.expect("it can be read");
    assert_eq!(found, [None, Some(b"1".to_vec()), Some(b"1".to_vec()), None]);
    // RocksDB may have it in memory, PostgreSQL never has; what it says is right.
    let from_memory = store.get_from_memory(&keys);
    assert!(from_memory.is_none_or(|values| values == found));
    assert!(*store.up().borrow());
}

async fn records_are_in_the_order_of_bytes_and_ranges_and_prefixes_are_exact(place: Place) {
    let store = place.open().await.expect("it opens");
    let mut keys =
        ["a/1", "a/10", "a/2", "a/Z", "a/a", "a/ä", "a/\u{7f}", "a/\u{10ffff}", "a0", "A", "b", "\u{1}", " "];
    commit(&store, keys.iter().map(|key| put(key, key)).collect()).await.expect("it is up");
    keys.sort_unstable_by_key(|key| key.as_bytes());

    let names = |records: Vec<(String, Vec<u8>)>| {
        assert!(records.iter().all(|(key, value)| key.as_bytes() == value));
        records.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    let all = names(store.scan("").await.expect("it can be read"));
    assert_eq!(all, keys);
    let prefixed = names(store.scan("a/").await.expect("it can be read"));
    assert_eq!(prefixed, keys.iter().filter(|key| key.starts_with("a/")).copied().collect::<Vec<_>>());
    assert_eq!(names(store.scan("a/\u{10ffff}").await.expect("it can be read")), ["a/\u{10ffff}"]);
    assert!(store.scan("c").await.expect("it can be read").is_empty());

    let range = names(store.records("a/10", "a/a", 10).await.expect("it can be read"));
    assert_eq!(range, ["a/10", "a/2", "a/Z"], "from the first on, before the last");
    assert_eq!(store.keys("a/10", "a/a", 2).await.expect("it can be read"), ["a/10", "a/2"]);
    assert_eq!(store.keys("", "\u{2}", 9).await.expect("it can be read"), ["\u{1}"]);
    for (from, to, limit) in [("a", "a", 9), ("b", "a", 9), ("a", "b", 0)] {
        assert!(store.keys(from, to, limit).await.expect("it can be read").is_empty(), "{from} {to} {limit}");
    }
}

async fn a_batch_is_made_whole_and_the_last_change_of_a_record_counts(place: Place) {
    let store = place.open().await.expect("it opens");
    let writes = vec![put("a", "1"), delete("a"), put("b", "1"), put("a", "2"), put("c", ""), delete("b")];
    commit(&store, writes).await.expect("it is up");
    let all = store.scan("").await.expect("it can be read");
    assert_eq!(all, [("a".to_owned(), b"2".to_vec()), ("c".to_owned(), Vec::new())]);
    commit(&store, Vec::new()).await.expect("nothing is something, too");
}

async fn batches_of_one_handle_are_made_in_the_order_in_which_they_were_given(place: Place) {
    let store = place.open().await.expect("it opens");
    let mut commits = Vec::new();
    for number in 0..2_000_u32 {
        let mut writes = vec![put("last", number.to_string()), put(&format!("each/{number:04}"), "")];
        writes.extend((number > 0).then(|| delete(&format!("each/{:04}", number - 1))));
        // Clones are one handle.
        commits.push(store.clone().begin(writes).await.expect("it is up"));
    }
    let last = commits.last_mut().expect("there are some");
    within("the last", last.synced()).await.expect("it is made");
    assert_eq!(text(&store, "last").await.as_deref(), Some("1999"));
    assert_eq!(store.keys("each/", "each0", 9).await.expect("it can be read"), ["each/1999"]);
    for commit in &mut commits[..1_999] {
        let made = tokio::time::timeout(Duration::from_secs(1), commit.synced()).await;
        made.expect("those before it are made, too").expect("they are made");
    }
}

fn expected(key: &str, value: Option<&str>) -> Expected {
    Expected { key: key.to_owned(), value: value.map(|value| value.as_bytes().to_vec()) }
}

async fn commit_if(store: &Store, conditions: &[(&str, Option<&str>)], writes: Vec<Write>) -> Outcome {
    let conditions = conditions.iter().map(|(key, value)| expected(key, *value)).collect();
    within("the outcome", store.commit_if(conditions, writes)).await.expect("it is up")
}

async fn a_condition_is_looked_at_when_its_turn_comes(place: Place) {
    use Outcome::{Committed, Conflict};
    let store = place.open().await.expect("it opens");
    assert_eq!(commit_if(&store, &[("a", None)], vec![put("a", "1"), put("b", "1")]).await, Committed);
    assert_eq!(commit_if(&store, &[("a", None)], vec![put("a", "2")]).await, Conflict);
    assert_eq!(commit_if(&store, &[("a", Some("2"))], vec![put("a", "3")]).await, Conflict);
    assert_eq!(commit_if(&store, &[("a", Some("1")), ("c", None)], vec![delete("b")]).await, Committed);
    assert_eq!(commit_if(&store, &[("a", Some("1")), ("b", Some("1"))], vec![put("d", "")]).await, Conflict);
    assert_eq!(commit_if(&store, &[("a", Some("1")), ("a", Some("1"))], vec![]).await, Committed, "said twice");
    assert_eq!(commit_if(&store, &[("e", Some(""))], vec![put("f", "")]).await, Conflict, "nothing is not empty");
    let all = store.scan("").await.expect("it can be read");
    assert_eq!(all, [("a".to_owned(), b"1".to_vec())], "what was looked for is not left behind");

    // Those before it in the order count, also if they are made together.
    let first = store.begin(vec![put("a", "4")]).await.expect("it is up");
    let on_that = store.commit_if(vec![expected("a", Some("4"))], vec![put("a", "5")]);
    let not_any_more = store.commit_if(vec![expected("a", Some("4"))], vec![put("a", "6")]);
    let (on_that, not_any_more) = tokio::join!(on_that, not_any_more);
    assert_eq!((on_that.expect("it is up"), not_any_more.expect("it is up")), (Committed, Conflict));
    drop(first);
    assert_eq!(text(&store, "a").await.as_deref(), Some("5"));
}

async fn of_many_who_want_the_same_exactly_one_gets_it_each_time(place: Place) {
    const EACH: u32 = 25;
    let store = place.open().await.expect("it opens");
    // With a database these are processes of their own.
    let others = match place {
        Place::Rocks(_) => [store.clone(), store.clone()],
        Place::Postgres(_) => [place.open().await.expect("it opens"), place.open().await.expect("it opens")],
    };
    let count = |store: Store| async move {
        let mut conflicts = 0;
        for _ in 0..EACH {
            loop {
                let now = text(&store, "count").await;
                let next = now.as_deref().map_or(0, |now| now.parse::<u32>().expect("a number")) + 1;
                let key = format!("made/{next:03}");
                let writes = vec![put("count", next.to_string()), put(&key, "")];
                let conditions = [("count", now.as_deref()), (key.as_str(), None)];
                if commit_if(&store, &conditions, writes).await == Outcome::Committed {
                    break;
                }
                conflicts += 1;
            }
        }
        conflicts
    };
    let tasks = [store.clone()].into_iter().chain(others).map(|store| tokio::spawn(count(store)));
    let mut conflicts = 0;
    for task in tasks.collect::<Vec<_>>() {
        conflicts += within("the counts", task).await.expect("nobody panics");
    }
    assert_eq!(text(&store, "count").await, Some((3 * EACH).to_string()));
    assert_eq!(store.scan("made/").await.expect("it can be read").len(), 3 * EACH as usize);
    assert!(conflicts > 0, "nobody was in anybody's way, so this shows nothing");
}

async fn what_no_driver_takes_is_refused_and_nothing_of_it_is_made(place: Place) {
    let store = place.open().await.expect("it opens");
    let beside = || put("beside", "");
    let long = "k".repeat(KEY_BYTES_MAX + 1);
    let large = vec![0; VALUE_BYTES_MAX + 1];
    let refused = async |writes| commit(&store, writes).await.expect_err("it is refused");
    assert!(matches!(refused(vec![beside(), put("a\0b", "")]).await, Error::KeyNul { key } if key == "a\0b"));
    assert!(matches!(refused(vec![beside(), delete("\0")]).await, Error::KeyNul { .. }));
    assert!(matches!(refused(vec![beside(), put("", "")]).await, Error::KeyLength { bytes: 0 }));
    assert!(matches!(refused(vec![beside(), put(&long, "")]).await, Error::KeyLength { bytes: 1_025 }));
    assert!(matches!(refused(vec![beside(), put("a", &large)]).await, Error::TooLarge { what, .. } if what == "a"));
    let many = vec![put("a", &large[1..]); BATCH_BYTES_MAX / VALUE_BYTES_MAX];
    assert!(matches!(refused(many).await, Error::TooLarge { what, .. } if what == "a batch"));
    let unreadable = store.commit_if(vec![expected("a\0b", None)], vec![beside()]).await;
    assert!(matches!(unreadable, Err(Error::KeyNul { .. })), "{unreadable:?}");
    assert!(store.scan("").await.expect("it can be read").is_empty());
    assert_eq!(store.get("a\0b").await.expect("it can be asked for"), None);
    commit(&store, vec![beside()]).await.expect("it goes on");
}

async fn the_largest_value_and_the_longest_key_come_back_as_they_were(place: Place) {
    let store = place.open().await.expect("it opens");
    let value: Vec<u8> = (0..VALUE_BYTES_MAX).map(|at| u8::try_from(at * at % 251).expect("it is small")).collect();
    let key = "ä".repeat(KEY_BYTES_MAX / 2);
    commit(&store, vec![put(&key, &value)]).await.expect("it is up");
    assert!(store.get(&key).await.expect("it can be read") == Some(value));
    assert_eq!(store.keys("ä", "å", 9).await.expect("it can be read"), [key]);
}

async fn a_store_that_ends_writes_what_was_given_and_refuses_what_comes_later(place: Place) {
    let store = place.open().await.expect("it opens");
    let mut commits = Vec::new();
    for number in 0..100 {
        commits.push(store.begin(vec![put(&format!("{number:02}"), "")]).await.expect("it is up"));
    }
    store.finish(Duration::from_secs(20)).await.expect("it is up");
    for commit in &mut commits {
        within("it to be told", commit.synced()).await.expect("it was written");
    }
    assert_eq!(store.scan("").await.expect("it can be read").len(), 100);
    store.rest(Duration::from_secs(5)).await;
}

async fn a_read_only_store_shows_all_records_in_order_page_by_page(place: Place) {
    let store = place.open().await.expect("it opens");
    let keys: Vec<String> = (0..300).map(|number| format!("key/{number:03}")).collect();
    commit(&store, keys.iter().map(|key| put(key, key)).collect()).await.expect("it is up");
    let shown = place.read_only().await;
    commit(&store, vec![put("key/000/later", "")]).await.expect("it goes on");
    let (mut found, mut after, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = shown.page(&after).await.expect("it can be read");
        let Some((last, _)) = page.last() else { break };
        after.clone_from(last);
        pages += 1;
        found.extend(page.into_iter().map(|(key, _)| key));
    }
    assert_eq!(found, keys, "as it was when it was opened");
    assert!(pages > 1);
    assert_eq!(shown.get("key/007").await.expect("it can be read").as_deref(), Some(&b"key/007"[..]));
    assert_eq!(shown.get("key/000/later").await.expect("it can be read"), None);
}
