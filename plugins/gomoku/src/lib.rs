//! Gomoku, five in a row, for two players: a game of turns. It does not tick; a step comes with a
//! move, a timer, or a player who comes or goes.
//!
//! Invariant: whose turn it is follows from who is black and how many stones lie, and a clock runs
//! exactly while `phase` is `Playing`.

pub mod board;
pub mod clock;
pub mod messages;

use board::{Board, Misplaced, Point, SIDE};
use clock::Clock;
use messages::{Label, Over, PhaseName, Reason, Refusal, Reply, Request, State};
use scenehost_sdk::prelude::*;

/// Runs while somebody thinks; due when their clock is at zero.
const CLOCK: Timer = Timer::named("clock");
/// Runs after a game; when it is due the series is over.
const REMATCH: Timer = Timer::named("rematch");

/// What a fleet can configure.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What each player has for a whole game.
    pub main_ms: u64,
    /// What a player gets back with each move.
    pub increment_ms: u64,
    /// How long a rematch can be agreed on.
    pub rematch_ms: u32,
}

impl Default for Config {
    fn default() -> Config {
        Config { main_ms: 300_000, increment_ms: 5_000, rematch_ms: 60_000 }
    }
}

impl Config {
    /// A timer of the contract runs at most a day, and so must a clock that gained at every move.
    fn check(&self) -> Result<(), Fault> {
        const DAY_MS: u64 = 24 * 60 * 60 * 1000;
        let gain_max_ms = self.increment_ms.saturating_mul((SIDE * SIDE) as u64);
        let clock_max_ms = self.main_ms.saturating_add(gain_max_ms);
        if self.main_ms == 0 || clock_max_ms > DAY_MS || u64::from(self.rematch_ms) > DAY_MS {
            let day = "main_ms with 225 increments, and rematch_ms, must stay within a day";
            return Err(format!("main_ms must be at least 1; {day}").into());
        }
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
enum Phase {
    Waiting,
    Playing,
    Over(Over),
}

/// One table: a series of games between seats 0 and 1.
#[derive(Serialize, Deserialize)]
pub struct Gomoku {
    config: Config,
    phase: Phase,
    game: u32,
    black: Seat,
    board: Board,
    clock: Clock,
    draw_offer: Option<Seat>,
    rematch: [bool; 2],
    /// Two for a win, one for a draw.
    half_points: [u32; 2],
    names: [String; 2],
}

impl Scene for Gomoku {
    type Message = Request;

    fn start(init: &Init, random: &mut Random) -> Result<Self, Fault> {
        let config: Config = init.configured()?;
        config.check()?;
        let mut names = [String::new(), String::new()];
        for player in &init.players {
            if let Some(name) = names.get_mut(player.seat as usize) {
                name.clone_from(&player.name);
            }
        }
        Ok(Gomoku {
            phase: Phase::Waiting,
            game: 1,
            black: random.random_range(0..2),
            board: Board::default(),
            clock: Clock::full(config.main_ms),
            draw_offer: None,
            rematch: [false; 2],
            half_points: [0; 2],
            names,
            config,
        })
    }

    fn admit(&self, player: &Player) -> Result<(), String> {
        match player.seat {
            0 | 1 => Ok(()),
            _ => Err("this table has two seats".to_owned()),
        }
    }

    fn joined(&mut self, ctx: &mut Context, player: &Player) {
        self.names[player.seat as usize].clone_from(&player.name);
        self.came(ctx, player.seat);
    }

    fn resumed(&mut self, ctx: &mut Context, seat: Seat, _missed: bool) {
        // Also where nothing was missed: the clocks in older messages are those of then.
        self.came(ctx, seat);
    }

    fn dropped(&mut self, ctx: &mut Context, seat: Seat) {
        tell_presence(ctx, seat, false);
    }

    fn left(&mut self, ctx: &mut Context, seat: Seat, _: LeaveReason) {
        if seat > 1 {
            return; // was never admitted
        }
        tell_presence(ctx, seat, false);
        match self.phase {
            Phase::Waiting => return ctx.finish(Vec::new()),
            Phase::Playing => self.over(ctx, Some(other(seat)), Reason::Left),
            Phase::Over(_) => {}
        }
        self.finish_series(ctx);
    }

    fn message(&mut self, ctx: &mut Context, from: Seat, request: Request) {
        if from > 1 {
            return; // was never admitted
        }
        let done = match request {
            Request::Place { x, y } => self.place(ctx, from, (x, y)),
            Request::Resign => self.resign(ctx, from),
            Request::OfferDraw => self.offer_draw(ctx, from),
            Request::AnswerDraw { accept } => self.answer_draw(ctx, from, accept),
            Request::Rematch => self.ask_rematch(ctx, from),
            Request::NewOpponent => self.look_for_another(ctx, from),
        };
        if let Err(reason) = done {
            ctx.send(from, &Reply::Refused { reason });
        }
    }

    fn unreadable(&mut self, ctx: &mut Context, from: Seat, _: Unreadable) {
        let reason = Refusal::Unreadable;
        ctx.send(from, &Reply::Refused { reason });
    }

    fn timer(&mut self, ctx: &mut Context, timer: Timer) {
        match (timer, &self.phase) {
            (CLOCK, Phase::Playing) => self.end_if_time_is_up(ctx),
            (REMATCH, Phase::Over(_)) => self.finish_series(ctx),
            _ => {}
        }
    }

    fn watched(&mut self, ctx: &mut Context) {
        ctx.show_whole(&self.state(ctx));
    }

    /// A game in play may end within the grace; one that is over need not wait for a rematch.
    fn stopping(&mut self, ctx: &mut Context, _: StopNotice) {
        if let Phase::Over(_) = self.phase {
            self.finish_series(ctx);
        }
    }
}

impl Gomoku {
    /// A player is inside, for the first time or again. The first game begins when both are.
    fn came(&mut self, ctx: &mut Context, seat: Seat) {
        tell_presence(ctx, seat, true);
        let both = ctx.is_present(0) && ctx.is_present(1);
        match self.phase {
            Phase::Waiting if both => self.begin(ctx),
            _ => ctx.send(seat, &self.state(ctx)),
        }
    }

    fn begin(&mut self, ctx: &mut Context) {
        self.phase = Phase::Playing;
        self.board = Board::default();
        self.clock = Clock::full(self.config.main_ms);
        self.draw_offer = None;
        self.rematch = [false; 2];
        self.start_clock(ctx);
        let state = self.state(ctx);
        ctx.show_whole(&state);
        ctx.send(Target::All, &state);
        self.label(ctx);
    }

    fn place(&mut self, ctx: &mut Context, seat: Seat, point: Point) -> Result<(), Refusal> {
        self.require_playing()?;
        if seat != self.turn() {
            return Err(Refusal::NotYourTurn);
        }
        self.end_if_time_is_up(ctx);
        self.require_playing()?;
        self.board.place(point).map_err(|misplaced| match misplaced {
            Misplaced::OffBoard => Refusal::OffBoard,
            Misplaced::Occupied => Refusal::Occupied,
        })?;
        if self.draw_offer == Some(other(seat)) {
            self.decline_draw(ctx, seat);
        }
        self.clock.stop(ctx.now_ms());
        self.clock.add(seat as usize, self.config.increment_ms);

        let won = !self.board.winning_row().is_empty();
        let ended = won || self.board.is_full();
        let (x, y) = point;
        let placed =
            Reply::Placed { seat, x, y, turn: (!ended).then(|| self.turn()), clocks_ms: self.clock.at(ctx.now_ms()) };
        tell(ctx, &placed);
        self.label(ctx);
        match (won, ended) {
            (true, _) => self.over(ctx, Some(seat), Reason::Five),
            (false, true) => self.over(ctx, None, Reason::Full),
            (false, false) => self.start_clock(ctx),
        }
        Ok(())
    }

    fn resign(&mut self, ctx: &mut Context, seat: Seat) -> Result<(), Refusal> {
        self.require_playing()?;
        self.over(ctx, Some(other(seat)), Reason::Resign);
        Ok(())
    }

    /// To offer back what the other player offers is to accept it.
    fn offer_draw(&mut self, ctx: &mut Context, seat: Seat) -> Result<(), Refusal> {
        self.require_playing()?;
        match self.draw_offer {
            None => {
                self.draw_offer = Some(seat);
                tell(ctx, &Reply::DrawOffered { seat });
            }
            Some(by) if by == seat => {}
            Some(_) => self.over(ctx, None, Reason::Draw),
        }
        Ok(())
    }

    fn answer_draw(&mut self, ctx: &mut Context, seat: Seat, accept: bool) -> Result<(), Refusal> {
        self.require_playing()?;
        if self.draw_offer != Some(other(seat)) {
            return Err(Refusal::NoOffer);
        }
        match accept {
            true => self.over(ctx, None, Reason::Draw),
            false => self.decline_draw(ctx, seat),
        }
        Ok(())
    }

    fn decline_draw(&mut self, ctx: &mut Context, seat: Seat) {
        self.draw_offer = None;
        tell(ctx, &Reply::DrawDeclined { seat });
    }

    /// The next game begins when both have asked, with colours swapped.
    fn ask_rematch(&mut self, ctx: &mut Context, seat: Seat) -> Result<(), Refusal> {
        let Phase::Over(_) = self.phase else {
            return Err(Refusal::NotPlaying);
        };
        if std::mem::replace(&mut self.rematch[seat as usize], true) {
            return Ok(());
        }
        tell(ctx, &Reply::RematchOffered { seat });
        if self.rematch == [true; 2] {
            ctx.cancel_timer(REMATCH);
            self.game += 1;
            self.black = other(self.black);
            self.begin(ctx);
        }
        Ok(())
    }

    /// A player has enough of this opponent, and looks for the next one: the series is over for both.
    fn look_for_another(&mut self, ctx: &mut Context, seat: Seat) -> Result<(), Refusal> {
        let Phase::Over(_) = self.phase else {
            return Err(Refusal::NotPlaying);
        };
        ctx.match_again([seat]);
        self.finish_series(ctx);
        Ok(())
    }

    fn start_clock(&mut self, ctx: &mut Context) {
        let turn = self.turn() as usize;
        self.clock.start(turn, ctx.now_ms());
        let left_ms = self.clock.at(ctx.now_ms())[turn];
        ctx.set_timer(CLOCK, u32::try_from(left_ms).unwrap_or(u32::MAX));
    }

    /// The timer of an earlier move can come in the same step as the move, so the clock decides.
    fn end_if_time_is_up(&mut self, ctx: &mut Context) {
        let turn = self.turn();
        if self.clock.at(ctx.now_ms())[turn as usize] == 0 {
            self.over(ctx, Some(other(turn)), Reason::Time);
        }
    }

    fn over(&mut self, ctx: &mut Context, winner: Option<Seat>, reason: Reason) {
        self.clock.stop(ctx.now_ms());
        ctx.cancel_timer(CLOCK);
        match winner {
            Some(seat) => self.half_points[seat as usize] += 2,
            None => self.half_points.iter_mut().for_each(|points| *points += 1),
        }
        let line = match reason {
            Reason::Five => self.board.winning_row(),
            _ => Vec::new(),
        };
        let over = Over { winner, reason, line, score: self.score(), clocks_ms: self.clock.at(ctx.now_ms()) };
        tell(ctx, &Reply::Over(over.clone()));
        self.draw_offer = None;
        self.phase = Phase::Over(over);
        ctx.set_timer(REMATCH, self.config.rematch_ms);
    }

    /// The series is the result: whoever has more points is first, equals are both first. A result's
    /// score is in half points, since it is a whole number.
    fn finish_series(&mut self, ctx: &mut Context) {
        let points = self.half_points;
        let result = |seat: Seat| PlayerResult {
            seat,
            place: if points[seat as usize] < points[other(seat) as usize] { 2 } else { 1 },
            score: points[seat as usize].into(),
        };
        ctx.finish(vec![result(0), result(1)]);
    }

    /// Describes the table for the list of games.
    fn label(&self, ctx: &mut Context) {
        let [one, other] = &self.names;
        let label = Label { players: format!("{one} – {other}"), game: self.game, moves: self.board.moves().len() };
        ctx.label(&label);
    }

    fn require_playing(&self) -> Result<(), Refusal> {
        match self.phase {
            Phase::Playing => Ok(()),
            Phase::Waiting | Phase::Over(_) => Err(Refusal::NotPlaying),
        }
    }

    fn turn(&self) -> Seat {
        match self.board.moves().len() % 2 {
            0 => self.black,
            _ => other(self.black),
        }
    }

    fn score(&self) -> [f64; 2] {
        self.half_points.map(|points| f64::from(points) / 2.0)
    }

    fn state(&self, ctx: &Context) -> Reply {
        let (phase, turn, over) = match &self.phase {
            Phase::Waiting => (PhaseName::Waiting, None, None),
            Phase::Playing => (PhaseName::Playing, Some(self.turn()), None),
            Phase::Over(over) => (PhaseName::Over, None, Some(over.clone())),
        };
        Reply::State(State {
            phase,
            game: self.game,
            black: self.black,
            turn,
            moves: self.board.moves().to_vec(),
            clocks_ms: self.clock.at(ctx.now_ms()),
            draw_offer: self.draw_offer,
            rematch: self.rematch,
            over,
            score: self.score(),
            present: [ctx.is_present(0), ctx.is_present(1)],
            names: self.names.clone(),
        })
    }
}

/// Tells both players, and those who watch.
fn tell(ctx: &mut Context, reply: &Reply) {
    ctx.show(reply);
    ctx.send(Target::All, reply);
}

fn tell_presence(ctx: &mut Context, seat: Seat, present: bool) {
    let presence = Reply::Presence { seat, present };
    ctx.show(&presence);
    ctx.send(Target::AllBut(seat), &presence);
}

fn other(seat: Seat) -> Seat {
    1 - seat
}

export_scene!(Gomoku);
