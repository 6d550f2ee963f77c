//! What clients may not send, on either connection: refused where a client can go on, else closed
//! with the reason. Nobody else notices.

use std::time::{Duration, Instant};

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use scenehost_client::{Encoding, Match, v1};
use scenehost_protocol::FRAME_BYTES_MAX;
use scenehost_protocol::v1::client_frame::Body;
use scenehost_protocol::v1::{ReqLeaveScene, server_frame};
use tokio::net::TcpSocket;
use tokio_tungstenite::tungstenite::Message;

use crate::host::{Host, until, within};
use crate::player::{enter, gather, matched, sign_in};
use crate::raw::{LOBBY, Raw, find_match, join, message, ping, scene_path, sign_in as req_sign_in, upgrade};

/// A scene that echoes, for one or two; and one in which a lot may be said.
const ECHO: &str = r#"
[server]
scenes_max = 64
scene_threads = 1
allowed_origins = ["https://games.example"]

[fleets.echo]
plugin = "hostile"

[fleets.loud]
plugin = "hostile"
scene = { messages_per_s_max = 100000 }

[domains.solo]
fleet = "echo"
players_min = 1
players_max = 1

[domains.pair]
fleet = "loud"
players_min = 2
players_max = 2
"#;

/// Messages that are no frames in an encoding.
fn no_frames(encoding: Encoding) -> Vec<Message> {
    let mut rng = StdRng::seed_from_u64(7);
    let random = |rng: &mut StdRng| {
        let mut bytes = vec![0; rng.random_range(1..200)];
        rng.fill_bytes(&mut bytes);
        // A tag of wire type 7, which protobuf has not got, so that chance makes no frame of it.
        bytes[0] = 0xff;
        bytes
    };
    match encoding {
        Encoding::Proto => {
            let mut messages: Vec<Message> = (0..8).map(|_| Message::binary(random(&mut rng))).collect();
            messages.push(Message::text("{}"));
            messages.push(Message::binary(vec![]));
            // Field 2 of 100 bytes, of which 2 are there.
            messages.push(Message::binary(vec![0x12, 100, 0x0a, 0x00]));
            // A request's number and no body; a body that this version does not know.
            messages.push(Message::binary(vec![0x08, 0x01]));
            messages.push(Message::binary(vec![0xfa, 0x01, 0x00]));
            messages
        }
        Encoding::Json => {
            let texts = ["", "{", "[]", "null", "{}", r#"{"request":1}"#, r#"{"request":-1,"ping":{}}"#];
            let more = [r#"{"reqEverything":{}}"#, r#"{"ping":{},"reqCancelMatch":{}}"#, r#"{"ping":7}"#];
            let deep = "[".repeat(10_000);
            let texts = texts.into_iter().chain(more).chain([deep.as_str()]).map(Message::text);
            texts.chain([Message::binary(b"{}".to_vec())]).collect()
        }
    }
}

async fn seat(host: &Host) -> Match {
    matched(&[sign_in(host, "Ada").await], "solo").await.remove(0)
}

#[tokio::test]
async fn what_is_no_frame_closes_a_lobby_connection_with_the_reason() {
    let host = Host::start(ECHO);
    for encoding in [Encoding::Proto, Encoding::Json] {
        for wrong in no_frames(encoding) {
            let mut raw = Raw::lobby(&host, encoding).await;
            raw.send(wrong.clone()).await.expect("it can be sent");
            let end = raw.end().await;
            assert_eq!((end.code, end.close), (v1::Code::Malformed, 4400), "{wrong:?}");
            assert!(end.text.starts_with("this frame could not be read: "), "{}", end.text);
        }
    }
}

#[tokio::test]
async fn what_is_no_frame_closes_a_scene_connection_with_the_reason_and_keeps_the_seat() {
    let host = Host::start(ECHO);
    for encoding in [Encoding::Proto, Encoding::Json] {
        let lobby = sign_in(&host, "Ada").await;
        let mut seat = lobby.find_match("solo").await.expect("a scene of one's own");
        for wrong in no_frames(encoding) {
            let mut raw = Raw::inside(&host, &seat, encoding).await;
            raw.send(wrong.clone()).await.expect("it can be sent");
            let end = raw.end().await;
            assert_eq!((end.code, end.close), (v1::Code::Malformed, 4400), "{wrong:?}");
            seat = lobby.rejoin().await.expect("the seat is kept");
        }
    }
}

/// A ping of so many bytes, most of them in a field that this version does not know and passes over.
fn ping_of(bytes: usize) -> Message {
    let ping = [0x4a, 0x02, 0x08, 0x07];
    let unknown_field = [0xfa, 0x01];
    let length = bytes - ping.len() - unknown_field.len() - 3;
    let length_varint = [length as u8 | 0x80, (length >> 7) as u8 | 0x80, (length >> 14) as u8];
    Message::binary([&ping[..], &unknown_field, &length_varint, &vec![b'x'; length]].concat())
}

#[tokio::test]
async fn a_frame_over_the_limit_is_refused_unread_and_one_of_just_that_size_is_not() {
    let host = Host::start(ECHO);
    for too_large in [FRAME_BYTES_MAX + 1, 1 << 20] {
        let mut lobby = Raw::guest(&host, Encoding::Proto).await;
        let mut scene = Raw::inside(&host, &seat(&host).await, Encoding::Proto).await;
        for raw in [&mut lobby, &mut scene] {
            raw.send(ping_of(FRAME_BYTES_MAX)).await.expect("the host reads");
            let pong = raw.next().await.body;
            assert!(matches!(pong, Some(server_frame::Body::Pong(pong)) if pong.payload == 7), "{pong:?}");
            let _ = raw.send(ping_of(too_large)).await; // The host may hang up before it has all.
            let end = raw.end().await;
            assert_eq!((end.code, end.close), (v1::Code::Malformed, 4400), "{too_large} bytes");
        }
    }
}

#[tokio::test]
async fn frames_out_of_order_are_refused_and_the_lobby_connection_lives() {
    let host = Host::start(ECHO);
    for encoding in [Encoding::Proto, Encoding::Json] {
        let mut raw = Raw::lobby(&host, encoding).await;
        assert_eq!(raw.refused(find_match("solo")).await.code(), v1::Code::Unauthenticated);
        let no_credential =
            Body::ReqSignIn(v1::ReqSignIn { credential: None, device: String::new(), resume_seq: None });
        assert_eq!(raw.refused(no_credential).await.code(), v1::Code::Invalid);
        let signed_in = raw.ask(req_sign_in("0123456789abcdef", "Ada")).await;
        assert!(matches!(signed_in, server_frame::Body::ResSignIn(_)), "{signed_in:?}");
        let second = raw.refused(req_sign_in("fedcba9876543210", "Bob")).await;
        assert_eq!(second.code(), v1::Code::OutOfOrder);
        for of_a_scene in [message(b"x"), join("x.y"), Body::ReqLeaveScene(ReqLeaveScene {})] {
            let refused = raw.refused(of_a_scene).await;
            assert_eq!(refused.code(), v1::Code::OutOfOrder);
            assert!(refused.text.contains("scene_url"), "the text says what to do: {}", refused.text);
        }
        let pong = raw.ask(ping(u64::MAX)).await;
        assert!(matches!(pong, server_frame::Body::Pong(pong) if pong.payload == u64::MAX), "{pong:?}");
    }
}

#[tokio::test]
async fn frames_out_of_order_are_refused_and_the_scene_connection_lives() {
    let host = Host::start(ECHO);
    for encoding in [Encoding::Proto, Encoding::Json] {
        let seat = seat(&host).await;
        let mut raw = Raw::scene(&host, &seat.scene_id, encoding).await;
        for too_early in [message(b"x"), Body::ReqLeaveScene(ReqLeaveScene {})] {
            assert_eq!(raw.refused(too_early).await.code(), v1::Code::OutOfOrder);
        }
        let joined = raw.ask(join(&seat.scene_token)).await;
        assert!(matches!(joined, server_frame::Body::ResJoinScene(_)), "{joined:?}");
        for of_the_lobby in [find_match("solo"), req_sign_in("0123456789abcdef", "Ada"), join(&seat.scene_token)] {
            assert_eq!(raw.refused(of_the_lobby).await.code(), v1::Code::OutOfOrder);
        }
        raw.tell(message(b"still here")).await;
        let echo =
            |body| matches!(&body, server_frame::Body::SceneMessage(it) if it.body == "still here").then_some(());
        raw.next_that(echo).await;
    }
}

#[tokio::test]
async fn an_upgrade_needs_a_subprotocol_of_this_version() {
    let host = Host::start(ECHO);
    for path in [LOBBY, &scene_path("0000000000000001")] {
        for headers in [&[][..], &[("sec-websocket-protocol", "scenehost.v0.proto, chat")]] {
            let refused = upgrade(host.address(), path, headers).await.expect_err("not without a subprotocol");
            assert_eq!(refused.status, 400);
            assert!(refused.text.contains("scenehost.v1.proto or scenehost.v1.json"), "{}", refused.text);
        }
        let offered = [("sec-websocket-protocol", "chat, scenehost.v1.json, scenehost.v1.proto")];
        upgrade(host.address(), path, &offered).await.expect("the first that both know");
    }
}

#[tokio::test]
async fn pages_of_other_sites_may_not_connect_unless_they_are_allowed() {
    let host = Host::start(ECHO);
    let own = format!("http://{}", host.address());
    let protocol = ("sec-websocket-protocol", Encoding::Json.subprotocol());
    for path in [LOBBY, &scene_path("0000000000000001")] {
        for foreign in ["https://evil.example", "null", "http://127.0.0.1", "https://games.example.evil.example"] {
            let headers = [protocol, ("origin", foreign)];
            let refused = upgrade(host.address(), path, &headers).await.expect_err(foreign);
            assert_eq!(refused.status, 403, "{foreign}");
            assert!(refused.text.contains("allowed_origins"), "{}", refused.text);
        }
        for allowed in [own.as_str(), "https://games.example"] {
            upgrade(host.address(), path, &[protocol, ("origin", allowed)]).await.expect(allowed);
        }
    }
}

/// So many messages at once, so that they come within a second on the busiest machine.
async fn flood(raw: &mut Raw, body: Body, count: usize) {
    let message = raw.encoded(body);
    let _ = raw.send_all(vec![message; count]).await; // The host may hang up before it has all.
}

#[tokio::test]
async fn who_says_too_much_to_a_scene_is_told_and_may_go_on_more_slowly() {
    const SENT: u64 = 500;
    let host = Host::start(ECHO);
    let mut raw = Raw::inside(&host, &seat(&host).await, Encoding::Proto).await;
    flood(&mut raw, message(b"flood"), SENT as usize).await;
    let (mut echoes, mut refusals) = (0, 0);
    within("a message to pass again", async {
        loop {
            let calm_at = tokio::time::Instant::now() + Duration::from_millis(300);
            while let Ok(frame) = tokio::time::timeout_at(calm_at, raw.next()).await {
                match frame.body {
                    Some(server_frame::Body::SceneMessage(echo)) if echo.body == "calm" => return,
                    Some(server_frame::Body::SceneMessage(_)) => echoes += 1,
                    Some(server_frame::Body::Refused(refused)) => {
                        assert_eq!(refused.code(), v1::Code::RateLimited);
                        assert!(refused.text.contains("at most 60 a second"), "{}", refused.text);
                        assert!(refused.retry_after_ms > 0);
                        refusals += 1;
                    }
                    other => panic!("{other:?}"),
                }
            }
            raw.tell(message(b"calm")).await;
        }
    })
    .await;
    assert!((1..SENT).contains(&echoes) && refusals >= 1, "{echoes} echoes, {refusals} refusals");
    until("every other message to be counted as refused", async || {
        let refused = host.metrics().await.sum("scenehost_messages_refused_total");
        refused >= (SENT - echoes) as f64
    })
    .await;
}

#[tokio::test]
async fn who_floods_a_connection_is_cut_off_and_nobody_else_notices() {
    let host = Host::start(ECHO);
    let mut others = gather(&host, "pair", 2).await;
    let mut lobby = Raw::guest(&host, Encoding::Proto).await;
    flood(&mut lobby, ping(1), 200).await;
    let mut inside = Raw::inside(&host, &seat(&host).await, Encoding::Proto).await;
    flood(&mut inside, message(b"flood"), 5_000).await;
    let mut outside = Raw::scene(&host, &seat(&host).await.scene_id, Encoding::Proto).await;
    flood(&mut outside, ping(1), 5_000).await;
    for mut raw in [lobby, inside, outside] {
        let end = raw.end().await;
        assert_eq!((end.code, end.close), (v1::Code::RateLimited, 4429));
    }
    others[0].echo("nobody else noticed").await;
}

#[tokio::test]
async fn a_slow_reader_is_cut_off_and_its_neighbour_hears_everything() {
    const BODY: [u8; 16 << 10] = [b'z'; 16 << 10];
    let host = Host::start(ECHO);
    let lobbies = vec![sign_in(&host, "Slow").await, sign_in(&host, "Quick").await];
    let seats = matched(&lobbies, "pair").await;
    let socket = TcpSocket::new_v4().expect("a socket");
    // A small window, so that little has to be sent until nothing more fits.
    socket.set_recv_buffer_size(8 << 10).expect("it can be set");
    let mut slow = Raw::open_on(socket, host.address(), &scene_path(&seats[0].scene_id), Encoding::Proto).await;
    let joined = slow.ask(join(&seats[0].scene_token)).await;
    assert!(matches!(joined, server_frame::Body::ResJoinScene(_)), "{joined:?}");
    let mut quick = Raw::inside(&host, &seats[1], Encoding::Json).await;

    let began = Instant::now();
    let mut echoes = 0;
    loop {
        // One at a time: the scene's inbox has a limit of its own.
        let sent = slow.send(slow.encoded(message(&BODY))).await;
        quick.tell(message(b"tick")).await;
        quick.next_that(|body| matches!(body, server_frame::Body::SceneMessage(_)).then_some(())).await;
        echoes += 1;
        if sent.is_err() {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{echoes} messages of 16 KiB and still not cut off");
    }
    until("the slow connection to be counted", async || {
        host.metrics().await.get(r#"scenehost_slow_connections_total{kind="scene"}"#) == 1.0
    })
    .await;
    let way_back = lobbies[0].rejoin().await.expect("the seat is kept");
    Raw::inside(&host, &way_back, Encoding::Proto).await;
}

#[tokio::test]
async fn a_client_that_never_says_who_it_is_is_cut_off() {
    let host = Host::start(ECHO);
    let player = enter(vec![sign_in(&host, "Ada").await], "solo").await.remove(0);
    let mut lobby = Raw::lobby(&host, Encoding::Proto).await;
    let mut scene = Raw::scene(&host, &player.seat.scene_id, Encoding::Json).await;
    // Signs of life are no sign-in.
    let pong = lobby.ask(ping(1)).await;
    assert!(matches!(pong, server_frame::Body::Pong(_)));
    let (lobby, scene) = tokio::join!(lobby.end(), scene.end());
    assert_eq!((lobby.code, lobby.close), (v1::Code::Unauthenticated, 4401));
    assert_eq!((scene.code, scene.close), (v1::Code::TimedOut, 4408));
}

#[tokio::test]
async fn a_full_host_says_so_and_lets_the_next_client_in_when_one_has_gone() {
    let host = Host::start(&ECHO.replacen("scene_threads = 1", "scene_threads = 1\nconnections_max = 2", 1));
    let player = enter(vec![sign_in(&host, "Ada").await], "solo").await.remove(0);
    let protocol = [("sec-websocket-protocol", Encoding::Proto.subprotocol())];
    let early = upgrade(host.address(), LOBBY, &protocol).await.expect_err("Ada's two connections take both places");
    assert_eq!(early.status, 503);
    assert!(early.text.contains("try again"), "{}", early.text);
    drop(player.scene);
    until("the next client to be let in", async || upgrade(host.address(), LOBBY, &protocol).await.is_ok()).await;
}
