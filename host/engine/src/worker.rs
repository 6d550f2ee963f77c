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

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::Duration,
};

use crate::{
    bindings::{Command, Event, Player},
    failure::Failure,
    instance::Instance,
    log::Log,
    plugin::Plugin,
    prefetch::prefetch,
    scene::{Scene, SceneSpec, TICK_RATE_HZ_MAX},
};

/// Stale heap entries that are not worth a sweep.
const STALE_ENTRIES_MAX: usize = 1_024;

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
    /// A scene failed in a step and is already removed; its slot is free when the run is over.
    fn failed(&mut self, key: SceneKey, failure: Failure);
    /// A scene logged something, in the call whose outcome follows.
    fn logged(&mut self, key: SceneKey, log: Log);
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
    key: u64,
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
    /// failed, else in a fresh one. Everything of the session before is over, timers and waiting events included.
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
            Some(instance) if instance.is_of(plugin, &spec.limits) => self.begin(key, instance, spec, now, sink),
            other => {
                // Its slot of the pool is free before the fresh one needs one.
                drop(other);
                self.create(key, plugin, spec, now, sink)
            }
        }
    }

    /// A scene does nothing until it begins its next session or is removed. `false`: there is none.
    pub fn park(&mut self, key: SceneKey) -> bool {
        let Some((place, scene)) = self.scene_mut(key) else { return false };
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
        let due_ns = scene.due_ns;
        let place = self.put(key, scene);
        if let Some(due_ns) = due_ns {
            self.schedule(place, due_ns);
        }
        Ok(())
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
        self.call(key, sink, |instance| instance.admit(player))
    }

    /// The scene's whole state as bytes.
    ///
    /// # Errors
    ///
    /// When there is no such scene, it has finished, or it fails in this call.
    pub fn save(&mut self, key: SceneKey, sink: &mut impl Sink) -> Result<Vec<u8>, CallError> {
        self.call(key, sink, Instance::save)
    }

    fn call<T>(
        &mut self,
        key: SceneKey,
        sink: &mut impl Sink,
        call: impl FnOnce(&mut Instance) -> Result<T, Failure>,
    ) -> Result<T, CallError> {
        let scene = self.scene_mut(key).ok_or(CallError::NoScene)?.1;
        if scene.finished {
            return Err(CallError::Finished);
        }
        let result = call(&mut scene.instance);
        if let Some(log) = scene.instance.take_log() {
            sink.logged(key, log);
        }
        if result.is_err() {
            self.remove(key);
        }
        Ok(result?)
    }

    /// Puts an event into a scene's inbox for its next step, and wakes the scene.
    ///
    /// # Errors
    ///
    /// When there is no such scene, it has finished, or its inbox is full.
    pub fn deliver(&mut self, key: SceneKey, event: Event, now: Duration) -> Result<(), DeliverError> {
        let (place, scene) = self.scene_mut(key).ok_or(DeliverError::NoScene)?;
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

    /// Makes the steps that are due, each scene's at most once, and returns how many. `clock` is read around each.
    pub fn run_due(&mut self, clock: impl Fn() -> Duration, sink: &mut impl Sink) -> u32 {
        let Some(Reverse(first)) = self.heap.peek() else {
            return 0;
        };
        let horizon_ns = ns(clock()) + ns(self.options.quantum);
        if first.due_ns > horizon_ns {
            return 0;
        }
        let mut steps = 0;
        let mut batch = Vec::with_capacity(LOOKAHEAD);
        loop {
            let left = (self.options.steps_per_run_max - steps) as usize;
            self.take_due(horizon_ns, left.min(LOOKAHEAD), &mut batch);
            if batch.is_empty() {
                self.failed.clear();
                return steps;
            }
            self.prefetch(&batch);
            for entry in batch.drain(..) {
                self.step(entry, horizon_ns, &clock, sink);
                steps += 1;
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

    fn step(&mut self, entry: Entry, horizon_ns: u64, clock: &impl Fn() -> Duration, sink: &mut impl Sink) {
        let place = &mut self.places[entry.place as usize];
        let key = SceneKey(place.key);
        let Some(scene) = &mut place.scene else {
            return;
        };
        let begun = clock();
        let result = scene.step(entry.due_ns, ns(begun), horizon_ns);
        let took = clock().saturating_sub(begun);
        let (next_due_ns, memory_bytes) = (scene.due_ns, scene.instance.memory_bytes());
        if let Some(log) = scene.instance.take_log() {
            sink.logged(key, log);
        }
        match result {
            Ok((moment, commands)) => {
                if let Some(due_ns) = next_due_ns {
                    self.schedule(entry.place, due_ns);
                }
                sink.stepped(
                    key,
                    Stepped {
                        tick: moment.tick,
                        commands,
                        late_by: begun.saturating_sub(Duration::from_nanos(entry.due_ns)),
                        took,
                        memory_bytes,
                    },
                );
            }
            Err(failure) => {
                let failed = self.take(key);
                self.failed.extend(failed);
                sink.failed(key, failure);
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
        self.take(key).is_some()
    }

    fn take(&mut self, key: SceneKey) -> Option<Box<Scene>> {
        let index = self.by_key.remove(&key)?;
        let place = &mut self.places[index as usize];
        place.generation = place.generation.wrapping_add(1);
        self.free.push(index);
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
