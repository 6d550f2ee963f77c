//! What a user brings to a search and wants of it, accepting a match, and the domains there are.

use scenehost_protocol::v1::{self, client_frame, server_frame};

use super::Lobby;
use crate::Error;

impl Lobby {
    /// Brings and wants this from the next search on, in the place of what was said before. In a party each member says
    /// their own.
    ///
    /// # Errors
    /// [`Error::Refused`] if something in it is beyond its limits.
    pub async fn set_wish(&self, wish: v1::Wish) -> Result<(), Error> {
        match self.ask(client_frame::Body::ReqWish(v1::ReqWish { wish: Some(wish) })).await? {
            server_frame::Body::Done(_) => Ok(()),
            _ => Err(Error::Unexpected),
        }
    }

    /// Says whether the user plays the match that was found ([`v1::syn_match_state::State::Found`]); how it stands then.
    /// Who does not cannot search for a while.
    ///
    /// # Errors
    /// [`Error::Refused`] if no match waits for that.
    pub async fn accept_match(&self, accept: bool) -> Result<v1::SynMatchState, Error> {
        match self.ask(client_frame::Body::ReqAcceptMatch(v1::ReqAcceptMatch { accept })).await? {
            server_frame::Body::SynMatchState(state) => Ok(state),
            _ => Err(Error::Unexpected),
        }
    }

    /// All domains, in the order of their names, with what a search in each may bring and want.
    ///
    /// # Errors
    /// As of every request.
    pub async fn domains(&self) -> Result<Vec<v1::DomainInfo>, Error> {
        let mut domains: Vec<v1::DomainInfo> = Vec::new();
        loop {
            let after = domains.last().map(|domain| domain.name.clone()).unwrap_or_default();
            let answer = self.ask(client_frame::Body::ReqDomains(v1::ReqDomains { after })).await?;
            let server_frame::Body::ResDomains(told) = answer else { return Err(Error::Unexpected) };
            // A server that says that there are more and tells none would be asked for ever.
            let goes_on = told.more && !told.domains.is_empty();
            domains.extend(told.domains);
            if !goes_on {
                return Ok(domains);
            }
        }
    }
}
