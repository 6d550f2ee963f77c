//! Orders to the scenes of this node. A scene that goes on from a journal of another node begins when that was fetched;
//! what is ordered of it meanwhile waits behind its start.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Mutex, OnceLock};

use scenehost_core::config::Keep;
use scenehost_core::scene_service::{Start, ToScene};
use scenehost_core::{Epoch, Incarnation, SceneId};

use super::{Bus, dropped, lock};

/// Fetches what an incarnation of a scene goes on from, if there is something.
pub type Fetch = Box<dyn Fn(Incarnation) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// How many orders of one scene may wait; more are dropped and reported.
const ORDERS_MAX: usize = 256;

#[derive(Default)]
pub(super) struct Orders {
    /// In a cluster.
    fetch: OnceLock<Fetch>,
    /// The orders that wait, of scenes whose journals are being fetched.
    waiting: Mutex<HashMap<SceneId, VecDeque<ToScene>>>,
}

impl Bus {
    /// From now on what scenes go on from is fetched before they begin.
    pub fn fetch_with(&self, fetch: Fetch) {
        let _ = self.senders.orders.fetch.set(fetch); // Only the host does this, once.
    }

    pub(super) fn order_scene(&self, scene: SceneId, order: ToScene) {
        let Orders { fetch, waiting } = &self.senders.orders;
        if fetch.get().is_none() {
            return self.give_to_scene(scene, order);
        }
        let mut all = lock(waiting);
        match all.get_mut(&scene) {
            Some(orders) if orders.len() < ORDERS_MAX => orders.push_back(order),
            Some(_) => dropped("scene whose journal is being fetched"),
            None if may_go_on(&order).is_none() => {
                drop(all);
                self.give_to_scene(scene, order);
            }
            None => {
                all.insert(scene, VecDeque::from([order]));
                // Scene threads are no runtime's.
                self.senders.runtime.spawn(self.clone().order_in_turn(scene));
            }
        }
    }

    async fn order_in_turn(self, scene: SceneId) {
        let Orders { fetch, waiting } = &self.senders.orders;
        loop {
            let next = {
                let mut all = lock(waiting);
                let next = all.get_mut(&scene).and_then(VecDeque::pop_front);
                if next.is_none() {
                    all.remove(&scene);
                }
                next
            };
            let Some(order) = next else { return };
            if let (Some(fetch), Some(start)) = (fetch.get(), may_go_on(&order)) {
                let fetched = fetch(Incarnation { scene, epoch: start.epoch });
                fetched.await;
            }
            self.give_to_scene(scene, order);
        }
    }

    fn give_to_scene(&self, scene: SceneId, order: ToScene) {
        if !self.senders.scene_threads.order(scene, order) {
            dropped("scene thread");
        }
    }
}

/// The start of a scene that may have run on another node before, with a journal.
fn may_go_on(order: &ToScene) -> Option<&Start> {
    match order {
        ToScene::Start(start) if start.epoch != Epoch(1) && start.limits.journal.keep != Keep::Off => Some(start),
        _ => None,
    }
}
