//! How a run ended.

use super::Plan;
use crate::multipliers::sha256_of;
use crate::report::{Best, Evaluation};
use lagrange_core::check::Certificate;
use lagrange_core::network::Network;
use lagrange_core::weights::Weights;
use lagrange_data::Split;
use std::sync::Arc;

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
    /// What the checks of optimality came to.
    pub certificate: Certificate,
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

    /// The evaluation of the validation split that was best; of equal ones the first.
    #[must_use]
    pub fn best(&self) -> Option<&Evaluation> {
        best(&self.evaluations)
    }
}

fn best(evaluations: &[Evaluation]) -> Option<&Evaluation> {
    let validation = evaluations.iter().filter(|e| e.split == Split::Validation);
    // Of equal ones `max_by` takes the last.
    validation
        .rev()
        .max_by(|a, b| a.accuracy.total_cmp(&b.accuracy))
}

impl Plan {
    /// The present iterate, if the validation split was never predicted as well before.
    #[must_use]
    pub fn best_here(&self) -> Option<Best> {
        let evaluation = best(&self.evaluations).filter(|best| best.step == self.step)?;
        Some(Best {
            evaluation: *evaluation,
            weights: Arc::new(self.now.weights.clone()),
        })
    }

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
            certificate: self.certificate.clone(),
            interrupted: self.interrupted,
            evaluations: self.evaluations.clone(),
        }
    }
}
