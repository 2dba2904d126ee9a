//! Errors of importing, and of packed sets.

use crate::names::{at_most, pictures, shown};
use crate::{Format, Split};
use std::path::{Path, PathBuf};

/// Error of importing a data set, or of a packed set.
///
/// Every message is complete in one line and names the file or the field and, where there is one, the
/// option that helps. Causes are therefore fields and not [`std::error::Error::source`]s, which would be
/// printed a second time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Nothing is there.
    #[error("{}: there is no such file or folder", shown(path))]
    Absent {
        /// The path asked for.
        path: PathBuf,
    },
    /// A file or a folder cannot be read.
    #[error("{}: cannot be read: {cause}", shown(path))]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        cause: std::io::Error,
    },
    /// A file or a folder cannot be written.
    #[error("{}: cannot be written: {cause}", shown(path))]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        cause: std::io::Error,
    },
    /// Threads to decode on.
    #[error(
        "cannot start a thread ({cause}): raise the limit on processes (`ulimit -u`, or the container's pids limit) or \
         on address space (`ulimit -v`), or set RAYON_NUM_THREADS to fewer than the processors"
    )]
    NoThread {
        /// The system's error.
        cause: String,
    },
    /// No format fits what is there.
    #[error(
        "{}: no data set of a known format: {found}; known are {}, and --data-format NAME insists on one",
        shown(path),
        Format::known()
    )]
    Unrecognised {
        /// The path asked for.
        path: PathBuf,
        /// What is there.
        found: String,
    },
    /// Several formats fit.
    #[error(
        "{}: this may be {}; choose with --data-format, or give the path of one of them",
        shown(path),
        either(formats)
    )]
    Ambiguous {
        /// The path asked for.
        path: PathBuf,
        /// The formats, two or more.
        formats: Vec<Format>,
    },
    /// The format asked for does not fit what is there.
    #[error("{}: --data-format {format} needs {}; there: {found}", shown(path), format.needs())]
    NotThere {
        /// The path asked for.
        path: PathBuf,
        /// The format asked for.
        format: Format,
        /// What is there.
        found: String,
    },
    /// IDX files that make no set.
    #[error("{0}")]
    Idx(lagrange_data::DataError),
    /// A format that this build leaves out.
    #[error(
        "{}: this build leaves out {format}; build it with the feature `{feature}`",
        shown(path)
    )]
    LeftOut {
        /// The path asked for.
        path: PathBuf,
        /// The format.
        format: Format,
        /// The cargo feature that adds it.
        feature: &'static str,
    },
    /// A file whose content is wrong.
    #[error("{name}: {fault}")]
    Malformed {
        /// The file, and the part of it.
        name: String,
        /// What is wrong, and what helps.
        fault: String,
    },
    /// An option whose value cannot be used.
    #[error("{option} {value}: {fault}")]
    BadOption {
        /// The option, as on a command line.
        option: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// Axes of an array that can be read in two ways, or in none.
    #[error("{name}: an array of shape {shape:?} {fault}; give --layout nhw, nhwc or nchw")]
    Layout {
        /// The file and the array in it.
        name: String,
        /// Lengths of the axes.
        shape: Vec<usize>,
        /// What is wrong.
        fault: &'static str,
    },
    /// Pictures differ in size.
    #[error(
        "pictures differ in size: {first} is {}x{}, {other} is {}x{}; --size HxW gives all the same",
        first_size.0, first_size.1, other_size.0, other_size.1
    )]
    Sizes {
        /// The first picture.
        first: String,
        /// Its height and width in pixels.
        first_size: (usize, usize),
        /// The first that differs.
        other: String,
        /// Its height and width in pixels.
        other_size: (usize, usize),
    },
    /// Pictures that cannot be decoded.
    #[error(
        "{} cannot be read: {}; --skip-unreadable leaves out such files",
        pictures(*count),
        at_most(*count, files)
    )]
    Pictures {
        /// The first few, each with its fault.
        files: Vec<String>,
        /// Number of them.
        count: usize,
    },
    /// Nothing to learn from at all.
    #[error("no labelled picture is there{notes}")]
    NoPictures {
        /// What was left out, after a semicolon each.
        notes: String,
    },
    /// A split without samples.
    #[error("the {split} split is empty{hint}")]
    EmptySplit {
        /// The split.
        split: Split,
        /// What to look at.
        hint: &'static str,
    },
    /// A class that cannot be learnt.
    #[error("class {class:?} has no picture in the train split; {elsewhere}")]
    NotInTrain {
        /// Name of the class.
        class: String,
        /// Where it occurs.
        elsewhere: String,
    },
    /// One class.
    #[error("{found}; at least two are needed, each a folder or a label of its own")]
    TooFewClasses {
        /// What was found.
        found: String,
    },
    /// More classes than labels of two bytes can tell apart.
    #[error("{count} classes; at most 65,535 are possible: are these labels measurements?")]
    TooManyClasses {
        /// Number of classes.
        count: usize,
    },
    /// A folder that holds a packed set already.
    #[error(
        "{}: there is a packed set already; remove it, or choose another folder",
        shown(path)
    )]
    Occupied {
        /// The manifest of that set.
        path: PathBuf,
    },
    /// Options for pictures that are decoded already.
    #[error(
        "{}: a packed set; how pictures are read was decided when it was made: give such options to `lagrange data import`",
        shown(path)
    )]
    Decided {
        /// The folder.
        path: PathBuf,
    },
    /// A block of a packed set that is not the one in the manifest.
    #[error(
        "{}: its SHA-256 is {found}, but the manifest says {expected}; the file is damaged or of another set",
        shown(path)
    )]
    Damaged {
        /// The block.
        path: PathBuf,
        /// The hash in the manifest.
        expected: String,
        /// The hash of the file.
        found: String,
    },
    /// A number of a block or a sample outside of the set.
    #[error("{what} {index}: the set has only {count}")]
    OutOfRange {
        /// What is counted.
        what: &'static str,
        /// The number asked for, from 0.
        index: usize,
        /// How many there are.
        count: usize,
    },
}

impl ImportError {
    pub(crate) fn unreadable(path: &Path, cause: std::io::Error) -> Self {
        Self::Unreadable {
            path: path.to_owned(),
            cause,
        }
    }

    pub(crate) fn unwritable(path: &Path, cause: std::io::Error) -> Self {
        Self::Unwritable {
            path: path.to_owned(),
            cause,
        }
    }

    pub(crate) fn malformed(name: impl Into<String>, fault: impl Into<String>) -> Self {
        Self::Malformed {
            name: name.into(),
            fault: fault.into(),
        }
    }
}

fn either(formats: &[Format]) -> String {
    let names = formats.iter().map(Format::to_string);
    names.collect::<Vec<_>>().join(" or ")
}
