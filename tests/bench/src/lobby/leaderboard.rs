//! A leaderboard of a million users: how long Db works on a new score, on the results of a game, and on the question
//! where somebody stands. In this process and without the disk, so that it is the rules that are measured; what is
//! durable is grouped, and is measured with purchases.
//!
//! Invariant: every answer is looked at, and the time counts all steps that a request takes, from the question to the
//! answer, with the loads that it needs.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use hdrhistogram::Histogram;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use scenehost_core::db::{Answer, Asker, Caller, Db, Event, Request, Rules};
use scenehost_core::profile::{self, Profile};
use scenehost_core::record;
use scenehost_core::results::board::{Board, Kind};
use scenehost_core::results::boards::{Place, Stored};
use scenehost_core::results::finished::Finished;
use scenehost_core::results::ranking::Order;
use scenehost_core::results::season::Reset;
use scenehost_core::results::{self, Part};
use scenehost_core::{
    AllocationId, Context, Effects, Message, Player, PlayerResult, SceneId, Service, Time, UserId, Write,
};

const BOARD: &str = "score";
const SCORE_MAX: i64 = 1_000_000;
const NANOSECONDS_MAX: u64 = 60_000_000_000;

pub struct Settings {
    /// How many users have a score.
    pub entries: u32,
    /// How many of each request are measured.
    pub requests: u32,
}

/// Fills a leaderboard, measures it and prints the table; the figures by name.
pub fn run(settings: &Settings) -> Result<BTreeMap<&'static str, f64>> {
    let (mut bench, took) = Bench::new(settings.entries)?;
    println!("  leaderboard  {} entries, loaded in {:.2} s", settings.entries, took.as_secs_f64());
    let update = bench.measure("new score", settings.requests, Bench::set)?;
    let rank = bench.measure("rank", settings.requests, Bench::rank)?;
    let around = bench.measure("51 around", settings.requests / 10, Bench::around)?;
    let top = bench.measure("top 100", settings.requests / 10, Bench::top)?;
    let game = bench.measure("game of two", settings.requests / 4, Bench::game)?;
    Ok(BTreeMap::from([
        ("leaderboard_load_s", took.as_secs_f64()),
        ("leaderboard_update_p50_us", update.0),
        ("leaderboard_update_p99_us", update.1),
        ("leaderboard_rank_p50_us", rank.0),
        ("leaderboard_rank_p99_us", rank.1),
        ("leaderboard_around_p99_us", around.1),
        ("leaderboard_top_p99_us", top.1),
        ("leaderboard_game_p99_us", game.1),
    ]))
}

struct Bench {
    db: Db,
    rng: ChaCha20Rng,
    now: Time,
    entries: u32,
    games: u64,
    /// What the disk would have.
    store: BTreeMap<String, Vec<u8>>,
    /// What Db has said and what is still to be carried out.
    said: VecDeque<Message>,
    worked: Duration,
    answer: Option<Answer>,
}

impl Bench {
    /// Db with so many entries in its store, once it has loaded them; and how long it worked on that.
    fn new(entries: u32) -> Result<(Self, Duration)> {
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        let mut store = BTreeMap::new();
        for user in 0..u64::from(entries) {
            let place = Place { board: BOARD.to_owned(), season: "all".to_owned(), user: UserId(user) };
            let stored = Stored { score: rng.random_range(0..SCORE_MAX), since: user };
            store.insert(place.key(), record::encode(&stored));
            let profile = Profile { name: format!("Guest {:04}", user % 10_000), ..Profile::default() };
            store.insert(profile::key(UserId(user)), record::encode(&profile));
        }
        let (order, reset, entries_max) = (Order::Highest, Reset::Never, entries);
        let board = Board { domain: "duel".into(), kind: Kind::ScoreSum, order, reset, entries_max };
        let results = results::Rules {
            rated: BTreeMap::from([("duel".into(), true)]),
            boards: BTreeMap::from([(BOARD.to_owned(), board)]),
        };
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
        let mut bench = Self {
            db: Db::new(Rules { results, ..Rules::default() }),
            rng,
            now: Time(since_1970.as_millis() as u64),
            entries,
            games: 0,
            store,
            said: VecDeque::new(),
            worked: Duration::ZERO,
            answer: None,
        };
        let took = bench.ask(Caller::Operator, results::Request::Boards)?;
        match bench.answer.take() {
            Some(Answer::Results(results::Answer::Boards(boards))) if boards[0].seasons[0].entries == entries => {
                Ok((bench, took))
            }
            other => bail!("the leaderboard is not whole: {other:?}"),
        }
    }

    /// The median and the 99th percentile, in microseconds.
    fn measure(
        &mut self,
        what: &str,
        count: u32,
        mut one: impl FnMut(&mut Self) -> Result<Duration>,
    ) -> Result<(f64, f64)> {
        let mut times = Histogram::<u64>::new_with_bounds(1, NANOSECONDS_MAX, 3)?;
        for warm in (0..count / 10).map(|_| false).chain((0..count).map(|_| true)) {
            let took = one(self)?;
            if warm {
                times.saturating_record(took.as_nanos() as u64);
            }
        }
        let us = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
        let (p50, p95, p99, max) = (us(0.5), us(0.95), us(0.99), times.max() as f64 / 1e3);
        println!("  {what:12} p50 {p50:8.2}  p95 {p95:8.2}  p99 {p99:8.2}  max {max:9.2} us");
        Ok((p50, p99))
    }

    fn user(&mut self) -> UserId {
        UserId(self.rng.random_range(0..u64::from(self.entries)))
    }

    /// Sets somebody's score.
    fn set(&mut self) -> Result<Duration> {
        let (user, score) = (self.user(), self.rng.random_range(0..SCORE_MAX));
        let took =
            self.ask(Caller::Operator, results::Request::Set { board: BOARD.to_owned(), user, score: Some(score) })?;
        ensure!(self.answer.take() == Some(Answer::Done), "a score was not set");
        Ok(took)
    }

    /// Records a game of two: ratings, histories, the match, two entries.
    fn game(&mut self) -> Result<Duration> {
        let users = [self.user(), self.user()];
        if users[0] == users[1] {
            return self.game();
        }
        self.games += 1;
        let seat = |seat: u32| Player {
            seat,
            user: users[seat as usize],
            name: "Guest 1234".to_owned(),
            rating: 1_500,
            team: seat,
            role: None,
            party: seat,
        };
        let result = |seat| PlayerResult { seat, place: seat + 1, score: 10 - i64::from(seat) };
        let finished = Finished {
            scene: SceneId(self.games),
            domain: "duel".into(),
            ended: self.now,
            players: [0, 1].map(seat).into(),
            results: [0, 1].map(result).into(),
        };
        let allocation = AllocationId(self.games);
        let took = self.ask(Caller::Host, results::Request::Record { allocation, finished })?;
        ensure!(self.answer.take() == Some(Answer::Done), "a game was not recorded");
        Ok(took)
    }

    fn rank(&mut self) -> Result<Duration> {
        let user = self.user();
        self.page(Part::Of(vec![user]), 1)
    }

    fn around(&mut self) -> Result<Duration> {
        let user = Some(self.user());
        self.page(Part::Around { user, neighbours: 25 }, 26)
    }

    fn top(&mut self) -> Result<Duration> {
        self.page(Part::From { rank: 1, limit: 100 }, 100)
    }

    fn page(&mut self, part: Part, rows_min: usize) -> Result<Duration> {
        let caller = Caller::User(UserId(0));
        let took = self.ask(caller, results::Request::Page { board: BOARD.to_owned(), season: None, part })?;
        match self.answer.take() {
            Some(Answer::Results(results::Answer::Page(page))) if page.rows.len() >= rows_min => Ok(took),
            other => bail!("a part of the leaderboard is missing: {other:?}"),
        }
    }

    /// Asks, and carries out all that follows; how long Db worked on it.
    fn ask(&mut self, caller: Caller, request: results::Request) -> Result<Duration> {
        self.worked = Duration::ZERO;
        let request = Box::new(Request::Results(request));
        self.tell(Event::Req { caller, asker: Asker::Door(1), request });
        while let Some(message) = self.said.pop_front() {
            match message {
                Message::Db(event) => self.tell(event),
                Message::LoadForDb(load) => {
                    let values = load.keys.iter().map(|key| self.store.get(key).cloned()).collect();
                    self.tell(Event::Loaded { job: load.job, values: Ok(values) });
                }
                Message::ScanForDb(scan) => {
                    let records = self.store.range(scan.from..scan.to).take(scan.limit);
                    let records = records.map(|(key, value)| (key.clone(), value.clone())).collect();
                    self.tell(Event::Scanned { job: scan.job, records: Ok(records) });
                }
                Message::DbDoor(_, result) => self.answer = Some(*result?),
                _ => {}
            }
        }
        Ok(self.worked)
    }

    fn tell(&mut self, event: Event) {
        let mut out = Effects::default();
        let mut cx = Context { now: self.now, rng: &mut self.rng, out: &mut out };
        let begun = Instant::now();
        self.db.step(event, &mut cx);
        self.worked += begun.elapsed();
        for write in out.writes {
            match write {
                Write::Put { key, value } => _ = self.store.insert(key, value),
                Write::Delete { key } => _ = self.store.remove(&key),
            }
        }
        self.said.extend(out.messages);
    }
}
