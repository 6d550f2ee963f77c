//! A rule of matching: beginners meet beginners for a while, and nobody is matched across the sea. Change it into
//! yours.
//!
//! The value is the domain's configuration. Each call is made in a fresh instance, so a rule remembers nothing.

use scenehost_sdk::rule::prelude::*;

/// The rule and its configuration.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// Whoever has played fewer games is a beginner.
    beginner_games: u32,
    /// For how long beginners wait for other beginners.
    beginner_ms: u64,
    /// The longest round trip that the game stands.
    rtt_ms_max: u32,
}

impl Default for Rule {
    fn default() -> Self {
        Rule { beginner_games: 5, beginner_ms: 30_000, rtt_ms_max: 120 }
    }
}

impl MatchRule for Rule {
    fn describe(&self) -> Result<Description, Fault> {
        Ok(Description::new().classify().judge().games().regions())
    }

    fn classify(&self, ticket: Ticket<'_>) -> Result<Class, String> {
        let is_beginner = |player: Player<'_>| player.games() < self.beginner_games;
        if ticket.players().all(is_beginner) {
            return Ok(Class::bracket("beginners").for_ms(self.beginner_ms));
        }
        Ok(Class::open())
    }

    fn judge(&self, proposal: Proposal<'_>) -> Verdict {
        match proposal.rtt_ms() {
            Some(rtt_ms) if rtt_ms > self.rtt_ms_max => Verdict::Veto,
            rtt_ms => Verdict::Score(-(rtt_ms.unwrap_or(0) as i32)),
        }
    }
}

export_rule!(Rule);
