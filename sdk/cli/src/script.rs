//! Scripts: what players do, and what a component makes of it. `scenectl test` plays a script in the real engine and
//! writes down what came out, a list of lines for each step, which is compared with what was written down before.
//!
//! Invariant: what is written down is a function of the script and the component, so it is the same on every machine.

pub mod body;
pub mod diff;
pub mod play;
pub mod rule;
pub mod scene;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::{Done, Failure};

/// What a component made of a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// One for each step of the script, and what came before the first.
    pub steps: Vec<Recorded>,
}

/// What one step of a script gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// The step, as the script has it.
    pub step: String,
    /// What came out, a line each.
    pub gave: Vec<String>,
}

/// The scripts of a project, by name; or those that were named.
///
/// # Errors
/// When there are none, or a named one is not there.
pub fn find(folder: &Path, named: &[PathBuf]) -> Done<Vec<PathBuf>> {
    if let Some(missing) = named.iter().find(|path| !path.is_file()) {
        let text = format!("there is no script {}", missing.display());
        return Err(Failure::usage(text).hint(format_args!("those of the project are in {}", folder.display())));
    }
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut scripts: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    scripts.sort();
    if scripts.is_empty() {
        let text = format!("there are no scripts in {}", folder.display());
        return Err(Failure::usage(text).hint("write one: the README of scenectl shows how"));
    }
    Ok(scripts)
}

/// Reads a script.
///
/// # Errors
/// What is not right in it.
pub fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Done<T> {
    let text =
        std::fs::read_to_string(path).map_err(|error| Failure::usage(format_args!("{}: {error}", path.display())))?;
    toml::from_str(&text).map_err(|error| {
        Failure::usage(format_args!("{} is not right:\n{}", path.display(), error.to_string().trim_end()))
    })
}

impl Recording {
    /// Where the recording of a script lies.
    pub fn path(script: &Path) -> PathBuf {
        script.with_extension("recorded.json")
    }

    /// What was recorded for a script; `None` if nothing was.
    ///
    /// # Errors
    /// When the file is not right.
    pub fn read(script: &Path) -> Done<Option<Recording>> {
        let path = Recording::path(script);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::file(&path)(error)),
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            Failure::failed(format_args!("{} is no recording: {error}", path.display()))
                .hint("make it anew with `scenectl test --record`")
        })
    }

    /// Writes it down.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, script: &Path) -> Done {
        let path = Recording::path(script);
        let text = serde_json::to_string_pretty(self).expect("it can be written as JSON") + "\n";
        std::fs::write(&path, text).map_err(Failure::file(&path))
    }
}

/// Steps, each with its text for people.
///
/// # Errors
/// Which of them is not one, and what there is.
fn parse_steps<T: for<'de> Deserialize<'de>>(steps: &[serde_json::Value]) -> Done<Vec<(String, T)>> {
    let parse = |(place, step): (usize, &serde_json::Value)| {
        let text = step.to_string();
        match T::deserialize(step) {
            Ok(step) => Ok((text, step)),
            Err(error) => Err(Failure::usage(format_args!("step {} is not right, {text}: {error}", place + 1))),
        }
    };
    steps.iter().enumerate().map(parse).collect()
}
