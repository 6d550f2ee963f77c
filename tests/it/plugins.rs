//! The registry of plugins: uploads while the host runs, versions side by side, canaries, changes of running scenes,
//! and everything that is refused.

use std::path::PathBuf;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use scenehost_client::LobbyEvent;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::fleets::call;
use crate::host::{Host, OPS_TOKEN, http_bytes, plugins, until, within};
use crate::player::{gather, matched, refusal, sign_in};

const CONFIG: &str = r#"
[server]
scenes_max = 64
scene_threads = 2

[ops]
tokens = { ada = "a-token-of-adas-own-tool" }

[fleets.echo]
plugin = "hostile"

[domains.pair]
fleet = "echo"
players_min = 2
players_max = 2
"#;

/// A component of the tests, made another one by a section that means nothing.
pub fn component(name: &str, stamp: &str) -> Vec<u8> {
    let mut bytes = std::fs::read(plugins().join(format!("{name}.wasm"))).expect("it was built");
    if !stamp.is_empty() {
        let section = [&[5][..], b"stamp", stamp.as_bytes()].concat();
        let size = u8::try_from(section.len()).expect("a short stamp");
        bytes.extend([0, size]);
        bytes.extend(section);
    }
    bytes
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn upload_with(host: &Host, path: &str, headers: &[(&str, &str)], bytes: &[u8]) -> (u16, Value) {
    let (head, body) = http_bytes(host.ops_address(), "POST", path, headers, bytes).await;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, serde_json::from_slice(&body).expect("JSON"))
}

pub async fn upload(host: &Host, path: &str, bytes: &[u8]) -> (u16, Value) {
    let bearer = format!("Bearer {OPS_TOKEN}");
    upload_with(host, path, &[("authorization", &bearer)], bytes).await
}

/// A version of a plugin, the number of which is expected.
pub async fn version(host: &Host, plugin: &str, bytes: &[u8], number: u32) {
    let (status, version) = upload(host, &format!("/v1/plugins/{plugin}/versions"), bytes).await;
    assert_eq!((status, &version["version"]), (201, &json!(number)), "{version}");
}

pub async fn activate(host: &Host, plugin: &str, what: Value) -> Value {
    let (status, shown) = call(host, "POST", &format!("/v1/plugins/{plugin}/active"), &what).await;
    assert_eq!(status, 200, "{shown}");
    shown
}

pub async fn show(host: &Host, plugin: &str) -> Value {
    let (status, shown) = call(host, "GET", &format!("/v1/plugins/{plugin}"), &Value::Null).await;
    assert_eq!(status, 200, "{shown}");
    shown
}

/// How many scenes run with each version.
pub async fn scenes(host: &Host, plugin: &str) -> Vec<u64> {
    let shown = show(host, plugin).await;
    let versions = shown["versions"].as_array().expect("versions");
    versions.iter().map(|version| version["scenes"].as_u64().expect("a number")).collect()
}

pub async fn until_scenes(host: &Host, plugin: &str, expected: &[u64]) {
    until(&format!("{expected:?} scenes by version"), async || scenes(host, plugin).await == expected).await;
}

fn stored(host: &Host, bytes: &[u8]) -> PathBuf {
    host.data_dir().join("plugins").join(format!("{}.wasm", digest(bytes)))
}

#[tokio::test]
async fn an_upload_is_a_version_and_runs_once_it_is_active_and_all_of_it_survives_a_kill() {
    let mut host = Host::start(CONFIG);
    let (first, second) = (component("hostile", "1"), component("hostile", "2"));
    let ada = [("authorization", "Bearer a-token-of-adas-own-tool")];
    let path = "/v1/plugins/hostile/versions?label=first%20try";
    let (status, shown) = upload_with(&host, path, &ada, &first).await;
    assert_eq!(status, 201, "{shown}");
    assert_eq!(shown["digest"], json!(digest(&first)));
    assert_eq!((&shown["by"], &shown["label"]), (&json!("ada"), &json!("first try")));
    assert_eq!((&shown["kind"], &shown["publisher"]), (&json!("scene"), &Value::Null));
    assert_eq!(shown["imports"], json!(["scenehost:scene/diagnostics@0.3.0"]));
    assert_eq!(shown["scratch"]["steps"], json!(64));
    assert!(shown["scratch"]["snapshot_bytes"].as_u64() > Some(0), "{shown}");
    let (status, again) = upload(&host, path, &first).await;
    assert_eq!((status, &again["version"], &again["by"]), (200, &json!(1), &json!("ada")), "the same bytes");

    // What is not active is not used: the fleet runs the file.
    let mut players = gather(&host, "pair", 2).await;
    players[0].echo("of the file").await;
    assert_eq!(scenes(&host, "hostile").await, [0]);
    let shown = activate(&host, "hostile", json!({"version": 1})).await;
    assert_eq!((&shown["active"], &shown["fleets"]), (&json!(1), &json!(["echo"])));
    let mut others = gather(&host, "pair", 2).await;
    others[0].echo("of version 1").await;
    assert_eq!(scenes(&host, "hostile").await, [1]);
    let (status, _) = upload(&host, "/v1/plugins/hostile/versions?activate=true", &second).await;
    assert_eq!(status, 201);
    let mut third = gather(&host, "pair", 2).await;
    third[0].echo("of version 2").await;
    assert_eq!(scenes(&host, "hostile").await, [1, 1], "those that run keep theirs");
    players[1].echo("of the file still").await;
    others[1].echo("of version 1 still").await;

    host.kill9();
    let (is_right, said) = host.store(&["check"]);
    assert!(is_right, "{said}");
    host.restart();
    let shown = show(&host, "hostile").await;
    assert_eq!((&shown["active"], shown["versions"].as_array().map(Vec::len)), (&json!(2), Some(2)));
    assert_eq!(host.metrics().await.get(r#"scenehost_component_code_total{outcome="compiled"}"#), 0.0);
    assert!(host.metrics().await.get(r#"scenehost_component_code_total{outcome="loaded"}"#) > 0.0);
    gather(&host, "pair", 2).await;
    until_scenes(&host, "hostile", &[0, 1]).await;

    let (status, shown) = call(&host, "POST", "/v1/plugins/hostile/rollback", &Value::Null).await;
    assert_eq!((status, &shown["active"]), (200, &json!(1)), "{shown}");
    gather(&host, "pair", 2).await;
    until_scenes(&host, "hostile", &[1, 1]).await;
    let (status, refused) = call(&host, "POST", "/v1/plugins/hostile/rollback", &json!({})).await;
    assert_eq!((status, &refused["kind"]), (409, &json!("none_before")));

    let bearer = format!("Bearer {OPS_TOKEN}");
    let headers = [("authorization", bearer.as_str())];
    let path = "/v1/plugins/hostile/versions/2/component";
    let (_, bytes) = http_bytes(host.ops_address(), "GET", path, &headers, b"").await;
    assert!(bytes == second, "what was uploaded comes back");
}

#[tokio::test]
async fn a_canary_gets_its_share_of_new_scenes() {
    let host =
        Host::start(&CONFIG.replace("plugin = \"hostile\"", "plugin = \"hostile\"\nscene = { start = \"hand\" }"));
    version(&host, "hostile", &component("hostile", "1"), 1).await;
    version(&host, "hostile", &component("hostile", "2"), 2).await;
    activate(&host, "hostile", json!({"version": 1})).await;
    let shown = activate(&host, "hostile", json!({"version": 2, "percent": 25})).await;
    assert_eq!((&shown["active"], &shown["canary"]), (&json!(1), &json!({"version": 2, "percent": 25})));
    let (status, made) = call(&host, "POST", "/v1/scenes", &json!({"fleet": "echo", "count": 20})).await;
    assert_eq!((status, &made["created"]), (200, &json!(20)), "{made}");
    until_scenes(&host, "hostile", &[15, 5]).await;
    let (_, fleet) = call(&host, "GET", "/v1/fleets/echo", &Value::Null).await;
    assert_eq!((&fleet["of_canary"], &fleet["of_other_builds"]), (&json!(5), &json!(0)));
    assert_eq!(fleet["canary"]["percent"], json!(25));
    // It did well: it becomes the active one, and those that wait for use are replaced.
    let shown = activate(&host, "hostile", json!({"version": 2, "percent": 100})).await;
    assert_eq!((&shown["active"], &shown["canary"]), (&json!(2), &Value::Null));
    until_scenes(&host, "hostile", &[0, 5]).await;
    for (what, kind) in [
        (json!({"version": 2, "percent": 10}), "wrong"),
        (json!({"version": 1, "percent": 0}), "wrong"),
        (json!({"version": 1, "percent": 10, "swap": true}), "wrong"),
        (json!({"version": 7}), "not_found"),
    ] {
        let (_, refused) = call(&host, "POST", "/v1/plugins/hostile/active", &what).await;
        assert_eq!(refused["kind"], json!(kind), "{what}: {refused}");
    }
}

#[tokio::test]
async fn running_scenes_change_their_version_and_their_players_notice_nothing() {
    let host = Host::start(CONFIG);
    version(&host, "hostile", &component("hostile", "1"), 1).await;
    activate(&host, "hostile", json!({"version": 1})).await;
    let mut players = gather(&host, "pair", 2).await;
    let mut others = gather(&host, "pair", 2).await;
    players[0].echo("before").await;
    others[0].echo("before").await;
    version(&host, "hostile", &component("hostile", "2"), 2).await;
    let shown = activate(&host, "hostile", json!({"version": 2, "swap": true})).await;
    assert_eq!(shown["swap"], json!({"asked": 2}));
    // A game that steps only when something happens changes with that.
    until("both to change", async || {
        for player in players.iter_mut().chain(&mut others) {
            player.echo("after").await;
        }
        scenes(&host, "hostile").await == [0, 2]
    })
    .await;
    let swapped = r#"scenehost_swaps_total{plugin="hostile",outcome="swapped"}"#;
    assert_eq!(host.metrics().await.get(swapped), 2.0);
    until("SceneMaster to know", async || {
        call(&host, "GET", "/v1/fleets/echo", &Value::Null).await.1["of_other_builds"] == json!(0)
    })
    .await;
    let (_, shown) = call(&host, "POST", "/v1/plugins/hostile/rollback", &json!({"swap": true})).await;
    assert_eq!(shown["swap"], json!({"asked": 2}));
    until("both to change back", async || {
        players[1].echo("back").await;
        others[1].echo("back").await;
        scenes(&host, "hostile").await == [2, 0]
    })
    .await;

    // A version that cannot go on from what the one before was: everybody stays, and the log says why.
    version(&host, "hostile", &component("gomoku", ""), 3).await;
    let shown = activate(&host, "hostile", json!({"version": 3, "swap": true})).await;
    assert_eq!(shown["swap"], json!({"asked": 2}));
    let kept = r#"scenehost_swaps_total{plugin="hostile",outcome="kept"}"#;
    until("both to stay", async || host.metrics().await.get(kept) == 2.0).await;
    for player in players.iter_mut().chain(&mut others) {
        player.echo("as ever").await;
    }
    assert_eq!(scenes(&host, "hostile").await, [2, 0, 0]);
    let lines = host.logged("a scene keeps its version");
    assert!(lines[0]["fields"]["reason"].as_str().is_some_and(|reason| reason.contains("cannot go on from it")));
}

#[tokio::test]
async fn a_scene_that_begins_anew_keeps_its_version() {
    let config = CONFIG.replace(
        "plugin = \"hostile\"",
        "plugin = \"hostile\"\nconfiguration = { misbehave = \"trap\", when = \"message\" }",
    );
    let host = Host::start(&config);
    for number in 1..=4 {
        version(&host, "hostile", &component("hostile", &number.to_string()), number).await;
    }
    activate(&host, "hostile", json!({"version": 1})).await;
    let players = gather(&host, "pair", 2).await;
    until_scenes(&host, "hostile", &[1, 0, 0, 0]).await;
    for number in 2..=4 {
        activate(&host, "hostile", json!({"version": number})).await;
    }
    players[0].scene.send("fail".to_owned()).await.expect("its connection is open");
    until("it to begin anew", async || host.metrics().await.sum("scenehost_scenes_started_total") == 2.0).await;
    until_scenes(&host, "hostile", &[1, 0, 0, 0]).await;
}

#[tokio::test]
async fn what_is_not_right_is_refused_with_what_to_do_and_leaves_nothing() {
    let host = Host::start(&format!("{CONFIG}\n[plugins]\nupload_bytes_max = 4000000\nversions_max = 2\n"));
    let right = component("hostile", "1");
    let versions = "/v1/plugins/hostile/versions";
    let core = wasm_core_module();
    let import = component("hostile-import", "");
    let large = vec![0; 4_000_001];
    let (cut, text) = (&right[..right.len() / 2], b"(component)");
    for (bytes, status, kind, hint) in [
        (&b"\x7fELF\x02\x01\x01 native code"[..], 422, "precompiled", "upload the WebAssembly component"),
        (&core, 422, "core_module", "scenectl build"),
        (&import, 422, "undeclared_import", "the only import is"),
        (cut, 422, "invalid", "not valid"),
        (text, 422, "not_webassembly", "scenectl build"),
        (b"", 422, "not_webassembly", "scenectl build"),
        (&large, 413, "too_large", "release mode"),
    ] {
        let (got, refused) = upload(&host, versions, bytes).await;
        assert_eq!((got, &refused["kind"]), (status, &json!(kind)), "{refused}");
        assert!(refused["error"].as_str().is_some_and(|text| text.contains(hint)), "{refused}");
    }
    for (path, status, kind) in [
        ("/v1/plugins/no.name/versions", 422, "wrong"),
        (&format!("{versions}?label={}", "x".repeat(200)), 422, "wrong"),
    ] {
        let (got, refused) = upload(&host, path, &right).await;
        assert_eq!((got, &refused["kind"]), (status, &json!(kind)), "{refused}");
    }
    let (status, _) = upload_with(&host, versions, &[], &right).await;
    assert_eq!(status, 401);
    let (status, _) = upload_with(&host, versions, &[("authorization", "Bearer wrong")], &right).await;
    assert_eq!(status, 401);
    let (_, all) = call(&host, "GET", "/v1/plugins", &Value::Null).await;
    assert_eq!(all, json!({"plugins": []}));
    assert_eq!(std::fs::read_dir(host.data_dir().join("plugins")).expect("it is there").count(), 0);

    version(&host, "hostile", &right, 1).await;
    let (status, refused) = upload(&host, versions, &component("squads-rule", "")).await;
    assert_eq!((status, &refused["kind"]), (422, &json!("other_kind")), "{refused}");
    version(&host, "hostile", &component("hostile", "2"), 2).await;
    let (status, refused) = upload(&host, versions, &component("hostile", "3")).await;
    assert_eq!((status, &refused["kind"]), (409, &json!("full")), "{refused}");
    let refused = |line: &&Value| line["fields"]["refused"].is_string();
    // The log is read while the host writes it.
    until("the refusals in the log", async || {
        host.logged("an operator uploads a plugin").iter().filter(refused).count() == 11
    })
    .await;
    let audited = host.logged("an operator uploads a plugin");
    assert!(audited.iter().all(|line| line["target"] == "audit" && line["fields"]["by"] == "ops"), "{audited:?}");
}

/// The smallest one.
fn wasm_core_module() -> Vec<u8> {
    b"\0asm\x01\0\0\0".to_vec()
}

#[tokio::test]
async fn more_uploads_than_a_few_at_once_are_refused_until_others_are_done() {
    let host = Host::start(CONFIG);
    let right = component("hostile", "1");
    let begun = format!(
        "POST /v1/plugins/hostile/versions HTTP/1.1\r\nhost: it\r\nauthorization: Bearer {OPS_TOKEN}\r\n\
         content-length: {}\r\n\r\n",
        right.len()
    );
    let path = "/v1/plugins/hostile/versions";
    let mut slow = Vec::new();
    until("the places to be taken", async || {
        let mut stream = TcpStream::connect(host.ops_address()).await.expect("the host listens");
        stream.write_all(begun.as_bytes()).await.expect("the host reads");
        slow.push(stream);
        upload(&host, path, b"no component").await.0 == 429
    })
    .await;
    let (_, refused) = upload(&host, path, &right).await;
    assert_eq!(refused["kind"], json!("busy"), "{refused}");
    drop(slow);
    until("a place to be free", async || upload(&host, path, &right).await.0 == 201).await;
}

#[tokio::test]
async fn a_version_goes_when_nobody_uses_it() {
    let host = Host::start(CONFIG);
    let bytes = ["1", "2", "3"].map(|stamp| component("hostile", stamp));
    for (number, bytes) in (1..).zip(&bytes) {
        version(&host, "hostile", bytes, number).await;
    }
    activate(&host, "hostile", json!({"version": 1})).await;
    let players = gather(&host, "pair", 2).await;
    activate(&host, "hostile", json!({"version": 2})).await;
    activate(&host, "hostile", json!({"version": 3, "percent": 1})).await;
    let path = |number: u32| format!("/v1/plugins/hostile/versions/{number}");
    for (number, why) in [(1, "1 scenes run with it"), (2, "it is the active one"), (3, "it is the canary")] {
        let (status, refused) = call(&host, "DELETE", &path(number), &Value::Null).await;
        assert_eq!((status, &refused["kind"]), (409, &json!("in_use")), "{refused}");
        assert!(refused["error"].as_str().is_some_and(|text| text.contains(why)), "{refused}");
    }
    for player in players {
        player.scene.leave().await.expect("they may leave");
    }
    until_scenes(&host, "hostile", &[0, 0, 0]).await;
    assert!(stored(&host, &bytes[0]).exists());
    assert_eq!(call(&host, "DELETE", &path(1), &Value::Null).await.0, 204);
    assert!(!stored(&host, &bytes[0]).exists() && stored(&host, &bytes[1]).exists());
    assert_eq!(call(&host, "DELETE", &path(1), &Value::Null).await.0, 404);
    let (status, refused) = call(&host, "POST", "/v1/plugins/hostile/rollback", &Value::Null).await;
    assert_eq!((status, &refused["kind"]), (409, &json!("none_before")), "what was active before is gone");
    version(&host, "hostile", &bytes[0], 4).await;
}

#[tokio::test]
async fn damage_to_what_is_stored_is_found_and_named_and_mended_by_the_same_upload() {
    let mut host = Host::start(CONFIG);
    let bytes = ["1", "2", "3"].map(|stamp| component("hostile", stamp));
    for (number, bytes) in (1..).zip(&bytes) {
        version(&host, "hostile", bytes, number).await;
    }
    activate(&host, "hostile", json!({"version": 1})).await;
    activate(&host, "hostile", json!({"version": 2})).await;
    let damage = |bytes: &[u8]| {
        let mut wrong = bytes.to_vec();
        wrong[1_000] ^= 1;
        std::fs::write(stored(&host, bytes), wrong).expect("it is there");
    };
    damage(&bytes[1]);
    damage(&bytes[2]);
    let path = "/v1/plugins/hostile/versions/3/component";
    let named = |refused: &Value| {
        let text = refused["error"].as_str().unwrap_or_default();
        text.contains(&digest(&bytes[2])) && text.contains("SHA-256") && refused["kind"] == json!("damaged")
    };
    let (status, refused) = call(&host, "GET", path, &Value::Null).await;
    assert!(status == 500 && named(&refused), "{refused}");
    let (status, refused) = call(&host, "POST", "/v1/plugins/hostile/active", &json!({"version": 3})).await;
    assert!(status == 500 && named(&refused), "{refused}");
    assert_eq!(show(&host, "hostile").await["active"], json!(2), "nothing has changed");
    // A host that starts does so with what was active before, and says so.
    host.kill9();
    host.restart();
    let lines = host.logged("the active version cannot be used: one that was before it is");
    assert!(lines[0]["fields"]["error"].as_str().is_some_and(|text| text.contains(&digest(&bytes[1]))), "{lines:?}");
    gather(&host, "pair", 2).await;
    until_scenes(&host, "hostile", &[1, 0, 0]).await;
    let (status, there) = upload(&host, "/v1/plugins/hostile/versions", &bytes[1]).await;
    assert_eq!((status, &there["version"]), (200, &json!(2)));
    activate(&host, "hostile", json!({"version": 2})).await;
    gather(&host, "pair", 2).await;
    until_scenes(&host, "hostile", &[1, 1, 0]).await;
}

#[tokio::test]
async fn where_uploads_have_to_be_signed_only_publishers_can() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("32 bytes are a seed");
    let key = BASE64_STANDARD.encode(pair.public_key().as_ref());
    let host =
        Host::start(&format!("{CONFIG}\n[plugins]\nsignatures = \"required\"\npublishers = {{ ada = \"{key}\" }}\n"));
    let bytes = component("hostile", "1");
    let sign = |bytes: &[u8]| BASE64_STANDARD.encode(pair.sign(&Sha256::digest(bytes)));
    let (right, other) = (sign(&bytes), sign(b"another component"));
    let bearer = format!("Bearer {OPS_TOKEN}");
    let try_with = async |publisher: Option<&str>, signature: Option<&str>| {
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(publisher.map(|it| ("x-scenehost-publisher", it)));
        headers.extend(signature.map(|it| ("x-scenehost-signature", it)));
        upload_with(&host, "/v1/plugins/hostile/versions", &headers, &bytes).await
    };
    for (publisher, signature, kind) in [
        (None, None, "unsigned"),
        (Some("ada"), None, "unsigned"),
        (Some("eve"), Some(right.as_str()), "unknown_publisher"),
        (Some("ada"), Some(other.as_str()), "bad_signature"),
        (Some("ada"), Some("nonsense"), "bad_signature"),
    ] {
        let (status, refused) = try_with(publisher, signature).await;
        assert_eq!((status, &refused["kind"]), (403, &json!(kind)), "{refused}");
    }
    let (status, version) = try_with(Some("ada"), Some(&right)).await;
    assert_eq!((status, &version["publisher"]), (201, &json!("ada")), "{version}");
    let wrong = Host::fails(&format!("{CONFIG}\n[plugins]\nsignatures = \"required\"\n"), &[]);
    assert!(wrong.code == Some(1) && wrong.text.contains("needs publishers"), "{}", wrong.text);
}

#[tokio::test]
async fn a_rule_of_matching_is_a_plugin_too_and_changes_while_users_wait() {
    let host = Host::start(CONFIG);
    version(&host, "gate", &component("hostile-rule", "1"), 1).await;
    let shown = show(&host, "gate").await;
    assert_eq!((&shown["kind"], &shown["versions"][0]["kind"]), (&json!("match-rule"), &json!("match-rule")));
    let night = |configuration: Value| {
        let rule = json!({"plugin": "gate", "configuration": configuration});
        json!({"fleet": "echo", "players_min": 2, "players_max": 2, "rule": rule})
    };
    let (status, refused) = call(&host, "PUT", "/v1/domains/night", &night(json!({}))).await;
    assert_eq!(status, 422, "no version is active, and there is no file: {refused}");
    activate(&host, "gate", json!({"version": 1})).await;
    assert_eq!(call(&host, "PUT", "/v1/domains/night", &night(json!({}))).await.0, 204);
    assert_eq!(show(&host, "gate").await["domains"], json!(["night"]));

    let (ada, bob) = (sign_in(&host, "Ada").await, sign_in(&host, "Bob").await);
    version(&host, "gate", &component("hostile-rule", "2"), 2).await;
    let change = async {
        while ada.next().await.is_none_or(|event| !matches!(event, LobbyEvent::MatchState(_))) {}
        activate(&host, "gate", json!({"version": 2, "swap": true})).await;
        bob.find_match("night").await
    };
    let (of_ada, of_bob) = within("the match", async { tokio::join!(ada.find_match("night"), change) }).await;
    assert_eq!(of_ada.expect("a way in").scene_id, of_bob.expect("a way in").scene_id);
    assert_eq!(show(&host, "gate").await["active"], json!(2));

    // One that does not take what a domain configures is not taken, and the one before stays.
    assert_eq!(call(&host, "PUT", "/v1/domains/night", &night(json!({"refuse": "not tonight"}))).await.0, 204);
    version(&host, "gate", &component("squads-rule", ""), 3).await;
    let (status, refused) = call(&host, "POST", "/v1/plugins/gate/active", &json!({"version": 3})).await;
    assert_eq!((status, &refused["kind"]), (422, &json!("not_usable")), "{refused}");
    assert!(refused["error"].as_str().is_some_and(|text| text.contains("domains.night.rule")), "{refused}");
    let eve = sign_in(&host, "Eve").await;
    assert!(refusal(eve.find_match("night").await).text.contains("not tonight"));
    let (status, refused) = call(&host, "POST", "/v1/plugins/gate/active", &json!({"version": 1, "percent": 10})).await;
    assert_eq!((status, &refused["kind"]), (422, &json!("wrong")), "{refused}");
    assert_eq!(matched(&[sign_in(&host, "Fay").await, sign_in(&host, "Gus").await], "pair").await.len(), 2);
}
