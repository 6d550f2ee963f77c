//! Identities: what leads to an account. Each has one record, which names the account.
//!
//! Invariant: an identity belongs to at most one account; what is secret about it is stored as a
//! hash only.

use serde::{Deserialize, Serialize};
use std::fmt;

use crate::ids::UserId;
use crate::refusal::Refusal;
use crate::token::SecretHash;

/// The lengths that a device id may have.
pub const DEVICE_ID_CHARS: std::ops::RangeInclusive<usize> = 16..=128;
/// The lengths that the name of an account may have.
pub const NAME_CHARS: std::ops::RangeInclusive<usize> = 3..=32;
/// The lengths that a password may have. NIST SP 800-63B, section 5.1.1.2, asks for at least 8 and for room for 64.
pub const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=128;
/// The longest name of a sign-in provider, in characters.
pub const PROVIDER_CHARS_MAX: usize = 32;
/// The longest ID token; issuers that name all groups of a user in it come to some 10 KB.
pub const ID_TOKEN_BYTES_MAX: usize = 12 * 1_024;
/// The longest name that another system may give a user.
const SUBJECT_CHARS_MAX: usize = 256;

/// An identity's name: its kind and what tells it from others of that kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdentityKey(String);

/// Where an identity leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityRecord {
    /// The account.
    pub user: UserId,
    /// The hash of the password in PHC's form, with its salt and parameters; of names only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

impl IdentityKey {
    /// A guest's device, by its secret id.
    ///
    /// # Errors
    ///
    /// When the id is too short to be a secret, or too long.
    pub fn guest(device_id: &str) -> Result<Self, Refusal> {
        if !DEVICE_ID_CHARS.contains(&device_id.chars().count()) {
            let text = "device_id needs 16 to 128 characters from a secure random source";
            return Err(Refusal::Invalid(text.to_owned()));
        }
        Ok(Self(format!("guest/{}", SecretHash::of(device_id))))
    }

    /// A name chosen by its user. Capital and small letters are the same.
    ///
    /// # Errors
    ///
    /// When it has other characters than letters, digits, `-`, `_` and `.`, or too few or many.
    pub fn name(name: &str) -> Result<Self, Refusal> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !NAME_CHARS.contains(&name.len()) || !name.chars().all(plain) {
            let text = "the name of an account has 3 to 32 letters (a-z), digits, or the characters - _ .";
            return Err(Refusal::Invalid(text.to_owned()));
        }
        Ok(Self(format!("name/{}", name.to_ascii_lowercase())))
    }

    /// A user of an OpenID Connect issuer.
    ///
    /// # Errors
    ///
    /// When the subject is empty or too long.
    pub fn oidc(issuer: &str, subject: &str) -> Result<Self, Refusal> {
        check_subject(subject)?;
        // A line break is in no URL, so no two pairs have the same text.
        Ok(Self(format!("oidc/{}", SecretHash::of(&format!("{issuer}\n{subject}")))))
    }

    /// A user as the game's own backend names them.
    ///
    /// # Errors
    ///
    /// When the id is empty or too long.
    pub fn custom(id: &str) -> Result<Self, Refusal> {
        check_subject(id)?;
        Ok(Self(format!("custom/{}", SecretHash::of(id))))
    }

    /// `guest`, `name`, `oidc` or `custom`.
    pub fn kind(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// A short name by which its user can speak of it: the kind and the name, or a part of the hash.
    pub fn label(&self) -> String {
        match self.0.split_once('/') {
            Some(("name", name)) => format!("name/{name}"),
            Some((kind, hash)) => format!("{kind}/{}", hash.get(..12).unwrap_or(hash)),
            None => self.0.clone(),
        }
    }

    /// The key of its record.
    pub fn record_key(&self) -> String {
        format!("identity/{self}")
    }
}

impl fmt::Display for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a password may be used; its strength is its length and its user's own business.
///
/// # Errors
///
/// When it is too short or too long.
pub fn check_password(password: &str) -> Result<(), Refusal> {
    match PASSWORD_CHARS.contains(&password.chars().count()) {
        true => Ok(()),
        false => Err(Refusal::Invalid("a password has 8 to 128 characters".to_owned())),
    }
}

/// Whether an ID token may be looked at: before anybody works on it or keeps it waiting.
///
/// # Errors
///
/// When the provider's name cannot be one, or the token is empty or too long.
pub fn check_id_token(provider: &str, token: &str) -> Result<(), Refusal> {
    if !is_provider_name(provider) {
        let text = format!("provider is a name of 1 to {PROVIDER_CHARS_MAX} letters, digits, - and _");
        return Err(Refusal::Invalid(text));
    }
    match (1..=ID_TOKEN_BYTES_MAX).contains(&token.len()) {
        true => Ok(()),
        false => Err(Refusal::Invalid(format!("id_token has 1 to {ID_TOKEN_BYTES_MAX} bytes"))),
    }
}

/// Whether a sign-in provider can have this name.
pub fn is_provider_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=PROVIDER_CHARS_MAX).contains(&name.len()) && name.chars().all(plain)
}

fn check_subject(subject: &str) -> Result<(), Refusal> {
    match (1..=SUBJECT_CHARS_MAX).contains(&subject.chars().count()) {
        true => Ok(()),
        false => Err(Refusal::Invalid(format!("the user's id has 1 to {SUBJECT_CHARS_MAX} characters"))),
    }
}
