//! A NATS server for the time of a test, on loopback.
//!
//! Invariant: it ends with the value, and with the thread that has started it, however that ends.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use rustix::process::{Signal, set_parent_process_death_signal};

/// How long a server may take to listen.
const START_MAX: Duration = Duration::from_secs(20);

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
        let given = port.map_or("-1".to_owned(), |port| port.to_string());
        let beside = Path::new("/usr/sbin/nats-server");
        let program = if beside.exists() { beside } else { Path::new("nats-server") };
        let mut command = Command::new(program);
        command.args(["--addr", "127.0.0.1", "--port", &given]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // SAFETY: between fork and exec only this one system call is made, which is allowed there.
        unsafe {
            command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
        }
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("nats-server: {error}; install it, on Debian: apt install nats-server"));
        let ports = listening(child.stderr.take().expect("it is piped"));
        let Ok(port) = ports.recv_timeout(START_MAX) else {
            child.kill().ok();
            child.wait().ok();
            panic!("nats-server does not listen");
        };
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

/// Reads the log to its end, as the server would stop otherwise, and tells the port and that it is ready.
fn listening(log: std::process::ChildStderr) -> Receiver<u16> {
    let (ready, ports) = sync_channel(1);
    std::thread::spawn(move || {
        let mut port = None;
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if line.contains("Listening for client connections on") {
                port = line.rsplit(':').next().and_then(|port| port.trim().parse().ok());
            }
            if line.contains("Server is ready")
                && let Some(port) = port.take()
            {
                ready.try_send(port).ok();
            }
        }
    });
    ports
}
