//! Pooling of a layer: its kinds, their windows and names.

use super::Shape;
use super::resolve::MOST;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Largest side of a window of max-pooling, whose output update sorts the window.
const MOST_MAX: usize = 8;

/// Kind of pooling. All windows are disjoint: overlapping ones have no closed form of the output update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PoolKind {
    /// No pooling.
    #[default]
    None,
    /// Maximum of each window.
    Max,
    /// Mean of each window.
    #[serde(alias = "average")]
    Avg,
    /// Mean of the whole map.
    Global,
}

/// Pooling of a layer's outputs in windows of `size` x `size` that do not overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// `none`, `max`, `avg` or `global`.
    pub kind: PoolKind,
    /// Side of a window; of no effect without windows.
    #[serde(default = "two")]
    pub size: usize,
}

fn two() -> usize {
    2
}

impl Default for Pool {
    fn default() -> Self {
        Self::NONE
    }
}

impl Pool {
    /// No pooling.
    pub const NONE: Self = Self {
        kind: PoolKind::None,
        size: 2,
    };

    /// Max-pooling in windows of `size` x `size`.
    #[must_use]
    pub const fn max(size: usize) -> Self {
        Self {
            kind: PoolKind::Max,
            size,
        }
    }

    /// Average pooling in windows of `size` x `size`.
    #[must_use]
    pub const fn avg(size: usize) -> Self {
        Self {
            kind: PoolKind::Avg,
            size,
        }
    }

    /// Global average pooling.
    pub const GLOBAL: Self = Self {
        kind: PoolKind::Global,
        size: 2,
    };

    /// Height and width of the windows of outputs of shape `conv`.
    pub(super) fn window(self, conv: Shape) -> (usize, usize) {
        match self.kind {
            PoolKind::None => (1, 1),
            PoolKind::Max | PoolKind::Avg => (self.size, self.size),
            PoolKind::Global => (conv.height, conv.width),
        }
    }

    /// Largest side of a window, where the kind has windows of a size.
    pub(super) fn most(self) -> Option<usize> {
        match self.kind {
            PoolKind::None | PoolKind::Global => None,
            PoolKind::Max => Some(MOST_MAX),
            PoolKind::Avg => Some(MOST),
        }
    }
}

/// Kind and size, `avg-pool4`; nothing where there is no pooling.
impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.kind {
            PoolKind::None => return Ok(()),
            PoolKind::Global => return f.write_str("global-pool"),
            PoolKind::Max => "pool",
            PoolKind::Avg => "avg-pool",
        };
        // The usual size goes without saying.
        match self.size {
            2 => f.write_str(name),
            size => write!(f, "{name}{size}"),
        }
    }
}
