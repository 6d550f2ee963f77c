//! `scenectl dev`: a host of one's own that runs the project; on each save it is built, uploaded, and changed in the
//! games that are running.
//!
//! A rule of matching has no game: on each save it is built and asked what its scripts say.

mod local;
mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anstream::eprintln;
use tokio::signal;
use tokio::sync::watch::Receiver;
use tokio::time::sleep;

use crate::command::publish::short;
use crate::command::test;
use crate::failure::Done;
use crate::guest::{self, Built};
use crate::host::{Host, Running, Upload};
use crate::project::{Kind, Project};
use crate::say::{GOOD, NAME, Say};
use local::LocalHost;
use watch::Sources;

/// How often the sources are looked at.
const LOOK: Duration = Duration::from_millis(100);

#[derive(clap::Args)]
pub struct Arguments {
    /// Open the page in the browser.
    #[arg(long)]
    open: bool,
    /// Where players connect; port 0 chooses a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The program `scenehost`; by default the one beside this tool, else the one on the PATH.
    #[arg(long, env = "SCENEHOST_BINARY", value_name = "FILE")]
    host_binary: Option<PathBuf>,
    /// Build as for `publish`: slower to build, faster to run.
    #[arg(long)]
    release: bool,
    /// Show all that the host says, not only what concerns the game.
    #[arg(long)]
    verbose: bool,
}

pub async fn run(arguments: &Arguments, project: &Project, say: Say) -> Done {
    let (sender, stopped) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        if stop_signal().await.is_ok() {
            let _ = sender.send(true);
        }
    });
    match project.settings.kind {
        Kind::Scene => play(arguments, project, stopped, say).await,
        Kind::MatchRule => ask_again(arguments, project, stopped, say).await,
    }
}

async fn stop_signal() -> std::io::Result<()> {
    let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate())?;
    tokio::select! {
        done = signal::ctrl_c() => done,
        _ = terminate.recv() => Ok(()),
    }
}

async fn play(arguments: &Arguments, project: &Project, mut stopped: Receiver<bool>, say: Say) -> Done {
    let binary = local::binary(arguments.host_binary.as_deref())?;
    let mut sources = Sources::of(project);
    let Some(first) = first_build(arguments, project, &mut sources, &mut stopped, say).await? else { return Ok(()) };
    say.step("starting", "a host of your own, which compiles the component");
    let mut local = LocalHost::start(&binary, project, &first, arguments.listen, arguments.verbose)?;
    let host = Host::new(&local.running.ops, Some(local.running.token.clone()))?;
    let mut current = first.bytes.clone();
    change(&host, project, first.bytes, false, Instant::now(), say).await?;
    tell(project, &local.running, say);
    if arguments.open && project.page_dir().is_dir() {
        open(&local.page(), say);
    }
    loop {
        if !wait_for_change(&mut sources, &mut stopped, Some(&mut local)).await? {
            say.step("stopping", "the host");
            return local.stop();
        }
        let begun = Instant::now();
        let built = match guest::build(project, !arguments.release, say) {
            Ok(built) if built.bytes == current => {
                say.step("unchanged", "the component is the same as before");
                continue;
            }
            Ok(built) => built,
            Err(failure) => {
                say.trouble(format_args!("{}; the games go on as they are", failure.text));
                continue;
            }
        };
        match change(&host, project, built.bytes.clone(), true, begun, say).await {
            Ok(()) => current = built.bytes,
            Err(failure) => say.trouble(format_args!("{}; the games go on as they are", failure.text)),
        }
    }
}

/// Uploads a component and makes it the one that runs, in running games, too.
async fn change(host: &Host, project: &Project, bytes: Vec<u8>, swap: bool, begun: Instant, say: Say) -> Done {
    let built = begun.elapsed();
    let version = host.upload(project.name(), bytes, Upload::default()).await?;
    let uploaded = begun.elapsed();
    let plugin = host.activate(project.name(), version.version, 100, swap).await?;
    let asked = plugin.swap.as_ref().and_then(|swap| swap.get("asked")).and_then(serde_json::Value::as_u64);
    let games = match asked {
        Some(1) => ", 1 running game changes".to_owned(),
        Some(asked) => format!(", {asked} running games change"),
        None => String::new(),
    };
    let (all, digest) = (begun.elapsed().as_secs_f64(), short(&version.digest));
    let parts = match swap {
        true => format!(
            " in {all:.2} s (build {:.2}, upload {:.2}){games}",
            built.as_secs_f64(),
            (uploaded - built).as_secs_f64()
        ),
        false => String::new(),
    };
    say.step("live", format_args!("version {} ({digest}){parts}", version.version));
    Ok(())
}

/// The first component; `None` if the user has given up before there was one.
async fn first_build(
    arguments: &Arguments,
    project: &Project,
    sources: &mut Sources,
    stopped: &mut Receiver<bool>,
    say: Say,
) -> Done<Option<Built>> {
    loop {
        match guest::build_checked(project, !arguments.release, say) {
            Ok((built, _)) => return Ok(Some(built)),
            Err(failure) => {
                say.failure(&failure);
                say.step("waiting", "for a change");
            }
        }
        if !wait_for_change(sources, stopped, None).await? {
            return Ok(None);
        }
    }
}

/// Waits until the sources have changed and rest; `false` if the user has ended it.
async fn wait_for_change(
    sources: &mut Sources,
    stopped: &mut Receiver<bool>,
    mut local: Option<&mut LocalHost>,
) -> Done<bool> {
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return Ok(false),
            () = sleep(LOOK) => {}
        }
        if let Some(local) = &mut local {
            local.check()?;
        }
        if sources.have_changed() {
            // An editor may still be writing.
            while {
                sleep(LOOK / 2).await;
                sources.have_changed()
            } {}
            return Ok(true);
        }
    }
}

async fn ask_again(arguments: &Arguments, project: &Project, mut stopped: Receiver<bool>, say: Say) -> Done {
    let mut sources = Sources::of(project);
    loop {
        match guest::build_checked(project, !arguments.release, say) {
            Ok((_, compiled)) => {
                test::play_and_tell(&compiled, project, say)?;
            }
            Err(failure) => say.failure(&failure),
        }
        say.step("waiting", "for a change; Ctrl-C ends it");
        if !wait_for_change(&mut sources, &mut stopped, None).await? {
            return Ok(());
        }
    }
}

fn tell(project: &Project, running: &Running, say: Say) {
    say.step("serving", format_args!("players at {}, operators at {}", running.players, running.ops));
    if project.page_dir().is_dir() {
        let players = &running.players;
        eprintln!("\n    Open {GOOD}{players}/{GOOD:#} in two windows and play.");
        eprintln!("    Save a file and it changes, also in games that are running. Ctrl-C ends it.");
        eprintln!("    {NAME}scenectl bots{NAME:#} in another terminal brings players.\n");
    }
}

/// Runs the system's program that opens addresses.
fn open(address: &str, say: Say) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let started = Command::new(program).arg(address).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    if started.is_err() {
        say.warn(format_args!("`{program}` is not here: open {address} yourself"));
    }
}
