//! What bots count. Their counters are shared and small; what is listed by name has a limit.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anstream::println;
use hdrhistogram::Histogram;
use scenehost_client::Error;
use serde::Serialize;

use crate::say::{BAD, NAME};

/// So many games are told apart.
const GAMES_MAX: usize = 1_000_000;
/// So many kinds of errors.
const KINDS_MAX: usize = 64;
/// The longest round trip that is told apart from longer ones, in microseconds.
const ROUND_TRIP_US_MAX: u64 = 60_000_000;

/// All of them.
#[derive(Default)]
pub struct Counts(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    signed_in: u64,
    playing: u64,
    games: HashSet<String>,
    now: Traffic,
    total: Traffic,
    round_trips: Option<Histogram<u64>>,
    refusals: BTreeMap<String, u64>,
    errors: BTreeMap<String, u64>,
}

#[derive(Clone, Copy, Default)]
struct Traffic {
    sent: u64,
    received: u64,
    received_bytes: u64,
}

/// What one second was like.
pub struct Second {
    playing: u64,
    games: usize,
    traffic: Traffic,
    p50_ms: f64,
    p99_ms: f64,
    refusals: u64,
    errors: u64,
}

/// What it came to.
#[derive(Debug, Serialize)]
pub struct Totals {
    pub signed_in: u64,
    pub games: usize,
    pub seconds: u64,
    pub messages_sent: u64,
    pub messages_received: u64,
    pub sent_per_second: f64,
    pub received_per_second: f64,
    pub received_bytes_per_second: f64,
    pub ping_ms_p50: f64,
    pub ping_ms_p99: f64,
    pub refusals: BTreeMap<String, u64>,
    pub errors: BTreeMap<String, u64>,
}

impl Counts {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn signed_in(&self) {
        self.lock().signed_in += 1;
    }

    pub fn joined(&self, scene: &str) {
        let mut inner = self.lock();
        inner.playing += 1;
        if inner.games.len() < GAMES_MAX {
            inner.games.insert(scene.to_owned());
        }
    }

    /// Whatever became of it.
    pub fn left(&self) {
        let mut inner = self.lock();
        inner.playing = inner.playing.saturating_sub(1);
    }

    pub fn sent(&self) {
        self.lock().now.sent += 1;
    }

    pub fn received(&self, bytes: usize) {
        let mut inner = self.lock();
        inner.now.received += 1;
        inner.now.received_bytes += bytes as u64;
    }

    pub fn round_trip(&self, took: Duration) {
        let mut inner = self.lock();
        let histogram = inner.round_trips.get_or_insert_with(|| {
            Histogram::new_with_max(ROUND_TRIP_US_MAX, 3).expect("the bounds are those of a histogram")
        });
        histogram.saturating_record(took.as_micros() as u64);
    }

    pub fn refused(&self, code: &str) {
        count(&mut self.lock().refusals, code);
    }

    pub fn lost(&self, error: &Error) {
        count(&mut self.lock().errors, &error.to_string());
    }

    pub fn error(&self, error: &Error) {
        match error {
            Error::Refused(refused) => self.refused(refused.code().as_str_name()),
            other => self.lost(other),
        }
    }

    /// What came since the last time.
    pub fn second(&self) -> Second {
        let mut inner = self.lock();
        let traffic = inner.close();
        Second {
            playing: inner.playing,
            games: inner.games.len(),
            traffic,
            p50_ms: inner.ping_ms(0.5),
            p99_ms: inner.ping_ms(0.99),
            refusals: inner.refusals.values().sum(),
            errors: inner.errors.values().sum(),
        }
    }

    pub fn totals(&self, seconds: u64) -> Totals {
        let mut inner = self.lock();
        inner.close();
        let per_second = |count: u64| (count as f64 / seconds.max(1) as f64 * 10.0).round() / 10.0;
        Totals {
            signed_in: inner.signed_in,
            games: inner.games.len(),
            seconds,
            messages_sent: inner.total.sent,
            messages_received: inner.total.received,
            sent_per_second: per_second(inner.total.sent),
            received_per_second: per_second(inner.total.received),
            received_bytes_per_second: per_second(inner.total.received_bytes),
            ping_ms_p50: inner.ping_ms(0.5),
            ping_ms_p99: inner.ping_ms(0.99),
            refusals: inner.refusals.clone(),
            errors: inner.errors.clone(),
        }
    }
}

impl Inner {
    fn close(&mut self) -> Traffic {
        let now = std::mem::take(&mut self.now);
        self.total.sent += now.sent;
        self.total.received += now.received;
        self.total.received_bytes += now.received_bytes;
        now
    }

    fn ping_ms(&self, quantile: f64) -> f64 {
        let us = self.round_trips.as_ref().map_or(0, |trips| trips.value_at_quantile(quantile));
        (us as f64 / 10.0).round() / 100.0
    }
}

fn count(kinds: &mut BTreeMap<String, u64>, kind: &str) {
    if let Some(count) = kinds.get_mut(kind) {
        *count += 1;
    } else if kinds.len() < KINDS_MAX {
        kinds.insert(kind.to_owned(), 1);
    }
}

impl fmt::Display for Second {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Second { playing, games, traffic, p50_ms, p99_ms, refusals, errors } = self;
        write!(f, "{playing} playing, {games} games, {}/s out, {}/s in, ", traffic.sent, traffic.received)?;
        write!(f, "ping {p50_ms:.1} ms (p99 {p99_ms:.1}), {refusals} refused, {errors} errors")
    }
}

impl Totals {
    pub fn show(&self) {
        let field = |name: &str, value: String| println!("{NAME}{name:>10}{NAME:#}  {value}");
        field("bots", format!("{} signed in", self.signed_in));
        field("games", self.games.to_string());
        field(
            "messages",
            format!(
                "{} sent ({}/s), {} received ({}/s)",
                self.messages_sent, self.sent_per_second, self.messages_received, self.received_per_second
            ),
        );
        field("ping", format!("p50 {:.2} ms, p99 {:.2} ms", self.ping_ms_p50, self.ping_ms_p99));
        for (code, count) in &self.refusals {
            println!("{BAD}{:>10}{BAD:#}  {code}: {count}", "refused");
        }
        for (error, count) in &self.errors {
            println!("{BAD}{:>10}{BAD:#}  {error}: {count}", "error");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_what_came_in_it_and_totals_are_all() {
        let counts = Counts::default();
        counts.joined("a");
        counts.joined("a");
        counts.sent();
        counts.received(5);
        counts.round_trip(Duration::from_millis(2));
        let second = counts.second().to_string();
        assert_eq!(second, "2 playing, 1 games, 1/s out, 1/s in, ping 2.0 ms (p99 2.0), 0 refused, 0 errors");
        counts.sent();
        counts.refused("RATE_LIMITED");
        let totals = counts.totals(2);
        assert_eq!((totals.messages_sent, totals.messages_received, totals.sent_per_second), (2, 1, 1.0));
        assert_eq!(totals.refusals["RATE_LIMITED"], 1);
    }
}
