//! What users bring to a search and want of it, matches that have to be accepted, and what there is to search in.

use std::collections::BTreeMap;
use std::time::Duration;

use scenehost_client::v1::syn_match_state::State;
use scenehost_client::{Encoding, Error, Lobby, LobbyEvent, v1};
use scenehost_protocol::v1::server_frame::Body;
use scenehost_protocol::v1::{client_frame, syn_match_state};
use tokio::time::timeout;

use crate::host::Host;
use crate::player::{refusal, sign_in};
use crate::raw::{Raw, accept_match, find_match};

const CONFIG: &str = r#"
[server]
scenes_max = 16
scene_threads = 1

[fleets.echo]
plugin = "hostile"

[domains.talk]
fleet = "echo"
players_min = 2
players_max = 2
opponents = true
properties = [
    { name = "language", values = ["de", "en"] },
    { name = "map", values = ["ice", "sand"], common = true },
]

[domains.asked]
fleet = "echo"
players_min = 2
players_max = 2
accept_ms = 20000

[domains.hurried]
fleet = "echo"
players_min = 2
players_max = 2
accept_ms = 1000

[domains.night]
fleet = "echo"
players_min = 1
players_max = 1
wait_ms_max = 60000
"#;

/// How long nothing has to happen until it counts as not happening.
const NOTHING: Duration = Duration::from_millis(1_500);

fn lists(of: &[(&str, &str)]) -> BTreeMap<String, v1::WishValues> {
    let list =
        |(name, value): &(&str, &str)| ((*name).to_owned(), v1::WishValues { values: vec![(*value).to_owned()] });
    of.iter().map(list).collect()
}

fn wish(has: &[(&str, &str)], wants: &[(&str, &str)]) -> Option<v1::Wish> {
    Some(v1::Wish { has: lists(has), wants: lists(wants), ..v1::Wish::default() })
}

/// Waits until a match waits to be accepted.
async fn found(lobby: &Lobby) -> syn_match_state::Found {
    loop {
        if let Some(LobbyEvent::MatchState(state)) = lobby.next().await
            && let Some(found) = state.found
        {
            return found;
        }
    }
}

/// Waits until the search goes on.
async fn searches(lobby: &Lobby) -> v1::SynMatchState {
    loop {
        match lobby.next().await {
            Some(LobbyEvent::MatchState(state)) if state.state() == State::Searching => return state,
            Some(_) => {}
            None => panic!("the lobby is gone"),
        }
    }
}

#[tokio::test]
async fn properties_are_matched_both_ways() {
    let host = Host::start(CONFIG);
    let (ada, bob, cy) = (sign_in(&host, "Ada").await, sign_in(&host, "Bob").await, sign_in(&host, "Cy").await);
    let wants_german = wish(&[("language", "en")], &[("language", "de"), ("map", "ice")]);
    let has_german = wish(&[("language", "de")], &[("language", "en"), ("map", "ice")]);
    let search = ada.find_match_with("talk", wants_german.clone());
    tokio::pin!(search);
    // Bob has English and wants German, as Ada; Cy is whom both want, and says so before the search.
    let other = bob.find_match_with("talk", wants_german);
    tokio::pin!(other);
    let both = async {
        tokio::select! { made = &mut search => made, made = &mut other => made }
    };
    assert!(timeout(NOTHING, both).await.is_err(), "they do not want each other");
    bob.cancel_match().await.expect("no match is made");
    assert!(matches!(other.await, Err(Error::Cancelled)));
    cy.set_wish(has_german.unwrap()).await.expect("it is within the limits");
    let (seat, same) = tokio::join!(search, cy.find_match("talk"));
    assert_eq!(seat.expect("they fit").scene_id, same.expect("they fit").scene_id);
}

#[tokio::test]
async fn a_named_opponent_is_waited_for() {
    let host = Host::start(CONFIG);
    let (ada, bob, cy) = (sign_in(&host, "Ada").await, sign_in(&host, "Bob").await, sign_in(&host, "Cy").await);
    let only_cy = v1::Wish { opponents: vec![cy.session().user_id], ..v1::Wish::default() };
    let search = ada.find_match_with("talk", Some(only_cy.clone()));
    tokio::pin!(search);
    assert!(timeout(NOTHING, async { tokio::join!(&mut search, bob.find_match("talk")) }).await.is_err());
    bob.cancel_match().await.expect("no match is made");
    let (seat, same) = tokio::join!(search, cy.find_match("talk"));
    assert_eq!(seat.expect("it is Cy").scene_id, same.expect("Ada waits").scene_id);

    let refused = refusal(bob.find_match_with("asked", Some(only_cy)).await);
    assert_eq!(refused.code(), v1::Code::Invalid);
    let misspelt = wish(&[("langage", "de")], &[]);
    let refused = refusal(bob.find_match_with("talk", misspelt).await);
    assert_eq!(refused.code(), v1::Code::Invalid);
    assert!(refused.text.contains("language, map"), "{}", refused.text);
}

#[tokio::test]
async fn a_match_is_made_when_both_accept() {
    let host = Host::start(CONFIG);
    let (ada, bob) = (sign_in(&host, "Ada").await, sign_in(&host, "Bob").await);
    let accept = async |lobby: &Lobby| {
        let waiting = found(lobby).await;
        assert_eq!(waiting.players, 2);
        assert!(waiting.left_ms > 0 && waiting.left_ms <= 20_000, "{waiting:?}");
        lobby.accept_match(true).await.expect("it waits for that")
    };
    let (seat, same, _, _) = tokio::join!(ada.find_match("asked"), bob.find_match("asked"), accept(&ada), accept(&bob));
    assert_eq!(seat.expect("both have accepted").scene_id, same.expect("both have accepted").scene_id);
    let refused = refusal(ada.accept_match(true).await);
    assert_eq!(refused.code(), v1::Code::OutOfOrder);
}

#[tokio::test]
async fn who_declines_waits_and_the_other_finds_somebody_else() {
    let host = Host::start(CONFIG);
    let (ada, bob, cy) = (sign_in(&host, "Ada").await, sign_in(&host, "Bob").await, sign_in(&host, "Cy").await);
    let (seat, same, ()) = tokio::join!(
        ada.find_match("asked"),
        async {
            let refused = refusal(bob.find_match("asked").await);
            assert_eq!(refused.code(), v1::Code::Cancelled);
            let again = refusal(bob.find_match("asked").await);
            assert_eq!(again.code(), v1::Code::RateLimited);
            assert!(again.retry_after_ms > 0 && again.retry_after_ms <= 10_000, "{again:?}");
            cy.find_match("asked").await
        },
        async {
            tokio::join!(found(&ada), found(&bob));
            tokio::time::sleep(Duration::from_millis(20)).await;
            let over = bob.accept_match(false).await.expect("the match waits");
            assert_eq!(over.state(), State::Idle);
            assert!(searches(&ada).await.waited_ms > 0, "no younger than before");
            tokio::join!(found(&ada), found(&cy));
            ada.accept_match(true).await.expect("the match waits");
            cy.accept_match(true).await.expect("the match waits");
        }
    );
    assert_eq!(seat.expect("Cy came").scene_id, same.expect("Ada waits").scene_id);
}

#[tokio::test]
async fn who_does_not_answer_has_declined() {
    let host = Host::start(CONFIG);
    let (ada, bob) = (sign_in(&host, "Ada").await, sign_in(&host, "Bob").await);
    let search = ada.find_match("hurried");
    tokio::pin!(search);
    let told = async {
        let (silent, ()) = tokio::join!(bob.find_match("hurried"), async {
            found(&ada).await;
            ada.accept_match(true).await.expect("the match waits");
            // Back in the queue, without Bob.
            searches(&ada).await;
        });
        silent
    };
    let refused = tokio::select! {
        made = &mut search => panic!("Bob has not accepted: {made:?}"),
        silent = told => refusal(silent),
    };
    assert_eq!(refused.code(), v1::Code::Cancelled);
    let again = refusal(bob.find_match("hurried").await);
    assert_eq!(again.code(), v1::Code::RateLimited);
    ada.cancel_match().await.expect("the search goes on");
}

#[tokio::test]
async fn the_domains_are_told_in_both_encodings() {
    let host = Host::start(CONFIG);
    let domains = sign_in(&host, "Ada").await.domains().await.expect("they are told");
    let names: Vec<&str> = domains.iter().map(|domain| domain.name.as_str()).collect();
    assert_eq!(names, ["asked", "hurried", "night", "talk"]);
    assert_eq!((domains[0].accept_ms, domains[0].players_max, domains[0].rated), (20_000, 2, true));
    assert_eq!(domains[2].wait_ms_max, 60_000);
    let talk = &domains[3];
    assert!(talk.opponents && talk.accept_ms == 0 && talk.opens_ms == 0);
    let properties: Vec<(&str, bool)> = talk.properties.iter().map(|it| (it.name.as_str(), it.common)).collect();
    assert_eq!(properties, [("language", false), ("map", true)]);
    assert_eq!(talk.properties[0].values, ["de", "en"]);

    let mut raw = Raw::guest(&host, Encoding::Json).await;
    let after = "hurried".to_owned();
    let Body::ResDomains(rest) = raw.ask(client_frame::Body::ReqDomains(v1::ReqDomains { after })).await else {
        panic!("no domains");
    };
    assert_eq!(rest.domains, domains[2..]);
    assert!(!rest.more);
}

#[tokio::test]
async fn wrong_frames_about_matching_are_refused_and_the_connection_stays() {
    let host = Host::start(CONFIG);
    let mut raw = Raw::guest(&host, Encoding::Json).await;
    let opponents = |name: &str| v1::Wish { opponents: vec![name.to_owned()], ..v1::Wish::default() };
    let empty = v1::Wish { wants: [("language".to_owned(), v1::WishValues::default())].into(), ..v1::Wish::default() };
    for (wish, text) in [(opponents("Bob"), "no user's id"), (empty, "language has no value")] {
        for body in [
            client_frame::Body::ReqWish(v1::ReqWish { wish: Some(wish.clone()) }),
            client_frame::Body::ReqMatch(v1::ReqMatch { domain: "talk".to_owned(), wish: Some(wish) }),
        ] {
            let refused = raw.refused(body).await;
            assert_eq!(refused.code(), v1::Code::Invalid);
            assert!(refused.text.contains(text), "{}", refused.text);
        }
    }
    assert_eq!(raw.refused(accept_match(true)).await.code(), v1::Code::OutOfOrder);
    // A region that nobody knows, and a round trip beyond all measure, are of no harm.
    let far = v1::Wish { round_trips: [("moon".to_owned(), u32::MAX)].into(), ..v1::Wish::default() };
    let body = raw.ask(client_frame::Body::ReqWish(v1::ReqWish { wish: Some(far) })).await;
    assert!(matches!(body, Body::Done(_)), "{body:?}");
    assert!(matches!(raw.ask(find_match("talk")).await, Body::SynMatchState(_)));
}
