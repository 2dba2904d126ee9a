//! The parts of a dataset.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A part of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// Samples that weights are fitted to.
    Train,
    /// Samples to choose settings on: training samples held out, or a split of its own.
    Validation,
    /// The test set.
    Test,
}

impl Split {
    /// All, in their order.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The split that a folder or a column names, in any case of letters: `train` or `training`;
    /// `validation`, `valid`, `val` or `dev`; `test`, `testing`, `eval` or `evaluation`.
    ///
    /// ```
    /// use lagrange_data::Split;
    ///
    /// assert_eq!(Split::named("valid"), Some(Split::Validation));
    /// assert_eq!(Split::named("latest"), None);
    /// ```
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "train" | "training" => Self::Train,
            "validation" | "valid" | "val" | "dev" => Self::Validation,
            "test" | "testing" | "eval" | "evaluation" => Self::Test,
            _ => return None,
        })
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        })
    }
}

/// Number of images of each split of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SplitCounts {
    /// Training images, those to be held out included.
    pub train: usize,
    /// Images of a validation split of its own; 0 without one.
    pub validation: usize,
    /// Test images.
    pub test: usize,
}
