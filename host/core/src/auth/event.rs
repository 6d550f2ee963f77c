//! What Auth can be asked and told, and what it asks of the host.

use serde::{Deserialize, Serialize};

use crate::auth::account::{SessionInfo, Tokens};
use crate::auth::identity::IdentityKey;
use crate::ids::{ConnectionId, SessionId, Time, UserId};
use crate::message::ServiceName;
use crate::read::Loaded;
use crate::record::UserRecord;
use crate::refusal::Refusal;

/// What Auth can be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Somebody wants something; answered to the asker.
    Req {
        /// Who asks.
        asker: Asker,
        /// What.
        request: Box<Request>,
    },
    /// A user's lobby connection came, with its session, or went.
    SynOnline {
        /// Who.
        user: UserId,
        /// The session of the connection; `None`: there is no connection any more.
        session: Option<SessionId>,
    },
    /// The store's answer to a load.
    Loaded {
        /// The number of the load.
        job: u64,
        /// The records.
        values: Loaded,
    },
    /// The host's answer to a [`Check`].
    Checked {
        /// The number of the check.
        job: u64,
        /// What came of it.
        result: Result<Checked, Refusal>,
    },
    /// The store's answer to a scan.
    Scanned {
        /// The keys, or that the store could not answer.
        keys: Result<Vec<String>, ()>,
    },
    /// A service went up or down.
    Service {
        /// Which.
        service: ServiceName,
        /// Whether it is up now.
        up: bool,
    },
    /// Time has passed.
    Tick,
}

/// Who is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asker {
    /// The lobby, for a connection that signs in; by [`crate::lobby::Event::ResSignIn`].
    Lobby(ConnectionId),
    /// A request over HTTP, by its number; by [`crate::Message::Door`].
    Door(u64),
    /// Nobody waits.
    Nobody,
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// To be somebody, answered by [`Answer::SignedIn`].
    SignIn {
        /// By what.
        credential: Credential,
        /// The display name wanted, or empty.
        name: String,
        /// What the user shall see of this device among the sessions.
        device: String,
    },
    /// The next pair of tokens for a refresh token, answered by [`Answer::SignedIn`].
    Refresh(String),
    /// Something with one's own account.
    Own {
        /// The session token of whom.
        token: String,
        /// What.
        action: Action,
    },
    /// Something with anybody's account; the asker's right has been checked.
    Operator {
        /// Whose account.
        user: UserId,
        /// What.
        order: Order,
    },
    /// To look for expired sessions of an account, because of this key of the index.
    Sweep {
        /// Whose account.
        user: UserId,
        /// The key.
        key: String,
    },
}

impl Request {
    /// Whether it cannot be done without a write. Others may note in passing when a session was used.
    pub fn must_write(&self) -> bool {
        match self {
            Self::SignIn { credential, .. } => !matches!(credential, Credential::Session(_)),
            Self::Own { action, .. } => !matches!(action, Action::Show | Action::Export),
            Self::Operator { order, .. } => !matches!(order, Order::Export),
            Self::Refresh(_) | Self::Sweep { .. } => true,
        }
    }
}

/// What a user signs in with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Credential {
    /// A device's secret id.
    Guest(String),
    /// A name and a password.
    Password {
        /// The account's name.
        name: String,
        /// The password.
        password: String,
        /// Make the account; else it must be there.
        create: bool,
    },
    /// An ID token of a configured OpenID Connect provider.
    Oidc {
        /// The provider's name in the configuration.
        provider: String,
        /// The token, a JWT.
        token: String,
    },
    /// A user of the game's own backend, which has vouched for it.
    Custom(String),
    /// The session token of an earlier sign-in.
    Session(String),
}

/// What users do with their own accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// End this session.
    SignOut,
    /// End all sessions.
    SignOutEverywhere,
    /// List the sessions and identities.
    Show,
    /// End one session.
    EndSession(SessionId),
    /// Let another identity lead here; with the own name, change the password.
    Link(Credential),
    /// Let an identity lead here no more, by its label.
    Unlink(String),
    /// All that is kept about the user.
    Export,
    /// Remove all that is kept about the user.
    Delete,
}

/// What operators and other services do with accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Shut the account and end its sessions.
    Ban {
        /// For the user to read.
        reason: String,
        /// Until when; `None`: for good.
        until: Option<Time>,
    },
    /// Open it again.
    Unban,
    /// End one session.
    EndSession(SessionId),
    /// All that is kept about the user.
    Export,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The user is signed in.
    SignedIn(Box<Identity>),
    /// It is done and will stay so.
    Done,
    /// The account, for its user.
    Account {
        /// The sessions.
        sessions: Vec<SessionInfo>,
        /// The labels of the identities.
        identities: Vec<String>,
    },
    /// All that Auth keeps about the user.
    Export(UserId, serde_json::Value),
}

/// A sign-in that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Who it is.
    pub user: UserId,
    /// The user's record.
    pub record: UserRecord,
    /// Which session.
    pub session: SessionId,
    /// The session's tokens.
    pub tokens: Tokens,
    /// Whether the account was made just now.
    pub created: bool,
}

/// Asks the host for work that takes long or needs the world; answered by [`Event::Checked`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its number.
    pub job: u64,
    /// What to do.
    pub work: Work,
}

/// Work that takes long or needs the world.
#[derive(Clone, PartialEq, Eq)]
pub enum Work {
    /// Hash a new password with fresh salt.
    HashPassword(String),
    /// Compare a password. Takes the same time without a hash, and is then never right.
    VerifyPassword {
        /// What was presented.
        password: String,
        /// The hash of the right one in PHC's form.
        hash: Option<String>,
    },
    /// Check an ID token: signature, issuer, audience, time.
    CheckIdToken {
        /// The provider's name in the configuration.
        provider: String,
        /// The token.
        token: String,
    },
}

/// Passwords and tokens are not for logs.
impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::HashPassword(_) => "HashPassword(..)",
            Self::VerifyPassword { .. } => "VerifyPassword(..)",
            Self::CheckIdToken { .. } => "CheckIdToken(..)",
        })
    }
}

/// What came of a [`Check`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Checked {
    /// The password's hash in PHC's form.
    Hashed(String),
    /// Whether the password is right.
    Verified(bool),
    /// Whose ID token it is.
    Subject(IdentityKey),
}
