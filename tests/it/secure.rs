//! TLS at the door: both kinds of connections by wss, and a certificate that changes under them.

use std::time::{Duration, Instant};

use scenehost_client::{Encoding, v1};
use scenehost_protocol::v1::client_frame;
use scenehost_protocol::v1::server_frame::Body;
use scenehost_protocol::v1::syn_scene_ended::Reason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::host::{Host, run, until, within};
use crate::player::device;
use crate::raw::{LOBBY, Raw, find_match, join, message, ping, scene_path, sign_in};
use crate::tls::{Certificate, Files, connect};

const ECHO: &str = r#"
[server]
scenes_max = 16
scene_threads = 1
idle_ms = 2000

[fleets.echo]
plugin = "hostile"

[fleets.loud]
plugin = "hostile"
scene = { messages_per_s_max = 100000 }

[domains.solo]
fleet = "loud"
players_min = 1
players_max = 1
"#;

fn host_with(files: &Files) -> Host {
    Host::start(&format!("{ECHO}{}", files.config()))
}

type Wss = Raw<tokio_rustls::client::TlsStream<TcpStream>>;

async fn wss(host: &Host, certificate: &Certificate, path: &str) -> Wss {
    let stream = connect(host, certificate, &["http/1.1"]).await.expect("the certificate is trusted");
    Raw::over(stream, host.address(), path, Encoding::Proto).await
}

/// Signs in, is matched, and enters, all by wss.
async fn inside(host: &Host, certificate: &Certificate) -> (Wss, Wss) {
    let mut lobby = wss(host, certificate, LOBBY).await;
    let signed_in = lobby.ask(sign_in(&device(), "Ada")).await;
    assert!(matches!(signed_in, Body::ResSignIn(_)), "{signed_in:?}");
    lobby.tell(find_match("solo")).await;
    let res_match = lobby.next_that(|body| match body {
        Body::ResMatch(res_match) => Some(res_match),
        _ => None,
    });
    let v1::ResMatch { scene_id, scene_token, .. } = res_match.await;
    let mut scene = wss(host, certificate, &scene_path(&scene_id)).await;
    let joined = scene.ask(join(&scene_token)).await;
    assert!(matches!(joined, Body::ResJoinScene(_)), "{joined:?}");
    (lobby, scene)
}

async fn echo(scene: &mut Wss, body: &[u8]) {
    scene.tell(message(body)).await;
    heard(scene, body).await;
}

async fn heard(scene: &mut Wss, body: &[u8]) {
    let is_it = |it| matches!(&it, Body::SceneMessage(it) if it.body == body).then_some(());
    scene.next_that(is_it).await;
}

fn scene_ended(body: Body) -> Option<v1::SynSceneEnded> {
    match body {
        Body::SynSceneEnded(ended) => Some(ended),
        _ => None,
    }
}

#[tokio::test]
async fn lobby_and_scene_speak_tls() {
    let certificate = Certificate::new();
    let host = host_with(&Files::new(&certificate));
    let (mut lobby, mut scene) = inside(&host, &certificate).await;
    // From the smallest to more than one record of TLS; one by one, then many at once.
    for bytes in [1, 100, 16 << 10, 60 << 10] {
        echo(&mut scene, &vec![b'x'; bytes]).await;
    }
    let bodies: Vec<Vec<u8>> = (0..100_u8).map(|number| vec![number; 1 + 37 * usize::from(number)]).collect();
    let frames = bodies.iter().map(|body| scene.encoded(message(body))).collect();
    scene.send_all(frames).await.expect("the host reads");
    for body in &bodies {
        heard(&mut scene, body).await;
    }
    let pong = lobby.ask(ping(7)).await;
    assert!(matches!(pong, Body::Pong(pong) if pong.payload == 7), "{pong:?}");
    let text = String::from_utf8(vec![b'x'; 60]).expect("ASCII");
    let refused = lobby.refused(find_match(&text)).await;
    assert_eq!(refused.code(), v1::Code::Busy);

    scene.tell(client_frame::Body::ReqLeaveScene(v1::ReqLeaveScene {})).await;
    let (here, there) = (scene.next_that(scene_ended).await, lobby.next_that(scene_ended).await);
    assert_eq!((here.reason(), there.reason()), (Reason::Left, Reason::Left));
    scene.send(Message::Close(None)).await.expect("the host reads");
    let mut rest = Vec::new();
    let end = within("the end of a connection", scene.into_inner().read_to_end(&mut rest)).await;
    assert!(end.is_ok(), "the end is said in TLS, too, so nothing was cut off: {end:?}");
}

const SLOW: &str = r#"scenehost_slow_connections_total{kind="scene"}"#;
const SENT: &str = "scenehost_messages_out_total";

#[tokio::test]
async fn a_slow_reader_is_cut_off_when_too_much_waits_for_it_and_gets_it_all_when_less_does() {
    const BODY: [u8; 16 << 10] = [b'z'; 16 << 10];
    let certificate = Certificate::new();
    let host = host_with(&Files::new(&certificate));
    let (_lobby, mut scene) = inside(&host, &certificate).await;
    let mut told = 0;
    until("a reader that never reads to be cut off", async || {
        for _ in 0..16 {
            let _ = scene.send(scene.encoded(message(&BODY))).await; // It may be cut off by now.
            told += 1;
            // One at a time: the scene's inbox has a limit of its own.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        host.metrics().await.get(SLOW) == 1.0
    })
    .await;
    let took = host.metrics().await.sum(SENT) as usize;
    assert!((32..=told).contains(&took), "{took} of {told} messages until then");

    // Less than what the host keeps waits in it, behind all that the system takes.
    let (_lobby, mut scene) = inside(&host, &certificate).await;
    let count = took - 16;
    for _ in 0..count {
        scene.tell(message(&BODY)).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // A library's own ping, whose answer cannot leave either, and one more word: no reason to be cut off.
    scene.send(Message::Ping(vec![1].into())).await.expect("the host reads");
    scene.tell(message(b"and on")).await;
    until("all to be on its way", async || host.metrics().await.sum(SENT) as usize == took + count + 1).await;
    for _ in 0..count {
        heard(&mut scene, &BODY).await;
    }
    heard(&mut scene, b"and on").await;
    assert_eq!(host.metrics().await.get(SLOW), 1.0, "only the first one");
}

#[tokio::test]
async fn who_does_not_speak_tls_gets_nothing_and_frees_its_place() {
    let certificate = Certificate::new();
    let files = Files::new(&certificate);
    let host =
        Host::start(&format!("{ECHO}{}", files.config()).replacen("[server]", "[server]\nconnections_max = 1", 1));
    let mut silent = TcpStream::connect(host.address()).await.expect("the host listens");
    let began = Instant::now();
    let mut read = Vec::new();
    let _ = within("the host to lose its patience", silent.read_to_end(&mut read)).await;
    assert!(began.elapsed() >= Duration::from_millis(1_900), "it had its time: {:?}", began.elapsed());
    assert_eq!(read, b"");

    let mut plain = TcpStream::connect(host.address()).await.expect("the host listens");
    plain.write_all(b"GET / HTTP/1.1\r\nhost: host\r\n\r\n").await.expect("it can be sent");
    let _ = within("the host to hang up", plain.read_to_end(&mut read)).await;
    assert!(!read.starts_with(b"HTTP"), "an answer without TLS: {read:?}");

    connect(&host, &certificate, &["h2"]).await.expect_err("WebSockets are opened over HTTP/1.1");
    connect(&host, &Certificate::new(), &[]).await.expect_err("another certificate");
    let mut first = None;
    until("the place to be free", async || {
        let mut stream = connect(&host, &certificate, &[]).await.expect("it is trusted");
        stream.write_all(b"GET / HTTP/1.1\r\nhost: host\r\n\r\n").await.expect("the host reads");
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.expect("the host answers");
        first = Some(stream);
        status == *b"HTTP/1.1 404"
    })
    .await;
    let mut second = connect(&host, &certificate, &[]).await.expect("who is turned away is told so in TLS");
    let mut told = String::new();
    let _ = within("the host to hang up", second.read_to_string(&mut told)).await;
    assert!(told.starts_with("HTTP/1.1 503 ") && told.ends_with("try again in a moment\n"), "{told}");
    drop(first);
}

#[tokio::test]
async fn a_certificate_is_changed_under_connections_that_go_on() {
    let [first, second, third] = [Certificate::new(), Certificate::new(), Certificate::new()];
    let files = Files::new(&first);
    let host = host_with(&files);
    let (mut lobby, mut scene) = inside(&host, &first).await;

    files.replace(&second);
    host.hang_up();
    until("the new certificate", async || connect(&host, &second, &[]).await.is_ok()).await;
    connect(&host, &first, &[]).await.expect_err("new connections see the new one");

    // A file that is not right: the one before is served on, and the log says why.
    files.write(&files.chain(), "no certificate");
    host.hang_up();
    let message = "the new certificate is not right: the one before it is served on";
    until("a complaint", async || !host.logged(message).is_empty()).await;
    let complaint = host.logged(message)[0]["fields"]["error"].to_string();
    assert!(complaint.contains("chain.pem holds no certificate"), "{complaint}");
    connect(&host, &second, &[]).await.expect("it is served on");

    // Nobody tells the host: it looks by itself.
    files.replace(&third);
    until("the third certificate", async || connect(&host, &third, &[]).await.is_ok()).await;

    echo(&mut scene, b"still here").await;
    let pong = lobby.ask(ping(1)).await;
    assert!(matches!(pong, Body::Pong(_)), "{pong:?}");
    let (mut lobby, _scene) = inside(&host, &third).await;
    assert!(matches!(lobby.ask(ping(2)).await, Body::Pong(_)));
}

#[test]
fn files_that_are_no_certificate_are_refused_with_their_names() {
    let (certificate, other) = (Certificate::new(), Certificate::new());
    let (chain, key) = (certificate.chain_pem.as_str(), certificate.key_pem.as_str());
    let broken = chain.replacen("MII", "M!!", 1);
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let no_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (chain, key, words) in [
        (key, key, ["chain.pem", "holds no certificate"]),
        ("", key, ["chain.pem", "holds no certificate"]),
        (&broken, key, ["chain.pem", "is no PEM file"]),
        (no_der, key, ["chain.pem", "the certificate in"]),
        (chain, chain, ["key.pem", "holds no private key"]),
        (chain, no_key, ["key.pem", "the private key in"]),
        (chain, &other.key_pem, ["key.pem", "is not that of the first certificate in"]),
    ] {
        let files = Files::new(&certificate);
        files.write(&files.chain(), chain);
        files.write(&files.key(), key);
        refused(&files, &words);
    }
    let files = Files::new(&certificate);
    std::fs::remove_file(files.key()).expect("it was there");
    refused(&files, &["key.pem", "cannot be read"]);
}

/// Both `scenehost check` and `scenehost serve` refuse these files in these words.
#[track_caller]
fn refused(files: &Files, words: &[&str]) {
    let config = format!("{ECHO}{}", files.config());
    let path = files.chain().with_file_name("host.toml");
    std::fs::write(&path, &config).expect("the folder is writable");
    let (code, _, checked) = run(&["check", path.to_str().expect("it is UTF-8")]);
    let served = Host::fails(&config, &[]);
    assert_eq!((code, served.code), (Some(1), Some(1)), "{checked}");
    for text in [checked, served.text] {
        for word in ["[server.tls]"].iter().chain(words) {
            assert!(text.contains(word), "{word:?} should be in {text:?}");
        }
    }
}
