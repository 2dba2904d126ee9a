//! What a run tells about itself while it runs: one record per event, written as JSON lines.

use crate::membership::WorkerId;
use lagrange_core::check::Entry;
use lagrange_core::weights::Weights;
use lagrange_data::Split;
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;

/// An event of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum RunEvent {
    /// Workers joined or left.
    Membership {
        /// Live workers now.
        workers: usize,
        /// What happened.
        change: String,
    },
    /// Who works on what: about once a second, and whenever a worker joins or leaves. It is no part of the
    /// metrics.
    Workers {
        /// Workers that the run needs to begin, or to go on.
        wanted: usize,
        /// Seconds that a worker may be silent.
        lease_seconds: f64,
        /// Those that are there.
        present: Vec<WorkerStatus>,
    },
    /// A round of the k-means start was completed.
    Start {
        /// Stage whose kernels are being found, from 0.
        stage: usize,
        /// What the round did: `patch-seeds`, `cluster` or `moments`.
        round: &'static str,
    },
    /// A training step was completed.
    Step(Box<StepMetrics>),
    /// Training diverged and was taken up again from an earlier point.
    Rollback {
        /// Steps completed.
        step: u64,
        /// Steps that had been completed at the point gone back to.
        to: u64,
        /// Factor of all step lengths from here on.
        rate_factor: f32,
        /// What gave the divergence away.
        reason: String,
    },
    /// A check of optimality failed; told once for each kind of check.
    FailedCheck(FailedCheck),
    /// A split was evaluated.
    Evaluation(Evaluation),
    /// The validation split was never predicted as well before.
    Best(Best),
    /// All that is evaluated behind a step has been. It is no part of the metrics.
    Iterate {
        /// Steps completed.
        step: u64,
        /// The weights that were evaluated.
        #[serde(skip)]
        weights: Arc<Weights>,
    },
}

/// A check of optimality that failed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FailedCheck {
    /// Steps completed with it.
    pub step: u64,
    /// The check, with the place where it failed.
    pub failed: Entry,
}

/// A worker, as those see it who watch a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkerStatus {
    /// Its number.
    pub worker: WorkerId,
    /// The name that it gives itself; empty where there is no connection.
    pub name: String,
    /// Where it dials from, if that is known.
    pub address: Option<SocketAddr>,
    /// Threads it computes on.
    pub threads: u32,
    /// Whether it wants to go.
    pub leaving: bool,
    /// Shards that it was given last.
    pub shards: Vec<u32>,
    /// Seconds that its last answer took.
    pub answer_seconds: Option<f64>,
    /// Seconds since it was last heard of.
    pub silent_seconds: f64,
}

/// The iterate that predicts the validation split best so far; of equal ones the first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Best {
    /// How well it does.
    #[serde(flatten)]
    pub evaluation: Evaluation,
    /// Its weights.
    #[serde(skip)]
    pub weights: Arc<Weights>,
}

/// Residuals, objective and solves of one step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepMetrics {
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
    /// Dual residual per stage: root mean square of beta T(a) dW over the rows that a step is measured on.
    /// These are the rows behind the running Gram matrix, or where a step solves for weights those that it
    /// is fitted to.
    pub dual_residual: Vec<f64>,
    /// Root mean square of T(a) W per stage, over the same rows.
    pub weight_norm: Vec<f64>,
    /// Condition number of each stage's weight system: exact where the solver takes singular values,
    /// otherwise an estimate or a lower bound from the factorisation's pivots.
    pub condition: Vec<f64>,
    /// Equations per output that each stage's weights, or their step, were fitted to: Toeplitz rows, all of
    /// the batch's or those drawn.
    pub equations: Vec<usize>,
    /// Rank of each stage's system, where a step solves for the weights themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rank: Vec<usize>,
    /// Relative distance of each solution from that of all rows, where the step was audited.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub distance: Vec<f64>,
    /// Root mean square of the multipliers of the batch.
    pub multiplier_rms: f64,
    /// Share of the step length left: 1 falls to 0 over the run.
    pub rate: f32,
    /// CRC-32 of what each shard answered, before anything was added up.
    #[serde(skip)]
    pub checksums: Vec<u32>,
}

/// Accuracy on a split.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Evaluation {
    /// Steps completed when it was taken.
    pub step: u64,
    /// The split.
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
