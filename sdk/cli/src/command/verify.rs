//! `scenectl verify`: a match that was recorded, played on another version of the game.

use std::path::PathBuf;

use scenehost_engine::journal::{self, Nobody};

use crate::command::replay;
use crate::failure::{Done, Failure};
use crate::guest::{self, Compiled};
use crate::project::Project;
use crate::say::Say;

#[derive(clap::Args)]
pub struct Arguments {
    /// The journal, as a host wrote it.
    file: PathBuf,
    /// The other version; by default what this project has built last.
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
}

pub fn run(arguments: &Arguments, project: Done<Project>, say: Say) -> Done {
    let journal = replay::read(&arguments.file)?;
    let component = match (&arguments.component, project) {
        (Some(path), _) => path.clone(),
        (None, Ok(project)) => project.component(),
        (None, Err(failure)) => return Err(failure.hint("name the other version by --component")),
    };
    let bytes =
        std::fs::read(&component).map_err(|error| Failure::usage(format_args!("{}: {error}", component.display())))?;
    let Compiled::Scene(plugin) = guest::compile(&bytes)? else {
        return Err(Failure::usage("a match is played by a game, and this component is a rule of matching"));
    };
    match journal::verify(&journal, &plugin, &mut Nobody) {
        Ok(report) => {
            say.report(&replay::value(&report, None), || {
                replay::show(&report, "this version gives the same, all through the match");
            });
            Ok(())
        }
        Err(error) => {
            Err(replay::differs(error, "`>` is what this version gives; `scenectl replay --print` shows the match"))
        }
    }
}
