//! A component as the rule of a domain: the values of Match become those of the contract, and back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use scenehost_core::DomainName;
use scenehost_core::matching::rule::{
    Answers, Batch, Class, Description, Facts, Fault, MatchRule, Player, Proposal, Proposed, RatingRange, TeamSize,
    Verdict, Waiting,
};
use scenehost_engine::rule as contract;
use scenehost_engine::{Level, Log};

use crate::clock::Clock;

/// What a rule logs is shown once in so long; what comes between is counted. A rule may be asked thousands of times in
/// a second.
const LOG_EVERY_MS: u64 = 1_000;

/// The rule of one domain.
#[derive(Debug)]
pub struct ComponentRule {
    domain: DomainName,
    rule: contract::Rule,
    clock: Clock,
    /// When what it logs is shown again, and what was not shown since.
    log_at_ms: AtomicU64,
    hidden_lines: AtomicU64,
}

impl ComponentRule {
    pub fn new(domain: DomainName, rule: contract::Rule, clock: Clock) -> Self {
        Self { domain, rule, clock, log_at_ms: AtomicU64::new(0), hidden_lines: AtomicU64::new(0) }
    }

    /// The answer of a call, once its log is dealt with.
    fn hear<T>(&self, called: contract::Called<T>) -> Result<T, Fault> {
        if let Some(log) = &called.log {
            self.show(log);
        }
        called.answer.map_err(fault)
    }

    fn show(&self, log: &Log) {
        let domain = &self.domain;
        let (now_ms, at_ms) = (self.clock.elapsed().as_millis() as u64, self.log_at_ms.load(Ordering::Relaxed));
        if now_ms < at_ms {
            let lines = log.lines.len() as u64 + u64::from(log.dropped);
            self.hidden_lines.fetch_add(lines, Ordering::Relaxed);
            return;
        }
        self.log_at_ms.store(now_ms + LOG_EVERY_MS, Ordering::Relaxed);
        for line in &log.lines {
            let text = line.text.as_str();
            match line.level {
                Level::Debug => tracing::debug!(target: "rule", %domain, "{text}"),
                Level::Info => tracing::info!(target: "rule", %domain, "{text}"),
                Level::Warn => tracing::warn!(target: "rule", %domain, "{text}"),
                Level::Error => tracing::error!(target: "rule", %domain, "{text}"),
            }
        }
        let hidden = self.hidden_lines.swap(0, Ordering::Relaxed) + u64::from(log.dropped);
        if hidden > 0 {
            tracing::warn!(target: "rule", %domain, hidden, "the rule logs too much: lines are left out");
        }
    }
}

impl MatchRule for ComponentRule {
    fn describe(&self) -> Result<Description, Fault> {
        self.hear(self.rule.describe())?.map(description).map_err(Fault::Refused)
    }

    fn classify(&self, waiting: Waiting<'_>) -> Result<Result<Class, String>, Fault> {
        let mut words = Words::default();
        let ticket = words.ticket(waiting);
        let class = self.hear(self.rule.classify(&words.owned(), &ticket))?;
        Ok(class.map(|contract::Class { rating, bracket, bracket_ms }| Class { rating, bracket, bracket_ms }))
    }

    fn judge(&self, batch: &Batch<'_>) -> Result<Vec<Verdict>, Fault> {
        let mut words = Words::default();
        let tickets: Vec<_> = batch.tickets().iter().map(|waiting| words.ticket(*waiting)).collect();
        let proposals: Vec<_> = batch.proposals().iter().map(|proposal| words.proposal(proposal)).collect();
        let verdicts = self.hear(self.rule.judge(&words.owned(), &tickets, &proposals))?;
        let verdict = |verdict| match verdict {
            contract::Verdict::Veto => Verdict::Veto,
            contract::Verdict::Score(score) => Verdict::Score(score),
        };
        Ok(verdicts.into_iter().map(verdict).collect())
    }

    fn score_teams(&self, teams: &[Vec<&Player>]) -> Result<Vec<i32>, Fault> {
        let mut words = Words::default();
        let teams: Vec<Vec<_>> =
            teams.iter().map(|team| team.iter().map(|player| words.player(player)).collect()).collect();
        self.hear(self.rule.score_teams(&words.owned(), &teams))
    }
}

/// The texts of a call, each once.
#[derive(Default)]
struct Words<'a> {
    places: HashMap<&'a str, u32>,
    texts: Vec<&'a str>,
}

impl<'a> Words<'a> {
    fn of(&mut self, text: &'a str) -> u32 {
        *self.places.entry(text).or_insert_with(|| {
            self.texts.push(text);
            (self.texts.len() - 1) as u32
        })
    }

    fn owned(&self) -> Vec<String> {
        self.texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn ticket(&mut self, Waiting { ticket, waited_ms }: Waiting<'a>) -> contract::Ticket {
        let region = |(name, rtt_ms): &'a (String, u32)| contract::Region { name: self.of(name), rtt_ms: *rtt_ms };
        contract::Ticket {
            number: ticket.number,
            waited_ms,
            regions: ticket.regions.iter().map(region).collect(),
            players: ticket.players.iter().map(|player| self.player(player)).collect(),
        }
    }

    fn proposal(&mut self, proposal: &'a Proposal<'a>) -> contract::Proposal {
        contract::Proposal {
            tickets: proposal.tickets.clone(),
            teams: proposal.teams.clone(),
            region: proposal.region.map(|region| self.of(region)),
        }
    }

    fn player(&mut self, player: &'a Player) -> contract::Player {
        let mut properties = Vec::new();
        for (name, values) in &player.properties {
            let name = self.of(name);
            properties.extend(values.iter().map(|value| contract::Property { name, value: self.of(value) }));
        }
        contract::Player {
            user: player.user.0,
            rating: player.rating,
            games: player.games,
            roles: player.roles.iter().map(|role| self.of(role)).collect(),
            properties,
        }
    }
}

fn description(description: contract::Description) -> Description {
    let contract::Description { name, version, answers, facts, proposed } = description;
    let contract::Answers { classify, judge, score_teams } = answers;
    let contract::Facts { games, roles, regions, properties } = facts;
    let size = |size: contract::TeamSize| TeamSize { players_min: size.players_min, players_max: size.players_max };
    let ratings = proposed.ratings.map(|contract::RatingRange { range, range_per_s, range_max }| RatingRange {
        range,
        range_per_s,
        range_max,
    });
    Description {
        name,
        version,
        answers: Answers { classify, judge, score_teams },
        facts: Facts { games, roles, regions, properties },
        proposed: Proposed { teams: proposed.teams.into_iter().map(size).collect(), ratings },
    }
}

fn fault(fault: contract::Fault) -> Fault {
    let text = fault.to_string();
    match fault {
        contract::Fault::Trap { .. } => Fault::Trap(text),
        contract::Fault::OutOfFuel { .. } => Fault::OutOfFuel(text),
        contract::Fault::OutOfMemory { .. } | contract::Fault::StackOverflow { .. } => Fault::OutOfMemory(text),
        contract::Fault::AnswerTooLarge { .. } | contract::Fault::BadAnswer { .. } => Fault::WrongAnswer(text),
        contract::Fault::Busy { .. } | contract::Fault::Host { .. } => Fault::Unavailable(text),
    }
}
