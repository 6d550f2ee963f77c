//! `scenehost replay`: a scene's game, run again from its journal. No host is needed, and one that runs is not disturbed.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use scenehost_core::{Epoch, SceneId};
use scenehost_engine::journal::export::Export;
use scenehost_engine::journal::{self, Ended, Report};
use scenehost_engine::{Engine, Options, Plugin};

use super::{Filed, Folder, digests};
use crate::config::Config;

/// A replay has one scene, and the version before it while it changes from one to another.
const SCENES_MAX: u32 = 16;

/// Which scene, and what to do with it.
#[derive(Args)]
pub struct Replay {
    /// The scene's id, as the log and `GET /v1/journals` tell it; without it the journals are listed.
    scene: Option<SceneId>,
    /// Which life of it, instead of the last.
    #[arg(long)]
    epoch: Option<u64>,
    /// The host's data folder, where the journals are.
    #[arg(long, conflicts_with = "config")]
    data_dir: Option<PathBuf>,
    /// The host's configuration, which says where its data folder is.
    #[arg(long, env = "SCENEHOST_CONFIG")]
    config: Option<PathBuf>,
    /// Prints everything that went in and came out, as lines of JSON.
    #[arg(long)]
    print: bool,
    /// Writes the same lines to a file.
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// Runs it on this component instead, and shows where that comes to something else.
    #[arg(long, value_name = "FILE.wasm")]
    component: Option<PathBuf>,
}

/// # Errors
/// When there is no such journal, or it cannot be replayed to its end.
pub fn run(asked: &Replay) -> anyhow::Result<()> {
    let data_dir = match (&asked.data_dir, &asked.config) {
        (Some(data_dir), _) => data_dir.clone(),
        (None, Some(config)) => Config::read(config)?.server.data_dir,
        (None, None) => bail!("say where the journals are: --data-dir, or --config with the host's configuration"),
    };
    let folder = Folder::of(&data_dir);
    let none = || format!("there are no journals in {}: name the data folder of a host", data_dir.display());
    let Some(scene) = asked.scene else {
        return list(&folder.list().with_context(none)?, &data_dir);
    };
    let filed = folder.find(scene, asked.epoch.map(Epoch)).with_context(none)?;
    let Some(filed) = filed else {
        bail!(
            "there is no journal of the scene {scene} in {}: its fleet needs journal.keep = \"full\"",
            data_dir.display()
        )
    };
    let bytes = fs::read(&filed.path).with_context(|| filed.path.display().to_string())?;
    let options = Options { scenes_max: SCENES_MAX, memory_bytes_max: 1 << 30, ..Options::default() };
    let engine = Engine::new(options)?;
    let plugins = match &asked.component {
        Some(path) => vec![compile(&engine, &fs::read(path).with_context(|| path.display().to_string())?)?],
        None => kept(&engine, &folder, &bytes)?,
    };
    let report = replay(asked, &bytes, &plugins)?;
    tell(&filed, &report, asked.component.is_some());
    Ok(())
}

fn compile(engine: &Engine, bytes: &[u8]) -> anyhow::Result<Plugin> {
    engine.compile(bytes).context("the component is refused")
}

/// The components that the journal names.
fn kept(engine: &Engine, folder: &Folder, bytes: &[u8]) -> anyhow::Result<Vec<Plugin>> {
    let mut plugins = Vec::new();
    for digest in digests(bytes).map_err(anyhow::Error::msg)? {
        let component = folder.component(&digest).with_context(|| format!("the component {digest}"))?;
        plugins.push(compile(engine, &component)?);
    }
    Ok(plugins)
}

fn replay(asked: &Replay, bytes: &[u8], plugins: &[Plugin]) -> anyhow::Result<Report> {
    let mut file = match &asked.export {
        Some(path) => Some(BufWriter::new(fs::File::create(path).with_context(|| path.display().to_string())?)),
        None => None,
    };
    let mut printed = asked.print.then(|| BufWriter::new(std::io::stdout()));
    let mut written = Ok(());
    let mut export = Export::new(|line| {
        let outputs = [file.as_mut().map(|it| it as &mut dyn std::io::Write), printed.as_mut().map(|it| it as _)];
        for output in outputs.into_iter().flatten() {
            if written.is_ok() {
                written = writeln!(output, "{line}");
            }
        }
    });
    let result = match (&asked.component, plugins) {
        (Some(_), [plugin]) => journal::verify(bytes, plugin, &mut export),
        _ => journal::replay(bytes, |digest| plugins.iter().find(|it| it.digest() == *digest).cloned(), &mut export),
    };
    if let Ok(report) = &result {
        export.end(report);
    }
    let flushed = file.map_or(Ok(()), |mut file| file.flush());
    let printed = printed.map_or(Ok(()), |mut printed| printed.flush());
    written.and(flushed).and(printed).context("what was replayed cannot be written")?;
    result.map_err(|error| match error {
        journal::Error::Diverged(divergence) => anyhow::anyhow!("{divergence}{}", shown(&divergence)),
        error => error.into(),
    })
}

/// What has come out otherwise.
fn shown(divergence: &journal::Divergence) -> String {
    let lines = |what: &str, lines: Vec<String>| match lines.as_slice() {
        [] => format!("\n  {what}: nothing"),
        lines => lines.iter().map(|line| format!("\n  {what}: {line}")).collect(),
    };
    match divergence {
        journal::Divergence::Step { events, commands, .. } => {
            lines("in", events.iter().map(|it| journal::export::event(it).to_string()).collect())
                + &lines("out now", commands.iter().map(|it| journal::export::command(it).to_string()).collect())
        }
        _ => String::new(),
    }
}

fn list(files: &[Filed], data_dir: &Path) -> anyhow::Result<()> {
    if files.is_empty() {
        eprintln!(
            "no journals in {}: a fleet's games have them while they run with scene.journal.keep = \"recovery\", and \
             when they are over with \"full\"",
            data_dir.display()
        );
        return Ok(());
    }
    println!("{:<16}  {:>5}  {:>10}  state", "scene", "epoch", "bytes");
    for Filed { incarnation, bytes, is_live, .. } in files {
        let state = if *is_live { "runs" } else { "over" };
        println!("{}  {:>5}  {bytes:>10}  {state}", incarnation.scene, incarnation.epoch.0);
    }
    Ok(())
}

fn tell(filed: &Filed, report: &Report, is_other: bool) {
    let Report { first_tick, steps, admits, snapshots, swaps, chain, ended } = report;
    let ended = match ended {
        Ended::Open if filed.is_live => "it still runs, or its host was killed".to_owned(),
        Ended::Open => "its end was not written down".to_owned(),
        Ended::Torn => "its host was killed while it wrote".to_owned(),
        Ended::Failed { tick, kind, text } => format!("it failed at tick {tick} ({kind}): {text}"),
        Ended::Ended { reason } => format!("it was ended: {reason}"),
    };
    let equal = if is_other { "all outputs are as they were" } else { "all outputs and states are as they were" };
    eprintln!("scene {}: {equal}", filed.incarnation.scene);
    eprintln!(
        "  {steps} steps from tick {first_tick}, {admits} players asked to enter, {snapshots} states, {swaps} swaps"
    );
    eprintln!("  outputs {chain:016x}; {ended}");
}
