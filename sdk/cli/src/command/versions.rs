//! `scenectl versions`: what versions of a plugin a host has.

use anstream::println;

use crate::command::publish::short;
use crate::failure::{Done, Failure};
use crate::host::{Plugin, Way};
use crate::project::Project;
use crate::say::{self, Say};

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    way: Way,
    /// The plugin's name; by default the project's.
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
}

pub async fn run(arguments: &Arguments, project: Done<Project>, say: Say) -> Done {
    let name = name(arguments.plugin.as_deref(), &project)?;
    let host = arguments.way.host(project.as_ref().ok())?;
    let plugin = host.plugin(&name).await?;
    say.report(&plugin, || show(&plugin));
    Ok(())
}

/// The plugin that is meant: the one that was named, else the project's.
///
/// # Errors
/// When there is no project either.
pub fn name(named: Option<&str>, project: &Done<Project>) -> Done<String> {
    match (named, project) {
        (Some(name), _) => Ok(name.to_owned()),
        (None, Ok(project)) => Ok(project.name().to_owned()),
        (None, Err(failure)) => {
            Err(Failure::usage(&failure.text).hint("name the plugin with --plugin, or the project's folder with -C"))
        }
    }
}

/// The versions, the newest first.
pub fn show(plugin: &Plugin) {
    let header = ["version", "", "label", "digest", "size", "scenes", "uploaded", "by"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for version in plugin.versions.iter().rev() {
        let canary = plugin.canary.as_ref().filter(|canary| canary.version == version.version);
        let is_active = plugin.active == Some(version.version);
        let state = match (&version.quarantine, canary) {
            (Some(_), _) if is_active => "active, in quarantine".to_owned(),
            (Some(_), _) => "in quarantine".to_owned(),
            (None, Some(canary)) => format!("canary {} %", canary.percent),
            (None, None) if is_active => "active".to_owned(),
            (None, None) => String::new(),
        };
        let by = version.publisher.as_ref().or(version.by.as_ref());
        rows.push(vec![
            version.version.to_string(),
            state,
            version.label.clone().unwrap_or_default(),
            short(&version.digest).to_owned(),
            say::bytes(version.size_bytes),
            version.scenes.to_string(),
            say::utc(version.uploaded_ms),
            by.cloned().unwrap_or_default(),
        ]);
    }
    say::table(&rows);
    for version in &plugin.versions {
        if let Some(quarantine) = &version.quarantine {
            let (number, since) = (version.version, say::utc(quarantine.since_ms));
            println!("version {number} is in quarantine since {since}: {}", quarantine.reason);
        }
    }
    if !plugin.fleets.is_empty() {
        println!("fleets: {}", plugin.fleets.join(", "));
    }
}
