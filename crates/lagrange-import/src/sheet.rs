//! A sheet of sample pictures.

use crate::{ImportError, Imported};
use image::{ExtendedColorType, ImageEncoder as _, codecs::png::PngEncoder};

/// Pixels between pictures, and around them.
const GAP: usize = 2;
/// Most bytes of a sheet, before it is compressed.
const MOST_BYTES: usize = 64 << 20;
const BACKGROUND: u8 = 255;

/// A PNG file with a row for each class, in their order, of its first `count` training pictures.
///
/// A sheet has at most 64 MB before compression: of many classes or large pictures, only the first
/// rows and columns that fit are there, one picture at least.
///
/// # Errors
/// [`ImportError::Malformed`] if the pixels of the set do not belong to its labels.
pub fn contact_sheet(set: &Imported, count: usize) -> Result<Vec<u8>, ImportError> {
    let malformed = |fault: &str| ImportError::malformed("contact sheet", fault);
    let size = set.sample_bytes();
    if set.train.pixels.len() != size * set.train.len() || size == 0 {
        return Err(malformed("the pixels do not belong to the labels"));
    }
    let row_bytes = |columns: usize| {
        let width = columns.saturating_mul(set.width + GAP).saturating_add(GAP);
        width.saturating_mul((set.height + GAP).saturating_mul(set.channels))
    };
    let mut columns = count.clamp(1, 1000);
    while columns > 1 && row_bytes(columns) > MOST_BYTES {
        columns /= 2;
    }
    let rows = set
        .classes
        .len()
        .min(MOST_BYTES / row_bytes(columns))
        .max(1);
    let (height, width) = (
        rows * (set.height + GAP) + GAP,
        columns * (set.width + GAP) + GAP,
    );
    let mut sheet = vec![BACKGROUND; height * width * set.channels];
    let mut filled = vec![0; rows];
    let line = set.width * set.channels;
    for (picture, &label) in set.train.pixels.chunks_exact(size).zip(&set.train.labels) {
        let class = usize::from(label);
        if class >= rows || filled[class] == columns {
            continue;
        }
        let top = GAP + class * (set.height + GAP);
        let left = GAP + filled[class] * (set.width + GAP);
        for (row, pixels) in picture.chunks_exact(line).enumerate() {
            let start = ((top + row) * width + left) * set.channels;
            sheet[start..][..line].copy_from_slice(pixels);
        }
        filled[class] += 1;
    }
    let colour = match set.channels {
        1 => ExtendedColorType::L8,
        _ => ExtendedColorType::Rgb8,
    };
    let mut png = Vec::new();
    let sides = (u32::try_from(width), u32::try_from(height));
    let (Ok(width), Ok(height)) = sides else {
        return Err(malformed("the pictures are too large"));
    };
    let encoded = PngEncoder::new(&mut png).write_image(&sheet, width, height, colour);
    encoded.map_err(|error| malformed(&crate::names::tidy(&error.to_string())))?;
    Ok(png)
}
