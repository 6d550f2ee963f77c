//! What npm builds: the TypeScript client, the pages, the SDK of games in TypeScript and those games; each only if its
//! inputs have changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use sha2::{Digest, Sha256};

use crate::shell::{self, Folders};

const CLIENT: &str = "sdk/client-ts";
const PAGES: &str = "plugins/pages";
const PLUGIN_SDK: &str = "sdk/plugin-ts";
/// The games in TypeScript, by their folders in `plugins`.
pub const GAMES: [&str; 1] = ["rock-paper-scissors"];

/// Builds the TypeScript client and the demo pages, and returns the folder of the pages.
pub fn build(folders: &Folders) -> anyhow::Result<PathBuf> {
    let out = folders.target.join("pages");
    let schema = digest(&folders.workspace.join("sdk/protocol/proto"))?;
    install(folders, CLIENT)?;
    let client = digest(&folders.workspace.join(CLIENT))? + &schema;
    once(folders, "client-ts", &client, &folders.workspace.join(CLIENT).join("dist"), || {
        shell::step("building the TypeScript client");
        npm(folders, CLIENT, &["run", "build"])
    })?;
    install(folders, PAGES)?;
    let pages = digest(&folders.workspace.join(PAGES))? + &client;
    once(folders, "pages", &pages, &out, || {
        shell::step("building the pages");
        npm(folders, PAGES, &["run", "build"])
    })?;
    Ok(out)
}

/// Builds the games in TypeScript as components, into the folder of all components.
pub fn build_games(folders: &Folders) -> anyhow::Result<()> {
    let sdk = build_plugin_sdk(folders)?;
    for game in GAMES {
        let package = format!("plugins/{game}");
        let folder = folders.workspace.join(&package);
        install(folders, &package)?;
        let component = folders.target.join("plugins").join(game).with_extension("wasm");
        let inputs = digest(&folder.join("src"))? + &sdk;
        once(folders, game, &inputs, &component, || {
            shell::step(&format!("building the component {game}"));
            npm(folders, &package, &["run", "build", "--", "--out", &component.to_string_lossy()])
        })?;
    }
    Ok(())
}

/// Builds the SDK of games in TypeScript, and returns a digest of all that a component gets from it.
fn build_plugin_sdk(folders: &Folders) -> anyhow::Result<String> {
    install(folders, PLUGIN_SDK)?;
    let folder = folders.workspace.join(PLUGIN_SDK);
    let lock = fs::read(folder.join("package-lock.json"))?;
    let inputs = digest(&folder.join("src"))? + &digest(&folders.workspace.join("wit"))? + &hex(&lock);
    once(folders, "plugin-ts", &inputs, &folder.join("dist"), || {
        shell::step("building the SDK of games in TypeScript");
        npm(folders, PLUGIN_SDK, &["run", "build"])
    })?;
    Ok(inputs)
}

/// Formatter, types and unit tests of all that is written in TypeScript.
pub fn check(folders: &Folders) -> anyhow::Result<()> {
    build(folders)?;
    build_games(folders)?;
    let games = GAMES.iter().map(|game| format!("plugins/{game}"));
    for package in [CLIENT, PAGES, PLUGIN_SDK].map(str::to_owned).into_iter().chain(games) {
        shell::step(&format!("checking {package}"));
        npm(folders, &package, &["run", "check"])?;
        npm(folders, &package, &["test"])?;
    }
    Ok(())
}

/// Installs a package's dependencies, exactly those of its lock file.
pub fn install(folders: &Folders, package: &str) -> anyhow::Result<()> {
    let folder = folders.workspace.join(package);
    let lock = fs::read(folder.join("package-lock.json")).with_context(|| format!("{package}/package-lock.json"))?;
    let name = format!("npm-{}", package.replace('/', "-"));
    once(folders, &name, &hex(&lock), &folder.join("node_modules"), || {
        shell::step(&format!("installing the npm packages of {package}"));
        npm(folders, package, &["ci", "--no-audit", "--no-fund", "--loglevel=error"])
    })
}

fn npm(folders: &Folders, package: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("npm");
    command
        .current_dir(folders.workspace.join(package))
        .env("SCENEHOST_PAGES_OUT", folders.target.join("pages"))
        .args(arguments);
    shell::run(command)
}

/// Does the work unless its result is there and was made of the same inputs.
fn once(
    folders: &Folders,
    name: &str,
    inputs: &str,
    result: &Path,
    work: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let stamps = folders.target.join("xtask");
    let stamp = stamps.join(name);
    let inputs = format!("{inputs} {}", result.display());
    if result.exists() && fs::read_to_string(&stamp).is_ok_and(|made_of| made_of == inputs) {
        return Ok(());
    }
    work()?;
    fs::create_dir_all(&stamps)?;
    fs::write(stamp, inputs).context("the stamp of a finished build cannot be written")
}

/// A digest of a folder's sources: names and contents, without what is installed or built.
fn digest(folder: &Path) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    let mut folders = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            match path.is_dir() {
                true if matches!(&*name, "node_modules" | "dist" | "gen" | "build") => {}
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    files.sort();
    for file in files {
        hash.update(file.to_string_lossy().as_bytes());
        hash.update(fs::read(&file)?);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
