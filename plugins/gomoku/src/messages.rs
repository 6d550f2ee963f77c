//! What players and the scene say to each other: JSON, told apart by `type`.

use scenehost_sdk::Seat;
use serde::{Deserialize, Serialize};

use crate::board::Point;

/// What a player sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Request {
    /// Put a stone on a point.
    Place {
        /// The column.
        x: i64,
        /// The row.
        y: i64,
    },
    /// Give the game up.
    Resign,
    /// Offer a draw; it stands until it is answered or the other player moves.
    OfferDraw,
    /// Answer the other player's offer.
    AnswerDraw {
        /// Whether the game is drawn.
        accept: bool,
    },
    /// Ask for another game after this one.
    Rematch,
    /// Leave after a game and look for another opponent at once.
    NewOpponent,
}

/// What the scene sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Reply {
    /// Everything: to a player who came in or is back, and to both when a game starts.
    State(State),
    /// A stone was placed.
    Placed {
        /// Whose it is.
        seat: Seat,
        /// The column.
        x: i64,
        /// The row.
        y: i64,
        /// Who is next; nobody if the game is over.
        turn: Option<Seat>,
        /// What is left on the clocks, by seat.
        clocks_ms: [u64; 2],
    },
    /// A draw was offered.
    DrawOffered {
        /// By whom.
        seat: Seat,
    },
    /// The draw was declined, in words or by moving on.
    DrawDeclined {
        /// By whom.
        seat: Seat,
    },
    /// The game is over.
    Over(Over),
    /// A player wants another game.
    RematchOffered {
        /// Who.
        seat: Seat,
    },
    /// The other player came, went or is back.
    Presence {
        /// Who.
        seat: Seat,
        /// Whether they are inside now.
        present: bool,
    },
    /// The last request was not done.
    Refused {
        /// Why.
        reason: Refusal,
    },
}

/// The whole state of the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Where the game stands.
    pub phase: PhaseName,
    /// The number of the game in the series, from 1.
    pub game: u32,
    /// Who plays black and moves first.
    pub black: Seat,
    /// Whose turn it is, while playing.
    pub turn: Option<Seat>,
    /// All moves, alternating from black.
    pub moves: Vec<Point>,
    /// What is left on the clocks now, by seat.
    pub clocks_ms: [u64; 2],
    /// Whose offer of a draw stands.
    pub draw_offer: Option<Seat>,
    /// Who wants another game, by seat.
    pub rematch: [bool; 2],
    /// How the game ended, if it has.
    pub over: Option<Over>,
    /// Wins by seat; a draw is half of one.
    pub score: [f64; 2],
    /// Who is inside, by seat.
    pub present: [bool; 2],
    /// The players' names, by seat.
    pub names: [String; 2],
}

/// How the list of games describes a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// Their names.
    pub players: String,
    /// The number of the game in the series, from 1.
    pub game: u32,
    /// How many stones lie.
    pub moves: usize,
}

/// Where a game stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseName {
    /// Somebody is not inside yet.
    Waiting,
    /// A clock runs.
    Playing,
    /// Decided; a rematch is possible.
    Over,
}

/// How a game ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Over {
    /// Who won; nobody in a draw.
    pub winner: Option<Seat>,
    /// By what.
    pub reason: Reason,
    /// The winning stones from end to end; empty if no row won.
    pub line: Vec<Point>,
    /// The series so far.
    pub score: [f64; 2],
    /// What was left on the clocks.
    pub clocks_ms: [u64; 2],
}

/// What ended a game.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Five or more in a row.
    Five,
    /// The loser gave up.
    Resign,
    /// The loser's clock ran out.
    Time,
    /// Both agreed to a draw.
    Draw,
    /// The board is full: a draw.
    Full,
    /// The loser left.
    Left,
}

/// Why a request was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It is the other player's turn.
    NotYourTurn,
    /// There is a stone already.
    Occupied,
    /// The point is not on the board.
    OffBoard,
    /// It does not fit the phase: a move without a game, a rematch or another opponent during one.
    NotPlaying,
    /// There is no offer of a draw to answer.
    NoOffer,
    /// It is no message of this game.
    Unreadable,
}
