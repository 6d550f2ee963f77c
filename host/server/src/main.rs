//! `scenehost`: the binary. What it runs is the library beside it.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing_subscriber::EnvFilter;

use scenehost_server::config::{Config, Role};
use scenehost_server::{host, journals, match_command, store};

/// How long threads that do blocking work have to end with the host.
const LAST_THREADS: Duration = Duration::from_secs(2);
/// How long the end of the process may take altogether when the host has stopped.
const LAST_EXIT: Duration = Duration::from_secs(10);

#[derive(Parser)]
#[command(name = "scenehost", version, about = "The host of session-based multiplayer games")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the host until it is told to stop (ctrl-c or SIGTERM; twice to end running games now).
    Serve(Serve),
    /// Backs the store up, restores it, checks it.
    Store {
        #[command(subcommand)]
        command: store::command::StoreCommand,
    },
    /// Replays recorded searches for matches with another configuration.
    Match {
        #[command(subcommand)]
        command: match_command::MatchCommand,
    },
    /// Runs the game of a scene again from its journal, and says whether everything comes out as it did.
    Replay(journals::Replay),
    /// Checks a configuration and says what is wrong with it.
    Check {
        /// The configuration, a TOML file.
        config: PathBuf,
    },
}

#[derive(clap::Args)]
struct Serve {
    /// The configuration, a TOML file.
    #[arg(long, env = "SCENEHOST_CONFIG")]
    config: PathBuf,
    /// Where clients connect, instead of server.listen; port 0 chooses a free one.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Where operators connect, instead of ops.listen.
    #[arg(long)]
    ops_listen: Option<SocketAddr>,
    /// The secret for operators' calls that change something, instead of ops.token.
    #[arg(long, env = "SCENEHOST_OPS_TOKEN", hide_env_values = true)]
    ops_token: Option<String>,
    /// Where the store lives, instead of server.data_dir.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Where the fleets' components lie, instead of server.plugins_dir.
    #[arg(long)]
    plugins_dir: Option<PathBuf>,
    /// Pages that are served at /, instead of server.pages_dir.
    #[arg(long)]
    pages_dir: Option<PathBuf>,
    /// How many threads run scenes, instead of server.scene_threads; 0: one for each core.
    #[arg(long)]
    scene_threads: Option<usize>,
    #[command(flatten)]
    node: Node,
    /// How the log is written to standard error; RUST_LOG chooses what.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

/// What differs between the nodes of a cluster, so that one configuration does for all of them.
#[derive(clap::Args)]
struct Node {
    /// What this node of a cluster does, with commas between, instead of cluster.roles.
    #[arg(long, env = "SCENEHOST_ROLES", value_enum, value_delimiter = ',')]
    roles: Vec<Role>,
    /// This node's number, instead of cluster.node.
    #[arg(long, env = "SCENEHOST_NODE")]
    node: Option<u16>,
    /// Where the connections to the scenes of this node go, such as wss://node1.example.org, instead of cluster.url.
    #[arg(long, env = "SCENEHOST_NODE_URL")]
    node_url: Option<String>,
}

impl Node {
    /// Puts it into the configuration, which has to be a node's.
    fn set(self, config: &mut Config) -> anyhow::Result<()> {
        if self.roles.is_empty() && self.node.is_none() && self.node_url.is_none() {
            return Ok(());
        }
        let what = "--roles, --node and --node-url (SCENEHOST_ROLES, SCENEHOST_NODE, SCENEHOST_NODE_URL) are for a node \
                    of a cluster, and the configuration has no [cluster]: add one, or leave them out";
        let cluster = config.cluster.as_mut().context(what)?;
        if !self.roles.is_empty() {
            cluster.roles = self.roles.into_iter().collect();
        }
        cluster.node = self.node.or(cluster.node);
        cluster.url = self.node_url.or(cluster.url.take());
        Ok(())
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Serve(serve) => run(serve),
        Command::Store { command } => store::command::run(command),
        Command::Match { command } => match_command::run(command),
        Command::Replay(replay) => journals::run(&replay),
        Command::Check { config } => check(&config),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scenehost: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn check(path: &std::path::Path) -> anyhow::Result<()> {
    let config = Config::read(path)?;
    config.check()?;
    println!("{} is right: {} fleets, {} domains", path.display(), config.fleets.len(), config.domains.len());
    Ok(())
}

fn run(serve: Serve) -> anyhow::Result<()> {
    start_log(serve.log_format);
    let mut config = Config::read(&serve.config)?;
    config.server.listen = serve.listen.unwrap_or(config.server.listen);
    config.ops.listen = serve.ops_listen.unwrap_or(config.ops.listen);
    config.ops.token = serve.ops_token.or(config.ops.token);
    config.server.data_dir = serve.data_dir.unwrap_or(config.server.data_dir);
    config.server.plugins_dir = serve.plugins_dir.unwrap_or(config.server.plugins_dir);
    config.server.pages_dir = serve.pages_dir.or(config.server.pages_dir);
    config.server.scene_threads = serve.scene_threads.unwrap_or(config.server.scene_threads);
    serve.node.set(&mut config)?;
    config.check()?;

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        let stop = stop_signals()?;
        host::run(config, serve.config, stop, |_| {}).await
    });
    end_in_any_case();
    // Not for ever: a thread may still be copying a backup, or wait for a disk.
    runtime.shutdown_timeout(LAST_THREADS);
    done
}

/// Whatever closes a database waits for its disk, and so does every orderly end of the process; a disk that
/// hangs must not keep it from being started anew.
fn end_in_any_case() {
    std::thread::spawn(|| {
        std::thread::sleep(LAST_EXIT);
        eprintln!("scenehost: the store cannot be closed, so this process kills itself");
        let _ = kill_process(getpid(), Signal::KILL); // Nobody is left who could be told.
    });
}

fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

/// One message for each signal to stop.
fn stop_signals() -> anyhow::Result<mpsc::Receiver<()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (sender, stop) = mpsc::channel(2);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if sender.send(()).await.is_err() {
                return;
            }
        }
    });
    Ok(stop)
}
