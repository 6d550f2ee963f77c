//! `scenectl`: the game designers' tool. From nothing to a game that is played in the browser, and on to a host.
//!
//! Map: `command/` has a file for each command; `project` knows what a project is, `guest` builds and checks its
//! component, `script` plays it, `host` speaks with a host's operators' listener; `say` prints, `failure` has the exit
//! codes. Nothing here knows of the server's crate: a host is another process.

mod command;
mod failure;
mod guest;
mod host;
mod project;
mod say;
mod script;
mod sdk;
mod signing;
mod template;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::{Done, Failure};
use project::Project;
use say::Say;

const EXAMPLES: &str = "\
Examples:
  scenectl new chess --template turn-based    a project that can be played at once
  scenectl dev --open                         plays it, and changes it while it is played
  scenectl test                               plays its scripts in the real engine
  scenectl publish --activate                 uploads it to a host

Exit codes:
  0  done
  1  the thing asked for failed: a build, a test, a check
  2  it was asked for in a wrong way, or the project is not right
  3  the host cannot be reached, or refuses";

/// Makes games for Scenehost: new, build, test, dev, publish.
#[derive(Parser)]
#[command(name = "scenectl", version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print the result as one JSON value; everything else goes to standard error.
    #[arg(long, global = true)]
    json: bool,
    /// The project's folder, or one in it.
    #[arg(short = 'C', long = "project", global = true, value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Begin a project: a small game that builds, has tests and a page.
    #[command(after_help = "Example: scenectl new chess --template turn-based")]
    New(command::new::Arguments),
    /// Build the component, and check it as a host would.
    Build(command::build::Arguments),
    /// Show what a component is, can do and needs.
    #[command(after_help = "Example: scenectl inspect target/scenehost/chess.wasm")]
    Inspect(command::inspect::Arguments),
    /// Play the project's scripts in the real engine, and compare with what was recorded.
    #[command(after_help = "Examples:
  scenectl test                        all of scripts/*.toml
  scenectl test scripts/draw.toml
  scenectl test --record               what the game does now is right from now on")]
    Test(command::test::Arguments),
    /// Run the project on a host of your own: on each save it changes, also in games that are running.
    #[command(after_help = "Examples:
  scenectl dev --open                  and open the page
  scenectl dev --listen 0.0.0.0:7350   for other devices")]
    Dev(command::dev::Arguments),
    /// Let players without people play, and show how fast the host answers.
    #[command(after_help = "Examples:
  scenectl bots                        four, on the host of this project's `scenectl dev`
  scenectl bots --host wss://example.org --domain chess -n 200 --seconds 60")]
    Bots(command::bots::Arguments),
    /// Upload the component to a host as a version of its plugin.
    #[command(after_help = "Examples:
  scenectl publish --label 1.2                          upload; nothing changes for players
  scenectl publish --activate                           new scenes run it
  scenectl publish --activate --swap                    running scenes change to it, too
  scenectl publish --canary 5                           one new scene in twenty runs it")]
    Publish(command::publish::Arguments),
    /// Show the versions of a plugin.
    #[command(after_help = "Example: scenectl versions --host http://127.0.0.1:7351")]
    Versions(command::versions::Arguments),
    /// Let new scenes run a version.
    #[command(after_help = "Example: scenectl activate 3 --canary 10")]
    Activate(command::activate::Arguments),
    /// Let the version before be the active one again.
    #[command(after_help = "Example: scenectl rollback --swap")]
    Rollback(command::rollback::Arguments),
    /// Let a version be used again that the host has put into quarantine, because its scenes kept failing.
    #[command(after_help = "Example: scenectl release 3")]
    Release(command::release::Arguments),
    /// Show what the scenes of a plugin use: time, memory, messages; or one scene.
    #[command(after_help = "Examples:
  scenectl usage                             by fleet and version
  scenectl usage 3f9a04c1d2e8b765            one scene that runs now")]
    Usage(command::usage::Arguments),
    /// Show what scenes have logged, and how they failed.
    #[command(after_help = "Example: scenectl logs --follow --level warn")]
    Logs(command::logs::Arguments),
    /// Play a recorded match again, and say whether all comes out as it did.
    #[command(after_help = "Examples:
  scenectl replay match.journal              is it the same, bit for bit?
  scenectl replay 3f9a04c1d2e8b765           the same of a scene of the host
  scenectl replay match.journal --print      what went in and what came out
  scenectl replay match.journal --step       the same step by step
  scenectl replay match.journal --export json > match.jsonl")]
    Replay(command::replay::Arguments),
    /// Play a recorded match on another version of the game, and show the first thing that comes out otherwise.
    #[command(after_help = "Example: scenectl verify match.journal --component target/scenehost/chess.wasm")]
    Verify(command::verify::Arguments),
    /// Make a publisher's key, to sign what is published.
    #[command(after_help = "Example: scenectl keygen publisher.key")]
    Keygen(command::keygen::Arguments),
    /// Print what a shell needs to complete scenectl's words.
    #[command(after_help = "Example: scenectl completions bash > ~/.local/share/bash-completion/completions/scenectl")]
    Completions(command::completions::Arguments),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let say = Say { json: cli.json };
    match run(&cli, say) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.told {
                say.failure(&failure);
            }
            ExitCode::from(failure.kind.code())
        }
    }
}

fn run(cli: &Cli, say: Say) -> Done {
    let project = || Project::find(&cli.folder);
    match &cli.command {
        Command::New(arguments) => command::new::run(arguments, &cli.folder, say),
        Command::Build(arguments) => command::build::run(arguments, &project()?, say),
        Command::Inspect(arguments) => command::inspect::run(arguments, say),
        Command::Test(arguments) => command::test::run(arguments, &project()?, say),
        Command::Dev(arguments) => block_on(command::dev::run(arguments, &project()?, say)),
        Command::Bots(arguments) => block_on(command::bots::run(arguments, project(), say)),
        Command::Publish(arguments) => block_on(command::publish::run(arguments, project(), say)),
        Command::Versions(arguments) => block_on(command::versions::run(arguments, project(), say)),
        Command::Activate(arguments) => block_on(command::activate::run(arguments, project(), say)),
        Command::Rollback(arguments) => block_on(command::rollback::run(arguments, project(), say)),
        Command::Release(arguments) => block_on(command::release::run(arguments, project(), say)),
        Command::Usage(arguments) => block_on(command::usage::run(arguments, project(), say)),
        Command::Logs(arguments) => block_on(command::logs::run(arguments, project(), say)),
        Command::Replay(arguments) => block_on(command::replay::run(arguments, project(), say)),
        Command::Verify(arguments) => command::verify::run(arguments, project(), say),
        Command::Keygen(arguments) => command::keygen::run(arguments, say),
        Command::Completions(arguments) => command::completions::run(arguments),
    }
}

/// Runs a command that speaks with a host.
fn block_on(command: impl Future<Output = Done>) -> Done {
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::failed)?;
    runtime.block_on(command)
}
