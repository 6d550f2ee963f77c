//! Who comes to be matched, as far as ratings and parties go.
//!
//! Invariant: all is drawn before anything is measured, from seeded generators, so that every run sees the same.

use anyhow::Result;
use rand::RngExt as _;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::match_quality::arrivals::real_ratings;

/// How many ratings are drawn beforehand, a power of two.
const DRAWN: usize = 1 << 16;
/// Of a hundred parties so many have 1, 2, 3, 4 and 5 members.
const PARTIES_PERCENT: [u32; 5] = [70, 15, 8, 4, 3];

/// How ratings are distributed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Mean 1500, standard deviation 300.
    Normal,
    /// Half around 1200 and half around 1900, with a standard deviation of 100.
    Bimodal,
    /// All 1500.
    Equal,
    /// Those of the players of real games.
    Halo,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Normal, Self::Bimodal, Self::Equal, Self::Halo];

    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Bimodal => "bimodal",
            Self::Equal => "all equal",
            Self::Halo => "Halo 2",
        }
    }
}

/// Ratings that are drawn one after the other, again from the first after the last.
pub struct Ratings {
    drawn: Vec<i32>,
    next: usize,
}

impl Ratings {
    pub fn new(kind: Kind) -> Result<Self> {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let mut real = if kind == Kind::Halo { real_ratings()? } else { Vec::new() };
        let mut one = |_| match kind {
            Kind::Normal => around(1_500.0, 300.0, &mut rng),
            Kind::Bimodal if rng.random() => around(1_200.0, 100.0, &mut rng),
            Kind::Bimodal => around(1_900.0, 100.0, &mut rng),
            Kind::Equal => 1_500,
            Kind::Halo => real[rng.random_range(0..real.len())],
        };
        let drawn = (0..DRAWN).map(&mut one).collect();
        real.clear();
        Ok(Self { drawn, next: 0 })
    }

    pub fn draw(&mut self) -> i32 {
        self.next = (self.next + 1) % DRAWN;
        self.drawn[self.next]
    }
}

/// One of a normal distribution (G. Box and M. Muller, "A Note on the Generation of Random Normal Deviates", 1958).
fn around(mean: f64, deviation: f64, rng: &mut ChaCha12Rng) -> i32 {
    let (radius, angle) =
        ((-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt(), std::f64::consts::TAU * rng.random::<f64>());
    (mean + deviation * radius * angle.cos()).round() as i32
}

/// How many members a party has.
pub fn party(rng: &mut ChaCha12Rng) -> u32 {
    let mut left = rng.random_range(0..100);
    for (members, percent) in (1..).zip(PARTIES_PERCENT) {
        if left < percent {
            return members;
        }
        left -= percent;
    }
    1
}
