//! `cargo xtask play`: the host with the demo games.
//!
//! A process beside the host says where to play as soon as the host serves. The games in TypeScript take npm to build and
//! seconds to compile, so it builds them then, while the others are played, and has the host read its configuration again,
//! which names them now.
//! Invariant: whatever becomes of that process, the host and its other games go on.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::parent_id;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::machine::{self, Need};
use crate::shell::{self, Folders};
use crate::{GAMES, build_guests, pages};

/// How long the host may take until it serves.
const START_MAX: Duration = Duration::from_secs(120);

/// Builds what is missing and becomes the host.
pub fn play(folders: &Folders, listen: SocketAddr) -> anyhow::Result<()> {
    machine::set_up(&[Need::Store, Need::Node])?;
    let plugins = build_guests(folders, &GAMES)?;
    let pages = pages::build(folders)?;
    shell::step("building the host (the first time this takes many minutes)");
    shell::cargo(folders, &["build", "--workspace", "--bin", "scenehost"])?;
    let config = write_config(folders, false)?;
    let (host, data) = places(folders);
    // Else the page of whoever serves there would be taken for this host's.
    TcpListener::bind(listen).with_context(|| format!("cannot listen on {listen}; is another scenehost running?"))?;
    shell::step("starting the host");
    begin_late(listen)?;
    let mut command = Command::new(host);
    command
        .args(["serve", "--config"])
        .arg(config)
        .args(["--listen", &listen.to_string(), "--data-dir"])
        .arg(data)
        .arg("--plugins-dir")
        .arg(plugins)
        .arg("--pages-dir")
        .arg(pages);
    shell::run_until_stopped(command)
}

/// The host's binary, and its data.
fn places(folders: &Folders) -> (PathBuf, PathBuf) {
    (folders.target.join("debug/scenehost"), folders.target.join("play"))
}

/// Starts the process that says where to play and brings the late games. The host takes this one's place, so it is the parent of that; nobody
/// waits for its end, of which a process table has one entry until the host ends.
fn begin_late(listen: SocketAddr) -> anyhow::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["play-late", "--listen", &listen.to_string()]).stdin(Stdio::null());
    command.spawn().context("the process for the games in TypeScript cannot be started")?;
    Ok(())
}

/// What that process does: says where to play, builds the games in TypeScript and tells the host of them, or says why there
/// are none.
pub fn play_late(folders: &Folders, listen: SocketAddr) -> anyhow::Result<()> {
    let host = parent_id();
    wait_for_host(host, listen)?;
    say_where(folders, listen);
    if let Err(error) = pages::build_games(folders) {
        shell::step(&format!("the games in TypeScript cannot be built, so they are left out: {error:#}"));
        return Ok(());
    }
    write_config(folders, true)?;
    if parent_id() != host {
        bail!("the host has ended");
    }
    shell::step("the host compiles the games in TypeScript (once, some seconds); then the page shows them");
    // It has a handler of this signal before it serves.
    shell::run({
        let mut kill = Command::new("kill");
        kill.args(["-HUP", &host.to_string()]);
        kill
    })
}

fn say_where(folders: &Folders, listen: SocketAddr) {
    let (host, data) = places(folders);
    let shown = match listen.ip().is_unspecified() {
        true => format!("http://127.0.0.1:{}/ (or this machine's address from other devices)", listen.port()),
        false => format!("http://{listen}/"),
    };
    println!("\n  Open {shown} in two browser windows and play. Ctrl-C stops the host.");
    println!("  Journals of games that are over, to be played back in the page replay/:");
    println!("  {} replay --data-dir {} [SCENE --export match.jsonl]\n", host.display(), data.display());
}

/// Waits until the host serves.
fn wait_for_host(host: u32, listen: SocketAddr) -> anyhow::Result<()> {
    let mut address = listen;
    if listen.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let deadline = Instant::now() + START_MAX;
    while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
        if parent_id() != host || Instant::now() >= deadline {
            bail!("the host does not serve at {address}: its log says why");
        }
        sleep(Duration::from_millis(200));
    }
    if parent_id() != host {
        bail!("somebody else serves at {address}");
    }
    Ok(())
}

/// The demo's configuration, with what it refers to beside it.
fn write_config(folders: &Folders, late: bool) -> anyhow::Result<PathBuf> {
    let (from, to) = (folders.workspace.join("plugins"), folders.target.join("play-config"));
    let read = |name: &str| {
        let path = from.join(name);
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    };
    let mut config = read("scenehost.toml")?;
    for game in pages::GAMES.iter().filter(|_| late) {
        config += "\n";
        config += &read(&format!("{game}/scenehost.toml"))?;
    }
    fs::create_dir_all(&to)?;
    fs::write(to.join("catalogue.toml"), read("catalogue.toml")?)?;
    let path = to.join("scenehost.toml");
    fs::write(&path, config).with_context(|| path.display().to_string())?;
    Ok(path)
}
