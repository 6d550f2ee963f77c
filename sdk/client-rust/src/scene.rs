//! A scene's connection: the game's messages, both ways.
//!
//! Invariant: there is no queue here. A message sent is handed to the system before `send` returns,
//! and what is not fetched with `next` waits in the system's buffers until the server gives the
//! connection up.

use std::time::Duration;

use bytes::Bytes;
use scenehost_protocol::v1::{self, client_frame, server_frame};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::http::Uri;

use crate::socket::{Socket, within};
use crate::{Error, Match, Options};

/// What comes from a scene.
#[derive(Clone, Debug, PartialEq)]
pub enum SceneEvent {
    /// A message of the game, in the game's own format.
    Message(Bytes),
    /// The scene is over, or the user has left it; it is the last event.
    Ended(v1::SynSceneEnded),
    /// The answer to [`Scene::ping`].
    Pong { round_trip: Duration },
    /// Something that the user sent was refused.
    Refused(v1::Refused),
    /// The server is about to close the connection; it is the last event.
    Closing(v1::SynClosing),
}

/// A user's connection to the scene of a match. Dropping it keeps the seat for the scene's grace
/// period: [`Lobby::rejoin`](crate::Lobby::rejoin) leads back.
pub struct Scene {
    socket: Socket,
    info: v1::ResJoinScene,
    joined: Instant,
    over: bool,
    request_timeout: Duration,
}

impl Scene {
    /// Takes the seat of a match.
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
        let join = client_frame::Body::ReqJoinScene(v1::ReqJoinScene {
            scene_token: scene_token.to_owned(),
            resume_seq: None,
        });
        match Socket::connect(&url, join, options).await? {
            (socket, server_frame::Body::ResJoinScene(info)) => {
                Ok(Self { socket, info, joined: Instant::now(), over: false, request_timeout: options.request_timeout })
            }
            _ => Err(Error::Unexpected),
        }
    }

    /// The scene, the user's own seat and the players.
    pub fn info(&self) -> &v1::ResJoinScene {
        &self.info
    }

    /// Sends a message to the game. If the server does not keep up, waits for it.
    ///
    /// # Errors
    /// [`Error::TooLarge`]; [`Error::TimedOut`] after [`Options::request_timeout`].
    pub async fn send(&mut self, body: impl Into<Bytes>) -> Result<(), Error> {
        let body = body.into();
        let message = client_frame::Body::SceneMessage(v1::SceneMessage { body });
        self.socket.tell(message).await
    }

    /// Asks for a [`SceneEvent::Pong`], which tells the round trip.
    pub async fn ping(&mut self) -> Result<(), Error> {
        let payload = self.clock_us();
        self.socket.tell(client_frame::Body::Ping(v1::Ping { payload })).await
    }

    /// The next event; `None` after the last one. Call it steadily: it also answers the server's
    /// question whether the client is still there. Dropping the future loses nothing.
    ///
    /// # Errors
    /// If the connection broke; the seat is kept for the grace period.
    pub async fn next(&mut self) -> Result<Option<SceneEvent>, Error> {
        if self.over {
            return Ok(None);
        }
        let body = self.socket.next().await?.body;
        let event = match body.ok_or(Error::Unexpected)? {
            server_frame::Body::SceneMessage(message) => SceneEvent::Message(message.body),
            server_frame::Body::SynSceneEnded(ended) => SceneEvent::Ended(ended),
            server_frame::Body::Pong(pong) => {
                SceneEvent::Pong { round_trip: Duration::from_micros(self.clock_us().saturating_sub(pong.payload)) }
            }
            server_frame::Body::Refused(refused) => SceneEvent::Refused(refused),
            server_frame::Body::SynClosing(closing) => SceneEvent::Closing(closing),
            server_frame::Body::ResSignIn(_)
            | server_frame::Body::SynMatchState(_)
            | server_frame::Body::ResMatch(_)
            | server_frame::Body::SynService(_)
            | server_frame::Body::ResJoinScene(_) => return Err(Error::Unexpected),
        };
        self.over = matches!(event, SceneEvent::Ended(_) | SceneEvent::Closing(_));
        Ok(Some(event))
    }

    /// Leaves the scene for good, and waits until the server has said so.
    ///
    /// # Errors
    /// [`Error::TimedOut`] after [`Options::request_timeout`].
    pub async fn leave(mut self) -> Result<v1::SynSceneEnded, Error> {
        within(self.request_timeout, async {
            let body = client_frame::Body::ReqLeaveScene(v1::ReqLeaveScene {});
            self.socket.request(body).await?;
            loop {
                match self.next().await? {
                    Some(SceneEvent::Ended(ended)) => {
                        self.socket.close().await;
                        return Ok(ended);
                    }
                    Some(SceneEvent::Refused(refused)) => return Err(Error::Refused(refused)),
                    Some(SceneEvent::Closing(closing)) => return Err(Error::Closing(closing)),
                    Some(SceneEvent::Message(_) | SceneEvent::Pong { .. }) => {}
                    None => return Err(Error::Closed),
                }
            }
        })
        .await
    }

    fn clock_us(&self) -> u64 {
        self.joined.elapsed().as_micros() as u64
    }
}
