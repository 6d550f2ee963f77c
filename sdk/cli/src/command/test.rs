//! `scenectl test`: plays the project's scripts in the real engine and compares with what was recorded.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anstream::{eprintln, println};
use serde::Serialize;

use crate::failure::{Done, Failure};
use crate::guest::{self, Compiled};
use crate::project::Project;
use crate::say::{BAD, FAINT, GOOD, Say, WARN};
use crate::script::diff::{self, Difference, Line};
use crate::script::play::{self, Mode, Stopped};
use crate::script::{self, Recording, rule, scene};

#[derive(clap::Args)]
pub struct Arguments {
    /// The scripts; by default all of `scripts/*.toml`.
    scripts: Vec<PathBuf>,
    /// Write down what the component gives now, as what is right from now on.
    #[arg(long)]
    record: bool,
    /// Take the component that was built last instead of building it.
    #[arg(long)]
    no_build: bool,
}

/// What came of a script.
enum Outcome {
    Same,
    Recorded,
    Unrecorded,
    Differs(Difference),
    Stopped(Stopped),
    /// It plays on otherwise after its snapshot was taken and loaded.
    Forgets(Difference),
}

#[derive(Serialize)]
struct Report<'a> {
    scripts: Vec<ReportLine<'a>>,
    passed: usize,
    failed: usize,
}

#[derive(Serialize)]
struct ReportLine<'a> {
    script: &'a Path,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

pub fn run(arguments: &Arguments, project: &Project, say: Say) -> Done {
    let scripts = script::find(&project.scripts_dir(), &arguments.scripts)?;
    let compiled = if arguments.no_build {
        let path = project.component();
        let bytes = std::fs::read(&path).map_err(|error| {
            Failure::usage(format_args!("{}: {error}", path.display())).hint("build it first: `scenectl build`")
        })?;
        guest::compile(&bytes)?
    } else {
        guest::build_checked(project, false, say)?.1
    };
    let begun = Instant::now();
    let outcomes = play_all(&compiled, project, &scripts, arguments.record, say)?;
    let failed = outcomes.iter().filter(|(_, outcome)| outcome.is_failure()).count();
    let passed = outcomes.len() - failed;
    let report = Report { scripts: outcomes.iter().map(|(path, it)| it.line(path)).collect(), passed, failed };
    if failed == 0 {
        say.report(&report, || {
            println!("{passed} scripts passed in {:.2} s", begun.elapsed().as_secs_f64());
        });
        return Ok(());
    }
    let text = format!("{failed} of {} scripts failed", outcomes.len());
    if say.json {
        say.report(&report, || {});
        return Err(Failure::failed(text).told());
    }
    Err(Failure::failed(text).hint("if the change is meant: `scenectl test --record`"))
}

/// Plays scripts, telling of each; whether all passed.
pub fn play_and_tell(compiled: &Compiled, project: &Project, say: Say) -> Done<bool> {
    let scripts = script::find(&project.scripts_dir(), &[])?;
    let outcomes = play_all(compiled, project, &scripts, false, say)?;
    Ok(!outcomes.iter().any(|(_, outcome)| outcome.is_failure()))
}

fn play_all<'a>(
    compiled: &Compiled,
    project: &Project,
    scripts: &'a [PathBuf],
    record: bool,
    say: Say,
) -> Done<Vec<(&'a Path, Outcome)>> {
    let mut outcomes = Vec::new();
    for path in scripts {
        let outcome = play_one(compiled, project, path, record, say)?;
        outcome.tell(path, say);
        outcomes.push((path.as_path(), outcome));
    }
    Ok(outcomes)
}

fn play_one(compiled: &Compiled, project: &Project, path: &Path, record: bool, say: Say) -> Done<Outcome> {
    let (recording, stopped) = match compiled {
        Compiled::Scene(plugin) => {
            let mut script: scene::Script = script::read(path)?;
            let (init, steps) = (script.init(project)?, script.steps()?);
            let (recording, stopped) = play::play(plugin, &init, &steps, Mode::Plain);
            // A move to another machine, a crash and an update of the game are all this.
            let (again, stopped_again) = play::play(plugin, &init, &steps, Mode::FromSnapshots);
            // Also where the script stops: that may be why it does.
            if let Some(difference) = diff::first(&recording, &again) {
                return Ok(Outcome::Forgets(difference));
            }
            (recording, stopped.or(stopped_again))
        }
        Compiled::Rule(component) => {
            let (limits, mut fuel_max) = (project.rule_limits(), 0);
            let played = rule::play(component, &script::read(path)?, limits, &mut fuel_max)?;
            say.step("fuel", format_args!("{fuel_max} of {} in the dearest call", limits.fuel));
            played
        }
    };
    if let Some(stopped) = stopped {
        return Ok(Outcome::Stopped(stopped));
    }
    if record {
        recording.write(path)?;
        return Ok(Outcome::Recorded);
    }
    Ok(match Recording::read(path)? {
        None => Outcome::Unrecorded,
        Some(recorded) => diff::first(&recorded, &recording).map_or(Outcome::Same, Outcome::Differs),
    })
}

impl Outcome {
    fn is_failure(&self) -> bool {
        !matches!(self, Outcome::Same | Outcome::Recorded)
    }

    fn name(&self) -> &'static str {
        match self {
            Outcome::Same => "passed",
            Outcome::Recorded => "recorded",
            Outcome::Unrecorded => "unrecorded",
            Outcome::Differs(_) => "differs",
            Outcome::Stopped(_) => "stopped",
            Outcome::Forgets(_) => "forgets",
        }
    }

    fn line<'a>(&self, script: &'a Path) -> ReportLine<'a> {
        let (step, why) = match self {
            Outcome::Differs(it) | Outcome::Forgets(it) => (Some(it.number), Some(it.plain())),
            Outcome::Stopped(it) => (Some(it.number), Some(it.why.clone())),
            Outcome::Same | Outcome::Recorded | Outcome::Unrecorded => (None, None),
        };
        ReportLine { script, outcome: self.name(), step, why }
    }

    fn tell(&self, path: &Path, say: Say) {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        match self {
            Outcome::Same => say.step("passed", file),
            Outcome::Recorded => say.step("recorded", file),
            Outcome::Unrecorded => {
                let recording = Recording::path(path);
                let recording = recording.file_name().unwrap_or_default().to_string_lossy();
                say.trouble(format_args!("{file}: there is no {recording} to compare with; --record writes it"));
            }
            Outcome::Stopped(Stopped { number, step, why }) => {
                say.trouble(format_args!("{file} at step {number}, {step}\n{why}"));
            }
            Outcome::Differs(difference) => {
                say.trouble(format_args!("{file} differs from its recording at step {}", difference.number));
                show(difference, "recorded", "now");
            }
            Outcome::Forgets(difference) => {
                say.trouble(format_args!(
                    "{file} goes on otherwise from a snapshot, at step {}: something is not in it that matters",
                    difference.number
                ));
                show(difference, "without", "from a snapshot");
            }
        }
    }
}

/// A difference on the terminal: its own lines, and one that is the same on both sides.
fn show(difference: &Difference, was: &str, is: &str) {
    eprintln!("{FAINT}    {}{FAINT:#}", difference.step);
    eprintln!("    {BAD}- {was}{BAD:#}  {GOOD}+ {is}{GOOD:#}");
    let matters = |place: usize| {
        let around = place.saturating_sub(1)..(place + 2).min(difference.lines.len());
        difference.lines[around].iter().any(|line| !matches!(line, Line::Same(_)))
    };
    let mut skipped = false;
    for (place, line) in difference.lines.iter().enumerate() {
        match line {
            Line::Same(text) if matters(place) => eprintln!("      {text}"),
            Line::Same(_) if !skipped => {
                eprintln!("{WARN}      …{WARN:#}");
                skipped = true;
                continue;
            }
            Line::Same(_) => continue,
            Line::Gone(text) => eprintln!("    {BAD}- {text}{BAD:#}"),
            Line::New(text) => eprintln!("    {GOOD}+ {text}{GOOD:#}"),
        }
        skipped = false;
    }
}

impl Difference {
    /// The lines that differ, as text.
    fn plain(&self) -> String {
        let line = |line: &Line| match line {
            Line::Same(_) => None,
            Line::Gone(text) => Some(format!("- {text}")),
            Line::New(text) => Some(format!("+ {text}")),
        };
        self.lines.iter().filter_map(line).collect::<Vec<_>>().join("\n")
    }
}
