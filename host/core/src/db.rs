//! Db: the one owner of what players keep between games: profiles, friends, stored records, guilds, inboxes, money
//! and items, results. Who asks for a change waits (the seed's WAIT_SAVE) until it is saved, is refused, or hears
//! that Db went down.
//!
//! A request is a [`Transaction`]: a pure function over records. It runs in one step, when all records that it reads
//! are in memory; if one is missing, it is loaded and the function runs again from its beginning. Its writes are one
//! batch, and its answer and all else that it says leave after that batch is synced.
//!
//! Invariants: transactions are serial, so each sees the whole effect of those before it and no other; what is
//! refused changes nothing; nobody else writes these records. Every request is answered, at its deadline at the
//! latest.
//!
//! Main type: [`Db`]. What a request does is in the module of its feature; [`request::run`] leads there.

pub(crate) mod account;
mod boards;
mod cache;
mod enter;
mod event;
pub mod request;
mod transaction;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::deadlines::Deadlines;
use crate::ids::Time;
use crate::message::{Message, ServiceName};
use crate::read::{Load, Loaded};
use crate::refusal::Refusal;
use crate::results::boards::{Boards, Change};
use crate::{Context, Meter, Service, lobby, results, scene_master};
use boards::Turn;
use cache::Cache;
pub use enter::Entered;
pub use event::{Asker, Caller, Event};
pub use request::{Answer, News, Request, Rules};
pub use transaction::{Stop, Transaction};

/// How many requests may wait for the store at once; more are refused as overloaded.
pub const REQUESTS_MAX: usize = 10_000;
/// How long a request may wait for the store.
pub const REQUEST_MS_MAX: u64 = 5_000;
/// How often a request may find that another record is missing; none needs so many.
const LOADS_MAX: u32 = 16;
/// How long word of a sync may take before it is asked for again.
const WORD_MS_MAX: u64 = 10_000;
/// How much memory the records in memory may take; those that were not used for the longest time are let go.
pub const CACHE_BYTES_MAX: usize = 64 << 20;

/// A request that waits for records.
#[derive(Debug, Clone)]
struct Job {
    caller: Caller,
    asker: Asker,
    request: Box<Request>,
    /// How many of its records are still to come.
    missing: usize,
    loads: u32,
}

/// The service.
#[derive(Debug, Clone)]
pub struct Db {
    rules: Rules,
    cache: Cache,
    jobs: HashMap<u64, Job>,
    last_number: u64,
    /// The records that are being loaded, and the jobs that wait for each.
    loading: HashMap<String, BTreeSet<u64>>,
    /// The keys of each question to the store.
    loads: HashMap<u64, Vec<String>>,
    /// The jobs whose records are all there.
    ready: VecDeque<u64>,
    deadlines: Deadlines<u64>,
    boards: Boards,
    /// What is to be done for the leaderboards next.
    turn: Turn,
    up: bool,
    /// Word of a sync is to be asked for when the store is up again.
    word_held_back: bool,
    /// When word of a sync that was asked for is asked for again: it comes through the inbox, which may be full.
    word_due: Option<Time>,
}

impl Service for Db {
    type Event = Event;

    fn step(&mut self, event: Event, cx: &mut Context<'_>) {
        match event {
            Event::Req { caller, asker, request } => self.begin(caller, asker, request, cx),
            Event::Loaded { job, values } => self.loaded(job, values, cx),
            Event::Scanned { job, records } => self.scanned(job, records, cx),
            Event::Synced { number } => {
                let there_are_newer = self.cache.synced(number);
                self.word_due = None;
                if there_are_newer {
                    self.ask_for_word(cx);
                }
            }
            Event::Service { service: ServiceName::Db, up } => self.service(up, cx),
            Event::Service { .. } => {}
            Event::Catalogue(catalogue) => self.rules.economy.catalogue = catalogue,
            Event::Rated(rated) => self.rules.results.rated = rated,
            Event::Tick => self.expire(cx),
        }
        self.keep_boards(cx);
        while let Some(number) = self.ready.pop_front() {
            if let Some(job) = self.jobs.remove(&number) {
                self.attempt(Some(number), job, cx);
            }
        }
        self.cache.let_go();
    }

    fn tick() -> Event {
        Event::Tick
    }

    fn deadline(&self) -> Option<Time> {
        [self.deadlines.next(), self.turn.at, self.word_due].into_iter().flatten().min()
    }

    fn store(up: bool) -> Option<Event> {
        Some(Event::Service { service: ServiceName::Db, up })
    }

    fn loaded(job: u64, values: Vec<Option<Vec<u8>>>) -> Option<Event> {
        Some(Event::Loaded { job, values: Ok(values) })
    }

    fn speaks_at_once(&self) -> bool {
        !self.up
    }

    fn meters(&self) -> Vec<Meter> {
        vec![
            Meter::now("scenehost_db_waiting_requests", self.waiting()),
            Meter::now("scenehost_db_cache_records", self.cache.records()),
            Meter::now("scenehost_db_cache_bytes", self.cache.bytes()),
        ]
    }
}

impl Db {
    /// Db by these rules, with nothing in memory yet.
    pub fn new(rules: Rules) -> Self {
        Self::with_cache(rules, CACHE_BYTES_MAX)
    }

    /// The same, with so much memory for records.
    pub fn with_cache(rules: Rules, bytes_max: usize) -> Self {
        let boards = Boards::new(&rules.results.boards);
        Self {
            turn: Turn::first(&boards),
            boards,
            rules,
            cache: Cache::new(bytes_max),
            jobs: HashMap::new(),
            last_number: 0,
            loading: HashMap::new(),
            loads: HashMap::new(),
            ready: VecDeque::new(),
            deadlines: Deadlines::default(),
            up: true,
            word_held_back: false,
            word_due: None,
        }
    }

    /// The same, whose numbers begin after this one: an answer to the Db before it must find nothing here.
    pub fn numbered_after(mut self, last_number: u64) -> Self {
        self.last_number = last_number;
        self
    }

    /// How many requests wait for the store.
    pub fn waiting(&self) -> usize {
        self.jobs.len()
    }

    fn begin(&mut self, caller: Caller, asker: Asker, request: Box<Request>, cx: &mut Context<'_>) {
        if !self.up {
            return answer(asker, Err(Refusal::ServiceDown(ServiceName::Db)), cx);
        }
        if self.jobs.len() >= REQUESTS_MAX {
            return answer(asker, Err(Refusal::Overloaded("requests that wait for the store".into())), cx);
        }
        let job = Job { caller, asker, request, missing: 0, loads: 0 };
        self.attempt(None, job, cx);
    }

    /// Runs a request; if records are missing, it becomes a job that waits for them. One that has a number was a
    /// job before.
    fn attempt(&mut self, number: Option<u64>, mut job: Job, cx: &mut Context<'_>) {
        let mut transaction = Transaction::new(cx.now, &mut *cx.rng, &mut self.cache, &self.rules, &self.boards);
        let result = request::run(&job.caller, &job.request, &mut transaction);
        let done = transaction.end();
        cx.out.faults.extend(done.faults);
        let result = match result {
            Err(Stop::Missing) if job.loads < LOADS_MAX => {
                job.loads += 1;
                return self.wait(number, job, done.missing, done.boards_missing, cx);
            }
            Err(Stop::Missing) => Err(Refusal::Internal("a request that needs too many records".into())),
            Err(Stop::Refused(refusal)) => Err(refusal),
            Ok(answer) => {
                self.commit(done.changes, done.ranks, cx);
                cx.out.messages.extend(done.messages);
                Ok(answer)
            }
        };
        if let Some(number) = number {
            self.deadlines.clear(&number);
        }
        if let (Caller::Host, Request::Forget(user), Err(refusal)) = (&job.caller, &*job.request, &result)
            && !refusal.is_passing()
        {
            // Nobody waits for it, and that it is tried again does not help.
            cx.fault(format!("user {user} has no account any more, and what is kept of them stays: {refusal}"));
        }
        answer(job.asker, result, cx);
    }

    fn commit(&mut self, changes: BTreeMap<String, Option<Vec<u8>>>, ranks: Vec<Change>, cx: &mut Context<'_>) {
        for change in ranks {
            cx.out.faults.extend(self.boards.apply(change));
        }
        if changes.is_empty() {
            return;
        }
        let quiet = self.cache.begin_write();
        for (key, value) in changes {
            // What is being loaded of it is older than this.
            self.known(&key);
            // The entries of leaderboards are in memory already.
            if !key.starts_with(results::boards::PREFIX) {
                self.cache.write(&key, value.clone());
            }
            match value {
                Some(value) => cx.put(key, value),
                None => cx.delete(key),
            }
        }
        if quiet {
            self.ask_for_word(cx);
        }
    }

    /// Asks for word that all batches until now are synced. Its message leaves after them.
    fn ask_for_word(&mut self, cx: &mut Context<'_>) {
        if !self.up {
            // Said at once it would not be true.
            self.word_held_back = true;
            return;
        }
        self.word_due = Some(cx.now.plus_ms(WORD_MS_MAX));
        cx.send(Event::Synced { number: self.cache.written() });
    }

    fn wait(
        &mut self,
        number: Option<u64>,
        mut job: Job,
        missing: BTreeSet<String>,
        boards: bool,
        cx: &mut Context<'_>,
    ) {
        let number = number.unwrap_or_else(|| self.next_number(cx));
        job.missing = missing.len();
        self.jobs.insert(number, job);
        if boards {
            self.turn.waiting.insert(number);
        }
        let mut keys = Vec::new();
        for key in missing {
            let waiting = self.loading.entry(key.clone()).or_insert_with(|| {
                keys.push(key);
                BTreeSet::new()
            });
            waiting.insert(number);
        }
        if !keys.is_empty() {
            let job = self.next_number(cx);
            self.loads.insert(job, keys.clone());
            cx.send(Message::LoadForDb(Load { job, keys }));
        }
    }

    /// A number for a job or a load, which has a deadline from now on.
    fn next_number(&mut self, cx: &Context<'_>) -> u64 {
        self.last_number += 1;
        self.deadlines.set(self.last_number, cx.now.plus_ms(REQUEST_MS_MAX));
        self.last_number
    }

    fn loaded(&mut self, load: u64, values: Loaded, cx: &mut Context<'_>) {
        let Ok(values) = values else {
            return self.give_up(load, Refusal::ServiceDown(ServiceName::Db), cx);
        };
        self.deadlines.clear(&load);
        let keys = self.loads.remove(&load).unwrap_or_default();
        for (key, value) in keys.into_iter().zip(values) {
            // Unless a newer one has been written meanwhile.
            if self.known(&key) {
                self.cache.load(&key, value);
            }
        }
    }

    /// A record is there now: those who waited for it may go on. Whether it was being loaded.
    fn known(&mut self, key: &str) -> bool {
        let waiting = self.loading.remove(key);
        let was_loading = waiting.is_some();
        for number in waiting.into_iter().flatten() {
            let Some(job) = self.jobs.get_mut(&number) else { continue };
            job.missing -= 1;
            if job.missing == 0 {
                self.ready.push_back(number);
            }
        }
        was_loading
    }

    fn service(&mut self, up: bool, cx: &mut Context<'_>) {
        self.up = up;
        if up {
            self.turn.at = Some(cx.now);
        }
        if up && std::mem::take(&mut self.word_held_back) {
            self.ask_for_word(cx);
        }
        if !up {
            let waiting: BTreeSet<u64> = self.jobs.keys().chain(self.loads.keys()).copied().collect();
            for number in waiting {
                self.give_up(number, Refusal::ServiceDown(ServiceName::Db), cx);
            }
        }
    }

    /// Gives up a job, or a load and the jobs that wait for it.
    fn give_up(&mut self, number: u64, refusal: Refusal, cx: &mut Context<'_>) {
        self.deadlines.clear(&number);
        if let Some(keys) = self.loads.remove(&number) {
            let waiting: BTreeSet<u64> = keys.iter().filter_map(|key| self.loading.remove(key)).flatten().collect();
            for job in waiting {
                self.give_up(job, refusal.clone(), cx);
            }
        }
        if let Some(job) = self.jobs.remove(&number) {
            answer(job.asker, Err(refusal), cx);
        }
    }

    fn expire(&mut self, cx: &mut Context<'_>) {
        while let Some(number) = self.deadlines.pop_due(cx.now) {
            self.give_up(number, Refusal::TimedOut("the store".into()), cx);
        }
        if self.word_due.is_some_and(|due| due <= cx.now) {
            self.word_due = None;
            self.ask_for_word(cx);
        }
    }
}

/// Answers whoever asked.
fn answer(asker: Asker, result: Result<Answer, Refusal>, cx: &mut Context<'_>) {
    match asker {
        Asker::User { user, number } => cx.send(lobby::Event::ResDb { user, number, result: result.map(Box::new) }),
        Asker::Lobby { user, connection } => {
            let result = result.and_then(|answer| match answer {
                Answer::Entered(entered) => Ok(entered),
                _ => Err(Refusal::Internal("an answer to another question".into())),
            });
            cx.send(lobby::Event::ResEnter { user, connection, result });
        }
        Asker::SceneMaster { allocation } => {
            cx.send(scene_master::Event::ResRecord { allocation, result: result.map(drop) });
        }
        Asker::Door(number) => cx.send(Message::DbDoor(number, result.map(Box::new))),
        Asker::Nobody => {}
    }
}
