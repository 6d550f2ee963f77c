//! `scenectl new`: a small project that builds, has tests and can be played.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::failure::{Done, Failure};
use crate::project::{self, Kind, Language};
use crate::say::Say;
use crate::sdk::Sdk;
use crate::template::{self, Template};

#[derive(clap::Args)]
pub struct Arguments {
    /// The project's name and folder: small letters, digits and `-`.
    name: String,
    /// What to begin with.
    #[arg(long, value_enum)]
    template: Template,
    /// What to write it in.
    #[arg(long, value_enum, default_value = "rust")]
    language: Language,
    /// The folder of Scenehost's sources, or the folder `sdk` in it, to which the project refers; by default those that
    /// this tool was built from.
    #[arg(long, env = "SCENEHOST_SDK", value_name = "FOLDER")]
    sdk: Option<PathBuf>,
    /// Leave the page out, which needs npm to bundle the browser's client once.
    #[arg(long)]
    no_page: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    name: &'a str,
    folder: &'a Path,
    template: String,
    files: Vec<&'a str>,
}

pub fn run(arguments: &Arguments, folder: &Path, say: Say) -> Done {
    let Arguments { name, template, language, .. } = arguments;
    project::check_name(name)?;
    let root = if folder == Path::new(".") { PathBuf::from(name) } else { folder.join(name) };
    if root.exists() {
        let text = format!("{} is there already", root.display());
        return Err(Failure::usage(text).hint("take another name, or remove it"));
    }
    let sdk = Sdk::find(arguments.sdk.as_deref())?;
    let has_page = template.kind() == Kind::Scene && !arguments.no_page;
    // Before anything is written: it may fail where there is no npm. In TypeScript the page is built with the client.
    let needs_client = has_page && *language == Language::Rust;
    let client = if needs_client { Some(sdk.browser_client(say)?) } else { None };

    let mut written = Vec::new();
    for (path, text) in template.files(*language, has_page) {
        let text = template::fill(text, name, sdk.root());
        let text = if path == project::FILE && !has_page { without_page(&text) } else { text };
        write(&root.join(path), text.as_bytes())?;
        written.push(path);
    }
    if let Some(client) = client {
        write(&root.join("page/scenehost-client.js"), &client)?;
        written.push("page/scenehost-client.js");
    }
    // The project begins with the versions that the SDK is tested with.
    if let (Language::Rust, Some(lock)) = (language, sdk.lock()) {
        write(&root.join("Cargo.lock"), &lock)?;
        written.push("Cargo.lock");
    }
    say.step("created", format_args!("{} ({} files)", root.display(), written.len()));
    let template = clap::ValueEnum::to_possible_value(template).map(|value| value.get_name().to_owned());
    let report = Report { name, folder: &root, template: template.unwrap_or_default(), files: written };
    say.report(&report, || {
        let open = if has_page { " --open" } else { "" };
        anstream::println!("\nNow:\n\n    cd {}\n    scenectl dev{open}\n", root.display());
    });
    Ok(())
}

/// The project's file where there is no page that would be built.
fn without_page(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with("page = ")).map(|line| format!("{line}\n")).collect()
}

fn write(path: &Path, bytes: &[u8]) -> Done {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(Failure::file(folder))?;
    std::fs::write(path, bytes).map_err(Failure::file(path))
}
