//! Pictures without labels, for a model to say what they are.

use crate::guard::guarded;
use crate::picture::{Pixels, decode, fit, is_picture, with_channels};
use crate::place::{below, has_extension, head, is_hidden};
use crate::readers::{arrays, idx};
use crate::{ImportError, names::shown};
use lagrange_data::Shape;
use rayon::prelude::*;
use std::path::Path;

/// A picture that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlabelled {
    /// The file, and where it holds several the number of the picture in brackets.
    pub name: String,
    /// `height * width * channels` bytes, channels last; or what is wrong with the file.
    pub pixels: Result<Vec<u8>, String>,
}

/// Pictures that are decoded at a time.
const BLOCK: usize = 256;

/// Gives every picture at `path` to `each`, a few at a time, brought to `shape` as an import with these size
/// and channels does: a picture, all pictures in a folder at any depth, the images of a `.npz` or `.npy` file
/// or of an IDX file.
///
/// ```
/// use lagrange_data::Shape;
///
/// let shape = Shape { height: 1, width: 2, channels: 1 };
/// let mut faults = Vec::new();
/// let file = tempfile::NamedTempFile::new()?;
/// lagrange_import::unlabelled(file.path(), shape, &mut |pictures| {
///     faults.extend(pictures.into_iter().map(|picture| picture.pixels.unwrap_err()));
/// })?;
/// assert_eq!(faults, ["it is empty"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ImportError`] if there is nothing at the path, no picture in a folder, or no image in an array's file.
pub fn unlabelled(
    path: &Path,
    shape: Shape,
    each: &mut dyn FnMut(Vec<Unlabelled>),
) -> Result<(), ImportError> {
    let kind = std::fs::metadata(path).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::NotFound => ImportError::Absent {
            path: path.to_owned(),
        },
        _ => ImportError::unreadable(path, cause),
    })?;
    if kind.is_dir() {
        let files = below(path)?.into_iter();
        let files: Vec<_> = files
            .filter(|file| is_picture(file) && !is_hidden(file))
            .collect();
        if files.is_empty() {
            let fault = "no picture is in this folder";
            return Err(ImportError::malformed(shown(path), fault));
        }
        for files in files.chunks(BLOCK) {
            each(files.par_iter().map(|file| of_file(file, shape)).collect());
        }
        return Ok(());
    }
    let blocks = if has_extension(path, "npz") || has_extension(path, "npy") {
        arrays::images(path)?
    } else if idx::is_images(&head(path, 4)) || has_extension(path, "gz") {
        vec![idx::images(path)?]
    } else {
        each(vec![of_file(path, shape)]);
        return Ok(());
    };
    for block in blocks {
        let numbers: Vec<usize> = (0..block.count()).collect();
        for numbers in numbers.chunks(BLOCK) {
            let picture = |&number: &usize| Unlabelled {
                name: format!("{}[{number}]", shown(path)),
                pixels: brought_to(block.picture(number), shape),
            };
            each(numbers.par_iter().map(picture).collect());
        }
    }
    Ok(())
}

fn of_file(path: &Path, shape: Shape) -> Unlabelled {
    let file = std::fs::read(path).map_err(|error| error.to_string());
    let pixels = file.and_then(|file| unlabelled_picture(&file, shape));
    Unlabelled {
        name: shown(path),
        pixels,
    }
}

/// The pixels of the picture file with these contents, brought to `shape` likewise.
///
/// # Errors
/// What is wrong with the file.
pub fn unlabelled_picture(file: &[u8], shape: Shape) -> Result<Vec<u8>, String> {
    let pixels = guarded(|| decode(file), str::to_owned)?;
    brought_to(pixels, shape)
}

fn brought_to(pixels: Pixels<'_>, shape: Shape) -> Result<Vec<u8>, String> {
    let pixels = fit(pixels, shape.height, shape.width)?;
    Ok(with_channels(pixels.bytes, pixels.channels, shape.channels).into_owned())
}
