//! What fits together in a store, and what a check of it finds.

use std::collections::BTreeMap;
use std::convert::Infallible;

use scenehost_core::auth::identity::IdentityRecord;
use scenehost_core::auth::{Action, Credential, Identity, Order};
use scenehost_core::consistency::{self, PROBLEMS_TOLD_MAX, Report};
use scenehost_core::{UserId, record};

use crate::auth::{Host, guest};

/// What a check of the store finds.
pub fn found(store: &BTreeMap<String, Vec<u8>>) -> Report {
    let records = store.iter().map(|(key, value)| Ok::<_, Infallible>((key.clone(), value.clone())));
    let Ok(report) = consistency::check(records, |key| Ok(store.get(key).cloned()));
    report
}

#[test]
fn what_is_stored_fits_together_whatever_was_done() {
    let mut host = Host::new();
    let ada = host.sign_in(guest("device-of-ada-1234")).unwrap();
    let bob = host.sign_in(guest("device-of-bob-1234")).unwrap();
    let password = Credential::Password { name: "ada".to_owned(), password: "correct horse".to_owned(), create: true };
    host.own(&ada, Action::Link(password)).unwrap();
    let device = device_of(&ada, &mut host);
    host.own(&ada, Action::Unlink(device)).unwrap();
    host.refresh(&ada.tokens.refresh).unwrap();
    host.order(bob.user, Order::Ban { reason: "no".to_owned(), until: None }).unwrap();
    let clara = host.sign_in(guest("device-of-clara-12")).unwrap();
    host.own(&clara, Action::Delete).unwrap();
    let report = found(&host.store);
    assert_eq!((report.problems, report.problems_count), (Vec::new(), 0));
    let counts = ["account", "identity", "user"].map(|kind| report.records[kind]);
    assert_eq!(counts, [2, 2, 2]);
}

/// The guest's device among the identities of an account that has a name as well.
fn device_of(of: &Identity, host: &mut Host) -> String {
    host.identities(of).into_iter().find(|label| label.starts_with("guest/")).expect("it began as a guest")
}

#[test]
fn every_kind_of_damage_is_found_and_named() {
    let mut host = Host::new();
    let ada = host.sign_in(guest("device-of-ada-1234")).unwrap();
    let whole = host.store.clone();
    let key_of = |kind: &str| whole.keys().find(|key| key.starts_with(kind)).expect("there is one").clone();
    for kind in ["account/", "user/", "identity/"] {
        let key = key_of(kind);
        let mut unreadable = whole.clone();
        unreadable.insert(key.clone(), b"?".to_vec());
        let problems = found(&unreadable).problems;
        assert!(problems.iter().any(|it| it.starts_with(&key) && it.contains("cannot be read")), "{problems:?}");

        let mut missing = whole.clone();
        missing.remove(&key);
        assert!(found(&missing).problems_count > 0, "{key} is missing");
    }
    let mut no_index = whole.clone();
    no_index.remove(&key_of("expiry/"));
    assert!(found(&no_index).problems[0].contains("index of expiry"));

    let mut elsewhere = whole.clone();
    let identity = IdentityRecord { user: UserId(ada.user.0 ^ 1), password: None };
    elsewhere.insert(key_of("identity/"), record::encode(&identity));
    assert_eq!(found(&elsewhere).problems_count, 2, "neither leads to the other");

    let mut strange = whole.clone();
    for key in ["", "account/x", "user/x", "scene/x", "expiry/x", "live-journal/x/0", "fish/1"] {
        strange.insert(key.to_owned(), b"{}".to_vec());
    }
    assert!(found(&strange).problems_count >= 7);
}

#[test]
fn the_journal_of_a_game_that_other_nodes_may_go_on_with_is_no_damage() {
    let part = format!("{}00000000000000a1-0000000000000002/0000000000000000", record::LIVE_JOURNAL_PREFIX);
    let report = found(&BTreeMap::from([(part, vec![0xff])]));
    assert_eq!((report.problems, report.records["live-journal"]), (Vec::new(), 1));
}

#[test]
fn so_many_problems_are_told_and_all_are_counted() {
    let store = (0..PROBLEMS_TOLD_MAX as u64 + 7).map(|number| (format!("fish/{number}"), Vec::new())).collect();
    let report = found(&store);
    assert_eq!((report.problems.len(), report.problems_count), (PROBLEMS_TOLD_MAX, PROBLEMS_TOLD_MAX as u64 + 7));
}
