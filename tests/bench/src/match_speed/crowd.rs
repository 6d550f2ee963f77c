//! Who searches in the handler's measurement, and the domain in which they do.
//!
//! Some wait for a match that nobody can give them: they want others to speak a language that none does. They are as
//! many as wait in all. Between them come the others, who have to be found among them, and go again.
//!
//! Invariant: a user has one search at a time, as the lobby sees to it.

use std::collections::BTreeSet;

use anyhow::Result;
use rand::RngExt as _;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng as _;
use scenehost_core::UserId;
use scenehost_core::config::Domain;
use scenehost_core::matching::domain::{Ping, Property};
use scenehost_core::matching::{Event, Seeker, Wish};
use scenehost_core::refusal::Refusal;

use super::population::{Kind, Ratings};

const REGIONS: usize = 12;
/// The round trip to the own region, and how much longer it is to the next one around the world.
const TRIP_MS: u16 = 20;
const TRIP_MORE_MS: u16 = 40;
/// Languages that are spoken, and in which a user can want others to speak; one more is spoken by nobody.
const LANGUAGES: usize = 4;
const MAPS: usize = 8;
/// How many users there are who come and go; they come again, so some have met each other lately.
const USERS: u64 = 400_000;
/// Who waits in vain has a number beyond them.
const FIRST_IN_VAIN: u64 = 1 << 32;
/// Of a hundred: who has blocked somebody, and how many; who takes the search back; who wants others of the own
/// language; who has to be found on one of half of the maps.
const BLOCKERS_PERCENT: u32 = 5;
const BLOCKED: usize = 20;
const CANCELS_PERCENT: u32 = 5;
const OWN_LANGUAGE_PERCENT: u32 = 25;

/// A domain with every native rule: regions and round trips, a property of users and one of the match, blocks, recent
/// opponents.
pub fn domain() -> Domain {
    let property = |name: &str, count: usize, common| Property {
        name: name.to_owned(),
        values: (0..count).map(|i| format!("{name}-{i}")).collect(),
        common,
        relax_ms: None,
    };
    Domain {
        ping: Some(Ping {
            regions: (0..REGIONS).map(region).collect(),
            ms: 80,
            after_ms: None,
            ms_per_s: 5,
            ms_max: 200,
        }),
        properties: vec![property("language", LANGUAGES + 1, false), property("map", MAPS, true)],
        tickets_max: 10_000_000,
        wait_ms_max: 3_600_000,
        ..Domain::new("duel".into(), 2, 2)
    }
}

fn region(i: usize) -> String {
    format!("region-{i}")
}

/// The users, and what they want.
pub struct Crowd {
    ratings: Ratings,
    rng: ChaCha12Rng,
    ticket: u64,
    in_vain: u64,
    /// Whether each of the users who come and go searches now.
    searches: Vec<bool>,
}

impl Crowd {
    pub fn new(kind: Kind) -> Result<Self> {
        Ok(Self {
            ratings: Ratings::new(kind)?,
            rng: ChaCha12Rng::seed_from_u64(5),
            ticket: 0,
            in_vain: 0,
            searches: vec![false; USERS as usize],
        })
    }

    /// One who will wait in vain.
    pub fn in_vain(&mut self) -> Event {
        self.in_vain += 1;
        let mut seeker = self.seeker(FIRST_IN_VAIN + self.in_vain);
        seeker.wish.wants.insert("language".to_owned(), vec![format!("language-{LANGUAGES}")]);
        self.search(seeker)
    }

    /// One who comes and goes, and perhaps takes the search back at once.
    pub fn passing(&mut self) -> (Event, Option<Event>) {
        let user = loop {
            let user = self.rng.random_range(0..USERS);
            if !self.searches[user as usize] {
                break user;
            }
        };
        self.searches[user as usize] = true;
        let mut seeker = self.seeker(user);
        if self.percent(OWN_LANGUAGE_PERCENT) {
            seeker.wish.wants.insert("language".to_owned(), seeker.wish.has["language"].clone());
        }
        let search = self.search(seeker);
        let cancel = Event::ReqCancelMatch { user: UserId(user), ticket: self.ticket, others: Refusal::NoMatch };
        (search, self.percent(CANCELS_PERCENT).then_some(cancel))
    }

    /// A user's search has ended.
    pub fn ended(&mut self, user: UserId) {
        if let Some(searches) = self.searches.get_mut(user.0 as usize) {
            *searches = false;
        }
    }

    fn percent(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    fn search(&mut self, seeker: Seeker) -> Event {
        self.ticket += 1;
        Event::ReqMatch { ticket: self.ticket, seekers: vec![seeker] }
    }

    fn seeker(&mut self, user: u64) -> Seeker {
        let home = self.rng.random_range(0..REGIONS);
        let away = |i: usize| i.abs_diff(home).min(REGIONS - i.abs_diff(home)) as u16;
        let language = format!("language-{}", self.rng.random_range(0..LANGUAGES));
        let first = self.rng.random_range(0..MAPS);
        let maps = (first..first + MAPS / 2).map(|i| format!("map-{}", i % MAPS)).collect();
        let blocked = if self.percent(BLOCKERS_PERCENT) { BLOCKED } else { 0 };
        Seeker {
            user: UserId(user),
            name: format!("Player {user:x}"),
            rating: self.ratings.draw(),
            games: 10,
            blocked: (0..blocked).map(|_| UserId(self.rng.random_range(0..USERS))).collect::<BTreeSet<_>>(),
            wish: Wish {
                has: [("language".to_owned(), vec![language])].into(),
                wants: [("map".to_owned(), maps)].into(),
                round_trips: (0..REGIONS).map(|i| (region(i), TRIP_MS + TRIP_MORE_MS * away(i))).collect(),
                ..Wish::default()
            },
        }
    }
}
