//! Sets found in a folder, whole or in part.

use super::folder::Folder;
use super::names::{Naming, Role};
use crate::DataError;
use std::path::PathBuf;

/// A set of which at least one file is there.
pub(super) struct Found<'a> {
    folder: &'a Folder,
    naming: Naming,
    paths: [Option<PathBuf>; 4],
}

/// The sets in `folder`, or the one with names of `only`. A folder with any of MNIST's names counts as MNIST,
/// whatever else is in it: a missing file must not select another set unnoticed.
pub(super) fn sets(folder: &Folder, only: Option<Naming>) -> Vec<Found<'_>> {
    let found = |naming| Found::look(folder, naming);
    match only {
        Some(naming) => found(naming).into_iter().collect(),
        None => match found(Naming::Mnist) {
            Some(mnist) => vec![mnist],
            None => Naming::others().filter_map(found).collect(),
        },
    }
}

impl<'a> Found<'a> {
    fn look(folder: &'a Folder, naming: Naming) -> Option<Self> {
        let paths = Role::ALL.map(|role| folder.find(&naming.names(role)));
        let any = paths.iter().any(Option::is_some);
        any.then_some(Self {
            folder,
            naming,
            paths,
        })
    }

    /// The four files.
    ///
    /// # Errors
    /// [`DataError::MissingFiles`] if one of the four is missing.
    pub(super) fn whole(self) -> Result<[PathBuf; 4], DataError> {
        match self.paths {
            [Some(a), Some(b), Some(c), Some(d)] => Ok([a, b, c, d]),
            paths => {
                let roles = Role::ALL.into_iter().zip(paths);
                let missing = roles.filter(|(_, path)| path.is_none());
                let missing: Vec<_> = missing.map(|(role, _)| role).collect();
                Err(missing_files(self.folder, self.naming, &missing))
            }
        }
    }

    /// Path that selects this set and no other.
    pub(super) fn choice(&self) -> PathBuf {
        match self.naming {
            Naming::Mnist => self.folder.path.clone(),
            naming => self.folder.path.join(naming.beginning()),
        }
    }
}

/// The error that `folder` lacks the files of `missing`.
pub(super) fn missing_files(folder: &Folder, naming: Naming, missing: &[Role]) -> DataError {
    let name = |&role| naming.names(role).swap_remove(0);
    DataError::MissingFiles {
        directory: folder.path.clone(),
        missing: missing.iter().map(name).collect(),
        holds: folder.holdings(),
    }
}
