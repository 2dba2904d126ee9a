//! Worker processes of `lagrange train`: started, started again when they die, and never left behind.

use crate::RunError;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::process::{Child, ChildStdin};

/// How long children may take to end by themselves after the run.
const EXIT: Duration = Duration::from_secs(5);
/// How long the coordinator may take to hear of its last worker's end by its connection, which tells more.
const EXPLANATION: Duration = Duration::from_millis(200);
/// A worker that ends with an error of its own so soon after its start would do so again.
const STILLBORN: Duration = Duration::from_secs(3);

/// Makes the command of a worker process that dials an address.
pub(super) type MakeCommand = Box<dyn Fn(SocketAddr) -> std::process::Command + Send>;

/// How a worker is started.
struct Recipe {
    command: MakeCommand,
    address: SocketAddr,
}

impl Recipe {
    fn start(&self) -> Result<Worker, RunError> {
        let mut command = tokio::process::Command::from((self.command)(self.address));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        let mut process = command.spawn().map_err(RunError::Process)?;
        let input = process.stdin.take();
        let born = Instant::now();
        Ok(Worker {
            process,
            input,
            born,
        })
    }
}

/// Where a process of this machine dials who listens on `address`.
fn dialled(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        // Listened on everywhere, so here too.
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// One process. It ends when this process does, however that ends: its stdin closes.
#[derive(Debug)]
struct Worker {
    process: Child,
    /// Held apart from the process: waiting for a child would close its stdin.
    input: Option<ChildStdin>,
    born: Instant,
}

/// The worker processes of a run.
pub(super) struct Children {
    recipe: Recipe,
    workers: Vec<Worker>,
    restarts: u32,
    /// Whether the run is to end: who dies now is not replaced.
    ending: Arc<AtomicBool>,
}

impl Children {
    /// Starts `count` workers of who listens on `address`; they are started again when they die, `restarts`
    /// times in all.
    pub(super) fn start(
        command: MakeCommand,
        address: SocketAddr,
        count: usize,
        restarts: u32,
    ) -> Result<Self, RunError> {
        let address = dialled(address);
        let recipe = Recipe { command, address };
        let workers = (0..count).map(|_| recipe.start());
        Ok(Self {
            workers: workers.collect::<Result<_, _>>()?,
            recipe,
            restarts,
            ending: Arc::default(),
        })
    }

    /// To be set when the run is to end.
    pub(super) fn ending(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.ending)
    }

    /// Watches the workers. Resolves only if all of them are gone and none may be started again: with how
    /// they went.
    pub(super) async fn all_gone(&mut self) -> String {
        let mut deaths = Vec::new();
        while !self.workers.is_empty() {
            let (place, status) = self.next_gone().await;
            let worker = self.workers.swap_remove(place);
            // Well: it was told that the run is over, or that it may go.
            if !status.success() {
                deaths.push(status);
                self.replace(&worker, status);
            }
        }
        let Some(last) = deaths.last() else {
            return std::future::pending().await;
        };
        tokio::time::sleep(EXPLANATION).await;
        let words = match last.code() {
            Some(_) => "; its message is above",
            None => "",
        };
        format!(
            "every worker process is gone and none is started again, after {} deaths; the last one: {last}{words}",
            deaths.len()
        )
    }

    /// Starts a worker in place of one that has died, if one may be and it is likely to live for longer.
    fn replace(&mut self, dead: &Worker, status: ExitStatus) {
        let hopeless = status.code().is_some() && dead.born.elapsed() < STILLBORN;
        if self.restarts == 0 || hopeless || self.ending.load(Ordering::Relaxed) {
            return;
        }
        self.restarts -= 1;
        match self.recipe.start() {
            Ok(worker) => {
                tracing::warn!(
                    %status,
                    left = self.restarts,
                    "a worker process died; another one takes its place"
                );
                self.workers.push(worker);
            }
            Err(error) => {
                tracing::warn!(%status, %error, "a worker process died, and no other can be started");
            }
        }
    }

    /// Waits until a worker ends: which one, and how.
    async fn next_gone(&mut self) -> (usize, ExitStatus) {
        std::future::poll_fn(|context| {
            for (place, worker) in self.workers.iter_mut().enumerate() {
                let waiting = std::pin::pin!(worker.process.wait());
                if let std::task::Poll::Ready(Ok(status)) = waiting.poll(context) {
                    return std::task::Poll::Ready((place, status));
                }
            }
            std::task::Poll::Pending
        })
        .await
    }

    /// Ends all that are left: by themselves if they do so in time.
    pub(super) async fn end(mut self) {
        for worker in &mut self.workers {
            worker.input.take();
        }
        let deadline = tokio::time::Instant::now() + EXIT;
        for worker in &mut self.workers {
            if tokio::time::timeout_at(deadline, worker.process.wait())
                .await
                .is_err()
            {
                let _ = worker.process.kill().await;
            }
        }
    }
}
