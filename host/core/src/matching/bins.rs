//! The waiting tickets of one pool by rating: a bin for each point of the usual ratings, counted by a Fenwick tree
//! (P. Fenwick, "A New Data Structure for Cumulative Frequency Tables", 1994), so that the k-th of those in a range
//! is found in the steps of a binary search however many wait.
//!
//! Invariant: a ticket is in exactly one bin, and the trees count the tickets and the users of each. A rating beyond
//! the bins is in the first or the last of them, so who looks for an exact range checks what it is given.

use std::ops::Range;

use super::glance::Glance;

/// The rating of the first bin.
const LOWEST: i32 = -512;
/// How many bins there are, a power of two.
const BINS: usize = 4_096;
/// How many are taken away at once.
const DISCARDED: usize = 512;
/// For how many tickets more a bin takes room at least.
const FEW_MORE: usize = 2;

/// A ticket in its bin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Its place in the pool's table.
    pub slot: u32,
    /// What most are turned away by.
    pub glance: Glance,
}

/// Tickets by rating.
#[derive(Debug, Clone)]
pub(super) struct Bins {
    bins: Vec<Vec<Entry>>,
    /// A bit for each bin that has tickets.
    used: [u64; BINS / 64],
    counts: Fenwick,
}

impl Default for Bins {
    fn default() -> Self {
        Self { bins: vec![Vec::new(); BINS], used: [0; BINS / 64], counts: Fenwick::new() }
    }
}

fn bin_of(rating: i32) -> usize {
    rating.saturating_sub(LOWEST).clamp(0, BINS as i32 - 1) as usize
}

impl Bins {
    /// Puts a ticket in. Its position, by which it is taken out again.
    pub fn insert(&mut self, rating: i32, entry: Entry) -> u32 {
        let bin = bin_of(rating);
        self.counts.add(bin, Count { tickets: 1, users: entry.glance.users });
        let entries = &mut self.bins[bin];
        // By a quarter, not by the double: bins are much of what the index takes.
        if entries.len() == entries.capacity() {
            entries.reserve_exact((entries.len() / 4).max(FEW_MORE));
        }
        entries.push(entry);
        self.used[bin / 64] |= 1 << (bin % 64);
        self.bins[bin].len() as u32 - 1
    }

    /// Takes the ticket at a position out. What it was, and which ticket is at that position instead, if another one is.
    pub fn remove(&mut self, rating: i32, position: u32) -> (Glance, Option<u32>) {
        let bin = bin_of(rating);
        let Entry { glance, .. } = self.bins[bin].swap_remove(position as usize);
        self.counts.subtract(bin, Count { tickets: 1, users: glance.users });
        if self.bins[bin].is_empty() {
            self.used[bin / 64] &= !(1 << (bin % 64));
        }
        (glance, self.bins[bin].get(position as usize).map(|entry| entry.slot))
    }

    /// Lets the ticket at a position play in these regions from now on.
    pub fn set_regions(&mut self, rating: i32, position: u32, regions: u64) {
        self.bins[bin_of(rating)][position as usize].glance.regions = regions;
    }

    /// The ranks of those whose rating may be from `lowest` to `highest`, both included, and how many users they have.
    pub fn within(&self, lowest: i32, highest: i32) -> (Range<u32>, u32) {
        if lowest > highest {
            return (0..0, 0);
        }
        let (first, end) = (self.counts.before(bin_of(lowest)), self.counts.before(bin_of(highest) + 1));
        (first.tickets..end.tickets, end.users - first.users)
    }

    /// How many have a rating that may be lower than this one.
    pub fn below(&self, rating: i32) -> u32 {
        self.counts.before(bin_of(rating)).tickets
    }

    /// The ticket of a rank below the number of all tickets.
    pub fn at(&self, rank: u32) -> &Entry {
        let (bin, in_bin) = self.counts.find(rank);
        &self.bins[bin][in_bin as usize]
    }

    /// Takes some of the bins away with what is in them, of a structure in which nothing is looked for any more. How many
    /// of them had taken memory; `None`: none are left.
    pub fn discard_some(&mut self) -> Option<usize> {
        let some = self.bins.split_off(self.bins.len().saturating_sub(DISCARDED));
        let with_memory = some.iter().filter(|bin| bin.capacity() > 0).count();
        (!some.is_empty()).then_some(with_memory)
    }

    /// How many bytes it takes, by what is allocated.
    pub fn bytes(&self) -> usize {
        let bins: usize = self.bins.iter().map(|bin| bin.capacity() * size_of::<Entry>()).sum();
        bins + BINS * size_of::<Vec<Entry>>() + (BINS + 1) * size_of::<u64>()
    }

    /// The tickets of these ranks, bin by bin.
    pub fn slices(&self, ranks: Range<u32>) -> impl Iterator<Item = &[Entry]> {
        let (mut next, in_bin) = self.counts.find(ranks.start);
        let (mut skipped, mut left) = (in_bin as usize, ranks.len());
        std::iter::from_fn(move || {
            let bin = self.used_from(next).filter(|_| left > 0)?;
            next = bin + 1;
            let slice = &self.bins[bin][std::mem::take(&mut skipped)..];
            let slice = &slice[..slice.len().min(left)];
            left -= slice.len();
            Some(slice)
        })
    }

    /// The first bin from this one on that has tickets: few of them are spread over many bins.
    fn used_from(&self, bin: usize) -> Option<usize> {
        let first = bin / 64;
        let within = |word: usize| if word == first { u64::MAX << (bin % 64) } else { u64::MAX };
        let mut words = (first..self.used.len()).map(|word| (word, self.used[word] & within(word)));
        let found = words.find(|(_, bits)| *bits != 0);
        found.map(|(word, bits)| 64 * word + bits.trailing_zeros() as usize)
    }
}

/// How many there are.
#[derive(Debug, Clone, Copy)]
struct Count {
    tickets: u32,
    users: u32,
}

/// How many there are, by bin.
#[derive(Debug, Clone)]
struct Fenwick {
    /// At `i` the sum of the bins from `i - (i & -i)` to before `i`; the first is not used. Tickets are the lower half of
    /// a word and users its upper half, so that one way through the tree counts both.
    sums: Vec<u64>,
}

impl Count {
    fn word(self) -> u64 {
        u64::from(self.users) << 32 | u64::from(self.tickets)
    }
}

impl Fenwick {
    fn new() -> Self {
        Self { sums: vec![0; BINS + 1] }
    }

    fn add(&mut self, bin: usize, count: Count) {
        let mut i = bin + 1;
        while i <= BINS {
            self.sums[i] += count.word();
            i += i & i.wrapping_neg();
        }
    }

    fn subtract(&mut self, bin: usize, count: Count) {
        let mut i = bin + 1;
        while i <= BINS {
            self.sums[i] -= count.word();
            i += i & i.wrapping_neg();
        }
    }

    /// How many are in the bins before this one.
    fn before(&self, bin: usize) -> Count {
        let mut sum = 0;
        let mut i = bin;
        while i > 0 {
            sum += self.sums[i];
            i &= i - 1;
        }
        Count { tickets: sum as u32, users: (sum >> 32) as u32 }
    }

    /// The bin of a rank, and the rank in it. Past the last: [`BINS`].
    fn find(&self, rank: u32) -> (usize, u32) {
        let (mut bin, mut left) = (0, rank);
        let mut half = BINS;
        while half > 0 {
            let next = bin + half;
            if next <= BINS && self.sums[next] as u32 <= left {
                left -= self.sums[next] as u32;
                bin = next;
            }
            half /= 2;
        }
        (bin, left)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::glance::Layout;
    use super::*;

    fn entry(slot: u32, users: u32) -> Entry {
        Entry { slot, glance: Layout::default().of(&[], u64::MAX, users) }
    }

    /// The seed's sorted list: binary searches for the lower and the upper bound of a range.
    #[derive(Default)]
    struct SortedList(Vec<(i32, u32)>);

    impl SortedList {
        fn insert(&mut self, rating: i32, ticket: u32) {
            let place = self.0.partition_point(|entry| *entry < (rating, ticket));
            self.0.insert(place, (rating, ticket));
        }

        fn remove(&mut self, rating: i32, ticket: u32) {
            self.0.retain(|entry| *entry != (rating, ticket));
        }

        fn within(&self, lowest: i32, highest: i32) -> &[(i32, u32)] {
            let lower_bound = self.0.partition_point(|(rating, _)| *rating < lowest);
            let upper_bound = self.0.partition_point(|(rating, _)| *rating <= highest);
            &self.0[lower_bound..upper_bound.max(lower_bound)]
        }
    }

    proptest! {
        /// Ratings are few, so that many are equal, and some are beyond the bins.
        #[test]
        fn a_range_has_the_same_tickets_as_in_the_sorted_list(
            steps in prop::collection::vec((0..40u32, prop_oneof![-30..30i32, 3_560..3_600i32, -600..-490i32], 1..4u32), 1..80),
            ranges in prop::collection::vec((-700..3_700i32, 0..400i32), 1..10),
        ) {
            let (mut bins, mut list) = (Bins::default(), SortedList::default());
            let mut inside = BTreeMap::<u32, (i32, u32, u32)>::new();
            for (ticket, rating, users) in steps {
                match inside.remove(&ticket) {
                    Some((rating, position, _)) => {
                        if let Some(moved) = bins.remove(rating, position).1 {
                            inside.get_mut(&moved).expect("it is in").1 = position;
                        }
                        list.remove(rating, ticket);
                    }
                    None => {
                        inside.insert(ticket, (rating, bins.insert(rating, entry(ticket, users)), users));
                        list.insert(rating, ticket);
                    }
                }
            }
            for (lowest, width) in ranges {
                let highest = lowest + width;
                let expected: Vec<u32> = {
                    let mut tickets: Vec<u32> = list.within(lowest, highest).iter().map(|(_, ticket)| *ticket).collect();
                    tickets.sort_unstable();
                    tickets
                };
                let exact = |ticket: &u32| (lowest..=highest).contains(&inside[ticket].0);
                let (ranks, users) = bins.within(lowest, highest);
                let all: Vec<u32> = ranks.clone().map(|rank| bins.at(rank).slot).collect();
                prop_assert_eq!(&all, &bins.slices(ranks).flatten().map(|entry| entry.slot).collect::<Vec<_>>());
                // Beyond the bins there may be more, which who asks has to pass over.
                prop_assert!(lowest < LOWEST + 1 || highest >= LOWEST + BINS as i32 - 1 || all.iter().all(exact));
                let mut found: Vec<u32> = all.iter().copied().filter(exact).collect();
                found.sort_unstable();
                prop_assert_eq!(found, expected);
                prop_assert_eq!(users, all.iter().map(|ticket| inside[ticket].2).sum::<u32>());
                let lower = inside.values().filter(|(rating, ..)| *rating < lowest).count();
                prop_assert!(lowest < LOWEST + 1 || lowest >= LOWEST + BINS as i32 - 1 || bins.below(lowest) as usize == lower);
            }
        }
    }

    #[test]
    fn the_ends_of_the_number_line_do_not_overflow() {
        let mut bins = Bins::default();
        bins.insert(i32::MIN, entry(1, 1));
        bins.insert(i32::MAX, entry(2, 1));
        assert_eq!(bins.within(i32::MIN, i32::MAX), (0..2, 2));
        assert_eq!(bins.within(i32::MAX, i32::MIN), (0..0, 0), "nobody");
        assert_eq!((bins.at(0).slot, bins.at(1).slot), (1, 2));
    }
}
