//! How the scenes of fleets run: which component, with what configuration and limits.
//!
//! Invariants: the build that a scene has is known for as long as the scene runs, so that another one of it can be made;
//! besides those and the ones of which new scenes are made, of each fleet the last [`UNUSED_MAX`] are known, for orders
//! that are on their way and scenes that begin anew after a failure. Where the build of an order is not known any more,
//! the scene is made of the fleet's newest one, and SceneMaster hears of that. Of a build whose scenes fail too often the
//! registry hears, each time that they do so again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use scenehost_core::config::Quarantine;
use scenehost_core::quarantine::Failures;
use scenehost_core::{Build, FleetName, GameName, SceneId, Time};
use scenehost_engine::{Digest, Failure, GroupUsage, Limits, Plugin};
use tokio::sync::mpsc;

/// How many builds of a fleet are known that no scene has. Each keeps its compiled code in memory.
const UNUSED_MAX: usize = 2;
/// How many builds may wait for the registry to hear of them; of one more it hears when as many scenes have failed again.
const FAILING_MAX: usize = 64;

/// How the scenes of one build of a fleet run on this host.
pub struct FleetRun {
    pub fleet: FleetName,
    pub build: Build,
    /// Which game it is, to whom belongs what its scenes save.
    pub game: GameName,
    pub plugin: Plugin,
    /// The game's own configuration, JSON text.
    pub configuration: String,
    pub limits: Limits,
    pub tick_when_empty: bool,
    /// How many of its scenes may fail.
    pub quarantine: Quarantine,
    /// How many scenes have it now; see [`InUse`].
    pub scenes: AtomicUsize,
    pub failures: Mutex<Failures>,
    /// What its scenes have used on this host since it was known, at most a second old.
    pub used: Mutex<GroupUsage>,
}

impl FleetRun {
    pub fn has_no_scenes(&self) -> bool {
        self.scenes.load(Ordering::Relaxed) == 0
    }
}

/// A build whose scenes have failed too often.
#[derive(Debug)]
pub struct Failing {
    pub fleet: FleetName,
    pub plugin: GameName,
    pub digest: Digest,
    pub rules: Quarantine,
    /// How the last of them has failed.
    pub last: Failure,
}

/// What running scenes change to, by fleet.
pub type Targets = BTreeMap<FleetName, Arc<FleetRun>>;

/// What a scene has, for as long as it has it.
pub struct InUse(Arc<FleetRun>);

impl InUse {
    pub fn new(run: Arc<FleetRun>) -> Self {
        run.scenes.fetch_add(1, Ordering::Relaxed);
        Self(run)
    }
}

impl Deref for InUse {
    type Target = FleetRun;

    fn deref(&self) -> &FleetRun {
        &self.0
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.scenes.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How the scenes of all fleets run. Cheap to clone.
#[derive(Clone)]
pub struct FleetRuns {
    fleets: Arc<RwLock<BTreeMap<FleetName, Known>>>,
    failing: mpsc::Sender<Failing>,
}

/// The builds of a fleet.
#[derive(Default)]
struct Known {
    /// What new scenes are made of; of a fleet that is no more there are none.
    newest: Option<Arc<FleetRun>>,
    canary: Option<Arc<FleetRun>>,
    /// What they were made of before, the newest first.
    older: VecDeque<Arc<FleetRun>>,
}

impl Known {
    fn all(&self) -> impl Iterator<Item = &Arc<FleetRun>> {
        self.newest.iter().chain(&self.canary).chain(&self.older)
    }

    /// New scenes are made of these from now on. One that is known already stays the same, and so does its count.
    fn set(&mut self, newest: Option<Arc<FleetRun>>, canary: Option<Arc<FleetRun>>) {
        let before: VecDeque<Arc<FleetRun>> = self.all().cloned().collect();
        let known = |run: Arc<FleetRun>| before.iter().find(|it| it.build == run.build).cloned().unwrap_or(run);
        (self.newest, self.canary) = (newest.map(known), canary.map(known));
        let current = |run: &Arc<FleetRun>| self.newest.iter().chain(&self.canary).any(|it| it.build == run.build);
        let mut unused = 0;
        self.older = before.iter().filter(|run| !current(run)).cloned().collect();
        self.older.retain(|run| {
            let is_unused = run.has_no_scenes();
            unused += usize::from(is_unused);
            !is_unused || unused <= UNUSED_MAX
        });
    }
}

impl FleetRuns {
    /// None yet, and where those come that fail too often.
    pub fn new() -> (Self, mpsc::Receiver<Failing>) {
        let (failing, heard) = mpsc::channel(FAILING_MAX);
        (Self { fleets: Arc::default(), failing }, heard)
    }

    /// A scene of this build has failed. Whether that is too often is found out here, whatever its thread.
    pub fn failed(&self, run: &FleetRun, scene: SceneId, now: Time, failure: &Failure) {
        if !failure.is_the_games() {
            return;
        }
        let mut failures = run.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.failed(scene, now, &run.quarantine) {
            let (fleet, plugin) = (run.fleet.clone(), run.game.clone());
            let (digest, rules, last) = (run.plugin.digest(), run.quarantine, failure.clone());
            let _ = self.failing.try_send(Failing { fleet, plugin, digest, rules, last });
        }
    }

    /// The failures of a component's scenes until now do not count any more.
    pub fn forget_failures(&self, digest: Digest) {
        let fleets = self.fleets.read().unwrap_or_else(PoisonError::into_inner);
        for run in fleets.values().flat_map(Known::all).filter(|run| run.plugin.digest() == digest) {
            run.failures.lock().unwrap_or_else(PoisonError::into_inner).forget();
        }
    }

    /// How they run from now on: new scenes of each fleet, and the canary's.
    pub fn set(&self, mut runs: BTreeMap<FleetName, (Arc<FleetRun>, Option<Arc<FleetRun>>)>) {
        let mut all = self.fleets.write().unwrap_or_else(PoisonError::into_inner);
        for (name, known) in all.iter_mut() {
            let (newest, canary) = runs.remove(name).map_or((None, None), |(run, canary)| (Some(run), canary));
            known.set(newest, canary);
        }
        all.retain(|_, known| known.newest.is_some() || !known.all().all(|run| run.has_no_scenes()));
        for (name, (newest, canary)) in runs {
            all.entry(name).or_default().set(Some(newest), canary);
        }
    }

    /// The build of a fleet; if it is not known any more, the newest one.
    pub fn get(&self, fleet: &FleetName, build: Build) -> Option<Arc<FleetRun>> {
        let all = self.fleets.read().unwrap_or_else(PoisonError::into_inner);
        let known = all.get(fleet)?;
        known.all().find(|run| run.build == build).or(known.newest.as_ref()).cloned()
    }

    /// What a scene is made of that goes on from its journal: a build of its fleet with the same component, or else this,
    /// which is known from now on.
    pub fn going_on(&self, mut run: FleetRun) -> Arc<FleetRun> {
        let mut all = self.fleets.write().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry(run.fleet.clone()).or_default();
        let digest = run.plugin.digest();
        let same = |it: &&Arc<FleetRun>| it.plugin.digest() == digest;
        let found = known.all().find(|it| it.build == run.build && same(it)).or_else(|| known.all().find(same));
        if let Some(found) = found {
            return Arc::clone(found);
        }
        if known.all().any(|it| it.build == run.build) {
            // It has changed its version since its build was written down.
            run.build = Build(digest.0.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)));
        }
        let run = Arc::new(run);
        known.older.push_front(Arc::clone(&run));
        run
    }

    /// What is known of each fleet: what new scenes are made of, the canary's, and what they were made of before.
    pub fn known(&self) -> Vec<Arc<FleetRun>> {
        let fleets = self.fleets.read().unwrap_or_else(PoisonError::into_inner);
        fleets.values().flat_map(Known::all).cloned().collect()
    }

    /// How many scenes run with each component.
    pub fn scenes_by_digest(&self) -> BTreeMap<Digest, usize> {
        let all = self.fleets.read().unwrap_or_else(PoisonError::into_inner);
        let mut scenes = BTreeMap::new();
        for run in all.values().flat_map(Known::all) {
            *scenes.entry(run.plugin.digest()).or_default() += run.scenes.load(Ordering::Relaxed);
        }
        scenes
    }

    /// How many scenes of these fleets are not of the newest build, and what that is.
    pub fn to_swap(&self, fleets: &BTreeSet<FleetName>) -> (usize, Targets) {
        let all = self.fleets.read().unwrap_or_else(PoisonError::into_inner);
        let mut asked = 0;
        let mut targets = Targets::new();
        for (name, known) in all.iter().filter(|(name, _)| fleets.contains(*name)) {
            let Some(newest) = &known.newest else { continue };
            let others = known.all().filter(|run| run.build != newest.build);
            asked += others.map(|run| run.scenes.load(Ordering::Relaxed)).sum::<usize>();
            targets.insert(name.clone(), Arc::clone(newest));
        }
        (asked, targets)
    }
}
