//! What a script of a game says.

use std::collections::BTreeMap;

use scenehost_engine::{Init, LeaveReason, Player, SaveError, StopReason};
use serde::Deserialize;
use serde_json::Value;

use super::body::Body;
use crate::failure::{Done, Failure};
use crate::project::Project;

/// A script of a game. Everything but the steps may be left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    #[serde(default = "two")]
    players: Players,
    #[serde(default = "one")]
    seed: u64,
    tick_rate_hz: Option<u32>,
    configuration: Option<Value>,
    region: Option<String>,
    #[serde(default)]
    chosen: BTreeMap<String, String>,
    #[serde(default)]
    bots: u32,
    steps: Vec<Value>,
}

fn two() -> Players {
    Players::Count(2)
}

fn one() -> u64 {
    1
}

/// The players who were matched: how many, or each of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Players {
    Count(u32),
    Each(Vec<Person>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Person {
    name: Option<String>,
    user: Option<u64>,
    rating: Option<i32>,
    team: u32,
    role: Option<String>,
    party: Option<u32>,
}

/// The most players of a script.
const PLAYERS_MAX: u32 = 200;

impl Person {
    fn player(self, seat: u32) -> Player {
        Player {
            seat,
            user: self.user.unwrap_or(100 + u64::from(seat)),
            name: self.name.unwrap_or_else(|| format!("player {seat}")),
            rating: self.rating.unwrap_or(1_500),
            team: self.team,
            role: self.role,
            party: self.party.unwrap_or(seat),
        }
    }
}

/// Somebody who was not matched comes in.
pub fn newcomer(seat: u32) -> Player {
    Person::default().player(seat)
}

/// One step of a script.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The player of a seat comes in.
    Join(u32),
    /// The connection of a seat is lost.
    Drop(u32),
    /// Its player is back.
    Resume(Comeback),
    /// A player leaves by wish.
    Leave(u32),
    /// A player is gone for another reason.
    Gone(Departure),
    /// A player sends something.
    Message(Incoming),
    /// Something comes from outside the game.
    Signal(Signal),
    /// So many steps of a ticking game.
    Ticks(u32),
    /// Time passes, with the steps and the timers that fall into it.
    AdvanceMs(u64),
    /// The game goes on from its snapshot in a new instance.
    SaveAndLoad(bool),
    /// The answer to a save.
    Saved(Saved),
    /// The host asks the game to end.
    Stop(Stop),
    /// Users watch.
    Watched(bool),
    /// What has to be so now.
    Expect(Expect),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comeback {
    pub seat: u32,
    #[serde(default)]
    pub missed: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Departure {
    pub seat: u32,
    reason: Reason,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reason {
    Dropped,
    NeverJoined,
    Kicked,
    Removed,
    NextMatch,
}

impl Departure {
    pub fn reason(&self) -> LeaveReason {
        match self.reason {
            Reason::Dropped => LeaveReason::Dropped,
            Reason::NeverJoined => LeaveReason::NeverJoined,
            Reason::Kicked => LeaveReason::Kicked,
            Reason::Removed => LeaveReason::Removed,
            Reason::NextMatch => LeaveReason::NextMatch,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct Incoming {
    pub from: u32,
    #[serde(flatten)]
    pub body: Body,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Signal {
    pub name: String,
    #[serde(flatten)]
    pub body: Body,
}

/// Without an error it was made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    pub id: u64,
    error: Option<Refusal>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Refusal {
    Unavailable,
    Conflict(String),
    Invalid(String),
}

impl Saved {
    pub fn outcome(&self) -> Result<(), SaveError> {
        match self.error.clone() {
            None => Ok(()),
            Some(Refusal::Unavailable) => Err(SaveError::Unavailable),
            Some(Refusal::Conflict(text)) => Err(SaveError::Conflict(text)),
            Some(Refusal::Invalid(text)) => Err(SaveError::Invalid(text)),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    reason: Ending,
    #[serde(default)]
    pub grace_ms: u32,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ending {
    Drain,
    TimeLimit,
    Operator,
    Empty,
    ServiceDown,
}

impl Stop {
    pub fn reason(&self) -> StopReason {
        match self.reason {
            Ending::Drain => StopReason::Drain,
            Ending::TimeLimit => StopReason::TimeLimit,
            Ending::Operator => StopReason::Operator,
            Ending::Empty => StopReason::Empty,
            Ending::ServiceDown => StopReason::ServiceDown,
        }
    }
}

/// What has to be so; each that is named.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Whose messages since the last time that they were looked at.
    pub to: Option<u32>,
    /// One of them has these fields, and may have more.
    pub json: Option<Value>,
    /// One of them is this text.
    pub text: Option<String>,
    /// Whether the game has ended as it meant to.
    pub ended: Option<bool>,
    /// The game has failed in this way, such as `trap` or `deadline`.
    pub failed: Option<String>,
}

impl Script {
    /// What the game begins with.
    ///
    /// # Errors
    /// When there are too many players.
    pub fn init(&mut self, project: &Project) -> Done<Init> {
        let people = match std::mem::replace(&mut self.players, Players::Count(0)) {
            Players::Count(count) => (0..count.min(PLAYERS_MAX + 1)).map(|_| Person::default()).collect(),
            Players::Each(people) => people,
        };
        if people.len() > PLAYERS_MAX as usize {
            return Err(Failure::usage(format_args!("a script has at most {PLAYERS_MAX} players")));
        }
        let configuration = self.configuration.take().unwrap_or_else(|| project.configuration());
        Ok(Init {
            seed: self.seed,
            tick_rate_hz: self.tick_rate_hz.unwrap_or_else(|| project.tick_rate_hz()),
            configuration: configuration.to_string(),
            players: people.into_iter().zip(0..).map(|(person, seat)| person.player(seat)).collect(),
            region: self.region.take(),
            chosen: std::mem::take(&mut self.chosen).into_iter().collect(),
            bots: self.bots,
        })
    }

    /// Its steps, each with its text.
    ///
    /// # Errors
    /// Which of them is not one.
    pub fn steps(&self) -> Done<Vec<(String, Step)>> {
        super::parse_steps(&self.steps)
    }
}
