//! The `sampled` solver: `s * d` equations drawn from the Toeplitz rows.

use super::choose::choose_rows;
use super::dense::{ZERO, least_norm, packed, triangularise};
use super::{
    Block, Collected, Collection, Collector, Solution, SolveError, Solver, System, check_finite,
    place,
};
use crate::check::{Rows, least_squares_amount};
use crate::network::{Network, Stage};
use crate::random::{Purpose, stream};
use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use ndarray_linalg::{Diag, Lapack as _, MatrixLayout, SolveTriangular, Transpose, UPLO};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Factor of equations drawn when screening, for the coordinator to choose from.
const CHOICE: f32 = 2.0;
/// Largest number of draws that replace one duplicate.
const ATTEMPTS: usize = 20;

/// Solves equations drawn from all rows: a square system by LU, an over-determined one by QR.
///
/// | name | purpose | range |
/// |---|---|---|
/// | `equations` | s: equations kept per unknown | >= 1 |
/// | `screen` | drop duplicates, and choose those that span most out of twice as many | |
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sampled {
    /// s: equations kept per unknown.
    pub equations: f32,
    /// Whether drawn equations are screened.
    pub screen: bool,
}

impl Solver for Sampled {
    fn rows_per_shard(&self, stage: &Stage, shards: usize) -> usize {
        let choice = if self.screen { CHOICE } else { 1.0 };
        let all = (self.equations * choice * stage.unknowns() as f32).ceil() as usize;
        all.max(stage.unknowns()).div_ceil(shards)
    }

    fn collector(&self, network: &Network, shards: usize, _: usize) -> Box<dyn Collector> {
        Box::new(Draws {
            solver: *self,
            stages: network.stages().to_vec(),
            piles: vec![Pile::default(); network.len()],
            random: stream(0, Purpose::Equations, 0, 0),
            collects: 0..0,
            samples: 0,
            shards,
        })
    }

    fn solve(&self, system: &System<'_>) -> Result<Solution, SolveError> {
        let System {
            stage,
            rows,
            unknowns,
            ..
        } = *system;
        check_finite(rows.iter(), stage, "equations")?;
        let wanted = ((self.equations * unknowns as f32) as usize)
            .clamp(unknowns, rows.nrows().max(unknowns));
        let given = rows.mapv(f64::from);
        let chosen = if self.screen {
            let left = given.slice(s![.., ..unknowns]);
            given.select(Axis(0), &choose_rows(left, wanted))
        } else {
            given.slice(s![..wanted.min(given.nrows()), ..]).to_owned()
        };
        let solved = match chosen.nrows() == unknowns {
            true => by_lu(&chosen, unknowns),
            false => by_qr(&chosen, unknowns),
        };
        let (weights, rank, condition) = match solved {
            Some((weights, condition)) => (weights, unknowns, condition),
            None => least_norm(chosen.view(), unknowns, stage)?,
        };
        check_finite(weights.iter(), stage, "weights")?;
        let weights = weights.mapv(|v| v as f32);
        let solved = Rows {
            rows: chosen.view(),
            solution: &weights,
        };
        Ok(Solution {
            amount: system
                .signs
                .map(|signs| least_squares_amount(&solved, signs)),
            weights,
            rows: chosen.nrows(),
            stand_for: rows.nrows(),
            rank,
            condition,
        })
    }
}

/// Draws of one stage so far in a round.
#[derive(Debug, Clone, Default)]
struct Pile {
    seen: HashSet<u64>,
    drawn: usize,
}

/// Collector of random equations, drawn from each block in proportion to its samples.
#[derive(Debug, Clone)]
struct Draws {
    solver: Sampled,
    stages: Vec<Stage>,
    piles: Vec<Pile>,
    random: ChaCha8Rng,
    collects: std::ops::Range<usize>,
    samples: usize,
    shards: usize,
}

impl Collector for Draws {
    fn begin(&mut self, round: &Collection, to: &mut Collected<'_>) {
        let (seed, shard, number) = round.key;
        self.random = stream(seed, Purpose::Equations, shard, number);
        self.collects = round.stages.clone();
        self.samples = round.samples;
        self.piles.fill(Pile::default());
        to.rows.fill(0.0);
    }

    fn take(&mut self, block: &Block<'_>, to: &mut Collected<'_>) {
        let done = block.start + block.forward.samples();
        let stages = &self.stages[self.collects.clone()];
        for (number, stage) in stages.iter().enumerate() {
            let index = self.collects.start + number;
            let (start, width) = place(&self.solver, stages, number, self.shards);
            let quota = self.solver.rows_per_shard(stage, self.shards) * done / self.samples;
            let pile = &mut self.piles[index];
            let rows = (block.forward.samples() * stage.rows()) as u32;
            while pile.drawn < quota {
                let target = &mut to.rows[start + pile.drawn * width..][..width];
                for _ in 0..ATTEMPTS {
                    let pick = self.random.random_range(0..rows) as usize;
                    block.write_equation(index, stage, pick, target);
                    if !self.solver.screen
                        || pile.seen.insert(fingerprint(&target[..stage.patch()]))
                    {
                        break;
                    }
                }
                pile.drawn += 1;
            }
        }
    }

    fn finish(&mut self, _: &mut Collected<'_>) {}
}

fn fingerprint(patch: &[f32]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for value in patch {
        value.to_bits().hash(&mut hasher);
    }
    hasher.finish()
}

/// Reciprocal condition number at which a square system counts as singular: of f32 data, even a precise f64
/// solution would be noise.
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

/// W and a bound of the condition number; `None` if T is rank-deficient.
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

/// Ratio of the extreme pivots; `None` if the smallest counts as zero.
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

    fn all(rows: &Array2<f32>, unknowns: usize) -> System<'_> {
        System {
            stage: 1,
            normal: None,
            rows: rows.view(),
            unknowns,
            all: rows.nrows(),
            signs: None,
        }
    }

    fn solvers() -> [Box<dyn Solver>; 3] {
        let sampled = |screen| Sampled {
            equations: 1e6,
            screen,
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
            let sums = System { normal: Some((&gram, &moment)), ..all(&rows, d) };
            let full = Gram { ridge: 0.0 }.solve(&sums).expect("definite");
            prop_assert_eq!(full.rows, rows.nrows());
            for solver in solvers() {
                let solution = solver.solve(&all(&rows, d)).expect("full rank");
                prop_assert_eq!((solution.rank, solution.rows), (d, rows.nrows()));
                for (a, b) in solution.weights.iter().zip(&full.weights) {
                    prop_assert!((a - b).abs() < 2e-3 * b.abs().max(1.0), "{a} {b}");
                }
            }
        }

        #[test]
        fn a_square_system_is_solved_exactly(seed in any::<u64>(), d in 1usize..12) {
            let (rows, w) = system(seed, (3 * d, d, 2), 0.0);
            let solver = Sampled { equations: 1.0, screen: true };
            let solution = solver.solve(&all(&rows, d)).expect("solvable");
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
            // Only the first `rank` columns of T are not zero: the least norm leaves the other weights at
            // zero.
            rows.slice_mut(s![.., rank..d]).fill(0.0);
            for solver in solvers() {
                let solution = solver.solve(&all(&rows, d)).expect("never fails");
                prop_assert_eq!(solution.rank, rank);
                prop_assert!(solution.weights.slice(s![rank.., ..]).iter().all(|v| v.abs() < 1e-5));
                prop_assert!(solution.weights.iter().all(|v| v.is_finite()));
            }
        }
    }

    #[test]
    fn what_is_not_finite_is_refused() {
        let rows = Array2::from_elem((4, 3), f32::NAN);
        for solver in solvers() {
            assert!(matches!(
                solver.solve(&all(&rows, 2)),
                Err(SolveError::NotFinite { stage: 1, .. })
            ));
        }
    }
}
