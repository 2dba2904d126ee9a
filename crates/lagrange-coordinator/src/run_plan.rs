//! What a run is asked to be, and whether that can be.

use crate::classic::{ClassicPlan, ClassicUpdate};
use crate::start::StartKind;
use lagrange_core::network::NetworkError;
use lagrange_core::schedule::classic::{Order, SolverKind};
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
    pub epochs: f64,
    /// A step refreshes the Gram matrices once in so many steps.
    pub gram_every: u64,
    /// How the weights start.
    pub start: StartKind,
    /// The last stage's penalty follows its residuals when one is so many times the other; 0 keeps it as it is.
    pub balance: f32,
    /// Steps before the multipliers begin to move.
    pub warm_start: u64,
    /// The classic schedule, or streaming.
    pub classic: Option<ClassicPlan>,
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
    /// A round of the other schedule.
    #[error("a round that this run's schedule does not have")]
    WrongRound,
    /// Settings that exclude each other.
    #[error("{0}")]
    Contradiction(&'static str),
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

/// More passes over the data than anybody will wait for.
const MOST_EPOCHS: f64 = 1e6;

impl RunPlan {
    /// Checks that every number is in its range: a run that would only fail or diverge later is refused now.
    ///
    /// # Errors
    /// [`PlanError::Parameter`]
    pub(crate) fn check(&self) -> Result<(), PlanError> {
        if let Some(classic) = &self.classic {
            check_classic(classic)?;
        }
        let wrong = |field, value: f64, range| {
            Err(PlanError::Parameter {
                field,
                value,
                range,
            })
        };
        if self.gram_every == 0 {
            return wrong("schedule.gram-every", 0.0, "at least 1");
        }
        if !(self.epochs > 0.0 && self.epochs <= MOST_EPOCHS) {
            return wrong("schedule.epochs", self.epochs, "above 0, at most 1000000");
        }
        if let Some((field, value, range)) = self.spec.augment.fault() {
            return wrong(field, value.into(), range);
        }
        if !(self.balance == 0.0 || (1.0..=1e6).contains(&self.balance)) {
            return wrong(
                "schedule.balance",
                self.balance.into(),
                "0 (off) or between 1 and 1000000",
            );
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
        if !(0.0..=1e6).contains(&step.equations) {
            return wrong(
                "schedule.equations",
                step.equations.into(),
                "a finite number, 0 or more",
            );
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

fn check_classic(classic: &ClassicPlan) -> Result<(), PlanError> {
    let sweep = &classic.sweep;
    let wrong = |field, value: f32, range| {
        Err(PlanError::Parameter {
            field,
            value: value.into(),
            range,
        })
    };
    if !(1.0..=1e4).contains(&sweep.equations) {
        return wrong("schedule.equations", sweep.equations, "between 1 and 10000");
    }
    if !(0.1..=10.0).contains(&sweep.growth) {
        return wrong("classic.growth", sweep.growth, "between 0.1 and 10");
    }
    if classic.update == ClassicUpdate::Step {
        if sweep.order == Order::Taylor {
            return Err(PlanError::Contradiction(
                "classic.update = \"step\" moves all stages at once: it needs classic.order = \"output-first\" or \"input-first\"",
            ));
        }
        if sweep.solver != SolverKind::Gram {
            return Err(PlanError::Contradiction(
                "classic.update = \"step\" measures steps in the Gram metric: it needs schedule.solver = \"gram\"",
            ));
        }
    }
    Ok(())
}
