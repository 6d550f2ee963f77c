//! The index of those who wait, against a slow one that looks at everybody: whatever has come and gone, and however many
//! have and want the same, who can be found is found, and all who can are found equally often.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use scenehost_core::Time;
use scenehost_core::config::Domain;
use scenehost_core::matching::domain::Property;
use scenehost_core::matching::pool::{Company, Marks, OPEN, Pool, Slot, Waiting};

const NOW: Time = Time(1_000);
const RANGE: u32 = 20;

/// Two properties of three values: one that users have and want of each other, one for the whole match.
fn domain() -> Domain {
    let property = |name: &str, common| Property {
        name: name.to_owned(),
        values: ["a", "b", "c"].map(str::to_owned).to_vec(),
        common,
        relax_ms: None,
    };
    Domain {
        rating_range: RANGE,
        rating_range_max: RANGE,
        properties: vec![property("language", false), property("map", true)],
        ..Domain::new("fleet".into(), 2, 2)
    }
}

/// Anybody plays with anybody.
struct Anybody;

impl Company for Anybody {
    fn allows(&self, _: &Pool, _: &[Slot], _: Slot) -> bool {
        true
    }

    fn begin(&mut self, _: Slot, _: &Pool) -> bool {
        true
    }

    fn take(&mut self, _: Slot, _: &Pool) -> bool {
        true
    }
}

#[derive(Debug, Clone)]
struct One {
    rating: i32,
    marks: [Marks; 2],
}

impl One {
    fn may_meet(&self, other: &Self) -> bool {
        let [ours, theirs] = [self.marks, other.marks];
        self.rating.abs_diff(other.rating) <= RANGE
            && ours[0].has & theirs[0].wants != 0
            && ours[0].wants & theirs[0].has != 0
            && ours[1].wants & theirs[1].wants != 0
    }

    fn enter(&self, pool: &mut Pool, number: u64) -> Slot {
        let Self { rating, marks } = *self;
        let users = 1;
        let ticket = Waiting { number, since: NOW, regions: u64::MAX, rating, users, bracket: OPEN, careful: false };
        pool.insert(ticket, &marks, &[])
    }
}

/// Most have and want the same, so that they get a shelf of their own.
fn one() -> impl Strategy<Value = One> {
    let language = prop_oneof![4 => Just((1, 4)), 2 => Just((4, 7)), 1 => (1..8_u64, 1..8_u64)];
    let map = prop_oneof![3 => Just(7_u64), 1 => 1..8_u64];
    (0..100_i32, language, map).prop_map(|(rating, (has, wants), map)| One {
        rating,
        marks: [Marks { has, wants }, Marks { has: u64::MAX, wants: map }],
    })
}

#[derive(Debug, Clone)]
enum Step {
    Come(One),
    Go(usize),
    Look(usize),
    /// Those look again who wait, and are put where they belong.
    Tidy,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => one().prop_map(Step::Come),
        8 => (0..400_usize).prop_map(Step::Go),
        12 => (0..400_usize).prop_map(Step::Look),
        1 => Just(Step::Tidy),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn somebody_is_found_exactly_if_there_is_somebody(steps in prop::collection::vec(step(), 100..500)) {
        let domain = domain();
        let (mut pool, mut rng) = (Pool::new(&domain), ChaCha20Rng::seed_from_u64(1));
        let mut all = BTreeMap::<u64, (Slot, One)>::new();
        for (number, step) in (0..).zip(steps) {
            let nth = |which: usize| all.iter().nth(which % all.len().max(1)).map(|(number, it)| (*number, it.clone()));
            match step {
                Step::Come(one) => _ = all.insert(number, (one.enter(&mut pool, number), one)),
                Step::Tidy => all.values().for_each(|(slot, _)| pool.tidy(*slot)),
                Step::Go(which) => {
                    let Some((number, (slot, _))) = nth(which) else { continue };
                    pool.remove(slot);
                    all.remove(&number);
                }
                Step::Look(which) => {
                    let Some((number, (slot, one))) = nth(which) else { continue };
                    let may: Vec<u64> =
                        all.iter().filter(|(it, (_, other))| **it != number && one.may_meet(other)).map(|(it, _)| *it).collect();
                    let near = pool.gather_nearest(slot, &(2..2), &domain, NOW, &mut Anybody);
                    let drawn = pool.gather(slot, &(2..2), &domain, NOW, &mut rng, &mut Anybody);
                    for found in [&near, &drawn] {
                        let other = found.as_ref().map(|pair| pool.get(pair.slots[1]).number);
                        prop_assert_eq!(other.is_some(), !may.is_empty());
                        prop_assert!(other.is_none_or(|other| may.contains(&other)));
                    }
                    let gap = |it: u64| all[&it].1.rating.abs_diff(one.rating);
                    let nearest = near.map(|pair| gap(pool.get(pair.slots[1]).number));
                    prop_assert_eq!(nearest, may.iter().map(|it| gap(*it)).min());
                }
            }
        }
        prop_assert_eq!(pool.len(), all.len());
        // Out of use it gives everybody out, once, and then its memory.
        let mut left: Vec<u64> = std::iter::from_fn(|| pool.dissolve()).flatten().map(|(_, number)| number).collect();
        left.sort();
        prop_assert_eq!(left, all.into_keys().collect::<Vec<_>>());
        while pool.discard_some().is_some() {}
    }
}

/// Those of one kind, of whom some came before they had a shelf of their own, those of another, and those who cannot be
/// meant: each of the first two has its share, whether it is found by chance or by looking through all.
#[test]
fn all_who_can_be_found_are_found_equally_often_on_whatever_shelf() {
    let any = Marks { has: u64::MAX, wants: u64::MAX };
    let of = |has, wants| One { rating: 50, marks: [Marks { has, wants }, any] };
    for (first, second, others) in [(100, 30, 0), (75, 15, 300), (10, 5, 0)] {
        let domain = domain();
        let (mut pool, mut rng) = (Pool::new(&domain), ChaCha20Rng::seed_from_u64(2));
        let seeker = of(1, 1).enter(&mut pool, 0);
        let kinds = [(of(1, 3), first), (of(3, 1), second), (of(4, 7), others)];
        let mut number = 0;
        for (one, count) in kinds {
            for _ in 0..count {
                number += 1;
                one.enter(&mut pool, number);
            }
        }
        const DRAWS: u32 = 40_000;
        let mut drawn = BTreeMap::<u64, u32>::new();
        for _ in 0..DRAWS {
            let pair = pool.gather(seeker, &(2..2), &domain, NOW, &mut rng, &mut Anybody).unwrap();
            *drawn.entry(pool.get(pair.slots[1]).number).or_default() += 1;
        }
        let cells = f64::from(first + second);
        let expected = f64::from(DRAWS) / cells;
        assert_eq!(drawn.len(), (first + second) as usize);
        let chi_square: f64 = drawn.values().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
        // The mean of the distribution, and four times its deviation.
        let (mean, deviation) = (cells - 1.0, (2.0 * (cells - 1.0)).sqrt());
        assert!((chi_square - mean).abs() < 4.0 * deviation, "{chi_square} with {cells} cells");
    }
}
