//! Scenes that are let go, to go on on another node.

use scenehost_core::scene;
use scenehost_core::scene_service::{Event, ToScene};
use scenehost_core::{Epoch, Incarnation, Message, Refusal, SceneId};

use super::SceneThread;

impl SceneThread {
    /// Lets a scene go, if where it goes on can have its journal.
    pub(super) fn release(&mut self, id: SceneId, epoch: Epoch) {
        if !self.scenes.contains_key(&id) {
            return; // It is being let go already, which is said when its journal is in the store.
        }
        let journals = &self.outcomes.journals;
        if !journals.journals().has_copies() || !journals.has(id) {
            let text = "this game has no journal that other nodes can read: it plays on where it is";
            let result = Err(Refusal::Invalid(text.to_owned()));
            return self.bus.send(Message::OwnSceneService(Event::ResRelease { scene: id, epoch, result }));
        }
        // What the host holds of it is in its journal as of now.
        self.note(id);
        self.scene_event(id, scene::Event::Order(ToScene::Release { epoch }));
    }

    /// It lives here no more; that is said once its journal is where others can read it.
    pub(super) fn let_go(&self, id: SceneId, epoch: Epoch) {
        let (journals, bus) = (self.outcomes.journals.journals().clone(), self.bus.clone());
        self.runtime.spawn(async move {
            // If it is not, it begins anew: of a scene that lives no more nothing else can be said.
            if !journals.let_go(Incarnation { scene: id, epoch }).await {
                tracing::error!(scene = %id, "its journal is not in the store: it begins anew where it goes");
            }
            bus.send(Message::OwnSceneService(Event::ResRelease { scene: id, epoch, result: Ok(()) }));
        });
    }
}
