//! The manifest: what is in a packed set, and in which files.

use crate::{ImportError, Split};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// Name of the file.
pub(super) const FILE: &str = "manifest.toml";

/// Version of the format that this crate writes and reads.
const VERSION: u32 = 1;

/// What is in a packed set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the format: 1.
    pub format: u32,
    /// Height of every picture in pixels.
    pub height: usize,
    /// Width of every picture in pixels.
    pub width: usize,
    /// Bytes per pixel: 1 or 3.
    pub channels: usize,
    /// Names of the classes; a label is a position in this list.
    pub classes: Vec<String>,
    /// Number of training samples.
    pub train: usize,
    /// Number of validation samples; 0 if the set has no such split.
    pub validation: usize,
    /// Number of test samples.
    pub test: usize,
    /// SHA-256 of the content in hexadecimal: [`lagrange_data::Dataset::sha256`] of the whole set.
    pub content: String,
    /// For each channel, the sum of all values in the training split.
    pub sums: Vec<u64>,
    /// For each channel, the sum of their squares. With the sums, it gives mean and deviation exactly.
    pub squares: Vec<u64>,
    /// The blocks: those of train, then those of validation and of test, each in the order of their samples.
    #[serde(default)]
    pub blocks: Vec<BlockEntry>,
}

/// A file of consecutive samples of one split.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockEntry {
    /// Name of the file, which lies beside the manifest.
    pub file: String,
    /// Split of its samples.
    pub split: Split,
    /// Position of its first sample in the split.
    pub first: usize,
    /// Number of its samples.
    pub count: usize,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// Number of samples in a split.
    #[must_use]
    pub fn count(&self, split: Split) -> usize {
        match split {
            Split::Train => self.train,
            Split::Validation => self.validation,
            Split::Test => self.test,
        }
    }

    /// Bytes of one picture.
    #[must_use]
    pub fn sample_bytes(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// The canonical text: the same for equal manifests.
    pub(super) fn text(&self) -> String {
        let classes = self.classes.iter().map(|name| quoted(name));
        let mut text = format!(
            "format = {}\nheight = {}\nwidth = {}\nchannels = {}\nclasses = [{}]\n\
             train = {}\nvalidation = {}\ntest = {}\ncontent = {}\nsums = {:?}\nsquares = {:?}\n",
            self.format,
            self.height,
            self.width,
            self.channels,
            classes.collect::<Vec<_>>().join(", "),
            self.train,
            self.validation,
            self.test,
            quoted(&self.content),
            self.sums,
            self.squares,
        );
        for block in &self.blocks {
            // Writing to a text cannot fail.
            let _ = write!(
                text,
                "\n[[blocks]]\nfile = {}\nsplit = {}\nfirst = {}\ncount = {}\nsha256 = {}\n",
                quoted(&block.file),
                quoted(&block.split.to_string()),
                block.first,
                block.count,
                quoted(&block.sha256),
            );
        }
        text
    }

    /// SHA-256 of the canonical text in hexadecimal.
    pub(super) fn identity(&self) -> String {
        hex(&Sha256::digest(self.text()))
    }

    /// Reads a manifest and checks that it fits together.
    pub(super) fn parse(text: &str, name: &str) -> Result<Self, ImportError> {
        let malformed = |fault: &str| ImportError::malformed(name, crate::names::tidy(fault));
        let manifest: Self = toml::from_str(text).map_err(|error| malformed(error.message()))?;
        match manifest.fault() {
            Some(fault) => Err(malformed(&fault)),
            None => Ok(manifest),
        }
    }

    fn fault(&self) -> Option<String> {
        if self.format != VERSION {
            let (own, known) = (self.format, VERSION);
            return Some(format!(
                "format {own} is not known; this build reads format {known}"
            ));
        }
        let sample = self
            .height
            .checked_mul(self.width)
            .and_then(|n| n.checked_mul(self.channels));
        if sample.is_none_or(|bytes| bytes == 0 || bytes > 1 << 30)
            || ![1, 3].contains(&self.channels)
        {
            return Some("height, width and channels make no picture".to_owned());
        }
        if !(2..=usize::from(u16::MAX)).contains(&self.classes.len()) {
            return Some("classes: between 2 and 65,535 are needed".to_owned());
        }
        if self.sums.len() != self.channels || self.squares.len() != self.channels {
            return Some("sums and squares: one of each channel is needed".to_owned());
        }
        if unhex(&self.content).is_none() {
            return Some("content has not 64 hexadecimal digits".to_owned());
        }
        let mut next = [0; 3];
        let mut last = Split::Train;
        for block in &self.blocks {
            let plain = !block.file.is_empty() && !block.file.contains(['/', '\\', ':', '\0']);
            let position = &mut next[block.split as usize];
            if !plain || block.file.starts_with('.') {
                return Some(format!(
                    "file {:?} of a block is not a plain name",
                    block.file
                ));
            }
            if block.first != *position || block.count == 0 || block.split < last {
                return Some(format!(
                    "block {} does not follow the one before it",
                    block.file
                ));
            }
            if block.sha256.len() != 64 {
                return Some(format!("sha256 of block {} has not 64 digits", block.file));
            }
            last = block.split;
            *position = position.saturating_add(block.count);
        }
        let wrong = Split::ALL
            .into_iter()
            .find(|&split| next[split as usize] != self.count(split));
        wrong.map(|split| {
            let (blocks, count) = (next[split as usize], self.count(split));
            format!("the blocks hold {blocks} {split} samples, but {split} = {count}")
        })
    }

    /// An empty manifest of the version that this crate writes.
    pub(super) fn new(height: usize, width: usize, channels: usize, classes: Vec<String>) -> Self {
        Self {
            format: VERSION,
            height,
            width,
            channels,
            classes,
            train: 0,
            validation: 0,
            test: 0,
            content: String::new(),
            sums: vec![0; channels],
            squares: vec![0; channels],
            blocks: Vec::new(),
        }
    }
}

/// A text in TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            _ if letter.is_control() => {
                // Writing to a text cannot fail.
                let _ = write!(quoted, "\\u{:04X}", u32::from(letter));
            }
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// 32 bytes from hexadecimal digits.
pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|c| c.to_digit(16).map(|d| d as u8))
        .collect();
    let digits = digits.filter(|digits| digits.len() == 64)?;
    Some(std::array::from_fn(|i| {
        16 * digits[2 * i] + digits[2 * i + 1]
    }))
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
