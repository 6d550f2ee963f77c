//! The types of `wit/match-rule.wit` in Rust.

mod generated {
    wasmtime::component::bindgen!({
        path: ["../../wit/scene.wit", "../../wit/match-rule.wit"],
        world: "scenehost:match-rule/match-rule",
        additional_derives: [PartialEq],
    });
}

pub use generated::exports::scenehost::match_rule::rule::{
    Answers, Class, Description, Facts, Player, Property, Proposal, Proposed, RatingRange, Region, TeamSize, Ticket,
    Verdict,
};

pub(super) use generated::exports::scenehost::match_rule::rule::Guest;
pub(super) use generated::{MatchRule, MatchRulePre as WorldPre};

/// The version of the package `scenehost:match-rule` that this host serves.
pub const RULE_VERSION: &str = "0.1.0";
