//! What happens to a game in its scratch run: who comes and goes, and what they say.

use crate::{
    bindings::{
        Comeback, Command, Departure, Event, Incoming, LeaveReason, Moment, Player, SaveAnswer, StopNotice, StopReason,
    },
    failure::Failure,
    limits::Limits,
    timers::Timers,
};

/// In these steps somebody's connection drops, is back, and somebody leaves for good; then the scene is to end.
const DROPS: u32 = 40;
const RETURNS: u32 = 44;
const LEAVES: u32 = 52;
const STOPS: u32 = 60;
/// In every step of so many nothing is said, so that a ticking game also steps without events.
const SILENT_EVERY: u32 = 4;
const NONSENSE_BYTES_MAX: u64 = 64;
/// What clients of games might say.
const SENSIBLE: [&[u8]; 6] = [b"", b"{}", b"null", b"\"ready\"", br#"{"type":"move","x":1,"y":2}"#, b"[1,2,3]"];

pub struct Course {
    /// Who has not come yet.
    outside: Vec<Player>,
    /// The seats whose players are inside and connected.
    inside: Vec<u32>,
    /// Who has just been let in.
    entered: Option<Player>,
    dropped: Option<u32>,
    answers: Vec<SaveAnswer>,
    timers: Timers,
    random: u64,
}

impl Course {
    pub fn new(players: &[Player], limits: &Limits) -> Course {
        Course {
            outside: players.iter().rev().cloned().collect(),
            inside: Vec::new(),
            entered: None,
            dropped: None,
            answers: Vec::new(),
            timers: Timers::new(limits.timers_max),
            random: 1,
        }
    }

    /// Who wants to come in before the next step: one after the other.
    pub fn comes(&mut self) -> Option<Player> {
        self.outside.pop()
    }

    pub fn let_in(&mut self, player: Player) {
        self.inside.push(player.seat);
        self.entered = Some(player);
    }

    /// Everything that happened since the last step.
    pub fn events(&mut self, step: u32, at: Moment) -> Vec<Event> {
        let mut events: Vec<Event> = self.timers.take_due(at.elapsed_ms).map(Event::Timer).collect();
        events.extend(self.entered.take().map(Event::Joined));
        events.extend(self.answers.drain(..).map(Event::Saved));
        match step {
            DROPS if self.inside.len() > 1 => {
                self.dropped = Some(self.inside.remove(0));
                events.extend(self.dropped.map(Event::Dropped));
            }
            RETURNS => {
                if let Some(seat) = self.dropped.take() {
                    self.inside.push(seat);
                    events.push(Event::Resumed(Comeback { seat, missed: true }));
                }
            }
            LEAVES if self.inside.len() > 1 => {
                let seat = self.inside.remove(0);
                events.push(Event::Left(Departure { seat, reason: LeaveReason::Left }));
            }
            STOPS => events.push(Event::Stopping(StopNotice { reason: StopReason::Operator, grace_ms: 1_000 })),
            _ => {}
        }
        if step % SILENT_EVERY != SILENT_EVERY - 1 {
            for seat in self.inside.clone() {
                events.push(Event::Message(Incoming { from: seat, body: self.words() }));
            }
        }
        events
    }

    /// Does what the game wants. `false`: it has finished.
    pub fn heed(&mut self, commands: &[Command], at: Moment) -> Result<bool, Failure> {
        for command in commands {
            match command {
                Command::Finish(_) => return Ok(false),
                Command::Kick(eviction) => self.inside.retain(|seat| *seat != eviction.seat),
                Command::MatchAgain(next) => self.inside.retain(|seat| !next.seats.contains(seat)),
                Command::Timer(alarm) => {
                    if !self.timers.set(alarm.id, at.elapsed_ms + u64::from(alarm.after_ms)) {
                        return Err(Failure::TooManyTimers { limit: self.timers.count_max() });
                    }
                }
                Command::CancelTimer(id) => self.timers.cancel(*id),
                Command::Save(request) => self.answers.push(SaveAnswer { id: request.id, outcome: Ok(()) }),
                Command::Send(_)
                | Command::Show(_)
                | Command::Label(_)
                | Command::SeekPlayers(_)
                | Command::StopSeeking => {}
            }
        }
        Ok(true)
    }

    /// Half of what is said makes some sense.
    fn words(&mut self) -> Vec<u8> {
        let choice = self.draw();
        if choice.is_multiple_of(2) {
            return SENSIBLE[(choice / 2) as usize % SENSIBLE.len()].to_vec();
        }
        let count = self.draw() % NONSENSE_BYTES_MAX;
        (0..count).map(|_| self.draw() as u8).collect()
    }

    /// The generator SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
