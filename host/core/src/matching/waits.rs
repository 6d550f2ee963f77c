//! How long users have waited for their matches lately, and what may be told of it to those who ask now.
//!
//! The honest part: what was told is held against what came, so operators see whether it was true.

use std::collections::VecDeque;

/// Tickets are put together whose ratings are so near.
const BAND: i32 = 200;
const BANDS: usize = 16;
/// The rating at which the first band ends.
const FIRST: i32 = 200;
/// How many waits are remembered in a band.
const WAITS_MAX: usize = 64;
/// With fewer nothing is told.
const WAITS_MIN: usize = 8;

/// The waits of tickets, by their ratings.
#[derive(Debug, Clone)]
pub(super) struct Waits {
    bands: Vec<Band>,
    /// How many users were told something, and for how many of them it was true.
    told: u64,
    kept: u64,
}

#[derive(Debug, Clone, Default)]
struct Band {
    latest: VecDeque<u64>,
    /// The same, the shortest first.
    sorted: Vec<u64>,
    /// Within how long three of four of them had their match; `None`: there are too few.
    usual_ms: Option<u64>,
}

impl Default for Waits {
    fn default() -> Self {
        Self { bands: vec![Band::default(); BANDS], told: 0, kept: 0 }
    }
}

fn band_of(rating: i32) -> usize {
    (rating.saturating_sub(FIRST).div_euclid(BAND).saturating_add(1)).clamp(0, BANDS as i32 - 1) as usize
}

impl Waits {
    /// Notes that a ticket has its match, or has not got one by the limit; and what it was told when it asked.
    pub fn note(&mut self, rating: i32, waited_ms: u64, told_ms: Option<u64>) {
        if let Some(told_ms) = told_ms {
            self.told += 1;
            self.kept += u64::from(waited_ms <= told_ms);
        }
        let band = &mut self.bands[band_of(rating)];
        if band.latest.len() == WAITS_MAX
            && let Some(oldest) = band.latest.pop_front()
        {
            band.sorted.remove(band.sorted.partition_point(|wait| *wait < oldest));
        }
        band.latest.push_back(waited_ms);
        band.sorted.insert(band.sorted.partition_point(|wait| *wait < waited_ms), waited_ms);
        if band.latest.len() >= WAITS_MIN {
            band.usual_ms = Some(band.sorted[band.sorted.len() * 3 / 4]);
        }
    }

    /// Within how long three of four tickets of such a rating have found their match lately.
    pub fn usual_ms(&self, rating: i32) -> Option<u64> {
        self.bands[band_of(rating)].usual_ms
    }

    /// How many tickets were told a usual wait, and how many of them waited no longer. Three of four is honest.
    pub fn honesty(&self) -> (u64, u64) {
        (self.told, self.kept)
    }
}
