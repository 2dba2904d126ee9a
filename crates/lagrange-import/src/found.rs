//! What a reader finds: samples before they are decoded and brought to one size.

use crate::Split;
use crate::names::Classes;
use crate::picture::Pixels;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// The samples of a source, in its order.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) classes: Classes,
    pub(crate) samples: Vec<Sample>,
    /// Splits that the source has, even if they are empty.
    pub(crate) splits: BTreeSet<Split>,
    /// Hidden files, and files that are no pictures.
    pub(crate) skipped: usize,
    pub(crate) warnings: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Sample {
    /// Train, where the source has no splits.
    pub(crate) split: Split,
    /// Number in [`Found::classes`].
    pub(crate) class: usize,
    /// Name of the file, or empty.
    pub(crate) name: String,
    pub(crate) picture: Picture,
}

#[derive(Debug)]
pub(crate) enum Picture {
    /// A file to decode.
    File(PathBuf),
    /// The content of such a file.
    Encoded(Vec<u8>),
    /// Picture `index` of a block.
    Raw { block: Arc<Block>, index: usize },
}

/// Pictures of one size, decoded already: channels last.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
    pub(crate) pixels: Vec<u8>,
}

impl Block {
    fn sample_bytes(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Number of pictures.
    pub(crate) fn count(&self) -> usize {
        self.pixels.len() / self.sample_bytes().max(1)
    }

    /// Picture `index`.
    pub(crate) fn picture(&self, index: usize) -> Pixels<'_> {
        Pixels {
            height: self.height,
            width: self.width,
            channels: self.channels,
            bytes: Cow::Borrowed(self.sample(index)),
        }
    }

    pub(crate) fn sample(&self, index: usize) -> &[u8] {
        let length = self.sample_bytes();
        &self.pixels[index * length..][..length]
    }
}

impl Found {
    /// Adds the pictures of a block, one for each label.
    pub(crate) fn add_block<S: AsRef<str>>(&mut self, split: Split, block: Block, labels: &[S]) {
        debug_assert_eq!(block.sample_bytes() * labels.len(), block.pixels.len());
        self.splits.insert(split);
        let block = Arc::new(block);
        for (index, label) in labels.iter().enumerate() {
            let class = self.classes.number(label.as_ref());
            let block = Arc::clone(&block);
            self.samples.push(Sample {
                split,
                class,
                name: String::new(),
                picture: Picture::Raw { block, index },
            });
        }
    }
}
