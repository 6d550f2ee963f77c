//! The designers' tool with versions on a real host: published, activated, rolled back, released, and what is told of them.

use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use crate::host::{Host, until};
use crate::player::gather;
use crate::plugins::{component, scenes, show};
use crate::scenectl::scenectl;

const CONFIG: &str = r#"
[fleets.echo]
plugin = "hostile"

[fleets.traps]
plugin = "hostile"
configuration = { misbehave = "trap", when = "message" }
scene = { on_crash = "end", quarantine = { scenes = 1 } }

[domains.echo]
fleet = "echo"
players_min = 2
players_max = 2

[domains.traps]
fleet = "traps"
players_min = 1
players_max = 1
"#;

fn file(folder: &Path, stamp: &str) -> String {
    let path = folder.join(format!("{stamp}.wasm"));
    std::fs::write(&path, component("hostile", stamp)).expect("it is writable");
    path.display().to_string()
}

/// The line of a version in a table.
fn row<'a>(shown: &'a str, version: &str) -> &'a str {
    let begins = format!("{version} ");
    shown.lines().find(|line| line.starts_with(&begins)).unwrap_or_else(|| panic!("no version {version} in\n{shown}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_are_published_activated_and_rolled_back() {
    let host = Host::start(CONFIG);
    let folder = TempDir::new().expect("a temporary folder");
    let (first, second) = (file(folder.path(), "1"), file(folder.path(), "2"));
    let of_game = ["--plugin", "hostile"];
    let publish = ["publish", "--file", &first, "--label", "the first & best", "--activate", "--json"];
    let published = scenectl(&host, &[&publish[..], &of_game].concat()).await.ended(0).json();
    assert_eq!((&published["version"]["version"], &published["activated"]), (&json!(1), &json!(true)));
    assert_eq!((&published["version"]["label"], &published["now"]["active"]), (&json!("the first & best"), &json!(1)));
    let mut players = gather(&host, "echo", 2).await;
    players[0].echo("of version 1").await;

    let publish = ["publish", "--file", &second];
    let told = scenectl(&host, &[&publish[..], &of_game].concat()).await.ended(0);
    assert!(told.out.contains("scenectl activate 2"), "{}", told.out);
    let shown = scenectl(&host, &[&["versions"][..], &of_game].concat()).await.ended(0).out;
    assert!(row(&shown, "1").contains("active") && row(&shown, "1").contains("the first & best"), "{shown}");
    assert!(!row(&shown, "2").contains("active") && shown.contains("fleets: echo, traps"), "{shown}");

    let canary = scenectl(&host, &[&["activate", "2", "--canary", "10", "--json"][..], &of_game].concat()).await;
    assert_eq!(canary.ended(0).json()["canary"], json!({"version": 2, "percent": 10}));
    let active =
        scenectl(&host, &[&["activate", "2", "--swap", "--json"][..], &of_game].concat()).await.ended(0).json();
    assert_eq!((&active["active"], &active["swap"]), (&json!(2), &json!({"asked": 1})));
    until("the scene to change", async || {
        players[0].echo("of version 2").await;
        scenes(&host, "hostile").await == [0, 1]
    })
    .await;
    let digest = show(&host, "hostile").await["versions"][1]["digest"].as_str().expect("a digest").to_owned();
    let lines = scenectl(&host, &["logs", "--version", &digest[..12]]).await.ended(0).out;
    assert!(lines.contains("the scene runs this version from here"), "{lines}");
    until("its steps to be counted", async || {
        players[0].echo("of version 2 still").await;
        let used = scenectl(&host, &[&["usage", "--json"][..], &of_game].concat()).await.ended(0).json();
        let of = |version: u64| used["usage"].as_array().expect("a list").iter().find(|it| it["version"] == version);
        of(1).is_some_and(|it| it["messages_in"] != 0) && of(2).is_some_and(|it| it["messages_in"] != 0)
    })
    .await;
    let shown = scenectl(&host, &["usage", &players[0].seat.scene_id]).await.ended(0).out;
    assert!(shown.contains("of the fleet echo, hostile version 2") && shown.contains("memory:"), "{shown}");

    let back = scenectl(&host, &[&["rollback", "--json"][..], &of_game].concat()).await.ended(0).json();
    assert_eq!(back["active"], json!(1));
    let refused = scenectl(&host, &[&["rollback"][..], &of_game].concat()).await.ended(3);
    assert!(refused.err.contains("no other version"), "{}", refused.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_in_quarantine_is_shown_with_the_reason_and_released() {
    let folder = TempDir::new().expect("a temporary folder");
    let host = Host::start(CONFIG);
    let first = file(folder.path(), "1");
    let of_game = ["--plugin", "hostile"];
    let publish = ["publish", "--file", &first, "--activate", "--yes"];
    scenectl(&host, &[&publish[..], &of_game].concat()).await.ended(0);
    let mut players = gather(&host, "traps", 1).await;
    players[0].scene.send("fail".to_owned()).await.expect("it is open");
    players[0].ended().await;
    until("the quarantine", async || {
        let shown = scenectl(&host, &[&["versions"][..], &of_game].concat()).await.ended(0).out;
        row(&shown, "1").contains("active, in quarantine") && shown.contains("a scene of the fleet \"traps\" failed")
    })
    .await;
    let again = scenectl(&host, &[&["activate", "1"][..], &of_game].concat()).await.ended(3);
    assert!(again.err.contains("release it first"), "{}", again.err);
    let released = scenectl(&host, &[&["release", "1"][..], &of_game].concat()).await.ended(0).out;
    assert!(row(&released, "1").contains("active") && !released.contains("quarantine"), "{released}");
    let again = scenectl(&host, &[&["release", "1"][..], &of_game].concat()).await.ended(3);
    assert!(again.err.contains("not in quarantine"), "{}", again.err);
    gather(&host, "traps", 1).await;
}
