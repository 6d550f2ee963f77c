//! The nodes: each has a SceneService, and runs its scenes as a thread of the host's does.

use std::collections::{BTreeMap, VecDeque};

use scenehost_core::message::EndReason;
use scenehost_core::scene::{self, Effect, Notice, Scene};
use scenehost_core::scene_service::{SceneService, Start, ToScene};
use scenehost_core::{ConnectionId, Message, NodeId, Refusal, SceneId, Seat, Time};

use crate::coverage;
use crate::game::{Game, Turn};
use crate::invariants;
use crate::plan::stream;
use crate::process::Process;
use crate::sabotage::Sabotage;
use crate::sim::{Due, PLAYERS_MAX, Sim, fleets, partitions};
use crate::traffic::{LinkFault, offer};
use crate::user::User;
use crate::watch::Place;

pub struct Node {
    /// Grows with every start.
    pub life: u32,
    pub up: bool,
    pub paused_until: Option<Time>,
    /// How far its clock is ahead of the host's.
    pub ahead_ms: i64,
    /// Its clock never goes back.
    pub clock: Time,
    pub link: Option<LinkFault>,
    /// The last messages over its link.
    pub letters: VecDeque<(Place, Message)>,
    pub service: Process<SceneService>,
    pub scenes: BTreeMap<SceneId, Hosted>,
}

/// A scene with its game.
pub struct Hosted {
    pub scene: Scene<u32>,
    game: Game,
    /// When its next tick is planned, by the node's clock.
    tick: Option<Time>,
    born: Time,
    /// It does nothing before then.
    pub hangs_until: Time,
}

impl Node {
    pub fn new(seed: u64, node: usize, life: u32) -> Self {
        let rng = stream(seed, 100_000 + node as u64 * 10_000 + u64::from(life));
        let service =
            SceneService::new(NodeId(node as u64), offer(seed, node), fleets()).with_partitions(partitions(seed));
        Self {
            life,
            up: true,
            paused_until: None,
            ahead_ms: 0,
            clock: Time(0),
            link: None,
            letters: VecDeque::new(),
            service: Process::new(service, Place::Node(node), rng),
            scenes: BTreeMap::new(),
        }
    }

    fn now(&mut self, now: Time) -> Time {
        self.clock = self.clock.max(Time(now.0.saturating_add_signed(self.ahead_ms)));
        self.clock
    }
}

impl Sim {
    /// An order of the SceneService.
    pub fn order(&mut self, node: usize, id: SceneId, order: ToScene) {
        match order {
            ToScene::Start(start) => self.start_scene(node, id, *start),
            order => self.scene_event(node, id, scene::Event::Order(order)),
        }
    }

    fn start_scene(&mut self, node: usize, id: SceneId, start: Start) {
        if let Some(older) = self.nodes[node].scenes.get(&id) {
            let epoch = older.scene.incarnation().epoch;
            if !start.reuse || epoch >= start.epoch {
                return; // Ordered twice; the first one answers.
            }
            let (reason, results) = (EndReason::Expired, Vec::new());
            let end = ToScene::End { epoch, reason, results, keep: true };
            self.scene_event(node, id, scene::Event::Order(end));
        }
        let game = Game::new(start.seed, start.seats.len() as u32);
        let (starts, late_ms) = (game.starts(), game.late_ms());
        let due = Due::GameTurn { node, life: self.nodes[node].life, scene: id, epoch: start.epoch.0 };
        self.after(game.next_ms, due);
        let hosted = Hosted { scene: Scene::start(id, start), game, tick: None, born: self.now, hangs_until: Time(0) };
        self.nodes[node].scenes.insert(id, hosted);
        if let Some(late_ms) = late_ms {
            let life = self.nodes[node].life;
            return self.after(late_ms, Due::Started { node, life, scene: id });
        }
        let result = if starts { Ok(()) } else { Err(Refusal::Invalid("the game could not start".to_owned())) };
        self.scene_event(node, id, scene::Event::Started(result));
    }

    pub fn scene_event(&mut self, node: usize, id: SceneId, event: scene::Event) {
        let mut waiting = VecDeque::from([event]);
        while let Some(event) = waiting.pop_front() {
            self.watch.trace(Place::Scenes(node), &(id, &event));
            let now = self.nodes[node].now(self.now);
            let Some(hosted) = self.nodes[node].scenes.get_mut(&id) else {
                if let scene::Event::ReqJoinScene { connection, .. } = event {
                    self.tell_at_scene(node, connection, Notice::Refused(Refusal::SceneEnded));
                }
                break;
            };
            if hosted.hangs_until > self.now {
                let (at, life) = (hosted.hangs_until, self.nodes[node].life);
                return self.at(at, Due::AtScene { node, life, scene: id, event: Box::new(event) });
            }
            if self.sabotage == Some(Sabotage::NodeKeepsScenes)
                && matches!(event, scene::Event::Order(ToScene::End { .. }))
            {
                let epoch = hosted.scene.incarnation().epoch;
                let ended = scenehost_core::scene_service::Event::ResEnd { scene: id, epoch, kept: false };
                self.route(Place::Scenes(node), Message::OwnSceneService(ended));
                break;
            }
            let seat = seat_of(&hosted.scene, &event, &self.owners, &self.users);
            coverage::of_scene(&hosted.scene, &event, seat, &mut self.watch);
            self.watch.steps += 1;
            if let scene::Event::Closed { connection } = &event
                && let Some(seat) = hosted.scene.seat_of(*connection)
            {
                // Who came back and is gone again within a second is looked at from now on.
                self.dropped.insert((id, hosted.scene.incarnation().epoch, seat), self.now);
            }
            for effect in hosted.scene.step(now, event) {
                self.scene_effect(node, id, effect, &mut waiting);
            }
        }
        self.plan_scene(node, id);
        invariants::one_epoch(self);
    }

    fn scene_effect(&mut self, node: usize, id: SceneId, effect: Effect<u32>, waiting: &mut VecDeque<scene::Event>) {
        coverage::of_effect(&effect, &mut self.watch);
        let hosted = self.nodes[node].scenes.get_mut(&id);
        match effect {
            Effect::Admit { player, connection, request } => {
                let result = hosted.map_or(Ok(()), |hosted| hosted.game.admits(player.seat));
                waiting.push_back(scene::Event::Admitted { seat: player.seat, connection, request, result });
            }
            Effect::Game(event) => waiting.extend(hosted.and_then(|hosted| hosted.game.hears(&event))),
            Effect::Tell { connection, notice, .. } => self.tell_at_scene(node, connection, notice),
            Effect::Send(message) => self.route(Place::Scenes(node), *message),
            Effect::Kept => {} // Its game does nothing any more: what it would do is of an older epoch, or not open.
            Effect::Gone | Effect::Released => _ = self.nodes[node].scenes.remove(&id),
            // The frames themselves are the rules' affair; that the connection is closed follows from what is told.
            Effect::Repeat { .. } | Effect::Show { .. } | Effect::Complain(_) | Effect::Close(_) => {}
        }
    }

    fn tell_at_scene(&mut self, node: usize, connection: ConnectionId, notice: Notice) {
        let user = self.owners[connection.0 as usize];
        if let Notice::Joined { .. } = notice {
            let at = self.users[user].at_scene.as_ref().filter(|at| at.connection == connection);
            // One that has hung lets in who came before it was told to end.
            let has_hung =
                |scene: &SceneId| self.nodes[node].scenes.get(scene).is_some_and(|it| it.hangs_until > Time(0));
            if let Some(scene) = at.map(|at| at.scene).filter(|scene| !has_hung(scene)) {
                invariants::lets_in(self.users[user].id, scene, node, &mut self.watch);
            }
        }
        let at = self.arrival(Place::Scenes(node), Place::User(user));
        self.at(at, Due::SceneSays(user, connection, Box::new(notice)));
    }

    /// Plans the next tick of a scene.
    fn plan_scene(&mut self, node: usize, id: SceneId) {
        let (ahead_ms, life) = (self.nodes[node].ahead_ms, self.nodes[node].life);
        let Some(hosted) = self.nodes[node].scenes.get_mut(&id) else { return };
        let Some(deadline) = hosted.scene.deadline() else { return };
        if hosted.tick.is_none_or(|tick| deadline < tick) {
            hosted.tick = Some(deadline);
            let at = Time(deadline.0.saturating_add_signed(-ahead_ms)).max(self.now.plus_ms(1));
            self.at(at, Due::SceneTick { node, life, scene: id });
        }
    }

    pub fn scene_tick(&mut self, node: usize, life: u32, id: SceneId) {
        if self.nodes[node].life != life {
            return;
        }
        let now = self.nodes[node].now(self.now);
        let Some(hosted) = self.nodes[node].scenes.get_mut(&id) else { return };
        hosted.tick = None;
        match hosted.scene.deadline() {
            Some(deadline) if deadline <= now => self.scene_event(node, id, scene::Event::Tick),
            _ => self.plan_scene(node, id),
        }
    }

    /// The game of a scene does what it does at this time.
    pub fn game_turn(&mut self, node: usize, life: u32, id: SceneId, epoch: u64) {
        let now = self.now;
        let Some(node_now) = self.nodes.get_mut(node).filter(|it| it.life == life) else { return };
        let clock = node_now.now(now);
        let hosted = node_now.scenes.get_mut(&id).filter(|it| it.scene.incarnation().epoch.0 == epoch);
        let Some(hosted) = hosted else { return };
        let Some(turn) = hosted.game.turn() else { return };
        let again = hosted.born.plus_ms(hosted.game.next_ms);
        // It says something to everybody; that is kept for those who are away.
        let _ = hosted.scene.tell(|_| true, &1, 100);
        let to_do = hosted.scene.say_to_spectators(clock, true, 1, 100);
        let (mut event, mut said) = (None, None);
        match turn {
            Turn::Does(does) => event = Some(does),
            Turn::Took(step_us, memory_bytes) => said = hosted.scene.measured(clock, step_us, memory_bytes),
            Turn::Hangs(for_ms) => hosted.hangs_until = now.plus_ms(for_ms),
        }
        if again > now {
            self.at(again, Due::GameTurn { node, life, scene: id, epoch });
        }
        said.into_iter().for_each(|message| self.route(Place::Scenes(node), message));
        self.scene_event(node, id, scene::Event::Label(r#"{"turn":1}"#.to_owned()));
        let mut waiting = VecDeque::new();
        to_do.into_iter().for_each(|effect| self.scene_effect(node, id, effect, &mut waiting));
        event.into_iter().chain(waiting).for_each(|event| self.scene_event(node, id, event));
    }

    /// A user says something to the game.
    pub fn play(&mut self, node: usize, id: SceneId, connection: ConnectionId) {
        let now = self.nodes[node].now(self.now);
        let Some(hosted) = self.nodes[node].scenes.get_mut(&id) else { return };
        if let Some(seat) = hosted.scene.seat_of(connection) {
            hosted.scene.heard(now, seat, 0);
            hosted.scene.count_message(seat);
        }
    }
}

/// The seat of the user who tells a scene something.
fn seat_of(scene: &Scene<u32>, event: &scene::Event, owners: &[usize], users: &[User]) -> Option<Seat> {
    use scene::Event;
    let (Event::ReqJoinScene { connection, .. }
    | Event::ReqLeaveScene { connection, .. }
    | Event::Closed { connection }) = event
    else {
        return None;
    };
    let user = users.get(*owners.get(connection.0 as usize)?)?.id;
    (0..PLAYERS_MAX).find(|seat| scene.user_of(*seat) == Some(user))
}
