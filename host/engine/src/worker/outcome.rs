//! What a worker says to its owner: what scenes did, and why something could not be done.

use std::time::Duration;

use super::{Aside, SceneKey};
use crate::{
    bindings::Command,
    failure::Failure,
    journal::{self, Journaled},
    log::Log,
    scene::TICK_RATE_HZ_MAX,
};

/// What a worker has to say. Calls come in the order of what happened.
pub trait Sink {
    /// A scene was stepped.
    fn stepped(&mut self, key: SceneKey, stepped: Stepped);
    /// What is told of the scene next was in the step of this tick. Only when it has logged something or failed.
    fn in_step(&mut self, _key: SceneKey, _tick: u64) {}
    /// A scene failed in a step and is already removed; its slot is free when the run is over.
    fn failed(&mut self, key: SceneKey, failure: Failure);
    /// A scene logged something, in the call whose outcome follows.
    fn logged(&mut self, key: SceneKey, log: Log);
    /// This belongs into a scene's journal, before the outcome of the call is passed on. Only for scenes that have one.
    fn journaled(&mut self, _key: SceneKey, _part: Journaled<'_>) {}
    /// Another version of the game has made its first step in a scene; or it has failed, for this reason, before it did,
    /// and the version before goes on as if nothing had been.
    fn swapped(&mut self, _key: SceneKey, _result: Result<(), String>) {}
    /// How much this thread has worked since any moment, by which a scene is found slow: others may have had the processor
    /// during a call. Without it the clock has to do.
    fn worked(&self) -> Option<Duration> {
        None
    }
    /// A call of a slow scene is to be made, which another thread can do: see [`Aside`].
    ///
    /// # Errors
    ///
    /// When it was not taken.
    fn aside(&mut self, aside: Box<Aside>) -> Result<(), NotTaken> {
        Err(NotTaken::Nobody(aside))
    }
    /// What has come of [`Worker::create_aside`](super::Worker::create_aside).
    fn created(&mut self, _key: SceneKey, _result: Result<(), CreateError>) {}
    /// What has come of [`Worker::admit_aside`](super::Worker::admit_aside).
    fn admitted(&mut self, _key: SceneKey, _result: Result<Result<(), String>, CallError>) {}
}

/// One step that was made.
#[derive(Debug, PartialEq)]
pub struct Stepped {
    pub tick: u64,
    /// In the game's order. Timers are the worker's own business and not among them; nothing follows a `finish`.
    pub commands: Vec<Command>,
    /// How long after its due time the step began.
    pub late_by: Duration,
    /// How long it ran.
    pub took: Duration,
    /// The scene's linear memory after it.
    pub memory_bytes: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    #[error("there is a scene of this key already")]
    Exists,
    #[error("a tick rate of {tick_rate_hz} Hz is more than {TICK_RATE_HZ_MAX}")]
    TickRate { tick_rate_hz: u32 },
    /// It was to begin on another thread, which has ended before.
    #[error("the scene has not begun")]
    NotBegun,
    #[error(transparent)]
    Failed(#[from] Failure),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("there is no scene of this key")]
    NoScene,
    /// The scene has said `finish` and waits to be removed.
    #[error("the scene has finished")]
    Finished,
    /// The scene failed in this call and is already removed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliverError {
    #[error("there is no scene of this key")]
    NoScene,
    /// The scene has said `finish` and waits to be removed.
    #[error("the scene has finished")]
    Finished,
    /// The event was not taken. A message or a signal can be refused to its sender. Control events have room for
    /// [`crate::CONTROL_EVENTS_MAX`] of their own: a scene that has as many waiting has lost track and should be
    /// ended.
    #[error("the scene's inbox is full")]
    InboxFull,
}

/// A scene that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// What was run again.
    pub report: journal::Report,
    /// Where its players and its timers are.
    pub kept: journal::Kept,
    /// How many bytes of the journal count; behind them it goes on.
    pub journal_bytes: usize,
}

/// Why a scene cannot go on where its journal ends.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    #[error("there is a scene of this key already")]
    Exists,
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// It has failed, was ended, or has said `finish`, as its last command tells.
    #[error("the scene was over already")]
    Over(Box<journal::Kept>),
}

/// A call that nobody else makes.
pub enum NotTaken {
    /// There is no other thread: the worker makes the call itself, and the others wait.
    Nobody(Box<Aside>),
    /// Too many calls wait already: a step is made later, and of other calls the worker makes this one itself.
    Full(Box<Aside>),
}
