//! What a scene saves, and what it hears of that.

use scenehost_core::SceneId;
use scenehost_core::scene::{self, Scene};
use scenehost_engine::{DeliverError, Event, SaveAnswer, SaveError, SaveRequest, SceneKey};

use super::super::saves::Made;
use super::SceneThread;

impl SceneThread {
    pub(super) fn save(&mut self, id: SceneId, request: SaveRequest) {
        let (Some(scene), Some(game)) = (self.scenes.get(&id), self.games.get(&id)) else { return };
        let (number, on_db_down) = (request.id, scene.limits().on_db_down);
        if let Err(error) = self.saves.begin(id, game.clone(), request, on_db_down, |seat| scene.user_of(seat)) {
            self.saved(id, number, Err(error));
        }
    }

    /// What has come of a save.
    pub(super) fn made(&mut self, id: SceneId, number: u64, made: Made) {
        match made {
            Made::Answered(outcome) => {
                self.saves.answered(id);
                self.saved(id, number, outcome);
            }
            Made::NotNow(save) => {
                let goes_on = self.scenes.get(&id).is_some_and(Scene::is_open);
                if self.saves.not_now(*save, goes_on) {
                    self.meters.failed("save");
                    self.fail(id, "it has to save, and nothing can be saved now");
                }
            }
        }
    }

    fn saved(&mut self, id: SceneId, save: u64, outcome: Result<(), SaveError>) {
        let answer = Event::Saved(SaveAnswer { id: save, outcome });
        let now = self.clock.elapsed();
        if self.worker.deliver(SceneKey(id.0), answer, now) == Err(DeliverError::InboxFull) {
            self.fail(id, "it saves without waiting for answers");
        }
    }

    /// Ends a game that may not go on.
    fn fail(&mut self, id: SceneId, why: &str) {
        self.worker.remove(SceneKey(id.0));
        self.scene_event(id, scene::Event::Failed(why.to_owned()));
    }
}
