//! What `publish`, `versions`, `activate` and `rollback` ask a host for, and what they make of its answers.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::host::host;
use crate::tool::{component, scenectl};

fn version(number: u64) -> Value {
    json!({
        "version": number, "digest": "ab".repeat(32), "label": "1 & 2", "kind": "scene", "size_bytes": 2_048,
        "imports": ["scenehost:scene/diagnostics@0.3.0"], "uploaded_ms": 1_767_225_599_999_u64, "by": "ops",
        "publisher": null, "scratch": { "steps": 64 }, "scenes": 5,
    })
}

fn plugin(active: u64, canary: Value) -> Value {
    json!({
        "plugin": "game", "active": active, "canary": canary, "versions": [version(1), version(2)],
        "fleets": ["duel", "team"], "swap": { "asked": 3 },
    })
}

#[test]
fn a_component_is_uploaded_and_then_activated() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("token"), "a secret\n").unwrap();
    let (url, asked) =
        host(vec![(201, version(2).to_string().into_bytes()), (200, plugin(2, Value::Null).to_string().into_bytes())]);
    let component = component("gomoku");
    let file = component.to_str().unwrap();
    let published = scenectl(
        folder.path(),
        &[
            "publish",
            "--plugin",
            "game",
            "--file",
            file,
            "--host",
            &url,
            "--token-file",
            "token",
            "--label",
            "1 & 2",
            "--activate",
            "--swap",
            "--json",
        ],
    );
    let published = published.ended(0).json();
    assert_eq!((&published["version"]["version"], &published["activated"]), (&2.into(), &true.into()));

    let upload = asked.recv().unwrap();
    assert_eq!(upload.line, "POST /v1/plugins/game/versions?activate=false&label=1%20%26%202");
    assert_eq!(upload.header("authorization"), Some("Bearer a secret"));
    assert!(upload.body == std::fs::read(&component).unwrap());
    let activation = asked.recv().unwrap();
    assert_eq!(activation.line, "POST /v1/plugins/game/active");
    let body: Value = serde_json::from_slice(&activation.body).unwrap();
    assert_eq!(body, json!({ "version": 2, "percent": 100, "swap": true }));
}

#[test]
fn without_being_told_to_nothing_is_activated() {
    let folder = TempDir::new().unwrap();
    let (url, _asked) = host(vec![(200, version(2).to_string().into_bytes())]);
    let component = component("gomoku");
    let file = component.to_str().unwrap();
    let published =
        scenectl(folder.path(), &["publish", "--plugin", "game", "--file", file, "--host", &url, "--json"]).ended(0);
    assert_eq!(published.json()["activated"], false);
}

#[test]
fn a_signature_is_that_of_the_components_digest() {
    let folder = TempDir::new().unwrap();
    let key = scenectl(folder.path(), &["keygen", "me.key", "--json"]).ended(0).json();
    let (url, asked) = host(vec![(201, version(2).to_string().into_bytes())]);
    let component = component("gomoku");
    let file = component.to_str().unwrap();
    let signed =
        ["publish", "--plugin", "game", "--file", file, "--host", &url, "--sign", "me.key", "--publisher", "me"];
    scenectl(folder.path(), &signed).ended(0);
    let upload = asked.recv().unwrap();
    assert_eq!(upload.header("x-scenehost-publisher"), Some("me"));
    let signature = STANDARD.decode(upload.header("x-scenehost-signature").unwrap()).unwrap();
    let public = STANDARD.decode(key["public_key"].as_str().unwrap()).unwrap();
    UnparsedPublicKey::new(&ED25519, public).verify(digest(&SHA256, &upload.body).as_ref(), &signature).unwrap();
}

#[test]
fn what_is_no_component_is_not_even_uploaded() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("a.wasm"), "no component").unwrap();
    let ran =
        scenectl(folder.path(), &["publish", "--plugin", "game", "--file", "a.wasm", "--host", "http://127.0.0.1:1"]);
    assert!(ran.ended(1).err.contains("not WebAssembly"));
}

#[test]
fn versions_are_shown_and_chosen() {
    let folder = TempDir::new().unwrap();
    let canary = json!({ "version": 2, "percent": 5 });
    let answers = [plugin(1, canary.clone()), plugin(1, canary), plugin(2, Value::Null), plugin(1, Value::Null)];
    let (url, asked) = host(answers.map(|answer| (200, answer.to_string().into_bytes())).to_vec());
    let of_game = ["--plugin", "game", "--host", &url];
    let shown = scenectl(folder.path(), &[&["versions"][..], &of_game].concat()).ended(0).out;
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[1].starts_with("2        canary 5 %  1 & 2  abababababab  2.0 KiB  5"), "{shown}");
    assert!(lines[2].starts_with("1        active") && lines[2].contains("2025-12-31 23:59:59  ops"), "{shown}");
    assert_eq!(lines[3], "fleets: duel, team");

    scenectl(folder.path(), &[&["activate", "2", "--canary", "5"][..], &of_game].concat()).ended(0);
    scenectl(folder.path(), &[&["activate", "2", "--swap"][..], &of_game].concat()).ended(0);
    let back = scenectl(folder.path(), &[&["rollback", "--json"][..], &of_game].concat()).ended(0).json();
    assert_eq!(back["active"], 1);
    let lines: Vec<(String, Value)> = (0..4)
        .map(|_| asked.recv().unwrap())
        .map(|asked| (asked.line, serde_json::from_slice(&asked.body).unwrap_or_default()))
        .collect();
    let active = "POST /v1/plugins/game/active".to_owned();
    assert_eq!(lines[0], ("GET /v1/plugins/game".to_owned(), Value::Null));
    assert_eq!(lines[1], (active.clone(), json!({ "version": 2, "percent": 5, "swap": false })));
    assert_eq!(lines[2], (active, json!({ "version": 2, "percent": 100, "swap": true })));
    assert_eq!(lines[3], ("POST /v1/plugins/game/rollback".to_owned(), json!({ "swap": false })));
}

#[test]
fn a_quarantine_is_shown_and_lifted() {
    let folder = TempDir::new().unwrap();
    let mut kept_away = plugin(2, Value::Null);
    kept_away["versions"][1]["quarantine"] =
        json!({ "since_ms": 1_767_225_599_999_u64, "reason": "5 scenes of the fleet \"duel\" failed" });
    let answers = [kept_away, plugin(2, Value::Null)];
    let (url, asked) = host(answers.map(|answer| (200, answer.to_string().into_bytes())).to_vec());
    let of_game = ["--plugin", "game", "--host", &url];
    let shown = scenectl(folder.path(), &[&["versions"][..], &of_game].concat()).ended(0).out;
    assert!(shown.contains("2        active, in quarantine  1 & 2"), "{shown}");
    let why = "version 2 is in quarantine since 2025-12-31 23:59:59: 5 scenes of the fleet \"duel\" failed";
    assert!(shown.contains(why), "{shown}");
    let released = scenectl(folder.path(), &[&["release", "2"][..], &of_game].concat()).ended(0).out;
    assert!(!released.contains("quarantine"), "{released}");
    asked.recv().unwrap();
    assert_eq!(asked.recv().unwrap().line, "POST /v1/plugins/game/versions/2/release");
}

#[test]
fn a_refusal_is_told_in_the_hosts_words() {
    let folder = TempDir::new().unwrap();
    let (url, _asked) =
        host(vec![(422, br#"{"error":"the component imports `wasi`","kind":"undeclared_import"}"#.to_vec())]);
    let component = component("gomoku");
    let file = component.to_str().unwrap();
    let ran =
        scenectl(folder.path(), &["publish", "--plugin", "game", "--file", file, "--host", &url, "--json"]).ended(3);
    assert!(ran.json()["error"].as_str().unwrap().contains("refuses: the component imports `wasi`"), "{}", ran.out);
}
