//! The lobby under connections, users and services in any order.
//!
//! A user has at most one connection; nothing is said to a connection that is closed; the frames of
//! a line are numbered without gaps; and whoever stays connected is answered, by the deadlines at the
//! latest, also when no other service ever answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use scenehost_core::auth::account::Tokens;
use scenehost_core::auth::{Credential, Identity, Request};
use scenehost_core::chat::{self, Ask, Channel, ChatMessage, Limits, Moderation, OnFailure, To, Verdict};
use scenehost_core::db::{self, Answer};
use scenehost_core::lobby::{Event, Lobby, MatchingAsk};
use scenehost_core::matching::Wish;
use scenehost_core::matching::domain::{Domain, Property};
use scenehost_core::message::{EndReason, Entry, Found, MatchState, Notice, SceneEnded, Searching, ToUser, ToUsers};
use scenehost_core::party::{self, Change, Party};
use scenehost_core::record::UserRecord;
use scenehost_core::token::Secret;
use scenehost_core::{
    AllocationId, ConnectionId, Context, DomainName, Effects, Message, PartyId, Refusal, SceneId, Service, ServiceName,
    SessionId, Time, UserId, friends, profile, storage,
};

use crate::script::Script;

const STEPS_MAX: usize = 256;
const CONNECTIONS_MAX: usize = 64;
const USERS: [UserId; 3] = [UserId(1), UserId(2), UserId(3)];
const SESSIONS: [SessionId; 2] = [SessionId(1), SessionId(2)];
const SCENES: [SceneId; 2] = [SceneId(1), SceneId(2)];
const WAIT_MS_MAX: u64 = 60_000;
const GRACE_MS: u64 = 30_000;
/// A search, and all that may come after it.
const SETTLED_MS_MAX: u64 = WAIT_MS_MAX + 4 * GRACE_MS;

/// A script of events.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let mut world = World::new();
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        match world.next(&mut script) {
            Some(event) => world.step(event),
            None => world.now = world.now.plus_ms(script.span_ms()),
        }
    }
    world.settle();
}

/// The other end of a connection.
#[derive(Default)]
struct Peer {
    closed: bool,
    /// The number of the last frame.
    seq: Option<u32>,
    /// The requests, and whether they were answered.
    asked: BTreeMap<u32, bool>,
}

struct World {
    lobby: Lobby,
    now: Time,
    rng: ChaCha20Rng,
    peers: BTreeMap<ConnectionId, Peer>,
    last_request: u32,
    /// As Db has them.
    parties: BTreeMap<PartyId, Party>,
    /// Whom the lobby wants taken out of their parties.
    removals: BTreeSet<UserId>,
}

impl World {
    fn new() -> Self {
        Self {
            lobby: Lobby::new(BTreeMap::from([(DomainName::from("gomoku"), domain())]), GRACE_MS).with_chat(limits()),
            now: Time(1_000_000),
            rng: ChaCha20Rng::seed_from_u64(7),
            peers: BTreeMap::new(),
            last_request: 0,
            parties: BTreeMap::new(),
            removals: BTreeSet::new(),
        }
    }

    /// What happens next; `None`: time passes and nobody notices yet.
    fn next(&mut self, script: &mut Script) -> Option<Event> {
        let known = script.below(self.peers.len().clamp(1, CONNECTIONS_MAX)) as u64;
        let connection = ConnectionId(known);
        Some(match script.below(27) {
            0 | 1 => return self.open(),
            2 => self.close(connection, script),
            3 => Event::Heard { connection, seen: script.number() },
            4..=6 => self.sign_in(connection, script),
            7 => Event::ReqSignOut { connection, request: self.request(connection) },
            8 | 9 => {
                let domain = DomainName::from(if script.below(8) > 0 { "gomoku" } else { "nowhere" });
                Event::ReqMatch {
                    connection,
                    request: self.request(connection),
                    domain,
                    wish: wish(script).map(Box::new),
                }
            }
            10 if script.chance() => {
                let what = Box::new(db::Request::Profile(profile::Request::Show(vec![USERS[0]])));
                Event::ReqDb { connection, request: self.request(connection), what }
            }
            11 if script.chance() => Event::ReqChat { connection, request: self.request(connection), ask: ask(script) },
            10 => Event::ReqCancelMatch { connection, request: self.request(connection) },
            11 => Event::ReqRejoin { connection, request: self.request(connection) },
            12..=14 => Event::ResSignIn { connection, result: identity(script) },
            15..=21 => self.of_a_user(script),
            24 => {
                let ask = party_ask(script);
                Event::ReqParty { connection, request: self.request(connection), ask }
            }
            25 | 26 => self.of_a_party(script),
            23 if script.chance() => {
                let ask = match script.below(3) {
                    0 => MatchingAsk::Wish(Box::new(wish(script).unwrap_or_default())),
                    1 => MatchingAsk::Accept(script.chance()),
                    _ => MatchingAsk::Domains("".into()),
                };
                Event::ReqMatching { connection, request: self.request(connection), ask }
            }
            22 => Event::Service { service: service(script), up: script.chance() },
            _ => match script.below(8) {
                0 => Event::Stopping,
                1 => Event::Handler { domain: "gomoku".into(), up: script.chance() },
                2 => Event::ReqHandOver { domain: "gomoku".into() },
                3 => return None,
                _ => {
                    self.now = self.now.plus_ms(script.span_ms());
                    Event::Tick
                }
            },
        })
    }

    /// Db has changed a party: a user has begun one, or come in, or gone, or is invited, or leads.
    fn of_a_party(&mut self, script: &mut Script) -> Event {
        let user = USERS[script.below(USERS.len())];
        let of_user = self.parties.iter().find(|(_, party)| party.has(user)).map(|(id, _)| *id);
        let id = of_user.unwrap_or(PartyId(script.below(2) as u64));
        match self.parties.get_mut(&id) {
            Some(party) if party.has(user) && script.below(4) > 0 => {
                party.leader = user;
                return self.changed(id, Change::Leader, user);
            }
            Some(party) if party.has(user) => return self.remove(user).unwrap_or(Event::Tick),
            Some(party) if script.chance() => {
                let until = self.now.plus_ms(1_000);
                party.invites.insert(user, party::Invite { name: "Ada".to_owned(), by: party.leader, until });
                return self.changed(id, Change::Invited, user);
            }
            Some(party) => {
                party.members.push(member(user));
                return self.changed(id, Change::Joined, user);
            }
            None => {}
        }
        let (members, invites) = (vec![member(user)], BTreeMap::new());
        let code = "BCDFGH".to_owned();
        let party = Party { code, leader: user, members, invites, data: String::new(), version: 0 };
        self.parties.insert(id, party);
        self.changed(id, Change::Created, user)
    }

    fn changed(&mut self, id: PartyId, change: Change, about: UserId) -> Event {
        let now = self.parties.get(&id).map(|party| Box::new(party.clone()));
        Event::SynParty { party: id, now, change, about }
    }

    fn remove(&mut self, user: UserId) -> Option<Event> {
        let (id, party) = self.parties.iter_mut().find(|(_, party)| party.has(user))?;
        let id = *id;
        party.members.retain(|member| member.user != user);
        match party.members.first() {
            Some(first) => party.leader = first.user,
            None => _ = self.parties.remove(&id),
        }
        Some(self.changed(id, Change::Left, user))
    }

    fn open(&mut self) -> Option<Event> {
        if self.peers.len() >= CONNECTIONS_MAX {
            return None;
        }
        let connection = ConnectionId(self.peers.len() as u64);
        self.peers.insert(connection, Peer::default());
        Some(Event::Opened { connection })
    }

    fn close(&mut self, connection: ConnectionId, script: &mut Script) -> Event {
        if let Some(peer) = self.peers.get_mut(&connection) {
            peer.closed = true;
        }
        Event::Closed { connection, left: script.chance() }
    }

    fn sign_in(&mut self, connection: ConnectionId, script: &mut Script) -> Event {
        let credential = Credential::Session("token".to_owned());
        let sign_in = Box::new(Request::SignIn { credential, name: String::new(), device: String::new() });
        let resume = script.chance().then(|| script.number());
        Event::ReqSignIn { connection, request: self.request(connection), sign_in, resume }
    }

    /// The number of a request that is about to be made.
    fn request(&mut self, connection: ConnectionId) -> u32 {
        self.last_request += 1;
        // Over a closed connection something may still be on its way; nobody waits for its answer.
        if let Some(peer) = self.peers.get_mut(&connection).filter(|peer| !peer.closed) {
            peer.asked.insert(self.last_request, false);
        }
        self.last_request
    }

    /// What other services say of a user, whether or not they were asked.
    fn of_a_user(&mut self, script: &mut Script) -> Event {
        let user = USERS[script.below(USERS.len())];
        // Searches are counted from 1, over all users.
        let ticket = script.below(8) as u64;
        match script.below(13) {
            11 => {
                let text = script.chance().then(|| "h***o".to_owned());
                let verdict = Verdict { allow: script.chance(), text, reason: String::new() };
                Event::Moderated { number: ticket, verdict: script.chance().then_some(verdict) }
            }
            12 => {
                let (id, name, text) = (ticket, String::new(), "hello".to_owned());
                let message = ChatMessage { id, from: USERS[script.below(USERS.len())], name, text, sent: self.now };
                let news = chat::News::Said(Channel::Direct(message.from), Arc::new(message));
                Event::SynNews { user, news: Box::new(db::News::Chat(news)) }
            }
            8 => Event::ResDb { user, number: ticket, result: ok_or_refused(script).map(|()| Box::new(Answer::Done)) },
            9 => {
                let waits = script.chance();
                let connection = waits.then(|| ConnectionId(script.below(CONNECTIONS_MAX) as u64));
                let result = ok_or_refused(script).map(|()| Box::new(entered(user, script)));
                Event::ResEnter { user, connection, result }
            }
            10 if script.chance() => {
                let other = USERS[script.below(USERS.len())];
                Event::SynNews { user, news: Box::new(db::News::Friends(friends_news(other, script))) }
            }
            10 => {
                let news = storage::News { game: "gomoku".into(), keys: Vec::new() };
                Event::SynNews { user, news: Box::new(db::News::Storage(news)) }
            }
            0 | 1 => Event::SynMatchState { user, ticket, state: match_state(script) },
            2 => Event::ResMatch { user, ticket, result: self.entry(script) },
            3 => Event::ResCancelMatch { user, ticket, result: ok_or_refused(script) },
            4 => Event::ResRejoin { user, result: self.entry(script) },
            5 => {
                let scene = SCENES[script.below(2)];
                Event::SynSceneEnded {
                    user,
                    allocation: Some(AllocationId(script.below(2) as u64)),
                    ended: SceneEnded { scene, reason: EndReason::Finished, results: Vec::new() },
                }
            }
            6 => Event::SynSessionsEnded {
                user,
                sessions: SESSIONS[script.below(2)..].to_vec(),
                refusal: Refusal::SessionEnded,
            },
            7 if script.chance() => Event::SynAccountDeleted { user },
            _ => Event::SynAccountClosed {
                user,
                refusal: Refusal::Banned { reason: "cheating".to_owned(), until: None },
            },
        }
    }

    fn entry(&mut self, script: &mut Script) -> Result<Entry, Refusal> {
        ok_or_refused(script)?;
        Ok(Entry {
            scene: SCENES[script.below(2)],
            allocation: Some(AllocationId(script.below(2) as u64)),
            domain: DomainName::from("gomoku"),
            url: "/v1/scene".to_owned(),
            secret: Secret::draw(&mut self.rng),
            expires_in_ms: 30_000,
        })
    }

    fn step(&mut self, event: Event) {
        let is_tick = event == Event::Tick;
        let mut out = Effects::default();
        self.lobby.step(event, &mut Context { now: self.now, rng: &mut self.rng, out: &mut out });
        assert!(out.writes.is_empty(), "the lobby keeps nothing");
        for message in out.messages {
            match message {
                Message::User(to_user) => self.told(to_user),
                Message::Users(ToUsers { connections, notice }) => {
                    for connection in connections {
                        self.told(ToUser { connection, seq: 0, request: 0, notice: notice.clone() });
                    }
                }
                Message::Db(db::Event::Req { request, .. }) => {
                    if let db::Request::Party(party::Request::Remove(user, _)) = *request {
                        self.removals.insert(user);
                    }
                }
                _ => {}
            }
        }
        if is_tick {
            assert!(self.lobby.deadline().is_none_or(|deadline| deadline > self.now), "woken for what is done");
        }
        self.check_connections();
    }

    fn told(&mut self, to_user: ToUser) {
        let ToUser { connection, seq, request, notice } = to_user;
        let peer = self.peers.get_mut(&connection).expect("only who has connected is told something");
        assert!(!peer.closed, "{connection} is closed, and is told {notice:?}");
        if let Some(answered) = peer.asked.get_mut(&request) {
            assert!(!std::mem::replace(answered, true), "request {request} is answered twice");
        }
        match notice {
            Notice::ResSignIn(signed_in) => peer.seq = Some(signed_in.after_seq),
            Notice::SynClosing(_) => peer.closed = true,
            _ => {}
        }
        if seq != 0 {
            let last = peer.seq.replace(seq).expect("a line begins with the sign-in");
            assert_eq!(seq, last.checked_add(1).unwrap_or(1), "after {last}");
        }
    }

    fn check_connections(&self) {
        let names = self.peers.iter().map(|(id, peer)| (peer, self.lobby.connection_name(*id)));
        let mut signed_in = 0;
        for (peer, name) in names {
            assert_eq!(peer.closed, name == "unknown", "both ends agree whether there is a connection");
            signed_in += usize::from(name == "SignedIn");
        }
        assert_eq!(signed_in, self.lobby.users_connected(), "a user has at most one connection");
    }

    /// No other service says anything any more but Db, which takes out of parties who is not here; and time passes.
    fn settle(mut self) {
        self.step(Event::Service { service: ServiceName::Db, up: true });
        let begun = self.now;
        while let Some(deadline) = self.lobby.deadline() {
            self.now = self.now.max(deadline);
            assert!(self.now.ms_since(begun) <= SETTLED_MS_MAX, "the lobby waits for ever");
            self.step(Event::Tick);
            for user in std::mem::take(&mut self.removals) {
                if let Some(event) = self.remove(user) {
                    self.step(event);
                }
            }
        }
        for (connection, peer) in self.peers.iter().filter(|(_, peer)| !peer.closed) {
            let waiting: Vec<&u32> = peer.asked.iter().filter(|(_, answered)| !**answered).map(|(it, _)| it).collect();
            assert!(waiting.is_empty(), "connection {connection} waits for the answers to {waiting:?}");
        }
        for user in USERS {
            let phase = self.lobby.phase_name(user);
            let at_rest = ["absent", "Idle", "InScene", "InScene, away"].contains(&phase.as_str());
            assert!(at_rest, "{user} is for ever {phase}");
        }
    }
}

fn identity(script: &mut Script) -> Result<Box<Identity>, Refusal> {
    ok_or_refused(script)?;
    let record = UserRecord { name: "Ada".to_owned(), created: Time(1) };
    let token = || "token".to_owned();
    let tokens = Tokens { session: token(), session_expires: Time(9), refresh: token(), refresh_expires: Time(99) };
    let (user, session) = (USERS[script.below(USERS.len())], SESSIONS[script.below(2)]);
    Ok(Box::new(Identity { user, record, session, tokens, created: false }))
}

/// What the moderation says, and whether it says anything, is the script's affair.
fn limits() -> Limits {
    let url = "http://127.0.0.1:1/".to_owned();
    let moderation = Some(Moderation { url, timeout_ms: 1_000, on_failure: OnFailure::Allow });
    Limits { moderation, ..Limits::default() }
}

fn ask(script: &mut Script) -> Ask {
    let to = |script: &mut Script| match script.below(5) {
        4 => To::Party,
        0 => To::Direct(USERS[script.below(USERS.len())]),
        1 => To::Guild,
        _ => To::Room("lobby".into()),
    };
    match script.below(7) {
        6 => Ask::Report(to(script), script.number().into(), "rude".to_owned()),
        0 | 1 => Ask::Join("lobby".into()),
        2 => Ask::Leave("lobby".into()),
        3 => Ask::History(to(script), script.number().into(), script.below(40)),
        _ => Ask::Say(to(script), "hello".to_owned()),
    }
}

fn member(user: UserId) -> party::Member {
    party::Member { user, name: "Ada".to_owned(), data: String::new() }
}

fn party_ask(script: &mut Script) -> party::Ask {
    let user = USERS[script.below(USERS.len())];
    match script.below(9) {
        0 => party::Ask::Create,
        1..=3 => party::Ask::CheckReady(script.chance().then(|| "gomoku".into())),
        4 | 5 => party::Ask::Ready(script.chance()),
        6 => party::Ask::Change(party::Request::Join(script.text())),
        7 => party::Ask::Kick(user),
        _ => party::Ask::Change(party::Request::Accept(PartyId(script.below(2) as u64))),
    }
}

fn entered(user: UserId, script: &mut Script) -> db::Entered {
    let friends = USERS.into_iter().filter(|friend| *friend != user && script.chance()).collect();
    db::Entered { friends, appears_offline: script.chance(), ..db::Entered::default() }
}

fn friends_news(user: UserId, script: &mut Script) -> friends::News {
    use friends::Change::{Blocked, Friends, Removed, Unblocked};
    match script.below(8) {
        0 => friends::News::AppearsOffline(script.chance()),
        1 => friends::News::Changed { user, name: String::new(), change: Blocked },
        2 => friends::News::Changed { user, name: String::new(), change: Unblocked },
        3 => friends::News::Changed { user, name: String::new(), change: Removed },
        _ => friends::News::Changed { user, name: String::new(), change: Friends },
    }
}

/// The rules of matching, with one property.
fn domain() -> Domain {
    let pace = Property { name: "pace".to_owned(), values: vec!["slow".to_owned()], common: false, relax_ms: None };
    Domain { wait_ms_max: WAIT_MS_MAX, properties: vec![pace], ..Domain::new("gomoku".into(), 2, 2) }
}

/// A wish, right or wrong.
fn wish(script: &mut Script) -> Option<Wish> {
    let name = ["pace", "map", ""][script.below(3)].to_owned();
    let values = vec!["slow".to_owned(); script.below(3)];
    let wish = Wish { wants: BTreeMap::from([(name, values)]), ..Wish::default() };
    script.chance().then_some(wish)
}

fn match_state(script: &mut Script) -> MatchState {
    let domain = DomainName::from("gomoku");
    match script.below(5) {
        0 => MatchState::Idle(ok_or_refused(script).err()),
        1 => MatchState::Placing { domain },
        2 => {
            let (accepted, left_ms) = (script.number(), script.span_ms());
            MatchState::Found(Found { domain, players: 2, accepted, you_accepted: script.chance(), left_ms })
        }
        _ => {
            let (waited_ms, rating_range, waiting) = (script.span_ms(), script.number(), script.number());
            MatchState::Searching(Searching {
                domain,
                waited_ms,
                rating_range,
                ping_ms: None,
                relaxed: Vec::new(),
                usual_wait_ms: None,
                waiting,
                players_min: 2,
                players_max: 2,
            })
        }
    }
}

fn ok_or_refused(script: &mut Script) -> Result<(), Refusal> {
    match script.below(8) {
        0 => Err(Refusal::NoSeat),
        1 => Err(Refusal::Busy("the match is already made".into())),
        2 => Err(Refusal::ServiceDown(service(script))),
        _ => Ok(()),
    }
}

fn service(script: &mut Script) -> ServiceName {
    use ServiceName::{Auth, Db, Lobby, Match, SceneMaster, SceneService};
    [Auth, Lobby, Match, SceneMaster, SceneService, Db][script.below(6)]
}
