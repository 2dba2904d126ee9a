//! Steps of a run done again, and compared bit for bit with what the run recorded of each shard.
//!
//! A run's folder holds a checksum of what each shard answered in every step. A replay computes the run anew
//! in this process, from its newest checkpoint before the step in question or from its beginning, and
//! compares the checksums of every step on its way. The first that differs tells of a machine that computed
//! wrongly, here or there, or with other kernels.

mod lone;

use self::lone::LoneWorker;
use crate::folder::FolderError;
use crate::machine::{DATA_BYTES, MachineError, Needs};
use crate::run_folder::{NotShards, ShardRecords, ShardsFile, ShardsStep};
use crate::{Config, DataSource, LoadError, RunError};
use lagrange_coordinator::{
    CheckpointError, CheckpointStore, Identity, Plan, Rules, Snapshot, Training, TrainingError,
    hexadecimal,
};
use lagrange_import::summarise;
use lagrange_protocol::{DatasetFacts, RunSpec};
use lagrange_worker::{Compute, ComputeError, ShardStore, StoreError, Threads};
use std::io;
use std::path::{Path, PathBuf};

/// A step of a run to do again.
///
/// ```no_run
/// use lagrange::{DataSource, Replay};
///
/// let replay = Replay { step: 100, shard: Some(3), threads: 2 };
/// let replayed = replay.run("runs/mine".as_ref(), &DataSource::Files(None))?;
/// assert!(replayed.agrees());
/// # Ok::<(), lagrange::ReplayError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replay {
    /// The step, from 1: steps completed with it.
    pub step: u64,
    /// The shard to compare, from 0; all if `None`.
    pub shard: Option<u32>,
    /// Threads to compute on.
    pub threads: usize,
}

/// Checksums of one shard's work in the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Comparison {
    /// The shard.
    pub shard: u32,
    /// What the run recorded.
    pub recorded: u32,
    /// What came out now.
    pub computed: u32,
}

/// A place where run and replay differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// The step.
    pub step: u64,
    /// The first shard that differs in it.
    pub shard: u32,
    /// How many do.
    pub shards: u32,
}

/// What a replay came to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Replayed {
    /// The step.
    pub step: u64,
    /// The step that the replay went on from: that of a checkpoint, or 0.
    pub from_step: u64,
    /// The shards asked for.
    pub shards: Vec<Comparison>,
    /// The first difference of all steps replayed, in whichever shard.
    pub first_difference: Option<Difference>,
    /// OpenBLAS kernels of this process.
    pub kernels: String,
    /// OpenBLAS kernels of the run; several names where it went on with others.
    pub recorded_kernels: String,
}

impl Replayed {
    /// Whether the shards asked for came out as recorded.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.shards
            .iter()
            .all(|shard| shard.recorded == shard.computed)
    }

    /// Whether run and replay computed with the same kernels, which the same bits can be expected of.
    #[must_use]
    pub fn has_same_kernels(&self) -> bool {
        self.kernels == self.recorded_kernels
    }
}

/// Why a step cannot be done again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// No run is there.
    #[error("{}: there is no run in it: {cause}", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// What the system said of its `config.toml`.
        cause: io::Error,
    },
    /// Its configuration cannot be read.
    #[error("{0}")]
    Folder(#[from] FolderError),
    /// The run has recorded nothing.
    #[error(
        "{}: cannot be read: {cause}; a run has a record if it was trained with this release or a later one",
        path.display()
    )]
    NoRecord {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The record is damaged.
    #[error("{}: {fault}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: NotShards,
    },
    /// The record of this step is damaged.
    #[error("{}: the record of a step is damaged, and step {step} has none that is sound", path.display())]
    DamagedStep {
        /// The file.
        path: PathBuf,
        /// The step.
        step: u64,
    },
    /// A step that the run has not.
    #[error("--step {step}: the run has records of steps {first} to {last}")]
    NoStep {
        /// The step.
        step: u64,
        /// The first step recorded.
        first: u64,
        /// The last step recorded.
        last: u64,
    },
    /// A run that has completed no step.
    #[error("--step {step}: the run has completed no step")]
    Empty {
        /// The step.
        step: u64,
    },
    /// A step without a record among others.
    #[error(
        "--step {step}: the run has no record of it: training diverged there and was taken back, or the coordinator was \
         killed before it was written"
    )]
    Unrecorded {
        /// The step.
        step: u64,
    },
    /// A shard that the run has not.
    #[error("--shard {shard}: the run has shards 0 to {last}")]
    NoShard {
        /// The shard.
        shard: u32,
        /// The last one.
        last: u32,
    },
    /// Other data than the run's.
    #[error(
        "the run was trained on dataset {theirs}, but this is {ours}: give the same --data, or none"
    )]
    OtherData {
        /// The run's dataset, abbreviated.
        theirs: String,
        /// The dataset given, abbreviated.
        ours: String,
    },
    /// Its checkpoint cannot be used.
    #[error("{}: {source}", path.display())]
    Checkpoint {
        /// The checkpoint, or the folder of all.
        path: PathBuf,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// The step was not reached.
    #[error("the replay ended before step {step}: {reason}")]
    Ended {
        /// The step.
        step: u64,
        /// Why.
        reason: String,
    },
    /// The run cannot be made of its configuration and data.
    #[error("{0}")]
    Run(#[from] RunError),
    /// Training itself.
    #[error("{0}")]
    Training(#[from] TrainingError),
    /// Work that cannot be done.
    #[error("{0}")]
    Compute(#[from] ComputeError),
    /// The data cannot be had.
    #[error("{0}")]
    Data(#[from] LoadError),
    /// The shards cannot be cut.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The system does not give what it needs.
    #[error("{0}")]
    Machine(#[from] MachineError),
}

/// A run as its folder has it.
struct Recorded {
    folder: PathBuf,
    config: Config,
    records: ShardRecords,
    /// Where the record lies.
    path: PathBuf,
}

impl Replay {
    /// Does the step again, of the run in `folder` on `data`, and compares it.
    ///
    /// # Errors
    /// [`ReplayError`]. That something differs is none.
    pub fn run(&self, folder: &Path, data: &DataSource) -> Result<Replayed, ReplayError> {
        let recorded = Recorded::read(folder)?;
        let wanted = recorded.step(self.step)?.clone();
        let shards = recorded.records.head.shards;
        if let Some(shard) = self.shard.filter(|&shard| shard >= shards) {
            let last = shards.saturating_sub(1);
            return Err(ReplayError::NoShard { shard, last });
        }
        let needs = Needs {
            threads: self.threads,
            bytes: 2 * DATA_BYTES,
            ..Needs::default()
        };
        needs.ensure()?;
        let threads =
            Threads::new(self.threads).map_err(|_| MachineError::ComputeThreads(self.threads))?;
        let (from_step, steps) = threads.install(|| recorded.recompute(self, data))?;
        let compared = |shard: u32| Comparison {
            shard,
            recorded: wanted.checksums[shard as usize],
            computed: steps
                .last()
                .map_or(0, |step| step.checksums[shard as usize]),
        };
        Ok(Replayed {
            step: self.step,
            from_step,
            shards: match self.shard {
                Some(shard) => vec![compared(shard)],
                None => (0..shards).map(compared).collect(),
            },
            first_difference: recorded.first_difference(&steps),
            kernels: lagrange_core::blas::core_name(),
            recorded_kernels: recorded.records.head.kernels,
        })
    }
}

impl Recorded {
    fn read(folder: &Path) -> Result<Self, ReplayError> {
        let config_path = folder.join("config.toml");
        let text = std::fs::read_to_string(&config_path).map_err(|cause| ReplayError::NoRun {
            path: folder.to_owned(),
            cause,
        })?;
        let config = toml::from_str(&text).map_err(|fault| FolderError::Configuration {
            path: config_path,
            fault: fault.to_string(),
        })?;
        let path = ShardsFile::of(folder).path().to_owned();
        let bytes = std::fs::read(&path).map_err(|cause| ReplayError::NoRecord {
            path: path.clone(),
            cause,
        })?;
        let records = ShardRecords::from_bytes(&bytes).map_err(|fault| ReplayError::Record {
            path: path.clone(),
            fault,
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            config,
            records,
            path,
        })
    }

    fn find(&self, step: u64) -> Option<&ShardsStep> {
        self.records.steps.iter().find(|record| record.step == step)
    }

    /// The record of `step`.
    fn step(&self, step: u64) -> Result<&ShardsStep, ReplayError> {
        if let Some(found) = self.find(step) {
            return Ok(found);
        }
        let steps = &self.records.steps;
        let (Some(first), Some(last)) = (steps.first(), steps.last()) else {
            return Err(ReplayError::Empty { step });
        };
        let (first, last) = (first.step, last.step);
        Err(match self.records.damaged {
            Some(_) if step > 0 => ReplayError::DamagedStep {
                path: self.path.clone(),
                step,
            },
            _ if (first..=last).contains(&step) => ReplayError::Unrecorded { step },
            _ => ReplayError::NoStep { step, first, last },
        })
    }

    /// Steps that the whole run was to have when `step` was completed, or as the nearest later record has it.
    fn total_at(&self, step: u64) -> Option<u64> {
        let later = self.records.steps.iter().find(|record| record.step >= step);
        Some(later?.total)
    }

    /// Computes the steps up to that of `replay`; the step that the first one goes on from, and the steps.
    fn recompute(
        &self,
        replay: &Replay,
        data: &DataSource,
    ) -> Result<(u64, Vec<ShardsStep>), ReplayError> {
        let summary = match data {
            DataSource::Files(source) => summarise(source.as_ref())?.dataset,
            DataSource::Shared(dataset) => {
                lagrange_data::DatasetSummary::of(dataset).map_err(LoadError::from)?
            }
        };
        let theirs = self.records.head.dataset_sha256;
        if theirs != summary.sha256 {
            let short = |hash: &[u8; 32]| hexadecimal(hash).chars().take(12).collect();
            return Err(ReplayError::OtherData {
                theirs: short(&theirs),
                ours: short(&summary.sha256),
            });
        }
        let spec = RunSpec::new(self.config.clone(), DatasetFacts::of(&summary));
        let spec = spec.map_err(RunError::from)?;
        let mut snapshot = self.checkpoint(replay.step - 1)?;
        let from_step = snapshot
            .as_ref()
            .map_or(0, |snapshot| snapshot.facts.steps().0);
        let dataset = hexadecimal(&summary.sha256);
        let mut steps = Vec::new();
        let mut compute: Option<Compute> = None;
        // A run that was made longer or shorter has steps of other lengths from there on.
        loop {
            let done = snapshot
                .as_ref()
                .map_or(0, |snapshot| snapshot.facts.steps().0);
            let segment = self.segment(done, replay.step, &spec);
            let training = self.training(snapshot.as_deref(), &segment, &spec, &dataset)?;
            let now = match compute.take() {
                Some(compute) => compute,
                None => self.compute(training.spec(), data)?,
            };
            let mut worker = LoneWorker::new(training, now, replay.threads);
            steps.extend(worker.run(segment.end)?);
            if segment.end == replay.step {
                return Ok((from_step, steps));
            }
            snapshot = worker.snapshot();
            compute = Some(worker.compute());
        }
    }

    fn compute(&self, spec: &RunSpec, data: &DataSource) -> Result<Compute, ReplayError> {
        let (opened, sha256) = data.load()?;
        let store = ShardStore::new(data.clone(), opened, sha256, spec)?;
        Ok(Compute::new(spec.clone(), spec.network(), store))
    }

    /// The newest checkpoint of `step` or an earlier one, if there is a sound one.
    fn checkpoint(&self, step: u64) -> Result<Option<Box<Snapshot>>, ReplayError> {
        let path = self.folder.join("checkpoints");
        let found = CheckpointStore::new(path.clone()).newest_until(step);
        let found = found.map_err(|source| ReplayError::Checkpoint { path, source })?;
        Ok(found.snapshot.map(|(_, snapshot)| Box::new(snapshot)))
    }

    /// Steps behind `done` that belong to a run of one length, up to `last`.
    fn segment(&self, done: u64, last: u64, spec: &RunSpec) -> Segment {
        let total = self.total_at(done + 1).unwrap_or(spec.total_steps());
        let later = self
            .records
            .steps
            .iter()
            .filter(|record| record.step > done);
        let other = later
            .filter(|record| record.step <= last)
            .find(|record| record.total != total);
        Segment {
            total,
            begin: done,
            end: other.map_or(last, |record| record.step - 1),
        }
    }

    fn training(
        &self,
        snapshot: Option<&Snapshot>,
        segment: &Segment,
        spec: &RunSpec,
        dataset: &str,
    ) -> Result<Training, ReplayError> {
        let mut config = self.config.clone();
        config.schedule.epochs = segment.total as f64 / spec.steps_per_epoch() as f64;
        let rules = Rules {
            workers: 1,
            minimum: 1,
            checkpoint_interval: None,
            // One at the end of the segment, to go on from.
            checkpoint_steps: segment.end - segment.begin,
            ..Rules::default()
        };
        if let Some(snapshot) = snapshot {
            let resumed = Training::resume(snapshot, config, dataset, rules);
            return resumed.map_err(|source| ReplayError::Checkpoint {
                path: self.folder.join("checkpoints"),
                source,
            });
        }
        let identity = Identity {
            run: "replay".to_owned(),
            dataset_sha256: dataset.to_owned(),
        };
        let spec = RunSpec::new(config, spec.dataset().clone()).map_err(RunError::from)?;
        Ok(Training::new(identity, Plan::new(spec), rules))
    }

    /// The first of `steps` that is not as recorded.
    fn first_difference(&self, steps: &[ShardsStep]) -> Option<Difference> {
        steps.iter().find_map(|ours| {
            let theirs = self.find(ours.step)?;
            let pairs = ours.checksums.iter().zip(&theirs.checksums).zip(0..);
            let mut differ = pairs.filter(|((ours, theirs), _)| ours != theirs);
            let (_, shard) = differ.next()?;
            Some(Difference {
                step: ours.step,
                shard,
                shards: 1 + differ.count() as u32,
            })
        })
    }
}

/// Steps of a run while it had one length.
struct Segment {
    /// Steps of the whole run.
    total: u64,
    begin: u64,
    end: u64,
}
