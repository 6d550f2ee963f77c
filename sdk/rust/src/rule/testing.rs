//! The test kit: asks a rule natively, in plain `cargo test`, as the host would.
//!
//! Four things are checked in every test without a line of its own: each call is made twice and has to answer the same;
//! the rule is asked only what its description says; it knows only what its description says, for the rest is left out;
//! and its answers keep to the contract's limits.

use std::fmt::Debug;

use super::bindings::exports::scenehost::match_rule::rule as raw;
use super::{Class, MatchRule, Verdict, runtime};
use crate::Level;

/// A rule under test.
pub struct RuleTest<R> {
    configuration: String,
    description: raw::Description,
    rule: std::marker::PhantomData<R>,
}

impl<R: MatchRule> RuleTest<R> {
    /// A rule with its configuration, JSON text. Panics if the rule refuses it.
    pub fn new(configuration: &str) -> Self {
        Self::try_new(configuration).unwrap_or_else(|error| panic!("the rule refuses its configuration: {error}"))
    }

    /// The same, or the text of the refusal.
    pub fn try_new(configuration: &str) -> Result<Self, String> {
        let description = twice(|| runtime::describe::<R>(configuration, "test", "0.0.0"))?;
        assert!(description.facts.properties.len() <= 16, "at most 16 properties can be known");
        Ok(RuleTest { configuration: configuration.to_owned(), description, rule: std::marker::PhantomData })
    }

    /// Where a ticket belongs, or what its users are told who may not enter. Panics if the rule is not asked that.
    pub fn classify(&self, ticket: &TestTicket) -> Result<Class, String> {
        assert!(
            self.description.answers.classify,
            "the rule is never asked this: add `.classify()` to its description"
        );
        let mut words = Words::default();
        let ticket = self.ticket(ticket, &mut words);
        let class = twice(|| runtime::classify::<R>(&self.configuration, &words.0, &ticket));
        match &class {
            Ok(class) => assert_text(&class.bracket, 0..=64, "a bracket"),
            Err(refusal) => assert_text(refusal, 1..=256, "a refusal"),
        }
        class
    }

    /// The verdict on one proposal. Panics if the rule is not asked that.
    pub fn judge(&self, proposal: &TestProposal) -> Verdict {
        self.judge_all(std::slice::from_ref(proposal))[0]
    }

    /// The verdicts on up to 32 proposals. Panics if the rule is not asked that.
    pub fn judge_all(&self, proposals: &[TestProposal]) -> Vec<Verdict> {
        assert!(self.description.answers.judge, "the rule is never asked this: add `.judge()` to its description");
        assert!(proposals.len() <= 32, "a rule judges at most 32 proposals in one call");
        let (mut words, mut tickets) = (Words::default(), Vec::new());
        let lowered: Vec<raw::Proposal> =
            proposals.iter().map(|proposal| self.proposal(proposal, &mut tickets, &mut words)).collect();
        twice(|| runtime::judge::<R>(&self.configuration, &words.0, &tickets, &lowered))
    }

    /// Which of the proposals would be made, by its place; none if the rule vetoes all.
    pub fn choose(&self, proposals: &[TestProposal]) -> Option<usize> {
        let mut best: Option<(usize, i32)> = None;
        for (place, verdict) in self.judge_all(proposals).into_iter().enumerate() {
            if let Verdict::Score(score) = verdict
                && best.is_none_or(|(_, highest)| score > highest)
            {
                best = Some((place, score));
            }
        }
        best.map(|(place, _)| place)
    }

    /// How strong a team is. Panics if the rule is not asked that.
    pub fn team_strength(&self, players: &[TestPlayer]) -> i32 {
        let asked = self.description.answers.score_teams;
        assert!(asked, "the rule is never asked this: add `.team_strength()` to its description");
        let mut words = Words::default();
        let team: Vec<raw::Player> = players.iter().map(|player| self.player(player, &mut words)).collect();
        twice(|| runtime::score_teams::<R>(&self.configuration, &words.0, std::slice::from_ref(&team)))[0]
    }

    /// What was logged since the last time.
    pub fn log(&self) -> Vec<(Level, String)> {
        crate::testing::take_notes()
    }

    fn proposal(&self, proposal: &TestProposal, tickets: &mut Vec<raw::Ticket>, words: &mut Words) -> raw::Proposal {
        let mut place = |ticket: &TestTicket| {
            let known = tickets.iter().position(|other| other.number == ticket.number);
            let place = known.unwrap_or_else(|| {
                tickets.push(self.ticket(ticket, words));
                tickets.len() - 1
            });
            place as u32
        };
        let places = proposal.tickets.iter().map(&mut place).collect();
        let players: usize = proposal.tickets.iter().map(|ticket| ticket.players.len()).sum();
        let teams = proposal.teams.len();
        assert!(teams == 0 || teams == players, "{teams} teams for {players} players: give one for each player");
        let region = proposal.region.as_ref().filter(|_| self.description.facts.regions);
        raw::Proposal { tickets: places, teams: proposal.teams.clone(), region: region.map(|name| words.of(name)) }
    }

    fn ticket(&self, ticket: &TestTicket, words: &mut Words) -> raw::Ticket {
        let regions = ticket.regions.iter().filter(|_| self.description.facts.regions);
        raw::Ticket {
            number: ticket.number,
            waited_ms: ticket.waited_ms,
            players: ticket.players.iter().map(|player| self.player(player, words)).collect(),
            regions: regions.map(|(name, rtt_ms)| raw::Region { name: words.of(name), rtt_ms: *rtt_ms }).collect(),
        }
    }

    fn player(&self, player: &TestPlayer, words: &mut Words) -> raw::Player {
        let facts = &self.description.facts;
        let roles = player.roles.iter().filter(|_| facts.roles).map(|role| words.of(role)).collect();
        let known = player.properties.iter().filter(|(name, _)| facts.properties.contains(name));
        let property =
            |(name, value): &(String, String)| raw::Property { name: words.of(name), value: words.of(value) };
        raw::Player {
            user: player.user,
            rating: player.rating,
            games: if facts.games { player.games } else { 0 },
            roles,
            properties: known.map(property).collect(),
        }
    }
}

/// A player who is in a test.
#[derive(Clone, Debug)]
pub struct TestPlayer {
    user: u64,
    rating: i32,
    games: u32,
    roles: Vec<String>,
    properties: Vec<(String, String)>,
}

/// A newcomer: rating 1500, no games.
pub fn player(user: u64) -> TestPlayer {
    TestPlayer { user, rating: 1500, games: 0, roles: Vec::new(), properties: Vec::new() }
}

impl TestPlayer {
    /// With this rating.
    pub fn rating(self, rating: i32) -> TestPlayer {
        TestPlayer { rating, ..self }
    }

    /// Who has played so many games.
    pub fn games(self, games: u32) -> TestPlayer {
        TestPlayer { games, ..self }
    }

    /// Who would also play this role.
    pub fn role(mut self, role: &str) -> TestPlayer {
        self.roles.push(role.to_owned());
        self
    }

    /// With one more value of a property.
    pub fn property(mut self, name: &str, value: &str) -> TestPlayer {
        self.properties.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A ticket that is in a test.
#[derive(Clone, Debug)]
pub struct TestTicket {
    number: u64,
    waited_ms: u64,
    players: Vec<TestPlayer>,
    regions: Vec<(String, u32)>,
}

/// A ticket of these players, which has its number from the first of them.
pub fn ticket(players: impl IntoIterator<Item = TestPlayer>) -> TestTicket {
    let players = Vec::from_iter(players);
    let number = players.first().expect("a ticket has at least one player").user;
    TestTicket { number, waited_ms: 0, players, regions: Vec::new() }
}

impl TestTicket {
    /// Which has waited for so long.
    pub fn waited_ms(self, waited_ms: u64) -> TestTicket {
        TestTicket { waited_ms, ..self }
    }

    /// Which can also play in this region.
    pub fn region(mut self, name: &str, rtt_ms: u32) -> TestTicket {
        self.regions.push((name.to_owned(), rtt_ms));
        self
    }
}

/// A proposal that is in a test.
#[derive(Clone, Debug)]
pub struct TestProposal {
    tickets: Vec<TestTicket>,
    teams: Vec<u32>,
    region: Option<String>,
}

/// A match of these tickets.
pub fn proposal(tickets: impl IntoIterator<Item = TestTicket>) -> TestProposal {
    TestProposal { tickets: tickets.into_iter().collect(), teams: Vec::new(), region: None }
}

impl TestProposal {
    /// With the team of each player, in the order of the tickets and of the players in each.
    pub fn teams(self, teams: impl IntoIterator<Item = u32>) -> TestProposal {
        TestProposal { teams: teams.into_iter().collect(), ..self }
    }

    /// Played in this region.
    pub fn region(self, name: &str) -> TestProposal {
        TestProposal { region: Some(name.to_owned()), ..self }
    }
}

/// The texts of a call, each once.
#[derive(Default)]
struct Words(Vec<String>);

impl Words {
    fn of(&mut self, text: &str) -> raw::Word {
        let known = self.0.iter().position(|other| other == text);
        let place = known.unwrap_or_else(|| {
            self.0.push(text.to_owned());
            self.0.len() - 1
        });
        place as raw::Word
    }
}

fn twice<T: PartialEq + Debug>(call: impl Fn() -> T) -> T {
    let (first, second) = (call(), call());
    assert_eq!(
        first, second,
        "the same call twice gave two answers: keep no state, for the host makes each call afresh"
    );
    first
}

fn assert_text(text: &str, bytes: std::ops::RangeInclusive<usize>, what: &str) {
    let (min, max, len) = (bytes.start(), bytes.end(), text.len());
    assert!(bytes.contains(&len), "{what} has {min} to {max} bytes, and this has {len}: {text:?}");
    assert!(!text.chars().any(char::is_control), "{what} has no control characters: {text:?}");
}
