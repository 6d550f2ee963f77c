//! `scenehost store`: backups and checks from the command line. A running host makes its backups itself,
//! asked over its operators' listener; everything else needs no host.

mod copy;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, Subcommand};
use scenehost_core::consistency;
use tokio::runtime::Runtime;

use super::backup::{self, Listed};
use super::lock::{self, DataLock};
use super::{ReadOnly, Store};
use crate::config::{Config, StoreConfig};
use crate::ops::{Made, MakeBackup};

/// How many backups are kept unless it is said.
pub const KEEP: usize = 7;

#[derive(Subcommand)]
pub enum StoreCommand {
    /// Makes a backup, also while the host runs.
    Backup {
        #[command(flatten)]
        place: Place,
        /// So many backups are kept, the newest.
        #[arg(long, default_value_t = KEEP)]
        keep: usize,
        /// Where the running host's operators connect, instead of ops.listen.
        #[arg(long)]
        ops_listen: Option<SocketAddr>,
        /// The secret for operators' calls, instead of ops.token.
        #[arg(long, env = "SCENEHOST_OPS_TOKEN", hide_env_values = true)]
        ops_token: Option<String>,
    },
    /// Shows the backups that are there.
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Puts a backup in the place of the store, which is moved aside. The host must not run.
    Restore {
        #[command(flatten)]
        place: Place,
        /// Which one, instead of the newest.
        #[arg(long)]
        backup: Option<u32>,
    },
    /// Looks whether every record can be read and fits the others, also while the host runs.
    Check {
        #[command(flatten)]
        place: Place,
    },
    /// Copies all records from one store to another, such as from RocksDB to PostgreSQL. No host may use either of them.
    Copy(copy::Copy),
}

/// Where the store is.
#[derive(Args)]
pub struct Place {
    /// The host's configuration.
    #[arg(long, env = "SCENEHOST_CONFIG")]
    config: PathBuf,
    /// Where the store lives, instead of server.data_dir.
    #[arg(long)]
    data_dir: Option<PathBuf>,
}

impl Place {
    fn config(&self) -> anyhow::Result<Config> {
        let mut config = Config::read(&self.config)?;
        if let Some(data_dir) = &self.data_dir {
            config.server.data_dir.clone_from(data_dir);
        }
        Ok(config)
    }
}

pub fn run(command: StoreCommand) -> anyhow::Result<()> {
    match command {
        StoreCommand::Backup { place, keep, ops_listen, ops_token } => {
            let mut config = place.config()?;
            config.ops.listen = ops_listen.unwrap_or(config.ops.listen);
            config.ops.token = ops_token.or(config.ops.token);
            let Made { backup, folder } = make(&config, keep)?;
            println!("{backup}, in {}", folder.display());
            Ok(())
        }
        StoreCommand::List { place } => list(&place.config()?),
        StoreCommand::Restore { place, backup } => restore(&place.config()?, backup),
        StoreCommand::Check { place } => check(&place.config()?),
        StoreCommand::Copy(copy) => copy::run(&copy),
    }
}

/// Backups are of RocksDB.
fn refuse_elsewhere(config: &Config) -> Result<(), backup::Error> {
    match config.store {
        StoreConfig::Rocksdb {} => Ok(()),
        StoreConfig::Postgres(_) => Err(backup::Error::Elsewhere),
    }
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn make(config: &Config, keep: usize) -> anyhow::Result<Made> {
    refuse_elsewhere(config)?;
    let path = config.server.store_dir();
    if !path.is_dir() {
        bail!("there is no store at {}", path.display());
    }
    match DataLock::take(&config.server.data_dir) {
        Ok(lock) => {
            let folder = config.server.backup_dir();
            Ok(Made { backup: Store::open(&path, lock)?.backup(&folder, keep)?, folder })
        }
        Err(lock::Error::Held { .. }) => runtime()?.block_on(ask_host(config, keep)),
        Err(error) => Err(error.into()),
    }
}

/// The host that has the store makes the backup. Which store is meant is told, since somebody else's host
/// may be the one that answers.
async fn ask_host(config: &Config, keep: usize) -> anyhow::Result<Made> {
    let Some(token) = &config.ops.token else {
        bail!("a host is running, and makes backups for who has its ops.token: set it in the configuration");
    };
    let asked = MakeBackup { keep, store: Some(config.server.store_dir().canonicalize()?) };
    let url = format!("http://{}/v1/store/backup", config.ops.listen);
    // The token is for the host alone, whatever the environment says of proxies.
    let client = reqwest::Client::builder().no_proxy().build()?;
    let request = client.post(&url).bearer_auth(token).header("content-type", "application/json");
    let answer = request.body(serde_json::to_string(&asked)?).send().await.with_context(|| {
        format!("the store is in use, and no host answers at {url}: say where by --ops-listen, or stop who uses it")
    })?;
    let status = answer.status();
    let body = answer.text().await?;
    match status.is_success() {
        true => serde_json::from_str(&body).with_context(|| format!("no answer of a host at {url}: {body}")),
        false => Err(anyhow!("the host refuses ({status}): {body}")),
    }
}

fn list(config: &Config) -> anyhow::Result<()> {
    refuse_elsewhere(config)?;
    let folder = config.server.backup_dir();
    let Listed { whole, damaged } = backup::list(&folder)?;
    for backup in &whole {
        println!("{backup}");
    }
    for id in &damaged {
        println!("backup {id} is damaged: it cannot be restored");
    }
    println!(
        "{} in {}",
        if whole.len() == 1 { "1 backup".to_owned() } else { format!("{} backups", whole.len()) },
        folder.display()
    );
    Ok(())
}

fn restore(config: &Config, id: Option<u32>) -> anyhow::Result<()> {
    refuse_elsewhere(config)?;
    let data_dir = &config.server.data_dir;
    std::fs::create_dir_all(data_dir)
        .with_context(|| format!("the data folder {} cannot be made", data_dir.display()))?;
    let lock = match DataLock::take(data_dir) {
        Err(error @ lock::Error::Held { .. }) => return Err(error).context("stop the host first"),
        taken => taken?,
    };
    let store = config.server.store_dir();
    let (backup, aside) = backup::restore(&config.server.backup_dir(), id, &store, &lock)?;
    println!("{backup}, restored to {}", store.display());
    if let Some(aside) = aside {
        println!("what was there is in {}: delete it when all is well", aside.display());
    }
    Ok(())
}

fn check(config: &Config) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let (store, place) = match &config.store {
        StoreConfig::Rocksdb {} => {
            let path = config.server.store_dir();
            (Store::read_only(&path)?, path.display().to_string())
        }
        StoreConfig::Postgres(settings) => (runtime.block_on(ReadOnly::of_postgres(settings))?, settings.place()),
    };
    let report = consistency::check(records(&runtime, &store), |key| runtime.block_on(store.get(key)))?;
    for (kind, count) in &report.records {
        println!("{count:10} {kind}");
    }
    for problem in &report.problems {
        println!("wrong: {problem}");
    }
    match report.problems_count {
        0 => {
            println!("{place} is right");
            Ok(())
        }
        count => bail!("{count} records of {place} are not right"),
    }
}

/// All records, in the order of keys; after an error none.
fn records(runtime: &Runtime, store: &ReadOnly) -> impl Iterator<Item = Result<(String, Vec<u8>), super::Error>> {
    let mut next = Some(String::new());
    let pages = std::iter::from_fn(move || {
        let page = runtime.block_on(store.page(&next.take()?));
        next = page.as_ref().ok().and_then(|page| page.last()).map(|(key, _)| key.clone());
        Some(page)
    });
    pages.flat_map(|page| match page {
        Ok(page) => page.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    })
}
