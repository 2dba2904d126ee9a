//! What a round comes to.

use lagrange_protocol::ShardRecord;

/// The sums and rows of a whole round.
#[derive(Debug, Clone, PartialEq)]
pub struct RoundTotal {
    /// Sums over all shards.
    pub sums: Vec<f32>,
    /// Scalar sums over all shards.
    pub scalars: Vec<f64>,
    /// Each shard's own rows.
    pub rows: Vec<Vec<f32>>,
    /// Checksum and checks of each shard.
    pub records: Vec<ShardRecord>,
}

/// The sums of one node of the tree.
#[derive(Debug, Clone)]
pub(super) struct Sum {
    pub(super) values: Vec<f32>,
    pub(super) scalars: Vec<f64>,
}
