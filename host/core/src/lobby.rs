//! Lobby: users' connections, and what each user waits for.
//!
//! Invariant: a user is in exactly one phase, and every phase but `Idle` and a scene ends by an
//! answer, by the Down event of the service it waits for, or by its deadline.
//!
//! Main type: [`Lobby`]. A connection is fresh, then signing in, then a user's. A user has one
//! [`Line`], over at most one connection, the newest. A lost connection is a drop: everything is kept
//! for the grace period, and what is told meanwhile waits in the line's backlog. The end of the grace
//! period, a deliberate leave and the end of the session all lead to [`Lobby::log_out`]. A user who
//! has logged out is remembered only while in a scene or while a search is being taken back.

mod chat;
mod connections;
mod event;
mod handlers;
mod masters;
mod party;
mod presence;
mod requests;
mod scenes;
mod search;
mod seats;
mod services;
mod wish;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::auth::Identity;
use crate::backlog::Backlog;
use crate::db::Entered;
use crate::deadlines::Deadlines;
use crate::ids::{AllocationId, ConnectionId, DomainName, PartyId, SceneId, SessionId, Time, UserId};
use crate::line::{self, Line, Outcome, State};
use crate::matching::Wish;
use crate::matching::domain::Domain;
use crate::message::{Entry, MatchState, Notice, SceneEnded, ServiceName, ToUser};
use crate::partition::Partition;
use crate::rate::Buckets;
use crate::record::UserRecord;
use crate::refusal::Refusal;
use crate::{Context, Service, scene_master};
pub use chat::MODERATED_AT_ONCE_MAX;
pub use event::Event;
pub use handlers::NEXT_HANDLER_MS_MAX;
pub use party::{CHANGES_PER_10_S, CHECK_MS, CODES_PER_MINUTE, PARTY_PRESENCE_MS_MIN, REMOVALS_MAX};
pub use presence::{PRESENCE_DELAY_MS, PRESENCE_MS_MIN, Presence};
pub use requests::{CHANGES_PER_MINUTE, REQUESTS_PER_USER_MAX};
pub use scenes::{SCENE_ASKS_MAX, SCENE_ASKS_PER_10_S};
pub use wish::{Ask as MatchingAsk, DOMAINS_BYTES_MAX, Domains, MATCHING_ASKS_PER_10_S, WISH_NAMES_MAX};

/// How long a new connection may wait with its sign-in.
pub const FIRST_FRAME_MS_MAX: u64 = 10_000;
/// How long an answer of another service may take.
pub const ANSWER_MS_MAX: u64 = 8_000;
/// How much longer than its domain's limit a search may take before the lobby gives it up itself.
const SEARCH_MARGIN_MS: u64 = 30_000;
/// How many frames are kept for a user who may have missed them; for more, everything begins anew.
const BACKLOG_FRAMES_MAX: usize = 64;
/// How many bytes those frames may have, about.
const BACKLOG_BYTES_MAX: usize = 128 * 1_024;
/// The longest name that a domain may be asked for by.
const DOMAIN_CHARS_MAX: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Connection {
    /// The line is a user's when the sign-in is accepted, unless the user has one already.
    Fresh(Line),
    SigningIn {
        line: Line,
        request: u32,
        resume: Option<u32>,
    },
    /// Auth has accepted the sign-in; what the lobby has to know is to come, of Db and then of SceneMaster.
    Entering {
        line: Line,
        request: u32,
        resume: Option<u32>,
        identity: Box<Identity>,
        /// What the SceneMasters were asked, once they were.
        seat: Option<Box<seats::Sought>>,
    },
    Of(UserId),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Idle,
    /// MATCH_REQUESTED. `asked` is the request that the next word of the search answers, 0 if there is none: the one
    /// for the match, or for it to be accepted; `cancel` is the request that wants it back, 0 if nobody waits for the
    /// answer.
    Searching {
        domain: DomainName,
        ticket: u64,
        since: Time,
        asked: u32,
        cancel: Option<u32>,
    },
    /// On the way into a game in progress: the lobby's number, and the request until it is answered.
    Joining {
        scene: SceneId,
        number: u64,
        asked: u32,
    },
    InScene {
        scene: SceneId,
        domain: DomainName,
        rejoin: Option<u32>,
    },
}

#[derive(Debug, Clone)]
struct User {
    line: Line,
    /// What was told, with the request that it answers.
    backlog: Backlog<(u32, Notice)>,
    /// The highest number of a request on this line.
    last_request: u32,
    /// The session of the line.
    session: SessionId,
    record: UserRecord,
    /// What Db has told of the user; `None`: it was down.
    entered: Option<Entered>,
    /// Before this Db is not asked again for a user of whom it has told nothing.
    ask_again_at: Time,
    /// What the user knows of friends.
    watch: presence::Watch,
    /// What was asked of Db, by the lobby's number, and the user's.
    asked: BTreeMap<u64, u32>,
    phase: Phase,
    /// Whether the lobby knows if the user has a seat.
    seat: seats::Seat,
    /// What has ended last for a user who searches: the answer of Match about it may be still to come.
    over: Option<(AllocationId, SceneEnded)>,
    /// What the user brings to a search, and wants of it.
    wish: Wish,
    /// What was last told of the search, and when.
    match_state: Option<(Time, MatchState)>,
    /// The request that ends the session, until Auth has ended it.
    sign_out: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Connection(ConnectionId),
    Line(UserId),
    SignOut(UserId),
    User(UserId),
    Asked(UserId, u64),
    Scenes(UserId, u64),
    Moderated(u64),
    Presence(UserId),
    Party(PartyId),
    Check(PartyId),
    Absent(UserId),
    /// More of those who are not here are to be taken out.
    Removals,
    /// SceneMaster is to be asked for more seats.
    Seats,
    /// A domain was handed over, and its next handler is not there yet.
    Handler(DomainName),
}

/// The service.
#[derive(Debug, Clone)]
pub struct Lobby {
    domains: BTreeMap<DomainName, Arc<Domain>>,
    connections: HashMap<ConnectionId, Connection>,
    users: HashMap<UserId, User>,
    /// The connections of each user that are `Entering`.
    entering: BTreeSet<(UserId, ConnectionId)>,
    deadlines: Deadlines<Due>,
    services_down: BTreeSet<ServiceName>,
    masters: masters::Masters,
    /// The match handlers that do not serve.
    handlers: BTreeMap<DomainName, handlers::Away>,
    tickets: u64,
    /// Whom this step has something to tell about whom.
    touched: Vec<(UserId, UserId)>,
    /// The number of the last request to Db.
    requests: u64,
    grace_ms: u64,
    stopping: bool,
    chat: chat::Chat,
    parties: party::Parties,
    /// How often each user changes what others are told of.
    changes: Buckets<UserId>,
    scenes: scenes::Scenes,
    /// How often each user asks something of matching.
    matching_asks: Buckets<UserId>,
    seats: seats::Seats,
}

impl Service for Lobby {
    type Event = Event;

    fn step(&mut self, event: Event, cx: &mut Context<'_>) {
        match event {
            Event::Opened { connection } => {
                let until = self.first_frame_until(connection, cx);
                self.connections
                    .insert(connection, Connection::Fresh(Line::connecting(connection, until, self.grace_ms)));
            }
            Event::Closed { connection, left } => self.closed(connection, left, cx),
            Event::Heard { connection, seen } => self.heard(connection, seen, cx),
            Event::ReqSignIn { connection, request, sign_in, resume } => {
                self.req_sign_in(connection, request, sign_in, resume, cx)
            }
            Event::ReqSignOut { connection, request } => self.req_sign_out(connection, request, cx),
            Event::SynSessionsEnded { user, sessions, refusal } => self.sessions_ended(user, &sessions, refusal, cx),
            Event::SynAccountClosed { user, refusal } => self.account_closed(user, refusal, cx),
            Event::SynAccountDeleted { user } => self.account_deleted(user, cx),
            Event::ReqMatch { connection, request, domain, wish } => {
                self.req_match(connection, request, domain, wish, cx);
            }
            Event::ReqMatching { connection, request, ask } => self.req_matching(connection, request, ask, cx),
            Event::ReqCancelMatch { connection, request } => self.req_cancel_match(connection, request, cx),
            Event::ReqRejoin { connection, request } => self.req_rejoin(connection, request, cx),
            Event::ResSignIn { connection, result } => self.res_sign_in(connection, result, cx),
            Event::SynMatchState { user, ticket, state } => self.syn_match_state(user, ticket, state, cx),
            Event::ResMatch { user, ticket, result } => self.res_match(user, ticket, result, cx),
            Event::ResCancelMatch { user, ticket, result } => self.res_cancel_match(user, ticket, result, cx),
            Event::ResRejoin { user, result } => self.res_rejoin(user, result, cx),
            Event::ResSeat { user, number, of, held, ended } => self.res_seat(user, (number, of), held, ended, cx),
            Event::SynSceneRestarted { user, entry } => self.syn_scene_restarted(user, entry, cx),
            Event::SynAllocated { user, entry } => self.syn_allocated(user, entry, cx),
            Event::SynSceneEnded { user, allocation, ended } => self.syn_scene_ended(user, allocation, ended, cx),
            Event::SynSearchAgain { users, domain, together } => self.syn_search_again(users, domain, together, cx),
            Event::ReqDb { connection, request, what } => self.req_db(connection, request, what, cx),
            Event::ResDb { user, number, result } => self.res_db(user, number, result, cx),
            Event::ResEnter { user, connection, result } => self.res_enter(user, connection, result, cx),
            Event::SynNews { user, news } => self.syn_news(user, news, cx),
            Event::ReqChat { connection, request, ask } => self.req_chat(connection, request, ask, cx),
            Event::ReqParty { connection, request, ask } => self.req_party(connection, request, ask, cx),
            Event::ReqScenes { connection, request, ask } => self.req_scenes(connection, request, ask, cx),
            Event::ResFindScenes { user, number, of, result } => self.res_find_scenes(user, number, of, result, cx),
            Event::ResJoinInProgress { user, number, result } => self.res_join_in_progress(user, number, result, cx),
            Event::ResWatch { user, number, result } => self.res_watch(user, number, result, cx),
            Event::SynParty { party, now, change, about } => self.syn_party(party, now, change, about, cx),
            Event::Recovered { parties } => self.recovered(parties, cx),
            Event::Moderated { number, verdict } => self.moderated(number, verdict, cx),
            Event::Domains(domains) => self.set_domains(domains, cx),
            Event::Handler { domain, up } => self.handler(domain, up, cx),
            Event::ReqHandOver { domain } => self.req_hand_over(domain, cx),
            Event::Service { service: ServiceName::SceneMaster, up } => self.scene_masters(Partition::WHOLE, up, cx),
            Event::SceneMaster { partition, up } => self.scene_masters(partition, up, cx),
            Event::Service { service, up } => self.service(service, up, cx),
            Event::Stopping => self.stop(cx),
            Event::Tick => self.expire(cx),
        }
        self.plan_presence(cx);
        self.take_out_absent(cx);
        self.plan_parties(cx);
    }

    fn tick() -> Event {
        Event::Tick
    }

    fn deadline(&self) -> Option<Time> {
        self.deadlines.next()
    }

    fn store(up: bool) -> Option<Event> {
        Some(Event::Service { service: ServiceName::Db, up })
    }
}

impl Lobby {
    /// A lobby that knows these domains, and keeps everything of a dropped user for so long.
    pub fn new(domains: BTreeMap<DomainName, Domain>, grace_ms: u64) -> Self {
        Self {
            domains: shared(domains),
            connections: HashMap::new(),
            users: HashMap::new(),
            entering: BTreeSet::new(),
            deadlines: Deadlines::default(),
            services_down: BTreeSet::new(),
            masters: masters::Masters::new([Partition::WHOLE]),
            handlers: BTreeMap::new(),
            tickets: 0,
            touched: Vec::new(),
            requests: 0,
            grace_ms,
            stopping: false,
            chat: chat::Chat::new(crate::chat::Limits::default()),
            parties: party::Parties::new(crate::party::Limits::default()),
            changes: requests::changes(),
            scenes: scenes::Scenes::new(),
            matching_asks: wish::asks(),
            seats: seats::Seats::default(),
        }
    }

    /// How many users have a connection.
    pub fn users_connected(&self) -> usize {
        self.users.values().filter(|user| user.line.connection().is_some()).count()
    }

    /// The phase of a user, for tables and logs.
    pub fn phase_name(&self, user: UserId) -> String {
        let Some(user) = self.users.get(&user) else { return "absent".to_owned() };
        let phase = match &user.phase {
            Phase::Idle => "Idle",
            Phase::Searching { cancel: None, .. } => "Searching",
            Phase::Searching { cancel: Some(_), .. } => "Cancelling",
            Phase::Joining { .. } => "Joining",
            Phase::InScene { rejoin: None, .. } => "InScene",
            Phase::InScene { rejoin: Some(_), .. } => "Rejoining",
        };
        match user.line.state() {
            State::Connected { .. } | State::Resumed { .. } => phase.to_owned(),
            State::Dropped { .. } => format!("{phase}, dropped"),
            State::Connecting { .. } | State::Closed(_) => format!("{phase}, away"),
        }
    }

    /// The search that a user is in, for tables and logs: where, and its number.
    pub fn search_name(&self, user: UserId) -> Option<(&DomainName, u64)> {
        match &self.users.get(&user)?.phase {
            Phase::Searching { domain, ticket, .. } => Some((domain, *ticket)),
            _ => None,
        }
    }

    /// The state of a connection, for tables and logs.
    pub fn connection_name(&self, connection: ConnectionId) -> &'static str {
        match self.connections.get(&connection) {
            None => "unknown",
            Some(Connection::Fresh(_)) => "Fresh",
            Some(Connection::SigningIn { .. }) => "SigningIn",
            Some(Connection::Entering { .. }) => "Entering",
            Some(Connection::Of(_)) => "SignedIn",
        }
    }

    fn req_rejoin(&mut self, connection: ConnectionId, request: u32, cx: &mut Context<'_>) {
        let Some((id, _)) = self.signed_in(connection, request, cx) else { return };
        let Some(user) = self.users.get_mut(&id) else { return };
        let up = match &user.phase {
            Phase::InScene { scene, .. } => self.masters.check_scene(*scene),
            _ => self.masters.check(Partition::WHOLE),
        };
        if let Err(down) = up {
            return refuse_user(user, request, down, cx);
        }
        match &mut user.phase {
            Phase::InScene { rejoin: Some(_), .. } => {
                refuse_user(user, request, Refusal::Busy("the way back is being prepared already".into()), cx);
            }
            Phase::InScene { scene, rejoin, .. } => {
                let scene = *scene;
                *rejoin = Some(request);
                self.deadlines.set(Due::User(id), cx.now.plus_ms(ANSWER_MS_MAX));
                cx.send(scene_master::Event::ReqRejoin { user: id, scene });
            }
            Phase::Joining { .. } => {
                refuse_user(user, request, Refusal::Busy("you are on the way into a game".into()), cx)
            }
            Phase::Idle | Phase::Searching { .. } => refuse_user(user, request, Refusal::NoSeat, cx),
        }
    }

    fn res_rejoin(&mut self, id: UserId, result: Result<Entry, Refusal>, cx: &mut Context<'_>) {
        let Some(user) = self.users.get_mut(&id) else { return };
        let Phase::InScene { rejoin, scene, .. } = &mut user.phase else { return };
        let Some(request) = rejoin.take() else { return };
        self.deadlines.clear(&Due::User(id));
        match result {
            Ok(entry) => {
                *scene = entry.scene;
                tell(user, request, Notice::ResMatch(entry), cx);
            }
            Err(refusal) => {
                // A scene that has ended may begin anew with this user; if it does not, SynSceneEnded says so.
                if refusal == Refusal::NoSeat {
                    user.phase = Phase::Idle;
                }
                // The lobby itself may have asked, for a user who is told the way as soon as there is one.
                if request != 0 {
                    refuse_user(user, request, refusal, cx);
                }
                self.touch(id);
            }
        }
    }

    /// The seat is still the user's; the way to it is another.
    fn syn_scene_restarted(&mut self, id: UserId, entry: Entry, cx: &mut Context<'_>) {
        let Some(user) = self.users.get_mut(&id) else { return };
        if matches!(&user.phase, Phase::InScene { scene, .. } if *scene == entry.scene) {
            tell(user, 0, Notice::ResMatch(entry), cx);
        }
    }

    /// Who does something else meanwhile is not torn from it: the seat lapses if nobody comes, and is given up at once if
    /// the user has one elsewhere, of which a SceneMaster of another partition knows nothing.
    fn syn_allocated(&mut self, id: UserId, entry: Entry, cx: &mut Context<'_>) {
        match self.users.get(&id).map(|user| &user.phase) {
            Some(Phase::Idle) => {
                let (scene, domain) = (entry.scene, entry.domain.clone());
                self.set_phase(id, Phase::InScene { scene, domain, rejoin: None });
                self.tell(id, 0, Notice::ResMatch(entry), cx);
            }
            Some(Phase::InScene { scene, .. }) if *scene != entry.scene => {
                cx.send(scene_master::Event::ReqGiveUpSeat { user: id, scene: entry.scene });
            }
            _ => {}
        }
    }

    fn syn_scene_ended(
        &mut self,
        id: UserId,
        allocation: Option<AllocationId>,
        ended: SceneEnded,
        cx: &mut Context<'_>,
    ) {
        let Some(user) = self.users.get_mut(&id) else { return };
        match &user.phase {
            Phase::InScene { scene, rejoin, .. } if *scene == ended.scene => {
                let rejoin = *rejoin;
                self.deadlines.clear(&Due::User(id));
                self.set_phase(id, Phase::Idle);
                if let Some(request) = rejoin.filter(|request| *request != 0) {
                    self.tell(id, request, Notice::Refused(Refusal::SceneEnded), cx);
                }
                self.tell(id, 0, Notice::SynSceneEnded(ended), cx);
            }
            // It may have overtaken the answer of Match, which has a longer way.
            Phase::Searching { .. } => user.over = allocation.map(|allocation| (allocation, ended)),
            // An older scene of this user; the user has been told when leaving it.
            _ => {}
        }
    }

    fn stop(&mut self, cx: &mut Context<'_>) {
        self.stopping = true;
        for id in self.users_where(|user| matches!(user.phase, Phase::Searching { cancel: None, .. })) {
            self.deadlines.set(Due::User(id), cx.now.plus_ms(ANSWER_MS_MAX));
            if let Some(ticket) = self.ticket_of(id) {
                self.take_search_back(id, ticket, 0, Refusal::Stopping, cx);
            }
        }
    }

    fn expire(&mut self, cx: &mut Context<'_>) {
        while let Some(due) = self.deadlines.pop_due(cx.now) {
            match due {
                Due::Connection(connection) => match self.connections.get_mut(&connection) {
                    Some(Connection::Fresh(line)) => {
                        if let Outcome::Closed { .. } = line.step(cx.now, line::Event::Tick) {
                            self.connections.remove(&connection);
                            tell_connection(connection, 0, Notice::SynClosing(Refusal::Unauthenticated), cx);
                        }
                    }
                    Some(Connection::SigningIn { .. }) => {
                        self.res_sign_in(connection, Err(Refusal::TimedOut("signing in".into())), cx);
                    }
                    Some(Connection::Entering { .. }) => self.enters_without(connection, cx),
                    Some(Connection::Of(_)) | None => {}
                },
                Due::Line(id) => {
                    let outcome = self.users.get_mut(&id).map(|user| user.line.step(cx.now, line::Event::Tick));
                    outcome.into_iter().for_each(|outcome| self.line_went(id, outcome, cx));
                }
                Due::SignOut(id) => self.sign_out_failed(id, Refusal::TimedOut("signing out".into()), cx),
                Due::Asked(id, number) => self.db_silent(id, number, cx),
                Due::Scenes(id, number) => {
                    self.answer_asked(id, number, Notice::Refused(Refusal::TimedOut("your request".into())), cx)
                }
                Due::Moderated(number) => self.moderated(number, None, cx),
                Due::Presence(id) => self.tell_presence(id, cx),
                Due::Party(id) => self.tell_party_presence(id, cx),
                Due::Check(id) => self.check_over(id, cx),
                Due::Absent(id) => self.absent(id),
                Due::Removals => {} // Done at the end of every step.
                Due::Seats => self.ask_for_seats(cx),
                Due::Handler(domain) => self.no_next_handler(domain, cx),
                Due::User(id) => match self.users.get(&id).map(|user| &user.phase) {
                    Some(Phase::Searching { .. }) => {
                        self.end_search(id, Some(Refusal::TimedOut("the search".into())), cx)
                    }
                    Some(Phase::Joining { .. }) => {
                        self.joining_ends(id, Refusal::TimedOut("the way into the game".into()), cx)
                    }
                    Some(Phase::InScene { rejoin: Some(_), .. }) => {
                        self.res_rejoin(id, Err(Refusal::TimedOut("the way back".into())), cx)
                    }
                    _ => {}
                },
            }
        }
    }

    /// A user who has logged out is forgotten when there is nothing left to wait for.
    fn set_phase(&mut self, id: UserId, phase: Phase) {
        let Some(user) = self.users.get_mut(&id) else { return };
        let forget = matches!(user.line.state(), State::Closed(_)) && phase == Phase::Idle;
        user.phase = phase;
        user.seat = seats::Seat::default();
        user.over = None;
        user.match_state = None;
        match forget {
            true => self.forget(id),
            false => self.touch(id),
        }
    }

    /// A user of whom nothing is left to know.
    fn forget(&mut self, id: UserId) {
        self.touch(id);
        self.deadlines.clear(&Due::Presence(id));
        self.users.remove(&id);
    }

    fn users_where(&self, condition: impl Fn(&User) -> bool) -> Vec<UserId> {
        let mut ids: Vec<UserId> = self.users.iter().filter(|(_, user)| condition(user)).map(|(id, _)| *id).collect();
        ids.sort();
        ids
    }

    /// The user of a connection that has just made a request.
    fn signed_in(
        &mut self,
        connection: ConnectionId,
        request: u32,
        cx: &mut Context<'_>,
    ) -> Option<(UserId, &mut User)> {
        match self.connections.get(&connection)? {
            Connection::Of(id) => {
                let id = *id;
                self.ask_again(id, cx);
                self.look_for_seat(id, cx);
                let user = self.users.get_mut(&id)?;
                user.line.step(cx.now, line::Event::Heard(connection));
                user.last_request = user.last_request.max(request);
                Some((id, user))
            }
            Connection::Fresh(_) | Connection::SigningIn { .. } | Connection::Entering { .. } => {
                refuse(connection, request, Refusal::Unauthenticated, cx);
                None
            }
        }
    }

    /// Tells a user something, now or on return.
    fn tell(&mut self, id: UserId, request: u32, notice: Notice, cx: &mut Context<'_>) {
        if let Some(user) = self.users.get_mut(&id) {
            tell(user, request, notice, cx);
        }
    }
}

/// Tells a user something, now or on return; a user who has logged out is not told.
fn tell(user: &mut User, request: u32, notice: Notice, cx: &mut Context<'_>) {
    if matches!(user.line.state(), State::Closed(_)) {
        return;
    }
    let seq = user.backlog.push((request, notice.clone()), notice.bytes());
    if let Some(connection) = user.line.connection() {
        cx.send(ToUser { connection, seq, request, notice });
    }
}

/// Tells a connection something that is not part of a user's line.
fn tell_connection(connection: ConnectionId, request: u32, notice: Notice, cx: &mut Context<'_>) {
    cx.send(ToUser { connection, seq: 0, request, notice });
}

fn refuse(connection: ConnectionId, request: u32, refusal: Refusal, cx: &mut Context<'_>) {
    tell_connection(connection, request, Notice::Refused(refusal), cx);
}

fn refuse_user(user: &mut User, request: u32, refusal: Refusal, cx: &mut Context<'_>) {
    tell(user, request, Notice::Refused(refusal), cx);
}

fn shared(domains: BTreeMap<DomainName, Domain>) -> BTreeMap<DomainName, Arc<Domain>> {
    domains.into_iter().map(|(name, domain)| (name, Arc::new(domain))).collect()
}
