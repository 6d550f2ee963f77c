//! The cargo run that compiles guests to core modules: its profile, its flags, and which file came
//! out of which package.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::toolchain::TARGET;
use crate::{Error, Request, Toolchain, Way};

/// The profile is given on the command line, so that a guest's workspace needs none. Function names
/// stay in, for a trap's backtrace; they cost a scene no memory.
const PROFILE: [&str; 7] = [
    "profile.guest.inherits='release'",
    "profile.guest.opt-level=3",
    "profile.guest.lto='fat'",
    "profile.guest.codegen-units=1",
    "profile.guest.panic='abort'",
    "profile.guest.debug=false",
    "profile.guest.strip='debuginfo'",
];

/// The same for a short build. It has a folder of its own, so that changing between the two costs nothing.
const QUICK_PROFILE: [&str; 8] = [
    "profile.guest-quick.inherits='release'",
    "profile.guest-quick.opt-level=1",
    "profile.guest-quick.lto='off'",
    "profile.guest-quick.codegen-units=16",
    "profile.guest-quick.incremental=true",
    "profile.guest-quick.panic='abort'",
    "profile.guest-quick.debug=false",
    "profile.guest-quick.strip='debuginfo'",
];

/// Five times what the deepest JSON that serde_json reads (128 levels) takes in our games. Only pages
/// that were touched are resident. Its top is 3 KiB into a page on purpose: shallow steps then share
/// that page with the data that follows, which makes an idle scene 8 kB smaller.
const STACK_BYTES: u32 = 128 * 1024 + 3 * 1024;

/// Runs cargo once for all packages; returns a module for each, in their order.
pub(crate) fn build_modules(toolchain: &Toolchain, request: &Request) -> Result<Vec<PathBuf>, Error> {
    let mut command = command(toolchain, request);
    let run_error = |source| Error::Run { program: "cargo".to_owned(), source };
    let mut cargo = command.stdout(Stdio::piped()).spawn().map_err(run_error)?;
    let stdout = cargo.stdout.take().expect("stdout is piped");
    let mut modules = vec![None; request.packages.len()];
    for line in BufReader::new(stdout).lines() {
        let line = line.map_err(run_error)?;
        let Some((package, module)) = module_in(&line) else {
            continue;
        };
        let asked_for = request.packages.iter().position(|name| *name == package);
        if let Some(index) = asked_for {
            modules[index] = Some(module);
        }
    }
    if !cargo.wait().map_err(run_error)?.success() {
        return Err(Error::Cargo);
    }
    let or_missing = |(module, package): (Option<PathBuf>, &String)| {
        module.ok_or_else(|| Error::NoModule { package: package.clone() })
    };
    modules.into_iter().zip(&request.packages).map(or_missing).collect()
}

fn command(toolchain: &Toolchain, request: &Request) -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(&request.workspace_dir)
        .args(["build", "--lib", "--target", TARGET])
        .arg("--message-format=json-render-diagnostics")
        .arg("--target-dir")
        .arg(&request.target_dir);
    let (profile, settings): (_, &[&str]) =
        if request.quick { ("guest-quick", &QUICK_PROFILE) } else { ("guest", &PROFILE) };
    command.args(["--profile", profile]);
    for setting in settings {
        command.args(["--config", setting]);
    }
    for package in &request.packages {
        command.args(["--package", package]);
    }
    // Flags of the surroundings are for the host's code; these take precedence over all of them.
    command.env("CARGO_ENCODED_RUSTFLAGS", flags(request).join("\u{1f}"));
    if toolchain.way == Way::Debian {
        command.arg("-Zbuild-std=std,panic_abort");
        command.env("RUSTC_BOOTSTRAP", "1");
    }
    if let Some(rustc) = &toolchain.rustc {
        command.env("RUSTC", rustc);
    }
    if let Some(linker) = &toolchain.linker {
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
    }
    command
}

/// The stack lies below everything else, so that running over it traps instead of overwriting data.
/// Paths of this machine stay out of the component, so that every machine builds the same bytes.
fn flags(request: &Request) -> Vec<String> {
    let mut flags = vec!["-Clink-arg=--stack-first".to_owned(), format!("-Clink-arg=-zstack-size={STACK_BYTES}")];
    let mut remap = |from: &Path, to: &str| {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    };
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    if let Some(home) = cargo_home.or_else(|| Some(env::home_dir()?.join(".cargo"))) {
        remap(&home, "cargo");
    }
    remap(&request.workspace_dir, ".");
    flags
}

/// The part of cargo's messages that tells of files.
#[derive(Deserialize)]
struct Message<'a> {
    reason: &'a str,
    #[serde(default)]
    package_id: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The package and the module that a line of cargo's output tells of.
fn module_in(line: &str) -> Option<(String, PathBuf)> {
    let message: Message = serde_json::from_str(line).ok()?;
    if message.reason != "compiler-artifact" {
        return None;
    }
    let is_module = |file: &PathBuf| file.extension().is_some_and(|end| end == "wasm");
    let module = message.filenames.into_iter().find(is_module)?;
    Some((package_name(&message.package_id)?.to_owned(), module))
}

/// The name in cargo's package id: `path+file:///games/chess#0.1.0`, or where the folder is called
/// otherwise, `path+file:///games/old#chess@0.1.0`.
fn package_name(id: &str) -> Option<&str> {
    let (source, fragment) = id.rsplit_once('#')?;
    match fragment.split_once('@') {
        Some((name, _version)) => Some(name),
        None => source.rsplit('/').next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_found_in_cargos_messages() {
        let check = |id: &str, expected: &str| {
            let line = format!(
                r#"{{"reason":"compiler-artifact","package_id":"{id}",
                    "filenames":["t/libx.rlib","t/x.wasm"],"fresh":true}}"#
            );
            let found = module_in(&line);
            assert_eq!(found, Some((expected.to_owned(), PathBuf::from("t/x.wasm"))));
        };
        check("path+file:///games/bench-room#0.1.0", "bench-room");
        check("path+file:///games/old#chess@0.1.0", "chess");
    }

    #[test]
    fn other_lines_are_passed_over() {
        for line in [
            "a build script's line",
            r#"{"reason":"build-finished","success":true}"#,
            r#"{"reason":"compiler-artifact","package_id":"r#serde@1.0.0","filenames":["s.rlib"]}"#,
        ] {
            assert_eq!(module_in(line), None);
        }
    }
}
