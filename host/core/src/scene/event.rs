//! What a scene is told, what it wants done, and what it says.

use crate::ids::{ConnectionId, DomainName, Seat};
use crate::matching::backfill::Opening;
use crate::message::{EndReason, Message, Player, PlayerResult, SceneEnded};
use crate::refusal::Refusal;
use crate::scene_service::ToScene;
use crate::token::SecretHash;

/// What a scene can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An order of the SceneService other than to begin, which is [`Scene::start`].
    Order(ToScene),
    /// Whether the game's component has begun.
    Started(Result<(), Refusal>),
    /// A connection wants to enter.
    ReqJoinScene {
        /// Which connection.
        connection: ConnectionId,
        /// The client's number.
        request: u32,
        /// What it presents.
        token: SecretHash,
        /// To go on with the line that the token began: the number of the last frame that came.
        resume: Option<u32>,
    },
    /// The game's answer to [`Effect::Admit`]; the text of a refusal is the game's.
    Admitted {
        /// Which seat.
        seat: Seat,
        /// Which connection.
        connection: ConnectionId,
        /// The client's number.
        request: u32,
        /// The game's own condition.
        result: Result<(), String>,
    },
    /// A connection wants to watch.
    ReqWatchScene {
        /// Which connection.
        connection: ConnectionId,
        /// The client's number.
        request: u32,
        /// What it presents.
        token: SecretHash,
    },
    /// The game describes the scene: a label's text, which may be wrong.
    Label(String),
    /// The game wants players for these places; none: nobody any more.
    SeekPlayers(Vec<Opening>),
    /// The game sends users on to their next match.
    MatchAgain {
        /// Which seats.
        seats: Vec<Seat>,
        /// Where; `None`: where this scene was made.
        domain: Option<DomainName>,
        /// With one ticket for all of them.
        together: bool,
    },
    /// A user leaves for good.
    ReqLeaveScene {
        /// Which connection.
        connection: ConnectionId,
        /// The client's number.
        request: u32,
    },
    /// A connection is lost.
    Closed {
        /// Which.
        connection: ConnectionId,
    },
    /// The game removes a player.
    Kick {
        /// Which seat.
        seat: Seat,
        /// The game's text for the player.
        reason: String,
    },
    /// The game is over as intended.
    Finish(Vec<PlayerResult>),
    /// The game's logic failed or passed a limit, and its component is gone.
    Failed(String),
    /// The game cannot go on, and could not if it began anew; its component is gone.
    GivenUp(String),
    /// Time has passed.
    Tick,
}

/// What a scene wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect<F> {
    /// Ask the game whether it lets this player in; answered by [`Event::Admitted`].
    Admit {
        /// Who.
        player: Player,
        /// On which connection.
        connection: ConnectionId,
        /// The client's number.
        request: u32,
    },
    /// Tell the game.
    Game(GameEvent),
    /// Tell a connection.
    Tell {
        /// Which connection.
        connection: ConnectionId,
        /// The request that this answers; 0 if none.
        request: u32,
        /// What.
        notice: Notice,
    },
    /// Tell a connection again what it has missed.
    Repeat {
        /// Which connection.
        connection: ConnectionId,
        /// The frame's number.
        seq: u32,
        /// The frame.
        frame: F,
    },
    /// Show those who watch what the game has said to them.
    Show {
        /// Over which connections.
        connections: Vec<ConnectionId>,
        /// The frame, which has no number: a connection that watches has no line.
        frame: F,
    },
    /// Tell the game's designer, in the scene's log, what the game does wrong.
    Complain(String),
    /// Close a connection after what was told.
    Close(ConnectionId),
    /// Send to a service.
    Send(Box<Message>),
    /// The session is over: the component does nothing until the next [`Start`](crate::scene_service::Start) takes it.
    Kept,
    /// The scene is over: drop it and its component.
    Gone,
    /// The same, and its game goes on elsewhere: its journal is complete and stays, and only then what follows is sent.
    Released,
}

/// What the game is told of its players and its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GameEvent {
    /// A player is inside.
    Joined(Player),
    /// A player's connection is lost; the seat is kept.
    Dropped(Seat),
    /// A dropped player is back.
    Resumed {
        /// Whose seat.
        seat: Seat,
        /// Whether the client has missed messages of the game, and needs its whole state.
        missed: bool,
    },
    /// A player is gone for good.
    Left(Seat, EndReason),
    /// The scene will end.
    Stopping {
        /// Why.
        reason: EndReason,
        /// How long it has.
        grace_ms: u32,
    },
    /// The whole view of those who watch is wanted.
    Watched,
}

/// What a scene connection is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The user is inside.
    Joined {
        /// The user's seat.
        seat: Seat,
        /// Everyone with a seat.
        players: Vec<Player>,
        /// The line goes on; what was missed follows.
        resumed: bool,
        /// The number after which frames go on.
        after_seq: u32,
        /// How many messages of the user came over the line. Where there is a journal, what of them waits for the game
        /// is to be written down before the user is told.
        received: u32,
    },
    /// The user watches.
    Watching {
        /// Everyone with a seat.
        players: Vec<Player>,
        /// How much later than the players the user sees the game.
        delay_ms: u64,
    },
    /// A request was refused.
    Refused(Refusal),
    /// The scene is over for the user.
    Ended(SceneEnded),
    /// The last thing told: the connection is closed for this reason.
    Closing(Refusal),
}
