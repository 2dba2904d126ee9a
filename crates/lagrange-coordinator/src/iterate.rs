//! An iterate of a run: all that a step changes and the next one goes on from.

use crate::checkpoint::{Arrays, CheckpointError};
use crate::multipliers::Multipliers;
use lagrange_core::network::Network;
use lagrange_core::schedule::{CoordinatorHalf, Memory};
use lagrange_core::weights::Weights;
use std::collections::BTreeMap;

/// Weights, multipliers, and what the schedule keeps between steps.
#[derive(Debug)]
pub(crate) struct Iterate {
    pub(crate) weights: Weights,
    pub(crate) multipliers: Multipliers,
    pub(crate) schedule: Box<dyn CoordinatorHalf>,
}

/// Numbers of a schedule's memory, by name: bits.
pub(crate) type Numbers = BTreeMap<String, u64>;

impl Iterate {
    /// A copy to go back to; `None` where the schedule has no use for one.
    pub(crate) fn fork(&self) -> Option<Self> {
        Some(Self {
            schedule: self.schedule.fork()?,
            weights: self.weights.clone(),
            multipliers: self.multipliers.clone(),
        })
    }

    /// Puts its arrays down under names that begin with `prefix`; the numbers that go with them.
    pub(crate) fn save(&self, prefix: &str, arrays: &mut Arrays) -> Numbers {
        let memory = self.schedule.memory();
        arrays.put(format!("{prefix}weights"), self.weights.as_slice().to_vec());
        arrays.put(format!("{prefix}multipliers"), self.multipliers.flat());
        for (name, values) in memory.arrays {
            arrays.put(format!("{prefix}schedule.{name}"), values);
        }
        memory.numbers
    }

    /// Becomes the iterate that [`Iterate::save`] put down.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] if it is not one of `network` and this schedule; this one is
    /// then of no use.
    pub(crate) fn load(
        &mut self,
        network: &Network,
        prefix: &str,
        numbers: &Numbers,
        arrays: &Arrays,
    ) -> Result<(), CheckpointError> {
        let other_size = |name: &str| CheckpointError::damaged(format!("{name} is of another run"));
        let name = format!("{prefix}weights");
        let weights = Weights::from_flat(network, arrays.get(&name)?.to_vec());
        self.weights = weights.ok_or_else(|| other_size(&name))?;
        let name = format!("{prefix}multipliers");
        if !self.multipliers.set_flat(arrays.get(&name)?) {
            return Err(other_size(&name));
        }
        let prefix = format!("{prefix}schedule.");
        let memory = Memory {
            numbers: numbers.clone(),
            arrays: arrays.below(&prefix),
        };
        self.schedule
            .restore(&memory)
            .map_err(|error| CheckpointError::damaged(format!("{prefix}{error}")))
    }
}
