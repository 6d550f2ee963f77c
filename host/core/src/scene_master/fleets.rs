//! Fleets: what their scenes are made of now, and how many of them are kept ready.
//!
//! Invariants: a fleet counts its scenes that are ready, reserved or being made ready from their states alone. With
//! `start = "provision"` there are `standby_min` of the fleet's build ready or being made so, as far as there is room.
//! A scene that could not be made ready is tried again later each time, and at most [`PROVISION_MAX`] are under way.
//! A scene keeps the rules that it began with. Which of a fleet's builds a new scene is made of is decided once, when it
//! gets its place; of any hundred new scenes in a row the canary has exactly its share. While the build is in quarantine
//! there are no new scenes of the fleet.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::nodes::Nearness;
use super::placing::Asked;
use super::restart::{RESTART_MS, RESTART_MS_MAX};
use super::{Due, Scene, SceneMaster, State};
use serde::{Deserialize, Serialize};

use crate::Context;
use crate::config::{AfterSession, Fleet, StartOn};
use crate::ids::{Build, FleetName, SceneId, Time};
use crate::message::{EndReason, ServiceName};
use crate::partition::Shard;
use crate::refusal::Refusal;

/// How many scenes of one fleet may be being made ready at once.
pub const PROVISION_MAX: usize = 64;

/// What new scenes of a fleet are made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Builds {
    /// All, but for the canary's share.
    pub build: Build,
    /// A build that is tried with some of them.
    pub canary: Option<Canary>,
    /// The build has failed too often: there are no new scenes, of the canary neither, until there is another one.
    pub in_quarantine: bool,
}

/// A build of which a part of a fleet's new scenes is made, to see how it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// Which one.
    pub build: Build,
    /// How many of a hundred new scenes, 0 to 100.
    pub percent: u8,
}

impl From<Build> for Builds {
    fn from(build: Build) -> Self {
        Self { build, ..Self::default() }
    }
}

impl Builds {
    /// Whether new scenes are made of this one.
    fn have(&self, build: Build) -> bool {
        self.build == build || self.canary.is_some_and(|canary| canary.build == build)
    }

    /// Whether a scene of this one that nobody uses may get users.
    fn want(&self, build: Build) -> bool {
        !self.in_quarantine && self.have(build)
    }
}

/// A fleet.
#[derive(Debug, Clone, Default)]
pub(super) struct FleetState {
    pub builds: Builds,
    /// What the canary is still owed, in hundredths of a scene; below 100.
    owed: u32,
    pub rules: Arc<Fleet>,
    /// The scenes that are ready, the one that has been so for the longest time first.
    pub ready: BTreeSet<(Time, SceneId)>,
    reserved: usize,
    provisioning: usize,
    /// How often in a row none could be made ready, and until when none is tried.
    failures: u32,
    retry_at: Option<Time>,
    /// It is no more: there are no new scenes of it.
    is_gone: bool,
}

impl FleetState {
    pub fn new(rules: Fleet) -> Self {
        Self::of(Builds::default(), rules)
    }

    pub fn of(builds: Builds, rules: Fleet) -> Self {
        Self { builds, rules: Arc::new(rules), ..Self::default() }
    }

    /// What the next new scene is made of. The canary's scenes are spread evenly among the others, as the steps of a
    /// line are by Bresenham's algorithm (IBM Systems Journal 4 (1), 1965), so that no chance decides.
    pub fn next_build(&mut self) -> Build {
        let Some(Canary { build, percent }) = self.builds.canary else { return self.builds.build };
        self.owed += u32::from(percent.min(100));
        if self.owed < 100 {
            return self.builds.build;
        }
        self.owed -= 100;
        build
    }

    /// What the next session of a scene is made of that was made ready with this build.
    pub fn build_after(&mut self, build: Build) -> Build {
        if self.builds.have(build) { build } else { self.next_build() }
    }

    /// One that is no more, of which there still are scenes.
    pub fn gone() -> Self {
        Self { is_gone: true, ..Self::default() }
    }
}

/// How a fleet counts one of its scenes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Provisioning,
    Ready(Time),
    Reserved,
    /// In use, or at its end.
    Other,
}

/// A fleet, for operators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetView {
    /// Its name.
    pub fleet: FleetName,
    /// What its new scenes are made of.
    pub builds: Builds,
    /// Its rules.
    pub rules: Arc<Fleet>,
    /// How many of its scenes are in each state.
    pub scenes: BTreeMap<Cow<'static, str>, u32>,
    /// How many of them are of the canary's build.
    pub of_canary: u32,
    /// How many of them are of neither of the fleet's builds.
    pub of_other_builds: u32,
    /// How many more there is room for.
    pub room: u32,
    /// When scenes are made ready again, if that failed.
    pub retry_at: Option<Time>,
}

impl SceneMaster {
    /// What fleets are from now on, those of others among them. Scenes that are in use keep what they have; those that wait for use and are of
    /// another build are replaced.
    pub(super) fn set_fleets(&mut self, mut fleets: BTreeMap<FleetName, (Builds, Fleet)>, cx: &mut Context<'_>) {
        fleets.retain(|name, _| self.partition.has(Shard::of_fleet(name)));
        for (name, fleet) in &mut self.fleets {
            fleet.is_gone = !fleets.contains_key(name);
        }
        for (name, (builds, rules)) in fleets {
            let fleet = self.fleets.entry(name).or_default();
            fleet.is_gone = false;
            if fleet.builds != builds {
                (fleet.failures, fleet.retry_at) = (0, None);
            }
            if fleet.builds.canary.map(|canary| canary.build) != builds.canary.map(|canary| canary.build) {
                fleet.owed = 0;
            }
            (fleet.builds, fleet.rules) = (builds, Arc::new(rules));
        }
        // A fresh SceneMaster knows only later which scenes there are.
        if self.reconcile.is_none() {
            self.replace(cx);
        }
    }

    /// Scenes that wait for use and are not what their fleets are now are replaced.
    pub(super) fn replace(&mut self, cx: &mut Context<'_>) {
        let replaced: Vec<SceneId> =
            self.fleets.values().flat_map(|fleet| fleet.ready.iter().map(|(_, id)| *id)).collect();
        for id in replaced {
            let scene = &self.scenes[&id];
            let fleet = &self.fleets[&scene.fleet];
            if fleet.is_gone || !fleet.builds.want(scene.build) {
                self.stop(id, EndReason::Replaced, Vec::new(), cx);
            }
        }
        // What nobody uses and nothing is left of.
        self.fleets.retain(|name, fleet| !fleet.is_gone || self.scenes.values().any(|scene| scene.fleet == *name));
        self.want_standby();
    }

    /// A fleet of which there may be new scenes now.
    pub(super) fn open_fleet(&self, name: &FleetName) -> Result<&FleetState, Refusal> {
        if self.stopping {
            return Err(Refusal::Stopping);
        }
        if self.reconcile.is_some() {
            return Err(Refusal::ServiceDown(ServiceName::SceneMaster));
        }
        if !self.db_up {
            // A scene would wait for its record to be written, and its users with it.
            return Err(Refusal::ServiceDown(ServiceName::Db));
        }
        let fleet = self.fleets.get(name).filter(|fleet| !fleet.is_gone);
        let fleet = fleet.ok_or_else(|| Refusal::NotFound(format!("fleet named {:?}", name.as_str())))?;
        if fleet.builds.in_quarantine { Err(Refusal::Quarantined) } else { Ok(fleet) }
    }

    /// The scene of a fleet that is ready for the longest time, of those that are so near.
    pub(super) fn ready_scene(&self, name: &FleetName, near: Nearness<'_>) -> Option<SceneId> {
        let region = |id: &SceneId| self.nodes.get(&self.scenes.get(id)?.node)?.region.as_deref();
        let ready = &self.fleets.get(name)?.ready;
        ready.iter().map(|(_, id)| *id).find(|id| near.has(region(id)))
    }

    /// A scene has changed: its fleet and its node count it by what it is now.
    pub(super) fn count(&mut self, id: SceneId, cx: &Context<'_>) {
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        let standing = scene.standing(cx.now);
        let before = std::mem::replace(&mut scene.standing, standing);
        let (name, node) = (scene.fleet.clone(), scene.node);
        let is_allocated = scene.allocation.is_some() && scene.usage.is_some() && scene.state != State::Stopped;
        let was_allocated = std::mem::replace(&mut scene.counted_on, is_allocated.then_some(node));
        if was_allocated != is_allocated.then_some(node) {
            was_allocated.into_iter().for_each(|node| self.count_allocated(node, false, cx));
            is_allocated.then_some(node).into_iter().for_each(|node| self.count_allocated(node, true, cx));
        }
        if before == standing {
            return;
        }
        let Some(fleet) = self.fleets.get_mut(&name) else { return };
        match before {
            Standing::Provisioning => fleet.provisioning -= 1,
            Standing::Ready(since) => _ = fleet.ready.remove(&(since, id)),
            Standing::Reserved => fleet.reserved -= 1,
            Standing::Other => {}
        }
        match standing {
            Standing::Provisioning => fleet.provisioning += 1,
            Standing::Ready(since) => _ = fleet.ready.insert((since, id)),
            Standing::Reserved => fleet.reserved += 1,
            Standing::Other => {}
        }
        self.standby_wanted.insert(name);
    }

    /// Every fleet is to be looked at, for there is room that was not there before.
    pub(super) fn want_standby(&mut self) {
        let provisioned = self.fleets.iter().filter(|(_, fleet)| fleet.rules.start == StartOn::Provision);
        let names: Vec<FleetName> = provisioned.map(|(name, _)| name.clone()).collect();
        self.standby_wanted.extend(names);
    }

    /// Makes ready what is missing in the fleets that have changed.
    pub(super) fn provision(&mut self, cx: &mut Context<'_>) {
        while let Some(name) = self.standby_wanted.pop_first() {
            for _ in 0..self.missing(&name, cx.now) {
                let rules = Arc::clone(&self.fleets[&name].rules);
                // Where there is no room it is looked at again when there is.
                let Ok(node) = self.choose_node(&rules, None, None) else { break };
                let id = self.place(&name, node, Asked::Standby, cx);
                self.order_scene(id, false, cx);
            }
            // Counting these has put it here again.
            self.standby_wanted.remove(&name);
        }
    }

    /// How many scenes of a fleet are to be made ready now.
    fn missing(&self, name: &FleetName, now: Time) -> usize {
        let Ok(fleet) = self.open_fleet(name) else { return 0 };
        if fleet.rules.start != StartOn::Provision || fleet.retry_at.is_some_and(|at| now < at) {
            return 0;
        }
        let missing = (fleet.rules.standby_min as usize).saturating_sub(fleet.ready.len() + fleet.provisioning);
        missing.min(PROVISION_MAX.saturating_sub(fleet.provisioning))
    }

    /// A scene that was to be ready could not be made: the next one is tried later.
    pub(super) fn not_provisioned(&mut self, name: &FleetName, cx: &mut Context<'_>) {
        let Some(fleet) = self.fleets.get_mut(name) else { return };
        // Those that were under way together fail together.
        if fleet.retry_at.is_some_and(|at| cx.now < at) {
            return;
        }
        let after_ms = (RESTART_MS << fleet.failures.min(16)).min(RESTART_MS_MAX);
        let retry_at = cx.now.plus_ms(after_ms + cx.rng.next_u64() % (after_ms / 2 + 1));
        fleet.failures = fleet.failures.saturating_add(1);
        fleet.retry_at = Some(retry_at);
        self.deadlines.set(Due::Fleet(name.clone()), retry_at);
    }

    /// A scene of a fleet is there: the next one need not wait.
    pub(super) fn was_placed(&mut self, name: &FleetName) {
        if let Some(fleet) = self.fleets.get_mut(name) {
            (fleet.failures, fleet.retry_at) = (0, None);
        }
    }

    /// A scene is there that nobody uses: it is ready, unless it is not wanted any more.
    pub(super) fn ready(&mut self, id: SceneId, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get(&id) else { return };
        let fleet = &self.fleets[&scene.fleet];
        if let Some(reason) = self.unwanted(scene) {
            return self.stop(id, reason, Vec::new(), cx);
        }
        let until = cx.now.plus_ms(fleet.rules.standby_ms);
        self.enter(id, State::Ready, Some(until), cx);
    }

    /// Why a scene that nobody uses is not kept.
    fn unwanted(&self, scene: &Scene) -> Option<EndReason> {
        let fleet = &self.fleets[&scene.fleet];
        let is_counted = matches!(scene.standing, Standing::Ready(_) | Standing::Reserved);
        let others = fleet.ready.len() + fleet.reserved - usize::from(is_counted);
        if self.stopping {
            Some(EndReason::Stopped)
        } else if self.nodes.get(&scene.node).is_none_or(|node| node.is_draining) {
            Some(EndReason::Drained)
        } else if fleet.is_gone || !fleet.builds.want(scene.build) {
            Some(EndReason::Replaced)
        } else if others >= fleet.rules.standby_max as usize {
            Some(EndReason::Idle)
        } else {
            None
        }
    }

    /// A ready scene has not been used for its time to live: it ends, unless it is one of those that always are there.
    pub(super) fn standby_over(&mut self, id: SceneId, cx: &mut Context<'_>) {
        let scene = &self.scenes[&id];
        let fleet = &self.fleets[&scene.fleet];
        let is_kept = fleet.rules.start == StartOn::Provision && fleet.ready.len() <= fleet.rules.standby_min as usize;
        match is_kept && !fleet.is_gone {
            true => self.ready(id, cx),
            false => self.stop(id, EndReason::Idle, Vec::new(), cx),
        }
    }

    /// Whether the instance of a scene whose session is over is kept for the next one.
    pub(super) fn may_be_kept(&self, id: SceneId, reason: &EndReason) -> bool {
        let scene = &self.scenes[&id];
        let is_well = matches!(reason, EndReason::Finished | EndReason::Empty | EndReason::Expired);
        let has_life = scene.sessions < scene.rules.sessions_max;
        let is_reused = scene.rules.after_session == AfterSession::Reuse && scene.allocation.is_some();
        is_well && has_life && is_reused && self.unwanted(scene).is_none()
    }

    /// All fleets, for operators.
    pub(super) fn fleet_views(&self) -> Vec<FleetView> {
        let mut views: BTreeMap<&FleetName, FleetView> = BTreeMap::new();
        for (name, fleet) in &self.fleets {
            let view = FleetView {
                fleet: name.clone(),
                builds: fleet.builds,
                rules: Arc::clone(&fleet.rules),
                scenes: BTreeMap::new(),
                of_canary: 0,
                of_other_builds: 0,
                room: if fleet.is_gone { 0 } else { self.room_for(&fleet.rules) },
                retry_at: fleet.retry_at,
            };
            views.insert(name, view);
        }
        for scene in self.scenes.values().filter(|scene| scene.state != State::Stopped) {
            let Some(view) = views.get_mut(&scene.fleet) else { continue };
            *view.scenes.entry(scene.state.name().into()).or_default() += 1;
            let is_canary = view.builds.canary.is_some_and(|canary| canary.build == scene.build);
            view.of_canary += u32::from(is_canary);
            view.of_other_builds += u32::from(!view.builds.have(scene.build));
        }
        views.retain(|name, view| !self.fleets[*name].is_gone || !view.scenes.is_empty());
        views.into_values().collect()
    }
}

impl Scene {
    /// How its fleet counts it.
    fn standing(&self, now: Time) -> Standing {
        match (self.state, &self.allocation) {
            (State::Placing | State::Restarting, None) => Standing::Provisioning,
            (State::Ready, _) => match self.standing {
                Standing::Ready(since) => Standing::Ready(since),
                _ => Standing::Ready(now),
            },
            (State::Reserved, _) => Standing::Reserved,
            _ => Standing::Other,
        }
    }
}
