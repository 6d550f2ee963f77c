//! `scenectl release`: a version may be used again that the host has put into quarantine.

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
    /// The plugin's name; by default the project's.
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
}

pub async fn run(arguments: &Arguments, project: Done<Project>, say: Say) -> Done {
    let name = versions::name(arguments.plugin.as_deref(), &project)?;
    let host = arguments.way.host(project.as_ref().ok())?;
    let plugin = host.release(&name, arguments.version).await?;
    say.report(&plugin, || versions::show(&plugin));
    Ok(())
}
