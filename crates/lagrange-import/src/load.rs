//! Data sets for training: whatever a path holds, packed or not, or the set embedded in the build.

use crate::{Format, ImportError, Imported, Opened, Options, PackedSet, Part, read, recognise};
use lagrange_data::{DataError, Dataset, DatasetSummary, Images, LabelledSet};
use std::path::Path;
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

/// What is at a path.
enum Kind {
    Packed,
    /// IDX files, or nothing: the search for them says what is missing.
    Idx,
    Other,
}

/// The set at `path` with its [`Dataset::sha256`]: a packed one, of which only the manifest is read, IDX files,
/// or any format of [`read`] with its default options; without a path the embedded MNIST.
///
/// # Errors
/// [`LoadError`], naming the file and what is wrong with it.
pub fn open(path: Option<&Path>) -> Result<(Opened, [u8; 32]), LoadError> {
    let Some(path) = path else {
        let (dataset, hash) = Dataset::load_hashed(None)?;
        return Ok((Arc::new(dataset).into(), hash));
    };
    let set = find(path)?;
    let hash = match &set {
        Opened::Memory(dataset) => dataset.sha256(),
        Opened::Packed(set) => set.content(),
    };
    Ok((set, hash))
}

/// The set at `path`, as [`open`] finds it, in memory.
///
/// ```
/// // A build with MNIST inside has data without any path.
/// if let Ok(dataset) = lagrange_import::load(None) {
///     assert_eq!(dataset.classes.len(), 10);
/// }
/// ```
///
/// # Errors
/// As [`open`].
pub fn load(path: Option<&Path>) -> Result<Arc<Dataset>, LoadError> {
    match path {
        None => Ok(Arc::new(Dataset::embedded()?)),
        Some(path) => find(path)?.into_dataset(),
    }
}

/// Everything of the set at `path` but its pixels; the embedded MNIST is not unpacked for it.
///
/// # Errors
/// As [`open`].
pub fn summarise(path: Option<&Path>) -> Result<DatasetSummary, LoadError> {
    match path {
        None => Ok(DatasetSummary::load(None)?),
        Some(path) => find(path)?.summary(),
    }
}

/// The set at `path`, not hashed yet: its summary has the hash too.
fn find(path: &Path) -> Result<Opened, LoadError> {
    let dataset: Dataset = match kind(path)? {
        Kind::Packed => return Ok(Opened::Packed(Arc::new(PackedSet::open(path)?))),
        Kind::Idx => Dataset::from_dir(path)?,
        Kind::Other => read(path, &Options::default())?.0.into(),
    };
    dataset.check()?;
    Ok(Arc::new(dataset).into())
}

fn kind(path: &Path) -> Result<Kind, ImportError> {
    if PackedSet::is_in(path) {
        return Ok(Kind::Packed);
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
