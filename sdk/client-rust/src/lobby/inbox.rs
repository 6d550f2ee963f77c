//! Notifications that wait for the user.

use scenehost_protocol::v1::{self, client_frame, req_inbox, req_inbox::Ask, server_frame};

use super::Lobby;
use crate::Error;

impl Lobby {
    /// The user's notifications after this id (0: from the first), at most so many (0: as many as fit).
    ///
    /// # Errors
    /// [`Error::Refused`] if they cannot be had now.
    pub async fn notifications(&self, after: u64, limit: u32) -> Result<v1::ResInbox, Error> {
        self.ask_inbox(Ask::List(req_inbox::List { after, limit })).await
    }

    /// Marks notifications as read, up to 100, or all if none is named. Gives how many are unread now.
    ///
    /// # Errors
    /// [`Error::Refused`] for too many ids.
    pub async fn read_notifications(&self, ids: Vec<u64>) -> Result<u32, Error> {
        Ok(self.ask_inbox(Ask::Read(req_inbox::Read { ids })).await?.unread)
    }

    /// Removes notifications, 1 to 100. Gives how many are unread now.
    ///
    /// # Errors
    /// [`Error::Refused`] for none and for too many ids.
    pub async fn remove_notifications(&self, ids: Vec<u64>) -> Result<u32, Error> {
        Ok(self.ask_inbox(Ask::Remove(req_inbox::Remove { ids })).await?.unread)
    }

    async fn ask_inbox(&self, ask: Ask) -> Result<v1::ResInbox, Error> {
        match self.ask(client_frame::Body::ReqInbox(v1::ReqInbox { ask: Some(ask) })).await? {
            server_frame::Body::ResInbox(inbox) => Ok(inbox),
            _ => Err(Error::Unexpected),
        }
    }
}
