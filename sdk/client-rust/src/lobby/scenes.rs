//! Games that are going on: to find some, to join one, to watch one.

use std::time::Duration;

use scenehost_protocol::v1::{self, client_frame, req_scenes, req_scenes::Ask, server_frame};

use super::Lobby;
use crate::{Error, Match, Watch};

impl Lobby {
    /// A part of the list of games that are going on, the newest first, those for which `find` asks. To go on, ask
    /// again with `after` set to the `next` of the answer.
    ///
    /// # Errors
    /// [`Error::Refused`] if `find` is out of its limits, or the list cannot be had now.
    pub async fn find_scenes(&self, find: req_scenes::Find) -> Result<v1::ResScenes, Error> {
        match self.ask_scenes(Ask::Find(find)).await? {
            server_frame::Body::ResScenes(scenes) => Ok(scenes),
            _ => Err(Error::Unexpected),
        }
    }

    /// A seat in a game that is going on; [`Scene::join`](crate::Scene::join) takes it.
    ///
    /// # Errors
    /// [`Error::Refused`] if it has ended or is full, takes nobody in, or the user is in a search or a game.
    pub async fn join_scene(&self, scene_id: &str) -> Result<Match, Error> {
        match self.ask_scenes(Ask::Join(scene_id.to_owned())).await? {
            server_frame::Body::ResMatch(made) => self.server.resolve(&made),
            _ => Err(Error::Unexpected),
        }
    }

    /// The way to watch a game that is going on; [`Spectator::watch`](crate::Spectator::watch) takes it.
    ///
    /// # Errors
    /// [`Error::Refused`] if it has ended, cannot be watched, or as many watch it as may.
    pub async fn watch_scene(&self, scene_id: &str) -> Result<Watch, Error> {
        match self.ask_scenes(Ask::Watch(scene_id.to_owned())).await? {
            server_frame::Body::ResWatch(way) => Ok(Watch {
                scene_url: self.server.resolve_path(&way.scene_url)?,
                scene_id: way.scene_id,
                domain: way.domain,
                watch_token: way.watch_token,
                token_expires_in: Duration::from_millis(way.token_expires_in_ms.into()),
                delay: Duration::from_millis(way.delay_ms.into()),
            }),
            _ => Err(Error::Unexpected),
        }
    }

    async fn ask_scenes(&self, ask: Ask) -> Result<server_frame::Body, Error> {
        self.ask(client_frame::Body::ReqScenes(v1::ReqScenes { ask: Some(ask) })).await
    }
}
