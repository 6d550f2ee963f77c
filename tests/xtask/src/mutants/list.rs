//! The bugs, by package: each is a text that is once in a file of its `src`, and what it becomes.

mod bus;
mod core;
mod store;

pub use bus::MUTANTS as BUS;
pub use core::MUTANTS as CORE;
pub use store::MUTANTS as STORE;

/// A bug: a text that is once in a file, and what it becomes. There `MUTANT` is true if the bug is switched on.
pub struct Mutant {
    pub name: &'static str,
    pub file: &'static str,
    pub from: &'static str,
    pub to: &'static str,
}

const fn mutant(name: &'static str, file: &'static str, from: &'static str, to: &'static str) -> Mutant {
    Mutant { name, file, from, to }
}
