//! Plays the script of a game in the real engine, with a clock that only the script moves.
//!
//! Time is as on a host that is never late. In a ticking game events wait for the next tick, and while nobody is inside
//! and nothing happens its ticks stand still and only its timers go on; at tick rate 0 each event is a step at once.
//!
//! Main type: [`Play`].

use std::collections::{BTreeMap, BTreeSet};

use scenehost_engine::{
    Comeback, Command, Departure, Event, External, Failure, Incoming, Init, Instance, Limits, Log, Moment, Plugin,
    SaveAnswer, StopNotice, TICK_RATE_HZ_MAX, Target,
};
use serde_json::Value;

use super::body::{self, has};
use super::scene::{Expect, Step, newcomer};
use super::{Recorded, Recording};
use crate::words;

/// The most steps of one script, so that a misspelt number does not play for hours.
const STEPS_MAX: u64 = 1_000_000;
/// The longest line of a recording, in characters; a longer one is cut.
const LINE_CHARS_MAX: usize = 2_000;

/// Why a script could not be played to its end.
#[derive(Debug, PartialEq, Eq)]
pub struct Stopped {
    /// The step, from 1; 0: before the first.
    pub number: usize,
    pub step: String,
    pub why: String,
}

/// How a script is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As it is.
    Plain,
    /// Before each step the game is saved, and goes on from its snapshot in a new instance.
    FromSnapshots,
}

/// Plays a script; what came out, and why it stopped before its end, if it did.
pub fn play(plugin: &Plugin, init: &Init, steps: &[(String, Step)], mode: Mode) -> (Recording, Option<Stopped>) {
    let mut recording = Recording { steps: Vec::new() };
    let mut play = match Play::start(plugin, init, mode) {
        Ok(play) => play,
        Err(why) => return (recording, Some(Stopped { number: 0, step: "start".to_owned(), why })),
    };
    recording.steps.push(Recorded { step: "start".to_owned(), gave: std::mem::take(&mut play.gave) });
    for (place, (text, step)) in steps.iter().enumerate() {
        let done = play.step(step);
        recording.steps.push(Recorded { step: text.clone(), gave: std::mem::take(&mut play.gave) });
        if let Err(why) = done {
            return (recording, Some(Stopped { number: place + 1, step: text.clone(), why }));
        }
        if let (Some(failure), false) = (&play.failed, expects_failure(steps.get(place + 1))) {
            let why = format!("the game failed ({}): {failure}", failure.kind());
            return (recording, Some(Stopped { number: place + 1, step: text.clone(), why }));
        }
    }
    (recording, None)
}

fn expects_failure(step: Option<&(String, Step)>) -> bool {
    matches!(step, Some((_, Step::Expect(Expect { failed: Some(_), .. }))))
}

/// A game that is played.
struct Play<'a> {
    plugin: &'a Plugin,
    init: &'a Init,
    limits: Limits,
    mode: Mode,
    instance: Instance,
    tick: u64,
    /// Ticks that have passed while the game slept; time to its timers only.
    slept: u64,
    now_ms: u64,
    queue: Vec<Event>,
    /// By (due time, id).
    timers: BTreeSet<(u64, u64)>,
    inside: BTreeSet<u32>,
    /// What each seat got and `expect` has not looked at.
    inboxes: BTreeMap<u32, Vec<Vec<u8>>>,
    ended: bool,
    failed: Option<Failure>,
    gave: Vec<String>,
}

impl<'a> Play<'a> {
    fn start(plugin: &'a Plugin, init: &'a Init, mode: Mode) -> Result<Self, String> {
        if init.tick_rate_hz > TICK_RATE_HZ_MAX {
            return Err(format!("tick_rate_hz is {}: use 0 to {TICK_RATE_HZ_MAX}", init.tick_rate_hz));
        }
        let limits = Limits::default();
        let not_started = |failure: Failure| format!("the game did not start ({}): {failure}", failure.kind());
        let mut instance = Instance::new(plugin, limits).map_err(not_started)?;
        instance.start(init).map_err(not_started)?;
        let log = instance.take_log();
        let mut play = Play {
            plugin,
            init,
            limits,
            mode,
            instance,
            tick: 0,
            slept: 0,
            now_ms: 0,
            queue: Vec::new(),
            timers: BTreeSet::new(),
            inside: BTreeSet::new(),
            inboxes: BTreeMap::new(),
            ended: false,
            failed: None,
            gave: Vec::new(),
        };
        play.note_log("start", log);
        Ok(play)
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Expect(expect) => return self.expect(expect),
            _ if self.ended || self.failed.is_some() => return Ok(()),
            Step::Join(seat) => return self.join(*seat),
            Step::Drop(seat) => {
                self.inside.remove(seat);
                self.queue.push(Event::Dropped(*seat));
            }
            Step::Resume(back) => {
                self.inside.insert(back.seat);
                self.queue.push(Event::Resumed(Comeback { seat: back.seat, missed: back.missed }));
            }
            Step::Leave(seat) => self.left(*seat, scenehost_engine::LeaveReason::Left),
            Step::Gone(departure) => self.left(departure.seat, departure.reason()),
            Step::Message(message) => {
                let body = message.body.bytes()?;
                self.queue.push(Event::Message(Incoming { from: message.from, body }));
            }
            Step::Signal(signal) => {
                let body = signal.body.bytes()?;
                self.queue.push(Event::Signal(External { name: signal.name.clone(), body }));
            }
            Step::Saved(saved) => {
                self.queue.push(Event::Saved(SaveAnswer { id: saved.id, outcome: saved.outcome() }));
            }
            Step::Stop(stop) => {
                self.queue.push(Event::Stopping(StopNotice { reason: stop.reason(), grace_ms: stop.grace_ms }));
            }
            Step::Watched(true) => self.queue.push(Event::Watched),
            Step::SaveAndLoad(true) => return self.reload(),
            Step::Watched(false) | Step::SaveAndLoad(false) => {}
            Step::Ticks(count) => return self.ticks(*count),
            Step::AdvanceMs(ms) => return self.advance(*ms),
        }
        self.settle()
    }

    fn join(&mut self, seat: u32) -> Result<(), String> {
        let matched = self.init.players.iter().find(|player| player.seat == seat);
        let player = matched.cloned().unwrap_or_else(|| newcomer(seat));
        let admitted = self.instance.admit(&player);
        let log = self.instance.take_log();
        self.note_log("admit", log);
        match admitted {
            Ok(Ok(())) => {
                self.inside.insert(seat);
                self.queue.push(Event::Joined(player));
                self.settle()
            }
            Ok(Err(refusal)) => {
                self.note(format!("not admitted: {refusal}"));
                Ok(())
            }
            Err(failure) => {
                self.fail(failure);
                Ok(())
            }
        }
    }

    fn left(&mut self, seat: u32, reason: scenehost_engine::LeaveReason) {
        self.inside.remove(&seat);
        self.queue.push(Event::Left(Departure { seat, reason }));
    }

    /// At tick rate 0 what has happened is a step at once.
    fn settle(&mut self) -> Result<(), String> {
        if self.init.tick_rate_hz == 0 { self.call() } else { Ok(()) }
    }

    fn ticks(&mut self, count: u32) -> Result<(), String> {
        if self.init.tick_rate_hz == 0 {
            return Err("this game does not tick: set tick_rate_hz, or let time pass with advance_ms".to_owned());
        }
        (0..count).try_for_each(|_| self.one_tick())
    }

    /// The time of the next slot of a ticking game's grid; `None` if it does not tick.
    fn slot_ms(&self) -> Option<u64> {
        ((self.tick + self.slept) * 1_000).checked_div(u64::from(self.init.tick_rate_hz))
    }

    fn one_tick(&mut self) -> Result<(), String> {
        self.now_ms = self.slot_ms().unwrap_or(self.now_ms);
        let timer_due = self.timers.first().is_some_and(|&(due_ms, _)| due_ms <= self.now_ms);
        if self.inside.is_empty() && self.queue.is_empty() && !timer_due {
            self.slept += 1;
            return Ok(());
        }
        self.call()
    }

    fn advance(&mut self, ms: u64) -> Result<(), String> {
        if let Some(slot_ms) = self.slot_ms() {
            let until_ms = slot_ms + ms;
            while self.slot_ms() <= Some(until_ms) && !self.ended && self.failed.is_none() {
                self.one_tick()?;
            }
            return Ok(());
        }
        let until_ms = self.now_ms + ms;
        while let Some(&(due_ms, _)) = self.timers.first()
            && due_ms <= until_ms
            && !self.ended
            && self.failed.is_none()
        {
            self.now_ms = self.now_ms.max(due_ms);
            self.call()?;
        }
        self.now_ms = until_ms;
        Ok(())
    }

    /// One step of the component, with the timers that are due before everything else.
    fn call(&mut self) -> Result<(), String> {
        if self.ended || self.failed.is_some() {
            return Ok(());
        }
        if self.tick + self.slept >= STEPS_MAX {
            return Err(format!("the script makes more than {STEPS_MAX} steps: play less"));
        }
        if self.mode == Mode::FromSnapshots {
            self.reload()?;
        }
        let mut events = Vec::new();
        while let Some(&(due_ms, id)) = self.timers.first()
            && due_ms <= self.now_ms
        {
            self.timers.pop_first();
            events.push(Event::Timer(id));
        }
        events.append(&mut self.queue);
        let of_tick_ms = (self.tick * 1_000).checked_div(u64::from(self.init.tick_rate_hz));
        let elapsed_ms = of_tick_ms.unwrap_or(self.now_ms);
        let result = self.instance.step(Moment { tick: self.tick, elapsed_ms }, &events);
        let log = self.instance.take_log();
        self.note_log(&format!("#{}", self.tick), log);
        match result {
            Ok(commands) => commands.into_iter().for_each(|command| self.command(command)),
            Err(failure) => self.fail(failure),
        }
        self.tick += 1;
        Ok(())
    }

    /// The game goes on from its snapshot. What it logs meanwhile is no part of what the script gave.
    fn reload(&mut self) -> Result<(), String> {
        let saved = self.instance.save().map_err(|failure| format!("the game fails while it is saved: {failure}"))?;
        let saved = saved.map_err(|text| format!("the game cannot be saved: {text}"))?;
        let loaded = Instance::new(self.plugin, self.limits).and_then(|mut instance| {
            instance.load(self.init, &saved)?;
            instance.take_log();
            Ok(instance)
        });
        self.instance = loaded.map_err(|failure| format!("the game cannot be loaded from its snapshot: {failure}"))?;
        Ok(())
    }

    fn command(&mut self, command: Command) {
        if self.ended {
            return;
        }
        match &command {
            Command::Send(send) => self.deliver(&send.to, &send.body),
            Command::Timer(alarm) => {
                self.timers.retain(|&(_, id)| id != alarm.id);
                if self.timers.len() >= self.limits.timers_max as usize {
                    return self.fail(Failure::TooManyTimers { limit: self.limits.timers_max });
                }
                self.timers.insert((self.now_ms + u64::from(alarm.after_ms), alarm.id));
            }
            Command::CancelTimer(id) => self.timers.retain(|&(_, set)| set != *id),
            Command::Finish(_) => self.ended = true,
            _ => {}
        }
        let text = words::command(&command);
        self.note(format!("#{} {text}", self.tick));
    }

    /// Who of those inside gets a message.
    fn deliver(&mut self, to: &Target, body: &[u8]) {
        let is_meant = |seat: &&u32| match to {
            Target::One(one) => *seat == one,
            Target::Many(many) => many.contains(seat),
            Target::All => true,
            Target::AllBut(one) => *seat != one,
        };
        for seat in self.inside.iter().filter(is_meant) {
            self.inboxes.entry(*seat).or_default().push(body.to_vec());
        }
    }

    fn expect(&mut self, expect: &Expect) -> Result<(), String> {
        if let Some(kind) = &expect.failed {
            let is = self.failed.as_ref().map(Failure::kind);
            if is != Some(kind) {
                return Err(format!("expected a failure of the kind {kind}, and it is {}", is.unwrap_or("none")));
            }
        }
        if let Some(ended) = expect.ended
            && ended != self.ended
        {
            return Err(format!("expected that the game has {}ended", if ended { "" } else { "not " }));
        }
        let Some(seat) = expect.to else { return Ok(()) };
        let got = self.inboxes.remove(&seat).unwrap_or_default();
        let fits = |body: &Vec<u8>| {
            let json_fits = expect
                .json
                .as_ref()
                .is_none_or(|wanted| serde_json::from_slice::<Value>(body).is_ok_and(|value| has(&value, wanted)));
            json_fits && expect.text.as_ref().is_none_or(|text| body == text.as_bytes())
        };
        if got.iter().any(fits) {
            return Ok(());
        }
        let last: Vec<String> = got.iter().rev().take(5).rev().map(|body| cut(body::show(body))).collect();
        Err(format!("seat {seat} got no such message. It got {}, at last:\n{}", got.len(), last.join("\n")))
    }

    fn fail(&mut self, failure: Failure) {
        self.note(format!("#{} failed ({}): {failure}", self.tick, failure.kind()));
        self.failed = Some(failure);
    }

    fn note_log(&mut self, when: &str, log: Option<Log>) {
        let Some(log) = log else { return };
        for line in log.lines {
            self.note(format!("{when} log {}: {}", words::level(line.level), line.text));
        }
        if log.dropped > 0 {
            self.note(format!("{when} log: {} lines past the limit were dropped", log.dropped));
        }
    }

    fn note(&mut self, line: String) {
        self.gave.push(cut(line));
    }
}

fn cut(line: String) -> String {
    match line.char_indices().nth(LINE_CHARS_MAX) {
        Some((end, _)) => format!("{} … ({} bytes)", &line[..end], line.len()),
        None => line,
    }
}
