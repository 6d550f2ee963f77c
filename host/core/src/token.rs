//! Secrets: 256 bits from the host's secure source. The holder has the secret; the host keeps only
//! its SHA-256, so that a stolen store opens no door.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::SceneId;

/// A secret as it is given to its holder, 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Draws a new secret.
    pub fn draw(rng: &mut dyn rand_core::CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(hex(&bytes))
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
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// The hash of any text that was presented as a secret.
    pub fn of(presented: &str) -> Self {
        Self(Sha256::digest(presented.as_bytes()).into())
    }
}

impl fmt::Display for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
