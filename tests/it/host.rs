//! The real binary as a process of its own: on loopback, on free ports, with a folder of its own.
//!
//! Invariant: a host never outlives the test that started it, however that ends; a test that fails
//! shows the host's log.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long anything may take that happens at once on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(25);
/// The secret for operators' calls of every host here.
pub const OPS_TOKEN: &str = "a-token-of-the-tests";

/// A running host. Stopped the hard way when it is dropped.
pub struct Host {
    folder: TempDir,
    process: Process,
    serving: Serving,
}

/// What a host that could not start has left.
pub struct Failed {
    pub code: Option<i32>,
    pub text: String,
}

#[derive(Clone, Copy)]
struct Serving {
    address: SocketAddr,
    ops_address: SocketAddr,
}

/// Held by tests that fill the machine and measure, so that they do not measure each other.
pub async fn alone() -> tokio::sync::MutexGuard<'static, ()> {
    static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    ALONE.lock().await
}

impl Host {
    /// Starts a host with this configuration, and waits until it serves.
    pub fn start(config: &str) -> Self {
        Self::start_with(config, &[])
    }

    /// The same, with more flags.
    pub fn start_with(config: &str, flags: &[&str]) -> Self {
        let folder = folder_with(config);
        let (process, serving) = Process::serve(folder.path(), flags);
        Self { folder, process, serving }
    }

    /// The same of another binary; when it is started again it is the one that was built.
    pub fn start_of(binary: &Path, config: &str, flags: &[&str]) -> Self {
        let folder = folder_with(config);
        let (process, serving) = Process::serves(Process::spawn_of(binary, folder.path(), flags, &[]));
        Self { folder, process, serving }
    }

    /// The same, with more variables in its environment.
    pub fn start_where(config: &str, variables: &[(&str, &OsStr)]) -> Self {
        let folder = folder_with(config);
        let (process, serving) = Process::serves(Process::spawn(folder.path(), &[], variables));
        Self { folder, process, serving }
    }

    /// A host whose syncs to disk are noted, so that [`Host::power_failure`] can forget the rest, and whose
    /// disk can fail, see [`Host::disk_is`].
    pub fn start_on_noted_disk(config: &str) -> Self {
        Self::start_on_disk_of(config, "data")
    }

    /// The same, where only the disk of this part of its folder can fail.
    pub fn start_on_disk_of(config: &str, part: &str) -> Self {
        let folder = folder_with(config);
        let (process, serving) = Process::serve_noted(folder.path(), part);
        Self { folder, process, serving }
    }

    /// Lets the disk of this part of its folder be so ([`forgetful::FULL`], say), or well again.
    pub fn disk_is(&self, part: &str, what: &str, so: bool) {
        let marker = forgetful::marker(&self.folder.path().join(part), what);
        let done = if so { std::fs::write(marker, "") } else { std::fs::remove_file(marker) };
        done.expect("the folder is writable");
    }

    /// Kills it, and forgets what it has written and not synced; how many bytes those were.
    pub fn power_failure(&mut self) -> u64 {
        self.kill9();
        forgetful::forget(&self.data_dir(), &notes(self.folder.path())).expect("its data lies there")
    }

    /// Starts it again on the same data, as [`Host::start_on_noted_disk`] does.
    pub fn restart_on_noted_disk(&mut self) {
        (self.process, self.serving) = Process::serve_noted(self.folder.path(), "data");
    }

    /// Runs a host that is expected to refuse this configuration.
    pub fn fails(config: &str, flags: &[&str]) -> Failed {
        let folder = folder_with(config);
        let mut process = Process::spawn(folder.path(), flags, &[]).0;
        let status = process.ended();
        Failed { code: status.code(), text: process.log.text() }
    }

    /// Where its data lies.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.serving.address
    }

    /// Where operators connect.
    pub fn ops_address(&self) -> SocketAddr {
        self.serving.ops_address
    }

    /// The same as a URL for the client.
    pub fn url(&self) -> String {
        format!("ws://{}", self.serving.address)
    }

    /// Stops it the hardest way there is.
    pub fn kill9(&mut self) {
        self.process.child.kill().expect("it runs");
        self.process.ended();
    }

    /// Starts it again on the same data, once it has ended.
    pub fn restart(&mut self) {
        (self.process, self.serving) = Process::serve(self.folder.path(), &[]);
    }

    /// The same at the address where it was, so that clients find it again by themselves.
    pub fn restart_in_place(&mut self) {
        let address = self.serving.address.to_string();
        (self.process, self.serving) = Process::serve(self.folder.path(), &["--listen", &address]);
    }

    /// The same with these flags; whether it serves then. If not, its log says why.
    pub fn try_restart_with(&mut self, flags: &[&str]) -> bool {
        match Process::try_serves(Process::spawn(self.folder.path(), flags, &[])) {
            Ok((process, serving)) => {
                (self.process, self.serving) = (process, serving);
                true
            }
            Err((process, _)) => {
                self.process = process;
                false
            }
        }
    }

    /// How it ended, if it has.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.process.has_ended()
    }

    /// Runs `scenehost replay` on its journals, whether it runs or not: whether that went well, and what it said.
    pub fn replay(&self, arguments: &[&str]) -> (bool, String) {
        replay(&self.data_dir(), arguments)
    }

    /// Starts it again on the same data and expects that it refuses; what it says.
    pub fn restart_fails(&mut self) -> String {
        self.process = Process::spawn(self.folder.path(), &[], &[]).0;
        let status = self.process.ended();
        assert_eq!(status.code(), Some(1), "{status}");
        self.process.log.text()
    }

    /// The same without waiting for its end, so that others may be in the middle of something with it.
    pub fn kill_now(&self) {
        let pid = Pid::from_child(&self.process.child);
        kill_process(pid, Signal::KILL).expect("it runs");
    }

    /// Stops it in its tracks: when this returns none of its threads runs (or it has ended).
    pub fn pause(&self) {
        kill_process(Pid::from_child(&self.process.child), Signal::STOP).expect("it runs");
        let deadline = Instant::now() + PATIENCE;
        while self.states_of_threads().any(|state| !matches!(state, 'T' | 'Z')) {
            assert!(Instant::now() < deadline, "its threads should have stopped");
            sleep(Duration::from_millis(1));
        }
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        kill_process(Pid::from_child(&self.process.child), Signal::CONT).expect("it runs");
    }

    fn states_of_threads(&self) -> impl Iterator<Item = char> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.process.child.id())).expect("it runs");
        threads.filter_map(|thread| {
            // One that is not there any more has ended meanwhile.
            let stat = std::fs::read_to_string(thread.ok()?.path().join("stat")).ok()?;
            // The name before it may have anything in it.
            Some(stat.rsplit(") ").next().and_then(|rest| rest.chars().next()).expect("the system tells"))
        })
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        let pid = Pid::from_child(&self.process.child);
        kill_process(pid, Signal::TERM).expect("it runs");
    }

    /// Changes its configuration, of which it hears only when it is told to read it again.
    pub fn rewrite(&self, config: &str) {
        write_config(self.folder.path(), config);
    }

    /// Tells it to read its certificate, its fleets and its domains again.
    pub fn hang_up(&self) {
        let pid = Pid::from_child(&self.process.child);
        kill_process(pid, Signal::HUP).expect("it runs");
    }

    /// How much memory it has in use, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the system tells");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Runs `scenehost store` on its store, whether it runs or not: whether that went well, and what it said.
    pub fn store(&self, arguments: &[&str]) -> (bool, String) {
        self.store_where(arguments, &[])
    }

    /// The same, with more variables in its environment.
    pub fn store_where(&self, arguments: &[&str], variables: &[(&str, &str)]) -> (bool, String) {
        let mut command = Command::new(binary());
        command.envs(variables.iter().copied());
        command.arg("store").args(arguments).arg("--config").arg(self.folder.path().join("host.toml"));
        command.arg("--data-dir").arg(self.data_dir());
        let output = command.output().expect("the binary can be run");
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
        (output.status.success(), said.concat())
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.has_ended() {
                return status;
            }
            assert!(Instant::now() < deadline, "the host should have ended");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.process.log.text()
    }

    /// The lines of its log so far with this message.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        let lines = self.process.log.0.lock().expect("no holder panics");
        let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["fields"]["message"] == message).collect()
    }

    /// `GET /health`: the status and the text.
    pub async fn health(&self) -> (u16, String) {
        let answer = self.ops("GET", "/health", &[], "").await;
        (answer.status, answer.body)
    }

    /// `GET /metrics`.
    pub async fn metrics(&self) -> Metrics {
        let answer = self.ops("GET", "/metrics", &[], "").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        Metrics::parse(&answer.body)
    }

    /// A call to the operators' listener.
    pub async fn ops(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        http(self.serving.ops_address, method, path, headers, body).await
    }
}

/// Runs `scenehost replay` on the journals of this data folder: whether that went well, and what it said.
pub fn replay(data_dir: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(binary());
    command.arg("replay").args(arguments).arg("--data-dir").arg(data_dir);
    let output = command.output().expect("the binary can be run");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
    (output.status.success(), said.concat())
}

/// The binary, as `cargo xtask test` has built it next to the tests.
pub fn binary() -> PathBuf {
    built(if cfg!(debug_assertions) { "debug/scenehost" } else { "release/scenehost" })
}

/// The folder of the components.
pub fn plugins() -> PathBuf {
    built("plugins")
}

/// The folder of the games' pages.
pub fn pages() -> PathBuf {
    built("pages")
}

/// A part in the target folder that this test was built in.
pub fn built(part: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the system knows what runs");
    let target = test.ancestors().nth(3).expect("a test lies in <target>/debug/deps");
    let path = target.join(part);
    assert!(path.exists(), "{} is missing: run `cargo xtask test`, which builds it", path.display());
    path
}

/// Where the syncs of a host are noted.
fn notes(folder: &Path) -> PathBuf {
    folder.join("synced")
}

/// All clients of a test come from one address, so unless the test is about that it is unlimited.
const NO_LIMITS_PER_ADDRESS: &str = "
[server.per_address]
connections = 1000000
sign_ins_per_minute = 60000000
";

fn folder_with(config: &str) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    // The demo's configuration names it.
    let catalogue = include_str!("../../plugins/catalogue.toml");
    std::fs::write(folder.path().join("catalogue.toml"), catalogue).expect("it is writable");
    write_config(folder.path(), config);
    folder
}

fn write_config(folder: &Path, config: &str) {
    let mut config = config.to_owned();
    if !config.contains("[server.per_address]") {
        config += NO_LIMITS_PER_ADDRESS;
    }
    std::fs::write(folder.join("host.toml"), config).expect("it is writable");
}

struct Process {
    child: Child,
    log: Arc<Log>,
    /// Reads the log until the process ends.
    reader: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Log {
    fn text(&self) -> String {
        self.0.lock().expect("no holder panics").join("\n")
    }
}

impl Process {
    /// Starts it and reads its log to the end; the receiver gets the addresses.
    fn spawn(folder: &Path, flags: &[&str], variables: &[(&str, &OsStr)]) -> (Self, Receiver<Serving>) {
        Self::spawn_of(&binary(), folder, flags, variables)
    }

    fn spawn_of(
        binary: &Path,
        folder: &Path,
        flags: &[&str],
        variables: &[(&str, &OsStr)],
    ) -> (Self, Receiver<Serving>) {
        let mut command = Command::new(binary);
        command.arg("serve").arg("--config").arg(folder.join("host.toml"));
        command.args(["--log-format", "json"]);
        let (plugins, data) = (plugins(), folder.join("data"));
        let free_port = "127.0.0.1:0".as_ref();
        let usual: [(&str, &OsStr); 5] = [
            ("--listen", free_port),
            ("--ops-listen", free_port),
            ("--ops-token", OPS_TOKEN.as_ref()),
            ("--plugins-dir", plugins.as_ref()),
            ("--data-dir", data.as_ref()),
        ];
        for (flag, value) in usual.into_iter().filter(|(flag, _)| !flags.contains(flag)) {
            command.arg(flag).arg(value);
        }
        command.args(flags).env_remove("RUST_LOG").envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // SAFETY: between fork and exec only this one system call is made, which is allowed there.
        unsafe {
            command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
        }
        let mut child = command.spawn().expect("the binary can be run");
        let stderr = child.stderr.take().expect("it is piped");
        let log = Arc::<Log>::default();
        let (sender, serving) = channel();
        let of_reader = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some(serving) = serving_line(&line) {
                    let _ = sender.send(serving); // Only who starts it wants to know.
                }
                of_reader.0.lock().expect("no holder panics").push(line);
            }
        });
        (Self { child, log, reader: Some(reader) }, serving)
    }

    fn serve(folder: &Path, flags: &[&str]) -> (Self, Serving) {
        Self::serves(Self::spawn(folder, flags, &[]))
    }

    fn serve_noted(folder: &Path, part: &str) -> (Self, Serving) {
        let disk = folder.join(part);
        let (data, notes, library) = (folder.join("data"), notes(folder), built("debug/deps/libforgetful.so"));
        std::fs::create_dir_all(&data).expect("the folder is writable");
        forgetful::begin(&data, &notes).expect("the folder is writable");
        let noted = (forgetful::NOTES, notes.as_os_str());
        let variables = [("LD_PRELOAD", library.as_os_str()), noted, (forgetful::DISK, disk.as_os_str())];
        Self::serves(Self::spawn(folder, &[], &variables))
    }

    fn serves(started: (Self, Receiver<Serving>)) -> (Self, Serving) {
        // The process shows its log while this panics.
        Self::try_serves(started).unwrap_or_else(|(_process, why)| panic!("{why}"))
    }

    fn try_serves((process, serving): (Self, Receiver<Serving>)) -> Result<(Self, Serving), (Self, &'static str)> {
        match serving.recv_timeout(PATIENCE) {
            Ok(serving) => Ok((process, serving)),
            Err(RecvTimeoutError::Timeout) => Err((process, "the host did not serve in time")),
            Err(RecvTimeoutError::Disconnected) => Err((process, "the host did not start")),
        }
    }

    fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.has_ended() {
                return status;
            }
            assert!(Instant::now() < deadline, "the host should have ended");
            sleep(POLL);
        }
    }

    /// How it ended, if it has; its log is complete then.
    fn has_ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("its own child")?;
        self.finish_log();
        Some(status)
    }

    fn finish_log(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("reading does not panic");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill(); // It may have ended already.
        let _ = self.child.wait();
        self.finish_log();
        if std::thread::panicking() {
            eprintln!("the host's log:\n{}", self.log.text());
        }
    }
}

/// The line that says where the host serves.
fn serving_line(line: &str) -> Option<Serving> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields")?;
    if fields.get("message")? != "scenehost serves" {
        return None;
    }
    let address = |field| fields.get(field)?.as_str()?.parse().ok();
    Some(Serving { address: address("address")?, ops_address: address("ops_address")? })
}

/// Runs `scenehost` with these arguments to its end: the exit code, the output and the errors.
pub fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(binary());
    let output = command.args(arguments).stdin(Stdio::null()).output().expect("the binary can be run");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the host writes UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// What `/metrics` says, by name and labels.
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let parsed = lines.map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            (name.to_owned(), value.parse().expect("a number"))
        });
        Self(parsed.collect())
    }

    /// The sum over all labels; 0 if there is none.
    pub fn sum(&self, name: &str) -> f64 {
        let is_it = |key: &str| key.split('{').next() == Some(name);
        self.0.iter().filter(|(key, _)| is_it(key)).map(|(_, value)| value).sum()
    }

    /// Whether there is such a one, with its labels as they are written.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// One of them, with its labels as they are written; 0 if there is none.
    pub fn get(&self, key: &str) -> f64 {
        self.0.get(key).copied().unwrap_or_default()
    }
}

/// An answer to an HTTP request.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// In lower case, with the status line.
    pub head: String,
    pub body: String,
}

/// One HTTP request on a connection of its own.
pub async fn http(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let (head, body) = http_bytes(address, method, path, headers, body.as_bytes()).await;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let body = String::from_utf8(body).expect("the host answers in UTF-8");
    Answer { status, head: head.to_lowercase(), body }
}

/// The same with bytes: the answer's head and its body. A host may answer before it has read all.
pub async fn http_bytes(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (String, Vec<u8>) {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += &format!("content-length: {}\r\n\r\n", body.len());
    let exchanged = within("an HTTP answer", exchange(address, &[request.as_bytes(), body].concat())).await;
    let mut answer = exchanged.expect("the host answers");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head and a body");
    let body = answer.split_off(end + 4);
    (String::from_utf8(answer).expect("a head is text"), body)
}

/// Says something on a connection of its own, and hears all that is answered.
pub async fn exchange(address: SocketAddr, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Waits for something that is about to happen.
pub async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => panic!("not in time: {what}"),
    }
}

/// Looks until something is as it should become.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    within(what, async {
        while !is_so().await {
            tokio::time::sleep(POLL).await;
        }
    })
    .await;
}
