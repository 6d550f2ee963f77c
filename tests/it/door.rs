//! The door between the network and the host: deadlines, sizes, limits per address, proxies, and ten
//! thousand connections at once. What is too slow, too much or too large is refused with a reason, and
//! others are served.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use scenehost_client::{Encoding, v1};
use scenehost_protocol::v1::server_frame;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::host::{Host, alone, http, until, within};
use crate::keep_alive::KeepAlive;
use crate::player::{device, enter, matched, sign_in};
use crate::raw::{LOBBY, Raw, ping, scene_path, sign_in as req_sign_in, upgrade};

const PAGE: &str = include_str!("../../sdk/protocol/README.md");
const SIGN_IN: &str = "/v1/auth/sign-in";
const SERVER_KEY: &str = "a-server-key-of-the-tests-32-chars";

/// A host with a scene that echoes for one, and these settings of its server.
fn config(server: &str) -> String {
    format!(
        r#"
[server]
scenes_max = 16
scene_threads = 1
{server}

[auth]
server_key = "{SERVER_KEY}"

[fleets.echo]
plugin = "hostile"

[domains.solo]
fleet = "echo"
players_min = 1
players_max = 1
"#
    )
}

fn guest() -> Value {
    json!({ "guest": { "deviceId": device() } })
}

async fn connect(host: &Host) -> TcpStream {
    within("a connection", TcpStream::connect(host.address())).await.expect("the host listens")
}

/// What comes until the host hangs up. It may do so before it has read everything.
async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = within("the host to hang up", stream.read_to_end(&mut bytes)).await;
    String::from_utf8(bytes).expect("the host answers in UTF-8")
}

/// Sends the bytes of a request, and takes what comes until the host hangs up.
async fn send(host: &Host, request: &[u8]) -> String {
    let mut stream = connect(host).await;
    let _ = within("a request to leave", stream.write_all(request)).await; // The host may hang up early.
    rest(stream).await
}

/// A status that was answered; if it refuses, the page tells what it means.
fn named(status: u16) -> u16 {
    if status >= 400 {
        on_the_page(&format!("| {status} |"));
    }
    status
}

/// The page has this, for example the row of a limit that was just met.
fn on_the_page(text: &str) {
    assert!(PAGE.contains(text), "the page lacks {text}");
}

/// The status in the head of an answer.
fn status(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    named(status.unwrap_or_else(|| panic!("no status: {answer:?}")))
}

/// The refusal in an answer.
fn refused(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

fn post(body: &str, headers: &str) -> String {
    format!("POST {SIGN_IN} HTTP/1.1\r\nhost: host\r\nconnection: close\r\n{headers}\r\n{body}")
}

/// Sends one byte after the other, with pauses, until the host has hung up.
async fn dribble(mut stream: TcpStream, text: &str, pause: Duration) -> String {
    let (mut reader, mut writer) = stream.split();
    let mut answer = String::new();
    let mut reading = Box::pin(reader.read_to_string(&mut answer));
    within("the host to lose its patience", async {
        for byte in text.bytes() {
            if writer.write_all(&[byte]).await.is_err() {
                break;
            }
            if tokio::time::timeout(pause, &mut reading).await.is_ok() {
                return;
            }
        }
        let _ = reading.await; // However it ends.
    })
    .await;
    answer
}

// Slow and silent clients

#[tokio::test]
async fn clients_that_say_nothing_or_too_little_lose_their_places() {
    let host = Host::start(&config("connections_max = 4\nidle_ms = 2000"));
    let began = Instant::now();
    let silent = connect(&host).await;
    let slow_head = connect(&host).await;
    let mut half_head = connect(&host).await;
    half_head.write_all(b"GET / HTTP/1.1\r\nhost: ").await.expect("the host reads");
    let mut kept = KeepAlive::connect(host.address()).await;
    assert_eq!(kept.sign_in(guest()).await.expect("an answer").0, 200);
    // All places are taken: who comes now is told at once.
    let turned_away = http(host.address(), "GET", "/", &[], "").await;
    assert_eq!(named(turned_away.status), 503, "{turned_away:?}");
    assert!(turned_away.head.contains("retry-after: 5") && turned_away.body.contains("full"), "{turned_away:?}");
    assert!(began.elapsed() < Duration::from_secs(2), "the places were still taken");

    let endless_head = format!("GET / HTTP/1.1\r\nhost: {}", "x".repeat(1_000));
    let (silent, slow_head, half_head, idle) = tokio::join!(
        rest(silent),
        dribble(slow_head, &endless_head, Duration::from_millis(100)),
        rest(half_head),
        kept.ended(),
    );
    for said in [silent, slow_head, half_head] {
        assert_eq!(said, "", "who has asked nothing is told nothing");
    }
    assert!(idle, "a connection that is kept open is not kept for ever");
    assert!(began.elapsed() >= Duration::from_millis(1_900), "they had their time: {:?}", began.elapsed());
    until("the places to be free", async || http(host.address(), "GET", "/", &[], "").await.status == 404).await;
    let player = enter(vec![sign_in(&host, "Ada").await], "solo").await.remove(0);
    assert_eq!(player.seat.domain, "solo");
}

#[tokio::test]
async fn a_body_has_its_time_however_it_comes() {
    let host = Host::start(&config(""));
    let mut stream = connect(&host).await;
    let head = post("", "content-length: 1000\r\n");
    stream.write_all(head.as_bytes()).await.expect("the host reads");
    let began = Instant::now();
    // Each byte is a sign of life, and still the whole has to come in time.
    let answer = dribble(stream, &"x".repeat(1_000), Duration::from_millis(200)).await;
    assert!(began.elapsed() >= Duration::from_millis(4_900), "it had its time: {:?}", began.elapsed());
    assert_eq!(status(&answer), 400, "{answer}");
    let refused = refused(&answer);
    assert_eq!(refused["code"], "MALFORMED");
    assert!(refused["text"].as_str().expect("a text").contains("not whole after 5 s"), "{refused}");
}

#[tokio::test]
async fn who_does_not_take_an_answer_is_cut_off() {
    let pages = tempfile::TempDir::new().expect("a temporary folder");
    std::fs::File::create(pages.path().join("large")).and_then(|file| file.set_len(64 << 20)).expect("it is writable");
    let config = config("connections_max = 1\nidle_ms = 2000");
    let host = Host::start_with(&config, &["--pages-dir", pages.path().to_str().expect("it is UTF-8")]);
    let mut stream = connect(&host).await;
    stream.write_all(b"GET /large HTTP/1.1\r\nhost: host\r\n\r\n").await.expect("the host reads");
    stream.read_u8().await.expect("the answer has begun");
    assert_eq!(named(http(host.address(), "GET", "/", &[], "").await.status), 503, "it holds the only place");
    until("the place to be free", async || http(host.address(), "GET", "/nothing", &[], "").await.status == 404).await;
}

// Too large, or packed

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let host = Host::start(&config(""));
    let head = format!("GET / HTTP/1.1\r\nhost: host\r\nx: {}\r\n\r\n", "x".repeat(17 << 10));
    assert_eq!(status(&send(&host, head.as_bytes()).await), 431);
    let many = format!("GET / HTTP/1.1\r\nhost: host\r\n{}\r\n", "x: y\r\n".repeat(1_000));
    assert_eq!(status(&send(&host, many.as_bytes()).await), 431);
    let length = 17 << 10;
    let chunked = format!("{length:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(length));
    for request in [
        post(&"x".repeat(length), &format!("content-length: {length}\r\n")),
        post("", "content-length: 99999999999\r\n"),
        post(&chunked, "transfer-encoding: chunked\r\n"),
    ] {
        let answer = send(&host, request.as_bytes()).await;
        assert_eq!((status(&answer), refused(&answer)["code"].as_str()), (400, Some("MALFORMED")), "{answer}");
    }
    let foreign = post("{}", "content-length: 2\r\norigin: https://evil.example\r\n");
    let answer = send(&host, foreign.as_bytes()).await;
    assert_eq!((status(&answer), refused(&answer)["code"].as_str()), (400, Some("INVALID")), "{answer}");
}

/// A message in so many fragments, the last of which says so only if it is `whole`.
fn fragments(count: usize, bytes: usize, whole: bool) -> Vec<Message> {
    let fragment = |index| {
        let kind = if index == 0 { Data::Binary } else { Data::Continue };
        Message::Frame(Frame::message(vec![0xfa; bytes], OpCode::Data(kind), whole && index + 1 == count))
    };
    (0..count).map(fragment).collect()
}

#[tokio::test]
async fn a_message_is_too_long_as_a_whole_or_in_fragments() {
    let host = Host::start(&config(""));
    for (count, bytes, whole) in [(5, 16 << 10, true), (5, 16 << 10, false), (70_000, 1, false)] {
        let mut lobby = Raw::lobby(&host, Encoding::Proto).await;
        let mut scene = inside(&host).await;
        for raw in [&mut lobby, &mut scene] {
            let _ = raw.send_all(fragments(count, bytes, whole)).await; // The host may hang up before it has all.
            let end = raw.end().await;
            assert_eq!((end.code, end.close), (v1::Code::Malformed, 4400), "{count} fragments of {bytes} bytes");
        }
    }
}

#[tokio::test]
async fn fragments_without_end_starve_nobody() {
    let host = Host::start(&config(""));
    let mut player = enter(vec![sign_in(&host, "Ada").await], "solo").await.remove(0);
    let mut floods = vec![Raw::lobby(&host, Encoding::Proto).await];
    for _ in 0..4 {
        floods.push(inside(&host).await);
    }
    for mut raw in floods {
        // A message that begins and goes on in empty fragments: never too long, never whole.
        raw.send_bytes(&[0x02, 0x80, 0, 0, 0, 0]).await.expect("the host reads");
        flood(raw, [0x00, 0x80, 0, 0, 0, 0].repeat(100_000));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    for number in 0..20 {
        let text = format!("echo {number}");
        let echo = player.echo(&text);
        tokio::time::timeout(Duration::from_secs(2), echo).await.expect("the scene's thread has time for others");
    }
}

/// Sends the same again and again, as fast as the host takes it, until the host is gone.
fn flood(raw: Raw, bytes: Vec<u8>) {
    let mut stream = raw.into_inner().into_std().expect("a socket");
    stream.set_nonblocking(false).expect("a socket has the option");
    std::thread::spawn(move || while std::io::Write::write_all(&mut stream, &bytes).is_ok() {});
}

async fn inside(host: &Host) -> Raw {
    let seat = matched(&[sign_in(host, "Ada").await], "solo").await.remove(0);
    Raw::inside(host, &seat, Encoding::Proto).await
}

#[tokio::test]
async fn compression_is_not_negotiated_and_a_compressed_frame_is_refused() {
    let host = Host::start(&config(""));
    let offers = "sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n\
                  sec-websocket-protocol: scenehost.v1.proto\r\n";
    for path in [LOBBY, &scene_path("0000000000000001")] {
        let mut stream = connect(&host).await;
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: host\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{offers}\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("the host reads");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within("the upgrade", stream.read_u8()).await.expect("the host answers"));
        }
        let head = String::from_utf8(head).expect("ASCII").to_lowercase();
        assert_eq!(status(&head), 101, "{head}");
        assert!(!head.contains("sec-websocket-extensions"), "{head}");
    }
    // A masked text message of two bytes, with the bit that says that it is compressed.
    let compressed = [0b1100_0001, 0x82, 0, 0, 0, 0, 0x03, 0x00];
    for mut raw in [Raw::lobby(&host, Encoding::Json).await, inside(&host).await] {
        raw.send_bytes(&compressed).await.expect("the host reads");
        let end = raw.end().await;
        assert_eq!((end.code, end.close), (v1::Code::Malformed, 4400));
    }
}

#[tokio::test]
async fn a_packed_body_is_refused_unopened() {
    let host = Host::start(&config(""));
    for encoding in ["gzip", "br", "identity, gzip"] {
        let headers = format!("content-encoding: {encoding}\r\ncontent-length: 20\r\n");
        let answer = send(&host, post(&"x".repeat(20), &headers).as_bytes()).await;
        assert_eq!((status(&answer), refused(&answer)["code"].as_str()), (415, Some("MALFORMED")), "{answer}");
    }
    let body = guest().to_string();
    let as_it_is = format!("content-encoding: identity\r\ncontent-length: {}\r\n", body.len());
    assert_eq!(status(&send(&host, post(&body, &as_it_is).as_bytes()).await), 200);
}

// Limits per address, and proxies

const NARROW: &str = "
[server.per_address]
connections = 2
sign_ins_per_minute = 3
";
const BEHIND_A_PROXY: &str = r#"trusted_proxies = ["127.0.0.0/8", "10.0.0.0/8"]"#;

/// Opens a lobby connection that a proxy says is this client's: the status if it is refused.
async fn lobby_of(host: &Host, client: &str) -> Result<impl Sized + use<>, u16> {
    let headers = [("sec-websocket-protocol", "scenehost.v1.proto"), ("x-forwarded-for", client)];
    upgrade(host.address(), LOBBY, &headers).await.map_err(|refused| named(refused.status))
}

#[tokio::test]
async fn an_address_has_its_places_and_no_more() {
    let host = Host::start(&config(NARROW));
    let _first = lobby_of(&host, "198.51.100.1").await.expect("a place");
    let second = lobby_of(&host, "198.51.100.2").await.expect("a place");
    // No proxy is trusted, so what the header says counts for nothing.
    assert_eq!(lobby_of(&host, "198.51.100.3").await.err(), Some(429));
    let call = http(host.address(), "GET", "/", &[], "").await;
    assert_eq!(named(call.status), 429);
    on_the_page("| connections of one address");
    assert!(call.head.contains("retry-after: 5") && call.body.contains("your address"), "{call:?}");
    drop(second);
    until("the place to be free", async || lobby_of(&host, "198.51.100.3").await.is_ok()).await;
    let refused = host.metrics().await.get(r#"scenehost_connections_refused_total{kind="address"}"#);
    assert!(refused >= 2.0, "{refused}");
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_places_of_its_own() {
    let host = Host::start(&config(&format!("{BEHIND_A_PROXY}\n{NARROW}")));
    let mut held = Vec::new();
    for client in ["198.51.100.1", "198.51.100.2", "2001:db8:0:1::1", "2001:db8:0:2::1"] {
        for _ in 0..2 {
            held.push(lobby_of(&host, client).await.expect("a place for each"));
        }
    }
    for full in [
        "198.51.100.1",
        // What the client itself has sent stands before what the proxy has added.
        "203.0.113.9, 198.51.100.1",
        "no address, 198.51.100.1",
        "198.51.100.2, 10.1.2.3",
        "::ffff:198.51.100.2",
        // The same network of a customer.
        "2001:db8:0:1:ffff::7",
    ] {
        assert_eq!(lobby_of(&host, full).await.err(), Some(429), "{full}");
    }
    for nonsense in ["unknown", "198.51.100.7, _hidden"] {
        assert_eq!(lobby_of(&host, nonsense).await.err(), Some(400), "{nonsense}");
    }
    held.clear();
    until("the places to be free", async || lobby_of(&host, "198.51.100.1").await.is_ok()).await;
}

async fn sign_in_from(host: &Host, client: &str) -> (u16, String, Value) {
    let answer = http(host.address(), "POST", SIGN_IN, &[("x-forwarded-for", client)], &guest().to_string()).await;
    (named(answer.status), answer.head, serde_json::from_str(&answer.body).expect("JSON"))
}

#[tokio::test]
async fn an_address_may_try_to_sign_in_so_often_by_whatever_way() {
    let host = Host::start(&config(&format!("{BEHIND_A_PROXY}\n{NARROW}")));
    for _ in 0..3 {
        assert_eq!(sign_in_from(&host, "198.51.100.1").await.0, 200);
    }
    let (status, head, refused) = sign_in_from(&host, "198.51.100.1").await;
    assert_eq!((status, refused["code"].as_str()), (429, Some("RATE_LIMITED")), "{refused}");
    on_the_page("| tries to sign in from one address");
    let wait_ms = refused["retryAfterMs"].as_u64().expect("it says when");
    assert!((1..=20_000).contains(&wait_ms), "one flows in every 20 s: {wait_ms}");
    assert!(head.contains(&format!("retry-after: {}", wait_ms.div_ceil(1_000))), "{head}");
    assert_eq!(sign_in_from(&host, "198.51.100.2").await.0, 200, "others are not concerned");

    // In the lobby, from the proxy's own address.
    let mut lobby = Raw::lobby(&host, Encoding::Proto).await;
    for _ in 0..3 {
        let refused = lobby.refused(req_sign_in("short", "Ada")).await;
        assert_eq!(refused.code(), v1::Code::Invalid);
    }
    let refused = lobby.refused(req_sign_in(&device(), "Ada")).await;
    assert_eq!(refused.code(), v1::Code::RateLimited);
    assert!(refused.retry_after_ms > 0 && refused.text.contains("from your address"), "{refused:?}");

    // The game's own backend signs in everybody; who guesses at its key does not, even when right at last.
    let custom = async |key: &str, address: &str| {
        let body = json!({ "id": device() }).to_string();
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str()), ("x-forwarded-for", address)];
        http(host.address(), "POST", "/v1/auth/custom", &headers, &body).await.status
    };
    for _ in 0..3 {
        assert_eq!(custom("guessed", "198.51.100.3").await, 401);
    }
    for key in ["guessed", SERVER_KEY] {
        assert_eq!(custom(key, "198.51.100.3").await, 429);
    }
    for _ in 0..10 {
        assert_eq!(custom(SERVER_KEY, "198.51.100.5").await, 200);
    }

    // Each wrong token is another one, so they are counted by address, too.
    let show = async |token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("x-forwarded-for", "198.51.100.4")];
        http(host.address(), "GET", "/v1/account", &headers, "").await.status
    };
    let statuses = [show("a").await, show("b").await, show("c").await, show("d").await];
    assert_eq!(statuses, [401, 401, 401, 429]);
}

#[tokio::test]
async fn linking_counts_once_and_the_last_of_the_minute_is_allowed() {
    let host = Host::start(&config("[server.per_address]\nsign_ins_per_minute = 1\n"));
    let mut kept = KeepAlive::connect(host.address()).await;
    // The game's own backend is not counted.
    let signed_in = kept.call("POST", "/v1/auth/custom", SERVER_KEY, &json!({ "id": "ada" })).await;
    let (_, signed_in) = signed_in.expect("an answer");
    let token = signed_in["sessionToken"].as_str().expect("a token");
    let bearer = format!("Bearer {token}");
    let elsewhere = [("authorization", bearer.as_str()), ("origin", "https://elsewhere.test")];
    let link = http(host.address(), "POST", "/v1/account/link", &elsewhere, &guest().to_string()).await;
    assert_eq!(link.status, 400, "another site's page: {}", link.body);
    let mut statuses = Vec::new();
    for _ in 0..2 {
        let (status, _) = kept.call("POST", "/v1/account/link", token, &guest()).await.expect("an answer");
        statuses.push(status);
    }
    assert_eq!(statuses, [204, 429], "what another site's page asked for did not count");
}

#[tokio::test]
async fn a_session_may_call_about_its_account_so_often() {
    let host = Host::start(&config(""));
    let mut kept = KeepAlive::connect(host.address()).await;
    let (_, signed_in) = kept.sign_in(guest()).await.expect("an answer");
    let (_, other) = kept.sign_in(guest()).await.expect("an answer");
    let token = |signed_in: &Value| signed_in["sessionToken"].as_str().expect("a token").to_owned();
    let began = Instant::now();
    let mut given = 0;
    let refused = loop {
        let (status, answer) =
            kept.call("GET", "/v1/account", &token(&signed_in), &json!({})).await.expect("an answer");
        match status {
            200 => given += 1,
            _ => break (status, answer),
        }
        assert!(given <= 60 + began.elapsed().as_secs() + 1, "{given} in {:?}", began.elapsed());
    };
    assert_eq!((refused.0, refused.1["code"].as_str()), (429, Some("RATE_LIMITED")), "{}", refused.1);
    on_the_page("| calls about an account");
    assert!(given >= 60, "{given}");
    let (status, _) = kept.call("GET", "/v1/account", &token(&other), &json!({})).await.expect("an answer");
    assert_eq!(status, 200, "other sessions are not concerned");
}

// Many

/// Lets this process open so many files.
fn open_files(count: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < count) {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).expect("a limit can be raised up to the hard one");
    }
    let possible = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    assert!(possible >= count, "this test opens {count} files and the system allows {possible}: raise `ulimit -Hn`");
}

/// Guests in the lobby who do nothing.
async fn idle_guests(address: SocketAddr, count: usize) -> Vec<Raw> {
    const AT_ONCE: usize = 64;
    let workers = (0..AT_ONCE).map(|worker| {
        let share = count / AT_ONCE + usize::from(worker < count % AT_ONCE);
        tokio::spawn(async move {
            let mut guests = Vec::with_capacity(share);
            for _ in 0..share {
                let stream = TcpStream::connect(address).await.expect("the host listens");
                let mut raw = Raw::over(stream, address, LOBBY, Encoding::Proto).await;
                let answer = raw.ask(req_sign_in(&device(), "")).await;
                assert!(matches!(answer, server_frame::Body::ResSignIn(_)), "{answer:?}");
                guests.push(raw);
            }
            guests
        })
    });
    let guests = join_all(workers).await.into_iter().flat_map(|guests| guests.expect("nobody is refused"));
    guests.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_take_little_and_slow_nobody_down() {
    const CONNECTIONS: usize = 10_000;
    let _alone = alone().await;
    const KIB_EACH_MAX: u64 = 32;
    open_files(CONNECTIONS as u64 + 2_000);
    let host = Host::start(&config(&format!("connections_max = {}", CONNECTIONS + 100)));
    let warm = idle_guests(host.address(), 100).await;
    drop(warm);
    let before_kib = host.resident_kib();
    let mut guests = idle_guests(host.address(), CONNECTIONS).await;
    let each_kib = (host.resident_kib() - before_kib) / CONNECTIONS as u64;
    assert!(each_kib <= KIB_EACH_MAX, "{each_kib} KiB for each connection");

    let began = Instant::now();
    let mut player = enter(vec![sign_in(&host, "Ada").await], "solo").await.remove(0);
    let entered = began.elapsed();
    let mut echoes = Vec::new();
    for number in 0..50 {
        let began = Instant::now();
        player.echo(&format!("echo {number}")).await;
        echoes.push(began.elapsed());
    }
    echoes.sort();
    println!("{each_kib} KiB each; entered in {entered:?}; echoes p50 {:?}, max {:?}", echoes[25], echoes[49]);
    assert!(entered < Duration::from_secs(3), "from sign-in to play: {entered:?}");
    assert!(echoes[25] < Duration::from_millis(100), "the median of the echoes: {:?}", echoes[25]);
    for guest in guests.iter_mut().step_by(CONNECTIONS / 100) {
        let pong = guest.ask(ping(1)).await;
        assert!(matches!(pong, server_frame::Body::Pong(_)), "{pong:?}");
    }
}
