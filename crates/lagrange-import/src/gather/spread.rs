//! The order of samples: random, the same for every source, and with every class spread evenly.

use super::Ready;

/// Puts samples in an order in which any stretch of a split has the classes in their proportions, to a sample
/// or two: the samples of a class, in the order of their hashes, are each drawn from one of as many equal
/// intervals of 0 to 1 as there are, and all are sorted by what was drawn.
pub(super) fn spread(mut samples: Vec<Ready<'_>>) -> Vec<Ready<'_>> {
    samples.sort_by_key(|sample| (sample.split, sample.class, sample.hash));
    let alike = |a: &Ready<'_>, b: &Ready<'_>| (a.split, a.class) == (b.split, b.class);
    let keys = samples.chunk_by(alike).flat_map(|own| {
        let key = |(number, sample)| (number as f64 + within(sample)) / own.len() as f64;
        own.iter().enumerate().map(key)
    });
    let keys: Vec<f64> = keys.collect();
    let mut keyed: Vec<_> = keys.into_iter().zip(samples).collect();
    // Classes of equal keys: one picture with two labels, in classes of equal size.
    keyed.sort_by(|(a, one), (b, other)| a.total_cmp(b).then(one.class.cmp(&other.class)));
    keyed.into_iter().map(|(_, sample)| sample).collect()
}

/// A number from 0 to 1, of the half of the hash that sorting hardly sees.
fn within(sample: &Ready<'_>) -> f64 {
    let [.., a, b, c, d] = sample.hash;
    f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Split;
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};
    use std::borrow::Cow;

    fn sample(class: usize, number: usize) -> Ready<'static> {
        let digest = Sha256::digest([class.to_le_bytes(), number.to_le_bytes()].concat());
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        Ready {
            split: Split::Train,
            class,
            name: "",
            bytes: Cow::Borrowed(&[]),
            hash,
        }
    }

    proptest! {
        #[test]
        fn every_stretch_has_the_classes_in_their_proportions(
            sizes in prop::collection::vec(1usize..60, 1..6), shuffle in any::<u64>(),
        ) {
            let numbered = sizes.iter().enumerate();
            let mut samples: Vec<_> = numbered
                .flat_map(|(class, &size)| (0..size).map(move |number| sample(class, number)))
                .collect();
            let total = samples.len();
            let order = |samples: Vec<Ready<'_>>| -> Vec<_> {
                spread(samples).iter().map(|sample| (sample.class, sample.hash)).collect()
            };
            let classes = order((0..total).map(|i| {
                let Ready { class, hash, .. } = samples[i];
                Ready { hash, ..sample(class, 0) }
            }).collect());
            // The source's order makes no difference.
            samples.rotate_left(shuffle as usize % total);
            prop_assert_eq!(&order(samples), &classes);
            for (class, &size) in sizes.iter().enumerate() {
                let share = size as f64 / total as f64;
                let mut found = 0.0;
                for (before, &(of, _)) in classes.iter().enumerate() {
                    let off: f64 = found - before as f64 * share;
                    prop_assert!(off.abs() <= 1.0 + share * sizes.len() as f64);
                    found += f64::from(of == class);
                }
            }
        }
    }
}
