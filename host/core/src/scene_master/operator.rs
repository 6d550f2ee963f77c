//! What operators order, and what they are answered.
//!
//! Invariant: each order is answered once, at once or when the scene is there that it waits for.

use super::fleets::FleetView;
use super::nodes::{Nearness, NodeView};
use super::placing::{Allocation, Asked};
use super::{Matched, SceneMaster, State};
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Context;
use crate::config::{RESERVE_MS_MAX, StartOn};
use crate::ids::{AllocationId, DomainName, FleetName, NodeId, SceneId, Time, UserId};
use crate::lobby;
use crate::message::{Arranged, EndReason, Entry, Message, ServiceName};
use crate::partition::{Partition, Shard};
use crate::refusal::Refusal;
use crate::scene_list::{Page, Query};

/// What an operator wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// The fleets; [`Answer::Fleets`].
    Fleets,
    /// The nodes; [`Answer::Nodes`].
    Nodes,
    /// A scene of a fleet is held for an allocation to come; [`Answer::Reserved`].
    Reserve {
        /// Which fleet.
        fleet: FleetName,
        /// For how long, in milliseconds; without it as long as the fleet says.
        for_ms: Option<u64>,
    },
    /// A reservation is not needed any more; [`Answer::Done`].
    Release {
        /// The scene that is reserved.
        scene: SceneId,
    },
    /// These users get a scene; [`Answer::Allocated`]. Those in the lobby who do nothing else are told the way in.
    Allocate {
        /// Of which fleet.
        fleet: FleetName,
        /// One that was reserved; without it one that is ready, or a fresh one.
        scene: Option<SceneId>,
        /// The domain for which its results count; without it they count for none.
        domain: Option<DomainName>,
        /// Who, in the order of seats.
        players: Vec<Matched>,
    },
    /// A scene ends; [`Answer::Done`] as soon as its end is ordered.
    Stop {
        /// Which.
        scene: SceneId,
    },
    /// A game that is played goes on from its journal on another node; [`Answer::Moved`] as soon as it is there.
    Move {
        /// Which scene.
        scene: SceneId,
        /// Where to; `None`: to any node with room.
        to: Option<NodeId>,
    },
    /// A part of the list of scenes, in all states; [`Answer::Found`].
    Find {
        /// Which part.
        query: Box<Query>,
    },
    /// A user who plays in a scene loses the seat, and one who watches it watches no more; [`Answer::Done`] as soon as
    /// that is ordered. Who had a seat cannot join the same game again.
    Kick {
        /// Which scene.
        scene: SceneId,
        /// Who.
        user: UserId,
        /// Why, for the user to read.
        text: String,
    },
    /// A node gets no more scenes, and those on it end, games in their fleet's time; [`Answer::Done`].
    DrainNode {
        /// Which.
        node: NodeId,
        /// Its process ends when nothing is left on it.
        exits: bool,
    },
    /// A node that is drained gets scenes again; [`Answer::Done`].
    UndrainNode {
        /// Which.
        node: NodeId,
    },
}

/// What an operator is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It is done.
    Done,
    /// The scenes that were made.
    Scenes(Vec<SceneId>),
    /// The fleets, by name.
    Fleets(Vec<FleetView>),
    /// The nodes, by id.
    Nodes(Vec<NodeView>),
    /// A part of the list of scenes.
    Found(Box<Page>),
    /// A scene is held.
    Reserved {
        /// Which.
        scene: SceneId,
        /// Until when.
        until: Time,
    },
    /// A scene goes on on a node.
    Moved {
        /// Which.
        scene: SceneId,
        /// Where it is now: where it was to go, or elsewhere if that was not possible any more.
        node: NodeId,
    },
    /// A scene is there for these users.
    Allocated {
        /// The allocation.
        allocation: AllocationId,
        /// The scene.
        scene: SceneId,
        /// The way in of each user.
        entries: Vec<(UserId, Entry)>,
    },
}

impl Order {
    /// For whom it is: for those that have one of these shards.
    pub fn to(&self) -> Partition {
        match self {
            Self::Fleets | Self::Nodes | Self::DrainNode { .. } | Self::UndrainNode { .. } => Partition::WHOLE,
            Self::Reserve { fleet, .. } | Self::Allocate { fleet, .. } => Shard::of_fleet(fleet).into(),
            Self::Release { scene } | Self::Stop { scene } | Self::Move { scene, .. } | Self::Kick { scene, .. } => {
                Shard::of_id(scene.0).into()
            }
            Self::Find { query } => query.to(),
        }
    }
}

impl Answer {
    /// One answer out of those of several SceneMasters to the same order; a list has at most so many scenes.
    ///
    /// # Errors
    /// Why one has refused. A list, which changes nothing, is one of those that have answered, if any has.
    pub fn merge(answers: Vec<Result<Self, Refusal>>, limit: usize) -> Result<Self, Refusal> {
        let is_list =
            |answer: &Result<Self, Refusal>| matches!(answer, Ok(Self::Fleets(_) | Self::Nodes(_) | Self::Found(_)));
        if !answers.iter().any(is_list) {
            let done = answers.into_iter().reduce(|one, other| one.and(other));
            return done.unwrap_or(Err(Refusal::ServiceDown(ServiceName::SceneMaster)));
        }
        let (mut fleets, mut nodes, mut pages) = (Vec::new(), BTreeMap::<NodeId, NodeView>::new(), Vec::new());
        let mut merged = Self::Done;
        for answer in answers.into_iter().flatten() {
            match answer {
                Self::Fleets(of_one) => {
                    fleets.extend(of_one);
                    merged = Self::Fleets(Vec::new());
                }
                Self::Nodes(of_one) => {
                    for view in of_one {
                        let view = match nodes.remove(&view.node) {
                            Some(other) => other.and(view),
                            None => view,
                        };
                        nodes.insert(view.node, view);
                    }
                    merged = Self::Nodes(Vec::new());
                }
                Self::Found(page) => {
                    pages.push(*page);
                    merged = Self::Found(Box::default());
                }
                _ => {}
            }
        }
        Ok(match merged {
            Self::Fleets(_) => {
                fleets.sort_by(|one, other| one.fleet.cmp(&other.fleet));
                Self::Fleets(fleets)
            }
            Self::Nodes(_) => Self::Nodes(nodes.into_values().collect()),
            _ => Self::Found(Box::new(Page::merge(pages, limit))),
        })
    }
}

impl SceneMaster {
    pub(super) fn req_operator(&mut self, number: u64, order: Order, cx: &mut Context<'_>) {
        let answer = match order {
            Order::Fleets => Ok(Some(Answer::Fleets(self.fleet_views()))),
            Order::Nodes => Ok(Some(Answer::Nodes(self.node_views()))),
            Order::Reserve { fleet, for_ms } => self.reserve(number, &fleet, for_ms, cx).map(|()| None),
            Order::Release { scene } => self.release(scene, cx).map(|()| Some(Answer::Done)),
            Order::Allocate { fleet, scene, domain, players } => {
                let asked = Asked::Allocate(number);
                let arranged = Arranged::default();
                let allocation = Allocation { asked, domain, match_id: None, players, arranged };
                self.allocate_by_hand(&fleet, scene, allocation, cx).map(|()| None)
            }
            Order::Stop { scene } => self.stop_by_hand(scene, cx).map(|()| Some(Answer::Done)),
            Order::Move { scene, to } => self.move_by_hand(number, scene, to, cx).map(|()| None),
            Order::Find { query } => self.find_all(&query).map(|page| Some(Answer::Found(page))),
            Order::Kick { scene, user, text } => self.kick(scene, user, text, cx).map(|()| Some(Answer::Done)),
            Order::DrainNode { node, exits } => self.known_node(node).map(|()| {
                self.drain_node(node, exits, cx);
                Some(Answer::Done)
            }),
            Order::UndrainNode { node } => self.known_node(node).map(|()| {
                self.undrain_node(node, cx);
                Some(Answer::Done)
            }),
        };
        match answer {
            Ok(Some(answer)) => cx.send(Message::Operator(number, Ok(Box::new(answer)))),
            Ok(None) => {} // It waits for its scene.
            Err(refusal) => cx.send(Message::Operator(number, Err(refusal))),
        }
    }

    fn known_node(&self, node: NodeId) -> Result<(), Refusal> {
        match self.nodes.contains_key(&node) {
            true => Ok(()),
            false => Err(Refusal::NotFound(format!("node {node}"))),
        }
    }

    fn reserve(
        &mut self,
        number: u64,
        fleet: &FleetName,
        for_ms: Option<u64>,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let rules = std::sync::Arc::clone(&self.open_fleet(fleet)?.rules);
        let for_ms = for_ms.unwrap_or(rules.reserve_ms);
        if for_ms == 0 || for_ms > RESERVE_MS_MAX {
            return Err(Refusal::Invalid(format!("a reservation holds for 1 to {RESERVE_MS_MAX} milliseconds")));
        }
        if let Some(ready) = self.ready_scene(fleet, Nearness::All) {
            self.reserved(ready, number, for_ms, cx);
            return Ok(());
        }
        if rules.start == StartOn::Hand {
            return Err(Refusal::Overloaded("scenes that are ready: this fleet's are started by hand".into()));
        }
        let node = self.choose_node(&rules, None, None)?;
        let id = self.place(fleet, node, Asked::Reserve(number, for_ms), cx);
        self.order_scene(id, false, cx);
        Ok(())
    }

    /// A scene that is there is held.
    pub(super) fn reserved(&mut self, id: SceneId, number: u64, for_ms: u64, cx: &mut Context<'_>) {
        let until = cx.now.plus_ms(for_ms);
        self.enter(id, State::Reserved, Some(until), cx);
        cx.send(Message::Operator(number, Ok(Box::new(Answer::Reserved { scene: id, until }))));
    }

    fn release(&mut self, id: SceneId, cx: &mut Context<'_>) -> Result<(), Refusal> {
        match self.scenes.get(&id).map(|scene| scene.state) {
            Some(State::Reserved) => {
                self.ready(id, cx);
                Ok(())
            }
            _ => Err(Refusal::NotFound(format!("reservation of a scene {id}: it has ended, or was used"))),
        }
    }

    fn allocate_by_hand(
        &mut self,
        fleet: &FleetName,
        scene: Option<SceneId>,
        allocation: Allocation,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let Some(id) = scene else { return self.allocate(fleet, allocation, cx).map(|_| ()) };
        self.open_fleet(fleet)?;
        let is_held = |it: &&super::Scene| it.state == State::Reserved && it.fleet == *fleet;
        if self.scenes.get(&id).filter(is_held).is_none() {
            return Err(Refusal::NotFound(format!("reservation of a scene {id} of this fleet")));
        }
        self.check_seats(&allocation.players, cx)?;
        self.give(id, allocation, cx);
        Ok(())
    }

    pub(super) fn answer_allocation(&mut self, id: SceneId, number: u64, cx: &mut Context<'_>) {
        let scene = &self.scenes[&id];
        let Some(allocation) = scene.allocation else { return };
        let ways = scene.seats.iter().filter_map(|row| Some((row.player.user, row.entry.clone()?)));
        let entries: Vec<(UserId, Entry)> = ways.map(|(user, secret)| (user, self.entry(id, scene, secret))).collect();
        for (user, entry) in entries.clone() {
            cx.send(lobby::Event::SynAllocated { user, entry });
        }
        cx.send(Message::Operator(number, Ok(Box::new(Answer::Allocated { allocation, scene: id, entries }))));
    }

    fn stop_by_hand(&mut self, id: SceneId, cx: &mut Context<'_>) -> Result<(), Refusal> {
        let Some(scene) = self.scenes.get(&id).filter(|scene| scene.state != State::Stopped) else {
            return Err(Refusal::NotFound(format!("scene {id}")));
        };
        match scene.state {
            State::Stopping => {}
            State::Placing if scene.is_new() => self.not_placed_in_time(id, Refusal::SceneEnded, cx),
            _ => self.stop(id, EndReason::Stopped, Vec::new(), cx),
        }
        Ok(())
    }

    fn kick(&mut self, id: SceneId, user: UserId, text: String, cx: &mut Context<'_>) -> Result<(), Refusal> {
        let reason = EndReason::Kicked(text);
        match self.by_user.get(&user).copied() {
            Some((scene, seat)) if scene == id => self.take_seat_away(id, seat, reason, cx),
            _ if self.watches(user, id) => self.stop_watching(user, reason, cx),
            _ => return Err(Refusal::NotFound(format!("user {user} who plays in the scene {id}, or watches it"))),
        }
        Ok(())
    }
}
