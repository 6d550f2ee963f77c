//! Checks of what a rule answers, before anything is done with it. The texts tell its designer what to change.

use super::{
    BRACKET_BYTES_MAX, Class, Description, Fault, NAME_BYTES_MAX, PROPERTIES_MAX, Proposed, REFUSAL_BYTES_MAX, TeamSize,
};
use crate::config::PLAYERS_MAX;

/// The most teams that a rule may propose.
const TEAMS_PROPOSED_MAX: usize = 100;

pub(super) fn check_description(description: &Description) -> Result<(), Fault> {
    let Description { name, version, facts, proposed, .. } = description;
    if name.is_empty() {
        return wrong("its name is empty".to_owned());
    }
    check_text(name, NAME_BYTES_MAX, "name")?;
    check_text(version, NAME_BYTES_MAX, "version")?;
    if facts.properties.len() > PROPERTIES_MAX {
        let count = facts.properties.len();
        return wrong(format!("it wants {count} properties of players, and {PROPERTIES_MAX} are possible"));
    }
    for property in &facts.properties {
        check_text(property, NAME_BYTES_MAX, "name of a property")?;
    }
    check_proposed(proposed)
}

fn check_proposed(proposed: &Proposed) -> Result<(), Fault> {
    if proposed.teams.len() > TEAMS_PROPOSED_MAX {
        let count = proposed.teams.len();
        return wrong(format!("it proposes {count} teams, and {TEAMS_PROPOSED_MAX} are possible"));
    }
    let right = |team: &TeamSize| team.players_min >= 1 && team.players_min <= team.players_max;
    if !proposed.teams.iter().all(right) {
        return wrong("a team that it proposes needs players_min of at least 1 and at most players_max".to_owned());
    }
    let players: u64 = proposed.teams.iter().map(|team| u64::from(team.players_max)).sum();
    if players > u64::from(PLAYERS_MAX) {
        return wrong(format!("it proposes matches of {players} players, and {PLAYERS_MAX} are possible"));
    }
    match proposed.ratings {
        Some(ratings) if ratings.range > ratings.range_max => {
            wrong("the rating range that it proposes is above its maximum".to_owned())
        }
        _ => Ok(()),
    }
}

pub(super) fn check_class(class: &Class) -> Result<(), Fault> {
    check_text(&class.bracket, BRACKET_BYTES_MAX, "bracket")
}

pub(super) fn check_refusal(text: &str) -> Result<(), Fault> {
    if text.trim().is_empty() {
        return wrong("a refusal needs a text that tells the user why".to_owned());
    }
    check_text(text, REFUSAL_BYTES_MAX, "text of a refusal")
}

/// # Errors
/// If there are not as many answers as questions.
pub(super) fn check_count(count: usize, asked: usize, answers: &str, questions: &str) -> Result<(), Fault> {
    if count == asked { Ok(()) } else { wrong(format!("{count} {answers} on {asked} {questions}: give one on each")) }
}

fn check_text(text: &str, bytes_max: usize, what: &str) -> Result<(), Fault> {
    if text.len() > bytes_max {
        return wrong(format!("a {what} of {} bytes, and {bytes_max} are possible", text.len()));
    }
    if text.chars().any(char::is_control) {
        return wrong(format!("a {what} with control characters"));
    }
    Ok(())
}

fn wrong(text: String) -> Result<(), Fault> {
    Err(Fault::WrongAnswer(text))
}
