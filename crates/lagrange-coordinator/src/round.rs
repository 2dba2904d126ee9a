//! One round: work handed out shard by shard, answered once, and summed along the fixed tree.

use crate::membership::WorkerId;
use lagrange_core::tree::{Node, PartialSums, add_into, cover};
use lagrange_protocol::{JobShape, Reply};

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

/// What became of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// Counted.
    Counted,
    /// It answers work that is no longer this worker's: dropped.
    Stale,
    /// It contradicts its own work: the sentence says how. The worker is at fault.
    Wrong(String),
}

#[derive(Debug, Clone)]
struct Assignment {
    worker: WorkerId,
    attempt: u32,
    shards: Vec<u32>,
}

#[derive(Debug, Clone)]
struct Sum {
    values: Vec<f32>,
    scalars: Vec<f64>,
}

/// A round in progress.
#[derive(Debug)]
pub struct Round {
    shape: JobShape,
    shards: u32,
    next_attempt: u32,
    outstanding: Vec<Assignment>,
    sums: PartialSums<Sum>,
    rows: Vec<Vec<f32>>,
}

impl Round {
    /// A round over `shards` shards, none of them handed out.
    #[must_use]
    pub fn new(shape: JobShape, shards: u32) -> Self {
        Self {
            shape,
            shards,
            next_attempt: 0,
            outstanding: Vec::new(),
            sums: PartialSums::new(shards),
            rows: vec![Vec::new(); shards as usize],
        }
    }

    /// Sizes of this round's messages.
    #[must_use]
    pub fn shape(&self) -> JobShape {
        self.shape
    }

    /// Hands `shards` to `worker`; the number returned fences the answer.
    pub fn assign(&mut self, worker: WorkerId, shards: Vec<u32>) -> u32 {
        let attempt = self.next_attempt;
        self.next_attempt += 1;
        self.outstanding.push(Assignment {
            worker,
            attempt,
            shards,
        });
        attempt
    }

    /// Takes back what `worker` has not answered.
    pub fn take_back(&mut self, worker: WorkerId) -> Vec<u32> {
        let mut shards = Vec::new();
        self.outstanding.retain(|assignment| {
            if assignment.worker == worker {
                shards.extend(&assignment.shards);
            }
            assignment.worker != worker
        });
        shards.sort_unstable();
        shards
    }

    /// Counts `reply` once, if it is what `worker` was last asked for.
    pub fn accept(&mut self, worker: WorkerId, reply: Reply) -> Receipt {
        let found = self
            .outstanding
            .iter()
            .position(|a| a.worker == worker && a.attempt == reply.header.attempt);
        let Some(index) = found else {
            return Receipt::Stale;
        };
        if let Err(fault) = self.check(&self.outstanding[index], &reply) {
            return Receipt::Wrong(fault);
        }
        self.outstanding.swap_remove(index);
        let Reply {
            header,
            payload: mut values,
        } = reply;
        let rows = values.split_off(header.nodes.len() * self.shape.sums);
        for (&shard, row) in header
            .shards
            .iter()
            .zip(rows.chunks(self.shape.rows_out.max(1)))
        {
            self.rows[shard as usize] = row.to_vec();
        }
        // From the back, so that the first sum, often the only one, keeps the buffer it came in.
        for node in header.nodes.into_iter().rev() {
            let sum = Sum {
                values: values.split_off(values.len() - self.shape.sums),
                scalars: node.scalars,
            };
            self.sums.add(node.node, sum, |mut left, right| {
                add_into(&mut left.values, &right.values);
                add_into(&mut left.scalars, &right.scalars);
                left
            });
        }
        Receipt::Counted
    }

    fn check(&self, assignment: &Assignment, reply: &Reply) -> Result<(), String> {
        if reply.header.shards != assignment.shards {
            return Err(format!(
                "it answers shards {:?} where it was given {:?}",
                reply.header.shards, assignment.shards
            ));
        }
        let nodes: Vec<Node> = reply.header.nodes.iter().map(|sum| sum.node).collect();
        if nodes != cover(&assignment.shards, self.shards) {
            return Err("its sums do not cover its shards once each".to_owned());
        }
        if let Some(sum) = reply
            .header
            .nodes
            .iter()
            .find(|sum| sum.scalars.len() != self.shape.scalars)
        {
            return Err(format!(
                "a sum has {} scalars where {} belong",
                sum.scalars.len(),
                self.shape.scalars
            ));
        }
        let expected = self
            .shape
            .reply_floats(nodes.len(), reply.header.shards.len());
        if reply.payload.len() != expected {
            return Err(format!(
                "its payload has {} values where {expected} belong",
                reply.payload.len()
            ));
        }
        Ok(())
    }

    /// Whether every shard is counted.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.sums.is_complete()
    }

    /// The totals of a complete round.
    #[must_use]
    pub fn into_total(self) -> Option<RoundTotal> {
        let sum = self.sums.into_total()?;
        Some(RoundTotal {
            sums: sum.values,
            scalars: sum.scalars,
            rows: self.rows,
        })
    }
}
