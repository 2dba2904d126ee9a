//! What the coordinator does with a stage's equations: solve for the weights themselves.

use super::{SolverKind, SweepParams};
use crate::equations::{EquationLayout, unpack_triangle};
use crate::network::Network;
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
    kind: SolverKind,
    ridge: f32,
    /// Toeplitz rows of each stage in a step.
    rows: Vec<usize>,
}

/// How one stage's weights were found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StageSolve {
    /// Equations per output that the weights were fitted to: those drawn and chosen, or every row of the
    /// step.
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
    /// For the solver of `params` and steps over `batch` samples, with `ridge` where normal equations are
    /// solved.
    #[must_use]
    pub fn new(network: &Network, params: &SweepParams, batch: usize, ridge: f32) -> Self {
        Self {
            solver: match params.solver {
                SolverKind::Gram => Box::new(Gram { ridge }),
                SolverKind::Sampled => Box::new(Sampled {
                    equations: params.equations,
                    choose: params.screen,
                }),
                SolverKind::PseudoInverse => Box::new(PseudoInverse),
            },
            kind: params.solver,
            ridge,
            rows: network.stages().iter().map(|s| batch * s.rows()).collect(),
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
                let count = self.rows[index];
                let equations = StageEquations::Sums {
                    gram: gram.view(),
                    moment: moment.view(),
                    count,
                };
                let solution = self.solver.solve(equations, index)?;
                let step = &solution.weights - &current;
                let scale = (count as f64).sqrt();
                let norm = |w: ArrayView2<'_, f32>| f64::from(gram_norm(gram, w)) / scale;
                let norms = (norm(current.view()), norm(step.view()));
                (solution, norms)
            }
            _ => {
                // Triangles stand for every row, and |R W| = |T W|.
                let count = match self.kind {
                    SolverKind::Sampled => rows.nrows(),
                    SolverKind::Gram | SolverKind::PseudoInverse => self.rows[index],
                };
                let equations = StageEquations::Rows {
                    rows,
                    unknowns,
                    count,
                };
                let solution = self.solver.solve(equations, index)?;
                let step = &solution.weights - &current;
                let left = rows.slice(ndarray::s![.., ..unknowns]);
                let norm = |weights| output_norm(left, weights, count);
                let norms = (norm(&current), norm(&step));
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
            count: self.rows[index],
        };
        let full = Gram { ridge: self.ridge }.solve(equations, index)?;
        let norm = |w: &Array2<f32>| w.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        Ok(norm(&(&solution.weights - &full.weights)) / norm(&full.weights).max(f64::MIN_POSITIVE))
    }
}

/// Root mean square of T W over the `count` rows that `rows` stand for.
fn output_norm(rows: ArrayView2<'_, f32>, weights: &Array2<f32>, count: usize) -> f64 {
    let outputs = rows.dot(weights);
    let square: f64 = outputs.iter().map(|&v| f64::from(v).powi(2)).sum();
    (square / count.max(1) as f64).sqrt()
}
