//! The shop and the user's wallet.

use scenehost_protocol::v1::{self, client_frame, req_shop::Ask, server_frame};

use super::Lobby;
use crate::Error;

impl Lobby {
    /// Asks the shop, such as `Ask::Offers`, `Ask::Buy` or `Ask::Wallet`. A purchase whose answer did not come is
    /// asked for again with the same `request_id`: it is made once. What others do to the wallet comes as
    /// [`LobbyEvent::Wallet`](crate::LobbyEvent::Wallet).
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such offer, it may not be bought now, or is not the user's to ask for.
    pub async fn shop(&self, ask: Ask) -> Result<v1::ResShop, Error> {
        let asked = v1::ReqShop { user_id: String::new(), ask: Some(ask) };
        match self.ask(client_frame::Body::ReqShop(asked)).await? {
            server_frame::Body::ResShop(answer) => Ok(answer),
            _ => Err(Error::Unexpected),
        }
    }
}
