//! The domain is changed while tickets wait.
//!
//! Invariant: no ticket is lost by it, and each keeps its age: a ticket waits under the new rules, or its users are
//! told why it cannot. Groups that are made already are not concerned. Many tickets are gone through in parts, so
//! that no step takes long; those that were not gone through yet are in no match meanwhile.

use std::cmp::Reverse;

use super::Match;
use super::domain::Domain;
use super::pool::Pool;
use super::rule::Rule;
use super::search::LOOKED_AT_MAX;
use super::teams::Teams;
use super::ticket::Ticket;
use super::wheel::Wheel;
use crate::Context;
use crate::refusal::Refusal;

/// How many tickets are gone through in one step.
const REFILED_MAX: usize = 1_000;

impl Match {
    pub(super) fn change(&mut self, domain: Domain, rule: Option<Rule>, cx: &mut Context<'_>) {
        if !self.rule.replace(rule) && domain == self.domain {
            return;
        }
        self.domain = domain;
        self.teams = Teams::new(&self.domain.teams).ok();
        self.brackets.truncate(1);
        let waiting = std::mem::replace(&mut self.pool, Pool::new(&self.domain));
        self.due.clear();
        self.wheel = Wheel::default();
        let mut to_refile = std::mem::take(&mut self.to_refile).into_vec();
        // They learn of it when their turn comes: until then their slots are those of a pool that is no more.
        to_refile.extend(waiting.iter().map(|ticket| Reverse((ticket.since, ticket.number))));
        let since = |number: &u64| self.tickets.get(number).map(|ticket| Reverse((ticket.since, *number)));
        to_refile.extend(self.away.keys().filter_map(since));
        self.to_refile = to_refile.into();
        self.refile_some(cx);
    }

    /// The domain is no more. Matches that are made already are played.
    pub(super) fn removed(&mut self, cx: &mut Context<'_>) {
        self.end_accepting(cx);
        let mut waiting: Vec<u64> =
            self.tickets.iter().filter(|(_, ticket)| ticket.waits()).map(|(it, _)| *it).collect();
        waiting.sort_unstable();
        let refusal = Refusal::NotFound(format!("domain named {:?} any more", self.name.as_str()));
        self.give_up_all(waiting, &refusal, cx);
    }

    /// Goes through some of the tickets that the last change has not come to.
    pub(super) fn refile_some(&mut self, cx: &mut Context<'_>) {
        self.pool.take_looked_at();
        let mut looked_at = 0;
        for _ in 0..REFILED_MAX {
            let Some(Reverse((_, number))) = self.to_refile.pop() else { return };
            // It may have ended meanwhile, or be in a group.
            if self.tickets.get(&number).is_some_and(|ticket| ticket.waits()) {
                self.refile(number, cx);
            }
            looked_at += self.pool.take_looked_at();
            if looked_at > LOOKED_AT_MAX {
                return;
            }
        }
    }

    fn refile(&mut self, number: u64, cx: &mut Context<'_>) {
        // One whose users have come back meanwhile waits as it was before the change.
        if let Some(slot) = self.slot_of(number) {
            self.pool.remove(slot);
        }
        let Some(old) = self.tickets.remove(&number) else { return };
        let fits = self.fits(&old.seekers);
        let new = match fits {
            Ok(()) => self.ticket(number, old.seekers, old.since, cx),
            Err(refusal) => Err((refusal, old.seekers)),
        };
        match new {
            Ok(ticket) => {
                let ticket = Ticket {
                    avoids: old.avoids,
                    update_at: cx.now,
                    update_ms: old.update_ms,
                    told_ms: old.told_ms,
                    ..ticket
                };
                self.tickets.insert(number, Box::new(ticket));
                if self.away.contains_key(&number) {
                    let until = old.since.plus_ms(self.domain.wait_ms_max);
                    return self.away_until.set(number, until);
                }
                self.wait(number, cx.now);
                self.seek(number, cx);
            }
            Err((refusal, seekers)) => {
                self.away.remove(&number);
                self.away_until.clear(&number);
                for seeker in &seekers {
                    self.of.remove(&seeker.user);
                }
                super::end(&seekers, number, &refusal, cx);
            }
        }
    }
}
