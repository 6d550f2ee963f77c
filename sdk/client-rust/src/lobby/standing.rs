//! Ratings, leaderboards and past matches.

use scenehost_protocol::v1::{self, client_frame, req_standing, req_standing::Ask, server_frame};

use super::Lobby;
use crate::Error;

impl Lobby {
    /// The ratings of 1 to 64 users, by user and domain; who has none is left out.
    ///
    /// # Errors
    /// [`Error::Refused`] for none or too many, and for ids that are none.
    pub async fn ratings(&self, user_ids: Vec<String>) -> Result<Vec<v1::UserRating>, Error> {
        Ok(self.ask_standing(Ask::Ratings(req_standing::Ratings { user_ids })).await?.ratings)
    }

    /// One's own last matches, the newest first: up to 16 after the first `skip`, and how many are kept.
    ///
    /// # Errors
    /// [`Error::Refused`] if `limit` is not 1 to 16.
    pub async fn history(&self, skip: u32, limit: u32) -> Result<(Vec<v1::PlayedMatch>, u32), Error> {
        let ask = Ask::History(req_standing::History { skip, limit, user_id: String::new() });
        let standing = self.ask_standing(ask).await?;
        Ok((standing.matches, standing.matches_kept))
    }

    /// The leaderboards there are, with their seasons.
    ///
    /// # Errors
    /// [`Error::Refused`] while nothing can be read.
    pub async fn leaderboards(&self) -> Result<Vec<v1::Leaderboard>, Error> {
        Ok(self.ask_standing(Ask::Boards(req_standing::Boards {})).await?.boards)
    }

    /// A leaderboard from a rank on, up to 100 entries. An empty `season` is the one that is on.
    ///
    /// # Errors
    /// [`Error::Refused`] for a leaderboard or season that is not there, and if `limit` is not 1 to 100.
    pub async fn leaderboard_top(
        &self,
        board: &str,
        season: &str,
        first_rank: u32,
        limit: u32,
    ) -> Result<v1::LeaderboardPage, Error> {
        let (board, season) = (board.to_owned(), season.to_owned());
        self.ask_page(Ask::Top(req_standing::Top { board, season, first_rank, limit })).await
    }

    /// A user, oneself if `user_id` is empty, with up to 25 neighbours on each side. Nothing if the user has no score.
    ///
    /// # Errors
    /// [`Error::Refused`] for a leaderboard or season that is not there, and for too many neighbours.
    pub async fn leaderboard_around(
        &self,
        board: &str,
        season: &str,
        user_id: &str,
        neighbours: u32,
    ) -> Result<v1::LeaderboardPage, Error> {
        let (board, season, user_id) = (board.to_owned(), season.to_owned(), user_id.to_owned());
        self.ask_page(Ask::Around(req_standing::Around { board, season, user_id, neighbours })).await
    }

    /// Where these users stand, 1 to 64; who has no score is left out.
    ///
    /// # Errors
    /// [`Error::Refused`] for a leaderboard or season that is not there, and for none or too many users.
    pub async fn leaderboard_ranks(
        &self,
        board: &str,
        season: &str,
        user_ids: Vec<String>,
    ) -> Result<v1::LeaderboardPage, Error> {
        let (board, season) = (board.to_owned(), season.to_owned());
        self.ask_page(Ask::Ranks(req_standing::Ranks { board, season, user_ids })).await
    }

    async fn ask_page(&self, ask: Ask) -> Result<v1::LeaderboardPage, Error> {
        self.ask_standing(ask).await?.page.ok_or(Error::Unexpected)
    }

    async fn ask_standing(&self, ask: Ask) -> Result<v1::ResStanding, Error> {
        match self.ask(client_frame::Body::ReqStanding(v1::ReqStanding { ask: Some(ask) })).await? {
            server_frame::Body::ResStanding(standing) => Ok(standing),
            _ => Err(Error::Unexpected),
        }
    }
}
