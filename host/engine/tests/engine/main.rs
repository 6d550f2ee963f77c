//! What the engine promises, through its public interface. One binary; `support` has the guests and a table to run
//! scenes on.

mod asides;
mod cache;
mod collection;
mod hostile;
mod instance;
mod journals;
mod rules;
mod schedule;
mod scratch;
mod sessions;
mod support;
mod swaps;
mod uploads;
mod usage;
