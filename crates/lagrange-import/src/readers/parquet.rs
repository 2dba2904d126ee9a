//! Parquet files with pictures, as the Hugging Face Hub stores them.

#[cfg(feature = "parquet")]
mod rows;

use crate::format::Reader;
use crate::found::Found;
use crate::place::{Place, has_extension};
use crate::{Format, ImportError, Options};
use std::path::PathBuf;

pub(crate) struct Parquet;

impl Reader for Parquet {
    fn format(&self) -> Format {
        Format::Parquet
    }

    fn fits(&self, place: &Place) -> bool {
        !files(place).is_empty()
    }

    #[cfg(feature = "parquet")]
    fn read(&self, place: &Place, _: &Options) -> Result<Found, ImportError> {
        let files = files(place);
        let paths: Vec<_> = files.iter().map(PathBuf::as_path).collect();
        let mut found = Found::default();
        for (split, path) in super::by_split(&paths)? {
            found.splits.insert(split);
            let malformed = |fault| ImportError::malformed(crate::names::shown(path), fault);
            crate::guard::guarded(|| rows::add(&mut found, path, split), malformed)?;
        }
        Ok(found)
    }

    #[cfg(not(feature = "parquet"))]
    fn read(&self, place: &Place, _: &Options) -> Result<Found, ImportError> {
        Err(ImportError::LeftOut {
            path: place.path.clone(),
            format: Format::Parquet,
            feature: "parquet",
        })
    }
}

/// The files there, or those of the folder `data`, or of the only folder that has some.
fn files(place: &Place) -> Vec<PathBuf> {
    let of = |place: &Place| -> Vec<PathBuf> {
        let files = place
            .files
            .iter()
            .filter(|path| has_extension(path, "parquet"));
        files.cloned().collect()
    };
    let here = of(place);
    if !here.is_empty() {
        return here;
    }
    if let Some(data) = place.folder("data") {
        return of(&data);
    }
    // A set of pictures in folders may have a thousand of them.
    let folders = place
        .folders
        .iter()
        .take(8)
        .filter_map(|path| Place::open(path).ok());
    let mut with_files = folders
        .map(|folder| of(&folder))
        .filter(|files| !files.is_empty());
    match (with_files.next(), with_files.next()) {
        (Some(files), None) => files,
        _ => Vec::new(),
    }
}
