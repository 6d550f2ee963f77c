//! The nodes that run scenes: what they have, what is taken of it, and which gets the next scene.
//!
//! Invariants: a scene takes what its fleet says that it uses, from before its node is asked until it has ended, and
//! never more than the node has. A node that is drained gets no scenes. A node is idle as long as no scene on it is
//! allocated. A scene that is wanted in a region runs on a node of that region, or of none, and never in another one.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{Due, SceneMaster, State};
use serde::{Deserialize, Serialize};

use crate::Context;
use crate::config::{Fleet, OnDrain, Placement, Usage};
use crate::ids::{NodeId, SceneId, Time};
use crate::message::{EndReason, Message, ServiceName};
use crate::partition::Shard;
use crate::record::{self, DrainRecord};
use crate::refusal::Refusal;
use crate::scene_service::{self, Round};

/// How many nodes are remembered that are gone.
const GONE_MAX: usize = 10_000;

/// What a node gives to scenes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// How many instances it can hold, whatever they use.
    pub scenes: u32,
    /// Microseconds of its cores in each second.
    pub cpu_us_per_s: u64,
    /// KiB of memory.
    pub memory_kib: u64,
}

impl Capacity {
    /// So many scenes of any kind.
    pub fn scenes(scenes: u32) -> Self {
        Self { scenes, cpu_us_per_s: u64::MAX, memory_kib: u64::MAX }
    }
}

/// What is taken of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// How many scenes it has.
    pub scenes: u32,
    /// How many of them are used by anybody.
    pub in_use: u32,
    /// What they use of its cores, as their fleets say, in microseconds of each second.
    pub cpu_us_per_s: u64,
    /// The same for its memory, in KiB.
    pub memory_kib: u64,
}

impl Load {
    /// Both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            scenes: self.scenes + other.scenes,
            in_use: self.in_use + other.in_use,
            cpu_us_per_s: self.cpu_us_per_s + other.cpu_us_per_s,
            memory_kib: self.memory_kib + other.memory_kib,
        }
    }
}

/// What a node offers to SceneMaster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Where its scene connections go: the beginning of a URL or path.
    pub url: String,
    /// What it gives to scenes.
    pub capacity: Capacity,
    /// What becomes of it when it is idle; `None`: nothing.
    pub idle: Option<Idle>,
    /// Where it stands; `None`: that is not said.
    pub region: Option<String>,
}

/// What becomes of a node on which no scene was allocated for so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idle {
    /// The time to live without allocations.
    pub after_ms: u64,
    /// It is drained, and then told that it may exit; else it is only told that it is idle.
    pub exits: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub url: String,
    pub region: Option<String>,
    capacity: Capacity,
    /// What is taken, of each part: by the scenes that are counted here, and by those of other partitions as far as the
    /// node has told.
    used: Capacity,
    others: Load,
    /// How many of its scenes are allocated.
    pub allocated: u32,
    idle: Option<Idle>,
    /// Since when none is allocated.
    idle_since: Time,
    /// It gets no more scenes.
    pub is_draining: bool,
    /// Once nothing is left on it, it may exit.
    exits: bool,
    /// The latest round of its reports that has come.
    pub round: Option<Round>,
}

/// A node, for operators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeView {
    /// Which.
    pub node: NodeId,
    /// Where it stands.
    pub region: Option<String>,
    /// What it gives.
    pub capacity: Capacity,
    /// What is taken of it.
    pub used: Capacity,
    /// How many of its scenes are allocated.
    pub allocated: u32,
    /// Since when none is; `None` while one is.
    pub idle_since: Option<Time>,
    /// It gets no more scenes.
    pub is_draining: bool,
}

impl NodeView {
    /// As two SceneMasters see it, each with its own scenes.
    pub(super) fn and(self, other: Self) -> Self {
        let used = Capacity {
            scenes: self.used.scenes + other.used.scenes,
            cpu_us_per_s: self.used.cpu_us_per_s + other.used.cpu_us_per_s,
            memory_kib: self.used.memory_kib + other.used.memory_kib,
        };
        Self {
            used,
            allocated: self.allocated + other.allocated,
            idle_since: self.idle_since.zip(other.idle_since).map(|(one, other)| one.max(other)),
            is_draining: self.is_draining || other.is_draining,
            ..self
        }
    }
}

/// Which nodes are tried for a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nearness<'a> {
    /// Those in this region.
    In(&'a str),
    /// Those of no region.
    Anywhere,
    /// All, where no region is wanted.
    All,
}

impl<'a> Nearness<'a> {
    /// In this order.
    pub fn of(region: Option<&'a str>) -> Vec<Self> {
        match region {
            Some(region) => vec![Self::In(region), Self::Anywhere],
            None => vec![Self::All],
        }
    }

    /// Whether a node of this region is one of them.
    pub fn has(self, region: Option<&str>) -> bool {
        match self {
            Self::In(wanted) => region == Some(wanted),
            Self::Anywhere => region.is_none(),
            Self::All => true,
        }
    }
}

impl Node {
    /// How many more scenes that use so much it has room for.
    pub fn room_for(&self, usage: Usage) -> u32 {
        let fits = |has: u64, taken: u64, each: u32| match each {
            0 => u64::from(u32::MAX),
            each => has.saturating_sub(taken) / u64::from(each),
        };
        let (used, others) = (self.used, self.others);
        let scenes = u64::from(self.capacity.scenes.saturating_sub(used.scenes + others.scenes));
        let by_cpu = fits(self.capacity.cpu_us_per_s, used.cpu_us_per_s + others.cpu_us_per_s, usage.cpu_us_per_s);
        let by_memory = fits(self.capacity.memory_kib, used.memory_kib + others.memory_kib, usage.memory_kib);
        scenes.min(by_cpu).min(by_memory) as u32
    }

    fn take(&mut self, usage: Usage) {
        self.used.scenes += 1;
        self.used.cpu_us_per_s += u64::from(usage.cpu_us_per_s);
        self.used.memory_kib += u64::from(usage.memory_kib);
    }

    fn give_back(&mut self, usage: Usage) {
        self.used.scenes -= 1;
        self.used.cpu_us_per_s -= u64::from(usage.cpu_us_per_s);
        self.used.memory_kib -= u64::from(usage.memory_kib);
    }
}

impl SceneMaster {
    pub(super) fn node_up(&mut self, id: NodeId, offer: Offer, cx: &mut Context<'_>) {
        let Offer { url, capacity, idle, region } = offer;
        self.gone.remove(&id);
        self.forget_drain(id, cx);
        let nothing = Capacity { scenes: 0, cpu_us_per_s: 0, memory_kib: 0 };
        let mut node = Node {
            url,
            region,
            capacity,
            used: nothing,
            others: Load::default(),
            allocated: 0,
            idle,
            idle_since: cx.now,
            is_draining: false,
            exits: false,
            round: None,
        };
        for scene in self.scenes.values().filter(|scene| scene.node == id) {
            scene.usage.into_iter().for_each(|usage| node.take(usage));
            node.allocated += u32::from(scene.counted_on.is_some());
        }
        self.scenes.values().filter(|scene| scene.to == Some(id)).for_each(|scene| node.take(scene.rules.usage));
        self.nodes.insert(id, node);
        self.plan_idle(id);
        self.want_standby();
    }

    pub(super) fn node_down(&mut self, node: NodeId, cx: &mut Context<'_>) {
        self.forget_drain(node, cx);
        self.gone.insert(node);
        if self.gone.len() > GONE_MAX {
            self.gone.pop_first();
        }
        self.node_lost(node, cx);
    }

    /// A node that was drained is not any more: it is another process, or none.
    fn forget_drain(&mut self, node: NodeId, cx: &mut Context<'_>) {
        let is_draining = self.nodes.get(&node).is_some_and(|node| node.is_draining);
        if self.drains.remove(&node).is_some() || is_draining {
            cx.delete(record::drain_key(node));
        }
    }

    /// What a node ran is taken for lost. If it is heard later, it counts again, and what it still runs of that is ended.
    pub(super) fn node_lost(&mut self, node: NodeId, cx: &mut Context<'_>) {
        self.nodes.remove(&node);
        self.deadlines.clear(&Due::Node(node));
        self.ended_with(node);
        for id in self.scenes_to(node) {
            self.scenes.entry(id).and_modify(|scene| scene.to = None);
            self.keep(id, cx);
        }
        for id in self.scenes_of(node) {
            self.lost(id, super::MACHINE_GONE, cx);
        }
    }

    /// What is taken of a node, by shard; what is taken of it here is known better.
    pub(super) fn note_load(&mut self, id: NodeId, load: &BTreeMap<Shard, Load>) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let of_others = load.iter().filter(|(shard, _)| !self.partition.has(**shard));
        let others = of_others.fold(Load::default(), |sum, (_, load)| sum.and(*load));
        let has_more_room = others.scenes < node.others.scenes;
        node.others = others;
        if has_more_room {
            self.want_standby();
        }
    }

    /// What ran of a scene is no more: it goes on or begins anew if it may, else its users are told why it is over.
    pub(super) fn lost(&mut self, id: SceneId, why: &str, cx: &mut Context<'_>) {
        let scene = &self.scenes[&id];
        let (is_ending, is_new) = (scene.state == State::Stopping, scene.is_new());
        if !is_ending && !is_new && self.may_go_on(id, cx.now) {
            self.fell(id, why, cx);
        } else if !is_ending && !is_new && self.may_restart(id, cx.now) {
            self.restart(id, why.to_owned(), cx);
        } else if is_new && self.place_elsewhere(id, cx) {
            // Whoever has asked for it waits a little longer.
        } else if is_new {
            self.not_placed(id, Refusal::ServiceDown(ServiceName::SceneService), cx);
        } else {
            let reason = EndReason::Crashed(why.to_owned());
            // One that was ending already has its reason, and its results.
            self.scenes.get_mut(&id).expect("it was just looked at").end.get_or_insert((reason, Vec::new()));
            self.stopped(id, cx);
        }
    }

    /// The scenes that have a slot of this node, in the order of their ids.
    fn scenes_of(&self, node: NodeId) -> Vec<SceneId> {
        let on_node = self.scenes.iter().filter(|(_, it)| it.node == node && it.usage.is_some());
        let mut scenes: Vec<SceneId> = on_node.map(|(id, _)| *id).collect();
        scenes.sort();
        scenes
    }

    /// The scenes that are to move to this node, in the order of their ids.
    fn scenes_to(&self, node: NodeId) -> Vec<SceneId> {
        let to_node = self.scenes.iter().filter(|(_, it)| it.to == Some(node));
        let mut scenes: Vec<SceneId> = to_node.map(|(id, _)| *id).collect();
        scenes.sort();
        scenes
    }

    /// A node, other than this one, with room for one more scene of a fleet: in the wanted region if there is one, else
    /// of no region.
    pub(super) fn choose_node(
        &self,
        fleet: &Fleet,
        region: Option<&str>,
        other_than: Option<NodeId>,
    ) -> Result<NodeId, Refusal> {
        let chosen = Nearness::of(region).iter().find_map(|near| self.node_near(fleet, *near, other_than));
        chosen.ok_or_else(|| self.no_room(region))
    }

    /// A node, other than this one, that is so near and has room for one more scene of a fleet.
    pub(super) fn node_near(&self, fleet: &Fleet, near: Nearness<'_>, other_than: Option<NodeId>) -> Option<NodeId> {
        let is_open = |(id, node): &(&NodeId, &Node)| !node.is_draining && other_than != Some(**id);
        let open = self.nodes.iter().filter(|(_, node)| near.has(node.region.as_deref())).filter(is_open);
        let with_room = open.map(|(id, node)| (*id, node.room_for(fleet.usage))).filter(|(_, room)| *room > 0);
        let chosen = match fleet.placement {
            Placement::Spread => with_room.max_by_key(|(id, room)| (*room, Reverse(*id))),
            Placement::Packed => with_room.min_by_key(|(id, room)| (*room, *id)),
        };
        chosen.map(|(id, _)| id)
    }

    /// Why there is no node for a scene.
    pub(super) fn no_room(&self, region: Option<&str>) -> Refusal {
        let Some(region) = region else { return Refusal::Overloaded("scenes".into()) };
        let is_near = |node: &Node| Nearness::of(Some(region)).iter().any(|near| near.has(node.region.as_deref()));
        match self.nodes.values().any(is_near) {
            true => Refusal::Overloaded("scenes in this region".into()),
            false => Refusal::NotFound(format!("server for games in the region {region:?} now")),
        }
    }

    /// How many more scenes of a fleet there is room for on all nodes.
    pub(super) fn room_for(&self, fleet: &Fleet) -> u32 {
        let open = self.nodes.values().filter(|node| !node.is_draining);
        open.fold(0, |sum, node| sum.saturating_add(node.room_for(fleet.usage)))
    }

    pub(super) fn take_slot(&mut self, id: SceneId) {
        let Some(scene) = self.scenes.get_mut(&id).filter(|scene| scene.usage.is_none()) else { return };
        let usage = scene.rules.usage;
        scene.usage = Some(usage);
        self.nodes.entry(scene.node).and_modify(|node| node.take(usage));
    }

    pub(super) fn free_slot(&mut self, id: SceneId, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        let (Some(usage), node) = (scene.usage.take(), scene.node) else { return };
        self.nodes.entry(node).and_modify(|it| it.give_back(usage));
        self.want_standby();
        self.tell_if_drained(node, cx);
    }

    /// A scene that is to move has a slot of the node it goes to.
    pub(super) fn take_slot_to_come(&mut self, id: SceneId) {
        let Some(scene) = self.scenes.get(&id) else { return };
        let usage = scene.rules.usage;
        if let Some(node) = scene.to.and_then(|to| self.nodes.get_mut(&to)) {
            node.take(usage);
        }
    }

    /// It needs that slot no more, or takes it as its own. Of which node it was.
    pub(super) fn free_slot_to_come(&mut self, id: SceneId, cx: &mut Context<'_>) -> Option<NodeId> {
        let scene = self.scenes.get_mut(&id)?;
        let (to, usage) = (scene.to.take()?, scene.rules.usage);
        self.nodes.entry(to).and_modify(|it| it.give_back(usage));
        self.want_standby();
        self.tell_if_drained(to, cx);
        Some(to)
    }

    /// One more or one less of a node's scenes is allocated.
    pub(super) fn count_allocated(&mut self, id: NodeId, more: bool, cx: &Context<'_>) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        match more {
            true => node.allocated += 1,
            false => node.allocated -= 1,
        }
        if node.allocated == 0 {
            node.idle_since = cx.now;
        }
        self.plan_idle(id);
    }

    fn plan_idle(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get(&id) else { return };
        match node.idle.filter(|_| node.allocated == 0 && !node.is_draining) {
            Some(idle) => self.deadlines.set(Due::Node(id), node.idle_since.plus_ms(idle.after_ms)),
            None => self.deadlines.clear(&Due::Node(id)),
        }
    }

    /// A node was idle for its whole time to live.
    pub(super) fn node_idle(&mut self, id: NodeId, cx: &mut Context<'_>) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let Some(idle) = node.idle else { return };
        if node.others.in_use > 0 {
            node.idle_since = cx.now;
            return self.plan_idle(id);
        }
        cx.send(Message::NodeIdle(id));
        if idle.exits {
            self.drain_node(id, true, cx);
        }
    }

    /// A node gets no more scenes: those that nobody plays in end, games have their fleet's time.
    pub(super) fn drain_node(&mut self, id: NodeId, exits: bool, cx: &mut Context<'_>) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        (node.is_draining, node.exits) = (true, exits);
        cx.put(record::drain_key(id), record::encode(&DrainRecord { exits }));
        self.deadlines.clear(&Due::Node(id));
        for scene in self.scenes_of(id) {
            self.drain(scene, cx);
        }
        self.want_standby();
        self.tell_if_drained(id, cx);
    }

    /// A node that was being drained gets scenes again. Games that have been told to end go on to do so.
    pub(super) fn undrain_node(&mut self, id: NodeId, cx: &mut Context<'_>) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        cx.delete(record::drain_key(id));
        (node.is_draining, node.exits) = (false, false);
        let event = scene_service::Event::SynDrained { partition: self.partition, drained: false };
        cx.send(Message::SceneService(id, event));
        self.plan_idle(id);
        self.want_standby();
    }

    fn tell_if_drained(&self, id: NodeId, cx: &mut Context<'_>) {
        let is_drained = |node: &Node| node.is_draining && node.exits && node.used.scenes == 0;
        if self.nodes.get(&id).is_some_and(is_drained) {
            let event = scene_service::Event::SynDrained { partition: self.partition, drained: true };
            cx.send(Message::SceneService(id, event));
        }
    }

    /// A scene of a node that is being drained. One that is being made is drained when it is there.
    pub(super) fn drain(&mut self, id: SceneId, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get(&id) else { return };
        let moves = scene.rules.on_drain == OnDrain::Move;
        match scene.state {
            State::Allocated | State::Running | State::Suspect if moves => self.move_soon(id),
            _ => self.drain_to_end(id, cx),
        }
    }

    /// The same for one that does not go on elsewhere.
    pub(super) fn drain_to_end(&mut self, id: SceneId, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get(&id) else { return };
        match scene.state {
            State::Ready | State::Reserved | State::Empty => self.stop(id, EndReason::Drained, Vec::new(), cx),
            State::Allocated | State::Running | State::Suspect => {
                let (epoch, node) = (scene.epoch, scene.node);
                let life_until = scene.born.plus_ms(scene.rules.life_ms_max);
                let until = cx.now.plus_ms(scene.rules.drain_ms).min(life_until);
                let grace_ms = until.ms_since(cx.now);
                self.enter(id, State::Draining, Some(until), cx);
                let event = scene_service::Event::ReqDrainScene { scene: id, epoch, grace_ms };
                cx.send(Message::SceneService(node, event));
            }
            State::Placing
            | State::Releasing
            | State::Restarting
            | State::Draining
            | State::Stopping
            | State::Stopped => {}
        }
    }

    /// All nodes, for operators.
    pub(super) fn node_views(&self) -> Vec<NodeView> {
        let view = |(id, node): (&NodeId, &Node)| NodeView {
            node: *id,
            region: node.region.clone(),
            capacity: node.capacity,
            used: node.used,
            allocated: node.allocated,
            idle_since: (node.allocated == 0).then_some(node.idle_since),
            is_draining: node.is_draining,
        };
        self.nodes.iter().map(view).collect()
    }

    /// The slots of a node that are taken, and how many it has.
    pub fn slots(&self, node: NodeId) -> Option<(u32, u32)> {
        self.nodes.get(&node).map(|node| (node.used.scenes, node.capacity.scenes))
    }
}
