//! Secrets: 256 bits from the host's secure source. The holder has the secret; the host keeps only
//! its SHA-256, so that a stolen store opens no door.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::SceneId;

/// A secret as it is given to its holder, 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(String);

impl Secret {
    /// Draws a new secret.
    pub fn draw(rng: &mut dyn rand_core::CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(hex(&bytes))
    }

    /// Draws a new name that must not be guessed: 128 bits, 32 digits.
    pub fn draw_128(rng: &mut dyn rand_core::CryptoRng) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(hex(&bytes))
    }

    /// A secret as its holder presents it.
    pub fn from_holder(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// What the host keeps of it.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(&self.0)
    }

    /// The text for the holder. Never log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The SHA-256 of a secret. Look-ups compare hashes, so their timing tells nothing about secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// The hash of any text that was presented as a secret.
    pub fn of(presented: &str) -> Self {
        Self(Sha256::digest(presented.as_bytes()).into())
    }

    /// Its first 64 bits: a name that tells nothing of the secret.
    pub fn prefix(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

/// A stored hash that is none.
#[derive(Debug, thiserror::Error)]
#[error("a hash has 64 hexadecimal digits")]
pub struct NoHash;

impl TryFrom<String> for SecretHash {
    type Error = NoHash;

    fn try_from(text: String) -> Result<Self, NoHash> {
        let digits = text.as_bytes();
        let mut bytes = [0; 32];
        // A sign is no digit, though `from_str_radix` would take it.
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(NoHash);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| NoHash)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NoHash)?;
        }
        Ok(Self(bytes))
    }
}

impl From<SecretHash> for String {
    fn from(hash: SecretHash) -> Self {
        hash.to_string()
    }
}

impl fmt::Display for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    digits.map(char::from).collect()
}

/// The text of a scene token: the scene in the clear, so that its socket finds the thread that
/// runs it, and the secret of the seat.
pub fn scene_token(scene: SceneId, secret: &Secret) -> String {
    format!("{scene}.{}", secret.expose())
}

/// The parts of a scene token, or `None` if it is not one.
pub fn parse_scene_token(token: &str) -> Option<(SceneId, SecretHash)> {
    let (scene, secret) = token.split_once('.')?;
    let well_formed = scene.len() == 16 && secret.len() == 64;
    well_formed.then(|| Some((scene.parse().ok()?, SecretHash::of(secret))))?
}
