//! Matching against a slow matcher that is obviously right: it looks at every pair of those who wait.
//!
//! Whatever comes in whatever order (searches, cancels, users who are away, scenes that cannot be made, a domain that
//! changes): nobody is in two matches, no match is outside of its rules, every search ends exactly once, and no two
//! wait who could have played together since they have last looked.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use scenehost_core::config::Domain;
use scenehost_core::matching::domain::{Ping, Property, Recent};
use scenehost_core::matching::teams::{Layout, Team};
use scenehost_core::matching::{Event, PLACE_ATTEMPTS_MAX, PLACE_MS_MAX, ROUND_MS_MAX, Seeker, Wish};
use scenehost_core::{Message, Refusal, Time, UserId, lobby};

use crate::matchmaker::{Asked, Matchmaker, asked, seeker};

/// A search as the slow matcher knows it.
#[derive(Debug, Clone)]
struct Search {
    users: Vec<u64>,
    ratings: Vec<i32>,
    blocked: BTreeSet<u64>,
    /// A bit for each language, and for each region that is near.
    has: u64,
    wants: u64,
    near: u64,
    since: Time,
    away: bool,
}

impl Search {
    fn rating(&self) -> i32 {
        (self.ratings.iter().map(|rating| i64::from(*rating)).sum::<i64>() / self.ratings.len() as i64) as i32
    }
}

/// Whether two searches may be in one match at this time.
fn may_meet(one: &Search, other: &Search, domain: &Domain, now: Time) -> bool {
    let range = |search: &Search| domain.range_after(now.ms_since(search.since));
    let apart = one.rating().abs_diff(other.rating());
    let blocks = |one: &Search, other: &Search| other.users.iter().any(|user| one.blocked.contains(user));
    apart <= range(one).min(range(other))
        && !blocks(one, other)
        && !blocks(other, one)
        && one.has & other.wants != 0
        && other.has & one.wants != 0
        && one.near & other.near != 0
}

const LANGUAGES: [&str; 3] = ["en", "ko", "de"];
const REGIONS: [&str; 2] = ["eu", "us"];

fn names(mask: u64, all: &[&str]) -> Vec<String> {
    all.iter().enumerate().filter(|(bit, _)| mask & (1 << bit) != 0).map(|(_, name)| (*name).to_owned()).collect()
}

#[derive(Debug, Clone)]
enum Step {
    Ask {
        rating: i32,
        party: usize,
        blocks: u64,
        has: u64,
        wants: u64,
        near: u64,
    },
    Cancel(usize),
    Away(usize, bool),
    Change(bool),
    Pass(u64),
    /// The next scenes are refused.
    Refuse(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let ask = (1_000..2_000i32, 1..4usize, 0..40u64, 1..8u64, 1..8u64, 1..4u64)
        .prop_map(|(rating, party, blocks, has, wants, near)| Step::Ask { rating, party, blocks, has, wants, near });
    prop_oneof![
        8 => ask,
        1 => (0..200usize).prop_map(Step::Cancel),
        1 => ((0..200usize), any::<bool>()).prop_map(|(which, here)| Step::Away(which, here)),
        1 => any::<bool>().prop_map(Step::Change),
        4 => (0..4_000u64).prop_map(Step::Pass),
        1 => (1..4u32).prop_map(Step::Refuse),
    ]
}

struct Bench {
    matching: Matchmaker,
    domain: Domain,
    wide: bool,
    searches: BTreeMap<u64, Search>,
    ended: BTreeMap<u64, u32>,
    in_match: BTreeSet<u64>,
    refuse: u32,
    messages: Vec<Message>,
}

impl Bench {
    fn new(domain: Domain) -> Self {
        Self {
            matching: Matchmaker::new(domain.clone()),
            domain,
            wide: false,
            searches: BTreeMap::new(),
            ended: BTreeMap::new(),
            in_match: BTreeSet::new(),
            refuse: 0,
            messages: Vec::new(),
        }
    }

    fn now(&self) -> Time {
        self.matching.world.now
    }

    fn ask(&mut self, number: u64, step: &Step) {
        let Step::Ask { rating, party, blocks, has, wants, near } = step else { return };
        let party = (*party).min(self.domain.party_max() as usize) as u64;
        let users: Vec<u64> = (0..party).map(|member| number * 10 + member).collect();
        let blocked: BTreeSet<u64> = (number.checked_sub(*blocks)).map(|other| other * 10).into_iter().collect();
        let trips = (0..2).map(|region| (REGIONS[region].to_owned(), if near & (1 << region) != 0 { 10 } else { 500 }));
        let wish = Wish {
            has: BTreeMap::from([("language".to_owned(), names(*has, &LANGUAGES))]),
            wants: BTreeMap::from([("language".to_owned(), names(*wants, &LANGUAGES))]),
            round_trips: trips.collect(),
            ..Wish::default()
        };
        let ratings: Vec<i32> = (0..party).map(|member| rating + 10 * member as i32).collect();
        let seekers = users.iter().zip(&ratings).map(|(user, rating)| Seeker {
            blocked: blocked.iter().map(|user| UserId(*user)).collect(),
            wish: wish.clone(),
            ..seeker(*user, *rating)
        });
        let seekers: Vec<Seeker> = seekers.collect();
        let since = self.now();
        let search = Search {
            users: users.clone(),
            ratings,
            blocked,
            has: *has,
            wants: *wants,
            near: *near,
            since,
            away: false,
        };
        self.searches.insert(users[0], search);
        let told = self.matching.ask(seekers);
        self.hear(told);
    }

    fn hear(&mut self, told: Vec<Message>) {
        let mut told = told;
        while !told.is_empty() {
            let scenes = asked(&told);
            self.messages.append(&mut told);
            for scene in scenes {
                self.check(&scene);
                told.extend(if self.refuse > 0 {
                    self.refuse -= 1;
                    let result = Err(Refusal::Overloaded("scenes".into()));
                    self.matching.world.tell(Event::ResCreateScene { match_id: scene.match_id, result })
                } else {
                    for player in &scene.players {
                        assert!(self.in_match.insert(player.user.0), "{} is in two matches", player.user);
                    }
                    self.matching.made(&scene)
                });
            }
        }
        for message in std::mem::take(&mut self.messages) {
            if let Message::Lobby(lobby::Event::ResMatch { user, .. }) = message {
                *self.ended.entry(user.0).or_default() += 1;
                self.searches.retain(|_, search| !search.users.contains(&user.0) || search.users[0] != user.0);
            }
        }
    }

    /// No match is outside of its rules.
    fn check(&self, scene: &Asked) {
        let users = scene.users();
        let players = users.len() as u32;
        assert!((self.domain.players_min..=self.domain.players_max).contains(&players), "{players} players");
        let tickets: Vec<&Search> = self.searches.values().filter(|search| users.contains(&search.users[0])).collect();
        let of_tickets: usize = tickets.iter().map(|search| search.users.len()).sum();
        assert_eq!(of_tickets, users.len(), "parties come whole: {users:?}");
        // One that is tried again was made earlier, by the ranges of then, which were no wider.
        for (i, one) in tickets.iter().enumerate() {
            for other in &tickets[i + 1..] {
                let wide = Domain { rating_range: 1_000, ..self.domain.clone() };
                let rules = if self.wide { &wide } else { &self.domain };
                assert!(may_meet(one, other, rules, self.now()), "{one:?} and {other:?} do not fit");
            }
        }
        let near = tickets.iter().fold(3, |near, search| near & search.near);
        let region = REGIONS.iter().position(|region| scene.region.as_deref() == Some(region)).unwrap();
        assert!(near & (1 << region) != 0, "{region} is not near to all");
        if !self.domain.teams.teams.is_empty() {
            let teams = scene.teams();
            assert!(teams.values().all(|team| team.len() == 2), "{teams:?}");
            let together =
                |search: &&Search| teams.values().any(|team| search.users.iter().all(|user| team.contains(user)));
            assert!(tickets.iter().all(together), "{teams:?}");
        }
    }

    /// No two wait who could have met since each has looked last: for games of two.
    fn check_nobody_missed(&self) {
        let then = Time(self.now().0.saturating_sub(ROUND_MS_MAX + 100));
        let waits = |search: &&Search| {
            search.since <= then && !search.away && self.matching.state(search.users[0]) == "Waiting"
        };
        let waiting: Vec<&Search> = self.searches.values().filter(waits).collect();
        for (i, one) in waiting.iter().enumerate() {
            for other in &waiting[i + 1..] {
                assert!(!may_meet(one, other, &self.domain, then), "{one:?} and {other:?} were left alone");
            }
        }
    }

    fn run(&mut self, number: u64, step: &Step) {
        match step {
            Step::Ask { .. } => self.ask(number, step),
            Step::Cancel(which) => {
                let Some(user) = self.searches.values().nth(*which).map(|search| search.users[0]) else { return };
                let cancel = Event::ReqCancelMatch { user: UserId(user), ticket: user, others: Refusal::Stopping };
                let told = self.matching.world.tell(cancel);
                for message in &told {
                    if let Message::Lobby(lobby::Event::ResCancelMatch { result: Ok(()), .. }) = message {
                        *self.ended.entry(user).or_default() += 1;
                        self.searches.remove(&user);
                    }
                }
                self.hear(told);
            }
            Step::Away(which, here) => {
                let Some(search) = self.searches.values_mut().nth(*which) else { return };
                search.away = !here;
                let user = search.users[0];
                let told = self.matching.world.tell(Event::SynHere { user: UserId(user), ticket: user, here: *here });
                self.hear(told);
            }
            Step::Change(wide) => {
                self.wide |= wide;
                self.domain.rating_range = if *wide { 150 } else { 50 };
                let domain = Box::new(self.domain.clone());
                let told = self.matching.world.tell(Event::Domain { domain, rule: None });
                self.hear(told);
            }
            Step::Pass(ms) => {
                let end = self.now().plus_ms(*ms);
                while self.now() < end {
                    let ms = end.ms_since(self.now()).min(200);
                    let told = self.matching.world.pass_ms(ms);
                    self.hear(told);
                }
            }
            Step::Refuse(times) => self.refuse = (*times).min(PLACE_ATTEMPTS_MAX),
        }
    }

    /// Everybody's search ends, once.
    fn finish(mut self, asked: u64) {
        self.refuse = 0;
        let end = self.now().plus_ms(self.domain.wait_ms_max + PLACE_MS_MAX * u64::from(PLACE_ATTEMPTS_MAX));
        while self.now() < end {
            let told = self.matching.world.pass_ms(1_000);
            self.hear(told);
        }
        assert_eq!(self.matching.world.service.waiting(), 0);
        for number in 0..asked {
            let user = number * 10;
            assert!(self.ended.get(&user).is_none_or(|times| *times == 1), "the search of {user} has ended twice");
        }
        assert!(self.searches.is_empty(), "these have not ended: {:?}", self.searches);
    }
}

fn domain(players: u32) -> Domain {
    let regions = REGIONS.iter().map(|region| (*region).to_owned()).collect();
    let values = LANGUAGES.iter().map(|language| (*language).to_owned()).collect();
    Domain {
        rating_range: 50,
        rating_range_per_s: 40,
        wait_ms_max: 30_000,
        recent: Recent { opponents: 0, ..Recent::default() },
        ping: Some(Ping { regions, ms: 100, after_ms: None, ms_per_s: 0, ms_max: 100 }),
        properties: vec![Property { name: "language".to_owned(), values, common: false, relax_ms: None }],
        ..Domain::new("fleet".into(), players, players)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn two_meet_by_the_rules_and_nobody_is_missed(steps in prop::collection::vec(step(), 1..80)) {
        let mut bench = Bench::new(domain(2));
        let single = |step: &Step| match step.clone() {
            Step::Ask { rating, blocks, has, wants, near, .. } => {
                Step::Ask { rating, party: 1, blocks, has, wants, near }
            }
            other => other,
        };
        for (number, step) in (0..).zip(&steps) {
            let changes = matches!(step, Step::Change(_));
            bench.run(number, &single(step));
            if !changes {
                bench.check_nobody_missed();
            }
        }
        bench.finish(steps.len() as u64);
    }

    #[test]
    fn teams_are_made_by_the_rules_and_every_search_ends(steps in prop::collection::vec(step(), 1..80)) {
        let teams = Layout { teams: vec![Team { count: 2, ..Team::of(2) }] };
        let mut bench = Bench::new(Domain { teams, ..domain(4) });
        for (number, step) in (0..).zip(&steps) {
            bench.run(number, step);
        }
        bench.finish(steps.len() as u64);
    }
}
