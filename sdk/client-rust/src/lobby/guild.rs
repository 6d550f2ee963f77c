//! Guilds: groups of users.

use scenehost_protocol::v1::{self, client_frame, req_guild::Ask, server_frame};

use super::Lobby;
use crate::Error;

impl Lobby {
    /// Asks for something about guilds, such as `Ask::Create`, `Ask::Show` or `Ask::Invite`. What has nothing to tell
    /// gives an empty answer. What happens in the guild comes as [`LobbyEvent::Guild`](crate::LobbyEvent::Guild).
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such guild or user, or the user's role does not allow it.
    pub async fn guild(&self, ask: Ask) -> Result<v1::ResGuild, Error> {
        match self.ask(client_frame::Body::ReqGuild(v1::ReqGuild { ask: Some(ask) })).await? {
            server_frame::Body::ResGuild(answer) => Ok(answer),
            server_frame::Body::Done(_) => Ok(v1::ResGuild::default()),
            _ => Err(Error::Unexpected),
        }
    }
}
