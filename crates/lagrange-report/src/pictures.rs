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

/// The kernels of the first stage, each as the address of a picture that it holds: grey means 0, and the
/// largest weight of all is black or white. None where kernels have no picture, of two input channels.
#[must_use]
pub fn kernel_pictures(model: &Model) -> Vec<String> {
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
        address(&pixels, height, width, stage.input.channels)
    });
    pictures.collect()
}
