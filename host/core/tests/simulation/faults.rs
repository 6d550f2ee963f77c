//! What goes wrong, and how it is over.
//!
//! A node that is silent for longer than [`SILENT_MS_MAX`] is declared down, and has lost its scenes when it is back:
//! that a node fences itself off is not built yet. All nodes begin anew with the host, which ends all scenes when it
//! begins but those with a journal; a SceneMaster alone that fails ([`Fault::FreshMaster`], [`Fault::Dies`]) is followed
//! by one that goes on with them. A node
//! comes back after it was declared down, never before: SceneMaster could not tell its lives apart.

use scenehost_core::message::ServiceName;
use scenehost_core::scene_master::SceneMaster;
use scenehost_core::{NodeId, Refusal, SceneId, Shard, Time, lobby, scene_master};

use crate::invariants;
use crate::nodes::Node;
use crate::plan::{Deed, Fault, NODES, Unit, between};
use crate::sim::{Due, Sim, builds, new_db, new_match};
use crate::traffic::LinkFault;
use crate::watch::Place;

/// How long a node may be silent before it is declared down. Shorter than what SceneMaster waits for a node.
const SILENT_MS_MAX: u64 = 3_000;
/// How long users have to find out that the host is gone, and the host to end its scenes when it is told to stop.
const STOP_MS: [u64; 2] = [5_000, 15_000];

/// The end of a fault.
#[derive(Debug)]
pub enum Undo {
    Link(usize),
    Pause {
        node: usize,
        life: u32,
    },
    Crash(usize),
    Down {
        node: usize,
        host: u32,
    },
    Store,
    StopScenes(u32),
    Stopped(u32),
    Drain(usize),
    /// The others hear that a service is gone; a fresh one begins.
    Heard(Unit, u32),
    Dead(Unit, u32),
}

impl Sim {
    pub fn fault(&mut self, fault: Fault) {
        // What is gone already does not fail once more.
        let unit = match fault {
            Fault::FreshMatch(domain) | Fault::HandsOver { domain, .. } => Some(Unit::Match(domain)),
            Fault::FreshDb => Some(Unit::Db),
            Fault::FreshMaster(pick) => Some(Unit::Master(pick % self.host.masters.len())),
            Fault::Dies(unit) => Some(unit),
            _ => None,
        };
        if unit.is_some_and(|unit| self.dead.contains_key(&unit)) {
            return;
        }
        // After these somebody may have a seat and not know of it, until its token expires or its scene ends.
        let lossy_ms = match fault {
            Fault::Link { for_ms, .. } => for_ms + 60_000,
            Fault::StoreDown { for_ms } => for_ms + 60_000,
            Fault::FreshMatch(_) => 60_000,
            // A seat of which nobody was told, and what users have seen end and the books have not.
            Fault::Dies(_) => 120_000,
            // Who does something else meanwhile is not told.
            Fault::Operator(Deed::Allocate { .. }) | Fault::AskedAgain(_) => 100_000,
            _ => 0,
        };
        self.watch.lossy_until = self.watch.lossy_until.max(self.now.plus_ms(lossy_ms));
        match fault {
            Fault::Link { node, for_ms, lost, doubled, late } => {
                self.nodes[node].link = Some(LinkFault { lost, doubled, late });
                self.watch.trouble(node, self.now.plus_ms(for_ms));
                self.after(for_ms, Due::Undo(Undo::Link(node)));
            }
            Fault::Pause { node, for_ms } => self.pause(node, for_ms),
            Fault::Crash { node, for_ms } => {
                if self.nodes[node].up && self.nodes[node].paused_until.is_none() {
                    self.crash(node, for_ms);
                }
            }
            Fault::Skew { node, ms } => {
                // A clock that is put back stands still until it is there again.
                let back_ms = self.nodes[node].ahead_ms.saturating_sub(ms).max(0) as u64;
                self.watch.trouble(node, self.now.plus_ms(back_ms));
                self.nodes[node].ahead_ms = ms;
            }
            Fault::StoreDown { for_ms } => {
                if !self.store.is_down {
                    self.store.is_down = true;
                    self.watch.store_trouble = self.now.plus_ms(for_ms);
                    self.plan_all();
                    self.after(for_ms, Due::Undo(Undo::Store));
                }
            }
            Fault::FreshMatch(domain) => {
                self.host.matches[domain].replace(new_match(domain));
                self.handing.remove(&domain);
                self.watch.tickets.retain(|(of, _), _| *of != domain);
                self.announce_unit(Unit::Match(domain), false);
                self.announce_unit(Unit::Match(domain), true);
                self.plan(Place::Match(domain));
            }
            Fault::HandsOver { domain, heard_ms, next_ms } => self.hand_over(domain, heard_ms, next_ms),
            Fault::FreshDb => {
                self.generations += 1;
                // Each life of the host has numbers of its own.
                self.host.db.replace(new_db((u64::from(self.host.life) << 8) + self.generations % 256));
                self.fresh_db();
                self.plan(Place::Db);
            }
            Fault::FreshMaster(pick) => self.fresh_master(pick % self.host.masters.len()),
            Fault::Dies(Unit::Master(pick)) => self.die(Unit::Master(pick % self.host.masters.len())),
            Fault::Dies(unit) => self.die(unit),
            Fault::HostCrash => self.host_crash(),
            Fault::HostStop => {
                if !self.is_stopping {
                    self.is_stopping = true;
                    self.send(Place::World, Place::Lobby, lobby::Event::Stopping.into());
                    self.after(STOP_MS[0], Due::Undo(Undo::StopScenes(self.host.life)));
                }
            }
            Fault::Again { node, letter } => self.again(node, letter),
            Fault::AskedAgain(letter) => {
                if let Some((to, message)) = self.asked.get(letter).cloned() {
                    self.deliver_later(0, to, message);
                }
            }
            Fault::Operator(deed) => self.operate(deed),
            Fault::Ban(user) => {
                let refusal = Refusal::Banned { reason: "for a while".to_owned(), until: None };
                let event = lobby::Event::SynAccountClosed { user: self.users[user].id, refusal };
                self.send(Place::World, Place::Lobby, event.into());
            }
        }
    }

    pub fn undo(&mut self, undo: Undo) {
        self.watch.trace(Place::World, &undo);
        match undo {
            Undo::Link(node) => self.nodes[node].link = None,
            Undo::Pause { node, life } => {
                if self.nodes[node].life == life {
                    self.nodes[node].paused_until = None;
                    self.crash(node, 100);
                }
            }
            Undo::Crash(node) => {
                self.nodes[node].up = true;
                self.tell_up(node);
            }
            Undo::Down { node, host } => {
                if self.host.life == host {
                    let event = scene_master::Event::NodeDown { node: NodeId(node as u64) };
                    self.tell_masters(event);
                }
            }
            Undo::Drain(node) => self.undrain(node),
            Undo::Heard(unit, host) => {
                if self.host.life == host {
                    self.dead_heard(unit);
                }
            }
            Undo::Dead(unit, host) => {
                if self.host.life == host {
                    self.begin_elsewhere(unit);
                }
            }
            Undo::Store => {
                self.store.is_down = false;
                self.plan_all();
                self.plan_sync();
            }
            Undo::StopScenes(life) => {
                if self.host.life == life {
                    self.tell_masters(scene_master::Event::Stopping);
                    self.after(STOP_MS[1], Due::Undo(Undo::Stopped(life)));
                }
            }
            Undo::Stopped(life) => {
                if self.host.life == life {
                    self.host_crash();
                }
            }
        }
    }

    /// Db has panicked, and a fresh one has taken over. While the store is down everybody knows that Db is.
    fn fresh_db(&mut self) {
        if !self.store.is_down {
            self.announce(ServiceName::Db, false);
            self.announce(ServiceName::Db, true);
        }
    }

    /// A SceneMaster has failed, and a fresh one takes over with what is in the store. It tells by itself when it is up.
    fn fresh_master(&mut self, index: usize) {
        let next = self.next_master(index);
        self.host.masters[index].fail(next);
        self.master_is_fresh(index);
        self.announce_master(index, false);
        self.plan(Place::Master(index));
    }

    /// One that takes over, and knows which nodes are there.
    pub fn next_master(&self, index: usize) -> SceneMaster {
        let partition = self.host.masters[index].service.partition();
        let up = (0..NODES).filter(|node| self.nodes[*node].up).map(|node| NodeId(node as u64));
        SceneMaster::taking_over(builds(self.build)).of(partition).awaiting(up)
    }

    /// What a SceneMaster knew of matches and orders is gone; an answer may be on its way.
    pub fn master_is_fresh(&mut self, index: usize) {
        let partition = self.host.masters[index].service.partition();
        self.asked.retain(|(place, _)| *place != Place::Master(index));
        let of_it = self.watch.orders.values_mut().filter(|(_, _, by)| *by == index);
        of_it.for_each(|order| *order = (Time(u64::MAX), 0, index));
        let is_of_it = |id: &SceneId| partition.has(Shard::of_id(id.0));
        self.watch.taken_over.retain(|id| !is_of_it(id));
        let being_made = self.watch.scenes.iter().filter(|(id, row)| row.state == "Placing" && is_of_it(id));
        self.watch.taken_over.extend(being_made.map(|(id, _)| *id));
        self.watch.draining.retain(|(_, of)| *of != partition);
    }

    fn pause(&mut self, node: usize, for_ms: u64) {
        if !self.nodes[node].up || self.nodes[node].paused_until.is_some() {
            return;
        }
        let until = self.now.plus_ms(for_ms);
        self.watch.trouble(node, until);
        self.nodes[node].paused_until = Some(until);
        let life = self.nodes[node].life;
        if for_ms > SILENT_MS_MAX {
            self.after(SILENT_MS_MAX, Due::Undo(Undo::Down { node, host: self.host.life }));
            self.after(for_ms, Due::Undo(Undo::Pause { node, life }));
        }
    }

    /// A node is gone with all of its scenes, for a while.
    pub fn crash(&mut self, node: usize, for_ms: u64) {
        self.lose_node(node);
        let detected_ms = between(&mut self.net, 50, SILENT_MS_MAX);
        self.after(detected_ms, Due::Undo(Undo::Down { node, host: self.host.life }));
        // It is not up before it was declared down.
        let back_ms = for_ms.max(detected_ms) + 10;
        self.watch.trouble(node, self.now.plus_ms(back_ms));
        self.after(back_ms, Due::Undo(Undo::Crash(node)));
    }

    fn lose_node(&mut self, node: usize) {
        let Node { life, ahead_ms, link, .. } = self.nodes[node];
        self.nodes[node] = Node { up: false, ahead_ms, link, ..Node::new(self.seed, node, life + 1) };
        self.watch.made.retain(|(of, _), _| *of != node);
        for user in 0..self.users.len() {
            if self.users[user].at_scene.as_ref().is_some_and(|at| at.node == node) {
                self.scene_lost(user);
            }
        }
    }

    fn host_crash(&mut self) {
        self.store.lose_unsynced();
        invariants::consistent(self);
        self.watch.host_gone();
        for node in 0..NODES {
            self.lose_node(node);
            self.watch.trouble(node, self.now);
        }
        self.asked.clear();
        self.searching.clear();
        self.disagreed.clear();
        self.start_host();
        for user in 0..self.users.len() {
            self.users[user].host_gone();
            self.carry_out(user);
        }
    }
}
