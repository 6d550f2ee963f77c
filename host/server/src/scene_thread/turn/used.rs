//! What a scene is made of, and what it uses.

use std::sync::Arc;

use scenehost_core::SceneId;
use scenehost_engine::SceneKey;
use tokio::sync::oneshot;

use super::super::SceneUse;
use super::super::runs::{FleetRun, InUse};
use super::SceneThread;

impl SceneThread {
    /// A scene is made of this from now on, and what it uses counts there.
    pub(super) fn uses(&mut self, id: SceneId, run: &Arc<FleetRun>) {
        self.worker.set_group(SceneKey(id.0), self.groups.of(run));
        self.runs.insert(id, InUse::new(Arc::clone(run)));
    }

    pub(super) fn tell_usage(&self, scene: SceneId, answer: oneshot::Sender<SceneUse>) {
        let (Some(run), Some(usage)) = (self.runs.get(&scene), self.worker.usage(SceneKey(scene.0))) else { return };
        let (fleet, plugin, digest) = (run.fleet.clone(), run.game.clone(), run.plugin.digest());
        let _ = answer.send(SceneUse { scene, fleet, plugin, digest, usage }); // Who asked may have given up.
    }
}
