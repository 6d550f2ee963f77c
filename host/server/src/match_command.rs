//! `scenehost match`: recorded searches, replayed from the command line. No host is needed.

mod plot;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use scenehost_core::DomainName;
use scenehost_core::config::Domain;
use scenehost_core::matching::replay::{Progress, Report, Stream, compare, replay};
use scenehost_core::matching::rule::Rule;

use crate::clock::Clock;
use crate::config::Config;
use crate::registry::Uploaded;
use crate::rules::Rules;

/// The largest file that is read; a recording has smaller ones.
const FILE_BYTES_MAX: u64 = 1_024 * 1_024 * 1_024;
/// How often a replay says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

#[derive(Subcommand)]
pub enum MatchCommand {
    /// Replays recorded searches: how long users would have waited, and how good their games would have been.
    ///
    /// A domain with record = true writes its searches to match/DOMAIN.jsonl in the data folder. They go through the
    /// same code as in the running host, at their times but without waiting for them. In a replay every match is
    /// accepted and every scene is there at once; who was matched when the searches were recorded takes back none.
    Replay(Replay),
}

#[derive(Args)]
pub struct Replay {
    /// A recorded file; several that follow each other, the oldest first.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    stream: Vec<PathBuf>,
    /// The configuration with the domain to replay with.
    #[arg(long, env = "SCENEHOST_CONFIG")]
    config: PathBuf,
    /// Which domain of it, instead of the one that was recorded.
    #[arg(long)]
    domain: Option<DomainName>,
    /// Another configuration: both are shown side by side.
    #[arg(long, value_name = "CONFIG")]
    against: Option<PathBuf>,
    /// Which domain of the other configuration, instead of the same.
    #[arg(long, value_name = "DOMAIN")]
    against_domain: Option<DomainName>,
    /// Where to draw how long users waited and how good their games were, as SVG.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// What the choices by chance grow from; the same seed gives the same result.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub fn run(command: MatchCommand) -> anyhow::Result<()> {
    match command {
        MatchCommand::Replay(replay) => run_replay(&replay),
    }
}

fn run_replay(asked: &Replay) -> anyhow::Result<()> {
    // What is wrong with the second configuration is to be known before the first replay.
    let stream = read_stream(&asked.stream)?;
    let name = asked.domain.as_ref().unwrap_or(&stream.domain);
    let mut sides = vec![side(&asked.config, name)?];
    let against = asked.against.as_ref().or(asked.against_domain.as_ref().map(|_| &asked.config));
    if let Some(against) = against {
        sides.push(side(against, asked.against_domain.as_ref().unwrap_or(name))?);
    }
    if let [one, other] = sides.as_mut_slice()
        && one.title == other.title
    {
        one.title += " (1)";
        other.title += " (2)";
    }
    let mut reports: Vec<(String, Report)> = Vec::new();
    for side in sides {
        let report = replay_one(&stream, &side, asked.seed)?;
        reports.push((side.title, report));
    }
    let shown: Vec<(&str, &Report)> = reports.iter().map(|(title, report)| (title.as_str(), report)).collect();
    print!("{}", compare(&shown));
    if let Some(path) = &asked.plot {
        let drawn = plot::draw(&shown).context("the plot cannot be drawn")?;
        fs::write(path, drawn).with_context(|| format!("the plot cannot be written to {}", path.display()))?;
        println!("\ndrawn to {}", path.display());
    }
    Ok(())
}

/// A configuration's domain and its rule, with a short name for them.
struct Side {
    title: String,
    domain: Domain,
    rule: Option<Rule>,
}

fn side(path: &Path, name: &DomainName) -> anyhow::Result<Side> {
    let config = Config::read(path)?;
    let Some(domain) = config.domains.get(name) else {
        let known: Vec<&str> = config.domains.keys().map(DomainName::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        bail!("{} has no domain {name}: say which by --domain; it has {known}", path.display());
    };
    let title = path.file_stem().map_or_else(|| name.to_string(), |stem| stem.to_string_lossy().into_owned());
    let rule = match &domain.rule {
        Some(_) => {
            let (store, uploads) = (config.server.store_dir(), config.server.uploads_dir());
            let uploaded = store.is_dir().then(|| Uploaded::open(&store, &uploads)).transpose()?;
            let rules = Rules::beside(uploaded, config.server.plugins_dir.clone(), Clock::start())?;
            rules.load(&BTreeMap::from([(name.clone(), domain.clone())]), None)?.remove(name)
        }
        None => None,
    };
    Ok(Side { title: title.chars().take(16).collect(), domain: domain.clone(), rule })
}

fn read_stream(paths: &[PathBuf]) -> anyhow::Result<Stream> {
    let mut whole: Option<Stream> = None;
    for path in paths {
        let of = || format!("{}", path.display());
        let text = read_whole_lines(path).with_context(of)?;
        let stream = Stream::parse(text.lines()).with_context(of)?;
        match &mut whole {
            None => whole = Some(stream),
            Some(whole) => whole.append(stream).with_context(of)?,
        }
    }
    whole.context("no file was given")
}

/// The text of a file, without a last line that was not written to its end.
fn read_whole_lines(path: &Path) -> anyhow::Result<String> {
    let bytes = fs::metadata(path).context("it cannot be read")?.len();
    if bytes > FILE_BYTES_MAX {
        bail!("it has {bytes} bytes, and {FILE_BYTES_MAX} is the most: split it, with its first line before each part");
    }
    let mut text = fs::read_to_string(path).context("it cannot be read as text")?;
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    if whole < text.len() {
        eprintln!("{}: its last line has no end and is left out", path.display());
        text.truncate(whole);
    }
    Ok(text)
}

fn replay_one(stream: &Stream, side: &Side, seed: u64) -> anyhow::Result<Report> {
    let Side { title, domain, rule } = side;
    let clock = Clock::start();
    let mut said = Duration::ZERO;
    let mut progress = |Progress { lines, of }: Progress| {
        let elapsed = clock.elapsed();
        if elapsed >= said + PROGRESS_EVERY {
            said = elapsed;
            eprintln!("{title}: {lines} of {of} lines, {} s", elapsed.as_secs());
        }
    };
    let mut rng = StdRng::seed_from_u64(seed);
    replay(stream, domain, rule.clone(), &mut rng, &mut progress).with_context(|| title.clone())
}
