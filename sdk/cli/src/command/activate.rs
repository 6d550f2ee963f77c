//! `scenectl activate`: which version new scenes run.

use crate::command::versions;
use crate::failure::Done;
use crate::host::Way;
use crate::project::Project;
use crate::say::Say;

#[derive(clap::Args)]
pub struct Arguments {
    /// The version's number, as `scenectl versions` shows it.
    version: u64,
    #[command(flatten)]
    way: Way,
    /// Running scenes change to it, too.
    #[arg(long, conflicts_with = "canary")]
    swap: bool,
    /// So many of a hundred new scenes run this version; the others the active one.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=99))]
    canary: Option<u8>,
    /// The plugin's name; by default the project's.
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
}

pub async fn run(arguments: &Arguments, project: Done<Project>, say: Say) -> Done {
    let name = versions::name(arguments.plugin.as_deref(), &project)?;
    let host = arguments.way.host(project.as_ref().ok())?;
    let percent = arguments.canary.unwrap_or(100);
    let plugin = host.activate(&name, arguments.version, percent, arguments.swap).await?;
    say.report(&plugin, || versions::show(&plugin));
    Ok(())
}
