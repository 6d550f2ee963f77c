//! One scene of a worker: its instance, its inbox, its timers, and who is inside.
//!
//! The order of a step's events: first the timers that are due, by (due time, id); then everything delivered since the
//! last step, in the order of its delivery.

use crate::{
    bindings::{Command, Event, Init, Moment},
    failure::Failure,
    instance::Instance,
    limits::Limits,
    pace::Pace,
};

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
        }
    }
}

pub struct InboxFull;

pub struct Scene {
    pub instance: Instance,
    pace: Pace,
    inbox: Inbox,
    timers: Timers,
    /// The seats whose players are inside and connected.
    inside: Vec<u32>,
    tick_when_empty: bool,
    pub finished: bool,
    /// When the next step is due; `None` while nothing but an event can cause one.
    pub due_ns: Option<u64>,
}

impl Scene {
    pub fn new(instance: Instance, spec: &SceneSpec, now_ns: u64) -> Scene {
        let pace = Pace::new(spec.init.tick_rate_hz, now_ns);
        let ticks_now = spec.tick_when_empty && spec.init.tick_rate_hz > 0;
        Scene {
            instance,
            due_ns: ticks_now.then(|| pace.due_awake_ns(now_ns)),
            pace,
            inbox: Inbox::new(spec),
            timers: Timers::new(spec.limits.timers_max),
            inside: Vec::new(),
            tick_when_empty: spec.tick_when_empty,
            finished: false,
        }
    }

    /// Nothing more happens in this session.
    pub fn park(&mut self) {
        self.finished = true;
        self.due_ns = None;
        self.inbox.clear();
        self.inbox.give_back();
        self.timers.alarms = Vec::new();
    }

    /// Takes an event for the next step and sees to it that there is one.
    pub fn deliver(&mut self, event: Event, now_ns: u64) -> Result<(), InboxFull> {
        let presence = Presence::of(&event);
        self.inbox.push(event)?;
        match presence {
            Presence::In(seat) if !self.inside.contains(&seat) => self.inside.push(seat),
            Presence::Out(seat) => self.inside.retain(|&inside| inside != seat),
            Presence::In(_) | Presence::Same => {}
        }
        let due_ns = self.pace.due_awake_ns(now_ns);
        if self.due_ns.is_none_or(|scheduled_ns| due_ns < scheduled_ns) {
            self.due_ns = Some(due_ns);
        }
        Ok(())
    }

    /// Runs the step that was due at `due_ns` and finds out when the next one is. Timers are set and cleared; the
    /// other commands are returned.
    pub fn step(&mut self, due_ns: u64, now_ns: u64, horizon_ns: u64) -> Result<(Moment, Vec<Command>), Failure> {
        let moment = self.pace.begin(due_ns, now_ns);
        let timer_now_ms = self.pace.timer_now_ms();
        let timers = self.timers.count_due(timer_now_ms);
        if timers > 0 {
            let due = self.timers.alarms.drain(..timers);
            self.inbox.events.splice(..0, due.map(|(_, id)| Event::Timer(id)));
        }
        let result = self.instance.step(moment, &self.inbox.events);
        self.inbox.clear();
        let mut commands = result?;
        self.keep_timers(&mut commands, timer_now_ms)?;
        self.due_ns = self.next_due_ns(horizon_ns);
        Ok((moment, commands))
    }

    fn next_due_ns(&mut self, horizon_ns: u64) -> Option<u64> {
        if self.finished {
            return None;
        }
        if self.tick_when_empty || !self.inside.is_empty() {
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
            return Err(Failure::TooManyTimers { limit: self.timers.count_max });
        }
        Ok(())
    }
}

enum Presence {
    In(u32),
    Out(u32),
    Same,
}

impl Presence {
    fn of(event: &Event) -> Presence {
        match event {
            Event::Joined(player) => Presence::In(player.seat),
            Event::Resumed(comeback) => Presence::In(comeback.seat),
            Event::Dropped(seat) => Presence::Out(*seat),
            Event::Left(departure) => Presence::Out(departure.seat),
            Event::Message(_)
            | Event::Timer(_)
            | Event::Signal(_)
            | Event::Saved(_)
            | Event::Stopping(_)
            | Event::Watched => Presence::Same,
        }
    }
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

    fn push(&mut self, event: Event) -> Result<(), InboxFull> {
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
        self.events.push(event);
        Ok(())
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

/// The scene's timers by (due time, id).
struct Timers {
    alarms: Vec<(u64, u64)>,
    count_max: u32,
}

impl Timers {
    fn new(count_max: u32) -> Timers {
        Timers { alarms: Vec::new(), count_max }
    }

    /// `false`: there are as many as may be.
    fn set(&mut self, id: u64, due_ms: u64) -> bool {
        self.cancel(id);
        if self.alarms.len() >= self.count_max as usize {
            return false;
        }
        let place = self.alarms.partition_point(|&alarm| alarm < (due_ms, id));
        self.alarms.insert(place, (due_ms, id));
        true
    }

    fn cancel(&mut self, id: u64) {
        self.alarms.retain(|&(_, set)| set != id);
    }

    fn first_due_ms(&self) -> Option<u64> {
        self.alarms.first().map(|&(due_ms, _)| due_ms)
    }

    fn count_due(&self, now_ms: u64) -> usize {
        self.alarms.partition_point(|&(due_ms, _)| due_ms <= now_ms)
    }
}
