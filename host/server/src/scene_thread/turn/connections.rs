//! The connections of a scene thread: what their users say, and what they are told.
//!
//! Invariant: a scene hears once that a connection is gone that was inside; nothing of that connection reaches it after
//! that.

use std::time::Duration;

use mio::{Interest, Token};
use scenehost_core::{ConnectionId, Refusal, SceneId, Seat, scene, token};
use scenehost_engine::{DeliverError, Event, Incoming as GameMessage, SceneKey};
use scenehost_protocol::v1::{self, client_frame, server_frame::Body};
use scenehost_protocol::{PayloadRef, SharedEvent};
use tungstenite::Message as Frame;

use super::super::connection::{Allowed, Connection, Incoming, NewSocket};
use super::super::ledger::Ledger;
use super::SceneThread;
use crate::wire;

/// How many frames of one connection are taken in one turn; more are taken in the next.
const FRAMES_PER_TURN_MAX: u32 = 64;
/// How many frames a connection may send in a second before its user is inside.
const FRAMES_PER_SECOND_OUTSIDE: u32 = 20;
/// How many connections one thread holds; more are refused.
pub const CONNECTIONS_MAX: usize = 65_536;
/// How long a new connection may wait with its scene token.
const FIRST_FRAME_MAX: Duration = Duration::from_secs(10);
/// After so much silence a client is asked for a sign of life, and after more it is given up.
/// Within a grace period, so that who comes back from elsewhere finds the place of the old connection free.
const PING_AFTER: Duration = Duration::from_secs(8);
const SILENCE_MAX: Duration = Duration::from_secs(16);
/// How long a client has to agree to a close.
const CLOSE_MAX: Duration = Duration::from_secs(3);

impl SceneThread {
    pub(super) fn open(&mut self, scene: SceneId, socket: NewSocket) {
        if self.connections.len() >= CONNECTIONS_MAX {
            self.meters.refused_connections += 1;
            return; // Dropping the socket closes it.
        }
        self.generation += 1;
        let entry = self.connections.vacant_entry();
        let index = entry.key();
        let id = ConnectionId((self.generation << 24) | index as u64);
        let connection = entry.insert(Connection::new(id, scene, socket, self.clock.elapsed()));
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(connection.source(), Token(index), interest) {
            tracing::warn!(%error, "a socket cannot be polled");
            self.connections.remove(index);
            return;
        }
        // What came with the upgrade causes no event.
        self.ready(index, false);
    }

    pub(super) fn ready(&mut self, index: usize, ending: bool) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        connection.wake(ending);
        if !connection.touched {
            // A full socket may have room again, and pongs leave with the flush.
            connection.touched = true;
            self.touched.push(index);
        }
        // One that has more to read than a turn takes has its turn already.
        if !connection.queued {
            self.read(index);
        }
    }

    pub(super) fn read(&mut self, index: usize) {
        let now = self.clock.elapsed();
        for _ in 0..FRAMES_PER_TURN_MAX {
            let Some(connection) = self.connections.get_mut(index) else { return };
            if let Some(away) = self.outcomes.away.get_mut(&connection.scene) {
                connection.queued = true;
                return away.wait_to_be_read(index);
            }
            match connection.read(now) {
                Incoming::Frame(_) if connection.closing.is_some() => {}
                Incoming::Frame(frame) => self.frame(index, now, frame),
                Incoming::Drained => return,
                Incoming::Paused => break,
                Incoming::Gone(None) => return self.drop_connection(index),
                Incoming::Gone(Some(text)) => {
                    connection.discard();
                    let id = connection.id;
                    self.cut_off(id, &Refusal::Malformed(text));
                }
            }
        }
        let Some(connection) = self.connections.get_mut(index) else { return };
        if !std::mem::replace(&mut connection.queued, true) {
            self.unread.push(index);
        }
    }

    fn frame(&mut self, index: usize, now: Duration, frame: Frame) {
        self.messages_in_turn += 1;
        let connection = &mut self.connections[index];
        let (id, scene, seat) = (connection.id, connection.scene, connection.seat);
        let of_fleet = self.scenes.get(&scene).map(|scene| scene.limits().messages_per_s_max);
        let per_second = seat.and(of_fleet).unwrap_or(FRAMES_PER_SECOND_OUTSIDE);
        let allowed = connection.count(now, per_second);
        if allowed == Allowed::CutOff {
            return self.cut_off(id, &Refusal::RateLimited { per_second });
        }
        let payload = match &frame {
            Frame::Binary(bytes) => PayloadRef::Binary(bytes),
            Frame::Text(text) => PayloadRef::Text(text),
            // Libraries say these by themselves: they keep a connection, and are no word of the user's.
            Frame::Ping(_) | Frame::Pong(_) | Frame::Close(_) | Frame::Frame(_) => return,
        };
        let decoded = match connection.encoding().decode_client(payload) {
            Ok(decoded) => decoded,
            Err(error) => return self.cut_off(id, &Refusal::Malformed(error.to_string())),
        };
        self.meters.messages_in += 1;
        self.heard(scene, seat, decoded.seen);
        if let (Some(client_frame::Body::SceneMessage(_)), Some(seat), Some(scene)) =
            (&decoded.body, seat, self.scenes.get_mut(&scene))
        {
            scene.count_message(seat); // Whatever becomes of it: the client counts what it sends.
        }
        match allowed {
            Allowed::Yes => self.request(index, now, decoded),
            Allowed::TellNo => {
                self.too_many(scene);
                self.refuse(id, decoded.request, &Refusal::RateLimited { per_second });
            }
            Allowed::No | Allowed::CutOff => self.too_many(scene),
        }
    }

    fn too_many(&mut self, scene: SceneId) {
        self.meters.refused_messages += 1;
        self.not_for_the_game(scene);
    }

    /// A sign of life of a seat's user, who has seen the frames up to this number; 0: not said.
    fn heard(&mut self, scene: SceneId, seat: Option<Seat>, seen: u32) {
        if let (Some(seat), Some(scene)) = (seat, self.scenes.get_mut(&scene)) {
            scene.heard(self.clock.now(), seat, seen);
        }
    }

    fn request(&mut self, index: usize, now: Duration, frame: v1::ClientFrame) {
        let connection = &self.connections[index];
        let (id, scene, seat) = (connection.id, connection.scene, connection.seat);
        let (request, is_inside) = (frame.request, connection.is_inside());
        match (frame.body, seat) {
            (Some(client_frame::Body::SceneMessage(message)), Some(seat)) => {
                self.message(index, seat, now, message.body.into());
            }
            (Some(client_frame::Body::Ping(ping)), seat) => {
                let received = seat.and_then(|seat| Some(self.scenes.get(&scene)?.received(seat))).unwrap_or_default();
                self.answer(id, request, Body::Pong(v1::Pong { payload: ping.payload, received }));
            }
            (Some(client_frame::Body::ReqJoinScene(join)), None) if !is_inside => self.join(id, scene, request, &join),
            (Some(client_frame::Body::ReqWatchScene(watch)), None) if !is_inside => {
                self.watch(id, scene, request, &watch);
            }
            (Some(client_frame::Body::ReqLeaveScene(_)), _) if is_inside => {
                self.scene_event(scene, scene::Event::ReqLeaveScene { connection: id, request });
            }
            (Some(client_frame::Body::ReqJoinScene(_) | client_frame::Body::ReqWatchScene(_)), _) => {
                self.refuse(id, request, &Refusal::OutOfOrder("this connection is in the scene already".into()));
            }
            (Some(client_frame::Body::SceneMessage(_)), None) if is_inside => {
                self.refuse(id, request, &Refusal::OutOfOrder("who watches says nothing to the game".into()));
            }
            (Some(client_frame::Body::SceneMessage(_) | client_frame::Body::ReqLeaveScene(_)), None) => {
                self.refuse(id, request, &Refusal::OutOfOrder("enter the scene first, with req_join_scene".into()));
            }
            _ => self.refuse(id, request, &Refusal::OutOfOrder("this frame belongs on the lobby connection".into())),
        }
    }

    fn message(&mut self, index: usize, seat: Seat, now: Duration, body: Vec<u8>) {
        let connection = &self.connections[index];
        let (id, scene_id) = (connection.id, connection.scene);
        let event = Event::Message(GameMessage { from: seat, body });
        match self.worker.deliver(SceneKey(scene_id.0), event, now) {
            Ok(()) if self.ledgers.contains_key(&scene_id) => {
                self.scenes.get_mut(&scene_id).into_iter().for_each(|scene| scene.count_waiting(seat));
            }
            Ok(()) => {}
            Err(DeliverError::InboxFull) => {
                self.meters.refused_messages += 1;
                self.not_for_the_game(scene_id);
                self.refuse(id, 0, &Refusal::Overloaded("messages waiting for the scene".into()));
            }
            Err(DeliverError::NoScene | DeliverError::Finished) => self.refuse(id, 0, &Refusal::SceneEnded),
        }
    }

    /// A message has come that the game does not get: where there is a journal, that is to stand in it.
    fn not_for_the_game(&mut self, scene: SceneId) {
        self.ledgers.get_mut(&scene).into_iter().for_each(Ledger::refused);
    }

    fn join(&mut self, id: ConnectionId, scene: SceneId, request: u32, join: &v1::ReqJoinScene) {
        match token::parse_scene_token(&join.scene_token) {
            Some((of, token)) if of == scene => {
                let resume = join.resume_seq;
                self.scene_event(scene, scene::Event::ReqJoinScene { connection: id, request, token, resume });
            }
            _ => self.refuse(
                id,
                request,
                &Refusal::BadToken("this is no token of this scene: use the one of res_match".into()),
            ),
        }
    }

    fn watch(&mut self, id: ConnectionId, scene: SceneId, request: u32, watch: &v1::ReqWatchScene) {
        match token::parse_scene_token(&watch.watch_token) {
            Some((of, token)) if of == scene => {
                self.scene_event(scene, scene::Event::ReqWatchScene { connection: id, request, token });
            }
            _ => self.refuse(
                id,
                request,
                &Refusal::BadToken("this is no token of this scene: use the one of res_watch".into()),
            ),
        }
    }

    fn refuse(&mut self, id: ConnectionId, request: u32, refusal: &Refusal) {
        self.answer(id, request, Body::Refused(wire::refused(refusal)));
    }

    pub(super) fn answer(&mut self, id: ConnectionId, request: u32, body: Body) {
        let Some(connection) = self.connection(id) else { return };
        let took = connection.answer(body, request);
        self.wrote(id, took);
    }

    /// What was put behind what waits leaves with the next flush; a client that did not take it, because
    /// it has not read for too long, is dropped.
    fn wrote(&mut self, id: ConnectionId, took: bool) {
        let index = index_of(id);
        if !took {
            self.meters.slow_connections += 1;
            return self.drop_connection(index);
        }
        let Some(connection) = self.connection(id) else { return };
        if !std::mem::replace(&mut connection.touched, true) {
            self.touched.push(index);
        }
    }

    /// Tells a connection why, and closes it.
    pub(super) fn cut_off(&mut self, id: ConnectionId, refusal: &Refusal) {
        self.answer(id, 0, wire::closing(refusal));
        self.close(id, wire::close_code(refusal));
    }

    pub(super) fn close(&mut self, id: ConnectionId, code: u16) {
        let until = self.clock.elapsed() + CLOSE_MAX;
        let Some(connection) = self.connection(id) else { return };
        connection.close(code, until);
        let (scene, was_inside) = (connection.scene, connection.go_out());
        if !std::mem::replace(&mut connection.touched, true) {
            self.touched.push(index_of(id));
        }
        if was_inside {
            self.scene_event(scene, scene::Event::Closed { connection: id });
        }
    }

    fn drop_connection(&mut self, index: usize) {
        let Some(mut connection) = self.connections.try_remove(index) else { return };
        let _ = self.poll.registry().deregister(connection.source()); // Closing it does the same.
        if connection.go_out() {
            self.scene_event(connection.scene, scene::Event::Closed { connection: connection.id });
        }
    }

    pub(super) fn flush(&mut self) {
        while let Some(index) = self.touched.pop() {
            let Some(connection) = self.connections.get_mut(index) else { continue };
            if std::mem::replace(&mut connection.touched, false) && !connection.flush() {
                self.drop_connection(index);
            }
        }
    }

    /// Looks for connections that are silent, or that do not come in or go away in their time.
    pub(super) fn look_through(&mut self, now: Duration) {
        let indices: Vec<usize> = self.connections.iter().map(|(index, _)| index).collect();
        for index in indices {
            let connection = &mut self.connections[index];
            let (id, silent) = (connection.id, now.saturating_sub(connection.heard));
            match connection.closing {
                Some(until) if until <= now => self.drop_connection(index),
                Some(_) => {}
                None if !connection.is_inside() && now.saturating_sub(connection.opened) >= FIRST_FRAME_MAX => {
                    self.cut_off(id, &Refusal::TimedOut("entering the scene".into()));
                }
                None if silent >= SILENCE_MAX && !self.outcomes.away.contains_key(&connection.scene) => {
                    self.drop_connection(index);
                }
                None if silent >= PING_AFTER && !connection.pinged => {
                    connection.ping();
                    connection.touched = true;
                    self.touched.push(index);
                }
                None => {}
            }
        }
        self.flush();
    }

    pub(super) fn close_all(&mut self) {
        let ids: Vec<ConnectionId> = self.connections.iter().map(|(_, connection)| connection.id).collect();
        for id in ids {
            self.cut_off(id, &Refusal::Stopping);
        }
        self.flush();
    }

    pub(super) fn tell(&mut self, id: ConnectionId, seq: u32, event: &SharedEvent) {
        let Some(connection) = self.connection(id) else { return };
        let took = connection.tell(event, seq);
        self.meters.messages_out += 1;
        self.wrote(id, took);
    }

    pub(super) fn connection(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.get_mut(index_of(id)).filter(|connection| connection.id == id)
    }
}

/// Where a connection is; its id says so, and the rest of the id that it is still the same one.
fn index_of(id: ConnectionId) -> usize {
    (id.0 & 0xff_ffff) as usize
}
