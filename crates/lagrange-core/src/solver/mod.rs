//! Weight updates: least squares over the equations `[T(a_{l-1}) | z_l]`.

mod gram;
mod trust_region;

pub use gram::GramSolver;
pub use trust_region::{gram_norm, trust_region_scale};

/// Why a system could not be solved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SolveError {
    /// A Gram matrix with its ridge was not positive definite.
    #[error("the weight system of stage {stage} is not positive definite: raise schedule.ridge")]
    NotPositiveDefinite {
        /// Index of the stage, from 0.
        stage: usize,
    },
    /// Sums from the workers, or the weights they lead to, were not finite numbers.
    #[error(
        "the {quantity} of stage {stage} are not finite: training diverged; lower schedule.trust or schedule.output-rate"
    )]
    NotFinite {
        /// Index of the stage, from 0.
        stage: usize,
        /// What was not finite.
        quantity: &'static str,
    },
}
