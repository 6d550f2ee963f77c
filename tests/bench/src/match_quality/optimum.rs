//! The least rating gap that is possible at a given mean wait, of the same searches.
//!
//! Two optima, for "at the same wait" has two meanings:
//!
//! - **Windows**: what a matcher can do that knows no more than one does in production. Searches are collected for a
//!   time, then those that are there are paired at the least sum of gaps ([`line::min_gap_pairs`]); who is left out
//!   is in the next window. The longer the windows the less the gaps; the window is chosen for which the mean wait
//!   is the given one.
//! - **Hindsight**: what nobody can do, for it takes knowing who will come. Any two may be paired, when the later of
//!   them is there; the sum of gaps is the least at which the mean wait is at most the given one. With a price for
//!   each second of waiting, the pairs of the least sum of gaps and prices are a minimum-weight matching
//!   ([`blossom::min_weight_pairs`]), and for each price no other pairs have both a smaller gap and no longer a wait
//!   (Lagrange's multiplier; H. Everett, Operations Research 11, 1963); the price is chosen for which the wait is
//!   the given one. It is made for up to [`WINDOW_MAX`] searches at a time, those that follow each other.

use super::arrivals::Arrival;
use super::{blossom, line};

/// How many searches are matched at a time with hindsight.
pub const WINDOW_MAX: usize = 500;
/// So often a window or a price is halved between the least and the most.
const HALVINGS: usize = 12;

/// The mean gap and the mean wait of those that were matched.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    pub gap: f64,
    pub wait_ms: f64,
}

/// The mean of pairs of arrivals, each with when it was made.
fn point(pairs: &[(Arrival, Arrival, u64)]) -> Point {
    let count = pairs.len().max(1) as f64;
    let gap: f64 = pairs.iter().map(|(one, other, _)| f64::from(one.rating.abs_diff(other.rating))).sum();
    let waits: f64 = pairs.iter().map(|(one, other, at)| (2 * at - one.at_ms - other.at_ms) as f64 / 2.0).sum();
    Point { gap: gap / count, wait_ms: waits / count }
}

/// The best pairs of all who came in each window of `window_ms`.
pub fn of_windows(arrivals: &[Arrival], window_ms: u64) -> Point {
    let mut pairs = Vec::new();
    let mut waiting: Vec<Arrival> = Vec::new();
    let mut coming = arrivals.iter().peekable();
    let mut end = window_ms;
    while coming.peek().is_some() {
        while let Some(arrival) = coming.next_if(|arrival| arrival.at_ms <= end) {
            waiting.push(*arrival);
        }
        let chosen = min_gap_pairs(&waiting);
        let mut is_paired = vec![false; waiting.len()];
        for (one, other) in chosen {
            pairs.push((waiting[one], waiting[other], end));
            is_paired[one] = true;
            is_paired[other] = true;
        }
        let mut is_paired = is_paired.into_iter();
        waiting.retain(|_| is_paired.next() == Some(false));
        end += window_ms;
    }
    point(&pairs)
}

/// The most pairs of these, with the least sum of gaps, of those who may play in the same region.
fn min_gap_pairs(waiting: &[Arrival]) -> Vec<(usize, usize)> {
    if waiting.iter().all(|arrival| arrival.near == u64::MAX) {
        let ratings: Vec<i32> = waiting.iter().map(|arrival| arrival.rating).collect();
        return line::min_gap_pairs(&ratings).1;
    }
    blossom::min_weight_pairs(waiting.len(), |one, other| {
        let (one, other) = (waiting[one], waiting[other]);
        (one.near & other.near != 0).then(|| u64::from(one.rating.abs_diff(other.rating)))
    })
}

/// The best of windows with this mean wait.
pub fn windows_at(arrivals: &[Arrival], wait_ms: f64) -> Point {
    let (mut least, mut most) = (1.0, 8.0 * wait_ms + 1_000.0);
    for _ in 0..HALVINGS {
        let middle = (least + most) / 2.0;
        if of_windows(arrivals, middle as u64 + 1).wait_ms < wait_ms { least = middle } else { most = middle }
    }
    of_windows(arrivals, most as u64 + 1)
}

/// The best pairs with hindsight, where a second of waiting costs so many points of rating.
pub fn with_hindsight(arrivals: &[Arrival], points_per_s: f64) -> Point {
    let mut pairs = Vec::new();
    for window in arrivals.chunks(WINDOW_MAX) {
        let weight = |one: usize, other: usize| {
            let (one, other) = (window[one], window[other]);
            let gap = f64::from(one.rating.abs_diff(other.rating));
            let wait_s = one.at_ms.abs_diff(other.at_ms) as f64 / 1e3;
            (one.near & other.near != 0).then_some(((gap + points_per_s * wait_s) * 1e3) as u64)
        };
        for (one, other) in blossom::min_weight_pairs(window.len(), weight) {
            let (one, other) = (window[one], window[other]);
            pairs.push((one, other, one.at_ms.max(other.at_ms)));
        }
    }
    point(&pairs)
}

/// The best with hindsight whose mean wait is this.
pub fn hindsight_at(arrivals: &[Arrival], wait_ms: f64) -> Point {
    let (mut least, mut most): (f64, f64) = (1e-1, 1e5);
    for _ in 0..HALVINGS {
        let middle = (least * most).sqrt();
        if with_hindsight(arrivals, middle).wait_ms > wait_ms { least = middle } else { most = middle }
    }
    with_hindsight(arrivals, least)
}
