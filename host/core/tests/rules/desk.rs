//! Db under test, with a store that can be cut off at any sync: asks it, answers its loads, and keeps what it writes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use scenehost_core::db::{Answer, Asker, Caller, Db, Event, News, Request, Rules};
use scenehost_core::read::ScanRecords;
use scenehost_core::{Effects, Message, Refusal, UserId, Write, lobby};

use crate::world::World;

#[derive(Clone)]
pub struct Desk {
    pub world: World<Db>,
    pub rules: Rules,
    /// What would be there after a loss of power.
    pub store: BTreeMap<String, Vec<u8>>,
    /// What users were told.
    pub news: Vec<(UserId, News)>,
    /// What was said to other services.
    pub said: Vec<Message>,
    /// How many batches were synced.
    pub syncs: u64,
    /// How often records were loaded.
    pub loads: u64,
    takeovers: u64,
    /// The users who have come into the lobby.
    known: BTreeSet<UserId>,
    answers: BTreeMap<u64, Result<Answer, Refusal>>,
    last_request: u64,
    /// What the loop has not carried out yet, in its order.
    effects: VecDeque<Effects>,
}

impl Desk {
    pub fn new(rules: Rules) -> Self {
        Self {
            world: World::new(Db::new(rules.clone())),
            rules,
            store: BTreeMap::new(),
            news: Vec::new(),
            said: Vec::new(),
            syncs: 0,
            loads: 0,
            takeovers: 0,
            known: BTreeSet::new(),
            answers: BTreeMap::new(),
            last_request: 0,
            effects: VecDeque::new(),
        }
    }

    /// Asks, and waits until everything that follows is done.
    pub fn ask(&mut self, caller: Caller, request: Request) -> Result<Answer, Refusal> {
        let number = self.begin(caller, request);
        self.settle();
        self.answer(number).expect("every request is answered")
    }

    /// Asks as this user.
    pub fn ask_as(&mut self, user: u64, request: Request) -> Result<Answer, Refusal> {
        self.ask(Caller::User(UserId(user)), request)
    }

    /// Asks without waiting for anything.
    pub fn begin(&mut self, caller: Caller, request: Request) -> u64 {
        if let Request::Enter(user, _) = request {
            self.known.insert(user);
        }
        if let Caller::User(user) = caller
            && self.known.insert(user)
        {
            // Who asks something has come into the lobby before.
            self.ask(Caller::Host, Request::Enter(user, "Ada".to_owned())).expect("it is no user's request");
        }
        self.last_request += 1;
        let asker = Asker::Door(self.last_request);
        self.tell(Event::Req { caller, asker, request: Box::new(request) });
        self.last_request
    }

    /// The keys of all records but those of who has come into the lobby.
    pub fn kept(&self) -> Vec<&str> {
        self.store.keys().map(String::as_str).filter(|key| !key.starts_with("profile/")).collect()
    }

    /// The answer to a request, once there is one.
    pub fn answer(&mut self, number: u64) -> Option<Result<Answer, Refusal>> {
        self.answers.remove(&number)
    }

    pub fn tell(&mut self, event: Event) {
        let effects = self.world.step(event);
        assert_eq!(effects.faults, [] as [&str; 0]);
        self.effects.push_back(effects);
    }

    /// Syncs the writes of one step, then carries its messages out. False if there is nothing left to do.
    pub fn sync_one(&mut self) -> bool {
        let Some(effects) = self.take_effects() else { return false };
        self.carry_out(effects);
        true
    }

    /// What one step wants done, instead of doing it.
    pub fn take_effects(&mut self) -> Option<Effects> {
        self.effects.pop_front()
    }

    pub fn carry_out(&mut self, effects: Effects) {
        self.syncs += u64::from(!effects.writes.is_empty());
        for write in effects.writes {
            match write {
                Write::Put { key, value } => _ = self.store.insert(key, value),
                Write::Delete { key } => _ = self.store.remove(&key),
            }
        }
        for message in effects.messages {
            match message {
                Message::Db(event) => self.tell(event),
                Message::LoadForDb(load) => {
                    self.loads += 1;
                    let values = load.keys.iter().map(|key| self.store.get(key).cloned()).collect();
                    self.tell(Event::Loaded { job: load.job, values: Ok(values) });
                }
                Message::ScanForDb(ScanRecords { job, from, to, limit }) => {
                    let records = self.store.range(from..to).take(limit);
                    let records = records.map(|(key, value)| (key.clone(), value.clone())).collect();
                    self.tell(Event::Scanned { job, records: Ok(records) });
                }
                Message::DbDoor(number, result) => {
                    let twice = self.answers.insert(number, result.map(|answer| *answer));
                    assert_eq!(twice, None, "a request is answered once");
                }
                Message::Lobby(lobby::Event::SynNews { user, news }) => self.news.push((user, *news)),
                message => self.said.push(message),
            }
        }
    }

    /// Carries everything out.
    pub fn settle(&mut self) {
        while self.sync_one() {}
    }

    /// A fresh Db takes over, as after a panic: what the one before has said and written is carried out still.
    pub fn take_over(&mut self) {
        self.takeovers += 1;
        self.world.service = Db::new(self.rules.clone()).numbered_after((self.syncs + self.takeovers) << 32);
    }

    /// The power fails: what was not synced is gone, and so is everything in memory. A new Db begins with the store.
    pub fn crash(&mut self) {
        self.effects.clear();
        self.take_over();
    }
}
