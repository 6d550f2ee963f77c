//! The last matches of a user.
//!
//! Invariant: a match is kept as long as the history of one of its players leads to it; so there are at most
//! [`KEPT_MAX`] for each user.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Answer, Finished};
use crate::db::{Caller, Stop, Transaction};
use crate::ids::{AllocationId, DomainName, SceneId, Time, UserId};
use crate::refusal::Refusal;

/// How many matches are kept for a user.
pub const KEPT_MAX: usize = 64;
/// How many matches are shown at once.
pub const SHOWN_MAX: u32 = 16;
/// How many players of a match are shown, the best first and the user whose history it is in any case.
pub const PLAYERS_SHOWN_MAX: usize = 16;

/// Which matches a user has played; stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Their allocations, the newest first.
    #[serde(alias = "scenes")]
    pub allocations: VecDeque<AllocationId>,
}

/// A match; stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchRecord {
    /// Its scene; records without one are of a time when an allocation had the number of its scene.
    #[serde(default)]
    pub scene: Option<SceneId>,
    /// Where its players were matched.
    pub domain: DomainName,
    /// When it ended.
    pub ended: Time,
    /// Those who counted, the best first.
    pub players: Vec<Played>,
    /// How many histories lead to it.
    pub kept: u32,
}

impl MatchRecord {
    fn scene_of(&self, allocation: AllocationId) -> SceneId {
        self.scene.unwrap_or(SceneId(allocation.0))
    }
}

/// How a player ended a match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Played {
    /// Who.
    pub user: UserId,
    /// The display name at that time; empty: the account is gone.
    pub name: String,
    /// The team.
    pub team: u32,
    /// 1 is best; equal places are a draw.
    pub place: u32,
    /// The game's own points.
    pub score: i64,
    /// The rating after it, if it was rated.
    #[serde(default)]
    pub rating: Option<i32>,
    /// By how much that has changed.
    #[serde(default)]
    pub change: i32,
}

/// A match, as it is shown in the history of one of its players.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// Its scene.
    pub scene: SceneId,
    /// Where its players were matched.
    pub domain: DomainName,
    /// When it ended.
    pub ended: Time,
    /// How the user whose history it is has ended it.
    pub own: Played,
    /// The first [`PLAYERS_SHOWN_MAX`] of all players, the best first.
    pub players: Vec<Played>,
    /// How many players there were.
    pub players_count: u32,
}

impl Match {
    /// About how many bytes it has.
    pub fn bytes(&self) -> usize {
        let names: usize = self.players.iter().map(|player| player.name.len()).sum();
        size_of::<Self>() + self.players.len() * size_of::<Played>() + names
    }
}

/// The key of a user's history.
pub fn key(user: UserId) -> String {
    format!("history/{user}")
}

/// The key of a match.
pub fn match_key(allocation: AllocationId) -> String {
    format!("result/{allocation}")
}

/// Adds a match to the histories of its players. Their records are in memory.
pub(super) fn add(
    allocation: AllocationId,
    finished: &Finished,
    players: Vec<Played>,
    tx: &mut Transaction<'_>,
) -> Result<(), Stop> {
    let mut dropped = Vec::new();
    let mut histories = Vec::new();
    // An account that is gone has no name, and is to have no history again.
    let with_history = players.iter().filter(|player| !player.name.is_empty());
    for player in with_history {
        let mut history: History = tx.get_or_default(&key(player.user))?;
        history.allocations.push_front(allocation);
        dropped.extend(history.allocations.drain(KEPT_MAX.min(history.allocations.len())..));
        histories.push((player.user, history));
    }
    tx.want(dropped.iter().map(|allocation| match_key(*allocation)))?;
    let kept = histories.len() as u32;
    for (user, history) in histories {
        tx.put(key(user), &history);
    }
    for allocation in dropped {
        let key = match_key(allocation);
        let Some(record) = tx.get::<MatchRecord>(&key)? else { continue };
        let_go(key, record, tx);
    }
    if kept == 0 {
        return Ok(());
    }
    let (scene, domain) = (Some(finished.scene), finished.domain.clone());
    let record = MatchRecord { scene, domain, ended: finished.ended, players, kept };
    tx.put(match_key(allocation), &record);
    Ok(())
}

/// A user's rows of the matches in the history.
pub(super) fn export(user: UserId, tx: &mut Transaction<'_>) -> Result<Vec<Value>, Stop> {
    let history: History = tx.get_or_default(&key(user))?;
    tx.want(history.allocations.iter().map(|allocation| match_key(*allocation)))?;
    let mut matches = Vec::new();
    for allocation in history.allocations {
        let Some(record) = tx.get::<MatchRecord>(&match_key(allocation))? else { continue };
        let scene = record.scene_of(allocation);
        let MatchRecord { domain, ended, players, .. } = record;
        let own = players.iter().find(|player| player.user == user);
        matches.push(json!({ "scene": scene.to_string(), "domain": domain, "ended": ended, "own": own }));
    }
    Ok(matches)
}

/// Removes a user's history, and the name from the matches that others have.
pub(super) fn forget(user: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let history: History = tx.get_or_default(&key(user))?;
    tx.want(history.allocations.iter().map(|allocation| match_key(*allocation)))?;
    for allocation in history.allocations {
        let key = match_key(allocation);
        let Some(mut record) = tx.get::<MatchRecord>(&key)? else { continue };
        record.players.iter_mut().filter(|player| player.user == user).for_each(|player| player.name.clear());
        let_go(key, record, tx);
    }
    tx.delete(key(user));
    Ok(())
}

/// One history less leads to a match.
fn let_go(key: String, mut record: MatchRecord, tx: &mut Transaction<'_>) {
    record.kept = record.kept.saturating_sub(1);
    match record.kept {
        0 => tx.delete(key),
        _ => tx.put(key, &record),
    }
}

/// Shows a user's matches.
///
/// # Errors
/// Users ask for their own only; numbers beyond the limits.
pub(super) fn show(
    caller: &Caller,
    user: Option<UserId>,
    skip: u32,
    limit: u32,
    tx: &mut Transaction<'_>,
) -> Result<Answer, Stop> {
    let user = match (caller, user) {
        (Caller::User(own), None) => *own,
        (Caller::User(own), Some(user)) if *own == user => user,
        (Caller::User(_), Some(_)) => return Err(Refusal::Forbidden("you can see your own matches only".into()).into()),
        (_, Some(user)) => user,
        (_, None) => return Err(Refusal::Invalid("say whose matches are meant".to_owned()).into()),
    };
    if limit == 0 || limit > SHOWN_MAX {
        return Err(Refusal::Invalid(format!("ask for 1 to {SHOWN_MAX} matches at once")).into());
    }
    let history: History = tx.get_or_default(&key(user))?;
    let wanted: Vec<AllocationId> =
        history.allocations.iter().skip(skip as usize).take(limit as usize).copied().collect();
    tx.want(wanted.iter().map(|allocation| match_key(*allocation)))?;
    let mut matches = Vec::new();
    for allocation in wanted {
        let Some(record) = tx.get::<MatchRecord>(&match_key(allocation))? else { continue };
        let scene = record.scene_of(allocation);
        let Some(own) = record.players.iter().find(|player| player.user == user).cloned() else { continue };
        let players_count = record.players.len() as u32;
        let players = record.players.into_iter().take(PLAYERS_SHOWN_MAX).collect();
        matches.push(Match { scene, domain: record.domain, ended: record.ended, own, players, players_count });
    }
    Ok(Answer::History(matches, history.allocations.len() as u32))
}
