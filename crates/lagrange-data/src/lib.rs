//! Data for Lagrange: the IDX reader, the embedded MNIST, tasks, logical shards and batch order.
//!
//! Pixels stay bytes, one per pixel, until a batch is normalised: a shard takes a quarter of the memory it would as f32.
//!
//! # Where a set may lie
//!
//! [`Dataset::from_dir`] takes a folder and finds four IDX files in it, each plain or `.gz`; where both are there, the
//! plain one counts. These are the names of training images and test labels; the other two are named likewise:
//!
//! | set | training images | test labels |
//! |---|---|---|
//! | MNIST, Fashion-MNIST, KMNIST | `train-images-idx3-ubyte` | `t10k-labels-idx1-ubyte` |
//! | EMNIST | `emnist-SPLIT-train-images-idx3-ubyte` | `emnist-SPLIT-test-labels-idx1-ubyte` |
//! | QMNIST | `qmnist-train-images-idx3-ubyte` | `qmnist-test-labels-idx2-int` or `..-idx1-ubyte` |
//!
//! SPLIT is byclass, bymerge, balanced, letters, digits or mnist. Everywhere `.idx3-ubyte` will do for `-idx3-ubyte`,
//! and a file may lie in a folder of its name.
//!
//! Where the folder has none of these, they are looked for in its `raw`, in `gzip` (as EMNIST's archive unpacks), and in
//! `MNIST/raw`, `FashionMNIST/raw`, `KMNIST/raw`, `EMNIST/raw` and `QMNIST/raw` (torchvision's). A folder with MNIST's
//! names is taken for one of MNIST, whatever else is in it. Of several sets one must be chosen: by its folder, or by the
//! folder and what the names begin with, as in `data/emnist-letters` or `data/qmnist`.
//!
//! Pixels and labels are taken as the files have them. EMNIST's images are transposed, rows for columns, which makes no
//! difference as long as a model is used on images that lie as those that it was trained on.

mod augment;
mod dataset;
#[cfg(feature = "embedded-mnist")]
mod embedded;
mod error;
mod file_kind;
mod files;
mod idx;
mod normalise;
mod order;
mod outline;
mod shard;
mod task;

pub use augment::Augment;
pub use dataset::{Dataset, LabelledSet};
pub use error::DataError;
pub use file_kind::FileKind;
pub use files::Holdings;
pub use idx::{IdxError, Images, read_images, read_labels};
pub use normalise::{NoContrast, Normalisation, Normaliser};
pub use order::{BatchOrder, Positions};
pub use outline::Outline;
pub use shard::{Partition, PartitionError, ShardData, Split};
pub use task::{Task, TaskError};
