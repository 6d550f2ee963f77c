//! Runs other programs, showing what they say.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};

/// Where things are.
pub struct Folders {
    pub workspace: PathBuf,
    pub target: PathBuf,
}

impl Folders {
    pub fn find() -> anyhow::Result<Self> {
        // As cargo says now, not as it was at compile time: clones may share a target folder, and this program with it.
        let package = std::env::var_os("CARGO_MANIFEST_DIR");
        let package = package.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let workspace = package.join("../..").canonicalize()?;
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(target) => std::path::absolute(target)?,
            None => workspace.join("target"),
        };
        Ok(Self { workspace, target })
    }
}

/// Says what happens next, so that long work shows progress.
pub fn step(text: &str) {
    println!("==> {text}");
}

/// Runs cargo in the workspace.
pub fn cargo(folders: &Folders, arguments: &[&str]) -> anyhow::Result<()> {
    run(of_cargo(folders, arguments))
}

/// Cargo with these arguments in the workspace.
pub fn of_cargo(folders: &Folders, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(&folders.workspace).args(arguments);
    command
}

/// Runs a program to its end; anything but success is an error.
pub fn run(mut command: Command) -> anyhow::Result<()> {
    let shown = format!("{command:?}").replace('"', "");
    let status = command.status().with_context(|| format!("cannot run {shown}"))?;
    if !status.success() {
        bail!("{shown} failed ({status})");
    }
    Ok(())
}

/// Runs a program that the user ends by ctrl-c, which reaches it as well as this one.
pub fn run_until_stopped(command: Command) -> anyhow::Result<()> {
    use std::os::unix::process::CommandExt as _;
    let mut command = command;
    // In the place of this process, so that signals and the exit status are the program's own.
    Err(command.exec()).with_context(|| format!("cannot run {command:?}"))
}
