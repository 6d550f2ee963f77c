//! A ticket looks for its match: when it comes, and again as its range widens.
//!
//! Invariant: a ticket in the pool has an alarm, no later than its limit of waiting. What it does in its turn is
//! bounded, and so is how many have their turn in one step; the others have theirs in the next ones.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::Range;

use super::Match;
use super::domain::Domain;
use super::pool::{Gathering, Pool, Slot};
use super::ticket::{State, Ticket};
use crate::Context;
use crate::ids::Time;
use crate::message::ServiceName;

/// How often a ticket that has just come looks again.
pub const ROUND_MS: u64 = 250;
/// How often an old one does: the longer it has waited, the less changes for it from one time to the next.
pub const ROUND_MS_MAX: u64 = 5_000;
/// The part of its age after which a ticket looks again.
const ROUNDS_IN_AGE: u64 = 8;
/// How many tickets look in one step at most.
const WAKES_MAX: usize = 1_000;
/// How many candidates are looked at in one step, before the others are left to the next one.
const LOOKED_AT_MAX: u64 = 20_000;
/// How often a group of more than two is tried by chance in one turn.
const TRIES: usize = 2;

impl Match {
    /// Sets the alarm of a ticket in the pool.
    pub(super) fn plan(&mut self, slot: Slot, now: Time) {
        let since = self.pool.get(slot).since;
        let round_ms = (now.ms_since(since) / ROUNDS_IN_AGE).clamp(ROUND_MS, ROUND_MS_MAX);
        let at = now.plus_ms(round_ms).min(since.plus_ms(self.domain.wait_ms_max));
        self.wheel.set(now, at, (slot, self.pool.turn(slot)));
    }

    /// Those look again whose time has come, the oldest first.
    pub(super) fn wake_some(&mut self, cx: &mut Context<'_>) {
        let (pool, due) = (&self.pool, &mut self.due);
        self.wheel.turn(cx.now, |(slot, turn)| {
            if pool.waits(slot, turn) {
                let ticket = pool.get(slot);
                due.push(Reverse((ticket.since, ticket.number, slot, turn)));
            }
        });
        self.pool.take_looked_at();
        let mut looked_at = 0;
        for _ in 0..WAKES_MAX {
            if looked_at > LOOKED_AT_MAX {
                return;
            }
            let Some(Reverse((_, number, slot, turn))) = self.due.pop() else { return };
            if self.pool.waits(slot, turn) {
                self.wake(number, slot, cx);
            }
            looked_at += self.pool.take_looked_at();
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
        if self.down.contains(&ServiceName::SceneMaster) {
            return; // It waits until scenes can be made again.
        }
        let Some(State::Waiting(slot)) = self.tickets.get(&number).map(|ticket| ticket.state) else { return };
        let waited_ms = cx.now.ms_since(self.pool.get(slot).since);
        let users = self.domain.users_after(waited_ms);
        if let Some(gathering) = self.gather(number, slot, &users, cx) {
            self.group(&gathering, cx);
        }
    }

    fn gather(&mut self, number: u64, slot: Slot, users: &Range<u32>, cx: &mut Context<'_>) -> Option<Gathering> {
        let (pool, tickets, domain, now) = (&mut self.pool, &self.tickets, &self.domain, cx.now);
        let mut allow = |pool: &Pool, chosen: &[Slot], slot: Slot| allows(pool, tickets, domain, now, chosen, slot);
        let ticket = tickets.get(&number)?;
        if ticket.opponents().next().is_some() {
            let of = &self.of;
            let named = ticket.opponents().filter_map(|user| match tickets.get(of.get(&user)?)?.state {
                State::Waiting(slot) => Some(slot),
                _ => None,
            });
            return pool.gather_of(slot, named, users, domain, now, &mut allow);
        }
        let tries = if users.end > 2 { TRIES } else { 1 };
        for _ in 0..tries {
            let gathering = pool.gather(slot, users, domain, now, cx.rng, &mut allow);
            if gathering.is_some() {
                return gathering;
            }
        }
        // Of two the whole range was looked through already.
        (users.end > 2).then(|| pool.gather_nearest(slot, users, domain, now, &mut allow)).flatten()
    }
}

/// Whether a ticket may join those that were chosen, as far as names say.
fn allows(
    pool: &Pool,
    tickets: &HashMap<u64, Ticket>,
    domain: &Domain,
    now: Time,
    chosen: &[Slot],
    slot: Slot,
) -> bool {
    let candidate = pool.get(slot);
    let of = |number: u64| tickets.get(&number);
    chosen.iter().all(|other| {
        let other = pool.get(*other);
        if !candidate.careful && !other.careful {
            return true;
        }
        let (Some(one), Some(other)) = (of(candidate.number), of(other.number)) else { return false };
        !one.rejects(other, now, domain.recent.relax_ms) && !other.rejects(one, now, domain.recent.relax_ms)
    })
}
