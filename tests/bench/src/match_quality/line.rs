//! The exact minimum-weight matching of ratings on a line, where any two may be paired and a pair costs its gap.
//!
//! **Only neighbours are paired.** Let some matching of k pairs have the least sum of gaps. If a ticket without a
//! partner lies between two that are paired, pairing it with one of them instead costs less, or the same; so all
//! between the two of a pair may be taken to be paired themselves. If a pair reaches beyond an end of another, or
//! around it, for four ratings a <= b <= c <= d the two pairs cost (c - a) + (d - b) or (d - a) + (c - b), each at
//! least (b - a) + (d - c); so pairing each with its neighbour costs no more. Doing both until nothing changes ends,
//! for the sum of the pairs' lengths in places falls each time, and leaves pairs of neighbours in the sorted order.
//! So the best matching is the best choice of neighbours: for the first n in the order, the least cost of p pairs is
//! that of the first n - 1, or that of p - 1 pairs of the first n - 2 and the last gap.
//!
//! A full matching (all, or all but one) needs no choice of how many; that is what is done here.

/// The least sum of gaps when all are paired, or, of an odd number, all but the best one to leave out; and the pairs,
/// as indices. Of n ratings, O(n log n).
pub fn min_gap_pairs(ratings: &[i32]) -> (u64, Vec<(usize, usize)>) {
    let mut order: Vec<usize> = (0..ratings.len()).collect();
    order.sort_by_key(|at| ratings[*at]);
    let gap = |at: usize| u64::from(ratings[order[at + 1]].abs_diff(ratings[order[at]]));
    let left_out = if order.len() % 2 == 1 { Some(best_left_out(order.len(), gap)) } else { None };
    let paired: Vec<usize> = (0..order.len()).filter(|at| Some(*at) != left_out).map(|at| order[at]).collect();
    let pairs: Vec<(usize, usize)> = paired.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    let sum = pairs.iter().map(|(one, other)| u64::from(ratings[*one].abs_diff(ratings[*other]))).sum();
    (sum, pairs)
}

/// Which of an odd number in their order to leave out, so that the others, paired with their neighbours, cost least.
/// It has an even number before it: else one of those would be paired across it, which costs no less than leaving out
/// the one next to it. With each step of two to the right the pair on its left replaces the one on its right.
fn best_left_out(count: usize, gap: impl Fn(usize) -> u64) -> usize {
    let mut sum: u64 = (1..count.saturating_sub(1)).step_by(2).map(&gap).sum();
    let (mut best, mut least) = (0, sum);
    for at in (2..count).step_by(2) {
        sum = sum - gap(at - 1) + gap(at - 2);
        if sum < least {
            (best, least) = (at, sum);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _};
    use rand_chacha::ChaCha20Rng;

    use super::*;

    /// The least sum of gaps of all ways to pair all, or all but one.
    fn least(ratings: &[i32], may_leave: bool) -> u64 {
        let Some((first, rest)) = ratings.split_first() else { return 0 };
        let alone = if may_leave { least(rest, false) } else { u64::MAX };
        let without = |at: usize| [&rest[..at], &rest[at + 1..]].concat();
        let paired = (0..rest.len()).map(|at| {
            let others = least(&without(at), may_leave);
            others.saturating_add(u64::from(first.abs_diff(rest[at])))
        });
        paired.fold(alone, Ord::min)
    }

    #[test]
    fn no_pairing_of_a_few_is_better() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for round in 0..600 {
            let count = rng.random_range(0..10);
            let most = [3, 40, 2_000][round % 3];
            let ratings: Vec<i32> = (0..count).map(|_| rng.random_range(0..most)).collect();
            let (sum, pairs) = min_gap_pairs(&ratings);
            assert_eq!(sum, least(&ratings, count % 2 == 1), "{ratings:?} {pairs:?}");
            assert_eq!(pairs.len(), ratings.len() / 2);
        }
    }
}
