//! Pixels to network inputs: `(x / 255 - mean) / standard deviation`, with the figures of every channel of
//! the training set.

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
        let sums = channel_sums(&images.pixels, images.channels);
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

/// Sum, and sum of squares, of the values of each channel, `[C]`; `pixels` is `[.., C]`.
#[must_use]
pub fn channel_sums(pixels: &[u8], channels: usize) -> Vec<(u64, u64)> {
    let channels = channels.max(1);
    let mut sums = vec![(0u64, 0u64); channels];
    for block in pixels.chunks(BLOCK * channels) {
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
mod tests;
