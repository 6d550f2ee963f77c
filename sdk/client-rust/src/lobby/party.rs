//! Parties: users who prepare and play together.

use scenehost_protocol::v1::{self, client_frame, req_party::Ask, server_frame};

use super::Lobby;
use crate::Error;

impl Lobby {
    /// Asks for something about parties, such as `Ask::Create`, `Ask::Join` or `Ask::CheckReady`. What comes of it, and
    /// all else that happens in the party, comes as [`LobbyEvent::Party`](crate::LobbyEvent::Party) before this
    /// returns.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such party, invitation or user, the party is full, or only the leader may do
    /// it.
    pub async fn party(&self, ask: Ask) -> Result<(), Error> {
        match self.ask(client_frame::Body::ReqParty(v1::ReqParty { ask: Some(ask) })).await? {
            server_frame::Body::Done(_) => Ok(()),
            _ => Err(Error::Unexpected),
        }
    }
}
