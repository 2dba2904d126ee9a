//! The `pseudo-inverse` solver: all rows, by their singular values.

use super::dense::{least_norm, triangularise};
use super::{
    Block, Collected, Collection, Collector, Solution, SolveError, Solver, System, check_finite,
    place,
};
use crate::check::{Rows, least_squares_amount};
use crate::network::{Network, Stage};
use ndarray::Array2;

/// W = pinv(T) Z. With T = QR, pinv(T) Z = pinv(R) Q'Z, so that only triangles travel and the singular values
/// are those of a `[d, d]` matrix: no normal equations, which would square the condition number.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PseudoInverse;

impl Solver for PseudoInverse {
    /// The triangle R, and Q'Z beside it.
    fn rows_per_shard(&self, stage: &Stage, _: usize) -> usize {
        stage.unknowns()
    }

    fn collector(&self, network: &Network, shards: usize, _: usize) -> Box<dyn Collector> {
        Box::new(Triangles {
            stages: network.stages().to_vec(),
            pending: vec![Vec::new(); network.len()],
            collects: 0..0,
            shards,
        })
    }

    fn solve(&self, system: &System<'_>) -> Result<Solution, SolveError> {
        let (stage, unknowns) = (system.stage, system.unknowns);
        check_finite(system.rows.iter(), stage, "equations")?;
        let width = system.rows.ncols();
        let mut values: Vec<f64> = system.rows.iter().map(|&v| v.into()).collect();
        triangularise(&mut values, width);
        // The rows below the first d hold the part of Z that no weights can fit.
        values.truncate(unknowns * width);
        let triangle = Array2::from_shape_vec((values.len() / width, width), values)
            .unwrap_or_else(|_| unreachable!("whole rows"));
        let (weights, rank, condition) = least_norm(triangle.view(), unknowns, stage)?;
        check_finite(weights.iter(), stage, "weights")?;
        let weights = weights.mapv(|v| v as f32);
        let solved = Rows {
            rows: triangle.view(),
            solution: &weights,
        };
        Ok(Solution {
            amount: system
                .signs
                .map(|signs| least_squares_amount(&solved, signs)),
            weights,
            rows: system.all,
            stand_for: system.all,
            rank,
            condition,
        })
    }
}

/// Collector of the triangle of a QR factorisation of each stage's equations.
#[derive(Debug, Clone)]
struct Triangles {
    stages: Vec<Stage>,
    /// Rows not yet triangularised, below the triangle so far.
    pending: Vec<Vec<f32>>,
    collects: std::ops::Range<usize>,
    shards: usize,
}

impl Collector for Triangles {
    fn begin(&mut self, round: &Collection, to: &mut Collected<'_>) {
        self.collects = round.stages.clone();
        self.pending.iter_mut().for_each(Vec::clear);
        to.rows.fill(0.0);
    }

    fn take(&mut self, block: &Block<'_>, _: &mut Collected<'_>) {
        for index in self.collects.clone() {
            let (stage, pending) = (&self.stages[index], &mut self.pending[index]);
            let width = stage.unknowns() + stage.conv.channels;
            for row in 0..block.forward.samples() * stage.rows() {
                let start = pending.len();
                pending.resize(start + width, 0.0);
                block.write_equation(index, stage, row, &mut pending[start..]);
            }
            // Rarely, because a factorisation costs the same for few new rows as for many.
            if pending.len() >= 3 * width * width {
                triangularise(pending, width);
            }
        }
    }

    fn finish(&mut self, to: &mut Collected<'_>) {
        let stages = &self.stages[self.collects.clone()];
        for (number, pending) in self.pending[self.collects.clone()].iter_mut().enumerate() {
            let (start, width) = place(&PseudoInverse, stages, number, self.shards);
            triangularise(pending, width);
            // The last C rows hold what no weights can fit.
            let kept = pending.len().min(stages[number].unknowns() * width);
            to.rows[start..start + kept].copy_from_slice(&pending[..kept]);
        }
    }
}
