//! The contract's types in Rust, generated from `wit/` and re-exported under flat names.

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit/scene.wit",
        world: "scene",
        // A journal keeps what a scene was given; see `crate::journal`.
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}

pub use generated::exports::scenehost::scene::logic::{
    Alarm, Amount, Comeback, Command, Departure, Ending, Event, Eviction, External, Incoming, Init, LeaveReason,
    Moment, NextMatch, Opening, Outgoing, Player, PlayerResult, SaveAnswer, SaveError, SaveOperation, SaveRequest,
    Showing, StopNotice, StopReason, StoredRecord, Target,
};
pub use generated::scenehost::scene::diagnostics::Level;

pub(crate) use generated::ScenePre as WorldPre;
pub(crate) use generated::exports::scenehost::scene::logic::Guest;
pub(crate) use generated::scenehost::scene::diagnostics;

/// The version of the package `scenehost:scene` that this host serves.
pub const CONTRACT_VERSION: &str = "0.3.0";
