//! Checkpoints: all that a run needs to go on with the same bits, in one file.
//!
//! A checkpoint is a safetensors file: named arrays of f32, and in the metadata the small facts as JSON and
//! a SHA-256 over both. It is taken at the end of a step, never within one.

mod arrays;
mod file;
mod meta;
mod store;

pub(crate) use arrays::Arrays;
pub use meta::CheckpointMeta;
pub use store::{CheckpointStore, Found};

use std::path::PathBuf;

/// A run between two steps.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(test, derive(Default))]
pub struct Snapshot {
    /// Everything small.
    pub facts: CheckpointMeta,
    /// Everything large, by name.
    pub(crate) arrays: Arrays,
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
    /// One of a run of another configuration.
    #[error("it was made with {key} = {theirs}, but the run is to go on with {ours}")]
    OtherConfig {
        /// The first key that differs.
        key: String,
        /// Its value in the checkpoint.
        theirs: String,
        /// Its value in the configuration to go on with.
        ours: String,
    },
    /// One of a run on other data.
    #[error("it was made on dataset {theirs}, but this is {ours}: give the same --data, or none")]
    OtherDataset {
        /// The checkpoint's dataset, abbreviated.
        theirs: String,
        /// The dataset to go on with, abbreviated.
        ours: String,
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

impl CheckpointError {
    pub(crate) fn damaged(fault: impl Into<String>) -> Self {
        Self::Damaged(fault.into())
    }
}
