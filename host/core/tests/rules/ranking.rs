//! Who stands where.

use std::collections::BTreeMap;

use proptest::prelude::*;
use scenehost_core::UserId;
use scenehost_core::results::ranking::{ENTRIES_MAX, Entry, Full, Order, Page, Ranking};

fn entry(user: u64, score: i64, since: u64) -> Entry {
    Entry { user: UserId(user), score, since }
}

fn users(page: &Page) -> Vec<u64> {
    page.entries.iter().map(|entry| entry.user.0).collect()
}

/// Users 1 to 5 with the scores 10, 20, 20, 30 and 40; 3 had its 20 before 2.
fn five(order: Order) -> Ranking {
    let mut ranking = Ranking::new(order, 5);
    for entry in [entry(1, 10, 1), entry(2, 20, 9), entry(3, 20, 8), entry(4, 30, 2), entry(5, 40, 3)] {
        ranking.set(entry).expect("there is place for five");
    }
    ranking
}

#[test]
fn better_scores_come_first_and_of_equal_ones_the_earlier() {
    assert_eq!(users(&five(Order::Highest).page(1, 10)), [5, 4, 3, 2, 1]);
    assert_eq!(users(&five(Order::Lowest).page(1, 10)), [1, 3, 2, 4, 5]);
    let together = Ranking::build(Order::Highest, 2, [entry(2, 7, 7), entry(1, 7, 7)]).expect("two");
    assert_eq!(users(&together.page(1, 10)), [1, 2], "at the same moment the lower id");
}

#[test]
fn every_score_has_its_place_even_the_most_extreme() {
    let scores = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX];
    for (order, expected) in [(Order::Highest, [5, 4, 3, 2, 1, 0]), (Order::Lowest, [0, 1, 2, 3, 4, 5])] {
        let entries = scores.iter().enumerate().map(|(user, &score)| entry(user as u64, score, 0));
        let ranking = Ranking::build(order, 6, entries).expect("six");
        assert_eq!(users(&ranking.page(1, 6)), expected);
    }
    assert!(Order::Highest.is_better(i64::MAX, i64::MIN) && Order::Lowest.is_better(i64::MIN, i64::MAX));
    assert!(!Order::Highest.is_better(3, 3) && !Order::Lowest.is_better(3, 3));
}

#[test]
fn ranks_pages_and_neighbours_agree() {
    let ranking = five(Order::Highest);
    assert_eq!(ranking.rank(UserId(5)), Some(1));
    assert_eq!(ranking.rank(UserId(1)), Some(5));
    assert_eq!(ranking.at(2), Some(entry(4, 30, 2)));
    assert_eq!((ranking.at(0), ranking.at(6)), (ranking.at(1), None));
    assert_eq!(users(&ranking.page(2, 2)), [4, 3]);
    assert_eq!(users(&ranking.page(0, 2)), [5, 4], "a rank of 0 is taken for 1");
    assert_eq!(users(&ranking.page(5, u32::MAX)), [1]);
    assert_eq!(ranking.page(6, 3), Page { first_rank: 6, entries: Vec::new() });
    assert_eq!(ranking.page(u32::MAX, u32::MAX).entries, []);
    assert_eq!(ranking.page(1, 0).entries, []);

    for (user, around, first_rank, expected) in [
        (3, 1, 2, vec![4, 3, 2]),
        (5, 1, 1, vec![5, 4]),
        (1, 2, 3, vec![3, 2, 1]),
        (3, 0, 3, vec![3]),
        (3, u32::MAX, 1, vec![5, 4, 3, 2, 1]),
    ] {
        let page = ranking.neighbours(UserId(user), around).expect("the user is there");
        assert_eq!((page.first_rank, users(&page)), (first_rank, expected), "{around} around {user}");
    }
}

#[test]
fn who_is_not_there_has_no_rank() {
    let mut ranking = five(Order::Highest);
    assert_eq!(ranking.remove(UserId(4)), Some(entry(4, 30, 2)));
    assert_eq!(ranking.remove(UserId(4)), None);
    assert_eq!((ranking.rank(UserId(4)), ranking.get(UserId(4))), (None, None));
    assert_eq!(ranking.neighbours(UserId(4), 3), None);
    assert_eq!((ranking.len(), ranking.is_empty()), (4, false));
    assert!(Ranking::new(Order::Lowest, 3).is_empty());
    assert_eq!(Ranking::new(Order::Lowest, 3).at(1), None);
}

#[test]
fn a_new_score_takes_the_place_of_the_old_one() {
    let mut ranking = five(Order::Highest);
    ranking.set(entry(1, 99, 20)).expect("it is there already");
    assert_eq!((ranking.rank(UserId(1)), ranking.len()), (Some(1), 5));
    ranking.set(entry(5, 99, 21)).expect("it is there already");
    ranking.set(entry(1, 99, 22)).expect("it is there already");
    assert_eq!(users(&ranking.page(1, 2)), [1, 5], "who reaches the same again had it first");
    ranking.set(entry(1, 98, 23)).expect("it is there already");
    ranking.set(entry(1, 99, 24)).expect("it is there already");
    assert_eq!(users(&ranking.page(1, 2)), [5, 1], "who has lost it has not");
}

#[test]
fn a_full_ranking_refuses_newcomers_only() {
    let mut ranking = five(Order::Highest);
    let before = ranking.page(1, 10);
    assert_eq!(ranking.set(entry(6, 50, 30)), Err(Full(5)));
    assert_eq!(ranking.page(1, 10), before);
    ranking.set(entry(1, 50, 31)).expect("it is there already");
    ranking.remove(UserId(2));
    ranking.set(entry(6, 60, 32)).expect("a place was made");
    assert_eq!(users(&ranking.page(1, 10)), [6, 1, 5, 4, 3]);

    let three = [entry(1, 1, 1), entry(2, 2, 2), entry(3, 3, 3)];
    assert_eq!(Ranking::build(Order::Lowest, 2, three).err(), Some(Full(2)));
    let text = Full(ENTRIES_MAX).to_string();
    assert_eq!(text, "this leaderboard is full (16000000 users): remove some, or allow it more");
}

#[test]
fn a_user_who_is_named_twice_keeps_the_better_score() {
    let twice = [entry(1, 5, 1), entry(2, 7, 2), entry(1, 9, 3)];
    let ranking = Ranking::build(Order::Highest, 2, twice).expect("they are two");
    assert_eq!((users(&ranking.page(1, 9)), ranking.len()), (vec![1, 2], 2));
    let ranking = Ranking::build(Order::Lowest, 2, twice).expect("they are two");
    assert_eq!(ranking.get(UserId(1)), Some(entry(1, 5, 1)));
}

#[test]
fn sorted_and_falling_histories_stay_balanced() {
    // A tree that degenerated would be 50,000 deep and end this thread's small stack.
    let run = || {
        let mut ranking = Ranking::new(Order::Highest, 50_000);
        for user in 0..50_000 {
            ranking.set(entry(user, user as i64, 0)).expect("there is place");
        }
        for user in 0..40_000 {
            ranking.remove(UserId(user));
        }
        for user in 0..40_000 {
            ranking.set(entry(user, -(user as i64), 0)).expect("there is place");
        }
        (ranking.rank(UserId(49_999)), ranking.rank(UserId(0)), ranking.rank(UserId(39_999)))
    };
    let small = std::thread::Builder::new().stack_size(128 * 1024);
    let ranks = small.spawn(run).expect("a thread").join().expect("it stays shallow");
    assert_eq!(ranks, (Some(1), Some(10_001), Some(50_000)));
}

/// What a user of the ranking does.
#[derive(Debug, Clone)]
enum Change {
    Set(Entry),
    Remove(UserId),
}

fn change() -> impl Strategy<Value = Change> {
    let set =
        (0..60_u64, -20..20_i64, 0..10_u64).prop_map(|(user, score, since)| Change::Set(entry(user, score, since)));
    let remove = (0..60_u64).prop_map(|user| Change::Remove(UserId(user)));
    prop_oneof![3 => set, 2 => remove]
}

/// The same by sorting.
fn sorted(order: Order, entries: &BTreeMap<UserId, Entry>) -> Vec<Entry> {
    let mut sorted: Vec<Entry> = entries.values().copied().collect();
    sorted.sort_by_key(|entry| {
        let score = i128::from(entry.score);
        (if order == Order::Highest { -score } else { score }, entry.since, entry.user)
    });
    sorted
}

fn check_all(ranking: &Ranking, expected: &[Entry]) -> Result<(), TestCaseError> {
    prop_assert_eq!(ranking.len() as usize, expected.len());
    prop_assert_eq!(&ranking.page(1, u32::MAX).entries, expected);
    for (index, entry) in expected.iter().enumerate() {
        let rank = index as u32 + 1;
        prop_assert_eq!(ranking.rank(entry.user), Some(rank));
        prop_assert_eq!(ranking.at(rank), Some(*entry));
        let around = ranking.neighbours(entry.user, 2).expect("the user is there");
        let first = index.saturating_sub(2);
        prop_assert_eq!(around.first_rank as usize, first + 1);
        prop_assert_eq!(&around.entries, &expected[first..(index + 3).min(expected.len())]);
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_ranking_is_as_if_sorted_after_each_change(
        highest in any::<bool>(),
        first in prop::collection::btree_map(0..60_u64, (-20..20_i64, 0..10_u64), 0..60),
        changes in prop::collection::vec(change(), 0..200),
    ) {
        let order = if highest { Order::Highest } else { Order::Lowest };
        let mut expected: BTreeMap<UserId, Entry> =
            first.into_iter().map(|(user, (score, since))| (UserId(user), entry(user, score, since))).collect();
        let mut ranking = Ranking::build(order, 60, expected.values().copied()).expect("there are no more users");
        check_all(&ranking, &sorted(order, &expected))?;
        for change in changes {
            match change {
                Change::Set(mut entry) => {
                    ranking.set(entry).expect("there are no more users");
                    if let Some(before) = expected.get(&entry.user).filter(|before| before.score == entry.score) {
                        entry.since = entry.since.min(before.since);
                    }
                    expected.insert(entry.user, entry);
                }
                Change::Remove(user) => prop_assert_eq!(ranking.remove(user), expected.remove(&user)),
            }
            prop_assert_eq!(&ranking.page(1, u32::MAX).entries, &sorted(order, &expected));
        }
        check_all(&ranking, &sorted(order, &expected))?;
    }
}
