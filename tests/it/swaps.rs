//! Running scenes with journals that change their version: what was written down can be replayed over the change, and a
//! scene goes on in the new version after kill -9.

use scenehost_client::Scene;
use serde_json::{Value, json};

use crate::host::{Host, until};
use crate::journals::{list, persistent, put_away};
use crate::plugins::{activate, component, scenes, version};
use crate::scenectl::scenectl;

const CONFIG: &str = r#"
[server]
scenes_max = 64
scene_threads = 2

[fleets.keeper]
plugin = "hostile"
configuration = { keeps = true }
scene = { messages_per_s_max = 1000, journal = { keep = "full", snapshot_steps = 4 } }

[domains.keeper]
fleet = "keeper"
players_min = 2
players_max = 2
"#;

/// What a user has said, and the way in.
struct Speaker {
    scene: Scene,
    said: u64,
}

impl Speaker {
    async fn say(&mut self, count: u64) {
        for _ in 0..count {
            self.said += 1;
            self.scene.send(self.said.to_string()).await.expect("the seat is held");
        }
    }

    /// The game has kept everything, in its order. Each question has a number of its own.
    async fn is_whole(&mut self, question: u64) {
        assert_eq!(list(&mut self.scene, question).await, (1..=self.said).collect::<Vec<_>>());
    }
}

/// Two play version 1, and the scene changes to version 2 while they do.
async fn changed(host: &Host) -> (Vec<scenehost_client::Lobby>, Vec<Speaker>) {
    version(host, "hostile", &component("hostile", "1"), 1).await;
    activate(host, "hostile", json!({"version": 1})).await;
    let (lobbies, scenes_of) = persistent(host, "keeper", 2).await;
    let mut speakers: Vec<Speaker> = scenes_of.into_iter().map(|scene| Speaker { scene, said: 0 }).collect();
    for speaker in &mut speakers {
        speaker.say(5).await;
        speaker.is_whole(1).await;
    }
    version(host, "hostile", &component("hostile", "2"), 2).await;
    let shown = activate(host, "hostile", json!({"version": 2, "swap": true})).await;
    assert_eq!(shown["swap"], json!({"asked": 1}));
    until("the scene to change", async || {
        speakers[0].say(1).await;
        scenes(host, "hostile").await == [0, 1]
    })
    .await;
    for speaker in &mut speakers {
        speaker.say(5).await;
        speaker.is_whole(2).await;
    }
    (lobbies, speakers)
}

/// The match is over, and comes out as it was, by both tools.
async fn is_replayed(host: &Host, speakers: Vec<Speaker>) {
    let id = speakers[0].scene.info().scene_id.clone();
    for speaker in speakers {
        speaker.scene.leave().await.expect("the seat is held");
    }
    put_away(host).await;
    let (good, said) = host.replay(&[&id]);
    assert!(good && said.contains("all outputs and states are as they were"), "{said}");
    let replayed = scenectl(host, &["replay", &id, "--json"]).await.ended(0).json();
    assert_eq!(replayed["swaps"], json!(1), "{replayed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_match_that_changed_its_version_is_replayed_bit_for_bit_and_verified_on_another() {
    let host = Host::start(CONFIG);
    let (_lobbies, speakers) = changed(&host).await;
    let id = speakers[0].scene.info().scene_id.clone();
    is_replayed(&host, speakers).await;
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let [same, other] =
        [("same", component("hostile", "3")), ("other", component("gomoku", ""))].map(|(name, bytes)| {
            let path = folder.path().join(format!("{name}.wasm"));
            std::fs::write(&path, bytes).expect("it is writable");
            path.display().to_string()
        });
    let journal = host.data_dir().join("journals").join(format!("{id}-0000000000000001.journal")).display().to_string();
    let verify = async |component: &str| scenectl(&host, &["verify", &journal, "--component", component]).await;
    let said = verify(&same).await.ended(0).out;
    assert!(said.contains("this version gives the same"), "{said}");
    verify(&other).await.ended(1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_a_scene_goes_on_in_the_version_that_it_has_changed_to() {
    let mut host = Host::start(CONFIG);
    let (_lobbies, mut speakers) = changed(&host).await;
    for speaker in &mut speakers {
        speaker.say(3).await; // It leaves while the host is being killed, or not.
    }
    host.kill9();
    for speaker in &mut speakers {
        speaker.say(1).await;
    }
    host.restart_in_place();
    for speaker in &mut speakers {
        speaker.is_whole(3).await;
    }
    assert_eq!(scenes(&host, "hostile").await, [0, 1], "\n{}", host.log());
    let (_, used) = crate::fleets::call(&host, "GET", "/v1/plugins/hostile/usage", &Value::Null).await;
    assert_eq!(used["usage"][0]["version"], json!(2), "{used}");
    is_replayed(&host, speakers).await;
}
