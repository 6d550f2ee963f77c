//! The SceneMasters of all partitions: which are up, who waited for one that goes, and who is told.
//!
//! Invariant: where there is one, all users are told of it. Of several, those are told whom one concerns: who searches in
//! a domain of its fleets or plays in a scene of them, and who is refused because of it, or comes in, while it is down;
//! and all of these when it is back.

use std::collections::{BTreeMap, BTreeSet};

use super::{Lobby, Phase};
use crate::Context;
use crate::ids::{DomainName, SceneId, UserId};
use crate::message::{Notice, ServiceName};
use crate::partition::{Partition, Shard};
use crate::refusal::Refusal;

const DOWN: Refusal = Refusal::ServiceDown(ServiceName::SceneMaster);

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Masters {
    /// Whether each is up.
    all: BTreeMap<Partition, bool>,
    /// Of what who was told, by the partition that is down.
    told: BTreeMap<Partition, BTreeSet<(UserId, DomainName)>>,
}

impl Masters {
    pub fn new(partitions: impl IntoIterator<Item = Partition>) -> Self {
        Self { all: partitions.into_iter().map(|partition| (partition, true)).collect(), told: BTreeMap::new() }
    }

    pub fn all(&self) -> BTreeSet<Partition> {
        self.all.keys().copied().collect()
    }

    /// Those that are up and have one of these shards.
    pub fn up_of(&self, shards: Partition) -> BTreeSet<Partition> {
        let up = self.all.iter().filter(|(partition, up)| **up && partition.overlaps(shards));
        up.map(|(partition, _)| *partition).collect()
    }

    pub fn is_down(&self, partition: Partition) -> bool {
        self.all.get(&partition) == Some(&false)
    }

    /// That of a shard.
    pub fn of(&self, shard: Shard) -> Option<Partition> {
        self.all.keys().find(|partition| partition.has(shard)).copied()
    }

    /// Whether one can be asked that has one of these shards.
    pub fn check(&self, shards: Partition) -> Result<(), Refusal> {
        if self.up_of(shards).is_empty() { Err(DOWN) } else { Ok(()) }
    }

    /// The same for the one that has a scene.
    pub fn check_scene(&self, scene: SceneId) -> Result<(), Refusal> {
        self.check(Shard::of_id(scene.0).into())
    }

    fn is_one(&self) -> bool {
        self.all.len() == 1
    }
}

impl Lobby {
    /// A lobby beside the SceneMasters of these partitions, which are all there are; without this there is one.
    pub fn with_partitions(mut self, partitions: impl IntoIterator<Item = Partition>) -> Self {
        self.masters = Masters::new(partitions);
        self
    }

    /// The SceneMasters of these shards went up or down.
    pub(super) fn scene_masters(&mut self, shards: Partition, up: bool, cx: &mut Context<'_>) {
        let concerned = self.masters.all.iter().filter(|(partition, was)| **was != up && partition.overlaps(shards));
        let concerned: Vec<Partition> = concerned.map(|(partition, _)| *partition).collect();
        for partition in concerned {
            self.masters.all.insert(partition, up);
            match up {
                true => self.master_up(partition, cx),
                false => self.master_down(partition, cx),
            }
        }
    }

    fn master_up(&mut self, partition: Partition, cx: &mut Context<'_>) {
        if self.masters.is_one() {
            self.services_down.remove(&ServiceName::SceneMaster);
            self.tell_all(Notice::SynService(ServiceName::SceneMaster, true), cx);
        }
        for (id, domain) in self.masters.told.remove(&partition).unwrap_or_default() {
            self.tell(id, 0, Notice::SynScenes { domain, up: true }, cx);
        }
        self.ask_for_seats(cx);
    }

    fn master_down(&mut self, partition: Partition, cx: &mut Context<'_>) {
        if self.masters.is_one() {
            self.services_down.insert(ServiceName::SceneMaster);
            self.tell_all(Notice::SynService(ServiceName::SceneMaster, false), cx);
        } else {
            self.tell_down(partition, cx);
        }
        let of_partition = |scene: &SceneId| partition.has(Shard::of_id(scene.0));
        let is_waiting =
            |phase: &Phase| matches!(phase, Phase::InScene { scene, rejoin: Some(_), .. } if of_partition(scene));
        for id in self.users_where(|user| is_waiting(&user.phase)) {
            self.res_rejoin(id, Err(DOWN), cx);
        }
        self.scene_master_answers_no_more(partition, cx);
        self.seats_unknown(partition, cx);
    }

    fn tell_down(&mut self, partition: Partition, cx: &mut Context<'_>) {
        let mut told = BTreeSet::new();
        for id in self.users_where(|_| true) {
            let domain = match &self.users[&id].phase {
                Phase::Searching { domain, .. } if self.partition_of_domain(domain) == Some(partition) => {
                    domain.clone()
                }
                Phase::InScene { scene, domain, .. } if partition.has(Shard::of_id(scene.0)) => domain.clone(),
                _ => continue,
            };
            self.tell(id, 0, Notice::SynScenes { domain: domain.clone(), up: false }, cx);
            told.insert((id, domain));
        }
        self.masters.told.insert(partition, told);
    }

    fn partition_of_domain(&self, domain: &DomainName) -> Option<Partition> {
        self.masters.of(Shard::of_fleet(&self.domains.get(domain)?.fleet))
    }

    /// Who was refused because a SceneMaster is down is told when it is back.
    pub(super) fn note_refused_by_master(&mut self, id: UserId, domain: &DomainName, refusal: &Refusal) {
        if *refusal == DOWN
            && let Some(partition) = self.partition_of_domain(domain)
            && let Some(told) = self.masters.told.get_mut(&partition)
        {
            told.insert((id, domain.clone()));
        }
    }

    /// The domains for which no scenes are made now, for a user who is told of them with this.
    pub(super) fn domains_without_scenes_for(&mut self, id: UserId) -> Vec<DomainName> {
        let down = |domain: &DomainName| Some((self.partition_of_domain(domain)?, domain.clone()));
        let down: Vec<(Partition, DomainName)> = self.domains.keys().filter_map(down).collect();
        let mut domains = Vec::new();
        for (partition, domain) in down {
            if let Some(told) = self.masters.told.get_mut(&partition) {
                told.insert((id, domain.clone()));
                domains.push(domain);
            }
        }
        domains
    }
}
