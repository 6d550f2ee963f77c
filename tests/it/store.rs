//! The store in operators' hands: backups while the host works, restored ones, checks.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use forgetful::STUCK;
use serde_json::{Value, json};

use crate::host::{Host, OPS_TOKEN, http, until, within};
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

/// Signs guests in, one after the other, until the host is gone; counts them.
async fn load(address: SocketAddr, signed_in: Arc<AtomicU64>) {
    let mut http = KeepAlive::connect(address).await;
    while let Some((status, answer)) = http.sign_in(json!({ "guest": { "deviceId": device() } })).await {
        assert_eq!(status, 200, "{answer}");
        signed_in.fetch_add(1, Relaxed);
    }
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
    let signed_in = Arc::new(AtomicU64::new(0));
    let load = tokio::spawn(load(host.address(), Arc::clone(&signed_in)));
    until("the load to begin", async || signed_in.load(Relaxed) > 0).await;
    let at_begin = signed_in.load(Relaxed);
    let (done, said) = tokio::task::block_in_place(|| backup(&host));
    assert!(signed_in.load(Relaxed) > at_begin, "nobody signed in while the backup was made");
    assert!(done && said.starts_with("backup 1 of ") && said.contains("backups"), "{said}");
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

/// A host that has stopped with a guest who is in its only backup; the guest's token.
async fn stopped_with_a_backup() -> (Host, String) {
    let mut host = Host::start(CONFIG);
    let token = guest(&mut KeepAlive::connect(host.address()).await).await;
    host.terminate();
    host.ended().await;
    let (done, said) = host.store(&["backup"]);
    assert!(done, "{said}");
    (host, token)
}

async fn knows_again(host: &mut Host, token: &str) {
    host.restart();
    assert!(is_known(&mut KeepAlive::connect(host.address()).await, token).await);
    host.kill9();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("it is writable");
    for entry in fs::read_dir(from).expect("it is there") {
        let path = entry.expect("it is readable").path();
        fs::copy(&path, to.join(path.file_name().expect("it has one"))).expect("it is readable");
    }
}

#[tokio::test]
async fn whenever_a_restore_is_interrupted_no_host_starts_without_what_there_was() {
    let (mut host, token) = stopped_with_a_backup().await;
    let [store, restoring, aside] =
        ["store", "store.restoring", "store.before-restore-1"].map(|name| host.data_dir().join(name));

    // While it copies: the store is in its place, and what was copied is in nobody's way.
    copy(&store, &restoring);
    fs::remove_file(restoring.join("CURRENT")).expect("it was copied");
    knows_again(&mut host, &token).await;
    let (done, said) = host.store(&["restore"]);
    assert!(done && aside.exists() && !restoring.exists(), "{said}");
    knows_again(&mut host, &token).await;

    // Between its two renames, with a store before it and without one; or what it copied has been removed.
    for (left, other) in [(&restoring, Some(&aside)), (&restoring, None), (&aside, None)] {
        let _ = fs::remove_dir_all(&aside);
        fs::rename(&store, left).expect("nobody uses it");
        if let Some(other) = other {
            copy(left, other);
        }
        let refused = host.restart_fails();
        assert!(refused.contains("a restore that was interrupted") && refused.contains("store restore"), "{refused}");
        assert!(!store.exists(), "no new store was made");
        let (done, said) = host.store(&["restore"]);
        assert!(done && !restoring.exists(), "{said}");
        knows_again(&mut host, &token).await;
    }
}

#[tokio::test]
async fn damaged_backups_are_shown_and_no_older_one_takes_their_place_unasked() {
    let (mut host, token) = stopped_with_a_backup().await;
    assert!(host.store(&["backup"]).0);
    let meta = host.data_dir().join("backups/meta");
    fs::write(meta.join("2"), "?").expect("it is there");
    let (done, said) = host.store(&["list"]);
    assert!(done && said.contains("backup 1 of ") && said.contains("backup 2 is damaged"), "{said}");
    for (arguments, words) in [(&["restore"][..], "the newest in"), (&["restore", "--backup", "2"], "backup 2 in")] {
        let (done, said) = host.store(arguments);
        assert!(!done && said.contains(words) && said.contains("is damaged"), "{said}");
    }
    assert!(!host.data_dir().join("store.before-restore-1").exists(), "nothing was changed");
    let (done, said) = host.store(&["restore", "--backup", "1"]);
    assert!(done, "{said}");
    knows_again(&mut host, &token).await;

    // What is damaged inside is found before anything is changed.
    fs::remove_file(meta.join("2")).expect("it is there");
    let tables = host.data_dir().join("backups/shared_checksum");
    let table = fs::read_dir(tables).expect("it is there").next().expect("one is").expect("it is readable").path();
    let mut bytes = fs::read(&table).expect("it is readable");
    bytes[0] ^= 1;
    fs::write(&table, bytes).expect("it is writable");
    let (done, said) = host.store(&["restore"]);
    assert!(!done && said.contains("the store is as it was"), "{said}");
    knows_again(&mut host, &token).await;
}

#[tokio::test]
async fn only_the_host_that_has_the_store_backs_it_up_and_no_proxy_hears_of_it() {
    let (host, other) = (Host::start(CONFIG), Host::start(CONFIG));
    let ops = other.ops_address().to_string();
    let (done, said) = host.store(&["backup", "--ops-listen", &ops, "--ops-token", OPS_TOKEN]);
    assert!(!done && said.contains("409") && said.contains("ask the host that has yours"), "{said}");
    assert!(!other.data_dir().join("backups").exists(), "{said}");

    // Nobody answers at the proxy's address: who asked it would fail.
    let ops = host.ops_address().to_string();
    let arguments = ["backup", "--ops-listen", &ops, "--ops-token", OPS_TOKEN];
    let proxy = ["HTTP_PROXY", "http_proxy", "ALL_PROXY"].map(|name| (name, "http://127.0.0.1:1"));
    let (done, said) = host.store_where(&arguments, &proxy);
    assert!(done && said.contains(&*host.data_dir().join("backups").to_string_lossy()), "{said}");
}

#[tokio::test]
async fn a_lock_that_cannot_be_looked_at_is_reported_as_that() {
    let (host, _) = stopped_with_a_backup().await;
    let lock = host.data_dir().join("lock");
    fs::remove_file(&lock).expect("it is there");
    fs::create_dir(&lock).expect("it is free");
    for command in ["backup", "restore"] {
        let (done, said) = host.store(&[command]);
        assert!(!done && said.contains("cannot be taken") && said.contains("directory"), "{said}");
        assert!(!said.contains("in use"), "{said}");
    }
}

#[tokio::test]
async fn backups_are_made_and_kept_without_a_host_too() {
    let mut host = Host::start(CONFIG);
    let mut http = KeepAlive::connect(host.address()).await;
    let first = guest(&mut http).await;
    host.terminate();
    host.ended().await;
    let (done, said) = host.store(&["restore"]);
    assert!(!done && said.contains("there is no backup"), "{said}");
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
    assert_eq!(made["folder"], json!(host.data_dir().join("backups")), "{made}");
    let elsewhere = backup(&right, r#"{"store":"/elsewhere/store"}"#).await;
    assert_eq!(elsewhere.status, 409, "{}", elsewhere.body);
    let (done, said) = host.store(&["check"]);
    assert!(done, "also while the host runs: {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_stops_waits_for_the_backup_that_it_makes() {
    let part = "data/backups";
    let mut host = Host::start_on_disk_of(CONFIG, part);
    fs::create_dir(host.data_dir().join("backups")).expect("it is writable");
    host.disk_is(part, STUCK, true);
    let (address, bearer) = (host.ops_address(), format!("Bearer {OPS_TOKEN}"));
    let asked = tokio::spawn(async move {
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        http(address, "POST", "/v1/store/backup", &headers, "{}").await.status
    });
    let begun = host.data_dir().join("backups/private");
    until("the backup to begin", async || begun.is_dir()).await;
    host.terminate();
    until("the host to say that it stops", async || host.health().await.0 == 503).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await; // It would have stopped by now.
    host.disk_is(part, STUCK, false);
    let status = host.ended().await;
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(!host.log().contains("given up"), "{}", host.log());
    let (done, said) = host.store(&["list"]);
    assert!(done && said.contains("backup 1 of ") && said.contains("1 backup in"), "{said}");
    asked.abort(); // Nobody promises an answer of a host that stops.
}
