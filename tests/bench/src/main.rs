//! The benchmarks, on loopback: `arena`, the same load against Scenehost, Colyseus and a bare relay; `sign-in`;
//! `lobby`, what players do between games; `match`, how fast matches are found; `match-quality`, how good they are;
//! `scenes`, their lives; `plugin`, what it costs that games are components; `isolation`, what hostile scenes do to their
//! neighbours; `recovery`, from kill -9 to playing again; `cluster`, what it costs that services are in many processes;
//! `model`, what a million users would take.
//!
//! - `arena.rs`: what is measured, in which order. `ramp.rs`: the search for the limit.
//! - `sign_in.rs`: sign-ins over HTTP. `lobby.rs` and its folder: leaderboards, chat, purchases.
//! - `match_quality.rs` and its folder: replays of real ratings, and the optimum beside them.
//! - `match_speed.rs` and its folder: the index, the handler and clients of Match.
//! - `scenes.rs` and its folder: scenes made, held, failing, ended.
//! - `plugin_speed.rs` and its folder: a game's logic as a component and as part of this program.
//! - `cluster.rs` and its folder: the bus, the stores, matches through one process and through many.
//! - `model.rs` and its folder: what follows from the others' files.
//! - `isolation.rs`, `recovery.rs`: with `arena_player.rs`, players by the client that games use.
//! - `generator.rs`: the players. `lobby_clients.rs`: users who search. `connection.rs`, `websocket.rs`, `http.rs`: how they talk.
//! - `contender.rs` and its folder: the servers. `relay.rs`: the one that is part of this program.
//! - `process.rs`: servers as processes. `report.rs`: the table and the file.
//!
//! Invariant: servers run on one core and the generator on another, but where there are more than two; and no server
//! outlives it.

mod arena;
mod arena_player;
mod cluster;
mod connection;
mod contender;
mod generator;
mod http;
mod isolation;
mod lobby;
mod lobby_clients;
mod match_quality;
mod match_speed;
mod model;
mod plugin_speed;
mod process;
mod ramp;
mod recovery;
mod relay;
mod report;
mod scenes;
mod sign_in;
mod websocket;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::arena::Settings;
use crate::contender::{Name, Paths};
use crate::generator::Timing;
use crate::ramp::Plan;

#[derive(Parser)]
#[command(version, about = "Measures Scenehost, Colyseus and a bare relay under the same load")]
enum Cli {
    /// Rooms of four players who send and receive at 20 Hz.
    Arena(ArenaArguments),
    /// New guests and resumes over HTTP, a second.
    SignIn(SignInArguments),
    /// What players do between games: leaderboards, chat, purchases.
    Lobby(LobbyArguments),
    /// How fast matches are found: on the index, by the handler, for clients.
    Match(MatchArguments),
    /// How good and how soon matches are, with real ratings and round trips, beside the best there could be.
    MatchQuality(MatchQualityArguments),
    /// The lives of scenes: making them, holding them, failures, what is left of them.
    Scenes(ScenesArguments),
    /// What it costs that games are components: steps, journals, instances, states, swaps.
    Plugin(PluginArguments),
    /// Many nodes: calls over the bus, commits, matches through one process and through four, domains over processes.
    Cluster(ClusterArguments),
    /// What so and so many users would take, by what the others have measured, and what is full first.
    Model(Box<ModelArguments>),
    /// What hostile scenes do to a neighbour on their thread.
    Isolation(HostArguments),
    /// From kill -9 of the host until its games are played again.
    Recovery(HostArguments),
    #[command(flatten)]
    Internal(Internal),
}

#[derive(Args)]
struct ArenaArguments {
    /// A few small, short steps: whether everything works.
    #[arg(long)]
    quick: bool,
    /// Measures these only.
    #[arg(long, value_enum)]
    only: Vec<Name>,
    /// One step with so many rooms, for profiling; 0: only the rooms without players.
    #[arg(long)]
    rooms: Option<u32>,
    /// How long each step is measured, in seconds.
    #[arg(long)]
    window_s: Option<u64>,
    /// The program `scenehost`.
    #[arg(long, default_value = "target/release/scenehost")]
    scenehost: PathBuf,
    #[arg(long, default_value = "tests/bench/scenehost.toml")]
    scenehost_config: PathBuf,
    /// The folder with the component `bench-room.wasm`.
    #[arg(long, default_value = "target/plugins")]
    plugins: PathBuf,
    /// The folder of Colyseus's program.
    #[arg(long, default_value = "tests/bench/colyseus")]
    colyseus: PathBuf,
    /// Where `arena.json` and the servers' logs go.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

#[derive(Args)]
struct SignInArguments {
    /// Short: whether everything works.
    #[arg(long)]
    quick: bool,
    /// The program `scenehost`.
    #[arg(long, default_value = "target/release/scenehost")]
    scenehost: PathBuf,
    /// Taken as by the other benchmarks; no component is used.
    #[arg(long, hide = true)]
    plugins: Option<PathBuf>,
    /// Where `sign-in.json` and the server's log go.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

#[derive(Args)]
struct LobbyArguments {
    /// Small and short: whether everything works.
    #[arg(long)]
    quick: bool,
    /// The program `scenehost`.
    #[arg(long, default_value = "target/release/scenehost")]
    scenehost: PathBuf,
    /// Taken as by the other benchmarks; no component is used.
    #[arg(long, hide = true)]
    plugins: Option<PathBuf>,
    /// Where `lobby.json` and the server's log go.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

#[derive(Args)]
struct MatchArguments {
    /// Small and short: whether everything works.
    #[arg(long)]
    quick: bool,
    /// Measure only this.
    #[arg(long)]
    only: Option<match_speed::Part>,
    /// The program `scenehost`.
    #[arg(long, default_value = "target/release/scenehost")]
    scenehost: PathBuf,
    /// The folder with the component `bench-room.wasm`.
    #[arg(long, default_value = "target/plugins")]
    plugins: PathBuf,
    /// Where `match.json` and the server's log go.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

#[derive(Args)]
struct MatchQualityArguments {
    /// Few searches: whether everything works.
    #[arg(long)]
    quick: bool,
    /// Taken as by the other benchmarks; no host is run.
    #[arg(long, hide = true)]
    scenehost: Option<PathBuf>,
    /// Taken as by the other benchmarks; no component is used.
    #[arg(long, hide = true)]
    plugins: Option<PathBuf>,
    /// Where `match-quality.json` goes.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

#[derive(Args)]
struct ScenesArguments {
    /// Small and short: whether everything works.
    #[arg(long)]
    quick: bool,
    /// Measure only this.
    #[arg(long)]
    only: Option<scenes::Part>,
    /// The program `scenehost`.
    #[arg(long, default_value = "target/release/scenehost")]
    scenehost: PathBuf,
    /// The folder with the components `bench-room.wasm`, `arena.wasm` and `hostile.wasm`.
    #[arg(long, default_value = "target/plugins")]
    plugins: PathBuf,
    /// Where `scenes.json` and the servers' logs go.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

#[derive(Args)]
struct PluginArguments {
    /// Small and short: whether everything works.
    #[arg(long)]
    quick: bool,
    /// Taken as by the other benchmarks; no host is run.
    #[arg(long, hide = true)]
    scenehost: Option<PathBuf>,
    /// The folder with the components `arena.wasm` and `gomoku.wasm`; `rock-paper-scissors.wasm` is measured if it is there.
    #[arg(long, default_value = "target/plugins")]
    plugins: PathBuf,
    /// Where `plugin.json` goes, and the journals while it runs.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

#[derive(Args)]
struct ClusterArguments {
    /// Small and short: whether everything works.
    #[arg(long)]
    quick: bool,
    /// Measure only this.
    #[arg(long)]
    only: Option<cluster::Part>,
    /// The program `scenehost`.
    #[arg(long, default_value = "target/release/scenehost")]
    scenehost: PathBuf,
    /// The folder with the component `bench-room.wasm`.
    #[arg(long, default_value = "target/plugins")]
    plugins: PathBuf,
    /// Where `cluster.json` and the servers' logs go.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

#[derive(Args)]
struct ModelArguments {
    #[command(flatten)]
    assumptions: model::assumptions::Assumptions,
    /// The folder with the other benches' files, if it is not where `model.json` goes.
    #[arg(long)]
    from: Option<PathBuf>,
    /// Taken as by the other benchmarks; no host is run.
    #[arg(long, hide = true)]
    scenehost: Option<PathBuf>,
    /// Taken as by the other benchmarks; no component is used.
    #[arg(long, hide = true)]
    plugins: Option<PathBuf>,
    /// Where `model.json` goes.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

/// What benchmarks of a whole host have in common.
#[derive(Args)]
struct HostArguments {
    /// Small and short: whether everything works.
    #[arg(long)]
    quick: bool,
    /// The program `scenehost`.
    #[arg(long, default_value = "target/release/scenehost")]
    scenehost: PathBuf,
    /// The folder with the components `arena.wasm` and `hostile.wasm`.
    #[arg(long, default_value = "target/plugins")]
    plugins: PathBuf,
    /// Where the file with the figures and the server's log go.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

/// What the bench starts itself.
#[derive(Subcommand)]
enum Internal {
    /// The relay.
    #[command(hide = true)]
    Relay { address: SocketAddr },
    /// A host with the load of `scenes` inside.
    #[command(hide = true)]
    ScenesInside(scenes::inside::Arguments),
    /// Another program on all cores, which ends when the bench does.
    #[command(hide = true)]
    OnAllCores {
        program: PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Another program, pinned to a core, which ends when the bench does.
    #[command(hide = true)]
    Pinned {
        core: usize,
        program: PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> Result<()> {
    match Cli::parse() {
        Cli::Arena(arguments) => arena(arguments),
        Cli::SignIn(arguments) => sign_in(arguments),
        Cli::Lobby(arguments) => lobby(arguments),
        Cli::Match(arguments) => match_speed(&arguments),
        Cli::MatchQuality(arguments) => match_quality(&arguments),
        Cli::Scenes(arguments) => scenes(arguments),
        Cli::Plugin(arguments) => plugin_speed(&arguments),
        Cli::Cluster(arguments) => cluster(&arguments),
        Cli::Model(arguments) => model(&arguments),
        Cli::Isolation(arguments) => of_host(&arguments, |quick, scenehost, plugins, out| {
            isolation::run(&isolation::Settings::of(quick), scenehost, plugins, out)
        }),
        Cli::Recovery(arguments) => of_host(&arguments, |quick, scenehost, plugins, out| {
            recovery::run(&recovery::Settings::of(quick), scenehost, plugins, out)
        }),
        Cli::Internal(Internal::Relay { address }) => relay::run(address),
        Cli::Internal(Internal::ScenesInside(arguments)) => scenes::inside::run(&arguments),
        Cli::Internal(Internal::OnAllCores { program, arguments }) => process::exec_on_all_cores(&program, &arguments),
        Cli::Internal(Internal::Pinned { core, program, arguments }) => {
            process::exec_pinned(core, &program, &arguments)
        }
    }
}

fn arena(arguments: ArenaArguments) -> Result<()> {
    fs::create_dir_all(&arguments.out)?;
    let out = fs::canonicalize(&arguments.out)?;
    let files_max = process::raise_file_limit()?;
    process::pin(process::GENERATOR_CORE)?;
    let settings = settings(&arguments, files_max);
    let paths = Paths {
        scenehost: arguments.scenehost,
        scenehost_config: arguments.scenehost_config,
        plugins: arguments.plugins,
        colyseus: arguments.colyseus,
        out,
    };
    let report = arena::run(&settings, &paths)?;
    report.print();
    let file = paths.out.join("arena.json");
    report.write(&file)?;
    println!("\nwritten to {}", file.display());
    Ok(())
}

fn sign_in(arguments: SignInArguments) -> Result<()> {
    fs::create_dir_all(&arguments.out)?;
    let out = fs::canonicalize(&arguments.out)?;
    process::pin(process::GENERATOR_CORE)?;
    let seconds = if arguments.quick { (1, 2) } else { (3, 15) };
    let settings =
        sign_in::Settings { warm_up: Duration::from_secs(seconds.0), window: Duration::from_secs(seconds.1) };
    let file = sign_in::run(&settings, &arguments.scenehost, &out)?;
    println!("\nwritten to {}", file.display());
    Ok(())
}

fn lobby(arguments: LobbyArguments) -> Result<()> {
    fs::create_dir_all(&arguments.out)?;
    let out = fs::canonicalize(&arguments.out)?;
    process::raise_file_limit()?;
    process::pin(process::GENERATOR_CORE)?;
    let file = lobby::run(arguments.quick, &arguments.scenehost, &out)?;
    println!("\nwritten to {}", file.display());
    Ok(())
}

fn match_speed(arguments: &MatchArguments) -> Result<()> {
    fs::create_dir_all(&arguments.out)?;
    process::raise_file_limit()?;
    process::pin(process::GENERATOR_CORE)?;
    let MatchArguments { quick, only, scenehost, plugins, out } = arguments;
    let file = match_speed::run(*quick, *only, scenehost, plugins, out)?;
    println!("\nwritten to {}", file.display());
    Ok(())
}

fn match_quality(arguments: &MatchQualityArguments) -> Result<()> {
    fs::create_dir_all(&arguments.out)?;
    let file = match_quality::run(arguments.quick, &arguments.out)?;
    println!("\nwritten to {}", file.display());
    Ok(())
}

fn scenes(arguments: ScenesArguments) -> Result<()> {
    fs::create_dir_all(&arguments.out)?;
    process::raise_file_limit()?;
    process::pin(process::GENERATOR_CORE)?;
    let place = scenes::Place {
        program: fs::canonicalize(&arguments.scenehost)?,
        plugins: fs::canonicalize(&arguments.plugins)?,
        out: fs::canonicalize(&arguments.out)?,
    };
    let file = scenes::run(&scenes::Settings::of(arguments.quick), arguments.only, &place)?;
    println!("\nwritten to {}", file.display());
    Ok(())
}

fn plugin_speed(arguments: &PluginArguments) -> Result<()> {
    fs::create_dir_all(&arguments.out)?;
    process::raise_file_limit()?;
    process::pin(process::GENERATOR_CORE)?;
    let PluginArguments { quick, scenehost: _, plugins, out } = arguments;
    let file = plugin_speed::run(&plugin_speed::Settings::of(*quick), plugins, out)?;
    println!("\nwritten to {}", file.display());
    Ok(())
}

fn cluster(arguments: &ClusterArguments) -> Result<()> {
    let ClusterArguments { quick, only, scenehost, plugins, out } = arguments;
    fs::create_dir_all(out)?;
    process::raise_file_limit()?;
    let file = cluster::run(&cluster::Settings::of(*quick), *only, (scenehost, plugins, out))?;
    println!("\nwritten to {}", file.display());
    Ok(())
}

fn model(arguments: &ModelArguments) -> Result<()> {
    let ModelArguments { assumptions, from, scenehost: _, plugins: _, out } = arguments;
    fs::create_dir_all(out)?;
    let file = model::run(assumptions, from.as_ref().unwrap_or(out), out)?;
    println!("\nwritten to {}", file.display());
    Ok(())
}

fn of_host(arguments: &HostArguments, run: impl FnOnce(bool, &Path, &Path, &Path) -> Result<PathBuf>) -> Result<()> {
    fs::create_dir_all(&arguments.out)?;
    process::raise_file_limit()?;
    process::pin(process::GENERATOR_CORE)?;
    let HostArguments { quick, scenehost, plugins, out } = arguments;
    let file = run(*quick, scenehost, plugins, &fs::canonicalize(out)?)?;
    println!("\nwritten to {}", file.display());
    Ok(())
}

fn settings(arguments: &ArenaArguments, files_max: u64) -> Settings {
    let seconds = Duration::from_secs;
    let all = vec![Name::Relay, Name::Colyseus, Name::Scenehost];
    let full = Settings {
        contenders: if arguments.only.is_empty() { all } else { arguments.only.clone() },
        timing: Timing { warm_up: seconds(3), window: seconds(arguments.window_s.unwrap_or(20)) },
        plan: Plan { coarse: vec![200, 400, 600, 800, 1000, 1200, 1400, 1700, 2000], fine: 25, runs_max: 24 },
        reference_rooms: Some(600),
        idle_rooms: 5000,
        idle_window: seconds(10),
        duration_max: seconds(20 * 60),
        files_max,
    };
    match arguments.rooms {
        Some(0) => Settings { plan: Plan { coarse: Vec::new(), fine: 0, runs_max: 0 }, reference_rooms: None, ..full },
        Some(rooms) => Settings {
            plan: Plan { coarse: vec![rooms], fine: 0, runs_max: 1 },
            reference_rooms: None,
            idle_rooms: 0,
            ..full
        },
        None if arguments.quick => Settings {
            timing: Timing { warm_up: seconds(1), window: seconds(3) },
            plan: Plan { coarse: vec![20, 40], fine: 0, runs_max: 3 },
            reference_rooms: Some(40),
            idle_rooms: 200,
            idle_window: seconds(2),
            ..full
        },
        None => full,
    }
}
