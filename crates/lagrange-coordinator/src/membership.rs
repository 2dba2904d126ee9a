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
            let threads = u64::from(threads);
            before += threads;
            // Rounded, so that equal workers differ by one shard at most.
            let end = ((2 * count * before + total) / (2 * total)).min(count) as usize;
            let most = start + (count * threads).div_ceil(total) as usize;
            let end = aligned(shards, end.max(start), most);
            if end > start {
                dealt.push((worker, shards[start..end].to_vec()));
            }
            start = end;
        }
        dealt
    }
}

/// `end` or the place behind it, whichever cuts the reduction tree at a larger subtree: fewer sums then travel. The longest run,
/// which is what a round waits for, stays within `most`.
fn aligned(shards: &[u32], end: usize, most: usize) -> usize {
    let subtree = |place: usize| {
        shards
            .get(place)
            .map_or(u32::MAX, |shard| shard.trailing_zeros())
    };
    if end < most.min(shards.len()) && subtree(end + 1) > subtree(end) {
        end + 1
    } else {
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lagrange_core::tree::cover;
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
                let given = given.len() as f64;
                prop_assert!(given <= fair.ceil().max(fair + 1.0) && given >= fair - 2.0, "{given} of {fair}");
            }
        }
    }

    #[test]
    fn runs_end_where_the_tree_does() {
        let shards: Vec<u32> = (0..16).collect();
        for (workers, longest, sums) in [
            (1, 16, 1),
            (2, 8, 2),
            (3, 6, 5),
            (4, 4, 4),
            (5, 4, 7),
            (8, 2, 8),
        ] {
            let mut members = Membership::default();
            (0..workers).for_each(|worker| members.join(worker, 1));
            let dealt = members.deal(&shards);
            assert_eq!(
                dealt.iter().map(|(_, run)| run.len()).max(),
                Some(longest),
                "{workers} workers"
            );
            let nodes: usize = dealt.iter().map(|(_, run)| cover(run, 16).len()).sum();
            assert_eq!(nodes, sums, "{workers} workers");
        }
    }

    #[test]
    fn nobody_gets_nothing() {
        assert!(Membership::default().deal(&[0, 1]).is_empty());
    }
}
