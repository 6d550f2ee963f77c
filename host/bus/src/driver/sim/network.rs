//! The simulated network itself: what is on its way, from whom to whom, and when it arrives.
//!
//! Invariant: no clock and no randomness but the seed's. What a pause holds back arrives when it
//! ends; what a cut or the loss takes never does.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::super::Error;

/// How many payloads may be on their way before further ones are lost.
const FLIGHTS_MAX: usize = 1_000_000;

/// What happens to payloads on their way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weather {
    /// How many of a thousand are lost.
    pub lost_per_mille: u32,
    /// How many of a thousand arrive twice.
    pub doubled_per_mille: u32,
    /// How long they take, in milliseconds.
    pub delay_ms: RangeInclusive<u64>,
    /// Whether a later payload may arrive before an earlier one of the same two nodes.
    pub reorders: bool,
}

impl Weather {
    /// Nothing is lost or doubled, all take a millisecond.
    pub fn calm() -> Weather {
        Weather { lost_per_mille: 0, doubled_per_mille: 0, delay_ms: 1..=1, reorders: false }
    }
}

/// Something that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// A payload at a subscription.
    Payload {
        /// What [`Network::subscribe`] has given.
        subscription: u64,
        /// The node that sent it.
        from: String,
        /// The node that has the subscription.
        to: String,
        /// The payload.
        bytes: Bytes,
        /// The question that waits for an answer, if one does.
        question: Option<u64>,
    },
    /// An answer at who asked.
    Answer {
        /// The question.
        question: u64,
        /// The answer.
        answer: Result<Bytes, Error>,
    },
}

struct Flight {
    from: String,
    to: String,
    arrival: Arrival,
}

/// A network of named nodes.
pub struct Network {
    rng: StdRng,
    now_ms: u64,
    weather: Weather,
    subscriptions: BTreeMap<u64, (String, String)>,
    next: u64,
    /// By when they arrive, and in which order those of one time do.
    flights: BTreeMap<(u64, u64), Flight>,
    /// When the last payload of two nodes arrives.
    last_ms: BTreeMap<(String, String), u64>,
    cuts: BTreeSet<(String, String)>,
    paused: BTreeSet<String>,
}

impl Network {
    /// An empty network at time 0 in calm weather.
    pub fn new(seed: u64) -> Network {
        Network {
            rng: StdRng::seed_from_u64(seed),
            now_ms: 0,
            weather: Weather::calm(),
            subscriptions: BTreeMap::new(),
            next: 0,
            flights: BTreeMap::new(),
            last_ms: BTreeMap::new(),
            cuts: BTreeSet::new(),
            paused: BTreeSet::new(),
        }
    }

    /// The time, in milliseconds since the beginning.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Changes the weather for what is sent from now on.
    pub fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// Cuts the way from one node to another; the way back stays. What is on it is lost.
    pub fn cut(&mut self, from: &str, to: &str) {
        self.cuts.insert((from.to_owned(), to.to_owned()));
    }

    /// Mends all cuts.
    pub fn mend(&mut self) {
        self.cuts.clear();
    }

    /// Stops a node, as a signal would: what arrives for it waits.
    pub fn pause(&mut self, node: &str) {
        self.paused.insert(node.to_owned());
    }

    /// Lets a node go on.
    pub fn resume(&mut self, node: &str) {
        self.paused.remove(node);
    }

    /// Has a node receive what is sent to a subject from now on.
    pub fn subscribe(&mut self, node: &str, subject: &str) -> u64 {
        self.next += 1;
        self.subscriptions.insert(self.next, (node.to_owned(), subject.to_owned()));
        self.next
    }

    /// Ends a subscription; what is on its way to it is lost.
    pub fn unsubscribe(&mut self, subscription: u64) {
        self.subscriptions.remove(&subscription);
    }

    /// Sends a payload to all subscriptions of a subject; how many there are.
    pub fn publish(&mut self, from: &str, subject: &str, bytes: &Bytes, question: Option<u64>) -> usize {
        let to: Vec<(u64, String)> = self
            .subscriptions
            .iter()
            .filter(|(_, (_, of))| of == subject)
            .map(|(id, (node, _))| (*id, node.clone()))
            .collect();
        for (subscription, node) in &to {
            let arrival = Arrival::Payload {
                subscription: *subscription,
                from: from.to_owned(),
                to: node.clone(),
                bytes: bytes.clone(),
                question,
            };
            self.send(from, node, arrival);
        }
        to.len()
    }

    /// Sends an answer to the node that asked.
    pub fn answer(&mut self, from: &str, to: &str, question: u64, answer: Result<Bytes, Error>) {
        self.send(from, to, Arrival::Answer { question, answer });
    }

    fn send(&mut self, from: &str, to: &str, arrival: Arrival) {
        if self.happens(self.weather.lost_per_mille) {
            return;
        }
        let copies = if self.happens(self.weather.doubled_per_mille) { 2 } else { 1 };
        for _ in 0..copies {
            let way = (from.to_owned(), to.to_owned());
            let mut at_ms = self.now_ms + self.rng.random_range(self.weather.delay_ms.clone());
            if !self.weather.reorders {
                at_ms = at_ms.max(self.last_ms.get(&way).copied().unwrap_or(0));
                self.last_ms.insert(way.clone(), at_ms);
            }
            self.fly(at_ms, Flight { from: way.0, to: way.1, arrival: arrival.clone() });
        }
    }

    fn happens(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.rng.random_range(0..1_000) < per_mille
    }

    fn fly(&mut self, at_ms: u64, flight: Flight) {
        if self.flights.len() < FLIGHTS_MAX {
            self.next += 1;
            self.flights.insert((at_ms, self.next), flight);
        }
    }

    /// Moves the time on and gives what arrives until then, in its order.
    pub fn step(&mut self, to_ms: u64) -> Vec<Arrival> {
        self.now_ms = self.now_ms.max(to_ms);
        let later = self.flights.split_off(&(self.now_ms + 1, 0));
        let due = std::mem::replace(&mut self.flights, later);
        let mut arrivals = Vec::new();
        for ((_, order), flight) in due {
            if self.cuts.contains(&(flight.from.clone(), flight.to.clone())) {
                continue;
            }
            if self.paused.contains(&flight.to) {
                self.flights.insert((self.now_ms + 1, order), flight);
                continue;
            }
            let is_for_nobody = matches!(&flight.arrival, Arrival::Payload { subscription, .. } if !self.subscriptions.contains_key(subscription));
            if !is_for_nobody {
                arrivals.push(flight.arrival);
            }
        }
        arrivals
    }
}
