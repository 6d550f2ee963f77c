//! Matches that could be made, put before a rule together. They mostly share tickets, so a batch has each ticket once.
//!
//! Invariant: every place of a ticket in a proposal is one of the batch's, and there are at most
//! [`PROPOSALS_MAX`](super::PROPOSALS_MAX) proposals.

use std::collections::BTreeMap;

use super::{PROPOSALS_MAX, Player, Waiting};

/// Up to [`PROPOSALS_MAX`] proposals and the tickets that are in them.
#[derive(Debug, Clone, Default)]
pub struct Batch<'a> {
    tickets: Vec<Waiting<'a>>,
    /// Where each ticket is, by its number.
    places: BTreeMap<u64, u32>,
    proposals: Vec<Proposal<'a>>,
}

/// One match that could be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal<'a> {
    /// Which tickets, by their places in the batch.
    pub tickets: Vec<u32>,
    /// The team of each player, from 0, in the order of the tickets and of the players in each. Empty in games without
    /// teams.
    pub teams: Vec<u32>,
    /// Where it would be played, if that matters.
    pub region: Option<&'a str>,
}

impl<'a> Batch<'a> {
    /// Adds a proposal. `team_of` tells the team of each player, from 0, in games with teams.
    ///
    /// Returns whether there was room; if not, the batch is as it was.
    pub fn push(
        &mut self,
        tickets: impl IntoIterator<Item = Waiting<'a>>,
        team_of: Option<&dyn Fn(&Player) -> u32>,
        region: Option<&'a str>,
    ) -> bool {
        if self.proposals.len() >= PROPOSALS_MAX {
            return false;
        }
        let mut proposal = Proposal { tickets: Vec::new(), teams: Vec::new(), region };
        for waiting in tickets {
            proposal.tickets.push(self.place(waiting));
            if let Some(team_of) = team_of {
                proposal.teams.extend(waiting.ticket.players.iter().map(team_of));
            }
        }
        self.proposals.push(proposal);
        true
    }

    /// The tickets of all proposals, each once.
    pub fn tickets(&self) -> &[Waiting<'a>] {
        &self.tickets
    }

    /// The proposals, in the order in which they were added.
    pub fn proposals(&self) -> &[Proposal<'a>] {
        &self.proposals
    }

    /// The tickets of one of its proposals.
    pub fn tickets_of<'b>(&'b self, proposal: &'b Proposal<'_>) -> impl Iterator<Item = Waiting<'a>> + 'b {
        proposal.tickets.iter().filter_map(|place| self.tickets.get(*place as usize)).copied()
    }

    fn place(&mut self, waiting: Waiting<'a>) -> u32 {
        *self.places.entry(waiting.ticket.number).or_insert_with(|| {
            self.tickets.push(waiting);
            (self.tickets.len() - 1) as u32
        })
    }
}
