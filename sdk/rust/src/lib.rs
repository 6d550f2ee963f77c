//! Everything a Scenehost game is written with. A game is one type that implements [`Scene`] and is
//! handed to [`export_scene!`]; built for WebAssembly it becomes a component with the world of
//! `wit/scene.wit`, and built natively the test kit in [`testing`] plays it.
//!
//! Invariant: a scene is a function of its inputs. Handlers get time, randomness and players from
//! their [`Context`] alone, and everything they want done is a command collected there.
//!
//! Rules of matching are of another contract: see [`rule`].
//!
//! Map: [`Scene`] and its handlers, [`Context`], [`System`] and [`systems!`] for scenes made of
//! parts, [`Timer`], [`Random`], [`mod@log`]; `runtime` drives a scene and knows its snapshot;
//! `glue` and `heap` are the WebAssembly side.
#![doc = ""]
#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod context;
mod glue;
#[cfg(any(target_arch = "wasm32", test))]
mod heap;
pub mod log;
mod roster;
pub mod rule;
mod runtime;
mod scene;
mod system;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod timer;

/// The bindings of `wit/scene.wit`; its types are re-exported under the crate's root.
#[doc(hidden)]
#[allow(missing_docs, clippy::all)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/scene.wit",
        world: "scene",
        pub_export_macro: true,
        additional_derives: [Clone, PartialEq, serde::Serialize, serde::Deserialize],
    });
}

pub use bindings::exports::scenehost::scene::logic::{
    Alarm, Amount, Comeback, Command, Departure, Ending, Event, Eviction, External, Incoming, Init, LeaveReason,
    Moment, NextMatch, Opening, Outgoing, Player, PlayerResult, SaveAnswer, SaveError, SaveOperation, SaveRequest,
    Seat, Showing, StopNotice, StopReason, StoredRecord, Target,
};
pub use bindings::scenehost::scene::diagnostics::Level;
pub use context::Context;
#[doc(hidden)]
pub use glue::__private;
pub use rand;
pub use scene::{Fault, Scene, Unreadable};
pub use system::System;
pub use timer::Timer;

/// A scene's source of randomness: ChaCha with 8 rounds, so that what players have seen does not
/// tell what comes. Use it through `rand`'s traits, which the [`prelude`] brings.
pub type Random = rand_chacha::ChaCha8Rng;

/// What a game's file usually needs: `use scenehost_sdk::prelude::*;`
pub mod prelude {
    pub use crate::{
        Amount, Context, Fault, Init, LeaveReason, Level, Moment, NextMatch, Opening, Player, PlayerResult, Random,
        SaveError, SaveOperation, Scene, Seat, StopNotice, StopReason, StoredRecord, System, Target, Timer, Unreadable,
        export_scene, systems,
    };
    pub use rand::RngExt as _;
    pub use rand::seq::{IndexedRandom as _, SliceRandom as _};
    pub use serde::{Deserialize, Serialize};
}
