//! Who works on what: live workers and the shards each is given.

use std::collections::BTreeMap;

/// Number by which a connection is known for as long as it lives. Never reused within a run.
pub type WorkerId = u64;

/// The live workers of a run.
#[derive(Debug, Clone, Default)]
pub struct Membership {
    workers: BTreeMap<WorkerId, u32>,
}

impl Membership {
    /// Adds a worker that computes on `threads` threads.
    pub fn join(&mut self, worker: WorkerId, threads: u32) {
        self.workers.insert(worker, threads.max(1));
    }

    /// Removes a worker; tells whether it was there.
    pub fn leave(&mut self, worker: WorkerId) -> bool {
        self.workers.remove(&worker).is_some()
    }

    /// Live workers, in the order in which they joined.
    pub fn workers(&self) -> impl Iterator<Item = WorkerId> {
        self.workers.keys().copied()
    }

    /// Number of live workers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.workers.len()
    }

    /// Whether nobody is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// Deals `shards` in contiguous runs to the live workers, in proportion to their threads: contiguous, because neighbours in
    /// the reduction tree can then be summed where they are. Workers that get none are left out.
    #[must_use]
    pub fn deal(&self, shards: &[u32]) -> Vec<(WorkerId, Vec<u32>)> {
        let total: u64 = self
            .workers
            .values()
            .map(|&threads| u64::from(threads))
            .sum();
        let count = shards.len() as u64;
        let (mut before, mut start) = (0, 0);
        let mut dealt = Vec::with_capacity(self.workers.len());
        for (&worker, &threads) in &self.workers {
            before += u64::from(threads);
            // Rounded, so that equal workers differ by one shard at most.
            let end = ((2 * count * before + total) / (2 * total)).min(count) as usize;
            if end > start {
                dealt.push((worker, shards[start..end].to_vec()));
            }
            start = end.max(start);
        }
        dealt
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_shard_is_dealt_once_and_fairly(threads in prop::collection::vec(1u32..5, 1..9), shards in 1u32..70) {
            let mut members = Membership::default();
            threads.iter().enumerate().for_each(|(worker, &threads)| members.join(worker as u64, threads));
            let shards: Vec<u32> = (0..shards).collect();
            let dealt = members.deal(&shards);
            let all: Vec<u32> = dealt.iter().flat_map(|(_, shards)| shards.clone()).collect();
            prop_assert_eq!(&all, &shards);
            let total: u32 = threads.iter().sum();
            for (worker, given) in dealt {
                let fair = shards.len() as f64 * f64::from(threads[worker as usize]) / f64::from(total);
                prop_assert!((given.len() as f64 - fair).abs() <= 1.0, "{} of {fair}", given.len());
            }
        }
    }

    #[test]
    fn nobody_gets_nothing() {
        assert!(Membership::default().deal(&[0, 1]).is_empty());
    }
}
