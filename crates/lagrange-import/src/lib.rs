//! Import of labelled pictures: from many formats to one neutral form, and to packed sets.
//!
//! [`read`] takes whatever data set a path holds, tells its format by what is there, and gives an
//! [`Imported`]: pictures of one size as bytes, classes by number with their names, and splits. [`pack`]
//! writes it to a folder once; [`PackedSet`] then reads any part of it, checked by hashes.
//!
//! ```
//! use image::{GrayImage, Luma};
//! use lagrange_import::{Options, pack, read};
//!
//! let folder = tempfile::tempdir()?;
//! for (split, class, shade) in [("train", "dark", 9), ("train", "light", 200), ("test", "light", 210)] {
//!     let path = folder.path().join("pictures").join(split).join(class);
//!     std::fs::create_dir_all(&path)?;
//!     GrayImage::from_pixel(4, 3, Luma([shade])).save(path.join("1.png"))?;
//! }
//! let (set, report) = read(&folder.path().join("pictures"), &Options::default())?;
//! assert_eq!(report.summary(), "image-folder: 2 classes, 2 + 1 images, 3x4 grey");
//! assert_eq!(report.warnings, ["the test split has no picture of class dark"]);
//!
//! let packed = pack(&set, &folder.path().join("packed"), None)?;
//! assert_eq!(packed.manifest().classes, ["dark", "light"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Formats
//!
//! | format | what must be there |
//! |---|---|
//! | `image-folder` | `SPLIT/CLASS/..` or `CLASS/..` with pictures at any depth |
//! | `labels-file` | `metadata.csv`, `metadata.jsonl` or `labels.csv`, in each split's folder or in one |
//! | `npz`, `npy` | arrays `x_train`, `y_train`, `x_val`, `y_val`, `x_test`, `y_test`, or `x` and `y` |
//! | `cifar-binary`, `cifar-pickle` | CIFAR-10 and CIFAR-100 as their authors publish them |
//! | `pixel-csv` | `label` and a column for each pixel; of colour, channels last |
//! | `webdataset` | `.tar` files of pictures and `.cls` files by the same base name |
//! | `parquet` | Parquet files of the Hugging Face Hub (cargo feature `parquet`) |
//! | `idx` | the four files of MNIST and its kin, under the names that [`lagrange_data`] lists |
//!
//! A labels file has the columns or keys `file_name` and `label` and perhaps `split`; paths are relative to
//! it. Arrays may be called `train_images` and `train_labels` as well. Of CIFAR-100 the fine labels count.
//!
//! Pictures are PNG and JPEG files; with the cargo feature `more-formats` also BMP, GIF (the first frame),
//! WebP, TIFF and PNM.
//!
//! # Rules
//!
//! - Splits are folders, values of a column, or whole first or last words of a file's name: `train` or
//!   `training`; `validation`, `valid`, `val` or `dev`; `test`, `testing`, `eval` or `evaluation`. Nothing
//!   else is a split. Where a source has no test split, one is held out ([`Options::test_share`]).
//! - Classes are the union over all splits in natural order of their names (1, 2, 10), whatever order the
//!   source has them in. A class that is missing from train is an error.
//! - All pictures have one size; [`Options::size`] tells how others get it.
//! - Pictures are grey only if every one is stored as grey, unless [`Options::channels`] decides. Of 16
//!   bits the high byte counts; what is transparent is put over black; a camera's note on which
//!   side is up is followed.
//! - Pixels of arrays are bytes, whole numbers from 0 to 255 of any type, or, if all pixels of all arrays
//!   are floats from 0 to 1, `round(255 x)`.
//! - Samples come in an order that the SHA-256 of their bytes decides, whatever order the source has them in:
//!   a random one with every class spread evenly, so that any stretch of a split (the first samples to train
//!   on, the last held out) is stratified, and equal sets are equal. The four IDX files as they are, given to
//!   `--data` without an import, keep their own order.
//! - A picture that is damaged, cut off, or larger than 64 megapixels is an error that names it, or left
//!   out ([`Options::skip_unreadable`]).
//!
//! # Layout
//!
//! | module | what it holds |
//! |---|---|
//! | `format` | [`Format`], [`recognise`], and the trait of all readers |
//! | `place`, `found` | what readers begin with (a folder, listed) and end with (samples) |
//! | `readers` | one module for each format |
//! | `picture`, `guard` | decoding, sizes and channels; decoders that panic |
//! | `gather` | from samples to [`Imported`] and [`Report`] |
//! | `packed` | [`pack`], [`PackedSet`] |
//! | `load`, `opened` | [`open`]: any of these, or the embedded set, to be cut into shards; [`load`] |
//! | `unlabelled` | [`unlabelled`]: pictures for a model to say what they are |
//! | `sheet` | [`contact_sheet`] |
//! | `threads` | threads to decode on |
//! | `names` | natural order, names of splits, names in messages |

mod error;
mod format;
mod found;
mod gather;
mod guard;
mod imported;
mod load;
mod names;
mod opened;
mod options;
mod packed;
mod picture;
mod place;
mod readers;
mod report;
mod sheet;
mod threads;
mod unlabelled;

pub use error::ImportError;
pub use format::{Format, recognise};
pub use imported::{Imported, Part};
pub use lagrange_data::Split;
pub use load::{LoadError, Source, Summarised, load, open, summarise, test_set};
pub use opened::{Opened, ShardSplits};
pub use options::{Channels, Layout, Options};
pub use packed::{Block, BlockEntry, Manifest, PackedSet, pack};
pub use report::{ClassCounts, Duplicates, Report};
pub use sheet::contact_sheet;
pub use unlabelled::{Unlabelled, unlabelled, unlabelled_picture};

use std::path::Path;

/// Reads the data set at `path`.
///
/// # Errors
/// [`ImportError`], which names the file or the field, and the option that helps if there is one.
pub fn read(path: &Path, options: &Options) -> Result<(Imported, Report), ImportError> {
    options.check()?;
    let (format, found) = format::find(path, options)?;
    gather::gather(found, format, options)
}
