//! Who searches in the handler's measurement, and the domain in which they do: duels, or two against two with parties.
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
use scenehost_core::matching::teams::{Layout, Team};
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
/// language; how many of the searches are of a party, where there are parties. All want one of half of the maps.
const PARTIES_PERCENT: u32 = 30;
const BLOCKERS_PERCENT: u32 = 5;
const BLOCKED: usize = 20;
const CANCELS_PERCENT: u32 = 5;
const OWN_LANGUAGE_PERCENT: u32 = 25;

/// What the others of a party are told when one takes the search back, and nobody else is told here.
pub const TAKEN_BACK: Refusal = Refusal::Stopping;

/// What is played.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Game {
    /// One against one.
    Duels,
    /// Two against two, by users alone and by parties of two.
    Parties,
}

impl Game {
    /// Its domain, with every native rule that it can have: regions and round trips, a property of users and one of the
    /// match, blocks, recent opponents; teams and the shape of parties.
    pub fn domain(self) -> Domain {
        match self {
            Self::Duels => domain(),
            Self::Parties => Domain {
                teams: Layout { teams: vec![Team { count: 2, ..Team::of(2) }] },
                players_min: 4,
                players_max: 4,
                party_gap: Some(1),
                ..domain()
            },
        }
    }
}

/// That of duels.
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

/// What a user of those who come and go does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Nothing,
    /// Searches, and the search counts by this one.
    Leads,
    /// Searches as another member of a party.
    Follows,
}

fn name(user: u64) -> String {
    format!("Player {user:x}")
}

/// The users, and what they want.
pub struct Crowd {
    game: Game,
    ratings: Ratings,
    rng: ChaCha12Rng,
    ticket: u64,
    in_vain: u64,
    /// What each of the users who come and go does now.
    users: Vec<Does>,
}

impl Crowd {
    pub fn new(game: Game, kind: Kind) -> Result<Self> {
        Ok(Self {
            game,
            ratings: Ratings::new(kind)?,
            rng: ChaCha12Rng::seed_from_u64(5),
            ticket: 0,
            in_vain: 0,
            users: vec![Does::Nothing; USERS as usize],
        })
    }

    /// One who will wait in vain, or a party.
    pub fn in_vain(&mut self) -> Event {
        let first = FIRST_IN_VAIN + self.in_vain;
        self.in_vain += self.members();
        let mut seekers = self.seekers(&(first..FIRST_IN_VAIN + self.in_vain).collect::<Vec<_>>());
        for seeker in &mut seekers {
            seeker.wish.wants.insert("language".to_owned(), vec![format!("language-{LANGUAGES}")]);
        }
        self.search(seekers)
    }

    /// One who comes and goes, or a party, and perhaps takes the search back at once.
    pub fn passing(&mut self) -> (Event, Option<Event>) {
        let mut users = vec![self.idle_user(Does::Leads)];
        users.extend((1..self.members()).map(|_| self.idle_user(Does::Follows)));
        let mut seekers = self.seekers(&users);
        if self.percent(OWN_LANGUAGE_PERCENT) {
            for Seeker { wish, .. } in &mut seekers {
                wish.wants.insert("language".to_owned(), wish.has["language"].clone());
            }
        }
        let search = self.search(seekers);
        let cancel = Event::ReqCancelMatch { user: UserId(users[0]), ticket: self.ticket, others: TAKEN_BACK };
        (search, self.percent(CANCELS_PERCENT).then_some(cancel))
    }

    /// One who does nothing, and does this from now on.
    fn idle_user(&mut self, does: Does) -> u64 {
        loop {
            let user = self.rng.random_range(0..USERS);
            if self.users[user as usize] == Does::Nothing {
                self.users[user as usize] = does;
                return user;
            }
        }
    }

    /// How many come together.
    fn members(&mut self) -> u64 {
        match self.game {
            Game::Duels => 1,
            Game::Parties => 1 + u64::from(self.percent(PARTIES_PERCENT)),
        }
    }

    /// A user's search has ended; whether it is the one by whom the search counts.
    pub fn ended(&mut self, user: UserId) -> bool {
        let does = self.users.get_mut(user.0 as usize);
        does.is_some_and(|does| std::mem::replace(does, Does::Nothing) == Does::Leads)
    }

    fn percent(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    fn search(&mut self, seekers: Vec<Seeker>) -> Event {
        self.ticket += 1;
        Event::ReqMatch { ticket: self.ticket, seekers, waited_ms: 0, away: <_>::default() }
    }

    /// These together: friends live near each other, want the same and are about as good.
    fn seekers(&mut self, users: &[u64]) -> Vec<Seeker> {
        let first = self.seeker(users[0]);
        let mut seekers = vec![first.clone()];
        for user in &users[1..] {
            let rating = first.rating + self.rng.random_range(-20..=20);
            seekers.push(Seeker { user: UserId(*user), name: name(*user), rating, ..first.clone() });
        }
        seekers
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
            name: name(user),
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
