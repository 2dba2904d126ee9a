//! What a run tells about itself while it runs: one record per event, written as JSON lines.

use lagrange_core::network::{Network, Stage};
use lagrange_core::residual::StepScalars;
use lagrange_core::schedule::classic::StageSolve;
use lagrange_core::schedule::streaming::{StageReport, StepParams};
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
}

/// What a step's report needs beside its sums.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepFacts {
    pub(crate) step: u64,
    pub(crate) total: u64,
    /// Samples of the step.
    pub(crate) samples: f64,
    pub(crate) rate: f32,
    /// Sum of the squares of the batch's multipliers.
    pub(crate) multiplier_square: f64,
    /// Whether the sweep went from the first stage to the last.
    pub(crate) sweeps_forward: bool,
}

/// How every stage's weights were found in a step.
#[derive(Debug)]
pub(crate) struct Solved<'a> {
    pub(crate) stages: &'a [StageReport],
    /// Empty where a step does not solve for the weights themselves.
    pub(crate) solves: &'a [StageSolve],
    pub(crate) equations: Vec<usize>,
}

impl StepFacts {
    pub(crate) fn report(
        &self,
        network: &Network,
        params: &StepParams,
        scalars: &StepScalars,
        solved: Solved<'_>,
    ) -> StepReport {
        let Solved {
            stages,
            solves,
            equations,
        } = solved;
        let samples = self.samples;
        let mean = |sums: &[f64], values: fn(&Stage) -> usize| {
            let stages = network.stages().iter();
            sums.iter()
                .zip(stages)
                .map(|(sum, stage)| (sum / (samples * values(stage) as f64)).sqrt())
                .collect()
        };
        let last = network.len() - 1;
        let beta = |index| {
            f64::from(if index == last {
                params.beta_output
            } else {
                params.beta
            })
        };
        let objective = if self.sweeps_forward {
            scalars.objective_forward(params)
        } else {
            scalars.objective(params)
        };
        StepReport {
            step: self.step,
            total: self.total,
            loss: scalars.loss / samples,
            objective: objective / samples,
            output_residual: mean(&scalars.output, |stage| stage.conv.len()),
            activation_residual: mean(&scalars.activation, |stage| stage.output.len()),
            dual_residual: stages
                .iter()
                .enumerate()
                .map(|(index, stage)| beta(index) * f64::from(stage.step_norm))
                .collect(),
            weight_norm: stages.iter().map(|s| s.weight_norm.into()).collect(),
            condition: stages.iter().map(|s| s.condition.into()).collect(),
            equations,
            rank: solves.iter().map(|s| s.rank).collect(),
            distance: solves.iter().filter_map(|s| s.distance).collect(),
            multiplier_rms: (self.multiplier_square / (samples * network.outputs() as f64)).sqrt(),
            rate: self.rate,
        }
    }
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
