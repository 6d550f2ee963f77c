//! Why a running scene does not change to another version of its game.

use crate::failure::Failure;

/// Why a swap was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SwapError {
    #[error("there is no scene of this key")]
    NoScene,
    /// The scene has said `finish` and waits to be removed.
    #[error("the scene has finished")]
    Finished,
    /// The scene goes on with the version that it has.
    #[error("the scene stays with its version: {reason}")]
    Kept { reason: String },
    /// The scene failed when it was saved, and is already removed.
    #[error(transparent)]
    Failed(#[from] Failure),
}
