//! What the functions of the contract do: reads the configuration, then asks the rule.
//!
//! `describe` is where a wrong configuration is told. Matching calls the others only after it, with the same one, so
//! there it is a panic, which the host reports.

use super::bindings::exports::scenehost::match_rule::rule as raw;
use super::facts::Members;
use super::{Description, MatchRule, Proposal, Team, Ticket};

/// The rule of a configuration.
fn configured<R: MatchRule>(configuration: &str) -> Result<R, String> {
    serde_json::from_str(configuration).map_err(|error| error.to_string())
}

fn right<R: MatchRule>(configuration: &str) -> R {
    configured(configuration).unwrap_or_else(|error| panic!("the rule's configuration: {error}"))
}

/// What the rule is and wants.
pub fn describe<R: MatchRule>(configuration: &str, name: &str, version: &str) -> Result<raw::Description, String> {
    let description = configured::<R>(configuration)?.describe().map_err(|fault| fault.to_string())?;
    let Description { answers, facts, proposed } = description;
    Ok(raw::Description { name: name.to_owned(), version: version.to_owned(), answers, facts, proposed })
}

/// Where a ticket belongs.
pub fn classify<R: MatchRule>(
    configuration: &str,
    words: &[String],
    ticket: &raw::Ticket,
) -> Result<raw::Class, String> {
    right::<R>(configuration).classify(Ticket { raw: ticket, words })
}

/// One verdict on each proposal.
pub fn judge<R: MatchRule>(
    configuration: &str,
    words: &[String],
    tickets: &[raw::Ticket],
    proposals: &[raw::Proposal],
) -> Vec<raw::Verdict> {
    let rule = right::<R>(configuration);
    proposals.iter().map(|raw| rule.judge(Proposal { raw, tickets, words })).collect()
}

/// How strong each team is.
pub fn score_teams<R: MatchRule>(configuration: &str, words: &[String], teams: &[Vec<raw::Player>]) -> Vec<i32> {
    let rule = right::<R>(configuration);
    teams.iter().map(|players| rule.team_strength(Team(Members::These(players, words)))).collect()
}
