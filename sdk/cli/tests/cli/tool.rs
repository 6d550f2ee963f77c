//! Runs the tool, and has a folder for its projects.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What a run of the tool gave.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Its report as JSON: one value, and nothing else.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {:?}\n{}", self.out, self.err))
    }

    /// The run, if it ended with this code.
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\nout: {}\nerr: {}", self.out, self.err);
        self
    }
}

/// Runs it in a folder.
pub fn scenectl(folder: &Path, arguments: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_scenectl"))
        .current_dir(folder)
        .args(arguments)
        // All projects of tests lie in the same place and are built into the same one, so what they have in common is
        // built once.
        .env("CARGO_TARGET_DIR", folder_of_tests().join("target"))
        .env_remove("SCENEHOST_HOST")
        .env_remove("SCENEHOST_OPS_TOKEN")
        .env_remove("SCENEHOST_SDK")
        .output()
        .expect("the tool can be run");
    let text = |bytes| String::from_utf8(bytes).expect("it writes text");
    Ran { code: output.status.code().expect("it ends by itself"), out: text(output.stdout), err: text(output.stderr) }
}

/// A folder in the target folder that this test was built in.
pub fn folder_of_tests() -> PathBuf {
    let test = std::env::current_exe().expect("the system knows what runs");
    let target = test.ancestors().nth(3).expect("a test lies in <target>/debug/deps");
    let folder = target.join("scenectl");
    std::fs::create_dir_all(&folder).expect("it is writable");
    folder
}

/// A component that set-up has built.
pub fn component(name: &str) -> PathBuf {
    let path = folder_of_tests().with_file_name("plugins").join(format!("{name}.wasm"));
    assert!(path.exists(), "{} is missing: run `cargo xtask test`, which builds it", path.display());
    path
}
