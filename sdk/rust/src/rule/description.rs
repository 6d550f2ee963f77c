//! What a rule says of itself, put together step by step.

use super::bindings::exports::scenehost::match_rule::rule as raw;

/// What a rule wants to be asked and to know, and what it proposes.
/// `Description::new().classify().games()` is asked about tickets that enter, and told how much their players have played.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    pub(super) answers: raw::Answers,
    pub(super) facts: raw::Facts,
    pub(super) proposed: raw::Proposed,
}

impl Default for Description {
    fn default() -> Description {
        Description::new()
    }
}

impl Description {
    /// Is asked nothing and knows users, ratings and waiting.
    pub fn new() -> Description {
        Description {
            answers: raw::Answers { classify: false, judge: false, score_teams: false },
            facts: raw::Facts { games: false, roles: false, regions: false, properties: Vec::new() },
            proposed: raw::Proposed { teams: Vec::new(), ratings: None },
        }
    }

    /// Is asked everything, and knows everything but players' properties, which need their names.
    pub fn everything() -> Description {
        Description::new().classify().judge().team_strength().games().roles().regions()
    }

    /// Is asked [`classify`](super::MatchRule::classify).
    pub fn classify(mut self) -> Description {
        self.answers.classify = true;
        self
    }

    /// Is asked [`judge`](super::MatchRule::judge).
    pub fn judge(mut self) -> Description {
        self.answers.judge = true;
        self
    }

    /// Is asked [`team_strength`](super::MatchRule::team_strength).
    pub fn team_strength(mut self) -> Description {
        self.answers.score_teams = true;
        self
    }

    /// Knows how many games players have played.
    pub fn games(mut self) -> Description {
        self.facts.games = true;
        self
    }

    /// Knows the roles that players would play.
    pub fn roles(mut self) -> Description {
        self.facts.roles = true;
        self
    }

    /// Knows regions and round trips.
    pub fn regions(mut self) -> Description {
        self.facts.regions = true;
        self
    }

    /// Knows this property of players; at most 16 of them.
    pub fn property(mut self, name: impl Into<String>) -> Description {
        self.facts.properties.push(name.into());
        self
    }

    /// Proposes one more team, of so many players. One team alone is a game without teams.
    pub fn team(mut self, players_min: u32, players_max: u32) -> Description {
        self.proposed.teams.push(raw::TeamSize { players_min, players_max });
        self
    }

    /// Proposes how far apart ratings may be at first, how much more with each second, and where that stops.
    pub fn ratings(mut self, range: u32, range_per_s: u32, range_max: u32) -> Description {
        self.proposed.ratings = Some(raw::RatingRange { range, range_per_s, range_max });
        self
    }
}
