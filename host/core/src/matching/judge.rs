//! The game's own rule, as Match asks it: where a ticket belongs, and which of several matches is the best.
//!
//! Invariant: a rule that fails harms nobody's search. What it was asked is decided without it, as if there were no
//! rule, and the fault is reported; one that fails again and again is not asked for a while.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Match;
use super::by_id::ById;
use super::domain::Domain;
use super::pool::{BRACKETS_MAX, OPEN};
use super::rule::{self, Batch, Class, Fault, Player, Rule, Verdict, Waiting};
use super::search::Formation;
use super::ticket::{Seeker, Ticket};
use crate::ids::{DomainName, Time, UserId};
use crate::refusal::Refusal;
use crate::{Context, Meter};

/// After so many faults in a row a rule is not asked for [`REST_MS`].
pub const FAULTS_MAX: u32 = 3;
/// For how long a failing rule is not asked.
pub const REST_MS: u64 = 10_000;
/// How many matches of two are put before a rule at once, and how many of larger ones.
const PAIRS: usize = 16;
const GROUPS: usize = 4;

/// The rule of a domain, if it has one, and how it does.
#[derive(Debug, Clone, Default)]
pub(super) struct Judge {
    rule: Option<Rule>,
    faults: BTreeMap<&'static str, u64>,
    in_a_row: u32,
    rests_until: Time,
}

impl Judge {
    pub fn new(rule: Option<Rule>) -> Self {
        Self { rule, ..Self::default() }
    }

    /// Puts another rule in its place. Whether it is another one.
    pub fn replace(&mut self, rule: Option<Rule>) -> bool {
        let differs = self.rule != rule;
        if differs {
            *self = Self { rule, faults: std::mem::take(&mut self.faults), ..Self::default() };
        }
        differs
    }

    /// The rule, if it is to be asked now.
    fn asked(&self, now: Time) -> Option<&Rule> {
        self.rule.as_ref().filter(|_| now >= self.rests_until)
    }

    /// How many matches are to be found before one of them is chosen.
    pub fn proposals(&self, players_max: u32, now: Time) -> usize {
        let answers = self.asked(now).map(|rule| rule.description().answers).unwrap_or_default();
        match answers.judge || answers.score_teams {
            false => 1,
            true if players_max == 2 => PAIRS,
            true => GROUPS,
        }
    }

    /// What came of asking; nothing if it failed.
    fn heard<T>(&mut self, answer: Result<T, Fault>, domain: &DomainName, cx: &mut Context<'_>) -> Option<T> {
        let fault = match answer {
            Ok(answer) => {
                self.in_a_row = 0;
                return Some(answer);
            }
            Err(fault) => fault,
        };
        *self.faults.entry(fault.kind()).or_default() += 1;
        self.in_a_row += 1;
        cx.fault(format!("{domain}: {fault}; it is matched without the rule"));
        if self.in_a_row >= FAULTS_MAX {
            self.in_a_row = 0;
            self.rests_until = cx.now.plus_ms(REST_MS);
            cx.fault(format!("{domain}: the rule has failed {FAULTS_MAX} times in a row and rests for 10 s"));
        }
        None
    }

    fn classify(&mut self, ticket: &rule::Ticket, domain: &DomainName, cx: &mut Context<'_>) -> Result<Class, String> {
        let Some(rule) = self.asked(cx.now) else { return Ok(Class::default()) };
        let answer = rule.classify(Waiting { ticket, waited_ms: 0 });
        self.heard(answer, domain, cx).unwrap_or_else(|| Ok(Class::default()))
    }

    /// The best of these matches; nothing if the rule wants none of them.
    pub fn choose(
        &mut self,
        formations: &[Formation],
        tickets: &ById<u64, Box<Ticket>>,
        (name, domain): (&DomainName, &Domain),
        cx: &mut Context<'_>,
    ) -> Option<usize> {
        let first = (!formations.is_empty()).then_some(0);
        let Some(rule) = self.asked(cx.now) else { return first };
        if formations.is_empty() || self.proposals(domain.players_max, cx.now) == 1 {
            return first;
        }
        let verdicts = rule.judge(&batch(formations, tickets, domain, cx.now));
        let gaps = gaps(rule, formations, tickets);
        let Some(verdicts) = self.heard(verdicts, name, cx) else { return first };
        let gaps = self.heard(gaps, name, cx).unwrap_or_default();
        let scored = verdicts.iter().enumerate().filter_map(|(place, verdict)| match verdict {
            Verdict::Veto => None,
            Verdict::Score(score) => Some((place, *score)),
        });
        // The highest score, then the most even teams, then the first.
        scored
            .min_by_key(|(place, score)| (std::cmp::Reverse(*score), gaps.get(*place).copied().unwrap_or(0), *place))
            .map(|(place, _)| place)
    }

    pub fn meters(&self) -> impl Iterator<Item = Meter> {
        self.faults
            .iter()
            .map(|(kind, count)| Meter::total("scenehost_match_rule_faults_total", *count).of("kind", *kind))
    }
}

fn batch<'a>(
    formations: &'a [Formation],
    tickets: &'a ById<u64, Box<Ticket>>,
    domain: &'a Domain,
    now: Time,
) -> Batch<'a> {
    let mut batch = Batch::default();
    for formation in formations {
        let facts = formation.tickets.iter().filter_map(|number| {
            let ticket = tickets.get(number)?;
            Some(Waiting { ticket: ticket.facts.as_ref()?, waited_ms: now.ms_since(ticket.since) })
        });
        let teams = teams_of(formation, tickets);
        let team_of = |player: &Player| teams.get(&player.user).copied().unwrap_or(0);
        let has_teams = !formation.places.is_empty();
        let region = formation.region.and_then(|region| domain.regions().get(region)).map(String::as_str);
        batch.push(facts, has_teams.then_some(&team_of as &dyn Fn(&Player) -> u32), region);
    }
    batch
}

/// The team of each user.
fn teams_of(formation: &Formation, tickets: &ById<u64, Box<Ticket>>) -> BTreeMap<UserId, u32> {
    let users = formation.tickets.iter().filter_map(|number| tickets.get(number)).flat_map(|ticket| &ticket.seekers);
    users.zip(&formation.places).map(|(seeker, place)| (seeker.user, place.team)).collect()
}

/// How far the strongest and the weakest team of each match are apart, as the rule sees it; nothing if it does not.
fn gaps(rule: &Rule, formations: &[Formation], tickets: &ById<u64, Box<Ticket>>) -> Result<Vec<u32>, Fault> {
    if !rule.description().answers.score_teams {
        return Ok(Vec::new());
    }
    let mut gaps = Vec::new();
    for formation in formations {
        let teams = teams_of(formation, tickets);
        let mut players: BTreeMap<u32, Vec<&Player>> = BTreeMap::new();
        let facts = formation.tickets.iter().filter_map(|number| tickets.get(number)?.facts.as_deref());
        for player in facts.flat_map(|ticket| &ticket.players) {
            players.entry(teams.get(&player.user).copied().unwrap_or(0)).or_default().push(player);
        }
        let strengths = rule.score_teams(&players.into_values().collect::<Vec<_>>())?;
        let (least, most) = (strengths.iter().min(), strengths.iter().max());
        gaps.push(least.zip(most).map_or(0, |(least, most)| most.abs_diff(*least)));
    }
    Ok(gaps)
}

impl Match {
    /// A ticket of these, who ask since then, as the rule sees it.
    ///
    /// # Errors
    /// What the domain or the game does not allow; and its users again.
    pub(super) fn ticket(
        &mut self,
        number: u64,
        seekers: Vec<Seeker>,
        since: Time,
        cx: &mut Context<'_>,
    ) -> Result<Ticket, (Refusal, Vec<Seeker>)> {
        let mut ticket = Ticket::new(seekers, &self.domain, self.teams.as_ref(), since)?;
        let Some(rule) = &self.rule.rule else { return Ok(ticket) };
        let facts = Arc::new(facts(number, &ticket, &self.domain, &rule.description().facts));
        match self.rule.classify(&facts, &self.name, cx) {
            Ok(Class { rating, bracket, bracket_ms }) => {
                ticket.rating = rating.unwrap_or(ticket.rating);
                ticket.bracket = self.bracket(bracket, cx);
                ticket.bracket_until = bracket_ms.map(|ms| since.plus_ms(ms));
                ticket.facts = Some(facts);
                Ok(ticket)
            }
            Err(text) => Err((Refusal::NotAdmitted(text), ticket.seekers)),
        }
    }

    /// The number of a bracket; past the limit of brackets the open one.
    fn bracket(&mut self, name: String, cx: &mut Context<'_>) -> u16 {
        if let Some(place) = self.brackets.iter().position(|bracket| *bracket == name) {
            return place as u16;
        }
        if self.brackets.len() >= BRACKETS_MAX {
            let most = BRACKETS_MAX;
            cx.fault(format!("{}: the rule has made more than {most} brackets; {name:?} is the open one", self.name));
            return OPEN;
        }
        self.brackets.push(name);
        (self.brackets.len() - 1) as u16
    }
}

/// What the rule wants to know of a ticket.
fn facts(number: u64, ticket: &Ticket, domain: &Domain, wanted: &rule::Facts) -> rule::Ticket {
    let player = |seeker: &Seeker| Player {
        user: seeker.user,
        rating: seeker.rating,
        games: if wanted.games { seeker.games } else { 0 },
        roles: if wanted.roles { seeker.wish.roles.clone() } else { Vec::new() },
        properties: wanted
            .properties
            .iter()
            .filter_map(|name| Some((name.clone(), seeker.wish.has.get(name)?.clone())))
            .collect(),
    };
    let regions = domain.regions().iter().zip(&ticket.round_trips).filter(|_| wanted.regions);
    rule::Ticket {
        number,
        players: ticket.seekers.iter().map(player).collect(),
        regions: regions.map(|(region, ms)| (region.clone(), u32::from(*ms))).collect(),
    }
}
