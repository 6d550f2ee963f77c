//! `scenectl logs`: what scenes write for their designer, and how they fail.

use std::io::IsTerminal as _;

use anstream::println;
use serde::{Deserialize, Serialize};

use crate::failure::{Done, Failure};
use crate::host::Way;
use crate::project::Project;
use crate::say::{self, BAD, FAINT, NAME, Say, WARN};

/// The longest line of a log that is read; the host's are shorter.
const LINE_BYTES_MAX: usize = 1 << 20;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    way: Way,
    /// Go on with what comes.
    #[arg(long, short)]
    follow: bool,
    /// Only of this scene.
    #[arg(long, value_name = "ID")]
    scene: Option<String>,
    /// Only of this fleet.
    #[arg(long, value_name = "NAME")]
    fleet: Option<String>,
    /// Only of the version whose digest begins so, as `scenectl versions` shows it.
    #[arg(long, value_name = "DIGEST")]
    version: Option<String>,
    /// Only of this level and worse ones.
    #[arg(long, value_enum)]
    level: Option<Level>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

/// A line, as the host has it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line {
    pub at_ms: u64,
    pub scene: String,
    #[serde(default)]
    pub tick: Option<u64>,
    pub level: String,
    pub text: String,
}

pub async fn run(arguments: &Arguments, project: Done<Project>, say: Say) -> Done {
    let host = arguments.way.host(project.as_ref().ok())?;
    let mut query = Vec::new();
    let named = [("scene", &arguments.scene), ("fleet", &arguments.fleet), ("version", &arguments.version)];
    query.extend(named.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
    query.extend(arguments.level.map(|level| ("level", level.name().to_owned())));
    if arguments.follow {
        query.push(("follow", "true".to_owned()));
    }
    let mut answer = host.logs(&query, arguments.follow).await?;
    let broken = |error: reqwest::Error| Failure::host(format_args!("the host's answer broke off: {error}"));
    let mut lines = Lines::default();
    while let Some(chunk) = answer.chunk().await.map_err(broken)? {
        for line in lines.take(&chunk)? {
            show(&line, say);
        }
    }
    if !arguments.follow && !lines.any && std::io::stderr().is_terminal() {
        say.warn("nothing was logged; --follow waits for what comes");
    }
    Ok(())
}

fn show(line: &str, say: Say) {
    if say.json {
        println!("{line}");
        return;
    }
    match serde_json::from_str::<Line>(line) {
        Ok(line) => println!("{}", in_colour(&line)),
        // What a newer host says besides.
        Err(_) => println!("{FAINT}{line}{FAINT:#}"),
    }
}

/// A line for people.
pub fn in_colour(line: &Line) -> String {
    let time = say::utc(line.at_ms);
    let time = time.split(' ').next_back().unwrap_or_default();
    let tick = line.tick.map_or(String::new(), |tick| format!(" #{tick}"));
    let style = match line.level.as_str() {
        "error" => BAD,
        "warn" => WARN,
        "debug" => FAINT,
        _ => anstyle::Style::new(),
    };
    let Line { scene, level, text, .. } = line;
    format!("{FAINT}{time}{FAINT:#} {NAME}{scene}{tick}{NAME:#} {style}{level:>5} {text}{style:#}")
}

/// Puts the lines of a stream together.
#[derive(Default)]
pub struct Lines {
    rest: Vec<u8>,
    any: bool,
}

impl Lines {
    /// The lines that are whole with this.
    ///
    /// # Errors
    /// When one is longer than any host's.
    pub fn take(&mut self, chunk: &[u8]) -> Done<Vec<String>> {
        self.rest.extend_from_slice(chunk);
        let mut lines = Vec::new();
        while let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(line.trim_ascii()).into_owned();
            // An empty one only keeps the connection.
            if !line.is_empty() {
                lines.push(line);
            }
        }
        self.any |= !lines.is_empty();
        match self.rest.len() > LINE_BYTES_MAX {
            true => Err(Failure::host("the host sends a line without an end")),
            false => Ok(lines),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(b"{\"a\":1}\n{\"b\"").unwrap(), [r#"{"a":1}"#]);
        assert_eq!(lines.take(b":2}\n\n").unwrap(), [r#"{"b":2}"#]);
        assert!(lines.take(&vec![b'x'; LINE_BYTES_MAX + 1]).is_err());
    }
}
