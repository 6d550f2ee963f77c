//! The designers' tool with a host: what is only between those two. What it does alone its own tests show.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use crate::host::{Host, OPS_TOKEN, built, until};
use crate::player::gather;

/// What a run of the tool gave.
pub struct Ran {
    code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {:?}\n{}", self.out, self.err))
    }

    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\nout: {}\nerr: {}", self.out, self.err);
        self
    }
}

/// Runs the tool, elsewhere than on the threads of this test.
pub async fn scenectl(host: &Host, arguments: &[&str]) -> Ran {
    let mut command = std::process::Command::new(built("debug/scenectl"));
    command.args(arguments).current_dir(std::env::temp_dir()).stdin(Stdio::null());
    command.env("SCENEHOST_OPS_TOKEN", OPS_TOKEN).env("SCENEHOST_HOST", format!("http://{}", host.ops_address()));
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it does not panic");
    let output = output.expect("the tool can be run");
    let text = |bytes| String::from_utf8(bytes).expect("it writes text");
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

const CONFIG: &str = r#"
[fleets.duel]
plugin = "hostile"
scene = { on_crash = "end" }

[fleets.traps]
plugin = "hostile"
configuration = { misbehave = "trap" }
scene = { on_crash = "end" }

[domains.duel]
fleet = "duel"
players_min = 2
players_max = 2

[domains.traps]
fleet = "traps"
players_min = 2
players_max = 2
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_shown_for_people_and_for_programs() {
    let host = Host::start(CONFIG);
    let players = gather(&host, "traps", 2).await;
    players[0].scene.send("go").await.expect("it is open");
    until("the failure is a line", async || scenectl(&host, &["logs"]).await.out.contains("trap")).await;
    let shown = scenectl(&host, &["logs", "--level", "error"]).await.ended(0);
    assert!(shown.out.contains(" #") && shown.out.contains(" error the game's code trapped"), "{}", shown.out);
    let lines = scenectl(&host, &["logs", "--level", "error", "--fleet", "traps", "--json"]).await.ended(0).out;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    assert!(lines.iter().any(|line| line["kind"] == "trap"), "{lines:?}");
    assert_eq!(scenectl(&host, &["logs", "--fleet", "duel"]).await.ended(0).out, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bots_play_and_say_how_it_was() {
    let host = Host::start(CONFIG);
    let folder = TempDir::new().expect("a temporary folder");
    let script = folder.path().join("bots.toml");
    std::fs::write(&script, "every_ms = 50\nmessages = [{ json = { n = { \"$random\" = [1, 6] } } }]")
        .expect("writable");
    let played = bots(&host, &script, "duel").await.ended(0).json();
    assert_eq!((&played["signed_in"], &played["games"]), (&4.into(), &2.into()));
    assert!(played["messages_received"].as_u64() > Some(20), "{played}");
    assert!(played["ping_ms_p99"].as_f64() > Some(0.0), "{played}");
    assert_eq!((&played["refusals"], &played["errors"]), (&serde_json::json!({}), &serde_json::json!({})));
    // Where there is no such domain, all are refused, and that is told.
    let refused = bots(&host, &script, "none").await.ended(0).json();
    assert!(refused["refusals"].as_object().is_some_and(|refusals| !refusals.is_empty()), "{refused}");
}

async fn bots(host: &Host, script: &Path, domain: &str) -> Ran {
    let (url, script) = (host.url(), script.display().to_string());
    let how = ["bots", "--host", &url, "--domain", domain, "-n", "4", "--seconds", "4", "--script", &script, "--json"];
    scenectl(host, &how).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_refuses_ends_with_3() {
    let host = Host::start(CONFIG);
    let unknown = scenectl(&host, &["versions", "--plugin", "nobody", "--json"]).await.ended(3);
    assert_eq!(unknown.json()["kind"], "host");
    let folder = TempDir::new().expect("a temporary folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "not the token of this host\n").expect("writable");
    let token = token.display().to_string();
    let refused = scenectl(&host, &["logs", "--token-file", &token]).await.ended(3);
    assert!(refused.err.contains("--token-file"), "{}", refused.err);
}
