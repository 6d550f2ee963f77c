//! What a replay measures: how long each search took, how it ended, and how good its game was.
//!
//! Invariant: each search that began is in exactly one [`Sample`], whatever the handler says of it and however often.

use std::collections::{BTreeMap, HashMap};

use super::quality::{Game, Meetings};
use super::stream::Enter;
use crate::ids::{DomainName, Time, UserId};
use crate::refusal::Refusal;

/// Into how many parts of equal size searches are divided by their ratings.
const DECILES: usize = 10;

/// The result of a replay.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The domain.
    pub domain: DomainName,
    /// How long the searches of the stream took to come, in milliseconds.
    pub span_ms: u64,
    /// How many games were made.
    pub games: u64,
    /// All searches.
    pub all: Measures,
    /// The same of parts of them: each search is in one group of each `by`.
    pub groups: Vec<Group>,
    /// Each search, in the order in which they ended.
    pub samples: Vec<Sample>,
}

/// Searches that have something in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// By what searches are told apart: `rating`, `party`, `region`.
    pub by: &'static str,
    /// What those of this group have in common.
    pub name: String,
    /// What was measured.
    pub measures: Measures,
}

/// What was measured of some searches.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measures {
    /// How many there were.
    pub searches: u64,
    /// How many of them ended with a match.
    pub matched: u64,
    /// How many were taken back.
    pub cancelled: u64,
    /// How many waited for as long as they might, in vain.
    pub starved: u64,
    /// How many were refused, or gave way to a newer one.
    pub refused: u64,
    /// How long those that were matched waited, in milliseconds.
    pub wait_ms: Quantiles,
    /// How long any of them waited at most, in milliseconds.
    pub longest_wait_ms: u64,
    /// How far apart the ratings in their games were: with two users the gap.
    pub spread: Quantiles,
    /// How far apart the means of the sides were.
    pub team_gap: Quantiles,
    /// How far from one half the chance of a win was, 0 to 0.5.
    pub unfairness: Quantiles,
    /// How long the way was to the region where they play, in milliseconds; of those who had said it.
    pub round_trip_ms: Quantiles,
    /// How many of those that were matched met somebody again within [`super::REMATCH_MS`].
    pub rematches: u64,
}

/// How something is distributed; all 0 of nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Quantiles {
    /// The mean.
    pub mean: f64,
    /// Half are at most this.
    pub p50: f64,
    /// 95 in 100 are at most this.
    pub p95: f64,
    /// 99 in 100 are at most this.
    pub p99: f64,
    /// The most.
    pub max: f64,
}

impl Quantiles {
    /// Of these, in any order. Each quantile is one of them: the least that so many do not exceed.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let Some(max) = values.last().copied() else { return Self::default() };
        let at = |percent: usize| values[(values.len() * percent).div_ceil(100).max(1) - 1];
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Self { mean, p50: at(50), p95: at(95), p99: at(99), max }
    }
}

/// One search.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The mean rating of its users.
    pub rating: i32,
    /// How many users it has.
    pub users: u32,
    /// The region that is nearest to it, by the longest round trips of its users; none if it has not said any.
    pub region: Option<String>,
    /// How long it took, in milliseconds.
    pub wait_ms: u64,
    /// How it ended.
    pub end: End,
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum End {
    /// With a game.
    Matched {
        /// See [`Game::spread`].
        spread: u32,
        /// See [`Game::team_gap`].
        team_gap: f64,
        /// See [`Game::unfairness`].
        unfairness: f64,
        /// The round trip to the region where it is played, in milliseconds, if both are known.
        round_trip_ms: Option<u16>,
        /// Whether somebody in it had met somebody else in it shortly before.
        again: bool,
    },
    /// It was taken back.
    Cancelled,
    /// At the domain's limit of waiting.
    Starved,
    /// Refused, or replaced by a newer search of one of its users.
    Refused,
}

/// Watches the searches of a replay.
#[derive(Debug, Default)]
pub(super) struct Watch {
    open: HashMap<u64, Open>,
    of: HashMap<UserId, u64>,
    meetings: Meetings,
    games: u64,
    last: Time,
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Open {
    since: Time,
    rating: i32,
    users: Vec<UserId>,
    /// The longest of its users' to each region that one of them has named.
    round_trips: BTreeMap<String, u16>,
}

impl Watch {
    pub fn entered(&mut self, enter: &Enter, now: Time) {
        self.last = now;
        if self.open.contains_key(&enter.ticket) {
            return; // The same request once more.
        }
        let users: Vec<UserId> = enter.seekers.iter().map(|seek| seek.user.0).collect();
        let sum: i64 = enter.seekers.iter().map(|seek| i64::from(seek.rating)).sum();
        let rating = (sum / users.len().max(1) as i64) as i32;
        self.of.extend(users.iter().map(|user| (*user, enter.ticket)));
        let mut round_trips = BTreeMap::new();
        for (region, ms) in enter.seekers.iter().flat_map(|seek| &seek.round_trips) {
            let longest: &mut u16 = round_trips.entry(region.clone()).or_default();
            *longest = (*longest).max(*ms);
        }
        self.open.insert(enter.ticket, Open { since: now, rating, users, round_trips });
    }

    pub fn made(&mut self, game: &Game, region: Option<&str>, now: Time) {
        let again = self.meetings.meet(game, now);
        let (spread, team_gap, unfairness) = (game.spread(), game.team_gap(), game.unfairness());
        self.games += 1;
        for member in &game.members {
            if let Some(ticket) = self.of.get(&member.user).copied() {
                let round_trip = |open: &Open| open.round_trips.get(region?).copied();
                let round_trip_ms = self.open.get(&ticket).and_then(round_trip);
                self.end(ticket, End::Matched { spread, team_gap, unfairness, round_trip_ms, again }, now);
            }
        }
    }

    pub fn refused(&mut self, ticket: u64, refusal: &Refusal, now: Time) {
        let end = if *refusal == Refusal::NoMatch { End::Starved } else { End::Refused };
        self.end(ticket, end, now);
    }

    pub fn cancelled(&mut self, ticket: u64, now: Time) {
        self.end(ticket, End::Cancelled, now);
    }

    fn end(&mut self, ticket: u64, end: End, now: Time) {
        // What was ended before, or never began, is said again in vain.
        let Some(open) = self.open.remove(&ticket) else { return };
        for user in &open.users {
            if self.of.get(user) == Some(&ticket) {
                self.of.remove(user);
            }
        }
        let region = open.round_trips.iter().min_by_key(|(_, ms)| **ms).map(|(region, _)| region.clone());
        let (users, wait_ms) = (open.users.len() as u32, now.ms_since(open.since));
        self.samples.push(Sample { rating: open.rating, users, region, wait_ms, end });
    }

    pub fn report(self, domain: DomainName, began: Time) -> Report {
        let samples = self.samples;
        let mut groups = deciles(&samples);
        groups.extend(parties(&samples));
        groups.extend(regions(&samples));
        Report {
            domain,
            span_ms: self.last.ms_since(began),
            games: self.games,
            all: measures(&samples.iter().collect::<Vec<_>>()),
            groups,
            samples,
        }
    }
}

/// Searches by their ratings, in parts of equal size; equal ratings may be in two of them.
fn deciles(samples: &[Sample]) -> Vec<Group> {
    let mut by_rating: Vec<&Sample> = samples.iter().collect();
    by_rating.sort_by_key(|sample| sample.rating);
    let size = by_rating.len().div_ceil(DECILES).max(1);
    let group = |part: &[&Sample]| {
        let (least, most) = (part[0].rating, part[part.len() - 1].rating);
        Group { by: "rating", name: format!("{least} to {most}"), measures: measures(part) }
    };
    by_rating.chunks(size).map(group).collect()
}

/// Searches by how many users they have.
fn parties(samples: &[Sample]) -> Vec<Group> {
    let mut by_size = BTreeMap::<u32, Vec<&Sample>>::new();
    for sample in samples {
        by_size.entry(sample.users).or_default().push(sample);
    }
    let group = |(size, part): (u32, Vec<&Sample>)| {
        let name = if size == 1 { "alone".to_owned() } else { format!("party of {size}") };
        Group { by: "party", name, measures: measures(&part) }
    };
    by_size.into_iter().map(group).collect()
}

/// Searches by the region that is nearest to them.
fn regions(samples: &[Sample]) -> Vec<Group> {
    let mut by_region = BTreeMap::<&str, Vec<&Sample>>::new();
    for sample in samples {
        if let Some(region) = &sample.region {
            by_region.entry(region).or_default().push(sample);
        }
    }
    let group =
        |(name, part): (&str, Vec<&Sample>)| Group { by: "region", name: name.to_owned(), measures: measures(&part) };
    by_region.into_iter().map(group).collect()
}

fn measures(samples: &[&Sample]) -> Measures {
    let mut measures = Measures { searches: samples.len() as u64, ..Measures::default() };
    let [mut waits, mut spreads, mut team_gaps, mut unfair, mut round_trips] = [const { Vec::new() }; 5];
    for sample in samples {
        measures.longest_wait_ms = measures.longest_wait_ms.max(sample.wait_ms);
        match sample.end {
            End::Matched { spread, team_gap, unfairness, round_trip_ms, again } => {
                measures.matched += 1;
                measures.rematches += u64::from(again);
                waits.push(sample.wait_ms as f64);
                spreads.push(f64::from(spread));
                team_gaps.push(team_gap);
                unfair.push(unfairness);
                round_trips.extend(round_trip_ms.map(f64::from));
            }
            End::Cancelled => measures.cancelled += 1,
            End::Starved => measures.starved += 1,
            End::Refused => measures.refused += 1,
        }
    }
    measures.wait_ms = Quantiles::of(waits);
    measures.spread = Quantiles::of(spreads);
    measures.team_gap = Quantiles::of(team_gaps);
    measures.unfairness = Quantiles::of(unfair);
    measures.round_trip_ms = Quantiles::of(round_trips);
    measures
}
