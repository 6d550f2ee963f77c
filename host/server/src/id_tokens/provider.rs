//! Checks the ID tokens of one provider, one after the other, and keeps its keys.
//!
//! Invariants: there is at most one fetch at a time, and it holds up only the tokens that no known
//! key fits, at most [`WAITING_MAX`]. Every token is answered: at once, or at the end of a fetch.

use std::pin::Pin;

use metrics::counter;
use scenehost_core::auth::identity::IdentityKey;
use scenehost_core::auth::{self, Checked};
use scenehost_core::{Refusal, Time};
use tokio::sync::mpsc;

use super::cache::Cache;
use super::keys::KeySet;
use super::source::{self, Source};
use super::token::{Expected, Unchecked, Wrong};
use crate::bus::Bus;
use crate::clock::Clock;

/// How many tokens may wait for keys; more are refused.
const WAITING_MAX: usize = 256;
/// Refused tokens come to the log one by one, but no faster than this.
const LOGGED_EVERY_MS: u64 = 1_000;

/// A token to be checked.
pub struct Job {
    /// Auth's number for it.
    pub number: u64,
    pub token: String,
}

pub struct Provider {
    name: String,
    expected: Expected,
    source: Source,
    cache: Cache,
    waiting: Vec<Job>,
    log: RefusalLog,
    clock: Clock,
    bus: Bus,
}

#[derive(Default)]
struct RefusalLog {
    logged: Option<Time>,
    not_logged: u64,
}

/// Why there is no subject.
enum Failure {
    /// Nothing can be said without the issuer's keys.
    NoKeys,
    Wrong(Wrong),
}

type Fetch = Pin<Box<dyn Future<Output = Result<KeySet, source::Error>> + Send>>;

impl Provider {
    pub fn new(name: String, expected: Expected, source: Source, clock: Clock, bus: Bus) -> Self {
        let cache = Cache::new(source.max_age_ms());
        Self { name, expected, source, cache, waiting: Vec::new(), log: RefusalLog::default(), clock, bus }
    }

    /// Runs until every sender of jobs is gone.
    pub async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut fetch: Option<Fetch> = None;
        loop {
            if fetch.is_none() {
                fetch = self.begin_fetch();
            }
            tokio::select! {
                job = jobs.recv() => match job {
                    Some(job) => self.take(job, fetch.is_some()),
                    None => return,
                },
                fetched = async { fetch.as_mut().expect("polled only if there is one").await }, if fetch.is_some() => {
                    fetch = None;
                    self.end_fetch(fetched).await;
                }
                () = tokio::time::sleep(self.clock.until(self.cache.due())), if fetch.is_none() => {}
            }
            // A signature takes some 50 microseconds: others have their turn before the next.
            tokio::task::yield_now().await;
        }
    }

    fn begin_fetch(&mut self) -> Option<Fetch> {
        let now = self.clock.now();
        let wanted = !self.waiting.is_empty();
        if !wanted && now < self.cache.due() {
            return None;
        }
        self.cache.begins(now, wanted);
        Some(Box::pin(self.source.clone().fetch()))
    }

    async fn end_fetch(&mut self, fetched: Result<KeySet, source::Error>) {
        let now = self.clock.now();
        let outcome = if fetched.is_ok() { "done" } else { "failed" };
        counter!("scenehost_jwks_fetches_total", "provider" => self.name.clone(), "outcome" => outcome).increment(1);
        match fetched {
            Ok(keys) => {
                let kids = format!("{:.500}", format!("{:?}", keys.kids()));
                if self.cache.fetched(keys, now) {
                    tracing::info!(provider = %self.name, %kids, "the keys of a sign-in provider are new");
                }
            }
            Err(error) => {
                self.cache.failed(now);
                let kept = self.cache.keys(now).is_some();
                tracing::warn!(provider = %self.name, %error, kept, "the keys of a sign-in provider cannot be had");
            }
        }
        for job in std::mem::take(&mut self.waiting) {
            let checked = self.check(&job.token);
            self.answer(job.number, checked);
            tokio::task::yield_now().await;
        }
    }

    /// Answers, or keeps the token waiting for keys that may fit it.
    fn take(&mut self, job: Job, fetching: bool) {
        let checked = self.check(&job.token);
        let newer_may_fit = matches!(&checked, Err(Failure::NoKeys | Failure::Wrong(Wrong::UnknownKey { .. })));
        if !newer_may_fit || !(fetching || self.cache.may_ask(self.clock.now())) {
            return self.answer(job.number, checked);
        }
        if self.waiting.len() >= WAITING_MAX {
            return self.send(job.number, Err(Refusal::Overloaded("ID tokens waiting for keys".into())), "overloaded");
        }
        self.waiting.push(job);
    }

    fn check(&self, token: &str) -> Result<IdentityKey, Failure> {
        let now = self.clock.now();
        let token = Unchecked::read(token).map_err(Failure::Wrong)?;
        let keys = self.cache.keys(now).ok_or(Failure::NoKeys)?;
        token.check(keys, &self.expected, now).map_err(Failure::Wrong)
    }

    fn answer(&mut self, number: u64, checked: Result<IdentityKey, Failure>) {
        let wrong = match checked {
            Ok(key) => return self.send(number, Ok(key), "accepted"),
            Err(Failure::NoKeys) => return self.send(number, Err(Refusal::ProviderDown), "provider_down"),
            Err(Failure::Wrong(wrong)) => wrong,
        };
        self.log.add(&self.name, &wrong, self.clock.now());
        // The key may be a new one of an issuer that cannot be asked.
        if matches!(wrong, Wrong::UnknownKey { .. }) && self.cache.is_failing() {
            return self.send(number, Err(Refusal::ProviderDown), "provider_down");
        }
        let text = "the ID token is not accepted: get a new one from the provider and sign in again";
        self.send(number, Err(Refusal::BadCredential(text.to_owned())), "refused");
    }

    fn send(&self, job: u64, result: Result<IdentityKey, Refusal>, outcome: &'static str) {
        counter!("scenehost_id_tokens_total", "provider" => self.name.clone(), "outcome" => outcome).increment(1);
        self.bus.send(auth::Event::Checked { job, result: result.map(Checked::Subject) }.into());
    }
}

impl RefusalLog {
    fn add(&mut self, provider: &str, wrong: &Wrong, now: Time) {
        if self.logged.is_some_and(|logged| now < logged.plus_ms(LOGGED_EVERY_MS)) {
            self.not_logged += 1;
            return;
        }
        let not_logged = std::mem::take(&mut self.not_logged);
        self.logged = Some(now);
        tracing::info!(provider, reason = %wrong, not_logged, "an ID token is refused");
    }
}
