//! What the lobby can be told, and by whom.

use serde::{Deserialize, Serialize};

use crate::auth::{Identity, Request};
use crate::chat::{Ask, Verdict};
use crate::config::Domain;
use crate::db;
use crate::ids::{AllocationId, ConnectionId, DomainName, PartyId, SessionId, UserId};
use crate::matching::Wish;
use crate::message::{Entry, MatchState, SceneEnded, ServiceName};
use crate::partition::Partition;
use crate::party::{self, Party};
use crate::refusal::Refusal;
use crate::scene_list::{self, Page};
use crate::scene_master::Held;
use std::collections::BTreeMap;

/// What the lobby can be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A connection was opened.
    Opened {
        /// The new connection.
        connection: ConnectionId,
    },
    /// A connection is closed.
    Closed {
        /// Which.
        connection: ConnectionId,
        /// The user closed it on purpose; else it was lost, and the user may come back.
        left: bool,
    },
    /// A user signs in.
    ReqSignIn {
        /// Which connection.
        connection: ConnectionId,
        /// The client's number.
        request: u32,
        /// With what: a [`Request::SignIn`].
        sign_in: Box<Request>,
        /// The number of the last frame that the client has, if it wants to go on with its line.
        resume: Option<u32>,
    },
    /// A user wants a match.
    ReqMatch {
        /// Which connection.
        connection: ConnectionId,
        /// The client's number.
        request: u32,
        /// Where.
        domain: DomainName,
        /// What the user brings and wants from now on; `None`: what was said last.
        wish: Option<Box<Wish>>,
    },
    /// A user wants something else of matching.
    ReqMatching {
        /// Over which connection.
        connection: ConnectionId,
        /// The user's number.
        request: u32,
        /// What.
        ask: super::wish::Ask,
    },
    /// A user takes the search back.
    ReqCancelMatch {
        /// Which connection.
        connection: ConnectionId,
        /// The client's number.
        request: u32,
    },
    /// A user wants back to the seat.
    ReqRejoin {
        /// Which connection.
        connection: ConnectionId,
        /// The client's number.
        request: u32,
    },
    /// Something came over a user's connection that is no request.
    Heard {
        /// Which connection.
        connection: ConnectionId,
        /// The number of the last frame that the client has; 0 if it does not say.
        seen: u32,
    },
    /// Auth's answer.
    ResSignIn {
        /// Which connection.
        connection: ConnectionId,
        /// Who it is, or why not.
        result: Result<Box<Identity>, Refusal>,
    },
    /// A user ends the session of this connection.
    ReqSignOut {
        /// Which connection.
        connection: ConnectionId,
        /// The client's number.
        request: u32,
    },
    /// Sessions of a user have ended.
    SynSessionsEnded {
        /// Whose.
        user: UserId,
        /// Which.
        sessions: Vec<SessionId>,
        /// Why.
        refusal: Refusal,
    },
    /// A user's account is banned.
    SynAccountClosed {
        /// Whose.
        user: UserId,
        /// Why, for the user.
        refusal: Refusal,
    },
    /// A user's account is gone, and all that is kept of the user has to go, too.
    SynAccountDeleted {
        /// Whose.
        user: UserId,
    },
    /// How a search stands.
    SynMatchState {
        /// Whose.
        user: UserId,
        /// Which search.
        ticket: u64,
        /// How it stands.
        state: MatchState,
    },
    /// The end of a search.
    ResMatch {
        /// Whose.
        user: UserId,
        /// Which search.
        ticket: u64,
        /// The way into the scene, or why there is none.
        result: Result<Entry, Refusal>,
    },
    /// Whether a search was taken back.
    ResCancelMatch {
        /// Whose.
        user: UserId,
        /// Which search.
        ticket: u64,
        /// Refused when the match is already made.
        result: Result<(), Refusal>,
    },
    /// The way back to a seat.
    ResRejoin {
        /// Whose.
        user: UserId,
        /// The way, or why there is none.
        result: Result<Entry, Refusal>,
    },
    /// Where a user has a seat, for a lobby that did not know.
    ResSeat {
        /// Whose.
        user: UserId,
        /// The lobby's number.
        number: u64,
        /// Who says it.
        of: Partition,
        /// The seat, if there is one of which the user was told; or why that is not known now.
        held: Result<Option<Held>, Refusal>,
        /// What has ended for the user last while no lobby could be told.
        ended: Option<SceneEnded>,
    },
    /// The scene of a user has begun anew.
    SynSceneRestarted {
        /// Whose.
        user: UserId,
        /// The way in.
        entry: Entry,
    },
    /// An operator has given a user a seat.
    SynAllocated {
        /// Whose.
        user: UserId,
        /// The way in.
        entry: Entry,
    },
    /// A scene is over for a user.
    SynSceneEnded {
        /// Whose.
        user: UserId,
        /// For what the scene was given: its news may come before the answer of the match.
        allocation: Option<AllocationId>,
        /// Which scene, and why.
        ended: SceneEnded,
    },
    /// A game has sent users on to their next match: they look for it at once, as if they had asked. Who is not here or
    /// does something else is passed over.
    SynSearchAgain {
        /// Who.
        users: Vec<UserId>,
        /// Where.
        domain: DomainName,
        /// With one ticket for all of them; else each alone, or with the party that the user leads.
        together: bool,
    },
    /// A user wants something of Db.
    ReqDb {
        /// Over which connection.
        connection: ConnectionId,
        /// The user's number.
        request: u32,
        /// What.
        what: Box<db::Request>,
    },
    /// Db's answer to a user's request.
    ResDb {
        /// Whose.
        user: UserId,
        /// The lobby's number.
        number: u64,
        /// What came of it.
        result: Result<Box<db::Answer>, Refusal>,
    },
    /// Db's answer about a user who comes in.
    ResEnter {
        /// Who.
        user: UserId,
        /// The connection that waits; `None`: the user is there already.
        connection: Option<ConnectionId>,
        /// What the lobby has to know.
        result: Result<Box<db::Entered>, Refusal>,
    },
    /// Something has changed for a user.
    SynNews {
        /// For whom.
        user: UserId,
        /// What.
        news: Box<db::News>,
    },
    /// A user wants something of chat.
    ReqChat {
        /// Over which connection.
        connection: ConnectionId,
        /// The user's number.
        request: u32,
        /// What.
        ask: Ask,
    },
    /// A user wants something of parties.
    ReqParty {
        /// Over which connection.
        connection: ConnectionId,
        /// The user's number.
        request: u32,
        /// What.
        ask: party::Ask,
    },
    /// A user wants something of scenes that are there already.
    ReqScenes {
        /// Over which connection.
        connection: ConnectionId,
        /// The user's number.
        request: u32,
        /// What.
        ask: scene_list::Ask,
    },
    /// A part of the list of scenes.
    ResFindScenes {
        /// For whom.
        user: UserId,
        /// The lobby's number.
        number: u64,
        /// Whose scenes these are.
        of: Partition,
        /// The part, or why there is none.
        result: Result<Box<Page>, Refusal>,
    },
    /// The way into a game in progress.
    ResJoinInProgress {
        /// Whose.
        user: UserId,
        /// The lobby's number.
        number: u64,
        /// The way, or why there is none.
        result: Result<Entry, Refusal>,
    },
    /// The way to watch a game.
    ResWatch {
        /// Whose.
        user: UserId,
        /// The lobby's number.
        number: u64,
        /// The way, and how much later than the players the user will see the game, in milliseconds.
        result: Result<(Entry, u64), Refusal>,
    },
    /// Db has changed a party.
    SynParty {
        /// Which.
        party: PartyId,
        /// As it is now; `None`: it is gone.
        now: Option<Box<Party>>,
        /// What has changed.
        change: party::Change,
        /// Who did it, or whom it was about.
        about: UserId,
    },
    /// The parties that a host before this one has left; the first event there is.
    Recovered {
        /// All of them.
        parties: Vec<(PartyId, Party)>,
    },
    /// What the operator's moderation says of a message.
    Moderated {
        /// The lobby's number.
        number: u64,
        /// What it says; `None`: nothing.
        verdict: Option<Verdict>,
    },
    /// What domains there are now.
    #[serde(skip)]
    Domains(BTreeMap<DomainName, Domain>),
    /// The match handler of a domain went up or down.
    Handler {
        /// Of which.
        domain: DomainName,
        /// Whether it is up now.
        up: bool,
    },
    /// The match handler of a domain has said all that it had to say, and gives the domain to the next one; answered by
    /// [`crate::matching::Event::ResHandOver`]. Whoever waits there is put to the next one as soon as that is up.
    ReqHandOver {
        /// Which.
        domain: DomainName,
    },
    /// A SceneMaster went up or down.
    SceneMaster {
        /// Whose scenes it has.
        partition: Partition,
        /// Whether it is up now.
        up: bool,
    },
    /// A service went up or down; that of Match is that of all handlers, that of SceneMaster of all partitions.
    Service {
        /// Which.
        service: ServiceName,
        /// Whether it is up now.
        up: bool,
    },
    /// The host begins to stop: no new matches.
    Stopping,
    /// Time has passed.
    Tick,
}
