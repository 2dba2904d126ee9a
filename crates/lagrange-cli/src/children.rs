//! Worker processes of `lagrange train`: started, started again when they die, and never left behind.

use crate::args::SecurityArgs;
use anyhow::{Context as _, Result};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, ChildStdin, Command};

/// How long children may take to end by themselves after the run.
const EXIT: Duration = Duration::from_secs(5);
/// How long the coordinator may take to explain what it has heard from its workers' connections.
const EXPLANATION: Duration = Duration::from_secs(2);

/// How a worker is started.
#[derive(Debug)]
pub struct WorkerCommand {
    program: PathBuf,
    address: SocketAddr,
    threads: usize,
    data_dir: Option<PathBuf>,
    security: SecurityArgs,
}

impl WorkerCommand {
    /// A worker of this program that dials `address` and computes on `threads` threads.
    ///
    /// # Errors
    /// If this program cannot be found.
    pub fn new(
        mut address: SocketAddr,
        threads: usize,
        data_dir: Option<&Path>,
        security: &SecurityArgs,
    ) -> Result<Self> {
        if address.ip().is_unspecified() {
            // Listened on everywhere, so here too.
            address.set_ip(match address {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        Ok(Self {
            security: security.clone(),
            program: std::env::current_exe().context("cannot find the lagrange executable")?,
            address,
            threads,
            data_dir: data_dir.map(Path::to_owned),
        })
    }

    fn start(&self) -> Result<Worker> {
        let mut command = Command::new(&self.program);
        command
            .args(["worker", "--child", "--connect", &self.address.to_string()])
            .args(["--threads", &self.threads.to_string()])
            .env("OPENBLAS_NUM_THREADS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        for (flag, path) in [
            ("--data-dir", &self.data_dir),
            ("--tls", &self.security.tls),
            ("--token-file", &self.security.token_file),
        ] {
            if let Some(path) = path {
                command.arg(flag).arg(path);
            }
        }
        if self.security.insecure {
            command.arg("--insecure");
        }
        let mut process = command.spawn().context("cannot start a worker process")?;
        let input = process.stdin.take();
        Ok(Worker { process, input })
    }
}

/// One process. It ends when this process does, however that ends: its stdin closes.
#[derive(Debug)]
struct Worker {
    process: Child,
    /// Held apart from the process: waiting for a child would close its stdin.
    input: Option<ChildStdin>,
}

/// The worker processes of a run.
#[derive(Debug)]
pub struct Children {
    command: WorkerCommand,
    workers: Vec<Worker>,
    restarts: u32,
}

impl Children {
    /// Starts `count` workers, which are started again when they die, `restarts` times in all.
    ///
    /// # Errors
    /// If one cannot be started.
    pub fn start(command: WorkerCommand, count: usize, restarts: u32) -> Result<Self> {
        let workers = (0..count).map(|_| command.start());
        Ok(Self {
            workers: workers.collect::<Result<_>>()?,
            command,
            restarts,
        })
    }

    /// Watches the workers. Resolves only if all of them are gone and none may be started again; each has said why on stderr.
    pub async fn all_gone(&mut self) -> anyhow::Error {
        let (count, mut failed) = (self.workers.len(), 0);
        while !self.workers.is_empty() {
            let (place, well) = self.next_gone().await;
            self.workers.swap_remove(place);
            if well {
                // It was told that the run is over, or that it may go.
                continue;
            }
            failed += 1;
            if self.restarts == 0 {
                continue;
            }
            self.restarts -= 1;
            match self.command.start() {
                Ok(worker) => {
                    tracing::warn!(
                        left = self.restarts,
                        "a worker process died; another one takes its place"
                    );
                    self.workers.push(worker);
                }
                Err(error) => {
                    tracing::warn!(%error, "a worker process died, and no other can be started");
                }
            }
        }
        if failed == 0 {
            std::future::pending::<()>().await;
        }
        // The coordinator has heard of it too, and may still have a better explanation.
        tokio::time::sleep(EXPLANATION).await;
        anyhow::anyhow!(
            "{failed} worker processes failed, and none of {count} is left; their messages are above"
        )
    }

    /// Waits until a worker ends: which one, and whether well.
    async fn next_gone(&mut self) -> (usize, bool) {
        std::future::poll_fn(|context| {
            for (place, worker) in self.workers.iter_mut().enumerate() {
                let waiting = std::pin::pin!(worker.process.wait());
                if let std::task::Poll::Ready(status) = waiting.poll(context) {
                    return std::task::Poll::Ready((place, status.is_ok_and(|s| s.success())));
                }
            }
            std::task::Poll::Pending
        })
        .await
    }

    /// Ends all that are left: by themselves if they do so in time.
    pub async fn end(mut self) {
        for worker in &mut self.workers {
            worker.input.take();
        }
        for worker in &mut self.workers {
            if tokio::time::timeout(EXIT, worker.process.wait())
                .await
                .is_err()
            {
                let _ = worker.process.kill().await;
            }
        }
    }
}
