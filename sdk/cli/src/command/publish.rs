//! `scenectl publish`: uploads the component as a version, and activates it if that is asked for.

use std::path::PathBuf;

use anstream::println;
use serde::Serialize;

use crate::command::inspect::show_imports;
use crate::command::versions;
use crate::failure::{Done, Failure};
use crate::guest;
use crate::host::{Plugin, Upload, Version, Way};
use crate::project::{self, Project};
use crate::say::{self, Say};
use crate::signing::Key;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    way: Way,
    /// What to remember this version by, such as `1.2` or `faster bullets`.
    #[arg(long)]
    label: Option<String>,
    /// New scenes run this version from now on.
    #[arg(long)]
    activate: bool,
    /// Running scenes change to it, too.
    #[arg(long, requires = "activate", conflicts_with = "canary")]
    swap: bool,
    /// So many of a hundred new scenes run this version; the others the active one.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=99))]
    canary: Option<u8>,
    /// Do not ask before it is activated.
    #[arg(long, short)]
    yes: bool,
    /// Sign with this publisher's key, which `scenectl keygen` made.
    #[arg(long, value_name = "FILE", requires = "publisher")]
    sign: Option<PathBuf>,
    /// The name by which the host knows the key.
    #[arg(long, value_name = "NAME", requires = "sign")]
    publisher: Option<String>,
    /// Upload this component instead of building one.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The plugin's name; by default the project's.
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
}

#[derive(Serialize)]
struct Report<'a> {
    plugin: &'a str,
    version: &'a Version,
    activated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<&'a Plugin>,
}

pub async fn run(arguments: &Arguments, project: Done<Project>, say: Say) -> Done {
    let name = versions::name(arguments.plugin.as_deref(), &project)?;
    project::check_name(&name)?;
    let host = arguments.way.host(project.as_ref().ok())?;
    let bytes = match &arguments.file {
        Some(path) => {
            let bytes =
                std::fs::read(path).map_err(|error| Failure::usage(format_args!("{}: {error}", path.display())))?;
            guest::compile(&bytes)?;
            bytes
        }
        None => guest::build_checked(&project?, false, say)?.0.bytes,
    };
    let signature = match &arguments.sign {
        Some(path) => Some(Key::read(path)?.sign(&bytes)),
        None => None,
    };
    say.step("uploading", format_args!("{name}, {}", say::bytes(bytes.len() as u64)));
    let signed = arguments.publisher.as_deref().zip(signature.as_deref());
    let upload = Upload { label: arguments.label.as_deref(), signed };
    let version = host.upload(&name, bytes, upload).await?;
    say.step("uploaded", format_args!("{name} version {} ({})", version.version, short(&version.digest)));

    let percent = arguments.canary.unwrap_or(100);
    let wanted = arguments.activate || arguments.canary.is_some();
    let mut now = None;
    if wanted && confirmed(arguments, &name, &version, percent, say)? {
        let plugin = host.activate(&name, version.version, percent, arguments.swap).await?;
        let what = match arguments.canary {
            Some(percent) => format!("{percent} % of new scenes run version {}", version.version),
            None => format!("new scenes run version {}", version.version),
        };
        say.step("activated", what);
        now = Some(plugin);
    }
    let report = Report { plugin: &name, version: &version, activated: now.is_some(), now: now.as_ref() };
    say.report(&report, || {
        if !wanted {
            println!("To let new scenes run it: scenectl activate {}", version.version);
        }
    });
    Ok(())
}

/// What the component can do is shown before it may do it. Where nobody can answer, the flag was the answer.
fn confirmed(arguments: &Arguments, name: &str, version: &Version, percent: u8, say: Say) -> Done<bool> {
    if !say.json {
        show_imports(&version.imports);
    }
    if arguments.yes {
        return Ok(true);
    }
    let running = if arguments.swap { " and running" } else { "" };
    let part = if percent < 100 { format!("{percent} % of the new") } else { format!("new{running}") };
    let question = format!("Let {part} scenes of {name} run version {}?", version.version);
    match say.confirm(&question) {
        Some(true) | None => Ok(true),
        Some(false) => {
            say.warn("it is uploaded and not activated");
            Ok(false)
        }
    }
}

/// The beginning of a digest, which tells versions apart.
pub fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
