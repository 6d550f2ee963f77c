//! Services whose machines are gone, where there are many, and that begin anew on others.
//!
//! What was on the way to a service, and what it had yet to say, is lost with its machine. The others hear of that after
//! a while, and once its successor is there; that one is told which others are down.

use scenehost_core::message::ServiceName;
use scenehost_core::scene_master::SceneMaster;
use scenehost_core::{Message, db, lobby, matching, party, scene_master};

use crate::faults::Undo;
use crate::plan::{DOMAINS, NODES, Unit, between};
use crate::sim::{Due, Sim, builds, new_db, new_lobby, new_match, recovered};
use crate::watch::Place;

/// How long it takes at most until the others hear of it, and then until a fresh one is there.
const HEARD_MS_MAX: u64 = 3_000;
const AWAY_MS_MAX: u64 = 4_000;
/// Until SceneMaster has found out what there is, and users are told.
const SETTLED_MS: u64 = 15_000;
/// How long it is until it is tried again while there is no store.
const AGAIN_MS: u64 = 500;

impl Unit {
    fn service(self) -> ServiceName {
        match self {
            Self::Auth => ServiceName::Auth,
            Self::Db => ServiceName::Db,
            Self::Lobby => ServiceName::Lobby,
            Self::Master => ServiceName::SceneMaster,
            Self::Match(_) => ServiceName::Match,
        }
    }

    fn place(self) -> Place {
        match self {
            Self::Auth => Place::World,
            Self::Db => Place::Db,
            Self::Lobby => Place::Lobby,
            Self::Master => Place::Master,
            Self::Match(domain) => Place::Match(domain),
        }
    }
}

impl Sim {
    pub fn is_dead(&self, place: Place) -> bool {
        place != Place::World && self.dead.keys().any(|unit| unit.place() == place)
    }

    pub fn die(&mut self, unit: Unit) {
        self.dead.insert(unit, false);
        let heard_ms = between(&mut self.net, 50, HEARD_MS_MAX);
        let away_ms = heard_ms + between(&mut self.net, 50, AWAY_MS_MAX);
        self.after(heard_ms, Due::Undo(Undo::Heard(unit, self.host.life)));
        self.after(away_ms, Due::Undo(Undo::Dead(unit, self.host.life)));
        // Meanwhile nothing is told in time.
        self.watch.store_trouble = self.watch.store_trouble.max(self.now.plus_ms(away_ms + SETTLED_MS));
        if unit == Unit::Lobby {
            self.lobby_gone();
        }
    }

    fn lobby_gone(&mut self) {
        self.searching.clear();
        for user in 0..self.users.len() {
            self.users[user].lobby_gone();
            self.carry_out(user);
        }
    }

    pub fn dead_heard(&mut self, unit: Unit) {
        self.dead.insert(unit, true);
        self.announce(unit.service(), false);
    }

    /// A fresh service begins, if there is a store.
    pub fn begin_elsewhere(&mut self, unit: Unit) {
        if self.store.is_down {
            self.watch.store_trouble = self.watch.store_trouble.max(self.now.plus_ms(SETTLED_MS));
            return self.after(AGAIN_MS, Due::Undo(Undo::Dead(unit, self.host.life)));
        }
        // What the one before has written is on the disk, or never will be.
        self.sync_now();
        self.generations += 1;
        let generation = (u64::from(self.host.life) << 8) + self.generations % 256;
        *self.moved.entry(unit.place()).or_default() += 1;
        self.dead.remove(&unit);
        match unit {
            Unit::Auth => {}
            Unit::Db => self.host.db.begin_elsewhere(new_db(generation)),
            Unit::Match(domain) => {
                self.host.matches[domain].begin_elsewhere(new_match(domain));
                self.watch.tickets.retain(|(of, _), _| *of != domain);
            }
            Unit::Lobby => {
                self.host.lobby.begin_elsewhere(new_lobby(generation));
                let parties = recovered(&self.store, party::PREFIX);
                self.deliver(Place::Lobby, lobby::Event::Recovered { parties }.into());
            }
            Unit::Master => {
                self.host.master.begin_elsewhere(SceneMaster::taking_over(builds(self.build)));
                self.master_is_fresh();
                for node in 0..NODES {
                    if self.nodes[node].up {
                        self.tell_up(node);
                    }
                }
            }
        }
        self.tell_who_is_down(unit);
        if unit == Unit::Lobby {
            self.lobby_gone();
        }
        // SceneMaster says so itself.
        if unit != Unit::Master {
            self.announce(unit.service(), true);
        }
        self.plan_all();
    }

    fn tell_who_is_down(&mut self, unit: Unit) {
        let down: Vec<ServiceName> =
            self.dead.iter().filter(|(_, heard)| **heard).map(|(unit, _)| unit.service()).collect();
        for service in down {
            let message: Message = match unit {
                Unit::Auth => return,
                Unit::Db => db::Event::Service { service, up: false }.into(),
                Unit::Lobby => lobby::Event::Service { service, up: false }.into(),
                Unit::Master => scene_master::Event::Service { service, up: false }.into(),
                Unit::Match(domain) => {
                    Message::Match(DOMAINS[domain].into(), matching::Event::Service { service, up: false })
                }
            };
            self.deliver(unit.place(), message);
        }
    }
}
