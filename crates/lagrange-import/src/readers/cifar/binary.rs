//! The version for C programs: records of labels and pixels.

use super::{PICTURE, block, labels, set_in};
use crate::format::Reader;
use crate::found::Found;
use crate::names::{shown, tidy};
use crate::place::{Place, contents, name_of};
use crate::{Format, ImportError, Options, Split};
use std::path::Path;

pub(crate) struct Binary;

/// Folders of the archives.
const FOLDERS: [&str; 2] = ["cifar-10-batches-bin", "cifar-100-binary"];

impl Reader for Binary {
    fn format(&self) -> Format {
        Format::CifarBinary
    }

    fn fits(&self, place: &Place) -> bool {
        place.is_folder && set(place).is_some()
    }

    fn read(&self, place: &Place, _: &Options) -> Result<Found, ImportError> {
        let mut found = Found::default();
        let Some(place) = set(place) else {
            return Ok(found);
        };
        let files = files(&place);
        let coarse = files.iter().all(|(_, path)| !is_batch(path));
        let list = match coarse {
            true => "fine_label_names.txt",
            false => "batches.meta.txt",
        };
        let names = place.file(list).map(lines).transpose()?;
        for (split, path) in files {
            add(
                &mut found,
                split,
                path,
                usize::from(coarse),
                names.as_deref(),
            )?;
        }
        Ok(found)
    }
}

fn set(place: &Place) -> Option<Place> {
    set_in(place, &FOLDERS, |place| !files(place).is_empty())
}

fn is_batch(path: &Path) -> bool {
    name_of(path).contains("_batch")
}

/// The files of a set: batches, or those of CIFAR-100.
fn files(place: &Place) -> Vec<(Split, &Path)> {
    let batches = place.files.iter().filter_map(|path| {
        let name = name_of(path);
        let stem = name.strip_suffix(".bin")?;
        let number = stem.strip_prefix("data_batch_");
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        match (stem, number.is_some_and(is_number)) {
            ("test_batch", _) => Some((Split::Test, path.as_path())),
            (_, true) => Some((Split::Train, path.as_path())),
            _ => None,
        }
    });
    let batches: Vec<_> = batches.collect();
    if !batches.is_empty() {
        return batches;
    }
    match (place.file("train.bin"), place.file("test.bin")) {
        (Some(train), Some(test)) => vec![(Split::Train, train), (Split::Test, test)],
        _ => Vec::new(),
    }
}

/// Adds the records of a file. Each begins with its labels, the last of which counts.
fn add(
    found: &mut Found,
    split: Split,
    path: &Path,
    coarse: usize,
    names: Option<&[String]>,
) -> Result<(), ImportError> {
    let bytes = contents(path)?;
    let record = coarse + 1 + PICTURE;
    if !bytes.len().is_multiple_of(record) {
        return Err(ImportError::malformed(
            shown(path),
            format!(
                "{} bytes are not a multiple of {record}, the bytes of a picture with its label; \
                 the file is cut off or of another kind",
                bytes.len()
            ),
        ));
    }
    let records = || bytes.chunks_exact(record);
    let numbers = records().map(|record| usize::from(record[coarse]));
    let labels = labels(&shown(path), numbers, names)?;
    found.add_block(
        split,
        block(records().map(|record| &record[coarse + 1..])),
        &labels,
    );
    Ok(())
}

/// The lines of a list of names, without empty ones.
fn lines(path: &Path) -> Result<Vec<String>, ImportError> {
    let bytes = contents(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(|line| tidy(line.trim()));
    Ok(lines.filter(|line| !line.is_empty()).collect())
}
