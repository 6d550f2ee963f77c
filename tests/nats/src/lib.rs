//! A NATS server for the time of a test, on loopback, and ports for servers that are started again.
//!
//! Invariant: it ends with the value, and with the thread that has started it, however that ends.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use rustix::process::{Signal, set_parent_process_death_signal};

/// How long a server may take to listen.
const START_MAX: Duration = Duration::from_secs(20);
/// The ports of [`free_port`]: below all that the system gives to connections and to who does not mind which one it has
/// (`net.ipv4.ip_local_port_range`).
const PORTS: std::ops::Range<u16> = 10_000..32_000;
/// How many of them a process has before it comes to those of the next.
const PORTS_OF_PROCESS: usize = 64;

/// A port that nobody has now, and that nobody else in this process is given, also while a server that had it is away: other
/// tests open connections and start servers all the time.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let of_process = std::process::id() as usize * PORTS_OF_PROCESS;
    let next = || {
        let next = of_process + usize::from(NEXT.fetch_add(1, Ordering::Relaxed));
        PORTS.start + (next % PORTS.len()) as u16
    };
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(next).take(PORTS.len()).find(is_free).expect("there are free ports")
}

/// A running `nats-server`.
pub struct NatsServer {
    child: Child,
    /// Where it listens.
    pub port: u16,
}

impl NatsServer {
    /// Starts one on a free port.
    pub fn start() -> NatsServer {
        NatsServer::start_with(None, &[])
    }

    /// Starts one with further arguments, on a port or a free one.
    pub fn start_with(port: Option<u16>, arguments: &[&str]) -> NatsServer {
        let port = port.unwrap_or_else(free_port);
        let beside = Path::new("/usr/sbin/nats-server");
        let program = if beside.exists() { beside } else { Path::new("nats-server") };
        let mut command = Command::new(program);
        command.args(["--addr", "127.0.0.1", "--port", &port.to_string()]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // SAFETY: between fork and exec only this one system call is made, which is allowed there.
        unsafe {
            command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
        }
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("nats-server: {error}; install it, on Debian: apt install nats-server"));
        let ready = readiness(child.stderr.take().expect("it is piped"));
        if ready.recv_timeout(START_MAX).is_err() {
            child.kill().ok();
            child.wait().ok();
            panic!("nats-server does not listen");
        }
        NatsServer { child, port }
    }

    /// How it is reached.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it and gives its port.
    pub fn kill(mut self) -> u16 {
        self.end();
        self.port
    }

    fn end(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.end();
    }
}

/// Reads the log to its end, as the server would stop otherwise, and tells when it is ready.
fn readiness(log: std::process::ChildStderr) -> Receiver<()> {
    let (told, ready) = sync_channel(1);
    std::thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if line.contains("Server is ready") {
                told.try_send(()).ok();
            }
        }
    });
    ready
}
