//! What a scene saves, and what it hears of that.

use scenehost_core::scene::{self, Scene};
use scenehost_core::{Incarnation, SceneId};
use scenehost_engine::{DeliverError, Event, SaveAnswer, SaveError, SaveRequest, SceneKey};

use super::super::saves::Made;
use super::SceneThread;

impl SceneThread {
    pub(super) fn save(&mut self, id: SceneId, request: SaveRequest) {
        if let Some(scene) = self.scenes.get(&id) {
            let as_of = scene.incarnation();
            self.save_as_of(id, as_of, request);
        }
    }

    /// A save that this life of the scene has asked for, or one before.
    pub(super) fn save_as_of(&mut self, id: SceneId, as_of: Incarnation, request: SaveRequest) {
        let (Some(scene), Some(game)) = (self.scenes.get(&id), self.games.get(&id)) else { return };
        let (number, on_db_down) = (request.id, scene.limits().on_db_down);
        if let Some(ledger) = self.ledgers.get_mut(&id) {
            ledger.asked(as_of, &request);
        }
        let (incarnation, user_of) = (scene.incarnation(), |seat| scene.user_of(seat));
        if let Err(error) = self.saves.begin(incarnation, as_of, game.clone(), request, on_db_down, user_of) {
            self.saved(id, number, Err(error));
        }
    }

    /// What has come of a save. A scene that has begun anew does not hear of those of its life before.
    pub(super) fn made(&mut self, of: Incarnation, number: u64, made: Made) {
        let lives = |scene: &&Scene<_>| scene.incarnation() == of;
        let scene = self.scenes.get(&of.scene).filter(lives);
        match made {
            Made::Answered(outcome) => {
                let is_there = scene.is_some();
                self.saves.answered(of);
                if is_there {
                    self.saved(of.scene, number, outcome);
                }
            }
            Made::NotNow(save) => {
                let goes_on = scene.is_some_and(Scene::is_open);
                if self.saves.not_now(*save, goes_on) {
                    self.meters.failed("save");
                    let why = "it has to save, and nothing can be saved now".to_owned();
                    self.fail(of.scene, scene::Event::GivenUp(why));
                }
            }
        }
    }

    fn saved(&mut self, id: SceneId, save: u64, outcome: Result<(), SaveError>) {
        if let Some(ledger) = self.ledgers.get_mut(&id) {
            ledger.answered(save);
        }
        let answer = Event::Saved(SaveAnswer { id: save, outcome });
        let now = self.clock.elapsed();
        if self.worker.deliver(SceneKey(id.0), answer, now) == Err(DeliverError::InboxFull) {
            self.fail(id, scene::Event::Failed("it saves without waiting for answers".to_owned()));
        }
    }

    /// Ends a game that may not go on.
    fn fail(&mut self, id: SceneId, why: scene::Event) {
        self.worker.remove(SceneKey(id.0));
        self.scene_event(id, why);
    }
}
