//! The games that are measured, and what their players do: the same for whoever runs them.
//!
//! Invariant: what is said in a step depends on its number alone.

/// One game, and how it is played.
#[derive(Clone, Copy)]
pub struct Game {
    /// The component's name.
    pub name: &'static str,
    pub tick_rate_hz: u32,
    pub configuration: &'static str,
    pub seats: u32,
    /// What the players say in this step: who, and what.
    pub said: fn(u64) -> Vec<(u32, Vec<u8>)>,
}

/// What one step is given.
pub struct Input {
    /// Everybody comes in with this step.
    pub is_first: bool,
    pub said: Vec<(u32, Vec<u8>)>,
}

/// Four players who steer and shoot, and send what they do in every step.
pub const ARENA: Game = Game {
    name: "arena",
    tick_rate_hz: 20,
    configuration: r#"{"round_s":86400}"#,
    seats: 4,
    said: |step| (0..4).map(|seat| (seat, steered(step, seat))).collect(),
};

/// Both players want to place a stone in every step, and it is one's turn. When the board is nearly full one resigns, and
/// both want another game.
pub const GOMOKU: Game = Game {
    name: "gomoku",
    tick_rate_hz: 0,
    configuration: r#"{"main_ms":36000000,"increment_ms":0,"rematch_ms":86400000}"#,
    seats: 2,
    said: placed,
};

/// The game in TypeScript: one player chooses, again and again, and the other for a round that has not begun; both are
/// told so.
pub const ROCK_PAPER_SCISSORS: Game = Game {
    name: "rock-paper-scissors",
    tick_rate_hz: 0,
    configuration: r#"{"choose_ms":600000}"#,
    seats: 2,
    said: |_| {
        let choice = |seat: u32| format!(r#"{{"type":"choose","round":{},"hand":"rock"}}"#, seat + 1);
        (0..2).map(|seat| (seat, choice(seat).into_bytes())).collect()
    },
};

impl Game {
    /// How long after the beginning a step is made, in milliseconds.
    pub fn elapsed_ms(&self, step: u64) -> u64 {
        match u64::from(self.tick_rate_hz) {
            0 => step * 10,
            rate => step * 1_000 / rate,
        }
    }

    /// What `count` steps from this one on are given.
    pub fn inputs(&self, first: u64, count: u64) -> Vec<Input> {
        (first..first + count).map(|step| Input { is_first: step == 0, said: (self.said)(step) }).collect()
    }
}

/// A ship goes in circles of its own, looks around, and fires half of the time.
fn steered(step: u64, seat: u32) -> Vec<u8> {
    let turn = (step as f32).mul_add(0.05, seat as f32 * 1.7);
    let (y, x) = turn.sin_cos();
    let aim = (step as f32 * 0.11 + seat as f32).rem_euclid(std::f32::consts::TAU);
    let fire = (step / 10 + u64::from(seat)).is_multiple_of(2);
    format!(r#"{{"type":"input","n":{step},"move":[{x:.3},{y:.3}],"aim":{aim:.3},"fire":{fire}}}"#).into_bytes()
}

/// Colours alternate along a row, and every other row is filled first, so that nobody has five.
fn placed(step: u64) -> Vec<(u32, Vec<u8>)> {
    const STONES: u64 = 200;
    let in_game = step % (STONES + 2);
    let both = |text: String| (0..2).map(|seat| (seat, text.clone().into_bytes())).collect();
    match in_game {
        STONES => vec![(0, br#"{"type":"resign"}"#.to_vec())],
        it if it > STONES => both(r#"{"type":"rematch"}"#.to_owned()),
        it => {
            let (row, column) = (it / 15 * 2 % 15, it % 15);
            both(format!(r#"{{"type":"place","x":{column},"y":{row}}}"#))
        }
    }
}

/// What scenes are given, in the types of one side of the contract: hosts and games have their own.
macro_rules! given_in {
    ($side:ident) => {
        use $side::{Event, Incoming, Init, Moment, Player};

        fn init(game: &Game, seed: u64) -> Init {
            Init {
                seed,
                tick_rate_hz: game.tick_rate_hz,
                configuration: game.configuration.to_owned(),
                players: (0..game.seats).map(player).collect(),
                region: None,
                chosen: Vec::new(),
                bots: 0,
            }
        }

        fn player(seat: u32) -> Player {
            let name = format!("Player {seat}");
            Player { seat, user: 1_000 + u64::from(seat), name, rating: 1_500, team: 0, role: None, party: seat }
        }

        fn events(game: &Game, input: &Input) -> Vec<Event> {
            let came = (0..game.seats).filter(|_| input.is_first).map(|seat| Event::Joined(player(seat)));
            let message = |(from, body): &(u32, Vec<u8>)| Event::Message(Incoming { from: *from, body: body.clone() });
            came.chain(input.said.iter().map(message)).collect()
        }

        /// Each of `scenes` is given the same, step by step.
        fn given(game: &Game, inputs: &[Input], first: u64, scenes: usize) -> Vec<(Moment, Vec<Event>)> {
            let step = |(tick, input)| {
                let at = Moment { tick, elapsed_ms: game.elapsed_ms(tick) };
                std::iter::repeat_with(move || (at, events(game, input))).take(scenes)
            };
            (first..).zip(inputs).flat_map(step).collect()
        }
    };
}

pub(super) use given_in;
