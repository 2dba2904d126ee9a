//! The trust region of hidden stages, in the metric of the Gram matrix.
//!
//! `|W|_G^2 = tr(W' G W)` is the mean square of T(a) W over the sampled rows: a step bounded in it changes
//! the stage's outputs by a bounded fraction, whatever the scale and correlation of its inputs. It is the
//! proximal least-squares step `argmin sum |z - T W|^2 + r |W - W_old|_G^2`, with r set so that the relative
//! change is tau.

use crate::blas;
use ndarray::{Array2, ArrayView2};

/// `|W|_G = sqrt(tr(W' G W))` for W `[d, C]` and a symmetric G `[d, d]`, of which only the lower triangle is
/// read.
#[must_use]
pub(crate) fn gram_norm(gram: &Array2<f32>, weights: ArrayView2<'_, f32>) -> f32 {
    let product = blas::symmetric_product(gram.view(), weights);
    let square: f64 = product
        .iter()
        .zip(weights)
        .map(|(p, w)| f64::from(p * w))
        .sum();
    square.max(0.0).sqrt() as f32
}

/// Factor that scales a step of length `length` to the trust radius `radius`; 0 for a step of length 0.
#[must_use]
pub(crate) fn trust_region_scale(length: f32, radius: f32) -> f32 {
    if length > f32::MIN_POSITIVE {
        radius / length
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_norm_is_the_root_mean_square_output() {
        let rows = Array2::from_shape_fn((9, 4), |(i, j)| ((i * 7 + j * 3) % 5) as f32 - 2.0);
        let w = Array2::from_shape_fn((4, 3), |(i, j)| (i as f32 - j as f32) * 0.5);
        let gram = rows.t().dot(&rows);
        let direct = rows.dot(&w).mapv(|v| v * v).sum().sqrt();
        assert!((gram_norm(&gram, w.view()) - direct).abs() < 1e-4 * direct);
        let scale = trust_region_scale(direct, 2.0);
        assert!((gram_norm(&gram, (&w * scale).view()) - 2.0).abs() < 1e-4);
        assert_eq!(trust_region_scale(0.0, 2.0), 0.0);
    }
}
