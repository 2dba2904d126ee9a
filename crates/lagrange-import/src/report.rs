//! What was found during an import, for people.

use crate::gather::Decoded;
use crate::names::{pictures, thousands};
use crate::{Format, Split};
use std::collections::BTreeMap;
use std::fmt;

/// Account of an import.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The format read.
    pub format: Format,
    /// Height and width in pixels, and channels, of the result.
    pub size: (usize, usize, usize),
    /// The classes in their order, with the samples of each.
    pub classes: Vec<ClassCounts>,
    /// Number of pictures of each height and width, as they were stored.
    pub sizes: BTreeMap<(usize, usize), usize>,
    /// Pictures left out, each with its fault.
    pub unreadable: Vec<String>,
    /// Number of pictures that were resized.
    pub resized: usize,
    /// Number of pictures turned from grey to colour or from colour to grey.
    pub converted: usize,
    /// Number of hidden files, and of files that are no pictures.
    pub skipped: usize,
    /// Pictures of one split that are in another one as well.
    pub duplicates: Duplicates,
    /// What deserves attention, a line each.
    pub warnings: Vec<String>,
}

/// Number of samples of a class in each split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassCounts {
    /// Name of the class.
    pub name: String,
    /// Number of its training samples.
    pub train: usize,
    /// Number of its validation samples.
    pub validation: usize,
    /// Number of its test samples.
    pub test: usize,
}

impl ClassCounts {
    /// Number of samples in a split.
    #[must_use]
    pub fn of(&self, split: Split) -> usize {
        match split {
            Split::Train => self.train,
            Split::Validation => self.validation,
            Split::Test => self.test,
        }
    }
}

/// Pictures of equal bytes, once decoded, in two splits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Duplicates {
    /// Number of validation and test samples that an earlier split has too.
    pub count: usize,
    /// The first five: the sample of the earlier split, and that of the later one.
    pub first: Vec<(String, String)>,
}

impl Report {
    /// A report with what decoding tells; takes the list of unreadable pictures.
    pub(crate) fn new(format: Format, decoded: &mut Decoded<'_>, channels: usize) -> Self {
        let pictures = decoded.samples.iter();
        let converted = pictures.filter(|(_, pixels)| pixels.channels != channels);
        let kept = decoded.sizes.get(&decoded.size).copied().unwrap_or(0);
        Self {
            format,
            size: (decoded.size.0, decoded.size.1, channels),
            classes: Vec::new(),
            resized: decoded.samples.len().saturating_sub(kept),
            converted: converted.count(),
            sizes: std::mem::take(&mut decoded.sizes),
            unreadable: std::mem::take(&mut decoded.unreadable),
            skipped: 0,
            duplicates: Duplicates::default(),
            warnings: Vec::new(),
        }
    }

    /// Notes that the test split was drawn here.
    pub(crate) fn note_drawn(&mut self, share: f64) {
        let count = self.count(Split::Test);
        self.warnings.push(format!(
            "the source has no test split: {} of the train split held out ({} of each class)",
            pictures(count),
            percent(share)
        ));
    }

    /// Number of samples in a split.
    #[must_use]
    pub fn count(&self, split: Split) -> usize {
        self.classes.iter().map(|class| class.of(split)).sum()
    }

    /// Format, counts and size in one line:
    /// `image-folder: 10 classes, 50,000 + 10,000 images, 32x32 RGB`.
    #[must_use]
    pub fn summary(&self) -> String {
        let counts = Split::ALL.map(|split| self.count(split));
        counted(
            &self.format.to_string(),
            self.classes.len(),
            counts,
            self.size,
        )
    }
}

/// The line of [`Report::summary`] for these numbers of images in each split, height, width and channels.
pub(crate) fn counted(
    format: &str,
    classes: usize,
    counts: [usize; 3],
    (height, width, channels): (usize, usize, usize),
) -> String {
    let counts = counts.into_iter().filter(|&count| count > 0).map(thousands);
    format!(
        "{format}: {} classes, {} images, {height}x{width} {}",
        thousands(classes),
        counts.collect::<Vec<_>>().join(" + "),
        if channels == 1 { "grey" } else { "RGB" },
    )
}

impl Report {
    /// Samples of every class and split, and the sizes that pictures had, a line each.
    #[must_use]
    pub fn table(&self) -> String {
        let width = self.classes.iter().map(|class| class.name.chars().count());
        let width = width.max().unwrap_or(0).clamp(5, WIDEST);
        let row = |name: &str, cells: [String; 3]| {
            let [train, validation, test] = cells;
            format!("{name:<width$} {train:>10} {validation:>10} {test:>10}\n")
        };
        let heading = ["train", "validation", "test"].map(str::to_owned);
        let mut text = row("class", heading);
        for class in &self.classes {
            text += &row(
                &class.name,
                Split::ALL.map(|split| thousands(class.of(split))),
            );
        }
        for (&(height, width), &count) in self.sizes.iter().take(SIZES) {
            text += &format!("{} of {height}x{width}\n", pictures(count));
        }
        if let Some(more) = self.sizes.len().checked_sub(SIZES).filter(|&more| more > 0) {
            text += &format!("and {} more sizes\n", thousands(more));
        }
        for (earlier, later) in &self.duplicates.first {
            text += &format!("in two splits: {earlier} and {later}\n");
        }
        for fault in &self.unreadable {
            text += &format!("left out: {fault}\n");
        }
        text
    }
}

/// Widest column of names.
const WIDEST: usize = 40;
/// Sizes listed.
const SIZES: usize = 10;

/// The summary, then a line for each thing out of the ordinary.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())?;
        let counted = [
            (self.resized, "resized"),
            (self.converted, "changed between grey and colour"),
            (self.unreadable.len(), "left out: unreadable"),
            (self.duplicates.count, "in two splits"),
        ];
        for (count, what) in counted.into_iter().filter(|&(count, _)| count > 0) {
            write!(f, "\n{} {what}", pictures(count))?;
        }
        if self.skipped > 0 {
            let count = thousands(self.skipped);
            write!(f, "\nskipped, as hidden or no pictures: {count}")?;
        }
        self.warnings
            .iter()
            .try_for_each(|line| write!(f, "\n{line}"))
    }
}

fn percent(share: f64) -> String {
    format!("{} %", (share * 1000.0).round() / 10.0)
}
