//! What the bench says: lines while it runs, a table at its end, and a file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::arena::{IdleRow, Row, Settings};
use crate::generator::{MESSAGE_BYTES, PLAYERS_PER_ROOM, SEND_PERIOD, Step};

/// The whole result, as it is written to the file.
#[derive(Serialize)]
pub struct Report {
    machine: Machine,
    load: Load,
    rows: Vec<Row>,
    figures: BTreeMap<&'static str, f64>,
}

#[derive(Serialize)]
pub struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
    memory_mb: u64,
    /// How busy the machine was before the bench; near 0 if the figures are to mean something.
    load_average: f64,
}

#[derive(Serialize)]
struct Load {
    players_per_room: u32,
    message_bytes: usize,
    send_period_ms: u128,
    tick_rate_hz: u32,
    warm_up_s: f64,
    window_s: f64,
    held_if: &'static str,
    cores: &'static str,
}

impl Report {
    pub fn new(settings: &Settings, rows: Vec<Row>) -> Result<Self> {
        let load = Load {
            players_per_room: PLAYERS_PER_ROOM,
            message_bytes: MESSAGE_BYTES,
            send_period_ms: SEND_PERIOD.as_millis(),
            tick_rate_hz: 20,
            warm_up_s: settings.timing.warm_up.as_secs_f64(),
            window_s: settings.timing.window.as_secs_f64(),
            held_if: "no client is lost, 99 % of the messages arrive, p99 is at most 100 ms",
            cores: "server on core 0, generator on core 1",
        };
        let figures = figures(&rows);
        Ok(Self { machine: machine()?, load, rows, figures })
    }

    /// Prints the table.
    pub fn print(&self) {
        println!("\n{}", HEADER);
        for row in &self.rows {
            for (what, step) in [("held", &row.at_limit), ("compared", &row.at_reference)] {
                if let Some(step) = step {
                    println!("{}", step_line(step, what));
                }
            }
            if row.generator_saturated {
                println!("  {}: the generator was at its limit before the server", row.contender);
            }
        }
        for idle in self.rows.iter().flat_map(|row| &row.idle) {
            print_idle(idle);
        }
        for (name, value) in &self.figures {
            println!("  {name:28} {value:10.2}");
        }
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        write(self, path)
    }
}

/// Writes a result as JSON for people and programs.
pub fn write(report: &impl Serialize, path: &Path) -> Result<()> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The plain numbers that later runs are compared by; what was not measured is left out.
fn figures(rows: &[Row]) -> BTreeMap<&'static str, f64> {
    let row = |name: &str| rows.iter().find(|row| row.contender == name);
    let (ours, theirs) = (row("scenehost"), row("colyseus"));
    let mut figures = BTreeMap::new();
    if let (Some(ours), Some(theirs)) = (ours, theirs) {
        if theirs.rooms_held > 0 {
            figures.insert("rooms_held_ratio", f64::from(ours.rooms_held) / f64::from(theirs.rooms_held));
        }
        if let (Some(ours), Some(theirs)) = (&ours.at_reference, &theirs.at_reference)
            && ours.rooms == 600
        {
            figures.insert("cpu_ratio_at_600", ours.server_cpu_percent / theirs.server_cpu_percent);
        }
    }
    for idle in ours.iter().flat_map(|row| &row.idle).filter(|idle| idle.rooms == 5000) {
        if idle.ticking {
            figures.insert("cpu_percent_5000_ticking", idle.cpu_percent);
        } else {
            figures.insert("kb_per_idle_room", idle.kb_per_room);
            figures.insert("cpu_percent_5000_idle", idle.cpu_percent);
        }
    }
    figures
}

const HEADER: &str =
    "  contender            rooms  delivered    p50    p95    p99 ms   server CPU  memory   generator CPU";

fn step_line(step: &Step, what: &str) -> String {
    format!(
        "  {:10} {:9} {:5}  {:7.2} %  {:5.1}  {:5.1}  {:6.1}      {:5.1} %  {:4.0} MB         {:5.1} %",
        step.contender,
        what,
        step.rooms,
        step.delivery_percent,
        step.p50_ms,
        step.p95_ms,
        step.p99_ms,
        step.server_cpu_percent,
        step.server_resident_mb,
        step.generator_cpu_percent,
    )
}

pub fn print_step(step: &Step) {
    println!("{}", step_line(step, if step.held { "held" } else { "NOT HELD" }));
    if let Some(reason) = &step.lost_because {
        println!("    {} clients lost, the first because: {reason}", step.clients_lost);
    }
    if step.generator_saturated() {
        println!("    the generator was at its limit (its sends {:.1} ms late)", step.late_ms_p99);
    }
}

pub fn print_idle(row: &IdleRow) {
    println!(
        "  {:10} {} rooms without players, {:8}: {:6.1} kB and {:6.1} us to make each, {:5.1} % CPU",
        row.contender,
        row.rooms,
        if row.ticking { "ticking" } else { "sleeping" },
        row.kb_per_room,
        row.create_us_per_room,
        row.cpu_percent,
    );
}

/// Says where the bench runs, and whether something else does.
pub fn print_machine() {
    if let Ok(machine) = machine() {
        println!("{}, {} cores, Linux {}", machine.cpu, machine.cores, machine.kernel);
        if machine.load_average > 0.5 {
            println!("other work is running (load {}): the figures will be rough", machine.load_average);
        }
    }
}

/// Where the bench runs.
pub fn machine() -> Result<Machine> {
    let field = |file: &str, name: &str| -> Result<String> {
        let text = fs::read_to_string(file)?;
        let line = text.lines().find(|line| line.starts_with(name)).with_context(|| format!("no {name} in {file}"))?;
        Ok(line.split_once(':').map_or("", |(_, value)| value).trim().to_owned())
    };
    let memory_kb = field("/proc/meminfo", "MemTotal")?;
    let memory_kb: u64 = memory_kb.split_whitespace().next().context("no memory")?.parse()?;
    let load = fs::read_to_string("/proc/loadavg")?;
    Ok(Machine {
        cpu: field("/proc/cpuinfo", "model name")?,
        cores: fs::read_to_string("/proc/cpuinfo")?.lines().filter(|line| line.starts_with("processor")).count(),
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
        memory_mb: memory_kb / 1024,
        load_average: load.split_whitespace().next().context("no load")?.parse()?,
    })
}
