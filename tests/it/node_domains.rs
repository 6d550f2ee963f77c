//! Domains on several nodes: each comes and goes alone, and is given to nodes that come later.

use std::time::Duration;

use futures_util::future::join;
use scenehost_client::v1::{Code, Service};
use scenehost_client::{Error, Lobby, LobbyEvent, Match, v1};

use crate::cluster::{Cluster, status, until};
use crate::host::within;
use crate::player::sign_in;

/// By rendezvous hashing `duel` falls to node 2, and `left` to node 3.
const CONFIG: &str = r#"
[server]
scenes_max = 32
scene_threads = 1

[fleets.echo]
plugin = "hostile"

[domains.duel]
fleet = "echo"
players_min = 2
players_max = 2
wait_ms_max = 120000

[domains.left]
fleet = "echo"
players_min = 2
players_max = 2
wait_ms_max = 120000
"#;

/// All but domains.
const REST: &str = r#""auth", "lobby", "scene-master", "scene-service", "db""#;
const DOMAINS: &str = r#""match""#;
/// The nodes' places in the cluster.
const SECOND: usize = 1;
const THIRD: usize = 2;

/// Node 1 runs all but domains; each of the others has the domain that falls to it.
async fn two_owners() -> Cluster {
    let cluster = Cluster::start(CONFIG, &[REST, DOMAINS, DOMAINS]).await;
    has(&cluster, "duel", SECOND).await;
    has(&cluster, "left", THIRD).await;
    cluster
}

/// Waits until a node runs a domain, as all nodes say.
async fn has(cluster: &Cluster, domain: &str, node: usize) {
    let unit = format!("match/{domain}");
    until(&format!("node {} has {domain}", node + 1), async || {
        let mut serves = true;
        for host in cluster.nodes.iter().flatten() {
            let units = status(host).await["units"].as_array().cloned().unwrap_or_default();
            serves &= units.iter().any(|it| it["unit"] == unit && it["node"] == node + 1 && it["serves"] == true);
        }
        serves
    })
    .await;
}

/// A user who waits in a domain, alone: the search, and how it comes out.
async fn waits<'a>(lobby: &'a Lobby, domain: &'a str) -> impl Future<Output = Result<Match, Error>> + 'a {
    let mut found = Box::pin(lobby.find_match(domain));
    within("the search has begun", async {
        loop {
            tokio::select! {
                ended = &mut found => panic!("it is alone: {ended:?}"),
                event = lobby.next() => match event.expect("the lobby goes on") {
                    LobbyEvent::MatchState(state) if state.state() == v1::syn_match_state::State::Searching => return,
                    _ => {}
                },
            }
        }
    })
    .await;
    found
}

/// Another user comes, and both have the same match.
async fn met(cluster: &Cluster, first: impl Future<Output = Result<Match, Error>>, domain: &str) {
    let second = sign_in(cluster.node(0), "Bob").await;
    let (first, second) = within("a match", join(first, second.find_match(domain))).await;
    let (first, second) = (first.expect("the search went on"), second.expect("it is made"));
    assert_eq!(first.scene_id, second.scene_id);
}

/// What a user was told of services and of the search, so far.
async fn told(lobby: &Lobby) -> (Vec<v1::SynService>, Vec<v1::SynMatchState>) {
    let (mut services, mut states) = (Vec::new(), Vec::new());
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_millis(50), lobby.next()).await {
        match event {
            LobbyEvent::Service(service) => services.push(service),
            LobbyEvent::MatchState(state) => states.push(state),
            _ => {}
        }
    }
    (services, states)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_whose_node_is_killed_takes_no_search_of_another_along() {
    let mut cluster = two_owners().await;
    let (ada, eve) = (sign_in(cluster.node(0), "Ada").await, sign_in(cluster.node(0), "Eve").await);
    let (in_left, in_duel) = (waits(&ada, "left").await, waits(&eve, "duel").await);
    cluster.kill9(SECOND);
    let Err(Error::Refused(refused)) = within("it ends", in_duel).await else { panic!("its handler is gone") };
    assert_eq!(refused.code(), Code::ServiceDown);
    let (down, _) = told(&eve).await;
    assert_eq!(
        down.iter().map(|it| (it.service(), it.up, &it.domains[..])).collect::<Vec<_>>(),
        [(Service::Match, false, &["duel".to_owned()][..])]
    );
    // The door of that domain is closed, for others, too, and for the other one open.
    let late = sign_in(cluster.node(0), "Late").await;
    let Err(Error::Refused(refused)) = late.find_match("duel").await else { panic!("it is down") };
    assert_eq!(refused.code(), Code::ServiceDown);
    met(&cluster, in_left, "left").await;
    let (services, states) = told(&ada).await;
    assert_eq!(services, [], "nothing was down for her");
    assert!(states.iter().all(|state| state.state() != v1::syn_match_state::State::Idle), "{states:?}");
    // The other one takes it over, and who was told hears of it.
    has(&cluster, "duel", THIRD).await;
    for lobby in [&eve, &late] {
        within("it is told", async {
            loop {
                if let LobbyEvent::Service(service) = lobby.next().await.expect("the lobby goes on") {
                    assert_eq!((service.up, &service.domains[..]), (true, &["duel".to_owned()][..]));
                    return;
                }
            }
        })
        .await;
    }
    let again = waits(&eve, "duel").await;
    met(&cluster, again, "duel").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_in_a_domain_whose_node_is_stopped_goes_on_with_the_next_one() {
    let mut cluster = two_owners().await;
    let ada = sign_in(cluster.node(0), "Ada").await;
    let search = waits(&ada, "duel").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut stopped = cluster.nodes[SECOND].take().expect("it runs");
    stopped.terminate();
    has(&cluster, "duel", THIRD).await;
    assert!(stopped.ended().await.success(), "{}", stopped.log());
    met(&cluster, search, "duel").await;
    let (services, states) = told(&ada).await;
    assert_eq!(services, [], "she has noticed nothing");
    let states: Vec<(v1::syn_match_state::State, u64)> =
        states.iter().map(|state| (state.state(), state.waited_ms)).collect();
    let searching = states.iter().filter(|(state, _)| *state == v1::syn_match_state::State::Searching);
    assert!(searching.is_sorted_by_key(|(_, waited_ms)| *waited_ms), "her age is kept: {states:?}");
    assert!(states.iter().all(|(state, _)| *state != v1::syn_match_state::State::Idle), "{states:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_comes_later_is_given_the_domains_that_fall_to_it_and_searches_go_on() {
    let mut cluster = Cluster::start(CONFIG, &[REST, DOMAINS]).await;
    let (ada, eve) = (sign_in(cluster.node(0), "Ada").await, sign_in(cluster.node(0), "Eve").await);
    let (in_left, in_duel) = (waits(&ada, "left").await, waits(&eve, "duel").await);
    cluster.add_with(DOMAINS, &[]);
    has(&cluster, "left", THIRD).await;
    has(&cluster, "duel", SECOND).await;
    met(&cluster, in_left, "left").await;
    met(&cluster, in_duel, "duel").await;
    for lobby in [&ada, &eve] {
        let (services, states) = told(lobby).await;
        assert_eq!(services, []);
        assert!(states.iter().all(|state| state.state() != v1::syn_match_state::State::Idle), "{states:?}");
    }
}
