//! Results from the last move to the leaderboards: recorded once, also if the host is killed in between.

use forgetful::FULL;
use scenehost_client::{Encoding, Lobby, LobbyEvent, v1};
use scenehost_protocol::v1::Code;
use serde_json::{Value, json};

use crate::fleets::call;
use crate::flow::play;
use crate::host::{Host, OPS_TOKEN, until, within};
use crate::player::{Player, device, enter, refusal, scene_ended, sign_in, sign_in_as};

const CONFIG: &str = r#"
[server]
scenes_max = 16
scene_threads = 1

[fleets.gomoku]
plugin = "gomoku"
configuration = { rematch_ms = 100 }

[domains.gomoku]
fleet = "gomoku"
players_min = 2
players_max = 2
rating_range = 4000
rating_range_max = 4000

[leaderboards.rating]
domain = "gomoku"
kind = "rating"

[leaderboards.weekly]
domain = "gomoku"
kind = "wins"
reset = "weekly"
"#;

/// Two users who come back by their devices.
struct Two {
    devices: [String; 2],
}

impl Two {
    fn new() -> Self {
        Self { devices: [device(), device()] }
    }

    /// One speaks JSON, the other protobuf.
    async fn sign_in(&self, host: &Host) -> [Lobby; 2] {
        [
            sign_in_as(host, &self.devices[0], "Ada", Encoding::Json).await,
            sign_in_as(host, &self.devices[1], "Bob", Encoding::Proto).await,
        ]
    }
}

/// Plays a game to its end; the players by their places.
async fn play_to_the_end(lobbies: [Lobby; 2]) -> Vec<Player> {
    let mut players = enter(lobbies.into(), "gomoku").await;
    let (winner, _) = play(&mut players).await;
    for player in &mut players {
        assert_eq!(scene_ended(&mut player.scene).await.results.len(), 2);
    }
    players.swap(0, winner);
    players
}

async fn rating_news(lobby: &Lobby) -> v1::SynStanding {
    within("the new rating", async {
        loop {
            match lobby.next().await {
                Some(LobbyEvent::Standing(standing)) => return standing,
                Some(LobbyEvent::Gone(why)) => panic!("gone: {why}"),
                Some(_) => {}
                None => panic!("the lobby's connection ended: {:?}", lobby.end()),
            }
        }
    })
    .await
}

fn id(lobby: &Lobby) -> String {
    lobby.session().user_id
}

/// Rank, user and score of each row.
fn rows(page: &v1::LeaderboardPage) -> Vec<(u32, &str, i64)> {
    page.rows.iter().map(|row| (row.rank, row.name.as_str(), row.score)).collect()
}

#[tokio::test]
async fn a_game_between_two_changes_their_ratings_once_and_shows_on_leaderboards_and_in_histories() {
    let mut host = Host::start(CONFIG);
    let two = Two::new();
    let players = play_to_the_end(two.sign_in(&host).await).await;
    let [winner, loser] = &players[..] else { panic!("two play") };
    let (news, of_loser) = (rating_news(&winner.lobby).await, rating_news(&loser.lobby).await);
    assert_eq!((news.domain.as_str(), news.place, news.rating), ("gomoku", 1, 1_500 + news.change));
    assert_eq!((of_loser.place, of_loser.rating, of_loser.change), (2, 1_500 - news.change, -news.change));
    assert!(news.change > 100, "a newcomer's rating moves far: {news:?}");

    let (winner_id, loser_id, scene_id) = (id(&winner.lobby), id(&loser.lobby), winner.seat.scene_id.clone());
    let names = [&players[0], &players[1]].map(|player| player.lobby.session().name);
    drop(players);
    host.kill9();
    host.restart();
    let lobbies = two.sign_in(&host).await;
    for lobby in &lobbies {
        let ratings = lobby.ratings(vec![winner_id.clone(), loser_id.clone()]).await.expect("they are shown");
        let shown: Vec<_> = ratings.iter().map(|it| (it.rating, it.games, it.wins, it.losses)).collect();
        assert_eq!(shown, [(news.rating, 1, 1, 0), (of_loser.rating, 1, 0, 1)], "once, also after a restart");

        let top = lobby.leaderboard_top("rating", "", 1, 100).await.expect("it is there");
        let (first, second) = (i64::from(news.rating), i64::from(of_loser.rating));
        assert_eq!(rows(&top), [(1, names[0].as_str(), first), (2, names[1].as_str(), second)]);
        assert_eq!((top.season.as_str(), top.ends_ms, top.entries), ("all", 0, 2));
        let around = lobby.leaderboard_around("rating", "all", &loser_id, 0).await.expect("it is there");
        assert_eq!(rows(&around), [(2, names[1].as_str(), second)]);
        let ranks = lobby.leaderboard_ranks("weekly", "", vec![loser_id.clone(), winner_id.clone()]).await;
        assert_eq!(rows(&ranks.expect("it is there")), [(1, names[0].as_str(), 1)], "who has won nothing is not on it");

        let (matches, kept) = lobby.history(0, 16).await.expect("one's own");
        let [only] = &matches[..] else { panic!("{matches:?}") };
        let place = if id(lobby) == winner_id { 1 } else { 2 };
        let own = only.own.as_ref().expect("the own row");
        assert_eq!((&only.scene_id, only.players_count, kept, own.place), (&scene_id, 2, 1, place));
        assert_eq!(only.players.iter().map(|it| it.change).sum::<i32>(), 0);
    }
    let boards = lobbies[0].leaderboards().await.expect("they are listed");
    let listed: Vec<_> = boards.iter().map(|board| (board.name.as_str(), board.kind())).collect();
    use v1::LeaderboardKind::{Rating, Wins};
    assert_eq!(listed, [("rating", Rating), ("weekly", Wins)]);
    let season = &boards[1].seasons[0];
    assert_eq!((season.ends_ms - season.begins_ms, season.entries), (7 * 86_400_000, 1));

    // The ratings they are matched by are the new ones.
    let players = enter(lobbies.into(), "gomoku").await;
    let seated = &players[0].scene.info().players;
    let of = |user_id: &str| seated.iter().find(|it| it.user_id == user_id).map(|it| it.rating);
    assert_eq!((of(&winner_id), of(&loser_id)), (Some(news.rating), Some(of_loser.rating)));
}

#[tokio::test]
async fn who_has_heard_the_end_of_a_game_finds_it_recorded_whenever_the_host_is_killed() {
    let mut host = Host::start(CONFIG);
    let two = Two::new();
    for games in 1..=4 {
        let players = play_to_the_end(two.sign_in(&host).await).await;
        host.kill9();
        drop(players);
        host.restart();
        let lobbies = two.sign_in(&host).await;
        let ids: Vec<String> = lobbies.iter().map(id).collect();
        until("both have the game in their ratings", async || {
            let ratings = lobbies[0].ratings(ids.clone()).await.expect("they are shown");
            let counts: Vec<u32> = ratings.iter().map(|it| it.games).collect();
            assert!(counts.iter().all(|count| *count <= games), "no game counts twice: {ratings:?}");
            counts == [games; 2]
        })
        .await;
        let (_, kept) = lobbies[1].history(0, 1).await.expect("one's own");
        assert_eq!(kept, games);
    }
    let (fine, said) = host.store(&["check"]);
    assert!(fine, "{said}");
}

#[tokio::test]
async fn a_game_that_ends_while_nothing_can_be_written_is_recorded_once_that_is_over() {
    let mut host = Host::start_on_noted_disk(CONFIG);
    let two = Two::new();
    let mut players = enter(two.sign_in(&host).await.into(), "gomoku").await;
    host.disk_is("data", FULL, true);
    play(&mut players).await;
    for player in &mut players {
        player.hear("over").await;
    }
    until("the store to be down", async || host.metrics().await.get("scenehost_store_up") == 0.0).await;
    let unrecorded = async |count: f64| {
        let is_so = async || host.metrics().await.get("scenehost_unrecorded_results") == count;
        until("word of what is not recorded", is_so).await;
    };
    unrecorded(1.0).await;
    host.disk_is("data", FULL, false);
    let mut changes = 0;
    for player in &mut players {
        assert_eq!(scene_ended(&mut player.scene).await.results.len(), 2);
        changes += rating_news(&player.lobby).await.change.abs();
    }
    assert!(changes > 200, "both have a new rating");
    unrecorded(0.0).await;
    drop(players);
    host.power_failure();
    host.restart_on_noted_disk();
    let lobbies = two.sign_in(&host).await;
    let ratings = lobbies[0].ratings(lobbies.iter().map(id).collect()).await.expect("they are shown");
    assert_eq!(ratings.iter().map(|it| it.games).collect::<Vec<_>>(), [1, 1], "what was told is there");
}

/// Asks as an operator: the status and the answer.
async fn ask(host: &Host, asked: &Value) -> (u16, Value) {
    let bearer = format!("Bearer {OPS_TOKEN}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let answer =
        host.ops("POST", "/v1/ask", &headers, &json!({ "request": 1, "reqStanding": asked }).to_string()).await;
    (answer.status, serde_json::from_str(&answer.body).expect("JSON"))
}

#[tokio::test]
async fn a_rating_that_operators_set_counts_in_the_next_match_and_after_a_restart() {
    let mut host = Host::start(CONFIG);
    let two = Two::new();
    let lobbies = two.sign_in(&host).await;
    let ids = [id(&lobbies[0]), id(&lobbies[1])];
    let path = |user: &str, domain: &str| format!("/v1/users/{user}/ratings/{domain}");
    let strong = json!({ "rating": 2100, "deviation": 60, "wins": 30, "losses": 8 });
    assert_eq!(call(&host, "PUT", &path(&ids[0], "gomoku"), &strong).await.0, 204);
    let news = rating_news(&lobbies[0]).await;
    assert_eq!((news.domain.as_str(), news.rating, news.change, news.place), ("gomoku", 2_100, 600, 0));

    let players = enter(lobbies.into(), "gomoku").await;
    let seated = &players[1].scene.info().players;
    let of = |user_id: &str| seated.iter().find(|it| it.user_id == user_id).map(|it| it.rating);
    assert_eq!(ids.each_ref().map(|id| of(id)), [Some(2_100), Some(1_500)]);
    drop(players);

    host.kill9();
    host.restart();
    let [_, bob] = two.sign_in(&host).await;
    let ratings = bob.ratings(vec![ids[0].clone()]).await.expect("they are shown");
    assert_eq!((ratings[0].rating, ratings[0].deviation, ratings[0].games, ratings[0].wins), (2_100, 60, 38, 30));
    assert_eq!(call(&host, "DELETE", &path(&ids[0], "gomoku"), &Value::Null).await.0, 204);
    assert_eq!(bob.ratings(vec![ids[0].clone()]).await.expect("they are shown"), [], "a newcomer again");
}

#[tokio::test]
async fn a_rating_that_cannot_be_is_not_set() {
    let host = Host::start(CONFIG);
    let ada = sign_in(&host, "Ada").await;
    let own = format!("/v1/users/{}/ratings/gomoku", id(&ada));
    for (path, body, status, word) in [
        (own.as_str(), json!({ "rating": 4001 }), 400, "use 100 to 4000"),
        (&own, json!({ "rating": 1500, "deviation": 1 }), 400, "use 30 to 350"),
        (&own, json!({ "rating": "high" }), 400, "rating"),
        (&own, json!({ "rating": 1500, "rank": 1 }), 400, "rank"),
        (&own.replace("gomoku", "chess"), json!({ "rating": 1500 }), 404, "chess"),
        ("/v1/users/ada/ratings/gomoku", json!({ "rating": 1500 }), 400, "16 hexadecimal"),
        ("/v1/users/00000000000000ff/ratings/gomoku", json!({ "rating": 1500 }), 404, "00000000000000ff"),
    ] {
        let (got, answer) = call(&host, "PUT", path, &body).await;
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(got == status && error.contains(word), "{path} {body}: {got} {answer}");
    }
    assert_eq!(host.ops("PUT", &own, &[], r#"{"rating":1500}"#).await.status, 401, "it needs the token");
    assert_eq!(ada.ratings(vec![id(&ada)]).await.expect("they are shown"), []);
}

#[tokio::test]
async fn scores_are_set_by_operators_and_not_by_users() {
    let host = Host::start(CONFIG);
    let lobby = sign_in(&host, "Ada").await;
    let user_id = id(&lobby);
    let set =
        |board: &str, score: Option<i32>| json!({ "setScore": { "board": board, "userId": user_id, "score": score } });
    assert_eq!(ask(&host, &set("weekly", Some(7))).await, (200, json!({ "request": 1, "done": {} })));
    let own = lobby.leaderboard_around("weekly", "", "", 3).await.expect("it is there");
    assert_eq!(rows(&own), [(1, "Ada", 7)]);
    assert_eq!(ask(&host, &set("weekly", None)).await.0, 200);
    assert_eq!(lobby.leaderboard_around("weekly", "", "", 3).await.expect("it is there").entries, 0);

    assert_eq!(ask(&host, &set("daily", Some(1))).await.0, 404);
    let audited = || host.logged("an operator's order about a leaderboard");
    until("the audit", async || audited().len() == 3).await;
    let scores: Vec<Option<i64>> = audited().iter().map(|line| line["fields"]["score"].as_i64()).collect();
    assert_eq!(scores, [Some(7), None, Some(1)], "also what was refused");
    assert_eq!(audited()[0]["fields"]["user"].as_str(), Some(user_id.as_str()));
    assert_eq!(ask(&host, &json!({ "history": { "limit": 1 } })).await.0, 400);
    let (status, answer) = ask(&host, &json!({ "history": { "limit": 1, "userId": user_id } })).await;
    assert_eq!((status, answer), (200, json!({ "request": 1, "resStanding": {} })));
    assert_eq!(refusal(lobby.leaderboard_top("daily", "", 1, 1).await).code(), Code::NotFound);
    assert_eq!(refusal(lobby.leaderboard_top("weekly", "", 1, 101).await).code(), Code::Invalid);
    assert_eq!(refusal(lobby.ratings(vec!["ada".to_owned()]).await).code(), Code::Invalid);
}
