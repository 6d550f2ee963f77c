//! `scenectl replay`: a match that a host has recorded, played again bit for bit.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anstream::{eprint, eprintln, println};
use scenehost_engine::journal::{self, During, Ended, Entry, Error, Header, Observer, Reader, Report, Stepped};
use scenehost_engine::{Digest, Log, Player, Plugin};
use serde_json::{Value, json};

use crate::failure::{Done, Failure};
use crate::guest::{self, Compiled};
use crate::host::Way;
use crate::project::Project;
use crate::say::{BAD, FAINT, GOOD, NAME, Say, WARN};
use crate::words;

#[derive(clap::Args)]
pub struct Arguments {
    /// The journal, a file as a host wrote it; or the id of a scene, whose journal the host is asked for.
    #[arg(value_name = "FILE|SCENE")]
    journal: PathBuf,
    /// The components that it was played on; by default those that lie beside it, those that this project has built, and
    /// the host's versions.
    #[arg(long, value_name = "FILE")]
    component: Vec<PathBuf>,
    #[command(flatten)]
    way: Way,
    /// Print what went into each step and what came out.
    #[arg(long, conflicts_with_all = ["step", "export"])]
    print: bool,
    /// The same step by step: Enter goes on, a number goes on to this tick, q ends it.
    #[arg(long, conflicts_with = "export")]
    step: bool,
    /// Write everything as lines of JSON to standard output.
    #[arg(long, value_enum, value_name = "FORMAT")]
    export: Option<Format>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    Json,
}

pub async fn run(arguments: &Arguments, project: Done<Project>, say: Say) -> Done {
    let project = project.ok();
    let journal = match scene_id(&arguments.journal) {
        Some(scene) => arguments.way.host(project.as_ref())?.journal(scene).await?,
        None => read(&arguments.journal)?,
    };
    let (header, digests) = digests(&journal)?;
    let mut named = arguments.component.clone();
    named.extend(beside(&arguments.journal, &digests));
    let mut plugins = at_hand(&digests, &named, project.as_ref())?;
    let missing: Vec<Digest> = digests.into_iter().filter(|digest| !plugins.contains_key(digest)).collect();
    if !missing.is_empty() {
        fetch(arguments, project.as_ref(), &header, &missing, &mut plugins, say).await?;
    }
    let mut shower = Shower::new(arguments);
    let result = journal::replay(&journal, |digest| plugins.get(digest).cloned(), &mut shower);
    match result {
        Ok(report) => {
            if arguments.export.is_none() {
                say.report(&value(&report, None), || show(&report, "every output is the same"));
            }
            Ok(())
        }
        Err(error) => Err(differs(error, "the component, or the host, computes something else than it did")),
    }
}

/// The id of a scene, where no file has this name.
fn scene_id(journal: &Path) -> Option<&str> {
    let text = journal.to_str().filter(|text| text.len() == 16 && text.bytes().all(|sign| sign.is_ascii_hexdigit()));
    text.filter(|_| !journal.is_file())
}

/// Reads a journal's file.
///
/// # Errors
/// When it cannot be read.
pub fn read(file: &Path) -> Done<Vec<u8>> {
    std::fs::read(file).map_err(|error| {
        let failure = Failure::usage(format_args!("{}: {error}", file.display()));
        failure.hint("name a journal: hosts keep those of fleets whose `journal` is not off in their data folder")
    })
}

/// What the scene began with, and all the components that it ran on.
fn digests(journal: &[u8]) -> Done<(Header, Vec<Digest>)> {
    let (header, reader) = Reader::new(journal).map_err(Failure::failed)?;
    let mut digests = vec![header.digest];
    for entry in reader {
        // Damage is told by the replay, when all before it was played.
        let Ok(entry) = entry else { break };
        if let Entry::Swapped { digest, .. } = entry
            && !digests.contains(&digest)
        {
            digests.push(digest);
        }
    }
    Ok((header, digests))
}

/// The components that a host keeps beside its journals.
fn beside(journal: &Path, digests: &[Digest]) -> Vec<PathBuf> {
    let folder = journal.parent().unwrap_or(Path::new("")).join("components");
    digests.iter().map(|digest| folder.join(format!("{digest}.wasm"))).filter(|path| path.is_file()).collect()
}

type Plugins = BTreeMap<Digest, Plugin>;

/// Those of the components that were named or are the project's.
fn at_hand(digests: &[Digest], named: &[PathBuf], project: Option<&Project>) -> Done<Plugins> {
    let own = project.map(|project| [project.component(), project.quick_component()]);
    let own = own.into_iter().flatten().filter(|path| path.is_file());
    let mut plugins = Plugins::new();
    for path in named.iter().cloned().chain(own) {
        let bytes =
            std::fs::read(&path).map_err(|error| Failure::usage(format_args!("{}: {error}", path.display())))?;
        let digest = Digest::of(&bytes);
        if digests.contains(&digest)
            && let Compiled::Scene(plugin) = guest::compile(&bytes)?
        {
            plugins.insert(digest, plugin);
        }
    }
    Ok(plugins)
}

/// Asks the host for the versions that are not at hand.
async fn fetch(
    arguments: &Arguments,
    project: Option<&Project>,
    header: &Header,
    missing: &[Digest],
    plugins: &mut Plugins,
    say: Say,
) -> Done {
    let needs = |why: &str| {
        let digests: Vec<String> = missing.iter().map(Digest::to_string).collect();
        Failure::failed(format_args!("the match was played on the component {}, and {why}", digests.join(", ")))
            .hint("name the component's file by --component, or the host that has this version by --host")
    };
    let host = arguments.way.host(project)?;
    let plugin = host.plugin(&header.about.plugin).await.map_err(|failure| needs(&failure.text))?;
    for digest in missing {
        let wanted = digest.to_string();
        let Some(version) = plugin.versions.iter().find(|version| version.digest == wanted) else {
            return Err(needs("the host has no such version"));
        };
        say.step("fetching", format_args!("version {} of {}", version.version, plugin.plugin));
        let bytes = host.component(&plugin.plugin, version.version).await?;
        if let Compiled::Scene(compiled) = guest::compile(&bytes)? {
            plugins.insert(*digest, compiled);
        }
    }
    Ok(())
}

/// What a replay came to, as a value.
pub fn value(report: &Report, differs: Option<&str>) -> Value {
    let ended = match &report.ended {
        Ended::Open => json!("open"),
        Ended::Torn => json!("torn"),
        Ended::Failed { tick, kind, text } => json!({ "failed": { "tick": tick, "kind": kind, "text": text } }),
        Ended::Ended { reason } => json!({ "ended": reason }),
    };
    json!({
        "equal": differs.is_none(), "first_tick": report.first_tick, "steps": report.steps, "admits": report.admits,
        "snapshots": report.snapshots, "swaps": report.swaps, "output_hash": format!("{:016x}", report.chain),
        "ended": ended,
    })
}

/// The same for people.
pub fn show(report: &Report, verdict: &str) {
    let Report { first_tick, steps, admits, snapshots, swaps, chain, ended } = report;
    println!("{GOOD}{verdict}{GOOD:#}");
    let field = |name: &str, value: String| println!("{NAME}{name:>10}{NAME:#}  {value}");
    field("steps", format!("{steps} from tick {first_tick}, {admits} players asked to enter"));
    field("checked", format!("{snapshots} snapshots, {swaps} changes of version, output hash {chain:016x}"));
    field(
        "end",
        match ended {
            Ended::Open => "none: the scene was still running".to_owned(),
            Ended::Torn => "in the middle of a record: the host had died".to_owned(),
            Ended::Failed { tick, kind, text } => format!("the scene failed at tick {tick} ({kind}): {text}"),
            Ended::Ended { reason } => reason.clone(),
        },
    );
}

/// Why a replay did not come to its end, with what went into the step and what comes out now.
pub fn differs(error: Error, hint: &str) -> Failure {
    let text = match &error {
        Error::Diverged(divergence) => match &**divergence {
            journal::Divergence::Step { events, commands, .. } => {
                let lines = events.iter().map(|it| format!("\n  < {}", words::event(it)));
                let lines = lines.chain(commands.iter().map(|it| format!("\n  > {}", words::command(it))));
                format!("{error}{}", lines.collect::<String>())
            }
            _ => error.to_string(),
        },
        _ => error.to_string(),
    };
    let failure = Failure::failed(text);
    match error {
        Error::Diverged(_) => failure.hint(hint),
        _ => failure,
    }
}

/// Shows a replay while it runs.
struct Shower {
    how: How,
    /// With `--step`: it goes on without asking before this tick.
    until: u64,
}

#[derive(PartialEq, Eq)]
enum How {
    Nothing,
    Print,
    Ask,
    Export,
}

impl Shower {
    fn new(arguments: &Arguments) -> Shower {
        let how = match arguments {
            Arguments { export: Some(Format::Json), .. } => How::Export,
            Arguments { step: true, .. } => How::Ask,
            Arguments { print: true, .. } => How::Print,
            _ => How::Nothing,
        };
        Shower { how, until: 0 }
    }

    fn line(&self, value: impl FnOnce() -> Value, text: impl FnOnce() -> String) {
        match self.how {
            How::Export => println!("{}", value()),
            How::Print | How::Ask => println!("{}", text()),
            How::Nothing => {}
        }
    }

    /// Asks how to go on after a step.
    fn ask(&mut self, tick: u64) {
        if self.how != How::Ask || tick < self.until {
            return;
        }
        eprint!("{FAINT}[Enter, a tick, q]{FAINT:#} ");
        let _ = std::io::stderr().flush();
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer);
        match answer.trim() {
            _ if !matches!(read, Ok(1..)) => self.how = How::Nothing,
            "q" => self.how = How::Nothing,
            "" => {}
            number => match number.parse() {
                Ok(until) => self.until = until,
                Err(_) => eprintln!("{WARN}a tick is a number{WARN:#}"),
            },
        }
    }
}

impl Observer for Shower {
    fn began(&mut self, header: &Header) {
        let (about, init) = (&header.about, &header.init);
        self.line(
            || {
                json!({ "began": {
                    "scene": format!("{:016x}", about.scene), "fleet": about.fleet, "plugin": about.plugin,
                    "digest": header.digest.to_string(), "started_ms": about.started_ms, "seed": init.seed,
                    "tick_rate_hz": init.tick_rate_hz, "players": init.players.len(),
                } })
            },
            || {
                let players: Vec<&str> = init.players.iter().map(|player| player.name.as_str()).collect();
                let Header { digest, .. } = header;
                format!(
                    "{NAME}{} of fleet {}{NAME:#} {digest}\nplayers: {}",
                    about.plugin,
                    about.fleet,
                    players.join(", ")
                )
            },
        );
    }

    fn stepped(&mut self, stepped: &Stepped<'_>) {
        let Stepped { at, events, commands, .. } = stepped;
        if self.how == How::Nothing || (self.how != How::Export && events.is_empty() && commands.is_empty()) {
            return;
        }
        self.line(
            || {
                json!({
                    "tick": at.tick, "elapsed_ms": at.elapsed_ms,
                    "events": events.iter().map(words::event_value).collect::<Vec<_>>(),
                    "commands": commands.iter().map(words::command_value).collect::<Vec<_>>(),
                })
            },
            || {
                let head = format!("{NAME}#{} at {} ms{NAME:#}", at.tick, at.elapsed_ms);
                let events = events.iter().map(|it| format!("\n  {GOOD}<{GOOD:#} {}", words::event(it)));
                let commands = commands.iter().map(|it| format!("\n  {WARN}>{WARN:#} {}", words::command(it)));
                head + &events.chain(commands).collect::<String>()
            },
        );
        self.ask(at.tick);
    }

    fn admitted(&mut self, player: &Player, answer: &Result<(), String>) {
        self.line(
            || json!({ "admitted": { "seat": player.seat, "name": player.name, "refusal": answer.as_ref().err() } }),
            || match answer {
                Ok(()) => format!("{} may enter seat {}", player.name, player.seat),
                Err(refusal) => format!("{} may not enter: {refusal}", player.name),
            },
        );
    }

    fn swapped(&mut self, digest: Digest) {
        self.line(
            || json!({ "swapped": digest.to_string() }),
            || format!("{WARN}the scene runs {digest} from here{WARN:#}"),
        );
    }

    fn swapped_back(&mut self, reason: &str) {
        self.line(
            || json!({ "swapped_back": reason }),
            || format!("{WARN}the scene runs the version before again{WARN:#}: {reason}"),
        );
    }

    fn logged(&mut self, log: &Log) {
        for line in &log.lines {
            let (level, text) = (words::level(line.level), &line.text);
            self.line(
                || json!({ "log": { "level": level, "text": text } }),
                || format!("  {FAINT}{level}: {text}{FAINT:#}"),
            );
        }
    }

    fn failed(&mut self, during: &During<'_>, kind: &str, text: &str) {
        let (call, events): (_, &[_]) = match during {
            During::Step(step) => ("step", &step.events),
            During::Admit(_) => ("admit", &[]),
            During::Save => ("save", &[]),
        };
        self.line(
            || {
                let events: Vec<Value> = events.iter().map(words::event_value).collect();
                json!({ "failed": { "during": call, "kind": kind, "text": text, "events": events } })
            },
            || {
                let events: String =
                    events.iter().map(|it| format!("\n  {GOOD}<{GOOD:#} {}", words::event(it))).collect();
                format!("{BAD}the scene fails in {call} ({kind}){BAD:#}: {text}{events}")
            },
        );
    }
}
