//! `Context`, what a handler sees and what it wants done. Invariant: it holds nothing that is not a
//! function of the scene's inputs, and what must outlive a step is in `Kept`, which is part of the
//! snapshot.

use std::fmt;

use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use crate::roster::{Presence, Roster};
use crate::{
    Alarm, Command, Ending, Eviction, Fault, Init, Level, Moment, NextMatch, Opening, Outgoing, Player, PlayerResult,
    Random, SaveOperation, SaveRequest, Seat, Showing, Target, Timer,
};

/// Room for a message of which nothing is known, in bytes; and the most that is made ready for one.
const BODY_BYTES: usize = 112;
const BODY_BYTES_MAX: usize = 16 << 10;

/// The part of a context that outlives a step.
pub(crate) struct Kept {
    pub(crate) random: Random,
    pub(crate) roster: Roster,
    next_save_id: u64,
}

/// How `Kept` goes into the snapshot. Of the randomness that is only how far it has been used; the
/// seed is the scene's input, and stays out.
#[derive(Serialize, Deserialize)]
struct Saved<R> {
    random_words: u64,
    roster: R,
    next_save_id: u64,
}

impl Kept {
    pub(crate) fn new(init: &Init) -> Kept {
        Kept { random: Random::seed_from_u64(init.seed), roster: Roster::expecting(&init.players), next_save_id: 1 }
    }

    pub(crate) fn save(&self) -> Result<Vec<u8>, Fault> {
        Ok(minicbor_serde::to_vec(Saved {
            random_words: self.random.get_word_pos() as u64,
            roster: &self.roster,
            next_save_id: self.next_save_id,
        })?)
    }

    /// Reads what `save` wrote from the front of a snapshot, which then is at the scene's own bytes.
    pub(crate) fn load(init: &Init, snapshot: &mut &[u8]) -> Result<Kept, Fault> {
        let mut reader = minicbor_serde::Deserializer::new(snapshot);
        let saved = Saved::<Roster>::deserialize(&mut reader)?;
        *snapshot = &snapshot[reader.decoder().position()..];
        let mut random = Random::seed_from_u64(init.seed);
        random.set_word_pos(saved.random_words.into());
        Ok(Kept { random, roster: saved.roster, next_save_id: saved.next_save_id })
    }
}

/// The scene's surroundings in one step: the time, the players, randomness, and the commands. All
/// commands are carried out in their order after the step.
pub struct Context {
    at: Moment,
    tick_rate_hz: u32,
    pub(crate) kept: Kept,
    commands: Vec<Command>,
    /// The length of the last message in bytes. The next one is probably about as long.
    body_bytes: usize,
    failure: Option<String>,
    finished: bool,
}

impl Context {
    pub(crate) fn new(init: &Init, kept: Kept) -> Context {
        Context {
            at: Moment { tick: 0, elapsed_ms: 0 },
            tick_rate_hz: init.tick_rate_hz,
            kept,
            commands: Vec::new(),
            body_bytes: BODY_BYTES,
            failure: None,
            finished: false,
        }
    }

    pub(crate) fn begin(&mut self, at: Moment) {
        self.at = at;
    }

    /// Whether handlers need not be called any more.
    pub(crate) fn is_over(&self) -> bool {
        self.finished || self.failure.is_some()
    }

    pub(crate) fn end(&mut self) -> Result<Vec<Command>, String> {
        let commands = std::mem::take(&mut self.commands);
        match self.failure.take() {
            None => Ok(commands),
            Some(failure) => Err(failure),
        }
    }

    /// Milliseconds since the scene started.
    pub fn now_ms(&self) -> u64 {
        self.at.elapsed_ms
    }

    /// The number of this step, from 0.
    pub fn tick(&self) -> u64 {
        self.at.tick
    }

    /// Steps per second; 0 if a step comes only when something happened.
    pub fn tick_rate_hz(&self) -> u32 {
        self.tick_rate_hz
    }

    /// The length of a step in seconds, to move things by; 0 at tick rate 0.
    pub fn step_s(&self) -> f32 {
        match self.tick_rate_hz {
            0 => 0.0,
            rate => 1.0 / rate as f32,
        }
    }

    /// The scene's randomness. Its state is part of the snapshot.
    pub fn random(&mut self) -> &mut Random {
        &mut self.kept.random
    }

    /// Who holds a seat, be it inside, dropped or on the way. In `left` still the one who left.
    pub fn player(&self, seat: Seat) -> Option<&Player> {
        self.kept.roster.player(seat)
    }

    /// Everybody who holds a seat, by seat.
    pub fn players(&self) -> impl Iterator<Item = &Player> {
        self.kept.roster.everybody()
    }

    /// Everybody who is inside and connected, by seat.
    pub fn present(&self) -> impl Iterator<Item = &Player> {
        self.kept.roster.with(Presence::Inside)
    }

    /// Whether the holder of a seat is inside and connected.
    pub fn is_present(&self, seat: Seat) -> bool {
        self.kept.roster.is(seat, Presence::Inside)
    }

    /// Whether the holder of a seat was matched and has not come in yet.
    pub fn is_expected(&self, seat: Seat) -> bool {
        self.kept.roster.is(seat, Presence::Expected)
    }

    /// Sends a message as JSON: to a seat, several seats, `Target::All` or `Target::AllBut(seat)`.
    /// A message that JSON cannot express (a map with structured keys) fails the scene.
    pub fn send<M: Serialize + ?Sized>(&mut self, to: impl Into<Target>, message: &M) {
        if let Some(body) = self.json(message) {
            self.send_bytes(to, body);
        }
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&mut self, to: impl Into<Target>, body: Vec<u8>) {
        let to = to.into();
        self.commands.push(Command::Send(Outgoing { to, body }));
    }

    /// Shows those who watch a change of what was shown to them before, as JSON. Players do not get it; where nobody
    /// may watch it costs nothing more than this step.
    pub fn show<M: Serialize + ?Sized>(&mut self, change: &M) {
        if let Some(body) = self.json(change) {
            self.show_bytes(false, body);
        }
    }

    /// Shows those who watch all that they may see now, as JSON: when [`Scene::watched`](crate::Scene::watched) asks
    /// for it, and whenever a whole view is as good as a change.
    pub fn show_whole<M: Serialize + ?Sized>(&mut self, view: &M) {
        if let Some(body) = self.json(view) {
            self.show_bytes(true, body);
        }
    }

    /// Shows bytes as they are.
    pub fn show_bytes(&mut self, whole: bool, body: Vec<u8>) {
        self.commands.push(Command::Show(Showing { whole, body }));
    }

    /// Removes a player; the reason is shown to them, at most 256 bytes. `left` follows.
    pub fn kick(&mut self, seat: Seat, reason: impl Into<String>) {
        let reason = reason.into();
        self.commands.push(Command::Kick(Eviction { seat, reason }));
    }

    /// Sends players on to their next match: each looks for one alone, or with the party that the player leads, in the
    /// domain that made this scene. They leave this scene for good, and `left` follows. Who is gone is passed over.
    /// Before [`finish`](Context::finish) if the game is over with that: its results count all the same.
    pub fn match_again(&mut self, seats: impl Into<Vec<Seat>>) {
        let (seats, domain) = (seats.into(), None);
        self.next_match(NextMatch { seats, domain, together: false });
    }

    /// The same, with all that can be said: in another domain, or all of them into the same match.
    pub fn next_match(&mut self, next: NextMatch) {
        self.commands.push(Command::MatchAgain(next));
    }

    /// Describes the scene for the list of scenes, in which users find it by the fields that are texts, numbers,
    /// true or false: a JSON object of at most 32 fields and 2 KiB. Replaces the last label; told at most once a second.
    pub fn label<L: Serialize + ?Sized>(&mut self, label: &L) {
        match serde_json::to_string(label) {
            Ok(label) => self.commands.push(Command::Label(label)),
            Err(error) => self.fail(format!("the label is no JSON: {error}")),
        }
    }

    /// Asks matching for this many players, whatever the team and the role, at most 200; 0 ends the search. Count the
    /// places that are empty as far as the game knows: who is on the way already is taken off. Whoever comes takes a
    /// place, and `joined` tells of them. Replaces the last search; it may change once a second, and of what is said
    /// meanwhile the newest counts.
    pub fn seek_players(&mut self, count: u32) {
        self.seek([Opening::any(count)]);
    }

    /// Asks matching for particular players, by their teams and roles, as [`seek_players`](Context::seek_players) does:
    /// `ctx.seek([Opening::any(1).of_team(0), Opening::any(2).of_role("healer")])`. At most 16 openings; those of
    /// nobody are left out.
    pub fn seek(&mut self, openings: impl IntoIterator<Item = Opening>) {
        let openings: Vec<Opening> = openings.into_iter().filter(|opening| opening.count > 0).collect();
        match openings.is_empty() {
            true => self.stop_seeking(),
            false => self.commands.push(Command::SeekPlayers(openings)),
        }
    }

    /// Ends the search. Players who are on the way still come.
    pub fn stop_seeking(&mut self) {
        self.commands.push(Command::StopSeeking);
    }

    /// Sets a timer from now, or sets it anew. It is due in the first step at or after that time;
    /// at most 24 hours.
    pub fn set_timer(&mut self, timer: Timer, after_ms: u32) {
        let id = timer.id();
        self.commands.push(Command::Timer(Alarm { id, after_ms }));
    }

    /// Clears a timer; one that is not set is no error.
    pub fn cancel_timer(&mut self, timer: Timer) {
        self.commands.push(Command::CancelTimer(timer.id()));
    }

    /// Changes the store, all operations together or none. Returns the id by which
    /// [`Scene::saved`](crate::Scene::saved) tells the outcome. While the store is down the save waits, or the scene
    /// ends, as its fleet says. It is made also if the scene finishes without waiting for the answer.
    pub fn save(&mut self, operations: Vec<SaveOperation>) -> u64 {
        let id = self.kept.next_save_id;
        self.kept.next_save_id += 1;
        self.commands.push(Command::Save(SaveRequest { id, operations }));
        id
    }

    /// Ends the scene as intended. One result for each player that counts; none: the game was not
    /// decided. The host records them once: for ratings, by the places; for leaderboards, by the places or the
    /// scores; and in the players' histories. What was sent before is delivered first, no further event is handled, and commands
    /// after it are passed over.
    pub fn finish(&mut self, results: Vec<PlayerResult>) {
        self.commands.push(Command::Finish(Ending { results }));
        self.finished = true;
    }

    /// Ends the scene as broken. The reason goes to its designer; the step's commands are dropped.
    pub fn fail(&mut self, reason: impl Into<String>) {
        self.failure.get_or_insert(reason.into());
    }

    /// Writes a line for the game's designer; the same as [`log::log`](crate::log::log).
    pub fn log(&self, level: Level, text: &str) {
        crate::log::log(level, text);
    }

    /// Counts a message that could not be read. The 1st, 2nd, 4th, 8th ... of a seat are logged, so
    /// that a broken client is seen and a hostile one cannot fill the log.
    pub fn count_unreadable(&mut self, from: Seat, error: &dyn fmt::Display) {
        let count = self.kept.roster.count_unreadable(from);
        if count.is_power_of_two() {
            crate::log::warn(&format!("seat {from}, {count} unreadable so far: {error}"));
        }
    }

    /// How many messages of a seat could not be read.
    pub fn unreadable_count(&self, seat: Seat) -> u32 {
        self.kept.roster.unreadable_count(seat)
    }

    fn json<M: Serialize + ?Sized>(&mut self, message: &M) -> Option<Vec<u8>> {
        // With room for a message that is a little longer: a body that grows is copied each time.
        let mut body = Vec::with_capacity(self.body_bytes + self.body_bytes / 8);
        if let Err(error) = serde_json::to_writer(&mut body, message) {
            let name = std::any::type_name::<M>();
            self.fail(format!("{name} cannot be sent as JSON: {error}"));
            return None;
        }
        self.body_bytes = body.len().clamp(BODY_BYTES, BODY_BYTES_MAX);
        Some(body)
    }
}

impl Opening {
    /// Places for this many players, of any team and role.
    pub fn any(count: u32) -> Opening {
        Opening { count, team: None, role: None }
    }

    /// The same for players of this team.
    pub fn of_team(self, team: u32) -> Opening {
        Opening { team: Some(team), ..self }
    }

    /// The same for players with this role.
    pub fn of_role(self, role: impl Into<String>) -> Opening {
        Opening { role: Some(role.into()), ..self }
    }
}

impl From<Seat> for Target {
    fn from(seat: Seat) -> Target {
        Target::One(seat)
    }
}

impl From<Vec<Seat>> for Target {
    fn from(seats: Vec<Seat>) -> Target {
        Target::Many(seats)
    }
}
