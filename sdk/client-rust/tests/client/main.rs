//! The client against a small server that follows a script ([`server`]), and its pure parts by themselves.
//!
//! | | what is shown |
//! |---|---|
//! | [`against_a_server`] | sign-in, matches and games |
//! | [`lobby_returns`] | a lost lobby connection: what goes on, what is unknown, tokens |
//! | [`matching`] | wishes, accepting a match, the domains |
//! | [`scene_returns`] | a lost scene connection: nothing lost, nothing doubled, and the limits |
//! | [`tls`] | whom TLS trusts |
//! | [`line`] | numbers, silence, what is kept, when to try again |

mod against_a_server;
mod line;
mod lobby_returns;
mod matching;
mod scene_returns;
mod tls;

mod server;
