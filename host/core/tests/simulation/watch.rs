//! What is known of a simulated host from outside: what its services were told and what they said.
//!
//! Main type: [`Watch`]. It keeps SceneMaster's books as they follow from its writes and messages, counts which rows
//! of the tables were reached, and notes the first invariant that does not hold.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::{self, Debug};

use scenehost_core::db::Db;
use scenehost_core::lobby::{self, Lobby};
use scenehost_core::matching::{self, Match};
use scenehost_core::record::{self, SceneRecord, SeatState};
use scenehost_core::results::Finished;
use scenehost_core::scene_master::{self, SceneMaster};
use scenehost_core::scene_service::{self, Report, SceneService};
use scenehost_core::{
    AllocationId, DomainName, Effects, Epoch, FleetName, MatchId, Message, NodeId, Partition, PartyId, SceneId,
    Service, ServiceName, Time, UserId, Write,
};

use crate::coverage::Coverage;

/// What SceneMaster says of a user who has a seat of which the lobby does not know.
const MATCHED_WITH_A_SEAT: &str = " was matched while holding a seat";
/// How many steps before a violation are told.
const STEPS_TOLD: usize = 60;
/// How much of a step is told.
const STEP_CHARS_MAX: usize = 260;

/// Where something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Lobby,
    Db,
    Match(usize),
    Master(usize),
    /// The SceneService of a node.
    Node(usize),
    /// The scenes of a node.
    Scenes(usize),
    User(usize),
    World,
}

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub invariant: &'static str,
    pub text: String,
    pub at: Time,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} ms: {}", self.invariant, self.at.0, self.text)
    }
}

/// A scene by SceneMaster's books.
#[derive(Debug, Clone)]
pub struct Row {
    pub epoch: u64,
    pub node: u64,
    pub fleet: FleetName,
    pub state: String,
    pub deadline: Option<Time>,
    pub holds_slot: bool,
    /// The node that has a slot for it, too.
    pub to: Option<u64>,
    /// Who has a seat, and how many seats were given.
    pub users: BTreeSet<UserId>,
    /// Somebody had one when its session began.
    pub has_players: bool,
    seats: usize,
    pub is_unrecorded: bool,
    /// It has failed, and its next life is not there yet.
    pub begins_anew: bool,
}

impl Row {
    fn new(fleet: FleetName) -> Self {
        Self {
            epoch: 0,
            node: 0,
            fleet,
            state: String::new(),
            deadline: None,
            holds_slot: false,
            to: None,
            users: BTreeSet::new(),
            has_players: false,
            seats: 0,
            is_unrecorded: false,
            begins_anew: false,
        }
    }
}

/// See the module.
#[derive(Default)]
pub struct Watch {
    pub now: Time,
    pub steps: u64,
    pub coverage: Coverage,
    pub violation: Option<Violation>,
    /// The invariant that does not count.
    pub overlooked: Option<&'static str>,
    /// The last steps, if somebody wants to know them.
    pub traced: Option<VecDeque<String>>,
    pub scenes: BTreeMap<SceneId, Row>,
    /// The scenes whose results are not recorded, by the allocation.
    pub unrecorded: BTreeMap<AllocationId, SceneId>,
    /// Up to which incarnation of a scene SceneMaster has ordered the end.
    pub ordered: BTreeMap<SceneId, Epoch>,
    /// Who was told that a scene is over.
    pub told: BTreeSet<(UserId, SceneId)>,
    /// The users of the groups for which a scene was asked.
    pub groups: BTreeMap<MatchId, Vec<UserId>>,
    /// The domains whose handlers have handed over, until the next one is there.
    pub handed_over: BTreeSet<usize>,
    /// The searches that are to go on after this step of the lobby, and those that are to be put to a handler in it.
    pub goes_on: BTreeMap<UserId, (DomainName, u64)>,
    pub put_again: BTreeSet<u64>,
    /// How many searches were put to a next handler.
    pub kept: u64,
    /// The scenes that these were given, and the group for which one is asked just now.
    pub by_match: BTreeMap<MatchId, SceneId>,
    asking: Option<MatchId>,
    /// The tickets that the lobby has asked for, by their domain and number: of whom each is.
    pub asked: BTreeMap<(usize, u64), BTreeSet<UserId>>,
    /// The same, of those that Match knows and that are not over.
    pub tickets: BTreeMap<(usize, u64), BTreeSet<UserId>>,
    /// The members of parties, as the lobby was told.
    pub parties: BTreeMap<PartyId, BTreeSet<UserId>>,
    /// The incarnation of a scene that a node was ordered to make last.
    pub made: BTreeMap<(usize, SceneId), Epoch>,
    pub scenes_made: u64,
    /// The orders of operators that are not answered, since when, how many scenes may be made for each, and by whom.
    pub orders: BTreeMap<u64, (Time, u32, usize)>,
    pub orders_given: u64,
    /// The scenes that were being made when SceneMaster failed: for whom is forgotten.
    pub taken_over: BTreeSet<SceneId>,
    /// The nodes that get no scenes.
    pub draining: BTreeSet<(u64, Partition)>,
    /// The orders to drain nodes that are not answered.
    pub drains: BTreeMap<u64, u64>,
    /// Since when each node lives, as it has reported last.
    lives: BTreeMap<u64, Time>,
    /// What services have told the operators, by its first words.
    pub faults: BTreeMap<String, u64>,
    /// Until when something was wrong with each node, and with the store.
    pub trouble: BTreeMap<usize, Time>,
    pub store_trouble: Time,
    /// Until when a user may have a seat and not know of it.
    pub lossy_until: Time,
}

/// A service that is watched.
pub trait Observed: Service<Event: Debug> {
    fn before(&self, event: &Self::Event, place: Place, now: Time, watch: &mut Watch);
    fn after(&self, effects: &Effects, place: Place, watch: &mut Watch);

    /// Whether an event may be lost with the service that it has brought down.
    fn is_said_again(_: &Self::Event) -> bool {
        false
    }
}

impl Watch {
    /// Notes that an invariant does not hold; the first one counts.
    pub fn violated(&mut self, invariant: &'static str, text: String) {
        if self.overlooked != Some(invariant) {
            self.violation.get_or_insert(Violation { invariant, text, at: self.now });
        }
    }

    pub fn check(&mut self, invariant: &'static str, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.violated(invariant, text());
        }
    }

    pub fn trace(&mut self, place: Place, what: &impl Debug) {
        let Some(steps) = &mut self.traced else { return };
        let text: String = format!("{:>8} {place:?}: {what:?}", self.now.0).chars().take(STEP_CHARS_MAX).collect();
        if steps.len() == STEPS_TOLD {
            steps.pop_front();
        }
        steps.push_back(text);
    }

    /// A service has told the operators something: without the ids in it, so that it is counted.
    pub fn fault(&mut self, text: &str) {
        let seated = text.ends_with(MATCHED_WITH_A_SEAT);
        self.check(crate::invariants::ONE_SEAT, !seated || self.now < self.lossy_until, || text.to_owned());
        let words = text.split(' ').filter(|word| !word.contains(|sign: char| sign.is_ascii_digit()));
        *self.faults.entry(words.collect::<Vec<_>>().join(" ")).or_default() += 1;
    }

    /// A new host begins with the store.
    pub fn host_gone(&mut self) {
        self.scenes.clear();
        self.unrecorded.clear();
        self.ordered.clear();
        self.groups.clear();
        self.by_match.clear();
        self.asked.clear();
        self.tickets.clear();
        self.parties.clear();
        self.made.clear();
        self.orders.clear();
        self.taken_over.clear();
        self.draining.clear();
    }

    /// The state of a scene as the table of SceneMaster calls it.
    fn column(&self, scene: Option<&SceneId>) -> String {
        let Some(row) = scene.and_then(|scene| self.scenes.get(scene)) else { return "(none)".to_owned() };
        let unrecorded = if row.is_unrecorded { ", unrecorded" } else { "" };
        let anew = if row.state == "Placing" && row.begins_anew { ", anew" } else { "" };
        format!("{}{unrecorded}{anew}", row.state)
    }

    fn scene_of(&self, user: UserId) -> Option<SceneId> {
        self.scenes.iter().find(|(_, row)| row.users.contains(&user)).map(|(scene, _)| *scene)
    }

    /// The scenes in which users play.
    pub fn playing(&self) -> impl Iterator<Item = SceneId> {
        let playing = self.scenes.iter().filter(|(_, row)| matches!(row.state.as_str(), "Allocated" | "Running"));
        playing.map(|(scene, _)| *scene)
    }

    fn reached(&mut self, table: &'static str, row: &str, column: &str) {
        self.coverage.reached(table, row, column);
    }

    fn of_all(&mut self, row: &str, node: Option<NodeId>) {
        let here = |it: &&Row| node.is_none_or(|node| it.node == node.0);
        let scenes: Vec<SceneId> = self.scenes.iter().filter(|(_, it)| here(it)).map(|(id, _)| *id).collect();
        for column in scenes.iter().map(|scene| self.column(Some(scene))).collect::<BTreeSet<_>>() {
            self.reached("scene-master", row, &column);
        }
        // It is about no scene, too.
        if scenes.is_empty() || node.is_none() {
            self.reached("scene-master", row, "(none)");
        }
    }

    /// The handler of a domain is down; its scenes are those of the fleet of its name.
    fn handler_down(&mut self, domain: &DomainName) {
        let scenes = self.scenes.iter().filter(|(_, row)| row.fleet.as_str() == domain.as_str());
        let scenes: Vec<SceneId> = scenes.map(|(id, _)| *id).collect();
        for column in scenes.iter().map(|scene| self.column(Some(scene))).collect::<BTreeSet<_>>() {
            self.reached("scene-master", "Handler down", &column);
        }
        if scenes.is_empty() {
            self.reached("scene-master", "Handler down", "(none)");
        }
    }

    /// A node tells what it runs.
    fn reported(&mut self, report: &Report) {
        // One that has begun anew is not drained.
        if self.lives.insert(report.node.0, report.round.since) != Some(report.round.since) {
            self.draining.retain(|(node, _)| *node != report.node.0);
        }
        for reported in &report.scenes {
            let is_other = self.scenes.get(&reported.scene).is_some_and(|row| row.epoch != reported.epoch.0);
            let column = self.column(Some(&reported.scene));
            self.reached(
                "scene-master",
                if is_other { "SynReport, other epoch" } else { "SynReport, running" },
                &column,
            );
        }
        let there: BTreeSet<SceneId> = report.scenes.iter().map(|reported| reported.scene).collect();
        let here = |(scene, row): &(&SceneId, &Row)| row.node == report.node.0 && !there.contains(scene);
        let missing: Vec<SceneId> = self.scenes.iter().filter(here).map(|(scene, _)| *scene).collect();
        for scene in missing {
            let column = self.column(Some(&scene));
            self.reached("scene-master", "SynReport, without it", &column);
        }
    }

    /// SceneMaster has written the results of a game, or removed them.
    fn results(&mut self, allocation: AllocationId, finished: Option<Finished>) {
        let scene = match finished {
            Some(finished) => {
                self.unrecorded.insert(allocation, finished.scene);
                Some(finished.scene)
            }
            None => self.unrecorded.remove(&allocation),
        };
        let still = |scene: &SceneId| self.unrecorded.values().any(|it| it == scene);
        if let Some(scene) = scene {
            let is_unrecorded = still(&scene);
            self.scenes.entry(scene).and_modify(|row| row.is_unrecorded = is_unrecorded);
        }
    }

    /// SceneMaster has written a scene's record.
    fn wrote(&mut self, id: SceneId, record: &SceneRecord) {
        let is_new = !self.scenes.contains_key(&id);
        self.scenes_made += u64::from(is_new);
        let row = self.scenes.entry(id).or_insert_with(|| Row::new(record.fleet.clone()));
        let is_given = record.state == "Placing" && matches!(row.state.as_str(), "Ready" | "Reserved");
        // Some may have given their seats up.
        let of_seats = record.seats.iter().filter(|seat| seat.state != SeatState::Gone);
        row.users = of_seats.map(|seat| seat.player.user).collect();
        if is_new || is_given {
            row.has_players = !row.users.is_empty();
            if let Some(match_id) = self.asking.take_if(|_| !record.users.is_empty()) {
                self.by_match.insert(match_id, id);
            }
            // What they were told of a session before is not about this one.
            self.told.retain(|(user, scene)| *scene != id || !record.users.contains(user));
        }
        // Who has joined in progress.
        for user in record.users.iter().skip(if is_new || is_given { usize::MAX } else { row.seats }) {
            self.told.remove(&(*user, id));
        }
        row.seats = record.users.len();
        row.begins_anew =
            matches!(row.state.as_str(), "Restarting" | "Placing") && (row.begins_anew || row.state == "Restarting");
        row.holds_slot = match record.state.as_str() {
            "Placing" => true,
            "Restarting" | "Stopped" => false,
            _ => row.holds_slot,
        };
        if record.state == "Stopped" {
            row.users.clear();
        }
        row.epoch = record.epoch.0;
        row.node = record.node.0;
        row.to = record.to.map(|node| node.0);
        row.deadline = record.deadline;
        row.state.clone_from(&record.state);
    }
}

impl Observed for SceneMaster {
    fn is_said_again(event: &scene_master::Event) -> bool {
        use scene_master::Event;
        matches!(
            event,
            Event::ReqCreateScene { .. }
                | Event::ResCreateScene { .. }
                | Event::SynUserJoined { .. }
                | Event::SynUserLeft { .. }
                | Event::ReqAskDestroyScene { .. }
                | Event::ResDestroyScene { .. }
                | Event::ReqRejoin { .. }
                | Event::ResAddToken { .. }
                | Event::NodeUp { .. }
                | Event::SynReport(_)
                | Event::SynLoad { .. }
                | Event::Scanned { .. }
        )
    }

    fn before(&self, event: &scene_master::Event, _: Place, now: Time, watch: &mut Watch) {
        use scene_master::{Ask, Event, Order};
        // In the table it is the incarnation that is awaited where the scene begins anew.
        let known = |scene: &SceneId, epoch: &Epoch| match watch.scenes.get(scene) {
            Some(row) if (row.epoch != epoch.0) != row.begins_anew => ", other epoch",
            _ => "",
        };
        let (row, scene) = match event {
            Event::ReqCreateScene { match_id, domain, players, .. } => {
                if watch.groups.contains_key(match_id) {
                    ("ReqCreateScene, same match".to_owned(), watch.by_match.get(match_id).copied())
                } else {
                    crate::invariants::together(domain, *match_id, players, watch);
                    watch.asking = Some(*match_id);
                    return watch.of_all("ReqCreateScene, other match", None);
                }
            }
            Event::ResCreateScene { scene, result: Err(_), .. } => ("ResCreateScene, refused".to_owned(), Some(*scene)),
            Event::ResCreateScene { scene, epoch, .. } => {
                (format!("ResCreateScene{}", known(scene, epoch)), Some(*scene))
            }
            Event::SynUserJoined { scene, .. } => ("SynUserJoined".to_owned(), Some(*scene)),
            Event::SynUserLeft { scene, .. } => ("SynUserLeft".to_owned(), Some(*scene)),
            Event::ReqAskDestroyScene { scene, ask, .. } => {
                let ask = match ask {
                    Ask::Finished(results) if results.is_empty() => "Finished",
                    Ask::Finished(_) => "Finished, decided",
                    Ask::Crashed(_) => "Crashed",
                    Ask::Empty => "Empty",
                    Ask::GivenUp(_) => "GivenUp",
                };
                (format!("ReqAskDestroyScene {ask}"), Some(*scene))
            }
            Event::ResDestroyScene { scene, kept: true, .. } => ("ResDestroyScene, kept".to_owned(), Some(*scene)),
            Event::ResDestroyScene { scene, epoch, .. } => {
                (format!("ResDestroyScene{}", known(scene, epoch)), Some(*scene))
            }
            Event::ReqRejoin { user, .. } => match watch.scene_of(*user) {
                None => return watch.of_all("ReqRejoin", None),
                scene => ("ReqRejoin".to_owned(), scene),
            },
            Event::ReqRemoveUser { user } => ("ReqRemoveUser".to_owned(), watch.scene_of(*user)),
            Event::ResAddToken { scene, result: Ok(()), .. } => ("ResAddToken".to_owned(), Some(*scene)),
            Event::ResAddToken { scene, .. } => ("ResAddToken, refused".to_owned(), Some(*scene)),
            Event::ReqFindScenes { .. }
            | Event::SynLabel { .. }
            | Event::SynSpectators { .. }
            | Event::ReqFillSeats { .. }
            | Event::SynSeekPlayers { .. }
            | Event::SynMatchAgain { .. } => return,
            Event::ReqJoinInProgress { scene, .. } => ("ReqJoinInProgress".to_owned(), Some(*scene)),
            Event::ResAddSeat { scene, result: Ok(()), .. } => ("ResAddSeat".to_owned(), Some(*scene)),
            Event::ResAddSeat { scene, .. } => ("ResAddSeat, refused".to_owned(), Some(*scene)),
            Event::ReqWatch { scene, user, .. } => {
                let plays = watch.scenes.get(scene).is_some_and(|row| row.users.contains(user));
                (if plays { "ReqWatch, by who plays" } else { "ReqWatch" }.to_owned(), Some(*scene))
            }
            Event::ResAddSpectator { scene, .. } => ("ResAddSpectator".to_owned(), Some(*scene)),
            Event::SynSpectatorLeft { scene, .. } => ("SynSpectatorLeft".to_owned(), Some(*scene)),
            Event::ResRecord { allocation, result: Ok(()) } => {
                ("ResRecord".to_owned(), watch.unrecorded.get(allocation).copied())
            }
            Event::ResRecord { allocation, .. } => {
                ("ResRecord, later".to_owned(), watch.unrecorded.get(allocation).copied())
            }
            Event::NodeDown { node } => {
                watch.draining.remove(&(node.0, self.partition()));
                return watch.of_all("NodeDown", Some(*node));
            }
            Event::NodeUp { node, .. } => {
                watch.draining.remove(&(node.0, self.partition()));
                return;
            }
            Event::Fleets { .. } => return watch.of_all("Fleets, another build", None),
            Event::ReqOperator { number, order } => match order {
                Order::Fleets | Order::Nodes | Order::Find { .. } | Order::Kick { .. } => return,
                Order::Reserve { .. } => return watch.of_all("ReqOperator Reserve", None),
                Order::Release { scene } => ("ReqOperator Release".to_owned(), Some(*scene)),
                Order::Allocate { scene, .. } => ("ReqOperator Allocate".to_owned(), *scene),
                Order::Stop { scene } => ("ReqOperator Stop".to_owned(), Some(*scene)),
                Order::Move { scene, .. } => ("ReqOperator Move".to_owned(), Some(*scene)),
                Order::DrainNode { node, .. } => {
                    watch.drains.insert(*number, node.0);
                    return watch.of_all("ReqOperator DrainNode", Some(*node));
                }
                Order::UndrainNode { node } => {
                    watch.draining.remove(&(node.0, self.partition()));
                    return;
                }
            },
            Event::Service { service: ServiceName::Db, up } => {
                return watch.of_all(if *up { "Db up" } else { "Db down" }, None);
            }
            Event::Service { service: ServiceName::Lobby, up: false } => return watch.of_all("Lobby down", None),
            Event::Handler { domain, up: false } => return watch.handler_down(domain),
            Event::Handler { .. } => return,
            Event::Service { .. } => return,
            Event::ReqSeat { user, .. } => ("ReqSeat".to_owned(), watch.scene_of(*user)),
            Event::ResReleaseScene { scene, result: Ok(()), .. } => ("ResReleaseScene".to_owned(), Some(*scene)),
            Event::ResReleaseScene { scene, .. } => ("ResReleaseScene, refused".to_owned(), Some(*scene)),
            Event::Stopping => return watch.of_all("Stopping", None),
            Event::Tick => {
                let due = |row: &Row| row.deadline.is_some_and(|deadline| deadline <= now);
                let due: Vec<SceneId> = watch.scenes.iter().filter(|(_, row)| due(row)).map(|(id, _)| *id).collect();
                for scene in due {
                    let column = watch.column(Some(&scene));
                    watch.reached("scene-master", "Tick at the deadline", &column);
                }
                return;
            }
            Event::SynMisbehaved { scene, epoch, .. } => {
                (format!("SynMisbehaved{}", known(scene, epoch)), Some(*scene))
            }
            Event::ReqCancelScene { match_id } => ("ReqCancelScene".to_owned(), watch.by_match.get(match_id).copied()),
            Event::ReqGiveUpSeat { scene, .. } => ("ReqGiveUpSeat".to_owned(), Some(*scene)),
            Event::SynReport(report) => return watch.reported(report),
            Event::Scanned { .. } | Event::SynLoad { .. } => return,
            Event::ReqCreateByHand { .. } | Event::Recovered { .. } => return,
        };
        let column = watch.column(scene.as_ref());
        watch.reached("scene-master", &row, &column);
    }

    fn after(&self, effects: &Effects, _: Place, watch: &mut Watch) {
        for write in &effects.writes {
            let (key, value) = match write {
                Write::Put { key, value } => (key, Some(value)),
                Write::Delete { key } => (key, None),
            };
            if let Some(allocation) = key.strip_prefix(record::FINISHED_PREFIX).and_then(|id| id.parse().ok()) {
                watch.results(allocation, value.and_then(|value| record::decode(key, value).ok()));
                continue;
            }
            let Some(id) = key.strip_prefix(record::SCENE_PREFIX).and_then(|id| id.parse().ok()) else { continue };
            match value.and_then(|value| record::decode::<SceneRecord>(key, value).ok()) {
                Some(record) => watch.wrote(id, &record),
                None => {
                    if let Some(row) = watch.scenes.get_mut(&id) {
                        row.users.clear();
                        row.holds_slot = false;
                        row.to = None;
                        "Stopped".clone_into(&mut row.state);
                    }
                }
            }
        }
        watch.scenes.retain(|id, row| row.state != "Stopped" || self.state_name(*id) != "unknown");
        for message in &effects.messages {
            if let Message::SceneService(_, scene_service::Event::ReqDestroyScene { scene, epoch, .. }) = message {
                let ordered = watch.ordered.entry(*scene).or_insert(*epoch);
                *ordered = (*ordered).max(*epoch);
            }
        }
        watch.asking = None;
        for message in &effects.messages {
            match message {
                Message::Match(_, matching::Event::ResCreateScene { result: Err(refusal), .. })
                | Message::Lobby(
                    lobby::Event::ResRejoin { result: Err(refusal), .. }
                    | lobby::Event::ResJoinInProgress { result: Err(refusal), .. }
                    | lobby::Event::ResWatch { result: Err(refusal), .. },
                )
                | Message::Operator(_, Err(refusal)) => watch.coverage.refused("scene-master", refusal),
                _ => {}
            }
        }
        crate::invariants::after_master(self, effects, watch);
    }
}

impl Observed for Match {
    fn before(&self, event: &matching::Event, place: Place, _: Time, watch: &mut Watch) {
        use matching::Event;
        let (row, column) = match event {
            Event::ReqMatch { ticket, seekers, .. } => {
                crate::invariants::one_ticket(place, *ticket, seekers, watch);
                let column = seekers.first().map_or("none", |seeker| self.ticket_name(seeker.user));
                ("ReqMatch, a newer one", column)
            }
            Event::ReqCancelMatch { user, .. } => ("ReqCancelMatch", self.ticket_name(*user)),
            Event::ReqAcceptMatch { user, accepts: true, .. } => ("ReqAcceptMatch", self.ticket_name(*user)),
            Event::ReqAcceptMatch { user, .. } => ("ReqAcceptMatch, declined", self.ticket_name(*user)),
            Event::SynHere { user, here: true, .. } => ("SynHere, back", self.ticket_name(*user)),
            Event::SynHere { user, .. } => ("SynHere, gone", self.ticket_name(*user)),
            Event::ResCreateScene { match_id, result } => {
                let user = watch.groups.get(match_id).and_then(|users| users.first());
                match (user.map_or("none", |user| self.ticket_name(*user)), result) {
                    ("none", _) => ("ResCreateScene, unknown", "none"),
                    (column, Ok(_)) => ("ResCreateScene", column),
                    (column, Err(_)) => ("ResCreateScene, refused", column),
                }
            }
            Event::HandOver => ("HandOver", if self.waiting() > 0 { "Waiting" } else { "none" }),
            Event::Service { service: service @ (ServiceName::Db | ServiceName::Lobby), up: false } => {
                let row = if *service == ServiceName::Db { "Db down" } else { "Lobby down" };
                (row, if self.waiting() > 0 { "Waiting" } else { "none" })
            }
            Event::SceneMaster { up, .. } => {
                let row = if *up { "SceneMaster up" } else { "SceneMaster down" };
                (row, if self.waiting() > 0 { "Waiting" } else { "none" })
            }
            Event::Service { .. }
            | Event::Tick
            | Event::ReqBackfill { .. }
            | Event::SynBackfillEnded { .. }
            | Event::Removed
            | Event::ResHandOver
            | Event::Domain { .. } => return,
        };
        watch.reached("match", row, column);
    }

    fn after(&self, effects: &Effects, place: Place, watch: &mut Watch) {
        crate::invariants::after_match(effects, place, watch);
    }
}

impl Observed for SceneService {
    fn before(&self, event: &scene_service::Event, place: Place, _: Time, watch: &mut Watch) {
        use scene_service::Event;
        let Place::Node(node) = place else { return };
        let (row, scene, epoch) = match event {
            Event::ReqCreateScene { scene, epoch, reuse, .. } => {
                let is_known = watch.made.get(&(node, *scene)).is_some_and(|made| made >= epoch);
                if self.state_name(*scene) == "none" || (*reuse && !is_known) {
                    watch.made.insert((node, *scene), *epoch);
                }
                let is_next = *reuse && !is_known;
                (if is_next { "ReqCreateScene, next session" } else { "ReqCreateScene" }, *scene, Some(*epoch))
            }
            Event::ResStart { scene, result: Ok(()), .. } => ("ResStart", *scene, None),
            Event::ResStart { scene, .. } => ("ResStart, refused", *scene, None),
            Event::ReqDestroyScene { scene, epoch, keep: true, .. } => ("ReqDestroyScene, kept", *scene, Some(*epoch)),
            Event::ReqDestroyScene { scene, epoch, .. } => ("ReqDestroyScene", *scene, Some(*epoch)),
            Event::ReqDrainScene { scene, epoch, .. } => ("ReqDrainScene", *scene, Some(*epoch)),
            Event::ReqReleaseScene { scene, epoch } => ("ReqReleaseScene", *scene, Some(*epoch)),
            Event::ResRelease { scene, result: Ok(()), .. } => ("ResRelease", *scene, None),
            Event::ResRelease { scene, .. } => ("ResRelease, refused", *scene, None),
            Event::ResEnd { scene, kept: true, .. } => ("ResEnd, kept", *scene, None),
            Event::ResEnd { scene, .. } => ("ResEnd", *scene, None),
            Event::ReqAddToken { scene, epoch, .. } => ("ReqAddToken", *scene, Some(*epoch)),
            Event::ReqAddSeats { scene, epoch, .. } => ("ReqAddSeats", *scene, Some(*epoch)),
            Event::ReqAddSpectator { scene, epoch, .. } => ("ReqAddSpectator", *scene, Some(*epoch)),
            Event::ReqRemoveSpectator { scene, .. } => ("ReqRemoveSpectator", *scene, None),
            Event::ReqRemoveUser { scene, .. } => ("ReqRemoveUser", *scene, None),
            Event::ResReport { scene, .. } => ("ResReport", *scene, None),
            Event::ReqReport { .. } => {
                let states: BTreeSet<&str> = watch.scenes.keys().map(|scene| self.state_name(*scene)).collect();
                return states.into_iter().for_each(|state| watch.reached("scene-service", "ReqReport", state));
            }
            Event::Fleets { .. } | Event::SynDrained { .. } | Event::Tick => return,
        };
        let is_other = match (self.state_name(scene), epoch) {
            ("none", Some(epoch)) => epoch.0 > 1,
            (_, epoch) => epoch.is_some() && watch.made.get(&(node, scene)).copied() != epoch,
        };
        let is_other = is_other && row != "ReqCreateScene, next session";
        let row = format!("{row}{}", if is_other { ", other epoch" } else { "" });
        watch.reached("scene-service", &row, self.state_name(scene));
    }

    fn after(&self, effects: &Effects, _: Place, watch: &mut Watch) {
        for message in &effects.messages {
            let Message::SceneMaster(
                scene_master::Event::ResCreateScene { result: Err(refusal), .. }
                | scene_master::Event::ResReleaseScene { result: Err(refusal), .. }
                | scene_master::Event::ResAddToken { result: Err(refusal), .. },
            ) = message
            else {
                continue;
            };
            watch.coverage.refused("scene-service", refusal);
            if matches!(refusal, scenehost_core::Refusal::TimedOut(_)) {
                watch.reached("scene-service", "Tick at the deadline", "Starting");
            }
        }
        if !effects.faults.is_empty() {
            watch.reached("scene-service", "Tick at the deadline", "Ending");
        }
    }
}

impl Observed for Lobby {
    fn before(&self, event: &lobby::Event, _: Place, _: Time, watch: &mut Watch) {
        crate::coverage::of_lobby(self, event, watch);
        crate::invariants::before_lobby(self, event, watch);
        if let lobby::Event::SynParty { party, now, .. } = event {
            match now {
                Some(now) => {
                    let members = now.members.iter().map(|member| member.user).collect();
                    watch.parties.insert(*party, members);
                }
                None => _ = watch.parties.remove(party),
            }
        }
        if let lobby::Event::Recovered { parties } = event {
            let members = |party: &scenehost_core::party::Party| party.members.iter().map(|it| it.user).collect();
            watch.parties = parties.iter().map(|(id, party)| (*id, members(party))).collect();
        }
    }

    fn after(&self, effects: &Effects, _: Place, watch: &mut Watch) {
        crate::invariants::after_lobby(self, effects, watch);
    }
}

impl Observed for Db {
    fn before(&self, _: &scenehost_core::db::Event, _: Place, _: Time, _: &mut Watch) {}

    fn after(&self, _: &Effects, _: Place, _: &mut Watch) {}
}
