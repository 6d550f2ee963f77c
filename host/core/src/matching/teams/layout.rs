//! Which teams a match has, as an operator writes it down, and how evenly they are to be matched.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::config::PLAYERS_MAX;
use crate::ids::RoleName;

/// The most teams of one match.
pub const TEAMS_MAX: u32 = 100;
/// The most roles of one match, all its teams together: so many fit in a mask.
pub const ROLES_MAX: usize = 64;

/// The teams of a match. In the configuration it is a list of [`Team`]s.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Layout {
    /// They are numbered from 0 in this order, each as often as its `count` says.
    pub teams: Vec<Team>,
}

/// A team, or several of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    /// How many teams of this kind there are, 1 or more.
    #[serde(default = "default_count")]
    pub count: u32,
    /// The most players of one such team, 1 or more.
    pub size: u32,
    /// The fewest, 0 to `size`; if it is not given: `size`. Teams of 0 are for games that can fill them otherwise.
    #[serde(default)]
    pub size_min: Option<u32>,
    /// How many players have which role; together they are `size`. Empty: the team knows no roles.
    #[serde(default)]
    pub roles: BTreeMap<RoleName, u32>,
}

fn default_count() -> u32 {
    1
}

impl Team {
    /// One team of `size` players.
    pub fn of(size: u32) -> Self {
        Self { count: 1, size, size_min: None, roles: BTreeMap::new() }
    }

    /// The fewest players.
    pub fn fewest(&self) -> u32 {
        self.size_min.unwrap_or(self.size)
    }

    /// Whether nothing tells players of the one team from those of the other.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (self.size, self.fewest(), &self.roles) == (other.size, other.fewest(), &other.roles)
    }

    fn check(&self) -> Result<(), String> {
        if self.count == 0 || self.size == 0 {
            return Err("a team's count and size need at least 1".to_owned());
        }
        if self.fewest() > self.size {
            return Err(format!("size_min of a team is {}: set it to at most its size ({})", self.fewest(), self.size));
        }
        if let Some((name, _)) = self.roles.iter().find(|(_, count)| **count == 0) {
            return Err(format!("the role {name} is there 0 times: leave it out, or set it to 1 or more"));
        }
        let roles: u64 = self.roles.values().map(|count| u64::from(*count)).sum();
        if !self.roles.is_empty() && roles != u64::from(self.size) {
            return Err(format!(
                "the roles of a team are {roles} together and its size is {}: make them equal",
                self.size
            ));
        }
        Ok(())
    }
}

impl Layout {
    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), String> {
        if self.teams.is_empty() {
            return Err("there is no team: write one or more".to_owned());
        }
        self.teams.iter().try_for_each(Team::check)?;
        let teams: u64 = self.teams.iter().map(|team| u64::from(team.count)).sum();
        if teams > u64::from(TEAMS_MAX) {
            return Err(format!("there are {teams} teams: at most {TEAMS_MAX} are possible"));
        }
        // Teams are few here, and a size has 32 bits.
        let players: u64 = self.teams.iter().map(|team| u64::from(team.count) * u64::from(team.size)).sum();
        if players > u64::from(PLAYERS_MAX) {
            return Err(format!("the teams have {players} players together: at most {PLAYERS_MAX} are possible"));
        }
        let roles = self.roles().len();
        if roles > ROLES_MAX {
            return Err(format!("there are {roles} roles: at most {ROLES_MAX} are possible"));
        }
        Ok(())
    }

    /// The fewest players that can make a match, 1 or more.
    pub fn players_min(&self) -> u32 {
        self.sum(Team::fewest).max(1)
    }

    /// The most.
    pub fn players_max(&self) -> u32 {
        self.sum(|team| team.size)
    }

    /// The largest party that fits, for it stays together: the size of the largest team.
    pub fn largest_party(&self) -> u32 {
        self.teams.iter().map(|team| team.size).max().unwrap_or(0)
    }

    /// All roles, each once, in the order of their names. A role's place here is its bit in a mask.
    pub fn roles(&self) -> Vec<RoleName> {
        let names: BTreeSet<&RoleName> = self.teams.iter().flat_map(|team| team.roles.keys()).collect();
        names.into_iter().cloned().collect()
    }

    fn sum(&self, of: impl Fn(&Team) -> u32) -> u32 {
        self.teams.iter().fold(0, |sum, team| sum.saturating_add(team.count.saturating_mul(of(team))))
    }
}

/// How evenly players are divided into teams. May change from match to match, as when rules relax with waiting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balance {
    /// How many points of rating it is worth to play with one's own party, for each member after the first: a party
    /// of 3 with a bonus of 20 counts as if its ratings were 40 higher together.
    pub party_bonus: i32,
    /// By how many members the largest party of the match may exceed the largest of any team, as far as that team has
    /// the room for such a party. Whoever plays alone is a party of 1, so with 0 a party of 3 meets only teams with a
    /// party of 3 of their own. Nothing: by any.
    pub party_gap_max: Option<u32>,
    /// By how many the free places of teams may differ; with teams of one size that is how far their numbers of
    /// players may differ. Nothing: by any.
    pub size_gap_max: Option<u32>,
    /// How many places of a team may stay free; a team's `size_min` holds besides. Nothing: any number.
    pub free_max: Option<u32>,
}
