//! The tiny games of simulated scenes: what each does follows from its scene's seed.

use std::collections::BTreeSet;

use scenehost_core::PlayerResult;
use scenehost_core::matching::backfill::Opening;
use scenehost_core::scene::{Event, GameEvent};
use scenehost_core::scene_service::START_MS_MAX;

/// How a game goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// It is decided after some time.
    Finishes,
    /// It is over after some time, and was not decided.
    ComesToNothing,
    /// Its logic fails after some time.
    Traps,
    /// It cannot go on after some time.
    GivesUp,
    /// It does not start.
    FailsToStart,
    /// Its start takes longer than its SceneService waits; it never says anything.
    StartsLate,
    /// It never says anything.
    Silent,
    /// It removes a player after some time, and is decided later.
    Kicks,
    /// It lets the player of this seat not in, and is decided later.
    Refuses(u32),
    /// Its steps take too long after some time, or it uses too much memory.
    Strains,
    /// It hangs after some time, for a while.
    Hangs,
}

/// What a game does when its time has come.
#[derive(Debug)]
pub enum Turn {
    Does(Event),
    /// A step that took so many microseconds, after which it used so many bytes.
    Took(u64, u64),
    /// It says nothing for so many milliseconds.
    Hangs(u64),
}

/// How long a step of a game may take, and how much memory it may use, before that is a strike.
pub const STEP_MS_MAX: u64 = 10;
pub const MEMORY_KIB_MAX: u64 = 64;

#[derive(Debug)]
pub struct Game {
    course: Course,
    /// Those of the beginning, and of who has come in since.
    seats: BTreeSet<u32>,
    /// When it does what it does next, after its start.
    pub next_ms: u64,
    has_kicked: bool,
    /// It looks for one more player, and stops to a while after.
    seeks: Option<bool>,
    /// Told to stop, it comes to its end.
    has_last_words: bool,
    /// And has a result.
    is_decided: bool,
}

impl Game {
    pub fn new(seed: u64, seats: u32) -> Self {
        let course = match seed % 32 {
            0..9 => Course::Finishes,
            9..11 => Course::ComesToNothing,
            11..18 => Course::Traps,
            18..20 => Course::GivesUp,
            20 => Course::FailsToStart,
            21 => Course::StartsLate,
            22..24 => Course::Silent,
            24 => Course::Strains,
            25 => Course::Hangs,
            26..29 => Course::Kicks,
            _ => Course::Refuses((seed >> 6) as u32 % 2),
        };
        // Some are soon at their end.
        let next_ms =
            if (seed >> 5).is_multiple_of(4) { 200 + (seed >> 8) % 4_000 } else { 500 + (seed >> 8) % 60_000 };
        Self {
            course,
            seats: (0..seats).collect(),
            next_ms,
            has_kicked: false,
            seeks: (seed >> 10).is_multiple_of(3).then_some(true),
            has_last_words: (seed >> 4).is_multiple_of(2),
            is_decided: !(seed >> 9).is_multiple_of(3),
        }
    }

    pub fn starts(&self) -> bool {
        self.course != Course::FailsToStart
    }

    /// How long its start takes, if it takes long.
    pub fn late_ms(&self) -> Option<u64> {
        (self.course == Course::StartsLate).then_some(START_MS_MAX + 100 + self.next_ms / 10)
    }

    pub fn admits(&self, seat: u32) -> Result<(), String> {
        match self.course {
            Course::Refuses(not) if seat == not => Err("not you".to_owned()),
            _ => Ok(()),
        }
    }

    /// What the game does when its time has come.
    pub fn turn(&mut self) -> Option<Turn> {
        if let Some(begins) = self.seeks {
            self.seeks = begins.then_some(false);
            self.next_ms += if begins { 8_000 } else { 100 };
            let one = Opening { count: 1, team: None, role: None };
            return Some(Turn::Does(Event::SeekPlayers(if begins { vec![one] } else { Vec::new() })));
        }
        let event = match self.course {
            Course::Finishes | Course::Refuses(_) => Event::Finish(self.results()),
            Course::ComesToNothing => Event::Finish(Vec::new()),
            Course::Traps => Event::Failed("trap".to_owned()),
            Course::GivesUp => Event::GivenUp("its save is of another game".to_owned()),
            Course::FailsToStart | Course::StartsLate | Course::Silent => return None,
            Course::Kicks if !self.has_kicked => {
                self.has_kicked = true;
                self.next_ms += 5_000;
                Event::Kick { seat: 0, reason: "no more of you".to_owned() }
            }
            Course::Kicks => Event::Finish(self.results()),
            Course::Strains => {
                // So that some are stopped, and some become well again.
                self.next_ms += 2_000 + self.next_ms % 16_000;
                let (is_slow, large) = (self.has_last_words, MEMORY_KIB_MAX * 1_024 + 1);
                return Some(if is_slow { Turn::Took(STEP_MS_MAX * 1_000 + 1, 0) } else { Turn::Took(0, large) });
            }
            Course::Hangs => {
                let for_ms = 4_000 + self.next_ms % 16_000;
                self.next_ms += for_ms + 20_000;
                return Some(Turn::Hangs(for_ms));
            }
        };
        Some(Turn::Does(event))
    }

    /// What the game says to what it is told.
    pub fn hears(&mut self, event: &GameEvent) -> Option<Event> {
        if let GameEvent::Joined(player) = event {
            // Who has joined in progress gets a result, too; who was expected then and never came is not known here.
            self.seats.insert(player.seat);
        }
        let stops = matches!(event, GameEvent::Stopping { .. }) && self.has_last_words;
        stops.then(|| Event::Finish(if self.is_decided { self.results() } else { Vec::new() }))
    }

    fn results(&self) -> Vec<PlayerResult> {
        let result = |seat: &u32| PlayerResult { seat: *seat, place: seat + 1, score: i64::from(*seat) };
        self.seats.iter().map(result).collect()
    }
}
