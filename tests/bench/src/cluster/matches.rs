//! From the asking for a match to the way into it: through one process on either store, through one node, and through four
//! roles in processes of their own. Each match has its scene, made and durable, before it is told.
//!
//! Invariant: the ways take turns, each round with guests who were never there, and ratios are of one round each.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::{Value, json};

use super::hosts::{ALL, DOMAIN, Ground, Hosts, Roles, Store};
use super::{Figures, Settings, median};
use crate::lobby_clients::Clients;

/// The roles of the four processes.
const FOUR: [Roles; 4] = [
    Roles("lobby", r#""lobby""#),
    Roles("match", r#""match""#),
    Roles("scene-master", r#""scene-master""#),
    Roles("others", r#""scene-service", "auth", "db""#),
];
const ROCKS: usize = 0;
const POSTGRES: usize = 1;
const NODE: usize = 2;
const ROLES: usize = 3;

/// What one way was measured to take.
#[derive(Serialize)]
struct Row {
    way: &'static str,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    /// With many who ask at once.
    matches_per_s: f64,
    /// What each process then worked, in microseconds of one core for each match.
    cpu_us_per_match: Vec<(&'static str, f64)>,
    /// Batches that were committed, and the writes to the disk in which they were, for each match.
    commits_per_match: f64,
    syncs_per_match: f64,
}

/// A way and what was measured of it, by rounds.
struct Way {
    hosts: Hosts,
    waits: Vec<Histogram<u64>>,
    crowds: Vec<Crowd>,
}

/// Many who ask at once.
pub struct Crowd {
    pub matches_per_s: f64,
    pub cpu: Vec<(&'static str, Duration)>,
    commits: f64,
    syncs: f64,
}

pub fn measure(settings: &Settings, ground: &mut Ground, figures: &mut Figures) -> Result<Value> {
    println!(
        "  a match of two, by who finds somebody waiting (a hundred ask in a second), and by many who ask at once:"
    );
    let hosts = [
        ground.one("rocksdb", Store::RocksDb)?,
        ground.one("postgres", Store::Postgres)?,
        ground.cluster("one-node", &[Roles("node", ALL)])?,
        ground.cluster("four-roles", &FOUR)?,
    ];
    let mut ways = hosts.map(|hosts| Way { hosts, waits: Vec::new(), crowds: Vec::new() });
    // The first of each finds nothing in any cache.
    for way in &mut ways {
        one_by_one(&mut way.hosts, settings.arrivals / 4)?;
    }
    for _ in 0..settings.rounds {
        for way in &mut ways {
            way.waits.push(one_by_one(&mut way.hosts, settings.arrivals)?);
        }
    }
    for _ in 0..settings.rounds {
        for way in &mut ways {
            way.crowds.push(crowd(&mut way.hosts, settings.crowd, |_| DOMAIN)?);
        }
    }
    let rows = ways.each_ref().map(|way| way.row(settings.crowd / 2));
    rows.iter().for_each(Row::print);
    for (row, name) in rows.iter().zip(["rocks", "local", "node", "nats"]) {
        figures.insert(format!("req_match_{name}_p50_ms"), row.p50_ms);
        figures.insert(format!("req_match_{name}_p99_ms"), row.p99_ms);
        figures.insert(format!("matches_per_s_{name}"), row.matches_per_s);
    }
    let ratio = |way: usize, to: usize| {
        let p50 = |waits: &Histogram<u64>| waits.value_at_quantile(0.5) as f64;
        median(ways[way].waits.iter().zip(&ways[to].waits).map(|(way, to)| p50(way) / p50(to)))
    };
    figures.insert("req_match_nats_over_local".to_owned(), ratio(ROLES, POSTGRES));
    figures.insert("req_match_node_over_local".to_owned(), ratio(NODE, POSTGRES));
    figures.insert("req_match_local_over_rocks".to_owned(), ratio(POSTGRES, ROCKS));
    for (process, us) in &rows[ROLES].cpu_us_per_match {
        figures.insert(format!("{}_us_per_match", process.replace('-', "_")), *us);
    }
    figures.insert("commits_per_match".to_owned(), rows[ROLES].commits_per_match);
    Ok(json!(rows))
}

fn one_by_one(hosts: &mut Hosts, count: usize) -> Result<Histogram<u64>> {
    let guests = hosts.new_guests(count);
    Clients::gather(hosts.lobby(), guests)?.one_by_one(DOMAIN)
}

/// Lets so many ask at once, each in the domain that is named for its place.
pub fn crowd<'a>(hosts: &mut Hosts, count: usize, domain: impl Fn(usize) -> &'a str) -> Result<Crowd> {
    let guests = hosts.new_guests(count);
    let mut clients = Clients::gather(hosts.lobby(), guests)?;
    let cpu =
        |hosts: &Hosts| hosts.nodes.iter().map(|node| Ok((node.name, node.server.cpu()?))).collect::<Result<Vec<_>>>();
    let counted = |name: &str, hosts: &Hosts| hosts.nodes.iter().map(|node| node.counter(name)).sum::<Result<f64>>();
    let before = (counted(COMMITS, hosts)?, counted(SYNCS, hosts)?, cpu(hosts)?);
    let waits = clients.all_at_once(domain)?;
    let used = cpu(hosts)?.into_iter().zip(before.2).map(|((name, after), (_, before))| (name, after - before));
    // Of the last few it is chance how long they take.
    let most = waits.len() * 99 / 100;
    Ok(Crowd {
        matches_per_s: most as f64 / 2.0 / waits[most - 1],
        cpu: used.collect(),
        commits: counted(COMMITS, hosts)? - before.0,
        syncs: counted(SYNCS, hosts)? - before.1,
    })
}

const COMMITS: &str = "scenehost_store_commits_total";
const SYNCS: &str = "scenehost_store_syncs_total";

impl Way {
    fn row(&self, matches: usize) -> Row {
        let mut waits = self.waits[0].clone();
        for more in &self.waits[1..] {
            waits += more;
        }
        let ms = |quantile| waits.value_at_quantile(quantile) as f64 / 1e3;
        let each = |of: &dyn Fn(&Crowd) -> f64| median(self.crowds.iter().map(of));
        let process = |index: usize| {
            let us = each(&|crowd: &Crowd| crowd.cpu[index].1.as_secs_f64() * 1e6 / matches as f64);
            (self.hosts.nodes[index].name, us)
        };
        Row {
            way: self.hosts.name,
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            max_ms: waits.max() as f64 / 1e3,
            matches_per_s: each(&|crowd: &Crowd| crowd.matches_per_s),
            cpu_us_per_match: (0..self.hosts.nodes.len()).map(process).collect(),
            commits_per_match: each(&|crowd: &Crowd| crowd.commits / matches as f64),
            syncs_per_match: each(&|crowd: &Crowd| crowd.syncs / matches as f64),
        }
    }
}

impl Row {
    fn print(&self) {
        let Row { way, p50_ms, p99_ms, max_ms, matches_per_s, commits_per_match, syncs_per_match, .. } = self;
        println!(
            "  {way:11} p50 {p50_ms:6.2}  p99 {p99_ms:7.2}  max {max_ms:7.2} ms   at once {matches_per_s:7.0} matches a second  \
             {commits_per_match:4.1} commits in {syncs_per_match:4.2} syncs each"
        );
        for (process, us) in &self.cpu_us_per_match {
            println!("              {process:14} {us:7.0} us of a core for each match");
        }
    }
}
