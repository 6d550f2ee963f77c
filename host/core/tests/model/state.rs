//! The state of the model: the store, the masters, the nodes, the users, and what is under way.
//!
//! Invariant: what is known here of what has happened is exactly as much as the properties need; everything more would
//! make more states of what is one.

use std::collections::BTreeSet;

use crate::letter::{Inc, Letter, SceneNo, Token, USERS, Way};
use crate::life::Bounds;
use crate::master::Master;
use crate::node::Node;

pub const MASTERS: usize = 2;
pub const NODES: usize = 2;

/// Ways to get the protocol wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// The store takes a write of whoever believes to be the owner.
    StoreTakesStale,
    /// Nodes take an order of whoever believes to be the owner.
    NodesTakeStale,
    /// Who takes the lease over has the epoch of the owner before.
    EpochNotRaised,
    /// Both masters act, without a lease.
    NoLease,
    /// Who takes over does not read what the store has.
    TakesOverBlind,
    /// Orders leave before what they follow from is written.
    EffectBeforeWrite,
    /// A token that was used opens another seat.
    TokenOfTwoSeats,
    /// A scene whose game is over ends without having asked.
    EndsUnasked,
    /// A node forgets what has ended on it.
    EndedForgotten,
    /// A game that begins anew is the same incarnation.
    SameIncarnation,
    /// A node that has not answered in time is taken for dead, and its scene begins on another one.
    SilentIsDead,
    /// What is not answered is not asked again, and no deadline of a master comes.
    NothingRepeated,
    /// A scene that has not said in time that it has ended counts as ended.
    EndsUnconfirmed,
    /// Whoever is inside a scene that ends is not told.
    EndsUntold,
    /// A scene knows no deadlines.
    ScenesWaitForEver,
}

/// What a master has written of a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Record {
    pub stage: Stage,
    pub inc: Inc,
    pub node: usize,
}

/// The states of SceneMaster; `Live` is Allocated, Running and Empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    Placing,
    Live,
    Stopping,
    Stopped,
}

/// The truth: the lease's row and the scenes' records.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Store {
    pub owner: usize,
    pub epoch: u8,
    pub records: Vec<Record>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct User {
    /// The ways in that the user was ever told.
    pub ways: BTreeSet<Way>,
    /// The way that was used last, for as long as its line may be gone on with.
    pub used: Option<Way>,
    pub is_inside: bool,
}

/// What has happened, as far as what has to hold is about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Past {
    /// Who has written in each epoch.
    pub wrote: Vec<(u8, usize)>,
    /// The incarnations that have begun.
    pub begun: BTreeSet<(SceneNo, Inc)>,
    /// The tokens that have opened a seat.
    pub opened: BTreeSet<Token>,
    /// The first thing that went wrong.
    pub wrong: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub store: Store,
    pub masters: [Master; MASTERS],
    pub nodes: [Node; NODES],
    pub users: [User; USERS],
    /// In no order that means anything: sorted, so that the same letters are the same state.
    pub net: Vec<Letter>,
    /// What may still happen.
    pub left: Bounds,
    /// How many tokens were drawn.
    pub drawn: Token,
    pub past: Past,
}

impl State {
    pub fn new(bounds: Bounds, broken: Option<Broken>) -> Self {
        let mut masters = [Master::default(), Master::default()];
        masters[0].epoch = Some(1);
        if broken == Some(Broken::NoLease) {
            masters[1].epoch = Some(1);
        }
        Self {
            store: Store { owner: 0, epoch: 1, records: Vec::new() },
            masters,
            nodes: [Node::new(0), Node::new(1)],
            users: Default::default(),
            net: Vec::new(),
            left: bounds,
            drawn: 0,
            past: Past::default(),
        }
    }

    /// A letter is under way. One to a node that is gone goes nowhere, and one to a user who goes nowhere any more
    /// changes nothing: without them there are fewer states, and none of them means anything else.
    pub fn send(&mut self, letter: Letter) {
        let goes_nowhere = match letter {
            Letter::Order { node, .. } => !self.nodes[node].is_alive,
            Letter::Way(user, _) => self.left.enters[user] == 0,
            Letter::ReqCreateScene | Letter::Report(_) | Letter::ReqRejoin(_) => false,
        };
        if goes_nowhere {
            return;
        }
        let at = self.net.partition_point(|it| *it < letter);
        self.net.insert(at, letter);
    }

    /// A letter is under way no more.
    pub fn takes(&mut self, letter: Letter) {
        if let Ok(at) = self.net.binary_search(&letter) {
            self.net.remove(at);
        }
    }

    pub fn draw(&mut self) -> Token {
        self.drawn += 1;
        self.drawn
    }

    /// Something is not as it has to be; the first one counts.
    pub fn violated(&mut self, what: &'static str) {
        self.past.wrong.get_or_insert(what);
    }

    pub fn check(&mut self, what: &'static str, holds: bool) {
        if !holds {
            self.violated(what);
        }
    }

    pub fn record(&self, scene: SceneNo) -> Option<&Record> {
        self.store.records.get(scene as usize)
    }
}
