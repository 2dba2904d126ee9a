//! Errors of datasets.

use crate::files::Holdings;
use crate::{FileKind, IdxError, NoContrast};
use lagrange_core::network::Shape;
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
         --data takes a packed set, a folder of pictures or of IDX files, arrays, tables or archives"
    )]
    NoFolder {
        /// The folder asked for.
        path: PathBuf,
    },
    /// A file where a folder belongs.
    #[error(
        "{path}: this is {what}, not a folder; \
         --data takes a packed set, a folder of pictures or of IDX files, arrays, tables or archives"
    )]
    NotAFolder {
        /// The file.
        path: PathBuf,
        /// Kind of the file.
        what: FileKind,
    },
    /// Files of the set are missing under all of their names.
    #[error(
        "{directory}: no {}; --data needs the four IDX files of an MNIST-like set; \
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
        "{directory}: several sets are there; give --data one of {}",
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
        /// `training`, `validation` or `test`.
        part: &'static str,
        /// Number of images.
        images: usize,
        /// Number of labels.
        labels: usize,
    },
    /// Images of a part have another shape than the training images.
    #[error(
        "{part} images are {} but training images {}, height x width x channels: all must have one shape",
        written(found),
        written(train)
    )]
    ShapeMismatch {
        /// `validation` or `test`.
        part: &'static str,
        /// Shape of the training images.
        train: Shape,
        /// Shape of the others.
        found: Shape,
    },
    /// Images that are neither grey nor in colour.
    #[error("{part} set: images of {channels} channels; give grey images (1) or colour images (3)")]
    Channels {
        /// `training`, `validation` or `test`.
        part: &'static str,
        /// Number of channels.
        channels: usize,
    },
    /// Bytes that are no whole number of images.
    #[error(
        "{part} set: {bytes} bytes are no whole number of images of {}, height x width x channels",
        written(shape)
    )]
    Pixels {
        /// `training`, `validation` or `test`.
        part: &'static str,
        /// Number of bytes.
        bytes: usize,
        /// Shape of an image.
        shape: Shape,
    },
    /// A label without a class.
    #[error(
        "{part} set: label {label} where there are {classes} classes; labels count classes from 0"
    )]
    Label {
        /// `training`, `validation` or `test`.
        part: &'static str,
        /// The label.
        label: u16,
        /// Number of classes.
        classes: usize,
    },
    /// A class that cannot be called by its name.
    #[error("classes: the name `{name}` {fault}; give each class a name of its own")]
    ClassName {
        /// The name, control characters escaped.
        name: String,
        /// Its fault.
        fault: &'static str,
    },
    /// Images without contrast.
    #[error(transparent)]
    NoContrast(#[from] NoContrast),
    /// This build carries no data of its own.
    #[error("this build has no embedded MNIST: pass --data with the four IDX files")]
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

/// A shape for a message.
fn written(shape: &Shape) -> String {
    let Shape {
        height,
        width,
        channels,
    } = shape;
    format!("{height}x{width}x{channels}")
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
