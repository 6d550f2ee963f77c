//! Connections and lines: who is here, who came back, and who is gone.

use std::collections::BTreeMap;

use super::presence::Watch;
use super::seats::Seat;
use super::{
    ANSWER_MS_MAX, BACKLOG_BYTES_MAX, BACKLOG_FRAMES_MAX, Connection, Due, FIRST_FRAME_MS_MAX, Lobby, Phase, User,
};
use super::{refuse, refuse_user, tell_connection};
use crate::auth::{self, Asker, Identity, Order, Request};
use crate::backlog::Backlog;
use crate::db::{self, Entered};
use crate::ids::{ConnectionId, SessionId, Time, UserId};
use crate::line::{self, Line, Outcome, State};
use crate::matching::Wish;
use crate::message::{MatchState, Notice, ServiceName, SignedIn, ToUser};
use crate::refusal::Refusal;
use crate::scene_master::Held;
use crate::{Context, scene_master};

impl Lobby {
    pub(super) fn closed(&mut self, connection: ConnectionId, left: bool, cx: &mut Context<'_>) {
        self.deadlines.clear(&Due::Connection(connection));
        let id = match self.connections.remove(&connection) {
            Some(Connection::Of(id)) => id,
            Some(Connection::Entering { identity, .. }) => {
                self.entering.remove(&(identity.user, connection));
                return;
            }
            Some(Connection::Fresh(_) | Connection::SigningIn { .. }) | None => return,
        };
        let Some(user) = self.users.get_mut(&id) else { return };
        let event = if left { line::Event::Left(connection) } else { line::Event::Lost(connection) };
        let outcome = user.line.step(cx.now, event);
        self.line_went(id, outcome, cx);
    }

    /// What follows when a user's connection went, or time passed without one.
    pub(super) fn line_went(&mut self, id: UserId, outcome: Outcome, cx: &mut Context<'_>) {
        self.touch(id);
        match outcome {
            Outcome::Away => {
                self.tell_here(id, false, cx);
                let deadline = self.users.get(&id).and_then(|user| user.line.deadline());
                deadline.into_iter().for_each(|deadline| self.deadlines.set(Due::Line(id), deadline));
            }
            Outcome::Closed { .. } => self.log_out(id, cx),
            Outcome::Nothing | Outcome::Back { .. } | Outcome::TooLate => {}
        }
    }

    /// The one way out: a user whose line is closed gives up what was begun. A seat is given up by its
    /// scene, after a grace period of its own.
    fn log_out(&mut self, id: UserId, cx: &mut Context<'_>) {
        self.deadlines.clear(&Due::Line(id));
        let Some(user) = self.users.get_mut(&id) else { return };
        user.backlog.clear();
        self.chat.leave_all(id);
        for number in user.forget_asked() {
            self.deadlines.clear(&Due::Asked(id, number));
        }
        cx.send(auth::Event::SynOnline { user: id, session: None });
        match &mut user.phase {
            Phase::Idle => self.forget(id),
            Phase::Searching { ticket, cancel, .. } => {
                let (ticket, why) = (*ticket, format!("{} is gone: look for a match again", user.record.name));
                // Nobody waits for the answer any more. It decides: taken back, or already on the way into a scene.
                *cancel = cancel.map(|_| 0);
                self.deadlines.set(Due::User(id), cx.now.plus_ms(ANSWER_MS_MAX));
                self.take_search_back(id, ticket, 0, Refusal::SearchStopped(why), cx);
            }
            Phase::Joining { asked, .. } => *asked = 0,
            Phase::InScene { rejoin, .. } => *rejoin = None,
        }
        self.scenes.forget(id, &mut self.deadlines);
        self.absent(id);
    }

    pub(super) fn heard(&mut self, connection: ConnectionId, seen: u32, cx: &mut Context<'_>) {
        let Some(Connection::Of(id)) = self.connections.get(&connection) else { return };
        let id = *id;
        let Some(user) = self.users.get_mut(&id) else { return };
        user.line.step(cx.now, line::Event::Heard(connection));
        user.backlog.acknowledge(seen);
        self.ask_again(id, cx);
        self.look_for_seat(id, cx);
    }

    pub(super) fn req_sign_out(&mut self, connection: ConnectionId, request: u32, cx: &mut Context<'_>) {
        let down = [ServiceName::Auth, ServiceName::Db].into_iter().find(|it| self.services_down.contains(it));
        let Some((id, user)) = self.signed_in(connection, request, cx) else { return };
        if let Some(service) = down {
            return refuse_user(user, request, Refusal::ServiceDown(service), cx);
        }
        match user.sign_out {
            Some(_) => refuse_user(user, request, Refusal::Busy("you are being signed out already".into()), cx),
            None => {
                user.sign_out = Some(request);
                // Auth's word that the session has ended closes the connection.
                let request = Request::Operator { user: id, order: Order::EndSession(user.session) };
                cx.send(auth::Event::Req { asker: Asker::Nobody, request: Box::new(request) });
                self.deadlines.set(Due::SignOut(id), cx.now.plus_ms(ANSWER_MS_MAX));
            }
        }
    }

    /// A sign-out of which Auth has said nothing.
    pub(super) fn sign_out_failed(&mut self, id: UserId, refusal: Refusal, cx: &mut Context<'_>) {
        self.deadlines.clear(&Due::SignOut(id));
        let Some(user) = self.users.get_mut(&id) else { return };
        if let Some(request) = user.sign_out.take() {
            refuse_user(user, request, refusal, cx);
        }
    }

    pub(super) fn sessions_ended(
        &mut self,
        id: UserId,
        sessions: &[SessionId],
        refusal: Refusal,
        cx: &mut Context<'_>,
    ) {
        self.turn_away(id, |session| sessions.contains(&session), &refusal, cx);
        if self.users.get(&id).is_some_and(|user| sessions.contains(&user.session)) {
            self.disconnect(id, refusal, cx);
        }
    }

    /// Ends those connections of a user on the way in whose sessions are no more.
    fn turn_away(&mut self, id: UserId, is_over: impl Fn(SessionId) -> bool, refusal: &Refusal, cx: &mut Context<'_>) {
        let of_user = self.entering.range((id, ConnectionId(0))..=(id, ConnectionId(u64::MAX)));
        let connections: Vec<ConnectionId> = of_user.map(|(_, connection)| *connection).collect();
        for connection in connections {
            let Some(Connection::Entering { identity, .. }) = self.connections.get(&connection) else { continue };
            if is_over(identity.session) {
                self.closed(connection, true, cx);
                tell_connection(connection, 0, Notice::SynClosing(refusal.clone()), cx);
            }
        }
    }

    pub(super) fn account_closed(&mut self, id: UserId, refusal: Refusal, cx: &mut Context<'_>) {
        self.turn_away(id, |_| true, &refusal, cx);
        self.disconnect(id, refusal, cx);
        self.chat.forget(id);
        self.parties.forget_said(id);
        // Also where this lobby does not know of a seat: the user may play without a lobby connection.
        cx.send(scene_master::Event::ReqRemoveUser { user: id });
    }

    /// From now on nothing is asked of Db for this user to come in, and what was asked is before this order.
    pub(super) fn account_deleted(&mut self, id: UserId, cx: &mut Context<'_>) {
        self.account_closed(id, Refusal::SessionEnded, cx);
        let request = Box::new(db::Request::Forget(id));
        cx.send(db::Event::Req { caller: db::Caller::Host, asker: db::Asker::Nobody, request });
    }

    /// Ends a user's line, and says why.
    fn disconnect(&mut self, id: UserId, refusal: Refusal, cx: &mut Context<'_>) {
        let Some(user) = self.users.get_mut(&id) else { return };
        let outcome = user.line.step(cx.now, line::Event::End);
        if let Outcome::Closed { connection: Some(connection), .. } = outcome {
            self.connections.remove(&connection);
            tell_connection(connection, 0, Notice::SynClosing(refusal), cx);
        }
        self.line_went(id, outcome, cx);
    }

    pub(super) fn req_sign_in(
        &mut self,
        connection: ConnectionId,
        request: u32,
        sign_in: Box<Request>,
        resume: Option<u32>,
        cx: &mut Context<'_>,
    ) {
        match self.connections.get_mut(&connection) {
            Some(Connection::Fresh(_)) if self.services_down.contains(&ServiceName::Auth) => {
                refuse(connection, request, Refusal::ServiceDown(ServiceName::Auth), cx);
            }
            Some(state @ Connection::Fresh(_)) => {
                if let Connection::Fresh(line) = state.clone() {
                    *state = Connection::SigningIn { line, request, resume };
                }
                self.deadlines.set(Due::Connection(connection), cx.now.plus_ms(ANSWER_MS_MAX));
                cx.send(auth::Event::Req { asker: Asker::Lobby(connection), request: sign_in });
            }
            Some(_) => {
                refuse(connection, request, Refusal::OutOfOrder("this connection has signed in already".into()), cx)
            }
            None => {}
        }
    }

    pub(super) fn res_sign_in(
        &mut self,
        connection: ConnectionId,
        result: Result<Box<Identity>, Refusal>,
        cx: &mut Context<'_>,
    ) {
        let Some(Connection::SigningIn { line, request, resume }) = self.connections.get(&connection) else { return };
        let (mut line, request, resume) = (line.clone(), *request, *resume);
        let identity = match result {
            Ok(identity) => identity,
            Err(refusal) => {
                // The client may try another credential until the first-frame deadline.
                let until = self.first_frame_until(connection, cx);
                let line = Line::connecting(connection, until, self.grace_ms);
                self.connections.insert(connection, Connection::Fresh(line));
                return refuse(connection, request, refusal, cx);
            }
        };
        line.step(cx.now, line::Event::Accepted);
        let waits = self.ask_to_enter(connection, &identity, cx);
        self.entering.insert((identity.user, connection));
        self.connections.insert(connection, Connection::Entering { line, request, resume, identity, seat: None });
        match waits {
            true => self.deadlines.set(Due::Connection(connection), cx.now.plus_ms(ANSWER_MS_MAX)),
            false => self.known_by_db(connection, None, cx),
        }
    }

    /// Db has told what it knows of a user who comes in, or nothing. SceneMaster may have to be asked, too.
    pub(super) fn known_by_db(
        &mut self,
        connection: ConnectionId,
        entered: Option<Box<Entered>>,
        cx: &mut Context<'_>,
    ) {
        if !self.ask_for_seat_of_newcomer(connection, entered.as_deref(), cx) {
            self.entered(connection, entered, (None, self.seat_of_newcomer(connection)), cx);
        }
    }

    /// A user who comes in does so without what was not told in time.
    pub(super) fn enters_without(&mut self, connection: ConnectionId, cx: &mut Context<'_>) {
        let Some(Connection::Entering { seat, .. }) = self.connections.get(&connection) else { return };
        match seat {
            Some(_) => self.enters(connection, None, cx),
            None => self.known_by_db(connection, None, cx),
        }
    }

    /// A user whose sign-in was accepted is in the lobby, with what Db has told now, or before, and with the seat that
    /// a SceneMaster has told, or what is known of it.
    pub(super) fn entered(
        &mut self,
        connection: ConnectionId,
        entered: Option<Box<Entered>>,
        (held, seat): (Option<Held>, Seat),
        cx: &mut Context<'_>,
    ) {
        let Some(Connection::Entering { line, request, resume, identity, .. }) = self.connections.get(&connection)
        else {
            return;
        };
        let (line, request, resume, identity) = (line.clone(), *request, *resume, identity.clone());
        self.entering.remove(&(identity.user, connection));
        self.connections.insert(connection, Connection::Of(identity.user));
        self.deadlines.clear(&Due::Connection(connection));
        let Identity { user: id, record, session, tokens, created } = *identity;
        let mut domains_down = self.domains_down_for(id);
        domains_down.extend(self.domains_without_scenes_for(id));
        domains_down.sort();
        domains_down.dedup();
        let same_line = self.take_line(id, connection, &line, cx);
        let user = self.users.entry(id).or_insert_with(|| User {
            line,
            backlog: new_backlog(),
            last_request: 0,
            session,
            record: record.clone(),
            entered: None,
            ask_again_at: Time(0),
            watch: Watch::default(),
            asked: BTreeMap::new(),
            phase: held.map_or(Phase::Idle, |Held { scene, domain }| Phase::InScene { scene, domain, rejoin: None }),
            seat,
            over: None,
            wish: Wish::default(),
            match_state: None,
            sign_out: None,
        });
        user.record = record;
        user.entered = entered.map(|entered| *entered).or_else(|| user.entered.take());
        let of_line = resume.filter(|_| same_line && user.session == session);
        let missed: Option<Vec<(u32, (u32, Notice))>> = of_line
            .and_then(|seen| Some(user.backlog.since(seen)?.map(|(seq, missed)| (seq, missed.clone())).collect()));
        let after_seq = match (of_line, &missed) {
            (Some(seen), Some(_)) => seen,
            _ => {
                for number in user.forget_asked() {
                    self.deadlines.clear(&Due::Asked(id, number));
                }
                self.chat.leave_all(id);
                let after_seq = begin_anew(user, session, resume);
                self.scenes.forget(id, &mut self.deadlines);
                after_seq
            }
        };
        let signed_in = SignedIn {
            user: id,
            name: user.record.name.clone(),
            session,
            tokens,
            created,
            resumed: missed.is_some(),
            after_seq,
            grace_ms: self.grace_ms,
            last_request: user.last_request,
            match_state: user.match_state_at(cx.now),
            scene: match user.phase {
                Phase::InScene { scene, .. } => Some(scene),
                _ => None,
            },
            services_down: self.services_down.iter().copied().collect(),
            domains_down,
        };
        // Before the user can do anything of which Auth would hear first.
        cx.send(auth::Event::SynOnline { user: id, session: Some(session) });
        tell_connection(connection, request, Notice::ResSignIn(signed_in), cx);
        let mut is_late = false;
        for (seq, (request, notice)) in missed.into_iter().flatten() {
            is_late |= matches!(notice, Notice::SynMatchState(MatchState::Found(_)));
            cx.send(ToUser { connection, seq, request, notice });
        }
        if is_late {
            self.tell_found(id, cx);
        }
        self.tell_rooms(id, cx);
        self.tell_own_party(id, cx);
        self.look_for_seat(id, cx);
        self.touch(id);
        self.plan_watch(id, cx);
    }

    /// How long a connection may wait with its sign-in; the deadline is set.
    pub(super) fn first_frame_until(&mut self, connection: ConnectionId, cx: &Context<'_>) -> Time {
        let until = cx.now.plus_ms(FIRST_FRAME_MS_MAX);
        self.deadlines.set(Due::Connection(connection), until);
        until
    }

    /// Gives the line of a user who is known to this connection; an older connection gives way. Whether
    /// it is the line that there was; else the user has the `new` one.
    fn take_line(&mut self, id: UserId, connection: ConnectionId, new: &Line, cx: &mut Context<'_>) -> bool {
        let Some(user) = self.users.get_mut(&id) else { return false };
        let was_away = matches!(user.line.state(), State::Dropped { .. });
        let outcome = user.line.step(cx.now, line::Event::Returned(connection));
        match outcome {
            Outcome::Back { taken_over } => {
                self.deadlines.clear(&Due::Line(id));
                if was_away {
                    self.tell_here(id, true, cx);
                }
                if let Some(older) = taken_over {
                    self.connections.remove(&older);
                    tell_connection(older, 0, Notice::SynClosing(Refusal::TakenOver), cx);
                }
                true
            }
            // The grace period is over; the tick has not come yet.
            Outcome::Closed { .. } => {
                self.log_out(id, cx);
                self.renew_line(id, new);
                false
            }
            Outcome::TooLate | Outcome::Nothing | Outcome::Away => {
                self.renew_line(id, new);
                false
            }
        }
    }

    /// A user who has logged out and is still remembered is here again.
    fn renew_line(&mut self, id: UserId, new: &Line) {
        if let Some(user) = self.users.get_mut(&id) {
            user.line = new.clone();
            user.backlog = new_backlog();
        }
    }
}

fn new_backlog() -> Backlog<(u32, Notice)> {
    Backlog::new(BACKLOG_FRAMES_MAX, BACKLOG_BYTES_MAX)
}

/// A client that does not go on with its line: requests of an older client are not answered to this one,
/// and numbers begin anew, beyond what the client has seen elsewhere. Tells after which number.
fn begin_anew(user: &mut User, session: SessionId, seen: Option<u32>) -> u32 {
    if user.session != session {
        user.wish = Wish::default();
    }
    user.session = session;
    let after_seq = match seen {
        Some(seen) => user.backlog.begin_after(seen),
        None => {
            user.backlog = new_backlog();
            0
        }
    };
    user.last_request = 0;
    user.watch.forget();
    user.sign_out = None;
    match &mut user.phase {
        Phase::Searching { asked, cancel, .. } => {
            *asked = 0;
            *cancel = cancel.map(|_| 0);
        }
        Phase::Joining { asked, .. } => *asked = 0,
        Phase::InScene { rejoin, .. } => *rejoin = None,
        Phase::Idle => {}
    }
    after_seq
}
