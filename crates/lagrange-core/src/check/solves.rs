//! Checks of the weight systems of one step, at the coordinator.

use super::amounts::signs;
use super::{Check, Checks};
use crate::schedule::ScheduleParams;

/// Checks of the solves of one step, if it is one that is checked.
#[derive(Debug, Clone, Default)]
pub(crate) struct SolveChecks {
    /// The step; `None` if nothing of it is checked.
    step: Option<u64>,
    checks: Checks,
}

impl SolveChecks {
    /// The checks of `step`.
    pub(crate) fn of_step(params: &ScheduleParams, step: u64) -> Self {
        Self {
            step: params.is_checked(step).then_some(step),
            checks: Checks::default(),
        }
    }

    pub(crate) fn is_due(&self) -> bool {
        self.step.is_some()
    }

    /// Signs that combine the `columns` right-hand sides of stage `stage`; none if it is not checked.
    pub(crate) fn signs(&self, stage: usize, columns: usize) -> Option<Vec<f64>> {
        self.step.map(|step| signs(step, stage, columns))
    }

    /// Counts a system of stage `stage` whose solution misses it by `amount`.
    pub(crate) fn record(&mut self, stage: usize, amount: f64) {
        self.checks.record(Check::NormalEquations, stage, amount);
    }

    /// Removes and returns what was counted.
    pub(crate) fn finish(&mut self) -> Checks {
        std::mem::take(&mut self.checks)
    }
}
