//! What the lobby has to know of a user who comes in, read in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use super::{Stop, Transaction, account};
use serde::{Deserialize, Serialize};

use crate::chat;
use crate::friends::{self, Friends};
use crate::guild::{self, Membership};
use crate::ids::{DomainName, Time, UserId};
use crate::profile::{self, Profile};
use crate::refusal::Refusal;
use crate::results::finished::ratings_key;
use crate::results::rating::Level;
use crate::results::standing;

/// What the lobby knows of a user, as long as the user is there. It is told of what changes by
/// [`crate::lobby::Event::SynNews`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entered {
    /// The user as others see them.
    pub profile: Profile,
    /// Who wants to hear of the user, and of whom the user wants to hear.
    pub friends: BTreeSet<UserId>,
    /// With whom the user wants nothing to do.
    pub blocked: BTreeSet<UserId>,
    /// Until when the user may say nothing.
    pub muted_until: Option<Time>,
    /// The guild that the user is in.
    pub guild: Option<Membership>,
    /// The user looks offline to everybody.
    pub appears_offline: bool,
    /// How strong the user is, by domain; in one that is not named as a newcomer.
    pub levels: BTreeMap<DomainName, Level>,
}

/// The records that are read for a user who comes in.
pub(super) fn keys(user: UserId) -> [String; 6] {
    [
        account::forgotten_key(user),
        profile::key(user),
        chat::muted_key(user),
        guild::place_key(user),
        friends::key(user),
        ratings_key(user),
    ]
}

/// A user comes in with this name, which is kept for those who ask later.
pub(super) fn enter(user: UserId, name: &str, tx: &mut Transaction<'_>) -> Result<Entered, Stop> {
    let key = profile::key(user);
    tx.want(keys(user))?;
    if account::is_being_forgotten(user, tx)? {
        return Err(Refusal::NotFound("account of yours any more".to_owned()).into());
    }
    let muted_until = chat::muted_until(user, tx)?;
    let guild = guild::membership(user, tx)?;
    let levels = standing::levels(user, tx)?;
    let known: Option<Profile> = tx.get(&key)?;
    let profile = match known {
        Some(profile) if profile.name == name => profile,
        known => {
            let mut profile = known.unwrap_or_else(|| Profile { since: tx.now, ..Profile::default() });
            name.clone_into(&mut profile.name);
            tx.put(key, &profile);
            profile
        }
    };
    let Friends { friends, blocked, appears_offline, .. } = tx.get_or_default(&friends::key(user))?;
    let (friends, blocked) = (friends.into_keys().collect(), blocked.into_keys().collect());
    Ok(Entered { profile, friends, blocked, appears_offline, muted_until, guild, levels })
}
