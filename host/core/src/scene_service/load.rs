//! What is taken of a node that several SceneMasters give scenes to.
//!
//! Invariants: no scene begins for which there is no room, whatever a SceneMaster thinks; they hear within [`LOAD_MS`]
//! what the others have taken. The process may exit when all of them give it no scenes any more and none is left.

use std::collections::{BTreeMap, BTreeSet};

use super::{Due, Row, SceneService};
use crate::Context;
use crate::config::Usage;
use crate::ids::SceneId;
use crate::message::Message;
use crate::partition::{Partition, Shard};
use crate::scene_master::{self, Load};

/// How long it may take until the SceneMasters are told of a change.
pub const LOAD_MS: u64 = 500;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    partitions: BTreeSet<Partition>,
    /// Those that have no scenes here and give it none.
    drained: BTreeSet<Partition>,
    by_shard: BTreeMap<Shard, Load>,
}

impl Shared {
    pub fn new(partitions: impl IntoIterator<Item = Partition>) -> Self {
        let partitions = partitions.into_iter().collect();
        Self { partitions, drained: BTreeSet::new(), by_shard: BTreeMap::new() }
    }

    pub fn by_shard(&self) -> &BTreeMap<Shard, Load> {
        &self.by_shard
    }

    pub fn add(&mut self, scene: SceneId, row: &Row) {
        let load = self.by_shard.entry(Shard::of_id(scene.0)).or_default();
        *load = load.and(load_of(row));
    }

    pub fn remove(&mut self, scene: SceneId, row: &Row) {
        let shard = Shard::of_id(scene.0);
        let Some(load) = self.by_shard.get_mut(&shard) else { return };
        let gone = load_of(row);
        load.scenes -= gone.scenes;
        load.in_use -= gone.in_use;
        load.cpu_us_per_s -= gone.cpu_us_per_s;
        load.memory_kib -= gone.memory_kib;
        if load.scenes == 0 {
            self.by_shard.remove(&shard);
        }
    }
}

fn load_of(row: &Row) -> Load {
    let Usage { cpu_us_per_s, memory_kib, .. } = row.usage;
    Load { scenes: 1, in_use: u32::from(row.is_used), cpu_us_per_s: cpu_us_per_s.into(), memory_kib: memory_kib.into() }
}

impl SceneService {
    /// Whether one more scene fits that uses so much.
    pub(super) fn has_room(&self, usage: Usage) -> bool {
        let taken = self.load.by_shard.values().fold(Load::default(), |sum, load| sum.and(*load));
        let capacity = self.offer.capacity;
        taken.scenes < capacity.scenes
            && taken.cpu_us_per_s + u64::from(usage.cpu_us_per_s) <= capacity.cpu_us_per_s
            && taken.memory_kib + u64::from(usage.memory_kib) <= capacity.memory_kib
    }

    /// What is taken has changed.
    pub(super) fn plan_load(&mut self, cx: &Context<'_>) {
        if self.load.partitions.len() > 1 && self.deadlines.get(&Due::Load).is_none() {
            self.deadlines.set(Due::Load, cx.now.plus_ms(LOAD_MS));
        }
    }

    /// Tells the SceneMasters, if there are several, what is taken.
    pub(super) fn tell_load(&mut self, cx: &mut Context<'_>) {
        self.deadlines.clear(&Due::Load);
        if self.load.partitions.len() > 1 {
            cx.send(scene_master::Event::SynLoad { node: self.node, load: self.load.by_shard.clone() });
        }
    }

    pub(super) fn syn_drained(&mut self, partition: Partition, drained: bool, cx: &mut Context<'_>) {
        match drained {
            true => self.load.drained.insert(partition),
            false => self.load.drained.remove(&partition),
        };
        self.exit_if_drained(cx);
    }

    pub(super) fn exit_if_drained(&self, cx: &mut Context<'_>) {
        if self.scenes.is_empty() && self.load.drained == self.load.partitions {
            cx.send(Message::NodeDrained(self.node));
        }
    }
}
