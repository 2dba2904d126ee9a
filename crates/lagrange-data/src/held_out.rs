//! Training images held out for validation.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// How many of the last training images are held out, to choose settings on. In TOML and as text: a whole
/// number of images, or a share between 0 and 1.
///
/// ```
/// use lagrange_data::HeldOut;
///
/// assert_eq!("0.1".parse::<HeldOut>()?.of(60_000), 6_000);
/// assert_eq!("5000".parse::<HeldOut>()?.of(60_000), 5_000);
/// assert!("1.5".parse::<HeldOut>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a number of images, or a share between 0 and 1")]
pub enum HeldOut {
    /// So many images.
    Count(usize),
    /// A share of the training images.
    Share(f64),
}

impl Default for HeldOut {
    fn default() -> Self {
        Self::Count(0)
    }
}

impl HeldOut {
    /// The number of images held out of `train` training images: of a share, rounded, and at least one.
    #[must_use]
    pub fn of(self, train: usize) -> usize {
        match self {
            Self::Count(count) => count,
            Self::Share(share) => ((share * train as f64).round() as usize).max(1),
        }
    }

    /// What is wrong with it, if anything.
    #[must_use]
    pub fn fault(self) -> Option<&'static str> {
        match self {
            Self::Share(share) if !(share > 0.0 && share < 1.0) => {
                Some("a share between 0 and 1, or a whole number of images")
            }
            _ => None,
        }
    }
}

impl FromStr for HeldOut {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let count = text.parse().map(Self::Count);
        let held_out = count.or_else(|_| text.parse().map(Self::Share));
        let wanted = "give a number of images, or a share between 0 and 1";
        let held_out = held_out.map_err(|_| wanted.to_owned())?;
        match held_out.fault() {
            None => Ok(held_out),
            Some(_) => Err(wanted.to_owned()),
        }
    }
}
