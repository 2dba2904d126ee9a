//! Buffers of one thread.

use super::inputs::Samples;
use lagrange_core::forward::Forward;
use lagrange_core::schedule::{Schedule, WorkerHalf};
use lagrange_core::weights::Weights;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Buffers of one thread.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) half: Box<dyn WorkerHalf>,
    pub(super) samples: Samples,
    /// Weights loaded in the forward pass.
    loaded: Option<Arc<Weights>>,
}

impl Scratch {
    /// The forward pass with `weights`, unless it has them already: every shard of a round has the same.
    pub(super) fn forward(&mut self, weights: &Arc<Weights>) -> &mut Forward {
        let loaded = |held: &Arc<Weights>| Arc::ptr_eq(held, weights);
        if !self.loaded.as_ref().is_some_and(loaded) {
            self.half.forward().load(weights);
            self.loaded = Some(Arc::clone(weights));
        }
        self.half.forward()
    }
}

/// Idle buffers.
#[derive(Debug, Default)]
pub(super) struct ScratchPool {
    idle: Mutex<Vec<Scratch>>,
}

impl ScratchPool {
    /// Runs `work` with one thread's buffers, made when no idle ones are left.
    pub(super) fn with<T>(
        &self,
        schedule: &dyn Schedule,
        work: impl FnOnce(&mut Scratch) -> T,
    ) -> T {
        let idle = self.lock().pop();
        let mut scratch = idle.unwrap_or_else(|| Scratch {
            half: schedule.worker(),
            samples: Samples::default(),
            loaded: None,
        });
        let result = work(&mut scratch);
        self.lock().push(scratch);
        result
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Scratch>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
