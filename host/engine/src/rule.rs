//! Rules of matching: components that answer what a domain asks about its matches (`wit/match-rule.wit`).
//!
//! Invariants: every call is made in a fresh instance, so a rule cannot remember; what it may do is counted in fuel and
//! not in time, so the same call gives the same answer, or the same [`Fault`], on any machine.
//!
//! Main types: [`Engine`] checks an upload and compiles it to a [`Component`]; a [`Rule`] is one with its configuration
//! and its [`Limits`], and answers on the thread that asks.

mod bindings;
mod engine;
mod fault;
mod state;

use std::sync::Arc;

use wasmtime::Store;

use crate::log::Log;

pub use bindings::*;
pub use engine::{Component, Engine, Options};
pub use fault::Fault;

use bindings::{Guest, MatchRule};
use state::State;

/// What one call may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// About one for each instruction and for each byte that is copied; a line of log is 500 and one for each byte.
    pub fuel: u64,
    /// Linear memory, in bytes. Never more than the engine's ceiling.
    pub memory_bytes_max: usize,
    /// The answer, in bytes.
    pub answer_bytes_max: usize,
    /// Log text, in bytes. Lines past it are counted and dropped.
    pub log_bytes_max: usize,
}

/// The fuel is worth about 1 ms of one core of 2020.
impl Default for Limits {
    fn default() -> Limits {
        Limits { fuel: 2_000_000, memory_bytes_max: 4 << 20, answer_bytes_max: 16 << 10, log_bytes_max: 4 << 10 }
    }
}

/// What a call gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Called<T> {
    /// Its answer.
    pub answer: Result<T, Fault>,
    /// What it logged, if anything.
    pub log: Option<Log>,
    /// How much fuel it used; at most [`Limits::fuel`].
    pub fuel: u64,
}

/// A rule with its configuration. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Rule {
    component: Component,
    configuration: Arc<str>,
    limits: Limits,
}

impl Rule {
    /// The configuration is JSON text, `{}` if there is none.
    pub fn new(component: &Component, configuration: &str, limits: Limits) -> Rule {
        let memory_bytes_max = limits.memory_bytes_max.min(component.shared().options.memory_bytes_max);
        Rule {
            component: component.clone(),
            configuration: configuration.into(),
            limits: Limits { memory_bytes_max, ..limits },
        }
    }

    /// What the rule is and wants; the inner `Err` is what is wrong with its configuration.
    pub fn describe(&self) -> Called<Result<Description, String>> {
        self.call(|rule, store| rule.call_describe(store, &self.configuration))
    }

    /// Where a ticket belongs; the inner `Err` is why its users may not enter, for them to read.
    pub fn classify(&self, words: &[String], ticket: &Ticket) -> Called<Result<Class, String>> {
        self.call(|rule, store| rule.call_classify(store, &self.configuration, words, ticket))
    }

    /// Its verdicts on proposals.
    pub fn judge(&self, words: &[String], tickets: &[Ticket], proposals: &[Proposal]) -> Called<Vec<Verdict>> {
        self.call(|rule, store| rule.call_judge(store, &self.configuration, words, tickets, proposals))
    }

    /// How strong teams are.
    pub fn score_teams(&self, words: &[String], teams: &[Vec<Player>]) -> Called<Vec<i32>> {
        self.call(|rule, store| rule.call_score_teams(store, &self.configuration, words, teams))
    }

    /// Makes an instance, calls it once, and drops it.
    fn call<T>(&self, ask: impl FnOnce(&Guest, &mut Store<State>) -> wasmtime::Result<T>) -> Called<T> {
        let (shared, limits) = (self.component.shared(), &self.limits);
        let mut store = Store::new(&shared.wasm, State::new(limits));
        store.limiter(|state| state);
        store.set_hostcall_fuel(limits.answer_bytes_max);
        let answer = match self.instantiate(&mut store) {
            Ok(world) => ask(world.scenehost_match_rule_rule(), &mut store)
                .map_err(|error| Fault::of_call(&error, store.data_mut(), limits)),
            Err(error) => Err(Fault::of_instantiation(&error, store.data_mut(), limits, shared.options.instances_max)),
        };
        let left = store.get_fuel().unwrap_or(0);
        Called { answer, log: store.data_mut().log.take(), fuel: limits.fuel.saturating_sub(left) }
    }

    fn instantiate(&self, store: &mut Store<State>) -> wasmtime::Result<MatchRule> {
        store.set_fuel(self.limits.fuel)?;
        self.component.pre().instantiate(store)
    }
}
