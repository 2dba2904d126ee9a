//! Weight updates: least squares over the equations `T(a_{l-1}) W = z_l`.
//!
//! A `Solver` has two halves: a collector, which gathers the equations of each shard, and the solution of
//! their totals at the coordinator. `Gram` solves the normal equations of all rows, `Sampled` `s * d`
//! equations drawn from the Toeplitz rows, `PseudoInverse` all rows by their singular values. [`GramSolver`]
//! is the factorised Gram matrix by itself.

mod choose;
mod collect;
mod dense;
mod gram;
mod pseudo_inverse;
mod sampled;
mod trust_region;

pub use gram::GramSolver;

pub(crate) use collect::{Block, Collected, Collection, Collector, CrossMoments, Moments};
pub(crate) use gram::Gram;
pub(crate) use pseudo_inverse::PseudoInverse;
pub(crate) use sampled::Sampled;
pub(crate) use trust_region::{gram_norm, trust_region_scale};

use crate::network::{Network, Stage};
use ndarray::{Array2, ArrayView2};
use std::fmt::Debug;

/// Equations of one stage over all shards, in the form that the solver's collectors give them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct System<'a> {
    /// Index of the stage, from 0.
    pub stage: usize,
    /// G = T'T `[d, d]`, of which only the lower triangle is read, and M = T'Z `[d, C]`, for a solver that
    /// takes sums.
    pub normal: Option<(&'a Array2<f32>, &'a Array2<f32>)>,
    /// `[T | Z]`, `[r, d + C]`: rows of T beside rows of Z, or triangles that stand for them.
    pub rows: ArrayView2<'a, f32>,
    /// Unknowns d per output.
    pub unknowns: usize,
    /// Number of Toeplitz rows of the step.
    pub all: usize,
    /// Signs of the combination of right-hand sides whose solution is checked; `None` for no check.
    pub signs: Option<&'a [f64]>,
}

/// Solution of a system, with its diagnostics.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Solution {
    /// W, `[d, C]`.
    pub weights: Array2<f32>,
    /// Toeplitz rows, hence equations per output, that the weights were fitted to.
    pub rows: usize,
    /// Toeplitz rows that the rows of the system represent: a triangle R represents all rows of its T, as
    /// `|R W| = |T W|`.
    pub stand_for: usize,
    /// Rank of the system.
    pub rank: usize,
    /// Its condition number, or a lower bound of it.
    pub condition: f64,
    /// By how much the solution misses the normal equations, if that was asked for: see [`crate::check`].
    pub amount: Option<f64>,
}

/// Method to collect and solve a stage's equations.
pub(crate) trait Solver: Debug + Send + Sync {
    /// Whether shards send cross moments and Gram matrices.
    fn takes_sums(&self) -> bool {
        false
    }

    /// Number of equations of `stage` that one of `shards` shards sends: `[row of T | row of Z]`, `d + C`
    /// values each.
    fn rows_per_shard(&self, stage: &Stage, shards: usize) -> usize;

    /// The collector of one of `shards` shards, for blocks of at most `samples` samples.
    fn collector(&self, network: &Network, shards: usize, samples: usize) -> Box<dyn Collector>;

    /// Least-squares weights of `system`, always finite: a rank-deficient system gives its least-norm
    /// solution.
    ///
    /// # Errors
    /// [`SolveError`] if the equations are not finite, or have no solution.
    fn solve(&self, system: &System<'_>) -> Result<Solution, SolveError>;
}

/// Place of the equations of stage `index` of `stages` in a shard's rows: offset of the first value, and
/// values of one equation.
pub(crate) fn place(
    solver: &dyn Solver,
    stages: &[Stage],
    index: usize,
    shards: usize,
) -> (usize, usize) {
    let width = |stage: &Stage| stage.unknowns() + stage.conv.channels;
    let before = stages[..index].iter();
    let start = before
        .map(|stage| solver.rows_per_shard(stage, shards) * width(stage))
        .sum();
    (start, width(&stages[index]))
}

/// Error of a weight update.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SolveError {
    /// A Gram matrix with its ridge was not positive definite.
    #[error("the weight system of stage {stage} is not positive definite: raise schedule.ridge")]
    NotPositiveDefinite {
        /// Index of the stage, from 0.
        stage: usize,
    },
    /// Non-finite sums from the workers, or non-finite weights.
    #[error(
        "the {quantity} of stage {stage} are not finite: training diverged; lower schedule.trust or schedule.output-rate"
    )]
    NotFinite {
        /// Index of the stage, from 0.
        stage: usize,
        /// Name of the non-finite quantity.
        quantity: &'static str,
    },
    /// A loss as large as before training.
    #[error(
        "the loss grew back to where it began: training diverged; lower schedule.trust or schedule.output-rate"
    )]
    Diverged,
}

/// Refuses non-finite values.
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
