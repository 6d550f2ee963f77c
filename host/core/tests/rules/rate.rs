//! How often something may be done by each of many.

use proptest::prelude::*;
use scenehost_core::Time;
use scenehost_core::rate::Buckets;

const START: Time = Time(1_700_000_000_000);

/// How many are given at once.
fn given(buckets: &mut Buckets<u32>, key: u32, now: Time) -> u32 {
    (0..1_000_000).find(|_| buckets.take(key, now).is_err()).expect("a bucket has an end")
}

#[test]
fn a_bucket_gives_a_minutes_worth_at_once_then_what_flows_in() {
    for per_minute in [1, 7, 60, 600, 600_000] {
        let mut buckets = Buckets::new(per_minute, 8);
        assert_eq!(given(&mut buckets, 1, START), per_minute);
        assert_eq!(given(&mut buckets, 2, START), per_minute, "each key has a bucket of its own");
        let wait_ms = buckets.take(1, START).expect_err("it is empty");
        assert_eq!(wait_ms, 60_000_u64.div_ceil(u64::from(per_minute)), "{per_minute} a minute");
        assert!(buckets.take(1, START.plus_ms(wait_ms - 1)).is_err() || wait_ms == 1);
        assert_eq!(buckets.take(1, START.plus_ms(wait_ms)), Ok(()), "asking in vain has taken nothing");
        assert_eq!(given(&mut buckets, 1, START.plus_ms(wait_ms + 60_000)), per_minute, "it is full again");
    }
}

#[test]
fn a_rate_of_nothing_is_one_a_minute() {
    assert_eq!(given(&mut Buckets::new(0, 8), 1, START), 1);
}

#[test]
fn full_buckets_are_forgotten() {
    let mut buckets = Buckets::new(60, 1_000);
    for key in 0..500 {
        buckets.take(key, START).expect("a new bucket is full");
    }
    assert_eq!(buckets.len(), 500);
    // One a second flows in, so after a second all of them are full.
    for _ in 0..250 {
        buckets.take(9_999, START.plus_ms(1_000)).ok();
    }
    assert_eq!(buckets.len(), 1, "only the one that is not full is kept");
}

#[test]
fn a_full_table_forgets_the_one_who_did_the_least() {
    let mut buckets = Buckets::new(60, 3);
    assert_eq!(given(&mut buckets, 1, START), 60);
    for key in [2, 2, 3, 4] {
        buckets.take(key, START).expect("it is not empty");
    }
    assert_eq!(buckets.len(), 3);
    assert!(buckets.take(1, START).is_err(), "who has done the most is remembered");
    assert_eq!(given(&mut buckets, 2, START), 58, "and so is the next");
    assert_eq!(given(&mut buckets, 3, START), 60, "who has done the least was forgotten");
}

#[test]
fn a_look_takes_nothing_and_says_what_a_take_would() {
    let mut buckets = Buckets::new(2, 8);
    for _ in 0..10 {
        assert_eq!(buckets.look(&1, START), Ok(()));
    }
    assert!(buckets.is_empty());
    assert_eq!(given(&mut buckets, 1, START), 2);
    let wait_ms = buckets.look(&1, START).expect_err("it is empty");
    assert_eq!(buckets.take(1, START), Err(wait_ms));
    assert_eq!(buckets.look(&1, START.plus_ms(wait_ms)), Ok(()));
}

proptest! {
    /// Whatever the moments: what the bucket holds and what has flown in, and no more.
    #[test]
    fn no_key_gets_more_than_its_rate(
        per_minute in 1_u32..300,
        steps in prop::collection::vec((0_u32..3, 0_u64..5_000), 1..400),
    ) {
        let mut buckets = Buckets::new(per_minute, 8);
        let mut now = START;
        let mut given = [0_u64; 3];
        for (key, ms) in steps {
            now = now.plus_ms(ms);
            given[key as usize] += u64::from(buckets.take(key, now).is_ok());
            let most = u64::from(per_minute) + now.ms_since(START) * u64::from(per_minute) / 60_000 + 1;
            prop_assert!(given[key as usize] <= most, "{} of {most}", given[key as usize]);
        }
    }
}
