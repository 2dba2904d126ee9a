//! A test split for a source that has none.

use super::Ready;
use crate::Split;

/// Moves a share of each class's train samples to the test split: at least one, but never the last.
///
/// Samples are drawn by the hashes of their pictures: the same ones in every run, whatever their order and
/// names, and copies of a picture side by side.
pub(super) fn draw(samples: &mut [Ready<'_>], classes: usize, share: f64) {
    let mut of_class: Vec<Vec<usize>> = vec![Vec::new(); classes];
    for (index, sample) in samples.iter().enumerate() {
        if sample.split == Split::Train {
            of_class[sample.class].push(index);
        }
    }
    for mut own in of_class {
        if own.len() < 2 {
            continue;
        }
        own.sort_by_key(|&index| (samples[index].hash, index));
        let count = (own.len() as f64 * share).round() as usize;
        for &index in &own[..count.clamp(1, own.len() - 1)] {
            samples[index].split = Split::Test;
        }
    }
}
