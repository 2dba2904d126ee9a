//! Parameters of the classic schedule, the table `[classic]` of a configuration: fields, defaults, ranges.

use super::{ParamError, ScheduleKind, ScheduleParams, SolverKind, ranged};
use serde::{Deserialize, Serialize};

/// Order in which a classic step updates its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockOrder {
    /// W_1, a_1, z_1, W_2, .. , W_L, z_L: the order of Taylor et al.
    #[default]
    Taylor,
    /// z_L, a_{L-1}, z_{L-1}, .. , z_1, then every W: labels reach a stage before its weights are fitted.
    OutputFirst,
    /// a_1, z_1, .. , a_{L-1}, z_{L-1}, z_L, then every W: Taylor's order of z and a, in one round.
    InputFirst,
}

/// Activations that weights are fitted on, in orders other than Taylor's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// The activations before the sweep, which the next forward pass will compute again.
    #[default]
    Forward,
    /// The activations that the sweep has updated (Gauss-Seidel).
    Updated,
}

/// z and a before a sample's first step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InitialState {
    /// A forward pass: every constraint holds.
    #[default]
    Forward,
    /// Standard normal z, and a = h(z).
    Random,
}

/// Use of a stage's equations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassicUpdate {
    /// Solved for the weights themselves.
    #[default]
    Solve,
    /// Solved for a step, with momentum and trust radius, as in the streaming schedule.
    Step,
}

/// Parameters of the classic schedule, in addition to [`ScheduleParams`].
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `order` | taylor | order of the blocks | |
/// | `update` | solve | use of the equations | step: not in Taylor's order, gram solver |
/// | `reset_every` | 0 | visits of a sample between forward resets of its z and a; 0 for never | |
/// | `fit` | forward | activations that weights are fitted on, but in Taylor's order | |
/// | `initial` | forward | z and a before a sample's first visit | |
/// | `screen` | true | whether drawn equations are screened for rank | |
/// | `growth` | 1 | factor of beta from step to step, at most 1000 in all | 0.1 to 10 |
/// | `audit_every` | 0 | steps between audits of the solver against all rows; 0 for never | |
///
/// ```
/// use lagrange_core::schedule::{BlockOrder, ClassicParams, ScheduleKind, ScheduleParams};
///
/// let schedule = ScheduleParams { kind: ScheduleKind::Classic, ..ScheduleParams::default() };
/// let classic = ClassicParams { order: BlockOrder::OutputFirst, ..ClassicParams::default() };
/// assert_eq!(classic.check(&schedule), Ok(()));
/// // The streaming schedule has none of these parameters.
/// assert!(classic.check(&ScheduleParams::default()).is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ClassicParams {
    /// `taylor`, `output-first` or `input-first`: the order in which a step visits its blocks.
    pub order: BlockOrder,
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

impl Default for ClassicParams {
    fn default() -> Self {
        Self {
            order: BlockOrder::default(),
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

impl ClassicParams {
    /// Factor of the penalties beta in `step`.
    #[must_use]
    pub(crate) fn penalty_factor(&self, step: u64) -> f32 {
        let exponent = i32::try_from(step).unwrap_or(i32::MAX);
        self.growth.powi(exponent).clamp(1e-3, 1e3)
    }

    /// Whether a step needs nothing of the steps before it: every visit starts with a forward pass.
    #[must_use]
    pub(crate) fn is_stateless(&self) -> bool {
        self.order == BlockOrder::OutputFirst
            && self.reset_every == 1
            && self.initial == InitialState::Forward
    }

    /// Checks ranges, and that no setting contradicts `schedule`.
    ///
    /// # Errors
    /// [`ParamError`], naming the key.
    pub fn check(&self, schedule: &ScheduleParams) -> Result<(), ParamError> {
        use ParamError::Contradiction;
        if schedule.kind == ScheduleKind::Streaming {
            return match (schedule.solver, *self == Self::default()) {
                (SolverKind::PseudoInverse, _) => Err(Contradiction(
                    "schedule.solver = \"pseudo-inverse\" needs schedule.kind = \"classic\"",
                )),
                (_, false) => Err(Contradiction(
                    "the section [classic] needs schedule.kind = \"classic\"",
                )),
                (_, true) => Ok(()),
            };
        }
        let equations = (1.0..=1e4).contains(&schedule.equations);
        ranged(
            "schedule.equations",
            schedule.equations,
            equations,
            "between 1 and 10000",
        )?;
        let growth = (0.1..=10.0).contains(&self.growth);
        ranged("classic.growth", self.growth, growth, "between 0.1 and 10")?;
        if schedule.balance != 0.0 {
            return Err(Contradiction(
                "schedule.balance moves a penalty of the streaming schedule: the classic one has classic.growth",
            ));
        }
        match (self.update, self.order, schedule.solver) {
            (ClassicUpdate::Step, BlockOrder::Taylor, _) => Err(Contradiction(
                "classic.update = \"step\" moves all stages at once: it needs classic.order = \"output-first\" or \"input-first\"",
            )),
            (ClassicUpdate::Step, _, SolverKind::Sampled | SolverKind::PseudoInverse) => {
                Err(Contradiction(
                    "classic.update = \"step\" measures steps in the Gram metric: it needs schedule.solver = \"gram\"",
                ))
            }
            _ => Ok(()),
        }
    }
}
