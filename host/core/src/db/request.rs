//! What can be asked of Db, and where it is done: one variant for each feature, whose module has the rest.

use std::collections::BTreeSet;

use serde_json::Value;

use super::account;
use super::enter::{self, Entered};
use super::{Caller, Stop, Transaction};
use serde::{Deserialize, Serialize};

use crate::ids::{GameName, UserId};
use crate::refusal::Refusal;
use crate::{chat, economy, friends, guild, inbox, party, profile, results, save, storage};

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// A user comes in with this name; asked by the lobby.
    Enter(UserId, String),
    /// All that is kept of a user.
    Export(UserId),
    /// Remove all that is kept of a user, whose account is deleted: a part of it at once, the rest part by part.
    Forget(UserId),
    /// About users as others see them.
    Profile(profile::Request),
    /// About stored records.
    Storage(storage::Request),
    /// About what is said.
    Chat(chat::Request),
    /// About guilds.
    Guild(guild::Request),
    /// About friends.
    Friends(friends::Request),
    /// About notifications.
    Inbox(inbox::Request),
    /// About results: matches, ratings, leaderboards.
    Results(results::Request),
    /// About money and items.
    Economy(economy::Request),
    /// What a scene saves.
    Save(save::Request),
    /// About parties.
    Party(party::Request),
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It is done and will stay so.
    Done,
    /// What the lobby has to know of a user who comes in.
    Entered(Box<Entered>),
    /// All that is kept of a user, one field for each feature.
    Export(Value),
    /// About users as others see them.
    Profile(profile::Answer),
    /// About stored records.
    Storage(storage::Answer),
    /// About what is said.
    Chat(chat::Answer),
    /// About guilds.
    Guild(guild::Answer),
    /// About friends.
    Friends(friends::Answer),
    /// About notifications.
    Inbox(inbox::Answer),
    /// About results.
    Results(results::Answer),
    /// About money and items.
    Economy(economy::Answer),
}

impl Answer {
    /// About how many bytes it has.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Done | Self::Entered(_) | Self::Export(_) => 0,
            Self::Profile(answer) => answer.bytes(),
            Self::Storage(answer) => answer.bytes(),
            Self::Chat(answer) => answer.bytes(),
            Self::Guild(answer) => answer.bytes(),
            Self::Friends(answer) => answer.bytes(),
            Self::Inbox(answer) => answer.bytes(),
            Self::Results(answer) => answer.bytes(),
            Self::Economy(answer) => answer.bytes(),
        }
    }
}

/// What a user is told without having asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum News {
    /// A record of the user's was changed by somebody else.
    Storage(storage::News),
    /// Somebody has said something, or the user may.
    Chat(chat::News),
    /// Something has happened in a guild.
    Guild(guild::News),
    /// Something has changed with a friend, or with somebody who is none.
    Friends(friends::News),
    /// A notification has come.
    Inbox(Box<inbox::News>),
    /// The user's rating has changed.
    Results(results::News),
    /// Somebody else has changed the user's wallet.
    Economy(Box<economy::News>),
    /// Something has become of a party.
    Party(Box<party::News>),
}

impl News {
    /// About how many bytes it has.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Chat(news) => news.bytes(),
            Self::Party(news) => news.bytes(),
            Self::Storage(_)
            | Self::Guild(_)
            | Self::Friends(_)
            | Self::Inbox(_)
            | Self::Results(_)
            | Self::Economy(_) => 0,
        }
    }
}

/// What operators have decided about these features.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// The games there are.
    pub games: BTreeSet<GameName>,
    /// Limits of stored records.
    pub storage: storage::Limits,
    /// Limits of guilds.
    pub guilds: guild::Limits,
    /// Which games are rated, and the leaderboards.
    pub results: results::Rules,
    /// Limits of parties.
    pub parties: party::Limits,
    /// The catalogue, and limits of the economy.
    pub economy: economy::Rules,
}

/// Runs a request.
///
/// # Errors
/// What the request's own module says.
pub fn run(caller: &Caller, request: &Request, tx: &mut Transaction<'_>) -> Result<Answer, Stop> {
    // A user whose account is deleted, and whose requests are late: nothing of the user may come back.
    if let Caller::User(user) = caller
        && !tx.has(&profile::key(*user))?
    {
        return Err(Refusal::NotFound("account of yours any more".to_owned()).into());
    }
    match request {
        Request::Enter(user, name) => enter::enter(*user, name, tx).map(|entered| Answer::Entered(Box::new(entered))),
        Request::Export(user) => account::export(*user, tx).map(Answer::Export),
        Request::Forget(user) => account::forget(*user, tx).map(|()| Answer::Done),
        Request::Profile(request) => profile::run(caller, request, tx),
        Request::Storage(request) => storage::run(caller, request, tx),
        Request::Chat(request) => chat::run(caller, request, tx),
        Request::Guild(request) => guild::run(caller, request, tx),
        Request::Friends(request) => friends::run(caller, request, tx),
        Request::Inbox(request) => inbox::run(caller, request, tx),
        Request::Results(request) => results::run(caller, request, tx),
        Request::Economy(request) => economy::run(caller, request, tx),
        Request::Save(request) => save::run(caller, request, tx),
        Request::Party(request) => party::run(caller, request, tx),
    }
}
