//! Scenes that are away for a call on the lane. What happens to them meanwhile waits, in its order, and so do their sockets.
//!
//! Invariant: what has come of the call is dealt with before anything that has waited for it. A deadline that comes
//! meanwhile is looked at when the scene is back.
//!
//! What waits is bounded by how long a scene can be away, see [`super::super::lane`], and by what is said to one scene
//! without waiting for an answer: an order of each kind, and an event for each of its connections.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use scenehost_core::scene::{self, GameEvent};
use scenehost_core::{Build, ConnectionId, SceneId, Seat};
use scenehost_engine::{Aside, CallError, CreateError, NotTaken, SceneKey};

use super::super::Order;
use super::super::runs::FleetRun;
use super::{Outcome, SceneThread};

/// What waits until a scene is back.
#[derive(Default)]
pub(super) struct Waiting {
    what: VecDeque<Deferred>,
    /// The connections that have something to read.
    unread: Vec<usize>,
}

pub(super) enum Deferred {
    Order(Order),
    Event(scene::Event),
    Game(GameEvent),
    Swap(Arc<FleetRun>),
}

impl Waiting {
    pub fn wait(&mut self, what: Deferred) {
        self.what.push_back(what);
    }

    pub fn wait_to_be_read(&mut self, connection: usize) {
        self.unread.push(connection);
    }
}

/// What a call is for that was not made at once, besides a step.
pub(super) enum Called {
    Begin { fleet: Arc<FleetRun>, ordered: Build, at: Duration },
    Admit { seat: Seat, connection: ConnectionId, request: u32 },
}

impl SceneThread {
    /// What waits for a scene, if it is away.
    pub(super) fn waiting(&mut self, id: SceneId) -> Option<&mut Waiting> {
        self.outcomes.away.get_mut(&id)
    }

    /// A call was made.
    pub(super) fn back(&mut self, call: Box<Aside>) {
        let id = SceneId(call.key().0);
        let waiting = self.outcomes.away.remove(&id).unwrap_or_default();
        self.worker.back(call, &mut self.outcomes);
        self.deal();
        self.go_on_with(id, waiting);
        self.note_deadline(id);
    }

    fn go_on_with(&mut self, id: SceneId, mut waiting: Waiting) {
        while let Some(what) = waiting.what.pop_front() {
            match what {
                Deferred::Order(order) => _ = self.order(order),
                Deferred::Event(event) => self.scene_event(id, event),
                Deferred::Game(event) => {
                    let mut more = VecDeque::new();
                    self.tell_game(id, event, &mut more);
                    more.into_iter().for_each(|event| self.scene_event(id, event));
                }
                Deferred::Swap(target) => self.swap(id, target),
            }
            if let Some(again) = self.waiting(id) {
                again.what.append(&mut waiting.what);
                again.unread.append(&mut waiting.unread);
                return;
            }
        }
        self.unread.append(&mut waiting.unread);
    }

    /// What has come of a scene's beginning.
    pub(super) fn created(&mut self, id: SceneId, result: Result<(), CreateError>) {
        if let Some(Called::Begin { fleet, ordered, at }) = self.called.remove(&id) {
            self.begun(id, &fleet, ordered, at, result);
        }
    }

    /// What a game has said of who wants to enter.
    pub(super) fn admitted(&mut self, id: SceneId, result: Result<Result<(), String>, CallError>) {
        if let Some(Called::Admit { seat, connection, request }) = self.called.remove(&id) {
            let mut more = VecDeque::new();
            let result = self.answered(id, result, &mut more);
            more.push_back(scene::Event::Admitted { seat, connection, request, result });
            more.into_iter().for_each(|event| self.scene_event(id, event));
        }
    }

    /// Whether a call of this scene can be made elsewhere, and is to be.
    pub(super) fn is_to_step_aside(&self, id: SceneId) -> bool {
        self.worker.is_slow(SceneKey(id.0)) && self.outcomes.lane.has_room()
    }
}

impl super::Outcomes {
    /// A call is to be made elsewhere, if there is room.
    pub(super) fn put_aside(&mut self, call: Box<Aside>) -> Result<(), NotTaken> {
        let id = SceneId(call.key().0);
        self.lane.put(call)?;
        self.away.insert(id, Waiting::default());
        Ok(())
    }

    pub(super) fn push(&mut self, key: SceneKey, outcome: Outcome) {
        self.queue.push_back((SceneId(key.0), outcome));
    }
}
