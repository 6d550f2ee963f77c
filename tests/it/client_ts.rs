//! The TypeScript client in whole games whose connections are cut: `sdk/client-ts/test/cuts.ts`.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::host::Host;

/// The demo's configuration as it is delivered.
const DEMO: &str = include_str!("../../plugins/scenehost.toml");

#[test]
fn the_typescript_client_loses_and_doubles_nothing_over_fifty_cuts() {
    let host = Host::start(DEMO);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/client-ts/build/test/cuts.js");
    assert!(script.exists(), "the script is not compiled: run `cargo xtask test`");
    let mut node = Command::new("node");
    node.arg(script).arg(host.address().to_string()).stdin(Stdio::null());
    let output = node.output().expect("node is installed");
    println!("{}", String::from_utf8_lossy(&output.stdout));
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "cuts.js: {}", output.status);
}
