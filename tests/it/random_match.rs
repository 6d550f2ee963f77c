//! One match of a demo game, played at random in the real engine, with its journal: players who come, drop, are back and
//! leave, moves, rubbish, time that passes, another instance of the game in the middle, a host that stops.
//!
//! Invariant: the same seed is the same match.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use scenehost_engine::journal::{About, JournalSpec, Journaled};
use scenehost_engine::{
    CallError, Comeback, Command, Departure, Event, External, Failure, Incoming, Init, LeaveReason, Limits, Log,
    Player, Plugin, SaveAnswer, SaveError, SceneKey, SceneSpec, Sink, Stepped, StopNotice, StopReason, SwapError,
    Worker, WorkerOptions,
};

const KEY: SceneKey = SceneKey(1);
/// What a match is given at most, from outside.
const DOINGS_MAX: u32 = 250;
/// A limit that no busy machine comes to.
const STEP_MS_MAX: u32 = 10_000;

/// A demo game.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Game {
    Gomoku,
    Arena,
}

/// What has become of a match.
#[derive(Default)]
pub struct Played {
    pub journal: Vec<u8>,
    /// What each step has returned: its tick, and its commands without timers.
    pub steps: Vec<(u64, Vec<Command>)>,
    pub swaps: u64,
    pub failure: Option<Failure>,
}

/// Plays one to its end, or for [`DOINGS_MAX`] things that happen.
pub fn play(game: Game, plugin: &Plugin, seed: u64) -> Played {
    let mut table = Table::begin(game, plugin, seed);
    for _ in 0..DOINGS_MAX {
        table.something_happens(plugin);
        table.time_passes();
        if table.is_over() {
            break;
        }
    }
    table.worker.end_journal(KEY, "the test ends it", &mut table.said);
    table.said
}

struct Table {
    game: Game,
    rng: StdRng,
    worker: Worker,
    now: Duration,
    seats: u32,
    limits: Limits,
    said: Played,
}

/// In some matches messages may not be as long as the game would have them, so that it fails in the middle of it.
fn limits(rng: &mut StdRng) -> Limits {
    let message_bytes_max = match rng.random_bool(0.3) {
        true => rng.random_range(300..1_000),
        false => Limits::default().message_bytes_max,
    };
    Limits { step_ms_max: STEP_MS_MAX, start_ms_max: STEP_MS_MAX, message_bytes_max, ..Limits::default() }
}

impl Sink for Played {
    fn stepped(&mut self, _: SceneKey, stepped: Stepped) {
        self.steps.push((stepped.tick, stepped.commands));
    }

    fn failed(&mut self, _: SceneKey, failure: Failure) {
        self.failure = Some(failure);
    }

    fn logged(&mut self, _: SceneKey, _: Log) {}

    fn journaled(&mut self, _: SceneKey, part: Journaled<'_>) {
        let (Journaled::Begun(bytes) | Journaled::Added(bytes) | Journaled::Snapshot { bytes, .. }) = part;
        self.journal.extend(bytes);
    }
}

impl Table {
    fn begin(game: Game, plugin: &Plugin, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let (tick_rate_hz, configuration, seats) = match game {
            Game::Gomoku => (0, r#"{"main_ms":60000,"increment_ms":500,"rematch_ms":5000}"#, 2),
            Game::Arena => (20, r#"{"round_s":40}"#, rng.random_range(2..=8)),
        };
        let init = Init {
            seed: rng.next_u64(),
            tick_rate_hz,
            configuration: configuration.to_owned(),
            players: (0..seats).map(player).collect(),
            region: rng.random_bool(0.5).then(|| "here".to_owned()),
            chosen: vec![("map".to_owned(), "islands".to_owned())],
            bots: 0,
        };
        let snapshot_steps = [1, 5, 40, 1_000_000][rng.random_range(0..4)];
        let journal = JournalSpec { about: About { scene: seed, epoch: 1, ..About::default() }, snapshot_steps };
        let limits = limits(&mut rng);
        let spec = SceneSpec { limits, journal: Some(journal), ..SceneSpec::new(init) };
        let mut table = Self {
            game,
            rng,
            worker: Worker::new(WorkerOptions::default()),
            now: Duration::ZERO,
            seats,
            limits,
            said: Played::default(),
        };
        table.worker.create(KEY, plugin, &spec, || table.now, &mut table.said).expect("the game starts");
        for seat in 0..seats {
            table.comes(seat);
        }
        table
    }

    fn is_over(&self) -> bool {
        let is_finish = |command: &Command| matches!(command, Command::Finish(_));
        self.said.failure.is_some()
            || self.said.steps.last().is_some_and(|(_, commands)| commands.iter().any(is_finish))
    }

    /// In most cases somebody says something.
    fn something_happens(&mut self, plugin: &Plugin) {
        // One seat more than there are. No host says anything of that, and a game may fail, as its journal then tells.
        let seat = self.rng.random_range(0..=self.seats);
        match self.rng.random_range(0..200) {
            0..4 => self.comes(seat),
            4..10 => self.give(Event::Dropped(seat)),
            10..20 => {
                let missed = self.rng.random();
                self.give(Event::Resumed(Comeback { seat, missed }));
            }
            20 => self.give(Event::Left(Departure { seat, reason: LeaveReason::Dropped })),
            21 => self.give(Event::Watched),
            22 => {
                let (name, body) = ("news".to_owned(), self.rubbish());
                self.give(Event::Signal(External { name, body }));
            }
            23 => {
                let outcome = [Ok(()), Err(SaveError::Unavailable)][self.rng.random_range(0..2)].clone();
                self.give(Event::Saved(SaveAnswer { id: 1, outcome }));
            }
            24 => self.give(Event::Stopping(StopNotice { reason: StopReason::Drain, grace_ms: 10_000 })),
            25 => self.worker.note(KEY, b"a note of the host", &mut self.said),
            26 => self.changes(plugin),
            27..50 => {
                let body = self.rubbish();
                self.give(Event::Message(Incoming { from: seat, body }));
            }
            _ => {
                let body = self.move_of(seat).into_bytes();
                self.give(Event::Message(Incoming { from: seat, body }));
            }
        }
    }

    fn give(&mut self, event: Event) {
        self.worker.deliver(KEY, event, self.now).expect("an inbox has room for what happens between two steps");
    }

    fn comes(&mut self, seat: u32) {
        match self.worker.admit(KEY, &player(seat), || self.now, &mut self.said) {
            Ok(Ok(())) => self.give(Event::Joined(player(seat))),
            Ok(Err(_)) => {}
            Err(CallError::Failed(failure)) => self.said.failure = Some(failure),
            Err(error) => panic!("{error}"),
        }
    }

    /// Another instance goes on.
    fn changes(&mut self, plugin: &Plugin) {
        match self.worker.swap(KEY, plugin, self.limits, &mut self.said) {
            Ok(()) => self.said.swaps += 1,
            Err(SwapError::Failed(failure)) => self.said.failure = Some(failure),
            Err(error) => panic!("{error}"),
        }
    }

    /// In most cases a tick or two; at times so long that timers are due and rounds are over.
    fn time_passes(&mut self) {
        let ticks = match self.rng.random_range(0..100) {
            0..10 => 0,
            10..97 => self.rng.random_range(1..4),
            97..99 => 30,
            _ => 200,
        };
        for _ in 0..ticks {
            self.now += Duration::from_millis(50);
            self.worker.run_due(|| self.now, &mut self.said);
        }
    }

    fn move_of(&mut self, seat: u32) -> String {
        let rng = &mut self.rng;
        match (self.game, rng.random_range(0..100)) {
            (Game::Gomoku, 0) => r#"{"type":"resign"}"#.to_owned(),
            (Game::Gomoku, 1..5) => r#"{"type":"offer_draw"}"#.to_owned(),
            (Game::Gomoku, 5..9) => format!(r#"{{"type":"answer_draw","accept":{}}}"#, rng.random_bool(0.2)),
            (Game::Gomoku, 9..30) => r#"{"type":"rematch"}"#.to_owned(),
            (Game::Gomoku, 30) => r#"{"type":"new_opponent"}"#.to_owned(),
            (Game::Gomoku, _) => {
                // In few rows, so that somebody has five.
                let (x, y) = (rng.random_range(-1..=15), rng.random_range(5..8) + i64::from(seat) * 2);
                format!(r#"{{"type":"place","x":{x},"y":{y}}}"#)
            }
            (Game::Arena, kind) => {
                let reach = if kind == 0 { 1e38 } else { 1.0 };
                let mut some = |limit: f32| rng.random_range(-limit..=limit);
                let (x, y, aim) = (some(reach), some(reach), some(7.0));
                let (n, fire) = (rng.next_u32(), rng.random_bool(0.7));
                format!(r#"{{"type":"input","n":{n},"move":[{x},{y}],"aim":{aim},"fire":{fire}}}"#)
            }
        }
    }

    /// What no client of the game says.
    fn rubbish(&mut self) -> Vec<u8> {
        let mut valid = self.move_of(0).into_bytes();
        let rng = &mut self.rng;
        let place = rng.random_range(0..valid.len());
        match rng.random_range(0..7) {
            0 => Vec::new(),
            1 => (0..rng.random_range(1..400)).map(|_| rng.random()).collect(),
            2 => {
                valid.truncate(place);
                valid
            }
            3 => {
                valid[place] = rng.random();
                valid
            }
            4 => vec![b'['; rng.random_range(1..10_000)],
            5 => br#"{"type":"place","x":1e400,"y":-9223372036854775809}"#.to_vec(),
            _ => br#"{"type":"input","n":4294967296,"move":[null,"0"],"aim":NaN,"fire":2}"#.to_vec(),
        }
    }
}

impl Played {
    /// What a replay has returned, as [`Played::steps`] has it: a worker keeps timers, and what comes after a `finish`, to
    /// itself.
    pub fn shown(commands: &[Command]) -> Vec<Command> {
        let mut shown = Vec::new();
        for command in commands {
            if !matches!(command, Command::Timer(_) | Command::CancelTimer(_)) {
                shown.push(command.clone());
            }
            if matches!(command, Command::Finish(_)) {
                break;
            }
        }
        shown
    }
}

fn player(seat: u32) -> Player {
    let name = format!("Player {seat}");
    Player { seat, user: 1_000 + u64::from(seat), name, rating: 1_500, team: 0, role: None, party: seat }
}
