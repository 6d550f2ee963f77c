//! A simulated user: a client that signs in, looks for matches, enters scenes, drops and comes back.
//!
//! It reacts to what it is told like a client would, and does what the plan wants where that can be done. It keeps
//! which of its requests are not answered.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use scenehost_core::auth::{Credential, Request};
use scenehost_core::db;
use scenehost_core::message::{Entry, Found, MatchState, Notice, SignedIn, ToUser};
use scenehost_core::party::{self, Ask};
use scenehost_core::scene_list;
use scenehost_core::token::SecretHash;
use scenehost_core::{ConnectionId, PartyId, Refusal, SceneId, SessionId, Time, UserId, lobby, scene};

use crate::plan::{DOMAINS, Will, between, chance};

/// What a user does.
#[derive(Debug)]
pub enum Deed {
    /// Tells the lobby something.
    Lobby(lobby::Event),
    /// Tells a scene something.
    Scene(usize, SceneId, scene::Event),
    /// The same, by somebody who watches it.
    Watch(usize, SceneId, scene::Event),
    /// Says something to the game.
    Play(usize, SceneId, ConnectionId),
    /// Sets out to do something later.
    Later(u64, Will),
    /// Comes into a party that has invited the user.
    Accept(u64, PartyId),
}

/// A connection to a scene.
#[derive(Debug)]
pub struct AtScene {
    pub connection: ConnectionId,
    pub node: usize,
    pub scene: SceneId,
    /// When it has asked to come in, until that is answered.
    pub asked: Option<Time>,
    token: SecretHash,
    pub is_inside: bool,
}

pub struct User {
    pub id: UserId,
    pub name: String,
    pub session: SessionId,
    pub connection: Option<ConnectionId>,
    pub signed_in: bool,
    /// When the user has signed in last: what was asked before is answered after that.
    pub here_since: Time,
    /// The number of the last frame of the line.
    seen: Option<u32>,
    last_request: u32,
    /// The requests that are not answered, and since when.
    pub asked: BTreeMap<u32, Time>,
    /// The way into a scene; also into one that has ended, for the client may not have heard of that.
    entry: Option<Entry>,
    pub at_scene: Option<AtScene>,
    /// The line that can be gone on with after a drop: the scene's token.
    left_scene: Option<(usize, SceneId, SecretHash)>,
    /// The scene that was over last, as the lobby has said.
    is_over: Option<SceneId>,
    /// The way to watch a scene, and then how it is watched.
    watch_entry: Option<Entry>,
    watching: Option<(usize, SceneId, ConnectionId)>,
    /// The code of the party that the user is in.
    pub code: Option<String>,
    rng: ChaCha8Rng,
    pub deeds: Vec<Deed>,
    /// It does not set out to do anything any more.
    pub is_tired: bool,
}

impl User {
    pub fn new(index: usize, rng: ChaCha8Rng) -> Self {
        Self {
            id: UserId(1_000 + index as u64),
            name: format!("User {index}"),
            session: SessionId(1),
            connection: None,
            signed_in: false,
            here_since: Time(0),
            seen: None,
            last_request: 0,
            asked: BTreeMap::new(),
            entry: None,
            at_scene: None,
            left_scene: None,
            is_over: None,
            watch_entry: None,
            watching: None,
            code: None,
            rng,
            deeds: Vec::new(),
            is_tired: false,
        }
    }

    /// Sets out to do something; `connection` is a new one, in case that is needed.
    pub fn will(&mut self, will: Will, connection: ConnectionId, other: &Other, now: Time) {
        match will {
            Will::Enter => return self.enter(connection, now),
            Will::Play => return self.play(),
            Will::LeaveScene => return self.leave_scene(connection),
            Will::DropScene => return self.drop_scene(),
            Will::EnterToWatch => return self.enter_to_watch(connection),
            Will::WatchNoMore => return self.watch_no_more(),
            _ => {}
        }
        let Some(line) = self.connection else { return self.connect(connection) };
        if !self.signed_in {
            return;
        }
        match will {
            Will::DropLobby => return self.hang_up(line, false),
            Will::Quit => return self.hang_up(line, true),
            Will::JoinGame | Will::WatchGame if other.scene.is_none() => return,
            Will::Online => return,
            _ => {}
        }
        self.last_request += 1;
        let request = self.last_request;
        let connection = line;
        let ask = |ask| lobby::Event::ReqParty { connection, request, ask };
        let change = |change| lobby::Event::ReqParty { connection, request, ask: Ask::Change(change) };
        let of_scene = |ask: fn(SceneId) -> scene_list::Ask| {
            let ask = ask(other.scene.unwrap_or(SceneId(0)));
            lobby::Event::ReqScenes { connection, request, ask }
        };
        let event = match will {
            Will::JoinGame => of_scene(scene_list::Ask::Join),
            Will::WatchGame => of_scene(scene_list::Ask::Watch),
            Will::Search(domain) => {
                lobby::Event::ReqMatch { connection, request, domain: DOMAINS[domain].into(), wish: None }
            }
            Will::Cancel => lobby::Event::ReqCancelMatch { connection, request },
            Will::Answer(accepts) => {
                lobby::Event::ReqMatching { connection, request, ask: lobby::MatchingAsk::Accept(accepts) }
            }
            Will::Rejoin => lobby::Event::ReqRejoin { connection, request },
            Will::SignOut => lobby::Event::ReqSignOut { connection, request },
            Will::CreateParty => ask(Ask::Create),
            Will::CheckReady(domain) => ask(Ask::CheckReady(Some(DOMAINS[domain].into()))),
            Will::Ready(ready) => ask(Ask::Ready(ready)),
            Will::LeaveParty => change(party::Request::Leave),
            Will::Invite(_) => change(party::Request::Invite(other.user)),
            Will::JoinParty(_) => change(party::Request::Join(other.code.clone().unwrap_or_default())),
            _ => return,
        };
        self.asked.insert(request, now);
        self.deeds.push(Deed::Lobby(event));
    }

    pub fn accept(&mut self, party: PartyId, now: Time) {
        let Some(connection) = self.connection.filter(|_| self.signed_in) else { return };
        self.last_request += 1;
        let request = self.last_request;
        self.asked.insert(request, now);
        let ask = Ask::Change(party::Request::Accept(party));
        self.deeds.push(Deed::Lobby(lobby::Event::ReqParty { connection, request, ask }));
    }

    fn connect(&mut self, connection: ConnectionId) {
        self.connection = Some(connection);
        self.signed_in = false;
        self.deeds.push(Deed::Lobby(lobby::Event::Opened { connection }));
        let sign_in = Box::new(Request::SignIn {
            credential: Credential::Guest(String::new()),
            name: String::new(),
            device: String::new(),
        });
        let event = lobby::Event::ReqSignIn { connection, request: 0, sign_in, resume: self.seen };
        self.deeds.push(Deed::Lobby(event));
    }

    fn hang_up(&mut self, connection: ConnectionId, left: bool) {
        self.deeds.push(Deed::Lobby(lobby::Event::Closed { connection, left }));
        self.gone();
        if left {
            self.seen = None;
            self.asked.clear();
        } else if !self.is_tired && chance(&mut self.rng, 70) {
            self.later(100, 25_000, Will::Online);
        }
    }

    /// The lobby's connection is no more.
    pub fn gone(&mut self) {
        self.connection = None;
        self.signed_in = false;
    }

    fn later(&mut self, from_ms: u64, to_ms: u64, will: Will) {
        self.deeds.push(Deed::Later(between(&mut self.rng, from_ms, to_ms), will));
    }

    /// The host of the lobby is gone, and with it what was asked.
    pub fn host_gone(&mut self) {
        self.gone();
        self.asked.clear();
        self.seen = None;
        self.later(500, 8_000, Will::Online);
    }

    /// The lobby is gone, or a fresh one is there; its connections are closed.
    pub fn lobby_gone(&mut self) {
        self.gone();
        self.asked.clear();
        self.later(100, 6_000, Will::Online);
    }

    /// A frame of the lobby.
    pub fn hears(&mut self, told: ToUser, now: Time) {
        if Some(told.connection) != self.connection {
            return;
        }
        if told.seq != 0 {
            self.seen = Some(told.seq);
        }
        if told.request != 0 {
            self.asked.remove(&told.request);
        }
        match told.notice {
            Notice::ResSignIn(signed_in) => self.signed_in(&signed_in, now),
            Notice::ResMatch(entry) => self.may_enter(entry),
            Notice::SynMatchState(MatchState::Found(found)) if !found.you_accepted => self.may_accept(&found),
            Notice::SynSceneEnded(ended) => self.is_over = Some(ended.scene),
            Notice::ResWatch(entry, _) => {
                self.watch_entry = Some(entry);
                self.later(10, 45_000, Will::EnterToWatch);
            }
            Notice::SynClosing(refusal) => self.cut_off(told.connection, &refusal),
            Notice::News(news) => self.hears_news(&news),
            _ => {}
        }
    }

    fn signed_in(&mut self, signed_in: &SignedIn, now: Time) {
        self.signed_in = true;
        self.here_since = now;
        self.seen = Some(signed_in.after_seq);
        self.code = None;
        match signed_in.resumed {
            // What was sent last may not have come.
            true => self.asked.retain(|request, _| *request <= signed_in.last_request),
            false => self.asked.clear(),
        }
        self.last_request = self.last_request.max(signed_in.last_request);
        let knows_way = self.at_scene.is_some() || self.entry.is_some();
        if signed_in.scene.is_some() && !knows_way && chance(&mut self.rng, 70) {
            self.later(10, 3_000, Will::Rejoin);
        }
    }

    fn may_accept(&mut self, found: &Found) {
        // What the others have done since is no second question.
        if found.accepted > 0 && !chance(&mut self.rng, 30) {
            return;
        }
        match between(&mut self.rng, 0, 100) {
            0..90 => self.later(10, 2_000, Will::Answer(true)),
            90..94 => self.later(10, 2_000, Will::Answer(false)),
            _ => {}
        }
    }

    fn may_enter(&mut self, entry: Entry) {
        self.entry = Some(entry);
        match between(&mut self.rng, 0, 100) {
            0..85 => self.later(10, 3_000, Will::Enter),
            85..92 => self.later(3_000, 45_000, Will::Enter),
            _ => {}
        }
    }

    fn cut_off(&mut self, connection: ConnectionId, refusal: &Refusal) {
        self.deeds.push(Deed::Lobby(lobby::Event::Closed { connection, left: false }));
        self.gone();
        if *refusal == Refusal::SessionEnded {
            self.session = SessionId(self.session.0 + 1);
            self.seen = None;
            self.asked.clear();
        }
        self.later(500, 20_000, Will::Online);
    }

    fn hears_news(&mut self, news: &db::News) {
        let db::News::Party(news) = news else { return };
        match &**news {
            party::News::Party(view) => {
                self.code = Some(view.code.clone());
                let is_ready = view.members.iter().any(|member| member.user == self.id && member.ready);
                if view.check.is_some() && !is_ready && chance(&mut self.rng, 80) {
                    self.later(100, 4_000, Will::Ready(true));
                }
            }
            party::News::Gone(_) => self.code = None,
            party::News::Invited(invitation) if chance(&mut self.rng, 70) => {
                let after_ms = between(&mut self.rng, 100, 5_000);
                self.deeds.push(Deed::Accept(after_ms, invitation.party));
            }
            party::News::Invited(_) | party::News::Uninvited(_) => {}
        }
    }

    fn enter(&mut self, connection: ConnectionId, now: Time) {
        // Another client of the user comes in while the first one is there, now and then.
        let other = self
            .at_scene
            .as_ref()
            .filter(|at| at.is_inside && self.is_over != Some(at.scene))
            .map(|at| (at.node, at.scene, at.token));
        if self.at_scene.is_some() {
            if other.is_none() || !chance(&mut self.rng, 40) {
                return;
            }
            self.left_scene = other;
        }
        let (node, scene, token, resume) = match (self.entry.take_if(|_| other.is_none()), self.left_scene.take()) {
            (Some(entry), _) => {
                let Some(node) = node_of(&entry.url) else { return self.later(500, 3_000, Will::Rejoin) };
                (node, entry.scene, entry.secret.hash(), None)
            }
            (None, Some((node, scene, token))) => {
                // Now and then a client is confused.
                let seen = if chance(&mut self.rng, 35) { u32::MAX } else { 0 };
                (node, scene, token, Some(seen))
            }
            (None, None) => return,
        };
        self.at_scene = Some(AtScene { connection, node, scene, asked: Some(now), token, is_inside: false });
        let event = scene::Event::ReqJoinScene { connection, request: 1, token, resume };
        self.deeds.push(Deed::Scene(node, scene, event));
    }

    fn enter_to_watch(&mut self, connection: ConnectionId) {
        self.watch_no_more();
        let Some(entry) = self.watch_entry.take() else { return };
        let Some(node) = node_of(&entry.url) else { return };
        let token = entry.secret.hash();
        let event = scene::Event::ReqWatchScene { connection, request: 1, token };
        self.deeds.push(Deed::Watch(node, entry.scene, event));
        self.watching = Some((node, entry.scene, connection));
        self.later(1_000, 30_000, Will::WatchNoMore);
    }

    fn watch_no_more(&mut self) {
        let Some((node, scene, connection)) = self.watching.take() else { return };
        self.deeds.push(Deed::Watch(node, scene, scene::Event::Closed { connection }));
    }

    fn play(&mut self) {
        if let (Some(connection), Some(seen)) = (self.connection.filter(|_| self.signed_in), self.seen) {
            self.deeds.push(Deed::Lobby(lobby::Event::Heard { connection, seen }));
        }
        let Some(AtScene { connection, node, scene, is_inside: true, .. }) = self.at_scene else { return };
        self.deeds.push(Deed::Play(node, scene, connection));
    }

    fn leave_scene(&mut self, fresh: ConnectionId) {
        let (connection, node, scene) = match (&self.at_scene, &self.left_scene, &self.entry) {
            (Some(at), ..) => (at.connection, at.node, at.scene),
            // Without having come in.
            (None, Some((node, scene, _)), _) => (fresh, *node, *scene),
            (None, None, Some(entry)) => match node_of(&entry.url) {
                Some(node) => (fresh, node, entry.scene),
                None => return,
            },
            (None, None, None) => return,
        };
        self.deeds.push(Deed::Scene(node, scene, scene::Event::ReqLeaveScene { connection, request: 2 }));
    }

    fn drop_scene(&mut self) {
        let Some(AtScene { connection, node, scene, token, .. }) = self.at_scene.take() else { return };
        self.deeds.push(Deed::Scene(node, scene, scene::Event::Closed { connection }));
        match between(&mut self.rng, 0, 100) {
            0..40 => {
                self.left_scene = Some((node, scene, token));
                self.later(100, 25_000, Will::Enter);
            }
            40..75 => self.later(100, 25_000, Will::Rejoin),
            _ => {}
        }
    }

    /// A frame of a scene; a connection of before is not heard.
    pub fn hears_scene(&mut self, connection: ConnectionId, notice: &scene::Notice) {
        let Some(at) = self.at_scene.as_mut().filter(|at| at.connection == connection) else { return };
        at.asked = None;
        match notice {
            scene::Notice::Joined { .. } => at.is_inside = true,
            scene::Notice::Watching { .. } => {}
            scene::Notice::Refused(Refusal::OutOfOrder(_)) => {}
            scene::Notice::Refused(refusal) => {
                let again = refusal.is_passing() || matches!(refusal, Refusal::BadToken(_) | Refusal::TokenExpired);
                self.drop_scene();
                if again {
                    self.later(500, 5_000, Will::Rejoin);
                }
            }
            scene::Notice::Ended(_) | scene::Notice::Closing(_) => self.scene_gone(connection),
        }
    }

    /// A connection to a scene is no more.
    pub fn scene_gone(&mut self, connection: ConnectionId) {
        if self.at_scene.as_ref().is_some_and(|at| at.connection == connection) {
            self.at_scene = None;
            if chance(&mut self.rng, 50) {
                self.later(1_000, 10_000, Will::Rejoin);
            }
        }
    }
}

/// What a user has to know of another.
pub struct Other {
    pub user: UserId,
    pub code: Option<String>,
    /// A game that goes on.
    pub scene: Option<SceneId>,
}

/// The node that a scene's address leads to.
fn node_of(url: &str) -> Option<usize> {
    url.split('/').nth(1)?.parse().ok()
}
