//! A game in TypeScript, `plugins/rock-paper-scissors`, in the real host: its component brings a JavaScript engine along.

use scenehost_protocol::v1::syn_scene_ended::Reason;
use serde_json::{Value, json};

use crate::host::{Host, alone};
use crate::player::{Player, gather};

const CONFIG: &str = r#"
[server]
scenes_max = 64
scene_threads = 2

[fleets.hands]
plugin = "rock-paper-scissors"
configuration = { rounds = 3, reveal_ms = 0 }

[domains.hands]
fleet = "hands"
players_min = 2
players_max = 2
"#;

/// Waits for the beginning of a round.
async fn round_begins(player: &mut Player, round: u32) {
    loop {
        let state = player.hear("state").await;
        if state["phase"] == "choosing" {
            assert_eq!(state["round"], round);
            return;
        }
    }
}

/// Plays a round, and tells what each of the players heard of its end.
async fn play(players: &mut [Player], round: u32, hands: [&str; 2]) -> Vec<Value> {
    for player in &mut *players {
        round_begins(player, round).await;
    }
    for (player, hand) in players.iter_mut().zip(hands) {
        player.say(&json!({"type": "choose", "round": round, "hand": hand})).await;
    }
    let mut heard = Vec::new();
    for player in players {
        heard.push(player.hear("revealed").await);
    }
    heard
}

#[tokio::test]
async fn a_game_in_typescript_is_played_to_its_end() {
    // Compiling the component takes both cores for seconds, and so would disturb who measures.
    let _alone = alone().await;
    let host = Host::start(CONFIG);
    let mut players = gather(&host, "hands", 2).await;
    let rounds = [(["rock", "rock"], [0, 0]), (["rock", "paper"], [0, 1]), (["rock", "paper"], [0, 2])];
    for (round, (hands, score)) in (1..).zip(rounds) {
        for heard in play(&mut players, round, hands).await {
            assert_eq!((&heard["hands"], &heard["score"]), (&json!(hands), &json!(score)));
        }
    }
    for player in &mut players {
        assert_eq!(player.hear("over").await["winner"], 1);
        let ended = player.ended().await;
        let results: Vec<_> = ended.results.iter().map(|it| (it.seat, it.place, it.score)).collect();
        assert_eq!((ended.reason(), results), (Reason::Finished, vec![(0, 2, 0), (1, 1, 2)]));
    }
}
