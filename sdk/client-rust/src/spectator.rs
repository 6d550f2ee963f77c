//! A connection to watch a game: what the game shows, later than its players see it, and nothing the other way.
//!
//! Invariant: what is shown comes once and in order, until the last event. The queue has a limit.

use std::collections::VecDeque;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use scenehost_protocol::v1::{self, client_frame, server_frame};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::http::Uri;

use crate::door::Door;
use crate::keeper::{self, Flow, News, Owned, Side, Welcome};
use crate::line::Next;
use crate::{Error, Options};

/// The way to watch a game. What is printed for debugging does not show the token.
#[derive(Clone, PartialEq, Eq)]
pub struct Watch {
    pub scene_id: String,
    pub domain: String,
    /// The WebSocket URL of the scene.
    pub scene_url: String,
    /// Lets the user in once; keep it secret.
    pub watch_token: String,
    /// Until when the token must have been used, from the answer on.
    pub token_expires_in: Duration,
    /// How much later than the players the user will see the game.
    pub delay: Duration,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scene_id, domain, scene_url, watch_token: _, token_expires_in, delay } = self;
        f.debug_struct("Watch")
            .field("scene_id", scene_id)
            .field("domain", domain)
            .field("scene_url", scene_url)
            .field("token_expires_in", token_expires_in)
            .field("delay", delay)
            .finish_non_exhaustive()
    }
}

/// What comes from a game that is watched.
#[derive(Clone, Debug)]
pub enum SpectatorEvent {
    /// What the game shows, in the game's own format.
    Message(Bytes),
    /// The game is over, or the user may not watch any more; it is the last event.
    Ended(v1::SynSceneEnded),
    /// The connection is gone; it is the last event. [`Lobby::watch_scene`](crate::Lobby::watch_scene) gives another
    /// way, if the game still goes on.
    Gone(Arc<Error>),
}

/// A user's connection to a game that is watched. Dropping it ends that.
pub struct Spectator {
    shared: Arc<Shared>,
    _owned: Owned,
}

impl Spectator {
    /// Comes in to watch. The connection is made once, and is not made again by itself.
    ///
    /// # Errors
    /// [`Error::Refused`] if the token is wrong, used or expired, or the game is over.
    pub async fn watch(way: &Watch, options: &Options) -> Result<Self, Error> {
        let url: Uri = way.scene_url.parse().map_err(|_| Error::Url(way.scene_url.clone()))?;
        // A watch token is for one connection: the line cannot go on with it.
        let options = Options { reconnect: false, ..options.clone() };
        let door = Door::new(url.scheme_str(), options.clone())?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            task: Notify::new(),
            game: Notify::new(),
            events_len_max: options.events_len_max.max(1),
        });
        let side = SpectatorSide { shared: Arc::clone(&shared), watch_token: way.watch_token.clone() };
        let owned = keeper::begin(side, url, door).await?;
        Ok(Self { shared, _owned: owned })
    }

    /// The scene, who played when the user came in, and the delay.
    pub fn info(&self) -> v1::ResWatchScene {
        self.shared.state().info.clone()
    }

    /// The next event; `None` after the last one. Call it steadily: up to [`Options::events_len_max`] events are kept,
    /// then nothing more is read, and in the end the server gives the connection up. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<SpectatorEvent> {
        loop {
            let mut changed = pin!(self.shared.game.notified());
            changed.as_mut().enable();
            {
                let mut state = self.shared.state();
                if let Some(event) = state.events.pop_front() {
                    self.shared.task.notify_one();
                    return Some(event);
                }
                if state.over {
                    return None;
                }
            }
            changed.await;
        }
    }
}

struct Shared {
    state: Mutex<State>,
    /// Wakes the task.
    task: Notify,
    /// Wakes whoever waits for an event.
    game: Notify,
    events_len_max: usize,
}

#[derive(Default)]
struct State {
    info: v1::ResWatchScene,
    events: VecDeque<SpectatorEvent>,
    over: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    fn event(&self, event: SpectatorEvent) {
        let mut state = self.state();
        state.over = !matches!(event, SpectatorEvent::Message(_));
        state.events.push_back(event);
        drop(state);
        self.game.notify_waiters();
    }
}

/// The task's part.
struct SpectatorSide {
    shared: Arc<Shared>,
    watch_token: String,
}

impl Side for SpectatorSide {
    fn hello(&self, _resume_seq: Option<u32>) -> client_frame::Body {
        client_frame::Body::ReqWatchScene(v1::ReqWatchScene { watch_token: self.watch_token.clone() })
    }

    fn welcomed(&mut self, answer: server_frame::Body, _now: Instant) -> Result<Welcome, Error> {
        let server_frame::Body::ResWatchScene(info) = answer else {
            return Err(Error::Unexpected);
        };
        self.shared.state().info = info;
        Ok(Welcome { resumed: false, after_seq: 0, grace: Duration::ZERO })
    }

    /// A token that lets nobody in is not to be mended.
    async fn mend(&mut self, _refused: &v1::Refused, _door: &Door) -> Result<bool, Error> {
        Ok(false)
    }

    fn next(&mut self, _now: Instant) -> Next<(u32, client_frame::Body)> {
        Next::Nothing
    }

    fn frame(&mut self, _request: u32, body: server_frame::Body) -> Result<Flow, Error> {
        match body {
            server_frame::Body::SceneMessage(message) => self.shared.event(SpectatorEvent::Message(message.body)),
            server_frame::Body::SynSceneEnded(ended) => {
                self.shared.event(SpectatorEvent::Ended(ended));
                return Ok(Flow::Over);
            }
            server_frame::Body::Pong(_) => {}
            _ => return Err(Error::Unexpected),
        }
        Ok(Flow::On)
    }

    fn news(&mut self, news: News) {
        // It is not made again, so there is no other news.
        if let News::Gone(why) = news {
            self.shared.event(SpectatorEvent::Gone(why));
        }
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
