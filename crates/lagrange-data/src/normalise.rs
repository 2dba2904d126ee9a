//! Pixels to network inputs: `(x / 255 - mean) / standard deviation`, with the figures of every channel of the
//! training set.

use crate::Images;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Mean and standard deviation of each channel of a training set, on a scale from 0 (black) to 1 (white).
///
/// All are rounded to four decimals: those of MNIST are then the usual 0.1307 and 0.3081, and text keeps them
/// exactly.
///
/// ```
/// use lagrange_data::{Images, Normalisation, Normaliser};
///
/// let images = Images { height: 1, width: 2, channels: 1, pixels: vec![0, 255] };
/// let normalisation = Normalisation::of(&images)?;
/// assert_eq!((normalisation.means(), normalisation.standard_deviations()), (vec![0.5], vec![0.5]));
/// let mut inputs = [0.0; 2];
/// Normaliser::new(&normalisation).apply(&images.pixels, &mut inputs);
/// assert_eq!(inputs, [-1.0, 1.0]);
/// # Ok::<(), lagrange_data::NoContrast>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Figures", into = "Figures")]
pub struct Normalisation(Cow<'static, [Channel]>);

/// Figures of one channel.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Channel {
    mean: f32,
    standard_deviation: f32,
}

/// The figures, for text formats.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Figures {
    mean: Numbers,
    standard_deviation: Numbers,
}

/// The number of the only channel, or one number per channel.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a number, or an array of one number per channel"
)]
enum Numbers {
    One(f32),
    Many(Vec<f32>),
}

impl From<Vec<f32>> for Numbers {
    fn from(numbers: Vec<f32>) -> Self {
        match numbers[..] {
            [one] => Self::One(one),
            _ => Self::Many(numbers),
        }
    }
}

impl From<Numbers> for Vec<f32> {
    fn from(numbers: Numbers) -> Self {
        match numbers {
            Numbers::One(one) => vec![one],
            Numbers::Many(many) => many,
        }
    }
}

impl From<Normalisation> for Figures {
    fn from(of: Normalisation) -> Self {
        Self {
            mean: of.means().into(),
            standard_deviation: of.standard_deviations().into(),
        }
    }
}

impl TryFrom<Figures> for Normalisation {
    type Error = &'static str;

    fn try_from(figures: Figures) -> Result<Self, Self::Error> {
        let [means, deviations] = [figures.mean, figures.standard_deviation].map(Vec::from);
        Self::per_channel(&means, &deviations).ok_or(
            "the mean of each channel must be from 0 to 1, and its standard deviation from 0.0001 to 1",
        )
    }
}

/// Error: a training set without contrast, which has no normalisation.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "training set: all pixels of all images are the same but for less than a grey level \
     (mean {mean}, standard deviation 0, of 0 to 1): there is nothing to learn from them; convert the images again"
)]
pub struct NoContrast {
    /// Mean of the pixels; of the first channel where there are several.
    pub mean: f32,
}

/// The smallest deviation above 0 that four decimals can say.
const LEAST_DEVIATION: f32 = 1e-4;

/// Pixels of which the squares add up to less than 2^32.
const BLOCK: usize = 1 << 16;

impl Normalisation {
    /// Normalisation of MNIST.
    pub const MNIST: Self = Self(Cow::Borrowed(&[Channel {
        mean: 0.1307,
        standard_deviation: 0.3081,
    }]));

    /// Normalisation of one channel with a mean from 0 to 1 and a standard deviation from 0.0001 to 1; `None`
    /// outside these ranges.
    #[must_use]
    pub fn new(mean: f32, standard_deviation: f32) -> Option<Self> {
        Self::per_channel(&[mean], &[standard_deviation])
    }

    /// Normalisation with the mean and standard deviation of each channel, `[C]` both; `None` if one is
    /// outside the ranges of [`Normalisation::new`], or there are no channels, or not as many of both.
    #[must_use]
    pub fn per_channel(means: &[f32], standard_deviations: &[f32]) -> Option<Self> {
        let sound = |channel: &Channel| {
            (0.0..=1.0).contains(&channel.mean)
                && (LEAST_DEVIATION..=1.0).contains(&channel.standard_deviation)
        };
        let pairs = means.iter().zip(standard_deviations);
        let channels = pairs.map(|(&mean, &standard_deviation)| Channel {
            mean,
            standard_deviation,
        });
        let channels: Vec<Channel> = channels.filter(sound).collect();
        let whole = channels.len() == means.len() && channels.len() == standard_deviations.len();
        (whole && !channels.is_empty()).then_some(Self(channels.into()))
    }

    /// Normalisation of all `images`. The sums are exact, so their order does not matter.
    ///
    /// A channel of one value beside others that have contrast gets a deviation of 1: its inputs are 0, but
    /// for the rounding of its mean.
    ///
    /// # Errors
    /// [`NoContrast`] if the deviations of all channels round to 0.
    pub fn of(images: &Images) -> Result<Self, NoContrast> {
        let sums = sums_of(images);
        let values = images.pixels.len() / images.channels.max(1);
        Self::of_sums(&sums, values)
    }

    /// Normalisation of `values` values of each channel, from their sum and the sum of their squares, `[C]`.
    ///
    /// # Errors
    /// As [`Normalisation::of`].
    pub fn of_sums(sums: &[(u64, u64)], values: usize) -> Result<Self, NoContrast> {
        let mut channels: Vec<Channel> = sums.iter().map(|&of| figures(of, values)).collect();
        if channels.iter().all(Channel::is_flat) {
            let mean = channels.first().map_or(0.0, |channel| channel.mean);
            return Err(NoContrast { mean });
        }
        for channel in channels.iter_mut().filter(|channel| channel.is_flat()) {
            channel.standard_deviation = 1.0;
        }
        Ok(Self(channels.into()))
    }

    /// Number of channels C.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.0.len()
    }

    /// Mean of each channel, `[C]`.
    #[must_use]
    pub fn means(&self) -> Vec<f32> {
        self.0.iter().map(|channel| channel.mean).collect()
    }

    /// Standard deviation of each channel, `[C]`, above 0.
    #[must_use]
    pub fn standard_deviations(&self) -> Vec<f32> {
        let channels = self.0.iter();
        channels.map(|channel| channel.standard_deviation).collect()
    }

    /// Input of a value from 0 to 255 of one channel, which may be interpolated.
    pub(crate) fn input(&self, channel: usize, value: f32) -> f32 {
        self.0[channel].input(value)
    }
}

impl Channel {
    fn is_flat(&self) -> bool {
        self.standard_deviation < LEAST_DEVIATION
    }

    fn input(self, value: f32) -> f32 {
        (value / 255.0 - self.mean) / self.standard_deviation
    }
}

/// Sum, and sum of squares, of every channel of `images`.
fn sums_of(images: &Images) -> Vec<(u64, u64)> {
    let channels = images.channels.max(1);
    let mut sums = vec![(0u64, 0u64); channels];
    for block in images.pixels.chunks(BLOCK * channels) {
        for (channel, (sum, squares)) in sums.iter_mut().enumerate() {
            let add = |(sum, squares): (u32, u32), &value: &u8| {
                let value = u32::from(value);
                (sum + value, squares + value * value)
            };
            let values = block.iter().skip(channel).step_by(channels);
            let of_block = values.fold((0, 0), add);
            *sum += u64::from(of_block.0);
            *squares += u64::from(of_block.1);
        }
    }
    sums
}

/// Rounded figures of a channel; the deviation may be 0.
fn figures((sum, squares): (u64, u64), values: usize) -> Channel {
    let count = values.max(1) as u64;
    let white = 255.0 * count as f64;
    // n^2 times the variance, in whole numbers: nothing cancels, and equal pixels give 0.
    let total = u128::from(count) * u128::from(squares);
    let spread = total.saturating_sub(u128::from(sum) * u128::from(sum));
    Channel {
        mean: rounded(sum as f64 / white),
        standard_deviation: rounded((spread as f64).sqrt() / white),
    }
}

/// Rounds to four decimals.
fn rounded(value: f64) -> f32 {
    ((value * 1e4).round() / 1e4) as f32
}

/// Look-up tables of the inputs of all 256 values of every channel, faster than the division.
#[derive(Debug, Clone)]
pub struct Normaliser {
    tables: Vec<[f32; 256]>,
}

impl Normaliser {
    /// Tables for `normalisation`.
    #[must_use]
    pub fn new(normalisation: &Normalisation) -> Self {
        let table = |channel: &Channel| std::array::from_fn(|value| channel.input(value as f32));
        Self {
            tables: normalisation.0.iter().map(table).collect(),
        }
    }

    /// Writes the normalised `pixels` to `inputs`, `[.., C]` both.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn apply(&self, pixels: &[u8], inputs: &mut [f32]) {
        assert_eq!(pixels.len(), inputs.len(), "one input per value");
        let lookup = |table: &[f32; 256], pixel: u8| table[usize::from(pixel)];
        if let [table] = &self.tables[..] {
            for (input, &pixel) in inputs.iter_mut().zip(pixels) {
                *input = lookup(table, pixel);
            }
            return;
        }
        let channels = self.tables.len();
        let pixels = pixels.chunks(channels);
        for (inputs, pixels) in inputs.chunks_mut(channels).zip(pixels) {
            for ((input, &pixel), table) in inputs.iter_mut().zip(pixels).zip(&self.tables) {
                *input = lookup(table, pixel);
            }
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
            channels: 1,
            pixels,
        }
    }

    #[test]
    fn black_and_white_have_the_known_values() {
        let mut inputs = [0.0; 2];
        Normaliser::new(&Normalisation::MNIST).apply(&[0, 255], &mut inputs);
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
        assert_eq!(found.means()[0].to_bits(), 0.1307f32.to_bits());
        assert_eq!(
            found.standard_deviations()[0].to_bits(),
            0.3081f32.to_bits()
        );
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
        assert_eq!(figures(&found, 0), (0.0, 0.0001));
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

    /// Mean and standard deviation of a channel.
    fn figures(of: &Normalisation, channel: usize) -> (f32, f32) {
        (of.means()[channel], of.standard_deviations()[channel])
    }

    /// Mean and standard deviation of one channel by the textbook.
    fn textbook(pixels: &[u8], channels: usize, channel: usize) -> (f64, f64) {
        let values = pixels.iter().skip(channel).step_by(channels);
        let values: Vec<f64> = values.map(|&value| f64::from(value) / 255.0).collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        (mean, variance.sqrt())
    }

    proptest! {
        #[test]
        fn the_figures_are_those_of_the_textbook(
            pixels in prop::collection::vec(any::<u8>(), 2..130), colour: bool,
        ) {
            let channels = if colour { 3 } else { 1 };
            let pixels = pixels.repeat(channels);
            let expected: Vec<(f64, f64)> =
                (0..channels).map(|channel| textbook(&pixels, channels, channel)).collect();
            let near = |found: f32, expected: f64| (f64::from(found) - expected).abs() <= 0.50001e-4;
            match Normalisation::of(&Images { channels, ..images(pixels) }) {
                Ok(found) => for (channel, &(mean, deviation)) in expected.iter().enumerate() {
                    let (found_mean, found_deviation) = figures(&found, channel);
                    prop_assert!(near(found_mean, mean));
                    let flat = found_deviation == 1.0 && deviation < 0.50001e-4;
                    prop_assert!(flat || near(found_deviation, deviation));
                },
                Err(_) => prop_assert!(expected.iter().all(|&(_, d)| d < 0.50001e-4)),
            }
        }

        #[test]
        fn every_channel_has_its_own_table(pixels in prop::collection::vec(any::<u8>(), 1..40)) {
            let (means, deviations) = ([0.1, 0.5, 0.9], [0.2, 0.3, 1.0]);
            let colour = Normalisation::per_channel(&means, &deviations).expect("sound");
            let pixels = pixels.repeat(3);
            let mut inputs = vec![0.0; pixels.len()];
            Normaliser::new(&colour).apply(&pixels, &mut inputs);
            for (index, (&pixel, &input)) in pixels.iter().zip(&inputs).enumerate() {
                let channel = index % 3;
                let expected = (f32::from(pixel) / 255.0 - means[channel]) / deviations[channel];
                prop_assert_eq!(input, expected);
            }
        }
    }

    #[test]
    fn text_has_a_number_of_one_channel_and_an_array_of_three() {
        let json = |of: &Normalisation| serde_json::to_string(of).expect("plain values");
        let grey = r#"{"mean":0.1307,"standard-deviation":0.3081}"#;
        assert_eq!(json(&Normalisation::MNIST), grey);
        let colour =
            Normalisation::per_channel(&[0.4914, 0.4822, 0.4465], &[0.247, 0.2435, 0.2616]);
        let colour = colour.expect("sound");
        let text = r#"{"mean":[0.4914,0.4822,0.4465],"standard-deviation":[0.247,0.2435,0.2616]}"#;
        assert_eq!(json(&colour), text);
        for (text, of) in [(grey, Normalisation::MNIST), (text, colour)] {
            let read: Normalisation = serde_json::from_str(text).expect("its own text");
            assert_eq!(read, of);
        }
        for wrong in [
            r#"{"mean":[0.1,0.2],"standard-deviation":0.3}"#,
            r#"{"mean":[],"standard-deviation":[]}"#,
            r#"{"mean":"0.1","standard-deviation":0.3}"#,
        ] {
            assert!(
                serde_json::from_str::<Normalisation>(wrong).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_flat_channel_beside_others_has_inputs_of_zero() {
        let colour = Images {
            channels: 3,
            ..images(vec![9, 0, 255, 9, 255, 255])
        };
        let found = Normalisation::of(&colour).expect("contrast");
        assert_eq!(
            (figures(&found, 0).1, figures(&found, 1)),
            (1.0, (0.5, 0.5))
        );
        let mut inputs = [0.0; 6];
        Normaliser::new(&found).apply(&colour.pixels, &mut inputs);
        assert!(inputs[0].abs() < 1e-4 && inputs[2] == 0.0, "{inputs:?}");
    }

    /// Sums of a block must not overflow, nor those of the largest set that can be read.
    #[test]
    fn white_pixels_do_not_overflow() {
        let mut pixels = vec![255; 3 * BLOCK];
        pixels[0] = 0;
        let found = Normalisation::of(&images(pixels)).expect("contrast");
        assert_eq!(figures(&found, 0), (1.0, 0.0023));
        assert!(BLOCK as u64 * 255 * 255 <= u64::from(u32::MAX));
    }
}
