//! The keys of one issuer, and when they are fetched again. Pure: time comes as an argument.
//!
//! Invariants: however many tokens with unknown keys come, the issuer is asked because of them at
//! most every [`PAUSE_MS`]. Keys are used for at most [`KEPT_MS`] after they were fetched.

use scenehost_core::Time;

use super::keys::KeySet;

/// How long the issuer is not asked again because of a token.
pub const PAUSE_MS: u64 = 5_000;
/// How long after a fetch that failed the next one follows by itself.
const RETRY_MS: u64 = 10_000;
/// How long keys are used when no newer ones can be fetched.
pub const KEPT_MS: u64 = 24 * 3_600_000;

#[derive(Debug)]
pub struct Cache {
    max_age_ms: u64,
    keys: Option<(Time, KeySet)>,
    /// When to fetch without being asked.
    due: Time,
    /// From when on a token may cause a fetch.
    pause_until: Time,
    failing: bool,
}

impl Cache {
    /// Without keys; they are due at once.
    pub fn new(max_age_ms: u64) -> Self {
        Self { max_age_ms, keys: None, due: Time(0), pause_until: Time(0), failing: false }
    }

    /// The keys that count now.
    pub fn keys(&self, now: Time) -> Option<&KeySet> {
        self.keys.as_ref().filter(|(fetched, _)| now < fetched.plus_ms(KEPT_MS)).map(|(_, keys)| keys)
    }

    /// When they have to be fetched at the latest.
    pub fn due(&self) -> Time {
        self.due
    }

    /// Whether they may be fetched because of a token that they do not fit.
    pub fn may_ask(&self, now: Time) -> bool {
        now >= self.pause_until
    }

    /// Whether the last fetch failed.
    pub fn is_failing(&self) -> bool {
        self.failing
    }

    /// A fetch begins; because of a token, or because it is due.
    pub fn begins(&mut self, now: Time, because_of_a_token: bool) {
        if because_of_a_token {
            self.pause_until = now.plus_ms(PAUSE_MS);
        }
    }

    /// A fetch has brought keys; whether they are others than before.
    pub fn fetched(&mut self, keys: KeySet, now: Time) -> bool {
        let changed = self.keys.as_ref().is_none_or(|(_, known)| *known != keys);
        self.keys = Some((now, keys));
        self.due = now.plus_ms(self.max_age_ms);
        self.failing = false;
        changed
    }

    /// A fetch has failed; the keys from before go on.
    pub fn failed(&mut self, now: Time) {
        self.due = now.plus_ms(self.max_age_ms.min(RETRY_MS));
        self.failing = true;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::id_tokens::signer::Signer;

    const HOUR_MS: u64 = 3_600_000;

    fn keys(kid: &str) -> KeySet {
        KeySet::parse(json!({ "keys": [Signer::es256(kid).jwk()] }).to_string().as_bytes()).unwrap()
    }

    fn kids(cache: &Cache, now: u64) -> Option<Vec<&str>> {
        cache.keys(Time(now)).map(KeySet::kids)
    }

    #[test]
    fn keys_are_fetched_at_once_and_when_they_are_old() {
        let mut cache = Cache::new(HOUR_MS);
        assert_eq!((cache.due(), kids(&cache, 0)), (Time(0), None));
        cache.begins(Time(100), false);
        let first = keys("a");
        assert!(cache.fetched(first.clone(), Time(150)), "they are new");
        assert_eq!((cache.due(), kids(&cache, 200)), (Time(150 + HOUR_MS), Some(vec!["a"])));
        assert!(!cache.fetched(first, Time(HOUR_MS)), "they are the same");
        assert_eq!(cache.due(), Time(2 * HOUR_MS));
        assert!(cache.fetched(keys("b"), Time(2 * HOUR_MS)));
        assert_eq!(kids(&cache, 2 * HOUR_MS), Some(vec!["b"]), "a key that is gone counts no more");
    }

    #[test]
    fn tokens_cause_a_fetch_at_most_once_a_pause() {
        let mut cache = Cache::new(HOUR_MS);
        assert!(cache.may_ask(Time(0)));
        cache.begins(Time(0), false);
        cache.fetched(keys("a"), Time(10));
        assert!(cache.may_ask(Time(20)), "the first unknown key is asked for at once");
        cache.begins(Time(20), true);
        for changed in ["a", "b"] {
            cache.fetched(keys(changed), Time(30));
            assert!(!cache.may_ask(Time(19 + PAUSE_MS)));
        }
        cache.failed(Time(40));
        assert!(!cache.may_ask(Time(19 + PAUSE_MS)), "nor when the issuer is down");
        assert!(cache.may_ask(Time(20 + PAUSE_MS)));
    }

    #[test]
    fn keys_are_kept_for_a_day_when_the_issuer_is_down() {
        let mut cache = Cache::new(HOUR_MS);
        cache.fetched(keys("a"), Time(0));
        cache.failed(Time(HOUR_MS));
        assert_eq!((cache.is_failing(), cache.due()), (true, Time(HOUR_MS + RETRY_MS)));
        assert_eq!(kids(&cache, KEPT_MS - 1), Some(vec!["a"]));
        assert_eq!(kids(&cache, KEPT_MS), None);
        cache.fetched(keys("a"), Time(KEPT_MS));
        assert_eq!((cache.is_failing(), kids(&cache, KEPT_MS)), (false, Some(vec!["a"])));
        let mut hasty = Cache::new(1_000);
        hasty.failed(Time(0));
        assert_eq!(hasty.due(), Time(1_000), "never later than without a failure");
    }
}
