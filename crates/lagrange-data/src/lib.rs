//! Data for Lagrange: images of any shape and classes of any names, in IDX files or embedded in the build;
//! tasks, shards and batch order.
//!
//! Pixels stay bytes, one per channel, until a batch is normalised: a shard takes a quarter of the memory
//! that it would take as f32.
//!
//! ```
//! use lagrange_data::{BatchOrder, Partition, Split, SplitCounts};
//!
//! // MNIST in 16 shards, and the first batch of shard 3: 16 of its samples.
//! let counts = SplitCounts { train: 60_000, validation: 0, test: 10_000 };
//! let partition = Partition::of_counts(counts, 16, 0, None)?;
//! let (length, steps) = (partition.shard_len(Split::Train, 3), partition.steps_per_epoch(16)?);
//! let mut order = BatchOrder::new(1, 3, length, 16, steps);
//! assert_eq!((length, steps, order.positions(0).len()), (3750, 234, 16));
//! # Ok::<(), lagrange_data::PartitionError>(())
//! ```
//!
//! # Layout
//!
//! | module | what it holds |
//! |---|---|
//! | `images` | [`Images`]: bytes of one shape, grey or in colour |
//! | `classes` | names of classes and their [natural order](natural_order) |
//! | `content` | [`Content`] and its hash |
//! | `dataset`, `embedded` | [`Dataset`]: training and test set, from files or from the build |
//! | `summary` | [`DatasetSummary`]: what a coordinator needs, without the pixels |
//! | `idx` | [`read_images`], [`read_labels`]: the IDX format, plain or gzip-compressed |
//! | `files`, `file_kind` | search for the files of a set; [`FileKind`], for messages about wrong files |
//! | `normalise` | [`Normalisation`] of pixels to inputs |
//! | `augment` | [`Augment`]: random movements of training images |
//! | `task` | [`Task`]: what is asked, by name |
//! | `question` | [`Question`]: a task for the classes of a dataset: outputs, targets and predictions |
//! | `class_weights` | [`ClassWeights`]: weights of classes in the loss |
//! | `split`, `held_out` | [`Split`]; [`HeldOut`], the share of training images that make a validation split |
//! | `shard` | [`Partition`] into splits and shards; [`ShardData`], the samples of one shard |
//! | `order` | [`BatchOrder`]: the samples of a step |
//! | `error` | [`DataError`] |
//!
//! # Where a set may be
//!
//! [`Dataset::from_dir`] takes a folder and finds four IDX files in it, each plain or `.gz`; the plain one
//! has precedence. The names of training images and test labels are these, and the other two are alike:
//!
//! | set | training images | test labels |
//! |---|---|---|
//! | MNIST, Fashion-MNIST, KMNIST | `train-images-idx3-ubyte` | `t10k-labels-idx1-ubyte` |
//! | EMNIST | `emnist-SPLIT-train-images-idx3-ubyte` | `emnist-SPLIT-test-labels-idx1-ubyte` |
//! | QMNIST | `qmnist-train-images-idx3-ubyte` | `qmnist-test-labels-idx2-int` or `..-idx1-ubyte` |
//!
//! SPLIT is byclass, bymerge, balanced, letters, digits or mnist. In all names `.idx3-ubyte` may replace
//! `-idx3-ubyte`, and a file may be in a folder of the same name.
//!
//! If the folder has none of these, they are searched for in `raw`, `gzip` (EMNIST's archive), and
//! `MNIST/raw`, `FashionMNIST/raw`, `KMNIST/raw`, `EMNIST/raw` and `QMNIST/raw` (torchvision). A folder with
//! any of MNIST's names counts as MNIST, whatever else is in it. Of several sets one must be selected: by its
//! folder, or by the folder and the beginning of the names, as in `data/emnist-letters` or `data/qmnist`.
//!
//! Pixels are used as they are in the files, and labels name the classes by their numbers. EMNIST's images
//! are transposed, rows for columns, which makes no difference as long as a model is used on images of the
//! same orientation as its training images.

mod augment;
mod class_weights;
mod classes;
mod content;
mod dataset;
#[cfg(feature = "embedded-mnist")]
mod embedded;
mod error;
mod file_kind;
mod files;
mod held_out;
mod idx;
mod images;
mod normalise;
mod order;
mod question;
mod shard;
mod split;
mod summary;
mod task;

pub use augment::Augment;
pub use class_weights::ClassWeights;
pub use classes::{natural_order, nearest_name};
pub use content::{Content, Samples};
pub use dataset::{Dataset, LabelledSet};
pub use error::DataError;
pub use file_kind::FileKind;
pub use files::{Holdings, SUBFOLDERS};
pub use held_out::HeldOut;
pub use idx::{IdxError, read_images, read_labels};
pub use images::Images;
pub use lagrange_core::network::Shape;
pub use normalise::{NoContrast, Normalisation, Normaliser, channel_sums};
pub use order::{BatchOrder, Positions};
pub use question::Question;
pub use shard::{Partition, PartitionError, ShardData};
pub use split::{Split, SplitCounts};
pub use summary::DatasetSummary;
pub use task::{Task, TaskError};
