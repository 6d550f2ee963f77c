//! How scenes begin on a scene thread.

use std::sync::Arc;
use std::time::Duration;

use scenehost_core::config::Strikes;
use scenehost_core::message::EndReason;
use scenehost_core::scene::{self, Scene};
use scenehost_core::scene_service::{self, Start, ToScene};
use scenehost_core::{Build, Incarnation, Message, Refusal, SceneId};
use scenehost_engine::{CreateError, SceneKey};

use super::super::game;
use super::super::ledger::Ledger;
use super::super::runs::{FleetRun, InUse};
use super::SceneThread;
use super::away::Called;

impl SceneThread {
    pub(super) fn start(&mut self, id: SceneId, start: Start) {
        if let Some(older) = self.scenes.get(&id).map(Scene::incarnation) {
            if !start.reuse || older.epoch >= start.epoch {
                return; // Ordered twice; the first one answers.
            }
            self.end_older(older);
        }
        let epoch = start.epoch;
        if self.goes_on(id, &start) {
            return;
        }
        let Some(fleet) = self.fleets.get(&start.fleet, start.build) else {
            // There is no such fleet any more.
            let result = Err(Refusal::Overloaded("scenes of a fleet that has just changed".into()));
            let answer = scene_service::Event::ResStart { scene: id, epoch, result };
            return self.bus.send(Message::OwnSceneService(answer));
        };
        let began = self.clock.elapsed();
        self.outcomes.journals.expect(Incarnation { scene: id, epoch }, start.limits.journal);
        if self.outcomes.journals.has(id) {
            self.ledgers.insert(id, Ledger::default());
        }
        let spec = game::spec(id, &start, &fleet, self.groups.of(&fleet), self.clock.now());
        let reuse = start.reuse;
        let Strikes { step_ms, memory_kib, .. } = start.limits.strikes;
        if step_ms > 0 {
            self.strike_step = self.strike_step.min(Duration::from_millis(step_ms));
        }
        if memory_kib > 0 {
            self.strike_bytes =
                self.strike_bytes.min(usize::try_from(memory_kib).unwrap_or(usize::MAX).saturating_mul(1_024));
        }
        self.logs.begin(id, &fleet);
        let ordered = start.build;
        self.swapping.remove(&id);
        self.scenes.insert(id, Scene::start(id, start));
        self.runs.insert(id, InUse::new(Arc::clone(&fleet)));
        let (key, clock) = (SceneKey(id.0), self.clock);
        let clock = || clock.elapsed();
        let created = if self.worker.begins_slowly(&spec) && self.outcomes.lane.has_room() {
            match self.worker.begin_aside(key, &fleet.plugin, spec, clock, &mut self.outcomes) {
                Ok(()) => {
                    self.called.insert(id, Called::Begin { fleet, ordered, at: began });
                    return;
                }
                Err(error) => Err(error),
            }
        } else if reuse {
            self.worker.restart(key, &fleet.plugin, &spec, clock, &mut self.outcomes)
        } else {
            self.worker.create(key, &fleet.plugin, &spec, clock, &mut self.outcomes)
        };
        self.begun(id, &fleet, ordered, began, created);
    }

    /// A scene that was ordered at this time has started, or not.
    pub(super) fn begun(
        &mut self,
        id: SceneId,
        fleet: &Arc<FleetRun>,
        ordered: Build,
        at: Duration,
        created: Result<(), CreateError>,
    ) {
        let now = self.clock.now();
        let result = created.map_err(|error| {
            tracing::warn!(scene = %id, fleet = %fleet.fleet, %error, "a scene could not start");
            if let CreateError::Failed(failure) = &error {
                self.logs.failed(now, id, None, failure);
                self.fleets.failed(fleet, id, now, failure);
            }
            Refusal::Invalid("the game could not start: its operators find the reason in the log".to_owned())
        });
        self.meters.started(self.clock.elapsed() - at);
        self.scene_event(id, scene::Event::Started(result));
        if fleet.build != ordered {
            tracing::warn!(scene = %id, fleet = %fleet.fleet, %ordered, used = %fleet.build, "its build is not known any more");
            self.is_made_of(id, fleet);
        }
    }

    /// The incarnation before has no users any more; if it has all the same, they are told.
    fn end_older(&mut self, Incarnation { scene, epoch }: Incarnation) {
        let end = ToScene::End { epoch, reason: EndReason::Expired, results: Vec::new(), keep: true };
        self.scene_event(scene, scene::Event::Order(end));
        self.scenes.remove(&scene);
    }
}
