//! A scene's connection: the game's messages, both ways.
//!
//! Invariant: a message that `send` has taken reaches the server once and in order, or [`SceneEvent::Gone`] says that
//! it may not have; a message of the game that `next` gives comes once and in order, or [`SceneEvent::Resumed`] says
//! that some are missing. Both queues have limits.

mod side;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use scenehost_protocol::v1::{self, client_frame};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::http::Uri;

use crate::door::Door;
use crate::keeper::{self, Owned};
use crate::socket::{fits, within};
use crate::{Encoding, Error, Match, Options};
use side::{SceneSide, Shared};

/// A message's body that has at most so many bytes fits into a frame of any encoding.
const SURELY_FITS_BYTES: usize = 32 * 1024;

/// What comes from a scene.
#[derive(Clone, Debug)]
pub enum SceneEvent {
    /// A message of the game, in the game's own format.
    Message(Bytes),
    /// The scene is over, or the user has left it; it is the last event.
    Ended(v1::SynSceneEnded),
    /// The answer to [`Scene::ping`].
    Pong { round_trip: Duration },
    /// Something that the user sent was refused.
    Refused(v1::Refused),
    /// The connection is lost, or could not be made again; the next attempt comes after this time. What is sent now
    /// is kept and sent after the return.
    Dropped { why: Arc<Error>, next_attempt: Duration },
    /// The connection is back. `complete`: all that the game has sent is or will be here. Else some of it is lost, and
    /// the game has been told to send its whole state. What the user sent is complete in both cases.
    Resumed { complete: bool },
    /// The connection is gone for good; it is the last event. If the scene has ended during a drop, this says so, and
    /// the lobby has the results. Else [`Lobby::rejoin`](crate::Lobby::rejoin) tells whether the seat is still kept.
    Gone(Arc<Error>),
}

/// A user's connection to the scene of a match, which is made again when it is lost. Dropping it keeps the seat for
/// the scene's grace period: [`Lobby::rejoin`](crate::Lobby::rejoin) leads back.
pub struct Scene {
    shared: Arc<Shared>,
    info: v1::ResJoinScene,
    encoding: Encoding,
    request_timeout: Duration,
    /// Keeps the line; what was sent before this is dropped still leaves.
    _owned: Owned,
}

impl Scene {
    /// Takes the seat of a match. This is tried once; only a connection that has stood is made again by itself.
    ///
    /// # Errors
    /// [`Error::Refused`] if the token is wrong, used or expired, the scene has ended or the game
    /// does not let the user in.
    pub async fn join(seat: &Match, options: &Options) -> Result<Self, Error> {
        Self::join_at(&seat.scene_url, &seat.scene_token, options).await
    }

    /// Takes a seat by the scene's URL and token.
    ///
    /// # Errors
    /// As [`Self::join`].
    pub async fn join_at(scene_url: &str, scene_token: &str, options: &Options) -> Result<Self, Error> {
        let url: Uri = scene_url.parse().map_err(|_| Error::Url(scene_url.to_owned()))?;
        let door = Door::new(url.scheme_str(), options.clone())?;
        let (side, shared) = SceneSide::new(scene_token, options);
        let owned = keeper::begin(side, url, door).await?;
        let info = shared.info();
        let (encoding, request_timeout) = (options.encoding, options.request_timeout);
        Ok(Self { shared, info, encoding, request_timeout, _owned: owned })
    }

    /// The scene, the user's own seat and the players; as of the last [`SceneEvent::Resumed`], if there was one.
    pub fn info(&self) -> &v1::ResJoinScene {
        &self.info
    }

    /// Sends a message to the game: hands it to the task that serves the connection. If the server does not keep up,
    /// waits for it. During a drop the message is kept.
    ///
    /// # Errors
    /// The message was not taken: [`Error::TooLarge`]; [`Error::TooManyKept`] at the limits of [`Options`], during a
    /// drop at once, else after [`Options::request_timeout`]; [`Error::Closed`] after the last event.
    pub async fn send(&self, body: impl Into<Bytes>) -> Result<(), Error> {
        let body = body.into();
        if body.len() > SURELY_FITS_BYTES {
            let message = v1::SceneMessage { body: body.clone() };
            fits(self.encoding, &client_frame::Body::SceneMessage(message))?;
        }
        match timeout(self.request_timeout, self.shared.put(body)).await {
            Ok(result) => result,
            Err(_) => Err(self.shared.too_many_kept()),
        }
    }

    /// Asks for a [`SceneEvent::Pong`], which tells the round trip. A drop may swallow it.
    pub fn ping(&self) {
        self.shared.ping();
    }

    /// The next event; `None` after the last one. Call it steadily: up to [`Options::events_len_max`] events are kept,
    /// then nothing more is read, and in the end the server gives the connection up. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<SceneEvent> {
        let event = self.shared.next().await;
        if let Some(SceneEvent::Resumed { .. }) = event {
            self.info = self.shared.info();
        }
        event
    }

    /// Leaves the scene for good, and waits until the server has said so. What was sent before is sent first.
    ///
    /// # Errors
    /// [`Error::TimedOut`] after [`Options::request_timeout`]; [`Error::Refused`]; what [`SceneEvent::Gone`] has told.
    pub async fn leave(mut self) -> Result<v1::SynSceneEnded, Error> {
        within(self.request_timeout, async {
            let mut refused = self.shared.leave()?;
            loop {
                let event = tokio::select! {
                    Ok(refused) = &mut refused => return Err(Error::Refused(refused)),
                    event = self.next() => event,
                };
                match event {
                    Some(SceneEvent::Ended(ended)) => return Ok(ended),
                    Some(SceneEvent::Gone(why)) => return Err(Arc::try_unwrap(why).unwrap_or(Error::Closed)),
                    Some(_) => {}
                    None => return Err(Error::Closed),
                }
            }
        })
        .await
    }
}
