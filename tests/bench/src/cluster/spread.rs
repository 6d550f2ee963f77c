//! Matches while the handlers of domains are in one, two and four processes, and everything else in one more.
//!
//! Invariant: in each case the same number of domains is searched in, and every process with handlers has as many of them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::{Value, json};

use super::hosts::{DOMAIN, Ground, Hosts, OPS_TOKEN, Roles};
use super::matches::{Crowd, crowd};
use super::{Figures, Settings, median};
use crate::http::Client;

const SERVICES: &str = r#""auth", "lobby", "scene-master", "scene-service", "db""#;
const MATCH: Roles = Roles("match", r#""match""#);
const ONE: [Roles; 2] = [Roles("others", SERVICES), MATCH];
const TWO: [Roles; 3] = [Roles("others", SERVICES), MATCH, MATCH];
const FOUR: [Roles; 5] = [Roles("others", SERVICES), MATCH, MATCH, MATCH, MATCH];
/// How many domains are searched in.
const SEARCHED: usize = 4;
/// How many there are: they fall to the nodes by chance, and each node has to have some.
const DOMAINS: usize = 32;

#[derive(Serialize)]
struct Row {
    processes: usize,
    matches_per_s: f64,
    /// What all processes with handlers worked, and the one with the rest, in microseconds of one core for each match.
    match_us_per_match: f64,
    others_us_per_match: f64,
}

/// A cluster, and which domains are searched in.
struct Way {
    hosts: Hosts,
    domains: Vec<String>,
    crowds: Vec<Crowd>,
}

pub fn measure(settings: &Settings, ground: &mut Ground, figures: &mut Figures) -> Result<Value> {
    println!(
        "  many who ask at once in {SEARCHED} domains, whose handlers are in so many processes of two cores in all:"
    );
    let mut ways = vec![
        Way::start(ground.cluster("match-on-1", &ONE)?)?,
        Way::start(ground.cluster("match-on-2", &TWO)?)?,
        Way::start(ground.cluster("match-on-4", &FOUR)?)?,
    ];
    for way in &mut ways {
        way.crowd(settings.crowd / 4)?; // Nothing is in any cache before.
    }
    for _ in 0..settings.rounds {
        for way in &mut ways {
            let crowd = way.crowd(settings.crowd)?;
            way.crowds.push(crowd);
        }
    }
    let rows: Vec<Row> = ways.iter().map(|way| way.row(settings.crowd / 2)).collect();
    for row in &rows {
        println!(
            "  {} processes {:8.0} matches a second   handlers {:6.0} us, the rest {:6.0} us of a core for each match",
            row.processes, row.matches_per_s, row.match_us_per_match, row.others_us_per_match
        );
        figures.insert(format!("matches_per_s_{}_processes", row.processes), row.matches_per_s);
    }
    Ok(json!(rows))
}

impl Way {
    /// Makes the domains when all nodes are there, for a domain stays where it has fallen.
    fn start(hosts: Hosts) -> Result<Self> {
        let mut operator = Client::connect(hosts.nodes[0].ops)?;
        let domain = json!({ "fleet": DOMAIN, "players_min": 2, "players_max": 2 });
        let names: Vec<String> = (0..DOMAINS).map(|number| format!("domain-{number}")).collect();
        for name in &names {
            operator.put(&format!("/v1/domains/{name}"), OPS_TOKEN, &domain)?;
        }
        let mut by_node: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for (domain, node) in hosts.settled(&names)? {
            by_node.entry(node).or_default().push(domain);
        }
        let processes = hosts.nodes.len() - 1;
        let of_each = SEARCHED / processes;
        let mut domains = Vec::new();
        for node in 2..=hosts.nodes.len() as u64 {
            let some = by_node.get(&node).and_then(|domains| domains.get(..of_each));
            let few = || format!("node {node} has too few domains: {by_node:?}");
            domains.extend_from_slice(some.with_context(few)?);
        }
        Ok(Self { hosts, domains, crowds: Vec::new() })
    }

    fn crowd(&mut self, count: usize) -> Result<Crowd> {
        // Two who are in the same domain ask one after the other.
        crowd(&mut self.hosts, count, |client| &self.domains[client / 2 % SEARCHED])
    }

    fn row(&self, matches: usize) -> Row {
        let us = |crowd: &Crowd, is_match: bool| {
            let of_them = crowd.cpu.iter().filter(|(name, _)| (*name == MATCH.0) == is_match);
            of_them.map(|(_, used)| used.as_secs_f64()).sum::<f64>() * 1e6 / matches as f64
        };
        Row {
            processes: self.hosts.nodes.len() - 1,
            matches_per_s: median(self.crowds.iter().map(|crowd| crowd.matches_per_s)),
            match_us_per_match: median(self.crowds.iter().map(|crowd| us(crowd, true))),
            others_us_per_match: median(self.crowds.iter().map(|crowd| us(crowd, false))),
        }
    }
}
