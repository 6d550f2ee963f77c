//! What a script of a rule of matching asks, and what the rule answers in the real engine.
//!
//! Invariant: a rule is told what its description asks for and nothing else, as by a host.

use std::collections::BTreeMap;

use scenehost_engine::rule::{
    Called, Class, Component, Description, Facts, Fault, Limits, Player, Property, Proposal, Region, Rule, Ticket,
    Verdict,
};
use serde::Deserialize;
use serde_json::Value;

use super::play::Stopped;
use super::{Recorded, Recording};
use crate::failure::Done;

/// A script of a rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    #[serde(default)]
    configuration: Option<Value>,
    steps: Vec<Value>,
}

/// One question, and what the answer has to be, if that is said.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Where this ticket belongs.
    classify: Option<Group>,
    /// What the rule thinks of these proposals.
    judge: Option<Vec<Offer>>,
    /// How strong these teams are.
    teams: Option<Vec<Vec<Person>>>,
    expect: Option<Value>,
}

/// Who looks for a match together.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Group {
    waited_ms: u64,
    players: Vec<Person>,
    /// The round trip in milliseconds to each.
    regions: BTreeMap<String, u32>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Person {
    user: u64,
    rating: i32,
    games: u32,
    roles: Vec<String>,
    properties: BTreeMap<String, Vec<String>>,
}

impl Default for Person {
    fn default() -> Self {
        Person { user: 1, rating: 1_500, games: 0, roles: Vec::new(), properties: BTreeMap::new() }
    }
}

/// A match that could be made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Offer {
    tickets: Vec<Group>,
    /// The team of each player, in the order of the tickets.
    #[serde(default)]
    teams: Vec<u32>,
    region: Option<String>,
}

/// Asks all of a script; what was answered, and why it stopped before its end, if it did. `fuel_max` becomes what the
/// dearest call has used.
///
/// # Errors
/// When the script is not right.
pub fn play(
    component: &Component,
    script: &Script,
    limits: Limits,
    fuel_max: &mut u64,
) -> Done<(Recording, Option<Stopped>)> {
    let steps: Vec<(String, Step)> = super::parse_steps(&script.steps)?;
    let configuration = script.configuration.as_ref().map_or("{}".to_owned(), Value::to_string);
    let rule = Rule::new(component, &configuration, limits);
    let mut recording = Recording { steps: Vec::new() };
    let stopped = |number, step: &str, why| Some(Stopped { number, step: step.to_owned(), why });

    let described = told(rule.describe(), fuel_max);
    let mut gave = described.lines;
    if let Ok(Ok(description)) = &described.answer {
        gave.push(wants(description));
    }
    recording.steps.push(Recorded { step: "describe".to_owned(), gave });
    let facts = match described.answer {
        Ok(Ok(description)) => description.facts,
        Ok(Err(refusal)) => {
            let why = format!("the rule refuses its configuration: {refusal}");
            return Ok((recording, stopped(0, "describe", why)));
        }
        Err(fault) => return Ok((recording, stopped(0, "describe", fault))),
    };
    for (place, (text, step)) in steps.iter().enumerate() {
        let asked = step.ask(&rule, &facts, fuel_max);
        let (answer, gave) = match asked {
            Ok(answered) => answered,
            Err(why) => return Ok((recording, stopped(place + 1, text, why))),
        };
        recording.steps.push(Recorded { step: text.clone(), gave });
        if let Some(expected) = &step.expect
            && !super::body::has(&answer, expected)
        {
            let why = format!("expected {expected}, and the rule answers {answer}");
            return Ok((recording, stopped(place + 1, text, why)));
        }
    }
    Ok((recording, None))
}

/// What a rule wants to be asked and to know, as a line; its name and version are not what it answers.
fn wants(description: &Description) -> String {
    let Description { answers, facts, .. } = description;
    let list = |all: &[(bool, &str)]| {
        let named: Vec<&str> = all.iter().filter(|(wanted, _)| *wanted).map(|(_, name)| *name).collect();
        named.join(", ")
    };
    let asked = list(&[(answers.classify, "classify"), (answers.judge, "judge"), (answers.score_teams, "score-teams")]);
    let known = list(&[(facts.games, "games"), (facts.roles, "roles"), (facts.regions, "regions")]);
    format!("is asked to: {asked}; knows: {known}; properties: {}", facts.properties.join(", "))
}

impl Step {
    /// The answer as a value, and as lines.
    fn ask(&self, rule: &Rule, facts: &Facts, fuel_max: &mut u64) -> Result<(Value, Vec<String>), String> {
        let mut words = Words::default();
        match (&self.classify, &self.judge, &self.teams) {
            (Some(group), None, None) => {
                let ticket = group.ticket(0, facts, &mut words);
                let told = told(rule.classify(&words.list, &ticket), fuel_max);
                let answer = match told.answer? {
                    Ok(Class { rating, bracket, bracket_ms }) => {
                        serde_json::json!({ "bracket": bracket, "bracket_ms": bracket_ms, "rating": rating })
                    }
                    Err(refusal) => serde_json::json!({ "refused": refusal }),
                };
                Ok(with(answer, told.lines))
            }
            (None, Some(offers), None) => {
                let (tickets, proposals) = proposed(offers, facts, &mut words);
                let told = told(rule.judge(&words.list, &tickets, &proposals), fuel_max);
                let verdict = |verdict: Verdict| match verdict {
                    Verdict::Veto => Value::from("veto"),
                    Verdict::Score(score) => Value::from(score),
                };
                Ok(with(told.answer?.into_iter().map(verdict).collect(), told.lines))
            }
            (None, None, Some(teams)) => {
                let team = |team: &Vec<Person>| {
                    team.iter().map(|person| person.player(facts, &mut words)).collect::<Vec<Player>>()
                };
                let teams: Vec<Vec<Player>> = teams.iter().map(team).collect();
                let told = told(rule.score_teams(&words.list, &teams), fuel_max);
                Ok(with(told.answer?.into_iter().map(Value::from).collect(), told.lines))
            }
            _ => Err("a step of a rule's script has one of classify, judge and teams".to_owned()),
        }
    }
}

/// What a call gave: its answer, or the fault's text, and what it logged.
struct Told<T> {
    answer: Result<T, String>,
    lines: Vec<String>,
}

fn told<T>(called: Called<T>, fuel_max: &mut u64) -> Told<T> {
    *fuel_max = called.fuel.max(*fuel_max);
    let lines = called.log.into_iter().flat_map(|log| log.lines);
    let lines = lines.map(|line| format!("log {}: {}", crate::words::level(line.level), line.text)).collect();
    let why = |fault: Fault| match fault {
        Fault::OutOfFuel { .. } | Fault::OutOfMemory { .. } => {
            format!("{fault}: `fuel` and `memory_kib` in [dev.rule] of {}", crate::project::FILE)
        }
        _ => fault.to_string(),
    };
    Told { answer: called.answer.map_err(why), lines }
}

fn with(answer: Value, mut lines: Vec<String>) -> (Value, Vec<String>) {
    lines.push(format!("answers {answer}"));
    (answer, lines)
}

/// The texts of one call, each handed over once.
#[derive(Default)]
struct Words {
    list: Vec<String>,
}

impl Words {
    fn of(&mut self, text: &str) -> u32 {
        let known = self.list.iter().position(|word| word == text);
        let place = known.unwrap_or_else(|| {
            self.list.push(text.to_owned());
            self.list.len() - 1
        });
        u32::try_from(place).expect("a script has fewer words")
    }
}

impl Group {
    fn ticket(&self, number: u64, facts: &Facts, words: &mut Words) -> Ticket {
        let regions = self.regions.iter().filter(|_| facts.regions);
        Ticket {
            number,
            waited_ms: self.waited_ms,
            players: self.players.iter().map(|person| person.player(facts, words)).collect(),
            regions: regions.map(|(name, rtt_ms)| Region { name: words.of(name), rtt_ms: *rtt_ms }).collect(),
        }
    }
}

impl Person {
    fn player(&self, facts: &Facts, words: &mut Words) -> Player {
        let wanted = self.properties.iter().filter(|(name, _)| facts.properties.contains(name));
        let mut properties = Vec::new();
        for (name, values) in wanted {
            let name = words.of(name);
            properties.extend(values.iter().map(|value| Property { name, value: words.of(value) }));
        }
        Player {
            user: self.user,
            rating: self.rating,
            games: if facts.games { self.games } else { 0 },
            roles: self.roles.iter().filter(|_| facts.roles).map(|role| words.of(role)).collect(),
            properties,
        }
    }
}

/// The proposals with their tickets; equal tickets are one.
fn proposed(offers: &[Offer], facts: &Facts, words: &mut Words) -> (Vec<Ticket>, Vec<Proposal>) {
    let mut groups: Vec<&Group> = Vec::new();
    let mut tickets = Vec::new();
    let mut proposals = Vec::new();
    for offer in offers {
        let mut places = Vec::new();
        for group in &offer.tickets {
            let known =
                groups.iter().position(|other| *other == group).filter(|place| !places.contains(&(*place as u32)));
            let place = known.unwrap_or_else(|| {
                tickets.push(group.ticket(tickets.len() as u64, facts, words));
                groups.push(group);
                groups.len() - 1
            });
            places.push(place as u32);
        }
        let region = offer.region.as_ref().filter(|_| facts.regions).map(|region| words.of(region));
        proposals.push(Proposal { tickets: places, teams: offer.teams.clone(), region });
    }
    (tickets, proposals)
}
