//! The `gram` solver: ridge least squares from the normal equations (Taylor's transpose reduction).

use super::{Collector, Moments, Solution, SolveError, Solver, System};
use crate::blas;
use crate::check::{SymmetricSystem, system_amount};
use crate::network::{Network, Stage};
use ndarray::{Array2, ArrayView2};
use ndarray_linalg::{Lapack as _, MatrixLayout, UPLO};

/// Solves the normal equations `(G + ridge * mean(diag G) I) W = M` of all rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gram {
    /// Ridge, relative to the mean of the diagonal.
    pub ridge: f32,
}

impl Solver for Gram {
    fn takes_sums(&self) -> bool {
        true
    }

    fn rows_per_shard(&self, _: &Stage, _: usize) -> usize {
        0
    }

    fn collector(&self, network: &Network, _: usize, samples: usize) -> Box<dyn Collector> {
        Box::new(Moments::new(network, samples))
    }

    fn solve(&self, system: &System<'_>) -> Result<Solution, SolveError> {
        let stage = system.stage;
        let (gram, moment) = system
            .normal
            .unwrap_or_else(|| unreachable!("shards of a solver that takes sums send them"));
        let solver = GramSolver::factorise(gram.view(), self.ridge, stage)?;
        let weights = solver.solve(moment, stage)?;
        let solved = SymmetricSystem {
            gram: gram.view(),
            ridge: solver.ridge(),
            right: moment.view(),
            solution: weights.view(),
        };
        Ok(Solution {
            amount: system.signs.map(|signs| system_amount(&solved, signs)),
            weights,
            rows: system.all,
            stand_for: system.all,
            rank: gram.nrows(),
            condition: solver.condition().into(),
        })
    }
}

/// Cholesky factor of `G + ridge * mean(diag G) I`, valid as long as G stays the same.
///
/// ```
/// use lagrange_core::solver::GramSolver;
/// use ndarray::array;
///
/// let solver = GramSolver::factorise(array![[4.0, 0.0], [1.0, 1.0]].view(), 0.1, 0)?;
/// assert_eq!(solver.ridge(), 0.25);
/// let weights = solver.solve(&array![[9.5], [4.5]], 0)?;
/// // (4 + 0.25) x + y = 9.5 and x + (1 + 0.25) y = 4.5.
/// assert!((&weights - &array![[1.71014], [2.23188]]).iter().all(|gap| gap.abs() < 1e-4));
/// # Ok::<(), lagrange_core::solver::SolveError>(())
/// ```
#[derive(Debug, Clone)]
pub struct GramSolver {
    lower: Array2<f32>,
    ridge: f32,
}

impl GramSolver {
    /// Factorises the Gram matrix `gram`, `[d, d]`, of which only the lower triangle is read.
    ///
    /// # Errors
    /// [`SolveError`] if the matrix is not finite, or not positive definite in spite of its ridge.
    pub fn factorise(
        gram: ArrayView2<'_, f32>,
        ridge: f32,
        stage: usize,
    ) -> Result<Self, SolveError> {
        let mean = gram.diag().mean().unwrap_or(0.0);
        if !mean.is_finite() {
            return Err(SolveError::NotFinite {
                stage,
                quantity: "Gram sums",
            });
        }
        let mut lower = gram.as_standard_layout().into_owned();
        let ridge = ridge * mean;
        lower.diag_mut().map_inplace(|value| *value += ridge);
        // LAPACK is column-major: our lower triangle is its upper one. The other triangle is neither read nor
        // changed.
        let d = i32::try_from(lower.nrows()).unwrap_or(0);
        let layout = MatrixLayout::F { col: d, lda: d };
        let values = lower.as_slice_mut().unwrap_or_default();
        f32::cholesky(layout, UPLO::Upper, values)
            .map_err(|_| SolveError::NotPositiveDefinite { stage })?;
        Ok(Self { lower, ridge })
    }

    /// Value added to the diagonal: `ridge * mean(diag G)`.
    #[must_use]
    pub fn ridge(&self) -> f32 {
        self.ridge
    }

    /// A lower bound of the system's condition number: the squared ratio of the factor's extreme pivots.
    #[must_use]
    pub fn condition(&self) -> f32 {
        let pivots = self.lower.diag();
        let largest = pivots.iter().copied().fold(0.0, f32::max);
        let smallest = pivots.iter().copied().fold(f32::INFINITY, f32::min);
        (largest / smallest).powi(2)
    }

    /// `(G + ridge * mean(diag G) I)^-1 S` for a right-hand side S, `[d, C]`.
    ///
    /// # Errors
    /// [`SolveError::NotFinite`] if the solution is not finite.
    pub fn solve(&self, right: &Array2<f32>, stage: usize) -> Result<Array2<f32>, SolveError> {
        let mut solution = right.as_standard_layout().into_owned();
        for transposed in [false, true] {
            blas::solve_lower(self.lower.view(), transposed, &mut solution.view_mut());
        }
        if solution.iter().all(|value| value.is_finite()) {
            Ok(solution)
        } else {
            Err(SolveError::NotFinite {
                stage,
                quantity: "cross moments",
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gauss-Jordan elimination with pivoting in f64: slow, and shares nothing with LAPACK.
    fn eliminate(mut a: Array2<f64>, mut b: Array2<f64>) -> Array2<f64> {
        let n = a.nrows();
        for k in 0..n {
            let pivot = (k..n)
                .max_by(|&i, &j| a[[i, k]].abs().total_cmp(&a[[j, k]].abs()))
                .expect("rows");
            for m in [&mut a, &mut b] {
                for column in 0..m.ncols() {
                    m.swap([k, column], [pivot, column]);
                }
            }
            for i in (0..n).filter(|&i| i != k) {
                let factor = a[[i, k]] / a[[k, k]];
                for m in [&mut a, &mut b] {
                    for column in 0..m.ncols() {
                        let value = m[[k, column]];
                        m[[i, column]] -= factor * value;
                    }
                }
            }
        }
        for ((i, _), value) in b.indexed_iter_mut() {
            *value /= a[[i, i]];
        }
        b
    }

    proptest! {
        #[test]
        fn the_solution_agrees_with_elimination_in_f64(
            d in 1usize..12, c in 1usize..4, rows in 1usize..30, seed in any::<u64>(), ridge in 0.05f32..1.0,
        ) {
            let draw = |seed, n| crate::toeplitz::tests::draw(seed, n);
            let t = Array2::from_shape_vec((rows, d), draw(seed, rows * d)).expect("shape");
            let s = Array2::from_shape_vec((d, c), draw(seed ^ 1, d * c)).expect("shape");
            let gram = t.t().dot(&t);
            let mut wide = gram.mapv(f64::from);
            let mean = wide.diag().mean().expect("diagonal");
            wide.diag_mut().map_inplace(|v| *v += f64::from(ridge) * mean);
            let expected = eliminate(wide, s.mapv(f64::from));
            // The strict upper triangle must not be read.
            let mut lower = gram;
            lower.indexed_iter_mut().filter(|((i, j), _)| j > i).for_each(|(_, v)| *v = f32::NAN);
            let solution = GramSolver::factorise(lower.view(), ridge, 0).expect("definite").solve(&s, 0).expect("finite");
            let scale = expected.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
            for (x, y) in solution.iter().zip(&expected) {
                prop_assert!((f64::from(*x) - y).abs() < 1e-4 * scale, "{x} {y}");
            }
        }
    }

    #[test]
    fn the_condition_of_a_diagonal_system_is_exact() {
        let gram = Array2::from_diag(&ndarray::arr1(&[4.0, 1.0]));
        let solver = GramSolver::factorise(gram.view(), 0.0, 0).expect("definite");
        assert_eq!(solver.condition(), 4.0);
    }

    #[test]
    fn what_cannot_be_solved_is_named() {
        let nan = Array2::from_elem((2, 2), f32::NAN);
        assert!(matches!(
            GramSolver::factorise(nan.view(), 0.1, 3),
            Err(SolveError::NotFinite { stage: 3, .. })
        ));
        let zero = Array2::zeros((2, 2));
        assert_eq!(
            GramSolver::factorise(zero.view(), 0.1, 1).err(),
            Some(SolveError::NotPositiveDefinite { stage: 1 })
        );
        let solver = GramSolver::factorise(Array2::eye(2).view(), 0.1, 0).expect("definite");
        let infinite = Array2::from_elem((2, 1), f32::INFINITY);
        assert!(matches!(
            solver.solve(&infinite, 2),
            Err(SolveError::NotFinite { stage: 2, .. })
        ));
    }
}
