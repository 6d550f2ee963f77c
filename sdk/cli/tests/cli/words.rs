//! What the tool says when it is used in a wrong way, and to shells.

use tempfile::TempDir;

use crate::tool::scenectl;

#[test]
fn wrong_use_ends_with_2_and_says_what_to_do() {
    let folder = TempDir::new().unwrap();
    let check = |arguments: &[&str], text: &str, hint: &str| {
        let ran = scenectl(folder.path(), arguments).ended(2);
        assert!(ran.err.contains(text) && ran.err.contains(hint), "{arguments:?}: {}", ran.err);
        assert!(!ran.err.contains('\u{1b}'), "colours are for terminals");
    };
    check(&["build"], "there is no scenehost.toml", "scenectl new");
    check(&["test"], "there is no scenehost.toml", "scenectl new");
    check(&["new", "My-Game", "--template", "turn-based"], "`My-Game` cannot be", "small letters");
    check(&["new", "test", "--template", "turn-based"], "`test` cannot be", "small letters");
    check(&["new", "game", "--template", "chess"], "turn-based", "real-time");
    check(&["new", "game", "--template", "match-rule", "--sdk", "."], "is not the folder", "--sdk");
    check(&["inspect", "none.wasm"], "none.wasm", "scenectl build");
    check(&["versions"], "there is no scenehost.toml", "--plugin");
    check(&["versions", "--plugin", "a", "--host", "here"], "no address", "http://");
    check(&["versions", "--plugin", "a", "--token-file", "none"], "none", "ops.token");
    check(&["bots", "--domain", "a"], "no host to play at", "scenectl dev");
    check(&["publish", "--canary", "100"], "100", "1..=99");
    check(&["replay", "none.journal"], "none.journal", "journal");
    check(&["fly"], "fly", "--help");
    let sdk = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    scenectl(folder.path(), &["new", "rule", "--template", "match-rule", "--sdk", sdk]).ended(0);
    let toml = std::fs::read_to_string(folder.path().join("rule/Cargo.toml")).unwrap();
    assert!(!toml.contains("sdk/sdk"), "{toml}");
    check(&["-C", "rule", "test", "none.toml"], "there is no script none.toml", "rule/scripts");
    scenectl(folder.path(), &["new", "typed", "--template", "match-rule", "--language", "typescript"]).ended(0);
    std::fs::remove_file(folder.path().join("typed/src/rule.ts")).unwrap();
    check(&["-C", "typed", "build"], "there is no file src/rule.ts", "`entry` in scenehost.toml");

    std::fs::create_dir(folder.path().join("game")).unwrap();
    check(&["new", "game", "--template", "match-rule"], "is there already", "another name");
    std::fs::write(folder.path().join("scenehost.toml"), "name = \"a\"\nlanguage = \"cobol\"\nkind = \"scene\"")
        .unwrap();
    check(&["build"], "scenehost.toml is not right", "cobol");
}

#[test]
fn what_is_no_component_ends_with_1() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("a.wasm"), b"\0asm\x01\0\0\0").unwrap();
    let ran = scenectl(folder.path(), &["inspect", "a.wasm", "--json"]).ended(1);
    assert!(ran.json()["error"].as_str().unwrap().contains("core WebAssembly module"), "{}", ran.out);
    std::fs::write(folder.path().join("a.journal"), b"no journal").unwrap();
    let ran = scenectl(folder.path(), &["replay", "a.journal"]).ended(1);
    assert!(ran.err.contains("not a journal"), "{}", ran.err);
}

#[test]
fn a_host_that_is_not_there_ends_with_3() {
    let folder = TempDir::new().unwrap();
    // A port that nobody listens on: it was free just now.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    for command in [&["versions", "--plugin", "a"][..], &["logs"], &["rollback", "--plugin", "a"]] {
        let ran = scenectl(folder.path(), &[command, &["--host", &url, "--json"]].concat()).ended(3);
        assert_eq!(ran.json()["kind"], "host");
        assert!(ran.json()["hint"].as_str().unwrap().contains("scenectl dev"));
    }
    let url = format!("ws://127.0.0.1:{port}");
    let ran = scenectl(folder.path(), &["bots", "--host", &url, "--domain", "a", "-n", "1", "--seconds", "1"]).ended(3);
    assert!(ran.err.contains("no bot could sign in"), "{}", ran.err);
}

#[test]
fn keys_are_made_and_never_overwritten() {
    let folder = TempDir::new().unwrap();
    let made = scenectl(folder.path(), &["keygen", "a.key", "--json"]).ended(0).json();
    assert_eq!(made["public_key"].as_str().unwrap().len(), 44, "32 bytes in base64");
    let ran = scenectl(folder.path(), &["keygen", "a.key"]).ended(2);
    assert!(ran.err.contains("never overwritten"), "{}", ran.err);
}

#[test]
fn shells_can_complete_every_command() {
    let folder = TempDir::new().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let ran = scenectl(folder.path(), &["completions", shell]).ended(0);
        for command in ["new", "build", "inspect", "test", "dev", "bots", "publish", "versions", "logs", "replay"] {
            assert!(ran.out.contains(command), "{shell}: {command}");
        }
    }
}

#[test]
fn help_has_examples_and_the_exit_codes() {
    let folder = TempDir::new().unwrap();
    let ran = scenectl(folder.path(), &["--help"]).ended(0);
    assert!(ran.out.contains("Exit codes:") && ran.out.contains("scenectl dev --open"), "{}", ran.out);
    for command in ["new", "inspect", "test", "dev", "bots", "publish", "activate", "rollback", "logs", "replay"] {
        let ran = scenectl(folder.path(), &["help", command]).ended(0);
        assert!(ran.out.contains("Example"), "{command}: {}", ran.out);
    }
}
