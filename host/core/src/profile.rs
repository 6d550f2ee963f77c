//! Profiles: a user as others see them. The name is the one of the last sign-in; the rest is the user's own words.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::db::{Answer as DbAnswer, Caller, Stop, Transaction};
use crate::ids::{Time, UserId};
use crate::refusal::Refusal;

/// The most profiles that are shown at once.
pub const SHOWN_MAX: usize = 64;
/// The longest status and the longest avatar, in characters.
pub const LINE_CHARS_MAX: usize = 64;
/// The longest text about oneself, in characters.
pub const ABOUT_CHARS_MAX: usize = 500;

/// A user as others see them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The display name.
    pub name: String,
    /// When the user came for the first time.
    #[serde(default)]
    pub since: Time,
    /// What the user is up to; empty: not said.
    #[serde(default)]
    pub status: String,
    /// Names a picture of the game's; empty: none.
    #[serde(default)]
    pub avatar: String,
    /// The user's words about themselves.
    #[serde(default)]
    pub about: String,
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// These users' profiles.
    Show(Vec<UserId>),
    /// Change one's own words; `None`: as it is.
    Change {
        /// What the user is up to.
        status: Option<String>,
        /// Names a picture of the game's.
        avatar: Option<String>,
        /// The user's words about themselves.
        about: Option<String>,
    },
}

/// The profiles of those who were asked for and are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer(pub Vec<(UserId, Profile)>);

impl Answer {
    /// About how many bytes it has.
    pub fn bytes(&self) -> usize {
        let of =
            |profile: &Profile| profile.name.len() + profile.status.len() + profile.avatar.len() + profile.about.len();
        self.0.iter().map(|(_, profile)| size_of::<Profile>() + of(profile)).sum()
    }
}

/// The key of a user's profile.
pub fn key(user: UserId) -> String {
    format!("profile/{user}")
}

/// Shows or changes profiles.
///
/// # Errors
/// Texts that are too long or have control characters, too many users at once, and callers without a profile.
pub fn run(caller: &Caller, request: &Request, tx: &mut Transaction<'_>) -> Result<DbAnswer, Stop> {
    match request {
        Request::Show(users) => show(users, tx),
        Request::Change { status, avatar, about } => {
            let Caller::User(user) = caller else {
                return Err(Refusal::OutOfOrder("only users have profiles".into()).into());
            };
            let key = key(*user);
            let before: Profile = tx.get_or_default(&key)?;
            let mut profile = before.clone();
            change(&mut profile.status, status.as_deref(), LINE_CHARS_MAX, "the status")?;
            change(&mut profile.avatar, avatar.as_deref(), LINE_CHARS_MAX, "the avatar")?;
            change(&mut profile.about, about.as_deref(), ABOUT_CHARS_MAX, "the text about you")?;
            if profile != before {
                tx.put(key, &profile);
            }
            Ok(DbAnswer::Profile(Answer(vec![(*user, profile)])))
        }
    }
}

/// A user's profile, for the user's export.
pub(crate) fn export(user: UserId, tx: &mut Transaction<'_>) -> Result<Value, Stop> {
    let profile: Option<Profile> = tx.get(&key(user))?;
    Ok(json!(profile))
}

/// Removes the profile of a user whose account is deleted.
pub(crate) fn forget(user: UserId, tx: &mut Transaction<'_>) {
    tx.delete(key(user));
}

fn show(users: &[UserId], tx: &mut Transaction<'_>) -> Result<DbAnswer, Stop> {
    if users.is_empty() || users.len() > SHOWN_MAX {
        return Err(Refusal::Invalid(format!("ask for 1 to {SHOWN_MAX} users at once")).into());
    }
    tx.want(users.iter().map(|user| key(*user)))?;
    let mut shown = Vec::new();
    for user in users {
        shown.extend(tx.get(&key(*user))?.map(|profile| (*user, profile)));
    }
    Ok(DbAnswer::Profile(Answer(shown)))
}

fn change(text: &mut String, new: Option<&str>, chars_max: usize, what: &str) -> Result<(), Refusal> {
    let Some(new) = new.map(str::trim) else { return Ok(()) };
    if new.chars().count() > chars_max {
        return Err(Refusal::Invalid(format!("{what} has at most {chars_max} characters")));
    }
    if new.chars().any(|c| c.is_control() && c != '\n') {
        return Err(Refusal::Invalid(format!("{what} has no control characters")));
    }
    new.clone_into(text);
    Ok(())
}
