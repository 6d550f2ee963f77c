//! The services of Scenehost as pure state machines.
//!
//! A service is a value with a `step(event, context)`. It changes only itself and puts what it
//! wants done into [`Effects`]: writes first, then messages. The host's loop commits all writes of
//! a step before it sends any of its messages, so nobody ever hears of what could still be lost.
//! The time and the randomness of a step are in its [`Context`]; the same events in the same
//! context give the same effects, in production, in a test and in a simulator.
//!
//! | module | service | of which there is |
//! |---|---|---|
//! | [`auth`] | who a user is, sessions | one |
//! | [`lobby`] | users' connections and what they wait for | one a node |
//! | [`db`] | what players keep between games | one |
//! | [`matching`] | tickets and groups | one a domain |
//! | [`scene_master`] | life and death of scenes | one a [`Partition`] of all fleets |
//! | [`scene_service`] | the scenes of one node | one a node |
//! | [`scene`] | the seats of one scene | one a scene |
//!
//! What becomes of the results of games, ratings, leaderboards and histories, is in [`results`].
//!
//! Architecture Invariant: a service never waits and never fails. What it waits for is a state
//! with a deadline; what goes wrong is an outcome with a [`Refusal`].

#![warn(missing_docs)]

pub mod address;
pub mod auth;
pub mod backlog;
pub mod chat;
pub mod config;
pub mod consistency;
pub mod db;
mod deadlines;
pub mod economy;
pub mod friends;
pub mod guild;
pub mod ids;
pub mod inbox;
pub mod line;
pub mod lobby;
pub mod matching;
pub mod message;
pub mod partition;
pub mod party;
pub mod profile;
pub mod quarantine;
pub mod rate;
pub mod read;
pub mod record;
pub mod refusal;
pub mod results;
pub mod save;
pub mod scene;
pub mod scene_list;
pub mod scene_master;
pub mod scene_service;
pub mod storage;
mod text;
pub mod token;

use std::borrow::Cow;

pub use ids::{
    AllocationId, Build, ConnectionId, DomainName, Epoch, FleetName, GameName, GuildId, Incarnation, MatchId, NodeId,
    PartyId, RoomName, SceneId, Seat, SessionId, Time, UserId,
};
pub use message::{Message, Player, PlayerResult, ServiceName};
pub use partition::{Partition, Shard};
pub use refusal::Refusal;

/// What a step may know of the world, and where it puts what it wants done.
pub struct Context<'a> {
    /// The time of this step. Never earlier than that of the step before.
    pub now: Time,
    /// A cryptographically secure generator in production; a seeded one in tests.
    pub rng: &'a mut dyn rand_core::CryptoRng,
    /// What the step wants done.
    pub out: &'a mut Effects,
}

impl Context<'_> {
    /// Wants a message sent after this step's writes are committed.
    pub fn send(&mut self, message: impl Into<Message>) {
        self.out.messages.push(message.into());
    }

    /// Reports something that should not be, for the operators' log.
    pub fn fault(&mut self, text: impl Into<String>) {
        self.out.faults.push(text.into());
    }

    /// Wants a record written.
    pub fn put(&mut self, key: String, value: Vec<u8>) {
        self.out.writes.push(Write::Put { key, value });
    }

    /// Wants a record removed; one that is not there is no error.
    pub fn delete(&mut self, key: String) {
        self.out.writes.push(Write::Delete { key });
    }
}

/// What the steps of one batch want done: all writes in one atomic commit, then the messages in
/// their order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Effects {
    /// What operators should know, for the log: a record that cannot be read, a broken promise.
    pub faults: Vec<String>,
    /// Changes of the store.
    pub writes: Vec<Write>,
    /// Messages to other services and to users.
    pub messages: Vec<Message>,
}

impl Effects {
    /// How much there is by now, for [`Effects::truncate`].
    pub fn lengths(&self) -> [usize; 3] {
        [self.faults.len(), self.writes.len(), self.messages.len()]
    }

    /// Takes back what came after, as when a step has failed in its middle.
    pub fn truncate(&mut self, [faults, writes, messages]: [usize; 3]) {
        self.faults.truncate(faults);
        self.writes.truncate(writes);
        self.messages.truncate(messages);
    }
}

/// One change of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Sets a record.
    Put {
        /// The record's key; see [`record`].
        key: String,
        /// The record's bytes.
        value: Vec<u8>,
    },
    /// Removes a record.
    Delete {
        /// The record's key.
        key: String,
    },
}

/// Something that operators may watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    /// The metric's name.
    pub name: &'static str,
    /// What tells it from others of the name.
    pub labels: Vec<(&'static str, Cow<'static, str>)>,
    /// What it shows.
    pub value: Reading,
}

/// What a meter shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// How much there is now.
    Now(u64),
    /// How much there was since the service began.
    Total(u64),
}

impl Meter {
    /// How much there is now.
    pub fn now(name: &'static str, value: usize) -> Self {
        Self { name, labels: Vec::new(), value: Reading::Now(value as u64) }
    }

    /// How much there was since the service began.
    pub fn total(name: &'static str, value: u64) -> Self {
        Self { name, labels: Vec::new(), value: Reading::Total(value) }
    }

    /// The same, of this kind.
    pub fn of(mut self, label: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.labels.push((label, value.into()));
        self
    }
}

/// A unit of processing with an inbox of its own.
pub trait Service {
    /// What this service can be told.
    type Event;

    /// Takes one event. Total: every event has a defined outcome in every state.
    fn step(&mut self, event: Self::Event, cx: &mut Context<'_>);

    /// The event that says that time has passed.
    fn tick() -> Self::Event;

    /// When the service wants its next [`Service::tick`], if nothing else happens before.
    fn deadline(&self) -> Option<Time>;

    /// The event that says that the store can be written again, or that it cannot for now; `None` for a
    /// service that does nothing else then. Meanwhile what a service has written waits, and what it has
    /// said since waits with it.
    fn store(up: bool) -> Option<Self::Event> {
        let _ = up;
        None
    }

    /// The answer to a question for records, for a service that knows itself what it has written and the store
    /// may not have yet: it may be answered at once. `None` for others, whose questions wait for their writes.
    fn loaded(job: u64, values: Vec<Option<Vec<u8>>>) -> Option<Self::Event> {
        let _ = (job, values);
        None
    }

    /// Whether what the service says now is true whatever becomes of the writes before it, so that it waits
    /// for none of them. Such a service writes nothing.
    fn speaks_at_once(&self) -> bool {
        false
    }

    /// Whether it serves already. One that has taken over may have to find out first what there is; it says itself
    /// when it is up ([`Message::Service`]).
    fn is_up(&self) -> bool {
        true
    }

    /// Whether it has nothing to do any more: its loop ends once all that it has said has left.
    fn is_over(&self) -> bool {
        false
    }

    /// What operators may watch of it.
    fn meters(&self) -> Vec<Meter> {
        Vec::new()
    }
}
