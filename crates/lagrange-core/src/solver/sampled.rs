//! The `sampled` solver: s * d equations drawn from the Toeplitz rows.

use super::choose::choose_rows;
use super::dense::{ZERO, least_norm, packed, triangularise};
use super::{Solution, SolveError, StageEquations, WeightSolver, check_finite};
use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use ndarray_linalg::{Diag, Lapack as _, MatrixLayout, SolveTriangular, Transpose, UPLO};

/// Solves the equations it is given: a square system by LU, an over-determined one by QR.
///
/// | name | purpose | range |
/// |---|---|---|
/// | `equations` | s: equations kept per unknown | >= 1 |
/// | `choose` | choose those that span most out of the ones given, instead of the first | |
#[derive(Debug, Clone, Copy)]
pub struct Sampled {
    /// s.
    pub equations: f32,
    /// Whether to choose.
    pub choose: bool,
}

impl WeightSolver for Sampled {
    fn solve(&self, equations: StageEquations<'_>, stage: usize) -> Result<Solution, SolveError> {
        let StageEquations::Rows { rows, unknowns, .. } = equations else {
            return Err(SolveError::WrongForm { stage });
        };
        check_finite(rows.iter(), stage, "equations")?;
        let wanted = ((self.equations * unknowns as f32) as usize)
            .clamp(unknowns, rows.nrows().max(unknowns));
        let given = rows.mapv(f64::from);
        let system = if self.choose {
            let left = given.slice(s![.., ..unknowns]);
            given.select(Axis(0), &choose_rows(left, wanted))
        } else {
            given.slice(s![..wanted.min(given.nrows()), ..]).to_owned()
        };
        let solved = match system.nrows() == unknowns {
            true => by_lu(&system, unknowns),
            false => by_qr(&system, unknowns),
        };
        let (weights, rank, condition) = match solved {
            Some((weights, condition)) => (weights, unknowns, condition),
            None => least_norm(system.view(), unknowns, stage)?,
        };
        check_finite(weights.iter(), stage, "weights")?;
        Ok(Solution {
            weights: weights.mapv(|v| v as f32),
            rows: system.nrows(),
            rank,
            condition,
        })
    }
}

/// A reciprocal condition number at which a square system of f32 data is singular: a well-posed f64 solution would still be noise.
const SINGULAR: f64 = 1e-10;

/// W and an estimate of the condition number; `None` if the square system is singular.
fn by_lu(system: &Array2<f64>, unknowns: usize) -> Option<(Array2<f64>, f64)> {
    let left = packed(system.slice(s![.., ..unknowns]));
    let norm = left
        .columns()
        .into_iter()
        .map(|column| column.iter().map(|v| v.abs()).sum())
        .fold(0.0, f64::max);
    let size = i32::try_from(unknowns).ok()?;
    let layout = MatrixLayout::C {
        row: size,
        lda: size,
    };
    let mut factors = left.into_raw_vec_and_offset().0;
    let pivots = f64::lu(layout, &mut factors).ok()?;
    let reciprocal = f64::rcond(layout, &factors, norm).ok()?;
    if reciprocal <= SINGULAR {
        return None;
    }
    let mut weights = packed(system.slice(s![.., unknowns..]));
    for mut column in weights.columns_mut() {
        let mut values = column.to_vec();
        f64::solve(layout, Transpose::No, &factors, &pivots, &mut values).ok()?;
        column.assign(&Array1::from(values));
    }
    Some((weights, 1.0 / reciprocal))
}

/// W and a bound of the condition number; `None` if T has not full rank.
fn by_qr(system: &Array2<f64>, unknowns: usize) -> Option<(Array2<f64>, f64)> {
    let width = system.ncols();
    let mut values: Vec<f64> = system.iter().copied().collect();
    triangularise(&mut values, width);
    let triangle = ArrayView2::from_shape((values.len() / width, width), &values).ok()?;
    if triangle.nrows() < unknowns {
        return None;
    }
    let left = packed(triangle.slice(s![..unknowns, ..unknowns]));
    let condition = pivot_ratio(left.view())?;
    let right = packed(triangle.slice(s![..unknowns, unknowns..]));
    let weights = left
        .solve_triangular(UPLO::Upper, Diag::NonUnit, &right)
        .ok()?;
    Some((weights, condition))
}

/// Ratio of the extreme pivots; `None` if the smallest is zero as far as f32 data can tell.
fn pivot_ratio(factor: ArrayView2<'_, f64>) -> Option<f64> {
    let pivots = factor.diag().mapv(f64::abs);
    let largest = pivots.iter().copied().fold(0.0, f64::max);
    let smallest = pivots.iter().copied().fold(f64::INFINITY, f64::min);
    (smallest > ZERO * largest).then_some(largest / smallest)
}

#[cfg(test)]
mod tests {
    use super::super::{Gram, PseudoInverse};
    use super::*;
    use crate::toeplitz::tests::draw;
    use proptest::prelude::*;

    /// Equations `[T | T W]` plus noise in Z.
    fn system(
        seed: u64,
        (r, d, c): (usize, usize, usize),
        noise: f32,
    ) -> (Array2<f32>, Array2<f32>) {
        let t = Array2::from_shape_vec((r, d), draw(seed, r * d)).expect("shape");
        let w = Array2::from_shape_vec((d, c), draw(seed ^ 1, d * c)).expect("shape");
        let e = Array2::from_shape_vec((r, c), draw(seed ^ 2, r * c)).expect("shape");
        let z = t.dot(&w) + e * noise;
        let both = ndarray::concatenate(Axis(1), &[t.view(), z.view()]).expect("same rows");
        (both, w)
    }

    fn all(rows: &Array2<f32>, unknowns: usize) -> StageEquations<'_> {
        StageEquations::Rows {
            rows: rows.view(),
            unknowns,
            count: rows.nrows(),
        }
    }

    fn solvers() -> [Box<dyn WeightSolver>; 3] {
        let sampled = |choose| Sampled {
            equations: 1e6,
            choose,
        };
        [
            Box::new(sampled(false)),
            Box::new(sampled(true)),
            Box::new(PseudoInverse),
        ]
    }

    proptest! {
        #[test]
        fn all_solvers_agree_on_all_rows(seed in any::<u64>(), d in 1usize..12, c in 1usize..4, extra in 5usize..30) {
            let (rows, _) = system(seed, (2 * d + extra, d, c), 0.3);
            let (t, z) = (rows.slice(s![.., ..d]), rows.slice(s![.., d..]));
            let (gram, moment) = (t.t().dot(&t), t.t().dot(&z));
            let sums = StageEquations::Sums { gram: gram.view(), moment: moment.view(), count: rows.nrows() };
            let full = Gram { ridge: 0.0 }.solve(sums, 0).expect("definite");
            prop_assert_eq!(full.rows, rows.nrows());
            for solver in solvers() {
                let solution = solver.solve(all(&rows, d), 0).expect("full rank");
                prop_assert_eq!((solution.rank, solution.rows), (d, rows.nrows()));
                for (a, b) in solution.weights.iter().zip(&full.weights) {
                    prop_assert!((a - b).abs() < 2e-3 * b.abs().max(1.0), "{a} {b}");
                }
            }
        }

        #[test]
        fn a_square_system_is_solved_exactly(seed in any::<u64>(), d in 1usize..12) {
            let (rows, w) = system(seed, (3 * d, d, 2), 0.0);
            let solver = Sampled { equations: 1.0, choose: true };
            let solution = solver.solve(all(&rows, d), 0).expect("solvable");
            prop_assert_eq!(solution.rows, d);
            prop_assume!(solution.condition < 1e3);
            for (a, b) in solution.weights.iter().zip(&w) {
                prop_assert!((a - b).abs() < 1e-3, "{a} {b}");
            }
        }

        #[test]
        fn missing_rank_gives_the_least_norm_and_never_nan(seed in any::<u64>(), d in 2usize..10, rank in 0usize..9, square in any::<bool>()) {
            let rank = rank.min(d - 1);
            let count = if square { d } else { 3 * d };
            let (mut rows, _) = system(seed, (count, d, 2), 0.0);
            // Only the first `rank` columns of T are not zero: the least norm leaves the other weights at zero.
            rows.slice_mut(s![.., rank..d]).fill(0.0);
            for solver in solvers() {
                let solution = solver.solve(all(&rows, d), 0).expect("never fails");
                prop_assert_eq!(solution.rank, rank);
                prop_assert!(solution.weights.slice(s![rank.., ..]).iter().all(|v| v.abs() < 1e-5));
                prop_assert!(solution.weights.iter().all(|v| v.is_finite()));
            }
        }
    }

    #[test]
    fn what_is_not_finite_or_not_rows_is_refused() {
        let rows = Array2::from_elem((4, 3), f32::NAN);
        let moment = Array2::zeros((2, 1));
        let gram = Array2::eye(2);
        for solver in solvers() {
            assert!(matches!(
                solver.solve(all(&rows, 2), 1),
                Err(SolveError::NotFinite { stage: 1, .. })
            ));
            let form = StageEquations::Sums {
                gram: gram.view(),
                moment: moment.view(),
                count: 4,
            };
            assert_eq!(
                solver.solve(form, 1).err(),
                Some(SolveError::WrongForm { stage: 1 })
            );
        }
    }
}
