//! Strikes: scenes that misbehave without failing, and what becomes of them.
//!
//! Invariants: a strike counts for as long as the fleet says, in the incarnation that it is of; a scene with as many as
//! the fleet allows is stopped from outside, so none that misbehaves on and on lives for ever. `Suspect` is a running
//! scene with strikes that count; its deadline is that of the last of them, or the end of the scene's longest life.

use std::sync::Arc;

use super::{Misbehaviour, SceneMaster, State};
use crate::Context;
use crate::ids::{Epoch, SceneId};
use crate::message::EndReason;

impl SceneMaster {
    pub(super) fn syn_misbehaved(&mut self, id: SceneId, epoch: Epoch, kind: Misbehaviour, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get_mut(&id).filter(|scene| scene.epoch == epoch) else { return };
        if matches!(
            scene.state,
            State::Placing | State::Releasing | State::Restarting | State::Stopping | State::Stopped
        ) {
            return; // It begins or ends anyhow, and both have their deadlines.
        }
        let limits = Arc::clone(&scene.rules);
        let within_ms = limits.strikes.within_ms;
        self.counts.struck(kind.name());
        if limits.strikes.max == 0 {
            return;
        }
        scene.strikes.retain(|at| cx.now.ms_since(*at) < within_ms);
        scene.strikes.push(cx.now);
        if scene.strikes.len() >= limits.strikes.max as usize {
            return self.stop(id, EndReason::Misbehaved(kind.text().to_owned()), Vec::new(), cx);
        }
        let life_until = scene.born.plus_ms(limits.life_ms_max);
        match scene.state {
            State::Running | State::Suspect => {
                let until = cx.now.plus_ms(within_ms).min(life_until);
                self.enter(id, State::Suspect, Some(until), cx);
            }
            _ => self.keep(id, cx),
        }
    }

    /// The strikes of a scene count no more, or its life has lasted long enough.
    pub(super) fn suspect_over(&mut self, id: SceneId, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        scene.strikes.clear();
        let life_until = scene.born.plus_ms(scene.rules.life_ms_max);
        match life_until <= cx.now {
            true => self.stop(id, EndReason::TimeLimit, Vec::new(), cx),
            false => self.enter(id, State::Running, Some(life_until), cx),
        }
    }
}
