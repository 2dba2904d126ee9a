//! Data sets for training: whatever a path holds, packed or not, or the set embedded in the build.

use crate::{Format, ImportError, Imported, Options, PackedSet, Part, Split, read, recognise};
use lagrange_data::{DataError, Dataset, DatasetSummary, Images, LabelledSet};
use std::path::Path;

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

/// The set at `path`: a packed one, IDX files, or any format of [`read`], with its default options; without a
/// path the embedded MNIST.
///
/// ```
/// // A build with MNIST inside has data without any path.
/// if let Ok(dataset) = lagrange_import::load(None) {
///     assert_eq!(dataset.classes.len(), 10);
/// }
/// ```
///
/// # Errors
/// [`LoadError`], naming the file and what is wrong with it.
pub fn load(path: Option<&Path>) -> Result<Dataset, LoadError> {
    let Some(path) = path else {
        return Ok(Dataset::embedded()?);
    };
    let dataset: Dataset = match kind(path)? {
        Kind::Packed => PackedSet::open(path)?.unpack()?.into(),
        Kind::Idx => return Ok(Dataset::from_dir(path)?),
        Kind::Other => read(path, &Options::default())?.0.into(),
    };
    dataset.check()?;
    Ok(dataset)
}

/// [`load`], with the set's [`Dataset::sha256`]; that of the embedded MNIST is a constant.
///
/// # Errors
/// As [`load`].
pub fn load_hashed(path: Option<&Path>) -> Result<(Dataset, [u8; 32]), LoadError> {
    if path.is_none() {
        return Ok(Dataset::load_hashed(None)?);
    }
    let dataset = load(path)?;
    let hash = dataset.sha256();
    Ok((dataset, hash))
}

/// Everything of the set at `path` but its pixels; the embedded MNIST is not unpacked for it.
///
/// # Errors
/// As [`load`].
pub fn summarise(path: Option<&Path>) -> Result<DatasetSummary, LoadError> {
    match path {
        None => Ok(DatasetSummary::load(None)?),
        path => Ok(DatasetSummary::of(&load(path)?)?),
    }
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

impl PackedSet {
    /// The whole set, every block checked.
    ///
    /// # Errors
    /// As [`PackedSet::read_block`].
    pub fn unpack(&self) -> Result<Imported, ImportError> {
        let part = |split| {
            let mut part = Part::default();
            for (number, block) in self.manifest().blocks.iter().enumerate() {
                if block.split == split {
                    let block = self.read_block(number)?;
                    part.pixels.extend(block.pixels);
                    part.labels.extend(block.labels);
                }
            }
            Ok(part)
        };
        let manifest = self.manifest();
        Ok(Imported {
            height: manifest.height,
            width: manifest.width,
            channels: manifest.channels,
            classes: manifest.classes.clone(),
            train: part(Split::Train)?,
            validation: match manifest.validation {
                0 => None,
                _ => Some(part(Split::Validation)?),
            },
            test: part(Split::Test)?,
        })
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
