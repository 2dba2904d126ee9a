//! What a run is asked to be, and whether that can be.

use crate::start::StartKind;
use lagrange_core::network::NetworkError;
use lagrange_core::schedule::streaming::UpdateParams;
use lagrange_core::solver::SolveError;
use lagrange_data::PartitionError;
use lagrange_protocol::{ConversionError, RunSpec};

/// A run as the coordinator sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPlan {
    /// What the workers are told.
    pub spec: RunSpec,
    /// How sums become weights and multipliers.
    pub update: UpdateParams,
    /// Passes over the training data.
    pub epochs: u64,
    /// A step refreshes the Gram matrices once in so many steps.
    pub gram_every: u64,
    /// How the weights start.
    pub start: StartKind,
    /// Evaluate once in so many steps; 0 means at the end of every epoch.
    pub evaluate_every: u64,
}

/// Why a run cannot be planned or must end.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// The network does not fit.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The data cannot be cut as asked.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// A weight system could not be solved.
    #[error("step {step}: {source}")]
    Solve {
        /// The step, from 0.
        step: u64,
        /// What went wrong.
        source: SolveError,
    },
    /// A job that does not fit the network.
    #[error(transparent)]
    Job(#[from] ConversionError),
    /// A parameter outside its range.
    #[error("{field} is {value}: it must be {range}")]
    Parameter {
        /// The parameter.
        field: &'static str,
        /// Its value.
        value: f64,
        /// What is allowed.
        range: &'static str,
    },
}

impl RunPlan {
    /// Checks that every number is in its range: a run that would only fail or diverge later is refused now.
    ///
    /// # Errors
    /// [`PlanError::Parameter`]
    pub(crate) fn check(&self) -> Result<(), PlanError> {
        let wrong = |field, value: f64, range| {
            Err(PlanError::Parameter {
                field,
                value,
                range,
            })
        };
        for (field, value) in [
            ("schedule.epochs", self.epochs),
            ("schedule.gram-every", self.gram_every),
        ] {
            if value == 0 {
                return wrong(field, 0.0, "at least 1");
            }
        }
        let (step, update) = (&self.spec.step, &self.update);
        for (field, value) in [
            ("schedule.beta", step.beta),
            ("schedule.gamma", step.gamma),
            ("schedule.beta-output", step.beta_output),
            ("schedule.ridge", update.ridge),
            ("schedule.trust", update.trust),
            ("schedule.output-rate", update.output_rate),
        ] {
            if !(value.is_finite() && value > 0.0) {
                return wrong(field, value.into(), "a finite number above 0");
            }
        }
        for (field, value) in [
            ("schedule.gram-decay", update.gram_decay),
            ("schedule.momentum", update.momentum),
        ] {
            if !(0.0..1.0).contains(&value) {
                return wrong(field, value.into(), "at least 0 and below 1");
            }
        }
        if !(0.0..=1.0).contains(&update.dual_decay) {
            return wrong(
                "schedule.dual-decay",
                update.dual_decay.into(),
                "between 0 and 1",
            );
        }
        if !(update.dual_step.is_finite() && update.dual_step >= 0.0) {
            return wrong(
                "schedule.dual-step",
                update.dual_step.into(),
                "a finite number, 0 or more",
            );
        }
        for (field, value) in [
            ("schedule.gram-rows", step.gram_rows),
            ("schedule.batch", self.spec.batch_per_shard),
            ("start.images", self.spec.start_images),
            ("start.patches", self.spec.start_patches),
        ] {
            if !(1..=1 << 20).contains(&value) {
                return wrong(
                    field,
                    value as f64,
                    "at least 1 per shard and at most 1048576",
                );
            }
        }
        Ok(())
    }
}
