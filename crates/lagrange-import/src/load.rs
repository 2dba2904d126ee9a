//! Data sets for training: whatever a path holds, packed or not, or the set embedded in the build.

use crate::report::counted;
use crate::{
    Format, ImportError, Imported, Opened, Options, PackedSet, Part, Report, read, recognise,
};
use lagrange_data::{DataError, Dataset, DatasetSummary, Images, LabelledSet, Shape};
use std::path::PathBuf;
use std::sync::Arc;

/// Why a data set cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// IDX files, the embedded set, or parts that do not fit together.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Every other format, and packed sets.
    #[error(transparent)]
    Import(#[from] ImportError),
}

/// Where a data set is, and how to read it.
///
/// ```
/// let source = lagrange_import::Source::from("pictures");
/// assert!(source.options.size.is_none());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// A file or a folder.
    pub path: PathBuf,
    /// Decisions about it; the default takes everything as it is.
    pub options: Options,
}

impl<P: Into<PathBuf>> From<P> for Source {
    fn from(path: P) -> Self {
        Self {
            path: path.into(),
            options: Options::default(),
        }
    }
}

impl Source {
    /// Whether the set has its pixels as bytes, so that it is read again in no time: packed sets and IDX files.
    #[must_use]
    pub fn is_decoded(&self) -> bool {
        matches!(kind(self), Ok(Kind::Packed | Kind::Idx))
    }
}

/// A data set without its pixels, and what was found where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Summarised {
    /// Labels, classes, normalisation, hash.
    pub dataset: DatasetSummary,
    /// One line, and a line more for each thing out of the ordinary.
    pub found: String,
}

/// What is at a path.
enum Kind {
    Packed,
    /// IDX files, or nothing: the search for them says what is missing.
    Idx,
    Other,
}

/// The set of `source` with its [`Dataset::sha256`]: a packed one, of which only the manifest is read, IDX
/// files, or any format of [`read`]; without a source the embedded MNIST, whose images stay packed.
///
/// # Errors
/// [`LoadError`], naming the file and what is wrong with it.
pub fn open(source: Option<&Source>) -> Result<(Opened, [u8; 32]), LoadError> {
    let set = match source {
        None => Opened::Embedded(Arc::new(DatasetSummary::load(None)?)),
        Some(source) => find(source)?.0,
    };
    let hash = match &set {
        Opened::Memory(dataset) => dataset.sha256(),
        Opened::Packed(set) => set.content(),
        Opened::Embedded(summary) => summary.sha256,
    };
    Ok((set, hash))
}

/// The set of `source`, as [`open`] finds it, in memory.
///
/// ```
/// // A build with MNIST inside has data without any source.
/// if let Ok(dataset) = lagrange_import::load(None) {
///     assert_eq!(dataset.classes.len(), 10);
/// }
/// ```
///
/// # Errors
/// As [`open`].
pub fn load(source: Option<&Source>) -> Result<Arc<Dataset>, LoadError> {
    match source {
        None => Ok(Arc::new(Dataset::embedded()?)),
        Some(source) => find(source)?.0.into_dataset(),
    }
}

/// The names of the classes of `source`, and its test split. Of packed sets and of the embedded MNIST no other
/// images are read; see [`Source::is_decoded`] for the rest.
///
/// ```
/// // A build with MNIST inside has data without any source.
/// if let Ok((classes, test)) = lagrange_import::test_set(None) {
///     assert_eq!((classes.len(), test.labels.len()), (10, 10_000));
/// }
/// ```
///
/// # Errors
/// As [`open`].
pub fn test_set(source: Option<&Source>) -> Result<(Vec<String>, LabelledSet), LoadError> {
    let set = match source {
        None => Opened::Embedded(Arc::new(DatasetSummary::load(None)?)),
        Some(source) => find(source)?.0,
    };
    set.into_test()
}

/// Everything of the set of `source` but its pixels; the embedded MNIST is not unpacked for it.
///
/// # Errors
/// As [`open`].
pub fn summarise(source: Option<&Source>) -> Result<Summarised, LoadError> {
    let Some(source) = source else {
        let dataset = DatasetSummary::load(None)?;
        let found = line("embedded MNIST", &dataset);
        return Ok(Summarised { dataset, found });
    };
    let (set, report) = find(source)?;
    let dataset = set.summary()?;
    let found = match (report, &set) {
        (Some(report), _) => report.to_string(),
        (None, Opened::Packed(_)) => line("packed set", &dataset),
        (None, _) => line("idx", &dataset),
    };
    Ok(Summarised { dataset, found })
}

/// [`Report::summary`] of a set that was not imported.
fn line(format: &str, dataset: &DatasetSummary) -> String {
    let counts = [&dataset.train, &dataset.validation, &dataset.test].map(Vec::len);
    let Shape {
        height,
        width,
        channels,
    } = dataset.shape;
    counted(
        format,
        dataset.classes.len(),
        counts,
        (height, width, channels),
    )
}

/// The set of `source`, not hashed yet, and the account of its import if it was imported.
fn find(source: &Source) -> Result<(Opened, Option<Report>), LoadError> {
    let (path, options) = (&source.path, &source.options);
    let (dataset, report): (Dataset, _) = match kind(source)? {
        Kind::Packed => {
            let set = PackedSet::open(path)?;
            return Ok((Opened::Packed(Arc::new(set)), None));
        }
        Kind::Idx => (Dataset::from_dir(path)?, None),
        Kind::Other => {
            let (set, report) = read(path, options)?;
            (set.into(), Some(report))
        }
    };
    dataset.check()?;
    Ok((Arc::new(dataset).into(), report))
}

fn kind(source: &Source) -> Result<Kind, ImportError> {
    let (path, options) = (&source.path, &source.options);
    let as_it_is = *options == Options::default();
    if PackedSet::is_in(path) {
        let path = path.clone();
        return match as_it_is {
            true => Ok(Kind::Packed),
            false => Err(ImportError::Decided { path }),
        };
    }
    if !as_it_is {
        return Ok(Kind::Other);
    }
    match recognise(path) {
        Ok(Format::Idx) => Ok(Kind::Idx),
        Ok(_) => Ok(Kind::Other),
        Err(error @ ImportError::Ambiguous { .. }) => Err(error),
        Err(_) => Ok(Kind::Idx),
    }
}

impl From<Imported> for Dataset {
    fn from(set: Imported) -> Self {
        let Imported {
            height,
            width,
            channels,
            classes,
            train,
            validation,
            test,
        } = set;
        let labelled = |part: Part| LabelledSet {
            images: Images {
                height,
                width,
                channels,
                pixels: part.pixels,
            },
            labels: part.labels,
        };
        Self {
            train: labelled(train),
            validation: validation.map(labelled),
            test: labelled(test),
            classes,
        }
    }
}
