//! What operators do with the simulated host, and what becomes of a node that nobody needs.

use scenehost_core::scene_master::{self, Answer, Idle, Matched, Order};
use scenehost_core::{DomainName, FleetName, NodeId, Refusal, SceneId, UserId, scene_service};

use crate::faults::Undo;
use crate::invariants;
use crate::plan::{DOMAINS, Deed, FLEETS, NODES, Pick};
use crate::sim::{Due, Sim, builds, fleets};
use crate::watch::{Place, Row};

/// The node that may exit when it is idle, in some of the simulations, and after which time it does.
const IDLE_NODE: usize = 2;
const IDLE_MS: u64 = 45_000;
/// How long the machine of a node is away that has exited.
const AWAY_MS: u64 = 20_000;

impl Sim {
    pub fn operate(&mut self, deed: Deed) {
        match deed {
            Deed::ByHand { fleet, count } => {
                let fleet = FleetName::from(FLEETS[fleet]);
                self.ask_masters(count, |number| scene_master::Event::ReqCreateByHand {
                    number,
                    fleet: fleet.clone(),
                    count,
                });
            }
            Deed::Reserve { fleet, for_ms } => {
                let for_ms = (for_ms != 2_000).then_some(for_ms);
                self.order_master(1, Order::Reserve { fleet: FLEETS[fleet].into(), for_ms });
            }
            Deed::Release(pick) => self.order_master(0, Order::Release { scene: self.picked(pick) }),
            Deed::Allocate { fleet, nobody, scene } => self.allocate(fleet, nobody, scene),
            Deed::Stop(pick) => self.order_master(0, Order::Stop { scene: self.picked(pick) }),
            Deed::Move(pick, to) => {
                let to = to.map(|node| NodeId(node as u64));
                self.order_master(0, Order::Move { scene: self.picked(pick), to });
            }
            Deed::Drain { node, for_ms } => {
                self.order_master(0, Order::DrainNode { node: NodeId(node as u64), exits: false });
                self.after(for_ms, Due::Undo(Undo::Drain(node)));
            }
            Deed::NewBuild => {
                self.build += 1;
                self.tell_masters(scene_master::Event::Fleets { fleets: builds(self.build) });
                for node in 0..NODES {
                    let event = scene_service::Event::Fleets { fleets: fleets() };
                    let message = scenehost_core::Message::SceneService(NodeId(node as u64), event);
                    self.deliver_later(1, Place::Node(node), message);
                }
            }
        }
    }

    /// Those who do nothing else, as the lobby knows: one may begin to search just now.
    fn allocate(&mut self, fleet: usize, nobody: bool, scene: Option<Pick>) {
        let is_free = |user: &UserId| {
            self.host.lobby.service.phase_name(*user) == "Idle"
                && !self.watch.scenes.values().any(|row| row.users.contains(user))
        };
        let wanted = if nobody { 0 } else { 2 };
        let free = self.users.iter().map(|user| user.id).filter(is_free);
        let players: Vec<Matched> = free.take(wanted).map(matched).collect();
        // A game of one counts for nothing.
        if players.len() < wanted {
            return;
        }
        let scene = scene.map(|pick| self.picked(pick));
        let fleet = scene.and_then(|scene| self.fleet_of(scene)).unwrap_or(fleet);
        let domain = DOMAINS.get(fleet).map(|name| DomainName::from(*name));
        self.order_master(u32::from(nobody), Order::Allocate { fleet: FLEETS[fleet].into(), scene, domain, players });
    }

    fn picked(&self, pick: Pick) -> SceneId {
        let mut scenes: Vec<(&SceneId, &Row)> = self.watch.scenes.iter().collect();
        scenes.sort_by_key(|(_, row)| match row.state.as_str() {
            "Placing" | "Restarting" | "Empty" | "Draining" => 0,
            "Stopped" => 2,
            _ => 1,
        });
        let picked = match pick {
            Pick::Reserved => scenes.iter().find(|(_, row)| row.state == "Reserved"),
            Pick::Any(number) => scenes.get(number),
        };
        picked.map_or(SceneId(1), |(id, _)| **id)
    }

    fn fleet_of(&self, scene: SceneId) -> Option<usize> {
        let fleet = &self.watch.scenes.get(&scene)?.fleet;
        FLEETS.iter().position(|name| *name == fleet.as_str())
    }

    fn order_master(&mut self, makes: u32, order: Order) {
        self.ask_masters(makes, |number| scene_master::Event::ReqOperator { number, order: order.clone() });
    }

    /// Asks each SceneMaster that it is for. `makes`: how many scenes may be made for it that nobody uses yet.
    fn ask_masters(&mut self, makes: u32, question: impl Fn(u64) -> scene_master::Event) {
        for master in self.masters_of(&question(0)) {
            let Place::Master(index) = master else { continue };
            self.watch.orders_given += 1;
            let number = self.watch.orders_given;
            self.watch.orders.insert(number, (self.now, makes, index));
            self.send(Place::World, master, question(number).into());
        }
    }

    pub fn operator_hears(&mut self, number: u64, result: &Result<Box<Answer>, Refusal>) {
        self.watch.trace(Place::World, &(number, result));
        let is_open = self.watch.orders.remove(&number).is_some();
        self.watch.check(invariants::ORDERED, is_open, || format!("order {number} is answered once more"));
    }

    pub fn undrain(&mut self, node: usize) {
        self.order_master(0, Order::UndrainNode { node: NodeId(node as u64) });
    }

    /// A node on which nothing is left: its process exits, and is started again when its machine is given back.
    pub fn node_drained(&mut self, node: usize) {
        if self.nodes[node].up && self.nodes[node].paused_until.is_none() && !self.is_peaceful {
            self.crash(node, AWAY_MS);
        }
    }
}

fn matched(user: UserId) -> Matched {
    Matched { user, name: "Somebody".to_owned(), rating: 1_500, team: 0, role: None, party: 0 }
}

/// Whether a node may exit when nobody needs it.
pub fn idle_of(seed: u64, node: usize) -> Option<Idle> {
    let exits = seed.is_multiple_of(8);
    (node == IDLE_NODE && seed.is_multiple_of(4)).then_some(Idle { after_ms: IDLE_MS, exits })
}
