//! How many nodes, and how much of NATS and PostgreSQL, so and so many users take, and what is full first: computed from
//! what the other benches have measured. CAPACITY.md of `host/server` is the page about it.
//!
//! - `model/assumptions.rs`: what users do, as flags. `model/costs.rs`: what things cost, from the other benches' files.
//! - `model/estimate.rs`: from both to the answer, a pure function.
//!
//! Invariant: nothing is measured here, and no figure is without its source.

pub mod assumptions;
mod costs;
mod estimate;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::report;
use assumptions::Assumptions;
use costs::{Costs, FILES, Files, Missing};
use estimate::{Flow, Limit, Model, Service, model};

#[derive(Serialize)]
struct Report {
    assumptions: Assumptions,
    costs: Costs,
    missing: Vec<Missing>,
    model: Model,
    figures: BTreeMap<&'static str, f64>,
}

/// Reads the other benches' files in `from`, prints the answer and writes `model.json` into `out`.
///
/// # Errors
/// Assumptions that nothing can be computed from, or a file that is no bench's.
pub fn run(assumptions: &Assumptions, from: &Path, out: &Path) -> Result<PathBuf> {
    assumptions.check().map_err(anyhow::Error::msg)?;
    let costs = Costs::read(&read(from)?);
    let model = model(assumptions, &costs);
    let figures = figures(&model);
    let report = Report { assumptions: assumptions.clone(), missing: costs.missing(), costs, model, figures };
    report.print();
    let file = out.join("model.json");
    report::write(&report, &file)?;
    Ok(file)
}

/// The files that are there.
fn read(folder: &Path) -> Result<Files> {
    let mut files = Files::new();
    for name in FILES {
        let path = folder.join(name).with_extension("json");
        match fs::read_to_string(&path) {
            Ok(text) => {
                let json = serde_json::from_str(&text);
                files.insert(name, json.with_context(|| format!("{} is no bench's report", path.display()))?);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
        }
    }
    Ok(files)
}

/// The plain numbers that later runs are compared by.
fn figures(model: &Model) -> BTreeMap<&'static str, f64> {
    let sum = |flows: &[Flow]| flows.iter().map(|flow| flow.per_s).sum::<f64>();
    let mut figures = BTreeMap::from([
        ("model_nodes", model.nodes),
        ("model_cores", model.services.iter().map(|service| service.cores).sum()),
        ("model_memory_gib", model.services.iter().map(|service| service.memory_gib).sum()),
        ("model_nats_per_s", sum(&model.nats)),
        ("model_postgres_per_s", sum(&model.postgres)),
    ]);
    // Without its costs nobody knows how many users fill it, and JSON has no infinity.
    if let Some(first) = model.limits.first().filter(|first| first.users.is_finite()) {
        figures.extend([("model_first_share", first.share), ("model_first_users", first.users)]);
    }
    figures
}

impl Report {
    fn print(&self) {
        println!("{} users", whole(self.assumptions.users));
        for missing in &self.missing {
            println!("  not measured: {} ({})", missing.what, missing.command);
        }
        println!("\n  service                  load/s      cost us    cores   memory GiB   nodes");
        self.model.services.iter().for_each(print_service);
        println!("  in all {:63.1} nodes", self.model.nodes);
        print_flows("NATS, payloads", &self.model.nats);
        print_flows("PostgreSQL, commits", &self.model.postgres);
        println!("\n  what is full first                          load         most     full   by users");
        self.model.limits.iter().for_each(print_limit);
    }
}

fn print_service(service: &Service) {
    let Service { name, cores, memory_gib, nodes, is_whole, .. } = service;
    let at_least = if *is_whole { " " } else { ">" };
    println!("  {name:44}{at_least}{cores:8.2}   {memory_gib:10.1}   {nodes:5.1}");
    for work in &service.work {
        let cost = work.cost.map_or_else(|| "?".to_owned(), |cost| format!("{:.1}", cost.value));
        println!(
            "    {:26} {:>10} {cost:>8}   {}",
            work.what,
            whole(work.per_s),
            work.cost.map_or("", |cost| cost.from)
        );
    }
}

fn print_flows(of: &str, flows: &[Flow]) {
    println!("\n  {of} a second: {}", whole(flows.iter().map(|flow| flow.per_s).sum()));
    for flow in flows {
        println!("    {:52} {:>10}", flow.what, whole(flow.per_s));
    }
}

fn print_limit(limit: &Limit) {
    let Limit { what, load, most, unit, share, users, is_rough } = limit;
    let rough = if *is_rough { "  (rough)" } else { "" };
    let percent = share * 100.0;
    println!("  {what:38} {load:10.2} {most:12.2} {percent:6.0} %  {:>12}  {unit}{rough}", whole(*users));
}

/// A number with commas.
fn whole(number: f64) -> String {
    if !number.is_finite() {
        return "unknown".to_owned();
    }
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_can_be_written_whatever_was_measured_and_a_file_that_is_none_is_refused() {
        let folder = std::env::temp_dir().join(format!("scenehost-model-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let assumptions = <Flags as clap::Parser>::parse_from(["model"]).assumptions;
        let written = run(&assumptions, &folder, &folder).expect("nothing was measured, which is said");
        let report: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(written).expect("it is there")).expect("it is JSON");
        assert_eq!(report["missing"].as_array().map(Vec::len), Some(16));
        assert!(report["figures"]["model_nodes"].as_f64().is_some_and(|nodes| nodes > 0.0));
        fs::write(folder.join("lobby.json"), "{").expect("a file");
        let refused = run(&assumptions, &folder, &folder).expect_err("that is no report").to_string();
        assert!(refused.contains("lobby.json is no bench's report"), "{refused}");
        fs::remove_dir_all(&folder).expect("it is ours");
    }

    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        assumptions: Assumptions,
    }

    #[test]
    fn numbers_have_commas() {
        assert_eq!([999.0, 1_000.0, 1_234_567.0].map(whole), ["999", "1,000", "1,234,567"]);
        assert_eq!(whole(f64::INFINITY), "unknown");
    }
}
