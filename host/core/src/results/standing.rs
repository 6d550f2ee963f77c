//! What is asked about ratings and leaderboards.

use std::collections::BTreeMap;

use super::board::Board;
use super::boards::{Boards, Place, Stored};
use super::finished::{self, Ratings, ratings_key};
use super::ranking::{Entry, Ranking};
use super::rating::Level;
use super::season::Season;
use super::{Answer, Part};
use serde::{Deserialize, Serialize};

use crate::db::{Caller, Stop, Transaction};
use crate::ids::{Time, UserId};
use crate::profile::{self, Profile};
use crate::refusal::Refusal;

/// How many users can be asked for at once.
pub const USERS_MAX: usize = 64;
/// How many ratings one answer has.
pub const RATINGS_MAX: usize = 256;
/// How many entries can be asked for at once.
pub const ROWS_MAX: u32 = 100;
/// How many neighbours can be asked for, on each side.
pub const NEIGHBOURS_MAX: u32 = 25;

/// A leaderboard and its seasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Its name.
    pub name: String,
    /// Its rules.
    pub board: Board,
    /// The seasons that can be read, the one that is on first.
    pub seasons: Vec<SeasonInfo>,
}

/// A season.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeasonInfo {
    /// Its name and its times.
    pub season: Season,
    /// How many users have an entry.
    pub entries: u32,
}

/// A part of a leaderboard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Its name.
    pub board: String,
    /// The season's name.
    pub season: String,
    /// When that ends, if it does.
    pub ends: Option<Time>,
    /// How many users have an entry.
    pub entries: u32,
    /// The entries that were asked for, the best first; of users who have none there is none.
    pub rows: Vec<Row>,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// 1 is the best.
    pub rank: u32,
    /// Whose.
    pub user: UserId,
    /// The display name; empty: not known.
    pub name: String,
    /// What the leaderboard counts.
    pub score: i64,
}

/// The ratings of users.
///
/// # Errors
/// Too many users at once, or more ratings than one answer has.
pub(super) fn ratings(users: &[UserId], tx: &mut Transaction<'_>) -> Result<Answer, Stop> {
    check_users(users)?;
    tx.want(users.iter().map(|user| ratings_key(*user)))?;
    let mut found = Vec::new();
    let mut count = 0;
    for user in users {
        let Some(ratings) = tx.get::<Ratings>(&ratings_key(*user))? else { continue };
        count += ratings.domains.len();
        if count > RATINGS_MAX && !found.is_empty() {
            let text = "these are too many ratings for one answer: ask for fewer users";
            return Err(Refusal::Invalid(text.to_owned()).into());
        }
        found.push((*user, ratings.domains));
    }
    Ok(Answer::Ratings(found))
}

/// How strong a user is, by domain, as the lobby needs it.
///
/// # Errors
/// As [`Transaction::get`].
pub(crate) fn levels(user: UserId, tx: &mut Transaction<'_>) -> Result<BTreeMap<crate::DomainName, Level>, Stop> {
    let ratings: Ratings = tx.get_or_default(&ratings_key(user))?;
    Ok(ratings.domains.into_iter().map(|(domain, rating)| (domain, Level::from(&rating))).collect())
}

/// The leaderboards there are, each with its season that is on and the one before.
pub(super) fn boards(tx: &mut Transaction<'_>) -> Result<Answer, Stop> {
    let boards = tx.boards()?;
    let info = |(name, board): (&str, &Board)| {
        let (current, before) = board.seasons(tx.now);
        let entries = |season: &Season| boards.ranking(name, &season.name).map_or(0, Ranking::len);
        let before = before.filter(|season| entries(season) > 0);
        let seasons = [Some(current), before].into_iter().flatten();
        let seasons = seasons.map(|season| SeasonInfo { entries: entries(&season), season });
        Info { name: name.to_owned(), board: board.clone(), seasons: seasons.collect() }
    };
    Ok(Answer::Boards(boards.all().map(info).collect()))
}

/// A part of a leaderboard.
///
/// # Errors
/// A leaderboard or season that is not there; numbers beyond the limits.
pub(super) fn page(
    caller: &Caller,
    board: &str,
    season: Option<&str>,
    part: &Part,
    tx: &mut Transaction<'_>,
) -> Result<Answer, Stop> {
    let boards = tx.boards()?;
    let season = season_of(boards, board, season, tx.now)?;
    let ranking = boards.ranking(board, &season.name);
    let entries = entries_of(caller, part, ranking)?;
    tx.want(entries.iter().map(|(_, entry)| profile::key(entry.user)))?;
    let mut rows = Vec::new();
    for (rank, Entry { user, score, .. }) in entries {
        let profile: Option<Profile> = tx.get(&profile::key(user))?;
        rows.push(Row { rank, user, name: profile.map(|profile| profile.name).unwrap_or_default(), score });
    }
    let Season { name, ends, .. } = season;
    let entries = ranking.map_or(0, Ranking::len);
    Ok(Answer::Page(Page { board: board.to_owned(), season: name, ends, entries, rows }))
}

/// The entries of a part, with their ranks.
fn entries_of(caller: &Caller, part: &Part, ranking: Option<&Ranking>) -> Result<Vec<(u32, Entry)>, Refusal> {
    let page = match part {
        Part::From { limit, .. } if *limit == 0 || *limit > ROWS_MAX => {
            return Err(Refusal::Invalid(format!("ask for 1 to {ROWS_MAX} entries at once")));
        }
        Part::Around { neighbours, .. } if *neighbours > NEIGHBOURS_MAX => {
            return Err(Refusal::Invalid(format!("ask for at most {NEIGHBOURS_MAX} neighbours on each side")));
        }
        Part::From { rank, limit } => ranking.map(|ranking| ranking.page(*rank, *limit)),
        Part::Around { user, neighbours } => {
            let user = match (user, caller) {
                (Some(user), _) | (None, Caller::User(user)) => *user,
                (None, _) => return Err(Refusal::Invalid("say whose neighbours are meant".to_owned())),
            };
            ranking.and_then(|ranking| ranking.neighbours(user, *neighbours))
        }
        Part::Of(users) => {
            check_users(users)?;
            let entry = |user: &UserId| ranking.and_then(|it| Some((it.rank(*user)?, it.get(*user)?)));
            let mut entries: Vec<(u32, Entry)> = users.iter().filter_map(entry).collect();
            entries.sort_by_key(|(rank, _)| *rank);
            entries.dedup_by_key(|(rank, _)| *rank);
            return Ok(entries);
        }
    };
    Ok(page.map_or_else(Vec::new, |page| (page.first_rank..).zip(page.entries).collect()))
}

/// Sets a user's score in the season that is on, or takes the user off.
///
/// # Errors
/// Callers who are users; a leaderboard that is not there, or full.
pub(super) fn set(
    caller: &Caller,
    board: &str,
    user: UserId,
    score: Option<i64>,
    tx: &mut Transaction<'_>,
) -> Result<(), Stop> {
    if *caller != Caller::Operator {
        return Err(Refusal::Forbidden("scores come from games, and from operators".into()).into());
    }
    if score.is_some() && !tx.has(&profile::key(user))? {
        return Err(Refusal::NotFound(format!("user {user} who has been in the lobby")).into());
    }
    let boards = tx.boards()?;
    let season = season_of(boards, board, None, tx.now)?;
    let place = Place { board: board.to_owned(), season: season.name, user };
    let before = boards.get(&place);
    if before.map(|entry| entry.score) == score {
        return Ok(());
    }
    match finished::put(place, score.map(|score| Stored { score, since: tx.now.0 }), tx)? {
        true => Ok(()),
        false => Err(Refusal::Invalid("this leaderboard is full: raise its entries_max".to_owned()).into()),
    }
}

/// A season that can be read: the one that is on, or the one of this name.
fn season_of(boards: &Boards, board: &str, season: Option<&str>, now: Time) -> Result<Season, Refusal> {
    let shortened = |name: &str| name.chars().take(64).collect::<String>();
    let Some(rules) = boards.board(board) else {
        return Err(Refusal::NotFound(format!("leaderboard named {:?}", shortened(board))));
    };
    let (current, before) = rules.seasons(now);
    match season {
        None => Ok(current),
        Some(name) => {
            [Some(current), before].into_iter().flatten().find(|season| season.name == name).ok_or_else(|| {
                Refusal::NotFound(format!("season {:?} of this leaderboard any more, or yet", shortened(name)))
            })
        }
    }
}

fn check_users(users: &[UserId]) -> Result<(), Refusal> {
    if users.is_empty() || users.len() > USERS_MAX {
        return Err(Refusal::Invalid(format!("ask for 1 to {USERS_MAX} users at once")));
    }
    Ok(())
}
