//! Match: one handler for each domain; groups waiting users into matches.
//!
//! | module | what it holds |
//! |---|---|
//! | [`domain`], [`hours`] | what an operator decides |
//! | [`ticket`] | what users bring to a search |
//! | [`pool`], with its `shelves`, bins, `glance` and `rows` | the index: who may play together, as far as numbers say |
//! | `wheel` | when waiting tickets look again |
//! | `search` | a ticket looks for its match |
//! | [`teams`] | a match is divided into teams |
//! | [`rule`], `judge` | the game's own conditions, and how they are asked |
//! | `accepting`, `placing` | what becomes of a group: it is accepted, and gets its scene |
//! | `care` | whom users met lately, and who did not accept |
//! | [`backfill`], `filling` | running scenes get the players that they want |
//! | `change` | the domain is changed while tickets wait, or they all end |
//! | `handing` | the domain is given to the handler of another node |
//! | `work` | how much is done in one step |
//! | `waits`, `telling` | what users are told of their search |
//! | `quality` | what operators see of waits and matches |
//! | [`replay`] | recorded searches, replayed: how long users waited and how good their games were |
//!
//! A ticket is a user's, or a whole party's, which comes into one scene or into none.
//!
//! Invariant: a ticket waits (in the pool), is away (one of its users is not here), or is in exactly one group, and
//! every ticket ends: by a match, by one of its users, or at the domain's limit of waiting. A user has one ticket.
//!
//! Main type: [`Match`]. A ticket looks for others when it comes, and again as its range widens; who has waited
//! longest looks first. Among those who may play with it the choice is uniformly random, so that the same two do not
//! meet again and again. A group's match is answered only when its scene exists.

mod accepting;
pub mod backfill;
mod bins;
mod by_id;
mod care;
mod change;
pub mod domain;
mod filling;
mod glance;
mod handing;
pub mod hours;
mod judge;
mod placing;
pub mod pool;
mod quality;
pub mod replay;
mod rows;
pub mod rule;
mod search;
mod shelves;
pub mod teams;
mod telling;
pub mod ticket;
mod waits;
mod wheel;
mod work;

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::deadlines::Deadlines;
use crate::ids::{DomainName, MatchId, Time, UserId};
use crate::message::{Entry, ServiceName};
use crate::partition::{Down, Partition};
use crate::refusal::Refusal;
use crate::{Context, Meter, Service, lobby};
use backfill::{Lease, Opening};
use by_id::ById;
use care::{Blocks, Declined, Met};
use change::{Ending, Leaving};
use domain::Domain;
use filling::{Requests, Wanted};
use handing::Handing;
use judge::Judge;
use placing::Group;
use pool::{Pool, Slot};
use quality::Quality;
use rule::Rule;
use teams::Teams;
use ticket::{State, Ticket};
use waits::Waits;
use wheel::Wheel;
use work::Work;

pub use handing::{HAND_OVER_MS_MAX, HEARD_MS_MAX};
pub use judge::{FAULTS_MAX, REST_MS};
pub use placing::{LATE_MS_MAX, PLACE_ATTEMPTS_MAX, PLACE_MS_MAX};
pub use search::{ROUND_MS, ROUND_MS_MAX};
pub use ticket::{Seeker, Wish};

/// What a match handler can be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A user, or a party, wants a match; each is told the state at once, and [`lobby::Event::ResMatch`] in the end.
    ReqMatch {
        /// The lobby's number for this search.
        ticket: u64,
        /// Who: one or more.
        seekers: Vec<Seeker>,
        /// How long they have waited already, in milliseconds: with a handler before this one.
        #[serde(default)]
        waited_ms: u64,
        /// Who of them is not here now.
        #[serde(default)]
        away: BTreeSet<UserId>,
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
    /// A user says whether to play the match that was found; all are told how it stands.
    ReqAcceptMatch {
        /// Who.
        user: UserId,
        /// Which search.
        ticket: u64,
        /// Whether.
        accepts: bool,
    },
    /// A user who searches has lost the connection, or is back.
    SynHere {
        /// Who.
        user: UserId,
        /// Which search.
        ticket: u64,
        /// Whether the user is here.
        here: bool,
    },
    /// SceneMaster's answer: the way in for each user of the group.
    ResCreateScene {
        /// Which group.
        match_id: MatchId,
        /// The ways in, or why there is no scene.
        result: Result<Vec<(UserId, Entry)>, Refusal>,
    },
    /// A running scene wants players; said again every [`backfill::HEARTBEAT_MS`] as long as it does. Answered by
    /// [`scene_master::Event::ReqFillSeats`], when there are some.
    ReqBackfill {
        /// The scene's right to them.
        lease: Lease,
        /// What is open now.
        openings: Vec<Opening>,
        /// Where the scene runs, if that is known.
        region: Option<String>,
        /// Who is inside, on the way, or was inside: none of these comes, nor whom one of them has blocked, or who has.
        players: Vec<UserId>,
        /// The mean of the ratings of those; `None`: anybody may come.
        rating: Option<i32>,
        /// When the scene began to ask.
        since: Time,
    },
    /// A scene wants no more players by this lease, or by one before it.
    SynBackfillEnded {
        /// Which.
        lease: Lease,
    },
    /// The operator has changed the domain, or its rule; whoever waits keeps its age.
    #[serde(skip)]
    Domain {
        /// What it is now.
        domain: Box<Domain>,
        /// The game's own conditions from now on.
        rule: Option<Rule>,
    },
    /// The domain is no more: whoever waits in it is told so.
    Removed,
    /// The domain goes to the handler of another node: this one makes no new groups, and says
    /// [`lobby::Event::ReqHandOver`] when those that it has made have their scenes.
    HandOver,
    /// The lobby has heard all that this handler has said, and puts the searches to the next one.
    ResHandOver,
    /// A service went up or down; handlers do not concern each other.
    Service {
        /// Which.
        service: ServiceName,
        /// Whether it is up now.
        up: bool,
    },
    /// A SceneMaster went up or down.
    SceneMaster {
        /// Whose scenes it has.
        partition: Partition,
        /// Whether it is up now.
        up: bool,
    },
    /// Time has passed.
    Tick,
}

/// The handler of one domain.
#[derive(Debug, Clone)]
pub struct Match {
    name: DomainName,
    domain: Domain,
    /// By the lobby's numbers.
    tickets: ById<u64, Box<Ticket>>,
    /// The ticket of each user.
    of: ById<UserId, u64>,
    /// How a match is divided, in domains with teams.
    teams: Option<Teams>,
    /// The game's own conditions.
    rule: Judge,
    /// The tickets that wait.
    pool: Pool,
    /// The names of the brackets that tickets are or were in; the first is the open one, without a name.
    brackets: Vec<String>,
    /// When they look again.
    wheel: Wheel<(Slot, u32)>,
    /// Those whose turn it is to look again, the oldest first: since when, its number, and its slot and turn.
    due: BTreeSet<(Time, u64, Slot, u32)>,
    /// Those that wait while one of their users is not here, and who of them is not; and until when.
    away: ById<u64, BTreeSet<UserId>>,
    away_until: Deadlines<u64>,
    groups: ById<MatchId, Group>,
    /// Until when groups may be accepted, or get their scenes.
    group_until: Deadlines<MatchId>,
    /// The groups whose users were told their ways in, the oldest first.
    made: VecDeque<MatchId>,
    /// The tickets that the domain's last change has not come to yet.
    refiling: Leaving,
    /// The tickets that end because the domain or a service is no more.
    ending: Ending,
    /// The scenes that want players.
    requests: Requests,
    met: Met,
    blocks: Blocks,
    declined: Declined,
    waits: Waits,
    quality: Quality,
    counts: Counts,
    /// What a match needs and is down.
    down: BTreeSet<ServiceName>,
    masters_down: Down,
    handing: Handing,
}

/// What has happened since the handler began, for its meters.
#[derive(Debug, Clone, Default)]
struct Counts {
    matches: u64,
    bots: u64,
    declined: u64,
    not_found: u64,
}

impl Service for Match {
    type Event = Event;

    fn step(&mut self, event: Event, cx: &mut Context<'_>) {
        let Some(event) = self.unless_handed_over(event, cx) else { return };
        match event {
            Event::ReqMatch { ticket, seekers, waited_ms, away } => {
                self.req_match(ticket, seekers, (waited_ms, away), cx);
            }
            Event::ReqCancelMatch { user, ticket, others } => self.req_cancel_match(user, ticket, &others, cx),
            Event::ReqAcceptMatch { user, ticket, accepts } => self.req_accept_match(user, ticket, accepts, cx),
            Event::SynHere { user, ticket, here } => self.syn_here(user, ticket, here, cx),
            Event::ResCreateScene { match_id, result } => self.res_create_scene(match_id, result, cx),
            Event::ReqBackfill { lease, openings, region, players, rating, since } => {
                self.req_backfill(Wanted { lease, openings, region, players, rating, since }, cx);
            }
            Event::SynBackfillEnded { lease } => self.backfill_ended(lease),
            Event::Domain { domain, rule } => self.change(*domain, rule, cx),
            Event::Service { service: ServiceName::SceneMaster, up } => self.scene_master(Partition::WHOLE, up, cx),
            Event::SceneMaster { partition, up } => self.scene_master(partition, up, cx),
            Event::Service { service: service @ (ServiceName::Db | ServiceName::Lobby), up } => {
                self.service(service, up, cx);
            }
            Event::Service { .. } => {}
            Event::Removed => self.removed(cx),
            Event::HandOver => self.begin_hand_over(cx),
            Event::ResHandOver => {} // Nobody has asked.
            Event::Tick => self.tick_at(cx),
        }
        self.hand_over_if_ready(cx);
    }

    fn tick() -> Event {
        Event::Tick
    }

    fn deadline(&self) -> Option<Time> {
        if self.handing.is_silent() {
            return self.handing.until();
        }
        // What was left over for the next step is to be done at once.
        let is_left = !(self.due.is_empty() && self.refiling.is_empty() && self.ending.is_empty());
        let left = is_left.then_some(Time(0));
        let of_groups = [self.group_until.next(), self.requests.next(), self.handing.until()];
        [left, self.wheel.next(), self.away_until.next()].into_iter().chain(of_groups).flatten().min()
    }

    fn store(up: bool) -> Option<Event> {
        Some(Event::Service { service: ServiceName::Db, up })
    }

    fn is_over(&self) -> bool {
        self.handing == Handing::Over
    }

    fn meters(&self) -> Vec<Meter> {
        let (told, kept) = self.waits.honesty();
        let mut meters = vec![
            Meter::now("scenehost_match_tickets", self.pool.len()).of("state", "waiting"),
            Meter::now("scenehost_match_tickets", self.away.len()).of("state", "away"),
            Meter::now("scenehost_match_groups", self.groups.len()),
            Meter::now("scenehost_match_backfill_requests", self.requests.len()),
            Meter::now("scenehost_match_recent_users", self.met.len()),
            Meter::total("scenehost_match_made_total", self.counts.matches),
            Meter::total("scenehost_match_bots_total", self.counts.bots),
            Meter::total("scenehost_match_declined_total", self.counts.declined),
            Meter::total("scenehost_match_not_found_total", self.counts.not_found),
            Meter::total("scenehost_match_usual_waits_told_total", told),
            Meter::total("scenehost_match_usual_waits_kept_total", kept),
        ];
        meters.extend(self.rule.meters());
        meters.extend(self.quality.meters());
        meters.into_iter().map(|meter| meter.of("domain", self.name.to_string())).collect()
    }
}

impl Match {
    /// The handler of a domain.
    pub fn new(name: DomainName, domain: Domain, rule: Option<Rule>) -> Self {
        Self {
            name,
            pool: Pool::new(&domain),
            teams: Teams::new(&domain.teams).ok(),
            rule: Judge::new(rule),
            domain,
            tickets: ById::default(),
            of: ById::default(),
            brackets: vec![String::new()],
            wheel: Wheel::default(),
            due: BTreeSet::new(),
            away: ById::default(),
            away_until: Deadlines::default(),
            groups: ById::default(),
            group_until: Deadlines::default(),
            made: VecDeque::new(),
            refiling: Leaving::default(),
            ending: Ending::default(),
            requests: Requests::default(),
            met: Met::default(),
            blocks: Blocks::default(),
            declined: Declined::default(),
            waits: Waits::default(),
            quality: Quality::default(),
            counts: Counts::default(),
            down: BTreeSet::new(),
            masters_down: Down::default(),
            handing: Handing::default(),
        }
    }

    /// How many tickets wait.
    pub fn waiting(&self) -> usize {
        self.pool.len() + self.away.len() + self.refiling.len() + self.ending.len()
    }

    /// How many bytes the index of the waiting tickets takes.
    pub fn index_bytes(&self) -> usize {
        self.pool.bytes() + self.wheel.bytes() + self.due.len() * size_of::<(Time, u64, Slot, u32)>()
    }

    /// The state of a user's ticket, for tables and logs.
    pub fn ticket_name(&self, user: UserId) -> &'static str {
        let ticket = self.of.get(&user).and_then(|number| self.tickets.get(number));
        match ticket.map(|ticket| ticket.state) {
            None => "none",
            Some(State::Waiting(_)) => "Waiting",
            Some(State::Away) => "Away",
            Some(State::Grouped(group)) => match self.groups.get(&group) {
                Some(group) if group.is_accepting() => "Accepting",
                _ => "Placing",
            },
        }
    }

    fn req_match(
        &mut self,
        number: u64,
        seekers: Vec<Seeker>,
        (waited_ms, away): (u64, BTreeSet<UserId>),
        cx: &mut Context<'_>,
    ) {
        if self.tickets.contains_key(&number) {
            return self.tell_state(number, cx);
        }
        let since = Time(cx.now.0.saturating_sub(waited_ms));
        let ticket = match self.may_wait(&seekers, since, cx.now) {
            Ok(()) => self.ticket(number, seekers, since, cx),
            Err(refusal) => return end(&seekers, number, &refusal, cx),
        };
        let mut ticket = match ticket {
            Ok(ticket) => ticket,
            Err((refusal, seekers)) => return end(&seekers, number, &refusal, cx),
        };
        // The lobby knows of one search a user; a newer one takes the place of the older.
        let older: BTreeSet<u64> =
            ticket.seekers.iter().filter_map(|seeker| self.of.get(&seeker.user)).copied().collect();
        for older in older {
            self.give_up(older, &Refusal::Busy("one of you is looking for another match".into()), cx);
        }
        let users = ticket.seekers.iter().map(|seeker| seeker.user);
        ticket.avoids = users.flat_map(|user| self.met.by(user, cx.now, self.domain.recent)).collect();
        ticket.avoids.retain(|user| !ticket.seekers.iter().any(|seeker| seeker.user == *user));
        ticket.told_ms = self.waits.usual_ms(ticket.rating);
        self.of.extend(ticket.seekers.iter().map(|seeker| (seeker.user, number)));
        let away: BTreeSet<UserId> = away.into_iter().filter(|user| ticket.has(*user)).collect();
        self.tickets.insert(number, Box::new(ticket));
        if away.is_empty() {
            self.wait(number, cx.now);
        } else {
            self.wait_away(number, away);
        }
        self.tell_update(number, cx);
        self.seek(number, cx);
    }

    /// Whether these may wait for a match, for which they have asked then.
    fn may_wait(&self, seekers: &[Seeker], since: Time, now: Time) -> Result<(), Refusal> {
        let ticket = |seeker: &Seeker| self.of.get(&seeker.user).and_then(|number| self.tickets.get(number));
        if seekers.iter().filter_map(ticket).any(|ticket| !self.is_in_no_group(ticket)) {
            return Err(Refusal::Busy("your last match is still being made".into()));
        }
        self.fits(seekers)?;
        if let Some(opens) = hours::opens(&self.domain.open, since) {
            return Err(Refusal::Closed { opens });
        }
        let left_ms = seekers.iter().map(|seeker| self.declined.left_ms(seeker.user, now)).max().unwrap_or(0);
        if left_ms > 0 {
            return Err(Refusal::TooOften {
                what: "matches that you or your party did not accept".into(),
                ms: left_ms,
            });
        }
        if self.tickets.len() >= self.domain.tickets_max {
            return Err(Refusal::Overloaded("searches in this domain".into()));
        }
        self.down.first().map_or(Ok(()), |service| Err(Refusal::ServiceDown(*service)))
    }

    /// Whether so many users fit into a match, in one team if there are any.
    fn fits(&self, seekers: &[Seeker]) -> Result<(), Refusal> {
        let party_max = self.domain.party_max();
        match seekers.len() > party_max as usize {
            true => Err(Refusal::Invalid(format!("your party is too large: this game takes {party_max} players"))),
            false => Ok(()),
        }
    }

    fn req_cancel_match(&mut self, user: UserId, number: u64, others: &Refusal, cx: &mut Context<'_>) {
        let ticket = self.tickets.get(&number).filter(|ticket| ticket.has(user));
        let group = match ticket.map(|ticket| ticket.state) {
            Some(State::Grouped(group)) if self.groups.contains_key(&group) => Some(group),
            _ => None,
        };
        let result = match (ticket, group) {
            (Some(_), Some(group)) if self.groups.get(&group).is_some_and(Group::is_accepting) => {
                self.decline(group, &[user], others, cx);
                Ok(())
            }
            (Some(_), Some(_)) => Err(Refusal::Busy("the match is already made".into())),
            (Some(_), None) => {
                let mut seekers = self.remove(number);
                seekers.retain(|seeker| seeker.user != user);
                end(&seekers, number, others, cx);
                Ok(())
            }
            // No such search: it is as wished.
            (None, _) => Ok(()),
        };
        cx.send(lobby::Event::ResCancelMatch { user, ticket: number, result });
    }

    /// A ticket whose users are not all here stays, with its age, and is in no match.
    fn syn_here(&mut self, user: UserId, number: u64, here: bool, cx: &mut Context<'_>) {
        let Some(ticket) = self.tickets.get(&number).filter(|ticket| ticket.has(user)) else { return };
        match (here, ticket.state) {
            (false, State::Waiting(_)) => {
                self.stop_waiting(number);
                self.wait_away(number, BTreeSet::from([user]));
            }
            (false, State::Away) => _ = self.away.get_mut(&number).map(|users| users.insert(user)),
            (true, State::Away) => {
                let Some(users) = self.away.get_mut(&number) else { return };
                users.remove(&user);
                if users.is_empty() {
                    self.stop_waiting(number);
                    self.wait(number, cx.now);
                    self.seek(number, cx);
                }
            }
            // Who does not come back does not accept either; and a match that is made is waited for in its scene.
            (_, State::Grouped(_)) | (true, State::Waiting(_)) => {}
        }
    }

    /// What its time has come for, in the order of what cannot wait.
    fn tick_at(&mut self, cx: &mut Context<'_>) {
        let mut work = Work::default();
        while work.goes_on()
            && let Some(match_id) = self.group_until.pop_due(cx.now)
        {
            work.done(Work::GROUP);
            self.group_due(match_id, cx);
        }
        while work.goes_on()
            && let Some(number) = self.away_until.pop_due(cx.now)
        {
            work.done(Work::END);
            self.not_found(number, cx);
        }
        self.requests.expire(cx.now);
        // Beside that those look again who wait.
        work.half(|work| {
            self.end_some(work, cx);
            self.refile_some(work, cx);
        });
        self.wake_some(&mut work, cx);
    }

    /// A ticket has waited for as long as it may.
    fn not_found(&mut self, number: u64, cx: &mut Context<'_>) {
        if let Some(ticket) = self.tickets.get(&number) {
            self.counts.not_found += 1;
            self.waits.note(ticket.rating, cx.now.ms_since(ticket.since), ticket.told_ms);
        }
        self.give_up(number, &Refusal::NoMatch, cx);
    }

    /// Ends a ticket without a match; all of its users who still wait are told why.
    fn give_up(&mut self, number: u64, refusal: &Refusal, cx: &mut Context<'_>) {
        let seekers = self.remove(number);
        end(&seekers, number, refusal, cx);
    }

    /// Puts a ticket into the pool. It looks for others when its time comes.
    fn wait(&mut self, number: u64, now: Time) {
        let Some(ticket) = self.tickets.get_mut(&number) else { return };
        let waited_ms = now.ms_since(ticket.since);
        let waiting = pool::Waiting {
            number,
            since: ticket.since,
            regions: self.domain.near(&ticket.round_trips, waited_ms),
            rating: ticket.rating,
            users: ticket.seekers.len() as u32,
            bracket: ticket.bracket,
            careful: ticket.is_careful(),
        };
        let slot = self.pool.insert(waiting, &ticket.marks, &ticket.round_trips);
        ticket.state = State::Waiting(slot);
        self.plan(slot, now);
    }

    /// A ticket waits without being in a match as long as these of its users are not here.
    fn wait_away(&mut self, number: u64, users: BTreeSet<UserId>) {
        let Some(ticket) = self.tickets.get_mut(&number) else { return };
        ticket.state = State::Away;
        self.away_until.set(number, ticket.since.plus_ms(self.domain.wait_ms_max));
        self.away.insert(number, users);
    }

    /// Where a ticket is in the pool, if it is there.
    fn slot_of(&self, number: u64) -> Option<Slot> {
        match self.tickets.get(&number)?.state {
            State::Waiting(slot) if self.pool.holds(slot, number) => Some(slot),
            _ => None,
        }
    }

    /// Takes a ticket out of wherever it waits; it is in a group then, or ends.
    fn stop_waiting(&mut self, number: u64) {
        let Some(ticket) = self.tickets.get_mut(&number) else { return };
        match std::mem::replace(&mut ticket.state, State::Away) {
            // One that a change of the domain has not come to yet is in no pool.
            State::Waiting(slot) if !self.pool.holds(slot, number) => {}
            State::Waiting(slot) => self.pool.remove(slot),
            State::Away => {
                self.away.remove(&number);
                self.away_until.clear(&number);
            }
            group @ State::Grouped(_) => ticket.state = group,
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

fn end(seekers: &[Seeker], ticket: u64, refusal: &Refusal, cx: &mut Context<'_>) {
    for seeker in seekers {
        cx.send(lobby::Event::ResMatch { user: seeker.user, ticket, result: Err(refusal.clone()) });
    }
}
