//! What a guild keeps for its members' games: a few values, which officers write and every member reads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Answer, Role, What, own, own_as, save};
use crate::db::{Stop, Transaction};
use crate::ids::{GuildId, UserId};
use crate::refusal::Refusal;

/// How many values a guild may have.
pub const DATA_KEYS_MAX: usize = 16;
/// The longest key, in bytes.
pub const DATA_KEY_BYTES_MAX: usize = 64;
/// The largest value, in bytes.
pub const DATA_VALUE_BYTES_MAX: usize = 1_024;

/// One of a guild's values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Datum {
    /// The value, in a format of the game's own.
    #[serde(with = "crate::record::base64")]
    pub value: Vec<u8>,
    /// Grows with every write, also over a removal; never 0.
    pub version: u64,
}

/// All of a guild's values.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Data {
    /// The version of the last write.
    last: u64,
    values: BTreeMap<String, Datum>,
}

/// The key of the record with a guild's values.
pub(crate) fn data_key(guild: GuildId) -> String {
    format!("guild-data/{guild}")
}

pub(super) fn read(user: UserId, tx: &mut Transaction<'_>) -> Result<Answer, Stop> {
    let (id, _, _) = own(user, tx)?;
    let data: Data = tx.get_or_default(&data_key(id))?;
    Ok(Answer::Data(data.values.into_iter().collect()))
}

pub(super) fn write(
    user: UserId,
    key: &str,
    value: Option<&[u8]>,
    if_version: Option<u64>,
    tx: &mut Transaction<'_>,
) -> Result<Answer, Stop> {
    if key.is_empty() || key.len() > DATA_KEY_BYTES_MAX || key.chars().any(char::is_control) {
        let text = format!("a key has 1 to {DATA_KEY_BYTES_MAX} bytes and no control characters");
        return Err(Refusal::Invalid(text).into());
    }
    if value.is_some_and(|value| value.len() > DATA_VALUE_BYTES_MAX) {
        return Err(Refusal::Invalid(format!("a value has at most {DATA_VALUE_BYTES_MAX} bytes")).into());
    }
    let (id, mut guild, _) = own_as(user, Role::Officer, tx)?;
    let mut data: Data = tx.get_or_default(&data_key(id))?;
    let version = data.values.get(key).map_or(0, |datum| datum.version);
    if if_version.is_some_and(|expected| expected != version) {
        return Err(Refusal::Conflict("the value has changed since you read it: read it again".into()).into());
    }
    if value.is_none() && version == 0 {
        return Ok(Answer::Written(0));
    }
    data.last += 1;
    let version = match value {
        None => {
            data.values.remove(key);
            0
        }
        Some(_) if version == 0 && data.values.len() >= DATA_KEYS_MAX => {
            let text = format!("a guild has at most {DATA_KEYS_MAX} values: remove one first");
            return Err(Refusal::Invalid(text).into());
        }
        Some(value) => {
            data.values.insert(key.to_owned(), Datum { value: value.to_vec(), version: data.last });
            data.last
        }
    };
    // Kept also without values, for the versions go on.
    tx.put(data_key(id), &data);
    save(id, &mut guild, What::Data, user, tx);
    Ok(Answer::Written(version))
}
