//! A folder for each class, perhaps within a folder for each split.

use super::labels::LabelsFile;
use crate::format::Reader;
use crate::found::{Found, Picture, Sample};
use crate::names::{pictures, shown};
use crate::picture::{is_left_out, is_picture};
use crate::place::{Place, any_below, below, is_hidden, list, name_of, relative};
use crate::{Format, ImportError, Options, Split};
use std::path::{Path, PathBuf};

pub(crate) struct ImageFolder;

impl Reader for ImageFolder {
    fn format(&self) -> Format {
        Format::ImageFolder
    }

    /// Whether there are pictures in folders, without a labels file that says more about them.
    fn fits(&self, place: &Place) -> bool {
        let mut folders = place.folders.iter().filter(|path| !is_hidden(path));
        place.is_folder
            && folders.any(|path| any_below(path, |file| is_picture(file) || is_left_out(file)))
            && !LabelsFile.fits(place)
    }

    fn read(&self, place: &Place, _: &Options) -> Result<Found, ImportError> {
        let mut found = Found::default();
        let visible = place.folders.iter().filter(|path| !is_hidden(path));
        let (splits, others): (Vec<&PathBuf>, Vec<&PathBuf>) =
            visible.partition(|path| Split::named(&name_of(path)).is_some());
        if splits.is_empty() {
            for folder in others {
                add_class(&mut found, &place.path, folder, Split::Train)?;
            }
            return Ok(with_warnings(found, place, loose(&place.files)));
        }
        let mut outside = loose(&place.files);
        for folder in splits {
            let Some(split) = Split::named(&name_of(folder)) else {
                continue;
            };
            if !found.splits.insert(split) {
                return Err(two_folders(place, split));
            }
            let (files, classes) = list(folder)?;
            let unlabelled = loose(&files);
            outside += unlabelled;
            let before = found.samples.len();
            for class in classes.iter().filter(|path| !is_hidden(path)) {
                add_class(&mut found, &place.path, class, split)?;
            }
            if unlabelled > 0 && found.samples.len() == before {
                return Err(unlabelled_split(folder, unlabelled));
            }
        }
        for folder in others
            .into_iter()
            .filter(|path| any_below(path, is_picture))
        {
            let name = relative(folder, &place.path);
            found.warnings.push(format!(
                "{name}/ is not the name of a split and was left out"
            ));
        }
        Ok(with_warnings(found, place, outside))
    }
}

/// Adds the pictures below a class's folder.
fn add_class(
    found: &mut Found,
    root: &Path,
    folder: &Path,
    split: Split,
) -> Result<(), ImportError> {
    let class = found.classes.number(&name_of(folder));
    let mut left_out = 0;
    for path in below(folder)? {
        if is_hidden(&path) || !is_picture(&path) {
            left_out += usize::from(!is_hidden(&path) && is_left_out(&path));
            found.skipped += 1;
            continue;
        }
        found.samples.push(Sample {
            split,
            class,
            name: relative(&path, root),
            picture: Picture::File(path),
        });
    }
    if left_out > 0 {
        found.warnings.push(format!(
            "{}/ has {} of kinds that need a build with the feature `more-formats`",
            relative(folder, root),
            pictures(left_out)
        ));
    }
    Ok(())
}

fn unlabelled_split(folder: &Path, count: usize) -> ImportError {
    ImportError::malformed(
        shown(folder),
        format!(
            "{} without labels: put each in a folder of its class's name; or move this folder away, and a test \
             split is held out of the training pictures",
            pictures(count)
        ),
    )
}

fn two_folders(place: &Place, split: Split) -> ImportError {
    let of_split = |path: &&PathBuf| Split::named(&name_of(path)) == Some(split);
    let folders = place.folders.iter().filter(of_split);
    let names: Vec<_> = folders.map(|path| name_of(path)).collect();
    ImportError::malformed(
        shown(&place.path),
        format!(
            "the folders {} are all the {split} split; keep one",
            names.join(" and ")
        ),
    )
}

/// Number of pictures among files that lie in no class's folder.
fn loose(files: &[PathBuf]) -> usize {
    files
        .iter()
        .filter(|path| is_picture(path) && !is_hidden(path))
        .count()
}

fn with_warnings(mut found: Found, place: &Place, loose: usize) -> Found {
    if loose > 0 {
        found.warnings.push(format!(
            "{}: {} in no class's folder, left out",
            shown(&place.path),
            pictures(loose)
        ));
    }
    found
}
