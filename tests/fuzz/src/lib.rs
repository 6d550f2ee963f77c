//! Fuzz targets: what may arrive from outside as bytes, and what may happen to a service in any order.
//!
//! | module | what is fuzzed |
//! |---|---|
//! | [`frames`] | WebSocket messages, of clients and of servers |
//! | [`tokens`] | texts that are looked at before anything is known of their sender: tokens, ids, names |
//! | [`bodies`] | JSON over HTTP |
//! | [`records`] | stored records that are not what was written |
//! | [`auth`] | requests, with a store and a host that answer late, wrongly or never |
//! | [`db`] | requests of all features, with a store that is late or silent, and power that fails |
//! | [`lobby`] | connections, users and services in any order |
//! | [`scene`] | the seats of a scene: connections, orders and the game in any order |
//!
//! Invariant: a target is a function of its input. It has no other randomness and no clock, so an
//! input that fails once fails always.

pub mod auth;
pub mod bodies;
pub mod db;
pub mod frames;
pub mod lobby;
pub mod records;
pub mod scene;
mod script;
pub mod tokens;

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Makes a program of a target: libFuzzer's when it is built for fuzzing, else one that runs the
/// inputs whose files are its arguments, to look at one of them with a debugger.
#[macro_export]
macro_rules! target {
    ($run:path) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $run(data));

        #[cfg(not(fuzzing))]
        fn main() -> std::io::Result<()> {
            std::env::args_os().skip(1).try_for_each(|file| Ok($run(&std::fs::read(file)?)))
        }
    };
}

/// JSON that is read is written as JSON that is read as the same.
fn json_survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(json: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(json).ok()?;
    let written = serde_json::to_vec(&value).expect("what was read can be written");
    let again: T = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(again, value);
    Some(value)
}
