//! Data of the initial weights: the start's images, and patches of a stage's inputs.

use super::Compute;
use super::part::{Context, ShardRef};
use lagrange_core::forward::Forward;
use lagrange_core::start::patch_sample;
use ndarray::Array2;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

type StageAndShard = (usize, u32);

/// Patches of the stage whose kernels are being initialised. They depend on the run alone, since the weights
/// of earlier stages are fixed.
#[derive(Debug, Default)]
pub(super) struct Patches {
    held: Mutex<HashMap<StageAndShard, Arc<Array2<f32>>>>,
}

impl Patches {
    /// Patches of a stage and shard, made by `find` if missing; patches of other stages are dropped.
    fn get(&self, key: StageAndShard, find: impl FnOnce() -> Array2<f32>) -> Arc<Array2<f32>> {
        let lock = || self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = lock().get(&key) {
            return Arc::clone(found);
        }
        let found = Arc::new(find());
        let mut held = lock();
        held.retain(|&(stage, _), _| stage == key.0);
        held.insert(key, Arc::clone(&found));
        found
    }
}

impl Compute {
    /// The forward pass of the start's images, evenly spread over the shard, through `stages` stages.
    pub(super) fn start_forward(
        &self,
        context: &Context<'_>,
        ShardRef { shard, .. }: ShardRef<'_>,
        stages: usize,
    ) -> Forward {
        let share = self.spec.config().start.images / self.spec.shards();
        let count = shard.train.len().min(share);
        let mut forward = Forward::new(&self.network, count);
        forward.load(&context.weights);
        forward.run_through(&self.inputs.spread(&shard.train, count), stages);
        forward
    }

    /// Patches of the inputs of `stage`.
    pub(super) fn patches(
        &self,
        context: &Context<'_>,
        stage: usize,
        shard: ShardRef<'_>,
    ) -> Arc<Array2<f32>> {
        self.patches.get((stage, shard.index), || {
            let forward = self.start_forward(context, shard, stage);
            let share = self.spec.config().start.patches / self.spec.shards();
            let key = (self.spec.config().seed, shard.index.into());
            patch_sample(&forward, &self.network.stages()[stage], stage, share, key)
        })
    }
}
