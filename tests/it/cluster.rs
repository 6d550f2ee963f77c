//! Hosts that are nodes of one cluster: over a NATS server and a PostgreSQL schema of their own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use passing_nats::{NatsServer, free_port};
use passing_postgres::{Server, USER};
use rand::RngExt;
use serde_json::Value;

use crate::host::{Failed, Host, OPS_TOKEN, PATIENCE, within};
use crate::way::{End, Way, listen};

/// What every node may do.
pub const ALL: &str = r#""auth", "lobby", "match", "scene-master", "scene-service", "db""#;

/// Nodes that share everything, and what they share.
pub struct Cluster {
    pub nodes: Vec<Option<Host>>,
    pub nats: Option<NatsServer>,
    name: String,
    nats_url: String,
    store_url: String,
    config: String,
    roles: Vec<String>,
    ports: Vec<u16>,
    /// The ways of each node that was there from the beginning; none if they go straight.
    pub ways: Vec<Ways>,
}

/// The ways of one node, which can be cut.
pub struct Ways {
    pub nats: Arc<Way>,
    pub store: Arc<Way>,
    nats_url: String,
    store_url: String,
}

impl Cluster {
    /// Starts a node for each of these roles, and waits until all services are up. The configuration is what all have.
    pub async fn start(config: &str, roles: &[&str]) -> Self {
        Self::start_on(Server::shared(), config, roles).await
    }

    /// The same on a database server that others do not use.
    pub async fn start_on(server: &Server, config: &str, roles: &[&str]) -> Self {
        Self::start_by(server, config, roles, false).await
    }

    /// The same with ways that can be cut.
    pub async fn start_with_ways(config: &str, roles: &[&str]) -> Self {
        Self::start_by(Server::shared(), config, roles, true).await
    }

    async fn start_by(server: &Server, config: &str, roles: &[&str], by_ways: bool) -> Self {
        let name = format!("c{:016x}", rand::rng().random::<u64>());
        server.sql(&format!("CREATE SCHEMA {name}"));
        let nats = NatsServer::start();
        let mut cluster = Self {
            nodes: Vec::new(),
            nats_url: nats.url(),
            nats: Some(nats),
            name,
            store_url: server.url(),
            config: config.to_owned(),
            roles: roles.iter().map(|roles| (*roles).to_owned()).collect(),
            ports: roles.iter().map(|_| free_port()).collect(),
            ways: Vec::new(),
        };
        for _ in roles.iter().filter(|_| by_ways) {
            let ways = Ways::to(&cluster, server).await;
            cluster.ways.push(ways);
        }
        for index in 0..roles.len() {
            let host = cluster.host(index, &[]);
            cluster.nodes.push(Some(host));
        }
        cluster.settled().await;
        cluster
    }

    fn host(&self, index: usize, flags: &[&str]) -> Host {
        let listen = format!("127.0.0.1:{}", self.ports[index]);
        Host::start_with(&self.node_config(index), &[&["--listen", &listen], flags].concat())
    }

    fn node_config(&self, index: usize) -> String {
        let ways = self.ways.get(index);
        node_config(&NodeConfig {
            config: &self.config,
            cluster: &self.name,
            node: index + 1,
            roles: &self.roles[index],
            url: &format!("ws://127.0.0.1:{}", self.ports[index]),
            nats: ways.map_or(&self.nats_url, |ways| &ways.nats_url),
            store: ways.map_or(&self.store_url, |ways| &ways.store_url),
        })
    }

    /// The schema that its nodes share.
    pub fn schema(&self) -> &str {
        &self.name
    }

    /// Starts one more node that is expected to refuse that; what it has left.
    pub fn add_fails(&mut self, roles: &str) -> Failed {
        self.roles.push(roles.to_owned());
        self.ports.push(free_port());
        let failed = Host::fails(&self.node_config(self.nodes.len()), &[]);
        self.roles.pop();
        self.ports.pop();
        failed
    }

    /// A node that runs.
    pub fn node(&self, index: usize) -> &Host {
        self.nodes[index].as_ref().expect("it runs")
    }

    /// The number of the node that runs a unit, as one of those that run says; from 0.
    pub async fn runs(&self, unit: &str) -> Option<usize> {
        for host in self.nodes.iter().flatten() {
            let units = status(host).await["units"].as_array().cloned().unwrap_or_default();
            let of = units.iter().find(|it| it["unit"] == unit && it["here"] == true);
            if of.is_some() {
                let index = self.nodes.iter().position(|it| it.as_ref().is_some_and(|it| std::ptr::eq(it, host)));
                return index;
            }
        }
        None
    }

    /// Waits until every node that runs says that all services are up.
    pub async fn settled(&self) {
        within("all services up on all nodes", async {
            for host in self.nodes.iter().flatten() {
                while status(host).await["down"].as_array().is_none_or(|down| !down.is_empty()) {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        })
        .await;
    }

    /// Kills a node.
    pub fn kill9(&mut self, index: usize) {
        self.nodes[index].take().expect("it runs").kill9();
    }

    /// Starts a node again, as one without a past.
    pub fn restart(&mut self, index: usize) {
        self.nodes[index] = Some(self.host(index, &[]));
    }

    /// Starts one more node, whose flags stand above its configuration.
    pub fn add_with(&mut self, roles: &str, flags: &[&str]) {
        self.roles.push(roles.to_owned());
        self.ports.push(free_port());
        let host = self.host(self.nodes.len(), flags);
        self.nodes.push(Some(host));
    }

    /// Kills the NATS server, and starts it again after so long.
    pub async fn nats_away(&mut self, time: Duration) {
        let port = self.nats.take().expect("it runs").kill();
        tokio::time::sleep(time).await;
        self.nats = Some(NatsServer::start_with(Some(port), &[]));
    }
}

impl Ways {
    async fn to(cluster: &Cluster, server: &Server) -> Self {
        let port = cluster.nats.as_ref().expect("it runs").port;
        let nats = Way::to(End::Tcp(SocketAddr::from(([127, 0, 0, 1], port))));
        let store = Way::to(End::Unix(server.folder().join(".s.PGSQL.5432")));
        let nats_url = format!("nats://{}", listen(vec![Arc::clone(&nats)]).await);
        let store_url = format!("postgres://{USER}@{}/postgres", listen(vec![Arc::clone(&store)]).await);
        Self { nats, store, nats_url, store_url }
    }
}

/// What is different from node to node, and from cluster to cluster.
pub struct NodeConfig<'a> {
    /// What all have.
    pub config: &'a str,
    /// The cluster's name, and its schema's.
    pub cluster: &'a str,
    pub node: usize,
    pub roles: &'a str,
    /// Where users connect for scenes.
    pub url: &'a str,
    pub nats: &'a str,
    pub store: &'a str,
}

/// The configuration of a node.
pub fn node_config(NodeConfig { config, cluster, node, roles, url, nats, store }: &NodeConfig<'_>) -> String {
    format!(
        r#"{config}
[store]
kind = "postgres"
url = "{store}"
schema = "{cluster}"
connections = 4

[cluster]
name = "{cluster}"
node = {node}
roles = [{roles}]
scene_master_partitions = 2
url = "{url}"
nats.servers = ["{nats}"]
"#
    )
}

/// What a node says of the cluster.
pub async fn status(host: &Host) -> Value {
    let authorization = format!("Bearer {OPS_TOKEN}");
    let answer = host.ops("GET", "/v1/cluster", &[("Authorization", &authorization)], "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str(&answer.body).expect("JSON")
}

/// Waits until this holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
