//! The coordinator's side of a run: from its configuration, or the checkpoint of a folder, to its result.

use crate::folder::FolderError;
use crate::model::Model;
use crate::observer::{Observers, Seen};
use crate::run_folder::{Kept, RunFolder, RunResult, ShardsHead};
use crate::{
    Config, DataSource, DatasetFacts, DatasetSummary, RunError, RunSpec, Split, Stop, Task,
};
use lagrange_coordinator::{
    CheckpointError, Identity, Plan, Rules, Security, ServeOptions, Served, Snapshot, Training,
    hexadecimal, serve,
};
use lagrange_core::weights::Weights;
use lagrange_import::summarise;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_stream::Stream;

/// What a run came to: see the example of [`crate::Cluster`].
#[derive(Debug)]
pub struct Run {
    /// Its figures.
    pub result: RunResult,
    /// The trained model: the last one, whether the run was interrupted or not.
    pub model: Model,
}

/// Where a run's configuration, metrics, checkpoints, model and result are written.
///
/// ```
/// use lagrange::{Cluster, RunDir};
///
/// let cluster = Cluster::in_process(2).run_dir(RunDir::At("runs/mine".into()));
/// # drop(cluster);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RunDir {
    /// Nowhere.
    #[default]
    None,
    /// In `runs/TASK-seedN-TIME`.
    Named,
    /// In this folder.
    At(PathBuf),
}

/// What a run needs beside its configuration.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    pub(crate) rules: Rules,
    pub(crate) security: Security,
    pub(crate) observers: Observers,
}

/// A run that is ready to be served.
#[derive(Debug)]
pub(crate) struct Prepared {
    config: Config,
    training: Training,
    dataset_sha256: [u8; 32],
    data: DataSource,
    folder: Folder,
    surroundings: Surroundings,
}

/// The folder of a run, made when the run begins.
#[derive(Debug)]
enum Folder {
    New(RunDir),
    Opened(Box<RunFolder>),
}

impl Prepared {
    /// The run of `config` on `data`.
    pub(crate) fn new(
        config: Config,
        data: DataSource,
        run_dir: RunDir,
        surroundings: Surroundings,
    ) -> Result<Self, RunError> {
        let mut surroundings = surroundings;
        let summary = summary_of(&data, &mut surroundings.observers)?;
        let training = new_training(&config, &summary, surroundings.rules)?;
        warn_of_classes(&mut surroundings.observers, training.spec(), &summary);
        Ok(Self {
            training,
            config,
            dataset_sha256: summary.sha256,
            data,
            folder: Folder::New(run_dir),
            surroundings,
        })
    }

    /// Takes up the run of the folder at `path` where its last sound checkpoint left it, or from the
    /// beginning if there is none; with `epochs`, as a run of so many.
    pub(crate) fn resume(
        path: &Path,
        epochs: Option<f64>,
        data: DataSource,
        mut surroundings: Surroundings,
    ) -> Result<Self, RunError> {
        let summary = summary_of(&data, &mut surroundings.observers)?;
        let (mut folder, config) = RunFolder::reopen(path, epochs)?;
        let checkpoints = folder.checkpoints();
        checkpoints.tidy();
        let found = checkpoints.newest();
        let found = found.map_err(unusable(&path.join("checkpoints")))?;
        let observers = &mut surroundings.observers;
        for (path, error) in &found.damaged {
            observers.notice(&format!("warning: {}: {error}", path.display()));
        }
        let (training, kept) = match found.snapshot {
            None => {
                observers.notice("warning: no sound checkpoint is left: starting at step 0");
                (new_training(&config, &summary, surroundings.rules)?, None)
            }
            Some((path, snapshot)) => {
                if !found.damaged.is_empty() {
                    observers.notice(&format!("warning: going back to {}", path.display()));
                }
                let data = hexadecimal(&summary.sha256);
                let training =
                    Training::resume(&snapshot, config.clone(), &data, surroundings.rules)
                        .map_err(unusable(&path))?;
                tell_of_new_length(observers, &snapshot, &training, config.schedule.epochs);
                let (step, due) = (snapshot.facts.steps().0, training.due());
                (training, Some(Kept { step, due }))
            }
        };
        folder.rewrite_config(&config)?;
        folder.keep_shards(kept.as_ref())?;
        folder.keep_metrics(kept)?;
        Ok(Self {
            config,
            training,
            dataset_sha256: summary.sha256,
            data,
            folder: Folder::Opened(Box::new(folder)),
            surroundings,
        })
    }

    /// Workers that the run begins with.
    pub(crate) fn workers(&self) -> usize {
        self.surroundings.rules.workers
    }

    /// Tells observers where workers are waited for.
    pub(crate) fn listening(&mut self, address: SocketAddr) {
        let rules = &self.surroundings.rules;
        let workers = rules.workers.max(rules.minimum);
        self.surroundings.observers.listening(address, workers);
    }

    /// Serves the run to workers on `incoming` connections until it ends, and writes its folder. `stop` asks
    /// for an early end.
    pub(crate) async fn serve<I>(
        self,
        incoming: impl Stream<Item = io::Result<(I, SocketAddr)>> + Send + 'static,
        stop: impl Future<Output = Stop> + Send + 'static,
    ) -> Result<Run, RunError>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self {
            config,
            training,
            dataset_sha256,
            data,
            folder,
            surroundings,
        } = self;
        let folder = open(folder, &config, &training)?;
        let mut observers = surroundings.observers;
        let network = training.network();
        let head = ShardsHead {
            dataset_sha256,
            shards: training.spec().shards() as u32,
            kernels: lagrange_core::blas::core_name(),
        };
        let journal = folder
            .as_ref()
            .map(|folder| folder.journal(head, network.clone()));
        let journal = journal.transpose()?;
        let held_out = training.spec().held_out();
        let mut model = Model {
            question: training.spec().question(),
            spec: config.network.clone(),
            network: training.network().clone(),
            weights: Weights::zeros(training.network()),
            normalisation: training.spec().dataset().normalisation.clone(),
        };
        if let Some(folder) = &folder {
            let mut best = folder.best(model.clone());
            // A run that was killed may have had no time to write it.
            training.best_here().iter().for_each(|here| best.keep(here));
            observers.0.insert(0, Box::new(best));
        }
        observers.prepared(&config, &model);
        let (observer, watched) = observers.watch(training.steps())?;
        let options = ServeOptions {
            dataset_sha256,
            checkpoints: folder.as_ref().map(RunFolder::checkpoints),
            journal,
            security: surroundings.security,
            observer,
            own_threads: true,
        };
        let begin = Instant::now();
        let ended = serve(incoming, training, options, stop).await;
        let seconds = begin.elapsed().as_secs_f64();
        // Their thread catches what they do; if it is gone all the same, the run's folder is kept.
        let seen = watched.await.unwrap_or(Seen { step: true });
        let ((served, finished), folder) = match (ended, folder) {
            (Ok(ended), folder) => (ended, folder),
            (Err(source), Some(folder)) if seen.step || !folder.is_new() => {
                let folder = folder.path().to_owned();
                return Err(RunError::Unfinished { source, folder });
            }
            (Err(source), folder) => {
                if let Some(folder) = folder {
                    folder.discard();
                }
                return Err(source.into());
            }
        };
        let mut result = result(&config, surroundings.rules.workers, &served, seconds);
        result.dataset_sha256 = hexadecimal(&dataset_sha256);
        model.weights = served.outcome.weights;
        evaluate_here(&mut result, &model, held_out, &data);
        let saved = match folder {
            None => Ok(result),
            Some(folder) => folder.finish(&model, result),
        };
        if let Err(error) = finished.dismiss(farewell(saved.is_ok())).await {
            tracing::warn!(%error, "the run is over, but workers could not be told");
        }
        saved.map(|result| Run { result, model })
    }
}

/// What workers are told at the end.
fn farewell(is_saved: bool) -> &'static str {
    match is_saved {
        true => "the run is complete",
        false => "the run is over, but cannot be saved",
    }
}

/// Everything of `data` but its pixels; observers are told what was found where there was a choice.
fn summary_of(data: &DataSource, observers: &mut Observers) -> Result<DatasetSummary, RunError> {
    match data {
        DataSource::Files(source) => {
            let summarised = summarise(source.as_ref())?;
            if source.is_some() {
                observers.data(&summarised.found);
            }
            Ok(summarised.dataset)
        }
        DataSource::Shared(dataset) => Ok(DatasetSummary::of(dataset)?),
    }
}

/// Says which classes are not among the images held out: settings chosen on these know nothing of them.
fn warn_of_classes(observers: &mut Observers, spec: &RunSpec, summary: &DatasetSummary) {
    let held_out = spec.held_out();
    let (_, tail) = summary.train.split_at(summary.train.len() - held_out);
    let mut seen = vec![false; summary.classes.len()];
    tail.iter()
        .for_each(|&label| seen[usize::from(label)] = true);
    let missing = seen
        .iter()
        .zip(&summary.classes)
        .filter(|(seen, _)| !**seen);
    let missing: Vec<&str> = missing.map(|(_, name)| name.as_str()).collect();
    if held_out > 0 && !missing.is_empty() {
        observers.notice(&format!(
            "warning: the last {held_out} training images, which are held out, have none of class {}: hold out more, \
             or spread the classes by `lagrange data import`",
            missing.join(", ")
        ));
    }
}

/// The run of `config` on the data of `summary`.
///
/// # Errors
/// [`RunError::Spec`] if there is none, naming the key.
pub fn run_spec(config: Config, summary: &DatasetSummary) -> Result<RunSpec, RunError> {
    Ok(RunSpec::new(config, DatasetFacts::of(summary))?)
}

fn new_training(
    config: &Config,
    summary: &DatasetSummary,
    rules: Rules,
) -> Result<Training, RunError> {
    let identity = Identity {
        run: run_name(config.task, config.seed),
        dataset_sha256: hexadecimal(&summary.sha256),
    };
    let plan = Plan::new(run_spec(config.clone(), summary)?);
    Ok(Training::new(identity, plan, rules))
}

/// A name that no other run of this coordinator's workers has.
fn run_name(task: Task, seed: u64) -> String {
    let time = jiff::Timestamp::now().as_millisecond();
    format!("{task}-seed{seed}-{time}")
}

fn unusable(path: &Path) -> impl FnOnce(CheckpointError) -> RunError {
    let path = path.to_owned();
    |source| RunError::Checkpoint { path, source }
}

/// Says what becomes of the schedule of a run that is made longer or shorter.
fn tell_of_new_length(
    observers: &mut Observers,
    snapshot: &Snapshot,
    training: &Training,
    epochs: f64,
) {
    let ((step, total), (_, before)) = (training.steps(), snapshot.facts.steps());
    if total == before {
        return;
    }
    let left = |total: u64| 1.0 - step as f64 / total as f64;
    observers.notice(&format!(
        "going on to {epochs} epochs, {total} steps: step lengths, which fall to 0 over the whole run, are at {:.2} of \
         their first value at step {step}, where the run of {before} steps had {:.2}",
        left(total),
        left(before).max(0.0),
    ));
}

/// The run's folder, with room for what its end will write.
fn open(
    folder: Folder,
    config: &Config,
    training: &Training,
) -> Result<Option<RunFolder>, FolderError> {
    const HEADER: u64 = 8 << 10;
    let mut folder = match folder {
        Folder::New(RunDir::None) => return Ok(None),
        Folder::New(RunDir::Named) => RunFolder::create(None, config)?,
        Folder::New(RunDir::At(path)) => RunFolder::create(Some(&path), config)?,
        Folder::Opened(folder) => *folder,
    };
    match folder.reserve(4 * training.network().weights() as u64 + HEADER) {
        Ok(()) => Ok(Some(folder)),
        Err(error) => {
            folder.discard();
            Err(error)
        }
    }
}

fn result(config: &Config, workers: usize, served: &Served, seconds: f64) -> RunResult {
    RunResult {
        workers,
        seconds,
        bytes_sent: served.bytes_sent + served.bytes_received,
        bytes_to_workers: served.bytes_sent,
        bytes_from_workers: served.bytes_received,
        ..RunResult::new(config, &served.outcome)
    }
}

/// Evaluates a run that was interrupted when no worker was left to do it.
fn evaluate_here(result: &mut RunResult, model: &Model, held_out: usize, data: &DataSource) {
    if result.test_accuracy.is_some() {
        return;
    }
    if let Err(error) = try_evaluate(result, model, held_out, data) {
        result.not_evaluated = Some(error.to_string());
    }
}

fn try_evaluate(
    result: &mut RunResult,
    model: &Model,
    held_out: usize,
    data: &DataSource,
) -> Result<(), RunError> {
    let dataset = data.load()?.0.into_dataset()?;
    let accuracy = |split| {
        model
            .evaluate(&dataset, split, held_out)
            .map(|c| c.accuracy())
    };
    result.validation_accuracy = accuracy(Split::Validation)?;
    result.test_accuracy = accuracy(Split::Test)?;
    Ok(())
}
