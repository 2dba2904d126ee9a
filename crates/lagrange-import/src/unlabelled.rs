//! Pictures without labels, for a model to say what they are.

use crate::guard::guarded;
use crate::picture::{Pixels, decode, fit, is_picture, with_channels};
use crate::place::{below, has_extension, head, is_hidden};
use crate::readers::{arrays, idx};
use crate::{ImportError, names::shown, threads};
use lagrange_data::Shape;
use rayon::prelude::*;
use std::fs::File;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

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
/// Most bytes of a picture file.
const MOST_BYTES: u64 = 1 << 30;

/// Gives every picture at `path` to `each`, a few at a time, until it breaks, brought to `shape` as an import
/// with these size and channels does: a picture, all pictures in a folder at any depth, the images of a `.npz`
/// or `.npy` file or of an IDX file. Of a pipe, one picture is read.
///
/// ```
/// use lagrange_data::Shape;
/// use std::ops::ControlFlow;
///
/// let shape = Shape { height: 1, width: 2, channels: 1 };
/// let mut faults = Vec::new();
/// let file = tempfile::NamedTempFile::new()?;
/// lagrange_import::unlabelled(file.path(), shape, &mut |pictures| {
///     faults.extend(pictures.into_iter().map(|picture| picture.pixels.unwrap_err()));
///     ControlFlow::Continue(())
/// })?;
/// assert_eq!(faults, ["it is empty"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ImportError`] if there are no threads to decode on, nothing is at the path, no picture in a folder, or no image in an array's file.
pub fn unlabelled(
    path: &Path,
    shape: Shape,
    each: &mut dyn FnMut(Vec<Unlabelled>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, ImportError> {
    threads::ensure()?;
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
        let pictures =
            |files: &[PathBuf]| each(files.par_iter().map(|file| of_file(file, shape)).collect());
        return Ok(files.chunks(BLOCK).try_for_each(pictures));
    }
    // What a look at the head of a pipe takes is gone.
    let blocks = if !kind.is_file() {
        return Ok(each(vec![of_file(path, shape)]));
    } else if has_extension(path, "npz") || has_extension(path, "npy") {
        arrays::images(path)?
    } else if idx::is_images(&head(path, 4)) || has_extension(path, "gz") {
        vec![idx::images(path)?]
    } else {
        return Ok(each(vec![of_file(path, shape)]));
    };
    for block in blocks {
        let numbers: Vec<usize> = (0..block.count()).collect();
        for numbers in numbers.chunks(BLOCK) {
            let picture = |&number: &usize| Unlabelled {
                name: format!("{}[{number}]", shown(path)),
                pixels: brought_to(block.picture(number), shape),
            };
            if each(numbers.par_iter().map(picture).collect()).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn of_file(path: &Path, shape: Shape) -> Unlabelled {
    let pixels = file(path).and_then(|file| unlabelled_picture(&file, shape));
    Unlabelled {
        name: shown(path),
        pixels,
    }
}

/// The contents of a picture file. What is no file may have no end.
fn file(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let opened = File::open(path).map(|file| file.take(MOST_BYTES + 1));
    let read = opened.and_then(|mut file| file.read_to_end(&mut bytes));
    match read.map_err(|error| error.to_string())? as u64 {
        0..=MOST_BYTES => Ok(bytes),
        _ => Err(format!("more than {} MB", MOST_BYTES >> 20)),
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
