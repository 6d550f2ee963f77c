//! What scenes have written, and how they failed, for those who make games: `GET /v1/logs`.

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::host::{Host, OPS_TOKEN, until, within};
use crate::player::gather;

const CONFIG: &str = r#"
[fleets.traps]
plugin = "hostile"
configuration = { misbehave = "trap" }
scene = { on_crash = "end" }

[fleets.writes]
plugin = "hostile"
configuration = { misbehave = "log" }

[domains.traps]
fleet = "traps"
players_min = 2
players_max = 2

[domains.writes]
fleet = "writes"
players_min = 2
players_max = 2
"#;

/// The lines that a query gives.
async fn lines(host: &Host, query: &str) -> Vec<Value> {
    let bearer = format!("Bearer {OPS_TOKEN}");
    let answer = host.ops("GET", &format!("/v1/logs?{query}"), &[("authorization", &bearer)], "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    // The others are the lengths of the parts that it came in.
    let lines = answer.body.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

#[tokio::test]
async fn failures_and_lines_are_there_with_their_tick_and_can_be_filtered() {
    let host = Host::start(CONFIG);
    let trapping = gather(&host, "traps", 2).await;
    let writing = gather(&host, "writes", 2).await;
    trapping[0].scene.send("go").await.expect("it is open");
    writing[0].scene.send("go").await.expect("it is open");
    until("both have logged", async || lines(&host, "").await.len() > 3).await;

    let failures = lines(&host, "level=error&fleet=traps").await;
    let failure = failures.iter().find(|line| line["kind"] == "trap").expect("the failure is a line");
    assert_eq!((&failure["plugin"], &failure["fleet"]), (&"hostile".into(), &"traps".into()));
    let tick = failure["tick"].as_u64();
    assert!(tick.is_some_and(|tick| (1..=2).contains(&tick)), "after the step, or the two, in which both came in");
    let text = failure["text"].as_str().expect("a text");
    assert!(text.contains("as it was told to") && text.contains("hostile::"), "the panic and where it was: {text}");

    let written = lines(&host, "fleet=writes").await;
    assert!(written.iter().all(|line| line["tick"] == written[0]["tick"] && line["fleet"] == "writes"), "{written:?}");
    let last = written.last().expect("there are some")["text"].as_str().expect("a text");
    assert!(last.contains("lines past the limit of a step were dropped"), "{last}");

    let scene = failure["scene"].as_str().expect("an id");
    assert!(lines(&host, &format!("scene={scene}")).await.iter().all(|line| line["scene"] == scene));
    let digest = failure["digest"].as_str().expect("a digest");
    assert_eq!(lines(&host, &format!("version={}", &digest[..12])).await, lines(&host, "").await);
    assert!(lines(&host, "version=00000000").await.is_empty());
    let seq = failure["seq"].as_u64().expect("a number");
    assert!(lines(&host, &format!("after={seq}")).await.iter().all(|line| line["seq"].as_u64() > Some(seq)));
}

#[tokio::test]
async fn logs_need_the_token_and_a_query_that_is_right() {
    let host = Host::start(CONFIG);
    assert_eq!(host.ops("GET", "/v1/logs", &[], "").await.status, 401);
    let bearer = format!("Bearer {OPS_TOKEN}");
    for query in ["level=loud", "scene=here", "version=xyz", "since=yesterday", "after=-1"] {
        let answer = host.ops("GET", &format!("/v1/logs?{query}"), &[("authorization", &bearer)], "").await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.body);
    }
}

#[tokio::test]
async fn who_follows_gets_what_comes() {
    let host = Host::start(CONFIG);
    let mut followed = follow(&host).await;
    let players = gather(&host, "traps", 2).await;
    players[0].scene.send("go").await.expect("it is open");
    let mut text = String::new();
    within("the failure", async {
        while !text.contains("\"kind\":\"trap\"") {
            let mut part = [0; 4_096];
            let len = followed.read(&mut part).await.expect("the connection stands");
            assert!(len > 0, "the answer stays open: {text}");
            text += &String::from_utf8_lossy(&part[..len]);
        }
    })
    .await;
}

#[tokio::test]
async fn only_so_many_may_follow() {
    let host = Host::start(CONFIG);
    let mut following = Vec::new();
    for _ in 0..16 {
        following.push(follow(&host).await);
    }
    let bearer = format!("Bearer {OPS_TOKEN}");
    let answer = host.ops("GET", "/v1/logs?follow=true", &[("authorization", &bearer)], "").await;
    assert_eq!(answer.status, 429, "{}", answer.body);
    following.pop();
    until("the place of the one who has gone", async || {
        following.extend(try_follow(&host).await);
        following.len() == 16
    })
    .await;
}

/// A connection on which an open answer has begun.
async fn follow(host: &Host) -> TcpStream {
    try_follow(host).await.expect("there is room for one who follows")
}

async fn try_follow(host: &Host) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(host.ops_address()).await.expect("the host listens");
    let head = format!("GET /v1/logs?follow=true HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {OPS_TOKEN}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("the host reads");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("an answer begins"));
    }
    head.starts_with(b"HTTP/1.1 200").then_some(stream)
}
