//! Pixels to network inputs: `(x / 255 - mean) / standard deviation`, with the figures of the training set.

use crate::Images;
use serde::{Deserialize, Serialize};

/// Mean and standard deviation of a training set's pixels, on a scale from 0 (black) to 1 (white).
///
/// Both are rounded to four decimals: those of MNIST are then the usual 0.1307 and 0.3081, and text keeps
/// them exactly.
///
/// ```
/// use lagrange_data::{Images, Normalisation, Normaliser};
///
/// let images = Images { height: 1, width: 2, pixels: vec![0, 255] };
/// let normalisation = Normalisation::of(&images)?;
/// assert_eq!((normalisation.mean(), normalisation.standard_deviation()), (0.5, 0.5));
/// let mut inputs = [0.0; 2];
/// Normaliser::new(normalisation).apply(&images.pixels, &mut inputs);
/// assert_eq!(inputs, [-1.0, 1.0]);
/// # Ok::<(), lagrange_data::NoContrast>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Figures", into = "Figures")]
pub struct Normalisation {
    mean: f32,
    standard_deviation: f32,
}

/// The two numbers, for text formats.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Figures {
    mean: f32,
    standard_deviation: f32,
}

impl From<Normalisation> for Figures {
    fn from(of: Normalisation) -> Self {
        Self {
            mean: of.mean,
            standard_deviation: of.standard_deviation,
        }
    }
}

impl TryFrom<Figures> for Normalisation {
    type Error = &'static str;

    fn try_from(figures: Figures) -> Result<Self, Self::Error> {
        Self::new(figures.mean, figures.standard_deviation)
            .ok_or("the mean must be from 0 to 1, and the standard deviation from 0.0001 to 1")
    }
}

/// Error: a training set without contrast, which has no normalisation.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "training set: all pixels of all images are the same but for less than a grey level \
     (mean {mean}, standard deviation 0, of 0 to 1): there is nothing to learn from them; convert the images again"
)]
pub struct NoContrast {
    /// Mean of the pixels.
    pub mean: f32,
}

/// The smallest deviation above 0 that four decimals can say.
const LEAST_DEVIATION: f32 = 1e-4;

/// Pixels of which the squares add up to less than 2^32.
const BLOCK: usize = 1 << 16;

impl Normalisation {
    /// Normalisation of MNIST.
    pub const MNIST: Self = Self {
        mean: 0.1307,
        standard_deviation: 0.3081,
    };

    /// Normalisation with a mean from 0 to 1 and a standard deviation from 0.0001 to 1; `None` outside these
    /// ranges.
    #[must_use]
    pub fn new(mean: f32, standard_deviation: f32) -> Option<Self> {
        let sound =
            (0.0..=1.0).contains(&mean) && (LEAST_DEVIATION..=1.0).contains(&standard_deviation);
        sound.then_some(Self {
            mean,
            standard_deviation,
        })
    }

    /// Normalisation of all `images`. The sums are exact, so their order does not matter.
    ///
    /// # Errors
    /// [`NoContrast`] if the deviation rounds to 0.
    pub fn of(images: &Images) -> Result<Self, NoContrast> {
        let (mut sum, mut squares) = (0u64, 0u64);
        for block in images.pixels.chunks(BLOCK) {
            let add = |(sum, squares): (u32, u32), &pixel: &u8| {
                let pixel = u32::from(pixel);
                (sum + pixel, squares + pixel * pixel)
            };
            let of_block = block.iter().fold((0, 0), add);
            sum += u64::from(of_block.0);
            squares += u64::from(of_block.1);
        }
        let count = images.pixels.len().max(1) as u64;
        // n^2 times the variance, in whole numbers: nothing cancels, and equal pixels give 0.
        let spread = u128::from(count) * u128::from(squares) - u128::from(sum) * u128::from(sum);
        let white = 255.0 * count as f64;
        let mean = rounded(sum as f64 / white);
        let standard_deviation = rounded((spread as f64).sqrt() / white);
        Self::new(mean, standard_deviation).ok_or(NoContrast { mean })
    }

    /// Mean of the pixels.
    #[must_use]
    pub fn mean(self) -> f32 {
        self.mean
    }

    /// Standard deviation of the pixels, above 0.
    #[must_use]
    pub fn standard_deviation(self) -> f32 {
        self.standard_deviation
    }

    /// Input of a pixel value from 0 to 255, which may be interpolated.
    pub(crate) fn input(self, pixel: f32) -> f32 {
        (pixel / 255.0 - self.mean) / self.standard_deviation
    }
}

/// Rounds to four decimals.
fn rounded(value: f64) -> f32 {
    ((value * 1e4).round() / 1e4) as f32
}

/// Look-up table of the inputs of all 256 pixel values, faster than the division.
#[derive(Debug, Clone)]
pub struct Normaliser {
    table: [f32; 256],
}

impl Normaliser {
    /// Table for `normalisation`.
    #[must_use]
    pub fn new(normalisation: Normalisation) -> Self {
        Self {
            table: std::array::from_fn(|pixel| normalisation.input(pixel as f32)),
        }
    }

    /// Writes the normalised `pixels` to `inputs`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn apply(&self, pixels: &[u8], inputs: &mut [f32]) {
        assert_eq!(pixels.len(), inputs.len(), "one input per pixel");
        for (input, &pixel) in inputs.iter_mut().zip(pixels) {
            *input = self.table[usize::from(pixel)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn images(pixels: Vec<u8>) -> Images {
        Images {
            height: 1,
            width: 1,
            pixels,
        }
    }

    #[test]
    fn black_and_white_have_the_known_values() {
        let mut inputs = [0.0; 2];
        Normaliser::new(Normalisation::MNIST).apply(&[0, 255], &mut inputs);
        assert!((inputs[0] + 0.424_213).abs() < 1e-5);
        assert!((inputs[1] - 2.821_487).abs() < 1e-5);
    }

    /// Every run on MNIST depends on these bits.
    #[test]
    #[cfg(feature = "embedded-mnist")]
    fn mnist_has_the_normalisation_that_everybody_uses() {
        let mnist = crate::Dataset::embedded().expect("embedded");
        let found = Normalisation::of(&mnist.train.images).expect("contrast");
        assert_eq!(found, Normalisation::MNIST);
        assert_eq!(found.mean().to_bits(), 0.1307f32.to_bits());
        assert_eq!(found.standard_deviation().to_bits(), 0.3081f32.to_bits());
    }

    #[test]
    fn four_decimals_are_the_same_bits_as_text_and_as_a_number() {
        for ten_thousandths in 0..=10_000 {
            let value = rounded(f64::from(ten_thousandths) / 1e4 + 2e-5);
            let text = format!(
                "{}.{:04}",
                ten_thousandths / 10_000,
                ten_thousandths % 10_000
            );
            let read: f32 = text.parse().expect("a number");
            assert_eq!(read.to_bits(), value.to_bits(), "{text}");
            assert_eq!(value.to_string().parse(), Ok(value), "{text}");
        }
    }

    #[test]
    fn images_without_contrast_have_none() {
        for (pixels, mean) in [(vec![0; 9], 0.0), (vec![255; 9], 1.0), (Vec::new(), 0.0)] {
            let error = Normalisation::of(&images(pixels)).expect_err("no contrast");
            assert_eq!(error, NoContrast { mean });
            assert!(error.to_string().contains("nothing to learn"));
        }
        let mut faint = vec![0; 1_000];
        faint[17] = 1;
        let found = Normalisation::of(&images(faint)).expect("contrast");
        assert_eq!((found.mean(), found.standard_deviation()), (0.0, 0.0001));
    }

    #[test]
    fn figures_that_no_pixels_have_are_refused() {
        let (nan, infinite) = (f32::NAN, f32::INFINITY);
        for (mean, deviation) in [
            (nan, 0.3),
            (infinite, 0.3),
            (-0.1, 0.3),
            (1.1, 0.3),
            (0.1, nan),
            (0.1, infinite),
            (0.1, 0.0),
            (0.1, -0.3),
            (0.1, f32::MIN_POSITIVE),
        ] {
            assert_eq!(Normalisation::new(mean, deviation), None);
        }
        assert_eq!(
            Normalisation::new(0.1307, 0.3081),
            Some(Normalisation::MNIST)
        );
    }

    proptest! {
        #[test]
        fn the_figures_are_those_of_the_textbook(pixels in prop::collection::vec(any::<u8>(), 2..400)) {
            let values: Vec<f64> = pixels.iter().map(|&p| f64::from(p) / 255.0).collect();
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
            let near = |found: f32, expected: f64| (f64::from(found) - expected).abs() <= 0.50001e-4;
            match Normalisation::of(&images(pixels)) {
                Ok(found) => {
                    prop_assert!(near(found.mean(), mean));
                    prop_assert!(near(found.standard_deviation(), variance.sqrt()));
                }
                Err(_) => prop_assert!(variance.sqrt() < 0.50001e-4),
            }
        }
    }

    /// Sums of a block must not overflow, nor those of the largest set that can be read.
    #[test]
    fn white_pixels_do_not_overflow() {
        let mut pixels = vec![255; 3 * BLOCK];
        pixels[0] = 0;
        let found = Normalisation::of(&images(pixels)).expect("contrast");
        assert_eq!((found.mean(), found.standard_deviation()), (1.0, 0.0023));
        assert!(BLOCK as u64 * 255 * 255 <= u64::from(u32::MAX));
    }
}
