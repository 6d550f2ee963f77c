//! Db: requests of all features in any order, with a store that answers late, in another order, or not at all, that is
//! down for a while, and power that fails between any two syncs.
//!
//! Every request is answered once, unless the power failed; and what is stored always fits together, as the check
//! of the store sees it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use scenehost_core::db::{Asker, Caller, Db, Event, REQUEST_MS_MAX, Request, Rules};
use scenehost_core::economy::catalogue::{Amounts, Catalogue};
use scenehost_core::read::{Load, ScanRecords};
use scenehost_core::results::board::{Board, Kind};
use scenehost_core::results::ranking::Order;
use scenehost_core::results::season::Reset;
use scenehost_core::results::{self, Finished, Given, Part};
use scenehost_core::storage::{self, Change, Owner, Readers, Whose, Writers};
use scenehost_core::{
    AllocationId, Context, Effects, Epoch, GameName, GuildId, Incarnation, Message, PartyId, Player, PlayerResult,
    SceneId, Service, ServiceName, Time, UserId, Write, chat, consistency, economy, friends, guild, inbox, party,
    profile, record, save,
};

use crate::script::Script;

const STEPS_MAX: usize = 256;
/// A memory so small that records come and go.
const CACHE_BYTES: usize = 4_096;
const USERS: [UserId; 3] = [UserId(1), UserId(2), UserId(3)];

/// A script of requests and of what befalls them.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let mut world = World::new();
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        world.next(&mut script);
    }
    world.settle();
}

struct World {
    db: Db,
    now: Time,
    rng: ChaCha20Rng,
    store: BTreeMap<String, Vec<u8>>,
    /// What the loop has not carried out yet.
    effects: VecDeque<Effects>,
    loads: Vec<Load>,
    scans: Vec<ScanRecords>,
    asked: BTreeSet<u64>,
    last_request: u64,
    lives: u64,
    up: bool,
}

fn rules() -> Rules {
    let games = BTreeSet::from([GameName::from("gomoku"), GameName::from("arena")]);
    let board = |kind, order, reset, entries_max| Board { domain: "gomoku".into(), kind, order, reset, entries_max };
    let boards = [
        ("rating", board(Kind::Rating, Order::Highest, Reset::Never, 2)),
        ("best", board(Kind::ScoreBest, Order::Lowest, Reset::Daily, 9)),
    ];
    let results = results::Rules {
        rated: BTreeMap::from([("gomoku".into(), true)]),
        boards: boards.map(|(name, board)| (name.to_owned(), board)).into(),
    };
    let economy = economy::Rules { catalogue: Arc::new(catalogue()), limits: economy::Limits::default() };
    Rules { games, results, economy, ..Rules::default() }
}

fn catalogue() -> Catalogue {
    let catalogue: Catalogue = serde_json::from_value(serde_json::json!({
        "currencies": { "coin": { "max": 1_000 }, "gem": {} },
        "items": { "hat": { "max": 1 } },
        "offers": {
            "hat": { "title": "A hat", "price": { "coin": 10 }, "gives": { "hat": 1 }, "stock": 2 },
            "daily": { "title": "Every day", "gives": { "coin": 20 }, "per_period": { "count": 1, "period": "day" } },
            "gem": { "title": "A gem", "price": { "coin": 7 }, "gives": { "gem": 2 }, "per_user": 3 },
        },
    }))
    .expect("it is written right");
    catalogue.check().expect("it is right");
    catalogue
}

impl World {
    fn new() -> Self {
        Self {
            db: Db::with_cache(rules(), CACHE_BYTES),
            now: Time(1_000_000),
            rng: ChaCha20Rng::seed_from_u64(7),
            store: BTreeMap::new(),
            effects: VecDeque::new(),
            loads: Vec::new(),
            scans: Vec::new(),
            asked: BTreeSet::new(),
            last_request: 0,
            lives: 0,
            up: true,
        }
    }

    fn next(&mut self, script: &mut Script) {
        match script.below(16) {
            0 => self.crash(),
            1 => {
                self.up = script.chance();
                self.step(Event::Service { service: ServiceName::Db, up: self.up });
            }
            2 => {
                self.now = self.now.plus_ms(script.span_ms());
                self.step(Event::Tick);
            }
            // Their answers are lost.
            3 => _ = (self.loads.pop(), script.chance().then(|| self.scans.pop())),
            4 if !self.scans.is_empty() && script.chance() => {
                let scan = self.scans.remove(0);
                self.step(Event::Scanned { job: scan.job, records: Err(()) });
            }
            4 if !self.loads.is_empty() => {
                let load = self.loads.remove(script.below(self.loads.len().min(256)));
                self.step(Event::Loaded { job: load.job, values: Err(()) });
            }
            5..=7 if !self.loads.is_empty() => {
                let load = self.loads.remove(script.below(self.loads.len().min(256)));
                self.answer(&load);
            }
            8 if !self.scans.is_empty() => {
                let scan = self.scans.remove(0);
                self.scanned(scan);
            }
            8..=10 => self.sync_one(),
            _ => {
                let (caller, request) = (caller(script), self.request(script));
                self.last_request += 1;
                self.asked.insert(self.last_request);
                let asker = Asker::Door(self.last_request);
                self.step(Event::Req { caller, asker, request: Box::new(request) });
            }
        }
    }

    fn request(&self, script: &mut Script) -> Request {
        let guilds = self.store.keys().filter_map(|key| key.strip_prefix("guild/")?.parse().ok());
        let guilds: Vec<GuildId> = guilds.collect();
        let parties = self.store.keys().filter_map(|key| key.strip_prefix("party/")?.parse().ok());
        let parties: Vec<PartyId> = parties.collect();
        match script.choice(&guilds) {
            _ if script.below(8) == 0 => Request::Party(self.of_party(&parties, script)),
            Some(id) if script.below(4) == 0 => Request::Guild(match script.below(5) {
                0 => guild::Request::Join(id),
                1 => guild::Request::Ask(id),
                2 => guild::Request::Withdraw(id),
                3 => guild::Request::AcceptInvite(id),
                _ => guild::Request::DeclineInvite(id),
            }),
            _ => request(script),
        }
    }

    fn of_party(&self, parties: &[PartyId], script: &mut Script) -> party::Request {
        let which = script.choice(parties).unwrap_or(PartyId(0));
        match script.below(14) {
            0 | 1 => party::Request::Create(PartyId(self.last_request), script.number().into()),
            2 | 3 => party::Request::Invite(user(script)),
            4 => party::Request::Uninvite(user(script)),
            5 => party::Request::Accept(which),
            6 => party::Request::Decline(which),
            7 => party::Request::Join(self.code_of(which).unwrap_or_else(|| script.text())),
            8 => party::Request::Leave,
            9 => party::Request::Kick(user(script), script.number().into()),
            10 => party::Request::HandOver(user(script)),
            11 => party::Request::SetData(script.text()),
            12 => party::Request::SetOwnData(script.text()),
            _ => party::Request::Remove(user(script), which),
        }
    }

    fn code_of(&self, which: PartyId) -> Option<String> {
        let key = party::key(which);
        let party: party::Party = record::decode(&key, self.store.get(&key)?).expect("what was written can be read");
        Some(party.code)
    }

    fn answer(&mut self, load: &Load) {
        let values = load.keys.iter().map(|key| self.store.get(key).cloned()).collect();
        self.step(Event::Loaded { job: load.job, values: Ok(values) });
    }

    fn scanned(&mut self, ScanRecords { job, from, to, limit }: ScanRecords) {
        let records = self.store.range(from..to).take(limit);
        let records = records.map(|(key, value)| (key.clone(), value.clone())).collect();
        self.step(Event::Scanned { job, records: Ok(records) });
    }

    fn step(&mut self, event: Event) {
        let mut out = Effects::default();
        self.db.step(event, &mut Context { now: self.now, rng: &mut self.rng, out: &mut out });
        assert!(out.faults.is_empty(), "{:?}", out.faults);
        // As the host's loop does it.
        match out.writes.is_empty() && self.db.speaks_at_once() {
            true => self.carry_out(out.messages),
            false => self.effects.push_back(out),
        }
    }

    fn sync_one(&mut self) {
        let Some(effects) = self.effects.pop_front() else { return };
        let changed = !effects.writes.is_empty();
        for write in effects.writes {
            match write {
                Write::Put { key, value } => _ = self.store.insert(key, value),
                Write::Delete { key } => _ = self.store.remove(&key),
            }
        }
        self.carry_out(effects.messages);
        if changed {
            self.check();
        }
    }

    fn carry_out(&mut self, messages: Vec<Message>) {
        for message in messages {
            match message {
                Message::Db(event) => self.step(event),
                Message::LoadForDb(load) => self.loads.push(load),
                Message::ScanForDb(scan) => self.scans.push(scan),
                Message::DbDoor(number, _) => {
                    assert!(self.asked.remove(&number), "request {number} is answered twice");
                }
                Message::Lobby(_) => {}
                other => panic!("Db has nothing to say to {other:?}"),
            }
        }
    }

    /// What is stored fits together.
    fn check(&self) {
        let records = self.store.iter().map(|(key, value)| Ok::<_, Infallible>((key.clone(), value.clone())));
        let Ok(report) = consistency::check(records, |key| Ok(self.store.get(key).cloned()));
        assert_eq!(report.problems, [] as [&str; 0]);
    }

    fn crash(&mut self) {
        self.lives += 1;
        self.effects.clear();
        self.loads.clear();
        self.scans.clear();
        self.asked.clear();
        self.up = true;
        self.db = Db::with_cache(rules(), CACHE_BYTES).numbered_after(self.lives << 32);
    }

    /// The store answers, and then all requests are.
    fn settle(&mut self) {
        while !self.effects.is_empty() || !self.loads.is_empty() || !self.scans.is_empty() {
            while !self.effects.is_empty() {
                self.sync_one();
            }
            if let Some(load) = self.loads.pop() {
                self.answer(&load);
            }
            if let Some(scan) = self.scans.pop() {
                self.scanned(scan);
            }
        }
        self.now = self.now.plus_ms(REQUEST_MS_MAX);
        self.step(Event::Tick);
        while !self.effects.is_empty() {
            self.sync_one();
        }
        assert!(self.asked.is_empty(), "not answered: {:?}", self.asked);
        assert_eq!(self.db.waiting(), 0);
    }
}

fn user(script: &mut Script) -> UserId {
    USERS[script.below(USERS.len())]
}

fn caller(script: &mut Script) -> Caller {
    match script.below(8) {
        0 => Caller::Operator,
        1 => Caller::Host,
        _ => Caller::User(user(script)),
    }
}

fn request(script: &mut Script) -> Request {
    match script.below(44) {
        32..=40 => Request::Economy(bought(script)),
        41..=43 => Request::Save(saved(script)),
        24..=28 => Request::Friends(befriended(script)),
        29..=31 => Request::Inbox(posted(script)),
        16..=20 => Request::Guild(of_guild(script)),
        21..=23 => Request::Chat(said(script)),
        0 => Request::Forget(user(script)),
        1 => Request::Export(user(script)),
        2 | 3 => Request::Enter(user(script), ["Ada", "Ben"][script.below(2)].to_owned()),
        4 => Request::Profile(profile::Request::Show(USERS[..script.below(4)].to_vec())),
        5 | 6 => Request::Profile(profile::Request::Change {
            status: script.chance().then(|| script.text()),
            avatar: None,
            about: script.chance().then(|| script.text()),
        }),
        7..=10 => Request::Results(standing(script)),
        _ => Request::Storage(stored(script)),
    }
}

fn of_guild(script: &mut Script) -> guild::Request {
    let name = || ["Owls", "o w l s", "Bears"];
    match script.below(16) {
        0..=2 => guild::Request::Create {
            name: name()[script.below(3)].to_owned(),
            tag: String::new(),
            about: if script.chance() { script.text() } else { String::new() },
            entry: if script.chance() { guild::Entry::Open } else { guild::Entry::ByRequest },
        },
        3 => guild::Request::Show(guild::Which::Name(name()[script.below(3)].to_owned())),
        4 => guild::Request::Mine,
        5 => guild::Request::Leave,
        6 => guild::Request::Dissolve,
        7 | 8 => guild::Request::Invite(user(script)),
        9 => guild::Request::Kick(user(script)),
        10 => guild::Request::HandOver(user(script)),
        11 => guild::Request::SetRole(user(script), guild::Role::Officer),
        12 => guild::Request::Accept(user(script)),
        13 => guild::Request::Decline(user(script)),
        14 => guild::Request::Change {
            about: None,
            entry: Some(if script.chance() { guild::Entry::Open } else { guild::Entry::ByRequest }),
            limit: script.chance().then(|| script.below(8)),
        },
        _ => guild::Request::WriteData {
            key: key(script),
            value: script.chance().then(|| script.bytes().to_vec()),
            if_version: script.chance().then(|| script.number().into()),
        },
    }
}

fn befriended(script: &mut Script) -> friends::Request {
    use friends::Act::{Accept, Ask, Block, Decline, Remove, Unblock, Withdraw};
    let acts = [Ask, Ask, Ask, Accept, Accept, Decline, Withdraw, Remove, Block, Unblock];
    match script.below(12) {
        0 => friends::Request::AppearOffline(script.chance()),
        1 => friends::Request::List(friends::Which::Friends),
        _ => friends::Request::Do(acts[script.below(acts.len())], user(script)),
    }
}

fn posted(script: &mut Script) -> inbox::Request {
    match script.below(4) {
        0 => inbox::Request::List { after: script.number().into(), limit: script.number() },
        1 => inbox::Request::Read(Vec::new()),
        2 => inbox::Request::Remove(vec![script.number().into()]),
        _ => inbox::Request::Read(vec![script.number().into()]),
    }
}

/// A few ids, so that requests are repeated, with the same content and with another.
fn request_id(script: &mut Script) -> String {
    script.below(8).to_string()
}

fn amounts(script: &mut Script) -> Amounts {
    let names = ["coin", "gem", "hat", "none"];
    (0..script.below(3)).map(|_| (names[script.below(4)].to_owned(), script.number().into())).collect()
}

fn bought(script: &mut Script) -> economy::Request {
    let order = |script: &mut Script| economy::Order {
        user: user(script),
        amounts: amounts(script),
        note: String::new(),
        request: request_id(script),
    };
    match script.below(12) {
        0 => economy::Request::Wallet(script.chance().then(|| user(script))),
        1 => economy::Request::Offers(String::new()),
        2 => economy::Request::History { user: None, before: script.number().into(), limit: script.number().into() },
        3 | 4 => economy::Request::Grant(order(script)),
        5 => economy::Request::Spend(order(script)),
        6 | 7 => {
            economy::Request::Refund { user: user(script), entry: script.number().into(), request: request_id(script) }
        }
        _ => economy::Request::Buy {
            offer: ["hat", "daily", "gem", "none"][script.below(4)].to_owned(),
            count: script.below(3) as u64,
            request: request_id(script),
        },
    }
}

fn saved(script: &mut Script) -> save::Request {
    let scene = SceneId(script.below(3) as u64);
    let scene = Incarnation { scene, epoch: Epoch(1 + script.below(2) as u64) };
    if script.below(8) == 0 {
        return save::Request::Ended(scene);
    }
    let amount = |script: &mut Script| save::Amount {
        user: user(script),
        name: ["coin", "hat", "none"][script.below(3)].to_owned(),
        count: script.number().into(),
    };
    let operation = |script: &mut Script| match script.below(3) {
        0 => save::Operation::Grant(amount(script)),
        1 => save::Operation::Spend(amount(script)),
        _ => save::Operation::Put {
            owner: if script.chance() { Owner::Game } else { Owner::User(user(script)) },
            key: key(script),
            value: script.bytes().to_vec(),
            if_version: script.chance().then(|| script.number().into()),
        },
    };
    let operations = (0..script.below(4)).map(|_| operation(script)).collect();
    save::Request::Save { scene, id: script.below(6) as u64, game: "arena".into(), operations }
}

fn said(script: &mut Script) -> chat::Request {
    let to = if script.chance() { chat::To::Direct(user(script)) } else { chat::To::Guild };
    match script.below(6) {
        4 => chat::Request::Report { of: to, id: script.number().into(), message: None, reason: script.text() },
        5 if script.chance() => chat::Request::RemoveReport(script.number().into()),
        5 => chat::Request::Reports(script.number().into()),
        0 => chat::Request::History { of: to, before: script.number().into(), limit: script.below(40) },
        1 if script.chance() => chat::Request::Mute(user(script), Time(script.span_ms())),
        1 => chat::Request::Unmute(user(script)),
        _ => chat::Request::Say { to, name: "Ada".to_owned(), text: script.text() },
    }
}

fn standing(script: &mut Script) -> results::Request {
    let board = ["rating", "best", "none"][script.below(3)].to_owned();
    match script.below(9) {
        0 => results::Request::Ratings(USERS[..script.below(4)].to_vec()),
        1 => results::Request::History { user: script.chance().then(|| user(script)), skip: 0, limit: script.number() },
        2 => results::Request::Boards,
        3 => {
            let part = match script.below(3) {
                0 => Part::From { rank: script.number(), limit: script.number() },
                1 => Part::Around { user: script.chance().then(|| user(script)), neighbours: script.number() },
                _ => Part::Of(USERS[..script.below(4)].to_vec()),
            };
            results::Request::Page { board, season: script.chance().then(|| script.text()), part }
        }
        4 => {
            let score = script.chance().then(|| i64::from(script.number()));
            results::Request::Set { board, user: user(script), score }
        }
        5 => {
            let (rating, deviation) = (90 + 16 * script.below(256) as u32, 20 + 2 * script.below(256) as u32);
            let given = Given { rating, deviation, wins: script.number(), draws: 0, losses: script.number() };
            let domain = ["gomoku", "none"][script.below(2)].into();
            results::Request::Rate { user: user(script), domain, given: script.chance().then_some(given) }
        }
        _ => results::Request::Record { allocation: AllocationId(script.below(4) as u64), finished: finished(script) },
    }
}

fn finished(script: &mut Script) -> Finished {
    let player = |seat: u32, user| Player {
        seat,
        user,
        name: "Ada".to_owned(),
        rating: 1_500,
        team: seat,
        role: None,
        party: 0,
    };
    let result = |script: &mut Script| PlayerResult {
        seat: script.below(4) as u32,
        place: script.below(4) as u32,
        score: i64::from(script.number()),
    };
    Finished {
        scene: SceneId(script.below(4) as u64),
        domain: ["gomoku", "chess"][script.below(2)].into(),
        ended: Time(script.span_ms()),
        players: (0..).zip(USERS).map(|(seat, user)| player(seat, user)).collect(),
        results: (0..script.below(4)).map(|_| result(script)).collect(),
    }
}

fn stored(script: &mut Script) -> storage::Request {
    let game = GameName::from(["gomoku", "arena", "chess"][script.below(3)]);
    match script.below(8) {
        0 => storage::Request::List { game, whose: whose(script), after: key(script) },
        1 | 2 => {
            let keys = (0..script.below(4)).map(|_| key(script)).collect();
            storage::Request::Read { game, whose: whose(script), keys }
        }
        _ => storage::Request::Write { game, changes: (0..script.below(4)).map(|_| change(script)).collect() },
    }
}

fn whose(script: &mut Script) -> Whose {
    match script.below(4) {
        0 => Whose::Of(Owner::Game),
        1 => Whose::Of(Owner::User(user(script))),
        _ => Whose::Own,
    }
}

fn key(script: &mut Script) -> String {
    match script.below(8) {
        0 => script.text(),
        number => ["a", "b", "c/d", "e f", "é", "f", "g"][number - 1].to_owned(),
    }
}

fn change(script: &mut Script) -> Change {
    Change {
        whose: whose(script),
        key: key(script),
        value: (script.below(3) > 0).then(|| script.bytes().to_vec()),
        readers: [None, Some(Readers::Owner), Some(Readers::All), Some(Readers::Game)][script.below(4)],
        writers: [None, None, Some(Writers::Owner), Some(Writers::Game)][script.below(4)],
        if_version: (script.below(3) == 0).then(|| script.number().into()),
    }
}
