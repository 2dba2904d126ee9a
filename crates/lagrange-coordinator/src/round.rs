//! One round: work handed out shard by shard, answered once, and summed along the fixed tree.

use crate::membership::WorkerId;
use lagrange_core::tree::{Node, PartialSums, add_into, cover};
use lagrange_protocol::{JobShape, Reply};
use std::time::Duration;

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
    Counted {
        /// Shards it answers.
        shards: usize,
        /// When they had been handed out.
        since: Duration,
    },
    /// It answers work that is no longer this worker's, or that another worker has answered first: dropped.
    Stale,
    /// It contradicts its own work: the sentence says how. The worker is at fault.
    Wrong(String),
}

/// Shards in one worker's hands.
#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    pub(crate) worker: WorkerId,
    attempt: u32,
    pub(crate) shards: Vec<u32>,
    /// When they were handed out.
    pub(crate) since: Duration,
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

    /// Hands `shards` to `worker`; the number returned fences the answer. The same shards may be handed to several workers: the first
    /// answer counts.
    pub fn assign(&mut self, worker: WorkerId, shards: Vec<u32>, now: Duration) -> u32 {
        let attempt = self.next_attempt;
        self.next_attempt += 1;
        self.outstanding.push(Assignment {
            worker,
            attempt,
            shards,
            since: now,
        });
        attempt
    }

    /// Takes back what `worker` has not answered: the shards that nobody else has in hand.
    pub fn take_back(&mut self, worker: WorkerId) -> Vec<u32> {
        let lost = self.outstanding.extract_if(.., |a| a.worker == worker);
        let mut shards: Vec<u32> = lost.flat_map(|assignment| assignment.shards).collect();
        shards.retain(|shard| !self.outstanding.iter().any(|a| a.shards.contains(shard)));
        shards.sort_unstable();
        // One worker may have the same shards twice: as its own, and because somebody else's answer was late.
        shards.dedup();
        shards
    }

    /// Takes the work that `reply` answers out of `worker`'s hands; tells whether it was there, and is what the reply says it is.
    pub fn withdraw(&mut self, worker: WorkerId, reply: &Reply) -> bool {
        let Some(index) = self.answered_by(worker, reply) else {
            return false;
        };
        let sound = self.check(&self.outstanding[index], reply).is_ok();
        if sound {
            self.outstanding.swap_remove(index);
        }
        sound
    }

    fn answered_by(&self, worker: WorkerId, reply: &Reply) -> Option<usize> {
        let attempt = reply.header.attempt;
        self.outstanding
            .iter()
            .position(|a| a.worker == worker && a.attempt == attempt)
    }

    /// Whether `worker` has something in hand.
    #[must_use]
    pub fn owes(&self, worker: WorkerId) -> bool {
        self.outstanding.iter().any(|a| a.worker == worker)
    }

    /// What is in one worker's hands only.
    pub(crate) fn single(&self) -> impl Iterator<Item = &Assignment> {
        let alone = |assignment: &&Assignment| {
            let same = self
                .outstanding
                .iter()
                .filter(|a| a.shards == assignment.shards);
            same.count() == 1
        };
        self.outstanding.iter().filter(alone)
    }

    /// Counts `reply` once, if it is what `worker` was last asked for.
    pub fn accept(&mut self, worker: WorkerId, reply: Reply) -> Receipt {
        let Some(index) = self.answered_by(worker, &reply) else {
            return Receipt::Stale;
        };
        if let Err(fault) = self.check(&self.outstanding[index], &reply) {
            return Receipt::Wrong(fault);
        }
        let answered = self.outstanding.swap_remove(index);
        // Whoever has the same shards in hand comes too late.
        self.outstanding.retain(|a| a.shards != answered.shards);
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
        Receipt::Counted {
            shards: answered.shards.len(),
            since: answered.since,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use lagrange_protocol::{NodeSum, ReplyHeader};

    const SHAPE: JobShape = JobShape {
        shared: 0,
        rows_in: 0,
        sums: 1,
        scalars: 0,
        rows_out: 0,
    };

    fn reply(attempt: u32, shards: &[u32], value: f32) -> Reply {
        let nodes = cover(shards, 4);
        Reply {
            payload: vec![value; nodes.len()],
            header: ReplyHeader {
                run: "r".to_owned(),
                round: 1,
                attempt,
                nodes: nodes
                    .into_iter()
                    .map(|node| NodeSum {
                        node,
                        scalars: Vec::new(),
                    })
                    .collect(),
                shards: shards.to_vec(),
                payload_floats: 0,
            },
        }
    }

    #[test]
    fn of_two_answers_the_first_counts_whoever_was_asked_first() {
        for first in [1, 2] {
            let mut round = Round::new(SHAPE, 4);
            let slow = round.assign(1, vec![0, 1], Duration::ZERO);
            let other = round.assign(2, vec![2, 3], Duration::ZERO);
            assert!(matches!(
                round.accept(2, reply(other, &[2, 3], 5.0)),
                Receipt::Counted { .. }
            ));
            assert_eq!(round.single().map(|a| a.worker).collect::<Vec<_>>(), [1]);
            let backup = round.assign(2, vec![0, 1], Duration::from_secs(1));
            assert_eq!(round.single().count(), 0);
            let [winner, loser] = match first {
                1 => [(1, slow), (2, backup)],
                _ => [(2, backup), (1, slow)],
            };
            assert!(!round.is_complete());
            let counted = round.accept(winner.0, reply(winner.1, &[0, 1], 7.0));
            assert!(matches!(counted, Receipt::Counted { shards: 2, .. }));
            assert!(round.is_complete() && !round.owes(loser.0));
            assert_eq!(
                round.accept(loser.0, reply(loser.1, &[0, 1], 9.0)),
                Receipt::Stale
            );
            assert_eq!(round.into_total().expect("complete").sums, [12.0]);
        }
    }

    #[test]
    fn what_a_lost_worker_had_goes_back_unless_somebody_else_has_it() {
        let mut round = Round::new(SHAPE, 4);
        round.assign(1, vec![0, 1], Duration::ZERO);
        round.assign(2, vec![2, 3], Duration::ZERO);
        round.assign(3, vec![0, 1], Duration::ZERO);
        assert_eq!(round.take_back(1), [0u32; 0]);
        assert_eq!(round.take_back(3), [0, 1]);
        round.assign(2, vec![2, 3], Duration::ZERO);
        assert_eq!(round.take_back(2), [2, 3]);
        assert!(!round.owes(2));
    }
}
