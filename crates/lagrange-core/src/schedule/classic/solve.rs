//! Solution of a stage's equations for the weights themselves, without memory of earlier steps.

use super::Classic;
use crate::check::SolveChecks;
use crate::equations::{EquationLayout, matrix, unpack_triangle};
use crate::schedule::{Round, StageMetrics, StageSolve, Totals};
use crate::solver::{
    Gram, Solution, SolveError, Solver as _, System, check_finite, gram_norm, place,
};
use crate::weights::Weights;
use ndarray::{Array2, ArrayView2, s};

/// Diagnostics of one stage's solve, and its movement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Solved {
    pub(super) solve: StageSolve,
    pub(super) report: StageMetrics,
    /// Equations per output that its weights were fitted to.
    pub(super) equations: usize,
}

impl Classic {
    /// Solves every stage that `round` has collected, and sets its weights. `checks` tell how well each
    /// system is solved.
    ///
    /// # Errors
    /// [`SolveError`]; the stage's weights are then unchanged.
    pub(super) fn solve(
        &self,
        round: Round,
        totals: &Totals<'_>,
        weights: &mut Weights,
        checks: &mut SolveChecks,
    ) -> Result<Vec<Solved>, SolveError> {
        let layout = self.layout(round);
        let collects = self.collects(round);
        let stages = &self.network.stages()[collects.clone()];
        let solve = |(number, index)| {
            let (start, width) = place(&*self.solver, stages, number, self.cut.shards);
            let count = self.solver.rows_per_shard(&stages[number], self.cut.shards) * width;
            let shares = totals
                .equations
                .iter()
                .flat_map(|rows| &rows[start..start + count]);
            let rows: Vec<f32> = shares.copied().collect();
            let rows = matrix(&rows, rows.len() / width, width);
            let equations = Equations {
                layout: &layout,
                sums: totals.sums,
                rows,
            };
            self.solve_stage(index, &equations, weights, checks)
        };
        collects.enumerate().map(solve).collect()
    }

    fn solve_stage(
        &self,
        index: usize,
        equations: &Equations<'_>,
        weights: &mut Weights,
        checks: &mut SolveChecks,
    ) -> Result<Solved, SolveError> {
        let Equations { layout, sums, rows } = *equations;
        let current = weights.stage(index).to_owned();
        let unknowns = current.nrows();
        let normal = normal_equations(index, layout, sums, &current)?;
        let signs = checks.signs(index, current.ncols());
        let system = System {
            stage: index,
            normal: normal.as_ref().map(|(gram, moment)| (gram, moment)),
            rows,
            unknowns,
            all: self.cut.shards * self.cut.samples * self.network.stages()[index].rows(),
            signs: signs.as_deref(),
        };
        let solution = self.solver.solve(&system)?;
        if let Some(amount) = solution.amount {
            checks.record(index, amount);
        }
        let step = &solution.weights - &current;
        let norm = |weights: &Array2<f32>| match &normal {
            Some((gram, _)) if rows.is_empty() => {
                f64::from(gram_norm(gram, weights.view())) / (system.all as f64).sqrt()
            }
            _ => output_norm(rows.slice(s![.., ..unknowns]), weights, solution.stand_for),
        };
        let (weight_norm, step_norm) = (norm(&current), norm(&step));
        let audited = normal.is_some() && !self.solver.takes_sums();
        let distance = audited
            .then(|| self.distance(&solution, &system))
            .transpose()?;
        weights.set_stage(index, &solution.weights);
        Ok(Solved {
            solve: StageSolve {
                rank: solution.rank,
                distance,
            },
            report: StageMetrics {
                weight_norm: weight_norm as f32,
                step_norm: step_norm as f32,
                condition: solution.condition as f32,
            },
            equations: solution.rows,
        })
    }

    /// `|W - W_full| / |W_full|` for the solution of all rows' normal equations.
    fn distance(&self, solution: &Solution, system: &System<'_>) -> Result<f64, SolveError> {
        let full = Gram {
            ridge: self.params.ridge,
        }
        .solve(system)?;
        let norm = |w: &Array2<f32>| w.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        Ok(norm(&(&solution.weights - &full.weights)) / norm(&full.weights).max(f64::MIN_POSITIVE))
    }
}

/// What a round has collected of one stage: sums in their layout, and rows `[r, d + C]`.
#[derive(Debug, Clone, Copy)]
struct Equations<'a> {
    layout: &'a EquationLayout,
    sums: &'a [f32],
    rows: ArrayView2<'a, f32>,
}

/// G `[d, d]` and T'Z `[d, C]`.
type NormalEquations = (Array2<f32>, Array2<f32>);

/// The normal equations of stage `index`, from the sums of G and T'(Z - T W); `None` if the layout has no
/// sums of the stage.
fn normal_equations(
    index: usize,
    layout: &EquationLayout,
    sums: &[f32],
    current: &Array2<f32>,
) -> Result<Option<NormalEquations>, SolveError> {
    let triangle = layout.triangle(index, sums);
    if triangle.is_empty() {
        return Ok(None);
    }
    check_finite(triangle.iter(), index, "Gram sums")?;
    let gram = unpack_triangle(triangle, current.nrows(), 1.0);
    let moment = &layout.cross(index, sums) + &gram.dot(current);
    Ok(Some((gram, moment)))
}

/// Root mean square of T W over the `count` rows that `rows` represent.
fn output_norm(rows: ArrayView2<'_, f32>, weights: &Array2<f32>, count: usize) -> f64 {
    let outputs = rows.dot(weights);
    let square: f64 = outputs.iter().map(|&v| f64::from(v).powi(2)).sum();
    (square / count.max(1) as f64).sqrt()
}
