//! The deployment examples of `host/server/deploy`: what the host, NATS and npm's schemas say of them; the flags that
//! make one configuration do for all nodes; and that every metric is in the runbook.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cluster::{Cluster, status, until};
use crate::host::{Host, run};
use crate::tls::Certificate;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/server")
}

fn read(path: &str) -> String {
    let path = folder().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A folder with a file of the examples, and the secrets and certificates beside it that it names.
fn with_secrets(path: &str) -> tempfile::TempDir {
    let made = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        let path = made.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("the folder is writable");
        std::fs::write(path, text).expect("the folder is writable");
    };
    let certificate = Certificate::new();
    write("scenehost.toml", &read(path));
    for secret in ["secrets/postgres-password", "secrets/nats-password"] {
        write(secret, "a secret of the tests\n");
    }
    for chain in ["secrets/ca.pem", "tls/tls.crt", "ca.pem", "tls.crt"] {
        write(chain, &certificate.chain_pem);
    }
    for key in ["tls/tls.key", "tls.key"] {
        write(key, &certificate.key_pem);
    }
    made
}

#[test]
fn the_host_takes_the_configurations_with_their_secrets_and_says_which_is_missing() {
    for path in ["deploy/scenehost.toml", "deploy/containers/scenehost.toml"] {
        let made = with_secrets(path);
        let file = made.path().join("scenehost.toml").display().to_string();
        let (code, said, errors) = run(&["check", &file]);
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{path}");
        assert!(said.contains("is right: 1 fleets, 1 domains"), "{said}");
        std::fs::remove_file(made.path().join("secrets/postgres-password")).expect("it is there");
        let (code, _, errors) = run(&["check", &file]);
        assert_eq!(code, Some(1));
        assert!(errors.contains("secrets/postgres-password cannot be read"), "{errors}");
    }
}

#[test]
fn nats_takes_its_configuration() {
    let made = with_secrets("deploy/scenehost.toml");
    let config = made.path().join("nats.conf");
    let text = read("deploy/nats.conf").replace("/etc/nats/", &format!("{}/", made.path().display()));
    std::fs::write(&config, text).expect("the folder is writable");
    let beside = Path::new("/usr/sbin/nats-server");
    let program = if beside.exists() { beside } else { Path::new("nats-server") };
    let check = |with_password: bool| {
        let mut command = Command::new(program);
        command.arg("-t").arg("-c").arg(&config).env_remove("SCENEHOST_NATS_PASSWORD");
        if with_password {
            command.env("SCENEHOST_NATS_PASSWORD", "a-secret-of-the-tests");
        }
        let output = command.output().expect("nats-server is there: on Debian, apt install nats-server");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (is_right, said) = check(true);
    assert!(is_right, "{said}");
    let (is_right, said) = check(false);
    assert!(!is_right && said.contains("SCENEHOST_NATS_PASSWORD"), "{said}");
}

#[test]
fn compose_and_kubernetes_take_their_files() {
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/check.mjs");
    let output = Command::new("node").arg(check).output().expect("Node.js is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_is_a_nodes_own_is_refused_where_there_is_no_cluster_and_where_it_is_wrong() {
    for flags in [["--roles", "auth"], ["--node", "3"], ["--node-url", "wss://node3.example.org"]] {
        let failed = Host::fails("", &flags);
        assert_eq!(failed.code, Some(1), "{}", failed.text);
        assert!(failed.text.contains("the configuration has no [cluster]: add one"), "{}", failed.text);
    }
    let node = "[store]\nkind = \"postgres\"\nurl = \"postgres://a@127.0.0.1:1/b\"\n\
                [cluster]\nnats.servers = [\"nats://127.0.0.1:1\"]\n";
    for (flags, words) in [
        (["--node", "0"], "node is 1 to 65535"),
        (["--node-url", "https://node3.example.org"], "url begins with ws:// or wss://"),
    ] {
        let failed = Host::fails(node, &flags);
        assert_eq!(failed.code, Some(1), "{}", failed.text);
        assert!(failed.text.contains(words), "{words}: {}", failed.text);
    }
    let (_, _, errors) = run(&["serve", "--config", "host.toml", "--roles", "auth,judge"]);
    assert!(errors.contains("judge") && errors.contains("scene-master"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nodes_flags_stand_above_the_configuration_that_all_have() {
    let mut cluster = Cluster::start("", &[crate::cluster::ALL]).await;
    let flags = ["--roles", "auth,scene-service", "--node", "7", "--node-url", "ws://127.0.0.1:7"];
    cluster.add_with(crate::cluster::ALL, &flags);
    let told = status(cluster.node(1)).await;
    assert_eq!(told["node"], 7);
    assert_eq!(told["roles"], serde_json::json!(["auth", "scene-service"]));
    until("the first node hears of it", async || {
        let told = status(cluster.node(0)).await;
        told["others"][0]["node"] == 7 && told["others"][0]["roles"] == serde_json::json!(["auth", "scene-service"])
    })
    .await;
}

/// All that begins as metrics do, in the texts of a string, or in all of it.
fn metrics(text: &str, before: &str) -> BTreeSet<String> {
    let mark = format!("{before}scenehost_");
    let names = text.split(&mark).skip(1).map(|rest| {
        let end = rest.find(|sign: char| !sign.is_ascii_lowercase() && !sign.is_ascii_digit() && sign != '_');
        format!("scenehost_{}", &rest[..end.unwrap_or(rest.len())])
    });
    names.collect()
}

fn sources(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("it can be read") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "tests") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.extend(metrics(&std::fs::read_to_string(&path).expect("it is text"), "\""));
        }
    }
}

#[test]
fn the_runbook_has_every_metric_and_no_alarm_needs_one_that_there_is_not() {
    let mut there = BTreeSet::new();
    sources(&folder().join(".."), &mut there);
    assert!(there.contains("scenehost_store_up") && there.len() > 50, "{there:?}");
    let told = metrics(&read("RUNBOOK.md"), "`");
    let missing: Vec<_> = there.difference(&told).collect();
    assert!(missing.is_empty(), "not in RUNBOOK.md: {missing:?}");
    let asked = metrics(&read("deploy/alerts.yml"), "");
    for (what, names) in [("RUNBOOK.md", &told), ("alerts.yml", &asked)] {
        let unknown: Vec<_> = names.difference(&there).collect();
        assert!(unknown.is_empty(), "{what} has metrics that there are not: {unknown:?}");
    }
}
