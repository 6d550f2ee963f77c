//! From kill -9 to playing again: games with journals are played by clients, their host is killed in the middle of it and
//! started again, and each client's time is taken until it is told a step that was made after that.
//!
//! Invariant: a step counts only if its number is above all that any player of the game was told before the kill.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{sleep, timeout};

use crate::arena_player::{ArenaPlayer, Met, gather};
use crate::process::Server;
use crate::report::{self, Machine};

const CLIENTS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7490);
const OPS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7491);
const OPS_TOKEN: &str = "the-bench-is-the-operator";
const DOMAIN: &str = "arena";
const PLAYERS_PER_GAME: usize = 4;
/// As a deployment would have it, but that games outlast the bench and may be killed as often as it wants.
const CONFIG: &str = r#"[server]
scenes_max = 1_000

[server.per_address]
connections = 20_000
sign_ins_per_minute = 60_000_000

[fleets.arena]
plugin = "arena"
configuration = { round_s = 86_400 }

[fleets.arena.scene]
tick_rate_hz = 20
grace_ms = 30_000
crashes_max = 1_000
journal = { keep = "recovery" }

[domains.arena]
fleet = "arena"
players_min = 4
players_max = 4
"#;
/// How long games are played before each kill: nothing is special about that moment, so it differs.
const PLAYED: Duration = Duration::from_millis(3_000);
const PLAYED_MORE: Duration = Duration::from_millis(137);
/// Until all must be back.
const BACK_MAX: Duration = Duration::from_secs(30);
const MICROSECONDS_MAX: u64 = 60_000_000;

/// How much is measured.
pub struct Settings {
    games: usize,
    kills: u32,
}

impl Settings {
    pub fn of(quick: bool) -> Self {
        if quick { Self { games: 5, kills: 1 } } else { Self { games: 50, kills: 10 } }
    }
}

/// One kill.
#[derive(Serialize)]
struct Row {
    /// From the start of the new process, over all clients, in milliseconds.
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    /// From the kill.
    since_kill_max_ms: f64,
    /// Clients that were told that they have missed something.
    incomplete: usize,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    games: usize,
    players: usize,
    rows: Vec<Row>,
    figures: BTreeMap<&'static str, f64>,
}

/// What a client tells the bench.
enum Heard {
    Dropped { client: usize },
    Back { client: usize, complete: bool },
    Tick { client: usize, tick: u64, at: Instant },
    Failed(anyhow::Error),
}

/// Where a client is in a round.
#[derive(Clone, Copy, Default)]
struct Client {
    game: usize,
    /// The last tick that it was told.
    tick: u64,
    is_dropped: bool,
    is_back: bool,
    plays: Option<Instant>,
}

/// Measures, prints, and writes `recovery.json`.
pub fn run(settings: &Settings, program: &Path, plugins: &Path, out: &Path) -> Result<PathBuf> {
    report::print_machine();
    let place = Place::prepare(program, plugins, out)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(measure(settings, &place))?;
    for (name, value) in &report.figures {
        println!("  {name:28} {value:10.1}");
    }
    let file = out.join("recovery.json");
    report::write(&report, &file)?;
    Ok(file)
}

async fn measure(settings: &Settings, place: &Place) -> Result<Report> {
    let players = settings.games * PLAYERS_PER_GAME;
    let mut server = place.start()?;
    server.wait_until_ready(OPS, "/health")?;
    let (heard, hearing) = unbounded_channel();
    let gathered = gather(&format!("ws://{CLIENTS}"), DOMAIN, players).await?;
    let mut bench = Bench { clients: clients(&gathered), hearing, missed: 0, doubled: 0 };
    for (client, player) in gathered.into_iter().enumerate() {
        tokio::spawn(play(client, player, heard.clone()));
    }
    println!("  kill   playing again, ms: p50      p99      max   since the kill: max   not told everything");
    let (mut all, mut rows) = (histogram()?, Vec::new());
    for kill in 0..settings.kills {
        bench.play(PLAYED + PLAYED_MORE * kill).await?;
        bench.begin_round();
        let killed = Instant::now();
        drop(server);
        let started = Instant::now();
        server = place.start()?;
        let incomplete = match timeout(BACK_MAX, bench.all_back()).await {
            Ok(incomplete) => incomplete?,
            Err(_) => bail!("{} clients do not play again; the host says:\n{}", bench.away(), server.log_tail()),
        };
        let mut times = histogram()?;
        for plays in bench.clients.iter().filter_map(|client| client.plays) {
            times.saturating_record((plays - started).as_micros() as u64);
        }
        all.add(&times)?;
        let row = Row::of(&times, started - killed, incomplete);
        println!(
            "  {:4} {:23.0} {:8.0} {:8.0} {:21.0} {:21}",
            kill + 1,
            row.p50_ms,
            row.p99_ms,
            row.max_ms,
            row.since_kill_max_ms,
            row.incomplete
        );
        rows.push(row);
    }
    let max = |of: fn(&Row) -> f64| rows.iter().map(of).fold(0.0, f64::max);
    let figures = BTreeMap::from([
        ("recovery_p50_ms", all.value_at_quantile(0.5) as f64 / 1e3),
        ("recovery_p99_ms", all.value_at_quantile(0.99) as f64 / 1e3),
        ("recovery_max_ms", max(|row| row.max_ms)),
        ("recovery_since_kill_max_ms", max(|row| row.since_kill_max_ms)),
        ("recovery_ticks_missed", bench.missed as f64),
        ("recovery_ticks_doubled", bench.doubled as f64),
    ]);
    Ok(Report { machine: report::machine()?, games: settings.games, players, rows, figures })
}

impl Row {
    fn of(times: &Histogram<u64>, between: Duration, incomplete: usize) -> Self {
        let ms = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
        let max_ms = times.max() as f64 / 1e3;
        let since_kill_max_ms = max_ms + between.as_secs_f64() * 1e3;
        Self { p50_ms: ms(0.5), p99_ms: ms(0.99), max_ms, since_kill_max_ms, incomplete }
    }
}

/// The clients, and what is heard of them.
struct Bench {
    clients: Vec<Client>,
    hearing: UnboundedReceiver<Heard>,
    /// Ticks that a client was not told although it was told that nothing is missing, and that it was told twice.
    missed: u64,
    doubled: u64,
}

impl Bench {
    /// Hears what clients are told, for so long.
    async fn play(&mut self, time: Duration) -> Result<()> {
        let until = sleep(time);
        tokio::pin!(until);
        loop {
            tokio::select! {
                () = &mut until => return Ok(()),
                heard = self.hearing.recv() => self.take(heard).map(drop)?,
            }
        }
    }

    fn begin_round(&mut self) {
        for client in &mut self.clients {
            (client.is_dropped, client.is_back, client.plays) = (false, false, None);
        }
    }

    /// Until every client was told a step that was made after the kill; how many were told that something is missing.
    async fn all_back(&mut self) -> Result<usize> {
        // All connections are lost long before the first one stands again.
        while self.clients.iter().any(|client| !client.is_dropped) {
            let heard = self.hearing.recv().await;
            self.take(heard)?;
        }
        let mut told_before: HashMap<usize, u64> = HashMap::new();
        for client in &self.clients {
            let told = told_before.entry(client.game).or_default();
            *told = client.tick.max(*told);
        }
        let mut incomplete = 0;
        while self.clients.iter().any(|client| client.plays.is_none()) {
            let heard = self.hearing.recv().await;
            if let Some(Heard::Back { complete: false, .. }) = heard {
                incomplete += 1;
            }
            if let Some((client, tick, at)) = self.take(heard)? {
                let client = &mut self.clients[client];
                if client.is_back && tick > told_before[&client.game] {
                    client.plays.get_or_insert(at);
                }
            }
        }
        Ok(incomplete)
    }

    fn away(&self) -> usize {
        self.clients.iter().filter(|client| client.plays.is_none()).count()
    }

    /// Notes what was heard; which client was told which tick, if that is what it was.
    fn take(&mut self, heard: Option<Heard>) -> Result<Option<(usize, u64, Instant)>> {
        match heard.context("all clients have ended")? {
            Heard::Dropped { client } => self.clients[client].is_dropped = true,
            Heard::Back { client, complete } => {
                let client = &mut self.clients[client];
                client.is_back = true;
                if !complete {
                    client.tick = 0;
                }
            }
            Heard::Tick { client: number, tick, at } => {
                let client = &mut self.clients[number];
                match client.tick {
                    0 => {}
                    last if tick <= last => self.doubled += 1,
                    last => self.missed += tick - last - 1,
                }
                client.tick = tick.max(client.tick);
                return Ok(Some((number, tick, at)));
            }
            Heard::Failed(error) => return Err(error),
        }
        Ok(None)
    }
}

/// Who plays with whom.
fn clients(players: &[ArenaPlayer]) -> Vec<Client> {
    let mut games: HashMap<&str, usize> = HashMap::new();
    let mut clients = Vec::new();
    for player in players {
        let number = games.len();
        let game = *games.entry(&player.scene_id).or_insert(number);
        clients.push(Client { game, ..Client::default() });
    }
    clients
}

/// Plays until nobody wants to know any more.
async fn play(client: usize, mut player: ArenaPlayer, heard: UnboundedSender<Heard>) {
    loop {
        let (said, is_over) = match player.next().await {
            Ok(Met::Tick(tick, at)) => (Heard::Tick { client, tick, at }, false),
            Ok(Met::Dropped) => (Heard::Dropped { client }, false),
            Ok(Met::Back { complete }) => (Heard::Back { client, complete }, false),
            Err(error) => (Heard::Failed(error), true),
        };
        if heard.send(said).is_err() || is_over {
            return;
        }
    }
}

/// Where the host and its parts lie.
struct Place {
    program: PathBuf,
    plugins: PathBuf,
    config: PathBuf,
    data: PathBuf,
    log: PathBuf,
}

impl Place {
    /// With an empty store.
    fn prepare(program: &Path, plugins: &Path, out: &Path) -> Result<Self> {
        let program = fs::canonicalize(program).with_context(|| format!("{} is not there", program.display()))?;
        let (data, config) = (out.join("recovery-data"), out.join("recovery.toml"));
        if data.exists() {
            fs::remove_dir_all(&data).context("the data of the last run cannot be removed")?;
        }
        fs::write(&config, CONFIG)?;
        Ok(Self { program, plugins: plugins.to_owned(), config, data, log: out.join("recovery.log") })
    }

    fn start(&self) -> Result<Server> {
        let configure = |command: &mut Command| {
            command.args(["serve", "--config"]).arg(&self.config).arg("--data-dir").arg(&self.data);
            command.arg("--plugins-dir").arg(&self.plugins);
            command.args(["--listen", &CLIENTS.to_string(), "--ops-listen", &OPS.to_string()]);
            command.args(["--ops-token", OPS_TOKEN]);
        };
        Server::start(&self.program, configure, &self.log)
    }
}

fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, MICROSECONDS_MAX, 3)?)
}
