//! Lobby connections that are lost.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use scenehost_client::v1::syn_match_state::State;
use scenehost_client::v1::{self, client_frame, req_sign_in, server_frame};
use scenehost_client::{Credential, Error, Lobby, LobbyEvent, Match, OnTokens, Options, Tokens};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::server::{
    PATIENCE, Peer, answer_refresh, expect_nobody, guest, match_made, match_state, options, patient, refused, serve,
    session, turn_away,
};

async fn connect(url: &str) -> Lobby {
    Lobby::connect(url, guest(), patient()).await.unwrap()
}

/// The next event that `choose` wants; others are passed over.
async fn event<T>(lobby: &Lobby, choose: impl Fn(LobbyEvent) -> Option<T>) -> T {
    timeout(PATIENCE, async {
        loop {
            let event = lobby.next().await.expect("the lobby goes on");
            if let Some(chosen) = choose(event) {
                return chosen;
            }
        }
    })
    .await
    .expect("something happens")
}

async fn returned(lobby: &Lobby) -> bool {
    event(lobby, |event| if let LobbyEvent::Resumed { complete } = event { Some(complete) } else { None }).await
}

async fn gone(lobby: &Lobby) {
    event(lobby, |event| matches!(event, LobbyEvent::Gone(_)).then_some(())).await;
    assert!(lobby.next().await.is_none(), "it is the last event");
}

/// Lets the user go on with the line after this frame.
async fn sign_in_again(listener: &TcpListener, seq: u32, answer: v1::ResSignIn) -> Peer {
    let (mut peer, request, sign_in) = Peer::asks_to_sign_in(listener).await;
    assert_eq!(sign_in.resume_seq, Some(seq));
    assert_eq!(sign_in.credential, Some(req_sign_in::Credential::SessionToken("session".into())));
    peer.seq = if answer.resumed { seq } else { seq + 1_000 };
    let answer = v1::ResSignIn { after_seq: peer.seq, ..answer };
    peer.tell(request, server_frame::Body::ResSignIn(answer)).await;
    peer
}

#[tokio::test]
async fn requests_are_answered_over_the_next_connection() {
    let (url, server) = serve(|listener| async move {
        let mut peer = Peer::sign_in(&listener).await;
        let (came, _) = peer.receive().await;
        let (_lost, _) = peer.receive().await;
        peer.cut();

        let answer = v1::ResSignIn { resumed: true, last_request: came, ..session() };
        let mut peer = sign_in_again(&listener, 0, answer).await;
        // The first one has come, and its answer was missed; the second one has not come.
        peer.send(came, match_made()).await;
        let (again, body) = peer.receive().await;
        assert!(matches!(body, client_frame::Body::ReqCancelMatch(_)), "{body:?}");
        assert!(peer.pings >= 1, "who is back says something at once");
        peer.send(again, match_state(State::Idle, None)).await;
        peer
    })
    .await;
    let lobby = connect(&url).await;
    let (rejoined, cancelled) = tokio::join!(biased; lobby.rejoin(), lobby.cancel_match());
    assert_eq!(rejoined.unwrap().scene_id, "s");
    cancelled.unwrap();
    assert!(returned(&lobby).await);
    server.await.unwrap();
}

#[tokio::test]
async fn what_is_asked_during_a_drop_is_sent_once_after_it() {
    let (asked, has_asked) = oneshot::channel();
    let (url, server) = serve(|listener| async move {
        Peer::sign_in(&listener).await.cut();
        has_asked.await.unwrap();
        let mut peer = sign_in_again(&listener, 0, v1::ResSignIn { resumed: true, ..session() }).await;
        let (request, body) = peer.receive().await;
        assert!(matches!(body, client_frame::Body::ReqRejoin(_)), "{body:?}");
        peer.send(request, match_made()).await;
        let (request, body) = peer.receive().await;
        assert!(matches!(body, client_frame::Body::Ping(_)), "{body:?}");
        peer.cut();
        // The answer to a ping is lost with its connection: it is asked again.
        let answer = v1::ResSignIn { resumed: true, last_request: request, ..session() };
        let mut peer = sign_in_again(&listener, 1, answer).await;
        assert!(matches!(peer.receive().await.1, client_frame::Body::Ping(_)));
        peer.tell(request, server_frame::Body::Pong(v1::Pong::default())).await;
        peer
    })
    .await;
    let lobby = connect(&url).await;
    dropped(&lobby).await;
    let (rejoined, ()) = tokio::join!(biased; lobby.rejoin(), async { asked.send(()).unwrap() });
    assert_eq!(rejoined.unwrap().scene_id, "s");
    lobby.ping().await.unwrap();
    server.await.unwrap();
}

async fn dropped(lobby: &Lobby) {
    event(lobby, |event| matches!(event, LobbyEvent::Dropped { .. }).then_some(())).await;
}

#[tokio::test]
async fn what_timed_out_during_a_drop_is_not_sent_after_it() {
    for resumed in [true, false] {
        let (give_up, has_given_up) = oneshot::channel();
        let (url, server) = serve(async move |listener| {
            Peer::sign_in(&listener).await.cut();
            has_given_up.await.unwrap();
            let mut peer = sign_in_again(&listener, 0, v1::ResSignIn { resumed, ..session() }).await;
            // All that waits leaves before the client reads this.
            peer.closing(v1::Code::TakenOver).await;
            peer.expect_silence().await;
        })
        .await;
        let lobby = Lobby::connect(&url, guest(), options()).await.unwrap();
        dropped(&lobby).await;
        let found = lobby.find_match("arena").await;
        assert!(matches!(found, Err(Error::TimedOut { .. })), "{found:?}");
        give_up.send(()).unwrap();
        assert_eq!(returned(&lobby).await, resumed);
        gone(&lobby).await;
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_search_that_was_given_up_during_a_drop_does_not_hide_how_the_one_before_ended() {
    let (give_up, has_given_up) = oneshot::channel();
    let (url, server) = serve(|listener| async move {
        let mut peer = Peer::sign_in(&listener).await;
        peer.expect_match_request().await;
        peer.cut();
        has_given_up.await.unwrap();
        sign_in_again(&listener, 1, session()).await
    })
    .await;
    let lobby = connect(&url).await;
    let (found, ()) = tokio::join!(lobby.find_match("arena"), async {
        dropped(&lobby).await;
        let second = timeout(Duration::from_millis(10), lobby.find_match("arena")).await;
        assert!(second.is_err(), "{second:?}");
        give_up.send(()).unwrap();
    });
    assert!(matches!(found, Err(Error::OutcomeUnknown)), "{found:?}");
    server.await.unwrap();
}

#[tokio::test]
async fn a_search_goes_on_where_the_line_does_not() {
    let (url, server) = serve(|listener| async move {
        let mut peer = Peer::sign_in(&listener).await;
        peer.expect_match_request().await;
        let (_, body) = peer.receive().await;
        assert!(matches!(body, client_frame::Body::ReqRejoin(_)), "{body:?}");
        peer.cut();
        let server_frame::Body::SynMatchState(state) = match_state(State::Searching, None) else { unreachable!() };
        let answer = v1::ResSignIn { match_state: Some(state), ..session() };
        let mut peer = sign_in_again(&listener, 1, answer).await;
        peer.send(0, match_made()).await;
        peer
    })
    .await;
    let lobby = connect(&url).await;
    let (found, rejoined) = tokio::join!(biased; lobby.find_match("arena"), async {
        event(&lobby, |event| matches!(event, LobbyEvent::MatchState(_)).then_some(())).await;
        lobby.rejoin().await
    });
    assert_eq!(found.unwrap().scene_token, "token");
    assert!(matches!(rejoined, Err(Error::OutcomeUnknown)), "{rejoined:?}");
    assert!(!returned(&lobby).await);
    server.await.unwrap();
}

#[tokio::test]
async fn a_search_of_which_no_answer_came_is_taken_from_the_servers_state() {
    let (url, server) = serve(|listener| async move {
        let mut peer = Peer::sign_in(&listener).await;
        peer.receive().await;
        peer.cut();
        let server_frame::Body::SynMatchState(state) = match_state(State::Placing, None) else { unreachable!() };
        let answer = v1::ResSignIn { match_state: Some(state), ..session() };
        let mut peer = sign_in_again(&listener, 0, answer).await;
        peer.send(0, match_made()).await;
        peer
    })
    .await;
    let lobby = connect(&url).await;
    assert_eq!(lobby.find_match("arena").await.unwrap().scene_id, "s");
    server.await.unwrap();
}

#[tokio::test]
async fn a_match_that_was_made_and_missed_is_asked_for() {
    let (url, server) = serve(|listener| async move {
        let mut peer = Peer::sign_in(&listener).await;
        peer.expect_match_request().await;
        peer.cut();
        let mut peer = sign_in_again(&listener, 1, v1::ResSignIn { scene_id: "s".into(), ..session() }).await;
        let (request, body) = peer.receive().await;
        assert!(matches!(body, client_frame::Body::ReqRejoin(_)), "{body:?}");
        peer.send(request, match_made()).await;
        // The next search ends with its match's scene.
        peer.expect_match_request().await;
        peer.cut();
        let mut peer = sign_in_again(&listener, 1_003, v1::ResSignIn { scene_id: "s".into(), ..session() }).await;
        let (request, _) = peer.receive().await;
        peer.send(request, server_frame::Body::Refused(refused(v1::Code::NoSeat))).await;
        // And one after which there is neither search nor scene.
        peer.expect_match_request().await;
        peer.cut();
        sign_in_again(&listener, 2_005, session()).await
    })
    .await;
    let lobby = connect(&url).await;
    assert_eq!(lobby.find_match("arena").await.unwrap().scene_url, format!("{url}/v1/scene"));
    let error = lobby.find_match("arena").await.unwrap_err();
    assert!(matches!(&error, Error::Refused(refused) if refused.code() == v1::Code::NoSeat), "{error}");
    let error = lobby.find_match("arena").await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown), "{error}");
    server.await.unwrap();
}

/// The body of a call, which came with these words before it.
fn body_of(call: &str) -> Value {
    assert!(call.starts_with("POST /v1/auth/refresh HTTP/1.1\r\n"), "{call}");
    serde_json::from_str(call.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// Refuses a sign-in because of its token, and answers the call that follows.
async fn refresh_after_refusal(listener: &TcpListener, head: &str, answer: &Value) -> v1::ReqSignIn {
    let (mut peer, request, sign_in) = Peer::asks_to_sign_in(listener).await;
    peer.tell(request, server_frame::Body::Refused(refused(v1::Code::BadToken))).await;
    let call = answer_refresh(listener, head, &answer.to_string()).await;
    assert_eq!(body_of(&call), json!({ "refreshToken": "refresh" }));
    sign_in
}

fn next_tokens() -> Value {
    json!({ "sessionToken": "session 2", "refreshToken": "refresh 2" })
}

async fn expect_new_token(listener: &TcpListener, resume_seq: Option<u32>) -> Peer {
    let (mut peer, request, sign_in) = Peer::asks_to_sign_in(listener).await;
    assert_eq!(sign_in.credential, Some(req_sign_in::Credential::SessionToken("session 2".into())));
    assert_eq!(sign_in.resume_seq, resume_seq);
    // As after every sign-in with a session token.
    let answer = v1::ResSignIn { session_token: "session 2".into(), refresh_token: String::new(), ..session() };
    let answer = v1::ResSignIn { resumed: resume_seq.is_some(), ..answer };
    peer.tell(request, server_frame::Body::ResSignIn(answer)).await;
    peer
}

#[tokio::test]
async fn a_session_token_that_is_too_old_is_refreshed() {
    let (url, server) = serve(|listener| async move {
        Peer::sign_in(&listener).await.cut();
        // The first answer is lost, or comes from something that stands before the server.
        refresh_after_refusal(&listener, "502 Bad Gateway", &json!({ "error": "no" })).await;
        let sign_in = refresh_after_refusal(&listener, "200 OK", &next_tokens()).await;
        assert_eq!(sign_in.resume_seq, Some(0));
        expect_new_token(&listener, Some(0)).await
    })
    .await;
    let lobby = connect(&url).await;
    let kept = event(&lobby, |event| if let LobbyEvent::Refreshed(tokens) = event { Some(tokens) } else { None }).await;
    assert_eq!((kept.session_token.as_str(), kept.refresh_token.as_str()), ("session 2", "refresh 2"));
    assert!(returned(&lobby).await);
    let session = lobby.session();
    assert_eq!((session.session_token.as_str(), session.refresh_token.as_str()), ("session 2", "refresh 2"));
    server.await.unwrap();
}

#[tokio::test]
async fn a_session_that_cannot_be_refreshed_is_gone() {
    let (url, server) = serve(|listener| async move {
        Peer::sign_in(&listener).await.cut();
        let answer = json!({ "code": "SESSION_ENDED", "text": "sign in again" });
        refresh_after_refusal(&listener, "403 Forbidden", &answer).await;
        expect_nobody(&listener).await;
    })
    .await;
    let lobby = connect(&url).await;
    gone(&lobby).await;
    let end = lobby.end().unwrap();
    assert!(matches!(end, Error::Refused(refused) if refused.code() == v1::Code::SessionEnded), "{end}");
    assert!(matches!(lobby.rejoin().await, Err(Error::Closed)));
    server.await.unwrap();
}

#[tokio::test]
async fn kept_tokens_sign_in_also_when_they_are_old() {
    let (url, server) = serve(|listener| async move {
        refresh_after_refusal(&listener, "200 OK", &next_tokens()).await;
        expect_new_token(&listener, None).await
    })
    .await;
    let tokens = Credential::Tokens { session_token: "session".into(), refresh_token: "refresh".into() };
    let lobby = Lobby::connect(&url, tokens, patient()).await.unwrap();
    assert!(matches!(lobby.next().await, Some(LobbyEvent::Refreshed(_))));
    assert_eq!(lobby.session().refresh_token, "refresh 2");
    server.await.unwrap();
}

/// What a program has stored, as session token and refresh token.
type Store = Arc<Mutex<Vec<(String, String)>>>;

/// Options that store refreshed tokens here.
fn storing(store: &Store) -> Options {
    let store = Arc::clone(store);
    let keep = move |tokens: &Tokens| {
        store.lock().unwrap().push((tokens.session_token.clone(), tokens.refresh_token.clone()));
    };
    Options { on_tokens: Some(OnTokens::new(keep)), ..patient() }
}

fn expect_stored(store: &Store) {
    assert_eq!(*store.lock().unwrap(), [("session 2".to_owned(), "refresh 2".to_owned())]);
}

#[tokio::test]
async fn refreshed_tokens_can_be_stored_before_a_sign_in_with_them_fails() {
    let store = Store::default();
    let seen = Arc::clone(&store);
    let (url, server) = serve(|listener| async move {
        refresh_after_refusal(&listener, "200 OK", &next_tokens()).await;
        // The server has used the new token, and its answer is lost.
        let (peer, _, _) = Peer::asks_to_sign_in(&listener).await;
        expect_stored(&seen);
        peer.cut();
        expect_new_token(&listener, None).await
    })
    .await;
    let tokens = Credential::Tokens { session_token: "session".into(), refresh_token: "refresh".into() };
    let Err(error) = Lobby::connect(&url, tokens, storing(&store)).await else { panic!("signed in") };
    assert!(matches!(error, Error::Broken(_) | Error::Closed), "{error}");

    let (session_token, refresh_token) = store.lock().unwrap().pop().unwrap();
    let tokens = Credential::Tokens { session_token, refresh_token };
    let lobby = Lobby::connect(&url, tokens, storing(&store)).await.unwrap();
    assert_eq!(lobby.session().refresh_token, "refresh 2");
    assert!(store.lock().unwrap().is_empty(), "those are not new");
    server.await.unwrap();
}

#[tokio::test]
async fn tokens_refreshed_during_a_drop_are_stored_before_they_are_used() {
    let store = Store::default();
    let seen = Arc::clone(&store);
    let (url, server) = serve(|listener| async move {
        Peer::sign_in(&listener).await.cut();
        refresh_after_refusal(&listener, "200 OK", &next_tokens()).await;
        let (peer, _, _) = Peer::asks_to_sign_in(&listener).await;
        expect_stored(&seen);
        peer.cut();
        expect_new_token(&listener, Some(0)).await
    })
    .await;
    let lobby = Lobby::connect(&url, guest(), storing(&store)).await.unwrap();
    assert!(returned(&lobby).await);
    expect_stored(&store);
    server.await.unwrap();
}

#[test]
fn tokens_are_not_printed() {
    let tokens = Tokens {
        session_token: "the session".into(),
        session_expires_ms: 1,
        refresh_token: "the refresh".into(),
        refresh_expires_ms: 2,
    };
    assert_eq!(format!("{tokens:?}"), "Tokens { session_expires_ms: 1, refresh_expires_ms: 2, .. }");
    let options = Options { on_tokens: Some(OnTokens::new(move |new| assert_eq!(*new, tokens))), ..patient() };
    let printed = format!("{options:?}");
    assert!(printed.contains("on_tokens: Some(OnTokens(..))") && !printed.contains("the "), "{printed}");
}

/// Answers an attempt to come back so; when the next one comes.
async fn next_attempt_after<F>(answer: impl FnOnce(TcpListener) -> F + Send + 'static) -> Duration
where
    F: Future<Output = TcpListener> + Send,
{
    let (url, server) = serve(async move |listener| {
        Peer::sign_in(&listener).await.cut();
        answer(listener).await
    })
    .await;
    // Longer than a minute.
    let options = Options { grace_margin: Duration::from_secs(600), ..patient() };
    let lobby = Lobby::connect(&url, guest(), options).await.unwrap();
    let next_attempt = event(&lobby, |event| match event {
        LobbyEvent::Dropped { why, next_attempt } if matches!(*why, Error::Connect { .. } | Error::Refresh { .. }) => {
            Some(next_attempt)
        }
        _ => None,
    })
    .await;
    lobby.close().await;
    server.await.unwrap();
    next_attempt
}

#[tokio::test]
async fn what_an_http_answer_asks_for_is_waited_within_limits() {
    // The first time after which the client waits, and the least over which those spread that were told one.
    let random_max = Duration::from_millis(100);
    for (head, asked_s) in [
        ("503 Service Unavailable\r\nretry-after: 7", 7),
        ("429 Too Many Requests\r\nRetry-After: 7", 7),
        ("503 Service Unavailable\r\nretry-after: 86400", 60),
        ("503 Service Unavailable", 0),
        ("503 Service Unavailable\r\nretry-after: Wed, 21 Oct 2026 07:28:00 GMT", 0),
        ("503 Service Unavailable\r\nretry-after: -1", 0),
    ] {
        let asked = Duration::from_secs(asked_s);
        let expect = |waits: Duration| {
            assert!(asked <= waits && waits <= asked + random_max, "{head:?}: {waits:?}");
        };
        expect(
            next_attempt_after(async move |listener| {
                turn_away(&listener, head).await;
                listener
            })
            .await,
        );
        expect(
            next_attempt_after(async move |listener| {
                refresh_after_refusal(&listener, head, &json!({ "error": "no" })).await;
                listener
            })
            .await,
        );
    }
}

#[tokio::test]
async fn who_is_signed_in_elsewhere_or_signed_out_does_not_come_back() {
    for code in [v1::Code::TakenOver, v1::Code::SessionEnded, v1::Code::Banned, v1::Code::Malformed] {
        let (url, server) = serve(async move |listener| {
            Peer::sign_in(&listener).await.closing(code).await;
            expect_nobody(&listener).await;
        })
        .await;
        let lobby = connect(&url).await;
        gone(&lobby).await;
        assert!(matches!(lobby.end(), Some(Error::Closing(closing)) if closing.code() == code));
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_lobby_that_is_left_during_a_drop_ends() {
    let (url, server) = serve(|listener| async move {
        Peer::sign_in(&listener).await.cut();
    })
    .await;
    let lobby = connect(&url).await;
    server.await.unwrap();
    event(&lobby, |event| matches!(event, LobbyEvent::Dropped { next_attempt: Duration::ZERO, .. }).then_some(()))
        .await;
    timeout(PATIENCE, lobby.close()).await.expect("nobody waits for a server that is not there");
}

#[test]
fn what_is_printed_for_debugging_shows_no_secret() {
    let secret = || "hush".to_owned();
    let credentials = [
        Credential::Guest { device_id: secret(), name: "Ada".to_owned() },
        Credential::Session(secret()),
        Credential::Tokens { session_token: secret(), refresh_token: secret() },
        Credential::Password { name: "Ada".to_owned(), password: secret(), create: true },
        Credential::Oidc { provider: "example".to_owned(), id_token: secret() },
    ];
    let seat = Match {
        scene_id: "1".to_owned(),
        domain: "arena".to_owned(),
        scene_url: "/v1/scene/1".to_owned(),
        scene_token: secret(),
        token_expires_in: Duration::ZERO,
    };
    let printed = format!("{credentials:?} {seat:?}");
    assert!(!printed.contains("hush") && printed.contains("Ada") && printed.contains("arena"), "{printed}");
}
