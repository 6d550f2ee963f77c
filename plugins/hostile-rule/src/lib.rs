//! A rule of matching that does one forbidden thing in one call, both chosen by configuration; until then, and without
//! configuration, every match is equally good to it.
//!
//! `{"misbehave":"loop","when":"judge"}`. It exists so that tests can show that a rule hurts nobody. It uses the bare
//! contract, since the SDK's trait would not let it answer too often.

use std::hint::black_box;
use std::sync::atomic::{AtomicI32, Ordering};

use scenehost_sdk::log;
use scenehost_sdk::rule::bindings::exports::scenehost::match_rule::rule::{
    Answers, Class, Description, Facts, Proposed, Verdict,
};
use serde::Deserialize;

/// How many lines of log, and how long each is.
const LINES: u32 = 100_000;
const LINE_BYTES: usize = 1024;

/// The length of a giant text, and of the pieces that memory is taken in.
const GIANT_BYTES: usize = 1024 * 1024;

/// How often the rule was asked, as it thinks.
static ASKED: AtomicI32 = AtomicI32::new(0);

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misdeed {
    /// Never return.
    Loop,
    /// Panic.
    Trap,
    /// Take memory until there is none.
    Memory,
    /// Call without end.
    Recursion,
    /// Write 100,000 lines of 1 KiB.
    Log,
    /// Answer with texts of 1 MiB.
    Giant,
    /// Give one answer too many.
    Count,
}

/// In which call.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// When it is taken into use.
    Describe,
    /// When a ticket enters.
    Classify,
    /// Before each match.
    #[default]
    Judge,
    /// When teams are made.
    ScoreTeams,
}

/// The configuration. Empty: harmless.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    misbehave: Option<Misdeed>,
    when: When,
    refuse: Option<String>,
    remember: bool,
}

impl Plan {
    /// The plan of a configuration.
    pub fn read(configuration: &str) -> Result<Plan, String> {
        serde_json::from_str(configuration).map_err(|error| error.to_string())
    }

    /// Does what is due in this call, if it needs no answer, and says what is due.
    fn obey(&self, now: When) -> Option<Misdeed> {
        let due = self.misbehave.filter(|_| self.when == now);
        match due {
            Some(Misdeed::Loop) => endless(),
            Some(Misdeed::Trap) => panic!("this rule traps as it was told to"),
            Some(Misdeed::Memory) => take_all_memory(),
            Some(Misdeed::Recursion) => {
                black_box(descend(0));
            }
            Some(Misdeed::Log) => {
                let line = "l".repeat(LINE_BYTES);
                (0..LINES).for_each(|_| log::warn(&line));
            }
            Some(Misdeed::Giant | Misdeed::Count) | None => {}
        }
        due
    }

    /// What the rule is.
    pub fn describe(&self) -> Description {
        let name = match self.obey(When::Describe) {
            Some(Misdeed::Giant) => "g".repeat(GIANT_BYTES),
            _ => "hostile-rule".to_owned(),
        };
        Description {
            name,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            answers: Answers { classify: true, judge: true, score_teams: true },
            facts: Facts { games: false, roles: false, regions: false, properties: Vec::new() },
            proposed: Proposed { teams: Vec::new(), ratings: None },
        }
    }

    /// Where a ticket belongs.
    pub fn classify(&self) -> Result<Class, String> {
        let bracket = match self.obey(When::Classify) {
            Some(Misdeed::Giant) => "g".repeat(GIANT_BYTES),
            _ => String::new(),
        };
        match &self.refuse {
            Some(text) => Err(text.clone()),
            None => Ok(Class { rating: None, bracket, bracket_ms: None }),
        }
    }

    /// One verdict on each of so many proposals, or one too many.
    pub fn judge(&self, proposals: usize) -> Vec<Verdict> {
        let score = if self.remember { ASKED.fetch_add(1, Ordering::Relaxed) + 1 } else { 0 };
        let too_many = usize::from(self.obey(When::Judge) == Some(Misdeed::Count));
        vec![Verdict::Score(score); proposals + too_many]
    }

    /// One strength for each of so many teams, or one too many.
    pub fn score_teams(&self, teams: usize) -> Vec<i32> {
        let too_many = usize::from(self.obey(When::ScoreTeams) == Some(Misdeed::Count));
        vec![0; teams + too_many]
    }
}

fn endless() {
    let mut count = 0_u64;
    loop {
        count = black_box(count.wrapping_add(1));
    }
}

/// It does not write to what it takes, for that would use up its fuel before.
fn take_all_memory() {
    let mut taken = Vec::new();
    loop {
        taken.push(black_box(Vec::<u8>::with_capacity(GIANT_BYTES)));
    }
}

/// Each call needs a frame of its own, because the caller still looks at it afterwards.
// That it never ends is what it is for.
#[allow(unconditional_recursion)]
fn descend(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    descend(depth + 1).wrapping_add(frame[depth as usize % 16])
}

#[cfg(target_arch = "wasm32")]
mod guest {
    use scenehost_sdk::rule::bindings::exports::scenehost::match_rule::rule::{Guest, Player, Proposal, Ticket};

    use super::{Class, Description, Plan, Verdict};

    struct Rule;

    fn plan(configuration: &str) -> Plan {
        std::panic::set_hook(Box::new(|panic| scenehost_sdk::log::error(&panic.to_string())));
        Plan::read(configuration).expect("`describe` has read it already")
    }

    impl Guest for Rule {
        fn describe(configuration: String) -> Result<Description, String> {
            Plan::read(&configuration)?;
            Ok(plan(&configuration).describe())
        }

        fn classify(configuration: String, _: Vec<String>, _: Ticket) -> Result<Class, String> {
            plan(&configuration).classify()
        }

        fn judge(configuration: String, _: Vec<String>, _: Vec<Ticket>, proposals: Vec<Proposal>) -> Vec<Verdict> {
            plan(&configuration).judge(proposals.len())
        }

        fn score_teams(configuration: String, _: Vec<String>, teams: Vec<Vec<Player>>) -> Vec<i32> {
            plan(&configuration).score_teams(teams.len())
        }
    }

    scenehost_sdk::rule::bindings::export!(Rule with_types_in scenehost_sdk::rule::bindings);
}
