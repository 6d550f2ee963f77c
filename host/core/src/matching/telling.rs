//! What users are told of their search while it goes on.

use super::Match;
use super::ticket::{State, Ticket};
use crate::message::{MatchState, Searching};
use crate::{Context, lobby};

/// How long after a request its user hears of it again; doubles up to the maximum.
const UPDATE_MS: u64 = 1_000;
const UPDATE_MS_MAX: u64 = 8_000;

impl Match {
    /// Tells how a search stands, and plans when that is told again.
    pub(super) fn tell_update(&mut self, number: u64, cx: &mut Context<'_>) {
        if let Some(ticket) = self.tickets.get_mut(&number) {
            ticket.update_ms = (ticket.update_ms * 2).clamp(UPDATE_MS, UPDATE_MS_MAX);
            ticket.update_at = cx.now.plus_ms(ticket.update_ms);
        }
        self.tell_state(number, cx);
    }

    pub(super) fn tell_state(&self, number: u64, cx: &mut Context<'_>) {
        let Some(ticket) = self.tickets.get(&number) else { return };
        let state = match ticket.state {
            State::Grouped(group) if self.groups.get(&group).is_some_and(|group| group.is_accepting()) => {
                for seeker in &ticket.seekers {
                    if let Some(state) = self.found(group, seeker.user, cx) {
                        cx.send(lobby::Event::SynMatchState { user: seeker.user, ticket: number, state });
                    }
                }
                return;
            }
            State::Grouped(_) => MatchState::Placing { domain: self.name.clone() },
            State::Waiting(_) | State::Away => MatchState::Searching(self.searching(ticket, cx)),
        };
        for seeker in &ticket.seekers {
            cx.send(lobby::Event::SynMatchState { user: seeker.user, ticket: number, state: state.clone() });
        }
    }

    fn searching(&self, ticket: &Ticket, cx: &Context<'_>) -> Searching {
        let waited_ms = cx.now.ms_since(ticket.since);
        let users = self.domain.users_after(waited_ms);
        let relaxed = |(i, property): (usize, &super::domain::Property)| {
            let marks = ticket.marks.get(i)?;
            let is_relaxed = marks.wants != u64::MAX && property.wanted(*marks, waited_ms) == u64::MAX;
            is_relaxed.then(|| property.name.clone())
        };
        Searching {
            domain: self.name.clone(),
            waited_ms,
            rating_range: self.domain.range_after(waited_ms),
            ping_ms: self.domain.ping_after(waited_ms),
            relaxed: self.domain.properties.iter().enumerate().filter_map(relaxed).collect(),
            usual_wait_ms: self.waits.usual_ms(ticket.rating),
            waiting: self.waiting() as u32,
            players_min: users.start,
            players_max: users.end,
        }
    }
}
