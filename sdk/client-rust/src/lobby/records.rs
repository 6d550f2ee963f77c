//! Stored records: what games keep for a user.

use scenehost_protocol::v1::{self, client_frame, req_records, req_records::Ask, server_frame};

use super::Lobby;
use crate::Error;

/// Whose records are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner<'a> {
    /// One's own.
    Own,
    /// The user's with this id.
    User(&'a str),
    /// The game's.
    Game,
}

impl Owner<'_> {
    fn text(self) -> String {
        match self {
            Self::Own => String::new(),
            Self::User(id) => id.to_owned(),
            Self::Game => "game".to_owned(),
        }
    }
}

impl Lobby {
    /// The records with these keys, up to 32, that there are and that may be read.
    ///
    /// # Errors
    /// [`Error::Refused`] for a game that there is not, for keys that are none, and if they are too large together.
    pub async fn read_records(
        &self,
        game: &str,
        owner: Owner<'_>,
        keys: Vec<String>,
    ) -> Result<Vec<v1::StoredRecord>, Error> {
        Ok(self.ask_records(game, owner, Ask::Read(req_records::Read { keys })).await?.records)
    }

    /// The keys of one's own records after this one, up to 32, and whether there are more.
    ///
    /// # Errors
    /// [`Error::Refused`] for a game that there is not.
    pub async fn list_records(&self, game: &str, after: &str) -> Result<(Vec<String>, bool), Error> {
        let ask = Ask::List(req_records::List { after: after.to_owned() });
        let listed = self.ask_records(game, Owner::Own, ask).await?;
        Ok((listed.keys, listed.more))
    }

    /// Changes records of one's own, up to 32, together or not at all. Gives their versions, 0 for what was removed.
    ///
    /// # Errors
    /// [`Error::Refused`], with `Conflict` if a record has not the version that its change depends on.
    pub async fn write_records(&self, game: &str, changes: Vec<v1::RecordChange>) -> Result<Vec<u64>, Error> {
        Ok(self.ask_records(game, Owner::Own, Ask::Write(req_records::Write { changes })).await?.versions)
    }

    async fn ask_records(&self, game: &str, owner: Owner<'_>, ask: Ask) -> Result<v1::ResRecords, Error> {
        let asked = v1::ReqRecords { game: game.to_owned(), owner: owner.text(), ask: Some(ask) };
        match self.ask(client_frame::Body::ReqRecords(asked)).await? {
            server_frame::Body::ResRecords(records) => Ok(records),
            _ => Err(Error::Unexpected),
        }
    }
}
