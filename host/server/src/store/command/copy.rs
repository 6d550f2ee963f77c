//! `scenehost store copy`: all records from one store to another.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::super::copy::{Target, copy, not_in_use};
use super::super::lock::DataLock;
use super::super::{ReadOnly, Store, postgres};
use crate::config::{Config, StoreConfig};

/// After how many records it is told how far it is.
const TOLD_EVERY: u64 = 100_000;

/// From where to where.
#[derive(clap::Args)]
pub struct Copy {
    /// What is copied: a host's data folder, a URL postgres://…, or a host's configuration (FILE.toml), which says all
    /// that there is to say about a database.
    #[arg(long)]
    from: String,
    /// Where to: the same. It has to be empty.
    #[arg(long)]
    to: String,
    /// Removes all records of the target first, also those of a copy that was interrupted.
    #[arg(long)]
    force: bool,
}

/// One of the two stores.
#[derive(PartialEq)]
enum Place {
    DataFolder(PathBuf),
    Postgres(Box<postgres::Settings>),
}

impl Place {
    fn of(text: &str) -> anyhow::Result<Self> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let settings = postgres::Settings { url: Some(text.to_owned()), ..Default::default() };
            return Ok(Self::Postgres(Box::new(settings)));
        }
        let path = Path::new(text);
        if path.extension().is_none_or(|extension| extension != "toml") {
            return Ok(Self::DataFolder(path.to_owned()));
        }
        let config = Config::read(path)?;
        Ok(match config.store {
            StoreConfig::Rocksdb {} => Self::DataFolder(config.server.data_dir),
            StoreConfig::Postgres(settings) => Self::Postgres(settings),
        })
    }

    /// The store to read, and what has to be held meanwhile.
    async fn source(&self) -> anyhow::Result<(ReadOnly, Store)> {
        match self {
            Self::DataFolder(folder) => {
                let path = folder.join("store");
                if !path.is_dir() {
                    bail!("there is no store at {}: say the data folder that it is in", path.display());
                }
                let held = Store::open(&path, DataLock::take(folder).context("stop the host first")?)?;
                Ok((Store::read_only(&path)?, held))
            }
            Self::Postgres(settings) => {
                let held = Store::connect(settings).await?;
                not_in_use(&held, settings).await?;
                Ok((ReadOnly::of_postgres(settings).await?, held))
            }
        }
    }

    async fn target(&self) -> anyhow::Result<Target> {
        match self {
            Self::DataFolder(folder) => {
                std::fs::create_dir_all(folder)
                    .with_context(|| format!("the data folder {} cannot be made", folder.display()))?;
                let lock = DataLock::take(folder).context("stop the host first")?;
                Ok(Target::rocks(&folder.join("store"), lock)?)
            }
            Self::Postgres(settings) => Ok(Target::postgres(settings).await?),
        }
    }
}

pub fn run(Copy { from, to, force }: &Copy) -> anyhow::Result<()> {
    let (from, to) = (Place::of(from)?, Place::of(to)?);
    if from == to {
        bail!("from and to are the same store");
    }
    super::runtime()?.block_on(async {
        let (source, _held) = from.source().await.context("the source")?;
        let target = to.target().await.context("the target")?;
        let mut told = 0;
        let copied = copy(&source, &target, *force, |records| {
            if records / TOLD_EVERY > told {
                told = records / TOLD_EVERY;
                println!("{records} records");
            }
        });
        let copied = copied.await?;
        println!("{} records, {} bytes, SHA-256 {}", copied.records, copied.bytes, copied.checksum);
        Ok(())
    })
}
