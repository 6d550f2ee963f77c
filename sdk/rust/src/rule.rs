//! Everything a rule of matching is written with: who may enter a domain, who is to meet whom, which of several matches
//! is the best. A rule is one type that implements [`MatchRule`] and is handed to [`export_rule!`](crate::export_rule);
//! built for WebAssembly it becomes a component with the world of `wit/match-rule.wit`, and built natively the test kit
//! in [`testing`] asks it.
//!
//! Invariant: a rule is a pure function of its configuration and of what it is asked. The host makes a fresh instance
//! for each call, so a `static` or a cache does not live until the next one.
//!
//! Map: [`MatchRule`] and its methods, [`Description`]; [`Ticket`], [`Player`], [`Proposal`] and [`Team`], which it is
//! asked about; [`Class`] and [`Verdict`], which it answers. `runtime` reads the contract's values and asks the rule.

mod description;
mod facts;
#[doc(hidden)]
pub mod runtime;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

use serde::de::DeserializeOwned;

/// The bindings of `wit/match-rule.wit`.
#[doc(hidden)]
#[allow(missing_docs, clippy::all)]
pub mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit/scene.wit", "../../wit/match-rule.wit"],
        world: "scenehost:match-rule/match-rule",
        pub_export_macro: true,
        additional_derives: [Clone, PartialEq],
        with: { "scenehost:scene/diagnostics@0.3.0": crate::bindings::scenehost::scene::diagnostics },
    });
}

pub use crate::Fault;
pub use bindings::exports::scenehost::match_rule::rule::{Class, Verdict};
pub use description::Description;
pub use facts::{Player, Proposal, Team, Ticket};

/// What a rule's file usually needs: `use scenehost_sdk::rule::prelude::*;`
pub mod prelude {
    pub use super::{Class, Description, Fault, MatchRule, Player, Proposal, Team, Ticket, Verdict};
    pub use crate::export_rule;
    pub use serde::Deserialize;
}

/// The conditions of one game on its matches. The value is the rule's configuration, which the domain's operator
/// writes: give the type `#[serde(default, deny_unknown_fields)]`, so that everything may be left out and a misspelt
/// name is told. A rule without configuration is a `struct MyRule {}`.
///
/// The host searches by rating, region and teams by itself, and asks the rule about what it finds. A panic, or more
/// work than about a millisecond's, is reported to the operator, and this one decision is made without the rule.
pub trait MatchRule: DeserializeOwned {
    /// What the rule wants to be asked and to know; by default everything, but for players' properties. What is left
    /// out costs nothing and is done as without a rule.
    ///
    /// # Errors
    /// What is wrong with the configuration. The domain does not take the rule then.
    fn describe(&self) -> Result<Description, Fault> {
        Ok(Description::everything())
    }

    /// Where a ticket belongs that enters; by default with all others, by the mean of its ratings.
    ///
    /// # Errors
    /// Why its users may not enter, at most 256 bytes for them to read.
    fn classify(&self, ticket: Ticket<'_>) -> Result<Class, String> {
        let _ = ticket;
        Ok(Class::open())
    }

    /// How good a match would be: the one with the highest score is made, of equal ones the first, and none with a
    /// [`Verdict::Veto`]. By default all are equal.
    fn judge(&self, proposal: Proposal<'_>) -> Verdict {
        let _ = proposal;
        Verdict::Score(0)
    }

    /// How strong a team is; teams of one match are the fairer the nearer their strengths. By default the sum of its
    /// ratings.
    fn team_strength(&self, team: Team<'_>) -> i32 {
        team.players().fold(0, |sum: i32, player| sum.saturating_add(player.rating()))
    }
}

impl Class {
    /// With all others, searched by the mean of its ratings.
    pub fn open() -> Class {
        Class { rating: None, bracket: String::new(), bracket_ms: None }
    }

    /// Only with others of this bracket, a name of at most 64 bytes.
    pub fn bracket(name: impl Into<String>) -> Class {
        Class { bracket: name.into(), ..Class::open() }
    }

    /// The same, but after so long waiting with all others.
    pub fn for_ms(self, bracket_ms: u64) -> Class {
        Class { bracket_ms: Some(bracket_ms), ..self }
    }

    /// The same, but searched by this rating.
    pub fn rated(self, rating: i32) -> Class {
        Class { rating: Some(rating), ..self }
    }
}

/// Makes the crate a rule component of this type: `export_rule!(MyRule);`, once, with
/// `crate-type = ["cdylib", "rlib"]` in the crate's manifest. The rule has the crate's name and version.
#[macro_export]
macro_rules! export_rule {
    ($rule:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use ::std::string::String;
            use ::std::vec::Vec;
            use $crate::__private::{SceneAllocator, log_panics, rule as ask};
            use $crate::rule::bindings::exports::scenehost::match_rule::rule;

            #[global_allocator]
            static HEAP: SceneAllocator = SceneAllocator::new();

            struct Component;

            impl rule::Guest for Component {
                fn describe(configuration: String) -> Result<rule::Description, String> {
                    log_panics();
                    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
                    ask::describe::<$rule>(&configuration, name, version)
                }

                fn classify(
                    configuration: String,
                    words: Vec<String>,
                    ticket: rule::Ticket,
                ) -> Result<rule::Class, String> {
                    log_panics();
                    ask::classify::<$rule>(&configuration, &words, &ticket)
                }

                fn judge(
                    configuration: String,
                    words: Vec<String>,
                    tickets: Vec<rule::Ticket>,
                    proposals: Vec<rule::Proposal>,
                ) -> Vec<rule::Verdict> {
                    log_panics();
                    ask::judge::<$rule>(&configuration, &words, &tickets, &proposals)
                }

                fn score_teams(configuration: String, words: Vec<String>, teams: Vec<Vec<rule::Player>>) -> Vec<i32> {
                    log_panics();
                    ask::score_teams::<$rule>(&configuration, &words, &teams)
                }
            }

    $crate::rule::bindings::export!(Component with_types_in $crate::rule::bindings);
        };

        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            fn is_a_rule<R: $crate::rule::MatchRule>() {}
            is_a_rule::<$rule>();
        };
    };
}
