//! Errors of datasets.

use crate::files::Holdings;
use crate::{FileKind, IdxError, NoContrast};
use std::path::{Path, PathBuf};

/// Error of loading a dataset.
///
/// Every message is complete in one line. Causes are therefore fields and not [`std::error::Error::source`]s,
/// which would be printed a second time.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// There is no such folder.
    #[error(
        "{path}: there is no such folder; \
         --data-dir needs the folder of the four IDX files of an MNIST-like set"
    )]
    NoFolder {
        /// The folder asked for.
        path: PathBuf,
    },
    /// A file where a folder belongs.
    #[error(
        "{path}: this is {what}, not a folder; \
         --data-dir needs the folder of the four IDX files of an MNIST-like set"
    )]
    NotAFolder {
        /// The file.
        path: PathBuf,
        /// Kind of the file.
        what: FileKind,
    },
    /// Files of the set are missing under all of their names.
    #[error(
        "{directory}: no {}; --data-dir needs the four IDX files of an MNIST-like set; \
         the folder {holds}",
        absent(missing)
    )]
    MissingFiles {
        /// Folder searched.
        directory: PathBuf,
        /// Their names, without `.gz`; at least one.
        missing: Vec<String>,
        /// Listing of the folder.
        holds: Holdings,
    },
    /// The folder has more than one set.
    #[error(
        "{directory}: several sets are there; give --data-dir one of {}",
        list(choices)
    )]
    SeveralSets {
        /// Folder searched.
        directory: PathBuf,
        /// Path that selects each of them.
        choices: Vec<PathBuf>,
    },
    /// A file or a folder cannot be read.
    #[error("{path}: cannot be read: {cause}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: std::io::Error,
    },
    /// A malformed file.
    #[error("{name}: {cause}")]
    Malformed {
        /// The file.
        name: String,
        /// The fault of the file.
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
    /// Images without contrast.
    #[error(transparent)]
    NoContrast(#[from] NoContrast),
    /// This build carries no data of its own.
    #[error("this build has no embedded MNIST: pass --data-dir with the four IDX files")]
    NothingEmbedded,
}

impl DataError {
    pub(crate) fn unreadable(path: &Path, cause: std::io::Error) -> Self {
        Self::Unreadable {
            path: path.to_owned(),
            cause,
        }
    }
}

/// The first name with its other form, then the others.
fn absent(missing: &[String]) -> String {
    match missing {
        [] => String::new(),
        [first] => format!("{first} or {first}.gz there"),
        [first, others @ ..] => format!("{first} or {first}.gz there, nor {}", others.join(", ")),
    }
}

fn list(choices: &[PathBuf]) -> String {
    let choices = choices.iter().map(|path| path.display().to_string());
    choices.collect::<Vec<_>>().join(", ")
}
