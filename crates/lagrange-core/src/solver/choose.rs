//! Rank-aware choice among sampled equations.

use ndarray::{Array2, ArrayView2, s};

/// Indices of `count` rows of `rows` `[r, d]`: first those that Gaussian elimination with row pivoting takes
/// as pivots, which span what all rows span, then the others in their order.
pub(super) fn choose_rows(rows: ArrayView2<'_, f64>, count: usize) -> Vec<usize> {
    let mut work: Array2<f64> = rows.to_owned();
    let mut order: Vec<usize> = (0..rows.nrows()).collect();
    let largest = work.iter().fold(0.0f64, |max, v| max.max(v.abs()));
    let mut chosen = 0;
    for column in 0..work.ncols() {
        if chosen == work.nrows() {
            break;
        }
        let pivot = (chosen..work.nrows())
            .max_by(|&a, &b| work[[a, column]].abs().total_cmp(&work[[b, column]].abs()))
            .unwrap_or(chosen);
        if work[[pivot, column]].abs() <= super::dense::ZERO * largest {
            continue;
        }
        order.swap(chosen, pivot);
        for k in 0..work.ncols() {
            work.swap([chosen, k], [pivot, k]);
        }
        let (above, mut below) = work.view_mut().split_at(ndarray::Axis(0), chosen + 1);
        let top = above.slice(s![chosen, column..]);
        for mut row in below.rows_mut() {
            let factor = row[column] / top[0];
            if factor != 0.0 {
                row.slice_mut(s![column..]).scaled_add(-factor, &top);
            }
        }
        chosen += 1;
    }
    order[chosen..].sort_unstable();
    order.truncate(count);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pivots_span_the_rows_in_spite_of_duplicates() {
        // Rank 3: rows 0, 1 and 4 are zero, equal or dependent.
        let rows = ndarray::array![
            [0.0, 0.0, 0.0],
            [1.0, 2.0, 3.0],
            [1.0, 2.0, 3.0],
            [0.0, 1.0, 0.5],
            [1.0, 3.0, 3.5],
            [2.0, 0.0, 1.0],
        ];
        let chosen = choose_rows(rows.view(), 3);
        let square = Array2::from_shape_fn((3, 3), |(i, j)| rows[[chosen[i], j]]);
        use ndarray_linalg::Determinant as _;
        let determinant: f64 = square.det().expect("square");
        assert!(determinant.abs() > 1e-3, "{chosen:?}");
        assert_eq!(choose_rows(rows.view(), 6).len(), 6);
    }
}
