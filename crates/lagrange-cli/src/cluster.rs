//! A run from configuration to result: the coordinator here, the workers wherever they are.

use crate::config::Config;
use crate::model::Model;
use crate::progress::Progress;
use crate::run_folder::{RunFolder, RunResult};
use anyhow::{Context as _, Result, bail};
use lagrange_coordinator::{
    Identity, Observed, Plan, Rules, Security, ServeOptions, Served, Snapshot, Training,
    connections_of, hexadecimal, serve,
};
use lagrange_data::{Dataset, Outline, Partition};
use lagrange_protocol::RunSpec;
use lagrange_worker::{DataSource, Executor, Tcp, Threads, WorkerOptions};
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A run that is ready to be served.
#[derive(Debug)]
pub struct Coordinator {
    config: Config,
    training: Training,
    dataset_sha256: [u8; 32],
    /// The folder of a run that is resumed; a new one gets its folder when it begins.
    folder: Option<RunFolder>,
    options: CoordinatorOptions,
}

/// What a run needs beside its configuration.
#[derive(Debug, Clone)]
pub struct CoordinatorOptions {
    /// Towards its workers.
    pub rules: Rules,
    /// Who may join.
    pub security: Security,
    /// Where results go; `None` names the folder after the run.
    pub run_dir: Option<PathBuf>,
    /// No progress on stderr.
    pub quiet: bool,
}

impl Coordinator {
    /// Checks configuration against data.
    ///
    /// # Errors
    /// If they do not fit together, naming the field.
    pub fn prepare(config: Config, dataset: &Outline, options: CoordinatorOptions) -> Result<Self> {
        config.task.check_labels("training", &dataset.train)?;
        config.task.check_labels("test", &dataset.test)?;
        let run = config.plan(dataset.side, dataset.train.len())?;
        let partition = partition(&run.spec, dataset)?;
        let plan = Plan::new(run, partition)?;
        let identity = Identity {
            run: run_name(&config),
            configuration: config.to_toml()?,
            dataset_sha256: hexadecimal(&dataset.sha256),
        };
        Ok(Self {
            training: Training::new(identity, plan, options.rules),
            config,
            dataset_sha256: dataset.sha256,
            folder: None,
            options,
        })
    }

    /// Takes up the run of a folder where its last sound checkpoint left it, or from the beginning if there is none.
    ///
    /// # Errors
    /// If the folder's run is complete, under way, or not one of this dataset.
    pub fn resume(path: &Path, dataset: &Outline, options: CoordinatorOptions) -> Result<Self> {
        let (mut folder, config) = RunFolder::reopen(path)?;
        let checkpoints = folder.checkpoints();
        checkpoints.tidy();
        let found = checkpoints.newest()?;
        for (path, error) in &found.damaged {
            eprintln!(
                "warning: {}: {error}; going back to the one before",
                path.display()
            );
        }
        let Some((path, snapshot)) = found.snapshot else {
            folder.keep_metrics(None)?;
            let mut coordinator = Self::prepare(config, dataset, options)?;
            coordinator.folder = Some(folder);
            return Ok(coordinator);
        };
        check_identity(&snapshot, &config, dataset)
            .with_context(|| format!("{}: cannot be resumed", path.display()))?;
        folder.keep_metrics(Some(&snapshot.facts))?;
        let run = config.plan(dataset.side, dataset.train.len())?;
        let partition = partition(&run.spec, dataset)?;
        let training = Training::resume(&snapshot, run, partition, options.rules)
            .with_context(|| path.display().to_string())?;
        Ok(Self {
            config,
            training,
            dataset_sha256: dataset.sha256,
            folder: Some(folder),
            options,
        })
    }

    /// Listens on `address`.
    ///
    /// # Errors
    /// If the address cannot be had.
    pub async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
        let advice = || match address.port() {
            0 => format!("--listen {address}: cannot be listened on"),
            port => format!(
                "--listen {address}: cannot be listened on; is port {port} in use? Stop the other process or choose another port"
            ),
        };
        let listener = TcpListener::bind(address).await.with_context(advice)?;
        let bound = listener.local_addr().with_context(advice)?;
        Ok((listener, bound))
    }

    /// Serves the run until it ends, and writes its folder. `interrupt` asks for an early end.
    ///
    /// # Errors
    /// If the run fails or its folder cannot be written.
    pub async fn run(
        self,
        listener: TcpListener,
        interrupt: impl Future<Output = ()> + Send + 'static,
    ) -> Result<RunResult> {
        let mut folder = match self.folder {
            Some(folder) => folder,
            None => RunFolder::create(self.options.run_dir.as_deref(), &self.config)?,
        };
        let checkpoints = folder.checkpoints();
        let (observer, reports) = channel();
        let mut progress = Progress::new(self.training.steps(), self.options.quiet);
        let recorder = tokio::task::spawn_blocking(move || {
            record(&mut folder, &mut progress, &reports);
            progress.finish();
            folder
        });
        let options = ServeOptions {
            dataset_sha256: self.dataset_sha256,
            checkpoints: Some(checkpoints),
            security: self.options.security,
            observer,
            own_threads: true,
        };
        let begin = Instant::now();
        let incoming = connections_of(listener);
        let ended = serve(incoming, self.training, options, interrupt).await;
        let seconds = begin.elapsed().as_secs_f64();
        let folder = recorder.await?;
        let (served, audience) = ended?;
        let workers = self.options.rules.workers;
        let result = finish(&self.config, &served, folder, workers, seconds)?;
        if let Err(error) = audience.dismiss("the run is complete").await {
            tracing::warn!(%error, "the result is written, but workers could not be told");
        }
        Ok(result)
    }
}

fn partition(spec: &RunSpec, dataset: &Outline) -> Result<Partition> {
    let counts = (dataset.train.len(), dataset.test.len());
    let partition = Partition::of_counts(counts, spec.shards, spec.validation, spec.train_limit)?;
    Ok(partition)
}

/// Refuses to take up a run with another configuration or other data, naming what differs.
fn check_identity(snapshot: &Snapshot, config: &Config, dataset: &Outline) -> Result<()> {
    let facts = &snapshot.facts;
    let theirs: Config = toml::from_str(&facts.configuration)
        .context("its configuration is not one that this release understands")?;
    if let Some((key, theirs, ours)) = theirs.difference(config) {
        bail!("it was made with {key} = {theirs}, but the folder's config.toml has {ours}");
    }
    let data = hexadecimal(&dataset.sha256);
    if facts.dataset_sha256 != data {
        bail!(
            "it was made on dataset {}, but this is {}: give the same --data-dir, or none",
            &facts.dataset_sha256[..facts.dataset_sha256.len().min(12)],
            &data[..12]
        );
    }
    Ok(())
}

/// A name that no other run of this coordinator's workers has.
fn run_name(config: &Config) -> String {
    let time = jiff::Timestamp::now().as_millisecond();
    format!("{}-seed{}-{time}", config.task, config.seed)
}

/// Writes and shows every report. A disk that is full must not cost the run its result: the metrics end there, the run goes on.
fn record(folder: &mut RunFolder, progress: &mut Progress, reports: &Receiver<Observed>) {
    let mut recording = true;
    for observed in reports {
        progress.show(&observed);
        if recording && let Err(error) = folder.record(&observed) {
            tracing::warn!(%error, "metrics.jsonl cannot be written; the run goes on without");
            recording = false;
        }
    }
}

fn finish(
    config: &Config,
    served: &Served,
    folder: RunFolder,
    workers: usize,
    seconds: f64,
) -> Result<RunResult> {
    let outcome = &served.outcome;
    let model = Model {
        task: config.task,
        spec: config.network.clone(),
        network: outcome.network.clone(),
        weights: outcome.weights.clone(),
    };
    let result = RunResult {
        workers,
        seconds,
        bytes_sent: served.bytes_sent + served.bytes_received,
        bytes_to_workers: served.bytes_sent,
        bytes_from_workers: served.bytes_received,
        ..RunResult::new(config, outcome, folder.path())
    };
    folder.finish(&model, &result)?;
    Ok(result)
}

/// A worker's threads.
///
/// # Errors
/// If the system has no more of them.
pub fn compute_threads(count: usize) -> Result<Arc<dyn Executor>> {
    let failed = || format!("cannot start {count} threads; lower --threads");
    Ok(Arc::new(Threads::new(count).with_context(failed)?))
}

/// Runs coordinator and workers as tasks of this process, over loopback gRPC.
///
/// # Errors
/// As [`Coordinator::run`]; a worker's own error if it comes first.
pub async fn run_in_process(
    config: Config,
    dataset: Arc<Dataset>,
    threads: usize,
    options: CoordinatorOptions,
    listen: SocketAddr,
    interrupt: impl Future<Output = ()> + Send + 'static,
) -> Result<RunResult> {
    let count = options.rules.workers;
    let coordinator = Coordinator::prepare(config, &Outline::of(&dataset), options)?;
    let (listener, address) = Coordinator::listen(listen).await?;
    let mut workers = JoinSet::new();
    for index in 0..count {
        let options = WorkerOptions {
            coordinator: address.into(),
            name: format!("in-process-{index}"),
            threads,
            executor: compute_threads(threads)?,
            dial: Arc::new(Tcp),
            security: lagrange_worker::Security::default(),
            source: DataSource::Shared(Arc::clone(&dataset)),
            insist: None,
            connect_timeout: Duration::from_secs(10),
        };
        workers.spawn(lagrange_worker::run(options, std::future::pending()));
    }
    drop(dataset);
    let result = coordinator.run(listener, interrupt).await;
    if result.is_err() {
        workers.abort_all();
    }
    while workers.join_next().await.is_some() {}
    result
}
