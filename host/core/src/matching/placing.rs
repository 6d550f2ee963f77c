//! A group of tickets that play together, until its users have their ways into a scene.
//!
//! Invariant: a group has a deadline, and ends by it: its users are told their ways in, or its tickets wait again, or
//! they are told why not.

use std::collections::BTreeSet;

use rand::RngExt;

use super::backfill::Lease;
use super::by_id::ById;
use super::domain::Property;
use super::pool::Gathering;
use super::quality::Made;
use super::search::Formation;
use super::teams::{Place, Teams};
use super::ticket::State;
use super::{Match, Ticket};
use crate::ids::{FleetName, MatchId, Time, UserId};
use crate::message::{Entry, ServiceName};
use crate::partition::{Partition, Shard};
use crate::refusal::Refusal;
use crate::{Context, lobby, scene_master};

/// How long SceneMaster may take to make a scene.
pub const PLACE_MS_MAX: u64 = 15_000;
/// How long a match that is being made waits for a store that is down: its scene is there only when that is up again.
pub const LATE_MS_MAX: u64 = 5_000;
/// How often a group may fail to get its scene before its users are told.
pub const PLACE_ATTEMPTS_MAX: u32 = 3;
/// How long a group waits that SceneMaster has refused because it was not up, if it is up by now.
const ASK_AGAIN_MS: u64 = 1_000;
/// How many groups are remembered whose users were told their ways in; the oldest are forgotten first.
const MADE_MAX: usize = 10_000;

/// Tickets that play together.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub tickets: Vec<u64>,
    /// For each ticket the places of its users; none in domains without teams.
    places: Vec<Vec<Place>>,
    /// Who has accepted, while its users are asked.
    pub accepted: Option<BTreeSet<UserId>>,
    /// Where it is to play; `None`: anywhere.
    region: Option<String>,
    /// What its users have agreed on: names and values of properties.
    choices: Vec<(String, String)>,
    /// How many places the game fills itself.
    bots: u32,
    /// The right of the running scene that it is sent to; `None`: it gets a scene of its own.
    pub lease: Option<Lease>,
    /// How likely the first of two teams wins.
    win_probability: Option<f64>,
    attempts: u32,
    /// The fleet of the scene that is asked for, also if the domain has another one by now: the match's id is of its
    /// shard.
    fleet: FleetName,
    /// SceneMaster was not up: it is to be asked again, for the same.
    ask_again: bool,
}

impl Group {
    /// Those who are sent to a running scene.
    pub fn for_scene(fleet: FleetName, lease: Lease, tickets: Vec<u64>, places: Vec<Vec<Place>>) -> Self {
        Self {
            fleet,
            tickets,
            places,
            accepted: None,
            region: None,
            choices: Vec::new(),
            bots: 0,
            lease: Some(lease),
            win_probability: None,
            attempts: 1,
            ask_again: false,
        }
    }

    /// Whether its users are asked whether they accept.
    pub fn is_accepting(&self) -> bool {
        self.accepted.is_some()
    }
}

impl Match {
    /// Makes a group of tickets that wait.
    pub(super) fn group(&mut self, formation: Formation, cx: &mut Context<'_>) {
        let Formation { gathering, mut tickets, places, win_probability, region } = formation;
        let fleet = self.domain.fleet.clone();
        let match_id = MatchId(Shard::of_fleet(&fleet).id(cx.rng.next_u64()));
        let mut places = self.by_ticket(&tickets, places);
        // Seats are in the order in which users came, as far as that is known.
        tickets.rotate_left(1);
        places.rotate_left(1);
        let group = Group {
            accepted: (self.domain.accept_ms > 0).then(BTreeSet::new),
            region: region.and_then(|region| self.domain.regions().get(region)).cloned(),
            choices: self.choices(&gathering, cx),
            bots: self.bots(&gathering),
            lease: None,
            win_probability,
            attempts: 1,
            ask_again: false,
            fleet,
            tickets: tickets.clone(),
            places,
        };
        for number in &tickets {
            self.stop_waiting(*number);
            if let Some(ticket) = self.tickets.get_mut(number) {
                ticket.state = State::Grouped(match_id);
            }
        }
        let asks = group.is_accepting();
        self.groups.insert(match_id, group);
        if asks {
            self.ask_to_accept(match_id, cx);
        } else {
            self.place(match_id, cx);
        }
    }

    /// The places of each ticket's users.
    fn by_ticket(&self, tickets: &[u64], places: Vec<Place>) -> Vec<Vec<Place>> {
        let mut places = places.into_iter();
        let users = |number: &u64| self.tickets.get(number).map_or(0, |ticket| ticket.seekers.len());
        tickets.iter().map(|number| places.by_ref().take(users(number)).collect()).collect()
    }

    /// Of each property that is common to a match one value that all want, at random.
    fn choices(&self, gathering: &Gathering, cx: &mut Context<'_>) -> Vec<(String, String)> {
        let common = self.domain.properties.iter().enumerate().filter(|(_, property)| property.common);
        let choice = |(i, property): (usize, &Property)| {
            let all_want = |bit: &usize| gathering.common[i] & (1 << bit) != 0;
            let wanted: Vec<usize> = (0..property.values.len()).filter(all_want).collect();
            let bit = *wanted.get(cx.rng.random_range(0..wanted.len().max(1)))?;
            Some((property.name.clone(), property.values[bit].clone()))
        };
        common.filter_map(choice).collect()
    }

    /// How many places the game fills itself, in a match that has fewer players than it needs.
    fn bots(&self, gathering: &Gathering) -> u32 {
        match gathering.users < self.domain.players_min {
            true => self.domain.players_max - gathering.users,
            false => 0,
        }
    }

    /// Tells a group's users that their scene is being made, and has it made.
    pub(super) fn place(&mut self, match_id: MatchId, cx: &mut Context<'_>) {
        let tickets = self.groups.get(&match_id).map(|group| group.tickets.clone()).unwrap_or_default();
        for number in tickets {
            self.tell_state(number, cx);
        }
        self.ask_for_scene(match_id, cx);
    }

    /// Asks for a group's scene, for the first time or again: there is one scene for the group at most.
    fn ask_for_scene(&mut self, match_id: MatchId, cx: &mut Context<'_>) {
        let Some(group) = self.groups.get_mut(&match_id) else { return };
        group.ask_again = false;
        let group = &*group;
        let players = players(group, &self.tickets, self.teams.as_ref());
        cx.send(scene_master::Event::ReqCreateScene {
            match_id,
            domain: self.name.clone(),
            fleet: group.fleet.clone(),
            players,
            choices: group.choices.clone(),
            region: group.region.clone(),
            bots: group.bots,
        });
        self.group_until.set(match_id, cx.now.plus_ms(PLACE_MS_MAX));
    }

    /// A group's users as SceneMaster has to know them.
    pub(super) fn players_of(&self, match_id: MatchId) -> Vec<scene_master::Matched> {
        let group = self.groups.get(&match_id);
        group.map_or_else(Vec::new, |group| players(group, &self.tickets, self.teams.as_ref()))
    }

    pub(super) fn res_create_scene(
        &mut self,
        match_id: MatchId,
        result: Result<Vec<(UserId, Entry)>, Refusal>,
        cx: &mut Context<'_>,
    ) {
        let Some(group) = self.groups.get_mut(&match_id) else {
            // A late answer of a group that was given up, perhaps by a handler before this one: nobody will come.
            if result.is_ok() && !self.made.contains(&match_id) {
                cx.send(scene_master::Event::ReqCancelScene { match_id });
            }
            return;
        };
        if group.is_accepting() {
            return cx.fault(format!("match {match_id}: an answer about a scene that was not asked for"));
        }
        if let Some(lease) = group.lease {
            if result.is_err() {
                return self.not_filled(match_id, lease, cx);
            }
            self.note_filled(match_id, lease, cx.now);
        }
        let Some(group) = self.groups.get_mut(&match_id) else { return };
        if result.is_err() && self.masters_down.has(Shard::of_id(match_id.0)) {
            return; // It is asked again when it is up.
        }
        if matches!(result, Err(Refusal::ServiceDown(ServiceName::SceneMaster))) {
            group.ask_again = true;
            return self.group_until.set(match_id, cx.now.plus_ms(ASK_AGAIN_MS));
        }
        self.group_until.clear(&match_id);
        let Some(group) = self.groups.remove(&match_id) else { return };
        match result {
            Ok(entries) => self.tell_made(match_id, group, entries, cx),
            // Trying again does not help until operators have done something.
            Err(refusal @ Refusal::Quarantined) => self.give_up_all(group.tickets, &refusal, cx),
            Err(refusal) if group.attempts >= PLACE_ATTEMPTS_MAX || !self.down.is_empty() => {
                let refusal = self.down.first().map_or(refusal, |service| Refusal::ServiceDown(*service));
                self.give_up_all(group.tickets, &refusal, cx);
            }
            Err(_) => self.try_again(group, cx),
        }
    }

    /// Another scene for a group whose first one could not be made.
    fn try_again(&mut self, group: Group, cx: &mut Context<'_>) {
        let fleet = self.domain.fleet.clone();
        let match_id = MatchId(Shard::of_fleet(&fleet).id(cx.rng.next_u64()));
        for number in &group.tickets {
            if let Some(ticket) = self.tickets.get_mut(number) {
                ticket.state = State::Grouped(match_id);
            }
        }
        self.groups.insert(match_id, Group { attempts: group.attempts + 1, fleet, ..group });
        self.place(match_id, cx);
    }

    /// A group has its scene: its users are told their ways in.
    fn tell_made(&mut self, match_id: MatchId, group: Group, entries: Vec<(UserId, Entry)>, cx: &mut Context<'_>) {
        if self.made.len() >= MADE_MAX {
            self.made.pop_front();
        }
        self.made.push_back(match_id);
        self.note_made(&group, cx);
        for (user, entry) in entries {
            if let Some(ticket) = self.of.remove(&user) {
                cx.send(lobby::Event::ResMatch { user, ticket, result: Ok(entry) });
            }
        }
        // Who has lost the seat before the match was answered.
        self.give_up_all(group.tickets, &Refusal::NoSeat, cx);
    }

    /// What is to be remembered of a match.
    fn note_made(&mut self, group: &Group, cx: &Context<'_>) {
        self.counts.matches += 1;
        let of = |number: &u64| self.tickets.get(number).map(Box::as_ref);
        for ticket in group.tickets.iter().filter_map(of) {
            let (users, waited_ms) = (ticket.seekers.len(), cx.now.ms_since(ticket.since));
            self.waits.note(ticket.rating, waited_ms, ticket.told_ms);
            self.quality.note_wait(ticket.rating, users, group.region.as_deref(), waited_ms);
            for seeker in ticket.seekers.iter().filter(|seeker| !seeker.blocked.is_empty()) {
                self.blocks.note(seeker.user, seeker.blocked.clone(), cx.now);
            }
        }
        if group.lease.is_some() {
            return;
        }
        self.counts.bots += u64::from(group.bots);
        self.quality.note_made(self.made_of(group, cx.now));
        let users = |ticket: &Ticket| ticket.seekers.iter().map(|seeker| seeker.user).collect();
        let tickets: Vec<Vec<UserId>> = group.tickets.iter().filter_map(of).map(users).collect();
        self.met.note(&tickets, cx.now, self.domain.recent);
    }

    /// What a match is like that is made now.
    fn made_of(&self, group: &Group, now: Time) -> Made {
        let tickets: Vec<&Ticket> =
            group.tickets.iter().filter_map(|number| self.tickets.get(number).map(Box::as_ref)).collect();
        let ratings = || tickets.iter().map(|ticket| ticket.rating);
        let one_each = tickets.len() == 2 && group.places.iter().all(Vec::is_empty) && self.domain.players_max == 2;
        let of_two = || win_probability(f64::from(tickets[0].rating), f64::from(tickets[1].rating));
        let met = |user: UserId| self.met.by(user, now, self.domain.recent);
        // Whom somebody met is in all of the tickets' memories, so it is enough to ask the first.
        let rematch = tickets.first().is_some_and(|first| {
            let others = |user: UserId| tickets[1..].iter().any(|ticket| ticket.has(user));
            first.seekers.iter().any(|seeker| met(seeker.user).any(others))
        });
        Made {
            spread: ratings().max().unwrap_or(0).abs_diff(ratings().min().unwrap_or(0)),
            win_probability: group.win_probability.or_else(|| one_each.then(of_two)),
            rematch,
        }
    }

    /// Nobody is there any more who could be told of a scene that is being made.
    pub(super) fn cancel_all(&self, cx: &mut Context<'_>) {
        let placing = self.groups.iter().filter(|(_, group)| !group.is_accepting());
        let mut placing: Vec<MatchId> = placing.map(|(match_id, _)| *match_id).collect();
        placing.sort();
        for match_id in placing {
            cx.send(scene_master::Event::ReqCancelScene { match_id });
        }
    }

    pub(super) fn give_up_all(&mut self, tickets: Vec<u64>, refusal: &Refusal, cx: &mut Context<'_>) {
        for number in tickets {
            self.give_up(number, refusal, cx);
        }
    }

    /// The store is down: scenes that are being made are late, and nobody waits for long.
    pub(super) fn wait_for_store(&mut self, cx: &Context<'_>) {
        let until = cx.now.plus_ms(LATE_MS_MAX);
        for (match_id, _) in self.groups.iter().filter(|(_, group)| !group.is_accepting()) {
            if self.group_until.get(match_id).is_none_or(|planned| planned > until) {
                self.group_until.set(*match_id, until);
            }
        }
    }

    /// Groups that have no scene ask again. It counts as an attempt, in case it is their request that has brought
    /// SceneMaster down.
    pub(super) fn scene_master_up(&mut self, partition: Partition, cx: &mut Context<'_>) {
        let of_partition = self.groups.keys().filter(|match_id| partition.has(Shard::of_id(match_id.0)));
        let mut groups: Vec<MatchId> = of_partition.copied().collect();
        groups.sort();
        for match_id in groups {
            let Some(group) = self.groups.get_mut(&match_id).filter(|group| !group.is_accepting()) else { continue };
            if let Some(lease) = group.lease {
                self.not_filled(match_id, lease, cx);
                continue;
            }
            if group.attempts < PLACE_ATTEMPTS_MAX {
                group.attempts += 1;
                self.ask_for_scene(match_id, cx);
                continue;
            }
            self.group_until.clear(&match_id);
            let tickets = self.groups.remove(&match_id).map(|group| group.tickets).unwrap_or_default();
            self.give_up_all(tickets, &Refusal::ServiceDown(ServiceName::SceneMaster), cx);
        }
    }

    /// A group's deadline has come: for accepting, for its scene, or to ask again.
    pub(super) fn group_due(&mut self, match_id: MatchId, cx: &mut Context<'_>) {
        let Some(group) = self.groups.get(&match_id) else { return };
        if group.is_accepting() {
            self.not_accepted(match_id, cx);
        } else if let Some(lease) = group.lease {
            // Whether it was done is not known: seats that are held are given back, before their users get others.
            cx.send(scene_master::Event::ReqCancelScene { match_id });
            self.not_filled(match_id, lease, cx);
        } else if self.down.contains(&ServiceName::Db) {
            // A scene that is there after all ends when it is told of.
            let tickets = self.groups.remove(&match_id).map(|group| group.tickets).unwrap_or_default();
            self.give_up_all(tickets, &Refusal::ServiceDown(ServiceName::Db), cx);
        } else if self.masters_down.has(Shard::of_id(match_id.0)) {
            self.group_until.set(match_id, cx.now.plus_ms(PLACE_MS_MAX));
        } else if group.ask_again {
            self.ask_for_scene(match_id, cx);
        } else {
            self.res_create_scene(match_id, Err(Refusal::TimedOut("making the scene".into())), cx);
        }
    }
}

/// How likely one of this rating wins against one of the other: Elo's curve.
fn win_probability(one: f64, other: f64) -> f64 {
    1.0 / (1.0 + 10f64.powf((other - one) / 400.0))
}

/// The users of a group as SceneMaster has to know them, in the order of their seats.
fn players(group: &Group, tickets: &ById<u64, Box<Ticket>>, teams: Option<&Teams>) -> Vec<scene_master::Matched> {
    let mut players = Vec::new();
    for (party, (number, places)) in (0..).zip(group.tickets.iter().zip(&group.places)) {
        let seekers = tickets.get(number).map(|ticket| ticket.seekers.as_slice()).unwrap_or_default();
        for (i, seeker) in seekers.iter().enumerate() {
            let place = places.get(i);
            let role = place.and_then(|place| teams?.roles().get(usize::from(place.role?)));
            players.push(scene_master::Matched {
                user: seeker.user,
                name: seeker.name.clone(),
                rating: seeker.rating,
                team: place.map_or(0, |place| place.team),
                role: role.map(ToString::to_string),
                party,
            });
        }
    }
    players
}
