//! Where a run is computed: by tasks of this process, processes of this machine, or workers that come from
//! elsewhere.

mod in_process;
mod processes;

use crate::machine::{DATA_BYTES, Needs, share_of_cores};
use crate::observer::Observers;
use crate::run::{Prepared, Surroundings};
use crate::{Config, DataSource, Observer, Rules, Run, RunDir, RunError, Security, Stop};
use lagrange_coordinator::connections_of;
use lagrange_import::load;
use processes::{Children, MakeCommand};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A wish to stop.
type Wish = Pin<Box<dyn Future<Output = Stop> + Send>>;

/// A coordinator of this process, and its workers. Where they are makes no difference to a run's result.
///
/// ```
/// use lagrange::{Cluster, Dataset, Sources};
///
/// let config = Sources::default().preset("quick").set("train-limit=320")?.resolve()?;
/// let data = std::sync::Arc::new(Dataset::load(None)?);
/// let one = Cluster::in_process(1).train_blocking(config.clone(), data.clone())?;
/// let three = Cluster::in_process(3).threads(1).train_blocking(config, data)?;
/// assert_eq!(one.result.weights_sha256, three.result.weights_sha256);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Cluster {
    workers: Workers,
    threads: usize,
    listen: SocketAddr,
    restarts: u32,
    run_dir: RunDir,
    surroundings: Surroundings,
    stop: Wish,
}

/// Where workers are.
enum Workers {
    InProcess,
    Processes(MakeCommand),
    Elsewhere,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.workers {
            Workers::InProcess => "tasks of this process",
            Workers::Processes(_) => "processes of this machine",
            Workers::Elsewhere => "workers that dial in",
        };
        let count = self.surroundings.rules.workers;
        write!(f, "Cluster({count} {kind})")
    }
}

impl Cluster {
    /// How long workers may take to join, unless [`Cluster::rules`] say otherwise: local ones need no longer
    /// than loading their data takes.
    pub const JOIN_TIMEOUT: Duration = Duration::from_secs(60);
    /// How often worker processes that die are started again, unless [`Cluster::restarts`] says otherwise.
    pub const RESTARTS: u32 = 16;

    fn new(workers: Workers, count: usize) -> Self {
        let rules = Rules {
            workers: count,
            join_timeout: Self::JOIN_TIMEOUT,
            ..Rules::default()
        };
        Self {
            workers,
            threads: share_of_cores(count),
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            restarts: Self::RESTARTS,
            run_dir: RunDir::None,
            surroundings: Surroundings {
                rules,
                security: Security::default(),
                observers: Observers::default(),
            },
            stop: Box::pin(std::future::pending()),
        }
    }

    /// Of `workers` tasks of this process. Their connections are memory: no port is opened.
    #[must_use]
    pub fn in_process(workers: usize) -> Self {
        Self::new(Workers::InProcess, workers)
    }

    /// Of `workers` processes of this machine, each started by what `command` makes of the address that it
    /// has to dial; `lagrange worker --child --connect ADDRESS` is one. They are started again when they die.
    /// They must end when their stdin closes.
    #[must_use]
    pub fn processes(
        workers: usize,
        command: impl Fn(SocketAddr) -> Command + Send + 'static,
    ) -> Self {
        Self::new(Workers::Processes(Box::new(command)), workers)
    }

    /// Of workers that dial `address`: training begins when `workers` of them are there.
    #[must_use]
    pub fn served(workers: usize, address: SocketAddr) -> Self {
        Self::new(Workers::Elsewhere, workers).listen(address)
    }

    /// Threads that each worker of this process computes on; by default they share the processors.
    #[must_use]
    pub fn threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// The address that worker processes dial; by default a free port of this machine.
    #[must_use]
    pub fn listen(self, listen: SocketAddr) -> Self {
        Self { listen, ..self }
    }

    /// How often worker processes that die are started again, over the whole run.
    #[must_use]
    pub fn restarts(self, restarts: u32) -> Self {
        Self { restarts, ..self }
    }

    /// How the run treats its workers. The number of workers stays.
    #[must_use]
    pub fn rules(mut self, rules: Rules) -> Self {
        let workers = self.surroundings.rules.workers;
        self.surroundings.rules = Rules { workers, ..rules };
        self
    }

    /// Who may join.
    #[must_use]
    pub fn security(mut self, security: Security) -> Self {
        self.surroundings.security = security;
        self
    }

    /// Where the run is written; by default nowhere.
    #[must_use]
    pub fn run_dir(self, run_dir: RunDir) -> Self {
        Self { run_dir, ..self }
    }

    /// Adds an observer.
    #[must_use]
    pub fn observe(mut self, observer: impl Observer + 'static) -> Self {
        self.surroundings.observers.0.push(Box::new(observer));
        self
    }

    /// Ends the run early when `wish` resolves, with what there is.
    #[must_use]
    pub fn stop_when(self, wish: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            stop: Box::pin(async {
                wish.await;
                Stop::Wished
            }),
            ..self
        }
    }

    /// Trains `config` on `data`, within a tokio runtime.
    ///
    /// # Errors
    /// [`RunError`]
    pub async fn train(
        mut self,
        config: Config,
        data: impl Into<DataSource>,
    ) -> Result<Run, RunError> {
        self.needs().ensure()?;
        let data = self.shared(data.into())?;
        let surroundings = std::mem::take(&mut self.surroundings);
        let run_dir = std::mem::take(&mut self.run_dir);
        let run = Prepared::new(config, data.clone(), run_dir, surroundings)?;
        self.serve(run, &data).await
    }

    /// Trains in a runtime of its own, from outside of any.
    ///
    /// # Errors
    /// [`RunError`]
    pub fn train_blocking(
        self,
        config: Config,
        data: impl Into<DataSource>,
    ) -> Result<Run, RunError> {
        self.needs().ensure()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            // The cores belong to mathematics.
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(RunError::Runtime)?;
        runtime.block_on(self.train(config, data))
    }

    /// Goes on with the run of `folder`, on the same data, from its last sound checkpoint; with `epochs`, to
    /// another length than it was to have. Its configuration is the folder's.
    ///
    /// # Errors
    /// [`RunError`] if the folder's run is complete, under way, or not one of this data, and as
    /// [`Cluster::train`].
    pub async fn resume(
        mut self,
        folder: &Path,
        epochs: Option<f64>,
        data: impl Into<DataSource>,
    ) -> Result<Run, RunError> {
        self.needs().ensure()?;
        let data = self.shared(data.into())?;
        let surroundings = std::mem::take(&mut self.surroundings);
        let run = Prepared::resume(folder, epochs, data.clone(), surroundings)?;
        self.serve(run, &data).await
    }

    /// `data` as all workers take it: those of this process share one set.
    fn shared(&self, data: DataSource) -> Result<DataSource, RunError> {
        match (&self.workers, data) {
            (Workers::InProcess, DataSource::Files(source)) => Ok(load(source.as_ref())?.into()),
            (_, data) => Ok(data),
        }
    }

    /// What the run will need of the system.
    #[must_use]
    pub fn needs(&self) -> Needs {
        let workers = self.surroundings.rules.workers;
        // Beside the workers' threads one that solves, and the data twice: as it is, and as shards.
        let (threads, workers, bytes) = match self.workers {
            Workers::InProcess => (workers * self.threads + 1, (0, 0), 2 * DATA_BYTES),
            Workers::Processes(_) => (1, (workers, self.threads), 0),
            Workers::Elsewhere => (1, (0, 0), 0),
        };
        Needs {
            threads,
            workers,
            bytes,
        }
    }

    async fn serve(self, mut run: Prepared, data: &DataSource) -> Result<Run, RunError> {
        let count = run.workers();
        if let Workers::InProcess = self.workers {
            let (workers, incoming) = in_process::start(count, self.threads, data)?;
            let ended = run.serve(incoming, self.stop).await;
            workers.end(ended.is_ok()).await;
            return ended;
        }
        let (listener, address) = listen(self.listen).await?;
        match self.workers {
            Workers::Processes(command) => {
                let children = Children::start(command, address, count, self.restarts)?;
                with_children(children, run, listener, self.stop).await
            }
            _ => {
                run.listening(address);
                run.serve(connections_of(listener), self.stop).await
            }
        }
    }
}

/// Serves a run to processes of this machine, and ends them with it.
async fn with_children(
    mut children: Children,
    run: Prepared,
    listener: TcpListener,
    wish: Wish,
) -> Result<Run, RunError> {
    let (abandon, abandoned) = oneshot::channel();
    let stop = stop_or_abandoned(wish, children.ending(), abandoned);
    let ended = {
        let mut run = std::pin::pin!(run.serve(connections_of(listener), stop));
        tokio::select! {
            ended = &mut run => ended,
            reason = children.all_gone() => {
                let _ = abandon.send(reason);
                run.await
            }
        }
    };
    children.end().await;
    ended
}

/// The wish, which is noted in `ending`, or that nobody will compute any more.
async fn stop_or_abandoned(
    wish: Wish,
    ending: Arc<AtomicBool>,
    abandoned: oneshot::Receiver<String>,
) -> Stop {
    tokio::select! {
        stop = wish => {
            ending.store(true, Ordering::Relaxed);
            stop
        }
        Ok(reason) = abandoned => Stop::Abandoned(reason),
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), RunError> {
    let failed = |cause| RunError::Listen { address, cause };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}
