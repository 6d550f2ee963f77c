//! `cargo xtask fuzz`, and the short run of it in `cargo xtask test`: builds the targets of `tests/fuzz`
//! with libFuzzer and the coverage that leads it, by stable flags and without cargo-fuzz. All of it is in
//! a target folder of its own, `target/fuzz`, so these builds need not name the whole workspace.
//!
//! Invariant: a run changes nothing in the work tree unless it is told to keep what it has found.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::shell::{self, Folders};

/// What `cargo fuzz --sanitizer none` passes. Nothing that is fuzzed has unsafe code, so there is nothing
/// for a sanitizer to find; arithmetic that overflows is an error here as in every test.
const FLAGS: [&str; 9] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions",
    "-Coverflow-checks",
    "--cfg",
    "fuzzing",
];
/// The limits of one input and of its target. All inputs that matter are small, and take microseconds.
const LIMITS: [&str; 3] = ["-max_len=4096", "-timeout=10", "-rss_limit_mb=1024"];
/// How many inputs each target takes in the tests, what is kept included: seconds on an idle machine.
const SHORT_RUNS: u32 = 10_000;
/// Where it is so busy that this takes longer, the rest is left out.
const SHORT_S_MAX: u32 = 60;

/// What to run.
pub struct Wanted {
    /// One target, or all.
    pub target: Option<String>,
    pub seconds: u64,
    /// Keep what reaches new code in the work tree.
    pub keep: bool,
    /// Run these instead.
    pub inputs: Vec<PathBuf>,
}

/// Searches for so long, or runs inputs.
pub fn long(folders: &Folders, wanted: &Wanted) -> anyhow::Result<()> {
    let targets = targets(folders, wanted.target.as_deref())?;
    let programs = build(folders)?;
    for target in targets {
        shell::step(&format!("fuzzing {target}"));
        let mut command = Command::new(programs.join(&target));
        if !wanted.inputs.is_empty() {
            command.args(LIMITS).args(&wanted.inputs);
            shell::run(command)?;
            continue;
        }
        let found = folder(folders, "corpus", &target)?;
        command.args(search(folders, &target, &found)?).arg(format!("-max_total_time={}", wanted.seconds));
        shell::run(command)?;
        if wanted.keep {
            let kept = kept(folders, &target);
            std::fs::create_dir_all(&kept)?;
            let mut merge = Command::new(programs.join(&target));
            // Code that is reached counts, and not how often, so that few inputs are kept.
            merge.args(["-set_cover_merge=1", "-use_counters=0", "-use_cmp=0"]).args(LIMITS).arg(kept).arg(&found);
            shell::run(merge)?;
        }
    }
    Ok(())
}

/// Every target over what is kept, and some way further, the same way each time: what fails, fails
/// because of what was changed.
pub fn short(folders: &Folders) -> anyhow::Result<()> {
    let programs = build(folders)?;
    for target in targets(folders, None)? {
        let found = folder(folders, "short", &target)?;
        std::fs::remove_dir_all(&found)?;
        let found = folder(folders, "short", &target)?;
        let mut command = Command::new(programs.join(&target));
        command.args(search(folders, &target, &found)?).arg("-seed=1");
        command.arg(format!("-runs={SHORT_RUNS}")).arg(format!("-max_total_time={SHORT_S_MAX}"));
        let output = command.output().with_context(|| format!("cannot run {target}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            let input = said.lines().find_map(|line| line.split_once("Test unit written to ")).map(|(_, input)| input);
            let input = input.unwrap_or("(none was written)");
            bail!("{said}\nthe input that fails: {input}\nto run it again: cargo xtask fuzz {target} {input}");
        }
        println!("{target}: {}", said.lines().rev().find(|line| line.starts_with("Done ")).unwrap_or("done"));
    }
    Ok(())
}

/// The targets by their names.
fn targets(folders: &Folders, one: Option<&str>) -> anyhow::Result<Vec<String>> {
    let sources = std::fs::read_dir(folders.workspace.join("tests/fuzz/fuzz_targets"))?;
    let stem = |entry: std::fs::DirEntry| Some(entry.path().file_stem()?.to_str()?.to_owned());
    let mut targets: Vec<String> = sources.flatten().filter_map(stem).collect();
    targets.sort();
    if let Some(one) = one {
        if !targets.iter().any(|target| target == one) {
            bail!("there is no target {one:?}: choose one of {}", targets.join(", "));
        }
        targets.retain(|target| target == one);
    }
    Ok(targets)
}

/// Builds the targets and returns their folder. Naming the machine's own platform keeps the flags away
/// from build scripts.
fn build(folders: &Folders) -> anyhow::Result<PathBuf> {
    shell::step("building the fuzz targets");
    let rustc = Command::new("rustc").arg("-vV").output().context("cannot run rustc")?;
    let about = String::from_utf8_lossy(&rustc.stdout);
    let platform =
        about.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc does not tell its host")?;
    let target = folders.target.join("fuzz");
    let what = ["build", "--release", "--package", "scenehost-fuzz", "--bins", "--target", platform];
    let mut command = shell::of_cargo(folders, &what);
    command.env("CARGO_TARGET_DIR", &target).env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"));
    shell::run(command)?;
    Ok(target.join(platform).join("release"))
}

/// The arguments of a search: where it begins, where what it finds goes, its limits.
fn search(folders: &Folders, target: &str, found: &Path) -> anyhow::Result<Vec<OsString>> {
    let mut prefix = OsString::from("-artifact_prefix=");
    prefix.push(folder(folders, "failures", target)?.join("")); // It ends in a slash.
    // A new target has none yet.
    let kept = Some(kept(folders, target)).filter(|folder| folder.is_dir()).map(PathBuf::into_os_string);
    Ok([found.as_os_str().to_owned()].into_iter().chain(kept).chain([prefix]).chain(LIMITS.map(Into::into)).collect())
}

/// The inputs that are kept with the code.
fn kept(folders: &Folders, target: &str) -> PathBuf {
    folders.workspace.join("tests/fuzz/corpus").join(target)
}

fn folder(folders: &Folders, name: &str, target: &str) -> anyhow::Result<PathBuf> {
    let folder = folders.target.join("fuzz").join(name).join(target);
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}
