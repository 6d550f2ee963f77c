//! The store in operators' hands: backups while the host works, restored ones, checks.

use serde_json::{Value, json};

use crate::host::{Host, OPS_TOKEN, within};
use crate::keep_alive::KeepAlive;
use crate::player::device;

const CONFIG: &str = "[server]\nscenes_max = 16\nscene_threads = 1\n";

/// A new guest's session token: durable, since it was answered.
async fn guest(http: &mut KeepAlive) -> String {
    let (status, answer) = http.sign_in(json!({ "guest": { "deviceId": device() } })).await.expect("an answer");
    assert_eq!(status, 200, "{answer}");
    answer["sessionToken"].as_str().expect("a token").to_owned()
}

async fn is_known(http: &mut KeepAlive, token: &str) -> bool {
    let (status, _) = http.sign_in(json!({ "sessionToken": token })).await.expect("an answer");
    assert!(status == 200 || status == 401, "{status}");
    status == 200
}

fn backup(host: &Host) -> (bool, String) {
    let ops = host.ops_address().to_string();
    host.store(&["backup", "--ops-listen", &ops, "--ops-token", OPS_TOKEN])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_made_under_load_has_all_that_was_acknowledged_before_and_takes_the_place_of_the_store() {
    let mut host = Host::start(CONFIG);
    let mut http = KeepAlive::connect(host.address()).await;
    let mut before = Vec::new();
    for _ in 0..50 {
        before.push(guest(&mut http).await);
    }
    // Others go on signing in meanwhile.
    let address = host.address();
    let load = tokio::spawn(async move {
        let mut http = KeepAlive::connect(address).await;
        while http.sign_in(json!({ "guest": { "deviceId": device() } })).await.is_some() {}
    });
    let (done, said) = tokio::task::block_in_place(|| backup(&host));
    assert!(done && said.starts_with("backup 1 of "), "{said}");
    let after = guest(&mut http).await;
    let (done, said) = host.store(&["restore"]);
    assert!(!done && said.contains("stop the host first"), "{said}");
    assert!(is_known(&mut http, &after).await, "nothing was changed");

    host.kill9();
    within("the load to end", load).await.expect("it ends with the host");
    let (done, said) = host.store(&["restore"]);
    assert!(done && said.contains("before-restore-1"), "{said}");
    let (done, said) = host.store(&["check"]);
    assert!(done && said.contains("is right"), "{said}");
    host.restart();
    let mut http = KeepAlive::connect(host.address()).await;
    for token in &before {
        assert!(is_known(&mut http, token).await, "acknowledged before the backup was asked for");
    }
    assert!(!is_known(&mut http, &after).await, "made after the backup");
}

#[tokio::test]
async fn backups_are_made_and_kept_without_a_host_too() {
    let mut host = Host::start(CONFIG);
    let mut http = KeepAlive::connect(host.address()).await;
    let (done, said) = host.store(&["restore"]);
    assert!(!done && said.contains("there is no backup"), "{said}");
    let first = guest(&mut http).await;
    host.terminate();
    host.ended().await;
    assert!(host.store(&["backup"]).0);
    host.restart();
    let mut http = KeepAlive::connect(host.address()).await;
    let second = guest(&mut http).await;
    host.terminate();
    host.ended().await;
    for _ in 0..3 {
        let (done, said) = host.store(&["backup", "--keep", "3"]);
        assert!(done, "{said}");
    }
    let (done, said) = host.store(&["list"]);
    assert!(
        done && said.contains("backup 2 of ") && !said.contains("backup 1 of ") && said.contains("3 backups"),
        "{said}"
    );
    let (done, said) = host.store(&["restore", "--backup", "9"]);
    assert!(!done && said.contains("there is no backup 9"), "{said}");

    // A store that is gone altogether.
    std::fs::remove_dir_all(host.data_dir().join("store")).expect("nobody uses it");
    let (done, said) = host.store(&["check"]);
    assert!(!done && said.contains("cannot be opened"), "{said}");
    assert!(host.store(&["restore", "--backup", "3"]).0);
    host.restart();
    let mut http = KeepAlive::connect(host.address()).await;
    assert!(is_known(&mut http, &first).await && is_known(&mut http, &second).await);
}

#[tokio::test]
async fn the_operators_call_needs_the_token_and_tells_what_was_made() {
    let host = Host::start(CONFIG);
    let backup = async |headers: &[(&str, &str)], body: &str| {
        let json = ("content-type", "application/json");
        let headers: Vec<_> = headers.iter().copied().chain([json]).collect();
        host.ops("POST", "/v1/store/backup", &headers, body).await
    };
    assert_eq!(backup(&[], "{}").await.status, 401);
    let bearer = format!("Bearer {OPS_TOKEN}");
    let right = [("authorization", bearer.as_str())];
    let wrong = backup(&right, r#"{"keep":"all"}"#).await;
    assert_eq!(wrong.status, 400, "{}", wrong.body);
    let made = backup(&right, "{}").await;
    let made: Value = serde_json::from_str(&made.body).expect("JSON");
    assert_eq!(made["id"], 1, "{made}");
    assert!(made["bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{made}");
    let (done, said) = host.store(&["check"]);
    assert!(done, "also while the host runs: {said}");
}
