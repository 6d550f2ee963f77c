//! Nodes that are cut off from NATS or from the database while others are not: they end, and what they ran is had at the
//! others. That nothing ends while either is away for all is shown in [`crate::nodes`]. And a node that was paused, which is
//! as cut off.

use futures_util::future::join_all;
use scenehost_client::{Encoding, LobbyEvent};
use tokio::io::AsyncReadExt as _;

use crate::cluster::{ALL, Cluster, status, until};
use crate::host::within;
use crate::nodes::{CONFIG, SCENES, SERVICES, table, talk};
use crate::player::{matched, sign_in};
use crate::raw::{Raw, message};
use crate::way::State;

/// From what a node is cut off.
#[derive(Clone, Copy, Debug)]
enum From {
    Nats,
    Store,
}

impl Cluster {
    fn set_way(&self, index: usize, from: From, state: State) {
        let ways = &self.ways[index];
        match from {
            From::Nats => ways.nats.set(state),
            From::Store => ways.store.set(state),
        }
    }

    /// Cuts a node off, which ends and says this, and then finds what it ran at another node, which has users; and begins
    /// it anew when its way is open again.
    async fn loses(&mut self, index: usize, (from, how, says): (From, State, &str), other: usize) {
        self.set_way(index, from, how);
        let mut lost = self.nodes[index].take().expect("it runs");
        assert!(!lost.ended().await.success(), "{}", lost.log());
        assert!(lost.log().contains(says), "it is cut off from {from:?}: {}", lost.log());
        until("the others have what it ran", async || {
            let status = status(self.node(other)).await;
            status["down"].as_array().is_some_and(Vec::is_empty)
                && status["units"].as_array().is_some_and(|units| units.iter().all(|it| it["node"] != index + 1))
        })
        .await;
        talk(&mut table(self, [other, other]).await).await;
        self.set_way(index, from, State::Open);
        self.restart(index);
        self.settled().await;
        talk(&mut table(self, [index, other]).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_that_is_cut_off_from_nats_ends_and_the_others_have_what_it_ran() {
    let mut cluster = Cluster::start_with_ways(CONFIG, &[SERVICES, SERVICES, SCENES]).await;
    let lobby = cluster.runs("lobby").await.expect("it runs");
    let cut_off = (From::Nats, State::Silent, "this node is cut off from the other nodes");
    cluster.loses(lobby, cut_off, 1 - lobby).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_nodes_the_one_that_does_not_reach_nats_ends_whichever_number_it_has() {
    let mut cluster = Cluster::start_with_ways(CONFIG, &[ALL, ALL]).await;
    for (index, how) in [(0, State::Closed), (1, State::Silent)] {
        let cut_off = (From::Nats, how, "this node is cut off from the other nodes");
        cluster.loses(index, cut_off, 1 - index).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_that_is_cut_off_from_the_database_ends_while_another_reaches_it() {
    let mut cluster = Cluster::start_with_ways(CONFIG, &[SERVICES, SERVICES, SCENES]).await;
    let lobby = cluster.runs("lobby").await.expect("it runs");
    let cut_off = (From::Store, State::Silent, "this node is cut off from the store");
    cluster.loses(lobby, cut_off, 1 - lobby).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_game_on_a_node_that_was_paused_says_nothing_over_its_old_connections() {
    let mut cluster = Cluster::start(CONFIG, &[SERVICES, SCENES, SCENES]).await;
    let lobbies = join_all([0, 0].map(async |node| sign_in(cluster.node(node), "Guest").await)).await;
    let seats = matched(&lobbies, "echo").await;
    let runs = [1, 2].into_iter().find(|node| seats[0].scene_url.contains(&cluster.node(*node).address().to_string()));
    let runs = runs.expect("it runs on one of them");
    let mut inside = Vec::new();
    for seat in &seats {
        inside.push(Raw::inside(cluster.node(runs), seat, Encoding::Proto).await);
    }
    let mut paused = cluster.nodes[runs].take().expect("it runs");
    paused.pause();
    let word: &[u8] = b"is anybody there?";
    for raw in &mut inside {
        raw.tell(message(word)).await;
    }
    within("the game to be over, or elsewhere", async {
        while !matches!(lobbies[0].next().await, Some(LobbyEvent::Match(_) | LobbyEvent::SceneEnded(_))) {}
    })
    .await;
    paused.go_on();
    for raw in inside {
        let mut said = Vec::new();
        let _ = within("its end", raw.into_inner().read_to_end(&mut said)).await; // A reset is an end, too.
        assert!(!said.windows(word.len()).any(|part| part == word), "it was another's by then");
    }
    assert!(!paused.ended().await.success(), "{}", paused.log());
}
