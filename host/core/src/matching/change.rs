//! The domain is changed while tickets wait.
//!
//! Invariant: no ticket is lost by it, and each keeps its age: a ticket waits under the new rules, or its users are
//! told why it cannot. Groups that are made already are not concerned. Many tickets are gone through in parts, so
//! that no step takes long; those that were not gone through yet are in no match meanwhile.

use super::Match;
use super::domain::Domain;
use super::pool::Pool;
use super::rule::Rule;
use super::teams::Teams;
use super::ticket::{State, Ticket};
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
        self.pool = Pool::new(&self.domain);
        self.due.clear();
        self.to_refile.clear();
        for (number, ticket) in &mut self.tickets {
            if let State::Waiting(_) = ticket.state {
                ticket.state = State::Away;
            }
            if ticket.state == State::Away {
                self.to_refile.push(*number);
            }
        }
        // The oldest last: they are taken from the end.
        let age = |number: &u64| self.tickets.get(number).map(|ticket| (ticket.since, *number));
        self.to_refile.sort_by_key(|number| std::cmp::Reverse(age(number)));
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
        for _ in 0..REFILED_MAX {
            let Some(number) = self.to_refile.pop() else { return };
            // It has ended meanwhile, or is in a group.
            if self.tickets.get(&number).is_none_or(|ticket| ticket.state != State::Away) {
                continue;
            }
            self.refile(number, cx);
        }
    }

    fn refile(&mut self, number: u64, cx: &mut Context<'_>) {
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
                self.tickets.insert(number, ticket);
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
