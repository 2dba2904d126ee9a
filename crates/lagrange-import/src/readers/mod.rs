//! Readers, one module for each format.

pub(crate) mod arrays;
mod cifar;
mod folder;
pub(crate) mod idx;
mod labels;
mod parquet;
mod table;
mod webdataset;

use crate::format::Reader;
use crate::names::{shown, split_of_file};
use crate::{ImportError, Split};
use std::path::Path;

/// Every reader. A new format is one more line here, and in [`crate::Format`].
pub(crate) const READERS: &[&dyn Reader] = &[
    &idx::Idx,
    &folder::ImageFolder,
    &labels::LabelsFile,
    &arrays::Npz,
    &arrays::Npy,
    &cifar::Binary,
    &cifar::Pickle,
    &table::PixelCsv,
    &webdataset::WebDataset,
    &parquet::Parquet,
];

/// The split of each file by its name. Without any split in their names, all are for training.
///
/// # Errors
/// If only some names have one.
fn by_split<'a>(files: &[&'a Path]) -> Result<Vec<(Split, &'a Path)>, ImportError> {
    let splits: Vec<_> = files.iter().map(|path| split_of_file(path)).collect();
    if splits.iter().all(Option::is_none) {
        return Ok(files.iter().map(|&path| (Split::Train, path)).collect());
    }
    let pairs = files.iter().zip(splits);
    pairs
        .map(|(&path, split)| {
            let none = || {
                ImportError::malformed(
                    shown(path),
                    "no split in its name, unlike others beside it; call it train-.., \
                     validation-.. or test-.., or move it away",
                )
            };
            Ok((split.ok_or_else(none)?, path))
        })
        .collect()
}
