//! A user's whole property: shown to the user who asks for it, and removed with the account. Each feature has a part
//! in both.
//!
//! It is removed in parts, one a transaction, so that nobody waits for a user who has much. With the first goes what
//! makes the user known to others, above all the profile: from then on nobody can do anything with the user, and
//! what is left is only the user's own.
//!
//! Invariant: what is left after each part fits together. The order, `forget/<user>`, stays until the last part: if
//! the next one is not asked for because power or Db failed, Auth's sweep asks for it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Asker, Caller, Event, Request, Stop, Transaction, enter};
use crate::economy::wallet::wallet_key;
use crate::ids::UserId;
use crate::profile::Profile;
use crate::refusal::Refusal;
use crate::{chat, economy, friends, guild, inbox, party, profile, record, results, storage};

/// All that is kept of a user, as JSON: one field for each feature.
pub(super) fn export(user: UserId, tx: &mut Transaction<'_>) -> Result<Value, Stop> {
    if is_being_forgotten(user, tx)? {
        return Err(Refusal::NotFound("user with this id any more".to_owned()).into());
    }
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

/// How many records one part of a removal concerns, about.
pub(crate) const PART_LEN: usize = 256;

/// That the first part of a removal is done; kept until the last is.
#[derive(Debug, Serialize, Deserialize)]
struct Forgotten {
    /// The display name, for those who have to be told.
    name: String,
    /// The number of the last open report that was looked at.
    #[serde(default)]
    reports: u64,
}

pub(super) fn forgotten_key(user: UserId) -> String {
    format!("forgotten/{user}")
}

/// Whether what is kept of a user is being removed, and not all of it is yet.
///
/// # Errors
/// [`Stop::Missing`].
pub(super) fn is_being_forgotten(user: UserId, tx: &mut Transaction<'_>) -> Result<bool, Stop> {
    tx.has(&forgotten_key(user))
}

/// Removes a part of it and asks for the next; with the last one goes the order to do so, which the store has kept
/// until now. Asked again, it goes on where it was. Answered after the first part.
pub(super) fn forget(user: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let heads = [chat::talks_key(user), wallet_key(user), party::of_key(user)];
    // A user who is still coming in waits for some of these: with all of them here that is done before this, and what
    // it writes is removed.
    tx.want(heads.into_iter().chain(enter::keys(user)))?;
    let is_over = match tx.get::<Forgotten>(&forgotten_key(user))? {
        Some(forgotten) => !forget_part(user, forgotten, tx)?,
        None => {
            forget_what_is_seen(user, tx)?;
            false
        }
    };
    if is_over {
        tx.delete(forgotten_key(user));
        tx.delete(record::forget_key(user));
    } else {
        let request = Box::new(Request::Forget(user));
        tx.send(Event::Req { caller: Caller::Host, asker: Asker::Nobody, request });
    }
    Ok(())
}

/// What makes a user known to others, all at once; there is not much of it.
fn forget_what_is_seen(user: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    guild::forget(user, tx)?;
    party::forget(user, tx)?;
    results::forget(user, tx)?;
    chat::unmute(user, tx);
    inbox::forget(user, tx);
    let Profile { name, .. } = tx.get_or_default(&profile::key(user))?;
    profile::forget(user, tx);
    tx.put(forgotten_key(user), &Forgotten { name, reports: 0 });
    Ok(())
}

/// The next part of the rest. False if there was none.
fn forget_part(user: UserId, forgotten: Forgotten, tx: &mut Transaction<'_>) -> Result<bool, Stop> {
    if friends::forget(user, &forgotten.name, tx)? || storage::forget(user, tx)? || chat::forget(user, tx)? {
        return Ok(true);
    }
    if let Some(reports) = chat::forget_reports(user, forgotten.reports, tx)? {
        tx.put(forgotten_key(user), &Forgotten { reports, ..forgotten });
        return Ok(true);
    }
    economy::forget(user, tx)
}
