//! What users say.

use scenehost_protocol::v1::{self, ChatKind, client_frame, req_chat, req_chat::Ask, server_frame};

use super::Lobby;
use crate::Error;

/// Where something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel<'a> {
    /// In the room with this name.
    Room(&'a str),
    /// To the user with this id.
    Direct(&'a str),
    /// In one's guild.
    Guild,
    /// In one's party.
    Party,
}

impl From<Channel<'_>> for v1::ChatChannel {
    fn from(channel: Channel<'_>) -> Self {
        let (kind, of) = match channel {
            Channel::Room(name) => (ChatKind::Room, name),
            Channel::Direct(user_id) => (ChatKind::Direct, user_id),
            Channel::Guild => (ChatKind::Guild, ""),
            Channel::Party => (ChatKind::Party, ""),
        };
        Self { kind: kind.into(), of: of.to_owned() }
    }
}

impl Lobby {
    /// Comes into a room of the lobby; what is said there comes as [`LobbyEvent::Chat`](crate::LobbyEvent::Chat).
    /// After a return that is not complete the user is in no room.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such room, it is full, or the user is in four others.
    pub async fn join_room(&self, room: &str) -> Result<v1::ChatRoom, Error> {
        let ask = Ask::Join(req_chat::Join { room: room.to_owned() });
        self.ask_chat(ask).await?.room.ok_or(Error::Unexpected)
    }

    /// Leaves a room.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such room.
    pub async fn leave_room(&self, room: &str) -> Result<(), Error> {
        self.tell_chat(Ask::Leave(req_chat::Leave { room: room.to_owned() })).await
    }

    /// Says something: 1 to 500 characters. Gives the message as it was said.
    ///
    /// # Errors
    /// [`Error::Refused`] if the user is muted, too fast, not in the room, the guild or the party, or the moderation does not
    /// allow it.
    pub async fn say(&self, channel: Channel<'_>, text: &str) -> Result<v1::ChatMessage, Error> {
        let ask = Ask::Say(req_chat::Say { channel: Some(channel.into()), text: text.to_owned() });
        self.ask_chat(ask).await?.messages.pop().ok_or(Error::Unexpected)
    }

    /// Up to `limit` messages, 32 at most, before the one with this number, or the newest if that is 0; the oldest
    /// first.
    ///
    /// # Errors
    /// [`Error::Refused`] if the user is not in the room, the guild or the party.
    pub async fn chat_history(
        &self,
        channel: Channel<'_>,
        before: u64,
        limit: u32,
    ) -> Result<Vec<v1::ChatMessage>, Error> {
        let ask = Ask::History(req_chat::History { channel: Some(channel.into()), before, limit });
        Ok(self.ask_chat(ask).await?.messages)
    }

    /// Shows a message to the operators, by its number and with a reason of up to 200 characters.
    ///
    /// # Errors
    /// [`Error::Refused`] if the message is not kept any more or is one's own, or for too many reports.
    pub async fn report_message(&self, channel: Channel<'_>, id: u64, reason: &str) -> Result<(), Error> {
        let report = req_chat::Report { channel: Some(channel.into()), id, reason: reason.to_owned() };
        self.tell_chat(Ask::Report(report)).await
    }

    async fn tell_chat(&self, ask: Ask) -> Result<(), Error> {
        match self.ask(client_frame::Body::ReqChat(v1::ReqChat { ask: Some(ask) })).await? {
            server_frame::Body::Done(_) => Ok(()),
            _ => Err(Error::Unexpected),
        }
    }

    async fn ask_chat(&self, ask: Ask) -> Result<v1::ResChat, Error> {
        match self.ask(client_frame::Body::ReqChat(v1::ReqChat { ask: Some(ask) })).await? {
            server_frame::Body::ResChat(answer) => Ok(answer),
            _ => Err(Error::Unexpected),
        }
    }
}
