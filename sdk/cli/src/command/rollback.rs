//! `scenectl rollback`: the version before is active again.

use crate::command::versions;
use crate::failure::Done;
use crate::host::Way;
use crate::project::Project;
use crate::say::Say;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    way: Way,
    /// Running scenes change back, too.
    #[arg(long)]
    swap: bool,
    /// The plugin's name; by default the project's.
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
}

pub async fn run(arguments: &Arguments, project: Done<Project>, say: Say) -> Done {
    let name = versions::name(arguments.plugin.as_deref(), &project)?;
    let host = arguments.way.host(project.as_ref().ok())?;
    let plugin = host.rollback(&name, arguments.swap).await?;
    say.report(&plugin, || versions::show(&plugin));
    Ok(())
}
