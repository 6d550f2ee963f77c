//! Searches as they might come: the players of real games with the ratings that they had, on real machines with the
//! round trips that those had, at the times of a Poisson process.
//!
//! Invariant: each search has a user of its own, so that a search never ends because its user began another.

use std::collections::HashMap;

use anyhow::{Context as _, Result, anyhow};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rand::RngExt as _;
use rand_chacha::ChaCha20Rng;
use scenehost_core::config::Domain;
use scenehost_core::matching::replay::{Enter, Happened, Line, Seek, Someone, Stream};
use scenehost_core::results::rating::{Finish, Rating, rate};
use scenehost_core::{Time, UserId};

const DUELS: &str = include_str!("../../../../host/core/tests/fixtures/halo2-duels.csv");
const ROUND_TRIPS: &str = include_str!("../../fixtures/planetlab-regions.csv");

/// One search.
#[derive(Clone, Copy)]
pub struct Arrival {
    pub at_ms: u64,
    pub rating: i32,
    /// On which machine.
    pub machine: usize,
    /// The regions, a bit each, in which it may play, however long it waits.
    pub near: u64,
}

/// The regions of the round trips.
pub const REGIONS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// The round trips of each machine, in milliseconds, by region.
pub fn real_round_trips() -> Result<Vec<Vec<u16>>> {
    let lines = ROUND_TRIPS.lines().filter(|line| !line.starts_with('#')).skip(1);
    lines.map(|line| line.split(',').map(|ms| Ok(ms.parse()?)).collect()).collect()
}

/// The ratings of the players before each of the real games, two a game, in the order of the games.
pub fn real_ratings() -> Result<Vec<i32>> {
    let mut ratings: HashMap<&str, Rating> = HashMap::new();
    let mut before = Vec::new();
    for line in DUELS.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [ended, one, other, score_one, score_other] = fields[..] else { anyhow::bail!("not five fields: {line}") };
        let ended = moment(ended)?;
        let scores: [i32; 2] = [score_one.parse()?, score_other.parse()?];
        let players = [one, other].map(|player| ratings.get(player).copied().unwrap_or_default());
        before.extend(players.iter().map(Rating::rounded));
        let finish = |own: usize| Finish {
            rating: players[own],
            team: own as u32,
            place: 1 + u32::from(scores[own] < scores[1 - own]),
        };
        let after = rate(&[finish(0), finish(1)], ended).context("two players")?;
        ratings.extend([one, other].into_iter().zip(after));
    }
    Ok(before)
}

fn moment(text: &str) -> Result<Time> {
    let moment =
        text.parse().and_then(|it: DateTime| it.to_zoned(TimeZone::UTC)).map_err(|error| anyhow!("{error}"))?;
    Ok(Time(moment.timestamp().as_millisecond().unsigned_abs()))
}

/// Searches with these ratings and machines by chance, `per_s` in a second.
pub fn arrivals(real: &Real, domain: &Domain, count: usize, per_s: f64, rng: &mut ChaCha20Rng) -> Vec<Arrival> {
    let mut at_s = 0.0;
    let arrival = |_| {
        at_s -= (1.0 - rng.random::<f64>()).ln() / per_s;
        let machine = rng.random_range(0..real.round_trips.len());
        Arrival {
            at_ms: (at_s * 1e3) as u64,
            rating: real.ratings[rng.random_range(0..real.ratings.len())],
            machine,
            near: domain.near(&real.round_trips[machine], domain.wait_ms_max),
        }
    };
    (0..count).map(arrival).collect()
}

/// What is real of the searches.
pub struct Real {
    pub ratings: Vec<i32>,
    pub round_trips: Vec<Vec<u16>>,
}

/// The stream of these searches.
pub fn stream(arrivals: &[Arrival], real: &Real) -> Stream {
    let line = |(arrival, number): (&Arrival, u64)| {
        let round_trips = REGIONS.iter().zip(&real.round_trips[arrival.machine]);
        let seek = Seek {
            user: Someone(UserId(number)),
            rating: arrival.rating,
            round_trips: round_trips.map(|(region, ms)| ((*region).to_owned(), *ms)).collect(),
            ..Seek::default()
        };
        Line { at_ms: arrival.at_ms, happened: Happened::Enter(Enter { ticket: number, seekers: vec![seek] }) }
    };
    Stream { domain: "duel".into(), lines: arrivals.iter().zip(1..).map(line).collect() }
}
