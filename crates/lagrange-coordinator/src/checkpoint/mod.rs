//! Checkpoints: all that a run needs to go on with the same bits, in one file.
//!
//! A checkpoint is a safetensors file: named arrays of f32, and in the metadata the small facts as JSON and a SHA-256 over both. It is taken at the end of a
//! step, never within one.

mod facts;
mod file;
mod plan;
mod store;

pub use facts::Facts;
pub(crate) use facts::{GuardFacts, PointFacts, RoundFacts, StageFacts};
pub use store::{CheckpointStore, Found};

use std::collections::BTreeMap;
use std::path::PathBuf;

/// A run between two steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Everything small.
    pub facts: Facts,
    /// Everything large, by name.
    pub(crate) tensors: BTreeMap<String, Vec<f32>>,
}

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file system.
    #[error("{path}: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Not a checkpoint, a torn one or a damaged one.
    #[error("not a sound checkpoint: {0}")]
    Damaged(String),
    /// One of another version.
    #[error(
        "a checkpoint of format `{theirs}` where `{ours}` is understood: resume with the release that wrote it"
    )]
    Format {
        /// Its format.
        theirs: String,
        /// This build's.
        ours: &'static str,
    },
    /// One of a run that has gone further than it is to go.
    #[error(
        "it has {step} steps behind it where the whole run is to have {total}: give more --epochs"
    )]
    TooFar {
        /// Its steps.
        step: u64,
        /// The run's.
        total: u64,
    },
}
