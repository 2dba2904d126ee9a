//! Batch order: the samples of a shard that a step takes, a function of (seed, shard, epoch) alone.

use lagrange_core::random::{Purpose, stream};
use rand::RngExt as _;

/// Positions within a shard.
pub type Positions<'a> = &'a [u32];

/// Batch order of one shard, with the permutation of the current epoch.
///
/// ```
/// use lagrange_data::BatchOrder;
///
/// // Seed 3, shard 1: 12 samples, in 3 steps of 4.
/// let mut order = BatchOrder::new(3, 1, 12, 4, 3);
/// let mut epoch: Vec<u32> = (0..3).flat_map(|step| order.positions(step).to_vec()).collect();
/// epoch.sort_unstable();
/// assert_eq!(epoch, (0..12).collect::<Vec<_>>());
/// ```
#[derive(Debug, Clone)]
pub struct BatchOrder {
    seed: u64,
    shard: u64,
    per_batch: usize,
    steps_per_epoch: u64,
    epoch: Option<u64>,
    permutation: Vec<u32>,
}

impl BatchOrder {
    /// The order of a shard of `shard_len` samples of which every step takes `per_batch`.
    ///
    /// # Panics
    /// If an epoch has no step, or needs more samples than the shard has.
    #[must_use]
    pub fn new(
        seed: u64,
        shard: usize,
        shard_len: usize,
        per_batch: usize,
        steps_per_epoch: u64,
    ) -> Self {
        assert!(
            steps_per_epoch > 0
                && steps_per_epoch.saturating_mul(per_batch as u64) <= shard_len as u64,
            "{steps_per_epoch} steps of {per_batch} out of {shard_len} samples"
        );
        Self {
            seed,
            shard: shard as u64,
            per_batch,
            steps_per_epoch,
            epoch: None,
            permutation: (0..shard_len as u32).collect(),
        }
    }

    /// Positions of the samples of step `step`, counted from 0 over all epochs.
    pub fn positions(&mut self, step: u64) -> Positions<'_> {
        let epoch = step / self.steps_per_epoch;
        if self.epoch != Some(epoch) {
            self.shuffle(epoch);
        }
        let start = (step % self.steps_per_epoch) as usize * self.per_batch;
        &self.permutation[start..start + self.per_batch]
    }

    /// Fisher and Yates, from the identity, so that an epoch's order does not depend on those before it.
    fn shuffle(&mut self, epoch: u64) {
        let mut random = stream(self.seed, Purpose::Order, self.shard, epoch);
        self.permutation
            .iter_mut()
            .zip(0..)
            .for_each(|(slot, i)| *slot = i);
        for last in (1..self.permutation.len()).rev() {
            let pick = random.random_range(0..=last as u32) as usize;
            self.permutation.swap(last, pick);
        }
        self.epoch = Some(epoch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_takes_every_sample_once_and_epochs_differ() {
        let mut order = BatchOrder::new(3, 1, 12, 4, 3);
        let mut epoch = |first: u64| -> Vec<u32> {
            (first..first + 3)
                .flat_map(|step| order.positions(step).to_vec())
                .collect()
        };
        let (first, second) = (epoch(0), epoch(3));
        assert_ne!(first, second);
        for mut samples in [first, second] {
            samples.sort_unstable();
            assert_eq!(samples, (0..12).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_step_is_the_same_whatever_was_asked_before() {
        let mut order = BatchOrder::new(3, 1, 13, 4, 3);
        let forwards: Vec<Vec<u32>> = (0..9).map(|step| order.positions(step).to_vec()).collect();
        for step in (0..9).rev() {
            assert_eq!(order.positions(step), forwards[step as usize]);
            let mut fresh = BatchOrder::new(3, 1, 13, 4, 3);
            assert_eq!(fresh.positions(step), forwards[step as usize]);
        }
        assert_ne!(BatchOrder::new(3, 2, 13, 4, 3).positions(0), forwards[0]);
        assert_ne!(BatchOrder::new(4, 1, 13, 4, 3).positions(0), forwards[0]);
    }

    #[test]
    fn the_batch_size_only_cuts_the_order() {
        let mut all = BatchOrder::new(3, 1, 13, 13, 1);
        let mut parts = BatchOrder::new(3, 1, 13, 4, 3);
        for epoch in [0, 5] {
            let cut: Vec<u32> = (0..3)
                .flat_map(|step| parts.positions(3 * epoch + step).to_vec())
                .collect();
            assert_eq!(all.positions(epoch)[..12], cut);
        }
    }

    /// A run must be resumable by a later build: neither a change here nor a new version of `rand` may change
    /// the order unnoticed.
    #[test]
    fn the_order_is_pinned() {
        assert_eq!(
            BatchOrder::new(3, 1, 12, 12, 1).positions(2),
            [10, 8, 0, 6, 1, 5, 2, 3, 9, 11, 4, 7]
        );
    }
}
