//! Data for Lagrange: the IDX reader, the embedded MNIST, tasks, logical shards and batch order.
//!
//! Pixels stay bytes, one per pixel, until a batch is normalised: a shard takes a quarter of the memory it would as f32.

mod augment;
mod dataset;
#[cfg(feature = "embedded-mnist")]
mod embedded;
mod idx;
mod normalise;
mod order;
mod outline;
mod shard;
mod task;

pub use augment::Augment;
pub use dataset::{Dataset, LabelledSet};
pub use idx::{IdxError, Images, read_images, read_labels};
pub use normalise::{MEAN, STANDARD_DEVIATION, normalise};
pub use order::{BatchOrder, Positions};
pub use outline::Outline;
pub use shard::{Partition, PartitionError, ShardData, Split};
pub use task::{Task, TaskError};

use std::path::PathBuf;

/// Why a dataset cannot be used.
///
/// Every message is complete in one line. Causes are therefore fields and not [`std::error::Error::source`]s, which would be
/// printed a second time.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file of the set is not there under any of its names.
    #[error(
        "{directory}: no {name} or {name}.gz there; --data-dir needs the four IDX files of an MNIST-like set"
    )]
    MissingFile {
        /// Directory searched.
        directory: PathBuf,
        /// Name of the file, without `.gz`.
        name: &'static str,
    },
    /// A file cannot be read.
    #[error("{path}: cannot be read: {cause}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{name}: {cause}")]
    Malformed {
        /// The file.
        name: String,
        /// What is wrong with it.
        cause: IdxError,
    },
    /// Images and labels do not belong together.
    #[error(
        "{part} set: {images} images but {labels} labels; the two files do not belong together"
    )]
    CountMismatch {
        /// `training` or `test`.
        part: &'static str,
        /// Number of images.
        images: usize,
        /// Number of labels.
        labels: usize,
    },
    /// Training and test images differ in size.
    #[error(
        "training images are {train} but test images {test} pixels wide; the files do not belong together"
    )]
    SizeMismatch {
        /// Side of the training images.
        train: usize,
        /// Side of the test images.
        test: usize,
    },
    /// Images are not square.
    #[error("{part} set: images are {height}x{width}; square images are needed")]
    NotSquare {
        /// `training` or `test`.
        part: &'static str,
        /// Height in pixels.
        height: usize,
        /// Width in pixels.
        width: usize,
    },
    /// This build carries no data of its own.
    #[error("this build has no embedded MNIST: pass --data-dir with the four IDX files")]
    NothingEmbedded,
}
