//! The incarnations that have ended on a node, whose end was ordered, or that were refused.
//!
//! Invariant: none of them begins any more. An order to make a scene that was doubled, or overtaken by the order to end it,
//! would otherwise make one that nobody waits for, and whose old tokens open its seats anew.

use std::collections::{HashMap, VecDeque};

use crate::ids::{Epoch, SceneId};

/// How many scenes are remembered; the oldest go first. A message that is late by more scenes than that finds nothing
/// here, and SceneMaster ends what it makes.
const ENDED_MAX: usize = 65_536;

#[derive(Debug, Clone, Default)]
pub(super) struct Ended {
    /// The newest incarnation of each scene that has ended.
    epochs: HashMap<SceneId, Epoch>,
    /// In the order in which they were heard of.
    order: VecDeque<SceneId>,
}

impl Ended {
    /// An incarnation has ended or is to, and all before it.
    pub fn note(&mut self, scene: SceneId, epoch: Epoch) {
        if let Some(known) = self.epochs.get_mut(&scene) {
            *known = epoch.max(*known);
            return;
        }
        if self.order.len() == ENDED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.epochs.remove(&oldest);
        }
        self.epochs.insert(scene, epoch);
        self.order.push_back(scene);
    }

    /// Whether an incarnation may not begin any more.
    pub fn has(&self, scene: SceneId, epoch: Epoch) -> bool {
        self.epochs.get(&scene).is_some_and(|ended| epoch <= *ended)
    }
}
