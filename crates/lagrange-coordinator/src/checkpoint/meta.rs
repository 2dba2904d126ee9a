//! The small part of a checkpoint.

use crate::plan::PlanFacts;
use lagrange_core::schedule::Round;
use serde::{Deserialize, Serialize};

/// Everything small that a run needs to go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Default))]
pub struct CheckpointMeta {
    /// Name of the run: workers that outlive a coordinator know it by that.
    pub(crate) run: String,
    /// The run's text: [`lagrange_protocol::RunSpec::to_text`].
    pub(crate) spec: String,
    /// SHA-256 of the dataset, in hexadecimal.
    pub(crate) dataset_sha256: String,
    /// Rounds begun.
    pub(crate) round: u64,
    pub(crate) plan: PlanFacts,
    /// Rounds whose z and a are on the workers.
    pub(crate) history: Vec<Round>,
}

impl CheckpointMeta {
    /// Steps completed, and steps that the whole run was to have.
    #[must_use]
    pub fn steps(&self) -> (u64, u64) {
        (self.plan.step, self.plan.total_steps)
    }
}
