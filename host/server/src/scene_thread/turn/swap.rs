//! Running scenes that change to another version of their game, a few in each turn, so that nobody waits for it.

use std::sync::Arc;

use scenehost_core::SceneId;
use scenehost_core::scene::{self, Scene};
use scenehost_engine::{Level, SceneKey, SwapError};

use super::super::Targets;
use super::super::runs::FleetRun;
use super::away::Deferred;
use super::{QUANTUM, SceneThread};

impl SceneThread {
    /// The scenes of these fleets that are made of something else are to change, in the order of their ids. An order
    /// before this one does not count any more.
    pub(super) fn plan_swaps(&mut self, targets: &Targets) {
        self.swaps.retain(|(_, run)| !targets.contains_key(&run.fleet));
        let mut planned: Vec<(SceneId, Arc<FleetRun>)> = Vec::new();
        for (id, run) in &self.runs {
            let target = targets.get(&run.fleet).filter(|target| target.build != run.build);
            planned.extend(target.map(|target| (*id, Arc::clone(target))));
        }
        planned.sort_by_key(|(id, _)| *id);
        self.swaps.extend(planned);
    }

    /// Changes scenes until others are due, or for as long as they may be late by anyway.
    pub(super) fn swap_some(&mut self) {
        let begun = self.clock.elapsed();
        while let Some((id, target)) = self.swaps.pop_front() {
            self.swap(id, target);
            let now = self.clock.elapsed();
            if now - begun > QUANTUM || self.worker.next_due().is_some_and(|due| due <= now) {
                return;
            }
        }
    }

    pub(super) fn swap(&mut self, id: SceneId, target: Arc<FleetRun>) {
        // It may have ended since, or begun anew with it.
        if self.runs.get(&id).is_none_or(|run| run.build == target.build) {
            return;
        }
        if let Some(away) = self.waiting(id) {
            return away.wait(Deferred::Swap(target));
        }
        match self.worker.swap(SceneKey(id.0), &target.plugin, target.limits, &mut self.outcomes) {
            Ok(()) => _ = self.swapping.insert(id, target),
            Err(SwapError::NoScene | SwapError::Finished) => {}
            Err(SwapError::Kept { reason }) => self.not_swapped(id, &target, &reason),
            Err(SwapError::Failed(failure)) => {
                self.not_swapped(id, &target, "the version before failed when it was saved");
                let text = self.failed(id, None, &failure);
                self.scene_event(id, scene::Event::Failed(text));
            }
        }
    }

    /// The other version has made its first step, or failed in it.
    pub(super) fn swapped(&mut self, id: SceneId, result: Result<(), String>) {
        let Some(target) = self.swapping.remove(&id) else { return };
        match result {
            Ok(()) => {
                self.meters.swapped(target.game.as_str(), "swapped");
                tracing::info!(scene = %id, fleet = %target.fleet, digest = %target.plugin.digest(), "a scene changed its version");
                self.logs.begin(id, &target);
                self.logs.said(self.clock.now(), id, Level::Info, "the scene runs this version from here".to_owned());
                self.is_made_of(id, &target);
                self.uses(id, &target);
            }
            Err(reason) => self.not_swapped(id, &target, &reason),
        }
    }

    fn not_swapped(&self, id: SceneId, target: &FleetRun, reason: &str) {
        self.meters.swapped(target.game.as_str(), "kept");
        let digest = target.plugin.digest();
        tracing::warn!(scene = %id, fleet = %target.fleet, %digest, reason, "a scene keeps its version");
        let text = format!("the scene keeps its version and does not change to {digest}: {reason}");
        self.logs.said(self.clock.now(), id, Level::Warn, text);
    }

    /// SceneMaster is told what a scene is made of.
    pub(super) fn is_made_of(&mut self, id: SceneId, run: &FleetRun) {
        let told = self.scenes.get_mut(&id).and_then(|scene: &mut Scene<_>| scene.made_of(run.build));
        if let Some(message) = told {
            self.bus.send(message);
        }
    }
}
