//! The store, which is a crate of its own, and the commands about it.

pub mod command;

pub use scenehost_store::*;
