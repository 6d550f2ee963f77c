//! Services whose machines are gone, where there are many, and that begin anew on others.
//!
//! What was on the way to a service, and what it had yet to say, is lost with its machine. The others hear of that after
//! a while, and once its successor is there; that one is told which others are down.

use scenehost_core::message::ServiceName;
use scenehost_core::{Message, db, lobby, matching, party, scene_master};

use crate::faults::Undo;
use crate::plan::{DOMAINS, Unit, between};
use crate::sim::{Due, Sim, new_db, new_lobby, new_match, recovered};
use crate::watch::Place;

/// How long it takes at most until the others hear of it, and then until a fresh one is there.
const HEARD_MS_MAX: u64 = 3_000;
const AWAY_MS_MAX: u64 = 4_000;
/// Until SceneMaster has found out what there is, and users are told.
const SETTLED_MS: u64 = 15_000;
/// How long it is until it is tried again while there is no store.
const AGAIN_MS: u64 = 500;

/// A domain that is being handed over: the life of the lobby when that began, and when the others hear that the
/// handler is gone, and of the next one.
pub struct Handing {
    lobby: u32,
    heard_ms: u64,
    next_ms: u64,
}

impl Unit {
    fn place(self) -> Place {
        match self {
            Self::Auth => Place::World,
            Self::Db => Place::Db,
            Self::Lobby => Place::Lobby,
            Self::Master(partition) => Place::Master(partition),
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

    /// The handler of a domain is to give it to the one of another machine.
    pub fn hand_over(&mut self, domain: usize, heard_ms: u64, next_ms: u64) {
        let lobby = self.life_of(Place::Lobby);
        // One that is doing so already has told the lobby of that time, which may be another by now.
        self.handing.entry(domain).or_insert(Handing { lobby, heard_ms, next_ms });
        self.send(
            Place::World,
            Place::Match(domain),
            Message::Match(DOMAINS[domain].into(), matching::Event::HandOver),
        );
    }

    /// It has nothing to do any more: it goes, and the next one comes.
    pub fn handed_over(&mut self, domain: usize) {
        let unit = Unit::Match(domain);
        let Some(Handing { lobby, heard_ms, next_ms }) = self.handing.remove(&domain) else { return };
        self.dead.insert(unit, false);
        self.after(heard_ms, Due::Undo(Undo::Heard(unit, self.host.life)));
        self.after(heard_ms + next_ms, Due::Undo(Undo::Dead(unit, self.host.life)));
        // A lobby that was there all the time has heard of it.
        if lobby == self.life_of(Place::Lobby) && !self.is_dead(Place::Lobby) {
            self.watch.handed_over.insert(domain);
        }
    }

    pub fn dead_heard(&mut self, unit: Unit) {
        self.dead.insert(unit, true);
        self.announce_unit(unit, false);
    }

    /// Says to everyone concerned that a unit went up or down.
    pub fn announce_unit(&mut self, unit: Unit, up: bool) {
        match unit {
            Unit::Auth => self.announce(ServiceName::Auth, up),
            Unit::Db => self.announce(ServiceName::Db, up),
            Unit::Lobby => self.announce(ServiceName::Lobby, up),
            Unit::Master(partition) => self.announce_master(partition, up),
            Unit::Match(domain) => {
                let domain = || DOMAINS[domain].into();
                self.send(Place::World, Place::Lobby, lobby::Event::Handler { domain: domain(), up }.into());
                self.tell_masters(scene_master::Event::Handler { domain: domain(), up });
            }
        }
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
                self.handing.remove(&domain);
                self.watch.tickets.retain(|(of, _), _| *of != domain);
            }
            Unit::Lobby => {
                self.host.lobby.begin_elsewhere(new_lobby(self.seed, generation));
                self.watch.handed_over.clear();
                let parties = recovered(&self.store, party::PREFIX);
                self.deliver(Place::Lobby, lobby::Event::Recovered { parties }.into());
            }
            Unit::Master(index) => {
                let next = self.next_master(index);
                self.host.masters[index].begin_elsewhere(next);
                self.master_is_fresh(index);
            }
        }
        self.tell_who_is_down(unit);
        if unit == Unit::Lobby {
            self.lobby_gone();
        }
        // SceneMaster says so itself.
        if !matches!(unit, Unit::Master(_)) {
            self.announce_unit(unit, true);
        }
        self.plan_all();
    }

    fn tell_who_is_down(&mut self, unit: Unit) {
        let down: Vec<Unit> = self.dead.iter().filter(|(_, heard)| **heard).map(|(unit, _)| *unit).collect();
        for down in down {
            if let Some(message) = self.word_of_down(unit, down) {
                self.deliver(unit.place(), message);
            }
        }
    }

    /// What a unit that has just begun is told of another that is down, if it concerns it.
    fn word_of_down(&self, unit: Unit, down: Unit) -> Option<Message> {
        let up = false;
        let service = match down {
            Unit::Auth => ServiceName::Auth,
            Unit::Db => ServiceName::Db,
            Unit::Lobby => ServiceName::Lobby,
            Unit::Master(index) => {
                let partition = self.host.masters[index].service.partition();
                return match unit {
                    Unit::Lobby => Some(lobby::Event::SceneMaster { partition, up }.into()),
                    Unit::Match(domain) => {
                        Some(Message::Match(DOMAINS[domain].into(), matching::Event::SceneMaster { partition, up }))
                    }
                    _ => None,
                };
            }
            Unit::Match(domain) => {
                let domain = DOMAINS[domain].into();
                return match unit {
                    Unit::Lobby => Some(lobby::Event::Handler { domain, up }.into()),
                    Unit::Master(_) => Some(scene_master::Event::Handler { domain, up }.into()),
                    _ => None,
                };
            }
        };
        match unit {
            Unit::Auth => None,
            Unit::Db => Some(db::Event::Service { service, up }.into()),
            Unit::Lobby => Some(lobby::Event::Service { service, up }.into()),
            Unit::Master(_) => Some(scene_master::Event::Service { service, up }.into()),
            Unit::Match(domain) => {
                Some(Message::Match(DOMAINS[domain].into(), matching::Event::Service { service, up }))
            }
        }
    }
}
