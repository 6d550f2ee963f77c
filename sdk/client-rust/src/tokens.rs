//! A session's tokens, and where a program takes them to keep them.
//!
//! Invariant: what is printed for debugging does not show them.

use std::fmt;
use std::sync::Arc;

use scenehost_protocol::v1;

/// A session's tokens, as [`Credential::Tokens`](crate::Credential::Tokens) needs them. Whoever has them is the user.
#[derive(Clone, PartialEq, Eq)]
pub struct Tokens {
    pub session_token: String,
    /// In milliseconds since 1970.
    pub session_expires_ms: u64,
    pub refresh_token: String,
    /// In milliseconds since 1970.
    pub refresh_expires_ms: u64,
}

impl From<&v1::ResSignIn> for Tokens {
    fn from(session: &v1::ResSignIn) -> Self {
        Self {
            session_token: session.session_token.clone(),
            session_expires_ms: session.session_expires_ms,
            refresh_token: session.refresh_token.clone(),
            refresh_expires_ms: session.refresh_expires_ms,
        }
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("session_expires_ms", &self.session_expires_ms)
            .field("refresh_expires_ms", &self.refresh_expires_ms)
            .finish_non_exhaustive()
    }
}

/// What a program does with refreshed tokens, before they are used: see
/// [`Options::on_tokens`](crate::Options::on_tokens).
#[derive(Clone)]
pub struct OnTokens(Arc<dyn Fn(&Tokens) + Send + Sync>);

impl OnTokens {
    /// `keep` stores the tokens and only then returns. The connection waits for it, on a thread of the runtime: it
    /// shall be done within some milliseconds, and must not panic.
    pub fn new(keep: impl Fn(&Tokens) + Send + Sync + 'static) -> Self {
        Self(Arc::new(keep))
    }

    pub(crate) fn call(&self, tokens: &Tokens) {
        (self.0)(tokens);
    }
}

impl fmt::Debug for OnTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnTokens(..)")
    }
}
