//! Steps that are made aside: by a thread of their own, for games that have shown that their steps can take long. The other
//! scenes of the worker do not wait for them, because the system's scheduler divides the core between both threads.
//!
//! A game is one version of a component. It is stepped aside when a step of one of its scenes has taken [`LONG`] or more,
//! until none has for [`REMEMBERED`]. So the neighbours wait for the first long step, and share the core with the next ones,
//! whatever begins the scene anew. An honest game with long steps loses nothing but a change of threads for each.
//!
//! Invariant: a scene is with its worker or in one job, and every job comes back, whatever its step has come to. What the
//! worker tells of a scene keeps its order: whatever else needs a scene that is aside waits for it, for at most the limit of
//! a step; events wait in an inbox with the scene's own limits.

use std::{
    collections::HashMap,
    io,
    sync::mpsc::{Receiver, Sender, channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{DeliverError, Entry, SceneKey, Sink, Timing, Worker, ns};
use crate::{
    bindings::Event,
    plugin::Plugin,
    scene::{Inbox, Made, Scene},
    upload::Digest,
};

/// A tenth of the usual limit of a step, and the distance of two epochs.
pub(super) const LONG: Duration = Duration::from_millis(5);
/// How long a game that had a long step counts as one that may have another.
const REMEMBERED: Duration = Duration::from_secs(600);
/// So many games are remembered; with more, the one whose last long step is longest ago is not any more.
const GAMES_MAX: usize = 256;

/// The thread that makes a worker's long steps.
pub struct Aside {
    /// At most one for each scene of the worker.
    jobs: Option<Sender<Job>>,
    done: Receiver<Done>,
    thread: Option<JoinHandle<()>>,
    next_job: u64,
    /// When the last long step of a game was.
    games: HashMap<Digest, Duration>,
}

/// A step that is to be made.
struct Job {
    id: u64,
    scene: Box<Scene>,
    place: u32,
    due_ns: u64,
    horizon_ns: u64,
    /// When it was given away, by the owner's clock and by this machine's.
    given: Duration,
    since: Instant,
}

/// A step that was made.
struct Done {
    id: u64,
    scene: Box<Scene>,
    place: u32,
    made: Made,
    journal: Vec<u8>,
    timing: Timing,
}

/// What stands in a scene's place while it is away.
pub(super) struct Away {
    job: u64,
    plugin: Plugin,
    pub(super) inbox: Inbox,
    /// Its session has ended meanwhile.
    parked: bool,
}

impl Aside {
    /// Starts the thread, which ends with this. `begin` runs on it first, and `wake` after each step: then
    /// [`Worker::run_due`] has something to tell. For the stack see [`crate::Engine::thread_stack_bytes_min`].
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn spawn(
        name: String,
        stack_bytes: usize,
        begin: impl FnOnce() + Send + 'static,
        wake: impl Fn() + Send + 'static,
    ) -> io::Result<Aside> {
        let (jobs, to_do) = channel::<Job>();
        let (told, done) = channel();
        let thread = std::thread::Builder::new().name(name).stack_size(stack_bytes).spawn(move || {
            begin();
            // Until the worker is gone.
            while let Ok(job) = to_do.recv() {
                if told.send(job.make()).is_err() {
                    return;
                }
                wake();
            }
        })?;
        Ok(Aside { jobs: Some(jobs), done, thread: Some(thread), next_job: 0, games: HashMap::new() })
    }

    fn is_for(&self, digest: Digest, now: Duration) -> bool {
        self.games.get(&digest).is_some_and(|last| now.saturating_sub(*last) < REMEMBERED)
    }

    fn remember(&mut self, digest: Digest, now: Duration) {
        if self.games.len() >= GAMES_MAX && !self.games.contains_key(&digest) {
            let oldest = self.games.iter().min_by_key(|(_, last)| **last).map(|(oldest, _)| *oldest);
            oldest.and_then(|oldest| self.games.remove(&oldest));
        }
        self.games.insert(digest, now);
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It ends behind the step at hand. A panic there would be the host's own, and was told already.
            let _ = thread.join();
        }
    }
}

impl Job {
    fn make(self) -> Done {
        let Job { id, mut scene, place, due_ns, horizon_ns, given, since } = self;
        let begun = given + since.elapsed();
        let (clock, mut journal) = (Instant::now(), Vec::new());
        let made = scene.step(due_ns, ns(begun), horizon_ns, &mut journal);
        let timing = Timing { due_ns, begun, took: clock.elapsed() };
        Done { id, scene, place, made, journal, timing }
    }
}

impl Worker {
    /// The same as [`Worker::new`], with a thread for long steps.
    pub fn with_aside(options: super::WorkerOptions, aside: Aside) -> Worker {
        Worker { aside: Some(aside), ..Worker::new(options) }
    }

    /// A step of this game has taken [`LONG`] or more, here or aside.
    pub(super) fn was_long(&mut self, digest: Digest, now: Duration) {
        if let Some(aside) = &mut self.aside {
            aside.remember(digest, now);
        }
    }

    /// Gives the step of a scene away, if its game is one that had long steps; `false`: it is to be made here.
    pub(super) fn step_aside(&mut self, entry: Entry, horizon_ns: u64, now: Duration) -> bool {
        let Some(aside) = self.aside.as_mut().filter(|aside| !aside.games.is_empty()) else { return false };
        let place = &mut self.places[entry.place as usize];
        let Some(scene) = place.scene.take_if(|scene| aside.is_for(scene.instance.plugin().digest(), now)) else {
            return false;
        };
        let id = aside.next_job;
        aside.next_job += 1;
        let plugin = scene.instance.plugin().clone();
        place.away = Some(Box::new(Away { job: id, plugin, inbox: scene.empty_inbox(), parked: false }));
        let job =
            Job { id, scene, place: entry.place, due_ns: entry.due_ns, horizon_ns, given: now, since: Instant::now() };
        if let Some(Err(lost)) = aside.jobs.as_ref().map(|jobs| jobs.send(job)) {
            // The thread is gone, which takes a fault of the host; then steps are made here.
            self.aside = None;
            place.away = None;
            place.scene = Some(lost.0.scene);
            return false;
        }
        true
    }

    /// What a scene is made of that is away.
    pub(super) fn plugin_away(&self, key: SceneKey) -> Option<&Plugin> {
        let index = *self.by_key.get(&key)?;
        self.places[index as usize].away.as_deref().map(|away| &away.plugin)
    }

    /// The same as [`Worker::park`] and [`Worker::deliver`] for a scene that is away.
    pub(super) fn park_away(&mut self, key: SceneKey) -> bool {
        self.away_mut(key).map(|away| away.parked = true).is_some()
    }

    pub(super) fn deliver_away(&mut self, key: SceneKey, event: Event) -> Result<(), DeliverError> {
        let away = self.away_mut(key).ok_or(DeliverError::NoScene)?;
        if away.parked {
            return Err(DeliverError::Finished);
        }
        away.inbox.push(event).map(drop).map_err(|_full| DeliverError::InboxFull)
    }

    fn away_mut(&mut self, key: SceneKey) -> Option<&mut Away> {
        let index = *self.by_key.get(&key)?;
        self.places[index as usize].away.as_deref_mut()
    }

    /// Takes the scenes back whose steps were made; how many.
    pub(super) fn take_back(&mut self, sink: &mut impl Sink) -> u32 {
        let mut count = 0;
        while let Some(done) = self.aside.as_ref().and_then(|aside| aside.done.try_recv().ok()) {
            self.back(done, sink);
            count += 1;
        }
        count
    }

    /// Waits until a scene is back, if it is away.
    pub(super) fn bring_back(&mut self, key: SceneKey, sink: &mut impl Sink) {
        while self.plugin_away(key).is_some() {
            match self.aside.as_ref().map(|aside| aside.done.recv()) {
                Some(Ok(done)) => self.back(done, sink),
                // The thread is gone, and the scene with it.
                Some(Err(_)) | None => _ = self.remove(key),
            }
        }
    }

    fn back(&mut self, done: Done, sink: &mut impl Sink) {
        let Done { id, mut scene, place: index, made, mut journal, timing } = done;
        if timing.took >= LONG {
            self.was_long(scene.instance.plugin().digest(), timing.begun);
        }
        let place = &mut self.places[index as usize];
        // Whoever was removed meanwhile is gone now; another scene may have the place.
        let Some(away) = place.away.take_if(|away| away.job == id) else { return };
        if made.commands.is_ok() {
            scene.take_in(away.inbox, ns(timing.begun + timing.took));
        }
        if away.parked {
            scene.park();
            place.scene = Some(scene);
            return;
        }
        place.scene = Some(scene);
        std::mem::swap(&mut self.journal, &mut journal);
        self.made(index, made, timing, sink);
    }
}
