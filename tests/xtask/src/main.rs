//! `cargo xtask play | test | soak | bench | fuzz | mutants`: all set-up, then the thing itself.
//!
//! Invariant: on a machine that has everything, set-up costs nothing and touches nothing.
//! Every build names the whole workspace, since the packages that are named decide the features of
//! what they share, and another choice would build RocksDB or wasmtime once more.
//! This crate depends on nothing that needs set-up itself.

mod fuzz;
mod machine;
mod mutants;
mod pages;
mod play;
mod shell;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use machine::Need;
use shell::Folders;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Sets up what is missing, then plays, tests or measures")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts the host with the demo games and prints the address to open.
    Play {
        /// Where to listen; use 0.0.0.0:7350 to play from other devices.
        #[arg(long, default_value = "127.0.0.1:7350")]
        listen: SocketAddr,
    },
    /// What `play` runs beside the host.
    #[command(hide = true)]
    PlayLate {
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Runs every check and every test.
    Test,
    /// Lets bots play on three nodes through fault after fault: prints a table, and writes target/soak/SEED.
    Soak {
        /// How many faults.
        #[arg(long, default_value_t = 200)]
        episodes: u64,
        #[arg(long, default_value_t = 200)]
        bots: u64,
        /// Faults and bots follow from it; without it another one each time.
        #[arg(long)]
        seed: Option<u64>,
        /// Instead of faults: nodes of this binary, of an older version, are restarted as the new one, one after the other.
        #[arg(long, value_name = "BINARY", conflicts_with_all = ["episodes", "bots", "seed"])]
        upgrade_from: Option<PathBuf>,
    },
    /// Measures: prints a table and writes target/bench/NAME.json.
    Bench {
        /// What to measure.
        #[arg(default_value = "arena")]
        name: String,
        /// Passed on to the benchmark; --help lists what it knows.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Fuzzes: bytes from outside, and events in any order.
    Fuzz {
        /// What to fuzz, a file of tests/fuzz/fuzz_targets; without it everything in turn.
        target: Option<String>,
        /// For how many seconds each.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Afterwards keep what reaches new code in tests/fuzz/corpus.
        #[arg(long)]
        keep: bool,
        /// Run only these files.
        inputs: Vec<PathBuf>,
    },
    /// Shows that the simulator finds deliberate bugs in the rules.
    Mutants {
        /// Only the bugs whose names contain this.
        named: Option<String>,
    },
}

/// The demo games in Rust.
const GAMES: [&str; 2] = ["gomoku", "arena"];
/// The guests of the tests besides.
const TEST_GUESTS: [&str; 5] = ["bench-room", "hostile", "hostile-import", "hostile-rule", "squads-rule"];

/// The test that is the soak, and a short run of it if nothing else is said.
const SOAK: &str = "soak::bots_play_on_through_faults_and_nothing_is_doubled_or_lost";
/// The test that is an upgrade, and a mere restart if nothing else is said.
const UPGRADE: &str = "soak::all_nodes_are_restarted_while_games_are_played_and_none_is_lost";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without the frames of this program: what was run has said what there is to say.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let folders = Folders::find()?;
    match arguments.command {
        Command::Play { listen } => play::play(&folders, listen),
        Command::PlayLate { listen } => play::play_late(&folders, listen),
        Command::Test => test(&folders),
        Command::Soak { upgrade_from: Some(older), .. } => upgrade(&folders, &older),
        Command::Soak { episodes, bots, seed, .. } => soak(&folders, episodes, bots, seed),
        Command::Bench { name, options } => bench(&folders, &name, &options),
        Command::Fuzz { target, seconds, keep, inputs } => {
            machine::set_up(&[Need::Store])?;
            fuzz::long(&folders, &fuzz::Wanted { target, seconds, keep, inputs })
        }
        Command::Mutants { named } => mutants::find(&folders, named.as_deref()),
    }
}

fn test(folders: &Folders) -> anyhow::Result<()> {
    machine::set_up(&[Need::Store, Need::Node, Need::Browser, Need::Postgres, Need::Nats])?;
    shell::step("formatting and lints");
    shell::cargo(folders, &["fmt", "--all", "--check"])?;
    shell::cargo(folders, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    if machine::has("cargo-deny") {
        shell::cargo(folders, &["deny", "--log-level", "error", "check", "bans", "licenses", "sources"])?;
        // The database of advisories is elsewhere, and not every machine can reach it.
        if shell::cargo(folders, &["deny", "--log-level", "off", "fetch", "db"]).is_ok() {
            shell::cargo(folders, &["deny", "--log-level", "error", "check", "advisories"])?;
        } else {
            println!("the database of advisories cannot be had: advisories are not checked");
        }
    } else {
        println!("cargo-deny is not installed: licences are not checked (cargo install cargo-deny)");
    }
    pages::check(folders)?;
    let guests: Vec<&str> = GAMES.into_iter().chain(TEST_GUESTS).collect();
    build_guests(folders, &guests)?;
    pages::build(folders)?;
    pages::install(folders, "tests/browser")?;
    pages::install(folders, "tests/deploy")?;
    shell::step("building the host and the tests");
    shell::cargo(folders, &["build", "--workspace", "--bin", "scenehost", "--bin", "scenectl"])?;
    shell::cargo(folders, &["test", "--workspace", "--no-run"])?;
    shell::step("tests");
    let mut tests = shell::of_cargo(folders, &["test", "--workspace"]);
    // What a test says of its failure is enough, and would not be seen among the frames of its runtime.
    tests.env("RUST_BACKTRACE", "0");
    shell::run(tests)?;
    fuzz::short(folders)
}

fn soak(folders: &Folders, episodes: u64, bots: u64, seed: Option<u64>) -> anyhow::Result<()> {
    let mut command = on_nodes(folders, SOAK)?;
    command.env("SCENEHOST_SOAK_EPISODES", episodes.to_string()).env("SCENEHOST_SOAK_BOTS", bots.to_string());
    if let Some(seed) = seed {
        command.env("SCENEHOST_SOAK_SEED", seed.to_string());
    }
    shell::run(command)
}

fn upgrade(folders: &Folders, older: &Path) -> anyhow::Result<()> {
    let older = older.canonicalize().with_context(|| format!("{} is not there", older.display()))?;
    let mut command = on_nodes(folders, UPGRADE)?;
    command.env("SCENEHOST_SOAK_UPGRADE_FROM", older);
    shell::run(command)
}

/// What runs a test with bots on nodes, and shows what it prints.
fn on_nodes(folders: &Folders, test: &str) -> anyhow::Result<std::process::Command> {
    machine::set_up(&[Need::Store, Need::Postgres, Need::Nats])?;
    build_guests(folders, &["arena", "gomoku", "hostile"])?;
    shell::step("building the host and the soak");
    shell::cargo(folders, &["build", "--workspace", "--bin", "scenehost"])?;
    let mut command = shell::of_cargo(folders, &["test", "--workspace", "--test", "it"]);
    command.args(["--", "--nocapture", "--exact", test]);
    Ok(command)
}

fn bench(folders: &Folders, name: &str, options: &[String]) -> anyhow::Result<()> {
    machine::set_up(&[Need::Store, Need::Node])?;
    if name == "cluster" {
        machine::set_up(&[Need::Postgres, Need::Nats])?;
    }
    build_guests(folders, &["bench-room", "arena", "gomoku", "hostile"])?;
    shell::step("building the host and the benchmark, optimised");
    shell::cargo(folders, &["build", "--release", "--workspace", "--bin", "scenehost", "--bin", "scenehost-bench"])?;
    let mut command = std::process::Command::new(folders.target.join("release/scenehost-bench"));
    command.current_dir(&folders.workspace).arg(name);
    command.arg("--scenehost").arg(folders.target.join("release/scenehost"));
    command.arg("--plugins").arg(folders.target.join("plugins"));
    command.arg("--out").arg(folders.target.join("bench")).args(options);
    shell::run(command)
}

/// Builds guests as components and returns their folder.
fn build_guests(folders: &Folders, packages: &[&str]) -> anyhow::Result<std::path::PathBuf> {
    let toolchain = machine::guest_toolchain(folders)?;
    shell::step(&format!("building the components {} with {}", packages.join(", "), toolchain.way));
    let request = scenehost_component::Request {
        workspace_dir: folders.workspace.clone(),
        packages: packages.iter().map(ToString::to_string).collect(),
        target_dir: folders.target.clone(),
        out_dir: folders.target.join("plugins"),
        quick: false,
    };
    scenehost_component::build(&toolchain, &request).context("the components cannot be built")?;
    Ok(request.out_dir)
}
