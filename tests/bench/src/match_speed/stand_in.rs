//! The stand-in of a game's rule: it asks for all that a component can be told and answers what one can, natively. So
//! what is measured with it is what Match does for a rule; what a component adds, `rule_cost` of the engine measures.
//!
//! Invariant: it vetoes nothing, so as many are matched as without it.

use std::sync::Arc;

use anyhow::Result;
use scenehost_core::matching::rule::{
    Answers, Batch, Class, Description, Facts, Fault, MatchRule, Proposal, Rule, Verdict, Waiting,
};

/// Below this rating users meet only each other at first.
const BEGINNERS: i32 = 1_000;

#[derive(Debug)]
struct Nearest;

/// The rule, in use.
pub fn rule() -> Result<Rule> {
    Ok(Rule::new(Arc::new(Nearest))?)
}

impl MatchRule for Nearest {
    fn describe(&self) -> Result<Description, Fault> {
        Ok(Description {
            name: "nearest".to_owned(),
            answers: Answers { classify: true, judge: true, score_teams: false },
            facts: Facts { games: true, roles: true, regions: true, properties: vec!["language".to_owned()] },
            ..Description::default()
        })
    }

    fn classify(&self, ticket: Waiting<'_>) -> Result<Result<Class, String>, Fault> {
        let is_beginner = ticket.ticket.players.iter().all(|player| player.rating < BEGINNERS);
        let bracket = if is_beginner { "beginners".to_owned() } else { String::new() };
        Ok(Ok(Class { rating: None, bracket, bracket_ms: Some(1_000) }))
    }

    fn judge(&self, batch: &Batch<'_>) -> Result<Vec<Verdict>, Fault> {
        let spread = |proposal: &Proposal<'_>| {
            let players = || batch.tickets_of(proposal).flat_map(|waiting| &waiting.ticket.players);
            let ratings = || players().map(|player| player.rating);
            ratings().max().unwrap_or(0) - ratings().min().unwrap_or(0)
        };
        Ok(batch.proposals().iter().map(|proposal| Verdict::Score(-spread(proposal))).collect())
    }
}
