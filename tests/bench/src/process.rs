//! The server as a process of its own: pinned to its core, measured, and gone with the bench.
//!
//! Invariant: a server never outlives the bench, however that ends.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

use crate::http;

/// The core of the server and the core of the generator.
pub const SERVER_CORE: usize = 0;
pub const GENERATOR_CORE: usize = 1;

const READY_DEADLINE: Duration = Duration::from_secs(30);
const READY_POLL: Duration = Duration::from_millis(50);
const LOG_TAIL_LINES: usize = 15;

/// A running server.
pub struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a program on the server's core, its output in `log`.
    pub fn start(program: &Path, configure: impl FnOnce(&mut Command), log: &Path) -> Result<Self> {
        Self::spawn(&["pinned", &SERVER_CORE.to_string()], program, configure, log)
    }

    /// The same on all cores, for what is more than one server.
    pub fn start_on_all_cores(program: &Path, configure: impl FnOnce(&mut Command), log: &Path) -> Result<Self> {
        Self::spawn(&["on-all-cores"], program, configure, log)
    }

    fn spawn(how: &[&str], program: &Path, configure: impl FnOnce(&mut Command), log: &Path) -> Result<Self> {
        let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let errors = output.try_clone()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(how).arg(program);
        configure(&mut command);
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
        let child = child.with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// Waits until a GET is answered with success.
    pub fn wait_until_ready(&mut self, address: SocketAddr, path: &str) -> Result<()> {
        let started = Instant::now();
        loop {
            if let Ok(200) = http::Client::connect(address).and_then(|client| client.status(path)) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}; its last words:\n{}", self.log_tail());
            }
            if started.elapsed() > READY_DEADLINE {
                bail!("the server was not ready in time; its last words:\n{}", self.log_tail());
            }
            sleep(READY_POLL);
        }
    }

    /// The processor time of all its threads since its start.
    pub fn cpu(&self) -> Result<Duration> {
        cpu_of(self.child.id())
    }

    /// The same of the threads that run, to the nanosecond: for what takes little.
    pub fn cpu_exact(&self) -> Result<Duration> {
        let mut all = Duration::ZERO;
        for thread in fs::read_dir(self.proc("task"))? {
            let Ok(stat) = fs::read_to_string(thread?.path().join("schedstat")) else { continue }; // It has ended.
            let on_processor = stat.split_whitespace().next().context("nothing in schedstat")?;
            all += Duration::from_nanos(on_processor.parse()?);
        }
        Ok(all)
    }

    /// What it holds in memory, in kB.
    pub fn resident_kb(&self) -> Result<u64> {
        self.kb("status", "VmRSS:")
    }

    /// The same, but what it has mapped many times is counted once.
    pub fn held_kb(&self) -> Result<u64> {
        self.kb("smaps_rollup", "Pss:")
    }

    /// What the kernel needs to know where its memory is, in kB.
    pub fn page_tables_kb(&self) -> Result<u64> {
        self.kb("status", "VmPTE:")
    }

    fn kb(&self, file: &str, name: &str) -> Result<u64> {
        let text = fs::read_to_string(self.proc(file))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let kb =
            line.and_then(|line| line.split_whitespace().next()).with_context(|| format!("no {name} in {file}"))?;
        Ok(kb.parse()?)
    }

    /// The end of its log, for an error's text.
    pub fn log_tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }

    fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.child.id()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs another part of this program to its end, on the server's core or on all, and gives its output; `log` gets what
/// it says besides.
pub fn output(arguments: &[String], pinned: bool, log: &Path) -> Result<String> {
    let this = std::env::current_exe()?;
    let mut command = Command::new(&this);
    if pinned {
        command.arg("pinned").arg(SERVER_CORE.to_string()).arg(&this);
    } else {
        command.arg("on-all-cores").arg(&this);
    }
    let errors = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let output = command.args(arguments).stdin(Stdio::null()).stderr(errors).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let log = fs::read_to_string(log).unwrap_or_default();
        bail!("{} failed ({}): {said}{log}", arguments[0], output.status);
    }
    Ok(said)
}

/// Becomes another program on all cores that dies with its parent.
pub fn exec_on_all_cores(program: &Path, arguments: &[String]) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut cores = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|core| cores.set(core));
    sched_setaffinity(None, &cores).context("cannot run on all cores")?;
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot run {}", program.display()))
}

/// Becomes another program on one core that dies with its parent.
pub fn exec_pinned(core: usize, program: &Path, arguments: &[String]) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    pin(core)?;
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot run {}", program.display()))
}

/// The processor time of all threads of a process since its start.
pub fn cpu_of(process: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // After the name, which is in brackets and may hold anything: state is field 3.
    let fields = stat.rsplit_once(')').context("no name in stat")?.1;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks: u64 = ticks.sum::<Result<u64, _>>()?;
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// Pins this thread, and what it starts, to a core.
pub fn pin(core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).with_context(|| format!("cannot pin to core {core}: the bench needs two cores"))
}

/// Allows as many open files as the system lets this process have, and tells how many.
pub fn raise_file_limit() -> Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

/// The processor time of this process.
pub fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
