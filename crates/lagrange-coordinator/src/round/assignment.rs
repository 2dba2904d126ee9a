//! Work in a worker's hands, and the replies that fit it.

use super::Task;
use crate::membership::WorkerId;
use lagrange_core::check::{Check, Tally};
use lagrange_core::tree::{Node, cover};
use lagrange_protocol::Reply;
use std::time::Duration;

/// Most checks of one kind and stage in one reply: more than there are samples and windows to check.
const MOST_CHECKS: u64 = 1 << 32;

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
        check_records(reply, task.stages)?;
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

/// Checks that `reply` has a record of each shard, with checks that its work may have; the fault in words
/// otherwise.
fn check_records(reply: &Reply, stages: usize) -> Result<(), String> {
    let header = &reply.header;
    let (found, expected) = (header.records.len(), header.shards.len());
    if found != expected {
        return Err(format!(
            "it has records of {found} shards where {expected} belong"
        ));
    }
    let mut tallies = header.records.iter().flat_map(|record| &record.checks);
    let cannot_be = |tally: &&Tally| {
        tally.check == Check::NormalEquations || tally.ran > MOST_CHECKS || !tally.is_sound(stages)
    };
    match tallies.find(cannot_be) {
        Some(tally) => Err(format!("what it says of its checks cannot be: {tally:?}")),
        None => Ok(()),
    }
}
