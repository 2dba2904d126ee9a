//! What a stateful schedule has sent so far: z and a that are lost with a worker are had again by doing its shards' rounds over.

use lagrange_protocol::{Job, Payload};

/// One round, as it was handed out.
#[derive(Debug, Clone)]
pub(crate) struct PastRound {
    pub(crate) job: Job,
    /// Inputs of all shards.
    pub(crate) shared: Payload,
    /// Inputs of each shard.
    pub(crate) rows: Vec<Payload>,
}

impl PastRound {
    /// The payload of the round for `shards`.
    pub(crate) fn payload(&self, shards: &[u32]) -> Payload {
        let mut payload = self.shared.clone();
        for &shard in shards {
            payload.extend(&self.rows[shard as usize]);
        }
        payload
    }
}
