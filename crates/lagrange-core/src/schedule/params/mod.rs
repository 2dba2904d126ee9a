//! Parameters of the schedules: the tables `[schedule]` and `[classic]` of a configuration, with defaults and
//! ranges.
//!
//! Workers and coordinator receive all of them. A new parameter needs a field, its range in `check`, and its
//! use.

mod classic;

pub use classic::{BlockOrder, ClassicParams, ClassicUpdate, Fit, InitialState};

use crate::activation::ActivationUpdate;
use crate::check::Check;
use crate::loss::Loss;
use crate::penalties::Penalties;
use crate::pooling::StaircaseUpdate;
use serde::{Deserialize, Serialize};

/// Kind of schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// Forward-reset ADMM over mini-batches: see [`crate::schedule::streaming`].
    #[default]
    Streaming,
    /// Persistent z and a, swept layer by layer: see [`crate::schedule::classic`].
    Classic,
}

/// Solver of the weight updates: how equations are collected and solved. See [`crate::solver`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SolverKind {
    /// The normal equations with a ridge (Taylor's transpose reduction).
    #[default]
    Gram,
    /// `equations` per unknown, drawn from the Toeplitz rows.
    Sampled,
    /// The pseudo-inverse of the matrix of all rows; classic only.
    PseudoInverse,
}

/// The metric in which weight steps are preconditioned and measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// The Gram matrix: a step's length is the change of the stage's outputs.
    #[default]
    Gram,
    /// The identity: the cross moment itself is the step, and lengths are those of weights.
    Identity,
}

/// The length of a hidden stage's step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HiddenStep {
    /// `rate * trust`, relative to the weights.
    #[default]
    TrustRegion,
    /// `rate * output_rate` of the least-squares step, as the last stage.
    LeastSquares,
}

/// Parameters of a schedule. The formulas are those of [`crate::schedule::streaming`]; [`ClassicParams`] has
/// what the classic one adds.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `kind` | streaming | schedule | |
/// | `epochs` | 4 | passes over the training data | above 0, at most 1e6 |
/// | `batch` | 256 | samples of a step over all shards; 0 for all (classic) | a multiple of the shards |
/// | `solver` | gram | how equations are collected and solved | pseudo-inverse: classic |
/// | `equations` | 1 | equations drawn per unknown over all shards (sampled) | above 0; classic: 1 to 1e4 |
/// | `loss` | squared-hinge | loss of the last stage | |
/// | `beta`, `gamma`, `beta_output` | 1 | penalties: [`Penalties`] | above 0 |
/// | `activation` | one-step | activation update | |
/// | `staircase` | dithered | output update of staircase activations | |
/// | `gram_rows` | 1024 | Toeplitz rows of a hidden stage's Gram, all shards | a multiple of the shards |
/// | `gram_every` | 16 | steps between refreshes of the Gram matrices | >= 1 |
/// | `gram_decay` | 0.8 | what a refresh keeps of the running Gram matrix | 0..1 |
/// | `ridge` | 0.1 | added to the Gram diagonal, relative to its mean | above 0 |
/// | `momentum` | 0.8 | what a step keeps of the summed cross moments | 0..1 |
/// | `trust` | 0.02 | relative change of a hidden stage's outputs in one step | above 0 |
/// | `output_rate` | 0.1 | share of the last stage's least-squares step taken | above 0 |
/// | `dual_step` | 1 | share of beta_L (z_L - m_L) added to the multipliers; 0 switches them off | >= 0 |
/// | `dual_decay` | 0.5 | what an update keeps of the multipliers | 0..=1 |
/// | `balance` | 0 | residual ratio beyond which beta_L moves; 0 for never (streaming) | 0, or 1 to 1e6 |
/// | `warm_start` | 0 | steps before the multipliers begin to move | |
/// | `metric` | gram | metric of weight steps | |
/// | `hidden_step` | trust-region | length of hidden steps | |
/// | `evaluate_every` | 0 | steps between evaluations; 0 evaluates after every epoch | |
/// | `check_every` | 16 | steps between checks of optimality, [`crate::check`]; 0 for none | |
///
/// ```
/// use lagrange_core::schedule::ScheduleParams;
///
/// let params = ScheduleParams { trust: 0.05, ..ScheduleParams::default() };
/// assert_eq!(params.check(), Ok(()));
/// let wrong = ScheduleParams { ridge: 0.0, ..params };
/// let error = wrong.check().expect_err("out of range").to_string();
/// assert_eq!(error, "schedule.ridge is 0: it must be a finite number above 0");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ScheduleParams {
    /// `streaming` or `classic`.
    pub kind: ScheduleKind,
    /// Passes over the training data; fractions such as 0.5 are allowed.
    pub epochs: f64,
    /// Samples of a step, over all shards; 0 for all there are.
    pub batch: usize,
    /// `gram`, `sampled`, or for the classic schedule `pseudo-inverse`.
    pub solver: SolverKind,
    /// Equations drawn per unknown over all shards, for the sampled solver.
    pub equations: f32,
    /// `squared`, `squared-hinge`, `hinge`, `softmax`, `multiclass-hinge`, or a registered loss.
    pub loss: Loss,
    /// Penalty of hidden output constraints z = W a.
    pub beta: f32,
    /// Penalty of activation constraints a = h(z).
    pub gamma: f32,
    /// Penalty of the last output constraint.
    pub beta_output: f32,
    /// `one-step` or `exact`.
    pub activation: ActivationUpdate,
    /// `dithered` or `exact`: output update of hidden stages with a staircase activation.
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
    /// Ratio of primal and dual residual above which beta-output is adjusted (10 is usual); 0 keeps it fixed.
    pub balance: f32,
    /// Steps before the multipliers begin to move.
    pub warm_start: u64,
    /// `gram` or `identity`: the metric of weight steps.
    pub metric: Metric,
    /// `trust-region` or `least-squares`: the length of hidden steps.
    pub hidden_step: HiddenStep,
    /// Steps between evaluations; 0 evaluates after every epoch.
    pub evaluate_every: u64,
    /// Steps between checks of the sub-problems' optimality; 0 for none. It changes no bit of the training.
    pub check_every: u64,
}

impl Default for ScheduleParams {
    fn default() -> Self {
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
            gram_decay: 0.8,
            ridge: 0.1,
            momentum: 0.8,
            trust: 0.02,
            output_rate: 0.1,
            dual_step: 1.0,
            dual_decay: 0.5,
            balance: 0.0,
            warm_start: 0,
            metric: Metric::default(),
            hidden_step: HiddenStep::default(),
            evaluate_every: 0,
            check_every: 16,
        }
    }
}

/// Error of a parameter check.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ParamError {
    /// A number outside its range.
    #[error("{key} is {value}: it must be {range}")]
    Range {
        /// The key in the configuration.
        key: &'static str,
        /// Its value.
        value: f64,
        /// The range allowed.
        range: &'static str,
    },
    /// Settings that exclude each other.
    #[error("{0}")]
    Contradiction(&'static str),
}

/// Checks one number: an error unless it is `sound`.
///
/// # Errors
/// [`ParamError::Range`] unless `sound`.
pub fn ranged(
    key: &'static str,
    value: impl Into<f64>,
    sound: bool,
    range: &'static str,
) -> Result<(), ParamError> {
    let value = value.into();
    match sound {
        true => Ok(()),
        false => Err(ParamError::Range { key, value, range }),
    }
}

impl ScheduleParams {
    /// Checks that runs with these parameters and `classic` have not, each with the reason.
    #[must_use]
    pub fn unchecked(&self, classic: &ClassicParams) -> Vec<(Check, &'static str)> {
        let off = "schedule.check-every is 0";
        if self.check_every == 0 {
            return Check::ALL.map(|check| (check, off)).to_vec();
        }
        let is_classic = self.kind == ScheduleKind::Classic;
        let mut reasons = Vec::new();
        if is_classic && classic.order != BlockOrder::OutputFirst {
            let reason = "in this order of blocks an activation update starts from h(z), not from the activation before it";
            reasons.push((Check::Sweep, reason));
        }
        let steps = !is_classic || classic.update == ClassicUpdate::Step;
        if steps && self.metric == Metric::Identity {
            let reason = "schedule.metric = \"identity\" solves no system";
            reasons.push((Check::NormalEquations, reason));
        }
        reasons
    }

    /// Whether `step` is one whose sub-problems are checked.
    #[must_use]
    pub fn is_checked(&self, step: u64) -> bool {
        self.check_every > 0 && step.is_multiple_of(self.check_every)
    }

    /// The penalties before any factor.
    #[must_use]
    pub fn penalties(&self) -> Penalties {
        Penalties {
            beta: self.beta,
            gamma: self.gamma,
            beta_output: self.beta_output,
        }
    }

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

    /// Checks every number against its range: a run that would only fail or diverge later is refused now.
    ///
    /// # Errors
    /// [`ParamError`], naming the key.
    pub fn check(&self) -> Result<(), ParamError> {
        for (key, value) in [
            ("schedule.beta", self.beta),
            ("schedule.gamma", self.gamma),
            ("schedule.beta-output", self.beta_output),
            ("schedule.ridge", self.ridge),
            ("schedule.trust", self.trust),
            ("schedule.output-rate", self.output_rate),
        ] {
            let sound = value.is_finite() && value > 0.0;
            ranged(key, value, sound, "a finite number above 0")?;
        }
        for (key, value) in [
            ("schedule.gram-decay", self.gram_decay),
            ("schedule.momentum", self.momentum),
        ] {
            ranged(
                key,
                value,
                (0.0..1.0).contains(&value),
                "at least 0 and below 1",
            )?;
        }
        let epochs = self.epochs > 0.0 && self.epochs <= 1e6;
        ranged(
            "schedule.epochs",
            self.epochs,
            epochs,
            "above 0, at most 1000000",
        )?;
        let decay = (0.0..=1.0).contains(&self.dual_decay);
        ranged(
            "schedule.dual-decay",
            self.dual_decay,
            decay,
            "between 0 and 1",
        )?;
        let dual = self.dual_step.is_finite() && self.dual_step >= 0.0;
        ranged(
            "schedule.dual-step",
            self.dual_step,
            dual,
            "a finite number, 0 or more",
        )?;
        ranged(
            "schedule.gram-every",
            0.0,
            self.gram_every > 0,
            "at least 1",
        )?;
        let equations = self.equations > 0.0 && self.equations <= 1e6;
        ranged(
            "schedule.equations",
            self.equations,
            equations,
            "above 0, at most 1000000",
        )?;
        let balance = self.balance == 0.0 || (1.0..=1e6).contains(&self.balance);
        ranged(
            "schedule.balance",
            self.balance,
            balance,
            "0 (off) or between 1 and 1000000",
        )
    }
}
