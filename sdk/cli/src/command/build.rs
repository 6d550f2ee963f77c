//! `scenectl build`: the component, checked by the engine that runs it.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use crate::failure::Done;
use crate::guest;
use crate::project::Project;
use crate::say::{self, Say};

#[derive(clap::Args)]
pub struct Arguments {
    /// A shorter build of a slower component, as `scenectl dev` makes it.
    #[arg(long)]
    quick: bool,
}

#[derive(Serialize)]
struct Report {
    name: String,
    kind: &'static str,
    component: PathBuf,
    size_bytes: usize,
    digest: String,
    built_with: String,
    ms: u128,
}

pub fn run(arguments: &Arguments, project: &Project, say: Say) -> Done {
    let begun = Instant::now();
    let (built, compiled) = guest::build_checked(project, arguments.quick, say)?;
    let report = Report {
        name: project.name().to_owned(),
        kind: compiled.kind().name(),
        size_bytes: built.bytes.len(),
        digest: compiled.digest(),
        component: built.path,
        built_with: built.way,
        ms: begun.elapsed().as_millis(),
    };
    say.report(&report, || {
        let (size, digest) = (say::bytes(report.size_bytes as u64), &report.digest[..12]);
        anstream::println!("{}: a {}, {size}, {digest}", report.component.display(), report.kind);
    });
    Ok(())
}
