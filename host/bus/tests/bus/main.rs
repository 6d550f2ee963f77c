//! The bus through its public interface: each driver by the same conformance suite, links and
//! membership in the simulator under many seeds, and all of it over a real `nats-server`.

mod conformance;
mod frames;
mod limits;
mod links;
mod over_nats;
mod peers;
mod simulation;
