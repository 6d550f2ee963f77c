//! Three in a row for two players, who take turns. Change it into your game.
//!
//! The host calls the handlers below; everything that must survive a crash or an update is a field of `Game`.

use scenehost_sdk::prelude::*;

/// How long a player may think, if the fleet's configuration does not say.
const THINK_MS: u32 = 30_000;
/// The one timer there is: the player whose turn it is has thought for too long.
const TURN: Timer = Timer::named("turn");

/// The fleet's configuration of this game.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Configuration {
    think_ms: u32,
}

impl Default for Configuration {
    fn default() -> Self {
        Configuration { think_ms: THINK_MS }
    }
}

/// What players send.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Move {
    Place { cell: usize },
}

/// What players are told.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum News<'a> {
    /// The whole game; sent after each change, since it is small.
    Board { cells: &'a [Option<Seat>; 9], turn: Option<Seat>, names: Vec<&'a str> },
    /// Why a move was not made.
    Refused { why: &'a str },
}

/// One game.
#[derive(Serialize, Deserialize)]
pub struct Game {
    cells: [Option<Seat>; 9],
    /// Whose turn it is; nobody's before both are here.
    turn: Option<Seat>,
    think_ms: u32,
}

impl Scene for Game {
    type Message = Move;

    fn start(init: &Init, _: &mut Random) -> Result<Self, Fault> {
        let Configuration { think_ms } = init.configured()?;
        Ok(Game { cells: [None; 9], turn: None, think_ms })
    }

    fn joined(&mut self, ctx: &mut Context, _: &Player) {
        if ctx.present().count() == 2 && self.turn.is_none() {
            // Who begins is drawn; the same seed draws the same.
            let first = ctx.random().random_range(0..2);
            self.pass_turn(ctx, first);
        }
        self.tell(ctx);
    }

    fn resumed(&mut self, ctx: &mut Context, _: Seat, _: bool) {
        self.tell(ctx);
    }

    fn left(&mut self, ctx: &mut Context, seat: Seat, _: LeaveReason) {
        self.end(ctx, Some(1 - seat));
    }

    fn message(&mut self, ctx: &mut Context, from: Seat, message: Move) {
        let Move::Place { cell } = message;
        let refusal = match self.cells.get(cell) {
            _ if self.turn != Some(from) => "it is not your turn",
            Some(None) => {
                self.cells[cell] = Some(from);
                return self.placed(ctx, from);
            }
            Some(Some(_)) => "this cell is taken",
            None => "there are cells 0 to 8",
        };
        ctx.send(from, &News::Refused { why: refusal });
    }

    fn timer(&mut self, ctx: &mut Context, _: Timer) {
        // Whose turn it is has thought for too long.
        if let Some(slow) = self.turn {
            self.end(ctx, Some(1 - slow));
        }
    }
}

impl Game {
    fn placed(&mut self, ctx: &mut Context, seat: Seat) {
        if has_won(&self.cells, seat) {
            self.end(ctx, Some(seat));
        } else if self.cells.iter().all(Option::is_some) {
            self.end(ctx, None);
        } else {
            self.pass_turn(ctx, 1 - seat);
            self.tell(ctx);
        }
    }

    fn pass_turn(&mut self, ctx: &mut Context, to: Seat) {
        self.turn = Some(to);
        ctx.set_timer(TURN, self.think_ms);
    }

    fn tell(&self, ctx: &mut Context) {
        let names: Vec<String> = ctx.players().map(|player| player.name.clone()).collect();
        let names = names.iter().map(String::as_str).collect();
        ctx.send(Target::All, &News::Board { cells: &self.cells, turn: self.turn, names });
    }

    /// Without a winner it is a draw.
    fn end(&mut self, ctx: &mut Context, winner: Option<Seat>) {
        self.turn = None;
        self.tell(ctx);
        let place = |seat| if winner.is_none_or(|winner| winner == seat) { 1 } else { 2 };
        ctx.finish([0, 1].map(|seat| PlayerResult { seat, place: place(seat), score: 0 }).to_vec());
    }
}

fn has_won(cells: &[Option<Seat>; 9], seat: Seat) -> bool {
    const ROWS: [[usize; 3]; 8] =
        [[0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 3, 6], [1, 4, 7], [2, 5, 8], [0, 4, 8], [2, 4, 6]];
    ROWS.iter().any(|row| row.iter().all(|&cell| cells[cell] == Some(seat)))
}

export_scene!(Game);
