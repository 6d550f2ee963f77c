//! Hosts of the real binary: one that is all there is, on either store, and nodes of one cluster.
//!
//! Invariant: all that is compared has the same configuration, but for where it writes and who it is. What starts here
//! begins with nothing, and ends with the bench.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use passing_nats::NatsServer;
use passing_postgres::Server as Postgres;
use serde_json::Value;

use crate::http::Client;
use crate::process::Server;

pub const OPS_TOKEN: &str = "the-bench-is-the-operator";
/// The domain that is always there: any two users are a match.
pub const DOMAIN: &str = "duel";
/// Each node has two ports from this one on.
const FIRST_PORT: u16 = 7_500;
/// Nobody enters the scenes, which stay as long as the bench does.
const CONFIG: &str = r#"[server]
scenes_max = 10_000
scene_threads = 1
connections_max = 15_000

[server.per_address]
connections = 20_000
sign_ins_per_minute = 60_000_000

[fleets.duel]
plugin = "bench-room"
scene = { tick_rate_hz = 20, token_ms = 1_800_000, empty_ms = 1_800_000 }

[domains.duel]
fleet = "duel"
players_min = 2
players_max = 2
"#;
/// All hosts of a run have their connections at once.
const POSTGRES: [&str; 1] = ["max_connections=400"];
/// How long a cluster may take until all services are up.
const SETTLED_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a node does: a name for the report, and its roles as the configuration has them.
pub struct Roles(pub &'static str, pub &'static str);

/// All roles.
pub const ALL: &str = r#""auth", "lobby", "match", "scene-master", "scene-service", "db""#;

/// The servers that hosts share, and where they write.
pub struct Ground {
    pub postgres: Postgres,
    pub nats: NatsServer,
    program: PathBuf,
    plugins: PathBuf,
    out: PathBuf,
    next_port: u16,
}

/// Where a host that is all there is keeps what it has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Store {
    RocksDb,
    Postgres,
}

/// One host, or a cluster.
pub struct Hosts {
    pub name: &'static str,
    pub nodes: Vec<Node>,
    /// How many guests have signed in here so far.
    guests: usize,
}

/// A process.
pub struct Node {
    pub name: &'static str,
    pub server: Server,
    clients: SocketAddr,
    pub ops: SocketAddr,
}

impl Ground {
    /// Starts the servers.
    pub fn new(program: &Path, plugins: &Path, out: &Path) -> Result<Self> {
        let found = |path: &Path| fs::canonicalize(path).with_context(|| format!("{} is not there", path.display()));
        let (program, plugins, out) = (found(program)?, found(plugins)?, found(out)?);
        let (postgres, nats) = (Postgres::start(&POSTGRES), NatsServer::start());
        Ok(Self { postgres, nats, program, plugins, out, next_port: FIRST_PORT })
    }

    /// A folder with nothing in it.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.out.join(format!("cluster-{name}-data"));
        if folder.exists() {
            fs::remove_dir_all(&folder).context("the data of the last run cannot be removed")?;
        }
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// A host that is all there is.
    pub fn one(&mut self, name: &'static str, store: Store) -> Result<Hosts> {
        let store = if store == Store::Postgres { self.in_postgres(name) } else { String::new() };
        let mut node = self.start(name, name, &store)?;
        node.server.wait_until_ready(node.ops, "/health")?;
        Ok(Hosts { name, nodes: vec![node], guests: 0 })
    }

    /// A cluster with a node for each of these roles, of which the first has the lobby; ready when all services are up.
    pub fn cluster(&mut self, name: &'static str, roles: &[Roles]) -> Result<Hosts> {
        let mut nodes = Vec::new();
        for (index, Roles(what, roles)) in roles.iter().enumerate() {
            let store = self.in_postgres(name);
            let (port, nats) = (self.next_port, self.nats.url());
            let cluster = format!(
                "[cluster]\nname = \"{name}\"\nnode = {}\nroles = [{roles}]\nurl = \"ws://127.0.0.1:{port}\"\n\
                 nats.servers = [\"{nats}\"]\n",
                index + 1,
            );
            nodes.push(self.start(&format!("{name}-{}", index + 1), what, &(store + &cluster))?);
        }
        let mut hosts = Hosts { name, nodes, guests: 0 };
        for node in &mut hosts.nodes {
            node.server.wait_until_ready(node.ops, "/health")?;
        }
        hosts.settled(&[])?;
        Ok(hosts)
    }

    /// The tables of one host or cluster.
    fn in_postgres(&self, name: &str) -> String {
        let (url, schema) = (self.postgres.url(), name.replace('-', "_"));
        format!("\n[store]\nkind = \"postgres\"\nurl = \"{url}\"\nschema = \"{schema}\"\n\n")
    }

    fn start(&mut self, name: &str, what: &'static str, more: &str) -> Result<Node> {
        let at = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let (clients, ops) = (at(self.next_port), at(self.next_port + 1));
        self.next_port += 2;
        let config = self.out.join(format!("cluster-{name}.toml"));
        fs::write(&config, format!("{CONFIG}{more}"))?;
        let data = self.folder(name)?;
        let configure = |command: &mut Command| {
            command.args(["serve", "--config"]).arg(&config).arg("--data-dir").arg(&data);
            command.arg("--plugins-dir").arg(&self.plugins);
            command.args(["--listen", &clients.to_string(), "--ops-listen", &ops.to_string()]);
            command.args(["--ops-token", OPS_TOKEN]);
        };
        let log = self.out.join(format!("cluster-{name}.log"));
        let server = Server::start_on_all_cores(&self.program, configure, &log)?;
        Ok(Node { name: what, server, clients, ops })
    }
}

impl Hosts {
    /// Where users connect.
    pub fn lobby(&self) -> SocketAddr {
        self.nodes[0].clients
    }

    /// Numbers of guests who were never here.
    pub fn new_guests(&mut self, count: usize) -> std::ops::Range<usize> {
        let first = self.guests;
        self.guests += count;
        first..self.guests
    }

    /// Waits until every node of a cluster says that all services are up, and that these domains are served; who serves
    /// which, by the nodes' numbers.
    pub fn settled(&self, domains: &[String]) -> Result<BTreeMap<String, u64>> {
        let began = Instant::now();
        loop {
            let looks: Vec<Value> = self.nodes.iter().map(Node::status).collect::<Result<_>>()?;
            let is_up = looks.iter().all(|look| look["down"].as_array().is_some_and(Vec::is_empty));
            let served = looks.iter().map(|look| serving(look, domains)).min_by_key(BTreeMap::len).unwrap_or_default();
            if is_up && served.len() == domains.len() {
                return Ok(served);
            }
            ensure!(began.elapsed() < SETTLED_MAX, "{}: not all services are up: {looks:?}", self.name);
            sleep(LOOK_EVERY);
        }
    }
}

impl Node {
    /// What it says of its cluster.
    fn status(&self) -> Result<Value> {
        let text = Client::connect(self.ops)?.get("/v1/cluster", Some(OPS_TOKEN))?;
        serde_json::from_str(&text).with_context(|| format!("{} does not say how the cluster is: {text}", self.name))
    }

    /// One of its counters, over all of its labels.
    pub fn counter(&self, name: &str) -> Result<f64> {
        let metrics = Client::connect(self.ops)?.get("/metrics", None)?;
        let of_it = metrics
            .lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ') || rest.starts_with('{')));
        Ok(of_it.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }
}

/// Which of these domains are served, and by which node.
fn serving(look: &Value, domains: &[String]) -> BTreeMap<String, u64> {
    let units = look["units"].as_array().into_iter().flatten().filter(|unit| unit["serves"] == true);
    let of_domains = units.filter_map(|unit| {
        let domain = unit["unit"].as_str()?.strip_prefix("match/")?;
        Some((domain.to_owned(), unit["node"].as_u64()?))
    });
    of_domains.filter(|(domain, _)| domains.contains(domain)).collect()
}
