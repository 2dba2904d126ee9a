//! A coordinator and its workers as processes of their own, to be killed, stopped and started again at will.

use super::lagrange;
use super::process::{alive, children_of, wait_until};
use super::run_files::checkpoints;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// A port that is free, and that the system gives to nobody by itself: a run's coordinator leaves it for a
/// while and comes back.
///
/// # Panics
/// If a thousand ports are taken.
#[must_use]
pub fn quiet_address() -> String {
    // Tests at once must not be given the same one.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + std::process::id() as u16 % 15_000;
    let mut addresses = (0..1000).map(|_| {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 5_000;
        format!("127.0.0.1:{port}")
    });
    addresses
        .find(|address| TcpListener::bind(address).is_ok())
        .expect("a free port")
}

/// A child of this process, which does not outlive a test that fails.
#[derive(Debug)]
pub struct Process {
    child: Child,
    born: Instant,
}

impl Process {
    fn start(mut command: Command, log: &Path) -> Self {
        let log = File::options().append(true).create(true).open(log);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(log.expect("log"));
        Self {
            child: command.spawn().expect("starts"),
            born: Instant::now(),
        }
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has just been started: it reads its data, or shakes hands.
    #[must_use]
    pub fn is_young(&self) -> bool {
        self.born.elapsed() < Duration::from_millis(100)
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child")
    }

    /// Kills it and waits for its end; whether it was there to be killed.
    pub fn kill(&mut self) -> bool {
        let there = self.ended().is_none();
        self.child.kill().expect("killed");
        self.child.wait().expect("reaped");
        there
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a run's processes are started.
#[derive(Debug, Clone)]
pub struct Launch {
    /// `train`, whose workers are its children, or `coordinator`.
    pub command: &'static str,
    /// Workers that the run waits for.
    pub workers: usize,
    /// Where the coordinator listens.
    pub address: String,
    /// The run's folder.
    pub run_dir: PathBuf,
    /// What decides the run: not to be said again when it is resumed.
    pub run: Vec<String>,
    /// Its rules.
    pub rules: Vec<String>,
    /// Where the data is, for coordinator and workers.
    pub data: Vec<String>,
}

impl Launch {
    fn log(&self) -> PathBuf {
        self.run_dir.with_extension("log")
    }

    /// The coordinator: of the run that is in the folder, if there is one.
    #[must_use]
    pub fn coordinator(&self) -> Process {
        let mut command = lagrange(&[self.command, "--quiet", "--listen", &self.address]);
        command.args(["--workers", &self.workers.to_string()]);
        if self.run_dir.join("config.toml").exists() {
            command.arg("--resume").arg(&self.run_dir);
        } else {
            command.arg("--run-dir").arg(&self.run_dir).args(&self.run);
        }
        command.args(&self.rules).args(&self.data);
        Process::start(command, &self.log())
    }

    /// A worker of its own.
    #[must_use]
    pub fn worker(&self) -> Process {
        let mut command = lagrange(&["worker", "--threads", "1", "--connect", &self.address]);
        command.args(&self.data);
        Process::start(command, &self.log())
    }

    /// What the processes said last, for a test that fails.
    #[must_use]
    pub fn last_words(&self) -> String {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(30).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// The run's result, once it is complete.
    #[must_use]
    pub fn result(&self) -> Option<serde_json::Value> {
        let bytes = std::fs::read(self.run_dir.join("result.json")).ok()?;
        Some(serde_json::from_slice(&bytes).expect("a file that is whole or not there"))
    }

    /// The last whole lines of the metrics so far.
    #[must_use]
    pub fn last_lines(&self) -> Vec<serde_json::Value> {
        let Ok(mut file) = File::open(self.run_dir.join("metrics.jsonl")) else {
            return Vec::new();
        };
        let length = file.metadata().expect("length").len();
        let mut bytes = Vec::new();
        let place = SeekFrom::Start(length.saturating_sub(1 << 13));
        file.seek(place).expect("a place in it");
        file.read_to_end(&mut bytes).expect("read");
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().map(serde_json::from_str);
        lines.filter_map(Result::ok).collect()
    }

    /// Steps completed so far, as far as the last lines tell.
    #[must_use]
    pub fn step(&self) -> u64 {
        let lines = self.last_lines();
        let mut steps = lines.iter().filter(|line| line["event"] == "step");
        steps
            .next_back()
            .map_or(0, |line| line["step"].as_u64().expect("a number"))
    }

    /// Step of the newest whole checkpoint; 0 without any.
    #[must_use]
    pub fn checkpoint(&self) -> u64 {
        checkpoints(&self.run_dir)
            .last()
            .map_or(0, |&(_, step)| step)
    }
}

/// Waits until the children of a process that was killed are gone.
pub fn wait_for_orphans(orphans: &[u32]) {
    wait_until("the children of a killed process to end", || {
        orphans.iter().all(|&pid| !alive(pid))
    });
}

/// The living children of a process.
#[must_use]
pub fn living_children(process: &Process) -> Vec<u32> {
    let children = children_of(process.pid());
    children.into_iter().filter(|&pid| alive(pid)).collect()
}
