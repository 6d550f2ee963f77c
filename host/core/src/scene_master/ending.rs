//! Orders to end an incarnation of a scene.
//!
//! Invariant: an order is repeated until the incarnation's node says that no such one lives there, or the node is gone;
//! whatever has become of the scene meanwhile. So a message that is lost leaves no incarnation behind that nobody
//! knows. There are no more orders than scenes were on the nodes that there are.

use super::{Due, STOP_MS_MAX, SceneMaster};
use crate::Context;
use crate::ids::{Epoch, NodeId, SceneId};
use crate::message::{EndReason, Message, PlayerResult};
use crate::scene_service;

/// An order that is not answered.
#[derive(Debug, Clone)]
pub(super) struct Order {
    node: NodeId,
    grace_ms: u64,
    reason: EndReason,
    results: Vec<PlayerResult>,
    keep: bool,
}

impl SceneMaster {
    /// Orders the end of the scene's incarnation on its node. Its instance may be kept for the next session.
    pub(super) fn order_end(
        &mut self,
        id: SceneId,
        reason: EndReason,
        results: Vec<PlayerResult>,
        keep: bool,
        cx: &mut Context<'_>,
    ) {
        let Some(scene) = self.scenes.get(&id) else { return };
        let grace_ms = u64::from(scene.rules.stop_grace_ms);
        let order = Order { node: scene.node, grace_ms, reason, results, keep };
        self.ending.insert((id, scene.epoch), order);
        self.repeat_end(id, scene.epoch, cx);
    }

    /// Gives an order that is not answered, for the first time or again.
    pub(super) fn repeat_end(&mut self, id: SceneId, epoch: Epoch, cx: &mut Context<'_>) {
        let Some(order) = self.ending.get(&(id, epoch)).cloned() else { return };
        let Order { node, grace_ms, reason, results, keep } = order;
        let event = scene_service::Event::ReqDestroyScene { scene: id, epoch, reason, results, keep };
        cx.send(Message::SceneService(node, event));
        match self.nodes.contains_key(&node) {
            true => self.deadlines.set(Due::End(id, epoch), cx.now.plus_ms(grace_ms + STOP_MS_MAX)),
            false => self.end_confirmed(id, epoch),
        }
    }

    /// Whether the instance is to be kept, by the order that is not answered yet.
    pub(super) fn is_to_be_kept(&self, id: SceneId, epoch: Epoch) -> bool {
        self.ending.get(&(id, epoch)).is_some_and(|order| order.keep)
    }

    /// The instance is to end, too.
    pub(super) fn keep_no_more(&mut self, id: SceneId, epoch: Epoch, cx: &mut Context<'_>) {
        let Some(order) = self.ending.get_mut(&(id, epoch)).filter(|order| order.keep) else { return };
        order.keep = false;
        self.repeat_end(id, epoch, cx);
    }

    /// No such incarnation lives on its node any more, or its instance is kept.
    pub(super) fn end_confirmed(&mut self, id: SceneId, epoch: Epoch) {
        self.ending.remove(&(id, epoch));
        self.deadlines.clear(&Due::End(id, epoch));
    }

    /// Whatever lived on a node that is gone lives no more.
    pub(super) fn ended_with(&mut self, node: NodeId) {
        let on_node = self.ending.iter().filter(|(_, order)| order.node == node);
        let ended: Vec<(SceneId, Epoch)> = on_node.map(|(incarnation, _)| *incarnation).collect();
        for (id, epoch) in ended {
            self.end_confirmed(id, epoch);
        }
    }

    /// An incarnation that should not be has been heard of. If its end is not ordered already, where it lives is not
    /// known: each node is told. It is heard of again if that is lost.
    pub(super) fn end_stray(&self, id: SceneId, epoch: Epoch, cx: &mut Context<'_>) {
        if self.ending.contains_key(&(id, epoch)) {
            return;
        }
        for node in self.nodes.keys() {
            let (reason, results) = (EndReason::Expired, Vec::new());
            let event = scene_service::Event::ReqDestroyScene { scene: id, epoch, reason, results, keep: false };
            cx.send(Message::SceneService(*node, event));
        }
    }
}
