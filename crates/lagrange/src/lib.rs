//! Convolutional networks trained without back-propagation, by ADMM, in this process or across processes and
//! machines.
//!
//! ```
//! use lagrange::{Cluster, Dataset, RunError, Sources};
//! use std::sync::Arc;
//!
//! let data = Arc::new(Dataset::load(None)?);
//! let config = Sources::default().preset("quick").set("train-limit=2000")?.resolve()?;
//! let run = Cluster::in_process(2).train_blocking(config, Arc::clone(&data))?;
//! let classes = run.model.predict(&data.test.images)?;
//! println!("{:?}: the first image is {:?}", run.result.test_accuracy, classes[0]);
//! # assert!(run.result.test_accuracy > Some(0.8) && classes.len() == 10_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`Config`] decides a run's result, to the bit, together with the data; [`Sources`] makes one of presets,
//! files and single keys. A [`Cluster`] decides where it is computed: by tasks of this process, by processes
//! of this machine, or by workers that come from elsewhere. A run ends with a [`RunResult`] and a [`Model`],
//! and leaves both in a run folder if it has one; an [`Observer`] hears of every step meanwhile.
//!
//! # Layout
//!
//! | module | what it holds |
//! |---|---|
//! | `config` | sources of a configuration, presets |
//! | `cluster` | coordinator and workers of a run, wherever they are |
//! | `run` | the coordinator's side of a run, from its configuration or checkpoint to its result |
//! | `model` | trained models: files, predictions, evaluation |
//! | `export` | models in the formats of other programs: ONNX, PyTorch, NumPy |
//! | `run_folder` | configuration, metrics, TensorBoard's events, checkpoints, model and result of a run |
//! | `observer` | what watches a run |
//! | `picture` | kernels as pictures |
//! | `replay` | steps of a run done again, and compared with what it recorded |
//! | `seeds` | lists of seeds as people write them |
//! | [`machine`] | what is needed of the system: BLAS, threads, files |
//!
//! The mathematics is `lagrange-core`, the protocol `lagrange-protocol`, the state machine
//! `lagrange-coordinator`, the computation `lagrange-worker`.

mod cluster;
mod config;
mod error;
mod export;
mod folder;
pub mod machine;
mod model;
mod observer;
mod picture;
mod replay;
mod run;
mod run_folder;
mod seeds;

pub use cluster::Cluster;
pub use config::{Preset, SourceError, Sources, is_meant_for_lagrange, presets};
pub use error::RunError;
pub use export::{ExportFormat, ExportedFile};
pub use folder::{FolderError, lock, make_folder, write_file};
pub use model::{ClassFigures, Confusion, Model, ModelError, Scorer};
pub use observer::Observer;
pub use picture::{Picture, kernel_pictures};
pub use replay::{Comparison, Difference, Replay, ReplayError, Replayed};
pub use run::{Run, RunDir, run_spec};
pub use run_folder::{
    BestFigures, CertificateFigures, NotRun, NotShards, RunResult, Unsaved, as_text, failure,
};
pub use seeds::{Seeds, SeedsError};

pub use lagrange_coordinator::{
    Best, Evaluation, FailedCheck, Observed, Rules, RunEvent, Security, ServeError, StepMetrics,
    Stop, TrainingError, WorkerId, WorkerStatus,
};
pub use lagrange_core::check::{Check, Entry};
pub use lagrange_core::loss::{Loss, LossFunction, RegisterLossError};
pub use lagrange_core::network::{
    Activation, Kernel, LayerSpec, Network, NetworkSpec, Padding, Pool, Shape,
};
pub use lagrange_core::solver::SolveError;
pub use lagrange_data::{
    ClassWeights, DataError, Dataset, DatasetSummary, HeldOut, Images, LabelledSet, Normalisation,
    Question, Split, Task, TaskError,
};
pub use lagrange_import::{LoadError, Source, Summarised, load, summarise, test_set};
pub use lagrange_protocol::{Config, DatasetFacts, RunSpec, SpecError};
pub use lagrange_worker::DataSource;
