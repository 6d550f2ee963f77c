//! What the scenes of a thread use, gathered for each build of a fleet.
//!
//! Invariant: a build is a group of the worker for as long as it is known, so that what its scenes have done is not
//! forgotten, and its counts are handed over once a second: no thread waits for another one with each step.

use std::sync::{Arc, PoisonError};

use scenehost_core::{FleetName, GameName, SceneId};
use scenehost_engine::{Digest, Group, Usage, Worker};

use super::FleetRun;

/// What one scene has used since it began on its thread, or went on there.
pub struct SceneUse {
    pub scene: SceneId,
    pub fleet: FleetName,
    pub plugin: GameName,
    pub digest: Digest,
    pub usage: Usage,
}

/// The builds that the scenes of a thread have, by their groups.
#[derive(Default)]
pub struct Groups {
    /// A free place is used again.
    builds: Vec<Option<Arc<FleetRun>>>,
}

impl Groups {
    /// The group of a build.
    pub fn of(&mut self, run: &Arc<FleetRun>) -> Group {
        let is_it = |place: &Option<Arc<FleetRun>>| place.as_ref().is_some_and(|it| Arc::ptr_eq(it, run));
        let known = self.builds.iter().position(is_it);
        let index = known.or_else(|| self.builds.iter().position(Option::is_none)).unwrap_or_else(|| {
            self.builds.push(None);
            self.builds.len() - 1
        });
        self.builds[index] = Some(Arc::clone(run));
        group(index)
    }

    /// Hands over what was counted since the last time.
    pub fn report(&mut self, worker: &mut Worker) {
        for (index, place) in self.builds.iter_mut().enumerate() {
            let Some(run) = place else { continue };
            let used = worker.take_used(group(index));
            run.used.lock().unwrap_or_else(PoisonError::into_inner).add(&used);
            if Arc::strong_count(run) == 1 {
                *place = None;
                worker.reset_group(group(index));
            }
        }
    }
}

/// The worker's group 0 is that of scenes which have none yet.
fn group(index: usize) -> Group {
    Group(u32::try_from(index + 1).expect("fewer builds than scenes"))
}
