//! This host as one node of many. Without `[cluster]` in the configuration nothing of this is there.
//!
//! | module | |
//! |---|---|
//! | [`unit`] | the services of which one node at a time runs each, and the roles of nodes |
//! | [`view`] | what this node knows of the others, and what follows: a pure state machine |
//! | [`node`] | keeps the lease, hears of the others, starts and stops units |
//! | [`grant`] | until when this node may speak |
//! | [`router`] | messages to other nodes and from them |
//! | [`wire`] | what nodes say to each other, as bytes |
//!
//! Architecture Invariant: the store says who runs what, by leases and epochs, and lets nobody else write; the bus
//! between nodes only carries messages. `host/core` knows nothing of nodes but those of scenes.

pub mod grant;
pub mod node;
pub mod router;
pub mod unit;
pub mod view;
pub mod wire;
