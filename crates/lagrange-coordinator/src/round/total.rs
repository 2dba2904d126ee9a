//! What a round comes to.

/// The sums and rows of a whole round.
#[derive(Debug, Clone, PartialEq)]
pub struct RoundTotal {
    /// Sums over all shards.
    pub sums: Vec<f32>,
    /// Scalar sums over all shards.
    pub scalars: Vec<f64>,
    /// Each shard's own rows.
    pub rows: Vec<Vec<f32>>,
}

/// The sums of one node of the tree.
#[derive(Debug, Clone)]
pub(super) struct Sum {
    pub(super) values: Vec<f32>,
    pub(super) scalars: Vec<f64>,
}
