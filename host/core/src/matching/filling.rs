//! Running scenes get the players that they want, before new matches are made of them.
//!
//! Invariants: a scene has one request at a time, and it ends by the lease's deadline if it is not said again. Tickets
//! that were sent to a scene are in a group like others; if the scene does not take them in time they wait again, as
//! old as they are. The oldest request goes first, and of the tickets that may fill it the oldest.
//!
//! The game's rule is not asked, and neither are the users: a game that is on does not wait. Tickets of a bracket are
//! not sent until they have moved to the open one.

use std::collections::{BTreeMap, BTreeSet};

use super::Match;
use super::backfill::{FILL_MS_MAX, LEASE_MS, Lease, OPENINGS_MAX, Opening};
use super::placing::Group;
use super::pool::OPEN;
use super::teams::{ANY_ROLE, Member, Place};
use super::ticket::{State, Ticket};
use crate::deadlines::Deadlines;
use crate::ids::{AllocationId, MatchId, Time, UserId};
use crate::message::ServiceName;
use crate::partition::Shard;
use crate::{Context, scene_master};

/// How many scenes of a domain may want players at once; what a scene says that is one too many is passed over, until
/// it is said again.
pub const REQUESTS_MAX: usize = 10_000;
/// How many requests a ticket is held against when it comes.
const LOOKED_AT_MAX: usize = 64;

/// The scenes that want players.
#[derive(Debug, Clone, Default)]
pub(super) struct Requests {
    of: BTreeMap<AllocationId, Request>,
    by_age: BTreeSet<(Time, AllocationId)>,
    until: Deadlines<AllocationId>,
}

/// What a scene wants.
#[derive(Debug, Clone)]
struct Request {
    lease: Lease,
    openings: Vec<Opening>,
    /// Where it runs, as a bit of the domain's regions; all if that does not matter.
    regions: u64,
    players: Vec<UserId>,
    rating: Option<i32>,
    since: Time,
    /// Those who were sent and are not taken yet: one group at a time.
    sent: Option<MatchId>,
}

/// What a scene says when it wants players.
pub(super) struct Wanted {
    pub lease: Lease,
    pub openings: Vec<Opening>,
    pub region: Option<String>,
    pub players: Vec<UserId>,
    pub rating: Option<i32>,
    pub since: Time,
}

impl Requests {
    /// When the next request is over.
    pub fn next(&self) -> Option<Time> {
        self.until.next()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.of.len()
    }

    fn remove(&mut self, allocation: AllocationId) {
        if let Some(request) = self.of.remove(&allocation) {
            self.by_age.remove(&(request.since, allocation));
            self.until.clear(&allocation);
        }
    }

    /// Takes out those that were not said again in time.
    pub fn expire(&mut self, now: Time) {
        while let Some(allocation) = self.until.pop_due(now) {
            self.remove(allocation);
        }
    }
}

impl Request {
    /// Where these go together, if there is room: all in one team, each in a role of theirs.
    fn places(&self, members: &[Member], role_bit: impl Fn(&str) -> u64) -> Option<(Vec<Place>, Vec<usize>)> {
        let teams: BTreeSet<Option<u32>> = self.openings.iter().map(|opening| opening.team).collect();
        teams.into_iter().find_map(|team| {
            let mut left: Vec<u32> = self.openings.iter().map(|opening| opening.count).collect();
            let taken = members.iter().map(|member| {
                let fits = |(i, opening): &(usize, &Opening)| {
                    let plays = opening.role.as_deref().is_none_or(|role| member.roles & role_bit(role) != 0);
                    opening.team == team && left[*i] > 0 && plays
                };
                let (i, _) = self.openings.iter().enumerate().find(fits)?;
                left[i] -= 1;
                Some(i)
            });
            let taken = taken.collect::<Option<Vec<usize>>>()?;
            let role = |i: &usize| {
                let bit = role_bit(self.openings[*i].role.as_deref()?);
                (bit != 0).then(|| bit.trailing_zeros() as u8)
            };
            let places = taken.iter().map(|i| Place { team: team.unwrap_or(0), role: role(i) }).collect();
            Some((places, taken))
        })
    }

    fn wants_any(&self) -> bool {
        self.sent.is_none() && self.openings.iter().any(|opening| opening.count > 0)
    }
}

impl Match {
    pub(super) fn req_backfill(&mut self, wanted: Wanted, cx: &mut Context<'_>) {
        let allocation = wanted.lease.allocation;
        let before = self.requests.of.get(&allocation);
        if before.is_some_and(|before| before.lease.generation > wanted.lease.generation) {
            return;
        }
        if before.is_none() && self.requests.of.len() >= REQUESTS_MAX {
            return;
        }
        let sent = before.filter(|before| before.lease == wanted.lease).and_then(|before| before.sent);
        let sent = sent.filter(|match_id| self.groups.contains_key(match_id));
        let region = wanted.region.and_then(|name| self.domain.regions().iter().position(|it| *it == name));
        let request = Request {
            lease: wanted.lease,
            openings: wanted.openings.into_iter().take(OPENINGS_MAX).collect(),
            regions: region.map_or(u64::MAX, |region| 1 << region),
            players: wanted.players,
            rating: wanted.rating,
            since: wanted.since,
            sent,
        };
        self.requests.remove(allocation);
        self.requests.by_age.insert((request.since, allocation));
        self.requests.until.set(allocation, cx.now.plus_ms(LEASE_MS));
        self.requests.of.insert(allocation, request);
        self.fill(allocation, None, cx);
    }

    pub(super) fn backfill_ended(&mut self, lease: Lease) {
        let known = self.requests.of.get(&lease.allocation);
        if known.is_some_and(|request| request.lease.generation <= lease.generation) {
            self.requests.remove(lease.allocation);
        }
    }

    /// Sends a ticket that has just come, or that looks again, to a scene that wants it; whether one does.
    pub(super) fn fill_with(&mut self, number: u64, cx: &mut Context<'_>) -> bool {
        let oldest: Vec<AllocationId> =
            self.requests.by_age.iter().take(LOOKED_AT_MAX).map(|(_, allocation)| *allocation).collect();
        oldest.into_iter().any(|allocation| self.fill(allocation, Some(number), cx))
    }

    /// Sends tickets to a scene that wants some: this one, or the oldest that may; whether any were sent.
    fn fill(&mut self, allocation: AllocationId, only: Option<u64>, cx: &mut Context<'_>) -> bool {
        if self.down.contains(&ServiceName::SceneMaster) || self.handing.has_begun() {
            return false;
        }
        let Some(request) = self.requests.of.get(&allocation).filter(|request| request.wants_any()) else {
            return false;
        };
        let candidates = match only {
            Some(number) => vec![number],
            None => self.oldest_around(request, cx.now),
        };
        let mut request = request.clone();
        let (mut tickets, mut places) = (Vec::new(), Vec::new());
        for number in candidates {
            let Some((of_ticket, taken)) = self.place_in(&request, number, cx.now) else { continue };
            taken.into_iter().for_each(|i| request.openings[i].count -= 1);
            let Some(ticket) = self.tickets.get(&number) else { continue };
            // Those who come together are not to have blocked each other either.
            request.players.extend(ticket.seekers.iter().map(|seeker| seeker.user));
            tickets.push(number);
            places.push(of_ticket);
        }
        if tickets.is_empty() {
            return false;
        }
        self.send_to(request.lease, tickets, places, cx);
        true
    }

    /// The tickets that the ratings allow, the oldest first.
    fn oldest_around(&self, request: &Request, now: Time) -> Vec<u64> {
        let (lowest, highest) = match request.rating {
            Some(rating) => self.domain.accepted(rating, now.ms_since(request.since)),
            None => (i32::MIN, i32::MAX),
        };
        let around = self.pool.around(OPEN, lowest, highest);
        let mut around: Vec<(Time, u64)> = around.into_iter().map(|ticket| (ticket.since, ticket.number)).collect();
        around.sort_unstable();
        around.into_iter().map(|(_, number)| number).collect()
    }

    /// Where the users of a ticket go in a scene, if they may come into it, and which openings they take.
    fn place_in(&self, request: &Request, number: u64, now: Time) -> Option<(Vec<Place>, Vec<usize>)> {
        let ticket = self.tickets.get(&number)?;
        let slot = self.slot_of(number)?;
        let waiting = self.pool.get(slot);
        let near = request.regions & waiting.regions != 0;
        let in_range = request.rating.is_none_or(|rating| {
            let (lowest, highest) = self.domain.accepted(rating, now.ms_since(request.since));
            let (own_lowest, own_highest) = self.domain.accepted(ticket.rating, now.ms_since(ticket.since));
            (lowest..=highest).contains(&ticket.rating) && (own_lowest..=own_highest).contains(&rating)
        });
        if !near || !in_range || waiting.bracket != OPEN || !self.may_meet(ticket, &request.players) {
            return None;
        }
        let any = Member { rating: ticket.rating, roles: ANY_ROLE };
        let members = match ticket.members.is_empty() {
            true => vec![any; ticket.seekers.len()],
            false => ticket.members.clone(),
        };
        let bit = |role: &str| {
            let roles = self.teams.as_ref().map(|teams| teams.roles()).unwrap_or_default();
            roles.iter().position(|it| it.as_str() == role).map_or(0, |place| 1 << place)
        };
        request.places(&members, bit)
    }

    /// Whether a ticket's users and these may play together.
    fn may_meet(&self, ticket: &Ticket, players: &[UserId]) -> bool {
        players.iter().all(|player| {
            ticket.seekers.iter().all(|seeker| {
                let named = seeker.wish.opponents.is_empty() || seeker.wish.opponents.contains(player);
                // Who was in that game and has left it does not come again.
                let is_other = *player != seeker.user;
                named && is_other && !seeker.blocked.contains(player) && !self.blocks.has(*player, seeker.user)
            })
        })
    }

    fn send_to(&mut self, lease: Lease, tickets: Vec<u64>, places: Vec<Vec<Place>>, cx: &mut Context<'_>) {
        let match_id = MatchId(Shard::of_id(lease.allocation.0).id(cx.rng.next_u64()));
        if let Some(request) = self.requests.of.get_mut(&lease.allocation) {
            request.sent = Some(match_id);
        }
        for number in &tickets {
            self.stop_waiting(*number);
            if let Some(ticket) = self.tickets.get_mut(number) {
                ticket.state = State::Grouped(match_id);
            }
            self.tell_state(*number, cx);
        }
        self.groups.insert(match_id, Group::for_scene(self.domain.fleet.clone(), lease, tickets, places));
        let domain = self.name.clone();
        let players = self.players_of(match_id);
        cx.send(scene_master::Event::ReqFillSeats { match_id, domain, lease, players });
        self.group_until.set(match_id, cx.now.plus_ms(FILL_MS_MAX));
    }

    /// Those who were sent to a scene have their seats, or have not: then they wait again. Whether the scene wants
    /// more it says itself.
    fn filled(&mut self, match_id: MatchId, lease: Lease) {
        if let Some(request) = self.requests.of.get_mut(&lease.allocation)
            && request.sent == Some(match_id)
        {
            request.sent = None;
            request.openings.clear();
        }
    }

    /// A scene has taken those who were sent.
    pub(super) fn note_filled(&mut self, match_id: MatchId, lease: Lease, now: Time) {
        let request = self.requests.of.get(&lease.allocation).filter(|request| request.sent == Some(match_id));
        if let Some(request) = request {
            self.quality.note_fill(now.ms_since(request.since));
        }
        self.filled(match_id, lease);
    }

    /// A scene has not taken those who were sent, or has not said so in time: they wait again, as old as they are.
    pub(super) fn not_filled(&mut self, match_id: MatchId, lease: Lease, cx: &mut Context<'_>) {
        self.filled(match_id, lease);
        self.group_until.clear(&match_id);
        let Some(group) = self.groups.remove(&match_id) else { return };
        self.wait_again(&group.tickets, cx);
    }
}
