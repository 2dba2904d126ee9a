//! What a run tells about itself while it runs: one record per event, written as JSON lines.

use lagrange_data::Split;
use serde::Serialize;

/// An event of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Report {
    /// Workers joined or left.
    Membership {
        /// Live workers now.
        workers: usize,
        /// What happened.
        change: String,
    },
    /// A round of the k-means start was completed.
    Start {
        /// Stage whose kernels are being found, from 0.
        stage: usize,
        /// What the round did: `patch-seeds`, `cluster` or `moments`.
        round: &'static str,
    },
    /// A training step was completed.
    Step(Box<StepReport>),
    /// A split was evaluated.
    Evaluation(Evaluation),
}

/// Residuals, objective and solves of one step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepReport {
    /// Steps completed.
    pub step: u64,
    /// Steps of the whole run.
    pub total: u64,
    /// Mean loss per sample of the batch, before the step.
    pub loss: f64,
    /// Augmented objective per sample at the updated z and a.
    pub objective: f64,
    /// Primal residual per stage: root mean square of z - W a over the stage's outputs.
    pub output_residual: Vec<f64>,
    /// Primal residual per hidden stage: root mean square of a - h(z).
    pub activation_residual: Vec<f64>,
    /// Dual residual per stage: root mean square of beta T(a) dW over the sampled rows.
    pub dual_residual: Vec<f64>,
    /// Root mean square of T(a) W per stage.
    pub weight_norm: Vec<f64>,
    /// Lower bound of the condition number of each stage's weight system, from its Cholesky factor.
    pub condition: Vec<f64>,
    /// Root mean square of the multipliers of the batch.
    pub multiplier_rms: f64,
    /// Share of the step length left: 1 falls to 0 over the run.
    pub rate: f32,
}

/// Accuracy on a split.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Evaluation {
    /// Steps completed when it was taken.
    pub step: u64,
    /// The split.
    #[serde(serialize_with = "split_name")]
    pub split: Split,
    /// Samples evaluated.
    pub samples: u64,
    /// Samples predicted correctly.
    pub correct: u64,
    /// `correct / samples`
    pub accuracy: f64,
    /// Mean loss per sample.
    pub loss: f64,
}

fn split_name<S: serde::Serializer>(split: &Split, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match split {
        Split::Train => "train",
        Split::Validation => "validation",
        Split::Test => "test",
    })
}
