//! The plainest index, which the real one is measured against: a sorted list with lower and upper bound.

use rand::RngExt as _;
use rand_chacha::ChaCha12Rng;

/// Who waits, by rating and number.
#[derive(Default)]
pub struct SortedList(Vec<(i32, u64)>);

impl SortedList {
    pub fn insert(&mut self, rating: i32, number: u64) {
        let at = self.0.partition_point(|it| *it < (rating, number));
        self.0.insert(at, (rating, number));
    }

    /// Takes one whose rating is at most `range` away out, uniformly at random.
    pub fn take_near(&mut self, rating: i32, range: i32, rng: &mut ChaCha12Rng) -> Option<(i32, u64)> {
        let lower = self.0.partition_point(|(it, _)| *it < rating - range);
        let upper = self.0.partition_point(|(it, _)| *it <= rating + range);
        (lower < upper).then(|| self.0.remove(rng.random_range(lower..upper)))
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    #[test]
    fn only_the_near_are_taken_and_each_once() {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let mut list = SortedList::default();
        for (number, rating) in (0..).zip([1_000, 1_050, 1_051, 950, 1_000]) {
            list.insert(rating, number);
        }
        let mut taken: Vec<u64> =
            std::iter::from_fn(|| list.take_near(1_000, 50, &mut rng)).map(|(_, it)| it).collect();
        taken.sort();
        assert_eq!(taken, [0, 1, 3, 4]);
    }
}
