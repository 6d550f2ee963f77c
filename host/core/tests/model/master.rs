//! A SceneMaster of the model: the rules of `scene_master`, for an owner who may have lost the lease.
//!
//! Invariant: it writes before it sends, and a write that the store does not take ends its ownership.

use crate::letter::{Inc, Letter, Order, Report, SceneNo, Token, USERS, Way, What, Why};
use crate::life;
use crate::state::{Broken, NODES, Record, Stage, State};

/// How many incarnations a scene may have.
const INC_MAX: Inc = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Seat {
    Expected,
    Held,
    Gone,
}

/// What an owner knows of the scene of the match.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Memory {
    pub scene: SceneNo,
    pub record: Record,
    pub seats: [Seat; USERS],
    /// The ways in that wait until the scene is there, or has noted them.
    pub ways: [Option<Token>; USERS],
    /// The incarnation whose end is ordered and not confirmed, and where it is.
    pub ending: Option<(Inc, usize)>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Master {
    /// It believes to be the owner, with this epoch.
    pub epoch: Option<u8>,
    pub memory: Option<Memory>,
}

impl State {
    /// The lease has run out, and another one takes it: with the next epoch, and with what the store has. What was
    /// ordered, perhaps, is ordered again.
    pub fn take_over(&mut self, m: usize, broken: Option<Broken>) {
        if broken != Some(Broken::EpochNotRaised) {
            self.store.epoch += 1;
        }
        self.store.owner = m;
        self.masters[m].epoch = Some(self.store.epoch);
        self.masters[m].memory = None;
        let scene = self.store.records.len().saturating_sub(1) as SceneNo;
        let Some(record) = self.record(scene).copied().filter(|_| broken != Some(Broken::TakesOverBlind)) else {
            return;
        };
        // Who is inside it does not know: whoever has a seat may be on the way in.
        let mut memory = Memory { scene, record, seats: [Seat::Expected; USERS], ways: [None; USERS], ending: None };
        match record.stage {
            Stage::Placing => {
                // The scene may be there already, with tokens of the owner before: these are not told to anybody.
                let tokens = std::array::from_fn(|_| self.draw());
                self.order(m, record.node, Order::Create { scene, inc: record.inc, tokens });
            }
            Stage::Stopping => {
                memory.ending = Some((record.inc, record.node));
                self.order(m, record.node, Order::Destroy { scene, inc: record.inc });
            }
            Stage::Live | Stage::Stopped => {}
        }
        self.masters[m].memory = Some(memory);
    }

    fn order(&mut self, m: usize, node: usize, order: Order) {
        if let Some(owner) = self.masters[m].epoch {
            self.send(Letter::Order { owner, node, order });
        }
    }

    /// Writes, and then sends; an owner whose write is not taken is none any more.
    fn decide(&mut self, m: usize, memory: Memory, effects: &[Letter], broken: Option<Broken>) {
        let Some(epoch) = self.masters[m].epoch else { return };
        if broken == Some(Broken::EffectBeforeWrite) {
            effects.iter().for_each(|letter| self.send(*letter));
        }
        if epoch != self.store.epoch && broken != Some(Broken::StoreTakesStale) {
            self.masters[m] = Master::default();
            return;
        }
        match self.past.wrote.iter().find(|(it, _)| *it == epoch) {
            Some((_, by)) => self.check(life::ONE_OWNER, *by == m),
            None => self.past.wrote.push((epoch, m)),
        }
        match self.store.records.get_mut(memory.scene as usize) {
            Some(record) => *record = memory.record,
            None => self.store.records.push(memory.record),
        }
        self.check(life::ONCE, self.store.records.len() <= 1);
        self.masters[m].memory = Some(memory);
        if broken != Some(Broken::EffectBeforeWrite) {
            effects.iter().for_each(|letter| self.send(*letter));
        }
    }

    fn letter(&self, m: usize, node: usize, order: Order) -> Letter {
        Letter::Order { owner: self.masters[m].epoch.unwrap_or_default(), node, order }
    }

    /// `req_create_scene`: idempotent by the match.
    pub fn req_create_scene(&mut self, m: usize, broken: Option<Broken>) {
        if let Some(memory) = &self.masters[m].memory {
            if memory.record.stage == Stage::Live {
                self.tell_ways(m);
            }
            return;
        }
        let Some(node) = (0..NODES).find(|node| self.nodes[*node].is_alive) else { return };
        let tokens: [Token; USERS] = std::array::from_fn(|_| self.draw());
        let memory = Memory {
            scene: self.store.records.len() as SceneNo,
            record: Record { stage: Stage::Placing, inc: 1, node },
            seats: [Seat::Expected; USERS],
            ways: tokens.map(Some),
            ending: None,
        };
        let create = self.letter(m, node, Order::Create { scene: memory.scene, inc: 1, tokens });
        self.decide(m, memory, &[create], broken);
    }

    /// `answer_match` and `tell_restarted`: tells the ways in that were not told or used yet.
    fn tell_ways(&mut self, m: usize) {
        let Some(Memory { scene, record, ways, .. }) = self.masters[m].memory.clone() else { return };
        for (user, token) in (0..).zip(ways) {
            if let Some(token) = token {
                self.send(Letter::Way(user, Way { token, node: record.node, scene, inc: record.inc }));
            }
        }
    }

    /// What a node says.
    pub fn report(&mut self, m: usize, Report { node, scene, inc, what }: Report, broken: Option<Broken>) {
        let Some(mut memory) = self.masters[m].memory.clone().filter(|it| (it.scene, it.record.inc) == (scene, inc))
        else {
            if let What::Created(true) | What::Asks(_) = what {
                self.end_stray(m, scene, inc);
            }
            if let (What::Destroyed, Some(memory)) = (what, &mut self.masters[m].memory) {
                memory.ending.take_if(|it| *it == (inc, node));
            }
            return;
        };
        match (what, memory.record.stage) {
            (What::Created(true), Stage::Placing) => self.created(m, memory, broken),
            (What::Created(false), Stage::Placing) if inc == 1 => self.stopped(m, memory, broken),
            (What::Created(false), Stage::Placing) => self.stop(m, memory, broken),
            (What::Created(true) | What::Asks(_), Stage::Stopped) => self.end_stray(m, scene, inc),
            (What::Joined(seat), _) => {
                memory.seats[seat] = Seat::Held;
                memory.ways[seat] = None;
                self.masters[m].memory = Some(memory);
            }
            (What::Left(seat), _) => {
                memory.seats[seat] = Seat::Gone;
                memory.ways[seat] = None;
                self.masters[m].memory = Some(memory);
            }
            (What::TokenAdded(seat, true), Stage::Live) => {
                if let Some(token) = memory.ways[seat] {
                    self.send(Letter::Way(seat, Way { token, node: memory.record.node, scene, inc }));
                }
            }
            (What::Asks(why), Stage::Placing | Stage::Live) => self.asked(m, memory, why, broken),
            // A node on which it never was may say that it is not there, too.
            (What::Destroyed, stage) if node == memory.record.node => {
                memory.ending = None;
                match stage {
                    Stage::Stopped => self.masters[m].memory = Some(memory),
                    _ => self.stopped(m, memory, broken),
                }
            }
            (What::Created(_) | What::TokenAdded(..) | What::Asks(_) | What::Destroyed, _) => {}
        }
    }

    /// `res_create_scene`: the scene is there. Its tokens are known to whoever has ordered it; another one opens new
    /// ways in.
    fn created(&mut self, m: usize, mut memory: Memory, broken: Option<Broken>) {
        memory.record.stage = Stage::Live;
        let (node, scene, inc) = (memory.record.node, memory.scene, memory.record.inc);
        let mut effects = Vec::new();
        for seat in (0..USERS).filter(|seat| memory.seats[*seat] != Seat::Gone) {
            match memory.ways[seat] {
                Some(token) => effects.push(Letter::Way(seat, Way { token, node, scene, inc })),
                None => {
                    let token = self.draw();
                    memory.ways[seat] = Some(token);
                    effects.push(self.letter(m, node, Order::AddToken { scene, inc, seat, token }));
                }
            }
        }
        self.decide(m, memory, &effects, broken);
    }

    /// `req_ask_destroy_scene`: a user on the way in blocks the end of a scene that is only empty.
    fn asked(&mut self, m: usize, memory: Memory, why: Why, broken: Option<Broken>) {
        let on_the_way = memory.seats.contains(&Seat::Expected);
        match why {
            Why::Empty if on_the_way => {}
            Why::Empty | Why::Finished => self.stop(m, memory, broken),
            // Its match is not answered yet: `not_placed_in_time`.
            Why::Crashed if memory.record.stage == Stage::Placing && memory.record.inc == 1 => {
                self.give_up(m, memory, broken)
            }
            Why::Crashed => self.restart(m, memory, broken),
        }
    }

    /// `restart` and `place_anew`: the next incarnation, on another node if there is one.
    fn restart(&mut self, m: usize, mut memory: Memory, broken: Option<Broken>) {
        let Record { inc, node, .. } = memory.record;
        let is_wanted = memory.seats.iter().any(|seat| *seat != Seat::Gone);
        let other = (0..NODES).filter(|it| self.nodes[*it].is_alive).max_by_key(|it| *it != node);
        let Some(other) = other.filter(|_| is_wanted && inc < INC_MAX) else {
            return self.stop(m, memory, broken);
        };
        let next = if broken == Some(Broken::SameIncarnation) { inc } else { inc + 1 };
        let tokens: [Token; USERS] = std::array::from_fn(|_| self.draw());
        memory.record = Record { stage: Stage::Placing, inc: next, node: other };
        memory.ways = tokens.map(Some);
        memory.ending = Some((inc, node));
        for seat in 0..USERS {
            match memory.seats[seat] {
                Seat::Gone => memory.ways[seat] = None,
                _ => memory.seats[seat] = Seat::Expected,
            }
        }
        let scene = memory.scene;
        let end = self.letter(m, node, Order::Destroy { scene, inc });
        let create = self.letter(m, other, Order::Create { scene, inc: next, tokens });
        let effects = if broken == Some(Broken::SilentIsDead) { vec![create] } else { vec![end, create] };
        self.decide(m, memory, &effects, broken);
    }

    /// `stop`: the end is ordered.
    fn stop(&mut self, m: usize, mut memory: Memory, broken: Option<Broken>) {
        let Record { inc, node, .. } = memory.record;
        memory.record.stage = Stage::Stopping;
        memory.ending = Some((inc, node));
        let end = self.letter(m, node, Order::Destroy { scene: memory.scene, inc });
        self.decide(m, memory, &[end], broken);
    }

    /// `not_placed_in_time`: nobody was told a way in, so it is over at once, and its end is ordered.
    fn give_up(&mut self, m: usize, mut memory: Memory, broken: Option<Broken>) {
        let Record { inc, node, .. } = memory.record;
        memory.record.stage = Stage::Stopped;
        memory.ending = Some((inc, node));
        memory.ways = [None; USERS];
        let end = self.letter(m, node, Order::Destroy { scene: memory.scene, inc });
        self.decide(m, memory, &[end], broken);
    }

    /// `stopped`: no incarnation lives any more.
    fn stopped(&mut self, m: usize, mut memory: Memory, broken: Option<Broken>) {
        memory.record.stage = Stage::Stopped;
        memory.seats = [Seat::Gone; USERS];
        memory.ways = [None; USERS];
        self.decide(m, memory, &[], broken);
    }

    /// `end_stray`: an incarnation that should not be has been heard of.
    fn end_stray(&mut self, m: usize, scene: SceneNo, inc: Inc) {
        // One to a node that is gone goes nowhere.
        for node in 0..NODES {
            self.order(m, node, Order::Destroy { scene, inc });
        }
    }

    /// `req_rejoin`: a new way to the seat.
    pub fn req_rejoin(&mut self, m: usize, seat: usize) {
        let Some(mut memory) = self.masters[m].memory.clone() else { return };
        if memory.record.stage != Stage::Live || memory.seats[seat] == Seat::Gone {
            return;
        }
        let token = self.draw();
        memory.ways[seat] = Some(token);
        let (scene, Record { inc, node, .. }) = (memory.scene, memory.record);
        self.masters[m].memory = Some(memory);
        self.order(m, node, Order::AddToken { scene, inc, seat, token });
    }

    /// Whether a deadline of this owner may come.
    pub fn waits(&self, m: usize) -> bool {
        let Master { epoch: Some(_), memory: Some(memory) } = &self.masters[m] else { return false };
        memory.record.stage != Stage::Stopped || memory.ending.is_some()
    }

    /// Whether this owner waits for a node that is gone, which it hears of before long.
    pub fn waits_for_nobody(&self, m: usize) -> bool {
        let Some(memory) = &self.masters[m].memory else { return false };
        let is_gone = |node: usize| !self.nodes[node].is_alive;
        self.waits(m)
            && (memory.ending.is_some_and(|(_, node)| is_gone(node))
                || (memory.record.stage != Stage::Stopped && is_gone(memory.record.node)))
    }

    /// `node_down`.
    pub fn node_down(&mut self, m: usize, broken: Option<Broken>) {
        let Some(mut memory) = self.masters[m].memory.clone() else { return };
        memory.ending.take_if(|(_, node)| !self.nodes[*node].is_alive);
        let Record { stage, inc, node } = memory.record;
        if stage == Stage::Stopped || self.nodes[node].is_alive {
            self.masters[m].memory = Some(memory);
            return;
        }
        let may_restart = inc < INC_MAX && (0..NODES).any(|node| self.nodes[node].is_alive);
        let is_new = stage == Stage::Placing && inc == 1;
        let is_wanted = memory.seats.iter().any(|seat| *seat != Seat::Gone);
        match may_restart && !is_new && is_wanted && stage != Stage::Stopping {
            true => self.restart(m, memory, broken),
            false => self.stopped(m, memory, broken),
        }
    }

    /// `expire`.
    pub fn master_tick(&mut self, m: usize, broken: Option<Broken>) {
        let Some(memory) = self.masters[m].memory.clone() else { return };
        let scene = memory.scene;
        if broken == Some(Broken::SilentIsDead) && memory.record.stage == Stage::Live {
            return self.restart(m, memory, broken);
        }
        match (memory.record.stage, memory.ending) {
            (Stage::Placing, _) if memory.record.inc == 1 => self.give_up(m, memory, broken),
            (Stage::Placing | Stage::Live, _) => self.stop(m, memory, broken),
            (Stage::Stopping, _) if broken == Some(Broken::EndsUnconfirmed) => self.stopped(m, memory, broken),
            (_, Some((inc, node))) => self.order(m, node, Order::Destroy { scene, inc }),
            (Stage::Stopping | Stage::Stopped, None) => {}
        }
    }
}
