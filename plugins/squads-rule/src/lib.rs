//! A rule of matching for games of teams in which each player has a role.
//!
//! Who would play no role may not enter. Beginners meet beginners, for a while. Of the matches that could be made the
//! one is made in which most players get the role that they like best, and the nearest of those.

use scenehost_sdk::rule::prelude::*;

/// What one role that was not the dearest weighs against round trip: as much as 50 ms.
const DEAREST_ROLE_SCORE: i32 = 50;

/// The rule and its configuration.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Squads {
    /// The roles of a team, one for each player; a role may be there several times.
    roles: Vec<String>,
    /// Whoever has played fewer games is a beginner.
    beginner_games: u32,
    /// For how long beginners wait for other beginners.
    beginner_ms: u64,
    /// The longest round trip that the game stands.
    rtt_ms_max: u32,
}

impl Default for Squads {
    fn default() -> Squads {
        let roles = ["tank", "healer", "damage"].map(str::to_owned).to_vec();
        Squads { roles, beginner_games: 10, beginner_ms: 60_000, rtt_ms_max: 150 }
    }
}

impl MatchRule for Squads {
    fn describe(&self) -> Result<Description, Fault> {
        if self.roles.is_empty() || self.roles.len() > 8 {
            return Err("roles: a team needs 1 to 8 of them".into());
        }
        let size = self.roles.len() as u32;
        Ok(Description::new().classify().judge().games().roles().regions().team(size, size).team(size, size))
    }

    fn classify(&self, ticket: Ticket<'_>) -> Result<Class, String> {
        let plays_a_role = |player: Player<'_>| self.roles.iter().any(|role| player.plays(role));
        if !ticket.players().all(plays_a_role) {
            return Err(format!("Choose a role that you would play: {}.", self.roles.join(", ")));
        }
        // A party in which somebody knows the game is not one of beginners.
        if ticket.players().all(|player| player.games() < self.beginner_games) {
            return Ok(Class::bracket("beginners").for_ms(self.beginner_ms));
        }
        Ok(Class::open())
    }

    fn judge(&self, proposal: Proposal<'_>) -> Verdict {
        let rtt_ms = proposal.rtt_ms().unwrap_or(0);
        if rtt_ms > self.rtt_ms_max {
            return Verdict::Veto;
        }
        let mut score = -(rtt_ms as i32);
        for team in proposal.teams() {
            let players: Vec<Player<'_>> = team.players().collect();
            let roles: Vec<&str> = self.roles.iter().map(String::as_str).collect();
            match dearest_roles(&players, &roles) {
                Some(count) => score += count * DEAREST_ROLE_SCORE,
                None => return Verdict::Veto,
            }
        }
        Verdict::Score(score)
    }
}

/// How many of the players can have the role that they like best when each plays a role of their own; `None` if they
/// cannot share out the roles at all. Tries all ways, which are few in a team.
fn dearest_roles(players: &[Player<'_>], roles: &[&str]) -> Option<i32> {
    let [player, others @ ..] = players else { return Some(0) };
    let with = |(place, role): (usize, &&str)| {
        let dearest = player.roles().next() == Some(*role);
        let left: Vec<&str> = [&roles[..place], &roles[place + 1..]].concat();
        Some(i32::from(dearest) + dearest_roles(others, &left)?)
    };
    roles.iter().enumerate().filter(|(_, role)| player.plays(role)).filter_map(with).max()
}

export_rule!(Squads);
