//! One scene of a worker: its instance, its inbox, its timers, where its players are, and its journal.
//!
//! The order of a step's events: first the timers that are due, by (due time, id); then everything delivered since the
//! last step, in the order of its delivery.

use std::{borrow::Cow, time::Duration};

use crate::{
    bindings::{Command, Event, Incoming, Init, Moment, Player},
    failure::Failure,
    instance::Instance,
    journal::{self, During, JournalSpec, Recorder},
    limits::Limits,
    log::Log,
    pace::Pace,
    plugin::Plugin,
    presence::Presence,
    slow::Record,
    swap::SwapError,
    timers::Timers,
    usage::{Group, GroupUsage, Usage},
};

/// What a game says to a player who would enter.
pub type Answer = Result<(), String>;

pub const TICK_RATE_HZ_MAX: u32 = 120;
/// Room for control events that messages cannot take: joined, dropped, resumed, left, saved, stopping.
pub const CONTROL_EVENTS_MAX: u32 = 1_024;
/// A larger inbox is given back after its step.
const INBOX_EVENTS_KEPT: usize = 32;

/// How a scene is made and run.
#[derive(Clone, Debug)]
pub struct SceneSpec {
    pub init: Init,
    pub limits: Limits,
    /// Steps on with nobody inside, instead of sleeping.
    pub tick_when_empty: bool,
    /// Messages and signals that may wait for the next step.
    pub inbox_events_max: u32,
    /// The bytes of those.
    pub inbox_bytes_max: usize,
    /// How its journal is kept, if it has one.
    pub journal: Option<JournalSpec>,
    /// With which others it is counted, and judged.
    pub group: Group,
}

impl SceneSpec {
    /// The usual limits.
    pub fn new(init: Init) -> SceneSpec {
        SceneSpec {
            init,
            limits: Limits::default(),
            tick_when_empty: false,
            inbox_events_max: 1_024,
            inbox_bytes_max: 256 << 10,
            journal: None,
            group: Group::default(),
        }
    }
}

pub struct InboxFull;

pub struct Scene {
    pub instance: Instance,
    /// The instance that [`Scene::instance`] has taken the place of, until that has made a step.
    before: Option<Box<Instance>>,
    init: Box<Init>,
    pace: Pace,
    inbox: Inbox,
    timers: Timers,
    /// Where players are who were inside.
    seats: Vec<(u32, Presence)>,
    tick_when_empty: bool,
    pub finished: bool,
    /// When the next step is due; `None` while nothing but an event can cause one.
    pub due_ns: Option<u64>,
    recorder: Option<Box<Recorder>>,
    pub usage: Usage,
    /// With which others it is counted.
    pub group: Group,
    /// Whether others have to be kept from waiting for it.
    pub record: Record,
}

/// What a step has come to.
pub struct Made {
    pub at: Moment,
    /// What it was given of users.
    pub messages_in: u32,
    pub bytes_in: usize,
    /// Timers are set and cleared; these are the other commands.
    pub commands: Result<Vec<Command>, Failure>,
    /// Whether another version of the game has made its first step, or why it is not used.
    pub swapped: Option<Swapped>,
}

/// When a step is due, and until when the next one is not.
#[derive(Clone, Copy)]
pub struct Due {
    pub at_ns: u64,
    pub horizon_ns: u64,
}

/// A step with what it took.
pub struct Timed {
    pub begun: Duration,
    pub took: Duration,
    pub made: Made,
    pub log: Option<Log>,
}

/// What the game has said of a player who wants to enter.
pub struct Admitted {
    pub result: Result<Answer, Failure>,
    /// Why another version of the game is not used, if that failed when asked.
    pub kept: Option<Kept>,
    pub log: Option<Log>,
    pub took: Duration,
}

/// A scene's whole state for its journal.
pub struct Snapshot {
    pub result: Result<Result<Vec<u8>, String>, Failure>,
    pub head: Vec<u8>,
    pub kept: journal::Kept,
    pub log: Option<Log>,
}

/// Whether another version of the game is used from now on.
pub type Swapped = Result<(), Kept>;

/// Why the version before stays.
pub struct Kept {
    pub reason: String,
    /// What the other one has logged.
    pub log: Option<Log>,
}

impl Scene {
    pub fn new(instance: Instance, spec: &SceneSpec, now_ns: u64) -> Scene {
        let pace = Pace::new(spec.init.tick_rate_hz, now_ns);
        let ticks_now = spec.tick_when_empty && spec.init.tick_rate_hz > 0;
        let recorder = spec.journal.clone().map(|journal| Recorder::new(journal, spec.init.tick_rate_hz, 0, 0));
        Scene {
            instance,
            before: None,
            init: Box::new(spec.init.clone()),
            due_ns: ticks_now.then(|| pace.due_awake_ns(now_ns)),
            pace,
            inbox: Inbox::new(spec),
            timers: Timers::new(spec.limits.timers_max),
            seats: Vec::new(),
            tick_when_empty: spec.tick_when_empty,
            finished: false,
            recorder: recorder.map(Box::new),
            usage: Usage::default(),
            group: spec.group,
            record: Record::default(),
        }
    }

    /// A scene that goes on where a journal ends.
    pub fn going_on(instance: Instance, spec: &SceneSpec, kept: journal::Kept, chain: u64, now_ns: u64) -> Scene {
        let tick_rate_hz = spec.init.tick_rate_hz;
        let pace = Pace::going_on(tick_rate_hz, now_ns, &kept);
        let record = |journal| Box::new(Recorder::new(journal, tick_rate_hz, chain, kept.slept_slots));
        let recorder = spec.journal.clone().map(record);
        let timers = Timers::restored(kept.timers, spec.limits.timers_max);
        let stays_awake = tick_rate_hz > 0 && (spec.tick_when_empty || is_anyone_inside(&kept.seats));
        let due_ns = match (stays_awake, timers.first_due_ms()) {
            (true, _) => Some(pace.due_awake_ns(now_ns)),
            (false, timer_ms) => timer_ms.map(|timer_ms| pace.due_timer_ns(timer_ms, now_ns)),
        };
        Scene { seats: kept.seats, due_ns, pace, timers, recorder, ..Scene::new(instance, spec, now_ns) }
    }

    /// What its journal begins with, if it has one.
    pub fn journal_head(&self) -> Option<Vec<u8>> {
        let (digest, limits) = (self.instance.plugin().digest(), self.instance.limits());
        self.recorder.as_ref().map(|it| it.head(digest, limits, self.tick_when_empty, &self.init))
    }

    pub fn recorder(&mut self) -> Option<&mut Recorder> {
        self.recorder.as_deref_mut()
    }

    /// Nothing more happens in this session.
    pub fn park(&mut self) {
        self.finished = true;
        self.due_ns = None;
        self.inbox.clear();
        self.inbox.give_back();
        self.timers.clear();
    }

    /// Takes an event for the next step and sees to it that there is one.
    pub fn deliver(&mut self, event: Event, now_ns: u64) -> Result<(), InboxFull> {
        Presence::note(&mut self.seats, self.inbox.push(event)?);
        let due_ns = self.pace.due_awake_ns(now_ns);
        if self.due_ns.is_none_or(|scheduled_ns| due_ns < scheduled_ns) {
            self.due_ns = Some(due_ns);
        }
        Ok(())
    }

    /// Runs the step that was due at `due_ns` and finds out when the next one is. What belongs into its journal is put
    /// behind `journal`.
    fn step(&mut self, due_ns: u64, now_ns: u64, horizon_ns: u64, journal: &mut Vec<u8>) -> Made {
        let at = self.pace.begin(due_ns, now_ns);
        let timer_now_ms = self.pace.timer_now_ms();
        if self.timers.first_due_ms().is_some_and(|due_ms| due_ms <= timer_now_ms) {
            self.inbox.events.splice(..0, self.timers.take_due(timer_now_ms).map(Event::Timer));
        }
        let (result, swapped) = self.call_step(at);
        self.record(at, &result, &swapped, journal);
        let (messages_in, bytes_in) = (self.inbox.traffic, self.inbox.traffic_bytes);
        self.inbox.clear();
        let commands = result.and_then(|mut commands| {
            self.keep_timers(&mut commands, timer_now_ms)?;
            self.due_ns = self.next_due_ns(horizon_ns);
            Ok(commands)
        });
        Made { at, messages_in, bytes_in, commands, swapped }
    }

    /// A step that begins now. What it takes is the difference of `metered` and what `meter` says then.
    pub fn timed_step(
        &mut self,
        due: Due,
        begun: Duration,
        metered: Duration,
        meter: impl Fn() -> Duration,
        journal: &mut Vec<u8>,
    ) -> Timed {
        let made = self.step(due.at_ns, begun.as_nanos() as u64, due.horizon_ns, journal);
        let took = meter().saturating_sub(metered);
        Timed { begun, took, made, log: self.instance.take_log() }
    }

    /// If another version of the game fails in its first step, the one before makes it.
    fn call_step(&mut self, at: Moment) -> (Result<Vec<Command>, Failure>, Option<Swapped>) {
        let result = self.instance.step(at, &self.inbox.events);
        match (self.before.take(), result) {
            (None, result) => (result, None),
            (Some(_), Ok(commands)) => (Ok(commands), Some(Ok(()))),
            (Some(before), Err(failure)) => {
                let kept = self.go_back(*before, &failure);
                (self.instance.step(at, &self.inbox.events), Some(Err(kept)))
            }
        }
    }

    fn go_back(&mut self, before: Instance, failure: &Failure) -> Kept {
        let log = self.instance.take_log();
        self.instance = before;
        Kept { reason: failure.to_string(), log }
    }

    fn record(
        &mut self,
        at: Moment,
        result: &Result<Vec<Command>, Failure>,
        swapped: &Option<Swapped>,
        journal: &mut Vec<u8>,
    ) {
        let Some(recorder) = &mut self.recorder else { return };
        if let Some(Err(kept)) = swapped {
            recorder.swapped_back(&kept.reason, journal);
        }
        let (slept_slots, events) = (self.pace.slept_slots(), &self.inbox.events);
        match result {
            Ok(commands) => recorder.stepped(at, slept_slots, events, commands, journal),
            Err(failure) => {
                let during = During::Step(journal::step(at, slept_slots, events));
                recorder.failed(during, failure, journal);
            }
        }
    }

    /// Asks the game whether a player may enter. What that takes is read off `meter`.
    pub fn admit(&mut self, player: &Player, meter: impl Fn() -> Duration, journal: &mut Vec<u8>) -> Admitted {
        let metered = meter();
        let mut result = self.instance.admit(player);
        let mut kept = None;
        if let Err(failure) = &result
            && let Some(before) = self.before.take()
        {
            let back = self.go_back(*before, failure);
            if let Some(recorder) = &mut self.recorder {
                recorder.swapped_back(&back.reason, journal);
            }
            kept = Some(back);
            result = self.instance.admit(player);
        }
        match (&mut self.recorder, &result) {
            (Some(recorder), Ok(answer)) => recorder.admitted(player, answer, journal),
            (Some(recorder), Err(failure)) => recorder.failed(During::Admit(Cow::Borrowed(player)), failure, journal),
            (None, _) => {}
        }
        Admitted { result, kept, log: self.instance.take_log(), took: meter().saturating_sub(metered) }
    }

    /// Its whole state, if its journal is to have that now.
    pub fn snapshot(&mut self, journal: &mut Vec<u8>) -> Option<Snapshot> {
        let recorder = self.recorder.as_mut().filter(|recorder| !self.finished && recorder.wants_snapshot())?;
        recorder.flush(journal);
        let result = self.save(journal);
        let head = self.journal_head().unwrap_or_default();
        Some(Snapshot { result, head, kept: self.keep(), log: self.instance.take_log() })
    }

    /// The scene's whole state as bytes. The journal is told of it by the caller, who knows what it is for.
    fn save(&mut self, journal: &mut Vec<u8>) -> Result<Result<Vec<u8>, String>, Failure> {
        let result = self.instance.save();
        if let (Some(recorder), Err(failure)) = (&mut self.recorder, &result) {
            recorder.failed(During::Save, failure, journal);
        }
        result
    }

    /// Goes on with another version of the game. That one before is there until this has made a step.
    pub fn swap(
        &mut self,
        plugin: &Plugin,
        limits: Limits,
        group: &mut GroupUsage,
        journal: &mut Vec<u8>,
    ) -> Result<(), SwapError> {
        let next = match self.save(journal)? {
            Ok(state) => {
                self.usage.saved(state.len(), group);
                self.loaded(plugin, limits, &state)
            }
            Err(text) => Err(format!("the running version cannot be saved: {text}")),
        };
        match next {
            Ok(next) => {
                if let Some(recorder) = &mut self.recorder {
                    recorder.swapped(plugin.digest(), *next.limits(), journal);
                }
                let older = std::mem::replace(&mut self.instance, next);
                self.before.get_or_insert_with(|| Box::new(older));
                Ok(())
            }
            Err(reason) => {
                if let Some(recorder) = &mut self.recorder {
                    recorder.not_swapped(&reason, journal);
                }
                Err(SwapError::Kept { reason })
            }
        }
    }

    fn loaded(&self, plugin: &Plugin, limits: Limits, state: &[u8]) -> Result<Instance, String> {
        let mut next = Instance::new(plugin, limits).map_err(|failure| failure.to_string())?;
        next.load(&self.init, state).map_err(|failure| format!("the new version cannot go on from it: {failure}"))?;
        Ok(next)
    }

    /// Messages that wait for the next step.
    pub fn waiting(&self) -> impl Iterator<Item = &Incoming> {
        self.inbox.events.iter().filter_map(|event| match event {
            Event::Message(message) => Some(message),
            _ => None,
        })
    }

    /// The host's side of its state.
    pub fn keep(&self) -> journal::Kept {
        self.pace.keep(&self.timers, &self.seats, self.finished)
    }

    fn next_due_ns(&mut self, horizon_ns: u64) -> Option<u64> {
        if self.finished {
            return None;
        }
        if self.tick_when_empty || is_anyone_inside(&self.seats) {
            let next_slot_ns = self.pace.end_awake(horizon_ns);
            if next_slot_ns.is_some() {
                return next_slot_ns;
            }
        } else {
            self.pace.end_asleep();
            self.inbox.give_back();
        }
        let timer_ms = self.timers.first_due_ms()?;
        Some(self.pace.due_timer_ns(timer_ms, horizon_ns))
    }

    /// Takes the timer commands out, and whatever comes after `finish`.
    fn keep_timers(&mut self, commands: &mut Vec<Command>, timer_now_ms: u64) -> Result<(), Failure> {
        let mut too_many = false;
        commands.retain(|command| match command {
            _ if self.finished => false,
            Command::Timer(alarm) => {
                let due_ms = timer_now_ms + u64::from(alarm.after_ms);
                too_many |= !self.timers.set(alarm.id, due_ms);
                false
            }
            Command::CancelTimer(id) => {
                self.timers.cancel(*id);
                false
            }
            Command::Finish(_) => {
                self.finished = true;
                true
            }
            _ => true,
        });
        if too_many {
            return Err(Failure::TooManyTimers { limit: self.timers.count_max() });
        }
        Ok(())
    }
}

fn is_anyone_inside(seats: &[(u32, Presence)]) -> bool {
    seats.iter().any(|(_, presence)| *presence == Presence::Inside)
}

/// Events for the next step. Messages and signals have a bound that they cannot pass; control events have room of
/// their own.
struct Inbox {
    events: Vec<Event>,
    traffic: u32,
    traffic_bytes: usize,
    control: u32,
    traffic_max: u32,
    traffic_bytes_max: usize,
}

impl Inbox {
    fn new(spec: &SceneSpec) -> Inbox {
        Inbox {
            events: Vec::new(),
            traffic: 0,
            traffic_bytes: 0,
            control: 0,
            traffic_max: spec.inbox_events_max,
            traffic_bytes_max: spec.inbox_bytes_max,
        }
    }

    fn push(&mut self, event: Event) -> Result<&Event, InboxFull> {
        let traffic_bytes = match &event {
            Event::Message(message) => Some(message.body.len()),
            Event::Signal(signal) => Some(signal.name.len() + signal.body.len()),
            Event::Timer(_) => Some(0),
            Event::Joined(_)
            | Event::Dropped(_)
            | Event::Resumed(_)
            | Event::Left(_)
            | Event::Saved(_)
            | Event::Stopping(_)
            | Event::Watched => None,
        };
        match traffic_bytes {
            Some(bytes) => {
                let total_bytes = self.traffic_bytes.saturating_add(bytes);
                if self.traffic >= self.traffic_max || total_bytes > self.traffic_bytes_max {
                    return Err(InboxFull);
                }
                self.traffic += 1;
                self.traffic_bytes = total_bytes;
            }
            None if self.control >= CONTROL_EVENTS_MAX => return Err(InboxFull),
            None => self.control += 1,
        }
        Ok(self.events.push_mut(event))
    }

    fn clear(&mut self) {
        self.traffic = 0;
        self.traffic_bytes = 0;
        self.control = 0;
        if self.events.capacity() > INBOX_EVENTS_KEPT {
            self.give_back();
        } else {
            self.events.clear();
        }
    }

    fn give_back(&mut self) {
        self.events = Vec::new();
    }
}
