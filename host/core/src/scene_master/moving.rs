//! Scenes that go on on another node while they are played: by an operator's order, and when their node is drained.
//!
//! Invariants: a scene that is to move has a slot of the node it goes to before its own is asked to let it go, so that
//! there is a place for it; its next incarnation begins only when the one before is no more, with its journal complete,
//! or its node is gone. Whatever goes wrong, it plays on where it is, or goes on from its journal. At most [`MOVES_MAX`]
//! scenes are on the way at once; of drained nodes the others play on until it is their turn. An operator's order is
//! answered once: when the scene is there, stays where it is, or ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::nodes::Nearness;
use super::{Answer, PLACE_MS_MAX, SceneMaster, SeatState, State};
use crate::Context;
use crate::config::OnDrain;
use crate::ids::{Epoch, NodeId, SceneId};
use crate::message::Message;
use crate::refusal::Refusal;
use crate::scene_service;

/// How long a node may take to let a scene go before it is asked again.
pub const RELEASE_MS_MAX: u64 = 5_000;
/// How often a node is asked to let a scene go; then it stays where it is.
pub const RELEASES_MAX: u32 = 3;
/// How many scenes are on the way at once. Each takes as long as it takes to begin a scene.
pub const MOVES_MAX: usize = 64;

/// The scenes that move.
#[derive(Debug, Clone, Default)]
pub(super) struct Moves {
    under_way: BTreeMap<SceneId, Move>,
    /// Those of drained nodes whose turn is to come.
    next: BTreeSet<SceneId>,
}

#[derive(Debug, Clone, Copy)]
struct Move {
    /// How often its node was asked to let it go.
    asked: u32,
    /// The operator who waits for it.
    operator: Option<u64>,
}

impl SceneMaster {
    /// An operator wants a scene elsewhere: on this node, or on any. It is answered when it is there.
    pub(super) fn move_by_hand(
        &mut self,
        number: u64,
        id: SceneId,
        to: Option<NodeId>,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        self.may_move(id)?;
        let scene = &self.scenes[&id];
        let (rules, region, from) = (Arc::clone(&scene.rules), scene.arranged.region.as_deref(), scene.node);
        let to = match to {
            Some(to) => self.has_room(to, id).map(|()| to)?,
            None => self.choose_node(&rules, region, Some(from))?,
        };
        self.begin_move(id, to, Some(number), cx);
        Ok(())
    }

    fn may_move(&self, id: SceneId) -> Result<(), Refusal> {
        if self.stopping {
            return Err(Refusal::Stopping);
        }
        let scene = self.scenes.get(&id).ok_or_else(|| Refusal::NotFound(format!("scene {id}")))?;
        match scene.state {
            State::Allocated | State::Running | State::Suspect => {}
            State::Placing | State::Releasing | State::Restarting => {
                return Err(Refusal::Busy("this scene is on its way already: try again in a moment".into()));
            }
            State::Draining => {
                return Err(Refusal::Busy("this game was told that it ends, for its node is being drained".into()));
            }
            State::Ready | State::Reserved | State::Empty => {
                return Err(Refusal::Invalid(format!("nobody plays in the scene {id}: stop it instead")));
            }
            State::Stopping | State::Stopped => return Err(Refusal::SceneEnded),
        }
        if !scene.rules.goes_on() {
            let text = "scenes of this fleet cannot be moved: that needs journal.keep and on_crash = \"restart\"";
            return Err(Refusal::Invalid(text.to_owned()));
        }
        match self.moves.under_way.len() < MOVES_MAX {
            true => Ok(()),
            false => Err(Refusal::Overloaded("scenes that are being moved".into())),
        }
    }

    /// Whether a scene may go to this node.
    fn has_room(&self, to: NodeId, id: SceneId) -> Result<(), Refusal> {
        let scene = &self.scenes[&id];
        let node = self.nodes.get(&to).ok_or_else(|| Refusal::NotFound(format!("node {to}")))?;
        let is_near = |near: &Nearness<'_>| near.has(node.region.as_deref());
        if scene.node == to {
            return Err(Refusal::Invalid(format!("the scene {id} runs on node {to} already")));
        }
        if node.is_draining {
            return Err(Refusal::Busy("this node is being drained: it gets no scenes".into()));
        }
        if !Nearness::of(scene.arranged.region.as_deref()).iter().any(is_near) {
            return Err(Refusal::Invalid(format!("node {to} is not in the region of the scene {id}")));
        }
        match node.room_for(scene.rules.usage) {
            0 => Err(Refusal::Overloaded("scenes on this node".into())),
            _ => Ok(()),
        }
    }

    /// A scene of a node that is drained is to move, when it is its turn.
    pub(super) fn move_soon(&mut self, id: SceneId) {
        self.moves.next.insert(id);
    }

    /// Begins the moves for which there is room now.
    pub(super) fn move_next(&mut self, cx: &mut Context<'_>) {
        while self.db_up && self.moves.under_way.len() < MOVES_MAX {
            let Some(id) = self.moves.next.pop_first() else { return };
            let Some(scene) = self.scenes.get(&id) else { continue };
            let is_draining = self.nodes.get(&scene.node).is_some_and(|node| node.is_draining);
            if !is_draining || !matches!(scene.state, State::Allocated | State::Running | State::Suspect) {
                continue;
            }
            let (rules, region, from) = (Arc::clone(&scene.rules), scene.arranged.region.as_deref(), scene.node);
            match self.choose_node(&rules, region, Some(from)) {
                Ok(to) if rules.on_drain == OnDrain::Move => self.begin_move(id, to, None, cx),
                _ => self.drain_to_end(id, cx),
            }
        }
    }

    fn begin_move(&mut self, id: SceneId, to: NodeId, operator: Option<u64>, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        scene.to = Some(to);
        self.take_slot_to_come(id);
        self.moves.under_way.insert(id, Move { asked: 0, operator });
        self.ask_to_release(id, cx);
    }

    fn ask_to_release(&mut self, id: SceneId, cx: &mut Context<'_>) {
        // A SceneMaster before may have asked, too.
        self.moves.under_way.entry(id).or_insert(Move { asked: 0, operator: None }).asked += 1;
        self.enter(id, State::Releasing, Some(cx.now.plus_ms(RELEASE_MS_MAX)), cx);
        let scene = &self.scenes[&id];
        let event = scene_service::Event::ReqReleaseScene { scene: id, epoch: scene.epoch };
        cx.send(Message::SceneService(scene.node, event));
    }

    /// Its node has said nothing.
    pub(super) fn not_released_in_time(&mut self, id: SceneId, cx: &mut Context<'_>) {
        match self.moves.under_way.get(&id).is_none_or(|it| it.asked < RELEASES_MAX) {
            true => self.ask_to_release(id, cx),
            // If it has let it go all the same, its reports tell.
            false => self.stays(id, Refusal::TimedOut("letting the game go".into()), cx),
        }
    }

    /// A node has let a scene go, or cannot.
    pub(super) fn res_release_scene(
        &mut self,
        id: SceneId,
        epoch: Epoch,
        result: Result<(), Refusal>,
        cx: &mut Context<'_>,
    ) {
        match (self.live(id, epoch).map(|scene| scene.state), result) {
            (Some(State::Releasing), Err(refusal)) => self.stays(id, refusal, cx),
            // Also if it was not awaited any more: that incarnation is no more.
            (
                Some(
                    State::Releasing
                    | State::Allocated
                    | State::Running
                    | State::Suspect
                    | State::Empty
                    | State::Draining,
                ),
                Ok(()),
            ) => self.released(id, cx),
            (Some(State::Stopping), Ok(())) => self.res_destroy_scene(id, epoch, false, cx),
            _ => {}
        }
    }

    /// The incarnation is no more, and nothing of it is lost: the next one goes on.
    fn released(&mut self, id: SceneId, cx: &mut Context<'_>) {
        if self.stopping {
            return self.stopped(id, cx);
        }
        self.scenes.entry(id).and_modify(|scene| scene.falls.push(cx.now));
        self.next_life(id, cx.now, cx);
    }

    /// A scene that was to move plays on where it is.
    fn stays(&mut self, id: SceneId, refusal: Refusal, cx: &mut Context<'_>) {
        if let Some(operator) = self.moves.under_way.remove(&id).and_then(|it| it.operator) {
            cx.send(Message::Operator(operator, Err(refusal)));
        }
        let Some(scene) = self.scenes.get(&id) else { return };
        let rules = &scene.rules;
        let life_until = scene.born.plus_ms(rules.life_ms_max);
        let is_held = scene.seats.iter().any(|row| row.state == SeatState::Held);
        let (state, until) = match (is_held, scene.strikes.last()) {
            (true, None) => (State::Running, life_until),
            (true, Some(last)) => (State::Suspect, last.plus_ms(rules.strikes.within_ms).min(life_until)),
            (false, _) => (State::Allocated, cx.now.plus_ms(PLACE_MS_MAX + rules.token_ms)),
        };
        let (node, nobody) = (scene.node, scene.seats.iter().all(|row| row.state == SeatState::Gone));
        self.enter(id, state, Some(until), cx);
        if self.nodes.get(&node).is_some_and(|node| node.is_draining) {
            self.drain_to_end(id, cx);
        }
        if nobody {
            self.end_if_nobody(id, cx);
        }
    }

    /// A scene has entered a state: one that is not on the way any more needs no other slot, and who waits for its move
    /// is answered.
    pub(super) fn settle_move(&mut self, id: SceneId, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get(&id) else { return };
        let (state, node) = (scene.state, scene.node);
        if !matches!(state, State::Releasing | State::Restarting) {
            self.free_slot_to_come(id, cx);
        }
        let result = match state {
            State::Releasing | State::Restarting | State::Placing => return,
            State::Stopping | State::Stopped => Err(Refusal::SceneEnded),
            _ => Ok(Box::new(Answer::Moved { scene: id, node })),
        };
        if let Some(operator) = self.moves.under_way.remove(&id).and_then(|it| it.operator) {
            cx.send(Message::Operator(operator, result));
        }
    }
}
