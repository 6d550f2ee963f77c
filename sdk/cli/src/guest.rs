//! Building a project's component, and looking at it with the engine that will run it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use scenehost_component::{Request, Toolchain};
use scenehost_engine::rule;
use scenehost_engine::{Engine, Options, Plugin, Rejected};

use crate::failure::{Done, Failure};
use crate::project::{self, Kind, Language, Project};
use crate::say::Say;

/// The scenes that this tool has at once: one that plays and its twin.
const SCENES: u32 = 16;

/// A component that was built.
pub struct Built {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    /// By which tools it was built.
    pub way: String,
}

/// A component that the engine has checked and compiled.
pub enum Compiled {
    Scene(Plugin),
    Rule(rule::Component),
}

impl Compiled {
    pub fn kind(&self) -> Kind {
        match self {
            Compiled::Scene(_) => Kind::Scene,
            Compiled::Rule(_) => Kind::MatchRule,
        }
    }

    pub fn digest(&self) -> String {
        match self {
            Compiled::Scene(plugin) => plugin.digest().to_string(),
            Compiled::Rule(component) => component.digest().to_string(),
        }
    }
}

/// Builds the component in release mode; `quick` gives up some of its speed for a shorter build.
///
/// # Errors
/// When a tool is missing, or the project does not build; the tools' own errors are on the terminal.
pub fn build(project: &Project, quick: bool, say: Say) -> Done<Built> {
    let (path, way) = match project.settings.language {
        Language::Rust => build_rust(project, quick, say)?,
        Language::TypeScript => build_typescript(project, say)?,
    };
    let bytes = std::fs::read(&path).map_err(Failure::file(&path))?;
    Ok(Built { path, bytes, way })
}

fn build_rust(project: &Project, quick: bool, say: Say) -> Done<(PathBuf, String)> {
    let toolchain = Toolchain::find(&project.root, None).map_err(not_built)?;
    let way = toolchain.way.to_string();
    say.step("building", format_args!("{} with {way}", project.name()));
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let request = Request {
        workspace_dir: project.root.clone(),
        packages: vec![project.name().to_owned()],
        target_dir: target.unwrap_or_else(|| project.root.join("target")),
        out_dir: if quick { project.quick_dir() } else { project.out_dir() },
        quick,
    };
    let mut built = scenehost_component::build(&toolchain, &request).map_err(not_built)?;
    let component = built.pop().ok_or_else(|| Failure::failed("the build gave no component"))?;
    Ok((component.path, way))
}

fn not_built(error: scenehost_component::Error) -> Failure {
    use scenehost_component::Error;
    match &error {
        Error::Run { program, .. } => {
            Failure::failed(&error).hint(format_args!("install Rust from https://rustup.rs, which brings `{program}`"))
        }
        _ => Failure::failed(error),
    }
}

/// A TypeScript project refers to the SDK's package, whose builder makes the component.
fn build_typescript(project: &Project, say: Say) -> Done<(PathBuf, String)> {
    if let Some(entry) = project.settings.entry.as_ref().filter(|entry| !project.root.join(entry).is_file()) {
        let text = format!("there is no file {} in {}", entry.display(), project.root.display());
        let hint = format_args!("`entry` in {} names the file that ends with exportScene or exportRule", project::FILE);
        return Err(Failure::usage(text).hint(hint));
    }
    npm_install(&project.root, say)?;
    let builder = typescript_builder(project, say)?;
    let out = project.component();
    std::fs::create_dir_all(project.out_dir()).map_err(Failure::file(&project.out_dir()))?;
    say.step("building", format_args!("{} with componentize-js", project.name()));
    let mut node = Command::new("node");
    node.current_dir(&project.root).arg(&builder).arg("build").args(&project.settings.entry).arg("--out").arg(&out);
    run_tool(node, "node", "the build")?;
    if let Some(page) = &project.settings.page {
        let mut node = Command::new("node");
        node.current_dir(&project.root).arg(&builder).arg("page").arg("--out").arg(page);
        run_tool(node, "node", "the build of the page")?;
    }
    Ok((out, "componentize-js".to_owned()))
}

/// The builder of the SDK's package. It and the client, which pages are built with, are built themselves where they are
/// folders of sources.
fn typescript_builder(project: &Project, say: Say) -> Done<PathBuf> {
    if project.settings.page.is_some() {
        built_package(project, "client", "dist/index.js", say)?;
    }
    built_package(project, "plugin", "dist/cli.js", say)
}

/// A result of a package of ours that the project refers to.
fn built_package(project: &Project, name: &str, result: &str, say: Say) -> Done<PathBuf> {
    let package = project.root.join("node_modules/@scenehost").join(name);
    let package = package.canonicalize().map_err(|_| {
        Failure::failed(format_args!("{} is not installed", package.display()))
            .hint("remove the folder node_modules and build again: that installs what package.json names")
    })?;
    let result = package.join(result);
    // What a package is built with is not installed with the project.
    if !package.join("node_modules").is_dir() || !result.is_file() {
        npm_install(&package, say)?;
        say.step("building", format_args!("@scenehost/{name}"));
        let mut npm = Command::new("npm");
        npm.current_dir(&package).args(["run", "--silent", "build"]);
        run_tool(npm, "npm", "the build of the SDK")?;
    }
    Ok(result)
}

/// Installs a package's dependencies unless they are there.
pub fn npm_install(folder: &Path, say: Say) -> Done {
    if folder.join("node_modules").is_dir() {
        return Ok(());
    }
    say.step("installing", format_args!("npm packages of {}", folder.display()));
    let wanted = if folder.join("package-lock.json").is_file() { "ci" } else { "install" };
    let mut npm = Command::new("npm");
    npm.current_dir(folder).args([wanted, "--no-audit", "--no-fund", "--loglevel=error"]);
    run_tool(npm, "npm", "the installation")
}

/// Runs a tool of Node.js with its output on the terminal, away from this tool's own reports.
pub fn run_tool(mut command: Command, tool: &str, what: &str) -> Done {
    command.stdout(std::io::stderr());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(Failure::failed(format_args!("{what} failed: its errors are above"))),
        Err(error) => Err(Failure::failed(format_args!("`{tool}` cannot be run: {error}"))
            .hint("install Node.js 20.19 or newer, which brings npm: https://nodejs.org")),
    }
}

/// Checks and compiles a component as a host does that is given it.
///
/// # Errors
/// What is wrong with it and what its designer can do.
pub fn compile(bytes: &[u8]) -> Done<Compiled> {
    let options = Options { scenes_max: SCENES, ..Options::default() };
    let engine = Engine::new(options).map_err(Failure::failed)?;
    match engine.compile(bytes) {
        Ok(plugin) => Ok(Compiled::Scene(plugin)),
        Err(Rejected::IsRule) => compile_rule(bytes).map(Compiled::Rule),
        Err(rejected) => Err(Failure::failed(format_args!("a host would refuse this component: {rejected}"))),
    }
}

fn compile_rule(bytes: &[u8]) -> Done<rule::Component> {
    let options = rule::Options { instances_max: 1, ..rule::Options::default() };
    let engine = rule::Engine::new(options).map_err(Failure::failed)?;
    engine.compile(bytes).map_err(|rejected| Failure::failed(format_args!("a host would refuse this rule: {rejected}")))
}

/// Builds and checks.
///
/// # Errors
/// As [`build`] and [`compile`]; and when the component is of another kind than the project says.
pub fn build_checked(project: &Project, quick: bool, say: Say) -> Done<(Built, Compiled)> {
    let begun = Instant::now();
    let built = build(project, quick, say)?;
    let size = crate::say::bytes(built.bytes.len() as u64);
    say.step("built", format_args!("{} ({size}) in {:.1} s", built.path.display(), begun.elapsed().as_secs_f64()));
    if project.settings.language == Language::TypeScript {
        say.step("checking", "as a host does that is given it; the engine in it takes seconds");
    }
    let compiled = compile(&built.bytes)?;
    let (is, said) = (compiled.kind(), project.settings.kind);
    if is != said {
        let text = format!("the component is a {} and {} says {}", is.name(), project::FILE, said.name());
        return Err(Failure::failed(text).hint("change `kind` there, or what the project exports"));
    }
    Ok((built, compiled))
}
