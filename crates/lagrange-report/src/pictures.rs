//! Kernels and images as PNG files within the page.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::{ExtendedColorType, ImageEncoder as _, codecs::png::PngEncoder};
use lagrange::Model;

/// Pixels, `[height, width, channels]`, as an address that holds them; none where they are no picture.
pub(crate) fn address(
    pixels: &[u8],
    height: usize,
    width: usize,
    channels: usize,
) -> Option<String> {
    let colour = match channels {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        _ => return None,
    };
    let mut png = Vec::new();
    let (wide, high) = (u32::try_from(width).ok()?, u32::try_from(height).ok()?);
    if pixels.len() != height * width * channels {
        return None;
    }
    PngEncoder::new(&mut png)
        .write_image(pixels, wide, high, colour)
        .ok()?;
    Some(format!("data:image/png;base64,{}", STANDARD.encode(png)))
}

/// A picture of a kernel.
pub(crate) struct KernelPicture {
    pub(crate) address: String,
}

/// The kernels of the first stage: grey means 0, and the largest weight of all is black or white.
pub(crate) fn kernels(model: &Model) -> Vec<KernelPicture> {
    let Some(stage) = model.network.stages().first() else {
        return Vec::new();
    };
    let weights = model.weights.stage(0);
    // The last row is the bias.
    let patches = || {
        weights
            .columns()
            .into_iter()
            .map(|kernel| kernel.into_iter().take(stage.patch()))
    };
    let most = patches()
        .flatten()
        .fold(f32::MIN_POSITIVE, |most, weight| most.max(weight.abs()));
    let shade = |weight: &f32| (127.5 + 127.5 * weight / most).round().clamp(0.0, 255.0) as u8;
    let pictures = patches().filter_map(|kernel| {
        let pixels: Vec<u8> = kernel.map(shade).collect();
        let (height, width) = (stage.kernel.height, stage.kernel.width);
        let address = address(&pixels, height, width, stage.input.channels)?;
        Some(KernelPicture { address })
    });
    pictures.collect()
}
