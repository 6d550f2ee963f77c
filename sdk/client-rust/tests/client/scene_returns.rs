//! Scene connections that are lost.

use std::time::Duration;

use scenehost_client::v1::{self, client_frame, server_frame};
use scenehost_client::{Error, Options, Scene, SceneEvent};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::server::{PATIENCE, Peer, expect_nobody, info, patient, refused, serve};

async fn join(url: &str, options: Options) -> Scene {
    Scene::join_at(&format!("{url}/v1/scene"), "token", &options).await.unwrap()
}

/// The next event of the game or of the line; that an attempt failed is passed over after the first time.
async fn event(scene: &mut Scene) -> Option<SceneEvent> {
    timeout(PATIENCE, scene.next()).await.expect("something happens")
}

async fn expect_message(scene: &mut Scene, expected: &str) {
    match event(scene).await {
        Some(SceneEvent::Message(body)) => assert_eq!(body, expected),
        other => panic!("{other:?}"),
    }
}

async fn expect_dropped(scene: &mut Scene) -> Duration {
    match event(scene).await {
        Some(SceneEvent::Dropped { next_attempt, .. }) => next_attempt,
        other => panic!("{other:?}"),
    }
}

/// Whether the return, once it is there, is complete.
async fn returned(scene: &mut Scene) -> bool {
    loop {
        match event(scene).await {
            Some(SceneEvent::Resumed { complete }) => return complete,
            Some(SceneEvent::Dropped { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Why the line is gone, once it is.
async fn gone(scene: &mut Scene) -> Error {
    loop {
        match event(scene).await {
            Some(SceneEvent::Gone(why)) => {
                assert!(event(scene).await.is_none(), "it is the last event");
                return std::sync::Arc::try_unwrap(why).expect("nobody else has it");
            }
            Some(SceneEvent::Dropped { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_lost_connection_goes_on_with_exactly_what_was_missed() {
    let (url, server) = serve(|listener| async move {
        let mut peer = Peer::enter(&listener).await;
        peer.say("one").await;
        peer.say("two").await;
        assert_eq!(peer.message().await, "seen");
        assert_eq!(peer.seen, 2, "each frame says what has come");
        peer.cut();

        let mut peer = Peer::enter_again(&listener, 2, 1).await;
        let first = peer.receive_any().await;
        assert!(matches!(first.body, Some(client_frame::Body::Ping(_))), "who is back says something at once");
        assert_eq!(first.seen, 2);
        peer.say("three").await;
        assert_eq!(peer.message().await, "bye");
    })
    .await;
    let mut scene = join(&url, patient()).await;
    expect_message(&mut scene, "one").await;
    expect_message(&mut scene, "two").await;
    scene.send("seen").await.unwrap();
    assert_eq!(expect_dropped(&mut scene).await, Duration::ZERO, "the first attempt comes at once");
    assert!(returned(&mut scene).await);
    expect_message(&mut scene, "three").await;
    scene.send("bye").await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn a_line_that_cannot_go_on_says_so_and_its_frames_have_new_numbers() {
    let (url, server) = serve(|listener| async move {
        let mut peer = Peer::enter(&listener).await;
        peer.say("old").await;
        assert_eq!(peer.message().await, "first");
        peer.cut();

        let (mut peer, request, join) = Peer::asks_to_enter(&listener).await;
        assert_eq!(join.resume_seq, Some(1));
        // Messages to the game are counted on.
        (peer.seq, peer.received) = (1_000, 1);
        let info = v1::ResJoinScene { seat: 3, received: 1, after_seq: 1_000, ..info() };
        peer.tell(request, server_frame::Body::ResJoinScene(info)).await;
        peer.say("state").await;
        assert_eq!(peer.message().await, "second");
    })
    .await;
    let mut scene = join(&url, patient()).await;
    expect_message(&mut scene, "old").await;
    scene.send("first").await.unwrap();
    assert!(!returned(&mut scene).await);
    assert_eq!(scene.info().seat, 3);
    expect_message(&mut scene, "state").await;
    scene.send("second").await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn what_is_sent_meanwhile_arrives_once_and_in_order() {
    let (kept, kept_all) = oneshot::channel();
    let (url, server) = serve(|listener| async move {
        let mut peer = Peer::enter(&listener).await;
        assert_eq!(peer.message().await, "a");
        // The second one is on its way when the connection is lost.
        peer.cut();
        kept_all.await.unwrap();
        let mut peer = Peer::enter_again(&listener, 0, 1).await;
        for expected in ["b", "c", "d"] {
            assert_eq!(peer.message().await, expected);
        }
        peer.say("end").await;
        assert_eq!(peer.message().await, "e", "and nothing twice");
    })
    .await;
    let mut scene = join(&url, patient()).await;
    scene.send("a").await.unwrap();
    scene.send("b").await.unwrap();
    expect_dropped(&mut scene).await;
    scene.send("c").await.unwrap();
    scene.send("d").await.unwrap();
    kept.send(()).unwrap();
    assert!(returned(&mut scene).await);
    expect_message(&mut scene, "end").await;
    scene.send("e").await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn a_game_that_only_sends_is_brought_back_too() {
    let (url, server) = serve(|listener| async move {
        let mut peer = Peer::enter(&listener).await;
        assert_eq!(peer.message().await, "0");
        peer.cut();
        let mut peer = Peer::enter_again(&listener, 0, 1).await;
        for number in 1..20 {
            assert_eq!(peer.message().await, number.to_string());
        }
    })
    .await;
    let scene = join(&url, patient()).await;
    for number in 0..20 {
        scene.send(number.to_string()).await.unwrap();
        sleep(Duration::from_millis(5)).await;
    }
    server.await.unwrap();
}

#[tokio::test]
async fn what_is_kept_during_a_drop_has_a_limit() {
    let (full, is_full) = oneshot::channel();
    let (url, server) = serve(|listener| async move {
        Peer::enter(&listener).await.cut();
        is_full.await.unwrap();
        let mut peer = Peer::enter_again(&listener, 0, 0).await;
        for expected in ["a", "b", "d"] {
            assert_eq!(peer.message().await, expected);
        }
    })
    .await;
    let mut scene = join(&url, Options { kept_messages_max: 2, ..patient() }).await;
    expect_dropped(&mut scene).await;
    scene.send("a").await.unwrap();
    scene.send("b").await.unwrap();
    let error = scene.send("c").await.unwrap_err();
    assert!(matches!(error, Error::TooManyKept { messages_max: 2, .. }), "{error}");
    full.send(()).unwrap();
    assert!(returned(&mut scene).await);
    scene.send("d").await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn while_connected_a_full_outbox_waits_for_the_server() {
    let (url, server) = serve(|listener| async move {
        let mut peer = Peer::enter(&listener).await;
        for expected in ["a", "b", "c"] {
            // The client asks what has come, and is answered here.
            assert_eq!(peer.message().await, expected);
        }
        assert!(peer.pings >= 1);
        // Now it is not answered any more.
        std::future::pending::<()>().await;
        drop(peer);
    })
    .await;
    let options = Options { kept_messages_max: 2, request_timeout: Duration::from_millis(200), ..patient() };
    let scene = join(&url, options).await;
    for message in ["a", "b", "c"] {
        scene.send(message).await.unwrap();
    }
    let mut refused = 0;
    for message in ["d", "e", "f"] {
        refused += u32::from(matches!(scene.send(message).await, Err(Error::TooManyKept { .. })));
    }
    assert!(refused >= 2, "a server that does not say what it has is not sent more");
    server.abort();
}

#[tokio::test]
async fn who_was_taken_over_does_not_come_back() {
    let (url, server) = serve(|listener| async move {
        let mut peer = Peer::enter(&listener).await;
        peer.closing(v1::Code::TakenOver).await;
        expect_nobody(&listener).await;
    })
    .await;
    let mut scene = join(&url, patient()).await;
    let why = gone(&mut scene).await;
    assert!(matches!(why, Error::Closing(closing) if closing.code() == v1::Code::TakenOver));
    assert!(matches!(scene.send("late").await, Err(Error::Closed)));
    assert!(matches!(scene.leave().await, Err(Error::Closed)));
    server.await.unwrap();
}

#[tokio::test]
async fn a_seat_that_is_lost_is_gone() {
    for code in [v1::Code::BadToken, v1::Code::NoSeat, v1::Code::SceneEnded, v1::Code::TokenExpired] {
        let (url, server) = serve(async move |listener| {
            Peer::enter(&listener).await.cut();
            let (mut peer, request, _) = Peer::asks_to_enter(&listener).await;
            peer.tell(request, server_frame::Body::Refused(refused(code))).await;
            expect_nobody(&listener).await;
        })
        .await;
        let mut scene = join(&url, patient()).await;
        assert!(matches!(gone(&mut scene).await, Error::Refused(refused) if refused.code() == code));
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_asks_for_time_gets_it() {
    let wait_ms = 300;
    let (url, server) = serve(async move |listener| {
        Peer::enter(&listener).await.cut();
        let (mut peer, request, _) = Peer::asks_to_enter(&listener).await;
        let refused = v1::Refused { retry_after_ms: wait_ms, ..refused(v1::Code::Overloaded) };
        peer.tell(request, server_frame::Body::Refused(refused)).await;
        let refused_at = Instant::now();
        let mut peer = Peer::enter_again(&listener, 0, 0).await;
        assert!(refused_at.elapsed() >= Duration::from_millis(wait_ms.into()));
        peer.closing(v1::Code::Stopping).await;
        drop(peer);
        Peer::enter_again(&listener, 0, 0).await.say("here").await;
    })
    .await;
    let mut scene = join(&url, patient()).await;
    assert!(returned(&mut scene).await);
    assert!(returned(&mut scene).await, "a server that stops may be there again");
    expect_message(&mut scene, "here").await;
    server.await.unwrap();
}

#[tokio::test]
async fn after_the_grace_period_and_the_margin_it_is_over() {
    let (url, server) = serve(|listener| async move {
        let (mut peer, request, _) = Peer::asks_to_enter(&listener).await;
        let info = v1::ResJoinScene { grace_ms: 100, ..info() };
        peer.tell(request, server_frame::Body::ResJoinScene(info)).await;
        peer.cut();
    })
    .await;
    let (grace_margin, backoff_first) = (Duration::from_millis(200), patient().backoff_max);
    let mut scene = join(&url, Options { grace_margin, backoff_first, ..patient() }).await;
    // The listener goes with the server.
    server.await.unwrap();
    let began = Instant::now();
    let Error::TooLong { away_ms, last } = gone(&mut scene).await else { panic!("another reason") };
    assert!(matches!(*last, Error::Connect { .. }), "{last}");
    // It is over when the next attempt, at most 50 ms away, would come after the 300 ms; a busy machine tells it a
    // little late.
    assert!(began.elapsed() < Duration::from_secs(5) && (250..=350).contains(&away_ms), "{away_ms}");
}

#[tokio::test]
async fn a_silent_server_is_asked_and_then_left() {
    let (url, server) = serve(|listener| async move {
        let mut peer = Peer::enter(&listener).await;
        for _ in 0..3 {
            let frame = peer.receive_any().await;
            assert!(matches!(frame.body, Some(client_frame::Body::Ping(_))));
            peer.pong(0).await;
        }
        // It says nothing more, and does not hang up.
        Peer::enter_again(&listener, 0, 0).await.say("here").await;
        drop(peer);
    })
    .await;
    let options =
        Options { ping_after: Duration::from_millis(50), pong_timeout: Duration::from_millis(150), ..patient() };
    let mut scene = join(&url, options).await;
    match event(&mut scene).await {
        Some(SceneEvent::Dropped { why, .. }) => assert!(matches!(*why, Error::Silent { silent_ms: 150.. }), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(returned(&mut scene).await);
    expect_message(&mut scene, "here").await;
    server.await.unwrap();
}

#[tokio::test]
async fn who_only_listens_says_what_has_come() {
    let (url, server) = serve(|listener| async move {
        let mut peer = Peer::enter(&listener).await;
        for number in 0..64 {
            peer.say(&number.to_string()).await;
        }
        let frame = peer.receive_any().await;
        assert!(matches!(frame.body, Some(client_frame::Body::Ping(_))));
        assert_eq!(frame.seen, 64);
    })
    .await;
    let mut scene = join(&url, patient()).await;
    for number in 0..64 {
        expect_message(&mut scene, &number.to_string()).await;
    }
    server.await.unwrap();
}

#[tokio::test]
async fn who_leaves_during_a_drop_has_left() {
    let (url, server) = serve(|listener| async move {
        let mut peer = Peer::enter(&listener).await;
        assert!(matches!(peer.receive().await, (2, client_frame::Body::ReqLeaveScene(_))));
        peer.cut();
        let mut peer = Peer::enter_again(&listener, 0, 0).await;
        let (request, body) = peer.receive().await;
        assert!(matches!(body, client_frame::Body::ReqLeaveScene(_)), "{body:?}");
        let left = v1::SynSceneEnded { reason: v1::syn_scene_ended::Reason::Left.into(), ..Default::default() };
        peer.send(request, server_frame::Body::SynSceneEnded(left)).await;
    })
    .await;
    let scene = join(&url, patient()).await;
    assert_eq!(scene.leave().await.unwrap().reason(), v1::syn_scene_ended::Reason::Left);
    server.await.unwrap();
}

#[tokio::test]
async fn what_was_sent_leaves_although_the_scene_is_dropped() {
    let (url, server) = serve(|listener| async move {
        let mut peer = Peer::enter(&listener).await;
        for number in 0..10 {
            assert_eq!(peer.message().await, number.to_string());
        }
    })
    .await;
    let scene = join(&url, patient()).await;
    for number in 0..10 {
        scene.send(number.to_string()).await.unwrap();
    }
    drop(scene);
    server.await.unwrap();
}

#[tokio::test]
async fn who_does_not_read_is_not_sent_more_and_loses_nothing() {
    // More than the system keeps between the two.
    let (messages, padding) = (400, "x".repeat(60_000));
    let (sent, has_sent) = watch::channel(0);
    let (url, server) = serve(async move |listener| {
        let mut peer = Peer::enter(&listener).await;
        for number in 0..messages {
            peer.say(&format!("{number} {padding}")).await;
            sent.send_replace(number + 1);
        }
        assert_eq!(peer.message().await, "all here");
    })
    .await;
    let options = Options {
        events_len_max: 4,
        ping_after: Duration::from_millis(50),
        pong_timeout: Duration::from_millis(500),
        ..patient()
    };
    let mut scene = join(&url, options).await;
    // Nothing is read, so silence is no reason to leave.
    sleep(Duration::from_millis(1_000)).await;
    assert!(*has_sent.borrow() < messages, "the server is held up");
    for number in 0..messages {
        match event(&mut scene).await {
            Some(SceneEvent::Message(body)) => assert!(body.starts_with(format!("{number} ").as_bytes())),
            other => panic!("{other:?}"),
        }
    }
    scene.send("all here").await.unwrap();
    server.await.unwrap();
}
