//! Searches that a host has recorded, replayed by `scenehost match replay`.

use std::path::Path;
use std::time::Duration;

use crate::host::{Host, OPS_TOKEN, PATIENCE, http_bytes, plugins, run};
use crate::player::gather;

const CONFIG: &str = r#"
[fleets.gomoku]
plugin = "gomoku"

[domains.gomoku]
fleet = "gomoku"
players_min = 2
players_max = 2
record = true

[domains.alone]
fleet = "gomoku"
players_min = 1
players_max = 1
"#;

fn text(path: &Path) -> &str {
    path.to_str().expect("the paths of tests are UTF-8")
}

#[tokio::test]
async fn searches_are_recorded_without_names_and_replayed_with_other_configurations() {
    let host = Host::start(CONFIG);
    let players = gather(&host, "gomoku", 2).await;
    let users: Vec<String> = players.iter().map(|player| player.lobby.session().user_id).collect();
    drop(players);
    let folder = host.data_dir();
    let stream = folder.join("match/gomoku.jsonl");
    let written = tokio::time::timeout(PATIENCE, async {
        loop {
            let text = std::fs::read_to_string(&stream).unwrap_or_default();
            if text.lines().count() == 3 {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let written = written.await.expect("it is written at once");
    assert_eq!(written.matches(r#""enter""#).count(), 2, "{written}");
    assert!(!written.contains("Guest") && users.iter().all(|user| !written.contains(user.as_str())), "{written}");
    assert!(!folder.join("match/alone.jsonl").exists(), "it is not to be recorded");

    let config = folder.join("now.toml");
    let other = folder.join("other.toml");
    let plot = folder.join("replay.svg");
    std::fs::write(&config, CONFIG).expect("the folder is writable");
    std::fs::write(&other, CONFIG.replace("record = true", "rating_range = 0")).expect("the folder is writable");
    let arguments =
        ["match", "replay", "--stream", text(&stream), "--config", text(&config), "--against", text(&other)];
    let (code, out, errors) = run(&[&arguments[..], &["--plot", text(&plot)]].concat());
    assert_eq!(code, Some(0), "{errors}");
    let row = |what: &str| out.lines().find(|line| line.starts_with(what)).unwrap_or_default();
    assert!(out.starts_with(&format!("{:28}{:>22}{:>22}\n", "", "now", "other")), "{out}");
    assert_eq!(row("matched").matches("2 (100.0 %)").count(), 2, "{out}");
    let svg = std::fs::read_to_string(&plot).expect("it is drawn");
    assert!(svg.starts_with("<svg") && svg.contains("other"), "{}", &svg[..200]);
}

#[tokio::test]
async fn the_rule_of_a_replay_is_the_one_that_was_uploaded_to_the_host() {
    let host = Host::start(CONFIG);
    let rule = std::fs::read(plugins().join("squads-rule.wasm")).expect("set-up has built it");
    let bearer = format!("Bearer {OPS_TOKEN}");
    let path = "/v1/plugins/fair/versions?activate=true";
    let (head, _) = http_bytes(host.ops_address(), "POST", path, &[("authorization", &bearer)], &rule).await;
    assert!(head.contains(" 201 "), "{head}");

    let folder = tempfile::tempdir().expect("a temporary folder is writable");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("it is writable");
        path
    };
    let stream = file("stream.jsonl", "{\"match_stream\":1,\"domain\":\"gomoku\"}\n");
    let ruled = CONFIG.replace("record = true", "rule = { plugin = \"fair\" }");
    let replayed = |name: &str, data_dir: &Path| {
        let config = file(name, &format!("[server]\ndata_dir = {data_dir:?}\n{ruled}"));
        run(&["match", "replay", "--config", text(&config), "--stream", text(&stream)])
    };
    // The host goes on meanwhile.
    let (code, _, errors) = replayed("beside.toml", &host.data_dir());
    assert_eq!(code, Some(0), "{errors}");
    let (code, _, errors) = replayed("nowhere.toml", folder.path());
    assert!(code == Some(1) && errors.contains("fair.wasm cannot be read"), "{errors}");
}

#[test]
fn what_cannot_be_replayed_is_refused_with_its_place() {
    let folder = tempfile::tempdir().expect("a temporary folder is writable");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("it is writable");
        path
    };
    let config = file("host.toml", CONFIG);
    let good = "{\"match_stream\":1,\"domain\":\"gomoku\"}\n";
    let refused = |stream: &str, more: &[&str]| {
        let stream = file("stream.jsonl", stream);
        let arguments = ["match", "replay", "--config", text(&config), "--stream", text(&stream)];
        let (code, out, errors) = run(&[&arguments[..], more].concat());
        assert_eq!(code, Some(1), "{out} {errors}");
        assert!(errors.starts_with("scenehost: ") && !errors.contains("panicked"), "{errors}");
        errors
    };
    assert!(refused("", &[]).contains("stream.jsonl: the stream is empty: set record = true"));
    assert!(refused("hello\n", &[]).contains("this is no recorded stream"));
    assert!(
        refused(&format!("{good}{{}}\n"), &[]).contains("line 2 of the stream is not right: missing field `at_ms`")
    );
    assert!(
        refused(&good.replace("gomoku", "chess"), &[])
            .contains("no domain chess: say which by --domain; it has alone, gomoku")
    );
    assert!(refused(good, &["--domain", "chess"]).contains("no domain chess"));
    assert!(refused(good, &["--against", "/nowhere.toml"]).contains("/nowhere.toml cannot be read"));
    let wrong = file("wrong.toml", &CONFIG.replace("players_min = 2", "players_min = 3"));
    assert!(refused(good, &["--against", text(&wrong)]).contains("players_min is 3"));
    assert!(refused(good, &["--plot", "/nowhere/plot.svg"]).contains("cannot be written to /nowhere/plot.svg"));
}
