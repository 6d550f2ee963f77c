//! Wishes, matches that wait to be accepted, and the domains, against a scripted server.

use std::collections::BTreeMap;

use scenehost_client::v1::syn_match_state::{Found, State};
use scenehost_client::v1::{self, client_frame, server_frame};
use scenehost_client::{Error, Lobby, LobbyEvent};

use crate::server::{Peer, guest, match_made, match_state, options, refused, serve};

fn wish() -> v1::Wish {
    let values = v1::WishValues { values: vec!["de".to_owned()] };
    v1::Wish { wants: BTreeMap::from([("language".to_owned(), values)]), ..v1::Wish::default() }
}

/// A match that waits to be accepted.
fn found(you_accepted: bool) -> server_frame::Body {
    let found = Found { players: 2, accepted: u32::from(you_accepted), you_accepted, left_ms: 9_000 };
    let server_frame::Body::SynMatchState(state) = match_state(State::Found, None) else { unreachable!() };
    server_frame::Body::SynMatchState(v1::SynMatchState { found: Some(found), ..state })
}

#[tokio::test]
async fn a_match_that_was_found_is_accepted() {
    let (url, server) = serve(|listener| async move {
        let mut peer = Peer::sign_in(&listener).await;
        let (request, body) = peer.receive().await;
        let asked = v1::ReqMatch { domain: "duel".to_owned(), wish: Some(wish()) };
        assert_eq!(body, client_frame::Body::ReqMatch(asked));
        peer.send(request, match_state(State::Searching, None)).await;
        peer.send(0, found(false)).await;
        let (request, body) = peer.receive().await;
        assert_eq!(body, client_frame::Body::ReqAcceptMatch(v1::ReqAcceptMatch { accept: true }));
        peer.send(request, found(true)).await;
        peer.send(0, match_state(State::Placing, None)).await;
        peer.send(0, match_made()).await;
    })
    .await;
    let lobby = Lobby::connect(&url, guest(), options()).await.unwrap();
    let (seat, accepted) = tokio::join!(lobby.find_match_with("duel", Some(wish())), async {
        let is_found = |event: &LobbyEvent| matches!(event, LobbyEvent::MatchState(it) if it.state() == State::Found);
        while !is_found(&lobby.next().await.unwrap()) {}
        lobby.accept_match(true).await
    });
    assert!(accepted.unwrap().found.unwrap().you_accepted);
    assert_eq!(seat.unwrap().scene_url, format!("{url}/v1/scene"));
    server.await.unwrap();
}

#[tokio::test]
async fn a_wish_is_said_alone_and_may_be_refused() {
    let (url, server) = serve(|listener| async move {
        let mut peer = Peer::sign_in(&listener).await;
        let (request, body) = peer.receive().await;
        assert_eq!(body, client_frame::Body::ReqWish(v1::ReqWish { wish: Some(wish()) }));
        peer.send(request, server_frame::Body::Done(v1::Done {})).await;
        let (request, _) = peer.receive().await;
        peer.send(request, server_frame::Body::Refused(refused(v1::Code::Invalid))).await;
        let (request, body) = peer.receive().await;
        assert_eq!(body, client_frame::Body::ReqAcceptMatch(v1::ReqAcceptMatch { accept: false }));
        peer.send(request, server_frame::Body::Refused(refused(v1::Code::OutOfOrder))).await;
    })
    .await;
    let lobby = Lobby::connect(&url, guest(), options()).await.unwrap();
    lobby.set_wish(wish()).await.unwrap();
    let is = |result: Result<(), Error>, code| matches!(result, Err(Error::Refused(it)) if it.code() == code);
    assert!(is(lobby.set_wish(v1::Wish::default()).await, v1::Code::Invalid));
    assert!(is(lobby.accept_match(false).await.map(|_| ()), v1::Code::OutOfOrder));
    server.await.unwrap();
}

#[tokio::test]
async fn the_domains_come_part_by_part() {
    let (url, server) = serve(|listener| async move {
        let mut peer = Peer::sign_in(&listener).await;
        for (after, name, more) in [("", "arena", true), ("arena", "duel", false), ("", "", true)] {
            let (request, body) = peer.receive().await;
            assert_eq!(body, client_frame::Body::ReqDomains(v1::ReqDomains { after: after.to_owned() }));
            let info = v1::DomainInfo { name: name.to_owned(), ..v1::DomainInfo::default() };
            let domains = if name.is_empty() { Vec::new() } else { vec![info] };
            peer.send(request, server_frame::Body::ResDomains(v1::ResDomains { domains, more })).await;
        }
    })
    .await;
    let lobby = Lobby::connect(&url, guest(), options()).await.unwrap();
    let names = lobby.domains().await.unwrap().into_iter().map(|domain| domain.name);
    assert_eq!(names.collect::<Vec<_>>(), ["arena", "duel"]);
    // A server that says that there are more and tells none is not asked for ever.
    assert_eq!(lobby.domains().await.unwrap(), []);
    server.await.unwrap();
}
