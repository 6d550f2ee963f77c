//! Sign-in, matches and games, and what a server does rarely.

use futures_util::{SinkExt, StreamExt};
use scenehost_client::v1::{self, client_frame, server_frame};
use scenehost_client::{Credential, Encoding, Error, Lobby, LobbyEvent, Options, Scene, SceneEvent};
use tokio_tungstenite::tungstenite::Message;

use crate::server::{Peer, guest, match_made, match_state, options, refused, serve};

/// A client for which every loss is the end.
fn without_return() -> Options {
    Options { reconnect: false, ..options() }
}

async fn play_a_match(encoding: Encoding) {
    let (url, server) = serve(|listener| async move {
        let mut lobby = Peer::sign_in(&listener).await;
        assert_eq!(lobby.encoding, encoding);
        lobby.expect_match_request().await;
        lobby.send(0, match_state(v1::syn_match_state::State::Placing, None)).await;
        lobby.send(0, match_made()).await;

        let mut scene = Peer::enter(&listener).await;
        let (_, body) = scene.receive().await;
        assert_eq!(body, client_frame::Body::SceneMessage(v1::SceneMessage { body: "hello".into() }));
        scene.send(0, server_frame::Body::SceneMessage(v1::SceneMessage { body: "world".into() })).await;
        let (_, body) = scene.receive().await;
        let client_frame::Body::Ping(v1::Ping { payload }) = body else { panic!("{body:?}") };
        scene.tell(0, server_frame::Body::Pong(v1::Pong { payload, received: 1 })).await;
        let (request, body) = scene.receive().await;
        assert_eq!(body, client_frame::Body::ReqLeaveScene(v1::ReqLeaveScene {}));
        let left = v1::SynSceneEnded { reason: v1::syn_scene_ended::Reason::Left.into(), ..Default::default() };
        scene.send(request, server_frame::Body::SynSceneEnded(left.clone())).await;
        lobby.send(0, server_frame::Body::SynSceneEnded(left)).await;
        assert!(matches!(lobby.stream.next().await, Some(Ok(Message::Close(_)))));
    })
    .await;

    let options = Options { encoding, ..options() };
    let lobby = Lobby::connect(&url, guest(), options.clone()).await.unwrap();
    assert_eq!(lobby.session().name, "Ada");
    let seat = lobby.find_match("arena").await.unwrap();
    assert_eq!(seat.scene_url, format!("{url}/v1/scene"));

    let mut scene = Scene::join(&seat, &options).await.unwrap();
    assert_eq!(scene.info().seat, 2);
    scene.send("hello").await.unwrap();
    assert!(matches!(scene.next().await, Some(SceneEvent::Message(body)) if body == "world"));
    scene.ping();
    assert!(matches!(scene.next().await, Some(SceneEvent::Pong { .. })));
    assert_eq!(scene.leave().await.unwrap().reason(), v1::syn_scene_ended::Reason::Left);

    for _ in 0..2 {
        assert!(matches!(lobby.next().await, Some(LobbyEvent::MatchState(_))));
    }
    assert!(matches!(lobby.next().await, Some(LobbyEvent::SceneEnded(_))));
    lobby.close().await;
    server.await.unwrap();
}

#[tokio::test]
async fn a_match_is_found_and_played() {
    play_a_match(Encoding::Proto).await;
    play_a_match(Encoding::Json).await;
}

#[tokio::test]
async fn a_refused_sign_in_tells_why() {
    let (url, _server) = serve(|listener| async move {
        let mut peer = Peer::accept(&listener).await;
        let (request, _) = peer.receive().await;
        peer.tell(request, server_frame::Body::Refused(refused(v1::Code::BadToken))).await;
    })
    .await;
    let result = Lobby::connect(&url, Credential::Session("old".into()), options()).await;
    let Err(error) = result else { panic!("signed in") };
    assert_eq!(error.to_string(), "refused (BAD_TOKEN): try later");
}

#[tokio::test]
async fn nobody_listens() {
    let (url, server) = serve(|listener| async move { drop(listener) }).await;
    server.await.unwrap();
    assert!(matches!(Lobby::connect(&url, guest(), options()).await, Err(Error::Connect { .. })));
    for url in ["", "127.0.0.1:1", "ws://127.0.0.1:1/game"] {
        assert!(matches!(Lobby::connect(url, guest(), options()).await, Err(Error::Url(_))), "{url}");
    }
}

#[tokio::test]
async fn a_search_ends_with_its_reason() {
    let (url, server) = serve(|listener| async move {
        let mut peer = Peer::sign_in(&listener).await;
        let idle = v1::syn_match_state::State::Idle;
        peer.expect_match_request().await;
        peer.send(0, match_state(idle, Some(refused(v1::Code::Overloaded)))).await;

        peer.expect_match_request().await;
        let (request, body) = peer.receive().await;
        assert_eq!(body, client_frame::Body::ReqCancelMatch(v1::ReqCancelMatch {}));
        peer.send(request, match_state(idle, None)).await;

        let (request, _) = peer.receive().await;
        peer.send(request, server_frame::Body::Refused(refused(v1::Code::NotFound))).await;
    })
    .await;

    let lobby = Lobby::connect(&url, guest(), options()).await.unwrap();
    let error = lobby.find_match("arena").await.unwrap_err();
    assert!(matches!(error, Error::Refused(refused) if refused.code() == v1::Code::Overloaded));

    let (found, cancelled) = tokio::join!(lobby.find_match("arena"), async {
        // The second event is the new search.
        while !matches!(lobby.next().await, Some(LobbyEvent::MatchState(state)) if state.refused.is_some()) {}
        lobby.next().await;
        lobby.cancel_match().await
    });
    assert!(matches!(found, Err(Error::Cancelled)));
    cancelled.unwrap();

    let error = lobby.rejoin().await.unwrap_err();
    assert!(matches!(error, Error::Refused(refused) if refused.code() == v1::Code::NotFound));
    server.await.unwrap();
}

#[tokio::test]
async fn a_match_nobody_waits_for_is_an_event() {
    let (url, _server) = serve(|listener| async move {
        let mut peer = Peer::sign_in(&listener).await;
        peer.send(0, match_made()).await;
        let (request, _) = peer.receive().await;
        peer.send(request, match_made()).await;
        peer
    })
    .await;
    let lobby = Lobby::connect(&url, guest(), options()).await.unwrap();
    let Some(LobbyEvent::Match(seat)) = lobby.next().await else { panic!("no match") };
    assert_eq!(lobby.rejoin().await.unwrap(), seat);
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let (url, _server) = serve(|listener| async move {
        let peer = Peer::sign_in(&listener).await;
        std::future::pending::<()>().await;
        drop(peer);
    })
    .await;
    let lobby = Lobby::connect(&url, guest(), options()).await.unwrap();
    assert!(matches!(lobby.ping().await, Err(Error::TimedOut { waited_ms: 200 })));
}

#[tokio::test]
async fn the_servers_goodbye_is_passed_on() {
    let (url, _server) = serve(|listener| async move {
        let mut peer = Peer::sign_in(&listener).await;
        let closing = v1::SynClosing { code: v1::Code::Stopping.into(), text: "back soon".into() };
        peer.tell(0, server_frame::Body::SynClosing(closing)).await;
    })
    .await;
    let lobby = Lobby::connect(&url, guest(), without_return()).await.unwrap();
    let Some(LobbyEvent::Gone(why)) = lobby.next().await else { panic!("it goes on") };
    assert!(matches!(&*why, Error::Closing(closing) if closing.text == "back soon"));
    assert!(lobby.next().await.is_none());
    let end = lobby.end().unwrap().to_string();
    assert_eq!(end, "the server closed the connection (STOPPING): back soon");
    assert!(matches!(lobby.ping().await, Err(Error::Closed)));
}

#[tokio::test]
async fn old_events_give_way_to_new_ones() {
    let (url, _server) = serve(|listener| async move {
        let mut peer = Peer::sign_in(&listener).await;
        for waiting in 0..10 {
            let state = v1::SynMatchState { waiting, ..Default::default() };
            peer.send(0, server_frame::Body::SynMatchState(state)).await;
        }
        let (request, _) = peer.receive().await;
        peer.tell(request, server_frame::Body::Pong(v1::Pong::default())).await;
        peer
    })
    .await;
    let lobby = Lobby::connect(&url, guest(), Options { events_len_max: 4, ..options() }).await.unwrap();
    lobby.ping().await.unwrap();
    assert!(matches!(lobby.next().await, Some(LobbyEvent::Missed(6))));
    assert!(matches!(lobby.next().await, Some(LobbyEvent::MatchState(state)) if state.waiting == 6));
}

#[tokio::test]
async fn a_scene_is_left_by_every_door() {
    let (url, server) = serve(|listener| async move {
        let mut peer = Peer::enter(&listener).await;
        peer.send(0, server_frame::Body::SynSceneEnded(v1::SynSceneEnded::default())).await;

        let mut peer = Peer::enter(&listener).await;
        peer.seq += 1;
        peer.send(0, server_frame::Body::SceneMessage(v1::SceneMessage::default())).await;

        let mut peer = Peer::enter(&listener).await;
        peer.stream.send(Message::Text("hello".into())).await.unwrap();

        drop(Peer::enter(&listener).await);
    })
    .await;
    let url = format!("{url}/v1/scene");
    let join = || async { Scene::join_at(&url, "token", &without_return()).await.unwrap() };

    let mut ended = join().await;
    assert!(matches!(ended.next().await, Some(SceneEvent::Ended(_))));
    assert!(ended.next().await.is_none());

    let gone = async |scene: &mut Scene| {
        let Some(SceneEvent::Gone(why)) = scene.next().await else { panic!("it goes on") };
        assert!(scene.next().await.is_none());
        why
    };
    let gap = gone(&mut join().await).await;
    assert!(matches!(*gap, Error::FrameLost { expected: 1, got: 2 }));

    let wrong_kind = gone(&mut join().await).await;
    assert!(matches!(*wrong_kind, Error::Malformed(_)));

    let mut scene = join().await;
    assert!(matches!(*gone(&mut scene).await, Error::Broken(_) | Error::Closed));
    assert!(matches!(scene.send(vec![0; 100_000]).await, Err(Error::TooLarge(_))));
    assert!(matches!(scene.send("late").await, Err(Error::Closed)));
    server.await.unwrap();
}
