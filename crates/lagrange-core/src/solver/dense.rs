//! Dense factorisations that the row solvers share.

use super::SolveError;
use ndarray::{Array2, ArrayView2, s};
use ndarray_linalg::{JobSvd, Lapack, MatrixLayout, SVDDC};

/// Relative size below which values count as zero: the resolution of f32 data.
pub(super) const ZERO: f64 = 1e-6;

/// Householder QR of the row-major matrix `[r, width]` in `rows`, in place: leaves the first min(r, width)
/// rows of the triangle R.
///
/// R is an orthogonal transform of the rows, so least squares over it are least squares over them.
///
/// # Panics
/// If `rows` does not hold whole rows, or LAPACK refuses its arguments.
pub(super) fn triangularise<T: Lapack>(rows: &mut Vec<T>, width: usize) {
    assert!(
        rows.len().is_multiple_of(width),
        "whole rows of {width} values"
    );
    let count = rows.len() / width;
    if count > 1 {
        let int = |value: usize| {
            i32::try_from(value).unwrap_or_else(|_| panic!("{value} rows exceed what LAPACK takes"))
        };
        let layout = MatrixLayout::C {
            row: int(count),
            lda: int(width),
        };
        T::householder(layout, rows).unwrap_or_else(|error| panic!("Householder QR: {error}"));
        rows.truncate(width.min(count) * width);
        for (i, row) in rows.chunks_exact_mut(width).enumerate() {
            row[..i].fill(T::zero());
        }
    }
}

/// A contiguous, row-major copy: LAPACK's wrappers refuse the strides of slices of few columns.
pub(super) fn packed(view: ArrayView2<'_, f64>) -> Array2<f64> {
    Array2::from_shape_vec(view.dim(), view.iter().copied().collect())
        .unwrap_or_else(|_| unreachable!("as many values as the view"))
}

/// The least-squares solution of least norm of `[T | Z]`, `[r, d + C]`, with the rank and condition number of
/// T.
pub(super) fn least_norm(
    system: ArrayView2<'_, f64>,
    unknowns: usize,
    stage: usize,
) -> Result<(Array2<f64>, usize, f64), SolveError> {
    let left = packed(system.slice(s![.., ..unknowns]));
    let right = packed(system.slice(s![.., unknowns..]));
    let failed = |_| SolveError::NotFinite {
        stage,
        quantity: "singular values",
    };
    let (u, values, vt) = left.svddc(JobSvd::Some).map_err(failed)?;
    let (Some(u), Some(vt)) = (u, vt) else {
        unreachable!("both were asked for")
    };
    let largest = values.iter().copied().fold(0.0, f64::max);
    let rank = values.iter().filter(|&&v| v > ZERO * largest).count();
    let mut projected = u.t().dot(&right);
    for (value, mut row) in values.iter().zip(projected.rows_mut()) {
        if *value > ZERO * largest {
            row /= *value;
        } else {
            row.fill(0.0);
        }
    }
    let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
    Ok((vt.t().dot(&projected), rank, largest / smallest))
}
