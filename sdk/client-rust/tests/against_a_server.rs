//! The client against a small server that follows a script, for what a real one does rarely.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use scenehost_client::v1::{self, client_frame, server_frame};
use scenehost_client::{Credential, Encoding, Error, Lobby, LobbyEvent, Options, Scene, SceneEvent};
use scenehost_protocol::Payload;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

/// The server's end of one connection.
struct Peer {
    stream: WebSocketStream<TcpStream>,
    path: String,
    encoding: Encoding,
    seq: u32,
}

impl Peer {
    async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        let mut path = String::new();
        let mut encoding = None;
        #[allow(clippy::result_large_err, reason = "the library's signature")]
        let callback = |request: &Request, mut response: Response| {
            path = request.uri().path().to_owned();
            let name = request.headers()["sec-websocket-protocol"].clone();
            encoding = Encoding::from_subprotocol(name.to_str().unwrap());
            response.headers_mut().insert("sec-websocket-protocol", name);
            Ok(response)
        };
        let stream = accept_hdr_async(stream, callback).await.unwrap();
        Self { stream, path, encoding: encoding.unwrap(), seq: 0 }
    }

    async fn receive(&mut self) -> (u32, client_frame::Body) {
        let frame = match self.stream.next().await.unwrap().unwrap() {
            Message::Binary(bytes) => self.encoding.decode_client(&bytes[..]).unwrap(),
            Message::Text(text) => self.encoding.decode_client(text.as_str()).unwrap(),
            other => panic!("not a frame: {other:?}"),
        };
        (frame.request, frame.body.unwrap())
    }

    async fn send(&mut self, request: u32, body: server_frame::Body) {
        self.seq += 1;
        let frame = v1::ServerFrame { seq: self.seq, request, body: Some(body) };
        let message = match self.encoding.encode_server(&frame) {
            Payload::Binary(bytes) => Message::Binary(bytes),
            Payload::Text(text) => Message::Text(text.into()),
        };
        self.stream.send(message).await.unwrap();
    }

    /// Lets the user in, whoever it is.
    async fn sign_in(listener: &TcpListener) -> Self {
        let mut peer = Self::accept(listener).await;
        assert_eq!(peer.path, "/v1/lobby");
        let (request, body) = peer.receive().await;
        assert!(matches!(body, client_frame::Body::ReqSignIn(_)));
        let session = v1::ResSignIn { user_id: "00".repeat(8), name: "Ada".into(), ..Default::default() };
        peer.send(request, server_frame::Body::ResSignIn(session)).await;
        peer
    }

    /// Lets the user into the scene.
    async fn enter(listener: &TcpListener) -> Self {
        let mut peer = Self::accept(listener).await;
        assert_eq!(peer.path, "/v1/scene");
        let (request, body) = peer.receive().await;
        assert!(matches!(body, client_frame::Body::ReqJoinScene(join) if join.scene_token == "token"));
        let info = v1::ResJoinScene { scene_id: "s".into(), seat: 2, ..Default::default() };
        peer.send(request, server_frame::Body::ResJoinScene(info)).await;
        peer
    }

    async fn expect_match_request(&mut self) {
        let (request, body) = self.receive().await;
        assert!(matches!(body, client_frame::Body::ReqMatch(_)));
        self.send(request, match_state(v1::syn_match_state::State::Searching, None)).await;
    }
}

fn match_state(state: v1::syn_match_state::State, refused: Option<v1::Refused>) -> server_frame::Body {
    server_frame::Body::SynMatchState(v1::SynMatchState { state: state.into(), refused, ..Default::default() })
}

fn refused(code: v1::Code) -> v1::Refused {
    v1::Refused { code: code.into(), text: "try later".into(), retry_after_ms: 1 }
}

fn match_made() -> server_frame::Body {
    server_frame::Body::ResMatch(v1::ResMatch {
        scene_id: "s".into(),
        domain: "arena".into(),
        scene_url: "/v1/scene".into(),
        scene_token: "token".into(),
        token_expires_in_ms: 5000,
    })
}

fn guest() -> Credential {
    Credential::Guest { device_id: "0123456789abcdef".into(), name: String::new() }
}

fn options() -> Options {
    Options { request_timeout: Duration::from_millis(200), ..Options::default() }
}

/// A listening server, its address and what it does.
async fn serve<F>(script: impl FnOnce(TcpListener) -> F) -> (String, JoinHandle<F::Output>)
where
    F: Future<Output: Send> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    (url, tokio::spawn(script(listener)))
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
        let client_frame::Body::Ping(v1::Ping { payload, .. }) = body else { panic!("{body:?}") };
        scene.send(0, server_frame::Body::Pong(v1::Pong { payload, received: 0 })).await;
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
    assert_eq!(scene.next().await.unwrap(), Some(SceneEvent::Message("world".into())));
    scene.ping().await.unwrap();
    assert!(matches!(scene.next().await.unwrap(), Some(SceneEvent::Pong { .. })));
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
        peer.send(request, server_frame::Body::Refused(refused(v1::Code::BadToken))).await;
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
        peer.send(0, server_frame::Body::SynClosing(closing)).await;
    })
    .await;
    let lobby = Lobby::connect(&url, guest(), options()).await.unwrap();
    assert!(matches!(lobby.next().await, Some(LobbyEvent::Closing(closing)) if closing.text == "back soon"));
    assert_eq!(lobby.next().await, None);
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
        peer.send(request, server_frame::Body::Pong(v1::Pong { payload: 0, received: 0 })).await;
        peer
    })
    .await;
    let lobby = Lobby::connect(&url, guest(), Options { events_len_max: 4, ..options() }).await.unwrap();
    lobby.ping().await.unwrap();
    assert_eq!(lobby.next().await, Some(LobbyEvent::Missed(6)));
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
    let join = || async { Scene::join_at(&url, "token", &options()).await.unwrap() };

    let mut ended = join().await;
    assert!(matches!(ended.next().await.unwrap(), Some(SceneEvent::Ended(_))));
    assert_eq!(ended.next().await.unwrap(), None);

    let mut gap = join().await;
    assert!(matches!(gap.next().await, Err(Error::FrameLost { expected: 2, got: 3 })));

    let mut wrong_kind = join().await;
    assert!(matches!(wrong_kind.next().await, Err(Error::Malformed(_))));

    let mut gone = join().await;
    assert!(matches!(gone.next().await, Err(Error::Broken(_) | Error::Closed)));
    assert!(matches!(gone.send(vec![0; 100_000]).await, Err(Error::TooLarge(_))));
    server.await.unwrap();
}
