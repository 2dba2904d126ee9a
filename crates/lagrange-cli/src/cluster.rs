//! A run from configuration to result: the coordinator here, the workers wherever they are.

use crate::config::Config;
use crate::model::Model;
use crate::output::tell;
use crate::progress::Progress;
use crate::run_folder::{Kept, RunFolder, RunResult};
use crate::{evaluate, machine};
use anyhow::{Context as _, Result, bail};
use lagrange_coordinator::{
    Identity, Observed, Plan, Rules, Security, ServeError, ServeOptions, Served, Snapshot, Stop,
    Training, connections_of, hexadecimal, serve,
};
use lagrange_data::{Dataset, Normalisation, Outline, Partition, Split};
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
    /// Where the data lies, for an evaluation when no worker is left; `None` for the embedded MNIST.
    pub data_dir: Option<PathBuf>,
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
        let run = config.plan(dataset)?;
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

    /// Takes up the run of a folder where its last sound checkpoint left it, or from the beginning if there is none; with
    /// `epochs`, as a run of so many.
    ///
    /// # Errors
    /// If the folder's run is complete, under way, or not one of this dataset.
    pub fn resume(
        path: &Path,
        epochs: Option<f64>,
        dataset: &Outline,
        options: CoordinatorOptions,
    ) -> Result<Self> {
        let (mut folder, config) = RunFolder::reopen(path, epochs)?;
        let checkpoints = folder.checkpoints();
        checkpoints.tidy();
        let found = checkpoints.newest()?;
        for (path, error) in &found.damaged {
            tell(format_args!("warning: {}: {error}", path.display()));
        }
        let Some((path, snapshot)) = found.snapshot else {
            tell("warning: no sound checkpoint is left: starting at step 0");
            let mut coordinator = Self::prepare(config, dataset, options)?;
            folder.rewrite_config(&coordinator.config)?;
            folder.keep_metrics(None)?;
            coordinator.folder = Some(folder);
            return Ok(coordinator);
        };
        if !found.damaged.is_empty() {
            tell(format_args!("warning: going back to {}", path.display()));
        }
        check_identity(&snapshot, &config, dataset)
            .with_context(|| format!("{}: cannot be resumed", path.display()))?;
        let run = config.plan(dataset)?;
        let partition = partition(&run.spec, dataset)?;
        let training = Training::resume(&snapshot, run, partition, options.rules)
            .with_context(|| path.display().to_string())?;
        if training.steps().1 != snapshot.facts.total_steps {
            tell_of_new_length(&snapshot, &training, config.schedule.epochs);
        }
        folder.rewrite_config(&config)?;
        folder.keep_metrics(Some(&Kept {
            step: snapshot.facts.step,
            due: training.due(),
        }))?;
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

    /// Serves the run until it ends, and writes its folder. `stop` asks for an early end.
    ///
    /// # Errors
    /// If the run fails, or its folder cannot be written: then [`crate::run_folder::Unsaved`] has the result.
    pub async fn run(
        mut self,
        listener: TcpListener,
        stop: impl Future<Output = Stop> + Send + 'static,
    ) -> Result<RunResult> {
        let mut folder = match self.folder.take() {
            Some(folder) => folder,
            None => RunFolder::create(self.options.run_dir.as_deref(), &self.config)?,
        };
        if let Err(error) = folder.reserve(model_bytes(&self.training)) {
            folder.discard_if_empty();
            return Err(error);
        }
        let checkpoints = folder.checkpoints();
        let (observer, reports) = channel();
        let progress = Progress::new(self.training.steps(), self.options.quiet);
        let recorder = recorder(folder, progress, reports)?;
        let options = ServeOptions {
            dataset_sha256: self.dataset_sha256,
            checkpoints: Some(checkpoints),
            security: self.options.security.clone(),
            observer,
            own_threads: true,
        };
        let normalisation = self.training.spec().normalisation;
        let begin = Instant::now();
        let incoming = connections_of(listener);
        let ended = serve(incoming, self.training, options, stop).await;
        let seconds = begin.elapsed().as_secs_f64();
        let folder = recorder.await?;
        let (served, audience) = match ended {
            Ok(ended) => ended,
            Err(source) if folder.is_empty() => {
                folder.discard_if_empty();
                return Err(source.into());
            }
            Err(source) => {
                let folder = folder.path().to_owned();
                return Err(Unfinished { source, folder }.into());
            }
        };
        let model = model(&self.config, normalisation, &served);
        let result = finish(
            &self.config,
            &self.options,
            &served,
            &model,
            folder,
            seconds,
        );
        let message = match &result {
            Ok(_) => "the run is complete",
            Err(_) => "the run is over, but cannot be saved",
        };
        if let Err(error) = audience.dismiss(message).await {
            tracing::warn!(%error, "the run is over, but workers could not be told");
        }
        result
    }
}

/// A run that failed after its first step.
#[derive(Debug, thiserror::Error)]
#[error("{source}; to go on with the run: --resume {}", folder.display())]
struct Unfinished {
    source: ServeError,
    folder: PathBuf,
}

/// Bytes that the model's file will take, and some more.
fn model_bytes(training: &Training) -> u64 {
    const HEADER: u64 = 8 << 10;
    4 * training.network().weights() as u64 + HEADER
}

/// Says what becomes of the schedule of a run that is made longer or shorter.
fn tell_of_new_length(snapshot: &Snapshot, training: &Training, epochs: f64) {
    let (step, total) = training.steps();
    let left = |total: u64| 1.0 - step as f64 / total as f64;
    tell(format_args!(
        "going on to {epochs} epochs, {total} steps: step lengths, which fall to 0 over the whole run, are at {:.2} of \
         their first value at step {step}, where the run of {} steps had {:.2}",
        left(total),
        snapshot.facts.total_steps,
        left(snapshot.facts.total_steps).max(0.0),
    ));
}

/// A thread that writes and shows every report, until there are no more; gives the folder back.
fn recorder(
    mut folder: RunFolder,
    mut progress: Progress,
    reports: Receiver<Observed>,
) -> Result<impl Future<Output = Result<RunFolder>>> {
    let (done, ended) = tokio::sync::oneshot::channel();
    machine::start_thread("recorder", move || {
        record(&mut folder, &mut progress, &reports);
        progress.finish();
        let _ = done.send(folder);
    })?;
    Ok(async {
        ended
            .await
            .context("the recorder's thread died; please report this")
    })
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
    // A run may be made longer, or shorter.
    let mut ours = config.clone();
    ours.schedule.epochs = theirs.schedule.epochs;
    if let Some((key, theirs, ours)) = theirs.difference(&ours) {
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
        // Written first: whoever reads the terminal may be slow.
        if recording && let Err(error) = folder.record(&observed) {
            tracing::warn!(%error, "metrics.jsonl cannot be written; the run goes on without");
            recording = false;
        }
        progress.show(&observed);
    }
}

fn model(config: &Config, normalisation: Normalisation, served: &Served) -> Model {
    Model {
        task: config.task,
        spec: config.network.clone(),
        network: served.outcome.network.clone(),
        weights: served.outcome.weights.clone(),
        normalisation,
    }
}

fn finish(
    config: &Config,
    options: &CoordinatorOptions,
    served: &Served,
    model: &Model,
    folder: RunFolder,
    seconds: f64,
) -> Result<RunResult> {
    let outcome = &served.outcome;
    let mut result = RunResult {
        workers: options.rules.workers,
        seconds,
        bytes_sent: served.bytes_sent + served.bytes_received,
        bytes_to_workers: served.bytes_sent,
        bytes_from_workers: served.bytes_received,
        ..RunResult::new(config, outcome, folder.path())
    };
    if result.test_accuracy.is_none()
        && let Err(error) = evaluate_here(&mut result, model, config.validation, options)
    {
        result.not_evaluated = Some(format!("{error:#}"));
    }
    folder.finish(model, result)
}

/// Evaluates a run that was interrupted when no worker was left to do it.
fn evaluate_here(
    result: &mut RunResult,
    model: &Model,
    validation: usize,
    options: &CoordinatorOptions,
) -> Result<()> {
    let dataset = Dataset::load(options.data_dir.as_deref())?;
    let accuracy = |split| evaluate::accuracy(model, &dataset, split, validation);
    result.validation_accuracy = accuracy(Split::Validation);
    result.test_accuracy = accuracy(Split::Test);
    Ok(())
}

/// A worker's threads.
///
/// # Errors
/// If the system has no more of them.
pub fn compute_threads(count: usize) -> Result<Arc<dyn Executor>> {
    let failed = || {
        format!(
            "cannot start {count} threads; lower --threads, or raise the limit on processes (`ulimit -u`, or the \
             container's pids limit)"
        )
    };
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
    stop: impl Future<Output = Stop> + Send + 'static,
) -> Result<RunResult> {
    let count = options.rules.workers;
    let coordinator = Coordinator::prepare(config, &Outline::of(&dataset)?, options)?;
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
    let result = coordinator.run(listener, stop).await;
    if result.is_err() {
        workers.abort_all();
    }
    while workers.join_next().await.is_some() {}
    result
}
