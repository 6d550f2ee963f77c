//! Runs the logic of scenes: components are checked and compiled, instantiated from a pool, called under limits of time,
//! memory, stack and output, and stepped on time.
//!
//! - [`Engine`] checks an upload and compiles it to a [`Plugin`].
//! - [`Instance`] is one live scene without a schedule: start, admit, step, save, load.
//! - [`Worker`] owns the scenes of one core: inboxes, tick grid, timers, sleep.
//! - [`journal`] keeps what a scene was given, and runs it again.
//! - [`CodeCache`] keeps compiled code between the runs of the host.
//! - [`scratch`] tries an upload before anybody plays it.
//! - [`rule`] runs the rules of matching, which are components of another contract.
//!
//! Architecture invariant: nothing here knows of sockets, players' connections, stores or the services. Nothing but the
//! epoch ticker has a thread, and nothing reads a clock: time is an argument. Only the code cache writes times, into its
//! files.
//!
//! Architecture invariant: what a component does can end its own scene and nothing else. Every failure of a scene is a
//! [`Failure`] value.

mod bindings;
mod cache;
mod commands;
mod deadline;
mod engine;
mod failure;
mod inspect;
mod instance;
pub mod journal;
mod limits;
mod log;
mod pace;
mod plugin;
mod prefetch;
mod presence;
pub mod rule;
mod scene;
pub mod scratch;
mod slow;
mod swap;
mod ticker;
mod timers;
mod upload;
mod usage;
mod worker;

pub use bindings::*;
pub use cache::{CacheCounts, CodeCache};
pub use engine::{Engine, Error, Options};
pub use failure::Failure;
pub use inspect::{Inspection, Interface};
pub use instance::Instance;
pub use limits::{DEADLINE_MS_MAX, Limits};
pub use log::{Log, LogLine};
pub use plugin::Plugin;
pub use presence::Presence;
pub use scene::{CONTROL_EVENTS_MAX, SceneSpec, TICK_RATE_HZ_MAX};
pub use swap::SwapError;
pub use upload::{Digest, NoDigest, Rejected};
pub use usage::{Group, GroupUsage, Peaks, STEP_TIMES, Sums, Usage, step_time_us_max};
pub use worker::{
    Aside, CallError, CreateError, DeliverError, NotTaken, RecoverError, Recovered, SceneKey, Sink, Stepped, Worker,
    WorkerOptions,
};
