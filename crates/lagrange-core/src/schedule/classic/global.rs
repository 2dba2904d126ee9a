//! What the coordinator does with a stage's equations: solve for the weights themselves.

use super::SolverKind;
use crate::equations::{EquationLayout, unpack_triangle};
use crate::solver::{
    Gram, PseudoInverse, Sampled, Solution, SolveError, StageEquations, WeightSolver, check_finite,
    gram_norm,
};
use crate::weights::Weights;
use ndarray::{Array2, ArrayView2};

/// Solves stages afresh, without memory of earlier steps.
#[derive(Debug)]
pub struct FullUpdate {
    solver: Box<dyn WeightSolver>,
    ridge: f32,
}

/// How one stage's weights were found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StageSolve {
    /// Equations per output that were solved.
    pub rows: usize,
    /// Rank of the system.
    pub rank: usize,
    /// Condition number, or a lower bound of it.
    pub condition: f64,
    /// Root mean square of T W over the equations, before the step.
    pub weight_norm: f64,
    /// Root mean square of T dW over the equations.
    pub step_norm: f64,
    /// `|W - W_full| / |W_full|` for the solution W_full of all rows' normal equations, where the round was audited.
    pub distance: Option<f64>,
}

/// G `[d, d]` and T'Z `[d, C]`.
type NormalEquations = (Array2<f32>, Array2<f32>);

impl FullUpdate {
    /// For `solver`, with `equations` equations per unknown (chosen among those drawn if `choose`) or `ridge`.
    #[must_use]
    pub fn new(solver: SolverKind, equations: f32, choose: bool, ridge: f32) -> Self {
        Self {
            solver: match solver {
                SolverKind::Gram => Box::new(Gram { ridge }),
                SolverKind::Sampled => Box::new(Sampled { equations, choose }),
                SolverKind::PseudoInverse => Box::new(PseudoInverse),
            },
            ridge,
        }
    }

    /// Solves stage `index` from `rows`, `[r, d + C]`, or where there are none from the `sums` of `layout`, and sets its weights.
    ///
    /// # Errors
    /// [`SolveError`]; `weights` are then unchanged.
    pub fn solve(
        &self,
        index: usize,
        layout: &EquationLayout,
        sums: &[f32],
        rows: ArrayView2<'_, f32>,
        weights: &mut Weights,
    ) -> Result<StageSolve, SolveError> {
        let current = weights.stage(index).to_owned();
        let unknowns = current.nrows();
        let full = self.normal_equations(index, layout, sums, &current)?;
        let (solution, norms) = match &full {
            Some((gram, moment)) if rows.is_empty() => {
                let equations = StageEquations::Sums {
                    gram: gram.view(),
                    moment: moment.view(),
                };
                let solution = self.solver.solve(equations, index)?;
                let step = &solution.weights - &current;
                let scale = root_of_rows(gram);
                let norm = |w: ArrayView2<'_, f32>| f64::from(gram_norm(gram, w)) / scale;
                let norms = (norm(current.view()), norm(step.view()));
                (solution, norms)
            }
            _ => {
                let equations = StageEquations::Rows { rows, unknowns };
                let solution = self.solver.solve(equations, index)?;
                let step = &solution.weights - &current;
                let left = rows.slice(ndarray::s![.., ..unknowns]);
                let norms = (output_norm(left, &current), output_norm(left, &step));
                (solution, norms)
            }
        };
        let distance = match &full {
            Some((gram, moment)) if !rows.is_empty() => {
                Some(self.distance(&solution, gram, moment, index)?)
            }
            _ => None,
        };
        weights.set_stage(index, &solution.weights);
        Ok(StageSolve {
            rows: solution.rows,
            rank: solution.rank,
            condition: solution.condition,
            weight_norm: norms.0,
            step_norm: norms.1,
            distance,
        })
    }

    /// G and T'Z, from the sums of G and T'(Z - T W).
    fn normal_equations(
        &self,
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

    fn distance(
        &self,
        solution: &Solution,
        gram: &Array2<f32>,
        moment: &Array2<f32>,
        index: usize,
    ) -> Result<f64, SolveError> {
        let equations = StageEquations::Sums {
            gram: gram.view(),
            moment: moment.view(),
        };
        let full = Gram { ridge: self.ridge }.solve(equations, index)?;
        let norm = |w: &Array2<f32>| w.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        Ok(norm(&(&solution.weights - &full.weights)) / norm(&full.weights).max(f64::MIN_POSITIVE))
    }
}

/// Root of the number of rows behind a Gram matrix: its last diagonal entry counts the ones behind every patch.
fn root_of_rows(gram: &Array2<f32>) -> f64 {
    let last = gram.nrows() - 1;
    f64::from(gram[[last, last]]).max(1.0).sqrt()
}

fn output_norm(rows: ArrayView2<'_, f32>, weights: &Array2<f32>) -> f64 {
    let outputs = rows.dot(weights);
    let square: f64 = outputs.iter().map(|&v| f64::from(v).powi(2)).sum();
    (square / rows.nrows().max(1) as f64).sqrt()
}
