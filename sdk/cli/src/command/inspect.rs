//! `scenectl inspect`: what a component is, can do and needs.

use std::path::PathBuf;

use anstream::println;
use scenehost_engine::{Inspection, Limits, rule};
use serde::Serialize;

use crate::failure::{Done, Failure};
use crate::guest::{self, Compiled};
use crate::say::{self, FAINT, GOOD, NAME, Say};

#[derive(clap::Args)]
pub struct Arguments {
    /// The component, a `.wasm` file.
    file: PathBuf,
}

#[derive(Serialize)]
struct Report {
    file: PathBuf,
    kind: &'static str,
    digest: String,
    size_bytes: usize,
    imports: Vec<String>,
    exports: Vec<Export>,
    needs: Needs,
    limits: serde_json::Value,
}

#[derive(Serialize)]
struct Export {
    name: String,
    functions: Vec<String>,
}

/// What each instance has when it begins.
#[derive(Serialize)]
struct Needs {
    memory_bytes: u64,
    tables: u32,
    table_elements: u64,
}

pub fn run(arguments: &Arguments, say: Say) -> Done {
    let file = &arguments.file;
    let unreadable = |error| {
        let failure = Failure::usage(format_args!("{}: {error}", file.display()));
        failure.hint("name a component that is there; `scenectl build` writes one")
    };
    let bytes = std::fs::read(file).map_err(unreadable)?;
    let compiled = guest::compile(&bytes)?;
    let Inspection { imports, exports, memory_bytes, tables, table_elements } = match &compiled {
        Compiled::Scene(plugin) => plugin.inspect(),
        Compiled::Rule(component) => component.inspect(),
    };
    let report = Report {
        file: file.clone(),
        kind: compiled.kind().name(),
        digest: compiled.digest(),
        size_bytes: bytes.len(),
        imports,
        exports: exports.into_iter().map(|it| Export { name: it.name, functions: it.functions }).collect(),
        needs: Needs { memory_bytes, tables, table_elements },
        limits: limits(&compiled),
    };
    say.report(&report, || show(&report));
    Ok(())
}

/// The limits that a host has for it if its operators say nothing else.
fn limits(compiled: &Compiled) -> serde_json::Value {
    match compiled {
        Compiled::Scene(_) => {
            let limits = Limits::default();
            serde_json::json!({
                "memory_bytes": limits.memory_bytes_max,
                "step_ms": limits.step_ms_max,
                "start_ms": limits.start_ms_max,
                "message_bytes": limits.message_bytes_max,
                "messages_per_step": limits.messages_per_step_max,
                "output_bytes_per_step": limits.output_bytes_per_step_max,
                "log_bytes_per_step": limits.log_bytes_per_step_max,
                "snapshot_bytes": limits.snapshot_bytes_max,
                "timers": limits.timers_max,
            })
        }
        Compiled::Rule(_) => {
            let limits = rule::Limits::default();
            serde_json::json!({
                "fuel": limits.fuel,
                "memory_bytes": limits.memory_bytes_max,
                "answer_bytes": limits.answer_bytes_max,
                "log_bytes": limits.log_bytes_max,
            })
        }
    }
}

fn show(report: &Report) {
    let field = |name: &str, value: &str| println!("{NAME}{name:>10}{NAME:#}  {value}");
    field("component", &report.file.display().to_string());
    field("kind", report.kind);
    field("digest", &report.digest);
    field("size", &say::bytes(report.size_bytes as u64));
    show_imports(&report.imports);
    for export in &report.exports {
        field("exports", &format!("{} {FAINT}{}{FAINT:#}", export.name, export.functions.join(", ")));
    }
    let Needs { memory_bytes, tables, table_elements } = report.needs;
    let tables = format!("{tables} tables, the largest of {table_elements} elements");
    field("begins with", &format!("{} of memory, {tables}", say::bytes(memory_bytes)));
    let limits = report.limits.as_object().into_iter().flatten();
    let limits: Vec<String> = limits.map(|(name, value)| format!("{name} {value}")).collect();
    field("limits", &limits.join(", "));
}

/// The capability list: everything that a component can do beside computing.
pub fn show_imports(imports: &[String]) {
    let field = |value: &str| println!("{NAME}{:>10}{NAME:#}  {value}", "can do");
    if imports.is_empty() {
        field(&format!("{GOOD}nothing but compute{GOOD:#}"));
    }
    for import in imports {
        let what = match import.split('@').next() {
            Some("scenehost:scene/diagnostics") => "write lines for its designer",
            _ => "",
        };
        field(&format!("{import} {FAINT}{what}{FAINT:#}"));
    }
}
