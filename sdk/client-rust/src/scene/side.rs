//! What a scene's task does: messages out of the outbox, events into their queue.
//!
//! Invariant: events are never let go. When the queue is full nothing is read, and a lost connection is not made
//! again until there is room.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use scenehost_protocol::v1::{self, client_frame, server_frame};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::SceneEvent;
use crate::door::Door;
use crate::keeper::{Flow, News, Side, Welcome};
use crate::line::{Next, Outbox, OutboxLimits};
use crate::{Error, Options};

/// The number of the request to leave, of which there is one at most.
const LEAVE_REQUEST: u32 = 2;
/// The payload of pings that the game has not asked for.
const OWN_PING: u64 = 0;

/// What the handle and the task share.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Wakes the task.
    task: Notify,
    /// Wakes the game: there is an event, or room to send.
    game: Notify,
    began: Instant,
    limits: OutboxLimits,
    events_len_max: usize,
}

struct State {
    info: v1::ResJoinScene,
    outbox: Outbox<Bytes>,
    events: VecDeque<SceneEvent>,
    /// The connection is lost, and there may be another.
    away: bool,
    /// There will be no more events than those that wait.
    over: bool,
    /// The payload of a ping that the game wants.
    ping: Option<u64>,
    leave: Option<Leave>,
}

/// The user wants to leave.
struct Leave {
    /// Over the connection that stands.
    sent: bool,
    refused: oneshot::Sender<v1::Refused>,
}

impl Shared {
    pub fn info(&self) -> v1::ResJoinScene {
        self.state().info.clone()
    }

    /// Puts a message into the outbox; waits for room while the connection stands.
    pub async fn put(&self, body: Bytes) -> Result<(), Error> {
        loop {
            let mut changed = pin!(self.game.notified());
            changed.as_mut().enable();
            {
                let mut state = self.state();
                if state.over {
                    return Err(Error::Closed);
                }
                if state.outbox.push(body.clone(), body.len()).is_ok() {
                    break;
                }
                if state.away {
                    return Err(self.too_many_kept());
                }
            }
            changed.await;
        }
        self.task.notify_one();
        Ok(())
    }

    pub fn too_many_kept(&self) -> Error {
        Error::TooManyKept { messages_max: self.limits.messages_max, bytes_max: self.limits.bytes_max }
    }

    pub fn ping(&self) {
        self.state().ping = Some(self.clock_us());
        self.task.notify_one();
    }

    /// The next event; `None` after the last one.
    pub async fn next(&self) -> Option<SceneEvent> {
        loop {
            let mut changed = pin!(self.game.notified());
            changed.as_mut().enable();
            {
                let mut state = self.state();
                if let Some(event) = state.events.pop_front() {
                    if state.events.len() + 1 == self.events_len_max {
                        self.task.notify_one();
                    }
                    return Some(event);
                }
                if state.over {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// Wants to leave; the receiver hears if that is refused.
    pub fn leave(&self) -> Result<oneshot::Receiver<v1::Refused>, Error> {
        let (refused, receiver) = oneshot::channel();
        let mut state = self.state();
        if state.over {
            return Err(Error::Closed);
        }
        state.leave = Some(Leave { sent: false, refused });
        drop(state);
        self.task.notify_one();
        Ok(receiver)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// Never [`OWN_PING`].
    fn clock_us(&self) -> u64 {
        (self.began.elapsed().as_micros() as u64).max(OWN_PING + 1)
    }
}

/// The task's part of a scene.
pub(crate) struct SceneSide {
    shared: Arc<Shared>,
    scene_token: String,
}

impl SceneSide {
    pub fn new(scene_token: &str, options: &Options) -> (Self, Arc<Shared>) {
        let limits = OutboxLimits {
            messages_max: options.kept_messages_max,
            bytes_max: options.kept_bytes_max,
            pace: Duration::from_secs(1) / options.catch_up_per_second.max(1),
        };
        let state = State {
            info: v1::ResJoinScene::default(),
            outbox: Outbox::new(limits),
            events: VecDeque::new(),
            away: false,
            over: false,
            ping: None,
            leave: None,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            task: Notify::new(),
            game: Notify::new(),
            began: Instant::now(),
            limits,
            events_len_max: options.events_len_max.max(1),
        });
        (Self { shared: Arc::clone(&shared), scene_token: scene_token.to_owned() }, shared)
    }

    fn event(&self, event: SceneEvent) {
        self.shared.state().events.push_back(event);
        self.shared.game.notify_waiters();
    }
}

impl Side for SceneSide {
    fn hello(&self, resume_seq: Option<u32>) -> client_frame::Body {
        client_frame::Body::ReqJoinScene(v1::ReqJoinScene { scene_token: self.scene_token.clone(), resume_seq })
    }

    fn welcomed(&mut self, answer: server_frame::Body, now: Instant) -> Result<Welcome, Error> {
        let server_frame::Body::ResJoinScene(info) = answer else {
            return Err(Error::Unexpected);
        };
        let mut state = self.shared.state();
        state.outbox.returned(info.received, now).map_err(|_| Error::Unexpected)?;
        state.leave.iter_mut().for_each(|leave| leave.sent = false);
        let grace = Duration::from_millis(info.grace_ms.into());
        let welcome = Welcome { resumed: info.resumed, after_seq: info.after_seq, grace };
        state.info = info;
        Ok(welcome)
    }

    /// A token that does not open the seat any more is not to be mended.
    async fn mend(&mut self, _refused: &v1::Refused, _door: &Door) -> Result<bool, Error> {
        Ok(false)
    }

    fn next(&mut self, now: Instant) -> Next<(u32, client_frame::Body)> {
        let mut state = self.shared.state();
        let ping = |payload| Next::Message((0, client_frame::Body::Ping(v1::Ping { payload })));
        if state.outbox.ask() {
            return ping(OWN_PING);
        }
        if let Some(payload) = state.ping.take() {
            return ping(payload);
        }
        match state.outbox.next(now) {
            Next::Message(body) => {
                return Next::Message((0, client_frame::Body::SceneMessage(v1::SceneMessage { body })));
            }
            Next::At(at) => return Next::At(at),
            Next::Nothing => {}
        }
        match &mut state.leave {
            Some(leave) if !leave.sent => {
                leave.sent = true;
                Next::Message((LEAVE_REQUEST, client_frame::Body::ReqLeaveScene(v1::ReqLeaveScene {})))
            }
            _ => Next::Nothing,
        }
    }

    fn frame(&mut self, request: u32, body: server_frame::Body) -> Result<Flow, Error> {
        match body {
            server_frame::Body::SceneMessage(message) => self.event(SceneEvent::Message(message.body)),
            server_frame::Body::SynSceneEnded(ended) => {
                self.shared.state().over = true;
                self.event(SceneEvent::Ended(ended));
                return Ok(Flow::Over);
            }
            server_frame::Body::Pong(pong) => {
                let acknowledged = self.shared.state().outbox.acknowledge(pong.received);
                acknowledged.map_err(|_| Error::Unexpected)?;
                self.shared.game.notify_waiters();
                if pong.payload != OWN_PING {
                    let round_trip_us = self.shared.clock_us().saturating_sub(pong.payload);
                    self.event(SceneEvent::Pong { round_trip: Duration::from_micros(round_trip_us) });
                }
            }
            server_frame::Body::Refused(refused) => {
                let leave = match request {
                    LEAVE_REQUEST => self.shared.state().leave.take(),
                    _ => None,
                };
                match leave {
                    // Who wanted to leave may have given up.
                    Some(leave) => drop(leave.refused.send(refused)),
                    None => self.event(SceneEvent::Refused(refused)),
                }
            }
            server_frame::Body::SynClosing(_)
            | server_frame::Body::ResSignIn(_)
            | server_frame::Body::SynMatchState(_)
            | server_frame::Body::ResMatch(_)
            | server_frame::Body::SynService(_)
            | server_frame::Body::ResJoinScene(_)
            | server_frame::Body::Done(_)
            | server_frame::Body::ResProfile(_)
            | server_frame::Body::ResRecords(_)
            | server_frame::Body::SynRecords(_)
            | server_frame::Body::ResChat(_)
            | server_frame::Body::SynChat(_)
            | server_frame::Body::ResGuild(_)
            | server_frame::Body::SynGuild(_)
            | server_frame::Body::ResFriends(_)
            | server_frame::Body::SynParty(_)
            | server_frame::Body::SynFriends(_)
            | server_frame::Body::ResInbox(_)
            | server_frame::Body::SynNotification(_)
            | server_frame::Body::SynPresence(_)
            | server_frame::Body::ResStanding(_)
            | server_frame::Body::SynStanding(_)
            | server_frame::Body::ResShop(_)
            | server_frame::Body::ResDomains(_)
            | server_frame::Body::ResScenes(_)
            | server_frame::Body::ResWatch(_)
            | server_frame::Body::ResWatchScene(_)
            | server_frame::Body::SynWallet(_) => return Err(Error::Unexpected),
        }
        Ok(Flow::On)
    }

    fn news(&mut self, news: News) {
        let mut state = self.shared.state();
        match news {
            News::Dropped { why, next_attempt } => {
                state.away = true;
                // Only the newest is of use, and so the queue does not grow while attempts fail.
                if let Some(SceneEvent::Dropped { .. }) = state.events.back() {
                    state.events.pop_back();
                }
                state.events.push_back(SceneEvent::Dropped { why, next_attempt });
            }
            News::Resumed { complete } => {
                state.away = false;
                state.events.push_back(SceneEvent::Resumed { complete });
            }
            News::Gone(why) => {
                state.over = true;
                state.events.push_back(SceneEvent::Gone(why));
            }
        }
        drop(state);
        self.shared.game.notify_waiters();
    }

    /// Nobody is there to hear of it.
    fn closed(&mut self) {}

    fn has_room(&self) -> bool {
        self.shared.state().events.len() < self.shared.events_len_max
    }

    async fn woken(&self) {
        self.shared.task.notified().await;
    }
}
