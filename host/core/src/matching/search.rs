//! A ticket looks for its match: when it comes, and again as its range widens.
//!
//! Invariant: a ticket in the pool has an alarm, no later than its limit of waiting. What it does in its turn is
//! bounded, and so is how many have their turn in one step; the others have theirs in the next ones.

use std::ops::Range;

use super::Match;
use super::by_id::ById;
use super::domain::Domain;
use super::pool::{Company, Gathering, OPEN, Pool, Slot};
use super::teams::{Balance, Place, Teams};
use super::ticket::{State, Ticket};
use super::work::Work;
use crate::Context;
use crate::ids::Time;
use crate::message::ServiceName;

/// How often a ticket that has just come looks again.
pub const ROUND_MS: u64 = 250;
/// How often an old one does: the longer it has waited, the less changes for it from one time to the next.
pub const ROUND_MS_MAX: u64 = 5_000;
/// The part of its age after which a ticket looks again.
const ROUNDS_IN_AGE: u64 = 8;
/// How many alarms are taken from the wheel in one step.
const ALARMS_MAX: usize = 4_000;
/// How often a group of more than two is tried by chance in one turn.
const TRIES: usize = 2;

impl Match {
    /// Sets the alarm of a ticket in the pool.
    pub(super) fn plan(&mut self, slot: Slot, now: Time) {
        let since = self.pool.get(slot).since;
        let round_ms = (now.ms_since(since) / ROUNDS_IN_AGE).clamp(ROUND_MS, ROUND_MS_MAX);
        let mut at = now.plus_ms(round_ms).min(since.plus_ms(self.domain.wait_ms_max));
        let ticket = self.tickets.get(&self.pool.get(slot).number);
        if let Some(until) = ticket.and_then(|ticket| ticket.bracket_until).filter(|until| *until > now) {
            at = at.min(until);
        }
        self.wheel.set(now, at, (slot, self.pool.turn(slot)));
    }

    /// Those look again whose time has come, the oldest first: so none before all of them are known.
    pub(super) fn wake_some(&mut self, work: &mut Work, cx: &mut Context<'_>) {
        let (pool, due) = (&self.pool, &mut self.due);
        let are_all = self.wheel.turn(cx.now, ALARMS_MAX, |(slot, turn)| {
            work.done(Work::SORT);
            if pool.waits(slot, turn) {
                let ticket = pool.get(slot);
                due.insert((ticket.since, ticket.number, slot, turn));
            }
        });
        self.pool.take_looked_at();
        while are_all && work.goes_on() {
            let Some((_, number, slot, turn)) = self.due.pop_first() else { return };
            if self.pool.waits(slot, turn) {
                self.wake(number, slot, cx);
            }
            work.done(Work::WAKE + self.pool.take_looked_at());
        }
    }

    fn wake(&mut self, number: u64, slot: Slot, cx: &mut Context<'_>) {
        let waited_ms = cx.now.ms_since(self.pool.get(slot).since);
        if waited_ms >= self.domain.wait_ms_max {
            return self.not_found(number, cx);
        }
        if self.domain.ping.is_some() {
            let near = self.domain.near(self.pool.round_trips(slot), waited_ms);
            self.pool.set_regions(slot, near);
        }
        let until = self.tickets.get(&number).and_then(|ticket| ticket.bracket_until);
        if until.is_some_and(|until| until <= cx.now) {
            self.pool.set_bracket(slot, OPEN);
        }
        self.pool.tidy(slot);
        let turn = self.pool.turn(slot);
        self.seek(number, cx);
        if self.pool.waits(slot, turn) {
            if self.tickets.get(&number).is_some_and(|ticket| ticket.update_at <= cx.now) {
                self.tell_update(number, cx);
            }
            self.plan(slot, cx.now);
        }
    }

    /// Makes a group around this ticket if there is one to be made.
    pub(super) fn seek(&mut self, number: u64, cx: &mut Context<'_>) {
        if self.down.contains(&ServiceName::SceneMaster) || self.handing.has_begun() {
            return; // It waits until scenes can be made again, or for the next handler.
        }
        let Some(slot) = self.slot_of(number) else { return };
        if self.fill_with(number, cx) {
            return;
        }
        let waited_ms = cx.now.ms_since(self.pool.get(slot).since);
        let users = self.domain.users_after(waited_ms);
        if let Some(formation) = self.form(number, slot, &users, cx) {
            self.group(formation, cx);
        }
    }

    /// The match around this ticket: the best of those that are found, as the game's rule has it.
    fn form(&mut self, number: u64, slot: Slot, users: &Range<u32>, cx: &mut Context<'_>) -> Option<Formation> {
        let mut formations = Vec::new();
        let mut proposed = Vec::new();
        for _ in 0..self.rule.proposals(users.end, cx.now) {
            let Some(formation) = self.propose(number, slot, users, &proposed, cx) else { break };
            // Of two the other is to be another one each time.
            if users.end == 2 {
                proposed.extend(formation.gathering.slots.iter().filter(|other| **other != slot));
            }
            formations.push(formation);
        }
        let chosen = self.rule.choose(&formations, &self.tickets, (&self.name, &self.domain), cx)?;
        Some(formations.swap_remove(chosen))
    }

    /// A match around this ticket, without those that were proposed.
    fn propose(
        &mut self,
        number: u64,
        slot: Slot,
        users: &Range<u32>,
        proposed: &[Slot],
        cx: &mut Context<'_>,
    ) -> Option<Formation> {
        let Self { pool, tickets, domain, teams, of, .. } = self;
        let now = cx.now;
        let ticket = tickets.get(&number)?;
        let balance = domain.balance_after(now.ms_since(ticket.since));
        let mut company = Names { tickets, domain, now, teams: teams.as_mut().map(|teams| (teams, balance)), proposed };
        if ticket.opponents().next().is_some() {
            let named = ticket.opponents().filter_map(|user| match tickets.get(of.get(&user)?)?.state {
                State::Waiting(slot) if pool.holds(slot, of[&user]) => Some(slot),
                _ => None,
            });
            let gathering = pool.gather_of(slot, named, users, domain, now, &mut company)?;
            return company.settle(gathering, pool, cx);
        }
        for _ in 0..if users.end > 2 { TRIES } else { 1 } {
            let gathering = pool.gather(slot, users, domain, now, cx.rng, &mut company);
            let formation = gathering.and_then(|gathering| company.settle(gathering, pool, cx));
            if formation.is_some() {
                return formation;
            }
        }
        // Of two the whole range was looked through already.
        if users.end == 2 {
            return None;
        }
        let gathering = pool.gather_nearest(slot, users, domain, now, &mut company)?;
        company.settle(gathering, pool, cx)
    }
}

/// Tickets that play together, and how.
#[derive(Debug, Clone)]
pub(super) struct Formation {
    pub gathering: Gathering,
    /// The tickets, the one that searched first.
    pub tickets: Vec<u64>,
    /// The place of each of their users, in domains with teams.
    pub places: Vec<Place>,
    /// How likely the first of two teams wins.
    pub win_probability: Option<f64>,
    /// Where they are to play, of the domain's regions.
    pub region: Option<usize>,
}

/// What names have to say about who plays together: blocks, who met lately, opponents; and the shape of parties.
struct Names<'a> {
    tickets: &'a ById<u64, Box<Ticket>>,
    domain: &'a Domain,
    now: Time,
    teams: Option<(&'a mut Teams, Balance)>,
    proposed: &'a [Slot],
}

impl Company for Names<'_> {
    fn allows(&self, pool: &Pool, chosen: &[Slot], slot: Slot) -> bool {
        let candidate = pool.get(slot);
        let relax_ms = self.domain.recent.relax_ms;
        !self.proposed.contains(&slot)
            && chosen.iter().all(|other| {
                let other = pool.get(*other);
                if !candidate.careful && !other.careful {
                    return true;
                }
                let (one, other) = (self.tickets.get(&candidate.number), self.tickets.get(&other.number));
                one.zip(other).is_some_and(|(one, other)| {
                    !one.rejects(other, self.now, relax_ms) && !other.rejects(one, self.now, relax_ms)
                })
            })
    }

    fn begin(&mut self, slot: Slot, pool: &Pool) -> bool {
        if let Some((teams, balance)) = &mut self.teams {
            teams.begin(*balance);
        }
        self.take(slot, pool)
    }

    fn take(&mut self, slot: Slot, pool: &Pool) -> bool {
        let Some((teams, _)) = &mut self.teams else { return true };
        self.tickets.get(&pool.get(slot).number).is_some_and(|ticket| teams.add(&ticket.members))
    }
}

impl Names<'_> {
    /// The match of those who were gathered last, if they can be divided into teams.
    fn settle(&mut self, gathering: Gathering, pool: &Pool, cx: &mut Context<'_>) -> Option<Formation> {
        let (places, win_probability) = match &mut self.teams {
            Some((teams, _)) => {
                let division = teams.divide(cx.rng.next_u64())?;
                (division.places.clone(), division.win_probability())
            }
            None => (Vec::new(), None),
        };
        Some(Formation {
            tickets: gathering.slots.iter().map(|slot| pool.get(*slot).number).collect(),
            region: best_region(&gathering, pool, self.domain),
            gathering,
            places,
            win_probability,
        })
    }
}

/// The region that is near enough for all whose longest round trip is the shortest; of several the one with the
/// shortest in sum, then the first.
fn best_region(gathering: &Gathering, pool: &Pool, domain: &Domain) -> Option<usize> {
    let trips = |region: usize| {
        let trips = gathering.slots.iter().map(|slot| u32::from(pool.round_trips(*slot)[region]));
        (trips.clone().max(), trips.sum::<u32>())
    };
    let near = (0..domain.regions().len()).filter(|region| gathering.regions & (1 << region) != 0);
    near.min_by_key(|region| trips(*region))
}
