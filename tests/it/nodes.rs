//! Many nodes: users of any of them play with each other, whatever fails.

use std::time::Duration;

use futures_util::future::join_all;
use passing_postgres::{Server, Stop};
use scenehost_client::v1::Code;
use scenehost_client::{Encoding, Error, Lobby, LobbyEvent, Match, Scene};

use crate::cluster::{ALL, Cluster, status, until};
use crate::host::{OPS_TOKEN, within};
use crate::journals::list;
use crate::player::{Player, device, matched, options, sign_in, sign_in_as};

pub const CONFIG: &str = r#"
[server]
scenes_max = 32
scene_threads = 1

[fleets.echo]
plugin = "hostile"

[domains.echo]
fleet = "echo"
players_min = 2
players_max = 2

[fleets.keeper]
plugin = "hostile"
configuration = { keeps = true }
scene = { messages_per_s_max = 1000, on_drain = "move", journal = { keep = "recovery", snapshot_steps = 7 } }

[domains.keeper]
fleet = "keeper"
players_min = 2
players_max = 2
"#;

/// All but scenes.
pub const SERVICES: &str = r#""auth", "lobby", "match", "scene-master", "db""#;
pub const SCENES: &str = r#""scene-service""#;
/// Nothing moves to it as long as all is well: neither domains nor partitions.
const NOTHING_MOVES: &str = r#""auth", "lobby", "db""#;

/// Two guests, at these nodes, at one table.
pub async fn table(cluster: &Cluster, nodes: [usize; 2]) -> Vec<Player> {
    let lobbies =
        join_all(nodes.map(async |node| sign_in(cluster.node(node), &format!("Guest of {node}")).await)).await;
    let seats = join_all(lobbies.iter().map(search)).await;
    assert_eq!(seats[0].scene_id, seats[1].scene_id, "they are matched with each other");
    let mut players = Vec::new();
    for (lobby, seat) in lobbies.into_iter().zip(seats) {
        let scene = Scene::join(&seat, &options(Encoding::Proto)).await.expect("the token lets them in");
        players.push(Player { lobby, seat, scene });
    }
    players.sort_by_key(|player| player.scene.info().seat);
    players
}

/// A match, for which a user asks again as long as what a node had is being taken over.
async fn search(lobby: &Lobby) -> Match {
    within("a match", async {
        loop {
            match lobby.find_match("echo").await {
                Ok(seat) => return seat,
                Err(Error::Refused(refused)) if matches!(refused.code(), Code::Busy | Code::ServiceDown) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => panic!("no match: {error}"),
            }
        }
    })
    .await
}

pub async fn talk(players: &mut [Player]) {
    for (index, player) in players.iter_mut().enumerate() {
        player.echo(&format!("a word of seat {index}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_of_different_nodes_play_with_each_other_and_each_service_runs_once() {
    let cluster = Cluster::start(CONFIG, &[ALL, ALL, ALL]).await;
    for unit in ["auth", "db", "lobby", "scene-master/00-7f", "scene-master/80-ff", "match/echo"] {
        // A domain or a partition may just be given to a node that came later.
        until(&format!("one node runs {unit}"), async || {
            let mut runs = 0;
            for index in 0..3 {
                let units = status(cluster.node(index)).await["units"].as_array().cloned().expect("there are some");
                runs += units.iter().filter(|it| it["unit"] == unit && it["here"] == true).count();
            }
            runs == 1
        })
        .await;
    }
    for nodes in [[0, 1], [1, 2], [2, 2]] {
        talk(&mut table(&cluster, nodes).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_can_be_split_over_nodes() {
    let roles = [r#""auth", "db""#, r#""lobby""#, r#""match", "scene-master""#, r#""scene-service""#];
    let cluster = Cluster::start(CONFIG, &roles).await;
    let mut players = table(&cluster, [1, 1]).await;
    talk(&mut players).await;
    assert!(
        players[0].seat.scene_url.contains(&cluster.node(3).address().to_string()),
        "{}",
        players[0].seat.scene_url
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_whose_node_is_killed_runs_on_another_and_games_elsewhere_go_on() {
    // What is killed runs no scenes and has no users.
    let mut cluster = Cluster::start(CONFIG, &[ALL, SERVICES, SERVICES]).await;
    let mut players = table(&cluster, [0, 0]).await;
    for victim in [1, 2] {
        let nodes: Vec<usize> = [1, 2].into_iter().filter(|index| *index != victim).collect();
        cluster.kill9(victim);
        talk(&mut players).await;
        until("the others take over", async || {
            let status = status(cluster.node(0)).await;
            status["down"].as_array().is_some_and(Vec::is_empty)
                && status["units"].as_array().is_some_and(|units| units.iter().all(|it| it["node"] != victim + 1))
        })
        .await;
        talk(&mut players).await;
        let mut others = table(&cluster, [0, nodes[0]]).await;
        talk(&mut others).await;
        cluster.restart(victim);
        cluster.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_whose_node_is_killed_come_back_at_another_and_find_their_seat() {
    let edges = r#""lobby""#;
    let rest = r#""auth", "match", "scene-master", "scene-service", "db""#;
    let mut cluster = Cluster::start(CONFIG, &[rest, edges, edges]).await;
    let lobby = cluster.runs("lobby").await.expect("it runs");
    let other = if lobby == 1 { 2 } else { 1 };
    // The user of the node that dies, and one who stays.
    let (ada, bob) = (device(), device());
    let lobbies = vec![
        sign_in_as(cluster.node(lobby), &ada, "Ada", Encoding::Proto).await,
        sign_in_as(cluster.node(other), &bob, "Bob", Encoding::Proto).await,
    ];
    let seats = matched(&lobbies, "echo").await;
    let scenes = join_all(seats.iter().map(async |seat| Scene::join(seat, &options(Encoding::Proto)).await)).await;
    assert!(scenes.iter().all(Result::is_ok));
    cluster.kill9(lobby);
    until("another lobby", async || cluster.runs("lobby").await == Some(other)).await;
    let again = within("Ada is back", async {
        loop {
            let lobby = connect(&cluster, other, &ada).await;
            match lobby {
                Some(lobby) => return lobby,
                None => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    })
    .await;
    let seat = within("her seat", again.rejoin()).await.expect("her seat is kept");
    assert_eq!(seat.scene_id, seats[0].scene_id);
}

async fn connect(cluster: &Cluster, node: usize, device: &str) -> Option<Lobby> {
    let credential = scenehost_client::Credential::Guest { device_id: device.to_owned(), name: "Ada".to_owned() };
    Lobby::connect(&cluster.node(node).url(), credential, options(Encoding::Proto)).await.ok()
}

/// A game that keeps what its users say, each of whom has said so many numbers, and where it runs.
async fn kept(cluster: &Cluster, said: u64) -> (Vec<Lobby>, Vec<Scene>, usize) {
    let lobbies = join_all([0, 0].map(async |node| sign_in(cluster.node(node), "Guest").await)).await;
    let seats = matched(&lobbies, "keeper").await;
    let mut scenes = Vec::new();
    for seat in &seats {
        let mut scene = Scene::join(seat, &options(Encoding::Proto)).await.expect("the token lets them in");
        for number in 1..=said {
            scene.send(number.to_string()).await.expect("the seat is held");
        }
        assert_eq!(list(&mut scene, 0).await, (1..=said).collect::<Vec<_>>());
        scenes.push(scene);
    }
    let runs = (0..cluster.nodes.len()).find(|index| {
        cluster.nodes[*index].as_ref().is_some_and(|host| seats[0].scene_url.contains(&host.address().to_string()))
    });
    (lobbies, scenes, runs.expect("it runs somewhere"))
}

/// The way into the game that goes on elsewhere.
async fn way_in(lobby: &Lobby) -> Match {
    within("the way in", async {
        loop {
            match lobby.next().await.expect("the lobby goes on") {
                LobbyEvent::Match(way) => return way,
                LobbyEvent::SceneEnded(ended) => panic!("it is not over: {ended:?}"),
                _ => {}
            }
        }
    })
    .await
}

/// All users find what they have said in the game that goes on elsewhere.
async fn goes_on(lobbies: &[Lobby], said: u64, elsewhere: &str) {
    for lobby in lobbies {
        let way = way_in(lobby).await;
        assert!(way.scene_url.contains(elsewhere), "{} is not at {elsewhere}", way.scene_url);
        let mut scene = Scene::join(&way, &options(Encoding::Proto)).await.expect("the token lets them in");
        assert_eq!(list(&mut scene, 1).await, (1..=said).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_game_with_a_journal_goes_on_on_another_node_when_its_node_falls() {
    let mut cluster = Cluster::start(CONFIG, &[SERVICES, SCENES, SCENES]).await;
    let (lobbies, _scenes, runs) = kept(&cluster, 20).await;
    // What was said is in the store by then.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let other = cluster.node(3 - runs).address().to_string();
    cluster.kill9(runs);
    goes_on(&lobbies, 20, &other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_game_is_moved_while_it_is_played_by_an_operator_and_when_its_node_is_stopped() {
    let mut cluster = Cluster::start(CONFIG, &[SERVICES, SCENES, SCENES]).await;
    let (lobbies, scenes, runs) = kept(&cluster, 20).await;
    let (other, id) = (cluster.node(3 - runs).address().to_string(), scenes[0].info().scene_id.clone());
    let authorization = format!("Bearer {OPS_TOKEN}");
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
    let answer = cluster.node(0).ops("POST", &format!("/v1/scenes/{id}/move"), &headers, "{}").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    goes_on(&lobbies, 20, &other).await;
    drop(scenes);

    let back = cluster.node(runs).address().to_string();
    let mut stopped = cluster.nodes[3 - runs].take().expect("it runs");
    stopped.terminate();
    goes_on(&lobbies, 20, &back).await;
    assert!(stopped.ended().await.success(), "{}", stopped.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_paused_has_lost_its_units_and_ends_by_itself() {
    let mut cluster = Cluster::start(CONFIG, &[SERVICES, SERVICES, SCENES]).await;
    let lobby = cluster.runs("lobby").await.expect("it runs");
    let other = 1 - lobby;
    let mut paused = cluster.nodes[lobby].take().expect("it runs");
    paused.pause();
    until("the other takes over", async || {
        status(cluster.node(other)).await["units"]
            .as_array()
            .is_some_and(|units| units.iter().all(|it| it["node"] == other + 1 && it["serves"] == true))
    })
    .await;
    talk(&mut table(&cluster, [other, other]).await).await;
    paused.go_on();
    assert!(!paused.ended().await.success(), "{}", paused.log());
    assert!(paused.log().contains("lease"), "{}", paused.log());
    talk(&mut table(&cluster, [other, other]).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn games_go_on_while_nats_is_away_and_all_is_as_before_when_it_is_back() {
    let mut cluster = Cluster::start(CONFIG, &[ALL, NOTHING_MOVES]).await;
    let mut players = table(&cluster, [0, 0]).await;
    let before = status(cluster.node(0)).await["units"].clone();
    for away in [Duration::from_millis(500), Duration::from_secs(10)] {
        cluster.nats_away(away).await;
        talk(&mut players).await;
        cluster.settled().await;
        assert_eq!(status(cluster.node(0)).await["units"], before, "nothing has moved");
        talk(&mut table(&cluster, [0, 1]).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn games_go_on_while_the_database_is_away_for_longer_than_a_lease_and_nothing_moves() {
    let server = Server::start(&[]);
    let cluster = Cluster::start_on(&server, CONFIG, &[ALL, NOTHING_MOVES]).await;
    let mut players = table(&cluster, [0, 1]).await;
    let before = status(cluster.node(0)).await["units"].clone();
    server.stop(Stop::Immediate);
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        talk(&mut players).await;
    }
    server.restart();
    until("the store is up on both nodes", async || {
        let health = join_all([0, 1].map(async |node| cluster.node(node).health().await.0)).await;
        health == [200, 200]
    })
    .await;
    cluster.settled().await;
    assert_eq!(status(cluster.node(0)).await["units"], before, "nothing has moved");
    talk(&mut table(&cluster, [0, 1]).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_that_operators_set_on_one_node_is_there_on_all_also_when_there_was_one_before() {
    let cluster = Cluster::start(CONFIG, &[SERVICES, SERVICES, SCENES]).await;
    let lobby = cluster.runs("lobby").await.expect("it runs");
    let authorization = format!("Bearer {OPS_TOKEN}");
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
    let domain = r#"{"fleet": "echo", "players_min": 1, "players_max": 1}"#;
    let serves = async |node: usize| {
        let units = status(cluster.node(node)).await["units"].as_array().cloned().unwrap_or_default();
        units.iter().find(|it| it["unit"] == "match/alone").map(|it| it["serves"] == true)
    };
    // The second time it is taken away and set again, on the other node.
    for (node, user) in [(1 - lobby, "Ada"), (lobby, "Bob")] {
        let answer = cluster.node(node).ops("PUT", "/v1/domains/alone", &headers, domain).await;
        assert!((200..300).contains(&answer.status), "{}", answer.body);
        until("all nodes know of it, and one runs it", async || {
            serves(0).await == Some(true) && serves(1).await == Some(true)
        })
        .await;
        cluster.settled().await;
        matched(&[sign_in(cluster.node(lobby), user).await], "alone").await;
        let answer = cluster.node(node).ops("DELETE", "/v1/domains/alone", &headers, "").await;
        assert!((200..300).contains(&answer.status), "{}", answer.body);
        until("no node knows of it", async || serves(0).await.is_none() && serves(1).await.is_none()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_cannot_work_with_one_that_is_there_is_refused_at_its_start() {
    let mut cluster = Cluster::start(CONFIG, &[ALL]).await;
    let nodes = format!("{}.nodes", cluster.schema());
    // A node of a later version, as the others know it.
    Server::shared().sql(&format!(
        "INSERT INTO {nodes} (number, incarnation, until, speaks, speaks_oldest, partitions)
         VALUES (9, 1, now() + interval '1 hour', 9, 8, 3)"
    ));
    for (change, why) in [
        ("speaks = 9", "node 9 (incarnation 1), which is there, speaks version 9 and works with 8 and later"),
        ("speaks_oldest = 1", "scene_master_partitions is 2 here, and 3 on node 9 (incarnation 1), which is there"),
    ] {
        Server::shared().sql(&format!("UPDATE {nodes} SET {change} WHERE number = 9"));
        let refused = cluster.add_fails(ALL);
        assert!(refused.code == Some(1) && refused.text.contains(why), "{}", refused.text);
    }
    let left = format!("SELECT count(*) FROM {nodes} WHERE number = 2 AND until > now()");
    assert_eq!(Server::shared().sql(&left), "0", "its number is free at once");

    // One of a version that still knows this one is worked with, and so is nobody.
    for change in ["partitions = 2", "speaks_oldest = 8, until = to_timestamp(0)"] {
        Server::shared().sql(&format!("UPDATE {nodes} SET {change} WHERE number = 9"));
        cluster.add_with(SCENES, &[]);
    }
    cluster.settled().await;
    talk(&mut table(&cluster, [0, 0]).await).await;
}
