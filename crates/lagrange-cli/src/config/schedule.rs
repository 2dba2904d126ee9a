//! How weights are trained.

use lagrange_coordinator::ClassicUpdate;
use lagrange_core::activation::ActivationUpdate;
use lagrange_core::loss::Loss;
use lagrange_core::pooling::StaircaseUpdate;
use lagrange_core::schedule::classic::{Fit, InitialState, Order, SolverKind};
use lagrange_core::schedule::streaming::{HiddenStep, Metric, UpdateParams};
use serde::{Deserialize, Serialize};

/// Which schedule trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// Forward-reset ADMM over mini-batches.
    #[default]
    Streaming,
    /// Persistent z and a, swept layer by layer.
    Classic,
}

/// What the classic schedule adds. See `lagrange_core::schedule::classic`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ClassicConfig {
    /// `taylor`, `output-first` or `input-first`: the order in which a step visits its blocks.
    pub order: Order,
    /// `solve` for the weights themselves, or take a `step` as streaming does.
    pub update: ClassicUpdate,
    /// Visits of a sample between forward resets of its z and a; 0 for never.
    pub reset_every: u64,
    /// `forward` or `updated`: activations that weights are fitted on, but in Taylor's order.
    pub fit: Fit,
    /// `forward` or `random`: z and a before the first step.
    pub initial: InitialState,
    /// Screen drawn equations: no duplicates, and the coordinator chooses among twice as many.
    pub screen: bool,
    /// Factor of the penalties beta from step to step.
    pub growth: f32,
    /// Steps between audits of the solver against all rows; 0 for never.
    pub audit_every: u64,
}

impl Default for ClassicConfig {
    fn default() -> Self {
        Self {
            order: Order::default(),
            update: ClassicUpdate::default(),
            reset_every: 0,
            fit: Fit::default(),
            initial: InitialState::default(),
            screen: true,
            growth: 1.0,
            audit_every: 0,
        }
    }
}

/// How weights are trained. See `lagrange_core::schedule::streaming` for the formulas.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ScheduleConfig {
    /// `streaming` or `classic`.
    pub kind: ScheduleKind,
    /// Passes over the training data; a part of one, such as 0.5, will do.
    pub epochs: f64,
    /// Samples of a step, over all shards; 0 for all there are.
    pub batch: usize,
    /// `gram`, `sampled`, or for the classic schedule `pseudo-inverse`.
    pub solver: SolverKind,
    /// Equations drawn per unknown, for the sampled solver.
    pub equations: f32,
    /// `squared`, `squared-hinge` or `hinge`.
    pub loss: Loss,
    /// Penalty of hidden output constraints z = W a.
    pub beta: f32,
    /// Penalty of activation constraints a = h(z).
    pub gamma: f32,
    /// Penalty of the last output constraint.
    pub beta_output: f32,
    /// `one-step` or `exact`.
    pub activation: ActivationUpdate,
    /// `dithered` or `exact`: how hidden outputs are updated behind a staircase activation.
    pub staircase: StaircaseUpdate,
    /// Toeplitz rows sampled for a hidden stage's Gram matrix, over all shards.
    pub gram_rows: usize,
    /// Steps between refreshes of the Gram matrices.
    pub gram_every: u64,
    /// Share of the running Gram matrix that a refresh keeps.
    pub gram_decay: f32,
    /// Ridge relative to the mean of the Gram diagonal.
    pub ridge: f32,
    /// Share of the running cross moments that a step keeps.
    pub momentum: f32,
    /// Relative change of a hidden stage's outputs in one step.
    pub trust: f32,
    /// Share of the last stage's least-squares step taken.
    pub output_rate: f32,
    /// Step of the multipliers relative to beta-output; 0 switches them off.
    pub dual_step: f32,
    /// Share of the multipliers that an update keeps.
    pub dual_decay: f32,
    /// Let beta-output follow its residuals when one is so many times the other (10 is usual); 0 keeps it fixed.
    pub balance: f32,
    /// Steps before the multipliers begin to move.
    pub warm_start: u64,
    /// `gram` or `identity`: the metric of weight steps.
    pub metric: Metric,
    /// `trust-region` or `least-squares`: the length of hidden steps.
    pub hidden_step: HiddenStep,
    /// Steps between evaluations; 0 evaluates after every epoch.
    pub evaluate_every: u64,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        let update = UpdateParams::default();
        Self {
            kind: ScheduleKind::default(),
            epochs: 4.0,
            batch: 256,
            solver: SolverKind::default(),
            equations: 1.0,
            loss: Loss::default(),
            beta: 1.0,
            gamma: 1.0,
            beta_output: 1.0,
            activation: ActivationUpdate::default(),
            staircase: StaircaseUpdate::default(),
            gram_rows: 1024,
            gram_every: 16,
            gram_decay: update.gram_decay,
            ridge: update.ridge,
            momentum: update.momentum,
            trust: update.trust,
            output_rate: update.output_rate,
            dual_step: update.dual_step,
            dual_decay: update.dual_decay,
            balance: 0.0,
            warm_start: 0,
            metric: update.metric,
            hidden_step: update.hidden_step,
            evaluate_every: 0,
        }
    }
}
