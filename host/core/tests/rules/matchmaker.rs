//! A helper of the tests of matching: one handler, users who ask, and what comes of it.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::rand_core::SeedableRng;
use scenehost_core::config::Domain;
use scenehost_core::matching::rule::Rule;
use scenehost_core::matching::{Event, Match, Seeker, Wish};
use scenehost_core::message::{Entry, MatchState};
use scenehost_core::scene_master::{self, Matched};
use scenehost_core::token::Secret;
use scenehost_core::{MatchId, Message, Refusal, SceneId, UserId, lobby};

use crate::world::World;

/// A scene that was asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    pub match_id: MatchId,
    pub players: Vec<Matched>,
    pub region: Option<String>,
    pub choices: Vec<(String, String)>,
    pub bots: u32,
}

impl Asked {
    /// Its users, sorted.
    pub fn users(&self) -> Vec<u64> {
        let mut users: Vec<u64> = self.players.iter().map(|player| player.user.0).collect();
        users.sort();
        users
    }

    /// The users of each team.
    pub fn teams(&self) -> BTreeMap<u32, BTreeSet<u64>> {
        let mut teams = BTreeMap::<u32, BTreeSet<u64>>::new();
        for player in &self.players {
            teams.entry(player.team).or_default().insert(player.user.0);
        }
        teams
    }
}

/// A domain without the care for recent opponents, so that tests of something else see who is there.
pub fn domain(players_min: u32, players_max: u32) -> Domain {
    Domain { wait_ms_max: 60_000, ..Domain::new("fleet".into(), players_min, players_max) }
}

pub fn seeker(user: u64, rating: i32) -> Seeker {
    Seeker { user: UserId(user), name: format!("user {user}"), rating, ..Seeker::default() }
}

/// The handler.
#[derive(Clone)]
pub struct Matchmaker {
    pub world: World<Match>,
    next: u64,
}

impl Matchmaker {
    pub fn new(domain: Domain) -> Self {
        Self::with_rule(domain, None)
    }

    pub fn with_rule(domain: Domain, rule: Option<Rule>) -> Self {
        domain.check().unwrap();
        Self { world: World::new(Match::new("domain".into(), domain, rule)), next: 0 }
    }

    /// These ask together; the ticket has the number of the first of them.
    pub fn ask(&mut self, seekers: Vec<Seeker>) -> Vec<Message> {
        self.world.tell(Event::ReqMatch { ticket: seekers[0].user.0, seekers, waited_ms: 0, away: <_>::default() })
    }

    /// The scenes that were asked for when this user asks.
    pub fn asks(&mut self, user: u64, rating: i32) -> Vec<Asked> {
        asked(&self.ask(vec![seeker(user, rating)]))
    }

    /// The same with a wish.
    pub fn wishes(&mut self, user: u64, rating: i32, wish: Wish) -> Vec<Asked> {
        asked(&self.ask(vec![Seeker { wish, ..seeker(user, rating) }]))
    }

    /// Lets time pass; the scenes that were asked for.
    pub fn pass(&mut self, ms: u64) -> Vec<Asked> {
        asked(&self.world.pass_ms(ms))
    }

    /// The scene of a match is made.
    pub fn made(&mut self, asked: &Asked) -> Vec<Message> {
        self.next += 1;
        let entries = asked.players.iter().map(|player| (player.user, entry(self.next))).collect();
        self.world.tell(Event::ResCreateScene { match_id: asked.match_id, result: Ok(entries) })
    }

    pub fn state(&self, user: u64) -> &'static str {
        self.world.service.ticket_name(UserId(user))
    }
}

pub fn entry(scene: u64) -> Entry {
    let secret = Secret::draw(&mut rand_chacha::ChaCha20Rng::seed_from_u64(3));
    Entry { scene: SceneId(scene), allocation: None, domain: "d".into(), url: String::new(), secret, expires_in_ms: 1 }
}

/// The scenes that were asked for.
pub fn asked(messages: &[Message]) -> Vec<Asked> {
    let asked = |message: &Message| match message {
        Message::SceneMaster(scene_master::Event::ReqCreateScene {
            match_id, players, region, choices, bots, ..
        }) => Some(Asked {
            match_id: *match_id,
            players: players.clone(),
            region: region.clone(),
            choices: choices.clone(),
            bots: *bots,
        }),
        _ => None,
    };
    messages.iter().filter_map(asked).collect()
}

/// Why the searches of these users ended.
pub fn ended(messages: &[Message]) -> BTreeMap<u64, Result<(), Refusal>> {
    let ended = |message: &Message| match message {
        Message::Lobby(lobby::Event::ResMatch { user, result, .. }) => {
            Some((user.0, result.as_ref().map(|_| ()).map_err(Clone::clone)))
        }
        _ => None,
    };
    messages.iter().filter_map(ended).collect()
}

/// What a user was told last of the search.
pub fn told(messages: &[Message], user: u64) -> Option<MatchState> {
    let of_user = |message: &Message| match message {
        Message::Lobby(lobby::Event::SynMatchState { user: it, state, .. }) if it.0 == user => Some(state.clone()),
        _ => None,
    };
    messages.iter().filter_map(of_user).next_back()
}
