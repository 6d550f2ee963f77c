//! The waiting tickets in the order of their ratings: the seed's sorted list with lower and upper
//! bound. Tickets of equal rating are in the order of their numbers, so every entry has one place.

#[derive(Debug, Clone, Default)]
pub(super) struct RatingList {
    entries: Vec<(i32, u64)>,
}

impl RatingList {
    /// Puts a ticket in; one that is in already stays once.
    pub fn insert(&mut self, rating: i32, ticket: u64) {
        if let Err(place) = self.entries.binary_search(&(rating, ticket)) {
            self.entries.insert(place, (rating, ticket));
        }
    }

    pub fn remove(&mut self, rating: i32, ticket: u64) {
        if let Ok(place) = self.entries.binary_search(&(rating, ticket)) {
            self.entries.remove(place);
        }
    }

    /// All whose rating is at most `range` away, both ends included.
    pub fn within(&self, rating: i32, range: u32) -> &[(i32, u64)] {
        let (lowest, highest) = (rating.saturating_sub_unsigned(range), rating.saturating_add_unsigned(range));
        let lower_bound = self.entries.partition_point(|(it, _)| *it < lowest);
        let upper_bound = self.entries.partition_point(|(it, _)| *it <= highest);
        &self.entries[lower_bound..upper_bound]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against the plainest reference: look at everyone.
        #[test]
        fn within_finds_exactly_those_in_range(
            tickets in prop::collection::btree_map(0..500u64, -50..50i32, 0..60),
            removed in prop::collection::vec(0..500u64, 0..30),
            rating in -60..60i32,
            range in 0..40u32,
        ) {
            let mut list = RatingList::default();
            for (ticket, rating) in &tickets {
                list.insert(*rating, *ticket);
                list.insert(*rating, *ticket);
            }
            let mut left = tickets;
            for ticket in removed {
                if let Some(rating) = left.remove(&ticket) {
                    list.remove(rating, ticket);
                }
                list.remove(0, ticket + 1_000);
            }
            let in_range = left.iter().filter(|(_, it)| it.abs_diff(rating) <= range);
            let mut expected: Vec<(i32, u64)> = in_range.map(|(ticket, rating)| (*rating, *ticket)).collect();
            expected.sort();
            prop_assert_eq!(list.within(rating, range), &expected[..]);
        }
    }

    #[test]
    fn the_ends_of_the_number_line_do_not_overflow() {
        let mut list = RatingList::default();
        list.insert(i32::MIN, 1);
        list.insert(i32::MAX, 2);
        assert_eq!(list.within(i32::MIN, u32::MAX).len(), 2);
        assert_eq!(list.within(i32::MAX, 10), &[(i32::MAX, 2)]);
    }
}
