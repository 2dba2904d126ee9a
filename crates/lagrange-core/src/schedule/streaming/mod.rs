//! Streaming ADMM: forward-reset sweeps over mini-batches, with running Gram matrices and momentum at the coordinator.
//!
//! For a batch, each shard ([`LocalStep`]) passes its samples forward with the current W, so that every constraint
//! starts satisfied; minimises over z_L, then backwards over a_l and z_l; and sums the correction equations
//! `[T(a_{l-1}) | z_l - m_l]`. The coordinator ([`WeightUpdate`]) solves them for a weight step and moves the multipliers.

mod drawn;
mod global;
mod local;
mod memory;

pub use global::{StageReport, WeightUpdate};
pub use local::{LocalStep, StepInput, StepOutput};
pub use memory::{MemoryError, StageMemory};

use crate::activation::{ActivationPenalty, ActivationUpdate};
use crate::loss::Loss;
use crate::pooling::{PoolPenalty, StaircaseUpdate};
use serde::{Deserialize, Serialize};

/// What a worker must know to compute a shard's part of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepParams {
    /// Loss of the last stage.
    pub loss: Loss,
    /// Weight of hidden output constraints z = W a.
    pub beta: f32,
    /// Weight of activation constraints a = h(z).
    pub gamma: f32,
    /// Weight of the last output constraint, which also has the multipliers.
    pub beta_output: f32,
    /// How activations are updated.
    pub activation: ActivationUpdate,
    /// Toeplitz rows each shard samples for a hidden stage's Gram matrix.
    pub gram_rows: usize,
    /// How hidden outputs are updated behind a staircase activation.
    pub staircase: StaircaseUpdate,
    /// Equations that a shard draws per unknown, for Gram matrix and cross moment alike (the sampled solver); 0 takes the cross moment from every
    /// row and the Gram matrix from `gram_rows`.
    pub equations: f32,
}

/// In which metric weight steps are preconditioned and measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// The Gram matrix: a step's length is the change of the stage's outputs.
    #[default]
    Gram,
    /// The identity: the cross moment itself is the step, and lengths are those of weights.
    Identity,
}

/// How long the step of a hidden stage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HiddenStep {
    /// `rate * trust`, relative to the weights.
    #[default]
    TrustRegion,
    /// `rate * output_rate` of the least-squares step, as the last stage.
    LeastSquares,
}

impl StepParams {
    pub(super) fn activation_penalty(&self, consumer_is_last: bool) -> ActivationPenalty {
        ActivationPenalty {
            beta: if consumer_is_last {
                self.beta_output
            } else {
                self.beta
            },
            gamma: self.gamma,
        }
    }

    pub(super) fn pool_penalty(&self) -> PoolPenalty {
        PoolPenalty {
            gamma: self.gamma,
            beta: self.beta,
        }
    }
}

/// How the coordinator turns a step's summed equations into weights and multipliers.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `ridge` | 0.1 | added to the Gram diagonal, relative to its mean | > 0 |
/// | `gram_decay` | 0.8 | what a refresh keeps of the running Gram matrix | 0..1 |
/// | `momentum` | 0.8 | what a step keeps of the summed cross moments | 0..1 |
/// | `trust` | 0.02 | relative change of a hidden stage's outputs in one step | > 0 |
/// | `output_rate` | 0.1 | share of the last stage's least-squares step taken | > 0 |
/// | `dual_step` | 1 | share of beta_L (z_L - m_L) added to the multipliers; 0 switches them off | >= 0 |
/// | `dual_decay` | 0.5 | what an update keeps of the multipliers | 0..=1 |
/// | `metric` | Gram | metric of weight steps | |
/// | `hidden_step` | trust region | length of hidden steps | |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UpdateParams {
    /// Ridge, relative to the mean of the Gram diagonal.
    pub ridge: f32,
    /// Share of the running Gram matrix kept at a refresh.
    pub gram_decay: f32,
    /// Share of the running cross moment kept in a step.
    pub momentum: f32,
    /// Trust region of hidden stages: relative change in the Gram metric.
    pub trust: f32,
    /// Step length of the last stage.
    pub output_rate: f32,
    /// Step length of the multipliers, relative to beta_L.
    pub dual_step: f32,
    /// Decay of the multipliers.
    pub dual_decay: f32,
    /// Metric of weight steps.
    pub metric: Metric,
    /// Length of hidden steps.
    pub hidden_step: HiddenStep,
}

impl Default for UpdateParams {
    fn default() -> Self {
        Self {
            ridge: 0.1,
            gram_decay: 0.8,
            momentum: 0.8,
            trust: 0.02,
            output_rate: 0.1,
            dual_step: 1.0,
            dual_decay: 0.5,
            metric: Metric::Gram,
            hidden_step: HiddenStep::TrustRegion,
        }
    }
}

impl UpdateParams {
    /// The multiplier update `lambda <- decay (lambda + step * beta_L (z_L - m_L))`, entrywise.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn update_multipliers(&self, beta_output: f32, residual: &[f32], multipliers: &mut [f32]) {
        assert_eq!(
            residual.len(),
            multipliers.len(),
            "one residual per multiplier"
        );
        for (lambda, r) in multipliers.iter_mut().zip(residual) {
            *lambda = self.dual_decay * (*lambda + self.dual_step * beta_output * r);
        }
    }
}
