//! Weights as histograms, and kernels as one picture.

use super::messages::{Histogram, Image};
use crate::Picture;

/// Buckets of a histogram.
const BUCKETS: usize = 40;
/// Pixels between kernels, and around them.
const GAP: usize = 2;
const BACKGROUND: u8 = 255;
/// Side that kernels are enlarged to, about.
const SIDE: usize = 40;

/// Counts of finite `values` in buckets of one width.
pub(super) fn histogram(values: impl Iterator<Item = f32> + Clone) -> Histogram {
    let values = values.map(f64::from).filter(|value| value.is_finite());
    let empty = (f64::INFINITY, f64::NEG_INFINITY);
    let ends = |(min, max): (f64, f64), value: f64| (min.min(value), max.max(value));
    let (min, max) = values.clone().fold(empty, ends);
    if min > max {
        return Histogram::default();
    }
    let width = (max - min) / BUCKETS as f64;
    let limits = 1..=BUCKETS;
    let mut made = Histogram {
        min,
        max,
        bucket_limit: limits.map(|bucket| min + bucket as f64 * width).collect(),
        bucket: vec![0.0; BUCKETS],
        ..Histogram::default()
    };
    if width == 0.0 {
        made.bucket_limit = vec![max];
        made.bucket = vec![0.0];
    }
    for value in values {
        // Where all values are equal, there is no width to divide by, and one bucket.
        let bucket = ((value - min) / width) as usize;
        let last = made.bucket.len() - 1;
        made.bucket[bucket.min(last)] += 1.0;
        made.num += 1.0;
        made.sum += value;
        made.sum_squares += value * value;
    }
    made
}

/// Kernels beside and below each other, enlarged; none if they are no pictures.
pub(super) fn sheet(kernels: &[Picture]) -> Option<Image> {
    let first = kernels.first()?;
    let (high, wide, channels) = (first.height, first.width, first.channels);
    let scale = (SIDE / high.max(wide)).max(1);
    let columns = (1..).find(|side| side * side >= kernels.len())?;
    let rows = kernels.len().div_ceil(columns);
    let (height, width) = (
        rows * (high * scale + GAP) + GAP,
        columns * (wide * scale + GAP) + GAP,
    );
    let mut pixels = vec![BACKGROUND; height * width * channels];
    for (index, kernel) in kernels.iter().enumerate() {
        let top = GAP + index / columns * (high * scale + GAP);
        let left = GAP + index % columns * (wide * scale + GAP);
        for (y, x) in (0..high * scale).flat_map(|y| (0..wide * scale).map(move |x| (y, x))) {
            let from = (y / scale * wide + x / scale) * channels;
            let to = ((top + y) * width + left + x) * channels;
            pixels[to..to + channels].copy_from_slice(kernel.pixels.get(from..from + channels)?);
        }
    }
    let sheet = Picture {
        height,
        width,
        channels,
        pixels,
    };
    Some(Image {
        height: height.try_into().ok()?,
        width: width.try_into().ok()?,
        colorspace: channels.try_into().ok()?,
        encoded: sheet.png()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finite_value_is_in_its_bucket() {
        let values = [-1.0, f32::NAN, 0.0, 0.5, 1.0, f32::INFINITY];
        let made = histogram(values.into_iter());
        assert_eq!((made.min, made.max, made.num), (-1.0, 1.0, 4.0));
        assert_eq!((made.sum, made.sum_squares), (0.5, 2.25));
        assert_eq!(made.bucket.iter().sum::<f64>(), made.num);
        let filled = made.bucket.iter().zip(&made.bucket_limit);
        let filled: Vec<f64> = filled
            .filter(|(n, _)| **n > 0.0)
            .map(|(_, end)| *end)
            .collect();
        for (end, expected) in filled.iter().zip([-0.95, 0.05, 0.55, 1.0]) {
            assert!((end - expected).abs() < 1e-9, "{filled:?}");
        }
        let equal = histogram([2.0; 3].into_iter());
        assert_eq!((equal.bucket_limit, equal.bucket), (vec![2.0], vec![3.0]));
        assert_eq!(histogram([f32::NAN].into_iter()), Histogram::default());
    }

    #[test]
    fn kernels_lie_on_a_sheet_in_their_order() {
        let kernel = |shade| Picture {
            height: 2,
            width: 2,
            channels: 1,
            pixels: vec![shade; 4],
        };
        let made = sheet(&[10, 20, 30].map(kernel)).expect("a picture");
        assert_eq!((made.height, made.width, made.colorspace), (86, 86, 1));
        let read = image::load_from_memory(&made.encoded).expect("a PNG file");
        let read = read.to_luma8();
        let shade = |x, y| read.get_pixel(x, y).0[0];
        assert_eq!([shade(20, 20), shade(60, 20), shade(20, 60)], [10, 20, 30]);
        assert_eq!([shade(60, 60), shade(0, 0)], [255, 255]);
        assert_eq!(sheet(&[]), None);
    }
}
