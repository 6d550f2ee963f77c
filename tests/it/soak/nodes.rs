//! Three nodes with all roles on one machine, each under a thread that starts it again when it has ended, as systemd
//! does; and the ways on which they and their users reach each other, NATS and the database.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

use passing_nats::{NatsServer, free_port};
use passing_postgres::{Server, USER};
use serde_json::Value;
use tokio::task::block_in_place;

use super::NODES;
use super::plan::{Episode, Fault, From, How};
use crate::cluster::{ALL, NodeConfig, node_config};
use crate::host::{Host, OPS_TOKEN, exchange, within};
use crate::way::{End, State, Way, listen};

const CLUSTER: &str = "soak";
/// How long systemd waits before it starts a service again; see `host/server/deploy/systemd`.
const RESTART_AFTER: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a node may take for a word to operators.
const WORD_MAX: Duration = Duration::from_secs(2);
/// How long nodes may take to stop at the end.
const STOP_MAX: Duration = Duration::from_secs(30);

pub struct Nodes {
    nodes: Vec<Node>,
    nats: Option<NatsServer>,
    store: Server,
    /// Where users connect to any node.
    pub front: SocketAddr,
}

struct Node {
    ops: SocketAddr,
    users: Arc<Way>,
    nats: Arc<Way>,
    store: Arc<Way>,
    /// How often it was started.
    starts: Arc<AtomicU64>,
    orders: Sender<Order>,
    thread: JoinHandle<()>,
}

enum Order {
    Kill,
    Terminate,
    Pause,
    GoOn,
    /// It is to stop for good.
    End,
}

impl Nodes {
    /// Starts everything, with this configuration for all nodes; their logs go to `records`. At first they are of the
    /// binary that is given, and of the one that was built whenever they are started again.
    pub async fn start(config: &str, records: &Path, binary: &Path) -> Self {
        let store = block_in_place(|| Server::start(&["fsync=off", "max_connections=60"]));
        let nats = block_in_place(NatsServer::start);
        let mut nodes = Vec::new();
        for index in 0..NODES {
            nodes.push(Node::start(index, config, (&nats, &store), (records, binary)).await);
        }
        let front = listen(nodes.iter().map(|node| Arc::clone(&node.users)).collect()).await;
        Self { nodes, nats: Some(nats), store, front }
    }

    /// Does what an episode says, from its beginning to its end.
    pub async fn suffer(&mut self, episode: &Episode) {
        let Episode { fault, node, lasts, .. } = *episode;
        let node = &self.nodes[node];
        match fault {
            Fault::Kill => node.order(Order::Kill),
            Fault::Restart => {
                let starts = node.starts.load(Ordering::Relaxed);
                node.order(Order::Terminate);
                // One after the other: it lets its games go first.
                within("the node is started again", async {
                    while node.starts.load(Ordering::Relaxed) == starts {
                        tokio::time::sleep(LOOK_EVERY).await;
                    }
                })
                .await;
            }
            Fault::Pause => {
                node.order(Order::Pause);
                tokio::time::sleep(lasts).await;
                node.order(Order::GoOn);
            }
            Fault::Cut(from, how) => {
                let cut = match how {
                    How::Closed => State::Closed,
                    How::Silent => State::Silent,
                };
                let ways = match from {
                    From::Nats => vec![&node.nats],
                    From::Store => vec![&node.store],
                    From::Cluster => vec![&node.nats, &node.store],
                    From::Users => vec![&node.users],
                };
                ways.iter().for_each(|way| way.set(cut));
                tokio::time::sleep(lasts).await;
                ways.iter().for_each(|way| way.set(State::Open));
            }
            Fault::Nats => {
                let port = self.nats.take().expect("it runs").kill();
                tokio::time::sleep(lasts).await;
                self.nats = Some(block_in_place(|| NatsServer::start_with(Some(port), &[])));
            }
            Fault::Store(how) => {
                block_in_place(|| self.store.stop(how));
                tokio::time::sleep(lasts).await;
                block_in_place(|| self.store.restart());
            }
        }
    }

    /// Whether all nodes hear each other, and say that all services are up.
    pub async fn are_settled(&self) -> bool {
        for node in &self.nodes {
            let Some(status) = node.ask("/v1/cluster").await else { return false };
            let is_empty = |list: &Value| list.as_array().is_some_and(Vec::is_empty);
            let others =
                status["others"].as_array().map_or(0, |others| others.iter().filter(|it| it["up"] == true).count());
            if others + 1 < NODES || !is_empty(&status["down"]) {
                return false;
            }
        }
        true
    }

    /// What each node says of itself and the others, for people.
    pub async fn status(&self) -> Vec<Option<Value>> {
        let mut all = Vec::new();
        for node in &self.nodes {
            all.push(node.ask("/v1/cluster").await);
        }
        all
    }

    /// How often nodes were started in all.
    pub fn starts(&self) -> u64 {
        self.nodes.iter().map(|node| node.starts.load(Ordering::Relaxed)).sum()
    }

    /// The sum of a metric over all nodes since each was started last, by its labels.
    pub async fn metric(&self, name: &str) -> Vec<(String, f64)> {
        let mut sums = std::collections::BTreeMap::<String, f64>::new();
        for node in &self.nodes {
            let text = node.get("/metrics").await.unwrap_or_default();
            for line in text.lines().filter(|line| line.starts_with(name)) {
                let Some((name, value)) = line.rsplit_once(' ') else { continue };
                *sums.entry(name.to_owned()).or_default() += value.parse::<f64>().unwrap_or_default();
            }
        }
        sums.into_iter().collect()
    }

    /// Stops the nodes; what is wrong with the store then, if anything.
    pub fn end(self) -> Result<(), String> {
        let Self { nodes, store, nats, .. } = self;
        nodes.iter().for_each(|node| node.order(Order::End));
        for node in nodes {
            node.thread.join().map_err(|_| "a node's log says why it did not stop".to_owned())?;
        }
        drop(nats);
        let (url, check) = (store.url(), std::env::temp_dir().join(format!("soak-check-{}.toml", std::process::id())));
        let config = format!("[store]\nkind = \"postgres\"\nurl = \"{url}\"\nschema = \"{CLUSTER}\"\n");
        std::fs::write(&check, config).map_err(|error| error.to_string())?;
        let file = check.display().to_string();
        let (code, said, errors) = crate::host::run(&["store", "check", "--config", &file]);
        let _ = std::fs::remove_file(check); // The system tidies up there, too.
        if code == Some(0) { Ok(()) } else { Err(format!("the store is not right: {said}{errors}")) }
    }
}

impl Node {
    async fn start(
        index: usize,
        config: &str,
        (nats, store): (&NatsServer, &Server),
        (records, binary): (&Path, &Path),
    ) -> Self {
        let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let (address, ops) = (local(free_port()), local(free_port()));
        let users = Way::to(End::Tcp(address));
        let to_nats = Way::to(End::Tcp(local(nats.port)));
        let to_store = Way::to(End::Unix(store.folder().join(".s.PGSQL.5432")));
        let config = node_config(&NodeConfig {
            config,
            cluster: CLUSTER,
            node: index + 1,
            roles: ALL,
            url: &format!("ws://{}", listen(vec![Arc::clone(&users)]).await),
            nats: &format!("nats://{}", listen(vec![Arc::clone(&to_nats)]).await),
            store: &format!("postgres://{USER}@{}/postgres", listen(vec![Arc::clone(&to_store)]).await),
        });
        let (orders, ordered) = channel();
        let starts = Arc::new(AtomicU64::new(0));
        let keeper = Keeper {
            binary: binary.to_owned(),
            flags: ["--listen".to_owned(), address.to_string(), "--ops-listen".to_owned(), ops.to_string()],
            log: records.join(format!("node-{}.log", index + 1)),
            ordered,
            starts: Arc::clone(&starts),
        };
        let thread = std::thread::spawn(move || keeper.run(&config));
        Self { ops, users, nats: to_nats, store: to_store, starts, orders, thread }
    }

    fn order(&self, order: Order) {
        self.orders.send(order).expect("its thread lives as long as the soak");
    }

    async fn ask(&self, path: &str) -> Option<Value> {
        serde_json::from_str(&self.get(path).await?).ok()
    }

    /// What it answers, if it does.
    async fn get(&self, path: &str) -> Option<String> {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\nauthorization: Bearer {OPS_TOKEN}\r\n\r\n",
            self.ops
        );
        let answer = tokio::time::timeout(WORD_MAX, exchange(self.ops, request.as_bytes())).await.ok()?.ok()?;
        let answer = String::from_utf8(answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
    }
}

/// What systemd is to a node. A process dies with the thread that has started it, so all starts are this one's.
struct Keeper {
    /// What it starts first.
    binary: PathBuf,
    flags: [String; 4],
    log: PathBuf,
    ordered: Receiver<Order>,
    starts: Arc<AtomicU64>,
}

impl Keeper {
    fn run(self, config: &str) {
        let flags = self.flags.each_ref().map(String::as_str);
        let mut host = Host::start_of(&self.binary, config, &flags);
        self.starts.fetch_add(1, Ordering::Relaxed);
        loop {
            match self.ordered.recv_timeout(LOOK_EVERY) {
                Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => break,
                // It may have ended by itself just before.
                Ok(_) if host.has_ended().is_some() => {}
                Ok(Order::Kill) => host.kill_now(),
                Ok(Order::Terminate) => host.terminate(),
                Ok(Order::Pause) => host.pause(),
                Ok(Order::GoOn) => host.go_on(),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(status) = host.has_ended() {
                self.keep_log(&host, &status.to_string());
                sleep(RESTART_AFTER);
                while !host.try_restart_with(&flags) {
                    self.keep_log(&host, "it did not start");
                    sleep(RESTART_AFTER);
                }
                self.starts.fetch_add(1, Ordering::Relaxed);
            }
        }
        if host.has_ended().is_none() {
            host.terminate();
        }
        let mut left = STOP_MAX;
        while host.has_ended().is_none() && !left.is_zero() {
            sleep(LOOK_EVERY);
            left = left.saturating_sub(LOOK_EVERY);
        }
        self.keep_log(&host, "the soak is over");
    }

    fn keep_log(&self, host: &Host, why: &str) {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&self.log).expect("it is ours");
        writeln!(file, "{}\n--- {why}", host.log()).expect("there is room");
    }
}
