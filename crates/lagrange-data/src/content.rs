//! The content of a dataset, and its hash: the identity of the data of a run.

use crate::classes::digits;
use lagrange_core::network::Shape;
use sha2::{Digest as _, Sha256};

/// Content of a dataset, wherever it is kept.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    /// Shape of every image.
    pub shape: Shape,
    /// Names of the classes.
    pub classes: &'a [String],
    /// Training set.
    pub train: Samples<'a>,
    /// Validation split, if the dataset has one of its own.
    pub validation: Option<Samples<'a>>,
    /// Test set.
    pub test: Samples<'a>,
}

/// Images and labels of one set.
#[derive(Debug, Clone, Copy)]
pub struct Samples<'a> {
    /// `[n, height, width, channels]`
    pub pixels: &'a [u8],
    /// Indices into the classes, `[n]`.
    pub labels: &'a [u16],
}

impl Content<'_> {
    /// SHA-256 of counts, shape, pixels, labels and class names, as [`crate::Dataset::sha256`] has it.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        let Shape {
            height,
            width,
            channels,
        } = self.shape;
        let like_mnist = channels == 1 && height == width && self.classes == digits();
        if like_mnist && self.validation.is_none() {
            return self.sha256_of_digits();
        }
        let mut hash = Sha256::new_with_prefix(b"lagrange dataset 2\0");
        put_numbers(&mut hash, &[self.classes.len()]);
        for name in self.classes {
            put_numbers(&mut hash, &[name.len()]);
            hash.update(name);
        }
        for samples in [Some(self.train), self.validation, Some(self.test)] {
            put_numbers(&mut hash, &[usize::from(samples.is_some())]);
            let Some(Samples { pixels, labels }) = samples else {
                continue;
            };
            put_numbers(&mut hash, &[labels.len(), pixels.len()]);
            put_numbers(&mut hash, &[height, width, channels]);
            hash.update(pixels);
            let labels = labels.iter().flat_map(|label| label.to_le_bytes());
            hash.update(labels.collect::<Vec<u8>>());
        }
        hash.finalize().into()
    }

    /// The hash of grey, square images of digits, which runs knew before there were others.
    fn sha256_of_digits(&self) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(b"lagrange dataset 1\0");
        for Samples { pixels, labels } in [self.train, self.test] {
            put_numbers(
                &mut hash,
                &[labels.len(), self.shape.height, self.shape.width],
            );
            hash.update(pixels);
            let labels = labels.iter().map(|&label| label as u8);
            hash.update(labels.collect::<Vec<u8>>());
        }
        hash.finalize().into()
    }
}

fn put_numbers(hash: &mut Sha256, numbers: &[usize]) {
    for &number in numbers {
        hash.update((number as u64).to_le_bytes());
    }
}
