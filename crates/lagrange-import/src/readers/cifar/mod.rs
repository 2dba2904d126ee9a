//! CIFAR-10 and CIFAR-100, in both versions of their authors.

mod binary;
mod pickle;
mod python;
#[cfg(test)]
mod tests;

pub(crate) use binary::Binary;
pub(crate) use python::Pickle;

use crate::ImportError;
use crate::found::Block;
use crate::place::Place;

/// Side of a picture in pixels.
const SIDE: usize = 32;
/// Bytes of one channel of a picture, and of a picture.
const PLANE: usize = SIDE * SIDE;
const PICTURE: usize = 3 * PLANE;

/// A block of pictures whose channels follow each other, as all versions have them.
fn block<'a>(pictures: impl Iterator<Item = &'a [u8]>) -> Block {
    let mut pixels = Vec::new();
    for picture in pictures {
        let (red, rest) = picture.split_at(PLANE);
        let (green, blue) = rest.split_at(PLANE);
        let colours = red.iter().zip(green).zip(blue);
        pixels.extend(colours.flat_map(|((&red, &green), &blue)| [red, green, blue]));
    }
    Block {
        height: SIDE,
        width: SIDE,
        channels: 3,
        pixels,
    }
}

/// The names of classes by their numbers; the numbers themselves where no list is there.
fn labels(
    file: &str,
    numbers: impl Iterator<Item = usize>,
    names: Option<&[String]>,
) -> Result<Vec<String>, ImportError> {
    numbers
        .enumerate()
        .map(|(index, number)| match names {
            None => Ok(number.to_string()),
            Some(names) => names.get(number).cloned().ok_or_else(|| {
                let fault = format!(
                    "label {number} of sample {index}, but {} names",
                    names.len()
                );
                ImportError::malformed(file, fault)
            }),
        })
        .collect()
}

/// The place, or the folder of an archive in it, whichever is a set.
fn set_in(place: &Place, folders: &[&str], is_set: impl Fn(&Place) -> bool) -> Option<Place> {
    let here = Place::open(&place.path).ok().into_iter();
    let below = folders.iter().filter_map(|name| place.folder(name));
    here.chain(below).find(is_set)
}
