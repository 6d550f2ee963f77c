//! Match: one handler for each domain; groups waiting users into matches.
//!
//! Invariant: a ticket is waiting (in the list) or being placed (in exactly one group), and every
//! ticket ends: by a match, by its user, or at the domain's limit of waiting.
//!
//! Main type: [`Match`]. Users are taken in the order of their requests. Candidates are those whose
//! rating lies within the seeker's range and in whose range the seeker lies; among them the choice
//! is uniformly random, so that the same two do not meet again and again. Ranges widen with
//! waiting. A group's match is answered only when its scene exists.

mod rating_list;

use std::collections::{BTreeSet, HashMap};

use rand::RngExt;

use crate::config::Domain;
use crate::deadlines::Deadlines;
use crate::ids::{DomainName, MatchId, Time, UserId};
use crate::message::{Entry, MatchState, Searching, ServiceName};
use crate::refusal::Refusal;
use crate::{Context, Service, lobby, scene_master};
use rating_list::RatingList;

/// How often waiting tickets look again, as their ranges widen.
pub const ROUND_MS: u64 = 250;
/// How long SceneMaster may take to make a scene.
pub const PLACE_MS_MAX: u64 = 15_000;
/// How often a group may fail to get its scene before its users are told.
pub const PLACE_ATTEMPTS_MAX: u32 = 3;
/// How long after a request its user hears of it again; doubles up to the maximum.
const UPDATE_MS: u64 = 1_000;
const UPDATE_MS_MAX: u64 = 8_000;

/// What a match handler can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A user wants a match; answered by state at once and by [`lobby::Event::ResMatch`] in the end.
    ReqMatch {
        /// Who.
        user: UserId,
        /// The lobby's number for this search.
        ticket: u64,
        /// The display name.
        name: String,
        /// The rating in this domain.
        rating: i32,
        /// With whom the user will not play.
        blocked: BTreeSet<UserId>,
    },
    /// A user takes the search back; answered by [`lobby::Event::ResCancelMatch`].
    ReqCancelMatch {
        /// Who.
        user: UserId,
        /// Which search.
        ticket: u64,
    },
    /// SceneMaster's answer: the way in for each user of the group.
    ResCreateScene {
        /// Which group.
        match_id: MatchId,
        /// The ways in, or why there is no scene.
        result: Result<Vec<(UserId, Entry)>, Refusal>,
    },
    /// A service went up or down.
    Service {
        /// Which.
        service: ServiceName,
        /// Whether it is up now.
        up: bool,
    },
    /// Time has passed.
    Tick,
}

/// Who is to be matched, as the lobby says it.
struct Waiting {
    name: String,
    rating: i32,
    blocked: BTreeSet<UserId>,
}

#[derive(Debug, Clone)]
struct Ticket {
    number: u64,
    name: String,
    rating: i32,
    blocked: BTreeSet<UserId>,
    since: Time,
    /// When the user hears of the search again, and how long the next time takes.
    update_at: Time,
    update_ms: u64,
    /// The group that it is in, once there is one.
    group: Option<MatchId>,
}

#[derive(Debug, Clone)]
struct Group {
    users: Vec<UserId>,
    attempts: u32,
}

/// The handler of one domain.
#[derive(Debug, Clone)]
pub struct Match {
    name: DomainName,
    domain: Domain,
    tickets: HashMap<UserId, Ticket>,
    /// The waiting tickets by rating.
    by_rating: RatingList,
    /// The waiting tickets, oldest first.
    by_age: BTreeSet<(Time, UserId)>,
    groups: HashMap<MatchId, Group>,
    placing: Deadlines<MatchId>,
    round_at: Option<Time>,
    /// What a scene needs and is down.
    down: BTreeSet<ServiceName>,
}

impl Service for Match {
    type Event = Event;

    fn step(&mut self, event: Event, cx: &mut Context<'_>) {
        match event {
            Event::ReqMatch { user, ticket, name, rating, blocked } => {
                let waiting = Waiting { name, rating, blocked };
                self.req_match(user, ticket, waiting, cx);
            }
            Event::ReqCancelMatch { user, ticket } => self.req_cancel_match(user, ticket, cx),
            Event::ResCreateScene { match_id, result } => self.res_create_scene(match_id, result, cx),
            Event::Service { service: service @ (ServiceName::SceneMaster | ServiceName::Db), up } => {
                self.service(service, up, cx);
            }
            Event::Service { .. } => {}
            Event::Tick => self.tick_at(cx),
        }
    }

    fn tick() -> Event {
        Event::Tick
    }

    fn deadline(&self) -> Option<Time> {
        [self.round_at, self.placing.next()].into_iter().flatten().min()
    }

    fn store(up: bool) -> Option<Event> {
        Some(Event::Service { service: ServiceName::Db, up })
    }
}

impl Match {
    /// The handler of a domain.
    pub fn new(name: DomainName, domain: Domain) -> Self {
        Self {
            name,
            domain,
            tickets: HashMap::new(),
            by_rating: RatingList::default(),
            by_age: BTreeSet::new(),
            groups: HashMap::new(),
            placing: Deadlines::default(),
            round_at: None,
            down: BTreeSet::new(),
        }
    }

    /// How many tickets wait.
    pub fn waiting(&self) -> usize {
        self.by_age.len()
    }

    /// The state of a user's ticket, for tables and logs.
    pub fn ticket_name(&self, user: UserId) -> &'static str {
        match self.tickets.get(&user) {
            None => "none",
            Some(Ticket { group: None, .. }) => "Waiting",
            Some(Ticket { group: Some(_), .. }) => "Placing",
        }
    }

    fn req_match(&mut self, user: UserId, number: u64, waiting: Waiting, cx: &mut Context<'_>) {
        match self.tickets.get_mut(&user) {
            // The lobby knows of one search a user; a newer number replaces the older search.
            Some(ticket) if ticket.number != number && ticket.group.is_none() => self.remove(user),
            Some(ticket) if ticket.number != number => {
                return end(user, number, Refusal::Busy("your last match is still being made"), cx);
            }
            Some(_) => return self.tell_state(user, cx),
            None => {}
        }
        if self.tickets.len() >= self.domain.tickets_max {
            return end(user, number, Refusal::Overloaded("searches in this domain"), cx);
        }
        if let Some(service) = self.down.first() {
            return end(user, number, Refusal::ServiceDown(*service), cx);
        }
        let Waiting { name, rating, blocked } = waiting;
        let ticket = Ticket {
            number,
            name,
            rating,
            blocked,
            since: cx.now,
            update_at: cx.now.plus_ms(UPDATE_MS),
            update_ms: UPDATE_MS,
            group: None,
        };
        self.tickets.insert(user, ticket);
        self.wait(user);
        self.tell_state(user, cx);
        self.seek(user, cx);
        self.plan_round(cx);
    }

    fn req_cancel_match(&mut self, user: UserId, number: u64, cx: &mut Context<'_>) {
        let result = match self.tickets.get(&user) {
            Some(ticket) if ticket.number == number && ticket.group.is_some() => {
                Err(Refusal::Busy("the match is already made"))
            }
            Some(ticket) if ticket.number == number => {
                self.remove(user);
                Ok(())
            }
            // No such search: it is as wished.
            _ => Ok(()),
        };
        cx.send(lobby::Event::ResCancelMatch { user, ticket: number, result });
    }

    /// Makes a group around this user if there is one to be made.
    fn seek(&mut self, seeker: UserId, cx: &mut Context<'_>) {
        let Some(ticket) = self.tickets.get(&seeker).filter(|ticket| ticket.group.is_none()) else { return };
        let waited_ms = cx.now.ms_since(ticket.since);
        let (rating, range) = (ticket.rating, self.domain.range_after(waited_ms));
        let others_max = self.domain.players_max as usize - 1;
        let others_min = self.domain.players_min as usize - 1;

        let in_range = self.by_rating.within(rating, range);
        let mut candidates: Vec<UserId> = in_range
            .iter()
            .map(|(_, user)| *user)
            .filter(|user| *user != seeker && self.accepts(*user, rating, cx.now) && !self.blocks(*user, seeker))
            .collect();
        if candidates.len() < others_min {
            return;
        }
        let mut group = Vec::new();
        while group.len() < others_max && !candidates.is_empty() {
            let chosen = candidates.swap_remove(cx.rng.random_range(0..candidates.len()));
            // Who was chosen before has the same right as who seeks.
            if !group.iter().any(|other| self.blocks(chosen, *other)) {
                group.push(chosen);
            }
        }
        let filled = group.len() == others_max;
        if !filled && (group.len() < others_min || waited_ms < self.domain.fill_ms) {
            return;
        }
        group.push(seeker);
        self.place(group, 1, cx);
    }

    /// Whether one of two waiting users will not play with the other.
    fn blocks(&self, one: UserId, other: UserId) -> bool {
        self.tickets[&one].blocked.contains(&other) || self.tickets[&other].blocked.contains(&one)
    }

    /// Whether a waiting user would play with someone of this rating by now.
    fn accepts(&self, user: UserId, rating: i32, now: Time) -> bool {
        let ticket = &self.tickets[&user];
        let range = self.domain.range_after(now.ms_since(ticket.since));
        ticket.rating.abs_diff(rating) <= range
    }

    fn place(&mut self, users: Vec<UserId>, attempts: u32, cx: &mut Context<'_>) {
        let match_id = MatchId(cx.rng.next_u64());
        for user in &users {
            self.stop_waiting(*user);
            if let Some(ticket) = self.tickets.get_mut(user) {
                ticket.group = Some(match_id);
                let state = MatchState::Placing { domain: self.name.clone() };
                cx.send(lobby::Event::SynMatchState { user: *user, ticket: ticket.number, state });
            }
        }
        let players = users.iter().map(|user| {
            let ticket = &self.tickets[user];
            scene_master::Matched { user: *user, name: ticket.name.clone(), rating: ticket.rating, team: 0 }
        });
        cx.send(scene_master::Event::ReqCreateScene {
            match_id,
            domain: self.name.clone(),
            fleet: self.domain.fleet.clone(),
            players: players.collect(),
        });
        self.placing.set(match_id, cx.now.plus_ms(PLACE_MS_MAX));
        self.groups.insert(match_id, Group { users, attempts });
    }

    fn res_create_scene(
        &mut self,
        match_id: MatchId,
        result: Result<Vec<(UserId, Entry)>, Refusal>,
        cx: &mut Context<'_>,
    ) {
        // A late answer of a group that was given up: its scene ends when nobody comes.
        let Some(group) = self.groups.remove(&match_id) else { return };
        self.placing.clear(&match_id);
        match result {
            Ok(entries) => {
                for (user, entry) in entries {
                    if let Some(ticket) = self.tickets.remove(&user) {
                        cx.send(lobby::Event::ResMatch { user, ticket: ticket.number, result: Ok(entry) });
                    }
                }
            }
            Err(refusal) if group.attempts >= PLACE_ATTEMPTS_MAX || !self.down.is_empty() => {
                let refusal = self.down.first().map_or(refusal, |service| Refusal::ServiceDown(*service));
                for user in group.users {
                    self.give_up(user, refusal.clone(), cx);
                }
            }
            Err(_) => self.place(group.users, group.attempts + 1, cx),
        }
    }

    /// Whoever waits is told that no scene can be made. With SceneMaster the groups are gone whose scenes it
    /// was making; while the store is down these are only late.
    fn service(&mut self, service: ServiceName, up: bool, cx: &mut Context<'_>) {
        if up {
            self.down.remove(&service);
            return;
        }
        self.down.insert(service);
        if service == ServiceName::SceneMaster {
            self.groups.clear();
            self.placing = Deadlines::default();
        }
        let is_over = |ticket: &Ticket| ticket.group.is_none_or(|group| !self.groups.contains_key(&group));
        let mut users: Vec<UserId> =
            self.tickets.iter().filter(|(_, ticket)| is_over(ticket)).map(|(user, _)| *user).collect();
        users.sort();
        for user in users {
            self.give_up(user, Refusal::ServiceDown(service), cx);
        }
    }

    fn tick_at(&mut self, cx: &mut Context<'_>) {
        while let Some(match_id) = self.placing.pop_due(cx.now) {
            self.res_create_scene(match_id, Err(Refusal::TimedOut("making the scene")), cx);
        }
        if self.round_at.is_none_or(|at| at > cx.now) {
            return;
        }
        let oldest_first: Vec<UserId> = self.by_age.iter().map(|(_, user)| *user).collect();
        for user in oldest_first {
            self.seek(user, cx);
            let Some(ticket) = self.tickets.get_mut(&user).filter(|ticket| ticket.group.is_none()) else { continue };
            if cx.now.ms_since(ticket.since) >= self.domain.wait_ms_max {
                self.give_up(user, Refusal::NoMatch, cx);
            } else if ticket.update_at <= cx.now {
                ticket.update_ms = (ticket.update_ms * 2).min(UPDATE_MS_MAX);
                ticket.update_at = cx.now.plus_ms(ticket.update_ms);
                self.tell_state(user, cx);
            }
        }
        self.round_at = None;
        self.plan_round(cx);
    }

    fn plan_round(&mut self, cx: &Context<'_>) {
        if self.by_age.is_empty() {
            self.round_at = None;
        } else if self.round_at.is_none() {
            self.round_at = Some(cx.now.plus_ms(ROUND_MS));
        }
    }

    fn tell_state(&self, user: UserId, cx: &mut Context<'_>) {
        let ticket = &self.tickets[&user];
        let waited_ms = cx.now.ms_since(ticket.since);
        let state = match ticket.group {
            Some(_) => MatchState::Placing { domain: self.name.clone() },
            None => MatchState::Searching(Searching {
                domain: self.name.clone(),
                waited_ms,
                rating_range: self.domain.range_after(waited_ms),
                waiting: self.by_age.len() as u32,
                players_min: self.domain.players_min,
                players_max: self.domain.players_max,
            }),
        };
        cx.send(lobby::Event::SynMatchState { user, ticket: ticket.number, state });
    }

    fn give_up(&mut self, user: UserId, refusal: Refusal, cx: &mut Context<'_>) {
        if let Some(ticket) = self.tickets.get(&user) {
            let number = ticket.number;
            self.remove(user);
            end(user, number, refusal, cx);
        }
    }

    fn wait(&mut self, user: UserId) {
        let ticket = &self.tickets[&user];
        self.by_rating.insert(ticket.rating, user);
        self.by_age.insert((ticket.since, user));
    }

    fn stop_waiting(&mut self, user: UserId) {
        if let Some(ticket) = self.tickets.get(&user) {
            self.by_rating.remove(ticket.rating, user);
            self.by_age.remove(&(ticket.since, user));
        }
    }

    fn remove(&mut self, user: UserId) {
        self.stop_waiting(user);
        self.tickets.remove(&user);
    }
}

fn end(user: UserId, ticket: u64, refusal: Refusal, cx: &mut Context<'_>) {
    cx.send(lobby::Event::ResMatch { user, ticket, result: Err(refusal) });
}
