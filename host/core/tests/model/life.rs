//! What can happen in the model, within its bounds, and what has to hold.

use stateright::{Model, Property};

use crate::letter::{Letter, SceneNo, USERS, Way};
use crate::node;
use crate::state::{Broken, MASTERS, NODES, Stage, State};

pub const ONE_OWNER: &str = "in each epoch one master writes";
pub const ONE_LIVE: &str = "one incarnation of a scene lives";
pub const ALIVE: &str = "no join is acknowledged into a dead scene";
pub const NO_LEAK: &str = "when everything is quiet every scene is over, every seat free, and nobody inside";
pub const ONCE: &str = "each request takes effect at most once: a match has one scene, an incarnation begins once, a \
                        token opens its seat once";
pub const WRITTEN: &str = "a scene begins and ends only as it is written";
pub const STALE: &str = "no order of an owner takes effect after one of a newer owner";
pub const AGREE: &str = "who is inside is so for the scene and for the user";
/// What has to hold in every state.
pub const HOLDS: [&str; 8] = [ONE_OWNER, ONE_LIVE, ALIVE, NO_LEAK, ONCE, WRITTEN, STALE, AGREE];

pub const INSIDE: &str = "a user is inside";
pub const FULL: &str = "all users are inside";
pub const ANEW: &str = "a user is inside the second incarnation";
pub const STALE_OWNER: &str = "a master has lost the lease and does not know it";
pub const STALE_ORDER: &str = "an order of an owner comes after one of a newer owner";
pub const OVER: &str = "the scene is over, and everything is quiet";

/// How often something may happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Match asks for the scene of its match.
    pub asks: u8,
    /// A letter is lost.
    pub lost: u8,
    /// A letter comes twice.
    pub doubled: u8,
    /// The lease runs out and the other master takes it.
    pub takeovers: u8,
    /// A deadline comes while its answer is under way.
    pub early: u8,
    /// A node is gone.
    pub crashes: u8,
    /// A game fails.
    pub traps: u8,
    /// A game is over.
    pub finishes: u8,
    /// A user is at the door of a scene: for each user.
    pub enters: [u8; USERS],
    /// A user leaves for good.
    pub leaves: u8,
    /// The connection of a user is lost.
    pub drops: u8,
    /// A user asks for a new way in.
    pub rejoins: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Ask,
    /// A letter comes; one to SceneMaster to a master that believes to be it.
    Comes(Letter, usize),
    Lost(Letter),
    Doubled(Letter),
    TakesOver(usize),
    MasterTick(usize),
    NodeDown(usize),
    SceneTick(usize, SceneNo),
    Enters(usize, Way),
    GoesOn(usize, Way),
    Leaves(usize),
    Drops(usize),
    Rejoins(usize),
    Finishes(usize, SceneNo),
    Fails(usize, SceneNo),
    Crashes(usize),
}

pub struct Life {
    pub bounds: Bounds,
    pub broken: Option<Broken>,
}

impl Life {
    /// What comes by itself, sooner or later.
    fn forced(&self, state: &State, actions: &mut Vec<Action>) {
        let owners = || (0..MASTERS).filter(|m| state.masters[*m].epoch.is_some());
        for (index, letter) in state.net.iter().enumerate() {
            if index > 0 && state.net[index - 1] == *letter {
                continue; // The same.
            }
            match letter {
                Letter::ReqCreateScene | Letter::Report(_) | Letter::ReqRejoin(_) => {
                    actions.extend(owners().map(|m| Action::Comes(*letter, m)));
                }
                Letter::Order { .. } | Letter::Way(..) => actions.push(Action::Comes(*letter, 0)),
            }
        }
        let (mut ticks, is_quiet) = (Vec::new(), state.net.is_empty());
        for m in owners() {
            match state.waits_for_nobody(m) {
                true => actions.push(Action::NodeDown(m)),
                false if state.waits(m) && self.broken != Some(Broken::NothingRepeated) => {
                    ticks.push(Action::MasterTick(m));
                }
                false => {}
            }
        }
        if self.broken != Some(Broken::ScenesWaitForEver) {
            for n in 0..NODES {
                ticks.extend(state.nodes[n].waiting().map(|scene| Action::SceneTick(n, scene)));
            }
        }
        if is_quiet || state.left.early > 0 {
            actions.append(&mut ticks);
        }
    }

    fn faults(&self, state: &State, actions: &mut Vec<Action>) {
        let mut letters = state.net.clone();
        letters.dedup();
        if state.left.lost > 0 {
            actions.extend(letters.iter().map(|letter| Action::Lost(*letter)));
        }
        if state.left.doubled > 0 {
            actions.extend(letters.iter().map(|letter| Action::Doubled(*letter)));
        }
        if state.left.takeovers > 0 && self.broken != Some(Broken::NoLease) {
            actions.extend((0..MASTERS).filter(|m| *m != state.store.owner).map(Action::TakesOver));
        }
        if state.left.crashes > 0 {
            actions.extend((0..NODES).filter(|n| state.nodes[*n].is_alive).map(Action::Crashes));
        }
    }

    fn wishes(&self, state: &State, actions: &mut Vec<Action>) {
        if state.left.asks > 0 {
            actions.push(Action::Ask);
        }
        for (user, it) in state.users.iter().enumerate() {
            if it.is_inside {
                if state.left.leaves > 0 {
                    actions.push(Action::Leaves(user));
                }
                if state.left.drops > 0 {
                    actions.push(Action::Drops(user));
                }
                continue;
            }
            let is_there = |way: &Way| state.nodes[way.node].has(way.scene);
            if state.left.enters[user] > 0 {
                let ways = it.ways.iter().filter(|way| is_there(way));
                actions.extend(ways.map(|way| Action::Enters(user, *way)));
                actions.extend(it.used.filter(is_there).map(|way| Action::GoesOn(user, way)));
            }
            if state.left.rejoins > 0 {
                actions.push(Action::Rejoins(user));
            }
        }
        for n in 0..NODES {
            for scene in state.nodes[n].open() {
                if state.left.finishes > 0 {
                    actions.push(Action::Finishes(n, scene));
                }
                if state.left.traps > 0 {
                    actions.push(Action::Fails(n, scene));
                }
            }
        }
    }

    fn comes(&self, state: &mut State, letter: Letter, m: usize) {
        match letter {
            Letter::ReqCreateScene => state.req_create_scene(m, self.broken),
            Letter::Report(report) => state.report(m, report, self.broken),
            Letter::ReqRejoin(user) => state.req_rejoin(m, user),
            Letter::Order { owner, node, order } => state.take_order(node, owner, order, self.broken),
            Letter::Way(user, way) => _ = state.users[user].ways.insert(way),
        }
    }
}

/// Nothing comes by itself any more.
fn is_quiet(model: &Life, state: &State) -> bool {
    let mut actions = Vec::new();
    model.forced(state, &mut actions);
    actions.is_empty()
}

fn is_clean(state: &State) -> bool {
    state.store.records.iter().all(|record| record.stage == Stage::Stopped)
        && state.nodes.iter().all(node::Node::is_empty)
        && state.users.iter().all(|user| !user.is_inside)
}

impl Model for Life {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.bounds, self.broken)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.past.wrong.is_none() {
            self.forced(state, actions);
            self.faults(state, actions);
            self.wishes(state, actions);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let is_early = !state.net.is_empty();
        match action {
            Action::Ask => {
                state.left.asks -= 1;
                state.send(Letter::ReqCreateScene);
            }
            Action::Comes(letter, m) => {
                state.takes(letter);
                self.comes(&mut state, letter, m);
            }
            Action::Lost(letter) => {
                state.left.lost -= 1;
                state.takes(letter);
            }
            Action::Doubled(letter) => {
                state.left.doubled -= 1;
                state.send(letter);
            }
            Action::TakesOver(m) => {
                state.left.takeovers -= 1;
                state.take_over(m, self.broken);
            }
            Action::MasterTick(m) => {
                state.left.early -= u8::from(is_early);
                state.master_tick(m, self.broken);
            }
            Action::NodeDown(m) => state.node_down(m, self.broken),
            Action::SceneTick(n, scene) => {
                state.left.early -= u8::from(is_early);
                state.scene_tick(n, scene, self.broken);
            }
            Action::Enters(user, way) | Action::GoesOn(user, way) => {
                state.left.enters[user] -= 1;
                state.enter(user, way, matches!(action, Action::GoesOn(..)), self.broken);
            }
            Action::Leaves(user) => {
                state.left.leaves -= 1;
                state.leave(user, self.broken);
            }
            Action::Drops(user) => {
                state.left.drops -= 1;
                state.lose(user, self.broken);
            }
            Action::Rejoins(user) => {
                state.left.rejoins -= 1;
                state.send(Letter::ReqRejoin(user));
            }
            Action::Finishes(n, scene) => {
                state.left.finishes -= 1;
                state.game_over(n, scene, false, self.broken);
            }
            Action::Fails(n, scene) => {
                state.left.traps -= 1;
                state.game_over(n, scene, true, self.broken);
            }
            Action::Crashes(n) => {
                state.left.crashes -= 1;
                state.crash(n);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_OWNER, |_, state: &State| state.past.wrong != Some(ONE_OWNER)),
            Property::always(ONE_LIVE, |_, state: &State| state.nodes.iter().flat_map(|node| node.open()).count() <= 1),
            Property::always(ALIVE, |_, state: &State| state.past.wrong != Some(ALIVE)),
            Property::always(ONCE, |_, state: &State| state.past.wrong != Some(ONCE)),
            Property::always(WRITTEN, |_, state: &State| state.past.wrong != Some(WRITTEN)),
            Property::always(STALE, |_, state: &State| state.past.wrong != Some(STALE)),
            Property::always(AGREE, |_, state: &State| node::agree(state)),
            Property::always(NO_LEAK, |model: &Life, state: &State| !is_quiet(model, state) || is_clean(state)),
            // These show that what has to hold is not so for want of anything happening.
            Property::sometimes(INSIDE, |_, state: &State| state.users.iter().any(|user| user.is_inside)),
            Property::sometimes(FULL, |_, state: &State| state.users.iter().all(|user| user.is_inside)),
            Property::sometimes(ANEW, |_, state: &State| {
                state.users.iter().any(|user| user.is_inside && user.used.is_some_and(|way| way.inc > 1))
            }),
            Property::sometimes(STALE_OWNER, |_, state: &State| {
                state.masters.iter().any(|master| master.epoch.is_some_and(|epoch| epoch < state.store.epoch))
            }),
            Property::sometimes(STALE_ORDER, |_, state: &State| {
                let is_stale = |letter: &Letter| match letter {
                    Letter::Order { owner, node, .. } => *owner < state.nodes[*node].highest,
                    _ => false,
                };
                state.net.iter().any(is_stale)
            }),
            Property::sometimes(OVER, |model: &Life, state: &State| {
                let is_over = state.record(0).is_some_and(|record| record.stage == Stage::Stopped);
                is_over && is_quiet(model, state)
            }),
        ]
    }
}
