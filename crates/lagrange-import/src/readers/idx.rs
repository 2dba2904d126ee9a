//! IDX files, as `lagrange-data` reads them.

use crate::format::Reader;
use crate::found::{Block, Found};
use crate::names::shown;
use crate::place::{Place, contents, name_of};
use crate::{Format, ImportError, Options, Split};
use lagrange_data::{Dataset, SUBFOLDERS, read_images};
use std::path::Path;

pub(crate) struct Idx;

impl Reader for Idx {
    fn format(&self) -> Format {
        Format::Idx
    }

    fn fits(&self, place: &Place) -> bool {
        let here = has_idx(place);
        let mut below = SUBFOLDERS.iter().map(|name| place.path.join(name));
        here || below.any(|path| Place::open(&path).is_ok_and(|place| has_idx(&place)))
    }

    fn read(&self, place: &Place, _: &Options) -> Result<Found, ImportError> {
        found(&place.path)
    }
}

/// The set in the folder `path`, or of the files in it whose names begin so.
pub(crate) fn found(path: &Path) -> Result<Found, ImportError> {
    let set = Dataset::from_dir(path).map_err(ImportError::Idx)?;
    let mut found = Found::default();
    for (split, part) in [(Split::Train, set.train), (Split::Test, set.test)] {
        let labels = part.labels.iter();
        let labels: Vec<_> = labels
            .map(|&label| &*set.classes[usize::from(label)])
            .collect();
        let images = part.images;
        let block = Block {
            height: images.height,
            width: images.width,
            channels: images.channels,
            pixels: images.pixels,
        };
        found.add_block(split, block, &labels);
    }
    Ok(found)
}

/// Whether a file that begins so is one of images.
pub(crate) fn is_images(head: &[u8]) -> bool {
    head.starts_with(&[0, 0, 8, 3])
}

/// The images of one file, plain or gzip-compressed.
pub(crate) fn images(path: &Path) -> Result<Block, ImportError> {
    let images = read_images(&contents(path)?);
    let images = images.map_err(|fault| ImportError::malformed(shown(path), fault.to_string()))?;
    Ok(Block {
        height: images.height,
        width: images.width,
        channels: images.channels,
        pixels: images.pixels,
    })
}

fn has_idx(place: &Place) -> bool {
    // Some archives unpack each file into a folder of its name.
    let all = place.files.iter().chain(&place.folders);
    all.into_iter().any(|path| is_idx(&name_of(path)))
}

/// Whether a name is as in `train-images-idx3-ubyte.gz` or `t10k-labels.idx1-ubyte`.
fn is_idx(name: &str) -> bool {
    let mut ends = name.split("idx").skip(1);
    ends.any(|end| {
        let kind = end.strip_prefix(|c: char| c.is_ascii_digit());
        kind.is_some_and(|kind| kind.starts_with("-ubyte") || kind.starts_with("-int"))
    })
}

/// Whether `path` is no file, but the common beginning of the names of IDX files, as `emnist-letters` is.
pub(crate) fn is_beginning(path: &Path) -> bool {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return false;
    };
    let parent = match parent.as_os_str() {
        here if here.is_empty() => Path::new("."),
        _ => parent,
    };
    if path.exists() {
        return false;
    }
    let beginning = format!("{}-", name.to_string_lossy());
    let begins = |place: Place| {
        let mut names = place.files.iter().map(|path| name_of(path));
        names.any(|name| name.starts_with(&beginning) && is_idx(&name))
    };
    let folders =
        std::iter::once(parent.to_owned()).chain(SUBFOLDERS.map(|name| parent.join(name)));
    folders
        .into_iter()
        .any(|path| Place::open(&path).is_ok_and(begins))
}
