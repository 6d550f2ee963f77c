//! SceneMaster: the only authority over the life and death of scenes.
//!
//! Invariants: a scene's state and its absolute deadline are written before their effects. There
//! is at most one live epoch of a scene; what comes from another one is passed over, and that one ended. Slots are
//! counted here and never negative. A user on the way in blocks the end of a scene that is only
//! empty. Every state has a deadline. The results of a game are written before its end is told to
//! anybody, and stay in the store until Db has recorded them.
//!
//! Main type: [`SceneMaster`].
//!
//! | state | entered by | leaves to |
//! |---|---|---|
//! | Placing | ReqCreateScene, an order, a scene that is missing; slot taken | Ready, Reserved, Allocated; Stopped if the node refuses or is silent |
//! | Ready | ResCreateScene; a session's end, a reservation's | Placing for its allocation, with the next epoch; Reserved; Stopping |
//! | Reserved | an operator's order | Placing for its allocation, with the next epoch; Ready |
//! | Allocated | ResCreateScene | Running at the first join; Draining; Stopping if nobody comes |
//! | Running | SynUserJoined | Empty, Suspect, Draining, Stopping |
//! | Suspect | SynMisbehaved | Running when its strikes count no more; Empty, Draining; Stopping with too many of them |
//! | Empty | the last seat is given up | Stopping |
//! | Draining | its node is drained | Stopping when nobody is left, or at the deadline |
//! | Releasing | an order to move it, a drain of its node | Restarting when its node has let it go; the state before; Stopping |
//! | Restarting | the game failed or its node is gone or has let it go, and may begin anew | Placing, with the next epoch; Stopping |
//! | Stopping | ReqAskDestroyScene, a deadline, an operator, the host's stop | Stopped by ResDestroyScene or by force; Ready if its instance is kept |
//! | Stopped | | forgotten after the tombstone's time |

mod backfill;
mod counts;
mod ending;
mod event;
mod finding;
mod fleets;
mod joining;
mod moving;
mod nodes;
mod operator;
mod placing;
mod reconcile;
mod recording;
mod restart;
mod seats;
mod stopping;
mod strikes;
mod unheard;
mod watching;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::config::{Fleet, Usage};
use crate::deadlines::Deadlines;
use crate::ids::{AllocationId, Build, DomainName, Epoch, FleetName, MatchId, NodeId, SceneId, Seat, Time, UserId};
use crate::message::{Arranged, EndReason, Player, PlayerResult, ServiceName};
use crate::partition::{Partition, Shard};
use crate::record::{self, SceneRecord, SeatRecord, SeatState};
use crate::refusal::Refusal;
use crate::scene_service::Round;
use crate::token::Secret;
use crate::{Context, Meter, Service};
use counts::Counts;
pub use event::{Ask, Event, Matched, Misbehaviour};
pub use finding::SCANNED_MAX;
pub use fleets::{Builds, Canary, FleetView, PROVISION_MAX};
use fleets::{FleetState, Standing};
pub use joining::{Joiner, LATE_MS, SEATS_EVER_MAX};
pub use moving::{MOVES_MAX, RELEASE_MS_MAX, RELEASES_MAX};
use nodes::Node;
pub use nodes::{Capacity, Idle, Load, NodeView, Offer};
pub use operator::{Answer, Order};
pub use placing::Asked;
use reconcile::Reconcile;
pub use reconcile::{OFFER_MS_MAX, RECONCILE_MS_MAX};
use recording::Recording;
pub use recording::{RECORD_AGAIN_MS, RECORD_AGAIN_MS_MAX, RECORDING_MAX};
pub use restart::{FALLS_MAX, GO_ON_MS, RESTART_MS, RESTART_MS_MAX, ROOM_AGAIN_MS, ROOM_MS_MAX};
pub use unheard::{HEARD_MS_MAX, Held, UNHEARD_MAX};

/// How long a node may take to begin a scene.
pub const PLACE_MS_MAX: u64 = 5_000;
/// How long a node may take to end a scene, beyond the scene's own grace.
pub const STOP_MS_MAX: u64 = 5_000;
/// How long a node may take to note a new scene token.
pub const TOKEN_MS_MAX: u64 = 5_000;
/// How long an ended scene is remembered, for late questions.
pub const TOMBSTONE_MS: u64 = 600_000;
/// Why scenes of a lost node end.
const MACHINE_GONE: &str = "the machine that ran it is gone";
/// How many nodes are asked for one scene, if those before had no room.
const PLACES_MAX: u32 = 3;
/// How many matches of sessions before a scene knows, for late questions; the oldest go first.
const PAST_MATCHES_MAX: usize = 16;
/// How many ended scenes are remembered; the oldest go first.
pub const TOMBSTONES_MAX: usize = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Placing,
    /// It runs and nobody uses it.
    Ready,
    /// The same, and it is held for an allocation to come.
    Reserved,
    Allocated,
    Running,
    Empty,
    /// Running, and it has misbehaved.
    Suspect,
    /// Its node is being drained: it may come to its end in time.
    Draining,
    /// Its node is to let it go, so that it goes on elsewhere.
    Releasing,
    /// It has failed; at the deadline it begins anew.
    Restarting,
    Stopping,
    Stopped,
}

impl State {
    const ALL: [Self; 12] = [
        Self::Placing,
        Self::Ready,
        Self::Reserved,
        Self::Allocated,
        Self::Running,
        Self::Empty,
        Self::Suspect,
        Self::Draining,
        Self::Releasing,
        Self::Restarting,
        Self::Stopping,
        Self::Stopped,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Placing => "Placing",
            Self::Ready => "Ready",
            Self::Reserved => "Reserved",
            Self::Allocated => "Allocated",
            Self::Running => "Running",
            Self::Empty => "Empty",
            Self::Suspect => "Suspect",
            Self::Draining => "Draining",
            Self::Releasing => "Releasing",
            Self::Restarting => "Restarting",
            Self::Stopping => "Stopping",
            Self::Stopped => "Stopped",
        }
    }
}

/// For what a way in was opened that the scene has to note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// The user wants back to the seat.
    Rejoin,
    /// The match is to be answered, and the ways in that were there are not known any more.
    Match,
    /// The same for the operator who has put the users together.
    Operator(u64),
    /// The same for users whose scene has begun anew.
    Restart,
}

#[derive(Debug, Clone)]
struct SeatRow {
    player: Player,
    state: SeatState,
    /// The game knows of it: from the beginning, or since its user came in.
    is_known: bool,
    /// The way in that waits for the scene to note its token.
    entry: Option<Secret>,
    /// For what the scene was asked to note it.
    asked: Option<For>,
    /// Why the scene has to take the user out, if it has; until it says that it did.
    remove: Option<EndReason>,
}

#[derive(Debug, Clone)]
struct Scene {
    epoch: Epoch,
    state: State,
    fleet: FleetName,
    /// The fleet's rules when it began its session.
    rules: Arc<Fleet>,
    build: Build,
    /// How its fleet, and which node counts it.
    standing: Standing,
    counted_on: Option<NodeId>,
    /// Who waits for it, until it is there.
    asked: Option<Asked>,
    /// Whose it is; `None`: nobody's yet.
    allocation: Option<AllocationId>,
    domain: Option<DomainName>,
    match_id: Option<MatchId>,
    /// What matching has arranged for it.
    arranged: Arranged,
    /// How often it has had a lease of its search for players.
    seeks: u32,
    /// The matches of sessions before.
    past_matches: Vec<MatchId>,
    node: NodeId,
    /// What it has taken of its node; `None`: it has no slot.
    usage: Option<Usage>,
    /// The node that has a slot for it, too, while its own is to let it go.
    to: Option<NodeId>,
    /// How many nodes were asked for it since somebody waits.
    places: u32,
    sessions: u32,
    /// When its session began.
    born: Time,
    seats: Vec<SeatRow>,
    /// When it has failed, as long as that counts.
    crashes: Vec<Time>,
    /// When it has lost its machine, as long as that counts.
    falls: Vec<Time>,
    /// When it has misbehaved, as long as that counts.
    strikes: Vec<Time>,
    /// The round of its node's report in which it was missing first.
    missed: Option<Round>,
    /// Why it stops, once it does, and what users are told.
    end: Option<(EndReason, Vec<PlayerResult>)>,
}

/// Scenes that an operator has started by hand and that are not all there yet.
#[derive(Debug, Clone)]
struct ByHand {
    open: u32,
    made: Vec<SceneId>,
    refusal: Option<Refusal>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Scene(SceneId),
    Token(SceneId, Seat),
    Record(AllocationId),
    End(SceneId, Epoch),
    /// A seat of a running game that is not taken yet.
    Seat(SceneId, Seat),
    Watch(UserId),
    /// A search for players is to be said again.
    Seek(SceneId),
    Fleet(FleetName),
    Node(NodeId),
}

/// The service.
#[derive(Debug, Clone)]
pub struct SceneMaster {
    /// Whose scenes it has.
    partition: Partition,
    fleets: BTreeMap<FleetName, FleetState>,
    /// The fleets of which scenes may have to be made ready.
    standby_wanted: BTreeSet<FleetName>,
    scenes: HashMap<SceneId, Scene>,
    by_match: HashMap<MatchId, SceneId>,
    by_user: HashMap<UserId, (SceneId, Seat)>,
    nodes: BTreeMap<NodeId, Node>,
    /// The nodes that are gone, until they are up again; the least ids are forgotten first.
    gone: BTreeSet<NodeId>,
    /// Nodes that are to be drained as soon as they report, of which this one has not heard; and whether they exit then.
    drains: BTreeMap<NodeId, bool>,
    orders: HashMap<u64, ByHand>,
    /// The incarnations whose ends are ordered and not confirmed.
    ending: BTreeMap<(SceneId, Epoch), ending::Order>,
    deadlines: Deadlines<Due>,
    tombstones: VecDeque<SceneId>,
    /// The results that Db has not recorded yet, also those of a run before.
    recording: Recording,
    db_up: bool,
    stopping: bool,
    /// It has taken over, and does not know yet what there is.
    reconcile: Option<Reconcile>,
    counts: Counts,
    list: finding::List,
    newcomers: joining::Newcomers,
    backfill: backfill::Backfill,
    spectators: watching::Spectators,
    moves: moving::Moves,
    unheard: unheard::Unheard,
}

impl Service for SceneMaster {
    type Event = Event;

    fn step(&mut self, event: Event, cx: &mut Context<'_>) {
        let Some(event) = self.unless_held(event, cx) else { return };
        match event {
            Event::ReqCreateScene { match_id, domain, fleet, players, choices, region, bots } => {
                let arranged = Arranged { region, choices, bots };
                self.req_create_scene(match_id, domain, fleet, players, arranged, cx)
            }
            Event::ReqFillSeats { match_id, domain, lease, players } => {
                self.req_fill_seats(match_id, domain, lease, players, cx)
            }
            Event::SynSeekPlayers { scene, epoch, number, openings } => {
                self.syn_seek_players(scene, epoch, number, openings, cx)
            }
            Event::SynMatchAgain { scene, epoch, seats, domain, together } => {
                self.syn_match_again(scene, epoch, seats, domain, together, cx)
            }
            Event::Fleets { fleets } => self.set_fleets(fleets, cx),
            Event::ReqOperator { number, order } => self.req_operator(number, order, cx),
            Event::ReqCreateByHand { number, fleet, count } => self.req_create_by_hand(number, &fleet, count, cx),
            Event::ResCreateScene { scene, epoch, result } => self.res_create_scene(scene, epoch, result, cx),
            Event::SynUserJoined { scene, epoch, seat } => self.syn_user_joined(scene, epoch, seat, cx),
            Event::SynUserLeft { scene, epoch, seat, reason } => self.syn_user_left(scene, epoch, seat, reason, cx),
            Event::ReqAskDestroyScene { scene, epoch, ask } => self.req_ask_destroy_scene(scene, epoch, ask, cx),
            Event::ResDestroyScene { scene, epoch, kept } => self.res_destroy_scene(scene, epoch, kept, cx),
            Event::ResReleaseScene { scene, epoch, result } => self.res_release_scene(scene, epoch, result, cx),
            Event::ReqSeat { user, number } => self.req_seat(user, number, cx),
            Event::ReqRejoin { user, .. } => self.req_rejoin(user, cx),
            Event::ReqRemoveUser { user } => self.req_remove_user(user, cx),
            Event::ResAddToken { scene, epoch, seat, result } => {
                if self.live(scene, epoch).is_some() {
                    self.res_add_token(scene, seat, result, cx);
                }
            }
            Event::ReqFindScenes { user, number, query } => self.req_find_scenes(user, number, &query, cx),
            Event::SynLabel { scene, epoch, label } => self.syn_label(scene, epoch, label),
            Event::ReqJoinInProgress { number, scene, joiner } => self.req_join_in_progress(number, scene, *joiner, cx),
            Event::ResAddSeat { scene, epoch, seat, result } => self.res_add_seat(scene, epoch, seat, result, cx),
            Event::ReqWatch { user, number, scene } => self.req_watch(user, number, scene, cx),
            Event::ResAddSpectator { scene, epoch, user, result } => {
                self.res_add_spectator(scene, epoch, user, result, cx)
            }
            Event::SynSpectators { scene, epoch, users } => self.syn_spectators(scene, epoch, users, cx),
            Event::SynSpectatorLeft { scene, epoch, user } => self.syn_spectator_left(scene, epoch, user),
            Event::ReqCancelScene { match_id } => match self.by_match.get(&match_id).copied() {
                Some(scene) => self.req_cancel_scene(scene, match_id, cx),
                None => self.cancel_fill(match_id, cx),
            },
            Event::ReqGiveUpSeat { user, scene } => self.req_give_up_seat(user, scene, cx),
            Event::SynMisbehaved { scene, epoch, kind } => self.syn_misbehaved(scene, epoch, kind, cx),
            Event::SynReport(report) => self.syn_report(&report, cx),
            Event::SynLoad { node, load } => self.note_load(node, &load),
            // It has asked for nothing.
            Event::Scanned { .. } => {}
            Event::NodeUp { node, url, capacity, idle, region } => {
                self.node_up(node, Offer { url, capacity, idle, region }, cx)
            }
            Event::NodeDown { node } => {
                self.node_down(node, cx);
                self.await_no_more(node, cx);
            }
            Event::Recovered { scenes, finished } => {
                let partition = self.partition;
                let scenes = scenes.into_iter().filter(|(scene, _)| partition.has(Shard::of_id(scene.0)));
                scenes.for_each(|(scene, record)| self.recovered(scene, record, cx));
                for (allocation, finished) in finished {
                    if partition.has(Shard::of_id(allocation.0)) {
                        self.owe(allocation, finished, cx);
                    }
                }
            }
            Event::ResRecord { allocation, result } => self.res_record(allocation, result, cx),
            Event::Service { service: ServiceName::Db, up } => {
                self.db_up = up;
                if up {
                    self.wait_anew(cx);
                    self.record_all(cx);
                    self.want_standby();
                }
                self.seek_all_anew(cx);
            }
            Event::Service { service: ServiceName::Lobby, up } => self.lobby(up, cx),
            Event::Handler { domain, up: true } => self.tell_searches(&domain, cx),
            Event::Handler { domain, up: false } => self.handler_down(&domain, cx),
            Event::Service { .. } => {}
            Event::Stopping => self.stop_all(cx),
            Event::Tick => self.expire(cx),
        }
        self.move_next(cx);
        self.provision(cx);
    }

    fn tick() -> Event {
        Event::Tick
    }

    fn deadline(&self) -> Option<Time> {
        match &self.reconcile {
            Some(reconcile) => Some(reconcile.at),
            None => self.deadlines.next(),
        }
    }

    fn store(up: bool) -> Option<Event> {
        Some(Event::Service { service: ServiceName::Db, up })
    }

    fn is_up(&self) -> bool {
        self.reconcile.is_none()
    }

    fn meters(&self) -> Vec<Meter> {
        let mut meters = self.counts.meters();
        let mut by_state = State::ALL.map(|state| (state.name(), 0));
        self.scenes.values().for_each(|scene| by_state[scene.state as usize].1 += 1);
        for (state, scenes) in by_state {
            meters.push(Meter::now("scenehost_scenes_by_state", scenes).of("state", state));
        }
        meters.push(Meter::now("scenehost_unrecorded_results", self.unrecorded()));
        meters.extend(self.backfill.meters());
        if self.partition == Partition::WHOLE {
            return meters;
        }
        let partition = self.partition.to_string();
        meters.into_iter().map(|meter| meter.of("partition", partition.clone())).collect()
    }
}

impl SceneMaster {
    /// An authority over scenes of these fleets.
    pub fn new(fleets: BTreeMap<FleetName, Fleet>) -> Self {
        Self {
            partition: Partition::WHOLE,
            fleets: fleets.into_iter().map(|(name, rules)| (name, FleetState::new(rules))).collect(),
            standby_wanted: BTreeSet::new(),
            scenes: HashMap::new(),
            by_match: HashMap::new(),
            by_user: HashMap::new(),
            nodes: BTreeMap::new(),
            gone: BTreeSet::new(),
            drains: BTreeMap::new(),
            orders: HashMap::new(),
            ending: BTreeMap::new(),
            deadlines: Deadlines::default(),
            tombstones: VecDeque::new(),
            recording: Recording::default(),
            db_up: true,
            stopping: false,
            reconcile: None,
            counts: Counts::default(),
            list: finding::List::default(),
            newcomers: joining::Newcomers::default(),
            backfill: backfill::Backfill::default(),
            spectators: watching::Spectators::default(),
            moves: moving::Moves::default(),
            unheard: unheard::Unheard::default(),
        }
    }

    /// The one of a partition; others have the other fleets.
    pub fn of(mut self, partition: Partition) -> Self {
        self.partition = partition;
        self.fleets.retain(|name, _| partition.has(Shard::of_fleet(name)));
        self
    }

    /// Whose scenes it has.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// How many scenes live.
    pub fn scenes_live(&self) -> usize {
        self.scenes.len() - self.tombstones.len()
    }

    /// The state of a scene, for tables and logs.
    pub fn state_name(&self, scene: SceneId) -> &'static str {
        self.scenes.get(&scene).map_or("unknown", |scene| scene.state.name())
    }

    fn expire(&mut self, cx: &mut Context<'_>) {
        while let Some(due) = self.deadlines.pop_due(cx.now) {
            match due {
                Due::Token(id, seat) => {
                    self.res_add_token(id, seat, Err(Refusal::TimedOut("opening the way back".into())), cx)
                }
                Due::Record(id) => self.record(id, cx),
                Due::End(id, epoch) => self.repeat_end(id, epoch, cx),
                Due::Fleet(name) => _ = self.standby_wanted.insert(name),
                Due::Node(node) => self.node_idle(node, cx),
                Due::Seat(id, seat) => self.seat_due(id, seat, cx),
                Due::Watch(user) => self.watch_due(user, cx),
                Due::Seek(id) => self.tell_search(id, cx),
                Due::Scene(id) => match self.scenes.get(&id).map(|it| it.state) {
                    Some(State::Placing | State::Releasing | State::Stopping) if !self.db_up => {
                        self.wait_for_node(id, cx)
                    }
                    Some(State::Placing) if !self.scenes[&id].is_new() => {
                        self.crashed(id, Refusal::TimedOut("making the scene".into()).to_string(), cx);
                    }
                    Some(State::Placing) => {
                        self.not_placed_in_time(id, Refusal::TimedOut("making the scene".into()), cx)
                    }
                    Some(State::Ready) => self.standby_over(id, cx),
                    Some(State::Reserved) => self.ready(id, cx),
                    Some(State::Draining) => self.stop(id, EndReason::Drained, Vec::new(), cx),
                    Some(State::Allocated) => self.stop(id, EndReason::Expired, Vec::new(), cx),
                    Some(State::Running) => self.stop(id, EndReason::TimeLimit, Vec::new(), cx),
                    Some(State::Suspect) => self.suspect_over(id, cx),
                    Some(State::Empty) => self.stop(id, EndReason::Empty, Vec::new(), cx),
                    Some(State::Releasing) => self.not_released_in_time(id, cx),
                    Some(State::Restarting) => self.place_anew(id, cx),
                    Some(State::Stopping) => {
                        cx.fault(format!("scene {id} did not end in time and is given up"));
                        self.give_up(id, cx);
                    }
                    Some(State::Stopped) => self.forget(id),
                    None => {}
                },
            }
        }
    }

    /// The store is up again: what was ordered meanwhile, or just before, leaves only now, so the nodes have their
    /// whole time to answer. Or a scene would be given up, and its users told, before its node has heard of it.
    fn wait_anew(&mut self, cx: &Context<'_>) {
        let waits = |scene: &Scene| matches!(scene.state, State::Placing | State::Releasing | State::Stopping);
        let waiting: Vec<SceneId> = self.scenes.iter().filter(|(_, it)| waits(it)).map(|(id, _)| *id).collect();
        for id in waiting {
            self.wait_for_node(id, cx);
        }
    }

    /// Gives the node of a scene that is being made or ended its time to answer.
    fn wait_for_node(&mut self, id: SceneId, cx: &Context<'_>) {
        let Some(scene) = self.scenes.get(&id) else { return };
        let wait_ms = match scene.state {
            State::Stopping => u64::from(scene.rules.stop_grace_ms) + STOP_MS_MAX,
            State::Releasing => RELEASE_MS_MAX,
            _ => PLACE_MS_MAX,
        };
        self.deadlines.set(Due::Scene(id), cx.now.plus_ms(wait_ms));
    }

    /// Enters a state: the record is written, or removed at the end, and the deadline is set.
    fn enter(&mut self, id: SceneId, state: State, deadline: Option<Time>, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        self.counts.went(scene.state, state);
        scene.state = state;
        match deadline {
            Some(deadline) => self.deadlines.set(Due::Scene(id), deadline),
            None => self.deadlines.clear(&Due::Scene(id)),
        }
        self.settle_move(id, cx);
        self.keep(id, cx);
        self.count(id, cx);
        self.list_anew(id);
        self.end_joining(id, cx);
        self.seek_anew(id, cx);
    }

    /// Writes a scene's record as it is now, or removes it when it has ended.
    fn keep(&mut self, id: SceneId, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get(&id) else { return };
        if scene.state == State::Stopped {
            return cx.delete(record::scene_key(id));
        }
        let seats = scene.seats.iter().map(|row| SeatRecord {
            player: row.player.clone(),
            state: row.state,
            is_known: row.is_known,
            remove: row.remove.clone(),
        });
        let record = SceneRecord {
            epoch: scene.epoch,
            fleet: scene.fleet.clone(),
            node: scene.node,
            state: scene.state.name().to_owned(),
            deadline: self.deadlines.get(&Due::Scene(id)),
            users: scene.seats.iter().map(|row| row.player.user).collect(),
            build: scene.build,
            born: scene.born,
            holds_slot: scene.usage.is_some(),
            sessions: scene.sessions,
            asked: scene.asked.clone(),
            allocation: scene.allocation,
            domain: scene.domain.clone(),
            match_id: scene.match_id,
            arranged: scene.arranged.clone(),
            seeks: scene.seeks,
            past_matches: scene.past_matches.clone(),
            seats: seats.collect(),
            crashes: scene.crashes.clone(),
            falls: scene.falls.clone(),
            to: scene.to,
            strikes: scene.strikes.clone(),
            end: scene.end.clone(),
            is_kept: self.is_to_be_kept(id, scene.epoch),
        };
        cx.put(record::scene_key(id), record::encode(&record));
    }

    fn live(&mut self, id: SceneId, epoch: Epoch) -> Option<&mut Scene> {
        self.scenes.get_mut(&id).filter(|scene| scene.epoch == epoch)
    }
}
