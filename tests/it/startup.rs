//! What the host refuses to start with: it ends at once, with one clear word on what to change.

use std::process::{Command, Stdio};

use crate::host::{Host, binary, run};

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
    let misspelt = format!("{GOOD}\n[fleets.gomoku.scene]\nprovison = \"fast\"\n");
    refused(&misspelt, &[], &["unknown field `provison` in fleets.gomoku.scene.provison", "correct its name"]);
    let unknown = format!("{GOOD}\n[fleets.gomoku.scene]\non_db_down = \"never\"\n");
    refused(&unknown, &[], &["on_db_down = \"never\"", "`wait` or `end`"]);
    let (code, _, errors) = run(&["serve", "--config", "/nowhere/host.toml"]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("/nowhere/host.toml cannot be read"), "{errors}");
}

#[test]
fn a_configuration_that_cannot_work_is_refused_with_what_to_change() {
    let no_fleet = with(r#"fleet = "gomoku""#, r#"fleet = "chess""#);
    refused(&no_fleet, &[], &["[domains.gomoku]", "\"chess\" is not configured", "[fleets.chess]"]);
    let no_domain = with(r#"fleet = "gomoku""#, "fleet = \"gomoku\"\nrating_of = \"chess\"");
    refused(&no_domain, &[], &["[domains.gomoku]", "rating_of names \"chess\""]);
    refused(&with("players_min = 2", "players_min = 3"), &[], &["[domains.gomoku]", "players_min is 3", "players_max"]);
    refused(&with("players_min = 2", "players_min = 0"), &[], &["[domains.gomoku]", "players_min is 0"]);
    refused(&with("players_max = 2", "players_max = 1000"), &[], &["players_max is 1000", "at most 200"]);
    refused(&with("scenes_max = 16", "scenes_max = 0"), &[], &["[server]", "scenes_max", "at least 1"]);
    refused(&with(r#""gomoku""#, r#""../gomoku""#), &[], &["[fleets.gomoku]", "letters, digits"]);
    let fast = format!("{GOOD}\n[fleets.gomoku.scene]\ntick_rate_hz = 1000\n");
    refused(&fast, &[], &["[fleets.gomoku]", "tick_rate_hz is 1000", "0 to 120"]);
    for (settings, words) in [
        ("standby_min = 1", "start = \"provision\""),
        ("start = \"provision\"", "standby_min of at least 1"),
        ("start = \"provision\"\nstandby_min = 2\nstandby_max = 1", "above standby_max (1)"),
        ("standby_ms = 10", "standby_ms and reserve_ms"),
        ("sessions_max = 0", "sessions_max"),
    ] {
        let config = format!("{GOOD}\n[fleets.gomoku.scene]\n{settings}\n");
        refused(&config, &[], &["[fleets.gomoku]", words]);
    }
    for (settings, words) in [
        ("cores = 0", "cores needs 0.01"),
        ("memory_mib = 0", "memory_mib"),
        ("idle_ms = 10", "idle_ms"),
        ("on_idle = \"exit\"", "needs an idle_ms"),
        ("region = \"Europe West\"", "region is 1 to 32 of a to z"),
    ] {
        refused(&format!("{GOOD}\n[node]\n{settings}\n"), &[], &["[node]", words]);
    }
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
    let hasty = with("scenes_max = 16", "idle_ms = 10");
    refused(&hasty, &[], &["[server]", "idle_ms"]);
    let anybody = with("scenes_max = 16", r#"trusted_proxies = ["everybody"]"#);
    refused(&anybody, &[], &["trusted_proxies", "\"everybody\" is no address and no network"]);
    for nothing in ["connections = 0", "sign_ins_per_minute = 0", "sign_ins_per_minute = 100000000"] {
        let config = format!("{GOOD}\n[server.per_address]\n{nothing}\n");
        refused(&config, &[], &["[server.per_address]", "at least 1", "1 to 60000000"]);
    }
    for (name, lines, words) in [
        ("best", "domain = \"chess\"\nkind = \"wins\"", ["[leaderboards.best]", "[domains.chess]"]),
        ("best", "domain = \"gomoku\"\nkind = \"wins\"\norder = \"lowest\"", ["[leaderboards.best]", "leave it out"]),
        ("best", "domain = \"gomoku\"\nkind = \"wins\"\nentries_max = 0", ["entries_max", "1 to 16000000"]),
        ("best", "domain = \"gomoku\"\nkind = \"loot\"", ["loot", "score-best"]),
        ("best", "domain = \"gomoku\"\nkind = \"wins\"\nreset = \"hourly\"", ["hourly", "weekly"]),
        ("\"a b\"", "domain = \"gomoku\"\nkind = \"wins\"", ["[leaderboards.a b]", "letters, digits"]),
    ] {
        refused(&format!("{GOOD}\n[leaderboards.{name}]\n{lines}\n"), &[], &words);
    }
    let unrated = with("players_max = 2", "players_max = 2\nrated = false");
    let board = "[leaderboards.best]\ndomain = \"gomoku\"\nkind = \"rating\"";
    refused(&format!("{unrated}\n{board}\n"), &[], &["[leaderboards.best]", "not rated"]);
    let weak = format!("{GOOD}\n[ops]\ntoken = \"secret\"\n");
    let (code, _, errors) = check(&weak);
    assert_eq!(code, Some(1));
    assert!(errors.contains("[ops]") && errors.contains("16 characters"), "{errors}");
}

#[test]
fn a_sign_in_provider_that_cannot_work_is_refused_with_what_to_change() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let (empty, missing) = (folder.path().join("empty.json"), folder.path().join("missing.json"));
    std::fs::write(&empty, r#"{"keys":[]}"#).expect("it is writable");
    let (empty, missing) = (format!("jwks_file = {empty:?}"), format!("jwks_file = {missing:?}"));
    let (empty, missing) = (empty.as_str(), missing.as_str());
    let (issuer, audience, url) =
        (r#"issuer = "https://issuer.test""#, r#"audience = "game""#, r#"jwks_url = "https://issuer.test/keys""#);
    let provider = |name: &str, lines: &[&str]| format!("{GOOD}\n[auth.providers.{name}]\n{}\n", lines.join("\n"));
    let (code, _, errors) = check(&provider("test", &[issuer, audience, url]));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let local = [issuer, r#"audience = ["game", "game-on-phones"]"#, r#"jwks_url = "http://[::1]:80/keys""#];
    assert_eq!(check(&provider("test", &local)).0, Some(0));

    for (lines, words) in [
        ([audience, url, ""], ["issuer", "missing"]),
        ([issuer, url, ""], ["audience", "missing"]),
        ([issuer, "audience = 7", url], ["audience", "a client id or a list of client ids"]),
        ([issuer, "audience = []", url], ["audience", "client id at the issuer"]),
        ([issuer, r#"audience = [""]"#, url], ["audience", "client ids of 1 to"]),
        ([r#"issuer = "issuer.test""#, audience, url], ["issuer", "https://host/path"]),
        ([r#"issuer = "http://issuer.test""#, audience, url], ["issuer", "https://"]),
        ([issuer, audience, ""], ["[auth.providers.test]", "jwks_url or jwks_file"]),
        ([issuer, audience, r#"jwks_url = "http://issuer.test/keys""#], ["jwks_url", "http:// only on this machine"]),
        ([issuer, audience, r#"jwks_url = "http://127.0.0.1.issuer.test/keys""#], ["jwks_url", "only on this machine"]),
        ([issuer, audience, r#"jwks_url = "file:///keys""#], ["jwks_url", "https://"]),
        ([issuer, audience, r#"jwks_url = "https://me:secret@issuer.test/keys""#], ["jwks_url", "leave it out"]),
        ([issuer, audience, missing], ["missing.json", "cannot be read"]),
        ([issuer, audience, empty], ["empty.json", "no key that can check signatures"]),
    ] {
        let (code, _, errors) = check(&provider("test", &lines));
        assert_eq!(code, Some(1), "{lines:?}");
        assert!(words.iter().all(|word| errors.contains(word)), "{words:?} should be in {errors:?}");
    }
    refused(&provider("test", &[issuer, audience, url, empty]), &[], &["jwks_url and jwks_file", "keep one"]);
    refused(
        &provider("test", &[issuer, audience, empty, "jwks_max_age_ms = 1000"]),
        &[],
        &["jwks_file", "leave it out"],
    );
    for age in ["999", "43200001"] {
        let too = format!("jwks_max_age_ms = {age}");
        refused(&provider("test", &[issuer, audience, url, &too]), &[], &["jwks_max_age_ms", age, "1000 to 43200000"]);
    }
    let spaced = provider("\"a name\"", &[issuer, audience, url]);
    refused(&spaced, &[], &["[auth.providers.a name]", "letters, digits"]);
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
fn a_rule_that_cannot_be_used_is_refused_with_what_to_change() {
    let rule = |lines: &str| format!("{GOOD}\n[domains.gomoku.rule]\n{lines}\n");
    let place = "[domains.gomoku.rule]";
    for (lines, words) in [
        ("plugin = \"chess\"", ["chess.wasm cannot be read", place]),
        ("plugin = \"gomoku\"", ["gomoku.wasm is refused", "a fleet's `plugin`"]),
        ("plugin = \"squads-rule\"\nconfiguration = { rolls = [] }", [place, "unknown field `rolls`"]),
        ("plugin = \"squads-rule\"\nconfiguration = { roles = [] }", [place, "1 to 8 of them"]),
        ("plugin = \"../squads\"", ["[domains.gomoku]", "letters, digits"]),
        ("plugin = \"squads-rule\"\nfuel = 1", ["[domains.gomoku]", "rule.fuel is 1: use 10000"]),
        ("plugin = \"squads-rule\"\nmemory_kib = 1", ["[domains.gomoku]", "rule.memory_kib is 1"]),
        ("plugin = \"squads-rule\"\nfule = 1", ["unknown field `fule`", "domains.gomoku.rule.fule"]),
    ] {
        refused(&rule(lines), &[], &words);
    }
    for (misdeed, words) in [
        ("loop", "used up its 2000000 of fuel"),
        ("memory", "4194304 bytes of memory"),
        ("recursion", "the stack overflowed"),
        ("log", "of fuel"),
        ("giant", "more than 16384 bytes"),
    ] {
        let configuration = format!("configuration = {{ misbehave = \"{misdeed}\", when = \"describe\" }}");
        refused(&rule(&format!("plugin = \"hostile-rule\"\n{configuration}")), &[], &[place, words]);
    }
    refused(&with(r#"plugin = "gomoku""#, r#"plugin = "squads-rule""#), &[], &["[fleets.gomoku]", "a domain's `rule`"]);
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

#[test]
fn a_system_that_allows_too_few_open_files_is_refused() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let path = folder.path().join("host.toml");
    std::fs::write(&path, "[server]\nlisten = \"127.0.0.1:0\"\n[ops]\nlisten = \"127.0.0.1:0\"\n")
        .expect("it is writable");
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 400 && exec \"$0\" serve --config \"$1\""]).arg(binary()).arg(&path);
    let output = shell.stdin(Stdio::null()).output().expect("there is a shell");
    let errors = String::from_utf8(output.stderr).expect("the host writes UTF-8");
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("open 400 files") && errors.contains("ulimit -n"), "{errors}");
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
