//! The host of `dev`: the binary `scenehost` as a process of its own, on loopback, with an empty store.
//!
//! Invariant: it does not outlive this tool.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anstream::eprintln;
use rand::TryRng as _;
use serde_json::Value;

use crate::command::logs;
use crate::failure::{Done, Failure};
use crate::guest::Built;
use crate::host::Running;
use crate::project::Project;
use crate::say::{BAD, FAINT, WARN};

/// How long it may take until it serves. It compiles the component before: with a JavaScript engine in it that is half a
/// minute on a busy machine.
const START: Duration = Duration::from_secs(120);
/// How long it has to stop.
const STOP: Duration = Duration::from_secs(5);
/// Room for all bots of one machine, each with two connections, below the usual limit of open files.
const CONNECTIONS_MAX: i64 = 12_000;
/// Lines of its log that are kept for when it fails.
const LAST_LINES: usize = 20;

/// A host that runs.
pub struct LocalHost {
    child: Child,
    pub running: Running,
    note: PathBuf,
}

/// The program: the one that was named, beside this tool, or on the PATH.
///
/// # Errors
/// When it is nowhere.
pub fn binary(named: Option<&Path>) -> Done<PathBuf> {
    if let Some(named) = named {
        return match named.is_file() {
            true => Ok(named.to_owned()),
            false => Err(Failure::usage(format_args!("{} is not there", named.display()))),
        };
    }
    let beside = std::env::current_exe().ok().and_then(|tool| Some(tool.parent()?.join("scenehost")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("scenehost"));
    beside.into_iter().chain(on_path).find(|program| program.is_file()).ok_or_else(|| {
        Failure::usage("there is no program `scenehost` beside this tool or on the PATH").hint(
            "build it in Scenehost's sources with `cargo build --release --workspace --bin scenehost`, or name it with \
             --host-binary",
        )
    })
}

impl LocalHost {
    /// Starts it with the project's fleet and domain, and waits until it serves.
    ///
    /// # Errors
    /// When it does not start; its own words are in the text.
    pub fn start(
        binary: &Path,
        project: &Project,
        component: &Built,
        listen: SocketAddr,
        verbose: bool,
    ) -> Done<LocalHost> {
        let config = prepare(project, component, listen)?;
        let token = token()?;
        let mut child = spawn(binary, &config, &token)?;
        let stderr = child.stderr.take().expect("it is piped");
        let (sender, receiver) = sync_channel(1);
        std::thread::spawn(move || read_log(stderr, &sender, verbose));
        let (address, ops_address) = served(&receiver).inspect_err(|_| {
            let _ = child.kill(); // It may have ended by itself.
            let _ = child.wait();
        })?;
        let running = Running { ops: format!("http://{ops_address}"), players: format!("http://{address}"), token };
        let local = LocalHost { child, running, note: Running::path(project) };
        write_secret(&local.note, &serde_json::to_vec(&local.running).expect("it can be written as JSON"))?;
        Ok(local)
    }

    /// The page's address.
    pub fn page(&self) -> String {
        format!("{}/", self.running.players)
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// When it does not.
    pub fn check(&mut self) -> Done {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                Err(Failure::failed(format_args!("the host has ended ({status}); --verbose shows why")))
            }
            Err(error) => Err(Failure::failed(error)),
        }
    }

    /// Ends it, by force if it does not hear.
    ///
    /// # Errors
    /// When the system does not let it be ended.
    pub fn stop(mut self) -> Done {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).map_err(Failure::failed)?;
        let deadline = Instant::now() + STOP;
        while Instant::now() < deadline {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(self.child.kill()?)
    }
}

impl Drop for LocalHost {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.note);
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = self.child.kill(); // There is nothing left to do about a failure.
            let _ = self.child.wait();
        }
    }
}

/// Its folder, with nothing of the time before; the path of its configuration.
fn prepare(project: &Project, component: &Built, listen: SocketAddr) -> Done<PathBuf> {
    let folder = project.out_dir().join("dev");
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Failure::file(&folder)(error)),
        Ok(()) | Err(_) => {}
    }
    let plugins = folder.join("plugins");
    std::fs::create_dir_all(&plugins).map_err(Failure::file(&plugins))?;
    let plugin = plugins.join(format!("{}.wasm", project.name()));
    std::fs::write(&plugin, &component.bytes).map_err(Failure::file(&plugin))?;
    let config = folder.join("host.toml");
    std::fs::write(&config, configuration(project, listen)?).map_err(Failure::file(&config))?;
    Ok(config)
}

fn spawn(binary: &Path, config: &Path, token: &str) -> Done<Child> {
    let mut command = Command::new(binary);
    command
        .args(["serve", "--log-format", "json", "--config"])
        .arg(config)
        .env("SCENEHOST_OPS_TOKEN", token)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // Ctrl-C is for this tool, which then stops the host.
        .process_group(0);
    die_with_this_process(&mut command);
    command.spawn().map_err(|error| Failure::failed(format_args!("{} cannot be run: {error}", binary.display())))
}

/// Waits until it serves; where.
fn served(receiver: &Receiver<Result<Addresses, String>>) -> Done<Addresses> {
    match receiver.recv_timeout(START) {
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(last)) => Err(Failure::failed(format_args!("the host did not start:\n{last}"))
            .hint("[dev.fleet] and [dev.domain] of scenehost.toml are its configuration")),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            let text = format!("the host did not serve within {} s", START.as_secs());
            Err(Failure::failed(text)
                .hint("try again when the machine is less busy; --verbose shows what the host does"))
        }
    }
}

/// Where the system can do it, it ends the host when this tool is killed.
fn die_with_this_process(command: &mut Command) {
    #[cfg(target_os = "linux")]
    // SAFETY: between fork and exec only one system call is made, and nothing is allocated.
    unsafe {
        command.pre_exec(|| {
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).map_err(Into::into)
        });
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

fn token() -> Done<String> {
    let mut bytes = [0; 16];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(Failure::failed)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn write_secret(path: &Path, bytes: &[u8]) -> Done {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(Failure::file(path))
}

/// The host's configuration: the project's fleet and domain, and everything else as it suits one machine.
fn configuration(project: &Project, listen: SocketAddr) -> Done<String> {
    let name = project.name();
    let mut fleet = project.settings.dev.fleet.clone();
    fleet.insert("plugin".to_owned(), name.into());
    let mut domain = project.settings.dev.domain.clone();
    domain.insert("fleet".to_owned(), name.into());
    let mut server = toml::Table::new();
    server.insert("listen".to_owned(), listen.to_string().into());
    server.insert("data_dir".to_owned(), "data".into());
    server.insert("plugins_dir".to_owned(), "plugins".into());
    server.insert("drain_ms".to_owned(), 0.into());
    server.insert("connections_max".to_owned(), CONNECTIONS_MAX.into());
    let page = project.page_dir();
    if page.is_dir() {
        server.insert("pages_dir".to_owned(), page.display().to_string().into());
    }
    // All bots come from this machine.
    let per_address: toml::Table = [("connections", 100_000), ("sign_ins_per_minute", 600_000)]
        .map(|(key, value)| (key.to_owned(), value.into()))
        .into_iter()
        .collect();
    server.insert("per_address".to_owned(), per_address.into());
    let one = |key: &str, value: toml::Table| toml::Table::from_iter([(key.to_owned(), value.into())]);
    let ops = toml::Table::from_iter([("listen".to_owned(), "127.0.0.1:0".into())]);
    let parts = [("server", server), ("ops", ops), ("fleets", one(name, fleet)), ("domains", one(name, domain))];
    let config: toml::Table = parts.map(|(key, value)| (key.to_owned(), value.into())).into_iter().collect();
    toml::to_string(&config).map_err(Failure::failed)
}

type Addresses = (String, String);

/// Reads the host's log until it ends: tells where it serves, or its last words if it ends before; shows what concerns
/// the game.
fn read_log(stderr: ChildStderr, served: &SyncSender<Result<Addresses, String>>, verbose: bool) {
    let mut last = VecDeque::new();
    let mut serves = false;
    for line in BufReader::new(stderr).lines() {
        let Ok(line) = line else { break };
        let Ok(entry) = serde_json::from_str::<Value>(&line) else {
            last.push_back(line);
            last.drain(..last.len().saturating_sub(LAST_LINES));
            continue;
        };
        let fields = &entry["fields"];
        let text = fields["message"].as_str().unwrap_or_default();
        if text == "scenehost serves" {
            let address = |name: &str| fields[name].as_str().unwrap_or_default().to_owned();
            serves = served.send(Ok((address("address"), address("ops_address")))).is_ok();
        } else {
            show(&entry, verbose);
        }
    }
    if !serves {
        // Nobody listens any more if the time was up.
        let _ = served.send(Err(Vec::from(last).join("\n")));
    }
}

/// What the game logs, and what the host warns of.
fn show(entry: &Value, verbose: bool) {
    let level = entry["level"].as_str().unwrap_or_default().to_lowercase();
    let fields = &entry["fields"];
    let text = fields["message"].as_str().unwrap_or_default();
    if entry["target"] == "game" {
        let line = logs::Line {
            at_ms: std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |since| since.as_millis() as u64),
            scene: fields["scene"].as_str().unwrap_or_default().to_owned(),
            tick: fields["tick"].as_u64(),
            level,
            text: text.to_owned(),
        };
        return eprintln!("{}", logs::in_colour(&line));
    }
    let style = match level.as_str() {
        "error" => BAD,
        "warn" => WARN,
        _ if verbose => FAINT,
        _ => return,
    };
    let others = fields.as_object().into_iter().flatten().filter(|(name, _)| *name != "message");
    let others: Vec<String> = others.map(|(name, value)| format!("{name}={}", plain(value))).collect();
    eprintln!("{style}{:>12}{style:#} {text} {}", "host", others.join(" "));
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
