//! Pixels to network inputs: `(x / 255 - MEAN) / STANDARD_DEVIATION`.

use std::sync::LazyLock;

/// Mean of MNIST's training pixels, scaled to 0..1.
pub const MEAN: f32 = 0.1307;
/// Standard deviation of MNIST's training pixels, scaled to 0..1.
pub const STANDARD_DEVIATION: f32 = 0.3081;

static TABLE: LazyLock<[f32; 256]> =
    LazyLock::new(|| std::array::from_fn(|pixel| normalised(pixel as f32)));

/// The input of a pixel of 0 to 255, or of a mean of pixels.
pub(crate) fn normalised(pixel: f32) -> f32 {
    (pixel / 255.0 - MEAN) / STANDARD_DEVIATION
}

/// Writes the normalised `pixels` to `inputs`.
///
/// # Panics
/// If the lengths differ.
pub fn normalise(pixels: &[u8], inputs: &mut [f32]) {
    assert_eq!(pixels.len(), inputs.len(), "one input per pixel");
    let table = &*TABLE;
    for (input, &pixel) in inputs.iter_mut().zip(pixels) {
        *input = table[usize::from(pixel)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn black_and_white_have_the_known_values() {
        let mut inputs = [0.0; 2];
        normalise(&[0, 255], &mut inputs);
        assert!((inputs[0] + 0.424_213).abs() < 1e-5);
        assert!((inputs[1] - 2.821_487).abs() < 1e-5);
    }
}
