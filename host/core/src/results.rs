//! What results become: ratings, leaderboards with seasons, and the history of matches.
//!
//! | module | what is in it |
//! |---|---|
//! | [`finished`] | the results of a game, recorded once |
//! | [`given`] | ratings that operators set |
//! | [`history`] | the last matches of a user |
//! | [`board`] | what operators decide about a leaderboard |
//! | [`boards`] | all leaderboards in memory |
//! | [`standing`] | what is asked about ratings and leaderboards |
//! | [`rating`] | ratings from the places of a game |
//! | [`ranking`] | the order of a leaderboard |
//! | [`season`] | when a leaderboard begins anew |
//!
//! Architecture Invariant: `rating`, `ranking` and `season` are values and functions of their arguments. What is
//! stored is changed by the requests here only, and a request changes records and leaderboards together or not at
//! all.

pub mod board;
pub mod boards;
pub mod finished;
pub mod given;
pub mod history;
pub mod ranking;
pub mod rating;
pub mod season;
pub mod standing;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use serde::{Deserialize, Serialize};

use crate::db::{Answer as DbAnswer, Caller, Stop, Transaction};
use crate::ids::{AllocationId, DomainName, Time, UserId};
use board::Board;
pub use finished::Finished;
pub use given::Given;
use history::Match;
use rating::Rating;

/// What operators have decided about results.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// The domains there are, and whether their games change ratings.
    pub rated: BTreeMap<DomainName, bool>,
    /// The leaderboards by their names.
    pub boards: BTreeMap<String, Board>,
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Record how a game was decided; SceneMaster's. Repeating it changes nothing.
    Record {
        /// Which game's, by the allocation.
        allocation: AllocationId,
        /// How.
        finished: Finished,
    },
    /// The ratings of these users.
    Ratings(Vec<UserId>),
    /// A user's last matches, the newest first.
    History {
        /// Whose; `None`: of the user who asks.
        user: Option<UserId>,
        /// How many of the newest are left out.
        skip: u32,
        /// How many are wanted.
        limit: u32,
    },
    /// The leaderboards there are.
    Boards,
    /// A part of a leaderboard.
    Page {
        /// Which leaderboard.
        board: String,
        /// Which season, by its name; `None`: the one that is on.
        season: Option<String>,
        /// Which part.
        part: Part,
    },
    /// Set a user's score, or take the user off; operators' only. Repeating it changes nothing.
    Set {
        /// Which leaderboard; its season that is on.
        board: String,
        /// Whose.
        user: UserId,
        /// The score; `None`: the user is taken off.
        score: Option<i64>,
    },
    /// Set a user's rating; operators' only.
    Rate {
        /// Whose.
        user: UserId,
        /// Where.
        domain: DomainName,
        /// The rating; `None`: the user is a newcomer there.
        given: Option<Given>,
    },
}

/// A part of a leaderboard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// From a rank on.
    From {
        /// The first rank; 1 is the best.
        rank: u32,
        /// How many are wanted.
        limit: u32,
    },
    /// A user and those before and behind.
    Around {
        /// Who; `None`: the user who asks.
        user: Option<UserId>,
        /// How many on each side.
        neighbours: u32,
    },
    /// These users, each with the rank among all.
    Of(Vec<UserId>),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// Ratings by user; who has none is left out.
    Ratings(Vec<(UserId, BTreeMap<DomainName, Rating>)>),
    /// Matches, the newest first, and how many are kept.
    History(Vec<Match>, u32),
    /// The leaderboards there are.
    Boards(Vec<standing::Info>),
    /// A part of a leaderboard.
    Page(standing::Page),
}

// The ratings in it are never other than numbers.
impl Eq for Answer {}

impl Answer {
    /// About how many bytes it has.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Ratings(users) => users.iter().map(|(_, ratings)| 64 + ratings.len() * 128).sum(),
            Self::History(matches, _) => matches.iter().map(Match::bytes).sum(),
            Self::Boards(boards) => boards.len() * 256,
            Self::Page(page) => page.rows.iter().map(|row| size_of_val(row) + row.name.len()).sum(),
        }
    }
}

/// A game has changed the user's rating, or an operator has set it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// Where.
    pub domain: DomainName,
    /// The new rating.
    pub rating: i32,
    /// How many rated games the user has played there now.
    pub games: u32,
    /// By how much it has changed.
    pub change: i32,
    /// The user's place in the game; 0: it was no game.
    pub place: u32,
    /// When the game ended, or the rating was set.
    pub ended: Time,
}

/// Records results, or answers what is asked about them.
///
/// # Errors
/// Results that cannot be, leaderboards and seasons that are not there, numbers beyond the limits, and what the
/// caller may not do.
pub fn run(caller: &Caller, request: &Request, tx: &mut Transaction<'_>) -> Result<DbAnswer, Stop> {
    let answer = match request {
        Request::Record { allocation, finished } => {
            finished::record(caller, *allocation, finished, tx)?;
            return Ok(DbAnswer::Done);
        }
        Request::Set { board, user, score } => {
            standing::set(caller, board, *user, *score, tx)?;
            return Ok(DbAnswer::Done);
        }
        Request::Rate { user, domain, given } => {
            given::set(caller, *user, domain, *given, tx)?;
            return Ok(DbAnswer::Done);
        }
        Request::Ratings(users) => standing::ratings(users, tx)?,
        Request::History { user, skip, limit } => history::show(caller, *user, *skip, *limit, tx)?,
        Request::Boards => standing::boards(tx)?,
        Request::Page { board, season, part } => standing::page(caller, board, season.as_deref(), part, tx)?,
    };
    Ok(DbAnswer::Results(answer))
}

/// All that is kept of a user: the ratings, the matches, the places on leaderboards.
pub(crate) fn export(user: UserId, tx: &mut Transaction<'_>) -> Result<Value, Stop> {
    let boards = tx.boards()?;
    let ratings: finished::Ratings = tx.get_or_default(&finished::ratings_key(user))?;
    let matches = history::export(user, tx)?;
    let score = |place: &boards::Place| boards.get(place).map(|entry| entry.score);
    let scores: Vec<Value> = boards
        .places_of(user)
        .map(|place| json!({ "leaderboard": place.board, "season": place.season, "score": score(&place) }))
        .collect();
    Ok(json!({ "ratings": ratings.domains, "matches": matches, "leaderboards": scores }))
}

/// Removes all of it. Matches that others have in their histories stay, without the user's name.
pub(crate) fn forget(user: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let boards = tx.boards()?;
    history::forget(user, tx)?;
    tx.delete(finished::ratings_key(user));
    for place in boards.places_of(user) {
        finished::put(place, None, tx)?;
    }
    // Those records are not in memory, and most are not there: it costs less to remove them than to look.
    boards.retired_places_of(user).for_each(|place| tx.delete(place.key()));
    Ok(())
}
