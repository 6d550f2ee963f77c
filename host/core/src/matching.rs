//! Match: one handler for each domain; groups waiting users into matches.
//!
//! A ticket is a user's, or a whole party's, which comes into one scene or into none. Its rating is the mean of its
//! users'.
//!
//! Invariant: a ticket is waiting (in the list) or being placed (in exactly one group), and every
//! ticket ends: by a match, by one of its users, or at the domain's limit of waiting. A user has one ticket.
//!
//! Main type: [`Match`]. Tickets are taken in the order of their requests. Candidates are those whose
//! rating lies within the seeker's range and in whose range the seeker lies; among them the choice
//! is uniformly random, so that the same two do not meet again and again. Ranges widen with
//! waiting. A group's match is answered only when its scene exists.

mod rating_list;
pub mod replay;

use std::collections::{BTreeSet, HashMap, VecDeque};

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
/// How long a group waits that SceneMaster has refused because it was not up, if it is up by now.
const ASK_AGAIN_MS: u64 = 1_000;
/// How many groups are remembered whose users were told their ways in; the oldest are forgotten first.
const MADE_MAX: usize = 10_000;
/// How long after a request its user hears of it again; doubles up to the maximum.
const UPDATE_MS: u64 = 1_000;
const UPDATE_MS_MAX: u64 = 8_000;

/// What a match handler can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A user, or a party, wants a match; each is told the state at once, and [`lobby::Event::ResMatch`] in the end.
    ReqMatch {
        /// The lobby's number for this search.
        ticket: u64,
        /// Who: one or more.
        seekers: Vec<Seeker>,
    },
    /// A user takes the search back, for all of its users; answered by [`lobby::Event::ResCancelMatch`].
    ReqCancelMatch {
        /// Who.
        user: UserId,
        /// Which search.
        ticket: u64,
        /// What the others of the party are told, by [`lobby::Event::ResMatch`].
        others: Refusal,
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

/// Who is to be matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seeker {
    /// Who.
    pub user: UserId,
    /// The display name.
    pub name: String,
    /// The rating in this domain.
    pub rating: i32,
    /// With whom the user will not play; but for those of the same ticket.
    pub blocked: BTreeSet<UserId>,
}

#[derive(Debug, Clone)]
struct Ticket {
    seekers: Vec<Seeker>,
    rating: i32,
    since: Time,
    /// When the users hear of the search again, and how long the next time takes.
    update_at: Time,
    update_ms: u64,
    /// The group that it is in, once there is one.
    group: Option<MatchId>,
}

#[derive(Debug, Clone)]
struct Group {
    tickets: Vec<u64>,
    attempts: u32,
    /// SceneMaster was not up: it is to be asked again, for the same.
    ask_again: bool,
}

/// The handler of one domain.
#[derive(Debug, Clone)]
pub struct Match {
    name: DomainName,
    domain: Domain,
    /// By the lobby's numbers.
    tickets: HashMap<u64, Ticket>,
    /// The ticket of each user.
    of: HashMap<UserId, u64>,
    /// The waiting tickets by rating.
    by_rating: RatingList,
    /// The waiting tickets, oldest first.
    by_age: BTreeSet<(Time, u64)>,
    groups: HashMap<MatchId, Group>,
    placing: Deadlines<MatchId>,
    /// The groups whose users were told their ways in, the oldest first.
    made: VecDeque<MatchId>,
    round_at: Option<Time>,
    /// What a match needs and is down.
    down: BTreeSet<ServiceName>,
}

impl Service for Match {
    type Event = Event;

    fn step(&mut self, event: Event, cx: &mut Context<'_>) {
        match event {
            Event::ReqMatch { ticket, seekers } => self.req_match(ticket, seekers, cx),
            Event::ReqCancelMatch { user, ticket, others } => self.req_cancel_match(user, ticket, &others, cx),
            Event::ResCreateScene { match_id, result } => self.res_create_scene(match_id, result, cx),
            Event::Service {
                service: service @ (ServiceName::SceneMaster | ServiceName::Db | ServiceName::Match),
                up,
            } => {
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
            of: HashMap::new(),
            by_rating: RatingList::default(),
            by_age: BTreeSet::new(),
            groups: HashMap::new(),
            placing: Deadlines::default(),
            made: VecDeque::new(),
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
        match self.of.get(&user).and_then(|number| self.tickets.get(number)) {
            None => "none",
            Some(Ticket { group: None, .. }) => "Waiting",
            Some(Ticket { group: Some(_), .. }) => "Placing",
        }
    }

    fn req_match(&mut self, number: u64, seekers: Vec<Seeker>, cx: &mut Context<'_>) {
        if self.tickets.contains_key(&number) {
            return self.tell_state(number, cx);
        }
        if let Err(refusal) = self.may_wait(&seekers) {
            return end(&seekers, number, &refusal, cx);
        }
        // The lobby knows of one search a user; a newer one takes the place of the older.
        let older: BTreeSet<u64> = seekers.iter().filter_map(|seeker| self.of.get(&seeker.user)).copied().collect();
        for older in older {
            self.give_up(older, &Refusal::Busy("one of you is looking for another match"), cx);
        }
        let ticket = Ticket {
            rating: mean_rating(&seekers),
            seekers,
            since: cx.now,
            update_at: cx.now.plus_ms(UPDATE_MS),
            update_ms: UPDATE_MS,
            group: None,
        };
        self.of.extend(ticket.seekers.iter().map(|seeker| (seeker.user, number)));
        self.tickets.insert(number, ticket);
        self.wait(number);
        self.tell_state(number, cx);
        self.seek(number, cx);
        self.plan_round(cx);
    }

    /// Whether these may wait for a match.
    fn may_wait(&self, seekers: &[Seeker]) -> Result<(), Refusal> {
        let ticket = |seeker: &Seeker| self.of.get(&seeker.user).and_then(|number| self.tickets.get(number));
        if seekers.iter().filter_map(ticket).any(|ticket| ticket.group.is_some()) {
            return Err(Refusal::Busy("your last match is still being made"));
        }
        if seekers.len() > self.domain.players_max as usize {
            let players_max = self.domain.players_max;
            return Err(Refusal::Invalid(format!("your party is too large: this game takes {players_max} players")));
        }
        if self.tickets.len() >= self.domain.tickets_max {
            return Err(Refusal::Overloaded("searches in this domain"));
        }
        self.down.first().map_or(Ok(()), |service| Err(Refusal::ServiceDown(*service)))
    }

    fn req_cancel_match(&mut self, user: UserId, number: u64, others: &Refusal, cx: &mut Context<'_>) {
        let ticket = self.tickets.get(&number).filter(|ticket| ticket.seekers.iter().any(|it| it.user == user));
        let result = match ticket {
            Some(ticket) if ticket.group.is_some() => Err(Refusal::Busy("the match is already made")),
            Some(_) => {
                let mut seekers = self.remove(number);
                seekers.retain(|seeker| seeker.user != user);
                end(&seekers, number, others, cx);
                Ok(())
            }
            // No such search: it is as wished.
            None => Ok(()),
        };
        cx.send(lobby::Event::ResCancelMatch { user, ticket: number, result });
    }

    /// Makes a group around this ticket if there is one to be made.
    fn seek(&mut self, seeker: u64, cx: &mut Context<'_>) {
        if self.down.contains(&ServiceName::SceneMaster) {
            return; // It waits until scenes can be made again.
        }
        let Some(ticket) = self.tickets.get(&seeker).filter(|ticket| ticket.group.is_none()) else { return };
        let waited_ms = cx.now.ms_since(ticket.since);
        let (rating, range) = (ticket.rating, self.domain.range_after(waited_ms));
        let (players_min, players_max) = (self.domain.players_min as usize, self.domain.players_max as usize);
        let mut players = ticket.seekers.len();

        let size = |number: &u64| self.tickets[number].seekers.len();
        let in_range = self.by_rating.within(rating, range);
        let mut candidates: Vec<u64> = in_range
            .iter()
            .map(|(_, other)| *other)
            .filter(|other| *other != seeker && players + size(other) <= players_max)
            .filter(|other| self.accepts(*other, rating, cx.now) && !self.blocks(*other, seeker))
            .collect();
        if players + candidates.iter().map(size).sum::<usize>() < players_min {
            return;
        }
        let mut group = vec![seeker];
        while players < players_max && !candidates.is_empty() {
            let chosen = candidates.swap_remove(cx.rng.random_range(0..candidates.len()));
            let fits = players + size(&chosen) <= players_max;
            // Who was chosen before has the same right as who seeks.
            if fits && !group.iter().any(|other| self.blocks(chosen, *other)) {
                players += size(&chosen);
                group.push(chosen);
            }
        }
        // Seats are in the order in which users came, as far as that is known.
        group.rotate_left(1);
        let filled = players == players_max;
        if filled || (players >= players_min && waited_ms >= self.domain.fill_ms) {
            self.place(group, 1, cx);
        }
    }

    /// Whether somebody of one of two waiting tickets will not play with somebody of the other.
    fn blocks(&self, one: u64, other: u64) -> bool {
        let (one, other) = (&self.tickets[&one].seekers, &self.tickets[&other].seekers);
        let block = |these: &[Seeker], those: &[Seeker]| {
            these.iter().any(|this| those.iter().any(|that| this.blocked.contains(&that.user)))
        };
        block(one, other) || block(other, one)
    }

    /// Whether a waiting ticket would play with one of this rating by now.
    fn accepts(&self, number: u64, rating: i32, now: Time) -> bool {
        let ticket = &self.tickets[&number];
        let range = self.domain.range_after(now.ms_since(ticket.since));
        ticket.rating.abs_diff(rating) <= range
    }

    fn place(&mut self, tickets: Vec<u64>, attempts: u32, cx: &mut Context<'_>) {
        let match_id = MatchId(cx.rng.next_u64());
        for number in &tickets {
            self.stop_waiting(*number);
            if let Some(ticket) = self.tickets.get_mut(number) {
                ticket.group = Some(match_id);
            }
            self.tell_state(*number, cx);
        }
        self.groups.insert(match_id, Group { tickets, attempts, ask_again: false });
        self.ask_for_scene(match_id, cx);
    }

    /// Asks for a group's scene, for the first time or again: there is one scene for the group at most.
    fn ask_for_scene(&mut self, match_id: MatchId, cx: &mut Context<'_>) {
        let Some(group) = self.groups.get_mut(&match_id) else { return };
        group.ask_again = false;
        let seekers = group.tickets.iter().filter_map(|number| self.tickets.get(number)).flat_map(|it| &it.seekers);
        let players = seekers.map(|seeker| scene_master::Matched {
            user: seeker.user,
            name: seeker.name.clone(),
            rating: seeker.rating,
            team: 0,
        });
        cx.send(scene_master::Event::ReqCreateScene {
            match_id,
            domain: self.name.clone(),
            fleet: self.domain.fleet.clone(),
            players: players.collect(),
        });
        self.placing.set(match_id, cx.now.plus_ms(PLACE_MS_MAX));
    }

    fn res_create_scene(
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
        if result.is_err() && self.down.contains(&ServiceName::SceneMaster) {
            return; // It is asked again when it is up.
        }
        if matches!(result, Err(Refusal::ServiceDown(ServiceName::SceneMaster))) {
            group.ask_again = true;
            return self.placing.set(match_id, cx.now.plus_ms(ASK_AGAIN_MS));
        }
        self.placing.clear(&match_id);
        let Some(group) = self.groups.remove(&match_id) else { return };
        match result {
            Ok(entries) => self.tell_made(match_id, group, entries, cx),
            Err(refusal) if group.attempts >= PLACE_ATTEMPTS_MAX || !self.down.is_empty() => {
                let refusal = self.down.first().map_or(refusal, |service| Refusal::ServiceDown(*service));
                for number in group.tickets {
                    self.give_up(number, &refusal, cx);
                }
            }
            Err(_) => self.place(group.tickets, group.attempts + 1, cx),
        }
    }

    /// A group has its scene: its users are told their ways in.
    fn tell_made(&mut self, match_id: MatchId, group: Group, entries: Vec<(UserId, Entry)>, cx: &mut Context<'_>) {
        if self.made.len() >= MADE_MAX {
            self.made.pop_front();
        }
        self.made.push_back(match_id);
        for (user, entry) in entries {
            if let Some(ticket) = self.of.remove(&user) {
                cx.send(lobby::Event::ResMatch { user, ticket, result: Ok(entry) });
            }
        }
        // Who has lost the seat before the match was answered.
        for number in group.tickets {
            self.give_up(number, &Refusal::NoSeat, cx);
        }
    }

    /// Whoever waits is told that no scene can be made, but for SceneMaster, which is up again soon: tickets wait for
    /// that, and groups whose scenes it was making ask it again. While the store is down they are only late. If the
    /// handler of any domain was down, the lobby has ended the searches in all of them: nobody waits any more.
    fn service(&mut self, service: ServiceName, up: bool, cx: &mut Context<'_>) {
        if up {
            self.down.remove(&service);
            if service == ServiceName::SceneMaster {
                self.scene_master_up(cx);
            }
            return;
        }
        self.down.insert(service);
        match service {
            ServiceName::SceneMaster => return,
            ServiceName::Match => {
                self.groups.clear();
                self.placing = Deadlines::default();
            }
            _ => {}
        }
        let is_over = |ticket: &Ticket| ticket.group.is_none_or(|group| !self.groups.contains_key(&group));
        let mut over: Vec<u64> =
            self.tickets.iter().filter(|(_, ticket)| is_over(ticket)).map(|(number, _)| *number).collect();
        over.sort();
        for number in over {
            self.give_up(number, &Refusal::ServiceDown(service), cx);
        }
    }

    /// Groups that have no scene ask again. It counts as an attempt, in case it is their request that has brought
    /// SceneMaster down.
    fn scene_master_up(&mut self, cx: &mut Context<'_>) {
        let mut groups: Vec<MatchId> = self.groups.keys().copied().collect();
        groups.sort();
        for match_id in groups {
            let Some(group) = self.groups.get_mut(&match_id) else { continue };
            if group.attempts < PLACE_ATTEMPTS_MAX {
                group.attempts += 1;
                self.ask_for_scene(match_id, cx);
                continue;
            }
            self.placing.clear(&match_id);
            let tickets = self.groups.remove(&match_id).map(|group| group.tickets).unwrap_or_default();
            for number in tickets {
                self.give_up(number, &Refusal::ServiceDown(ServiceName::SceneMaster), cx);
            }
        }
        self.plan_round(cx);
    }

    /// A group has waited for its scene for as long as it may, or for the time to ask again.
    fn placing_due(&mut self, match_id: MatchId, cx: &mut Context<'_>) {
        let asks_again = self.groups.get(&match_id).is_some_and(|group| group.ask_again);
        if self.down.contains(&ServiceName::SceneMaster) {
            self.placing.set(match_id, cx.now.plus_ms(PLACE_MS_MAX));
        } else if asks_again {
            self.ask_for_scene(match_id, cx);
        } else {
            self.res_create_scene(match_id, Err(Refusal::TimedOut("making the scene")), cx);
        }
    }

    fn tick_at(&mut self, cx: &mut Context<'_>) {
        while let Some(match_id) = self.placing.pop_due(cx.now) {
            self.placing_due(match_id, cx);
        }
        if self.round_at.is_none_or(|at| at > cx.now) {
            return;
        }
        let oldest_first: Vec<u64> = self.by_age.iter().map(|(_, number)| *number).collect();
        for number in oldest_first {
            self.seek(number, cx);
            let Some(ticket) = self.tickets.get_mut(&number).filter(|ticket| ticket.group.is_none()) else { continue };
            if cx.now.ms_since(ticket.since) >= self.domain.wait_ms_max {
                self.give_up(number, &Refusal::NoMatch, cx);
            } else if ticket.update_at <= cx.now {
                ticket.update_ms = (ticket.update_ms * 2).min(UPDATE_MS_MAX);
                ticket.update_at = cx.now.plus_ms(ticket.update_ms);
                self.tell_state(number, cx);
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

    fn tell_state(&self, number: u64, cx: &mut Context<'_>) {
        let ticket = &self.tickets[&number];
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
        for seeker in &ticket.seekers {
            cx.send(lobby::Event::SynMatchState { user: seeker.user, ticket: number, state: state.clone() });
        }
    }

    /// Ends a ticket without a match; all of its users who still wait are told why.
    fn give_up(&mut self, number: u64, refusal: &Refusal, cx: &mut Context<'_>) {
        let seekers = self.remove(number);
        end(&seekers, number, refusal, cx);
    }

    fn wait(&mut self, number: u64) {
        let ticket = &self.tickets[&number];
        self.by_rating.insert(ticket.rating, number);
        self.by_age.insert((ticket.since, number));
    }

    fn stop_waiting(&mut self, number: u64) {
        if let Some(ticket) = self.tickets.get(&number) {
            self.by_rating.remove(ticket.rating, number);
            self.by_age.remove(&(ticket.since, number));
        }
    }

    /// Takes a ticket out. Its users who still wait.
    fn remove(&mut self, number: u64) -> Vec<Seeker> {
        self.stop_waiting(number);
        let mut seekers = self.tickets.remove(&number).map(|ticket| ticket.seekers).unwrap_or_default();
        seekers.retain(|seeker| self.of.remove(&seeker.user).is_some());
        seekers
    }
}

fn mean_rating(seekers: &[Seeker]) -> i32 {
    let sum: i64 = seekers.iter().map(|seeker| i64::from(seeker.rating)).sum();
    (sum / seekers.len().max(1) as i64) as i32
}

fn end(seekers: &[Seeker], ticket: u64, refusal: &Refusal, cx: &mut Context<'_>) {
    for seeker in seekers {
        cx.send(lobby::Event::ResMatch { user: seeker.user, ticket, result: Err(refusal.clone()) });
    }
}
