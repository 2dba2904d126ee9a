//! What holds of a round between two events.

use super::Round;
use super::non_finite::MOST_REPEATS;
use crate::membership::WorkerId;
use std::collections::BTreeSet;

impl Round {
    /// Panics if an invariant is broken; `is_member` tells who is there.
    pub(crate) fn assert_invariants(&self, is_member: impl Fn(WorkerId) -> bool) {
        assert!(self.pool.is_sorted_by(|a, b| a < b), "pool out of order");
        for shard in 0..self.task.shards {
            let pooled = self.pool.binary_search(&shard).is_ok();
            let owed = self.outstanding.iter().any(|a| a.shards.contains(&shard));
            let places = [pooled, owed, self.answered[shard as usize]];
            let places = places.iter().filter(|&&place| place).count();
            assert_eq!(places, 1, "shard {shard} is in {places} places: {self:?}");
        }
        let mut attempts = BTreeSet::new();
        for assignment in &self.outstanding {
            let (worker, attempt) = (assignment.worker, assignment.attempt);
            assert!(is_member(worker), "worker {worker} owes, but is gone");
            assert!(attempts.insert(attempt) && attempt < self.next_attempt);
            assert!(assignment.shards.is_sorted_by(|a, b| a < b));
            for other in &self.outstanding {
                let mut shards = assignment.shards.iter();
                let apart = !shards.any(|shard| other.shards.contains(shard));
                let same = assignment.shards == other.shards;
                assert!(same || apart, "{assignment:?} overlaps {other:?}");
            }
        }
        for reply in self.non_finite.iter() {
            assert!((1..=MOST_REPEATS).contains(&reply.times));
        }
        assert_eq!(self.is_complete(), self.answered.iter().all(|&done| done));
    }
}
