//! Users in a lobby with Db and a match handler behind it, so that what one does reaches the others as in the host.
//! Scenes are made at once.

use std::collections::{BTreeMap, VecDeque};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use scenehost_core::auth::account::Tokens;
use scenehost_core::auth::{Credential, Identity, Request as AuthRequest};
use scenehost_core::chat;
use scenehost_core::config;
use scenehost_core::db::{Answer as DbAnswer, News as DbNews, Request as DbRequest, Rules};
use scenehost_core::friends::{self, Act};
use scenehost_core::lobby::{Event, Lobby, MatchingAsk};
use scenehost_core::matching::{self, Match, Wish};
use scenehost_core::message::{Entry, Notice};
use scenehost_core::party::{Ask, Limits, News, Request, View};
use scenehost_core::record::UserRecord;
use scenehost_core::token::Secret;
use scenehost_core::{
    ConnectionId, DomainName, Message, Refusal, SceneId, Service as _, ServiceName, SessionId, Time, UserId,
    scene_master,
};

use crate::desk::Desk;
use crate::world::World;

pub const ADA: u64 = 1;
pub const BOB: u64 = 2;
pub const CY: u64 = 3;
pub const DAN: u64 = 4;
pub const GRACE_MS: u64 = 30_000;

pub fn domain() -> DomainName {
    DomainName::from("trio")
}

pub struct Club {
    pub lobby: World<Lobby>,
    pub desk: Desk,
    pub matching: World<Match>,
    /// What the domain is.
    rules: config::Domain,
    /// What each user was told since the test has looked last.
    told: BTreeMap<u64, Vec<(u32, Notice)>>,
    /// Who was put into a scene together.
    pub scenes: Vec<Vec<u64>>,
    /// How many scenes were called off.
    pub called_off: usize,
    /// Scenes that are not made yet, if that takes long.
    pub making: Option<Vec<matching::Event>>,
    /// What does not reach Db or its asker yet, if it is held.
    held: Option<VecDeque<Message>>,
    connections: BTreeMap<ConnectionId, u64>,
    names: BTreeMap<u64, String>,
    requests: u32,
}

impl Club {
    /// Nobody is there; games take three players.
    pub fn new(limits: Limits) -> Self {
        let trio = config::Domain {
            fill_ms: 1_000,
            rating_range_per_s: 50,
            wait_ms_max: 60_000,
            tickets_max: 100,
            ..config::Domain::new("trio".into(), 3, 3)
        };
        Self::playing(trio, limits)
    }

    /// Nobody is there; games are by these rules.
    pub fn playing(trio: config::Domain, limits: Limits) -> Self {
        let rules = Rules { parties: limits.clone(), ..Rules::default() };
        let lobby = Lobby::new(BTreeMap::from([(domain(), trio.clone())]), GRACE_MS).with_parties(limits);
        let handler = Match::new(domain(), trio.clone(), None);
        Self {
            lobby: World::new(lobby),
            desk: Desk::new(rules),
            matching: World::new(handler),
            rules: trio,
            told: BTreeMap::new(),
            scenes: Vec::new(),
            called_off: 0,
            making: None,
            held: None,
            connections: BTreeMap::new(),
            names: BTreeMap::new(),
            requests: 10,
        }
    }

    /// These users are in the lobby.
    pub fn of(users: &[u64]) -> Self {
        let mut club = Self::new(Limits::default());
        users.iter().for_each(|user| club.come(*user));
        club
    }

    /// A party of these, led by the first.
    pub fn party_of(users: &[u64]) -> Self {
        let mut club = Self::of(users);
        club.ask(users[0], Ask::Create).unwrap();
        let code = club.party(users[0]).unwrap().code;
        for user in &users[1..] {
            club.change(*user, Request::Join(code.clone())).unwrap();
        }
        club.forget_told();
        club
    }

    /// A user comes in over a connection of their own.
    pub fn come(&mut self, user: u64) {
        self.come_over(user, ConnectionId(user), None);
    }

    pub fn come_over(&mut self, user: u64, connection: ConnectionId, resume: Option<u32>) {
        self.connections.insert(connection, user);
        let credential = Credential::Session("token".to_owned());
        let sign_in = Box::new(AuthRequest::SignIn { credential, name: String::new(), device: String::new() });
        self.tell(Event::Opened { connection });
        self.tell(Event::ReqSignIn { connection, request: 1, sign_in, resume });
        let name = self.names.get(&user).cloned().unwrap_or_else(|| name(user));
        let record = UserRecord { name, created: Time(1) };
        let token = || "token".to_owned();
        let tokens = Tokens { session: token(), session_expires: Time(9), refresh: token(), refresh_expires: Time(99) };
        let session = SessionId(user);
        let identity = Identity { user: UserId(user), record, session, tokens, created: false };
        self.tell(Event::ResSignIn { connection, result: Ok(Box::new(identity)) });
    }

    /// The user signs in by another name.
    pub fn rename(&mut self, user: u64, name: &str) {
        self.names.insert(user, name.to_owned());
        self.come(user);
    }

    /// The user's connection is lost.
    pub fn drop(&mut self, user: u64) {
        self.tell(Event::Closed { connection: ConnectionId(user), left: false });
    }

    /// The user logs out.
    pub fn log_out(&mut self, user: u64) {
        self.tell(Event::Closed { connection: ConnectionId(user), left: true });
    }

    /// A user asks something of parties; how that was answered.
    pub fn ask(&mut self, user: u64, ask: Ask) -> Result<(), Refusal> {
        let request = self.begin(user, ask);
        self.answer(user, request)
    }

    pub fn change(&mut self, user: u64, request: Request) -> Result<(), Refusal> {
        self.ask(user, Ask::Change(request))
    }

    /// The same without waiting; the request's number.
    pub fn begin(&mut self, user: u64, ask: Ask) -> u32 {
        self.requests += 1;
        self.tell(Event::ReqParty { connection: ConnectionId(user), request: self.requests, ask });
        self.requests
    }

    /// The answer to a request of the user's, which has one and no more.
    pub fn answer(&mut self, user: u64, request: u32) -> Result<(), Refusal> {
        match self.answered(user, request) {
            Notice::Refused(refusal) => Err(refusal),
            _ => Ok(()),
        }
    }

    fn answered(&mut self, user: u64, request: u32) -> Notice {
        let told = self.told.entry(user).or_default();
        let mut answers = told.extract_if(.., |(of, _)| *of == request).map(|(_, notice)| notice);
        let answer = answers.next().unwrap_or_else(|| panic!("request {request} has no answer"));
        assert_eq!(answers.next(), None, "request {request} has two");
        answer
    }

    /// A user says something in the party, slowly enough for everybody's rate; how that was answered.
    pub fn say(&mut self, user: u64, text: &str) -> Result<(), Refusal> {
        self.pass_ms(1_000);
        self.chat(user, chat::Ask::Say(chat::To::Party, text.to_owned())).map(|_| ())
    }

    /// Asks something of chat; the messages of the answer.
    pub fn chat(&mut self, user: u64, ask: chat::Ask) -> Result<Vec<String>, Refusal> {
        self.requests += 1;
        self.tell(Event::ReqChat { connection: ConnectionId(user), request: self.requests, ask });
        match self.answered(user, self.requests) {
            Notice::Refused(refusal) => Err(refusal),
            Notice::Answer(answer) => match &*answer {
                DbAnswer::Chat(chat::Answer::Messages(_, messages)) => {
                    Ok(messages.iter().map(|message| message.text.clone()).collect())
                }
                _ => Ok(Vec::new()),
            },
            other => panic!("{other:?}"),
        }
    }

    /// What a user has heard in the party since this was asked last.
    pub fn heard(&mut self, user: u64) -> Vec<String> {
        let said = self.told(user).into_iter().filter_map(|notice| match notice {
            Notice::News(news) => match &*news {
                DbNews::Chat(chat::News::Said(chat::Channel::Party(_), message)) => Some(message.text.clone()),
                _ => None,
            },
            _ => None,
        });
        said.collect()
    }

    pub fn block(&mut self, user: u64, other: u64) {
        let what = Box::new(DbRequest::Friends(friends::Request::Do(Act::Block, UserId(other))));
        self.requests += 1;
        self.tell(Event::ReqDb { connection: ConnectionId(user), request: self.requests, what });
        self.forget_told();
    }

    /// The user looks for a match.
    pub fn search(&mut self, user: u64) -> Result<(), Refusal> {
        self.search_with(user, None)
    }

    /// The user looks for a match with this wish.
    pub fn search_with(&mut self, user: u64, wish: Option<Wish>) -> Result<(), Refusal> {
        self.requests += 1;
        let (request, wish) = (self.requests, wish.map(Box::new));
        self.tell(Event::ReqMatch { connection: ConnectionId(user), request, domain: domain(), wish });
        let told = self.told.entry(user).or_default();
        match told.iter().find(|(of, notice)| *of == self.requests && matches!(notice, Notice::Refused(_))) {
            Some((_, Notice::Refused(refusal))) => Err(refusal.clone()),
            _ => Ok(()),
        }
    }

    /// The user asks something else of matching; the answer, if there is one by now.
    pub fn ask_matching(&mut self, user: u64, ask: MatchingAsk) -> Option<Notice> {
        self.requests += 1;
        let request = self.requests;
        self.tell(Event::ReqMatching { connection: ConnectionId(user), request, ask });
        let told = self.told.entry(user).or_default();
        told.extract_if(.., |(of, _)| *of == request).map(|(_, notice)| notice).next()
    }

    pub fn cancel(&mut self, user: u64) {
        self.requests += 1;
        self.tell(Event::ReqCancelMatch { connection: ConnectionId(user), request: self.requests });
    }

    pub fn store(&mut self, up: bool) {
        self.desk.tell(scenehost_core::db::Event::Service { service: ServiceName::Db, up });
        self.tell(Event::Service { service: ServiceName::Db, up });
    }

    /// The handler is to give the domain to the next one.
    pub fn begin_hand_over(&mut self) {
        let messages = self.matching.tell(matching::Event::HandOver);
        self.carry(messages);
    }

    /// The handler that has handed over is gone, and the next one is there.
    pub fn next_handler(&mut self) {
        assert!(self.matching.service.is_over(), "it has nothing to do any more");
        self.tell(Event::Handler { domain: domain(), up: false });
        self.matching.service = Match::new(domain(), self.rules.clone(), None);
        self.tell(Event::Handler { domain: domain(), up: true });
    }

    pub fn hand_over(&mut self) {
        self.begin_hand_over();
        self.next_handler();
    }

    /// Nothing reaches Db from now on until [`Club::let_go`].
    pub fn hold(&mut self) {
        self.held = Some(VecDeque::new());
    }

    /// What was held reaches Db, in this order of its places.
    pub fn let_go(&mut self, order: &[usize]) {
        let held = self.held.take().unwrap();
        assert_eq!(order.len(), held.len());
        for place in order {
            self.carry(vec![held[*place].clone()]);
        }
    }

    pub fn tell(&mut self, event: Event) {
        let messages = self.lobby.tell(event);
        self.carry(messages);
    }

    pub fn pass_ms(&mut self, ms: u64) {
        // In short steps, so that each hears of the other in time.
        for step in (0..ms).step_by(500).map(|begun| (ms - begun).min(500)) {
            let messages = self.lobby.pass_ms(step);
            self.carry(messages);
            let messages = self.matching.pass_ms(step);
            self.carry(messages);
        }
    }

    /// The scenes that were being made are there.
    pub fn made(&mut self) {
        for event in self.making.take().unwrap_or_default() {
            let messages = self.matching.tell(event);
            self.carry(messages);
        }
    }

    fn carry(&mut self, messages: Vec<Message>) {
        let mut queue = VecDeque::from(messages);
        while let Some(message) = queue.pop_front() {
            match message {
                Message::Db(event) if self.held.is_some() => {
                    self.held.as_mut().unwrap().push_back(Message::Db(event));
                }
                Message::Db(event) => {
                    self.desk.world.now = self.lobby.now;
                    self.desk.tell(event);
                    self.desk.settle();
                    let news = std::mem::take(&mut self.desk.news);
                    let news = news.into_iter().map(|(user, news)| Event::SynNews { user, news: Box::new(news) });
                    queue.extend(news.map(Message::Lobby));
                    queue.extend(std::mem::take(&mut self.desk.said));
                }
                Message::Lobby(event) => queue.extend(self.lobby.tell(event)),
                Message::Match(_, event) => queue.extend(self.matching.tell(event)),
                Message::SceneMaster(scene_master::Event::ReqCreateScene { match_id, players, .. }) => {
                    let mut users: Vec<u64> = players.iter().map(|player| player.user.0).collect();
                    users.sort();
                    self.scenes.push(users);
                    let entries = players.iter().map(|player| (player.user, entry())).collect();
                    let event = matching::Event::ResCreateScene { match_id, result: Ok(entries) };
                    match &mut self.making {
                        Some(making) => making.push(event),
                        None => queue.extend(self.matching.tell(event)),
                    }
                }
                Message::SceneMaster(scene_master::Event::ReqCancelScene { .. }) => self.called_off += 1,
                Message::User(to_user) => self.hears(to_user.connection, to_user.request, to_user.notice),
                Message::Users(to_users) => {
                    for connection in to_users.connections {
                        self.hears(connection, 0, to_users.notice.clone());
                    }
                }
                _ => {}
            }
        }
    }

    fn hears(&mut self, connection: ConnectionId, request: u32, notice: Notice) {
        if let Some(user) = self.connections.get(&connection) {
            self.told.entry(*user).or_default().push((request, notice));
        }
    }

    pub fn forget_told(&mut self) {
        self.told.clear();
    }

    /// What a user was told since this was asked last.
    pub fn told(&mut self, user: u64) -> Vec<Notice> {
        self.told.remove(&user).unwrap_or_default().into_iter().map(|(_, notice)| notice).collect()
    }

    /// What a user was told of parties since this was asked last.
    pub fn news(&mut self, user: u64) -> Vec<News> {
        let news = self.told(user).into_iter().filter_map(|notice| match notice {
            Notice::News(news) => match &*news {
                DbNews::Party(news) => Some((**news).clone()),
                _ => None,
            },
            _ => None,
        });
        news.collect()
    }

    /// The party as the user was told it last; what was told before is forgotten.
    pub fn party(&mut self, user: u64) -> Option<View> {
        let views = self.news(user).into_iter().filter_map(|news| match news {
            News::Party(view) => Some(view),
            _ => None,
        });
        views.last()
    }

    /// The code of the one party there is.
    pub fn code(&self) -> String {
        let (key, value) = self.desk.store.iter().find(|(key, _)| key.starts_with("party/")).expect("there is one");
        let party: scenehost_core::party::Party = scenehost_core::record::decode(key, value).expect("it was written");
        party.code
    }

    /// A fresh host goes on with what is stored.
    pub fn restart(&mut self) {
        self.desk.crash();
        let fresh = Self::new(self.desk.rules.parties.clone());
        self.lobby.service = fresh.lobby.service;
        self.matching.service = fresh.matching.service;
        self.told.clear();
        let parties = self.desk.store.iter().filter_map(|(key, value)| {
            let id = key.strip_prefix(scenehost_core::party::PREFIX)?.parse().ok()?;
            Some((id, scenehost_core::record::decode(key, value).unwrap()))
        });
        let parties = parties.collect();
        self.tell(Event::Recovered { parties });
    }
}

pub fn name(user: u64) -> String {
    ["Nobody", "Ada", "Bob", "Cy", "Dan"].get(user as usize).map_or_else(|| format!("user {user}"), ToString::to_string)
}

fn entry() -> Entry {
    let secret = Secret::draw(&mut ChaCha20Rng::seed_from_u64(3));
    Entry { scene: SceneId(1), allocation: None, domain: domain(), url: String::new(), secret, expires_in_ms: 1 }
}
