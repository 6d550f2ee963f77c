//! A scene that goes on on another node.
//!
//! Invariant: only a game that plays and has a journal is let go. It is not told; those inside are told that it goes on,
//! and find it where the lobby says.

use super::{Effect, Phase, Scene};
use crate::ids::{Epoch, Time};
use crate::refusal::Refusal;
use crate::scene_service;

impl<F: Clone> Scene<F> {
    pub(super) fn release(&mut self, now: Time, epoch: Epoch) {
        if epoch != self.epoch {
            return;
        }
        let result = match self.phase {
            Phase::Running if self.limits.goes_on() => Ok(()),
            Phase::Running => Err(Refusal::Invalid(
                "this game has no journal from which it could go on elsewhere: it plays on where it is".to_owned(),
            )),
            Phase::Starting => Err(Refusal::Busy("this scene is still starting".into())),
            Phase::Asked { .. } | Phase::Stopping { .. } | Phase::Kept | Phase::Ended => Err(Refusal::SceneEnded),
        };
        let is_let_go = result.is_ok();
        if is_let_go {
            self.restart_for_spectators();
            for connection in self.tell_restart() {
                self.closed(now, connection);
            }
            self.phase = Phase::Ended;
            self.effects.push(Effect::Released);
        }
        self.tell_service(scene_service::Event::ResRelease { scene: self.id, epoch, result });
    }
}
