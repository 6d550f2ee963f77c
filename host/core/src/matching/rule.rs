//! The conditions of one game on its matches: who may enter, who may meet whom, which of several matches is the best.
//!
//! Invariants: a rule is a pure function of what it is asked, whether it is written natively or is a component, so
//! [`MatchRule`] has neither state nor time of its own. No answer of a rule passes a limit of this file: Match asks
//! through [`Rule`], which checks every one.
//!
//! Main types: [`MatchRule`], which a rule implements, and [`Rule`], one in use. Match does the searching; a rule only
//! says where a ticket belongs ([`Class`]), and compares matches that could be made ([`Batch`], [`Verdict`]).

mod answer;
mod batch;
mod setting;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::ids::UserId;

pub use batch::{Batch, Proposal};
pub use setting::Setting;

/// The most proposals that a rule judges in one call.
pub const PROPOSALS_MAX: usize = 32;
/// The most teams whose strength a rule tells in one call.
pub const TEAMS_MAX: usize = 256;
/// The name of a bracket.
pub const BRACKET_BYTES_MAX: usize = 64;
/// What a user is told who may not enter.
pub const REFUSAL_BYTES_MAX: usize = 256;
/// The name and the version of a rule, each.
pub const NAME_BYTES_MAX: usize = 64;
/// How many properties a rule may want to know of each player.
pub const PROPERTIES_MAX: usize = 16;

/// The conditions of one game. Every method is a pure function of the rule's configuration and its arguments: the same
/// call gives the same answer. Match calls them in its own step and waits, so they have to be quick: about 1 ms at most.
///
/// A method is called only if [`Description::answers`] names it.
pub trait MatchRule: fmt::Debug + Send + Sync {
    /// What the rule is, and what it wants to be asked and to know.
    ///
    /// # Errors
    /// [`Fault::Refused`] if its configuration is not one; else as it fails.
    fn describe(&self) -> Result<Description, Fault>;

    /// Where a ticket belongs that enters, or the text for its users why it may not.
    ///
    /// # Errors
    /// As the rule fails.
    fn classify(&self, ticket: Waiting<'_>) -> Result<Result<Class, String>, Fault> {
        let _ = ticket;
        Ok(Ok(Class::default()))
    }

    /// One verdict on each proposal, in their order.
    ///
    /// # Errors
    /// As the rule fails.
    fn judge(&self, batch: &Batch<'_>) -> Result<Vec<Verdict>, Fault> {
        Ok(vec![Verdict::Score(0); batch.proposals().len()])
    }

    /// How strong each of these teams is, in their order; teams of one match are the better the nearer to each other.
    /// By default the sum of ratings, as it is without a rule.
    ///
    /// # Errors
    /// As the rule fails.
    fn score_teams(&self, teams: &[Vec<&Player>]) -> Result<Vec<i32>, Fault> {
        let sum = |team: &Vec<&Player>| team.iter().fold(0_i32, |sum, player| sum.saturating_add(player.rating));
        Ok(teams.iter().map(sum).collect())
    }
}

/// What a rule says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// The rule's name, 1 to [`NAME_BYTES_MAX`] bytes.
    pub name: String,
    /// Its version, a text of at most [`NAME_BYTES_MAX`] bytes.
    pub version: String,
    /// What it is asked. What is not named here is done natively, which is faster.
    pub answers: Answers,
    /// What it is told of tickets and players beyond users, ratings and waiting. The rest is left empty.
    pub facts: Facts,
    /// What it proposes for the domain; the operator's settings go before.
    pub proposed: Proposed,
}

/// Which methods of a rule are called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answers {
    /// [`MatchRule::classify`].
    pub classify: bool,
    /// [`MatchRule::judge`].
    pub judge: bool,
    /// [`MatchRule::score_teams`].
    pub score_teams: bool,
}

/// What a rule wants to know of tickets and players.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// [`Player::games`].
    pub games: bool,
    /// [`Player::roles`].
    pub roles: bool,
    /// [`Ticket::regions`] and [`Proposal::region`].
    pub regions: bool,
    /// Which of [`Player::properties`], at most [`PROPERTIES_MAX`].
    pub properties: Vec<String>,
}

/// Settings of a domain as the game's designer would have them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proposed {
    /// The teams of a match and their sizes. One: a game without teams, of so many players. None: no proposal.
    pub teams: Vec<TeamSize>,
    /// How far apart ratings may be.
    pub ratings: Option<RatingRange>,
}

/// How many players a team has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TeamSize {
    /// The fewest, at least 1.
    pub players_min: u32,
    /// The most.
    pub players_max: u32,
}

/// How far apart ratings may be, and how that widens with waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RatingRange {
    /// At first.
    pub range: u32,
    /// More with each second.
    pub range_per_s: u32,
    /// Where it stops.
    pub range_max: u32,
}

/// A ticket as a rule sees it. It does not change while the ticket waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ticket {
    /// The ticket's number.
    pub number: u64,
    /// Its players, one or more.
    pub players: Vec<Player>,
    /// The regions in which it can play, with the round trip to each in milliseconds, that of the slowest of its players.
    pub regions: Vec<(String, u32)>,
}

/// A ticket and how long it has waited.
#[derive(Debug, Clone, Copy)]
pub struct Waiting<'a> {
    /// Which.
    pub ticket: &'a Ticket,
    /// For how long, in milliseconds.
    pub waited_ms: u64,
}

/// A player as a rule sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Player {
    /// Who.
    pub user: UserId,
    /// The rating in this domain.
    pub rating: i32,
    /// How many games this player has played in this domain.
    pub games: u32,
    /// The roles that this player would play, the dearest first.
    pub roles: Vec<String>,
    /// What else is known, such as languages or maps, by name.
    pub properties: BTreeMap<String, Vec<String>>,
}

/// Where a ticket belongs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Class {
    /// By which rating it is searched; `None`: the mean of its players'.
    pub rating: Option<i32>,
    /// At most [`BRACKET_BYTES_MAX`] bytes. Only tickets of the same bracket meet; the empty one is open to all.
    pub bracket: String,
    /// After waiting for so long it moves to the open bracket; `None`: never.
    pub bracket_ms: Option<u64>,
}

/// What a rule thinks of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It must not be.
    Veto,
    /// The highest is made; of equal ones the first.
    Score(i32),
}

/// How a rule fails. The text is for the game's designer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It does not take its configuration.
    #[error("the rule refuses its configuration: {0}")]
    Refused(String),
    /// Its code did what it may not, or panicked; the text says how.
    #[error("{0}")]
    Trap(String),
    /// It took too long.
    #[error("the rule took too long: {0}")]
    OutOfFuel(String),
    /// It wanted more memory or stack than it has.
    #[error("the rule ran out of memory: {0}")]
    OutOfMemory(String),
    /// Its answer is not one: of the wrong length, too long, or against the contract.
    #[error("the rule's answer is not allowed: {0}")]
    WrongAnswer(String),
    /// It could not be asked: the host has no room.
    #[error("the rule could not be asked: {0}")]
    Unavailable(String),
}

impl Fault {
    /// A short name for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Trap(_) => "trap",
            Self::OutOfFuel(_) => "out_of_fuel",
            Self::OutOfMemory(_) => "out_of_memory",
            Self::WrongAnswer(_) => "wrong_answer",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

/// A rule in use. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Rule {
    logic: Arc<dyn MatchRule>,
    description: Arc<Description>,
}

/// Two are equal if they are the same rule in the same configuration, loaded once.
impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.logic, &other.logic)
    }
}

impl Eq for Rule {}

impl Rule {
    /// Takes a rule into use: asks it once what it is.
    ///
    /// # Errors
    /// As the rule fails, or if its description passes a limit.
    pub fn new(logic: Arc<dyn MatchRule>) -> Result<Self, Fault> {
        let description = logic.describe()?;
        answer::check_description(&description)?;
        Ok(Self { logic, description: Arc::new(description) })
    }

    /// What the rule is.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Where a ticket belongs that enters, or the text for its users why it may not. In the open bracket by the mean of
    /// its ratings, if the rule does not classify.
    ///
    /// # Errors
    /// As the rule fails, or if its answer passes a limit.
    pub fn classify(&self, ticket: Waiting<'_>) -> Result<Result<Class, String>, Fault> {
        if !self.description.answers.classify {
            return Ok(Ok(Class::default()));
        }
        let class = self.logic.classify(ticket)?;
        match &class {
            Ok(class) => answer::check_class(class)?,
            Err(text) => answer::check_refusal(text)?,
        }
        Ok(class)
    }

    /// One verdict on each proposal, in their order; all equal, if the rule does not judge.
    ///
    /// # Errors
    /// As the rule fails, or if it gives another number of verdicts.
    pub fn judge(&self, batch: &Batch<'_>) -> Result<Vec<Verdict>, Fault> {
        let count = batch.proposals().len();
        if !self.description.answers.judge || count == 0 {
            return Ok(vec![Verdict::Score(0); count]);
        }
        let verdicts = self.logic.judge(batch)?;
        answer::check_count(verdicts.len(), count, "verdicts", "proposals")?;
        Ok(verdicts)
    }

    /// Which of the proposals is to be made, by its place in the batch; `None` if the rule wants none of them.
    ///
    /// # Errors
    /// As [`Rule::judge`].
    pub fn choose(&self, batch: &Batch<'_>) -> Result<Option<usize>, Fault> {
        let mut best: Option<(usize, i32)> = None;
        for (place, verdict) in self.judge(batch)?.into_iter().enumerate() {
            if let Verdict::Score(score) = verdict
                && best.is_none_or(|(_, highest)| score > highest)
            {
                best = Some((place, score));
            }
        }
        Ok(best.map(|(place, _)| place))
    }

    /// How strong each of these teams is, in their order, at most [`TEAMS_MAX`]; the sums of their ratings, if the rule
    /// does not say it.
    ///
    /// # Errors
    /// As the rule fails, or if it gives another number of strengths. [`Fault::Unavailable`] with too many teams.
    pub fn score_teams(&self, teams: &[Vec<&Player>]) -> Result<Vec<i32>, Fault> {
        if teams.len() > TEAMS_MAX {
            let count = teams.len();
            return Err(Fault::Unavailable(format!("{count} teams in one call, and {TEAMS_MAX} are possible")));
        }
        if !self.description.answers.score_teams || teams.is_empty() {
            return Native.score_teams(teams);
        }
        let strengths = self.logic.score_teams(teams)?;
        answer::check_count(strengths.len(), teams.len(), "strengths", "teams")?;
        Ok(strengths)
    }
}

/// What is done without a rule.
#[derive(Debug)]
struct Native;

impl MatchRule for Native {
    fn describe(&self) -> Result<Description, Fault> {
        Ok(Description { name: "native".to_owned(), ..Description::default() })
    }
}
