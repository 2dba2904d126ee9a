//! One round: its shards are handed out, answered once each, and summed along the fixed tree.
//!
//! A shard of a running round is in exactly one of three places: in the pool, where nobody has it; in the
//! hands of one worker or, where an answer is late, of several; or answered.

mod assignment;
mod invariants;
mod non_finite;
mod total;

pub(crate) use self::assignment::Assignment;
pub use self::total::RoundTotal;

use self::non_finite::NonFiniteReplies;
use self::total::Sum;
use crate::membership::WorkerId;
use lagrange_core::schedule::Sizes;
use lagrange_core::tree::{PartialSums, add_into};
use lagrange_protocol::{Job, Reply, ShardRecord};
use std::time::Duration;

/// What a round is of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task {
    /// Number of the round within the run, from 1.
    pub(crate) number: u64,
    pub(crate) job: Job,
    /// Sizes of its messages.
    pub(crate) sizes: Sizes,
    /// Shards of the run.
    pub(crate) shards: u32,
    /// Stages of the network.
    pub(crate) stages: usize,
    /// Whether work may be done twice: not where workers hold state that it moves.
    pub(crate) repeatable: bool,
}

/// What became of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Receipt {
    /// Counted.
    Counted {
        /// Shards answered.
        shards: usize,
        /// When they had been handed out.
        since: Duration,
        /// A worker whose sums for these shards were not finite, where this worker's are.
        refuted: Option<WorkerId>,
    },
    /// Not finite, and put aside: its shards, which nobody has now, must be computed once more.
    Again(Vec<u32>),
    /// Dropped: the work is no longer this worker's, or another worker has answered it first.
    Stale,
    /// Contradicts its own work, as the sentence says: the worker is at fault.
    Wrong(String),
}

/// A round in progress.
#[derive(Debug)]
pub(crate) struct Round {
    task: Task,
    next_attempt: u32,
    /// Shards that nobody has, in order.
    pool: Vec<u32>,
    outstanding: Vec<Assignment>,
    non_finite: NonFiniteReplies,
    answered: Vec<bool>,
    sums: PartialSums<Sum>,
    rows: Vec<Vec<f32>>,
    records: Vec<ShardRecord>,
}

impl Round {
    /// A round with all its shards in the pool.
    pub(crate) fn new(task: Task) -> Self {
        let shards = task.shards as usize;
        Self {
            task,
            next_attempt: 0,
            pool: (0..task.shards).collect(),
            outstanding: Vec::new(),
            non_finite: NonFiniteReplies::default(),
            answered: vec![false; shards],
            sums: PartialSums::new(task.shards),
            rows: vec![Vec::new(); shards],
            records: vec![ShardRecord::default(); shards],
        }
    }

    pub(crate) fn task(&self) -> &Task {
        &self.task
    }

    /// Shards that nobody has, in order.
    pub(crate) fn pool(&self) -> &[u32] {
        &self.pool
    }

    /// Hands `shards` to `worker`; the number returned fences the answer. The same shards may be in several
    /// workers' hands: the first answer counts.
    pub(crate) fn assign(&mut self, worker: WorkerId, shards: Vec<u32>, now: Duration) -> u32 {
        let attempt = self.next_attempt;
        self.next_attempt += 1;
        self.pool.retain(|s| shards.binary_search(s).is_err());
        self.outstanding.push(Assignment {
            worker,
            attempt,
            shards,
            since: now,
        });
        attempt
    }

    /// Returns to the pool what `worker` has not answered and nobody else has in hand.
    pub(crate) fn take_back(&mut self, worker: WorkerId) {
        let lost = self.outstanding.extract_if(.., |a| a.worker == worker);
        self.pool
            .extend(lost.flat_map(|assignment| assignment.shards));
        let outstanding = &self.outstanding;
        let is_owed = |shard: &u32| outstanding.iter().any(|a| a.shards.contains(shard));
        self.pool.retain(|shard| !is_owed(shard));
        self.pool.sort_unstable();
        // A worker may have the same shards twice: as its own, and because another worker's answer was late.
        self.pool.dedup();
    }

    /// Whether `worker` has something in hand.
    pub(crate) fn owes(&self, worker: WorkerId) -> bool {
        self.outstanding.iter().any(|a| a.worker == worker)
    }

    /// What is in one worker's hands only.
    pub(crate) fn single(&self) -> impl Iterator<Item = &Assignment> {
        let alone = |assignment: &&Assignment| {
            let all = self.outstanding.iter();
            all.filter(|a| a.shards == assignment.shards).count() == 1
        };
        self.outstanding.iter().filter(alone)
    }

    /// Takes a reply of this round, and counts it once if it is what `worker` has been asked for.
    pub(crate) fn receive(&mut self, worker: WorkerId, reply: Reply) -> Receipt {
        let attempt = reply.header.attempt;
        let mut all = self.outstanding.iter();
        let Some(index) = all.position(|a| a.worker == worker && a.attempt == attempt) else {
            return Receipt::Stale;
        };
        if let Err(fault) = self.outstanding[index].check(&reply, &self.task) {
            return Receipt::Wrong(fault);
        }
        let finite = non_finite::is_finite(&reply);
        if !finite && self.task.repeatable && self.non_finite.put_aside(worker, &reply) {
            return Receipt::Again(self.outstanding.swap_remove(index).shards);
        }
        let answered = self.outstanding.swap_remove(index);
        // Whoever else has these shards in hand comes too late.
        self.outstanding.retain(|a| a.shards != answered.shards);
        let suspect = self.non_finite.settle(&answered.shards);
        self.count(reply);
        Receipt::Counted {
            shards: answered.shards.len(),
            since: answered.since,
            refuted: suspect.filter(|&suspect| finite && suspect != worker),
        }
    }

    /// Adds what a sound reply holds.
    fn count(&mut self, reply: Reply) {
        let (header, sizes) = (reply.header, self.task.sizes);
        let mut values = reply.payload;
        let rows = values.split_off(header.nodes.len() * sizes.sums);
        let rows = rows.chunks(sizes.rows_out.max(1));
        for (&shard, row) in header.shards.iter().zip(rows) {
            self.rows[shard as usize] = row.to_vec();
        }
        for (&shard, record) in header.shards.iter().zip(header.records) {
            self.records[shard as usize] = record;
        }
        for &shard in &header.shards {
            self.answered[shard as usize] = true;
        }
        // From the back, so that the first sum, often the only one, keeps the buffer it came in.
        for node in header.nodes.into_iter().rev() {
            let sum = Sum {
                values: values.split_off(values.len() - sizes.sums),
                scalars: node.scalars,
            };
            self.sums.add(node.node, sum, |mut left, right| {
                add_into(&mut left.values, &right.values);
                add_into(&mut left.scalars, &right.scalars);
                left
            });
        }
    }

    /// Whether every shard is counted.
    pub(crate) fn is_complete(&self) -> bool {
        self.sums.is_complete()
    }

    /// The totals of a complete round.
    pub(crate) fn into_total(self) -> Option<RoundTotal> {
        let sum = self.sums.into_total()?;
        Some(RoundTotal {
            sums: sum.values,
            scalars: sum.scalars,
            rows: self.rows,
            records: self.records,
        })
    }
}

#[cfg(test)]
mod tests;
