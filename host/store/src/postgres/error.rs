//! What can be wrong with PostgreSQL, and how its errors are told.

use std::error::Error as _;

use tokio_postgres::error::SqlState;

use crate::Error as StoreError;

/// Why PostgreSQL cannot be the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings are not right.
    #[error("{0}")]
    Settings(String),
    /// It cannot be reached, or refuses.
    #[error("the database at {place} cannot be used: {cause}")]
    Connect {
        /// Where it is.
        place: String,
        /// What it, or the system, says.
        cause: String,
    },
    /// Its tables are of an older version, or not there.
    #[error(
        "the tables at {place} are of version {found}, and this needs {known}: start the host once, which makes them"
    )]
    Older {
        /// Where they are.
        place: String,
        /// Their version; 0: there are none.
        found: i32,
        /// The one that is needed.
        known: i32,
    },
    /// Its tables are of a newer version.
    #[error(
        "the tables at {place} are of version {found}, and this scenehost knows those up to {known}: run the \
         scenehost that made them, or a newer one"
    )]
    Newer {
        /// Where they are.
        place: String,
        /// Their version.
        found: i32,
        /// The last that is known here.
        known: i32,
    },
}

/// Why something that was asked was not done, or may not have been.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The connection is broken, or there was none.
    #[error("{0}")]
    Away(String),
    /// The database refuses.
    #[error("{text}")]
    Refused { code: SqlState, text: String },
    /// No answer.
    #[error("no answer within {0} ms")]
    Slow(u128),
}

impl Failure {
    /// Whether the same on another connection may go well at once.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Away(_) => true,
            Self::Refused { code, .. } => is_of_the_moment(code),
            Self::Slow(_) => false,
        }
    }
}

/// Those of a server that stops or begins, and of transactions that were in each other's way.
fn is_of_the_moment(code: &SqlState) -> bool {
    let codes = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::READ_ONLY_SQL_TRANSACTION,
    ];
    codes.contains(code)
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(told) => {
                let detail = told.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
                let text = format!("{}{detail}, {}", told.message(), told.code().code());
                Self::Refused { code: told.code().clone(), text }
            }
            None => {
                let mut text = error.to_string();
                let mut cause = error.source();
                while let Some(deeper) = cause {
                    let deeper_text = deeper.to_string();
                    if !text.contains(&deeper_text) {
                        text = format!("{text}: {deeper_text}");
                    }
                    cause = deeper.source();
                }
                Self::Away(text)
            }
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused { ref code, ref text } if !is_of_the_moment(code) => Self::Database(text.clone()),
            _ => Self::Down,
        }
    }
}
