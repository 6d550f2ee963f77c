//! `scenectl completions`: what a shell needs to complete the tool's words.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::failure::Done;

#[derive(clap::Args)]
pub struct Arguments {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(arguments: &Arguments) -> Done {
    clap_complete::generate(arguments.shell, &mut crate::Cli::command(), "scenectl", &mut std::io::stdout());
    Ok(())
}
