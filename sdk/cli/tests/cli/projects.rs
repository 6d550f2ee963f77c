//! Each template from `new` to `test`, and what is found when something is changed.
//!
//! One test, since builds share a folder: the templates are made one after another in the same place.

use std::fs;
use std::path::{Path, PathBuf};

use crate::tool::{Ran, folder_of_tests, scenectl};

/// A project of a template in the place of the one before. Without its page, which needs npm.
fn new(template: &str) -> PathBuf {
    let folder = folder_of_tests();
    let root = folder.join("sample");
    match fs::remove_dir_all(&root) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
        Ok(()) | Err(_) => {}
    }
    let made = scenectl(&folder, &["new", "sample", "--template", template, "--no-page", "--json"]).ended(0).json();
    assert_eq!((&made["name"], &made["template"]), (&"sample".into(), &template.into()));
    for file in made["files"].as_array().unwrap() {
        let text = fs::read_to_string(root.join(file.as_str().unwrap())).unwrap();
        let left = ["{{name}}", "{{crate}}", "{{sdk}}"].iter().find(|placeholder| text.contains(**placeholder));
        assert_eq!(left, None, "{file} has a placeholder that is not filled");
    }
    root
}

/// Changes a file of a project.
fn change(root: &Path, file: &str, from: &str, to: &str) {
    let path = root.join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has no {from}");
    fs::write(path, text.replace(from, to)).unwrap();
}

fn failed(ran: Ran, expected: &str) {
    let ran = ran.ended(1);
    assert!(ran.err.contains(expected), "{}", ran.err);
}

#[test]
fn every_template_builds_is_what_it_says_and_passes_its_scripts() {
    for (template, kind) in [("real-time", "scene"), ("match-rule", "match-rule"), ("turn-based", "scene")] {
        let root = new(template);
        let built = scenectl(&root, &["build", "--json"]).ended(0).json();
        assert_eq!((&built["name"], &built["kind"]), (&"sample".into(), &kind.into()));
        let component = built["component"].as_str().unwrap();
        let inspected = scenectl(&root, &["inspect", component, "--json"]).ended(0).json();
        assert_eq!((&inspected["digest"], &inspected["kind"]), (&built["digest"], &kind.into()));
        assert_eq!(inspected["imports"], serde_json::json!(["scenehost:scene/diagnostics@0.3.0"]));
        assert!(inspected["needs"]["memory_bytes"].as_u64().unwrap() > 0);
        let tested = scenectl(&root, &["test", "--no-build", "--json"]).ended(0).json();
        assert_eq!((&tested["passed"], &tested["failed"]), (&1.into(), &0.into()));
    }
    // The last of them goes on: what a change does is found, and shown.
    let root = folder_of_tests().join("sample");
    a_change_of_the_game_differs_from_its_recording(&root);
    state_that_is_not_saved_is_found(&root);
    a_failure_of_the_game_is_told(&root);
    what_does_not_compile_is_told(&root);
}

#[test]
fn every_template_in_typescript_builds_and_passes_its_scripts() {
    let folder = folder_of_tests();
    let root = folder.join("in-typescript");
    for (template, has_page) in [("turn-based", true), ("real-time", true), ("match-rule", false)] {
        let _ = fs::remove_dir_all(&root); // It may not be there.
        scenectl(&folder, &["new", "in-typescript", "--template", template, "--language", "typescript"]).ended(0);
        install(&root);
        let tested = scenectl(&root, &["test", "--json"]).ended(0).json();
        assert_eq!((&tested["passed"], &tested["failed"]), (&1.into(), &0.into()), "{template}");
        assert_eq!(root.join("dist/page/main.js").is_file(), has_page, "{template}");
    }
    // The last of them goes on: a rule in TypeScript needs more than rules have by default, and is told how to get it.
    change(&root, "scenehost.toml", "memory_kib = 16384", "memory_kib = 4096");
    let ran = scenectl(&root, &["test", "--no-build", "--json"]).ended(1);
    assert!(ran.out.contains("`memory_kib` in [dev.rule]"), "{}", ran.out);
    change(&root, "scenehost.toml", "memory_kib = 4096", "memory_kib = 64");
    let ran = scenectl(&root, &["test", "--no-build"]).ended(2);
    assert!(ran.err.contains("256 to 16384"), "{}", ran.err);
}

/// What `npm install` would lay there, from what set-up has installed.
fn install(root: &Path) {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("plugin-ts");
    assert!(sdk.join("dist").is_dir(), "the SDK for TypeScript is not built: run `cargo xtask test`, which does it");
    let modules = root.join("node_modules");
    fs::create_dir_all(modules.join("@scenehost")).unwrap();
    let link = |from: PathBuf, to: &str| std::os::unix::fs::symlink(from, modules.join(to)).unwrap();
    link(sdk.with_file_name("client-ts"), "@scenehost/client");
    for name in ["typescript", "@typescript", "@types", "undici-types"] {
        link(sdk.join("node_modules").join(name), name);
    }
    link(sdk, "@scenehost/plugin");
}

fn a_change_of_the_game_differs_from_its_recording(root: &Path) {
    change(root, "src/lib.rs", "this cell is taken", "somebody is there");
    let tested = scenectl(root, &["test"]);
    failed(tested, r#"- #3 to seat 1: {"type":"refused","why":"this cell is taken"}"#);
    let tested = scenectl(root, &["test", "--no-build", "--json"]).ended(1);
    let script = &tested.json()["scripts"][0];
    assert_eq!((&script["outcome"], &script["step"]), (&"differs".into(), &4.into()));
    scenectl(root, &["test", "--no-build", "--record"]).ended(0);
    scenectl(root, &["test", "--no-build"]).ended(0);

    fs::remove_file(root.join("scripts/game.recorded.json")).unwrap();
    failed(scenectl(root, &["test", "--no-build"]), "--record");
    let script = root.join("scripts/game.toml");
    change(root, "scripts/game.toml", "ended = true", "ended = false");
    failed(scenectl(root, &["test", "--no-build", script.to_str().unwrap()]), "expected that the game has not ended");
    change(root, "scripts/game.toml", "{ drop = 1 }", "{ dorp = 1 }");
    let ran = scenectl(root, &["test", "--no-build"]).ended(2);
    assert!(ran.err.contains("step 6") && ran.err.contains("dorp"), "{}", ran.err);
    change(root, "scripts/game.toml", "{ dorp = 1 }", "{ drop = 1 }");
    change(root, "scripts/game.toml", "ended = false", "ended = true");
}

fn state_that_is_not_saved_is_found(root: &Path) {
    change(
        root,
        "src/lib.rs",
        "    turn: Option<Seat>,\n    think_ms",
        "    #[serde(skip)]\n    turn: Option<Seat>,\n    think_ms",
    );
    failed(scenectl(root, &["test"]), "goes on otherwise from a snapshot");
    change(root, "src/lib.rs", "    #[serde(skip)]\n", "");
}

fn a_failure_of_the_game_is_told(root: &Path) {
    change(
        root,
        "src/lib.rs",
        "        let Move::Place { cell } = message;",
        "        let Move::Place { cell } = message;\n        assert_ne!(cell, 4, \"four is bad luck\");",
    );
    let ran = scenectl(root, &["test"]).ended(1);
    assert!(ran.err.contains("at step 3") && ran.err.contains("four is bad luck"), "{}", ran.err);
}

fn what_does_not_compile_is_told(root: &Path) {
    change(root, "src/lib.rs", "export_scene!(Game);", "export_scene!(Gone);");
    let ran = scenectl(root, &["build", "--json"]).ended(1);
    assert!(ran.err.contains("cannot find type `Gone`"), "{}", ran.err);
    assert_eq!(ran.json()["kind"], "failed");
}
