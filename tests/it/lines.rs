//! Connections that are lost: what is kept, what was missed, and when it is over.

use scenehost_client::{Encoding, Scene, v1};
use scenehost_protocol::v1::server_frame::Body;
use scenehost_protocol::v1::{ReqCancelMatch, client_frame, req_sign_in};

use crate::host::{Host, until};
use crate::player::{device, options, sign_in};
use crate::raw::{self, Raw, accept_match, find_match};

const CONFIG: &str = r#"
[server]
scenes_max = 16
scene_threads = 1

[fleets.echo]
plugin = "hostile"

[fleets.arena]
plugin = "arena"
scene = { tick_rate_hz = 20 }

[domains.arena]
fleet = "arena"
players_min = 1
players_max = 1

[domains.pair]
fleet = "echo"
players_min = 2
players_max = 2

[domains.asked]
fleet = "echo"
players_min = 2
players_max = 2
accept_ms = 20000

[domains.trio]
fleet = "echo"
players_min = 3
players_max = 3
"#;

/// A line of which the test sees every frame.
struct Line {
    raw: Raw,
    session_token: String,
    encoding: Encoding,
}

impl Line {
    async fn begin(host: &Host, encoding: Encoding) -> Self {
        let mut raw = Raw::lobby(host, encoding).await;
        let Body::ResSignIn(session) = raw.ask(raw::sign_in(&device(), "Ada")).await else { panic!("no sign-in") };
        assert!(!session.resumed);
        Self { raw, session_token: session.session_token, encoding }
    }

    /// Cuts the connection; a new one is open and has not said whose it is.
    async fn cut(&mut self, host: &Host) {
        self.change(host).await.cut();
    }

    /// Opens a new connection, and gives the old one.
    async fn change(&mut self, host: &Host) -> Raw {
        let new = Raw::lobby(host, self.encoding).await;
        std::mem::replace(&mut self.raw, new)
    }

    /// Says on the new connection that the line is to go on after this frame.
    async fn come_back(&mut self, resume_seq: Option<u32>) -> v1::ResSignIn {
        let credential = Some(req_sign_in::Credential::SessionToken(self.session_token.clone()));
        let sign_in = v1::ReqSignIn { credential, device: String::new(), resume_seq };
        let answer = self.raw.ask(client_frame::Body::ReqSignIn(sign_in)).await;
        let Body::ResSignIn(session) = answer else { panic!("no sign-in: {answer:?}") };
        assert!(!session.resumed || Some(session.after_seq) == resume_seq);
        self.raw.expect_after(session.after_seq);
        session
    }

    async fn next_match(&mut self) -> v1::ResMatch {
        self.raw.next_that(|body| if let Body::ResMatch(made) = body { Some(made) } else { None }).await
    }
}

#[tokio::test]
async fn a_match_that_was_made_during_a_drop_waits_for_the_user() {
    let host = Host::start(CONFIG);
    for encoding in [Encoding::Proto, Encoding::Json] {
        let mut ada = Line::begin(&host, encoding).await;
        let bob = sign_in(&host, "Bob").await;
        ada.raw.ask(find_match("asked")).await;
        let (seat, seen) = tokio::join!(bob.find_match("asked"), async {
            ada.raw.next_that(|body| if let Body::SynMatchState(state) = body { state.found } else { None }).await;
            ada.raw.ask(accept_match(true)).await;
            let seen = ada.raw.seen();
            ada.cut(&host).await;
            bob.accept_match(true).await.expect("the match waits");
            seen
        });
        let seat = seat.expect("Ada has accepted before she went");

        let back = ada.come_back(Some(seen)).await;
        assert!(back.resumed);
        assert_eq!(back.scene_id, seat.scene_id);
        let made = ada.next_match().await;
        assert_eq!(made.scene_id, seat.scene_id);
        let url = format!("{}{}", host.url(), made.scene_url);
        Scene::join_at(&url, &made.scene_token, &options(encoding)).await.expect("the token came once and is good");
    }
}

#[tokio::test]
async fn who_searches_and_is_away_is_in_no_match_until_back() {
    let host = Host::start(CONFIG);
    let mut ada = Line::begin(&host, Encoding::Proto).await;
    ada.raw.ask(find_match("pair")).await;
    let seen = ada.raw.seen();
    ada.cut(&host).await;
    let bob = sign_in(&host, "Bob").await;
    let search = bob.find_match("pair");
    tokio::pin!(search);
    let early = tokio::time::timeout(std::time::Duration::from_secs(1), &mut search).await;
    assert!(early.is_err(), "nobody is there to play with: {early:?}");
    assert!(ada.come_back(Some(seen)).await.resumed);
    let made = ada.next_match().await;
    assert_eq!(search.await.expect("Ada is back").scene_id, made.scene_id);
}

#[tokio::test]
async fn a_stale_connection_gives_way_and_nothing_comes_twice() {
    let host = Host::start(CONFIG);
    let mut ada = Line::begin(&host, Encoding::Proto).await;
    let request = ada.raw.request(find_match("pair")).await;
    let first = ada.raw.next().await;
    assert_eq!((first.seq, first.request), (1, request));
    // The connection still stands, as when a phone changes networks.
    let mut stale = ada.change(&host).await;
    let back = ada.come_back(Some(1)).await;
    assert!(back.resumed && back.last_request == request);
    assert_eq!(stale.end().await.close, 4409);
    let request = ada.raw.request(client_frame::Body::ReqCancelMatch(ReqCancelMatch {})).await;
    loop {
        // The helper sees to it that numbers go on without a gap.
        let frame = ada.raw.next().await;
        assert!(frame.seq >= 2);
        if frame.request == request {
            break;
        }
    }
}

#[tokio::test]
async fn who_does_not_say_what_was_seen_gets_the_whole_state() {
    let host = Host::start(CONFIG);
    let mut ada = Line::begin(&host, Encoding::Json).await;
    ada.raw.ask(find_match("pair")).await;
    ada.cut(&host).await;
    for wrong in [None, Some(1_000)] {
        let back = ada.come_back(wrong).await;
        assert!(!back.resumed);
        let state = back.match_state.expect("the search goes on");
        assert_eq!((state.state(), state.domain.as_str()), (v1::syn_match_state::State::Searching, "pair"));
        ada.cut(&host).await;
    }
}

#[tokio::test]
async fn after_the_grace_period_the_search_is_over_and_the_session_is_not() {
    let host = Host::start(&format!("{CONFIG}\n[lobby]\ngrace_ms = 200\n"));
    let mut ada = Line::begin(&host, Encoding::Proto).await;
    ada.raw.ask(find_match("trio")).await;
    let seen = ada.raw.seen();
    ada.cut(&host).await;
    let mut other = Raw::guest(&host, Encoding::Proto).await;
    until("Ada's search to be taken back", async || {
        let Body::SynMatchState(state) = other.ask(find_match("trio")).await else { return false };
        let alone = state.waiting == 1 && state.state() == v1::syn_match_state::State::Searching;
        other.ask(client_frame::Body::ReqCancelMatch(ReqCancelMatch {})).await;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        alone
    })
    .await;
    let back = ada.come_back(Some(seen)).await;
    assert!(!back.resumed && back.match_state.is_none());
}

#[tokio::test]
async fn who_has_missed_too_much_of_a_game_is_told_its_whole_state_and_what_was_sent_still_counts() {
    let host = Host::start(CONFIG);
    for encoding in [Encoding::Proto, Encoding::Json] {
        let mut ada = Line::begin(&host, encoding).await;
        ada.raw.ask(find_match("arena")).await;
        let made = ada.next_match().await;
        let mut scene = Raw::scene(&host, &made.scene_id, encoding).await;
        let Body::ResJoinScene(_) = scene.ask(raw::join(&made.scene_token)).await else { panic!("not inside") };
        welcomed(&mut scene).await;
        for _ in 0..3 {
            scene.tell(raw::message(b"{}")).await;
        }
        let Body::Pong(pong) = scene.ask(raw::ping(1)).await else { panic!("no pong") };
        assert_eq!(pong.received, 3);
        scene.cut();

        let mut back = Raw::scene(&host, &made.scene_id, encoding).await;
        let unknown = 4_000_000_000;
        let Body::ResJoinScene(joined) = back.ask(raw::resume(&made.scene_token, Some(unknown))).await else {
            panic!("not inside again")
        };
        assert!(!joined.resumed && joined.received == 3 && joined.after_seq > unknown, "{joined:?}");
        back.expect_after(joined.after_seq);
        welcomed(&mut back).await;
    }
}

/// The arena tells all that a client needs to begin.
async fn welcomed(scene: &mut Raw) {
    let welcome = scene.next_that(|body| match body {
        Body::SceneMessage(message) => message.body.windows(9).any(|part| part == b"\"welcome\"").then_some(()),
        _ => None,
    });
    welcome.await;
}
