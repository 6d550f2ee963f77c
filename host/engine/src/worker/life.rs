//! How a worker's scenes come to be, go on, change their version, and end.

use std::time::Duration;

use super::aside::Begun;
use super::{CreateError, Place, RecoverError, Recovered, SceneKey, Sink, Worker, ns};
use crate::{
    instance::Instance,
    journal::{Compare, Ended, Header, Journaled, Observer, Replayer},
    limits::Limits,
    plugin::Plugin,
    scene::{Scene, SceneSpec, TICK_RATE_HZ_MAX},
    slow::Record,
    swap::SwapError,
    upload::Digest,
};

impl Worker {
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
        clock: impl Fn() -> Duration,
        sink: &mut impl Sink,
    ) -> Result<(), CreateError> {
        self.check_new(key, spec)?;
        self.begin(key, None, plugin, spec, clock, sink)
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
        clock: impl Fn() -> Duration,
        sink: &mut impl Sink,
    ) -> Result<(), CreateError> {
        let older = self.take(key).map(|scene| scene.instance);
        self.check_new(key, spec)?;
        self.begin(key, older, plugin, spec, clock, sink)
    }

    pub(super) fn check_new(&self, key: SceneKey, spec: &SceneSpec) -> Result<(), CreateError> {
        if self.contains(key) {
            return Err(CreateError::Exists);
        }
        let tick_rate_hz = spec.init.tick_rate_hz;
        if tick_rate_hz > TICK_RATE_HZ_MAX {
            return Err(CreateError::TickRate { tick_rate_hz });
        }
        Ok(())
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
        older: Option<Instance>,
        plugin: &Plugin,
        spec: &SceneSpec,
        clock: impl Fn() -> Duration,
        sink: &mut impl Sink,
    ) -> Result<(), CreateError> {
        let meter = || sink.worked().unwrap_or_else(&clock);
        let begun = Begun::call(older, plugin, spec, clock(), meter(), meter);
        self.begun(key, spec, begun, sink)
    }

    pub(super) fn begun(
        &mut self,
        key: SceneKey,
        spec: &SceneSpec,
        begun: Begun,
        sink: &mut impl Sink,
    ) -> Result<(), CreateError> {
        let record = &mut self.group(spec.group).record;
        record.started(begun.took);
        let record = Record::in_group(record);
        if let Some(log) = begun.log {
            sink.logged(key, log);
        }
        let mut scene = Box::new(Scene::new(begun.result?, spec, ns(begun.at)));
        scene.record = record;
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
        let index = *self.by_key.get(&key).ok_or(SwapError::NoScene)?;
        let scene = self.places[index as usize].scene.as_deref_mut().ok_or(SwapError::NoScene)?;
        if scene.finished {
            return Err(SwapError::Finished);
        }
        let group = &mut self.groups[scene.group.0 as usize].usage;
        let result = scene.swap(plugin, limits, group, &mut self.journal);
        let log = scene.instance.take_log();
        self.pass_on(key, log, sink);
        if matches!(result, Err(SwapError::Failed(_))) {
            self.remove(key);
        }
        result
    }

    /// Ends a scene; its slot is free at once. `false` if there was none.
    pub fn remove(&mut self, key: SceneKey) -> bool {
        self.take(key).is_some()
    }

    pub(super) fn take(&mut self, key: SceneKey) -> Option<Box<Scene>> {
        let index = self.by_key.remove(&key)?;
        let place = &mut self.places[index as usize];
        place.generation = place.generation.wrapping_add(1);
        place.away = 0;
        self.free.push(index);
        let mut scene = place.scene.take()?;
        scene.usage.has(0, &mut self.groups[scene.group.0 as usize].usage);
        Some(scene)
    }

    fn put(&mut self, key: SceneKey, mut scene: Box<Scene>) -> u32 {
        let memory_bytes = scene.instance.memory_bytes();
        scene.usage.has(memory_bytes, &mut self.group(scene.group).usage);
        let index = self.place_for(key);
        self.places[index as usize].scene = Some(scene);
        index
    }

    /// An empty place, which is this scene's from now on.
    pub(super) fn place_for(&mut self, key: SceneKey) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            // The engine's pool ends long before this does.
            u32::try_from(self.places.len() - 1).expect("fewer scenes than 2^32")
        });
        self.places[index as usize].key = key.0;
        self.by_key.insert(key, index);
        index
    }
}
