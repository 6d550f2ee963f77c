//! `scenectl bots`: players without people, to fill games and to load a host.
//!
//! Each bot signs in as a guest, searches, plays until its game is over, and begins again, until the time is up. All
//! that they count is in [`counts`]; what they say is a [`repertoire`].

mod counts;
mod repertoire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anstream::{eprint, eprintln};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use scenehost_client::{Credential, Error, Lobby, Options, Scene, SceneEvent};
use tokio::time::{Instant, interval, sleep, sleep_until};

use crate::command::versions;
use crate::failure::{Done, Failure};
use crate::host::Running;
use crate::project::Project;
use crate::say::{FAINT, NAME, Say};
use counts::Counts;
use repertoire::Repertoire;

/// The file of a project with what its bots say.
const FILE: &str = "bots.toml";
/// How often a bot asks how long the way to the game and back is.
const PING: Duration = Duration::from_secs(1);
/// Bots come one after another, so that they do not all sign in at once.
const STAGGER: Duration = Duration::from_millis(10);
/// How long a bot waits after something was refused or lost.
const REST: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub struct Arguments {
    /// Where players connect; by default the host that this project's `scenectl dev` runs.
    #[arg(long, value_name = "URL")]
    host: Option<String>,
    /// The domain in which they search; by default the project's name.
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// How many.
    #[arg(short, long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    number: u32,
    /// What they say; by default the project's bots.toml, and without one random bytes.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// For how long.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// What their random choices grow from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What all bots share.
struct Shared {
    url: String,
    domain: String,
    repertoire: Repertoire,
    counts: Counts,
    until: Instant,
}

pub async fn run(arguments: &Arguments, project: Done<Project>, say: Say) -> Done {
    let unnamed = |failure: Failure| failure.hint("name the domain with --domain, or the project's folder with -C");
    let domain = versions::name(arguments.domain.as_deref(), &project).map_err(unnamed)?;
    let project = project.ok();
    let url = url(arguments.host.as_deref(), project.as_ref())?;
    let own = project.map(|project| project.root.join(FILE)).filter(|path| path.is_file());
    let repertoire = match arguments.script.clone().or(own) {
        Some(path) => Repertoire::read(&path)?,
        None => Repertoire::default(),
    };
    let until = Instant::now() + Duration::from_secs(arguments.seconds);
    let shared = Arc::new(Shared { url, domain, repertoire, counts: Counts::default(), until });
    say.step("playing", format_args!("{} bots at {} for {} s", arguments.number, shared.url, arguments.seconds));
    let mut bots = tokio::task::JoinSet::new();
    for number in 0..arguments.number {
        bots.spawn(bot(Arc::clone(&shared), arguments.seed, number));
    }
    tell_while_they_play(&shared, say, arguments.seconds).await;
    // Bots end by themselves at the same time; one that waits for something is not waited for.
    let _ = tokio::time::timeout(Duration::from_secs(2), async { while bots.join_next().await.is_some() {} }).await;
    bots.shutdown().await;

    let totals = shared.counts.totals(arguments.seconds);
    if totals.signed_in == 0 {
        let why = totals.errors.keys().next().cloned().unwrap_or_else(|| "no answer in time".to_owned());
        return Err(Failure::host(format_args!("no bot could sign in at {}: {why}", shared.url))
            .hint("is it running, and is this where players connect (`server.listen`)?"));
    }
    say.report(&totals, || totals.show());
    Ok(())
}

fn url(named: Option<&str>, project: Option<&Project>) -> Done<String> {
    let named = match (named, project.and_then(Running::read)) {
        (Some(url), _) => url.to_owned(),
        (None, Some(running)) => running.players,
        (None, None) => {
            return Err(Failure::usage("there is no host to play at")
                .hint("run `scenectl dev`, or name where players connect: --host ws://127.0.0.1:7350"));
        }
    };
    let url = named.trim_end_matches('/');
    Ok(match url.split_once("://") {
        Some(("http", rest)) => format!("ws://{rest}"),
        Some(("https", rest)) => format!("wss://{rest}"),
        Some(_) => url.to_owned(),
        None => format!("ws://{url}"),
    })
}

/// A line each second: on a terminal always the same one.
async fn tell_while_they_play(shared: &Shared, say: Say, seconds: u64) {
    let on_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let mut every = interval(Duration::from_secs(1));
    every.tick().await;
    for second in 1..=seconds {
        every.tick().await;
        let now = shared.counts.second();
        let line = format!("{FAINT}{second:>4} s{FAINT:#}  {NAME}{now}{NAME:#}");
        match on_terminal {
            true => eprint!("\r\x1b[K{line}"),
            false if !say.json => eprintln!("{line}"),
            false => {}
        }
    }
    if on_terminal {
        eprintln!();
    }
}

async fn bot(shared: Arc<Shared>, seed: u64, number: u32) {
    let mut random = StdRng::seed_from_u64(seed.wrapping_add(u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    sleep(STAGGER * number).await;
    while Instant::now() < shared.until {
        let device_id = format!("scenectl-bot-{number}-{:016x}", rand_secret());
        let guest = Credential::Guest { device_id, name: format!("bot {number}") };
        let options = Options { reconnect: true, ..Options::default() };
        match Lobby::connect(&shared.url, guest, options.clone()).await {
            Ok(lobby) => {
                shared.counts.signed_in();
                play_on(&shared, &lobby, &options, &mut random).await;
                return lobby.close().await;
            }
            Err(error) => shared.counts.error(&error),
        }
        sleep(REST).await;
    }
}

/// Guests of another run are others, so this is no part of the seed.
fn rand_secret() -> u64 {
    use rand::TryRng as _;
    let mut random = rand::rngs::SysRng;
    random.try_next_u64().unwrap_or_default()
}

async fn play_on(shared: &Shared, lobby: &Lobby, options: &Options, random: &mut StdRng) {
    while Instant::now() < shared.until {
        let found = tokio::select! {
            found = lobby.find_match(&shared.domain) => found,
            () = sleep_until(shared.until) => return,
        };
        let played = match found {
            Ok(seat) => match Scene::join(&seat, options).await {
                Ok(scene) => {
                    shared.counts.joined(&seat.scene_id);
                    play(shared, scene, random).await
                }
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        shared.counts.left();
        if let Err(error) = played {
            shared.counts.error(&error);
            sleep(REST).await;
        }
    }
}

/// One game, until it is over or the time is up.
async fn play(shared: &Shared, mut scene: Scene, random: &mut StdRng) -> Result<(), Error> {
    let mut ping = interval(PING);
    let every = shared.repertoire.every();
    let mut said = 0;
    let mut next = Instant::now() + every.mul_f64(random.random_range(0.0..1.0));
    loop {
        tokio::select! {
            event = scene.next() => match event {
                Some(SceneEvent::Message(body)) => shared.counts.received(body.len()),
                Some(SceneEvent::Pong { round_trip }) => shared.counts.round_trip(round_trip),
                Some(SceneEvent::Refused(refused)) => shared.counts.refused(refused.code().as_str_name()),
                Some(SceneEvent::Ended(_)) | None => return Ok(()),
                Some(SceneEvent::Gone(why)) => {
                    shared.counts.lost(&why);
                    return Ok(());
                }
                Some(SceneEvent::Dropped { .. } | SceneEvent::Resumed { .. }) => {}
            },
            _ = ping.tick() => scene.ping(),
            () = sleep_until(next) => {
                let body = shared.repertoire.next(said, random);
                said += 1;
                shared.counts.sent();
                scene.send(body).await?;
                next += every;
            }
            () = sleep_until(shared.until) => {
                scene.leave().await?;
                return Ok(());
            }
        }
    }
}
