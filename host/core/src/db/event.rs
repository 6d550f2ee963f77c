//! What Db can be told.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::request::Request;
use serde::{Deserialize, Serialize};

use crate::economy::catalogue::Catalogue;
use crate::ids::{AllocationId, ConnectionId, DomainName, UserId};
use crate::message::ServiceName;
use crate::read::{Loaded, Scanned};

/// What Db can be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Somebody wants something; answered to the asker.
    Req {
        /// On whose behalf; it decides what is allowed.
        caller: Caller,
        /// Who is answered.
        asker: Asker,
        /// What.
        request: Box<Request>,
    },
    /// The store's answer to a load.
    Loaded {
        /// The number of the load.
        job: u64,
        /// The records.
        values: Loaded,
    },
    /// The store's answer to a question for a part of the leaderboards.
    Scanned {
        /// The number of the question.
        job: u64,
        /// The records.
        records: Scanned,
    },
    /// Db's own word to itself: its batches of writes up to this one are synced.
    Synced {
        /// The batch's number.
        number: u64,
    },
    /// A service went up or down. `Db` itself is down while nothing can be saved.
    Service {
        /// Which.
        service: ServiceName,
        /// Whether it is up now.
        up: bool,
    },
    /// The operator has another catalogue, which was checked.
    #[serde(skip)]
    Catalogue(Arc<Catalogue>),
    /// What domains there are now, and whether their games change ratings.
    Rated(BTreeMap<DomainName, bool>),
    /// Time has passed.
    Tick,
}

/// On whose behalf something is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Caller {
    /// A user who has signed in.
    User(UserId),
    /// An operator or the game's own backend, whose right has been checked.
    Operator,
    /// Another service of the host.
    Host,
}

/// Who is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asker {
    /// A user in the lobby; by [`crate::lobby::Event::ResDb`].
    User {
        /// Who.
        user: UserId,
        /// The lobby's number.
        number: u64,
    },
    /// The lobby, for a user who comes in; by [`crate::lobby::Event::ResEnter`].
    Lobby {
        /// Who.
        user: UserId,
        /// The connection that waits; `None`: the user is there already.
        connection: Option<ConnectionId>,
    },
    /// A request over HTTP, by its number; by [`crate::Message::DbDoor`].
    Door(u64),
    /// SceneMaster, for the results of a game; by [`crate::scene_master::Event::ResRecord`].
    SceneMaster {
        /// Whose results.
        allocation: AllocationId,
    },
    /// Nobody waits.
    Nobody,
}
