//! Users as others see them.

use scenehost_protocol::v1::{self, client_frame, req_profile::Ask, req_profile::Show, server_frame};

use super::Lobby;
use crate::Error;

impl Lobby {
    /// The profiles of these users, up to 64; those who are not known are left out.
    ///
    /// # Errors
    /// [`Error::Refused`] for too many users, or ids that are none.
    pub async fn profiles(&self, user_ids: Vec<String>) -> Result<Vec<v1::Profile>, Error> {
        self.ask_profile(Ask::Show(Show { user_ids })).await
    }

    /// Changes one's own profile; what is `None` stays as it is. Gives the profile as it is now.
    ///
    /// # Errors
    /// [`Error::Refused`] for texts that are too long.
    pub async fn change_profile(&self, change: v1::req_profile::Change) -> Result<v1::Profile, Error> {
        self.ask_profile(Ask::Change(change)).await?.pop().ok_or(Error::Unexpected)
    }

    async fn ask_profile(&self, ask: Ask) -> Result<Vec<v1::Profile>, Error> {
        let body = client_frame::Body::ReqProfile(v1::ReqProfile { ask: Some(ask) });
        match self.ask(body).await? {
            server_frame::Body::ResProfile(profiles) => Ok(profiles.profiles),
            _ => Err(Error::Unexpected),
        }
    }
}
