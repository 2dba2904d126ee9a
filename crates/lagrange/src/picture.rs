//! Kernels as pictures, and pictures as PNG files.

use crate::Network;
use image::{ExtendedColorType, ImageEncoder as _, codecs::png::PngEncoder};
use lagrange_core::weights::Weights;

/// A picture, grey or in colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Rows.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    /// 1 for grey, 3 for red, green and blue.
    pub channels: usize,
    /// Bytes, `[height, width, channels]`.
    pub pixels: Vec<u8>,
}

impl Picture {
    /// The picture as a PNG file; none if it has other channels than a picture has, or other pixels than its
    /// shape says.
    ///
    /// ```
    /// let mut dot = lagrange::Picture { height: 1, width: 1, channels: 1, pixels: vec![127] };
    /// assert!(dot.png().is_some_and(|png| png.starts_with(b"\x89PNG")));
    /// dot.channels = 2;
    /// assert_eq!(dot.png(), None);
    /// ```
    #[must_use]
    pub fn png(&self) -> Option<Vec<u8>> {
        let colour = match self.channels {
            1 => ExtendedColorType::L8,
            3 => ExtendedColorType::Rgb8,
            _ => return None,
        };
        if self.pixels.len() != self.height * self.width * self.channels {
            return None;
        }
        let (width, height) = (self.width.try_into().ok()?, self.height.try_into().ok()?);
        let mut png = Vec::new();
        let encoder = PngEncoder::new(&mut png);
        encoder
            .write_image(&self.pixels, width, height, colour)
            .ok()?;
        Some(png)
    }
}

/// The kernels of the first stage of `network`, in the order of its channels: grey is 0, and the largest weight
/// of all is black or white.
#[must_use]
pub fn kernel_pictures(network: &Network, weights: &Weights) -> Vec<Picture> {
    let Some(stage) = network.stages().first() else {
        return Vec::new();
    };
    let weights = weights.stage(0);
    // The last row is the bias.
    let kernels = || weights.columns().into_iter();
    let patches = || kernels().map(|kernel| kernel.into_iter().take(stage.patch()));
    let most = patches()
        .flatten()
        .fold(f32::MIN_POSITIVE, |most, weight| most.max(weight.abs()));
    let shade = |weight: &f32| (127.5 + 127.5 * weight / most).round().clamp(0.0, 255.0) as u8;
    let pictures = patches().map(|kernel| Picture {
        height: stage.kernel.height,
        width: stage.kernel.width,
        channels: stage.input.channels,
        pixels: kernel.map(shade).collect(),
    });
    pictures.collect()
}
