//! What an array is, by its name.

use crate::Split;
use std::fmt;

/// Images or labels of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Role {
    /// None, where the source has no splits.
    pub(super) split: Option<Split>,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Images = 0,
    Labels = 1,
}

impl Role {
    /// As in `x_train`, `train_images`, `y` or `labels`, in any case of letters.
    pub(super) fn of(name: &str) -> Option<Self> {
        match name.split_once('_') {
            None => Some(Self {
                split: None,
                kind: Kind::named(name)?,
            }),
            Some((a, b)) => {
                let (split, kind) = match Split::named(a) {
                    Some(split) => (split, b),
                    None => (Split::named(b)?, a),
                };
                Some(Self {
                    split: Some(split),
                    kind: Kind::named(kind)?,
                })
            }
        }
    }
}

impl Kind {
    fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "x" | "images" | "image" | "data" => Some(Self::Images),
            "y" | "labels" | "label" => Some(Self::Labels),
            _ => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Images => "images (x",
            Kind::Labels => "labels (y",
        };
        match self.split {
            None => write!(f, "{kind})"),
            Some(Split::Validation) => write!(f, "validation {kind}_val)"),
            Some(split) => write!(f, "{split} {kind}_{split})"),
        }
    }
}
