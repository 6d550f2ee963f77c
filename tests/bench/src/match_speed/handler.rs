//! The whole handler, as its loop in the host runs it: searches, answers of SceneMaster and cancels in batches, and its
//! own ticks when they are due.
//!
//! Invariant: the handler's clock goes on by the processor time that the handler takes, so it is always at its limit:
//! what it does of its own accord, as looking again for those who wait, takes from what it can do for those who come.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng as _;
use scenehost_core::config::Domain;
use scenehost_core::matching::rule::Rule;
use scenehost_core::matching::{Event, Match};
use scenehost_core::message::{Entry, Message};
use scenehost_core::token::Secret;
use scenehost_core::{Context, Effects, MatchId, SceneId, Service as _, Time, lobby, scene_master};
use serde::Serialize;

use super::crowd::{Crowd, Game, TAKEN_BACK};
use super::population::Kind;
use crate::process::own_cpu;

/// How many searches come between two looks at the time; the host's loop takes up to 512 events at once.
const BATCH: usize = 256;
/// How long those who wait in vain have waited when the measurement begins: each looks again every 5 s by then.
const AGE: Duration = Duration::from_secs(60);
/// Over so long their looks are spread.
const SPREAD: Duration = Duration::from_secs(5);
const NANOSECONDS_MAX: u64 = 60_000_000_000;

/// A handler with a crowd.
pub struct World {
    service: Match,
    crowd: Crowd,
    rng: ChaCha12Rng,
    now: Duration,
    out: Effects,
    /// What SceneMaster says next.
    answers: Vec<Event>,
    matched: u64,
    refused: u64,
}

/// How fast searches went through.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Rate {
    pub tickets_per_s: f64,
    /// How many of those who come and go waited at the end.
    pub passing_waiting: usize,
}

/// How long single steps took, in the order of what they are for.
#[derive(Debug, Serialize)]
pub struct Steps {
    pub enqueue_p50_us: f64,
    pub enqueue_p99_us: f64,
    /// The longest of each kind.
    pub max_ms: BTreeMap<&'static str, f64>,
}

impl World {
    /// Of a game whose domain may have a rule, with so many tickets that wait in vain.
    pub fn new(game: Game, rule: Option<Rule>, kind: Kind, waiting: usize) -> Result<Self> {
        let mut world = Self {
            service: Match::new("duel".into(), game.domain(), rule),
            crowd: Crowd::new(game, kind)?,
            rng: ChaCha12Rng::seed_from_u64(6),
            now: Duration::from_secs(1_000),
            out: Effects::default(),
            answers: Vec::new(),
            matched: 0,
            refused: 0,
        };
        for _ in 0..waiting {
            let search = world.crowd.in_vain();
            world.step(search);
            world.hear();
        }
        ensure!(world.service.waiting() == waiting, "who was to wait in vain does not");
        world.now += AGE;
        let pause = SPREAD.div_f64(waiting as f64 / 40.0 + 1.0);
        let end = world.now + SPREAD;
        while world.now < end {
            world.step(Match::tick());
            world.hear();
            world.now += pause;
        }
        Ok(world)
    }

    fn step(&mut self, event: Event) {
        let now = Time(self.now.as_millis() as u64);
        self.service.step(event, &mut Context { now, rng: &mut self.rng, out: &mut self.out });
    }

    fn deadline_has_come(&self) -> bool {
        self.service.deadline().is_some_and(|deadline| u128::from(deadline.0) <= self.now.as_millis())
    }

    /// Takes what the handler has said.
    fn hear(&mut self) {
        for message in self.out.messages.drain(..) {
            match message {
                Message::SceneMaster(scene_master::Event::ReqCreateScene { match_id, players, .. }) => {
                    let ways_in = players.iter().map(|player| (player.user, way_in(match_id))).collect();
                    self.answers.push(Event::ResCreateScene { match_id, result: Ok(ways_in) });
                }
                Message::Lobby(lobby::Event::ResMatch { user, result, .. }) => {
                    // A party's ticket is one.
                    let counts = self.crowd.ended(user);
                    self.matched += u64::from(counts && result.is_ok());
                    self.refused += u64::from(result.is_err_and(|refusal| refusal != TAKEN_BACK));
                }
                Message::Lobby(lobby::Event::ResCancelMatch { user, result: Ok(()), .. }) => {
                    self.crowd.ended(user);
                }
                _ => {}
            }
        }
    }

    /// What comes next.
    fn batch(&mut self) -> Vec<Event> {
        let mut batch = std::mem::take(&mut self.answers);
        for _ in 0..BATCH {
            let (search, cancel) = self.crowd.passing();
            batch.push(search);
            batch.extend(cancel);
        }
        batch
    }

    /// How many find their match in a second.
    pub fn rate(&mut self, warm_up: Duration, window: Duration) -> Result<Rate> {
        let waiting = self.service.waiting();
        self.run(warm_up);
        let before = self.matched;
        let took = self.run(window);
        ensure!(self.refused == 0, "{} searches were refused", self.refused);
        Ok(Rate {
            tickets_per_s: (self.matched - before) as f64 / took.as_secs_f64(),
            passing_waiting: self.service.waiting().saturating_sub(waiting),
        })
    }

    /// Lets searches come until the handler has worked for so long; for how long it has.
    fn run(&mut self, window: Duration) -> Duration {
        let mut took = Duration::ZERO;
        while took < window {
            let batch = self.batch();
            let began = own_cpu();
            batch.into_iter().for_each(|event| self.step(event));
            if self.deadline_has_come() {
                self.step(Match::tick());
            }
            let passed = own_cpu() - began;
            took += passed;
            self.now += passed;
            self.hear();
        }
        took
    }

    /// How long each step takes while so many searches come, and how long when the domain is changed then.
    pub fn steps(&mut self, searches: usize, changed: Domain) -> Result<Steps> {
        let mut enqueue = Histogram::<u64>::new_with_bounds(1, NANOSECONDS_MAX, 3)?;
        let mut max_ms = BTreeMap::new();
        for _ in 0..searches.div_ceil(BATCH) {
            for event in self.batch() {
                let what = name(&event);
                let took = self.timed(event, what, &mut max_ms);
                if what == "search" {
                    enqueue.saturating_record(took.as_nanos() as u64);
                }
            }
            if self.deadline_has_come() {
                self.timed(Match::tick(), "tick", &mut max_ms);
            }
        }
        self.timed(Event::Domain { domain: Box::new(changed), rule: None }, "domain changed", &mut max_ms);
        while self.service.deadline() == Some(Time(0)) {
            self.timed(Match::tick(), "tick after that", &mut max_ms);
        }
        let us = |quantile| enqueue.value_at_quantile(quantile) as f64 / 1e3;
        Ok(Steps { enqueue_p50_us: us(0.5), enqueue_p99_us: us(0.99), max_ms })
    }

    fn timed(&mut self, event: Event, what: &'static str, max_ms: &mut BTreeMap<&'static str, f64>) -> Duration {
        let began = own_cpu();
        self.step(event);
        let took = own_cpu() - began;
        self.now += took;
        self.hear();
        let longest = max_ms.entry(what).or_default();
        *longest = (1e3 * took.as_secs_f64()).max(*longest);
        took
    }

    /// How many bytes the index takes for each who waits.
    pub fn index_bytes_per_ticket(&self) -> f64 {
        self.service.index_bytes() as f64 / self.service.waiting() as f64
    }
}

fn name(event: &Event) -> &'static str {
    match event {
        Event::ReqMatch { .. } => "search",
        Event::ResCreateScene { .. } => "scene made",
        _ => "cancel",
    }
}

fn way_in(match_id: MatchId) -> Entry {
    Entry {
        scene: SceneId(match_id.0),
        allocation: None,
        domain: "duel".into(),
        url: "/v1/scenes/0123456789abcdef".to_owned(),
        secret: Secret::from_holder("a-secret-of-a-usual-length-0123456789abcdef"),
        expires_in_ms: 15_000,
    }
}
