//! Scenes that SceneMaster moves to another node: they end here and go on there.
//!
//! Invariant: what is let go does not begin here again, and SceneMaster hears that it is let go only when it lives no
//! more. An order to end counts for more.

use super::{Row, SceneService, State, ToScene};
use crate::Context;
use crate::ids::{Epoch, SceneId};
use crate::message::Message;
use crate::refusal::Refusal;
use crate::scene_master;

impl SceneService {
    pub(super) fn req_release_scene(&mut self, scene: SceneId, epoch: Epoch, cx: &mut Context<'_>) {
        let result = match self.row(scene, epoch).map(|row| row.state) {
            // The scene answers. If it was asked before, it is asked again: its answer may be on the way.
            Some(State::Running) => return cx.send(Message::Scene(scene, ToScene::Release { epoch })),
            Some(State::Starting) => Err(Refusal::Busy("this scene is still starting".into())),
            Some(State::Ending { .. } | State::Kept) => Err(Refusal::SceneEnded),
            // No such incarnation lives here. Its order may be on the way yet.
            None => {
                self.note_ended(scene, epoch);
                Ok(())
            }
        };
        cx.send(scene_master::Event::ResReleaseScene { scene, epoch, result });
    }

    pub(super) fn res_release(
        &mut self,
        scene: SceneId,
        epoch: Epoch,
        result: Result<(), Refusal>,
        cx: &mut Context<'_>,
    ) {
        let row = self.row(scene, epoch).cloned();
        match (row, result) {
            (Some(Row { state: State::Running, .. }), result) => {
                if result.is_ok() {
                    self.remove(scene, cx);
                }
                cx.send(scene_master::Event::ResReleaseScene { scene, epoch, result });
            }
            // It was to end meanwhile, and has.
            (Some(Row { state: State::Ending { .. }, .. }), Ok(())) => self.res_end(scene, epoch, false, cx),
            // It will answer the order to end; or was given up before.
            (Some(_), _) | (None, _) => {}
        }
    }
}
