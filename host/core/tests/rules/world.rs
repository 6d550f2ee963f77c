//! A service under test: its clock, its randomness, and what it said.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use scenehost_core::message::Arranged;
use scenehost_core::{Build, Context, Effects, Epoch, FleetName, Message, SceneId, Service, Time, scene_service};

/// When tests begin.
pub const START: Time = Time(1_000_000);

#[derive(Clone)]
pub struct World<S> {
    pub service: S,
    pub now: Time,
    rng: ChaCha20Rng,
}

impl<S: Service> World<S> {
    pub fn new(service: S) -> Self {
        Self::seeded(service, 7)
    }

    pub fn seeded(service: S, seed: u64) -> Self {
        Self { service, now: START, rng: ChaCha20Rng::seed_from_u64(seed) }
    }

    /// One event; what it wants done.
    pub fn step(&mut self, event: S::Event) -> Effects {
        let mut out = Effects::default();
        let mut cx = Context { now: self.now, rng: &mut self.rng, out: &mut out };
        self.service.step(event, &mut cx);
        out
    }

    /// When the service wants to be woken.
    pub fn deadline(&self) -> Option<Time> {
        self.service.deadline()
    }

    /// One event; the messages it sends.
    pub fn tell(&mut self, event: S::Event) -> Vec<Message> {
        self.step(event).messages
    }

    /// Lets time pass, waking the service at its deadlines as the host's loop does.
    pub fn pass_ms(&mut self, ms: u64) -> Vec<Message> {
        let end = self.now.plus_ms(ms);
        let mut messages = Vec::new();
        for _ in 0..100_000 {
            match self.service.deadline() {
                Some(deadline) if deadline <= end => {
                    self.now = self.now.max(deadline);
                    messages.extend(self.tell(S::tick()));
                }
                _ => {
                    self.now = end;
                    return messages;
                }
            }
        }
        panic!("the service wants to be woken again and again at {:?}", self.now);
    }
}

/// SceneMaster orders a scene that nobody has a seat in yet.
pub fn req_create_scene(
    (scene, epoch): (SceneId, Epoch),
    fleet: impl Into<FleetName>,
    build: Build,
) -> scene_service::Event {
    scene_service::Event::ReqCreateScene {
        scene,
        epoch,
        fleet: fleet.into(),
        build,
        reuse: false,
        domain: None,
        seed: 1,
        arranged: Arranged::default(),
        seats: Vec::new(),
    }
}
