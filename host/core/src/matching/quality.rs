//! How long users wait for their matches and how good those are, for operators to watch.
//!
//! Counters as Prometheus has histograms: each bucket counts all that is at most its limit, so quantiles can be read
//! from them over any time. What matches were like in detail is told by replaying a recording (`replay`).

use crate::Meter;

/// Limits of waits in milliseconds, and how they are written; the last one is none.
const WAITS: [(u64, &str); 11] = [
    (100, "100"),
    (250, "250"),
    (500, "500"),
    (1_000, "1000"),
    (2_500, "2500"),
    (5_000, "5000"),
    (10_000, "10000"),
    (30_000, "30000"),
    (60_000, "60000"),
    (180_000, "180000"),
    (u64::MAX, "+Inf"),
];
/// Limits of differences of ratings, in points.
const POINTS: [(u64, &str); 8] =
    [(10, "10"), (25, "25"), (50, "50"), (100, "100"), (200, "200"), (400, "400"), (800, "800"), (u64::MAX, "+Inf")];
/// Ratings are told apart in bands of 200 points; by their upper ends.
const BANDS: [(i32, &str); 10] = [
    (800, "below 800"),
    (1_000, "800"),
    (1_200, "1000"),
    (1_400, "1200"),
    (1_600, "1400"),
    (1_800, "1600"),
    (2_000, "1800"),
    (2_200, "2000"),
    (2_400, "2200"),
    (i32::MAX, "2400 and more"),
];
const PARTIES: [&str; 5] = ["1", "2", "3", "4", "5 and more"];

/// How often something was at most each of these limits.
#[derive(Debug, Clone, Copy)]
struct Histogram<const N: usize> {
    limits: &'static [(u64, &'static str); N],
    counts: [u64; N],
    sum: u64,
}

impl<const N: usize> Histogram<N> {
    const fn new(limits: &'static [(u64, &'static str); N]) -> Self {
        Self { limits, counts: [0; N], sum: 0 }
    }

    fn note(&mut self, value: u64) {
        for (count, (limit, _)) in self.counts.iter_mut().zip(self.limits) {
            *count += u64::from(value <= *limit);
        }
        self.sum = self.sum.saturating_add(value);
    }

    /// Its meters; none as long as nothing was noted.
    fn meters(self, [buckets, sum, count]: [&'static str; 3], label: Option<(&'static str, String)>) -> Vec<Meter> {
        let of = |meter: Meter| match &label {
            Some((name, value)) => meter.of(name, value.clone()),
            None => meter,
        };
        let total = self.counts[N - 1];
        if total == 0 {
            return Vec::new();
        }
        let bucket =
            |(count, (_, limit)): (&u64, &(u64, &'static str))| of(Meter::total(buckets, *count)).of("le", *limit);
        let mut meters: Vec<Meter> = self.counts.iter().zip(self.limits).map(bucket).collect();
        meters.push(of(Meter::total(sum, self.sum)));
        meters.push(of(Meter::total(count, total)));
        meters
    }
}

/// A match that was made, as far as its quality goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Made {
    /// How far the ratings of its tickets are apart.
    pub spread: u32,
    /// How likely the first of two sides wins.
    pub win_probability: Option<f64>,
    /// Two of different tickets have met lately.
    pub rematch: bool,
}

/// What has been counted.
#[derive(Debug, Clone)]
pub(super) struct Quality {
    waits: [Histogram<{ WAITS.len() }>; BANDS.len()],
    by_party: [Histogram<{ WAITS.len() }>; PARTIES.len()],
    by_region: Vec<(String, Histogram<{ WAITS.len() }>)>,
    fills: Histogram<{ WAITS.len() }>,
    spread: Histogram<{ POINTS.len() }>,
    /// How far the likelier winner of matches with two sides is above one half, in thousandths, and of how many.
    unfair: u64,
    sided: u64,
    rematches: u64,
}

impl Default for Quality {
    fn default() -> Self {
        Self {
            waits: [Histogram::new(&WAITS); BANDS.len()],
            by_party: [Histogram::new(&WAITS); PARTIES.len()],
            by_region: Vec::new(),
            fills: Histogram::new(&WAITS),
            spread: Histogram::new(&POINTS),
            unfair: 0,
            sided: 0,
            rematches: 0,
        }
    }
}

impl Quality {
    /// A ticket has its match.
    pub fn note_wait(&mut self, rating: i32, users: usize, region: Option<&str>, waited_ms: u64) {
        let band = BANDS.iter().position(|(end, _)| rating < *end).unwrap_or(BANDS.len() - 1);
        self.waits[band].note(waited_ms);
        self.by_party[users.clamp(1, PARTIES.len()) - 1].note(waited_ms);
        let Some(region) = region else { return };
        // There are no more than the domain has, or has had: see `domain::REGIONS_MAX`.
        let place = self.by_region.iter().position(|(name, _)| name == region).unwrap_or_else(|| {
            self.by_region.push((region.to_owned(), Histogram::new(&WAITS)));
            self.by_region.len() - 1
        });
        self.by_region[place].1.note(waited_ms);
    }

    /// A match is made.
    pub fn note_made(&mut self, made: Made) {
        self.spread.note(u64::from(made.spread));
        self.rematches += u64::from(made.rematch);
        if let Some(probability) = made.win_probability {
            self.sided += 1;
            self.unfair += ((probability - 0.5).abs() * 1_000.0) as u64;
        }
    }

    /// A running scene has got players that it has wanted for so long.
    pub fn note_fill(&mut self, waited_ms: u64) {
        self.fills.note(waited_ms);
    }

    pub fn meters(&self) -> Vec<Meter> {
        const WAIT: [&str; 3] =
            ["scenehost_match_wait_ms_bucket", "scenehost_match_wait_ms_sum", "scenehost_match_wait_ms_count"];
        const PARTY: [&str; 3] = [
            "scenehost_match_party_wait_ms_bucket",
            "scenehost_match_party_wait_ms_sum",
            "scenehost_match_party_wait_ms_count",
        ];
        const REGION: [&str; 3] = [
            "scenehost_match_region_wait_ms_bucket",
            "scenehost_match_region_wait_ms_sum",
            "scenehost_match_region_wait_ms_count",
        ];
        const FILL: [&str; 3] =
            ["scenehost_match_fill_ms_bucket", "scenehost_match_fill_ms_sum", "scenehost_match_fill_ms_count"];
        const SPREAD: [&str; 3] =
            ["scenehost_match_spread_bucket", "scenehost_match_spread_sum", "scenehost_match_spread_count"];
        let waits =
            self.waits.iter().zip(BANDS).map(|(it, (_, band))| it.meters(WAIT, Some(("rating", band.to_owned()))));
        let parties =
            self.by_party.iter().zip(PARTIES).map(|(it, party)| it.meters(PARTY, Some(("party", party.to_owned()))));
        let regions = self.by_region.iter().map(|(region, it)| it.meters(REGION, Some(("region", region.clone()))));
        let mut meters: Vec<Meter> = waits.chain(parties).chain(regions).flatten().collect();
        meters.extend(self.fills.meters(FILL, None));
        meters.extend(self.spread.meters(SPREAD, None));
        meters.push(Meter::total("scenehost_match_rematches_total", self.rematches));
        meters.push(Meter::total("scenehost_match_unfairness_per_mille_total", self.unfair));
        meters.push(Meter::total("scenehost_match_sided_total", self.sided));
        meters
    }
}
