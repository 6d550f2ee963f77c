//! `cargo xtask mutants`: shows that the simulator finds deliberate bugs in the rules.
//!
//! A copy of `host/core` is made in which each bug of the list can be switched on by its name; it is built once, and its
//! simulations are run with one bug after another until they find it.
//!
//! Invariant: the work tree is not touched. Without a bug the copy violates nothing, so what is found is the bug.

mod list;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::shell::{self, Folders};
use list::{MUTANTS, Mutant};

/// In so long each bug has to be found.
const FOUND_S_MAX: u64 = 60;
/// How many simulated hours have to pass without a bug.
const SOUND_HOURS: &str = "16";
/// More simulated hours than there is time for.
const HOURS: &str = "100000";
/// What stands in the list for the question whether the bug is switched on.
const SWITCH: &str = "MUTANT";
/// What the simulator says when it has found something.
const FOUND: &str = " violates an invariant: ";
/// The copy's module that knows which bug is switched on.
const MODULE: &str = r#"
/// Whether this bug is switched on.
pub(crate) fn mutant(name: &str) -> bool {
    static SWITCHED_ON: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    SWITCHED_ON.get_or_init(|| std::env::var("SCENEHOST_MUTANT").ok()).as_deref() == Some(name)
}
"#;

/// Looks for all bugs, or for those whose names contain this text.
pub fn find(folders: &Folders, named: Option<&str>) -> anyhow::Result<()> {
    let chosen: Vec<&Mutant> = MUTANTS.iter().filter(|it| named.is_none_or(|named| it.name.contains(named))).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = MUTANTS.iter().map(|it| it.name).collect();
        bail!("no bug is named so; there are: {}", names.join(", "));
    }
    shell::step("building the simulator with the bugs");
    let simulator = build(folders)?;
    shell::step("the simulator without a bug");
    if let Some(found) = run(&simulator, None)? {
        bail!("the simulator finds something without any bug: {found}");
    }
    shell::step(&format!("{} bugs", chosen.len()));
    let mut missed = Vec::new();
    for mutant in &chosen {
        let began = Instant::now();
        match run(&simulator, Some(mutant.name))? {
            Some(found) => println!("{:>6.1} s  {}: {found}", began.elapsed().as_secs_f64(), mutant.name),
            None => {
                println!("missed    {}", mutant.name);
                missed.push(mutant.name);
            }
        }
    }
    if !missed.is_empty() {
        bail!("these are not found within {FOUND_S_MAX} s: {}", missed.join(", "));
    }
    println!("all {} are found", chosen.len());
    Ok(())
}

/// Builds the copy and returns its simulator.
fn build(folders: &Folders) -> anyhow::Result<PathBuf> {
    let copy = folders.target.join("mutants");
    let core = copy.join("host/core");
    let _ = std::fs::remove_dir_all(&copy);
    copy_folder(&folders.workspace.join("host/core"), &core)?;
    // Of the workspace only this package is there.
    let manifest = std::fs::read_to_string(folders.workspace.join("Cargo.toml"))?;
    let (before, rest) = manifest.split_once("members = [").context("the workspace names its members")?;
    let (_, after) = rest.split_once("]\n").context("the list of members ends")?;
    let manifest = format!("{before}members = [\"host/core\"]\n{after}");
    // Cargo would take a package of the same version for the one in the work tree.
    let (before, version) =
        manifest.split_once("[workspace.package]\nversion = ").context("the workspace has a version")?;
    let (_, after) = version.split_once('\n').context("the version is in a line")?;
    let manifest = format!("{before}[workspace.package]\nversion = \"0.0.0-mutants\"\n{after}");
    std::fs::write(copy.join("Cargo.toml"), manifest)?;
    std::fs::copy(folders.workspace.join("Cargo.lock"), copy.join("Cargo.lock"))?;
    for mutant in MUTANTS {
        insert(&core.join("src").join(mutant.file), mutant)?;
    }
    let library = core.join("src/lib.rs");
    std::fs::write(&library, std::fs::read_to_string(&library)? + MODULE)?;

    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(&core).env("CARGO_TARGET_DIR", &folders.target);
    command.args(["test", "--package", "scenehost-core", "--test", "simulation", "--no-run"]);
    let output = command.output().context("cannot run cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let program =
        said.lines().find_map(|line| line.trim().strip_prefix("Executable ")?.split_once('(')?.1.strip_suffix(')'));
    match program.filter(|_| output.status.success()) {
        Some(program) => Ok(core.join(program)),
        None => bail!("{said}\nthe simulator with the bugs cannot be built"),
    }
}

/// Puts a bug into its source, where it can be switched on.
fn insert(file: &Path, mutant: &Mutant) -> anyhow::Result<()> {
    let source = std::fs::read_to_string(file).with_context(|| format!("{}: its file cannot be read", mutant.name))?;
    if source.matches(mutant.from).count() != 1 {
        bail!("{}: its text is not, or not once, in {}:\n{}", mutant.name, file.display(), mutant.from);
    }
    let switch = format!("crate::mutant({:?})", mutant.name);
    std::fs::write(file, source.replace(mutant.from, &mutant.to.replace(SWITCH, &switch)))?;
    Ok(())
}

/// Runs simulations with a bug until it is found, or its time is over; without one for a while. What is found.
fn run(simulator: &Path, mutant: Option<&str>) -> anyhow::Result<Option<String>> {
    let mut command = Command::new(simulator);
    command.args(["--exact", "every_invariant_holds_whatever_fails", "--nocapture"]);
    command.env("SCENEHOST_SIM_HOURS", if mutant.is_some() { HOURS } else { SOUND_HOURS });
    if let Some(name) = mutant {
        command.env("SCENEHOST_MUTANT", name);
    }
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context("cannot run the simulator")?;
    let said = BufReader::new(child.stderr.take().context("it says what it finds")?);
    let (tell, told) = mpsc::channel();
    // It ends with the child.
    std::thread::spawn(move || {
        let found = said.lines().map_while(Result::ok).find_map(|line| Some(line.split_once(FOUND)?.1.to_owned()));
        let _ = tell.send(found);
    });
    let found = told.recv_timeout(Duration::from_secs(FOUND_S_MAX)).ok().flatten();
    let _ = child.kill(); // It looks for the shortest way to it, which nobody needs here.
    child.wait().context("the simulator ends")?;
    Ok(found)
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_folder(&entry.path(), &to)?,
            false => _ = std::fs::copy(entry.path(), to)?,
        }
    }
    Ok(())
}
