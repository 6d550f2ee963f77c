//! Copies from one store to another.

use std::time::Duration;

use passing_postgres::Server;
use scenehost_store::copy::{Copied, CopyError, Target, copy};
use scenehost_store::{Error, Store};

use crate::place::{Place, commit, put, text};

const RECORDS: u64 = 300;

async fn filled(place: &Place) {
    let store = place.open().await.expect("it opens");
    let leases = store.leases();
    let node = leases.take_node(None, Duration::from_secs(60)).await.expect("it is free");
    leases.claim_unit("host", &node).await.expect("it is up").expect("it is free");
    for number in 0..RECORDS {
        let value = vec![u8::try_from(number % 256).expect("it is small"); usize::try_from(number).expect("small")];
        commit(&store, vec![put(&format!("record/{number:03}/ä"), value)]).await.expect("it is up");
    }
    leases.release_node(&node).await.expect("it is up");
    store.finish(Duration::from_secs(10)).await.expect("nothing is left");
}

async fn target(place: &Place) -> Target {
    match place {
        Place::Rocks(folder) => Target::rocks(&folder.path().join("store"), place.lock()).expect("it opens"),
        Place::Postgres(settings) => Target::postgres(settings).await.expect("it is there"),
    }
}

async fn copied(from: &Place, to: &Place, force: bool) -> Result<Copied, CopyError> {
    let (source, target) = (from.read_only().await, target(to).await);
    let mut told = Vec::new();
    let copied = copy(&source, &target, force, |records| told.push(records)).await?;
    assert!(told.len() > 1 && told.is_sorted() && told.last() == Some(&RECORDS), "{told:?}");
    Ok(copied)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_records_go_from_one_to_the_other_and_back_and_are_what_they_were() {
    let (rocks, postgres, back) = (Place::rocks(), Place::postgres(), Place::rocks());
    filled(&rocks).await;
    let there = copied(&rocks, &postgres, false).await.expect("it is empty");
    assert_eq!(there.records, RECORDS);
    assert_eq!(there.bytes, (0..RECORDS).map(|number| 13 + number).sum::<u64>());
    let again = copied(&postgres, &back, false).await.expect("it is empty");
    assert_eq!(again, there, "the checksum says so, too");
    let store = back.open().await.expect("it opens");
    assert_eq!(text(&store, "record/065/ä").await, Some("A".repeat(65)));
    assert!(store.leases().units().await.expect("it can be read").is_empty(), "who held what is not copied");
    let epoch = store.leases().take_node(None, Duration::from_secs(1)).await.expect("it is free").incarnation;
    assert_eq!(epoch, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_with_anything_in_it_is_refused_unless_it_may_be_removed() {
    let source = Place::rocks();
    filled(&source).await;
    for place in [Place::rocks(), Place::postgres()] {
        let store = place.open().await.expect("it opens");
        commit(&store, vec![put("before", "1"), put("record/000/a", "1")]).await.expect("it is up");
        drop(store);
        let refused = copied(&source, &place, false).await.expect_err("it has something");
        assert!(matches!(refused, CopyError::NotEmpty), "{refused}");
        let store = place.open().await.expect("nothing was changed");
        assert_eq!(text(&store, "before").await.as_deref(), Some("1"));
        drop(store);
        copied(&source, &place, true).await.expect("it may be removed");
        let store = place.open().await.expect("it opens");
        assert_eq!(store.scan("").await.expect("it can be read").len() as u64, RECORDS, "nothing else is left");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_host_starts_on_what_was_copied_in_part() {
    let source = Place::rocks();
    filled(&source).await;
    for place in [Place::rocks(), Place::postgres()] {
        let (from, to) = (source.read_only().await, target(&place).await);
        let interrupted = tokio::spawn(async move {
            let breaks = |_| panic!("the test interrupts it");
            copy(&from, &to, false, breaks).await.map(drop)
        });
        assert!(interrupted.await.expect_err("it was interrupted").is_panic());
        let refused = place.open().await.err().expect("a part is missing");
        assert!(matches!(refused, Error::HalfCopied { .. }) && refused.to_string().contains("--force"), "{refused}");
        let refused = copied(&source, &place, false).await.expect_err("there is something");
        assert!(matches!(refused, CopyError::NotEmpty), "{refused}");
        copied(&source, &place, true).await.expect("it begins anew");
        place.open().await.expect("it is whole");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_a_node_uses_is_not_copied_into() {
    let settings = crate::place::settings(Server::shared());
    let store = Store::connect(&settings).await.expect("it is there");
    let node = store.leases().take_node(Some(3), Duration::from_secs(60)).await.expect("it is free");
    let refused = Target::postgres(&settings).await.err().expect("it is in use");
    assert!(matches!(refused, CopyError::InUse { number: 3, .. }), "{refused}");
    store.leases().release_node(&node).await.expect("it is up");
    Target::postgres(&settings).await.expect("nobody uses it");
}
