//! Messages between the nodes of a cluster.
//!
//! | module | what it is |
//! |---|---|
//! | [`driver`] | carries single payloads, at most once: in one process, over NATS, or in a simulator |
//! | [`link`] | a pure state machine: messages between two nodes, reliable, in order, exactly once |
//! | [`peers`] | who is there: heartbeats, Up and Down, and a link to each node that is Up |
//!
//! Architecture Invariant: nothing here holds a truth. A bus may lose, delay, repeat and reorder
//! what it carries, and may be gone; what nodes own is decided by the store's leases. This crate
//! knows no other crate of the host: what messages mean is nothing to it.

#![warn(missing_docs)]

pub mod driver;
pub mod link;
pub mod peers;

pub use driver::{Driver, Subscription};
pub use peers::{Event, Peers};
