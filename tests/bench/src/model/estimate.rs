//! The model itself: from what users do and what things cost to the load of each service, what it takes, and what is
//! full first.
//!
//! A pure function. Where a cost stands for a longer way than the service's own part (a purchase goes through the edge,
//! the Lobby, Db and the store), the whole of it is counted at each service on that way: the model errs on the side of
//! more. A cost that was not measured leaves the service's sum a lower bound, which is said.

use serde::Serialize;

use super::assumptions::Assumptions;
use super::costs::{Costs, Measured};

/// How many nodes a bus has at most: `PEERS_MAX` of `host/bus`, which the model's test compares.
pub const NODES_MAX: f64 = 1_024.0;
/// Payloads of each node to each other one in a second, beside messages: a heartbeat and a sign of life of the link, each
/// every 500 ms (`HEARTBEAT_MS` and `KEEPALIVE_MS` of `host/bus`).
const SIGNS_OF_LIFE_PER_S: f64 = 2.0 + 2.0;
/// Acknowledgements of a link in a second, at most: one every 20 ms (`ACK_MS_MAX`).
const ACKS_PER_S_MAX: f64 = 50.0;
/// How many of three NATS servers a payload passes: one, or two if sender and receiver are connected to different ones.
const SERVERS_PASSED: f64 = 1.0 / 3.0 + 2.0 * 2.0 / 3.0;
/// Scenes of a node at most: the default of `server.scenes_max`.
const NODE_SCENES: f64 = 10_000.0;
const KIB_PER_GIB: f64 = 1_048_576.0;
const BYTES_PER_GIB: f64 = 1_073_741_824.0;
/// A ping of each connection every 8 s, and its answer (`PING_AFTER` of the edge).
const BEATS_PER_S: f64 = 2.0 / 8.0;

/// One kind of work of a service.
#[derive(Debug, Clone, Serialize)]
pub struct Work {
    pub what: &'static str,
    pub per_s: f64,
    pub cost: Option<Measured>,
}

impl Work {
    fn cores(&self) -> f64 {
        self.cost.map_or(0.0, |cost| self.per_s * cost.value / 1e6)
    }
}

/// What a service has to do and what that takes.
#[derive(Debug, Clone, Serialize)]
pub struct Service {
    pub name: &'static str,
    pub work: Vec<Work>,
    /// Cores that are busy.
    pub cores: f64,
    /// All its work was measured; else `cores` is too small.
    pub is_whole: bool,
    pub memory_gib: f64,
    /// How many of one core each it is divided into; `None`: it grows with its nodes.
    pub units: Option<f64>,
    /// Nodes, if nothing else runs on them; of a service that is units, at least the cores' share.
    pub nodes: f64,
}

/// How full something is.
#[derive(Debug, Clone, Serialize)]
pub struct Limit {
    pub what: &'static str,
    pub load: f64,
    pub most: f64,
    pub unit: &'static str,
    /// The load's part of the most; above 1 it does not work.
    pub share: f64,
    /// So many users fill it, everything else being equal.
    pub users: f64,
    /// A cost of it was not measured, or what it bears was assumed.
    pub is_rough: bool,
}

/// What is written to the database and what goes over NATS, in a second.
#[derive(Debug, Clone, Serialize)]
pub struct Flow {
    pub what: &'static str,
    pub per_s: f64,
}

/// The whole answer.
#[derive(Debug, Clone, Serialize)]
pub struct Model {
    pub services: Vec<Service>,
    pub nodes: f64,
    pub nats: Vec<Flow>,
    pub postgres: Vec<Flow>,
    /// The fullest first.
    pub limits: Vec<Limit>,
}

/// What happens in a second.
struct Rates {
    sessions: f64,
    tickets: f64,
    games: f64,
    running: f64,
    players: f64,
    requests: f64,
    chats: f64,
    chats_read: f64,
    /// Friends who are told.
    notices: f64,
    purchases: f64,
    saves: f64,
}

impl Rates {
    fn of(it: &Assumptions) -> Self {
        let players = it.users * it.in_games;
        let running = players / it.players_per_game;
        let games = running / (it.game_minutes * 60.0);
        let (sessions, tickets) = (it.users / (it.session_minutes * 60.0), games * it.players_per_game);
        let chats = it.users * it.chat_per_hour / 3_600.0;
        Self {
            sessions,
            tickets,
            games,
            running,
            players,
            requests: it.users * it.requests_per_minute / 60.0,
            chats,
            chats_read: chats * it.chat_readers,
            notices: (2.0 * sessions + 2.0 * tickets) * it.friends,
            purchases: it.users * it.purchases_per_hour / 3_600.0,
            saves: games * it.saves_per_game,
        }
    }
}

/// Everything, and how many users fill each limit.
pub fn model(assumptions: &Assumptions, costs: &Costs) -> Model {
    let mut model = at_once(assumptions, costs);
    for limit in &mut model.limits {
        limit.users = users_that_fill(limit.what, assumptions, costs);
    }
    model.limits.sort_by(|a, b| b.share.total_cmp(&a.share));
    model
}

fn at_once(it: &Assumptions, costs: &Costs) -> Model {
    let rates = Rates::of(it);
    let services = vec![
        edges(it, &rates, costs),
        unit("Lobby", lobby(&rates, costs), 1.0, it.users * it.lobby_kib / KIB_PER_GIB, it),
        unit("Auth", auth(it, &rates, costs), 1.0, 0.0, it),
        unit("Db", db(&rates, costs), 1.0, 0.0, it),
        unit("SceneMaster", vec![work("scenes", rates.games, costs.scene_master_us.or(costs.scene_us))], 1.0, 0.0, it),
        matching(it, &rates, costs),
        scenes(it, &rates, costs),
    ];
    let nodes = services.iter().map(|service| service.nodes).sum::<f64>().ceil();
    let edge_nodes = services[0].nodes.ceil();
    let nats = nats(it, &rates, nodes, edge_nodes);
    let postgres = postgres(&rates, nodes);
    let limits = limits(it, costs, &services, (nodes, &nats, &postgres));
    Model { services, nodes, nats, postgres, limits }
}

fn work(what: &'static str, per_s: f64, cost: Option<Measured>) -> Work {
    Work { what, per_s, cost }
}

/// A service of so many units, of one core each.
fn unit(name: &'static str, work: Vec<Work>, units: f64, memory_gib: f64, it: &Assumptions) -> Service {
    let service = spread(name, work, memory_gib, 0.0, it);
    let nodes = service.cores.max(memory_gib / it.node_gib * it.node_cores) / (it.node_cores * it.used);
    Service { units: Some(units), nodes, ..service }
}

/// A service that is on as many nodes as it needs; at least so many.
fn spread(name: &'static str, work: Vec<Work>, memory_gib: f64, nodes_min: f64, it: &Assumptions) -> Service {
    let cores: f64 = work.iter().map(Work::cores).sum();
    let is_whole = work.iter().all(|work| work.cost.is_some() || work.per_s == 0.0);
    let (by_cores, by_memory) = (cores / (it.node_cores * it.used), memory_gib / (it.node_gib * it.used));
    let nodes = by_cores.max(by_memory).max(nodes_min).ceil();
    Service { name, work, cores, is_whole, memory_gib, units: None, nodes }
}

fn edges(it: &Assumptions, rates: &Rates, costs: &Costs) -> Service {
    let asked = rates.requests + rates.purchases + rates.tickets + rates.sessions;
    let frames = vec![
        work("requests and answers", 2.0 * asked, costs.frame_us),
        work("chat that is read", rates.chats_read + rates.chats, costs.frame_us),
        work("friends who are told", rates.notices, costs.frame_us),
        work("signs of life", it.users * BEATS_PER_S, costs.frame_us),
    ];
    let memory_gib = it.users * it.connection_kib / KIB_PER_GIB;
    spread("edges of the lobby", frames, memory_gib, it.users / it.node_connections, it)
}

fn lobby(rates: &Rates, costs: &Costs) -> Vec<Work> {
    // A search and its match are two things that a user hears of.
    let twice = |cost: Measured| Measured { value: 2.0 * cost.value, ..cost };
    let search = costs.lobby_search_us.or(costs.purchase_us.map(twice));
    vec![
        work("requests", rates.requests, costs.purchase_us),
        work("chat", rates.chats, costs.purchase_us),
        work("purchases", rates.purchases, costs.purchase_us),
        work("searches and their matches", rates.tickets, search),
        work("users who come and go", 2.0 * rates.sessions, costs.purchase_us),
        work("friends who are told", rates.notices, costs.told_us),
    ]
}

fn auth(it: &Assumptions, rates: &Rates, costs: &Costs) -> Vec<Work> {
    vec![
        work("new users", rates.sessions * it.new_users, costs.guest_us),
        work("sessions", rates.sessions * (1.0 - it.new_users), costs.resume_us),
        work("refreshes, once an hour", it.users / 3_600.0, costs.guest_us),
    ]
}

fn db(rates: &Rates, costs: &Costs) -> Vec<Work> {
    vec![
        work("purchases", rates.purchases, costs.purchase_us),
        work("results, by player", rates.tickets, costs.purchase_us),
        work("leaderboards", rates.tickets, costs.leaderboard_us),
        work("what games save", rates.saves, costs.purchase_us),
        work("profiles that are read", rates.sessions, costs.purchase_us),
    ]
}

fn matching(it: &Assumptions, rates: &Rates, costs: &Costs) -> Service {
    let waiting = rates.tickets * it.search_s;
    let memory_gib = costs.ticket_bytes.map_or(0.0, |bytes| waiting * bytes.value / BYTES_PER_GIB);
    let work = vec![
        work("searches among many who wait", rates.tickets, costs.ticket_us),
        work("searches and their messages", rates.tickets, costs.match_search_us),
    ];
    unit("Match", work, it.domains, memory_gib, it)
}

fn scenes(it: &Assumptions, rates: &Rates, costs: &Costs) -> Service {
    let (sent, told) = (rates.players * it.game_messages_per_s, rates.players * it.tick_rate_hz);
    let work = vec![
        work("steps", rates.running * it.tick_rate_hz, costs.step_us),
        work("messages of players", sent, costs.frame_us),
        work("messages to players", told, costs.frame_us),
        work("scenes that begin", rates.games, costs.scene_us),
    ];
    let scene_kib = costs.scene_kib.map_or(0.0, |kib| kib.value);
    let memory_gib = (rates.running * scene_kib + rates.players * it.connection_kib) / KIB_PER_GIB;
    let nodes_min = (rates.running / NODE_SCENES).max(rates.players / it.node_connections);
    spread("SceneService", work, memory_gib, nodes_min, it)
}

/// Payloads, if every message had one of its own. How many messages each thing makes is counted from README.md's diagram
/// and the ways through `host/server/src/cluster/router.rs`.
fn nats(it: &Assumptions, rates: &Rates, nodes: f64, edge_nodes: f64) -> Vec<Flow> {
    let messages = [
        ("requests and answers, edge to Lobby", 2.0 * rates.requests),
        ("chat, to the Lobby and to each node with readers", rates.chats * (1.0 + edge_nodes.min(it.chat_readers))),
        ("purchases, edge, Lobby, Db and back", 4.0 * rates.purchases),
        ("users who come and go", 10.0 * rates.sessions),
        ("friends who are told, Lobby to edge", rates.notices),
        ("searches and matches, by user", 6.0 * rates.tickets),
        ("scenes' lives, and users on their way", 9.0 * rates.games + 4.0 * rates.tickets),
        ("what games save", 2.0 * rates.saves),
    ];
    let pairs = nodes * (nodes - 1.0);
    let all: f64 = messages.iter().map(|(_, per_s)| per_s).sum();
    let others = [
        ("acknowledgements", all.min(pairs * ACKS_PER_S_MAX)),
        ("signs of life between nodes", pairs * SIGNS_OF_LIFE_PER_S),
    ];
    messages.into_iter().chain(others).map(|(what, per_s)| Flow { what, per_s }).collect()
}

/// Commits, if every one had a transaction of its own; those that wait together have one.
fn postgres(rates: &Rates, nodes: f64) -> Vec<Flow> {
    [
        ("sessions that begin, are refreshed or end", 3.0 * rates.sessions),
        ("purchases", rates.purchases),
        ("results of games", rates.games),
        ("scenes' lives", 5.0 * rates.games),
        ("what games save", rates.saves),
        ("leases: a renewal and two reads of each node", 3.0 * nodes),
    ]
    .into_iter()
    .map(|(what, per_s)| Flow { what, per_s })
    .collect()
}

fn limits(
    it: &Assumptions,
    costs: &Costs,
    services: &[Service],
    (nodes, nats, postgres): (f64, &[Flow], &[Flow]),
) -> Vec<Limit> {
    let sum = |flows: &[Flow]| flows.iter().map(|flow| flow.per_s).sum::<f64>();
    let limit = |what, load: f64, most: f64, unit, is_rough| Limit {
        what,
        load,
        most,
        unit,
        share: load / most,
        users: 0.0,
        is_rough,
    };
    let of_unit = |service: &Service| {
        service.units.map(|units| limit(service.name, service.cores, units, "cores", !service.is_whole))
    };
    let mut limits: Vec<Limit> = services.iter().filter_map(of_unit).collect();
    let nats_per_s =
        costs.nats_payload_us.map_or(it.nats_per_s, |us| it.nats_cores * 1e6 / (us.value * SERVERS_PASSED));
    limits.push(limit("NATS", sum(nats), nats_per_s, "payloads/s", costs.nats_payload_us.is_none()));
    let postgres_per_s = costs.postgres_commits_per_s.map_or(it.postgres_per_s, |commits| commits.value);
    let is_assumed = costs.postgres_commits_per_s.is_none();
    limits.push(limit("PostgreSQL", sum(postgres), postgres_per_s, "commits/s", is_assumed));
    if let Some(lobby) = services.iter().find(|service| service.name == "Lobby") {
        limits.push(limit("memory of the Lobby's node", lobby.memory_gib, it.node_gib * it.used, "GiB", true));
    }
    limits.push(limit("nodes of one bus", nodes, NODES_MAX, "nodes", services.iter().any(|service| !service.is_whole)));
    let back = |cost: Option<Measured>| cost.map_or(0.0, |cost| it.users * cost.value / 1e6);
    let (by_auth, by_lobby) = (back(costs.resume_us), back(costs.purchase_us));
    let is_rough = costs.resume_us.is_none() || costs.purchase_us.is_none();
    limits.push(limit("all users back after the Lobby moved", by_auth.max(by_lobby), it.back_within_s, "s", is_rough));
    limits
}

/// How many users fill a limit, by bisection: what is full with some users is full with more.
fn users_that_fill(what: &str, assumptions: &Assumptions, costs: &Costs) -> f64 {
    const USERS_MAX: f64 = 1e12;
    let share = |users: f64| {
        let of_so_many = at_once(&Assumptions { users, ..assumptions.clone() }, costs);
        of_so_many.limits.iter().find(|limit| limit.what == what).map_or(0.0, |limit| limit.share)
    };
    if share(USERS_MAX) <= 1.0 {
        return f64::INFINITY;
    }
    let (mut fits, mut fills) = (0.0, USERS_MAX);
    for _ in 0..80 {
        let middle = f64::midpoint(fits, fills);
        if share(middle) > 1.0 {
            fills = middle;
        } else {
            fits = middle;
        }
    }
    fits
}

#[cfg(test)]
mod tests;
