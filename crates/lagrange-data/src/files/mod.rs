//! Search for the four files of a set, under the names and in the folders in use.

mod folder;
mod found;
mod names;
#[cfg(test)]
mod tests;

pub use folder::Holdings;
pub(crate) use names::Role;

use self::folder::{Folder, is_absent};
use self::found::{Found, missing_files, sets};
use self::names::Naming;
use crate::DataError;
use crate::file_kind::FileKind;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Subfolders in which IDX sets may lie: torchvision's, and that of EMNIST's archive.
pub const SUBFOLDERS: [&str; 7] = [
    "raw",
    "gzip",
    "MNIST/raw",
    "FashionMNIST/raw",
    "KMNIST/raw",
    "EMNIST/raw",
    "QMNIST/raw",
];

/// The files of the set that `path` stands for, in the order of [`Role::ALL`]. It is a folder, or a folder
/// followed by the common beginning of the set's names.
///
/// # Errors
/// [`DataError`] if there is no set, or more than one.
pub(crate) fn locate(path: &Path) -> Result<[PathBuf; 4], DataError> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let folder = list(path)?;
            let none = || missing_files(&folder, Naming::Mnist, &Role::ALL);
            search(&folder, None)?.ok_or_else(none)
        }
        Ok(metadata) => Err(DataError::NotAFolder {
            path: path.to_owned(),
            what: match metadata.is_file() {
                true => kind_of(path)?,
                false => FileKind::Other,
            },
        }),
        Err(error) if is_absent(&error) => {
            let none = || DataError::NoFolder {
                path: path.to_owned(),
            };
            chosen(path)?.ok_or_else(none)
        }
        Err(cause) => Err(DataError::unreadable(path, cause)),
    }
}

/// The one set in `folder`, or else in its subfolders, with names of `only` if that is given.
fn search(folder: &Folder, only: Option<Naming>) -> Result<Option<[PathBuf; 4]>, DataError> {
    let here = sets(folder, only);
    if !here.is_empty() {
        return the_one(folder, here).map(Some);
    }
    let below = subfolders(folder)?;
    let found: Vec<_> = below.iter().flat_map(|below| sets(below, only)).collect();
    match found.is_empty() {
        true => Ok(None),
        false => the_one(folder, found).map(Some),
    }
}

fn the_one(folder: &Folder, mut found: Vec<Found<'_>>) -> Result<[PathBuf; 4], DataError> {
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => one.whole(),
        (last, _) => Err(DataError::SeveralSets {
            directory: folder.path.clone(),
            choices: found.iter().chain(&last).map(Found::choice).collect(),
        }),
    }
}

/// The set that `path` gives by its folder and the beginning of its names.
fn chosen(path: &Path) -> Result<Option<[PathBuf; 4]>, DataError> {
    let beginning = path.file_name().and_then(std::ffi::OsStr::to_str);
    let naming = Naming::others().find(|naming| Some(&*naming.beginning()) == beginning);
    let parent = path.parent().map(|parent| match parent.as_os_str() {
        // The parent of a single name.
        here if here.is_empty() => Path::new("."),
        _ => parent,
    });
    match (naming, parent) {
        (Some(naming), Some(parent)) if parent.is_dir() => search(&list(parent)?, Some(naming)),
        _ => Ok(None),
    }
}

fn list(path: &Path) -> Result<Folder, DataError> {
    Folder::list(path).map_err(|cause| DataError::unreadable(path, cause))
}

/// The subfolders that exist.
fn subfolders(folder: &Folder) -> Result<Vec<Folder>, DataError> {
    let paths = SUBFOLDERS.map(|below| folder.path.join(below));
    let there = paths.into_iter().filter(|path| path.is_dir());
    there.map(|path| list(&path)).collect()
}

fn kind_of(path: &Path) -> Result<FileKind, DataError> {
    let read = || {
        let mut head = Vec::new();
        // More than is examined: compressed data must contain the beginning of its content.
        File::open(path)?.take(1 << 16).read_to_end(&mut head)?;
        Ok(FileKind::unpacked(&head))
    };
    read().map_err(|cause| DataError::unreadable(path, cause))
}
