//! The version for Python: pickled dictionaries.

use super::pickle::{Bytes, Value, load};
use super::{PICTURE, block, labels, set_in};
use crate::format::Reader;
use crate::found::Found;
use crate::names::{shown, tidy};
use crate::place::{Place, contents, head, name_of};
use crate::{Format, ImportError, Options, Split};
use std::path::Path;

pub(crate) struct Pickle;

/// Folders of the archives.
const FOLDERS: [&str; 2] = ["cifar-10-batches-py", "cifar-100-python"];

impl Reader for Pickle {
    fn format(&self) -> Format {
        Format::CifarPickle
    }

    fn fits(&self, place: &Place) -> bool {
        place.is_folder && set(place).is_some()
    }

    fn read(&self, place: &Place, _: &Options) -> Result<Found, ImportError> {
        let mut found = Found::default();
        let Some(place) = set(place) else {
            return Ok(found);
        };
        let meta = place.file("batches.meta").or_else(|| place.file("meta"));
        let names = meta.map(names).transpose()?;
        for (split, path) in files(&place) {
            add(&mut found, split, path, names.as_deref())?;
        }
        Ok(found)
    }
}

fn set(place: &Place) -> Option<Place> {
    set_in(place, &FOLDERS, |place| !files(place).is_empty())
}

/// The batches of CIFAR-10, or the two files of CIFAR-100.
fn files(place: &Place) -> Vec<(Split, &Path)> {
    let split = |name: &str| match name {
        "test_batch" | "test" => Some(Split::Test),
        "train" => Some(Split::Train),
        _ => name.starts_with("data_batch_").then_some(Split::Train),
    };
    let named = place
        .files
        .iter()
        .filter_map(|path| Some((split(&name_of(path))?, path)));
    // A file called `train` may be anything.
    let pickles = named.filter(|(_, path)| head(path, 1) == [0x80]);
    pickles
        .map(|(split, path)| (split, path.as_path()))
        .collect()
}

fn unpickled(path: &Path) -> Result<Value, ImportError> {
    load(&contents(path)?).map_err(|fault| ImportError::malformed(shown(path), tidy(&fault)))
}

fn names(path: &Path) -> Result<Vec<String>, ImportError> {
    let meta = unpickled(path)?;
    let list = meta
        .get("fine_label_names")
        .or_else(|| meta.get("label_names"));
    let names = list.and_then(Value::as_list).and_then(|list| {
        let names = list.iter().map(Value::as_text);
        names.collect::<Option<Vec<_>>>()
    });
    names.ok_or_else(|| {
        ImportError::malformed(shown(path), "no list label_names or fine_label_names")
    })
}

fn add(
    found: &mut Found,
    split: Split,
    path: &Path,
    names: Option<&[String]>,
) -> Result<(), ImportError> {
    let batch = unpickled(path)?;
    let malformed = |fault: &str| ImportError::malformed(shown(path), fault);
    let Some(Value::Array(Some(Bytes { shape, data }))) = batch.get("data") else {
        return Err(malformed("no array called data"));
    };
    if !matches!(shape[..], [_, PICTURE]) {
        return Err(malformed(&format!(
            "data of shape {shape:?}; N x {PICTURE} is needed"
        )));
    }
    let list = batch.get("fine_labels").or_else(|| batch.get("labels"));
    let numbers = list.and_then(Value::as_list).and_then(|list| {
        let numbers = list.iter().map(Value::as_int);
        numbers.collect::<Option<Vec<_>>>()
    });
    let numbers = numbers.ok_or_else(|| malformed("no list labels or fine_labels"))?;
    if numbers.len() != shape[0] {
        return Err(malformed(&format!(
            "{} images but {} labels",
            shape[0],
            numbers.len()
        )));
    }
    let labels = labels(&shown(path), numbers.into_iter(), names)?;
    found.add_block(split, block(data.chunks_exact(PICTURE)), &labels);
    Ok(())
}
