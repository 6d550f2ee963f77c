//! Deliberate faults of the simulated host that no host may have: each has to be found by an invariant, or the
//! simulator would prove nothing.

use scenehost_core::{AllocationId, db};
use scenehost_core::{Message, lobby, matching, results, scene_master, scene_service};

use crate::invariants;
use crate::plan::NODES;
use crate::sim::Sim;
use crate::watch::Place;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// No answer to the order to end a scene ever comes.
    EndsAreSwallowed,
    /// The order to end a scene never comes.
    OrdersAreSwallowed,
    /// Nodes say that a scene has ended, and let it go on.
    NodeKeepsScenes,
    /// SceneMaster hears that a scene has ended long before the order to end comes to it.
    EndsAreToldTooEarly,
    /// What Db is asked to record is asked for again for another scene, so that it does not know it again.
    RecordedTwice,
    /// Results never come to Db.
    NeverRecorded,
    /// A scene is made on two nodes.
    MadeTwice,
    /// SceneMaster never hears that time has passed.
    MasterHasNoClock,
    /// The lobby never hears that time has passed, nor that nobody was found.
    LobbyHasNoClock,
    /// Some requests of users are never answered.
    AnswersAreLost,
    /// Each member of a party has a ticket of their own.
    PartiesAreTorn,
    /// The last player of a party does not come into the scene.
    PartnersAreLeftOut,
    /// The store leaves a part of its batches out.
    StoreForgets,
    /// The lobby never hears what Match has come to.
    MatchesAreLost,
    /// SceneMaster never hears what nodes report.
    ReportsAreLost,
    /// The lobby never hears that a domain is handed over.
    HandOversAreLost,
}

impl Sabotage {
    /// The invariant that it violates most often and before the one by which it is to be caught.
    pub fn overlooked(self) -> Option<&'static str> {
        (self == Self::LobbyHasNoClock).then_some(invariants::ANSWERED)
    }
}

impl Sim {
    /// Whether a message does not come; what comes in its place is sent.
    pub fn sabotaged(&mut self, to: Place, message: &Message) -> bool {
        match (self.sabotage, message) {
            (Some(Sabotage::EndsAreSwallowed), Message::SceneMaster(scene_master::Event::ResDestroyScene { .. }))
            | (Some(Sabotage::ReportsAreLost), Message::SceneMaster(scene_master::Event::SynReport(_)))
            | (Some(Sabotage::HandOversAreLost), Message::Lobby(lobby::Event::ReqHandOver { .. }))
            | (
                Some(Sabotage::OrdersAreSwallowed),
                Message::SceneService(_, scene_service::Event::ReqDestroyScene { .. }),
            )
            | (Some(Sabotage::LobbyHasNoClock), Message::Lobby(lobby::Event::ResMatch { result: Err(_), .. }))
            | (Some(Sabotage::MatchesAreLost), Message::Lobby(lobby::Event::ResMatch { .. })) => true,
            (
                Some(Sabotage::MadeTwice),
                Message::SceneService(node, event @ scene_service::Event::ReqCreateScene { seats, .. }),
            ) if !seats.is_empty() => {
                let other = (node.0 as usize + 1) % NODES;
                let message = Message::SceneService(*node, event.clone());
                self.deliver_later(1, Place::Node(other), message);
                false
            }
            (
                Some(Sabotage::EndsAreToldTooEarly),
                Message::SceneService(_, scene_service::Event::ReqDestroyScene { scene, epoch, .. }),
            ) => {
                let told = scene_master::Event::ResDestroyScene { scene: *scene, epoch: *epoch, kept: false };
                for master in self.masters_of(&told) {
                    self.deliver_later(1, master, told.clone().into());
                }
                self.deliver_later(20_000, to, message.clone());
                true
            }
            (
                Some(Sabotage::PartnersAreLeftOut),
                Message::SceneMaster(scene_master::Event::ReqCreateScene { match_id, domain, fleet, players, .. }),
            ) if players.len() > 2 => {
                let (match_id, domain, fleet) = (*match_id, domain.clone(), fleet.clone());
                let players = players[..players.len() - 1].to_vec();
                let (choices, region, bots) = (Vec::new(), None, 0);
                let event =
                    scene_master::Event::ReqCreateScene { match_id, domain, fleet, players, choices, region, bots };
                self.deliver_later(1, to, event.into());
                true
            }
            (Some(Sabotage::RecordedTwice | Sabotage::NeverRecorded), Message::Db(event)) => self.record(to, event),
            (
                Some(Sabotage::PartiesAreTorn),
                Message::Match(domain, matching::Event::ReqMatch { ticket, seekers, .. }),
            ) if seekers.len() > 1 => {
                for (number, seeker) in seekers.iter().enumerate() {
                    let (ticket, seekers) = (ticket + number as u64 * 1_000_000, vec![seeker.clone()]);
                    let event = matching::Event::ReqMatch { ticket, seekers, waited_ms: 0, away: <_>::default() };
                    self.deliver_later(1, to, Message::Match(domain.clone(), event));
                }
                true
            }
            _ => false,
        }
    }

    fn record(&mut self, to: Place, event: &db::Event) -> bool {
        let db::Event::Req { caller, asker, request } = event else { return false };
        let db::Request::Results(results::Request::Record { allocation, finished }) = &**request else { return false };
        if self.sabotage == Some(Sabotage::RecordedTwice) {
            let request =
                results::Request::Record { allocation: AllocationId(!allocation.0), finished: finished.clone() };
            let request = Box::new(db::Request::Results(request));
            let event = db::Event::Req { caller: caller.clone(), asker: *asker, request };
            self.deliver_later(1, to, event.into());
            return false;
        }
        true
    }
}
