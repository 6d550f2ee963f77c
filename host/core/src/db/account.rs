//! A user's whole property: shown to the user who asks for it, and removed with the account. Each feature has a part
//! in both.

use serde_json::{Map, Value};

use super::{Stop, Transaction, enter};
use crate::ids::UserId;
use crate::{chat, economy, friends, guild, inbox, party, profile, record, results, storage};

/// All that is kept of a user, as JSON: one field for each feature.
pub(super) fn export(user: UserId, tx: &mut Transaction<'_>) -> Result<Value, Stop> {
    let mut all = Map::new();
    all.insert("profile".to_owned(), profile::export(user, tx)?);
    all.insert("records".to_owned(), storage::export(user, tx)?);
    all.insert("friends".to_owned(), friends::export(user, tx)?);
    all.insert("inbox".to_owned(), inbox::export(user, tx)?);
    all.insert("guild".to_owned(), guild::export(user, tx)?);
    all.insert("party".to_owned(), party::export(user, tx)?);
    all.insert("chat".to_owned(), chat::export(user, tx)?);
    all.insert("results".to_owned(), results::export(user, tx)?);
    all.insert("economy".to_owned(), economy::export(user, tx)?);
    Ok(Value::Object(all))
}

/// Removes all of it, and with it the order to do so, which the store has kept until now.
pub(super) fn forget(user: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    // A user who is still coming in waits for some of these: with all of them here that is done before this, and what
    // it writes is removed.
    tx.want(enter::keys(user))?;
    storage::forget(user, tx)?;
    friends::forget(user, tx)?;
    guild::forget(user, tx)?;
    party::forget(user, tx)?;
    chat::forget(user, tx)?;
    economy::forget(user, tx)?;
    inbox::forget(user, tx);
    // Last: the others may have to be told the name.
    profile::forget(user, tx);
    results::forget(user, tx)?;
    tx.delete(record::forget_key(user));
    Ok(())
}
