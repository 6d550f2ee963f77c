//! `cargo xtask mutants`: shows that tests find deliberate bugs: the simulator those in the rules, the tests of the bus and of
//! the store those there.
//!
//! A copy of the workspace is made in which each bug of the lists can be switched on by its name; it is built once, and the
//! tests are run with one bug after another until they find it.
//!
//! Invariant: the work tree is not touched. Without a bug the tests of the copy pass, so what is found is the bug.

mod list;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::shell::{self, Folders};
use list::Mutant;

/// In so long each bug has to be found.
const FOUND_MAX: Duration = Duration::from_secs(60);
/// How long tests may take that find nothing.
const SOUND_MAX: Duration = Duration::from_secs(600);
/// What stands in the lists for the question whether the bug is switched on.
const SWITCH: &str = "MUTANT";
/// What is not copied, wherever it is.
const LEFT_OUT: [&str; 3] = [".git", "node_modules", "target"];
/// The copy's module that knows which bug is switched on.
const MODULE: &str = r#"
/// Whether this bug is switched on.
pub(crate) fn mutant(name: &str) -> bool {
    static SWITCHED_ON: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    SWITCHED_ON.get_or_init(|| std::env::var("SCENEHOST_MUTANT").ok()).as_deref() == Some(name)
}
"#;

/// A package with bugs, and the tests that have to find them.
struct Suite {
    folder: &'static str,
    mutants: &'static [Mutant],
    /// The test program's name, and what it is run with.
    test: &'static str,
    arguments: &'static [&'static str],
    /// A variable that says how much it does: so much without a bug, and more than there is time for with one.
    effort: Option<(&'static str, [&'static str; 2])>,
    /// What finds a bug: words in what it says, before which nothing is told; and else that it fails.
    found: Option<&'static str>,
}

const SUITES: [Suite; 3] = [
    Suite {
        folder: "host/core",
        mutants: list::CORE,
        test: "simulation",
        arguments: &["--exact", "every_invariant_holds_whatever_fails", "--nocapture"],
        // Simulated hours.
        effort: Some(("SCENEHOST_SIM_HOURS", ["16", "100000"])),
        found: Some(" violates an invariant: "),
    },
    Suite { folder: "host/bus", mutants: list::BUS, test: "bus", arguments: &[], effort: None, found: None },
    Suite { folder: "host/store", mutants: list::STORE, test: "store", arguments: &[], effort: None, found: None },
];

impl Suite {
    fn chosen(&self, named: Option<&str>) -> Vec<&'static Mutant> {
        self.mutants.iter().filter(|it| named.is_none_or(|named| it.name.contains(named))).collect()
    }
}

/// Looks for all bugs, or for those whose names contain this text.
pub fn find(folders: &Folders, named: Option<&str>) -> anyhow::Result<()> {
    let suites: Vec<&Suite> = SUITES.iter().filter(|suite| !suite.chosen(named).is_empty()).collect();
    if suites.is_empty() {
        let names: Vec<&str> = SUITES.iter().flat_map(|suite| suite.mutants).map(|it| it.name).collect();
        bail!("no bug is named so; there are: {}", names.join(", "));
    }
    shell::step("building the tests with the bugs");
    let copy = copy(folders)?;
    let mut missed = Vec::new();
    for suite in &suites {
        let program = build(folders, &copy, suite)?;
        shell::step(&format!("{} without a bug", suite.folder));
        if let Some(found) = run(suite, &program, None)? {
            bail!("the tests find something without any bug: {found}");
        }
        let chosen = suite.chosen(named);
        shell::step(&format!("{} bugs in {}", chosen.len(), suite.folder));
        for mutant in chosen {
            let began = Instant::now();
            match run(suite, &program, Some(mutant.name))? {
                Some(found) => println!("{:>6.1} s  {}: {found}", began.elapsed().as_secs_f64(), mutant.name),
                None => {
                    println!("missed    {}", mutant.name);
                    missed.push(mutant.name);
                }
            }
        }
    }
    if !missed.is_empty() {
        bail!("these are not found: {}", missed.join(", "));
    }
    println!("all are found");
    Ok(())
}

/// Makes the copy with all bugs in it.
fn copy(folders: &Folders) -> anyhow::Result<PathBuf> {
    let copy = folders.target.join("mutants");
    let _ = std::fs::remove_dir_all(&copy);
    copy_folder(&folders.workspace, &copy)?;
    // Cargo would take a package of the same version for the one in the work tree.
    let manifest = std::fs::read_to_string(copy.join("Cargo.toml"))?;
    let (before, version) =
        manifest.split_once("[workspace.package]\nversion = ").context("the workspace has a version")?;
    let (_, after) = version.split_once('\n').context("the version is in a line")?;
    let manifest = format!("{before}[workspace.package]\nversion = \"0.0.0-mutants\"\n{after}");
    std::fs::write(copy.join("Cargo.toml"), manifest)?;
    for Suite { folder, mutants, .. } in &SUITES {
        let source = copy.join(folder).join("src");
        for mutant in *mutants {
            insert(&source.join(mutant.file), mutant)?;
        }
        let library = source.join("lib.rs");
        std::fs::write(&library, std::fs::read_to_string(&library)? + MODULE)?;
    }
    Ok(copy)
}

/// Builds the tests of a package and returns their program. As everywhere the whole workspace is named, so that what it
/// shares with others is not built anew.
fn build(folders: &Folders, copy: &Path, suite: &Suite) -> anyhow::Result<PathBuf> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(copy).env("CARGO_TARGET_DIR", &folders.target);
    command.args(["test", "--workspace", "--test", suite.test, "--no-run"]);
    let output = command.output().context("cannot run cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let program =
        said.lines().find_map(|line| line.trim().strip_prefix("Executable ")?.split_once('(')?.1.strip_suffix(')'));
    match program.filter(|_| output.status.success()) {
        Some(program) => Ok(copy.join(program)),
        None => bail!("{said}\nthe tests with the bugs cannot be built"),
    }
}

/// Puts a bug into its source, where it can be switched on.
fn insert(file: &Path, mutant: &Mutant) -> anyhow::Result<()> {
    let source = std::fs::read_to_string(file).with_context(|| format!("{}: its file cannot be read", mutant.name))?;
    let with_it = inserted(&source, mutant).with_context(|| format!("in {}", file.display()))?;
    Ok(std::fs::write(file, with_it)?)
}

fn inserted(source: &str, mutant: &Mutant) -> anyhow::Result<String> {
    if source.matches(mutant.from).count() != 1 {
        bail!("{}: its text is not there, or not once:\n{}", mutant.name, mutant.from);
    }
    let switch = format!("crate::mutant({:?})", mutant.name);
    Ok(source.replace(mutant.from, &mutant.to.replace(SWITCH, &switch)))
}

/// Runs tests with a bug until they find it, or its time is over; without one to their end. What is found.
fn run(suite: &Suite, program: &Path, mutant: Option<&str>) -> anyhow::Result<Option<String>> {
    let mut command = Command::new(program);
    command.args(suite.arguments).stdin(Stdio::null());
    if let Some((name, [sound, long])) = suite.effort {
        command.env(name, if mutant.is_some() { long } else { sound });
    }
    if let Some(name) = mutant {
        command.env("SCENEHOST_MUTANT", name);
    }
    // What tests fail is said among their results, what the simulator finds beside them.
    let (said, unsaid) = (Stdio::piped(), Stdio::null());
    match suite.found {
        Some(_) => command.stdout(unsaid).stderr(said),
        None => command.stdout(said).stderr(unsaid),
    };
    let mut child = command.spawn().context("cannot run the tests")?;
    let said: Box<dyn std::io::Read + Send> = match (child.stdout.take(), child.stderr.take()) {
        (Some(said), _) => Box::new(said),
        (None, said) => Box::new(said.context("it says what it finds")?),
    };
    let (tell, told) = mpsc::channel();
    let words = suite.found;
    // It ends with the child.
    std::thread::spawn(move || {
        let found = BufReader::new(said).lines().map_while(Result::ok).find_map(|line| match words {
            Some(words) => Some(line.split_once(words)?.1.to_owned()),
            None => Some(line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?.to_owned()),
        });
        let _ = tell.send(found);
    });
    let limit = if mutant.is_some() { FOUND_MAX } else { SOUND_MAX };
    let found = match told.recv_timeout(limit) {
        Ok(Some(found)) => Some(found),
        Ok(None) if suite.found.is_none() && !child.wait()?.success() => Some("it breaks off".to_owned()),
        Ok(None) => None,
        // Tests that do not end are noticed; a simulation has found nothing until it says so.
        Err(_) => suite.found.is_none().then(|| "it does not end".to_owned()),
    };
    let _ = child.kill(); // The rest, such as the shortest way to what was found, nobody needs here.
    child.wait().context("the tests end")?;
    Ok(found)
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        if LEFT_OUT.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let to = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_folder(&entry.path(), &to)?,
            false => _ = std::fs::copy(entry.path(), to)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Whoever changes a source that has a bug in the list learns of it here, and not when the bugs are run.
    #[test]
    fn every_bug_has_a_name_of_its_own_and_a_place_in_its_source() {
        // Not of when it was built: several clones may build in one target folder, and some may be gone.
        let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it");
        let workspace = Path::new(&package).ancestors().nth(2).expect("it is two folders down");
        let mut names = Vec::new();
        for suite in &SUITES {
            let mut sources = BTreeMap::new();
            for mutant in suite.mutants {
                let path = workspace.join(suite.folder).join("src").join(mutant.file);
                let source = sources.entry(mutant.file).or_insert_with(|| {
                    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", mutant.name))
                });
                *source = inserted(source, mutant).expect("it is there once, whatever was inserted before");
                names.push(mutant.name);
            }
        }
        names.sort_unstable();
        assert!(names.windows(2).all(|two| two[0] != two[1]), "{names:?}");
    }
}
