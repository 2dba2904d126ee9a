//! The `pseudo-inverse` solver: all rows, by their singular values.

use super::dense::{least_norm, triangularise};
use super::{Solution, SolveError, StageEquations, WeightSolver, check_finite};
use ndarray::Array2;

/// W = pinv(T) Z. With T = QR, pinv(T) Z = pinv(R) Q'Z, so that only triangles need to travel and the singular values are those of a
/// `[d, d]` matrix: no normal equations, which would square the condition number.
#[derive(Debug, Clone, Copy, Default)]
pub struct PseudoInverse;

impl WeightSolver for PseudoInverse {
    fn solve(&self, equations: StageEquations<'_>, stage: usize) -> Result<Solution, SolveError> {
        let StageEquations::Rows {
            rows,
            unknowns,
            count,
        } = equations
        else {
            return Err(SolveError::WrongForm { stage });
        };
        check_finite(rows.iter(), stage, "equations")?;
        let width = rows.ncols();
        let mut values: Vec<f64> = rows.iter().map(|&v| v.into()).collect();
        triangularise(&mut values, width);
        // What lies below the first d rows is the part of Z that no weights can fit.
        values.truncate(unknowns * width);
        let system = Array2::from_shape_vec((values.len() / width, width), values)
            .unwrap_or_else(|_| unreachable!("whole rows"));
        let (weights, rank, condition) = least_norm(system.view(), unknowns, stage)?;
        check_finite(weights.iter(), stage, "weights")?;
        Ok(Solution {
            weights: weights.mapv(|v| v as f32),
            rows: count,
            rank,
            condition,
        })
    }
}
