//! The scratch run of a rule of matching: it is asked what it is, about tickets, matches and teams, everything twice.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::{Fault, Report};
use crate::rule::{
    Called, Component, Description, Facts, Limits, Player, Property, Proposal, Region, Rule, Ticket, Verdict,
};

/// How many tickets there are; with so many players each, in turn.
const TICKETS: u64 = 8;
const PARTY_MAX: u64 = 3;

/// Tries a rule with the first of these configurations that it does not refuse. The clock is read around each call.
///
/// # Errors
///
/// What is wrong with it.
pub fn try_rule(
    component: &Component,
    configurations: &[String],
    clock: impl Fn() -> Duration,
) -> Result<Report, Fault> {
    let mut refused = None;
    for configuration in configurations {
        let rule = Rule::new(component, configuration, Limits::default());
        let mut asked = Asked { clock: &clock, calls: 0, took: Duration::ZERO, hash: Sha256::new() };
        match asked.twice("describe", || rule.describe())? {
            Ok(description) => asked.all(&rule, &description)?,
            Err(text) => {
                refused.get_or_insert(text);
                continue;
            }
        }
        return Ok(asked.report(None));
    }
    let none = Asked { clock: &clock, calls: 0, took: Duration::ZERO, hash: Sha256::new() };
    Ok(none.report(refused))
}

/// What a rule was asked.
struct Asked<'a, C> {
    clock: &'a C,
    calls: u32,
    took: Duration,
    hash: Sha256,
}

impl<C: Fn() -> Duration> Asked<'_, C> {
    fn twice<T: PartialEq + std::fmt::Debug>(
        &mut self,
        call: &'static str,
        ask: impl Fn() -> Called<T>,
    ) -> Result<T, Fault> {
        let mut answers = Vec::with_capacity(2);
        for _ in 0..2 {
            let begun = (self.clock)();
            let called = ask();
            self.took += (self.clock)().saturating_sub(begun);
            self.calls += 1;
            answers.push(called.answer.map_err(|fault| Fault::Rule { call, fault })?);
        }
        let (second, first) = (answers.pop(), answers.pop());
        if first != second {
            return Err(Fault::RuleDiffers { call });
        }
        // Its text tells two answers apart as well as its bytes would.
        self.hash.update(format!("{first:?}"));
        first.ok_or(Fault::RuleDiffers { call })
    }

    /// Everything that a rule says it answers.
    fn all(&mut self, rule: &Rule, description: &Description) -> Result<(), Fault> {
        let words = words(&description.facts);
        let tickets: Vec<Ticket> = (0..TICKETS).map(|number| ticket(number, &description.facts)).collect();
        if description.answers.classify {
            for ticket in &tickets {
                // Why a ticket may not enter is an answer, too.
                let _ = self.twice("classify", || rule.classify(&words, ticket))?;
            }
        }
        if description.answers.judge {
            let proposals: Vec<Proposal> = (1..tickets.len() as u32).map(|other| proposal(&tickets, other)).collect();
            let verdicts: Vec<Verdict> = self.twice("judge", || rule.judge(&words, &tickets, &proposals))?;
            count("judge", proposals.len(), verdicts.len())?;
        }
        if description.answers.score_teams {
            let teams: Vec<Vec<Player>> = tickets.iter().map(|ticket| ticket.players.clone()).collect();
            let scores = self.twice("score-teams", || rule.score_teams(&words, &teams))?;
            count("score-teams", teams.len(), scores.len())?;
        }
        Ok(())
    }

    fn report(self, refused: Option<String>) -> Report {
        Report {
            steps: self.calls,
            snapshot_bytes: 0,
            memory_bytes: 0,
            step_mean: self.took / self.calls.max(1),
            output_hash: self.hash.finalize().into(),
            refused,
        }
    }
}

fn count(call: &'static str, asked: usize, answered: usize) -> Result<(), Fault> {
    if asked == answered { Ok(()) } else { Err(Fault::Count { call, asked, answered }) }
}

/// The words of the questions: a role, a region, a value, and the names of the properties that it wants to know.
fn words(facts: &Facts) -> Vec<String> {
    let own = ["tank", "eu-west", "some"].map(str::to_owned);
    own.into_iter().chain(facts.properties.iter().cloned()).collect()
}

const ROLE: u32 = 0;
const REGION: u32 = 1;
const VALUE: u32 = 2;
const FIRST_PROPERTY: u32 = 3;

fn ticket(number: u64, facts: &Facts) -> Ticket {
    let player = |of: u64| Player {
        user: 100 * number + of,
        rating: 1_400 + 25 * (number + of) as i32,
        games: if facts.games { (number * of) as u32 } else { 0 },
        roles: if facts.roles { vec![ROLE] } else { Vec::new() },
        properties: (0..facts.properties.len() as u32)
            .map(|property| Property { name: FIRST_PROPERTY + property, value: VALUE })
            .collect(),
    };
    let regions = if facts.regions { vec![Region { name: REGION, rtt_ms: 30 + number as u32 }] } else { Vec::new() };
    let players = (0..=number % PARTY_MAX).map(player).collect();
    Ticket { number, waited_ms: 1_000 * number, players, regions }
}

/// The first ticket against another one.
fn proposal(tickets: &[Ticket], other: u32) -> Proposal {
    let teams = [0, other].into_iter().zip(0..);
    let teams = teams.flat_map(|(at, team)| tickets[at as usize].players.iter().map(move |_| team)).collect();
    Proposal { tickets: vec![0, other], teams, region: None }
}
