//! What can be asked of Db, and where it is done: one variant for each feature, whose module has the rest.

use std::collections::BTreeSet;

use super::enter::{self, Entered};
use super::{Caller, Stop, Transaction};
use crate::ids::{GameName, UserId};
use crate::{profile, results, storage};

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A user comes in with this name; asked by the lobby.
    Enter(UserId, String),
    /// About users as others see them.
    Profile(profile::Request),
    /// About stored records.
    Storage(storage::Request),
    /// About results: matches, ratings, leaderboards.
    Results(results::Request),
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is done and will stay so.
    Done,
    /// What the lobby has to know of a user who comes in.
    Entered(Box<Entered>),
    /// About users as others see them.
    Profile(profile::Answer),
    /// About stored records.
    Storage(storage::Answer),
    /// About results.
    Results(results::Answer),
}

impl Answer {
    /// About how many bytes it has.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Done | Self::Entered(_) => 0,
            Self::Profile(answer) => answer.bytes(),
            Self::Storage(answer) => answer.bytes(),
            Self::Results(answer) => answer.bytes(),
        }
    }
}

/// What a user is told without having asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A record of the user's was changed by somebody else.
    Storage(storage::News),
    /// A game has changed the user's rating.
    Results(results::News),
}

/// What operators have decided about these features.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// The games there are.
    pub games: BTreeSet<GameName>,
    /// Limits of stored records.
    pub storage: storage::Limits,
    /// Which games are rated, and the leaderboards.
    pub results: results::Rules,
}

/// Runs a request.
///
/// # Errors
/// What the request's own module says.
pub fn run(caller: &Caller, request: &Request, tx: &mut Transaction<'_>) -> Result<Answer, Stop> {
    match request {
        Request::Enter(user, name) => enter::enter(*user, name, tx).map(|entered| Answer::Entered(Box::new(entered))),
        Request::Profile(request) => profile::run(caller, request, tx),
        Request::Storage(request) => storage::run(caller, request, tx),
        Request::Results(request) => results::run(caller, request, tx),
    }
}
