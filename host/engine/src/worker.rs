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
//!
//! Calls of scenes that are slow are given to the owner as an [`Aside`], which another thread can make meanwhile. Until
//! [`Worker::back`] such a scene is away: nothing can be done with it but to remove it. Where too many such calls wait
//! already, the ticks of slow scenes come later, like all under overload.

mod aside;
mod life;
mod outcome;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::Duration,
};

use crate::{
    bindings::{Event, Incoming, Player},
    failure::Failure,
    journal::{Journaled, Recorder},
    log::Log,
    plugin::Plugin,
    prefetch::prefetch,
    scene::{Admitted, Due, Kept, Scene, Snapshot, Timed},
    slow::{self, GroupRecord},
    usage::{Group, GroupUsage, StepUse, Usage},
};

pub use aside::Aside;
pub use outcome::{CallError, CreateError, DeliverError, NotTaken, RecoverError, Recovered, Sink, Stepped};

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
    /// The number of the call for which the scene is away; 0: it is not.
    away: u64,
}

/// The scenes of a group together.
#[derive(Default)]
struct GroupState {
    /// What they have used since its owner asked last.
    usage: GroupUsage,
    record: GroupRecord,
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
    groups: Vec<GroupState>,
    /// What the owner's thread had worked when this run began, and what its steps have taken since.
    run_worked: Option<Duration>,
    run_took: Duration,
    /// How many calls were given away.
    asides: u64,
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
            groups: vec![GroupState::default()],
            run_worked: None,
            run_took: Duration::ZERO,
            asides: 0,
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
        self.places[index as usize].scene.as_deref().map(|scene| scene.instance.plugin())
    }

    /// Puts a scene into a group: what it uses from now on counts there, and so does the memory that it has.
    pub fn set_group(&mut self, key: SceneKey, group: Group) {
        let Some(&index) = self.by_key.get(&key) else { return };
        let Some(scene) = self.places[index as usize].scene.as_deref_mut() else { return };
        let before = std::mem::replace(&mut scene.group, group).0 as usize;
        let memory_bytes = scene.instance.memory_bytes();
        scene.usage.has(0, &mut self.groups[before].usage);
        let now = group.0 as usize;
        if self.groups.len() <= now {
            self.groups.resize_with(now + 1, GroupState::default);
        }
        scene.usage.has(memory_bytes, &mut self.groups[now].usage);
    }

    fn group(&mut self, Group(group): Group) -> &mut GroupState {
        if self.groups.len() <= group as usize {
            self.groups.resize_with(group as usize + 1, GroupState::default);
        }
        &mut self.groups[group as usize]
    }

    /// Nothing is held any more against the scenes of a group, which is another one from now on.
    pub fn reset_group(&mut self, group: Group) {
        if let Some(state) = self.groups.get_mut(group.0 as usize) {
            *state = GroupState::default();
        }
    }

    /// What the scenes of a group have used since this was asked last.
    pub fn take_used(&mut self, group: Group) -> GroupUsage {
        self.groups.get_mut(group.0 as usize).map(|state| std::mem::take(&mut state.usage)).unwrap_or_default()
    }

    /// What a scene has used since it began here.
    pub fn usage(&self, key: SceneKey) -> Option<Usage> {
        let index = *self.by_key.get(&key)?;
        self.places[index as usize].scene.as_deref().map(|scene| scene.usage)
    }

    /// The messages that wait for a scene's next step, in their order.
    pub fn waiting(&self, key: SceneKey) -> impl Iterator<Item = &Incoming> {
        let scene = self.by_key.get(&key).and_then(|&index| self.places[index as usize].scene.as_deref());
        scene.into_iter().flat_map(Scene::waiting)
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
            self.count(key, |scene, group| scene.usage.logged(log.text_bytes(), group));
            sink.logged(key, log);
        }
        if !self.journal.is_empty() {
            sink.journaled(key, Journaled::Added(&self.journal));
            self.journal.clear();
            self.journal.shrink_to(JOURNAL_BYTES_KEPT);
        }
    }

    /// What a scene has used besides its steps, if it is still there.
    fn count(&mut self, key: SceneKey, count: impl FnOnce(&mut Scene, &mut GroupUsage)) {
        let Some(&index) = self.by_key.get(&key) else { return };
        if let Some(scene) = self.places[index as usize].scene.as_deref_mut() {
            let group = scene.group.0 as usize;
            count(scene, &mut self.groups[group].usage);
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
        clock: impl Fn() -> Duration,
        sink: &mut impl Sink,
    ) -> Result<Result<(), String>, CallError> {
        let index = *self.by_key.get(&key).ok_or(CallError::NoScene)?;
        let scene = self.places[index as usize].scene.as_deref_mut().ok_or(CallError::NoScene)?;
        if scene.finished {
            return Err(CallError::Finished);
        }
        let meter = || sink.worked().unwrap_or_else(&clock);
        let admitted = scene.admit(player, meter, &mut self.journal);
        Ok(self.admitted(index, key, admitted, sink)?)
    }

    fn admitted(
        &mut self,
        place: u32,
        key: SceneKey,
        Admitted { result, kept, log, took }: Admitted,
        sink: &mut impl Sink,
    ) -> Result<Result<(), String>, Failure> {
        if let Some(scene) = self.places[place as usize].scene.as_deref_mut() {
            scene.record.called(took, &mut self.groups[scene.group.0 as usize].record);
        }
        self.tell_kept(key, kept, sink);
        self.pass_on(key, log, sink);
        if result.is_err() {
            self.remove(key);
        }
        result
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
        (self.run_worked, self.run_took) = (sink.worked(), Duration::ZERO);
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
        if scene.record.is_slow() {
            let due = Due { at_ns: entry.due_ns, horizon_ns };
            return self.step_aside(entry.place, key, due, clock, sink);
        }
        let (due, begun) = (Due { at_ns: entry.due_ns, horizon_ns }, clock());
        let step = scene.timed_step(due, begun, begun, clock, &mut self.journal);
        let worked = self.worked(step.took, sink);
        if self.stepped(entry.place, key, entry.due_ns, step, worked, sink) {
            let scene = self.places[entry.place as usize].scene.as_deref_mut();
            if let Some(snapshot) = scene.and_then(|scene| scene.snapshot(&mut self.journal)) {
                self.snapshot(entry.place, key, snapshot, sink);
            }
        }
    }

    /// How much of a step of this run was work, at most; looked at only if it was long.
    fn worked(&mut self, took: Duration, sink: &impl Sink) -> Duration {
        let before = self.run_took;
        self.run_took += took;
        if !slow::is_slow(took) {
            return took;
        }
        let (Some(then), Some(now)) = (self.run_worked, sink.worked()) else { return took };
        now.saturating_sub(then).saturating_sub(before).min(took)
    }

    /// A step was made, which was so much work. Whether the scene goes on.
    fn stepped(
        &mut self,
        place: u32,
        key: SceneKey,
        due_at_ns: u64,
        step: Timed,
        worked: Duration,
        sink: &mut impl Sink,
    ) -> bool {
        let Timed { begun, took, made, log } = step;
        let Some(scene) = self.places[place as usize].scene.as_deref_mut() else { return false };
        let (next_due_ns, memory_bytes) = (scene.due_ns, scene.instance.memory_bytes());
        let used = StepUse { took, memory_bytes, messages_in: made.messages_in, bytes_in: made.bytes_in };
        let commands = made.commands.as_ref().map_or(&[][..], Vec::as_slice);
        let group = &mut self.groups[scene.group.0 as usize];
        scene.usage.stepped(&used, commands, &mut group.usage);
        scene.record.stepped(worked, &mut group.record);
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
                    self.schedule(place, due_ns);
                }
                let late_by = begun.saturating_sub(Duration::from_nanos(due_at_ns));
                sink.stepped(key, Stepped { tick: made.at.tick, commands, late_by, took, memory_bytes });
                true
            }
            Err(failure) => {
                self.fail(key, failure, sink);
                false
            }
        }
    }

    fn fail(&mut self, key: SceneKey, failure: Failure, sink: &mut impl Sink) {
        let failed = self.take(key);
        self.failed.extend(failed);
        sink.failed(key, failure);
    }

    /// A scene's whole state was asked for, to be put into its journal.
    fn snapshot(&mut self, place: u32, key: SceneKey, snapshot: Snapshot, sink: &mut impl Sink) {
        let Snapshot { result, head, kept, log } = snapshot;
        self.pass_on(key, log, sink);
        let state = match result {
            Ok(state) => state,
            Err(failure) => return self.fail(key, failure, sink),
        };
        let Some(scene) = self.places[place as usize].scene.as_deref_mut() else { return };
        if let Ok(state) = &state {
            scene.usage.saved(state.len(), &mut self.groups[scene.group.0 as usize].usage);
        }
        let Some(recorder) = scene.recorder() else { return };
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
