//! What results become: how strong a user is, where a user stands, and in which season.
//!
//! | module | what it computes |
//! |---|---|
//! | [`rating`] | ratings from the places of a game |
//! | [`ranking`] | the order of a leaderboard |
//! | [`season`] | when a leaderboard begins anew |
//!
//! Architecture Invariant: these are values and functions of their arguments. Who may change what,
//! and what is stored, is decided by the service that uses them.

pub mod ranking;
pub mod rating;
pub mod season;
