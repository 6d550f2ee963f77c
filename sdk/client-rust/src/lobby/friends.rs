//! Friends and what they are doing.

use scenehost_protocol::v1::{self, FriendList, client_frame, req_friends::Ask, server_frame};

use super::Lobby;
use crate::Error;

impl Lobby {
    /// One of the user's lists. The list of friends says what they are doing; [`LobbyEvent::Presence`] tells what
    /// changes from then on.
    ///
    /// [`LobbyEvent::Presence`]: crate::LobbyEvent::Presence
    ///
    /// # Errors
    /// [`Error::Refused`] for a list that there is not.
    pub async fn friends(&self, list: FriendList) -> Result<v1::ResFriends, Error> {
        match self.ask_friends(Ask::List(list.into())).await? {
            server_frame::Body::ResFriends(friends) => Ok(friends),
            _ => Err(Error::Unexpected),
        }
    }

    /// Asks a user to be friends; if that user has asked, both are friends at once.
    ///
    /// # Errors
    /// [`Error::Refused`] for users that there are not or that are blocked, and if a list is full.
    pub async fn ask_friend(&self, user_id: &str) -> Result<(), Error> {
        self.change_friends(Ask::Request(user_id.to_owned())).await
    }

    /// Accepts a user's request.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is none, and if a list is full.
    pub async fn accept_friend(&self, user_id: &str) -> Result<(), Error> {
        self.change_friends(Ask::Accept(user_id.to_owned())).await
    }

    /// Says no to a user's request.
    ///
    /// # Errors
    /// [`Error::Refused`] for users that there are not.
    pub async fn decline_friend(&self, user_id: &str) -> Result<(), Error> {
        self.change_friends(Ask::Decline(user_id.to_owned())).await
    }

    /// Takes a request to a user back.
    ///
    /// # Errors
    /// [`Error::Refused`] for users that there are not.
    pub async fn withdraw_friend(&self, user_id: &str) -> Result<(), Error> {
        self.change_friends(Ask::Withdraw(user_id.to_owned())).await
    }

    /// Is friends with a user no more.
    ///
    /// # Errors
    /// [`Error::Refused`] for users that there are not.
    pub async fn remove_friend(&self, user_id: &str) -> Result<(), Error> {
        self.change_friends(Ask::Remove(user_id.to_owned())).await
    }

    /// Has nothing to do with a user any more; the user is not told.
    ///
    /// # Errors
    /// [`Error::Refused`] for users that there are not, and if the list is full.
    pub async fn block(&self, user_id: &str) -> Result<(), Error> {
        self.change_friends(Ask::Block(user_id.to_owned())).await
    }

    /// Ends that.
    ///
    /// # Errors
    /// [`Error::Refused`] for users that there are not.
    pub async fn unblock(&self, user_id: &str) -> Result<(), Error> {
        self.change_friends(Ask::Unblock(user_id.to_owned())).await
    }

    /// Looks offline to everybody, or not any more; also at later sign-ins.
    ///
    /// # Errors
    /// [`Error::Refused`] if it could not be saved.
    pub async fn appear_offline(&self, appear_offline: bool) -> Result<(), Error> {
        self.change_friends(Ask::AppearOffline(appear_offline)).await
    }

    async fn change_friends(&self, ask: Ask) -> Result<(), Error> {
        match self.ask_friends(ask).await? {
            server_frame::Body::Done(_) => Ok(()),
            _ => Err(Error::Unexpected),
        }
    }

    async fn ask_friends(&self, ask: Ask) -> Result<server_frame::Body, Error> {
        self.ask(client_frame::Body::ReqFriends(v1::ReqFriends { ask: Some(ask) })).await
    }
}
