//! A worker: the scenes of one core, stepped when they are due.
//!
//! It has no thread and no clock of its own: the owner calls [`Worker::run_due`] at [`Worker::next_due`] and after each
//! [`Worker::deliver`], and says what time it is. All times are since one moment that the owner keeps.
//!
//! Invariant: at most one entry of the heap is live for a scene, the last that was pushed for it; none while it waits
//! for an event. Others are passed over, and swept when they outnumber the scenes.
//!
//! Under overload ticks come later and slow down; no tick is left out and none is made up for in a burst. A scene is
//! stepped at most once a run.

mod aside;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::Duration,
};

use crate::{
    bindings::{Command, Event, Incoming, Player},
    failure::Failure,
    instance::Instance,
    journal::{self, Compare, Ended, Header, Journaled, Observer, Recorder, Replayer},
    limits::Limits,
    log::Log,
    plugin::Plugin,
    prefetch::prefetch,
    scene::{Inbox, Kept, Made, Scene, SceneSpec, TICK_RATE_HZ_MAX},
    swap::SwapError,
    upload::Digest,
};

pub use aside::Aside;
use aside::{Away, LONG};

/// Stale heap entries that are not worth a sweep.
const STALE_ENTRIES_MAX: usize = 1_024;

/// What is kept of a buffer that a large snapshot has gone through.
const JOURNAL_BYTES_KEPT: usize = 64 << 10;

/// Scenes whose memory is asked for together before the first of them is stepped.
const LOOKAHEAD: usize = 16;

/// The owner's name for a scene.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SceneKey(pub u64);

#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// A run also takes what is due within this time, so that scenes that are due one shortly after another share a
    /// wake-up.
    pub quantum: Duration,
    /// Steps in one run. After these the owner gets its turn; [`Worker::next_due`] is then in the past.
    pub steps_per_run_max: u32,
}

impl Default for WorkerOptions {
    fn default() -> WorkerOptions {
        WorkerOptions { quantum: Duration::from_millis(1), steps_per_run_max: 256 }
    }
}

/// What a worker has to say. Calls come in the order of what happened.
pub trait Sink {
    /// A scene was stepped.
    fn stepped(&mut self, key: SceneKey, stepped: Stepped);
    /// What is told of the scene next was in the step of this tick. Only when it has logged something or failed.
    fn in_step(&mut self, _key: SceneKey, _tick: u64) {}
    /// A scene failed in a step and is already removed; its slot is free when the run is over.
    fn failed(&mut self, key: SceneKey, failure: Failure);
    /// A scene logged something, in the call whose outcome follows.
    fn logged(&mut self, key: SceneKey, log: Log);
    /// This belongs into a scene's journal, before the outcome of the call is passed on. Only for scenes that have one.
    fn journaled(&mut self, _key: SceneKey, _part: Journaled<'_>) {}
    /// Another version of the game has made its first step in a scene; or it has failed, for this reason, before it did,
    /// and the version before goes on as if nothing had been.
    fn swapped(&mut self, _key: SceneKey, _result: Result<(), String>) {}
}

/// One step that was made.
#[derive(Debug, PartialEq)]
pub struct Stepped {
    pub tick: u64,
    /// In the game's order. Timers are the worker's own business and not among them; nothing follows a `finish`.
    pub commands: Vec<Command>,
    /// How long after its due time the step began.
    pub late_by: Duration,
    /// How long it ran.
    pub took: Duration,
    /// The scene's linear memory after it.
    pub memory_bytes: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    #[error("there is a scene of this key already")]
    Exists,
    #[error("a tick rate of {tick_rate_hz} Hz is more than {TICK_RATE_HZ_MAX}")]
    TickRate { tick_rate_hz: u32 },
    #[error(transparent)]
    Failed(#[from] Failure),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("there is no scene of this key")]
    NoScene,
    /// The scene has said `finish` and waits to be removed.
    #[error("the scene has finished")]
    Finished,
    /// The scene failed in this call and is already removed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliverError {
    #[error("there is no scene of this key")]
    NoScene,
    /// The scene has said `finish` and waits to be removed.
    #[error("the scene has finished")]
    Finished,
    /// The event was not taken. A message or a signal can be refused to its sender. Control events have room for
    /// [`crate::CONTROL_EVENTS_MAX`] of their own: a scene that has as many waiting has lost track and should be
    /// ended.
    #[error("the scene's inbox is full")]
    InboxFull,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    due_ns: u64,
    place: u32,
    generation: u32,
}

/// Where a scene lives. The generation counts the schedules made for this place, so that an entry tells whether it is
/// the last, and for the scene that lives there now.
#[derive(Default)]
struct Place {
    generation: u32,
    scene: Option<Box<Scene>>,
    /// The scene lives here, and its step is made elsewhere now.
    away: Option<Box<Away>>,
    key: u64,
}

/// When a step was due, when it began, and how long it took.
struct Timing {
    due_ns: u64,
    begun: Duration,
    took: Duration,
}

/// Owns the scenes of one core.
pub struct Worker {
    options: WorkerOptions,
    places: Vec<Place>,
    free: Vec<u32>,
    by_key: HashMap<SceneKey, u32>,
    heap: BinaryHeap<Reverse<Entry>>,
    /// What has failed in this run. It is cleared away behind the last step: that takes as long as many steps, and the
    /// others are due.
    #[expect(clippy::vec_box, reason = "they are boxed already, and moving one is to take no time here")]
    failed: Vec<Box<Scene>>,
    /// What belongs into the journal of the scene at hand.
    journal: Vec<u8>,
    /// Who makes long steps, if there is somebody.
    aside: Option<Aside>,
}

/// A scene that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// What was run again.
    pub report: journal::Report,
    /// Where its players and its timers are.
    pub kept: journal::Kept,
    /// How many bytes of the journal count; behind them it goes on.
    pub journal_bytes: usize,
}

/// Why a scene cannot go on where its journal ends.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    #[error("there is a scene of this key already")]
    Exists,
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// It has failed, was ended, or has said `finish`, as its last command tells.
    #[error("the scene was over already")]
    Over(Box<journal::Kept>),
}

impl Worker {
    pub fn new(options: WorkerOptions) -> Worker {
        Worker {
            options,
            places: Vec::new(),
            free: Vec::new(),
            by_key: HashMap::new(),
            heap: BinaryHeap::new(),
            failed: Vec::new(),
            journal: Vec::new(),
            aside: None,
        }
    }

    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    pub fn contains(&self, key: SceneKey) -> bool {
        self.by_key.contains_key(&key)
    }

    /// What a scene is made of now.
    pub fn plugin(&self, key: SceneKey) -> Option<&Plugin> {
        let index = *self.by_key.get(&key)?;
        let scene = self.places[index as usize].scene.as_deref();
        scene.map(|scene| scene.instance.plugin()).or_else(|| self.plugin_away(key))
    }

    /// Makes a scene and starts it. Nobody is inside, so it sleeps until its first event, unless it ticks when empty.
    ///
    /// # Errors
    ///
    /// When the key is taken, the tick rate is out of range, no slot is free, or the game does not start. Then there
    /// is no scene.
    pub fn create(
        &mut self,
        key: SceneKey,
        plugin: &Plugin,
        spec: &SceneSpec,
        now: Duration,
        sink: &mut impl Sink,
    ) -> Result<(), CreateError> {
        if self.contains(key) {
            return Err(CreateError::Exists);
        }
        let tick_rate_hz = spec.init.tick_rate_hz;
        if tick_rate_hz > TICK_RATE_HZ_MAX {
            return Err(CreateError::TickRate { tick_rate_hz });
        }
        let instance = Instance::new(plugin, spec.limits)?;
        self.begin(key, instance, spec, now, sink)
    }

    /// Begins the next session of a scene: in its instance, if that is of this plugin with these limits and has not
    /// failed, else in a fresh one; always in a fresh one if it has a journal, which has to know all that an instance was
    /// given. Everything of the session before is over, timers and waiting events included.
    ///
    /// # Errors
    ///
    /// As [`Worker::create`]. Then there is no scene any more.
    pub fn restart(
        &mut self,
        key: SceneKey,
        plugin: &Plugin,
        spec: &SceneSpec,
        now: Duration,
        sink: &mut impl Sink,
    ) -> Result<(), CreateError> {
        match self.take(key).map(|scene| scene.instance) {
            Some(instance) if spec.journal.is_none() && instance.is_of(plugin, &spec.limits) => {
                self.begin(key, instance, spec, now, sink)
            }
            other => {
                // Its slot of the pool is free before the fresh one needs one.
                drop(other);
                self.create(key, plugin, spec, now, sink)
            }
        }
    }

    /// A scene does nothing until it begins its next session or is removed. `false`: there is none.
    pub fn park(&mut self, key: SceneKey) -> bool {
        let Some((place, scene)) = self.scene_mut(key) else { return self.park_away(key) };
        scene.park();
        // What is on the heap for it is not live any more.
        self.places[place as usize].generation = self.places[place as usize].generation.wrapping_add(1);
        true
    }

    fn begin(
        &mut self,
        key: SceneKey,
        mut instance: Instance,
        spec: &SceneSpec,
        now: Duration,
        sink: &mut impl Sink,
    ) -> Result<(), CreateError> {
        let started = instance.start(&spec.init);
        if let Some(log) = instance.take_log() {
            sink.logged(key, log);
        }
        started?;
        let scene = Box::new(Scene::new(instance, spec, ns(now)));
        if let Some(head) = scene.journal_head() {
            sink.journaled(key, Journaled::Begun(&head));
        }
        self.put_scheduled(key, scene);
        Ok(())
    }

    fn put_scheduled(&mut self, key: SceneKey, scene: Box<Scene>) {
        let due_ns = scene.due_ns;
        let place = self.put(key, scene);
        if let Some(due_ns) = due_ns {
            self.schedule(place, due_ns);
        }
    }

    /// Makes a scene that goes on where a journal ends, as if it had been here all the time; the time since has not
    /// passed for it. `plugin_of` gives the components of the journal; `spec_of` says how the scene is kept, whose `init`
    /// and limits are the journal's. Who was inside is so still, as far as the game knows: `Dropped` tells it of those who
    /// are not.
    ///
    /// # Errors
    ///
    /// When the key is taken, or the journal cannot be replayed to its end or says that the scene is over.
    pub fn recover(
        &mut self,
        key: SceneKey,
        journal: &[u8],
        plugin_of: impl Fn(&Digest) -> Option<Plugin>,
        spec_of: impl FnOnce(&Header) -> SceneSpec,
        now: Duration,
        observer: &mut impl Observer,
    ) -> Result<Recovered, RecoverError> {
        if self.contains(key) {
            return Err(RecoverError::Exists);
        }
        let mut replayer = Replayer::begin(journal, plugin_of, Compare::Everything, observer)?;
        replayer.run(observer)?;
        let report = replayer.report();
        if replayer.kept.finished || matches!(report.ended, Ended::Failed { .. } | Ended::Ended { .. }) {
            return Err(RecoverError::Over(Box::new(replayer.kept)));
        }
        let journal_bytes = replayer.offset();
        let (header, chain, kept) = (replayer.header, replayer.chain, replayer.kept);
        let (mut instance, limits) = (replayer.instance, replayer.limits);
        instance.hurry(&limits);
        let spec = SceneSpec { init: header.init.clone(), limits, ..spec_of(&header) };
        self.put_scheduled(key, Box::new(Scene::going_on(instance, &spec, kept.clone(), chain, ns(now))));
        Ok(Recovered { report, kept, journal_bytes })
    }

    /// Changes a running scene to another version of its game, between two steps: the state is saved, and loaded by an
    /// instance of the other version. The version before is kept until that one has made its first step, of which
    /// [`Sink::swapped`] tells; should it fail, the one before makes this step and goes on. Users notice nothing of either.
    ///
    /// # Errors
    ///
    /// When there is no such scene or it has finished; when one version cannot save or the other not load, or there is no
    /// slot: the scene stays as it is. When it failed while it was saved it is removed.
    pub fn swap(
        &mut self,
        key: SceneKey,
        plugin: &Plugin,
        limits: Limits,
        sink: &mut impl Sink,
    ) -> Result<(), SwapError> {
        self.bring_back(key, sink);
        let index = *self.by_key.get(&key).ok_or(SwapError::NoScene)?;
        let scene = self.places[index as usize].scene.as_deref_mut().ok_or(SwapError::NoScene)?;
        if scene.finished {
            return Err(SwapError::Finished);
        }
        let result = scene.swap(plugin, limits, &mut self.journal);
        let log = scene.instance.take_log();
        self.pass_on(key, log, sink);
        if matches!(result, Err(SwapError::Failed(_))) {
            self.remove(key);
        }
        result
    }

    /// The messages that wait for a scene's next step, in their order.
    pub fn waiting(&self, key: SceneKey) -> impl Iterator<Item = &Incoming> {
        let place = self.by_key.get(&key).map(|&index| &self.places[index as usize]);
        let here = place.and_then(|place| place.scene.as_deref()).map(Scene::inbox);
        let away = place.and_then(|place| place.away.as_deref()).map(|away| &away.inbox);
        here.or(away).into_iter().flat_map(Inbox::messages)
    }

    /// Puts something of the owner's own into a scene's journal, if it has one.
    pub fn note(&mut self, key: SceneKey, bytes: &[u8], sink: &mut impl Sink) {
        self.write(key, sink, |recorder, journal| recorder.host(bytes, journal));
    }

    /// A scene's journal ends here, and says why.
    pub fn end_journal(&mut self, key: SceneKey, reason: &str, sink: &mut impl Sink) {
        self.write(key, sink, |recorder, journal| recorder.ended(reason, journal));
    }

    fn write(&mut self, key: SceneKey, sink: &mut impl Sink, write: impl FnOnce(&mut Recorder, &mut Vec<u8>)) {
        self.bring_back(key, sink);
        let Some(&index) = self.by_key.get(&key) else { return };
        let scene = self.places[index as usize].scene.as_deref_mut();
        if let Some(recorder) = scene.and_then(Scene::recorder) {
            write(recorder, &mut self.journal);
            self.pass_on(key, None, sink);
        }
    }

    /// What a call has logged, and what belongs into the journal.
    fn pass_on(&mut self, key: SceneKey, log: Option<Log>, sink: &mut impl Sink) {
        if let Some(log) = log {
            sink.logged(key, log);
        }
        if !self.journal.is_empty() {
            sink.journaled(key, Journaled::Added(&self.journal));
            self.journal.clear();
            self.journal.shrink_to(JOURNAL_BYTES_KEPT);
        }
    }

    /// Asks the game whether a player may enter; the inner `Err` is its answer to the player.
    ///
    /// # Errors
    ///
    /// When there is no such scene, it has finished, or it fails in this call.
    pub fn admit(
        &mut self,
        key: SceneKey,
        player: &Player,
        sink: &mut impl Sink,
    ) -> Result<Result<(), String>, CallError> {
        self.bring_back(key, sink);
        let index = *self.by_key.get(&key).ok_or(CallError::NoScene)?;
        let scene = self.places[index as usize].scene.as_deref_mut().ok_or(CallError::NoScene)?;
        if scene.finished {
            return Err(CallError::Finished);
        }
        let (result, kept) = scene.admit(player, &mut self.journal);
        let log = scene.instance.take_log();
        self.tell_kept(key, kept, sink);
        self.pass_on(key, log, sink);
        if result.is_err() {
            self.remove(key);
        }
        Ok(result?)
    }

    fn tell_kept(&self, key: SceneKey, kept: Option<Kept>, sink: &mut impl Sink) {
        if let Some(Kept { reason, log }) = kept {
            if let Some(log) = log {
                sink.logged(key, log);
            }
            sink.swapped(key, Err(reason));
        }
    }

    /// Puts an event into a scene's inbox for its next step, and wakes the scene.
    ///
    /// # Errors
    ///
    /// When there is no such scene, it has finished, or its inbox is full.
    pub fn deliver(&mut self, key: SceneKey, event: Event, now: Duration) -> Result<(), DeliverError> {
        let Some((place, scene)) = self.scene_mut(key) else { return self.deliver_away(key, event) };
        if scene.finished {
            return Err(DeliverError::Finished);
        }
        let due_before_ns = scene.due_ns;
        scene.deliver(event, ns(now)).map_err(|_full| DeliverError::InboxFull)?;
        if let Some(due_ns) = scene.due_ns
            && scene.due_ns != due_before_ns
        {
            self.schedule(place, due_ns);
        }
        Ok(())
    }

    /// Makes the steps that are due, each scene's at most once, and returns how many. `clock` is read around each. Those
    /// that are made aside are told, and count, in the run after.
    pub fn run_due(&mut self, clock: impl Fn() -> Duration, sink: &mut impl Sink) -> u32 {
        let mut steps = self.take_back(sink);
        let Some(Reverse(first)) = self.heap.peek() else {
            return steps;
        };
        let horizon_ns = ns(clock()) + ns(self.options.quantum);
        if first.due_ns > horizon_ns {
            return steps;
        }
        let mut batch = Vec::with_capacity(LOOKAHEAD);
        loop {
            let left = self.options.steps_per_run_max.saturating_sub(steps) as usize;
            self.take_due(horizon_ns, left.min(LOOKAHEAD), &mut batch);
            if batch.is_empty() {
                self.failed.clear();
                return steps;
            }
            self.prefetch(&batch);
            for entry in batch.drain(..) {
                steps += u32::from(self.step(entry, horizon_ns, &clock, sink));
            }
        }
    }

    /// Moves up to `count` entries that are live and due off the heap. They stay live until they are stepped: nothing
    /// else happens in between, and a step reschedules only its own scene, for a time beyond the horizon.
    fn take_due(&mut self, horizon_ns: u64, count: usize, batch: &mut Vec<Entry>) {
        while batch.len() < count
            && let Some(&Reverse(entry)) = self.heap.peek()
            && entry.due_ns <= horizon_ns
        {
            self.heap.pop();
            if self.is_live(entry) {
                batch.push(entry);
            }
        }
    }

    fn prefetch(&self, batch: &[Entry]) {
        let scenes = || batch.iter().filter_map(|entry| self.places[entry.place as usize].scene.as_deref());
        scenes().for_each(|scene| prefetch(scene, 0, 0));
        // Where a store is stands in its scene; those waits overlap.
        scenes().for_each(|scene| scene.instance.prefetch());
    }

    /// Makes a step, or gives it away; whether it was made here.
    fn step(&mut self, entry: Entry, horizon_ns: u64, clock: &impl Fn() -> Duration, sink: &mut impl Sink) -> bool {
        let begun = clock();
        if self.step_aside(entry, horizon_ns, begun) {
            return false;
        }
        let Some(scene) = &mut self.places[entry.place as usize].scene else {
            return false;
        };
        let made = scene.step(entry.due_ns, ns(begun), horizon_ns, &mut self.journal);
        let timing = Timing { due_ns: entry.due_ns, begun, took: clock().saturating_sub(begun) };
        if timing.took >= LONG {
            let digest = scene.instance.plugin().digest();
            self.was_long(digest, begun);
        }
        self.made(entry.place, made, timing, sink);
        true
    }

    /// Tells what a step has come to, and sees to the next one. What belongs into the journal is there already.
    fn made(&mut self, index: u32, made: Made, timing: Timing, sink: &mut impl Sink) {
        let place = &mut self.places[index as usize];
        let key = SceneKey(place.key);
        let Some(scene) = &mut place.scene else {
            return;
        };
        let (next_due_ns, memory_bytes) = (scene.due_ns, scene.instance.memory_bytes());
        let (log, wants_snapshot) = (scene.instance.take_log(), scene.wants_snapshot());
        if log.is_some() || made.commands.is_err() || made.swapped.is_some() {
            sink.in_step(key, made.at.tick);
        }
        match made.swapped {
            Some(Ok(())) => sink.swapped(key, Ok(())),
            Some(Err(kept)) => self.tell_kept(key, Some(kept), sink),
            None => {}
        }
        self.pass_on(key, log, sink);
        match made.commands {
            Ok(commands) => {
                if let Some(due_ns) = next_due_ns {
                    self.schedule(index, due_ns);
                }
                let Timing { due_ns, begun, took } = timing;
                let late_by = begun.saturating_sub(Duration::from_nanos(due_ns));
                sink.stepped(key, Stepped { tick: made.at.tick, commands, late_by, took, memory_bytes });
                if wants_snapshot {
                    self.snapshot(index, key, sink);
                }
            }
            Err(failure) => self.fail(key, failure, sink),
        }
    }

    fn fail(&mut self, key: SceneKey, failure: Failure, sink: &mut impl Sink) {
        let failed = self.take(key);
        self.failed.extend(failed);
        sink.failed(key, failure);
    }

    /// Puts a scene's whole state into its journal.
    fn snapshot(&mut self, place: u32, key: SceneKey, sink: &mut impl Sink) {
        let Some(scene) = &mut self.places[place as usize].scene else { return };
        if let Some(recorder) = scene.recorder() {
            recorder.flush(&mut self.journal);
        }
        let result = scene.save(&mut self.journal);
        let log = scene.instance.take_log();
        let (head, kept) = (scene.journal_head().unwrap_or_default(), scene.keep());
        self.pass_on(key, log, sink);
        let state = match result {
            Ok(state) => state,
            Err(failure) => return self.fail(key, failure, sink),
        };
        let scene = self.places[place as usize].scene.as_deref_mut();
        let Some(recorder) = scene.and_then(Scene::recorder) else { return };
        match state {
            Ok(state) => {
                recorder.snapshot(&state, &kept, &mut self.journal);
                sink.journaled(key, Journaled::Snapshot { head: &head, bytes: &self.journal });
                self.journal.clear();
                self.journal.shrink_to(JOURNAL_BYTES_KEPT);
            }
            Err(text) => {
                recorder.unsaved(&text, &mut self.journal);
                self.pass_on(key, None, sink);
            }
        }
    }

    /// When there is something to do; `None` until the next `create` or `deliver`.
    pub fn next_due(&mut self) -> Option<Duration> {
        while let Some(&Reverse(entry)) = self.heap.peek() {
            if self.is_live(entry) {
                return Some(Duration::from_nanos(entry.due_ns));
            }
            self.heap.pop();
        }
        None
    }

    /// Ends a scene; its slot is free at once. `false` if there was none.
    pub fn remove(&mut self, key: SceneKey) -> bool {
        let is_there = self.contains(key);
        self.take(key);
        is_there
    }

    fn take(&mut self, key: SceneKey) -> Option<Box<Scene>> {
        let index = self.by_key.remove(&key)?;
        let place = &mut self.places[index as usize];
        place.generation = place.generation.wrapping_add(1);
        self.free.push(index);
        place.away = None;
        place.scene.take()
    }

    fn put(&mut self, key: SceneKey, scene: Box<Scene>) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            // The engine's pool ends long before this does.
            u32::try_from(self.places.len() - 1).expect("fewer scenes than 2^32")
        });
        let place = &mut self.places[index as usize];
        place.scene = Some(scene);
        place.key = key.0;
        self.by_key.insert(key, index);
        index
    }

    fn scene_mut(&mut self, key: SceneKey) -> Option<(u32, &mut Scene)> {
        let index = *self.by_key.get(&key)?;
        let scene = self.places[index as usize].scene.as_deref_mut()?;
        Some((index, scene))
    }

    fn is_live(&self, entry: Entry) -> bool {
        is_live(&self.places, entry)
    }

    fn schedule(&mut self, place: u32, due_ns: u64) {
        if self.heap.len() >= 2 * self.by_key.len() + STALE_ENTRIES_MAX {
            let places = &self.places;
            self.heap.retain(|&Reverse(entry)| is_live(places, entry));
        }
        let generation = &mut self.places[place as usize].generation;
        *generation = generation.wrapping_add(1);
        self.heap.push(Reverse(Entry { due_ns, place, generation: *generation }));
    }
}

fn is_live(places: &[Place], entry: Entry) -> bool {
    places[entry.place as usize].generation == entry.generation
}

fn ns(time: Duration) -> u64 {
    time.as_secs() * 1_000_000_000 + u64::from(time.subsec_nanos())
}
