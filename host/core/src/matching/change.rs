//! The domain is changed, or is no more, or a service is down, while tickets wait.
//!
//! Invariants: no ticket is lost by it. Whoever waits while the domain is changed keeps its age, and waits under the new
//! rules or is told why it cannot; whoever has to end is told why. Groups that are made already are not concerned. Many
//! tickets are gone through in parts, so that no step takes long, the oldest first; those that were not gone through yet
//! are in no match meanwhile.

use std::collections::BTreeSet;

use super::Match;
use super::domain::Domain;
use super::placing::Group;
use super::pool::Pool;
use super::rows::CHUNK;
use super::rule::Rule;
use super::teams::Teams;
use super::ticket::{State, Ticket};
use super::wheel::Wheel;
use super::work::Work;
use crate::Context;
use crate::ids::{MatchId, Time};
use crate::message::ServiceName;
use crate::partition::{Partition, Shard};
use crate::refusal::Refusal;

/// Tickets that are to be gone through, the oldest first. They are put in their order in parts, too.
#[derive(Debug, Clone, Default)]
pub(super) struct Leaving {
    /// In pools that are used no longer; and pools of which only the memory is left.
    pools: Vec<Pool>,
    empty: Vec<Pool>,
    /// Whose users were not all here.
    away: Vec<u64>,
    /// In groups that are no more.
    groups: Vec<Group>,
    /// Since when each waits, and its number.
    by_age: BTreeSet<(Time, u64)>,
}

/// Those who are told that their search is over, and why.
#[derive(Debug, Clone, Default)]
pub(super) struct Ending {
    leaving: Leaving,
    /// Groups whose users are asked whether they accept, and end with them.
    accepting: Vec<MatchId>,
    why: Option<Refusal>,
}

impl Leaving {
    pub fn is_empty(&self) -> bool {
        self.pools.is_empty()
            && self.empty.is_empty()
            && self.away.is_empty()
            && self.groups.is_empty()
            && self.by_age.is_empty()
    }

    /// How many are left.
    pub fn len(&self) -> usize {
        self.pools.iter().map(Pool::len).sum::<usize>() + self.by_age.len()
    }

    /// Takes over those of another one.
    fn append(&mut self, other: &mut Self) {
        self.pools.append(&mut other.pools);
        self.empty.append(&mut other.empty);
        self.away.append(&mut other.away);
        self.groups.append(&mut other.groups);
        // The larger one takes the smaller one in.
        if self.by_age.len() < other.by_age.len() {
            std::mem::swap(&mut self.by_age, &mut other.by_age);
        }
        self.by_age.append(&mut other.by_age);
    }
}

impl Ending {
    pub fn is_empty(&self) -> bool {
        self.leaving.is_empty() && self.accepting.is_empty()
    }

    /// How many tickets are left that were in no group.
    pub fn len(&self) -> usize {
        self.leaving.len()
    }
}

impl Match {
    pub(super) fn change(&mut self, domain: Domain, rule: Option<Rule>, cx: &mut Context<'_>) {
        if !self.rule.replace(rule) && domain == self.domain {
            return;
        }
        self.domain = domain;
        self.note_scene_master();
        self.teams = Teams::new(&self.domain.teams).ok();
        self.brackets.truncate(1);
        let mut leaving = self.all_who_wait();
        self.refiling.append(&mut leaving);
        self.refile_some(&mut Work::default(), cx);
    }

    /// Takes all who wait out of the pool. They learn of it when their turn comes: until then their slots are those of a
    /// pool that is no more.
    fn all_who_wait(&mut self) -> Leaving {
        let pool = std::mem::replace(&mut self.pool, Pool::new(&self.domain));
        self.due.clear();
        self.wheel = Wheel::default();
        Leaving { pools: vec![pool], away: self.away.keys().copied().collect(), ..Leaving::default() }
    }

    /// Whoever waits is told that no scene can be made. While the store is down groups whose scenes are being made are
    /// only late, if that is not for long, and what was not accepted yet ends. If the lobby is gone nobody waits any more;
    /// one that asks is up.
    pub(super) fn service(&mut self, service: ServiceName, up: bool, cx: &mut Context<'_>) {
        if up {
            self.down.remove(&service);
            return;
        }
        let why = Refusal::ServiceDown(service);
        if service == ServiceName::Lobby {
            self.cancel_all(cx);
            return self.end_all_and_groups(why, cx);
        }
        self.down.insert(service);
        self.wait_for_store(cx);
        self.end_all(why, cx);
    }

    /// A SceneMaster that is down is up again soon: tickets wait for that of their fleet, and groups whose scenes it was
    /// making ask it again.
    pub(super) fn scene_master(&mut self, partition: Partition, up: bool, cx: &mut Context<'_>) {
        self.masters_down.note(partition, up);
        self.note_scene_master();
        if up {
            self.scene_master_up(partition, cx);
        }
    }

    /// Whether the SceneMaster of the domain's fleet is down.
    fn note_scene_master(&mut self) {
        match self.masters_down.has(Shard::of_fleet(&self.domain.fleet)) {
            true => self.down.insert(ServiceName::SceneMaster),
            false => self.down.remove(&ServiceName::SceneMaster),
        };
    }

    /// The domain is no more. Matches that are made already are played.
    pub(super) fn removed(&mut self, cx: &mut Context<'_>) {
        let name = self.name.as_str();
        self.end_all(Refusal::NotFound(format!("domain named {name:?} any more")), cx);
    }

    /// Ends all who wait, and all groups that are not accepted yet.
    pub(super) fn end_all(&mut self, why: Refusal, cx: &mut Context<'_>) {
        let mut leaving = self.all_who_wait();
        self.ending.leaving.append(&mut leaving);
        self.ending.leaving.append(&mut self.refiling);
        let accepting = self.groups.iter().filter(|(_, group)| group.is_accepting());
        self.ending.accepting.extend(accepting.map(|(match_id, _)| *match_id));
        self.ending.why = Some(why);
        self.end_some(&mut Work::default(), cx);
    }

    /// The same, and ends all groups, too.
    pub(super) fn end_all_and_groups(&mut self, why: Refusal, cx: &mut Context<'_>) {
        self.group_until = Default::default();
        self.ending.leaving.groups.extend(std::mem::take(&mut self.groups).into_values());
        self.end_all(why, cx);
    }

    /// Ends some of those who are to end.
    pub(super) fn end_some(&mut self, work: &mut Work, cx: &mut Context<'_>) {
        let Some(why) = self.ending.why.clone() else { return };
        while work.goes_on() {
            if let Some(match_id) = self.ending.accepting.pop() {
                work.done(Work::SORT);
                // It may be accepted by now, or have ended.
                if self.groups.get(&match_id).is_some_and(Group::is_accepting) {
                    self.group_until.clear(&match_id);
                    self.ending.leaving.groups.extend(self.groups.remove(&match_id));
                }
                continue;
            }
            let Some(number) = self.next_of(|it| &mut it.ending.leaving, work) else {
                self.ending.why = self.ending.why.take().filter(|_| !self.ending.is_empty());
                return;
            };
            work.done(Work::END);
            if self.tickets.get(&number).is_some_and(|ticket| self.is_in_no_group(ticket)) {
                self.give_up(number, &why, cx);
            }
        }
    }

    /// Whether a ticket waits, or was in a group that is no more.
    pub(super) fn is_in_no_group(&self, ticket: &Ticket) -> bool {
        !matches!(ticket.state, State::Grouped(group) if self.groups.contains_key(&group))
    }

    /// The oldest of those who are to be gone through, when all of them are in their order. `None`: there is none any
    /// more, or the rest is left to the next step.
    fn next_of(&mut self, of: impl Fn(&mut Self) -> &mut Leaving, work: &mut Work) -> Option<u64> {
        while work.goes_on() {
            let leaving = of(self);
            if let Some(group) = leaving.groups.pop() {
                work.done(Work::SORT);
                let with_age: Vec<(Time, u64)> = group.tickets.iter().filter_map(|it| self.with_age(it)).collect();
                of(self).by_age.extend(with_age);
            } else if !leaving.away.is_empty() {
                let some = leaving.away.split_off(leaving.away.len().saturating_sub(CHUNK));
                work.done(Work::SORT * some.len() as u64);
                let with_age: Vec<(Time, u64)> = some.iter().filter_map(|it| self.with_age(it)).collect();
                of(self).by_age.extend(with_age);
            } else if let Some(pool) = leaving.pools.last_mut() {
                let tickets = pool.dissolve();
                work.done(Work::DISSOLVE + Work::SORT * tickets.as_ref().map_or(0, Vec::len) as u64);
                match tickets {
                    Some(tickets) => leaving.by_age.extend(tickets),
                    None => leaving.empty.extend(leaving.pools.pop()),
                }
            } else if let Some((_, number)) = leaving.by_age.pop_first() {
                return Some(number);
            } else {
                let bins = leaving.empty.last_mut()?.discard_some();
                work.done(Work::DISSOLVE + Work::BIN * bins.unwrap_or(0) as u64);
                if bins.is_none() {
                    leaving.empty.pop();
                }
            }
        }
        None
    }

    fn with_age(&self, number: &u64) -> Option<(Time, u64)> {
        self.tickets.get(number).map(|ticket| (ticket.since, *number))
    }

    /// Goes through some of the tickets that the last change has not come to.
    pub(super) fn refile_some(&mut self, work: &mut Work, cx: &mut Context<'_>) {
        self.pool.take_looked_at();
        while work.goes_on()
            && let Some(number) = self.next_of(|it| &mut it.refiling, work)
        {
            // It may have ended meanwhile, or be in a group.
            if self.tickets.get(&number).is_some_and(|ticket| ticket.waits()) {
                self.refile(number, cx);
            }
            work.done(Work::REFILE + self.pool.take_looked_at());
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
