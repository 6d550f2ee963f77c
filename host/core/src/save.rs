//! What a scene saves: records, and what it gives to its players and takes from them.
//!
//! Invariants: the operations of a save are done together or not at all, and a save of the same id and incarnation of
//! a scene once, however often it is asked for.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::db::{Answer, Caller, Stop, Transaction};
use crate::economy::wallet::{By, Kind};
use crate::economy::{self, catalogue::Amounts};
use crate::ids::{GameName, Incarnation, UserId};
use crate::refusal::Refusal;
use crate::storage::{self, Change, Owner, Whose};

/// The most operations in one save.
pub const OPERATIONS_MAX: usize = 32;
/// How many saves one scene may make; a save that is refused does not count.
pub const SAVES_PER_SCENE_MAX: usize = 1_000;
/// Where it is kept which saves a scene has made, for as long as it lives.
pub const SAVED_PREFIX: &str = "saved/";

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// A save.
    Save {
        /// Of which scene. One that begins anew saves anew.
        scene: Incarnation,
        /// The scene's own number for it.
        id: u64,
        /// Which game's scene it is.
        game: GameName,
        /// What is to be done.
        operations: Vec<Operation>,
    },
    /// The scene is no more, and will save nothing.
    Ended(Incarnation),
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Writes a record.
    Put {
        /// Whose.
        owner: Owner,
        /// Which.
        key: String,
        /// The value.
        value: Vec<u8>,
        /// Only if the record has this version; 0: only if there is none.
        if_version: Option<u64>,
    },
    /// Gives something.
    Grant(Amount),
    /// Takes something.
    Spend(Amount),
}

/// So much of a currency or item, for one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Whose wallet it is.
    pub user: UserId,
    /// The currency or item.
    pub name: String,
    /// How much.
    pub count: u64,
}

/// The saves that a scene has made.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Saved {
    pub ids: BTreeSet<u64>,
}

/// The scene whose saves this record has.
pub fn saved_scene(key: &str) -> Option<Incarnation> {
    key.strip_prefix(SAVED_PREFIX)?.parse().ok()
}

fn saved_key(scene: Incarnation) -> String {
    format!("{SAVED_PREFIX}{scene}")
}

/// Saves.
///
/// # Errors
/// Callers that are no scene's host; what records and wallets refuse; too many operations or saves.
pub fn run(caller: &Caller, request: &Request, tx: &mut Transaction<'_>) -> Result<Answer, Stop> {
    if *caller != Caller::Host {
        return Err(Refusal::Forbidden("only scenes save so".into()).into());
    }
    match request {
        Request::Save { scene, id, game, operations } => save(*scene, *id, game, operations, tx)?,
        Request::Ended(scene) => tx.delete(saved_key(*scene)),
    }
    Ok(Answer::Done)
}

fn save(
    scene: Incarnation,
    id: u64,
    game: &GameName,
    operations: &[Operation],
    tx: &mut Transaction<'_>,
) -> Result<(), Stop> {
    if operations.is_empty() || operations.len() > OPERATIONS_MAX {
        return Err(Refusal::Invalid(format!("a save has 1 to {OPERATIONS_MAX} operations")).into());
    }
    let key = saved_key(scene);
    let mut saved: Saved = tx.get_or_default(&key)?;
    if saved.ids.contains(&id) {
        return Ok(());
    }
    if saved.ids.len() >= SAVES_PER_SCENE_MAX {
        let text = format!("a scene saves at most {SAVES_PER_SCENE_MAX} times: put more into one save");
        return Err(Refusal::Invalid(text).into());
    }
    put(game, operations, tx)?;
    for (user, gives, amounts) in sums(operations)? {
        let note = String::new();
        let kind = if gives { Kind::Grant { amounts, note } } else { Kind::Spend { amounts, note } };
        economy::change(user, By::Scene { game: game.clone(), scene: scene.scene, epoch: scene.epoch, id }, kind, tx)?;
    }
    saved.ids.insert(id);
    tx.put(key, &saved);
    Ok(())
}

fn put(game: &GameName, operations: &[Operation], tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let change = |operation: &Operation| match operation {
        Operation::Put { owner, key, value, if_version } => Some(Change {
            whose: Whose::Of(*owner),
            key: key.clone(),
            value: Some(value.clone()),
            readers: None,
            writers: None,
            if_version: *if_version,
        }),
        Operation::Grant(_) | Operation::Spend(_) => None,
    };
    let changes: Vec<Change> = operations.iter().filter_map(change).collect();
    if !changes.is_empty() {
        storage::run(&Caller::Host, &storage::Request::Write { game: game.clone(), changes }, tx)?;
    }
    Ok(())
}

/// What each user gives up, and then what each gets: an entry of the ledger for each of both.
fn sums(operations: &[Operation]) -> Result<Vec<(UserId, bool, Amounts)>, Refusal> {
    let mut sums: BTreeMap<(bool, UserId), Amounts> = BTreeMap::new();
    for operation in operations {
        let (gives, Amount { user, name, count }) = match operation {
            Operation::Grant(amount) => (true, amount),
            Operation::Spend(amount) => (false, amount),
            Operation::Put { .. } => continue,
        };
        if *count == 0 {
            return Err(Refusal::Invalid("an amount needs at least 1".to_owned()));
        }
        let sum = sums.entry((gives, *user)).or_default().entry(name.clone()).or_default();
        *sum = sum.saturating_add(*count);
    }
    Ok(sums.into_iter().map(|((gives, user), amounts)| (user, gives, amounts)).collect())
}
