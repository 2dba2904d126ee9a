//! Work in a worker's hands, and the replies that fit it.

use super::Task;
use crate::membership::WorkerId;
use lagrange_core::tree::{Node, cover};
use lagrange_protocol::Reply;
use std::time::Duration;

/// Shards in one worker's hands.
#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    pub(crate) worker: WorkerId,
    /// Tells this assignment from all others of the round.
    pub(super) attempt: u32,
    pub(crate) shards: Vec<u32>,
    /// When they were handed out.
    pub(crate) since: Duration,
}

impl Assignment {
    /// Checks that `reply` has the shards and the sizes of this work; the fault in words otherwise.
    pub(super) fn check(&self, reply: &Reply, task: &Task) -> Result<(), String> {
        let (header, sizes) = (&reply.header, &task.sizes);
        if header.shards != self.shards {
            return Err(format!(
                "it answers shards {:?} where it was given {:?}",
                header.shards, self.shards
            ));
        }
        let nodes: Vec<Node> = header.nodes.iter().map(|sum| sum.node).collect();
        if nodes != cover(&self.shards, task.shards) {
            return Err("its sums do not cover its shards once each".to_owned());
        }
        let mut scalars = header.nodes.iter().map(|sum| sum.scalars.len());
        if let Some(found) = scalars.find(|&found| found != sizes.scalars) {
            let expected = sizes.scalars;
            return Err(format!("a sum has {found} scalars where {expected} belong"));
        }
        let expected = sizes.reply_values(nodes.len(), header.shards.len());
        let found = reply.payload.len();
        match found == expected {
            true => Ok(()),
            false => Err(format!(
                "its payload has {found} values where {expected} belong"
            )),
        }
    }
}
