//! Bots play on three nodes while fault after fault comes: `cargo xtask soak`, and a short run of it among the tests.
//!
//! After each fault every bot has to be in play again, or to have been told where it stands, within 15 s. At no time may a
//! user be in two games, a game be served by two incarnations, or an acknowledged purchase be lost or made twice. What each
//! bot was told, and the nodes' logs, are in `target/soak/SEED`. `cargo xtask soak --upgrade-from BINARY` has bots play while
//! three nodes of another version are restarted as this one.
//!
//! - [`plan`]: which faults, from the seed. [`nodes`]: what they are done to. [`bot`], [`game`], [`shopping`]: who
//!   plays. [`watch`]: what must not be seen.

mod bot;
mod game;
mod nodes;
mod plan;
mod shopping;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rand::RngExt;
use scenehost_client::{Credential, Lobby, Options};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::host::{binary, within};
use bot::Bot;
use game::{DOMAINS, JOURNALLED};
use nodes::Nodes;
use plan::{Episode, Fault, Kind};
use shopping::Basket;
use watch::Watch;

/// How many nodes there are.
const NODES: usize = 3;
/// After a fault users are in play again, or told, within this.
const TOLD_MAX: Duration = Duration::from_secs(15);
/// How long after a fault all nodes may take to be well.
const SETTLE_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Counts what nodes do not take of each other.
const REFUSED: &str = "scenehost_cluster_refused_messages_total";
/// How long bots play before the first fault, and after the last.
const WARM_UP: Duration = Duration::from_secs(3);

const CONFIG: &str = r#"
[server]
scenes_max = 400
scene_threads = 1

[fleets.keeper]
plugin = "hostile"
configuration = { keeps = true }
scene = { grace_ms = 15000, on_drain = "move", crashes_max = 1000, quarantine = { scenes = 0 }, journal = { keep = "recovery", snapshot_steps = 20 } }

[fleets.gomoku]
plugin = "gomoku"
configuration = { main_ms = 120000, increment_ms = 1000, rematch_ms = 1000 }
scene = { grace_ms = 15000, on_drain = "move", crashes_max = 1000, quarantine = { scenes = 0 }, journal = { keep = "recovery" } }

[fleets.arena]
plugin = "arena"
configuration = { round_s = 20 }
scene = { tick_rate_hz = 5, grace_ms = 15000, drain_ms = 1000, crashes_max = 1000, quarantine = { scenes = 0 } }

[domains.keeper]
fleet = "keeper"
players_min = 2
players_max = 2
rating_range = 5000
rating_range_max = 5000

[domains.gomoku]
fleet = "gomoku"
players_min = 2
players_max = 2
rating_range = 5000
rating_range_max = 5000

[domains.arena]
fleet = "arena"
players_min = 2
players_max = 2
rating_range = 5000
rating_range_max = 5000
"#;

/// How much is done.
struct Settings {
    seed: u64,
    bots: usize,
    /// What they play.
    domains: &'static [&'static str],
    episodes: Vec<Episode>,
}

impl Settings {
    /// As the environment says, which `cargo xtask soak` sets; else a short run with one fault of each common kind.
    fn find() -> Self {
        let number = |name: &str| std::env::var(format!("SCENEHOST_SOAK_{name}")).ok()?.parse::<u64>().ok();
        let seed = number("SEED").unwrap_or_else(|| u64::from(rand::rng().random::<u16>()));
        match (number("EPISODES"), number("BOTS")) {
            (Some(episodes), Some(bots)) => {
                let episodes = plan::episodes(seed, episodes as usize, &Kind::ALL, 9_000);
                Self { seed, bots: bots as usize, domains: &DOMAINS, episodes }
            }
            _ => {
                let common = &Kind::ALL[..6];
                let episodes = plan::episodes(seed, common.len(), common, 2_000);
                Self { seed, bots: 12, domains: &DOMAINS, episodes }
            }
        }
    }
}

/// What became of an episode.
struct Outcome {
    episode: Episode,
    /// How long it took from its beginning until all nodes were well.
    settled: Duration,
    /// The longest that each bot was told nothing.
    silences: Vec<Duration>,
    /// How long this very process did not get to run, which counts for nobody.
    stalled: Duration,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn bots_play_on_through_faults_and_nothing_is_doubled_or_lost() {
    let settings = Settings::find();
    let mut soak = Soak::start(&settings.seed.to_string(), &settings, &binary()).await;
    sleep(WARM_UP).await;
    let mut outcomes = Vec::new();
    for (number, episode) in settings.episodes.iter().enumerate() {
        let outcome = soak.episode(episode).await;
        outcome.print(number + 1, settings.episodes.len());
        outcomes.push(outcome);
    }
    sleep(WARM_UP).await;
    soak.end(&settings, &outcomes).await.assert_good();
}

/// As an upgrade does it, from the binary that the environment names if it does. What is restarted lets games go to the
/// others, so each comes to its own end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_nodes_are_restarted_while_games_are_played_and_none_is_lost() {
    let restart = |node| Episode { fault: Fault::Restart, node, lasts: Duration::ZERO, quiet: WARM_UP };
    let nats = Episode { fault: Fault::Nats, node: 0, lasts: Duration::from_millis(500), quiet: WARM_UP };
    let episodes: Vec<Episode> = (0..NODES).map(restart).chain([nats]).collect();
    let settings = Settings { seed: 1, bots: 12, domains: &JOURNALLED, episodes };
    let older = std::env::var_os("SCENEHOST_SOAK_UPGRADE_FROM").map_or_else(binary, PathBuf::from);
    let mut soak = Soak::start("restarts", &settings, &older).await;
    let mut outcomes = Vec::new();
    for (number, episode) in settings.episodes.iter().enumerate() {
        let outcome = soak.episode(episode).await;
        outcome.print(number + 1, settings.episodes.len());
        outcomes.push(outcome);
    }
    sleep(WARM_UP).await;
    let end = soak.end(&settings, &outcomes).await;
    end.assert_good();
    let cut_short: Vec<_> = end.counts.iter().filter(|(what, _)| what.starts_with("cut short")).collect();
    assert!(cut_short.is_empty(), "records in {}: {cut_short:?}", end.records.display());
    let of = |what: &str| end.counts.get(what).copied().unwrap_or_default();
    assert!(of("ended FINISHED") + of("ended LEFT") > 10, "they have played: {:?}", end.counts);
}

/// Nodes, and bots that play on them.
struct Soak {
    nodes: Nodes,
    watch: Arc<Watch>,
    bots: Vec<JoinHandle<(Options, String, Basket)>>,
    stop: tokio::sync::watch::Sender<bool>,
    stalls: Arc<Stalls>,
}

/// How it ended.
struct End {
    seed: u64,
    records: PathBuf,
    broken: Vec<String>,
    counts: BTreeMap<String, u64>,
}

impl Soak {
    /// Records of that name are replaced.
    async fn start(name: &str, settings: &Settings, binary: &Path) -> Self {
        let Settings { seed, bots, domains, .. } = *settings;
        let records = crate::host::built("").join("soak").join(name);
        if records.exists() {
            std::fs::remove_dir_all(&records).expect("the records of the run before can be removed");
        }
        std::fs::create_dir_all(&records).expect("the target folder is writable");
        println!("seed {seed}, {bots} bots; records in {}", records.display());
        let catalogue = records.join("catalogue.toml");
        std::fs::write(&catalogue, shopping::CATALOGUE).expect("there is room");
        let config = format!("{CONFIG}\n[economy]\ncatalogue = {:?}\n", catalogue.display().to_string());
        let nodes = Nodes::start(&config, &records, binary).await;
        within("all nodes to be well", async {
            while !nodes.are_settled().await {
                sleep(LOOK_EVERY).await;
            }
        })
        .await;
        let watch = Arc::new(Watch::new(&records, bots));
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let front = format!("ws://{}", nodes.front);
        let bot = |number| Bot::new(number, (seed, domains), front.clone(), Arc::clone(&watch), stopped.clone());
        let bots = (0..bots).map(|number| tokio::spawn(bot(number).live())).collect();
        Self { nodes, watch, bots, stop, stalls: Stalls::watch() }
    }

    /// One fault, until all nodes are well and all bots were told something after that.
    async fn episode(&mut self, episode: &Episode) -> Outcome {
        sleep(episode.quiet).await;
        self.stalls.take();
        let began = Instant::now();
        self.nodes.suffer(episode).await;
        let lifted = Instant::now();
        // What has ended is noticed by nodes a moment later.
        sleep(Duration::from_secs(1)).await;
        while !self.nodes.are_settled().await {
            if lifted.elapsed() > SETTLE_MAX {
                let status = self.nodes.status().await;
                self.watch.broken(format!("after {episode:?} the nodes are not well: {status:?}"));
                break;
            }
            sleep(LOOK_EVERY).await;
        }
        let (settled, well) = (began.elapsed(), Instant::now());
        while !self.watch.all_told_since(well) && well.elapsed() < TOLD_MAX {
            sleep(LOOK_EVERY).await;
        }
        for (refused, count) in self.nodes.metric(REFUSED).await {
            // Two versions of the binary understand each other.
            if refused.contains("unreadable") && count > 0.0 {
                self.watch.broken(format!("after {episode:?} {refused} is {count}"));
            }
        }
        let (silences, stalled) = (self.watch.silences(began), self.stalls.take());
        for (bot, silence) in silences.iter().enumerate() {
            if *silence > TOLD_MAX + stalled {
                self.watch.broken(format!("after {episode:?} bot {bot} was told nothing for {silence:.1?}"));
            }
        }
        Outcome { episode: *episode, settled, silences, stalled }
    }

    /// Stops the bots, and looks at what they have bought.
    async fn end(self, settings: &Settings, outcomes: &[Outcome]) -> End {
        let Self { nodes, watch, bots, stop, .. } = self;
        stop.send_replace(true);
        let ends = within("all bots to stop", join_all(bots)).await;
        let (front, mut purchases) = (format!("ws://{}", nodes.front), 0);
        for end in ends {
            let (options, device_id, mut basket) = end.expect("no bot panics");
            let credential = Credential::Guest { device_id, name: String::new() };
            let checked = match Lobby::connect(&front, credential, options).await {
                Ok(lobby) => basket.check(&lobby).await,
                Err(error) => Err(format!("a bot cannot sign in though all is well: {error}")),
            };
            match checked {
                Ok(right) => purchases += right,
                Err(wrong) => watch.broken(wrong),
            }
        }
        let (starts, metrics) = (nodes.starts(), nodes.metric(REFUSED).await);
        if let Err(wrong) = tokio::task::block_in_place(|| nodes.end()) {
            watch.broken(wrong);
        }
        let summary = summary(&watch, settings, outcomes, (purchases, starts), metrics);
        let file = watch.records().join("summary.json");
        std::fs::write(&file, format!("{summary:#}\n")).expect("there is room");
        End {
            seed: settings.seed,
            records: watch.records().to_owned(),
            broken: watch.all_broken(),
            counts: watch.counts(),
        }
    }
}

impl End {
    fn assert_good(&self) {
        let Self { seed, records, broken, .. } = self;
        let records = records.display();
        assert!(broken.is_empty(), "seed {seed}, records in {records}: {} broken: {broken:#?}", broken.len());
    }
}

impl Outcome {
    fn print(&self, number: usize, of: usize) {
        let Self { episode: Episode { fault, node, lasts, .. }, settled, silences, stalled } = self;
        let max = silences.iter().max().copied().unwrap_or_default();
        println!(
            "{number:4}/{of} {:40} {:4.1} s  well after {:4.1} s  told nothing for at most {:4.1} s  (stalled {:.1} s)",
            match fault {
                Fault::Nats | Fault::Store(_) => format!("{fault:?}"),
                _ => format!("{fault:?} of node {}", node + 1),
            },
            lasts.as_secs_f64(),
            settled.as_secs_f64(),
            max.as_secs_f64(),
            stalled.as_secs_f64(),
        );
    }
}

/// Prints the table, and gives it as JSON.
fn summary(
    watch: &Watch,
    settings: &Settings,
    outcomes: &[Outcome],
    (purchases, starts): (usize, u64),
    refused: Vec<(String, f64)>,
) -> Value {
    let ms = |time: Duration| time.as_millis() as u64;
    let mut rows = Vec::new();
    println!("\n  fault            episodes   well after, s: p50  max   told nothing, s: p50   p99   max");
    let kinds = Kind::ALL.iter().map(|kind| (format!("{kind:?}"), Some(*kind)));
    for (name, kind) in kinds.chain([("all".to_owned(), None)]) {
        let of = || outcomes.iter().filter(move |outcome| kind.is_none_or(|kind| outcome.episode.fault.kind() == kind));
        let mut settled: Vec<u64> = of().map(|outcome| ms(outcome.settled)).collect();
        let mut silences: Vec<u64> = of().flat_map(|outcome| &outcome.silences).map(|silence| ms(*silence)).collect();
        settled.sort_unstable();
        silences.sort_unstable();
        let at =
            |sorted: &[u64], part: f64| sorted.get((sorted.len() as f64 * part) as usize).or(sorted.last()).copied();
        let at = |sorted: &[u64], part: f64| at(sorted, part).unwrap_or_default();
        let row = json!({
            "fault": name, "episodes": settled.len(),
            "well_after_ms": { "p50": at(&settled, 0.5), "max": at(&settled, 1.0) },
            "told_nothing_ms": { "p50": at(&silences, 0.5), "p99": at(&silences, 0.99), "max": at(&silences, 1.0) },
        });
        let s = |ms: u64| ms as f64 / 1e3;
        println!(
            "  {name:16} {:8} {:18.1} {:5.1} {:20.1} {:5.1} {:5.1}",
            settled.len(),
            s(at(&settled, 0.5)),
            s(at(&settled, 1.0)),
            s(at(&silences, 0.5)),
            s(at(&silences, 0.99)),
            s(at(&silences, 1.0)),
        );
        rows.push(row);
    }
    let counts = watch.counts();
    println!("\n  {purchases} purchases are in the ledger once each; nodes were started {starts} times");
    for (what, count) in &counts {
        println!("  {count:8} {what}");
    }
    for (metric, value) in &refused {
        println!("  {value:8} {metric}");
    }
    let broken = watch.all_broken();
    println!("  {:8} invariants broken", broken.len());
    json!({
        "seed": settings.seed, "bots": settings.bots, "episodes": settings.episodes.len(), "took_s": watch.now_s(),
        "faults": rows, "purchases": purchases, "starts": starts, "counts": counts,
        "refused": refused.into_iter().collect::<BTreeMap<_, _>>(), "broken": broken,
    })
}

/// How long this process did not get to run when it should have.
struct Stalls(std::sync::Mutex<Duration>);

impl Stalls {
    fn watch() -> Arc<Self> {
        let stalls = Arc::new(Self(std::sync::Mutex::default()));
        let of = Arc::downgrade(&stalls);
        tokio::spawn(async move {
            loop {
                let began = Instant::now();
                sleep(LOOK_EVERY).await;
                let Some(stalls) = of.upgrade() else { return };
                let late = began.elapsed().saturating_sub(LOOK_EVERY);
                let mut longest = stalls.0.lock().expect("no holder panics");
                *longest = late.max(*longest);
            }
        });
        stalls
    }

    /// The longest since it was asked for last.
    fn take(&self) -> Duration {
        std::mem::take(&mut self.0.lock().expect("no holder panics"))
    }
}
