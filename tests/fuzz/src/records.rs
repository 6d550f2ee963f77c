//! Stored records that are not what was written.
//!
//! A record is read or is an error with its key; what is read is written as the same, and what it
//! says can be shown.

use std::fmt::Debug;

use scenehost_core::auth::account::Account;
use scenehost_core::auth::identity::IdentityRecord;
use scenehost_core::chat::ChatMessage;
use scenehost_core::guild::{Guild, Place};
use scenehost_core::record::{self, SceneRecord, UserRecord};
use scenehost_core::results::boards::Stored;
use scenehost_core::results::finished::Ratings;
use scenehost_core::results::history::{History, MatchRecord};
use scenehost_core::results::rating::{self, Finish};
use scenehost_core::{SessionId, Time};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// One value of the store, as each record.
pub fn run(data: &[u8]) {
    survives::<UserRecord>(data);
    survives::<SceneRecord>(data);
    survives::<IdentityRecord>(data);
    survives::<Guild>(data);
    survives::<Place>(data);
    survives::<ChatMessage>(data);
    survives::<Stored>(data);
    survives::<History>(data);
    survives::<MatchRecord>(data);
    // Numbers of many digits are read as their neighbours, so these are not compared.
    if let Ok(ratings) = record::decode::<Ratings>("kind/0123456789abcdef", data) {
        can_be_rated(&ratings);
    }
    if let Some(account) = survives::<Account>(data) {
        can_be_used(account);
    }
}

fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(data: &[u8]) -> Option<T> {
    const KEY: &str = "kind/0123456789abcdef";
    match record::decode::<T>(KEY, data) {
        Ok(value) => {
            assert_eq!(record::decode::<T>(KEY, &record::encode(&value)).ok().as_ref(), Some(&value));
            Some(value)
        }
        Err(unreadable) => {
            assert!(unreadable.to_string().contains(KEY));
            None
        }
    }
}

fn can_be_used(mut account: Account) {
    let shown = account.infos(Some(SessionId(0)));
    let labels: Vec<String> = account.identities.iter().map(|linked| linked.key.label()).collect();
    assert_eq!(labels.len(), account.identities.len());
    for time in [Time(0), account.created, Time(u64::MAX)] {
        let open = account.check_open(time);
        assert!(open.is_ok() || account.ban.is_some());
    }
    if let Some(first) = shown.first() {
        assert!(account.next_sweep_hour().is_some());
        assert!(account.end_session(first.id));
        assert!(!account.end_session(first.id));
    }
    account.forget_expired(Time(u64::MAX));
    assert!(account.infos(None).is_empty(), "everything ends");
}

/// Whatever a rating is, the one after a game is within its limits.
fn can_be_rated(ratings: &Ratings) {
    let (least, most) = rating::RATING_LIMITS;
    for rating in ratings.domains.values() {
        let players = [1, 2].map(|place| Finish { rating: *rating, team: place, place });
        let after = rating::rate(&players, Time(0)).expect("two can be rated");
        assert!(after.iter().all(|it| (least..=most).contains(&it.rating)), "{after:?}");
    }
}
