//! Weight updates: least squares over the equations `T(a_{l-1}) W = z_l`.
//!
//! Three solvers behind one trait: [`Sampled`] solves s * d equations drawn from the Toeplitz rows, [`Gram`] the normal equations
//! of all rows, [`PseudoInverse`] all rows by their singular values.

mod choose;
mod dense;
mod gram;
mod pseudo_inverse;
mod sampled;
mod trust_region;

pub use dense::triangularise;
pub use gram::{Gram, GramSolver};
pub use pseudo_inverse::PseudoInverse;
pub use sampled::Sampled;
pub use trust_region::{gram_norm, trust_region_scale};

use ndarray::{Array2, ArrayView2};

/// The equations of one stage.
#[derive(Debug, Clone, Copy)]
pub enum StageEquations<'a> {
    /// G = T'T `[d, d]` and M = T'Z `[d, C]`, sums over all rows.
    Sums {
        /// G, of which only the lower triangle is read.
        gram: ArrayView2<'a, f32>,
        /// M.
        moment: ArrayView2<'a, f32>,
        /// Number of Toeplitz rows summed over.
        count: usize,
    },
    /// `[T | Z]`, `[r, d + C]`: rows of T beside rows of Z, or an orthogonal transform of them.
    Rows {
        /// The rows.
        rows: ArrayView2<'a, f32>,
        /// d.
        unknowns: usize,
        /// Number of Toeplitz rows that they stand for: r, or more where they are triangles.
        count: usize,
    },
}

/// Weights, and how sound the system was.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// W, `[d, C]`.
    pub weights: Array2<f32>,
    /// Equations per output that the weights were fitted to: Toeplitz rows, however they were summed up for
    /// the solver.
    pub rows: usize,
    /// Rank of the system.
    pub rank: usize,
    /// Its condition number, or a lower bound of it.
    pub condition: f64,
}

/// A way to solve a stage's equations.
pub trait WeightSolver: std::fmt::Debug + Send + Sync {
    /// The weights that solve `equations` of stage `stage` best. Never NaN: a system of less than full rank has its solution of least norm.
    ///
    /// # Errors
    /// [`SolveError`] if the equations are not finite, have no solution, or are not of the form that this solver takes.
    fn solve(&self, equations: StageEquations<'_>, stage: usize) -> Result<Solution, SolveError>;
}

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
    /// The loss returned to where it began.
    #[error(
        "the loss grew back to where it began: training diverged; lower schedule.trust or schedule.output-rate"
    )]
    Diverged,
    /// Equations of a form that the solver does not take.
    #[error("the equations of stage {stage} are not of the form that the solver takes")]
    WrongForm {
        /// Index of the stage, from 0.
        stage: usize,
    },
}

/// Refuses what is not finite.
pub(crate) fn check_finite<'a, T: ndarray_linalg::Scalar + Into<f64> + 'a>(
    mut values: impl Iterator<Item = &'a T>,
    stage: usize,
    quantity: &'static str,
) -> Result<(), SolveError> {
    if values.all(|&value| value.into().is_finite()) {
        Ok(())
    } else {
        Err(SolveError::NotFinite { stage, quantity })
    }
}
