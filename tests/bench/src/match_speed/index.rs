//! The index by itself, in a pool in which the same number always waits: pairs, against a sorted list, and matches of
//! five against five.
//!
//! Invariant: whoever is matched is replaced by others, so a pool has its size all the time; who is not matched leaves,
//! and counts for nothing but the time that it took.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rand::Rng as _;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng as _;
use scenehost_core::Time;
use scenehost_core::config::Domain;
use scenehost_core::matching::pool::{Company, OPEN, Pool, Slot, Waiting};
use scenehost_core::matching::teams::{ANY_ROLE, Balance, Layout, Member, Team, Teams};

use super::population::{Kind, Ratings, party};
use super::sorted_list::SortedList;
use crate::process::own_cpu;

/// How far apart ratings of a pair may be.
const RANGE: i32 = 50;
/// The time is looked at after so many.
const AT_ONCE: u64 = 256;
const NOW: Time = Time(1_000_000);

/// Does something again and again for so long; how many times a second it was done, by what it says.
fn per_s(window: Duration, at_once: u64, mut one: impl FnMut() -> bool) -> f64 {
    let (began, mut done) = (own_cpu(), 0_u64);
    loop {
        for _ in 0..at_once {
            done += u64::from(one());
        }
        let took = own_cpu() - began;
        if took >= window {
            return done as f64 / took.as_secs_f64();
        }
    }
}

fn waiting(number: u64, rating: i32, users: u32) -> Waiting {
    Waiting { number, since: NOW, regions: 0, rating, users, bracket: OPEN, careful: false }
}

/// Anybody plays with anybody.
struct Anybody;

impl Company for Anybody {
    fn allows(&self, _: &Pool, _: &[Slot], _: Slot) -> bool {
        true
    }

    fn begin(&mut self, _: Slot, _: &Pool) -> bool {
        true
    }

    fn take(&mut self, _: Slot, _: &Pool) -> bool {
        true
    }
}

/// How many pairs a second are found while so many wait: one comes, finds one of those at random whose range it is in
/// and who is in its own, and both go.
pub fn pairs_per_s(kind: Kind, count: usize, window: Duration) -> Result<f64> {
    let domain = Domain {
        rating_range: RANGE as u32,
        rating_range_per_s: 0,
        rating_range_max: RANGE as u32,
        ..Domain::new("duel".into(), 2, 2)
    };
    let (mut ratings, mut rng) = (Ratings::new(kind)?, ChaCha12Rng::seed_from_u64(2));
    let mut pool = Pool::new(&domain);
    let mut number = 0;
    let mut come = |pool: &mut Pool| {
        number += 1;
        pool.insert(waiting(number, ratings.draw(), 1), &[], &[])
    };
    for _ in 0..count {
        come(&mut pool);
    }
    Ok(per_s(window, AT_ONCE, || {
        let seeker = come(&mut pool);
        let Some(pair) = pool.gather(seeker, &(2..2), &domain, NOW, &mut rng, &mut Anybody) else {
            pool.remove(seeker);
            return false;
        };
        pair.slots.iter().for_each(|slot| pool.remove(*slot));
        come(&mut pool);
        true
    }))
}

/// The same with a sorted list, in which who comes need not even wait.
pub fn sorted_list_pairs_per_s(kind: Kind, count: usize, window: Duration) -> Result<f64> {
    let (mut ratings, mut rng) = (Ratings::new(kind)?, ChaCha12Rng::seed_from_u64(2));
    let mut sorted: Vec<i32> = (0..count).map(|_| ratings.draw()).collect();
    sorted.sort();
    let mut list = SortedList::default();
    // At its end each time, which costs nothing.
    (0..).zip(&sorted).for_each(|(number, rating)| list.insert(*rating, number));
    let mut number = count as u64;
    Ok(per_s(window, AT_ONCE / 16, || {
        let found = list.take_near(ratings.draw(), RANGE, &mut rng).is_some();
        if found {
            number += 1;
            list.insert(ratings.draw(), number);
        }
        found
    }))
}

/// Those who fit into two teams.
struct Fitting<'a> {
    teams: &'a mut Teams,
    /// Who comes with the ticket of each slot.
    members: &'a [Vec<Member>],
}

impl Company for Fitting<'_> {
    fn allows(&self, _: &Pool, _: &[Slot], _: Slot) -> bool {
        true
    }

    fn begin(&mut self, slot: Slot, pool: &Pool) -> bool {
        self.teams.begin(Balance { size_gap_max: Some(0), ..Balance::default() });
        self.take(slot, pool)
    }

    fn take(&mut self, slot: Slot, _: &Pool) -> bool {
        self.teams.add(&self.members[slot as usize])
    }
}

/// How many matches a second of five against five are found and divided while so many parties wait.
pub fn teams_per_s(count: usize, window: Duration) -> Result<f64> {
    let layout = Layout { teams: vec![Team { count: 2, ..Team::of(5) }] };
    let domain = Domain { teams: layout.clone(), ..Domain::new("five".into(), 10, 10) };
    let mut teams = Teams::new(&layout).map_err(anyhow::Error::msg)?;
    let (mut ratings, mut rng) = (Ratings::new(Kind::Normal)?, ChaCha12Rng::seed_from_u64(3));
    let mut parties = ChaCha12Rng::seed_from_u64(4);
    let mut pool = Pool::new(&domain);
    let mut members: Vec<Vec<Member>> = Vec::new();
    let mut number = 0;
    let mut come = |pool: &mut Pool, members: &mut Vec<Vec<Member>>| {
        number += 1;
        // Friends are about as good as each other.
        let (users, rating) = (party(&mut parties), ratings.draw());
        let slot = pool.insert(waiting(number, rating, users), &[], &[]);
        members.resize_with(members.len().max(slot as usize + 1), Vec::new);
        let of = &mut members[slot as usize];
        of.clear();
        of.extend(
            (0..users as i32).map(|i| Member { rating: rating + 40 * i - 20 * (users as i32 - 1), roles: ANY_ROLE }),
        );
        slot
    };
    for _ in 0..count {
        come(&mut pool, &mut members);
    }
    Ok(per_s(window, AT_ONCE / 16, || {
        let seeker = come(&mut pool, &mut members);
        let mut company = Fitting { teams: &mut teams, members: &members };
        let found = pool.gather(seeker, &(10..10), &domain, NOW, &mut rng, &mut company);
        let Some(gathering) = found.filter(|_| teams.divide(rng.next_u64()).is_some()) else {
            pool.remove(seeker);
            return false;
        };
        gathering.slots.iter().for_each(|slot| pool.remove(*slot));
        while pool.len() < count {
            come(&mut pool, &mut members);
        }
        true
    }))
}

/// How many bytes the index says that it takes for each of so many tickets with 12 regions and 2 properties, and how
/// many the process has taken for it.
pub fn bytes_per_ticket(domain: &Domain, count: usize) -> Result<(f64, f64)> {
    let mut ratings = Ratings::new(Kind::Normal)?;
    let trips = vec![50; domain.regions().len()];
    let before = resident_bytes()?;
    let mut pool = Pool::new(domain);
    for number in 0..count as u64 {
        pool.insert(waiting(number, ratings.draw(), 1), &[], &trips);
    }
    let taken = resident_bytes()?.saturating_sub(before);
    Ok((pool.bytes() as f64 / count as f64, taken as f64 / count as f64))
}

fn resident_bytes() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(1_024 * line.split_whitespace().next().context("no number")?.parse::<u64>()?)
}
