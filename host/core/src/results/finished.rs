//! The results of a game, recorded once: the match, the ratings, the leaderboards and the histories of those who
//! played, in one transaction.
//!
//! Invariant: a game's results change something once. The record `result/<allocation>` says that they have, and is kept as
//! long as a history leads to it, which is longer than anybody repeats the request.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::News;
use super::boards::{Change, Place, Stored};
use super::history::{self, MatchRecord, Played};
use super::rating::{self, Finish, Rating};
use crate::db::{Caller, News as DbNews, Stop, Transaction};
use crate::ids::{AllocationId, DomainName, SceneId, Time, UserId};
use crate::message::{Player, PlayerResult};
use crate::profile::{self, Profile};
use crate::refusal::Refusal;

/// How a game was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// Its scene.
    pub scene: SceneId,
    /// Where its players were matched.
    pub domain: DomainName,
    /// When.
    pub ended: Time,
    /// Everyone who had a seat.
    pub players: Vec<Player>,
    /// One for each player that counts.
    pub results: Vec<PlayerResult>,
}

/// The ratings of a user, stored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ratings {
    /// By domain. There are no more than there were domains.
    pub domains: BTreeMap<DomainName, Rating>,
}

/// The key of a user's ratings.
pub fn ratings_key(user: UserId) -> String {
    format!("rating/{user}")
}

/// A player who counts, with the result.
struct Row<'a> {
    player: &'a Player,
    result: &'a PlayerResult,
    won: bool,
    /// The account was deleted meanwhile: nothing is to be kept of the user any more.
    gone: bool,
    /// Before the game; and after it, if it is rated.
    ratings: (Rating, Option<Rating>),
}

impl Row<'_> {
    fn rating(&self) -> Option<i32> {
        self.ratings.1.map(|after| after.rounded())
    }

    fn change(&self) -> i32 {
        self.rating().map_or(0, |after| after - self.ratings.0.rounded())
    }
}

/// Records a game. Results that the game left empty are not recorded: it was not decided.
///
/// # Errors
/// [`Refusal::Invalid`] for results that no game can have.
pub(super) fn record(
    caller: &Caller,
    allocation: AllocationId,
    finished: &Finished,
    tx: &mut Transaction<'_>,
) -> Result<(), Stop> {
    if *caller != Caller::Host {
        return Err(Refusal::Forbidden("only the host records results".into()).into());
    }
    let mut rows = rows_of(finished)?;
    let users = || rows.iter().map(|row| row.player.user);
    let result_key = history::match_key(allocation);
    let of_users = users().flat_map(|user| [profile::key(user), ratings_key(user), history::key(user)]);
    tx.want(of_users.chain([result_key.clone()]))?;
    if tx.get::<MatchRecord>(&result_key)?.is_some() {
        return Ok(());
    }
    tx.boards()?;
    for row in &mut rows {
        // Everyone who comes into the lobby has a profile as long as the account.
        row.gone = tx.get::<Profile>(&profile::key(row.player.user))?.is_none();
    }
    rate(finished, &mut rows, tx)?;
    rank(finished, &rows, tx)?;
    let players = rows.iter().map(|row| Played {
        user: row.player.user,
        name: if row.gone { String::new() } else { row.player.name.clone() },
        team: row.player.team,
        place: row.result.place,
        score: row.result.score,
        rating: row.rating(),
        change: row.change(),
    });
    history::add(allocation, finished, players.collect(), tx)
}

/// The players who count, the best first.
fn rows_of(finished: &Finished) -> Result<Vec<Row<'_>>, Refusal> {
    let invalid = |text: &str| Err(Refusal::Invalid(text.to_owned()));
    let mut rows = Vec::new();
    let mut users = BTreeSet::new();
    for result in &finished.results {
        let Some(player) = finished.players.iter().find(|player| player.seat == result.seat) else {
            return invalid("the game gave a result to a seat that it does not have");
        };
        if !users.insert(player.user) {
            return invalid("the game gave two results to one player");
        }
        if result.place == 0 {
            return invalid("the game gave the place 0: places begin at 1");
        }
        rows.push(Row { player, result, won: false, gone: false, ratings: (Rating::default(), None) });
    }
    if rows.is_empty() {
        return invalid("the game was not decided: there are no results");
    }
    rows.sort_by_key(|row| (row.result.place, row.player.seat));
    mark_winners(&mut rows);
    Ok(rows)
}

/// Who won: the side with the best place, if it is the only one. If all are of one team, each is a side.
fn mark_winners(rows: &mut [Row<'_>]) {
    let one_team = rows.iter().all(|row| row.player.team == rows[0].player.team);
    let side = |row: &Row<'_>| if one_team { row.player.seat } else { row.player.team };
    let best = rows[0].result.place;
    let sides: BTreeSet<u32> = rows.iter().filter(|row| row.result.place == best).map(side).collect();
    if sides.len() == 1 && rows.len() > 1 {
        rows.iter_mut().for_each(|row| row.won = sides.contains(&side(row)));
    }
}

/// The ratings after the game, if its domain's games are rated and there was somebody to play against.
fn rate(finished: &Finished, rows: &mut [Row<'_>], tx: &mut Transaction<'_>) -> Result<(), Stop> {
    if !tx.rules.results.rated.get(&finished.domain).copied().unwrap_or_default() {
        return Ok(());
    }
    let mut before = Vec::new();
    for row in rows.iter_mut() {
        let known: Ratings = tx.get_or_default(&ratings_key(row.player.user))?;
        row.ratings.0 = known.domains.get(&finished.domain).copied().unwrap_or_default();
        before.push(known);
    }
    let finish = |row: &Row<'_>| Finish { rating: row.ratings.0, team: row.player.team, place: row.result.place };
    let finishes: Vec<Finish> = rows.iter().map(finish).collect();
    let Ok(after) = rating::rate(&finishes, finished.ended) else { return Ok(()) };
    for ((row, mut known), after) in rows.iter_mut().zip(before).zip(after) {
        if row.gone {
            continue;
        }
        row.ratings.1 = Some(after);
        known.domains.insert(finished.domain.clone(), after);
        tx.put(ratings_key(row.player.user), &known);
        let news = News {
            domain: finished.domain.clone(),
            rating: after.rounded(),
            games: after.games,
            change: row.change(),
            place: row.result.place,
            ended: finished.ended,
        };
        tx.tell(row.player.user, DbNews::Results(news));
    }
    Ok(())
}

/// The leaderboards after the game. What ended in a season that is not kept any more changes none.
fn rank(finished: &Finished, rows: &[Row<'_>], tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let boards = tx.boards()?;
    for (name, board) in boards.all().filter(|(_, board)| board.domain == finished.domain) {
        let season = board.reset.season(finished.ended).name;
        if board.is_old(&season, tx.now) {
            continue;
        }
        for row in rows.iter().filter(|row| !row.gone) {
            let place = Place { board: name.to_owned(), season: season.clone(), user: row.player.user };
            let before = boards.get(&place).map(|entry| entry.score);
            let Some(score) = board.score_after(before, row.result.score, row.rating(), row.won) else { continue };
            if before != Some(score) {
                put(place, Some(Stored { score, since: finished.ended.0 }), tx)?;
            }
        }
    }
    Ok(())
}

/// Changes an entry: its record, and the leaderboard in memory with it. False if there is no place for one more.
pub(super) fn put(place: Place, entry: Option<Stored>, tx: &mut Transaction<'_>) -> Result<bool, Stop> {
    let boards = tx.boards()?;
    let Some(entry) = entry else {
        tx.delete(place.key());
        tx.rank(Change { place, entry: None });
        return Ok(true);
    };
    if boards.get(&place).is_none() {
        let entries = boards.ranking(&place.board, &place.season).map_or(0, super::ranking::Ranking::len);
        let entries_max = boards.board(&place.board).map_or(0, |board| board.entries_max);
        if entries.saturating_add(tx.entering(&place)) >= entries_max {
            return Ok(false);
        }
    }
    tx.put(place.key(), &entry);
    tx.rank(Change { place, entry: Some(entry) });
    Ok(true)
}
