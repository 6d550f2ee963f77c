//! Lobby: users' connections, and what each user waits for.
//!
//! Invariant: a user is in exactly one phase, and every phase but `Idle` and a scene ends by an
//! answer, by the Down event of the service it waits for, or by its deadline.
//!
//! Main type: [`Lobby`]. A connection is fresh, then signing in, then a user's. A user has at most
//! one connection, the newest; a user without one is remembered only while in a scene or while a
//! search is being taken back.

mod event;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::auth::{self, Asker, Identity, Order, Request};
use crate::deadlines::Deadlines;
use crate::ids::{ConnectionId, DomainName, SceneId, SessionId, Time, UserId};
use crate::message::{Entry, MatchState, Message, Notice, SceneEnded, ServiceName, SignedIn, ToUser};
use crate::record::{RATING_START, UserRecord};
use crate::refusal::Refusal;
use crate::{Context, Service, matching, scene_master};
pub use event::Event;

/// How long a new connection may wait with its sign-in.
pub const FIRST_FRAME_MS_MAX: u64 = 10_000;
/// How long an answer of another service may take.
pub const ANSWER_MS_MAX: u64 = 8_000;
/// How much longer than its domain's limit a search may take before the lobby gives it up itself.
const SEARCH_MARGIN_MS: u64 = 30_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connection {
    Fresh,
    SigningIn { request: u32 },
    Of(UserId),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Idle,
    /// MATCH_REQUESTED. `asked` is the request for the match until it is answered; `cancel` is the
    /// request that wants it back, 0 if nobody waits for the answer.
    Searching {
        domain: DomainName,
        ticket: u64,
        asked: u32,
        cancel: Option<u32>,
    },
    InScene {
        scene: SceneId,
        rejoin: Option<u32>,
    },
}

#[derive(Debug, Clone)]
struct User {
    connection: Option<ConnectionId>,
    /// The session of the connection, or of the last one.
    session: SessionId,
    record: UserRecord,
    phase: Phase,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Connection(ConnectionId),
    User(UserId),
}

/// The service.
#[derive(Debug, Clone)]
pub struct Lobby {
    /// The domains, with how long a search in them may take.
    domains: BTreeMap<DomainName, u64>,
    connections: HashMap<ConnectionId, Connection>,
    users: HashMap<UserId, User>,
    deadlines: Deadlines<Due>,
    services_down: BTreeSet<ServiceName>,
    tickets: u64,
    stopping: bool,
}

impl Service for Lobby {
    type Event = Event;

    fn step(&mut self, event: Event, cx: &mut Context<'_>) {
        match event {
            Event::Opened { connection } => {
                self.connections.insert(connection, Connection::Fresh);
                self.deadlines.set(Due::Connection(connection), cx.now.plus_ms(FIRST_FRAME_MS_MAX));
            }
            Event::Closed { connection } => self.closed(connection, cx),
            Event::ReqSignIn { connection, request, sign_in } => self.req_sign_in(connection, request, sign_in, cx),
            Event::ReqSignOut { connection, request } => self.req_sign_out(connection, request, cx),
            Event::SynSessionsEnded { user, sessions, refusal } => self.sessions_ended(user, &sessions, refusal, cx),
            Event::SynAccountClosed { user, refusal } => self.account_closed(user, refusal, cx),
            Event::ReqMatch { connection, request, domain } => self.req_match(connection, request, domain, cx),
            Event::ReqCancelMatch { connection, request } => self.req_cancel_match(connection, request, cx),
            Event::ReqRejoin { connection, request } => self.req_rejoin(connection, request, cx),
            Event::ResSignIn { connection, result } => self.res_sign_in(connection, result, cx),
            Event::SynMatchState { user, ticket, state } => self.syn_match_state(user, ticket, state, cx),
            Event::ResMatch { user, ticket, result } => self.res_match(user, ticket, result, cx),
            Event::ResCancelMatch { user, ticket, result } => self.res_cancel_match(user, ticket, result, cx),
            Event::ResRejoin { user, result } => self.res_rejoin(user, result, cx),
            Event::SynSceneEnded { user, ended } => self.syn_scene_ended(user, ended, cx),
            Event::Service { service, up } => self.service(service, up, cx),
            Event::Stopping => self.stop(cx),
            Event::Tick => self.expire(cx),
        }
    }

    fn tick() -> Event {
        Event::Tick
    }

    fn deadline(&self) -> Option<Time> {
        self.deadlines.next()
    }
}

impl Lobby {
    /// A lobby that knows these domains, with the longest wait of each in milliseconds.
    pub fn new(domains: BTreeMap<DomainName, u64>) -> Self {
        Self {
            domains,
            connections: HashMap::new(),
            users: HashMap::new(),
            deadlines: Deadlines::default(),
            services_down: BTreeSet::new(),
            tickets: 0,
            stopping: false,
        }
    }

    /// How many users have a connection.
    pub fn users_connected(&self) -> usize {
        self.users.values().filter(|user| user.connection.is_some()).count()
    }

    /// The phase of a user, for tables and logs.
    pub fn phase_name(&self, user: UserId) -> &'static str {
        match self.users.get(&user) {
            None => "absent",
            Some(user) => match (&user.phase, user.connection) {
                (Phase::Idle, _) => "Idle",
                (Phase::Searching { cancel: None, .. }, _) => "Searching",
                (Phase::Searching { cancel: Some(_), .. }, Some(_)) => "Cancelling",
                (Phase::Searching { cancel: Some(_), .. }, None) => "Cancelling, away",
                (Phase::InScene { rejoin: None, .. }, Some(_)) => "InScene",
                (Phase::InScene { rejoin: Some(_), .. }, Some(_)) => "Rejoining",
                (Phase::InScene { .. }, None) => "InScene, away",
            },
        }
    }

    /// The state of a connection, for tables and logs.
    pub fn connection_name(&self, connection: ConnectionId) -> &'static str {
        match self.connections.get(&connection) {
            None => "unknown",
            Some(Connection::Fresh) => "Fresh",
            Some(Connection::SigningIn { .. }) => "SigningIn",
            Some(Connection::Of(_)) => "SignedIn",
        }
    }

    fn closed(&mut self, connection: ConnectionId, cx: &mut Context<'_>) {
        self.deadlines.clear(&Due::Connection(connection));
        let Some(Connection::Of(id)) = self.connections.remove(&connection) else { return };
        self.log_out(id, cx);
    }

    /// The one way out: a user who has no connection any more gives up what was begun. A seat is
    /// given up by its scene, after a grace period of its own.
    fn log_out(&mut self, id: UserId, cx: &mut Context<'_>) {
        let Some(user) = self.users.get_mut(&id) else { return };
        user.connection = None;
        cx.send(auth::Event::SynOnline { user: id, session: None });
        match &mut user.phase {
            Phase::Idle => {
                self.users.remove(&id);
            }
            Phase::Searching { domain, ticket, cancel, .. } => {
                // The answer decides: taken back, or already on the way into a scene.
                if cancel.replace(0).is_none() {
                    let event = matching::Event::ReqCancelMatch { user: id, ticket: *ticket };
                    cx.send(Message::Match(domain.clone(), event));
                }
                self.deadlines.set(Due::User(id), cx.now.plus_ms(ANSWER_MS_MAX));
            }
            Phase::InScene { rejoin, .. } => *rejoin = None,
        }
    }

    fn req_sign_out(&mut self, connection: ConnectionId, request: u32, cx: &mut Context<'_>) {
        let Some((id, user)) = self.signed_in(connection, request, cx) else { return };
        // Auth's word that the session has ended closes the connection.
        let request = Request::Operator { user: id, order: Order::EndSession(user.session) };
        cx.send(auth::Event::Req { asker: Asker::Nobody, request: Box::new(request) });
    }

    fn sessions_ended(&mut self, id: UserId, sessions: &[SessionId], refusal: Refusal, cx: &mut Context<'_>) {
        if self.users.get(&id).is_some_and(|user| sessions.contains(&user.session)) {
            self.disconnect(id, refusal, cx);
        }
    }

    fn account_closed(&mut self, id: UserId, refusal: Refusal, cx: &mut Context<'_>) {
        self.disconnect(id, refusal, cx);
        // Also where this lobby does not know of a seat: the user may play without a lobby connection.
        cx.send(scene_master::Event::ReqRemoveUser { user: id });
    }

    /// Takes a user's connection away, and says why.
    fn disconnect(&mut self, id: UserId, refusal: Refusal, cx: &mut Context<'_>) {
        let Some(connection) = self.users.get_mut(&id).and_then(|user| user.connection.take()) else { return };
        self.connections.remove(&connection);
        tell(connection, 0, Notice::SynClosing(refusal), cx);
        self.log_out(id, cx);
    }

    fn req_sign_in(&mut self, connection: ConnectionId, request: u32, sign_in: Box<Request>, cx: &mut Context<'_>) {
        match self.connections.get_mut(&connection) {
            Some(state @ Connection::Fresh) => {
                if self.services_down.contains(&ServiceName::Auth) {
                    return refuse(connection, request, Refusal::ServiceDown(ServiceName::Auth), cx);
                }
                *state = Connection::SigningIn { request };
                self.deadlines.set(Due::Connection(connection), cx.now.plus_ms(ANSWER_MS_MAX));
                cx.send(auth::Event::Req { asker: Asker::Lobby(connection), request: sign_in });
            }
            Some(_) => refuse(connection, request, Refusal::OutOfOrder("this connection has signed in already"), cx),
            None => {}
        }
    }

    fn res_sign_in(&mut self, connection: ConnectionId, result: Result<Box<Identity>, Refusal>, cx: &mut Context<'_>) {
        let Some(state) = self.connections.get_mut(&connection) else { return };
        let Connection::SigningIn { request } = *state else { return };
        let identity = match result {
            Ok(identity) => identity,
            Err(refusal) => {
                // The client may try another credential until the first-frame deadline.
                *state = Connection::Fresh;
                self.deadlines.set(Due::Connection(connection), cx.now.plus_ms(FIRST_FRAME_MS_MAX));
                return refuse(connection, request, refusal, cx);
            }
        };
        *state = Connection::Of(identity.user);
        self.deadlines.clear(&Due::Connection(connection));
        let Identity { user: id, record, session, tokens, created } = *identity;
        let user = self.users.entry(id).or_insert_with(|| User {
            connection: None,
            session,
            record: record.clone(),
            phase: Phase::Idle,
        });
        (user.session, user.record) = (session, record);
        // Requests of an older connection are not answered on the newer one.
        match &mut user.phase {
            Phase::Searching { asked, cancel, .. } => {
                *asked = 0;
                *cancel = cancel.map(|_| 0);
            }
            Phase::InScene { rejoin, .. } => *rejoin = None,
            Phase::Idle => {}
        }
        if let Some(older) = user.connection.replace(connection) {
            self.connections.remove(&older);
            tell(older, 0, Notice::SynClosing(Refusal::TakenOver), cx);
        }
        let scene = match user.phase {
            Phase::InScene { scene, .. } => Some(scene),
            _ => None,
        };
        let signed_in = SignedIn {
            user: id,
            name: user.record.name.clone(),
            session,
            tokens,
            created,
            scene,
            services_down: self.services_down.iter().copied().collect(),
        };
        tell(connection, request, Notice::ResSignIn(signed_in), cx);
        cx.send(auth::Event::SynOnline { user: id, session: Some(session) });
    }

    fn req_match(&mut self, connection: ConnectionId, request: u32, domain: DomainName, cx: &mut Context<'_>) {
        let Some((id, user)) = self.signed_in(connection, request, cx) else { return };
        let refusal = match &user.phase {
            Phase::Searching { .. } => Some(Refusal::Busy("you are already looking for a match: cancel it first")),
            Phase::InScene { .. } => {
                Some(Refusal::Busy("you are in a game: go back with req_rejoin, or leave it first"))
            }
            Phase::Idle => None,
        };
        let rating = user.record.ratings.get(&domain).copied().unwrap_or(RATING_START);
        let name = user.record.name.clone();
        let down =
            [ServiceName::Match, ServiceName::SceneMaster].into_iter().find(|it| self.services_down.contains(it));
        let refusal = match (refusal, self.domains.get(&domain), down) {
            (Some(refusal), _, _) => Err(refusal),
            _ if self.stopping => Err(Refusal::Stopping),
            (None, None, _) => Err(Refusal::NotFound(format!("domain named {:?}", domain.as_str()))),
            (None, _, Some(service)) => Err(Refusal::ServiceDown(service)),
            (None, Some(wait_ms_max), None) => Ok(*wait_ms_max),
        };
        let wait_ms_max = match refusal {
            Ok(wait_ms_max) => wait_ms_max,
            Err(refusal) => return refuse(connection, request, refusal, cx),
        };
        self.tickets += 1;
        let ticket = self.tickets;
        self.set_phase(id, Phase::Searching { domain: domain.clone(), ticket, asked: request, cancel: None });
        self.deadlines.set(Due::User(id), cx.now.plus_ms(wait_ms_max + SEARCH_MARGIN_MS));
        let event = matching::Event::ReqMatch { user: id, ticket, name, rating };
        cx.send(Message::Match(domain, event));
    }

    fn req_cancel_match(&mut self, connection: ConnectionId, request: u32, cx: &mut Context<'_>) {
        let Some((id, user)) = self.signed_in(connection, request, cx) else { return };
        match &mut user.phase {
            Phase::Searching { cancel: Some(_), .. } => {
                refuse(connection, request, Refusal::Busy("the search is being cancelled already"), cx);
            }
            Phase::Searching { domain, ticket, cancel, .. } => {
                *cancel = Some(request);
                let event = matching::Event::ReqCancelMatch { user: id, ticket: *ticket };
                cx.send(Message::Match(domain.clone(), event));
            }
            Phase::InScene { .. } => {
                refuse(connection, request, Refusal::Busy("the match is already made"), cx);
            }
            Phase::Idle => tell(connection, request, Notice::SynMatchState(MatchState::Idle(None)), cx),
        }
    }

    fn req_rejoin(&mut self, connection: ConnectionId, request: u32, cx: &mut Context<'_>) {
        let down = self.services_down.contains(&ServiceName::SceneMaster);
        let Some((id, user)) = self.signed_in(connection, request, cx) else { return };
        match &mut user.phase {
            _ if down => refuse(connection, request, Refusal::ServiceDown(ServiceName::SceneMaster), cx),
            Phase::InScene { rejoin: Some(_), .. } => {
                refuse(connection, request, Refusal::Busy("the way back is being prepared already"), cx);
            }
            Phase::InScene { rejoin, .. } => {
                *rejoin = Some(request);
                self.deadlines.set(Due::User(id), cx.now.plus_ms(ANSWER_MS_MAX));
                cx.send(scene_master::Event::ReqRejoin { user: id });
            }
            Phase::Idle | Phase::Searching { .. } => refuse(connection, request, Refusal::NoSeat, cx),
        }
    }

    fn syn_match_state(&mut self, id: UserId, of_ticket: u64, state: MatchState, cx: &mut Context<'_>) {
        let Some(User { connection: Some(connection), phase: Phase::Searching { ticket, asked, .. }, .. }) =
            self.users.get_mut(&id)
        else {
            return;
        };
        if *ticket == of_ticket {
            tell(*connection, std::mem::take(asked), Notice::SynMatchState(state), cx);
        }
    }

    fn res_match(&mut self, id: UserId, of_ticket: u64, result: Result<Entry, Refusal>, cx: &mut Context<'_>) {
        let Some(user) = self.users.get(&id) else { return };
        let Phase::Searching { ticket, cancel, .. } = &user.phase else { return };
        if *ticket != of_ticket {
            return;
        }
        let (connection, cancel) = (user.connection, *cancel);
        self.deadlines.clear(&Due::User(id));
        match result {
            Ok(entry) => {
                self.set_phase(id, Phase::InScene { scene: entry.scene, rejoin: None });
                let Some(connection) = connection else { return };
                if let Some(request) = cancel.filter(|request| *request != 0) {
                    refuse(connection, request, Refusal::Busy("the match is already made"), cx);
                }
                tell(connection, 0, Notice::ResMatch(entry), cx);
            }
            Err(refusal) => self.end_search(id, Some(refusal), cx),
        }
    }

    fn res_cancel_match(&mut self, id: UserId, of_ticket: u64, result: Result<(), Refusal>, cx: &mut Context<'_>) {
        let Some(user) = self.users.get_mut(&id) else { return };
        let Phase::Searching { ticket, cancel, domain, .. } = &mut user.phase else { return };
        if *ticket != of_ticket {
            return;
        }
        match result {
            Ok(()) => {
                self.deadlines.clear(&Due::User(id));
                self.end_search(id, None, cx);
            }
            // The match is being made; ResMatch is to come.
            Err(refusal) => {
                let wait_ms_max = self.domains.get(domain).copied().unwrap_or_default();
                self.deadlines.set(Due::User(id), cx.now.plus_ms(wait_ms_max + SEARCH_MARGIN_MS));
                let request = cancel.filter(|request| *request != 0);
                if let (Some(connection), Some(request)) = (user.connection, request) {
                    *cancel = None;
                    refuse(connection, request, refusal, cx);
                }
            }
        }
    }

    fn res_rejoin(&mut self, id: UserId, result: Result<Entry, Refusal>, cx: &mut Context<'_>) {
        let Some(user) = self.users.get_mut(&id) else { return };
        let Phase::InScene { rejoin, scene } = &mut user.phase else { return };
        let Some(request) = rejoin.take() else { return };
        let Some(connection) = user.connection else { return };
        self.deadlines.clear(&Due::User(id));
        match result {
            Ok(entry) => {
                *scene = entry.scene;
                tell(connection, request, Notice::ResMatch(entry), cx);
            }
            Err(refusal) => {
                if matches!(refusal, Refusal::NoSeat | Refusal::SceneEnded) {
                    user.phase = Phase::Idle;
                }
                refuse(connection, request, refusal, cx);
            }
        }
    }

    fn syn_scene_ended(&mut self, id: UserId, ended: SceneEnded, cx: &mut Context<'_>) {
        let Some(user) = self.users.get(&id) else { return };
        match &user.phase {
            Phase::InScene { scene, rejoin } if *scene == ended.scene => {
                let (connection, rejoin) = (user.connection, *rejoin);
                self.deadlines.clear(&Due::User(id));
                self.set_phase(id, Phase::Idle);
                let Some(connection) = connection else { return };
                if let Some(request) = rejoin {
                    refuse(connection, request, Refusal::SceneEnded, cx);
                }
                tell(connection, 0, Notice::SynSceneEnded(ended), cx);
            }
            // An older scene of this user; the user has been told when leaving it.
            _ => {}
        }
    }

    fn service(&mut self, service: ServiceName, up: bool, cx: &mut Context<'_>) {
        let changed = if up { self.services_down.remove(&service) } else { self.services_down.insert(service) };
        if !changed {
            return;
        }
        let mut ids: Vec<UserId> = self.users.keys().copied().collect();
        ids.sort();
        for id in ids {
            let Some(connection) = self.users[&id].connection else { continue };
            tell(connection, 0, Notice::SynService(service, up), cx);
        }
        if !up {
            self.service_down(service, cx);
        }
    }

    /// The Down event drives everyone who waits for the service out of that wait.
    fn service_down(&mut self, service: ServiceName, cx: &mut Context<'_>) {
        let refusal = Refusal::ServiceDown(service);
        match service {
            ServiceName::Match => {
                for id in self.users_where(|user| matches!(user.phase, Phase::Searching { .. })) {
                    self.deadlines.clear(&Due::User(id));
                    self.end_search(id, Some(refusal.clone()), cx);
                }
            }
            ServiceName::SceneMaster => {
                for id in self.users_where(|user| matches!(user.phase, Phase::InScene { rejoin: Some(_), .. })) {
                    self.res_rejoin(id, Err(refusal.clone()), cx);
                }
            }
            ServiceName::Auth => {
                let mut waiting: Vec<ConnectionId> = self
                    .connections
                    .iter()
                    .filter(|(_, state)| matches!(state, Connection::SigningIn { .. }))
                    .map(|(id, _)| *id)
                    .collect();
                waiting.sort();
                for connection in waiting {
                    self.res_sign_in(connection, Err(refusal.clone()), cx);
                }
            }
            ServiceName::Lobby | ServiceName::SceneService | ServiceName::Db => {}
        }
    }

    fn stop(&mut self, cx: &mut Context<'_>) {
        self.stopping = true;
        for id in self.users_where(|user| matches!(user.phase, Phase::Searching { cancel: None, .. })) {
            let Some(User { phase: Phase::Searching { domain, ticket, cancel, .. }, .. }) = self.users.get_mut(&id)
            else {
                continue;
            };
            *cancel = Some(0);
            let event = matching::Event::ReqCancelMatch { user: id, ticket: *ticket };
            cx.send(Message::Match(domain.clone(), event));
            self.deadlines.set(Due::User(id), cx.now.plus_ms(ANSWER_MS_MAX));
        }
    }

    fn expire(&mut self, cx: &mut Context<'_>) {
        while let Some(due) = self.deadlines.pop_due(cx.now) {
            match due {
                Due::Connection(connection) => match self.connections.get(&connection) {
                    Some(Connection::Fresh) => {
                        self.connections.remove(&connection);
                        tell(connection, 0, Notice::SynClosing(Refusal::Unauthenticated), cx);
                    }
                    Some(Connection::SigningIn { .. }) => {
                        self.res_sign_in(connection, Err(Refusal::TimedOut("signing in")), cx);
                    }
                    Some(Connection::Of(_)) | None => {}
                },
                Due::User(id) => match self.users.get(&id).map(|user| &user.phase) {
                    Some(Phase::Searching { .. }) => self.end_search(id, Some(Refusal::TimedOut("the search")), cx),
                    Some(Phase::InScene { rejoin: Some(_), .. }) => {
                        self.res_rejoin(id, Err(Refusal::TimedOut("the way back")), cx)
                    }
                    _ => {}
                },
            }
        }
    }

    /// Ends a search without a match, and tells why if somebody is there to hear it.
    fn end_search(&mut self, id: UserId, refusal: Option<Refusal>, cx: &mut Context<'_>) {
        let Some(User { connection, phase: Phase::Searching { asked, cancel, .. }, .. }) = self.users.get(&id) else {
            return;
        };
        let (connection, request) = (*connection, cancel.unwrap_or(*asked));
        let refusal = refusal.or_else(|| self.stopping.then_some(Refusal::Stopping));
        self.set_phase(id, Phase::Idle);
        if let Some(connection) = connection {
            tell(connection, request, Notice::SynMatchState(MatchState::Idle(refusal)), cx);
        }
    }

    /// A user without a connection is forgotten when there is nothing left to wait for.
    fn set_phase(&mut self, id: UserId, phase: Phase) {
        let Some(user) = self.users.get_mut(&id) else { return };
        let forget = user.connection.is_none() && phase == Phase::Idle;
        user.phase = phase;
        if forget {
            self.users.remove(&id);
        }
    }

    fn users_where(&self, condition: impl Fn(&User) -> bool) -> Vec<UserId> {
        let mut ids: Vec<UserId> = self.users.iter().filter(|(_, user)| condition(user)).map(|(id, _)| *id).collect();
        ids.sort();
        ids
    }

    fn signed_in(
        &mut self,
        connection: ConnectionId,
        request: u32,
        cx: &mut Context<'_>,
    ) -> Option<(UserId, &mut User)> {
        match self.connections.get(&connection)? {
            Connection::Of(id) => {
                let id = *id;
                self.users.get_mut(&id).map(|user| (id, user))
            }
            Connection::Fresh | Connection::SigningIn { .. } => {
                refuse(connection, request, Refusal::Unauthenticated, cx);
                None
            }
        }
    }
}

fn tell(connection: ConnectionId, request: u32, notice: Notice, cx: &mut Context<'_>) {
    cx.send(ToUser { connection, request, notice });
}

fn refuse(connection: ConnectionId, request: u32, refusal: Refusal, cx: &mut Context<'_>) {
    tell(connection, request, Notice::Refused(refusal), cx);
}
