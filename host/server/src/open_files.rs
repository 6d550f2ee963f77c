//! How many files the system lets this process open; each connection is one.

use anyhow::{Context as _, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the host opens besides clients' connections: the store, the sockets of operators, clients that
/// are turned away.
const OTHERS_MAX: u64 = 512;

/// Raises the limit as far as the system allows, and tells how many connections of the wanted number
/// are possible under it.
pub fn connections(wanted: usize) -> anyhow::Result<usize> {
    let files = raise()?;
    if files <= OTHERS_MAX {
        bail!("the system lets this process open {files} files, too few: raise `ulimit -n` above {OTHERS_MAX}");
    }
    let possible = usize::try_from(files - OTHERS_MAX).unwrap_or(usize::MAX);
    if possible < wanted {
        tracing::warn!(
            connections_max = wanted,
            possible,
            open_files = files,
            "server.connections_max cannot be met: raise the limit of open files (ulimit -n, LimitNOFILE)"
        );
    }
    Ok(wanted.min(possible))
}

/// The limit after it was raised.
fn raise() -> anyhow::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let (current, maximum) = (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX));
    if current < maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).context("the limit of open files cannot be raised")?;
        tracing::info!(from = current, to = maximum, "the limit of open files was raised");
    }
    Ok(maximum)
}
