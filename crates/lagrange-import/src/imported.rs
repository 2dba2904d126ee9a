//! The neutral form of a data set: bytes, class numbers and names.

use lagrange_data::{Content, Samples, Shape, Split};

/// A data set of pictures of one size with one class each, whatever it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Height of every picture in pixels.
    pub height: usize,
    /// Width of every picture in pixels.
    pub width: usize,
    /// Bytes per pixel: 1 for grey, 3 for red, green and blue.
    pub channels: usize,
    /// Names of the classes, in natural order (1, 2, 10). A label is a position in this list, in all splits.
    pub classes: Vec<String>,
    /// The samples to learn from.
    pub train: Part,
    /// The samples to choose by, if the source has some.
    pub validation: Option<Part>,
    /// The samples to judge by.
    pub test: Part,
}

/// The samples of one split.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// `height * width * channels` bytes per sample: rows from the top, channels last.
    pub pixels: Vec<u8>,
    /// Class of each sample, as a position in [`Imported::classes`].
    pub labels: Vec<u16>,
    /// Name of each sample's file, or nothing at all.
    pub names: Vec<String>,
}

impl Imported {
    /// Bytes of one picture.
    #[must_use]
    pub fn sample_bytes(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// SHA-256 of the content: [`lagrange_data::Dataset::sha256`] of the same set.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        let Self {
            height,
            width,
            channels,
            ..
        } = *self;
        Content {
            shape: Shape {
                height,
                width,
                channels,
            },
            classes: &self.classes,
            train: self.train.samples(),
            validation: self.validation.as_ref().map(Part::samples),
            test: self.test.samples(),
        }
        .sha256()
    }

    /// The samples of a split; none if the source has no validation split.
    #[must_use]
    pub fn part(&self, split: Split) -> Option<&Part> {
        match split {
            Split::Train => Some(&self.train),
            Split::Validation => self.validation.as_ref(),
            Split::Test => Some(&self.test),
        }
    }
}

impl Part {
    fn samples(&self) -> Samples<'_> {
        Samples {
            pixels: &self.pixels,
            labels: &self.labels,
        }
    }

    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}
