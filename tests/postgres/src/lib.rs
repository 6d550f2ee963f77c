//! A PostgreSQL server for the time of a test, made of the system's programs in a temporary folder.
//!
//! Invariant: neither the server nor its folder outlives the process that has made it, however that ends: a shell that
//! waits for the end of its input then stops the one and removes the other.

use std::io::PipeWriter;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Who may do everything.
pub const USER: &str = "scenehost";
/// How long it may take to start or to stop, in seconds.
const PATIENCE_S: &str = "60";
/// What the shell does that outlives the test.
const TIDY: &str = "
cat > /dev/null
if pid=$(head -n 1 \"$1/data/postmaster.pid\" 2> /dev/null); then
    kill -QUIT \"$pid\"
    for _ in $(seq 100); do kill -0 \"$pid\" 2> /dev/null || break; sleep 0.1; done
fi
rm -rf \"$1\"
";

/// A server.
pub struct Server {
    folder: PathBuf,
    options: String,
    user: Option<(u32, u32)>,
    /// Closed when this is dropped or the process ends, which the shell hears.
    alive: Option<PipeWriter>,
    tidy: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.alive.take());
        let _ = self.tidy.wait(); // It tidies up in any case.
    }
}

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// In order: connections are closed.
    Fast,
    /// As in a crash: it recovers when it is started again.
    Immediate,
}

impl Server {
    /// One that several tests share, each with schemas of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&["fsync=off"]))
    }

    /// Starts one that listens at a socket in its folder, with these settings besides.
    pub fn start(settings: &[&str]) -> Self {
        Self::start_with(settings, |_| {})
    }

    /// The same; `prepare` may put files into its folder before, which is `{folder}` in the settings.
    pub fn start_with(settings: &[&str], prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::Builder::new().prefix("postgres-").tempdir().expect("a temporary folder").keep();
        let user = unprivileged();
        prepare(&folder);
        let (input, alive) = std::io::pipe().expect("a pipe");
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).expect("it is ours");
        give(&folder, user);
        let mut tidy = Command::new("sh");
        tidy.args(["-c", TIDY, "sh"]).arg(&folder).stdin(input).stdout(Stdio::null()).stderr(Stdio::null());
        // A signal to the test's terminal is not for this one, which has to tidy up after it.
        tidy.process_group(0);
        let tidy = tidy.spawn().expect("there is a shell");
        let settings = settings.iter().map(|setting| format!(" -c {setting}")).collect::<String>();
        let settings = settings.replace("{folder}", &folder.display().to_string());
        let has_address = settings.contains("listen_addresses");
        let nowhere = if has_address { "" } else { " -c listen_addresses=" };
        let options = format!("-c unix_socket_directories={}{nowhere}{settings}", folder.display());
        let server = Self { folder, options, user, alive: Some(alive), tidy };
        let data = server.data();
        server.run("initdb", &["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "-U", USER, "-D", &data]);
        server.restart();
        server
    }

    /// The folder of its socket, and of what was put there.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How it is reached.
    pub fn url(&self) -> String {
        format!("postgres://{USER}@{}/postgres", self.folder.display().to_string().replace('/', "%2F"))
    }

    /// Starts it again, and waits until it answers.
    pub fn restart(&self) {
        let (data, log) = (self.data(), self.folder.join("log").display().to_string());
        self.run("pg_ctl", &["start", "-w", "-t", PATIENCE_S, "-D", &data, "-l", &log, "-o", &self.options]);
    }

    /// Stops it, and waits until it has.
    pub fn stop(&self, how: Stop) {
        let how = match how {
            Stop::Fast => "fast",
            Stop::Immediate => "immediate",
        };
        self.run("pg_ctl", &["stop", "-w", "-t", PATIENCE_S, "-D", &self.data(), "-m", how]);
    }

    /// Runs SQL as who may do everything, and gives what `psql` prints without any frame.
    pub fn sql(&self, sql: &str) -> String {
        self.sql_at(5432, sql)
    }

    /// The same for a server that was given another port.
    pub fn sql_at(&self, port: u16, sql: &str) -> String {
        let (folder, port) = (self.folder.display().to_string(), port.to_string());
        self.run("psql", &["-X", "-A", "-t", "-h", &folder, "-p", &port, "-U", USER, "-d", "postgres", "-c", sql])
    }

    fn data(&self) -> String {
        self.folder.join("data").display().to_string()
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(programs().join(program));
        // The server keeps what it inherits, so it must not be a pipe of this test.
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let said = self.folder.join(format!("said-{}", RUNS.fetch_add(1, Ordering::Relaxed)));
        let said_to = std::fs::File::create(&said).expect("the folder is writable");
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        command.stderr(said_to.try_clone().expect("it is open")).stdout(said_to);
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        let status = command.status().expect("PostgreSQL's programs can be run");
        let text = std::fs::read_to_string(&said).expect("it is ours");
        let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        assert!(status.success(), "{program} {arguments:?}: {text} {}", log());
        text.trim().to_owned()
    }
}

/// Where the system has the newest PostgreSQL's programs, or else finds them.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.map(|entry| entry.path()).filter(|path| path.join("bin/initdb").is_file());
    if let Some(newest) = newest.max_by_key(|path| version(path)) {
        return newest.join("bin");
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).find(|folder| folder.join("initdb").is_file());
    found.expect("PostgreSQL is needed: run `cargo xtask test`, which installs it or says how")
}

/// The server refuses to run as root, so there it is somebody else.
fn unprivileged() -> Option<(u32, u32)> {
    let me = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let is_root = me.lines().any(|line| line.split_ascii_whitespace().take(3).eq(["Uid:", "0", "0"]));
    if !is_root {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").expect("the system has users");
    let user = ["postgres:", "nobody:"].iter().find_map(|name| users.lines().find(|line| line.starts_with(name)));
    let mut parts = user.expect("the system has a user without rights").split(':').skip(2);
    let mut number = || parts.next().and_then(|part| part.parse().ok()).expect("users have numbers");
    Some((number(), number()))
}

/// Makes a folder and what is in it somebody's.
fn give(folder: &Path, user: Option<(u32, u32)>) {
    let Some((uid, gid)) = user else { return };
    chown(folder, Some(uid), Some(gid)).expect("root may");
    for entry in std::fs::read_dir(folder).expect("it is readable") {
        chown(entry.expect("it is readable").path(), Some(uid), Some(gid)).expect("root may");
    }
}
