//! A service as the host's loop runs it, and the store: a turn takes what waits, steps, begins to write, and says
//! nothing before its writes are synced.
//!
//! Invariants: what a service says leaves in the order in which it was said; batches are synced in the order in which
//! they were begun; what is not synced is lost with the host.

use std::collections::{BTreeMap, VecDeque};

use rand_chacha::ChaCha8Rng;
use scenehost_core::{Context, Effects, Message, Service, Time, Write};

use crate::watch::{Observed, Place, Watch};

/// As in the host's loop: how many events are one batch, and how many batches may wait for the disk.
const BATCH_MAX: usize = 512;
const COMMITS_MAX: usize = 16;

/// The store of a host.
#[derive(Default)]
pub struct Store {
    pub synced: BTreeMap<String, Vec<u8>>,
    waiting: VecDeque<Vec<Write>>,
    /// How many batches were begun, and how many are synced.
    begun: u64,
    done: u64,
    pub is_down: bool,
}

impl Store {
    fn begin(&mut self, writes: Vec<Write>) -> u64 {
        self.waiting.push_back(writes);
        self.begun += 1;
        self.begun
    }

    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Syncs everything that waits; what was changed. A store that forgets leaves a part of some batches out.
    pub fn sync(&mut self, forgets: bool) -> Vec<Write> {
        let mut writes: Vec<Write> = self.waiting.drain(..).flatten().collect();
        if forgets {
            writes.retain(|write| !matches!(write, Write::Put { key, .. } if key.starts_with("party-of/")));
        }
        for write in &writes {
            match write {
                Write::Put { key, value } => _ = self.synced.insert(key.clone(), value.clone()),
                Write::Delete { key } => _ = self.synced.remove(key),
            }
        }
        self.done = self.begun;
        writes
    }

    /// The power fails.
    pub fn lose_unsynced(&mut self) {
        self.waiting.clear();
        self.begun = self.done;
    }
}

struct Said {
    commit: Option<u64>,
    messages: Vec<Message>,
}

/// A service with its inbox.
pub struct Process<S: Service> {
    pub service: S,
    place: Place,
    rng: ChaCha8Rng,
    inbox: VecDeque<S::Event>,
    said: VecDeque<Said>,
    /// What the service knows of the store.
    told_down: bool,
    /// Its clock never goes back.
    clock: Time,
    /// When it is to have its next turn.
    pub wake: Option<Time>,
}

impl<S: Observed> Process<S> {
    pub fn new(service: S, place: Place, rng: ChaCha8Rng) -> Self {
        Self {
            service,
            place,
            rng,
            inbox: VecDeque::new(),
            said: VecDeque::new(),
            told_down: false,
            clock: Time(0),
            wake: None,
        }
    }

    pub fn put(&mut self, event: S::Event) {
        self.inbox.push_back(event);
    }

    /// A fresh service takes over, as after a panic; what the one before has said is carried out still.
    pub fn replace(&mut self, service: S) {
        self.service = service;
        self.told_down = false;
    }

    /// The same, and what has brought the one before down is lost, unless nobody would say it again.
    pub fn fail(&mut self, service: S) {
        if self.inbox.front().is_some_and(S::is_said_again) {
            self.inbox.pop_front();
        }
        self.replace(service);
    }

    /// The same on another machine: what was on the way to the one before, and what it had yet to say, is lost.
    pub fn begin_elsewhere(&mut self, service: S) {
        self.inbox.clear();
        self.said.clear();
        self.wake = None;
        self.replace(service);
    }

    fn has_room(&self) -> bool {
        self.said.len() < COMMITS_MAX || self.service.speaks_at_once()
    }

    /// When it wants a turn, by its own clock, which is so far ahead.
    pub fn wants(&self, now: Time, ahead_ms: i64, store: &Store) -> Option<Time> {
        let to_tell = self.told_down != store.is_down && S::store(true).is_some();
        if to_tell || (self.has_room() && !self.inbox.is_empty()) {
            return Some(now);
        }
        let deadline = self.service.deadline().filter(|_| self.has_room())?;
        Some(Time(deadline.0.saturating_add_signed(-ahead_ms)).max(now))
    }

    /// One turn of the loop; what may be sent now.
    pub fn turn(&mut self, now: Time, store: &mut Store, watch: &mut Watch) -> Vec<Message> {
        self.clock = self.clock.max(now);
        let mut events = Vec::new();
        if self.told_down != store.is_down {
            self.told_down = store.is_down;
            events.extend(S::store(!store.is_down));
        }
        if events.is_empty() && self.has_room() {
            events.extend(self.inbox.drain(..self.inbox.len().min(BATCH_MAX)));
            if events.is_empty() && self.service.deadline().is_some_and(|deadline| deadline <= self.clock) {
                events.push(S::tick());
            }
        }
        if events.is_empty() {
            return Vec::new();
        }
        let mut batch = Effects::default();
        for event in events {
            let effects = self.step(event, watch);
            batch.writes.extend(effects.writes);
            batch.messages.extend(effects.messages);
        }
        let commit = (!batch.writes.is_empty()).then(|| store.begin(batch.writes));
        if commit.is_none() && self.service.speaks_at_once() {
            return batch.messages;
        }
        self.said.push_back(Said { commit, messages: batch.messages });
        self.released(store)
    }

    fn step(&mut self, event: S::Event, watch: &mut Watch) -> Effects {
        let mut effects = Effects::default();
        watch.trace(self.place, &event);
        self.service.before(&event, self.place, self.clock, watch);
        let mut cx = Context { now: self.clock, rng: &mut self.rng, out: &mut effects };
        self.service.step(event, &mut cx);
        for fault in &effects.faults {
            watch.trace(self.place, &fault);
            watch.fault(fault);
        }
        self.service.after(&effects, self.place, watch);
        watch.steps += 1;
        effects
    }

    /// What waits for nothing any more.
    pub fn released(&mut self, store: &Store) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(said) = self.said.pop_front_if(|said| said.commit.is_none_or(|commit| commit <= store.done)) {
            messages.extend(said.messages);
        }
        messages
    }
}
