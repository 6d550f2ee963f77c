//! Calls that another thread makes, so that no scene waits for a slow one.
//!
//! Invariant: a scene that is away is nowhere else; what comes of its call is told in [`Worker::back`], in the order in
//! which it would have been told if the call had been made here.

use std::time::Duration;

use super::{CallError, CreateError, NotTaken, SceneKey, Sink, Worker};
use crate::{
    bindings::Player,
    instance::Instance,
    log::Log,
    plugin::Plugin,
    scene::{Admitted, Due, Scene, SceneSpec, Snapshot, Timed},
};

/// How much later a step is due for which there was no room.
const POSTPONED_NS: u64 = 5_000_000;

/// One call of a scene, and the scene, which is away until it is given to [`Worker::back`].
pub struct Aside {
    key: SceneKey,
    number: u64,
    call: Call,
    /// What belongs into the scene's journal.
    journal: Vec<u8>,
}

enum Call {
    Begin {
        plugin: Plugin,
        spec: Box<SceneSpec>,
        /// Of the session before.
        older: Option<Instance>,
        begun: Option<Box<Begun>>,
    },
    Step {
        scene: Box<Scene>,
        due: Due,
        stepped: Option<Box<Stepped>>,
    },
    Admit {
        scene: Box<Scene>,
        player: Box<Player>,
        admitted: Option<Admitted>,
    },
}

/// A step, and the snapshot that follows it with what belongs into the journal then.
struct Stepped {
    step: Timed,
    snapshot: Option<(Snapshot, Vec<u8>)>,
}

/// What the beginning of a session has come to.
pub(super) struct Begun {
    pub result: Result<Instance, CreateError>,
    pub log: Option<Log>,
    pub at: Duration,
    pub took: Duration,
}

impl Begun {
    /// Begins a session in the instance of the one before, if it can be used again, or in a fresh one.
    pub fn call(
        older: Option<Instance>,
        plugin: &Plugin,
        spec: &SceneSpec,
        at: Duration,
        metered: Duration,
        meter: impl Fn() -> Duration,
    ) -> Begun {
        let can_be_used = |older: &Instance| spec.journal.is_none() && older.is_of(plugin, &spec.limits);
        // Where it cannot be, its slot of the pool is free before the fresh one needs one.
        let older = older.filter(can_be_used);
        let mut log = None;
        let begin = |mut instance: Instance| {
            let started = instance.start(&spec.init);
            log = instance.take_log();
            started.map(|()| instance)
        };
        let instance = older.map_or_else(|| Instance::new(plugin, spec.limits), Ok);
        let result = instance.and_then(begin).map_err(CreateError::from);
        Begun { result, log, at, took: meter().saturating_sub(metered) }
    }
}

impl Aside {
    /// Which scene it is of.
    pub fn key(&self) -> SceneKey {
        self.key
    }

    /// Makes the call. `clock` is the one of [`Worker::run_due`]; `meter` says how much this thread has worked, which is
    /// what counts as the call's time: others may have the processor meanwhile.
    pub fn run(&mut self, clock: impl Fn() -> Duration, meter: impl Fn() -> Duration) {
        let (at, metered) = (clock(), meter());
        match &mut self.call {
            Call::Begin { plugin, spec, older, begun } => {
                *begun = Some(Box::new(Begun::call(older.take(), plugin, spec, at, metered, meter)));
            }
            Call::Step { scene, due, stepped } => {
                let step = scene.timed_step(*due, at, metered, meter, &mut self.journal);
                let mut journal = Vec::new();
                let snapshot = match &step.made.commands {
                    Ok(_) => scene.snapshot(&mut journal),
                    Err(_) => None,
                };
                *stepped = Some(Box::new(Stepped { step, snapshot: snapshot.map(|snapshot| (snapshot, journal)) }));
            }
            Call::Admit { scene, player, admitted } => {
                *admitted = Some(scene.admit(player, meter, &mut self.journal));
            }
        }
    }
}

impl Worker {
    /// Whether calls of this scene are slow: then [`Worker::admit_aside`] is to be asked.
    pub fn is_slow(&self, key: SceneKey) -> bool {
        let scene = self.by_key.get(&key).and_then(|&index| self.places[index as usize].scene.as_deref());
        scene.is_some_and(|scene| scene.record.is_slow())
    }

    /// Whether it is slow to begin a scene of this specification, or not known yet: then [`Worker::begin_aside`] is to be
    /// asked.
    pub fn begins_slowly(&self, spec: &SceneSpec) -> bool {
        self.groups.get(spec.group.0 as usize).is_none_or(|group| group.record.starts_are_slow())
    }

    /// As [`Worker::restart`], on another thread; [`Sink::created`] tells what has come of it.
    ///
    /// # Errors
    ///
    /// When the tick rate is out of range. Then there is no scene any more.
    pub fn begin_aside(
        &mut self,
        key: SceneKey,
        plugin: &Plugin,
        spec: SceneSpec,
        clock: impl Fn() -> Duration,
        sink: &mut impl Sink,
    ) -> Result<(), CreateError> {
        let older = self.take(key).map(|scene| scene.instance);
        self.check_new(key, &spec)?;
        let place = self.place_for(key);
        let call = Call::Begin { plugin: plugin.clone(), spec: Box::new(spec), older, begun: None };
        self.put_aside(place, key, call, &clock, sink);
        Ok(())
    }

    /// As [`Worker::admit`], on another thread; [`Sink::admitted`] tells what has come of it.
    ///
    /// # Errors
    ///
    /// When there is no such scene, or it has finished.
    pub fn admit_aside(
        &mut self,
        key: SceneKey,
        player: Player,
        clock: impl Fn() -> Duration,
        sink: &mut impl Sink,
    ) -> Result<(), CallError> {
        let place = *self.by_key.get(&key).ok_or(CallError::NoScene)?;
        let here = &mut self.places[place as usize].scene;
        if here.as_ref().ok_or(CallError::NoScene)?.finished {
            return Err(CallError::Finished);
        }
        let scene = here.take().ok_or(CallError::NoScene)?;
        let call = Call::Admit { scene, player: Box::new(player), admitted: None };
        self.put_aside(place, key, call, &clock, sink);
        Ok(())
    }

    pub(super) fn step_aside(
        &mut self,
        place: u32,
        key: SceneKey,
        due: Due,
        clock: &impl Fn() -> Duration,
        sink: &mut impl Sink,
    ) {
        if let Some(scene) = self.places[place as usize].scene.take() {
            self.put_aside(place, key, Call::Step { scene, due, stepped: None }, clock, sink);
        }
    }

    fn put_aside(
        &mut self,
        place: u32,
        key: SceneKey,
        call: Call,
        clock: &impl Fn() -> Duration,
        sink: &mut impl Sink,
    ) {
        self.asides += 1;
        self.places[place as usize].away = self.asides;
        let aside = Box::new(Aside { key, number: self.asides, call, journal: Vec::new() });
        let (mut aside, is_full) = match sink.aside(aside) {
            Ok(()) => return,
            Err(NotTaken::Nobody(aside)) => (aside, false),
            Err(NotTaken::Full(aside)) => (aside, true),
        };
        match aside.call {
            Call::Step { scene, due, .. } if is_full => self.postpone(place, scene, due),
            _ => {
                aside.run(clock, clock);
                self.back(aside, sink);
            }
        }
    }

    fn postpone(&mut self, place: u32, mut scene: Box<Scene>, due: Due) {
        let due_ns = due.horizon_ns + POSTPONED_NS;
        scene.due_ns = Some(due_ns);
        self.is_back(place, scene);
        self.schedule(place, due_ns);
    }

    /// Takes a scene back, and tells what has come of its call. If that was not made, it is to be made again: a step
    /// is due as it was, and of others nothing has come. A scene that was removed meanwhile is gone for good.
    pub fn back(&mut self, aside: Box<Aside>, sink: &mut impl Sink) {
        let Aside { key, number, call, journal } = *aside;
        let place = self.by_key.get(&key).copied();
        let place = place.filter(|&place| self.places[place as usize].away == number);
        match (call, place) {
            (Call::Begin { .. }, None) => {}
            (Call::Begin { spec, begun, .. }, Some(_)) => {
                self.take(key);
                let result = match begun {
                    Some(begun) => self.begun(key, &spec, *begun, sink),
                    None => Err(CreateError::NotBegun),
                };
                sink.created(key, result);
            }
            (Call::Step { mut scene, .. } | Call::Admit { mut scene, .. }, None) => {
                scene.usage.has(0, &mut self.groups[scene.group.0 as usize].usage);
            }
            (Call::Step { scene, due, stepped }, Some(place)) => {
                self.is_back(place, scene);
                match stepped {
                    Some(stepped) => self.stepped_aside(place, key, due, *stepped, journal, sink),
                    None => self.schedule(place, due.at_ns),
                }
            }
            (Call::Admit { scene, admitted, .. }, Some(place)) => {
                let due_ns = scene.due_ns;
                self.is_back(place, scene);
                if let Some(due_ns) = due_ns {
                    self.schedule(place, due_ns);
                }
                let Some(admitted) = admitted else { return sink.admitted(key, Err(CallError::NoScene)) };
                self.journal = journal;
                let result = self.admitted(place, key, admitted, sink);
                sink.admitted(key, result.map_err(CallError::from));
            }
        }
        self.failed.clear();
    }

    fn is_back(&mut self, index: u32, scene: Box<Scene>) {
        let place = &mut self.places[index as usize];
        (place.scene, place.away) = (Some(scene), 0);
    }

    fn stepped_aside(
        &mut self,
        place: u32,
        key: SceneKey,
        due: Due,
        Stepped { step, snapshot }: Stepped,
        journal: Vec<u8>,
        sink: &mut impl Sink,
    ) {
        self.journal = journal;
        let worked = step.took;
        if self.stepped(place, key, due.at_ns, step, worked, sink)
            && let Some((snapshot, journal)) = snapshot
        {
            self.journal = journal;
            self.snapshot(place, key, snapshot, sink);
        }
    }
}
