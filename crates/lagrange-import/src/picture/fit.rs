//! Sizes and channels.

use super::Pixels;
use image::imageops::{FilterType, crop_imm, resize};
use image::{GrayImage, ImageBuffer, Pixel, RgbImage};
use std::borrow::Cow;

/// Most pixels of a picture that is about to be cropped.
const MOST_PIXELS: u128 = 64_000_000;

/// The picture in `height` x `width` pixels: resized, its shape kept, until it just covers them, then its
/// centre.
///
/// # Errors
/// If it is so long that the resized picture would take more than 64 megapixels.
pub(crate) fn fit(pixels: Pixels<'_>, height: usize, width: usize) -> Result<Pixels<'_>, String> {
    if (pixels.height, pixels.width) == (height, width) {
        return Ok(pixels);
    }
    let covering = covering((pixels.height, pixels.width), (height, width))
        .ok_or_else(|| format!("{}x{} is too long and thin", pixels.height, pixels.width))?;
    let (own_height, own_width) = (side(pixels.height)?, side(pixels.width)?);
    let bytes = pixels.bytes.into_owned();
    let bytes = match pixels.channels {
        1 => GrayImage::from_raw(own_width, own_height, bytes)
            .map(|image| resized(&image, covering, (height, width))),
        _ => RgbImage::from_raw(own_width, own_height, bytes)
            .map(|image| resized(&image, covering, (height, width))),
    };
    Ok(Pixels {
        height,
        width,
        channels: pixels.channels,
        bytes: bytes.ok_or("its size is not that of its pixels")?.into(),
    })
}

fn side(length: usize) -> Result<u32, String> {
    u32::try_from(length).map_err(|_| format!("a side of {length} pixels is too long"))
}

/// The smallest size of the shape of `own` that covers `wanted`.
fn covering(own: (usize, usize), wanted: (usize, usize)) -> Option<(u32, u32)> {
    let ((h, w), (height, width)) = (
        (own.0 as u128, own.1 as u128),
        (wanted.0 as u128, wanted.1 as u128),
    );
    if h == 0 || w == 0 {
        return None;
    }
    let rounded = |a: u128, b: u128| (a + b / 2) / b;
    let (tall, wide) = match height * w >= width * h {
        true => (height, rounded(w * height, h).max(width)),
        false => (rounded(h * width, w).max(height), width),
    };
    match tall * wide <= MOST_PIXELS {
        true => Some((u32::try_from(tall).ok()?, u32::try_from(wide).ok()?)),
        false => None,
    }
}

/// Resizes to `covering` and takes the centre; sizes are heights and widths.
fn resized<P>(
    image: &ImageBuffer<P, Vec<u8>>,
    covering: (u32, u32),
    wanted: (usize, usize),
) -> Vec<u8>
where
    P: Pixel<Subpixel = u8> + 'static,
{
    let (height, width) = (wanted.0 as u32, wanted.1 as u32);
    let larger = resize(image, covering.1, covering.0, FilterType::Triangle);
    let (top, left) = ((covering.0 - height) / 2, (covering.1 - width) / 2);
    crop_imm(&larger, left, top, width, height)
        .to_image()
        .into_raw()
}

/// The bytes with `channels` channels: grey repeated, or colour as luma.
pub(crate) fn with_channels(bytes: Cow<'_, [u8]>, own: usize, channels: usize) -> Cow<'_, [u8]> {
    match (own, channels) {
        (1, 3) => bytes
            .iter()
            .flat_map(|&grey| [grey; 3])
            .collect::<Vec<_>>()
            .into(),
        (3, 1) => bytes.chunks_exact(3).map(luma).collect::<Vec<_>>().into(),
        _ => bytes,
    }
}

/// Luma of ITU-R BT.709 in whole numbers.
fn luma(pixel: &[u8]) -> u8 {
    let parts = pixel.iter().zip([2126_u32, 7152, 722]);
    let sum: u32 = parts
        .map(|(&value, weight)| u32::from(value) * weight)
        .sum();
    ((sum + 5_000) / 10_000) as u8
}
