//! What the host refuses to start with: it ends at once, with one clear word on what to change.

use crate::host::{Host, run};

const GOOD: &str = r#"
[server]
scenes_max = 16

[fleets.gomoku]
plugin = "gomoku"

[domains.gomoku]
fleet = "gomoku"
players_min = 2
players_max = 2
"#;

/// The host ends with exit code 1 and a last line in which all of these words are.
fn refused(config: &str, flags: &[&str], words: &[&str]) {
    let failed = Host::fails(config, flags);
    assert_eq!(failed.code, Some(1), "{}", failed.text);
    let complaint = failed.text.find("scenehost: ").map(|start| &failed.text[start..]).unwrap_or_default();
    for word in words {
        assert!(complaint.contains(word), "{word:?} should be in {complaint:?}");
    }
    assert!(!failed.text.contains("panicked"), "{}", failed.text);
}

/// A good configuration with one thing changed.
fn with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from));
    GOOD.replacen(from, to, 1)
}

#[test]
fn a_configuration_that_cannot_be_read_is_refused_with_its_place() {
    refused("[server", &[], &["host.toml", "line 1"]);
    refused(&with("scenes_max = 16", "scene_max = 16"), &[], &["host.toml", "scene_max", "scenes_max"]);
    refused(&with("scenes_max = 16", "scenes_max = -1"), &[], &["line 3", "scenes_max = -1"]);
    refused(&with("scenes_max = 16", "listen = 'here'"), &[], &["listen = 'here'", "socket address"]);
    refused(&with(r#"plugin = "gomoku""#, ""), &[], &["fleets.gomoku", "plugin"]);
    let (code, _, errors) = run(&["serve", "--config", "/nowhere/host.toml"]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("/nowhere/host.toml cannot be read"), "{errors}");
}

#[test]
fn a_configuration_that_cannot_work_is_refused_with_what_to_change() {
    let no_fleet = with(r#"fleet = "gomoku""#, r#"fleet = "chess""#);
    refused(&no_fleet, &[], &["[domains.gomoku]", "\"chess\" is not configured", "[fleets.chess]"]);
    refused(&with("players_min = 2", "players_min = 3"), &[], &["[domains.gomoku]", "players_min is 3", "players_max"]);
    refused(&with("players_min = 2", "players_min = 0"), &[], &["[domains.gomoku]", "players_min is 0"]);
    refused(&with("players_max = 2", "players_max = 1000"), &[], &["players_max is 1000", "at most 200"]);
    refused(&with("scenes_max = 16", "scenes_max = 0"), &[], &["[server]", "scenes_max", "at least 1"]);
    refused(&with(r#""gomoku""#, r#""../gomoku""#), &[], &["[fleets.gomoku]", "letters, digits"]);
    let fast = format!("{GOOD}\n[fleets.gomoku.scene]\ntick_rate_hz = 1000\n");
    refused(&fast, &[], &["[fleets.gomoku]", "tick_rate_hz is 1000", "0 to 120"]);
    let hasty = format!("{GOOD}\n[fleets.gomoku.scene]\ntoken_ms = 10\n");
    refused(&hasty, &[], &["[fleets.gomoku]", "token_ms"]);
    for (sessions, words) in
        [("\"all\"", "or a number"), ("true", "or a number"), ("0", "from 1 to 64"), ("65", "from 1 to 64")]
    {
        let config = format!("{GOOD}\n[auth.accounts]\nsessions = {sessions}\n");
        refused(&config, &[], &["sessions", "newest", "refuse", words]);
    }
    let brief = format!("{GOOD}\n[auth.accounts]\nsession_ms = 10\n");
    refused(&brief, &[], &["[auth.accounts]", "session_ms"]);
    let weak_key = format!("{GOOD}\n[auth]\nserver_key = \"secret\"\n");
    refused(&weak_key, &[], &["[auth]", "server_key", "32 characters"]);
    let weak = format!("{GOOD}\n[ops]\ntoken = \"secret\"\n");
    let (code, _, errors) = check(&weak);
    assert_eq!(code, Some(1));
    assert!(errors.contains("[ops]") && errors.contains("16 characters"), "{errors}");
}

#[test]
fn a_component_that_is_missing_or_none_is_refused_by_name() {
    refused(&with(r#""gomoku""#, r#""chess""#), &[], &["[fleets.gomoku]", "chess.wasm cannot be read"]);

    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let flags = ["--plugins-dir", folder.path().to_str().expect("it is UTF-8")];
    let empty_module = b"\0asm\x01\0\0\0";
    for no_component in [&b""[..], b"a text", empty_module] {
        std::fs::write(folder.path().join("gomoku.wasm"), no_component).expect("it is writable");
        refused(GOOD, &flags, &["[fleets.gomoku]", "gomoku.wasm is refused"]);
    }
}

#[test]
fn a_component_that_asks_for_more_than_the_contract_is_refused_by_the_imports_name() {
    let config = with(r#""gomoku""#, r#""hostile-import""#);
    refused(&config, &[], &["[fleets.gomoku]", "hostile-import.wasm is refused", "hostile:outside/clock"]);
}

#[test]
fn data_that_another_host_uses_is_refused() {
    let host = Host::start(GOOD);
    let data_dir = host.data_dir();
    refused(
        GOOD,
        &["--data-dir", data_dir.to_str().expect("it is UTF-8")],
        &["store", "is another scenehost using it"],
    );
}

#[test]
fn an_address_that_is_taken_is_refused() {
    let host = Host::start(GOOD);
    let address = host.address().to_string();
    refused(GOOD, &["--listen", &address], &[&address, "server.listen", "is another scenehost running"]);
}

/// Runs `scenehost check` on a configuration.
fn check(config: &str) -> (Option<i32>, String, String) {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let path = folder.path().join("host.toml");
    std::fs::write(&path, config).expect("it is writable");
    run(&["check", path.to_str().expect("it is UTF-8")])
}

#[test]
fn check_says_whether_a_configuration_is_right() {
    let (code, output, errors) = check(GOOD);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(output.contains("is right: 1 fleets, 1 domains"), "{output}");
    let (code, output, errors) = check(&with("players_min = 2", "players_min = 3"));
    assert_eq!((code, output.as_str()), (Some(1), ""));
    assert!(errors.contains("players_min is 3"), "{errors}");
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/scenehost.toml");
    let (code, _, errors) = run(&["check", demo]);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "the demo's configuration is right");
}
