//! How a run ended.

use super::Plan;
use crate::multipliers::sha256_of;
use crate::report::Evaluation;
use lagrange_core::network::Network;
use lagrange_core::weights::Weights;
use lagrange_data::Split;

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The network.
    pub network: Network,
    /// Final weights.
    pub weights: Weights,
    /// SHA-256 of the weights as little-endian f32, in hexadecimal.
    pub weights_sha256: String,
    /// SHA-256 of the multipliers, likewise.
    pub multipliers_sha256: String,
    /// Steps completed.
    pub steps: u64,
    /// How often training diverged and was taken up again from an earlier iterate.
    pub rollbacks: u32,
    /// Equations per output that weight updates were fitted to, over all stages and steps.
    pub equations: u64,
    /// Whether it was asked to stop before its last step.
    pub interrupted: bool,
    /// The last evaluation of each split.
    pub evaluations: Vec<Evaluation>,
}

impl Outcome {
    /// The last evaluation of `split`, if there was one.
    #[must_use]
    pub fn evaluation(&self, split: Split) -> Option<&Evaluation> {
        self.evaluations.iter().rev().find(|e| e.split == split)
    }
}

impl Plan {
    /// How the run ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        Outcome {
            network: self.network.clone(),
            weights_sha256: sha256_of(self.now.weights.as_slice().iter()),
            multipliers_sha256: self.now.multipliers.sha256(),
            weights: self.now.weights.clone(),
            steps: self.step,
            rollbacks: self.guard.rollbacks(),
            equations: self.equations,
            interrupted: self.interrupted,
            evaluations: self.evaluations.clone(),
        }
    }
}
