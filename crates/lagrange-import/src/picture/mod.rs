//! Decoding of pictures, and bringing them to a size and a number of channels.

mod fit;
mod jpeg;
#[cfg(test)]
mod tests;

pub(crate) use fit::{fit, with_channels};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use std::borrow::Cow;
use std::io::Cursor;
use std::path::Path;

/// A decoded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pixels<'a> {
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// 1 or 3.
    pub(crate) channels: usize,
    /// Rows from the top, channels last.
    pub(crate) bytes: Cow<'a, [u8]>,
}

/// Most pixels of a picture, and most bytes of it once decoded: what is larger is taken for a bomb.
const MOST_PIXELS: u64 = 64_000_000;
const MOST_BYTES: u64 = 512 << 20;

/// Extensions of pictures that this build reads.
const READ: &[&str] = if cfg!(feature = "more-formats") {
    &[
        "png", "jpg", "jpeg", "bmp", "gif", "webp", "tif", "tiff", "ppm", "pgm", "pbm", "pnm",
    ]
} else {
    &["png", "jpg", "jpeg"]
};

/// Extensions of pictures that this build leaves out.
const LEFT_OUT: &[&str] = if cfg!(feature = "more-formats") {
    &[]
} else {
    &[
        "bmp", "gif", "webp", "tif", "tiff", "ppm", "pgm", "pbm", "pnm",
    ]
};

/// Whether a file's extension is that of a picture that this build reads.
pub(crate) fn is_picture(path: &Path) -> bool {
    is_among(path, READ)
}

/// Whether it is that of a picture that a build with `more-formats` reads.
pub(crate) fn is_left_out(path: &Path) -> bool {
    is_among(path, LEFT_OUT)
}

fn is_among(path: &Path, extensions: &[&str]) -> bool {
    let own = path.extension();
    own.is_some_and(|own| extensions.iter().any(|one| own.eq_ignore_ascii_case(one)))
}

/// Decodes a picture file, whose kind is told by its first bytes.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn decode(file: &[u8]) -> Result<Pixels<'static>, String> {
    let reader = ImageReader::new(Cursor::new(file)).with_guessed_format();
    let mut reader = reader.map_err(|error| error.to_string())?;
    match reader.format() {
        None if file.is_empty() => return Err("it is empty".to_owned()),
        None => return Err("it is not a picture".to_owned()),
        // The decoder fills up what is missing.
        Some(ImageFormat::Jpeg) if !jpeg::is_whole(file) => return Err("it is cut off".to_owned()),
        Some(_) => {}
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(fault)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MOST_PIXELS || decoder.total_bytes() > MOST_BYTES {
        return Err(format!(
            "{height}x{width} is more than 64 megapixels or 512 MB"
        ));
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(fault)?;
    image.apply_orientation(orientation);
    let (height, width) = (image.height() as usize, image.width() as usize);
    let (channels, bytes) = to_bytes(image)?;
    Ok(Pixels {
        height,
        width,
        channels,
        bytes: bytes.into(),
    })
}

/// The message of a decoder on one line.
fn fault(error: ImageError) -> String {
    crate::names::tidy(&error.to_string())
}

/// Number of channels, and bytes: the high byte of 16 bits, and what is transparent over black.
fn to_bytes(image: DynamicImage) -> Result<(usize, Vec<u8>), String> {
    Ok(match image {
        DynamicImage::ImageLuma8(image) => (1, image.into_raw()),
        DynamicImage::ImageRgb8(image) => (3, image.into_raw()),
        DynamicImage::ImageLumaA8(image) => (1, over_black(&image.into_raw(), 2)),
        DynamicImage::ImageRgba8(image) => (3, over_black(&image.into_raw(), 4)),
        DynamicImage::ImageLuma16(image) => (1, high(&image.into_raw())),
        DynamicImage::ImageRgb16(image) => (3, high(&image.into_raw())),
        DynamicImage::ImageLumaA16(image) => (1, high_over_black(&image.into_raw(), 2)),
        DynamicImage::ImageRgba16(image) => (3, high_over_black(&image.into_raw(), 4)),
        other => {
            return Err(format!(
                "pixels of type {:?} are not supported",
                other.color()
            ));
        }
    })
}

fn over_black(samples: &[u8], channels: usize) -> Vec<u8> {
    let shade = |value: u8, alpha: u8| ((u16::from(value) * u16::from(alpha) + 127) / 255) as u8;
    shaded(samples, channels, shade)
}

fn high(samples: &[u16]) -> Vec<u8> {
    samples.iter().map(|&value| (value >> 8) as u8).collect()
}

fn high_over_black(samples: &[u16], channels: usize) -> Vec<u8> {
    shaded(samples, channels, |value, alpha| {
        let shaded = (u32::from(value) * u32::from(alpha) + 32_767) / 65_535;
        (shaded >> 8) as u8
    })
}

/// What `shade` makes of every value and the alpha of its pixel, the last of its `channels`.
fn shaded<T: Copy>(samples: &[T], channels: usize, shade: impl Fn(T, T) -> u8) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(samples.len());
    for pixel in samples.chunks_exact(channels) {
        if let Some((&alpha, values)) = pixel.split_last() {
            bytes.extend(values.iter().map(|&value| shade(value, alpha)));
        }
    }
    bytes
}
